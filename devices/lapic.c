/* The local APIC of a logical processor: acceptance and priority of interrupts, IPIs, local
 * interrupts, xAPIC and x2APIC mode. Registers are in lapic_regs.c, the timer in lapic_timer.c.
 * [SDM 3A "Advanced Programmable Interrupt Controller (APIC)"]
 *
 * Version 15H with six LVT entries (no CMCI) and suppression of EOI broadcasts; no focus processor
 * checking. Messages arrive at once, so a delivery status is always idle. */
#include "devices/lapic.h"

#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "devices/lapic_state.h"
#include "devices/trace.h"

/* After reset and INIT alike, but IA32_APIC_BASE and the ID, which INIT leaves alone.
 * [SDM 3A "Local APIC State After Power-Up or Reset"] */
const struct field lapic_fields[] = {
    FIELD(struct lapic, base, .kept = true),
    FIELD(struct lapic, xapic_id, .kept = true),
    FIELD(struct lapic, tpr, .reset = 0),
    FIELD(struct lapic, ldr, .reset = 0),
    FIELD(struct lapic, dfr, .reset = 0xffffffff),
    FIELD(struct lapic, svr, .reset = 0xff),
    FIELD_ARRAY(struct lapic, isr, .reset = 0),
    FIELD_ARRAY(struct lapic, tmr, .reset = 0),
    FIELD_ARRAY(struct lapic, irr, .reset = 0),
    FIELD(struct lapic, esr, .reset = 0),
    FIELD(struct lapic, errors, .reset = 0),
    FIELD(struct lapic, icr_low, .reset = 0),
    FIELD(struct lapic, icr_high, .reset = 0),
    FIELD_ARRAY(struct lapic, lvt, .reset = APIC_LVT_MASKED),
    FIELD(struct lapic, timer_initial, .reset = 0),
    FIELD(struct lapic, timer_divide, .reset = 0),
    FIELD(struct lapic, timer_running, .reset = 0),
    FIELD(struct lapic, timer_origin, .reset = 0),
    FIELD(struct lapic, tsc_deadline, .reset = 0),
    FIELD_ARRAY(struct lapic, lint, .kept = true),
    FIELD(struct lapic, extint, .reset = 0),
    { 0 },
};

/* the highest vector in a set of 256, or -1 */
static int lapic_highest(const uint32_t set[8])
{
    for (int i = 7; i >= 0; i--) {
        if (set[i])
            return 32 * i + 31 - __builtin_clz(set[i]);
    }
    return -1;
}

static void lapic_assign(uint32_t set[8], uint8_t vector, bool value)
{
    set[vector / 32] = (uint32_t)bits_set(set[vector / 32], vector % 32, vector % 32, value);
}

static bool lapic_has(const uint32_t set[8], uint8_t vector)
{
    return bit(set[vector / 32], vector % 32);
}

/* [SDM 3A "Task and Processor Priorities"] */
uint8_t lapic_ppr(const struct lapic *l)
{
    int served = lapic_highest(l->isr);

    if (served < 0 || (unsigned)served >> 4 <= (l->tpr & 0xff) >> 4)
        return (uint8_t)l->tpr;
    return (uint8_t)(served & 0xf0);
}

/* the vector that the processor would get now, or -1 */
static int lapic_deliverable(const struct lapic *l)
{
    int wanted = lapic_highest(l->irr);

    return wanted >= 0 && wanted >> 4 > lapic_ppr(l) >> 4 ? wanted : -1;
}

/* The 8259s want an INTA cycle: through LINT0, which is INTR itself while the APIC is off, or by a
 * message of an I/O APIC. */
static bool lapic_wants_extint(const struct lapic *l)
{
    uint32_t lvt = l->lvt[LVT_LINT0];

    if (!(l->base & APIC_BASE_EN))
        return l->lint[0];
    return l->extint || (l->lint[0] && !(lvt & APIC_LVT_MASKED) && bits(lvt, 10, 8) == APIC_EXTINT);
}

