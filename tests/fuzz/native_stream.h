/* Random streams of instructions for test_native.c: made of pieces, each an instruction or a few that
 * belong together, so that pieces can be dropped and what is left placed anew. */
#pragma once
#include "cpu/jit/flow.h"
#include "tests/diff/random_insn.h"
#include "tests/fuzz/native_guest.h"

enum {
    STREAM_MAX_PIECES = 256,
    STREAM_MAX_ROUNDS = 300,
    PIECE_BYTES = 48,
    PIECE_FIXES = 4,
};

/* what a number in a piece depends on */
enum fix_kind {
    FIX_RELATIVE, /* 32 bits: distance from `end` to the target */
    FIX_ABSOLUTE, /* 64 bits: address of the target */
    FIX_ALIAS,    /* 32 bits: address of the target's bytes among the data */
    FIX_ADDRESS,  /* 32 bits: distance from `end` to a linear address */
    FIX_POOL,     /* 32 bits: distance from `end` to the pool, constants on a page of the code */
};
struct fix {
    uint8_t kind, at, end;
    uint16_t target;  /* piece */
    uint64_t address; /* of FIX_ADDRESS; else what is added */
};

struct piece {
    uint8_t bytes[PIECE_BYTES];
    unsigned length;
    uint64_t starts; /* offsets at which instructions start */
    struct fix fix[PIECE_FIXES];
    unsigned fixes;
    uint8_t branch; /* opcode of a short branch, 0: none. It comes behind the bytes. */
    bool near;      /* has become a branch of 32 bits */
    uint16_t to;    /* its target */
    bool dropped;
    unsigned at; /* offset in the code */
};

enum { PATCH_IMMEDIATE = 1, PATCH_OPCODE, PATCH_BYTE, PATCH_KINDS = PATCH_BYTE };

struct stream {
    uint64_t seed;
    struct random r;
    struct flow_table *flow; /* which rows have emitters */
    /* how it is made */
    struct random_shape shape;
    uint16_t values; /* registers that are neither */
    bool at_edge;    /* the last byte of code is the last of its page, and of the address space */
    bool plain;      /* no stores into code, no changes of mode or mapping */
    bool x87;        /* x87 instructions, half of all */
    uint64_t code;   /* linear address */
    struct piece piece[STREAM_MAX_PIECES];
    unsigned count;
    uint16_t patched[16]; /* pieces that stores into the code change */
    uint8_t patch_kind[16];
    unsigned patches;
    /* the guest around it */
    unsigned rounds;
    uint32_t period, restore, slice;
    uint32_t cache; /* MiB for native code */
    uint64_t cr0, cr3[2], cr4;
    uint64_t page[2][NG_DATA_PAGES], code_page[2][NG_CODE_PAGES]; /* entries of page tables */
    uint64_t record[STREAM_MAX_ROUNDS][NG_RECORD_WORDS];
    /* the code, placed */
    uint8_t image[NG_CODE_BYTES], other[NG_CODE_BYTES], resume[NG_CODE_BYTES];
    unsigned start;
};

struct stream *stream_new(uint64_t seed);
void stream_free(struct stream *s);
/* places what is not dropped; false: it does not fit */
bool stream_place(struct stream *s);

/* ---- making pieces (native_pieces.c) ---- */
void stream_make_pieces(struct stream *s, unsigned count);
uint64_t stream_pointer(struct stream *s);
