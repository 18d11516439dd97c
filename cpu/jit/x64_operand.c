/* Guest registers and operands in native code. */
#include "cpu/jit/x64.h"

/* RSP, RDX and RCX where instructions want them or addresses use them much; R10, R11, R13 to R15
 * are the least used. */
const uint8_t x64_reg_of[16] = {
    [RAX] = N_RBX, [RCX] = N_RCX,  [RDX] = N_RDX,  [RBX] = N_R10,  [RSP] = N_R12,  [RBP] = N_R13,
    [RSI] = N_RSI, [RDI] = N_RDI,  [R8] = N_R8,    [R9] = N_R9,    [R10] = N_NONE, [R11] = N_NONE,
    [R12] = N_R11, [R13] = N_NONE, [R14] = N_NONE, [R15] = N_NONE,
};

/* the second bytes of rbx, rcx and rdx; BH goes through AH (x64_borrow_high) */
const uint8_t native_high_bytes = 1 << RAX | 1 << RCX | 1 << RDX | 1 << RBX;

struct x64_operand x64_guest_reg(unsigned reg)
{
    unsigned native = x64_reg_of[reg];

    if (native != N_NONE)
        return (struct x64_operand){ .reg = (uint8_t)native };
    return (struct x64_operand){ .memory = true, .m = x64_slot(reg) };
}

void x64_op(struct x64 *e, uint32_t op, unsigned size, unsigned reg, const struct x64_operand *o)
{
    if (o->memory)
        x64_rm(&e->hot, op, size, reg, o->m);
    else
        x64_rr(&e->hot, op, size, reg, o->reg);
}

struct x64_operand x64_byte_operand(unsigned offset)
{
    struct x64_operand o = x64_guest_reg(offset / 8);

    if (offset & 7 && o.memory)
        o.m.disp++;
    else if (offset & 7)
        o.reg = N_HIGH(o.reg);
    return o;
}

/* Where the guest's BH is, an instruction without REX has no byte: AH stands in for it. */
static bool x64_lends_high(const struct insn *in)
{
    return in->size == SZ_8 && !(in->flags & IN_MEM) && in->rm & 7 &&
           x64_reg_of[in->rm / 8] >= N_RSP;
}

void x64_borrow_high(struct x64 *e, const struct insn *in, struct x64_operand *o)
{
    if (!x64_lends_high(in))
        return;
    x64_mov_rr(&e->hot, SZ_64, N_RAX, x64_reg_of[in->rm / 8]);
    o->reg = N_HIGH(N_RAX);
}

void x64_return_high(struct x64 *e, const struct insn *in)
{
    if (x64_lends_high(in))
        x64_mov_rr(&e->hot, SZ_64, x64_reg_of[in->rm / 8], N_RAX);
}

struct x64_operand x64_rm_operand(struct x64 *e, const struct insn *in, unsigned bytes, bool write)
{
    if (in->flags & IN_MEM)
        return x64_access(e, in, bytes, write);
    if (in->size == SZ_8)
        return x64_byte_operand(in->rm);
    return x64_guest_reg(x64_number(in, in->rm));
}

/* Moves and the like whose registers all have a native one. */
bool x64_keeps_rax(const struct x64 *e)
{
    const struct insn *in = &e->b->insns[e->at];
    const struct flow *f = &e->flow[e->at];
    const struct insn_row *row = &insn_rows[in->id];
    bool mem = in->flags & IN_MEM;

    if (x64_hoisted(e))
        return false;
    if (e->use[e->at].keeps_rax && !f->save)
        return true;
    if (!f->row || f->save || f->row->rule > RULE_LOGIC || !(f->row->traits & FLOW_PLAIN))
        return false;
    if (!mem && x64_reg_of[x64_number(in, in->rm)] == N_NONE)
        return false;
    if (in->size == SZ_8 && !mem && in->rm & 7)
        return false;
    return f->row->form == FORM_E_I || row->op[1] == OP___ ||
           x64_reg_of[x64_number(in, in->reg)] != N_NONE;
}

void x64_free_tmp(struct x64 *e, struct x64_operand *o)
{
    if (!o->guest || o->m.index != X64_TMP)
        return;
    x64_lea(&e->hot, SZ_64, N_RAX, o->m);
    o->m = (struct x64_mem){ N_RAX, N_NONE, 0, 0 };
}

