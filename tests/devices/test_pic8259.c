#include "tests/devices/chip_lab.h"

#include "devices/pic8259.h"

static struct chip_lab *lab;
static struct device *pic;
static struct probe intr;

/* as every PC initializes it: vectors 20H and 28H, all inputs unmasked */
static void setup(void)
{
    lab = chip_lab_create();
    pic = device_create(&pic8259_class, "pic", &lab->host);
    probe_connect(&intr, pic8259_intr(pic));
    chip_start(pic);
    out8(lab, 0x20, 0x11);
    out8(lab, 0x21, 0x20);
    out8(lab, 0x21, 0x04);
    out8(lab, 0x21, 0x01);
    out8(lab, 0xa0, 0x11);
    out8(lab, 0xa1, 0x28);
    out8(lab, 0xa1, 0x02);
    out8(lab, 0xa1, 0x01);
}

static void teardown(void)
{
    device_destroy(pic);
    chip_lab_destroy(lab);
}

START_TEST(after_reset_all_inputs_are_masked)
{
    device_reset(pic);
    ck_assert_uint_eq(in8(lab, 0x21), 0xff);
    ck_assert_uint_eq(in8(lab, 0xa1), 0xff);
}
END_TEST

START_TEST(an_edge_is_announced_acknowledged_once_and_ended_by_eoi)
{
    pic8259_irq(pic, 4, true);
    ck_assert(intr.level);
    ck_assert_int_eq(pic8259_acknowledge(pic), 0x24);
    ck_assert(!intr.level);
    out8(lab, 0x20, 0x0b);
    ck_assert_uint_eq(in8(lab, 0x20), 0x10); /* ISR */
    out8(lab, 0x20, 0x20);
    ck_assert_uint_eq(in8(lab, 0x20), 0x00);
    ck_assert(!intr.level); /* still high, but no new edge */
}
END_TEST

START_TEST(a_slave_request_goes_through_ir_2_and_needs_two_eois)
{
    pic8259_irq(pic, 12, true);
    ck_assert_int_eq(pic8259_acknowledge(pic), 0x2c);
    out8(lab, 0x20, 0x0b);
    out8(lab, 0xa0, 0x0b);
    ck_assert_uint_eq(in8(lab, 0x20), 0x04);
    ck_assert_uint_eq(in8(lab, 0xa0), 0x10);
    pic8259_irq(pic, 5, true);
    ck_assert(!intr.level); /* IR 2 has the higher priority */
    out8(lab, 0xa0, 0x20);
    out8(lab, 0x20, 0x20);
    ck_assert(intr.level);
}
END_TEST

START_TEST(two_slave_requests_come_one_after_the_other)
{
    pic8259_irq(pic, 9, true);
    pic8259_irq(pic, 10, true);
    ck_assert_int_eq(pic8259_acknowledge(pic), 0x29);
    out8(lab, 0xa0, 0x20);
    out8(lab, 0x20, 0x20);
    ck_assert_int_eq(pic8259_acknowledge(pic), 0x2a);
}
END_TEST

START_TEST(a_request_that_goes_away_gives_irq_7_without_isr)
{
    pic8259_irq(pic, 3, true);
    pic8259_irq(pic, 3, false);
    ck_assert_int_eq(pic8259_acknowledge(pic), 0x27);
    out8(lab, 0x20, 0x0b);
    ck_assert_uint_eq(in8(lab, 0x20), 0x00);
}
END_TEST

START_TEST(a_level_input_stays_requested_until_it_falls)
{
    out8(lab, 0x4d1, 0x08); /* IRQ 11 */
    pic8259_irq(pic, 11, true);
    ck_assert_int_eq(pic8259_acknowledge(pic), 0x2b);
    out8(lab, 0xa0, 0x20);
    out8(lab, 0x20, 0x20);
    ck_assert(intr.level);
    pic8259_irq(pic, 11, false);
    ck_assert(!intr.level);
}
END_TEST

START_TEST(elcr_keeps_the_timer_keyboard_cascade_rtc_and_fpu_on_edges)
{
    out8(lab, 0x4d0, 0xff);
    out8(lab, 0x4d1, 0xff);
    ck_assert_uint_eq(in8(lab, 0x4d0), 0xf8);
    ck_assert_uint_eq(in8(lab, 0x4d1), 0xde);
}
END_TEST

