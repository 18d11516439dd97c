/* One block to native code: prologue, instructions, end, and the slow paths beside. */
#include "base/assert.h"
#include "cpu/jit/x64.h"
#include "cpu/jit/x64_x87.h"

/* Charge all blocks of the path, or leave: budget used up. Who leaves in between gets back what is
 * not run. */
static void x64_charge(struct x64 *e)
{
    uint64_t charge = NATIVE_CHARGE(e->b->cost, e->b->count) + e->nb->rest;

    if (charge <= INT32_MAX) {
        x64_alu_mi(&e->hot, ALU_SUB, SZ_64, X64_FIELD(native.left), (int32_t)charge);
    } else {
        x64_mov_ri(&e->hot, N_RAX, charge);
        x64_rm(&e->hot, 0x29, SZ_64, N_RAX, X64_FIELD(native.left)); /* sub */
    }
    x64_jcc(&e->hot, CC_S, x64_here(&e->cold));
    x64_mov_ri(&e->cold, N_RAX, (uint64_t)e->nb->id << EXIT_SHIFT | EXIT_BUDGET);
    x64_jmp(&e->cold, e->jit->stub.exit);
    e->valid = 0;
}

static void x64_unless_live(struct x64 *e, struct x64_mem live, const uint8_t *load)
{
    x64_alu_mi(&e->hot, ALU_CMP, SZ_8, live, 0);
    x64_jcc(&e->hot, CC_E, x64_here(&e->cold));
    x64_call(&e->cold, load);
    x64_jmp(&e->cold, x64_here(&e->hot));
}

static void x64_prologue(struct x64 *e)
{
    x64_charge(e);
    if (e->x87_until > 0) /* XMM registers are dropped by this */
        x64_unless_live(e, X64_FIELD(native.x87_live), e->jit->stub.load_x87);
    if (e->uses_xmm)
        x64_unless_live(e, X64_FIELD(native.xmm_live), e->jit->stub.load_xmm);
}

/* index: of the instruction in the path */
static void x64_call_instruction(struct x64 *e, struct x64_buf *b, uint32_t ref, unsigned index)
{
    x64_mov_ri(b, N_RAX, ref);
    x64_call(b, e->jit->stub.insn);
    if (index + 1 < e->x87_until)
        x64_call(b, e->jit->stub.load_x87);
    if (e->uses_xmm)
        x64_call(b, e->jit->stub.load_xmm);
}

/* for those who look at code: where that of this instruction begins */
static void x64_mark(const struct x64 *e)
{
    if (e->jit->marks)
        e->jit->marks->hot[e->first + e->at] = x64_here(&e->hot);
}

/* each falls through to the slow path */
static void x64_near_misses(struct x64 *e, const struct x64_slow *s)
{
    uint8_t *jump[X64_SLOW_SITES];

    for (unsigned k = 0; k < s->near_count; k++) {
        x64_near_miss(e, &s->near[k], s->ref);
        if (k + 1 < s->near_count) {
            x64_jmp(&e->cold, x64_here(&e->cold));
            jump[k] = e->cold.at - 4;
        }
    }
    for (unsigned k = 0; k + 1 < s->near_count; k++)
        x64_patch(jump[k], e->cold.at);
}

/* where the look-ups that miss go */
static void x64_slow_paths(struct x64 *e)
{
    struct jit_marks *marks = e->jit->marks;

    for (unsigned i = 0; i < e->slow_count; i++) {
        const struct x64_slow *s = &e->slow[i];

        if (marks && !marks->cold[s->index])
            marks->cold[s->index] = x64_here(&e->cold);

        x64_near_misses(e, s);
        for (unsigned k = 0; k < s->count; k++)
            x64_patch(s->site[k], e->cold.at);
        x64_x87_store_cold(e, &s->x87);
        if (s->ends) {
            x64_mov_ri(&e->cold, N_RAX, s->ref);
            x64_jmp(&e->cold, e->jit->stub.end);
            continue;
        }
        x64_call_instruction(e, &e->cold, s->ref, s->index);
        if (s->reload)
            x64_reload_flags(&e->cold);
        x64_jmp(&e->cold, s->back + e->hot.bias);
    }
}

