/* Configuration space, BARs and INTx of PCI functions. */
#include "tests/devices/test_card.h"

enum { CARD = 3 << 3, OTHER = 7 << 3 };

static struct pci_lab *lab;
static struct test_card *card;

static void setup(void)
{
    lab = lab_create();
    card = test_card_create(lab, &test_card_class, "card", 3);
}

static void teardown(void)
{
    device_destroy(&card->fn.dev);
    lab_destroy(lab);
}

START_TEST(a_function_that_does_not_exist_reads_as_ones)
{
    ck_assert_uint_eq(lab_config(lab, OTHER, 0, 4), 0xffffffff);
    ck_assert_uint_eq(lab_config(lab, OTHER, 2, 2), 0xffff);
    lab_set_config(lab, OTHER, 4, 7, 2);
}
END_TEST

START_TEST(registers_beyond_the_256th_byte_read_as_ones)
{
    ck_assert_uint_eq(lab_config(lab, CARD, 0x100, 4), 0xffffffff);
    ck_assert_uint_eq(lab_config(lab, CARD, 0xfe, 4), 0xffffffff);
    lab_set_config(lab, CARD, 0xfe, 0, 4);
}
END_TEST

START_TEST(the_header_identifies_the_card_and_cannot_be_written)
{
    for (unsigned reg = 0; reg < 12; reg += 4)
        if (reg != 4)
            lab_set_config(lab, CARD, reg, 0, 4);
    lab_set_config(lab, CARD, 0x2c, 0, 4);
    ck_assert_uint_eq(lab_config(lab, CARD, 0, 4), 0x56781234);
    ck_assert_uint_eq(lab_config(lab, CARD, 8, 4), 0x02030409);
    ck_assert_uint_eq(lab_config(lab, CARD, 0x0b, 1), 0x02);
    ck_assert_uint_eq(lab_config(lab, CARD, 0x2c, 4), 0xef01abcd);
    ck_assert_uint_eq(lab_config(lab, CARD, 0x3d, 1), 1);
}
END_TEST

START_TEST(interrupt_line_and_cache_line_size_keep_what_is_written)
{
    lab_set_config(lab, CARD, 0x3c, 0x55, 1);
    lab_set_config(lab, CARD, 0x0c, 0x10, 1);
    ck_assert_uint_eq(lab_config(lab, CARD, 0x3c, 2), 0x0155);
    ck_assert_uint_eq(lab_config(lab, CARD, 0x0c, 1), 0x10);
}
END_TEST

START_TEST(writing_ones_to_bars_gives_their_sizes)
{
    for (unsigned reg = 0x10; reg < 0x28; reg += 4)
        lab_set_config(lab, CARD, reg, 0xffffffff, 4);
    ck_assert_uint_eq(lab_config(lab, CARD, 0x10, 4), 0xffffffe1); /* 32 ports */
    ck_assert_uint_eq(lab_config(lab, CARD, 0x14, 4), 0xfffff000); /* 4 KiB */
    ck_assert_uint_eq(lab_config(lab, CARD, 0x18, 4), 0xfff0000c); /* 1 MiB, 64-bit */
    ck_assert_uint_eq(lab_config(lab, CARD, 0x1c, 4), 0xffffffff);
    ck_assert_uint_eq(lab_config(lab, CARD, 0x20, 4), 0);
    ck_assert_uint_eq(lab_config(lab, CARD, 0x30, 4), 0); /* no expansion ROM */
}
END_TEST

START_TEST(sizing_while_decoding_is_on_maps_nothing)
{
    lab_set_config(lab, CARD, 0x04, 3, 2);
    for (unsigned reg = 0x10; reg < 0x28; reg += 4)
        lab_set_config(lab, CARD, reg, 0xffffffff, 4);
    for (unsigned n = 0; n < 3; n++)
        ck_assert_uint_eq(card->fn.bar[n].mapped_at, PCI_UNMAPPED);
    ck_assert_uint_eq(bus_read(lab->host.bus, 0xfff00000, 4), 0xffffffff);
    ck_assert_uint_eq(ports_read(lab->host.ports, 0xffe0, 4), 0xffffffff);
}
END_TEST

