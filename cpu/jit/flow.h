/* What a block needs to know before a byte of native code is made: which flags are wanted where, and
 * after which instructions they must be saved. Shared by all native architectures.
 *
 * The guest's arithmetic flags are in one of three places: in the native flags, in
 * cpu->native.flags ("saved"), or nowhere: then they can be computed again from registers that have
 * not changed (replayed). Whoever can fault, or run C code, sees the flags before it: there they are
 * saved or can be replayed. At the end of a block they are saved. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "cpu/block.h"

/* clang-format off */
enum flag_rule {
    RULE_CALL,     /* no emitter: runs its interpreter function, which finds the flags saved */
    RULE_KEEP,     /* writes no flag */
    /* all flags, which the operands (and the result in the destination) give back */
    RULE_ADD, RULE_SUB, RULE_CMP, RULE_LOGIC, RULE_TEST, RULE_NEG,
    RULE_INC, RULE_DEC,  /* the same, all but CF */
    RULE_ROL, RULE_ROR,  /* CF and OF, from the result */
    RULE_MUL, RULE_IMUL, /* all flags, from rDX:rAX */
    RULE_BIT,            /* CF, from the operands */
    RULE_LOST,     /* all flags, and nothing gives them back */
    RULE_BIT_LOST, /* CF, likewise */
    RULE_ZERO_LOST, /* ZF, likewise */
    RULE_CARRY_IN, /* as LOST, reads CF */
    RULE_BY_CL,    /* as LOST, but a count of 0 keeps all */
};
enum insn_form { FORM_E_G, FORM_G_E, FORM_E_I };
enum {
    FLOW_READS = 0,           /* writes no register */
    FLOW_W_RM = 1 << 0, FLOW_W_REG = 1 << 1, FLOW_W_RAX = 1 << 2, FLOW_W_RDX = 1 << 3,
    FLOW_W_RSP = 1 << 4, FLOW_W_RBP = 1 << 5,
    FLOW_STORES = 1 << 6,     /* does not read the r/m operand that it writes */
    FLOW_NO_ACCESS = 1 << 7,  /* does not touch its memory operand */
    FLOW_STACK = 1 << 8,      /* accesses the stack */
    FLOW_FAULTS = 1 << 10,    /* even without an access */
    FLOW_XMM = 1 << 11,       /* uses XMM registers; needs KEY_NO_SSE 0. FLOW_W_REG and FLOW_W_RM
                                 still mean general ones */
    FLOW_MXCSR = 1 << 12,     /* ... and exceptions masked: KEY_SSE_TRAPS 0 */
    FLOW_HIGH = 1 << 14,      /* the r/m operand may be AH to BH */
    FLOW_COUNT = 1 << 13,     /* shifts by an immediate count */
    FLOW_PLAIN = 1 << 15,     /* nothing but its operands is read or written, besides RSP */
    FLOW_X87 = 1 << 16,       /* uses the x87; needs KEY_NO_X87 and KEY_X87_TRAPS 0 */
    FLOW_X87_NOTES = 1 << 17, /* ... and sets FOP, FIP and FDP */
    FLOW_VOLATILE = 1 << 18,  /* the emitter of the register form can read the immediate from the block */
};
/* clang-format on */

struct flow_row {
    const struct exec_set *exec;
    uint32_t traits; /* FLOW_* */
    uint8_t rule, form;
};

/* of one instruction of a block */
struct flow {
    const struct flow_row *row; /* NULL: RULE_CALL */
    uint16_t reads;             /* FL_*: flags that it depends on */
    uint16_t must;              /* ... that it always defines */
    uint16_t live;              /* ... that somebody depends on afterwards (faults apart) */
    bool calls;                 /* may fault or run C code: an access, or RULE_CALL */
    bool save;                  /* the flags are saved after it */
};

/* bit n: the second byte of guest register n (AH, CH, DH, BH) has a place in native code */
extern const uint8_t native_high_bytes;

struct flow_table; /* by enum insn_id */
/* without the rows of instructions whose feature (FEAT_*) the native processor does not have */
struct flow_table *flow_table_create(bool (*has)(unsigned feature));

enum { PATH_MAX_BLOCKS = 8, PATH_MAX_INSNS = 128 };

/* Blocks that follow one another: each but the last goes on to the next, by the branch that ends it
 * or by falling through. Where such a branch is conditional, its other way is a side exit, at which
 * flags that are not saved are still in the native flags. */
struct flow_path {
    unsigned count, insns;
    const struct block *b[PATH_MAX_BLOCKS];
    unsigned first[PATH_MAX_BLOCKS];       /* index of the block's first instruction */
    const struct insn *in[PATH_MAX_INSNS]; /* all instructions */
    bool ends[PATH_MAX_INSNS];             /* the last of a block that is not the path's last */
    bool hits[PATH_MAX_INSNS];             /* its access is known to hit: no fault, no call of C */
};

/* append a block; false: it is too much */
bool flow_path_add(struct flow_path *p, const struct block *b);
/* one of the sixteen Jcc? */
bool flow_is_jcc(const struct insn *in);

/* fills flow[0] to flow[path->insns - 1] */
void flow_analyse_path(const struct flow_table *t, const struct flow_path *p, struct flow *flow);
/* the same for a path of one block */
void flow_analyse(const struct flow_table *t, const struct block *b, struct flow *flow);

/* does an instruction with a row change this general register? */
bool flow_writes(const struct flow *f, const struct insn *in, unsigned reg);

/* What the interpreter function of an instruction needs and leaves: the flags that it reads or keeps,
 * and whether it writes any. */
void flow_of_call(const struct flow_table *t, const struct insn *in, uint16_t *needs, bool *writes);

/* After which instructions of a path the flags are saved: what there is to know at a fault. */
struct flow_saves {
    uint64_t after[PATH_MAX_INSNS / 64];
};
void flow_note_saves(const struct flow_path *p, const struct flow *flow, struct flow_saves *s);

/* The RFLAGS image of the arithmetic flags before instruction `at`, from those that were saved last
 * (an RFLAGS image too) and the registers as they are there. */
uint64_t flow_replay_path(const struct flow_table *t, const struct flow_path *p,
                          const struct flow_saves *s, unsigned at, uint64_t saved,
                          const uint64_t *r);
uint64_t flow_replay(const struct flow_table *t, const struct block *b, const struct flow *flow,
                     unsigned at, uint64_t saved, const uint64_t *r);
