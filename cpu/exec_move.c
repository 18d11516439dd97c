/* Data movement that does not use the stack: MOV, MOVZX, MOVSX, MOVSXD, MOVBE, LEA, CMOVcc, XLAT,
 * conversions (CBW, CWD and wider), flags (LAHF, SAHF, CLC ... STD), NOP, PAUSE and UD.
 * [SDM 2A-2D, the instructions' pages] Exchanges are in cpu/exec_exchange.c. */
#include "cpu/conditions.h"
#include "cpu/exec.h"

/* ---- MOV ---- */

EXEC_BODY_SIZES(mov_E_G)
{
    rm_write(cpu, in, reg_read(cpu, in->reg, size), size, mem);
}
EXEC_SIZES_WRITE(mov_E_G)

EXEC_BODY_SIZES(mov_G_E)
{
    reg_write(cpu, in->reg, rm_read(cpu, in, size, mem), size);
}
EXEC_SIZES_READ(mov_G_E)

EXEC_BODY_SIZES(mov_E_I)
{
    rm_write(cpu, in, in->imm, size, mem);
}
EXEC_SIZES_WRITE(mov_E_I)

/* the decoder makes an address without base of a moffs; the accumulator is in rm */
EXEC_BODY_SIZES(mov_A_O)
{
    reg_write(cpu, in->rm, rm_read(cpu, in, size, mem), size);
}
EXEC_SIZES_READ(mov_A_O)

EXEC_BODY_SIZES(mov_O_A)
{
    rm_write(cpu, in, reg_read(cpu, in->rm, size), size, mem);
}
EXEC_SIZES_WRITE(mov_O_A)

EXEC_BODY_SIZES(movbe_G_M)
{
    uint64_t v = rm_read(cpu, in, size, mem);

    reg_write(cpu, in->reg, __builtin_bswap64(v) >> (64 - 8 * size), size);
}
EXEC_SIZES_READ(movbe_G_M)

EXEC_BODY_SIZES(movbe_M_G)
{
    uint64_t v = reg_read(cpu, in->reg, size);

    rm_write(cpu, in, __builtin_bswap64(v) >> (64 - 8 * size), size, mem);
}
EXEC_SIZES_WRITE(movbe_M_G)

/* ---- extensions: `size` is the destination's ---- */

/* where no operand is as wide as the source, a smaller one is read */
#define MOVE_EXTEND(name, source_size, expression)                         \
    EXEC_BODY_SIZES(name)                                                  \
    {                                                                      \
        const unsigned from = (source_size) < size ? (source_size) : size; \
        uint64_t v = rm_read(cpu, in, from, mem);                          \
                                                                           \
        reg_write(cpu, in->reg, expression, size);                         \
    }                                                                      \
    EXEC_SIZES_READ(name)

MOVE_EXTEND(movzx_G_Eb, 1, v)
MOVE_EXTEND(movzx_G_Ew, 2, v)
MOVE_EXTEND(movsx_G_Eb, 1, sign_extend(v, 8 * from))
MOVE_EXTEND(movsx_G_Ew, 2, sign_extend(v, 8 * from))
MOVE_EXTEND(movsxd_G_Ed, 4, sign_extend(v, 8 * from))

/* CBW, CWDE, CDQE: the lower half of the accumulator into all of it */
EXEC_BODY_SIZES(cbw)
{
    reg_write(cpu, RAX, sign_extend(cpu->r[RAX], 4 * size), size);
}
EXEC_SIZES(cbw)

/* CWD, CDQ, CQO: the sign of the accumulator into rDX */
EXEC_BODY_SIZES(cwd)
{
    reg_write(cpu, RDX, (uint64_t)((int64_t)sign_extend(cpu->r[RAX], 8 * size) >> 63), size);
}
EXEC_SIZES(cwd)

/* ---- LEA, XLAT ---- */

EXEC_BODY_SIZES(lea)
{
    reg_write(cpu, in->reg, ea(cpu, in), size);
}
EXEC_SIZES(lea)

EXEC_BODY(xlat)
{
    uint64_t offset = (cpu->r[RBX] + (uint8_t)cpu->r[RAX]) & in->addr_mask;
    uint64_t v = mmu_load(&cpu->mmu, seg_linear(cpu, in, offset, 1, false), 1);

    reg_write(cpu, 8 * RAX, v, 1);
}
EXEC(xlat)

/* ---- CMOVcc: the source is read, and a 32-bit destination zero-extended, in any case ---- */

#define MOVE_CMOV(cc, number)                                                          \
    EXEC_BODY_SIZES(cmov##cc)                                                          \
    {                                                                                  \
        uint64_t v = rm_read(cpu, in, size, mem), old = reg_read(cpu, in->reg, size);  \
                                                                                       \
        reg_write(cpu, in->reg, flags_condition(&cpu->flags, number) ? v : old, size); \
    }                                                                                  \
    EXEC_SIZES_READ(cmov##cc)

CONDITIONS(MOVE_CMOV)

/* ---- flags ---- */

static void move_need_lahf(struct cpu *cpu)
{
    if (cpu_64bit(cpu) && !cpu_has(cpu, FEAT_LAHF))
        raise_ud(cpu);
}

EXEC_BODY(lahf)
{
    move_need_lahf(cpu);
    reg_write(cpu, 8 * RAX + 1, (cpu_rflags(cpu) & 0xd5) | RFLAGS_FIXED, 1);
}
EXEC(lahf)

EXEC_BODY(sahf)
{
    move_need_lahf(cpu);
    flags_change(&cpu->flags, RFLAGS_SF | RFLAGS_ZF | RFLAGS_AF | RFLAGS_PF | RFLAGS_CF,
                 reg_read(cpu, 8 * RAX + 1, 1));
}
EXEC(sahf)

EXEC_BODY(clc)
{
    flags_set_cf(&cpu->flags, false);
}
EXEC(clc)

EXEC_BODY(stc)
{
    flags_set_cf(&cpu->flags, true);
}
EXEC(stc)

EXEC_BODY(cmc)
{
    flags_set_cf(&cpu->flags, !flags_cf(&cpu->flags));
}
EXEC(cmc)

EXEC_BODY(cld)
{
    cpu->rflags &= ~RFLAGS_DF;
}
EXEC(cld)

EXEC_BODY(std)
{
    cpu->rflags |= RFLAGS_DF;
}
EXEC(std)

/* ---- nothing, and less ---- */

/* also the hint NOPs, ENDBR and the prefetches: none of them touches memory */
EXEC_BODY(nop)
{
}
EXEC(nop)

EXEC_BODY(pause)
{
    virt_check(cpu, VIRT_PAUSE, 0);
}
EXEC(pause)

EXEC_BODY(ud)
{
    raise_ud(cpu);
}
EXEC_END(ud)
