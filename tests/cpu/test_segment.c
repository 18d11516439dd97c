/* Loads of segment registers, limits and rights of accesses, descriptor questions. */
#include "tests/cpu/system_lab.h"

/* MOV DS, AX (8E D8) and MOV SS, AX (8E D0) at CPL 0 and 3 in 32-bit protected mode */
/* clang-format off */
static const struct {
    enum sys_mode mode;
    uint8_t modrm;
    uint16_t selector;
    int vector; /* -1: loaded */
    uint32_t error;
} loads[] = {
    {SYS_32, 0xd8, DATA32, -1, 0},
    {SYS_32, 0xd8, 0, -1, 0},                  /* null is allowed in DS */
    {SYS_32, 0xd8, 3, -1, 0},
    {SYS_32, 0xd8, READ_ONLY, -1, 0},
    {SYS_32, 0xd8, CODE32, -1, 0},             /* readable code */
    {SYS_32, 0xd8, EXECUTE_ONLY, 13, EXECUTE_ONLY},
    {SYS_32, 0xd8, TSS_A, 13, TSS_A},          /* a system descriptor */
    {SYS_32, 0xd8, ABSENT, 11, ABSENT},
    {SYS_32, 0xd8, SYS_GDT_LIMIT + 1, 13, SYS_GDT_LIMIT + 1},
    {SYS_32, 0xd8, 4, 13, 4},                  /* no LDT */
    {SYS_32, 0xd8, DATA32 | 3, 13, DATA32},    /* RPL 3, DPL 0 */
    {SYS_32, 0xd8, CONFORMING | 3, -1, 0},     /* ... does not matter for conforming code */
    {SYS_32_USER, 0xd8, DATA32, 13, DATA32},
    {SYS_32_USER, 0xd8, DATA32_USER, -1, 0},
    {SYS_32, 0xd0, DATA32, -1, 0},
    {SYS_32, 0xd0, 0, 13, 0},                  /* null is not allowed in SS */
    {SYS_32, 0xd0, READ_ONLY, 13, READ_ONLY},
    {SYS_32, 0xd0, CODE32, 13, CODE32},
    {SYS_32, 0xd0, ABSENT, 12, ABSENT},        /* #SS, not #NP */
    {SYS_32, 0xd0, DATA32_USER, 13, DATA32_USER & ~3},
    {SYS_32_USER, 0xd0, DATA32_USER, -1, 0},
    {SYS_32_USER, 0xd0, DATA32_USER & ~3, 13, DATA32_USER & ~3},
    {SYS_64, 0xd0, 0, -1, 0},                  /* 64-bit mode below CPL 3 */
    {SYS_64_USER, 0xd0, 3, 13, 0},
    {SYS_32, 0xc8, CODE32, 6, 0},              /* MOV CS: #UD */
};
/* clang-format on */

START_TEST(load_of_a_segment_register_checks_the_descriptor)
{
    struct insn_lab *lab = sys_new(loads[_i].mode);
    unsigned seg = loads[_i].modrm == 0xd8 ? SEG_DS : SEG_SS;

    lab->cpu->r[RAX] = loads[_i].selector;
    ck_assert_int_eq(lab_exec(lab, 0x8e, loads[_i].modrm), loads[_i].vector);
    if (loads[_i].vector == LAB_NO_FAULT)
        ck_assert_uint_eq(lab->cpu->seg[seg].selector, loads[_i].selector);
    else
        ck_assert_uint_eq(lab->cpu->raised.error_code, loads[_i].error);
    lab_free(lab);
}
END_TEST

START_TEST(load_sets_the_accessed_bit_in_memory)
{
    struct insn_lab *lab = sys_new(SYS_32);

    sys_put(lab, STACK_USER, sys_descriptor(0x1000, 0xfffff, 0xc0f2));
    lab->cpu->r[RAX] = STACK_USER & ~3;
    sys_run(lab, 0x8e, 0xd8);
    ck_assert_uint_eq(bus_read(lab->bus, SYS_GDT + (STACK_USER & ~3) + 5, 1), 0xf3);
    ck_assert_uint_eq(lab->cpu->seg[SEG_DS].base, 0x1000);
    ck_assert_uint_eq(lab->cpu->seg[SEG_DS].limit, 0xffffffff);
    lab_free(lab);
}
END_TEST

