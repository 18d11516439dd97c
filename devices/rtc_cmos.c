/* MC146818 real-time clock with 256 bytes of CMOS memory: index and data at ports 70H-71H, the
 * upper bank at 72H-73H. The century is byte 32H, as the FADT says.
 * [Motorola MC146818 data sheet], [ICH9 data sheet "Real Time Clock Registers"]
 *
 * Nothing ticks: the time is the machine's clock plus an offset, flags are found when software
 * looks, and a timer is armed only for an interrupt that is enabled. */
#include "devices/rtc_cmos.h"

#include "base/assert.h"
#include "base/bits.h"
#include "devices/rtc_time.h"
#include "devices/trace.h"

/* clang-format off */
enum {
    REG_SECONDS, REG_SECONDS_ALARM, REG_MINUTES, REG_MINUTES_ALARM, REG_HOURS, REG_HOURS_ALARM,
    REG_WEEKDAY, REG_DAY, REG_MONTH, REG_YEAR, REG_A, REG_B, REG_C, REG_D,
    REG_CENTURY = 0x32,
};
/* clang-format on */
enum { A_UIP = 0x80, A_DIVIDER = 0x70, A_DIVIDER_ON = 0x20, A_RATE = 0x0f };
enum {
    B_SET = 0x80,
    B_PIE = 0x40,
    B_AIE = 0x20,
    B_UIE = 0x10,
    B_SQWE = 8,
    B_BINARY = 4,
    B_24H = 2
};
enum { C_IRQF = 0x80, C_PF = 0x40, C_AF = 0x20, C_UF = 0x10 };
enum { D_VALID = 0x80 };

#define UIP_CYCLES (CLOCK_HZ * 244 / 1000000) /* UIP is set this long before an update */
#define RATE_HZ UINT64_C(32768)

struct rtc_cmos {
    struct device dev;
    uint8_t cmos[256]; /* the clock's own bytes hold what was last written or loaded */
    uint8_t index;
    uint8_t index_high;
    /* seconds since 1970 = offset + whole seconds of (cycles - phase) */
    int64_t offset;
    uint64_t phase;
    uint64_t seen; /* cycle up to which the flags of register C are complete */
    struct timer timer;
    struct line irq;
};

static const struct field rtc_cmos_fields[] = {
    FIELD_ARRAY(struct rtc_cmos, cmos, .kept = true),
    FIELD(struct rtc_cmos, index, .reset = 0),
    FIELD(struct rtc_cmos, index_high, .reset = 0),
    FIELD(struct rtc_cmos, offset, .kept = true),
    FIELD(struct rtc_cmos, phase, .kept = true),
    FIELD(struct rtc_cmos, seen, .kept = true),
    { 0 },
};

static uint64_t rtc_cmos_now(const struct rtc_cmos *r)
{
    return clock_now(r->dev.host->clock);
}

/* the divider chain runs, so that the time can advance */
static bool rtc_cmos_runs(const struct rtc_cmos *r)
{
    return (r->cmos[REG_A] & A_DIVIDER) == A_DIVIDER_ON;
}

static bool rtc_cmos_updates(const struct rtc_cmos *r)
{
    return rtc_cmos_runs(r) && !(r->cmos[REG_B] & B_SET);
}

static uint64_t rtc_cmos_seconds(const struct rtc_cmos *r, uint64_t cycle)
{
    return (cycle - r->phase) / CLOCK_HZ;
}

static int64_t rtc_cmos_time(const struct rtc_cmos *r, uint64_t cycle)
{
    return (int64_t)((uint64_t)r->offset + rtc_cmos_seconds(r, cycle));
}

/* a number in the form that register B asks for, and back */
static uint8_t rtc_cmos_encode(const struct rtc_cmos *r, unsigned v)
{
    return (uint8_t)(r->cmos[REG_B] & B_BINARY ? v : v / 10 << 4 | v % 10);
}

static unsigned rtc_cmos_decode(const struct rtc_cmos *r, uint8_t v)
{
    return r->cmos[REG_B] & B_BINARY ? v : (v >> 4) * 10u + (v & 15);
}

static uint8_t rtc_cmos_encode_hour(const struct rtc_cmos *r, unsigned hour)
{
    if (r->cmos[REG_B] & B_24H)
        return rtc_cmos_encode(r, hour);
    return (uint8_t)(rtc_cmos_encode(r, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? 0x80 : 0));
}

static unsigned rtc_cmos_decode_hour(const struct rtc_cmos *r, uint8_t v)
{
    unsigned hour = rtc_cmos_decode(r, r->cmos[REG_B] & B_24H ? v : v & 0x7f);

    return r->cmos[REG_B] & B_24H ? hour : hour % 12 + (v & 0x80 ? 12 : 0);
}

