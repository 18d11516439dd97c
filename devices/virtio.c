/* Virtio over PCI: the five structures that the vendor capabilities point to, feature negotiation,
 * device status, interrupts. [VIRTIO 1.1 "Virtio Over PCI Bus"] */
#include "devices/virtio.h"

#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "devices/trace.h"

/* BAR 1 is MSI-X, BAR 4 has a page for each structure. */
enum {
    VIRTIO_MSIX_BAR = 1,
    VIRTIO_BAR = 4,
    VIRTIO_BAR_BYTES = 0x4000,
    VIRTIO_PAGE_SHIFT = 12,
    VIRTIO_NOTIFY_STEP = 4, /* notify_off_multiplier */
};

/* cfg_type of the capabilities */
enum { CAP_COMMON = 1, CAP_NOTIFY = 2, CAP_ISR = 3, CAP_DEVICE = 4, CAP_PCI_CFG = 5 };

/* struct virtio_pci_cap */
enum {
    CAP_LENGTH = 2,
    CAP_TYPE = 3,
    CAP_BAR = 4,
    CAP_OFFSET = 8,
    CAP_STRUCT_LENGTH = 12,
    CAP_BYTES = 16,
    CAP_EXTRA = 16, /* notify_off_multiplier, or pci_cfg_data */
};

enum { ISR_QUEUE = 1, ISR_CONFIG = 2 };

bool virtio_running(const struct virtio *v)
{
    const uint8_t relevant = VIRTIO_DRIVER_OK | VIRTIO_FEATURES_OK | VIRTIO_NEEDS_RESET |
                             VIRTIO_FAILED;

    return (v->status & relevant) == (VIRTIO_DRIVER_OK | VIRTIO_FEATURES_OK) &&
           pci_is_master(&v->pci);
}

/* ---- interrupts ---- */

static void virtio_raise(struct virtio *v, uint8_t cause, uint16_t vector)
{
    bool messages = pci_uses_messages(&v->pci);

    if (!messages || cause == ISR_CONFIG)
        v->isr |= cause;
    if (!messages)
        pci_set_intx(&v->pci, true);
    else if (vector != VIRTIO_NO_VECTOR)
        pci_send_message(&v->pci, vector);
}

void virtio_interrupt(struct virtio *v, unsigned queue)
{
    virtio_raise(v, ISR_QUEUE, v->queue[queue].vector);
}

void virtio_fail(struct virtio *v, const char *why)
{
    trace_virtio_fail(v->pci.dev.id, why);
    if (v->status & VIRTIO_NEEDS_RESET)
        return;
    v->status |= VIRTIO_NEEDS_RESET;
    if (v->status & VIRTIO_DRIVER_OK)
        virtio_raise(v, ISR_CONFIG, v->config_vector);
}

/* ---- reset and status ---- */

void virtio_queue_reset(struct virtio_queue *q)
{
    *q = (struct virtio_queue){ .size = VIRTIO_QUEUE_SIZE, .vector = VIRTIO_NO_VECTOR };
}

/* What the driver does by writing 0 to the device status. */
static void virtio_device_reset(struct virtio *v)
{
    v->device_feature_select = v->driver_feature_select = 0;
    v->driver_features = 0;
    v->config_vector = VIRTIO_NO_VECTOR;
    v->queue_select = 0;
    v->status = 0;
    v->isr = 0;
    for (unsigned i = 0; i < VIRTIO_QUEUES; i++)
        virtio_queue_reset(&v->queue[i]);
}

/* The driver may accept a subset of what was offered, and must accept VERSION_1: this is no legacy
 * device. */
static bool virtio_features_acceptable(const struct virtio *v)
{
    return (v->driver_features & ~v->device_features) == 0 &&
           v->driver_features & VIRTIO_F_VERSION_1;
}

static void virtio_notify(struct virtio *v, unsigned queue)
{
    trace_virtio_notify(v->pci.dev.id, queue, virtio_running(v));
    if (queue < v->kind->queues && v->queue[queue].enabled && virtio_running(v))
        v->kind->notify(v, queue);
}

