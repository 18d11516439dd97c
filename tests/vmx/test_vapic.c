/* APIC virtualization and virtual interrupts.
 * [SDM 3C "APIC Virtualization and Virtual Interrupts"] */
#include "tests/support/lab.h"

enum { FULL = 1 << 8 | 1 << 9 }; /* APIC-register virtualization, virtual-interrupt delivery */

static struct lab *with_vapic(uint32_t proc2)
{
    struct lab *lab = lab_ready_to_launch();

    lab_enable(lab, PROC_CONTROLS, PROC(TPR_SHADOW) | PROC(MSR_BITMAPS));
    lab_enable(lab, PROC2_CONTROLS, proc2);
    lab->cpu->r[RBX] = LAB_APIC_ACCESS;
    return lab;
}

static uint32_t vapic(struct lab *lab, unsigned offset)
{
    return (uint32_t)lab_peek(lab, LAB_VAPIC + offset, 4);
}

/* ---- TPR ---- */

START_TEST(mov_cr8_reads_and_writes_the_shadow)
{
    struct lab *lab = with_vapic(0);

    lab_poke(lab, LAB_VAPIC + 0x80, 0x50, 4);
    lab->cpu->r[RCX] = 9;
    lab_guest_code(lab, "\x44\x0f\x20\xc6\x44\x0f\x22\xc1\x0f\xa2"); /* mov rsi,cr8; mov cr8,rcx */
    lab_vmlaunch(lab);
    expect_exit(lab, 10, 0);
    ck_assert_uint_eq(lab->cpu->r[RSI], 5);
    ck_assert_uint_eq(vapic(lab, 0x80), 0x90);
    ck_assert_uint_eq(lab->cr8, 0);
    lab_destroy(lab);
}
END_TEST

START_TEST(a_tpr_below_the_threshold_exits_after_the_instruction)
{
    struct lab *lab = with_vapic(0);

    lab_poke(lab, LAB_VAPIC + 0x80, 0x50, 4);
    lab_vmwrite(lab, TPR_THRESHOLD, 4);
    lab->cpu->r[RCX] = 3;
    lab_guest_code(lab, "\x44\x0f\x22\xc1\x0f\xa2");
    lab_vmlaunch(lab);
    expect_exit(lab, 43, 0);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_RIP), LAB_GUEST_CODE + 4);
    lab_destroy(lab);
}
END_TEST

START_TEST(with_apic_accesses_a_low_tpr_exits_right_after_entry)
{
    struct lab *lab = with_vapic(1);

    lab_vmwrite(lab, TPR_THRESHOLD, 1);
    lab_vmlaunch(lab);
    expect_exit(lab, 43, 0);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_RIP), LAB_GUEST_CODE);
    lab_destroy(lab);
}
END_TEST

/* ---- the APIC-access page ---- */

START_TEST(accesses_that_are_not_virtualized_exit)
{
    static const struct {
        const char *code;
        size_t bytes;
        uint32_t proc2;
        unsigned qualification;
    } rows[] = {
        { "\x8b\x43\x20", 3, 1, 0x0020 },                    /* read the ID */
        { "\x89\x83\xb0\x00\x00\x00", 6, 1, 0x10b0 },        /* write EOI */
        { "\x8b\x83\x90\x03\x00\x00", 6, 1 | FULL, 0x0390 }, /* read the current count */
        { "\x8b\x43\x22", 3, 1 | FULL, 0x0022 },             /* not within the low 4 bytes */
        { "\x48\x8b\x43\x20", 4, 1 | FULL, 0x0020 },         /* wider than 32 bits */
        { "\x89\x43\x30", 3, 1 | FULL, 0x1030 },             /* write the version */
        { "\xff\xe3", 2, 1, 0x2000 },                        /* fetch */
    };
    struct lab *lab = with_vapic(rows[_i].proc2);

    lab_guest(lab, rows[_i].code, rows[_i].bytes);
    lab_vmlaunch(lab);
    expect_exit(lab, 44, rows[_i].qualification);
    lab_destroy(lab);
}
END_TEST

