/* Virtio console: one port, one stream of bytes each way. */
#pragma once
#include "devices/virtio.h"

extern const struct device_class virtio_console_class;

/* The backend is copied. */
struct device *virtio_console_create(const char *id, struct device_host *host, struct pci_bus *bus,
                                     unsigned devfn, const struct char_backend *backend);
/* How many bytes it can take at least; the backend's can_receive says when that may be more. */
size_t virtio_console_room(struct device *dev);
/**
 * virtio_console_receive - bytes for the guest; returns how many it had buffers for, from the
 * first. When it offers more buffers, the backend's can_receive is called.
 */
size_t virtio_console_receive(struct device *dev, const uint8_t *bytes, size_t count);
