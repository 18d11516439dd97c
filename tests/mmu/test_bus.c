/* [mmu/bus.h] RAM, ROM and device ranges; splitting; code and dirty pages. */
#include "tests/mmu/mmu_lab.h"

/* a part that remembers what it was asked */
struct probe_part {
    unsigned calls;
    uint64_t offset[16], value[16];
    unsigned size[16];
    uint64_t answer; /* byte i of the part reads as byte i % 8 of this */
};

static uint64_t probe_read(void *owner, uint64_t offset, unsigned size)
{
    struct probe_part *p = owner;
    uint64_t v = 0;

    p->offset[p->calls] = offset;
    p->size[p->calls++] = size;
    for (unsigned i = 0; i < size; i++)
        v |= (p->answer >> 8 * ((offset + i) % 8) & 0xff) << 8 * i;
    return v;
}

static void probe_write(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
    struct probe_part *p = owner;

    p->offset[p->calls] = offset;
    p->size[p->calls] = size;
    p->value[p->calls++] = value;
}

static const struct io_ops probe_any = { probe_read, probe_write, 0 };
static const struct io_ops probe_8 = { probe_read, probe_write, SIZE_8 };
static const struct io_ops probe_32 = { probe_read, probe_write, SIZE_32 };

static struct bus *test_bus(void)
{
    struct bus *b = bus_create();
    struct err e;

    ck_assert(bus_add_ram(b, 9 * MIB, 8 * MIB, &e));
    return b;
}

START_TEST(ram_continues_at_4_gib)
{
    struct bus *b = test_bus();

    bus_write(b, 8 * MIB - 8, 0x1122334455667788, 8);
    bus_write(b, 4 * GIB, 0xcafe, 2);
    ck_assert_uint_eq(bus_read(b, 8 * MIB - 8, 8), 0x1122334455667788);
    ck_assert_uint_eq(bus_read(b, 4 * GIB, 2), 0xcafe);
    ck_assert_uint_eq(bus_ram_size(b), 9 * MIB);
    ck_assert_ptr_eq(bus_native(b, 4 * GIB), bus_native(b, 8 * MIB - 1) + 4096);
    ck_assert_ptr_null(bus_native(b, 4 * GIB + MIB));
    bus_destroy(b);
}
END_TEST

START_TEST(nothing_reads_as_ones_and_ignores_writes)
{
    struct bus *b = test_bus();

    bus_write(b, 8 * MIB, 0, 4);
    ck_assert_uint_eq(bus_read(b, 8 * MIB, 1), 0xff);
    ck_assert_uint_eq(bus_read(b, 8 * MIB, 8), UINT64_MAX);
    ck_assert_uint_eq(bus_read(b, UINT64_MAX - 7, 4), 0xffffffff);
    ck_assert_ptr_null(bus_page_flags(b, 8 * MIB));
    bus_destroy(b);
}
END_TEST

START_TEST(rom_hides_ram_until_it_is_unmapped)
{
    static uint8_t rom[0x2000] = { 0x55, 0xaa };
    struct bus *b = test_bus();

    bus_write(b, 0xc0000, 0x1234, 2);
    bus_map_rom(b, 0xc0000, rom, sizeof rom, "rom");
    ck_assert_uint_eq(bus_read(b, 0xc0000, 2), 0xaa55);
    bus_write(b, 0xc0000, 0, 2);
    ck_assert_uint_eq(bus_read(b, 0xc0000, 2), 0xaa55);
    ck_assert_ptr_null(bus_native(b, 0xc1fff));
    ck_assert_ptr_eq(bus_native_rom(b, 0xc1fff), rom + 0x1000);
    ck_assert_ptr_nonnull(bus_native(b, 0xc2000));
    ck_assert_ptr_nonnull(bus_native(b, 0xbffff));
    bus_unmap(b, 0xc0000, sizeof rom, NULL);
    ck_assert_uint_eq(bus_read(b, 0xc0000, 2), 0x1234);
    ck_assert_ptr_nonnull(bus_native(b, 0xc0000));
    bus_destroy(b);
}
END_TEST

