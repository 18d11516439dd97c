/* Every class of device that exists: devices/list.def, expanded. */
#pragma once
#include "devices/device.h"

#define DEVICE(name) extern const struct device_class name##_class;
#include "devices/list.def"

/* in the order of list.def; NULL at the end */
extern const struct device_class *const device_classes[];

/* the class of this name, or NULL */
const struct device_class *device_class_find(const char *name);
