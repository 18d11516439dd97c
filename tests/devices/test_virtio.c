/* Virtio registers, negotiation, and virtqueues of drivers that break the rules. The device is the
 * entropy device: each request fills the writable part with 1, 2, 3... */
#include "devices/virtio_rng.h"
#include "tests/devices/virtio_driver.h"

enum { BUFFER = 0x40000, NEEDS_RESET = 0x40 };

static struct pci_lab *lab;
static struct driver d;

static void setup(void)
{
    lab = lab_create();
    drv_attach(&d, lab, virtio_rng_create("rng", &lab->host, lab->bus, SLOT_5));
}

static void teardown(void)
{
    device_destroy(d.dev);
    lab_destroy(lab);
}

/* The device gave up, said so, and has not touched the used ring. */
static void expect_failed(void)
{
    ck_assert_uint_eq(drv_status(&d), 15 | NEEDS_RESET);
    ck_assert_uint_eq(drv_used(&d, 0), 0);
    ck_assert_uint_eq(drv_read(&d, d.isr, 1) & 2, 2);
}

static void expect_served(unsigned requests)
{
    ck_assert_uint_eq(drv_status(&d), 15);
    ck_assert_uint_eq(drv_used(&d, 0), requests);
}

/* ---- registers ---- */

START_TEST(the_ids_are_those_of_a_modern_device)
{
    ck_assert_uint_eq(lab_config(lab, SLOT_5, 0, 4), 0x10441af4);
    ck_assert_uint_eq(lab_config(lab, SLOT_5, 8, 1), 1);
    ck_assert_uint_eq(lab_config(lab, SLOT_5, 0x2c, 4), 0x11001af4);
}
END_TEST

START_TEST(a_new_device_offers_version_1_event_idx_and_indirect)
{
    ck_assert_uint_eq(drv_offered(&d), UINT64_C(0x130000000));
    drv_write(&d, d.common, 2, 4);
    ck_assert_uint_eq(drv_read(&d, d.common + 4, 4), 0);
    drv_write(&d, d.common, 0xffffffff, 4);
    ck_assert_uint_eq(drv_read(&d, d.common + 4, 4), 0);
}
END_TEST

START_TEST(common_registers_have_their_values_after_reset)
{
    ck_assert_uint_eq(drv_status(&d), 0);
    ck_assert_uint_eq(drv_read(&d, d.common + 0x10, 2), 0xffff);
    ck_assert_uint_eq(drv_read(&d, d.common + 0x12, 2), 1);   /* queues */
    ck_assert_uint_eq(drv_read(&d, d.common + 0x15, 1), 0);   /* generation */
    ck_assert_uint_eq(drv_read(&d, d.common + 0x18, 2), 256); /* size */
    ck_assert_uint_eq(drv_read(&d, d.common + 0x1a, 2), 0xffff);
    ck_assert_uint_eq(drv_read(&d, d.common + 0x1c, 2), 0);
    ck_assert_uint_eq(drv_read(&d, d.common + 0x1e, 2), 0);
    ck_assert_uint_eq(drv_read(&d, d.common + 0x38, 8), 0);
}
END_TEST

START_TEST(a_queue_that_does_not_exist_has_size_0)
{
    drv_write(&d, d.common + 0x16, 1, 2);
    ck_assert_uint_eq(drv_read(&d, d.common + 0x18, 2), 0);
    drv_write(&d, d.common + 0x18, 8, 2);
    drv_write(&d, d.common + 0x20, 0x1000, 8);
    drv_write(&d, d.common + 0x1c, 1, 2);
    drv_write(&d, d.common + 0x16, 0xffff, 2);
    ck_assert_uint_eq(drv_read(&d, d.common + 0x20, 8), 0);
    drv_write(&d, d.common + 0x1a, 0, 2);
    drv_kick(&d, 1);
    drv_kick(&d, 1023);
}
END_TEST

START_TEST(queue_size_takes_powers_of_two_up_to_256)
{
    static const uint16_t bad[] = { 0, 3, 255, 257, 512, 0x8000, 0xffff };

    drv_write(&d, d.common + 0x18, 16, 2);
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        drv_write(&d, d.common + 0x18, bad[i], 2);
        ck_assert_uint_eq(drv_read(&d, d.common + 0x18, 2), 16);
    }
}
END_TEST

