/* Linear to physical: a fresh walk, stage 2, and what is entered into the TLB for it. Nothing here
 * looks into the TLB first: that is the inline look-ups' and load_store.c's part.
 * [SDM 3A "Paging"] [SDM 3C "Combined Mappings"] */
#include "mmu/bus_ram.h"
#include "mmu/flush.h"
#include "mmu/gpa_cache.h"
#include "mmu/tlb.h"
#include "mmu/walk.h"

static_assert(S2_READ == 1 << MMU_READ && S2_WRITE == 1 << MMU_WRITE && S2_FETCH == 1 << MMU_FETCH,
              "an access is a shift in all three vocabularies");

/* False, with *f, unless linear is canonical. Outside IA-32e mode linear addresses have 32 bits,
 * and wrap. */
static bool translate_canonical(const struct mmu *m, uint64_t *linear, enum mmu_access access,
                                struct mmu_fault *f)
{
    unsigned width = m->context->canonical_width;

    if (width == 32) {
        *linear &= UINT32_MAX;
        return true;
    }
    if (likely(is_canonical(*linear, width)))
        return true;
    *f = (struct mmu_fault){ .kind = FAULT_NONCANONICAL, .access = access, .linear = *linear };
    return false;
}

/* paging's answer through stage 2: physical address and the rights that both leave */
static bool translate_stage2(struct mmu *m, uint64_t linear, enum mmu_access access, unsigned peek,
                             const struct walk *w, struct gpa_page *page, struct mmu_fault *f)
{
    struct stage2_query q = {
        .gpa = w->gpa,
        .linear = linear,
        .access = 1u << access | S2_HAS_LINEAR | (w->user ? S2_USER_PAGE : 0) | peek,
    };

    if (likely(!m->paging.stage2)) {
        page->pa = w->gpa;
        page->rights = w->rights;
        return true;
    }
    if (!gpa_translate(m, &q, access, page, f))
        return false;
    page->rights &= w->rights;
    return true;
}

/* what answers at fill->pa */
static void translate_kind(struct mmu *m, struct tlb_fill *fill)
{
    for (unsigned i = SPECIAL_COUNT; i-- > 0;) {
        if (unlikely(fill->pa == m->special[i].pa)) {
            fill->kind = KIND_SPECIAL + i;
            return;
        }
    }
    fill->native = bus_ram_at(m->bus, fill->pa, &fill->flags);
    if (likely(fill->native != NULL)) {
        fill->kind = KIND_RAM;
        return;
    }
    fill->native = (uint8_t *)bus_native_rom(m->bus, fill->pa); /* never gets a write tag */
    fill->kind = fill->native ? KIND_ROM : KIND_MMIO;
}

static void translate_enter(struct mmu *m, uint64_t linear, enum mmu_access access,
                            enum mmu_view view, const struct walk *w, const struct gpa_page *page)
{
    struct tlb_fill fill = {
        .linear = linear & PAGE_MASK,
        .pa = page->pa & PAGE_MASK,
        .detail = page->rights | (w->global ? DETAIL_GLOBAL : 0) | (w->user ? DETAIL_USER : 0) |
                  w->shift << DETAIL_SHIFT_AT,
        .access = access,
    };

    translate_kind(m, &fill);
    tlb_enter(tlb_view(m->context, view), &fill);
    m->fills++;
}

bool mmu_translate(struct mmu *m, uint64_t linear, enum mmu_access access, enum mmu_view view,
                   struct mmu_out *out)
{
    struct walk w;
    struct gpa_page page;

    if (view == VIEW_USER_ALIGNED)
        view = VIEW_USER;
    if (!translate_canonical(m, &linear, access, &out->f))
        return false;
    m->walks++;
    if (unlikely(!walk_paging(m, linear, access, view, 0, &w, &out->f) ||
                 !translate_stage2(m, linear, access, 0, &w, &page, &out->f))) {
        /* A fault drops what may still be cached for its page, so that it does not come again when
         * the structures in memory no longer cause it. */
        flush_page(m->context, linear, true);
        m->fetch_page = TLB_NONE;
        return false;
    }
    translate_enter(m, linear, access, view, &w, &page);
    out->pa = page.pa;
    return true;
}

bool mmu_peek(struct mmu *m, uint64_t linear, uint64_t *pa)
{
    struct walk w;
    struct gpa_page page;
    struct mmu_fault f;

    if (!translate_canonical(m, &linear, MMU_READ, &f) ||
        !walk_paging(m, linear, MMU_READ, VIEW_SUPERVISOR, WALK_PEEK, &w, &f) ||
        !translate_stage2(m, linear, MMU_READ, S2_PEEK, &w, &page, &f))
        return false;
    *pa = page.pa;
    return true;
}
