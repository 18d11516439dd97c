/* [SDM 3A "Paging"] Every paging mode, each bit of the page-fault error code, accessed and dirty
 * flags, reserved bits, SMEP, SMAP, WP. */
#include "tests/mmu/mmu_lab.h"

static bool walks(struct lab *lab, uint64_t linear, enum mmu_access access, uint64_t *pa)
{
    struct mmu_out out;
    bool ok = mmu_translate(&lab->mmu, linear, access, lab->mmu.view, &out);

    if (ok)
        *pa = out.pa;
    else
        lab->fault = out.f;
    return ok;
}

static void expect_pa(struct lab *lab, uint64_t linear, enum mmu_access access, uint64_t expected)
{
    uint64_t pa = 0;

    ck_assert_msg(walks(lab, linear, access, &pa), "error code %#x", lab->fault.error_code);
    ck_assert_uint_eq(pa, expected);
}

static void expect_code(struct lab *lab, uint64_t linear, enum mmu_access access, unsigned code)
{
    uint64_t pa;

    ck_assert(!walks(lab, linear, access, &pa));
    ck_assert_int_eq(lab->fault.kind, FAULT_PAGE);
    ck_assert_uint_eq(lab->fault.linear, linear);
    ck_assert_uint_eq(lab->fault.error_code, code);
}

static struct lab *lab_32(uint64_t cr4)
{
    struct lab *lab = lab_new();

    lab->mmu.paging = (struct paging){
        .cr0 = CR0_PROTECTED | CR0_WRITE_PROTECT | CR0_PAGING,
        .cr3 = ROOT,
        .cr4 = cr4,
    };
    mmu_switch(&lab->mmu);
    return lab;
}

/* ---- modes ---- */

START_TEST(without_paging_linear_is_physical_and_wraps_at_4_gib)
{
    struct lab *lab = lab_new();

    expect_pa(lab, 0x12345, MMU_WRITE, 0x12345);
    expect_pa(lab, 0x100012345, MMU_FETCH, 0x12345);
    ck_assert_uint_eq(lab->mmu.cost, 0);
    lab_free(lab);
}
END_TEST

START_TEST(mode_32_bit_maps_4_kib_by_two_levels)
{
    struct lab *lab = lab_32(0);

    bus_write(lab->bus, ROOT + 4 * 0x123, 0x20000 | PS | RW | P, 4); /* PS ignored without PSE */
    bus_write(lab->bus, 0x20000 + 4 * 0x145, 0xfffff000 | RW | P, 4);
    expect_pa(lab, 0x48d45678, MMU_READ, 0xfffff678);
    ck_assert_uint_eq(lab->mmu.cost, 2 * 4);
    ck_assert_uint_eq(bus_read(lab->bus, ROOT + 4 * 0x123, 4), 0x20000 | A | PS | RW | P);
    ck_assert_uint_eq(bus_read(lab->bus, 0x20000 + 4 * 0x145, 4), 0xfffff000 | A | RW | P);
    lab_free(lab);
}
END_TEST

START_TEST(mode_32_bit_with_pse_maps_4_mib_with_40_bits_of_address)
{
    struct lab *lab = lab_32(CR4_PSE_BIT);

    bus_write(lab->bus, ROOT + 4 * 0x3ff, 0x00c00000 | 0xab << 13 | PS | RW | P, 4);
    expect_pa(lab, 0xffc12345, MMU_WRITE, 0xab00c12345);
    ck_assert_uint_eq(bus_read(lab->bus, ROOT + 4 * 0x3ff, 4),
                      0x00c00000 | 0xab << 13 | PS | D | A | RW | P);
    bus_write(lab->bus, ROOT + 4 * 0x3ff, 0x00e00000 | PS | RW | P, 4); /* bit 21 */
    expect_code(lab, 0xffc12345, MMU_READ, 9);
    lab_free(lab);
}
END_TEST

START_TEST(pse_address_bits_beyond_maxphyaddr_are_reserved)
{
    struct lab *lab = lab_32(CR4_PSE_BIT);

    lab->mmu.maxphyaddr = 36;
    bus_write(lab->bus, ROOT, 0xf << 13 | PS | RW | P, 4);
    expect_pa(lab, 0x1234, MMU_READ, 0xf00001234);
    bus_write(lab->bus, ROOT, 1 << 17 | PS | RW | P, 4);
    expect_code(lab, 0x1234, MMU_READ, 9);
    lab_free(lab);
}
END_TEST

