/* Inside vmx/: the registers of the virtual-APIC page, and what its two users share: accesses to
 * the APIC-access page (apic_access.c) and x2APIC MSRs (x2apic.c). */
#pragma once
#include "vmx/state.h"

/* offsets, of the local APIC's registers [SDM 3A "Local APIC Register Address Map"] */
enum {
    VAPIC_TPR = 0x80,
    VAPIC_PPR = 0xa0,
    VAPIC_EOI = 0xb0,
    VAPIC_ISR = 0x100,
    VAPIC_IRR = 0x200,
    VAPIC_ICR_LOW = 0x300,
    VAPIC_ICR_HIGH = 0x310,
    VAPIC_SELF_IPI = 0x3f0
};

uint32_t vapic_read(const struct vmx *vmx, unsigned offset);
void vapic_write(struct vmx *vmx, unsigned offset, uint32_t value);
void vapic_tpr_changed(struct vmx *vmx);
void vapic_eoi(struct vmx *vmx);
void vapic_self_ipi(struct vmx *vmx, uint8_t vector);
/* a VM exit that waits for the end of the instruction */
void vapic_trap(struct vmx *vmx, enum exit_reason reason, unsigned qualification);
