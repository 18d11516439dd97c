/* Debug registers, breakpoints and single step. */
#include "tests/cpu/system_lab.h"

START_TEST(single_step_traps_after_each_instruction)
{
    struct insn_lab *lab = sys_new(SYS_64);

    lab->cpu->rflags |= RFLAGS_TF;
    cpu_update_key(lab->cpu);
    sys_run(lab, 0x90, 0x90);
    ck_assert_int_eq(sys_handler(lab), 1);
    ck_assert_uint_eq(sys_frame(lab, 0), LAB_CODE + 1);
    ck_assert_uint_eq(lab->cpu->dr[6], 0xffff4ff0);      /* BS */
    ck_assert_uint_eq(sys_frame(lab, 2) & RFLAGS_RF, 0); /* a trap */
    ck_assert_uint_eq(lab->cpu->rflags & RFLAGS_TF, 0);
    lab_free(lab);
}
END_TEST

START_TEST(code_breakpoint_faults_before_the_instruction)
{
    struct insn_lab *lab = sys_new(SYS_64);

    lab->cpu->dr[0] = LAB_CODE + 1;
    lab->cpu->dr[7] = 0x402; /* G0, execute */
    debug_registers_changed(lab->cpu);
    sys_run(lab, 0x90, 0x90);
    ck_assert_int_eq(sys_handler(lab), 1);
    ck_assert_uint_eq(sys_frame(lab, 0), LAB_CODE + 1);
    ck_assert_uint_eq(lab->cpu->dr[6], 0xffff0ff1);
    ck_assert_uint_eq(sys_frame(lab, 2) & RFLAGS_RF, 0); /* the handler has to set it */
    lab_free(lab);
}
END_TEST

START_TEST(rf_lets_one_instruction_pass_its_breakpoint)
{
    struct insn_lab *lab = sys_new(SYS_64);

    lab->cpu->dr[0] = LAB_CODE;
    lab->cpu->dr[7] = 0x401;
    lab->cpu->rflags |= RFLAGS_RF;
    debug_registers_changed(lab->cpu);
    sys_run(lab, 0x90, 0x90);
    ck_assert_int_eq(sys_handler(lab), -1);
    ck_assert_uint_eq(lab->cpu->rip, LAB_CODE + 3);
    ck_assert_uint_eq(lab->cpu->rflags & RFLAGS_RF, 0);
    lab_free(lab);
}
END_TEST

START_TEST(data_breakpoint_traps_after_the_store)
{
    struct insn_lab *lab = sys_new(SYS_64);

    lab->cpu->dr[1] = 0x40000;
    lab->cpu->dr[7] = 0x400 | 1 << 3 | UINT64_C(0xd) << 20; /* G1, 4 bytes, write */
    debug_registers_changed(lab->cpu);
    lab->cpu->r[RBX] = 0x40003;
    sys_run(lab, 0x8a, 0x03, 0xc6, 0x03, 0x55, 0x90); /* a load does not match, then a store does */
    ck_assert_int_eq(sys_handler(lab), 1);
    ck_assert_uint_eq(sys_frame(lab, 0), LAB_CODE + 5);
    ck_assert_uint_eq(lab->cpu->dr[6], 0xffff0ff2);
    ck_assert_uint_eq(bus_read(lab->bus, 0x40003, 1), 0x55);
    lab_free(lab);
}
END_TEST

START_TEST(read_write_breakpoint_matches_loads_and_disabling_it_restores_the_tlb)
{
    struct insn_lab *lab = sys_new(SYS_64);

    lab->cpu->dr[2] = 0x40000;
    lab->cpu->dr[7] = 0x400 | 1 << 5 | UINT64_C(3) << 24; /* G2, 1 byte, read or write */
    debug_registers_changed(lab->cpu);
    lab->cpu->r[RBX] = 0x3ffff;
    sys_run(lab, 0x66, 0x8b, 0x03);
    ck_assert_int_eq(sys_handler(lab), 1);
    ck_assert_uint_eq(lab->cpu->dr[6], 0xffff0ff4);
    lab->cpu->dr[7] = 0x400;
    debug_registers_changed(lab->cpu);
    ck_assert_ptr_null(lab->cpu->mmu.watch);
    lab_free(lab);
}
END_TEST

START_TEST(general_detect_faults_on_mov_dr_and_clears_gd)
{
    struct insn_lab *lab = sys_new(SYS_64);

    lab->cpu->dr[7] = 0x400 | 1 << 13;
    sys_run(lab, 0x0f, 0x21, 0xc0); /* mov rax, dr0 */
    ck_assert_int_eq(sys_handler(lab), 1);
    ck_assert_uint_eq(sys_frame(lab, 0), LAB_CODE);
    ck_assert_uint_eq(lab->cpu->dr[6], 0xffff2ff0);
    ck_assert_uint_eq(lab->cpu->dr[7], 0x400);
    lab_free(lab);
}
END_TEST