START_TEST(queue_addresses_can_be_written_whole_or_in_halves)
{
    drv_write(&d, d.common + 0x20, UINT64_C(0x123456789abcdef0), 8);
    ck_assert_uint_eq(drv_read(&d, d.common + 0x20, 4), 0x9abcdef0);
    ck_assert_uint_eq(drv_read(&d, d.common + 0x24, 4), 0x12345678);
    drv_write(&d, d.common + 0x24, 0x55, 4);
    ck_assert_uint_eq(drv_read(&d, d.common + 0x20, 8), UINT64_C(0x559abcdef0));
}
END_TEST

START_TEST(an_access_across_registers_reaches_each)
{
    ck_assert_uint_eq(drv_read(&d, d.common + 0x10, 4), 0x0001ffff);
    drv_write(&d, d.common + 0x16, UINT64_C(0x00080000), 4); /* select 0, size 8 */
    ck_assert_uint_eq(drv_read(&d, d.common + 0x18, 2), 8);
}
END_TEST

START_TEST(a_vector_that_does_not_exist_reads_back_as_none)
{
    drv_write(&d, d.common + 0x10, 1, 2);
    ck_assert_uint_eq(drv_read(&d, d.common + 0x10, 2), 1);
    drv_write(&d, d.common + 0x10, 2, 2); /* 2 vectors: 0 and 1 */
    ck_assert_uint_eq(drv_read(&d, d.common + 0x10, 2), 0xffff);
}
END_TEST

START_TEST(an_enabled_queue_does_not_move)
{
    drv_start(&d, 0, 1);
    drv_write(&d, d.common + 0x20, 0, 8);
    drv_write(&d, d.common + 0x18, 4, 2);
    ck_assert_uint_eq(drv_read(&d, d.common + 0x20, 8), RING_DESC(0));
    ck_assert_uint_eq(drv_read(&d, d.common + 0x18, 2), 8);
}
END_TEST

START_TEST(features_ok_needs_version_1)
{
    ck_assert_uint_eq(drv_negotiate(&d, 0), 3);
    ck_assert_uint_eq(drv_negotiate(&d, VIRTIO_F_VERSION_1), 11);
}
END_TEST

START_TEST(features_ok_refuses_what_was_not_offered)
{
    ck_assert_uint_eq(drv_negotiate(&d, VIRTIO_F_VERSION_1 | 1), 3);
    ck_assert_uint_eq(drv_negotiate(&d, VIRTIO_F_VERSION_1 | UINT64_C(1) << 63), 3);
}
END_TEST

START_TEST(features_are_frozen_by_features_ok)
{
    drv_negotiate(&d, VIRTIO_F_VERSION_1);
    drv_write(&d, d.common + 0x08, 0, 4);
    drv_write(&d, d.common + 0x0c, 1 << 28, 4);
    ck_assert_uint_eq(drv_read(&d, d.common + 0x0c, 4), 0);
}
END_TEST

START_TEST(writing_0_to_status_resets)
{
    drv_start(&d, VIRTIO_F_EVENT_IDX, 1);
    drv_set_status(&d, 0);
    ck_assert_uint_eq(drv_status(&d), 0);
    ck_assert_uint_eq(drv_read(&d, d.common + 0x1c, 2), 0);
    ck_assert_uint_eq(drv_read(&d, d.common + 0x18, 2), 256);
    ck_assert_uint_eq(drv_read(&d, d.common + 0x20, 8), 0);
}
END_TEST

START_TEST(status_bits_stay_until_reset_and_needs_reset_is_not_the_drivers)
{
    drv_set_status(&d, 1);
    drv_set_status(&d, 2 | NEEDS_RESET);
    ck_assert_uint_eq(drv_status(&d), 3);
}
END_TEST

START_TEST(misaligned_queue_areas_fail_the_device)
{
    static const uint64_t bad[][3] = { { 0x10008, 0x11000, 0x12000 },
                                       { 0x10000, 0x11001, 0x12000 },
                                       { 0x10000, 0x11000, 0x12002 } };

    for (unsigned i = 0; i < 3; i++) {
        drv_negotiate(&d, VIRTIO_F_VERSION_1);
        drv_place_queue(&d, 0, bad[i][0], bad[i][1], bad[i][2]);
        ck_assert_uint_eq(drv_status(&d), 11 | NEEDS_RESET);
        ck_assert_uint_eq(drv_read(&d, d.common + 0x1c, 2), 0);
    }
}
END_TEST

