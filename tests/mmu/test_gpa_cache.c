/* Stage 2: what it is asked, what its refusals do, and the cache of guest-physical mappings.
 * [SDM 3C "Caching Translation Information"] */
#include "tests/mmu/mmu_lab.h"

/* guest-physical = physical + shift; what it was asked is counted */
struct shifted {
    struct stage2 s2;
    uint64_t shift;
    unsigned walks, others;
    unsigned last_access;
    uint64_t refuse_page;   /* this gpa page is refused altogether, and */
    unsigned refuse_access; /* ... these accesses to any page */
    bool dirty;             /* the EPT dirty flag: rights include writing */
};

static bool shifted_translate(void *owner, const struct stage2_query *q, struct stage2_out *out)
{
    struct shifted *s = owner;

    if (q->access & S2_WALK)
        s->walks++;
    else
        s->others++;
    s->last_access = q->access;
    out->qualification = 0x42;
    out->cycles = 100;
    if ((q->gpa & PAGE_MASK) == s->refuse_page || q->access & s->refuse_access)
        return false;
    if (q->access & S2_WRITE && !(q->access & S2_WALK))
        s->dirty = true;
    out->pa = q->gpa + s->shift;
    out->page_size = PAGE_SIZE;
    out->read = out->execute = true;
    out->write = s->dirty;
    return true;
}

static struct shifted *shifted_on(struct shifted *s, struct lab *lab, uint64_t tag, uint64_t shift)
{
    *s = (struct shifted){
        .s2 = { .owner = s, .tag = tag, .mode = 0x5e, .translate = shifted_translate },
        .shift = shift,
        .refuse_page = MMU_NO_PAGE,
        .dirty = true,
    };
    lab->mmu.paging.stage2 = &s->s2;
    mmu_switch(&lab->mmu);
    return s;
}

START_TEST(stage2_sees_each_table_and_the_page)
{
    struct lab *lab = lab_4_level();
    struct shifted s;

    lab_map(lab, LINEAR, 12, OLD_PAGE | P | RW | US);
    bus_write(lab->bus, OLD_PAGE, OLD, 8);
    shifted_on(&s, lab, 0x77000, 0);
    EXPECT_CACHED(lab, LINEAR);
    ck_assert_uint_eq(s.walks, 4 + 4); /* to read, and to set the accessed flag */
    ck_assert_uint_eq(s.others, 1);
    ck_assert_uint_eq(s.last_access, S2_READ | S2_HAS_LINEAR | S2_USER_PAGE);
    ck_assert_uint_eq(lab->mmu.cost, 4 * 4 + 9 * 100);
    lab_free(lab);
}
END_TEST

START_TEST(stage2_refusals_come_with_gpa_and_qualification)
{
    struct lab *lab = lab_4_level();
    struct shifted s;

    lab_map(lab, LINEAR, 12, OLD_PAGE | P | RW);
    shifted_on(&s, lab, 0x77000, 0);
    s.refuse_page = OLD_PAGE;
    LAB_FAULTS(lab, mmu_store(&lab->mmu, LINEAR + 8, 1, 4));
    ck_assert_int_eq(lab->fault.kind, FAULT_STAGE2);
    ck_assert_int_eq(lab->fault.access, MMU_WRITE);
    ck_assert_uint_eq(lab->fault.gpa, OLD_PAGE + 8);
    ck_assert_uint_eq(lab->fault.linear, LINEAR + 8);
    ck_assert_uint_eq(lab->fault.stage2.qualification, 0x42);
    s.refuse_page = ROOT;
    mmu_flush_ept(&lab->mmu, 0x77000);
    LAB_FAULTS(lab, mmu_load(&lab->mmu, LINEAR, 4));
    ck_assert_uint_eq(lab->fault.gpa, ROOT + 8 * (LINEAR >> 39 & 511));
    ck_assert_uint_eq(s.last_access, S2_READ | S2_WALK | S2_HAS_LINEAR);
    lab_free(lab);
}
END_TEST

START_TEST(setting_a_flag_in_a_read_only_table_is_refused)
{
    struct lab *lab = lab_4_level();
    struct shifted s;

    lab_map(lab, LINEAR, 12, OLD_PAGE | P | RW);
    shifted_on(&s, lab, 0x77000, 0);
    s.refuse_access = S2_WALK_AD;
    LAB_FAULTS(lab, mmu_load(&lab->mmu, LINEAR, 4));
    ck_assert_int_eq(lab->fault.kind, FAULT_STAGE2);
    ck_assert_uint_eq(lab->fault.gpa, ROOT + 8 * (LINEAR >> 39 & 511));
    ck_assert_uint_eq(s.last_access, S2_WRITE | S2_WALK | S2_WALK_AD | S2_HAS_LINEAR);
    ck_assert_uint_eq(s.others, 0);
    lab_free(lab);
}
END_TEST

START_TEST(first_store_comes_back_to_stage2_while_its_dirty_flag_is_clear)
{
    struct lab *lab = lab_4_level();
    struct shifted s;

    lab_map(lab, LINEAR, 12, OLD_PAGE | P | RW | A | D);
    shifted_on(&s, lab, 0x77000, 0);
    s.dirty = false;
    mmu_load(&lab->mmu, LINEAR, 4);
    mmu_store(&lab->mmu, LINEAR, 1, 4);
    ck_assert_uint_eq(s.others, 2);
    ck_assert_uint_eq(s.last_access, S2_WRITE | S2_HAS_LINEAR);
    mmu_store(&lab->mmu, LINEAR, 1, 4);
    ck_assert_uint_eq(s.others, 2);
    lab_free(lab);
}
END_TEST

