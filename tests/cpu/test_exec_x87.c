/* x87 instructions: the register stack and its faults, pending exceptions, environments, FIP and
 * FDP. Values: test_float80.c and diff/vs_processor.c.
 * [SDM 1 "Stack Overflow or Underflow Exception (#IS)"] */
#include "tests/cpu/insn_lab.h"

enum { DATA = 0x200000, C1 = 0x200, SF = 0x40, ES = 0x80, B = 0x8000 };

#define FLD1 0xd9, 0xe8
#define FLDZ 0xd9, 0xee

static struct insn_lab *lab;
static struct cpu *cpu;

static void setup(void)
{
    lab = lab_new(LAB_LONG);
    cpu = lab->cpu;
    fpu_enter(cpu);
    lab_exec(lab, 0xdb, 0xe3); /* FNINIT */
    cpu->r[RBX] = DATA;
}

static void teardown(void)
{
    fpu_leave(cpu);
    lab_free(lab);
}

static void control(uint16_t word)
{
    lab_write(lab, DATA, word, 2);
    ck_assert_int_eq(lab_exec(lab, 0xd9, 0x2b), LAB_NO_FAULT); /* FLDCW */
}
static unsigned top(void)
{
    return cpu->fpu.status >> 11 & 7;
}

START_TEST(fninit_leaves_037F_and_an_empty_stack)
{
    lab_exec(lab, FLD1);
    ck_assert_int_eq(lab_exec(lab, 0xdb, 0xe3), LAB_NO_FAULT);
    ck_assert_uint_eq(cpu->fpu.control, 0x37f);
    ck_assert_uint_eq(cpu->fpu.status, 0);
    ck_assert_uint_eq(cpu->fpu.tag, 0);
}
END_TEST

START_TEST(the_ninth_push_overflows_with_C1)
{
    for (unsigned i = 0; i < 8; i++)
        lab_exec(lab, FLD1);
    ck_assert_uint_eq(cpu->fpu.status & 0xff, 0);
    lab_exec(lab, FLD1);
    ck_assert_uint_eq(cpu->fpu.status & (C1 | SF | ES | 1), C1 | SF | 1);
    ck_assert_uint_eq(top(), 7);
    ck_assert_uint_eq(cpu->fpu.st[7].sign_exponent, 0xffff); /* the indefinite */
}
END_TEST

START_TEST(an_unmasked_stack_fault_changes_nothing_and_waits)
{
    control(0x37e);
    ck_assert_int_eq(lab_exec(lab, 0xd8, 0xc1), LAB_NO_FAULT); /* FADD ST(0), ST(1) */
    ck_assert_uint_eq(cpu->fpu.status & (C1 | SF | ES | B | 1), SF | ES | B | 1);
    ck_assert_uint_eq(cpu->fpu.tag, 0);
    ck_assert_int_eq(lab_exec(lab, FLD1), 16);                 /* #MF now */
    ck_assert_int_eq(lab_exec(lab, 0x9b), 16);                 /* FWAIT */
    ck_assert_int_eq(lab_exec(lab, 0x0f, 0xfc, 0xc1), 16);     /* MMX */
    ck_assert_int_eq(lab_exec(lab, 0xdf, 0xe0), LAB_NO_FAULT); /* FNSTSW AX does not wait */
    ck_assert_uint_eq(cpu->r[RAX] & 0xffff, cpu->fpu.status);
    ck_assert_int_eq(lab_exec(lab, 0xdb, 0xe2), LAB_NO_FAULT); /* FNCLEX */
    ck_assert_int_eq(lab_exec(lab, FLD1), LAB_NO_FAULT);
}
END_TEST

START_TEST(unmasking_a_pending_exception_makes_it_wait)
{
    lab_exec(lab, FLD1);
    lab_exec(lab, FLDZ);
    lab_exec(lab, 0xde, 0xf9); /* FDIVP: 1 / 0 */
    ck_assert_uint_eq(cpu->fpu.status & 0xff, 4);
    control(0x37b);
    ck_assert_uint_eq(cpu->fpu.status & 0xff, ES | 4);
    ck_assert_int_eq(lab_exec(lab, FLD1), 16);
}
END_TEST

