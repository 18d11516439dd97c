/* What exits in VMX non-root operation, and what the VM exit reports.
 * [SDM 3C "VMX Non-Root Operation", "Basic VM-Exit Information"] */
#include "tests/support/lab.h"

/* ---- instructions ---- */

struct exit_row {
    const char *code;
    size_t bytes;
    uint32_t field; /* the control that is set: encoding, bits */
    uint64_t bits;
    unsigned reason;
    uint64_t qualification;
    uint32_t length;
};
#define ROW(code, field, bits, reason, qualification, length)                    \
    {                                                                            \
        code, sizeof code - 1, VMCS_##field, bits, reason, qualification, length \
    }

static const struct exit_row rows[] = {
    ROW("\x0f\xa2", VPID, 1, 10, 0, 2),                                         /* cpuid */
    ROW("\x0f\x08", VPID, 1, 13, 0, 2),                                         /* invd */
    ROW("\x31\xc9\xb8\x01\x00\x00\x00\x31\xd2\x0f\x01\xd1", VPID, 1, 55, 0, 3), /* xsetbv */
    ROW("\xf4", VPID, 1, 12, 0, 1),                                             /* hlt */
    ROW("\x0f\x01\x38", PROC_CONTROLS, 1 << 9, 14, 0, 3),                       /* invlpg [rax] */
    ROW("\x0f\x33", PROC_CONTROLS, 1 << 11, 15, 0, 2),                          /* rdpmc */
    ROW("\x0f\x31", PROC_CONTROLS, 1 << 12, 16, 0, 2),                          /* rdtsc */
    ROW("\x0f\x01\xf9", PROC_CONTROLS, 1 << 12, 51, 0, 3),                      /* rdtscp */
    ROW("\x0f\x21\xc0", PROC_CONTROLS, 1 << 23, 29, 0x10, 3),                   /* mov rax, dr0 */
    ROW("\x0f\x23\xfb", PROC_CONTROLS, 1 << 23, 29, 0x307, 3),                  /* mov dr7, rbx */
    ROW("\x0f\x01\xc8", PROC_CONTROLS, 1 << 29, 39, 0, 3),                      /* monitor */
    ROW("\x31\xc9\x0f\x01\xc9", PROC_CONTROLS, 1 << 10, 36, 0, 3),         /* mwait, not armed */
    ROW("\xf3\x90", PROC_CONTROLS, 1 << 30, 40, 0, 2),                     /* pause */
    ROW("\x0f\x09", PROC2_CONTROLS, 1 << 6, 54, 0, 2),                     /* wbinvd */
    ROW("\x0f\xc7\xf3", PROC2_CONTROLS, 1 << 11, 57, 0, 3),                /* rdrand ebx */
    ROW("\x0f\xc7\xfb", PROC2_CONTROLS, 1 << 16, 61, 0, 3),                /* rdseed ebx */
    ROW("\x0f\x01\x50\x10", PROC2_CONTROLS, 1 << 2, 46, 0x10, 4),          /* lgdt [rax + 16] */
    ROW("\x0f\x00\xdb", PROC2_CONTROLS, 1 << 2, 47, 0, 3),                 /* ltr bx */
    ROW("\xe6\x80", PROC_CONTROLS, 1 << 24, 30, 0x800040, 2),              /* out 80h, al */
    ROW("\x66\xba\xf8\x03\xed", PROC_CONTROLS, 1 << 24, 30, 0x3f8000b, 1), /* in eax, dx */
    ROW("\x31\xc9\x0f\x32", VPID, 1, 31, 0, 2),                            /* rdmsr */
    ROW("\x31\xc9\x0f\x30", VPID, 1, 32, 0, 2),                            /* wrmsr */
    ROW("\x0f\x22\xdb", PROC_CONTROLS, 1 << 15, 28, 0x303, 3),             /* mov cr3, rbx */
    ROW("\x0f\x20\xdf", PROC_CONTROLS, 1 << 16, 28, 0x713, 3),             /* mov rdi, cr3 */
    ROW("\x44\x0f\x22\xc1", PROC_CONTROLS, 1 << 19, 28, 0x108, 4),         /* mov cr8, rcx */
    ROW("\x44\x0f\x20\xc6", PROC_CONTROLS, 1 << 20, 28, 0x618, 4),         /* mov rsi, cr8 */
};
enum { ROW_COUNT = sizeof rows / sizeof rows[0] };

