/* x87 transcendental instructions: F2XM1, FYL2X, FYL2XP1, FPTAN, FPATAN, FSIN, FCOS, FSINCOS.
 * Special values are the manual's tables; the values between come from the C library's long double
 * functions (error about 1 ulp), after the x87's own reduction of the argument.
 * [SDM 1 "Transcendental Instruction Accuracy"], [SDM 2A, the instructions' pages] */
#include <math.h>

#include <simde/x86/sse.h>

#include "cpu/fpu_native.h"
#include "cpu/x87.h"

/* ---- to the C library and back ---- */

typedef long double x87_libm(long double x);
__extension__ typedef unsigned __int128 x87_u128;

/* The library may touch MXCSR, which is the guest's while the processor runs. */
static long double x87_call(x87_libm *function, long double x)
{
    uint32_t mxcsr = simde_mm_getcsr();

    simde_mm_setcsr(MXCSR_RESET);
    long double r = function(x);
    simde_mm_setcsr(mxcsr);
    return r;
}

/* v * (c + c_low) as a sum of two; c has 32 significant bits, so that c times half of v is exact */
static long double x87_product(long double v, long double c, long double c_low, long double *low)
{
    int e;
    long double m = frexpl(v, &e);
    long double top = ldexpl((long double)(int64_t)ldexpl(m, 32), e - 32);
    long double rest = (v - top) * c + v * c_low;
    long double high = top * c + rest;

    *low = (top * c - high) + rest;
    return high;
}

static long double x87_to_native(struct float80 a)
{
    int e = (int)float80_exponent(a);

    return (float80_sign(a) ? -1 : 1) *
           ldexpl((long double)a.significand, (e ? e : 1) - FLOAT80_BIAS - 63);
}

/* round to nearest; a tiny result raises #U. v is finite. */
static struct float80 x87_from_native(struct float80_env *env, long double v)
{
    struct float80_env nearest = *env;
    int e;

    if (v == 0)
        return float80_zero(signbit(v) != 0);
    long double m = frexpl(fabsl(v), &e); /* in [1/2, 1) */
    long double scaled = ldexpl(m, 64);
    uint64_t significand = (uint64_t)scaled;
    /* where long double is wider: the bits below */
    uint64_t rest = (uint64_t)ldexpl(scaled - (long double)significand, 64);

    nearest.rounding = FLOAT80_NEAREST;
    struct float80 r = float80_pack(&nearest, signbit(v) != 0, e + FLOAT80_BIAS - 1, significand,
                                    rest);
    env->flags |= nearest.flags;
    env->up = nearest.up;
    return r;
}

/* the function's value is never exact but where the caller knows; a denormal result is tiny */
static struct float80 x87_inexact(struct float80_env *env, long double v)
{
    struct float80 r = x87_from_native(env, v);

    env->flags |= FLOAT80_P;
    if (float80_classify(r) == FLOAT80_DENORMAL || float80_classify(r) == FLOAT80_ZERO)
        env->flags |= FLOAT80_U;
    return r;
}

/* ---- values ---- */

/* 2^x - 1 for x in [-1, 1] */
static struct float80 x87_value_f2xm1(struct float80_env *env, struct float80 a)
{
    struct float80 result;

    if (float80_nan_operand(env, a, &result))
        return result;
    if (float80_classify(a) == FLOAT80_ZERO || !float80_denormal(env, a))
        return a;
    if (float80_classify(a) == FLOAT80_INFINITY)
        return float80_sign(a) ? float80_make(true, FLOAT80_BIAS, BIT(63)) : a;
    long double x = x87_to_native(a);
    if (x == 1)
        return float80_make(false, FLOAT80_BIAS, BIT(63));
    if (x == -1)
        return float80_make(true, FLOAT80_BIAS - 1, BIT(63));
    if (fabsl(x) > 1) /* undefined: processors differ; the operand stays */
        return a;
    /* x * ln 2 in two parts, so that the rounding of the product does not show */
    long double low, y = x87_product(x, 0xb.17217f7p-4L, 0xd.1cf79abc9e3b398p-36L, &low);
    long double r = x87_call(expm1l, y);
    return x87_inexact(env, r + low * (r + 1));
}

