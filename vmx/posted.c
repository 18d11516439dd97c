/* Posted interrupts: the descriptor, and what its notification interrupt does.
 * [SDM 3C "Posted-Interrupt Processing"] */
#include "vmx/state.h"

/* byte offset of the quadword whose bit 0 is "outstanding notification" */
enum { PID_ON_WORD = 32 };
enum { APIC_EOI = 0xb0, X2APIC_EOI_MSR = 0x80b, APIC_BASE_EXTD = 1 << 10 };

static void posted_eoi(struct cpu *cpu)
{
    if (cpu->apic->read_base(cpu->apic_owner) & APIC_BASE_EXTD)
        cpu->apic->write_msr(cpu->apic_owner, X2APIC_EOI_MSR, 0);
    else
        cpu->apic->write(cpu->apic_owner, APIC_EOI, 0, 4);
}

bool posted_process(struct vmx *vmx, unsigned vector)
{
    struct cpu *cpu = vmx->cpu;
    uint64_t at = vmx->current->ctl.posted_desc, requests[4];

    if (vector != vmx->current->ctl.posted_vector)
        return false;
    bus_write(cpu->bus, at + PID_ON_WORD, bus_read(cpu->bus, at + PID_ON_WORD, 8) & ~UINT64_C(1),
              8);
    posted_eoi(cpu);
    for (unsigned i = 0; i < 4; i++) {
        requests[i] = bus_read(cpu->bus, at + 8 * i, 8);
        bus_write(cpu->bus, at + 8 * i, 0, 8);
    }
    vapic_post(vmx, requests);
    return true;
}
