/* System control port A, I/O port 92H: fast A20 gate and fast INIT.
 * [ICH9 data sheet "PORT92 - Fast A20 and Init Register"] */
#include "devices/port92.h"

#include "devices/trace.h"

enum { INIT_NOW = 1 << 0, ALT_A20 = 1 << 1 };

struct port92 {
    struct device dev;
    uint8_t value;
    struct line a20, init;
};

static const struct field port92_fields[] = {
    FIELD(struct port92, value, .reset = 0),
    { 0 },
};

static void port92_settle(struct device *dev)
{
    struct port92 *p = (struct port92 *)dev;

    line_set(&p->a20, (p->value & ALT_A20) != 0);
}

static uint64_t port92_read(struct device *dev, uint64_t offset, unsigned size)
{
    return ((struct port92 *)dev)->value;
}

static void port92_write(struct device *dev, uint64_t offset, uint64_t value, unsigned size)
{
    struct port92 *p = (struct port92 *)dev;
    bool init = value & ~(uint64_t)p->value & INIT_NOW; /* acts when the bit rises */

    trace_port92_write(dev->id, (unsigned)value, init);
    p->value = value & (INIT_NOW | ALT_A20);
    port92_settle(dev);
    if (init)
        line_pulse(&p->init); /* last: this may reset the machine, and us */
}

static bool port92_realize(struct device *dev, struct err *e)
{
    ports_map(dev->host->ports, 0x92, 1, "port 92h", &dev->ops, dev);
    return true;
}

struct line *port92_a20(struct device *dev)
{
    return &((struct port92 *)dev)->a20;
}

struct line *port92_init(struct device *dev)
{
    return &((struct port92 *)dev)->init;
}

const struct device_class port92_class = {
    .name = "port92",
    .title = "port 92h: fast A20 and INIT",
    .size = sizeof(struct port92),
    .version = 1,
    .fields = port92_fields,
    .realize = port92_realize,
    .settle = port92_settle,
    .read = port92_read,
    .write = port92_write,
    .sizes = SIZE_8,
};