/* Bits are only ever added; 0 resets. */
static void virtio_set_status(struct virtio *v, uint64_t value)
{
    uint8_t old = v->status, status = (uint8_t)(value & ~(uint64_t)VIRTIO_NEEDS_RESET) | old;

    trace_virtio_status(v->pci.dev.id, old, (unsigned)value);
    if ((value & 0xff) == 0) {
        virtio_device_reset(v);
        pci_set_intx(&v->pci, false);
        if (v->kind->stop)
            v->kind->stop(v);
        return;
    }
    if (!virtio_features_acceptable(v))
        status &= (uint8_t) ~(VIRTIO_FEATURES_OK & ~old);
    v->status = status;
    for (unsigned i = 0; status & ~old & VIRTIO_DRIVER_OK && i < v->kind->queues; i++)
        virtio_notify(v, i); /* buffers may have been added before */
}

/* ---- common configuration ---- */

static struct virtio_queue *virtio_selected(struct virtio *v)
{
    return v->queue_select < v->kind->queues ? &v->queue[v->queue_select] : NULL;
}

static uint64_t virtio_read_features(const struct virtio *v)
{
    return v->device_feature_select < 2
               ? (uint32_t)(v->device_features >> 32 * v->device_feature_select)
               : 0;
}

static uint64_t virtio_read_driver_features(const struct virtio *v)
{
    return v->driver_feature_select < 2
               ? (uint32_t)(v->driver_features >> 32 * v->driver_feature_select)
               : 0;
}

static void virtio_write_driver_features(struct virtio *v, uint64_t value)
{
    unsigned low = 32 * v->driver_feature_select;

    if (v->driver_feature_select < 2 && !(v->status & VIRTIO_FEATURES_OK))
        v->driver_features = bits_set(v->driver_features, low + 31, low, value);
}

static uint64_t virtio_read_num_queues(const struct virtio *v)
{
    return v->kind->queues;
}

static uint64_t virtio_read_generation(const struct virtio *v)
{
    return 0; /* the configuration of these devices never changes */
}

static uint64_t virtio_read_notify_off(const struct virtio *v)
{
    return v->queue_select < v->kind->queues ? v->queue_select : 0;
}

static uint16_t virtio_vector(const struct virtio *v, uint64_t value)
{
    return value < v->pci.messages.msix_vectors ? (uint16_t)value : VIRTIO_NO_VECTOR;
}

static void virtio_write_config_vector(struct virtio *v, uint64_t value)
{
    v->config_vector = virtio_vector(v, value);
}

static void virtio_write_queue_vector(struct virtio *v, uint64_t value)
{
    virtio_selected(v)->vector = virtio_vector(v, value);
}

static bool virtio_size_valid(uint64_t size)
{
    return size >= 1 && size <= VIRTIO_QUEUE_SIZE && (size & (size - 1)) == 0;
}

static void virtio_write_queue_size(struct virtio *v, uint64_t value)
{
    struct virtio_queue *q = virtio_selected(v);

    if (!q->enabled && virtio_size_valid(value))
        q->size = (uint16_t)value;
}

/* The areas have alignments, [VIRTIO 1.1 "Split Virtqueues"]: 16, 2 and 4. */
static void virtio_write_queue_enable(struct virtio *v, uint64_t value)
{
    struct virtio_queue *q = virtio_selected(v);

    if (value != 1 || q->enabled)
        return;
    if (q->desc % 16 != 0 || q->driver % 2 != 0 || q->device % 4 != 0)
        virtio_fail(v, "a queue area is not aligned");
    else
        q->enabled = 1;
}

static void virtio_write_queue_desc(struct virtio *v, uint64_t value)
{
    struct virtio_queue *q = virtio_selected(v);

    q->desc = q->enabled ? q->desc : value;
}

static void virtio_write_queue_driver(struct virtio *v, uint64_t value)
{
    struct virtio_queue *q = virtio_selected(v);

    q->driver = q->enabled ? q->driver : value;
}

static void virtio_write_queue_device(struct virtio *v, uint64_t value)
{
    struct virtio_queue *q = virtio_selected(v);

    q->device = q->enabled ? q->device : value;
}

static void virtio_write_device_select(struct virtio *v, uint64_t value)
{
    v->device_feature_select = (uint32_t)value;
}

static void virtio_write_driver_select(struct virtio *v, uint64_t value)
{
    v->driver_feature_select = (uint32_t)value;
}

static void virtio_write_queue_select(struct virtio *v, uint64_t value)
{
    v->queue_select = (uint16_t)value;
}

/* A register reads as the member at `member` (of the selected queue if `queue`), or by `read`.
 * Without a write function it is read-only. */