/* the time now into the bytes of the clock; they stand still while SET or a stopped divider says */
static void rtc_cmos_load(struct rtc_cmos *r)
{
    struct rtc_time t;

    if (!rtc_cmos_updates(r))
        return;
    rtc_time_split(rtc_cmos_time(r, rtc_cmos_now(r)), &t);
    r->cmos[REG_SECONDS] = rtc_cmos_encode(r, t.second);
    r->cmos[REG_MINUTES] = rtc_cmos_encode(r, t.minute);
    r->cmos[REG_HOURS] = rtc_cmos_encode_hour(r, t.hour);
    r->cmos[REG_WEEKDAY] = rtc_cmos_encode(r, t.weekday + 1);
    r->cmos[REG_DAY] = rtc_cmos_encode(r, t.day);
    r->cmos[REG_MONTH] = rtc_cmos_encode(r, t.month);
    r->cmos[REG_YEAR] = rtc_cmos_encode(r, t.year % 100);
    r->cmos[REG_CENTURY] = rtc_cmos_encode(r, t.year / 100);
}

/* the bytes of the clock become the time from now on */
static void rtc_cmos_take(struct rtc_cmos *r)
{
    struct rtc_time t = {
        .second = rtc_cmos_decode(r, r->cmos[REG_SECONDS]),
        .minute = rtc_cmos_decode(r, r->cmos[REG_MINUTES]),
        .hour = rtc_cmos_decode_hour(r, r->cmos[REG_HOURS]),
        .day = rtc_cmos_decode(r, r->cmos[REG_DAY]),
        .month = rtc_cmos_decode(r, r->cmos[REG_MONTH]),
        .year = rtc_cmos_decode(r, r->cmos[REG_YEAR]) +
                100 * rtc_cmos_decode(r, r->cmos[REG_CENTURY]),
    };

    r->offset = (int64_t)((uint64_t)rtc_time_join(&t) - rtc_cmos_seconds(r, rtc_cmos_now(r)));
}

/* seconds from `time` to the next alarm after it: 1 to 86400; 0: that alarm never comes */
static unsigned rtc_cmos_to_alarm(const struct rtc_cmos *r, int64_t time)
{
    const uint8_t *alarm = &r->cmos[REG_SECONDS_ALARM];
    bool any_second = (alarm[0] & 0xc0) == 0xc0;
    bool any_minute = (alarm[2] & 0xc0) == 0xc0;
    bool any_hour = (alarm[4] & 0xc0) == 0xc0;
    unsigned second = rtc_cmos_decode(r, alarm[0]);
    unsigned minute = rtc_cmos_decode(r, alarm[2]);
    unsigned hour = rtc_cmos_decode_hour(r, alarm[4]);
    unsigned ahead = 0;
    struct rtc_time t;

    if ((!any_second && second > 59) || (!any_minute && minute > 59) || (!any_hour && hour > 23))
        return 0;
    rtc_time_split((int64_t)((uint64_t)time + 1), &t);
    for (ahead = 1; ahead <= 86400;) {
        unsigned step;

        if (!any_hour && t.hour != hour)
            step = 3600 - t.minute * 60 - t.second;
        else if (!any_minute && t.minute != minute)
            step = 60 - t.second;
        else if (!any_second && t.second != second)
            step = t.second < second ? second - t.second : 60 - t.second;
        else
            return ahead;
        ahead += step;
        t.second += step;
        t.minute += t.second / 60;
        t.second %= 60;
        t.hour = (t.hour + t.minute / 60) % 24;
        t.minute %= 60;
    }
    return 0;
}

/* cycles of the periodic interrupt; 0: off. Rates 1 and 2 are those of 8 and 9. */
static uint64_t rtc_cmos_period(const struct rtc_cmos *r)
{
    unsigned rate = r->cmos[REG_A] & A_RATE;

    if (rate == 0 || !rtc_cmos_runs(r))
        return 0;
    if (rate <= 2)
        rate += 7;
    return CLOCK_HZ * (UINT64_C(1) << (rate - 1)) / RATE_HZ;
}

/* set the flags of what has happened since the last look */
static void rtc_cmos_look(struct rtc_cmos *r)
{
    uint64_t now = rtc_cmos_now(r);
    uint64_t then = r->seen;
    uint64_t period = rtc_cmos_period(r);
    uint64_t seconds = rtc_cmos_seconds(r, now) - rtc_cmos_seconds(r, then);
    unsigned alarm;

    r->seen = now;
    if (period && (now - r->phase) / period != (then - r->phase) / period)
        r->cmos[REG_C] |= C_PF;
    if (rtc_cmos_updates(r) && seconds) {
        r->cmos[REG_C] |= C_UF;
        alarm = rtc_cmos_to_alarm(r, rtc_cmos_time(r, then));
        if (alarm && alarm <= seconds)
            r->cmos[REG_C] |= C_AF;
    }
}

