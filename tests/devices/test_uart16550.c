#include "tests/devices/chip_lab.h"

#include "devices/uart16550.h"

enum { DATA = 0x3f8, IER, IIR, LCR, MCR, LSR, MSR, SCR };

static struct chip_lab *lab;
static struct device *uart;
static struct probe irq;

static void setup(void)
{
    struct char_backend backend;

    lab = chip_lab_create();
    backend = chip_backend(lab);
    uart = device_create(&uart16550_class, "com1", &lab->host);
    uart16550_set_backend(uart, &backend);
    probe_connect(&irq, uart16550_irq(uart));
    chip_start(uart);
    out8(lab, MCR, 0x0b);
}

static void teardown(void)
{
    device_destroy(uart);
    chip_lab_destroy(lab);
}

static size_t receive(const char *text)
{
    return uart16550_receive(uart, (const uint8_t *)text, strlen(text));
}

START_TEST(bytes_leave_at_once_and_the_transmitter_is_always_empty)
{
    out8(lab, DATA, 'h');
    ck_assert_uint_eq(in8(lab, LSR), 0x60);
    out8(lab, DATA, 'i');
    ck_assert_str_eq(lab->text, "hi");
}
END_TEST

START_TEST(divisor_latch_hides_data_and_ier)
{
    out8(lab, LCR, 0x83);
    out8(lab, DATA, 0x01);
    out8(lab, IER, 0x02);
    ck_assert_uint_eq(in8(lab, DATA), 0x01);
    ck_assert_uint_eq(in8(lab, IER), 0x02);
    out8(lab, LCR, 0x03);
    ck_assert_uint_eq(in8(lab, IER), 0x00);
    ck_assert_uint_eq(lab->text_length, 0);
}
END_TEST

START_TEST(enabling_the_empty_interrupt_raises_it_each_time)
{
    out8(lab, IER, 0x02);
    ck_assert(irq.level);
    ck_assert_uint_eq(in8(lab, IIR), 0x02);
    ck_assert(!irq.level);
    ck_assert_uint_eq(in8(lab, IIR), 0x01);
    out8(lab, IER, 0x00);
    out8(lab, IER, 0x02);
    ck_assert(irq.level);
    ck_assert_uint_eq(in8(lab, IIR), 0x02);
}
END_TEST

START_TEST(a_byte_written_raises_the_empty_interrupt_again)
{
    out8(lab, IER, 0x02);
    in8(lab, IIR);
    out8(lab, DATA, 'x');
    ck_assert(irq.level);
    ck_assert_uint_eq(irq.rises, 2);
    ck_assert_uint_eq(in8(lab, IIR), 0x02);
}
END_TEST

START_TEST(without_fifos_one_byte_is_taken_and_interrupts)
{
    out8(lab, IER, 0x01);
    ck_assert_uint_eq(uart16550_room(uart), 1);
    ck_assert_uint_eq(receive("ab"), 1);
    ck_assert(irq.level);
    ck_assert_uint_eq(in8(lab, IIR), 0x04);
    ck_assert_uint_eq(in8(lab, LSR), 0x61);
    ck_assert_uint_eq(in8(lab, DATA), 'a');
    ck_assert_uint_eq(lab->can_receive, 1);
    ck_assert(!irq.level);
    ck_assert_uint_eq(in8(lab, LSR), 0x60);
}
END_TEST

START_TEST(the_fifo_interrupts_at_its_trigger_level)
{
    out8(lab, IIR, 0x81); /* 8 bytes */
    out8(lab, IER, 0x01);
    ck_assert_uint_eq(in8(lab, IIR), 0xc1);
    receive("1234567");
    ck_assert(!irq.level);
    receive("8");
    ck_assert(irq.level);
    ck_assert_uint_eq(in8(lab, IIR), 0xc4);
    ck_assert_uint_eq(in8(lab, DATA), '1');
    ck_assert(!irq.level);
}
END_TEST

START_TEST(the_fifo_times_out_after_four_characters)
{
    out8(lab, LCR, 0x83);
    out8(lab, DATA, 1); /* 115200 baud, 8N1: 10 bits are 86.8 us */
    out8(lab, IER, 0);
    out8(lab, LCR, 0x03);
    out8(lab, IIR, 0x81);
    out8(lab, IER, 0x01);
    receive("1");
    chip_run_ns(lab, 347000);
    ck_assert(!irq.level);
    chip_run_ns(lab, 300);
    ck_assert(irq.level);
    ck_assert_uint_eq(in8(lab, IIR), 0xcc);
    ck_assert_uint_eq(in8(lab, DATA), '1');
    ck_assert(!irq.level);
    chip_run_ns(lab, 1000000);
    ck_assert_uint_eq(in8(lab, IIR), 0xc1);
}
END_TEST