static void x64_note_slow_path(struct x64 *e, uint32_t ref)
{
    if (e->now.count + e->now.near_count == 0 || e->trial)
        return;
    ASSERT(e->slow_count < X64_SLOW_PATHS);
    e->now.ref = ref;
    e->now.index = e->first + e->at;
    e->now.x87 = e->x87;
    e->now.ends = e->ended;
    e->now.reload = e->valid != 0;
    e->now.back = e->hot.at;
    e->slow[e->slow_count++] = e->now;
}

/* The distance of a branch's target from the start of the page need not have 32 bits, as that from the
 * branch has; then the interpreter function branches. */
static bool x64_reaches(const struct x64 *e, const struct insn *in)
{
    int64_t offset = (int64_t)e->page_offset + (int64_t)in->imm;

    return insn_rows[in->id].op[0] != OP_Jz || offset == (int32_t)offset;
}

static void x64_instruction(struct x64 *e)
{
    const struct insn *in = &e->b->insns[e->at];
    const struct flow *f = &e->flow[e->at];
    const struct x64_emitter *emitter = f->row ? e->jit->emitter[in->id] : NULL;
    uint32_t ref = e->nb->id << REF_SHIFT | (e->saved ? REF_SAVED : 0) | e->at;
    bool ends = insn_rows[in->id].traits & T_END || in->flags & IN_CROSSES;

    if (e->at == 0 && e->b->count == 2 && in[1].flags & IN_CROSSES) {
        x64_second_page(e, in);
        return;
    }
    e->now.count = e->now.near_count = 0;
    e->self_saved = e->clear_af = e->keeps_rax = false;
    if (ends && e->cold_copy) /* its links are the hot copy's */
        emitter = NULL;
    x64_x87_before(e, in, !emitter || (ends && e->way == WAY_END));
    if (emitter && x64_reaches(e, in) && emitter->emit(e, in, emitter->arg)) {
        if (e->trial)
            e->trial->stays = !(f->row->traits & FLOW_FAULTS);
        if (e->trial)
            e->trial->keeps_rax = e->keeps_rax;
        x64_note_slow_path(e, ref);
        x64_x87_after(e, in);
        if (f->save && !e->self_saved)
            x64_save_flags(e);
        return;
    }
    x64_x87_before(e, in, true);
    if (ends) {
        x64_end_call(e);
        return;
    }
    x64_call_instruction(e, &e->hot, ref | (f->row ? 0 : REF_CALL), e->first + e->at);
    e->valid = 0;
    if (!f->row || f->must)
        e->saved = true;
}

void x64_try(const struct x64 *e, struct x64_use *use)
{
    static const struct x64_buf nowhere;
    uint8_t hot[512], cold[512];
    struct native_block scratch = { .far = e->nb->far };
    struct x64 trial = *e;

    trial.nb = &scratch;
    trial.hot = trial.cold = nowhere;
    for (unsigned i = 0; i < e->b->count && !trial.ended; i++) {
        trial.at = i;
        trial.hot.at = hot;
        trial.cold.at = cold;
        trial.trial = &use[i];
        x64_instruction(&trial);
        ASSERT(trial.hot.at <= hot + sizeof hot && trial.cold.at <= cold + sizeof cold);
    }
}

/* A group, twice: where its look-up misses, each access has its own. */
static void x64_group(struct x64 *e, const struct x64_group *g)
{
    uint8_t *back = NULL;
    uint16_t valid, valid_cold;
    bool saved = e->saved, kept = false;
    struct x64_x87_note x87 = e->x87;
    struct x64_buf hot;

    x64_mark(e);
    x64_group_look_up(e, g);
    hot = e->hot;
    valid = e->valid;
    e->hot = e->cold;
    e->shares = false;
    e->cold_copy = true;
    for (e->at = g->first; e->at <= g->last; e->at++)
        x64_instruction(e);
    if (!e->ended) {
        x64_jmp(&e->hot, x64_here(&e->hot));
        back = e->hot.at - 4;
    }
    valid_cold = e->valid;
    e->cold = e->hot;
    e->hot = hot;
    e->cold_copy = e->ended = false;
    e->valid = valid;
    e->saved = saved;
    e->x87 = x87;
    e->shares = e->shared_in_rax = true;
    for (e->at = g->first; e->at <= g->last; e->at++) {
        bool keeps = x64_keeps_rax(e);

        if (e->at > g->first) /* the first begins with the look-up */
            x64_mark(e);
        if (!keeps && !kept) {
            x64_store(&e->hot, SZ_64, X64_FIELD(native.shared), N_RAX);
            kept = true;
        }
        e->shared_in_rax &= keeps; /* it may use rax before its access too */
        x64_instruction(e);
        e->shared_in_rax &= keeps;
    }
    e->shares = false;
    if (back) {
        x64_patch(back, e->hot.at);
        e->valid &= valid_cold;
    }
}

