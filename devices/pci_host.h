/* The memory controller hub of Q35 and its bus.
 *
 * Addresses below 4 GiB, as the board lays them out and ACPI tables must describe them
 * (_CRS of \_SB.PCI0, MCFG, motherboard resources):
 *
 *     PCI_ECAM_BASE    0xb0000000, 256 MiB   configuration space, buses 0 to 255: MCFG, and
 *                                            reserved in e820 and in a PNP0C02 device, or else
 *                                            Linux does not use it
 *     PCI_MEM32        0xc0000000-0xfebfffff memory BARs
 *                      0xfec00000-0xffffffff I/O APIC, HPET, RCBA, local APICs, firmware
 *     PCI_MEM64        pci_host_mem64_base() and PCI_MEM64_BYTES up: 64-bit memory BARs; above all
 *                      RAM, at a multiple of 1 GiB
 *     PCI_IO           0x0d00-0xffff         I/O BARs; configuration ports 0xcf8-0xcff are consumed
 *                                            by the bridge itself; bus numbers 0 to 255
 *
 * RAM below 4 GiB must end at or below PCI_ECAM_BASE. Interrupt routing: ich9_lpc.h. */
#pragma once
#include "devices/pci.h"

#define PCI_ECAM_BASE UINT64_C(0xb0000000)
#define PCI_ECAM_BYTES UINT64_C(0x10000000)
#define PCI_MEM32_BASE UINT64_C(0xc0000000)
#define PCI_MEM32_END UINT64_C(0xfec00000)
#define PCI_MEM64_BYTES UINT64_C(0x800000000)
#define PCI_IO_BASE UINT64_C(0x0d00)
#define PCI_IO_END UINT64_C(0x10000)

struct pci_host {
    struct pci_function fn; /* 00:00.0 */
    struct pci_bus bus;
    uint64_t ram_low, ram_high; /* bytes of RAM at 0 and at 4 GiB */

    /* state */
    uint32_t address; /* CONFIG_ADDRESS, port 0xcf8 */
    uint8_t rst_cnt;  /* reset control, port 0xcf9 */

    struct line reset; /* pulses to reset the machine */
    /* derived: where ECAM decodes; size 0: nowhere */
    uint64_t ecam_base, ecam_bytes;
};

extern const struct device_class pci_host_class;

/* ram_low: the bytes of RAM at 0; the others are at 4 GiB. */
struct device *pci_host_create(const char *id, struct device_host *host, uint64_t ram_low,
                               uint64_t ram_high);
/* For the cards: the address is valid from creation on, the bus once the bridge is realized. */
struct pci_bus *pci_host_bus(struct device *dev);
uint64_t pci_host_mem64_base(const struct device *dev);
/* What firmware does: enable ECAM at PCI_ECAM_BASE. */
void pci_host_firmware_setup(struct device *dev);
