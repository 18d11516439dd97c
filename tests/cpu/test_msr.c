/* RDMSR, WRMSR and the registers behind them. */
#include "cpu/msr.h"
#include "tests/cpu/system_lab.h"

/* writes: is the value accepted, and does it read back? */
/* clang-format off */
static const struct {
    uint32_t msr;
    uint64_t value;
    bool good;
} writes[] = {
    {0xc0000082, UINT64_C(0xffffffff81000000), true}, /* IA32_LSTAR */
    {0xc0000082, UINT64_C(0x0000800000000000), false}, /* not canonical */
    {0xc0000081, UINT64_C(0x0023001000000000), true},
    {0xc0000084, 0x47700, true},
    {0xc0000100, UINT64_C(0x00007fff12345678), true},
    {0xc0000101, UINT64_C(0x8000000000000000), false},
    {0xc0000102, 0x1000, true},
    {0xc0000103, 7, true},
    {0xc0000103, UINT64_C(1) << 32, false},
    {0x174, 0x10, true},
    {0x175, UINT64_C(0xfffffe0000003000), true},
    {0x176, UINT64_C(1) << 62, false},
    {0x277, UINT64_C(0x0407050600070106), true}, /* Linux's PAT */
    {0x277, 0x02, false},                        /* reserved memory type */
    {0x200, 0x80000006, true},
    {0x200, 0x80000003, false},
    {0x201, UINT64_C(0x3fff80000800), true},
    {0x201, UINT64_C(1) << 46, false},
    {0x250, UINT64_C(0x0606060606060606), true},
    {0x26f, UINT64_C(0x0505050505050505), true},
    {0x26f, 0x07, false},
    {0x2ff, 0xc06, true},
    {0x2ff, 0x1006, false},
    {0x48, 1, true},
    {0x48, 0x401, true}, /* BHI_DIS_S */
    {0x48, 8, false},
    {0x1d9, 2, true},
    {0x1d9, UINT64_C(1) << 20, false},
    {0x17a, 4, true},
    {0x400, ~UINT64_C(0), true},
    {0x140, 0, true},
    {0x140, 1, false},
    {0xda0, 0, true},
    {0xda0, 1 << 8, false},
    {0xfe, 0, false},     /* read-only ones */
    {0xce, 0, false},
    {0x10a, 0, false},
    {0x480, 0, false},
    {0xdeadbeef, 0, false},
};
/* clang-format on */

START_TEST(wrmsr_checks_the_value_and_rdmsr_reads_it_back)
{
    struct insn_lab *lab = sys_new(SYS_64);
    uint64_t value = 0;

    ck_assert_int_eq(msr_write(lab->cpu, writes[_i].msr, writes[_i].value), writes[_i].good);
    if (writes[_i].good) {
        ck_assert(msr_read(lab->cpu, writes[_i].msr, &value));
        ck_assert_uint_eq(value, writes[_i].value);
    }
    lab_free(lab);
}
END_TEST

/* clang-format off */
static const struct {
    uint32_t msr;
    uint64_t value;
} constants[] = {
    {0xfe, 0x508},          /* IA32_MTRRCAP: 8 variable, fixed, WC */
    {0x179, 0x104},         /* IA32_MCG_CAP: 4 banks, MCG_CTL */
    {0xce, 0x1400},         /* ratio 20 */
    {0x277, UINT64_C(0x0007040600070406)},
    {0x1a0, 0x41801},
    {0x10a, UINT64_C(0x400000000d10e17b)},
};
/* clang-format on */

START_TEST(rdmsr_of_constants_and_reset_values)
{
    struct insn_lab *lab = sys_new(SYS_64);
    uint64_t value = 0;

    ck_assert(msr_read(lab->cpu, constants[_i].msr, &value));
    ck_assert_uint_eq(value, constants[_i].value);
    lab_free(lab);
}
END_TEST

START_TEST(rdmsr_of_an_unknown_register_raises_gp)
{
    struct insn_lab *lab = sys_new(SYS_64);

    lab->cpu->r[RCX] = 0xc0010010;
    sys_run(lab, 0x0f, 0x32);
    ck_assert_int_eq(sys_handler(lab), 13);
    lab_free(lab);
}
END_TEST

