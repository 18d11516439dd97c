/* The Q35 host bridge: configuration ports, ECAM, reset control. */
#include "tests/devices/test_card.h"

static struct pci_lab *lab;
static unsigned resets;

static void count_reset(void *owner, unsigned n, bool level)
{
    resets += level;
}

static void setup(void)
{
    lab = lab_create();
    resets = 0;
    line_connect(&((struct pci_host *)lab->mch)->reset, count_reset, NULL, 0);
}

static void teardown(void)
{
    lab_destroy(lab);
}

static uint32_t in(uint16_t port, unsigned size)
{
    return ports_read(lab->host.ports, port, size);
}

static void out(uint16_t port, uint32_t value, unsigned size)
{
    ports_write(lab->host.ports, port, value, size);
}

START_TEST(the_data_port_reads_the_selected_register)
{
    out(0xcf8, 0x80000000, 4);
    ck_assert_uint_eq(in(0xcfc, 4), 0x29c08086);
    ck_assert_uint_eq(in(0xcfc, 2), 0x8086);
    ck_assert_uint_eq(in(0xcfe, 2), 0x29c0);
    ck_assert_uint_eq(in(0xcff, 1), 0x29);
    out(0xcf8, 0x80000000 | 31 << 11 | 8, 4);
    ck_assert_uint_eq(in(0xcfc, 4), 0x06010002);
}
END_TEST

START_TEST(the_address_port_takes_doublewords_only)
{
    out(0xcf8, 0x80123457, 4);
    ck_assert_uint_eq(in(0xcf8, 4), 0x80123454); /* the low two bits are wired to 0 */
    out(0xcfb, 0x01, 1);
    out(0xcf8, 0xffff, 2);
    ck_assert_uint_eq(in(0xcf8, 4), 0x80123454);
}
END_TEST

START_TEST(nothing_answers_while_disabled_or_on_other_buses)
{
    out(0xcf8, 0x00000000, 4);
    ck_assert_uint_eq(in(0xcfc, 4), 0xffffffff);
    out(0xcf8, 0x80010000, 4);
    ck_assert_uint_eq(in(0xcfc, 4), 0xffffffff);
    out(0xcfc, 0, 4);
    out(0xcf8, 0x80000000 | 5 << 11, 4);
    ck_assert_uint_eq(in(0xcfc, 4), 0xffffffff);
}
END_TEST

START_TEST(ecam_is_off_after_reset_and_on_after_firmware_setup)
{
    ck_assert_uint_eq(bus_read(lab->host.bus, 0xb0000000, 4), 0xffffffff);
    pci_host_firmware_setup(lab->mch);
    ck_assert_uint_eq(lab_config(lab, 0, 0x60, 4), 0xb0000001);
    ck_assert_uint_eq(bus_read(lab->host.bus, 0xb0000000, 4), 0x29c08086);
    ck_assert_uint_eq(bus_read(lab->host.bus, 0xb0000000 + (31 << 15), 4), 0x29188086);
    ck_assert_uint_eq(bus_read(lab->host.bus, 0xb0000000 + (31 << 15) + 2, 1), 0x18);
    ck_assert_uint_eq(bus_read(lab->host.bus, 0xb0000000, 8), UINT64_C(0x0000000629c08086));
    device_reset(lab->mch);
    ck_assert_uint_eq(bus_read(lab->host.bus, 0xb0000000, 4), 0xffffffff);
}
END_TEST

START_TEST(extended_registers_and_other_buses_read_as_ones_in_ecam)
{
    pci_host_firmware_setup(lab->mch);
    ck_assert_uint_eq(bus_read(lab->host.bus, 0xb0000100, 4), 0xffffffff);
    ck_assert_uint_eq(bus_read(lab->host.bus, 0xb0100000, 4), 0xffffffff);
    ck_assert_uint_eq(bus_read(lab->host.bus, 0xbffffffc, 4), 0xffffffff);
    bus_write(lab->host.bus, 0xb0100004, 0, 4);
}
END_TEST

START_TEST(ecam_moves_and_shrinks_with_pciexbar)
{
    pci_host_firmware_setup(lab->mch);
    lab_set_config(lab, 0, 0x60, 0xe0000005, 4); /* 64 MiB at 0xe0000000 */
    ck_assert_uint_eq(bus_read(lab->host.bus, 0xb0000000, 4), 0xffffffff);
    ck_assert_uint_eq(bus_read(lab->host.bus, 0xe0000000, 4), 0x29c08086);
    lab_set_config(lab, 0, 0x60, 0xe0000007, 4); /* reserved length */
    ck_assert_uint_eq(bus_read(lab->host.bus, 0xe0000000, 4), 0xffffffff);
    lab_set_config(lab, 0, 0x64, 0x1, 4);
    lab_set_config(lab, 0, 0x60, 0x00000001, 4); /* at 4 GiB */
    ck_assert_uint_eq(bus_read(lab->host.bus, 0x100000000, 4), 0x29c08086);
}
END_TEST