START_TEST(the_window_in_configuration_space_reaches_the_registers)
{
    unsigned at = 0;

    for (unsigned n = 0; lab_config(lab, SLOT_5, at + 3, 1) != 5; n++)
        ck_assert_uint_ne(at = lab_capability(lab, SLOT_5, 0x09, n), 0);
    lab_set_config(lab, SLOT_5, at + 4, 4, 1);    /* BAR */
    lab_set_config(lab, SLOT_5, at + 8, 0x12, 4); /* num_queues */
    lab_set_config(lab, SLOT_5, at + 12, 2, 4);
    ck_assert_uint_eq(lab_config(lab, SLOT_5, at + 16, 2), 1);
    lab_set_config(lab, SLOT_5, at + 8, 0x14, 4);
    lab_set_config(lab, SLOT_5, at + 12, 1, 4);
    lab_set_config(lab, SLOT_5, at + 16, 3, 1);
    ck_assert_uint_eq(drv_status(&d), 3);
    for (unsigned length = 0; length < 9; length++) { /* wild windows do nothing */
        lab_set_config(lab, SLOT_5, at + 12, length, 4);
        for (unsigned shift = 12; shift < 32; shift++) {
            lab_set_config(lab, SLOT_5, at + 8, (1U << shift) - 1, 4);
            lab_config(lab, SLOT_5, at + 16, 4);
            lab_set_config(lab, SLOT_5, at + 16, 0, 4);
        }
    }
    ck_assert_uint_eq(drv_status(&d), 3);
}
END_TEST

/* ---- queues ---- */

START_TEST(a_request_is_filled_and_reported_with_its_length)
{
    drv_start(&d, 0, 1);
    drv_desc(&d, 0, 3, BUFFER, 5, DESC_WRITE_FLAG, 0);
    drv_offer(&d, 0, 3);
    drv_kick(&d, 0);
    expect_served(1);
    ck_assert_uint_eq(drv_used_entry(&d, 0, 0), UINT64_C(5) << 32 | 3);
    ck_assert_uint_eq(drv_read(&d, BUFFER, 8), UINT64_C(0x0504030201));
}
END_TEST

START_TEST(rings_wrap_around)
{
    drv_start(&d, 0, 1);
    drv_desc(&d, 0, 0, BUFFER, 1, DESC_WRITE_FLAG, 0);
    for (unsigned i = 0; i < 20; i++) {
        drv_offer(&d, 0, 0);
        drv_kick(&d, 0);
    }
    expect_served(20);
}
END_TEST

START_TEST(a_chain_scatters_over_its_segments)
{
    drv_start(&d, 0, 1);
    drv_desc(&d, 0, 0, BUFFER, 2, DESC_WRITE_FLAG | DESC_NEXT_FLAG, 5);
    drv_desc(&d, 0, 5, BUFFER + 0x100, 0, DESC_WRITE_FLAG | DESC_NEXT_FLAG, 2);
    drv_desc(&d, 0, 2, BUFFER + 0xffe, 4, DESC_WRITE_FLAG, 0); /* crosses a page */
    drv_offer(&d, 0, 0);
    drv_kick(&d, 0);
    expect_served(1);
    ck_assert_uint_eq(drv_read(&d, BUFFER, 4), 0x0201);
    ck_assert_uint_eq(drv_read(&d, BUFFER + 0xffe, 2), 0x0403);
    ck_assert_uint_eq(drv_read(&d, BUFFER + 0x1000, 2), 0x0605);
}
END_TEST

START_TEST(an_indirect_table_is_followed)
{
    drv_start(&d, VIRTIO_F_INDIRECT_DESC, 1);
    drv_desc(&d, 0, 1, 0x50008, 48, DESC_INDIRECT_FLAG, 0);
    drv_desc_at(&d, 0x50008, 0, BUFFER, 1, DESC_WRITE_FLAG | DESC_NEXT_FLAG, 2);
    drv_desc_at(&d, 0x50008, 2, BUFFER + 8, 2, DESC_WRITE_FLAG, 0);
    drv_offer(&d, 0, 1);
    drv_kick(&d, 0);
    expect_served(1);
    ck_assert_uint_eq(drv_used_entry(&d, 0, 0), UINT64_C(3) << 32 | 1);
    ck_assert_uint_eq(drv_read(&d, BUFFER + 8, 2), 0x0302);
}
END_TEST

