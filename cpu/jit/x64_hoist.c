/* Look-ups that are done once, at the start of a path that loops: for an address whose registers move
 * by constants only (a pointer or an index that walks through an array, a struct that stays), one
 * comparison says for all accesses that they stay in the page which struct tlb_near has. If they do not,
 * the path's plain twin runs.
 *
 * The comparison does nothing that the guest could see, so it may stand before what is in front of the
 * accesses. Between it and them nothing changes the slot: no other look-up of the path uses it, and when
 * C code has changed the TLB, the path is left (jit_instruction). */
#include "cpu/exec.h"
#include "cpu/jit/x64.h"
#include "mmu/tlb.h"

enum {
    HOIST_SPAN = NEAR_LARGE, /* bytes: longer ones cross a page too often */
    HOIST_PAYS = 3,          /* accesses, so many */
};

extern const struct exec_set exec_set_lea;

/* by how much an instruction moves a register that it writes; 0: who knows */
static int64_t hoist_step(const struct flow *f, const struct insn *in, unsigned reg)
{
    bool lea = insn_rows[in->id].exec == &exec_set_lea;

    if (reg == RSP && x64_rsp_step(in) != 0)
        return x64_rsp_step(in);
    if (in->size != SZ_64 || in->flags & IN_VOLATILE)
        return 0;
    if (lea)
        return in->base == reg && in->index == REG_ZERO && in->addr_mask >> 32 ? (int64_t)in->disp
                                                                               : 0;
    if (in->flags & IN_MEM || in->rm != reg || f->row->form != FORM_E_I)
        return 0;
    switch (f->row->rule) {
    case RULE_ADD: return (int64_t)in->imm;
    case RULE_SUB: return -(int64_t)in->imm;
    case RULE_INC: return 1;
    case RULE_DEC: return -1;
    default: return 0;
    }
}

struct hoist_walk {
    struct x64_hoist *h;
    int64_t moved[REG_COUNT];
    bool lost[REG_COUNT];
};

static bool hoist_slot_taken(const struct x64_hoist *h, unsigned slot)
{
    for (unsigned i = 0; i < h->count; i++)
        if (h->form[i].slot == slot)
            return true;
    return false;
}

static struct x64_form *hoist_form(struct x64_hoist *h, const struct x64_use *u)
{
    struct x64_form *f;
    unsigned n = u->reg + u->index * 5;

    for (unsigned i = 0; i < h->count; i++) {
        f = &h->form[i];
        if (f->base == u->reg && f->index == u->index && f->scale == u->scale)
            return f;
    }
    if (h->count == HOIST_FORMS)
        return NULL;
    while (hoist_slot_taken(h, x64_hoist_slot(n)))
        n++;
    f = &h->form[h->count++];
    *f = (struct x64_form){
        .base = u->reg, .index = u->index, .scale = u->scale, .slot = (uint8_t)x64_hoist_slot(n)
    };
    return f;
}

/* an access at a known distance from where its registers were at the start */
static bool hoist_include(struct hoist_walk *w, const struct x64_use *u, uint8_t *by)
{
    struct x64_form *f;
    int64_t low = w->moved[u->reg] + (w->moved[u->index] << u->scale) + u->disp;
    int64_t high = low + u->bytes;

    if (w->lost[u->reg] || w->lost[u->index] || !(f = hoist_form(w->h, u)))
        return false;
    if (f->accesses > 0) {
        low = low < f->low ? low : f->low;
        high = high > f->high ? high : f->high;
    }
    if (high - low > HOIST_SPAN || low != (int32_t)low)
        return false;
    f->low = low;
    f->high = high;
    f->write |= u->write;
    f->accesses++;
    *by = (uint8_t)(f - w->h->form);
    return true;
}

static void hoist_move(struct hoist_walk *w, const struct flow *f, const struct insn *in)
{
    for (unsigned reg = 0; reg < 16; reg++) {
        int64_t step;

        if (f->row && !flow_writes(f, in, reg))
            continue;
        step = f->row ? hoist_step(f, in, reg) : 0;
        w->moved[reg] += step;
        w->lost[reg] |= step == 0;
    }
}

static void hoist_block(struct x64 *e, struct hoist_walk *w)
{
    struct x64_use use[BLOCK_MAX_INSNS + 1] = { 0 };

    x64_try(e, use);
    for (unsigned i = 0; i < e->b->count; i++) {
        const struct x64_use *u = &use[i];
        const struct flow *f = &e->flow[i];

        w->h->on[e->first + i] = f->row && u->accesses == 1 && u->based && !u->aligned &&
                                 !bit(e->nb->far, i) &&
                                 hoist_include(w, u, &w->h->by[e->first + i]);
        hoist_move(w, f, &e->b->insns[i]);
    }
}

bool x64_find_hoists(struct x64 *e, struct native_block *head, const struct flow *flow,
                     struct x64_hoist *h)
{
    struct hoist_walk w = { .h = h };
    bool any = false;

    *h = (struct x64_hoist){ 0 };
    for (struct native_block *nb = head; nb; nb = nb->follows) {
        x64_begin_block(e, nb, flow, nb->first);
        hoist_block(e, &w);
    }
    for (unsigned i = 0; i < h->count; i++)
        any |= h->form[i].accesses >= HOIST_PAYS;
    for (unsigned i = 0; i < PATH_MAX_INSNS; i++)
        h->on[i] &= h->form[h->by[i]].accesses >= HOIST_PAYS;
    return any;
}

/* the instruction that a check is for, for jit_near_sampled */
static uint32_t hoist_ref(const struct native_block *head, const struct x64_hoist *h, unsigned form)
{
    unsigned i = 0;

    while (!h->on[i] || h->by[i] != form)
        i++;
    while (i >= head->first + head->b->count)
        head = head->follows;
    return head->id << REF_SHIFT | (i - head->first);
}

void x64_hoist_checks(struct x64 *e, const struct native_block *head)
{
    for (unsigned i = 0; i < e->hoist->count; i++) {
        const struct x64_form *f = &e->hoist->form[i];
        struct x64_mem from = { N_NONE, N_NONE, f->scale, (int32_t)f->low };
        struct x64_near_site s;

        if (f->accesses < HOIST_PAYS)
            continue;
        if (f->base != REG_ZERO)
            from.base = (uint8_t)x64_in_reg(e, f->base, X64_TMP);
        if (f->index != REG_ZERO)
            from.index = (uint8_t)x64_in_reg(e, f->index, N_RAX);
        x64_lea(&e->hot, SZ_64, X64_TMP, from);
        s = x64_near_check(e, f->slot, f->write, (unsigned)(f->high - f->low));
        x64_near_miss(e, &s, hoist_ref(head, e->hoist, i));
        x64_jmp(&e->cold, head->twin->code);
    }
}

bool x64_hoisted(const struct x64 *e)
{
    return e->hoist && e->hoist->on[e->first + e->at];
}

void x64_hoisted_load(struct x64 *e)
{
    const struct x64_form *f = &e->hoist->form[e->hoist->by[e->first + e->at]];

    x64_near_load(e, f->slot, f->write, true);
}
