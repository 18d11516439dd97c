/* What the files of x87 instructions share: the register stack and the delivery of exceptions.
 * [SDM 1 "x87 FPU Execution Environment"] */
#pragma once
#include "cpu/exec.h"
#include "cpu/float80.h"
#include "cpu/fpu_check.h"

static inline unsigned x87_top(const struct cpu *cpu)
{
    return cpu->fpu.status >> X87_TOP_SHIFT & 7;
}
static inline void x87_set_top(struct cpu *cpu, unsigned top)
{
    cpu->fpu.status = (uint16_t)((cpu->fpu.status & ~(7u << X87_TOP_SHIFT)) | (top & 7)
                                                                                  << X87_TOP_SHIFT);
}
static inline bool x87_empty(const struct cpu *cpu, unsigned i)
{
    return !(cpu->fpu.tag >> ((x87_top(cpu) + i) & 7) & 1);
}
static inline struct float80 x87_get(const struct cpu *cpu, unsigned i)
{
    return cpu->fpu.st[(x87_top(cpu) + i) & 7];
}
static inline void x87_set(struct cpu *cpu, unsigned i, struct float80 v)
{
    unsigned n = (x87_top(cpu) + i) & 7;

    cpu->fpu.st[n].significand = v.significand;
    cpu->fpu.st[n].sign_exponent = v.sign_exponent;
    cpu->fpu.tag |= (uint8_t)(1u << n);
}
static inline void x87_free(struct cpu *cpu, unsigned i)
{
    cpu->fpu.tag &= (uint8_t) ~(1u << ((x87_top(cpu) + i) & 7));
}
static inline void x87_pop(struct cpu *cpu)
{
    x87_free(cpu, 0);
    x87_set_top(cpu, x87_top(cpu) + 1);
}
/* ModRM.reg and ModRM.rm of the instruction */
static inline unsigned x87_op(const struct insn *in)
{
    return in->modrm >> 3 & 7;
}
static inline unsigned x87_i(const struct insn *in)
{
    return in->modrm & 7;
}

/* condition code: C3 C2 C1 C0 as X87_C* bits, all four replaced */
static inline void x87_set_cc(struct cpu *cpu, unsigned cc)
{
    cpu->fpu.status = (uint16_t)((cpu->fpu.status & ~X87_CC) | cc);
}

/* ---- cpu/x87.c ---- */
/* RC, PC and masks; arith: an instruction that heeds PC (else 64 bits) */
struct float80_env x87_env(const struct cpu *cpu, bool arith);
/* FIP, FOP and, for memory operands, FDP: after the last possible fault, of non-control
 * instructions */
void x87_record(struct cpu *cpu, const struct insn *in);
/* Deliver env->flags and C1 to the status word; returns whether a result may go to its register
 * (false after unmasked #I, #D, #Z) */
bool x87_raise(struct cpu *cpu, const struct float80_env *env);
/* the same for results that go to memory: may it be written, and may the stack be popped? */
static inline bool x87_may_store(const struct float80_env *env)
{
    return !(env->flags & ~env->masks & (FLOAT80_I | FLOAT80_D | FLOAT80_O | FLOAT80_U));
}
/* stack fault; returns whether #I is masked, so that the caller goes on with the indefinite */
bool x87_stack_underflow(struct cpu *cpu);
bool x87_stack_overflow(struct cpu *cpu);
/* push, or the masked response to a full stack */
void x87_push(struct cpu *cpu, struct float80 v);
/* bring ES, B and the key of blocks into line after the status or control word has been loaded */
void x87_settle(struct cpu *cpu);
/* the state of FINIT; the key of blocks with it */
void x87_init(struct cpu *cpu);
/* the tag word of FSTENV: two bits a register; and back */
uint16_t x87_full_tags(const struct cpu *cpu);
uint8_t x87_short_tags(uint16_t full);
