/* Split virtqueues. Whatever the driver puts into memory is checked here: ring addresses, indices,
 * chains that loop or are too long, indirect tables; no loop runs longer than a chain may be.
 * [VIRTIO 1.1 "Split Virtqueues"] */
#include <string.h>

#include "base/bits.h"
#include "devices/dma.h"
#include "devices/trace.h"
#include "devices/virtio.h"

enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4, DESC_BYTES = 16 };
enum { AVAIL_NO_INTERRUPT = 1, USED_NO_NOTIFY = 1 };

/* Offsets inside the rings. Available: flags, idx, ring of 16-bit heads, used_event. Used: flags,
 * idx, ring of {32-bit id, 32-bit length}, avail_event. */
enum { RING_FLAGS = 0, RING_IDX = 2, RING_ENTRIES = 4 };

struct virtio_desc {
    uint64_t pa;
    uint32_t bytes;
    uint16_t flags, next;
};

_Static_assert(sizeof(struct virtio_desc) == DESC_BYTES, "as in guest memory");

static bool virtio_has(const struct virtio *v, uint64_t feature)
{
    return v->driver_features & feature;
}

static bool virtio_ring_load(struct virtio *v, uint64_t pa, uint16_t *value)
{
    uint64_t wide;

    if (!dma_load(v->pci.dev.host->bus, pa, 2, &wide)) {
        virtio_fail(v, "the available ring is not in RAM");
        return false;
    }
    *value = (uint16_t)wide;
    return true;
}

static bool virtio_ring_store(struct virtio *v, uint64_t pa, unsigned size, uint64_t value)
{
    if (!dma_store(v->pci.dev.host->bus, pa, size, value)) {
        virtio_fail(v, "the used ring is not in RAM");
        return false;
    }
    return true;
}

/* ---- chains ---- */

/* A table of descriptors: the queue's own, or an indirect one. */
struct virtio_table {
    uint64_t pa;
    uint32_t entries;
    bool indirect;
};

static const char *virtio_desc_load(struct virtio *v, const struct virtio_table *t, uint32_t n,
                                    struct virtio_desc *d)
{
    if (n >= t->entries)
        return "a descriptor index is outside its table";
    if (!dma_read(v->pci.dev.host->bus, t->pa + (uint64_t)n * DESC_BYTES, d, sizeof *d))
        return "a descriptor table is not in RAM";
    return NULL;
}

static const char *virtio_chain_add(struct virtio_chain *c, const struct virtio_desc *d)
{
    bool writable = d->flags & DESC_WRITE;

    if (c->count == VIRTIO_QUEUE_SIZE)
        return "a chain of descriptors is too long, or loops";
    if (!writable && c->readable < c->count)
        return "a device-readable descriptor follows a device-writable one";
    c->segment[c->count++] = (struct virtio_segment){ .pa = d->pa, .bytes = d->bytes };
    if (writable) {
        c->writable_bytes += d->bytes;
    } else {
        c->readable++;
        c->readable_bytes += d->bytes;
    }
    return NULL;
}

/* Replace the table by the indirect one that d describes. */
static const char *virtio_enter_indirect(struct virtio *v, const struct virtio_desc *d,
                                         struct virtio_table *t)
{
    if (!virtio_has(v, VIRTIO_F_INDIRECT_DESC))
        return "an indirect descriptor without VIRTIO_F_INDIRECT_DESC";
    if (t->indirect)
        return "an indirect descriptor inside an indirect table";
    if (d->flags & DESC_NEXT)
        return "an indirect descriptor that has a next one";
    if (d->bytes == 0 || d->bytes % DESC_BYTES != 0)
        return "an indirect table whose length is not a multiple of 16";
    *t = (struct virtio_table){ .pa = d->pa, .entries = d->bytes / DESC_BYTES, .indirect = true };
    return NULL;
}

/* NULL, or why the chain is no chain. The loop ends after VIRTIO_QUEUE_SIZE segments and one change
 * of table at the latest. */
static const char *virtio_chain_walk(struct virtio *v, const struct virtio_queue *q,
                                     struct virtio_chain *c)
{
    struct virtio_table table = { .pa = q->desc, .entries = q->size };
    struct virtio_desc d;
    uint32_t n = c->head;
    const char *wrong;

    for (;;) {
        wrong = virtio_desc_load(v, &table, n, &d);
        if (!wrong && d.flags & DESC_INDIRECT) {
            n = 0;
            wrong = virtio_enter_indirect(v, &d, &table);
            if (!wrong)
                continue;
        }
        if (!wrong)
            wrong = virtio_chain_add(c, &d);
        if (wrong || !(d.flags & DESC_NEXT))
            return wrong;
        n = d.next;
    }
}