/* accesses through DS: mov al, [EBX], or mov [EBX], al */
/* clang-format off */
static const struct {
    uint32_t ar, limit, offset;
    bool write, allowed;
} accesses[] = {
    {0x4093, 0xfff, 0xfff, false, true},
    {0x4093, 0xfff, 0x1000, false, false},
    {0x4091, 0xfff, 0, false, true},      /* read-only */
    {0x4091, 0xfff, 0, true, false},
    {0x4097, 0xfff, 0xfff, false, false}, /* expand-down: the limit and what is below are outside */
    {0x4097, 0xfff, 0x1000, true, true},
    {0x4097, 0xfff, 0x20000, true, true},
    {0x0097, 0xfff, 0x10000, true, false}, /* with B = 0 up to FFFFH only */
    {0x409b, 0xfff, 0, false, true},       /* readable code */
    {0x409b, 0xfff, 0, true, false},
    {0x4099, 0xfff, 0, false, false},      /* execute-only */
    {AR_UNUSABLE, 0, 0, false, false},     /* null */
};
/* clang-format on */

START_TEST(access_through_a_segment_is_checked_for_limit_and_rights)
{
    struct insn_lab *lab = sys_new(SYS_32);

    lab->cpu->seg[SEG_DS] = (struct seg){ .limit = accesses[_i].limit, .ar = accesses[_i].ar };
    seg_settle(&lab->cpu->seg[SEG_DS]);
    lab->cpu->r[RBX] = accesses[_i].offset;
    if (accesses[_i].write)
        sys_run(lab, 0x88, 0x03);
    else
        sys_run(lab, 0x8a, 0x03);
    ck_assert_int_eq(sys_handler(lab), accesses[_i].allowed ? -1 : 13);
    lab_free(lab);
}
END_TEST

START_TEST(stack_access_beyond_the_limit_raises_ss_on_another_stack)
{
    struct insn_lab *lab = sys_new(SYS_32_USER);

    lab->cpu->seg[SEG_SS].limit = SYS_STACK3 - 5;
    sys_run(lab, 0x50); /* PUSH EAX */
    ck_assert_int_eq(sys_handler(lab), 12);
    ck_assert_uint_eq(sys_frame(lab, 0), 0);
    ck_assert_uint_eq(sys_frame(lab, 4), SYS_STACK3); /* ESP is as it was */
    lab_free(lab);
}
END_TEST

START_TEST(push_of_a_segment_register_writes_16_bits_of_a_32_bit_slot)
{
    struct insn_lab *lab = sys_new(SYS_32);

    bus_write(lab->bus, SYS_STACK0 - 0x1004, 0xaaaaaaaa, 4);
    sys_run(lab, 0x1e); /* PUSH DS */
    ck_assert_uint_eq(lab->cpu->r[RSP], SYS_STACK0 - 0x1004);
    ck_assert_uint_eq(bus_read(lab->bus, SYS_STACK0 - 0x1004, 4), 0xaaaa0000u | DATA32);
    lab_free(lab);
}
END_TEST

START_TEST(real_mode_load_keeps_the_limit)
{
    struct insn_lab *lab = lab_new(LAB_REAL);

    lab->cpu->seg[SEG_DS].limit = 0xffffffff; /* "unreal" */
    lab->cpu->r[RAX] = 0x1234;
    sys_run(lab, 0x8e, 0xd8);
    ck_assert_uint_eq(lab->cpu->seg[SEG_DS].base, 0x12340);
    ck_assert_uint_eq(lab->cpu->seg[SEG_DS].limit, 0xffffffff);
    lab_free(lab);
}
END_TEST

START_TEST(lss_loads_both_and_holds_nothing_back)
{
    struct insn_lab *lab = sys_new(SYS_32);

    bus_write(lab->bus, 0x40000, 0x2f000, 4);
    bus_write(lab->bus, 0x40004, DATA32, 2);
    sys_run(lab, 0x0f, 0xb2, 0x25, 0x00, 0x00, 0x04, 0x00); /* LSS ESP, [40000H] */
    ck_assert_uint_eq(lab->cpu->r[RSP], 0x2f000);
    ck_assert_uint_eq(lab->cpu->blocking, 0);
    lab_free(lab);
}
END_TEST

/* ---- LAR, LSL, VERR, VERW ---- */

START_TEST(lar_and_lsl_show_rights_and_limit_of_a_visible_descriptor)
{
    struct insn_lab *lab = sys_new(SYS_32);

    lab->cpu->r[RBX] = DATA32;
    sys_run(lab, 0x0f, 0x02, 0xc3, 0x0f, 0x03, 0xcb); /* LAR EAX, EBX; LSL ECX, EBX */
    ck_assert_uint_eq(lab->cpu->r[RAX], 0x00c09300);
    ck_assert_uint_eq(lab->cpu->r[RCX], 0xffffffff);
    ck_assert(flags_zf(&lab->cpu->flags));
    lab_free(lab);

    lab = sys_new(SYS_32_USER); /* DPL 0 is not visible at CPL 3 */
    lab->cpu->r[RBX] = DATA32;
    lab->cpu->r[RAX] = 0x55;
    sys_run(lab, 0x0f, 0x02, 0xc3);
    ck_assert_uint_eq(lab->cpu->r[RAX], 0x55);
    ck_assert_uint_eq(sys_frame(lab, 3) & RFLAGS_ZF, 0);
    lab_free(lab);
}
END_TEST

