/* Walks of the paging structures: 32-bit, PAE, 4-level and 5-level, one table row a level.
 * [SDM 3A "32-Bit Paging"] [SDM 3A "PAE Paging"] [SDM 3A "4-Level Paging and 5-Level Paging"]
 * [SDM 3A "Page-Fault Exceptions"] [SDM 3A "Accessed and Dirty Flags"]
 *
 * The order at each level is the manual's: present, then reserved bits. Access rights are combined
 * and checked at the end, then the accessed flags are set from the top down, then the dirty flag:
 * an access that faults sets none. Walks of 8-byte entries leave a hint where the last table is. */
#include "mmu/walk.h"

#include <string.h>

#include "mmu/bus_ram.h"
#include "mmu/cost.h"
#include "mmu/gpa_cache.h"

enum { PTE_P = 1, PTE_W = 2, PTE_U = 4, PTE_A = 32, PTE_D = 64, PTE_PS = 128, PTE_G = 256 };

/* of a page-fault error code */
enum { PF_P = 1, PF_W = 2, PF_U = 4, PF_RSVD = 8, PF_I = 16 };

#define PTE_XD BIT(63)
#define WALK_MAX 5
#define PAE_PDPTE_RESERVED (BITS(2, 1) | BITS(8, 5))

struct walk_level {
    uint8_t shift;           /* lowest linear-address bit of the index */
    bool maps_large;         /* bit 7 maps a page here */
    uint64_t reserved;       /* of an entry that refers to a table */
    uint64_t large_reserved; /* of one that maps a large page */
};

struct walk_format {
    uint8_t levels, entry_bytes;
    uint16_t index_mask;
    struct walk_level level[WALK_MAX];
};

static const struct walk_format walk_32 = {
    .levels = 2,
    .entry_bytes = 4,
    .index_mask = 0x3ff,
    .level = { { .shift = 22 }, { .shift = 12 } },
};

/* Bits 20:13 of a 4-MiB entry are address bits 39:32 (PSE-36): see walk_pse_reserved. */
static const struct walk_format walk_32_pse = {
    .levels = 2, .entry_bytes = 4, .index_mask = 0x3ff,
    .level = {
        {.shift = 22, .maps_large = true, .large_reserved = BIT(21)},
        {.shift = 12},
    },
};

/* below the four PDPTE registers */
static const struct walk_format walk_pae = {
    .levels = 2, .entry_bytes = 8, .index_mask = 0x1ff,
    .level = {
        {.shift = 21, .maps_large = true, .large_reserved = BITS(20, 13)},
        {.shift = 12},
    },
};

static const struct walk_format walk_4_level = {
    .levels = 4, .entry_bytes = 8, .index_mask = 0x1ff,
    .level = {
        {.shift = 39, .reserved = PTE_PS},
        {.shift = 30, .maps_large = true, .large_reserved = BITS(29, 13)},
        {.shift = 21, .maps_large = true, .large_reserved = BITS(20, 13)},
        {.shift = 12},
    },
};

static const struct walk_format walk_5_level = {
    .levels = 5, .entry_bytes = 8, .index_mask = 0x1ff,
    .level = {
        {.shift = 48, .reserved = PTE_PS},
        {.shift = 39, .reserved = PTE_PS},
        {.shift = 30, .maps_large = true, .large_reserved = BITS(29, 13)},
        {.shift = 21, .maps_large = true, .large_reserved = BITS(20, 13)},
        {.shift = 12},
    },
};

/* One walk under way. */
struct walk_run {
    struct mmu *m;
    const struct walk_format *format;
    uint64_t linear;
    enum mmu_access access;
    enum mmu_view view;
    bool peek;
    bool special;          /* accesses to some page must be told */
    unsigned mode;         /* MODE_* of the context */
    uint64_t reserved;     /* in every entry */
    uint64_t address_mask; /* of the next table or page */
    uint64_t rights;       /* U/S, R/W of all entries so far; XD if any has it */
    uint64_t above;        /* the same before the leaf */
    unsigned used;         /* levels read, and their entries: */
    uint64_t entry[WALK_MAX], entry_gpa[WALK_MAX];
    struct mmu_fault *f;
};

