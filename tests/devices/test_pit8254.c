#include "tests/devices/chip_lab.h"

#include "devices/pit8254.h"

static struct chip_lab *lab;
static struct device *pit;
static struct probe irq;

static void setup(void)
{
    lab = chip_lab_create();
    pit = device_create(&pit8254_class, "pit", &lab->host);
    probe_connect(&irq, pit8254_irq(pit));
    chip_start(pit);
}

static void teardown(void)
{
    device_destroy(pit);
    chip_lab_destroy(lab);
}

/* n ticks of 1.193182 MHz */
static void ticks(uint64_t n)
{
    uint64_t tick = clock_to_ticks(lab->now, 1193182);

    chip_run_to(lab, clock_from_ticks(tick + n, 1193182));
}

static unsigned count(unsigned counter)
{
    unsigned low;

    out8(lab, 0x43, (uint8_t)(counter << 6));
    low = in8(lab, (uint16_t)(0x40 + counter));
    return low | (unsigned)in8(lab, (uint16_t)(0x40 + counter)) << 8;
}

static uint8_t status(unsigned counter)
{
    out8(lab, 0x43, (uint8_t)(0xe0 | 2u << counter));
    return in8(lab, (uint16_t)(0x40 + counter));
}

static void program(unsigned counter, uint8_t control, unsigned value)
{
    out8(lab, 0x43, control);
    out8(lab, (uint16_t)(0x40 + counter), (uint8_t)value);
    out8(lab, (uint16_t)(0x40 + counter), (uint8_t)(value >> 8));
}

START_TEST(mode_0_raises_out_after_count_plus_1_clocks)
{
    program(0, 0x30, 1000);
    ck_assert(!irq.level);
    ticks(1000);
    ck_assert(!irq.level);
    ticks(1);
    ck_assert(irq.level);
    ck_assert_uint_eq(irq.rises, 1);
    ticks(70000);
    ck_assert_uint_eq(irq.rises, 1);
}
END_TEST

START_TEST(mode_2_gives_one_edge_a_period)
{
    program(0, 0x34, 1193);
    ck_assert(irq.level); /* OUT is high once the mode is set */
    ticks(1);
    ck_assert_uint_eq(count(0), 1193);
    ticks(100);
    ck_assert_uint_eq(count(0), 1093);
    ticks(1093);
    ck_assert_uint_eq(irq.rises, 2);
    ticks(11930);
    ck_assert_uint_eq(irq.rises, 12);
}
END_TEST

START_TEST(mode_2_is_100_hz_on_average)
{
    program(0, 0x34, 11932);
    chip_run(lab, 10 * CLOCK_HZ);
    ck_assert_uint_ge(irq.rises, 1000);
    ck_assert_uint_le(irq.rises, 1001);
}
END_TEST

START_TEST(a_new_count_in_mode_2_starts_with_the_next_period)
{
    program(0, 0x34, 1000);
    ticks(501);
    out8(lab, 0x40, 0xd0); /* 2000 */
    out8(lab, 0x40, 0x07);
    ck_assert_uint_eq(status(0) & 0x40, 0x40); /* null count */
    ck_assert_uint_eq(count(0), 500);
    ticks(500);
    ck_assert_uint_eq(count(0), 2000);
    ck_assert_uint_eq(status(0) & 0x40, 0);
}
END_TEST

START_TEST(mode_3_is_high_for_the_longer_half)
{
    program(0, 0x36, 5);
    ticks(1);
    for (unsigned i = 0; i < 10; i++) {
        ck_assert_uint_eq(status(0) >> 7, i % 5 < 3);
        ck_assert_uint_eq(irq.level, i % 5 < 3);
        ticks(1);
    }
}
END_TEST

START_TEST(mode_3_counts_down_by_two)
{
    program(0, 0x36, 8);
    ticks(1);
    for (unsigned i = 0; i < 8; i++) {
        ck_assert_uint_eq(count(0), 8 - 2 * i % 8);
        ticks(1);
    }
}
END_TEST

START_TEST(mode_4_strobes_once)
{
    program(0, 0x38, 100);
    ck_assert(irq.level);
    ticks(101);
    ck_assert_uint_eq(status(0) >> 7, 0);
    ticks(1);
    ck_assert_uint_eq(status(0) >> 7, 1);
    ck_assert_uint_eq(irq.rises, 2);
    ticks(200000);
    ck_assert_uint_eq(irq.rises, 2);
}
END_TEST

