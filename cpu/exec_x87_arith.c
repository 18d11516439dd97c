/* x87 arithmetic and comparison: FADD, FMUL, FSUB(R), FDIV(R), their integer and popping forms,
 * FSQRT, FABS, FCHS, FPREM(1), FRNDINT, FSCALE, FXTRACT, FCOM, FUCOM, FCOMI, FTST, FXAM.
 * [SDM 1 "x87 FPU Instruction Set"] */
#include "cpu/x87.h"

/* ---- two operands: ModRM.reg chooses, in terms of ST(0) and the other operand, in every form ---- */

static struct float80 x87_compute(struct float80_env *env, unsigned op, struct float80 st0,
                                  struct float80 other)
{
    switch (op) {
    case 0: return float80_add(env, st0, other);
    case 1: return float80_mul(env, st0, other);
    case 4: return float80_sub(env, st0, other);
    case 5: return float80_sub(env, other, st0);
    case 6: return float80_div(env, st0, other);
    default: return float80_div(env, other, st0);
    }
}

/* ST(0) and a converted memory operand */
static void x87_arith_mem(struct cpu *cpu, const struct insn *in, struct float80_env *env,
                          struct float80 other)
{
    x87_record(cpu, in);
    if (x87_empty(cpu, 0)) {
        if (x87_stack_underflow(cpu))
            x87_set(cpu, 0, float80_indefinite());
        return;
    }
    struct float80 r = x87_compute(env, x87_op(in), x87_get(cpu, 0), other);
    if (x87_raise(cpu, env))
        x87_set(cpu, 0, r);
}

/* ST(0) and ST(i); the result goes to ST(dst) */
static void x87_arith_reg(struct cpu *cpu, const struct insn *in, unsigned dst, bool pop)
{
    struct float80_env env = x87_env(cpu, true);
    struct float80 r = float80_indefinite();

    x87_record(cpu, in);
    if (x87_empty(cpu, 0) || x87_empty(cpu, x87_i(in))) {
        if (!x87_stack_underflow(cpu))
            return;
    } else {
        r = x87_compute(&env, x87_op(in), x87_get(cpu, 0), x87_get(cpu, x87_i(in)));
        if (!x87_raise(cpu, &env))
            return;
    }
    x87_set(cpu, dst, r);
    if (pop)
        x87_pop(cpu);
}

/* memory operands: (name, bytes, conversion of v) */
#define X87_MEMORY_OPERANDS(X)                         \
    X(m32, 4, float80_from_float32(&env, (uint32_t)v)) \
    X(m64, 8, float80_from_float64(&env, v))           \
    X(i16, 2, float80_from_int64((int16_t)v))          \
    X(i32, 4, float80_from_int64((int32_t)v))

