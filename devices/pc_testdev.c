/* The device that conformance suites drive: a latch at ports E0H-E3H and, through byte accesses,
 * at E8H-EBH; port E4H, which asks the native side to take a page away for a moment and has no
 * effect here; ports 2000H + n, which set interrupt line n; 64 KiB of MMIO at FF000000H that keep
 * what is written. [QEMU "pc-testdev"] */
#include "devices/pc_testdev.h"

#include <string.h>

#include "devices/trace.h"

#define MEMORY_BASE UINT64_C(0xff000000)
enum { MEMORY_SIZE = 0x10000 };

struct pc_testdev {
    struct device dev;
    uint8_t latch[4];
    uint8_t levels[PC_TESTDEV_LINES];
    uint8_t memory[MEMORY_SIZE];
    struct line irq[PC_TESTDEV_LINES];
};

static const struct field pc_testdev_fields[] = {
    FIELD_ARRAY(struct pc_testdev, latch, .reset = 0),
    FIELD_ARRAY(struct pc_testdev, levels, .reset = 0),
    FIELD_ARRAY(struct pc_testdev, memory, .reset = 0),
    { 0 },
};

/* `size` bytes at an offset of one of the arrays; what is outside reads as 0 */
static uint64_t pc_testdev_get(const uint8_t *bytes, size_t count, uint64_t offset, unsigned size)
{
    uint64_t value = 0;

    if (offset < count && size <= count - offset)
        memcpy(&value, bytes + offset, size);
    return value;
}

static void pc_testdev_put(uint8_t *bytes, size_t count, uint64_t offset, uint64_t value,
                           unsigned size)
{
    if (offset < count && size <= count - offset)
        memcpy(bytes + offset, &value, size);
}

static uint64_t pc_testdev_read_latch(void *owner, uint64_t offset, unsigned size)
{
    return pc_testdev_get(((struct pc_testdev *)owner)->latch, 4, offset, size);
}

static void pc_testdev_write_latch(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
    pc_testdev_put(((struct pc_testdev *)owner)->latch, 4, offset, value, size);
}

static uint64_t pc_testdev_read_memory(void *owner, uint64_t offset, unsigned size)
{
    return pc_testdev_get(((struct pc_testdev *)owner)->memory, MEMORY_SIZE, offset, size);
}

static void pc_testdev_write_memory(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
    pc_testdev_put(((struct pc_testdev *)owner)->memory, MEMORY_SIZE, offset, value, size);
}

static uint64_t pc_testdev_read_flush(void *owner, uint64_t offset, unsigned size)
{
    return 0;
}

static void pc_testdev_write_flush(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
}

static uint64_t pc_testdev_read_line(void *owner, uint64_t offset, unsigned size)
{
    return offset < PC_TESTDEV_LINES ? ((struct pc_testdev *)owner)->levels[offset] : 0;
}

static void pc_testdev_write_line(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
    struct pc_testdev *t = owner;

    if (offset >= PC_TESTDEV_LINES)
        return;
    t->levels[offset] = value != 0;
    trace_pc_testdev_irq(t->dev.id, (unsigned)offset, value != 0);
    line_set(&t->irq[offset], value != 0);
}

static bool pc_testdev_realize(struct device *dev, struct err *e)
{
    static const struct io_ops latch = { pc_testdev_read_latch, pc_testdev_write_latch, SIZE_ANY };
    static const struct io_ops bytes = { pc_testdev_read_latch, pc_testdev_write_latch, SIZE_8 };
    static const struct io_ops flush = { pc_testdev_read_flush, pc_testdev_write_flush, SIZE_ANY };
    static const struct io_ops lines = { pc_testdev_read_line, pc_testdev_write_line, SIZE_ANY };
    static const struct io_ops memory = { pc_testdev_read_memory, pc_testdev_write_memory,
                                          SIZE_ANY };
    struct ports *ports = dev->host->ports;

    ports_map(ports, 0xe0, 4, "testdev latch", &latch, dev);
    ports_map(ports, 0xe4, 4, "testdev flush", &flush, dev);
    ports_map(ports, 0xe8, 4, "testdev latch, bytes", &bytes, dev);
    ports_map(ports, 0x2000, PC_TESTDEV_LINES, "testdev interrupts", &lines, dev);
    bus_map(dev->host->bus, MEMORY_BASE, MEMORY_SIZE, "testdev memory", &memory, dev);
    return true;
}

static void pc_testdev_settle(struct device *dev)
{
    struct pc_testdev *t = (struct pc_testdev *)dev;

    for (unsigned n = 0; n < PC_TESTDEV_LINES; n++)
        line_set(&t->irq[n], t->levels[n] != 0);
}

struct line *pc_testdev_irq(struct device *dev, unsigned n)
{
    return &((struct pc_testdev *)dev)->irq[n];
}

const struct device_class pc_testdev_class = {
    .name = "pc_testdev",
    .title = "test device of kvm-unit-tests",
    .size = sizeof(struct pc_testdev),
    .version = 1,
    .fields = pc_testdev_fields,
    .realize = pc_testdev_realize,
    .settle = pc_testdev_settle,
};
