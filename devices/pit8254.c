/* The 8254 programmable interval timer, ports 40H-43H, and the NMI status and control port 61H,
 * which gates counter 2 and shows its output.
 * [Intel 8254 data sheet], [ICH9 data sheet "Timer I/O Registers", "NMI_SC"]
 *
 * A counter does not count: what it would show is computed from the tick at which its count was
 * loaded. `start` is the first tick with the count in the counting element, one after the write. */
#include "devices/pit8254.h"

#include "base/bits.h"
#include "devices/trace.h"

#define PIT_HZ UINT64_C(1193182)
#define REFRESH_HZ UINT64_C(66288) /* port 61H bit 4 changes this often */

enum { COUNTERS = 3 };
enum { ACCESS_LOW = 1, ACCESS_HIGH = 2, ACCESS_BOTH = 3 };
enum pit_state {
    PIT_IDLE,    /* programmed, but no count was written */
    PIT_WAITING, /* modes 1 and 5: for the gate to rise */
    PIT_HELD,    /* by a low gate */
    PIT_COUNTING,
};
enum { GATE2 = 1, PORT61_WRITABLE = 0x0f, PORT61_REFRESH = 0x10, PORT61_OUT2 = 0x20 };
enum { READBACK_NO_COUNT = 0x20, READBACK_NO_STATUS = 0x10 };

struct pit8254 {
    struct device dev;
    uint8_t control[COUNTERS]; /* bits 5:0 of the control word */
    uint8_t state[COUNTERS];   /* enum pit_state */
    uint8_t gate[COUNTERS];
    uint32_t reload[COUNTERS];      /* 1 to 65536 */
    uint32_t next[COUNTERS];        /* the count for the next period, 0: none was written */
    uint64_t next_at[COUNTERS];     /* the tick at which that takes over */
    uint64_t start[COUNTERS];       /* the tick at which the count was loaded */
    uint64_t held[COUNTERS];        /* ticks counted when the gate fell */
    uint8_t write_low[COUNTERS];    /* the first byte of two */
    uint8_t write_second[COUNTERS]; /* the second one is expected */
    uint8_t read_second[COUNTERS];
    uint16_t latch[COUNTERS];
    uint8_t latch_left[COUNTERS]; /* bytes of it still to be read */
    uint8_t status[COUNTERS];
    uint8_t status_latched[COUNTERS];
    uint8_t port61;
    struct timer timer;
    struct line irq;
};

static const struct field pit8254_fields[] = {
    FIELD_ARRAY(struct pit8254, control, .reset = 0),
    FIELD_ARRAY(struct pit8254, state, .reset = PIT_IDLE),
    FIELD_ARRAY(struct pit8254, gate, .reset = 1),
    FIELD_ARRAY(struct pit8254, reload, .reset = 65536),
    FIELD_ARRAY(struct pit8254, next, .reset = 0),
    FIELD_ARRAY(struct pit8254, next_at, .reset = 0),
    FIELD_ARRAY(struct pit8254, start, .reset = 0),
    FIELD_ARRAY(struct pit8254, held, .reset = 0),
    FIELD_ARRAY(struct pit8254, write_low, .reset = 0),
    FIELD_ARRAY(struct pit8254, write_second, .reset = 0),
    FIELD_ARRAY(struct pit8254, read_second, .reset = 0),
    FIELD_ARRAY(struct pit8254, latch, .reset = 0),
    FIELD_ARRAY(struct pit8254, latch_left, .reset = 0),
    FIELD_ARRAY(struct pit8254, status, .reset = 0),
    FIELD_ARRAY(struct pit8254, status_latched, .reset = 0),
    FIELD(struct pit8254, port61, .reset = 0),
    { 0 },
};

static uint64_t pit8254_now(const struct pit8254 *p)
{
    return clock_to_ticks(clock_now(p->dev.host->clock), PIT_HZ);
}

/* 0 to 5; 6 and 7 are 2 and 3 [8254 "Control Word Format"] */
static unsigned pit8254_mode(const struct pit8254 *p, unsigned c)
{
    unsigned mode = (unsigned)bits(p->control[c], 3, 1);

    return mode >= 6 ? mode - 4 : mode;
}

static bool pit8254_bcd(const struct pit8254 *p, unsigned c)
{
    return p->control[c] & 1;
}

/* never 0, whatever was restored */
static uint32_t pit8254_period(const struct pit8254 *p, unsigned c)
{
    return p->reload[c] ? p->reload[c] : 1;
}

/* ticks that this counter has counted since its count was loaded */
static uint64_t pit8254_elapsed(const struct pit8254 *p, unsigned c, uint64_t now)
{
    if (p->state[c] == PIT_HELD)
        return p->held[c];
    if (p->state[c] != PIT_COUNTING || (int64_t)(now - p->start[c]) < 0)
        return 0;
    return now - p->start[c];
}

