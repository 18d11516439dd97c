/* Memory for blocks: a ring of segments, each emptied as a whole when its turn comes again, and a ring
 * of slots for blocks that cross pages (cpu/block_cache.h says why). */
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "cpu/block_cache.h"

enum { PREFETCH_BLOCK = 12, PREFETCH_HASH = 5 }; /* so many blocks ahead */

static void *arena_map(size_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    ASSERT(at != MAP_FAILED);
    madvise(at, bytes, MADV_HUGEPAGE); /* blocks are far apart: for the native TLB */
    return at;
}

static size_t crossing_bytes(void)
{
    return CROSSING_COUNT * block_bytes(CROSSING_INSNS);
}

static size_t starts_bytes(void)
{
    return (size_t)ARENA_SEGMENTS * SEGMENT_BLOCKS * sizeof(uint32_t);
}

void arena_create(struct block_arena *a)
{
    *a = (struct block_arena){
        .bytes = arena_map((size_t)ARENA_SEGMENTS * SEGMENT_BYTES),
        .starts = arena_map(starts_bytes()),
        .crossing = arena_map(crossing_bytes()),
    };
}

void arena_destroy(struct block_arena *a)
{
    munmap(a->bytes, (size_t)ARENA_SEGMENTS * SEGMENT_BYTES);
    munmap(a->starts, starts_bytes());
    munmap(a->crossing, crossing_bytes());
}

static uint8_t *segment_start(const struct block_arena *a, unsigned segment)
{
    return a->bytes + (size_t)segment * SEGMENT_BYTES;
}

static uint32_t *segment_starts(const struct block_arena *a, unsigned segment)
{
    return a->starts + (size_t)segment * SEGMENT_BLOCKS;
}

/* all that points to a block points to its new place */
static void block_move(struct cpu *cpu, struct block *to, struct block *from, size_t bytes)
{
    struct block **at = &cpu->blocks->hash[block_hash(from->native, from->key)];

    if (to == from)
        return;
    while (*at != from)
        at = &(*at)->hash_next;
    *at = to;
    memmove(to, from, bytes);
    page_moved(to);
    cpu->native_ops->moved(to);
    if (cpu->block == from)
        cpu->block = to;
}

/* It is long since anybody has looked at these blocks: have them and their places in the hash table in
 * the native caches in time. */
static void segment_prefetch(const struct cpu *cpu, const uint8_t *start, const uint32_t *starts,
                             unsigned i, unsigned count)
{
    if (i + PREFETCH_BLOCK < count) {
        __builtin_prefetch(start + starts[i + PREFETCH_BLOCK]);
        __builtin_prefetch(start + starts[i + PREFETCH_BLOCK] + 64);
    }
    if (i + PREFETCH_HASH < count) {
        const struct block *b = (const struct block *)(start + starts[i + PREFETCH_HASH]);

        __builtin_prefetch(&cpu->blocks->hash[block_hash(b->native, b->key)]);
    }
}

/* Empty a segment, but for what has native code, if that is not too much. What is volatile is known to
 * native code by its address. */
static void segment_empty(struct cpu *cpu, unsigned segment)
{
    struct block_arena *a = &cpu->blocks->arena;
    uint8_t *start = segment_start(a, segment), *to = start;
    uint32_t *starts = segment_starts(a, segment);
    unsigned kept = 0;

    for (unsigned i = 0; i < a->count[segment]; i++) {
        struct block *b = (struct block *)(start + starts[i]);
        size_t bytes = block_bytes(b->count);

        segment_prefetch(cpu, start, starts, i, a->count[segment]);
        if (b->native && b->natives && !b->is_volatile && to - start < SEGMENT_BYTES / 2) {
            block_move(cpu, (struct block *)to, b, bytes);
            starts[kept++] = (uint32_t)(to - start);
            to += bytes;
        } else {
            block_retire(cpu, b);
        }
    }
    a->used[segment] = (size_t)(to - start);
    a->count[segment] = kept;
}

struct block *arena_room(struct cpu *cpu)
{
    struct block_arena *a = &cpu->blocks->arena;

    if (a->used[a->segment] + block_bytes(BLOCK_MAX_INSNS) > SEGMENT_BYTES) {
        a->segment = (a->segment + 1) % ARENA_SEGMENTS;
        if (a->used[a->segment] > 0) {
            segment_empty(cpu, a->segment);
            cpu->blocks->stats.flushes++;
        }
    }
    return (struct block *)(segment_start(a, a->segment) + a->used[a->segment]);
}

void arena_keep(struct block_arena *a, const struct block *b)
{
    segment_starts(a, a->segment)[a->count[a->segment]++] = (uint32_t)a->used[a->segment];
    a->used[a->segment] += block_bytes(b->count);
}

struct block *arena_crossing(struct cpu *cpu)
{
    struct block_arena *a = &cpu->blocks->arena;
    size_t at = a->crossing_next * block_bytes(CROSSING_INSNS);
    struct block *b = (struct block *)(a->crossing + at);

    a->crossing_next = (a->crossing_next + 1) % CROSSING_COUNT;
    block_retire(cpu, b);
    return b;
}

void arena_clear(struct block_arena *a)
{
    madvise(a->bytes, (size_t)ARENA_SEGMENTS * SEGMENT_BYTES, MADV_DONTNEED);
    madvise(a->crossing, crossing_bytes(), MADV_DONTNEED);
    memset(a->used, 0, sizeof a->used);
    memset(a->count, 0, sizeof a->count);
    a->segment = 0;
    a->crossing_next = 0;
}

size_t arena_used(const struct block_arena *a)
{
    size_t used = a->crossing_next * block_bytes(CROSSING_INSNS);

    for (unsigned i = 0; i < ARENA_SEGMENTS; i++)
        used += a->used[i];
    return used;
}
