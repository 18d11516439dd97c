#include "tests/devices/chip_lab.h"

#include "devices/ioapic.h"
#include "devices/pc_testdev.h"

static struct chip_lab *lab;
static struct device *ioapic;

static void setup(void)
{
    lab = chip_lab_create();
    ioapic = device_create(&ioapic_class, "ioapic", &lab->host);
    chip_start(ioapic);
}

static void teardown(void)
{
    device_destroy(ioapic);
    chip_lab_destroy(lab);
}

static uint32_t get(uint32_t index)
{
    bus_write(lab->host.bus, 0xfec00000, index, 4);
    return (uint32_t)bus_read(lab->host.bus, 0xfec00010, 4);
}

static void put(uint32_t index, uint32_t value)
{
    bus_write(lab->host.bus, 0xfec00000, index, 4);
    bus_write(lab->host.bus, 0xfec00010, value, 4);
}

static void route(unsigned pin, uint32_t low, uint8_t dest)
{
    put(0x11 + 2 * pin, (uint32_t)dest << 24);
    put(0x10 + 2 * pin, low);
}

START_TEST(version_20h_with_24_entries_all_masked)
{
    ck_assert_uint_eq(get(1), 0x00170020);
    for (unsigned pin = 0; pin < 24; pin++)
        ck_assert_uint_eq(get(0x10 + 2 * pin), 0x00010000);
    put(1, 0xffffffff);
    ck_assert_uint_eq(get(1), 0x00170020);
}
END_TEST

START_TEST(the_id_has_four_bits_and_sets_the_arbitration_id)
{
    put(0, 0xffffffff);
    ck_assert_uint_eq(get(0), 0x0f000000);
    ck_assert_uint_eq(get(2), 0x0f000000);
    put(2, 0);
    ck_assert_uint_eq(get(2), 0x0f000000);
}
END_TEST

START_TEST(an_edge_is_a_message_with_destination_and_vector)
{
    route(14, 0x0876, 0x03); /* logical, fixed, edge */
    ioapic_irq(ioapic, 14, true);
    ioapic_irq(ioapic, 14, false);
    ck_assert_uint_eq(lab->messages, 1);
    ck_assert_uint_eq(lab->message_address[0], 0xfee0300c);
    ck_assert_uint_eq(lab->message_data[0], 0x4076);
    ck_assert_uint_eq(get(0x10 + 28), 0x0876); /* remote IRR is for level */
}
END_TEST

START_TEST(a_masked_pin_forgets_edges)
{
    route(14, 0x10081, 0);
    ioapic_irq(ioapic, 14, true);
    ioapic_irq(ioapic, 14, false);
    put(0x10 + 28, 0x00081);
    ck_assert_uint_eq(lab->messages, 0);
    ioapic_irq(ioapic, 14, true);
    ck_assert_uint_eq(lab->messages, 1);
}
END_TEST

START_TEST(a_level_pin_sends_once_until_eoi_and_again_if_still_high)
{
    route(20, 0x8099, 0);
    ioapic_irq(ioapic, 20, true);
    ioapic_irq(ioapic, 20, false);
    ioapic_irq(ioapic, 20, true);
    ck_assert_uint_eq(lab->messages, 1);
    ck_assert_uint_eq(lab->message_data[0], 0xc099);
    ck_assert_uint_eq(get(0x10 + 40), 0xc099); /* remote IRR */
    ioapic_eoi(ioapic, 0x98);
    ck_assert_uint_eq(lab->messages, 1);
    ioapic_eoi(ioapic, 0x99);
    ck_assert_uint_eq(lab->messages, 2);
    ioapic_irq(ioapic, 20, false);
    ioapic_eoi(ioapic, 0x99);
    ck_assert_uint_eq(lab->messages, 2);
    ck_assert_uint_eq(get(0x10 + 40), 0x8099);
}
END_TEST

START_TEST(a_masked_level_pin_sends_when_unmasked)
{
    route(20, 0x18099, 0);
    ioapic_irq(ioapic, 20, true);
    ck_assert_uint_eq(lab->messages, 0);
    put(0x10 + 40, 0x8099);
    ck_assert_uint_eq(lab->messages, 1);
}
END_TEST

START_TEST(the_eoi_register_works_like_the_broadcast)
{
    route(20, 0x8099, 0);
    ioapic_irq(ioapic, 20, true);
    bus_write(lab->host.bus, 0xfec00040, 0x99, 4);
    ck_assert_uint_eq(lab->messages, 2);
}
END_TEST

START_TEST(switching_to_edge_clears_remote_irr)
{
    route(20, 0x8099, 0);
    ioapic_irq(ioapic, 20, true);
    put(0x10 + 40, 0x10099);
    ck_assert_uint_eq(get(0x10 + 40), 0x10099);
}
END_TEST

START_TEST(testdev_keeps_what_is_written_and_drives_24_lines)
{
    struct device *dev = device_create(&pc_testdev_class, "testdev", &lab->host);
    struct probe line;

    probe_connect(&line, pc_testdev_irq(dev, 14));
    chip_start(dev);
    ports_write(lab->host.ports, 0xe0, 0x12345678, 4);
    ck_assert_uint_eq(ports_read(lab->host.ports, 0xe0, 4), 0x12345678);
    ck_assert_uint_eq(ports_read(lab->host.ports, 0xe1, 2), 0x3456);
    ck_assert_uint_eq(ports_read(lab->host.ports, 0xe8, 4), 0x12345678);
    out8(lab, 0x200e, 1);
    ck_assert(line.level);
    out8(lab, 0x200e, 0);
    ck_assert(!line.level);
    bus_write(lab->host.bus, 0xff000ff8, UINT64_C(0x1122334455667788), 8);
    ck_assert_uint_eq(bus_read(lab->host.bus, 0xff000ffc, 4), 0x11223344);
    ports_write(lab->host.ports, 0xe4, 0x1000, 4);
    device_destroy(dev);
}
END_TEST

Suite *suite_devices_ioapic(void);
Suite *suite_devices_ioapic(void)
{
    Suite *s = suite_create("devices/ioapic");
    TCase *t = tcase_create("ioapic");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, version_20h_with_24_entries_all_masked);
    tcase_add_test(t, the_id_has_four_bits_and_sets_the_arbitration_id);
    tcase_add_test(t, an_edge_is_a_message_with_destination_and_vector);
    tcase_add_test(t, a_masked_pin_forgets_edges);
    tcase_add_test(t, a_level_pin_sends_once_until_eoi_and_again_if_still_high);
    tcase_add_test(t, a_masked_level_pin_sends_when_unmasked);
    tcase_add_test(t, the_eoi_register_works_like_the_broadcast);
    tcase_add_test(t, switching_to_edge_clears_remote_irr);
    tcase_add_test(t, testdev_keeps_what_is_written_and_drives_24_lines);
    suite_add_tcase(s, t);
    return s;
}