START_TEST(without_a_tpr_shadow_every_access_exits)
{
    struct lab *lab = lab_ready_to_launch();

    lab_enable(lab, PROC2_CONTROLS, PROC2(APIC_ACCESSES));
    lab->cpu->r[RBX] = LAB_APIC_ACCESS;
    lab_guest_code(lab, "\x8b\x83\x80\x00\x00\x00");
    lab_vmlaunch(lab);
    expect_exit(lab, 44, 0x80);
    lab_destroy(lab);
}
END_TEST

START_TEST(virtualized_reads_come_from_the_virtual_apic_page)
{
    struct lab *lab = with_vapic(1 | FULL);

    lab_poke(lab, LAB_VAPIC + 0x20, 0x12345678, 4);
    lab_poke(lab, LAB_APIC_ACCESS + 0x20, 0xdeadbeef, 4);
    /* mov esi, [rbx + 20h]; movzx edi, byte [rbx + 22h]; cpuid */
    lab_guest_code(lab, "\x8b\x73\x20\x0f\xb6\x7b\x22\x0f\xa2");
    lab_vmlaunch(lab);
    expect_exit(lab, 10, 0);
    ck_assert_uint_eq(lab->cpu->r[RSI], 0x12345678);
    ck_assert_uint_eq(lab->cpu->r[RDI], 0x34);
    lab_destroy(lab);
}
END_TEST

START_TEST(a_write_that_is_not_emulated_exits_after_the_instruction)
{
    struct lab *lab = with_vapic(1 | FULL);

    /* nop; mov [rbx + 320h], eax (LVT timer); mov esi, 1; cpuid */
    lab_guest_code(lab, "\x90\x89\x83\x20\x03\x00\x00\xbe\x01\x00\x00\x00\x0f\xa2");
    lab->cpu->r[RAX] = 0x10030;
    lab->cpu->r[RSI] = 0;
    lab_vmlaunch(lab);
    expect_exit(lab, 56, 0x320);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_RIP), LAB_GUEST_CODE + 7);
    ck_assert_uint_eq(lab->cpu->r[RSI], 0);
    ck_assert_uint_eq(vapic(lab, 0x320), 0x10030);
    lab_vmresume(lab);
    expect_exit(lab, 10, 0);
    lab_destroy(lab);
}
END_TEST

START_TEST(a_tpr_write_through_memory_goes_on)
{
    struct lab *lab = with_vapic(1 | FULL);

    lab_guest_code(lab, "\xc7\x83\x80\x00\x00\x00\x20\x01\x00\x00\x0f\xa2");
    lab_vmlaunch(lab);
    expect_exit(lab, 10, 0);
    ck_assert_uint_eq(vapic(lab, 0x80), 0x20); /* bytes 3:1 cleared */
    ck_assert_uint_eq(vapic(lab, 0xa0), 0x20); /* PPR */
    lab_destroy(lab);
}
END_TEST

/* ---- virtual interrupts ---- */

START_TEST(a_virtual_interrupt_is_delivered_without_an_exit)
{
    struct lab *lab = with_vapic(1 | FULL);

    lab_vmwrite(lab, GUEST_INTR_STATUS, 0x51);
    lab_poke(lab, LAB_VAPIC + 0x220, 1 << 17, 4); /* VIRR: vector 51H */
    lab_guest_code(lab, "\xfb\x90\x90\x0f\xa2");  /* sti; nop; nop; cpuid */
    lab_vmlaunch(lab);
    expect_exit(lab, 12, 0); /* the handler halts */
    ck_assert_uint_eq(lab_vmread(lab, GUEST_RIP), LAB_HANDLER + 0x51);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_INTR_STATUS), 0x5100); /* SVI, RVI */
    ck_assert_uint_eq(vapic(lab, 0x220), 0);
    ck_assert_uint_eq(vapic(lab, 0x120), 1 << 17);
    ck_assert_uint_eq(vapic(lab, 0xa0), 0x50);
    ck_assert_uint_eq(lab_peek(lab, lab_vmread(lab, GUEST_RSP), 8), LAB_GUEST_CODE + 2);
    lab_destroy(lab);
}
END_TEST

