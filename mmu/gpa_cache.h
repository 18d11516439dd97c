/* Guest-physical mappings: what stage 2 has translated, tagged by EP4TA and mode. They serve the
 * walks of paging structures, which hit the same few pages again and again, and refills of the TLB.
 * Flushed by INVEPT and not by INVVPID or INVLPG, as the manual allows; a refusal is never kept,
 * and is asked for again. [SDM 3C "Information That May Be Cached"] */
#pragma once
#include "mmu/mmu.h"

#define GPA_CACHE_ENTRIES 1024

struct gpa_cache_entry {
    uint64_t gpa; /* page | GPA_*; 0: no entry */
    uint64_t pa;  /* page */
    uint64_t tag;
    uint32_t mode;
};

struct gpa_cache {
    struct gpa_cache_entry entry[GPA_CACHE_ENTRIES];
};

/* what stage 2 says of one address */
struct gpa_page {
    uint64_t pa;     /* of the byte */
    unsigned rights; /* DETAIL_READ | DETAIL_WRITE | DETAIL_FETCH by stage 2 */
};

/* Translate through m->paging.stage2, which is there. q->access says for what. False with *f. */
bool gpa_translate(struct mmu *m, const struct stage2_query *q, enum mmu_access access,
                   struct gpa_page *page, struct mmu_fault *f);

void gpa_flush(struct mmu *m, uint64_t ep4ta);
void gpa_flush_all(struct mmu *m);
