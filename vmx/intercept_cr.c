/* Control registers in VMX non-root operation: guest/host masks, read shadows, CR3 targets, the TPR
 * shadow. [SDM 3C "Guest/Host Masks and Read Shadows for CR0 and CR4",
 * "Changes to Instruction Behavior in VMX Non-Root Operation"] */
#include "vmx/state.h"

enum { CR_TO = 0, CR_FROM = 1, CR_CLTS = 2, CR_LMSW = 3 }; /* qualification 5:4 */

static _Noreturn void cr_exit(struct vmx *vmx, unsigned n, unsigned access, unsigned gpr)
{
    vm_exit_reason(vmx, EXIT_CR_ACCESS, n | access << 4 | (uint64_t)gpr << 8);
}

/* what the guest reads: its own bits from the register, the host's from the shadow */
static uint64_t cr_shown(uint64_t cr, uint64_t mask, uint64_t shadow)
{
    return (cr & ~mask) | (shadow & mask);
}

uint64_t intercept_cr_read(struct cpu *cpu, unsigned n, unsigned gpr)
{
    struct vmx *vmx = vmx_of(cpu);
    const struct vmcs *v = vmx->current;

    switch (n) {
    case 0: return cr_shown(cpu->cr0, v->ctl.cr0_mask, v->ctl.cr0_shadow);
    case 4: return cr_shown(cpu->cr4, v->ctl.cr4_mask, v->ctl.cr4_shadow);
    case 3:
        if (v->ctl.proc & PROC(CR3_STORE))
            cr_exit(vmx, 3, CR_FROM, gpr);
        return cpu->cr3;
    default:
        if (v->ctl.proc & PROC(CR8_STORE))
            cr_exit(vmx, 8, CR_FROM, gpr);
        if (v->ctl.proc & PROC(TPR_SHADOW))
            return vapic_vtpr(vmx) >> 4;
        return cpu->apic->read_cr8(cpu->apic_owner);
    }
}

/* CR0 and CR4: a host bit must get the value it already seems to have */
static bool cr_write_masked(struct vmx *vmx, unsigned n, uint64_t cr, uint64_t mask,
                            uint64_t shadow, uint64_t *value, unsigned gpr)
{
    if ((*value ^ shadow) & mask)
        cr_exit(vmx, n, CR_TO, gpr);
    *value = (*value & ~mask) | (cr & mask);
    return true;
}

static bool cr3_is_target(const struct vmcs *v, uint64_t value)
{
    for (unsigned i = 0; i < v->ctl.cr3_targets && i < CR3_TARGETS; i++) {
        if (v->ctl.cr3_target[i] == value)
            return true;
    }
    return false;
}

static bool cr8_write(struct vmx *vmx, uint64_t value, unsigned gpr)
{
    struct cpu *cpu = vmx->cpu;
    const struct vmcs *v = vmx->current;

    if (v->ctl.proc & PROC(CR8_LOAD))
        cr_exit(vmx, 8, CR_TO, gpr);
    if (!(v->ctl.proc & PROC(TPR_SHADOW)))
        return true;
    if (value > 15)
        raise_gp(cpu, 0);
    vapic_write_tpr(vmx, (uint8_t)(value << 4));
    return false;
}

bool intercept_cr_write(struct cpu *cpu, unsigned n, uint64_t *value, unsigned gpr)
{
    struct vmx *vmx = vmx_of(cpu);
    const struct vmcs *v = vmx->current;

    switch (n) {
    case 0:
        return cr_write_masked(vmx, 0, cpu->cr0, v->ctl.cr0_mask, v->ctl.cr0_shadow, value, gpr);
    case 4:
        return cr_write_masked(vmx, 4, cpu->cr4, v->ctl.cr4_mask, v->ctl.cr4_shadow, value, gpr);
    case 3:
        if (v->ctl.proc & PROC(CR3_LOAD) && !cr3_is_target(v, *value))
            cr_exit(vmx, 3, CR_TO, gpr);
        return true;
    default: return cr8_write(vmx, *value, gpr);
    }
}

bool intercept_clts(struct cpu *cpu)
{
    struct vmx *vmx = vmx_of(cpu);
    const struct vmcs *v = vmx->current;

    if (!(v->ctl.cr0_mask & CR0_TS))
        return true;
    if (v->ctl.cr0_shadow & CR0_TS)
        cr_exit(vmx, 0, CR_CLTS, 0);
    return false;
}

bool intercept_lmsw(struct cpu *cpu, uint16_t *source, bool mem, uint64_t linear)
{
    struct vmx *vmx = vmx_of(cpu);
    const struct vmcs *v = vmx->current;
    uint64_t mask = v->ctl.cr0_mask & 15, differs = (*source ^ v->ctl.cr0_shadow) & mask;

    /* LMSW cannot clear PE */
    if (differs & (CR0_MP | CR0_EM | CR0_TS) || (differs & CR0_PE && *source & CR0_PE)) {
        vm_exit(vmx,
                &(struct vm_exit){
                    .reason = EXIT_CR_ACCESS,
                    .qualification = CR_LMSW << 4 | (uint64_t)mem << 6 | (uint64_t)*source << 16,
                    .guest_linear = mem ? linear : 0,
                });
    }
    *source = (uint16_t)((*source & ~mask) | (cpu->cr0 & mask));
    return true;
}

uint64_t intercept_smsw(struct cpu *cpu)
{
    const struct vmcs *v = vmx_of(cpu)->current;

    return cr_shown(cpu->cr0, v->ctl.cr0_mask, v->ctl.cr0_shadow);
}
