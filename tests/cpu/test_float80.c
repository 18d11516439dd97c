/* The x87's arithmetic (cpu/float80*.c): values of the manual, and on x86-64 the processor under us
 * for random operands in every rounding mode and precision.
 * [SDM 1 "Programming with the x87 FPU"], [SDM 1 "Floating-Point Exceptions"] */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/float80.h"

enum { I = 1, D = 2, Z = 4, O = 8, U = 16, P = 32 };

static struct float80_env env;

static void setup(void)
{
    env = (struct float80_env){ .precision = 64, .masks = 0x3f };
}

static struct float80 num(unsigned sign_exponent, uint64_t significand)
{
    return float80_make(sign_exponent >> 15, sign_exponent & 0x7fff, significand);
}

static void expect(struct float80 r, unsigned sign_exponent, uint64_t significand, unsigned flags)
{
    ck_assert_uint_eq(r.sign_exponent, sign_exponent);
    ck_assert_uint_eq(r.significand, significand);
    ck_assert_uint_eq(env.flags, flags);
    env.flags = 0;
}

#define ONE num(0x3fff, UINT64_C(1) << 63)
#define THREE num(0x4000, UINT64_C(3) << 62)
#define INF num(0x7fff, UINT64_C(1) << 63)
#define MIN num(0x0001, UINT64_C(1) << 63)
#define MAX num(0x7ffe, ~UINT64_C(0))
#define TINY num(0x0000, 1)

/* ---- rounding ---- */

START_TEST(a_third_is_rounded_by_precision_and_rounding_control)
{
    static const struct {
        unsigned precision, rounding;
        uint64_t significand;
        bool up;
    } cases[] = {
        { 64, FLOAT80_NEAREST, 0xaaaaaaaaaaaaaaab, true },
        { 64, FLOAT80_DOWN, 0xaaaaaaaaaaaaaaaa, false },
        { 64, FLOAT80_TO_UP, 0xaaaaaaaaaaaaaaab, true },
        { 64, FLOAT80_CHOP, 0xaaaaaaaaaaaaaaaa, false },
        { 53, FLOAT80_NEAREST, 0xaaaaaaaaaaaaa800, false },
        { 53, FLOAT80_TO_UP, 0xaaaaaaaaaaaab000, true },
        { 24, FLOAT80_NEAREST, 0xaaaaab0000000000, true },
        { 24, FLOAT80_CHOP, 0xaaaaaa0000000000, false },
    };

    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        env.precision = (uint8_t)cases[i].precision;
        env.rounding = (uint8_t)cases[i].rounding;
        expect(float80_div(&env, ONE, THREE), 0x3ffd, cases[i].significand, P);
        ck_assert_int_eq(env.up, cases[i].up);
    }
}
END_TEST

START_TEST(overflow_is_infinity_or_the_largest_number)
{
    expect(float80_add(&env, MAX, MAX), 0x7fff, UINT64_C(1) << 63, O | P);
    env.rounding = FLOAT80_CHOP;
    expect(float80_add(&env, MAX, MAX), 0x7ffe, ~UINT64_C(0), O | P);
    env.precision = 24;
    expect(float80_add(&env, MAX, MAX), 0x7ffe, 0xffffff0000000000, O | P);
}
END_TEST

START_TEST(unmasked_overflow_and_underflow_wrap_the_exponent_by_24576)
{
    env.masks = (uint8_t) ~(O | U);
    expect(float80_add(&env, MAX, MAX), 0x7fff - 24576, ~UINT64_C(0), O);
    expect(float80_div(&env, MIN, THREE), 24576 - 1, 0xaaaaaaaaaaaaaaab, U | P);
}
END_TEST

START_TEST(an_exact_tiny_result_underflows_only_when_unmasked)
{
    struct float80 half = num(0x3ffe, UINT64_C(1) << 63);

    expect(float80_mul(&env, MIN, half), 0, UINT64_C(1) << 62, 0);
    env.masks = (uint8_t)~U;
    expect(float80_mul(&env, MIN, half), 24576, UINT64_C(1) << 63, U);
}
END_TEST

