/* Emitters of moves, exchanges and the stack. */
#include "cpu/exec.h"
#include "cpu/jit/x64.h"

/* ---- moves ---- */

static bool x64_mov_E_G(struct x64 *e, const struct insn *in, unsigned arg)
{
    unsigned src = x64_number(in, in->reg), native;
    struct x64_operand o = x64_rm_operand(e, in, 1u << in->size, true);

    if (x64_reg_of[src] == N_NONE)
        x64_free_tmp(e, &o);
    native = x64_in_reg(e, src, X64_TMP);
    if (o.memory && !o.guest && in->size == SZ_32) {
        x64_mov_rr(&e->hot, SZ_32, N_RAX, native);
        x64_store(&e->hot, SZ_64, o.m, N_RAX);
    } else {
        x64_op(e, x64_byte_form(0x89, in->size), in->size, native, &o);
    }
    return true;
}

static bool x64_mov_G_E(struct x64 *e, const struct insn *in, unsigned arg)
{
    return x64_to_reg(e, in, x64_byte_form(0x8b, in->size), 1u << in->size, false, true);
}

static void x64_mov_volatile(struct x64 *e, const struct insn *in, const struct x64_operand *o)
{
    if (in->size == SZ_32 && o->memory) {
        x64_volatile_immediate(e, in, N_RAX);
        x64_mov_rr(&e->hot, SZ_32, N_RAX, N_RAX);
        x64_store(&e->hot, SZ_64, o->m, N_RAX);
        return;
    }
    x64_volatile_immediate(e, in, X64_TMP);
    x64_op(e, x64_byte_form(0x89, in->size), in->size, X64_TMP, o);
}

static bool x64_mov_E_I(struct x64 *e, const struct insn *in, unsigned arg)
{
    struct x64_operand o = x64_rm_operand(e, in, 1u << in->size, true);

    if (in->flags & IN_VOLATILE) {
        x64_mov_volatile(e, in, &o);
        return true;
    }
    if (in->size >= SZ_32 && !o.guest) {
        uint64_t imm = in->size == SZ_64 ? in->imm : (uint32_t)in->imm;

        if (!o.memory) {
            x64_mov_ri(&e->hot, o.reg, imm);
            return true;
        }
        if (imm != (uint64_t)(int64_t)(int32_t)imm) {
            x64_mov_ri(&e->hot, N_RAX, imm);
            x64_store(&e->hot, SZ_64, o.m, N_RAX);
            return true;
        }
        x64_rm(&e->hot, 0xc7, SZ_64, 0, o.m);
        x64_32(&e->hot, imm);
        return true;
    }
    x64_op(e, x64_byte_form(0xc7, in->size), in->size, 0, &o);
    x64_small_immediate(e, in->size, in->imm);
    return true;
}

/* extensions: arg is the opcode; bit 0: the source is a word */
static bool x64_extend(struct x64 *e, const struct insn *in, unsigned op)
{
    unsigned native = x64_reg_of[in->reg];
    bool byte = !(op & 1);
    struct x64_operand o;

    if (native == N_NONE)
        native = N_RAX;
    if (in->flags & IN_MEM) {
        o = x64_access(e, in, byte ? 1 : 2, false);
    } else if (byte && in->rm & 7) { /* without REX: through eax */
        unsigned whole = x64_in_reg(e, in->rm / 8, N_RAX);

        x64_mov_rr(&e->hot, SZ_32, N_RAX, whole);
        o = (struct x64_operand){ .reg = N_HIGH(N_RAX) };
        x64_op(e, op | OP_0F, SZ_32, N_RAX, &o);
        if (in->size == SZ_64 && op == 0xbe)
            x64_rr(&e->hot, 0x63, SZ_64, N_RAX, N_RAX);
        x64_to_guest(e, in->size, in->reg, N_RAX);
        return true;
    } else {
        o = byte ? x64_byte_operand(in->rm) : x64_guest_reg(in->rm);
    }
    x64_op(e, op | OP_0F | (byte ? OP_RM8 : 0), in->size, native, &o);
    x64_to_guest(e, in->size, in->reg, native);
    return true;
}

static bool x64_movsxd(struct x64 *e, const struct insn *in, unsigned arg)
{
    if (in->size < SZ_64) /* a move of what fits */
        return x64_to_reg(e, in, 0x8b, 1u << in->size, false, true);
    return x64_to_reg(e, in, 0x63, 4, false, true);
}

