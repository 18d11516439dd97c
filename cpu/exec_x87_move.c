/* x87 data transfer: loads, stores, constants, FXCH, FCMOVcc.
 * [SDM 1 "x87 FPU Instruction Set"] */
#include "cpu/x87.h"

/* ---- loads ---- */

/* A conversion that was exact but for SNaNs and denormals: deliver those, and push. A full stack
 * comes first. */
static void x87_load(struct cpu *cpu, const struct insn *in, struct float80_env *env,
                     struct float80 v)
{
    x87_record(cpu, in);
    if (likely(x87_empty(cpu, 7))) {
        if (env->denormal || float80_classify(v) == FLOAT80_NAN) {
            if (!float80_nan_operand(env, v, &v))
                float80_denormal(env, v);
        }
        x87_raise(cpu, env);
        if (env->flags & ~env->masks & FLOAT80_I) /* but an unmasked #D is reported after loading */
            return;
    }
    x87_push(cpu, v);
}

#define X87_LOAD(name, size, operand)                                       \
    EXEC_BODY(x87_load_##name)                                              \
    {                                                                       \
        x87_check(cpu);                                                     \
        uint64_t v = mmu_load(&cpu->mmu, linear_read(cpu, in, size), size); \
        struct float80_env env = x87_env(cpu, false);                       \
        struct float80 f = operand;                                         \
        x87_load(cpu, in, &env, f);                                         \
    }                                                                       \
    EXEC(x87_load_##name)
X87_LOAD(m32, 4, float80_from_float32(&env, (uint32_t)v))
X87_LOAD(m64, 8, float80_from_float64(&env, v))
X87_LOAD(i16, 2, float80_from_int64((int16_t)v))
X87_LOAD(i32, 4, float80_from_int64((int32_t)v))
X87_LOAD(i64, 8, float80_from_int64((int64_t)v))

/* push as it is: no conversion, so not even an SNaN is an exception */
static void x87_load_raw(struct cpu *cpu, const struct insn *in, struct float80 v)
{
    x87_record(cpu, in);
    cpu->fpu.status &= (uint16_t)~X87_C1;
    x87_push(cpu, v);
}

EXEC_BODY(x87_load_m80)
{
    uint8_t bytes[10];
    struct float80 v = { 0 };

    x87_check(cpu);
    mmu_load_bytes(&cpu->mmu, linear_read(cpu, in, 10), bytes, 10);
    memcpy(&v.significand, bytes, 8);
    memcpy(&v.sign_exponent, bytes + 8, 2);
    x87_load_raw(cpu, in, v);
}
EXEC(x87_load_m80)

EXEC_BODY(x87_load_bcd)
{
    uint8_t bytes[10];

    x87_check(cpu);
    mmu_load_bytes(&cpu->mmu, linear_read(cpu, in, 10), bytes, 10);
    x87_load_raw(cpu, in, float80_from_bcd(bytes));
}
EXEC(x87_load_bcd)

EXEC_BODY(x87_load_st)
{
    x87_check(cpu);
    struct float80 v = x87_get(cpu, x87_i(in));

    if (x87_empty(cpu, x87_i(in))) {
        x87_record(cpu, in);
        if (!x87_stack_underflow(cpu))
            return;
        x87_set_top(cpu, x87_top(cpu) - 1);
        x87_set(cpu, 0, float80_indefinite());
        return;
    }
    x87_load_raw(cpu, in, v);
}
EXEC(x87_load_st)

/* FLD1, FLDL2T, FLDL2E, FLDPI, FLDLG2, FLDLN2, FLDZ by ModRM.rm: 128 bits of each, rounded by RC
 * without a precision exception [SDM 1 "Load Constant Instructions"] */
EXEC_BODY(x87_load_constant)
{
    static const struct {
        int32_t exponent;
        uint64_t significand, rest;
    } constants[] = {
        { 0, UINT64_C(0x8000000000000000), 0 },
        { 1, UINT64_C(0xd49a784bcd1b8afe), UINT64_C(0x492bf6ff4dafdb4c) },
        { 0, UINT64_C(0xb8aa3b295c17f0bb), UINT64_C(0xbe87fed0691d3e88) },
        { 1, UINT64_C(0xc90fdaa22168c234), UINT64_C(0xc4c6628b80dc1cd1) },
        { -2, UINT64_C(0x9a209a84fbcff798), UINT64_C(0x8f8959ac0b7c9178) },
        { -1, UINT64_C(0xb17217f7d1cf79ab), UINT64_C(0xc9e3b39803f2f6af) },
    };
    struct float80_env env = x87_env(cpu, false);
    struct float80 v = float80_zero(false);
    unsigned i = x87_i(in);

    x87_check(cpu);
    if (i < 6)
        v = float80_pack(&env, false, FLOAT80_BIAS + constants[i].exponent,
                         constants[i].significand, constants[i].rest);
    x87_load_raw(cpu, in, v);
}
EXEC(x87_load_constant)

/* ---- stores ---- */

typedef uint64_t x87_convert(struct float80_env *env, struct float80 a);

static uint64_t x87_to_m32(struct float80_env *env, struct float80 a)
{
    return float80_to_float32(env, a);
}
static uint64_t x87_to_int(struct float80_env *env, struct float80 a, unsigned bits, bool chop)
{
    return (uint64_t)float80_to_int(env, a, bits, chop);
}
#define X87_TO_INT(bits)                                                        \
    static uint64_t x87_to_i##bits(struct float80_env *env, struct float80 a)   \
    {                                                                           \
        return x87_to_int(env, a, bits, false);                                 \
    }                                                                           \
    static uint64_t x87_chop_i##bits(struct float80_env *env, struct float80 a) \
    {                                                                           \
        return x87_to_int(env, a, bits, true);                                  \
    }
X87_TO_INT(16)
X87_TO_INT(32)
X87_TO_INT(64)

/* FST, FIST, FISTTP: memory first, since it may fault; then flags, then the stack */
static void x87_store(struct cpu *cpu, const struct insn *in, unsigned size, x87_convert *convert)
{
    struct float80_env env = x87_env(cpu, false);
    bool empty = x87_empty(cpu, 0);
    uint64_t linear, v;

    x87_check(cpu);
    linear = linear_write(cpu, in, size);
    v = convert(&env, empty ? float80_indefinite() : x87_get(cpu, 0));
    if (empty)
        env.flags = FLOAT80_I;
    if (x87_may_store(&env))
        mmu_store(&cpu->mmu, linear, v, size);
    x87_record(cpu, in);
    if (empty)
        x87_stack_underflow(cpu);
    else
        x87_raise(cpu, &env);
    if (x87_may_store(&env) && x87_op(in) != 2) /* /2 does not pop */
        x87_pop(cpu);
}

#define X87_STORE(name, size, convert)     \
    EXEC_BODY(x87_store_##name)            \
    {                                      \
        x87_store(cpu, in, size, convert); \
    }                                      \
    EXEC(x87_store_##name)
X87_STORE(m32, 4, x87_to_m32)
X87_STORE(m64, 8, float80_to_float64)
X87_STORE(i16, 2, x87_to_i16)
X87_STORE(i32, 4, x87_to_i32)
X87_STORE(i64, 8, x87_to_i64)
X87_STORE(chop_i16, 2, x87_chop_i16)
X87_STORE(chop_i32, 4, x87_chop_i32)
X87_STORE(chop_i64, 8, x87_chop_i64)

/* ten bytes: FSTP m80, which converts nothing, and FBSTP */
static void x87_store_ten(struct cpu *cpu, const struct insn *in, bool bcd)
{
    struct float80_env env = x87_env(cpu, false);
    bool empty = x87_empty(cpu, 0);
    uint8_t bytes[10];

    x87_check(cpu);
    uint64_t linear = linear_write(cpu, in, 10);
    struct float80 v = empty ? float80_indefinite() : x87_get(cpu, 0);
    if (bcd) {
        float80_to_bcd(&env, v, bytes);
    } else {
        memcpy(bytes, &v.significand, 8);
        memcpy(bytes + 8, &v.sign_exponent, 2);
    }
    if (empty)
        env.flags = FLOAT80_I;
    if (x87_may_store(&env))
        mmu_store_bytes(&cpu->mmu, linear, bytes, 10);
    x87_record(cpu, in);
    if (empty)
        x87_stack_underflow(cpu);
    else
        x87_raise(cpu, &env);
    if (x87_may_store(&env))
        x87_pop(cpu);
}
EXEC_BODY(x87_store_m80)
{
    x87_store_ten(cpu, in, false);
}
EXEC(x87_store_m80)
EXEC_BODY(x87_store_bcd)
{
    x87_store_ten(cpu, in, true);
}
EXEC(x87_store_bcd)

static void x87_store_reg(struct cpu *cpu, const struct insn *in, bool pop)
{
    x87_check(cpu);
    struct float80 v = x87_get(cpu, 0);

    x87_record(cpu, in);
    if (x87_empty(cpu, 0)) {
        if (!x87_stack_underflow(cpu))
            return;
        v = float80_indefinite();
    } else {
        cpu->fpu.status &= (uint16_t)~X87_C1;
    }
    x87_set(cpu, x87_i(in), v);
    if (pop)
        x87_pop(cpu);
}
EXEC_BODY(x87_fst)
{
    x87_store_reg(cpu, in, false);
}
EXEC(x87_fst)
EXEC_BODY(x87_fstp)
{
    x87_store_reg(cpu, in, true);
}
EXEC(x87_fstp)

EXEC_BODY(x87_fstp_quiet) /* D9 D8: an empty ST(0) is no fault, it is just popped (measured) */
{
    x87_check(cpu);
    if (!x87_empty(cpu, 0)) {
        x87_store_reg(cpu, in, true);
        return;
    }
    x87_record(cpu, in);
    cpu->fpu.status &= (uint16_t)~X87_C1;
    x87_pop(cpu);
}
EXEC(x87_fstp_quiet)

/* ---- between registers ---- */

EXEC_BODY(x87_fxch)
{
    unsigned i = x87_i(in);

    x87_check(cpu);
    x87_record(cpu, in);
    if (x87_empty(cpu, 0) || x87_empty(cpu, i)) {
        if (!x87_stack_underflow(cpu))
            return;
        if (x87_empty(cpu, 0))
            x87_set(cpu, 0, float80_indefinite());
        if (x87_empty(cpu, i))
            x87_set(cpu, i, float80_indefinite());
    } else {
        cpu->fpu.status &= (uint16_t)~X87_C1;
    }
    struct float80 a = x87_get(cpu, 0), b = x87_get(cpu, i);
    x87_set(cpu, 0, b);
    x87_set(cpu, i, a);
}
EXEC(x87_fxch)

/* FCMOVB, E, BE, U by ModRM.reg 0 to 3; DB instead of DA negates */
EXEC_BODY(x87_fcmov)
{
    static const uint16_t flags[] = { FL_C, FL_Z, FL_C | FL_Z, FL_P };
    bool negate = insn_rows[in->id].map == GRP_DB;
    bool condition = (flags_get(&cpu->flags) & flags[x87_op(in) & 3]) != 0;

    x87_check(cpu);
    x87_record(cpu, in);
    if (x87_empty(cpu, 0) || x87_empty(cpu, x87_i(in))) {
        if (x87_stack_underflow(cpu))
            x87_set(cpu, 0, float80_indefinite());
        return;
    }
    if (condition != negate)
        x87_set(cpu, 0, x87_get(cpu, x87_i(in)));
}
EXEC(x87_fcmov)
