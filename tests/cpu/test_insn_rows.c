/* The instruction table: each row's example bytes decode to the row, Capstone reads them the same
 * way, and the columns make sense together. All rows in one process: a bad row is printed, and the
 * test fails at the end. */
#include <capstone/capstone.h>
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "cpu/cpu.h"
#include "cpu/decode.h"
#include "cpu/insn.h"

static unsigned bad_rows;

#define BAD(id, ...)                                 \
    do {                                             \
        fprintf(stderr, "row %s: ", insn_names[id]); \
        fprintf(stderr, __VA_ARGS__);                \
        fputc('\n', stderr);                         \
        bad_rows++;                                  \
    } while (0)

static const struct {
    uint8_t kind, size;
} operands[OP_COUNT] = {
#define OPERAND(letter, kind, size) [OP_##letter] = { KIND_##kind, SIZE_##size },
#include "cpu/operands.def"
};

static uint64_t all_features[FEATURE_WORDS];

static void setup(void)
{
    bad_rows = 0;
    memset(all_features, 0xff, sizeof all_features);
}

static uint32_t row_key(const struct insn_row *row)
{
    return row->traits & T_NO64 ? KEY_CODE32 : KEY_CODE64;
}

START_TEST(each_row_decodes_its_example_to_itself)
{
    for (unsigned id = INSN_INVALID + 1; id < INSN_COUNT; id++) {
        const struct insn_row *row = &insn_rows[id];
        struct insn in = { .start = 0 };
        enum decode_result r = decode(&in, (const uint8_t *)row->code, row->length, row_key(row),
                                      all_features);

        if (row->length == 0 || row->length > 15)
            BAD(id, "its example has %u bytes", row->length);
        else if (r != DECODE_OK)
            BAD(id, "decode of its example returns %d", r);
        else if (in.id != id)
            BAD(id, "its example decodes to %s", insn_names[in.id]);
        else if (in.length != row->length)
            BAD(id, "its example has %u bytes, %u were decoded", row->length, in.length);
        else if (in.exec != row->exec->fn[in.size][(in.flags & IN_MEM) != 0])
            BAD(id, "decode chose another function");
    }
    ck_assert_uint_eq(bad_rows, 0);
}
END_TEST

START_TEST(an_example_cut_short_asks_for_more_bytes)
{
    for (unsigned id = INSN_INVALID + 1; id < INSN_COUNT; id++) {
        const struct insn_row *row = &insn_rows[id];

        for (unsigned n = 0; n < row->length; n++) {
            struct insn in = { .start = 0 };
            enum decode_result r = decode(&in, (const uint8_t *)row->code, n, row_key(row),
                                          all_features);

            if (r != DECODE_SHORT)
                BAD(id, "decode of its first %u of %u bytes returns %d", n, row->length, r);
        }
    }
    ck_assert_uint_eq(bad_rows, 0);
}
END_TEST

/* A second opinion. A row without text is one that Capstone does not know. */
START_TEST(capstone_reads_each_example_as_the_row_says)
{
    csh cs[2];

    ck_assert_int_eq(cs_open(CS_ARCH_X86, CS_MODE_32, &cs[0]), CS_ERR_OK);
    ck_assert_int_eq(cs_open(CS_ARCH_X86, CS_MODE_64, &cs[1]), CS_ERR_OK);
    for (unsigned id = INSN_INVALID + 1; id < INSN_COUNT; id++) {
        const struct insn_row *row = &insn_rows[id];
        csh h = cs[!(row->traits & T_NO64)];
        cs_insn *in = NULL;
        char text[256];

        if (!*row->text)
            continue;
        if (cs_disasm(h, (const uint8_t *)row->code, row->length, 0, 1, &in) != 1) {
            BAD(id, "Capstone does not know its example; leave the text empty");
            continue;
        }
        snprintf(text, sizeof text, "%s%s%s", in->mnemonic, *in->op_str ? " " : "", in->op_str);
        if (in->size != row->length)
            BAD(id, "Capstone says %u bytes, not %u", in->size, row->length);
        else if (strcmp(text, row->text) != 0)
            BAD(id, "Capstone says '%s', not '%s'", text, row->text);
        cs_free(in, 1);
    }
    cs_close(&cs[0]);
    cs_close(&cs[1]);
    ck_assert_uint_eq(bad_rows, 0);
}
END_TEST

START_TEST(every_function_slot_is_filled)
{
    for (unsigned id = INSN_INVALID; id < INSN_COUNT; id++) {
        for (unsigned i = 0; i < 8; i++) {
            if (!insn_rows[id].exec || !insn_rows[id].exec->fn[i / 2][i % 2])
                BAD(id, "no function for size %u, form %u", i / 2, i % 2);
        }
    }
    ck_assert_uint_eq(bad_rows, 0);
}
END_TEST

static bool has_both(uint32_t traits, uint32_t a, uint32_t b)
{
    return (traits & a) && (traits & b);
}

