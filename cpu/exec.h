/* How instruction functions are written. Include in exec_*.c only.
 *
 * A body is a static inline function over (cpu, in) and, for families, constants that the macros
 * below specialise it for:
 *
 *     EXEC_BODY_SIZES(add_E_G)                        // (cpu, in, size, mem) are in scope
 *     {
 *         struct rmw dst = rmw_begin(cpu, in, size, mem);  // the last thing that can fault ...
 *         dst.value = alu_add(&cpu->flags, dst.value, reg_read(cpu, in->reg, size), size);
 *         rmw_end(cpu, in, &dst, size, mem);               // ... so nothing half done is seen
 *     }
 *     EXEC_SIZES(add_E_G)                              // defines exec_set_add_E_G
 *
 * After the body, control goes straight to the next instruction of the block (a tail call), except
 * for the _END forms: these end the block and must have set cpu->rip. `size` is in bytes. A body
 * may leave at any point through cpu_raise and its like, if it has changed nothing yet; it may also
 * `return` early. */
#pragma once
#include "cpu/alu.h"
#include "cpu/cpu.h"
#include "cpu/insn.h"
#include "cpu/operand.h"
#include "cpu/virt.h"

#define EXEC_NEXT(cpu, in) return (in)[1].exec((cpu), (in) + 1)

#define EXEC_BODY_SIZES(name)                                                                   \
    ALWAYS_INLINE void body_##name(struct cpu *cpu, const struct insn *in, const unsigned size, \
                                   const enum mem_form mem)
#define EXEC_BODY_RM(name) \
    ALWAYS_INLINE void body_##name(struct cpu *cpu, const struct insn *in, const enum mem_form mem)
#define EXEC_BODY(name) ALWAYS_INLINE void body_##name(struct cpu *cpu, const struct insn *in)

#define EXEC_FN_(fn, call, after)                          \
    static void fn(struct cpu *cpu, const struct insn *in) \
    {                                                      \
        cpu->in = in;                                      \
        call;                                              \
        after;                                             \
    }
/* A memory form whose hits in the TLB never call anything: no frame, no spills. All else goes to a
 * twin of the function. */