static void rtc_cmos_sooner(uint64_t *deadline, uint64_t cycle)
{
    if (cycle < *deadline)
        *deadline = cycle;
}

/* IRQF and the line, and a timer for the next enabled interrupt that is not pending yet */
static void rtc_cmos_drive(struct rtc_cmos *r)
{
    uint64_t now = rtc_cmos_now(r);
    uint64_t period = rtc_cmos_period(r);
    uint64_t second = now - (now - r->phase) % CLOCK_HZ; /* when the current one began */
    uint64_t deadline = TIMER_OFF;
    uint8_t b = r->cmos[REG_B];
    bool irq = r->cmos[REG_C] & b & (C_PF | C_AF | C_UF); /* the same bits enable */
    unsigned alarm;

    r->cmos[REG_C] = (uint8_t)((r->cmos[REG_C] & ~C_IRQF) | (irq ? C_IRQF : 0));
    line_set(&r->irq, irq);
    if (!irq && (b & B_PIE) && period)
        rtc_cmos_sooner(&deadline, now - (now - r->phase) % period + period);
    if (!irq && (b & B_UIE) && rtc_cmos_updates(r))
        rtc_cmos_sooner(&deadline, second + CLOCK_HZ);
    if (!irq && (b & B_AIE) && rtc_cmos_updates(r)) {
        alarm = rtc_cmos_to_alarm(r, rtc_cmos_time(r, now));
        if (alarm)
            rtc_cmos_sooner(&deadline, second + alarm * CLOCK_HZ);
    }
    timer_set(&r->timer, deadline);
}

static void rtc_cmos_fire(void *owner)
{
    rtc_cmos_look(owner);
    rtc_cmos_drive(owner);
}

static uint8_t rtc_cmos_read_a(struct rtc_cmos *r)
{
    uint64_t left = CLOCK_HZ - (rtc_cmos_now(r) - r->phase) % CLOCK_HZ;
    bool uip = rtc_cmos_updates(r) && left <= UIP_CYCLES;

    return (uint8_t)(r->cmos[REG_A] | (uip ? A_UIP : 0));
}

static uint8_t rtc_cmos_get(struct rtc_cmos *r, unsigned index)
{
    uint8_t c;

    switch (index) {
    case REG_A: return rtc_cmos_read_a(r);
    case REG_C: /* reading clears it, and the interrupt */
        rtc_cmos_look(r);
        rtc_cmos_drive(r);
        c = r->cmos[REG_C];
        r->cmos[REG_C] = 0;
        rtc_cmos_drive(r);
        return c;
    case REG_D: return D_VALID;
    default:
        if (index <= REG_YEAR || index == REG_CENTURY)
            rtc_cmos_load(r);
        return r->cmos[index];
    }
}

/* Starting the divider chain makes the first update half a second later. */
static void rtc_cmos_set_a(struct rtc_cmos *r, uint8_t value)
{
    bool ran = rtc_cmos_runs(r);

    rtc_cmos_load(r);
    r->cmos[REG_A] = value & (uint8_t)~A_UIP;
    if (!ran && rtc_cmos_runs(r)) {
        r->phase = rtc_cmos_now(r) - CLOCK_HZ / 2;
        r->seen = rtc_cmos_now(r);
        rtc_cmos_take(r);
    }
}

static void rtc_cmos_set_b(struct rtc_cmos *r, uint8_t value)
{
    bool stood = !rtc_cmos_updates(r);

    rtc_cmos_load(r);
    if (value & B_SET)
        value &= (uint8_t)~B_UIE;
    r->cmos[REG_B] = value;
    if (stood && rtc_cmos_updates(r))
        rtc_cmos_take(r);
}

static void rtc_cmos_put(struct rtc_cmos *r, unsigned index, uint8_t value)
{
    trace_rtc_cmos_write(r->dev.id, index, value);
    rtc_cmos_look(r);
    switch (index) {
    case REG_A: rtc_cmos_set_a(r, value); break;
    case REG_B: rtc_cmos_set_b(r, value); break;
    case REG_C:
    case REG_D: break;
    case REG_SECONDS_ALARM:
    case REG_MINUTES_ALARM:
    case REG_HOURS_ALARM: r->cmos[index] = value; break;
    default:
        if (index <= REG_YEAR || index == REG_CENTURY) {
            rtc_cmos_load(r);
            r->cmos[index] = value;
            if (rtc_cmos_updates(r))
                rtc_cmos_take(r);
        } else {
            r->cmos[index] = value;
        }
    }
    rtc_cmos_drive(r);
}