START_TEST(each_intercepted_instruction_exits)
{
    const struct exit_row *row = &rows[_i];
    struct lab *lab = lab_ready_to_launch();

    lab_enable(lab, PROC2_CONTROLS, PROC2(RDTSCP) | PROC2(INVPCID) | PROC2(XSAVES));
    lab_or(lab, row->field, row->bits);
    lab->cpu->r[RAX] = 0;
    lab_guest(lab, row->code, row->bytes);
    lab_vmlaunch(lab);
    expect_exit(lab, row->reason, row->qualification);
    ck_assert_uint_eq(lab_vmread(lab, EXIT_INSN_LENGTH), row->length);
    ck_assert_uint_eq(lab_vmread(lab, EXIT_INTR_INFO), 0);
    ck_assert_uint_eq(lab_vmread(lab, IDT_VECTORING_INFO), 0);
    lab_destroy(lab);
}
END_TEST

START_TEST(disabled_instructions_raise_ud)
{
    static const struct {
        const char *code;
        size_t bytes;
    } disabled[] = {
        { "\x0f\x01\xf9", 3 },         /* rdtscp */
        { "\xf3\x0f\xc7\xf8", 4 },     /* rdpid rax */
        { "\x66\x0f\x38\x82\x08", 5 }, /* invpcid ecx, [rax] */
        { "\x0f\xc7\x28", 3 },         /* xsaves [rax] */
        { "\x0f\x01\xd4", 3 },         /* vmfunc */
    };
    struct lab *lab = lab_ready_to_launch();

    lab_vmwrite(lab, EXCEPTION_BITMAP, 1 << 6);
    lab_guest(lab, disabled[_i].code, disabled[_i].bytes);
    lab_vmlaunch(lab);
    expect_exit(lab, 0, 0);
    ck_assert_uint_eq(lab_vmread(lab, EXIT_INTR_INFO), 0x80000306);
    lab_destroy(lab);
}
END_TEST

START_TEST(io_bitmaps_decide_by_port)
{
    struct lab *lab = lab_ready_to_launch();

    lab_enable(lab, PROC_CONTROLS, PROC(IO_BITMAPS));
    lab_poke(lab, LAB_IO_A + 0x80 / 8, 2, 1);              /* port 81H */
    lab_poke(lab, LAB_IO_B + (0x9000 - 0x8000) / 8, 1, 1); /* port 9000H */
    /* out 80h, al; in eax, 80h; mov dx, 9000h; out dx, al */
    lab_guest_code(lab, "\xe6\x80\xe5\x80\x66\xba\x00\x90\xee");
    lab_vmlaunch(lab);
    expect_exit(lab, 30, 0x80004b); /* the doubleword at 80H touches 81H */
    lab_vmwrite(lab, GUEST_RIP, LAB_GUEST_CODE + 4);
    lab_vmresume(lab);
    expect_exit(lab, 30, UINT64_C(0x90000000));
    lab_destroy(lab);
}
END_TEST

START_TEST(string_io_reports_address_and_segment)
{
    struct lab *lab = lab_ready_to_launch();

    lab_enable(lab, PROC_CONTROLS, PROC(IO));
    lab->cpu->r[RDX] = 0x60;
    lab->cpu->r[RSI] = 0x5678;
    lab->cpu->r[RCX] = 3;
    lab_guest_code(lab, "\xf3\x6e"); /* rep outsb */
    lab_vmlaunch(lab);
    expect_exit(lab, 30, 0x600030);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_LINEAR_ADDRESS), 0x5678);
    ck_assert_uint_eq(lab_vmread(lab, EXIT_INSN_INFO), 2 << 7 | 3 << 15);
    lab_destroy(lab);
}
END_TEST