START_TEST(a_store_that_faults_leaves_stack_and_flags)
{
    lab_exec(lab, 0xd9, 0xeb); /* FLDPI: inexact as a single */
    cpu->r[RBX] = UINT64_C(0x100000000);
    ck_assert_int_eq(lab_exec(lab, 0xd9, 0x1b), 14); /* FSTP m32 */
    ck_assert_uint_eq(cpu->fpu.status, 0x3800);
    ck_assert_uint_eq(cpu->fpu.tag, 0x80);
}
END_TEST

START_TEST(an_unmasked_overflow_stores_nothing)
{
    control(0x377); /* OM = 0 */
    lab_exec(lab, FLD1);
    cpu->fpu.st[7].sign_exponent = 0x7000;
    lab_write(lab, DATA, 0x1234, 4);
    ck_assert_int_eq(lab_exec(lab, 0xd9, 0x1b), LAB_NO_FAULT);
    ck_assert_uint_eq(lab_read(lab, DATA, 4), 0x1234);
    ck_assert_uint_eq(top(), 7);
    ck_assert_uint_eq(cpu->fpu.status & (ES | 0x3f), ES | 8);
}
END_TEST

START_TEST(fip_and_fdp_name_the_last_instruction)
{
    cpu->rip = 0x8000;
    lab_exec(lab, 0xd9, 0x03);       /* FLD m32 */
    lab_exec(lab, 0xd9, 0x7b, 0x10); /* FNSTCW: a control instruction */
    ck_assert_uint_eq(cpu->fpu.ip, 0x8000);
    ck_assert_uint_eq(cpu->fpu.dp, DATA);
    ck_assert_uint_eq(cpu->fpu.opcode, 0x103);
}
END_TEST

START_TEST(fnsave_and_frstor_agree_in_both_formats)
{
    for (unsigned is16 = 0; is16 < 2; is16++) {
        struct fpu before;

        lab_exec(lab, 0xdb, 0xe3);
        lab_exec(lab, 0xd9, 0xeb);
        lab_exec(lab, FLDZ);
        before = cpu->fpu;
        if (is16) {
            lab_exec(lab, 0x66, 0xdd, 0x33);
            ck_assert_uint_eq(lab_read(lab, DATA + 4, 2), 0x1fff); /* R7 valid, R6 zero */
            ck_assert_uint_eq(cpu->fpu.tag, 0);                    /* initialized */
            lab_exec(lab, 0x66, 0xdd, 0x23);
        } else {
            lab_exec(lab, 0xdd, 0x33);
            ck_assert_uint_eq(lab_read(lab, DATA + 8, 4), 0xffff1fff);
            lab_exec(lab, 0xdd, 0x23);
        }
        ck_assert_uint_eq(cpu->fpu.status, before.status);
        ck_assert_uint_eq(cpu->fpu.tag, before.tag);
        ck_assert_uint_eq(cpu->fpu.st[7].significand, before.st[7].significand);
    }
}
END_TEST

START_TEST(real_mode_environments_hold_linear_addresses)
{
    lab_mode(lab, LAB_REAL);
    cpu->r[RBX] = 0x4000;
    cpu->fpu.cs = 0x1234;
    cpu->fpu.ip = 0x5678;
    cpu->fpu.opcode = 0x7ff;
    lab_exec(lab, 0xd9, 0x37); /* FNSTENV [BX] */
    ck_assert_uint_eq(lab_read(lab, 0x4006, 2), 0x79b8);
    ck_assert_uint_eq(lab_read(lab, 0x4008, 2), 0x17ff);
}
END_TEST

