/* Loads and stores that the inline look-ups of mmu/mmu.h did not finish: misses, page crossings,
 * MMIO, special pages, pages with decoded code, alignment checks.
 *
 * ls_page finds or makes the TLB entry; the rest acts on what struct tlb_detail says of it. An
 * access that touches two pages translates both before it does anything. */
#include <string.h>

#include "mmu/bus_ram.h"
#include "mmu/tlb.h"

/* outside IA-32e mode linear addresses wrap at 4 GiB */
static inline uint64_t ls_wrap(const struct mmu *m, uint64_t linear)
{
    return m->context->canonical_width == 32 ? linear & UINT32_MAX : linear;
}

static inline bool ls_crosses(uint64_t linear, size_t count)
{
    return (linear & ~PAGE_MASK) + count > PAGE_SIZE;
}

static inline enum mmu_view ls_view(const struct mmu *m)
{
    return m->view == VIEW_USER_ALIGNED ? VIEW_USER : m->view;
}

/* The view for an access of `size` bytes, alignment checked where that is on. An address that is
 * not canonical is left to the translation: its fault comes first. */
static inline enum mmu_view ls_checked_view(struct mmu *m, uint64_t linear, unsigned size,
                                            enum mmu_access access)
{
    unsigned width = m->context->canonical_width;

    if (likely(m->view != VIEW_USER_ALIGNED))
        return m->view;
    if (linear & (size - 1) && (width == 32 || is_canonical(linear, width))) {
        struct mmu_fault f = { .kind = FAULT_ALIGNMENT, .access = access, .linear = linear };

        m->fault(m->owner, &f);
    }
    return VIEW_USER;
}

/* The entries that hold a mapping of linear's page that allows `access`; unwinds if none does. */
static inline struct tlb_view *ls_page(struct mmu *m, enum mmu_view view, uint64_t linear,
                                       enum mmu_access access)
{
    struct tlb_view *v = tlb_view(m->context, view);
    uint64_t have = v->detail[tlb_index_for(linear, access)].linear, right = UINT64_C(1) << access;
    struct mmu_out out;

    if ((have & (PAGE_MASK | right)) != ((linear & PAGE_MASK) | right) &&
        unlikely(!mmu_translate(m, linear, access, view, &out)))
        m->fault(m->owner, &out.f);
    return v;
}

/* ---- one page ---- */

/* A copy of what the entry says of some bytes of one page: the entry itself may go while devices
 * and listeners run. */
struct ls_part {
    struct tlb_view *v;
    uint64_t linear, pa;
    uint8_t *native; /* RAM and ROM */
    unsigned kind;
    size_t count;
};

static inline struct ls_part ls_part_of(struct tlb_view *v, uint64_t linear, size_t count,
                                        enum mmu_access access)
{
    unsigned i = tlb_index_for(linear, access);
    struct ls_part p = {
        .v = v,
        .linear = linear,
        .count = count,
        .kind = v->detail[i].pa & ~PAGE_MASK,
        .pa = (v->detail[i].pa & PAGE_MASK) | (linear & ~PAGE_MASK),
    };

    if (p.kind <= KIND_ROM)
        p.native = (uint8_t *)((uintptr_t)linear + v->entry[i].addend);
    return p;
}

static struct ls_part ls_part(struct mmu *m, enum mmu_view view, uint64_t linear, size_t count,
                              enum mmu_access access)
{
    return ls_part_of(ls_page(m, view, linear, access), linear, count, access);
}

static uint64_t ls_read_unit(struct mmu *m, const struct ls_part *p, unsigned offset, unsigned size)
{
    uint64_t pa = p->pa + offset;
    const struct mmu_special_page *s;

    if (p->kind == KIND_MMIO)
        return bus_read(m->bus, pa, size);
    s = &m->special[p->kind - KIND_SPECIAL];
    return zero_extend(s->read(s->owner, pa & ~PAGE_MASK, size), size);
}

static void ls_write_unit(struct mmu *m, const struct ls_part *p, unsigned offset, uint64_t value,
                          unsigned size)
{
    uint64_t pa = p->pa + offset;
    const struct mmu_special_page *s;

    if (p->kind == KIND_MMIO) {
        bus_write(m->bus, pa, value, size);
        return;
    }
    s = &m->special[p->kind - KIND_SPECIAL];
    s->write(s->owner, pa & ~PAGE_MASK, zero_extend(value, size), size);
}

/* A store to RAM without a write tag: a page with decoded code, or one that had some. */
static void ls_write_ram(struct mmu *m, const struct ls_part *p, const void *bytes)
{
    unsigned i = tlb_index(p->linear);
    const struct tlb_detail *d = &p->v->detail[i];
    uint64_t was = d->linear;
    uint8_t *flags;

    if (!bus_ram_at(m->bus, p->pa, &flags))
        return;
    *flags |= PAGE_DIRTY;
    if (*flags & PAGE_CODE)
        bus_open_code(m->bus, p->pa, (unsigned)p->count);
    memcpy(p->native, bytes, p->count);
    if (*flags & PAGE_CODE)
        bus_tell_code_written(m->bus, p->pa, (unsigned)p->count);
    if (!(*flags & PAGE_CODE) && d->linear == was && was & DETAIL_WRITE &&
        (was ^ p->linear) >> PAGE_SHIFT == 0)
        tlb_allow_write(p->v, i, flags);
}

