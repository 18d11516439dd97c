/* The local APIC's timer: one-shot, periodic and TSC-deadline.
 * [SDM 3A "APIC Timer"], [SDM 3A "TSC-Deadline Mode"]
 *
 * The count is computed from the cycle at which it began. It goes on while the LVT entry is masked;
 * a timer of the machine's clock is armed only while the entry can interrupt. */
#include "base/bits.h"
#include "devices/lapic_state.h"
#include "devices/trace.h"

static uint64_t lapic_timer_now(const struct lapic *l)
{
    return clock_now(l->dev.host->clock);
}

static unsigned lapic_timer_mode(const struct lapic *l)
{
    return (unsigned)bits(l->lvt[LVT_TIMER], 18, 17);
}

/* cycles of one count: bits 3, 1 and 0 of the divide configuration select 2, 4, ... 128, 1 */
static uint64_t lapic_timer_unit(const struct lapic *l)
{
    unsigned code = (l->timer_divide & 3) | (l->timer_divide >> 1 & 4);

    return CLOCK_HZ / APIC_TIMER_HZ << ((code + 1) & 7);
}

static uint64_t lapic_timer_length(const struct lapic *l)
{
    return l->timer_initial * lapic_timer_unit(l);
}

/* when it next expires, or TIMER_OFF */
static uint64_t lapic_timer_expiry(const struct lapic *l)
{
    if (lapic_timer_mode(l) == APIC_TIMER_TSC_DEADLINE)
        return l->tsc_deadline ? l->tsc_deadline : TIMER_OFF;
    return l->timer_running ? l->timer_origin + lapic_timer_length(l) : TIMER_OFF;
}

static void lapic_timer_arm(struct lapic *l)
{
    uint64_t expiry = lapic_timer_expiry(l);

    if (l->lvt[LVT_TIMER] & APIC_LVT_MASKED)
        expiry = TIMER_OFF;
    if (expiry != l->timer.deadline)
        timer_set(&l->timer, expiry);
}

/* what is due happens, masked or not */
static void lapic_timer_sync(struct lapic *l)
{
    uint64_t now = lapic_timer_now(l);
    uint64_t length = lapic_timer_length(l);

    if (lapic_timer_mode(l) == APIC_TIMER_TSC_DEADLINE) {
        if (!l->tsc_deadline || l->tsc_deadline > now)
            return;
        l->tsc_deadline = 0;
    } else {
        if (!l->timer_running || now - l->timer_origin < length)
            return;
        if (lapic_timer_mode(l) == APIC_TIMER_PERIODIC && length)
            l->timer_origin += (now - l->timer_origin) / length * length;
        else
            l->timer_running = 0;
    }
    trace_lapic_timer(l->dev.id, l->lvt[LVT_TIMER] & 0xff);
    lapic_fire_lvt(l, LVT_TIMER);
}

static void lapic_timer_fire(void *owner)
{
    lapic_timer_sync(owner);
    lapic_timer_arm(owner);
}

void lapic_timer_init(struct lapic *l)
{
    timer_init(&l->timer, l->dev.host->clock, "apic timer", lapic_timer_fire, l);
}

void lapic_timer_settle(struct lapic *l)
{
    lapic_timer_arm(l);
}

uint32_t lapic_timer_current(struct lapic *l)
{
    lapic_timer_sync(l);
    lapic_timer_arm(l);
    if (lapic_timer_mode(l) == APIC_TIMER_TSC_DEADLINE || !l->timer_running)
        return 0;
    return (uint32_t)(l->timer_initial -
                      (lapic_timer_now(l) - l->timer_origin) / lapic_timer_unit(l));
}

void lapic_timer_set_initial(struct lapic *l, uint32_t value)
{
    if (lapic_timer_mode(l) == APIC_TIMER_TSC_DEADLINE)
        return;
    lapic_timer_sync(l);
    l->timer_initial = value;
    l->timer_running = value != 0;
    l->timer_origin = lapic_timer_now(l);
    lapic_timer_arm(l);
}

/* The count stays and goes on at the new rate. */
void lapic_timer_set_divide(struct lapic *l, uint32_t value)
{
    uint32_t count = lapic_timer_current(l);

    l->timer_divide = value;
    l->timer_origin = lapic_timer_now(l) - (l->timer_initial - count) * lapic_timer_unit(l);
    lapic_timer_arm(l);
}

/* Going to or from TSC-deadline mode disarms; between the two others the count goes on. */
void lapic_timer_set_lvt(struct lapic *l, uint32_t value)
{
    unsigned old = lapic_timer_mode(l);

    lapic_timer_sync(l);
    l->lvt[LVT_TIMER] = value;
    if ((old == APIC_TIMER_TSC_DEADLINE) != (lapic_timer_mode(l) == APIC_TIMER_TSC_DEADLINE)) {
        l->timer_running = 0;
        l->tsc_deadline = 0;
    }
    lapic_timer_arm(l);
}

uint64_t lapic_timer_read_deadline(void *owner)
{
    struct lapic *l = owner;

    lapic_timer_sync(l);
    lapic_timer_arm(l);
    return lapic_timer_mode(l) == APIC_TIMER_TSC_DEADLINE ? l->tsc_deadline : 0;
}

void lapic_timer_write_deadline(void *owner, uint64_t cycle)
{
    struct lapic *l = owner;

    if (lapic_timer_mode(l) != APIC_TIMER_TSC_DEADLINE)
        return;
    lapic_timer_sync(l);
    l->tsc_deadline = cycle;
    lapic_timer_arm(l);
}
