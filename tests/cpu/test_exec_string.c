/* String instructions: wrap of the address size, overlap, faults in the middle, chunks, costs.
 * [SDM 2B "MOVS/MOVSB/...", "REP/REPE/..."; SDM 1 "String Operations"] */
#include "tests/cpu/insn_lab.h"

enum { FROM = 0x100000, TO = 0x180000, DF_FLAG = 0x400 };

static struct insn_lab *lab;
static struct cpu *cpu;

static void start(enum lab_mode mode)
{
    lab = lab_new(mode);
    cpu = lab->cpu;
}
static void teardown(void)
{
    lab_free(lab);
}

static void fill(uint64_t pa, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        lab_write(lab, pa + i, (i * 7 + i / 251) & 0xff, 1);
}

/* ---- address sizes ---- */

START_TEST(si_and_di_wrap_at_64_KiB)
{
    start(LAB_REAL);
    lab_write(lab, 0xffff, 0x11, 1);
    lab_write(lab, 0x0000, 0x22, 1);
    cpu->r[RSI] = 0xaaaaffff;
    cpu->r[RDI] = 0xbbbb1000;
    cpu->r[RCX] = 0xcccc0002;
    lab_exec(lab, 0xf3, 0xa4); /* rep movsb */
    ck_assert_uint_eq(lab_read(lab, 0x1000, 2), 0x2211);
    ck_assert_uint_eq(cpu->r[RSI], 0xaaaa0001);
    ck_assert_uint_eq(cpu->r[RDI], 0xbbbb1002);
    ck_assert_uint_eq(cpu->r[RCX], 0xcccc0000);
}
END_TEST

START_TEST(a_word_across_the_limit_faults_after_those_before_it)
{
    start(LAB_REAL);
    cpu->r[RDI] = 0xfffb;
    cpu->r[RCX] = 5;
    cpu->r[RAX] = 0x5a5a;
    ck_assert_int_eq(lab_exec(lab, 0xf3, 0xab), 13); /* rep stosw */
    ck_assert_uint_eq(cpu->r[RDI], 0xffff);
    ck_assert_uint_eq(cpu->r[RCX], 3);
    ck_assert_uint_eq(cpu->rip, LAB_CODE);
}
END_TEST

START_TEST(thirty_two_bit_addresses_in_64_bit_mode_clear_upper_halves)
{
    start(LAB_LONG);
    cpu->r[RSI] = 0xffffffff00000000 | FROM;
    cpu->r[RDI] = 0xffffffff00000000 | TO;
    cpu->r[RCX] = 0xffffffff00000003;
    fill(FROM, 3);
    lab_exec(lab, 0x67, 0xf3, 0xa4);
    ck_assert_uint_eq(lab_read(lab, TO, 4), lab_read(lab, FROM, 3));
    ck_assert_uint_eq(cpu->r[RSI], FROM + 3);
    ck_assert_uint_eq(cpu->r[RDI], TO + 3);
    ck_assert_uint_eq(cpu->r[RCX], 0);
}
END_TEST

START_TEST(the_source_may_be_overridden_the_destination_is_ES)
{
    start(LAB_PROTECTED32);
    cpu->seg[SEG_FS].base = 0x10000;
    cpu->seg[SEG_ES].base = 0x20000;
    lab_write(lab, 0x10004, 0x1234, 4);
    cpu->r[RSI] = 4;
    cpu->r[RDI] = 8;
    lab_exec(lab, 0x64, 0xa5); /* movsd es:[edi], fs:[esi] */
    ck_assert_uint_eq(lab_read(lab, 0x20008, 4), 0x1234);
}
END_TEST

START_TEST(a_destination_that_is_not_writable_is_a_protection_fault)
{
    start(LAB_PROTECTED32);
    cpu->seg[SEG_ES].ar = 0xc091;
    seg_settle(&cpu->seg[SEG_ES]);
    cpu->r[RCX] = 4;
    ck_assert_int_eq(lab_exec(lab, 0xf3, 0xaa), 13);
    ck_assert_uint_eq(cpu->r[RCX], 4);
}
END_TEST

/* ---- the effect is that of single elements ---- */

static uint8_t model[0x8000];

static void model_movs(uint64_t from, uint64_t to, unsigned count, unsigned size, bool down)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t at = down ? -(uint64_t)i * size : (uint64_t)i * size;
        uint8_t v[8];

        memcpy(v, model + from + at, size);
        memcpy(model + to + at, v, size);
    }
}

