/* ICH9 LPC interface bridge: routing of PCI interrupts and of the SCI, bases of the
 * power-management block and of the chipset configuration registers.
 * [ICH9 datasheet "LPC Interface Bridge Registers (D31:F0)", "Chipset Configuration Registers"] */
#include "devices/ich9_lpc.h"

#include <inttypes.h>
#include <string.h>

#include "base/bits.h"
#include "devices/trace.h"

enum {
    LPC_PMBASE = 0x40,
    LPC_ACPI_CNTL = 0x44,
    LPC_GPIOBASE = 0x48,
    LPC_GPIO_CNTL = 0x4c,
    LPC_PIRQA_ROUT = 0x60, /* to D at 0x63 */
    LPC_SIRQ_CNTL = 0x64,
    LPC_PIRQE_ROUT = 0x68, /* to H at 0x6b */
    LPC_IO_DEC = 0x80,
    LPC_EN = 0x82,
    LPC_GEN1_DEC = 0x84, /* to GEN4 at 0x90 */
    LPC_GEN_PMCON_1 = 0xa0,
    LPC_GEN_PMCON_3 = 0xa4,
    LPC_BIOS_CNTL = 0xdc,
    LPC_RCBA = 0xf0,
};

enum { ACPI_ENABLE = 1 << 7, PIRQ_OFF = 1 << 7, PM_BYTES = 128, RCBA_BYTES = 0x4000 };

/* chipset configuration registers */
enum {
    RC_INTERRUPTS = 0x3100, /* what `interrupts` holds */
    RC_D31IR = 0x3140,      /* routes, 16 bits each: 4 bits a pin */
    RC_D29IR = 0x3144,
    RC_D28IR = 0x3146,
    RC_D27IR = 0x3148,
    RC_D26IR = 0x314c,
    RC_D25IR = 0x3150,
    RC_IR_RESET = 0x3210, /* INTA to PIRQA and so on */
};

/* where the route register of a slot is; 0: its pins are wired */
static const uint16_t ich9_lpc_route_of[32] = { [25] = RC_D25IR, [26] = RC_D26IR, [27] = RC_D27IR,
                                                [28] = RC_D28IR, [29] = RC_D29IR, [31] = RC_D31IR };

static const struct field ich9_lpc_fields[] = {
    PCI_FIELDS(struct ich9_lpc, fn),
    FIELD_ARRAY(struct ich9_lpc, interrupts),
    { 0 },
};

static const struct pci_identity ich9_lpc_identity = { .vendor = 0x8086,
                                                       .device = 0x2918,
                                                       .revision = 2,
                                                       .class_code = 0x060100,
                                                       .subsystem_vendor = 0x1af4,
                                                       .subsystem = 0x1100,
                                                       .multifunction = true };

/* ---- interrupts ---- */

static unsigned ich9_lpc_pirq(void *owner, unsigned slot, unsigned pin)
{
    const struct ich9_lpc *l = owner;
    unsigned at = ich9_lpc_route_of[slot & 31], route;

    if (!at)
        return (slot + pin) % 4 + 4;
    at -= RC_INTERRUPTS;
    route = l->interrupts[at] | (unsigned)l->interrupts[at + 1] << 8;
    return route >> 4 * (pin & 3) & 7;
}

/* 0xff where the PIRQ goes to no 8259 input. Inputs 0, 1, 2, 8 and 13 are reserved. */
static uint8_t ich9_lpc_pic_irq(void *owner, unsigned pirq)
{
    const struct ich9_lpc *l = owner;
    unsigned rout = l->fn.config[(pirq < 4 ? LPC_PIRQA_ROUT : LPC_PIRQE_ROUT) + (pirq & 3)];
    unsigned irq = rout & 15;

    if (rout & PIRQ_OFF || !(0xdef8 >> irq & 1))
        return 0xff;
    return (uint8_t)irq;
}

