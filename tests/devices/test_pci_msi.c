/* MSI-X and MSI: masks, pending bits, what it takes to send. */
#include "tests/devices/test_card.h"

enum { CARD = 3 << 3 };

#define TABLE UINT64_C(0xd0000000)
#define PBA (TABLE + 0x800)

static struct pci_lab *lab;
static struct test_card *card;
static unsigned cap;

static void setup_with(const struct device_class *class, uint8_t id)
{
    lab = lab_create();
    card = test_card_create(lab, class, "card", 3);
    cap = lab_capability(lab, CARD, id, 0);
    ck_assert_uint_ne(cap, 0);
    lab_set_config(lab, CARD, 0x04, 6, 2);
}

static void setup_msix(void)
{
    setup_with(&test_card_class, 0x11);
    lab_set_config(lab, CARD, 0x14, (uint32_t)TABLE, 4);
}

static void setup_msi(void)
{
    setup_with(&test_card_msi_class, 0x05);
}

static void teardown(void)
{
    device_destroy(&card->fn.dev);
    lab_destroy(lab);
}

static void table(unsigned vector, unsigned at, uint32_t value)
{
    bus_write(lab->host.bus, TABLE + 16 * vector + at, value, 4);
}

/* vector 1: address 0xfee01000, data 0x4041, unmasked; MSI-X on */
static void program(void)
{
    table(1, 0, 0xfee01000);
    table(1, 4, 0);
    table(1, 8, 0x4041);
    table(1, 12, 0);
    lab_set_config(lab, CARD, cap + 2, 0x8000, 2);
}

static void expect_one_message(uint64_t address, uint32_t data)
{
    ck_assert_uint_eq(lab->messages, 1);
    ck_assert_uint_eq(lab->message[0].address, address);
    ck_assert_uint_eq(lab->message[0].data, data);
}

START_TEST(the_capability_tells_table_size_and_places)
{
    ck_assert_uint_eq(lab_config(lab, CARD, cap + 2, 2), 3); /* 4 vectors */
    ck_assert_uint_eq(lab_config(lab, CARD, cap + 4, 4), 1);
    ck_assert_uint_eq(lab_config(lab, CARD, cap + 8, 4), 0x801);
}
END_TEST

START_TEST(every_vector_is_masked_after_reset)
{
    for (unsigned v = 0; v < 4; v++)
        ck_assert_uint_eq(bus_read(lab->host.bus, TABLE + 16 * v + 12, 4), 1);
}
END_TEST

START_TEST(an_unmasked_vector_sends_its_message)
{
    program();
    pci_send_message(&card->fn, 1);
    expect_one_message(0xfee01000, 0x4041);
    ck_assert_uint_eq(bus_read(lab->host.bus, PBA, 8), 0);
}
END_TEST

START_TEST(a_masked_vector_waits_and_is_sent_once_when_unmasked)
{
    program();
    table(1, 12, 1);
    pci_send_message(&card->fn, 1);
    pci_send_message(&card->fn, 1);
    ck_assert_uint_eq(lab->messages, 0);
    ck_assert_uint_eq(bus_read(lab->host.bus, PBA, 8), 2);
    ck_assert_uint_eq(bus_read(lab->host.bus, PBA, 1), 2);
    table(1, 12, 0);
    expect_one_message(0xfee01000, 0x4041);
    ck_assert_uint_eq(bus_read(lab->host.bus, PBA, 8), 0);
}
END_TEST

START_TEST(the_function_mask_holds_all_vectors_back)
{
    program();
    lab_set_config(lab, CARD, cap + 2, 0xc000, 2);
    pci_send_message(&card->fn, 1);
    ck_assert_uint_eq(lab->messages, 0);
    ck_assert_uint_eq(bus_read(lab->host.bus, PBA, 4), 2);
    lab_set_config(lab, CARD, cap + 2, 0x8000, 2);
    expect_one_message(0xfee01000, 0x4041);
}
END_TEST

START_TEST(a_message_changed_while_masked_is_sent_as_it_is_when_unmasked)
{
    program();
    table(1, 12, 1);
    pci_send_message(&card->fn, 1);
    table(1, 8, 0x55);
    table(1, 12, 0);
    expect_one_message(0xfee01000, 0x55);
}
END_TEST

START_TEST(pending_bits_cannot_be_written)
{
    program();
    bus_write(lab->host.bus, PBA, UINT64_MAX, 8);
    ck_assert_uint_eq(bus_read(lab->host.bus, PBA, 8), 0);
    ck_assert_uint_eq(lab->messages, 0);
}
END_TEST

START_TEST(a_quadword_write_sets_two_units)
{
    bus_write(lab->host.bus, TABLE + 16, UINT64_C(0x00000001fee02000), 8);
    ck_assert_uint_eq(bus_read(lab->host.bus, TABLE + 16, 4), 0xfee02000);
    ck_assert_uint_eq(bus_read(lab->host.bus, TABLE + 20, 4), 1);
    ck_assert_uint_eq(bus_read(lab->host.bus, TABLE + 16, 8), UINT64_C(0x1fee02000));
}
END_TEST

