/* [SDM 3A "Operations that Invalidate TLBs and Paging-Structure Caches"] and [SDM 3C "Operations
 * that Invalidate Cached Mappings"]: what each operation must drop, and what may stay. */
#include "tests/mmu/mmu_lab.h"

/* Cache a page and a global one under VPIDs 0 and 7 and PCIDs 1 and 2, then change all. */
#define GLOBAL_LINEAR (LINEAR + 0x1000)

static struct lab *lab_scopes(void)
{
    struct lab *lab = lab_cached();

    for (unsigned vpid = 0; vpid <= 7; vpid += 7) {
        for (uint16_t pcid = 1; pcid <= 2; pcid++) {
            go(lab, (uint16_t)vpid, pcid);
            cache(lab, LINEAR, 0);
            cache(lab, GLOBAL_LINEAR, G);
        }
    }
    change(lab, LINEAR, 0);
    change(lab, GLOBAL_LINEAR, G);
    return lab;
}

START_TEST(switching_contexts_drops_nothing)
{
    struct lab *lab = lab_scopes();

    go(lab, 0, 1);
    EXPECT_CACHED(lab, LINEAR);
    go(lab, 7, 2);
    EXPECT_CACHED(lab, LINEAR);
    go(lab, 0, 3);
    EXPECT_DROPPED(lab, LINEAR);
    lab_free(lab);
}
END_TEST

START_TEST(mov_to_cr3_drops_the_current_pcid_but_globals)
{
    struct lab *lab = lab_scopes();

    go(lab, 0, 1);
    mmu_flush_current(&lab->mmu, false);
    EXPECT_DROPPED(lab, LINEAR);
    EXPECT_CACHED(lab, GLOBAL_LINEAR);
    go(lab, 0, 2);
    EXPECT_CACHED(lab, LINEAR);
    go(lab, 7, 1);
    EXPECT_CACHED(lab, LINEAR);
    lab_free(lab);
}
END_TEST

START_TEST(flush_with_globals_drops_them_under_every_pcid)
{
    struct lab *lab = lab_scopes();

    go(lab, 0, 1);
    mmu_flush_current(&lab->mmu, true);
    EXPECT_DROPPED(lab, LINEAR);
    EXPECT_DROPPED(lab, GLOBAL_LINEAR);
    go(lab, 0, 2);
    EXPECT_DROPPED(lab, GLOBAL_LINEAR);
    go(lab, 7, 1);
    EXPECT_CACHED(lab, GLOBAL_LINEAR);
    lab_free(lab);
}
END_TEST

START_TEST(all_pcids_of_the_current_vpid)
{
    struct lab *lab = lab_scopes();

    go(lab, 7, 1);
    mmu_flush_current_all_pcids(&lab->mmu, false);
    EXPECT_DROPPED(lab, LINEAR);
    EXPECT_CACHED(lab, GLOBAL_LINEAR);
    go(lab, 7, 2);
    EXPECT_DROPPED(lab, LINEAR);
    mmu_flush_current_all_pcids(&lab->mmu, true);
    EXPECT_DROPPED(lab, GLOBAL_LINEAR);
    go(lab, 0, 1);
    EXPECT_CACHED(lab, LINEAR);
    lab_free(lab);
}
END_TEST

START_TEST(invpcid_single_context_drops_another_pcid)
{
    struct lab *lab = lab_scopes();

    go(lab, 0, 1);
    mmu_flush_pcid(&lab->mmu, 2);
    EXPECT_CACHED(lab, LINEAR);
    go(lab, 0, 2);
    EXPECT_DROPPED(lab, LINEAR);
    EXPECT_CACHED(lab, GLOBAL_LINEAR);
    lab_free(lab);
}
END_TEST

