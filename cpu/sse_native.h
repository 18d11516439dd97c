/* SSE and SSE2 floating-point arithmetic on whole registers, exact in value, NaN choice and flags
 * under the native MXCSR.
 *
 * On x86-64 these are the instructions themselves: the compiler may swap the operands of an
 * addition in C, which changes whose NaN survives, and may move it across a change of MXCSR; it can
 * do neither to a volatile asm. Elsewhere SIMDe's functions stand in. */
#pragma once
#include <simde/x86/sse2.h>
#include <stdbool.h>

/* clang-format off */
#define SSE_BINARY_OPS(X)                                                                \
    X(addps, add_ps, ps) X(addpd, add_pd, pd) X(addss, add_ss, ps) X(addsd, add_sd, pd)  \
    X(subps, sub_ps, ps) X(subpd, sub_pd, pd) X(subss, sub_ss, ps) X(subsd, sub_sd, pd)  \
    X(mulps, mul_ps, ps) X(mulpd, mul_pd, pd) X(mulss, mul_ss, ps) X(mulsd, mul_sd, pd)  \
    X(divps, div_ps, ps) X(divpd, div_pd, pd) X(divss, div_ss, ps) X(divsd, div_sd, pd)  \
    X(minps, min_ps, ps) X(minpd, min_pd, pd) X(minss, min_ss, ps) X(minsd, min_sd, pd)  \
    X(maxps, max_ps, ps) X(maxpd, max_pd, pd) X(maxss, max_ss, ps) X(maxsd, max_sd, pd)

#define SSE_UNARY_OPS(X) /* instruction, function, source, result */                     \
    X(sqrtps, sqrt_ps, ps, ps) X(sqrtpd, sqrt_pd, pd, pd)                                \
    X(cvtdq2ps, cvtepi32_ps, si128, ps) X(cvtdq2pd, cvtepi32_pd, si128, pd)              \
    X(cvtps2pd, cvtps_pd, ps, pd) X(cvtpd2ps, cvtpd_ps, pd, ps)                          \
    X(cvtps2dq, cvtps_epi32, ps, si128) X(cvttps2dq, cvttps_epi32, ps, si128)            \
    X(cvtpd2dq, cvtpd_epi32, pd, si128) X(cvttpd2dq, cvttpd_epi32, pd, si128)

#define SSE_FROM_INT_OPS(X) /* int32_t and int64_t */                                    \
    X(cvtsi2ssl, int32_t, cvtsi32_ss, ps) X(cvtsi2ssq, int64_t, cvtsi64_ss, ps)          \
    X(cvtsi2sdl, int32_t, cvtsi32_sd, pd) X(cvtsi2sdq, int64_t, cvtsi64_sd, pd)

#define SSE_TO_INT_OPS(X)                                                                \
    X(cvtss2sil, cvtss2si, int32_t, cvtss_si32, ps)                                      \
    X(cvtss2siq, cvtss2si, int64_t, cvtss_si64, ps)                                      \
    X(cvttss2sil, cvttss2si, int32_t, cvttss_si32, ps)                                   \
    X(cvttss2siq, cvttss2si, int64_t, cvttss_si64, ps)                                   \
    X(cvtsd2sil, cvtsd2si, int32_t, cvtsd_si32, pd)                                      \
    X(cvtsd2siq, cvtsd2si, int64_t, cvtsd_si64, pd)                                      \
    X(cvttsd2sil, cvttsd2si, int32_t, cvttsd_si32, pd)                                   \
    X(cvttsd2siq, cvttsd2si, int64_t, cvttsd_si64, pd)

