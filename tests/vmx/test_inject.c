/* Event injection, pending debug exceptions, activity and interruptibility after VM entry; MSR
 * areas.
 * [SDM 3C "Event Injection", "Special Features of VM Entry", "Loading MSRs"] */
#include "tests/support/lab.h"

/* The guest's handlers halt, which exits: what was pushed is on its stack. */
static uint64_t pushed(struct lab *lab, unsigned n)
{
    return lab_peek(lab, lab_vmread(lab, GUEST_RSP) + 8 * n, 8);
}

static void expect_handler(struct lab *lab, unsigned vector)
{
    expect_exit(lab, 12, 0);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_RIP), LAB_HANDLER + vector);
}

START_TEST(an_injected_interrupt_runs_the_guests_handler)
{
    struct lab *lab = lab_ready_to_launch();

    lab_vmwrite(lab, GUEST_RFLAGS, 0x202);
    lab_vmwrite(lab, ENTRY_INTR_INFO, 0x80000030);
    lab_vmlaunch(lab);
    expect_handler(lab, 0x30);
    ck_assert_uint_eq(pushed(lab, 0), LAB_GUEST_CODE);
    ck_assert_uint_eq(pushed(lab, 2), 0x202);
    ck_assert_uint_eq(lab_vmread(lab, ENTRY_INTR_INFO), 0x30); /* the exit cleared bit 31 */
    lab_destroy(lab);
}
END_TEST

START_TEST(an_injected_fault_pushes_its_error_code)
{
    struct lab *lab = lab_ready_to_launch();

    lab_vmwrite(lab, ENTRY_INTR_INFO, 0x80000b0d);
    lab_vmwrite(lab, ENTRY_ERROR_CODE, 0x1234);
    lab_vmlaunch(lab);
    expect_handler(lab, 13);
    ck_assert_uint_eq(pushed(lab, 0), 0x1234);
    ck_assert_uint_eq(pushed(lab, 1), LAB_GUEST_CODE);
    lab_destroy(lab);
}
END_TEST

START_TEST(software_events_push_the_address_behind_the_instruction)
{
    static const uint32_t info[] = { 0x80000480, 0x80000603, 0x80000501 }; /* INT 80H, INT3, INT1 */
    struct lab *lab = lab_ready_to_launch();

    lab_vmwrite(lab, ENTRY_INTR_INFO, info[_i]);
    lab_vmwrite(lab, ENTRY_INSN_LENGTH, 2);
    lab_vmlaunch(lab);
    expect_handler(lab, info[_i] & 0xff);
    ck_assert_uint_eq(pushed(lab, 0), LAB_GUEST_CODE + 2);
    lab_destroy(lab);
}
END_TEST

START_TEST(an_injected_nmi_blocks_virtual_nmis)
{
    struct lab *lab = lab_ready_to_launch();

    lab_enable(lab, PIN_CONTROLS, PIN(VIRTUAL_NMIS));
    lab_vmwrite(lab, ENTRY_INTR_INFO, 0x80000202);
    lab_vmlaunch(lab);
    expect_handler(lab, 2);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_INTERRUPTIBILITY), 8);
    ck_assert_uint_eq(lab->cpu->blocking, 0); /* NMIs themselves are not blocked */
    lab_destroy(lab);
}
END_TEST

START_TEST(an_injection_that_faults_reports_idt_vectoring)
{
    struct lab *lab = lab_ready_to_launch();

    lab_ept_small_pages(lab);
    lab_ept_page(lab, LAB_IDT, 0);
    lab_vmwrite(lab, ENTRY_INTR_INFO, 0x80000480);
    lab_vmwrite(lab, ENTRY_INSN_LENGTH, 2);
    lab_vmlaunch(lab);
    expect_exit(lab, 48, 0x181);
    ck_assert_uint_eq(lab_vmread(lab, IDT_VECTORING_INFO), 0x80000480);
    ck_assert_uint_eq(lab_vmread(lab, EXIT_INSN_LENGTH), 2);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_RIP), LAB_GUEST_CODE);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_PHYSICAL_ADDRESS), LAB_IDT + 16 * 0x80);
    lab_destroy(lab);
}
END_TEST