static uint64_t rtc_cmos_io_read(void *owner, uint64_t offset, unsigned size)
{
    struct rtc_cmos *r = owner;

    switch (offset) {
    case 1: return rtc_cmos_get(r, r->index & 0x7f);
    case 2: return r->index_high;
    case 3: return r->cmos[0x80 | r->index_high];
    default: /* the index and the NMI mask cannot be read */ return 0xff;
    }
}

static void rtc_cmos_io_write(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
    struct rtc_cmos *r = owner;

    switch (offset) {
    case 0: /* bit 7 masks NMIs, of which the board has no source */
        r->index = (uint8_t)value;
        break;
    case 1: rtc_cmos_put(r, r->index & 0x7f, (uint8_t)value); break;
    case 2: r->index_high = value & 0x7f; break;
    case 3: r->cmos[0x80 | r->index_high] = (uint8_t)value; break;
    }
}

static bool rtc_cmos_realize(struct device *dev, struct err *e)
{
    static const struct io_ops ops = { rtc_cmos_io_read, rtc_cmos_io_write, SIZE_8 };
    struct rtc_cmos *r = (struct rtc_cmos *)dev;
    const struct outside *outside = &dev->host->outside;

    r->cmos[REG_A] = 0x26; /* running, 1024 Hz */
    r->cmos[REG_B] = B_24H;
    r->offset = outside->wall_seconds ? outside->wall_seconds(outside->owner) : 0;
    timer_init(&r->timer, dev->host->clock, "rtc", rtc_cmos_fire, r);
    ports_map(dev->host->ports, 0x70, 4, "rtc", &ops, dev);
    return true;
}

static void rtc_cmos_unrealize(struct device *dev)
{
    struct rtc_cmos *r = (struct rtc_cmos *)dev;

    if (r->timer.clock)
        timer_cancel(&r->timer);
}

/* [MC146818 "RESET"]: time, alarm and memory stay */
static void rtc_cmos_reset(struct device *dev)
{
    struct rtc_cmos *r = (struct rtc_cmos *)dev;

    r->cmos[REG_B] &= (uint8_t) ~(B_PIE | B_AIE | B_UIE | B_SQWE);
    r->cmos[REG_C] = 0;
}

static void rtc_cmos_settle(struct device *dev)
{
    struct rtc_cmos *r = (struct rtc_cmos *)dev;

    r->index_high &= 0x7f;
    rtc_cmos_drive(r);
}

struct line *rtc_cmos_irq(struct device *dev)
{
    return &((struct rtc_cmos *)dev)->irq;
}

void rtc_cmos_store(struct device *dev, unsigned index, uint8_t value)
{
    ASSERT(index > REG_D && index < 256 && index != REG_CENTURY);
    ((struct rtc_cmos *)dev)->cmos[index] = value;
}

/* `units` of 2^shift bytes, at most 65535, in two bytes */
static void rtc_cmos_store_size(struct device *dev, unsigned index, uint64_t bytes, unsigned shift)
{
    uint64_t units = bytes >> shift;

    if (units > 0xffff)
        units = 0xffff;
    rtc_cmos_store(dev, index, (uint8_t)units);
    rtc_cmos_store(dev, index + 1, (uint8_t)(units >> 8));
}

void rtc_cmos_store_memory(struct device *dev, uint64_t below_4g, uint64_t above_4g)
{
    const uint64_t mib = 1 << 20;
    uint64_t extended = below_4g > mib ? below_4g - mib : 0;
    uint64_t high = below_4g > 16 * mib ? below_4g - 16 * mib : 0;

    rtc_cmos_store_size(dev, 0x15, 640 * 1024, 10);
    rtc_cmos_store_size(dev, 0x17, extended, 10);
    rtc_cmos_store_size(dev, 0x30, extended, 10);
    rtc_cmos_store_size(dev, 0x34, high, 16);
    for (unsigned i = 0; i < 3; i++)
        rtc_cmos_store(dev, 0x5b + i, (uint8_t)(above_4g >> (16 + 8 * i)));
}

static void rtc_cmos_show(const struct device *dev, FILE *out)
{
    const struct rtc_cmos *r = (const struct rtc_cmos *)dev;
    struct rtc_time t;

    rtc_time_split(rtc_cmos_time(r, rtc_cmos_now(r)), &t);
    fprintf(out, "time %04u-%02u-%02u %02u:%02u:%02u%s\n", t.year, t.month, t.day, t.hour, t.minute,
            t.second, rtc_cmos_updates(r) ? "" : " (stopped)");
}

const struct device_class rtc_cmos_class = {
    .name = "rtc_cmos",
    .title = "real-time clock and CMOS memory",
    .size = sizeof(struct rtc_cmos),
    .version = 1,
    .fields = rtc_cmos_fields,
    .realize = rtc_cmos_realize,
    .unrealize = rtc_cmos_unrealize,
    .reset = rtc_cmos_reset,
    .settle = rtc_cmos_settle,
    .show = rtc_cmos_show,
};
