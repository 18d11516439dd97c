/* Sizes and numbers as people write them on the command line. */
#include <check.h>
#include <string.h>

#include "frontend/options.h"
#include "include/nidus.h"

static const struct {
    const char *text;
    uint64_t bytes;
} sizes[] = {
    { "0", 0 },
    { "1", 1 },
    { "512M", 536870912 },
    { "4G", 4294967296 },
    { "64K", 65536 },
    { "64k", 65536 },
    { "1t", 1099511627776 },
    { "18446744073709551615", UINT64_MAX },
    { "16777215T", UINT64_C(16777215) << 40 },
};

START_TEST(a_size_is_a_number_and_perhaps_a_unit)
{
    char error[NIDUS_ERROR_SIZE];
    uint64_t bytes = 42;

    ck_assert(parse_size(sizes[_i].text, 1, &bytes, error));
    ck_assert_uint_eq(bytes, sizes[_i].bytes);
}
END_TEST

START_TEST(the_unit_of_a_plain_number_is_the_callers)
{
    char error[NIDUS_ERROR_SIZE];
    uint64_t bytes;

    ck_assert(parse_size("512", 1 << 20, &bytes, error));
    ck_assert_uint_eq(bytes, 536870912);
    ck_assert(parse_size("512K", 1 << 20, &bytes, error));
    ck_assert_uint_eq(bytes, 524288);
}
END_TEST

static const struct {
    const char *text, *message;
} bad_sizes[] = {
    { "", "'' is not a size; write it like 512M or 4G" },
    { "-1", "'-1' is not a size; write it like 512M or 4G" },
    { "+1", "'+1' is not a size; write it like 512M or 4G" },
    { " 1", "' 1' is not a size; write it like 512M or 4G" },
    { "M", "'M' is not a size; write it like 512M or 4G" },
    { "4X", "'4X': unknown unit 'X'; use K, M, G or T" },
    { "4 G", "'4 G': unknown unit ' G'; use K, M, G or T" },
    { "0x10", "'0x10': unknown unit 'x10'; use K, M, G or T" },
    { "1.5G", "'1.5G': unknown unit '.5G'; use K, M, G or T" },
    { "18446744073709551616", "'18446744073709551616' does not fit in 64 bits" },
    { "16777216T", "'16777216T' does not fit in 64 bits" },
};

START_TEST(what_is_no_size_is_named_and_changes_nothing)
{
    char error[NIDUS_ERROR_SIZE];
    uint64_t bytes = 42;

    ck_assert(!parse_size(bad_sizes[_i].text, 1, &bytes, error));
    ck_assert_str_eq(error, bad_sizes[_i].message);
    ck_assert_uint_eq(bytes, 42);
}
END_TEST

START_TEST(a_unit_of_more_than_one_letter_is_refused)
{
    char error[NIDUS_ERROR_SIZE];
    uint64_t bytes = 42;

    ck_assert(!parse_size("4GB", 1, &bytes, error));
    ck_assert_ptr_nonnull(strstr(error, "'4GB': unknown unit"));
    ck_assert_uint_eq(bytes, 42);
}
END_TEST

START_TEST(a_plain_number_that_overflows_in_the_callers_unit_is_refused)
{
    char error[NIDUS_ERROR_SIZE];
    uint64_t bytes = 42;

    ck_assert(!parse_size("17592186044416", 1 << 20, &bytes, error)); /* 2^44 MiB */
    ck_assert_str_eq(error, "'17592186044416' does not fit in 64 bits");
    ck_assert_uint_eq(bytes, 42);
}
END_TEST

START_TEST(a_number_is_decimal_octal_or_hexadecimal)
{
    char error[NIDUS_ERROR_SIZE];
    uint64_t n;

    ck_assert(parse_number("8", 1, 8, &n, error));
    ck_assert_uint_eq(n, 8);
    ck_assert(parse_number("0x10", 0, 100, &n, error));
    ck_assert_uint_eq(n, 16);
    ck_assert(parse_number("18446744073709551615", 0, UINT64_MAX, &n, error));
    ck_assert_uint_eq(n, UINT64_MAX);
}
END_TEST

static const char *const bad_numbers[] = {
    "", "-1", " 1", "0", "9", "eight", "1x", "18446744073709551616",
};

START_TEST(a_number_outside_its_range_is_refused)
{
    char error[NIDUS_ERROR_SIZE], expected[64];
    uint64_t n = 42;

    snprintf(expected, sizeof expected, "'%s' is not a number from 1 to 8", bad_numbers[_i]);
    ck_assert(!parse_number(bad_numbers[_i], 1, 8, &n, error));
    ck_assert_str_eq(error, expected);
    ck_assert_uint_eq(n, 42);
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof(a)[0]))

Suite *suite_frontend_parse_size(void)
{
    Suite *s = suite_create("frontend/parse_size");
    TCase *t = tcase_create("parse_size");

    tcase_add_loop_test(t, a_size_is_a_number_and_perhaps_a_unit, 0, COUNT(sizes));
    tcase_add_test(t, the_unit_of_a_plain_number_is_the_callers);
    tcase_add_loop_test(t, what_is_no_size_is_named_and_changes_nothing, 0, COUNT(bad_sizes));
    tcase_add_test(t, a_unit_of_more_than_one_letter_is_refused);
    tcase_add_test(t, a_plain_number_that_overflows_in_the_callers_unit_is_refused);
    tcase_add_test(t, a_number_is_decimal_octal_or_hexadecimal);
    tcase_add_loop_test(t, a_number_outside_its_range_is_refused, 0, COUNT(bad_numbers));
    suite_add_tcase(s, t);
    return s;
}