START_TEST(no_row_has_traits_that_exclude_each_other)
{
    for (unsigned id = INSN_INVALID + 1; id < INSN_COUNT; id++) {
        uint32_t t = insn_rows[id].traits;

        if (has_both(t, T_NO64, T_ONLY64))
            BAD(id, "T_NO64 and T_ONLY64");
        if (has_both(t, T_D64, T_F64))
            BAD(id, "T_D64 and T_F64");
        if (has_both(t, T_MEM, T_REG))
            BAD(id, "T_MEM and T_REG");
        if (has_both(t, T_X87, T_SSE))
            BAD(id, "T_X87 and T_SSE");
        if (has_both(t, T_USER, T_NO64))
            BAD(id, "T_USER: a native 64-bit processor cannot run it");
        if (has_both(t, T_LOCK, T_REG))
            BAD(id, "T_LOCK needs a memory form");
    }
    ck_assert_uint_eq(bad_rows, 0);
}
END_TEST

START_TEST(no_flag_is_both_defined_and_undefined)
{
    for (unsigned id = INSN_INVALID + 1; id < INSN_COUNT; id++) {
        const struct insn_row *row = &insn_rows[id];

        if (row->writes & row->undefined)
            BAD(id, "writes and leaves undefined the same flags (%#x)",
                row->writes & row->undefined);
        if ((row->writes | row->undefined | row->reads) & ~0x8d5)
            BAD(id, "columns name flags that are not arithmetic");
        if (row->cost == 0)
            BAD(id, "costs nothing");
        if (row->feature >= FEAT_COUNT || row->map >= MAP_COUNT || !*row->mnemonic)
            BAD(id, "feature, map or mnemonic");
    }
    ck_assert_uint_eq(bad_rows, 0);
}
END_TEST

/* LOCK is for a destination in memory: the first operand's kind must allow one. */
START_TEST(rows_that_allow_lock_have_a_memory_destination)
{
    for (unsigned id = INSN_INVALID + 1; id < INSN_COUNT; id++) {
        unsigned kind = operands[insn_rows[id].op[0]].kind;

        if (insn_rows[id].traits & T_LOCK && kind != KIND_RM && kind != KIND_MEM)
            BAD(id, "T_LOCK, but operand 1 is never in memory");
    }
    ck_assert_uint_eq(bad_rows, 0);
}
END_TEST

/* What runs natively in a differential test must not need privilege. */
START_TEST(user_rows_touch_no_system_register)
{
    for (unsigned id = INSN_INVALID + 1; id < INSN_COUNT; id++) {
        const struct insn_row *row = &insn_rows[id];

        for (unsigned i = 0; row->traits & T_USER && i < 3; i++) {
            unsigned kind = operands[row->op[i]].kind;

            if (kind == KIND_CTLREG || kind == KIND_DBGREG)
                BAD(id, "T_USER with a system register");
        }
    }
    ck_assert_uint_eq(bad_rows, 0);
}
END_TEST

/* [SDM 2A "Instruction Set Reference"] relative branches end a block: control leaves it */
START_TEST(branches_end_their_block)
{
    for (unsigned id = INSN_INVALID + 1; id < INSN_COUNT; id++) {
        unsigned kind = operands[insn_rows[id].op[0]].kind;

        if ((kind == KIND_REL || kind == KIND_FAR) && !(insn_rows[id].traits & T_END))
            BAD(id, "a branch without T_END");
    }
    ck_assert_uint_eq(bad_rows, 0);
}
END_TEST

START_TEST(a_row_whose_feature_is_off_does_not_decode)
{
    for (unsigned id = INSN_INVALID + 1; id < INSN_COUNT; id++) {
        const struct insn_row *row = &insn_rows[id];
        uint64_t features[FEATURE_WORDS];
        struct insn in = { .start = 0 };

        if (row->feature == FEAT_BASE)
            continue;
        memset(features, 0xff, sizeof features);
        features[row->feature / 64] &= ~(UINT64_C(1) << row->feature % 64);
        if (decode(&in, (const uint8_t *)row->code, row->length, row_key(row), features) ==
                DECODE_OK &&
            in.id == id)
            BAD(id, "decodes although its feature is off");
    }
    ck_assert_uint_eq(bad_rows, 0);
}
END_TEST

Suite *suite_cpu_insn_rows(void)
{
    Suite *s = suite_create("cpu/insn_rows");
    TCase *t = tcase_create("rows");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, each_row_decodes_its_example_to_itself);
    tcase_add_test(t, an_example_cut_short_asks_for_more_bytes);
    tcase_add_test(t, capstone_reads_each_example_as_the_row_says);
    tcase_add_test(t, every_function_slot_is_filled);
    tcase_add_test(t, no_row_has_traits_that_exclude_each_other);
    tcase_add_test(t, no_flag_is_both_defined_and_undefined);
    tcase_add_test(t, rows_that_allow_lock_have_a_memory_destination);
    tcase_add_test(t, user_rows_touch_no_system_register);
    tcase_add_test(t, branches_end_their_block);
    tcase_add_test(t, a_row_whose_feature_is_off_does_not_decode);
    suite_add_tcase(s, t);
    return s;
}
