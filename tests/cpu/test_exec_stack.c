/* The stack outside 64-bit mode, and its corners. [SDM 2A "ENTER", "LEAVE"; SDM 2B "POP" to "PUSHF"]
 */
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

START_TEST(push_sp_pushes_the_value_before_the_push)
{
    start(LAB_REAL);
    lab_exec(lab, 0x54);
    ck_assert_uint_eq(cpu->r[RSP], 0x1ffe);
    ck_assert_uint_eq(lab_read(lab, 0x1ffe, 2), 0x2000);
}
END_TEST

START_TEST(pop_sp_gets_the_value_not_the_increment)
{
    start(LAB_PROTECTED32);
    lab_write(lab, 0x2000, 0x1234, 4);
    lab_exec(lab, 0x5c);
    ck_assert_uint_eq(cpu->r[RSP], 0x1234);
}
END_TEST

START_TEST(a_16_bit_stack_pointer_wraps_and_keeps_its_upper_half)
{
    start(LAB_PROTECTED16);
    cpu->r[RSP] = 0x12340000;
    cpu->r[RAX] = 0xabcd;
    ck_assert_int_eq(lab_exec(lab, 0x50), LAB_NO_FAULT);
    ck_assert_uint_eq(cpu->r[RSP], 0x1234fffe);
    ck_assert_uint_eq(lab_read(lab, 0xfffe, 2), 0xabcd);
}
END_TEST

START_TEST(a_push_across_the_limit_is_a_stack_fault_that_leaves_SP)
{
    start(LAB_REAL);
    cpu->r[RSP] = 1;
    ck_assert_int_eq(lab_exec(lab, 0x50), 12);
    ck_assert_uint_eq(cpu->r[RSP], 1);
}
END_TEST

START_TEST(pop_to_memory_addresses_with_the_incremented_pointer)
{
    start(LAB_PROTECTED32);
    lab_write(lab, 0x2000, 0x11223344, 4);
    lab_exec(lab, 0x8f, 0x44, 0x24, 0x10); /* pop [esp + 10H] */
    ck_assert_uint_eq(lab_read(lab, 0x2014, 4), 0x11223344);
    ck_assert_uint_eq(cpu->r[RSP], 0x2004);
}
END_TEST

START_TEST(pop_to_memory_that_faults_leaves_the_pointer)
{
    start(LAB_PROTECTED32);
    cpu->seg[SEG_DS].limit = 0xfff;
    ck_assert_int_eq(lab_exec(lab, 0x8f, 0x05, 0x00, 0x10, 0x00, 0x00), 13);
    ck_assert_uint_eq(cpu->r[RSP], 0x2000);
}
END_TEST

START_TEST(pusha_stores_the_registers_in_order_with_the_old_SP)
{
    start(LAB_PROTECTED32);
    for (unsigned i = 0; i < 8; i++)
        cpu->r[i] = i == RSP ? 0x2000 : 0x100 + i;
    lab_exec(lab, 0x60);
    ck_assert_uint_eq(cpu->r[RSP], 0x2000 - 32);
    for (unsigned i = 0; i < 8; i++)
        ck_assert_uint_eq(lab_read(lab, 0x1ffc - 4 * i, 4), i == RSP ? 0x2000 : 0x100 + i);
}
END_TEST

START_TEST(popa_undoes_pusha_but_skips_SP)
{
    start(LAB_REAL);
    for (unsigned i = 0; i < 8; i++)
        cpu->r[i] = i == RSP ? 0x2000 : 0xabcd0100 + i;
    lab_exec(lab, 0x60);
    for (unsigned i = 0; i < 8; i++)
        cpu->r[i] = i == RSP ? cpu->r[RSP] : 0x99990000;
    lab_write(lab, 0x2000 - 10, 0x5555, 2); /* the image of SP */
    lab_exec(lab, 0x61);
    for (unsigned i = 0; i < 8; i++)
        ck_assert_uint_eq(cpu->r[i], i == RSP ? 0x2000 : 0x99990100 + i);
}
END_TEST

START_TEST(pusha_that_cannot_store_all_stores_nothing)
{
    start(LAB_PROTECTED32);
    cpu->r[RSP] = 0x10;
    cpu->r[RAX] = 0x77777777;
    lab_write(lab, 0xc, 0, 4);
    cpu->seg[SEG_SS].limit = 0x1ffff;
    ck_assert_int_eq(lab_exec(lab, 0x60), 12);
    ck_assert_uint_eq(lab_read(lab, 0xc, 4), 0);
    ck_assert_uint_eq(cpu->r[RSP], 0x10);
}
END_TEST

