/* The part of firmware that gives PCI functions their addresses and interrupt lines, for machines
 * that start a kernel directly. [PCI Firmware Specification 3.0 "PCI Services"] */
#include "base/bits.h"
#include "devices/pci.h"

/* BARs of one page or less get a page of their own, so that a kernel can map each alone. */
#define ASSIGN_MEMORY_GRAIN PAGE_SIZE
/* Keeps clear of the fixed ports of the board below. */
#define ASSIGN_IO_FIRST 0xc000

struct pci_space {
    uint64_t next, end;
};

/* where `size` bytes go, aligned to their size; false if the space is full */
static bool pci_space_take(struct pci_space *s, uint64_t size, uint64_t *at)
{
    uint64_t start = align_up(s->next, size);

    if (start < s->next || start >= s->end || size > s->end - start)
        return false;
    s->next = start + size;
    *at = start;
    return true;
}

static void pci_write_bar(struct pci_bus *bus, unsigned devfn, unsigned n, uint64_t at)
{
    pci_config_write(bus, devfn, PCI_BAR0 + 4 * n, (uint32_t)at, 4);
    if (bus->function[devfn]->bar[n].kind == PCI_BAR_MEM64)
        pci_config_write(bus, devfn, PCI_BAR0 + 4 * n + 4, (uint32_t)(at >> 32), 4);
}

struct pci_spaces {
    struct pci_space io, mem32, mem64;
};

/* true if the BAR has got an address */
static bool pci_assign_bar(struct pci_bus *bus, struct pci_spaces *s, unsigned devfn, unsigned n)
{
    const struct pci_bar *bar = &bus->function[devfn]->bar[n];
    uint64_t grain = bar->size < ASSIGN_MEMORY_GRAIN ? ASSIGN_MEMORY_GRAIN : bar->size, at;

    if (bar->kind == PCI_BAR_IO) {
        if (!pci_space_take(&s->io, bar->size, &at))
            return false;
    } else if (!pci_space_take(&s->mem32, grain, &at) &&
               !(bar->kind == PCI_BAR_MEM64 && pci_space_take(&s->mem64, grain, &at))) {
        return false;
    }
    pci_write_bar(bus, devfn, n, at);
    return true;
}

/* All BARs of one size; the command bits of spaces in which a function got no address are set in
 * `lacking`. */
static void pci_assign_size(struct pci_bus *bus, struct pci_spaces *s, uint64_t size,
                            uint8_t lacking[256])
{
    for (unsigned devfn = 0; devfn < 256; devfn++) {
        const struct pci_function *fn = bus->function[devfn];

        for (unsigned n = 0; fn && n < PCI_BARS; n++) {
            const struct pci_bar *bar = &fn->bar[n];

            if (bar->kind == PCI_BAR_NONE || bar->size != size)
                continue;
            if (!pci_assign_bar(bus, s, devfn, n))
                lacking[devfn] |= bar->kind == PCI_BAR_IO ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
        }
    }
}

static void pci_assign_line(struct pci_bus *bus, unsigned devfn)
{
    unsigned pin = bus->function[devfn]->config[PCI_INTERRUPT_PIN];
    uint8_t irq = 0xff; /* unknown, [PCI 3.0 "Interrupt Line"] */

    if (pin == 0)
        return;
    if (bus->router.pic_irq)
        irq = bus->router.pic_irq(bus->router.owner, pci_pirq(bus, devfn >> 3, (pin - 1) & 3));
    pci_config_write(bus, devfn, PCI_INTERRUPT_LINE, irq, 1);
}

void pci_assign_resources(struct pci_bus *bus)
{
    struct pci_spaces s = {
        .io = { bus->io.base < ASSIGN_IO_FIRST ? ASSIGN_IO_FIRST : bus->io.base, bus->io.end },
        .mem32 = { bus->mem32.base, bus->mem32.end },
        .mem64 = { bus->mem64.base, bus->mem64.end },
    };
    uint8_t lacking[256] = { 0 };

    for (unsigned devfn = 0; devfn < 256; devfn++) {
        if (bus->function[devfn]) /* nothing decodes while addresses move */
            pci_config_write(bus, devfn, PCI_COMMAND, 0, 2);
    }
    for (unsigned power = 46; power >= 2; power--)
        pci_assign_size(bus, &s, BIT(power), lacking);
    for (unsigned devfn = 0; devfn < 256; devfn++) {
        if (!bus->function[devfn])
            continue;
        pci_assign_line(bus, devfn);
        pci_config_write(bus, devfn, PCI_COMMAND,
                         (PCI_COMMAND_IO | PCI_COMMAND_MEMORY) & ~lacking[devfn], 2);
    }
}