START_TEST(an_injected_event_wakes_from_hlt)
{
    struct lab *lab = lab_ready_to_launch();

    lab_vmwrite(lab, GUEST_ACTIVITY, 1);
    lab_vmwrite(lab, GUEST_RFLAGS, 0x202);
    lab_vmwrite(lab, ENTRY_INTR_INFO, 0x80000030);
    lab_vmlaunch(lab);
    expect_handler(lab, 0x30);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_ACTIVITY), 0);
    lab_destroy(lab);
}
END_TEST

START_TEST(a_pending_mtf_exit_comes_before_the_first_instruction)
{
    struct lab *lab = lab_ready_to_launch();

    lab_vmwrite(lab, ENTRY_INTR_INFO, 0x80000700);
    lab_vmlaunch(lab);
    expect_exit(lab, 37, 0);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_RIP), LAB_GUEST_CODE);
    lab_destroy(lab);
}
END_TEST

START_TEST(the_monitor_trap_flag_exits_right_after_an_injected_event)
{
    struct lab *lab = lab_ready_to_launch();

    lab_enable(lab, PROC_CONTROLS, PROC(MONITOR_TRAP));
    lab_vmwrite(lab, ENTRY_INTR_INFO, 0x80000306);
    lab_vmlaunch(lab);
    expect_exit(lab, 37, 0);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_RIP), LAB_HANDLER + 6);
    lab_destroy(lab);
}
END_TEST

START_TEST(pending_debug_exceptions_are_delivered_first)
{
    struct lab *lab = lab_ready_to_launch();

    lab_vmwrite(lab, EXCEPTION_BITMAP, 2);
    lab_vmwrite(lab, GUEST_PENDING_DBG, 0x4000 | 0x1000 | 2);
    lab_vmlaunch(lab);
    expect_exit(lab, 0, 0x4002);
    ck_assert_uint_eq(lab_vmread(lab, EXIT_INTR_INFO), 0x80000301);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_RIP), LAB_GUEST_CODE);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_PENDING_DBG), 0);
    lab_destroy(lab);
}
END_TEST

START_TEST(the_trap_flag_steps_one_instruction)
{
    struct lab *lab = lab_ready_to_launch();

    lab_vmwrite(lab, EXCEPTION_BITMAP, 2);
    lab_vmwrite(lab, GUEST_RFLAGS, 0x102);
    lab_guest_code(lab, "\x90\x90");
    lab_vmlaunch(lab);
    expect_exit(lab, 0, 0x4000);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_RIP), LAB_GUEST_CODE + 1);
    lab_destroy(lab);
}
END_TEST

START_TEST(blocking_by_sti_holds_for_one_instruction)
{
    struct lab *lab = lab_ready_to_launch();

    lab_enable(lab, PROC_CONTROLS, PROC(INTR_WINDOW));
    lab_vmwrite(lab, GUEST_RFLAGS, 0x202);
    lab_vmwrite(lab, GUEST_INTERRUPTIBILITY, 1);
    lab_guest_code(lab, "\x90\x90\x90");
    lab_vmlaunch(lab);
    expect_exit(lab, 7, 0);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_RIP), LAB_GUEST_CODE + 1);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_INTERRUPTIBILITY), 0);
    lab_destroy(lab);
}
END_TEST

START_TEST(an_exit_in_the_shadow_of_sti_saves_it)
{
    struct lab *lab = lab_ready_to_launch();

    lab_guest_code(lab, "\xfb\x0f\xa2"); /* sti; cpuid */
    lab_vmlaunch(lab);
    expect_exit(lab, 10, 0);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_INTERRUPTIBILITY), 1);
    lab_destroy(lab);
}
END_TEST

/* ---- MSR areas ---- */

static void area(struct lab *lab, unsigned n, uint32_t index, uint64_t value)
{
    lab_poke(lab, LAB_MSR_AREA + 16 * n, index, 8);
    lab_poke(lab, LAB_MSR_AREA + 16 * n + 8, value, 8);
}

