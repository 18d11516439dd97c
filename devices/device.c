/* What every device does alike: creation, reset, `info`, and the way from the bus to its class. */
#include "devices/device.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

static uint64_t device_io_read(void *owner, uint64_t offset, unsigned size)
{
    struct device *dev = owner;

    return dev->class->read ? dev->class->read(dev, offset, size) : ~UINT64_C(0);
}

static void device_io_write(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
    struct device *dev = owner;

    if (dev->class->write)
        dev->class->write(dev, offset, value, size);
}

struct device *device_create(const struct device_class *class, const char *id,
                             struct device_host *host)
{
    struct device *dev;

    ASSERT(class->size >= sizeof *dev);
    dev = calloc(1, class->size);
    ASSERT(dev);
    dev->class = class;
    snprintf(dev->id, sizeof dev->id, "%s", id);
    dev->host = host;
    dev->ops = (struct io_ops){ device_io_read, device_io_write, class->sizes };
    if (class->fields)
        fields_reset(dev, class->fields);
    return dev;
}

bool device_realize(struct device *dev, struct err *e)
{
    return !dev->class->realize || dev->class->realize(dev, e);
}

void device_reset(struct device *dev)
{
    if (dev->class->fields)
        fields_reset(dev, dev->class->fields);
    if (dev->class->reset)
        dev->class->reset(dev);
    if (dev->class->settle)
        dev->class->settle(dev);
}

void device_show(const struct device *dev, FILE *out)
{
    fprintf(out, "%s: %s\n", dev->id, dev->class->title ? dev->class->title : dev->class->name);
    if (dev->class->fields)
        fields_show(dev, dev->class->fields, out);
    if (dev->class->show)
        dev->class->show(dev, out);
}

void device_destroy(struct device *dev)
{
    if (!dev)
        return;
    if (dev->class->unrealize)
        dev->class->unrealize(dev);
    free(dev);
}
