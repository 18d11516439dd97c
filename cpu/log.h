/* The instruction log, and registers for people. Capstone does the disassembly. */
#pragma once
#include <stdio.h>

#include "cpu/cpu.h"

/* from now on, a line for each instruction before it runs, with its registers if asked for; out
 * NULL ends it */
void cpu_log(struct cpu *cpu, FILE *out, bool registers);
/* called by the run loop before an instruction, while the log is on */
void cpu_log_instruction(struct cpu *cpu);

/* all registers, for `info registers` */
void cpu_show(const struct cpu *cpu, FILE *out);
/* `count` instructions at a linear address (key: KEY_CODE*), for `x /i`; returns bytes shown */
size_t cpu_disassemble(struct cpu *cpu, uint64_t linear, unsigned count, FILE *out);