static struct lab *lab_pae(void)
{
    struct lab *lab = lab_32(CR4_PAE_BIT);

    lab->mmu.paging.efer = EFER_NXE_BIT;
    bus_write(lab->bus, 0x3000 + 8 * 2, 0x20000 | P, 8);
    ck_assert(mmu_load_pdptes(&lab->mmu, 0x3000));
    mmu_switch(&lab->mmu);
    return lab;
}

START_TEST(mode_pae_uses_the_loaded_pdptes)
{
    struct lab *lab = lab_pae();

    bus_write(lab->bus, 0x3000 + 8 * 2, 0, 8); /* the register keeps what was loaded */
    bus_write(lab->bus, 0x20000 + 8 * 3, 0x21000 | US | RW | P, 8);
    bus_write(lab->bus, 0x21000 + 8 * 5, 0x3fffffff3000 | RW | P, 8);
    bus_write(lab->bus, 0x20000 + 8 * 4, 0x3fffffe00000 | PS | RW | P, 8);
    expect_pa(lab, 0x80605123, MMU_READ, 0x3fffffff3123);
    expect_pa(lab, 0x80812345, MMU_READ, 0x3fffffe12345);
    expect_code(lab, 0x00605123, MMU_READ, 0);
    lab_free(lab);
}
END_TEST

START_TEST(pae_entries_reserve_bits_62_to_maxphyaddr)
{
    struct lab *lab = lab_pae();

    for (unsigned n = 46; n <= 62; n++) {
        bus_write(lab->bus, 0x20000, BIT(n) | 0x21000 | RW | P, 8);
        expect_code(lab, 0x80000000, MMU_READ, 9);
    }
    bus_write(lab->bus, 0x20000, BIT(13) | PS | RW | P, 8);
    expect_code(lab, 0x80000000, MMU_READ, 9);
    bus_write(lab->bus, 0x20000, XD | PS | RW | P, 8);
    expect_code(lab, 0x80000000, MMU_FETCH, 0x11);
    lab_free(lab);
}
END_TEST

START_TEST(pdpte_with_a_reserved_bit_is_not_loaded)
{
    static const uint64_t reserved[] = { 2, 4, 32, 64, 128, 256, BIT(46), BIT(62), BIT(63) };
    struct lab *lab = lab_pae();

    for (unsigned i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
        bus_write(lab->bus, 0x3018, 0x20000 | P | reserved[i], 8);
        ck_assert(!mmu_load_pdptes(&lab->mmu, 0x3000));
        bus_write(lab->bus, 0x3018, 0x20000 | reserved[i], 8); /* not present: nothing reserved */
        ck_assert(mmu_load_pdptes(&lab->mmu, 0x3000));
    }
    bus_write(lab->bus, 0x3018, 0x20000 | P | 0xe18, 8);
    ck_assert(mmu_load_pdptes(&lab->mmu, 0x301f)); /* bits 4:0 of CR3 are no address */
    ck_assert_uint_eq(lab->mmu.paging.pdpte[2], 0x20000 | P);
    ck_assert_uint_eq(lab->mmu.paging.pdpte[3], 0x20000 | P | 0xe18);
    lab_free(lab);
}
END_TEST

START_TEST(mode_4_level_maps_4_kib_2_mib_and_1_gib)
{
    struct lab *lab = lab_4_level();

    lab_map(lab, LINEAR, 12, 0x3ffffffff000 | RW | P);
    lab_map(lab, 0xffffffff80000000, 21, 0x200000 | RW | P | PS);
    lab_map(lab, 0xffff888000000000, 30, 0x40000000 | RW | P | PS);
    expect_pa(lab, LINEAR + 0x123, MMU_READ, 0x3ffffffff123);
    ck_assert_uint_eq(lab->mmu.cost, 4 * 4);
    expect_pa(lab, 0xffffffff801fffff, MMU_READ, 0x3fffff);
    ck_assert_uint_eq(lab->mmu.cost, 4 * 4 + 3 * 4);
    expect_pa(lab, 0xffff88803fffffff, MMU_FETCH, 0x7fffffff);
    ck_assert_uint_eq(lab->mmu.cost, 4 * 4 + 3 * 4 + 2 * 4);
    lab_free(lab);
}
END_TEST

