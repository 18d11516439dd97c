/* Q35 memory controller hub: host bridge 00:00.0, configuration mechanism #1 at ports
 * 0xcf8-0xcff, the enhanced one (ECAM) at PCIEXBAR, and the reset control register of ICH9, which
 * lives inside the address port.
 * [Intel 3 Series Express Chipset Family Datasheet "DRAM Controller Registers (D0:F0)"]
 * [PCI 3.0 "Software Generation of Configuration Transactions"]
 * [ICH9 datasheet "RST_CNT - Reset Control Register"] */
#include "devices/pci_host.h"

#include <inttypes.h>

#include "base/bits.h"
#include "devices/trace.h"

enum {
    MCH_PCIEXBAR = 0x60,
    MCH_PAM0 = 0x90, /* to PAM6 at 0x96 */
    MCH_LAC = 0x97,
    MCH_SMRAM = 0x9d,
    MCH_ESMRAMC = 0x9e,
    MCH_TOM = 0xa0,   /* all RAM, in units of 64 MiB */
    MCH_TOUUD = 0xa2, /* first address above RAM over 4 GiB, in MiB */
    MCH_TSEGMB = 0xac,
    MCH_TOLUD = 0xb0, /* first address above RAM under 4 GiB, bits 31:20 in 15:4 */
};

enum { ADDRESS_ENABLE = 31, RST_CNT_SYS_RST = 1 << 1, RST_CNT_RST_CPU = 1 << 2 };

#define GIB UINT64_C(0x40000000)
/* 46 physical-address bits: nothing is decoded above */
#define MEM64_LIMIT (UINT64_C(1) << 46)

static const struct field pci_host_fields[] = {
    PCI_FIELDS(struct pci_host, fn),
    FIELD(struct pci_host, address),
    FIELD(struct pci_host, rst_cnt),
    { 0 },
};

static const struct pci_identity pci_host_identity = { .vendor = 0x8086,
                                                       .device = 0x29c0,
                                                       .class_code = 0x060000,
                                                       .subsystem_vendor = 0x1af4,
                                                       .subsystem = 0x1100 };

/* ---- ports 0xcf8 to 0xcff ---- */

/* Only a doubleword access is CONFIG_ADDRESS; a byte at 0xcf9 is the reset control register. */
static uint64_t pci_host_read_address(void *owner, uint64_t offset, unsigned size)
{
    const struct pci_host *h = owner;

    if (offset == 0 && size == 4)
        return h->address;
    if (offset == 1 && size == 1)
        return h->rst_cnt;
    return BITS(8 * size - 1, 0);
}

static void pci_host_write_address(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
    struct pci_host *h = owner;
    bool reset;

    if (offset == 0 && size == 4)
        h->address = (uint32_t)value & 0x80fffffc;
    if (offset != 1 || size != 1)
        return;
    reset = value & ~h->rst_cnt & RST_CNT_RST_CPU;
    h->rst_cnt = value & (RST_CNT_SYS_RST | RST_CNT_RST_CPU | 1 << 3);
    if (reset)
        line_pulse(&h->reset); /* last: this may reset us */
}

static uint64_t pci_host_read_data(void *owner, uint64_t offset, unsigned size)
{
    struct pci_host *h = owner;
    uint32_t a = h->address;

    if (!bit(a, ADDRESS_ENABLE) || bits(a, 23, 16) != 0)
        return BITS(8 * size - 1, 0);
    return pci_config_read(&h->bus, bits(a, 15, 8), (a & 0xfc) + (unsigned)offset, size);
}

static void pci_host_write_data(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
    struct pci_host *h = owner;
    uint32_t a = h->address;

    if (bit(a, ADDRESS_ENABLE) && bits(a, 23, 16) == 0)
        pci_config_write(&h->bus, bits(a, 15, 8), (a & 0xfc) + (unsigned)offset, (uint32_t)value,
                         size);
}

static const struct io_ops pci_host_address_ops = { .read = pci_host_read_address,
                                                    .write = pci_host_write_address,
                                                    .sizes = SIZE_ANY };