START_TEST(a_lower_priority_waits_for_eoi_and_a_higher_one_does_not)
{
    pic8259_irq(pic, 4, true);
    pic8259_acknowledge(pic);
    pic8259_irq(pic, 6, true);
    ck_assert(!intr.level);
    pic8259_irq(pic, 1, true);
    ck_assert(intr.level);
    ck_assert_int_eq(pic8259_acknowledge(pic), 0x21);
}
END_TEST

START_TEST(special_mask_mode_lets_lower_priorities_through)
{
    pic8259_irq(pic, 4, true);
    pic8259_acknowledge(pic);
    pic8259_irq(pic, 6, true);
    out8(lab, 0x21, 0x10);
    ck_assert(!intr.level);
    out8(lab, 0x20, 0x68);
    ck_assert(intr.level);
    ck_assert_int_eq(pic8259_acknowledge(pic), 0x26);
}
END_TEST

START_TEST(auto_eoi_leaves_no_isr)
{
    out8(lab, 0x20, 0x11);
    out8(lab, 0x21, 0x20);
    out8(lab, 0x21, 0x04);
    out8(lab, 0x21, 0x03);
    pic8259_irq(pic, 0, true);
    ck_assert_int_eq(pic8259_acknowledge(pic), 0x20);
    out8(lab, 0x20, 0x0b);
    ck_assert_uint_eq(in8(lab, 0x20), 0x00);
}
END_TEST

START_TEST(rotation_gives_the_served_input_the_lowest_priority)
{
    pic8259_irq(pic, 3, true);
    pic8259_acknowledge(pic);
    out8(lab, 0x20, 0xa0); /* rotate on non-specific EOI */
    pic8259_irq(pic, 3, false);
    pic8259_irq(pic, 3, true);
    pic8259_irq(pic, 4, true);
    ck_assert_int_eq(pic8259_acknowledge(pic), 0x24);
}
END_TEST

START_TEST(poll_reads_the_input_and_acknowledges)
{
    pic8259_irq(pic, 5, true);
    out8(lab, 0x20, 0x0c);
    ck_assert_uint_eq(in8(lab, 0x20), 0x85);
    ck_assert(!intr.level);
    out8(lab, 0x20, 0x0b);
    ck_assert_uint_eq(in8(lab, 0x20), 0x20);
}
END_TEST

START_TEST(initialization_forgets_edges_and_unmasks)
{
    pic8259_irq(pic, 5, true);
    out8(lab, 0x20, 0x11);
    ck_assert(!intr.level);
    out8(lab, 0x21, 0x50);
    out8(lab, 0x21, 0x04);
    out8(lab, 0x21, 0x01);
    ck_assert_uint_eq(in8(lab, 0x21), 0x00);
    pic8259_irq(pic, 5, false);
    pic8259_irq(pic, 5, true);
    ck_assert_int_eq(pic8259_acknowledge(pic), 0x55);
}
END_TEST

Suite *suite_devices_pic8259(void);
Suite *suite_devices_pic8259(void)
{
    Suite *s = suite_create("devices/pic8259");
    TCase *t = tcase_create("pic8259");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, after_reset_all_inputs_are_masked);
    tcase_add_test(t, an_edge_is_announced_acknowledged_once_and_ended_by_eoi);
    tcase_add_test(t, a_slave_request_goes_through_ir_2_and_needs_two_eois);
    tcase_add_test(t, two_slave_requests_come_one_after_the_other);
    tcase_add_test(t, a_request_that_goes_away_gives_irq_7_without_isr);
    tcase_add_test(t, a_level_input_stays_requested_until_it_falls);
    tcase_add_test(t, elcr_keeps_the_timer_keyboard_cascade_rtc_and_fpu_on_edges);
    tcase_add_test(t, a_lower_priority_waits_for_eoi_and_a_higher_one_does_not);
    tcase_add_test(t, special_mask_mode_lets_lower_priorities_through);
    tcase_add_test(t, auto_eoi_leaves_no_isr);
    tcase_add_test(t, rotation_gives_the_served_input_the_lowest_priority);
    tcase_add_test(t, poll_reads_the_input_and_acknowledges);
    tcase_add_test(t, initialization_forgets_edges_and_unmasks);
    suite_add_tcase(s, t);
    return s;
}
