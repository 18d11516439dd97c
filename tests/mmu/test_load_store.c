/* [mmu/mmu.h] Loads and stores: page crossings, MMIO, ROM, special pages, code pages, alignment. */
#include "tests/mmu/mmu_lab.h"

#define NEXT (LINEAR + 0x1000)
#define MMIO UINT64_C(0xe0000000)

struct part {
    unsigned reads, writes, others;
    uint64_t offset[8], value[8];
    unsigned size[8];
    unsigned kind;
};

static uint64_t part_read(void *owner, uint64_t offset, unsigned size)
{
    struct part *p = owner;

    p->offset[p->reads % 8] = offset;
    p->size[p->reads++ % 8] = size;
    return 0x8877665544332211;
}

static void part_write(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
    struct part *p = owner;

    p->offset[p->writes % 8] = offset;
    p->value[p->writes % 8] = value;
    p->size[p->writes++ % 8] = size;
}

static void part_other(void *owner, uint64_t offset, unsigned kind)
{
    struct part *p = owner;

    p->others++;
    p->offset[0] = offset;
    p->kind = kind;
}

static const struct io_ops part_ops = { part_read, part_write, 0 };

/* LINEAR and NEXT on two pages that are not neighbours */
static struct lab *lab_two_pages(void)
{
    struct lab *lab = lab_4_level();

    lab_map(lab, LINEAR, 12, 0x9000 | P | RW | US);
    lab_map(lab, NEXT, 12, 0x5000 | P | RW | US);
    return lab;
}

START_TEST(load_and_store_of_every_size)
{
    struct lab *lab = lab_two_pages();

    mmu_store(&lab->mmu, LINEAR, 0x1122334455667788, 8);
    for (unsigned i = 0; i < 2; i++) { /* slow, then by the tag */
        ck_assert_uint_eq(mmu_load(&lab->mmu, LINEAR, 1), 0x88);
        ck_assert_uint_eq(mmu_load(&lab->mmu, LINEAR, 2), 0x7788);
        ck_assert_uint_eq(mmu_load(&lab->mmu, LINEAR, 4), 0x55667788);
        ck_assert_uint_eq(mmu_load(&lab->mmu, LINEAR, 8), 0x1122334455667788);
        mmu_flush_all(&lab->mmu);
    }
    mmu_store(&lab->mmu, LINEAR, 0xffffffffffffffaa, 1);
    mmu_store(&lab->mmu, LINEAR + 2, 0xffffffffffffbbcc, 2);
    mmu_store(&lab->mmu, LINEAR + 4, 0xffffffffddddeeee, 4);
    ck_assert_uint_eq(bus_read(lab->bus, 0x9000, 8), 0xddddeeeebbcc77aa);
    lab_free(lab);
}
END_TEST

START_TEST(access_that_crosses_pages_is_put_together)
{
    struct lab *lab = lab_two_pages();

    for (unsigned n = 1; n < 8; n++) {
        uint64_t v = 0x8877665544332211 * n;

        mmu_store(&lab->mmu, NEXT - n, v, 8);
        ck_assert_uint_eq(mmu_load(&lab->mmu, NEXT - n, 8), v);
        ck_assert_uint_eq(mmu_load_rmw(&lab->mmu, NEXT - n, 8), v);
        ck_assert_uint_eq(bus_read(lab->bus, 0x5000, 8) & BITS(63 - 8 * n, 0), v >> 8 * n);
    }
    lab_free(lab);
}
END_TEST

START_TEST(store_that_faults_on_the_second_page_writes_nothing)
{
    struct lab *lab = lab_two_pages();

    lab_map(lab, NEXT, 12, 0x5000 | P);
    mmu_load(&lab->mmu, NEXT, 1);
    bus_write(lab->bus, 0x9ff8, 0, 8);
    EXPECT_PF(lab, mmu_store(&lab->mmu, NEXT - 4, UINT64_MAX, 8), 3);
    ck_assert_uint_eq(lab->fault.linear, NEXT);
    ck_assert_uint_eq(bus_read(lab->bus, 0x9ff8, 8), 0);
    EXPECT_PF(lab, mmu_store_bytes(&lab->mmu, NEXT - 8, "0123456789abcdef", 16), 3);
    ck_assert_uint_eq(bus_read(lab->bus, 0x9ff8, 8), 0);
    lab_free(lab);
}
END_TEST