static bool x64_lea_G_M(struct x64 *e, const struct insn *in, unsigned arg)
{
    unsigned native = x64_reg_of[in->reg];
    bool plain = native != N_NONE && in->base < 16 && x64_reg_of[in->base] != N_NONE &&
                 (in->index == REG_ZERO || x64_reg_of[in->index] != N_NONE);

    if (plain && in->size >= SZ_32) {
        bool narrow = in->size == SZ_32 || !(in->addr_mask >> 32);

        x64_lea(&e->hot, narrow ? SZ_32 : SZ_64, native,
                (struct x64_mem){ x64_reg_of[in->base],
                                  in->index == REG_ZERO ? N_NONE : x64_reg_of[in->index], in->scale,
                                  (int32_t)in->disp });
        return true;
    }
    x64_address(e, in, X64_TMP, true);
    if (native == N_NONE && in->size == SZ_32)
        x64_mov_rr(&e->hot, SZ_32, X64_TMP, X64_TMP);
    x64_to_guest(e, in->size, in->reg, X64_TMP);
    return true;
}

/* CBW, CWDE, CDQE */
static bool x64_cbw(struct x64 *e, const struct insn *in, unsigned arg)
{
    if (in->size == SZ_64)
        x64_rr(&e->hot, 0x63, SZ_64, N_RBX, N_RBX);
    else
        x64_rr(&e->hot, (in->size == SZ_32 ? 0xbf : 0xbe) | OP_0F, in->size, N_RBX, N_RBX);
    return true;
}

/* CWD, CDQ, CQO: from rax to rdx, where the guest has it */
static bool x64_cwd(struct x64 *e, const struct insn *in, unsigned arg)
{
    x64_mov_rr(&e->hot, SZ_64, N_RAX, N_RBX);
    if (in->size == SZ_16)
        x64_8(&e->hot, 0x66);
    if (in->size == SZ_64)
        x64_8(&e->hot, 0x48);
    x64_8(&e->hot, 0x99);
    return true;
}

static bool x64_nop(struct x64 *e, const struct insn *in, unsigned arg)
{
    return true;
}

/* ---- exchanges ---- */

/* Without the native XCHG, so that any register may be in its slot. */
static void x64_xchg_registers(struct x64 *e, unsigned size, unsigned a, unsigned b)
{
    unsigned whole = size == SZ_32 ? SZ_32 : SZ_64;

    x64_mov_rr(&e->hot, whole, N_RAX, x64_in_reg(e, a, N_RAX));
    x64_mov_rr(&e->hot, whole, X64_TMP, x64_in_reg(e, b, X64_TMP));
    x64_to_guest(e, size, a, X64_TMP);
    x64_to_guest(e, size, b, N_RAX);
}

static bool x64_xchg_E_G(struct x64 *e, const struct insn *in, unsigned arg)
{
    unsigned reg = x64_reg_of[x64_number(in, in->reg)];
    struct x64_operand o;

    if (!(in->flags & IN_MEM)) {
        x64_xchg_registers(e, in->size, x64_number(in, in->rm), x64_number(in, in->reg));
        return true;
    }
    if (reg == N_NONE)
        return false;
    o = x64_rm_operand(e, in, 1u << in->size, true);
    x64_op(e, x64_byte_form(0x87, in->size), in->size, reg, &o);
    return true;
}

static bool x64_xchg_Z_A(struct x64 *e, const struct insn *in, unsigned arg)
{
    x64_xchg_registers(e, in->size, in->rm, RAX);
    return true;
}

static bool x64_xadd(struct x64 *e, const struct insn *in, unsigned arg)
{
    unsigned reg = x64_reg_of[x64_number(in, in->reg)];
    struct x64_operand o;

    if (reg == N_NONE || !(in->flags & IN_MEM))
        return false;
    o = x64_rm_operand(e, in, 1u << in->size, true);
    x64_op(e, x64_byte_form(0xc1 | OP_0F, in->size), in->size, reg, &o);
    e->valid = 0;
    x64_defined(e, FL_OSZAPC);
    return true;
}

static bool x64_cmpxchg(struct x64 *e, const struct insn *in, unsigned arg)
{
    unsigned reg = x64_reg_of[x64_number(in, in->reg)];
    struct x64_operand o;

    if (reg == N_NONE || !(in->flags & IN_MEM))
        return false;
    o = x64_rm_operand(e, in, 1u << in->size, true);
    x64_free_rax(e, &o);
    x64_mov_rr(&e->hot, SZ_64, N_RAX, N_RBX);
    x64_op(e, x64_byte_form(0xb1 | OP_0F, in->size), in->size, reg, &o);
    x64_mov_rr(&e->hot, SZ_64, N_RBX, N_RAX);
    e->valid = 0;
    x64_defined(e, FL_OSZAPC);
    return true;
}

