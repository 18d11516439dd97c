/* A PCI card for tests: BAR 0 32 I/O ports, BAR 1 MSI-X with 4 vectors (or an MSI capability), BAR
 * 2 and 3 one MiB of 64-bit memory that reads as its offset. */
#pragma once
#include "tests/devices/pci_lab.h"

struct test_card {
    struct pci_function fn;
    uint64_t last_offset, last_value; /* of a write to BAR 0 or 2 */
};

static const struct field test_card_fields[] = {
    PCI_FIELDS(struct test_card, fn),
    { 0 },
};

static inline uint64_t test_card_read(void *owner, uint64_t offset, unsigned size)
{
    return offset;
}

static inline void test_card_write(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
    ((struct test_card *)owner)->last_offset = offset;
    ((struct test_card *)owner)->last_value = value;
}

static const struct io_ops test_card_ops = { .read = test_card_read,
                                             .write = test_card_write,
                                             .sizes = SIZE_ANY };

static inline bool test_card_plug(struct device *dev, struct err *e, bool msix)
{
    struct test_card *c = (struct test_card *)dev;

    pci_describe(&c->fn, &(struct pci_identity){ .vendor = 0x1234,
                                                 .device = 0x5678,
                                                 .revision = 9,
                                                 .class_code = 0x020304,
                                                 .subsystem_vendor = 0xabcd,
                                                 .subsystem = 0xef01,
                                                 .pin = 1 });
    pci_add_bar(&c->fn, 0, PCI_BAR_IO, 32, "ports", &test_card_ops);
    pci_add_bar(&c->fn, 2, PCI_BAR_MEM64, 0x100000, "memory", &test_card_ops);
    if (msix)
        pci_add_msix(&c->fn, 1, 4);
    else
        pci_add_msi(&c->fn);
    return pci_plug(&c->fn, e);
}

static inline bool test_card_realize(struct device *dev, struct err *e)
{
    return test_card_plug(dev, e, true);
}

static inline bool test_card_realize_msi(struct device *dev, struct err *e)
{
    return test_card_plug(dev, e, false);
}

static inline void test_card_unrealize(struct device *dev)
{
    pci_unplug(&((struct test_card *)dev)->fn);
}

static const struct device_class test_card_class = {
    .name = "test-card",
    .size = sizeof(struct test_card),
    .version = 1,
    .fields = test_card_fields,
    .realize = test_card_realize,
    .unrealize = test_card_unrealize,
    .reset = pci_reset,
    .settle = pci_settle,
    .show = pci_show,
};

static const struct device_class test_card_msi_class = {
    .name = "test-card",
    .size = sizeof(struct test_card),
    .version = 1,
    .fields = test_card_fields,
    .realize = test_card_realize_msi,
    .unrealize = test_card_unrealize,
    .reset = pci_reset,
    .settle = pci_settle,
    .show = pci_show,
};

static inline struct test_card *test_card_create(struct pci_lab *lab,
                                                 const struct device_class *class, const char *id,
                                                 unsigned slot)
{
    struct device *dev = device_create(class, id, &lab->host);
    struct test_card *c = (struct test_card *)dev;

    c->fn.bus = lab->bus;
    c->fn.devfn = (uint8_t)PCI_DEVFN(slot, 0);
    lab_realize(dev);
    return c;
}
