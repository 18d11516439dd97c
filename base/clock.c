/* Timers: a list sorted by deadline. A machine has a few dozen, so a list beats a heap. */
#include "base/clock.h"

#include <stddef.h>

uint64_t clock_to_ticks(uint64_t cycles, uint64_t hz)
{
    return (uint64_t)((unsigned __int128)cycles * hz / CLOCK_HZ);
}

uint64_t clock_from_ticks(uint64_t ticks, uint64_t hz)
{
    unsigned __int128 cycles = ((unsigned __int128)ticks * CLOCK_HZ + hz - 1) / hz;

    return cycles >= TIMER_OFF ? TIMER_OFF - 1 : (uint64_t)cycles;
}

void timer_init(struct timer *t, struct clock *c, const char *name, void (*fire)(void *),
                void *owner)
{
    *t = (struct timer){
        .name = name, .fire = fire, .owner = owner, .deadline = TIMER_OFF, .clock = c
    };
}

void timer_cancel(struct timer *t)
{
    struct timer **at = &t->clock->first;

    if (!timer_armed(t))
        return;
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    t->next = NULL;
    t->deadline = TIMER_OFF;
}

void timer_set(struct timer *t, uint64_t deadline_cycles)
{
    struct clock *c = t->clock;
    struct timer **at = &c->first;

    timer_cancel(t);
    if (deadline_cycles == TIMER_OFF)
        return;
    t->deadline = deadline_cycles;
    while (*at && (*at)->deadline <= deadline_cycles)
        at = &(*at)->next;
    t->next = *at;
    *at = t;
    if (c->first == t && c->sooner)
        c->sooner(c->owner, deadline_cycles);
}

uint64_t clock_deadline(const struct clock *c)
{
    return c->first ? c->first->deadline : TIMER_OFF;
}

void clock_run(struct clock *c, uint64_t now)
{
    while (c->first && c->first->deadline <= now) {
        struct timer *t = c->first;

        timer_cancel(t);
        t->fire(t->owner);
    }
}
