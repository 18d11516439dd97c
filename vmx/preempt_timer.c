/* The VMX-preemption timer: counts down by one whenever bit IA32_VMX_MISC[4:0] of the TSC changes.
 * [SDM 3C "VMX-Preemption Timer"] The count is kept as the tick at which it reaches 0. */
#include "vmx/state.h"

/* Of the TSC as it counts, whatever is written to IA32_TSC meanwhile. */
static uint64_t timer_tick(const struct vmx *vmx)
{
    return (cpu_cycles(vmx->cpu) + vmx->timer_tsc_offset) >> vmx->caps.timer_shift;
}

void timer_start(struct vmx *vmx)
{
    struct cpu *cpu = vmx->cpu;

    vmx->timer_tsc_offset = cpu->tsc_offset;
    vmx->timer_end = timer_tick(vmx) + vmx->current->guest.timer;
    vmx->timer_on = true;
    cpu->virt_deadline = (vmx->timer_end << vmx->caps.timer_shift) - vmx->timer_tsc_offset;
    if (vmx->current->guest.timer == 0)
        cpu->virt_deadline = cpu_cycles(cpu);
}

uint32_t timer_stop(struct vmx *vmx)
{
    uint64_t now = timer_tick(vmx);

    vmx->cpu->virt_deadline = TIMER_OFF;
    vmx->timer_on = false;
    return now >= vmx->timer_end ? 0 : (uint32_t)(vmx->timer_end - now);
}

bool timer_expired(const struct vmx *vmx)
{
    return vmx->timer_on && timer_tick(vmx) >= vmx->timer_end;
}