START_TEST(a_priority_not_above_ppr_waits)
{
    struct lab *lab = with_vapic(1 | FULL);

    lab_vmwrite(lab, GUEST_RFLAGS, 0x202);
    lab_vmwrite(lab, GUEST_INTR_STATUS, 0x51);
    lab_poke(lab, LAB_VAPIC + 0x220, 1 << 17, 4);
    lab_poke(lab, LAB_VAPIC + 0x80, 0x50, 4);
    lab->cpu->r[RCX] = 4;
    lab_guest_code(lab, "\x90\x44\x0f\x22\xc1\x0f\xa2"); /* nop; mov cr8, rcx */
    lab_vmlaunch(lab);
    expect_exit(lab, 12, 0);
    ck_assert_uint_eq(lab_peek(lab, lab_vmread(lab, GUEST_RSP), 8), LAB_GUEST_CODE + 5);
    lab_destroy(lab);
}
END_TEST

START_TEST(a_virtual_interrupt_wakes_from_hlt)
{
    struct lab *lab = with_vapic(1 | FULL);

    lab_vmwrite(lab, PROC_CONTROLS, lab_vmread(lab, PROC_CONTROLS) & ~PROC(HLT));
    lab_vmwrite(lab, GUEST_RFLAGS, 0x202);
    lab_vmwrite(lab, GUEST_ACTIVITY, 1);
    lab_vmwrite(lab, GUEST_INTR_STATUS, 0x51);
    lab_poke(lab, LAB_VAPIC + 0x220, 1 << 17, 4);
    lab_poke(lab, LAB_HANDLER + 0x51, 0xa20f, 2);
    lab_vmlaunch(lab);
    expect_exit(lab, 10, 0);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_RIP), LAB_HANDLER + 0x51);
    lab_destroy(lab);
}
END_TEST

static const char eoi_msr[] = "\xb9\x0b\x08\x00\x00\x31\xc0\x31\xd2\x0f\x30\x0f\xa2";

START_TEST(eoi_takes_the_next_interrupt_into_service)
{
    struct lab *lab = with_vapic(1 << 4 | FULL); /* x2APIC mode */

    lab_vmwrite(lab, GUEST_INTR_STATUS, 0x5100);
    lab_poke(lab, LAB_VAPIC + 0x120, 1 << 17 | 1, 4); /* VISR: 51H, 40H */
    lab_guest(lab, eoi_msr, sizeof eoi_msr - 1);
    lab_vmlaunch(lab);
    expect_exit(lab, 10, 0);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_INTR_STATUS), 0x4000);
    ck_assert_uint_eq(vapic(lab, 0x120), 1);
    ck_assert_uint_eq(vapic(lab, 0xa0), 0x40);
    lab_destroy(lab);
}
END_TEST

START_TEST(the_eoi_exit_bitmap_exits_after_the_instruction)
{
    struct lab *lab = with_vapic(1 << 4 | FULL);

    lab_vmwrite(lab, GUEST_INTR_STATUS, 0x5100);
    lab_vmwrite(lab, EOI_EXIT_BITMAP1, 1 << 17); /* vector 51H */
    lab_guest(lab, eoi_msr, sizeof eoi_msr - 1);
    lab_vmlaunch(lab);
    expect_exit(lab, 45, 0x51);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_RIP), LAB_GUEST_CODE + 11);
    lab_destroy(lab);
}
END_TEST

START_TEST(a_self_ipi_is_virtualized)
{
    struct lab *lab = with_vapic(1 << 4 | FULL);

    lab_vmwrite(lab, GUEST_RFLAGS, 0x202);
    /* wrmsr 83fh := 61h */
    lab_guest_code(lab, "\xb9\x3f\x08\x00\x00\xb8\x61\x00\x00\x00\x31\xd2\x0f\x30\x0f\xa2");
    lab_vmlaunch(lab);
    expect_exit(lab, 12, 0);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_RIP), LAB_HANDLER + 0x61);
    lab_destroy(lab);
}
END_TEST

START_TEST(x2apic_writes_of_reserved_bits_raise_gp)
{
    static const struct {
        uint64_t msr, value;
    } bad[] = { { 0x80b, 1 }, { 0x808, 0x100 }, { 0x83f, 0x100 } };
    struct lab *lab = with_vapic(1 << 4 | FULL);

    lab_vmwrite(lab, EXCEPTION_BITMAP, 1 << 13);
    lab->cpu->r[RCX] = bad[_i].msr;
    lab->cpu->r[RAX] = bad[_i].value;
    lab->cpu->r[RDX] = 0;
    lab_guest_code(lab, "\x0f\x30");
    lab_vmlaunch(lab);
    expect_exit(lab, 0, 0);
    ck_assert_uint_eq(lab_vmread(lab, EXIT_INTR_INFO), 0x80000b0d);
    lab_destroy(lab);
}
END_TEST

