/* Blocks: straight runs of decoded instructions, found by the native address of their first byte
 * (which stands for the physical address) and the block key. [design: "Execution"] */
#pragma once
#include <stdint.h>

#include "cpu/cpu.h"
#include "cpu/insn.h"

enum {
    BLOCK_MAX_INSNS = 64,
    BLOCK_HOT = 24,    /* runs in the interpreter before a block is worth translating */
    BLOCK_PATCHED = 4, /* after so many patches to native code, twice as many; and so on ... */
    BLOCK_LATEST = 12, /* ... so often */
    BLOCK_COLD_FOR_EVER = 1 << 31, /* heat of a block that cannot be */
};

struct native_block;
struct code_page;

struct block {
    uintptr_t native; /* of the first byte; 0 when stale */
    uint64_t pa;
    uint32_t key;   /* KEY_* */
    uint32_t cost;  /* cycles, charged when the block is entered */
    uint16_t count; /* instructions */
    uint16_t bytes;
    uint32_t heat;    /* how often the interpreter has run it */
    uint8_t patched;  /* how often native code of it has become wrong */
    bool is_volatile; /* some instruction is IN_VOLATILE */
    bool crosses;     /* its only instruction lies in two pages */
    uint64_t far;     /* bit n: instruction n accesses a page, then another (cpu/jit) */
    uint8_t *code;    /* native code, or NULL */
    struct native_block *translated; /* of cpu/jit: the path that it begins */
    struct native_block *natives;    /* all paths that it is a part of */
    struct block *hash_next;
    /* of cpu/block_page.c: the code pages of the first and of the last byte, the next block there,
     * and who points here */
    struct code_page *page[2];
    struct block *page_next[2];
    struct block **page_back[2];
    struct insn insns[]; /* count, and one that leaves the block; a block whose only
                                  instruction crosses a page begins with one that checks that */
};

struct block_cache_stats {
    uint64_t built, invalidated, patched;
    uint64_t flushes; /* of a segment of the arena, or of all */
    uint64_t bytes;   /* of the arena in use */
};

/* When it is worth translating: later, the more often that was in vain. */
static inline uint32_t block_hot(const struct block *b)
{
    unsigned again = b->patched / BLOCK_PATCHED;

    return (uint32_t)BLOCK_HOT << (again < BLOCK_LATEST ? again : BLOCK_LATEST);
}

struct block_cache *blocks_create(struct cpu *cpu);
void blocks_destroy(struct cpu *cpu);

enum { BLOCK_HASH_SIZE = 1 << 18 };

/* neighbours in memory are near one another in the table */
static inline unsigned block_hash(uintptr_t native, uint32_t key)
{
    return (unsigned)(native >> 2 ^ native >> 20 ^ key << 7) & (BLOCK_HASH_SIZE - 1);
}

/* the block whose first byte is at `native`, if there is one */
static inline struct block *block_lookup(const struct cpu *cpu, uintptr_t native, uint32_t key)
{
    struct block *b = cpu->block_hash[block_hash(native, key)];

    while (b && (b->native != native || b->key != key))
        b = b->hash_next;
    return b;
}

/* The block at cpu->rip for cpu->key; builds it if there is none. Unwinds on a fetch fault. */
struct block *block_find(struct cpu *cpu);

/* the same, with the commonest case inline: 64-bit mode, the page of the last block, a block that
 * is the first of its hash chain */
ALWAYS_INLINE struct block *block_next(struct cpu *cpu)
{
    uintptr_t native = cpu->rip + cpu->mmu.fetch_addend;
    struct block *b = cpu->block_hash[block_hash(native, cpu->key)];

    if (likely((cpu->rip & PAGE_MASK) == cpu->mmu.fetch_page && cpu_64bit(cpu) && b &&
               b->native == native && b->key == cpu->key))
        return b;
    return block_find(cpu);
}

/* charge a block and interpret it; it is the one at cpu->rip */
static inline void block_enter(struct cpu *cpu, struct block *b)
{
    cpu->budget -= b->cost;
    cpu->insn_count += b->count;
    cpu->interpreted += b->count;
    cpu->r[REG_BLOCK_RIP] = cpu->rip;
    cpu->block = b;
    b->insns[0].exec(cpu, b->insns);
}

/* Forget all blocks. Not while one runs. */
void blocks_flush(struct cpu *cpu);
void blocks_stats(const struct cpu *cpu, struct block_cache_stats *out);
