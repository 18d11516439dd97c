/* What every chip of the board promises: reset, save and restore, and any access of any size. */
#include "tests/devices/chip_lab.h"

#include "devices/apic_bus.h"
#include "devices/lapic.h"
#include "devices/list.h"

static const char *const chips[] = {
    "pic8259",        "pit8254", "rtc_cmos", "i8042",  "port92", "uart16550",  "debugcon",
    "isa_debug_exit", "acpi_pm", "hpet",     "ioapic", "lapic",  "pc_testdev",
};
enum { CHIPS = sizeof chips / sizeof chips[0] };

static struct chip_lab *lab;
static struct apic_bus *apics;
static struct device *dev;
static uint64_t seed;

static uint64_t rnd(void) /* xorshift64 */
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void start(unsigned i)
{
    const struct device_class *class = device_class_find(chips[i]);

    ck_assert_ptr_nonnull(class);
    seed = 0x9e3779b97f4a7c15 + i;
    lab = chip_lab_create();
    apics = apic_bus_create(NULL);
    dev = device_create(class, "chip", &lab->host);
    if (class == &lapic_class) {
        struct lapic_config config = { .bus = apics, .x2apic = true, .physical_bits = 46 };

        lapic_configure(dev, &config);
    }
    chip_start(dev);
}

static void stop(void)
{
    device_destroy(dev);
    apic_bus_destroy(apics);
    chip_lab_destroy(lab);
}

static void access_lapic(void)
{
    uint64_t value = rnd() & (rnd() % 4 ? 0xffff : UINT64_MAX);

    switch (rnd() % 8) {
    case 0: lapic_ops.write_base(dev, 0xfee00000 | (rnd() & 0xd00)); break;
    case 1: lapic_ops.write_msr(dev, 0x800 + (uint32_t)rnd() % 256, value); break;
    case 2: lapic_ops.read_msr(dev, 0x800 + (uint32_t)rnd() % 256, &value); break;
    case 3:
        lapic_ops.write_tsc_deadline(dev, rnd() % 2 ? value : 0);
        lapic_ops.read_tsc_deadline(dev);
        break;
    case 4:
        lapic_lint(dev, (unsigned)rnd() % 3, rnd() % 2);
        lapic_ops.acknowledge(dev);
        break;
    case 5: lapic_ops.read(dev, rnd() % 4096, 1u << rnd() % 4); break;
    default: lapic_ops.write(dev, rnd() % 0x40 * 16, value, 4);
    }
}

/* any port that a chip may have, any register, any size; time passes too */
static void access_something(void)
{
    static const uint16_t ports[] = { 0x20, 0xa0, 0x40, 0x60,  0x61,  0x70,  0x92,  0xb2,
                                      0xe0, 0xe8, 0xf4, 0x3f8, 0x4d0, 0x600, 0x620, 0x2000 };
    static const uint64_t bases[] = { 0xfec00000, 0xfed00000, 0xfed00100, 0xff000000 };
    uint16_t port = (uint16_t)(ports[rnd() % (sizeof ports / sizeof ports[0])] + rnd() % 8);
    uint64_t pa = bases[rnd() % 4] + rnd() % 0x80;
    unsigned size = 1u << rnd() % 3;

    lab->text_length = 0;
    lab->messages = 0;
    switch (rnd() % 6) {
    case 0: ports_read(lab->host.ports, port, size); break;
    case 1: bus_read(lab->host.bus, pa, 1u << rnd() % 4); break;
    case 2: bus_write(lab->host.bus, pa, rnd(), 1u << rnd() % 4); break;
    case 3: chip_run(lab, rnd() % 100000); break;
    default: ports_write(lab->host.ports, port, (uint32_t)rnd(), size);
    }
    if (dev->class == &lapic_class)
        access_lapic();
}

START_TEST(any_access_of_any_size_is_harmless)
{
    start(_i);
    for (unsigned n = 0; n < 20000; n++)
        access_something();
    stop();
}
END_TEST

START_TEST(saved_fields_come_back)
{
    const struct field *fields;
    uint8_t *image, *again;
    size_t bytes;

    start(_i);
    fields = dev->class->fields;
    bytes = fields ? fields_bytes(fields) : 0;
    if (bytes) {
        for (unsigned n = 0; n < 2000; n++)
            access_something();
        image = malloc(bytes);
        again = malloc(bytes);
        fields_save(dev, fields, image);
        for (unsigned n = 0; n < 2000; n++)
            access_something();
        ck_assert(fields_restore(dev, fields, image, bytes));
        dev->class->settle ? dev->class->settle(dev) : (void)0;
        fields_save(dev, fields, again);
        /* settling may find that time has passed, but changes no more than that */
        if (strcmp(dev->class->name, "rtc_cmos") && strcmp(dev->class->name, "acpi_pm"))
            ck_assert_mem_eq(image, again, bytes);
        free(image);
        free(again);
    }
    stop();
}
END_TEST

START_TEST(a_hostile_snapshot_is_harmless)
{
    const struct field *fields;
    uint8_t *image;
    size_t bytes;

    start(_i);
    fields = dev->class->fields;
    bytes = fields ? fields_bytes(fields) : 0;
    image = malloc(bytes + 1);
    for (unsigned round = 0; round < 50 && bytes; round++) {
        for (size_t n = 0; n < bytes; n++)
            image[n] = (uint8_t)(rnd() >> 20);
        ck_assert(fields_restore(dev, fields, image, bytes));
        if (dev->class->settle)
            dev->class->settle(dev);
        for (unsigned n = 0; n < 200; n++)
            access_something();
    }
    free(image);
    stop();
}
END_TEST

START_TEST(reset_is_the_same_each_time)
{
    const struct field *fields;
    uint8_t *first, *second;
    size_t bytes;

    start(_i);
    fields = dev->class->fields;
    bytes = fields ? fields_bytes(fields) : 0;
    first = malloc(bytes + 1);
    second = malloc(bytes + 1);
    if (bytes) {
        device_reset(dev);
        fields_save(dev, fields, first);
        device_reset(dev);
        fields_save(dev, fields, second);
        ck_assert_mem_eq(first, second, bytes);
    }
    free(first);
    free(second);
    stop();
}
END_TEST

START_TEST(every_chip_can_be_shown)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);

    start(_i);
    device_show(dev, out);
    fclose(out);
    ck_assert_ptr_eq(strstr(text, "chip: "), text);
    free(text);
    stop();
}
END_TEST

Suite *suite_devices_chips(void);
Suite *suite_devices_chips(void)
{
    Suite *s = suite_create("devices/chips");
    TCase *t = tcase_create("every chip");

    tcase_add_loop_test(t, any_access_of_any_size_is_harmless, 0, CHIPS);
    tcase_add_loop_test(t, saved_fields_come_back, 0, CHIPS);
    tcase_add_loop_test(t, a_hostile_snapshot_is_harmless, 0, CHIPS);
    tcase_add_loop_test(t, reset_is_the_same_each_time, 0, CHIPS);
    tcase_add_loop_test(t, every_chip_can_be_shown, 0, CHIPS);
    suite_add_tcase(s, t);
    return s;
}
