/* Virtio disk. */
#pragma once
#include "devices/virtio.h"

extern const struct device_class virtio_blk_class;

/* The backend is copied; what it points to must outlive the device. The disk's serial number, as
 * the guest sees it, is the id. */
struct device *virtio_blk_create(const char *id, struct device_host *host, struct pci_bus *bus,
                                 unsigned devfn, const struct block_backend *backend);
