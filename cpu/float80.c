/* x87 arithmetic: classes and NaNs, rounding, and the four operations with square root.
 * [SDM 1 "x87 FPU Floating-Point Exception Handling", "NaNs", "Unsupported Double
 * Extended-Precision Floating-Point Encodings and Pseudo-Denormals"] */
#include "cpu/float80.h"

#include "base/bits.h"

__extension__ typedef unsigned __int128 float80_u128;

enum float80_class float80_classify(struct float80 a)
{
    unsigned exponent = float80_exponent(a);

    if (exponent == 0)
        return a.significand ? FLOAT80_DENORMAL : FLOAT80_ZERO;
    if (!(a.significand >> 63))
        return FLOAT80_UNSUPPORTED;
    if (exponent == FLOAT80_EXP_MAX)
        return a.significand << 1 ? FLOAT80_NAN : FLOAT80_INFINITY;
    return FLOAT80_NORMAL;
}

bool float80_is_snan(struct float80 a)
{
    return float80_is_nan(a) && !bit(a.significand, 62);
}

struct float80 float80_invalid(struct float80_env *env)
{
    env->flags |= FLOAT80_I;
    return float80_indefinite();
}

static struct float80 float80_quiet(struct float80 a)
{
    a.significand |= BIT(62);
    return a;
}

bool float80_nan_operand(struct float80_env *env, struct float80 a, struct float80 *result)
{
    enum float80_class class = float80_classify(a);

    if (likely(class != FLOAT80_UNSUPPORTED && class != FLOAT80_NAN))
        return false;
    if (class == FLOAT80_UNSUPPORTED) {
        *result = float80_invalid(env);
    } else {
        if (float80_is_snan(a))
            env->flags |= FLOAT80_I;
        *result = float80_quiet(a);
    }
    return true;
}

/* [SDM 1 "Rules for Handling NaNs"]: of an SNaN and a QNaN the QNaN, of two alike the one with the
 * larger significand; of equal ones the positive one (measured) */
static struct float80 float80_choose_nan(struct float80 a, struct float80 b)
{
    bool sa = float80_is_snan(a), sb = float80_is_snan(b);

    if (sa != sb)
        return sa ? b : a;
    if (a.significand != b.significand)
        return a.significand > b.significand ? a : b;
    return float80_sign(a) ? b : a;
}

bool float80_nan_operands(struct float80_env *env, struct float80 a, struct float80 b,
                          struct float80 *result)
{
    enum float80_class ca = float80_classify(a), cb = float80_classify(b);

    if (ca == FLOAT80_UNSUPPORTED || cb == FLOAT80_UNSUPPORTED) {
        *result = float80_invalid(env);
        return true;
    }
    if (likely(ca != FLOAT80_NAN && cb != FLOAT80_NAN))
        return false;
    if (float80_is_snan(a) || float80_is_snan(b))
        env->flags |= FLOAT80_I;
    *result = float80_quiet(ca != FLOAT80_NAN   ? b
                            : cb != FLOAT80_NAN ? a
                                                : float80_choose_nan(a, b));
    return true;
}

bool float80_denormal(struct float80_env *env, struct float80 a)
{
    if (likely((float80_exponent(a) != 0 || a.significand == 0) && !env->denormal))
        return true;
    env->flags |= FLOAT80_D;
    return (env->masks & FLOAT80_D) != 0;
}

struct float80_parts float80_unpack(struct float80 a)
{
    struct float80_parts p = { float80_sign(a), (int32_t)float80_exponent(a), a.significand };

    if (p.exponent == 0) {
        unsigned shift = (unsigned)__builtin_clzll(p.significand);

        p.significand <<= shift;
        p.exponent = 1 - (int32_t)shift;
    }
    return p;
}