/* SCI_IRQ_SEL: 9, 10, 11 on both controllers; 20 to 23 on the I/O APIC alone; 3 is reserved. */
static unsigned ich9_lpc_sci_gsi(const struct ich9_lpc *l)
{
    static const uint8_t gsi[8] = { 9, 10, 11, 9, 20, 21, 22, 23 };

    return gsi[l->fn.config[LPC_ACPI_CNTL] & 7];
}

static void ich9_lpc_drive(struct ich9_lpc *l)
{
    unsigned sci = ich9_lpc_sci_gsi(l);
    bool sci_high = l->sci && l->fn.config[LPC_ACPI_CNTL] & ACPI_ENABLE;
    uint32_t gsis = (uint32_t)sci_high << sci, irqs = sci < ICH9_PIC_IRQS ? gsis : 0;

    for (unsigned i = 0; i < PCI_PIRQS; i++) {
        uint8_t irq = ich9_lpc_pic_irq(l, i);
        bool high = l->fn.bus->pirq[i].level;

        gsis |= (uint32_t)high << (16 + i);
        if (irq != 0xff)
            irqs |= (uint32_t)high << irq;
    }
    for (unsigned i = 0; i < ICH9_PIC_IRQS; i++)
        line_set(&l->pic[i], irqs >> i & 1);
    for (unsigned i = 0; i < ICH9_GSIS; i++)
        line_set(&l->gsi[i], gsis >> i & 1);
}

static void ich9_lpc_set_pirq(void *owner, unsigned n, bool level)
{
    struct ich9_lpc *l = owner;

    trace_ich9_pirq('A' + n, level);
    ich9_lpc_drive(l);
}

void ich9_lpc_set_sci(void *owner, unsigned n, bool level)
{
    struct ich9_lpc *l = owner;

    l->sci = level;
    ich9_lpc_drive(l);
}

/* ---- chipset configuration registers at RCBA ---- */

static uint64_t ich9_lpc_read_rcrb(void *owner, uint64_t offset, unsigned size)
{
    const struct ich9_lpc *l = owner;
    uint64_t value = 0;

    if (offset >= RC_INTERRUPTS && offset - RC_INTERRUPTS + size <= sizeof l->interrupts)
        memcpy(&value, l->interrupts + (offset - RC_INTERRUPTS), size);
    return value;
}

static void ich9_lpc_write_rcrb(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
    struct ich9_lpc *l = owner;

    if (offset < RC_INTERRUPTS || offset - RC_INTERRUPTS + size > sizeof l->interrupts)
        return;
    memcpy(l->interrupts + (offset - RC_INTERRUPTS), &value, size);
    pci_drive_pirqs(l->fn.bus);
}

static const struct io_ops ich9_lpc_rcrb_ops = { .read = ich9_lpc_read_rcrb,
                                                 .write = ich9_lpc_write_rcrb,
                                                 .sizes = SIZE_8 | SIZE_16 | SIZE_32 };

/* Decoded in the top GiB only, where the board has no RAM. */
static void ich9_lpc_place_rcrb(struct ich9_lpc *l)
{
    uint32_t reg = pci_get(&l->fn, LPC_RCBA, 4);
    uint64_t base = reg & 1 ? reg & ~(uint32_t)(RCBA_BYTES - 1) : 0;

    if (base < 0xc0000000)
        base = 0;
    if (base == l->rcba)
        return;
    if (l->rcba)
        bus_unmap(l->fn.dev.host->bus, l->rcba, RCBA_BYTES, l);
    l->rcba = base;
    if (base)
        bus_map(l->fn.dev.host->bus, base, RCBA_BYTES, "ICH9 chipset configuration",
                &ich9_lpc_rcrb_ops, l);
}

