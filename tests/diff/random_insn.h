/* Random encodings of a row of the instruction table, with registers that make its memory operands
 * fall into the data area of native_run.h. 64-bit mode. */
#pragma once
#include "cpu/insn.h"
#include "tests/diff/native_run.h"

struct random {
    uint64_t state;
};
uint64_t random_u64(struct random *r);
/* below n */
static inline uint64_t random_below(struct random *r, uint64_t n)
{
    return random_u64(r) % n;
}
static inline bool random_one_in(struct random *r, unsigned n)
{
    return random_below(r, n) == 0;
}
/* values at the edges of the sizes, small ones, and any */
uint64_t random_value(struct random *r);

struct random_insn {
    const struct insn_row *row;
    uint8_t bytes[24]; /* 15 of them at most count */
    unsigned length;
    uint64_t target;  /* linear address of the memory operand; 0: none */
    unsigned op_size; /* bytes of size class V */
};

/* Fills insn, and changes those of regs->r that the instruction needs to be something special. */
void random_insn(struct random *r, unsigned id, struct random_insn *insn, struct native_regs *regs);
