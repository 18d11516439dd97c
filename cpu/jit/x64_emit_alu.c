/* Emitters of integer arithmetic: the same instruction again, on renamed registers. */
#include "cpu/exec.h"
#include "cpu/jit/x64.h"

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

static void x64_alu_volatile(struct x64 *e, const struct insn *in, unsigned alu,
                             const struct x64_operand *o)
{
    x64_volatile_immediate(e, in, X64_TMP);
    if (o->memory && in->size == SZ_32 && alu != ALU_CMP) {
        x64_load(&e->hot, SZ_32, N_RAX, o->m);
        x64_rr(&e->hot, alu << 3 | 1, SZ_32, X64_TMP, N_RAX);
        x64_store(&e->hot, SZ_64, o->m, N_RAX);
    } else {
        x64_op(e, x64_byte_form(alu << 3 | 1, in->size), in->size, X64_TMP, o);
    }
}

static void x64_alu_immediate(struct x64 *e, const struct insn *in, unsigned alu,
                              const struct x64_operand *o)
{
    int32_t imm = (int32_t)in->imm;

    if (in->flags & IN_VOLATILE) {
        x64_alu_volatile(e, in, alu, o);
    } else if (!o->memory) {
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

    x64_borrow_high(e, in, &o);
    x64_alu_immediate(e, in, alu, &o);
    if (alu != ALU_CMP)
        x64_return_high(e, in);
    e->valid = 0;
    x64_defined(e, FL_OSZAPC);
    return true;
}

/* ADC, SBB: the native CF first, between the look-up and the instruction */
static bool x64_carry_E_I(struct x64 *e, const struct insn *in, unsigned alu)
{
    struct x64_operand o = x64_rm_operand(e, in, 1u << in->size, true);

    x64_need_flags(e, FL_C, &o);
    x64_borrow_high(e, in, &o);
    x64_alu_immediate(e, in, alu, &o);
    x64_return_high(e, in);
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

    if (in->flags & IN_VOLATILE) { /* no AH to BH */
        x64_volatile_immediate(e, in, X64_TMP);
        x64_op(e, x64_byte_form(0x85, in->size), in->size, X64_TMP, &o);
    } else {
        x64_borrow_high(e, in, &o);
        x64_op(e, x64_byte_form(0xf7, in->size), in->size, 0, &o);
        x64_small_immediate(e, in->size, in->imm);
    }
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

    if (in->flags & IN_VOLATILE) {
        native = X64_TMP;
        x64_volatile_immediate(e, in, native);
        x64_op(e, 0xaf | OP_0F, in->size, native, &o);
    } else {
        x64_op(e, 0x69, in->size, native, &o);
        x64_small_immediate(e, in->size, in->imm);
    }
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

static bool x64_double_shift_CL(struct x64 *e, const struct insn *in, unsigned op)
{
    struct x64_operand o;

    if (in->size != SZ_64 || x64_reg_of[in->reg] == N_NONE)
        return false;
    o = x64_rm_operand(e, in, 8, true);
    x64_need_flags(e, e->flow[e->at].reads, &o);
    if (x64_count_reg(e) != N_RCX)
        x64_mov_rr(&e->hot, SZ_32, x64_count_reg(e), N_RCX);
    x64_op(e, op | OP_0F, SZ_64, x64_reg_of[in->reg], &o);
    e->valid &= (uint16_t)~FL_A;
    e->saved = false;
    return true;
}

/* ---- bits ---- */

/* memory is a string of bits: the signed offset selects the word */
static bool x64_bit_string(struct x64 *e, const struct insn *in, unsigned extension)
{
    uint32_t op = (0x83 | extension << 3) | OP_0F;
    bool writes = extension != 4;
    struct x64_operand o;

    if (!(in->addr_mask >> 32) || (writes && x64_reg_of[in->reg] == N_NONE))
        return false;
    x64_address(e, in, X64_TMP, true);
    x64_add_base(e, in);
    x64_mov_rr(&e->hot, SZ_64, N_RAX, x64_in_reg(e, in->reg, N_RAX));
    if (in->size == SZ_16)
        x64_rr(&e->hot, 0xbf | OP_0F, SZ_64, N_RAX, N_RAX); /* movsx */
    else if (in->size == SZ_32)
        x64_rr(&e->hot, 0x63, SZ_64, N_RAX, N_RAX); /* movsxd */
    x64_rr(&e->hot, 0xc1, SZ_64, 7, N_RAX);         /* sar */
    x64_8(&e->hot, 3u + in->size);
    x64_lea(&e->hot, SZ_64, X64_TMP, (struct x64_mem){ X64_TMP, N_RAX, in->size, 0 });
    o = x64_access_tmp(e, 1u << in->size, writes);
    x64_lea(&e->hot, SZ_64, X64_TMP, o.m);
    o.m = (struct x64_mem){ X64_TMP, N_NONE, 0, 0 };
    x64_pass_flags(e, &o);
    x64_op(e, 0x8b, in->size, N_RAX, &o);
    /* of a register the native instruction takes the offset in the word */
    x64_rr(&e->hot, op, in->size, x64_in_reg(e, in->reg, X64_TMP), N_RAX);
    if (writes)
        x64_op(e, 0x89, in->size, N_RAX, &o);
    e->valid &= FL_OSZAP;
    x64_defined(e, FL_C);
    return true;
}

/* BT BTS BTR BTC with a register: extension is that of the immediate form. Not on a slot, where the
 * native instruction would take all of the offset. */
static bool x64_bit_E_G(struct x64 *e, const struct insn *in, unsigned extension)
{
    uint32_t op = (0x83 | extension << 3) | OP_0F;
    unsigned native;

    if (in->flags & IN_MEM)
        return x64_bit_string(e, in, extension);
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

/* ---- the table ---- */

#define EMIT(name, function, argument) extern const struct exec_set exec_set_##name;
#include "cpu/jit/x64_alu.def"

const struct x64_emitter x64_alu_emitters[] = {
#define EMIT(name, function, argument) { &exec_set_##name, x64_##function, argument },
#include "cpu/jit/x64_alu.def"
    { 0 },
};
