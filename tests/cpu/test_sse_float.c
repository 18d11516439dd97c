/* SSE floating point under the guest's MXCSR: flags that stick, masked and unmasked exceptions,
 * alignment, availability. Values and flags of every instruction for random operands:
 * diff/vs_processor.c. [SDM 1 "MXCSR Control and Status Register"],
 * [SDM 1 "SSE and SSE2 SIMD Floating-Point Exceptions"] */
#include "tests/cpu/insn_lab.h"

enum { DATA = 0x200000 };
enum { ADDSS_1_2 = 0xca }; /* ModRM: reg XMM1, rm XMM2 */

#define ADDSS 0xf3, 0x0f, 0x58, ADDSS_1_2
#define MULSS 0xf3, 0x0f, 0x59, ADDSS_1_2
#define DIVSS 0xf3, 0x0f, 0x5e, ADDSS_1_2
#define SQRTSS 0xf3, 0x0f, 0x51, ADDSS_1_2
#define UCOMISS 0x0f, 0x2e, ADDSS_1_2
#define COMISS 0x0f, 0x2f, ADDSS_1_2

static struct insn_lab *lab;
static struct cpu *cpu;

static void setup(void)
{
    lab = lab_new(LAB_LONG);
    cpu = lab->cpu;
    fpu_enter(cpu);
    fpu_set_mxcsr(cpu, 0x1f80);
    cpu->r[RBX] = DATA;
}

static void teardown(void)
{
    fpu_leave(cpu);
    lab_free(lab);
}

static void operands(uint32_t a, uint32_t b)
{
    memset(&cpu->fpu.xmm[1], 0xa5, 32);
    cpu->fpu.xmm[1].u32[0] = a;
    cpu->fpu.xmm[2].u32[0] = b;
}
static uint32_t result(void)
{
    return cpu->fpu.xmm[1].u32[0];
}

/* ---- masked ---- */

START_TEST(flags_accumulate_until_ldmxcsr)
{
    operands(0x3f800000, 0x40400000); /* 1 / 3: P */
    ck_assert_int_eq(lab_exec(lab, DIVSS), LAB_NO_FAULT);
    ck_assert_uint_eq(result(), 0x3eaaaaab);
    operands(0x3f800000, 0); /* 1 / 0: Z */
    ck_assert_int_eq(lab_exec(lab, DIVSS), LAB_NO_FAULT);
    ck_assert_uint_eq(result(), 0x7f800000);
    ck_assert_uint_eq(fpu_mxcsr(cpu), 0x1fa4);
    lab_write(lab, DATA, 0x1f80, 4);
    ck_assert_int_eq(lab_exec(lab, 0x0f, 0xae, 0x13), LAB_NO_FAULT); /* LDMXCSR [RBX] */
    ck_assert_uint_eq(fpu_mxcsr(cpu), 0x1f80);
}
END_TEST

START_TEST(stmxcsr_stores_the_flags)
{
    operands(0xbf800000, 0xbf800000);
    ck_assert_int_eq(lab_exec(lab, SQRTSS), LAB_NO_FAULT);
    ck_assert_uint_eq(result(), 0xffc00000); /* the indefinite */
    ck_assert_int_eq(lab_exec(lab, 0x0f, 0xae, 0x1b), LAB_NO_FAULT);
    ck_assert_uint_eq(lab_read(lab, DATA, 4), 0x1f81);
}
END_TEST

START_TEST(rounding_control_rounds)
{
    static const uint32_t thirds[] = { 0x3eaaaaab, 0x3eaaaaaa, 0x3eaaaaab, 0x3eaaaaaa };

    for (unsigned rc = 0; rc < 4; rc++) {
        fpu_set_mxcsr(cpu, 0x1f80 | rc << 13);
        operands(0x3f800000, 0x40400000);
        ck_assert_int_eq(lab_exec(lab, DIVSS), LAB_NO_FAULT);
        ck_assert_uint_eq(result(), thirds[rc]);
    }
}
END_TEST

START_TEST(denormals_are_zeros_with_DAZ_and_results_with_FTZ)
{
    fpu_set_mxcsr(cpu, 0x1fc0);
    operands(1, 1);
    ck_assert_int_eq(lab_exec(lab, ADDSS), LAB_NO_FAULT);
    ck_assert_uint_eq(result(), 0);
    ck_assert_uint_eq(fpu_mxcsr(cpu), 0x1fc0);
    fpu_set_mxcsr(cpu, 0x9f80);
    operands(0x00800000, 0x3f000000); /* the smallest normal number, halved */
    ck_assert_int_eq(lab_exec(lab, MULSS), LAB_NO_FAULT);
    ck_assert_uint_eq(result(), 0);
    ck_assert_uint_eq(fpu_mxcsr(cpu), 0x9fb0); /* U and P */
}
END_TEST

