/* RAM as Q35 lays it out, and the map that firmware would report for it. */
#include "devices/pci_host.h"
#include "machine/load.h"

#define MIB UINT64_C(0x100000)

/* As QEMU does: 2 GiB below 4 GiB, or up to the configuration space where that takes all of it. */
uint64_t memory_low(uint64_t ram)
{
    if (ram <= PCI_ECAM_BASE)
        return ram;
    return UINT64_C(0x80000000);
}

size_t memory_map(const struct nidus *m, struct memory_range *out, size_t max)
{
    uint64_t low = memory_low(m->config.ram), high = m->config.ram - low;
    const struct memory_range all[] = {
        { 0, 0x9fc00, MEMORY_RAM },
        { 0x9fc00, 0x400, MEMORY_RESERVED }, /* extended BIOS data */
        { 0xe0000, 0x20000, MEMORY_RESERVED },
        { MIB, low - MIB, MEMORY_RAM },
        { PCI_ECAM_BASE, PCI_ECAM_BYTES, MEMORY_RESERVED },
        { 0xfed1c000, 0x4000, MEMORY_RESERVED }, /* RCBA */
        { UINT64_C(0x100000000), high, MEMORY_RAM },
    };
    size_t n = 0;

    for (size_t i = 0; i < sizeof all / sizeof all[0] && n < max; i++) {
        if (all[i].size)
            out[n++] = all[i];
    }
    return n;
}
