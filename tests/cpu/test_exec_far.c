/* Far jumps, calls and returns; call gates; tasks. */
#include "tests/cpu/system_lab.h"

/* a 32-bit call gate of DPL 3 at GATE, with parameters; 16 bytes long in IA-32e mode */
static void put_gate(struct insn_lab *lab, uint16_t selector, unsigned parameters)
{
    sys_put_gate(lab, SYS_GDT + GATE, cpu_long(lab->cpu), selector, SYS_INNER, 0xec, parameters);
}

START_TEST(far_jump_in_real_mode_loads_selector_times_16)
{
    struct insn_lab *lab = lab_new(LAB_REAL);

    bus_write(lab->bus, 0x12340 + 0x10, 0xf4, 1);
    sys_run(lab, 0xea, 0x10, 0x00, 0x34, 0x12);
    ck_assert_uint_eq(lab->cpu->seg[SEG_CS].base, 0x12340);
    ck_assert_uint_eq(lab->cpu->rip, 0x11);
    lab_free(lab);
}
END_TEST

START_TEST(far_jump_changes_the_code_size)
{
    struct insn_lab *lab = sys_new(SYS_32);

    /* JMP 50H:8010H; there in 16-bit code: MOV AX, 1234H */
    bus_write(lab->bus, 0x8010, 0xf41234b8, 4);
    sys_run(lab, 0xea, 0x10, 0x80, 0x00, 0x00, CODE16, 0x00);
    ck_assert_uint_eq(lab->cpu->seg[SEG_CS].selector, CODE16);
    ck_assert_uint_eq(lab->cpu->r[RAX], 0x1234);
    ck_assert_uint_eq(lab->cpu->rip, 0x8014);
    lab_free(lab);
}
END_TEST

/* JMP FAR to a selector at CPL 0 */
/* clang-format off */
static const struct {
    uint16_t selector;
    int vector;
    uint32_t error;
} jumps[] = {
    {0, 13, 0},
    {DATA32, 13, DATA32},
    {CODE32_USER, 13, CODE32_USER & ~3}, /* DPL 3, not conforming */
    {CODE32 | 3, 13, CODE32},            /* RPL above CPL */
    {SYS_GDT_LIMIT + 1, 13, SYS_GDT_LIMIT + 1},
    {LDT, 13, LDT},
    {TSS_A, 13, TSS_A},                  /* busy */
};
/* clang-format on */

START_TEST(far_jump_to_what_is_no_code_segment_of_this_level_raises_gp)
{
    struct insn_lab *lab = sys_new(SYS_32);

    sys_run(lab, 0xea, 0, 0, 0, 0, (uint8_t)jumps[_i].selector, (uint8_t)(jumps[_i].selector >> 8));
    ck_assert_int_eq(sys_handler(lab), jumps[_i].vector);
    ck_assert_uint_eq(sys_frame(lab, 0), jumps[_i].error);
    ck_assert_uint_eq(sys_frame(lab, 1), LAB_CODE);
    lab_free(lab);
}
END_TEST

START_TEST(far_call_pushes_cs_and_eip_and_retf_comes_back)
{
    struct insn_lab *lab = sys_new(SYS_32);

    bus_write(lab->bus, SYS_INNER, 0xcb, 1); /* RETF */
    sys_run(lab, 0x9a, 0x00, 0x80, 0x02, 0x00, CODE32, 0x00);
    ck_assert_uint_eq(lab->cpu->rip, LAB_CODE + 8);
    ck_assert_uint_eq(lab->cpu->r[RSP], SYS_STACK0 - 0x1000);
    ck_assert_uint_eq(bus_read(lab->bus, SYS_STACK0 - 0x1004, 4), CODE32);
    ck_assert_uint_eq(bus_read(lab->bus, SYS_STACK0 - 0x1008, 4), LAB_CODE + 7);
    lab_free(lab);
}
END_TEST