START_TEST(fxam_knows_the_classes)
{
    static const struct {
        uint64_t significand;
        unsigned sign_exponent, cc; /* C3 C2 C1 C0 */
    } cases[] = {
        { 0, 0x0000, 0x4000 },
        { UINT64_C(1) << 63, 0xbfff, 0x0600 },
        { UINT64_C(1) << 63, 0x7fff, 0x0500 },
        { UINT64_C(3) << 62, 0xffff, 0x0300 },
        { 1, 0x0000, 0x4400 },
        { 1, 0x3fff, 0x0000 },
    };

    lab_exec(lab, 0xd9, 0xe5);
    ck_assert_uint_eq(cpu->fpu.status & 0x4500, 0x4100); /* empty */
    lab_exec(lab, FLD1);
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cpu->fpu.st[7].significand = cases[i].significand;
        cpu->fpu.st[7].sign_exponent = (uint16_t)cases[i].sign_exponent;
        lab_exec(lab, 0xd9, 0xe5);
        ck_assert_uint_eq(cpu->fpu.status & 0x4700, cases[i].cc);
    }
}
END_TEST

START_TEST(mmx_takes_the_stack_over_and_emms_empties_it)
{
    lab_exec(lab, FLD1);
    cpu->r[RAX] = 0x1122334455667788;
    lab_exec(lab, 0x48, 0x0f, 0x6e, 0xd0); /* MOVQ MM2, RAX */
    ck_assert_uint_eq(cpu->fpu.st[2].significand, 0x1122334455667788);
    ck_assert_uint_eq(cpu->fpu.st[2].sign_exponent, 0xffff);
    ck_assert_uint_eq(top(), 0);
    ck_assert_uint_eq(cpu->fpu.tag, 0xff);
    lab_exec(lab, 0x0f, 0x77);
    ck_assert_uint_eq(cpu->fpu.tag, 0);
}
END_TEST

START_TEST(trigonometry_beyond_2_to_63_sets_C2_and_leaves_the_operand)
{
    lab_exec(lab, FLD1);
    cpu->fpu.st[7].sign_exponent = 0x3fff + 63;
    lab_exec(lab, 0xd9, 0xfe); /* FSIN */
    ck_assert_uint_eq(cpu->fpu.status & 0x400, 0x400);
    ck_assert_uint_eq(cpu->fpu.st[7].sign_exponent, 0x3fff + 63);
}
END_TEST

START_TEST(the_sine_of_pi_shows_the_66_bits_of_pi)
{
    lab_exec(lab, 0xd9, 0xeb); /* FLDPI */
    lab_exec(lab, 0xd9, 0xfe);
    ck_assert_uint_eq(cpu->fpu.st[7].sign_exponent, 0xbfff - 64); /* -2^-64 */
    ck_assert_uint_eq(cpu->fpu.st[7].significand, UINT64_C(1) << 63);
}
END_TEST

Suite *suite_cpu_exec_x87(void)
{
    Suite *s = suite_create("cpu/exec_x87");
    TCase *c = tcase_create("stack");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, fninit_leaves_037F_and_an_empty_stack);
    tcase_add_test(c, the_ninth_push_overflows_with_C1);
    tcase_add_test(c, an_unmasked_stack_fault_changes_nothing_and_waits);
    tcase_add_test(c, unmasking_a_pending_exception_makes_it_wait);
    tcase_add_test(c, a_store_that_faults_leaves_stack_and_flags);
    tcase_add_test(c, an_unmasked_overflow_stores_nothing);
    tcase_add_test(c, fip_and_fdp_name_the_last_instruction);
    tcase_add_test(c, fnsave_and_frstor_agree_in_both_formats);
    tcase_add_test(c, real_mode_environments_hold_linear_addresses);
    tcase_add_test(c, fxam_knows_the_classes);
    tcase_add_test(c, mmx_takes_the_stack_over_and_emms_empties_it);
    tcase_add_test(c, trigonometry_beyond_2_to_63_sets_C2_and_leaves_the_operand);
    tcase_add_test(c, the_sine_of_pi_shows_the_66_bits_of_pi);
    suite_add_tcase(s, c);
    return s;
}
