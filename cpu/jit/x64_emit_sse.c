/* Emitters of SSE instructions: the same instruction again, on the same registers, which hold the
 * guest's values, under the guest's MXCSR (cpu/fpu_native.h). Opcode and immediate come from the row.
 * [SDM 2A "Instruction Format"] */
#include <cpuid.h>

#include "base/assert.h"
#include "cpu/exec.h"
#include "cpu/jit/x64.h"

bool x64_native_has(unsigned feature)
{
    unsigned a, b, c, d;

    switch (feature) {
    case FEAT_CX16: return __get_cpuid(1, &a, &b, &c, &d) && c & bit_CMPXCHG16B;
    case FEAT_SSE3: return __builtin_cpu_supports("sse3");
    case FEAT_SSSE3: return __builtin_cpu_supports("ssse3");
    case FEAT_SSE41: return __builtin_cpu_supports("sse4.1");
    case FEAT_SSE42: return __builtin_cpu_supports("sse4.2");
    case FEAT_POPCNT: return __builtin_cpu_supports("popcnt");
    default: return true;
    }
}

/* ---- encoding ---- */

static uint32_t x64_sse_opcode(const struct insn *in)
{
    const struct insn_row *row = &insn_rows[in->id];

    switch (row->map) {
    case MAP_0F_NP: return row->slot | OP_0F;
    case MAP_0F_66: return row->slot | OP_0F | OP_66;
    case MAP_0F_F3: return row->slot | OP_0F | OP_F3;
    case MAP_0F_F2: return row->slot | OP_0F | OP_F2;
    case MAP_0F38_66: return row->slot | OP_0F38 | OP_66;
    default: ASSERT(row->map == MAP_0F3A_66); return row->slot | OP_0F3A | OP_66;
    }
}

/* the instruction, with the operand of ModRM.reg, and the other one; REX.W by the size */
static void x64_sse_insn(struct x64 *e, const struct insn *in, unsigned size, unsigned reg,
                         const struct x64_operand *o)
{
    x64_op(e, x64_sse_opcode(in), size, reg, o);
    if (insn_rows[in->id].op[2] == OP_Iub)
        x64_8(&e->hot, in->imm);
}

/* the r/m operand, if it is not memory: an XMM register by its number */
static struct x64_operand x64_sse_operand(struct x64 *e, const struct insn *in, unsigned bytes)
{
    bool write = insn_rows[in->id].op[1] == OP_Vx;

    if (in->flags & IN_MEM)
        return x64_access(e, in, bytes, write);
    return (struct x64_operand){ .reg = in->rm };
}

/* ---- XMM registers and memory ---- */

static bool x64_sse(struct x64 *e, const struct insn *in, unsigned bytes)
{
    struct x64_operand o = x64_sse_operand(e, in, bytes);

    x64_sse_insn(e, in, SZ_32, in->reg, &o);
    e->keeps_rax = true;
    return true;
}

/* COMISS and its kin, PTEST: OF, SF and AF become 0 */
static bool x64_sse_flags(struct x64 *e, const struct insn *in, unsigned bytes)
{
    x64_sse(e, in, bytes);
    e->valid = 0;
    x64_defined(e, FL_OSZAPC);
    return true;
}

/* by an immediate: groups 12 to 14 */
static bool x64_sse_shift(struct x64 *e, const struct insn *in, unsigned arg)
{
    const struct insn_row *row = &insn_rows[in->id];
    uint32_t opcode = row->map == GRP12_66 ? 0x71 : row->map == GRP13_66 ? 0x72 : 0x73;

    x64_rr(&e->hot, opcode | OP_0F | OP_66, SZ_32, row->slot, in->rm);
    x64_8(&e->hot, in->imm);
    e->keeps_rax = true;
    return true;
}

/* ---- general registers ---- */

static bool x64_sse_from_E(struct x64 *e, const struct insn *in, unsigned bytes)
{
    struct x64_operand o;

    if (in->flags & IN_MEM)
        o = x64_access(e, in, bytes ? bytes : 1u << in->size, false);
    else
        o = x64_guest_reg(in->rm); /* its slot serves as a memory operand */
    x64_sse_insn(e, in, in->size, in->reg, &o);
    return true;
}

/* registers are written as a whole */
static bool x64_sse_to_E(struct x64 *e, const struct insn *in, unsigned bytes)
{
    struct x64_operand o = { .reg = N_RAX };

    if (in->flags & IN_MEM)
        o = x64_access(e, in, bytes ? bytes : 1u << in->size, true);
    else if (x64_reg_of[in->rm] != N_NONE)
        o.reg = x64_reg_of[in->rm];
    x64_sse_insn(e, in, in->size, in->reg, &o);
    if (!o.memory)
        x64_to_guest(e, SZ_64, in->rm, o.reg);
    return true;
}

static bool x64_sse_to_G(struct x64 *e, const struct insn *in, unsigned bytes)
{
    unsigned native = x64_reg_of[in->reg] == N_NONE ? N_RAX : x64_reg_of[in->reg];
    struct x64_operand o = x64_sse_operand(e, in, bytes);

    x64_sse_insn(e, in, in->size, native, &o);
    x64_to_guest(e, SZ_64, in->reg, native);
    return true;
}

/* ---- the table ---- */

#define SSE(name, function, bytes, rule, traits) extern const struct exec_set exec_set_##name;
#include "cpu/jit/sse.def"

#define ALIGNED (X64_ALIGNED | 16)
const struct x64_emitter x64_sse_emitters[] = {
#define SSE(name, function, bytes, rule, traits) { &exec_set_##name, x64_##function, bytes },
#include "cpu/jit/sse.def"
    { 0 },
};
