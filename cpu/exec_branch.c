/* Near transfers of control: Jcc JMP CALL RET JrCXZ LOOPcc, and BOUND.
 * [SDM 2A "CALL", "Jcc", "JMP", "LOOP/LOOPcc"; SDM 2B "RET"]
 *
 * `size` is the operand size: 8 is 64-bit mode (T_F64), 4 and 2 are the others, where RIP is cut to
 * it and the target checked against the limit of CS. A target is checked before anything changes. */
#include "cpu/conditions.h"
#include "cpu/exec.h"

enum { BRANCH_LINEAR_BITS = 48 };

ALWAYS_INLINE uint64_t branch_checked(struct cpu *cpu, uint64_t target, unsigned size)
{
    if (size == 8) {
        if (unlikely(!is_canonical(target, BRANCH_LINEAR_BITS)))
            raise_gp(cpu, 0);
        return target;
    }
    target = zero_extend(target, size);
    if (unlikely(target > cpu->seg[SEG_CS].limit))
        raise_gp(cpu, 0);
    return target;
}

/* the target of a relative branch */
ALWAYS_INLINE uint64_t branch_relative(struct cpu *cpu, const struct insn *in, unsigned size)
{
    return branch_checked(cpu, cpu->r[REG_BLOCK_RIP] + in->imm, size);
}

/* the instruction behind: 32 bits outside 64-bit mode, also for 16-bit operands */
ALWAYS_INLINE uint64_t branch_behind(const struct cpu *cpu, const struct insn *in, unsigned size)
{
    return zero_extend(cpu->r[REG_BLOCK_RIP] + in->start + in->length, size == 8 ? 8 : 4);
}

ALWAYS_INLINE void branch_if(struct cpu *cpu, const struct insn *in, bool taken, unsigned size)
{
    cpu->rip = taken ? branch_relative(cpu, in, size) : branch_behind(cpu, in, size);
}

#define BRANCH_JCC(cc, number)                                          \
    EXEC_BODY_SIZES(j##cc)                                              \
    {                                                                   \
        branch_if(cpu, in, flags_condition(&cpu->flags, number), size); \
    }                                                                   \
    EXEC_SIZES_END(j##cc)

CONDITIONS(BRANCH_JCC)

EXEC_BODY_SIZES(jmp_J)
{
    cpu->rip = branch_relative(cpu, in, size);
}
EXEC_SIZES_END(jmp_J)

EXEC_BODY_SIZES(jmp_E)
{
    cpu->rip = branch_checked(cpu, rm_read(cpu, in, size, mem), size);
}
EXEC_SIZES_READ_END(jmp_E)

EXEC_BODY_SIZES(call_J)
{
    uint64_t target = branch_relative(cpu, in, size);

    push_form(cpu, branch_behind(cpu, in, size), size, mem);
    cpu->rip = target;
}
EXEC_SIZES_PUSH_END(call_J)

EXEC_BODY_SIZES(call_E)
{
    enum mem_form operand = mem == MEM_ANY ? MEM_ANY : MEM_NONE;
    uint64_t target = branch_checked(cpu, rm_read(cpu, in, size, operand), size);

    push_form(cpu, branch_behind(cpu, in, size), size, mem);
    cpu->rip = target;
}
EXEC_SIZES_PUSH_END(call_E)

EXEC_BODY_SIZES(ret)
{
    uint64_t target = branch_checked(cpu, stack_peek_form(cpu, size, mem), size);

    rsp_add_form(cpu, size, mem);
    cpu->rip = target;
}
EXEC_SIZES_POP_END(ret)

EXEC_BODY_SIZES(ret_I)
{
    uint64_t target = branch_checked(cpu, stack_peek_form(cpu, size, mem), size);

    rsp_add_form(cpu, size + (uint16_t)in->imm, mem);
    cpu->rip = target;
}
EXEC_SIZES_POP_END(ret_I)

/* ---- the count register: rCX by address size ---- */

EXEC_BODY_SIZES(jrcxz)
{
    branch_if(cpu, in, (cpu->r[RCX] & in->addr_mask) == 0, size);
}
EXEC_SIZES_END(jrcxz)

/* rCX goes down whether the branch is taken or not, but not if its target faults */
ALWAYS_INLINE void branch_loop(struct cpu *cpu, const struct insn *in, bool condition,
                               unsigned size)
{
    uint64_t count = (cpu->r[RCX] - 1) & in->addr_mask;

    branch_if(cpu, in, condition && count != 0, size);
    reg_write_masked(cpu, RCX, count, in->addr_mask);
}

EXEC_BODY_SIZES(loop)
{
    branch_loop(cpu, in, true, size);
}
EXEC_SIZES_END(loop)

EXEC_BODY_SIZES(loope)
{
    branch_loop(cpu, in, flags_zf(&cpu->flags), size);
}
EXEC_SIZES_END(loope)

EXEC_BODY_SIZES(loopne)
{
    branch_loop(cpu, in, !flags_zf(&cpu->flags), size);
}
EXEC_SIZES_END(loopne)

/* ---- BOUND: a signed index against a pair of limits in memory [SDM 2A "BOUND"] ---- */

EXEC_BODY_SIZES(bound)
{
    uint64_t offset = ea(cpu, in), width = 8 * size;
    uint64_t low = mmu_load(&cpu->mmu, seg_linear(cpu, in, offset, size, false), size);
    uint64_t high = mmu_load(
        &cpu->mmu, seg_linear(cpu, in, (offset + size) & in->addr_mask, size, false), size);
    int64_t index = (int64_t)sign_extend(cpu->r[in->reg], (unsigned)width);

    if (index < (int64_t)sign_extend(low, (unsigned)width) ||
        index > (int64_t)sign_extend(high, (unsigned)width))
        cpu_raise(cpu, BR);
}
EXEC_SIZES(bound)
