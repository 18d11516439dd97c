/* High precision event timers: one block with a 64-bit counter of 100 MHz and three comparators,
 * each one-shot or periodic, 32 or 64 bits wide, to an I/O APIC pin, as a message, or (the first
 * two) in place of the 8254 and the RTC. 1 KiB at FED00000H.
 * [IA-PC HPET specification 1.0a]
 *
 * A comparator matches when the counter has its value, so one that is set to the past waits for
 * the counter to come round, as in hardware. */
#include "devices/hpet.h"

#include "base/bits.h"
#include "devices/trace.h"

#define HPET_BYTES 0x400
#define TICK_CYCLES (CLOCK_HZ / 100000000)
#define TICK_FS UINT64_C(10000000)
#define ROUTES UINT64_C(0x00f00000) /* I/O APIC pins 20 to 23 */

enum { TIMERS = 3 };
enum {
    REG_CAPABILITIES = 0x000,
    REG_CONFIG = 0x010,
    REG_STATUS = 0x020,
    REG_COUNTER = 0x0f0,
    REG_TIMER = 0x100,
    TIMER_STRIDE = 0x20,
    TIMER_CONFIG = 0x00,
    TIMER_COMPARATOR = 0x08,
    TIMER_MESSAGE = 0x10
};
enum { CONFIG_ENABLE = 1, CONFIG_LEGACY = 2 };
enum {
    T_LEVEL = 1 << 1,
    T_ENABLE = 1 << 2,
    T_PERIODIC = 1 << 3,
    T_CAN_PERIODIC = 1 << 4,
    T_CAN_64 = 1 << 5,
    T_SET_VALUE = 1 << 6,
    T_32BIT = 1 << 8,
    T_MESSAGE = 1 << 14,
    T_CAN_MESSAGE = 1 << 15
};
enum { T_WRITABLE = T_LEVEL | T_ENABLE | T_PERIODIC | T_SET_VALUE | T_32BIT | T_MESSAGE };

#define T_CAPABILITIES (ROUTES << 32 | T_CAN_PERIODIC | T_CAN_64 | T_CAN_MESSAGE)
/* revision 1, three timers, 64-bit counter, legacy replacement, vendor 8086H */
#define CAPABILITIES (TICK_FS << 32 | UINT64_C(0x8086a201))

struct hpet {
    struct device dev;
    uint64_t config;
    uint64_t status;
    uint64_t counter; /* at cycle `since`; counts from there on while enabled */
    uint64_t since;
    uint64_t timer[TIMERS]; /* configuration */
    uint64_t comparator[TIMERS];
    uint64_t period[TIMERS];
    uint64_t message[TIMERS];
    uint64_t match[TIMERS]; /* the cycle of the next match, or TIMER_OFF */
    uint8_t legacy_in[2];   /* levels from the 8254 and the RTC */
    uint8_t legacy_own[2];  /* ours, when replacing them */
    struct timer event[TIMERS];
    struct line legacy_out[2];
    struct line gsi[24];
};

static const struct field hpet_fields[] = {
    FIELD(struct hpet, config, .reset = 0),
    FIELD(struct hpet, status, .reset = 0),
    FIELD(struct hpet, counter, .reset = 0),
    FIELD(struct hpet, since, .reset = 0),
    FIELD_ARRAY(struct hpet, timer, .reset = T_CAPABILITIES),
    FIELD_ARRAY(struct hpet, comparator, .reset = UINT64_MAX),
    FIELD_ARRAY(struct hpet, period, .reset = 0),
    FIELD_ARRAY(struct hpet, message, .reset = 0),
    FIELD_ARRAY(struct hpet, match, .reset = TIMER_OFF),
    FIELD_ARRAY(struct hpet, legacy_in, .kept = true),
    FIELD_ARRAY(struct hpet, legacy_own, .reset = 0),
    { 0 },
};

static uint64_t hpet_now(const struct hpet *h)
{
    return clock_now(h->dev.host->clock);
}

static uint64_t hpet_counter(const struct hpet *h)
{
    return h->counter + (h->config & CONFIG_ENABLE ? (hpet_now(h) - h->since) / TICK_CYCLES : 0);
}

