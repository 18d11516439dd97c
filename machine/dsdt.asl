/* The DSDT of nidus's Q35: PCI root with its windows and interrupt routing, the LPC bridge's legacy
 * devices, and soft-off. Compiled by iasl when nidus is built. The numbers are those of
 * devices/pci_host.h and devices/ich9_lpc.h. */
DefinitionBlock ("", "DSDT", 2, "NIDUS ", "NIDUSQ35", 1)
{
    Name (PICM, Zero)
    Method (_PIC, 1, NotSerialized)
    {
        PICM = Arg0
    }

    Name (\_S5, Package () { Zero, Zero, Zero, Zero })

    Scope (\_SB)
    {
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A08"))
            Name (_CID, EisaId ("PNP0A03"))
            Name (_ADR, Zero)
            Name (_UID, Zero)
            Name (_CRS, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
                    0x0000, 0x0000, 0x00FF, 0x0000, 0x0100)
                IO (Decode16, 0x0CF8, 0x0CF8, 0x01, 0x08)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0x0000, 0x0000, 0x0CF7, 0x0000, 0x0CF8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0x0000, 0x0D00, 0xFFFF, 0x0000, 0xF300)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadWrite,
                    0x00000000, 0x000A0000, 0x000BFFFF, 0x00000000, 0x00020000)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                    0x00000000, 0xC0000000, 0xFEBFFFFF, 0x00000000, 0x3EC00000)
            })

            /* The operating system may have native PCI Express control of nothing: no hot plug,
             * no AER, no PME. */
            Method (_OSC, 4, NotSerialized)
            {
                CreateDWordField (Arg3, Zero, STS)
                If (Arg0 == ToUUID ("33db4d5b-1ff7-401c-9657-7441c03dd766"))
                {
                    CreateDWordField (Arg3, 8, CTRL)
                    CTRL &= Zero
                    If (Arg1 != One)
                    {
                        STS |= 0x08
                    }
                    Return (Arg3)
                }
                STS |= 0x04
                Return (Arg3)
            }

            /* slots 0 to 24 and 30 rotate over PIRQ E to H; 25 to 29 and 31 have A to D */
            Method (GSIE, 2, NotSerialized) /* slot, pin */
            {
                If ((Arg0 <= 24) || (Arg0 == 30))
                {
                    Return (20 + ((Arg0 + Arg1) & 3))
                }
                Return (16 + Arg1)
            }

            /* built once: 32 slots by 4 pins */
            Name (PRTA, Package (128) {})
            Name (PRTD, Zero)
            Method (_PRT, 0, Serialized)
            {
                If (PRTD == Zero)
                {
                    Local0 = Zero
                    While (Local0 < 128)
                    {
                        Local1 = Package (4) { Zero, Zero, Zero, Zero }
                        Local1 [0] = (((Local0 >> 2) << 16) | 0xFFFF)
                        Local1 [1] = (Local0 & 3)
                        Local1 [2] = Zero
                        Local1 [3] = GSIE (Local0 >> 2, Local0 & 3)
                        PRTA [Local0] = Local1
                        Local0++
                    }
                    PRTD = One
                }
                Return (PRTA)
            }

            /* what the chipset decodes outside PCI's windows */
            Device (MBRS)
            {
                Name (_HID, EisaId ("PNP0C02"))
                Name (_UID, One)
                Name (_CRS, ResourceTemplate ()
                {
                    Memory32Fixed (ReadWrite, 0xB0000000, 0x10000000)
                    Memory32Fixed (ReadWrite, 0xFED1C000, 0x00004000)
                    IO (Decode16, 0x0600, 0x0600, 0x01, 0x80)
                })
            }

            Device (LPC)
            {
                Name (_ADR, 0x001F0000)

                Device (RTC)
                {
                    Name (_HID, EisaId ("PNP0B00"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x0070, 0x0070, 0x01, 0x08)
                        IRQNoFlags () { 8 }
                    })
                }
                Device (KBD)
                {
                    Name (_HID, EisaId ("PNP0303"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x0060, 0x0060, 0x01, 0x01)
                        IO (Decode16, 0x0064, 0x0064, 0x01, 0x01)
                        IRQNoFlags () { 1 }
                    })
                }
                Device (MOU)
                {
                    Name (_HID, EisaId ("PNP0F13"))
                    Name (_CRS, ResourceTemplate () { IRQNoFlags () { 12 } })
                }
                Device (COM1)
                {
                    Name (_HID, EisaId ("PNP0501"))
                    Name (_UID, One)
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x03F8, 0x03F8, 0x00, 0x08)
                        IRQNoFlags () { 4 }
                    })
                }
                Device (HPET)
                {
                    Name (_HID, EisaId ("PNP0103"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        Memory32Fixed (ReadOnly, 0xFED00000, 0x00000400)
                    })
                }
                Device (FWCF)
                {
                    Name (_HID, "QEMU0002")
                    Name (_STA, 0x0B)
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x0510, 0x0510, 0x01, 0x0C)
                    })
                }
            }
        }
    }
}