START_TEST(access_that_leaves_the_canonical_addresses_faults_before_either_page)
{
    struct lab *lab = lab_4_level();

    LAB_FAULTS(lab, mmu_load(&lab->mmu, 0x00007ffffffffffc, 8));
    ck_assert_int_eq(lab->fault.kind, FAULT_NONCANONICAL);
    ck_assert_uint_eq(lab->fault.linear, 0x00007ffffffffffc);
    lab_free(lab);
}
END_TEST

START_TEST(access_wraps_at_4_gib_without_long_mode)
{
    static uint8_t rom[0x1000];
    struct lab *lab = lab_new();

    rom[0xffe] = 0x34;
    rom[0xfff] = 0x12;
    bus_map_rom(lab->bus, 0xfffff000, rom, sizeof rom, "rom");
    bus_write(lab->bus, 0, 0x7856, 2);
    ck_assert_uint_eq(mmu_load(&lab->mmu, 0xfffffffe, 4), 0x78561234);
    lab_free(lab);
}
END_TEST

START_TEST(rmw_load_faults_like_a_store)
{
    struct lab *lab = lab_two_pages();

    lab_map(lab, LINEAR, 12, 0x9000 | P);
    mmu_load(&lab->mmu, LINEAR, 4);
    EXPECT_PF(lab, mmu_load_rmw(&lab->mmu, LINEAR, 4), 3);
    ck_assert_int_eq(lab->fault.access, MMU_WRITE);
    lab_free(lab);
}
END_TEST

START_TEST(system_accesses_are_supervisors_in_any_view)
{
    struct lab *lab = lab_two_pages();

    lab_map(lab, LINEAR, 12, 0x9000 | P | RW);
    mmu_set_view(&lab->mmu, VIEW_USER);
    mmu_store_system(&lab->mmu, LINEAR + 8, 0xabcd, 2);
    ck_assert_uint_eq(mmu_load_system(&lab->mmu, LINEAR + 8, 2), 0xabcd);
    EXPECT_PF(lab, mmu_load(&lab->mmu, LINEAR + 8, 2), 5);
    lab_map(lab, LINEAR, 12, 0);
    mmu_flush_all(&lab->mmu);
    EXPECT_PF(lab, mmu_load_system(&lab->mmu, LINEAR, 2), 0);
    mmu_set_view(&lab->mmu, VIEW_SUPERVISOR_AC); /* SMAP holds for implicit accesses, AC or not */
    lab->mmu.paging.cr4 |= CR4_SMAP_BIT;
    mmu_switch(&lab->mmu);
    ck_assert_uint_eq(mmu_load(&lab->mmu, NEXT, 2), 0);
    EXPECT_PF(lab, mmu_load_system(&lab->mmu, NEXT, 2), 1);
    lab_free(lab);
}
END_TEST

START_TEST(alignment_is_checked_in_the_aligned_view_only)
{
    struct lab *lab = lab_two_pages();

    mmu_set_view(&lab->mmu, VIEW_USER_ALIGNED);
    mmu_store(&lab->mmu, LINEAR + 4, 5, 4);
    ck_assert_uint_eq(mmu_load(&lab->mmu, LINEAR + 4, 4), 5);
    ck_assert_uint_eq(mmu_load(&lab->mmu, LINEAR + 5, 1), 0);
    LAB_FAULTS(lab, mmu_load(&lab->mmu, LINEAR + 2, 4));
    ck_assert_int_eq(lab->fault.kind, FAULT_ALIGNMENT);
    LAB_FAULTS(lab, mmu_store(&lab->mmu, LINEAR + 4, 0, 8));
    ck_assert_int_eq(lab->fault.kind, FAULT_ALIGNMENT);
    LAB_FAULTS(lab, mmu_load(&lab->mmu, BIT(47) + 1, 2)); /* #GP comes first */
    ck_assert_int_eq(lab->fault.kind, FAULT_NONCANONICAL);
    mmu_set_view(&lab->mmu, VIEW_USER);
    mmu_load(&lab->mmu, LINEAR + 2, 4);
    lab_free(lab);
}
END_TEST

