/* Lazy flags (cpu/flags.h) and arithmetic with flags (cpu/alu*.h) against a bit-by-bit model.
 * The processor under us judges the same functions in diff/vs_processor.c where there is one.
 * [SDM 1 "EFLAGS Register"] */
#include <check.h>

#include "cpu/alu.h"
#include "cpu/alu_muldiv.h"
#include "cpu/alu_shift.h"

enum { C = 1, PF_ = 4, A = 0x10, Z = 0x40, S = 0x80, O = 0x800, ALL = 0x8d5 };

static const uint64_t edges[] = { 0, 1, 2, 7, 8, 15, 16, 0x7f, 0x80, 0x81, 0xfe, 0xff, 0x55, 0xaa };

/* ck_assert_uint_eq leaves a note each time: too slow for half a million */
static void same(uint64_t a, uint64_t b)
{
    if (a != b)
        ck_assert_uint_eq(a, b);
}

/* flags of a + b + carry (or a - b - carry) by the manual's words, for bytes */
static uint64_t model(unsigned a, unsigned b, unsigned carry, bool subtract)
{
    unsigned r = subtract ? a - b - carry : a + b + carry;
    unsigned low = subtract ? (a & 15) - (b & 15) - carry : (a & 15) + (b & 15) + carry;
    int sr = subtract ? (int8_t)a - (int8_t)b - (int)carry : (int8_t)a + (int8_t)b + (int)carry;
    unsigned ones = 0;

    for (unsigned i = 0; i < 8; i++)
        ones += r >> i & 1;
    return (r & 0x100 ? C : 0) | (ones % 2 ? 0 : PF_) | (low & 0x10 ? A : 0) |
           ((r & 0xff) == 0 ? Z : 0) | (r & 0x80 ? S : 0) | (sr < -128 || sr > 127 ? O : 0);
}

START_TEST(every_combination_of_flags_can_be_set_and_read)
{
    for (unsigned i = 0; i < 64; i++) {
        uint64_t v = (i & 1) | (i >> 1 & 1) << 2 | (i >> 2 & 1) << 4 | (i >> 3 & 1) << 6 |
                     (i >> 4 & 1) << 7 | (i >> 5 & 1) << 11;
        struct flags f;

        flags_set(&f, v);
        ck_assert_uint_eq(flags_get(&f), v);
        flags_set_cf(&f, true);
        ck_assert_uint_eq(flags_get(&f), v | C);
        flags_set_cf(&f, false);
        ck_assert_uint_eq(flags_get(&f), v & ~(uint64_t)C);
        flags_change(&f, S | A, A);
        ck_assert_uint_eq(flags_get(&f), (v & ~(uint64_t)(C | S)) | A);
    }
}
END_TEST

/* [SDM 1 "EFLAGS Condition Codes"] */
START_TEST(conditions_are_those_of_the_manuals_table)
{
    for (unsigned i = 0; i < 64; i++) {
        bool c = i & 1, p = i & 2, z = i & 4, s = i & 8, o = i & 16;
        bool expected[8] = { o, c, z, c || z, s, p, s != o, z || s != o };
        struct flags f;

        flags_set(&f, (c ? C : 0) | (p ? PF_ : 0) | (z ? Z : 0) | (s ? S : 0) | (o ? O : 0));
        for (unsigned cc = 0; cc < 16; cc++)
            ck_assert_int_eq(flags_condition(&f, cc), expected[cc / 2] != (cc & 1));
    }
}
END_TEST

START_TEST(byte_additions_and_subtractions_set_the_models_flags)
{
    for (unsigned a = 0; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++) {
            struct flags f;

            same((uint8_t)alu_add(&f, a, b, 1), (uint8_t)(a + b));
            same(flags_get(&f), model(a, b, 0, false));
            same((uint8_t)alu_sub(&f, a, b, 1), (uint8_t)(a - b));
            same(flags_get(&f), model(a, b, 0, true));
            flags_set(&f, C);
            same((uint8_t)alu_adc(&f, a, b, 1), (uint8_t)(a + b + 1));
            same(flags_get(&f), model(a, b, 1, false));
            flags_set(&f, C);
            same((uint8_t)alu_sbb(&f, a, b, 1), (uint8_t)(a - b - 1));
            same(flags_get(&f), model(a, b, 1, true));
        }
    }
}
END_TEST

