#include "tests/devices/chip_lab.h"

#include "devices/hpet.h"

static struct chip_lab *lab;
static struct device *hpet;
static struct probe irq0, irq8, gsi20, gsi21;

static void setup(void)
{
    lab = chip_lab_create();
    hpet = device_create(&hpet_class, "hpet", &lab->host);
    probe_connect(&irq0, hpet_legacy_out(hpet, 0));
    probe_connect(&irq8, hpet_legacy_out(hpet, 1));
    probe_connect(&gsi20, hpet_gsi(hpet, 20));
    probe_connect(&gsi21, hpet_gsi(hpet, 21));
    chip_start(hpet);
}

static void teardown(void)
{
    device_destroy(hpet);
    chip_lab_destroy(lab);
}

static uint64_t get(uint64_t offset, unsigned size)
{
    return bus_read(lab->host.bus, 0xfed00000 + offset, size);
}

static void put(uint64_t offset, uint64_t value, unsigned size)
{
    bus_write(lab->host.bus, 0xfed00000 + offset, value, size);
}

static void ticks(uint64_t n)
{
    chip_run_ns(lab, 10 * n);
}

START_TEST(capabilities_say_10_ns_64_bits_three_timers_and_legacy)
{
    ck_assert_uint_eq(get(0x000, 8), UINT64_C(0x009896808086a201));
    ck_assert_uint_eq(get(0x004, 4), 10000000);
    ck_assert_uint_eq(get(0x100, 4) & 0x8030, 0x8030);
}
END_TEST

START_TEST(the_counter_counts_while_enabled_and_can_be_set_while_not)
{
    ticks(100);
    ck_assert_uint_eq(get(0xf0, 8), 0);
    put(0x10, 1, 8);
    ticks(100);
    ck_assert_uint_eq(get(0xf0, 8), 100);
    put(0x10, 0, 8);
    ticks(100);
    ck_assert_uint_eq(get(0xf0, 8), 100);
    put(0xf0, UINT64_C(0xffffffff0), 8);
    put(0x10, 1, 4);
    ticks(32);
    ck_assert_uint_eq(get(0xf0, 8), UINT64_C(0x1000000010));
    ck_assert_uint_eq(get(0xf0, 4), 0x10);
    ck_assert_uint_eq(get(0xf4, 4), 0x10);
}
END_TEST

START_TEST(one_shot_pulses_its_pin_when_the_counter_matches)
{
    put(0x10, 1, 8);
    put(0x100, 20 << 9 | 1 << 2, 8);
    put(0x108, 1000, 8);
    ticks(999);
    ck_assert_uint_eq(gsi20.rises, 0);
    ticks(1);
    ck_assert_uint_eq(gsi20.rises, 1);
    ck_assert(!gsi20.level);
    ticks(100000);
    ck_assert_uint_eq(gsi20.rises, 1);
}
END_TEST

START_TEST(a_comparator_in_the_past_waits)
{
    put(0x10, 1, 8);
    ticks(1000);
    put(0x100, 20 << 9 | 1 << 2, 8);
    put(0x108, 999, 8);
    ticks(100000);
    ck_assert_uint_eq(gsi20.rises, 0);
}
END_TEST

START_TEST(in_32_bit_mode_it_matches_when_the_counter_comes_round)
{
    put(0xf0, UINT64_C(0xfffffff0), 8);
    put(0x10, 1, 8);
    put(0x100, 20 << 9 | 1 << 8 | 1 << 2, 8);
    put(0x108, 0x10, 4);
    ticks(31);
    ck_assert_uint_eq(gsi20.rises, 0);
    ticks(1);
    ck_assert_uint_eq(gsi20.rises, 1);
    ticks(UINT64_C(1) << 32);
    ck_assert_uint_eq(gsi20.rises, 2);
}
END_TEST

START_TEST(periodic_with_set_value_as_linux_programs_it)
{
    put(0x10, 3, 4);
    put(0x100, 1 << 8 | 1 << 6 | 1 << 3 | 1 << 2, 4);
    put(0x108, 1000, 4); /* the first match */
    put(0x108, 400, 4);  /* the period */
    ticks(999);
    ck_assert_uint_eq(irq0.rises, 0);
    ticks(1);
    ck_assert_uint_eq(irq0.rises, 1);
    ck_assert(irq0.level);
    ticks(400);
    ck_assert_uint_eq(irq0.rises, 2);
    ck_assert_uint_eq(get(0x108, 4), 1800);
    ticks(4000);
    ck_assert_uint_eq(irq0.rises, 12);
    ck_assert_uint_eq(get(0x100, 4) & 1 << 6, 0);
}
END_TEST

START_TEST(a_level_interrupt_stays_until_its_status_is_cleared)
{
    put(0x10, 1, 8);
    put(0x120, 21 << 9 | 1 << 2 | 1 << 1, 8);
    put(0x128, 50, 8);
    ticks(50);
    ck_assert(gsi21.level);
    ck_assert_uint_eq(get(0x20, 4), 2);
    put(0x20, 1, 4);
    ck_assert(gsi21.level);
    put(0x20, 2, 4);
    ck_assert(!gsi21.level);
}
END_TEST

START_TEST(a_message_goes_to_its_address)
{
    put(0x10, 1, 8);
    put(0x150, UINT64_C(0xfee0000000000041), 8);
    put(0x140, 1 << 14 | 1 << 2, 8);
    put(0x148, 77, 8);
    ticks(77);
    ck_assert_uint_eq(lab->messages, 1);
    ck_assert_uint_eq(lab->message_address[0], 0xfee00000);
    ck_assert_uint_eq(lab->message_data[0], 0x41);
}
END_TEST

START_TEST(legacy_replacement_takes_the_place_of_pit_and_rtc)
{
    hpet_legacy_in(hpet, 0, true);
    ck_assert(irq0.level);
    put(0x10, 2, 8);
    ck_assert(!irq0.level);
    hpet_legacy_in(hpet, 1, true);
    ck_assert(!irq8.level);
    put(0x10, 0, 8);
    ck_assert(irq0.level);
    ck_assert(irq8.level);
}
END_TEST

START_TEST(only_pins_20_to_23_can_be_chosen)
{
    put(0x100, 5 << 9, 8);
    ck_assert_uint_eq(get(0x100, 8) >> 9 & 31, 0);
    put(0x100, 23 << 9, 8);
    ck_assert_uint_eq(get(0x100, 8) >> 9 & 31, 23);
    ck_assert_uint_eq(get(0x104, 4), 0x00f00000);
}
END_TEST

Suite *suite_devices_hpet(void);
Suite *suite_devices_hpet(void)
{
    Suite *s = suite_create("devices/hpet");
    TCase *t = tcase_create("hpet");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, capabilities_say_10_ns_64_bits_three_timers_and_legacy);
    tcase_add_test(t, the_counter_counts_while_enabled_and_can_be_set_while_not);
    tcase_add_test(t, one_shot_pulses_its_pin_when_the_counter_matches);
    tcase_add_test(t, a_comparator_in_the_past_waits);
    tcase_add_test(t, in_32_bit_mode_it_matches_when_the_counter_comes_round);
    tcase_add_test(t, periodic_with_set_value_as_linux_programs_it);
    tcase_add_test(t, a_level_interrupt_stays_until_its_status_is_cleared);
    tcase_add_test(t, a_message_goes_to_its_address);
    tcase_add_test(t, legacy_replacement_takes_the_place_of_pit_and_rtc);
    tcase_add_test(t, only_pins_20_to_23_can_be_chosen);
    suite_add_tcase(s, t);
    return s;
}
