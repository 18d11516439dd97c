/* Exchanges: XCHG, XADD, CMPXCHG, CMPXCHG8B, CMPXCHG16B. [SDM 2A "CMPXCHG", "CMPXCHG8B/CMPXCHG16B";
 * SDM 2D "XADD", "XCHG"] One thread runs all processors: LOCK needs nothing more. */
#include "cpu/exec.h"

EXEC_BODY_SIZES(xchg_E_G)
{
    struct rmw dst = rmw_begin(cpu, in, size, mem);
    uint64_t old = dst.value;

    dst.value = reg_read(cpu, in->reg, size);
    rmw_end(cpu, in, &dst, size, mem);
    reg_write(cpu, in->reg, old, size);
}
EXEC_SIZES_WRITE(xchg_E_G)

EXEC_BODY_SIZES(xchg_Z_A)
{
    uint64_t v = reg_read(cpu, in->rm, size);

    reg_write(cpu, in->rm, reg_read(cpu, RAX, size), size);
    reg_write(cpu, RAX, v, size);
}
EXEC_SIZES(xchg_Z_A)

/* the sum goes to the destination last: it wins where both are the same register */
EXEC_BODY_SIZES(xadd_E_G)
{
    struct rmw dst = rmw_begin(cpu, in, size, mem);
    uint64_t old = dst.value;

    dst.value = alu_add(&cpu->flags, old, reg_read(cpu, in->reg, size), size);
    reg_write(cpu, in->reg, old, size);
    rmw_end(cpu, in, &dst, size, mem);
}
EXEC_SIZES_WRITE(xadd_E_G)

/* If the comparison fails, a destination in memory is written with its old value, one in a register
 * is not touched (not even zero-extended: measured); likewise the accumulator if it succeeds. */
EXEC_BODY_SIZES(cmpxchg_E_G)
{
    const unsigned acc = size == 1 ? 8 * RAX : RAX;
    struct rmw dst = rmw_begin(cpu, in, size, mem);
    uint64_t old = dst.value, expected = reg_read(cpu, acc, size);

    alu_sub(&cpu->flags, expected, old, size);
    if (expected == old) {
        dst.value = reg_read(cpu, in->reg, size);
        rmw_end(cpu, in, &dst, size, mem);
    } else {
        if (mem)
            rmw_end(cpu, in, &dst, size, mem);
        reg_write(cpu, acc, old, size);
    }
}
EXEC_SIZES_WRITE(cmpxchg_E_G)

/* a pair of operands of `size` bytes against rDX:rAX; written back in any case */
static inline void exchange_pair(struct cpu *cpu, const struct insn *in, unsigned size)
{
    uint64_t linear = linear_write(cpu, in, 2 * size), low, high;
    bool equal;

    if (size == 8 && linear & 15)
        raise_gp(cpu, 0);
    if (size == 4) {
        low = mmu_load_rmw(&cpu->mmu, linear, 8);
        high = low >> 32;
        low = (uint32_t)low;
    } else {
        low = mmu_load_rmw(&cpu->mmu, linear, 8);
        high = mmu_load_rmw(&cpu->mmu, linear + 8, 8);
    }
    equal = low == reg_read(cpu, RAX, size) && high == reg_read(cpu, RDX, size);
    if (!equal) {
        reg_write(cpu, RAX, low, size);
        reg_write(cpu, RDX, high, size);
    } else {
        low = reg_read(cpu, RBX, size);
        high = reg_read(cpu, RCX, size);
    }
    if (size == 4) {
        mmu_store(&cpu->mmu, linear, low | high << 32, 8);
    } else {
        mmu_store(&cpu->mmu, linear, low, 8);
        mmu_store(&cpu->mmu, linear + 8, high, 8);
    }
    flags_change(&cpu->flags, RFLAGS_ZF, equal ? RFLAGS_ZF : 0);
}

EXEC_BODY(cmpxchg8b)
{
    if (!(in->flags & IN_REXW)) {
        exchange_pair(cpu, in, 4);
    } else {
        if (!cpu_has(cpu, FEAT_CX16))
            raise_ud(cpu);
        exchange_pair(cpu, in, 8);
    }
}
EXEC(cmpxchg8b)