void lapic_update(struct lapic *l)
{
    bool intr = lapic_wants_extint(l) || ((l->base & APIC_BASE_EN) && lapic_deliverable(l) >= 0);

    if (intr == l->intr)
        return;
    l->intr = intr;
    if (l->client.set_intr)
        l->client.set_intr(l->client.owner, intr);
}

static int lapic_acknowledge(void *owner)
{
    struct lapic *l = owner;
    int vector = -1;

    if (lapic_wants_extint(l)) {
        l->extint = 0;
        if (l->config.extint)
            vector = l->config.extint(l->config.extint_owner);
    } else if (l->base & APIC_BASE_EN) {
        vector = lapic_deliverable(l);
        if (vector >= 0) {
            lapic_assign(l->irr, (uint8_t)vector, false);
            lapic_assign(l->isr, (uint8_t)vector, true);
        } else if (lapic_highest(l->irr) >= 0) { /* the priority has risen in between */
            vector = l->svr & 0xff;
        }
    }
    trace_lapic_ack(l->dev.id, vector);
    lapic_update(l);
    return vector;
}

void lapic_error(struct lapic *l, uint32_t error)
{
    uint32_t lvt = l->lvt[LVT_ERROR];
    bool news = error & ~l->errors;

    l->errors |= error;
    if (!news || (lvt & APIC_LVT_MASKED) || (lvt & 0xff) < 16)
        return;
    lapic_assign(l->tmr, (uint8_t)lvt, false);
    lapic_assign(l->irr, (uint8_t)lvt, true);
    lapic_update(l);
}

static void lapic_accept_fixed(struct lapic *l, uint8_t vector, bool level)
{
    if (vector < 16) {
        lapic_error(l, APIC_ESR_RECEIVE_VECTOR);
        return;
    }
    lapic_assign(l->tmr, vector, level);
    lapic_assign(l->irr, vector, true);
    lapic_update(l);
}

/* what the processor gets without going through IRR */
static void lapic_signal(struct lapic *l, void (*signal)(void *owner))
{
    if (signal)
        signal(l->client.owner);
}

void lapic_accept(struct device *dev, enum apic_delivery mode, uint8_t vector, bool level)
{
    struct lapic *l = (struct lapic *)dev;

    if (!(l->base & APIC_BASE_EN))
        return;
    trace_lapic_accept(dev->id, mode, vector, level);
    switch (mode) {
    case APIC_FIXED:
    case APIC_LOWEST:
        if (l->svr & APIC_SVR_ENABLE)
            lapic_accept_fixed(l, vector, level);
        break;
    case APIC_SMI: lapic_signal(l, l->client.smi); break;
    case APIC_NMI: lapic_signal(l, l->client.nmi); break;
    case APIC_INIT: lapic_signal(l, l->client.init); break;
    case APIC_SIPI:
        if (l->client.sipi)
            l->client.sipi(l->client.owner, vector);
        break;
    case APIC_EXTINT:
        l->extint = 1;
        lapic_update(l);
        break;
    }
}

void lapic_eoi(struct lapic *l)
{
    int served = lapic_highest(l->isr);
    uint8_t vector = (uint8_t)served;

    if (served < 0)
        return;
    trace_lapic_eoi(l->dev.id, vector);
    lapic_assign(l->isr, vector, false);
    if (lapic_has(l->tmr, vector)) {
        for (unsigned n = 0; n < 2; n++) {
            if ((l->lvt[LVT_LINT0 + n] & 0xff) != vector)
                continue;
            l->lvt[LVT_LINT0 + n] &= ~(uint32_t)APIC_REMOTE_IRR;
            lapic_service_lint(l, n);
        }
        if (!(l->svr & APIC_SVR_NO_EOI_BROADCAST))
            apic_bus_eoi(l->config.bus, vector);
    }
    lapic_update(l);
}

