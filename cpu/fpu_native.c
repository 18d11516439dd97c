/* Native MXCSR, and the slow path of SSE floating point while an exception is unmasked.
 * [SDM 1 "SSE and SSE2 SIMD Floating-Point Exceptions"] */
#include "cpu/fpu_native.h"

#include <simde/x86/sse.h>

#include "cpu/sse.h"

static void fpu_native_load(struct cpu *cpu)
{
    simde_mm_setcsr(MXCSR_MASKS | (cpu->fpu.mxcsr & (MXCSR_DAZ | MXCSR_RC | MXCSR_FTZ)));
}

void fpu_enter(struct cpu *cpu)
{
    fpu_native_load(cpu);
}

void fpu_leave(struct cpu *cpu)
{
    fpu_mxcsr(cpu);
    simde_mm_setcsr(MXCSR_RESET);
}

uint32_t fpu_mxcsr(struct cpu *cpu)
{
    if (fpu_all_masked(cpu))
        cpu->fpu.mxcsr |= simde_mm_getcsr() & MXCSR_FLAGS;
    return cpu->fpu.mxcsr;
}

void fpu_set_mxcsr(struct cpu *cpu, uint32_t v)
{
    cpu->fpu.mxcsr = v;
    fpu_native_load(cpu);
    cpu_update_key(cpu);
}

void sse_begin_unmasked(struct cpu *cpu)
{
    uint32_t control = cpu->fpu.mxcsr & (MXCSR_DAZ | MXCSR_RC | MXCSR_FTZ);

    /* FTZ is the masked response to underflow */
    if (!(cpu->fpu.mxcsr >> MXCSR_MASK_SHIFT & FLOAT80_U))
        control &= ~(uint32_t)MXCSR_FTZ;
    simde_mm_setcsr(MXCSR_MASKS | control);
}

void sse_raise_unmasked(struct cpu *cpu, uint32_t flags)
{
    uint32_t unmasked = flags & ~(cpu->fpu.mxcsr >> MXCSR_MASK_SHIFT) & MXCSR_FLAGS;
    uint32_t before = FLOAT80_I | FLOAT80_D | FLOAT80_Z;

    if (unmasked & before) /* the computation has not begun */
        flags &= before;
    cpu->fpu.mxcsr |= flags;
    if (unmasked)
        cpu_raise(cpu, cpu->cr4 & CR4_OSXMMEXCPT ? XM : UD);
}

/* does a lane of the result hold a denormal? */
static bool sse_tiny(union xmm x, enum sse_lanes lanes)
{
    for (unsigned i = 0; i < (lanes == SSE_PS ? 4 : lanes == SSE_SS ? 1 : 0); i++) {
        if ((x.u32[i] & 0x7f800000) == 0 && (x.u32[i] & 0x7fffff) != 0)
            return true;
    }
    for (unsigned i = 0; i < (lanes == SSE_PD ? 2 : lanes == SSE_SD ? 1 : 0); i++) {
        if ((x.u64[i] & UINT64_C(0x7ff) << 52) == 0 && x.u64[i] << 12 != 0)
            return true;
    }
    return false;
}

static struct float80 sse_widen(const struct cpu *cpu, const union xmm *x, unsigned i, bool wide)
{
    struct float80_env env = { 0 };
    struct float80 v = wide ? float80_from_float64(&env, x->u64[i])
                            : float80_from_float32(&env, x->u32[i]);

    return env.denormal && cpu->fpu.mxcsr & MXCSR_DAZ ? float80_zero(float80_sign(v)) : v;
}

/* Is a lane's result inexact? An unmasked overflow or underflow reports whether it is with unbounded
 * exponents, not the loss by denormalizing or saturating. The x87's wide exponents and narrow
 * precisions compute the former, narrowing the result under the guest's masks the latter. */
static bool sse_inexact_lane(const struct cpu *cpu, const union xmm *a, const union xmm *b,
                             unsigned i, enum sse_lanes lanes, enum sse_op op)
{
    bool wide = lanes == SSE_PD || lanes == SSE_SD;
    struct float80_env env = { .rounding = cpu->fpu.mxcsr >> 13 & 3,
                               .precision = wide ? 53 : 24,
                               .masks = FLOAT80_ALL };
    struct float80 x = sse_widen(cpu, a, i, op == SSE_NARROW || wide);
    struct float80 y = op == SSE_NARROW ? float80_zero(false) : sse_widen(cpu, b, i, wide);

    struct float80 r;
    switch (op) {
    case SSE_MUL: r = float80_mul(&env, x, y); break;
    case SSE_DIV: r = float80_div(&env, x, y); break;
    case SSE_SUB: r = float80_sub(&env, x, y); break;
    case SSE_ADDSUB: r = (i & 1 ? float80_add : float80_sub)(&env, x, y); break;
    default: r = float80_add(&env, x, y); break; /* narrowing: rounds x */
    }
    env.masks = cpu->fpu.mxcsr >> MXCSR_MASK_SHIFT & FLOAT80_ALL;
    bool flush = env.masks & FLOAT80_U && cpu->fpu.mxcsr & MXCSR_FTZ;
    if (flush) /* every tiny result is inexact then */
        env.masks &= (uint8_t)~FLOAT80_U;
    if (wide)
        float80_to_float64(&env, r);
    else
        float80_to_float32(&env, r);
    return env.flags & (FLOAT80_P | (flush ? FLOAT80_U : 0));
}

static bool sse_inexact(const struct cpu *cpu, union xmm a, union xmm b, enum sse_lanes lanes,
                        enum sse_op op)
{
    unsigned count = lanes == SSE_PS ? (op == SSE_NARROW ? 2 : 4) : lanes == SSE_PD ? 2 : 1;
    bool inexact = false;

    for (unsigned i = 0; i < count; i++)
        inexact |= sse_inexact_lane(cpu, &a, &b, i, lanes, op);
    return inexact;
}

void sse_end_unmasked(struct cpu *cpu, simde__m128i a, simde__m128i b, simde__m128i result,
                      enum sse_lanes lanes, enum sse_op op)
{
    uint32_t flags = simde_mm_getcsr() & MXCSR_FLAGS;
    uint32_t unmasked = ~(cpu->fpu.mxcsr >> MXCSR_MASK_SHIFT);

    /* a tiny result that is exact raises the exception only when it is unmasked */
    if ((unmasked & FLOAT80_U) && sse_tiny(xmm_from(result), lanes))
        flags |= FLOAT80_U;
    if ((flags & unmasked & (FLOAT80_O | FLOAT80_U)) && op != SSE_OTHER &&
        !sse_inexact(cpu, xmm_from(a), xmm_from(b), lanes, op))
        flags &= ~(uint32_t)FLOAT80_P;
    sse_raise_unmasked(cpu, flags);
}