START_TEST(enter_copies_the_frame_pointers_of_outer_levels)
{
    start(LAB_PROTECTED32);
    cpu->r[RBP] = 0x3000;
    lab_write(lab, 0x2ffc, 0xaaaa, 4);
    lab_write(lab, 0x2ff8, 0xbbbb, 4);
    lab_exec(lab, 0xc8, 0x20, 0x00, 0x03); /* enter 32, 3 */
    ck_assert_uint_eq(lab_read(lab, 0x1ffc, 4), 0x3000);
    ck_assert_uint_eq(lab_read(lab, 0x1ff8, 4), 0xaaaa);
    ck_assert_uint_eq(lab_read(lab, 0x1ff4, 4), 0xbbbb);
    ck_assert_uint_eq(lab_read(lab, 0x1ff0, 4), 0x1ffc);
    ck_assert_uint_eq(cpu->r[RBP], 0x1ffc);
    ck_assert_uint_eq(cpu->r[RSP], 0x1ff0 - 32);
    lab_exec(lab, 0xc9); /* leave */
    ck_assert_uint_eq(cpu->r[RBP], 0x3000);
    ck_assert_uint_eq(cpu->r[RSP], 0x2000);
}
END_TEST

START_TEST(enter_checks_the_new_top_of_the_stack)
{
    start(LAB_PROTECTED32);
    cpu->seg[SEG_SS].limit = 0x2fff;
    cpu->r[RSP] = 0x10;
    cpu->r[RBP] = 0x1111;
    ck_assert_int_eq(lab_exec(lab, 0xc8, 0x20, 0x00, 0x00), 12);
    ck_assert_uint_eq(cpu->r[RBP], 0x1111);
    ck_assert_uint_eq(cpu->r[RSP], 0x10);
}
END_TEST

/* ---- flags ---- */

START_TEST(pushfd_pushes_RF_and_VM_as_0)
{
    start(LAB_PROTECTED32);
    cpu->rflags |= RFLAGS_RF;
    lab_set_flags(lab, 0x8d5);
    lab_exec(lab, 0x9c);
    ck_assert_uint_eq(lab_read(lab, 0x1ffc, 4), 0x8d7);
}
END_TEST

/* [SDM 2B "POPF/POPFD/POPFQ", table "Effect of POPF/POPFD on the EFLAGS Register"] */
START_TEST(popfd_at_CPL_0_changes_all_but_VM_VIF_VIP_RF)
{
    start(LAB_PROTECTED32);
    lab_write(lab, 0x2000, 0xffffffff & ~0x100u, 4);
    lab_exec(lab, 0x9d);
    ck_assert_uint_eq(cpu_rflags(cpu), 0x247ed7);
    ck_assert_uint_eq(cpu->r[RSP], 0x2004);
}
END_TEST

START_TEST(popfd_at_CPL_3_leaves_IOPL_and_with_IOPL_0_IF)
{
    start(LAB_PROTECTED32);
    cpu->cpl = 3;
    cpu->rflags |= RFLAGS_IF;
    lab_write(lab, 0x2000, 0x3000, 4);
    lab_exec(lab, 0x9d);
    ck_assert_uint_eq(cpu_rflags(cpu), 0x202);
}
END_TEST

START_TEST(popfd_at_CPL_3_with_IOPL_3_changes_IF)
{
    start(LAB_PROTECTED32);
    cpu->cpl = 3;
    cpu->rflags |= RFLAGS_IF | RFLAGS_IOPL;
    lab_write(lab, 0x2000, 0, 4);
    lab_exec(lab, 0x9d);
    ck_assert_uint_eq(cpu_rflags(cpu), 0x3002);
}
END_TEST

START_TEST(popf_with_16_bits_leaves_the_upper_flags)
{
    start(LAB_PROTECTED32);
    cpu->rflags |= RFLAGS_AC | RFLAGS_ID;
    lab_write(lab, 0x2000, 0x4001, 2);
    lab_exec(lab, 0x66, 0x9d);
    ck_assert_uint_eq(cpu_rflags(cpu), 0x244003);
    ck_assert_uint_eq(cpu->r[RSP], 0x2002);
}
END_TEST

