/* Delivery through the IVT and the IDT, and IRET. */
#include "tests/cpu/system_lab.h"

/* ---- protected mode ---- */

START_TEST(invalid_opcode_pushes_eip_cs_eflags_with_rf_on_the_same_stack)
{
    struct insn_lab *lab = sys_new(SYS_32);

    sys_run(lab, 0x0f, 0x0b); /* UD2 */
    ck_assert_int_eq(sys_handler(lab), 6);
    ck_assert_uint_eq(lab->cpu->r[RSP], SYS_STACK0 - 0x1000 - 12);
    ck_assert_uint_eq(sys_frame(lab, 0), LAB_CODE);
    ck_assert_uint_eq(sys_frame(lab, 1), CODE32);
    ck_assert_uint_eq(sys_frame(lab, 2) & 0x10002, 0x10002); /* RF: a fault */
    lab_free(lab);
}
END_TEST

START_TEST(exception_at_cpl_3_switches_to_ss0_esp0_of_the_tss)
{
    struct insn_lab *lab = sys_new(SYS_32_USER);

    sys_run(lab, 0xfa); /* CLI with IOPL 0: #GP(0) */
    ck_assert_int_eq(sys_handler(lab), 13);
    ck_assert_uint_eq(lab->cpu->cpl, 0);
    ck_assert_uint_eq(lab->cpu->seg[SEG_SS].selector, DATA32);
    ck_assert_uint_eq(lab->cpu->r[RSP], SYS_STACK0 - 24);
    ck_assert_uint_eq(sys_frame(lab, 0), 0); /* error code */
    ck_assert_uint_eq(sys_frame(lab, 1), LAB_CODE);
    ck_assert_uint_eq(sys_frame(lab, 2), CODE32_USER);
    ck_assert_uint_eq(sys_frame(lab, 4), SYS_STACK3);
    ck_assert_uint_eq(sys_frame(lab, 5), DATA32_USER);
    lab_free(lab);
}
END_TEST

START_TEST(interrupt_gate_clears_if_and_trap_gate_keeps_it)
{
    struct insn_lab *lab = sys_new(SYS_32);

    lab->cpu->rflags |= RFLAGS_IF;
    sys_run(lab, 0xcd, 0x80); /* INT 80H */
    ck_assert_int_eq(sys_handler(lab), 0x80);
    ck_assert_uint_eq(lab->cpu->rflags & RFLAGS_IF, 0);
    ck_assert_uint_eq(sys_frame(lab, 0), LAB_CODE + 2); /* the next instruction */
    ck_assert_uint_eq(sys_frame(lab, 2) & (RFLAGS_IF | RFLAGS_RF), RFLAGS_IF);
    lab_free(lab);

    lab = sys_new(SYS_32);
    sys_vector(lab, 0x80, CODE32, 0x8f, 0);
    lab->cpu->rflags |= RFLAGS_IF;
    sys_run(lab, 0xcd, 0x80);
    ck_assert_int_eq(sys_handler(lab), 0x80);
    ck_assert_uint_eq(lab->cpu->rflags & RFLAGS_IF, RFLAGS_IF);
    lab_free(lab);
}
END_TEST

START_TEST(int_n_through_a_gate_of_dpl_0_at_cpl_3_raises_gp_with_the_idt_index)
{
    struct insn_lab *lab = sys_new(SYS_32_USER);

    sys_run(lab, 0xcd, 0x80);
    ck_assert_int_eq(sys_handler(lab), 13);
    ck_assert_uint_eq(sys_frame(lab, 0), 0x80 * 8 + 2);
    ck_assert_uint_eq(sys_frame(lab, 1), LAB_CODE);
    lab_free(lab);
}
END_TEST

START_TEST(int_n_through_a_gate_of_dpl_3_is_allowed)
{
    struct insn_lab *lab = sys_new(SYS_32_USER);

    sys_vector(lab, 0x80, CODE32, 0xee, 0);
    sys_run(lab, 0xcd, 0x80);
    ck_assert_int_eq(sys_handler(lab), 0x80);
    lab_free(lab);
}
END_TEST