/* y * log2(x), special values by [SDM 2A "FYL2X"] */
static struct float80 x87_value_fyl2x(struct float80_env *env, struct float80 x, struct float80 y)
{
    enum float80_class cx = float80_classify(x), cy = float80_classify(y);
    struct float80 result;

    if (float80_nan_operands(env, x, y, &result))
        return result;
    if (float80_sign(x) && cx != FLOAT80_ZERO)
        return float80_invalid(env);
    if (cx == FLOAT80_ZERO) {
        if (cy == FLOAT80_ZERO)
            return float80_invalid(env);
        if (cy != FLOAT80_INFINITY)
            env->flags |= FLOAT80_Z;
        return float80_infinity(!float80_sign(y));
    }
    if (cx == FLOAT80_INFINITY && cy == FLOAT80_ZERO)
        return float80_invalid(env);
    bool one = cx == FLOAT80_NORMAL && float80_exponent(x) == FLOAT80_BIAS &&
               x.significand == BIT(63);
    if (one && cy == FLOAT80_INFINITY)
        return float80_invalid(env);
    if (!float80_denormal(env, x) || !float80_denormal(env, y))
        return x;
    bool below_one = float80_exponent(x) < FLOAT80_BIAS;
    if (cx == FLOAT80_INFINITY || cy == FLOAT80_INFINITY)
        return float80_infinity(float80_sign(y) != below_one);
    if (cy == FLOAT80_ZERO || one)
        return float80_zero(float80_sign(y) != below_one);
    struct float80_env nearest = { .masks = FLOAT80_ALL, .precision = 64 };
    struct float80 log = x87_from_native(&nearest, x87_call(log2l, x87_to_native(x)));
    bool power = x.significand == BIT(63); /* of two: the logarithm is exact */
    env->precision = 64;
    result = float80_mul(env, y, log);
    env->flags |= power ? 0 : FLOAT80_P;
    return result;
}

/* y * log2(x + 1), for small x; special values by [SDM 2A "FYL2XP1"] */
static struct float80 x87_value_fyl2xp1(struct float80_env *env, struct float80 x, struct float80 y)
{
    enum float80_class cx = float80_classify(x), cy = float80_classify(y);
    struct float80 result;

    if (float80_nan_operands(env, x, y, &result))
        return result;
    if (cx == FLOAT80_ZERO && cy == FLOAT80_INFINITY)
        return float80_invalid(env);
    if (cx == FLOAT80_INFINITY && (float80_sign(x) || cy == FLOAT80_ZERO))
        return float80_invalid(env);
    if (!float80_denormal(env, x) || !float80_denormal(env, y))
        return x;
    bool sign = float80_sign(x) != float80_sign(y);
    if (cx == FLOAT80_INFINITY || cy == FLOAT80_INFINITY)
        return float80_infinity(sign);
    if (cx == FLOAT80_ZERO || cy == FLOAT80_ZERO)
        return float80_zero(sign);
    /* a denormal logarithm would lose bits before the multiplication */
    int scale = float80_exponent(x) == 0 ? 128 : 0;
    long double v = ldexpl(x87_to_native(x), scale);
    if (v <= -1) /* undefined: the domain is 1 - sqrt(1/2) around 0 */
        return x;
    long double low,
        log = x87_product(x87_call(log1pl, v), 0xb.8aa3b29p-3L, 0x5.c17f0bbbe87fed0p-35L, &low);
    struct float80_env nearest = { .masks = FLOAT80_ALL, .precision = 64 };
    result = x87_from_native(&nearest, log + low);
    env->flags |= FLOAT80_P;
    if (scale == 0)
        return float80_mul(env, y, result);
    result = float80_mul(&nearest, y, result);
    return float80_scale(env, result, float80_from_int64(-scale));
}

/* arctan(y / x) with the quadrant of (x, y); [SDM 2A "FPATAN"] is atan2 of the C standard */
static struct float80 x87_value_fpatan(struct float80_env *env, struct float80 x, struct float80 y)
{
    enum float80_class cx = float80_classify(x), cy = float80_classify(y);
    struct float80 result;

