#include "tests/devices/chip_lab.h"

#include "devices/rtc_cmos.h"
#include "devices/rtc_time.h"

static struct chip_lab *lab;
static struct device *rtc;
static struct probe irq;

static void setup(void)
{
    lab = chip_lab_create();
    lab->wall = 951827696; /* Tuesday 29 February 2000, 12:34:56 UTC */
    rtc = device_create(&rtc_cmos_class, "rtc", &lab->host);
    probe_connect(&irq, rtc_cmos_irq(rtc));
    chip_start(rtc);
}

static void teardown(void)
{
    device_destroy(rtc);
    chip_lab_destroy(lab);
}

static uint8_t get(uint8_t index)
{
    out8(lab, 0x70, index);
    return in8(lab, 0x71);
}

static void put(uint8_t index, uint8_t value)
{
    out8(lab, 0x70, index);
    out8(lab, 0x71, value);
}

START_TEST(the_time_is_the_wall_clock_at_power_on_in_bcd_and_24_hours)
{
    ck_assert_uint_eq(get(0x00), 0x56);
    ck_assert_uint_eq(get(0x02), 0x34);
    ck_assert_uint_eq(get(0x04), 0x12);
    ck_assert_uint_eq(get(0x06), 3);
    ck_assert_uint_eq(get(0x07), 0x29);
    ck_assert_uint_eq(get(0x08), 0x02);
    ck_assert_uint_eq(get(0x09), 0x00);
    ck_assert_uint_eq(get(0x32), 0x20);
    ck_assert_uint_eq(get(0x0d), 0x80);
}
END_TEST

START_TEST(seconds_pass_with_cycles)
{
    chip_run(lab, 86400 * CLOCK_HZ + 4 * CLOCK_HZ);
    ck_assert_uint_eq(get(0x00), 0x00);
    ck_assert_uint_eq(get(0x02), 0x35);
    ck_assert_uint_eq(get(0x07), 0x01);
    ck_assert_uint_eq(get(0x08), 0x03);
}
END_TEST

START_TEST(binary_and_12_hour_forms)
{
    put(0x0b, 0x04);
    ck_assert_uint_eq(get(0x00), 56);
    ck_assert_uint_eq(get(0x04), 0x8c); /* 12 PM */
    chip_run(lab, 12 * 3600 * CLOCK_HZ);
    ck_assert_uint_eq(get(0x04), 12); /* 12 AM */
}
END_TEST

START_TEST(set_holds_the_time_and_then_starts_from_what_was_written)
{
    put(0x0b, 0x82);
    chip_run(lab, 10 * CLOCK_HZ);
    ck_assert_uint_eq(get(0x00), 0x56);
    put(0x00, 0x58);
    put(0x02, 0x59);
    put(0x04, 0x23);
    put(0x07, 0x31);
    put(0x08, 0x12);
    put(0x09, 0x99);
    put(0x32, 0x19);
    put(0x0b, 0x02);
    ck_assert_uint_eq(get(0x00), 0x58);
    chip_run(lab, 2 * CLOCK_HZ);
    ck_assert_uint_eq(get(0x00), 0x00);
    ck_assert_uint_eq(get(0x09), 0x00);
    ck_assert_uint_eq(get(0x32), 0x20);
    ck_assert_uint_eq(get(0x08), 0x01);
}
END_TEST

START_TEST(uip_warns_244_us_before_an_update)
{
    ck_assert_uint_eq(get(0x0a), 0x26);
    chip_run(lab, CLOCK_HZ - 300 * 2000);
    ck_assert_uint_eq(get(0x0a), 0x26);
    chip_run(lab, 100 * 2000);
    ck_assert_uint_eq(get(0x0a), 0xa6);
    chip_run(lab, 200 * 2000);
    ck_assert_uint_eq(get(0x0a), 0x26);
}
END_TEST

START_TEST(the_update_interrupt_comes_every_second_until_c_is_read)
{
    put(0x0b, 0x12);
    chip_run(lab, CLOCK_HZ - 1);
    ck_assert(!irq.level);
    chip_run(lab, 1);
    ck_assert(irq.level);
    chip_run(lab, 5 * CLOCK_HZ);
    ck_assert_uint_eq(irq.rises, 1);
    ck_assert_uint_eq(get(0x0c) & 0x90, 0x90);
    ck_assert(!irq.level);
    ck_assert_uint_eq(get(0x0c), 0);
    chip_run(lab, CLOCK_HZ);
    ck_assert_uint_eq(irq.rises, 2);
}
END_TEST

