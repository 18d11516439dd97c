/* The exit port of emulated PCs, see isa_debug_exit.c. */
#pragma once
#include "devices/device.h"

extern const struct device_class isa_debug_exit_class;

/* Before realize: the first port and how many (QEMU's default is 501H and 2; test suites use F4H
 * and 4, which is the default here), and what is told the value written. */
void isa_debug_exit_configure(struct device *dev, uint16_t base, unsigned count,
                              void (*done)(void *owner, uint32_t code), void *owner);