START_TEST(only_the_low_element_changes)
{
    operands(0x3f800000, 0x3f800000);
    ck_assert_int_eq(lab_exec(lab, ADDSS), LAB_NO_FAULT);
    ck_assert_uint_eq(cpu->fpu.xmm[1].u64[0], 0xa5a5a5a540000000);
    ck_assert_uint_eq(cpu->fpu.xmm[1].u64[1], 0xa5a5a5a5a5a5a5a5);
}
END_TEST

/* ---- unmasked ---- */

START_TEST(an_unmasked_exception_is_XM_and_changes_only_the_flags)
{
    fpu_set_mxcsr(cpu, 0x1f80 & ~0x200u); /* ZM = 0 */
    operands(0x3f800000, 0);
    ck_assert_int_eq(lab_exec(lab, DIVSS), 19);
    ck_assert_uint_eq(result(), 0x3f800000);
    ck_assert_uint_eq(fpu_mxcsr(cpu), 0x1d84);
}
END_TEST

START_TEST(without_OSXMMEXCPT_it_is_UD)
{
    cpu->cr4 &= ~CR4_OSXMMEXCPT;
    fpu_set_mxcsr(cpu, 0x1f80 & ~0x80u);
    operands(0x7f800001, 0x3f800000); /* an SNaN */
    ck_assert_int_eq(lab_exec(lab, ADDSS), 6);
    ck_assert_uint_eq(fpu_mxcsr(cpu), 0x1f01);
}
END_TEST

START_TEST(a_flag_that_is_already_set_raises_nothing)
{
    fpu_set_mxcsr(cpu, (0x1f80 & ~0x200u) | 4);
    operands(0x3f800000, 0x3f800000);
    ck_assert_int_eq(lab_exec(lab, ADDSS), LAB_NO_FAULT);
}
END_TEST

START_TEST(an_unmasked_denormal_hides_what_comes_after_computing)
{
    fpu_set_mxcsr(cpu, 0x1f80 & ~0x100u); /* DM = 0 */
    operands(1, 0x3eaaaaab);
    ck_assert_int_eq(lab_exec(lab, MULSS), 19);
    ck_assert_uint_eq(fpu_mxcsr(cpu), 0x1e82); /* neither U nor P */
}
END_TEST

START_TEST(an_unmasked_underflow_is_raised_even_when_exact)
{
    fpu_set_mxcsr(cpu, (0x1f80 & ~0x800u) | 0x8000); /* UM = 0: FTZ has no say */
    operands(0x00800000, 0x3f000000);
    ck_assert_int_eq(lab_exec(lab, MULSS), 19);
    ck_assert_uint_eq(fpu_mxcsr(cpu), 0x9790);
}
END_TEST

START_TEST(an_exception_leaves_eflags_alone)
{
    fpu_set_mxcsr(cpu, 0x1f80 & ~0x80u);
    lab_set_flags(lab, 0x8d5);
    operands(0x7fc00000, 0x3f800000);
    ck_assert_int_eq(lab_exec(lab, COMISS), 19);
    ck_assert_uint_eq(lab_flags(lab), 0x8d5);
    ck_assert_int_eq(lab_exec(lab, UCOMISS), LAB_NO_FAULT); /* a QNaN: unordered */
    ck_assert_uint_eq(lab_flags(lab), 0x45);
}
END_TEST

/* ---- approximations: [SDM 2B "RCPPS"] |relative error| <= 1.5 * 2^-12 ---- */

START_TEST(rcp_and_rsqrt_keep_their_bounds)
{
    static const uint32_t special[][3] = {
        /* x, 1/x, 1/sqrt(x) */
        { 0x00000000, 0x7f800000, 0x7f800000 }, { 0x80000000, 0xff800000, 0xff800000 },
        { 0x7f800000, 0x00000000, 0x00000000 }, { 0xff800000, 0x80000000, 0xffc00000 },
        { 0x00000001, 0x7f800000, 0x7f800000 }, { 0x7f800001, 0x7fc00001, 0x7fc00001 },
        { 0x7f7fffff, 0x00000000, 0x1f800000 }, { 0x3f800000, 0x3f800000, 0x3f800000 },
    };

    for (unsigned i = 0; i < sizeof special / sizeof special[0]; i++) {
        operands(0, special[i][0]);
        lab_exec(lab, 0xf3, 0x0f, 0x53, ADDSS_1_2);
        ck_assert_uint_eq(result(), special[i][1]);
        lab_exec(lab, 0xf3, 0x0f, 0x52, ADDSS_1_2);
        ck_assert_uint_eq(result(), special[i][2]);
    }
    ck_assert_uint_eq(fpu_mxcsr(cpu), 0x1f80);
    for (uint32_t v = 0x3f000000; v < 0x41000000; v += 4099) {
        float x, r;

        memcpy(&x, &v, 4);
        operands(0, v);
        lab_exec(lab, 0xf3, 0x0f, 0x53, ADDSS_1_2);
        r = cpu->fpu.xmm[1].f32[0];
        ck_assert_double_eq_tol((double)r * x, 1, 1.5 / 4096);
        lab_exec(lab, 0xf3, 0x0f, 0x52, ADDSS_1_2);
        r = cpu->fpu.xmm[1].f32[0];
        ck_assert_double_eq_tol((double)r * r * x, 1, 3.0 / 4096);
    }
}
END_TEST