void lapic_fire_lvt(struct lapic *l, enum lapic_lvt which)
{
    uint32_t lvt = l->lvt[which];
    /* the timer and the error entry have no delivery mode: always fixed */
    enum apic_delivery mode = which == LVT_TIMER || which == LVT_ERROR
                                  ? APIC_FIXED
                                  : (enum apic_delivery)bits(lvt, 10, 8);

    if (lvt & APIC_LVT_MASKED)
        return;
    if (mode == APIC_FIXED)
        lapic_accept_fixed(l, (uint8_t)lvt, false);
    else if (mode == APIC_SMI)
        lapic_signal(l, l->client.smi);
    else if (mode == APIC_NMI)
        lapic_signal(l, l->client.nmi);
    else if (mode == APIC_INIT)
        lapic_signal(l, l->client.init);
}

/* A level-sensitive LINT pin (fixed mode only) interrupts while it is asserted, once an EOI. */
void lapic_service_lint(struct lapic *l, unsigned n)
{
    uint32_t *lvt = &l->lvt[LVT_LINT0 + n];
    uint32_t waits = APIC_LVT_MASKED | APIC_REMOTE_IRR;

    if (l->lint[n] && (*lvt & (waits | APIC_TRIGGER_LEVEL)) == APIC_TRIGGER_LEVEL &&
        bits(*lvt, 10, 8) == APIC_FIXED) {
        *lvt |= APIC_REMOTE_IRR;
        lapic_accept_fixed(l, (uint8_t)*lvt, true);
    }
    lapic_update(l); /* ExtINT follows the level */
}

void lapic_lint(void *owner, unsigned n, bool level)
{
    struct lapic *l = owner;
    bool rises = level && n < 2 && !l->lint[n];
    bool by_level;

    if (n >= 2)
        return;
    l->lint[n] = level;
    by_level = bits(l->lvt[LVT_LINT0 + n], 10, 8) == APIC_FIXED &&
               (l->lvt[LVT_LINT0 + n] & APIC_TRIGGER_LEVEL);
    if (rises && !(l->base & APIC_BASE_EN)) { /* the pins are INTR and NMI */
        if (n == 1)
            lapic_signal(l, l->client.nmi);
    } else if (rises && !by_level) {
        lapic_fire_lvt(l, LVT_LINT0 + n);
    }
    lapic_service_lint(l, n);
}

/* --- destinations --- */

uint32_t lapic_logical_id(const struct lapic *l)
{
    uint32_t id = l->config.id;

    return lapic_in_x2apic(l) ? (id >> 4) << 16 | UINT32_C(1) << (id & 15) : l->ldr;
}

static bool lapic_is_logical(const struct lapic *l, const struct apic_message *m)
{
    uint32_t own = lapic_logical_id(l);
    uint32_t dest = m->dest;

    if (lapic_in_x2apic(l)) /* an 8-bit address is one of cluster 0 */
        return dest >> 16 == own >> 16 && (dest & own & 0xffff);
    own >>= 24;
    if (bits(l->dfr, 31, 28) == 15) /* flat */
        return dest & own & 0xff;
    return (dest >> 4 & 15) == own >> 4 && (dest & own & 15);
}

/* [SDM 3A "Determining IPI Destination"] */
bool lapic_is_destination(const struct device *dev, const struct apic_message *m)
{
    const struct lapic *l = (const struct lapic *)dev;

    if (!(l->base & APIC_BASE_EN))
        return false;
    if (m->dest == (m->wide ? UINT32_MAX : 0xff))
        return true;
    if (m->logical)
        return lapic_is_logical(l, m);
    return m->dest == (lapic_in_x2apic(l) ? l->config.id : l->xapic_id);
}

bool lapic_is_enabled(const struct device *dev)
{
    const struct lapic *l = (const struct lapic *)dev;

    return (l->base & APIC_BASE_EN) && (l->svr & APIC_SVR_ENABLE);
}

uint8_t lapic_priority(const struct device *dev)
{
    return lapic_ppr((const struct lapic *)dev);
}

/* --- sending --- */