static bool walk_page_fault(struct walk_run *r, uint32_t code)
{
    bool fetch_shows = r->mode & MODE_SMEP ||
                       (r->mode & MODE_NXE && r->mode & (MODE_PAE | MODE_LMA));

    if (r->access == MMU_WRITE)
        code |= PF_W;
    if (r->view == VIEW_USER)
        code |= PF_U;
    if (r->access == MMU_FETCH && fetch_shows)
        code |= PF_I;
    *r->f = (struct mmu_fault){
        .kind = FAULT_PAGE,
        .access = r->access,
        .linear = r->linear,
        .error_code = code,
    };
    return false;
}

static void walk_tell_special(struct walk_run *r, uint64_t pa, unsigned access)
{
    for (unsigned i = 0; i < SPECIAL_COUNT; i++) {
        const struct mmu_special_page *s = &r->m->special[i];

        if ((pa & PAGE_MASK) == s->pa && s->other)
            s->other(s->owner, pa & ~PAGE_MASK, access);
    }
}

/* Physical address of a paging-structure entry. `how` is S2_READ, or S2_WRITE | S2_WALK_AD to set
 * a flag in it. */
static inline bool walk_entry_pa(struct walk_run *r, uint64_t gpa, unsigned how, uint64_t *pa)
{
    struct mmu *m = r->m;

    *pa = gpa;
    if (unlikely(m->paging.stage2 != NULL)) {
        struct gpa_page page;
        struct stage2_query q = {
            .gpa = gpa,
            .linear = r->linear,
            .access = how | S2_WALK | S2_HAS_LINEAR | (r->peek ? S2_PEEK : 0),
        };

        if (!gpa_translate(m, &q, r->access, &page, r->f))
            return false;
        *pa = page.pa;
    }
    if (unlikely(r->special))
        walk_tell_special(r, *pa, how | S2_WALK | S2_HAS_LINEAR);
    return true;
}

static inline bool walk_read_entry(struct walk_run *r, uint64_t gpa, uint64_t *entry)
{
    unsigned size = r->format->entry_bytes;
    uint64_t pa;
    uint8_t *flags;
    const uint8_t *ram;

    if (!walk_entry_pa(r, gpa, S2_READ, &pa))
        return false;
    ram = bus_ram_at(r->m->bus, pa, &flags);
    if (unlikely(!ram)) {
        *entry = bus_read(r->m->bus, pa, size);
    } else if (likely(size == 8)) {
        memcpy(entry, ram, 8);
    } else {
        *entry = 0;
        memcpy(entry, ram, 4);
    }
    r->entry[r->used] = *entry;
    r->entry_gpa[r->used++] = gpa;
    if (!r->peek)
        r->m->cost += COST_WALK_LEVEL;
    return true;
}

static bool walk_set_flags(struct walk_run *r, unsigned level, uint64_t flags)
{
    uint64_t pa;

    if (likely((r->entry[level] & flags) == flags) || r->peek)
        return true;
    if (!walk_entry_pa(r, r->entry_gpa[level], S2_WRITE | S2_WALK_AD, &pa))
        return false;
    bus_write(r->m->bus, pa, r->entry[level] | flags, r->format->entry_bytes);
    return true;
}

/* The leaf's address: for 4-MiB pages of 32-bit paging its bits 39:32 are entry bits 20:13. */
static uint64_t walk_leaf_base(const struct walk_run *r, uint64_t entry, unsigned shift)
{
    if (r->format->entry_bytes == 4 && shift == 22)
        return (entry & BITS(31, 22)) | bits(entry, 20, 13) << 32;
    return entry & r->address_mask & (UINT64_MAX << shift);
}

/* Reserved bits of a 4-MiB entry beside bit 21: those above the physical-address width, which for
 * this format is at most 40. [SDM 3A "32-Bit Paging"] */
