/* The physical address space: RAM, ROM and device ranges. One bus a machine, shared by its
 * processors and by the devices that do DMA. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "mmu/io_ops.h"

#define PAGE_SIZE UINT64_C(4096)
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define PAGE_SHIFT 12

struct bus;

/* Per 4-KiB page of RAM, one byte of these. */
enum {
    PAGE_CODE = 1,     /* some processor has blocks decoded from this page */
    PAGE_OPEN = 8,     /* ... but they are not run, so stores need not be told: no PAGE_CODE */
    PAGE_WRITABLE = 2, /* some TLB may hold a write tag for it */
    PAGE_DIRTY = 4,    /* written since the last clearing (snapshots, PML, VGA use their own) */
};

/* Told about changes that make cached translations or decoded code stale. */
struct bus_listener {
    void *owner;
    /* Bytes of a PAGE_CODE page have been written, [pa, pa+size) inside one page.
     * Does the owner still have code on the page? Where nobody has, the mark goes. */
    bool (*code_written)(void *owner, uint64_t pa, unsigned size);
    /* withdraw write tags that cover this page (it has become a code page) */
    void (*protect_page)(void *owner, uint64_t pa);
    /* Bytes at pa are about to be written: may the page be opened? It is being opened: nobody may
     * fetch from it without asking again. Somebody does: it has become a PAGE_CODE page again. */
    bool (*may_open)(void *owner, uint64_t pa, unsigned size);
    void (*opens)(void *owner, uint64_t pa);
    void (*closed)(void *owner, uint64_t pa);
    /* the map itself changed: flush everything */
    void (*map_changed)(void *owner);
    struct bus_listener *next;
};

struct bus *bus_create(void);
void bus_destroy(struct bus *b);
/* Functions that a listener leaves NULL are not called. */
void bus_listen(struct bus *b, struct bus_listener *l);
void bus_unlisten(struct bus *b, struct bus_listener *l);

/* RAM: anonymous shared memory (memfd), `size` bytes: the first `low` of it at 0, the rest at
 * 4 GiB. Returns false with an explanation if the native machine has no such memory. */
bool bus_add_ram(struct bus *b, uint64_t size, uint64_t low, struct err *e);
uint64_t bus_ram_size(const struct bus *b);

/* Device and ROM ranges; base and size are multiples of 4 KiB except that devices may be smaller
 * (they own what they decode, the rest of the page reads as ones). Ranges mapped later win where
 * they overlap earlier ones, and RAM too; unmapping uncovers what was below. */
void bus_map(struct bus *b, uint64_t base, uint64_t size, const char *name,
             const struct io_ops *ops, void *owner);
void bus_map_rom(struct bus *b, uint64_t base, const uint8_t *bytes, uint64_t size,
                 const char *name);
void bus_unmap(struct bus *b, uint64_t base, uint64_t size, void *owner);

/* The native address of the 4-KiB page of RAM that holds pa, or NULL (ROM, device, nothing).
 * bus_native_rom gives ROM too, for reading and fetching only. */
uint8_t *bus_native(struct bus *b, uint64_t pa);
const uint8_t *bus_native_rom(struct bus *b, uint64_t pa);

/* One access of 1, 2, 4 or 8 bytes that does not cross a page; what a processor does on a TLB
 * miss, and for page-table entries. Writes to RAM go through the code and dirty tracking. */
uint64_t bus_read(struct bus *b, uint64_t pa, unsigned size);
void bus_write(struct bus *b, uint64_t pa, uint64_t value, unsigned size);

/* DMA and loaders: any length, any mix of ranges. */
void bus_read_bytes(struct bus *b, uint64_t pa, void *bytes, size_t count);
void bus_write_bytes(struct bus *b, uint64_t pa, const void *bytes, size_t count);

/* The flags byte of the RAM page that holds pa (PAGE_*), or NULL where there is no RAM. */
uint8_t *bus_page_flags(struct bus *b, uint64_t pa);
/* Mark a page as having decoded code; tells the listeners to withdraw write tags if there are
 * any. bus_unmark_code when the last block of every processor on it is gone. */
void bus_mark_code(struct bus *b, uint64_t pa);
void bus_unmark_code(struct bus *b, uint64_t pa);
/* Pages that are written and run by turns: with a store, which need not be told then, a PAGE_CODE page
 * becomes PAGE_OPEN, if all agree; with the next fetch, a PAGE_CODE page again. */
void bus_open_code(struct bus *b, uint64_t pa, unsigned size);
void bus_close_code(struct bus *b, uint64_t pa);

/* one line a range, for `info mtree` */
void bus_show(const struct bus *b, FILE *out);
