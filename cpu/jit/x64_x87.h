/* The guest's x87 state in native code: loaded by the first path that wants it, dropped by whatever C
 * code runs next, and the pointers to the last instruction and its operand.
 *
 * FOP, FIP and FDP of an x87 instruction are stored only where somebody may look: in front of calls of
 * C, on slow paths, where the path is left. The address of a memory operand is computed there, from
 * registers that have not changed, or in front of the instruction that changes one. */
#pragma once
#include "cpu/cpu.h"
#include "cpu/jit/x64.h"

/* called by a stub; there is no result */
uint8_t *x64_x87_load(struct cpu *cpu, uint32_t unused);
void x64_x87_drop_live(struct cpu *cpu);
/* First in what native code calls, and where it is left. The native x87 is as C code expects it, then:
 * empty, 64 bits of precision. */
static inline void x64_x87_drop(struct cpu *cpu)
{
    if (cpu->native.x87_live)
        x64_x87_drop_live(cpu);
}

/* store the pointers in the hot code; nothing is to be stored afterwards. No flag changes, nor rax. */
void x64_x87_store(struct x64 *e);
/* in a cold way out of the path */
void x64_x87_store_cold(struct x64 *e, const struct x64_x87_note *note);
/* In front of an instruction. all: its interpreter function is going to run, or the path ends. */
void x64_x87_before(struct x64 *e, const struct insn *in, bool all);
/* behind one that has been emitted */
void x64_x87_after(struct x64 *e, const struct insn *in);
