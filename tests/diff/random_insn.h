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
    unsigned rip_disp; /* where the displacement from RIP stands; 0: there is none */
    uint64_t target;   /* linear address of the memory operand; 0: none */
    unsigned op_size;  /* bytes of size class V */
};

/* Fills insn, and changes those of regs->r that the instruction needs to be something special. */
void random_insn(struct random *r, unsigned id, struct random_insn *insn, struct native_regs *regs);

/* For an instruction among others, whose registers are what they are: masks of registers. */
struct random_shape {
    uint16_t bases;   /* point to data */
    uint16_t bases32; /* ... with their lower half, the upper one being anything */
    uint16_t indexes; /* small, to be scaled */
    uint16_t keep;    /* are rarely the destination */
    uint64_t data;    /* what absolute addresses point to */
    uint32_t data_size;
};

/* Fills insn. Addresses relative to RIP are the caller's to fill in. */
void random_insn_shaped(struct random *r, unsigned id, const struct random_shape *shape,
                        struct random_insn *insn);
/* one of a mask's registers */
unsigned random_register(struct random *r, uint16_t mask);
/* its addresses are in RSI and RDI, a count may be in RCX */
bool random_is_string(const struct insn_row *row);
