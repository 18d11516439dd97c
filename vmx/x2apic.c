/* "Virtualize x2APIC mode": RDMSR and WRMSR of 800H to 8FFH on the virtual-APIC page.
 * [SDM 3C "Virtualizing MSR-Based APIC Accesses"] False: the instruction operates normally. */
#include "vmx/vapic.h"

enum { X2APIC_TPR = 0x808, X2APIC_EOI = 0x80b, X2APIC_SELF_IPI = 0x83f };

static unsigned x2apic_offset(uint32_t msr)
{
    return (msr & 0xff) << 4;
}

static uint64_t x2apic_qword(const struct vmx *vmx, unsigned offset)
{
    return bus_read(vmx->cpu->bus, vmx->current->ctl.virtual_apic + offset, 8);
}

bool vapic_read_msr(struct vmx *vmx, uint32_t msr, uint64_t *value)
{
    if (!(vmx->current->ctl.proc2 & PROC2(APIC_REGISTERS)) && msr != X2APIC_TPR)
        return false;
    *value = x2apic_qword(vmx, x2apic_offset(msr));
    return true;
}

static void x2apic_store(struct vmx *vmx, uint32_t msr, uint64_t value)
{
    bus_write(vmx->cpu->bus, vmx->current->ctl.virtual_apic + x2apic_offset(msr), value, 8);
}

bool vapic_write_msr(struct vmx *vmx, uint32_t msr, uint64_t value, bool *ok)
{
    bool delivery = vmx->current->ctl.proc2 & PROC2(VIRTUAL_INTR);

    if (msr != X2APIC_TPR && !(delivery && (msr == X2APIC_EOI || msr == X2APIC_SELF_IPI)))
        return false;
    *ok = msr == X2APIC_EOI ? value == 0 : value >> 8 == 0; /* reserved bits: #GP(0) */
    if (!*ok)
        return true;
    x2apic_store(vmx, msr, value);
    switch (msr) {
    case X2APIC_TPR: vapic_tpr_changed(vmx); break;
    case X2APIC_EOI: vapic_eoi(vmx); break;
    default:
        if (value >> 4 == 0) /* vectors 0 to 15 are no interrupts */
            vapic_trap(vmx, EXIT_APIC_WRITE, VAPIC_SELF_IPI);
        else
            vapic_self_ipi(vmx, (uint8_t)value);
        break;
    }
    return true;
}
