/* The physical address space. RAM is found by comparison (mmu/bus_ram.h); device ranges and ROM by
 * binary search in a flat, sorted view, which is rebuilt whenever something is mapped or unmapped.
 * Pages of RAM that a range covers carry PAGE_COVERED, so that the RAM test stays one look-up. */
#include "mmu/bus.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "mmu/bus_ram.h"

struct bus *bus_create(void)
{
    struct bus *b = calloc(1, sizeof *b);

    ASSERT(b);
    return b;
}

void bus_destroy(struct bus *b)
{
    if (!b)
        return;
    ram_destroy(&b->ram);
    free(b->page_flags);
    free(b->mapped);
    free(b->flat);
    free(b);
}

void bus_listen(struct bus *b, struct bus_listener *l)
{
    l->next = b->listeners;
    b->listeners = l;
}

void bus_unlisten(struct bus *b, struct bus_listener *l)
{
    for (struct bus_listener **at = &b->listeners; *at; at = &(*at)->next) {
        if (*at == l) {
            *at = l->next;
            return;
        }
    }
}

void bus_tell_code_written(struct bus *b, uint64_t pa, unsigned size)
{
    bool code = false;

    for (struct bus_listener *l = b->listeners; l; l = l->next)
        if (l->code_written)
            code |= l->code_written(l->owner, pa, size);
    if (!code)
        bus_unmark_code(b, pa);
}

/* ---- the flat view ---- */

/* The part of [first, last] that is in RAM at [base, base+size) gets or loses PAGE_COVERED. */
static void bus_cover_part(struct bus *b, const struct bus_range *r, uint64_t base, uint64_t size,
                           bool covered)
{
    uint64_t first = r->first & PAGE_MASK, last = r->last | ~PAGE_MASK;

    if (size == 0 || first > base + size - 1 || last < base)
        return;
    if (first < base)
        first = base;
    if (last > base + size - 1)
        last = base + size - 1;
    for (uint64_t pa = first; pa <= last; pa += PAGE_SIZE) {
        uint8_t *f = &b->page_flags[bus_ram_offset(b, pa) >> PAGE_SHIFT];

        *f = covered ? *f | PAGE_COVERED : *f & ~PAGE_COVERED;
    }
}

static void bus_cover(struct bus *b, bool covered)
{
    for (unsigned i = 0; i < b->flat_count; i++) {
        bus_cover_part(b, &b->flat[i], 0, b->low_size, covered);
        bus_cover_part(b, &b->flat[i], BUS_HIGH_RAM, b->high_size, covered);
    }
}

