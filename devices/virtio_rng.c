/* Virtio entropy device, 1af4:1044: fills the buffers of its one queue at once. It may fill less of
 * a buffer than there is, which bounds what one notification costs.
 * [VIRTIO 1.1 "Entropy Device"] */
#include "devices/virtio_rng.h"

enum { RNG_BYTES = 1024 };

struct virtio_rng {
    struct virtio v;
};

static const struct field virtio_rng_fields[] = {
    VIRTIO_FIELDS(struct virtio_rng, v),
    { 0 },
};

static void virtio_rng_notify(struct virtio *v, unsigned queue)
{
    const struct outside *outside = &v->pci.dev.host->outside;
    struct virtio_chain chain;
    uint8_t bytes[RNG_BYTES];

    while (virtio_next(v, 0, &chain)) {
        size_t part = chain.writable_bytes < sizeof bytes ? (size_t)chain.writable_bytes
                                                          : sizeof bytes;

        outside->entropy(outside->owner, bytes, part);
        if (!virtio_write(v, &chain, 0, bytes, part))
            return;
        virtio_finish(v, 0, &chain, (uint32_t)part);
    }
    virtio_want_notify(v, 0, true);
    virtio_signal(v, 0);
}

static const struct virtio_kind virtio_rng_kind = {
    .type = 4, .class_code = 0x00ff00, .queues = 1, .notify = virtio_rng_notify
};

static bool virtio_rng_realize(struct device *dev, struct err *e)
{
    struct virtio_rng *r = (struct virtio_rng *)dev;

    if (!dev->host->outside.entropy)
        return err_set(e, "%s: no source of entropy behind it", dev->id);
    r->v.kind = &virtio_rng_kind;
    return virtio_realize(&r->v, e);
}

static void virtio_rng_unrealize(struct device *dev)
{
    virtio_unrealize((struct virtio *)dev);
}

const struct device_class virtio_rng_class = {
    .name = "virtio_rng",
    .title = "virtio entropy",
    .size = sizeof(struct virtio_rng),
    .version = 1,
    .fields = virtio_rng_fields,
    .realize = virtio_rng_realize,
    .unrealize = virtio_rng_unrealize,
    .reset = virtio_reset,
    .settle = virtio_settle,
    .show = virtio_show,
};

struct device *virtio_rng_create(const char *id, struct device_host *host, struct pci_bus *bus,
                                 unsigned devfn)
{
    return virtio_create(&virtio_rng_class, id, host, bus, devfn);
}