START_TEST(later_mapping_wins_and_unmapping_uncovers)
{
    struct probe_part one = { .answer = 0x1111111111111111 },
                      two = { .answer = 0x2222222222222222 };
    struct bus *b = test_bus();

    bus_map(b, 0xe0000000, 0x3000, "one", &probe_any, &one);
    bus_map(b, 0xe0001000, 0x1000, "two", &probe_any, &two);
    ck_assert_uint_eq(bus_read(b, 0xe0000ffc, 4), 0x11111111);
    ck_assert_uint_eq(bus_read(b, 0xe0001004, 4), 0x22222222);
    ck_assert_uint_eq(two.offset[0], 4);
    ck_assert_uint_eq(bus_read(b, 0xe0002008, 4), 0x11111111);
    ck_assert_uint_eq(one.offset[1], 0x2008);
    bus_unmap(b, 0xe0000000, 0x3000, &two);
    ck_assert_uint_eq(bus_read(b, 0xe0001004, 4), 0x11111111);
    bus_destroy(b);
}
END_TEST

START_TEST(unmapping_the_middle_leaves_both_ends)
{
    struct probe_part p = { .answer = 0 };
    struct bus *b = test_bus();

    bus_map(b, 0xe0000000, 0x3000, "p", &probe_any, &p);
    bus_unmap(b, 0xe0001000, 0x1000, &p);
    ck_assert_uint_eq(bus_read(b, 0xe0000000, 1), 0);
    ck_assert_uint_eq(bus_read(b, 0xe0001000, 1), 0xff);
    ck_assert_uint_eq(bus_read(b, 0xe0002010, 1), 0);
    ck_assert_uint_eq(p.offset[1], 0x2010);
    bus_destroy(b);
}
END_TEST

START_TEST(rest_of_a_small_devices_page_reads_as_ones)
{
    struct probe_part p = { .answer = 0 };
    struct bus *b = test_bus();

    bus_map(b, 0x200000, 0x10, "small", &probe_any, &p);
    ck_assert_uint_eq(bus_read(b, 0x20000c, 4), 0);
    ck_assert_uint_eq(bus_read(b, 0x200010, 4), 0xffffffff);
    ck_assert_uint_eq(bus_read(b, 0x20000e, 4), 0xffff0000);
    ck_assert_ptr_null(bus_native(b, 0x200000));
    ck_assert_ptr_nonnull(bus_native(b, 0x201000));
    bus_destroy(b);
}
END_TEST

START_TEST(range_may_end_at_the_last_address)
{
    struct probe_part p = { .answer = 0 };
    struct bus *b = test_bus();

    bus_map(b, UINT64_MAX - 0xfff, 0x1000, "top", &probe_any, &p);
    ck_assert_uint_eq(bus_read(b, UINT64_MAX, 1), 0);
    ck_assert_uint_eq(bus_read(b, UINT64_MAX - 0x1000, 1), 0xff);
    bus_unmap(b, UINT64_MAX - 0xfff, 0x1000, &p);
    ck_assert_uint_eq(bus_read(b, UINT64_MAX, 1), 0xff);
    bus_destroy(b);
}
END_TEST

START_TEST(wide_access_is_split_low_address_first)
{
    struct probe_part p = { .answer = 0x8877665544332211 };
    struct bus *b = test_bus();

    bus_map(b, 0xe0000000, 0x1000, "p", &probe_8, &p);
    ck_assert_uint_eq(bus_read(b, 0xe0000002, 4), 0x66554433);
    ck_assert_uint_eq(p.calls, 4);
    ck_assert_uint_eq(p.offset[0], 2);
    ck_assert_uint_eq(p.offset[3], 5);
    p.calls = 0;
    bus_write(b, 0xe0000000, 0xaabb, 2);
    ck_assert_uint_eq(p.calls, 2);
    ck_assert_uint_eq(p.value[0], 0xbb);
    ck_assert_uint_eq(p.value[1], 0xaa);
    bus_destroy(b);
}
END_TEST

START_TEST(narrow_read_takes_bytes_of_the_aligned_unit)
{
    struct probe_part p = { .answer = 0x8877665544332211 };
    struct bus *b = test_bus();

    bus_map(b, 0xe0000000, 0x1000, "p", &probe_32, &p);
    ck_assert_uint_eq(bus_read(b, 0xe0000006, 1), 0x77);
    ck_assert_uint_eq(p.calls, 1);
    ck_assert_uint_eq(p.offset[0], 4);
    ck_assert_uint_eq(p.size[0], 4);
    ck_assert_uint_eq(bus_read(b, 0xe0000003, 2), 0x5544);
    ck_assert_uint_eq(p.calls, 3);
    bus_write(b, 0xe0000006, 0x1ff, 1);
    ck_assert_uint_eq(p.size[3], 1);
    ck_assert_uint_eq(p.value[3], 0xff);
    bus_destroy(b);
}
END_TEST

