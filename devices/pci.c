/* PCI functions on a bus: configuration space with write masks, base address registers that move,
 * capabilities, INTx. [PCI Local Bus Specification 3.0 "Configuration Space"] */
#include "devices/pci.h"

#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "devices/trace.h"

void pci_bus_init(struct pci_bus *bus, struct device_host *host)
{
    memset(bus, 0, sizeof *bus);
    bus->host = host;
}

static uint32_t pci_load(const uint8_t *bytes, unsigned size)
{
    uint32_t v = 0;

    memcpy(&v, bytes, size);
    return v;
}

uint32_t pci_get(const struct pci_function *fn, unsigned reg, unsigned size)
{
    ASSERT(reg + size <= PCI_CONFIG_BYTES);
    return pci_load(fn->config + reg, size);
}

void pci_put(struct pci_function *fn, unsigned reg, uint32_t value, unsigned size)
{
    ASSERT(reg + size <= PCI_CONFIG_BYTES);
    memcpy(fn->config + reg, &value, size);
}

/* ---- base address registers ---- */

static bool pci_window_holds(const struct pci_window *w, uint64_t at, uint64_t size)
{
    return at >= w->base && at < w->end && size <= w->end - at;
}

/* Where the BAR's value and the command register let it decode. Software that sizes a BAR by
 * writing ones, or leaves it at zero, puts it outside the windows of the host bridge. */
static uint64_t pci_bar_wanted(const struct pci_function *fn, unsigned n)
{
    const struct pci_bar *bar = &fn->bar[n];
    const struct pci_bus *bus = fn->bus;
    uint32_t command = pci_get(fn, PCI_COMMAND, 2);
    uint64_t at = pci_get(fn, PCI_BAR0 + 4 * n, 4);
    bool inside;

    if (bar->kind == PCI_BAR_IO) {
        at &= ~UINT64_C(3);
        return command & PCI_COMMAND_IO && pci_window_holds(&bus->io, at, bar->size) ? at
                                                                                     : PCI_UNMAPPED;
    }
    at &= ~UINT64_C(15);
    if (bar->kind == PCI_BAR_MEM64)
        at |= (uint64_t)pci_get(fn, PCI_BAR0 + 4 * n + 4, 4) << 32;
    inside = pci_window_holds(&bus->mem32, at, bar->size) ||
             (bar->kind == PCI_BAR_MEM64 && pci_window_holds(&bus->mem64, at, bar->size));
    return command & PCI_COMMAND_MEMORY && inside ? at : PCI_UNMAPPED;
}

static void pci_bar_unmap(struct pci_function *fn, struct pci_bar *bar)
{
    if (bar->mapped_at == PCI_UNMAPPED)
        return;
    if (bar->kind == PCI_BAR_IO)
        ports_unmap(fn->bus->host->ports, (uint16_t)bar->mapped_at, (unsigned)bar->size, fn);
    else
        bus_unmap(fn->bus->host->bus, bar->mapped_at, bar->size, fn);
    bar->mapped_at = PCI_UNMAPPED;
}

static void pci_update_bars(struct pci_function *fn)
{
    for (unsigned n = 0; n < PCI_BARS; n++) {
        struct pci_bar *bar = &fn->bar[n];
        uint64_t wanted;

        if (bar->kind == PCI_BAR_NONE)
            continue;
        wanted = pci_bar_wanted(fn, n);
        if (wanted == bar->mapped_at)
            continue;
        pci_bar_unmap(fn, bar);
        bar->mapped_at = wanted;
        trace_pci_bar(fn->dev.id, n, wanted, bar->size);
        if (wanted == PCI_UNMAPPED)
            continue;
        if (bar->kind == PCI_BAR_IO)
            ports_map(fn->bus->host->ports, (uint16_t)wanted, (unsigned)bar->size, bar->name,
                      bar->ops, fn);
        else
            bus_map(fn->bus->host->bus, wanted, bar->size, bar->name, bar->ops, fn);
    }
}

/* ---- INTx ---- */

unsigned pci_pirq(const struct pci_bus *bus, unsigned slot, unsigned pin)
{
    if (bus->router.pirq)
        return bus->router.pirq(bus->router.owner, slot, pin) % PCI_PIRQS;
    return (slot + pin) % 4 + 4;
}

