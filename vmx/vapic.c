/* The virtual-APIC page: virtualization of TPR, PPR, EOI, self-IPIs, and delivery of virtual
 * interrupts. [SDM 3C "APIC Virtualization and Virtual Interrupts"]
 *
 * RVI and SVI are kept where the VMCS has them. A VM exit that APIC virtualization causes is like a
 * trap: it waits in vmx->trap for the end of the instruction. */
#include "vmx/vapic.h"

#include "cpu/interrupt.h"
#include "vmx/trace.h"

/* ---- the page ---- */

uint32_t vapic_read(const struct vmx *vmx, unsigned offset)
{
    return (uint32_t)bus_read(vmx->cpu->bus, vmx->current->ctl.virtual_apic + offset, 4);
}

void vapic_write(struct vmx *vmx, unsigned offset, uint32_t value)
{
    bus_write(vmx->cpu->bus, vmx->current->ctl.virtual_apic + offset, value, 4);
}

uint8_t vapic_vtpr(const struct vmx *vmx)
{
    return (uint8_t)vapic_read(vmx, VAPIC_TPR);
}

/* one of the 256-bit registers VISR, VIRR: 32 bits every 16 bytes */
static void vapic_set_bit(struct vmx *vmx, unsigned base, uint8_t vector, bool value)
{
    unsigned at = base + (vector >> 5) * 16u;
    uint32_t bit = (uint32_t)1 << (vector & 31), old = vapic_read(vmx, at);

    vapic_write(vmx, at, value ? old | bit : old & ~bit);
}

static uint8_t vapic_highest(const struct vmx *vmx, unsigned base)
{
    for (unsigned i = 8; i-- > 0;) {
        uint32_t word = vapic_read(vmx, base + i * 16);

        if (word)
            return (uint8_t)(i * 32 + 31 - (unsigned)__builtin_clz(word));
    }
    return 0;
}

static uint8_t rvi(const struct vmcs *v)
{
    return (uint8_t)v->guest.intr_status;
}
static uint8_t svi(const struct vmcs *v)
{
    return (uint8_t)(v->guest.intr_status >> 8);
}
static void set_rvi(struct vmcs *v, uint8_t vector)
{
    v->guest.intr_status = (uint16_t)((v->guest.intr_status & 0xff00) | vector);
}
static void set_svi(struct vmcs *v, uint8_t vector)
{
    v->guest.intr_status = (uint16_t)((v->guest.intr_status & 0xff) | vector << 8);
}

/* ---- trap-like VM exits ---- */

void vapic_trap(struct vmx *vmx, enum exit_reason reason, unsigned qualification)
{
    vmx->trap = true;
    vmx->trap_reason = (uint16_t)reason;
    vmx->trap_qualification = (uint16_t)qualification;
    vmx_update_events(vmx);
    cpu_kick(vmx->cpu);
}

/* ---- priorities ---- */

/* PPR virtualization */
static void vapic_update_ppr(struct vmx *vmx)
{
    uint8_t vtpr = vapic_vtpr(vmx), in_service = svi(vmx->current);

    vapic_write(vmx, VAPIC_PPR, vtpr >> 4 >= in_service >> 4 ? vtpr : in_service & 0xf0u);
}

/* [SDM 3C "Evaluation of Pending Virtual Interrupts"] */
void vapic_evaluate(struct vmx *vmx)
{
    const struct vmcs *v = vmx->current;

    vmx->virtual_intr = !(v->ctl.proc & PROC(INTR_WINDOW)) &&
                        rvi(v) >> 4 > (vapic_read(vmx, VAPIC_PPR) & 0xff) >> 4;
    if (!vmx->virtual_intr)
        return;
    vmx_update_events(vmx);
    cpu_kick(vmx->cpu);
}

/* [SDM 3C "TPR Virtualization"] */
void vapic_tpr_changed(struct vmx *vmx)
{
    const struct vmcs *v = vmx->current;

    if (v->ctl.proc2 & PROC2(VIRTUAL_INTR)) {
        vapic_update_ppr(vmx);
        vapic_evaluate(vmx);
    } else if (vapic_vtpr(vmx) >> 4 < (v->ctl.tpr_threshold & 15)) {
        vapic_trap(vmx, EXIT_TPR_THRESHOLD, 0);
    }
}

