/* The MMU of one logical processor: paging, TLB, and the loads and stores that go through them.
 * [SDM 3A "Paging"]
 *
 * The TLB has contexts tagged by (VPID, PCID, EPT root, mode). A context has one array of entries
 * per view (below), so that the current view is one pointer and a hit is one compare and one add.
 * Entries fold all rights into three tags (read, write, fetch): a tag is the page's linear address
 * when the access is allowed without further work, and TLB_NONE otherwise. MMIO, ROM for writing,
 * pages with decoded code, pages whose dirty flag is clear, and special pages have TLB_NONE tags,
 * so that each access takes the slow path, which finds what it needs in struct tlb_detail. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "mmu/bus.h"
#include "mmu/stage2.h"

/* Of a view, direct-mapped by bits 22:12 of the linear address; behind them those of fetches, by bits
 * 21:12. Code and data have entries of their own because what runs hot would meet what it works on,
 * again and again, as long as both are where they are. */
#define TLB_ENTRIES 2048
#define TLB_CODE_ENTRIES 1024
/* never equal to a page address, also not with bits 3:0 of an address in it (cpu/jit checks
 * alignment by these) */
#define TLB_NONE UINT64_C(0x800)

struct tlb_entry {
    /* linear address of the page, or TLB_NONE: fetch always is with data, the others with code */
    uint64_t read, write, fetch;
    uintptr_t addend; /* native address = linear + addend, modulo 2^64 */
};

/* Who accesses. The processor chooses by CPL, RFLAGS.AC and CR4.SMAP; mmu_set_view. */
enum mmu_view {
    VIEW_SUPERVISOR,    /* CPL 0 to 2; with SMAP, user pages are refused */
    VIEW_USER,          /* CPL 3 */
    VIEW_SUPERVISOR_AC, /* CPL 0 to 2 with SMAP and RFLAGS.AC = 1 */
    VIEW_USER_ALIGNED,  /* CPL 3 with CR0.AM and RFLAGS.AC: nothing hits, the slow path checks
                           alignment, then uses VIEW_USER */
    VIEW_COUNT
};

enum mmu_access { MMU_READ, MMU_WRITE, MMU_FETCH };

enum mmu_fault_kind {
    FAULT_PAGE,         /* #PF: error code, and linear for CR2 */
    FAULT_NONCANONICAL, /* #GP(0) or #SS(0): the processor knows the segment */
    FAULT_ALIGNMENT,    /* #AC(0) */
    FAULT_STAGE2,       /* EPT violation or misconfiguration */
};

struct mmu_fault {
    enum mmu_fault_kind kind;
    enum mmu_access access;
    uint64_t linear;
    uint32_t error_code;      /* FAULT_PAGE */
    uint64_t gpa;             /* FAULT_STAGE2 */
    struct stage2_out stage2; /* FAULT_STAGE2 */
};

/* What paging depends on. The processor keeps it current through mmu_set_paging. */
struct paging {
    uint64_t cr0, cr3, cr4, efer;
    uint16_t vpid;               /* 0 in root operation */
    const struct stage2 *stage2; /* NULL: guest-physical is physical */
    uint64_t pdpte[4];           /* PAE paging: loaded by mmu_load_pdptes or by a VM entry */
};

/* A page whose accesses go to a function: the local APIC's page (IA32_APIC_BASE), and the
 * APIC-access page of VMX non-root operation. The functions may unwind (a VM exit). */
struct mmu_special_page {
    uint64_t pa; /* page address, or MMU_NO_PAGE */
    void *owner;
    uint64_t (*read)(void *owner, uint64_t offset, unsigned size);
    void (*write)(void *owner, uint64_t offset, uint64_t value, unsigned size);
    /* NULL, or: may an instruction be fetched, or a paging structure accessed here? (unwinds if
     * not; kind as S2_*) */
    void (*other)(void *owner, uint64_t offset, unsigned kind);
};
#define MMU_NO_PAGE UINT64_MAX
enum { SPECIAL_LAPIC, SPECIAL_APIC_ACCESS, SPECIAL_COUNT };

typedef void mmu_watch_fn(void *owner, uint64_t linear, size_t size, bool write);

struct tlb_context; /* mmu/tlb.h */
struct gpa_cache;   /* mmu/gpa_cache.h */
struct tag_owners;  /* mmu/tlb.h */

#define MMU_RECENT_CONTEXTS 64

