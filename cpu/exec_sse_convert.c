/* SSE conversions between integers, single and double precision, MMX registers included.
 * [SDM 1 "SSE2 Conversion Instructions", "SSE Conversion Instructions"] */
#include "cpu/sse.h"
#include "cpu/sse_native.h"

/* ---- packed, and scalar between the precisions ---- */

#define SSE_CONVERT(name, load, value, lanes)                                        \
    EXEC_BODY_RM(name)                                                               \
    {                                                                                \
        sse_check(cpu);                                                              \
        simde__m128i b = load(cpu, in, mem);                                         \
        sse_begin(cpu);                                                              \
        simde__m128i r = value;                                                      \
        sse_end_op(cpu, b, b, r, lanes, lanes == SSE_NONE ? SSE_OTHER : SSE_NARROW); \
        xmm_set(cpu, in->reg, r);                                                    \
    }                                                                                \
    EXEC_RM(name)
SSE_CONVERT(cvtdq2ps, sse_rm, sse_cvtdq2ps(b), SSE_NONE)
SSE_CONVERT(cvtdq2pd, sse_rm64, sse_cvtdq2pd(b), SSE_NONE)
SSE_CONVERT(cvtps2dq, sse_rm, sse_cvtps2dq(b), SSE_NONE)
SSE_CONVERT(cvttps2dq, sse_rm, sse_cvttps2dq(b), SSE_NONE)
SSE_CONVERT(cvtpd2dq, sse_rm, sse_cvtpd2dq(b), SSE_NONE)
SSE_CONVERT(cvttpd2dq, sse_rm, sse_cvttpd2dq(b), SSE_NONE)
SSE_CONVERT(cvtps2pd, sse_rm64, sse_cvtps2pd(b), SSE_NONE)
SSE_CONVERT(cvtpd2ps, sse_rm, sse_cvtpd2ps(b), SSE_PS)
SSE_CONVERT(cvtss2sd, sse_rm32, sse_cvtss2sd(xmm_get(cpu, in->reg), b), SSE_NONE)
SSE_CONVERT(cvtsd2ss, sse_rm64, sse_cvtsd2ss(xmm_get(cpu, in->reg), b), SSE_SS)

/* ---- general registers; in->size 3 is a quadword ---- */

#define SSE_FROM_INT(name, op)                                                           \
    EXEC_BODY_RM(name)                                                                   \
    {                                                                                    \
        bool wide = in->size == 3;                                                       \
        sse_check(cpu);                                                                  \
        uint64_t v = wide ? rm_read(cpu, in, 8, mem) : rm_read(cpu, in, 4, mem);         \
        simde__m128i a = xmm_get(cpu, in->reg);                                          \
        sse_begin(cpu);                                                                  \
        simde__m128i r = wide ? sse_##op##q(a, (int64_t)v) : sse_##op##l(a, (int32_t)v); \
        sse_end(cpu);                                                                    \
        xmm_set(cpu, in->reg, r);                                                        \
    }                                                                                    \
    EXEC_RM(name)
SSE_FROM_INT(cvtsi2ss, cvtsi2ss)
SSE_FROM_INT(cvtsi2sd, cvtsi2sd)

#define SSE_TO_INT(name, load)                                                                \
    EXEC_BODY_RM(name)                                                                        \
    {                                                                                         \
        sse_check(cpu);                                                                       \
        simde__m128i b = load(cpu, in, mem);                                                  \
        sse_begin(cpu);                                                                       \
        uint64_t v = in->size == 3 ? (uint64_t)sse_##name##q(b) : (uint32_t)sse_##name##l(b); \
        sse_end(cpu);                                                                         \
        cpu->r[in->reg] = v;                                                                  \
    }                                                                                         \
    EXEC_RM(name)
SSE_TO_INT(cvtss2si, sse_rm32)
SSE_TO_INT(cvttss2si, sse_rm32)
SSE_TO_INT(cvtsd2si, sse_rm64)
SSE_TO_INT(cvttsd2si, sse_rm64)

/* ---- MMX registers: an x87 exception waits to be handled first, then the transition ---- */

EXEC_BODY_RM(cvtpi2ps)
{
    sse_check(cpu);
    mmx_check(cpu);
    simde__m128i b = sse_low64(mmx_rm(cpu, in, mem));
    sse_begin(cpu);
    simde__m128i r = sse_cvtdq2ps(b);
    sse_end(cpu);
    mmx_enter(cpu);
    cpu->fpu.xmm[in->reg].u64[0] = sse_to64(r);
}
EXEC_RM(cvtpi2ps)

EXEC_BODY_RM(cvtpi2pd) /* with a memory operand there is no transition, and it is always exact */
{
    sse_check(cpu);
    if (!mem)
        mmx_check(cpu);
    simde__m128i b = sse_low64(mmx_rm(cpu, in, mem));
    if (!mem)
        mmx_enter(cpu);
    xmm_set(cpu, in->reg, sse_cvtdq2pd(b));
}
EXEC_RM(cvtpi2pd)

#define SSE_TO_MMX(name, load, op)           \
    EXEC_BODY_RM(name)                       \
    {                                        \
        sse_check(cpu);                      \
        mmx_check(cpu);                      \
        simde__m128i b = load(cpu, in, mem); \
        sse_begin(cpu);                      \
        simde__m128i r = op(b);              \
        sse_end(cpu);                        \
        mmx_enter(cpu);                      \
        mmx_set(cpu, in->reg, sse_to64(r));  \
    }                                        \
    EXEC_RM(name)
SSE_TO_MMX(cvtps2pi, sse_rm64, sse_cvtps2dq)
SSE_TO_MMX(cvttps2pi, sse_rm64, sse_cvttps2dq)
SSE_TO_MMX(cvtpd2pi, sse_rm, sse_cvtpd2dq)
SSE_TO_MMX(cvttpd2pi, sse_rm, sse_cvttpd2dq)