START_TEST(msr_areas_are_loaded_and_stored)
{
    struct lab *lab = lab_ready_to_launch();

    area(lab, 0, 0xc0000082, 0x1111); /* entry load */
    area(lab, 1, 0xc0000082, 0x2222); /* exit load */
    area(lab, 2, 0xc0000082, 0);      /* exit store */
    lab_vmwrite(lab, ENTRY_MSR_LOAD_ADDR, LAB_MSR_AREA);
    lab_vmwrite(lab, ENTRY_MSR_LOAD_COUNT, 1);
    lab_vmwrite(lab, EXIT_MSR_LOAD_ADDR, LAB_MSR_AREA + 16);
    lab_vmwrite(lab, EXIT_MSR_LOAD_COUNT, 1);
    lab_vmwrite(lab, EXIT_MSR_STORE_ADDR, LAB_MSR_AREA + 32);
    lab_vmwrite(lab, EXIT_MSR_STORE_COUNT, 1);
    lab_vmlaunch(lab);
    expect_exit(lab, 10, 0);
    ck_assert_uint_eq(lab_peek(lab, LAB_MSR_AREA + 40, 8), 0x1111);
    ck_assert_uint_eq(lab->cpu->msr.lstar, 0x2222);
    lab_destroy(lab);
}
END_TEST

START_TEST(an_msr_that_must_not_be_loaded_fails_the_entry)
{
    static const struct {
        uint64_t index, value;
    } bad[] = {
        { 0xc0000100, 0 },
        { 0xc0000101, 0 },
        { 0x802, 0 },
        { UINT64_C(0x100000082), 0 },
        { 0x9b, 0 },
        { 0x4000, 0 } /* no such MSR */,
        { 0x277, 2 } /* PAT with a reserved type */,
    };
    struct lab *lab = lab_ready_to_launch();

    area(lab, 0, 0xc0000082, 0x1111);
    area(lab, 1, 0, bad[_i].value);
    lab_poke(lab, LAB_MSR_AREA + 16, bad[_i].index, 8);
    lab_vmwrite(lab, ENTRY_MSR_LOAD_ADDR, LAB_MSR_AREA);
    lab_vmwrite(lab, ENTRY_MSR_LOAD_COUNT, 2);
    lab_vmlaunch(lab);
    expect_entry_failure(lab, 34, 2);
    ck_assert_uint_eq(lab->vmx->current->launched, LAUNCH_CLEAR);
    lab_destroy(lab);
}
END_TEST

START_TEST(the_513th_msr_cannot_be_loaded)
{
    struct lab *lab = lab_ready_to_launch();

    for (unsigned i = 0; i < 513; i++) {
        lab_poke(lab, 0x100000 + 16 * i, 0xc0000082, 8);
        lab_poke(lab, 0x100000 + 16 * i + 8, i, 8);
    }
    lab_vmwrite(lab, ENTRY_MSR_LOAD_ADDR, 0x100000);
    lab_vmwrite(lab, ENTRY_MSR_LOAD_COUNT, UINT32_MAX);
    lab_vmlaunch(lab);
    expect_entry_failure(lab, 34, 513);
    lab_destroy(lab);
}
END_TEST

/* The error-code rule looks at CR0.PE only in an unrestricted guest, so that a bad CR0 of another
 * is found later, as guest state. */
START_TEST(without_unrestricted_guest_an_error_code_does_not_depend_on_cr0_pe)
{
    struct lab *lab = lab_ready_to_launch();

    lab_vmwrite(lab, GUEST_CR0, lab_vmread(lab, GUEST_CR0) & ~CR0_PE);
    lab_vmwrite(lab, ENTRY_INTR_INFO, 0x80000b0d);
    lab_vmlaunch(lab);
    expect_entry_failure(lab, 33, 0);
    lab_vmwrite(lab, ENTRY_INTR_INFO, 0x8000030d);
    lab_vmlaunch(lab);
    expect_vmfail_valid(lab, 7);
    lab_destroy(lab);
}
END_TEST

START_TEST(an_msr_that_cannot_be_stored_aborts)
{
    struct lab *lab = lab_ready_to_launch();

    area(lab, 0, 0x4000, 0);
    lab_vmwrite(lab, EXIT_MSR_STORE_ADDR, LAB_MSR_AREA);
    lab_vmwrite(lab, EXIT_MSR_STORE_COUNT, 1);
    lab_vmlaunch(lab);
    ck_assert(lab->shut_down);
    ck_assert_uint_eq(lab_peek(lab, LAB_VMCS + 4, 4), 1);
    lab_destroy(lab);
}
END_TEST