START_TEST(mode_5_level_has_one_level_more)
{
    struct lab *lab = lab_4_level();
    uint64_t linear = 0x00ab7f1234567000;

    lab_map(lab, linear & BITS(47, 0), 12, 0x5000 | RW | P);
    bus_write(lab->bus, 0x8000 + 8 * 0xab, ROOT | RW | P, 8);
    lab->mmu.paging.cr3 = 0x8000;
    lab->mmu.paging.cr4 |= CR4_LA57_BIT;
    mmu_switch(&lab->mmu);
    expect_pa(lab, linear, MMU_READ, 0x5000);
    ck_assert_uint_eq(lab->mmu.cost, 5 * 4);
    lab_free(lab);
}
END_TEST

START_TEST(address_that_is_not_canonical_is_no_page_fault)
{
    struct lab *lab = lab_4_level();
    uint64_t pa;

    ck_assert(!walks(lab, 0x0000800000000000, MMU_READ, &pa));
    ck_assert_int_eq(lab->fault.kind, FAULT_NONCANONICAL);
    ck_assert(!walks(lab, 0xffff7fffffffffff, MMU_WRITE, &pa));
    ck_assert_int_eq(lab->fault.kind, FAULT_NONCANONICAL);
    ck_assert_int_eq(lab->fault.access, MMU_WRITE);
    ck_assert_uint_eq(lab->mmu.walks, 0);
    lab_free(lab);
}
END_TEST

/* ---- error codes ---- */

START_TEST(error_code_bit_0_tells_protection_from_not_present)
{
    struct lab *lab = lab_4_level();

    expect_code(lab, LINEAR, MMU_READ, 0);
    lab_map(lab, LINEAR, 12, 0x5000 | US);
    expect_code(lab, LINEAR, MMU_READ, 0);
    lab_map(lab, LINEAR, 12, 0x5000 | P | US);
    expect_code(lab, LINEAR, MMU_WRITE, 3);
    lab_free(lab);
}
END_TEST

START_TEST(error_code_bits_1_and_2_tell_write_and_user)
{
    struct lab *lab = lab_4_level();

    expect_code(lab, LINEAR, MMU_WRITE, 2);
    mmu_set_view(&lab->mmu, VIEW_USER);
    expect_code(lab, LINEAR, MMU_READ, 4);
    expect_code(lab, LINEAR, MMU_WRITE, 6);
    lab_map(lab, LINEAR, 12, 0x5000 | P | RW);
    expect_code(lab, LINEAR, MMU_READ, 5);
    lab_map(lab, LINEAR, 12, 0x5000 | P | US);
    expect_code(lab, LINEAR, MMU_WRITE, 7);
    lab_free(lab);
}
END_TEST

START_TEST(error_code_bit_3_tells_reserved_bits)
{
    struct lab *lab = lab_4_level();

    lab_map(lab, LINEAR, 12, BIT(46) | 0x5000 | P | RW);
    expect_code(lab, LINEAR, MMU_READ, 9);
    lab_map(lab, LINEAR, 12, BIT(51) | 0x5000 | P | RW);
    expect_code(lab, LINEAR, MMU_WRITE, 0xb);
    lab_map(lab, LINEAR, 12, BIT(51) | 0x5000 | RW); /* not present comes first */
    expect_code(lab, LINEAR, MMU_READ, 0);
    lab_map(lab, LINEAR, 12, BITS(62, 52) | 0x5000 | P | RW); /* ignored */
    expect_pa(lab, LINEAR, MMU_READ, 0x5000);
    lab_free(lab);
}
END_TEST

