/* The two one-way ports of emulated PCs. */
#include "tests/devices/chip_lab.h"

#include "devices/debugcon.h"
#include "devices/isa_debug_exit.h"

static struct chip_lab *lab;

static void setup(void)
{
    lab = chip_lab_create();
}

static void teardown(void)
{
    chip_lab_destroy(lab);
}

static void done(void *owner, uint32_t code)
{
    *(uint32_t *)owner = code;
}

START_TEST(a_write_to_port_f4_reports_its_code)
{
    struct device *dev = device_create(&isa_debug_exit_class, "exit", &lab->host);
    uint32_t code = 0;

    isa_debug_exit_configure(dev, 0xf4, 4, done, &code);
    chip_start(dev);
    ports_write(lab->host.ports, 0xf4, 0x21, 4);
    ck_assert_uint_eq(code, 0x21);
    ck_assert_uint_eq(in8(lab, 0xf4), 0);
    device_destroy(dev);
}
END_TEST

START_TEST(port_e9_writes_text_and_reads_e9)
{
    struct device *dev = device_create(&debugcon_class, "debugcon", &lab->host);
    struct char_backend backend = chip_backend(lab);

    debugcon_set_backend(dev, &backend);
    chip_start(dev);
    out8(lab, 0xe9, 'o');
    out8(lab, 0xe9, 'k');
    ck_assert_str_eq(lab->text, "ok");
    ck_assert_uint_eq(in8(lab, 0xe9), 0xe9);
    device_destroy(dev);
}
END_TEST

Suite *suite_devices_exit_ports(void);
Suite *suite_devices_exit_ports(void)
{
    Suite *s = suite_create("devices/exit_ports");
    TCase *t = tcase_create("exit ports");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_write_to_port_f4_reports_its_code);
    tcase_add_test(t, port_e9_writes_text_and_reads_e9);
    suite_add_tcase(s, t);
    return s;
}
