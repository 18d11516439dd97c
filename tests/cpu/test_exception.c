/* Double and triple faults, EXT, page faults, and what debug exceptions leave in DR6. */
#include "tests/cpu/system_lab.h"

/* [SDM 3A "Interrupt 8 - Double Fault Exception"]: of a first exception and one during its delivery */
/* clang-format off */
static const struct {
    uint8_t first, second;
    bool first_error, second_error;
    int delivered;
} pairs[] = {
    {UD, GP, false, true, GP}, /* benign, then anything: in turn */
    {UD, PF, false, true, PF},
    {DE, GP, false, true, DF}, /* two contributory ones */
    {TS, NP, true, true, DF},
    {GP, SS, true, true, DF},
    {GP, PF, true, true, PF}, /* contributory, then page fault: in turn */
    {GP, AC, true, true, AC},
    {PF, GP, true, true, DF}, /* page fault, then contributory or page fault */
    {PF, PF, true, true, DF},
    {PF, NM, true, false, NM},
};
/* clang-format on */

START_TEST(second_exception_during_delivery_is_combined_as_the_table_says)
{
    struct insn_lab *lab = sys_new(SYS_64);
    struct cpu *cpu = lab->cpu;

    cpu->unwind = &lab->unwind;
    cpu->delivering = true;
    cpu->current = (struct event){ .vector = pairs[_i].first,
                                   .type = EVENT_TYPE_HARDWARE,
                                   .has_error = pairs[_i].first_error };
    cpu->raised = (struct event){ .vector = pairs[_i].second,
                                  .type = EVENT_TYPE_HARDWARE,
                                  .has_error = pairs[_i].second_error };
    ck_assert_int_eq(sigsetjmp(lab->unwind, 0), 0);
    exception_dispatch(cpu);
    ck_assert_int_eq((int)(cpu->rip - SYS_HANDLERS) / 16, pairs[_i].delivered);
    lab_free(lab);
}
END_TEST

START_TEST(fault_during_the_delivery_of_a_double_fault_shuts_down)
{
    struct insn_lab *lab = sys_new(SYS_64);

    lab->cpu->idtr.limit = 0; /* #UD, #GP, #DF: none has a gate */
    sys_run(lab, 0x0f, 0x0b);
    ck_assert_int_eq(lab->cpu->activity, SHUTDOWN);
    ck_assert(!lab->cpu->delivering);
    lab_free(lab);
}
END_TEST

static void count_triple_fault(struct cpu *cpu, void *board)
{
    ++*(unsigned *)board;
}

START_TEST(triple_fault_tells_the_board_once)
{
    struct insn_lab *lab = sys_new(SYS_32);
    unsigned count = 0;

    lab->cpu->board = &count;
    lab->cpu->triple_fault = count_triple_fault;
    lab->cpu->idtr.limit = 0;
    sys_run(lab, 0x0f, 0x0b);
    ck_assert_uint_eq(count, 1);
    lab_free(lab);
}
END_TEST

START_TEST(page_fault_loads_cr2_and_pushes_its_error_code)
{
    struct insn_lab *lab = sys_new(SYS_64_USER);

    sys_run(lab, 0xc6, 0x04, 0x25, 0x10, 0x00, 0x00, 0x40, 0x01); /* mov byte [40000010H], 1 */
    ck_assert_int_eq(sys_handler(lab), 14);
    ck_assert_uint_eq(lab->cpu->cr2, 0x40000010);
    ck_assert_uint_eq(sys_frame(lab, 0), 6); /* user, write, not present */
    lab_free(lab);
}
END_TEST

START_TEST(interrupt_during_whose_delivery_a_fault_occurs_is_benign)
{
    struct insn_lab *lab = sys_new(SYS_32);
    struct event intr = { .vector = 0x80, .type = EVENT_TYPE_EXTERNAL };

    sys_vector(lab, 0x80, CODE32, 0x0e, 0); /* absent: #NP with EXT */
    lab->cpu->unwind = &lab->unwind;
    if (sigsetjmp(lab->unwind, 0) == 0)
        interrupt_deliver(lab->cpu, &intr);
    else if (lab->cpu->delivering)
        exception_dispatch(lab->cpu);
    ck_assert_uint_eq(lab->cpu->rip, SYS_HANDLERS + 16 * 11);
    ck_assert_uint_eq(sys_frame(lab, 0), 0x80 * 8 + 3);
    lab_free(lab);
}
END_TEST

START_TEST(delivery_ends_the_shadow_of_sti)
{
    struct insn_lab *lab = sys_new(SYS_32);

    lab->cpu->blocking = BLOCK_STI;
    cpu_update_key(lab->cpu);
    sys_run(lab, 0x0f, 0x0b);
    ck_assert_int_eq(sys_handler(lab), 6);
    ck_assert_uint_eq(lab->cpu->blocking, 0);
    lab_free(lab);
}
END_TEST

Suite *suite_cpu_exception(void)
{
    Suite *s = suite_create("cpu/exception");
    TCase *t = tcase_create("exceptions");

    tcase_add_loop_test(t, second_exception_during_delivery_is_combined_as_the_table_says, 0,
                        sizeof pairs / sizeof pairs[0]);
    tcase_add_test(t, fault_during_the_delivery_of_a_double_fault_shuts_down);
    tcase_add_test(t, triple_fault_tells_the_board_once);
    tcase_add_test(t, page_fault_loads_cr2_and_pushes_its_error_code);
    tcase_add_test(t, interrupt_during_whose_delivery_a_fault_occurs_is_benign);
    tcase_add_test(t, delivery_ends_the_shadow_of_sti);
    suite_add_tcase(s, t);
    return s;
}