/* Each row: features, and descriptors that break a rule; the request starts at descriptor 0. */
static const struct hostile {
    const char *what;
    uint64_t features;
    uint16_t head;
    struct {
        uint64_t table, pa;
        uint32_t bytes;
        uint16_t index, flags, next;
    } desc[3];
} hostiles[] = {
    { "a head outside the table", 0, 8, { { 0 } } },
    { "a head far outside the table", 0, 0xffff, { { 0 } } },
    { "a next index outside the table", 0, 0, { { 0, BUFFER, 1, 0, 3, 8 } } },
    { "a descriptor that is its own next", 0, 0, { { 0, BUFFER, 1, 0, 3, 0 } } },
    { "a loop of two", 0, 0, { { 0, BUFFER, 1, 0, 3, 1 }, { 0, BUFFER, 1, 1, 3, 0 } } },
    { "readable after writable", 0, 0, { { 0, BUFFER, 1, 0, 3, 1 }, { 0, BUFFER, 1, 1, 0, 0 } } },
    { "a buffer above RAM", 0, 0, { { 0, LAB_RAM, 1, 0, 2, 0 } } },
    { "a buffer that leaves RAM", 0, 0, { { 0, LAB_RAM - 2, 4, 0, 2, 0 } } },
    { "a buffer that wraps around", 0, 0, { { 0, UINT64_MAX - 1, 8, 0, 2, 0 } } },
    { "a buffer in a device", 0, 0, { { 0, 0xc0000000, 8, 0, 2, 0 } } },
    { "indirect without the feature", 0, 0, { { 0, 0x50000, 16, 0, 4, 0 } } },
    { "indirect inside indirect",
      VIRTIO_F_INDIRECT_DESC,
      0,
      { { 0, 0x50000, 32, 0, 4, 0 }, { 0x50000, 0x51000, 16, 0, 4, 0 } } },
    { "indirect with a next", VIRTIO_F_INDIRECT_DESC, 0, { { 0, 0x50000, 16, 0, 5, 1 } } },
    { "an indirect table of 0 bytes", VIRTIO_F_INDIRECT_DESC, 0, { { 0, 0x50000, 0, 0, 4, 0 } } },
    { "an indirect table of 17 bytes", VIRTIO_F_INDIRECT_DESC, 0, { { 0, 0x50000, 17, 0, 4, 0 } } },
    { "an indirect table outside RAM", VIRTIO_F_INDIRECT_DESC, 0, { { 0, LAB_RAM, 16, 0, 4, 0 } } },
    { "an indirect next outside its table",
      VIRTIO_F_INDIRECT_DESC,
      0,
      { { 0, 0x50000, 16, 0, 4, 0 }, { 0x50000, BUFFER, 1, 0, 3, 1 } } },
    { "an indirect table that loops, 4 GiB long",
      VIRTIO_F_INDIRECT_DESC,
      0,
      { { 0, 0x50000, 0xfffffff0, 0, 4, 0 }, { 0x50000, BUFFER, 1, 0, 3, 0 } } },
};

START_TEST(a_hostile_chain_fails_the_device)
{
    const struct hostile *h = &hostiles[_i];

    drv_start(&d, h->features, 1);
    for (unsigned i = 0; i < 3 && h->desc[i].pa; i++)
        drv_desc_at(&d, h->desc[i].table ? h->desc[i].table : RING_DESC(0), h->desc[i].index,
                    h->desc[i].pa, h->desc[i].bytes, h->desc[i].flags, h->desc[i].next);
    drv_offer(&d, 0, h->head);
    drv_kick(&d, 0);
    expect_failed();
}
END_TEST

START_TEST(a_failed_device_works_again_after_reset)
{
    drv_start(&d, 0, 1);
    drv_offer(&d, 0, 100);
    drv_kick(&d, 0);
    ck_assert_uint_eq(drv_status(&d), 15 | NEEDS_RESET);
    drv_kick(&d, 0);
    drv_start(&d, 0, 1);
    drv_desc(&d, 0, 0, BUFFER, 5, DESC_WRITE_FLAG, 0);
    drv_offer(&d, 0, 0);
    drv_kick(&d, 0);
    expect_served(1);
}
END_TEST

START_TEST(rings_full_of_noise_are_harmless)
{
    uint32_t seed = 99;

    for (unsigned round = 0; round < 300; round++) {
        drv_start(&d, VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX, 1);
        for (uint64_t pa = RING_DESC(0); pa < RING_DESC(0) + 0x80; pa++) {
            seed = seed * 1664525 + 1013904223;
            drv_write(&d, pa,
                      pa % 16 < 2 || pa % 16 > 11 ? seed >> 24 & 7
                      : pa % 16 == 2              ? 5
                                                  : 0,
                      1);
        }
        for (unsigned i = 0; i < 8; i++)
            drv_offer(&d, 0, (uint16_t)((seed >> i & 7) + (round == 299)));
        drv_kick(&d, 0);
    }
}
END_TEST

