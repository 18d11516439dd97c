/* The LPC bridge of ICH9, 00:1f.0: where PCI interrupts, the ACPI interrupt and the I/O of the
 * power-management block find their way.
 *
 * Interrupt routing, which _PRT and the MADT must describe:
 *
 *     pin x of slot s, 0 to 24 and 30    PIRQ E + (s + x) mod 4, x = 0 for INTA: wired
 *     pin x of slot 25 to 29 and 31      PIRQ A to D by the registers D25IR to D31IR of the
 *                                        chipset configuration space; after reset PIRQ A + x
 *     with I/O APICs (_PIC(1))           PIRQ A to H is global system interrupt 16 to 23, level;
 *                                        the usual polarity of PCI, active low
 *     without (_PIC(0))                  PIRQ A to H goes to the 8259 input that PIRQx_ROUT
 *                                        (configuration 0x60-0x63, 0x68-0x6b) names; bit 7: none
 *     SCI                                by ACPI_CNTL, 9 unless changed; level (MADT interrupt
 *                                        source override 9 -> 9, active high)
 *
 * so _PRT with APICs is: pin x of slot s -> GSI 20 + (s + x) mod 4 for slots 0 to 24 and 30, GSI
 * 16 + x for the other ones. A line of this model that is high is asserted, whatever polarity the
 * I/O APIC is programmed for. */
#pragma once
#include "devices/pci.h"

#define ICH9_LPC_DEVFN PCI_DEVFN(0x1f, 0)
#define ICH9_PMBASE 0x600    /* what ich9_lpc_firmware_setup programs; FADT */
#define ICH9_RCBA 0xfed1c000 /* 16 KiB */

enum { ICH9_GSIS = 24, ICH9_PIC_IRQS = 16 };

struct ich9_lpc {
    struct pci_function fn;
    /* state: chipset configuration registers 0x3100 to 0x315f, interrupt pins and routes */
    uint8_t interrupts[0x60];

    bool sci; /* input: driven by ich9_lpc_set_sci */
    /* to the 8259s: PIRQs and SCI only; if other parts share an input, the board must OR them */
    struct line pic[ICH9_PIC_IRQS];
    struct line gsi[ICH9_GSIS]; /* to the I/O APIC: 16 to 23 and the SCI's */
    /* PMBASE or ACPI_CNTL says that the power-management block (128 ports) is now here; may be
     * NULL. Called by settle too. */
    void (*pm_moved)(void *owner, uint16_t base, bool enabled);
    void *pm_owner;
    uint64_t rcba; /* derived: where the chipset configuration registers decode; 0: nowhere */
};

extern const struct device_class ich9_lpc_class;

struct device *ich9_lpc_create(const char *id, struct device_host *host, struct pci_bus *bus);
/* the power-management block's interrupt (a line's set function) */
void ich9_lpc_set_sci(void *owner, unsigned n, bool level);
/* What firmware does: PMBASE, ACPI, RCBA, PIRQs on IRQ 10 and 11, these two level-triggered. Before
 * pci_assign_resources. */
void ich9_lpc_firmware_setup(struct device *dev);
