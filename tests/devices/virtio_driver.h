/* The driver's side of a virtio device, by hand: finds the structures through the capabilities,
 * keeps rings of QUEUE entries in RAM. */
#pragma once
#include "devices/virtio.h"
#include "tests/devices/pci_lab.h"

enum {
    DRIVER_QUEUE = 8,
    DESC_NEXT_FLAG = 1,
    DESC_WRITE_FLAG = 2,
    DESC_INDIRECT_FLAG = 4,
    SLOT_5 = 5 << 3, /* INTA: PIRQ F */
};

/* queue n: descriptors, available ring, used ring */
#define RING_DESC(n) (0x10000 + 0x4000 * (uint64_t)(n))
#define RING_AVAIL(n) (RING_DESC(n) + 0x1000)
#define RING_USED(n) (RING_DESC(n) + 0x2000)

struct driver {
    struct pci_lab *lab;
    struct device *dev;
    uint64_t common, isr, config, notify; /* physical addresses */
};

static inline uint64_t drv_read(struct driver *d, uint64_t pa, unsigned size)
{
    return bus_read(d->lab->host.bus, pa, size);
}

static inline void drv_write(struct driver *d, uint64_t pa, uint64_t value, unsigned size)
{
    bus_write(d->lab->host.bus, pa, value, size);
}

/* where the structure of a cfg_type is */
static inline uint64_t drv_find(struct driver *d, uint8_t type)
{
    for (unsigned n = 0;; n++) {
        unsigned at = lab_capability(d->lab, SLOT_5, 0x09, n), bar;

        if (!at)
            return 0;
        if (lab_config(d->lab, SLOT_5, at + 3, 1) != type)
            continue;
        bar = 0x10 + 4 * lab_config(d->lab, SLOT_5, at + 4, 1);
        return (lab_config(d->lab, SLOT_5, bar, 4) & ~15U) + lab_config(d->lab, SLOT_5, at + 8, 4);
    }
}

static inline void drv_attach(struct driver *d, struct pci_lab *lab, struct device *dev)
{
    *d = (struct driver){ .lab = lab, .dev = dev };
    lab_realize(dev);
    pci_assign_resources(lab->bus);
    lab_set_config(lab, SLOT_5, 0x04, 7, 2);
    d->common = drv_find(d, 1);
    d->notify = drv_find(d, 2);
    d->isr = drv_find(d, 3);
    d->config = drv_find(d, 4);
    ck_assert(d->common && d->notify && d->isr);
}

static inline uint8_t drv_status(struct driver *d)
{
    return (uint8_t)drv_read(d, d->common + 0x14, 1);
}

static inline void drv_set_status(struct driver *d, uint8_t status)
{
    drv_write(d, d->common + 0x14, status, 1);
}

/* reset, acknowledge, accept these features; the status that comes back */
static inline uint8_t drv_negotiate(struct driver *d, uint64_t features)
{
    drv_set_status(d, 0);
    drv_set_status(d, 3);
    for (unsigned half = 0; half < 2; half++) {
        drv_write(d, d->common + 0x08, half, 4);
        drv_write(d, d->common + 0x0c, (uint32_t)(features >> 32 * half), 4);
    }
    drv_set_status(d, 11);
    return drv_status(d);
}

static inline uint64_t drv_offered(struct driver *d)
{
    uint64_t features;

    drv_write(d, d->common, 0, 4);
    features = drv_read(d, d->common + 4, 4);
    drv_write(d, d->common, 1, 4);
    return features | drv_read(d, d->common + 4, 4) << 32;
}

static inline void drv_place_queue(struct driver *d, unsigned n, uint64_t desc, uint64_t avail,
                                   uint64_t used)
{
    drv_write(d, d->common + 0x16, n, 2);
    drv_write(d, d->common + 0x18, DRIVER_QUEUE, 2);
    drv_write(d, d->common + 0x20, (uint32_t)desc, 4);
    drv_write(d, d->common + 0x24, desc >> 32, 4);
    drv_write(d, d->common + 0x28, (uint32_t)avail, 4);
    drv_write(d, d->common + 0x2c, avail >> 32, 4);
    drv_write(d, d->common + 0x30, (uint32_t)used, 4);
    drv_write(d, d->common + 0x34, used >> 32, 4);
    drv_write(d, d->common + 0x1c, 1, 2);
}

/* all the way to DRIVER_OK, with these features and VERSION_1 */
static inline void drv_start(struct driver *d, uint64_t features, unsigned queues)
{
    uint8_t zeros[0x4000] = { 0 };

    ck_assert_uint_eq(drv_negotiate(d, features | VIRTIO_F_VERSION_1), 11);
    for (unsigned n = 0; n < queues; n++) {
        bus_write_bytes(d->lab->host.bus, RING_DESC(n), zeros, sizeof zeros);
        drv_place_queue(d, n, RING_DESC(n), RING_AVAIL(n), RING_USED(n));
    }
    drv_set_status(d, 15);
    ck_assert_uint_eq(drv_status(d), 15);
}

static inline void drv_desc_at(struct driver *d, uint64_t table, unsigned i, uint64_t pa,
                               uint32_t bytes, uint16_t flags, uint16_t next)
{
    drv_write(d, table + 16 * i, pa, 8);
    drv_write(d, table + 16 * i + 8, bytes, 4);
    drv_write(d, table + 16 * i + 12, flags, 2);
    drv_write(d, table + 16 * i + 14, next, 2);
}

static inline void drv_desc(struct driver *d, unsigned n, unsigned i, uint64_t pa, uint32_t bytes,
                            uint16_t flags, uint16_t next)
{
    drv_desc_at(d, RING_DESC(n), i, pa, bytes, flags, next);
}

/* make the chain that starts with `head` available */
static inline void drv_offer(struct driver *d, unsigned n, uint16_t head)
{
    uint16_t idx = (uint16_t)drv_read(d, RING_AVAIL(n) + 2, 2);

    drv_write(d, RING_AVAIL(n) + 4 + 2 * (idx % DRIVER_QUEUE), head, 2);
    drv_write(d, RING_AVAIL(n) + 2, (uint16_t)(idx + 1), 2);
}

static inline void drv_kick(struct driver *d, unsigned n)
{
    drv_write(d, d->notify + 4 * n, n, 2);
}

static inline uint16_t drv_used(struct driver *d, unsigned n)
{
    return (uint16_t)drv_read(d, RING_USED(n) + 2, 2);
}

/* entry i of the used ring: head in the low half, length in the high half */
static inline uint64_t drv_used_entry(struct driver *d, unsigned n, unsigned i)
{
    return drv_read(d, RING_USED(n) + 4 + 8 * (i % DRIVER_QUEUE), 8);
}

/* MSI-X on: vector v sends data 0x40 + v to 0xfee00000, nothing masked; queue n uses vector n + 1,
 * configuration changes 0 */
static inline void drv_use_msix(struct driver *d, unsigned queues)
{
    unsigned cap = lab_capability(d->lab, SLOT_5, 0x11, 0);
    uint64_t table = lab_config(d->lab, SLOT_5, 0x14, 4);

    for (unsigned v = 0; v <= queues; v++) {
        drv_write(d, table + 16 * v, 0xfee00000, 8);
        drv_write(d, table + 16 * v + 8, 0x40 + v, 8);
    }
    lab_set_config(d->lab, SLOT_5, cap + 2, 0x8000, 2);
    drv_write(d, d->common + 0x10, 0, 2);
    for (unsigned n = 0; n < queues; n++) {
        drv_write(d, d->common + 0x16, n, 2);
        drv_write(d, d->common + 0x1a, n + 1, 2);
    }
}