START_TEST(wider_additions_carry_at_their_own_top)
{
    for (unsigned size = 2; size <= 8; size *= 2) {
        uint64_t top = BIT(8 * size - 1), all = top | (top - 1);
        struct flags f;

        alu_add(&f, all, 1, size);
        ck_assert_uint_eq(flags_get(&f), C | PF_ | A | Z);
        alu_add(&f, top - 1, 1, size);
        ck_assert_uint_eq(flags_get(&f), O | S | A | PF_);
        alu_sub(&f, top, 1, size);
        ck_assert_uint_eq(flags_get(&f), O | A | PF_);
    }
}
END_TEST

START_TEST(inc_and_dec_are_add_and_sub_of_1_that_leave_CF)
{
    for (unsigned a = 0; a < 256; a++) {
        for (unsigned carry = 0; carry < 2; carry++) {
            struct flags f;

            flags_set(&f, carry);
            same((uint8_t)alu_inc(&f, a, 1), (uint8_t)(a + 1));
            same(flags_get(&f), (model(a, 1, 0, false) & ~(uint64_t)C) | carry);
            flags_set(&f, carry);
            same((uint8_t)alu_dec(&f, a, 1), (uint8_t)(a - 1));
            same(flags_get(&f), (model(a, 1, 0, true) & ~(uint64_t)C) | carry);
        }
    }
}
END_TEST

START_TEST(neg_sets_CF_unless_the_operand_is_0)
{
    struct flags f;

    ck_assert_uint_eq(alu_neg(&f, 0, 8), 0);
    ck_assert_uint_eq(flags_get(&f), Z | PF_);
    ck_assert_uint_eq((uint8_t)alu_neg(&f, 0x80, 1), 0x80);
    ck_assert_uint_eq(flags_get(&f), C | O | S);
}
END_TEST

/* a rotate or shift by n is n of them by 1: results and CF, of every count */
START_TEST(shifts_by_n_are_n_shifts_by_1)
{
    uint64_t (*const ops[])(struct flags *, uint64_t, unsigned,
                            unsigned) = { alu_rol, alu_ror, alu_rcl, alu_rcr,
                                          alu_shl, alu_shr, alu_sar };

    for (unsigned op = 0; op < 7; op++) {
        for (unsigned size = 1; size <= 8; size *= 2) {
            for (unsigned e = 0; e < 2 * sizeof edges / sizeof edges[0]; e++) {
                uint64_t start = edges[e / 2] << (e & 1 ? 8 * size - 8 : 0), one = start;
                struct flags f1, f;

                flags_set(&f1, C | A);
                for (unsigned n = 0; n < (size == 8 ? 64 : 32); n++) {
                    uint64_t r;

                    flags_set(&f, C | A);
                    r = ops[op](&f, start, n, size);
                    same(zero_extend(r, size), zero_extend(one, size));
                    same(flags_get(&f) & C, flags_get(&f1) & C);
                    one = ops[op](&f1, one, 1, size);
                }
            }
        }
    }
}
END_TEST

START_TEST(a_masked_count_of_0_changes_no_flag)
{
    struct flags f;

    flags_set(&f, ALL);
    ck_assert_uint_eq(alu_shl(&f, 0x12, 32, 4), 0x12);
    ck_assert_uint_eq(alu_rcr(&f, 0x12, 64, 8), 0x12);
    ck_assert_uint_eq(alu_shld(&f, 0x12, 0xff, 32, 2), 0x12);
    ck_assert_uint_eq(flags_get(&f), ALL);
}
END_TEST

START_TEST(rotating_by_the_width_keeps_the_operand_and_sets_CF)
{
    struct flags f;

    flags_set(&f, 0);
    ck_assert_uint_eq((uint8_t)alu_rol(&f, 0x81, 8, 1), 0x81);
    ck_assert_uint_eq(flags_get(&f) & C, C);
    flags_set(&f, C); /* 9 bits: the operand and CF come round */
    ck_assert_uint_eq((uint8_t)alu_rcl(&f, 0x42, 9, 1), 0x42);
    ck_assert_uint_eq(flags_get(&f) & C, C);
}
END_TEST

/* [SDM 2B "SHLD", "SHRD"] */
START_TEST(double_shifts_bring_in_the_bits_of_the_other_register)
{
    struct flags f;

    ck_assert_uint_eq((uint32_t)alu_shld(&f, 0x12345678, 0x9abcdef0, 8, 4), 0x3456789a);
    ck_assert_uint_eq((uint32_t)alu_shrd(&f, 0x12345678, 0x9abcdef0, 8, 4), 0xf0123456);
    ck_assert_uint_eq((uint16_t)alu_shld(&f, 0x1234, 0x5678, 16, 2), 0x5678);
    ck_assert_uint_eq(alu_shld(&f, BIT(63), BIT(63), 1, 8), 1);
    ck_assert_uint_eq(flags_get(&f) & (C | O), C | O); /* the sign has changed */
}
END_TEST