START_TEST(msr_bitmaps_decide_by_number_and_direction)
{
    struct lab *lab = lab_ready_to_launch();

    lab_enable(lab, PROC_CONTROLS, PROC(MSR_BITMAPS));
    lab_poke(lab, LAB_MSR_BITMAPS + 1024 + 0x82 / 8, 1 << 2, 1); /* read of C0000082H */
    /* rdmsr 174h; wrmsr C0000082h; rdmsr C0000082h */
    lab_guest_code(lab, "\xb9\x74\x01\x00\x00\x0f\x32\x31\xc0\x31\xd2"
                        "\xb9\x82\x00\x00\xc0\x0f\x30\x0f\x32");
    lab_vmlaunch(lab);
    expect_exit(lab, 31, 0);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_RIP), LAB_GUEST_CODE + 18);
    lab_destroy(lab);
}
END_TEST

START_TEST(an_msr_outside_the_bitmaps_exits)
{
    struct lab *lab = lab_ready_to_launch();

    lab_enable(lab, PROC_CONTROLS, PROC(MSR_BITMAPS));
    lab_guest_code(lab, "\xb9\x00\x00\x00\x40\x0f\x32");
    lab_vmlaunch(lab);
    expect_exit(lab, 31, 0);
    lab_destroy(lab);
}
END_TEST

/* ---- control registers ---- */

START_TEST(reads_of_cr0_take_host_bits_from_the_shadow)
{
    struct lab *lab = lab_ready_to_launch();

    lab_vmwrite(lab, CR0_MASK, CR0_NE | CR0_MP);
    lab_vmwrite(lab, CR0_SHADOW, CR0_MP);
    lab_guest_code(lab, "\x0f\x20\xc3\x0f\x01\xe1\x0f\xa2"); /* mov rbx, cr0; smsw ecx; cpuid */
    lab_vmlaunch(lab);
    expect_exit(lab, 10, 0);
    ck_assert_uint_eq(lab->cpu->r[RBX], (lab_vmread(lab, GUEST_CR0) & ~CR0_NE) | CR0_MP);
    lab_destroy(lab);
}
END_TEST

START_TEST(writes_of_cr4_exit_when_a_host_bit_would_change)
{
    struct lab *lab = lab_ready_to_launch();

    lab_vmwrite(lab, CR4_MASK, CR4_VMXE);
    lab_vmwrite(lab, CR4_SHADOW, 0);
    /* mov rbx, cr4; or ebx, 100h; mov cr4, rbx (allowed); or ebx, 2000h; mov cr4, rbx (exits) */
    lab_guest_code(lab, "\x0f\x20\xe3\x81\xcb\x00\x01\x00\x00\x0f\x22\xe3"
                        "\x81\xcb\x00\x20\x00\x00\x0f\x22\xe3");
    lab_vmlaunch(lab);
    expect_exit(lab, 28, 0x304);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_RIP), LAB_GUEST_CODE + 18);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_CR4) & (CR4_PCE | CR4_VMXE), CR4_PCE | CR4_VMXE);
    lab_destroy(lab);
}
END_TEST

START_TEST(clts_exits_only_if_the_guest_believes_ts_is_set)
{
    struct lab *lab = lab_ready_to_launch();

    lab_vmwrite(lab, CR0_MASK, CR0_TS);
    lab_guest_code(lab, "\x0f\x06\x0f\xa2");
    lab_vmlaunch(lab);
    expect_exit(lab, 10, 0);
    lab_vmwrite(lab, CR0_SHADOW, CR0_TS);
    lab_vmwrite(lab, GUEST_RIP, LAB_GUEST_CODE);
    lab_vmresume(lab);
    expect_exit(lab, 28, 0x20);
    lab_destroy(lab);
}
END_TEST

START_TEST(lmsw_reports_its_source)
{
    struct lab *lab = lab_ready_to_launch();

    lab_vmwrite(lab, CR0_MASK, CR0_TS);
    lab->cpu->r[RAX] = 0x000b;
    lab_guest_code(lab, "\x0f\x01\xf0"); /* lmsw ax */
    lab_vmlaunch(lab);
    expect_exit(lab, 28, 0xb0030);
    lab_destroy(lab);
}
END_TEST

