/* What invalidates TLB entries. Each operation names a scope, and every context inside the scope is
 * visited, whatever its mode. More may be dropped than the manual asks for, never less.
 * [SDM 3A "Operations that Invalidate TLBs and Paging-Structure Caches"]
 * [SDM 3C "Operations that Invalidate Cached Mappings"] */
#include "mmu/flush.h"

#include <string.h>

#include "mmu/bus_ram.h"
#include "mmu/gpa_cache.h"

static void flush_entry(struct tlb_view *v, unsigned i)
{
    tlb_near_forget(v, i);
    v->entry[i] = (struct tlb_entry){ TLB_NONE, TLB_NONE, TLB_NONE, 0 };
    v->detail[i] = (struct tlb_detail){ 0, 0 };
}

static void flush_view(struct tlb_view *v, bool globals)
{
    uint64_t any = 0;

    if (!v->filled)
        return;
    for (unsigned w = 0; w < TLB_WORDS; w++) {
        uint64_t drop = v->used[w] & (globals ? UINT64_MAX : ~v->global[w]);

        v->used[w] &= ~drop;
        v->global[w] &= ~drop;
        v->large[w] &= ~drop;
        v->write[w] &= ~drop;
        any |= v->used[w];
        for (; drop; drop &= drop - 1)
            flush_entry(v, 64 * w + (unsigned)__builtin_ctzll(drop));
    }
    if (any)
        return;
    v->filled = false;
    memset(v->large_filter, 0, sizeof v->large_filter);
    memset(v->write_filter, 0, sizeof v->write_filter);
}

void flush_context(struct tlb_context *c, bool globals)
{
    c->walk_epoch++;
    for (unsigned i = 0; i < TLB_OWN_VIEWS; i++)
        if (c->view[i])
            flush_view(c->view[i], globals);
}

static void flush_one(struct tlb_view *v, unsigned i, bool globals)
{
    uint64_t mask = BIT(i % 64);

    if (!(v->used[i / 64] & mask) || (!globals && v->global[i / 64] & mask))
        return;
    flush_entry(v, i);
    v->used[i / 64] &= ~mask;
    v->global[i / 64] &= ~mask;
    v->large[i / 64] &= ~mask;
    v->write[i / 64] &= ~mask;
}

static bool flush_large_near(const struct tlb_view *v, uint64_t linear)
{
    unsigned a = tlb_large_hash(linear, 21), b = tlb_large_hash(linear, 30);

    return bit(v->large_filter[a / 64], a % 64) || bit(v->large_filter[b / 64], b % 64);
}

/* the pieces of the large page, if it is one, around linear */
static void flush_large(struct tlb_view *v, uint64_t linear, bool globals)
{
    for (unsigned w = 0; w < TLB_WORDS; w++) {
        for (uint64_t left = v->large[w]; left; left &= left - 1) {
            unsigned i = 64 * w + (unsigned)__builtin_ctzll(left);
            unsigned shift = v->detail[i].linear >> DETAIL_SHIFT_AT & 63;

            if ((v->detail[i].linear ^ linear) >> shift == 0)
                flush_one(v, i, globals);
        }
    }
}

void flush_page(struct tlb_context *c, uint64_t linear, bool globals)
{
    unsigned at[] = { tlb_index(linear), tlb_code_index(linear) };

    c->walk_epoch++;
    if (c->canonical_width == 32)
        linear &= UINT32_MAX;
    for (unsigned n = 0; n < TLB_OWN_VIEWS; n++) {
        struct tlb_view *v = c->view[n];

        if (!v || !v->filled)
            continue;
        for (unsigned k = 0; k < 2; k++)
            if ((v->detail[at[k]].linear ^ linear) >> PAGE_SHIFT == 0)
                flush_one(v, at[k], globals);
        if (unlikely(flush_large_near(v, linear)))
            flush_large(v, linear, globals);
    }
}

/* ---- scopes ---- */

