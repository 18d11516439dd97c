/* Virtio disk: requests against a disk in memory that can be told to fail. */
#include "devices/virtio_blk.h"
#include "tests/devices/virtio_driver.h"

enum {
    DISK_BYTES = 64 * 1024 + 300, /* the odd bytes are no sector */
    HEADER = 0x40000,
    DATA = 0x41000,
    STATUS = 0x40100,
    LATENCY = 20000,
};

static struct pci_lab *lab;
static struct driver d;
static struct {
    uint8_t bytes[DISK_BYTES];
    enum block_result result;
    unsigned flushes, reads, writes;
} disk;

static enum block_result disk_read(void *owner, uint64_t offset, uint8_t *bytes, size_t count)
{
    ck_assert(offset % 512 == 0 && count % 512 == 0 && offset + count <= DISK_BYTES);
    disk.reads++;
    memcpy(bytes, disk.bytes + offset, count);
    return disk.result;
}

static enum block_result disk_write(void *owner, uint64_t offset, const uint8_t *bytes,
                                    size_t count)
{
    ck_assert(offset % 512 == 0 && count % 512 == 0 && offset + count <= DISK_BYTES);
    disk.writes++;
    if (disk.result == BLOCK_OK)
        memcpy(disk.bytes + offset, bytes, count);
    return disk.result;
}

static enum block_result disk_flush(void *owner)
{
    disk.flushes++;
    return disk.result;
}

static void setup_with(bool read_only)
{
    struct block_backend backend = { .size = DISK_BYTES,
                                     .read_only = read_only,
                                     .read = disk_read,
                                     .write = disk_write,
                                     .flush = disk_flush };

    memset(&disk, 0, sizeof disk);
    for (unsigned i = 0; i < DISK_BYTES; i++)
        disk.bytes[i] = (uint8_t)(i / 512 + 1);
    lab = lab_create();
    drv_attach(&d, lab, virtio_blk_create("disk0", &lab->host, lab->bus, SLOT_5, &backend));
}

static void setup(void)
{
    setup_with(false);
    drv_start(&d, 0, 1);
}

static void setup_read_only(void)
{
    setup_with(true);
    drv_start(&d, 0, 1);
}

static void teardown(void)
{
    device_destroy(d.dev);
    lab_destroy(lab);
}

/* header in descriptor 0, data in 1, status in 2 */
static void submit(uint32_t type, uint64_t sector, uint32_t bytes, bool device_writes)
{
    uint16_t write = device_writes ? DESC_WRITE_FLAG : 0;

    drv_write(&d, HEADER, type, 8);
    drv_write(&d, HEADER + 8, sector, 8);
    drv_write(&d, STATUS, 0xff, 1);
    drv_desc(&d, 0, 0, HEADER, 16, DESC_NEXT_FLAG, bytes ? 1 : 2);
    drv_desc(&d, 0, 1, DATA, bytes, DESC_NEXT_FLAG | write, 2);
    drv_desc(&d, 0, 2, STATUS, 1, DESC_WRITE_FLAG, 0);
    drv_offer(&d, 0, 0);
    drv_kick(&d, 0);
}

/* submit, wait; the status byte */
static uint8_t request(uint32_t type, uint64_t sector, uint32_t bytes, bool device_writes)
{
    submit(type, sector, bytes, device_writes);
    lab_advance(lab, 100 * LATENCY);
    return (uint8_t)drv_read(&d, STATUS, 1);
}

START_TEST(the_configuration_tells_capacity_and_limits)
{
    ck_assert_uint_eq(drv_read(&d, d.config, 8), 128);
    ck_assert_uint_eq(drv_read(&d, d.config + 8, 4), 128 * 1024);
    ck_assert_uint_eq(drv_read(&d, d.config + 12, 4), 254);
    ck_assert_uint_eq(drv_read(&d, d.config + 20, 4), 512);
    ck_assert_uint_eq(drv_read(&d, d.config + 34, 2), 1);
    ck_assert_uint_eq(drv_read(&d, d.config + 64, 8), 0);
    ck_assert_uint_eq(drv_offered(&d) & 0xffffff, 1 << 1 | 1 << 2 | 1 << 6 | 1 << 9);
}
END_TEST

