/* Running the machine: processors take turns in one thread, timers fire between turns, idle time is
 * skipped or handed to the caller. All of it in cycles, so that a run repeats exactly; how the
 * caller cuts time into slices changes nothing that the guest can see. */
#include "base/bits.h"
#include "cpu/events.h"
#include "machine/board.h"
#include "machine/machine.h"

/* cycles of a turn while instructions are logged */
#define STEPPED_TURN UINT64_C(20000)

uint64_t machine_now(const struct nidus *m)
{
    return m->running ? cpu_cycles(m->running) : m->now;
}

static void kick_running(struct nidus *m)
{
    if (m->running)
        cpu_limit(m->running, 0);
}

void machine_end(struct nidus *m, enum nidus_event event)
{
    m->ended = true;
    m->event = event;
    kick_running(m);
}

void machine_reset_request(struct nidus *m)
{
    if (!m->config.reboot) {
        machine_end(m, NIDUS_RESET);
        return;
    }
    m->reset_wanted = true;
    kick_running(m);
}

void nidus_stop(struct nidus *m)
{
    m->stop = 1;
}

int nidus_exit_code(const struct nidus *m)
{
    return m->exit_code;
}

/* true: the processor has something to run, or an event that may wake it (the VMX-preemption timer
 * counts in every activity state) */
static bool is_awake(const struct cpu *cpu)
{
    return cpu->activity == ACTIVE || cpu->events != 0 || cpu_cycles(cpu) >= cpu->virt_deadline;
}

/* Let each processor run until `target`. */
static void take_turns(struct nidus *m, uint64_t target)
{
    for (unsigned i = 0; i < m->cpu_count && !m->ended && !m->reset_wanted; i++) {
        struct cpu *cpu = m->cpu[i];

        if (cpu_cycles(cpu) >= target || !is_awake(cpu))
            continue;
        m->running = cpu;
        cpu_run(cpu, target);
        m->running = NULL;
    }
}

/* The next timer, or VMX-preemption timer that ends a processor's sleep. */
static uint64_t next_wake(const struct nidus *m)
{
    uint64_t next = clock_deadline(&m->clock);

    for (unsigned i = 0; i < m->cpu_count; i++) {
        uint64_t mine = m->cpu[i]->virt_deadline;

        if (m->cpu[i]->activity != ACTIVE && mine > m->now && mine < next)
            next = mine;
    }
    return next;
}

/* The end of the next turn: a timer, the slice's end, or a quantum. */
static uint64_t turn_end(const struct nidus *m, uint64_t slice_end)
{
    uint64_t deadline = next_wake(m);
    uint64_t end = deadline < slice_end ? deadline : slice_end;

    if (m->cpu_count > 1 && end > m->now + MACHINE_QUANTUM)
        end = m->now + MACHINE_QUANTUM;
    if (m->cpu[0]->step_always && end > m->now + STEPPED_TURN)
        end = m->now + STEPPED_TURN; /* a log is slow to write: look up for nidus_stop */
    return end > m->now ? end : m->now + 1;
}

/* All processors have now reached `to`, by running or by sleeping. */
static void advance(struct nidus *m, uint64_t to)
{
    m->now = to;
    for (unsigned i = 0; i < m->cpu_count; i++)
        cpu_advance(m->cpu[i], to);
    clock_run(&m->clock, to);
}

static bool all_asleep(const struct nidus *m)
{
    for (unsigned i = 0; i < m->cpu_count; i++) {
        if (m->cpu[i]->activity == ACTIVE)
            return false;
    }
    return true;
}

/* Everybody sleeps. True: time has been skipped, go on. */
static bool sleep_all(struct nidus *m, uint64_t slice_end, enum nidus_event *event)
{
    uint64_t next = next_wake(m);

    *event = NIDUS_IDLE;
    if (m->config.real_clock)
        return false;
    *event = NIDUS_DEAD;
    if (next == TIMER_OFF)
        return false;
    *event = NIDUS_TIME;
    if (next > slice_end)
        next = slice_end;
    m->idle_cycles += next - m->now;
    advance(m, next);
    return true;
}

/* How far a turn that was to last until `end` has brought the machine: a timer that was armed for
 * sooner cuts it short, and when all sleep it ends where the last one fell asleep. */
static uint64_t reached(const struct nidus *m, uint64_t end)
{
    uint64_t latest = m->now, now = end;
    bool any = false;

    for (unsigned i = 0; i < m->cpu_count; i++) {
        uint64_t mine = cpu_cycles(m->cpu[i]);

        latest = mine > latest ? mine : latest;
        if (m->cpu[i]->activity != ACTIVE)
            continue;
        now = mine < now ? mine : now;
        any = true;
    }
    return !any ? latest : now > m->now ? now : m->now;
}

enum nidus_event nidus_run(struct nidus *m, uint64_t ns)
{
    uint64_t slice_end = ns > (TIMER_OFF - 1 - m->now) / CLOCK_CYCLES_A_NS
                             ? TIMER_OFF - 1
                             : m->now + ns * CLOCK_CYCLES_A_NS;

    while (m->now < slice_end) {
        uint64_t end = turn_end(m, slice_end);
        enum nidus_event event;

        if (m->ended)
            return m->event;
        if (m->reset_wanted) {
            m->reset_wanted = false;
            nidus_reset(m);
        }
        if (m->stop) {
            m->stop = 0;
            return NIDUS_STOPPED;
        }
        take_turns(m, end);
        if (m->ended)
            return m->event;
        advance(m, reached(m, end));
        if (!all_asleep(m))
            continue;
        take_turns(m, m->now + 1); /* one may have woken another whose turn was over */
        if (m->ended || m->reset_wanted || !all_asleep(m))
            continue;
        if (!sleep_all(m, slice_end, &event))
            return event;
    }
    return NIDUS_TIME;
}

void machine_step(struct nidus *m, struct cpu *cpu)
{
    bool always = cpu->step_always;

    cpu->step_always = true;
    cpu_update_key(cpu);
    m->running = cpu;
    cpu_run(cpu, cpu_cycles(cpu) + 1);
    m->running = NULL;
    cpu->step_always = always;
    cpu_update_key(cpu);
    advance(m, cpu_cycles(cpu));
}

uint64_t nidus_idle_ns(const struct nidus *m)
{
    uint64_t next = next_wake(m);

    if (next == TIMER_OFF)
        return UINT64_MAX;
    return next > m->now ? (next - m->now + CLOCK_CYCLES_A_NS - 1) / CLOCK_CYCLES_A_NS : 0;
}

void nidus_idle(struct nidus *m, uint64_t ns)
{
    m->idle_cycles += ns * CLOCK_CYCLES_A_NS;
    advance(m, m->now + ns * CLOCK_CYCLES_A_NS);
}
