/* SSE and SSE2 arithmetic on single and double precision: the operations that the native processor
 * does under the guest's MXCSR (cpu/sse_native.h), comparisons, horizontal sums.
 * [SDM 1 "Programming with Intel SSE", "Programming with Intel SSE2", "Programming with Intel
 * SSE3, SSSE3, Intel SSE4, and Intel AES-NI"] */
#include "cpu/sse.h"
#include "cpu/sse_native.h"

/* dst = dst op r/m; load: which part of the r/m operand */
#define SSE_ARITH(name, load, lanes, op)        \
    EXEC_BODY_RM(name)                          \
    {                                           \
        sse_check(cpu);                         \
        simde__m128i b = load(cpu, in, mem);    \
        simde__m128i a = xmm_get(cpu, in->reg); \
        sse_begin(cpu);                         \
        simde__m128i r = sse_##name(a, b);      \
        sse_end_op(cpu, a, b, r, lanes, op);    \
        xmm_set(cpu, in->reg, r);               \
    }                                           \
    EXEC_RM(name)
#define SSE_ARITH_ALL(name, op)               \
    SSE_ARITH(name##ps, sse_rm, SSE_PS, op)   \
    SSE_ARITH(name##pd, sse_rm, SSE_PD, op)   \
    SSE_ARITH(name##ss, sse_rm32, SSE_SS, op) \
    SSE_ARITH(name##sd, sse_rm64, SSE_SD, op)
#define SSE_SELECT_ALL(name)                           \
    SSE_ARITH(name##ps, sse_rm, SSE_NONE, SSE_OTHER)   \
    SSE_ARITH(name##pd, sse_rm, SSE_NONE, SSE_OTHER)   \
    SSE_ARITH(name##ss, sse_rm32, SSE_NONE, SSE_OTHER) \
    SSE_ARITH(name##sd, sse_rm64, SSE_NONE, SSE_OTHER)
SSE_ARITH_ALL(add, SSE_ADD)
SSE_ARITH_ALL(sub, SSE_SUB)
SSE_ARITH_ALL(mul, SSE_MUL)
SSE_ARITH_ALL(div, SSE_DIV)
SSE_SELECT_ALL(min)
SSE_SELECT_ALL(max)
SSE_ARITH(sqrtss, sse_rm32, SSE_NONE, SSE_OTHER)
SSE_ARITH(sqrtsd, sse_rm64, SSE_NONE, SSE_OTHER)

#define SSE_SQRT(name)                         \
    EXEC_BODY_RM(name)                         \
    {                                          \
        sse_check(cpu);                        \
        simde__m128i b = sse_rm(cpu, in, mem); \
        sse_begin(cpu);                        \
        simde__m128i r = sse_##name(b);        \
        sse_end(cpu);                          \
        xmm_set(cpu, in->reg, r);              \
    }                                          \
    EXEC_RM(name)
SSE_SQRT(sqrtps)
SSE_SQRT(sqrtpd)

/* ---- comparison ---- */

#define SSE_COMPARE(name, load)                                                   \
    EXEC_BODY_RM(name)                                                            \
    {                                                                             \
        sse_check(cpu);                                                           \
        simde__m128i b = load(cpu, in, mem);                                      \
        sse_begin(cpu);                                                           \
        simde__m128i r = sse_##name(xmm_get(cpu, in->reg), b, (unsigned)in->imm); \
        sse_end(cpu);                                                             \
        xmm_set(cpu, in->reg, r);                                                 \
    }                                                                             \
    EXEC_RM(name)
SSE_COMPARE(cmpps, sse_rm)
SSE_COMPARE(cmppd, sse_rm)
SSE_COMPARE(cmpss, sse_rm32)
SSE_COMPARE(cmpsd, sse_rm64)

/* ZF PF CF; OF SF AF are 0 */
#define SSE_COMI(name, load)                                                               \
    EXEC_BODY_RM(name)                                                                     \
    {                                                                                      \
        sse_check(cpu);                                                                    \
        simde__m128i b = load(cpu, in, mem);                                               \
        sse_begin(cpu);                                                                    \
        struct sse_order o = sse_##name(xmm_get(cpu, in->reg), b);                         \
        sse_end(cpu);                                                                      \
        flags_set(&cpu->flags, (o.zf ? FL_Z : 0) | (o.pf ? FL_P : 0) | (o.cf ? FL_C : 0)); \
    }                                                                                      \
    EXEC_RM(name)
SSE_COMI(comiss, sse_rm32)
SSE_COMI(comisd, sse_rm64)
SSE_COMI(ucomiss, sse_rm32)
SSE_COMI(ucomisd, sse_rm64)

/* ---- SSE3: alternating and horizontal, made of the operations above ---- */

static inline simde__m128i sse_even32(simde__m128i a, simde__m128i b) /* a0 a2 b0 b2 */
{
    return simde_mm_castps_si128(
        simde_mm_shuffle_ps(simde_mm_castsi128_ps(a), simde_mm_castsi128_ps(b), 0x88));
}
static inline simde__m128i sse_odd32(simde__m128i a, simde__m128i b) /* a1 a3 b1 b3 */
{
    return simde_mm_castps_si128(
        simde_mm_shuffle_ps(simde_mm_castsi128_ps(a), simde_mm_castsi128_ps(b), 0xdd));
}
#define SSE_HORIZONTAL(name, function, even, odd, lanes, op)              \
    EXEC_BODY_RM(name)                                                    \
    {                                                                     \
        sse_check(cpu);                                                   \
        simde__m128i a = xmm_get(cpu, in->reg), b = sse_rm(cpu, in, mem); \
        simde__m128i x = even(a, b), y = odd(a, b);                       \
        sse_begin(cpu);                                                   \
        simde__m128i r = function(x, y);                                  \
        sse_end_op(cpu, x, y, r, lanes, op);                              \
        xmm_set(cpu, in->reg, r);                                         \
    }                                                                     \
    EXEC_RM(name)
SSE_HORIZONTAL(haddps, sse_addps, sse_even32, sse_odd32, SSE_PS, SSE_ADD)
SSE_HORIZONTAL(hsubps, sse_subps, sse_even32, sse_odd32, SSE_PS, SSE_SUB)
SSE_HORIZONTAL(haddpd, sse_addpd, simde_mm_unpacklo_epi64, simde_mm_unpackhi_epi64, SSE_PD, SSE_ADD)
SSE_HORIZONTAL(hsubpd, sse_subpd, simde_mm_unpacklo_epi64, simde_mm_unpackhi_epi64, SSE_PD, SSE_SUB)

/* even lanes subtracted, odd lanes added; zeros elsewhere raise nothing */
#define SSE_ADDSUB(name, sub, add, even, lanes)                                               \
    EXEC_BODY_RM(name)                                                                        \
    {                                                                                         \
        sse_check(cpu);                                                                       \
        simde__m128i a = xmm_get(cpu, in->reg), b = sse_rm(cpu, in, mem);                     \
        simde__m128i mask = even;                                                             \
        sse_begin(cpu);                                                                       \
        simde__m128i s = sub(simde_mm_and_si128(a, mask), simde_mm_and_si128(b, mask));       \
        simde__m128i t = add(simde_mm_andnot_si128(mask, a), simde_mm_andnot_si128(mask, b)); \
        simde__m128i r = simde_mm_or_si128(simde_mm_and_si128(s, mask),                       \
                                           simde_mm_andnot_si128(mask, t));                   \
        sse_end_op(cpu, a, b, r, lanes, SSE_ADDSUB);                                          \
        xmm_set(cpu, in->reg, r);                                                             \
    }                                                                                         \
    EXEC_RM(name)
SSE_ADDSUB(addsubps, sse_subps, sse_addps, simde_mm_set_epi32(0, -1, 0, -1), SSE_PS)
SSE_ADDSUB(addsubpd, sse_subpd, sse_addpd, simde_mm_set_epi64x(0, -1), SSE_PD)

/* ---- SSE4.1: dot products ---- */

/* imm 7:4 chooses the products, 3:0 where the sum goes */
static inline simde__m128i sse_choose32(unsigned imm)
{
    return simde_mm_set_epi32(-(int)(imm >> 3 & 1), -(int)(imm >> 2 & 1), -(int)(imm >> 1 & 1),
                              -(int)(imm & 1));
}

EXEC_BODY_RM(dpps)
{
    sse_check(cpu);
    simde__m128i factors = sse_choose32((unsigned)in->imm >> 4);
    simde__m128i b = simde_mm_and_si128(sse_rm(cpu, in, mem), factors);
    simde__m128i a = simde_mm_and_si128(xmm_get(cpu, in->reg), factors);
    simde__m128i where = sse_choose32((unsigned)in->imm);

    sse_begin(cpu);
    simde__m128i p = sse_mulps(a, b);
    sse_end_op(cpu, a, b, p, SSE_PS, SSE_MUL);
    simde__m128i q = simde_mm_shuffle_epi32(p, 0xb1); /* lanes 0 + 1 and 2 + 3, then those */
    sse_begin(cpu);
    simde__m128i s = sse_addps(p, q);
    sse_end_op(cpu, p, q, s, SSE_PS, SSE_ADD);
    simde__m128i t = simde_mm_shuffle_epi32(s, 0x4e);
    sse_begin(cpu);
    simde__m128i r = sse_addps(s, t);
    sse_end_op(cpu, s, t, r, SSE_PS, SSE_ADD);
    r = simde_mm_shuffle_epi32(r, 0);
    xmm_set(cpu, in->reg, simde_mm_and_si128(r, where));
}
EXEC_RM(dpps)

static inline simde__m128i sse_choose64(unsigned imm)
{
    return simde_mm_set_epi64x(-(int64_t)(imm >> 1 & 1), -(int64_t)(imm & 1));
}

EXEC_BODY_RM(dppd)
{
    sse_check(cpu);
    simde__m128i factors = sse_choose64((unsigned)in->imm >> 4);
    simde__m128i b = simde_mm_and_si128(sse_rm(cpu, in, mem), factors);
    simde__m128i a = simde_mm_and_si128(xmm_get(cpu, in->reg), factors);
    simde__m128i where = sse_choose64((unsigned)in->imm);

    sse_begin(cpu);
    simde__m128i p = sse_mulpd(a, b);
    sse_end_op(cpu, a, b, p, SSE_PD, SSE_MUL);
    simde__m128i q = simde_mm_shuffle_epi32(p, 0x4e);
    sse_begin(cpu);
    simde__m128i s = sse_addpd(p, q);
    sse_end_op(cpu, p, q, s, SSE_PD, SSE_ADD);
    s = simde_mm_unpacklo_epi64(s, s);
    xmm_set(cpu, in->reg, simde_mm_and_si128(s, where));
}
EXEC_RM(dppd)