/* CMPXCHG16B; the guest's rAX and rBX are in rbx and r10 */
static bool x64_cmpxchg16b(struct x64 *e, const struct insn *in, unsigned arg)
{
    struct x64_mem has = X64_FIELD(features[FEAT_CX16 / 64]);
    struct x64_operand o;

    if (!(in->flags & IN_REXW) || !(in->flags & IN_MEM) || !x64_native_has(FEAT_CX16))
        return false;
    has.disp += FEAT_CX16 % 64 / 8;
    x64_rm(&e->hot, 0xf6, SZ_8, 0, has); /* test */
    x64_8(&e->hot, BIT(FEAT_CX16 % 8));
    x64_jump_slow(e, CC_E);
    e->valid = 0;
    o = x64_access(e, in, 16 | X64_ALIGNED, true);
    x64_pass_flags(e, &o);
    x64_lea(&e->hot, SZ_64, X64_TMP, o.m);
    x64_mov_rr(&e->hot, SZ_64, N_RAX, N_RBX);
    x64_mov_rr(&e->hot, SZ_64, N_RBX, N_R10);
    x64_rm(&e->hot, 0xc7 | OP_0F, SZ_64, 1, (struct x64_mem){ X64_TMP, N_NONE, 0, 0 });
    x64_mov_rr(&e->hot, SZ_64, N_RBX, N_RAX);
    e->valid &= (uint16_t)~FL_Z;
    x64_defined(e, FL_Z);
    return true;
}

/* ---- the stack: 64-bit operands ---- */

static bool x64_push_Z(struct x64 *e, const struct insn *in, unsigned arg)
{
    struct x64_operand o;

    if (in->size != SZ_64)
        return false;
    o = x64_access_reg(e, RSP, -8, 8, true);
    x64_op(e, 0x89, SZ_64, x64_in_reg(e, in->rm, X64_TMP), &o);
    x64_move_rsp(e, -8);
    return true;
}

/* the operand first, with the old RSP; kept where nobody looks inside a block */
static bool x64_push_E(struct x64 *e, const struct insn *in, unsigned arg)
{
    struct x64_operand o;

    if (in->size != SZ_64)
        return false;
    o = x64_rm_operand(e, in, 8, false);
    x64_op(e, 0x8b, SZ_64, N_RAX, &o);
    x64_store(&e->hot, SZ_64, X64_FIELD(rip), N_RAX);
    o = x64_access_reg(e, RSP, -8, 8, true);
    x64_load(&e->hot, SZ_64, X64_TMP, X64_FIELD(rip));
    x64_op(e, 0x89, SZ_64, X64_TMP, &o);
    x64_move_rsp(e, -8);
    return true;
}

static bool x64_push_I(struct x64 *e, const struct insn *in, unsigned arg)
{
    struct x64_operand o;

    if (in->size != SZ_64)
        return false;
    o = x64_access_reg(e, RSP, -8, 8, true);
    x64_op(e, 0xc7, SZ_64, 0, &o);
    x64_32(&e->hot, in->imm);
    x64_move_rsp(e, -8);
    return true;
}

static bool x64_pop_Z(struct x64 *e, const struct insn *in, unsigned arg)
{
    unsigned native = x64_reg_of[in->rm];
    struct x64_operand o;

    if (in->size != SZ_64)
        return false;
    o = x64_access_reg(e, RSP, 0, 8, false);
    x64_op(e, 0x8b, SZ_64, native == N_NONE ? N_RAX : native, &o);
    if (native == N_NONE)
        x64_to_guest(e, SZ_64, in->rm, N_RAX);
    if (in->rm != RSP) /* the value wins over the increment */
        x64_move_rsp(e, 8);
    return true;
}

static bool x64_leave(struct x64 *e, const struct insn *in, unsigned arg)
{
    unsigned rbp = x64_reg_of[RBP];
    struct x64_operand o;

    if (in->size != SZ_64)
        return false;
    o = x64_access_reg(e, RBP, 0, 8, false);
    x64_lea(&e->hot, SZ_64, x64_reg_of[RSP], (struct x64_mem){ (uint8_t)rbp, N_NONE, 0, 8 });
    x64_op(e, 0x8b, SZ_64, rbp, &o);
    return true;
}

/* ---- the table ---- */

#define EMIT(name, function, argument) extern const struct exec_set exec_set_##name;
#include "cpu/jit/x64_move.def"

const struct x64_emitter x64_move_emitters[] = {
#define EMIT(name, function, argument) { &exec_set_##name, x64_##function, argument },
#include "cpu/jit/x64_move.def"
    { 0 },
};
