/* A 16550A serial port, see uart16550.c. */
#pragma once
#include "devices/device.h"

extern const struct device_class uart16550_class;

/* The first of its eight ports; before realize. COM1 (3F8H) otherwise. */
void uart16550_set_base(struct device *dev, uint16_t base);
/* Where its output goes; may change at any time. */
void uart16550_set_backend(struct device *dev, const struct char_backend *backend);
/* Output: its interrupt (IRQ 4 for COM1), gated by OUT2 as on a PC. */
struct line *uart16550_irq(struct device *dev);

/* How many bytes it can take now; the backend's can_receive says when that is no longer 0. */
size_t uart16550_room(const struct device *dev);
/* Bytes arrive; returns how many were taken. */
size_t uart16550_receive(struct device *dev, const uint8_t *bytes, size_t count);