struct virtio_register {
    uint8_t at, bytes;
    bool queue;
    uint16_t member;
    uint64_t (*read)(const struct virtio *v);
    void (*write)(struct virtio *v, uint64_t value);
};

#define OF_DEVICE(m) .member = offsetof(struct virtio, m)
#define OF_QUEUE(m) .queue = true, .member = offsetof(struct virtio_queue, m)

/* struct virtio_pci_common_cfg */
/* clang-format off */
static const struct virtio_register virtio_common[] = {
    { 0x00, 4, OF_DEVICE(device_feature_select), .write = virtio_write_device_select },
    { 0x04, 4, .read = virtio_read_features },
    { 0x08, 4, OF_DEVICE(driver_feature_select), .write = virtio_write_driver_select },
    { 0x0c, 4, .read = virtio_read_driver_features, .write = virtio_write_driver_features },
    { 0x10, 2, OF_DEVICE(config_vector), .write = virtio_write_config_vector },
    { 0x12, 2, .read = virtio_read_num_queues },
    { 0x14, 1, OF_DEVICE(status), .write = virtio_set_status },
    { 0x15, 1, .read = virtio_read_generation },
    { 0x16, 2, OF_DEVICE(queue_select), .write = virtio_write_queue_select },
    { 0x18, 2, OF_QUEUE(size), .write = virtio_write_queue_size },
    { 0x1a, 2, OF_QUEUE(vector), .write = virtio_write_queue_vector },
    { 0x1c, 2, OF_QUEUE(enabled), .write = virtio_write_queue_enable },
    { 0x1e, 2, .read = virtio_read_notify_off },
    { 0x20, 8, OF_QUEUE(desc), .write = virtio_write_queue_desc },
    { 0x28, 8, OF_QUEUE(driver), .write = virtio_write_queue_driver },
    { 0x30, 8, OF_QUEUE(device), .write = virtio_write_queue_device },
};
/* clang-format on */

enum { COMMON_BYTES = 0x38, COMMON_COUNT = sizeof virtio_common / sizeof virtio_common[0] };

static uint64_t virtio_register_read(struct virtio *v, const struct virtio_register *r)
{
    const uint8_t *base = (const uint8_t *)v;
    uint64_t value = 0;

    if (r->read)
        return r->read(v);
    if (r->queue)
        base = (const uint8_t *)virtio_selected(v);
    if (base)
        memcpy(&value, base + r->member, r->bytes);
    return value;
}

/* An access may be a part of a register (halves of the 64-bit ones), or cover several. */
static uint64_t virtio_common_read(struct virtio *v, uint64_t offset, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < COMMON_COUNT; i++) {
        const struct virtio_register *r = &virtio_common[i];
        uint64_t whole;

        if (offset >= r->at + r->bytes || offset + size <= r->at)
            continue;
        whole = virtio_register_read(v, r);
        value |= offset >= r->at ? whole >> 8 * (offset - r->at) : whole << 8 * (r->at - offset);
    }
    return zero_extend(value, size);
}

static void virtio_common_write(struct virtio *v, uint64_t offset, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < COMMON_COUNT; i++) {
        const struct virtio_register *r = &virtio_common[i];
        uint64_t first = offset > r->at ? offset : r->at;
        uint64_t end = offset + size < r->at + r->bytes ? offset + size : r->at + r->bytes;
        uint64_t whole;

        if (first >= end || !r->write || (r->queue && !virtio_selected(v)))
            continue;
        whole = virtio_register_read(v, r);
        whole = bits_set(whole, (unsigned)(8 * (end - r->at) - 1), (unsigned)(8 * (first - r->at)),
                         value >> 8 * (first - offset));
        r->write(v, whole);
    }
}

/* ---- the other structures ---- */

static uint64_t virtio_isr_read(struct virtio *v, uint64_t offset, unsigned size)
{
    uint8_t isr = v->isr;

    if (offset != 0)
        return 0;
    v->isr = 0;
    pci_set_intx(&v->pci, false);
    return isr;
}

static uint64_t virtio_config_read(struct virtio *v, uint64_t offset, unsigned size)
{
    uint8_t config[VIRTIO_CONFIG_BYTES + 8] = { 0 };
    uint64_t value = 0;

    if (offset >= VIRTIO_CONFIG_BYTES || !v->kind->read_config)
        return 0;
    v->kind->read_config(v, config);
    memcpy(&value, config + offset, size);
    return value;
}

