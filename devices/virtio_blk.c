/* Virtio block device, 1af4:1042: one queue, reads, writes, flushes and its serial number.
 * [VIRTIO 1.1 "Block Device"]
 *
 * A request takes time: the disk looks at the queue BLK_REQUEST_CYCLES after it was notified, does
 * one request, and looks again that long, plus the time of the bytes moved, later. A request stays
 * in the queue until it is done, so the deadline is all the state there is. */
#include "devices/virtio_blk.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "devices/dma.h"
#include "devices/trace.h"

#define BLK_REQUEST_CYCLES UINT64_C(20000) /* 10 us: an NVMe disk's order of magnitude */
#define BLK_SECTOR_CYCLES UINT64_C(256)    /* 512 bytes in 128 ns: 4 GB/s */

enum { SECTOR_BYTES = 512 };

enum {
    BLK_SEGMENTS = VIRTIO_QUEUE_SIZE - 2, /* without header and status */
    BLK_SEGMENT_BYTES = 128 * 1024,
    BLK_CHUNK = 64 * 1024, /* through our own buffer at a time */
};

/* What a driver that keeps to the two limits above can ask for at once, with header and status;
 * more than that is an error, which bounds the work of one event. */
#define BLK_REQUEST_BYTES ((uint64_t)BLK_SEGMENTS * BLK_SEGMENT_BYTES + 17)

/* feature bits */
#define BLK_F_SIZE_MAX (UINT64_C(1) << 1)
#define BLK_F_SEG_MAX (UINT64_C(1) << 2)
#define BLK_F_RO (UINT64_C(1) << 5)
#define BLK_F_BLK_SIZE (UINT64_C(1) << 6)
#define BLK_F_FLUSH (UINT64_C(1) << 9)

/* request types and status */
enum { BLK_T_IN = 0, BLK_T_OUT = 1, BLK_T_FLUSH = 4, BLK_T_GET_ID = 8, BLK_ID_BYTES = 20 };
enum { BLK_S_OK = 0, BLK_S_IOERR = 1, BLK_S_UNSUPP = 2 };

struct virtio_blk {
    struct virtio v;
    struct block_backend backend;
    struct timer timer;
    uint8_t *chunk;
    /* state */
    uint64_t due; /* when the disk looks at its queue; TIMER_OFF while idle */
};

struct blk_header {
    uint32_t type, reserved;
    uint64_t sector;
};

static const struct field virtio_blk_fields[] = {
    VIRTIO_FIELDS(struct virtio_blk, v),
    FIELD(struct virtio_blk, due, .reset = TIMER_OFF),
    { 0 },
};

/* capacity 64 bits, size_max 32, seg_max 32, geometry 32, blk_size 32, topology 64, writeback 8,
 * unused 8, num_queues 16 */
static void virtio_blk_read_config(const struct virtio *v, uint8_t config[VIRTIO_CONFIG_BYTES])
{
    const struct virtio_blk *b = (const struct virtio_blk *)v;
    const uint64_t capacity = b->backend.size / SECTOR_BYTES;
    const uint32_t size_max = BLK_SEGMENT_BYTES, seg_max = BLK_SEGMENTS, blk_size = SECTOR_BYTES;
    const uint16_t queues = 1;

    memcpy(config, &capacity, 8);
    memcpy(config + 8, &size_max, 4);
    memcpy(config + 12, &seg_max, 4);
    memcpy(config + 20, &blk_size, 4);
    memcpy(config + 34, &queues, 2);
}

/* ---- requests ---- */

/* the bytes of a transfer, where they start on the disk; false if they are not all on it */
static bool virtio_blk_range(const struct virtio_blk *b, const struct blk_header *h, uint64_t bytes,
                             uint64_t *offset)
{
    uint64_t sectors = b->backend.size / SECTOR_BYTES;

    if (bytes % SECTOR_BYTES != 0 || h->sector > sectors ||
        bytes / SECTOR_BYTES > sectors - h->sector)
        return false;
    *offset = h->sector * SECTOR_BYTES;
    return true;
}

/* Every segment is in RAM: asked before anything is moved, so that a bad request has no effect. */
static bool virtio_blk_in_ram(struct virtio *v, const struct virtio_chain *c)
{
    for (unsigned i = 0; i < c->count; i++) {
        if (!dma_is_ram(v->pci.dev.host->bus, c->segment[i].pa, c->segment[i].bytes)) {
            virtio_fail(v, "a buffer is not in RAM");
            return false;
        }
    }
    return true;
}

