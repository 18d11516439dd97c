/* The cache of guest-physical mappings. See mmu/gpa_cache.h. */
#include "mmu/gpa_cache.h"

#include <string.h>

#include "mmu/tlb.h"

/* Low bits of gpa. Each says that stage 2 has allowed just that before: whether a right to write is
 * needed to walk, and what mode-based execute control makes of a fetch, is stage 2's business. */
enum {
    GPA_DATA_AT = 0, /* DETAIL_READ, _WRITE, _FETCH of ordinary accesses; one of them at least */
    GPA_USER = 8,    /* ... which were made to a user-mode address */
    GPA_WALK = 16,   /* entries may be read */
    GPA_WALK_AD = 32,
};

/* The tag takes part, so that guests with the same layout do not share entries. */
static struct gpa_cache_entry *gpa_at(struct mmu *m, const struct stage2 *s2, uint64_t gpa)
{
    uint64_t i = gpa >> PAGE_SHIFT ^ s2->tag ^ s2->tag >> PAGE_SHIFT;

    return &m->gpa_cache->entry[i & (GPA_CACHE_ENTRIES - 1)];
}

/* the bits of an entry that answer q, all of which must be set */
static uint64_t gpa_needed(const struct stage2_query *q)
{
    if (q->access & S2_WALK)
        return q->access & S2_WALK_AD ? GPA_WALK_AD : GPA_WALK;
    return (q->access & S2_READ ? DETAIL_READ : 0) | (q->access & S2_WRITE ? DETAIL_WRITE : 0) |
           (q->access & S2_FETCH ? DETAIL_FETCH : 0);
}

static bool gpa_hit(const struct gpa_cache_entry *e, const struct stage2 *s2,
                    const struct stage2_query *q)
{
    uint64_t need = gpa_needed(q);

    if (((e->gpa ^ q->gpa) & PAGE_MASK) != 0 || (e->gpa & need) != need)
        return false;
    if (e->tag != s2->tag || e->mode != s2->mode)
        return false;
    return q->access & S2_WALK || !(e->gpa & GPA_USER) == !(q->access & S2_USER_PAGE);
}

static void gpa_enter(struct gpa_cache_entry *e, const struct stage2 *s2,
                      const struct stage2_query *q, const struct stage2_out *out)
{
    uint64_t bits = gpa_needed(q), page = q->gpa & PAGE_MASK;
    bool same = (e->gpa & PAGE_MASK) == page && e->tag == s2->tag && e->mode == s2->mode &&
                e->pa == (out->pa & PAGE_MASK);
    uint64_t old = same ? e->gpa & ~PAGE_MASK : 0;

    if (q->access & S2_WALK) {
        bits |= old;
    } else {
        bits |= (out->read ? DETAIL_READ : 0) | (out->write ? DETAIL_WRITE : 0) |
                (out->execute ? DETAIL_FETCH : 0) | (q->access & S2_USER_PAGE ? GPA_USER : 0) |
                (old & (GPA_WALK | GPA_WALK_AD));
    }
    *e = (struct gpa_cache_entry){
        .gpa = page | bits,
        .pa = out->pa & PAGE_MASK,
        .tag = s2->tag,
        .mode = s2->mode,
    };
}

bool gpa_translate(struct mmu *m, const struct stage2_query *q, enum mmu_access access,
                   struct gpa_page *page, struct mmu_fault *f)
{
    const struct stage2 *s2 = m->paging.stage2;
    struct gpa_cache_entry *e = gpa_at(m, s2, q->gpa);
    struct stage2_out out = { 0 };

    if (likely(gpa_hit(e, s2, q))) {
        page->pa = e->pa | (q->gpa & ~PAGE_MASK);
        page->rights = e->gpa & (DETAIL_READ | DETAIL_WRITE | DETAIL_FETCH);
        return true;
    }
    if (!s2->translate(s2->owner, q, &out)) {
        /* An EPT violation drops what is cached for its address. */
        if (((e->gpa ^ q->gpa) & PAGE_MASK) == 0 && !(q->access & S2_PEEK))
            e->gpa = 0;
        *f = (struct mmu_fault){
            .kind = FAULT_STAGE2,
            .access = access,
            .linear = q->linear,
            .gpa = q->gpa,
            .stage2 = out,
        };
        return false;
    }
    page->pa = out.pa;
    page->rights = (out.read ? DETAIL_READ : 0) | (out.write ? DETAIL_WRITE : 0) |
                   (out.execute ? DETAIL_FETCH : 0);
    if (q->access & S2_PEEK)
        return true;
    m->cost += out.cycles;
    gpa_enter(e, s2, q, &out);
    return true;
}

void gpa_flush(struct mmu *m, uint64_t ep4ta)
{
    for (unsigned i = 0; i < GPA_CACHE_ENTRIES; i++)
        if (m->gpa_cache->entry[i].tag == ep4ta)
            m->gpa_cache->entry[i].gpa = 0;
}

void gpa_flush_all(struct mmu *m)
{
    memset(m->gpa_cache, 0, sizeof *m->gpa_cache);
}