/* every overlap distance about a page boundary, forward and backward, in all sizes */
START_TEST(movs_with_overlap_equals_one_element_after_the_other)
{
    static const uint8_t movs[4][3] = {
        { 0xf3, 0xa4 }, { 0x66, 0xf3, 0xa5 }, { 0xf3, 0xa5 }, { 0xf3, 0x48, 0xa5 }
    };
    static const uint8_t length[4] = { 2, 3, 2, 3 };

    start(LAB_LONG);
    for (int distance = -40; distance <= 40; distance++) {
        for (unsigned s = 0; s < 4; s++) {
            for (unsigned down = 0; down < 2; down++) {
                uint64_t from = 0x2ff0, to = from + (uint64_t)(int64_t)distance;
                unsigned count = 700 >> s;

                fill(FROM, sizeof model);
                bus_read_bytes(lab->bus, FROM, model, sizeof model);
                cpu->rflags = down ? DF_FLAG | 2 : 2;
                cpu->rip = LAB_CODE;
                cpu->r[RSI] = FROM + from;
                cpu->r[RDI] = FROM + to;
                cpu->r[RCX] = count;
                ck_assert_int_eq(lab_run(lab, movs[s], length[s]), LAB_NO_FAULT);
                model_movs(from, to, count, 1u << s, down);
                ck_assert_int_eq(memcmp(bus_native(lab->bus, FROM), model, sizeof model), 0);
                ck_assert_uint_eq(cpu->r[RSI] - FROM - from,
                                  down ? -((uint64_t)count << s) : (uint64_t)count << s);
                ck_assert_uint_eq(cpu->r[RCX], 0);
            }
        }
    }
}
END_TEST

START_TEST(stos_fills_across_pages_in_every_size)
{
    start(LAB_LONG);
    for (unsigned misalign = 0; misalign < 8; misalign++) {
        cpu->rip = LAB_CODE;
        cpu->r[RAX] = 0x8877665544332211;
        cpu->r[RDI] = TO + 0xff0 + misalign;
        cpu->r[RCX] = 1500;
        lab_exec(lab, 0xf3, 0x48, 0xab);
        for (unsigned i = 0; i < 1500; i++)
            ck_assert_uint_eq(lab_read(lab, TO + 0xff0 + misalign + 8 * i, 8), 0x8877665544332211);
        ck_assert_uint_eq(cpu->r[RDI], TO + 0xff0 + misalign + 12000);
    }
}
END_TEST

START_TEST(repne_scasb_stops_behind_the_match_with_ZF)
{
    start(LAB_LONG);
    lab_write(lab, TO + 0x1005, 0x5a, 1);
    cpu->r[RAX] = 0x5a;
    cpu->r[RDI] = TO + 0xf00;
    cpu->r[RCX] = UINT64_MAX;
    lab_exec(lab, 0xf2, 0xae);
    ck_assert_uint_eq(cpu->r[RDI], TO + 0x1006);
    ck_assert_uint_eq(~cpu->r[RCX], 0x106);
    ck_assert_uint_eq(lab_flags(lab) & 0x40, 0x40);
}
END_TEST

START_TEST(repe_cmpsd_sets_the_flags_of_the_first_difference)
{
    start(LAB_LONG);
    lab_write(lab, FROM + 0x1ffc, 1, 4); /* 1 - 0 */
    cpu->r[RSI] = FROM;
    cpu->r[RDI] = TO;
    cpu->r[RCX] = 0x10000;
    lab_exec(lab, 0xf3, 0xa7);
    ck_assert_uint_eq(cpu->r[RSI], FROM + 0x2000);
    ck_assert_uint_eq(cpu->r[RCX], 0x10000 - 0x800);
    ck_assert_uint_eq(lab_flags(lab), 0);
}
END_TEST

START_TEST(a_count_of_0_keeps_the_flags)
{
    start(LAB_LONG);
    lab_set_flags(lab, 0x8d5);
    lab_exec(lab, 0xf3, 0xa6);
    ck_assert_uint_eq(lab_flags(lab), 0x8d5);
    ck_assert_uint_eq(cpu->rip, LAB_CODE + 2);
}
END_TEST

/* ---- faults ---- */

static void unmap_from(uint64_t linear)
{
    bus_write(lab->bus, LAB_TABLES + 0x2000 + 8 * (linear >> 21), 0, 8);
    mmu_flush_all(&cpu->mmu);
}

START_TEST(a_page_fault_in_the_middle_counts_the_elements_before_it)
{
    start(LAB_LONG);
    unmap_from(0x200000);
    fill(FROM, 0x100);
    cpu->r[RSI] = FROM;
    cpu->r[RDI] = 0x200000 - 0x84;
    cpu->r[RCX] = 0x100 / 8;
    ck_assert_int_eq(lab_exec(lab, 0xf3, 0x48, 0xa5), 14);
    ck_assert_uint_eq(cpu->r[RCX], 16);
    ck_assert_uint_eq(cpu->r[RSI], FROM + 0x80);
    ck_assert_uint_eq(cpu->r[RDI], 0x200000 - 4);
    ck_assert_uint_eq(cpu->rip, LAB_CODE);
    ck_assert_uint_eq(lab_read(lab, 0x200000 - 0x84, 8), lab_read(lab, FROM, 8));
    ck_assert_uint_eq(lab_read(lab, 0x200000 - 4, 4), 0); /* nothing of the one that faults */
}
END_TEST