struct mmu {
    struct tlb_entry *tlb;        /* entries of the current view of the current context */
    struct tlb_entry *tlb_system; /* VIEW_SUPERVISOR of the current context: implicit accesses */
    /* of each view that has entries of its own, in the current context; NULL: not used yet */
    struct tlb_entry *tlb_of[VIEW_COUNT];
    struct tlb_context *context;
    /* The page that code is being fetched from: a look-up that need not be repeated while running
     * inside it. TLB_NONE after every switch of context or view and every flush. */
    uint64_t fetch_page;
    uintptr_t fetch_addend; /* native = linear + fetch_addend */
    enum mmu_view view;
    uint64_t cost; /* cycles of walks since the processor last took them */
    struct paging paging;
    unsigned maxphyaddr; /* 46 */
    bool gib_pages;      /* 1-GiB pages exist (CPUID Page1GB); mmu_init says so */
    struct mmu_special_page special[SPECIAL_COUNT];
    struct bus *bus;
    /* Unwinds to the processor, which raises the exception or the VM exit. */
    __attribute__((noreturn)) void (*fault)(void *owner, const struct mmu_fault *f);
    void *owner;
    struct tlb_context **contexts; /* all that exist, least recently used reused first */
    unsigned context_count;
    uint64_t context_clock;
    /* NULL, or: told of every load and store of the instruction's own operands after it has been
     * done (data breakpoints). While it is set nothing hits in the TLB; it must not unwind. */
    mmu_watch_fn *watch;
    uint64_t walks, fills;                           /* statistics for `info tlb` */
    struct tlb_context *recent[MMU_RECENT_CONTEXTS]; /* by a hash of the key; NULL or in contexts */
    struct gpa_cache *gpa_cache;                     /* guest-physical mappings */
    struct tag_owners *owners; /* by page of RAM: which entry has its tags; NULL before the first */
    struct bus_listener listener; /* the MMU's own: code pages and changes of the map */
};

/* Clears *m (fault, owner, paging and special pages are filled in afterwards) and listens to the
 * bus, so *m must not move. Whoever changes special[SPECIAL_LAPIC] calls mmu_flush_all; the
 * APIC-access page is part of what mmu_switch looks at. */
void mmu_init(struct mmu *m, struct bus *bus, unsigned maxphyaddr);
void mmu_destroy(struct mmu *m);

/* ---- state ---- */

/* Adopt m->paging after the caller has changed it: choose the context of (VPID, PCID, EPT, mode,
 * APIC-access page). Flushes nothing by itself: the MOV to CR3 and the like call the flushes
 * below, as their rows of the manual say. Cheap: a VM entry and a VM exit call it. */
void mmu_switch(struct mmu *m);
void mmu_set_view(struct mmu *m, enum mmu_view view);
/* m->watch becomes `watch` (or NULL), and the TLB hits nothing or hits again */
void mmu_set_watch(struct mmu *m, mmu_watch_fn *watch);

/* Load the four PDPTEs of PAE paging from CR3 (through stage 2); false if a reserved bit is set in
 * a present one: the caller raises #GP(0) and m->paging.pdpte is unchanged.
 * [SDM 3A "PAE Paging"] */
bool mmu_load_pdptes(struct mmu *m, uint64_t cr3);

/* ---- invalidation: [SDM 3A "Operations that Invalidate TLBs and Paging-Structure Caches"] ---- */
void mmu_flush_all(struct mmu *m); /* every context */
/* linear and combined mappings of the current VPID */
void mmu_flush_current(struct mmu *m, bool globals); /* current PCID, with or without globals */
void mmu_flush_current_all_pcids(struct mmu *m, bool globals);
void mmu_flush_pcid(struct mmu *m, uint16_t pcid); /* of the current VPID, not globals */
void mmu_invlpg(struct mmu *m, uint64_t linear);   /* current PCID, and globals of all */
void mmu_invlpg_pcid(struct mmu *m, uint64_t linear, uint16_t pcid); /* INVPCID type 0: no global */
/* INVVPID, INVEPT */
void mmu_flush_vpid(struct mmu *m, uint16_t vpid, bool globals);
void mmu_flush_vpid_address(struct mmu *m, uint16_t vpid, uint64_t linear);
void mmu_flush_all_vpids(struct mmu *m);           /* all VPIDs but 0 */
void mmu_flush_ept(struct mmu *m, uint64_t ep4ta); /* combined and guest-physical mappings */
void mmu_flush_all_ept(struct mmu *m);
/* withdraw write tags whose physical page is this one (bus_listener.protect_page) */
void mmu_protect_page(struct mmu *m, uint64_t pa);

/* ---- translation ---- */

struct mmu_out {
    uint64_t pa;        /* physical address of `linear` */
    struct mmu_fault f; /* when mmu_translate returned false */
};

/**
 * mmu_translate - a fresh walk for one access of the current view; fills the TLB, sets A and D.
 * Returns false, with out->f, when the access faults; never unwinds.
 */
bool mmu_translate(struct mmu *m, uint64_t linear, enum mmu_access access, enum mmu_view view,
                   struct mmu_out *out);

/* For the monitor and traces: translate as supervisor without setting a flag or filling. */
bool mmu_peek(struct mmu *m, uint64_t linear, uint64_t *pa);

