/* Multiplication and division. [SDM 2A "DIV", "IDIV", "IMUL"; SDM 2B "MUL"]
 *
 * A product sets CF and OF together when its upper half matters; SF, ZF and PF (undefined) follow
 * the lower half, AF is 0. Divisions leave the flags (all undefined) alone. */
#pragma once
#include "cpu/alu.h"

ALWAYS_INLINE void alu_mul_flags(struct flags *f, uint64_t low, bool overflow, unsigned size)
{
    f->result = sign_extend(low, 8 * size);
    f->aux = overflow ? AUX_CARRY : 0; /* a carry out of the top but none into it: CF = OF = 1 */
}

/* Both give the lower half and, for size 8, the upper half in *high; smaller products are whole in
 * the return value. */
ALWAYS_INLINE uint64_t alu_mul(struct flags *f, uint64_t a, uint64_t b, uint64_t *high,
                               unsigned size)
{
    unsigned __int128 r = (unsigned __int128)zero_extend(a, size) * zero_extend(b, size);

    *high = (uint64_t)(r >> 64);
    alu_mul_flags(f, (uint64_t)r, r >> (8 * size) != 0, size);
    return (uint64_t)r;
}
ALWAYS_INLINE uint64_t alu_imul(struct flags *f, uint64_t a, uint64_t b, uint64_t *high,
                                unsigned size)
{
    __int128 r = (__int128)(int64_t)sign_extend(a, 8 * size) * (int64_t)sign_extend(b, 8 * size);

    *high = (uint64_t)(r >> 64);
    alu_mul_flags(f, (uint64_t)r, r != (int64_t)sign_extend((uint64_t)r, 8 * size), size);
    return (uint64_t)r;
}

/* high:low / divisor, all of them zero-extended; false: #DE, and nothing is written */
ALWAYS_INLINE bool alu_div(uint64_t high, uint64_t low, uint64_t divisor, uint64_t *quotient,
                           uint64_t *remainder, unsigned size)
{
    if (high >= divisor) /* divisor 0, or a quotient of more than `size` bytes */
        return false;
    if (size == 8 && high != 0) {
        unsigned __int128 dividend = (unsigned __int128)high << 64 | low;

        *quotient = (uint64_t)(dividend / divisor);
        *remainder = (uint64_t)(dividend % divisor);
    } else {
        uint64_t dividend = size == 8 ? low : high << (8 * (size & 7)) | low; /* & 7: not by 64 */

        *quotient = dividend / divisor;
        *remainder = dividend % divisor;
    }
    return true;
}

/* The magnitudes are divided without sign: the most negative values have one too. */
ALWAYS_INLINE bool alu_idiv(uint64_t high, uint64_t low, uint64_t divisor, uint64_t *quotient,
                            uint64_t *remainder, unsigned size)
{
    unsigned width = 8 * size;
    uint64_t d = sign_extend(divisor, width);
    bool negative = sign_extend(high, width) >> 63, divisor_negative = d >> 63;
    uint64_t max = BIT(width - 1) - 1;

    low = zero_extend(low, size);
    high = zero_extend(high, size);
    if (negative) {
        low = zero_extend(~low + 1, size);
        high = zero_extend(~high + (low == 0), size);
    }
    if (!alu_div(high, low, divisor_negative ? ~d + 1 : d, quotient, remainder, size))
        return false;
    if (*quotient > max + (negative != divisor_negative))
        return false;
    if (negative != divisor_negative)
        *quotient = ~*quotient + 1;
    if (negative)
        *remainder = ~*remainder + 1;
    return true;
}
