/* What the run loop asks of a translator to native code. Owned by cpu/, filled by cpu/jit: the
 * interpreter knows no translator. Where there is none, cpu->native_ops is NULL.
 *
 * While native code runs, guest state is in native registers; it is in struct cpu whenever C code is
 * called, but for RIP (struct native_state) and the arithmetic flags: native code saves these in a
 * form of its own, and not always. cpu_sync_rip, which everybody calls before RIP or RFLAGS are
 * looked at in the middle of an instruction, has them put back by sync(). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct cpu;
struct block;

struct native_ops {
    /* Make native code of a block that has become hot; false: this one stays interpreted. */
    bool (*translate)(struct cpu *cpu, struct block *b);
    /* Run from b, which has native code and is the block at cpu->rip, until the run loop is needed:
     * budget used up, a block without native code, blocks of one. */
    void (*run)(struct cpu *cpu, struct block *b);
    /* cpu->flags become those before cpu->in, whose block native code runs */
    void (*sync)(struct cpu *cpu);
    /* b is about to become stale, or to be changed: the end of native code that it is a part of. It
     * has moved to another address. All blocks are about to be forgotten. */
    void (*retired)(struct cpu *cpu, struct block *b);
    void (*moved)(struct block *b);
    void (*flushed)(struct cpu *cpu);
};

/* The budget of cycles and the count of instructions in one word, so that a path charges both in one
 * subtraction and sees in its sign that the cycles have run out: cycles above, below what is left of
 * NATIVE_COUNT instructions. It never runs out of these: an instruction costs a cycle at least (one
 * that crosses a page counts twice), and no more cycles than NATIVE_CYCLES are given at once. */
#define NATIVE_COUNT_BITS 24
#define NATIVE_COUNT ((INT64_C(1) << NATIVE_COUNT_BITS) - 1)
#define NATIVE_CHARGE(cycles, insns) ((uint64_t)(cycles) << NATIVE_COUNT_BITS | (insns))
#define NATIVE_CYCLES (INT64_C(1) << (NATIVE_COUNT_BITS - 2))

enum { NATIVE_NONE = 0xff, NATIVE_NOTED = 1 << 16 };

/* in the order of how often native code uses them: the first ones are within a byte's displacement */
struct native_state {
    int64_t left;    /* while native code runs, instead of cpu->budget and cpu->insn_count */
    uint64_t page;   /* linear address of the page whose code runs */
    uint64_t shared; /* what a shared look-up found: distance to native addresses */
    uint16_t flags;  /* the arithmetic flags as LAHF and SETO AL leave them in AX */
    bool xmm_live;   /* guest XMM registers are in the native ones */
    bool pending;    /* sync() is needed for cpu->flags */
    bool x87_live;   /* the guest's x87 state is in the native x87, but for the pointers below */
    uint8_t x87_seg; /* of the operand at cpu->fpu.dp; NATIVE_NONE: fpu.ds is its selector */
    uint32_t x87_opcode; /* FOP and NATIVE_NOTED: fpu.cs and fpu.opcode are to be set; or 0 */
    uint32_t from;       /* the block that jumped indirectly last, but for calls */
    uint64_t key_tag;    /* cpu->key, in the bits of jump_table's tags */
    uint8_t *jump_table;
    uint8_t **returns;     /* the stack of native code: where guest RETs are expected to go */
    uint8_t **no_returns;  /* ... when nothing is known of them */
    uint64_t c_stack;      /* of C code, while native code runs */
    const uint8_t *resume; /* where a call of C code goes back */
    int64_t reserve;       /* the rest of the budget */
    int32_t near_left;     /* misses in struct tlb_near until one is looked at (cpu/jit/near.c) */
};
