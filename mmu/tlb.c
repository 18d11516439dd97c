/* The TLB: contexts and their entries. A context belongs to one (VPID, PCID, EPT root, mode), and
 * is found again when the processor returns to it, so that a switch flushes nothing. What
 * invalidates is in flush.c. [SDM 3A "Caching Translation Information"] */
#include "mmu/tlb.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "mmu/bus_ram.h"
#include "mmu/flush.h"
#include "mmu/gpa_cache.h"
#include "mmu/walk.h"

/* What VIEW_USER_ALIGNED looks things up in: nothing is ever here, and nothing is written. */
static const struct {
    struct tlb_entry entry[TLB_ALL];
    struct tlb_near near;
} tlb_never = { .entry = { [0 ... TLB_ALL - 1] = { TLB_NONE, TLB_NONE, TLB_NONE, 0 } } };

static_assert(offsetof(struct tlb_view, near) == sizeof tlb_never.entry, "as in a view");

/* ---- contexts ---- */

/* The bits of control registers on which translation depends; bits without an effect in a mode
 * do not count, so that they do not split contexts. [SDM 3A "Paging Modes and Control Bits"] */
static uint16_t tlb_mode(const struct paging *p)
{
    unsigned mode;

    if (!bit(p->cr0, 31)) /* PG */
        return 0;
    mode = MODE_PG | (bit(p->cr0, 16) ? MODE_WP : 0) | (bit(p->cr4, 20) ? MODE_SMEP : 0) |
           (bit(p->cr4, 21) ? MODE_SMAP : 0) | (bit(p->efer, 11) ? MODE_NXE : 0);
    if (bit(p->efer, 10)) /* LMA */
        return (uint16_t)(mode | MODE_LMA | (bit(p->cr4, 12) ? MODE_LA57 : 0));
    if (bit(p->cr4, 5))
        return (uint16_t)(mode | MODE_PAE);
    return (uint16_t)(mode | (bit(p->cr4, 4) ? MODE_PSE : 0));
}

static struct tlb_key tlb_key_of(const struct mmu *m)
{
    const struct paging *p = &m->paging;
    struct tlb_key key = {
        .vpid = p->vpid,
        .mode = tlb_mode(p),
        .apic_access = m->special[SPECIAL_APIC_ACCESS].pa,
    };

    if (bit(p->cr4, 17)) /* PCIDE */
        key.pcid = p->cr3 & 0xfff;
    if (p->stage2) {
        key.stage2_tag = p->stage2->tag;
        key.stage2_mode = p->stage2->mode;
    }
    return key;
}

static bool tlb_same_key(const struct tlb_key *a, const struct tlb_key *b)
{
    return a->vpid == b->vpid && a->pcid == b->pcid && a->mode == b->mode &&
           a->stage2_mode == b->stage2_mode && a->stage2_tag == b->stage2_tag &&
           a->apic_access == b->apic_access;
}

static unsigned tlb_hash(const struct tlb_key *k)
{
    uint64_t h = (uint64_t)k->vpid << 48 | (uint64_t)k->pcid << 16 | k->mode;

    h ^= k->stage2_tag ^ (uint64_t)k->stage2_mode << 32 ^ k->apic_access;
    return h * UINT64_C(0x9e3779b97f4a7c15) >> 58; /* MMU_RECENT_CONTEXTS is 64 */
}

static_assert(MMU_RECENT_CONTEXTS == 64, "what tlb_hash returns");

/* Make an unused (or flushed) context that of `key`. */
static void tlb_adopt(struct tlb_context *c, const struct tlb_key *key)
{
    unsigned mode = key->mode;

    c->key = *key;
    c->canonical_width = mode & MODE_LMA ? (mode & MODE_LA57 ? 57 : 48) : 32;
    c->alias[VIEW_SUPERVISOR] = VIEW_SUPERVISOR;
    c->alias[VIEW_USER] = mode & MODE_PG ? VIEW_USER : VIEW_SUPERVISOR;
    c->alias[VIEW_USER_ALIGNED] = c->alias[VIEW_USER];
    c->alias[VIEW_SUPERVISOR_AC] = mode & MODE_SMAP ? VIEW_SUPERVISOR_AC : VIEW_SUPERVISOR;
    for (unsigned view = 0; view < TLB_OWN_VIEWS; view++)
        for (unsigned i = 0; i < 8; i++)
            c->rights[view][i] = access_rights(mode, (enum mmu_view)view, i & 1, i & 2, i & 4);
}

/* A context that is free: a new one while there may be more, else the least recently used. */
static struct tlb_context *tlb_free_context(struct mmu *m)
{
    struct tlb_context *oldest;

    if (m->context_count < TLB_CONTEXTS) {
        struct tlb_context *c = calloc(1, sizeof *c);

        ASSERT(c);
        c->walk_epoch = 1;
        c->mmu = m;
        c->index = m->context_count;
        m->contexts[m->context_count++] = c;
        return c;
    }
    oldest = m->contexts[0];
    for (unsigned i = 1; i < m->context_count; i++)
        if (m->contexts[i]->last_used < oldest->last_used)
            oldest = m->contexts[i];
    flush_context(oldest, true);
    return oldest;
}