START_TEST(a_cr3_target_value_does_not_exit)
{
    struct lab *lab = lab_ready_to_launch();

    lab_enable(lab, PROC_CONTROLS, PROC(CR3_LOAD));
    lab_vmwrite(lab, CR3_TARGET_COUNT, 2);
    lab_vmwrite(lab, CR3_TARGET1, LAB_PML4);
    lab->cpu->r[RBX] = LAB_PML4;
    lab_guest_code(lab, "\x0f\x22\xdb\x0f\xa2");
    lab_vmlaunch(lab);
    expect_exit(lab, 10, 0);
    lab_destroy(lab);
}
END_TEST

/* ---- exceptions ---- */

START_TEST(a_page_fault_exits_by_its_error_code)
{
    struct lab *lab = lab_ready_to_launch();

    lab_vmwrite(lab, EXCEPTION_BITMAP, 1 << 14);
    lab_vmwrite(lab, PF_ERROR_CODE_MASK, 2);
    lab_vmwrite(lab, PF_ERROR_CODE_MATCH, 2);
    lab->cpu->r[RBX] = UINT64_C(0x123456000);
    lab_guest_code(lab, "\xc6\x03\x01"); /* mov byte [rbx], 1 */
    lab_vmlaunch(lab);
    expect_exit(lab, 0, UINT64_C(0x123456000));
    ck_assert_uint_eq(lab_vmread(lab, EXIT_INTR_INFO), 0x80000b0e);
    ck_assert_uint_eq(lab_vmread(lab, EXIT_INTR_ERROR_CODE), 2);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_RFLAGS) & RFLAGS_RF, RFLAGS_RF);
    lab_destroy(lab);
}
END_TEST

START_TEST(int3_exits_as_a_software_exception_at_its_address)
{
    struct lab *lab = lab_ready_to_launch();

    lab_vmwrite(lab, EXCEPTION_BITMAP, 1 << 3);
    lab_guest_code(lab, "\xcc");
    lab_vmlaunch(lab);
    expect_exit(lab, 0, 0);
    ck_assert_uint_eq(lab_vmread(lab, EXIT_INTR_INFO), 0x80000603);
    ck_assert_uint_eq(lab_vmread(lab, EXIT_INSN_LENGTH), 1);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_RIP), LAB_GUEST_CODE);
    lab_destroy(lab);
}
END_TEST

START_TEST(an_exception_during_delivery_reports_what_was_delivered)
{
    struct lab *lab = lab_ready_to_launch();

    lab_vmwrite(lab, EXCEPTION_BITMAP, 1 << 13);
    lab_vmwrite(lab, GUEST_IDTR_LIMIT, 0x5f); /* vectors 0 to 5 only */
    lab_guest_code(lab, "\x0f\x0b");          /* ud2 */
    lab_vmlaunch(lab);
    expect_exit(lab, 0, 0);
    ck_assert_uint_eq(lab_vmread(lab, EXIT_INTR_INFO), 0x80000b0d);
    ck_assert_uint_eq(lab_vmread(lab, EXIT_INTR_ERROR_CODE), 6 << 3 | 2 | 1);
    ck_assert_uint_eq(lab_vmread(lab, IDT_VECTORING_INFO), 0x80000306);
    lab_destroy(lab);
}
END_TEST

START_TEST(a_triple_fault_exits)
{
    struct lab *lab = lab_ready_to_launch();

    lab_vmwrite(lab, GUEST_IDTR_LIMIT, 0);
    lab_guest_code(lab, "\x0f\x0b");
    lab_vmlaunch(lab);
    expect_exit(lab, 2, 0);
    ck_assert_uint_eq(lab_vmread(lab, IDT_VECTORING_INFO), 0);
    ck_assert(!lab->shut_down);
    lab_destroy(lab);
}
END_TEST

/* ---- interrupts, windows, time ---- */

