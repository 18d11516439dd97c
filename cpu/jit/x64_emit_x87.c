/* Emitters of x87 instructions: the same instruction again, on the native x87, which holds the guest's
 * state under the guest's control word. All exceptions are masked (KEY_X87_TRAPS), so that nothing can
 * be pending and exception flags gather in the native status word.
 * [SDM 2D "Escape Opcode Instructions"] */
#include "cpu/exec.h"
#include "cpu/float80.h"
#include "cpu/jit/x64.h"

enum { STORES = 0x80, X87_ESCAPE = 0xd8, X87_CONTROL = 0x1f3f, X87_CONTROL_ONE = 0x40 };

static unsigned x64_x87_opcode(const struct insn *in)
{
    return X87_ESCAPE + (unsigned)(insn_rows[in->id].map - GRP_D8);
}

static bool x64_x87_mem(struct x64 *e, const struct insn *in, unsigned arg)
{
    struct x64_operand o = x64_access(e, in, arg & ~(unsigned)STORES, arg & STORES);

    x64_op(e, x64_x87_opcode(in), SZ_32, in->modrm >> 3 & 7, &o);
    e->keeps_rax = true;
    return true;
}

static bool x64_x87_reg(struct x64 *e, const struct insn *in, unsigned arg)
{
    x64_8(&e->hot, x64_x87_opcode(in));
    x64_8(&e->hot, in->modrm);
    e->keeps_rax = true;
    return true;
}

/* the documented opcode of an instruction that has aliases; arg: 8 * escape + ModRM.reg */
static bool x64_x87_st(struct x64 *e, const struct insn *in, unsigned arg)
{
    x64_8(&e->hot, X87_ESCAPE + arg / 8);
    x64_8(&e->hot, 0xc0 | (arg & 7) << 3 | (in->modrm & 7));
    e->keeps_rax = true;
    return true;
}

static bool x64_x87_fcmov(struct x64 *e, const struct insn *in, unsigned arg)
{
    x64_need_flags(e, e->flow[e->at].reads, NULL);
    x64_x87_reg(e, in, 0);
    e->keeps_rax = false;
    return true;
}

/* FCOMI and its kin: OF, SF and AF become 0. The manual says that C1 does, too, but with an empty
 * register some processors leave it (measured): FDECSTP and FINCSTP clear it. */
static bool x64_x87_flags(struct x64 *e, const struct insn *in, unsigned arg)
{
    static const uint8_t clear[] = { 0xd9, 0xf6, 0xd9, 0xf7 };

    for (unsigned i = 0; i < sizeof clear; i++)
        x64_8(&e->hot, clear[i]);
    x64_x87_reg(e, in, 0);
    e->valid = 0;
    x64_defined(e, FL_OSZAPC);
    return true;
}

/* by documented instructions: FFREE ST(i), then a pop */
static bool x64_x87_ffreep(struct x64 *e, const struct insn *in, unsigned arg)
{
    static const uint8_t pop[] = { 0xdd, 0xc0, 0xd9, 0xf7 }; /* ffree st(0); fincstp */

    x64_8(&e->hot, 0xdd);
    x64_8(&e->hot, 0xc0 | (in->modrm & 7));
    for (unsigned i = 0; i < sizeof pop; i++)
        x64_8(&e->hot, pop[i]);
    e->keeps_rax = true;
    return true;
}

/* FWAIT: nothing is pending, and CR0.TS is 0 */
static bool x64_x87_none(struct x64 *e, const struct insn *in, unsigned arg)
{
    e->keeps_rax = true;
    return true;
}

static bool x64_x87_fnstsw_ax(struct x64 *e, const struct insn *in, unsigned arg)
{
    x64_x87_reg(e, in, 0); /* to the native AX, which is scratch */
    x64_to_guest(e, SZ_16, RAX, N_RAX);
    e->keeps_rax = false;
    return true;
}

/* All exceptions masked before and after: the key stays. Else the slow path ends the block. */
static bool x64_x87_fldcw(struct x64 *e, const struct insn *in, unsigned arg)
{
    struct x64_operand o = x64_access(e, in, 2, false);

    x64_op(e, 0xb7 | OP_0F, SZ_32, X64_TMP, &o); /* movzx */
    x64_mov_rr(&e->hot, SZ_32, N_RAX, X64_TMP);
    x64_alu_ri(&e->hot, ALU_AND, SZ_32, N_RAX, FLOAT80_ALL);
    x64_alu_ri(&e->hot, ALU_CMP, SZ_32, N_RAX, FLOAT80_ALL);
    x64_jump_slow(e, CC_NE);
    x64_alu_ri(&e->hot, ALU_AND, SZ_32, X64_TMP, X87_CONTROL);
    x64_alu_ri(&e->hot, ALU_OR, SZ_32, X64_TMP, X87_CONTROL_ONE);
    x64_store(&e->hot, SZ_16, X64_FIELD(fpu.control), X64_TMP);
    x64_rm(&e->hot, 0xd9, SZ_32, 5, X64_FIELD(fpu.control));
    e->valid = 0;
    x64_end_link(e, 0, (int64_t)e->page_offset + in->start + in->length, false);
    return true;
}

/* ---- the table ---- */

#define X87(name, function, argument, rule, traits) extern const struct exec_set exec_set_##name;
#include "cpu/jit/x87.def"

const struct x64_emitter x64_x87_emitters[] = {
#define X87(name, function, argument, rule, traits) { &exec_set_##name, x64_##function, argument },
#include "cpu/jit/x87.def"
    { 0 },
};