/* the widest aligned unit that fits */
static unsigned ls_unit(uint64_t pa, size_t count)
{
    unsigned unit = 8;

    while (unit > count || pa & (unit - 1))
        unit /= 2;
    return unit;
}

static void ls_read_part(struct mmu *m, const struct ls_part *p, void *bytes)
{
    if (likely(p->kind <= KIND_ROM)) {
        memcpy(bytes, p->native, p->count);
        return;
    }
    for (size_t at = 0, n; at < p->count; at += n) {
        uint64_t v;

        n = ls_unit(p->pa + at, p->count - at);
        v = ls_read_unit(m, p, (unsigned)at, (unsigned)n);
        memcpy((uint8_t *)bytes + at, &v, n);
    }
}

static void ls_write_part(struct mmu *m, const struct ls_part *p, const void *bytes)
{
    if (p->kind == KIND_RAM) {
        ls_write_ram(m, p, bytes);
        return;
    }
    if (p->kind == KIND_ROM)
        return;
    for (size_t at = 0, n; at < p->count; at += n) {
        uint64_t v = 0;

        n = ls_unit(p->pa + at, p->count - at);
        memcpy(&v, (const uint8_t *)bytes + at, n);
        ls_write_unit(m, p, (unsigned)at, v, (unsigned)n);
    }
}

/* ---- two pages ---- */

/* An access that runs out of the canonical addresses faults as a whole, before either page. */
static void ls_check_end(struct mmu *m, uint64_t linear, size_t count, enum mmu_access access)
{
    unsigned width = m->context->canonical_width;

    if (width != 32 && !is_canonical(linear + count - 1, width)) {
        struct mmu_fault f = { .kind = FAULT_NONCANONICAL, .access = access, .linear = linear };

        m->fault(m->owner, &f);
    }
}

/* Both parts of an access that may cross a page boundary (then part[1].count is not 0). */
static void ls_parts(struct mmu *m, enum mmu_view view, uint64_t linear, size_t count,
                     enum mmu_access access, struct ls_part part[2])
{
    size_t first = PAGE_SIZE - (linear & ~PAGE_MASK);

    part[1].count = 0;
    if (first >= count) {
        part[0] = ls_part(m, view, linear, count, access);
        return;
    }
    ls_check_end(m, linear, count, access);
    part[0] = ls_part(m, view, linear, first, access);
    part[1] = ls_part(m, view, ls_wrap(m, linear + first), count - first, access);
}

static void ls_read_bytes(struct mmu *m, enum mmu_view view, uint64_t linear, void *bytes,
                          size_t count, enum mmu_access access)
{
    struct ls_part part[2];

    ls_parts(m, view, linear, count, access, part);
    ls_read_part(m, &part[0], bytes);
    if (part[1].count > 0)
        ls_read_part(m, &part[1], (uint8_t *)bytes + part[0].count);
}

static void ls_write_bytes(struct mmu *m, enum mmu_view view, uint64_t linear, const void *bytes,
                           size_t count)
{
    struct ls_part part[2];

    ls_parts(m, view, linear, count, MMU_WRITE, part);
    ls_write_part(m, &part[0], bytes);
    if (part[1].count > 0)
        ls_write_part(m, &part[1], (const uint8_t *)bytes + part[0].count);
}

/* ---- what mmu.h declares ---- */

static uint64_t ls_load(struct mmu *m, enum mmu_view view, uint64_t linear, unsigned size,
                        enum mmu_access access)
{
    struct tlb_view *v;
    struct ls_part p;
    unsigned i;

    linear = ls_wrap(m, linear);
    if (unlikely(ls_crosses(linear, size))) {
        uint64_t value = 0;

        ls_read_bytes(m, view, linear, &value, size, access);
        return value;
    }
    v = ls_page(m, view, linear, access);
    i = tlb_index(linear);
    if (likely((v->detail[i].pa & ~PAGE_MASK) <= KIND_ROM))
        return native_load((const void *)((uintptr_t)linear + v->entry[i].addend), size);
    p = ls_part(m, view, linear, size, access);
    return ls_read_unit(m, &p, 0, size);
}

static void ls_store(struct mmu *m, enum mmu_view view, uint64_t linear, uint64_t value,
                     unsigned size)
{
    struct tlb_view *v;
    struct ls_part p;
    unsigned i;

    linear = ls_wrap(m, linear);
    if (unlikely(ls_crosses(linear, size))) {
        ls_write_bytes(m, view, linear, &value, size);
        return;
    }
    v = ls_page(m, view, linear, MMU_WRITE);
    i = tlb_index(linear);
    if (likely(v->entry[i].write == (linear & PAGE_MASK))) {
        native_store((void *)((uintptr_t)linear + v->entry[i].addend), value, size);
        return;
    }
    p = ls_part_of(v, linear, size, MMU_WRITE);
    if (p.kind <= KIND_ROM)
        ls_write_part(m, &p, &value);
    else
        ls_write_unit(m, &p, 0, value, size);
}