    if (float80_nan_operands(env, x, y, &result))
        return result;
    if (!float80_denormal(env, x) || !float80_denormal(env, y))
        return x;
    bool to_zero = !float80_sign(x) &&
                   (cy == FLOAT80_ZERO || (cx == FLOAT80_INFINITY && cy != FLOAT80_INFINITY));
    if (to_zero)
        return float80_zero(float80_sign(y));
    long double nx = cx == FLOAT80_INFINITY ? (float80_sign(x) ? -INFINITY : INFINITY)
                                            : x87_to_native(x);
    long double ny = cy == FLOAT80_INFINITY ? (float80_sign(y) ? -INFINITY : INFINITY)
                                            : x87_to_native(y);
    return x87_inexact(env, atan2l(ny, nx));
}

/* ---- instructions with two operands: the result replaces ST(1), then the stack is popped ---- */

typedef struct float80 x87_function2(struct float80_env *env, struct float80 st0,
                                     struct float80 st1);

static void x87_two(struct cpu *cpu, const struct insn *in, x87_function2 *function)
{
    struct float80_env env = x87_env(cpu, false);
    struct float80 r = float80_indefinite();

    x87_check(cpu);
    x87_record(cpu, in);
    if (x87_empty(cpu, 0) || x87_empty(cpu, 1)) {
        if (!x87_stack_underflow(cpu))
            return;
    } else {
        r = function(&env, x87_get(cpu, 0), x87_get(cpu, 1));
        if (!x87_raise(cpu, &env))
            return;
    }
    x87_set(cpu, 1, r);
    x87_pop(cpu);
}

EXEC_BODY(x87_fyl2x)
{
    x87_two(cpu, in, x87_value_fyl2x);
}
EXEC(x87_fyl2x)
EXEC_BODY(x87_fyl2xp1)
{
    x87_two(cpu, in, x87_value_fyl2xp1);
}
EXEC(x87_fyl2xp1)
EXEC_BODY(x87_fpatan)
{
    x87_two(cpu, in, x87_value_fpatan);
}
EXEC(x87_fpatan)

EXEC_BODY(x87_f2xm1)
{
    struct float80_env env = x87_env(cpu, false);

    x87_check(cpu);
    x87_record(cpu, in);
    if (x87_empty(cpu, 0)) {
        if (x87_stack_underflow(cpu))
            x87_set(cpu, 0, float80_indefinite());
        return;
    }
    struct float80 r = x87_value_f2xm1(&env, x87_get(cpu, 0));
    if (x87_raise(cpu, &env))
        x87_set(cpu, 0, r);
}
EXEC(x87_f2xm1)

/* ---- trigonometry ---- */

enum x87_trig { X87_SIN, X87_COS, X87_TAN };

/* |a| = quadrant * pi / 2 + r + low, where pi has 66 bits [SDM 1 "Approximation of Pi"]: in units of
 * 2^-65 everything is an integer. |a| < 2^63. */
static unsigned x87_reduce(struct float80 a, long double *r, long double *low)
{
    const x87_u128 half_pi = (x87_u128)0x3 << 64 | UINT64_C(0x243f6a8885a308d3);
    int e = (int)float80_exponent(a) - FLOAT80_BIAS;

    *low = 0;
    if (e < -1) {
        *r = fabsl(x87_to_native(a));
        return 0;
    }
    x87_u128 x = (x87_u128)a.significand << (e + 2);
    x87_u128 rest = x % half_pi;
    unsigned quadrant = (unsigned)(x / half_pi & 3);
    bool negative = rest > half_pi / 2;
    if (negative) {
        rest = half_pi - rest;
        quadrant++;
    }
    /* 65 bits at most: the lowest apart */
    *r = ldexpl((long double)(uint64_t)(rest >> 1), -64);
    *low = ldexpl((long double)(unsigned)(rest & 1), -65);
    if (rest >> 64 == 0) {
        *r += *low;
        *low = 0;
    }
    if (negative) {
        *r = -*r;
        *low = -*low;
    }
    return quadrant & 3;
}

static struct float80 x87_value_trig(struct float80_env *env, enum x87_trig which, struct float80 a)
{
    long double r, low, v;

