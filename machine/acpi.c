/* ACPI tables. [ACPI 6.4 "ACPI Software Programming Model"] The DSDT is machine/dsdt.asl. */
#include "machine/acpi.h"

#include <string.h>

#include "base/assert.h"
#include "devices/ich9_lpc.h"
#include "devices/pci_host.h"
#include "machine/board.h"
#include "machine/dsdt.h"

enum { TABLES_AT = 0xe0000, TABLES_END = 0xf0000 };

/* bytes being laid out at TABLES_AT */
struct tables {
    uint8_t bytes[TABLES_END - TABLES_AT];
    unsigned used;
};

static void put(struct tables *t, uint64_t v, unsigned size)
{
    ASSERT(t->used + size <= sizeof t->bytes);
    memcpy(t->bytes + t->used, &v, size);
    t->used += size;
}

static void put_bytes(struct tables *t, const void *bytes, unsigned count)
{
    ASSERT(t->used + count <= sizeof t->bytes);
    memcpy(t->bytes + t->used, bytes, count);
    t->used += count;
}

static void set_checksum(struct tables *t, unsigned start, unsigned count, unsigned at)
{
    uint8_t sum = 0;

    t->bytes[at] = 0;
    for (unsigned i = 0; i < count; i++)
        sum = (uint8_t)(sum + t->bytes[start + i]);
    t->bytes[at] = (uint8_t)-sum;
}

/* a table's header; length and checksum are filled in by table_end */
static unsigned table_begin(struct tables *t, const char *signature, uint8_t revision)
{
    unsigned start;

    t->used = (t->used + 15) & ~15u;
    start = t->used;
    put_bytes(t, signature, 4);
    put(t, 0, 4);
    put(t, revision, 1);
    put(t, 0, 1);
    put_bytes(t, "NIDUS NIDUSQ35", 14);
    put(t, 1, 4);
    put_bytes(t, "NIDU", 4);
    put(t, 1, 4);
    return start;
}

/* returns the table's physical address */
static uint64_t table_end(struct tables *t, unsigned start)
{
    uint32_t length = t->used - start;

    memcpy(t->bytes + start + 4, &length, 4);
    set_checksum(t, start, length, start + 9);
    return TABLES_AT + start;
}

/* a Generic Address Structure of I/O space */
static void put_gas_io(struct tables *t, uint64_t port, unsigned bits)
{
    put(t, 1, 1);
    put(t, bits, 1);
    put(t, 0, 1);
    put(t, bits == 8 ? 1 : bits == 16 ? 2 : 3, 1);
    put(t, port, 8);
}

/* the firmware's shared page: 64 bytes, no checksum */
static uint64_t put_facs(struct tables *t)
{
    unsigned start;

    t->used = (t->used + 63) & ~63u;
    start = t->used;
    put_bytes(t, "FACS", 4);
    put(t, 64, 4);
    t->used = start + 64;
    t->bytes[start + 32] = 2; /* version */
    return TABLES_AT + start;
}

static uint64_t put_fadt(struct tables *t, uint64_t facs, uint64_t dsdt)
{
    unsigned start = table_begin(t, "FACP", 3);

    put(t, facs, 4);
    put(t, dsdt, 4);
    put(t, 0, 1);
    put(t, 0, 1);           /* preferred profile: unspecified */
    put(t, 9, 2);           /* SCI_INT */
    put(t, 0xb2, 4);        /* SMI_CMD */
    put(t, 2, 1);           /* ACPI_ENABLE */
    put(t, 3, 1);           /* ACPI_DISABLE */
    put(t, 0, 2);           /* S4BIOS_REQ, PSTATE_CNT */
    put(t, ICH9_PMBASE, 4); /* PM1a_EVT */
    put(t, 0, 4);
    put(t, ICH9_PMBASE + 4, 4); /* PM1a_CNT */
    put(t, 0, 4);
    put(t, 0, 4);                  /* PM2_CNT */
    put(t, ICH9_PMBASE + 8, 4);    /* PM_TMR */
    put(t, ICH9_PMBASE + 0x20, 4); /* GPE0 */
    put(t, 0, 4);
    put(t, 4, 1); /* PM1_EVT_LEN */
    put(t, 2, 1); /* PM1_CNT_LEN */
    put(t, 0, 1);
    put(t, 4, 1);  /* PM_TMR_LEN */
    put(t, 16, 1); /* GPE0_LEN */
    put(t, 0, 3);
    put(t, 0xfff, 2); /* no C2 */
    put(t, 0xfff, 2); /* no C3 */
    put(t, 0, 6);
    put(t, 0, 2);    /* day and month alarm */
    put(t, 0x32, 1); /* century in CMOS 32H */
    put(t, 0x6, 2);  /* IAPC_BOOT_ARCH: 8042, no VGA */
    put(t, 0, 1);
    /* WBINVD, C1, no sleep button, RTC wake not fixed, 32-bit timer, reset register */
    put(t, 1 | 1 << 2 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 10, 4);
    put_gas_io(t, 0xcf9, 8);
    put(t, 0x0f, 1);
    put(t, 0, 3);
    put(t, facs, 8);
    put(t, dsdt, 8);
    put_gas_io(t, ICH9_PMBASE, 32);
    put_gas_io(t, 0, 0);
    put_gas_io(t, ICH9_PMBASE + 4, 16);
    put_gas_io(t, 0, 0);
    put_gas_io(t, 0, 0);
    put_gas_io(t, ICH9_PMBASE + 8, 32);
    put_gas_io(t, ICH9_PMBASE + 0x20, 128);
    put_gas_io(t, 0, 0);
    return table_end(t, start);
}