START_TEST(call_gate_to_an_inner_level_copies_parameters_and_retf_releases_them)
{
    struct insn_lab *lab = sys_new(SYS_32_USER);
    static const uint8_t inner[] = { 0x8b, 0x44, 0x24, 0x08, /* MOV EAX, [ESP + 8] */
                                     0xca, 0x08, 0x00 };     /* RETF 8 */

    put_gate(lab, CODE32, 2);
    bus_write_bytes(lab->bus, SYS_INNER, inner, sizeof inner);
    /* PUSH 11H; PUSH 22H; CALL GATE | 3; UD2 */
    sys_run(lab, 0x6a, 0x11, 0x6a, 0x22, 0x9a, 0, 0, 0, 0, GATE | 3, 0, 0x0f, 0x0b);
    ck_assert_int_eq(sys_handler(lab), 6);
    ck_assert_uint_eq(lab->cpu->r[RAX], 0x22);
    ck_assert_uint_eq(sys_frame(lab, 1), CODE32_USER);
    ck_assert_uint_eq(sys_frame(lab, 3), SYS_STACK3); /* both stacks released 8 bytes */
    lab_free(lab);
}
END_TEST

START_TEST(call_gate_pushes_ss_esp_cs_eip_on_the_inner_stack)
{
    struct insn_lab *lab = sys_new(SYS_32_USER);

    put_gate(lab, CODE32, 0);
    sys_run(lab, 0x9a, 0, 0, 0, 0, GATE | 3, 0);
    ck_assert_uint_eq(lab->cpu->rip, SYS_INNER + 1);
    ck_assert_uint_eq(lab->cpu->cpl, 0);
    ck_assert_uint_eq(lab->cpu->r[RSP], SYS_STACK0 - 16);
    ck_assert_uint_eq(sys_frame(lab, 0), LAB_CODE + 7);
    ck_assert_uint_eq(sys_frame(lab, 1), CODE32_USER);
    ck_assert_uint_eq(sys_frame(lab, 2), SYS_STACK3);
    ck_assert_uint_eq(sys_frame(lab, 3), DATA32_USER);
    lab_free(lab);
}
END_TEST

START_TEST(call_gate_of_lower_dpl_raises_gp_with_the_gate)
{
    struct insn_lab *lab = sys_new(SYS_32_USER);

    sys_put_gate(lab, SYS_GDT + GATE, false, CODE32, SYS_INNER, 0x8c, 0);
    sys_run(lab, 0x9a, 0, 0, 0, 0, GATE | 3, 0);
    ck_assert_int_eq(sys_handler(lab), 13);
    ck_assert_uint_eq(sys_frame(lab, 0), GATE);
    lab_free(lab);
}
END_TEST

START_TEST(jump_through_a_call_gate_cannot_change_the_level)
{
    struct insn_lab *lab = sys_new(SYS_32_USER);

    put_gate(lab, CODE32, 0);
    sys_run(lab, 0xea, 0, 0, 0, 0, GATE | 3, 0);
    ck_assert_int_eq(sys_handler(lab), 13);
    ck_assert_uint_eq(sys_frame(lab, 0), CODE32);
    lab_free(lab);
}
END_TEST

START_TEST(ia32e_call_gate_takes_rsp_from_the_tss_and_a_null_ss)
{
    struct insn_lab *lab = sys_new(SYS_64_USER);

    put_gate(lab, CODE64, 0);
    bus_write(lab->bus, 0x40000, 0, 4);
    bus_write(lab->bus, 0x40004, GATE | 3, 2);
    sys_run(lab, 0xff, 0x1c, 0x25, 0x00, 0x00, 0x04, 0x00); /* CALL FAR [40000H] */
    ck_assert_uint_eq(lab->cpu->rip, SYS_INNER + 1);
    ck_assert_uint_eq(lab->cpu->seg[SEG_SS].selector, 0);
    ck_assert_uint_eq(lab->cpu->r[RSP], SYS_STACK0 - 32);
    ck_assert_uint_eq(sys_frame(lab, 0), LAB_CODE + 7);
    ck_assert_uint_eq(sys_frame(lab, 1), CODE64_USER);
    ck_assert_uint_eq(sys_frame(lab, 2), SYS_STACK3);
    lab_free(lab);
}
END_TEST

