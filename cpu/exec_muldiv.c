/* MUL, IMUL, DIV, IDIV. [SDM 2A "DIV", "IDIV", "IMUL"; SDM 2B "MUL"]
 * The arithmetic is in cpu/alu_muldiv.h. One-operand forms use AX (bytes) or rDX:rAX. */
#include "cpu/alu_muldiv.h"
#include "cpu/exec.h"

/* a double-width value to AX or rDX:rAX */
ALWAYS_INLINE void muldiv_write(struct cpu *cpu, uint64_t low, uint64_t high, unsigned size)
{
    if (size == 1) {
        reg_write(cpu, RAX, low, 2);
        return;
    }
    reg_write(cpu, RAX, low, size);
    reg_write(cpu, RDX, size == 8 ? high : low >> (8 * (size & 7)), size);
}

EXEC_BODY_SIZES(mul_E)
{
    uint64_t high, b = rm_read(cpu, in, size, mem);
    uint64_t low = alu_mul(&cpu->flags, cpu->r[RAX], b, &high, size);

    muldiv_write(cpu, low, high, size);
}
EXEC_SIZES_READ(mul_E)

EXEC_BODY_SIZES(imul_E)
{
    uint64_t high, b = rm_read(cpu, in, size, mem);
    uint64_t low = alu_imul(&cpu->flags, cpu->r[RAX], b, &high, size);

    muldiv_write(cpu, low, high, size);
}
EXEC_SIZES_READ(imul_E)

EXEC_BODY_SIZES(imul_G_E)
{
    uint64_t high, b = rm_read(cpu, in, size, mem);

    reg_write(cpu, in->reg, alu_imul(&cpu->flags, reg_read(cpu, in->reg, size), b, &high, size),
              size);
}
EXEC_SIZES_READ(imul_G_E)

EXEC_BODY_SIZES(imul_G_E_I)
{
    uint64_t high, a = rm_read(cpu, in, size, mem);

    reg_write(cpu, in->reg, alu_imul(&cpu->flags, a, in->imm, &high, size), size);
}
EXEC_SIZES_READ(imul_G_E_I)

/* the dividend: AX, or rDX:rAX, as two halves of `size` bytes */
#define MULDIV_DIVISION(name, alu)                                           \
    EXEC_BODY_SIZES(name)                                                    \
    {                                                                        \
        uint64_t divisor = rm_read(cpu, in, size, mem), quotient, remainder; \
        uint64_t low = reg_read(cpu, size == 1 ? 8 * RAX : RAX, size);       \
        uint64_t high = reg_read(cpu, size == 1 ? 8 * RAX + 1 : RDX, size);  \
                                                                             \
        if (!alu(high, low, divisor, &quotient, &remainder, size))           \
            cpu_raise(cpu, DE);                                              \
        reg_write(cpu, size == 1 ? 8 * RAX : RAX, quotient, size);           \
        reg_write(cpu, size == 1 ? 8 * RAX + 1 : RDX, remainder, size);      \
    }                                                                        \
    EXEC_SIZES(name)

MULDIV_DIVISION(div_E, alu_div)
MULDIV_DIVISION(idiv_E, alu_idiv)