START_TEST(dr4_is_dr6_unless_cr4_de)
{
    struct insn_lab *lab = sys_new(SYS_64);

    sys_run(lab, 0x0f, 0x21, 0xe0); /* mov rax, dr4 */
    ck_assert_uint_eq(lab->cpu->r[RAX], 0xffff0ff0);
    lab_free(lab);

    lab = sys_new(SYS_64);
    lab->cpu->cr4 |= CR4_DE;
    sys_run(lab, 0x0f, 0x21, 0xe0);
    ck_assert_int_eq(sys_handler(lab), 6);
    lab_free(lab);
}
END_TEST

START_TEST(reserved_bits_of_dr7_read_as_the_manual_says_and_the_upper_half_raises_gp)
{
    struct insn_lab *lab = sys_new(SYS_64);

    lab->cpu->r[RAX] = 0xffffd800;  /* all reserved ones, no enable bit, no GD but 14, 15, 12, 11 */
    sys_run(lab, 0x0f, 0x23, 0xf8); /* mov dr7, rax */
    ck_assert_uint_eq(lab->cpu->dr[7], 0xffff0400);
    lab_free(lab);

    lab = sys_new(SYS_64);
    lab->cpu->r[RAX] = UINT64_C(1) << 32;
    sys_run(lab, 0x0f, 0x23, 0xf8);
    ck_assert_int_eq(sys_handler(lab), 13);
    lab_free(lab);
}
END_TEST

START_TEST(mov_ss_holds_a_data_breakpoint_back_until_after_the_next_instruction)
{
    struct insn_lab *lab = sys_new(SYS_32);

    lab->cpu->dr[0] = 0x40000;
    lab->cpu->dr[7] = 0x401 | UINT64_C(0xf) << 16;
    debug_registers_changed(lab->cpu);
    bus_write(lab->bus, 0x40000, DATA32, 4);
    sys_run(lab, 0x8e, 0x15, 0x00, 0x00, 0x04, 0x00, 0x90, 0x90); /* mov ss, [40000H]; nop */
    ck_assert_int_eq(sys_handler(lab), 1);
    ck_assert_uint_eq(sys_frame(lab, 0), LAB_CODE + 7);
    ck_assert_uint_eq(lab->cpu->dr[6], 0xffff0ff1);
    lab_free(lab);
}
END_TEST

START_TEST(mov_ss_hides_the_instruction_breakpoint_of_the_next_instruction)
{
    struct insn_lab *lab = sys_new(SYS_32);

    lab->cpu->dr[0] = LAB_CODE + 2;
    lab->cpu->dr[7] = 0x402;
    debug_registers_changed(lab->cpu);
    lab->cpu->r[RAX] = DATA32;
    sys_run(lab, 0x8e, 0xd0, 0x90); /* mov ss, eax; nop */
    ck_assert_int_eq(sys_handler(lab), -1);
    ck_assert_uint_eq(lab->cpu->rip, LAB_CODE + 4);
    lab_free(lab);
}
END_TEST

/* an instruction after a stepped MOV SS that raises an event: the bytes, the event's handler, DR6 */
static const struct {
    uint8_t bytes[4];
    uint8_t handler;
    uint32_t dr6, dr7;
} after_mov_ss[] = {
    { { 0x8e, 0xd0, 0xf1 }, 1, 0xffff0ff0, 0x400 },                 /* INT1 */
    { { 0x8e, 0xd0, 0xcc }, 3, 0xffff0ff0, 0x400 },                 /* INT3 */
    { { 0x8e, 0xd0, 0x0f, 0x0b }, 6, 0xffff0ff0, 0x400 },           /* UD2 */
    { { 0x8e, 0xd0, 0x0f, 0x23 }, 1, 0xffff2ff0, 0x400 | 1 << 13 }, /* MOV DR with DR7.GD: BD */
};

START_TEST(single_step_trap_of_mov_ss_is_lost_when_the_next_instruction_raises_an_event)
{
    struct insn_lab *lab = sys_new(SYS_32);

    lab->cpu->rflags |= RFLAGS_TF;
    lab->cpu->dr[7] = after_mov_ss[_i].dr7;
    debug_registers_changed(lab->cpu);
    lab->cpu->r[RAX] = DATA32;
    sys_run_bytes(lab, after_mov_ss[_i].bytes, sizeof after_mov_ss[_i].bytes);
    ck_assert_int_eq(sys_handler(lab), after_mov_ss[_i].handler);
    ck_assert_uint_eq(lab->cpu->dr[6], after_mov_ss[_i].dr6);
    ck_assert_uint_eq(lab->cpu->pending_dbg, 0);
    lab_free(lab);
}
END_TEST

