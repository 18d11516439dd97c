/* Virtio console, 1af4:1043: receive queue 0, transmit queue 1. What the guest transmits leaves
 * when it notifies the device; a notification that offers more than CONSOLE_BURST_BYTES is served
 * in bursts. [VIRTIO 1.1 "Console Device"] */
#include "devices/virtio_console.h"

#include "devices/trace.h"

enum {
    CONSOLE_RX = 0,
    CONSOLE_TX = 1,
    CONSOLE_BURST_BYTES = 65536,
    CONSOLE_PIECE = 4096, /* through our own buffer at a time */
};

#define CONSOLE_BURST_CYCLES UINT64_C(20000) /* between bursts: 10 us */

struct virtio_console {
    struct virtio v;
    struct char_backend backend;
    struct timer timer;
    /* state */
    uint64_t sent; /* bytes of the request at the head of the transmit queue */
    uint64_t due;  /* next burst; TIMER_OFF if there is nothing to send */
};

static const struct field virtio_console_fields[] = {
    VIRTIO_FIELDS(struct virtio_console, v),
    FIELD(struct virtio_console, sent),
    FIELD(struct virtio_console, due, .reset = TIMER_OFF),
    { 0 },
};

/* cols 16 bits, rows 16, max_nr_ports 32, emerg_wr 32: none of them is offered by a feature */
static void virtio_console_read_config(const struct virtio *v, uint8_t config[VIRTIO_CONFIG_BYTES])
{
    config[4] = 1;
}

static void virtio_console_arm(struct virtio_console *c, uint64_t due)
{
    c->due = due;
    timer_set(&c->timer, due);
}

/* The next piece of the request at the head of the queue, at most `most` bytes; bytes sent.
 * Finishes the request after its last one. */
static size_t virtio_console_send(struct virtio_console *c, const struct virtio_chain *chain,
                                  size_t most)
{
    uint8_t bytes[CONSOLE_PIECE];
    uint64_t left = chain->readable_bytes > c->sent ? chain->readable_bytes - c->sent : 0;
    size_t part = most < sizeof bytes ? most : sizeof bytes;

    if (part > left)
        part = (size_t)left;
    if (!virtio_read(&c->v, chain, c->sent, bytes, part))
        return 0;
    if (part > 0 && c->backend.write)
        c->backend.write(c->backend.owner, bytes, part);
    c->sent += part;
    if (part == left) {
        virtio_finish(&c->v, CONSOLE_TX, chain, 0);
        c->sent = 0;
    }
    return part;
}

static void virtio_console_burst(void *owner)
{
    struct virtio_console *c = owner;
    struct virtio_chain chain;
    size_t budget = CONSOLE_BURST_BYTES;
    bool more;

    c->due = TIMER_OFF;
    while ((more = virtio_next(&c->v, CONSOLE_TX, &chain)) && budget > 0)
        budget -= virtio_console_send(c, &chain, budget);
    if (more)
        virtio_console_arm(c, clock_now(c->v.pci.dev.host->clock) + CONSOLE_BURST_CYCLES);
    else
        virtio_want_notify(&c->v, CONSOLE_TX, true);
    virtio_signal(&c->v, CONSOLE_TX);
}

static void virtio_console_notify(struct virtio *v, unsigned queue)
{
    struct virtio_console *c = (struct virtio_console *)v;

    if (queue == CONSOLE_TX) {
        if (!timer_armed(&c->timer))
            virtio_console_burst(c);
        return;
    }
    virtio_want_notify(v, CONSOLE_RX, true);
    if (c->backend.can_receive)
        c->backend.can_receive(c->backend.owner);
}

size_t virtio_console_room(struct device *dev)
{
    struct virtio_chain chain;

    return virtio_next((struct virtio *)dev, CONSOLE_RX, &chain) ? (size_t)chain.writable_bytes : 0;
}

size_t virtio_console_receive(struct device *dev, const uint8_t *bytes, size_t count)
{
    struct virtio *v = (struct virtio *)dev;
    struct virtio_chain chain;
    size_t taken = 0;

    while (taken < count && virtio_next(v, CONSOLE_RX, &chain)) {
        size_t part = count - taken;

        if (part > chain.writable_bytes)
            part = (size_t)chain.writable_bytes;
        if (!virtio_write(v, &chain, 0, bytes + taken, part))
            break;
        virtio_finish(v, CONSOLE_RX, &chain, (uint32_t)part);
        taken += part;
    }
    virtio_want_notify(v, CONSOLE_RX, true);
    virtio_signal(v, CONSOLE_RX);
    return taken;
}

static void virtio_console_stop(struct virtio *v)
{
    struct virtio_console *c = (struct virtio_console *)v;

    c->sent = 0;
    virtio_console_arm(c, TIMER_OFF);
}

static const struct virtio_kind virtio_console_kind = { .type = 3,
                                                        .class_code = 0x078000,
                                                        .queues = 2,
                                                        .config_bytes = 12,
                                                        .read_config = virtio_console_read_config,
                                                        .notify = virtio_console_notify,
                                                        .stop = virtio_console_stop };

static bool virtio_console_realize(struct device *dev, struct err *e)
{
    struct virtio_console *c = (struct virtio_console *)dev;

    c->v.kind = &virtio_console_kind;
    timer_init(&c->timer, dev->host->clock, dev->id, virtio_console_burst, c);
    return virtio_realize(&c->v, e);
}

static void virtio_console_unrealize(struct device *dev)
{
    struct virtio_console *c = (struct virtio_console *)dev;

    if (c->timer.clock)
        timer_cancel(&c->timer);
    virtio_unrealize(&c->v);
}

static void virtio_console_settle(struct device *dev)
{
    struct virtio_console *c = (struct virtio_console *)dev;

    virtio_settle(dev);
    if (c->timer.clock)
        virtio_console_arm(c, c->due);
}

const struct device_class virtio_console_class = {
    .name = "virtio_console",
    .title = "virtio console",
    .size = sizeof(struct virtio_console),
    .version = 1,
    .fields = virtio_console_fields,
    .realize = virtio_console_realize,
    .unrealize = virtio_console_unrealize,
    .reset = virtio_reset,
    .settle = virtio_console_settle,
    .show = virtio_show,
};

struct device *virtio_console_create(const char *id, struct device_host *host, struct pci_bus *bus,
                                     unsigned devfn, const struct char_backend *backend)
{
    struct device *dev = virtio_create(&virtio_console_class, id, host, bus, devfn);

    ((struct virtio_console *)dev)->backend = *backend;
    return dev;
}
