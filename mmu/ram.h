/* The native memory behind guest RAM: one mapping of anonymous shared memory, so that a snapshot
 * can be a copy-on-write view of the same file. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct ram {
    uint8_t *bytes;
    uint64_t size;
    int fd;
};

/* Resident only as it is touched. Returns false with an explanation. */
bool ram_create(struct ram *r, uint64_t size, struct err *e);
void ram_destroy(struct ram *r);