START_TEST(the_periodic_interrupt_has_the_rate_of_register_a)
{
    put(0x0a, 0x26); /* 1024 Hz */
    put(0x0b, 0x42);
    for (unsigned i = 0; i < 1024; i++) {
        while (!irq.level)
            chip_run_to(lab, clock_deadline(&lab->clock));
        ck_assert_uint_eq(get(0x0c) & 0xc0, 0xc0);
    }
    ck_assert_uint_eq(lab->now, CLOCK_HZ);
}
END_TEST

START_TEST(the_alarm_interrupts_at_its_time)
{
    put(0x01, 0x00);
    put(0x03, 0x36);
    put(0x05, 0xc0); /* any hour */
    put(0x0b, 0x22);
    chip_run(lab, 63 * CLOCK_HZ);
    ck_assert(!irq.level);
    chip_run(lab, CLOCK_HZ);
    ck_assert(irq.level);
    ck_assert_uint_eq(get(0x0c) & 0xa0, 0xa0);
    chip_run(lab, 3599 * CLOCK_HZ);
    ck_assert(!irq.level);
    chip_run(lab, CLOCK_HZ);
    ck_assert(irq.level);
}
END_TEST

START_TEST(flags_are_set_without_interrupts_too)
{
    ck_assert_uint_eq(get(0x0c), 0);
    chip_run(lab, CLOCK_HZ);
    ck_assert_uint_eq(get(0x0c), 0x50); /* update and periodic, no IRQF */
    ck_assert_uint_eq(irq.rises, 0);
}
END_TEST

START_TEST(reset_clears_interrupts_and_keeps_memory)
{
    put(0x0f, 0x0a);
    put(0x0b, 0x72);
    device_reset(rtc);
    ck_assert_uint_eq(get(0x0b), 0x02);
    ck_assert_uint_eq(get(0x0f), 0x0a);
    ck_assert_uint_eq(get(0x00), 0x56);
}
END_TEST

START_TEST(the_upper_bank_is_behind_ports_72_and_73)
{
    out8(lab, 0x72, 0x10);
    out8(lab, 0x73, 0xab);
    ck_assert_uint_eq(in8(lab, 0x73), 0xab);
    ck_assert_uint_eq(in8(lab, 0x72), 0x10);
    ck_assert_uint_ne(get(0x10), 0xab);
}
END_TEST

START_TEST(memory_sizes_are_where_firmware_looks)
{
    rtc_cmos_store_memory(rtc, UINT64_C(0xb0000000), UINT64_C(0x150000000));
    ck_assert_uint_eq(get(0x15) | get(0x16) << 8, 640);
    ck_assert_uint_eq(get(0x30) | get(0x31) << 8, 0xffff);
    ck_assert_uint_eq(get(0x34) | get(0x35) << 8, 0xaf00);
    ck_assert_uint_eq(get(0x5b) | get(0x5c) << 8 | get(0x5d) << 16, 0x15000);
}
END_TEST

START_TEST(dates_survive_the_way_there_and_back)
{
    struct rtc_time t;

    for (int64_t s = -62135596800; s < 200000000000; s += 86400 * 97 + 12345) {
        rtc_time_split(s, &t);
        ck_assert_int_eq(rtc_time_join(&t), s);
    }
    rtc_time_split(0, &t);
    ck_assert_uint_eq(t.year, 1970);
    ck_assert_uint_eq(t.weekday, 4);
}
END_TEST

Suite *suite_devices_rtc_cmos(void);
Suite *suite_devices_rtc_cmos(void)
{
    Suite *s = suite_create("devices/rtc_cmos");
    TCase *t = tcase_create("rtc_cmos");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, the_time_is_the_wall_clock_at_power_on_in_bcd_and_24_hours);
    tcase_add_test(t, seconds_pass_with_cycles);
    tcase_add_test(t, binary_and_12_hour_forms);
    tcase_add_test(t, set_holds_the_time_and_then_starts_from_what_was_written);
    tcase_add_test(t, uip_warns_244_us_before_an_update);
    tcase_add_test(t, the_update_interrupt_comes_every_second_until_c_is_read);
    tcase_add_test(t, the_periodic_interrupt_has_the_rate_of_register_a);
    tcase_add_test(t, the_alarm_interrupts_at_its_time);
    tcase_add_test(t, flags_are_set_without_interrupts_too);
    tcase_add_test(t, reset_clears_interrupts_and_keeps_memory);
    tcase_add_test(t, the_upper_bank_is_behind_ports_72_and_73);
    tcase_add_test(t, memory_sizes_are_where_firmware_looks);
    tcase_add_test(t, dates_survive_the_way_there_and_back);
    suite_add_tcase(s, t);
    return s;
}