START_TEST(a_full_fifo_takes_no_more_until_it_is_read)
{
    out8(lab, IIR, 0x01);
    ck_assert_uint_eq(receive("0123456789abcdefXYZ"), 16);
    ck_assert_uint_eq(receive("X"), 0);
    for (unsigned i = 0; i < 16; i++)
        ck_assert_uint_eq(in8(lab, DATA), "0123456789abcdef"[i]);
    ck_assert_uint_eq(uart16550_room(uart), 16);
    ck_assert_uint_ge(lab->can_receive, 1);
}
END_TEST

START_TEST(loop_back_receives_what_is_sent_and_nothing_leaves)
{
    out8(lab, MCR, 0x10);
    out8(lab, IIR, 0x01);
    out8(lab, DATA, 0x5a);
    ck_assert_uint_eq(in8(lab, DATA), 0x5a);
    ck_assert_uint_eq(lab->text_length, 0);
    ck_assert_uint_eq(receive("x"), 0);
}
END_TEST

START_TEST(loop_back_overrun_is_a_line_status_that_reading_clears)
{
    out8(lab, MCR, 0x10);
    out8(lab, DATA, 1);
    out8(lab, DATA, 2);
    ck_assert_uint_eq(in8(lab, LSR), 0x63);
    ck_assert_uint_eq(in8(lab, LSR), 0x61);
    ck_assert_uint_eq(in8(lab, DATA), 2);
}
END_TEST

START_TEST(loop_back_turns_modem_outputs_into_inputs)
{
    in8(lab, MSR);
    out8(lab, MCR, 0x1a); /* RTS, OUT2: what Linux looks for */
    ck_assert_uint_eq(in8(lab, MSR) & 0xf0, 0x90);
    ck_assert_uint_eq(in8(lab, MSR) & 0x0f, 0x00);
    out8(lab, MCR, 0x1e);
    ck_assert_uint_eq(in8(lab, MSR), 0xd0); /* a ring that begins is no change */
    out8(lab, MCR, 0x1a);
    ck_assert_uint_eq(in8(lab, MSR), 0x94);
}
END_TEST

START_TEST(interrupts_have_the_order_of_the_data_sheet)
{
    out8(lab, MCR, 0x08);
    out8(lab, IER, 0x0f);
    out8(lab, MCR, 0x18);
    out8(lab, DATA, 1);
    out8(lab, DATA, 2);
    ck_assert_uint_eq(in8(lab, IIR), 0x06);
    in8(lab, LSR);
    ck_assert_uint_eq(in8(lab, IIR), 0x04);
    in8(lab, DATA);
    ck_assert_uint_eq(in8(lab, IIR), 0x02);
    ck_assert_uint_eq(in8(lab, IIR), 0x00);
    in8(lab, MSR);
    ck_assert_uint_eq(in8(lab, IIR), 0x01);
}
END_TEST

START_TEST(out2_connects_the_interrupt)
{
    out8(lab, MCR, 0x03);
    out8(lab, IER, 0x02);
    ck_assert(!irq.level);
    out8(lab, MCR, 0x0b);
    ck_assert(irq.level);
}
END_TEST

START_TEST(the_modem_is_connected_and_the_scratch_register_holds)
{
    ck_assert_uint_eq(in8(lab, MSR), 0xb0);
    out8(lab, SCR, 0xa5);
    ck_assert_uint_eq(in8(lab, SCR), 0xa5);
}
END_TEST

Suite *suite_devices_uart16550(void);
Suite *suite_devices_uart16550(void)
{
    Suite *s = suite_create("devices/uart16550");
    TCase *t = tcase_create("uart16550");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, bytes_leave_at_once_and_the_transmitter_is_always_empty);
    tcase_add_test(t, divisor_latch_hides_data_and_ier);
    tcase_add_test(t, enabling_the_empty_interrupt_raises_it_each_time);
    tcase_add_test(t, a_byte_written_raises_the_empty_interrupt_again);
    tcase_add_test(t, without_fifos_one_byte_is_taken_and_interrupts);
    tcase_add_test(t, the_fifo_interrupts_at_its_trigger_level);
    tcase_add_test(t, the_fifo_times_out_after_four_characters);
    tcase_add_test(t, a_full_fifo_takes_no_more_until_it_is_read);
    tcase_add_test(t, loop_back_receives_what_is_sent_and_nothing_leaves);
    tcase_add_test(t, loop_back_overrun_is_a_line_status_that_reading_clears);
    tcase_add_test(t, loop_back_turns_modem_outputs_into_inputs);
    tcase_add_test(t, interrupts_have_the_order_of_the_data_sheet);
    tcase_add_test(t, out2_connects_the_interrupt);
    tcase_add_test(t, the_modem_is_connected_and_the_scratch_register_holds);
    suite_add_tcase(s, t);
    return s;
}