static bool pit8254_out(const struct pit8254 *p, unsigned c, uint64_t now)
{
    uint32_t n = pit8254_period(p, c);
    uint64_t t = pit8254_elapsed(p, c, now);
    bool counting = p->state[c] == PIT_COUNTING;

    switch (pit8254_mode(p, c)) {
    case 0: return (counting || p->state[c] == PIT_HELD) && t >= n;
    case 1: return !counting || t >= n;
    case 2: return !counting || t % n != n - 1;
    case 3: return !counting || t % n < (n + 1) / 2;
    default: return !counting || t != n;
    }
}

/* mode 3 counts down by two in each half [8254 "Mode 3: Square Wave Mode"] */
static uint32_t pit8254_square(uint32_t n, uint32_t t)
{
    uint32_t high = (n + 1) / 2;

    if (n % 2 == 0)
        return n - 2 * t % n;
    if (t < high)
        return t ? n + 1 - 2 * t : n;
    t -= high;
    return t ? n - 1 - 2 * t : n;
}

/* the counting element as software reads it */
static uint16_t pit8254_count(const struct pit8254 *p, unsigned c, uint64_t now)
{
    uint32_t wrap = pit8254_bcd(p, c) ? 10000 : 65536;
    uint32_t n = pit8254_period(p, c);
    uint64_t t = pit8254_elapsed(p, c, now);
    unsigned mode = pit8254_mode(p, c);
    uint32_t count;

    if (mode == 2)
        count = n - (uint32_t)(t % n);
    else if (mode == 3)
        count = pit8254_square(n, (uint32_t)(t % n));
    else
        count = n % wrap + wrap - (uint32_t)(t % wrap);
    count %= wrap;
    if (!pit8254_bcd(p, c))
        return (uint16_t)count;
    return (uint16_t)(count / 1000 << 12 | count / 100 % 10 << 8 | count / 10 % 10 << 4 |
                      count % 10);
}

/* A count written in mode 2 or 3 takes over at the end of the period, in mode 3 of the half. */
static void pit8254_take_next(struct pit8254 *p, unsigned c, uint64_t now)
{
    bool after_high_half = (p->next_at[c] - p->start[c]) % pit8254_period(p, c) != 0;

    if (!p->next[c] || p->state[c] != PIT_COUNTING || (int64_t)(now - p->next_at[c]) < 0)
        return;
    p->reload[c] = p->next[c];
    p->next[c] = 0;
    p->start[c] = p->next_at[c];
    if (after_high_half)
        p->start[c] -= (p->reload[c] + 1) / 2;
}

/* the tick at which counter 0's output next gives an edge; 0: never */
static uint64_t pit8254_next_edge(const struct pit8254 *p, uint64_t now)
{
    uint32_t n = pit8254_period(p, 0);
    uint64_t t = pit8254_elapsed(p, 0, now);
    uint64_t period = t - t % n;

    if (p->state[0] != PIT_COUNTING)
        return 0;
    switch (pit8254_mode(p, 0)) {
    case 0: return t < n ? p->start[0] + n : 0;
    case 2: return p->start[0] + period + n;
    case 3: return p->start[0] + period + (t % n < (n + 1) / 2 ? (n + 1) / 2 : n);
    case 4: return t < n + UINT64_C(1) ? p->start[0] + n + 1 : 0;
    default: /* 1 and 5 wait for a gate that never moves */ return 0;
    }
}

/* In modes 2 and 4 OUT is low for one tick; the line shows that as a pulse at the end of it. */
static bool pit8254_pulses(const struct pit8254 *p)
{
    unsigned mode = pit8254_mode(p, 0);

    return mode == 2 || mode == 4;
}

static void pit8254_drive(struct pit8254 *p)
{
    uint64_t now = pit8254_now(p);
    uint64_t edge;

    pit8254_take_next(p, 0, now);
    line_set(&p->irq, pit8254_pulses(p) || pit8254_out(p, 0, now));
    edge = pit8254_next_edge(p, now);
    if (edge)
        timer_set(&p->timer, clock_from_ticks(edge, PIT_HZ));
    else
        timer_cancel(&p->timer);
}

static void pit8254_fire(void *owner)
{
    struct pit8254 *p = owner;

    if (pit8254_pulses(p))
        line_set(&p->irq, false);
    pit8254_drive(p);
}

/* before software looks or changes something: what is due has happened */
static void pit8254_sync(struct pit8254 *p)
{
    uint64_t now = pit8254_now(p);

    if (timer_armed(&p->timer) && p->timer.deadline <= clock_now(p->dev.host->clock)) {
        timer_cancel(&p->timer);
        pit8254_fire(p);
    }
    for (unsigned c = 0; c < COUNTERS; c++)
        pit8254_take_next(p, c, now);
}

