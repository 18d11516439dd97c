/* The I/O APIC, see ioapic.c. */
#pragma once
#include "devices/device.h"

extern const struct device_class ioapic_class;

#define IOAPIC_BASE UINT64_C(0xfec00000)
enum { IOAPIC_PINS = 24, IOAPIC_ID = 0 };

/* Input: pin n (0 to 23); high means asserted, whatever polarity its entry says. `owner` is the
 * device. */
void ioapic_irq(void *owner, unsigned n, bool level);
/* An EOI message: level-triggered pins of this vector may interrupt again. */
void ioapic_eoi(void *owner, uint8_t vector);