START_TEST(narrow_and_crooked_writes_are_ignored)
{
    bus_write(lab->host.bus, TABLE + 16, 0xaa, 1);
    bus_write(lab->host.bus, TABLE + 16, 0xbbbb, 2);
    bus_write(lab->host.bus, TABLE + 17, 0xcccccccc, 4);
    ck_assert_uint_eq(bus_read(lab->host.bus, TABLE + 16, 4), 0);
}
END_TEST

START_TEST(entries_beyond_the_table_read_as_zero)
{
    bus_write(lab->host.bus, TABLE + 64, 0xffffffff, 4);
    bus_write(lab->host.bus, TABLE + 60, UINT64_MAX, 8);
    ck_assert_uint_eq(bus_read(lab->host.bus, TABLE + 64, 4), 0);
    ck_assert_uint_eq(bus_read(lab->host.bus, TABLE + 60, 4), 1);
    ck_assert_uint_eq(bus_read(lab->host.bus, TABLE + 0xff8, 8), 0);
    pci_send_message(&card->fn, 4); /* no such vector */
    pci_send_message(&card->fn, 1000);
}
END_TEST

START_TEST(without_bus_mastering_messages_are_lost)
{
    program();
    lab_set_config(lab, CARD, 0x04, 2, 2);
    pci_send_message(&card->fn, 1);
    lab_set_config(lab, CARD, 0x04, 6, 2);
    ck_assert_uint_eq(lab->messages, 0);
}
END_TEST

START_TEST(a_message_that_points_to_ram_is_a_write_to_ram)
{
    program();
    table(1, 0, 0x5000);
    pci_send_message(&card->fn, 1);
    ck_assert_uint_eq(lab->messages, 0);
    ck_assert_uint_eq(bus_read(lab->host.bus, 0x5000, 4), 0x4041);
    table(1, 0, 0xd0100000); /* neither APIC nor RAM */
    pci_send_message(&card->fn, 1);
}
END_TEST

START_TEST(while_off_messages_are_not_used)
{
    ck_assert(!pci_uses_messages(&card->fn));
    program();
    ck_assert(pci_uses_messages(&card->fn));
}
END_TEST

START_TEST(the_table_is_restored)
{
    program();
    table(1, 12, 1);
    pci_send_message(&card->fn, 1);
    lab_expect_restores(&card->fn.dev);
    lab->messages = 0; /* the noise may have sent some */
    table(1, 12, 0);
    expect_one_message(0xfee01000, 0x4041);
}
END_TEST

/* ---- MSI ---- */

static void program_msi(void)
{
    lab_set_config(lab, CARD, cap + 4, 0xfee03003, 4); /* the low two bits are reserved */
    lab_set_config(lab, CARD, cap + 8, 0, 4);
    lab_set_config(lab, CARD, cap + 12, 0x31, 2);
    lab_set_config(lab, CARD, cap + 2, 1, 2);
}

START_TEST(msi_sends_its_address_and_data)
{
    ck_assert_uint_eq(lab_config(lab, CARD, cap + 2, 2), 0x180);
    program_msi();
    pci_send_message(&card->fn, 0);
    expect_one_message(0xfee03000, 0x31);
}
END_TEST

START_TEST(a_masked_msi_is_pending_until_unmasked)
{
    program_msi();
    lab_set_config(lab, CARD, cap + 16, 0xffffffff, 4);
    ck_assert_uint_eq(lab_config(lab, CARD, cap + 16, 4), 1);
    pci_send_message(&card->fn, 0);
    ck_assert_uint_eq(lab->messages, 0);
    ck_assert_uint_eq(lab_config(lab, CARD, cap + 20, 4), 1);
    lab_set_config(lab, CARD, cap + 16, 0, 4);
    expect_one_message(0xfee03000, 0x31);
    ck_assert_uint_eq(lab_config(lab, CARD, cap + 20, 4), 0);
}
END_TEST

static TCase *group(const char *name, void (*set)(void), const TTest *const *tests, size_t count)
{
    TCase *t = tcase_create(name);

    tcase_add_checked_fixture(t, set, teardown);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(t, tests[i]);
    return t;
}

Suite *suite_devices_pci_msi(void);

Suite *suite_devices_pci_msi(void)
{
    const TTest *const msix[] = {
        the_capability_tells_table_size_and_places,
        every_vector_is_masked_after_reset,
        an_unmasked_vector_sends_its_message,
        a_masked_vector_waits_and_is_sent_once_when_unmasked,
        the_function_mask_holds_all_vectors_back,
        a_message_changed_while_masked_is_sent_as_it_is_when_unmasked,
        pending_bits_cannot_be_written,
        a_quadword_write_sets_two_units,
        narrow_and_crooked_writes_are_ignored,
        entries_beyond_the_table_read_as_zero,
        without_bus_mastering_messages_are_lost,
        a_message_that_points_to_ram_is_a_write_to_ram,
        while_off_messages_are_not_used,
        the_table_is_restored,
    };
    const TTest *const msi[] = {
        msi_sends_its_address_and_data,
        a_masked_msi_is_pending_until_unmasked,
    };
    Suite *s = suite_create("devices/pci_msi");

    suite_add_tcase(s, group("msi-x", setup_msix, msix, sizeof msix / sizeof msix[0]));
    suite_add_tcase(s, group("msi", setup_msi, msi, sizeof msi / sizeof msi[0]));
    return s;
}
