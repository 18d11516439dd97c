/* One block to native code: prologue, instructions, end, and the slow paths beside. */
#include "base/assert.h"
#include "cpu/jit/x64.h"

/* charge the block, or leave: budget used up */
static void x64_prologue(struct x64 *e)
{
    x64_alu_mi(&e->hot, ALU_SUB, SZ_64, X64_FIELD(budget), (int32_t)e->b->cost);
    x64_jcc(&e->hot, CC_S, x64_here(&e->cold));
    x64_mov_ri(&e->cold, N_RAX, (uint64_t)e->nb->id << EXIT_SHIFT | EXIT_BUDGET);
    x64_jmp(&e->cold, e->jit->stub.exit);
    x64_alu_mi(&e->hot, ALU_ADD, SZ_64, X64_FIELD(insn_count), e->b->count);
    if (e->uses_xmm) {
        uint8_t *cold = x64_here(&e->cold);

        x64_alu_mi(&e->hot, ALU_CMP, SZ_8, X64_FIELD(native.xmm_live), 0);
        x64_jcc(&e->hot, CC_E, cold);
        x64_call(&e->cold, e->jit->stub.load_xmm);
        x64_jmp(&e->cold, x64_here(&e->hot));
    }
}

static void x64_call_instruction(struct x64 *e, struct x64_buf *b, uint32_t ref)
{
    x64_mov_ri(b, N_RAX, ref);
    x64_call(b, e->jit->stub.insn);
    if (e->uses_xmm)
        x64_call(b, e->jit->stub.load_xmm);
}

/* where the look-ups that miss go */
static void x64_slow_path(struct x64 *e, uint32_t ref)
{
    uint8_t *at = e->cold.at;

    if (e->slow_count == 0)
        return;
    for (unsigned i = 0; i < e->slow_count; i++)
        x64_patch(e->slow[i], at);
    if (e->ended) {
        x64_mov_ri(&e->cold, N_RAX, ref);
        x64_jmp(&e->cold, e->jit->stub.end);
        return;
    }
    x64_call_instruction(e, &e->cold, ref);
    if (e->valid)
        x64_reload_flags(&e->cold);
    x64_jmp(&e->cold, x64_here(&e->hot));
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

    e->slow_count = 0;
    e->self_saved = e->clear_af = false;
    if (emitter && x64_reaches(e, in) && emitter->emit(e, in, emitter->arg)) {
        x64_slow_path(e, ref);
        if (f->save && !e->self_saved)
            x64_save_flags(e);
        return;
    }
    if (ends) {
        x64_end_call(e);
        return;
    }
    x64_call_instruction(e, &e->hot, ref | (f->row ? 0 : REF_CALL));
    e->valid = 0;
    if (!f->row || f->must)
        e->saved = true;
}

static bool x64_block_uses_xmm(const struct x64 *e)
{
    for (unsigned i = 0; i < e->b->count; i++)
        if (e->flow[i].row && e->flow[i].row->traits & FLOW_XMM)
            return true;
    return false;
}

bool x64_translate(struct jit *jit, const struct block *b, struct native_block *nb,
                   struct x64_buf *hot, struct x64_buf *cold)
{
    struct x64 e = { .jit = jit,
                     .b = b,
                     .nb = nb,
                     .hot = *hot,
                     .cold = *cold,
                     .saved = true,
                     .page_offset = b->pa & ~PAGE_MASK };

    flow_analyse(jit->flow, b, e.flow);
    e.uses_xmm = x64_block_uses_xmm(&e);
    x64_prologue(&e);
    if (b->count == 2 && b->insns[1].flags & IN_CROSSES) {
        x64_end_call(&e); /* the check of the second page, and all that follows */
    } else {
        for (e.at = 0; e.at < b->count && !e.ended; e.at++)
            x64_instruction(&e);
        if (!e.ended)
            x64_end_link(&e, 0, (int64_t)e.page_offset + b->bytes, false);
    }
    *hot = e.hot;
    *cold = e.cold;
    return true;
}