static int bus_compare_addresses(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* the last mapped range that holds pa */
static const struct bus_range *bus_winner(const struct bus *b, uint64_t pa)
{
    for (unsigned i = b->mapped_count; i-- > 0;)
        if (pa - b->mapped[i].first <= b->mapped[i].last - b->mapped[i].first)
            return &b->mapped[i];
    return NULL;
}

/* Cut the address space wherever a range begins or ends, and ask for each piece who wins it. */
static void bus_flatten(struct bus *b)
{
    unsigned cuts = 0;
    uint64_t *cut = malloc((2 * b->mapped_count + 1) * sizeof *cut);

    ASSERT(cut);
    for (unsigned i = 0; i < b->mapped_count; i++) {
        cut[cuts++] = b->mapped[i].first;
        if (b->mapped[i].last != UINT64_MAX)
            cut[cuts++] = b->mapped[i].last + 1;
    }
    qsort(cut, cuts, sizeof *cut, bus_compare_addresses);
    b->flat = realloc(b->flat, (cuts + 1) * sizeof *b->flat);
    ASSERT(b->flat);
    b->flat_count = 0;
    for (unsigned i = 0; i < cuts; i++) {
        const struct bus_range *r = bus_winner(b, cut[i]);
        uint64_t last = i + 1 < cuts ? cut[i + 1] - 1 : UINT64_MAX;

        if (!r || (i + 1 < cuts && cut[i + 1] == cut[i]))
            continue;
        b->flat[b->flat_count] = *r;
        b->flat[b->flat_count].first = cut[i];
        b->flat[b->flat_count].last = last;
        b->flat_count++;
    }
    free(cut);
}

static void bus_map_changed(struct bus *b)
{
    bus_cover(b, false);
    bus_flatten(b);
    bus_cover(b, true);
    for (struct bus_listener *l = b->listeners; l; l = l->next)
        if (l->map_changed)
            l->map_changed(l->owner);
}

static const struct bus_range *bus_find(const struct bus *b, uint64_t pa)
{
    unsigned low = 0, high = b->flat_count;

    while (low < high) {
        unsigned mid = (low + high) / 2;

        if (b->flat[mid].last < pa)
            low = mid + 1;
        else
            high = mid;
    }
    return low < b->flat_count && b->flat[low].first <= pa ? &b->flat[low] : NULL;
}

/* ---- mapping ---- */

bool bus_add_ram(struct bus *b, uint64_t size, uint64_t low, struct err *e)
{
    ASSERT(!b->ram.bytes && size > 0 && low <= BUS_HIGH_RAM);
    ASSERT(size % PAGE_SIZE == 0 && low % PAGE_SIZE == 0);
    if (!ram_create(&b->ram, size, e))
        return false;
    b->page_flags = calloc(size >> PAGE_SHIFT, 1);
    if (!b->page_flags) {
        ram_destroy(&b->ram);
        return err_set(e, "guest RAM: no memory for its page flags; use a smaller size");
    }
    b->low_size = low < size ? low : size;
    b->high_size = size - b->low_size;
    bus_map_changed(b);
    return true;
}

uint64_t bus_ram_size(const struct bus *b)
{
    return b->ram.size;
}

static struct bus_range *bus_append(struct bus *b)
{
    if (b->mapped_count == b->mapped_capacity) {
        b->mapped_capacity = b->mapped_capacity ? 2 * b->mapped_capacity : 32;
        b->mapped = realloc(b->mapped, b->mapped_capacity * sizeof *b->mapped);
        ASSERT(b->mapped);
    }
    return &b->mapped[b->mapped_count++];
}

void bus_map(struct bus *b, uint64_t base, uint64_t size, const char *name,
             const struct io_ops *ops, void *owner)
{
    ASSERT(size > 0 && base + size - 1 >= base);
    *bus_append(b) = (struct bus_range){
        .first = base,
        .last = base + size - 1,
        .origin = base,
        .name = name,
        .ops = ops,
        .owner = owner,
    };
    bus_map_changed(b);
}

void bus_map_rom(struct bus *b, uint64_t base, const uint8_t *bytes, uint64_t size,
                 const char *name)
{
    ASSERT(size > 0 && base + size - 1 >= base);
    *bus_append(b) = (struct bus_range){
        .first = base,
        .last = base + size - 1,
        .origin = base,
        .name = name,
        .rom = bytes,
    };
    bus_map_changed(b);
}

/* Cut [first, last] out of range `index`; what lies above becomes a range of its own right behind
 * it, so that the order of mapping is kept. */
static void bus_cut(struct bus *b, unsigned index, uint64_t first, uint64_t last)
{
    struct bus_range *r = &b->mapped[index];
    struct bus_range above = *r;
    bool has_below = r->first<first, has_above = r->last> last;

    above.first = last + 1;
    if (has_below)
        r->last = first - 1;
    if (has_below && has_above) {
        bus_append(b);
        r = &b->mapped[index];
        memmove(r + 2, r + 1, (b->mapped_count - index - 2) * sizeof *r);
        r[1] = above;
    } else if (has_above) {
        *r = above;
    } else if (!has_below) {
        memmove(r, r + 1, (b->mapped_count - index - 1) * sizeof *r);
        b->mapped_count--;
    }
}

void bus_unmap(struct bus *b, uint64_t base, uint64_t size, void *owner)
{
    uint64_t last = base + size - 1;

    if (size == 0 || last < base)
        return;
    for (unsigned i = b->mapped_count; i-- > 0;) {
        const struct bus_range *r = &b->mapped[i];

        if (r->owner == owner && r->first <= last && r->last >= base)
            bus_cut(b, i, base, last);
    }
    bus_map_changed(b);
}

/* ---- access ---- */

uint8_t *bus_native(struct bus *b, uint64_t pa)
{
    uint8_t *flags;

    return bus_ram_at(b, pa & PAGE_MASK, &flags);
}

const uint8_t *bus_native_rom(struct bus *b, uint64_t pa)
{
    const uint8_t *native = bus_native(b, pa);
    const struct bus_range *r;

    if (native)
        return native;
    r = bus_find(b, pa);
    if (!r || !r->rom || r->first > (pa & PAGE_MASK) || r->last < (pa | ~PAGE_MASK))
        return NULL;
    return r->rom + ((pa & PAGE_MASK) - r->origin);
}

/* An access that no RAM answers. What begins in one range and ends elsewhere goes byte by byte. */
static uint64_t bus_read_range(struct bus *b, uint64_t pa, unsigned size)
{
    const struct bus_range *r = bus_find(b, pa);
    uint64_t v = 0;

    if (r && r->last - pa >= size - 1) {
        if (!r->rom)
            return io_read(r->ops, r->owner, pa - r->origin, size);
        return native_load(r->rom + (pa - r->origin), size);
    }
    if (size == 1)
        return 0xff;
    for (unsigned i = 0; i < size; i++)
        v |= bus_read_range(b, pa + i, 1) << 8 * i;
    return v;
}

static void bus_write_range(struct bus *b, uint64_t pa, uint64_t value, unsigned size)
{
    const struct bus_range *r = bus_find(b, pa);

    if (r && r->last - pa >= size - 1) {
        if (!r->rom)
            io_write(r->ops, r->owner, pa - r->origin, value, size);
        return;
    }
    if (size == 1)
        return;
    for (unsigned i = 0; i < size; i++)
        bus_write_range(b, pa + i, value >> 8 * i & 0xff, 1);
}

uint64_t bus_read(struct bus *b, uint64_t pa, unsigned size)
{
    uint8_t *flags;
    const uint8_t *ram = bus_ram_at(b, pa, &flags);

    if (unlikely(!ram))
        return bus_read_range(b, pa, size);
    return native_load(ram, size);
}

void bus_write(struct bus *b, uint64_t pa, uint64_t value, unsigned size)
{
    uint8_t *flags;
    uint8_t *ram = bus_ram_at(b, pa, &flags);

    if (unlikely(!ram)) {
        bus_write_range(b, pa, value, size);
        return;
    }
    *flags |= PAGE_DIRTY;
    native_store(ram, value, size);
    if (unlikely(*flags & PAGE_CODE))
        bus_tell_code_written(b, pa, size);
}

/* the widest aligned unit at pa of at most `count` bytes */
static unsigned bus_unit(uint64_t pa, size_t count)
{
    unsigned unit = 8;

    while (unit > count || pa % unit != 0)
        unit /= 2;
    return unit;
}

void bus_read_bytes(struct bus *b, uint64_t pa, void *bytes, size_t count)
{
    uint8_t *to = bytes;

    while (count > 0) {
        uint8_t *flags;
        const uint8_t *ram = bus_ram_at(b, pa, &flags);
        size_t n = PAGE_SIZE - pa % PAGE_SIZE;

        if (n > count)
            n = count;
        if (ram) {
            memcpy(to, ram, n);
        } else {
            uint64_t v;

            n = bus_unit(pa, n);
            v = bus_read_range(b, pa, (unsigned)n);
            memcpy(to, &v, n);
        }
        to += n;
        pa += n;
        count -= n;
    }
}

void bus_write_bytes(struct bus *b, uint64_t pa, const void *bytes, size_t count)
{
    const uint8_t *from = bytes;

    while (count > 0) {
        uint8_t *flags;
        uint8_t *ram = bus_ram_at(b, pa, &flags);
        size_t n = PAGE_SIZE - pa % PAGE_SIZE;

        if (n > count)
            n = count;
        if (ram) {
            *flags |= PAGE_DIRTY;
            memcpy(ram, from, n);
            if (*flags & PAGE_CODE)
                bus_tell_code_written(b, pa, (unsigned)n);
        } else {
            uint64_t v = 0;

            n = bus_unit(pa, n);
            memcpy(&v, from, n);
            bus_write_range(b, pa, v, (unsigned)n);
        }
        from += n;
        pa += n;
        count -= n;
    }
}

/* ---- page flags ---- */

uint8_t *bus_page_flags(struct bus *b, uint64_t pa)
{
    uint8_t *flags;

    return bus_ram_at(b, pa, &flags) ? flags : NULL;
}

void bus_mark_code(struct bus *b, uint64_t pa)
{
    uint8_t *flags;

    if (!bus_ram_at(b, pa, &flags))
        return;
    if (*flags & PAGE_OPEN) {
        bus_close_code(b, pa);
        return;
    }
    *flags |= PAGE_CODE;
    if (!(*flags & PAGE_WRITABLE))
        return;
    *flags &= (uint8_t)~PAGE_WRITABLE;
    for (struct bus_listener *l = b->listeners; l; l = l->next)
        if (l->protect_page)
            l->protect_page(l->owner, pa & PAGE_MASK);
}

void bus_unmark_code(struct bus *b, uint64_t pa)
{
    uint8_t *flags;

    if (bus_ram_at(b, pa, &flags))
        *flags &= (uint8_t)~PAGE_CODE;
}

void bus_open_code(struct bus *b, uint64_t pa, unsigned size)
{
    uint8_t *flags;

    if (!bus_ram_at(b, pa, &flags))
        return;
    for (struct bus_listener *l = b->listeners; l; l = l->next)
        if (l->code_written && !(l->may_open && l->may_open(l->owner, pa, size)))
            return;
    for (struct bus_listener *l = b->listeners; l; l = l->next)
        if (l->opens)
            l->opens(l->owner, pa & PAGE_MASK);
    *flags = (uint8_t)((*flags & ~PAGE_CODE) | PAGE_OPEN);
}

void bus_close_code(struct bus *b, uint64_t pa)
{
    uint8_t *flags;

    if (!bus_ram_at(b, pa, &flags) || !(*flags & PAGE_OPEN))
        return;
    *flags &= (uint8_t)~PAGE_OPEN;
    bus_mark_code(b, pa);
    for (struct bus_listener *l = b->listeners; l; l = l->next)
        if (l->closed)
            l->closed(l->owner, pa & PAGE_MASK);
}

/* ---- `info mtree` ---- */

static void bus_show_ram(const struct bus *b, FILE *out, uint64_t base, uint64_t size)
{
    if (size > 0)
        fprintf(out, "%016" PRIx64 "-%016" PRIx64 " RAM\n", base, base + size - 1);
}

void bus_show(const struct bus *b, FILE *out)
{
    bus_show_ram(b, out, 0, b->low_size);
    bus_show_ram(b, out, BUS_HIGH_RAM, b->high_size);
    for (unsigned i = 0; i < b->flat_count; i++)
        fprintf(out, "%016" PRIx64 "-%016" PRIx64 " %s%s\n", b->flat[i].first, b->flat[i].last,
                b->flat[i].name, b->flat[i].rom ? " (ROM)" : "");
}