/* [SDM 3B "Sensitive Instructions"] */
START_TEST(pushf_and_popf_in_virtual_8086_mode_need_IOPL_3)
{
    start(LAB_VM86);
    ck_assert_int_eq(lab_exec(lab, 0x9c), 13);
    ck_assert_int_eq(lab_exec(lab, 0x9d), 13);
    ck_assert_uint_eq(cpu->r[RSP], 0x2000);
    cpu->rflags |= RFLAGS_IOPL;
    ck_assert_int_eq(lab_exec(lab, 0x9c), LAB_NO_FAULT);
    ck_assert_int_eq(lab_exec(lab, 0x9d), LAB_NO_FAULT);
}
END_TEST

START_TEST(with_VME_pushf_shows_VIF_as_IF_and_IOPL_3)
{
    start(LAB_VM86);
    cpu->cr4 |= CR4_VME;
    cpu->rflags |= RFLAGS_VIF;
    lab_exec(lab, 0x9c);
    ck_assert_uint_eq(lab_read(lab, 0x1ffe, 2), 0x3202);
}
END_TEST

START_TEST(with_VME_popf_sets_VIF_for_IF)
{
    start(LAB_VM86);
    cpu->cr4 |= CR4_VME;
    lab_write(lab, 0x2000, 0x0201, 2);
    ck_assert_int_eq(lab_exec(lab, 0x9d), LAB_NO_FAULT);
    ck_assert_uint_eq(cpu_rflags(cpu), 0x20003 | RFLAGS_VIF);
}
END_TEST

START_TEST(with_VME_popf_refuses_TF_and_IF_with_an_interrupt_pending)
{
    start(LAB_VM86);
    cpu->cr4 |= CR4_VME;
    lab_write(lab, 0x2000, 0x0100, 2);
    ck_assert_int_eq(lab_exec(lab, 0x9d), 13);
    cpu->rflags |= RFLAGS_VIP;
    lab_write(lab, 0x2000, 0x0200, 2);
    ck_assert_int_eq(lab_exec(lab, 0x9d), 13);
    ck_assert_int_eq(lab_exec(lab, 0x66, 0x9d), 13); /* 32 bits never work */
}
END_TEST

Suite *suite_cpu_exec_stack(void)
{
    Suite *s = suite_create("cpu/exec_stack");
    TCase *c = tcase_create("values");

    tcase_add_checked_fixture(c, NULL, teardown);
    tcase_add_test(c, push_sp_pushes_the_value_before_the_push);
    tcase_add_test(c, pop_sp_gets_the_value_not_the_increment);
    tcase_add_test(c, a_16_bit_stack_pointer_wraps_and_keeps_its_upper_half);
    tcase_add_test(c, a_push_across_the_limit_is_a_stack_fault_that_leaves_SP);
    tcase_add_test(c, pop_to_memory_addresses_with_the_incremented_pointer);
    tcase_add_test(c, pop_to_memory_that_faults_leaves_the_pointer);
    tcase_add_test(c, pusha_stores_the_registers_in_order_with_the_old_SP);
    tcase_add_test(c, popa_undoes_pusha_but_skips_SP);
    tcase_add_test(c, pusha_that_cannot_store_all_stores_nothing);
    tcase_add_test(c, enter_copies_the_frame_pointers_of_outer_levels);
    tcase_add_test(c, enter_checks_the_new_top_of_the_stack);
    suite_add_tcase(s, c);
    c = tcase_create("flags");
    tcase_add_checked_fixture(c, NULL, teardown);
    tcase_add_test(c, pushfd_pushes_RF_and_VM_as_0);
    tcase_add_test(c, popfd_at_CPL_0_changes_all_but_VM_VIF_VIP_RF);
    tcase_add_test(c, popfd_at_CPL_3_leaves_IOPL_and_with_IOPL_0_IF);
    tcase_add_test(c, popfd_at_CPL_3_with_IOPL_3_changes_IF);
    tcase_add_test(c, popf_with_16_bits_leaves_the_upper_flags);
    tcase_add_test(c, pushf_and_popf_in_virtual_8086_mode_need_IOPL_3);
    tcase_add_test(c, with_VME_pushf_shows_VIF_as_IF_and_IOPL_3);
    tcase_add_test(c, with_VME_popf_sets_VIF_for_IF);
    tcase_add_test(c, with_VME_popf_refuses_TF_and_IF_with_an_interrupt_pending);
    suite_add_tcase(s, c);
    return s;
}