START_TEST(a_read_returns_the_sectors_and_their_length)
{
    ck_assert_uint_eq(request(0, 2, 1024, true), 0);
    ck_assert_uint_eq(drv_read(&d, DATA, 1), 3);
    ck_assert_uint_eq(drv_read(&d, DATA + 1023, 1), 4);
    ck_assert_uint_eq(drv_used_entry(&d, 0, 0), UINT64_C(1025) << 32);
}
END_TEST

START_TEST(a_write_reaches_the_disk)
{
    for (unsigned i = 0; i < 512; i += 8)
        drv_write(&d, DATA + i, UINT64_C(0x1122334455667788), 8);
    ck_assert_uint_eq(request(1, 127, 512, false), 0);
    ck_assert_uint_eq(disk.bytes[127 * 512], 0x88);
    ck_assert_uint_eq(disk.bytes[127 * 512 + 511], 0x11);
    ck_assert_uint_eq(disk.bytes[126 * 512 + 511], 127);
    ck_assert_uint_eq(drv_used_entry(&d, 0, 0), UINT64_C(1) << 32);
}
END_TEST

START_TEST(a_request_completes_after_its_latency_and_not_before)
{
    submit(0, 0, 512, true);
    lab_advance(lab, LATENCY - 1);
    ck_assert_uint_eq(drv_used(&d, 0), 0);
    lab_advance(lab, 1);
    ck_assert_uint_eq(drv_used(&d, 0), 1);
    ck_assert(lab->bus->pirq[5].level);
}
END_TEST

START_TEST(a_second_request_waits_for_the_bytes_of_the_first)
{
    submit(0, 0, 4096, true);
    drv_offer(&d, 0, 0);
    lab_advance(lab, LATENCY);
    ck_assert_uint_eq(drv_used(&d, 0), 1);
    lab_advance(lab, LATENCY + 8 * 256 - 1);
    ck_assert_uint_eq(drv_used(&d, 0), 1);
    lab_advance(lab, 1);
    ck_assert_uint_eq(drv_used(&d, 0), 2);
}
END_TEST

START_TEST(while_busy_the_disk_wants_no_notification)
{
    submit(0, 0, 512, true);
    ck_assert_uint_eq(drv_read(&d, RING_USED(0), 2), 1);
    lab_advance(lab, 10 * LATENCY);
    ck_assert_uint_eq(drv_read(&d, RING_USED(0), 2), 0);
}
END_TEST

START_TEST(flush_reaches_the_backend)
{
    ck_assert_uint_eq(request(4, 0, 0, false), 0);
    ck_assert_uint_eq(disk.flushes, 1);
}
END_TEST

