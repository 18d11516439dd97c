/* The translator's own state, of one processor. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "cpu/block.h"
#include "cpu/jit/code_buffer.h"
#include "cpu/jit/flow.h"
#include "cpu/jit/jit.h"
#include "mmu/tlb.h"

#define JUMP_HASH UINT32_C(0x9e3779b1) /* of native addresses; the upper bits count */
enum {
    JUMP_TABLE_ENTRIES = 1 << 15,
    JUMP_HASH_SHIFT = 32 - 15,
    JUMP_TAG_SHIFT = 48, /* of cpu->key in a tag; native addresses are below */
    JIT_CHUNKS = 64,     /* fewer where the cache is small */
};

/* The stack that native code runs on holds the landings of guest CALLs (x64_return.c); at its end a stub.
 * It is aligned to its size, and below is room for handlers of signals. It is full when the address has
 * none of the RETURNS_ROOM bits. */
enum {
    RETURNS_BYTES = 1 << 15,
    RETURNS_BELOW = 2 * RETURNS_BYTES,
    RETURNS_ROOM = RETURNS_BYTES - 64,
};

/* Room for the native code of one path: at most this much of the hot and the cold region. */
#define JIT_BLOCK_MAX (PATH_MAX_INSNS * 512u)

struct jump_entry {
    uint64_t tag; /* native address of the guest code, key above; 0: none */
    uint8_t *code;
};

/* A way from one block directly to another. */
struct link {
    struct native_block *from, *to; /* to: NULL while it is not linked */
    struct link *next;              /* of those into `to` */
    uint8_t *site;                  /* rel32 of the jump, where it is written */
    uint8_t *stub;                  /* where it goes while not linked: to the run loop */
    uint8_t *page;                  /* another page: the expected native one, for the check */
    int32_t offset;                 /* of the target from the start of the page */
    bool branch;                    /* taken by a branch, which checks its target */
};

/* A block as a part of a path. The first one of a path can be entered; it has the code of all. A
 * block can be the first of one path (struct block, `translated`) and a part of many. */
struct native_block {
    struct block *b;
    struct native_block *head;    /* first of the path */
    struct native_block *follows; /* next of the path, or NULL */
    struct native_block *same;    /* next of those of b */
    unsigned first;               /* index of its first instruction in the path */
    uint64_t rest;                /* what the blocks behind it in the path have been charged */
    struct flow_saves saves;      /* of the path that it begins */
    bool taken;                   /* goes on by the taken branch, not by what is behind */
    bool loops;                   /* of a first one: the path comes back to itself */
    struct native_block *twin;    /* ... the same path, without look-ups at its start; or NULL */
    uint64_t hits[PATH_MAX_INSNS / 64]; /* the instructions that those are for */
    bool stale;                         /* not to be entered any more */
    uint64_t far;                       /* the block's when this was made */
    uint8_t *code;
    uint8_t *landing; /* where the RET of the CALL at its end comes back; or NULL */
    uint32_t id;
    uint32_t hot_bytes, cold_bytes;
    const uint8_t *cold;
    struct link link[2];
    struct link *in;
    struct native_block *next; /* of the chunk */
};

/* a generation of native code, evicted as a whole */
struct chunk {
    uint8_t *start, *end; /* as written */
    uint8_t *hot, *cold;  /* next free bytes; hot below `middle` */
    uint8_t *middle;
    struct native_block *first;
};

/* pieces of native code that all blocks share, in the order of their addresses */
#define JIT_STUB_LIST(X) \
    X(enter)             \
    X(exit)              \
    X(exit_rip) X(insn) X(end) X(lookup) X(no_return) X(jump) X(load_xmm) X(load_x87) X(near)

/* what native code tells the run loop: 2 low bits, and a number above */
enum { EXIT_RIP, EXIT_LINK, EXIT_BUDGET, EXIT_SHIFT = 2 };

/* how native code names an instruction: the block's id << 8, REF_*, its index */
enum { REF_INDEX = 63, REF_CALL = 64 /* no emitter */, REF_SAVED = 128, REF_SHIFT = 8 };

/* where the native code of each instruction begins; NULL: it has none of its own */
struct jit_marks {
    const uint8_t *hot[PATH_MAX_INSNS], *cold[PATH_MAX_INSNS];
};

struct jit {
    struct cpu *cpu;
    struct code_buffer code;
    struct flow_table *flow;
    const struct x64_emitter **emitter; /* by enum insn_id */
    struct jump_entry *jumps;
    uint8_t *returns_memory;
    struct chunk chunk[JIT_CHUNKS];
    unsigned chunk_count, current;
    struct native_block **by_id;
    uint32_t id_count, id_capacity;
    uint32_t *free_ids;
    uint32_t free_count;
    struct link *pending;         /* left through it: to be linked with the next block */
    struct insn alone[2];         /* one instruction, then back */
    unsigned index;               /* of the instruction in alone[0], in its block, ... */
    struct native_block *running; /* ... which is this one */
    uint64_t near_since;          /* cycles: the last time that near_left was set */
    uint32_t near_ref;            /* the instruction that was looked at last, ... */
    unsigned near_grown;          /* ... and how often its run has grown since another one was */
    uint64_t before[16];          /* registers in front of it, if its flags are pending */
    bool keeps_flags;             /* it writes none */
    struct jit_stats stats;
    uint64_t calls[INSN_COUNT]; /* of interpreter functions, for want of an emitter */
    uint64_t slow[INSN_COUNT];  /* ... and from the slow paths of emitters */
    struct jit_marks *marks;    /* x64_translate fills them in, if not NULL */
    struct {
        FILE *out; /* blocks from `first` to `last` are shown as they are translated; or NULL */
        uint64_t first, last;
    } dump;
    FILE *perf_map; /* or NULL */
    const uint8_t *stub_end;
    const uint8_t *near_stub[2][TLB_NEAR_SLOTS]; /* x64_near.c */
    struct {                                     /* where they run */
#define STUB(name) uint8_t *name;
        JIT_STUB_LIST(STUB)
#undef STUB
    } stub;
};

/* the blocks of a path, for the analysis */
void jit_path(const struct native_block *head, struct flow_path *path);

/* Native code is about to be forgotten: no RET comes back to it. */
void jit_forget_returns(struct jit *jit);
/* C code has done the CALL or RET at the end of a block: what native code would have done to its stack */
void jit_follow_return(struct cpu *cpu, const struct native_block *nb, const struct insn *in);
void jit_create_returns(struct jit *jit);

/* C code that native code calls: what goes on afterwards, or NULL: where it came from */
uint8_t *jit_instruction(struct cpu *cpu, uint32_t ref);
uint8_t *jit_end_instruction(struct cpu *cpu, uint32_t ref);
/* a miss in struct tlb_near, chosen to be looked at; a ref stands JIT_NEAR_REF bytes behind the call */
void jit_near_sampled(struct cpu *cpu, const uint8_t *behind, uint64_t linear, bool write);
enum { JIT_NEAR_REF = 7 };