START_TEST(products_set_CF_and_OF_when_the_upper_half_matters)
{
    struct flags f;
    uint64_t high;

    ck_assert_uint_eq(alu_mul(&f, 0xff, 0xff, &high, 1), 0xfe01);
    ck_assert_uint_eq(flags_get(&f) & (C | O), C | O);
    ck_assert_uint_eq((uint16_t)alu_imul(&f, 0xff, 0xff, &high, 1), 1); /* -1 * -1 */
    ck_assert_uint_eq(flags_get(&f) & (C | O), 0);
    ck_assert_uint_eq(alu_mul(&f, UINT64_MAX, UINT64_MAX, &high, 8), 1);
    ck_assert_uint_eq(high, UINT64_MAX - 1);
    ck_assert_uint_eq(alu_imul(&f, BIT(63), UINT64_MAX, &high, 8), BIT(63));
    ck_assert_uint_eq(high, 0);
    ck_assert_uint_eq(flags_get(&f) & (C | O), C | O);
}
END_TEST

START_TEST(a_quotient_that_does_not_fit_is_refused)
{
    uint64_t q = 42, r = 43;

    ck_assert(!alu_div(0, 5, 0, &q, &r, 4));
    ck_assert(!alu_div(5, 0, 5, &q, &r, 8));
    ck_assert(alu_div(4, 0, 5, &q, &r, 8));
    ck_assert(alu_div(0, 7, 2, &q, &r, 1));
    ck_assert_uint_eq(q, 3);
    ck_assert_uint_eq(r, 1);
}
END_TEST

START_TEST(signed_division_truncates_and_refuses_minimum_by_minus_1)
{
    uint64_t q, r;

    ck_assert(alu_idiv(0xff, 0xf9, 2, &q, &r, 1)); /* -7 / 2 */
    ck_assert_uint_eq((uint8_t)q, (uint8_t)-3);
    ck_assert_uint_eq((uint8_t)r, (uint8_t)-1);
    ck_assert(!alu_idiv(0xff, 0x80, 0xff, &q, &r, 1)); /* -128 / -1 */
    ck_assert(alu_idiv(0xff, 0x80, 1, &q, &r, 1));
    ck_assert_uint_eq((uint8_t)q, 0x80);
    ck_assert(!alu_idiv(UINT64_MAX, BIT(63), UINT64_MAX, &q, &r, 8));
    ck_assert(alu_idiv(BIT(63), 0, BIT(63), &q, &r, 8) == false);
    ck_assert(alu_idiv(UINT64_MAX, BIT(63), 2, &q, &r, 8));
    ck_assert_uint_eq(q, (uint64_t)INT64_MIN / 2 | BIT(63));
}
END_TEST

Suite *suite_cpu_alu(void)
{
    Suite *s = suite_create("cpu/alu");
    TCase *c = tcase_create("flags");

    tcase_add_test(c, every_combination_of_flags_can_be_set_and_read);
    tcase_add_test(c, conditions_are_those_of_the_manuals_table);
    tcase_add_test(c, byte_additions_and_subtractions_set_the_models_flags);
    tcase_add_test(c, wider_additions_carry_at_their_own_top);
    tcase_add_test(c, inc_and_dec_are_add_and_sub_of_1_that_leave_CF);
    tcase_add_test(c, neg_sets_CF_unless_the_operand_is_0);
    suite_add_tcase(s, c);
    c = tcase_create("shifts");
    tcase_add_test(c, shifts_by_n_are_n_shifts_by_1);
    tcase_add_test(c, a_masked_count_of_0_changes_no_flag);
    tcase_add_test(c, rotating_by_the_width_keeps_the_operand_and_sets_CF);
    tcase_add_test(c, double_shifts_bring_in_the_bits_of_the_other_register);
    suite_add_tcase(s, c);
    c = tcase_create("products and quotients");
    tcase_add_test(c, products_set_CF_and_OF_when_the_upper_half_matters);
    tcase_add_test(c, a_quotient_that_does_not_fit_is_refused);
    tcase_add_test(c, signed_division_truncates_and_refuses_minimum_by_minus_1);
    suite_add_tcase(s, c);
    return s;
}
