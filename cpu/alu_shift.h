/* Shifts and rotates with flags. [SDM 2B "RCL/RCR/ROL/ROR", "SAL/SAR/SHL/SHR", "SHLD", "SHRD"]
 *
 * The count is taken modulo 32 (64 for 64-bit operands) first; where that gives 0, nothing changes,
 * the flags neither. OF is defined for a count of 1 only; for others processors use the same
 * formula, and so do we. Operands need not be extended; results are not either, above `size`. */
#pragma once
#include "cpu/alu.h"

ALWAYS_INLINE unsigned alu_shift_count(unsigned count, unsigned size)
{
    return count & (size == 8 ? 63 : 31);
}

/* the top bit of an operand, and the one below it */
ALWAYS_INLINE uint32_t alu_top(uint64_t v, unsigned size)
{
    return v >> (8 * size - 1) & 1;
}
ALWAYS_INLINE uint32_t alu_below_top(uint64_t v, unsigned size)
{
    return v >> (8 * size - 2) & 1;
}

/* all flags of a shift: AF (undefined) 0 */
ALWAYS_INLINE void alu_shift_flags(struct flags *f, uint64_t r, uint32_t cf, uint32_t of,
                                   unsigned size)
{
    f->result = sign_extend(r, 8 * size);
    f->aux = cf << 1 | (cf ^ of);
}
/* rotates change CF and OF only */
ALWAYS_INLINE void alu_rotate_flags(struct flags *f, uint32_t cf, uint32_t of)
{
    f->aux = (f->aux & ~(uint32_t)(AUX_CARRY | AUX_CARRY_IN_TOP)) | cf << 1 | (cf ^ of);
}

ALWAYS_INLINE uint64_t alu_shl(struct flags *f, uint64_t a, unsigned count, unsigned size)
{
    unsigned n = alu_shift_count(count, size);
    uint64_t r;
    uint32_t cf;

    if (n == 0)
        return a;
    r = zero_extend(a, size) << n;
    cf = (size == 8 ? a >> (64 - n) : r >> (8 * (size & 7))) & 1; /* & 7: no shift by 64 */
    alu_shift_flags(f, r, cf, alu_top(r, size) ^ cf, size);
    return r;
}
ALWAYS_INLINE uint64_t alu_shr(struct flags *f, uint64_t a, unsigned count, unsigned size)
{
    unsigned n = alu_shift_count(count, size);
    uint64_t v = zero_extend(a, size), r = v >> n;

    if (n == 0)
        return a;
    alu_shift_flags(f, r, v >> (n - 1) & 1, alu_top(r, size) ^ alu_below_top(r, size), size);
    return r;
}
ALWAYS_INLINE uint64_t alu_sar(struct flags *f, uint64_t a, unsigned count, unsigned size)
{
    unsigned n = alu_shift_count(count, size);
    int64_t v = (int64_t)sign_extend(a, 8 * size), r = v >> n;

    if (n == 0)
        return a;
    alu_shift_flags(f, (uint64_t)r, v >> (n - 1) & 1, 0, size);
    return (uint64_t)r;
}

ALWAYS_INLINE uint64_t alu_rol(struct flags *f, uint64_t a, unsigned count, unsigned size)
{
    unsigned width = 8 * size, n = count & (width - 1);
    uint64_t v = zero_extend(a, size), r = v << n | v >> ((width - n) & (width - 1));
    uint32_t cf = r & 1;

    if (alu_shift_count(count, size) == 0)
        return a;
    alu_rotate_flags(f, cf, alu_top(r, size) ^ cf); /* also for a multiple of the width */
    return r;
}
ALWAYS_INLINE uint64_t alu_ror(struct flags *f, uint64_t a, unsigned count, unsigned size)
{
    unsigned width = 8 * size, n = count & (width - 1);
    uint64_t v = zero_extend(a, size), r = v >> n | v << ((width - n) & (width - 1));

    if (alu_shift_count(count, size) == 0)
        return a;
    alu_rotate_flags(f, alu_top(r, size), alu_top(r, size) ^ alu_below_top(r, size));
    return r;
}

/* RCL and RCR rotate width + 1 bits, CF on top of the operand */
ALWAYS_INLINE uint64_t alu_rcl(struct flags *f, uint64_t a, unsigned count, unsigned size)
{
    unsigned width = 8 * size, n = alu_shift_count(count, size) % (width + 1);
    uint64_t v = zero_extend(a, size), c = flags_cf(f), r;
    uint32_t cf;

    if (n == 0)
        return a;
    r = v << n | c << (n - 1) | (n > 1 ? v >> (width + 1 - n) : 0);
    cf = v >> (width - n) & 1;
    alu_rotate_flags(f, cf, alu_top(r, size) ^ cf);
    return r;
}
ALWAYS_INLINE uint64_t alu_rcr(struct flags *f, uint64_t a, unsigned count, unsigned size)
{
    unsigned width = 8 * size, n = alu_shift_count(count, size) % (width + 1);
    uint64_t v = zero_extend(a, size), c = flags_cf(f), r;

    if (n == 0)
        return a;
    r = v >> n | c << (width - n) | (n > 1 ? v << (width + 1 - n) : 0);
    alu_rotate_flags(f, v >> (n - 1) & 1, alu_top(r, size) ^ alu_below_top(r, size));
    return r;
}

/* Double shifts: the bits that move in come from b. A 16-bit operand with a count above 16 is
 * undefined; processors go on with the bits of a, as if a:b:a were shifted. */
ALWAYS_INLINE uint64_t alu_shld(struct flags *f, uint64_t a, uint64_t b, unsigned count,
                                unsigned size)
{
    unsigned width = 8 * size, n = alu_shift_count(count, size);
    uint64_t va = zero_extend(a, size), vb = zero_extend(b, size), r;
    uint32_t cf;

    if (n == 0)
        return a;
    if (size == 2) {
        uint64_t v = (va << 32 | vb << 16 | va) << n;

        r = v >> 32;
        cf = v >> 48 & 1;
    } else {
        r = va << n | vb >> (width - n);
        cf = va >> (width - n) & 1;
    }
    alu_shift_flags(f, r, cf, alu_top(r, size) ^ cf, size);
    return r;
}
ALWAYS_INLINE uint64_t alu_shrd(struct flags *f, uint64_t a, uint64_t b, unsigned count,
                                unsigned size)
{
    unsigned width = 8 * size, n = alu_shift_count(count, size);
    uint64_t va = zero_extend(a, size), vb = zero_extend(b, size), r;
    uint32_t cf;

    if (n == 0)
        return a;
    if (size == 2) {
        uint64_t v = va << 32 | vb << 16 | va;

        r = v >> n;
        cf = v >> (n - 1) & 1;
    } else {
        r = va >> n | vb << (width - n);
        cf = va >> (n - 1) & 1;
    }
    alu_shift_flags(f, r, cf, alu_top(r, size) ^ alu_below_top(r, size), size);
    return r;
}