    if (float80_classify(a) == FLOAT80_ZERO)
        return which == X87_COS ? float80_make(false, FLOAT80_BIAS, BIT(63)) : a;
    unsigned quadrant = x87_reduce(a, &r, &low);
    long double s = x87_call(sinl, r), c = x87_call(cosl, r);
    long double sine = s + low * c, cosine = c - low * s;
    switch (which) {
    case X87_SIN: v = quadrant & 1 ? cosine : sine; break;
    case X87_COS: v = quadrant & 1 ? sine : cosine; break;
    default:
        v = x87_call(tanl, r) + low / (c * c);
        v = quadrant & 1 ? -1 / v : v;
        break;
    }
    bool negate = which == X87_SIN   ? (quadrant & 2) != 0
                  : which == X87_COS ? quadrant == 1 || quadrant == 2
                                     : false;
    if (which != X87_COS && float80_sign(a))
        negate = !negate;
    return x87_inexact(env, negate ? -v : v);
}

/* The operand: false if it decides by itself. A magnitude of 2^63 or more sets C2 and changes
 * nothing else. */
static bool x87_trig_operand(struct cpu *cpu, struct float80_env *env, struct float80 a,
                             struct float80 *result, bool *out_of_range)
{
    *out_of_range = false;
    if (float80_nan_operand(env, a, result))
        return false;
    if (float80_classify(a) == FLOAT80_INFINITY) {
        *result = float80_invalid(env);
        return false;
    }
    if (float80_exponent(a) >= FLOAT80_BIAS + 63) {
        *out_of_range = true;
        x87_raise(cpu, env);
        cpu->fpu.status |= X87_C2;
        return false;
    }
    *result = a;
    return float80_denormal(env, a);
}

static void x87_sin_or_cos(struct cpu *cpu, const struct insn *in, enum x87_trig which)
{
    struct float80_env env = x87_env(cpu, false);
    struct float80 a = x87_get(cpu, 0), r;
    bool out_of_range;

    x87_check(cpu);
    x87_record(cpu, in);
    cpu->fpu.status &= (uint16_t)~X87_C2;
    if (x87_empty(cpu, 0)) {
        if (x87_stack_underflow(cpu))
            x87_set(cpu, 0, float80_indefinite());
        return;
    }
    if (x87_trig_operand(cpu, &env, a, &r, &out_of_range))
        r = x87_value_trig(&env, which, a);
    if (out_of_range || !x87_raise(cpu, &env))
        return;
    x87_set(cpu, 0, r);
}
EXEC_BODY(x87_fsin)
{
    x87_sin_or_cos(cpu, in, X87_SIN);
}
EXEC(x87_fsin)
EXEC_BODY(x87_fcos)
{
    x87_sin_or_cos(cpu, in, X87_COS);
}
EXEC(x87_fcos)

/* FSINCOS and FPTAN: one result replaces ST(0), the other (the cosine, or 1.0) is pushed; a NaN is
 * both */
static void x87_trig_push(struct cpu *cpu, const struct insn *in, enum x87_trig which)
{
    struct float80_env env = x87_env(cpu, false);
    struct float80 a = x87_get(cpu, 0), first = float80_indefinite(), second = first;
    bool out_of_range = false;

    x87_check(cpu);
    x87_record(cpu, in);
    cpu->fpu.status &= (uint16_t)~X87_C2;
    if (x87_empty(cpu, 0)) {
        if (!x87_stack_underflow(cpu))
            return;
    } else if (!x87_empty(cpu, 7)) {
        if (!x87_stack_overflow(cpu))
            return;
    } else {
        if (x87_trig_operand(cpu, &env, a, &first, &out_of_range)) {
            second = which == X87_TAN ? float80_make(false, FLOAT80_BIAS, BIT(63))
                                      : x87_value_trig(&env, X87_COS, a);
            first = x87_value_trig(&env, which, a);
        } else {
            second = first;
        }
        if (out_of_range || !x87_raise(cpu, &env))
            return;
    }
    x87_set(cpu, 0, first);
    x87_set_top(cpu, x87_top(cpu) - 1);
    x87_set(cpu, 0, second);
}
EXEC_BODY(x87_fsincos)
{
    x87_trig_push(cpu, in, X87_SIN);
}
EXEC(x87_fsincos)
EXEC_BODY(x87_fptan)
{
    x87_trig_push(cpu, in, X87_TAN);
}
EXEC(x87_fptan)
