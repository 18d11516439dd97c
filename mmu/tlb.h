/* The TLB: contexts, the entries of each view, and which of them a flush must visit. The layout of
 * struct tlb_entry is in mmu/mmu.h, where the inline look-ups need it.
 * [SDM 3A "Caching Translation Information"] */
#pragma once
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "mmu/mmu.h"

/* Native code indexes entries by a shift and reaches the tags by displacement. */
static_assert(sizeof(struct tlb_entry) == 32, "an entry is addressed by a shift of 5");
static_assert(offsetof(struct tlb_entry, addend) == 24, "tags first");

#define TLB_CONTEXTS 48
#define TLB_ALL (TLB_ENTRIES + TLB_CODE_ENTRIES)
#define TLB_WORDS (TLB_ALL / 64)
#define TLB_LARGE_BITS 1024 /* of the filters below */
#define TLB_WRITE_BITS 4096

/* What a context translates under; all that is in here distinguishes contexts. */
enum {
    MODE_PG = 1 << 0,
    MODE_WP = 1 << 1,
    MODE_PSE = 1 << 2,
    MODE_PAE = 1 << 3,
    MODE_LA57 = 1 << 4,
    MODE_SMEP = 1 << 5,
    MODE_SMAP = 1 << 6,
    MODE_LMA = 1 << 7,
    MODE_NXE = 1 << 8,
};

struct tlb_key {
    uint16_t vpid, pcid;
    uint16_t mode; /* MODE_* */
    uint32_t stage2_mode;
    uint64_t stage2_tag; /* EP4TA; 0: no second translation */
    uint64_t apic_access;
};

/* Beside each entry: what the mapping allows, whatever the tags say. Low bits of `linear`: */
enum {
    DETAIL_READ = 1 << MMU_READ, /* allowed without a walk, in this view */
    DETAIL_WRITE = 1 << MMU_WRITE,
    DETAIL_FETCH = 1 << MMU_FETCH,
    DETAIL_GLOBAL = 1 << 3,
    DETAIL_USER = 1 << 4,
    DETAIL_NEAR = 1 << 5, /* may be in a slot of struct tlb_near */
    DETAIL_SHIFT_AT = 6,  /* bits 11:6: log2 of the page size of paging */
};

/* Low bits of `pa`: what answers there. */
enum { KIND_RAM, KIND_ROM, KIND_MMIO, KIND_SPECIAL /* + SPECIAL_LAPIC, ... */ };

struct tlb_detail {
    uint64_t linear; /* page | DETAIL_*; 0: no entry */
    uint64_t pa;     /* page | KIND_* */
};

/* Look-ups of native code that need no index: where an address register, as it were, was last. A slot
 * covers a page, or a run of pages that lie one after the other in native memory too. It repeats
 * entries, and says no more than they do: when an entry that may be in a slot changes, all slots are
 * emptied. An access at `offset` from the slot's first page hits if offset < limit, one limit being
 * for up to NEAR_SMALL bytes, one for NEAR_LARGE; it is 0 in an empty slot. Filled by native code. */
#define TLB_NEAR_SLOTS 48
enum { NEAR_SMALL = 16, NEAR_LARGE = 256 };

struct tlb_near_slot {
    uint64_t page;    /* the first one, linear */
    uintptr_t addend; /* as in struct tlb_entry */
    uintptr_t native; /* of the page */
};

struct tlb_near {
    uint64_t live;                        /* not 0: a slot may have something */
    uint64_t limit[2][2][TLB_NEAR_SLOTS]; /* for reads, for writes; NEAR_SMALL, NEAR_LARGE */
    struct tlb_near_slot slot[2][TLB_NEAR_SLOTS];
};

/* The run of an entry's page: so many pages in front of it, and so many in all besides the first. All
 * pages of a run have the same addend and an entry, and say the same. */
#define TLB_RUN_MAX (TLB_ENTRIES / 2)

struct tlb_run {
    uint16_t back, more;
};

struct tlb_view {
    struct tlb_entry entry[TLB_ALL];
    struct tlb_near near;
    struct tlb_detail detail[TLB_ALL];
    struct tlb_run run[TLB_ENTRIES][2]; /* for reads, for writes */
    /* one bit an entry: filled; filled and global; ... part of a larger page; ... with a write tag.
     * They make a flush visit only what was filled. */
    uint64_t used[TLB_WORDS], global[TLB_WORDS], large[TLB_WORDS], write[TLB_WORDS];
    /* Hashed sets of what may be there, so that most INVLPGs and most withdrawals of write tags are
     * one probe: large pages by address, write tags by physical page. Too full at worst. */
    uint64_t large_filter[TLB_LARGE_BITS / 64];
    uint64_t write_filter[TLB_WRITE_BITS / 64];
    bool filled; /* anything since all was dropped */
    struct mmu *mmu;
    uint32_t id; /* in the numbers of struct tag_owners */
};

