/* The ICH9 LPC bridge: ways of PCI interrupts and of the SCI, bases that move. */
#include "tests/devices/test_card.h"

enum { LPC = 31 << 3 };

static struct pci_lab *lab;
static struct ich9_lpc *lpc;
static struct test_card *card; /* slot 4, INTA: PIRQ E */
static struct {
    uint16_t base;
    bool enabled;
    unsigned calls;
} pm;

static void pm_moved(void *owner, uint16_t base, bool enabled)
{
    pm.base = base;
    pm.enabled = enabled;
    pm.calls++;
}

static void setup(void)
{
    lab = lab_create();
    lpc = (struct ich9_lpc *)lab->lpc;
    lpc->pm_moved = pm_moved;
    card = test_card_create(lab, &test_card_class, "card", 4);
    memset(&pm, 0, sizeof pm);
}

static void teardown(void)
{
    device_destroy(&card->fn.dev);
    lab_destroy(lab);
}

/* the inputs that are high, as bits */
static uint32_t high(const struct line *line, unsigned count)
{
    uint32_t v = 0;

    for (unsigned i = 0; i < count; i++)
        v |= (uint32_t)line[i].level << i;
    return v;
}

static void expect_high(uint32_t pic, uint32_t gsi)
{
    ck_assert_uint_eq(high(lpc->pic, 16), pic);
    ck_assert_uint_eq(high(lpc->gsi, 24), gsi);
}

START_TEST(pirq_e_is_gsi_20_and_no_8259_input_after_reset)
{
    pci_set_intx(&card->fn, true);
    expect_high(0, 1 << 20);
    pci_set_intx(&card->fn, false);
    expect_high(0, 0);
}
END_TEST

START_TEST(a_route_register_sends_the_pirq_to_an_8259_input)
{
    pci_set_intx(&card->fn, true);
    lab_set_config(lab, LPC, 0x68, 0x0b, 1);
    expect_high(1 << 11, 1 << 20);
    lab_set_config(lab, LPC, 0x68, 0x0a, 1);
    expect_high(1 << 10, 1 << 20);
    lab_set_config(lab, LPC, 0x68, 0x8a, 1);
    expect_high(0, 1 << 20);
}
END_TEST

START_TEST(reserved_8259_inputs_are_not_driven)
{
    static const uint8_t reserved[] = { 0, 1, 2, 8, 13 };

    pci_set_intx(&card->fn, true);
    for (unsigned i = 0; i < sizeof reserved; i++) {
        lab_set_config(lab, LPC, 0x68, reserved[i], 1);
        expect_high(0, 1 << 20);
    }
}
END_TEST

START_TEST(two_pirqs_on_one_8259_input_are_ored)
{
    struct test_card *other = test_card_create(lab, &test_card_class, "other", 5); /* PIRQ F */

    lab_set_config(lab, LPC, 0x68, 0x0b0b, 2);
    pci_set_intx(&card->fn, true);
    pci_set_intx(&other->fn, true);
    expect_high(1 << 11, 3 << 20);
    pci_set_intx(&card->fn, false);
    expect_high(1 << 11, 1 << 21);
    device_destroy(&other->fn.dev);
    expect_high(0, 0);
}
END_TEST

START_TEST(slots_25_to_31_follow_their_route_registers)
{
    const uint64_t rcba = 0xfed1c000;
    struct test_card *other = test_card_create(lab, &test_card_class, "other", 27);

    pci_set_intx(&other->fn, true);
    expect_high(0, 1 << 16); /* INTA to PIRQ A */
    lab_set_config(lab, LPC, 0xf0, (uint32_t)rcba | 1, 4);
    ck_assert_uint_eq(bus_read(lab->host.bus, rcba + 0x3148, 2), 0x3210);
    bus_write(lab->host.bus, rcba + 0x3148, 0x3216, 2); /* INTA to PIRQ G */
    expect_high(0, 1 << 22);
    device_destroy(&other->fn.dev);
}
END_TEST

START_TEST(slot_30_is_wired_like_the_low_slots)
{
    ck_assert_uint_eq(pci_pirq(lab->bus, 30, 0), 6);
    ck_assert_uint_eq(pci_pirq(lab->bus, 24, 3), 7);
    ck_assert_uint_eq(pci_pirq(lab->bus, 0, 0), 4);
    ck_assert_uint_eq(pci_pirq(lab->bus, 31, 2), 2);
}
END_TEST

