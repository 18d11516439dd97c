/* What connects local APICs with each other, with I/O APICs and with the sources of messages.
 * It keeps no state of its own that a guest could see.
 * [SDM 3A "Issuing Interprocessor Interrupts"] */
#pragma once
#include "base/apic_regs.h"
#include "devices/device.h"

struct apic_bus;

/* An interrupt message: from an ICR, an I/O APIC or a device. */
struct apic_message {
    uint32_t dest;
    uint8_t vector;
    enum apic_delivery mode;
    bool logical; /* dest is a message destination address, not an APIC ID */
    bool wide;    /* dest has 32 bits: sent in x2APIC mode; all ones is the broadcast */
    bool level;   /* trigger mode */
};

/* `memory`: where a "message" goes whose address is not that of the APICs; may be NULL. */
struct apic_bus *apic_bus_create(struct bus *memory);
void apic_bus_destroy(struct apic_bus *b);
/* by lapic_configure, in the order of the processors */
void apic_bus_add_lapic(struct apic_bus *b, struct device *lapic);
void apic_bus_add_ioapic(struct apic_bus *b, struct device *ioapic);

/* Deliver to all destinations, or for lowest priority to one: of those with the lowest processor
 * priority the first. */
void apic_bus_deliver(struct apic_bus *b, const struct apic_message *m);
/* to all, or to all but `from` */
void apic_bus_deliver_all(struct apic_bus *b, const struct apic_message *m, struct device *from,
                          bool self_too);
/* EOI of a level-triggered interrupt, to the I/O APICs */
void apic_bus_eoi(struct apic_bus *b, uint8_t vector);

/* for struct msi_port; owner is the bus. [SDM 3A "Message Signalled Interrupts"] */
void apic_bus_msi(void *owner, uint64_t address, uint32_t data);
