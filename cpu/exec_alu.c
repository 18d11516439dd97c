/* Addition, subtraction and logic: ADD ADC SUB SBB CMP AND OR XOR TEST INC DEC NEG NOT.
 * [SDM 2A-2D, the instructions' pages] The flags are in cpu/alu.h.
 *
 * Forms: E_G (r/m, reg), G_E (reg, r/m), E_I (r/m or accumulator, immediate). */
#include "cpu/exec.h"

#define ALU_BINARY(name)                                                                    \
    EXEC_BODY_SIZES(name##_E_G)                                                             \
    {                                                                                       \
        struct rmw dst = rmw_begin(cpu, in, size, mem);                                     \
                                                                                            \
        dst.value = alu_##name(&cpu->flags, dst.value, reg_read(cpu, in->reg, size), size); \
        rmw_end(cpu, in, &dst, size, mem);                                                  \
    }                                                                                       \
    EXEC_SIZES_WRITE(name##_E_G)                                                            \
    EXEC_BODY_SIZES(name##_G_E)                                                             \
    {                                                                                       \
        uint64_t b = rm_read(cpu, in, size, mem), a = reg_read(cpu, in->reg, size);         \
                                                                                            \
        reg_write(cpu, in->reg, alu_##name(&cpu->flags, a, b, size), size);                 \
    }                                                                                       \
    EXEC_SIZES_READ(name##_G_E)                                                             \
    EXEC_BODY_SIZES(name##_E_I)                                                             \
    {                                                                                       \
        struct rmw dst = rmw_begin(cpu, in, size, mem);                                     \
                                                                                            \
        dst.value = alu_##name(&cpu->flags, dst.value, in->imm, size);                      \
        rmw_end(cpu, in, &dst, size, mem);                                                  \
    }                                                                                       \
    EXEC_SIZES_WRITE(name##_E_I)

ALU_BINARY(add)
ALU_BINARY(adc)
ALU_BINARY(sub)
ALU_BINARY(sbb)
ALU_BINARY(and)
ALU_BINARY(or)
ALU_BINARY(xor)

/* CMP and TEST only set flags: alu is the operation that they forget the result of */
#define ALU_COMPARE(name, alu)                                        \
    EXEC_BODY_SIZES(name##_E_G)                                       \
    {                                                                 \
        uint64_t a = rm_read(cpu, in, size, mem);                     \
                                                                      \
        alu(&cpu->flags, a, reg_read(cpu, in->reg, size), size);      \
    }                                                                 \
    EXEC_SIZES_READ(name##_E_G)                                       \
    EXEC_BODY_SIZES(name##_E_I)                                       \
    {                                                                 \
        alu(&cpu->flags, rm_read(cpu, in, size, mem), in->imm, size); \
    }                                                                 \
    EXEC_SIZES_READ(name##_E_I)

ALU_COMPARE(cmp, alu_sub)
ALU_COMPARE(test, alu_and)

EXEC_BODY_SIZES(cmp_G_E)
{
    uint64_t b = rm_read(cpu, in, size, mem);

    alu_sub(&cpu->flags, reg_read(cpu, in->reg, size), b, size);
}
EXEC_SIZES_READ(cmp_G_E)

#define ALU_UNARY(name)                                       \
    EXEC_BODY_SIZES(name##_E)                                 \
    {                                                         \
        struct rmw dst = rmw_begin(cpu, in, size, mem);       \
                                                              \
        dst.value = alu_##name(&cpu->flags, dst.value, size); \
        rmw_end(cpu, in, &dst, size, mem);                    \
    }                                                         \
    EXEC_SIZES_WRITE(name##_E)

ALU_UNARY(inc)
ALU_UNARY(dec)
ALU_UNARY(neg)

EXEC_BODY_SIZES(not_E)
{
    struct rmw dst = rmw_begin(cpu, in, size, mem);

    dst.value = ~dst.value;
    rmw_end(cpu, in, &dst, size, mem);
}
EXEC_SIZES_WRITE(not_E)
