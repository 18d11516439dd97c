/* The inside of the bus that the MMU's hot paths share with bus.c: where RAM is, in a compare or
 * two. Everybody else uses mmu/bus.h. */
#pragma once
#include <string.h>

#include "base/bits.h"
#include "mmu/bus.h"
#include "mmu/ram.h"

#define BUS_HIGH_RAM BIT(32) /* where RAM continues above the PCI hole */
#define BUS_NOT_RAM UINT64_MAX

/* A page flag of the bus's own: a device or ROM lies over (part of) this page of RAM. */
enum { PAGE_COVERED = 128 };

/* One mapping, or a piece of one: [first, last]. */
struct bus_range {
    uint64_t first, last;
    uint64_t origin; /* the address at offset 0 */
    const char *name;
    const struct io_ops *ops; /* NULL for ROM */
    void *owner;
    const uint8_t *rom;
};

struct bus {
    uint64_t low_size, high_size; /* RAM at 0 and at 4 GiB */
    uint8_t *page_flags;          /* a byte per page of RAM, in the order of the file */
    struct ram ram;
    struct bus_range *mapped; /* in the order of mapping */
    struct bus_range *flat;   /* by address, disjoint: who wins where */
    unsigned mapped_count, mapped_capacity, flat_count;
    struct bus_listener *listeners;
};

/* where in the memory file pa is, covered or not */
static inline uint64_t bus_ram_offset(const struct bus *b, uint64_t pa)
{
    if (likely(pa < b->low_size))
        return pa;
    if (pa - BUS_HIGH_RAM < b->high_size)
        return pa - BUS_HIGH_RAM + b->low_size;
    return BUS_NOT_RAM;
}

/* the native address of pa and its page's flags; NULL where RAM does not answer */
static inline uint8_t *bus_ram_at(const struct bus *b, uint64_t pa, uint8_t **flags)
{
    uint64_t offset = bus_ram_offset(b, pa);
    uint8_t *f;

    if (unlikely(offset == BUS_NOT_RAM))
        return NULL;
    f = &b->page_flags[offset >> PAGE_SHIFT];
    if (unlikely(*f & PAGE_COVERED))
        return NULL;
    *flags = f;
    return b->ram.bytes + offset;
}

/* 1, 2, 4 or 8 bytes at any native address; a copy of known size is an instruction, not a call */
static inline uint64_t native_load(const void *at, unsigned size)
{
    uint64_t v = 0;

    switch (size) {
    case 1: memcpy(&v, at, 1); break;
    case 2: memcpy(&v, at, 2); break;
    case 4: memcpy(&v, at, 4); break;
    default: memcpy(&v, at, 8);
    }
    return v;
}

static inline void native_store(void *at, uint64_t v, unsigned size)
{
    switch (size) {
    case 1: memcpy(at, &v, 1); break;
    case 2: memcpy(at, &v, 2); break;
    case 4: memcpy(at, &v, 4); break;
    default: memcpy(at, &v, 8);
    }
}

/* tell the listeners that [pa, pa+size) of a PAGE_CODE page has been written; the page may be
 * none any more afterwards */
void bus_tell_code_written(struct bus *b, uint64_t pa, unsigned size);
