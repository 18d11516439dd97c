/* Delivery of exceptions and interrupts. cpu/exception.c, cpu/interrupt.c, cpu/task.c.
 * [SDM 3A "Interrupt and Exception Handling", "Task Management"] */
#pragma once
#include "cpu/cpu.h"

/* Called by the run loop with cpu->raised after an unwind, with cpu->rip at the faulting
 * instruction: combines it with an event under delivery (double fault, triple fault), asks
 * cpu->virt whether it exits, sets RF in the pushed image as the manual says, CR2 or DR6, and
 * delivers. Faults during delivery unwind and come back here. */
void exception_dispatch(struct cpu *cpu);

/* Deliver an event through the IDT (or IVT) at an instruction boundary; cpu->rip is what is
 * pushed (for software events: add insn_length first, that is done here). Sets cpu->current and
 * cpu->delivering while it works. Does not ask virt. */
void interrupt_deliver(struct cpu *cpu, const struct event *ev);

/* INT n, INT3, INTO, INT1: software event at the current instruction; asks virt, checks gate DPL,
 * VME redirection, delivers, then the block has ended (cpu->rip set). */
void interrupt_software(struct cpu *cpu, uint8_t vector, enum event_type type, unsigned length);

void interrupt_return(struct cpu *cpu, unsigned size); /* IRET, IRETD, IRETQ; sets cpu->rip */

enum task_source { TASK_CALL = 0, TASK_IRET = 1, TASK_JMP = 2, TASK_GATE = 3 };
/* Switch to the TSS `selector` (a TSS descriptor; gates are resolved by the caller). error: pushed
 * on the new stack when has_error. next_rip is what the old TSS saves. Asks virt first. */
void task_switch(struct cpu *cpu, uint16_t selector, enum task_source source, uint64_t next_rip,
                 bool has_error, uint32_t error);

/* #DB by bits for DR6 at an instruction boundary (traps), or as a fault (code breakpoints) */
void debug_trap(struct cpu *cpu, uint64_t dr6_bits);
/* forget pending debug traps */
void debug_drop(struct cpu *cpu, uint64_t dr6_bits);
/* An event arises in the instruction after MOV SS, which has held back debug traps. Its single-step
 * trap is lost; its data breakpoints come with this event if that is a #DB (the DR6 bits to report),
 * else they wait for the event's handler to be entered. */
uint64_t debug_held(struct cpu *cpu, const struct event *ev);
/* code breakpoints (DR0-3) at linear: DR6 bits of those that match, 0 for none */
uint64_t debug_code_breakpoints(const struct cpu *cpu, uint64_t linear);
/* data and I/O breakpoints: DR6 bits; records them in pending_dbg */
void debug_data_access(struct cpu *cpu, uint64_t linear, unsigned size, bool write);
void debug_io_access(struct cpu *cpu, uint16_t port, unsigned size);
/* after a change of DR0-3 or DR7 (MOV, VM entries and exits, restore): key, and data breakpoints
 * become the MMU's watch or stop being it */
void debug_registers_changed(struct cpu *cpu);
