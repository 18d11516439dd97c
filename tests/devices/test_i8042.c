#include "tests/devices/chip_lab.h"

#include "devices/i8042.h"
#include "devices/port92.h"

static struct chip_lab *lab;
static struct device *kbc;
static struct probe irq1, irq12, a20, reset;

static void setup(void)
{
    lab = chip_lab_create();
    kbc = device_create(&i8042_class, "i8042", &lab->host);
    probe_connect(&irq1, i8042_irq_keyboard(kbc));
    probe_connect(&irq12, i8042_irq_mouse(kbc));
    probe_connect(&a20, i8042_a20(kbc));
    probe_connect(&reset, i8042_reset_line(kbc));
    chip_start(kbc);
}

static void teardown(void)
{
    device_destroy(kbc);
    chip_lab_destroy(lab);
}

static void command(uint8_t c)
{
    out8(lab, 0x64, c);
}

static void command_data(uint8_t c, uint8_t data)
{
    out8(lab, 0x64, c);
    out8(lab, 0x60, data);
}

/* the bytes that wait in the output buffer, one after the other, are exactly these */
static void expect(const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        ck_assert_uint_eq(in8(lab, 0x64) & 1, 1);
        ck_assert_uint_eq(in8(lab, 0x60), (uint8_t)bytes[i]);
    }
    ck_assert_uint_eq(in8(lab, 0x64) & 1, 0);
}

START_TEST(self_test_and_interface_tests_pass)
{
    command(0xaa);
    expect("\x55", 1);
    command(0xab);
    expect("\x00", 1);
    command(0xa9);
    expect("\x00", 1);
    ck_assert_uint_eq(in8(lab, 0x64) & 0x1c, 0x1c); /* system flag, last was a command, unlocked */
}
END_TEST

START_TEST(command_byte_is_written_and_read)
{
    command_data(0x60, 0x47);
    command(0x20);
    expect("\x47", 1);
}
END_TEST

START_TEST(keyboard_resets_and_identifies_itself_translated_and_raw)
{
    out8(lab, 0x60, 0xff);
    expect("\xfa\xaa", 2);
    out8(lab, 0x60, 0xf2);
    expect("\xfa\xab\x41", 3);
    command_data(0x60, 0x05); /* no translation */
    out8(lab, 0x60, 0xf2);
    expect("\xfa\xab\x83", 3);
}
END_TEST

START_TEST(keys_are_translated_to_set_1)
{
    i8042_key(kbc, 0x1e, true); /* A */
    ck_assert(irq1.level);
    expect("\x1e", 1);
    ck_assert(!irq1.level);
    i8042_key(kbc, 0x1e, false);
    expect("\x9e", 1);
    i8042_key(kbc, 0xe048, true); /* up */
    i8042_key(kbc, 0xe048, false);
    expect("\xe0\x48\xe0\xc8", 4);
    i8042_key(kbc, 0xe11d, true);
    expect("\xe1\x1d\x45\xe1\x9d\xc5", 6);
    i8042_key(kbc, 0x41, true); /* F7, 83H in set 2 */
    expect("\x41", 1);
}
END_TEST

START_TEST(keys_come_in_set_2_without_translation)
{
    command_data(0x60, 0x05);
    i8042_key(kbc, 0x1e, true);
    i8042_key(kbc, 0x1e, false);
    expect("\x1c\xf0\x1c", 3);
    i8042_key(kbc, 0x41, true);
    expect("\x83", 1);
}
END_TEST

START_TEST(every_key_is_the_same_after_both_translations)
{
    for (uint16_t key = 1; key < 0x80; key++) {
        char make = (char)key, release = (char)(key | 0x80);

        i8042_key(kbc, key, true);
        expect(&make, 1);
        i8042_key(kbc, key, false);
        expect(&release, 1);
    }
}
END_TEST

START_TEST(each_byte_is_an_edge_of_its_own)
{
    i8042_key(kbc, 0xe048, true);
    ck_assert_uint_eq(irq1.rises, 1);
    in8(lab, 0x60);
    ck_assert_uint_eq(irq1.rises, 2);
    in8(lab, 0x60);
    ck_assert_uint_eq(irq1.rises, 2);
    ck_assert(!irq1.level);
}
END_TEST

START_TEST(a_full_keyboard_drops_whole_keys)
{
    for (unsigned i = 0; i < 40; i++)
        i8042_key(kbc, 0xe048, true);
    for (unsigned i = 0; in8(lab, 0x64) & 1; i++)
        ck_assert_uint_eq(in8(lab, 0x60), i % 2 ? 0x48 : 0xe0);
}
END_TEST

START_TEST(set_leds_scan_set_echo_and_resend)
{
    out8(lab, 0x60, 0xed);
    expect("\xfa", 1);
    out8(lab, 0x60, 0x07);
    expect("\xfa", 1);
    out8(lab, 0x60, 0xf0);
    out8(lab, 0x60, 0x00);
    expect("\xfa\xfa\x41", 3); /* set 2, translated */
    out8(lab, 0x60, 0xee);
    expect("\xee", 1);
    out8(lab, 0x60, 0xfe);
    expect("\xee", 1);
    out8(lab, 0x60, 0x12);
    expect("\xfe", 1);
}
END_TEST