START_TEST(an_available_index_ahead_of_the_ring_fails_the_device)
{
    drv_start(&d, 0, 1);
    drv_write(&d, RING_AVAIL(0) + 2, 9, 2);
    drv_kick(&d, 0);
    expect_failed();
}
END_TEST

START_TEST(rings_outside_ram_fail_the_device)
{
    static const uint64_t places[] = { LAB_RAM, 0xc0000000, 0xfee00000, UINT64_MAX - 0xfff };

    for (unsigned i = 0; i < 3 * 4; i++) {
        uint64_t at[3] = { RING_DESC(0), RING_AVAIL(0), RING_USED(0) };

        at[i % 3] = places[i / 3];
        drv_negotiate(&d, VIRTIO_F_VERSION_1);
        drv_write(&d, RING_AVAIL(0), 0x00010000, 4);
        drv_desc(&d, 0, 0, BUFFER, 5, DESC_WRITE_FLAG, 0);
        drv_place_queue(&d, 0, at[0], at[1], at[2]);
        drv_set_status(&d, 15);
        drv_kick(&d, 0);
        ck_assert_uint_eq(drv_status(&d), 15 | NEEDS_RESET);
    }
}
END_TEST

START_TEST(nothing_is_served_without_bus_mastering_or_driver_ok)
{
    drv_start(&d, 0, 1);
    drv_desc(&d, 0, 0, BUFFER, 5, DESC_WRITE_FLAG, 0);
    drv_offer(&d, 0, 0);
    lab_set_config(lab, SLOT_5, 0x04, 3, 2);
    drv_kick(&d, 0);
    expect_served(0);
    lab_set_config(lab, SLOT_5, 0x04, 7, 2);
    drv_kick(&d, 0);
    expect_served(1);

    drv_negotiate(&d, VIRTIO_F_VERSION_1);
    drv_place_queue(&d, 0, RING_DESC(0), RING_AVAIL(0), RING_USED(0));
    drv_write(&d, RING_USED(0) + 2, 0, 2);
    drv_kick(&d, 0);
    ck_assert_uint_eq(drv_used(&d, 0), 0);
    drv_set_status(&d, 15); /* what was there already is served now */
    ck_assert_uint_eq(drv_used(&d, 0), 1);
}
END_TEST

/* ---- interrupts ---- */

static void one_request(void)
{
    drv_desc(&d, 0, 0, BUFFER, 1, DESC_WRITE_FLAG, 0);
    drv_offer(&d, 0, 0);
    drv_kick(&d, 0);
}

START_TEST(intx_is_high_until_isr_is_read)
{
    drv_start(&d, 0, 1);
    one_request();
    ck_assert(lab->bus->pirq[5].level);
    ck_assert_uint_eq(drv_read(&d, d.isr, 1), 1);
    ck_assert(!lab->bus->pirq[5].level);
    ck_assert_uint_eq(drv_read(&d, d.isr, 1), 0);
}
END_TEST

START_TEST(with_msix_a_queue_sends_its_vector)
{
    drv_start(&d, 0, 1);
    drv_use_msix(&d, 1);
    one_request();
    ck_assert_uint_eq(lab->messages, 1);
    ck_assert_uint_eq(lab->message[0].data, 0x41);
    ck_assert(!lab->bus->pirq[5].level);
    ck_assert_uint_eq(drv_read(&d, d.isr, 1), 0);
}
END_TEST

START_TEST(with_msix_a_failure_sends_the_configuration_vector)
{
    drv_start(&d, 0, 1);
    drv_use_msix(&d, 1);
    drv_offer(&d, 0, 77);
    drv_kick(&d, 0);
    ck_assert_uint_eq(lab->messages, 1);
    ck_assert_uint_eq(lab->message[0].data, 0x40);
}
END_TEST

START_TEST(the_no_interrupt_flag_is_obeyed)
{
    drv_start(&d, 0, 1);
    drv_write(&d, RING_AVAIL(0), 1, 2);
    one_request();
    expect_served(1);
    ck_assert(!lab->bus->pirq[5].level);
}
END_TEST