static uint64_t walk_pse_reserved(const struct mmu *m)
{
    return m->maxphyaddr < 40 ? BITS(21, m->maxphyaddr - 19) : 0;
}

static uint64_t walk_reserved(const struct walk_run *r, const struct walk_level *level, bool large)
{
    uint64_t reserved = r->reserved | (large ? level->large_reserved : level->reserved);

    if (large && r->format->entry_bytes == 4)
        reserved |= walk_pse_reserved(r->m);
    return reserved;
}

/* Remember the table that a walk has ended in; its accessed flags above are set. */
static void walk_keep_hint(const struct walk_run *r)
{
    struct tlb_context *c = r->m->context;

    c->hint[r->linear >> 21 & (WALK_HINTS - 1)] = (struct walk_hint){
        .epoch = c->walk_epoch,
        .region = r->linear >> 21,
        .table = r->entry_gpa[r->used - 1] & PAGE_MASK,
        .rights = r->above,
    };
}

/* the access rights are known: allowed? then set the flags and fill in what was found */
static bool walk_finish(struct walk_run *r, unsigned shift, struct walk *w)
{
    const struct tlb_context *c = r->m->context;
    unsigned leaf = r->used - 1;
    uint64_t entry = r->entry[leaf];
    bool xd = r->mode & MODE_NXE && r->rights & PTE_XD;

    w->user = r->rights & PTE_U;
    w->rights = c->rights[c->alias[r->view]][access_rights_index(w->user, r->rights & PTE_W, xd)];
    if (unlikely(!(w->rights & 1u << r->access) && !r->peek))
        return walk_page_fault(r, PF_P);
    for (unsigned i = 0; i < leaf; i++)
        if (!walk_set_flags(r, i, PTE_A))
            return false;
    if (!walk_set_flags(r, leaf, r->access == MMU_WRITE ? PTE_A | PTE_D : PTE_A))
        return false;
    if (r->access != MMU_WRITE && !(entry & PTE_D))
        w->rights &= (uint8_t)~DETAIL_WRITE;
    w->shift = shift;
    w->global = entry & PTE_G && bit(r->m->paging.cr4, 7); /* PGE */
    w->gpa = walk_leaf_base(r, entry, shift) | (r->linear & ~(UINT64_MAX << shift));
    if (shift == PAGE_SHIFT && leaf > 0 && r->format->entry_bytes == 8 && !r->peek)
        walk_keep_hint(r);
    return true;
}

/* from `level`, whose table is at `table`, down */
static bool walk_tables(struct walk_run *r, const struct walk_level *level, uint64_t table,
                        struct walk *w)
{
    for (;; level++) {
        uint64_t index = r->linear >> level->shift & r->format->index_mask, entry;
        bool large;

        if (!walk_read_entry(r, table + index * r->format->entry_bytes, &entry))
            return false;
        if (!(entry & PTE_P))
            return walk_page_fault(r, 0);
        large = entry & PTE_PS && level->maps_large;
        if (unlikely(large && level->shift == 30 && !r->m->gib_pages))
            return walk_page_fault(r, PF_P | PF_RSVD);
        if (unlikely(entry & walk_reserved(r, level, large)))
            return walk_page_fault(r, PF_P | PF_RSVD);
        r->above = r->rights;
        r->rights = (r->rights & entry & (PTE_U | PTE_W)) | ((r->rights | entry) & PTE_XD);
        if (large || level->shift == PAGE_SHIFT)
            return walk_finish(r, level->shift, w);
        table = entry & r->address_mask;
    }
}

/* A walk of 8-byte entries, from the last table if an earlier walk has been there. What is cached
 * may be stale: a fault is raised only by a walk from the root. */