START_TEST(absent_gate_raises_np_with_ext_only_for_events_of_the_processor)
{
    struct insn_lab *lab = sys_new(SYS_32);

    sys_vector(lab, 0x80, CODE32, 0x0e, 0);
    sys_run(lab, 0xcd, 0x80);
    ck_assert_int_eq(sys_handler(lab), 11);
    ck_assert_uint_eq(sys_frame(lab, 0), 0x80 * 8 + 2);
    lab_free(lab);

    lab = sys_new(SYS_32);
    sys_vector(lab, 6, CODE32, 0x0e, 0);
    sys_run(lab, 0x0f, 0x0b);
    ck_assert_int_eq(sys_handler(lab), 11);
    ck_assert_uint_eq(sys_frame(lab, 0), 6 * 8 + 3); /* EXT */
    lab_free(lab);
}
END_TEST

START_TEST(interrupt_beyond_the_limit_of_the_idt_raises_gp)
{
    struct insn_lab *lab = sys_new(SYS_32);

    lab->cpu->idtr.limit = 0x80 * 8 + 6;
    sys_run(lab, 0xcd, 0x80);
    ck_assert_int_eq(sys_handler(lab), 13);
    ck_assert_uint_eq(sys_frame(lab, 0), 0x80 * 8 + 2);
    lab_free(lab);
}
END_TEST

START_TEST(inner_stack_selector_of_the_wrong_level_raises_ts)
{
    struct insn_lab *lab = sys_new(SYS_32_USER);

    /* the handler of #TS runs at CPL 3, so that it needs no stack of the TSS */
    sys_vector(lab, 10, CODE32_USER & ~3, 0x8e, 0);
    bus_write(lab->bus, SYS_TSS + 8, DATA32_USER, 4);
    sys_run(lab, 0x0f, 0x0b);
    ck_assert_uint_eq(bus_read(lab->bus, SYS_STACK3 - 16, 4), (DATA32_USER & ~3u) | 1);
    lab_free(lab);
}
END_TEST

START_TEST(task_gate_in_the_idt_switches_tasks_and_links_back)
{
    struct insn_lab *lab = sys_new(SYS_32);

    sys_put_gate(lab, SYS_IDT + 6 * 8, false, TSS_B, 0, 0x85, 0);
    bus_write(lab->bus, SYS_TSS2 + 32, SYS_INNER, 4);
    bus_write(lab->bus, SYS_TSS2 + 36, 2, 4);
    bus_write(lab->bus, SYS_TSS2 + 56, 0x2a000, 4); /* ESP */
    bus_write(lab->bus, SYS_TSS2 + 76, CODE32, 4);
    bus_write(lab->bus, SYS_TSS2 + 80, DATA32, 4);
    sys_run(lab, 0x0f, 0x0b);
    ck_assert_uint_eq(lab->cpu->rip, SYS_INNER + 1);
    ck_assert_uint_eq(lab->cpu->seg[SEG_TR].selector, TSS_B);
    ck_assert_uint_eq(bus_read(lab->bus, SYS_TSS2, 2), TSS_A);
    ck_assert_uint_eq(lab->cpu->rflags & RFLAGS_NT, RFLAGS_NT);
    ck_assert_uint_eq(bus_read(lab->bus, SYS_TSS + 32, 4), LAB_CODE);
    ck_assert_uint_eq(lab->cpu->cr0 & CR0_TS, CR0_TS);
    lab_free(lab);
}
END_TEST

/* ---- IA-32e mode ---- */

START_TEST(ia32e_delivery_from_user_aligns_the_stack_and_pushes_ss_and_rsp)
{
    struct insn_lab *lab = sys_new(SYS_64_USER);

    bus_write(lab->bus, SYS_TSS + 4, SYS_STACK0 + 9, 8);
    sys_run(lab, 0xfa);
    ck_assert_int_eq(sys_handler(lab), 13);
    ck_assert_uint_eq(lab->cpu->r[RSP], SYS_STACK0 - 48);
    ck_assert_uint_eq(sys_frame(lab, 0), 0);
    ck_assert_uint_eq(sys_frame(lab, 1), LAB_CODE);
    ck_assert_uint_eq(sys_frame(lab, 2), CODE64_USER);
    ck_assert_uint_eq(sys_frame(lab, 4), SYS_STACK3);
    ck_assert_uint_eq(sys_frame(lab, 5), DATA32_USER);
    ck_assert_uint_eq(lab->cpu->seg[SEG_SS].selector, 0); /* null, with the new RPL */
    lab_free(lab);
}
END_TEST