uint64_t float80_round_bits(uint64_t significand, uint64_t rest, unsigned drop, unsigned rounding,
                            bool sign, bool *inexact, bool *up)
{
    uint64_t unit = BIT(drop);
    uint64_t below = significand & (unit - 1);
    uint64_t kept = significand - below;
    bool half, sticky;

    if (drop == 0) {
        half = rest >> 63;
        sticky = rest << 1 != 0;
    } else {
        half = bit(below, drop - 1);
        sticky = (below & (unit / 2 - 1)) != 0 || rest != 0;
    }
    *inexact = half || sticky;
    switch (rounding) {
    case FLOAT80_NEAREST: *up = half && (sticky || (kept & unit)); break;
    case FLOAT80_DOWN: *up = *inexact && sign; break;
    case FLOAT80_TO_UP: *up = *inexact && !sign; break;
    default: *up = false; break;
    }
    return kept + (*up ? unit : 0);
}

static struct float80 float80_overflow(struct float80_env *env, bool sign, unsigned drop)
{
    bool infinite = env->rounding == FLOAT80_NEAREST ||
                    env->rounding == (sign ? FLOAT80_DOWN : FLOAT80_TO_UP);

    env->flags |= FLOAT80_P;
    env->up = infinite;
    return infinite ? float80_infinity(sign)
                    : float80_make(sign, FLOAT80_EXP_MAX - 1, ~(BIT(drop) - 1));
}

/* a tiny result whose #U is masked: a denormal, or 0, or the smallest normal number */
static struct float80 float80_pack_denormal(struct float80_env *env, bool sign, int32_t exponent,
                                            uint64_t significand, uint64_t rest, unsigned drop)
{
    float80_u128 v = (float80_u128)significand << 64 | rest;
    unsigned shift = exponent < -126 ? 127 : (unsigned)(1 - exponent);
    bool lost = (v & (((float80_u128)1 << shift) - 1)) != 0;
    bool inexact;

    v = v >> shift | lost;
    significand = float80_round_bits((uint64_t)(v >> 64), (uint64_t)v, drop, env->rounding, sign,
                                     &inexact, &env->up);
    if (inexact)
        env->flags |= FLOAT80_U | FLOAT80_P;
    return float80_make(sign, significand >> 63, significand);
}

struct float80 float80_pack(struct float80_env *env, bool sign, int32_t exponent,
                            uint64_t significand, uint64_t rest)
{
    unsigned drop = 64u - env->precision;
    bool inexact;
    uint64_t rounded = float80_round_bits(significand, rest, drop, env->rounding, sign, &inexact,
                                          &env->up);
    int32_t e = exponent;

    if (rounded == 0) {
        rounded = BIT(63);
        e++;
    }
    if (unlikely(e < 1)) { /* tiny: detected after rounding */
        if (env->masks & FLOAT80_U)
            return float80_pack_denormal(env, sign, exponent, significand, rest, drop);
        env->flags |= FLOAT80_U;
        e += FLOAT80_WRAP;
        if (e < 1) { /* FSCALE only: too small even so */
            env->flags |= FLOAT80_P;
            env->up = false;
            return float80_zero(sign);
        }
    } else if (unlikely(e >= FLOAT80_EXP_MAX)) {
        env->flags |= FLOAT80_O;
        if (env->masks & FLOAT80_O)
            return float80_overflow(env, sign, drop);
        e -= FLOAT80_WRAP;
        if (e >= FLOAT80_EXP_MAX) {
            env->flags |= FLOAT80_P;
            env->up = true;
            return float80_infinity(sign);
        }
    }
    if (inexact)
        env->flags |= FLOAT80_P;
    return float80_make(sign, (unsigned)e, rounded);
}

/* normalise a 128-bit significand, not 0, and round */
static struct float80 float80_pack_u128(struct float80_env *env, bool sign, int32_t exponent,
                                        float80_u128 v)
{
    uint64_t high = (uint64_t)(v >> 64);
    unsigned shift = high ? (unsigned)__builtin_clzll(high)
                          : 64 + (unsigned)__builtin_clzll((uint64_t)v);

    v <<= shift;
    return float80_pack(env, sign, exponent - (int32_t)shift, (uint64_t)(v >> 64), (uint64_t)v);
}