static bool walk_from(struct walk_run *r, uint64_t root, struct walk *w)
{
    const struct tlb_context *c = r->m->context;
    const struct walk_hint *h = &c->hint[r->linear >> 21 & (WALK_HINTS - 1)];

    if (h->epoch == c->walk_epoch && h->region == r->linear >> 21 && !r->peek) {
        r->rights = h->rights;
        if (likely(walk_tables(r, &r->format->level[r->format->levels - 1], h->table, w)))
            return true;
        r->used = 0;
        r->rights = PTE_U | PTE_W;
    }
    return walk_tables(r, r->format->level, root, w);
}

static bool walk_start_64(struct walk_run *r, struct walk *w)
{
    r->format = r->mode & MODE_LA57 ? &walk_5_level : &walk_4_level;
    r->address_mask = BITS(r->m->maxphyaddr - 1, 12);
    r->reserved = BITS(51, 12) & ~r->address_mask;
    if (!(r->mode & MODE_NXE))
        r->reserved |= PTE_XD;
    return walk_from(r, r->m->paging.cr3 & r->address_mask, w);
}

static bool walk_start_pae(struct walk_run *r, struct walk *w)
{
    uint64_t pdpte = r->m->paging.pdpte[r->linear >> 30 & 3];

    r->format = &walk_pae;
    r->address_mask = BITS(r->m->maxphyaddr - 1, 12);
    r->reserved = BITS(62, r->m->maxphyaddr);
    if (!(r->mode & MODE_NXE))
        r->reserved |= PTE_XD;
    if (!(pdpte & PTE_P))
        return walk_page_fault(r, 0);
    return walk_from(r, pdpte & r->address_mask, w);
}

static bool walk_start_32(struct walk_run *r, struct walk *w)
{
    r->format = r->mode & MODE_PSE ? &walk_32_pse : &walk_32;
    r->address_mask = BITS(31, 12);
    r->reserved = 0;
    return walk_tables(r, r->format->level, r->m->paging.cr3 & r->address_mask, w);
}

bool walk_paging(struct mmu *m, uint64_t linear, enum mmu_access access, enum mmu_view view,
                 unsigned how, struct walk *w, struct mmu_fault *f)
{
    unsigned mode = m->context->key.mode;
    struct walk_run r; /* its entries are written as they are read */

    if (!(mode & MODE_PG)) {
        *w = (struct walk){
            .gpa = linear,
            .shift = PAGE_SHIFT,
            .user = true,
            .rights = DETAIL_READ | DETAIL_WRITE | DETAIL_FETCH,
        };
        return true;
    }
    r.m = m;
    r.linear = linear;
    r.access = access;
    r.view = view;
    r.peek = how & WALK_PEEK;
    r.special = !r.peek && (m->special[SPECIAL_LAPIC].other ||
                            m->special[SPECIAL_APIC_ACCESS].pa != MMU_NO_PAGE);
    r.mode = mode;
    r.rights = PTE_U | PTE_W;
    r.used = 0;
    r.f = f;
    if (mode & MODE_LMA)
        return walk_start_64(&r, w);
    return mode & MODE_PAE ? walk_start_pae(&r, w) : walk_start_32(&r, w);
}

/* [SDM 3A "PAE Paging", "PDPTE Registers"]: MOV to CR3 and its like load four entries at once. With
 * EPT these are ordinary reads by the processor, without a linear address. */
bool mmu_load_pdptes(struct mmu *m, uint64_t cr3)
{
    uint64_t pdpte[4], reserved = PAE_PDPTE_RESERVED | BITS(63, m->maxphyaddr);
    struct gpa_page page = { .pa = cr3 & BITS(31, 5) };
    struct stage2_query q = { .gpa = page.pa, .access = S2_READ };
    struct mmu_fault f;

    if (m->paging.stage2 && !gpa_translate(m, &q, MMU_READ, &page, &f))
        m->fault(m->owner, &f);
    for (unsigned i = 0; i < 4; i++) {
        pdpte[i] = bus_read(m->bus, page.pa + 8 * i, 8);
        if (pdpte[i] & PTE_P && pdpte[i] & reserved)
            return false;
    }
    memcpy(m->paging.pdpte, pdpte, sizeof pdpte);
    return true;
}
