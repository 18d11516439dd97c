/* Virtio console: bytes both ways, bursts, buffers that are missing. */
#include "devices/virtio_console.h"
#include "tests/devices/virtio_driver.h"

enum { BUFFER = 0x40000, RX = 0, TX = 1, BURST = 65536 };

static struct pci_lab *lab;
static struct driver d;
static struct {
    uint8_t bytes[1 << 20];
    size_t count;
    unsigned can_receive;
} terminal;

static void terminal_write(void *owner, const uint8_t *bytes, size_t count)
{
    ck_assert_uint_le(terminal.count + count, sizeof terminal.bytes);
    memcpy(terminal.bytes + terminal.count, bytes, count);
    terminal.count += count;
}

static void terminal_can_receive(void *owner)
{
    terminal.can_receive++;
}

static void setup(void)
{
    struct char_backend backend = { .write = terminal_write, .can_receive = terminal_can_receive };

    memset(&terminal, 0, sizeof terminal);
    lab = lab_create();
    drv_attach(&d, lab, virtio_console_create("hvc0", &lab->host, lab->bus, SLOT_5, &backend));
    drv_start(&d, 0, 2);
}

static void teardown(void)
{
    device_destroy(d.dev);
    lab_destroy(lab);
}

static void offer(unsigned queue, uint16_t head, uint64_t pa, uint32_t bytes)
{
    drv_desc(&d, queue, head, pa, bytes, queue == RX ? DESC_WRITE_FLAG : 0, 0);
    drv_offer(&d, queue, head);
    drv_kick(&d, queue);
}

START_TEST(what_is_transmitted_leaves_at_once_and_in_order)
{
    bus_write_bytes(lab->host.bus, BUFFER, "hello, world\n", 13);
    offer(TX, 0, BUFFER, 7);
    offer(TX, 1, BUFFER + 7, 6);
    ck_assert_uint_eq(terminal.count, 13);
    ck_assert_mem_eq(terminal.bytes, "hello, world\n", 13);
    ck_assert_uint_eq(drv_used(&d, TX), 2);
    ck_assert_uint_eq(drv_used_entry(&d, TX, 0), 0);
}
END_TEST

START_TEST(the_configuration_has_one_port)
{
    ck_assert_uint_eq(drv_read(&d, d.config + 4, 4), 1);
    ck_assert_uint_eq(drv_offered(&d) & 0xffffff, 0);
}
END_TEST

START_TEST(a_long_buffer_leaves_in_bursts)
{
    for (unsigned i = 0; i < 100000; i++)
        bus_write(lab->host.bus, BUFFER + i, i * 7 & 0xff, 1);
    offer(TX, 0, BUFFER, 100000);
    ck_assert_uint_eq(terminal.count, BURST);
    ck_assert_uint_eq(drv_used(&d, TX), 0);
    lab_advance(lab, 20000);
    ck_assert_uint_eq(terminal.count, 100000);
    ck_assert_uint_eq(drv_used(&d, TX), 1);
    for (unsigned i = 0; i < 100000; i++)
        ck_assert_uint_eq(terminal.bytes[i], i * 7 & 0xff);
}
END_TEST

START_TEST(a_burst_under_way_is_restored)
{
    offer(TX, 0, BUFFER, 100000);
    lab_expect_restores(d.dev);
    memset(&terminal, 0, sizeof terminal);
    lab_advance(lab, 20000);
    ck_assert_uint_eq(terminal.count, 100000 - BURST);
}
END_TEST

START_TEST(empty_buffers_are_given_back)
{
    offer(TX, 0, BUFFER, 0);
    ck_assert_uint_eq(drv_used(&d, TX), 1);
    ck_assert_uint_eq(terminal.count, 0);
}
END_TEST

START_TEST(input_fills_the_buffers_that_are_there)
{
    offer(RX, 0, BUFFER, 4);
    offer(RX, 1, BUFFER + 0x1000, 4);
    ck_assert_uint_eq(virtio_console_room(d.dev), 4);
    ck_assert_uint_eq(virtio_console_receive(d.dev, (const uint8_t *)"abcdef", 6), 6);
    ck_assert_uint_eq(drv_read(&d, BUFFER, 4), 0x64636261);
    ck_assert_uint_eq(drv_read(&d, BUFFER + 0x1000, 4), 0x6665);
    ck_assert_uint_eq(drv_used_entry(&d, RX, 0), UINT64_C(4) << 32);
    ck_assert_uint_eq(drv_used_entry(&d, RX, 1), UINT64_C(2) << 32 | 1);
    ck_assert(lab->bus->pirq[5].level);
}
END_TEST

START_TEST(input_without_buffers_is_not_taken_until_there_are_some)
{
    ck_assert_uint_eq(virtio_console_room(d.dev), 0);
    ck_assert_uint_eq(virtio_console_receive(d.dev, (const uint8_t *)"abc", 3), 0);
    ck_assert_uint_eq(terminal.can_receive, 1); /* at DRIVER_OK */
    offer(RX, 0, BUFFER, 2);
    ck_assert_uint_eq(terminal.can_receive, 2);
    ck_assert_uint_eq(virtio_console_receive(d.dev, (const uint8_t *)"abc", 3), 2);
}
END_TEST

START_TEST(input_before_the_driver_starts_is_not_taken)
{
    drv_set_status(&d, 0);
    ck_assert_uint_eq(virtio_console_receive(d.dev, (const uint8_t *)"abc", 3), 0);
}
END_TEST

START_TEST(buffers_outside_ram_fail_the_device)
{
    offer(TX, 0, LAB_RAM - 2, 4);
    ck_assert_uint_eq(drv_status(&d), 15 | 0x40);
    ck_assert_uint_eq(terminal.count, 0);
    drv_start(&d, 0, 2);
    offer(RX, 0, LAB_RAM - 2, 4);
    ck_assert_uint_eq(virtio_console_receive(d.dev, (const uint8_t *)"abc", 3), 0);
    ck_assert_uint_eq(drv_status(&d), 15 | 0x40);
}
END_TEST

START_TEST(a_reset_stops_a_burst)
{
    offer(TX, 0, BUFFER, 100000);
    drv_set_status(&d, 0);
    lab_advance(lab, 100000);
    ck_assert_uint_eq(terminal.count, BURST);
    drv_start(&d, 0, 2);
    offer(TX, 0, BUFFER, 1);
    ck_assert_uint_eq(terminal.count, BURST + 1);
}
END_TEST

Suite *suite_devices_virtio_console(void);

Suite *suite_devices_virtio_console(void)
{
    const TTest *const tests[] = {
        what_is_transmitted_leaves_at_once_and_in_order,
        the_configuration_has_one_port,
        a_long_buffer_leaves_in_bursts,
        a_burst_under_way_is_restored,
        empty_buffers_are_given_back,
        input_fills_the_buffers_that_are_there,
        input_without_buffers_is_not_taken_until_there_are_some,
        input_before_the_driver_starts_is_not_taken,
        buffers_outside_ram_fail_the_device,
        a_reset_stops_a_burst,
    };
    Suite *s = suite_create("devices/virtio_console");
    TCase *t = tcase_create("virtio_console");

    tcase_add_checked_fixture(t, setup, teardown);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        tcase_add_test(t, tests[i]);
    suite_add_tcase(s, t);
    return s;
}