START_TEST(dma_goes_through_any_mix_of_ranges)
{
    struct probe_part p = { .answer = 0x0807060504030201 };
    uint8_t bytes[0x1020];
    struct bus *b = test_bus();

    bus_map(b, 0x201000, 0x1000, "p", &probe_any, &p);
    memset(bytes, 0x5a, sizeof bytes);
    bus_write_bytes(b, 0x200ff8, bytes, 0x10);
    ck_assert_uint_eq(p.calls, 1);
    ck_assert_uint_eq(p.value[0], 0x5a5a5a5a5a5a5a5a);
    bus_read_bytes(b, 0x200ffe, bytes, 7);
    ck_assert_uint_eq(bytes[1], 0x5a);
    ck_assert_uint_eq(bytes[2], 1);
    ck_assert_uint_eq(bytes[6], 5);
    bus_unmap(b, 0x201000, 0x1000, &p);
    memset(bytes, 0xa5, sizeof bytes);
    bus_write_bytes(b, 0x200ff0, bytes, sizeof bytes);
    ck_assert_uint_eq(bus_read(b, 0x20200f, 1), 0xa5);
    ck_assert_uint_eq(bus_read(b, 0x202010, 1), 0);
    bus_destroy(b);
}
END_TEST

struct ear {
    struct bus_listener l;
    unsigned written, protected, changed, closed, size;
    bool keep; /* has code left */
    uint64_t pa;
};

static bool ear_written(void *owner, uint64_t pa, unsigned size)
{
    struct ear *e = owner;

    e->written++;
    e->pa = pa;
    e->size = size;
    return e->keep;
}

static void ear_protect(void *owner, uint64_t pa)
{
    struct ear *e = owner;

    e->protected ++;
    e->pa = pa;
}

static void ear_changed(void *owner)
{
    ((struct ear *)owner)->changed++;
}

static void ear_on(struct ear *e, struct bus *b)
{
    e->l = (struct bus_listener){ .owner = e,
                                  .code_written = ear_written,
                                  .protect_page = ear_protect,
                                  .map_changed = ear_changed };
    bus_listen(b, &e->l);
}

START_TEST(write_to_a_code_page_is_told_and_dirties)
{
    struct ear e = { .written = 0 };
    struct bus *b = test_bus();

    ear_on(&e, b);
    bus_write(b, 0x5000, 1, 1);
    ck_assert_uint_eq(e.written, 0);
    ck_assert_uint_eq(*bus_page_flags(b, 0x5000), PAGE_DIRTY);
    e.keep = true;
    bus_mark_code(b, 0x6123);
    bus_write(b, 0x6ffc, 1, 4);
    ck_assert_uint_eq(e.written, 1);
    ck_assert_uint_eq(e.pa, 0x6ffc);
    ck_assert_uint_eq(e.size, 4);
    bus_write_bytes(b, 0x5ff0, "01234567890123456789", 20);
    ck_assert_uint_eq(e.written, 2);
    ck_assert_uint_eq(e.pa, 0x6000);
    ck_assert_uint_eq(e.size, 4);
    bus_unmark_code(b, 0x6000);
    bus_write(b, 0x6000, 1, 4);
    ck_assert_uint_eq(e.written, 2);
    bus_destroy(b);
}
END_TEST

START_TEST(page_is_code_until_nobody_has_code_on_it)
{
    struct ear one = { .keep = true }, two = { .keep = false };
    struct bus *b = test_bus();

    ear_on(&one, b);
    ear_on(&two, b);
    bus_mark_code(b, 0x6000);
    bus_write(b, 0x6000, 1, 4);
    ck_assert_uint_eq(*bus_page_flags(b, 0x6000), PAGE_CODE | PAGE_DIRTY);
    one.keep = false;
    bus_write(b, 0x6000, 1, 4);
    ck_assert_uint_eq(*bus_page_flags(b, 0x6000), PAGE_DIRTY);
    bus_write(b, 0x6000, 1, 4);
    ck_assert_uint_eq(one.written, 2);
    ck_assert_uint_eq(two.written, 2);
    bus_destroy(b);
}
END_TEST

static bool ear_may_open(void *owner, uint64_t pa, unsigned size)
{
    return ((struct ear *)owner)->keep;
}

static void ear_closed(void *owner, uint64_t pa)
{
    ((struct ear *)owner)->closed++;
}