static uint64_t hpet_width_mask(const struct hpet *h, unsigned n)
{
    return h->timer[n] & T_32BIT ? UINT32_MAX : UINT64_MAX;
}

/* the cycle at which the counter will be `ticks` further than now; TIMER_OFF if that is too far */
static uint64_t hpet_cycle_after(const struct hpet *h, uint64_t ticks)
{
    uint64_t passed = (hpet_now(h) - h->since) / TICK_CYCLES;

    if (ticks > UINT64_MAX / 4 / TICK_CYCLES || passed > UINT64_MAX / 4 / TICK_CYCLES)
        return TIMER_OFF;
    return h->since + (passed + ticks) * TICK_CYCLES;
}

static bool hpet_replaces(const struct hpet *h, unsigned n)
{
    return n < 2 && (h->config & CONFIG_LEGACY);
}

static unsigned hpet_route(const struct hpet *h, unsigned n)
{
    return (unsigned)bits(h->timer[n], 13, 9);
}

/* level-triggered comparators and legacy replacement: lines follow from the registers */
static void hpet_drive(struct hpet *h)
{
    uint64_t levels = 0;

    for (unsigned n = 0; n < TIMERS; n++) {
        bool level = bit(h->status, n) && (h->timer[n] & T_LEVEL) && (h->timer[n] & T_ENABLE);

        if (hpet_replaces(h, n) && (h->timer[n] & T_LEVEL))
            h->legacy_own[n] = level;
        else if (level && bit(ROUTES, hpet_route(h, n)))
            levels |= BIT(hpet_route(h, n));
    }
    for (unsigned n = 0; n < 24; n++)
        line_set(&h->gsi[n], bit(levels, n));
    for (unsigned n = 0; n < 2; n++)
        line_set(&h->legacy_out[n],
                 (hpet_replaces(h, n) ? h->legacy_own[n] : h->legacy_in[n]) != 0);
}

static void hpet_interrupt(struct hpet *h, unsigned n)
{
    const struct msi_port *msi = &h->dev.host->msi;

    trace_hpet_fire(h->dev.id, n);
    if (h->timer[n] & T_LEVEL) {
        h->status |= BIT(n);
    } else if (!(h->timer[n] & T_ENABLE)) {
        return;
    } else if (h->timer[n] & T_MESSAGE) {
        if (msi->send)
            msi->send(msi->owner, h->message[n] >> 32, (uint32_t)h->message[n]);
    } else if (hpet_replaces(h, n)) { /* falls and rises, and stays for the 8259 */
        h->legacy_own[n] = 0;
        hpet_drive(h);
        h->legacy_own[n] = 1;
    } else if (bit(ROUTES, hpet_route(h, n))) {
        line_pulse(&h->gsi[hpet_route(h, n)]);
    }
    hpet_drive(h);
}

static void hpet_arm(struct hpet *h, unsigned n)
{
    bool wanted = h->timer[n] & (T_ENABLE | T_LEVEL);

    timer_set(&h->event[n], wanted ? h->match[n] : TIMER_OFF);
}

/* when the comparator, which may be the counter's present value, matches */
static void hpet_find_match(struct hpet *h, unsigned n)
{
    uint64_t ahead = (h->comparator[n] - hpet_counter(h)) & hpet_width_mask(h, n);

    h->match[n] = h->config & CONFIG_ENABLE ? hpet_cycle_after(h, ahead) : TIMER_OFF;
    hpet_arm(h, n);
}

/* the match is due: the next one is a period later, or when the counter has come round */
static void hpet_matched(struct hpet *h, unsigned n)
{
    uint64_t mask = hpet_width_mask(h, n);
    uint64_t period = h->timer[n] & T_PERIODIC ? h->period[n] & mask : 0;
    uint64_t late = (hpet_now(h) - h->match[n]) / TICK_CYCLES;
    uint64_t step;

    if (period) {
        step = (late / period + 1) * period; /* several that are due are one */
        h->comparator[n] = (h->comparator[n] + step) & mask;
    } else {
        step = mask == UINT32_MAX ? (late >> 32 << 32) + (UINT64_C(1) << 32) : UINT64_MAX;
    }
    h->match[n] = step > UINT64_MAX / 4 / TICK_CYCLES ? TIMER_OFF
                                                      : h->match[n] + step * TICK_CYCLES;
    hpet_arm(h, n);
    hpet_interrupt(h, n);
}