static const struct io_ops pci_host_data_ops = { .read = pci_host_read_data,
                                                 .write = pci_host_write_data,
                                                 .sizes = SIZE_8 | SIZE_16 | SIZE_32 };

/* ---- ECAM ---- */

/* Address bits 27:20 bus, 19:15 device, 14:12 function, 11:0 register. Bus 0 is the only one. */
static uint64_t pci_host_read_ecam(void *owner, uint64_t offset, unsigned size)
{
    struct pci_host *h = owner;

    if (offset >> 20 != 0)
        return BITS(8 * size - 1, 0);
    return pci_config_read(&h->bus, bits(offset, 19, 12), bits(offset, 11, 0), size);
}

static void pci_host_write_ecam(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
    struct pci_host *h = owner;

    if (offset >> 20 == 0)
        pci_config_write(&h->bus, bits(offset, 19, 12), bits(offset, 11, 0), (uint32_t)value, size);
}

static const struct io_ops pci_host_ecam_ops = { .read = pci_host_read_ecam,
                                                 .write = pci_host_write_ecam,
                                                 .sizes = SIZE_8 | SIZE_16 | SIZE_32 };

/* Follow PCIEXBAR: bit 0 enable, bits 2:1 length, the base above that. A base inside RAM would
 * hide it, which no firmware wants: it does not decode there. */
static void pci_host_place_ecam(struct pci_host *h)
{
    uint64_t reg = pci_get(&h->fn, MCH_PCIEXBAR, 4) | (uint64_t)pci_get(&h->fn, MCH_PCIEXBAR + 4, 4)
                                                          << 32;
    unsigned length = (unsigned)bits(reg, 2, 1);
    uint64_t bytes = bit(reg, 0) && length < 3 ? PCI_ECAM_BYTES >> length : 0;
    uint64_t base = bytes ? bits(reg, 35, 26) << 26 & ~(bytes - 1) : 0;

    if (base < h->ram_low || (base + bytes > 4 * GIB && base < 4 * GIB + h->ram_high))
        bytes = 0;
    if (bytes == h->ecam_bytes && (bytes == 0 || base == h->ecam_base))
        return;
    if (h->ecam_bytes)
        bus_unmap(h->fn.dev.host->bus, h->ecam_base, h->ecam_bytes, h);
    h->ecam_base = base;
    h->ecam_bytes = bytes;
    trace_pci_ecam(base, bytes);
    if (bytes)
        bus_map(h->fn.dev.host->bus, base, bytes, "PCI ECAM", &pci_host_ecam_ops, h);
}

static void pci_host_written(struct pci_function *fn, unsigned reg, unsigned size)
{
    if (reg < MCH_PCIEXBAR + 8 && reg + size > MCH_PCIEXBAR)
        pci_host_place_ecam((struct pci_host *)fn);
}

/* ---- life ---- */

/* PAM and SMRAM are values only: RAM answers in the whole of 0xc0000-0xfffff unless the board maps
 * something over it, and there is no system-management RAM. */
static void pci_host_registers(struct pci_host *h)
{
    struct pci_function *fn = &h->fn;
    uint64_t top = h->ram_high ? 4 * GIB + h->ram_high : h->ram_low;

    /* memory and bus mastering are wired to on */
    pci_set_register(fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER,
                     PCI_COMMAND_PARITY | PCI_COMMAND_SERR);
    pci_set_register(fn, MCH_PCIEXBAR, 4, (uint32_t)PCI_ECAM_BASE, 0xfc000007);
    pci_set_register(fn, MCH_PCIEXBAR + 4, 4, 0, 0xf);
    for (unsigned i = 0; i < 7; i++)
        pci_set_register(fn, MCH_PAM0 + i, 1, 0, 0x33);
    pci_set_register(fn, MCH_LAC, 1, 0, 0x81);
    pci_set_register(fn, MCH_SMRAM, 1, 0x02, 0x70);
    pci_set_register(fn, MCH_ESMRAMC, 1, 0x38, 0x87);
    pci_set_register(fn, MCH_TOM, 2, (uint32_t)((h->ram_low + h->ram_high) >> 26 & 0x3ff), 0);
    pci_set_register(fn, MCH_TOUUD, 2, (uint32_t)(top >> 20 & 0xffff), 0);
    pci_set_register(fn, MCH_TSEGMB, 4, (uint32_t)(h->ram_low & 0xfff00000), 0);
    pci_set_register(fn, MCH_TOLUD, 2, (uint32_t)(h->ram_low >> 16 & 0xfff0), 0);
}