START_TEST(an_inexact_tiny_result_underflows)
{
    expect(float80_div(&env, MIN, THREE), 0, 0x2aaaaaaaaaaaaaab, U | P);
}
END_TEST

/* ---- special operands: [SDM 1 "Invalid Arithmetic Operand Exception (#IA)"] ---- */

START_TEST(invalid_operations_give_the_indefinite)
{
    struct float80 zero = float80_zero(false), minus = num(0xbfff, UINT64_C(1) << 63);
    const uint64_t q = UINT64_C(3) << 62;

    expect(float80_sub(&env, INF, INF), 0xffff, q, I);
    expect(float80_mul(&env, INF, zero), 0xffff, q, I);
    expect(float80_div(&env, INF, INF), 0xffff, q, I);
    expect(float80_div(&env, zero, zero), 0xffff, q, I);
    expect(float80_sqrt(&env, minus), 0xffff, q, I);
    expect(float80_add(&env, num(0x3fff, 1), ONE), 0xffff, q, I); /* unnormal */
}
END_TEST

START_TEST(a_finite_number_divided_by_zero_is_infinity)
{
    expect(float80_div(&env, ONE, float80_zero(true)), 0xffff, UINT64_C(1) << 63, Z);
}
END_TEST

START_TEST(denormals_and_pseudo_denormals_raise_D)
{
    expect(float80_add(&env, TINY, TINY), 0, 2, D);
    expect(float80_add(&env, num(0, UINT64_C(1) << 63), float80_zero(false)), 1, UINT64_C(1) << 63,
           D);
}
END_TEST

/* [SDM 1 "Rules for Handling NaNs"] */
START_TEST(the_nan_with_the_larger_significand_survives_and_snans_become_quiet)
{
    struct float80 q1 = num(0x7fff, 0xc000000000000001), q2 = num(0xffff, 0xc000000000000002);
    struct float80 s1 = num(0x7fff, 0x8000000000000009);

    expect(float80_add(&env, q1, q2), 0xffff, 0xc000000000000002, 0);
    expect(float80_add(&env, s1, ONE), 0x7fff, 0xc000000000000009, I);
    expect(float80_mul(&env, q1, s1), 0x7fff, 0xc000000000000001, I);
}
END_TEST

START_TEST(compare_of_a_quiet_nan_is_invalid_unless_quiet)
{
    ck_assert_int_eq(float80_compare(&env, float80_indefinite(), ONE, true), FLOAT80_UNORDERED);
    ck_assert_uint_eq(env.flags, 0);
    ck_assert_int_eq(float80_compare(&env, float80_indefinite(), ONE, false), FLOAT80_UNORDERED);
    ck_assert_uint_eq(env.flags, I);
}
END_TEST

/* ---- conversions ---- */

START_TEST(integers_out_of_range_are_the_integer_indefinite)
{
    struct float80 v = float80_from_int64(32768);

    ck_assert_int_eq(float80_to_int(&env, v, 16, false), -32768);
    ck_assert_uint_eq(env.flags, I);
    env.flags = 0;
    v.sign_exponent |= 0x8000;
    ck_assert_int_eq(float80_to_int(&env, v, 16, false), -32768);
    ck_assert_uint_eq(env.flags, 0);
}
END_TEST

START_TEST(two_and_a_half_rounds_to_even)
{
    struct float80 v = num(0x4000, UINT64_C(5) << 61);

    ck_assert_int_eq(float80_to_int(&env, v, 32, false), 2);
    ck_assert_uint_eq(env.flags, P);
    env.rounding = FLOAT80_TO_UP;
    ck_assert_int_eq(float80_to_int(&env, v, 32, false), 3);
    ck_assert_int_eq(float80_to_int(&env, v, 32, true), 2); /* FISTTP */
}
END_TEST

