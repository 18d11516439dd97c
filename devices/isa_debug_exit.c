/* A port by which a test program ends the run: a write of `code` makes the process exit with
 * status code * 2 + 1; the callback gets the code itself. [QEMU "isa-debug-exit"] */
#include "devices/isa_debug_exit.h"

enum { DEFAULT_BASE = 0xf4, DEFAULT_COUNT = 4 };

struct isa_debug_exit {
    struct device dev;
    uint16_t base;
    unsigned count;
    void (*done)(void *owner, uint32_t code);
    void *owner;
};

static uint64_t isa_debug_exit_read(struct device *dev, uint64_t offset, unsigned size)
{
    return 0;
}

static void isa_debug_exit_write(struct device *dev, uint64_t offset, uint64_t value, unsigned size)
{
    struct isa_debug_exit *x = (struct isa_debug_exit *)dev;

    if (x->done)
        x->done(x->owner, (uint32_t)value);
}

static bool isa_debug_exit_realize(struct device *dev, struct err *e)
{
    struct isa_debug_exit *x = (struct isa_debug_exit *)dev;

    if (!x->count) {
        x->base = DEFAULT_BASE;
        x->count = DEFAULT_COUNT;
    }
    ports_map(dev->host->ports, x->base, x->count, "isa-debug-exit", &dev->ops, dev);
    return true;
}

void isa_debug_exit_configure(struct device *dev, uint16_t base, unsigned count,
                              void (*done)(void *owner, uint32_t code), void *owner)
{
    struct isa_debug_exit *x = (struct isa_debug_exit *)dev;

    x->base = base;
    x->count = count;
    x->done = done;
    x->owner = owner;
}

const struct device_class isa_debug_exit_class = {
    .name = "isa_debug_exit",
    .title = "port that ends the run with a status",
    .size = sizeof(struct isa_debug_exit),
    .version = 1,
    .realize = isa_debug_exit_realize,
    .read = isa_debug_exit_read,
    .write = isa_debug_exit_write,
};
