/* Conversions between the x87's format and integers, packed BCD, single and double precision.
 * [SDM 1 "x87 FPU Data Types"], [SDM 2A "FLD", "FST/FSTP", "FIST/FISTP", "FBSTP"] */
#include <string.h>

#include "base/bits.h"
#include "cpu/float80.h"

struct float80 float80_from_int64(int64_t v)
{
    uint64_t magnitude = v < 0 ? -(uint64_t)v : (uint64_t)v;

    if (v == 0)
        return float80_zero(false);
    unsigned shift = (unsigned)__builtin_clzll(magnitude);
    return float80_make(v < 0, FLOAT80_BIAS + 63 - shift, magnitude << shift);
}

/* single and double precision alike: how many bits of fraction and exponent */
struct float80_format {
    unsigned fraction, exponent;
};
static const struct float80_format float80_single = { 23, 8 }, float80_double = { 52, 11 };

/* Exact. SNaNs stay SNaNs, and a denormal is remembered: whether they raise something depends on
 * the other operand. */
static struct float80 float80_widen(struct float80_env *env, uint64_t v,
                                    const struct float80_format *f)
{
    unsigned top = (1u << f->exponent) - 1;
    unsigned e = (unsigned)(v >> f->fraction) & top;
    uint64_t fraction = v << (64 - f->fraction) >> 1;
    bool sign = bit(v, f->fraction + f->exponent);

    if (e == top)
        return float80_make(sign, FLOAT80_EXP_MAX, BIT(63) | fraction);
    if (e == 0 && fraction == 0)
        return float80_zero(sign);
    if (e == 0) {
        unsigned shift = (unsigned)__builtin_clzll(fraction);

        env->denormal = true;
        return float80_make(sign, FLOAT80_BIAS - (top >> 1) + 1 - shift, fraction << shift);
    }
    return float80_make(sign, FLOAT80_BIAS - (top >> 1) + e, BIT(63) | fraction);
}

struct float80 float80_from_float32(struct float80_env *env, uint32_t v)
{
    return float80_widen(env, v, &float80_single);
}
struct float80 float80_from_float64(struct float80_env *env, uint64_t v)
{
    return float80_widen(env, v, &float80_double);
}

/* a finite number not 0; overflow and underflow when unmasked leave nothing to store */
static uint64_t float80_narrow_finite(struct float80_env *env, struct float80_parts p,
                                      const struct float80_format *f)
{
    int32_t top = (1 << f->exponent) - 1;
    int32_t e = p.exponent - FLOAT80_BIAS + (top >> 1);
    unsigned drop = 63 - f->fraction;
    uint64_t sign = (uint64_t)p.sign << (f->fraction + f->exponent);
    bool inexact;
    uint64_t r = float80_round_bits(p.significand, 0, drop, env->rounding, p.sign, &inexact,
                                    &env->up);

    if (e + (r == 0) < 1) { /* tiny */
        unsigned shift = e < -62 ? 63 : (unsigned)(1 - e);

        if (!(env->masks & FLOAT80_U)) {
            env->flags |= FLOAT80_U;
            env->up = false;
            return 0;
        }
        uint64_t lost = shift == 63 ? p.significand << 1 | 1 : p.significand << (64 - shift);
        r = float80_round_bits(p.significand >> shift, lost, drop, env->rounding, p.sign, &inexact,
                               &env->up);
        if (inexact)
            env->flags |= FLOAT80_U | FLOAT80_P;
        return sign | r >> drop; /* rounding up to the smallest normal number sets its exponent */
    }
    if (e + (r == 0) >= top) {
        bool infinite = env->rounding == FLOAT80_NEAREST ||
                        env->rounding == (p.sign ? FLOAT80_DOWN : FLOAT80_TO_UP);

        env->flags |= FLOAT80_O;
        if (env->masks & FLOAT80_O) {
            env->flags |= FLOAT80_P;
            env->up = infinite;
        } else {
            env->up = false;
        }
        return sign | (((uint64_t)top << f->fraction) - !infinite);
    }
    if (inexact)
        env->flags |= FLOAT80_P;
    return sign | (((uint64_t)(e + (r == 0)) << f->fraction) + (r << 1 >> (drop + 1)));
}