START_TEST(a_stored_tsc_has_no_offset)
{
    struct lab *lab = lab_ready_to_launch();

    area(lab, 0, 0x10, 0);
    lab_enable(lab, PROC_CONTROLS, PROC(TSC_OFFSETTING));
    lab_vmwrite(lab, TSC_OFFSET, UINT64_C(0x100000000000));
    lab_vmwrite(lab, EXIT_MSR_STORE_ADDR, LAB_MSR_AREA);
    lab_vmwrite(lab, EXIT_MSR_STORE_COUNT, 1);
    lab_vmlaunch(lab);
    expect_exit(lab, 10, 0);
    ck_assert_uint_le(lab_peek(lab, LAB_MSR_AREA + 8, 8), cpu_tsc(lab->cpu));
    lab_destroy(lab);
}
END_TEST

/* ---- other guests ---- */

START_TEST(an_unrestricted_guest_runs_in_real_mode)
{
    static const uint16_t segments[6] = { 0, 2, 4, 6, 8, 10 };
    struct lab *lab = lab_ready_to_launch();

    lab_enable(lab, PROC2_CONTROLS, PROC2(UNRESTRICTED));
    lab_vmwrite(lab, ENTRY_CONTROLS, lab_vmread(lab, ENTRY_CONTROLS) & ~ENTRY(IA32E));
    lab_vmwrite(lab, GUEST_CR0, 0x30);
    lab_vmwrite(lab, GUEST_CR4, 0x2000);
    for (unsigned i = 0; i < 6; i++) {
        lab_set(lab, VMCS_GUEST_ES_SELECTOR + segments[i], 0x100);
        lab_set(lab, VMCS_GUEST_ES_BASE + segments[i], 0x1000);
        lab_set(lab, VMCS_GUEST_ES_LIMIT + segments[i], 0xffff);
        lab_set(lab, VMCS_GUEST_ES_AR + segments[i], i == VSEG_CS ? 0x9b : 0x93);
    }
    lab_vmwrite(lab, GUEST_RIP, LAB_GUEST_CODE - 0x1000);
    lab_guest_code(lab, "\xb8\x34\x12\x8c\xcb\x0f\xa2"); /* mov ax, 1234h; mov bx, cs; cpuid */
    lab_vmlaunch(lab);
    expect_exit(lab, 10, 0);
    ck_assert_uint_eq(lab->cpu->r[RAX] & 0xffff, 0x1234);
    ck_assert_uint_eq(lab->cpu->r[RBX] & 0xffff, 0x100);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_CR0) & CR0_PE, 0);
    lab_vmwrite(lab, GUEST_RIP, LAB_GUEST_CODE - 0x1000);
    lab_vmresume(lab); /* what was saved can be loaded */
    expect_exit(lab, 10, 0);
    lab_destroy(lab);
}
END_TEST

START_TEST(a_pae_guest_uses_the_pdptes_of_the_vmcs)
{
    struct lab *lab = lab_ready_to_launch();

    lab_vmwrite(lab, ENTRY_CONTROLS, lab_vmread(lab, ENTRY_CONTROLS) & ~ENTRY(IA32E));
    lab_vmwrite(lab, GUEST_CS_AR, 0xc09b);
    lab_poke(lab, LAB_DATA & ~0xfff, 0xe7, 8); /* a page directory: 2-MiB pages */
    lab_vmwrite(lab, GUEST_PDPTE0, (LAB_DATA & ~0xfff) | 1);
    lab_vmwrite(lab, GUEST_CR3, 0);
    lab_vmlaunch(lab);
    expect_exit(lab, 10, 0);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_PDPTE0), (LAB_DATA & ~0xfff) | 1);
    lab_destroy(lab);
}
END_TEST