START_TEST(ia32e_delivery_at_the_same_level_pushes_the_stack_too)
{
    struct insn_lab *lab = sys_new(SYS_64);

    lab->cpu->r[RSP] -= 4;
    sys_run(lab, 0x0f, 0x0b);
    ck_assert_int_eq(sys_handler(lab), 6);
    ck_assert_uint_eq(sys_frame(lab, 3), SYS_STACK0 - 0x1000 - 4);
    ck_assert_uint_eq(lab->cpu->r[RSP] & 15, 8); /* five pushes below a multiple of 16 */
    ck_assert_uint_eq(lab->cpu->seg[SEG_SS].selector, DATA32);
    lab_free(lab);
}
END_TEST

START_TEST(ist_of_the_gate_is_used_at_every_level)
{
    struct insn_lab *lab = sys_new(SYS_64);

    sys_vector(lab, 6, CODE64, 0x8e, 1);
    sys_run(lab, 0x0f, 0x0b);
    ck_assert_int_eq(sys_handler(lab), 6);
    ck_assert_uint_eq(lab->cpu->r[RSP], SYS_IST1 - 40);
    lab_free(lab);
}
END_TEST

START_TEST(ia32e_gate_to_a_32_bit_code_segment_raises_gp_with_its_selector)
{
    struct insn_lab *lab = sys_new(SYS_64);

    sys_vector(lab, 6, CODE32, 0x8e, 0);
    sys_run(lab, 0x0f, 0x0b);
    ck_assert_int_eq(sys_handler(lab), 13);
    ck_assert_uint_eq(sys_frame(lab, 0), CODE32 | 1);
    lab_free(lab);
}
END_TEST

START_TEST(non_canonical_stack_of_the_tss_ends_in_a_double_fault)
{
    struct insn_lab *lab = sys_new(SYS_64_USER);

    sys_vector(lab, 8, CODE64, 0x8e, 1);
    bus_write(lab->bus, SYS_TSS + 4, UINT64_C(1) << 60, 8);
    sys_run(lab, 0xfa);
    ck_assert_int_eq(sys_handler(lab), 8);
    ck_assert_uint_eq(sys_frame(lab, 0), 0);
    lab_free(lab);
}
END_TEST

/* ---- IRET ---- */

START_TEST(iretq_returns_to_user_and_drops_data_segments_of_the_kernel)
{
    struct insn_lab *lab = sys_new(SYS_64);
    const uint64_t frame[] = { LAB_CODE + 0x100, CODE64_USER, 0x202, SYS_STACK3, DATA32_USER };

    lab->cpu->r[RSP] = SYS_STACK0 - sizeof frame;
    bus_write_bytes(lab->bus, SYS_STACK0 - sizeof frame, frame, sizeof frame);
    bus_write(lab->bus, LAB_CODE + 0x100, 0x0b0f, 2); /* UD2 */
    lab->cpu->seg[SEG_FS].selector = DATA32_USER;
    lab->cpu->seg[SEG_FS].ar |= 3 << 5;
    lab->cpu->seg[SEG_GS].base = 0x123000;
    sys_run(lab, 0x48, 0xcf);
    ck_assert_int_eq(sys_handler(lab), 6);
    ck_assert_uint_eq(lab->cpu->seg[SEG_GS].selector, 0);
    ck_assert_uint_eq(lab->cpu->seg[SEG_GS].base, 0x123000); /* only MOV GS would clear it */
    ck_assert_uint_eq(sys_frame(lab, 1), CODE64_USER);
    ck_assert_uint_eq(sys_frame(lab, 2) & RFLAGS_IF, RFLAGS_IF);
    ck_assert_uint_eq(sys_frame(lab, 3), SYS_STACK3);
    ck_assert_uint_eq(lab->cpu->seg[SEG_DS].selector, 0);
    ck_assert_uint_eq(lab->cpu->seg[SEG_DS].ar & AR_UNUSABLE, AR_UNUSABLE);
    ck_assert_uint_eq(lab->cpu->seg[SEG_FS].selector, DATA32_USER);
    lab_free(lab);
}
END_TEST

