/* What the files of the block cache share: where blocks are kept (block_arena.c), which pages they lie
 * on (block_page.c), how they are built and found (block.c). */
#pragma once
#include <stddef.h>

#include "cpu/block.h"

enum { PAGE_HASH_SIZE = 1 << 12 };

/* a page of RAM that blocks have been decoded from */
struct code_page {
    uint64_t pa;
    uint64_t lines; /* 64-byte lines that hold decoded bytes, or did */
    struct block *first;
    struct code_page *next;
    const uint8_t *native;
    unsigned blocks, crossings; /* how many; of these, that lie in another page too */
    /* While the page is open (bus.h), and after: the bytes of those lines that are `copied`. */
    uint8_t *copy;
    uint64_t copied;
    uint64_t opened;                /* cpu->insn_count when it was */
    unsigned short_turns, tell_for; /* how often it was not worth it; stores before trying again */
};

/* Blocks are kept in a ring of segments. When there is no more room the oldest segment is emptied, but
 * for the blocks that have native code.
 *
 * A block whose instruction lies in two pages is kept apart, in a ring of its own: building one looks
 * its second page up, at the cost of a walk perhaps, so that it must be there or not be there whatever
 * has become native code. */
enum {
    ARENA_SEGMENTS = 16,
    SEGMENT_BYTES = 4 << 20,
    SEGMENT_BLOCKS = SEGMENT_BYTES / (sizeof(struct block) + 2 * sizeof(struct insn)),
    CROSSING_COUNT = 1 << 14,
    CROSSING_INSNS = 2,
};

struct block_arena {
    uint8_t *bytes;
    size_t used[ARENA_SEGMENTS];
    uint32_t *starts; /* of a segment's blocks, in its part of this */
    unsigned count[ARENA_SEGMENTS];
    unsigned segment;  /* that is being filled */
    uint8_t *crossing; /* slots */
    unsigned crossing_next;
};

struct block_cache {
    struct block *hash[BLOCK_HASH_SIZE];
    struct code_page *pages[PAGE_HASH_SIZE];
    struct block_arena arena;
    struct decode_memo *memo;
    struct block *scratch; /* for code in MMIO: never kept */
    struct bus_listener listener;
    struct block_cache_stats stats;
};

static inline size_t block_bytes(unsigned insns)
{
    return (sizeof(struct block) + (insns + 1) * sizeof(struct insn) + 15) & ~(size_t)15;
}

/* ---- block.c ---- */
/* take a block out of all tables; if it is running it is left with its next instruction */
void block_retire(struct cpu *cpu, struct block *b);

/* ---- block_page.c ---- */
/* list a block with the page where its first (0) or second (1) part lies */
void page_add(struct cpu *cpu, struct block *b, unsigned part, uint64_t pa);
void page_remove(struct cpu *cpu, struct block *b);
/* b has been moved from elsewhere */
void page_moved(struct block *b);
/* The pages stay marked in the bus until somebody writes to them. */
void pages_free(struct block_cache *c);
/* bus_listener: bytes of a code page have been written; is there still code on it? */
bool page_written(void *owner, uint64_t pa, unsigned size);
/* ... it may become open; does; is closed again */
bool page_may_open(void *owner, uint64_t pa, unsigned size);
void page_opens(void *owner, uint64_t pa);
void page_closed(void *owner, uint64_t pa);

/* ---- block_arena.c ---- */
void arena_create(struct block_arena *a);
void arena_destroy(struct block_arena *a);
/* Room for the longest block; arena_keep tells how much of it one has taken. Blocks may move. */
struct block *arena_room(struct cpu *cpu);
void arena_keep(struct block_arena *a, const struct block *b);
/* room for a block that crosses pages, kept at once */
struct block *arena_crossing(struct cpu *cpu);
void arena_clear(struct block_arena *a);
size_t arena_used(const struct block_arena *a);