START_TEST(ia32e_mode_guest_follows_efer_lma)
{
    struct lab *lab = lab_ready_to_launch();

    lab_enable(lab, ENTRY_CONTROLS, ENTRY(LOAD_EFER));
    lab_enable(lab, EXIT_CONTROLS, EXIT(SAVE_EFER) | EXIT(LOAD_EFER));
    lab_vmwrite(lab, GUEST_EFER, 0xd00); /* without SCE */
    lab_vmlaunch(lab);
    expect_exit(lab, 10, 0);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_EFER), 0xd00);
    ck_assert_uint_eq(lab->cpu->efer, 0xd01);
    ck_assert(lab_vmread(lab, ENTRY_CONTROLS) & ENTRY(IA32E));
    lab_destroy(lab);
}
END_TEST

START_TEST(host_state_is_what_the_manual_says)
{
    struct lab *lab = lab_ready_to_launch();
    const struct cpu *cpu = lab->cpu;

    lab_vmwrite(lab, HOST_FS_BASE, UINT64_C(0xffff800000001000));
    lab_vmwrite(lab, HOST_GS_SELECTOR, 0);
    lab_vmwrite(lab, HOST_GS_BASE, 0x2000);
    lab_vmlaunch(lab);
    expect_exit(lab, 10, 0);
    ck_assert_uint_eq(cpu->seg[SEG_CS].ar, 0xa09b);
    ck_assert_uint_eq(cpu->seg[SEG_SS].ar, 0xc093);
    ck_assert_uint_eq(cpu->seg[SEG_FS].base, UINT64_C(0xffff800000001000));
    ck_assert_uint_eq(cpu->seg[SEG_GS].base, 0x2000);
    ck_assert(cpu->seg[SEG_GS].ar & AR_UNUSABLE);
    ck_assert(cpu->seg[SEG_LDTR].ar & AR_UNUSABLE);
    ck_assert_uint_eq(cpu->seg[SEG_TR].ar, 0x8b);
    ck_assert_uint_eq(cpu->seg[SEG_TR].limit, 0x67);
    ck_assert_uint_eq(cpu->gdtr.limit, 0xffff);
    ck_assert_uint_eq(cpu->idtr.limit, 0xffff);
    ck_assert_uint_eq(cpu->dr[7], 0x400);
    ck_assert_uint_eq(cpu->r[RSP], LAB_HOST_STACK);
    ck_assert_uint_eq(cpu_rflags(cpu), 2);
    lab_destroy(lab);
}
END_TEST

#define ADD(test) tcase_add_test(t, test)
#define LOOP(test, n) tcase_add_loop_test(t, test, 0, n)

Suite *suite_vmx_inject(void)
{
    Suite *s = suite_create("vmx_inject");
    TCase *t = tcase_create("inject");

    ADD(an_injected_interrupt_runs_the_guests_handler);
    ADD(an_injected_fault_pushes_its_error_code);
    LOOP(software_events_push_the_address_behind_the_instruction, 3);
    ADD(an_injected_nmi_blocks_virtual_nmis);
    ADD(an_injection_that_faults_reports_idt_vectoring);
    ADD(an_injected_event_wakes_from_hlt);
    ADD(a_pending_mtf_exit_comes_before_the_first_instruction);
    ADD(the_monitor_trap_flag_exits_right_after_an_injected_event);
    ADD(pending_debug_exceptions_are_delivered_first);
    ADD(the_trap_flag_steps_one_instruction);
    ADD(blocking_by_sti_holds_for_one_instruction);
    ADD(an_exit_in_the_shadow_of_sti_saves_it);
    ADD(msr_areas_are_loaded_and_stored);
    LOOP(an_msr_that_must_not_be_loaded_fails_the_entry, 7);
    ADD(the_513th_msr_cannot_be_loaded);
    ADD(without_unrestricted_guest_an_error_code_does_not_depend_on_cr0_pe);
    ADD(an_msr_that_cannot_be_stored_aborts);
    ADD(a_stored_tsc_has_no_offset);
    ADD(an_unrestricted_guest_runs_in_real_mode);
    ADD(a_pae_guest_uses_the_pdptes_of_the_vmcs);
    ADD(ia32e_mode_guest_follows_efer_lma);
    ADD(host_state_is_what_the_manual_says);
    suite_add_tcase(s, t);
    return s;
}