START_TEST(retf_from_64_bit_mode_enters_compatibility_mode)
{
    struct insn_lab *lab = sys_new(SYS_64);
    const uint64_t frame[] = { LAB_CODE + 0x100, CODE32 };
    static const uint8_t code[] = { 0x40, 0xf4 }; /* INC EAX there, a REX prefix in 64-bit mode */

    lab->cpu->r[RSP] -= sizeof frame;
    bus_write_bytes(lab->bus, lab->cpu->r[RSP], frame, sizeof frame);
    bus_write_bytes(lab->bus, LAB_CODE + 0x100, code, sizeof code);
    sys_run(lab, 0x48, 0xcb);
    ck_assert_uint_eq(lab->cpu->r[RAX], 1);
    ck_assert_uint_eq(lab->cpu->seg[SEG_CS].selector, CODE32);
    lab_free(lab);
}
END_TEST

/* ---- tasks ---- */

static void put_task(struct insn_lab *lab)
{
    bus_write(lab->bus, SYS_TSS2 + 32, SYS_INNER, 4);
    bus_write(lab->bus, SYS_TSS2 + 36, 2, 4);
    bus_write(lab->bus, SYS_TSS2 + 40, 0xaaaa, 4);  /* EAX */
    bus_write(lab->bus, SYS_TSS2 + 56, 0x2a000, 4); /* ESP */
    bus_write(lab->bus, SYS_TSS2 + 76, CODE32, 4);
    bus_write(lab->bus, SYS_TSS2 + 80, DATA32, 4);
    bus_write(lab->bus, SYS_TSS2 + 84, DATA32, 4);
}

START_TEST(jump_to_a_tss_saves_the_old_task_and_loads_the_new)
{
    struct insn_lab *lab = sys_new(SYS_32);

    put_task(lab);
    lab->cpu->r[RBX] = 0x1234;
    sys_run(lab, 0xea, 0, 0, 0, 0, TSS_B, 0);
    ck_assert_uint_eq(lab->cpu->rip, SYS_INNER + 1);
    ck_assert_uint_eq(lab->cpu->r[RAX], 0xaaaa);
    ck_assert_uint_eq(lab->cpu->r[RSP], 0x2a000);
    ck_assert_uint_eq(lab->cpu->rflags & RFLAGS_NT, 0);
    ck_assert_uint_eq(bus_read(lab->bus, SYS_TSS + 32, 4), LAB_CODE + 7);
    ck_assert_uint_eq(bus_read(lab->bus, SYS_TSS + 52, 4), 0x1234);
    ck_assert_uint_eq(bus_read(lab->bus, SYS_GDT + TSS_A + 5, 1), 0x89); /* no longer busy */
    ck_assert_uint_eq(bus_read(lab->bus, SYS_GDT + TSS_B + 5, 1), 0x8b);
    lab_free(lab);
}
END_TEST

START_TEST(call_of_a_task_nests_and_iret_returns)
{
    struct insn_lab *lab = sys_new(SYS_32);

    put_task(lab);
    bus_write(lab->bus, SYS_TSS + 28, 0, 4);
    bus_write(lab->bus, SYS_INNER, 0xcf, 1); /* IRET with NT */
    sys_run(lab, 0x9a, 0, 0, 0, 0, TASK_GATE_B, 0);
    ck_assert_uint_eq(lab->cpu->rip, LAB_CODE + 8);
    ck_assert_uint_eq(lab->cpu->seg[SEG_TR].selector, TSS_A);
    ck_assert_uint_eq(bus_read(lab->bus, SYS_TSS2, 2), TSS_A); /* the link */
    ck_assert_uint_eq(bus_read(lab->bus, SYS_GDT + TSS_A + 5, 1), 0x8b);
    ck_assert_uint_eq(bus_read(lab->bus, SYS_GDT + TSS_B + 5, 1), 0x89);
    ck_assert_uint_eq(lab->cpu->rflags & RFLAGS_NT, 0);
    lab_free(lab);
}
END_TEST

