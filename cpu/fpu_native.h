/* SSE on the native processor under the guest's MXCSR.
 *
 * Between fpu_enter and fpu_leave the native MXCSR holds the guest's rounding mode, DAZ and FTZ with
 * all exceptions masked, so SSE instructions give the guest's results. Exception flags accumulate
 * natively and are merged into cpu->fpu.mxcsr when somebody asks: always read it through fpu_mxcsr
 * and write it through fpu_set_mxcsr while the processor runs. Code that runs in between (devices,
 * page walks) does no floating point.
 *
 * While the guest has unmasked an exception, the native flags mean nothing and each instruction
 * looks at its own: sse_begin and sse_end around it (cpu/sse.h).
 * [SDM 1 "MXCSR Control and Status Register"] */
#pragma once
#include "cpu/cpu.h"

enum {
    MXCSR_FLAGS = 0x3f,
    MXCSR_DAZ = 0x40,
    MXCSR_MASKS = 0x1f80,
    MXCSR_RC = 0x6000,
    MXCSR_FTZ = 0x8000,
    MXCSR_MASK_SHIFT = 7,
    MXCSR_RESET = 0x1f80,
    MXCSR_MASK = 0xffff /* MXCSR_MASK of FXSAVE: any other bit is #GP */
};

void fpu_enter(struct cpu *cpu);
void fpu_leave(struct cpu *cpu);
/* between enter and leave only */
uint32_t fpu_mxcsr(struct cpu *cpu);
/* changes the key of blocks: its instruction ends one */
void fpu_set_mxcsr(struct cpu *cpu, uint32_t v);

static inline bool fpu_all_masked(const struct cpu *cpu)
{
    return likely((cpu->fpu.mxcsr & MXCSR_MASKS) == MXCSR_MASKS);
}