START_TEST(bytes_cross_pages_and_devices)
{
    struct lab *lab = lab_two_pages();
    struct part part = { .reads = 0 };
    uint8_t bytes[512], back[512];

    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7);
    mmu_store_bytes(&lab->mmu, NEXT - 100, bytes, sizeof bytes);
    mmu_load_bytes(&lab->mmu, NEXT - 100, back, sizeof back);
    ck_assert_mem_eq(bytes, back, sizeof bytes);
    ck_assert_uint_eq(bus_read(lab->bus, 0x5000, 1), (100 * 7) & 0xff);

    bus_map(lab->bus, MMIO, 0x1000, "part", &part_ops, &part);
    lab_map(lab, NEXT, 12, MMIO | P | RW);
    mmu_load_bytes(&lab->mmu, NEXT - 4, back, 16);
    ck_assert_uint_eq(part.reads, 2); /* 8 and 4 */
    ck_assert_uint_eq(part.size[1], 4);
    ck_assert_uint_eq(part.offset[1], 8);
    mmu_store_bytes(&lab->mmu, NEXT + 1, bytes, 8);
    ck_assert_uint_eq(part.writes, 4); /* 1, 2, 4, 1 */
    ck_assert_uint_eq(part.size[2], 4);
    ck_assert_uint_eq(part.offset[3], 8);
    lab_free(lab);
}
END_TEST

START_TEST(mmio_is_asked_each_time_and_walked_once)
{
    struct lab *lab = lab_two_pages();
    struct part part = { .reads = 0 };

    bus_map(lab->bus, MMIO, 0x1000, "part", &part_ops, &part);
    lab_map(lab, LINEAR, 12, MMIO | P | RW);
    mmu_store(&lab->mmu, LINEAR + 0x10, 0xffff1234, 2);
    ck_assert_uint_eq(mmu_load(&lab->mmu, LINEAR + 0x18, 4), 0x44332211);
    ck_assert_uint_eq(mmu_load(&lab->mmu, LINEAR + 0x18, 8), 0x8877665544332211);
    ck_assert_uint_eq(part.reads, 2);
    ck_assert_uint_eq(part.value[0], 0x1234);
    ck_assert_uint_eq(lab->mmu.walks, 1);
    ck_assert_ptr_null(mmu_native(&lab->mmu, LINEAR, MMU_READ));
    lab_free(lab);
}
END_TEST

/* a device that moves itself away while it is written */
static struct bus *mover_bus;

static void mover_write(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
    bus_unmap(mover_bus, MMIO, 0x1000, owner);
}

static const struct io_ops mover_ops = { part_read, mover_write, 0 };

START_TEST(device_may_unmap_itself_while_it_is_written)
{
    struct lab *lab = lab_two_pages();
    struct part part = { .reads = 0 };

    mover_bus = lab->bus;
    bus_map(lab->bus, MMIO, 0x1000, "part", &mover_ops, &part);
    lab_map(lab, LINEAR, 12, MMIO | P | RW);
    mmu_store(&lab->mmu, NEXT - 4, 0x1122334455667788, 8);
    ck_assert_uint_eq(bus_read(lab->bus, 0x5000, 4), 0x11223344);
    ck_assert_uint_eq(mmu_load(&lab->mmu, LINEAR, 4), 0xffffffff);
    lab_free(lab);
}
END_TEST

START_TEST(rom_is_read_and_fetched_natively_and_never_written)
{
    static uint8_t rom[0x1000] = { 0xea, 0x5b };
    const uint8_t *native;
    struct lab *lab = lab_two_pages();

    bus_map_rom(lab->bus, 0xf0000, rom, sizeof rom, "rom");
    lab_map(lab, LINEAR, 12, 0xf0000 | P | RW);
    mmu_store(&lab->mmu, LINEAR, 0, 4);
    mmu_store_bytes(&lab->mmu, LINEAR, "0123456789abcdef", 16);
    ck_assert_uint_eq(mmu_load(&lab->mmu, LINEAR, 2), 0x5bea);
    ck_assert_uint_eq(mmu_fetch(&lab->mmu, LINEAR + 1, &native), 0xf0001);
    ck_assert_ptr_eq(native, rom);
    ck_assert_ptr_eq(mmu_native(&lab->mmu, LINEAR + 1, MMU_READ), rom + 1);
    ck_assert_ptr_null(mmu_native(&lab->mmu, LINEAR, MMU_WRITE));
    lab_free(lab);
}
END_TEST