static void ich9_lpc_place_pm(struct ich9_lpc *l)
{
    uint16_t base = pci_get(&l->fn, LPC_PMBASE, 2) & (uint16_t) ~(PM_BYTES - 1);
    bool enabled = l->fn.config[LPC_ACPI_CNTL] & ACPI_ENABLE && base != 0;

    trace_ich9_pm(base, enabled);
    if (l->pm_moved)
        l->pm_moved(l->pm_owner, base, enabled);
}

/* ---- life ---- */

static bool ich9_lpc_touches(unsigned reg, unsigned size, unsigned first, unsigned bytes)
{
    return reg < first + bytes && reg + size > first;
}

static void ich9_lpc_written(struct pci_function *fn, unsigned reg, unsigned size)
{
    struct ich9_lpc *l = (struct ich9_lpc *)fn;

    if (ich9_lpc_touches(reg, size, LPC_RCBA, 4))
        ich9_lpc_place_rcrb(l);
    if (ich9_lpc_touches(reg, size, LPC_PMBASE, 5))
        ich9_lpc_place_pm(l);
    ich9_lpc_drive(l);
}

/* Registers that only keep what firmware writes are here too: their readers expect it back. */
static void ich9_lpc_registers(struct pci_function *fn)
{
    /* I/O, memory and bus mastering are wired to on */
    pci_set_register(fn, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER,
                     PCI_COMMAND_PARITY | PCI_COMMAND_SERR);
    pci_set_register(fn, LPC_PMBASE, 4, 1, 0xff80);
    pci_set_register(fn, LPC_ACPI_CNTL, 1, 0, ACPI_ENABLE | 7);
    pci_set_register(fn, LPC_GPIOBASE, 4, 1, 0xffc0);
    pci_set_register(fn, LPC_GPIO_CNTL, 1, 0, 1 << 4);
    for (unsigned i = 0; i < 4; i++) {
        pci_set_register(fn, LPC_PIRQA_ROUT + i, 1, PIRQ_OFF, PIRQ_OFF | 15);
        pci_set_register(fn, LPC_PIRQE_ROUT + i, 1, PIRQ_OFF, PIRQ_OFF | 15);
        pci_set_register(fn, LPC_GEN1_DEC + 4 * i, 4, 0, 0x00fcfffd);
    }
    pci_set_register(fn, LPC_SIRQ_CNTL, 1, 0x10, 0xc3);
    pci_set_register(fn, LPC_IO_DEC, 2, 0, 0x1377);
    pci_set_register(fn, LPC_EN, 2, 0, 0x3f0f);
    pci_set_register(fn, LPC_GEN_PMCON_1, 2, 0, 0x073f);
    pci_set_register(fn, LPC_GEN_PMCON_3, 1, 0, 0xf9);
    pci_set_register(fn, LPC_BIOS_CNTL, 1, 0, 0x1f);
    pci_set_register(fn, LPC_RCBA, 4, 0, 0xffffc001);
}

static bool ich9_lpc_realize(struct device *dev, struct err *e)
{
    struct ich9_lpc *l = (struct ich9_lpc *)dev;

    l->fn.config_written = ich9_lpc_written;
    pci_describe(&l->fn, &ich9_lpc_identity);
    ich9_lpc_registers(&l->fn);
    if (!pci_plug(&l->fn, e))
        return false;
    for (unsigned i = 0; i < PCI_PIRQS; i++)
        line_connect(&l->fn.bus->pirq[i], ich9_lpc_set_pirq, l, i);
    l->fn.bus->router = (struct pci_router){ .owner = l,
                                             .pirq = ich9_lpc_pirq,
                                             .pic_irq = ich9_lpc_pic_irq };
    return true;
}

static void ich9_lpc_unrealize(struct device *dev)
{
    struct ich9_lpc *l = (struct ich9_lpc *)dev;

    if (!l->fn.bus || l->fn.bus->function[l->fn.devfn] != &l->fn)
        return;
    if (l->rcba)
        bus_unmap(dev->host->bus, l->rcba, RCBA_BYTES, l);
    l->rcba = 0;
    for (unsigned i = 0; i < PCI_PIRQS; i++)
        l->fn.bus->pirq[i].set = NULL;
    l->fn.bus->router = (struct pci_router){ 0 };
    pci_unplug(&l->fn);
}

