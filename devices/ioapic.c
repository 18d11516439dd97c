/* The I/O APIC: 24 pins, version 20H (with EOI register), at FEC00000H. An interrupt leaves as a
 * write of data to an address, like any message-signalled one.
 * [Intel 82093AA data sheet], [ICH9 data sheet "Advanced Programmable Interrupt Controller"] */
#include "devices/ioapic.h"

#include "base/apic_regs.h"
#include "base/bits.h"
#include "devices/trace.h"

#define IOAPIC_BYTES 0x1000

enum { REG_SELECT = 0x00, REG_WINDOW = 0x10, REG_EOI = 0x40 };
enum { INDEX_ID = 0, INDEX_VERSION = 1, INDEX_ARBITRATION = 2, INDEX_ENTRIES = 0x10 };
enum { VERSION = 0x20 | (IOAPIC_PINS - 1) << 16, ID_WRITABLE = 0x0f000000 };

#define ENTRY_MASKED BIT(16)
#define ENTRY_LEVEL BIT(15)
#define ENTRY_REMOTE BIT(14) /* sent, and no EOI yet: level only */
#define ENTRY_LOGICAL BIT(11)
#define ENTRY_WRITABLE (BITS(63, 56) | BITS(16, 15) | BIT(13) | BITS(11, 0))

struct ioapic {
    struct device dev;
    uint8_t select;
    uint32_t id;
    uint32_t levels;             /* the pins */
    uint64_t entry[IOAPIC_PINS]; /* redirection table */
};

static const struct field ioapic_fields[] = {
    FIELD(struct ioapic, select, .reset = 0),
    FIELD(struct ioapic, id, .reset = IOAPIC_ID << 24),
    FIELD(struct ioapic, levels, .kept = true),
    FIELD_ARRAY(struct ioapic, entry, .reset = ENTRY_MASKED),
    { 0 },
};

static void ioapic_send(struct ioapic *a, unsigned n)
{
    const struct msi_port *msi = &a->dev.host->msi;
    uint64_t entry = a->entry[n];
    uint64_t address = APIC_DEFAULT_BASE | bits(entry, 63, 56) << 12 |
                       (entry & ENTRY_LOGICAL ? BIT(3) | BIT(2) : 0);
    uint32_t data = (uint32_t)(bits(entry, 10, 0) | APIC_LEVEL_ASSERT | (entry & ENTRY_LEVEL));

    trace_ioapic_send(a->dev.id, n, address, data);
    if (msi->send)
        msi->send(msi->owner, address, data);
}

/* a level-triggered pin interrupts while it is asserted, once for each EOI */
static void ioapic_service_level(struct ioapic *a, unsigned n)
{
    uint64_t waits = ENTRY_MASKED | ENTRY_REMOTE;

    if (!bit(a->levels, n) || (a->entry[n] & (ENTRY_LEVEL | waits)) != ENTRY_LEVEL)
        return;
    a->entry[n] |= ENTRY_REMOTE; /* before sending, which may be answered at once */
    ioapic_send(a, n);
}

void ioapic_irq(void *owner, unsigned n, bool level)
{
    struct ioapic *a = owner;
    bool rises;

    if (n >= IOAPIC_PINS)
        return;
    rises = level && !bit(a->levels, n);
    a->levels = (uint32_t)bits_set(a->levels, n, n, level);
    if (a->entry[n] & ENTRY_LEVEL)
        ioapic_service_level(a, n);
    else if (rises && !(a->entry[n] & ENTRY_MASKED)) /* a masked pin forgets its edges */
        ioapic_send(a, n);
}

void ioapic_eoi(void *owner, uint8_t vector)
{
    struct ioapic *a = owner;

    for (unsigned n = 0; n < IOAPIC_PINS; n++) {
        if (!(a->entry[n] & ENTRY_REMOTE) || bits(a->entry[n], 7, 0) != vector)
            continue;
        a->entry[n] &= ~ENTRY_REMOTE;
        ioapic_service_level(a, n);
    }
}

static uint32_t ioapic_get(const struct ioapic *a, unsigned index)
{
    unsigned n = (index - INDEX_ENTRIES) / 2;

    switch (index) {
    case INDEX_ID:
    case INDEX_ARBITRATION: /* loaded with the ID whenever that is written */ return a->id;
    case INDEX_VERSION: return VERSION;
    }
    if (index < INDEX_ENTRIES || n >= IOAPIC_PINS)
        return 0;
    return (uint32_t)(index & 1 ? a->entry[n] >> 32 : a->entry[n]);
}

static void ioapic_put(struct ioapic *a, unsigned index, uint32_t value)
{
    unsigned n = (index - INDEX_ENTRIES) / 2;
    uint64_t writable = ENTRY_WRITABLE & (index & 1 ? BITS(63, 32) : BITS(31, 0));
    uint64_t wide = index & 1 ? (uint64_t)value << 32 : value;

    trace_ioapic_write(a->dev.id, index, value);
    if (index == INDEX_ID)
        a->id = value & ID_WRITABLE;
    if (index < INDEX_ENTRIES || n >= IOAPIC_PINS)
        return;
    a->entry[n] = (a->entry[n] & ~writable) | (wide & writable);
    if (!(a->entry[n] & ENTRY_LEVEL))
        a->entry[n] &= ~ENTRY_REMOTE;
    ioapic_service_level(a, n);
}

static uint64_t ioapic_read(struct device *dev, uint64_t offset, unsigned size)
{
    struct ioapic *a = (struct ioapic *)dev;

    switch (offset) {
    case REG_SELECT: return a->select;
    case REG_WINDOW: return ioapic_get(a, a->select);
    default: return 0;
    }
}

static void ioapic_write(struct device *dev, uint64_t offset, uint64_t value, unsigned size)
{
    struct ioapic *a = (struct ioapic *)dev;

    switch (offset) {
    case REG_SELECT: a->select = (uint8_t)value; break;
    case REG_WINDOW:
        if (size == 4)
            ioapic_put(a, a->select, (uint32_t)value);
        break;
    case REG_EOI: ioapic_eoi(a, (uint8_t)value); break;
    }
}

static bool ioapic_realize(struct device *dev, struct err *e)
{
    bus_map(dev->host->bus, IOAPIC_BASE, IOAPIC_BYTES, "ioapic", &dev->ops, dev);
    return true;
}

static void ioapic_show(const struct device *dev, FILE *out)
{
    static const char *const modes[] = {
        "fixed", "lowest", "SMI", "?", "NMI", "INIT", "?", "ExtINT"
    };
    const struct ioapic *a = (const struct ioapic *)dev;

    for (unsigned n = 0; n < IOAPIC_PINS; n++) {
        uint64_t e = a->entry[n];

        fprintf(out, "pin %2u: %d vector %02x %-6s %s %s to %s %02x%s\n", n, bit(a->levels, n),
                (unsigned)bits(e, 7, 0), modes[bits(e, 10, 8)], e & ENTRY_LEVEL ? "level" : "edge",
                e & ENTRY_MASKED ? "masked" : "on", e & ENTRY_LOGICAL ? "logical" : "physical",
                (unsigned)bits(e, 63, 56), e & ENTRY_REMOTE ? ", waits for EOI" : "");
    }
}

const struct device_class ioapic_class = {
    .name = "ioapic",
    .title = "I/O APIC",
    .size = sizeof(struct ioapic),
    .version = 1,
    .fields = ioapic_fields,
    .realize = ioapic_realize,
    .show = ioapic_show,
    .read = ioapic_read,
    .write = ioapic_write,
    .sizes = SIZE_32,
};
