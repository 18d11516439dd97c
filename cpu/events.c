/* Events between blocks, in the order of [SDM 3A "Prioritization of Concurrent Events"], with those
 * of VMX at their places. */
#include "cpu/events.h"

#include "cpu/interrupt.h"
#include "cpu/virt.h"

static bool take_init(struct cpu *cpu)
{
    uint32_t sipi = cpu->events & EVENT_SIPI; /* came after the INIT: not lost with the rest */

    if (cpu->vmx_operation && !cpu->non_root)
        return false; /* blocked in VMX root operation, stays pending */
    cpu->events &= ~(uint32_t)EVENT_INIT;
    if (cpu->non_root)
        cpu->virt->init(cpu);
    cpu_init_signal(cpu);
    cpu->events |= sipi;
    return true;
}

static bool take_sipi(struct cpu *cpu)
{
    cpu->events &= ~(uint32_t)EVENT_SIPI;
    if (cpu->activity != WAIT_FOR_SIPI)
        return true; /* not waiting: lost */
    if (cpu->non_root)
        cpu->virt->sipi(cpu, cpu->sipi_vector);
    cpu_startup(cpu, cpu->sipi_vector);
    return true;
}

static bool take_debug_trap(struct cpu *cpu)
{
    uint64_t bits = cpu->pending_dbg;

    if (cpu->blocking & BLOCK_MOV_SS)
        return false;
    cpu->events &= ~(uint32_t)EVENT_DEBUG_TRAP;
    cpu->pending_dbg = 0;
    cpu->activity = ACTIVE;
    debug_trap(cpu, bits);
    return true;
}

static bool take_nmi(struct cpu *cpu)
{
    if (cpu->blocking & (BLOCK_STI | BLOCK_MOV_SS)) /* so that STI; HLT cannot miss one */
        return false;
    if (cpu->blocking & BLOCK_NMI && !(cpu->non_root && cpu->virt->ignores_nmi_blocking(cpu)))
        return false;
    if (cpu->non_root)
        cpu->virt->nmi(cpu);
    cpu->events &= ~(uint32_t)EVENT_NMI;
    cpu->activity = ACTIVE;
    cpu->blocking |= BLOCK_NMI;
    interrupt_deliver(cpu, &(struct event){ .vector = NMI, .type = EVENT_TYPE_NMI });
    return true;
}

static bool take_intr(struct cpu *cpu)
{
    int vector;

    if (cpu->non_root && cpu->virt->ignores_if(cpu)) {
        cpu->virt->external_interrupt(cpu);
        return true; /* taken as a notification, or gone */
    }
    if (!(cpu->rflags & RFLAGS_IF) || cpu->blocking & (BLOCK_STI | BLOCK_MOV_SS))
        return false;
    if (cpu->non_root)
        cpu->virt->external_interrupt(cpu);
    vector = cpu->apic->acknowledge(cpu->apic_owner);
    if (vector < 0)
        return false;
    cpu->activity = ACTIVE;
    interrupt_deliver(cpu,
                      &(struct event){ .vector = (uint8_t)vector, .type = EVENT_TYPE_EXTERNAL });
    return true;
}

static void virt_stage(struct cpu *cpu, enum virt_stage stage)
{
    if (cpu->events & EVENT_VIRT)
        cpu->virt->event(cpu, stage);
}

/* true: something was delivered; look again */
static bool deliver_one(struct cpu *cpu)
{
    bool shutdown = cpu->activity == SHUTDOWN;

    if (cpu->events & EVENT_INIT && take_init(cpu))
        return true;
    if (cpu->events & EVENT_SIPI && take_sipi(cpu))
        return true;
    if (cpu->activity == WAIT_FOR_SIPI)
        return false;
    virt_stage(cpu, VIRT_STAGE_TRAPS);
    if (cpu->events & EVENT_DEBUG_TRAP && !shutdown && take_debug_trap(cpu))
        return true;
    virt_stage(cpu, VIRT_STAGE_TIMER);
    virt_stage(cpu, VIRT_STAGE_NMI_WINDOW);
    if (cpu->events & EVENT_NMI && (!shutdown || cpu->non_root) && take_nmi(cpu))
        return true;
    virt_stage(cpu, VIRT_STAGE_INTR_WINDOW);
    if (cpu->events & EVENT_INTR && (!shutdown || cpu->non_root) && take_intr(cpu))
        return true;
    virt_stage(cpu, VIRT_STAGE_VIRTUAL_INTR);
    return false;
}

bool cpu_events(struct cpu *cpu)
{
    uint64_t now, next;

    now = cpu_cycles(cpu);
    cpu->horizon = now;
    cpu->budget = 0;
    cpu->mmu.cost = 0;
    if (now >= cpu->until || cpu->events & EVENT_STOP)
        return false;
    if (now >= cpu->virt_deadline)
        cpu->events |= EVENT_VIRT;
    if (cpu->activity == MWAITING && cpu->mwait_break && cpu->events & EVENT_INTR)
        cpu->activity =
            ACTIVE; /* MWAIT with ECX[0]: also when RFLAGS.IF holds the interrupt back */
    while (cpu->events && deliver_one(cpu))
        ;
    if (cpu->activity != ACTIVE)
        return false;
    next = cpu->until;
    if (cpu->virt_deadline > now && cpu->virt_deadline < next)
        next = cpu->virt_deadline;
    now = cpu_cycles(cpu); /* deliveries cost */
    cpu->mmu.cost = 0;
    cpu->horizon = next > now ? next : now + 1;
    cpu->budget = (int64_t)(cpu->horizon - now);
    return true;
}

void cpu_set_intr(void *owner, bool level)
{
    struct cpu *cpu = owner;

    if (level)
        cpu_raise_event(cpu, EVENT_INTR);
    else
        cpu->events &= ~(uint32_t)EVENT_INTR;
}

void cpu_signal_nmi(void *owner)
{
    cpu_raise_event(owner, EVENT_NMI);
}

void cpu_signal_smi(void *owner)
{
    cpu_raise_event(owner, EVENT_SMI);
}

void cpu_signal_init(void *owner)
{
    struct cpu *cpu = owner;

    cpu->events &= ~(uint32_t)EVENT_SIPI; /* an earlier one found nobody waiting */
    cpu_raise_event(cpu, EVENT_INIT);
}

void cpu_signal_sipi(void *owner, uint8_t vector)
{
    struct cpu *cpu = owner;

    cpu->sipi_vector = vector;
    cpu_raise_event(cpu, EVENT_SIPI);
}