START_TEST(large_entries_reserve_low_address_bits)
{
    struct lab *lab = lab_4_level();

    for (unsigned n = 13; n <= 20; n++) {
        lab_map(lab, LINEAR, 21, BIT(n) | P | RW | PS);
        expect_code(lab, LINEAR, MMU_READ, 9);
    }
    lab_map(lab, LINEAR, 21, BIT(12) | P | RW | PS); /* PAT */
    expect_pa(lab, LINEAR, MMU_READ, LINEAR & BITS(20, 0));
    for (unsigned n = 13; n <= 29; n++) {
        lab_map(lab, LINEAR, 30, BIT(n) | P | RW | PS);
        expect_code(lab, LINEAR, MMU_READ, 9);
    }
    lab_map(lab, LINEAR, 39, 0x5000 | P | RW | PS);
    expect_code(lab, LINEAR, MMU_READ, 9);
    lab_free(lab);
}
END_TEST

START_TEST(gib_page_is_reserved_where_the_processor_has_none)
{
    struct lab *lab = lab_4_level();

    lab->mmu.gib_pages = false;
    lab_map(lab, LINEAR, 30, P | RW | PS);
    expect_code(lab, LINEAR, MMU_READ, 9);
    lab_free(lab);
}
END_TEST

START_TEST(execute_disable_is_reserved_without_nxe)
{
    struct lab *lab = lab_4_level();

    lab_map(lab, LINEAR, 12, XD | 0x5000 | P | RW);
    expect_pa(lab, LINEAR, MMU_READ, 0x5000);
    expect_code(lab, LINEAR, MMU_FETCH, 0x11);
    lab->mmu.paging.efer &= ~(uint64_t)EFER_NXE_BIT;
    mmu_switch(&lab->mmu);
    expect_code(lab, LINEAR, MMU_READ, 9);
    expect_code(lab, LINEAR, MMU_FETCH, 9);
    lab_free(lab);
}
END_TEST

START_TEST(error_code_bit_4_needs_nxe_or_smep)
{
    struct lab *lab = lab_4_level();

    expect_code(lab, LINEAR, MMU_FETCH, 0x10);
    lab->mmu.paging.efer &= ~(uint64_t)EFER_NXE_BIT;
    mmu_switch(&lab->mmu);
    expect_code(lab, LINEAR, MMU_FETCH, 0);
    lab->mmu.paging.cr4 |= CR4_SMEP_BIT;
    mmu_switch(&lab->mmu);
    expect_code(lab, LINEAR, MMU_FETCH, 0x10);
    lab_free(lab);

    lab = lab_32(0); /* NXE alone is not enough: 32-bit paging has no XD */
    lab->mmu.paging.efer = EFER_NXE_BIT;
    mmu_switch(&lab->mmu);
    expect_code(lab, 0x1000, MMU_FETCH, 0);
    lab_free(lab);
}
END_TEST

/* ---- rights ---- */

START_TEST(every_level_can_take_rights_away)
{
    for (unsigned shift = 12; shift <= 39; shift += 9) {
        struct lab *lab = lab_4_level();
        uint64_t pa, all;

        lab_map(lab, LINEAR, 12, 0x5000 | P | RW | US);
        mmu_set_view(&lab->mmu, VIEW_USER);
        expect_pa(lab, LINEAR, MMU_WRITE, 0x5000);
        pa = lab_entry(lab, LINEAR, shift);
        all = lab_read(lab, pa);
        bus_write(lab->bus, pa, all & ~(uint64_t)RW, 8);
        mmu_invlpg(&lab->mmu, LINEAR);
        expect_code(lab, LINEAR, MMU_WRITE, 7);
        bus_write(lab->bus, pa, all & ~(uint64_t)US, 8);
        mmu_invlpg(&lab->mmu, LINEAR);
        expect_code(lab, LINEAR, MMU_READ, 5);
        bus_write(lab->bus, pa, all | XD, 8);
        mmu_invlpg(&lab->mmu, LINEAR);
        expect_code(lab, LINEAR, MMU_FETCH, 0x15);
        expect_pa(lab, LINEAR, MMU_READ, 0x5000);
        lab_free(lab);
    }
}
END_TEST

START_TEST(without_wp_a_supervisor_writes_read_only_pages)
{
    struct lab *lab = lab_4_level();

    lab_map(lab, LINEAR, 12, 0x5000 | P | US);
    expect_code(lab, LINEAR, MMU_WRITE, 3);
    lab->mmu.paging.cr0 &= ~(uint64_t)CR0_WRITE_PROTECT;
    mmu_switch(&lab->mmu);
    expect_pa(lab, LINEAR, MMU_WRITE, 0x5000);
    mmu_set_view(&lab->mmu, VIEW_USER);
    expect_code(lab, LINEAR, MMU_WRITE, 7);
    lab_free(lab);
}
END_TEST