START_TEST(an_external_interrupt_exits_whatever_if_says)
{
    struct lab *lab = lab_ready_to_launch();

    lab_guest_code(lab, "\xeb\xfe"); /* jmp $ */
    lab->pending_vector = 0x51;
    lab->cpu->events |= EVENT_INTR;
    lab_vmlaunch(lab);
    expect_exit(lab, 1, 0);
    ck_assert_uint_eq(lab_vmread(lab, EXIT_INTR_INFO), 0x80000051);
    lab_destroy(lab);
}
END_TEST

START_TEST(without_acknowledge_the_interrupt_stays_pending)
{
    struct lab *lab = lab_ready_to_launch();

    lab_vmwrite(lab, EXIT_CONTROLS, lab_vmread(lab, EXIT_CONTROLS) & ~EXIT(ACK_INTR));
    lab_guest_code(lab, "\xeb\xfe");
    lab->pending_vector = 0x51;
    lab->cpu->events |= EVENT_INTR;
    lab_vmlaunch(lab);
    expect_exit(lab, 1, 0);
    ck_assert_uint_eq(lab_vmread(lab, EXIT_INTR_INFO), 0);
    ck_assert_int_eq(lab->pending_vector, 0x51);
    lab_destroy(lab);
}
END_TEST

START_TEST(an_nmi_exits_and_blocks_nmis)
{
    struct lab *lab = lab_ready_to_launch();

    lab_guest_code(lab, "\xeb\xfe");
    lab->cpu->events |= EVENT_NMI;
    lab->cpu->blocking |= BLOCK_NMI; /* root operation is still blocked by the one before */
    lab_enable(lab, PIN_CONTROLS, PIN(VIRTUAL_NMIS));
    lab_vmlaunch(lab);
    expect_exit(lab, 0, 0);
    ck_assert_uint_eq(lab_vmread(lab, EXIT_INTR_INFO), 0x80000202);
    ck_assert_uint_eq(lab->cpu->blocking, BLOCK_NMI);
    lab_destroy(lab);
}
END_TEST

START_TEST(the_interrupt_window_opens_one_instruction_after_sti)
{
    struct lab *lab = lab_ready_to_launch();

    lab_enable(lab, PROC_CONTROLS, PROC(INTR_WINDOW));
    lab_guest_code(lab, "\x90\xfb\x90\x90\x0f\xa2"); /* nop; sti; nop; nop; cpuid */
    lab_vmlaunch(lab);
    expect_exit(lab, 7, 0);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_RIP), LAB_GUEST_CODE + 3);
    lab_destroy(lab);
}
END_TEST

START_TEST(an_open_interrupt_window_exits_before_the_first_instruction)
{
    struct lab *lab = lab_ready_to_launch();

    lab_enable(lab, PROC_CONTROLS, PROC(INTR_WINDOW));
    lab_vmwrite(lab, GUEST_RFLAGS, 0x202);
    lab_vmwrite(lab, GUEST_ACTIVITY, 1);
    lab_vmlaunch(lab);
    expect_exit(lab, 7, 0);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_RIP), LAB_GUEST_CODE);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_ACTIVITY), 1);
    lab_destroy(lab);
}
END_TEST

START_TEST(the_nmi_window_opens_with_iret)
{
    struct lab *lab = lab_ready_to_launch();

    lab_enable(lab, PIN_CONTROLS, PIN(VIRTUAL_NMIS));
    lab_enable(lab, PROC_CONTROLS, PROC(NMI_WINDOW));
    lab_vmwrite(lab, GUEST_INTERRUPTIBILITY, 8);
    lab_poke(lab, LAB_GUEST_STACK, LAB_GUEST_CODE + 0x20, 8);
    lab_poke(lab, LAB_GUEST_STACK + 8, 8, 8);
    lab_poke(lab, LAB_GUEST_STACK + 16, 2, 8);
    lab_poke(lab, LAB_GUEST_STACK + 24, LAB_GUEST_STACK, 8);
    lab_poke(lab, LAB_GUEST_STACK + 32, 0x10, 8);
    lab_guest_code(lab, "\x90\x48\xcf"); /* nop; iretq */
    lab_vmlaunch(lab);
    expect_exit(lab, 8, 0);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_RIP), LAB_GUEST_CODE + 0x20);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_INTERRUPTIBILITY), 0);
    lab_destroy(lab);
}
END_TEST

