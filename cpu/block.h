/* Blocks: straight runs of decoded instructions, found by the native address of their first byte
 * (which stands for the physical address) and the block key. [design: "Execution"] */
#pragma once
#include <stdint.h>

#include "cpu/cpu.h"
#include "cpu/insn.h"

enum { BLOCK_MAX_INSNS = 64 };

struct block {
    uintptr_t native;          /* of the first byte; 0 when stale */
    uint64_t pa;
    uint32_t key;              /* KEY_* */
    uint32_t cost;             /* cycles, charged when the block is entered */
    uint16_t count;            /* instructions */
    uint16_t bytes;
    struct block *hash_next;
    struct block *page_next[2]; /* on the code page of the first and of the last byte */
    struct insn insns[];       /* count, and one that leaves the block; a block whose only
                                  instruction crosses a page begins with one that checks that */
};

struct block_cache_stats {
    uint64_t built, invalidated, flushes;
    uint64_t bytes; /* of the arena in use */
};

struct block_cache *blocks_create(struct cpu *cpu);
void blocks_destroy(struct cpu *cpu);

/* The block at cpu->rip for cpu->key; builds it if there is none. Unwinds on a fetch fault. */
struct block *block_find(struct cpu *cpu);

/* Forget all blocks. Not while one runs. */
void blocks_flush(struct cpu *cpu);
void blocks_stats(const struct cpu *cpu, struct block_cache_stats *out);
