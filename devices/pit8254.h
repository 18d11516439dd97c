/* The 8254 interval timer and system control port B, see pit8254.c. */
#pragma once
#include "devices/device.h"

extern const struct device_class pit8254_class;

/* Output: OUT of counter 0, to IRQ 0 (through the HPET's legacy replacement). */
struct line *pit8254_irq(struct device *dev);