static bool pci_host_realize(struct device *dev, struct err *e)
{
    struct pci_host *h = (struct pci_host *)dev;

    if (h->ram_low > PCI_ECAM_BASE)
        return err_set(e, "%s: RAM below 4 GiB must end at or below %#" PRIx64, dev->id,
                       PCI_ECAM_BASE);
    pci_bus_init(&h->bus, dev->host);
    h->bus.io = (struct pci_window){ PCI_IO_BASE, PCI_IO_END };
    h->bus.mem32 = (struct pci_window){ PCI_MEM32_BASE, PCI_MEM32_END };
    h->bus.mem64 = (struct pci_window){ pci_host_mem64_base(dev), MEM64_LIMIT };
    h->fn.bus = &h->bus;
    h->fn.config_written = pci_host_written;
    pci_describe(&h->fn, &pci_host_identity);
    pci_host_registers(h);
    if (!pci_plug(&h->fn, e))
        return false;
    ports_map(dev->host->ports, 0xcf8, 4, "PCI address, reset control", &pci_host_address_ops, h);
    ports_map(dev->host->ports, 0xcfc, 4, "PCI data", &pci_host_data_ops, h);
    return true;
}

static void pci_host_unrealize(struct device *dev)
{
    struct pci_host *h = (struct pci_host *)dev;

    ports_unmap(dev->host->ports, 0xcf8, 8, h);
    if (h->ecam_bytes)
        bus_unmap(dev->host->bus, h->ecam_base, h->ecam_bytes, h);
    h->ecam_bytes = 0;
    pci_unplug(&h->fn);
}

static void pci_host_settle(struct device *dev)
{
    pci_settle(dev);
    pci_host_place_ecam((struct pci_host *)dev);
}

static void pci_host_show(const struct device *dev, FILE *out)
{
    const struct pci_host *h = (const struct pci_host *)dev;

    pci_show(dev, out);
    if (h->ecam_bytes)
        fprintf(out, "ECAM at %#" PRIx64 ", %" PRIu64 " MiB\n", h->ecam_base, h->ecam_bytes >> 20);
    for (unsigned devfn = 0; devfn < 256; devfn++) {
        const struct pci_function *fn = h->bus.function[devfn];

        if (fn)
            fprintf(out, "00:%02x.%x %s\n", devfn >> 3, devfn & 7, fn->dev.id);
    }
}

const struct device_class pci_host_class = {
    .name = "pci_host",
    .title = "Q35 host bridge and PCI bus",
    .size = sizeof(struct pci_host),
    .version = 1,
    .fields = pci_host_fields,
    .realize = pci_host_realize,
    .unrealize = pci_host_unrealize,
    .reset = pci_reset,
    .settle = pci_host_settle,
    .show = pci_host_show,
};

struct device *pci_host_create(const char *id, struct device_host *host, uint64_t ram_low,
                               uint64_t ram_high)
{
    struct device *dev = device_create(&pci_host_class, id, host);
    struct pci_host *h = (struct pci_host *)dev;

    h->ram_low = ram_low;
    h->ram_high = ram_high;
    return dev;
}

struct pci_bus *pci_host_bus(struct device *dev)
{
    return &((struct pci_host *)dev)->bus;
}

uint64_t pci_host_mem64_base(const struct device *dev)
{
    return align_up(4 * GIB + ((const struct pci_host *)dev)->ram_high, GIB);
}

void pci_host_firmware_setup(struct device *dev)
{
    struct pci_bus *bus = pci_host_bus(dev);

    pci_config_write(bus, 0, MCH_PCIEXBAR + 4, (uint32_t)(PCI_ECAM_BASE >> 32), 4);
    pci_config_write(bus, 0, MCH_PCIEXBAR, (uint32_t)PCI_ECAM_BASE | 1, 4);
}
