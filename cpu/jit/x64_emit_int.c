/* Emitters of integer instructions: the same instruction again, on renamed registers. */
#include "cpu/conditions.h"
#include "cpu/exec.h"
#include "cpu/jit/x64.h"

/* ---- shapes ---- */

static uint32_t x64_byte_form(uint32_t op, unsigned size)
{
    return size == SZ_8 ? op & ~1u : op; /* bit 0 of most opcodes: not bytes */
}

/* op r/m, reg: reads both and writes r/m, or only reads (CMP, TEST) */
static bool x64_to_rm(struct x64 *e, const struct insn *in, uint32_t op, bool reads_only,
                      const uint8_t *tail)
{
    bool mem = in->flags & IN_MEM;
    unsigned src = x64_number(in, in->reg), native;
    struct x64_operand o = x64_rm_operand(e, in, 1u << in->size, !reads_only);

    op = x64_byte_form(op, in->size);
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
static bool x64_to_reg(struct x64 *e, const struct insn *in, uint32_t op, unsigned bytes,
                       bool reads_only, bool fresh)
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

/* ---- ALU ---- */

static bool x64_alu_E_G(struct x64 *e, const struct insn *in, unsigned alu)
{
    x64_to_rm(e, in, alu << 3 | 1, alu == ALU_CMP, NULL);
    e->valid = 0;
    x64_defined(e, FL_OSZAPC);
    return true;
}

static bool x64_alu_G_E(struct x64 *e, const struct insn *in, unsigned alu)
{
    x64_to_reg(e, in, x64_byte_form(alu << 3 | 3, in->size), 1u << in->size, alu == ALU_CMP, false);
    e->valid = 0;
    x64_defined(e, FL_OSZAPC);
    return true;
}

static void x64_alu_immediate(struct x64 *e, const struct insn *in, unsigned alu,
                              const struct x64_operand *o)
{
    int32_t imm = (int32_t)in->imm;

    if (!o->memory) {
        x64_alu_ri(&e->hot, alu, in->size, o->reg, imm);
    } else if (!o->guest && in->size == SZ_32 && alu != ALU_CMP) {
        x64_load(&e->hot, SZ_32, N_RAX, o->m);
        x64_alu_ri(&e->hot, alu, SZ_32, N_RAX, imm);
        x64_store(&e->hot, SZ_64, o->m, N_RAX);
    } else {
        x64_alu_mi(&e->hot, alu, in->size, o->m, imm);
    }
}

static bool x64_alu_E_I(struct x64 *e, const struct insn *in, unsigned alu)
{
    struct x64_operand o = x64_rm_operand(e, in, 1u << in->size, alu != ALU_CMP);

    x64_alu_immediate(e, in, alu, &o);
    e->valid = 0;
    x64_defined(e, FL_OSZAPC);
    return true;
}

/* ADC, SBB: the native CF first, between the look-up and the instruction */
static bool x64_carry_E_I(struct x64 *e, const struct insn *in, unsigned alu)
{
    struct x64_operand o = x64_rm_operand(e, in, 1u << in->size, true);

    x64_need_flags(e, FL_C, &o);
    x64_alu_immediate(e, in, alu, &o);
    x64_defined(e, FL_OSZAPC);
    return true;
}

static bool x64_carry_E_G(struct x64 *e, const struct insn *in, unsigned alu)
{
    unsigned src = x64_number(in, in->reg);
    struct x64_operand o = x64_rm_operand(e, in, 1u << in->size, true);
    unsigned native;

    if (x64_reg_of[src] == N_NONE)
        x64_free_tmp(e, &o);
    native = x64_in_reg(e, src, X64_TMP);
    if (!o.guest && o.memory && in->size == SZ_32) {
        x64_need_flags(e, FL_C, NULL);
        x64_load(&e->hot, SZ_32, N_RAX, o.m);
        x64_rr(&e->hot, alu << 3 | 1, SZ_32, native, N_RAX);
        x64_store(&e->hot, SZ_64, o.m, N_RAX);
    } else {
        x64_need_flags(e, FL_C, NULL); /* CF alone: rax stays */
        x64_op(e, x64_byte_form(alu << 3 | 1, in->size), in->size, native, &o);
    }
    x64_defined(e, FL_OSZAPC);
    return true;
}

static bool x64_carry_G_E(struct x64 *e, const struct insn *in, unsigned alu)
{
    unsigned dst = x64_number(in, in->reg), native = x64_reg_of[dst];
    struct x64_operand o = x64_rm_operand(e, in, 1u << in->size, false);

    if (native == N_NONE) {
        x64_free_rax(e, &o);
        native = N_RAX;
        x64_load(&e->hot, SZ_64, N_RAX, x64_slot(dst));
    }
    x64_need_flags(e, FL_C, NULL);
    x64_op(e, x64_byte_form(alu << 3 | 3, in->size), in->size, native, &o);
    x64_to_guest(e, in->size, dst, native);
    x64_defined(e, FL_OSZAPC);
    return true;
}

static bool x64_test_E_G(struct x64 *e, const struct insn *in, unsigned arg)
{
    x64_to_rm(e, in, 0x85, true, NULL);
    e->valid = 0;
    x64_defined(e, FL_OSZAPC);
    return true;
}

static bool x64_test_E_I(struct x64 *e, const struct insn *in, unsigned arg)
{
    struct x64_operand o = x64_rm_operand(e, in, 1u << in->size, false);

    x64_op(e, x64_byte_form(0xf7, in->size), in->size, 0, &o);
    x64_small_immediate(e, in->size, in->imm);
    e->valid = 0;
    x64_defined(e, FL_OSZAPC);
    return true;
}

/* one operand, read and written: INC DEC NOT NEG; arg: extension, bit 3: F7 instead of FF */
static void x64_unary(struct x64 *e, const struct insn *in, const struct x64_operand *o,
                      uint32_t op, unsigned extension)
{
    if (o->memory && !o->guest && in->size == SZ_32) {
        x64_load(&e->hot, SZ_32, N_RAX, o->m);
        x64_rr(&e->hot, op, SZ_32, extension, N_RAX);
        x64_store(&e->hot, SZ_64, o->m, N_RAX);
    } else {
        x64_op(e, x64_byte_form(op, in->size), in->size, extension, o);
    }
}

static bool x64_inc_dec(struct x64 *e, const struct insn *in, unsigned extension)
{
    struct x64_operand o = x64_rm_operand(e, in, 1u << in->size, true);

    x64_pass_flags(e, &o);
    x64_unary(e, in, &o, 0xff, extension);
    e->valid &= FL_C;
    x64_defined(e, FL_OSZAP);
    return true;
}

static bool x64_not_neg(struct x64 *e, const struct insn *in, unsigned extension)
{
    struct x64_operand o = x64_rm_operand(e, in, 1u << in->size, true);

    x64_unary(e, in, &o, 0xf7, extension);
    if (extension == 3) {
        e->valid = 0;
        x64_defined(e, FL_OSZAPC);
    }
    return true;
}

/* ---- multiplication and division ---- */

/* a product in `native`, rax if its register is in a slot */
static void x64_product(struct x64 *e, const struct insn *in, unsigned native)
{
    if (native == N_RAX) {
        x64_mov_rr(&e->hot, SZ_64, X64_TMP, N_RAX);
        native = X64_TMP;
    }
    x64_to_guest(e, in->size, in->reg, native);
    x64_save_product(e, in->size, native);
}

static bool x64_imul_G_E(struct x64 *e, const struct insn *in, unsigned arg)
{
    struct x64_operand o = x64_rm_operand(e, in, 1u << in->size, false);
    unsigned native = x64_reg_of[in->reg];

    if (native == N_NONE) {
        x64_free_rax(e, &o);
        native = x64_in_reg(e, in->reg, N_RAX);
    }
    x64_op(e, 0xaf | OP_0F, in->size, native, &o);
    x64_product(e, in, native);
    return true;
}

static bool x64_imul_G_E_I(struct x64 *e, const struct insn *in, unsigned arg)
{
    struct x64_operand o = x64_rm_operand(e, in, 1u << in->size, false);
    unsigned native = x64_reg_of[in->reg] == N_NONE ? N_RAX : x64_reg_of[in->reg];

    x64_op(e, 0x69, in->size, native, &o);
    x64_small_immediate(e, in->size, in->imm);
    x64_product(e, in, native);
    return true;
}

/* rDX:rAX = rAX * r/m; the guest's rAX is rbx, its rDX is rdx */
static bool x64_mul(struct x64 *e, const struct insn *in, unsigned extension)
{
    struct x64_operand o;

    if (in->size == SZ_8)
        return false;
    o = x64_rm_operand(e, in, 1u << in->size, false);
    x64_free_rax(e, &o);
    x64_mov_rr(&e->hot, SZ_64, N_RAX, N_RBX);
    x64_op(e, 0xf7, in->size, extension, &o);
    x64_mov_rr(&e->hot, SZ_64, N_RBX, N_RAX);
    x64_save_product(e, in->size, N_RBX);
    return true;
}

/* What would fault goes the slow way: the native #DE must not happen. */
static bool x64_div(struct x64 *e, const struct insn *in, unsigned extension)
{
    struct x64_operand o;

    if (in->size < SZ_32)
        return false;
    o = x64_rm_operand(e, in, 1u << in->size, false);
    x64_op(e, 0x8b, in->size, X64_TMP, &o);
    if (extension == 6) {
        x64_alu_rr(&e->hot, ALU_CMP, in->size, N_RDX, X64_TMP);
        x64_jump_slow(e, CC_AE);
    } else {
        /* a dividend that is its lower half extended, a divisor that is neither 0 nor -1 */
        x64_lea(&e->hot, in->size, N_RAX, (struct x64_mem){ X64_TMP, N_NONE, 0, 1 });
        x64_alu_ri(&e->hot, ALU_CMP, in->size, N_RAX, 1);
        x64_jump_slow(e, CC_BE);
        x64_mov_rr(&e->hot, in->size, N_RAX, N_RBX);
        x64_rr(&e->hot, 0xc1, in->size, 7, N_RAX); /* sar */
        x64_8(&e->hot, in->size == SZ_64 ? 63 : 31);
        x64_alu_rr(&e->hot, ALU_CMP, in->size, N_RAX, N_RDX);
        x64_jump_slow(e, CC_NE);
    }
    x64_mov_rr(&e->hot, SZ_64, N_RAX, N_RBX);
    x64_rr(&e->hot, 0xf7, in->size, extension, X64_TMP);
    x64_mov_rr(&e->hot, SZ_64, N_RBX, N_RAX);
    e->valid = 0;
    return true;
}

/* ---- shifts ---- */

static void x64_shift_op(struct x64 *e, const struct insn *in, const struct x64_operand *o,
                         uint32_t op, unsigned extension, bool immediate)
{
    if (o->memory && !o->guest && in->size == SZ_32) {
        x64_load(&e->hot, SZ_32, N_RAX, o->m);
        x64_rr(&e->hot, op, SZ_32, extension, N_RAX);
        if (immediate)
            x64_8(&e->hot, in->imm);
        x64_store(&e->hot, SZ_64, o->m, N_RAX);
        return;
    }
    x64_op(e, x64_byte_form(op, in->size), in->size, extension, o);
    if (immediate)
        x64_8(&e->hot, in->imm);
}

/* extension; bit 3: by 1 */
static bool x64_shift(struct x64 *e, const struct insn *in, unsigned arg)
{
    struct x64_operand o = x64_rm_operand(e, in, 1u << in->size, true);
    bool one = arg & 8;

    x64_shift_op(e, in, &o, one ? 0xd1 : 0xc1, arg & 7, !one);
    e->valid = 0;
    x64_defined(e, FL_OSZAPC & ~FL_A);
    e->clear_af = true;
    return true;
}

static bool x64_rotate(struct x64 *e, const struct insn *in, unsigned arg)
{
    struct x64_operand o = x64_rm_operand(e, in, 1u << in->size, true);
    bool one = arg & 8;

    x64_pass_flags(e, &o);
    x64_shift_op(e, in, &o, one ? 0xd1 : 0xc1, arg & 7, !one);
    e->valid &= FL_SZAP;
    x64_defined(e, FL_OC);
    return true;
}

static bool x64_shift_CL(struct x64 *e, const struct insn *in, unsigned extension)
{
    struct x64_operand o = x64_rm_operand(e, in, 1u << in->size, true);

    x64_need_flags(e, e->flow[e->at].reads, &o);
    if (x64_count_reg(e) != N_RCX)
        x64_mov_rr(&e->hot, SZ_32, x64_count_reg(e), N_RCX);
    x64_shift_op(e, in, &o, 0xd3, extension, false);
    e->valid &= (uint16_t)~FL_A;
    e->saved = false;
    return true;
}

static bool x64_double_shift(struct x64 *e, const struct insn *in, unsigned op)
{
    uint8_t count = (uint8_t)in->imm;

    x64_to_rm(e, in, op | OP_0F, false, &count);
    e->valid = 0;
    x64_defined(e, FL_OSZAPC & ~FL_A);
    e->clear_af = true;
    return true;
}

/* ---- bits ---- */

/* BT BTS BTR BTC with a register: extension is that of the immediate form. Not on a slot, where the
 * native instruction would take all of the offset: memory is a string of bits. */
static bool x64_bit_E_G(struct x64 *e, const struct insn *in, unsigned extension)
{
    uint32_t op = (0x83 | extension << 3) | OP_0F;
    unsigned native;

    x64_pass_flags(e, NULL);
    native = x64_in_reg(e, in->rm, N_RAX);
    x64_rr(&e->hot, op, in->size, x64_in_reg(e, in->reg, X64_TMP), native);
    if (extension != 4)
        x64_to_guest(e, in->size, in->rm, native);
    e->valid &= FL_OSZAP;
    x64_defined(e, FL_C);
    return true;
}

static bool x64_bit_E_I(struct x64 *e, const struct insn *in, unsigned extension)
{
    struct x64_operand o = x64_rm_operand(e, in, 1u << in->size, extension != 4);

    x64_pass_flags(e, &o);
    if (o.memory && !o.guest && in->size == SZ_32 && extension != 4) {
        x64_load(&e->hot, SZ_32, N_RAX, o.m);
        x64_rr(&e->hot, 0xba | OP_0F, SZ_32, extension, N_RAX);
        x64_8(&e->hot, in->imm & 31);
        x64_store(&e->hot, SZ_64, o.m, N_RAX);
    } else {
        x64_op(e, 0xba | OP_0F, in->size, extension, &o);
        x64_8(&e->hot, in->imm & ((8u << in->size) - 1));
    }
    e->valid &= FL_OSZAP;
    x64_defined(e, FL_C);
    return true;
}

/* BSF, BSR: a source of 0 leaves the destination alone, all of it; the flags are the source's */
static bool x64_bit_scan(struct x64 *e, const struct insn *in, unsigned op)
{
    struct x64_operand o = x64_rm_operand(e, in, 1u << in->size, false);
    uint8_t *zero;

    x64_op(e, 0x8b, in->size, X64_TMP, &o);
    x64_rr(&e->hot, op | OP_0F, in->size, N_RAX, X64_TMP);
    x64_rr(&e->hot, 0x85, in->size, X64_TMP, X64_TMP);
    zero = x64_jcc_short(&e->hot, CC_E);
    x64_to_guest(e, in->size, in->reg, N_RAX);
    x64_land(&e->hot, zero);
    e->valid = 0;
    x64_defined(e, FL_OSZAPC);
    return true;
}

static bool x64_popcnt(struct x64 *e, const struct insn *in, unsigned arg)
{
    x64_to_reg(e, in, 0xb8 | OP_0F | OP_F3, 1u << in->size, false, true);
    e->valid = 0;
    x64_defined(e, FL_OSZAPC);
    return true;
}

static bool x64_bswap(struct x64 *e, const struct insn *in, unsigned arg)
{
    unsigned native;

    if (in->size == SZ_16) { /* processors give 0 */
        x64_mov_ri(&e->hot, N_RAX, 0);
        x64_to_guest(e, SZ_16, in->rm, N_RAX);
        return true;
    }
    native = x64_in_reg(e, in->rm, N_RAX);
    x64_8(&e->hot, 0x40 | (in->size == SZ_64) << 3 | native >> 3);
    x64_8(&e->hot, 0x0f);
    x64_8(&e->hot, 0xc8 | (native & 7));
    x64_to_guest(e, in->size, in->rm, native);
    return true;
}

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

static bool x64_mov_E_I(struct x64 *e, const struct insn *in, unsigned arg)
{
    struct x64_operand o = x64_rm_operand(e, in, 1u << in->size, true);

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
    } else {
        o = x64_guest_reg(byte ? in->rm / 8 : in->rm);
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

/* ---- the stack: 64-bit operands ---- */

static void x64_move_rsp(struct x64 *e, int32_t by)
{
    unsigned rsp = x64_reg_of[RSP];

    x64_lea(&e->hot, SZ_64, rsp, (struct x64_mem){ (uint8_t)rsp, N_NONE, 0, by });
}

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

static bool x64_jcc_J(struct x64 *e, const struct insn *in, unsigned cc)
{
    x64_need_flags(e, e->flow[e->at].reads, NULL);
    x64_end_jcc(e, cc, (int64_t)e->page_offset + (int64_t)in->imm,
                (int64_t)e->page_offset + in->start + in->length);
    return true;
}

/* ---- other ends ---- */

static bool x64_jmp_J(struct x64 *e, const struct insn *in, unsigned arg)
{
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
    x64_lea(
        &e->hot, SZ_64, X64_TMP,
        (struct x64_mem){ X64_TMP, N_NONE, 0, (int32_t)(e->page_offset + in->start + in->length) });
    x64_op(e, 0x89, SZ_64, X64_TMP, &o);
    x64_move_rsp(e, -8);
}

/* A target that is not canonical faults in front of the push. */
static bool x64_call_J(struct x64 *e, const struct insn *in, unsigned arg)
{
    if (!x64_target_is_canonical(e, in))
        return false;
    x64_push_return(e, in);
    return x64_jmp_J(e, in, 0);
}

static bool x64_call_E(struct x64 *e, const struct insn *in, unsigned arg)
{
    struct x64_operand o = x64_rm_operand(e, in, 8, false);

    x64_op(e, 0x8b, SZ_64, N_RAX, &o);
    x64_store(&e->hot, SZ_64, X64_FIELD(rip), N_RAX); /* nobody looks at it inside a block */
    x64_check_target(e);
    x64_push_return(e, in);
    x64_load(&e->hot, SZ_64, N_RAX, X64_FIELD(rip));
    x64_end_indirect(e);
    return true;
}

static bool x64_ret(struct x64 *e, const struct insn *in, unsigned arg)
{
    struct x64_operand o = x64_access_reg(e, RSP, 0, 8, false);

    x64_op(e, 0x8b, SZ_64, N_RAX, &o);
    x64_move_rsp(e, 8);
    x64_end_indirect(e);
    return true;
}

/* ---- the table ---- */

#define EMIT(name, function, argument) extern const struct exec_set exec_set_##name;
#include "cpu/jit/x64.def"

const struct x64_emitter x64_emitters[] = {
#define EMIT(name, function, argument) { &exec_set_##name, x64_##function, argument },
#include "cpu/jit/x64.def"
};
const unsigned x64_emitter_count = sizeof x64_emitters / sizeof x64_emitters[0];
