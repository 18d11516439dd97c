/* The debug console, see debugcon.c. */
#pragma once
#include "devices/device.h"

extern const struct device_class debugcon_class;

/* Where the bytes go; before realize. */
void debugcon_set_backend(struct device *dev, const struct char_backend *backend);