#define EXEC_FN_HIT_(fn, name, size, form, write, after)             \
    EXEC_TWIN_(fn##_any, body_##name(cpu, in, size, MEM_ANY), after) \
    static void fn(struct cpu *cpu, const struct insn *in)           \
    {                                                                \
        if (unlikely(!mem_hits(cpu, in, size, write)))               \
            return fn##_any(cpu, in);                                \
        cpu->in = in;                                                \
        body_##name(cpu, in, size, form);                            \
        after;                                                       \
    }
#define EXEC_TWIN_(fn, call, after)                                                  \
    static __attribute__((noinline)) void fn(struct cpu *cpu, const struct insn *in) \
    {                                                                                \
        cpu->in = in;                                                                \
        call;                                                                        \
        after;                                                                       \
    }
#define EXEC_SIZES_HIT_(name, form, write, after)                         \
    EXEC_FN_(exec_##name##_8r, body_##name(cpu, in, 1, MEM_NONE), after)  \
    EXEC_FN_HIT_(exec_##name##_8m, name, 1, form, write, after)           \
    EXEC_FN_(exec_##name##_16r, body_##name(cpu, in, 2, MEM_NONE), after) \
    EXEC_FN_HIT_(exec_##name##_16m, name, 2, form, write, after)          \
    EXEC_FN_(exec_##name##_32r, body_##name(cpu, in, 4, MEM_NONE), after) \
    EXEC_FN_HIT_(exec_##name##_32m, name, 4, form, write, after)          \
    EXEC_FN_(exec_##name##_64r, body_##name(cpu, in, 8, MEM_NONE), after) \
    EXEC_FN_HIT_(exec_##name##_64m, name, 8, form, write, after)          \
    EXEC_SET_SIZES_(name)
/* The stack is what may hit: 64-bit register forms whose only memory access is 8 bytes at `at`. */
#define EXEC_STACK_(name, at, form, write, after)                               \
    EXEC_FN_(exec_##name##_8r, body_##name(cpu, in, 1, MEM_NONE), after)        \
    EXEC_FN_(exec_##name##_8m, body_##name(cpu, in, 1, MEM_ANY), after)         \
    EXEC_FN_(exec_##name##_16r, body_##name(cpu, in, 2, MEM_NONE), after)       \
    EXEC_FN_(exec_##name##_16m, body_##name(cpu, in, 2, MEM_ANY), after)        \
    EXEC_FN_(exec_##name##_32r, body_##name(cpu, in, 4, MEM_NONE), after)       \
    EXEC_FN_(exec_##name##_32m, body_##name(cpu, in, 4, MEM_ANY), after)        \
    EXEC_TWIN_(exec_##name##_64r_any, body_##name(cpu, in, 8, MEM_NONE), after) \
    static void exec_##name##_64r(struct cpu *cpu, const struct insn *in)       \
    {                                                                           \
        if (unlikely(!mem_hits_at(cpu, at, 8, write)))                          \
            return exec_##name##_64r_any(cpu, in);                              \
        cpu->in = in;                                                           \
        body_##name(cpu, in, 8, form);                                          \
        after;                                                                  \
    }                                                                           \
    EXEC_FN_(exec_##name##_64m, body_##name(cpu, in, 8, MEM_ANY), after)        \
    EXEC_SET_SIZES_(name)
#define EXEC_SET_SIZES_(name)                                                             \
    const struct exec_set exec_set_##name = { { { exec_##name##_8r, exec_##name##_8m },   \
                                                { exec_##name##_16r, exec_##name##_16m }, \
                                                { exec_##name##_32r, exec_##name##_32m }, \
                                                { exec_##name##_64r, exec_##name##_64m } } };
#define EXEC_SIZES_(name, after)                                          \
    EXEC_FN_(exec_##name##_8r, body_##name(cpu, in, 1, MEM_NONE), after)  \
    EXEC_FN_(exec_##name##_8m, body_##name(cpu, in, 1, MEM_ANY), after)   \
    EXEC_FN_(exec_##name##_16r, body_##name(cpu, in, 2, MEM_NONE), after) \
    EXEC_FN_(exec_##name##_16m, body_##name(cpu, in, 2, MEM_ANY), after)  \
    EXEC_FN_(exec_##name##_32r, body_##name(cpu, in, 4, MEM_NONE), after) \
    EXEC_FN_(exec_##name##_32m, body_##name(cpu, in, 4, MEM_ANY), after)  \
    EXEC_FN_(exec_##name##_64r, body_##name(cpu, in, 8, MEM_NONE), after) \
    EXEC_FN_(exec_##name##_64m, body_##name(cpu, in, 8, MEM_ANY), after)  \
    EXEC_SET_SIZES_(name)
#define EXEC_RM_(name, after)                                                         \
    EXEC_FN_(exec_##name##_r, body_##name(cpu, in, MEM_NONE), after)                  \
    EXEC_FN_(exec_##name##_m, body_##name(cpu, in, MEM_ANY), after)                   \
    const struct exec_set exec_set_##name = { { { exec_##name##_r, exec_##name##_m }, \
                                                { exec_##name##_r, exec_##name##_m }, \
                                                { exec_##name##_r, exec_##name##_m }, \
                                                { exec_##name##_r, exec_##name##_m } } };
#define EXEC_ONE_(name, after)                                                \
    EXEC_FN_(exec_##name, body_##name(cpu, in), after)                        \
    const struct exec_set exec_set_##name = { { { exec_##name, exec_##name }, \
                                                { exec_##name, exec_##name }, \
                                                { exec_##name, exec_##name }, \
                                                { exec_##name, exec_##name } } };

/* by operand size and form */
#define EXEC_SIZES(name) EXEC_SIZES_(name, EXEC_NEXT(cpu, in))
#define EXEC_SIZES_END(name) EXEC_SIZES_(name, (void)0)
/* the same with a hit path in memory forms, for bodies whose only memory access is one through
 * rm_read (READ), rm_write or rmw_begin/rmw_end (WRITE), of at most `size` bytes */
#define EXEC_SIZES_READ(name) EXEC_SIZES_HIT_(name, MEM_HIT_READ, false, EXEC_NEXT(cpu, in))
#define EXEC_SIZES_WRITE(name) EXEC_SIZES_HIT_(name, MEM_HIT_WRITE, true, EXEC_NEXT(cpu, in))
#define EXEC_SIZES_READ_END(name) EXEC_SIZES_HIT_(name, MEM_HIT_READ, false, (void)0)
/* with a hit path in 64-bit register forms that push or pop one register-sized value through
 * push_form and the like of cpu/operand.h (for T_D64 and T_F64 rows: size 8 means 64-bit mode) */
#define EXEC_SIZES_PUSH(name) \
    EXEC_STACK_(name, cpu->r[RSP] - 8, MEM_HIT_WRITE, true, EXEC_NEXT(cpu, in))
#define EXEC_SIZES_PUSH_END(name) EXEC_STACK_(name, cpu->r[RSP] - 8, MEM_HIT_WRITE, true, (void)0)
#define EXEC_SIZES_POP(name) EXEC_STACK_(name, cpu->r[RSP], MEM_HIT_READ, false, EXEC_NEXT(cpu, in))
#define EXEC_SIZES_POP_END(name) EXEC_STACK_(name, cpu->r[RSP], MEM_HIT_READ, false, (void)0)
/* by form only (SSE) */
#define EXEC_RM(name) EXEC_RM_(name, EXEC_NEXT(cpu, in))
#define EXEC_RM_END(name) EXEC_RM_(name, (void)0)
/* one function for all: the body looks at in->size and in->flags & IN_MEM itself */
#define EXEC(name) EXEC_ONE_(name, EXEC_NEXT(cpu, in))
#define EXEC_END(name) EXEC_ONE_(name, (void)0)
