/* From a raised exception to its delivery: double and triple faults, EXT, RF, CR2, DR6.
 * [SDM 3A "Interrupt and Exception Handling": "Error Code", "Interrupt 8 - Double Fault Exception"] */
#include "cpu/interrupt.h"

#include "cpu/virt.h"

enum severity { BENIGN, CONTRIBUTORY, PAGE_FAULT, DOUBLE_FAULT };

static enum severity exception_severity(const struct event *ev)
{
    if (ev->type != EVENT_TYPE_HARDWARE)
        return BENIGN;
    switch (ev->vector) {
    case DE:
    case TS:
    case NP:
    case SS:
    case GP:
    case CP: return CONTRIBUTORY;
    case PF:
    case VE: return PAGE_FAULT;
    case DF: return DOUBLE_FAULT;
    default: return BENIGN;
    }
}

/* what a second event during the delivery of a first becomes */
enum outcome { IN_TURN, BECOMES_DF, SHUTS_DOWN };

static enum outcome exception_combine(const struct event *first, const struct event *second)
{
    /* clang-format off */
    static const uint8_t outcome[4][4] = {
        /* second:       benign   contributory page fault   double fault */
        [BENIGN]       = {IN_TURN, IN_TURN,     IN_TURN,     IN_TURN},
        [CONTRIBUTORY] = {IN_TURN, BECOMES_DF,  IN_TURN,     IN_TURN},
        [PAGE_FAULT]   = {IN_TURN, BECOMES_DF,  BECOMES_DF,  IN_TURN},
        [DOUBLE_FAULT] = {IN_TURN, SHUTS_DOWN,  SHUTS_DOWN,  SHUTS_DOWN},
    };
    /* clang-format on */

    return (enum outcome)outcome[exception_severity(first)][exception_severity(second)];
}

/* An error code that names a segment or a gate says whether the program itself was the cause. */
static bool exception_has_ext(const struct cpu *cpu, const struct event *ev)
{
    bool selector = ev->vector == TS || ev->vector == NP || ev->vector == SS || ev->vector == GP;

    return cpu->delivering && selector && cpu->current.type != EVENT_TYPE_SOFTWARE_INT &&
           cpu->current.type != EVENT_TYPE_SOFTWARE_EXC;
}

/* The image of RFLAGS has RF set for faults, so that the restarted instruction does not hit its
 * breakpoint again; not for the breakpoint itself, nor for traps and aborts. */
static bool exception_sets_rf(const struct event *ev)
{
    if (ev->vector == DB)
        return (ev->payload & DR6_BD) != 0;
    return ev->vector != DF && ev->vector != MC;
}

static void exception_shutdown(struct cpu *cpu)
{
    if (cpu->non_root)
        cpu->virt->triple_fault(cpu);
    cpu->delivering = false;
    cpu->activity = SHUTDOWN;
    cpu_kick(cpu);
    if (cpu->triple_fault)
        cpu->triple_fault(cpu, cpu->board);
}

static void exception_deliver(struct cpu *cpu, const struct event *ev)
{
    if (cpu->non_root)
        cpu->virt->exception(cpu, ev);
    if (ev->vector == PF)
        cpu->cr2 = ev->payload;
    if (ev->vector == DB) {
        cpu->dr[6] = (cpu->dr[6] & ~DR6_B_ALL) | ev->payload;
        cpu->dr[7] &= ~DR7_GD;
    }
    interrupt_deliver(cpu, ev);
}

void exception_dispatch(struct cpu *cpu)
{
    struct event ev = cpu->raised;
    struct event df = { .vector = DF, .type = EVENT_TYPE_HARDWARE, .has_error = true };

    cpu_update_key(cpu); /* a gate may have been writing its frame in the view of another level */
    ev.nmi_unblocking = cpu->iret_unblocked_nmi;
    cpu->iret_unblocked_nmi = false;
    if (!(cpu->blocking & BLOCK_MOV_SS)) /* a fault overtakes its instruction's breakpoints */
        debug_drop(cpu, UINT64_MAX);
    else
        ev.payload |= debug_held(cpu, &ev);
    if (ev.has_error && exception_has_ext(cpu, &ev))
        ev.error_code |= 1;
    if (exception_sets_rf(&ev))
        cpu->rflags |= RFLAGS_RF;
    if (!cpu->delivering || exception_combine(&cpu->current, &ev) == IN_TURN) {
        exception_deliver(cpu, &ev);
        return;
    }
    /* in non-root operation the second exception may exit by itself, before it is combined */
    if (cpu->non_root)
        cpu->virt->exception(cpu, &ev);
    if (exception_combine(&cpu->current, &ev) == SHUTS_DOWN)
        exception_shutdown(cpu);
    else
        exception_deliver(cpu, &df);
}

void debug_drop(struct cpu *cpu, uint64_t dr6_bits)
{
    cpu->pending_dbg &= ~dr6_bits;
    if (!cpu->pending_dbg)
        cpu->events &= ~(uint32_t)EVENT_DEBUG_TRAP;
}

uint64_t debug_held(struct cpu *cpu, const struct event *ev)
{
    uint64_t held = cpu->pending_dbg & DR6_B_ALL;

    debug_drop(cpu, DR6_BS);
    if (ev->vector != DB || ev->type == EVENT_TYPE_SOFTWARE_INT)
        return 0;
    debug_drop(cpu, UINT64_MAX);
    return held;
}

void debug_trap(struct cpu *cpu, uint64_t dr6_bits)
{
    struct event ev = { .vector = DB, .type = EVENT_TYPE_HARDWARE, .payload = dr6_bits };

    exception_deliver(cpu, &ev);
}