START_TEST(tss_that_is_too_small_raises_ts_in_the_old_task)
{
    struct insn_lab *lab = sys_new(SYS_32);

    sys_put(lab, TSS_B, sys_descriptor(SYS_TSS2, 0x66, 0x89));
    sys_run(lab, 0xea, 0, 0, 0, 0, TSS_B, 0);
    ck_assert_int_eq(sys_handler(lab), 10);
    ck_assert_uint_eq(sys_frame(lab, 0), TSS_B);
    ck_assert_uint_eq(sys_frame(lab, 1), LAB_CODE);
    ck_assert_uint_eq(lab->cpu->seg[SEG_TR].selector, TSS_A);
    lab_free(lab);
}
END_TEST

START_TEST(bad_segment_of_the_new_task_raises_ts_in_the_new_task)
{
    struct insn_lab *lab = sys_new(SYS_32);

    put_task(lab);
    bus_write(lab->bus, SYS_TSS2 + 84, EXECUTE_ONLY, 4); /* DS */
    sys_run(lab, 0xea, 0, 0, 0, 0, TSS_B, 0);
    ck_assert_int_eq(sys_handler(lab), 10);
    ck_assert_uint_eq(sys_frame(lab, 0), EXECUTE_ONLY);
    ck_assert_uint_eq(sys_frame(lab, 1), SYS_INNER);
    ck_assert_uint_eq(lab->cpu->seg[SEG_TR].selector, TSS_B);
    lab_free(lab);
}
END_TEST

START_TEST(t_flag_of_the_tss_traps_before_the_first_instruction_of_the_task)
{
    struct insn_lab *lab = sys_new(SYS_32);

    put_task(lab);
    bus_write(lab->bus, SYS_TSS2 + 100, 1, 2);
    sys_run(lab, 0xea, 0, 0, 0, 0, TSS_B, 0);
    ck_assert_int_eq(sys_handler(lab), 1);
    ck_assert_uint_eq(sys_frame(lab, 0), SYS_INNER);
    ck_assert_uint_eq(lab->cpu->dr[6], 0xffff8ff0); /* BT */
    lab_free(lab);
}
END_TEST

Suite *suite_cpu_exec_far(void)
{
    Suite *s = suite_create("cpu/exec_far");
    TCase *t = tcase_create("far transfers");

    tcase_add_test(t, far_jump_in_real_mode_loads_selector_times_16);
    tcase_add_test(t, far_jump_changes_the_code_size);
    tcase_add_loop_test(t, far_jump_to_what_is_no_code_segment_of_this_level_raises_gp, 0,
                        sizeof jumps / sizeof jumps[0]);
    tcase_add_test(t, far_call_pushes_cs_and_eip_and_retf_comes_back);
    tcase_add_test(t, call_gate_to_an_inner_level_copies_parameters_and_retf_releases_them);
    tcase_add_test(t, call_gate_pushes_ss_esp_cs_eip_on_the_inner_stack);
    tcase_add_test(t, call_gate_of_lower_dpl_raises_gp_with_the_gate);
    tcase_add_test(t, jump_through_a_call_gate_cannot_change_the_level);
    tcase_add_test(t, ia32e_call_gate_takes_rsp_from_the_tss_and_a_null_ss);
    tcase_add_test(t, retf_from_64_bit_mode_enters_compatibility_mode);
    tcase_add_test(t, jump_to_a_tss_saves_the_old_task_and_loads_the_new);
    tcase_add_test(t, call_of_a_task_nests_and_iret_returns);
    tcase_add_test(t, tss_that_is_too_small_raises_ts_in_the_old_task);
    tcase_add_test(t, bad_segment_of_the_new_task_raises_ts_in_the_new_task);
    tcase_add_test(t, t_flag_of_the_tss_traps_before_the_first_instruction_of_the_task);
    suite_add_tcase(s, t);
    return s;
}