static struct tlb_context *tlb_find_context(struct mmu *m, const struct tlb_key *key)
{
    struct tlb_context **recent = &m->recent[tlb_hash(key)];

    if (likely(*recent && tlb_same_key(&(*recent)->key, key)))
        return *recent;
    for (unsigned i = 0; i < m->context_count; i++)
        if (tlb_same_key(&m->contexts[i]->key, key))
            return *recent = m->contexts[i];
    *recent = tlb_free_context(m);
    tlb_adopt(*recent, key);
    return *recent;
}

void mmu_switch(struct mmu *m)
{
    struct tlb_key key = tlb_key_of(m);

    if (!m->context || !tlb_same_key(&m->context->key, &key))
        m->context = tlb_find_context(m, &key);
    m->context->last_used = ++m->context_clock;
    m->tlb_system = tlb_view(m->context, VIEW_SUPERVISOR)->entry;
    for (unsigned view = 0; view < TLB_OWN_VIEWS; view++) {
        struct tlb_view *v = m->context->view[m->context->alias[view]];

        m->tlb_of[view] = v ? v->entry : NULL;
    }
    mmu_set_view(m, m->view);
}

void mmu_set_view(struct mmu *m, enum mmu_view view)
{
    m->view = view;
    m->fetch_page = TLB_NONE;
    if (unlikely(view == VIEW_USER_ALIGNED || m->watch))
        m->tlb = (struct tlb_entry *)tlb_never.entry;
    else
        m->tlb = m->tlb_of[view] = tlb_view(m->context, view)->entry;
}

void mmu_set_watch(struct mmu *m, mmu_watch_fn *watch)
{
    if (m->watch == watch)
        return;
    m->watch = watch;
    mmu_set_view(m, m->view);
}

static void tlb_protect_page(void *owner, uint64_t pa)
{
    mmu_protect_page(owner, pa);
}

static void tlb_opens(void *owner, uint64_t pa)
{
    flush_fetch_tags(owner, pa);
}

static void tlb_map_changed(void *owner)
{
    mmu_flush_all(owner);
}

void mmu_init(struct mmu *m, struct bus *bus, unsigned maxphyaddr)
{
    memset(m, 0, sizeof *m);
    m->bus = bus;
    m->maxphyaddr = maxphyaddr;
    m->gib_pages = true;
    for (unsigned i = 0; i < SPECIAL_COUNT; i++)
        m->special[i].pa = MMU_NO_PAGE;
    m->contexts = calloc(TLB_CONTEXTS, sizeof *m->contexts);
    m->gpa_cache = calloc(1, sizeof *m->gpa_cache);
    ASSERT(m->contexts && m->gpa_cache);
    m->listener = (struct bus_listener){
        .owner = m,
        .protect_page = tlb_protect_page,
        .opens = tlb_opens,
        .map_changed = tlb_map_changed,
    };
    bus_listen(bus, &m->listener);
    mmu_switch(m);
}

void mmu_destroy(struct mmu *m)
{
    bus_unlisten(m->bus, &m->listener);
    for (unsigned i = 0; i < m->context_count; i++) {
        for (unsigned view = 0; view < TLB_OWN_VIEWS; view++)
            free(m->contexts[i]->view[view]);
        free(m->contexts[i]);
    }
    free(m->contexts);
    free(m->gpa_cache);
    free(m->owners);
    memset(m, 0, sizeof *m);
}

/* ---- entries ---- */

struct tlb_view *tlb_new_view(struct tlb_context *c, enum mmu_view view)
{
    struct tlb_view *v = aligned_alloc(64, align_up(sizeof *v, 64));

    ASSERT(v);
    memset(v, 0, sizeof *v);
    memcpy(v->entry, tlb_never.entry, sizeof v->entry);
    v->mmu = c->mmu;
    v->id = c->index * TLB_OWN_VIEWS + c->alias[view];
    c->view[c->alias[view]] = v;
    return v;
}

/* the tags of a page of RAM, by the place of its flags */
static struct tag_owners *tlb_owners(struct mmu *m, const uint8_t *flags)
{
    if (unlikely(!m->owners)) {
        m->owners = calloc(bus_ram_size(m->bus) >> PAGE_SHIFT, sizeof *m->owners);
        ASSERT(m->owners);
    }
    return &m->owners[flags - m->bus->page_flags];
}

/* Does the entry that a number stands for have this tag of a page? */
static bool tlb_owns(const struct mmu *m, uint32_t owner, uint64_t pa, enum mmu_access tag)
{
    unsigned i;
    const struct tlb_view *v = tlb_owner_view(m, owner, &i);

    return (tag == MMU_WRITE ? v->entry[i].write : v->entry[i].fetch) != TLB_NONE &&
           (v->detail[i].pa ^ pa) >> PAGE_SHIFT == 0;
}

