/* SSE operations that are done in integers, so that they are the same on every native machine:
 * ROUNDPS and its kin, and the approximations RCPPS and RSQRTPS.
 *
 * The approximations are 1/x and 1/sqrt(x) rounded to 12 bits of fraction (error below 2^-12.9; the
 * manual allows 1.5 * 2^-12); processors differ in them. They raise nothing, take denormals as
 * zeros and flush tiny results. [SDM 2B "ROUNDPS", "RCPPS", "RSQRTPS"] */
#include "cpu/sse.h"

/* ---- rounding to an integer ---- */

/* A number with `fraction` bits of fraction in `width` bits. Denormals: DAZ takes them as zeros;
 * else they round like other small numbers, without an exception of their own. */
static uint64_t sse_round(uint64_t v, unsigned fraction, unsigned width, unsigned rounding,
                          bool daz, uint32_t *flags)
{
    uint64_t sign = v & BIT(width - 1), magnitude = v - sign;
    unsigned bias = (1u << (width - fraction - 2)) - 1;
    unsigned e = (unsigned)(magnitude >> fraction);
    uint64_t infinity = (uint64_t)(2 * bias + 1) << fraction;
    bool inexact, up;

    if (magnitude > infinity) { /* NaN */
        if (!bit(v, fraction - 1))
            *flags |= FLOAT80_I;
        return v | BIT(fraction - 1);
    }
    if (e >= bias + fraction || magnitude == 0)
        return v;
    if (e == 0 && daz)
        return sign;
    if (e < bias) { /* below 1: 0 or 1 */
        uint64_t rest = magnitude == (uint64_t)(bias - 1) << fraction ? BIT(63) /* a half */
                        : e == bias - 1                               ? BIT(63) | 1
                                                                      : 1;
        uint64_t r = float80_round_bits(0, rest, 0, rounding, sign != 0, &inexact, &up);

        *flags |= FLOAT80_P;
        return sign | (r ? (uint64_t)bias << fraction : 0);
    }
    /* the carry of rounding up goes into the exponent, as it should */
    uint64_t r = float80_round_bits(magnitude, 0, fraction - (e - bias), rounding, sign != 0,
                                    &inexact, &up);
    if (inexact)
        *flags |= FLOAT80_P;
    return sign | r;
}

/* imm 1:0 rounding mode, 2: MXCSR's instead, 3: no precision exception */
static simde__m128i sse_round_lanes(struct cpu *cpu, const struct insn *in, union xmm a,
                                    union xmm b, unsigned lanes, bool wide)
{
    uint32_t mxcsr = cpu->fpu.mxcsr;
    unsigned rounding = in->imm & 4 ? mxcsr >> 13 & 3 : in->imm & 3;
    bool daz = mxcsr & MXCSR_DAZ;
    uint32_t flags = 0;

    for (unsigned i = 0; i < lanes; i++) {
        if (wide)
            a.u64[i] = sse_round(b.u64[i], 52, 64, rounding, daz, &flags);
        else
            a.u32[i] = (uint32_t)sse_round(b.u32[i], 23, 32, rounding, daz, &flags);
    }
    if (in->imm & 8)
        flags &= ~(uint32_t)FLOAT80_P;
    sse_raise(cpu, flags);
    return xmm_to(a);
}

#define SSE_ROUND(name, load, lanes, wide)                                                      \
    EXEC_BODY_RM(name)                                                                          \
    {                                                                                           \
        sse_check(cpu);                                                                         \
        union xmm b = xmm_from(load(cpu, in, mem));                                             \
        xmm_set(cpu, in->reg, sse_round_lanes(cpu, in, cpu->fpu.xmm[in->reg], b, lanes, wide)); \
    }                                                                                           \
    EXEC_RM(name)
SSE_ROUND(roundps, sse_rm, 4, false)
SSE_ROUND(roundpd, sse_rm, 2, true)
SSE_ROUND(roundss, sse_rm32, 1, false)
SSE_ROUND(roundsd, sse_rm64, 1, true)

/* ---- approximations ---- */

enum { SSE_EXP = 0x7f800000, SSE_QUIET = 0x400000 };
#define SSE_INDEFINITE 0xffc00000u

/* round a significand with `extra` bits below its 12 bits of fraction, and put it together */
static uint32_t sse_approximation(uint32_t sign, int exponent, uint64_t significand, unsigned extra)
{
    uint64_t r = (significand + (BIT(extra) >> 1)) >> extra; /* 1000H to 2000H */

    if (exponent < 1 && !(exponent == 0 && r == 0x2000))
        return sign;
    return sign | (((uint32_t)exponent << 23) + ((uint32_t)(r - 0x1000) << 11));
}

static uint32_t sse_reciprocal(uint32_t v)
{
    uint32_t sign = v & 0x80000000, magnitude = v & 0x7fffffff;
    int e = (int)(magnitude >> 23);
    uint64_t significand = (magnitude & 0x7fffff) | 0x800000;

    if (magnitude > SSE_EXP)
        return v | SSE_QUIET;
    if (magnitude == SSE_EXP)
        return sign;
    if (e == 0)
        return sign | SSE_EXP;
    if (significand == 0x800000)
        return sse_approximation(sign, 254 - e, 0x1000, 0);
    return sse_approximation(sign, 253 - e, BIT(50) / significand, 14); /* 2^26 to 2^27 */
}

static uint64_t sse_isqrt(uint64_t n)
{
    uint64_t root = 0;

    for (int i = 31; i >= 0; i--) {
        uint64_t next = root | BIT(i);

        if (next * next <= n)
            root = next;
    }
    return root;
}

static uint32_t sse_reciprocal_root(uint32_t v)
{
    uint32_t sign = v & 0x80000000, magnitude = v & 0x7fffffff;
    int e = (int)(magnitude >> 23);
    uint64_t significand = (magnitude & 0x7fffff) | 0x800000;

    if (magnitude > SSE_EXP)
        return v | SSE_QUIET;
    if (e == 0)
        return sign | SSE_EXP;
    if (sign)
        return SSE_INDEFINITE;
    if (magnitude == SSE_EXP)
        return 0;
    /* x = m * 2^k with k even and m in [1, 4): 1/sqrt(x) = 1/sqrt(m) * 2^(-k/2), in (1/2, 1] */
    int k = e - 127;
    if (k & 1) {
        significand <<= 1;
        k--;
    }
    if (significand == 0x800000)
        return sse_approximation(0, 127 - k / 2, 0x1000, 0);
    /* sqrt(2^63 / m) with m scaled by 2^23: 2^20 / sqrt(m / 2^23), in (2^19, 2^20) */
    return sse_approximation(0, 126 - k / 2, sse_isqrt(BIT(63) / significand), 7);
}

#define SSE_APPROXIMATE(name, load, function, lanes)           \
    EXEC_BODY_RM(name)                                         \
    {                                                          \
        sse_check(cpu);                                        \
        union xmm b = xmm_from(load(cpu, in, mem));            \
        for (unsigned i = 0; i < lanes; i++)                   \
            cpu->fpu.xmm[in->reg].u32[i] = function(b.u32[i]); \
    }                                                          \
    EXEC_RM(name)
SSE_APPROXIMATE(rcpps, sse_rm, sse_reciprocal, 4)
SSE_APPROXIMATE(rcpss, sse_rm32, sse_reciprocal, 1)
SSE_APPROXIMATE(rsqrtps, sse_rm, sse_reciprocal_root, 4)
SSE_APPROXIMATE(rsqrtss, sse_rm32, sse_reciprocal_root, 1)