START_TEST(bcd_there_and_back)
{
    static const uint8_t bcd[10] = { 0x90, 0x78, 0x56, 0x34, 0x12, 0, 0, 0, 0, 0x80 };
    struct float80 v = float80_from_bcd(bcd);
    uint8_t back[10];

    ck_assert_int_eq(float80_to_int(&env, v, 64, false), -1234567890);
    float80_to_bcd(&env, v, back);
    ck_assert_mem_eq(bcd, back, 10);
    float80_to_bcd(&env, INF, back);
    ck_assert_uint_eq(env.flags, I);
    ck_assert_mem_eq(back, "\0\0\0\0\0\0\0\xc0\xff\xff", 10);
}
END_TEST

START_TEST(a_denormal_single_is_remembered_not_raised)
{
    struct float80 v = float80_from_float32(&env, 1);

    ck_assert_uint_eq(env.flags, 0);
    ck_assert(env.denormal);
    expect(v, 0x3fff - 149, UINT64_C(1) << 63, 0);
}
END_TEST

START_TEST(fprem_goes_part_of_the_way_when_exponents_differ_by_64)
{
    unsigned quotient;
    bool partial;
    struct float80 r = float80_rem(&env, num(0x3fff + 65, UINT64_C(1) << 63), THREE, false,
                                   &quotient, &partial);

    ck_assert(partial);
    ck_assert_uint_lt(float80_exponent(r), 0x3fff + 65);
    r = float80_rem(&env, float80_from_int64(29), float80_from_int64(4), false, &quotient,
                    &partial);
    ck_assert(!partial);
    ck_assert_uint_eq(quotient, 7);
    expect(r, 0x3fff, UINT64_C(1) << 63, 0);
}
END_TEST

/* ---- against the processor under us ---- */

#ifdef __x86_64__

enum { NATIVE_ROUNDS = 40000 };
static uint64_t state;

static uint64_t random_u64(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * UINT64_C(0x2545f4914f6cdd1d);
}

static struct float80 random_float80(void)
{
    static const unsigned bases[] = { 0, 1, 0x3fff, 0x3fff, 0x3fff - 126, 0x3fff - 1022, 0x7fc0 };
    uint64_t r = random_u64(), significand = random_u64() | UINT64_C(1) << 63;
    unsigned e = bases[r % 7] + (unsigned)(r >> 8) % 64;

    if (r >> 20 & 1)
        significand = significand >> (r >> 24 & 63) << (r >> 24 & 63) | UINT64_C(1) << 63;
    if ((r >> 32 & 15) == 0)
        significand = random_u64() >> (r >> 40 & 63); /* denormal, zero or unsupported */
    if ((r >> 36 & 15) == 0)
        e = 0x7fff;
    return num((unsigned)(r >> 63) << 15 | e, significand);
}

/* ST(0) op ST(1), everything masked: result and exceptions with C1 */
#define NATIVE(name, text)                                                                     \
    static void native_##name(long double *a, const long double *b, uint16_t cw, uint16_t *sw) \
    {                                                                                          \
        uint16_t old;                                                                          \
        __asm__ volatile("fnstcw %[old]\n fldt %[b]\n fldt %[a]\n fnclex\n fldcw %[cw]\n" text \
                         "\n fnstsw %[sw]\n fstpt %[a]\n fstp %%st(0)\n fnclex\n fldcw %[old]" \
                         : [a] "+m"(*a), [sw] "=m"(*sw), [old] "=m"(old)                       \
                         : [b] "m"(*b), [cw] "m"(cw)                                           \
                         : "st", "st(1)");                                                     \
    }
NATIVE(fsqrt, "fsqrt")
NATIVE(frndint, "frndint")
NATIVE(fscale, "fscale")
NATIVE(fadd, "fadd %%st(1), %%st")
NATIVE(fsub, "fsub %%st(1), %%st")
NATIVE(fmul, "fmul %%st(1), %%st")
NATIVE(fdiv, "fdiv %%st(1), %%st")

static struct float80 our_sqrt(struct float80_env *e, struct float80 a, struct float80 b)
{
    return float80_sqrt(e, a);
}
static struct float80 our_round(struct float80_env *e, struct float80 a, struct float80 b)
{
    e->precision = 64; /* FRNDINT does not heed PC */
    return float80_round_to_int(e, a);
}

