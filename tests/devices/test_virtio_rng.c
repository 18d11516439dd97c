/* Virtio entropy: how much it gives; and DMA to the edges of RAM, of which it is a simple user. */
#include "devices/dma.h"
#include "devices/virtio_rng.h"
#include "tests/devices/virtio_driver.h"

enum { BUFFER = 0x40000 };

static struct pci_lab *lab;
static struct driver d;

static void setup(void)
{
    lab = lab_create();
    drv_attach(&d, lab, virtio_rng_create("rng", &lab->host, lab->bus, SLOT_5));
    drv_start(&d, 0, 1);
}

static void teardown(void)
{
    device_destroy(d.dev);
    lab_destroy(lab);
}

START_TEST(a_large_buffer_gets_1024_bytes)
{
    drv_desc(&d, 0, 0, BUFFER, 5000, DESC_WRITE_FLAG, 0);
    drv_offer(&d, 0, 0);
    drv_kick(&d, 0);
    ck_assert_uint_eq(drv_used_entry(&d, 0, 0), UINT64_C(1024) << 32);
    ck_assert_uint_eq(drv_read(&d, BUFFER + 1023, 2), 0x0000); /* 1024 mod 256, then nothing */
    ck_assert_uint_eq(drv_read(&d, BUFFER + 1022, 1), 0xff);
}
END_TEST

START_TEST(every_waiting_buffer_is_filled_by_one_notification)
{
    for (uint16_t i = 0; i < DRIVER_QUEUE; i++) {
        drv_desc(&d, 0, i, BUFFER + 16 * i, 16, DESC_WRITE_FLAG, 0);
        drv_offer(&d, 0, i);
    }
    drv_kick(&d, 0);
    ck_assert_uint_eq(drv_used(&d, 0), DRIVER_QUEUE);
    ck_assert_uint_eq(drv_read(&d, BUFFER + 127, 1), 128);
}
END_TEST

START_TEST(a_request_without_room_is_given_back_empty)
{
    drv_desc(&d, 0, 0, BUFFER, 16, 0, 0); /* readable only */
    drv_offer(&d, 0, 0);
    drv_kick(&d, 0);
    ck_assert_uint_eq(drv_used_entry(&d, 0, 0), 0);
    ck_assert_uint_eq(drv_used(&d, 0), 1);
}
END_TEST

START_TEST(without_entropy_it_is_refused)
{
    struct device_host host = lab->host;
    struct device *dev;
    struct err e = { "" };

    host.outside.entropy = NULL;
    dev = virtio_rng_create("rng1", &host, lab->bus, 6 << 3);
    ck_assert(!device_realize(dev, &e));
    ck_assert_str_eq(e.text, "rng1: no source of entropy behind it");
    device_destroy(dev);
}
END_TEST

START_TEST(dma_takes_ranges_that_are_ram_as_a_whole)
{
    struct bus *b = lab->host.bus;

    ck_assert(dma_is_ram(b, 0, LAB_RAM));
    ck_assert(!dma_is_ram(b, 0, LAB_RAM + 1));
    ck_assert(!dma_is_ram(b, LAB_RAM - 1, 2));
    ck_assert(!dma_is_ram(b, UINT64_MAX, 1));
    ck_assert(!dma_is_ram(b, UINT64_MAX, 2)); /* wraps around to 0 */
    ck_assert(!dma_is_ram(b, 1, UINT64_MAX));
    ck_assert(dma_is_ram(b, UINT64_MAX, 0));
}
END_TEST

START_TEST(dma_moves_bytes_across_pages_or_not_at_all)
{
    struct bus *b = lab->host.bus;
    char bytes[8] = "";
    uint64_t value = 0;

    ck_assert(dma_write(b, 0x4ffd, "abcdefg", 8));
    ck_assert(dma_read(b, 0x4ffd, bytes, 8));
    ck_assert_str_eq(bytes, "abcdefg");
    ck_assert(!dma_write(b, LAB_RAM - 4, "hhhhhhh", 8));
    ck_assert_uint_eq(bus_read(b, LAB_RAM - 4, 4), 0);
    ck_assert(dma_clear(b, 0x4ffd, 4));
    ck_assert(dma_read(b, 0x4ffd, bytes, 8));
    ck_assert_mem_eq(bytes, "\0\0\0\0efg", 8);
    ck_assert(dma_store(b, 0x6000, 2, 0x1234));
    ck_assert(dma_load(b, 0x6000, 4, &value));
    ck_assert_uint_eq(value, 0x1234);
    ck_assert(!dma_load(b, 0x6001, 2, &value));
    ck_assert(!dma_store(b, 0xc0000000, 4, 0));
}
END_TEST

Suite *suite_devices_virtio_rng(void);

Suite *suite_devices_virtio_rng(void)
{
    const TTest *const tests[] = {
        a_large_buffer_gets_1024_bytes,
        every_waiting_buffer_is_filled_by_one_notification,
        a_request_without_room_is_given_back_empty,
        without_entropy_it_is_refused,
        dma_takes_ranges_that_are_ram_as_a_whole,
        dma_moves_bytes_across_pages_or_not_at_all,
    };
    Suite *s = suite_create("devices/virtio_rng");
    TCase *t = tcase_create("virtio_rng");

    tcase_add_checked_fixture(t, setup, teardown);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        tcase_add_test(t, tests[i]);
    suite_add_tcase(s, t);
    return s;
}
