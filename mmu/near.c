/* The slots of struct tlb_near: forgetting them, and runs of pages that they may cover. */
#include <string.h>

#include "mmu/tlb.h"

static struct tlb_run *near_run(struct tlb_view *v, uint64_t page, bool write)
{
    return &v->run[tlb_index(page)][write];
}

/* the pages of entry i's run are on their own again */
static void near_split(struct tlb_view *v, unsigned i, bool write)
{
    struct tlb_run run = v->run[i][write];
    uint64_t first = (v->detail[i].linear & PAGE_MASK) - run.back * PAGE_SIZE;

    for (unsigned n = 0; n <= run.more; n++)
        *near_run(v, first + n * PAGE_SIZE, write) = (struct tlb_run){ 0, 0 };
}

void tlb_near_forget_slots(struct tlb_view *v, unsigned i)
{
    near_split(v, i, false);
    near_split(v, i, true);
    v->detail[i].linear &= ~(uint64_t)DETAIL_NEAR;
    if (!v->near.live)
        return;
    v->near.live = 0;
    memset(v->near.limit, 0, sizeof v->near.limit);
}

/* may the entry of `page` belong to a run with this addend? */
static bool near_joins(const struct tlb_view *v, uint64_t page, uintptr_t addend, bool write)
{
    const struct tlb_entry *e = &v->entry[tlb_index(page)];

    return (write ? e->write : e->read) == page && e->addend == addend;
}

bool tlb_near_grow(struct tlb_view *v, uint64_t linear, bool write)
{
    uint64_t page = linear & PAGE_MASK, first = page;
    uintptr_t addend = v->entry[tlb_index(page)].addend;
    unsigned more = 0;

    while (more < TLB_RUN_MAX && near_joins(v, first - PAGE_SIZE, addend, write)) {
        first -= PAGE_SIZE;
        more++;
    }
    while (more < TLB_RUN_MAX && near_joins(v, first + (more + 1) * PAGE_SIZE, addend, write))
        more++;
    if (more <= near_run(v, page, write)->more)
        return false;
    for (unsigned n = 0; n <= more; n++) {
        v->detail[tlb_index(first + n * PAGE_SIZE)].linear |= DETAIL_NEAR;
        *near_run(v, first + n * PAGE_SIZE, write) = (struct tlb_run){ .back = (uint16_t)n,
                                                                       .more = (uint16_t)more };
    }
    return true;
}