START_TEST(data_breakpoint_of_mov_ss_comes_with_int1_and_after_the_delivery_of_int_n)
{
    for (unsigned i = 0; i < 2; i++) {
        struct insn_lab *lab = sys_new(SYS_32);

        lab->cpu->dr[0] = 0x40000;
        lab->cpu->dr[7] = 0x401 | UINT64_C(0xf) << 16;
        debug_registers_changed(lab->cpu);
        bus_write(lab->bus, 0x40000, DATA32, 4);
        if (i == 0)
            sys_run(lab, 0x8e, 0x15, 0x00, 0x00, 0x04, 0x00, 0xf1); /* mov ss, [40000H]; int1 */
        else
            sys_run(lab, 0x8e, 0x15, 0x00, 0x00, 0x04, 0x00, 0xcd, 0x80); /* ...; int 80H */
        ck_assert_int_eq(sys_handler(lab), 1);
        ck_assert_uint_eq(lab->cpu->dr[6], 0xffff0ff1);
        ck_assert_uint_eq(sys_frame(lab, 0), i == 0 ? LAB_CODE + 7 : SYS_HANDLERS + 16 * 0x80);
        lab_free(lab);
    }
}
END_TEST

START_TEST(io_breakpoint_needs_cr4_de)
{
    struct insn_lab *lab = sys_new(SYS_64);

    lab->cpu->dr[3] = 0x60;
    lab->cpu->dr[7] = 0x400 | 1 << 7 | UINT64_C(2) << 28;
    debug_registers_changed(lab->cpu);
    sys_run(lab, 0xe4, 0x60, 0x90);
    ck_assert_int_eq(sys_handler(lab), -1);
    lab_free(lab);

    lab = sys_new(SYS_64);
    lab->cpu->cr4 |= CR4_DE;
    lab->cpu->dr[3] = 0x60;
    lab->cpu->dr[7] = 0x400 | 1 << 7 | UINT64_C(2) << 28;
    debug_registers_changed(lab->cpu);
    sys_run(lab, 0xe4, 0x60, 0x90);
    ck_assert_int_eq(sys_handler(lab), 1);
    ck_assert_uint_eq(sys_frame(lab, 0), LAB_CODE + 2);
    ck_assert_uint_eq(lab->cpu->dr[6], 0xffff0ff8);
    lab_free(lab);
}
END_TEST

START_TEST(int_n_while_stepping_takes_no_trap_before_the_handler)
{
    struct insn_lab *lab = sys_new(SYS_64);

    lab->cpu->rflags |= RFLAGS_TF;
    cpu_update_key(lab->cpu);
    sys_run(lab, 0xcd, 0x80);
    ck_assert_int_eq(sys_handler(lab), 0x80);
    ck_assert_uint_eq(sys_frame(lab, 2) & RFLAGS_TF, RFLAGS_TF);
    lab_free(lab);
}
END_TEST

Suite *suite_cpu_debug_regs(void)
{
    Suite *s = suite_create("cpu/debug_regs");
    TCase *t = tcase_create("debug registers");

    tcase_add_test(t, single_step_traps_after_each_instruction);
    tcase_add_test(t, code_breakpoint_faults_before_the_instruction);
    tcase_add_test(t, rf_lets_one_instruction_pass_its_breakpoint);
    tcase_add_test(t, data_breakpoint_traps_after_the_store);
    tcase_add_test(t, read_write_breakpoint_matches_loads_and_disabling_it_restores_the_tlb);
    tcase_add_test(t, general_detect_faults_on_mov_dr_and_clears_gd);
    tcase_add_test(t, dr4_is_dr6_unless_cr4_de);
    tcase_add_test(t, reserved_bits_of_dr7_read_as_the_manual_says_and_the_upper_half_raises_gp);
    tcase_add_test(t, mov_ss_holds_a_data_breakpoint_back_until_after_the_next_instruction);
    tcase_add_test(t, mov_ss_hides_the_instruction_breakpoint_of_the_next_instruction);
    tcase_add_loop_test(
        t, single_step_trap_of_mov_ss_is_lost_when_the_next_instruction_raises_an_event, 0,
        sizeof after_mov_ss / sizeof after_mov_ss[0]);
    tcase_add_test(t, data_breakpoint_of_mov_ss_comes_with_int1_and_after_the_delivery_of_int_n);
    tcase_add_test(t, io_breakpoint_needs_cr4_de);
    tcase_add_test(t, int_n_while_stepping_takes_no_trap_before_the_handler);
    suite_add_tcase(s, t);
    return s;
}
