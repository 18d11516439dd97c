/* Look-ups that are done once, at the start of a path that loops: for an address register that moves by
 * constants only (a pointer that walks through an array, the stack pointer, a struct that stays), one
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
    if (in->size != SZ_64)
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
    int64_t moved[16];
    bool lost[16];
};

/* an access at a known distance from where its register was at the start */
static bool hoist_include(struct hoist_walk *w, const struct x64_use *u)
{
    struct x64_hoist_reg *g = &w->h->reg[u->reg];
    int64_t low = w->moved[u->reg] + u->disp, high = low + u->bytes;

    if (g->accesses > 0) {
        low = low < g->low ? low : g->low;
        high = high > g->high ? high : g->high;
    }
    if (high - low > HOIST_SPAN || low < INT32_MIN || high > INT32_MAX)
        return false;
    g->low = (int32_t)low;
    g->high = (int32_t)high;
    g->write |= u->write;
    g->accesses++;
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
                                 !w->lost[u->reg] && !bit(e->nb->far, i) && hoist_include(w, u);
        w->h->by[e->first + i] = u->reg;
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
    for (unsigned reg = 0; reg < 16; reg++)
        any |= h->reg[reg].accesses >= HOIST_PAYS;
    for (unsigned i = 0; i < PATH_MAX_INSNS; i++)
        h->on[i] &= h->reg[h->by[i]].accesses >= HOIST_PAYS;
    return any;
}

/* the instruction that a check is for, for jit_near_sampled */
static uint32_t hoist_ref(const struct native_block *head, const struct x64_hoist *h, unsigned reg)
{
    unsigned i = 0;

    while (!h->on[i] || h->by[i] != reg)
        i++;
    while (i >= head->first + head->b->count)
        head = head->follows;
    return head->id << REF_SHIFT | (i - head->first);
}

void x64_hoist_checks(struct x64 *e, const struct native_block *head)
{
    for (unsigned reg = 0; reg < 16; reg++) {
        const struct x64_hoist_reg *g = &e->hoist->reg[reg];
        struct x64_near_site s;
        struct x64_mem from;

        if (g->accesses < HOIST_PAYS)
            continue;
        from = (struct x64_mem){ (uint8_t)x64_in_reg(e, reg, X64_TMP), N_NONE, 0, g->low };
        x64_lea(&e->hot, SZ_64, X64_TMP, from);
        s = x64_near_check(e, x64_hoist_slot(reg), g->write, (unsigned)(g->high - g->low));
        x64_near_miss(e, &s, hoist_ref(head, e->hoist, reg));
        x64_jmp(&e->cold, head->twin->code);
    }
}

bool x64_hoisted(const struct x64 *e)
{
    return e->hoist && e->hoist->on[e->first + e->at];
}

struct x64_operand x64_hoisted_access(struct x64 *e, unsigned reg, int32_t disp)
{
    uint8_t native = (uint8_t)x64_in_reg(e, reg, X64_TMP);

    x64_near_load(e, x64_hoist_slot(reg), e->hoist->reg[reg].write, true);
    return (struct x64_operand){ .memory = true, .guest = true, .m = { N_RAX, native, 0, disp } };
}
