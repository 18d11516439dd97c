/* VM entry: the event to inject, pending debug exceptions, and what waits at the first boundary.
 * [SDM 3C "Event Injection", "Special Features of VM Entry"] */
#include "cpu/interrupt.h"
#include "vmx/state.h"

static bool is_software(unsigned type)
{
    return type == EVENT_TYPE_SOFTWARE_INT || type == EVENT_TYPE_SOFTWARE_EXC;
}

/* [SDM 3C "Delivery of Pending Debug Exceptions after VM Entry"] */
static void inject_pending_debug(struct vmx *vmx, bool vectoring, unsigned type)
{
    struct cpu *cpu = vmx->cpu;
    const struct vmcs *v = vmx->current;
    bool mov_ss = v->guest.interruptibility & BLOCK_MOV_SS;
    uint64_t field = v->guest.pending_dbg;

    if (!(field & (PENDING_DBG_ENABLED | PENDING_DBG_BS)))
        return;
    if (vectoring ? !mov_ss || !is_software(type)
                  : v->guest.activity == SHUTDOWN || v->guest.activity == WAIT_FOR_SIPI)
        return;
    cpu->pending_dbg = field & (BITS(3, 0) | PENDING_DBG_BS);
    cpu->events |= EVENT_DEBUG_TRAP;
}

/* What the first boundary of the guest has to look at. */
static void inject_arm(struct vmx *vmx, bool pending_mtf)
{
    struct cpu *cpu = vmx->cpu;
    const struct vmcs *v = vmx->current;

    vmx->trap = false;
    vmx->virtual_intr = false;
    vmx->alone_count = UINT64_MAX;
    vmx->pause_first = vmx->pause_last = 0;
    /* an MTF VM exit follows the first instruction, or at once where an event was injected */
    vmx->mtf_armed = v->ctl.intr_info & INTR_INFO_VALID;
    vmx->mtf_count = vmx->mtf_rip = UINT64_MAX;
    if (pending_mtf) {
        vmx->trap = true;
        vmx->trap_reason = EXIT_MONITOR_TRAP;
        vmx->trap_qualification = 0;
    }
    if (v->ctl.pin & PIN(TIMER))
        timer_start(vmx);
    vapic_enter(vmx);
    vmx_update_events(vmx);
    cpu_kick(cpu);
}

static void inject_event(struct vmx *vmx, unsigned type)
{
    struct cpu *cpu = vmx->cpu;
    const struct vmcs *v = vmx->current;
    bool software = is_software(type) || type == EVENT_TYPE_PRIV_SOFTWARE;
    struct event ev = {
        .vector = v->ctl.intr_info & 0xff,
        .type = (uint8_t)type,
        .has_error = v->ctl.intr_info & BIT(11),
        .error_code = v->ctl.intr_error,
        .insn_length = software ? (uint8_t)v->ctl.intr_length : 0,
    };

    cpu_charge(cpu, COST_INJECT);
    interrupt_deliver(cpu, &ev);
}

_Noreturn void inject(struct vmx *vmx)
{
    struct cpu *cpu = vmx->cpu;
    const struct vmcs *v = vmx->current;
    bool valid = v->ctl.intr_info & INTR_INFO_VALID;
    unsigned type = v->ctl.intr_info >> 8 & 7;
    bool vectoring = valid && type != EVENT_TYPE_OTHER;

    inject_pending_debug(vmx, valid, type);
    inject_arm(vmx, valid && type == EVENT_TYPE_OTHER);
    if (vectoring)
        inject_event(vmx, type);
    cpu_restart(cpu);
}