/* [SDM 2B "REP/REPE/..."]: "the EFLAGS value is restored to the state prior to the execution" */
START_TEST(a_page_fault_in_cmps_leaves_the_flags)
{
    start(LAB_LONG);
    unmap_from(0x200000);
    lab_set_flags(lab, 0x8d5);
    cpu->r[RSI] = FROM;
    cpu->r[RDI] = 0x200000 - 4;
    cpu->r[RCX] = 100;
    ck_assert_int_eq(lab_exec(lab, 0xf3, 0xa6), 14);
    ck_assert_uint_eq(cpu->r[RCX], 96);
    ck_assert_uint_eq(lab_flags(lab), 0x8d5);
}
END_TEST

/* ---- chunks and costs ---- */

START_TEST(a_long_repetition_lets_events_in)
{
    start(LAB_LONG);
    cpu->r[RDI] = TO;
    cpu->r[RCX] = 100000;
    ck_assert_int_eq(lab_step(lab, (const uint8_t[]){ 0xf3, 0xaa }, 2), LAB_NO_FAULT);
    ck_assert_uint_eq(cpu->rip, LAB_CODE);
    ck_assert_uint_gt(cpu->r[RCX], 0);
    ck_assert_uint_lt(cpu->r[RCX], 100000);
    ck_assert_uint_eq(cpu->r[RDI] - TO, 100000 - cpu->r[RCX]);
}
END_TEST

START_TEST(single_stepping_does_one_element_at_a_time)
{
    start(LAB_LONG);
    cpu->rflags |= RFLAGS_TF;
    cpu_update_key(cpu);
    cpu->r[RDI] = TO;
    cpu->r[RCX] = 2;
    lab_step(lab, (const uint8_t[]){ 0xf3, 0xaa }, 2);
    ck_assert_uint_eq(cpu->r[RCX], 1);
    ck_assert_uint_eq(cpu->rip, LAB_CODE);
    lab_step(lab, (const uint8_t[]){ 0xf3, 0xaa }, 2);
    ck_assert_uint_eq(cpu->rip, LAB_CODE + 2);
}
END_TEST

/* what cycles a repetition costs, page walks aside */
static uint64_t cost_of(uint64_t rdi, uint64_t rcx, uint64_t rflags, const uint8_t *bytes)
{
    uint64_t before;

    cpu->r[RDI] = rdi;
    cpu->r[RSI] = FROM;
    cpu->r[RCX] = rcx;
    cpu->rip = LAB_CODE;
    cpu->rflags = rflags;
    cpu_update_key(cpu);
    before = cpu->mmu.cost;
    ck_assert_int_eq(lab_run(lab, bytes, 2), LAB_NO_FAULT);
    return cpu->mmu.cost - before;
}

START_TEST(the_cost_does_not_depend_on_the_way)
{
    static const uint8_t stosb[] = { 0xf3, 0xaa }, movsb[] = { 0xf3, 0xa4 };

    start(LAB_PROTECTED32);
    for (unsigned n = 0; n < 2; n++) {
        const uint8_t *bytes = n ? movsb : stosb;
        uint64_t fast = cost_of(TO + 5, 3000, 2, bytes);

        fast = cost_of(TO + 5, 3000, 2, bytes); /* now all pages are in the TLB */
        ck_assert_uint_eq(fast, (5 + 3000) / 32);
        ck_assert_uint_eq(cost_of(TO + 5, 3000, 2 | RFLAGS_TF, bytes), fast);
        bus_mark_code(lab->bus, TO); /* stores go the slow way from now on */
        ck_assert_uint_eq(cost_of(TO + 5, 3000, 2, bytes), fast);
        bus_unmark_code(lab->bus, TO);
        ck_assert_uint_eq(cost_of(TO + 5 + 2999, 3000, 2 | RFLAGS_DF, bytes) / 2 * 2, fast / 2 * 2);
    }
}
END_TEST

Suite *suite_cpu_exec_string(void)
{
    Suite *s = suite_create("cpu/exec_string");
    TCase *c = tcase_create("strings");

    tcase_add_checked_fixture(c, NULL, teardown);
    tcase_add_test(c, si_and_di_wrap_at_64_KiB);
    tcase_add_test(c, a_word_across_the_limit_faults_after_those_before_it);
    tcase_add_test(c, thirty_two_bit_addresses_in_64_bit_mode_clear_upper_halves);
    tcase_add_test(c, the_source_may_be_overridden_the_destination_is_ES);
    tcase_add_test(c, a_destination_that_is_not_writable_is_a_protection_fault);
    tcase_add_test(c, movs_with_overlap_equals_one_element_after_the_other);
    tcase_add_test(c, stos_fills_across_pages_in_every_size);
    tcase_add_test(c, repne_scasb_stops_behind_the_match_with_ZF);
    tcase_add_test(c, repe_cmpsd_sets_the_flags_of_the_first_difference);
    tcase_add_test(c, a_count_of_0_keeps_the_flags);
    tcase_add_test(c, a_page_fault_in_the_middle_counts_the_elements_before_it);
    tcase_add_test(c, a_page_fault_in_cmps_leaves_the_flags);
    tcase_add_test(c, a_long_repetition_lets_events_in);
    tcase_add_test(c, single_stepping_does_one_element_at_a_time);
    tcase_add_test(c, the_cost_does_not_depend_on_the_way);
    suite_add_tcase(s, c);
    return s;
}