START_TEST(roundss_heeds_its_immediate)
{
    fpu_set_mxcsr(cpu, 0x3f80); /* RC: down */
    operands(0, 0xc0200000);    /* -2.5 */
    lab_exec(lab, 0x66, 0x0f, 0x3a, 0x0a, ADDSS_1_2, 0x00);
    ck_assert_uint_eq(result(), 0xc0000000);
    ck_assert_uint_eq(fpu_mxcsr(cpu), 0x3fa0);
    fpu_set_mxcsr(cpu, 0x3f80);
    lab_exec(lab, 0x66, 0x0f, 0x3a, 0x0a, ADDSS_1_2, 0x0c); /* MXCSR's mode, P suppressed */
    ck_assert_uint_eq(result(), 0xc0400000);
    ck_assert_uint_eq(fpu_mxcsr(cpu), 0x3f80);
}
END_TEST

/* ---- memory, availability ---- */

START_TEST(a_misaligned_operand_is_GP_except_where_allowed)
{
    cpu->r[RBX] = DATA + 8;
    ck_assert_int_eq(lab_exec(lab, 0x0f, 0x58, 0x0b), 13);                 /* ADDPS */
    ck_assert_int_eq(lab_exec(lab, 0x0f, 0x28, 0x0b), 13);                 /* MOVAPS */
    ck_assert_int_eq(lab_exec(lab, 0x66, 0x0f, 0xfc, 0x0b), 13);           /* PADDB */
    ck_assert_int_eq(lab_exec(lab, 0x0f, 0x10, 0x0b), LAB_NO_FAULT);       /* MOVUPS */
    ck_assert_int_eq(lab_exec(lab, 0xf3, 0x0f, 0x58, 0x0b), LAB_NO_FAULT); /* ADDSS */
    ck_assert_int_eq(lab_exec(lab, 0x66, 0x0f, 0x3a, 0x63, 0x0b, 0x0c), LAB_NO_FAULT);
}
END_TEST

START_TEST(cr0_and_cr4_take_it_away)
{
    cpu->cr0 |= CR0_TS;
    cpu_update_key(cpu);
    ck_assert_int_eq(lab_exec(lab, ADDSS), 7);
    ck_assert_int_eq(lab_exec(lab, 0x0f, 0xfc, 0xc1), 7); /* PADDB of MMX */
    cpu->cr0 = (cpu->cr0 & ~CR0_TS) | CR0_EM;
    cpu_update_key(cpu);
    ck_assert_int_eq(lab_exec(lab, ADDSS), 6);
    ck_assert_int_eq(lab_exec(lab, 0x0f, 0xfc, 0xc1), 6);
    cpu->cr0 &= ~CR0_EM;
    cpu->cr4 &= ~CR4_OSFXSR;
    cpu_update_key(cpu);
    ck_assert_int_eq(lab_exec(lab, ADDSS), 6);
    ck_assert_int_eq(lab_exec(lab, 0x0f, 0xfc, 0xc1), LAB_NO_FAULT);
}
END_TEST

START_TEST(ldmxcsr_of_a_reserved_bit_is_GP)
{
    lab_write(lab, DATA, 0x11f80, 4);
    ck_assert_int_eq(lab_exec(lab, 0x0f, 0xae, 0x13), 13);
    ck_assert_uint_eq(fpu_mxcsr(cpu), 0x1f80);
}
END_TEST

Suite *suite_cpu_sse_float(void)
{
    Suite *s = suite_create("cpu/sse_float");
    TCase *c = tcase_create("mxcsr");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, flags_accumulate_until_ldmxcsr);
    tcase_add_test(c, stmxcsr_stores_the_flags);
    tcase_add_test(c, rounding_control_rounds);
    tcase_add_test(c, denormals_are_zeros_with_DAZ_and_results_with_FTZ);
    tcase_add_test(c, only_the_low_element_changes);
    tcase_add_test(c, an_unmasked_exception_is_XM_and_changes_only_the_flags);
    tcase_add_test(c, without_OSXMMEXCPT_it_is_UD);
    tcase_add_test(c, a_flag_that_is_already_set_raises_nothing);
    tcase_add_test(c, an_unmasked_denormal_hides_what_comes_after_computing);
    tcase_add_test(c, an_unmasked_underflow_is_raised_even_when_exact);
    tcase_add_test(c, an_exception_leaves_eflags_alone);
    tcase_add_test(c, rcp_and_rsqrt_keep_their_bounds);
    tcase_add_test(c, roundss_heeds_its_immediate);
    tcase_add_test(c, a_misaligned_operand_is_GP_except_where_allowed);
    tcase_add_test(c, cr0_and_cr4_take_it_away);
    tcase_add_test(c, ldmxcsr_of_a_reserved_bit_is_GP);
    suite_add_tcase(s, c);
    return s;
}