START_TEST(mode_1_is_started_by_the_gate_of_counter_2)
{
    program(2, 0xb2, 50);
    ck_assert_uint_eq(in8(lab, 0x61) & 0x20, 0x20);
    ticks(100);
    out8(lab, 0x61, 0x01);
    ticks(1);
    ck_assert_uint_eq(in8(lab, 0x61) & 0x20, 0);
    ticks(49);
    ck_assert_uint_eq(in8(lab, 0x61) & 0x20, 0);
    ticks(1);
    ck_assert_uint_eq(in8(lab, 0x61) & 0x20, 0x20);
}
END_TEST

START_TEST(port_61_shows_the_end_of_a_calibration_interval)
{
    out8(lab, 0x61, (uint8_t)((in8(lab, 0x61) & ~2) | 1));
    program(2, 0xb0, 11932); /* 10 ms */
    chip_run_ns(lab, 9999000);
    ck_assert_uint_eq(in8(lab, 0x61) & 0x20, 0);
    chip_run_ns(lab, 4000);
    ck_assert_uint_eq(in8(lab, 0x61) & 0x20, 0x20);
}
END_TEST

START_TEST(a_low_gate_holds_the_count_of_mode_0)
{
    out8(lab, 0x61, 0x01);
    program(2, 0xb0, 1000);
    ticks(101);
    out8(lab, 0x61, 0x00);
    ck_assert_uint_eq(count(2), 900);
    ticks(500);
    ck_assert_uint_eq(count(2), 900);
    out8(lab, 0x61, 0x01);
    ticks(100);
    ck_assert_uint_eq(count(2), 800);
}
END_TEST

START_TEST(the_refresh_bit_toggles_every_15_us)
{
    uint8_t last = in8(lab, 0x61) & 0x10;
    unsigned toggles = 0;

    for (unsigned us = 0; us < 1000; us++) {
        uint8_t bit4;

        chip_run_ns(lab, 1000);
        bit4 = in8(lab, 0x61) & 0x10;
        toggles += bit4 != last;
        last = bit4;
    }
    ck_assert_uint_ge(toggles, 65);
    ck_assert_uint_le(toggles, 67);
}
END_TEST

START_TEST(a_latched_count_stays_until_read)
{
    program(0, 0x34, 1000);
    ticks(101);
    out8(lab, 0x43, 0x00);
    ticks(50);
    out8(lab, 0x43, 0x00);
    ck_assert_uint_eq(in8(lab, 0x40), 900 & 0xff);
    ck_assert_uint_eq(in8(lab, 0x40), 900 >> 8);
}
END_TEST

START_TEST(read_back_gives_status_then_count)
{
    program(0, 0x34, 1000);
    ticks(101);
    out8(lab, 0x43, 0xc2);
    ck_assert_uint_eq(in8(lab, 0x40), 0xb4); /* OUT high, both bytes, mode 2 */
    ck_assert_uint_eq(in8(lab, 0x40), 900 & 0xff);
    ck_assert_uint_eq(in8(lab, 0x40), 900 >> 8);
}
END_TEST

START_TEST(bcd_counts_in_decimal)
{
    program(0, 0x35, 0x1000);
    ticks(2);
    ck_assert_uint_eq(count(0), 0x0999);
    program(0, 0x35, 0);
    ticks(2);
    ck_assert_uint_eq(count(0), 0x9999);
}
END_TEST

START_TEST(count_0_is_65536)
{
    program(0, 0x34, 0);
    ticks(1);
    ck_assert_uint_eq(count(0), 0);
    ticks(1);
    ck_assert_uint_eq(count(0), 65535);
}
END_TEST

Suite *suite_devices_pit8254(void);
Suite *suite_devices_pit8254(void)
{
    Suite *s = suite_create("devices/pit8254");
    TCase *t = tcase_create("pit8254");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, mode_0_raises_out_after_count_plus_1_clocks);
    tcase_add_test(t, mode_2_gives_one_edge_a_period);
    tcase_add_test(t, mode_2_is_100_hz_on_average);
    tcase_add_test(t, a_new_count_in_mode_2_starts_with_the_next_period);
    tcase_add_test(t, mode_3_is_high_for_the_longer_half);
    tcase_add_test(t, mode_3_counts_down_by_two);
    tcase_add_test(t, mode_4_strobes_once);
    tcase_add_test(t, mode_1_is_started_by_the_gate_of_counter_2);
    tcase_add_test(t, port_61_shows_the_end_of_a_calibration_interval);
    tcase_add_test(t, a_low_gate_holds_the_count_of_mode_0);
    tcase_add_test(t, the_refresh_bit_toggles_every_15_us);
    tcase_add_test(t, a_latched_count_stays_until_read);
    tcase_add_test(t, read_back_gives_status_then_count);
    tcase_add_test(t, bcd_counts_in_decimal);
    tcase_add_test(t, count_0_is_65536);
    suite_add_tcase(s, t);
    return s;
}