static void virtio_notify_write(struct virtio *v, uint64_t offset, uint64_t value, unsigned size)
{
    if (offset % VIRTIO_NOTIFY_STEP == 0)
        virtio_notify(v, (unsigned)(offset / VIRTIO_NOTIFY_STEP));
}

/* One row a page of the BAR, in its order. */
static const struct virtio_page {
    uint8_t cap;
    uint64_t (*read)(struct virtio *v, uint64_t offset, unsigned size);
    void (*write)(struct virtio *v, uint64_t offset, uint64_t value, unsigned size);
} virtio_pages[VIRTIO_BAR_BYTES >> VIRTIO_PAGE_SHIFT] = {
    { CAP_COMMON, virtio_common_read, virtio_common_write },
    { CAP_ISR, virtio_isr_read, NULL },
    { CAP_DEVICE, virtio_config_read, NULL },
    { CAP_NOTIFY, NULL, virtio_notify_write },
};

static uint64_t virtio_bar_read(void *owner, uint64_t offset, unsigned size)
{
    const struct virtio_page *page = &virtio_pages[offset >> VIRTIO_PAGE_SHIFT];

    return page->read ? page->read(owner, offset % (1 << VIRTIO_PAGE_SHIFT), size) : 0;
}

static void virtio_bar_write(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
    const struct virtio_page *page = &virtio_pages[offset >> VIRTIO_PAGE_SHIFT];

    if (page->write)
        page->write(owner, offset % (1 << VIRTIO_PAGE_SHIFT), value, size);
}

static const struct io_ops virtio_bar_ops = { .read = virtio_bar_read,
                                              .write = virtio_bar_write,
                                              .sizes = SIZE_ANY };

/* ---- access through configuration space: for firmware that cannot reach the BAR ---- */

/* false unless the window selects an aligned access inside our BAR */
static bool virtio_window(const struct virtio *v, uint64_t *offset, unsigned *size)
{
    uint32_t at = pci_get(&v->pci, v->cfg_access + CAP_OFFSET, 4);
    uint32_t length = pci_get(&v->pci, v->cfg_access + CAP_STRUCT_LENGTH, 4);

    if (v->pci.config[v->cfg_access + CAP_BAR] != VIRTIO_BAR ||
        (length != 1 && length != 2 && length != 4) || at % length != 0 ||
        at > VIRTIO_BAR_BYTES - length)
        return false;
    *offset = at;
    *size = length;
    return true;
}

static bool virtio_touches_window(const struct virtio *v, unsigned reg, unsigned size)
{
    return reg < v->cfg_access + CAP_EXTRA + 4 && reg + size > v->cfg_access + CAP_EXTRA;
}

static void virtio_config_reading(struct pci_function *fn, unsigned reg, unsigned size)
{
    struct virtio *v = (struct virtio *)fn;
    uint64_t offset;
    unsigned length;

    if (virtio_touches_window(v, reg, size) && virtio_window(v, &offset, &length))
        pci_put(fn, v->cfg_access + CAP_EXTRA, (uint32_t)virtio_bar_read(v, offset, length), 4);
}

static void virtio_config_written(struct pci_function *fn, unsigned reg, unsigned size)
{
    struct virtio *v = (struct virtio *)fn;
    uint64_t offset;
    unsigned length;

    if (virtio_touches_window(v, reg, size) && virtio_window(v, &offset, &length))
        virtio_bar_write(v, offset, zero_extend(pci_get(fn, v->cfg_access + CAP_EXTRA, 4), length),
                         length);
}

/* ---- life ---- */

static void virtio_add_capability(struct virtio *v, unsigned page)
{
    uint8_t type = virtio_pages[page].cap;
    unsigned bytes = type == CAP_NOTIFY ? CAP_BYTES + 4 : CAP_BYTES;
    unsigned at = pci_add_capability(&v->pci, PCI_CAP_VENDOR, bytes);
    uint32_t length = 1 << VIRTIO_PAGE_SHIFT;

    pci_set_register(&v->pci, at + CAP_LENGTH, 1, bytes, 0);
    pci_set_register(&v->pci, at + CAP_TYPE, 1, type, 0);
    pci_set_register(&v->pci, at + CAP_BAR, 1, VIRTIO_BAR, 0);
    pci_set_register(&v->pci, at + CAP_OFFSET, 4, page << VIRTIO_PAGE_SHIFT, 0);
    pci_set_register(&v->pci, at + CAP_STRUCT_LENGTH, 4, length, 0);
    if (type == CAP_NOTIFY)
        pci_set_register(&v->pci, at + CAP_EXTRA, 4, VIRTIO_NOTIFY_STEP, 0);
}