START_TEST(a_memory_bar_decodes_where_it_points_while_memory_is_enabled)
{
    lab_set_config(lab, CARD, 0x18, 0xd0000000, 4);
    ck_assert_uint_eq(bus_read(lab->host.bus, 0xd0000010, 4), 0xffffffff);
    lab_set_config(lab, CARD, 0x04, 2, 2);
    ck_assert_uint_eq(bus_read(lab->host.bus, 0xd0000010, 4), 0x10);
    ck_assert_uint_eq(bus_read(lab->host.bus, 0xd00ffff8, 8), 0xffff8);
    ck_assert_uint_eq(bus_read(lab->host.bus, 0xd0100000, 4), 0xffffffff);
    lab_set_config(lab, CARD, 0x04, 0, 2);
    ck_assert_uint_eq(bus_read(lab->host.bus, 0xd0000010, 4), 0xffffffff);
}
END_TEST

START_TEST(a_bar_that_moves_leaves_nothing_behind)
{
    lab_set_config(lab, CARD, 0x18, 0xd0000000, 4);
    lab_set_config(lab, CARD, 0x04, 2, 2);
    lab_set_config(lab, CARD, 0x18, 0xd1000000, 4);
    ck_assert_uint_eq(bus_read(lab->host.bus, 0xd0000010, 4), 0xffffffff);
    bus_write(lab->host.bus, 0xd1000020, 0x77, 4);
    ck_assert_uint_eq(card->last_offset, 0x20);
    ck_assert_uint_eq(card->last_value, 0x77);
}
END_TEST

START_TEST(a_64_bit_bar_decodes_above_4_gib)
{
    lab_set_config(lab, CARD, 0x04, 2, 2);
    lab_set_config(lab, CARD, 0x1c, 0x12, 4);
    lab_set_config(lab, CARD, 0x18, 0x34500000, 4);
    ck_assert_uint_eq(bus_read(lab->host.bus, 0x1234500010, 4), 0x10);
    lab_set_config(lab, CARD, 0x1c, 0x4000, 4); /* beyond 46 bits */
    ck_assert_uint_eq(card->fn.bar[2].mapped_at, PCI_UNMAPPED);
}
END_TEST

START_TEST(a_bar_over_ram_or_the_apics_does_not_decode)
{
    static const uint32_t places[] = {
        0, 0x100000, 0xb0000000, 0xfec00000, 0xfee00000, 0xfff00000
    };

    lab_set_config(lab, CARD, 0x04, 3, 2);
    for (unsigned i = 0; i < sizeof places / sizeof places[0]; i++) {
        lab_set_config(lab, CARD, 0x18, places[i], 4);
        ck_assert_uint_eq(card->fn.bar[2].mapped_at, PCI_UNMAPPED);
    }
    ck_assert_uint_eq(bus_read(lab->host.bus, 0x100010, 4), 0); /* RAM */
    lab_set_config(lab, CARD, 0x10, 0xce0, 4); /* would cover the configuration ports */
    ck_assert_uint_eq(card->fn.bar[0].mapped_at, PCI_UNMAPPED);
    lab_set_config(lab, CARD, 0x10, 0x1c000, 4); /* no such port */
    ck_assert_uint_eq(card->fn.bar[0].mapped_at, PCI_UNMAPPED);
}
END_TEST

START_TEST(an_io_bar_decodes_while_io_is_enabled)
{
    lab_set_config(lab, CARD, 0x10, 0xc040, 4);
    ck_assert_uint_eq(lab_config(lab, CARD, 0x10, 4), 0xc041);
    ck_assert_uint_eq(ports_read(lab->host.ports, 0xc044, 4), 0xffffffff);
    lab_set_config(lab, CARD, 0x04, 1, 2);
    ck_assert_uint_eq(ports_read(lab->host.ports, 0xc044, 4), 4);
    ports_write(lab->host.ports, 0xc05f, 0x99, 1);
    ck_assert_uint_eq(card->last_offset, 31);
    lab_set_config(lab, CARD, 0x04, 0, 1);
    ck_assert_uint_eq(ports_read(lab->host.ports, 0xc044, 4), 0xffffffff);
}
END_TEST