START_TEST(ecam_can_move_itself)
{
    pci_host_firmware_setup(lab->mch);
    bus_write(lab->host.bus, 0xb0000060, 0xd0000001, 4);
    ck_assert_uint_eq(bus_read(lab->host.bus, 0xd0000000, 4), 0x29c08086);
    bus_write(lab->host.bus, 0xd0000060, UINT64_C(0x00000000e0000001), 8);
    ck_assert_uint_eq(bus_read(lab->host.bus, 0xe0000000, 4), 0x29c08086);
}
END_TEST

START_TEST(ecam_does_not_hide_ram)
{
    bus_write(lab->host.bus, 0x1000, 0x1234, 4);
    lab_set_config(lab, 0, 0x60, 0x00000001, 4);
    ck_assert_uint_eq(bus_read(lab->host.bus, 0x1000, 4), 0x1234);
}
END_TEST

START_TEST(reset_control_resets_on_the_edge_of_rst_cpu)
{
    out(0xcf9, 0x02, 1);
    ck_assert_uint_eq(resets, 0);
    out(0xcf9, 0x06, 1);
    ck_assert_uint_eq(resets, 1);
    out(0xcf9, 0x06, 1);
    ck_assert_uint_eq(resets, 1);
    ck_assert_uint_eq(in(0xcf9, 1), 0x06);
    out(0xcf8, 0x80000600, 4); /* not a write to 0xcf9 */
    ck_assert_uint_eq(resets, 1);
}
END_TEST

START_TEST(dram_registers_tell_the_size_of_ram)
{
    struct device_host *host = &lab->host;
    struct device *mch = pci_host_create("big", host, 0xb0000000, 0x150000000);
    struct err e = { "" };

    /* another bridge would share the ports: only its registers are of interest */
    ck_assert(device_realize(mch, &e));
    ck_assert_uint_eq(pci_config_read(pci_host_bus(mch), 0, 0xa0, 2), 0x200000000 >> 26);
    ck_assert_uint_eq(pci_config_read(pci_host_bus(mch), 0, 0xa2, 2), 0x250000000 >> 20);
    ck_assert_uint_eq(pci_config_read(pci_host_bus(mch), 0, 0xb0, 2), 0xb000);
    ck_assert_uint_eq(pci_host_mem64_base(mch), 0x280000000);
    device_destroy(mch);
}
END_TEST

START_TEST(ram_that_reaches_into_ecam_is_refused)
{
    struct device *mch = pci_host_create("big", &lab->host, 0xc0000000, 0);
    struct err e = { "" };

    ck_assert(!device_realize(mch, &e));
    ck_assert_str_eq(e.text, "big: RAM below 4 GiB must end at or below 0xb0000000");
    device_destroy(mch);
}
END_TEST

START_TEST(state_is_restored)
{
    pci_host_firmware_setup(lab->mch);
    out(0xcf8, 0x80000000, 4);
    lab_expect_restores(lab->mch);
    ck_assert_uint_eq(bus_read(lab->host.bus, 0xb0000000, 4), 0x29c08086);
    ck_assert_uint_eq(in(0xcfc, 4), 0x29c08086);
}
END_TEST

START_TEST(info_names_the_functions_of_the_bus)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    pci_host_firmware_setup(lab->mch);
    device_show(lab->mch, f);
    device_show(lab->lpc, f);
    fclose(f);
    ck_assert_ptr_nonnull(strstr(text, "ECAM at 0xb0000000, 256 MiB\n00:00.0 mch\n00:1f.0 lpc\n"));
    ck_assert_ptr_nonnull(strstr(text, "PIRQH: low, GSI 23, no 8259 input\n"));
    free(text);
}
END_TEST

Suite *suite_devices_pci_host(void);

Suite *suite_devices_pci_host(void)
{
    const TTest *const tests[] = {
        the_data_port_reads_the_selected_register,
        the_address_port_takes_doublewords_only,
        nothing_answers_while_disabled_or_on_other_buses,
        ecam_is_off_after_reset_and_on_after_firmware_setup,
        extended_registers_and_other_buses_read_as_ones_in_ecam,
        ecam_moves_and_shrinks_with_pciexbar,
        ecam_can_move_itself,
        ecam_does_not_hide_ram,
        reset_control_resets_on_the_edge_of_rst_cpu,
        dram_registers_tell_the_size_of_ram,
        ram_that_reaches_into_ecam_is_refused,
        state_is_restored,
        info_names_the_functions_of_the_bus,
    };
    Suite *s = suite_create("devices/pci_host");
    TCase *t = tcase_create("pci_host");

    tcase_add_checked_fixture(t, setup, teardown);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        tcase_add_test(t, tests[i]);
    suite_add_tcase(s, t);
    return s;
}