void lapic_self_ipi(struct lapic *l, uint8_t vector)
{
    if (vector < 16) {
        lapic_error(l, APIC_ESR_SEND_VECTOR);
        return;
    }
    lapic_accept(&l->dev, APIC_FIXED, vector, false);
}

/* [SDM 3A "Interrupt Command Register (ICR)"]: IPIs are edge-triggered; INIT level de-assert, which
 * is not supported any more, is ignored, and so is a self IPI that is not fixed. */
void lapic_send_ipi(struct lapic *l)
{
    uint32_t low = l->icr_low;
    unsigned to = (unsigned)bits(low, 19, 18);
    struct apic_message m = {
        .dest = lapic_in_x2apic(l) ? l->icr_high : l->icr_high >> 24,
        .vector = (uint8_t)low,
        .mode = (enum apic_delivery)bits(low, 10, 8),
        .logical = (low & APIC_DEST_LOGICAL) != 0,
        .wide = lapic_in_x2apic(l),
    };

    if (m.mode == APIC_EXTINT || bits(low, 10, 8) == 3)
        return; /* reserved */
    if (m.mode == APIC_INIT && (low & APIC_TRIGGER_LEVEL) && !(low & APIC_LEVEL_ASSERT))
        return;
    if ((m.mode == APIC_FIXED || m.mode == APIC_LOWEST) && m.vector < 16) {
        lapic_error(l, APIC_ESR_SEND_VECTOR);
        return;
    }
    if (to == APIC_TO_DEST)
        apic_bus_deliver(l->config.bus, &m);
    else if (to != APIC_TO_SELF)
        apic_bus_deliver_all(l->config.bus, &m, &l->dev, to == APIC_TO_ALL);
    else if (m.mode == APIC_FIXED)
        lapic_self_ipi(l, m.vector);
}

static void lapic_send_fixed(void *owner, uint32_t apic_id, uint8_t vector)
{
    struct lapic *l = owner;
    bool wide = lapic_in_x2apic(l);
    struct apic_message m = {
        .dest = wide ? apic_id : apic_id & 0xff, .vector = vector, .mode = APIC_FIXED, .wide = wide
    };

    apic_bus_deliver(l->config.bus, &m);
}

/* --- IA32_APIC_BASE --- */

static uint64_t lapic_read_base(void *owner)
{
    return ((struct lapic *)owner)->base;
}

static void lapic_init(void *owner)
{
    struct lapic *l = owner;

    fields_reset(l, lapic_fields);
    lapic_timer_settle(l);
    lapic_update(l);
}

/* [SDM 3A "x2APIC State Transitions"]: from disabled to xAPIC, from there to x2APIC mode, from both
 * to disabled; leaving x2APIC mode or the disabled state starts with the registers after reset. */
static bool lapic_write_base(void *owner, uint64_t value)
{
    struct lapic *l = owner;
    uint64_t writable = BITS(l->config.physical_bits - 1, 12) | APIC_BASE_BSP | APIC_BASE_EN |
                        (l->config.x2apic ? APIC_BASE_EXTD : 0);
    bool on = value & APIC_BASE_EN;
    bool x2 = value & APIC_BASE_EXTD;

    if (value & ~writable)
        return false;
    if (x2 && (!on || !(l->base & APIC_BASE_EN)))
        return false; /* invalid state; disabled to x2APIC */
    if (!x2 && on && lapic_in_x2apic(l))
        return false; /* x2APIC to xAPIC */
    trace_lapic_base(l->dev.id, value);
    if (!on && (l->base & APIC_BASE_EN)) {
        l->xapic_id = (uint8_t)l->config.id;
        l->base = value;
        lapic_init(l);
    }
    if (x2 && !lapic_in_x2apic(l))
        l->icr_high = 0; /* the only register that the transition does not keep, with the LDR */
    l->base = value;
    lapic_update(l);
    return true;
}

static uint8_t lapic_read_cr8(void *owner)
{
    return ((struct lapic *)owner)->tpr >> 4 & 15;
}