START_TEST(x2apic_reads_come_from_the_virtual_apic_page)
{
    struct lab *lab = with_vapic(1 << 4 | FULL);

    lab_poke(lab, LAB_VAPIC + 0x300, UINT64_C(0x1122334455667788), 8);
    lab_guest_code(lab, "\xb9\x30\x08\x00\x00\x0f\x32\x89\xc3\x89\xd6\x0f\xa2");
    lab_vmlaunch(lab);
    expect_exit(lab, 10, 0);
    ck_assert_uint_eq(lab->cpu->r[RBX], 0x55667788);
    ck_assert_uint_eq(lab->cpu->r[RSI], 0x11223344);
    lab_destroy(lab);
}
END_TEST

/* ---- posted interrupts ---- */

static struct lab *with_posting(void)
{
    struct lab *lab = with_vapic(1 << 4 | FULL);

    lab_enable(lab, PIN_CONTROLS, PIN(POSTED_INTR));
    lab_vmwrite(lab, POSTED_INTR_VECTOR, 0xf2);
    lab_poke(lab, LAB_POSTED + 8, 1 << 17, 8); /* PIR: vector 51H */
    lab_poke(lab, LAB_POSTED + 32, 1, 8);      /* ON */
    lab_vmwrite(lab, GUEST_RFLAGS, 0x202);
    lab_guest_code(lab, "\xeb\xfe");
    lab->cpu->events |= EVENT_INTR;
    return lab;
}

START_TEST(the_notification_posts_and_does_not_exit)
{
    struct lab *lab = with_posting();

    lab->pending_vector = 0xf2;
    lab_vmlaunch(lab);
    expect_exit(lab, 12, 0); /* the guest's handler */
    ck_assert_uint_eq(lab_vmread(lab, GUEST_RIP), LAB_HANDLER + 0x51);
    ck_assert_uint_eq(lab_peek(lab, LAB_POSTED + 8, 8), 0);
    ck_assert_uint_eq(lab_peek(lab, LAB_POSTED + 32, 8), 0);
    ck_assert_uint_eq(lab->eois, 1);
    lab_destroy(lab);
}
END_TEST

START_TEST(another_vector_exits)
{
    struct lab *lab = with_posting();

    lab->pending_vector = 0xf1;
    lab_vmlaunch(lab);
    expect_exit(lab, 1, 0);
    ck_assert_uint_eq(lab_vmread(lab, EXIT_INTR_INFO), 0x800000f1);
    ck_assert_uint_eq(lab_peek(lab, LAB_POSTED + 32, 8), 1);
    lab_destroy(lab);
}
END_TEST

#define ADD(test) tcase_add_test(t, test)
#define LOOP(test, n) tcase_add_loop_test(t, test, 0, n)

Suite *suite_vmx_vapic(void)
{
    Suite *s = suite_create("vmx_vapic");
    TCase *t = tcase_create("vapic");

    ADD(mov_cr8_reads_and_writes_the_shadow);
    ADD(a_tpr_below_the_threshold_exits_after_the_instruction);
    ADD(with_apic_accesses_a_low_tpr_exits_right_after_entry);
    LOOP(accesses_that_are_not_virtualized_exit, 7);
    ADD(without_a_tpr_shadow_every_access_exits);
    ADD(virtualized_reads_come_from_the_virtual_apic_page);
    ADD(a_write_that_is_not_emulated_exits_after_the_instruction);
    ADD(a_tpr_write_through_memory_goes_on);
    ADD(a_virtual_interrupt_is_delivered_without_an_exit);
    ADD(a_priority_not_above_ppr_waits);
    ADD(a_virtual_interrupt_wakes_from_hlt);
    ADD(eoi_takes_the_next_interrupt_into_service);
    ADD(the_eoi_exit_bitmap_exits_after_the_instruction);
    ADD(a_self_ipi_is_virtualized);
    LOOP(x2apic_writes_of_reserved_bits_raise_gp, 3);
    ADD(x2apic_reads_come_from_the_virtual_apic_page);
    ADD(the_notification_posts_and_does_not_exit);
    ADD(another_vector_exits);
    suite_add_tcase(s, t);
    return s;
}
