/* CR0, CR3, CR4, CR8, XCR0, EFER: allowed values and what a change sets off. cpu/control_regs.c.
 * The _set functions apply a value that has been checked (VM entries and exits, task switches use
 * them too); the _write functions are what MOV and WRMSR do: check, raise #GP(0), set. */
#pragma once
#include "cpu/cpu.h"

/* CR3 of a task switch, or after checks: the PDPTEs of PAE paging (false: one is invalid, nothing has
 * changed), flushes all but global mappings of the current PCID */
bool cr3_set(struct cpu *cpu, uint64_t value);
/* does this CR0, CR4, EFER mean PAE paging with its four PDPTEs in registers? */
bool paging_uses_pdptes(uint64_t cr0, uint64_t cr4, uint64_t efer);

void cr0_write(struct cpu *cpu, uint64_t value);
void cr3_write(struct cpu *cpu, uint64_t value);
void cr4_write(struct cpu *cpu, uint64_t value);
void xcr0_write(struct cpu *cpu, uint64_t value);
bool efer_write(struct cpu *cpu, uint64_t value); /* false: #GP */

/* CR4 bits that this processor's features allow */
uint64_t cr4_valid_bits(const struct cpu *cpu);
/* XCR0 bits likewise */
uint64_t xcr0_valid_bits(const struct cpu *cpu);