START_TEST(error_bits_of_status_clear_when_one_is_written)
{
    pci_put(&card->fn, 0x06, 0xf910, 2);
    lab_set_config(lab, CARD, 0x06, 0x8100, 2);
    ck_assert_uint_eq(lab_config(lab, CARD, 0x06, 2), 0x7810);
}
END_TEST

START_TEST(inta_of_slot_3_drives_pirq_h)
{
    pci_set_intx(&card->fn, true);
    for (unsigned i = 0; i < 8; i++)
        ck_assert_int_eq(lab->bus->pirq[i].level, i == 7);
    ck_assert_uint_eq(lab_config(lab, CARD, 0x06, 1) & 8, 8);
    pci_set_intx(&card->fn, false);
    ck_assert(!lab->bus->pirq[7].level);
}
END_TEST

START_TEST(interrupt_disable_hides_the_pin_but_not_the_status)
{
    pci_set_intx(&card->fn, true);
    lab_set_config(lab, CARD, 0x04, 0x400, 2);
    ck_assert(!lab->bus->pirq[7].level);
    ck_assert_uint_eq(lab_config(lab, CARD, 0x06, 1) & 8, 8);
    lab_set_config(lab, CARD, 0x04, 0, 2);
    ck_assert(lab->bus->pirq[7].level);
}
END_TEST

START_TEST(a_shared_pirq_stays_high_until_the_last_pin_is_low)
{
    struct test_card *other = test_card_create(lab, &test_card_class, "other", 7);

    pci_set_intx(&card->fn, true);
    pci_set_intx(&other->fn, true);
    pci_set_intx(&card->fn, false);
    ck_assert(lab->bus->pirq[7].level);
    device_destroy(&other->fn.dev); /* an unplugged card lets go */
    ck_assert(!lab->bus->pirq[7].level);
}
END_TEST

START_TEST(a_taken_slot_is_refused_with_its_owner)
{
    struct device *dev = device_create(&test_card_class, "second", &lab->host);
    struct err e = { "" };

    ((struct test_card *)dev)->fn.bus = lab->bus;
    ((struct test_card *)dev)->fn.devfn = CARD;
    ck_assert(!device_realize(dev, &e));
    ck_assert_str_eq(e.text, "second: PCI address 03.0 is taken by card; choose another");
    device_destroy(dev);
    ck_assert_uint_eq(lab_config(lab, CARD, 0, 4), 0x56781234);
}
END_TEST

START_TEST(reset_stops_decoding_and_interrupts)
{
    lab_set_config(lab, CARD, 0x18, 0xd0000000, 4);
    lab_set_config(lab, CARD, 0x04, 7, 2);
    pci_set_intx(&card->fn, true);
    device_reset(&card->fn.dev);
    ck_assert_uint_eq(lab_config(lab, CARD, 0x04, 2), 0);
    ck_assert_uint_eq(lab_config(lab, CARD, 0x18, 4), 0xc);
    ck_assert_uint_eq(bus_read(lab->host.bus, 0xd0000010, 4), 0xffffffff);
    ck_assert(!lab->bus->pirq[7].level);
}
END_TEST

START_TEST(restore_maps_bars_and_drives_pins_again)
{
    const struct field *list = test_card_class.fields;
    size_t bytes = fields_bytes(list);
    uint8_t *image = malloc(bytes);

    lab_set_config(lab, CARD, 0x18, 0xd0000000, 4);
    lab_set_config(lab, CARD, 0x04, 7, 2);
    pci_set_intx(&card->fn, true);
    fields_save(card, list, image);
    device_reset(&card->fn.dev);
    ck_assert(fields_restore(card, list, image, bytes));
    pci_settle(&card->fn.dev);
    ck_assert_uint_eq(bus_read(lab->host.bus, 0xd0000010, 4), 0x10);
    ck_assert(lab->bus->pirq[7].level);
    free(image);
    lab_expect_restores(&card->fn.dev);
}
END_TEST

