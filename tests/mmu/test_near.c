/* Runs of pages, and that nothing remembers an entry which has changed. */
#include "mmu/tlb.h"
#include "tests/mmu/mmu_lab.h"

#define AREA UINT64_C(0x00007f0000200000)
enum { PAGES = 8, FRAMES = 0x400000 };
#define PAGE(n) (AREA + (n)*PAGE_SIZE)

static struct tlb_view *view(struct lab *lab)
{
    return (struct tlb_view *)lab->mmu.tlb;
}

static struct tlb_run run(struct lab *lab, unsigned page, bool write)
{
    return view(lab)->run[tlb_index(PAGE(page))][write];
}

/* PAGES pages whose frames lie in a row, written to, so that all have both tags */
static struct lab *lab_area(void)
{
    struct lab *lab = lab_4_level();

    for (unsigned n = 0; n < PAGES; n++) {
        lab_map(lab, PAGE(n), 12, (FRAMES + n * PAGE_SIZE) | P | RW);
        mmu_store(&lab->mmu, PAGE(n), n, 8);
    }
    return lab;
}

static bool grow(struct lab *lab, unsigned page, bool write)
{
    return tlb_near_grow(view(lab), PAGE(page) + 8, write);
}

/* as native code fills a slot */
static void fill_slot(struct lab *lab, unsigned page)
{
    struct tlb_view *v = view(lab);

    v->detail[tlb_index(PAGE(page))].linear |= DETAIL_NEAR;
    v->near.live = v->near.limit[0][0][5] = v->near.limit[1][1][7] = 1;
}

static void expect_slots(struct lab *lab, bool live)
{
    struct tlb_near *near = &view(lab)->near;

    ck_assert_int_eq(near->live != 0, live);
    ck_assert_int_eq(near->limit[0][0][5] != 0, live);
    ck_assert_int_eq(near->limit[1][1][7] != 0, live);
}

START_TEST(a_run_has_all_pages_in_a_row_and_each_knows_its_place)
{
    struct lab *lab = lab_area();

    ck_assert(grow(lab, 3, false));
    for (unsigned n = 0; n < PAGES; n++) {
        ck_assert_uint_eq(run(lab, n, false).back, n);
        ck_assert_uint_eq(run(lab, n, false).more, PAGES - 1);
        ck_assert_uint_eq(run(lab, n, true).more, 0);
    }
    ck_assert(!grow(lab, 5, false)); /* it has been known */
    ck_assert(grow(lab, 0, true));
    lab_free(lab);
}
END_TEST

START_TEST(a_run_ends_where_frames_do_not_follow_or_rights_are_missing)
{
    struct lab *lab = lab_area();

    lab_map(lab, PAGE(2), 12, (FRAMES + 0x100000) | P | RW);
    mmu_invlpg(&lab->mmu, PAGE(2));
    mmu_store(&lab->mmu, PAGE(2), 0, 8);
    lab_map(lab, PAGE(6), 12, (FRAMES + 6 * PAGE_SIZE) | P);
    mmu_invlpg(&lab->mmu, PAGE(6));
    mmu_load(&lab->mmu, PAGE(6), 8);
    ck_assert(grow(lab, 4, false));
    ck_assert_uint_eq(run(lab, 4, false).back, 1);
    ck_assert_uint_eq(run(lab, 4, false).more, 4);
    ck_assert(grow(lab, 4, true));
    ck_assert_uint_eq(run(lab, 4, true).more, 2);
    ck_assert(!grow(lab, 2, false));
    lab_free(lab);
}
END_TEST

START_TEST(a_page_that_goes_splits_its_run_and_empties_the_slots)
{
    struct lab *lab = lab_area();

    grow(lab, 3, false);
    grow(lab, 3, true);
    fill_slot(lab, 0);
    mmu_invlpg(&lab->mmu, PAGE(5));
    expect_slots(lab, false);
    for (unsigned n = 0; n < PAGES; n++) {
        ck_assert_uint_eq(run(lab, n, false).more, 0);
        ck_assert_uint_eq(run(lab, n, true).more, 0);
    }
    ck_assert(grow(lab, 4, false));
    ck_assert_uint_eq(run(lab, 4, false).more, 4);
    lab_free(lab);
}
END_TEST

START_TEST(slots_are_emptied_by_each_way_to_lose_an_entry)
{
    struct lab *lab = lab_area();
    uint64_t twin = PAGE(1) + TLB_ENTRIES * PAGE_SIZE;

    fill_slot(lab, 1);
    mmu_protect_page(&lab->mmu, FRAMES + PAGE_SIZE); /* code is there now */
    expect_slots(lab, false);
    fill_slot(lab, 1);
    lab_map(lab, twin, 12, FRAMES | P | RW);
    mmu_load(&lab->mmu, twin, 8); /* takes its place */
    expect_slots(lab, false);
    mmu_load(&lab->mmu, PAGE(1), 8);
    fill_slot(lab, 1);
    mmu_flush_current(&lab->mmu, true);
    expect_slots(lab, false);
    lab_free(lab);
}
END_TEST

START_TEST(slots_stay_when_other_entries_go)
{
    struct lab *lab = lab_area();

    fill_slot(lab, 1);
    mmu_invlpg(&lab->mmu, PAGE(2));
    expect_slots(lab, true);
    lab_free(lab);
}
END_TEST

Suite *suite_mmu_near(void)
{
    Suite *s = suite_create("mmu/near");
    TCase *t = tcase_create("near");

    tcase_add_test(t, a_run_has_all_pages_in_a_row_and_each_knows_its_place);
    tcase_add_test(t, a_run_ends_where_frames_do_not_follow_or_rights_are_missing);
    tcase_add_test(t, a_page_that_goes_splits_its_run_and_empties_the_slots);
    tcase_add_test(t, slots_are_emptied_by_each_way_to_lose_an_entry);
    tcase_add_test(t, slots_stay_when_other_entries_go);
    suite_add_tcase(s, t);
    return s;
}