START_TEST(fetch_gives_the_native_page)
{
    const uint8_t *native;
    struct lab *lab = lab_two_pages();

    ck_assert_uint_eq(mmu_fetch(&lab->mmu, LINEAR + 0xabc, &native), 0x9abc);
    ck_assert_ptr_eq(native, bus_native(lab->bus, 0x9000));
    lab_map(lab, NEXT, 12, XD | 0x5000 | P);
    EXPECT_PF(lab, mmu_fetch(&lab->mmu, NEXT, &native), 0x11);
    ck_assert_int_eq(lab->fault.access, MMU_FETCH);
    lab_map(lab, NEXT, 12, MMIO | P);
    ck_assert_uint_eq(mmu_fetch(&lab->mmu, NEXT + 2, &native), MMIO + 2);
    ck_assert_ptr_null(native);
    lab_free(lab);
}
END_TEST

START_TEST(probe_raises_and_does_nothing_else)
{
    struct lab *lab = lab_two_pages();
    struct part part = { .reads = 0 };

    bus_map(lab->bus, MMIO, 0x1000, "part", &part_ops, &part);
    lab_map(lab, LINEAR, 12, MMIO | P | RW);
    mmu_probe(&lab->mmu, NEXT - 8, 16, MMU_WRITE);
    ck_assert_uint_eq(part.reads + part.writes, 0);
    lab_map(lab, NEXT, 12, 0x5000 | P);
    mmu_flush_all(&lab->mmu);
    mmu_probe(&lab->mmu, NEXT - 8, 16, MMU_READ);
    EXPECT_PF(lab, mmu_probe(&lab->mmu, NEXT - 8, 16, MMU_WRITE), 3);
    mmu_probe(&lab->mmu, NEXT - 8, 8, MMU_WRITE);
    lab_free(lab);
}
END_TEST

/* ---- special pages ---- */

static struct lab *lab_special(struct part *part, unsigned which, uint64_t pa)
{
    struct lab *lab = lab_two_pages();

    lab->mmu.special[which] = (struct mmu_special_page){
        .pa = pa,
        .owner = part,
        .read = part_read,
        .write = part_write,
        .other = which == SPECIAL_APIC_ACCESS ? part_other : NULL,
    };
    mmu_flush_all(&lab->mmu);
    mmu_switch(&lab->mmu);
    return lab;
}

START_TEST(local_apics_page_is_asked_each_time)
{
    struct part part = { .reads = 0 };
    struct lab *lab = lab_special(&part, SPECIAL_LAPIC, 0xfee00000);

    lab_map(lab, LINEAR, 12, 0xfee00000 | P | RW);
    ck_assert_uint_eq(mmu_load(&lab->mmu, LINEAR + 0x30, 4), 0x44332211);
    mmu_store(&lab->mmu, LINEAR + 0xb0, 0, 4);
    mmu_store(&lab->mmu, LINEAR + 0xb0, 0, 4);
    ck_assert_uint_eq(part.reads, 1);
    ck_assert_uint_eq(part.writes, 2);
    ck_assert_uint_eq(part.offset[1], 0xb0);
    ck_assert_uint_eq(part.size[1], 4);
    ck_assert_uint_eq(lab->mmu.walks, 1 + 1); /* the store sets the dirty flag */
    ck_assert_ptr_null(mmu_native(&lab->mmu, LINEAR, MMU_WRITE));
    lab_free(lab);
}
END_TEST

START_TEST(apic_access_page_in_ram_is_special_only_where_it_is_switched_on)
{
    struct part part = { .reads = 0 };
    struct lab *lab = lab_special(&part, SPECIAL_APIC_ACCESS, 0x9000);

    mmu_store(&lab->mmu, LINEAR + 0x80, 0x20, 4);
    ck_assert_uint_eq(part.writes, 1);
    ck_assert_uint_eq(bus_read(lab->bus, 0x9080, 4), 0);
    lab->mmu.special[SPECIAL_APIC_ACCESS].pa = MMU_NO_PAGE;
    mmu_switch(&lab->mmu); /* a VM exit: another context */
    mmu_store(&lab->mmu, LINEAR + 0x80, 0x30, 4);
    ck_assert_uint_eq(part.writes, 1);
    ck_assert_uint_eq(bus_read(lab->bus, 0x9080, 4), 0x30);
    lab->mmu.special[SPECIAL_APIC_ACCESS].pa = 0x9000;
    mmu_switch(&lab->mmu);
    mmu_load(&lab->mmu, LINEAR + 0x80, 4);
    ck_assert_uint_eq(part.reads, 1);
    lab_free(lab);
}
END_TEST

