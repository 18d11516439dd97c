/* x87 arithmetic: comparison, rounding to an integer, scaling, exponent extraction, remainders.
 * [SDM 2A "FCOM", "FRNDINT", "FSCALE", "FXTRACT", "FPREM", "FPREM1"] */
#include "base/bits.h"
#include "cpu/float80.h"

__extension__ typedef unsigned __int128 float80_u128;

/* -1, 0, 1 by magnitude; a and b are finite or infinite */
static int float80_compare_magnitude(struct float80 a, struct float80 b)
{
    unsigned ea = float80_exponent(a), eb = float80_exponent(b);

    /* a pseudo-denormal is the number with exponent 1 */
    ea += ea == 0 && a.significand >> 63;
    eb += eb == 0 && b.significand >> 63;
    if (ea != eb)
        return ea < eb ? -1 : 1;
    return a.significand < b.significand ? -1 : a.significand > b.significand;
}

enum float80_order float80_compare(struct float80_env *env, struct float80 a, struct float80 b,
                                   bool quiet)
{
    enum float80_class ca = float80_classify(a), cb = float80_classify(b);

    if (ca == FLOAT80_UNSUPPORTED || cb == FLOAT80_UNSUPPORTED) {
        env->flags |= FLOAT80_I;
        return FLOAT80_UNORDERED;
    }
    if (ca == FLOAT80_NAN || cb == FLOAT80_NAN) {
        if (!quiet || float80_is_snan(a) || float80_is_snan(b))
            env->flags |= FLOAT80_I;
        return FLOAT80_UNORDERED;
    }
    if (float80_denormal(env, a))
        float80_denormal(env, b);
    if (ca == FLOAT80_ZERO && cb == FLOAT80_ZERO)
        return FLOAT80_EQUAL;
    if (float80_sign(a) != float80_sign(b))
        return float80_sign(a) ? FLOAT80_LESS : FLOAT80_GREATER;

    int order = float80_compare_magnitude(a, b);
    if (order == 0)
        return FLOAT80_EQUAL;
    return (order < 0) != float80_sign(a) ? FLOAT80_LESS : FLOAT80_GREATER;
}

struct float80 float80_round_to_int(struct float80_env *env, struct float80 a)
{
    enum float80_class class = float80_classify(a);
    struct float80 result;
    uint64_t significand, rest;
    bool inexact;

    if (float80_nan_operand(env, a, &result))
        return result;
    if (class == FLOAT80_ZERO || !float80_denormal(env, a))
        return a;
    struct float80_parts p = float80_unpack(a);
    int32_t e = p.exponent - FLOAT80_BIAS;
    if (e >= 63) /* infinity too */
        return a;
    if (e < 0) { /* below 1: the unit is above bit 63 */
        significand = 0;
        rest = e == -1 ? p.significand : UINT64_C(1); /* a half or more, or less */
    } else {
        significand = p.significand >> (63 - e);
        rest = e == 63 ? 0 : p.significand << (e + 1);
    }
    significand = float80_round_bits(significand, rest, 0, env->rounding, p.sign, &inexact,
                                     &env->up);
    if (inexact)
        env->flags |= FLOAT80_P;
    if (significand == 0)
        return float80_zero(p.sign);
    unsigned shift = (unsigned)__builtin_clzll(significand);
    return float80_make(p.sign, FLOAT80_BIAS + 63 - shift, significand << shift);
}

/* infinities and zeros of FSCALE [SDM 2A "FSCALE", Results Obtained from FSCALE]: true if they
 * decide */
static bool float80_scale_special(struct float80_env *env, struct float80 a, struct float80 b,
                                  struct float80 *result)
{
    enum float80_class ca = float80_classify(a), cb = float80_classify(b);

    if (cb == FLOAT80_INFINITY) {
        if (ca == (float80_sign(b) ? FLOAT80_INFINITY : FLOAT80_ZERO))
            *result = float80_invalid(env);
        else if (!float80_denormal(env, a))
            *result = a;
        else
            *result = float80_sign(b) ? float80_zero(float80_sign(a))
                                      : float80_infinity(float80_sign(a));
        return true;
    }
    *result = a;
    return !float80_denormal(env, a) || !float80_denormal(env, b) || ca == FLOAT80_INFINITY ||
           ca == FLOAT80_ZERO;
}

struct float80 float80_scale(struct float80_env *env, struct float80 a, struct float80 b)
{
    struct float80_env full = *env;
    struct float80 result;
    int32_t n = 0;

