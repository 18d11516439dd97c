/* FXSAVE, FXRSTOR and the XSAVE feature set for x87 and SSE state.
 * [SDM 1 "Managing State Using the XSAVE Feature Set"], [SDM 2A "FXSAVE"] */
#include "tests/cpu/insn_lab.h"

enum { AREA = 0x200000, XSTATE_BV = AREA + 512, XCOMP_BV = AREA + 520 };

#define FXSAVE 0x0f, 0xae, 0x03 /* [RBX] */
#define FXRSTOR 0x0f, 0xae, 0x0b
#define XSAVE 0x0f, 0xae, 0x23
#define XRSTOR 0x0f, 0xae, 0x2b
#define XSAVEOPT 0x0f, 0xae, 0x33
#define XSAVEC 0x0f, 0xc7, 0x23
#define XRSTORS 0x0f, 0xc7, 0x1b

static struct insn_lab *lab;
static struct cpu *cpu;

static void setup(void)
{
    lab = lab_new(LAB_LONG);
    cpu = lab->cpu;
    cpu->cr4 |= CR4_OSXSAVE;
    cpu->xcr0 = 3;
    cpu_update_key(cpu);
    fpu_enter(cpu);
    lab_exec(lab, 0xdb, 0xe3); /* FNINIT */
    memset(cpu->fpu.st, 0, sizeof cpu->fpu.st);
    memset(cpu->fpu.xmm, 0, sizeof cpu->fpu.xmm);
    fpu_set_mxcsr(cpu, 0x1f80);
    cpu->r[RBX] = AREA;
    cpu->r[RAX] = 3;
    for (unsigned i = 0; i < 576; i++)
        lab_write(lab, AREA + i, 0, 1);
}

static void teardown(void)
{
    fpu_leave(cpu);
    lab_free(lab);
}

START_TEST(fxsave_has_the_manual_s_layout)
{
    lab_write(lab, AREA + 464, 0x55, 1); /* software's */
    lab_exec(lab, 0xd9, 0xe8);           /* FLD1 */
    cpu->fpu.xmm[15].u64[1] = 0x1234;
    ck_assert_int_eq(lab_exec(lab, FXSAVE), LAB_NO_FAULT);
    ck_assert_uint_eq(lab_read(lab, AREA, 2), 0x37f);
    ck_assert_uint_eq(lab_read(lab, AREA + 2, 2), 0x3800); /* TOP = 7 */
    ck_assert_uint_eq(lab_read(lab, AREA + 4, 1), 0x80);   /* R7 is not empty */
    ck_assert_uint_eq(lab_read(lab, AREA + 24, 4), 0x1f80);
    ck_assert_uint_eq(lab_read(lab, AREA + 28, 4), 0xffff); /* MXCSR_MASK */
    ck_assert_uint_eq(lab_read(lab, AREA + 32, 8), UINT64_C(1) << 63);
    ck_assert_uint_eq(lab_read(lab, AREA + 40, 2), 0x3fff);
    ck_assert_uint_eq(lab_read(lab, AREA + 408, 8), 0x1234);
    ck_assert_uint_eq(lab_read(lab, AREA + 464, 1), 0x55);
}
END_TEST

START_TEST(fxrstor_loads_what_fxsave_stored)
{
    struct fpu before;

    lab_exec(lab, 0xd9, 0xeb); /* FLDPI */
    cpu->fpu.xmm[3].u64[0] = 0x3333;
    before = cpu->fpu;
    lab_exec(lab, FXSAVE);
    lab_exec(lab, 0xdb, 0xe3);
    cpu->fpu.xmm[3].u64[0] = 0;
    ck_assert_int_eq(lab_exec(lab, FXRSTOR), LAB_NO_FAULT);
    ck_assert_uint_eq(cpu->fpu.status, before.status);
    ck_assert_uint_eq(cpu->fpu.tag, before.tag);
    ck_assert_uint_eq(cpu->fpu.st[7].significand, before.st[7].significand);
    ck_assert_uint_eq(cpu->fpu.xmm[3].u64[0], 0x3333);
}
END_TEST

START_TEST(misaligned_areas_and_reserved_mxcsr_bits_are_GP)
{
    cpu->r[RBX] = AREA + 8;
    ck_assert_int_eq(lab_exec(lab, FXSAVE), 13);
    cpu->r[RBX] = AREA + 16;
    ck_assert_int_eq(lab_exec(lab, XSAVE), 13); /* 64 bytes */
    cpu->r[RBX] = AREA;
    lab_write(lab, AREA + 24, 0x10000, 4);
    ck_assert_int_eq(lab_exec(lab, FXRSTOR), 13);
    lab_write(lab, XSTATE_BV, 2, 8);
    ck_assert_int_eq(lab_exec(lab, XRSTOR), 13);
}
END_TEST

START_TEST(xsave_reports_components_in_use_and_keeps_bits_outside_rfbm)
{
    cpu->fpu.xmm[0].u64[0] = 1;
    lab_write(lab, XSTATE_BV, 1, 8);
    cpu->r[RAX] = 2;
    ck_assert_int_eq(lab_exec(lab, XSAVE), LAB_NO_FAULT);
    ck_assert_uint_eq(lab_read(lab, XSTATE_BV, 8), 3);
    ck_assert_uint_eq(lab_read(lab, AREA, 2), 0); /* x87 was not asked for */
    ck_assert_uint_eq(lab_read(lab, AREA + 160, 8), 1);
    cpu->r[RAX] = 3;
    ck_assert_int_eq(lab_exec(lab, XSAVE), LAB_NO_FAULT);
    ck_assert_uint_eq(lab_read(lab, XSTATE_BV, 8), 2); /* x87 is in its initial state */
    ck_assert_uint_eq(lab_read(lab, AREA, 2), 0x37f);
}
END_TEST