static void lapic_write_cr8(void *owner, uint8_t value)
{
    struct lapic *l = owner;

    l->tpr = (value & 15u) << 4;
    lapic_update(l);
}

const struct apic_ops lapic_ops = {
    .acknowledge = lapic_acknowledge,
    .read_base = lapic_read_base,
    .write_base = lapic_write_base,
    .read_msr = lapic_msr_read,
    .write_msr = lapic_msr_write,
    .read = lapic_mmio_read,
    .write = lapic_mmio_write,
    .read_cr8 = lapic_read_cr8,
    .write_cr8 = lapic_write_cr8,
    .read_tsc_deadline = lapic_timer_read_deadline,
    .write_tsc_deadline = lapic_timer_write_deadline,
    .send_fixed = lapic_send_fixed,
    .init = lapic_init,
};

/* --- the device --- */

void lapic_configure(struct device *dev, const struct lapic_config *config)
{
    ASSERT(config->physical_bits >= 36 && config->physical_bits <= 52);
    ((struct lapic *)dev)->config = *config;
    apic_bus_add_lapic(config->bus, dev);
}

void lapic_set_client(struct device *dev, const struct apic_client *client)
{
    ((struct lapic *)dev)->client = *client;
}

void lapic_firmware_setup(struct device *dev)
{
    struct lapic *l = (struct lapic *)dev;

    l->svr |= APIC_SVR_ENABLE;
    l->lvt[LVT_LINT0] = APIC_EXTINT << 8;
    l->lvt[LVT_LINT1] = APIC_NMI << 8;
    lapic_update(l);
}

static bool lapic_realize(struct device *dev, struct err *e)
{
    struct lapic *l = (struct lapic *)dev;

    if (!l->config.bus)
        return err_set(e, "%s: this device comes with a processor and cannot be added", dev->id);
    lapic_timer_init(l);
    return true;
}

static void lapic_unrealize(struct device *dev)
{
    struct lapic *l = (struct lapic *)dev;

    if (l->timer.clock)
        timer_cancel(&l->timer);
}

static void lapic_reset(struct device *dev)
{
    struct lapic *l = (struct lapic *)dev;

    l->base = APIC_DEFAULT_BASE | APIC_BASE_EN | (l->config.bsp ? APIC_BASE_BSP : 0);
    l->xapic_id = (uint8_t)l->config.id;
}

static void lapic_settle(struct device *dev)
{
    struct lapic *l = (struct lapic *)dev;

    if (l->timer.clock)
        lapic_timer_settle(l);
    l->intr = false; /* the processor is told anew, whatever it thought */
    if (l->client.set_intr)
        l->client.set_intr(l->client.owner, false);
    lapic_update(l);
}

static void lapic_show_set(FILE *out, const char *name, const uint32_t set[8])
{
    fprintf(out, "%s:", name);
    for (unsigned v = 0; v < 256; v++) {
        if (lapic_has(set, (uint8_t)v))
            fprintf(out, " %02x", v);
    }
    fprintf(out, "\n");
}

static void lapic_show(const struct device *dev, FILE *out)
{
    const struct lapic *l = (const struct lapic *)dev;

    fprintf(out, "%s, ID %#x, logical %#x, PPR %02x, INTR %d\n",
            lapic_in_x2apic(l)  ? "x2APIC"
            : lapic_in_xapic(l) ? "xAPIC"
                                : "disabled",
            lapic_in_x2apic(l) ? l->config.id : l->xapic_id, lapic_logical_id(l), lapic_ppr(l),
            l->intr);
    lapic_show_set(out, "requested", l->irr);
    lapic_show_set(out, "in service", l->isr);
}

const struct device_class lapic_class = {
    .name = "lapic",
    .title = "local APIC",
    .size = sizeof(struct lapic),
    .version = 1,
    .fields = lapic_fields,
    .realize = lapic_realize,
    .unrealize = lapic_unrealize,
    .reset = lapic_reset,
    .settle = lapic_settle,
    .show = lapic_show,
};