START_TEST(with_event_idx_the_interrupt_waits_for_used_event)
{
    drv_start(&d, VIRTIO_F_EVENT_IDX, 1);
    drv_use_msix(&d, 1);
    drv_write(&d, RING_AVAIL(0) + 4 + 2 * DRIVER_QUEUE, 2, 2); /* tell me of the third */
    one_request();
    one_request();
    ck_assert_uint_eq(lab->messages, 0);
    one_request();
    ck_assert_uint_eq(lab->messages, 1);
    one_request();
    ck_assert_uint_eq(lab->messages, 1);
}
END_TEST

START_TEST(with_event_idx_avail_event_asks_for_the_next_buffer)
{
    drv_start(&d, VIRTIO_F_EVENT_IDX, 1);
    one_request();
    one_request();
    ck_assert_uint_eq(drv_read(&d, RING_USED(0) + 4 + 8 * DRIVER_QUEUE, 2), 2);
}
END_TEST

START_TEST(a_running_device_is_restored)
{
    drv_start(&d, VIRTIO_F_EVENT_IDX, 1);
    one_request();
    lab_expect_restores(d.dev);
    drv_write(&d, RING_USED(0) + 2, 1, 2); /* the noise may have written to RAM */
    drv_write(&d, RING_AVAIL(0) + 2, 1, 2);
    one_request();
    expect_served(2);
}
END_TEST

START_TEST(any_access_to_the_registers_is_harmless)
{
    uint64_t bar = d.common;
    uint32_t seed = 7;

    drv_start(&d, VIRTIO_F_EVENT_IDX, 1);
    for (unsigned i = 0; i < 200000; i++) {
        unsigned size = 1U << (seed >> 30), at = seed >> 4 & 0x3fff;

        seed = seed * 1664525 + 1013904223;
        if (seed & 0x100)
            at &= 0x3f; /* mostly the common structure */
        if ((at & 0xfff) + size > 0x1000)
            continue;
        drv_read(&d, bar + at, size);
        drv_write(&d, bar + at, (uint64_t)seed << 13 >> (seed & 31), size);
    }
    drv_start(&d, 0, 1);
    one_request();
    expect_served(1);
}
END_TEST

Suite *suite_devices_virtio(void);

Suite *suite_devices_virtio(void)
{
    const TTest *const tests[] = {
        the_ids_are_those_of_a_modern_device,
        a_new_device_offers_version_1_event_idx_and_indirect,
        common_registers_have_their_values_after_reset,
        a_queue_that_does_not_exist_has_size_0,
        queue_size_takes_powers_of_two_up_to_256,
        queue_addresses_can_be_written_whole_or_in_halves,
        an_access_across_registers_reaches_each,
        a_vector_that_does_not_exist_reads_back_as_none,
        an_enabled_queue_does_not_move,
        features_ok_needs_version_1,
        features_ok_refuses_what_was_not_offered,
        features_are_frozen_by_features_ok,
        writing_0_to_status_resets,
        status_bits_stay_until_reset_and_needs_reset_is_not_the_drivers,
        misaligned_queue_areas_fail_the_device,
        the_window_in_configuration_space_reaches_the_registers,
        a_request_is_filled_and_reported_with_its_length,
        rings_wrap_around,
        a_chain_scatters_over_its_segments,
        an_indirect_table_is_followed,
        a_failed_device_works_again_after_reset,
        rings_full_of_noise_are_harmless,
        an_available_index_ahead_of_the_ring_fails_the_device,
        rings_outside_ram_fail_the_device,
        nothing_is_served_without_bus_mastering_or_driver_ok,
        intx_is_high_until_isr_is_read,
        with_msix_a_queue_sends_its_vector,
        with_msix_a_failure_sends_the_configuration_vector,
        the_no_interrupt_flag_is_obeyed,
        with_event_idx_the_interrupt_waits_for_used_event,
        with_event_idx_avail_event_asks_for_the_next_buffer,
        a_running_device_is_restored,
        any_access_to_the_registers_is_harmless,
    };
    Suite *s = suite_create("devices/virtio");
    TCase *t = tcase_create("virtio");

    tcase_add_checked_fixture(t, setup, teardown);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        tcase_add_test(t, tests[i]);
    tcase_add_loop_test(t, a_hostile_chain_fails_the_device, 0,
                        (int)(sizeof hostiles / sizeof hostiles[0]));
    suite_add_tcase(s, t);
    return s;
}
