/* Message-signalled interrupts of PCI functions: the MSI and MSI-X capabilities.
 * [PCI Local Bus Specification 3.0 "Message Signaled Interrupts"] */
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "devices/dma.h"
#include "devices/pci.h"
#include "devices/trace.h"

/* MSI capability with 64-bit address and mask bits; offsets from its start */
enum {
    MSI_CONTROL = 2, /* 16 bits */
    MSI_ADDRESS = 4, /* 64 bits */
    MSI_DATA = 12,   /* 16 bits */
    MSI_MASK = 16,
    MSI_PENDING = 20,
    MSI_BYTES = 24,
    MSI_ENABLE = 1 << 0,
    MSI_64_BIT = 1 << 7,
    MSI_MASKABLE = 1 << 8,
};

/* MSI-X capability, and the BAR that pci_add_msix makes: table, then pending bits */
enum {
    MSIX_CONTROL = 2, /* 16 bits */
    MSIX_TABLE = 4,
    MSIX_PBA = 8,
    MSIX_BYTES = 12,
    MSIX_MASK_ALL = 1 << 14,
    MSIX_ENABLE = 1 << 15,
    MSIX_BAR_BYTES = 4096,
    MSIX_PBA_OFFSET = 2048,
};

/* a table entry, in 32-bit units */
enum { ENTRY_ADDRESS, ENTRY_ADDRESS_HIGH, ENTRY_DATA, ENTRY_CONTROL, ENTRY_UNITS };
enum { ENTRY_MASKED = 1 };

_Static_assert(PCI_MSIX_MAX * 4 * ENTRY_UNITS <= MSIX_PBA_OFFSET, "the table ends before the PBA");
_Static_assert(PCI_MSIX_MAX <= 64, "msix_pending is one 64-bit word");

static uint32_t pci_msi_control(const struct pci_function *fn)
{
    return fn->messages.msi_cap ? pci_get(fn, fn->messages.msi_cap + MSI_CONTROL, 2) : 0;
}

static uint32_t pci_msix_control(const struct pci_function *fn)
{
    return fn->messages.msix_cap ? pci_get(fn, fn->messages.msix_cap + MSIX_CONTROL, 2) : 0;
}

bool pci_uses_messages(const struct pci_function *fn)
{
    return pci_msix_control(fn) & MSIX_ENABLE || pci_msi_control(fn) & MSI_ENABLE;
}

/* A message is a memory write by the function: it needs bus mastering, and reaches the local
 * APICs only at their addresses; software that programs another one gets a write to RAM. */
static void pci_emit(struct pci_function *fn, uint64_t address, uint32_t data)
{
    struct device_host *host = fn->bus->host;

    trace_pci_message(fn->dev.id, address, data, pci_is_master(fn));
    if (!pci_is_master(fn))
        return;
    if (address >> 20 != 0xfee)
        dma_write(host->bus, address, &data, sizeof data);
    else if (host->msi.send)
        host->msi.send(host->msi.owner, address, data);
}

/* ---- MSI ---- */

void pci_add_msi(struct pci_function *fn)
{
    unsigned at = pci_add_capability(fn, PCI_CAP_MSI, MSI_BYTES);

    fn->messages.msi_cap = (uint8_t)at;
    pci_set_register(fn, at + MSI_CONTROL, 2, MSI_64_BIT | MSI_MASKABLE, MSI_ENABLE);
    pci_set_register(fn, at + MSI_ADDRESS, 4, 0, 0xfffffffc);
    pci_set_register(fn, at + MSI_ADDRESS + 4, 4, 0, 0xffffffff);
    pci_set_register(fn, at + MSI_DATA, 2, 0, 0xffff);
    pci_set_register(fn, at + MSI_MASK, 4, 0, 1);
    fn->driven[at + MSI_PENDING] = 1;
}

static void pci_msi_send(struct pci_function *fn)
{
    unsigned at = fn->messages.msi_cap;
    uint64_t address = pci_get(fn, at + MSI_ADDRESS, 4) |
                       (uint64_t)pci_get(fn, at + MSI_ADDRESS + 4, 4) << 32;
    bool masked = fn->config[at + MSI_MASK] & 1;

    fn->config[at + MSI_PENDING] = masked;
    if (!masked)
        pci_emit(fn, address, pci_get(fn, at + MSI_DATA, 2));
}

/* ---- MSI-X ---- */

static bool pci_msix_masked(const struct pci_function *fn, unsigned vector)
{
    return pci_msix_control(fn) & MSIX_MASK_ALL ||
           fn->msix_table[vector * ENTRY_UNITS + ENTRY_CONTROL] & ENTRY_MASKED;
}

static void pci_msix_send(struct pci_function *fn, unsigned vector)
{
    const uint32_t *entry = &fn->msix_table[vector * ENTRY_UNITS];

    if (pci_msix_masked(fn, vector)) {
        fn->msix_pending |= BIT(vector);
        return;
    }
    fn->msix_pending &= ~BIT(vector);
    pci_emit(fn, (entry[ENTRY_ADDRESS] & ~UINT32_C(3)) | (uint64_t)entry[ENTRY_ADDRESS_HIGH] << 32,
             entry[ENTRY_DATA]);
}

