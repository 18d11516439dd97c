/* Delivery of interrupt messages: destination modes are the receivers' affair (lapic.c), which of
 * them gets a message with lowest priority is decided here.
 * [SDM 3A "Determining IPI Destination"], [SDM 3A "Message Signalled Interrupts"] */
#include "devices/apic_bus.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/bits.h"
#include "devices/ioapic.h"
#include "devices/lapic.h"

struct apic_bus {
    struct bus *memory;
    struct device **lapics;
    size_t lapic_count;
    struct device **ioapics;
    size_t ioapic_count;
};

struct apic_bus *apic_bus_create(struct bus *memory)
{
    struct apic_bus *b = calloc(1, sizeof *b);

    ASSERT(b);
    b->memory = memory;
    return b;
}

void apic_bus_destroy(struct apic_bus *b)
{
    if (!b)
        return;
    free(b->lapics);
    free(b->ioapics);
    free(b);
}

static void apic_bus_append(struct device ***list, size_t *count, struct device *dev)
{
    struct device **longer = realloc(*list, (*count + 1) * sizeof *longer);

    ASSERT(longer);
    longer[*count] = dev;
    *list = longer;
    ++*count;
}

void apic_bus_add_lapic(struct apic_bus *b, struct device *lapic)
{
    apic_bus_append(&b->lapics, &b->lapic_count, lapic);
}

void apic_bus_add_ioapic(struct apic_bus *b, struct device *ioapic)
{
    apic_bus_append(&b->ioapics, &b->ioapic_count, ioapic);
}

static void apic_bus_deliver_lowest(struct apic_bus *b, const struct apic_message *m)
{
    struct device *best = NULL;

    for (size_t i = 0; i < b->lapic_count; i++) {
        struct device *l = b->lapics[i];

        if (!lapic_is_destination(l, m) || !lapic_is_enabled(l))
            continue;
        if (!best || lapic_priority(l) < lapic_priority(best))
            best = l;
    }
    if (best)
        lapic_accept(best, APIC_FIXED, m->vector, m->level);
}

void apic_bus_deliver(struct apic_bus *b, const struct apic_message *m)
{
    if (m->mode == APIC_LOWEST) {
        apic_bus_deliver_lowest(b, m);
        return;
    }
    for (size_t i = 0; i < b->lapic_count; i++) {
        if (lapic_is_destination(b->lapics[i], m))
            lapic_accept(b->lapics[i], m->mode, m->vector, m->level);
    }
}

void apic_bus_deliver_all(struct apic_bus *b, const struct apic_message *m, struct device *from,
                          bool self_too)
{
    for (size_t i = 0; i < b->lapic_count; i++) {
        if (self_too || b->lapics[i] != from)
            lapic_accept(b->lapics[i], m->mode, m->vector, m->level);
    }
}

void apic_bus_eoi(struct apic_bus *b, uint8_t vector)
{
    for (size_t i = 0; i < b->ioapic_count; i++)
        ioapic_eoi(b->ioapics[i], vector);
}

void apic_bus_msi(void *owner, uint64_t address, uint32_t data)
{
    struct apic_bus *b = owner;
    struct apic_message m = {
        .dest = (uint32_t)bits(address, 19, 12),
        .vector = (uint8_t)data,
        .mode = (enum apic_delivery)bits(data, 10, 8),
        .logical = bit(address, 2),
        .level = (data & APIC_TRIGGER_LEVEL) != 0,
    };

    if (bits(address, 63, 20) == APIC_DEFAULT_BASE >> 20) {
        if (!m.level || (data & APIC_LEVEL_ASSERT)) /* a de-assertion means nothing */
            apic_bus_deliver(b, &m);
    } else if (b->memory) {
        bus_write_bytes(b->memory, address, &data, sizeof data); /* a write like any other */
    }
}