START_TEST(mouse_answers_through_d4_and_irq_12)
{
    command_data(0x60, 0x47);
    command_data(0xd4, 0xff);
    ck_assert_uint_eq(in8(lab, 0x64) & 0x21, 0x21);
    ck_assert(irq12.level);
    expect("\xfa\xaa\x00", 3);
    command_data(0xd4, 0xf2);
    expect("\xfa\x00", 2);
    ck_assert(!irq12.level);
    ck_assert_uint_eq(irq1.rises, 0);
}
END_TEST

START_TEST(mouse_reports_movement_once_enabled)
{
    i8042_mouse(kbc, 5, -3, 0, 1);
    ck_assert_uint_eq(in8(lab, 0x64) & 1, 0);
    command_data(0xd4, 0xf6);
    command_data(0xd4, 0xf4);
    expect("\xfa\xfa", 2);
    i8042_mouse(kbc, 5, -3, 0, 1);
    expect("\x29\x05\xfd", 3);
}
END_TEST

START_TEST(rates_200_100_80_make_a_wheel_mouse)
{
    static const uint8_t rates[] = { 200, 100, 80 };

    for (unsigned i = 0; i < 3; i++) {
        command_data(0xd4, 0xf3);
        command_data(0xd4, rates[i]);
        expect("\xfa\xfa", 2);
    }
    command_data(0xd4, 0xf2);
    expect("\xfa\x03", 2);
    command_data(0xd4, 0xf4);
    expect("\xfa", 1);
    i8042_mouse(kbc, 0, 0, 1, 0);
    expect("\x08\x00\x00\x01", 4);
}
END_TEST

START_TEST(loops_of_the_two_outputs_work_with_the_mouse_disabled)
{
    command(0xa7);
    command_data(0xd3, 0x5a);
    ck_assert_uint_eq(in8(lab, 0x64) & 0x20, 0x20);
    expect("\x5a", 1);
    command_data(0xd2, 0xa5);
    ck_assert_uint_eq(in8(lab, 0x64) & 0x20, 0);
    expect("\xa5", 1);
}
END_TEST

START_TEST(a_disabled_keyboard_waits)
{
    command(0xad);
    i8042_key(kbc, 0x1e, true);
    ck_assert_uint_eq(in8(lab, 0x64) & 1, 0);
    command(0xae);
    expect("\x1e", 1);
}
END_TEST

START_TEST(a20_is_on_and_follows_the_output_port)
{
    ck_assert(a20.level);
    command_data(0xd1, 0xdd);
    ck_assert(!a20.level);
    command(0xdf);
    ck_assert(a20.level);
    command(0xd0);
    expect("\xcf", 1);
    ck_assert_uint_eq(reset.rises, 0);
}
END_TEST

START_TEST(pulse_fe_and_output_bit_0_reset_the_machine)
{
    command(0xfe);
    ck_assert_uint_eq(reset.rises, 1);
    command_data(0xd1, 0xfe);
    ck_assert_uint_eq(reset.rises, 2);
    command(0xff);
    ck_assert_uint_eq(reset.rises, 2);
}
END_TEST

START_TEST(port_92_gates_a20_and_pulses_init_on_the_edge)
{
    struct device *p92 = device_create(&port92_class, "port92", &lab->host);
    struct probe gate, init;

    probe_connect(&gate, port92_a20(p92));
    probe_connect(&init, port92_init(p92));
    chip_start(p92);
    ck_assert(!gate.level);
    out8(lab, 0x92, 0x02);
    ck_assert(gate.level);
    out8(lab, 0x92, 0x03);
    out8(lab, 0x92, 0x03);
    ck_assert_uint_eq(init.rises, 1);
    ck_assert_uint_eq(in8(lab, 0x92), 0x03);
    device_destroy(p92);
}
END_TEST

Suite *suite_devices_i8042(void);
Suite *suite_devices_i8042(void)
{
    Suite *s = suite_create("devices/i8042");
    TCase *t = tcase_create("i8042");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, self_test_and_interface_tests_pass);
    tcase_add_test(t, command_byte_is_written_and_read);
    tcase_add_test(t, keyboard_resets_and_identifies_itself_translated_and_raw);
    tcase_add_test(t, keys_are_translated_to_set_1);
    tcase_add_test(t, keys_come_in_set_2_without_translation);
    tcase_add_test(t, every_key_is_the_same_after_both_translations);
    tcase_add_test(t, each_byte_is_an_edge_of_its_own);
    tcase_add_test(t, a_full_keyboard_drops_whole_keys);
    tcase_add_test(t, set_leds_scan_set_echo_and_resend);
    tcase_add_test(t, mouse_answers_through_d4_and_irq_12);
    tcase_add_test(t, mouse_reports_movement_once_enabled);
    tcase_add_test(t, rates_200_100_80_make_a_wheel_mouse);
    tcase_add_test(t, loops_of_the_two_outputs_work_with_the_mouse_disabled);
    tcase_add_test(t, a_disabled_keyboard_waits);
    tcase_add_test(t, a20_is_on_and_follows_the_output_port);
    tcase_add_test(t, pulse_fe_and_output_bit_0_reset_the_machine);
    tcase_add_test(t, port_92_gates_a20_and_pulses_init_on_the_edge);
    suite_add_tcase(s, t);
    return s;
}