START_TEST(fetches_and_walks_on_the_apic_access_page_are_told)
{
    const uint8_t *native;
    struct part part = { .reads = 0 };
    struct lab *lab = lab_special(&part, SPECIAL_APIC_ACCESS, 0x9000);

    mmu_fetch(&lab->mmu, LINEAR + 0x123, &native);
    ck_assert_ptr_null(native);
    ck_assert_uint_eq(part.others, 1);
    ck_assert_uint_eq(part.offset[0], 0x123);
    ck_assert_uint_eq(part.kind, S2_FETCH);
    lab->mmu.special[SPECIAL_APIC_ACCESS].pa = ROOT;
    mmu_switch(&lab->mmu);
    mmu_load(&lab->mmu, NEXT, 4);
    ck_assert_uint_eq(part.others, 2);
    ck_assert(part.kind & S2_WALK);
    lab_free(lab);
}
END_TEST

/* ---- code pages and dirty tracking ---- */

START_TEST(every_store_to_a_code_page_is_told_and_takes_place)
{
    struct lab *lab = lab_two_pages();
    struct decoder d;

    decoder_on(&d, lab);
    mmu_store(&lab->mmu, LINEAR, 1, 4);
    ck_assert_uint_eq(*bus_page_flags(lab->bus, 0x9000), PAGE_WRITABLE | PAGE_DIRTY);
    bus_mark_code(lab->bus, 0x9000); /* withdraws the write tag */
    ck_assert_uint_eq(*bus_page_flags(lab->bus, 0x9000), PAGE_CODE | PAGE_DIRTY);
    mmu_store(&lab->mmu, LINEAR + 4, 2, 4);
    mmu_store(&lab->mmu, LINEAR + 8, 3, 8);
    ck_assert_uint_eq(d.written, 2);
    ck_assert_uint_eq(d.pa, 0x9008);
    ck_assert_uint_eq(d.size, 8);
    ck_assert_uint_eq(bus_read(lab->bus, 0x9008, 8), 3);
    ck_assert_ptr_null(mmu_native(&lab->mmu, LINEAR, MMU_WRITE));
    mmu_store(&lab->mmu, NEXT - 2, 0x01020304, 4); /* two bytes of it */
    ck_assert_uint_eq(d.written, 3);
    ck_assert_uint_eq(d.size, 2);
    ck_assert_uint_eq(lab->mmu.walks, 2);
    lab_free(lab);
}
END_TEST

START_TEST(write_tag_comes_back_when_the_code_is_gone)
{
    struct lab *lab = lab_two_pages();
    struct decoder d;

    decoder_on(&d, lab);
    bus_mark_code(lab->bus, 0x9000);
    d.drop = true;
    mmu_store(&lab->mmu, LINEAR, 1, 4);
    mmu_store(&lab->mmu, LINEAR, 2, 4);
    ck_assert_uint_eq(d.written, 1);
    ck_assert_uint_eq(tlb_at(lab->mmu.tlb, LINEAR)->write, LINEAR);
    ck_assert_uint_eq(*bus_page_flags(lab->bus, 0x9000), PAGE_WRITABLE | PAGE_DIRTY);
    lab_free(lab);
}
END_TEST

START_TEST(write_tags_are_withdrawn_in_every_view_and_context)
{
    struct lab *lab = lab_two_pages();
    struct decoder d;

    decoder_on(&d, lab);
    mmu_store(&lab->mmu, LINEAR, 1, 4);
    mmu_set_view(&lab->mmu, VIEW_USER);
    mmu_store(&lab->mmu, LINEAR, 1, 4);
    lab->mmu.paging.vpid = 5;
    mmu_switch(&lab->mmu);
    mmu_store(&lab->mmu, LINEAR, 1, 4);
    mmu_store(&lab->mmu, NEXT, 1, 4);
    bus_mark_code(lab->bus, 0x9000);
    mmu_store(&lab->mmu, LINEAR, 1, 4);
    ck_assert_uint_eq(d.written, 1);
    lab->mmu.paging.vpid = 0;
    mmu_switch(&lab->mmu);
    mmu_store(&lab->mmu, LINEAR, 1, 4);
    ck_assert_uint_eq(d.written, 2);
    mmu_set_view(&lab->mmu, VIEW_SUPERVISOR);
    mmu_store(&lab->mmu, LINEAR, 1, 4);
    ck_assert_uint_eq(d.written, 3);
    mmu_store(&lab->mmu, NEXT, 1, 4);
    ck_assert_uint_eq(d.written, 3);
    lab_free(lab);
}
END_TEST

