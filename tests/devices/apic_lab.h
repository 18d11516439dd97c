/* Three local APICs, an I/O APIC and the pair of 8259s on one bus. */
#pragma once
#include "tests/devices/chip_lab.h"

#include "base/apic_regs.h"
#include "devices/ioapic.h"
#include "devices/lapic.h"
#include "devices/pic8259.h"

enum { APICS = 3 };

/* what a processor has been told */
struct told {
    bool intr;
    unsigned nmi, smi, init, sipi;
    uint8_t sipi_vector;
};

struct apic_lab {
    struct chip_lab *chip;
    struct apic_bus *bus;
    struct device *cpu[APICS], *ioapic, *pic;
    struct told told[APICS];
};

static inline void told_intr(void *owner, bool level)
{
    ((struct told *)owner)->intr = level;
}

static inline void told_nmi(void *owner)
{
    ((struct told *)owner)->nmi++;
}

static inline void told_smi(void *owner)
{
    ((struct told *)owner)->smi++;
}

static inline void told_init(void *owner)
{
    ((struct told *)owner)->init++;
}

static inline void told_sipi(void *owner, uint8_t vector)
{
    ((struct told *)owner)->sipi++;
    ((struct told *)owner)->sipi_vector = vector;
}

static inline void apic_lab_init(struct apic_lab *a)
{
    memset(a, 0, sizeof *a);
    a->chip = chip_lab_create();
    a->bus = apic_bus_create(a->chip->host.bus);
    a->chip->host.msi = (struct msi_port){ apic_bus_msi, a->bus };
    a->ioapic = device_create(&ioapic_class, "ioapic", &a->chip->host);
    a->pic = device_create(&pic8259_class, "pic", &a->chip->host);
    apic_bus_add_ioapic(a->bus, a->ioapic);
    chip_start(a->ioapic);
    chip_start(a->pic);
    for (unsigned i = 0; i < APICS; i++) {
        struct lapic_config config = { .bus = a->bus,
                                       .id = i,
                                       .bsp = i == 0,
                                       .x2apic = true,
                                       .physical_bits = 46,
                                       .extint = pic8259_acknowledge,
                                       .extint_owner = a->pic };
        struct apic_client client = { &a->told[i], told_intr, told_nmi,
                                      told_smi,    told_init, told_sipi };

        a->cpu[i] = device_create(&lapic_class, "lapic", &a->chip->host);
        lapic_configure(a->cpu[i], &config);
        lapic_set_client(a->cpu[i], &client);
        chip_start(a->cpu[i]);
    }
    line_connect(pic8259_intr(a->pic), lapic_lint, a->cpu[0], 0);
}

static inline void apic_lab_done(struct apic_lab *a)
{
    for (unsigned i = 0; i < APICS; i++)
        device_destroy(a->cpu[i]);
    device_destroy(a->ioapic);
    device_destroy(a->pic);
    apic_bus_destroy(a->bus);
    chip_lab_destroy(a->chip);
}

/* registers in xAPIC mode */
static inline uint32_t xget(struct apic_lab *a, unsigned cpu, unsigned offset)
{
    return (uint32_t)lapic_ops.read(a->cpu[cpu], offset, 4);
}

static inline void xput(struct apic_lab *a, unsigned cpu, unsigned offset, uint32_t value)
{
    lapic_ops.write(a->cpu[cpu], offset, value, 4);
}

static inline uint64_t mget(struct apic_lab *a, unsigned cpu, uint32_t msr)
{
    uint64_t value = 0;

    ck_assert_msg(lapic_ops.read_msr(a->cpu[cpu], msr, &value), "reading %x faults", msr);
    return value;
}

static inline bool mput(struct apic_lab *a, unsigned cpu, uint32_t msr, uint64_t value)
{
    return lapic_ops.write_msr(a->cpu[cpu], msr, value);
}

static inline bool set_base(struct apic_lab *a, unsigned cpu, uint64_t value)
{
    return lapic_ops.write_base(a->cpu[cpu], value);
}

static inline int take(struct apic_lab *a, unsigned cpu)
{
    return lapic_ops.acknowledge(a->cpu[cpu]);
}
