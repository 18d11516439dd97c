/* Near branches outside 64-bit mode, their faults, and BOUND.
 * [SDM 2A "BOUND", "CALL", "Jcc", "JMP", "LOOP/LOOPcc"; SDM 2B "RET"] */
#include "tests/cpu/insn_lab.h"

static struct insn_lab *lab;
static struct cpu *cpu;

static void start(enum lab_mode mode)
{
    lab = lab_new(mode);
    cpu = lab->cpu;
    cpu->r[RSP] = 0x2000;
}
static void teardown(void)
{
    lab_free(lab);
}

START_TEST(a_16_bit_jump_wraps_at_64_KiB)
{
    start(LAB_REAL);
    cpu->rip = 0xfff0;
    ck_assert_int_eq(lab_exec(lab, 0xeb, 0x20), LAB_NO_FAULT);
    ck_assert_uint_eq(cpu->rip, 0x0012);
    cpu->rip = 0x0002;
    lab_exec(lab, 0xe9, 0xf0, 0xff);
    ck_assert_uint_eq(cpu->rip, 0xfff5);
}
END_TEST

START_TEST(operand_size_16_cuts_EIP_in_32_bit_code)
{
    start(LAB_PROTECTED32);
    cpu->rip = 0x12348000;
    lab_exec(lab, 0x66, 0xeb, 0x10);
    ck_assert_uint_eq(cpu->rip, 0x8013);
    cpu->rip = 0x12348000; /* not taken: nothing is cut */
    lab_set_flags(lab, 0);
    lab_exec(lab, 0x66, 0x74, 0x10);
    ck_assert_uint_eq(cpu->rip, 0x12348003);
}
END_TEST

START_TEST(eip_wraps_at_4_GiB)
{
    start(LAB_PROTECTED32);
    cpu->rip = 0xfffffff0;
    lab_exec(lab, 0xeb, 0x20);
    ck_assert_uint_eq(cpu->rip, 0x12);
}
END_TEST

START_TEST(a_target_beyond_the_limit_of_CS_is_a_fault_of_the_branch)
{
    start(LAB_PROTECTED32);
    cpu->seg[SEG_CS].limit = 0x8fff;
    ck_assert_int_eq(lab_exec(lab, 0xe9, 0x00, 0x10, 0x00, 0x00), 13);
    ck_assert_int_eq(lab_exec(lab, 0xe8, 0x00, 0x10, 0x00, 0x00), 13);
    ck_assert_uint_eq(cpu->rip, LAB_CODE);
    ck_assert_uint_eq(cpu->r[RSP], 0x2000); /* CALL has pushed nothing */
    lab_write(lab, 0x2000, 0x9000, 4);
    ck_assert_int_eq(lab_exec(lab, 0xc3), 13);
    ck_assert_uint_eq(cpu->r[RSP], 0x2000);
    cpu->r[RCX] = 5;
    cpu->rip = 0x8ff0;
    ck_assert_int_eq(lab_exec(lab, 0xe2, 0x10), 13);
    ck_assert_uint_eq(cpu->r[RCX], 5); /* LOOP has counted nothing */
}
END_TEST

START_TEST(a_target_that_is_not_canonical_is_a_fault_of_the_branch)
{
    start(LAB_LONG);
    cpu->r[RAX] = 0x800000000000;
    ck_assert_int_eq(lab_exec(lab, 0xff, 0xe0), 13);
    ck_assert_int_eq(lab_exec(lab, 0xff, 0xd0), 13);
    lab_write(lab, 0x2000, 0x800000000000, 8);
    ck_assert_int_eq(lab_exec(lab, 0xc3), 13);
    ck_assert_int_eq(lab_exec(lab, 0xc2, 0x08, 0x00), 13);
    ck_assert_uint_eq(cpu->r[RSP], 0x2000);
    ck_assert_uint_eq(cpu->rip, LAB_CODE);
}
END_TEST

START_TEST(operand_size_prefix_does_nothing_to_near_branches_in_64_bit_mode)
{
    start(LAB_LONG);
    cpu->rip = 0x12348000;
    lab_exec(lab, 0x66, 0xe8, 0x00, 0x01, 0x00, 0x00);
    ck_assert_uint_eq(cpu->rip, 0x12348106);
    ck_assert_uint_eq(cpu->r[RSP], 0x1ff8);
    ck_assert_uint_eq(lab_read(lab, 0x1ff8, 8), 0x12348006);
}
END_TEST

