/* Arithmetic with flags: the one home of these semantics, for the interpreter, native code's slow
 * paths and the tests. `size` is in bytes. [SDM 2A-2D, the instructions' pages; SDM 1 "EFLAGS"] */
#pragma once
#include <stdint.h>

#include "base/bits.h"
#include "cpu/flags.h"

/* carries out of each bit of a + b (+ carry), with r the sum */
ALWAYS_INLINE uint64_t alu_carries_add(uint64_t a, uint64_t b, uint64_t r)
{
    return (a & b) | ((a | b) & ~r);
}
/* borrows out of each bit of a - b (- borrow), with r the difference */
ALWAYS_INLINE uint64_t alu_carries_sub(uint64_t a, uint64_t b, uint64_t r)
{
    return (~a & b) | ((~a | b) & r);
}

/* result and carry vector to lazy flags */
ALWAYS_INLINE void alu_flags(struct flags *f, uint64_t r, uint64_t carries, unsigned size)
{
    f->result = sign_extend(r, 8 * size);
    f->aux = (uint32_t)(zero_extend(carries, size) >> (8 * size - 2)) | (carries & AUX_AF);
}

ALWAYS_INLINE uint64_t alu_add(struct flags *f, uint64_t a, uint64_t b, unsigned size)
{
    uint64_t r = a + b;

    alu_flags(f, r, alu_carries_add(a, b, r), size);
    return r;
}
ALWAYS_INLINE uint64_t alu_adc(struct flags *f, uint64_t a, uint64_t b, unsigned size)
{
    uint64_t r = a + b + flags_cf(f);

    alu_flags(f, r, alu_carries_add(a, b, r), size);
    return r;
}
ALWAYS_INLINE uint64_t alu_sub(struct flags *f, uint64_t a, uint64_t b, unsigned size)
{
    uint64_t r = a - b;

    alu_flags(f, r, alu_carries_sub(a, b, r), size);
    return r;
}
ALWAYS_INLINE uint64_t alu_sbb(struct flags *f, uint64_t a, uint64_t b, unsigned size)
{
    uint64_t r = a - b - flags_cf(f);

    alu_flags(f, r, alu_carries_sub(a, b, r), size);
    return r;
}
/* flags of AND, OR, XOR, TEST: CF and OF 0; AF (undefined) 0 */
ALWAYS_INLINE uint64_t alu_logic(struct flags *f, uint64_t r, unsigned size)
{
    f->result = sign_extend(r, 8 * size);
    f->aux = 0;
    return r;
}
ALWAYS_INLINE uint64_t alu_and(struct flags *f, uint64_t a, uint64_t b, unsigned size)
{
    return alu_logic(f, a & b, size);
}
ALWAYS_INLINE uint64_t alu_or(struct flags *f, uint64_t a, uint64_t b, unsigned size)
{
    return alu_logic(f, a | b, size);
}
ALWAYS_INLINE uint64_t alu_xor(struct flags *f, uint64_t a, uint64_t b, unsigned size)
{
    return alu_logic(f, a ^ b, size);
}

/* INC and DEC leave CF alone. OF and AF follow from the result: the carry that reaches the top is
 * the one that makes the extreme value, the carry out of bit 3 the one that turns 15 into 0. */
ALWAYS_INLINE uint64_t alu_inc(struct flags *f, uint64_t a, unsigned size)
{
    uint64_t r = a + 1;
    uint32_t cf = f->aux >> 1 & 1;
    uint32_t of = zero_extend(r, size) == BIT(8 * size - 1);

    f->result = sign_extend(r, 8 * size);
    f->aux = (cf ^ of) | cf << 1 | ((r & 15) == 0 ? AUX_AF : 0);
    return r;
}
ALWAYS_INLINE uint64_t alu_dec(struct flags *f, uint64_t a, unsigned size)
{
    uint64_t r = a - 1;
    uint32_t cf = f->aux >> 1 & 1;
    uint32_t of = zero_extend(a, size) == BIT(8 * size - 1);

    f->result = sign_extend(r, 8 * size);
    f->aux = (cf ^ of) | cf << 1 | ((a & 15) == 0 ? AUX_AF : 0);
    return r;
}
/* CF is "the operand was not 0": the borrow of 0 - a */
ALWAYS_INLINE uint64_t alu_neg(struct flags *f, uint64_t a, unsigned size)
{
    return alu_sub(f, 0, a, size);
}