START_TEST(invlpg_drops_the_page_and_globals_of_every_pcid)
{
    struct lab *lab = lab_scopes();

    go(lab, 0, 1);
    mmu_invlpg(&lab->mmu, GLOBAL_LINEAR + 0xfff);
    EXPECT_CACHED(lab, LINEAR);
    EXPECT_DROPPED(lab, GLOBAL_LINEAR);
    go(lab, 0, 2);
    EXPECT_DROPPED(lab, GLOBAL_LINEAR);
    go(lab, 7, 1);
    EXPECT_CACHED(lab, GLOBAL_LINEAR);
    lab_free(lab);
}
END_TEST

START_TEST(invpcid_address_leaves_globals)
{
    struct lab *lab = lab_scopes();

    go(lab, 0, 1);
    mmu_invlpg_pcid(&lab->mmu, LINEAR, 2);
    mmu_invlpg_pcid(&lab->mmu, GLOBAL_LINEAR, 2);
    EXPECT_CACHED(lab, LINEAR);
    go(lab, 0, 2);
    EXPECT_DROPPED(lab, LINEAR);
    EXPECT_CACHED(lab, GLOBAL_LINEAR);
    lab_free(lab);
}
END_TEST

START_TEST(invlpg_reaches_every_view_and_mode)
{
    struct lab *lab = lab_cached();

    go(lab, 0, 1);
    cache(lab, LINEAR, US);
    mmu_set_view(&lab->mmu, VIEW_USER);
    EXPECT_CACHED(lab, LINEAR);
    mmu_set_view(&lab->mmu, VIEW_SUPERVISOR);
    lab->mmu.paging.cr4 |= CR4_SMEP_BIT;
    mmu_switch(&lab->mmu);
    EXPECT_CACHED(lab, LINEAR);
    change(lab, LINEAR, US);
    mmu_invlpg(&lab->mmu, LINEAR);
    EXPECT_DROPPED(lab, LINEAR);
    lab->mmu.paging.cr4 &= ~(uint64_t)CR4_SMEP_BIT;
    mmu_switch(&lab->mmu);
    EXPECT_DROPPED(lab, LINEAR);
    mmu_set_view(&lab->mmu, VIEW_USER);
    EXPECT_DROPPED(lab, LINEAR);
    lab_free(lab);
}
END_TEST

START_TEST(without_pge_the_global_bit_means_nothing)
{
    struct lab *lab = lab_cached();

    lab->mmu.paging.cr4 &= ~(uint64_t)CR4_PGE_BIT;
    go(lab, 0, 1);
    cache(lab, LINEAR, G);
    change(lab, LINEAR, G);
    mmu_flush_current(&lab->mmu, false);
    EXPECT_DROPPED(lab, LINEAR);
    lab_free(lab);
}
END_TEST

/* [SDM 2A "INVLPG"] any address inside a large page drops all of it */
START_TEST(invlpg_anywhere_drops_all_of_a_gib_page) /* _i: where */
{
    static const uint64_t inside[] = { 0, 0x300000, 0x3fffffff };
    const uint64_t linear = 0xffff888000000000;
    struct lab *lab = lab_4_level();

    lab_map(lab, linear, 30, P | RW | PS);
    mmu_load(&lab->mmu, linear + 0x300000, 8);
    mmu_load(&lab->mmu, linear + 0x701000, 8);
    lab_map(lab, linear, 30, 0);
    mmu_invlpg(&lab->mmu, linear - 1);
    mmu_load(&lab->mmu, linear + 0x300000, 8);
    mmu_invlpg(&lab->mmu, linear + inside[_i]);
    EXPECT_PF(lab, mmu_load(&lab->mmu, linear + 0x300000, 8), 0);
    EXPECT_PF(lab, mmu_load(&lab->mmu, linear + 0x701000, 8), 0);
    lab_free(lab);
}
END_TEST