    if (float80_nan_operands(env, a, b, &result) || float80_scale_special(env, a, b, &result))
        return result;
    if (float80_classify(b) == FLOAT80_NORMAL) {
        int32_t e = (int32_t)float80_exponent(b) - FLOAT80_BIAS;

        if (e >= 0) /* beyond 2^17 all is lost anyway */
            n = e > 17 ? 1 << 18 : (int32_t)(b.significand >> (63 - e));
        if (float80_sign(b))
            n = -n;
    }
    struct float80_parts p = float80_unpack(a);
    full.precision = 64; /* PC does not matter */
    full.flags = env->flags;
    result = float80_pack(&full, p.sign, p.exponent + n, p.significand, 0);
    env->flags = full.flags;
    env->up = full.up;
    return result;
}

struct float80 float80_extract(struct float80_env *env, struct float80 a,
                               struct float80 *significand)
{
    enum float80_class class = float80_classify(a);
    struct float80 result;

    if (float80_nan_operand(env, a, &result)) {
        *significand = result;
        return result;
    }
    *significand = a;
    if (class == FLOAT80_INFINITY)
        return float80_infinity(false);
    if (class == FLOAT80_ZERO) {
        env->flags |= FLOAT80_Z;
        return float80_infinity(true);
    }
    if (!float80_denormal(env, a))
        return a;
    struct float80_parts p = float80_unpack(a);
    *significand = float80_make(p.sign, FLOAT80_BIAS, p.significand);
    return float80_from_int64(p.exponent - FLOAT80_BIAS);
}

/* n / d for the last step of a remainder: n = a * 2^shift; the remainder is below d */
struct float80_division {
    uint64_t remainder;
    uint64_t quotient; /* its low bits */
};
static struct float80_division float80_divide(uint64_t a, unsigned shift, uint64_t d)
{
    float80_u128 n = (float80_u128)a << shift;
    struct float80_division r = { (uint64_t)(n % d), (uint64_t)(n / d) };

    return r;
}

static struct float80 float80_pack_remainder(struct float80_env *env, bool sign, int32_t exponent,
                                             uint64_t significand)
{
    struct float80_env full = *env;
    unsigned shift = (unsigned)__builtin_clzll(significand);

    full.precision = 64;
    struct float80 r = float80_pack(&full, sign, exponent - (int32_t)shift, significand << shift,
                                    0);
    env->flags = full.flags;
    return r;
}

/* both finite and not 0 */
static struct float80 float80_rem_parts(struct float80_env *env, struct float80_parts a,
                                        struct float80_parts b, bool nearest, unsigned *quotient,
                                        bool *partial)
{
    int32_t d = a.exponent - b.exponent;
    struct float80_division r = { a.significand, 0 };
    int32_t exponent = b.exponent;
    bool sign = a.sign;

    if (d >= 64) { /* part of the way: by 32 to 63 bits, as processors do */
        unsigned n = 32 + (unsigned)d % 32;

        *partial = true;
        r = float80_divide(a.significand, n, b.significand);
        exponent += d - (int32_t)n;
        return r.remainder == 0 ? float80_zero(sign)
                                : float80_pack_remainder(env, sign, exponent, r.remainder);
    }
    if (d >= 0) {
        r = float80_divide(a.significand, (unsigned)d, b.significand);
        if (nearest && r.remainder != 0 &&
            (r.remainder > b.significand - r.remainder ||
             (r.remainder == b.significand - r.remainder && (r.quotient & 1)))) {
            r.remainder = b.significand - r.remainder;
            r.quotient++;
            sign = !sign;
        }
    } else {
        exponent = a.exponent;
        if (nearest && d == -1 && a.significand > b.significand) { /* more than half of b */
            r.remainder = b.significand - (a.significand - b.significand);
            r.quotient = 1;
            sign = !sign;
        }
    }
    *quotient = r.quotient & 7;
    return r.remainder == 0 ? float80_zero(a.sign)
                            : float80_pack_remainder(env, sign, exponent, r.remainder);
}

struct float80 float80_rem(struct float80_env *env, struct float80 a, struct float80 b,
                           bool nearest, unsigned *quotient, bool *partial)
{
    enum float80_class ca = float80_classify(a), cb = float80_classify(b);
    struct float80 result;

    *quotient = 0;
    *partial = false;
    if (float80_nan_operands(env, a, b, &result))
        return result;
    if (ca == FLOAT80_INFINITY || cb == FLOAT80_ZERO)
        return float80_invalid(env);
    if (!float80_denormal(env, a) || !float80_denormal(env, b) || ca == FLOAT80_ZERO)
        return a;
    if (cb == FLOAT80_INFINITY) {
        struct float80_parts p = float80_unpack(a);

        return float80_pack_remainder(env, p.sign, p.exponent, p.significand);
    }
    return float80_rem_parts(env, float80_unpack(a), float80_unpack(b), nearest, quotient, partial);
}
