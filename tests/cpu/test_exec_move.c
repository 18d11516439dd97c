/* Data movement in 16- and 32-bit code, exchanges, and what depends on features.
 * [SDM 2A "Addressing-Mode Encoding of ModR/M and SIB Bytes", "CMPXCHG8B/CMPXCHG16B", "LAHF"] */
#include "tests/cpu/insn_lab.h"

static struct insn_lab *lab;
static struct cpu *cpu;

static void start(enum lab_mode mode)
{
    lab = lab_new(mode);
    cpu = lab->cpu;
}
static void teardown(void)
{
    lab_free(lab);
}

START_TEST(sixteen_bit_addresses_wrap_inside_the_segment)
{
    start(LAB_REAL);
    cpu->seg[SEG_DS].base = 0x10000;
    lab_write(lab, 0x10010, 0x1234, 2);
    cpu->r[RBX] = 0xfff0;
    cpu->r[RSI] = 0x0020;
    lab_exec(lab, 0x8b, 0x00); /* mov ax, [bx + si] */
    ck_assert_uint_eq(cpu->r[RAX], 0x1234);
}
END_TEST

START_TEST(bp_addresses_the_stack_segment)
{
    start(LAB_REAL);
    cpu->seg[SEG_SS].base = 0x20000;
    lab_write(lab, 0x20104, 0xabcd, 2);
    cpu->r[RBP] = 0x100;
    lab_exec(lab, 0x8b, 0x46, 0x04); /* mov ax, [bp + 4] */
    ck_assert_uint_eq(cpu->r[RAX], 0xabcd);
    cpu->seg[SEG_SS].limit = 0xff;
    ck_assert_int_eq(lab_exec(lab, 0x8b, 0x46, 0x04), 12);
    ck_assert_int_eq(lab_exec(lab, 0x26, 0x8b, 0x46, 0x04), LAB_NO_FAULT); /* es: */
}
END_TEST

START_TEST(a_store_to_a_read_only_segment_is_a_protection_fault)
{
    start(LAB_PROTECTED32);
    cpu->seg[SEG_DS].ar = 0xc091;
    seg_settle(&cpu->seg[SEG_DS]);
    ck_assert_int_eq(lab_exec(lab, 0x89, 0x05, 0x00, 0x30, 0x00, 0x00), 13);
    ck_assert_int_eq(lab_exec(lab, 0x01, 0x05, 0x00, 0x30, 0x00, 0x00), 13);
    ck_assert_int_eq(lab_exec(lab, 0x8b, 0x05, 0x00, 0x30, 0x00, 0x00), LAB_NO_FAULT);
}
END_TEST

START_TEST(moffs_has_the_size_of_addresses)
{
    start(LAB_REAL);
    lab_write(lab, 0x1234, 0xbeef, 2);
    ck_assert_int_eq(lab_exec(lab, 0xa1, 0x34, 0x12), LAB_NO_FAULT);
    ck_assert_uint_eq(cpu->r[RAX], 0xbeef);
    lab_exec(lab, 0x67, 0xa2, 0x00, 0x30, 0x00, 0x00);
    ck_assert_uint_eq(lab_read(lab, 0x3000, 2), 0xef);
}
END_TEST

START_TEST(xlat_indexes_with_AL_in_the_address_size)
{
    start(LAB_REAL);
    cpu->r[RBX] = 0xffff;
    cpu->r[RAX] = 0x5511;
    lab_write(lab, 0x0010, 0x77, 1);
    lab_exec(lab, 0xd7);
    ck_assert_uint_eq(cpu->r[RAX], 0x5577);
}
END_TEST

START_TEST(one_byte_inc_and_dec_exist_outside_64_bit_mode)
{
    start(LAB_PROTECTED32);
    cpu->r[RBX] = 0xffffffff;
    lab_exec(lab, 0x43);
    ck_assert_uint_eq(cpu->r[RBX], 0);
    lab_exec(lab, 0x66, 0x4b);
    ck_assert_uint_eq(cpu->r[RBX], 0xffff);
}
END_TEST

START_TEST(opcode_82H_is_80H_outside_64_bit_mode)
{
    start(LAB_PROTECTED32);
    lab_exec(lab, 0x82, 0xc3, 0x12); /* add bl, 12H */
    ck_assert_uint_eq(cpu->r[RBX], 0x12);
}
END_TEST

START_TEST(cmpxchg16b_of_a_misaligned_operand_is_a_protection_fault)
{
    start(LAB_LONG);
    cpu->r[RDI] = 0x3008;
    ck_assert_int_eq(lab_exec(lab, 0x48, 0x0f, 0xc7, 0x0f), 13);
    cpu->r[RDI] = 0x3010;
    ck_assert_int_eq(lab_exec(lab, 0x48, 0x0f, 0xc7, 0x0f), LAB_NO_FAULT);
}
END_TEST

static void without(enum feature f)
{
    cpu->features[f / 64] &= ~BIT(f % 64);
}