/* comparisons by predicate: equal, less, less or equal, unordered, and their opposites */
#define SSE_COMPARE_OPS(X, t)                                                            \
    X(0, cmpeq_##t) X(1, cmplt_##t) X(2, cmple_##t) X(3, cmpunord_##t)                   \
    X(4, cmpneq_##t) X(5, cmpnlt_##t) X(6, cmpnle_##t) X(7, cmpord_##t)

struct sse_order { bool zf, pf, cf; }; /* of COMISS and its kin */

#if defined(__x86_64__) && !defined(SIMDE_NO_NATIVE)

#define X(insn, fn, t)                                                    \
    static inline simde__m128i sse_##insn(simde__m128i a, simde__m128i b) \
    {                                                                     \
        __asm__ volatile(#insn " %1, %0" : "+x"(a) : "x"(b));             \
        return a;                                                         \
    }
SSE_BINARY_OPS(X)
X(sqrtss, sqrt_ss, ps)
X(sqrtsd, sqrt_sd, pd)
X(cvtss2sd, cvtss_sd, ps)
X(cvtsd2ss, cvtsd_ss, pd)
#undef X

#define X(insn, fn, from, to)                                 \
    static inline simde__m128i sse_##insn(simde__m128i a)     \
    {                                                         \
        simde__m128i r;                                       \
        __asm__ volatile(#insn " %1, %0" : "=x"(r) : "x"(a)); \
        return r;                                             \
    }
SSE_UNARY_OPS(X)
#undef X

#define X(insn, type, fn, t)                                      \
    static inline simde__m128i sse_##insn(simde__m128i a, type v) \
    {                                                             \
        __asm__ volatile(#insn " %1, %0" : "+x"(a) : "r"(v));     \
        return a;                                                 \
    }
SSE_FROM_INT_OPS(X)
#undef X

#define X(name, insn, type, fn, t)                            \
    static inline type sse_##name(simde__m128i a)             \
    {                                                         \
        type r;                                               \
        __asm__ volatile(#insn " %1, %0" : "=r"(r) : "x"(a)); \
        return r;                                             \
    }
SSE_TO_INT_OPS(X)
#undef X

#define SSE_CASE_(n, insn) \
    case n: __asm__ volatile(insn " $" #n ", %1, %0" : "+x"(a) : "x"(b)); break;
#define SSE_COMPARE_(insn)                                                                  \
    static inline simde__m128i sse_##insn(simde__m128i a, simde__m128i b, unsigned how)     \
    {                                                                                       \
        switch (how & 7) {                                                                  \
            SSE_CASE_(0, #insn) SSE_CASE_(1, #insn) SSE_CASE_(2, #insn) SSE_CASE_(3, #insn) \
            SSE_CASE_(4, #insn) SSE_CASE_(5, #insn) SSE_CASE_(6, #insn) SSE_CASE_(7, #insn) \
        }                                                                                   \
        return a;                                                                           \
    }
SSE_COMPARE_(cmpps)
SSE_COMPARE_(cmppd)
SSE_COMPARE_(cmpss)
SSE_COMPARE_(cmpsd)

#define SSE_COMI_(insn)                                                       \
    static inline struct sse_order sse_##insn(simde__m128i a, simde__m128i b) \
    {                                                                         \
        struct sse_order o;                                                   \
        __asm__ volatile(#insn " %4, %3"                                      \
                         : "=@ccz"(o.zf), "=@ccp"(o.pf), "=@ccc"(o.cf)        \
                         : "x"(a), "x"(b));                                   \
        return o;                                                             \
    }
SSE_COMI_(comiss)
SSE_COMI_(comisd)
SSE_COMI_(ucomiss)
SSE_COMI_(ucomisd)

#else

#define SSE_FROM_ps(v) simde_mm_castsi128_ps(v)
#define SSE_FROM_pd(v) simde_mm_castsi128_pd(v)
#define SSE_FROM_si128(v) (v)
#define SSE_TO_ps(v) simde_mm_castps_si128(v)
#define SSE_TO_pd(v) simde_mm_castpd_si128(v)
#define SSE_TO_si128(v) (v)

#define X(insn, fn, t)                                                      \
    static inline simde__m128i sse_##insn(simde__m128i a, simde__m128i b)   \
    {                                                                       \
        return SSE_TO_##t(simde_mm_##fn(SSE_FROM_##t(a), SSE_FROM_##t(b))); \
    }
SSE_BINARY_OPS(X)
X(sqrtsd, sqrt_sd, pd)
#undef X
static inline simde__m128i sse_sqrtss(simde__m128i a, simde__m128i b)
{
    return SSE_TO_ps(simde_mm_move_ss(SSE_FROM_ps(a), simde_mm_sqrt_ss(SSE_FROM_ps(b))));
}
static inline simde__m128i sse_cvtss2sd(simde__m128i a, simde__m128i b)
{
    return SSE_TO_pd(simde_mm_cvtss_sd(SSE_FROM_pd(a), SSE_FROM_ps(b)));
}
static inline simde__m128i sse_cvtsd2ss(simde__m128i a, simde__m128i b)
{
    return SSE_TO_ps(simde_mm_cvtsd_ss(SSE_FROM_ps(a), SSE_FROM_pd(b)));
}

#define X(insn, fn, from, to)                                  \
    static inline simde__m128i sse_##insn(simde__m128i a)      \
    {                                                          \
        return SSE_TO_##to(simde_mm_##fn(SSE_FROM_##from(a))); \
    }
SSE_UNARY_OPS(X)
#undef X

#define X(insn, type, fn, t)                                      \
    static inline simde__m128i sse_##insn(simde__m128i a, type v) \
    {                                                             \
        return SSE_TO_##t(simde_mm_##fn(SSE_FROM_##t(a), v));     \
    }
SSE_FROM_INT_OPS(X)
#undef X

#define X(name, insn, type, fn, t)                \
    static inline type sse_##name(simde__m128i a) \
    {                                             \
        return simde_mm_##fn(SSE_FROM_##t(a));    \
    }
SSE_TO_INT_OPS(X)
#undef X

#define SSE_COMPARE_(insn, lanes, t)                                                    \
    static inline simde__m128i sse_##insn(simde__m128i a, simde__m128i b, unsigned how) \
    {                                                                                   \
        switch (how & 7) {                                                              \
            SSE_COMPARE_OPS(SSE_CASE_##t, lanes)                                        \
        }                                                                               \
        return a;                                                                       \
    }
#define SSE_CASE_ps(n, fn) \
    case n:                \
        return SSE_TO_ps(simde_mm_##fn(SSE_FROM_ps(a), SSE_FROM_ps(b)));
#define SSE_CASE_pd(n, fn) \
    case n:                \
        return SSE_TO_pd(simde_mm_##fn(SSE_FROM_pd(a), SSE_FROM_pd(b)));
SSE_COMPARE_(cmpps, ps, ps)
SSE_COMPARE_(cmppd, pd, pd)
SSE_COMPARE_(cmpss, ss, ps)
SSE_COMPARE_(cmpsd, sd, pd)

#define SSE_COMI_(insn, get, t)                                                      \
    static inline struct sse_order sse_##insn(simde__m128i a, simde__m128i b)        \
    {                                                                                \
        t x, y;                                                                      \
        simde_memcpy(&x, &a, sizeof(x));                                             \
        simde_memcpy(&y, &b, sizeof(y));                                             \
        bool unordered = __builtin_isunordered(x, y);                                \
        struct sse_order o = { unordered || x == y, unordered, unordered || x < y }; \
        return o;                                                                    \
    }
SSE_COMI_(comiss, ss, float)
SSE_COMI_(comisd, sd, double)
SSE_COMI_(ucomiss, ss, float)
SSE_COMI_(ucomisd, sd, double)

#endif
/* clang-format on */