void mmu_flush_all(struct mmu *m)
{
    m->fetch_page = TLB_NONE;
    for (unsigned i = 0; i < m->context_count; i++)
        flush_context(m->contexts[i], true);
    gpa_flush_all(m);
}

void mmu_flush_current(struct mmu *m, bool globals)
{
    const struct tlb_key *now = &m->context->key;

    m->fetch_page = TLB_NONE;
    for (unsigned i = 0; i < m->context_count; i++) {
        struct tlb_context *c = m->contexts[i];

        /* A global entry may be used with any PCID, so it may have been entered under any. */
        if (c->key.vpid == now->vpid && (globals || c->key.pcid == now->pcid))
            flush_context(c, globals);
    }
}

void mmu_flush_current_all_pcids(struct mmu *m, bool globals)
{
    m->fetch_page = TLB_NONE;
    mmu_flush_vpid(m, m->context->key.vpid, globals);
}

void mmu_flush_pcid(struct mmu *m, uint16_t pcid)
{
    m->fetch_page = TLB_NONE;
    for (unsigned i = 0; i < m->context_count; i++) {
        struct tlb_context *c = m->contexts[i];

        if (c->key.vpid == m->context->key.vpid && c->key.pcid == pcid)
            flush_context(c, false);
    }
}

void mmu_invlpg(struct mmu *m, uint64_t linear)
{
    const struct tlb_key *now = &m->context->key;

    m->fetch_page = TLB_NONE;
    for (unsigned i = 0; i < m->context_count; i++) {
        struct tlb_context *c = m->contexts[i];

        /* Under another PCID only the global ones must go; dropping the page is simpler. */
        if (c->key.vpid == now->vpid)
            flush_page(c, linear, true);
    }
}

void mmu_invlpg_pcid(struct mmu *m, uint64_t linear, uint16_t pcid)
{
    m->fetch_page = TLB_NONE;
    for (unsigned i = 0; i < m->context_count; i++) {
        struct tlb_context *c = m->contexts[i];

        if (c->key.vpid == m->context->key.vpid && c->key.pcid == pcid)
            flush_page(c, linear, false);
    }
}

void mmu_flush_vpid(struct mmu *m, uint16_t vpid, bool globals)
{
    m->fetch_page = TLB_NONE;
    for (unsigned i = 0; i < m->context_count; i++)
        if (m->contexts[i]->key.vpid == vpid)
            flush_context(m->contexts[i], globals);
}

void mmu_flush_vpid_address(struct mmu *m, uint16_t vpid, uint64_t linear)
{
    m->fetch_page = TLB_NONE;
    for (unsigned i = 0; i < m->context_count; i++)
        if (m->contexts[i]->key.vpid == vpid)
            flush_page(m->contexts[i], linear, true);
}

void mmu_flush_all_vpids(struct mmu *m)
{
    m->fetch_page = TLB_NONE;
    for (unsigned i = 0; i < m->context_count; i++)
        if (m->contexts[i]->key.vpid != 0)
            flush_context(m->contexts[i], true);
}

void mmu_flush_ept(struct mmu *m, uint64_t ep4ta)
{
    m->fetch_page = TLB_NONE;
    for (unsigned i = 0; i < m->context_count; i++)
        if (m->contexts[i]->key.stage2_tag == ep4ta)
            flush_context(m->contexts[i], true);
    gpa_flush(m, ep4ta);
}

void mmu_flush_all_ept(struct mmu *m)
{
    m->fetch_page = TLB_NONE;
    for (unsigned i = 0; i < m->context_count; i++)
        if (m->contexts[i]->key.stage2_tag != 0)
            flush_context(m->contexts[i], true);
    gpa_flush_all(m);
}

/* ---- write tags ---- */