START_TEST(the_monitor_trap_flag_exits_after_each_instruction)
{
    struct lab *lab = lab_ready_to_launch();

    lab_enable(lab, PROC_CONTROLS, PROC(MONITOR_TRAP));
    lab_guest_code(lab, "\x90\x90\xeb\xfe");
    lab_vmlaunch(lab);
    expect_exit(lab, 37, 0);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_RIP), LAB_GUEST_CODE + 1);
    lab_vmresume(lab);
    expect_exit(lab, 37, 0);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_RIP), LAB_GUEST_CODE + 2);
    lab_vmresume(lab);
    expect_exit(lab, 37, 0);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_RIP), LAB_GUEST_CODE + 2);
    lab_destroy(lab);
}
END_TEST

START_TEST(the_preemption_timer_counts_32_cycles_a_tick)
{
    struct lab *lab = lab_ready_to_launch();
    uint64_t start, took;

    lab_enable(lab, PIN_CONTROLS, PIN(TIMER));
    lab_enable(lab, EXIT_CONTROLS, EXIT(SAVE_TIMER));
    lab_vmwrite(lab, TIMER_VALUE, 1000);
    lab_guest_code(lab, "\xeb\xfe");
    start = cpu_cycles(lab->cpu);
    lab_vmlaunch(lab);
    took = cpu_cycles(lab->cpu) - start;
    expect_exit(lab, 52, 0);
    ck_assert_uint_eq(lab_vmread(lab, TIMER_VALUE), 0);
    ck_assert_uint_ge(took, 31900);
    ck_assert_uint_le(took, 34000);
    lab_destroy(lab);
}
END_TEST

START_TEST(a_timer_of_zero_exits_before_the_first_instruction)
{
    struct lab *lab = lab_ready_to_launch();

    lab_enable(lab, PIN_CONTROLS, PIN(TIMER));
    lab_vmwrite(lab, TIMER_VALUE, 0);
    lab_vmlaunch(lab);
    expect_exit(lab, 52, 0);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_RIP), LAB_GUEST_CODE);
    lab_destroy(lab);
}
END_TEST

START_TEST(the_timer_saves_what_is_left)
{
    struct lab *lab = lab_ready_to_launch();

    lab_enable(lab, PIN_CONTROLS, PIN(TIMER));
    lab_enable(lab, EXIT_CONTROLS, EXIT(SAVE_TIMER));
    lab_vmwrite(lab, TIMER_VALUE, 100000);
    lab_vmlaunch(lab);
    expect_exit(lab, 10, 0);
    ck_assert_uint_gt(lab_vmread(lab, TIMER_VALUE), 99900);
    ck_assert_uint_lt(lab_vmread(lab, TIMER_VALUE), 100000);
    lab_destroy(lab);
}
END_TEST

START_TEST(a_pause_loop_exits_after_its_window)
{
    struct lab *lab = lab_ready_to_launch();

    lab_enable(lab, PROC2_CONTROLS, PROC2(PAUSE_LOOP));
    lab_vmwrite(lab, PLE_GAP, 128);
    lab_vmwrite(lab, PLE_WINDOW, 4096);
    lab_guest_code(lab, "\xff\xc3\xf3\x90\xeb\xfa"); /* inc ebx; pause; jmp */
    lab->cpu->r[RBX] = 0;
    lab_vmlaunch(lab);
    expect_exit(lab, 40, 0);
    ck_assert_uint_gt(lab->cpu->r[RBX], 10);
    lab_destroy(lab);
}
END_TEST