static bool x64_path_uses_xmm(const struct flow *flow, unsigned insns)
{
    for (unsigned i = 0; i < insns; i++)
        if (flow[i].row && flow[i].row->traits & FLOW_XMM)
            return true;
    return false;
}

static unsigned x64_path_x87_until(const struct flow *flow, unsigned insns)
{
    while (insns > 0 && !(flow[insns - 1].row && flow[insns - 1].row->traits & FLOW_X87))
        insns--;
    return insns;
}

static void x64_block(struct x64 *e)
{
    struct x64_group g;

    memset(e->use, 0, e->b->count * sizeof e->use[0]);
    x64_try(e, e->use);
    e->at = 0;
    while (e->at < e->b->count && !e->ended) {
        if (x64_find_group(e, e->at, &g)) {
            x64_group(e, &g);
        } else {
            x64_mark(e);
            x64_instruction(e);
            e->at++;
        }
    }
    if (!e->ended && e->way == WAY_END) {
        x64_x87_store(e);
        x64_end_link(e, 0, (int64_t)e->page_offset + e->b->bytes, false);
    }
}

void x64_begin_block(struct x64 *e, struct native_block *nb, const struct flow *flow,
                     unsigned first)
{
    e->nb = nb;
    e->b = nb->b;
    e->way = !nb->follows ? WAY_END : nb->taken ? WAY_TAKEN : WAY_BEHIND;
    e->page_offset = nb->b->pa & ~PAGE_MASK;
    e->first = first;
    e->flow = flow + first;
    e->at = 0;
}

bool x64_would_hoist(struct jit *jit, struct native_block *head)
{
    struct x64 e = { .jit = jit, .saved = true };
    struct flow flow[PATH_MAX_INSNS];
    struct x64_hoist hoist;
    struct flow_path path;

    if (!head->loops)
        return false;
    jit_path(head, &path);
    flow_analyse_path(jit->flow, &path, flow);
    return x64_find_hoists(&e, head, flow, &hoist);
}

void x64_translate(struct jit *jit, struct native_block *head, struct x64_buf *hot,
                   struct x64_buf *cold)
{
    struct x64_slow slow[X64_SLOW_PATHS];
    struct x64 e = { .jit = jit, .hot = *hot, .cold = *cold, .saved = true, .slow = slow };
    struct flow flow[PATH_MAX_INSNS];
    struct x64_hoist hoist;
    struct flow_path path;

    e.loops = head->loops;
    memset(head->hits, 0, sizeof head->hits);
    jit_path(head, &path);
    flow_analyse_path(jit->flow, &path, flow);
    if (head->twin && x64_find_hoists(&e, head, flow, &hoist)) {
        e.hoist = &hoist;
        for (unsigned i = 0; i < PATH_MAX_INSNS; i++)
            head->hits[i / 64] |= (uint64_t)hoist.on[i] << i % 64;
        jit_path(head, &path);
        flow_analyse_path(jit->flow, &path, flow);
        x64_begin_block(&e, head, flow, 0);
        x64_hoist_checks(&e, head);
    }
    flow_note_saves(&path, flow, &head->saves);
    e.uses_xmm = x64_path_uses_xmm(flow, path.insns);
    e.x87_until = x64_path_x87_until(flow, path.insns);
    x64_begin_block(&e, head, flow, 0);
    x64_prologue(&e);
    x64_block(&e);
    for (struct native_block *nb = head->follows; nb; nb = nb->follows) {
        x64_begin_block(&e, nb, flow, e.first + e.b->count);
        x64_block(&e);
    }
    x64_slow_paths(&e);
    *hot = e.hot;
    *cold = e.cold;
}
