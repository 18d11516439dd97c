/* Virtio entropy device: host->outside.entropy, the same bytes in a replay. */
#pragma once
#include "devices/virtio.h"

extern const struct device_class virtio_rng_class;

struct device *virtio_rng_create(const char *id, struct device_host *host, struct pci_bus *bus,
                                 unsigned devfn);
