/* Virtio 1.1 devices over PCI: registers, feature negotiation and split virtqueues; the cards are
 * virtio_blk.c, virtio_console.c and virtio_rng.c. Modern only, no legacy interface.
 * [VIRTIO 1.1 "Basic Facilities of a Virtio Device", "Virtio Over PCI Bus"]
 *
 * A card's struct begins with a struct virtio; its field list has VIRTIO_FIELDS; its class uses
 * virtio_reset, virtio_settle and virtio_show or calls them; its realize fills `kind` and
 * `device_features` and calls virtio_realize. */
#pragma once
#include "devices/pci.h"

enum {
    VIRTIO_QUEUES = 4,        /* at most, of one device */
    VIRTIO_QUEUE_SIZE = 256,  /* entries at most; also the longest chain of descriptors */
    VIRTIO_CONFIG_BYTES = 64, /* device-specific configuration at most */
    VIRTIO_NO_VECTOR = 0xffff,
};

/* device status */
enum {
    VIRTIO_ACKNOWLEDGE = 1 << 0,
    VIRTIO_DRIVER = 1 << 1,
    VIRTIO_DRIVER_OK = 1 << 2,
    VIRTIO_FEATURES_OK = 1 << 3,
    VIRTIO_NEEDS_RESET = 1 << 6,
    VIRTIO_FAILED = 1 << 7,
};

/* feature bits of every device */
#define VIRTIO_F_INDIRECT_DESC (UINT64_C(1) << 28)
#define VIRTIO_F_EVENT_IDX (UINT64_C(1) << 29)
#define VIRTIO_F_VERSION_1 (UINT64_C(1) << 32)

struct virtio;

/* What a card is, constant. */
struct virtio_kind {
    uint16_t type;       /* [VIRTIO 1.1 "Device Types"] */
    uint32_t class_code; /* PCI */
    unsigned queues;
    unsigned config_bytes;
    /* device-specific configuration as the driver reads it */
    void (*read_config)(const struct virtio *v, uint8_t config[VIRTIO_CONFIG_BYTES]);
    /* the driver has made buffers available; only called while the device runs */
    void (*notify)(struct virtio *v, unsigned queue);
    /* the driver has reset the device: drop what is under way. May be NULL */
    void (*stop)(struct virtio *v);
};

/* Areas by their names in version 1.1: descriptor table, driver area (available ring), device area
 * (used ring). */
struct virtio_queue {
    uint16_t size, vector, enabled;
    uint64_t desc, driver, device;
    uint16_t next_avail; /* next entry of the available ring to look at */
    uint16_t next_used;  /* index of the used ring */
    uint16_t signalled;  /* next_used when the driver was last interrupted */
};

struct virtio {
    struct pci_function pci;
    const struct virtio_kind *kind;
    uint64_t device_features;
    unsigned cfg_access; /* configuration offset of the PCI access capability */

    /* state: VIRTIO_FIELDS */
    uint32_t device_feature_select, driver_feature_select;
    uint64_t driver_features;
    uint16_t config_vector, queue_select;
    uint8_t status, isr;
    struct virtio_queue queue[VIRTIO_QUEUES];
};

#define VIRTIO_FIELD(type, path)                                                                 \
    {                                                                                            \
        .name = #path, .offset = (uint32_t)offsetof(type, path), .size = FIELD_SIZE(type, path), \
        .elem = FIELD_SIZE(type, path)                                                           \
    }

#define VIRTIO_QUEUE_FIELDS(type, v, n)                                                      \
    VIRTIO_FIELD(type, v.queue[n].size), VIRTIO_FIELD(type, v.queue[n].vector),              \
        VIRTIO_FIELD(type, v.queue[n].enabled), VIRTIO_FIELD(type, v.queue[n].desc),         \
        VIRTIO_FIELD(type, v.queue[n].driver), VIRTIO_FIELD(type, v.queue[n].device),        \
        VIRTIO_FIELD(type, v.queue[n].next_avail), VIRTIO_FIELD(type, v.queue[n].next_used), \
        VIRTIO_FIELD(type, v.queue[n].signalled)

/* Rows of a card's field list for its struct virtio `v`. */
#define VIRTIO_FIELDS(type, v)                                                                    \
    PCI_FIELDS(type, v.pci), VIRTIO_FIELD(type, v.device_feature_select),                         \
        VIRTIO_FIELD(type, v.driver_feature_select), VIRTIO_FIELD(type, v.driver_features),       \
        VIRTIO_FIELD(type, v.config_vector), VIRTIO_FIELD(type, v.queue_select),                  \
        VIRTIO_FIELD(type, v.status), VIRTIO_FIELD(type, v.isr), VIRTIO_QUEUE_FIELDS(type, v, 0), \
        VIRTIO_QUEUE_FIELDS(type, v, 1), VIRTIO_QUEUE_FIELDS(type, v, 2),                         \
        VIRTIO_QUEUE_FIELDS(type, v, 3)

/* allocate a card's device and put it on a bus */
struct device *virtio_create(const struct device_class *class, const char *id,
                             struct device_host *host, struct pci_bus *bus, unsigned devfn);
bool virtio_realize(struct virtio *v, struct err *e);
void virtio_unrealize(struct virtio *v);
void virtio_reset(struct device *dev);
void virtio_settle(struct device *dev);
void virtio_show(const struct device *dev, FILE *out);

/* DRIVER_OK, bus master, neither failed nor in need of a reset: queues may be served */
bool virtio_running(const struct virtio *v);
/* The driver has broken a rule: DEVICE_NEEDS_RESET, and nothing is served any more until the
 * driver resets the device. `why` goes to the trace. */
void virtio_fail(struct virtio *v, const char *why);
void virtio_queue_reset(struct virtio_queue *q);
/* interrupt for a used buffer in the queue, without asking the driver whether it wants one */
void virtio_interrupt(struct virtio *v, unsigned queue);

/* ---- queues: virtio_queue.c ---- */

struct virtio_segment {
    uint64_t pa;
    uint32_t bytes;
};

/* One request: device-readable segments, then device-writable ones. The ring and the descriptors
 * have been checked; segments are checked when they are read or written. */
struct virtio_chain {
    uint16_t head;
    unsigned count, readable; /* segments; how many of them are device-readable */
    uint64_t readable_bytes, writable_bytes;
    struct virtio_segment segment[VIRTIO_QUEUE_SIZE];
};

/**
 * virtio_next - the first request that waits in the queue; it stays there until virtio_finish.
 * False if there is none, or the device does not run; a ring or a descriptor that breaks the rules
 * fails the device.
 */
bool virtio_next(struct virtio *v, unsigned queue, struct virtio_chain *chain);
/* Give the request that virtio_next returned back, with what was written to its writable part.
 * Interrupts follow with virtio_signal. */
void virtio_finish(struct virtio *v, unsigned queue, const struct virtio_chain *chain,
                   uint32_t written);
/* Interrupt the driver if it wants to know about what was finished since the last time. */
void virtio_signal(struct virtio *v, unsigned queue);
/* Ask the driver to notify the device of new buffers, or not to bother. */
void virtio_want_notify(struct virtio *v, unsigned queue, bool wanted);

/* Copy from the readable, to the writable part at `offset`. A range that is not inside the part, or
 * memory that is not RAM, fails the device and returns false. */
bool virtio_read(struct virtio *v, const struct virtio_chain *chain, uint64_t offset, void *bytes,
                 size_t count);
bool virtio_write(struct virtio *v, const struct virtio_chain *chain, uint64_t offset,
                  const void *bytes, size_t count);
