/* The local APIC, one device a logical processor, see lapic.c. */
#pragma once
#include "devices/apic_bus.h"

extern const struct device_class lapic_class;

/* What a logical processor calls; the owner is the device. */
extern const struct apic_ops lapic_ops;

struct lapic_config {
    struct apic_bus *bus;
    uint32_t id;            /* x2APIC ID; its low byte is the APIC ID */
    bool bsp;               /* the bootstrap processor */
    bool x2apic;            /* CPUID has it */
    unsigned physical_bits; /* MAXPHYADDR */
    /* INTA cycle of the 8259s, e.g. pic8259_acknowledge */
    int (*extint)(void *owner);
    void *extint_owner;
};

/* Before realize; joins the bus. */
void lapic_configure(struct device *dev, const struct lapic_config *config);
/* The processor that this APIC belongs to, before the first reset. */
void lapic_set_client(struct device *dev, const struct apic_client *client);
/* What firmware leaves on the bootstrap processor: software-enabled, LINT0 ExtINT (virtual wire
 * mode), LINT1 NMI. [SDM 3A "Local APIC State After It Has Been Software Disabled", and the
 * MultiProcessor Specification "Virtual Wire Mode"] */
void lapic_firmware_setup(struct device *dev);

/* Input: pin LINT0 (n = 0, from the 8259s) or LINT1 (n = 1). `owner` is the device. */
void lapic_lint(void *owner, unsigned n, bool level);

/* For the bus. */
bool lapic_is_destination(const struct device *dev, const struct apic_message *m);
bool lapic_is_enabled(const struct device *dev); /* by software too: takes fixed interrupts */
uint8_t lapic_priority(const struct device *dev);
void lapic_accept(struct device *dev, enum apic_delivery mode, uint8_t vector, bool level);
