/* Inside mmu/: a walk of the paging structures, and what a mapping allows. */
#pragma once
#include "mmu/mmu.h"
#include "mmu/tlb.h"

/* the mapping that a walk ended in */
struct walk {
    uint64_t gpa;   /* of the byte asked for */
    unsigned shift; /* log2 of the page size */
    uint8_t rights; /* DETAIL_READ, DETAIL_WRITE, DETAIL_FETCH: allowed, and no flag to be set */
    bool user;      /* a user-mode address */
    bool global;
};

enum { WALK_PEEK = 1 }; /* set no flag, charge nothing */

/**
 * walk_paging - linear to guest-physical in the current context, paging structures through stage 2.
 * Returns false with *f. Sets accessed and dirty flags, if the access is allowed.
 */
bool walk_paging(struct mmu *m, uint64_t linear, enum mmu_access access, enum mmu_view view,
                 unsigned how, struct walk *w, struct mmu_fault *f);

/* Index into tlb_context.rights of a mapping that is a user-mode address, writable (by all
 * entries), not to be executed (by any entry). */
static inline unsigned access_rights_index(bool user, bool writable, bool execute_disable)
{
    return (unsigned)user | (unsigned)writable << 1 | (unsigned)execute_disable << 2;
}

/* what `mode` (MODE_*) allows an access of `view` to do: DETAIL_READ, _WRITE, _FETCH */
uint8_t access_rights(unsigned mode, enum mmu_view view, bool user, bool writable,
                      bool execute_disable);
