/* The run loop of one logical processor: find a block, charge its cost, run it; between blocks,
 * when the budget has run out, look at events. Faults and VM exits unwind to here. */
#include "cpu/block.h"
#include "cpu/events.h"
#include "cpu/fpu_native.h"
#include "cpu/interrupt.h"
#include "cpu/log.h"
#include "cpu/operand.h"
#include "cpu/virt.h"

/* ---- unwinding ---- */

_Noreturn void cpu_raise_event_struct(struct cpu *cpu, const struct event *ev)
{
    cpu->raised = *ev;
    siglongjmp(*cpu->unwind, UNWIND_EXCEPTION);
}

_Noreturn void cpu_raise(struct cpu *cpu, unsigned vector)
{
    cpu_raise_event_struct(
        cpu, &(struct event){ .vector = (uint8_t)vector, .type = EVENT_TYPE_HARDWARE });
}

_Noreturn void cpu_raise_error(struct cpu *cpu, unsigned vector, uint32_t error_code)
{
    cpu_raise_event_struct(cpu, &(struct event){ .vector = (uint8_t)vector,
                                                 .type = EVENT_TYPE_HARDWARE,
                                                 .has_error = true,
                                                 .error_code = error_code });
}

_Noreturn void cpu_restart(struct cpu *cpu)
{
    siglongjmp(*cpu->unwind, UNWIND_RESTART);
}

void cpu_sync_rip(struct cpu *cpu)
{
    if (cpu->in) {
        cpu->rip = insn_rip(cpu, cpu->in);
        if (cpu->native.pending)
            cpu->native_ops->sync(cpu);
    }
    cpu->in = NULL;
}

__attribute__((noreturn)) void cpu_mmu_fault(void *owner, const struct mmu_fault *f)
{
    struct cpu *cpu = owner;
    struct event pf = { .vector = PF,
                        .type = EVENT_TYPE_HARDWARE,
                        .has_error = true,
                        .error_code = f->error_code,
                        .payload = f->linear };

    switch (f->kind) {
    case FAULT_PAGE: cpu_raise_event_struct(cpu, &pf);
    case FAULT_ALIGNMENT: cpu_raise_error(cpu, AC, 0);
    case FAULT_STAGE2: cpu->virt->stage2_fault(cpu, f);
    case FAULT_NONCANONICAL: break;
    }
    /* pushes of an event under delivery go through the stack segment */
    if (f->access != MMU_FETCH && (cpu->in ? cpu->in->seg == SEG_SS : cpu->delivering))
        raise_ss(cpu, 0);
    raise_gp(cpu, 0);
}

/* ---- time ---- */

void cpu_kick(struct cpu *cpu)
{
    cpu->horizon -= (uint64_t)cpu->budget;
    cpu->budget = 0;
}

void cpu_limit(struct cpu *cpu, uint64_t deadline)
{
    if (deadline >= cpu->until)
        return;
    cpu->until = deadline;
    cpu_kick(cpu); /* the boundary computes a new horizon */
}

void cpu_advance(struct cpu *cpu, uint64_t now)
{
    uint64_t have = cpu_cycles(cpu);

    if (now <= have)
        return;
    cpu->horizon = now;
    cpu->budget = 0;
    cpu->mmu.cost = 0;
}

/* ---- the loop ---- */

/* One instruction with all that can hang on it: code breakpoints, RF, shadows, single step. */
static void step(struct cpu *cpu)
{
    uint32_t shadow = cpu->blocking & (BLOCK_STI | BLOCK_MOV_SS);
    uint64_t trap = cpu->rflags & RFLAGS_TF, resume = cpu->rflags & RFLAGS_RF;

    cpu->in = NULL;
    cpu->step_trap_lost = false;
    if (!resume && !(shadow & BLOCK_MOV_SS)) { /* which holds back instruction breakpoints too */
        uint64_t linear = cpu->rip + (cpu_64bit(cpu) ? 0 : cpu->seg[SEG_CS].base);
        uint64_t hit = debug_code_breakpoints(cpu, linear);

        if (hit)
            cpu_raise_event_struct(
                cpu, &(struct event){ .vector = DB, .type = EVENT_TYPE_HARDWARE, .payload = hit });
    }
    if (cpu->log)
        cpu_log_instruction(cpu);
    block_enter(cpu, block_find(cpu));
    cpu->in = NULL;
    cpu->blocking &= ~shadow;
    if (resume)
        cpu->rflags &= ~RFLAGS_RF;
    if (trap && !cpu->step_trap_lost) {
        cpu->pending_dbg |= BIT(14); /* DR6.BS */
        cpu->events |= EVENT_DEBUG_TRAP;
    }
    cpu_update_key(cpu);
    cpu_kick(cpu);
}

/* true: b has native code now */
static bool heat(struct cpu *cpu, struct block *b)
{
    if (++b->heat < block_hot(b) || !cpu->native_ops || b->heat & BLOCK_COLD_FOR_EVER)
        return false;
    if (cpu->native_ops->translate(cpu, b))
        return true;
    b->heat = BLOCK_COLD_FOR_EVER;
    return false;
}

static void run_blocks(struct cpu *cpu)
{
    for (;;) {
        struct block *b;

        cpu_settle_cost(cpu);
        if (unlikely(cpu->budget <= 0 || (cpu->key & KEY_SINGLE))) {
            cpu->in = NULL;
            if (!cpu_events(cpu))
                return;
            if (cpu->key & KEY_SINGLE) {
                step(cpu);
                continue;
            }
        }
        b = block_next(cpu);
        if (unlikely(cpu->mmu.cost)) { /* the fetch took a walk: it may have used the budget up */
            cpu_settle_cost(cpu);
            if (cpu->budget <= 0)
                continue;
        }
        if (b->code || heat(cpu, b))
            cpu->native_ops->run(cpu, b);
        else
            block_enter(cpu, b);
    }
}

uint64_t cpu_run(struct cpu *cpu, uint64_t until)
{
    sigjmp_buf here, *outer = cpu->unwind;

    cpu->until = until;
    cpu->unwind = &here;
    cpu_kick(cpu);
    fpu_enter(cpu);
    switch (sigsetjmp(here, 0)) {
    case UNWIND_EXCEPTION:
        cpu_sync_rip(cpu);
        exception_dispatch(cpu); /* a fault in there unwinds and comes back here */
        break;
    case UNWIND_RESTART: cpu->in = NULL; break;
    default: break;
    }
    run_blocks(cpu);
    fpu_leave(cpu);
    cpu->in = NULL;
    cpu->unwind = outer;
    return cpu_cycles(cpu);
}