/* A PIRQ is the OR of the pins that are routed to it. */
void pci_drive_pirqs(struct pci_bus *bus)
{
    unsigned high = 0;

    for (unsigned devfn = 0; devfn < 256; devfn++) {
        const struct pci_function *fn = bus->function[devfn];

        if (!fn || !(pci_get(fn, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT) ||
            pci_get(fn, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE)
            continue;
        high |= 1U << pci_pirq(bus, devfn >> 3, (fn->config[PCI_INTERRUPT_PIN] - 1U) & 3);
    }
    for (unsigned i = 0; i < PCI_PIRQS; i++)
        line_set(&bus->pirq[i], high >> i & 1);
}

void pci_set_intx(struct pci_function *fn, bool level)
{
    uint32_t status = pci_get(fn, PCI_STATUS, 2);

    if (fn->config[PCI_INTERRUPT_PIN] == 0 || level == ((status & PCI_STATUS_INTERRUPT) != 0))
        return;
    trace_pci_intx(fn->dev.id, level);
    pci_put(fn, PCI_STATUS, status ^ PCI_STATUS_INTERRUPT, 2);
    pci_drive_pirqs(fn->bus);
}

/* ---- configuration cycles ---- */

uint32_t pci_config_read(struct pci_bus *bus, unsigned devfn, unsigned reg, unsigned size)
{
    struct pci_function *fn = bus->function[devfn & 0xff];
    uint32_t value = (uint32_t)BITS(8 * size - 1, 0);

    if (fn && reg + size <= PCI_CONFIG_BYTES) {
        if (fn->config_reading)
            fn->config_reading(fn, reg, size);
        value = pci_get(fn, reg, size);
        trace_pci_config_read(fn->dev.id, reg, size, value);
    }
    return value;
}

static bool pci_touches(unsigned reg, unsigned size, unsigned first, unsigned end)
{
    return reg < end && reg + size > first;
}

void pci_config_write(struct pci_bus *bus, unsigned devfn, unsigned reg, uint32_t value,
                      unsigned size)
{
    struct pci_function *fn = bus->function[devfn & 0xff];

    if (!fn || reg + size > PCI_CONFIG_BYTES)
        return;
    trace_pci_config_write(fn->dev.id, reg, size, value);
    for (unsigned i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)(value >> 8 * i), mask = fn->writable[reg + i];
        uint8_t *at = &fn->config[reg + i];

        *at = (uint8_t)((*at & ~mask) | (byte & mask));
        *at &= (uint8_t) ~(byte & fn->w1c[reg + i]);
    }
    if (pci_touches(reg, size, PCI_COMMAND, PCI_COMMAND + 2) ||
        pci_touches(reg, size, PCI_BAR0, PCI_BAR0 + 4 * PCI_BARS))
        pci_update_bars(fn);
    if (pci_touches(reg, size, PCI_COMMAND, PCI_COMMAND + 2))
        pci_drive_pirqs(bus);
    pci_messages_written(fn, reg, size);
    if (fn->config_written)
        fn->config_written(fn, reg, size);
}

/* ---- describing a function ---- */

void pci_set_register(struct pci_function *fn, unsigned reg, unsigned size, uint32_t reset,
                      uint32_t writable)
{
    ASSERT(reg + size <= PCI_CONFIG_BYTES);
    memcpy(fn->power_on + reg, &reset, size);
    memcpy(fn->writable + reg, &writable, size);
}

void pci_describe(struct pci_function *fn, const struct pci_identity *id)
{
    uint32_t command = PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR;

    pci_set_register(fn, PCI_VENDOR_ID, 2, id->vendor, 0);
    pci_set_register(fn, PCI_DEVICE_ID, 2, id->device, 0);
    if (id->pin)
        command |= PCI_COMMAND_INTX_DISABLE;
    pci_set_register(fn, PCI_COMMAND, 2, 0, command);
    pci_set_register(fn, PCI_REVISION, 4, id->revision | id->class_code << 8, 0);
    pci_set_register(fn, PCI_CACHE_LINE_SIZE, 1, 0, 0xff);
    pci_set_register(fn, PCI_HEADER_TYPE, 1, id->multifunction ? 0x80 : 0, 0);
    pci_set_register(fn, PCI_SUBSYSTEM_VENDOR_ID, 2, id->subsystem_vendor, 0);
    pci_set_register(fn, PCI_SUBSYSTEM_ID, 2, id->subsystem, 0);
    if (id->pin)
        pci_set_register(fn, PCI_INTERRUPT_LINE, 1, 0, 0xff);
    pci_set_register(fn, PCI_INTERRUPT_PIN, 1, id->pin, 0);
    fn->w1c[PCI_STATUS + 1] = PCI_STATUS_ERRORS >> 8;
    fn->driven[PCI_STATUS] = PCI_STATUS_INTERRUPT;
    fn->next_cap = PCI_HEADER_BYTES;
}

void pci_add_bar(struct pci_function *fn, unsigned n, enum pci_bar_kind kind, uint64_t size,
                 const char *what, const struct io_ops *ops)
{
    /* the low bits that tell the kind: I/O; 32-bit memory; 64-bit prefetchable memory */
    static const uint32_t low_bits[] = {
        [PCI_BAR_IO] = 0x1, [PCI_BAR_MEM32] = 0x0, [PCI_BAR_MEM64] = 0xc
    };
    struct pci_bar *bar = &fn->bar[n];

    ASSERT(n + (kind == PCI_BAR_MEM64) < PCI_BARS && (size & (size - 1)) == 0 && size >= 16);
    *bar = (struct pci_bar){ .kind = kind, .size = size, .ops = ops, .mapped_at = PCI_UNMAPPED };
    snprintf(bar->name, sizeof bar->name, "%s %s", fn->dev.id, what);
    pci_set_register(fn, PCI_BAR0 + 4 * n, 4, low_bits[kind], (uint32_t) ~(size - 1));
    if (kind == PCI_BAR_MEM64)
        pci_set_register(fn, PCI_BAR0 + 4 * n + 4, 4, 0, (uint32_t)(~(size - 1) >> 32));
    fn->writable[PCI_COMMAND] |= kind == PCI_BAR_IO ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
}

unsigned pci_add_capability(struct pci_function *fn, uint8_t id, unsigned size)
{
    unsigned at = fn->next_cap;

    ASSERT(at >= PCI_HEADER_BYTES && at + size <= PCI_CONFIG_BYTES);
    fn->power_on[at] = id;
    fn->power_on[fn->last_cap ? fn->last_cap + 1 : PCI_CAPABILITIES] = (uint8_t)at;
    fn->power_on[PCI_STATUS] |= PCI_STATUS_CAPABILITIES;
    fn->last_cap = at;
    fn->next_cap = (unsigned)align_up(at + size, 4); /* pointers are multiples of 4 */
    return at;
}

/* ---- life of a function ---- */

bool pci_plug(struct pci_function *fn, struct err *e)
{
    if (!fn->bus)
        return err_set(e, "%s: not on a PCI bus", fn->dev.id);
    if (fn->bus->function[fn->devfn])
        return err_set(e, "%s: PCI address %02x.%x is taken by %s; choose another", fn->dev.id,
                       fn->devfn >> 3, fn->devfn & 7, fn->bus->function[fn->devfn]->dev.id);
    fn->bus->function[fn->devfn] = fn;
    pci_reset(&fn->dev);
    return true;
}

void pci_unplug(struct pci_function *fn)
{
    if (!fn->bus || fn->bus->function[fn->devfn] != fn)
        return;
    for (unsigned n = 0; n < PCI_BARS; n++) {
        if (fn->bar[n].kind != PCI_BAR_NONE)
            pci_bar_unmap(fn, &fn->bar[n]);
    }
    pci_set_intx(fn, false);
    fn->bus->function[fn->devfn] = NULL;
}

void pci_reset(struct device *dev)
{
    struct pci_function *fn = (struct pci_function *)dev;

    memcpy(fn->config, fn->power_on, sizeof fn->config);
    pci_messages_reset(fn);
}

/* A restored image may come from anywhere: bits that nobody can change get their own value back. */
void pci_settle(struct device *dev)
{
    struct pci_function *fn = (struct pci_function *)dev;

    for (unsigned i = 0; i < PCI_CONFIG_BYTES; i++) {
        uint8_t free = fn->writable[i] | fn->w1c[i] | fn->driven[i];

        fn->config[i] = (uint8_t)((fn->config[i] & free) | (fn->power_on[i] & ~free));
    }
    if (fn->config[PCI_INTERRUPT_PIN] == 0)
        fn->config[PCI_STATUS] &= (uint8_t)~PCI_STATUS_INTERRUPT;
    pci_messages_settle(fn);
    if (fn->bus) {
        pci_update_bars(fn);
        pci_drive_pirqs(fn->bus);
    }
}

void pci_show(const struct device *dev, FILE *out)
{
    static const char *const kinds[] = { "", "I/O", "memory", "64-bit memory" };
    const struct pci_function *fn = (const struct pci_function *)dev;
    unsigned pin = fn->config[PCI_INTERRUPT_PIN];

    fprintf(out, "PCI 00:%02x.%x %04x:%04x, I/O %s, memory %s, bus master %s\n", fn->devfn >> 3,
            fn->devfn & 7, pci_get(fn, PCI_VENDOR_ID, 2), pci_get(fn, PCI_DEVICE_ID, 2),
            fn->config[PCI_COMMAND] & PCI_COMMAND_IO ? "on" : "off",
            fn->config[PCI_COMMAND] & PCI_COMMAND_MEMORY ? "on" : "off",
            pci_is_master(fn) ? "on" : "off");
    for (unsigned n = 0; n < PCI_BARS; n++) {
        const struct pci_bar *bar = &fn->bar[n];

        if (bar->kind == PCI_BAR_NONE)
            continue;
        fprintf(out, "BAR %u: %s, %" PRIu64 " bytes", n, kinds[bar->kind], bar->size);
        if (bar->mapped_at == PCI_UNMAPPED)
            fprintf(out, ", not decoded\n");
        else
            fprintf(out, " at %#" PRIx64 "\n", bar->mapped_at);
    }
    if (pin && fn->bus)
        fprintf(out, "INT%c on PIRQ%c, %s\n", (int)('A' + (pin - 1) % 4),
                (int)('A' + pci_pirq(fn->bus, fn->devfn >> 3, (pin - 1) & 3)),
                fn->config[PCI_STATUS] & PCI_STATUS_INTERRUPT ? "asserted" : "idle");
    if (fn->messages.msix_cap)
        fprintf(out, "MSI-X: %u vectors, %s, pending %#" PRIx64 "\n", fn->messages.msix_vectors,
                pci_uses_messages(fn) ? "in use" : "off", fn->msix_pending);
}
