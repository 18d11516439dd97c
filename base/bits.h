/* Bit fields of guest values, by the manual's numbering. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* for what instruction functions are made of: constants must reach it */
#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* bit n set */
#define BIT(n) (UINT64_C(1) << (n))

/* bits hi:lo set, 63 >= hi >= lo >= 0 */
#define BITS(hi, lo) ((~UINT64_C(0) >> (63 - (hi))) & (~UINT64_C(0) << (lo)))

/* the value of bits hi:lo of v */
static inline uint64_t bits(uint64_t v, unsigned hi, unsigned lo)
{
    return (v & BITS(hi, lo)) >> lo;
}

/* v with bits hi:lo replaced by field */
static inline uint64_t bits_set(uint64_t v, unsigned hi, unsigned lo, uint64_t field)
{
    return (v & ~BITS(hi, lo)) | ((field << lo) & BITS(hi, lo));
}

/* bit n of v */
static inline bool bit(uint64_t v, unsigned n)
{
    return v >> n & 1;
}

/* the low `width` bits (1 to 64) of v, sign-extended to 64 */
static inline uint64_t sign_extend(uint64_t v, unsigned width)
{
    return (uint64_t)((int64_t)(v << (64 - width)) >> (64 - width));
}

/* the low 8 * size bits of v; size 1, 2, 4 or 8 bytes */
static inline uint64_t zero_extend(uint64_t v, unsigned size)
{
    return v & (~UINT64_C(0) >> (64 - 8 * size));
}

static inline uint64_t align_down(uint64_t v, uint64_t to)
{
    return v & ~(to - 1);
}

static inline uint64_t align_up(uint64_t v, uint64_t to)
{
    return (v + to - 1) & ~(to - 1);
}

/* canonical for `width` linear-address bits (48 or 57) */
static inline bool is_canonical(uint64_t linear, unsigned width)
{
    return sign_extend(linear, width) == linear;
}
