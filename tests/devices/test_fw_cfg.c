/* fw_cfg: selector and data ports, the file directory, DMA with hostile requests. */
#include "devices/fw_cfg.h"
#include "tests/devices/pci_lab.h"

enum { REQUEST = 0x1000, TARGET = 0x2000 };

static struct pci_lab *lab;
static struct device *cfg;

static void setup(void)
{
    lab = lab_create();
    cfg = device_create(&fw_cfg_class, "fw_cfg", &lab->host);
    lab_realize(cfg);
}

static void teardown(void)
{
    device_destroy(cfg);
    lab_destroy(lab);
}

static void out(uint16_t port, uint32_t value, unsigned size)
{
    ports_write(lab->host.ports, port, value, size);
}

static uint32_t next_byte(void)
{
    return ports_read(lab->host.ports, 0x511, 1);
}

/* all bytes of a key as a little-endian number */
static uint64_t item(uint16_t key, unsigned bytes)
{
    uint64_t v = 0;

    out(0x510, key, 2);
    for (unsigned i = 0; i < bytes; i++)
        v |= (uint64_t)next_byte() << 8 * i;
    return v;
}

/* put a request into RAM and start it; the control word that comes back */
static uint32_t dma(uint32_t control, uint32_t length, uint64_t address)
{
    uint32_t head[2] = { __builtin_bswap32(control), __builtin_bswap32(length) }, done;
    uint64_t at = __builtin_bswap64(address);

    bus_write_bytes(lab->host.bus, REQUEST, head, 8);
    bus_write_bytes(lab->host.bus, REQUEST + 8, &at, 8);
    out(0x514, 0, 4);
    out(0x518, __builtin_bswap32(REQUEST), 4);
    bus_read_bytes(lab->host.bus, REQUEST, &done, 4);
    return __builtin_bswap32(done);
}

START_TEST(the_signature_reads_qemu_and_then_zeros)
{
    ck_assert_uint_eq(item(0, 4), 0x554d4551);
    ck_assert_uint_eq(next_byte(), 0);
}
END_TEST

START_TEST(the_id_offers_both_interfaces)
{
    ck_assert_uint_eq(item(1, 4), 3);
}
END_TEST

START_TEST(selecting_starts_from_the_first_byte)
{
    item(0, 3);
    ck_assert_uint_eq(item(0, 1), 'Q');
}
END_TEST

START_TEST(values_are_little_endian)
{
    fw_cfg_add_value(cfg, FW_CFG_NB_CPUS, 2, 2);
    fw_cfg_add_value(cfg, FW_CFG_RAM_SIZE, 0x123456789a, 8);
    ck_assert_uint_eq(item(5, 2), 2);
    ck_assert_uint_eq(item(3, 8), 0x123456789a);
}
END_TEST

START_TEST(keys_that_hold_nothing_read_as_zero)
{
    static const uint16_t keys[] = { 0x11, 0x1f, 0x20, 0x60, 0x3fff, 0x8000, 0x8010, 0xffff };

    for (unsigned i = 0; i < sizeof keys / sizeof keys[0]; i++)
        ck_assert_uint_eq(item(keys[i], 8), 0);
    ck_assert(!fw_cfg_add_value(cfg, 0x3fff, 1, 2));
    ck_assert(fw_cfg_add_value(cfg, FW_CFG_LOCAL + 3, 7, 4));
    ck_assert_uint_eq(item(0x8003, 4), 7);
}
END_TEST

START_TEST(the_directory_lists_files_in_big_endian)
{
    struct err e = { "" };
    uint8_t dir[4 + 128];

    ck_assert(fw_cfg_add_file(cfg, "etc/e820", "abc", 3, &e));
    ck_assert(fw_cfg_add_file(cfg, "opt/x", "12345", 5, &e));
    ck_assert(fw_cfg_add_file(cfg, "etc/e820", "abcd", 4, &e)); /* replaces */
    out(0x510, 0x19, 2);
    for (unsigned i = 0; i < sizeof dir; i++)
        dir[i] = (uint8_t)next_byte();
    ck_assert_mem_eq(dir,
                     "\0\0\0\2"
                     "\0\0\0\4"
                     "\0\x20"
                     "\0\0"
                     "etc/e820",
                     21);
    ck_assert_mem_eq(dir + 68,
                     "\0\0\0\5"
                     "\0\x21"
                     "\0\0"
                     "opt/x",
                     14);
    ck_assert_uint_eq(item(0x20, 4), 0x64636261);
}
END_TEST