START_TEST(verr_and_verw_ask_for_reading_and_writing)
{
    static const struct {
        uint16_t selector;
        bool readable, writable;
    } rows[] = { { DATA32, true, true },  { READ_ONLY, true, false },
                 { CODE32, true, false }, { EXECUTE_ONLY, false, false },
                 { TSS_A, false, false }, { 0, false, false } };

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct insn_lab *lab = sys_new(SYS_32);

        lab->cpu->r[RBX] = rows[i].selector;
        sys_run(lab, 0x0f, 0x00, 0xe3); /* VERR BX */
        ck_assert_int_eq(flags_zf(&lab->cpu->flags), rows[i].readable);
        lab->cpu->activity = ACTIVE;
        sys_run(lab, 0x0f, 0x00, 0xeb); /* VERW BX */
        ck_assert_int_eq(flags_zf(&lab->cpu->flags), rows[i].writable);
        lab_free(lab);
    }
}
END_TEST

START_TEST(arpl_raises_the_rpl)
{
    struct insn_lab *lab = sys_new(SYS_32);

    lab->cpu->r[RAX] = 0x10;
    lab->cpu->r[RBX] = 0x23;
    sys_run(lab, 0x63, 0xd8); /* ARPL AX, BX */
    ck_assert_uint_eq(lab->cpu->r[RAX], 0x13);
    ck_assert(flags_zf(&lab->cpu->flags));
    lab_free(lab);
}
END_TEST

START_TEST(ltr_marks_the_tss_busy_and_refuses_a_busy_one)
{
    struct insn_lab *lab = sys_new(SYS_32);

    lab->cpu->r[RAX] = TSS_B;
    sys_run(lab, 0x0f, 0x00, 0xd8); /* LTR AX */
    ck_assert_uint_eq(bus_read(lab->bus, SYS_GDT + TSS_B + 5, 1), 0x8b);
    ck_assert_uint_eq(lab->cpu->seg[SEG_TR].base, SYS_TSS2);
    lab->cpu->activity = ACTIVE;
    sys_run(lab, 0x0f, 0x00, 0xd8);
    ck_assert_int_eq(sys_handler(lab), 13);
    ck_assert_uint_eq(sys_frame(lab, 0), TSS_B);
    lab_free(lab);
}
END_TEST

START_TEST(umip_refuses_sgdt_at_cpl_3)
{
    struct insn_lab *lab = sys_new(SYS_64_USER);

    lab->cpu->cr4 |= CR4_UMIP;
    lab->cpu->r[RBX] = 0x40000;
    sys_run(lab, 0x0f, 0x01, 0x03);
    ck_assert_int_eq(sys_handler(lab), 13);
    lab_free(lab);

    lab = sys_new(SYS_64);
    lab->cpu->cr4 |= CR4_UMIP;
    lab->cpu->r[RBX] = 0x40000;
    sys_run(lab, 0x0f, 0x01, 0x03);
    ck_assert_uint_eq(bus_read(lab->bus, 0x40000, 2), SYS_GDT_LIMIT);
    ck_assert_uint_eq(lab_read(lab, 0x40002, 8), SYS_GDT);
    lab_free(lab);
}
END_TEST

Suite *suite_cpu_segment(void)
{
    Suite *s = suite_create("cpu/segment");
    TCase *t = tcase_create("segments");

    tcase_add_loop_test(t, load_of_a_segment_register_checks_the_descriptor, 0,
                        sizeof loads / sizeof loads[0]);
    tcase_add_test(t, load_sets_the_accessed_bit_in_memory);
    tcase_add_loop_test(t, access_through_a_segment_is_checked_for_limit_and_rights, 0,
                        sizeof accesses / sizeof accesses[0]);
    tcase_add_test(t, stack_access_beyond_the_limit_raises_ss_on_another_stack);
    tcase_add_test(t, push_of_a_segment_register_writes_16_bits_of_a_32_bit_slot);
    tcase_add_test(t, real_mode_load_keeps_the_limit);
    tcase_add_test(t, lss_loads_both_and_holds_nothing_back);
    tcase_add_test(t, lar_and_lsl_show_rights_and_limit_of_a_visible_descriptor);
    tcase_add_test(t, verr_and_verw_ask_for_reading_and_writing);
    tcase_add_test(t, arpl_raises_the_rpl);
    tcase_add_test(t, ltr_marks_the_tss_busy_and_refuses_a_busy_one);
    tcase_add_test(t, umip_refuses_sgdt_at_cpl_3);
    suite_add_tcase(s, t);
    return s;
}