START_TEST(guest_physical_mappings_survive_invlpg_and_not_invept)
{
    struct lab *lab = lab_4_level();
    struct shifted s;

    lab_map(lab, LINEAR, 12, OLD_PAGE | P | RW);
    shifted_on(&s, lab, 0x77000, 0);
    mmu_load(&lab->mmu, LINEAR, 4);
    s.walks = s.others = 0;
    mmu_invlpg(&lab->mmu, LINEAR);
    mmu_load(&lab->mmu, LINEAR, 4);
    ck_assert_uint_eq(s.walks + s.others, 0);
    mmu_flush_ept(&lab->mmu, 0x78000);
    mmu_load(&lab->mmu, LINEAR, 4);
    ck_assert_uint_eq(s.walks + s.others, 0);
    mmu_flush_ept(&lab->mmu, 0x77000);
    mmu_load(&lab->mmu, LINEAR, 4);
    ck_assert_uint_eq(s.walks, 4);
    ck_assert_uint_eq(s.others, 1);
    mmu_flush_all_ept(&lab->mmu);
    mmu_load(&lab->mmu, LINEAR, 4);
    ck_assert_uint_eq(s.others, 2);
    lab_free(lab);
}
END_TEST

START_TEST(refusal_of_a_cached_mapping_is_asked_for_again)
{
    struct lab *lab = lab_4_level();
    struct shifted s;

    lab_map(lab, LINEAR, 12, OLD_PAGE | P | RW | A | D);
    shifted_on(&s, lab, 0x77000, 0);
    s.dirty = false;
    mmu_load(&lab->mmu, LINEAR, 4);
    s.refuse_access = S2_WRITE;
    LAB_FAULTS(lab, mmu_store(&lab->mmu, LINEAR, 1, 4));
    s.refuse_access = 0; /* more rights need no INVEPT after the violation */
    mmu_store(&lab->mmu, LINEAR, 1, 4);
    lab_free(lab);
}
END_TEST

START_TEST(each_ept_root_has_its_own_translations)
{
    struct lab *lab = lab_new();
    struct shifted one, two;

    bus_write(lab->bus, 0x101000, OLD, 8);
    bus_write(lab->bus, 0x201000, NEW, 8);
    shifted_on(&one, lab, 0x77000, 0x100000);
    EXPECT_CACHED(lab, 0x1000);
    shifted_on(&two, lab, 0x78000, 0x200000);
    EXPECT_DROPPED(lab, 0x1000);
    lab->mmu.paging.stage2 = &one.s2;
    mmu_switch(&lab->mmu);
    EXPECT_CACHED(lab, 0x1000);
    ck_assert_uint_eq(one.others, 1);
    ck_assert_uint_eq(one.last_access, S2_READ | S2_HAS_LINEAR | S2_USER_PAGE);
    one.shift = 0x200000;
    mmu_flush_vpid(&lab->mmu, 0, true);
    EXPECT_CACHED(lab, 0x1000); /* INVVPID leaves guest-physical mappings */
    mmu_flush_ept(&lab->mmu, 0x77000);
    EXPECT_DROPPED(lab, 0x1000);
    lab_free(lab);
}
END_TEST

START_TEST(peek_asks_stage2_to_change_nothing)
{
    struct lab *lab = lab_4_level();
    struct shifted s;
    uint64_t pa;

    lab_map(lab, LINEAR, 12, OLD_PAGE | P | RW);
    shifted_on(&s, lab, 0x77000, 0);
    ck_assert(mmu_peek(&lab->mmu, LINEAR, &pa));
    ck_assert(s.last_access & S2_PEEK);
    ck_assert_uint_eq(s.walks, 4);
    ck_assert_uint_eq(lab->mmu.cost, 0);
    lab_free(lab);
}
END_TEST

START_TEST(pdptes_are_loaded_through_stage2)
{
    struct lab *lab = lab_new();
    struct shifted s;

    bus_write(lab->bus, 0x103020, 0x20000 | P, 8);
    shifted_on(&s, lab, 0x77000, 0x100000);
    ck_assert(mmu_load_pdptes(&lab->mmu, 0x3020));
    ck_assert_uint_eq(lab->mmu.paging.pdpte[0], 0x20000 | P);
    ck_assert_uint_eq(s.last_access, S2_READ);
    s.refuse_page = 0x4000;
    LAB_FAULTS(lab, mmu_load_pdptes(&lab->mmu, 0x4000));
    ck_assert_int_eq(lab->fault.kind, FAULT_STAGE2);
    lab_free(lab);
}
END_TEST

Suite *suite_mmu_gpa_cache(void)
{
    Suite *s = suite_create("mmu/gpa_cache");
    TCase *t = tcase_create("stage 2");

    tcase_add_test(t, stage2_sees_each_table_and_the_page);
    tcase_add_test(t, stage2_refusals_come_with_gpa_and_qualification);
    tcase_add_test(t, setting_a_flag_in_a_read_only_table_is_refused);
    tcase_add_test(t, first_store_comes_back_to_stage2_while_its_dirty_flag_is_clear);
    tcase_add_test(t, guest_physical_mappings_survive_invlpg_and_not_invept);
    tcase_add_test(t, refusal_of_a_cached_mapping_is_asked_for_again);
    tcase_add_test(t, each_ept_root_has_its_own_translations);
    tcase_add_test(t, peek_asks_stage2_to_change_nothing);
    tcase_add_test(t, pdptes_are_loaded_through_stage2);
    suite_add_tcase(s, t);
    return s;
}
