/* A chip or card: a class (constant) and instances that begin with struct device. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/backend.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/field.h"
#include "base/wire.h"
#include "mmu/bus.h"
#include "mmu/io_ops.h"
#include "mmu/ports.h"

struct device;

/* What a device may use of its machine. */
struct device_host {
    struct clock *clock;
    struct bus *bus;     /* DMA, and mapping its own MMIO ranges */
    struct ports *ports; /* mapping its own ports */
    struct msi_port msi;
    struct outside outside;
};

struct device_class {
    const char *name;  /* of the chip, as in `info NAME` */
    const char *title; /* one line for `-device help` */
    size_t size;       /* of the instance */
    unsigned version;  /* of the saved fields */
    const struct field *fields;
    /* map ranges, init timers; NULL if the board does it all */
    bool (*realize)(struct device *dev, struct err *e);
    void (*unrealize)(struct device *dev);
    /* after the fields have their reset values, beyond what they say */
    void (*reset)(struct device *dev);
    /* After reset and after restore: drive outputs, rearm timers, rebuild what is derived. A line's
     * level is derived too: who receives it keeps the level in a field that reset leaves alone, so
     * restore the fields of all devices before settling the first one. */
    void (*settle)(struct device *dev);
    /* beyond the fields, for `info` */
    void (*show)(const struct device *dev, FILE *out);
    /* a device with one range of registers; `sizes` as in io_ops */
    uint64_t (*read)(struct device *dev, uint64_t offset, unsigned size);
    void (*write)(struct device *dev, uint64_t offset, uint64_t value, unsigned size);
    uint8_t sizes;
};

struct device {
    const struct device_class *class;
    char id[32]; /* unique in the machine: "pic0", "virtio-blk0" */
    struct device_host *host;
    struct io_ops ops; /* class->read and write, ready to be mapped with this device as owner */
    struct device *next;
};

/**
 * device_create - allocate, zero, reset the fields; does not realize yet (the board sets
 * properties and connects lines first).
 */
struct device *device_create(const struct device_class *class, const char *id,
                             struct device_host *host);
bool device_realize(struct device *dev, struct err *e);
void device_reset(struct device *dev);
void device_show(const struct device *dev, FILE *out);
void device_destroy(struct device *dev);
