/* System control port A, see port92.c. */
#pragma once
#include "devices/device.h"

extern const struct device_class port92_class;

/* Outputs: the fast A20 gate (high: A20 passes), and a pulse for INIT of the processors. */
struct line *port92_a20(struct device *dev);
struct line *port92_init(struct device *dev);
