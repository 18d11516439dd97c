/* The classes of devices/list.def as an array, for `-device help` and for the tests that every
 * device gets. */
#include "devices/list.h"

#include <string.h>

#define DEVICE(name) &name##_class,
const struct device_class *const device_classes[] = {
#include "devices/list.def"
    NULL,
};

const struct device_class *device_class_find(const char *name)
{
    const struct device_class *const *c = device_classes;

    while (*c && strcmp((*c)->name, name) != 0)
        c++;
    return *c;
}
