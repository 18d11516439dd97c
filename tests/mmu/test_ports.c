/* [mmu/ports.h] The I/O ports. */
#include <check.h>
#include <stdlib.h>

#include "mmu/ports.h"

struct port_part {
    unsigned calls, size;
    uint64_t offset, value, answer;
};

static uint64_t port_part_read(void *owner, uint64_t offset, unsigned size)
{
    struct port_part *p = owner;

    p->calls++;
    p->offset = offset;
    p->size = size;
    return p->answer;
}

static void port_part_write(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
    struct port_part *p = owner;

    p->calls++;
    p->offset = offset;
    p->size = size;
    p->value = value;
}

static const struct io_ops port_ops = { port_part_read, port_part_write, 0 };

START_TEST(unmapped_port_reads_as_ones)
{
    struct ports *p = ports_create();

    ck_assert_uint_eq(ports_read(p, 0x80, 1), 0xff);
    ck_assert_uint_eq(ports_read(p, 0x80, 2), 0xffff);
    ck_assert_uint_eq(ports_read(p, 0xffff, 4), 0xffffffff);
    ports_write(p, 0xffff, 0, 4);
    ports_destroy(p);
}
END_TEST

START_TEST(access_reaches_the_part_with_its_offset_and_size)
{
    struct port_part part = { .answer = 0xfffffff12345678 };
    struct ports *p = ports_create();

    ports_map(p, 0xcf8, 8, "pci", &port_ops, &part);
    ck_assert_uint_eq(ports_read(p, 0xcfc, 4), 0x12345678);
    ck_assert_uint_eq(part.offset, 4);
    ck_assert_uint_eq(part.size, 4);
    ports_write(p, 0xcf9, 0xffff06, 1);
    ck_assert_uint_eq(part.offset, 1);
    ck_assert_uint_eq(part.value, 6);
    ports_destroy(p);
}
END_TEST

START_TEST(access_across_the_end_goes_byte_by_byte)
{
    struct port_part one = { .answer = 0x11 }, two = { .answer = 0x22 };
    struct ports *p = ports_create();

    ports_map(p, 0x60, 1, "one", &port_ops, &one);
    ports_map(p, 0x62, 1, "two", &port_ops, &two);
    ck_assert_uint_eq(ports_read(p, 0x60, 4), 0xff22ff11);
    ports_write(p, 0x60, 0x04030201, 4);
    ck_assert_uint_eq(one.value, 1);
    ck_assert_uint_eq(two.value, 3);
    ports_destroy(p);
}
END_TEST

START_TEST(later_mapping_wins_until_its_owner_leaves)
{
    struct port_part one = { .answer = 0x11 }, two = { .answer = 0x22 };
    struct ports *p = ports_create();

    ports_map(p, 0xc000, 0x40, "one", &port_ops, &one);
    ports_map(p, 0xc010, 0x10, "two", &port_ops, &two);
    ck_assert_uint_eq(ports_read(p, 0xc00f, 1), 0x11);
    ck_assert_uint_eq(ports_read(p, 0xc010, 1), 0x22);
    ck_assert_uint_eq(two.offset, 0);
    ck_assert_uint_eq(ports_read(p, 0xc020, 1), 0x11);
    ports_unmap(p, 0xc000, 0x40, &two);
    ck_assert_uint_eq(ports_read(p, 0xc010, 1), 0x11);
    ck_assert_uint_eq(one.offset, 0x10);
    ports_destroy(p);
}
END_TEST

START_TEST(unmapping_the_middle_leaves_both_ends)
{
    struct port_part one = { .answer = 0x11 };
    struct ports *p = ports_create();

    ports_map(p, 0xc000, 0x40, "one", &port_ops, &one);
    ports_unmap(p, 0xc010, 0x10, &one);
    ck_assert_uint_eq(ports_read(p, 0xc00f, 1), 0x11);
    ck_assert_uint_eq(ports_read(p, 0xc010, 1), 0xff);
    ck_assert_uint_eq(ports_read(p, 0xc020, 1), 0x11);
    ck_assert_uint_eq(one.offset, 0x20);
    ports_unmap(p, 0xc000, 0x10, &one);
    ports_unmap(p, 0xc030, 0x20, &one);
    ck_assert_uint_eq(ports_read(p, 0xc000, 1), 0xff);
    ck_assert_uint_eq(ports_read(p, 0xc02f, 1), 0x11);
    ck_assert_uint_eq(ports_read(p, 0xc030, 1), 0xff);
    ports_destroy(p);
}
END_TEST

START_TEST(all_ports_can_be_shown)
{
    struct port_part one = { .answer = 0x11 };
    struct ports *p = ports_create();
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    ports_map(p, 0xfff0, 0x10, "top", &port_ops, &one);
    ports_map(p, 0, 0x10, "bottom", &port_ops, &one);
    ports_show(p, out);
    fclose(out);
    ck_assert_str_eq(text, "0000-000f bottom\nfff0-ffff top\n");
    free(text);
    ports_destroy(p);
}
END_TEST

Suite *suite_mmu_ports(void)
{
    Suite *s = suite_create("mmu/ports");
    TCase *t = tcase_create("ports");

    tcase_add_test(t, unmapped_port_reads_as_ones);
    tcase_add_test(t, access_reaches_the_part_with_its_offset_and_size);
    tcase_add_test(t, access_across_the_end_goes_byte_by_byte);
    tcase_add_test(t, later_mapping_wins_until_its_owner_leaves);
    tcase_add_test(t, unmapping_the_middle_leaves_both_ends);
    tcase_add_test(t, all_ports_can_be_shown);
    suite_add_tcase(s, t);
    return s;
}