START_TEST(rdmsr_at_cpl_3_raises_gp)
{
    struct insn_lab *lab = sys_new(SYS_64_USER);

    lab->cpu->r[RCX] = 0x10;
    sys_run(lab, 0x0f, 0x32);
    ck_assert_int_eq(sys_handler(lab), 13);
    lab_free(lab);
}
END_TEST

START_TEST(writing_the_tsc_moves_tsc_adjust_by_the_same_amount)
{
    struct insn_lab *lab = sys_new(SYS_64);
    uint64_t before = cpu_tsc(lab->cpu), value = 0;

    ck_assert(msr_write(lab->cpu, 0x10, before + 1000));
    ck_assert_uint_eq(cpu_tsc(lab->cpu), before + 1000);
    ck_assert(msr_read(lab->cpu, 0x3b, &value));
    ck_assert_uint_eq(value, 1000);
    ck_assert(msr_write(lab->cpu, 0x3b, 0));
    ck_assert_uint_eq(cpu_tsc(lab->cpu), before);
    lab_free(lab);
}
END_TEST

/* ---- TSC deadline ---- */

static uint64_t deadline_read(void *owner)
{
    return *(uint64_t *)owner;
}
static void deadline_write(void *owner, uint64_t cycles)
{
    *(uint64_t *)owner = cycles;
}

START_TEST(tsc_deadline_reaches_the_apic_in_cycles_of_the_machine)
{
    struct insn_lab *lab = sys_new(SYS_64);
    struct apic_ops ops = { .read_tsc_deadline = deadline_read,
                            .write_tsc_deadline = deadline_write };
    uint64_t armed = 0, value = 0, now = cpu_cycles(lab->cpu);

    lab->cpu->apic = &ops;
    lab->cpu->apic_owner = &armed;
    ck_assert(msr_write(lab->cpu, 0x10, 1000000));
    ck_assert(msr_write(lab->cpu, 0x6e0, 1005000));
    ck_assert_uint_eq(armed, now + 5000);
    ck_assert(msr_read(lab->cpu, 0x6e0, &value));
    ck_assert_uint_eq(value, 1005000);
    ck_assert(msr_write(lab->cpu, 0x10, 1004000)); /* nearer now */
    ck_assert_uint_eq(armed, now + 1000);
    ck_assert(msr_write(lab->cpu, 0x6e0, 1)); /* in the past: at once, but not "disarmed" */
    ck_assert_uint_ne(armed, 0);
    ck_assert_uint_le(armed, now + 1);
    ck_assert(msr_write(lab->cpu, 0x6e0, 0));
    ck_assert_uint_eq(armed, 0);
    ck_assert(msr_write(lab->cpu, 0x6e0, ~UINT64_C(0)));
    ck_assert_uint_lt(armed, TIMER_OFF);
    lab_free(lab);
}
END_TEST

START_TEST(register_of_an_absent_feature_does_not_exist)
{
    struct insn_lab *lab = sys_new(SYS_64);
    uint64_t value = 0;

    ck_assert(feature_set(lab->cpu->features, "rdtscp", false));
    ck_assert(!msr_read(lab->cpu, 0xc0000103, &value));
    ck_assert(feature_set(lab->cpu->features, "spec-ctrl", false));
    ck_assert(!msr_write(lab->cpu, 0x48, 0));
    ck_assert(feature_set(lab->cpu->features, "arch-capabilities", false));
    ck_assert(!msr_read(lab->cpu, 0x10a, &value));
    lab_free(lab);
}
END_TEST

Suite *suite_cpu_msr(void)
{
    Suite *s = suite_create("cpu/msr");
    TCase *t = tcase_create("MSRs");

    tcase_add_loop_test(t, wrmsr_checks_the_value_and_rdmsr_reads_it_back, 0,
                        sizeof writes / sizeof writes[0]);
    tcase_add_loop_test(t, rdmsr_of_constants_and_reset_values, 0,
                        sizeof constants / sizeof constants[0]);
    tcase_add_test(t, rdmsr_of_an_unknown_register_raises_gp);
    tcase_add_test(t, rdmsr_at_cpl_3_raises_gp);
    tcase_add_test(t, writing_the_tsc_moves_tsc_adjust_by_the_same_amount);
    tcase_add_test(t, tsc_deadline_reaches_the_apic_in_cycles_of_the_machine);
    tcase_add_test(t, register_of_an_absent_feature_does_not_exist);
    suite_add_tcase(s, t);
    return s;
}