START_TEST(get_id_returns_the_name_padded_with_zeros)
{
    char id[20];

    ck_assert_uint_eq(request(8, 0, 20, true), 0);
    bus_read_bytes(lab->host.bus, DATA, id, 20);
    ck_assert_mem_eq(id, "disk0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
    ck_assert_uint_eq(request(8, 0, 3, true), 0);
    ck_assert_uint_eq(drv_used_entry(&d, 0, 1), UINT64_C(4) << 32);
}
END_TEST

START_TEST(an_unknown_request_is_unsupported)
{
    ck_assert_uint_eq(request(13, 0, 512, false), 2);
    ck_assert_uint_eq(request(0xffffffff, 0, 512, false), 2);
}
END_TEST

START_TEST(a_range_beyond_the_disk_is_an_error)
{
    ck_assert_uint_eq(request(0, 128, 512, true), 1);
    ck_assert_uint_eq(request(0, 127, 1024, true), 1);
    ck_assert_uint_eq(request(0, UINT64_MAX, 512, true), 1);
    ck_assert_uint_eq(request(1, UINT64_MAX / 512, 1024, false), 1);
    ck_assert_uint_eq(disk.reads + disk.writes, 0);
    ck_assert_uint_eq(drv_status(&d), 15);
}
END_TEST

START_TEST(a_length_that_is_no_sectors_is_an_error)
{
    ck_assert_uint_eq(request(0, 0, 100, true), 1);
    ck_assert_uint_eq(request(1, 0, 513, false), 1);
}
END_TEST

START_TEST(a_failing_backend_is_an_io_error)
{
    static const enum block_result results[] = { BLOCK_IO_ERROR, BLOCK_READ_ONLY, BLOCK_NO_SPACE };

    for (unsigned i = 0; i < 3; i++) {
        disk.result = results[i];
        ck_assert_uint_eq(request(0, 0, 512, true), 1);
        ck_assert_uint_eq(request(1, 0, 512, false), 1);
        ck_assert_uint_eq(request(4, 0, 0, false), 1);
    }
    ck_assert_uint_eq(drv_used_entry(&d, 0, 0), UINT64_C(1) << 32); /* no data */
}
END_TEST

START_TEST(a_read_only_disk_says_so_and_refuses_writes)
{
    ck_assert_uint_eq(drv_offered(&d) & 1 << 5, 1 << 5);
    ck_assert_uint_eq(request(1, 0, 512, false), 1);
    ck_assert_uint_eq(disk.writes, 0);
    ck_assert_uint_eq(request(0, 0, 512, true), 0);
}
END_TEST

START_TEST(header_data_and_status_may_be_cut_anywhere)
{
    drv_write(&d, HEADER, 0, 8);
    drv_write(&d, HEADER + 8, 1, 8);
    drv_desc(&d, 0, 0, HEADER, 5, DESC_NEXT_FLAG, 1);
    drv_desc(&d, 0, 1, HEADER + 5, 11, DESC_NEXT_FLAG, 2);
    drv_desc(&d, 0, 2, DATA, 100, DESC_NEXT_FLAG | DESC_WRITE_FLAG, 3);
    drv_desc(&d, 0, 3, DATA + 0x1000, 413, DESC_WRITE_FLAG, 0); /* ends with the status */
    drv_offer(&d, 0, 0);
    drv_kick(&d, 0);
    lab_advance(lab, LATENCY);
    ck_assert_uint_eq(drv_used_entry(&d, 0, 0), UINT64_C(513) << 32);
    ck_assert_uint_eq(drv_read(&d, DATA + 99, 1), 2);
    ck_assert_uint_eq(drv_read(&d, DATA + 0x1000 + 410, 4), 0x000202); /* data, status */
}
END_TEST

static void expect_failed(void)
{
    lab_advance(lab, 10 * LATENCY);
    ck_assert_uint_eq(drv_status(&d), 15 | 0x40);
    ck_assert_uint_eq(drv_used(&d, 0), 0);
}

START_TEST(a_request_without_a_whole_header_fails_the_device)
{
    drv_desc(&d, 0, 0, HEADER, 15, DESC_NEXT_FLAG, 1);
    drv_desc(&d, 0, 1, STATUS, 1, DESC_WRITE_FLAG, 0);
    drv_offer(&d, 0, 0);
    drv_kick(&d, 0);
    expect_failed();
}
END_TEST

START_TEST(a_request_without_room_for_the_status_fails_the_device)
{
    drv_desc(&d, 0, 0, HEADER, 16, 0, 0);
    drv_offer(&d, 0, 0);
    drv_kick(&d, 0);
    expect_failed();
}
END_TEST

START_TEST(a_write_from_outside_ram_fails_the_device_before_the_disk_changes)
{
    drv_write(&d, HEADER, 1, 8);
    drv_write(&d, HEADER + 8, 0, 8);
    drv_desc(&d, 0, 0, HEADER, 16, DESC_NEXT_FLAG, 1);
    drv_desc(&d, 0, 1, DATA, 512, DESC_NEXT_FLAG, 2);
    drv_desc(&d, 0, 2, LAB_RAM, 512, DESC_NEXT_FLAG, 3);
    drv_desc(&d, 0, 3, STATUS, 1, DESC_WRITE_FLAG, 0);
    drv_offer(&d, 0, 0);
    drv_kick(&d, 0);
    expect_failed();
    ck_assert_uint_eq(disk.writes, 0);
}
END_TEST

START_TEST(a_request_larger_than_the_limits_is_an_error)
{
    drv_write(&d, HEADER, 0, 8);
    drv_write(&d, HEADER + 8, 0, 8);
    drv_desc(&d, 0, 0, HEADER, 16, DESC_NEXT_FLAG, 1);
    drv_desc(&d, 0, 1, DATA, 0xfffffe00, DESC_NEXT_FLAG | DESC_WRITE_FLAG, 2);
    drv_desc(&d, 0, 2, STATUS, 1, DESC_WRITE_FLAG, 0);
    drv_offer(&d, 0, 0);
    drv_kick(&d, 0);
    lab_advance(lab, LATENCY);
    ck_assert_uint_eq(drv_read(&d, STATUS, 1), 1);
    ck_assert_uint_eq(disk.reads, 0);
}
END_TEST

START_TEST(a_reset_by_the_driver_drops_what_waits)
{
    submit(1, 0, 512, false);
    drv_set_status(&d, 0);
    lab_advance(lab, 10 * LATENCY);
    ck_assert_uint_eq(disk.writes, 0);
    drv_start(&d, 0, 1);
    ck_assert_uint_eq(request(0, 0, 512, true), 0);
}
END_TEST

START_TEST(a_request_under_way_is_restored)
{
    size_t bytes = fields_bytes(virtio_blk_class.fields);
    uint8_t *image = malloc(bytes);

    submit(0, 0, 512, true);
    lab_advance(lab, LATENCY / 2);
    fields_save(d.dev, virtio_blk_class.fields, image);
    device_reset(d.dev);
    ck_assert_uint_eq(clock_deadline(&lab->clock), TIMER_OFF);
    ck_assert(fields_restore(d.dev, virtio_blk_class.fields, image, bytes));
    virtio_blk_class.settle(d.dev);
    lab_advance(lab, LATENCY / 2);
    ck_assert_uint_eq(drv_used(&d, 0), 1);
    free(image);
    lab_expect_restores(d.dev);
}
END_TEST

START_TEST(a_disk_without_a_backend_is_refused)
{
    struct block_backend none = { .size = 0 };
    struct device *dev = virtio_blk_create("empty", &lab->host, lab->bus, 6 << 3, &none);
    struct err e = { "" };

    ck_assert(!device_realize(dev, &e));
    ck_assert_str_eq(e.text, "empty: no disk behind it");
    device_destroy(dev);
}
END_TEST

Suite *suite_devices_virtio_blk(void);

Suite *suite_devices_virtio_blk(void)
{
    const TTest *const tests[] = {
        the_configuration_tells_capacity_and_limits,
        a_read_returns_the_sectors_and_their_length,
        a_write_reaches_the_disk,
        a_request_completes_after_its_latency_and_not_before,
        a_second_request_waits_for_the_bytes_of_the_first,
        while_busy_the_disk_wants_no_notification,
        flush_reaches_the_backend,
        get_id_returns_the_name_padded_with_zeros,
        an_unknown_request_is_unsupported,
        a_range_beyond_the_disk_is_an_error,
        a_length_that_is_no_sectors_is_an_error,
        a_failing_backend_is_an_io_error,
        header_data_and_status_may_be_cut_anywhere,
        a_request_without_a_whole_header_fails_the_device,
        a_request_without_room_for_the_status_fails_the_device,
        a_write_from_outside_ram_fails_the_device_before_the_disk_changes,
        a_request_larger_than_the_limits_is_an_error,
        a_reset_by_the_driver_drops_what_waits,
        a_request_under_way_is_restored,
        a_disk_without_a_backend_is_refused,
    };
    Suite *s = suite_create("devices/virtio_blk");
    TCase *t = tcase_create("virtio_blk"), *ro = tcase_create("read-only");

    tcase_add_checked_fixture(t, setup, teardown);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        tcase_add_test(t, tests[i]);
    tcase_add_checked_fixture(ro, setup_read_only, teardown);
    tcase_add_test(ro, a_read_only_disk_says_so_and_refuses_writes);
    suite_add_tcase(s, t);
    suite_add_tcase(s, ro);
    return s;
}
