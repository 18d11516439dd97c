/* The x87 register stack, its exceptions and its instruction and data pointers.
 * [SDM 1 "x87 FPU Floating-Point Exception Handling", "x87 FPU Instruction and Data (Operand)
 * Pointers"] */
#include "cpu/x87.h"

_Noreturn void fpu_raise_no_sse(struct cpu *cpu)
{
    cpu_raise(cpu, cpu->cr0 & CR0_EM || !(cpu->cr4 & CR4_OSFXSR) ? UD : NM);
}

_Noreturn void fpu_raise_no_mmx(struct cpu *cpu)
{
    cpu_raise(cpu, cpu->cr0 & CR0_EM ? UD : NM);
}

struct float80_env x87_env(const struct cpu *cpu, bool arith)
{
    static const uint8_t precisions[] = { 24, 64, 53, 64 }; /* 01: reserved */
    struct float80_env env = { 0 };

    env.rounding = cpu->fpu.control >> 10 & 3;
    env.precision = arith ? precisions[cpu->fpu.control >> 8 & 3] : 64;
    env.masks = cpu->fpu.control & FLOAT80_ALL;
    return env;
}

void x87_record(struct cpu *cpu, const struct insn *in)
{
    struct fpu *f = &cpu->fpu;

    f->ip = insn_rip(cpu, in);
    f->cs = cpu->seg[SEG_CS].selector;
    f->opcode = (uint16_t)((insn_rows[in->id].map - GRP_D8) << 8 | in->modrm);
    if (in->flags & IN_MEM) {
        f->dp = ea(cpu, in);
        f->ds = cpu->seg[in->seg].selector;
    }
}

static void x87_settle_key(struct cpu *cpu)
{
    if (x87_traps(cpu) != ((cpu->key & KEY_X87_TRAPS) != 0))
        cpu_update_key(cpu);
}

void x87_settle(struct cpu *cpu)
{
    bool pending = cpu->fpu.status & ~cpu->fpu.control & FLOAT80_ALL;

    cpu->fpu.status = (uint16_t)((cpu->fpu.status & ~(X87_ES | X87_BUSY)) |
                                 (pending ? X87_ES | X87_BUSY : 0));
    x87_settle_key(cpu);
}

bool x87_raise(struct cpu *cpu, const struct float80_env *env)
{
    cpu->fpu.status = (uint16_t)((cpu->fpu.status & ~X87_C1) | env->flags | (env->up ? X87_C1 : 0));
    if (likely(!(env->flags & ~env->masks)))
        return true;
    cpu->fpu.status |= X87_ES | X87_BUSY;
    return !(env->flags & ~env->masks & (FLOAT80_I | FLOAT80_D | FLOAT80_Z));
}

static bool x87_stack_fault(struct cpu *cpu, unsigned c1)
{
    cpu->fpu.status = (uint16_t)((cpu->fpu.status & ~X87_C1) | c1 | X87_SF | FLOAT80_I);
    if (cpu->fpu.control & FLOAT80_I)
        return true;
    cpu->fpu.status |= X87_ES | X87_BUSY;
    return false;
}

bool x87_stack_underflow(struct cpu *cpu)
{
    return x87_stack_fault(cpu, 0);
}

bool x87_stack_overflow(struct cpu *cpu)
{
    return x87_stack_fault(cpu, X87_C1);
}

void x87_push(struct cpu *cpu, struct float80 v)
{
    if (unlikely(!x87_empty(cpu, 7))) {
        if (!x87_stack_overflow(cpu))
            return;
        v = float80_indefinite();
    }
    x87_set_top(cpu, x87_top(cpu) - 1);
    x87_set(cpu, 0, v);
}

void x87_init(struct cpu *cpu)
{
    struct fpu *f = &cpu->fpu;

    f->control = 0x37f;
    f->status = 0;
    f->tag = 0;
    f->opcode = 0;
    f->ip = f->dp = 0;
    f->cs = f->ds = 0;
    x87_settle_key(cpu);
}

uint16_t x87_full_tags(const struct cpu *cpu)
{
    uint16_t tags = 0;

    for (unsigned i = 0; i < 8; i++) {
        enum float80_class class = float80_classify(cpu->fpu.st[i]);
        unsigned tag = !(cpu->fpu.tag >> i & 1)  ? 3
                       : class == FLOAT80_NORMAL ? 0
                       : class == FLOAT80_ZERO   ? 1
                                                 : 2;
        tags |= (uint16_t)(tag << 2 * i);
    }
    return tags;
}

uint8_t x87_short_tags(uint16_t full)
{
    uint8_t tags = 0;

    for (unsigned i = 0; i < 8; i++)
        tags |= (uint8_t)(((full >> 2 * i & 3) != 3) << i);
    return tags;
}
