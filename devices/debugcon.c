/* The debug console of emulated PCs: a byte written to port E9H appears outside; reading gives
 * E9H, by which firmware finds it. [QEMU "isa-debugcon"; Bochs "port_e9_hack"] */
#include "devices/debugcon.h"

enum { DEBUGCON_PORT = 0xe9 };

struct debugcon {
    struct device dev;
    struct char_backend out;
};

static uint64_t debugcon_read(struct device *dev, uint64_t offset, unsigned size)
{
    return DEBUGCON_PORT;
}

static void debugcon_write(struct device *dev, uint64_t offset, uint64_t value, unsigned size)
{
    const struct char_backend *out = &((struct debugcon *)dev)->out;
    uint8_t byte = (uint8_t)value;

    if (out->write)
        out->write(out->owner, &byte, 1);
}

static bool debugcon_realize(struct device *dev, struct err *e)
{
    ports_map(dev->host->ports, DEBUGCON_PORT, 1, "debugcon", &dev->ops, dev);
    return true;
}

void debugcon_set_backend(struct device *dev, const struct char_backend *backend)
{
    ((struct debugcon *)dev)->out = *backend;
}

const struct device_class debugcon_class = {
    .name = "debugcon",
    .title = "debug console at port E9H",
    .size = sizeof(struct debugcon),
    .version = 1,
    .realize = debugcon_realize,
    .read = debugcon_read,
    .write = debugcon_write,
    .sizes = SIZE_8,
};
