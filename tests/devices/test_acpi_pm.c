#include "tests/devices/chip_lab.h"

#include "devices/acpi_pm.h"

static struct chip_lab *lab;
static struct device *pm;
static struct probe sci;
static unsigned power_offs;

static void power_off(void *owner)
{
    power_offs++;
}

static void setup(void)
{
    lab = chip_lab_create();
    pm = device_create(&acpi_pm_class, "pm", &lab->host);
    power_offs = 0;
    acpi_pm_configure(pm, power_off, NULL, false);
    probe_connect(&sci, acpi_pm_sci(pm));
    chip_start(pm);
    acpi_pm_move(pm, 0x600, true);
}

static void teardown(void)
{
    device_destroy(pm);
    chip_lab_destroy(lab);
}

static uint32_t in(uint16_t port, unsigned size)
{
    return ports_read(lab->host.ports, port, size);
}

static void out(uint16_t port, uint32_t value, unsigned size)
{
    ports_write(lab->host.ports, port, value, size);
}

START_TEST(the_timer_counts_24_bits_at_3579545_hz)
{
    ck_assert_uint_eq(in(0x608, 4), 0);
    chip_run(lab, CLOCK_HZ);
    ck_assert_uint_eq(in(0x608, 4), 3579545);
    chip_run(lab, 9 * CLOCK_HZ);
    ck_assert_uint_eq(in(0x608, 4), 35795450 % (1 << 24));
}
END_TEST

START_TEST(acpi_mode_is_switched_by_the_smi_command_port)
{
    ck_assert_uint_eq(in(0x604, 2) & 1, 0);
    out(0xb2, 0x02, 1);
    ck_assert_uint_eq(in(0x604, 2) & 1, 1);
    ck_assert_uint_eq(in(0xb2, 1), 0x02);
    out(0xb2, 0x03, 1);
    ck_assert_uint_eq(in(0x604, 2) & 1, 0);
}
END_TEST

START_TEST(the_timers_top_bit_raises_sci_until_its_status_is_cleared)
{
    out(0xb2, 0x02, 1);
    out(0x602, 0x0001, 2);
    chip_run_to(lab, clock_from_ticks(1 << 23, 3579545) - 1);
    ck_assert(!sci.level);
    chip_run(lab, 1);
    ck_assert(sci.level);
    ck_assert_uint_eq(in(0x600, 2) & 1, 1);
    out(0x600, 0x0001, 2);
    ck_assert(!sci.level);
    ck_assert_uint_eq(in(0x600, 2) & 1, 0);
    chip_run_to(lab, clock_from_ticks(1 << 24, 3579545));
    ck_assert(sci.level);
}
END_TEST

START_TEST(sleep_type_5_with_sleep_enable_powers_off)
{
    out(0x604, 0x0001, 2);
    ck_assert_uint_eq(power_offs, 0);
    out(0x604, 1 << 13 | ACPI_PM_S5_TYPE << 10, 2);
    ck_assert_uint_eq(power_offs, 1);
    ck_assert_uint_eq(in(0x604, 2) & 0x2000, 0); /* write-only */
}
END_TEST

START_TEST(other_sleep_types_do_nothing)
{
    out(0x604, 1 << 13 | 1 << 10, 2); /* S3 as QEMU numbers it */
    ck_assert_uint_eq(power_offs, 0);
}
END_TEST

START_TEST(the_power_button_is_a_fixed_event)
{
    out(0xb2, 0x02, 1);
    out(0x602, 0x0100, 2);
    acpi_pm_press_power_button(pm);
    ck_assert(sci.level);
    ck_assert_uint_eq(in(0x600, 2), 0x0100);
    out(0x601, 0x01, 1); /* bytes work too */
    ck_assert(!sci.level);
}
END_TEST

START_TEST(a_general_purpose_event_needs_its_enable_bit)
{
    out(0xb2, 0x02, 1);
    acpi_pm_gpe(pm, 9, true);
    ck_assert(!sci.level);
    out(0x629, 0x02, 1);
    ck_assert(sci.level);
    out(0x621, 0x02, 1);
    ck_assert(sci.level); /* the input is still high */
    acpi_pm_gpe(pm, 9, false);
    out(0x621, 0x02, 1);
    ck_assert(!sci.level);
}
END_TEST

START_TEST(the_block_moves_and_disappears)
{
    acpi_pm_move(pm, 0xb000, true);
    ck_assert_uint_eq(in(0x604, 2), 0xffff);
    ck_assert_uint_eq(in(0xb004, 2), 0);
    acpi_pm_move(pm, 0xb000, false);
    ck_assert_uint_eq(in(0xb004, 2), 0xffff);
}
END_TEST

Suite *suite_devices_acpi_pm(void);
Suite *suite_devices_acpi_pm(void)
{
    Suite *s = suite_create("devices/acpi_pm");
    TCase *t = tcase_create("acpi_pm");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, the_timer_counts_24_bits_at_3579545_hz);
    tcase_add_test(t, acpi_mode_is_switched_by_the_smi_command_port);
    tcase_add_test(t, the_timers_top_bit_raises_sci_until_its_status_is_cleared);
    tcase_add_test(t, sleep_type_5_with_sleep_enable_powers_off);
    tcase_add_test(t, other_sleep_types_do_nothing);
    tcase_add_test(t, the_power_button_is_a_fixed_event);
    tcase_add_test(t, a_general_purpose_event_needs_its_enable_bit);
    tcase_add_test(t, the_block_moves_and_disappears);
    suite_add_tcase(s, t);
    return s;
}
