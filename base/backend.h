/* The native sides of devices: filled by machine/ from what include/nidus.h was given. Input from
 * outside reaches a device only through the machine's gate, stamped with a cycle. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a serial port's output goes. Input comes by a receive function of the device. */
struct char_backend {
    void *owner;
    void (*write)(void *owner, const uint8_t *bytes, size_t count);
    /* the device can take input again (its buffer had been full) */
    void (*can_receive)(void *owner);
};

enum block_result { BLOCK_OK, BLOCK_IO_ERROR, BLOCK_READ_ONLY, BLOCK_NO_SPACE };

/* A disk's contents. Calls complete before they return; offset and count are multiples of 512 and
 * inside `size`. */
struct block_backend {
    void *owner;
    uint64_t size; /* bytes */
    bool read_only;
    enum block_result (*read)(void *owner, uint64_t offset, uint8_t *bytes, size_t count);
    enum block_result (*write)(void *owner, uint64_t offset, const uint8_t *bytes, size_t count);
    enum block_result (*flush)(void *owner);
};

/* Entropy and wall time, both from the gate: the same in a replay. */
struct outside {
    void *owner;
    void (*entropy)(void *owner, uint8_t *bytes, size_t count);
    int64_t (*wall_seconds)(void *owner); /* Unix time at power-on, UTC */
};
