/* The decoder's rules that no single row shows: prefixes and their order, REX, addressing forms,
 * length limits. [SDM 2A "Instruction Format"] */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpu.h"
#include "cpu/decode.h"
#include "tests/diff/random_insn.h"

static struct insn in;
static enum decode_result result;

static void decode_bytes(uint32_t key, const uint8_t *bytes, size_t count)
{
    uint64_t features[FEATURE_WORDS];

    memset(features, 0xff, sizeof features);
    memset(&in, 0, sizeof in);
    result = decode(&in, bytes, count, key, features);
}

#define DECODE(key, ...) \
    decode_bytes(key, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

START_TEST(rex_counts_only_right_before_the_opcode)
{
    DECODE(KEY_CODE64, 0x48, 0x66, 0x89, 0xd8); /* mov ax, bx */
    ck_assert_uint_eq(in.size, 1);
    DECODE(KEY_CODE64, 0x66, 0x48, 0x89, 0xd8); /* mov rax, rbx */
    ck_assert_uint_eq(in.size, 3);
    DECODE(KEY_CODE64, 0x48, 0x41, 0x89, 0xd8); /* mov r8d, ebx: the last one */
    ck_assert_uint_eq(in.size, 2);
    ck_assert_uint_eq(in.rm, 8);
}
END_TEST

START_TEST(rex_makes_spl_of_ah)
{
    DECODE(KEY_CODE64, 0x88, 0xe0); /* mov al, ah */
    ck_assert_uint_eq(in.reg, 1);
    DECODE(KEY_CODE64, 0x40, 0x88, 0xe0); /* mov al, spl */
    ck_assert_uint_eq(in.reg, 8 * RSP);
}
END_TEST

START_TEST(null_segment_prefixes_do_not_undo_fs_in_64_bit_mode)
{
    DECODE(KEY_CODE64, 0x64, 0x2e, 0x8b, 0x00); /* mov eax, fs:[rax] */
    ck_assert_uint_eq(in.seg, SEG_FS);
    DECODE(KEY_CODE64, 0x2e, 0x8b, 0x00);
    ck_assert_uint_eq(in.base_seg, SEG_FLAT);
    DECODE(KEY_CODE32, 0x64, 0x2e, 0x8b, 0x00); /* elsewhere the last one counts */
    ck_assert_uint_eq(in.seg, SEG_CS);
}
END_TEST

START_TEST(the_last_of_f2_and_f3_is_the_mandatory_prefix)
{
    DECODE(KEY_CODE64, 0xf3, 0xf2, 0x0f, 0x58, 0xc1);
    ck_assert_uint_eq(in.id, INSN_ADDSD);
    DECODE(KEY_CODE64, 0xf2, 0xf3, 0x0f, 0x58, 0xc1);
    ck_assert_uint_eq(in.id, INSN_ADDSS);
    DECODE(KEY_CODE64, 0xf3, 0x66, 0x0f, 0x58, 0xc1); /* 66H does not stand against them */
    ck_assert_uint_eq(in.id, INSN_ADDSS);
}
END_TEST

START_TEST(a_mandatory_prefix_that_an_opcode_does_not_have_makes_it_invalid)
{
    DECODE(KEY_CODE64, 0xf3, 0x0f, 0x71, 0xd1, 0x01); /* psrlw mm1 */
    ck_assert_uint_eq(in.id, INSN_INVALID);
    DECODE(KEY_CODE64, 0x66, 0x0f, 0xae, 0x03); /* fxsave */
    ck_assert_uint_eq(in.id, INSN_INVALID);
    DECODE(KEY_CODE64, 0xf2, 0x0f, 0xc7, 0x23); /* xsavec */
    ck_assert_uint_eq(in.id, INSN_INVALID);
    DECODE(KEY_CODE64, 0xf3, 0x0f, 0xae, 0xe8); /* lfence */
    ck_assert_uint_eq(in.id, INSN_INVALID);
    DECODE(KEY_CODE64, 0x66, 0x0f, 0xc7, 0xf8); /* rdseed ax: 66H is an operand size */
    ck_assert_uint_ne(in.id, INSN_INVALID);
    ck_assert_uint_eq(in.size, 1);
}
END_TEST

START_TEST(lock_needs_a_memory_destination_of_an_instruction_that_allows_it)
{
    DECODE(KEY_CODE64, 0xf0, 0x01, 0x18); /* lock add [rax], ebx */
    ck_assert_uint_eq(in.id, INSN_ADD_Ev_Gv);
    DECODE(KEY_CODE64, 0xf0, 0x01, 0xd8); /* lock add eax, ebx */
    ck_assert_uint_eq(in.id, INSN_INVALID);
    DECODE(KEY_CODE64, 0xf0, 0x03, 0x18); /* lock add ebx, [rax] */
    ck_assert_uint_eq(in.id, INSN_INVALID);
    DECODE(KEY_CODE64, 0xf0, 0x39, 0x18); /* lock cmp [rax], ebx */
    ck_assert_uint_eq(in.id, INSN_INVALID);
}
END_TEST

START_TEST(sixteen_bytes_are_too_long_whatever_they_are)
{
    uint8_t bytes[16];

    memset(bytes, 0x2e, sizeof bytes);
    bytes[14] = 0x90;
    decode_bytes(KEY_CODE32, bytes, 15);
    ck_assert_int_eq(result, DECODE_OK);
    ck_assert_uint_eq(in.length, 15);
    bytes[14] = 0x2e;
    bytes[15] = 0x90;
    decode_bytes(KEY_CODE32, bytes, 16);
    ck_assert_int_eq(result, DECODE_TOO_LONG);
}
END_TEST

START_TEST(the_default_segment_follows_the_base_register)
{
    DECODE(KEY_CODE32, 0x8b, 0x45, 0x00); /* [ebp] */
    ck_assert_uint_eq(in.seg, SEG_SS);
    DECODE(KEY_CODE32, 0x8b, 0x04, 0x2d, 0, 0, 0, 0); /* [ebp * 1 + 0]: an index only */
    ck_assert_uint_eq(in.seg, SEG_DS);
    DECODE(KEY_CODE32, 0x8b, 0x04, 0x24); /* [esp] */
    ck_assert_uint_eq(in.seg, SEG_SS);
    DECODE(KEY_CODE16, 0x8b, 0x02); /* [bp + si] */
    ck_assert_uint_eq(in.seg, SEG_SS);
    DECODE(KEY_CODE16, 0x8b, 0x06, 0x34, 0x12); /* [1234H] */
    ck_assert_uint_eq(in.seg, SEG_DS);
    DECODE(KEY_CODE32, 0x3e, 0x8b, 0x45, 0x00); /* ds:[ebp] */
    ck_assert_uint_eq(in.seg, SEG_DS);
}
END_TEST

START_TEST(r12_can_be_an_index_and_r13_needs_a_displacement)
{
    DECODE(KEY_CODE64, 0x42, 0x8b, 0x04, 0x20); /* [rax + r12] */
    ck_assert_uint_eq(in.index, R12);
    DECODE(KEY_CODE64, 0x8b, 0x04, 0x20); /* [rax]: index 4 is none */
    ck_assert_uint_eq(in.index, REG_ZERO);
    DECODE(KEY_CODE64, 0x41, 0x8b, 0x45, 0x10); /* [r13 + 16] */
    ck_assert_uint_eq(in.base, R13);
    DECODE(KEY_CODE64, 0x41, 0x8b, 0x05, 4, 0, 0, 0); /* [rip + 4]: REX.B is not decoded */
    ck_assert_uint_eq(in.base, REG_BLOCK_RIP);
    ck_assert_int_eq(in.disp, 4 + 7);
}
END_TEST

START_TEST(near_branches_ignore_66_in_64_bit_mode_only)
{
    DECODE(KEY_CODE64, 0x66, 0xe9, 0x10, 0, 0, 0);
    ck_assert_uint_eq(in.length, 6);
    DECODE(KEY_CODE32, 0x66, 0xe9, 0x10, 0);
    ck_assert_uint_eq(in.length, 4);
    DECODE(KEY_CODE16, 0xe9, 0x10, 0);
    ck_assert_uint_eq(in.length, 3);
}
END_TEST

/* 32 bytes that begin with an example of a row, the rest being anything */
static void random_code(struct random *r, uint8_t code[32])
{
    const struct insn_row *row = &insn_rows[1 + random_below(r, INSN_COUNT - 1)];

    for (unsigned i = 0; i < 32; i += 8)
        memcpy(code + i, &(uint64_t){ random_u64(r) }, 8);
    if (!random_one_in(r, 8))
        memcpy(code, row->code, row->length > 4 ? row->length - 4u : row->length);
}

START_TEST(what_is_remembered_is_what_would_be_decoded)
{
    uint64_t features[FEATURE_WORDS];
    struct decode_memo *memo;
    struct random r = { 1 };

    memset(features, 0xff, sizeof features);
    memo = decode_memo_create(features);
    for (unsigned n = 0; n < 300000; n++) {
        struct insn again = { .start = (uint16_t)n };
        enum decode_result r_again;
        uint8_t code[32];

        random_code(&r, code);
        in.start = (uint16_t)n;
        result = decode(&in, code, 15, KEY_CODE64, features);
        r_again = decode_again(memo, &again, code, sizeof code, KEY_CODE64);
        ck_assert_int_eq(r_again, result);
        if (result == DECODE_OK)
            ck_assert_mem_eq(&again, &in, sizeof in);
    }
    free(memo);
}
END_TEST

Suite *suite_cpu_decode(void)
{
    Suite *s = suite_create("cpu/decode");
    TCase *t = tcase_create("rules");

    tcase_add_test(t, rex_counts_only_right_before_the_opcode);
    tcase_add_test(t, rex_makes_spl_of_ah);
    tcase_add_test(t, null_segment_prefixes_do_not_undo_fs_in_64_bit_mode);
    tcase_add_test(t, the_last_of_f2_and_f3_is_the_mandatory_prefix);
    tcase_add_test(t, a_mandatory_prefix_that_an_opcode_does_not_have_makes_it_invalid);
    tcase_add_test(t, lock_needs_a_memory_destination_of_an_instruction_that_allows_it);
    tcase_add_test(t, sixteen_bytes_are_too_long_whatever_they_are);
    tcase_add_test(t, the_default_segment_follows_the_base_register);
    tcase_add_test(t, r12_can_be_an_index_and_r13_needs_a_displacement);
    tcase_add_test(t, near_branches_ignore_66_in_64_bit_mode_only);
    tcase_add_test(t, what_is_remembered_is_what_would_be_decoded);
    suite_add_tcase(s, t);
    return s;
}