bool virtio_next(struct virtio *v, unsigned queue, struct virtio_chain *chain)
{
    struct virtio_queue *q = &v->queue[queue];
    uint16_t idx, waiting;
    const char *wrong;

    if (!virtio_running(v) || !q->enabled || !virtio_ring_load(v, q->driver + RING_IDX, &idx))
        return false;
    waiting = (uint16_t)(idx - q->next_avail);
    if (waiting == 0)
        return false;
    if (waiting > q->size) {
        virtio_fail(v, "the available index is ahead of the ring");
        return false;
    }
    chain->count = chain->readable = 0;
    chain->readable_bytes = chain->writable_bytes = 0;
    if (!virtio_ring_load(v, q->driver + RING_ENTRIES + 2 * (q->next_avail % q->size),
                          &chain->head))
        return false;
    wrong = virtio_chain_walk(v, q, chain);
    if (wrong)
        virtio_fail(v, wrong);
    return !wrong;
}

/* ---- used ring and notifications ---- */

void virtio_finish(struct virtio *v, unsigned queue, const struct virtio_chain *chain,
                   uint32_t written)
{
    struct virtio_queue *q = &v->queue[queue];
    uint64_t entry = q->device + RING_ENTRIES + 8 * (uint64_t)(q->next_used % q->size);

    if (!virtio_ring_store(v, entry, 4, chain->head) ||
        !virtio_ring_store(v, entry + 4, 4, written) ||
        !virtio_ring_store(v, q->device + RING_IDX, 2, (uint16_t)(q->next_used + 1)))
        return;
    q->next_avail++;
    q->next_used++;
}

void virtio_signal(struct virtio *v, unsigned queue)
{
    struct virtio_queue *q = &v->queue[queue];
    uint16_t old = q->signalled, event, flags;
    bool wanted;

    if (!virtio_running(v) || !q->enabled || q->next_used == old)
        return;
    if (virtio_has(v, VIRTIO_F_EVENT_IDX)) {
        if (!virtio_ring_load(v, q->driver + RING_ENTRIES + 2 * q->size, &event))
            return;
        wanted = (uint16_t)(q->next_used - event - 1) < (uint16_t)(q->next_used - old);
    } else {
        if (!virtio_ring_load(v, q->driver + RING_FLAGS, &flags))
            return;
        wanted = !(flags & AVAIL_NO_INTERRUPT);
    }
    q->signalled = q->next_used;
    if (wanted)
        virtio_interrupt(v, queue);
}

/* With EVENT_IDX the driver notifies once it passes avail_event: leaving that where it is means
 * not to be told again. */
void virtio_want_notify(struct virtio *v, unsigned queue, bool wanted)
{
    const struct virtio_queue *q = &v->queue[queue];

    if (!virtio_running(v) || !q->enabled)
        return;
    if (!virtio_has(v, VIRTIO_F_EVENT_IDX))
        virtio_ring_store(v, q->device + RING_FLAGS, 2, wanted ? 0 : USED_NO_NOTIFY);
    else if (wanted)
        virtio_ring_store(v, q->device + RING_ENTRIES + 8 * (uint64_t)q->size, 2, q->next_avail);
}

/* ---- contents ---- */

/* Segments [first, end) as one sequence of bytes: copy `count` of them at `offset`. */
static bool virtio_copy(struct virtio *v, const struct virtio_chain *c, unsigned first,
                        unsigned end, uint64_t offset, uint8_t *bytes, size_t count, bool to_guest)
{
    struct bus *bus = v->pci.dev.host->bus;

    for (unsigned i = first; i < end && count > 0; i++) {
        const struct virtio_segment *s = &c->segment[i];
        size_t part;
        bool done;

        if (offset >= s->bytes) {
            offset -= s->bytes;
            continue;
        }
        part = s->bytes - offset < count ? (size_t)(s->bytes - offset) : count;
        if (s->pa + offset < s->pa)
            break;
        done = to_guest ? dma_write(bus, s->pa + offset, bytes, part)
                        : dma_read(bus, s->pa + offset, bytes, part);
        if (!done)
            break;
        bytes += part;
        count -= part;
        offset = 0;
    }
    if (count > 0)
        virtio_fail(v, "a buffer is too short or not in RAM");
    return count == 0;
}

bool virtio_read(struct virtio *v, const struct virtio_chain *chain, uint64_t offset, void *bytes,
                 size_t count)
{
    return virtio_copy(v, chain, 0, chain->readable, offset, bytes, count, false);
}

bool virtio_write(struct virtio *v, const struct virtio_chain *chain, uint64_t offset,
                  const void *bytes, size_t count)
{
    return virtio_copy(v, chain, chain->readable, chain->count, offset, (uint8_t *)bytes, count,
                       true);
}
