/* The test device of kvm-unit-tests, see pc_testdev.c. */
#pragma once
#include "devices/device.h"

extern const struct device_class pc_testdev_class;

enum { PC_TESTDEV_LINES = 24 };

/* Output: interrupt line n, 0 to 23. */
struct line *pc_testdev_irq(struct device *dev, unsigned n);