START_TEST(reading_a_page_does_not_make_it_dirty)
{
    struct lab *lab = lab_two_pages();

    lab_map(lab, LINEAR, 12, 0x9000 | P | RW | A | D);
    mmu_load(&lab->mmu, LINEAR, 4);
    ck_assert_uint_eq(*bus_page_flags(lab->bus, 0x9000), 0);
    mmu_store(&lab->mmu, LINEAR, 1, 4);
    ck_assert_uint_eq(*bus_page_flags(lab->bus, 0x9000), PAGE_DIRTY | PAGE_WRITABLE);
    ck_assert_uint_eq(lab->mmu.walks, 1);
    lab_free(lab);
}
END_TEST

START_TEST(dirty_is_seen_again_after_tags_are_withdrawn)
{
    struct lab *lab = lab_two_pages();

    mmu_store(&lab->mmu, LINEAR, 1, 4);
    *bus_page_flags(lab->bus, 0x9000) = 0;
    mmu_protect_page(&lab->mmu, 0x9000);
    mmu_load(&lab->mmu, LINEAR, 4);
    ck_assert_uint_eq(*bus_page_flags(lab->bus, 0x9000), 0);
    mmu_store(&lab->mmu, LINEAR, 1, 4);
    ck_assert_uint_eq(*bus_page_flags(lab->bus, 0x9000), PAGE_DIRTY | PAGE_WRITABLE);
    lab_free(lab);
}
END_TEST

START_TEST(native_pointer_writes_count_as_writes)
{
    struct lab *lab = lab_two_pages();
    uint8_t *native = mmu_native(&lab->mmu, LINEAR + 0x10, MMU_WRITE);

    ck_assert_ptr_eq(native, bus_native(lab->bus, 0x9000) + 0x10);
    ck_assert_uint_eq(*bus_page_flags(lab->bus, 0x9000), PAGE_DIRTY | PAGE_WRITABLE);
    mmu_set_view(&lab->mmu, VIEW_USER_ALIGNED);
    ck_assert_ptr_null(mmu_native(&lab->mmu, LINEAR, MMU_READ));
    lab_free(lab);
}
END_TEST

Suite *suite_mmu_load_store(void)
{
    Suite *s = suite_create("mmu/load_store");
    TCase *t = tcase_create("accesses");

    tcase_add_test(t, load_and_store_of_every_size);
    tcase_add_test(t, access_that_crosses_pages_is_put_together);
    tcase_add_test(t, store_that_faults_on_the_second_page_writes_nothing);
    tcase_add_test(t, access_that_leaves_the_canonical_addresses_faults_before_either_page);
    tcase_add_test(t, access_wraps_at_4_gib_without_long_mode);
    tcase_add_test(t, rmw_load_faults_like_a_store);
    tcase_add_test(t, system_accesses_are_supervisors_in_any_view);
    tcase_add_test(t, alignment_is_checked_in_the_aligned_view_only);
    tcase_add_test(t, bytes_cross_pages_and_devices);
    tcase_add_test(t, mmio_is_asked_each_time_and_walked_once);
    tcase_add_test(t, device_may_unmap_itself_while_it_is_written);
    tcase_add_test(t, rom_is_read_and_fetched_natively_and_never_written);
    tcase_add_test(t, fetch_gives_the_native_page);
    tcase_add_test(t, probe_raises_and_does_nothing_else);
    suite_add_tcase(s, t);
    t = tcase_create("special pages");
    tcase_add_test(t, local_apics_page_is_asked_each_time);
    tcase_add_test(t, apic_access_page_in_ram_is_special_only_where_it_is_switched_on);
    tcase_add_test(t, fetches_and_walks_on_the_apic_access_page_are_told);
    suite_add_tcase(s, t);
    t = tcase_create("code pages");
    tcase_add_test(t, every_store_to_a_code_page_is_told_and_takes_place);
    tcase_add_test(t, write_tag_comes_back_when_the_code_is_gone);
    tcase_add_test(t, write_tags_are_withdrawn_in_every_view_and_context);
    tcase_add_test(t, reading_a_page_does_not_make_it_dirty);
    tcase_add_test(t, dirty_is_seen_again_after_tags_are_withdrawn);
    tcase_add_test(t, native_pointer_writes_count_as_writes);
    suite_add_tcase(s, t);
    return s;
}