/* before software looks or changes something: what is due has happened */
static void hpet_sync(struct hpet *h)
{
    for (unsigned n = 0; n < TIMERS; n++) {
        if (h->match[n] != TIMER_OFF && h->match[n] <= hpet_now(h))
            hpet_matched(h, n);
    }
}

static void hpet_fire(void *owner)
{
    hpet_sync(owner);
}

static void hpet_set_config(struct hpet *h, uint64_t value)
{
    bool was = h->config & CONFIG_ENABLE;
    bool is = value & CONFIG_ENABLE;

    if (was && !is)
        h->counter = hpet_counter(h);
    if (!was && is)
        h->since = hpet_now(h);
    h->config = value & (CONFIG_ENABLE | CONFIG_LEGACY);
    for (unsigned n = 0; n < TIMERS && was != is; n++)
        hpet_find_match(h, n);
    hpet_drive(h);
}

static void hpet_set_counter(struct hpet *h, uint64_t value)
{
    h->counter = value;
    h->since = hpet_now(h);
    for (unsigned n = 0; n < TIMERS; n++)
        hpet_find_match(h, n);
}

static void hpet_set_timer(struct hpet *h, unsigned n, uint64_t value)
{
    uint64_t old = h->timer[n];
    uint64_t writable = T_WRITABLE;

    if (bit(ROUTES, (unsigned)bits(value, 13, 9)))
        writable |= BITS(13, 9); /* a pin that cannot be chosen leaves the old one */
    h->timer[n] = (old & ~writable) | (value & writable);
    if (h->timer[n] & T_32BIT) {
        h->comparator[n] &= UINT32_MAX;
        h->period[n] &= UINT32_MAX;
    }
    if ((old ^ h->timer[n]) & T_LEVEL)
        h->status &= ~BIT(n);
    if ((old ^ h->timer[n]) & T_32BIT)
        hpet_find_match(h, n);
    else
        hpet_arm(h, n);
    hpet_drive(h);
}

/* A periodic comparator's register is the period; with "set value" also the next match. `written`
 * has the bits that the access writes: software that writes halves sets "set value" for each. */
static void hpet_set_comparator(struct hpet *h, unsigned n, uint64_t value, uint64_t written)
{
    written &= hpet_width_mask(h, n);
    if (h->timer[n] & T_PERIODIC)
        h->period[n] = (h->period[n] & ~written) | (value & written);
    if (!(h->timer[n] & T_PERIODIC) || (h->timer[n] & T_SET_VALUE)) {
        h->comparator[n] = (h->comparator[n] & ~written) | (value & written);
        hpet_find_match(h, n);
    }
    h->timer[n] &= ~(uint64_t)T_SET_VALUE;
}

/* one of the 64-bit registers; offset is a multiple of 8 */
static uint64_t hpet_get(const struct hpet *h, uint64_t offset)
{
    unsigned n = (unsigned)(offset - REG_TIMER) / TIMER_STRIDE;

    switch (offset) {
    case REG_CAPABILITIES: return CAPABILITIES;
    case REG_CONFIG: return h->config;
    case REG_STATUS: return h->status;
    case REG_COUNTER: return hpet_counter(h);
    }
    if (offset < REG_TIMER || n >= TIMERS)
        return 0;
    switch ((offset - REG_TIMER) % TIMER_STRIDE) {
    case TIMER_CONFIG: return h->timer[n];
    case TIMER_COMPARATOR: return h->comparator[n];
    case TIMER_MESSAGE: return h->message[n];
    default: return 0;
    }
}

