/* The boundary between two blocks: what is delivered there. */
#pragma once
#include "cpu/cpu.h"

/* Deliver what is due, then set the next horizon. False: leave cpu_run (time reached, idle, or
 * EVENT_STOP). May unwind (delivery faults, VM exits). */
bool cpu_events(struct cpu *cpu);

/* inputs from the local APIC, for struct apic_client */
void cpu_set_intr(void *cpu, bool level);
void cpu_signal_nmi(void *cpu);
void cpu_signal_smi(void *cpu);
void cpu_signal_init(void *cpu);
void cpu_signal_sipi(void *cpu, uint8_t vector);