static void virtio_add_cfg_access(struct virtio *v)
{
    unsigned at = pci_add_capability(&v->pci, PCI_CAP_VENDOR, CAP_BYTES + 4);

    v->cfg_access = at;
    pci_set_register(&v->pci, at + CAP_LENGTH, 1, CAP_BYTES + 4, 0);
    pci_set_register(&v->pci, at + CAP_TYPE, 1, CAP_PCI_CFG, 0);
    pci_set_register(&v->pci, at + CAP_BAR, 1, 0, 0xff);
    pci_set_register(&v->pci, at + CAP_OFFSET, 4, 0, 0xffffffff);
    pci_set_register(&v->pci, at + CAP_STRUCT_LENGTH, 4, 0, 0xffffffff);
    pci_set_register(&v->pci, at + CAP_EXTRA, 4, 0, 0xffffffff);
    v->pci.config_reading = virtio_config_reading;
    v->pci.config_written = virtio_config_written;
}

struct device *virtio_create(const struct device_class *class, const char *id,
                             struct device_host *host, struct pci_bus *bus, unsigned devfn)
{
    struct device *dev = device_create(class, id, host);
    struct virtio *v = (struct virtio *)dev;

    v->pci.bus = bus;
    v->pci.devfn = (uint8_t)devfn;
    return dev;
}

bool virtio_realize(struct virtio *v, struct err *e)
{
    const struct virtio_kind *kind = v->kind;

    ASSERT(kind->queues <= VIRTIO_QUEUES && kind->config_bytes <= VIRTIO_CONFIG_BYTES);
    v->device_features |= VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC;
    pci_describe(&v->pci, &(struct pci_identity){ .vendor = 0x1af4,
                                                  .device = (uint16_t)(0x1040 + kind->type),
                                                  .revision = 1,
                                                  .class_code = kind->class_code,
                                                  .subsystem_vendor = 0x1af4,
                                                  .subsystem = 0x1100,
                                                  .pin = 1 });
    pci_add_bar(&v->pci, VIRTIO_BAR, PCI_BAR_MEM64, VIRTIO_BAR_BYTES, "virtio", &virtio_bar_ops);
    pci_add_msix(&v->pci, VIRTIO_MSIX_BAR, kind->queues + 1);
    for (unsigned page = 0; page < sizeof virtio_pages / sizeof virtio_pages[0]; page++) {
        if (virtio_pages[page].cap != CAP_DEVICE || kind->config_bytes > 0)
            virtio_add_capability(v, page);
    }
    virtio_add_cfg_access(v);
    virtio_device_reset(v);
    return pci_plug(&v->pci, e);
}

void virtio_unrealize(struct virtio *v)
{
    pci_unplug(&v->pci);
}

void virtio_reset(struct device *dev)
{
    pci_reset(dev);
    virtio_device_reset((struct virtio *)dev);
}

/* Nothing in a restored image may be an index or a size that the code above would refuse. */
void virtio_settle(struct device *dev)
{
    struct virtio *v = (struct virtio *)dev;

    pci_settle(dev);
    for (unsigned i = 0; i < VIRTIO_QUEUES; i++) {
        struct virtio_queue *q = &v->queue[i];

        if (!virtio_size_valid(q->size) || q->enabled > 1)
            virtio_queue_reset(q);
        q->vector = virtio_vector(v, q->vector);
    }
    v->config_vector = virtio_vector(v, v->config_vector);
}

void virtio_show(const struct device *dev, FILE *out)
{
    const struct virtio *v = (const struct virtio *)dev;

    pci_show(dev, out);
    if (!v->kind)
        return;
    fprintf(out, "features offered %#" PRIx64 ", accepted %#" PRIx64 ", status %#x%s\n",
            v->device_features, v->driver_features, v->status,
            virtio_running(v) ? ", running" : "");
    for (unsigned i = 0; i < v->kind->queues; i++) {
        const struct virtio_queue *q = &v->queue[i];

        fprintf(out, "queue %u: %s, %u entries, next available %u, used %u\n", i,
                q->enabled ? "enabled" : "off", q->size, q->next_avail, q->next_used);
    }
}