START_TEST(invlpg_anywhere_drops_all_of_a_2_mib_page)
{
    struct lab *lab = lab_4_level();
    uint64_t linear = 0xffffffff81200000;

    lab_map(lab, linear, 21, 0x200000 | P | RW | PS | G);
    mmu_load(&lab->mmu, linear + 0x10000, 8);
    mmu_load(&lab->mmu, linear + 0x1ff000, 8);
    lab_map(lab, linear, 21, 0);
    mmu_invlpg(&lab->mmu, linear - 1);
    mmu_invlpg(&lab->mmu, linear + 0x200000);
    mmu_load(&lab->mmu, linear + 0x10000, 8);
    mmu_invlpg(&lab->mmu, linear + 0xabcde);
    EXPECT_PF(lab, mmu_load(&lab->mmu, linear + 0x10000, 8), 0);
    EXPECT_PF(lab, mmu_load(&lab->mmu, linear + 0x1ff000, 8), 0);
    lab_free(lab);
}
END_TEST

START_TEST(invlpg_drops_both_halves_of_a_4_mib_page)
{
    struct lab *lab = lab_new();

    lab->mmu.paging = (struct paging){
        .cr0 = CR0_PROTECTED | CR0_PAGING,
        .cr3 = ROOT,
        .cr4 = CR4_PSE_BIT,
    };
    mmu_switch(&lab->mmu);
    bus_write(lab->bus, ROOT + 4, P | RW | PS, 4);
    mmu_load(&lab->mmu, 0x400000, 4);
    mmu_load(&lab->mmu, 0x7ff000, 4);
    bus_write(lab->bus, ROOT + 4, 0, 4);
    mmu_load(&lab->mmu, 0x400000, 4);
    mmu_invlpg(&lab->mmu, 0x600000);
    EXPECT_PF(lab, mmu_load(&lab->mmu, 0x400000, 4), 0);
    EXPECT_PF(lab, mmu_load(&lab->mmu, 0x7ff000, 4), 0);
    lab_free(lab);
}
END_TEST

START_TEST(page_fault_drops_what_is_cached_for_its_page)
{
    struct lab *lab = lab_cached();

    go(lab, 0, 1);
    lab_map(lab, LINEAR, 12, OLD_PAGE | P);
    EXPECT_CACHED(lab, LINEAR);
    lab_map(lab, LINEAR, 12, 0);
    EXPECT_CACHED(lab, LINEAR);
    EXPECT_PF(lab, mmu_store(&lab->mmu, LINEAR, 1, 1), 2);
    EXPECT_PF(lab, mmu_load(&lab->mmu, LINEAR, 1), 0);
    lab_free(lab);
}
END_TEST

START_TEST(invvpid_scopes)
{
    struct lab *lab = lab_scopes();

    go(lab, 0, 1);
    mmu_flush_vpid_address(&lab->mmu, 7, LINEAR);
    EXPECT_CACHED(lab, LINEAR);
    go(lab, 7, 1);
    EXPECT_DROPPED(lab, LINEAR);
    EXPECT_CACHED(lab, GLOBAL_LINEAR);
    mmu_flush_vpid(&lab->mmu, 7, false);
    EXPECT_CACHED(lab, GLOBAL_LINEAR);
    mmu_flush_vpid(&lab->mmu, 7, true);
    EXPECT_DROPPED(lab, GLOBAL_LINEAR);
    lab_free(lab);

    lab = lab_scopes();
    mmu_flush_all_vpids(&lab->mmu);
    go(lab, 7, 2);
    EXPECT_DROPPED(lab, GLOBAL_LINEAR);
    go(lab, 0, 2);
    EXPECT_CACHED(lab, LINEAR);
    mmu_flush_all(&lab->mmu);
    EXPECT_DROPPED(lab, LINEAR);
    EXPECT_DROPPED(lab, GLOBAL_LINEAR);
    lab_free(lab);
}
END_TEST

/* [SDM 3A "Caches for Paging Structures"]: two tables for one region. Page 0 of the region is in
 * both, page 1 only in the second. */
static void two_tables(struct lab *lab)
{
    go(lab, 0, 1);
    cache(lab, LINEAR, 0);
    bus_write(lab->bus, 0x40000 + 8 * (LINEAR >> 12 & 511), NEW_PAGE | P | RW, 8);
    bus_write(lab->bus, 0x40000 + 8 * (GLOBAL_LINEAR >> 12 & 511), NEW_PAGE | P | RW, 8);
    bus_write(lab->bus, lab_entry(lab, LINEAR, 21), 0x40000 | P | RW | US, 8);
}