START_TEST(what_the_processor_does_not_have_is_undefined)
{
    start(LAB_LONG);
    without(FEAT_CX16);
    without(FEAT_MOVBE);
    without(FEAT_POPCNT);
    without(FEAT_CMOV);
    cpu->r[RDI] = 0x3010;
    ck_assert_int_eq(lab_exec(lab, 0x48, 0x0f, 0xc7, 0x0f), 6); /* cmpxchg16b */
    ck_assert_int_eq(lab_exec(lab, 0x0f, 0xc7, 0x0f), LAB_NO_FAULT);
    ck_assert_int_eq(lab_exec(lab, 0x0f, 0x38, 0xf0, 0x07), 6); /* movbe */
    ck_assert_int_eq(lab_exec(lab, 0xf3, 0x0f, 0xb8, 0xc0), 6); /* popcnt */
    ck_assert_int_eq(lab_exec(lab, 0x0f, 0x44, 0xc0), 6);       /* cmove */
}
END_TEST

START_TEST(lahf_needs_its_feature_in_64_bit_mode_only)
{
    start(LAB_LONG);
    without(FEAT_LAHF);
    ck_assert_int_eq(lab_exec(lab, 0x9f), 6);
    ck_assert_int_eq(lab_exec(lab, 0x9e), 6);
    lab_mode(lab, LAB_PROTECTED32);
    lab_set_flags(lab, 0xd5);
    ck_assert_int_eq(lab_exec(lab, 0x9f), LAB_NO_FAULT);
    ck_assert_uint_eq(cpu->r[RAX], 0xd700);
}
END_TEST

/* TZCNT and LZCNT are absent: their prefix means nothing */
START_TEST(bsf_ignores_F3)
{
    start(LAB_LONG);
    cpu->r[RAX] = 77;
    cpu->r[RBX] = 0;
    ck_assert_int_eq(lab_exec(lab, 0xf3, 0x0f, 0xbc, 0xc3), LAB_NO_FAULT);
    ck_assert_uint_eq(cpu->r[RAX], 77);
    cpu->r[RBX] = 0x10;
    lab_exec(lab, 0xf3, 0x0f, 0xbd, 0xc3); /* bsr, where LZCNT would give 27 */
    ck_assert_uint_eq(cpu->r[RAX], 4);
}
END_TEST

START_TEST(nop_with_a_memory_operand_does_not_touch_it)
{
    start(LAB_LONG);
    cpu->r[RAX] = 0x800000000000;
    ck_assert_int_eq(lab_exec(lab, 0x0f, 0x1f, 0x00), LAB_NO_FAULT);
    ck_assert_int_eq(lab_exec(lab, 0x0f, 0x18, 0x08), LAB_NO_FAULT);       /* prefetcht0 */
    ck_assert_int_eq(lab_exec(lab, 0xf3, 0x0f, 0x1e, 0xfa), LAB_NO_FAULT); /* endbr64 */
}
END_TEST

START_TEST(xchg_of_R8_is_not_NOP)
{
    start(LAB_LONG);
    cpu->r[RAX] = 1;
    cpu->r[R8] = 2;
    lab_exec(lab, 0x49, 0x90);
    ck_assert_uint_eq(cpu->r[RAX], 2);
    cpu->r[RAX] = UINT64_MAX;
    lab_exec(lab, 0x90); /* and NOP does not clear the upper half of RAX */
    lab_exec(lab, 0xf2, 0x90);
    lab_exec(lab, 0x66, 0x90);
    ck_assert_uint_eq(cpu->r[RAX], UINT64_MAX);
}
END_TEST

static void pause_asked(struct cpu *c, enum virt_insn which, uint64_t info)
{
    ck_assert_uint_eq(which, VIRT_PAUSE);
    c->r[RBX]++;
}

START_TEST(pause_asks_the_virtualization_that_wants_to_know)
{
    struct virt_ops ops = { .insn = pause_asked };

    start(LAB_LONG);
    cpu->virt = &ops;
    lab_exec(lab, 0xf3, 0x90);
    ck_assert_uint_eq(cpu->r[RBX], 0);
    cpu->virt_mask = BIT(VIRT_PAUSE);
    lab_exec(lab, 0xf3, 0x90);
    ck_assert_uint_eq(cpu->r[RBX], 1);
}
END_TEST

Suite *suite_cpu_exec_move(void)
{
    Suite *s = suite_create("cpu/exec_move");
    TCase *c = tcase_create("moves");

    tcase_add_checked_fixture(c, NULL, teardown);
    tcase_add_test(c, sixteen_bit_addresses_wrap_inside_the_segment);
    tcase_add_test(c, bp_addresses_the_stack_segment);
    tcase_add_test(c, a_store_to_a_read_only_segment_is_a_protection_fault);
    tcase_add_test(c, moffs_has_the_size_of_addresses);
    tcase_add_test(c, xlat_indexes_with_AL_in_the_address_size);
    tcase_add_test(c, one_byte_inc_and_dec_exist_outside_64_bit_mode);
    tcase_add_test(c, opcode_82H_is_80H_outside_64_bit_mode);
    tcase_add_test(c, cmpxchg16b_of_a_misaligned_operand_is_a_protection_fault);
    tcase_add_test(c, what_the_processor_does_not_have_is_undefined);
    tcase_add_test(c, lahf_needs_its_feature_in_64_bit_mode_only);
    tcase_add_test(c, bsf_ignores_F3);
    tcase_add_test(c, nop_with_a_memory_operand_does_not_touch_it);
    tcase_add_test(c, xchg_of_R8_is_not_NOP);
    tcase_add_test(c, pause_asks_the_virtualization_that_wants_to_know);
    suite_add_tcase(s, c);
    return s;
}
