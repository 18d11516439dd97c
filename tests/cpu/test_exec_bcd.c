/* Decimal arithmetic does what its name says. [SDM 2A "AAA" to "AAS", "DAA", "DAS"; SDM 1 "Decimal
 * Arithmetic Instructions"] */
#include "tests/cpu/insn_lab.h"

enum { CARRY = 1, AUX = 0x10, ZERO = 0x40, SIGN = 0x80, PARITY = 4 };

static struct insn_lab *lab;

static void setup(void)
{
    lab = lab_new(LAB_PROTECTED32);
}
static void teardown(void)
{
    lab_free(lab);
}

static uint8_t packed(unsigned n)
{
    return (uint8_t)(n / 10 % 10 << 4 | n % 10);
}

START_TEST(daa_after_add_gives_the_packed_sum)
{
    for (unsigned a = 0; a < 100; a++) {
        for (unsigned b = 0; b < 100; b++) {
            lab->cpu->r[RAX] = packed(a);
            lab->cpu->r[RBX] = packed(b);
            lab_exec(lab, 0x00, 0xd8); /* add al, bl */
            ck_assert_int_eq(lab_exec(lab, 0x27), LAB_NO_FAULT);
            ck_assert_uint_eq(lab->cpu->r[RAX], packed(a + b));
            ck_assert_uint_eq(lab_flags(lab) & CARRY, a + b > 99);
            ck_assert_uint_eq(!!(lab_flags(lab) & ZERO), (a + b) % 100 == 0);
        }
    }
}
END_TEST

START_TEST(das_after_sub_gives_the_packed_difference)
{
    for (unsigned a = 0; a < 100; a++) {
        for (unsigned b = 0; b < 100; b++) {
            lab->cpu->r[RAX] = packed(a);
            lab->cpu->r[RBX] = packed(b);
            lab_exec(lab, 0x28, 0xd8); /* sub al, bl */
            lab_exec(lab, 0x2f);
            ck_assert_uint_eq(lab->cpu->r[RAX], packed(100 + a - b));
            ck_assert_uint_eq(lab_flags(lab) & CARRY, a < b);
        }
    }
}
END_TEST

/* the example of [SDM 2A "DAA"] */
START_TEST(daa_of_AEH_is_14H_with_CF_and_AF)
{
    lab->cpu->r[RAX] = 0x79;
    lab->cpu->r[RBX] = 0x35;
    lab_exec(lab, 0x00, 0xd8);
    ck_assert_uint_eq(lab->cpu->r[RAX], 0xae);
    lab_exec(lab, 0x27);
    ck_assert_uint_eq(lab->cpu->r[RAX], 0x14);
    ck_assert_uint_eq(lab_flags(lab) & ~UINT64_C(0x800), CARRY | AUX | PARITY);
}
END_TEST

START_TEST(das_of_EEH_is_88H_with_CF_and_AF)
{
    lab->cpu->r[RAX] = 0x35;
    lab->cpu->r[RBX] = 0x47;
    lab_exec(lab, 0x28, 0xd8);
    ck_assert_uint_eq(lab->cpu->r[RAX], 0xee);
    lab_exec(lab, 0x2f);
    ck_assert_uint_eq(lab->cpu->r[RAX], 0x88);
    ck_assert_uint_eq(lab_flags(lab) & ~UINT64_C(0x800), CARRY | AUX | SIGN | PARITY);
}
END_TEST

START_TEST(aaa_after_add_carries_into_AH)
{
    for (unsigned a = 0; a < 10; a++) {
        for (unsigned b = 0; b < 10; b++) {
            lab->cpu->r[RAX] = 0x1200 | a;
            lab->cpu->r[RBX] = b;
            lab_exec(lab, 0x00, 0xd8);
            lab_exec(lab, 0x37);
            ck_assert_uint_eq(lab->cpu->r[RAX], 0x1200 + (a + b) / 10 * 0x100 + (a + b) % 10);
            ck_assert_uint_eq(lab_flags(lab) & (CARRY | AUX), a + b > 9 ? CARRY | AUX : 0);
        }
    }
}
END_TEST

START_TEST(aas_after_sub_borrows_from_AH)
{
    for (unsigned a = 0; a < 10; a++) {
        for (unsigned b = 0; b < 10; b++) {
            lab->cpu->r[RAX] = 0x1200 | a;
            lab->cpu->r[RBX] = b;
            lab_exec(lab, 0x28, 0xd8);
            lab_exec(lab, 0x3f);
            ck_assert_uint_eq(lab->cpu->r[RAX], 0x1200 - (a < b ? 0x100 : 0) + (10 + a - b) % 10);
            ck_assert_uint_eq(lab_flags(lab) & (CARRY | AUX), a < b ? CARRY | AUX : 0);
        }
    }
}
END_TEST

START_TEST(aam_takes_AL_apart_and_aad_puts_it_together)
{
    for (unsigned al = 0; al < 256; al++) {
        lab->cpu->r[RAX] = al;
        lab_exec(lab, 0xd4, 0x0a);
        ck_assert_uint_eq(lab->cpu->r[RAX], al / 10 << 8 | al % 10);
        ck_assert_uint_eq(!!(lab_flags(lab) & ZERO), al % 10 == 0);
        lab_exec(lab, 0xd5, 0x0a);
        ck_assert_uint_eq(lab->cpu->r[RAX], al);
        ck_assert_uint_eq(!!(lab_flags(lab) & SIGN), al > 127);
    }
}
END_TEST

START_TEST(aam_with_base_0_is_a_divide_error)
{
    lab->cpu->r[RAX] = 0x1234;
    ck_assert_int_eq(lab_exec(lab, 0xd4, 0x00), 0);
    ck_assert_uint_eq(lab->cpu->r[RAX], 0x1234);
}
END_TEST

START_TEST(none_of_them_exists_in_64_bit_mode)
{
    static const uint8_t opcodes[] = { 0x27, 0x2f, 0x37, 0x3f, 0xd4, 0xd5, 0x60, 0x61, 0x82 };

    lab_mode(lab, LAB_LONG);
    for (unsigned i = 0; i < sizeof opcodes; i++)
        ck_assert_int_eq(lab_exec(lab, opcodes[i], 0x0a, 0x0a), 6);
}
END_TEST

Suite *suite_cpu_exec_bcd(void)
{
    Suite *s = suite_create("cpu/exec_bcd");
    TCase *c = tcase_create("decimal");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, daa_after_add_gives_the_packed_sum);
    tcase_add_test(c, das_after_sub_gives_the_packed_difference);
    tcase_add_test(c, daa_of_AEH_is_14H_with_CF_and_AF);
    tcase_add_test(c, das_of_EEH_is_88H_with_CF_and_AF);
    tcase_add_test(c, aaa_after_add_carries_into_AH);
    tcase_add_test(c, aas_after_sub_borrows_from_AH);
    tcase_add_test(c, aam_takes_AL_apart_and_aad_puts_it_together);
    tcase_add_test(c, aam_with_base_0_is_a_divide_error);
    tcase_add_test(c, none_of_them_exists_in_64_bit_mode);
    suite_add_tcase(s, c);
    return s;
}
