/* The keyboard controller with its keyboard and mouse, see i8042.c. */
#pragma once
#include "devices/device.h"

extern const struct device_class i8042_class;

/* Outputs: IRQ 1, IRQ 12, the A20 gate (high: A20 passes), and a pulse that resets the machine. */
struct line *i8042_irq_keyboard(struct device *dev);
struct line *i8042_irq_mouse(struct device *dev);
struct line *i8042_a20(struct device *dev);
struct line *i8042_reset_line(struct device *dev);

/* A key by its code in scan code set 1: 01H to 7FH, E0xxH, E11DH for Pause. */
void i8042_key(struct device *dev, uint16_t key, bool down);
/* Movement to the right, up and towards the user; buttons: bit 0 left, 1 right, 2 middle, 3, 4. */
void i8042_mouse(struct device *dev, int dx, int dy, int dz, uint8_t buttons);
