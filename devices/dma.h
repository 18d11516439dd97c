/* Bus-master access of devices to guest RAM. A guest chooses these addresses, so a range that is
 * not RAM from its first to its last byte is refused as a whole: a card's DMA never reaches
 * another device's registers. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mmu/bus.h"

/* every byte of [pa, pa+count) is RAM, and pa+count does not wrap; true for count 0 */
bool dma_is_ram(struct bus *b, uint64_t pa, uint64_t count);

/* Copy, or return false and touch nothing. */
bool dma_read(struct bus *b, uint64_t pa, void *bytes, size_t count);
bool dma_write(struct bus *b, uint64_t pa, const void *bytes, size_t count);

/* count bytes of zeros */
bool dma_clear(struct bus *b, uint64_t pa, uint64_t count);

/* One little-endian value of 2, 4 or 8 bytes at a multiple of its size. */
bool dma_load(struct bus *b, uint64_t pa, unsigned size, uint64_t *value);
bool dma_store(struct bus *b, uint64_t pa, unsigned size, uint64_t value);