START_TEST(smep_keeps_a_supervisor_from_fetching_user_pages)
{
    struct lab *lab = lab_4_level();

    lab_map(lab, LINEAR, 12, 0x5000 | P | RW | US);
    expect_pa(lab, LINEAR, MMU_FETCH, 0x5000);
    lab->mmu.paging.cr4 |= CR4_SMEP_BIT;
    mmu_switch(&lab->mmu);
    expect_code(lab, LINEAR, MMU_FETCH, 0x11);
    expect_pa(lab, LINEAR, MMU_WRITE, 0x5000);
    mmu_set_view(&lab->mmu, VIEW_USER);
    expect_pa(lab, LINEAR, MMU_FETCH, 0x5000);
    lab_free(lab);
}
END_TEST

START_TEST(smap_keeps_a_supervisor_from_user_data_unless_ac_is_set)
{
    struct lab *lab = lab_4_level();

    lab->mmu.paging.cr4 |= CR4_SMAP_BIT;
    mmu_switch(&lab->mmu);
    lab_map(lab, LINEAR, 12, 0x5000 | P | RW | US);
    expect_code(lab, LINEAR, MMU_READ, 1);
    expect_code(lab, LINEAR, MMU_WRITE, 3);
    expect_pa(lab, LINEAR, MMU_FETCH, 0x5000);
    mmu_set_view(&lab->mmu, VIEW_SUPERVISOR_AC);
    expect_pa(lab, LINEAR, MMU_READ, 0x5000);
    expect_pa(lab, LINEAR, MMU_WRITE, 0x5000);
    mmu_set_view(&lab->mmu, VIEW_SUPERVISOR);
    expect_code(lab, LINEAR, MMU_READ, 1); /* what AC allowed is not found without AC */
    lab_free(lab);
}
END_TEST

/* ---- accessed and dirty flags ---- */

START_TEST(read_sets_accessed_on_each_level_and_not_dirty)
{
    struct lab *lab = lab_4_level();

    lab_map(lab, LINEAR, 12, 0x5000 | P | RW);
    expect_pa(lab, LINEAR, MMU_READ, 0x5000);
    for (unsigned shift = 39; shift > 12; shift -= 9)
        ck_assert_uint_eq(lab_read(lab, lab_entry(lab, LINEAR, shift)) & (A | D), A);
    ck_assert_uint_eq(lab_read(lab, lab_entry(lab, LINEAR, 12)), 0x5000 | A | P | RW);
    lab_free(lab);
}
END_TEST

START_TEST(write_sets_dirty_in_the_leaf_only)
{
    struct lab *lab = lab_4_level();

    lab_map(lab, LINEAR, 21, P | RW | PS);
    expect_pa(lab, LINEAR, MMU_READ, LINEAR & BITS(20, 0));
    expect_pa(lab, LINEAR, MMU_WRITE, LINEAR & BITS(20, 0));
    ck_assert_uint_eq(lab_read(lab, lab_entry(lab, LINEAR, 21)), D | A | P | RW | PS);
    ck_assert_uint_eq(lab_read(lab, lab_entry(lab, LINEAR, 30)) & (A | D), A);
    lab_free(lab);
}
END_TEST

START_TEST(first_store_after_a_load_sets_dirty)
{
    struct lab *lab = lab_4_level();

    lab_map(lab, LINEAR, 12, 0x5000 | P | RW);
    mmu_load(&lab->mmu, LINEAR, 4);
    ck_assert_uint_eq(lab_read(lab, lab_entry(lab, LINEAR, 12)) & (A | D), A);
    mmu_store(&lab->mmu, LINEAR, 1, 4);
    ck_assert_uint_eq(lab_read(lab, lab_entry(lab, LINEAR, 12)) & (A | D), A | D);
    lab_free(lab);
}
END_TEST

