/* Events at boundaries: INIT, SIPI, NMI, and what holds them back. */
#include "cpu/events.h"
#include "tests/cpu/system_lab.h"

static struct insn_lab *lab_of_second_processor(void)
{
    struct insn_lab *lab = sys_new(SYS_32);

    lab->cpu->index = 1;
    bus_write(lab->bus, 0x5000, 0xf4, 1);
    return lab;
}

/* [SDM 3A "MP Initialization Protocol Algorithm"]: both may arrive before the processor's turn */
START_TEST(init_then_sipi_starts_the_processor_at_the_vector_of_the_sipi)
{
    struct insn_lab *lab = lab_of_second_processor();
    struct cpu *cpu = lab->cpu;

    cpu_signal_init(cpu);
    cpu_signal_sipi(cpu, 5);
    cpu_run(cpu, cpu_cycles(cpu) + 1000);
    ck_assert_int_eq(cpu->activity, HALTED);
    ck_assert_uint_eq(cpu->seg[SEG_CS].selector, 0x500);
    ck_assert_uint_eq(cpu->rip, 1);
    lab_free(lab);
}
END_TEST

START_TEST(sipi_from_before_an_init_is_lost)
{
    struct insn_lab *lab = lab_of_second_processor();
    struct cpu *cpu = lab->cpu;

    cpu_signal_sipi(cpu, 5);
    cpu_signal_init(cpu);
    cpu_run(cpu, cpu_cycles(cpu) + 1000);
    ck_assert_int_eq(cpu->activity, WAIT_FOR_SIPI);
    ck_assert_uint_eq(cpu->events, 0);
    lab_free(lab);
}
END_TEST

START_TEST(sipi_is_lost_on_a_processor_that_does_not_wait_for_it)
{
    struct insn_lab *lab = lab_of_second_processor();
    struct cpu *cpu = lab->cpu;

    cpu_signal_sipi(cpu, 5);
    sys_run(lab, 0x90);
    ck_assert_uint_eq(cpu->rip, LAB_CODE + 2);
    ck_assert_uint_eq(cpu->events, 0);
    lab_free(lab);
}
END_TEST

START_TEST(reset_forgets_a_sipi)
{
    struct insn_lab *lab = lab_of_second_processor();

    cpu_signal_sipi(lab->cpu, 5);
    cpu_reset(lab->cpu);
    ck_assert_uint_eq(lab->cpu->events, 0);
    lab_free(lab);
}
END_TEST

/* [SDM 2B "STI"]: NMIs may be blocked for one macroinstruction */
START_TEST(nmi_waits_for_the_instruction_after_sti)
{
    struct insn_lab *lab = sys_new(SYS_64);

    lab->cpu->blocking = BLOCK_STI;
    cpu_update_key(lab->cpu);
    cpu_signal_nmi(lab->cpu);
    sys_run(lab, 0x90, 0x90);
    ck_assert_int_eq(sys_handler(lab), 2);
    ck_assert_uint_eq(sys_frame(lab, 0), LAB_CODE + 1);
    ck_assert_uint_eq(lab->cpu->blocking, BLOCK_NMI);
    lab_free(lab);
}
END_TEST

Suite *suite_cpu_events(void)
{
    Suite *s = suite_create("cpu/events");
    TCase *t = tcase_create("events");

    tcase_add_test(t, init_then_sipi_starts_the_processor_at_the_vector_of_the_sipi);
    tcase_add_test(t, sipi_from_before_an_init_is_lost);
    tcase_add_test(t, sipi_is_lost_on_a_processor_that_does_not_wait_for_it);
    tcase_add_test(t, reset_forgets_a_sipi);
    tcase_add_test(t, nmi_waits_for_the_instruction_after_sti);
    suite_add_tcase(s, t);
    return s;
}
