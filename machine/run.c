/* Running the machine: processors take turns in one thread, timers fire between turns, idle time is
 * skipped or handed to the caller. All of it in cycles, so that a run repeats exactly. How the caller
 * cuts time into slices changes nothing that the guest of one processor can see; the turns of
 * several end with the slice. */
#include "base/bits.h"
#include "base/native_time.h"
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

/* After a block at `before`: is the processor's part of the turn over? Halted, it has one more look
 * at its events. */
static bool part_over(const struct nidus *m, const struct cpu *cpu, uint64_t before)
{
    return m->ended || m->reset_wanted || cpu_cycles(cpu) >= m->turn.mine ||
           (cpu->activity != ACTIVE && cpu_cycles(cpu) == before);
}

/* The processor whose part it is runs to its end, or for one block. True: its part is over. */
static bool take_part(struct nidus *m, struct cpu *cpu, bool one_block)
{
    uint64_t before = cpu_cycles(cpu), begin = native_ns();

    m->running = cpu;
    cpu_run(cpu, one_block ? before + 1 : m->turn.mine);
    m->running = NULL;
    m->run_ns += native_ns() - begin;
    return !one_block || part_over(m, cpu, before);
}

static void next_part(struct turn *t)
{
    t->cpu++;
    t->begun = false;
}

/* Each processor runs until the turn's end. False: left after one block, there may be more. */
static bool take_turns(struct nidus *m, bool one_block)
{
    struct turn *t = &m->turn;

    while (t->cpu < m->cpu_count && !m->ended && !m->reset_wanted) {
        struct cpu *cpu = m->cpu[t->cpu];

        if (!t->begun) {
            if (cpu_cycles(cpu) >= t->end || !is_awake(cpu)) {
                next_part(t);
                continue;
            }
            t->begun = true;
            t->mine = t->end;
        }
        if (take_part(m, cpu, one_block))
            next_part(t);
        if (one_block)
            return false;
    }
    return true;
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

static bool begin_turn(struct nidus *m, uint64_t slice_end, enum nidus_event *event)
{
    uint64_t end = turn_end(m, slice_end);

    *event = m->event;
    if (m->ended)
        return false;
    if (m->reset_wanted) {
        m->reset_wanted = false;
        nidus_reset(m);
    }
    if (m->stop) {
        m->stop = 0;
        *event = NIDUS_STOPPED;
        return false;
    }
    m->turn = (struct turn){ .stage = TURN_FIRST, .end = end };
    return true;
}

/* A turn is over: time passes. */
static bool end_turn(struct nidus *m, uint64_t slice_end, enum nidus_event *event)
{
    struct turn done = m->turn;

    m->turn.stage = TURN_NONE;
    *event = m->event;
    if (done.stage == TURN_FIRST) {
        if (m->ended)
            return false;
        advance(m, reached(m, done.end));
        if (all_asleep(m)) /* one may have woken another whose turn was over */
            m->turn = (struct turn){ .stage = TURN_WAKE, .end = m->now + 1 };
        return true;
    }
    return m->ended || m->reset_wanted || !all_asleep(m) || sleep_all(m, slice_end, event);
}

/* The next piece of a run. False: it ends, with *event. */
static bool run_piece(struct nidus *m, uint64_t slice_end, bool one_block, enum nidus_event *event)
{
    if (m->turn.stage == TURN_NONE)
        return begin_turn(m, slice_end, event);
    return !take_turns(m, one_block) || end_turn(m, slice_end, event);
}

static bool run_is_over(const struct nidus *m, uint64_t cycle)
{
    return m->now >= cycle && m->turn.stage == TURN_NONE;
}

enum nidus_event nidus_run_to(struct nidus *m, uint64_t cycle)
{
    enum nidus_event event = NIDUS_TIME;

    while (!run_is_over(m, cycle)) {
        if (!run_piece(m, cycle, false, &event))
            return event;
    }
    return NIDUS_TIME;
}

bool nidus_run_block(struct nidus *m, uint64_t cycle, enum nidus_event *event)
{
    if (run_is_over(m, cycle)) {
        *event = NIDUS_TIME;
        return false;
    }
    return run_piece(m, cycle, true, event);
}

enum nidus_event nidus_run(struct nidus *m, uint64_t ns)
{
    bool for_ever = ns > (TIMER_OFF - 1 - m->now) / CLOCK_CYCLES_A_NS;

    return nidus_run_to(m, for_ever ? TIMER_OFF - 1 : m->now + ns * CLOCK_CYCLES_A_NS);
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