/* Withdraw the write tags of the page; the filter is made exact again on the way. */
static void flush_write_tags(struct tlb_view *v, uint64_t pa)
{
    memset(v->write_filter, 0, sizeof v->write_filter);
    for (unsigned w = 0; w < TLB_WORDS; w++) {
        for (uint64_t left = v->write[w]; left; left &= left - 1) {
            unsigned i = 64 * w + (unsigned)__builtin_ctzll(left);
            unsigned at = tlb_write_hash(v->detail[i].pa);

            if ((v->detail[i].pa ^ pa) >> PAGE_SHIFT == 0) {
                tlb_near_forget(v, i);
                v->entry[i].write = TLB_NONE;
                v->write[w] &= ~BIT(i % 64);
            } else {
                v->write_filter[at / 64] |= BIT(at % 64);
            }
        }
    }
}

static void flush_write_tags_anywhere(struct mmu *m, uint64_t pa)
{
    unsigned at = tlb_write_hash(pa);

    for (unsigned i = 0; i < m->context_count; i++) {
        for (unsigned n = 0; n < TLB_OWN_VIEWS; n++) {
            struct tlb_view *v = m->contexts[i]->view[n];

            if (v && bit(v->write_filter[at / 64], at % 64))
                flush_write_tags(v, pa);
        }
    }
}

static void flush_write_tag(struct tlb_view *v, unsigned i, uint64_t pa)
{
    if ((v->detail[i].pa ^ pa) >> PAGE_SHIFT != 0)
        return;
    tlb_near_forget(v, i);
    v->entry[i].write = TLB_NONE;
    v->write[i / 64] &= ~BIT(i % 64);
}

/* withdraw with `flush` what the owners of a tag have; false: there are too many */
static bool flush_owned(const struct mmu *m, uint32_t owner[2], uint64_t pa,
                        void (*flush)(struct tlb_view *v, unsigned i, uint64_t pa))
{
    bool few = owner[0] != OWNERS_MANY;

    for (unsigned k = 0; k < 2; k++) {
        if (few && owner[k] != 0) {
            unsigned i;
            struct tlb_view *v = tlb_owner_view(m, owner[k], &i);

            flush(v, i, pa);
        }
        owner[k] = 0;
    }
    return few;
}

void mmu_protect_page(struct mmu *m, uint64_t pa)
{
    uint64_t offset = bus_ram_offset(m->bus, pa);

    if (!m->owners || offset == BUS_NOT_RAM)
        return;
    if (!flush_owned(m, m->owners[offset >> PAGE_SHIFT].write, pa, flush_write_tag))
        flush_write_tags_anywhere(m, pa);
}

/* ---- fetch tags ---- */

static void flush_fetch_tag(struct tlb_view *v, unsigned i, uint64_t pa)
{
    if ((v->detail[i].pa ^ pa) >> PAGE_SHIFT == 0)
        v->entry[i].fetch = TLB_NONE;
}

static void flush_fetch_tags_anywhere(struct mmu *m, uint64_t pa)
{
    for (unsigned n = 0; n < m->context_count * TLB_OWN_VIEWS; n++) {
        struct tlb_view *v = m->contexts[n / TLB_OWN_VIEWS]->view[n % TLB_OWN_VIEWS];

        if (!v || !v->filled)
            continue;
        for (unsigned w = 0; w < TLB_WORDS; w++)
            for (uint64_t left = v->used[w]; left; left &= left - 1)
                flush_fetch_tag(v, 64 * w + (unsigned)__builtin_ctzll(left), pa);
    }
}

void flush_fetch_tags(struct mmu *m, uint64_t pa)
{
    uint64_t offset = bus_ram_offset(m->bus, pa);

    if (m->fetch_page + m->fetch_addend == (uintptr_t)m->bus->ram.bytes + offset)
        m->fetch_page = TLB_NONE;
    if (!m->owners || offset == BUS_NOT_RAM)
        return;
    if (!flush_owned(m, m->owners[offset >> PAGE_SHIFT].fetch, pa, flush_fetch_tag))
        flush_fetch_tags_anywhere(m, pa);
}