static uint8_t virtio_blk_in(struct virtio_blk *b, const struct virtio_chain *c,
                             const struct blk_header *h, uint32_t *written)
{
    uint64_t bytes = c->writable_bytes - 1, offset;

    if (!virtio_blk_range(b, h, bytes, &offset) || !virtio_blk_in_ram(&b->v, c))
        return BLK_S_IOERR;
    for (uint64_t at = 0; at < bytes; at += BLK_CHUNK) {
        size_t part = bytes - at < BLK_CHUNK ? (size_t)(bytes - at) : BLK_CHUNK;

        if (b->backend.read(b->backend.owner, offset + at, b->chunk, part) != BLOCK_OK ||
            !virtio_write(&b->v, c, at, b->chunk, part))
            return BLK_S_IOERR;
        *written += (uint32_t)part;
    }
    return BLK_S_OK;
}

static uint8_t virtio_blk_out(struct virtio_blk *b, const struct virtio_chain *c,
                              const struct blk_header *h, uint32_t *written)
{
    uint64_t bytes = c->readable_bytes - sizeof *h, offset;

    if (b->backend.read_only || !virtio_blk_range(b, h, bytes, &offset) ||
        !virtio_blk_in_ram(&b->v, c))
        return BLK_S_IOERR;
    for (uint64_t at = 0; at < bytes; at += BLK_CHUNK) {
        size_t part = bytes - at < BLK_CHUNK ? (size_t)(bytes - at) : BLK_CHUNK;

        if (!virtio_read(&b->v, c, sizeof *h + at, b->chunk, part) ||
            b->backend.write(b->backend.owner, offset + at, b->chunk, part) != BLOCK_OK)
            return BLK_S_IOERR;
    }
    return BLK_S_OK;
}

static uint8_t virtio_blk_flush(struct virtio_blk *b, const struct virtio_chain *c,
                                const struct blk_header *h, uint32_t *written)
{
    return b->backend.flush(b->backend.owner) == BLOCK_OK ? BLK_S_OK : BLK_S_IOERR;
}

/* Up to 20 bytes; a shorter string ends with a zero. */
static uint8_t virtio_blk_get_id(struct virtio_blk *b, const struct virtio_chain *c,
                                 const struct blk_header *h, uint32_t *written)
{
    char id[BLK_ID_BYTES] = { 0 };
    size_t length = strnlen(b->v.pci.dev.id, sizeof id);
    uint64_t room = c->writable_bytes - 1;
    size_t part = room < sizeof id ? (size_t)room : sizeof id;

    memcpy(id, b->v.pci.dev.id, length);
    if (!virtio_write(&b->v, c, 0, id, part))
        return BLK_S_IOERR;
    *written = (uint32_t)part;
    return BLK_S_OK;
}

static const struct blk_request {
    uint32_t type;
    uint8_t (*serve)(struct virtio_blk *b, const struct virtio_chain *c, const struct blk_header *h,
                     uint32_t *written);
} virtio_blk_requests[] = {
    { BLK_T_IN, virtio_blk_in },
    { BLK_T_OUT, virtio_blk_out },
    { BLK_T_FLUSH, virtio_blk_flush },
    { BLK_T_GET_ID, virtio_blk_get_id },
};

static uint8_t virtio_blk_serve(struct virtio_blk *b, const struct virtio_chain *c,
                                const struct blk_header *h, uint32_t *written)
{
    if (c->readable_bytes + c->writable_bytes > BLK_REQUEST_BYTES)
        return BLK_S_IOERR;
    for (size_t i = 0; i < sizeof virtio_blk_requests / sizeof virtio_blk_requests[0]; i++) {
        if (virtio_blk_requests[i].type == h->type)
            return virtio_blk_requests[i].serve(b, c, h, written);
    }
    return BLK_S_UNSUPP;
}

/* One request from the queue; false if there was none, or it has failed the device. The status is
 * the last writable byte, whatever the layout. */