/* both finite, not 0; a's exponent is not the smaller one */
static struct float80 float80_add_parts(struct float80_env *env, struct float80_parts a,
                                        struct float80_parts b)
{
    uint32_t d = (uint32_t)(a.exponent - b.exponent);
    float80_u128 va = (float80_u128)a.significand << 63; /* a bit of room for the carry */
    float80_u128 vb = (float80_u128)b.significand << 63;

    if (d > 126)
        vb = 1;
    else
        vb = vb >> d | ((vb & (((float80_u128)1 << d) - 1)) != 0);
    if (a.sign == b.sign)
        return float80_pack_u128(env, a.sign, a.exponent + 1, va + vb);
    if (va == vb)
        return float80_zero(env->rounding == FLOAT80_DOWN);
    return va > vb ? float80_pack_u128(env, a.sign, a.exponent + 1, va - vb)
                   : float80_pack_u128(env, b.sign, a.exponent + 1, vb - va);
}

/* infinities and zeros of an addition: true if they decide */
static bool float80_add_special(struct float80_env *env, struct float80 a, struct float80 b,
                                struct float80 *result)
{
    enum float80_class ca = float80_classify(a), cb = float80_classify(b);

    if (ca == FLOAT80_INFINITY && cb == FLOAT80_INFINITY) {
        *result = float80_sign(a) == float80_sign(b) ? a : float80_invalid(env);
        return true;
    }
    if (!float80_denormal(env, a) || !float80_denormal(env, b)) {
        *result = a;
        return true;
    }
    if (ca == FLOAT80_INFINITY || cb == FLOAT80_INFINITY) {
        *result = ca == FLOAT80_INFINITY ? a : b;
        return true;
    }
    if (ca == FLOAT80_ZERO && cb == FLOAT80_ZERO) {
        bool sign = float80_sign(a) == float80_sign(b) ? float80_sign(a)
                                                       : env->rounding == FLOAT80_DOWN;
        *result = float80_zero(sign);
        return true;
    }
    if (ca == FLOAT80_ZERO || cb == FLOAT80_ZERO) {
        struct float80_parts p = float80_unpack(ca == FLOAT80_ZERO ? b : a);

        *result = float80_pack(env, p.sign, p.exponent, p.significand, 0);
        return true;
    }
    return false;
}

static struct float80 float80_add_signed(struct float80_env *env, struct float80 a,
                                         struct float80 b)
{
    struct float80 result;

    if (unlikely(float80_add_special(env, a, b, &result)))
        return result;
    struct float80_parts pa = float80_unpack(a), pb = float80_unpack(b);
    return pa.exponent >= pb.exponent ? float80_add_parts(env, pa, pb)
                                      : float80_add_parts(env, pb, pa);
}

struct float80 float80_add(struct float80_env *env, struct float80 a, struct float80 b)
{
    struct float80 result;

    if (unlikely(float80_nan_operands(env, a, b, &result)))
        return result;
    return float80_add_signed(env, a, b);
}

struct float80 float80_sub(struct float80_env *env, struct float80 a, struct float80 b)
{
    struct float80 result;

    if (unlikely(float80_nan_operands(env, a, b, &result)))
        return result;
    b.sign_exponent ^= 0x8000;
    return float80_add_signed(env, a, b);
}

struct float80 float80_mul(struct float80_env *env, struct float80 a, struct float80 b)
{
    struct float80 result;
    enum float80_class ca = float80_classify(a), cb = float80_classify(b);
    bool sign = float80_sign(a) != float80_sign(b);