static void tlb_own(struct tlb_view *v, unsigned i, uint32_t owner[2], enum mmu_access tag)
{
    uint32_t me = v->id * TLB_ALL + i + 1;

    if (owner[0] == OWNERS_MANY || owner[0] == me || owner[1] == me)
        return;
    for (unsigned k = 0; k < 2; k++) {
        if (owner[k] == 0 || !tlb_owns(v->mmu, owner[k], v->detail[i].pa, tag)) {
            owner[k] = me;
            return;
        }
    }
    owner[0] = OWNERS_MANY;
}

void tlb_allow_fetch(struct tlb_view *v, unsigned i, const uint8_t *flags)
{
    tlb_own(v, i, tlb_owners(v->mmu, flags)->fetch, MMU_FETCH);
    v->entry[i].fetch = v->detail[i].linear & PAGE_MASK;
}

void tlb_allow_write(struct tlb_view *v, unsigned i, uint8_t *flags)
{
    unsigned at = tlb_write_hash(v->detail[i].pa);

    tlb_own(v, i, tlb_owners(v->mmu, flags)->write, MMU_WRITE);

    *flags |= PAGE_WRITABLE | PAGE_DIRTY;
    v->entry[i].write = v->detail[i].linear & PAGE_MASK;
    v->write[i / 64] |= BIT(i % 64);
    v->write_filter[at / 64] |= BIT(at % 64);
}

static void tlb_put_bit(uint64_t *map, unsigned i, bool set)
{
    map[i / 64] = (map[i / 64] & ~BIT(i % 64)) | (uint64_t)set << i % 64;
}

void tlb_enter(struct tlb_view *v, const struct tlb_fill *fill)
{
    unsigned i = tlb_index_for(fill->linear, fill->access), shift = fill->detail >> DETAIL_SHIFT_AT;
    struct tlb_entry *e = &v->entry[i];
    bool large = shift > PAGE_SHIFT;

    tlb_near_forget(v, i);
    v->detail[i].linear = fill->linear | fill->detail;
    v->detail[i].pa = fill->pa | fill->kind;
    v->filled = true;
    v->used[i / 64] |= BIT(i % 64);
    tlb_put_bit(v->global, i, fill->detail & DETAIL_GLOBAL);
    tlb_put_bit(v->large, i, large);
    v->write[i / 64] &= ~BIT(i % 64);
    if (large) {
        unsigned at = tlb_large_hash(fill->linear, shift);

        v->large_filter[at / 64] |= BIT(at % 64);
    }
    *e = (struct tlb_entry){ TLB_NONE, TLB_NONE, TLB_NONE, 0 };
    if (!fill->native)
        return;
    e->addend = (uintptr_t)fill->native - (uintptr_t)fill->linear;
    if (fill->access == MMU_FETCH) {
        if (fill->kind != KIND_RAM)
            e->fetch = fill->linear;
        else if (!(*fill->flags & PAGE_OPEN))
            tlb_allow_fetch(v, i, fill->flags);
        return;
    }
    if (fill->detail & DETAIL_READ)
        e->read = fill->linear;
    /* A write tag counts as a write (dirty tracking), so a page that is only read gets none until
     * the flags say that it makes no difference. */
    if (fill->kind == KIND_RAM && fill->detail & DETAIL_WRITE && !(*fill->flags & PAGE_CODE) &&
        (fill->access == MMU_WRITE || (*fill->flags & PAGE_WRITABLE && *fill->flags & PAGE_DIRTY)))
        tlb_allow_write(v, i, fill->flags);
}

/* ---- `info tlb` ---- */

static void tlb_show_entry(const struct tlb_detail *d, unsigned view, FILE *out)
{
    static const char *const views[] = { "super", "user", "super-ac" };
    static const char *const kinds[] = { "", " ROM", " MMIO", " LAPIC", " APIC-access" };

    fprintf(out, "  %016" PRIx64 " -> %012" PRIx64 " %7u KiB %c%c%c %s%s%s\n",
            d->linear & PAGE_MASK, d->pa & PAGE_MASK,
            1u << ((d->linear >> DETAIL_SHIFT_AT & 63) - 10), d->linear & DETAIL_READ ? 'r' : '-',
            d->linear & DETAIL_WRITE ? 'w' : '-', d->linear & DETAIL_FETCH ? 'x' : '-', views[view],
            d->linear & DETAIL_GLOBAL ? " global" : "", kinds[d->pa & ~PAGE_MASK]);
}

void mmu_show_tlb(const struct mmu *m, FILE *out)
{
    fprintf(out, "walks %" PRIu64 ", fills %" PRIu64 "\n", m->walks, m->fills);
    for (unsigned n = 0; n < m->context_count; n++) {
        const struct tlb_context *c = m->contexts[n];

        fprintf(out, "VPID %u PCID %u EP4TA %#" PRIx64 "%s\n", c->key.vpid, c->key.pcid,
                c->key.stage2_tag, c == m->context ? " (current)" : "");
        for (unsigned view = 0; view < TLB_OWN_VIEWS; view++)
            for (unsigned i = 0; c->view[view] && i < TLB_ALL; i++)
                if (bit(c->view[view]->used[i / 64], i % 64))
                    tlb_show_entry(&c->view[view]->detail[i], view, out);
    }
}