START_TEST(refused_access_sets_no_flag)
{
    struct lab *lab = lab_4_level();

    lab_map(lab, LINEAR, 12, 0x5000 | P);
    expect_code(lab, LINEAR, MMU_WRITE, 3);
    for (unsigned shift = 39; shift >= 12; shift -= 9)
        ck_assert_uint_eq(lab_read(lab, lab_entry(lab, LINEAR, shift)) & (A | D), 0);
    lab_free(lab);
}
END_TEST

START_TEST(peek_sets_no_flag_and_costs_nothing)
{
    struct lab *lab = lab_4_level();
    uint64_t pa;

    lab_map(lab, LINEAR, 12, 0x5000 | P);
    ck_assert(mmu_peek(&lab->mmu, LINEAR + 7, &pa));
    ck_assert_uint_eq(pa, 0x5007);
    ck_assert(!mmu_peek(&lab->mmu, LINEAR + 0x1000, &pa));
    ck_assert(!mmu_peek(&lab->mmu, BIT(47), &pa));
    ck_assert_uint_eq(lab_read(lab, lab_entry(lab, LINEAR, 12)), 0x5000 | P);
    ck_assert_uint_eq(lab->mmu.cost, 0);
    lab_free(lab);
}
END_TEST

/* tables anywhere: in nothing (all ones: reserved bits), above the RAM */
START_TEST(tables_outside_ram_read_as_ones)
{
    struct lab *lab = lab_4_level();

    lab->mmu.paging.cr3 = 0x3ffffffff000;
    mmu_switch(&lab->mmu);
    expect_code(lab, LINEAR, MMU_READ, 9);
    lab_free(lab);
}
END_TEST

Suite *suite_mmu_walk(void)
{
    Suite *s = suite_create("mmu/walk");
    TCase *t = tcase_create("modes");

    tcase_add_test(t, without_paging_linear_is_physical_and_wraps_at_4_gib);
    tcase_add_test(t, mode_32_bit_maps_4_kib_by_two_levels);
    tcase_add_test(t, mode_32_bit_with_pse_maps_4_mib_with_40_bits_of_address);
    tcase_add_test(t, pse_address_bits_beyond_maxphyaddr_are_reserved);
    tcase_add_test(t, mode_pae_uses_the_loaded_pdptes);
    tcase_add_test(t, pae_entries_reserve_bits_62_to_maxphyaddr);
    tcase_add_test(t, pdpte_with_a_reserved_bit_is_not_loaded);
    tcase_add_test(t, mode_4_level_maps_4_kib_2_mib_and_1_gib);
    tcase_add_test(t, mode_5_level_has_one_level_more);
    tcase_add_test(t, address_that_is_not_canonical_is_no_page_fault);
    suite_add_tcase(s, t);
    t = tcase_create("error codes");
    tcase_add_test(t, error_code_bit_0_tells_protection_from_not_present);
    tcase_add_test(t, error_code_bits_1_and_2_tell_write_and_user);
    tcase_add_test(t, error_code_bit_3_tells_reserved_bits);
    tcase_add_test(t, large_entries_reserve_low_address_bits);
    tcase_add_test(t, gib_page_is_reserved_where_the_processor_has_none);
    tcase_add_test(t, execute_disable_is_reserved_without_nxe);
    tcase_add_test(t, error_code_bit_4_needs_nxe_or_smep);
    suite_add_tcase(s, t);
    t = tcase_create("rights");
    tcase_add_test(t, every_level_can_take_rights_away);
    tcase_add_test(t, without_wp_a_supervisor_writes_read_only_pages);
    tcase_add_test(t, smep_keeps_a_supervisor_from_fetching_user_pages);
    tcase_add_test(t, smap_keeps_a_supervisor_from_user_data_unless_ac_is_set);
    suite_add_tcase(s, t);
    t = tcase_create("flags");
    tcase_add_test(t, read_sets_accessed_on_each_level_and_not_dirty);
    tcase_add_test(t, write_sets_dirty_in_the_leaf_only);
    tcase_add_test(t, first_store_after_a_load_sets_dirty);
    tcase_add_test(t, refused_access_sets_no_flag);
    tcase_add_test(t, peek_sets_no_flag_and_costs_nothing);
    tcase_add_test(t, tables_outside_ram_read_as_ones);
    suite_add_tcase(s, t);
    return s;
}