void vapic_write_tpr(struct vmx *vmx, uint8_t vtpr)
{
    vapic_write(vmx, VAPIC_TPR, vtpr);
    vapic_tpr_changed(vmx);
}

/* [SDM 3C "EOI Virtualization"] */
void vapic_eoi(struct vmx *vmx)
{
    struct vmcs *v = vmx->current;
    uint8_t vector = svi(v);

    vapic_set_bit(vmx, VAPIC_ISR, vector, false);
    set_svi(v, vapic_highest(vmx, VAPIC_ISR));
    vapic_update_ppr(vmx);
    if (v->ctl.eoi_exit[vector >> 6] >> (vector & 63) & 1)
        vapic_trap(vmx, EXIT_EOI, vector);
    else
        vapic_evaluate(vmx);
}

/* [SDM 3C "Self-IPI Virtualization"] */
void vapic_self_ipi(struct vmx *vmx, uint8_t vector)
{
    struct vmcs *v = vmx->current;

    vapic_set_bit(vmx, VAPIC_IRR, vector, true);
    if (vector > rvi(v))
        set_rvi(v, vector);
    vapic_evaluate(vmx);
}

/* [SDM 3C "Posted-Interrupt Processing"], its last steps: requests into VIRR, RVI */
void vapic_post(struct vmx *vmx, const uint64_t requests[4])
{
    struct vmcs *v = vmx->current;

    for (unsigned i = 0; i < 8; i++) {
        uint32_t word = (uint32_t)(requests[i / 2] >> i % 2 * 32);

        if (!word)
            continue;
        vapic_write(vmx, VAPIC_IRR + i * 16, vapic_read(vmx, VAPIC_IRR + i * 16) | word);
        if (i * 32 + 31 - (unsigned)__builtin_clz(word) > rvi(v))
            set_rvi(v, (uint8_t)(i * 32 + 31 - (unsigned)__builtin_clz(word)));
    }
    trace_vmx_posted_intr(rvi(v));
    vapic_evaluate(vmx);
}

/* [SDM 3C "Virtual-Interrupt Delivery"] */
void vapic_deliver(struct vmx *vmx)
{
    struct cpu *cpu = vmx->cpu;
    struct vmcs *v = vmx->current;
    uint8_t vector = rvi(v);

    if (!vmx->virtual_intr || !(cpu->rflags & RFLAGS_IF) ||
        cpu->blocking & (BLOCK_STI | BLOCK_MOV_SS) || cpu->activity == SHUTDOWN ||
        cpu->activity == WAIT_FOR_SIPI)
        return;
    vapic_set_bit(vmx, VAPIC_ISR, vector, true);
    set_svi(v, vector);
    vapic_write(vmx, VAPIC_PPR, vector & 0xf0u);
    vapic_set_bit(vmx, VAPIC_IRR, vector, false);
    set_rvi(v, vapic_highest(vmx, VAPIC_IRR));
    vmx->virtual_intr = false;
    vmx_update_events(vmx);
    cpu_charge(cpu, COST_VIRTUAL_INTR);
    trace_vmx_virtual_intr(vector);
    cpu->activity = ACTIVE;
    interrupt_deliver(cpu, &(struct event){ .vector = vector, .type = EVENT_TYPE_EXTERNAL });
}

/* ---- VM entry ---- */

/* [SDM 3C "VM Exits Induced by the TPR Threshold"], and virtual-interrupt delivery's evaluation */
void vapic_enter(struct vmx *vmx)
{
    const struct vmcs *v = vmx->current;

    if (!(v->ctl.proc & PROC(TPR_SHADOW)))
        return;
    if (v->ctl.proc2 & PROC2(VIRTUAL_INTR)) {
        vapic_update_ppr(vmx);
        vapic_evaluate(vmx);
    } else if (v->ctl.proc2 & PROC2(APIC_ACCESSES) &&
               vapic_vtpr(vmx) >> 4 < (v->ctl.tpr_threshold & 15)) {
        vapic_trap(vmx, EXIT_TPR_THRESHOLD, 0);
    }
}