START_TEST(xsaveopt_leaves_out_initial_components)
{
    cpu->fpu.xmm[0].u64[0] = 1;
    ck_assert_int_eq(lab_exec(lab, XSAVEOPT), LAB_NO_FAULT);
    ck_assert_uint_eq(lab_read(lab, XSTATE_BV, 8), 2);
    ck_assert_uint_eq(lab_read(lab, AREA, 2), 0);
}
END_TEST

START_TEST(xsavec_says_compacted_and_counts_mxcsr_as_sse_state)
{
    ck_assert_int_eq(lab_exec(lab, XSAVEC), LAB_NO_FAULT);
    ck_assert_uint_eq(lab_read(lab, XSTATE_BV, 8), 0);
    ck_assert_uint_eq(lab_read(lab, XCOMP_BV, 8), UINT64_C(1) << 63 | 3);
    fpu_set_mxcsr(cpu, 0x1f81);
    ck_assert_int_eq(lab_exec(lab, XSAVEC), LAB_NO_FAULT);
    ck_assert_uint_eq(lab_read(lab, XSTATE_BV, 8), 2);
    ck_assert_uint_eq(lab_read(lab, AREA + 24, 4), 0x1f81);
}
END_TEST

START_TEST(xrstor_initializes_what_xstate_bv_lacks)
{
    lab_exec(lab, 0xd9, 0xe8);
    cpu->fpu.xmm[5].u64[0] = 5;
    lab_write(lab, AREA + 24, 0x1fa0, 4); /* the standard form loads MXCSR all the same */
    ck_assert_int_eq(lab_exec(lab, XRSTOR), LAB_NO_FAULT);
    ck_assert_uint_eq(cpu->fpu.tag, 0);
    ck_assert_uint_eq(cpu->fpu.control, 0x37f);
    ck_assert_uint_eq(cpu->fpu.xmm[5].u64[0], 0);
    ck_assert_uint_eq(fpu_mxcsr(cpu), 0x1fa0);
    lab_write(lab, XCOMP_BV, UINT64_C(1) << 63 | 3, 8);
    ck_assert_int_eq(lab_exec(lab, XRSTOR), LAB_NO_FAULT);
    ck_assert_uint_eq(fpu_mxcsr(cpu), 0x1f80); /* the compacted form initializes it */
}
END_TEST

START_TEST(xrstor_refuses_a_bad_header)
{
    static const struct {
        uint64_t xstate_bv, xcomp_bv, reserved;
    } bad[] = {
        { 4, 0, 0 },                     /* not in XCR0 */
        { 0, 1, 0 },                     /* standard: must be 0 */
        { 0, 0, 1 },                     /* bytes 23:16 */
        { 0, UINT64_C(1) << 63 | 4, 0 }, /* not in XCR0 */
        { 2, UINT64_C(1) << 63 | 1, 0 }, /* not in XCOMP_BV */
        { 0, UINT64_C(1) << 63 | 3, 1 }, /* bytes 63:16 */
    };

    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        lab_write(lab, XSTATE_BV, bad[i].xstate_bv, 8);
        lab_write(lab, XCOMP_BV, bad[i].xcomp_bv, 8);
        lab_write(lab, AREA + 528, bad[i].reserved, 8);
        ck_assert_int_eq(lab_exec(lab, XRSTOR), 13);
    }
    lab_write(lab, AREA + 528, 0, 8);
    lab_write(lab, XCOMP_BV, 0, 8);
    lab_write(lab, XSTATE_BV, 0, 8);
    ck_assert_int_eq(lab_exec(lab, XRSTORS), 13); /* knows the compacted form only */
}
END_TEST

START_TEST(faults_come_in_order)
{
    cpu->cr0 |= CR0_TS;
    cpu_update_key(cpu);
    ck_assert_int_eq(lab_exec(lab, XSAVE), 7);
    ck_assert_int_eq(lab_exec(lab, FXSAVE), 7);
    cpu->cr4 &= ~CR4_OSXSAVE;
    ck_assert_int_eq(lab_exec(lab, XSAVE), 6);
    lab_mode(lab, LAB_LONG_USER);
    cpu->cr4 |= CR4_OSXSAVE;
    cpu->r[RBX] = AREA;
    ck_assert_int_eq(lab_exec(lab, XRSTORS), 13); /* CPL 3 */
}
END_TEST

Suite *suite_cpu_xsave(void)
{
    Suite *s = suite_create("cpu/xsave");
    TCase *c = tcase_create("areas");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, fxsave_has_the_manual_s_layout);
    tcase_add_test(c, fxrstor_loads_what_fxsave_stored);
    tcase_add_test(c, misaligned_areas_and_reserved_mxcsr_bits_are_GP);
    tcase_add_test(c, xsave_reports_components_in_use_and_keeps_bits_outside_rfbm);
    tcase_add_test(c, xsaveopt_leaves_out_initial_components);
    tcase_add_test(c, xsavec_says_compacted_and_counts_mxcsr_as_sse_state);
    tcase_add_test(c, xrstor_initializes_what_xstate_bv_lacks);
    tcase_add_test(c, xrstor_refuses_a_bad_header);
    tcase_add_test(c, faults_come_in_order);
    suite_add_tcase(s, c);
    return s;
}
