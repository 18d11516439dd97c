/* May this instruction use the x87, MMX or SSE now? First in every body.
 * [SDM 3A "Control Registers"], CR0.EM, CR0.TS and CR4.OSFXSR;
 * [SDM 1 "x87 FPU Exception Synchronization"] for pending x87 exceptions */
#pragma once
#include "cpu/cpu.h"
#include "cpu/float80.h"

enum { /* x87 status word, beside the exceptions FLOAT80_* in 5:0 */
       X87_SF = 0x40,
       X87_ES = 0x80,
       X87_C0 = 0x100,
       X87_C1 = 0x200,
       X87_C2 = 0x400,
       X87_C3 = 0x4000,
       X87_BUSY = 0x8000,
       X87_TOP_SHIFT = 11,
       X87_CC = 0x4700
};

_Noreturn void fpu_raise_no_sse(struct cpu *cpu); /* #UD or #NM */
_Noreturn void fpu_raise_no_mmx(struct cpu *cpu);

/* may an x87 instruction have to report an exception? */
static inline bool x87_traps(const struct cpu *cpu)
{
    return (cpu->fpu.control & FLOAT80_ALL) != FLOAT80_ALL || cpu->fpu.status & X87_ES;
}

/* control instructions that do not wait */
static inline void x87_check_nowait(struct cpu *cpu)
{
    if (unlikely(cpu->key & KEY_NO_X87))
        raise_nm(cpu);
}

/* CR0.NE = 0 would signal FERR# to the interrupt controller: here that is #MF too */
static inline void x87_check(struct cpu *cpu)
{
    x87_check_nowait(cpu);
    if (unlikely(cpu->fpu.status & X87_ES))
        cpu_raise(cpu, MF);
}

static inline void mmx_check(struct cpu *cpu)
{
    if (unlikely(cpu->key & KEY_NO_X87))
        fpu_raise_no_mmx(cpu);
    if (unlikely(cpu->fpu.status & X87_ES))
        cpu_raise(cpu, MF);
}

static inline void sse_check(struct cpu *cpu)
{
    if (unlikely(cpu->key & KEY_NO_SSE))
        fpu_raise_no_sse(cpu);
}