/* Messages that waited for a mask bit go out when it is cleared. */
static void pci_msix_flush(struct pci_function *fn)
{
    if (!(pci_msix_control(fn) & MSIX_ENABLE))
        return;
    for (unsigned vector = 0; vector < fn->messages.msix_vectors; vector++) {
        if (bit(fn->msix_pending, vector) && !pci_msix_masked(fn, vector))
            pci_msix_send(fn, vector);
    }
}

static uint64_t pci_msix_read(void *owner, uint64_t offset, unsigned size)
{
    const struct pci_function *fn = owner;
    uint8_t page[MSIX_BAR_BYTES + 8] = { 0 };
    uint64_t value = 0;

    if (offset >= MSIX_BAR_BYTES)
        return 0;
    if (offset < MSIX_PBA_OFFSET)
        memcpy(page, fn->msix_table, fn->messages.msix_vectors * 4 * ENTRY_UNITS);
    else
        memcpy(page + MSIX_PBA_OFFSET, &fn->msix_pending, sizeof fn->msix_pending);
    memcpy(&value, page + offset, size);
    return value;
}

/* Software writes aligned doublewords or quadwords, anything else has no defined effect. */
static void pci_msix_write(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
    struct pci_function *fn = owner;

    if (size < 4 || offset % 4 != 0)
        return;
    for (unsigned i = 0; i < size / 4; i++) {
        uint64_t unit = offset / 4 + i;

        if (unit >= (uint64_t)fn->messages.msix_vectors * ENTRY_UNITS)
            return;
        fn->msix_table[unit] = (uint32_t)(value >> 32 * i);
        if (unit % ENTRY_UNITS == ENTRY_CONTROL)
            fn->msix_table[unit] &= ENTRY_MASKED;
    }
    pci_msix_flush(fn);
}

static const struct io_ops pci_msix_ops = { .read = pci_msix_read,
                                            .write = pci_msix_write,
                                            .sizes = SIZE_32 | SIZE_64 };

void pci_add_msix(struct pci_function *fn, unsigned bar, unsigned vectors)
{
    unsigned at = pci_add_capability(fn, PCI_CAP_MSIX, MSIX_BYTES);

    ASSERT(vectors >= 1 && vectors <= PCI_MSIX_MAX);
    fn->messages.msix_cap = (uint8_t)at;
    fn->messages.msix_vectors = vectors;
    pci_set_register(fn, at + MSIX_CONTROL, 2, vectors - 1, MSIX_ENABLE | MSIX_MASK_ALL);
    pci_set_register(fn, at + MSIX_TABLE, 4, bar, 0);
    pci_set_register(fn, at + MSIX_PBA, 4, MSIX_PBA_OFFSET | bar, 0);
    pci_add_bar(fn, bar, PCI_BAR_MEM32, MSIX_BAR_BYTES, "MSI-X", &pci_msix_ops);
}

/* ---- both ---- */

void pci_send_message(struct pci_function *fn, unsigned vector)
{
    if (pci_msix_control(fn) & MSIX_ENABLE) {
        if (vector < fn->messages.msix_vectors)
            pci_msix_send(fn, vector);
    } else if (pci_msi_control(fn) & MSI_ENABLE) {
        pci_msi_send(fn);
    }
}

void pci_messages_written(struct pci_function *fn, unsigned reg, unsigned size)
{
    unsigned msi = fn->messages.msi_cap, msix = fn->messages.msix_cap;

    if (msix && reg < msix + MSIX_BYTES && reg + size > msix)
        pci_msix_flush(fn);
    if (msi && reg < msi + MSI_BYTES && reg + size > msi && pci_msi_control(fn) & MSI_ENABLE &&
        fn->config[msi + MSI_PENDING] & 1)
        pci_msi_send(fn);
}

void pci_messages_reset(struct pci_function *fn)
{
    memset(fn->msix_table, 0, sizeof fn->msix_table);
    for (unsigned vector = 0; vector < fn->messages.msix_vectors; vector++)
        fn->msix_table[vector * ENTRY_UNITS + ENTRY_CONTROL] = ENTRY_MASKED;
    fn->msix_pending = 0;
}

void pci_messages_settle(struct pci_function *fn)
{
    unsigned used = fn->messages.msix_vectors;

    for (unsigned vector = 0; vector < used; vector++)
        fn->msix_table[vector * ENTRY_UNITS + ENTRY_CONTROL] &= ENTRY_MASKED;
    memset(&fn->msix_table[used * ENTRY_UNITS], 0,
           (PCI_MSIX_MAX - used) * ENTRY_UNITS * sizeof fn->msix_table[0]);
    fn->msix_pending &= used ? BITS(used - 1, 0) : 0;
}