/* bits of one of the 64-bit registers; those outside `written` are to stay */
static void hpet_put(struct hpet *h, uint64_t offset, uint64_t value, uint64_t written)
{
    unsigned n = (unsigned)(offset - REG_TIMER) / TIMER_STRIDE;
    uint64_t merged = (hpet_get(h, offset) & ~written) | (value & written);

    switch (offset) {
    case REG_CONFIG: hpet_set_config(h, merged); return;
    case REG_STATUS: /* ones clear */
        h->status &= ~(value & written);
        hpet_drive(h);
        return;
    case REG_COUNTER: hpet_set_counter(h, merged); return;
    }
    if (offset < REG_TIMER || n >= TIMERS)
        return;
    switch ((offset - REG_TIMER) % TIMER_STRIDE) {
    case TIMER_CONFIG: hpet_set_timer(h, n, merged); break;
    case TIMER_COMPARATOR: hpet_set_comparator(h, n, value, written); break;
    case TIMER_MESSAGE: h->message[n] = merged; break;
    }
}

static uint64_t hpet_read(struct device *dev, uint64_t offset, unsigned size)
{
    struct hpet *h = (struct hpet *)dev;
    uint64_t value;

    if (offset % size != 0)
        return 0; /* the specification leaves it open */
    hpet_sync(h);
    value = hpet_get(h, align_down(offset, 8));
    return offset & 4 ? value >> 32 : value;
}

static void hpet_write(struct device *dev, uint64_t offset, uint64_t value, unsigned size)
{
    struct hpet *h = (struct hpet *)dev;

    trace_hpet_write(dev->id, (unsigned)offset, value);
    if (size < 4 || offset % size != 0)
        return;
    hpet_sync(h);
    if (size == 8)
        hpet_put(h, offset, value, UINT64_MAX);
    else if (offset & 4)
        hpet_put(h, offset - 4, value << 32, BITS(63, 32));
    else
        hpet_put(h, offset, value, BITS(31, 0));
}

void hpet_legacy_in(void *owner, unsigned n, bool level)
{
    struct hpet *h = owner;

    if (n >= 2)
        return;
    h->legacy_in[n] = level;
    hpet_drive(h);
}

struct line *hpet_legacy_out(struct device *dev, unsigned n)
{
    return &((struct hpet *)dev)->legacy_out[n];
}

struct line *hpet_gsi(struct device *dev, unsigned n)
{
    return &((struct hpet *)dev)->gsi[n];
}

static bool hpet_realize(struct device *dev, struct err *e)
{
    struct hpet *h = (struct hpet *)dev;

    for (unsigned n = 0; n < TIMERS; n++)
        timer_init(&h->event[n], dev->host->clock, "hpet", hpet_fire, h);
    bus_map(dev->host->bus, HPET_BASE, HPET_BYTES, "hpet", &dev->ops, dev);
    return true;
}

static void hpet_unrealize(struct device *dev)
{
    struct hpet *h = (struct hpet *)dev;

    for (unsigned n = 0; n < TIMERS; n++) {
        if (h->event[n].clock)
            timer_cancel(&h->event[n]);
    }
}

static void hpet_settle(struct device *dev)
{
    struct hpet *h = (struct hpet *)dev;

    for (unsigned n = 0; n < TIMERS; n++)
        hpet_arm(h, n);
    hpet_drive(h);
}

static void hpet_show(const struct device *dev, FILE *out)
{
    const struct hpet *h = (const struct hpet *)dev;

    fprintf(out, "counter %#jx, %s, %s\n", (uintmax_t)hpet_counter(h),
            h->config & CONFIG_ENABLE ? "on" : "off",
            h->config & CONFIG_LEGACY ? "legacy replacement" : "no legacy replacement");
}

const struct device_class hpet_class = {
    .name = "hpet",
    .title = "high precision event timers",
    .size = sizeof(struct hpet),
    .version = 1,
    .fields = hpet_fields,
    .realize = hpet_realize,
    .unrealize = hpet_unrealize,
    .settle = hpet_settle,
    .show = hpet_show,
    .read = hpet_read,
    .write = hpet_write,
    .sizes = SIZE_32 | SIZE_64,
};
