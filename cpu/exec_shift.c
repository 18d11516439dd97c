/* Shifts and rotates: ROL ROR RCL RCR SHL SHR SAR by 1, CL and an immediate; SHLD and SHRD.
 * [SDM 2B "RCL/RCR/ROL/ROR", "SAL/SAR/SHL/SHR", "SHLD", "SHRD"] The flags are in cpu/alu_shift.h.
 *
 * The destination is written even where the masked count is 0: a 32-bit register loses its upper
 * half, a memory operand must be writable. */
#include "cpu/alu_shift.h"
#include "cpu/exec.h"

#define SHIFT_FORM(name, alu, count)                          \
    EXEC_BODY_SIZES(name)                                     \
    {                                                         \
        struct rmw dst = rmw_begin(cpu, in, size, mem);       \
                                                              \
        dst.value = alu(&cpu->flags, dst.value, count, size); \
        rmw_end(cpu, in, &dst, size, mem);                    \
    }                                                         \
    EXEC_SIZES_WRITE(name)

#define SHIFT(name)                                            \
    SHIFT_FORM(name##_E_1, alu_##name, 1)                      \
    SHIFT_FORM(name##_E_CL, alu_##name, (unsigned)cpu->r[RCX]) \
    SHIFT_FORM(name##_E_I, alu_##name, (unsigned)in->imm)

SHIFT(rol)
SHIFT(ror)
SHIFT(rcl)
SHIFT(rcr)
SHIFT(shl)
SHIFT(shr)
SHIFT(sar)

#define DOUBLE_SHIFT_FORM(name, alu, count)                        \
    EXEC_BODY_SIZES(name)                                          \
    {                                                              \
        struct rmw dst = rmw_begin(cpu, in, size, mem);            \
        uint64_t src = reg_read(cpu, in->reg, size);               \
                                                                   \
        dst.value = alu(&cpu->flags, dst.value, src, count, size); \
        rmw_end(cpu, in, &dst, size, mem);                         \
    }                                                              \
    EXEC_SIZES_WRITE(name)

DOUBLE_SHIFT_FORM(shld_E_G_I, alu_shld, (unsigned)in->imm)
DOUBLE_SHIFT_FORM(shld_E_G_CL, alu_shld, (unsigned)cpu->r[RCX])
DOUBLE_SHIFT_FORM(shrd_E_G_I, alu_shrd, (unsigned)in->imm)
DOUBLE_SHIFT_FORM(shrd_E_G_CL, alu_shrd, (unsigned)cpu->r[RCX])