/* Which entries have a page's tag: 0: none; else view * TLB_ENTRIES + index + 1, whose entry may have
 * gone to another page since; or the first is OWNERS_MANY: any may have one. So that a withdrawal,
 * which comes with each turn of writing and running code, mostly looks at one or two entries: a user's
 * and that of the kernel that has cleared the page. */
struct tag_owners {
    uint32_t write[2], fetch[2];
};
#define OWNERS_MANY UINT32_MAX

/* A paging-structure cache: the last table of earlier walks, by 2-MiB region. Entries whose epoch
 * is not the context's are gone, so that dropping them all, which each INVLPG asks for, is one
 * addition. [SDM 3A "Caches for Paging Structures"] */
#define WALK_HINTS 64

struct walk_hint {
    uint64_t epoch;
    uint64_t region; /* linear >> 21 */
    uint64_t table;  /* guest-physical */
    uint64_t rights; /* U/S, R/W: all entries above; XD: any entry above */
};

enum { TLB_OWN_VIEWS = VIEW_SUPERVISOR_AC + 1 };

struct tlb_context {
    struct tlb_key key;
    struct mmu *mmu;
    unsigned index;                       /* in mmu->contexts */
    uint64_t last_used;                   /* mmu->context_clock */
    uint8_t canonical_width;              /* 48 or 57; 32 outside IA-32e mode */
    uint8_t alias[VIEW_COUNT];            /* views that cannot differ share entries */
    uint8_t rights[TLB_OWN_VIEWS][8];     /* by access_rights_index: DETAIL_READ | ... */
    struct tlb_view *view[TLB_OWN_VIEWS]; /* NULL until something is filled */
    uint64_t walk_epoch;                  /* from 1 */
    struct walk_hint hint[WALK_HINTS];
};

static inline unsigned tlb_index(uint64_t linear)
{
    return linear >> PAGE_SHIFT & (TLB_ENTRIES - 1);
}

static inline unsigned tlb_code_index(uint64_t linear)
{
    return TLB_ENTRIES + (linear >> PAGE_SHIFT & (TLB_CODE_ENTRIES - 1));
}

static inline unsigned tlb_index_for(uint64_t linear, enum mmu_access access)
{
    return access == MMU_FETCH ? tlb_code_index(linear) : tlb_index(linear);
}

/* where a large page (2 or 4 MiB, or 1 GiB) around linear is in large_filter */
static inline unsigned tlb_large_hash(uint64_t linear, unsigned page_shift)
{
    uint64_t key = page_shift == 30 ? linear >> 30 << 1 | 1 : linear >> 22 << 1;

    return key * UINT64_C(0x9e3779b97f4a7c15) >> 54;
}

/* where a physical page is in write_filter */
static inline unsigned tlb_write_hash(uint64_t pa)
{
    return (pa >> PAGE_SHIFT) * UINT64_C(0x9e3779b97f4a7c15) >> 52;
}

static_assert(TLB_LARGE_BITS == 1 << 10 && TLB_WRITE_BITS == 1 << 12, "widths of the hashes");

/* in front of a change of entry i (near.c) */
void tlb_near_forget_slots(struct tlb_view *v, unsigned i);
static inline void tlb_near_forget(struct tlb_view *v, unsigned i)
{
    if (unlikely(v->detail[i].linear & DETAIL_NEAR))
        tlb_near_forget_slots(v, i);
}

/* Find the run of the page at `linear`, which has an entry with a read (write) tag; false: it has been
 * known. */
bool tlb_near_grow(struct tlb_view *v, uint64_t linear, bool write);

struct tlb_view *tlb_new_view(struct tlb_context *c, enum mmu_view view);

/* the entry that a number of struct tag_owners stands for */
static inline struct tlb_view *tlb_owner_view(const struct mmu *m, uint32_t owner, unsigned *i)
{
    unsigned view = (owner - 1) / TLB_ALL;

    *i = (owner - 1) % TLB_ALL;
    return m->contexts[view / TLB_OWN_VIEWS]->view[view % TLB_OWN_VIEWS];
}

/* the entries behind a view */
static inline struct tlb_view *tlb_view(struct tlb_context *c, enum mmu_view view)
{
    struct tlb_view *v = c->view[c->alias[view]];

    return likely(v != NULL) ? v : tlb_new_view(c, view);
}

/* what a walk found, ready to be entered */
struct tlb_fill {
    uint64_t linear, pa; /* pages */
    unsigned detail;     /* DETAIL_* */
    unsigned kind;
    uint8_t *native; /* page of RAM or ROM, or NULL */
    uint8_t *flags;  /* of the page of RAM, or NULL */
    enum mmu_access access;
};
void tlb_enter(struct tlb_view *v, const struct tlb_fill *fill);

/* give entry `i`, a page of RAM that may be written, its write tag */
void tlb_allow_write(struct tlb_view *v, unsigned i, uint8_t *flags);
/* give entry `i`, a page of RAM that may be run, its fetch tag */
void tlb_allow_fetch(struct tlb_view *v, unsigned i, const uint8_t *flags);