static bool virtio_blk_step(struct virtio_blk *b, uint64_t *moved)
{
    struct virtio *v = &b->v;
    struct virtio_chain c;
    struct blk_header h;
    uint32_t written = 0;
    uint8_t status;

    if (!virtio_next(v, 0, &c))
        return false;
    if (c.readable_bytes < sizeof h || c.writable_bytes < 1) {
        virtio_fail(v, "a block request without header or status");
        return false;
    }
    if (!virtio_read(v, &c, 0, &h, sizeof h))
        return false;
    status = virtio_blk_serve(b, &c, &h, &written);
    trace_virtio_blk(v->pci.dev.id, h.type, h.sector, c.readable_bytes + c.writable_bytes, status);
    if (!virtio_running(v) || !virtio_write(v, &c, c.writable_bytes - 1, &status, 1))
        return false;
    *moved = c.readable_bytes + c.writable_bytes;
    virtio_finish(v, 0, &c, written + 1);
    return true;
}

/* ---- time ---- */

static void virtio_blk_arm(struct virtio_blk *b, uint64_t due)
{
    b->due = due;
    timer_set(&b->timer, due);
}

static void virtio_blk_fire(void *owner)
{
    struct virtio_blk *b = owner;
    uint64_t moved = 0;

    b->due = TIMER_OFF;
    if (!virtio_blk_step(b, &moved)) {
        virtio_want_notify(&b->v, 0, true); /* the queue is empty */
        return;
    }
    if (moved > BLK_REQUEST_BYTES)
        moved = BLK_REQUEST_BYTES;
    virtio_blk_arm(b, clock_now(b->v.pci.dev.host->clock) + BLK_REQUEST_CYCLES +
                          moved / SECTOR_BYTES * BLK_SECTOR_CYCLES);
    virtio_signal(&b->v, 0);
}

static void virtio_blk_notify(struct virtio *v, unsigned queue)
{
    struct virtio_blk *b = (struct virtio_blk *)v;

    if (timer_armed(&b->timer))
        return;
    virtio_want_notify(v, 0, false);
    virtio_blk_arm(b, clock_now(v->pci.dev.host->clock) + BLK_REQUEST_CYCLES);
}

static void virtio_blk_stop(struct virtio *v)
{
    virtio_blk_arm((struct virtio_blk *)v, TIMER_OFF);
}

/* ---- life ---- */

static const struct virtio_kind virtio_blk_kind = { .type = 2,
                                                    .class_code = 0x010000,
                                                    .queues = 1,
                                                    .config_bytes = 36,
                                                    .read_config = virtio_blk_read_config,
                                                    .notify = virtio_blk_notify,
                                                    .stop = virtio_blk_stop };

static bool virtio_blk_realize(struct device *dev, struct err *e)
{
    struct virtio_blk *b = (struct virtio_blk *)dev;

    if (!b->backend.read)
        return err_set(e, "%s: no disk behind it", dev->id);
    b->v.kind = &virtio_blk_kind;
    b->v.device_features = BLK_F_SIZE_MAX | BLK_F_SEG_MAX | BLK_F_BLK_SIZE | BLK_F_FLUSH |
                           (b->backend.read_only ? BLK_F_RO : 0);
    b->chunk = malloc(BLK_CHUNK);
    ASSERT(b->chunk);
    timer_init(&b->timer, dev->host->clock, dev->id, virtio_blk_fire, b);
    return virtio_realize(&b->v, e);
}

static void virtio_blk_unrealize(struct device *dev)
{
    struct virtio_blk *b = (struct virtio_blk *)dev;

    if (b->timer.clock)
        timer_cancel(&b->timer);
    virtio_unrealize(&b->v);
    free(b->chunk);
    b->chunk = NULL;
}

static void virtio_blk_settle(struct device *dev)
{
    struct virtio_blk *b = (struct virtio_blk *)dev;

    virtio_settle(dev);
    if (b->timer.clock)
        virtio_blk_arm(b, b->due);
}

const struct device_class virtio_blk_class = {
    .name = "virtio_blk",
    .title = "virtio disk",
    .size = sizeof(struct virtio_blk),
    .version = 1,
    .fields = virtio_blk_fields,
    .realize = virtio_blk_realize,
    .unrealize = virtio_blk_unrealize,
    .reset = virtio_reset,
    .settle = virtio_blk_settle,
    .show = virtio_show,
};

struct device *virtio_blk_create(const char *id, struct device_host *host, struct pci_bus *bus,
                                 unsigned devfn, const struct block_backend *backend)
{
    struct device *dev = virtio_create(&virtio_blk_class, id, host, bus, devfn);

    ((struct virtio_blk *)dev)->backend = *backend;
    return dev;
}