START_TEST(iret_at_cpl_3_changes_neither_iopl_nor_if)
{
    struct insn_lab *lab = sys_new(SYS_32_USER);
    const uint32_t frame[] = { LAB_CODE + 0x100, CODE32_USER, 0x3202 | 1 };

    bus_write_bytes(lab->bus, SYS_STACK3, frame, sizeof frame);
    bus_write(lab->bus, LAB_CODE + 0x100, 0x0b0f, 2);
    sys_run(lab, 0xcf);
    ck_assert_int_eq(sys_handler(lab), 6);
    ck_assert_uint_eq(sys_frame(lab, 2) & 0xffff, 3); /* CF came, IOPL and IF did not */
    lab_free(lab);
}
END_TEST

START_TEST(iret_to_virtual_8086_mode_and_an_exception_back)
{
    struct insn_lab *lab = sys_new(SYS_32);
    /* EIP CS EFLAGS ESP SS ES DS FS GS */
    const uint32_t frame[] = { 0, 0x0a00, 0x20202, 0x1000, 0x0700, 0x1111, 0x2222, 0x3333, 0x4444 };

    lab->cpu->r[RSP] = SYS_STACK0 - sizeof frame;
    bus_write_bytes(lab->bus, SYS_STACK0 - sizeof frame, frame, sizeof frame);
    bus_write(lab->bus, 0xa000, 0x0b0f, 2);
    sys_run(lab, 0xcf);
    ck_assert_int_eq(sys_handler(lab), 6);
    ck_assert_uint_eq(lab->cpu->r[RSP], SYS_STACK0 - 36);
    for (unsigned i = 0; i < 9; i++)
        ck_assert_uint_eq(sys_frame(lab, i) & ~0x10000u, frame[i]);
    ck_assert_uint_eq(lab->cpu->rflags & RFLAGS_VM, 0);
    ck_assert_uint_eq(lab->cpu->seg[SEG_GS].selector, 0);
    lab_free(lab);
}
END_TEST

START_TEST(iret_with_nt_in_ia32e_mode_raises_gp)
{
    struct insn_lab *lab = sys_new(SYS_64);

    lab->cpu->rflags |= RFLAGS_NT;
    sys_run(lab, 0x48, 0xcf);
    ck_assert_int_eq(sys_handler(lab), 13);
    lab_free(lab);
}
END_TEST

START_TEST(iret_ends_blocking_by_nmi_even_when_it_faults)
{
    struct insn_lab *lab = sys_new(SYS_32);

    lab->cpu->blocking = BLOCK_NMI;
    bus_write(lab->bus, SYS_STACK0 - 0x1000 + 4, 0, 4); /* CS null: #GP(0) */
    sys_run(lab, 0xcf);
    ck_assert_int_eq(sys_handler(lab), 13);
    ck_assert_uint_eq(lab->cpu->blocking & BLOCK_NMI, 0);
    ck_assert(lab->cpu->current.nmi_unblocking);
    lab_free(lab);
}
END_TEST

/* ---- real-address and virtual-8086 mode ---- */

START_TEST(real_mode_pushes_flags_cs_ip_and_goes_through_the_vector_table)
{
    struct insn_lab *lab = lab_new(LAB_REAL);

    lab->cpu->r[RSP] = 0x7000;
    bus_write(lab->bus, 4 * 0x21, 0x01001234, 4); /* 0100:1234 */
    bus_write(lab->bus, 0x1000 + 0x1234, 0xf4, 1);
    lab->cpu->rflags |= RFLAGS_IF;
    sys_run(lab, 0xcd, 0x21);
    ck_assert_uint_eq(lab->cpu->rip, 0x1235);
    ck_assert_uint_eq(lab->cpu->seg[SEG_CS].selector, 0x100);
    ck_assert_uint_eq(lab->cpu->seg[SEG_CS].base, 0x1000);
    ck_assert_uint_eq(lab->cpu->r[RSP], 0x7000 - 6);
    ck_assert_uint_eq(bus_read(lab->bus, 0x7000 - 6, 2), LAB_CODE + 2);
    ck_assert_uint_eq(bus_read(lab->bus, 0x7000 - 2, 2) & RFLAGS_IF, RFLAGS_IF);
    ck_assert_uint_eq(lab->cpu->rflags & RFLAGS_IF, 0);
    lab_free(lab);
}
END_TEST