static void ich9_lpc_reset(struct device *dev)
{
    static const uint16_t routes[] = { RC_D31IR, RC_D29IR, RC_D28IR, RC_D27IR, RC_D26IR, RC_D25IR };
    struct ich9_lpc *l = (struct ich9_lpc *)dev;

    pci_reset(dev);
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        l->interrupts[routes[i] - RC_INTERRUPTS] = RC_IR_RESET & 0xff;
        l->interrupts[routes[i] - RC_INTERRUPTS + 1] = RC_IR_RESET >> 8;
    }
}

static void ich9_lpc_settle(struct device *dev)
{
    struct ich9_lpc *l = (struct ich9_lpc *)dev;

    pci_settle(dev);
    if (!l->fn.bus)
        return;
    ich9_lpc_place_rcrb(l);
    ich9_lpc_place_pm(l);
    ich9_lpc_drive(l);
}

static void ich9_lpc_show(const struct device *dev, FILE *out)
{
    const struct ich9_lpc *l = (const struct ich9_lpc *)dev;

    pci_show(dev, out);
    for (unsigned i = 0; l->fn.bus && i < PCI_PIRQS; i++) {
        uint8_t irq = ich9_lpc_pic_irq((void *)l, i);

        fprintf(out, "PIRQ%c: %s, GSI %u, ", (int)('A' + i),
                l->fn.bus->pirq[i].level ? "high" : "low", 16 + i);
        if (irq == 0xff)
            fprintf(out, "no 8259 input\n");
        else
            fprintf(out, "8259 input %u\n", irq);
    }
    fprintf(out, "SCI: GSI %u, chipset configuration at %#" PRIx64 "\n", ich9_lpc_sci_gsi(l),
            l->rcba);
}

const struct device_class ich9_lpc_class = {
    .name = "ich9_lpc",
    .title = "ICH9 LPC bridge",
    .size = sizeof(struct ich9_lpc),
    .version = 1,
    .fields = ich9_lpc_fields,
    .realize = ich9_lpc_realize,
    .unrealize = ich9_lpc_unrealize,
    .reset = ich9_lpc_reset,
    .settle = ich9_lpc_settle,
    .show = ich9_lpc_show,
};

struct device *ich9_lpc_create(const char *id, struct device_host *host, struct pci_bus *bus)
{
    struct device *dev = device_create(&ich9_lpc_class, id, host);
    struct ich9_lpc *l = (struct ich9_lpc *)dev;

    l->fn.bus = bus;
    l->fn.devfn = ICH9_LPC_DEVFN;
    return dev;
}

void ich9_lpc_firmware_setup(struct device *dev)
{
    struct ich9_lpc *l = (struct ich9_lpc *)dev;
    struct pci_bus *bus = l->fn.bus;

    pci_config_write(bus, l->fn.devfn, LPC_PMBASE, ICH9_PMBASE, 4);
    pci_config_write(bus, l->fn.devfn, LPC_ACPI_CNTL, ACPI_ENABLE, 1);
    pci_config_write(bus, l->fn.devfn, LPC_RCBA, ICH9_RCBA | 1, 4);
    for (unsigned i = 0; i < 4; i++) {
        pci_config_write(bus, l->fn.devfn, LPC_PIRQA_ROUT + i, i < 2 ? 10 : 11, 1);
        pci_config_write(bus, l->fn.devfn, LPC_PIRQE_ROUT + i, i < 2 ? 10 : 11, 1);
    }
    /* ELCR, [ICH9 datasheet "ELCR2 - Slave Edge/Level Triggered Register"] */
    ports_write(dev->host->ports, 0x4d1, 1 << (10 - 8) | 1 << (11 - 8), 1);
}