START_TEST(the_chipset_registers_decode_in_the_top_gib_only)
{
    lab_set_config(lab, LPC, 0xf0, 0x00100001, 4);
    ck_assert_uint_eq(bus_read(lab->host.bus, 0x103140, 4), 0); /* RAM */
    bus_write(lab->host.bus, 0x103140, 0x5555, 4);
    ck_assert_uint_eq(pci_pirq(lab->bus, 31, 0), 0);
    lab_set_config(lab, LPC, 0xf0, 0xfed1ffff, 4);
    ck_assert_uint_eq(lab_config(lab, LPC, 0xf0, 4), 0xfed1c001);
    ck_assert_uint_eq(bus_read(lab->host.bus, 0xfed1f140, 4), 0x3210);
    ck_assert_uint_eq(bus_read(lab->host.bus, 0xfed1c000, 4), 0);
    ck_assert_uint_eq(bus_read(lab->host.bus, 0xfed1f15e, 2), 0);
    lab_set_config(lab, LPC, 0xf0, 0, 4);
    ck_assert_uint_eq(bus_read(lab->host.bus, 0xfed1f140, 4), 0xffffffff);
}
END_TEST

START_TEST(the_sci_follows_acpi_cntl)
{
    ich9_lpc_set_sci(lpc, 0, true);
    expect_high(0, 0); /* ACPI is off */
    lab_set_config(lab, LPC, 0x44, 0x80, 1);
    expect_high(1 << 9, 1 << 9);
    lab_set_config(lab, LPC, 0x44, 0x82, 1);
    expect_high(1 << 11, 1 << 11);
    lab_set_config(lab, LPC, 0x44, 0x84, 1);
    expect_high(0, 1 << 20);
    ich9_lpc_set_sci(lpc, 0, false);
    expect_high(0, 0);
}
END_TEST

START_TEST(the_power_management_block_follows_pmbase)
{
    ck_assert_uint_eq(lab_config(lab, LPC, 0x40, 4), 1);
    lab_set_config(lab, LPC, 0x40, 0xffffffff, 4);
    ck_assert_uint_eq(lab_config(lab, LPC, 0x40, 4), 0xff81);
    lab_set_config(lab, LPC, 0x40, 0x601, 4);
    ck_assert_uint_eq(pm.base, 0x600);
    ck_assert(!pm.enabled);
    lab_set_config(lab, LPC, 0x44, 0x80, 1);
    ck_assert(pm.enabled);
    device_reset(lab->lpc);
    ck_assert(!pm.enabled);
}
END_TEST

START_TEST(firmware_setup_leaves_a_machine_that_a_kernel_can_use)
{
    ich9_lpc_firmware_setup(lab->lpc);
    ck_assert_uint_eq(pm.base, 0x600);
    ck_assert(pm.enabled);
    ck_assert_uint_eq(lab_config(lab, LPC, 0x60, 4), 0x0b0b0a0a);
    ck_assert_uint_eq(lab_config(lab, LPC, 0x68, 4), 0x0b0b0a0a);
    ck_assert_uint_eq(lpc->rcba, 0xfed1c000);
    pci_set_intx(&card->fn, true);
    expect_high(1 << 10, 1 << 20);
}
END_TEST

START_TEST(state_is_restored)
{
    ich9_lpc_firmware_setup(lab->lpc);
    lab_expect_restores(lab->lpc);
    ck_assert_uint_eq(pm.base, 0x600);
    ck_assert_uint_eq(bus_read(lab->host.bus, 0xfed1f140, 4), 0x3210);
}
END_TEST

Suite *suite_devices_ich9_lpc(void);

Suite *suite_devices_ich9_lpc(void)
{
    const TTest *const tests[] = {
        pirq_e_is_gsi_20_and_no_8259_input_after_reset,
        a_route_register_sends_the_pirq_to_an_8259_input,
        reserved_8259_inputs_are_not_driven,
        two_pirqs_on_one_8259_input_are_ored,
        slots_25_to_31_follow_their_route_registers,
        slot_30_is_wired_like_the_low_slots,
        the_chipset_registers_decode_in_the_top_gib_only,
        the_sci_follows_acpi_cntl,
        the_power_management_block_follows_pmbase,
        firmware_setup_leaves_a_machine_that_a_kernel_can_use,
        state_is_restored,
    };
    Suite *s = suite_create("devices/ich9_lpc");
    TCase *t = tcase_create("ich9_lpc");

    tcase_add_checked_fixture(t, setup, teardown);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        tcase_add_test(t, tests[i]);
    suite_add_tcase(s, t);
    return s;
}