START_TEST(call_and_ret_use_operand_size_on_the_stack)
{
    start(LAB_REAL);
    lab_exec(lab, 0xe8, 0x10, 0x00);
    ck_assert_uint_eq(cpu->rip, LAB_CODE + 0x13);
    ck_assert_uint_eq(cpu->r[RSP], 0x1ffe);
    ck_assert_uint_eq(lab_read(lab, 0x1ffe, 2), LAB_CODE + 3);
    lab_exec(lab, 0xc2, 0x06, 0x00);
    ck_assert_uint_eq(cpu->rip, LAB_CODE + 3);
    ck_assert_uint_eq(cpu->r[RSP], 0x2006);
}
END_TEST

START_TEST(a_call_whose_push_faults_goes_nowhere)
{
    start(LAB_PROTECTED32);
    cpu->seg[SEG_SS].limit = 0xfff;
    ck_assert_int_eq(lab_exec(lab, 0xe8, 0x10, 0x00, 0x00, 0x00), 12);
    ck_assert_uint_eq(cpu->rip, LAB_CODE);
    ck_assert_uint_eq(cpu->r[RSP], 0x2000);
}
END_TEST

START_TEST(loop_counts_by_address_size)
{
    start(LAB_PROTECTED32);
    cpu->r[RCX] = 0x12340001;
    lab_exec(lab, 0x67, 0xe2, 0x10); /* CX: becomes 0, not taken */
    ck_assert_uint_eq(cpu->r[RCX], 0x12340000);
    ck_assert_uint_eq(cpu->rip, LAB_CODE + 3);
    lab_exec(lab, 0x67, 0xe3, 0x10); /* jcxz */
    ck_assert_uint_eq(cpu->rip, LAB_CODE + 6 + 0x10);
    cpu->r[RCX] = 0;
    lab_exec(lab, 0xe2, 0x10);
    ck_assert_uint_eq(cpu->r[RCX], 0xffffffff);
    ck_assert_uint_eq(cpu->rip, LAB_CODE + 0x16 + 2 + 0x10);
}
END_TEST

START_TEST(loope_wants_ZF_and_a_count)
{
    start(LAB_PROTECTED32);
    cpu->r[RCX] = 2;
    lab_set_flags(lab, 0);
    lab_exec(lab, 0xe1, 0x10);
    ck_assert_uint_eq(cpu->rip, LAB_CODE + 2);
    ck_assert_uint_eq(cpu->r[RCX], 1);
    cpu->r[RCX] = 2;
    lab_set_flags(lab, 0x40);
    lab_exec(lab, 0xe1, 0x10);
    ck_assert_uint_eq(cpu->rip, LAB_CODE + 4 + 0x10);
    lab_set_flags(lab, 0x40);
    cpu->rip = LAB_CODE;
    lab_exec(lab, 0xe0, 0x10);
    ck_assert_uint_eq(cpu->rip, LAB_CODE + 2);
}
END_TEST

START_TEST(bound_takes_an_index_between_signed_limits)
{
    start(LAB_PROTECTED32);
    lab_write(lab, 0x3000, (uint32_t)-5, 4);
    lab_write(lab, 0x3004, 10, 4);
    cpu->r[RBX] = 0x3000;
    for (int i = -7; i < 13; i++) {
        cpu->r[RAX] = (uint32_t)i;
        cpu->rip = LAB_CODE;
        ck_assert_int_eq(lab_exec(lab, 0x62, 0x03), i < -5 || i > 10 ? 5 : LAB_NO_FAULT);
    }
    ck_assert_int_eq(lab_exec(lab, 0x62, 0xc3), 6); /* no register form */
}
END_TEST

Suite *suite_cpu_exec_branch(void)
{
    Suite *s = suite_create("cpu/exec_branch");
    TCase *c = tcase_create("branches");

    tcase_add_checked_fixture(c, NULL, teardown);
    tcase_add_test(c, a_16_bit_jump_wraps_at_64_KiB);
    tcase_add_test(c, operand_size_16_cuts_EIP_in_32_bit_code);
    tcase_add_test(c, eip_wraps_at_4_GiB);
    tcase_add_test(c, a_target_beyond_the_limit_of_CS_is_a_fault_of_the_branch);
    tcase_add_test(c, a_target_that_is_not_canonical_is_a_fault_of_the_branch);
    tcase_add_test(c, operand_size_prefix_does_nothing_to_near_branches_in_64_bit_mode);
    tcase_add_test(c, call_and_ret_use_operand_size_on_the_stack);
    tcase_add_test(c, a_call_whose_push_faults_goes_nowhere);
    tcase_add_test(c, loop_counts_by_address_size);
    tcase_add_test(c, loope_wants_ZF_and_a_count);
    tcase_add_test(c, bound_takes_an_index_between_signed_limits);
    suite_add_tcase(s, c);
    return s;
}