START_TEST(the_tsc_is_scaled_then_offset)
{
    struct lab *lab = lab_ready_to_launch();
    uint64_t tsc;

    lab_enable(lab, PROC_CONTROLS, PROC(TSC_OFFSETTING));
    lab_enable(lab, PROC2_CONTROLS, PROC2(TSC_SCALING));
    lab_vmwrite(lab, TSC_MULTIPLIER, UINT64_C(3) << 47); /* 1.5 */
    lab_vmwrite(lab, TSC_OFFSET, UINT64_C(0x1000000000));
    /* rdtsc; mov rbx, rax; mov rcx, rdx; cpuid */
    lab_guest_code(lab, "\x0f\x31\x48\x89\xc3\x48\x89\xd1\x0f\xa2");
    lab_vmlaunch(lab);
    tsc = cpu_tsc(lab->cpu);
    expect_exit(lab, 10, 0);
    ck_assert_uint_eq(lab->cpu->r[RCX], 0x10);
    /* since the guest's RDTSC: a few instructions and the VM exit */
    ck_assert_uint_ge(tsc, lab->cpu->r[RBX] * 2 / 3 + 340);
    ck_assert_uint_lt(tsc, lab->cpu->r[RBX] * 2 / 3 + 500);
    lab_destroy(lab);
}
END_TEST

START_TEST(init_exits_and_is_consumed)
{
    struct lab *lab = lab_ready_to_launch();

    lab_guest_code(lab, "\xeb\xfe");
    lab->cpu->events |= EVENT_INIT;
    lab_vmlaunch(lab);
    expect_exit(lab, 3, 0);
    ck_assert_uint_eq(lab->cpu->events & EVENT_INIT, 0);
    lab_destroy(lab);
}
END_TEST

START_TEST(sipi_exits_from_wait_for_sipi)
{
    struct lab *lab = lab_ready_to_launch();

    lab_vmwrite(lab, GUEST_ACTIVITY, 3);
    lab_vmlaunch(lab);
    ck_assert(lab->cpu->non_root && lab->cpu->activity == WAIT_FOR_SIPI);
    lab->cpu->events |= EVENT_SIPI;
    lab->cpu->sipi_vector = 0x9a;
    cpu_run(lab->cpu, cpu_cycles(lab->cpu) + 10000);
    expect_exit(lab, 4, 0x9a);
    ck_assert_int_eq(lab->cpu->activity, HALTED); /* the host's HLT, not wait-for-SIPI */
    lab_destroy(lab);
}
END_TEST

#define ADD(test) tcase_add_test(t, test)
#define LOOP(test, n) tcase_add_loop_test(t, test, 0, n)

Suite *suite_vmx_intercept(void)
{
    Suite *s = suite_create("vmx_intercept");
    TCase *t = tcase_create("intercept");

    LOOP(each_intercepted_instruction_exits, ROW_COUNT);
    LOOP(disabled_instructions_raise_ud, 5);
    ADD(io_bitmaps_decide_by_port);
    ADD(string_io_reports_address_and_segment);
    ADD(msr_bitmaps_decide_by_number_and_direction);
    ADD(an_msr_outside_the_bitmaps_exits);
    ADD(reads_of_cr0_take_host_bits_from_the_shadow);
    ADD(writes_of_cr4_exit_when_a_host_bit_would_change);
    ADD(clts_exits_only_if_the_guest_believes_ts_is_set);
    ADD(lmsw_reports_its_source);
    ADD(a_cr3_target_value_does_not_exit);
    ADD(a_page_fault_exits_by_its_error_code);
    ADD(int3_exits_as_a_software_exception_at_its_address);
    ADD(an_exception_during_delivery_reports_what_was_delivered);
    ADD(a_triple_fault_exits);
    ADD(an_external_interrupt_exits_whatever_if_says);
    ADD(without_acknowledge_the_interrupt_stays_pending);
    ADD(an_nmi_exits_and_blocks_nmis);
    ADD(the_interrupt_window_opens_one_instruction_after_sti);
    ADD(an_open_interrupt_window_exits_before_the_first_instruction);
    ADD(the_nmi_window_opens_with_iret);
    ADD(the_monitor_trap_flag_exits_after_each_instruction);
    ADD(the_preemption_timer_counts_32_cycles_a_tick);
    ADD(a_timer_of_zero_exits_before_the_first_instruction);
    ADD(the_timer_saves_what_is_left);
    ADD(a_pause_loop_exits_after_its_window);
    ADD(the_tsc_is_scaled_then_offset);
    ADD(init_exits_and_is_consumed);
    ADD(sipi_exits_from_wait_for_sipi);
    suite_add_tcase(s, t);
    return s;
}