static void pit8254_begin(struct pit8254 *p, unsigned c, uint64_t now)
{
    if (p->next[c])
        p->reload[c] = p->next[c];
    p->next[c] = 0;
    p->start[c] = now + 1;
    p->held[c] = 0;
    p->state[c] = PIT_COUNTING;
}

static void pit8254_set_gate(struct pit8254 *p, unsigned c, bool level, uint64_t now)
{
    unsigned mode = pit8254_mode(p, c);

    if (p->gate[c] == level)
        return;
    p->gate[c] = level;
    if (p->state[c] == PIT_IDLE)
        return;
    if (mode == 1 || mode == 5) {
        if (level) /* a trigger, also while counting */
            pit8254_begin(p, c, now);
    } else if (!level) {
        p->held[c] = pit8254_elapsed(p, c, now);
        p->state[c] = PIT_HELD;
    } else if (mode == 2 || mode == 3) {
        pit8254_begin(p, c, now);
    } else {
        p->start[c] = now - p->held[c];
        p->state[c] = PIT_COUNTING;
    }
}

/* a complete count has been written; 0 is the longest */
static void pit8254_load(struct pit8254 *p, unsigned c, uint16_t value, uint64_t now)
{
    unsigned mode = pit8254_mode(p, c);
    uint32_t n = value ? value : 65536;
    uint64_t t, half;

    if (pit8254_bcd(p, c)) {
        n = (value >> 12) * 1000u + (value >> 8 & 15) * 100u + (value >> 4 & 15) * 10u +
            (value & 15);
        n = n ? n : 10000;
    }
    trace_pit8254_program(p->dev.id, c, mode, n);
    p->next[c] = n;
    if (mode == 1 || mode == 5) {
        if (p->state[c] == PIT_IDLE)
            p->state[c] = PIT_WAITING;
    } else if (p->state[c] == PIT_COUNTING && (mode == 2 || mode == 3)) {
        t = pit8254_elapsed(p, c, now) % pit8254_period(p, c);
        half = mode == 3 ? (pit8254_period(p, c) + 1) / 2 : 0;
        p->next_at[c] = pit8254_elapsed(p, c, now) - t + p->start[c] +
                        (t < half ? half : pit8254_period(p, c));
    } else {
        pit8254_begin(p, c, now);
        if (!p->gate[c])
            p->state[c] = PIT_HELD;
    }
}

static void pit8254_write_count(struct pit8254 *p, unsigned c, uint8_t v, uint64_t now)
{
    switch (p->control[c] >> 4 & 3) {
    case ACCESS_LOW: pit8254_load(p, c, v, now); break;
    case ACCESS_HIGH: pit8254_load(p, c, (uint16_t)(v << 8), now); break;
    case ACCESS_BOTH:
        p->write_second[c] ^= 1;
        if (p->write_second[c]) {
            p->write_low[c] = v;
            if (pit8254_mode(p, c) == 0) /* the first byte stops the counting */
                p->state[c] = PIT_IDLE;
        } else {
            pit8254_load(p, c, (uint16_t)(v << 8 | p->write_low[c]), now);
        }
        break;
    }
}

static void pit8254_latch_count(struct pit8254 *p, unsigned c, uint64_t now)
{
    if (p->latch_left[c])
        return; /* the first latch stays until it is read */
    p->latch[c] = pit8254_count(p, c, now);
    p->latch_left[c] = (p->control[c] >> 4 & 3) == ACCESS_BOTH ? 2 : 1;
}

static void pit8254_latch_status(struct pit8254 *p, unsigned c, uint64_t now)
{
    bool null_count = p->next[c] || p->state[c] == PIT_IDLE ||
                      (p->state[c] == PIT_COUNTING && (int64_t)(now - p->start[c]) < 0);

    if (p->status_latched[c])
        return;
    p->status[c] = (uint8_t)(pit8254_out(p, c, now) << 7 | null_count << 6 |
                             (p->control[c] & 0x3f));
    p->status_latched[c] = 1;
}

static void pit8254_control(struct pit8254 *p, uint8_t v, uint64_t now)
{
    unsigned c = v >> 6;

    if (c == 3) { /* read-back: bits 3:1 select counters */
        for (c = 0; c < COUNTERS; c++) {
            if (!bit(v, c + 1))
                continue;
            if (!(v & READBACK_NO_COUNT))
                pit8254_latch_count(p, c, now);
            if (!(v & READBACK_NO_STATUS))
                pit8254_latch_status(p, c, now);
        }
        return;
    }
    if ((v >> 4 & 3) == 0) {
        pit8254_latch_count(p, c, now);
        return;
    }
    p->control[c] = v & 0x3f;
    p->state[c] = PIT_IDLE;
    p->next[c] = 0;
    p->held[c] = 0;
    p->write_second[c] = 0;
    p->read_second[c] = 0;
    p->latch_left[c] = 0;
    p->status_latched[c] = 0;
}