static inline void ls_watch(struct mmu *m, uint64_t linear, size_t count, bool write)
{
    if (unlikely(m->watch))
        m->watch(m->owner, ls_wrap(m, linear), count, write);
}

uint64_t mmu_load_slow(struct mmu *m, uint64_t linear, unsigned size)
{
    uint64_t v = ls_load(m, ls_checked_view(m, linear, size, MMU_READ), linear, size, MMU_READ);

    ls_watch(m, linear, size, false);
    return v;
}

void mmu_store_slow(struct mmu *m, uint64_t linear, uint64_t value, unsigned size)
{
    ls_store(m, ls_checked_view(m, linear, size, MMU_WRITE), linear, value, size);
    ls_watch(m, linear, size, true);
}

uint64_t mmu_load_rmw_slow(struct mmu *m, uint64_t linear, unsigned size)
{
    uint64_t v = ls_load(m, ls_checked_view(m, linear, size, MMU_WRITE), linear, size, MMU_WRITE);

    ls_watch(m, linear, size, false);
    return v;
}

uint64_t mmu_load_system(struct mmu *m, uint64_t linear, unsigned size)
{
    const struct tlb_entry *e = tlb_at(m->tlb_system, linear);

    if (unlikely(e->read != ((linear + size - 1) & PAGE_MASK)))
        return ls_load(m, VIEW_SUPERVISOR, linear, size, MMU_READ);
    return native_load((const void *)((uintptr_t)linear + e->addend), size);
}

void mmu_store_system(struct mmu *m, uint64_t linear, uint64_t value, unsigned size)
{
    const struct tlb_entry *e = tlb_at(m->tlb_system, linear);

    if (unlikely(e->write != ((linear + size - 1) & PAGE_MASK)))
        ls_store(m, VIEW_SUPERVISOR, linear, value, size);
    else
        native_store((void *)((uintptr_t)linear + e->addend), value, size);
}

void mmu_load_bytes_slow(struct mmu *m, uint64_t linear, void *bytes, size_t count)
{
    ls_read_bytes(m, ls_view(m), ls_wrap(m, linear), bytes, count, MMU_READ);
    ls_watch(m, linear, count, false);
}

void mmu_store_bytes_slow(struct mmu *m, uint64_t linear, const void *bytes, size_t count)
{
    ls_write_bytes(m, ls_view(m), ls_wrap(m, linear), bytes, count);
    ls_watch(m, linear, count, true);
}

void mmu_probe(struct mmu *m, uint64_t linear, size_t count, enum mmu_access access)
{
    struct ls_part part[2];

    ls_parts(m, ls_view(m), ls_wrap(m, linear), count, access, part);
}

/* A fetch from RAM without a fetch tag: a page that has been open, as it is to whom this is new. */
static void ls_allow_fetch(struct mmu *m, const struct ls_part *p)
{
    unsigned i = tlb_code_index(p->linear);
    uint8_t *flags;

    if (p->v->entry[i].fetch == (p->linear & PAGE_MASK) || !bus_ram_at(m->bus, p->pa, &flags))
        return;
    bus_close_code(m->bus, p->pa);
    tlb_allow_fetch(p->v, i, flags);
}

uint64_t mmu_fetch(struct mmu *m, uint64_t linear, const uint8_t **native_page)
{
    struct ls_part p = ls_part(m, ls_view(m), ls_wrap(m, linear), 1, MMU_FETCH);

    *native_page = NULL;
    if (likely(p.kind == KIND_RAM))
        ls_allow_fetch(m, &p);
    if (likely(p.native != NULL)) {
        *native_page = p.native - (linear & ~PAGE_MASK);
    } else if (p.kind >= KIND_SPECIAL) {
        const struct mmu_special_page *s = &m->special[p.kind - KIND_SPECIAL];

        if (s->other)
            s->other(s->owner, p.pa & ~PAGE_MASK, S2_FETCH);
    }
    return p.pa;
}

uint8_t *mmu_native(struct mmu *m, uint64_t linear, enum mmu_access access)
{
    struct ls_part p;
    uint8_t *flags;

    if ((m->view == VIEW_USER_ALIGNED || m->watch) && access != MMU_FETCH)
        return NULL; /* each element must be checked for alignment, or watched */
    p = ls_part(m, ls_view(m), ls_wrap(m, linear), 1, access);
    if (access != MMU_WRITE || !p.native)
        return p.native;
    if (p.kind != KIND_RAM || !bus_ram_at(m->bus, p.pa, &flags) || *flags & PAGE_CODE)
        return NULL;
    tlb_allow_write(p.v, tlb_index(p.linear), flags);
    return p.native;
}
