/* The machine's time: cycles of the emulated processors, and timers on it.
 * Devices take time from here and never from the native machine, so that a run repeats exactly. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* The TSC's rate. 2 GHz: one nanosecond is two cycles. */
#define CLOCK_HZ UINT64_C(2000000000)
#define CLOCK_CYCLES_A_NS 2

struct timer {
    const char *name;
    void (*fire)(void *owner); /* called at or after the deadline, between blocks */
    void *owner;
    uint64_t deadline; /* cycles; TIMER_OFF while not armed */
    struct timer *next;
    struct clock *clock;
};

#define TIMER_OFF UINT64_MAX

struct clock {
    struct timer *first; /* by deadline; equal deadlines in the order in which they were armed */
    /* filled by the machine: cycles now, exact inside a block's I/O; and "the first deadline
     * has moved to before what you knew" */
    uint64_t (*now)(void *owner);
    void (*sooner)(void *owner, uint64_t deadline);
    void *owner;
};

/* cycles since power-on */
static inline uint64_t clock_now(const struct clock *c)
{
    return c->now(c->owner);
}

/* nanoseconds since power-on */
static inline uint64_t clock_ns(const struct clock *c)
{
    return clock_now(c) / CLOCK_CYCLES_A_NS;
}

/* cycles converted to ticks of a clock of `hz`, rounded down, and back, rounded up: 128-bit inside */
uint64_t clock_to_ticks(uint64_t cycles, uint64_t hz);
uint64_t clock_from_ticks(uint64_t ticks, uint64_t hz);

void timer_init(struct timer *t, struct clock *c, const char *name, void (*fire)(void *),
                void *owner);
/* (re)arm for an absolute time; a deadline in the past fires at once, between blocks */
void timer_set(struct timer *t, uint64_t deadline_cycles);
void timer_cancel(struct timer *t);
static inline bool timer_armed(const struct timer *t)
{
    return t->deadline != TIMER_OFF;
}

/* the first deadline, or TIMER_OFF */
uint64_t clock_deadline(const struct clock *c);
/* fire all whose deadline is not after `now` (each is disarmed first and may rearm itself) */
void clock_run(struct clock *c, uint64_t now);