START_TEST(page_is_open_from_a_store_to_a_fetch_if_all_agree)
{
    struct ear one = { .keep = false }, two = { .keep = true };
    struct bus *b = test_bus();

    ear_on(&one, b);
    ear_on(&two, b);
    two.l.may_open = one.l.may_open = ear_may_open;
    two.l.closed = ear_closed;
    bus_mark_code(b, 0x6000);
    bus_open_code(b, 0x6123, 4);
    ck_assert_uint_eq(*bus_page_flags(b, 0x6000), PAGE_CODE);
    one.keep = true;
    bus_open_code(b, 0x6123, 4);
    ck_assert_uint_eq(*bus_page_flags(b, 0x6000), PAGE_OPEN);
    bus_write(b, 0x6000, 1, 4);
    ck_assert_uint_eq(two.written, 0);
    bus_close_code(b, 0x6456);
    ck_assert_uint_eq(*bus_page_flags(b, 0x6000), PAGE_CODE | PAGE_DIRTY);
    ck_assert_uint_eq(two.closed, 1);
    bus_open_code(b, 0x6123, 4);
    bus_mark_code(b, 0x6000);
    ck_assert_uint_eq(two.closed, 2);
    one.l.may_open = NULL; /* wants to be told */
    bus_open_code(b, 0x6123, 4);
    ck_assert_uint_eq(*bus_page_flags(b, 0x6000), PAGE_CODE | PAGE_DIRTY);
    bus_destroy(b);
}
END_TEST

START_TEST(marking_code_withdraws_write_tags_only_if_there_may_be_some)
{
    struct ear e = { .written = 0 };
    struct bus *b = test_bus();

    ear_on(&e, b);
    bus_mark_code(b, 0x6000);
    ck_assert_uint_eq(e.protected, 0);
    *bus_page_flags(b, 0x7000) |= PAGE_WRITABLE;
    bus_mark_code(b, 0x7abc);
    ck_assert_uint_eq(e.protected, 1);
    ck_assert_uint_eq(e.pa, 0x7000);
    ck_assert_uint_eq(*bus_page_flags(b, 0x7000), PAGE_CODE);
    bus_unlisten(b, &e.l);
    *bus_page_flags(b, 0x7000) |= PAGE_WRITABLE;
    bus_mark_code(b, 0x7abc);
    ck_assert_uint_eq(e.protected, 1);
    bus_destroy(b);
}
END_TEST

START_TEST(changes_of_the_map_are_told)
{
    struct ear e = { .written = 0 };
    struct probe_part p = { .answer = 0 };
    struct bus *b = test_bus();

    ear_on(&e, b);
    bus_map(b, 0xe0000000, 0x1000, "p", &probe_any, &p);
    bus_unmap(b, 0xe0000000, 0x1000, &p);
    ck_assert_uint_eq(e.changed, 2);
    bus_destroy(b);
}
END_TEST

START_TEST(impossible_ram_is_refused_with_an_explanation)
{
    struct bus *b = bus_create();
    struct err e = { "" };

    ck_assert(!bus_add_ram(b, UINT64_C(1) << 62, GIB, &e));
    ck_assert_ptr_nonnull(strstr(e.text, "use a smaller size"));
    bus_destroy(b);
}
END_TEST

Suite *suite_mmu_bus(void)
{
    Suite *s = suite_create("mmu/bus");
    TCase *t = tcase_create("bus");

    tcase_add_test(t, ram_continues_at_4_gib);
    tcase_add_test(t, nothing_reads_as_ones_and_ignores_writes);
    tcase_add_test(t, rom_hides_ram_until_it_is_unmapped);
    tcase_add_test(t, later_mapping_wins_and_unmapping_uncovers);
    tcase_add_test(t, unmapping_the_middle_leaves_both_ends);
    tcase_add_test(t, rest_of_a_small_devices_page_reads_as_ones);
    tcase_add_test(t, range_may_end_at_the_last_address);
    tcase_add_test(t, wide_access_is_split_low_address_first);
    tcase_add_test(t, narrow_read_takes_bytes_of_the_aligned_unit);
    tcase_add_test(t, dma_goes_through_any_mix_of_ranges);
    tcase_add_test(t, write_to_a_code_page_is_told_and_dirties);
    tcase_add_test(t, page_is_code_until_nobody_has_code_on_it);
    tcase_add_test(t, page_is_open_from_a_store_to_a_fetch_if_all_agree);
    tcase_add_test(t, marking_code_withdraws_write_tags_only_if_there_may_be_some);
    tcase_add_test(t, changes_of_the_map_are_told);
    tcase_add_test(t, impossible_ram_is_refused_with_an_explanation);
    suite_add_tcase(s, t);
    return s;
}