#define X(name, size, operand)                                              \
    EXEC_BODY(x87_arith_##name)                                             \
    {                                                                       \
        x87_check(cpu);                                                     \
        uint64_t v = mmu_load(&cpu->mmu, linear_read(cpu, in, size), size); \
        struct float80_env env = x87_env(cpu, true);                        \
        x87_arith_mem(cpu, in, &env, operand);                              \
    }                                                                       \
    EXEC(x87_arith_##name)
X87_MEMORY_OPERANDS(X)
#undef X

EXEC_BODY(x87_arith_st)
{
    x87_check(cpu);
    x87_arith_reg(cpu, in, 0, false);
}
EXEC(x87_arith_st)

EXEC_BODY(x87_arith_sti)
{
    x87_check(cpu);
    x87_arith_reg(cpu, in, x87_i(in), false);
}
EXEC(x87_arith_sti)

EXEC_BODY(x87_arith_sti_pop)
{
    x87_check(cpu);
    x87_arith_reg(cpu, in, x87_i(in), true);
}
EXEC(x87_arith_sti_pop)

/* ---- comparison ---- */

/* C3 C2 C0 by order */
static const uint16_t x87_order_cc[] = {
    [FLOAT80_LESS] = X87_C0,
    [FLOAT80_EQUAL] = X87_C3,
    [FLOAT80_GREATER] = 0,
    [FLOAT80_UNORDERED] = X87_C3 | X87_C2 | X87_C0,
};

/* An empty operand: unordered. After an unmasked #I the condition code is not set; after an unmasked
 * #D it is, but nothing is popped (measured). */
static void x87_compare(struct cpu *cpu, const struct insn *in, struct float80_env *env, bool empty,
                        struct float80 other, bool quiet, unsigned pops)
{
    enum float80_order order = FLOAT80_UNORDERED;
    bool may_pop = true;

    x87_record(cpu, in);
    if (empty || x87_empty(cpu, 0)) {
        if (!x87_stack_underflow(cpu))
            return;
    } else {
        order = float80_compare(env, x87_get(cpu, 0), other, quiet);
        may_pop = x87_raise(cpu, env);
        if (env->flags & ~env->masks & FLOAT80_I)
            return;
    }
    x87_set_cc(cpu, x87_order_cc[order]);
    while (may_pop && pops--)
        x87_pop(cpu);
}

#define X(name, size, operand)                                              \
    EXEC_BODY(x87_compare_##name)                                           \
    {                                                                       \
        x87_check(cpu);                                                     \
        uint64_t v = mmu_load(&cpu->mmu, linear_read(cpu, in, size), size); \
        struct float80_env env = x87_env(cpu, true);                        \
        struct float80 other = operand;                                     \
        x87_compare(cpu, in, &env, false, other, false, x87_op(in) & 1);    \
    }                                                                       \
    EXEC(x87_compare_##name)
X87_MEMORY_OPERANDS(X)
#undef X

static void x87_compare_reg(struct cpu *cpu, const struct insn *in, bool quiet, unsigned pops)
{
    struct float80_env env = x87_env(cpu, true);

    x87_check(cpu);
    x87_compare(cpu, in, &env, x87_empty(cpu, x87_i(in)), x87_get(cpu, x87_i(in)), quiet, pops);
}

#define X87_COMPARE(name, quiet, pops)         \
    EXEC_BODY(name)                            \
    {                                          \
        x87_compare_reg(cpu, in, quiet, pops); \
    }                                          \
    EXEC(name)
X87_COMPARE(x87_fcom, false, 0)
X87_COMPARE(x87_fcomp, false, 1)
X87_COMPARE(x87_fcompp, false, 2)
X87_COMPARE(x87_fucom, true, 0)
X87_COMPARE(x87_fucomp, true, 1)
X87_COMPARE(x87_fucompp, true, 2)

EXEC_BODY(x87_ftst)
{
    struct float80_env env = x87_env(cpu, true);

    x87_check(cpu);
    x87_compare(cpu, in, &env, false, float80_zero(false), false, 0);
}
EXEC(x87_ftst)

/* FCOMI and the like: ZF PF CF, the other flags 0; set also when an exception is unmasked */
static void x87_compare_flags(struct cpu *cpu, const struct insn *in, bool quiet, bool pop)
{
    static const uint16_t flags[] = {
        [FLOAT80_LESS] = FL_C,
        [FLOAT80_EQUAL] = FL_Z,
        [FLOAT80_GREATER] = 0,
        [FLOAT80_UNORDERED] = FL_ZPC,
    };
    struct float80_env env = x87_env(cpu, true);
    enum float80_order order = FLOAT80_UNORDERED;
    bool may_pop;

    x87_check(cpu);
    x87_record(cpu, in);
    if (x87_empty(cpu, 0) || x87_empty(cpu, x87_i(in))) {
        may_pop = x87_stack_underflow(cpu);
    } else {
        order = float80_compare(&env, x87_get(cpu, 0), x87_get(cpu, x87_i(in)), quiet);
        may_pop = x87_raise(cpu, &env);
    }
    flags_set(&cpu->flags, flags[order]);
    if (pop && may_pop)
        x87_pop(cpu);
}

#define X87_COMPARE_FLAGS(name, quiet, pop)     \
    EXEC_BODY(name)                             \
    {                                           \
        x87_compare_flags(cpu, in, quiet, pop); \
    }                                           \
    EXEC(name)
X87_COMPARE_FLAGS(x87_fcomi, false, false)
X87_COMPARE_FLAGS(x87_fcomip, false, true)
X87_COMPARE_FLAGS(x87_fucomi, true, false)
X87_COMPARE_FLAGS(x87_fucomip, true, true)

EXEC_BODY(x87_fxam)
{
    x87_check(cpu);
    struct float80 a = x87_get(cpu, 0);
    unsigned class = x87_empty(cpu, 0) ? 5 : (unsigned)float80_classify(a);

    x87_record(cpu, in);
    x87_set_cc(cpu, (class & 4 ? X87_C3 : 0) | (class & 2 ? X87_C2 : 0) | (class & 1 ? X87_C0 : 0) |
                        (float80_sign(a) ? X87_C1 : 0));
}
EXEC(x87_fxam)

/* ---- one operand ---- */

EXEC_BODY(x87_sign) /* FCHS: ModRM.rm 0, FABS: 1 */
{
    x87_check(cpu);
    struct float80 a = x87_get(cpu, 0);

    x87_record(cpu, in);
    if (x87_empty(cpu, 0)) {
        if (x87_stack_underflow(cpu))
            x87_set(cpu, 0, float80_indefinite());
        return;
    }
    cpu->fpu.status &= (uint16_t)~X87_C1;
    a.sign_exponent = x87_i(in) ? a.sign_exponent & 0x7fff : a.sign_exponent ^ 0x8000;
    x87_set(cpu, 0, a);
}
EXEC(x87_sign)

static void x87_unary(struct cpu *cpu, const struct insn *in, bool arith,
                      struct float80 (*function)(struct float80_env *, struct float80))
{
    struct float80_env env = x87_env(cpu, arith);

    x87_check(cpu);
    x87_record(cpu, in);
    if (x87_empty(cpu, 0)) {
        if (x87_stack_underflow(cpu))
            x87_set(cpu, 0, float80_indefinite());
        return;
    }
    struct float80 r = function(&env, x87_get(cpu, 0));
    if (x87_raise(cpu, &env))
        x87_set(cpu, 0, r);
}

EXEC_BODY(x87_fsqrt)
{
    x87_unary(cpu, in, true, float80_sqrt);
}
EXEC(x87_fsqrt)
EXEC_BODY(x87_frndint)
{
    x87_unary(cpu, in, false, float80_round_to_int);
}
EXEC(x87_frndint)

/* ---- ST(0) with ST(1) ---- */

/* ST(0) and ST(1) must not be empty; false: they are, and that has been dealt with */
static bool x87_need_two(struct cpu *cpu)
{
    if (!x87_empty(cpu, 0) && !x87_empty(cpu, 1))
        return true;
    if (x87_stack_underflow(cpu))
        x87_set(cpu, 0, float80_indefinite());
    return false;
}

EXEC_BODY(x87_fscale)
{
    struct float80_env env = x87_env(cpu, false);

    x87_check(cpu);
    x87_record(cpu, in);
    if (!x87_need_two(cpu))
        return;
    struct float80 r = float80_scale(&env, x87_get(cpu, 0), x87_get(cpu, 1));
    if (x87_raise(cpu, &env))
        x87_set(cpu, 0, r);
}
EXEC(x87_fscale)

static void x87_remainder(struct cpu *cpu, const struct insn *in, bool nearest)
{
    struct float80_env env = x87_env(cpu, false);
    unsigned quotient;
    bool partial;

    x87_check(cpu);
    x87_record(cpu, in);
    cpu->fpu.status &= (uint16_t)~X87_C2;
    if (!x87_need_two(cpu))
        return;
    struct float80 r = float80_rem(&env, x87_get(cpu, 0), x87_get(cpu, 1), nearest, &quotient,
                                   &partial);
    if (!x87_raise(cpu, &env))
        return;
    x87_set(cpu, 0, r);
    if (float80_classify(r) == FLOAT80_NAN) /* there is no quotient: C3 and C0 stay (measured) */
        return;
    x87_set_cc(cpu, (quotient & 4 ? X87_C0 : 0) | (quotient & 2 ? X87_C3 : 0) |
                        (quotient & 1 ? X87_C1 : 0) | (partial ? X87_C2 : 0));
}
EXEC_BODY(x87_fprem)
{
    x87_remainder(cpu, in, false);
}
EXEC(x87_fprem)
EXEC_BODY(x87_fprem1)
{
    x87_remainder(cpu, in, true);
}
EXEC(x87_fprem1)

EXEC_BODY(x87_fxtract) /* the exponent replaces ST(0), then the significand is pushed */
{
    struct float80_env env = x87_env(cpu, false);
    struct float80 exponent = float80_indefinite(), significand = float80_indefinite();

    x87_check(cpu);
    x87_record(cpu, in);
    if (x87_empty(cpu, 0)) {
        if (!x87_stack_underflow(cpu))
            return;
    } else if (!x87_empty(cpu, 7)) {
        if (!x87_stack_overflow(cpu))
            return;
    } else {
        exponent = float80_extract(&env, x87_get(cpu, 0), &significand);
        if (!x87_raise(cpu, &env))
            return;
    }
    x87_set(cpu, 0, exponent);
    x87_set_top(cpu, x87_top(cpu) - 1);
    x87_set(cpu, 0, significand);
}
EXEC(x87_fxtract)