START_TEST(assigned_resources_are_aligned_apart_and_decoded)
{
    struct test_card *other = test_card_create(lab, &test_card_class, "other", 7);
    struct test_card *cards[] = { card, other };

    ich9_lpc_firmware_setup(lab->lpc);
    pci_assign_resources(lab->bus);
    for (unsigned i = 0; i < 2; i++) {
        const struct pci_bar *bar = cards[i]->fn.bar;

        ck_assert_uint_eq(lab_config(lab, cards[i]->fn.devfn, 0x04, 2), 3);
        ck_assert_uint_eq(bar[0].mapped_at, 0xc000 + 32 * i);
        ck_assert_uint_eq(bar[2].mapped_at, 0xc0000000 + 0x100000 * i);
        ck_assert_uint_eq(bar[1].mapped_at, 0xc0200000 + 0x1000 * i);
        ck_assert_uint_eq(lab_config(lab, cards[i]->fn.devfn, 0x3c, 1), 11); /* PIRQ H */
    }
    device_destroy(&other->fn.dev);
}
END_TEST

START_TEST(a_bar_that_fits_nowhere_leaves_its_space_undecoded)
{
    lab->bus->mem32.end = lab->bus->mem32.base + 0x1000;
    lab->bus->mem64.end = lab->bus->mem64.base;
    pci_assign_resources(lab->bus);
    ck_assert_uint_eq(lab_config(lab, CARD, 0x04, 2), 1);
    ck_assert_uint_eq(card->fn.bar[2].mapped_at, PCI_UNMAPPED);
}
END_TEST

START_TEST(a_64_bit_bar_goes_above_4_gib_when_there_is_no_room_below)
{
    lab->bus->mem32.end = lab->bus->mem32.base + 0x1000;
    pci_assign_resources(lab->bus);
    ck_assert_uint_eq(lab_config(lab, CARD, 0x04, 2), 3);
    ck_assert_uint_eq(card->fn.bar[2].mapped_at, 0x100000000);
    ck_assert_uint_eq(card->fn.bar[1].mapped_at, 0xc0000000);
}
END_TEST

START_TEST(any_configuration_access_is_harmless)
{
    uint32_t seed = 1;

    for (unsigned i = 0; i < 200000; i++) {
        unsigned size = 1U << (seed >> 30) % 3, reg = seed >> 8 & 0x1ff;

        seed = seed * 1664525 + 1013904223;
        lab_set_config(lab, CARD, reg, seed, size);
        lab_config(lab, CARD, reg, size);
    }
    ck_assert_uint_eq(lab_config(lab, CARD, 0, 4), 0x56781234);
}
END_TEST

Suite *suite_devices_pci(void);

Suite *suite_devices_pci(void)
{
    const TTest *const tests[] = {
        a_function_that_does_not_exist_reads_as_ones,
        registers_beyond_the_256th_byte_read_as_ones,
        the_header_identifies_the_card_and_cannot_be_written,
        interrupt_line_and_cache_line_size_keep_what_is_written,
        writing_ones_to_bars_gives_their_sizes,
        sizing_while_decoding_is_on_maps_nothing,
        a_memory_bar_decodes_where_it_points_while_memory_is_enabled,
        a_bar_that_moves_leaves_nothing_behind,
        a_64_bit_bar_decodes_above_4_gib,
        a_bar_over_ram_or_the_apics_does_not_decode,
        an_io_bar_decodes_while_io_is_enabled,
        error_bits_of_status_clear_when_one_is_written,
        inta_of_slot_3_drives_pirq_h,
        interrupt_disable_hides_the_pin_but_not_the_status,
        a_shared_pirq_stays_high_until_the_last_pin_is_low,
        a_taken_slot_is_refused_with_its_owner,
        reset_stops_decoding_and_interrupts,
        restore_maps_bars_and_drives_pins_again,
        assigned_resources_are_aligned_apart_and_decoded,
        a_bar_that_fits_nowhere_leaves_its_space_undecoded,
        a_64_bit_bar_goes_above_4_gib_when_there_is_no_room_below,
        any_configuration_access_is_harmless,
    };
    Suite *s = suite_create("devices/pci");
    TCase *t = tcase_create("pci");

    tcase_add_checked_fixture(t, setup, teardown);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        tcase_add_test(t, tests[i]);
    suite_add_tcase(s, t);
    return s;
}