void x64_free_rax(struct x64 *e, struct x64_operand *o)
{
    if (!o->guest || o->m.base != N_RAX)
        return;
    if (o->m.index == X64_TMP) {
        x64_lea(&e->hot, SZ_64, X64_TMP, o->m);
        o->m = (struct x64_mem){ X64_TMP, N_NONE, 0, 0 };
    } else {
        x64_mov_rr(&e->hot, SZ_64, X64_TMP, N_RAX);
        o->m.base = X64_TMP;
    }
}

unsigned x64_in_reg(struct x64 *e, unsigned reg, unsigned scratch)
{
    if (x64_reg_of[reg] != N_NONE)
        return x64_reg_of[reg];
    x64_load(&e->hot, SZ_64, scratch, x64_slot(reg));
    return scratch;
}

void x64_to_guest(struct x64 *e, unsigned size, unsigned reg, unsigned native)
{
    unsigned own = x64_reg_of[reg];

    if (own == N_NONE)
        x64_store(&e->hot, size == SZ_32 ? SZ_64 : size, x64_slot(reg), native);
    else if (own != native)
        x64_mov_rr(&e->hot, size, own, native);
}

void x64_small_immediate(struct x64 *e, unsigned size, uint64_t imm)
{
    if (size == SZ_8)
        x64_8(&e->hot, imm);
    else if (size == SZ_16)
        x64_16(&e->hot, imm);
    else
        x64_32(&e->hot, imm);
}

void x64_volatile_immediate(struct x64 *e, const struct insn *in, unsigned dst)
{
    x64_mov_ri(&e->hot, dst, (uintptr_t)&in->imm);
    x64_load(&e->hot, SZ_64, dst, (struct x64_mem){ (uint8_t)dst, N_NONE, 0, 0 });
}

/* ---- shapes ---- */

uint32_t x64_byte_form(uint32_t op, unsigned size)
{
    return size == SZ_8 ? op & ~1u : op; /* bit 0 of most opcodes: not bytes */
}

/* op r/m, reg: reads both and writes r/m, or only reads (CMP, TEST) */
bool x64_to_rm(struct x64 *e, const struct insn *in, uint32_t op, bool reads_only,
               const uint8_t *tail)
{
    bool mem = in->flags & IN_MEM;
    unsigned src = x64_number(in, in->reg), native;
    struct x64_operand o = x64_rm_operand(e, in, 1u << in->size, !reads_only);

    op = x64_byte_form(op, in->size);
    if (!mem && o.memory && in->size >= SZ_32 && op == 0x31 && in->rm == in->reg) { /* xor: 0 */
        x64_rr(&e->hot, op, SZ_32, N_RAX, N_RAX);
        x64_store(&e->hot, SZ_64, o.m, N_RAX);
        return true;
    }
    if (x64_reg_of[src] == N_NONE)
        x64_free_tmp(e, &o);
    native = x64_in_reg(e, src, X64_TMP);
    if (!mem && o.memory && in->size == SZ_32 && !reads_only) { /* clears the upper half */
        x64_load(&e->hot, SZ_32, N_RAX, o.m);
        x64_rr(&e->hot, op, SZ_32, native, N_RAX);
        if (tail)
            x64_8(&e->hot, *tail);
        x64_store(&e->hot, SZ_64, o.m, N_RAX);
        return true;
    }
    x64_op(e, op, in->size, native, &o);
    if (tail)
        x64_8(&e->hot, *tail);
    return true;
}

/* op reg, r/m; reads_only: CMP; fresh: reg is only written */
bool x64_to_reg(struct x64 *e, const struct insn *in, uint32_t op, unsigned bytes, bool reads_only,
                bool fresh)
{
    unsigned dst = x64_number(in, in->reg), native = x64_reg_of[dst];
    struct x64_operand o = x64_rm_operand(e, in, bytes, false);

    if (native == N_NONE) {
        native = N_RAX;
        if (!fresh) {
            x64_free_rax(e, &o);
            x64_load(&e->hot, SZ_64, N_RAX, x64_slot(dst));
        }
    }
    x64_op(e, op, in->size, native, &o);
    if (!reads_only)
        x64_to_guest(e, in->size, dst, native);
    return true;
}

void x64_move_rsp(struct x64 *e, int32_t by)
{
    unsigned rsp = x64_reg_of[RSP];

    x64_lea(&e->hot, SZ_64, rsp, (struct x64_mem){ (uint8_t)rsp, N_NONE, 0, by });
}
