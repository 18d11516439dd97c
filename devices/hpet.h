/* The high precision event timer block, see hpet.c. */
#pragma once
#include "devices/device.h"

extern const struct device_class hpet_class;

#define HPET_BASE UINT64_C(0xfed00000)

/* Output: pin n (0 to 23) of the I/O APIC, for comparators that are routed to it. They can choose
 * pins 20 to 23, so only these are ever driven. */
struct line *hpet_gsi(struct device *dev, unsigned n);

/* Legacy replacement sits between the two old timers and their interrupts. Inputs: 0: the 8254's
 * counter 0; 1: the RTC. Outputs: 0: IRQ 0; 1: IRQ 8. `owner` is the device. */
enum { HPET_LEGACY_PIT, HPET_LEGACY_RTC };
void hpet_legacy_in(void *owner, unsigned n, bool level);
struct line *hpet_legacy_out(struct device *dev, unsigned n);