    if (unlikely(float80_nan_operands(env, a, b, &result)))
        return result;
    if ((ca == FLOAT80_INFINITY && cb == FLOAT80_ZERO) ||
        (ca == FLOAT80_ZERO && cb == FLOAT80_INFINITY))
        return float80_invalid(env);
    if (!float80_denormal(env, a) || !float80_denormal(env, b))
        return a;
    if (ca == FLOAT80_INFINITY || cb == FLOAT80_INFINITY)
        return float80_infinity(sign);
    if (ca == FLOAT80_ZERO || cb == FLOAT80_ZERO)
        return float80_zero(sign);

    struct float80_parts pa = float80_unpack(a), pb = float80_unpack(b);
    return float80_pack_u128(env, sign, pa.exponent + pb.exponent - FLOAT80_BIAS + 1,
                             (float80_u128)pa.significand * pb.significand);
}

struct float80 float80_div(struct float80_env *env, struct float80 a, struct float80 b)
{
    struct float80 result;
    enum float80_class ca = float80_classify(a), cb = float80_classify(b);
    bool sign = float80_sign(a) != float80_sign(b);

    if (unlikely(float80_nan_operands(env, a, b, &result)))
        return result;
    if (ca == cb && (ca == FLOAT80_INFINITY || ca == FLOAT80_ZERO))
        return float80_invalid(env);
    if (cb == FLOAT80_ZERO && ca != FLOAT80_INFINITY) {
        env->flags |= FLOAT80_Z;
        return float80_infinity(sign);
    }
    if (!float80_denormal(env, a) || !float80_denormal(env, b))
        return a;
    if (ca == FLOAT80_INFINITY)
        return float80_infinity(sign);
    if (cb == FLOAT80_INFINITY || ca == FLOAT80_ZERO)
        return float80_zero(sign);

    struct float80_parts pa = float80_unpack(a), pb = float80_unpack(b);
    int32_t exponent = pa.exponent - pb.exponent + FLOAT80_BIAS;
    float80_u128 n = (float80_u128)pa.significand << 63;

    if (pa.significand < pb.significand) {
        n <<= 1;
        exponent--;
    }
    uint64_t quotient = (uint64_t)(n / pb.significand);
    float80_u128 remainder = (n % pb.significand) << 64;
    uint64_t rest = (uint64_t)(remainder / pb.significand);
    return float80_pack(env, sign, exponent, quotient, rest | (remainder % pb.significand != 0));
}

/* floor of the square root, digit by digit: no native floating point, whose flags are the guest's */
static uint64_t float80_root(float80_u128 n, bool *exact, bool *above_half)
{
    float80_u128 remainder = 0, root = 0;

    for (int i = 126; i >= 0; i -= 2) {
        remainder = remainder << 2 | (unsigned)(n >> i & 3);
        root <<= 1;
        if (remainder > 2 * root) {
            remainder -= 2 * root + 1;
            root++;
        }
    }
    *exact = remainder == 0;
    *above_half = remainder > root;
    return (uint64_t)root;
}

struct float80 float80_sqrt(struct float80_env *env, struct float80 a)
{
    struct float80 result;
    enum float80_class class = float80_classify(a);
    bool exact, above_half;

    if (unlikely(float80_nan_operand(env, a, &result)))
        return result;
    if (class == FLOAT80_ZERO)
        return a;
    if (float80_sign(a))
        return float80_invalid(env);
    if (!float80_denormal(env, a) || class == FLOAT80_INFINITY)
        return a;

    struct float80_parts p = float80_unpack(a);
    int32_t e = p.exponent - FLOAT80_BIAS;
    bool odd = e & 1;
    uint64_t root = float80_root((float80_u128)p.significand << (odd ? 64 : 63), &exact,
                                 &above_half);
    return float80_pack(env, false, (e - odd) / 2 + FLOAT80_BIAS, root,
                        exact        ? 0
                        : above_half ? UINT64_C(3) << 62
                                     : UINT64_C(1) << 62);
}
