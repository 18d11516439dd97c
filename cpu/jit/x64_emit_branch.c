/* Emitters of what reads conditions, and of near branches. */
#include "cpu/conditions.h"
#include "cpu/exec.h"
#include "cpu/jit/x64.h"

/* ---- conditions ---- */

static bool x64_setcc(struct x64 *e, const struct insn *in, unsigned cc)
{
    struct x64_operand o = x64_rm_operand(e, in, 1, true);

    x64_need_flags(e, e->flow[e->at].reads, &o);
    x64_op(e, (0x90 | cc) | OP_0F, SZ_8, 0, &o);
    return true;
}

static bool x64_cmovcc(struct x64 *e, const struct insn *in, unsigned cc)
{
    unsigned native = x64_reg_of[in->reg];
    struct x64_operand o = x64_rm_operand(e, in, 1u << in->size, false);

    x64_need_flags(e, e->flow[e->at].reads, &o);
    if (native == N_NONE) {
        x64_free_rax(e, &o);
        native = N_RAX;
        x64_load(&e->hot, SZ_64, N_RAX, x64_slot(in->reg));
    }
    x64_op(e, (0x40 | cc) | OP_0F, in->size, native, &o);
    x64_to_guest(e, in->size, in->reg, native);
    return true;
}

/* the next instruction's distance from the start of the page */
static int64_t x64_behind(const struct x64 *e, const struct insn *in)
{
    return (int64_t)e->page_offset + in->start + in->length;
}

static bool x64_jcc_J(struct x64 *e, const struct insn *in, unsigned cc)
{
    int64_t taken = (int64_t)e->page_offset + (int64_t)in->imm;
    int64_t behind = x64_behind(e, in);

    x64_need_flags(e, e->flow[e->at].reads, NULL);
    if (e->way == WAY_TAKEN)
        x64_side_exit(e, cc ^ 1, 1, behind, false);
    else if (e->way == WAY_BEHIND)
        x64_side_exit(e, cc, 0, taken, true);
    else
        x64_end_jcc(e, cc, taken, behind);
    return true;
}

/* ---- other ends ---- */

static bool x64_jmp_J(struct x64 *e, const struct insn *in, unsigned arg)
{
    if (e->way == WAY_END)
        x64_end_link(e, 0, (int64_t)e->page_offset + (int64_t)in->imm, true);
    return true;
}

static bool x64_jmp_E(struct x64 *e, const struct insn *in, unsigned arg)
{
    struct x64_operand o = x64_rm_operand(e, in, 8, false);

    x64_op(e, 0x8b, SZ_64, N_RAX, &o);
    x64_end_indirect(e);
    return true;
}

/* push the address of the next instruction */
static void x64_push_return(struct x64 *e, const struct insn *in)
{
    struct x64_operand o = x64_access_reg(e, RSP, -8, 8, true);

    x64_load(&e->hot, SZ_64, X64_TMP, X64_FIELD(native.page));
    x64_lea(&e->hot, SZ_64, X64_TMP,
            (struct x64_mem){ X64_TMP, N_NONE, 0, (int32_t)x64_behind(e, in) });
    x64_op(e, 0x89, SZ_64, X64_TMP, &o);
    x64_move_rsp(e, -8);
}

/* A target that is not canonical faults in front of the push. */
static bool x64_call_J(struct x64 *e, const struct insn *in, unsigned arg)
{
    x64_check_near_target(e, (int64_t)e->page_offset + (int64_t)in->imm);
    x64_push_return(e, in);
    x64_end_call_near(e, (int64_t)e->page_offset + (int64_t)in->imm, x64_behind(e, in));
    return true;
}

static bool x64_call_E(struct x64 *e, const struct insn *in, unsigned arg)
{
    struct x64_operand o = x64_rm_operand(e, in, 8, false);

    x64_op(e, 0x8b, SZ_64, N_RAX, &o);
    x64_store(&e->hot, SZ_64, X64_FIELD(rip), N_RAX); /* nobody looks at it inside a block */
    x64_check_target(e);
    x64_push_return(e, in);
    x64_load(&e->hot, SZ_64, N_RAX, X64_FIELD(rip));
    x64_end_call_indirect(e, x64_behind(e, in));
    return true;
}

static bool x64_ret(struct x64 *e, const struct insn *in, unsigned arg)
{
    struct x64_operand o = x64_access_reg(e, RSP, 0, 8, false);

    x64_op(e, 0x8b, SZ_64, N_RAX, &o);
    x64_move_rsp(e, 8);
    x64_end_return(e);
    return true;
}

/* ---- the table ---- */

#define EMIT(name, function, argument) extern const struct exec_set exec_set_##name;
#include "cpu/jit/x64_branch.def"

const struct x64_emitter x64_branch_emitters[] = {
#define EMIT(name, function, argument) { &exec_set_##name, x64_##function, argument },
#include "cpu/jit/x64_branch.def"
    { 0 },
};