/* ---- loads and stores; linear is already segmented; all may unwind through m->fault ---- */

/* The slow paths: size 1, 2, 4 or 8; miss, page crossing, MMIO, special and code pages, alignment.
 * A store that crosses a page translates both pages before it writes a byte. */
uint64_t mmu_load_slow(struct mmu *m, uint64_t linear, unsigned size);
void mmu_store_slow(struct mmu *m, uint64_t linear, uint64_t value, unsigned size);
/* load that first checks for writing, of a read-modify-write */
uint64_t mmu_load_rmw_slow(struct mmu *m, uint64_t linear, unsigned size);
/* implicit supervisor accesses (descriptor tables, TSS, interrupt stacks at the new CPL use
 * mmu_store with the view switched): CPL and AC do not matter */
uint64_t mmu_load_system(struct mmu *m, uint64_t linear, unsigned size);
void mmu_store_system(struct mmu *m, uint64_t linear, uint64_t value, unsigned size);

/* `count` bytes (1 to 4096), any alignment, at most one page boundary; nothing is stored unless
 * all of it can be. Current view. mmu_load_bytes and mmu_store_bytes below try the TLB first. */
void mmu_load_bytes_slow(struct mmu *m, uint64_t linear, void *bytes, size_t count);
void mmu_store_bytes_slow(struct mmu *m, uint64_t linear, const void *bytes, size_t count);
/* raise what a store (or load) of these bytes would raise, and do nothing else */
void mmu_probe(struct mmu *m, uint64_t linear, size_t count, enum mmu_access access);

/* Physical address and, for RAM and ROM, native page of the code at `linear` (current view).
 * *native is NULL for MMIO. Unwinds on a fault. */
uint64_t mmu_fetch(struct mmu *m, uint64_t linear, const uint8_t **native_page);

/* A native pointer to `linear` good for a run of bytes up to the page's end, or NULL where the
 * slow path must be used (string instructions a page at a time). Fills the TLB, may unwind. */
uint8_t *mmu_native(struct mmu *m, uint64_t linear, enum mmu_access access);

/* one line an entry, for `info tlb` */
void mmu_show_tlb(const struct mmu *m, FILE *out);

static inline struct tlb_entry *tlb_at(struct tlb_entry *tlb, uint64_t linear)
{
    return &tlb[linear >> PAGE_SHIFT & (TLB_ENTRIES - 1)];
}

static inline struct tlb_entry *tlb_code_at(struct tlb_entry *tlb, uint64_t linear)
{
    return &tlb[TLB_ENTRIES + (linear >> PAGE_SHIFT & (TLB_CODE_ENTRIES - 1))];
}

/* The last byte's page must be the tag's page, so that a crossing access misses. */
static inline uint64_t mmu_load(struct mmu *m, uint64_t linear, unsigned size)
{
    const struct tlb_entry *e = tlb_at(m->tlb, linear);
    uint64_t v = 0;

    if (unlikely(e->read != ((linear + size - 1) & PAGE_MASK)))
        return mmu_load_slow(m, linear, size);
    memcpy(&v, (const void *)(linear + e->addend), size);
    return v;
}

static inline void mmu_store(struct mmu *m, uint64_t linear, uint64_t value, unsigned size)
{
    const struct tlb_entry *e = tlb_at(m->tlb, linear);

    if (unlikely(e->write != ((linear + size - 1) & PAGE_MASK))) {
        mmu_store_slow(m, linear, value, size);
        return;
    }
    memcpy((void *)(linear + e->addend), &value, size);
}

static inline uint64_t mmu_load_rmw(struct mmu *m, uint64_t linear, unsigned size)
{
    const struct tlb_entry *e = tlb_at(m->tlb, linear);
    uint64_t v = 0;

    if (unlikely(e->write != ((linear + size - 1) & PAGE_MASK)))
        return mmu_load_rmw_slow(m, linear, size);
    memcpy(&v, (const void *)(linear + e->addend), size);
    return v;
}

static inline void mmu_load_bytes(struct mmu *m, uint64_t linear, void *bytes, size_t count)
{
    const struct tlb_entry *e = tlb_at(m->tlb, linear);

    if (unlikely(e->read != ((linear + count - 1) & PAGE_MASK)))
        mmu_load_bytes_slow(m, linear, bytes, count);
    else
        memcpy(bytes, (const void *)(linear + e->addend), count);
}

static inline void mmu_store_bytes(struct mmu *m, uint64_t linear, const void *bytes, size_t count)
{
    const struct tlb_entry *e = tlb_at(m->tlb, linear);

    if (unlikely(e->write != ((linear + count - 1) & PAGE_MASK)))
        mmu_store_bytes_slow(m, linear, bytes, count);
    else
        memcpy((void *)(linear + e->addend), bytes, count);
}