static uint64_t float80_narrow(struct float80_env *env, struct float80 a,
                               const struct float80_format *f)
{
    uint64_t top = ((UINT64_C(1) << f->exponent) - 1) << f->fraction;
    struct float80 nan;

    if (float80_nan_operand(env, a, &nan))
        return (uint64_t)float80_sign(nan) << (f->fraction + f->exponent) | top |
               nan.significand << 1 >> (64 - f->fraction);
    uint64_t sign = (uint64_t)float80_sign(a) << (f->fraction + f->exponent);
    switch (float80_classify(a)) {
    case FLOAT80_INFINITY: return sign | top;
    case FLOAT80_ZERO: return sign;
    default: return float80_narrow_finite(env, float80_unpack(a), f);
    }
}

uint32_t float80_to_float32(struct float80_env *env, struct float80 a)
{
    return (uint32_t)float80_narrow(env, a, &float80_single);
}
uint64_t float80_to_float64(struct float80_env *env, struct float80 a)
{
    return float80_narrow(env, a, &float80_double);
}

/* magnitude rounded to an integer; false if it is not below 2^64 or not a number */
static bool float80_to_magnitude(struct float80_env *env, struct float80 a, unsigned rounding,
                                 uint64_t *magnitude, bool *inexact)
{
    enum float80_class class = float80_classify(a);

    *magnitude = 0;
    *inexact = false;
    if (class == FLOAT80_ZERO)
        return true;
    if (class != FLOAT80_NORMAL && class != FLOAT80_DENORMAL)
        return false;
    struct float80_parts p = float80_unpack(a);
    int32_t e = p.exponent - FLOAT80_BIAS;
    if (e > 63)
        return false;
    uint64_t whole = e < 0 ? 0 : p.significand >> (63 - e);
    uint64_t rest = e < -1 ? 1 : e == -1 ? p.significand : e == 63 ? 0 : p.significand << (e + 1);
    *magnitude = float80_round_bits(whole, rest, 0, rounding, p.sign, inexact, &env->up);
    return whole == 0 || *magnitude != 0;
}

int64_t float80_to_int(struct float80_env *env, struct float80 a, unsigned bits, bool chop)
{
    unsigned rounding = chop ? FLOAT80_CHOP : env->rounding;
    uint64_t limit = (BIT(bits - 1) - 1) + float80_sign(a);
    uint64_t magnitude;
    bool inexact;

    if (!float80_to_magnitude(env, a, rounding, &magnitude, &inexact) || magnitude > limit) {
        env->flags |= FLOAT80_I;
        env->up = false;
        return (int64_t)sign_extend(BIT(bits - 1), bits);
    }
    if (inexact)
        env->flags |= FLOAT80_P;
    return (int64_t)(float80_sign(a) ? -magnitude : magnitude);
}

struct float80 float80_from_bcd(const uint8_t bcd[10])
{
    uint64_t v = 0;

    for (int i = 8; i >= 0; i--)
        v = v * 100 + (bcd[i] >> 4) * 10u + (bcd[i] & 15);
    struct float80 r = float80_from_int64((int64_t)v);
    r.sign_exponent |= (uint16_t)((bcd[9] & 0x80) << 8);
    return r;
}

void float80_to_bcd(struct float80_env *env, struct float80 a, uint8_t bcd[10])
{
    static const uint8_t indefinite[10] = { 0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff };
    uint64_t magnitude;
    bool inexact;

    if (!float80_to_magnitude(env, a, env->rounding, &magnitude, &inexact) ||
        magnitude > UINT64_C(999999999999999999)) {
        env->flags |= FLOAT80_I;
        env->up = false;
        memcpy(bcd, indefinite, sizeof(indefinite));
        return;
    }
    if (inexact)
        env->flags |= FLOAT80_P;
    for (int i = 0; i < 9; i++) {
        bcd[i] = (uint8_t)(magnitude / 10 % 10 << 4 | magnitude % 10);
        magnitude /= 100;
    }
    bcd[9] = float80_sign(a) ? 0x80 : 0;
}