START_TEST(invlpg_of_any_address_drops_cached_tables)
{
    struct lab *lab = lab_cached();

    two_tables(lab);
    mmu_invlpg(&lab->mmu, LINEAR);
    EXPECT_DROPPED(lab, LINEAR);
    lab_free(lab);
    lab = lab_cached();
    two_tables(lab);
    mmu_flush_current(&lab->mmu, false);
    EXPECT_DROPPED(lab, LINEAR);
    lab_free(lab);
    lab = lab_cached();
    two_tables(lab);
    lab_map(lab, 0, 12, OLD_PAGE | P);
    mmu_invlpg(&lab->mmu, 0);
    EXPECT_CACHED(lab, LINEAR);
    EXPECT_DROPPED(lab, GLOBAL_LINEAR);
    lab_free(lab);
}
END_TEST

START_TEST(cached_table_causes_no_fault_of_its_own)
{
    struct lab *lab = lab_cached();

    two_tables(lab);
    EXPECT_DROPPED(lab, GLOBAL_LINEAR);
    lab_free(lab);
}
END_TEST

START_TEST(walk_from_a_cached_table_keeps_the_rights_above_it)
{
    struct lab *lab = lab_cached();

    go(lab, 0, 1);
    cache(lab, LINEAR, US);
    cache(lab, GLOBAL_LINEAR, US);
    bus_write(lab->bus, lab_entry(lab, LINEAR, 30), lab_read(lab, lab_entry(lab, LINEAR, 30)) & ~6u,
              8);
    mmu_flush_all(&lab->mmu);
    EXPECT_CACHED(lab, LINEAR);
    lab->mmu.cost = 0;
    EXPECT_CACHED(lab, GLOBAL_LINEAR);
    ck_assert_uint_eq(lab->mmu.cost, 4); /* one entry read */
    EXPECT_PF(lab, mmu_store(&lab->mmu, GLOBAL_LINEAR, 1, 1), 3);
    mmu_set_view(&lab->mmu, VIEW_USER);
    EXPECT_PF(lab, mmu_load(&lab->mmu, LINEAR, 1), 5);
    lab_free(lab);
}
END_TEST

Suite *suite_mmu_flush(void)
{
    Suite *s = suite_create("mmu/flush");
    TCase *t = tcase_create("flush");

    tcase_add_test(t, switching_contexts_drops_nothing);
    tcase_add_test(t, mov_to_cr3_drops_the_current_pcid_but_globals);
    tcase_add_test(t, flush_with_globals_drops_them_under_every_pcid);
    tcase_add_test(t, all_pcids_of_the_current_vpid);
    tcase_add_test(t, invpcid_single_context_drops_another_pcid);
    tcase_add_test(t, invlpg_drops_the_page_and_globals_of_every_pcid);
    tcase_add_test(t, invpcid_address_leaves_globals);
    tcase_add_test(t, invlpg_reaches_every_view_and_mode);
    tcase_add_test(t, without_pge_the_global_bit_means_nothing);
    tcase_add_loop_test(t, invlpg_anywhere_drops_all_of_a_gib_page, 0, 3);
    tcase_add_test(t, invlpg_anywhere_drops_all_of_a_2_mib_page);
    tcase_add_test(t, invlpg_drops_both_halves_of_a_4_mib_page);
    tcase_add_test(t, page_fault_drops_what_is_cached_for_its_page);
    tcase_add_test(t, invvpid_scopes);
    tcase_add_test(t, invlpg_of_any_address_drops_cached_tables);
    tcase_add_test(t, cached_table_causes_no_fault_of_its_own);
    tcase_add_test(t, walk_from_a_cached_table_keeps_the_rights_above_it);
    suite_add_tcase(s, t);
    return s;
}