START_TEST(int_n_in_virtual_8086_mode_with_iopl_below_3_raises_gp)
{
    struct insn_lab *lab = sys_new(SYS_VM86);

    sys_run(lab, 0xcd, 0x21);
    ck_assert_int_eq(sys_handler(lab), 13);
    lab_free(lab);
}
END_TEST

START_TEST(vme_redirects_int_n_to_the_8086_program_and_pushes_vif_as_if)
{
    struct insn_lab *lab = sys_new(SYS_VM86);

    bus_write(lab->bus, SYS_TSS + 102, 0x88, 2); /* maps: redirection at 68H, I/O at 88H */
    lab->cpu->seg[SEG_TR].limit = 0xff;
    bus_write(lab->bus, 4 * 0x21, 0x01001234, 4);
    bus_write(lab->bus, 0x1000 + 0x1234, 0x0b0f, 2); /* UD2: out again */
    lab->cpu->cr4 |= CR4_VME;
    lab->cpu->rflags |= RFLAGS_VIF;
    sys_run(lab, 0xcd, 0x21);
    ck_assert_int_eq(sys_handler(lab), 6);
    ck_assert_uint_eq(sys_frame(lab, 0), 0x1234);
    ck_assert_uint_eq(sys_frame(lab, 1), 0x100);
    ck_assert_uint_eq(sys_frame(lab, 2) & RFLAGS_VIF, 0);
    ck_assert_uint_eq(bus_read(lab->bus, 0x7000 - 2, 2) & 0x3200, 0x3200); /* IOPL 3, IF */
    lab_free(lab);
}
END_TEST

Suite *suite_cpu_interrupt(void)
{
    Suite *s = suite_create("cpu/interrupt");
    TCase *t = tcase_create("delivery");

    tcase_add_test(t, invalid_opcode_pushes_eip_cs_eflags_with_rf_on_the_same_stack);
    tcase_add_test(t, exception_at_cpl_3_switches_to_ss0_esp0_of_the_tss);
    tcase_add_test(t, interrupt_gate_clears_if_and_trap_gate_keeps_it);
    tcase_add_test(t, int_n_through_a_gate_of_dpl_0_at_cpl_3_raises_gp_with_the_idt_index);
    tcase_add_test(t, int_n_through_a_gate_of_dpl_3_is_allowed);
    tcase_add_test(t, absent_gate_raises_np_with_ext_only_for_events_of_the_processor);
    tcase_add_test(t, interrupt_beyond_the_limit_of_the_idt_raises_gp);
    tcase_add_test(t, inner_stack_selector_of_the_wrong_level_raises_ts);
    tcase_add_test(t, task_gate_in_the_idt_switches_tasks_and_links_back);
    tcase_add_test(t, ia32e_delivery_from_user_aligns_the_stack_and_pushes_ss_and_rsp);
    tcase_add_test(t, ia32e_delivery_at_the_same_level_pushes_the_stack_too);
    tcase_add_test(t, ist_of_the_gate_is_used_at_every_level);
    tcase_add_test(t, ia32e_gate_to_a_32_bit_code_segment_raises_gp_with_its_selector);
    tcase_add_test(t, non_canonical_stack_of_the_tss_ends_in_a_double_fault);
    tcase_add_test(t, iretq_returns_to_user_and_drops_data_segments_of_the_kernel);
    tcase_add_test(t, iret_at_cpl_3_changes_neither_iopl_nor_if);
    tcase_add_test(t, iret_to_virtual_8086_mode_and_an_exception_back);
    tcase_add_test(t, iret_with_nt_in_ia32e_mode_raises_gp);
    tcase_add_test(t, iret_ends_blocking_by_nmi_even_when_it_faults);
    tcase_add_test(t, real_mode_pushes_flags_cs_ip_and_goes_through_the_vector_table);
    tcase_add_test(t, int_n_in_virtual_8086_mode_with_iopl_below_3_raises_gp);
    tcase_add_test(t, vme_redirects_int_n_to_the_8086_program_and_pushes_vif_as_if);
    suite_add_tcase(s, t);
    return s;
}