START_TEST(a_long_name_or_one_file_too_many_is_refused)
{
    char name[57] = "";
    struct err e = { "" };

    memset(name, 'n', 56);
    ck_assert(!fw_cfg_add_file(cfg, name, "", 0, &e));
    ck_assert_ptr_nonnull(strstr(e.text, "is too long; use at most 55 bytes"));
    for (unsigned i = 0; i < 64; i++) {
        snprintf(name, sizeof name, "opt/%u", i);
        ck_assert(fw_cfg_add_file(cfg, name, "", 0, &e));
    }
    ck_assert(!fw_cfg_add_file(cfg, "opt/last", "", 0, &e));
}
END_TEST

START_TEST(the_dma_address_register_reads_its_signature)
{
    ck_assert_uint_eq(ports_read(lab->host.ports, 0x514, 4), 0x554d4551); /* "QEMU" */
    ck_assert_uint_eq(ports_read(lab->host.ports, 0x518, 4), 0x47464320); /* " CFG" */
}
END_TEST

START_TEST(dma_selects_reads_and_fills_up_with_zeros)
{
    char bytes[8];

    bus_write(lab->host.bus, TARGET, UINT64_MAX, 8);
    ck_assert_uint_eq(dma(0x0000000a, 8, TARGET), 0); /* select key 0, read */
    bus_read_bytes(lab->host.bus, TARGET, bytes, 8);
    ck_assert_mem_eq(bytes, "QEMU\0\0\0\0", 8);
}
END_TEST

START_TEST(dma_skips)
{
    ck_assert_uint_eq(dma(0x0000000c, 2, 0), 0); /* select key 0, skip 2 */
    ck_assert_uint_eq(next_byte(), 'M');
    ck_assert_uint_eq(dma(4, 0xffffffff, 0), 0);
    ck_assert_uint_eq(next_byte(), 0);
}
END_TEST

START_TEST(dma_writes_are_an_error)
{
    ck_assert_uint_eq(dma(0x00000018, 4, TARGET), 1);
    ck_assert_uint_eq(item(0, 4), 0x554d4551);
}
END_TEST

START_TEST(dma_to_what_is_not_ram_is_an_error_and_changes_nothing)
{
    bus_write(lab->host.bus, LAB_RAM - 4, 0x11111111, 4);
    ck_assert_uint_eq(dma(0xa, 8, LAB_RAM - 4), 1);
    ck_assert_uint_eq(bus_read(lab->host.bus, LAB_RAM - 4, 4), 0x11111111);
    ck_assert_uint_eq(dma(0xa, 0xffffffff, TARGET), 1);
    ck_assert_uint_eq(dma(0xa, 16, UINT64_MAX - 7), 1);
    ck_assert_uint_eq(dma(0xa, 4, 0xd0000000), 1);
}
END_TEST

START_TEST(a_request_that_is_not_in_ram_is_ignored)
{
    out(0x514, 0xffffffff, 4);
    out(0x518, 0xffffffff, 4);
    out(0x514, 0, 4);
    out(0x518, __builtin_bswap32(LAB_RAM - 8), 4);
    out(0x518, 1, 1);
}
END_TEST

START_TEST(state_is_restored)
{
    item(0, 1);
    lab_expect_restores(cfg);
    ck_assert_uint_eq(next_byte(), 'E');
}
END_TEST

Suite *suite_devices_fw_cfg(void);

Suite *suite_devices_fw_cfg(void)
{
    const TTest *const tests[] = {
        the_signature_reads_qemu_and_then_zeros,
        the_id_offers_both_interfaces,
        selecting_starts_from_the_first_byte,
        values_are_little_endian,
        keys_that_hold_nothing_read_as_zero,
        the_directory_lists_files_in_big_endian,
        a_long_name_or_one_file_too_many_is_refused,
        the_dma_address_register_reads_its_signature,
        dma_selects_reads_and_fills_up_with_zeros,
        dma_skips,
        dma_writes_are_an_error,
        dma_to_what_is_not_ram_is_an_error_and_changes_nothing,
        a_request_that_is_not_in_ram_is_ignored,
        state_is_restored,
    };
    Suite *s = suite_create("devices/fw_cfg");
    TCase *t = tcase_create("fw_cfg");

    tcase_add_checked_fixture(t, setup, teardown);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        tcase_add_test(t, tests[i]);
    suite_add_tcase(s, t);
    return s;
}
