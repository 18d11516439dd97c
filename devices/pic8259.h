/* The pair of 8259A interrupt controllers, see pic8259.c. */
#pragma once
#include "devices/device.h"

extern const struct device_class pic8259_class;

/* Input: IRQ n (0 to 15; 2 is the cascade and ignored). `owner` is the device. */
void pic8259_irq(void *owner, unsigned n, bool level);

/* Output: INTR of the master, to LINT0 of the local APICs. */
struct line *pic8259_intr(struct device *dev);

/* The INTA cycle: the vector, that of IRQ 7 or 15 if the request has gone away. `owner` is the
 * device. */
int pic8259_acknowledge(void *owner);