/* source override: ISA irq -> GSI; flags: 5 edge high, 0xd level high */
static void put_override(struct tables *t, unsigned irq, unsigned gsi, unsigned flags)
{
    put(t, 2, 1);
    put(t, 10, 1);
    put(t, 0, 1);
    put(t, irq, 1);
    put(t, gsi, 4);
    put(t, flags, 2);
}

static uint64_t put_madt(struct tables *t, unsigned cpus)
{
    unsigned start = table_begin(t, "APIC", 3);

    put(t, 0xfee00000, 4);
    put(t, 1, 4); /* there are 8259s */
    for (unsigned i = 0; i < cpus; i++) {
        put(t, 0, 1);
        put(t, 8, 1);
        put(t, i, 1); /* processor UID */
        put(t, i, 1); /* APIC ID */
        put(t, 1, 4);
    }
    put(t, 1, 1); /* I/O APIC */
    put(t, 12, 1);
    put(t, 0, 2);
    put(t, 0xfec00000, 4);
    put(t, 0, 4);
    put_override(t, 0, 2, 0);
    put_override(t, 9, 9, 0xd);
    put(t, 4, 1); /* NMI on LINT1 of all */
    put(t, 6, 1);
    put(t, 0xff, 1);
    put(t, 0, 2);
    put(t, 1, 1);
    return table_end(t, start);
}

static uint64_t put_hpet(struct tables *t)
{
    unsigned start = table_begin(t, "HPET", 1);

    put(t, 0x8086a201, 4);
    put(t, 0, 1); /* memory */
    put(t, 64, 1);
    put(t, 0, 2);
    put(t, 0xfed00000, 8);
    put(t, 0, 1);
    put(t, 0x80, 2); /* shortest tick that is safe in periodic mode */
    put(t, 0, 1);
    return table_end(t, start);
}

static uint64_t put_mcfg(struct tables *t)
{
    unsigned start = table_begin(t, "MCFG", 1);

    put(t, 0, 8);
    put(t, PCI_ECAM_BASE, 8);
    put(t, 0, 2);   /* segment */
    put(t, 0, 1);   /* first bus */
    put(t, 255, 1); /* last bus */
    put(t, 0, 4);
    return table_end(t, start);
}

static uint64_t put_list(struct tables *t, const char *signature, unsigned size,
                         const uint64_t *tables, unsigned count)
{
    unsigned start = table_begin(t, signature, 1);

    for (unsigned i = 0; i < count; i++)
        put(t, tables[i], size);
    return table_end(t, start);
}

uint64_t acpi_rsdp_address(const struct nidus *m)
{
    return TABLES_AT;
}

static void put_rsdp(struct tables *t, uint64_t rsdt, uint64_t xsdt)
{
    t->used = 0;
    put_bytes(t, "RSD PTR ", 8);
    put(t, 0, 1);
    put_bytes(t, "NIDUS ", 6);
    put(t, 2, 1);
    put(t, rsdt, 4);
    put(t, 36, 4);
    put(t, xsdt, 8);
    put(t, 0, 4);
    set_checksum(t, 0, 20, 8);
    set_checksum(t, 0, 36, 32);
}

void acpi_write_tables(struct nidus *m)
{
    struct tables t = { .used = 64 }; /* the RSDP comes first, when the others are placed */
    uint64_t facs, dsdt, rsdt, xsdt, list[4];
    unsigned used;

    facs = put_facs(&t);
    t.used = (t.used + 15) & ~15u;
    dsdt = TABLES_AT + t.used;
    put_bytes(&t, dsdt_aml, sizeof dsdt_aml);
    list[0] = put_fadt(&t, facs, dsdt);
    list[1] = put_madt(&t, m->cpu_count);
    list[2] = put_hpet(&t);
    list[3] = put_mcfg(&t);
    rsdt = put_list(&t, "RSDT", 4, list, 4);
    xsdt = put_list(&t, "XSDT", 8, list, 4);
    used = t.used;
    put_rsdp(&t, rsdt, xsdt);
    bus_write_bytes(m->bus, TABLES_AT, t.bytes, used);
}
