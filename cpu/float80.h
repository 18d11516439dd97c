/* Arithmetic of the x87 in portable integer C: the double extended-precision format with the x87's
 * rules for NaNs, pseudo-denormals, unsupported encodings, precision and rounding control, and its
 * masked and unmasked responses. [SDM 1 "Programming with the x87 FPU"]
 *
 * Every function leaves the exceptions it detected in env->flags (bits as in the status word) and
 * in env->up whether the result was rounded away from zero (C1). After an unmasked #I, #D or #Z the
 * returned value means nothing: the caller must not write it. After an unmasked #O or #U it is the
 * result with its exponent wrapped by 24576, which goes to registers and never to memory. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "cpu/fpu.h"

enum { /* exceptions: status word 5:0, masks: control word 5:0 */
       FLOAT80_I = 1,
       FLOAT80_D = 2,
       FLOAT80_Z = 4,
       FLOAT80_O = 8,
       FLOAT80_U = 16,
       FLOAT80_P = 32,
       FLOAT80_ALL = 63
};
enum { FLOAT80_NEAREST, FLOAT80_DOWN, FLOAT80_TO_UP, FLOAT80_CHOP }; /* control word RC */

struct float80_env {
    uint8_t rounding;  /* RC */
    uint8_t precision; /* bits of the significand: 24, 53 or 64 */
    uint8_t masks;     /* FLOAT80_* that are masked */
    uint8_t flags;     /* FLOAT80_* that were detected */
    bool up;           /* rounded away from zero */
    bool denormal;     /* an operand was denormal before it was widened */
};

enum float80_class { /* FXAM's values: C3 C2 C0 as 4 2 1 */
                     FLOAT80_UNSUPPORTED = 0,
                     FLOAT80_NAN = 1,
                     FLOAT80_NORMAL = 2,
                     FLOAT80_INFINITY = 3,
                     FLOAT80_ZERO = 4,
                     FLOAT80_DENORMAL = 6 /* pseudo-denormals too */
};
enum float80_order { FLOAT80_LESS, FLOAT80_EQUAL, FLOAT80_GREATER, FLOAT80_UNORDERED };

enum { FLOAT80_BIAS = 16383, FLOAT80_EXP_MAX = 0x7fff, FLOAT80_WRAP = 24576 };

static inline struct float80 float80_make(bool sign, unsigned exponent, uint64_t significand)
{
    struct float80 f = { 0 };

    f.significand = significand;
    f.sign_exponent = (uint16_t)((unsigned)sign << 15 | exponent);
    return f;
}
static inline bool float80_sign(struct float80 a)
{
    return a.sign_exponent >> 15;
}
static inline unsigned float80_exponent(struct float80 a)
{
    return a.sign_exponent & 0x7fffu;
}
static inline struct float80 float80_zero(bool sign)
{
    return float80_make(sign, 0, 0);
}
static inline struct float80 float80_infinity(bool sign)
{
    return float80_make(sign, FLOAT80_EXP_MAX, UINT64_C(1) << 63);
}
/* the QNaN floating-point indefinite */
static inline struct float80 float80_indefinite(void)
{
    return float80_make(true, FLOAT80_EXP_MAX, UINT64_C(3) << 62);
}

enum float80_class float80_classify(struct float80 a);
static inline bool float80_is_nan(struct float80 a)
{
    return float80_classify(a) == FLOAT80_NAN;
}
bool float80_is_snan(struct float80 a);

/* ---- cpu/float80.c ---- */
struct float80 float80_add(struct float80_env *env, struct float80 a, struct float80 b);
struct float80 float80_sub(struct float80_env *env, struct float80 a, struct float80 b);
struct float80 float80_mul(struct float80_env *env, struct float80 a, struct float80 b);
struct float80 float80_div(struct float80_env *env, struct float80 a, struct float80 b);
struct float80 float80_sqrt(struct float80_env *env, struct float80 a);

/* ---- cpu/float80_more.c ---- */
/* quiet: only SNaNs and unsupported encodings are invalid (FUCOM), else all NaNs (FCOM) */
enum float80_order float80_compare(struct float80_env *env, struct float80 a, struct float80 b,
                                   bool quiet);
struct float80 float80_round_to_int(struct float80_env *env, struct float80 a);
struct float80 float80_scale(struct float80_env *env, struct float80 a, struct float80 b);
/* FXTRACT: returns the exponent as a number, *significand gets the rest */
struct float80 float80_extract(struct float80_env *env, struct float80 a,
                               struct float80 *significand);
/* FPREM (nearest = false) and FPREM1: *quotient gets bits 2:0 of the quotient; *partial: C2 */
struct float80 float80_rem(struct float80_env *env, struct float80 a, struct float80 b,
                           bool nearest, unsigned *quotient, bool *partial);

/* ---- cpu/float80_convert.c ---- */
struct float80 float80_from_int64(int64_t v);
/* these keep SNaNs and leave a denormal operand in env->denormal, for the operation that follows */
struct float80 float80_from_float32(struct float80_env *env, uint32_t v);
struct float80 float80_from_float64(struct float80_env *env, uint64_t v);
uint32_t float80_to_float32(struct float80_env *env, struct float80 a);
uint64_t float80_to_float64(struct float80_env *env, struct float80 a);
/* bits: 16, 32 or 64; out of range: #I and the integer indefinite. chop: FISTTP */
int64_t float80_to_int(struct float80_env *env, struct float80 a, unsigned bits, bool chop);
struct float80 float80_from_bcd(const uint8_t bcd[10]);
void float80_to_bcd(struct float80_env *env, struct float80 a, uint8_t bcd[10]);

/* ---- for the files above and the transcendental instructions ---- */

/* a finite, nonzero number: significand with bit 63 set, exponent biased but unbounded */
struct float80_parts {
    bool sign;
    int32_t exponent;
    uint64_t significand;
};
struct float80_parts float80_unpack(struct float80 a);
/* round (significand:rest) * 2^(exponent - bias - 63), bit 63 of significand set, to the precision
 * of env, with overflow, underflow and precision exceptions */
struct float80 float80_pack(struct float80_env *env, bool sign, int32_t exponent,
                            uint64_t significand, uint64_t rest);
/* Unsupported encodings and NaNs among the operands: true if they decide, with the result. */
bool float80_nan_operands(struct float80_env *env, struct float80 a, struct float80 b,
                          struct float80 *result);
bool float80_nan_operand(struct float80_env *env, struct float80 a, struct float80 *result);
/* #I: the indefinite */
struct float80 float80_invalid(struct float80_env *env);
/* #D if a (or an operand that was widened) is denormal; false: unmasked, so give up */
bool float80_denormal(struct float80_env *env, struct float80 a);
/* Round a 64-bit significand with the bits below it at bit `drop`; *inexact and *up tell. The sum
 * may wrap to 0: the caller then sets bit 63 and increments the exponent. */
uint64_t float80_round_bits(uint64_t significand, uint64_t rest, unsigned drop, unsigned rounding,
                            bool sign, bool *inexact, bool *up);