static uint8_t pit8254_read_count(struct pit8254 *p, unsigned c, uint64_t now)
{
    unsigned access = p->control[c] >> 4 & 3;
    uint16_t count;

    if (p->status_latched[c]) {
        p->status_latched[c] = 0;
        return p->status[c];
    }
    if (p->latch_left[c]) {
        bool high = access == ACCESS_HIGH || (access == ACCESS_BOTH && p->latch_left[c] == 1);

        p->latch_left[c]--;
        return (uint8_t)(high ? p->latch[c] >> 8 : p->latch[c]);
    }
    count = pit8254_count(p, c, now);
    if (access != ACCESS_BOTH)
        return (uint8_t)(access == ACCESS_HIGH ? count >> 8 : count);
    p->read_second[c] ^= 1;
    return (uint8_t)(p->read_second[c] ? count : count >> 8);
}

static uint64_t pit8254_io_read(void *owner, uint64_t offset, unsigned size)
{
    struct pit8254 *p = owner;

    pit8254_sync(p);
    if (offset >= COUNTERS)
        return 0; /* the control word cannot be read */
    return pit8254_read_count(p, (unsigned)offset, pit8254_now(p));
}

static void pit8254_io_write(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
    struct pit8254 *p = owner;
    uint64_t now = pit8254_now(p);

    pit8254_sync(p);
    if (offset < COUNTERS)
        pit8254_write_count(p, (unsigned)offset, (uint8_t)value, now);
    else
        pit8254_control(p, (uint8_t)value, now);
    pit8254_drive(p);
}

static uint64_t pit8254_read61(void *owner, uint64_t offset, unsigned size)
{
    struct pit8254 *p = owner;
    uint64_t refresh = clock_to_ticks(clock_now(p->dev.host->clock), REFRESH_HZ);

    pit8254_sync(p);
    return (p->port61 & PORT61_WRITABLE) | (refresh & 1 ? PORT61_REFRESH : 0) |
           (pit8254_out(p, 2, pit8254_now(p)) ? PORT61_OUT2 : 0);
}

static void pit8254_write61(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
    struct pit8254 *p = owner;

    pit8254_sync(p);
    p->port61 = value & PORT61_WRITABLE;
    pit8254_set_gate(p, 2, value & GATE2, pit8254_now(p));
}

static bool pit8254_realize(struct device *dev, struct err *e)
{
    static const struct io_ops counters = { pit8254_io_read, pit8254_io_write, SIZE_8 };
    static const struct io_ops port61 = { pit8254_read61, pit8254_write61, SIZE_8 };
    struct pit8254 *p = (struct pit8254 *)dev;

    timer_init(&p->timer, dev->host->clock, "8254 counter 0", pit8254_fire, p);
    ports_map(dev->host->ports, 0x40, 4, "8254", &counters, dev);
    ports_map(dev->host->ports, 0x61, 1, "port 61h", &port61, dev);
    return true;
}

static void pit8254_unrealize(struct device *dev)
{
    struct pit8254 *p = (struct pit8254 *)dev;

    if (p->timer.clock)
        timer_cancel(&p->timer);
}

static void pit8254_reset(struct device *dev)
{
    ((struct pit8254 *)dev)->gate[2] = 0; /* port 61H bit 0 is 0 */
}

static void pit8254_settle(struct device *dev)
{
    pit8254_drive((struct pit8254 *)dev);
}

static void pit8254_show(const struct device *dev, FILE *out)
{
    const struct pit8254 *p = (const struct pit8254 *)dev;
    uint64_t now = pit8254_now(p);

    for (unsigned c = 0; c < COUNTERS; c++)
        fprintf(out, "counter %u: mode %u, period %u, count %04x, OUT %d\n", c, pit8254_mode(p, c),
                p->reload[c], pit8254_count(p, c, now), pit8254_out(p, c, now));
}

struct line *pit8254_irq(struct device *dev)
{
    return &((struct pit8254 *)dev)->irq;
}

const struct device_class pit8254_class = {
    .name = "pit8254",
    .title = "8254 interval timer",
    .size = sizeof(struct pit8254),
    .version = 1,
    .fields = pit8254_fields,
    .realize = pit8254_realize,
    .unrealize = pit8254_unrealize,
    .reset = pit8254_reset,
    .settle = pit8254_settle,
    .show = pit8254_show,
};