static const struct {
    const char *name;
    struct float80 (*ours)(struct float80_env *, struct float80, struct float80);
    void (*native)(long double *a, const long double *b, uint16_t cw, uint16_t *sw);
} operations[] = {
    { "fadd", float80_add, native_fadd },       { "fsub", float80_sub, native_fsub },
    { "fmul", float80_mul, native_fmul },       { "fdiv", float80_div, native_fdiv },
    { "fsqrt", our_sqrt, native_fsqrt },        { "frndint", our_round, native_frndint },
    { "fscale", float80_scale, native_fscale },
};

static void to_native(struct float80 a, long double *v)
{
    memset(v, 0, sizeof *v);
    memcpy(v, &a.significand, 8);
    memcpy((char *)v + 8, &a.sign_exponent, 2);
}

START_TEST(results_and_flags_are_those_of_the_processor) /* _i: the operation */
{
    static const uint8_t precisions[] = { 24, 64, 53, 64 };

    state = 20261122 + (uint64_t)_i;
    for (unsigned n = 0; n < NATIVE_ROUNDS; n++) {
        struct float80 a = random_float80(), b = random_float80();
        static const uint8_t controls[] = { 0, 2, 3 }; /* 01 is reserved */
        unsigned rounding = n & 3, pc = controls[(n >> 2) % 3];
        uint16_t sw, cw;
        long double na, nb;

        cw = (uint16_t)(0x7f | pc << 8 | rounding << 10);
        env = (struct float80_env){ .rounding = (uint8_t)rounding,
                                    .precision = precisions[pc],
                                    .masks = 0x3f };
        to_native(a, &na);
        to_native(b, &nb);
        operations[_i].native(&na, &nb, cw, &sw);
        struct float80 r = operations[_i].ours(&env, a, b);
        long double nr;
        to_native(r, &nr);
        ck_assert_msg(memcmp(&na, &nr, 10) == 0 && (sw & 0x3f) == env.flags &&
                          (sw >> 9 & 1) == env.up,
                      "%s %04x:%016llx, %04x:%016llx, cw %04x: ours %04x:%016llx flags %02x",
                      operations[_i].name, a.sign_exponent, (unsigned long long)a.significand,
                      b.sign_exponent, (unsigned long long)b.significand, cw, r.sign_exponent,
                      (unsigned long long)r.significand, env.flags);
    }
}
END_TEST

#endif

Suite *suite_cpu_float80(void)
{
    Suite *s = suite_create("cpu/float80");
    TCase *c = tcase_create("values");

    tcase_add_checked_fixture(c, setup, NULL);
    tcase_add_test(c, a_third_is_rounded_by_precision_and_rounding_control);
    tcase_add_test(c, overflow_is_infinity_or_the_largest_number);
    tcase_add_test(c, unmasked_overflow_and_underflow_wrap_the_exponent_by_24576);
    tcase_add_test(c, an_exact_tiny_result_underflows_only_when_unmasked);
    tcase_add_test(c, an_inexact_tiny_result_underflows);
    tcase_add_test(c, invalid_operations_give_the_indefinite);
    tcase_add_test(c, a_finite_number_divided_by_zero_is_infinity);
    tcase_add_test(c, denormals_and_pseudo_denormals_raise_D);
    tcase_add_test(c, the_nan_with_the_larger_significand_survives_and_snans_become_quiet);
    tcase_add_test(c, compare_of_a_quiet_nan_is_invalid_unless_quiet);
    tcase_add_test(c, integers_out_of_range_are_the_integer_indefinite);
    tcase_add_test(c, two_and_a_half_rounds_to_even);
    tcase_add_test(c, bcd_there_and_back);
    tcase_add_test(c, a_denormal_single_is_remembered_not_raised);
    tcase_add_test(c, fprem_goes_part_of_the_way_when_exponents_differ_by_64);
#ifdef __x86_64__
    tcase_add_loop_test(c, results_and_flags_are_those_of_the_processor, 0,
                        (int)(sizeof operations / sizeof operations[0]));
#endif
    suite_add_tcase(s, c);
    return s;
}
