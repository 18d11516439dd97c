/* The block cache of one processor: building, finding, retiring.
 *
 * A retired block leaves the tables at once, and, if it runs, each of its instructions becomes one
 * that leaves the block, so that a store into the running block takes effect with the next
 * instruction. */
#include "cpu/block.h"

#include <stdlib.h>

#include "base/assert.h"
#include "cpu/block_cache.h"
#include "cpu/decode.h"
#include "cpu/exec.h"

/* ---- pseudo-instructions ---- */

/* the end of a block without a branch, and all of a stale one */
EXEC_BODY(leave_block)
{
    cpu->rip = insn_rip(cpu, in);
}
EXEC_END(leave_block)

EXEC_BODY(too_long)
{
    raise_gp(cpu, 0);
}
EXEC_END(too_long)

/* In front of an instruction whose bytes lie in two pages: is the second still where it was? */
static void exec_check_second_page(struct cpu *cpu, const struct insn *in)
{
    uint64_t linear = cpu->seg[SEG_CS].base * !cpu_64bit(cpu) + insn_rip(cpu, in);
    const uint8_t *native;

    cpu->in = in;
    linear = (linear & PAGE_MASK) + PAGE_SIZE;
    mmu_fetch(&cpu->mmu, cpu_64bit(cpu) ? linear : (uint32_t)linear, &native);
    if ((uintptr_t)native == (uintptr_t)in->imm) {
        EXEC_NEXT(cpu, in);
    }
    cpu->rip = insn_rip(cpu, in);
    block_retire(cpu, cpu->block);
}

/* ---- retiring ---- */

static void hash_remove(struct block_cache *c, struct block *b)
{
    struct block **at = &c->hash[block_hash(b->native, b->key)];

    while (*at != b)
        at = &(*at)->hash_next;
    *at = b->hash_next;
}

void block_retire(struct cpu *cpu, struct block *b)
{
    if (!b->native)
        return;
    if (b->natives)
        cpu->native_ops->retired(cpu, b);
    hash_remove(cpu->blocks, b);
    page_remove(cpu, b);
    for (unsigned i = 0; i < b->count && b == cpu->block; i++)
        b->insns[i].exec = exec_leave_block;
    b->native = 0;
    cpu->blocks->stats.invalidated++;
}

/* ---- building ---- */

static void append_leave(struct cpu *cpu, struct block *b, unsigned at, unsigned start)
{
    b->insns[at] = (struct insn){ .exec = exec_leave_block, .start = (uint16_t)start };
}

static void set_too_long(struct insn *in, uint16_t start)
{
    *in = (struct insn){ .exec = exec_too_long, .start = start, .length = 15 };
}

/* An instruction whose bytes go on in the next page gets a block of its own. */
static void build_crossing(struct cpu *cpu, struct block *b, uint64_t linear, const uint8_t *bytes,
                           unsigned room)
{
    uint64_t next = (linear & PAGE_MASK) + PAGE_SIZE;
    const uint8_t *native2;
    uint64_t pa2 = mmu_fetch(&cpu->mmu, cpu_64bit(cpu) ? next : (uint32_t)next, &native2);
    uint8_t buffer[30];
    struct insn *in = &b->insns[1];

    memcpy(buffer, bytes, room);
    for (unsigned i = 0; i < 15; i++)
        buffer[room + i] = native2 ? native2[i] : (uint8_t)bus_read(cpu->bus, pa2 + i, 1);
    in->start = 0;
    if (decode(in, buffer, 15, cpu->key, cpu->features) != DECODE_OK)
        set_too_long(in, 0);
    in->flags |= IN_CROSSES;
    b->insns[0] = (struct insn){ .exec = exec_check_second_page,
                                 .imm = (uintptr_t)native2,
                                 .length = in->length };
    b->crosses = true;
    b->count = 2;
    b->bytes = in->length;
    b->cost = insn_rows[in->id].cost;
    append_leave(cpu, b, 2, in->length);
    if (native2 && b->bytes > room && b != cpu->blocks->scratch &&
        (pa2 & PAGE_MASK) != (b->pa & PAGE_MASK))
        page_add(cpu, b, 1, pa2 & PAGE_MASK);
}

/* May a block go on from STI to the instruction behind it, its last one then? Nothing must see that
 * blocking by STI is in effect: a VM exit of that instruction does, in non-root operation, and
 * another shadow, which would not be one behind that of STI. */
static bool block_shadows(const struct cpu *cpu, const struct insn *next)
{
    return !(cpu->key & KEY_NON_ROOT) && next->id != INSN_MOV_Sw_Ew && next->id != INSN_POP_SS;
}

/* false: the first instruction crosses the page */
static bool build_straight(struct cpu *cpu, struct block *b, const uint8_t *bytes, unsigned room)
{
    unsigned max = cpu->key & KEY_SINGLE ? 1 : BLOCK_MAX_INSNS;
    unsigned at = 0, n = 0;
    bool ended = false;

    while (n < max && !ended && at < room) {
        struct insn *in = &b->insns[n];
        enum decode_result r;

        in->start = (uint16_t)at;
        r = decode_again(cpu->blocks->memo, in, bytes + at, room - at, cpu->key);
        if (r == DECODE_SHORT)
            break;
        if (r == DECODE_TOO_LONG)
            set_too_long(in, (uint16_t)at);
        if (n > 0 && in[-1].id == INSN_STI) {
            if (!block_shadows(cpu, in))
                break;
            in[-1].flags |= IN_SHADOW;
            ended = true;
        }
        b->cost += insn_rows[in->id].cost;
        ended |= r == DECODE_TOO_LONG || insn_rows[in->id].traits & T_END;
        at += in->length;
        n++;
    }
    b->count = (uint16_t)n;
    b->bytes = (uint16_t)at;
    append_leave(cpu, b, n, at);
    return n > 0;
}

static struct block *block_build(struct cpu *cpu, uint64_t linear, uint64_t pa,
                                 const uint8_t *native)
{
    struct block_cache *c = cpu->blocks;
    unsigned room = (unsigned)(PAGE_SIZE - (linear & ~PAGE_MASK));
    struct block *b;
    unsigned h;

    b = arena_room(cpu);
    *b = (struct block){ .native = (uintptr_t)native, .pa = pa, .key = cpu->key };
    if (build_straight(cpu, b, native, room)) {
        arena_keep(&c->arena, b);
    } else {
        b = arena_crossing(cpu);
        *b = (struct block){ .native = 0, .pa = pa, .key = cpu->key };
        build_crossing(cpu, b, linear, native, room);
        b->native = (uintptr_t)native;
    }
    c->stats.built++;
    h = block_hash(b->native, b->key);
    b->hash_next = c->hash[h];
    c->hash[h] = b;
    page_add(cpu, b, 0, pa);
    return b;
}

/* Code in MMIO: read through the bus, one instruction, never kept. */
static struct block *block_scratch(struct cpu *cpu, uint64_t linear, uint64_t pa)
{
    unsigned room = (unsigned)(PAGE_SIZE - (linear & ~PAGE_MASK));
    struct block *b = cpu->blocks->scratch;
    uint8_t bytes[16];
    uint32_t key = cpu->key;

    for (unsigned i = 0; i < 15; i++)
        bytes[i] = i < room ? (uint8_t)bus_read(cpu->bus, pa + i, 1) : 0;
    *b = (struct block){ .pa = pa, .key = key };
    cpu->key |= KEY_SINGLE;
    if (!build_straight(cpu, b, bytes, room < 15 ? room : 15))
        build_crossing(cpu, b, linear, bytes, room);
    cpu->key = key;
    return b;
}

/* ---- finding ---- */

static struct block *find_slow(struct cpu *cpu, uint64_t linear)
{
    struct mmu *m = &cpu->mmu;
    const uint8_t *page;
    uint64_t pa;
    struct block *b;

    cpu->in = NULL;
    pa = mmu_fetch(m, linear, &page);
    if (!page)
        return block_scratch(cpu, linear, pa);
    m->fetch_page = linear & PAGE_MASK;
    m->fetch_addend = (uintptr_t)page - m->fetch_page;
    for (b = cpu->blocks->hash[block_hash(linear + m->fetch_addend, cpu->key)]; b;
         b = b->hash_next) {
        if (b->native == linear + m->fetch_addend && b->key == cpu->key)
            return b;
    }
    return block_build(cpu, linear, pa, (const uint8_t *)(linear + m->fetch_addend));
}

/* The legacy modes' limit of CS: a block that reaches beyond runs an instruction at a time. */
static void check_limit(struct cpu *cpu, const struct block *b)
{
    uint64_t limit = cpu->seg[SEG_CS].limit;

    if (likely(cpu->rip + b->bytes - 1 <= limit))
        return;
    cpu->in = NULL;
    if (cpu->rip > limit || cpu->rip + b->insns[0].length - 1 > limit)
        raise_gp(cpu, 0);
}

static inline struct block *block_at(struct cpu *cpu, uint64_t linear)
{
    struct mmu *m = &cpu->mmu;
    uintptr_t native;
    struct block *b;

    if (unlikely((linear & PAGE_MASK) != m->fetch_page)) {
        const struct tlb_entry *e = tlb_code_at(m->tlb, linear);

        if (unlikely(e->fetch != (linear & PAGE_MASK)))
            return find_slow(cpu, linear);
        m->fetch_page = linear & PAGE_MASK;
        m->fetch_addend = e->addend;
    }
    native = linear + m->fetch_addend;
    b = cpu->blocks->hash[block_hash(native, cpu->key)];
    while (b && unlikely(b->native != native || b->key != cpu->key))
        b = b->hash_next;
    return likely(b != NULL) ? b : find_slow(cpu, linear);
}

struct block *block_find(struct cpu *cpu)
{
    struct block *b;

    if (likely(cpu_64bit(cpu)))
        return block_at(cpu, cpu->rip);
    b = block_at(cpu, (uint32_t)(cpu->seg[SEG_CS].base + cpu->rip));
    if (unlikely(cpu->rip + b->bytes - 1 > cpu->seg[SEG_CS].limit)) {
        uint32_t key = cpu->key;

        cpu->key |= KEY_SINGLE;
        b = block_at(cpu, (uint32_t)(cpu->seg[SEG_CS].base + cpu->rip));
        cpu->key = key;
        check_limit(cpu, b);
    }
    return b;
}

/* ---- life ---- */

void blocks_flush(struct cpu *cpu)
{
    struct block_cache *c = cpu->blocks;

    if (cpu->native_ops)
        cpu->native_ops->flushed(cpu);
    pages_free(c);
    memset(c->hash, 0, sizeof c->hash);
    arena_clear(&c->arena);
    c->stats.flushes++;
}

struct block_cache *blocks_create(struct cpu *cpu)
{
    struct block_cache *c = calloc(1, sizeof *c);

    ASSERT(c);
    arena_create(&c->arena);
    c->memo = decode_memo_create(cpu->features);
    c->scratch = calloc(1, block_bytes(BLOCK_MAX_INSNS));
    ASSERT(c->scratch);
    c->listener = (struct bus_listener){ .owner = cpu,
                                         .code_written = page_written,
                                         .may_open = page_may_open,
                                         .opens = page_opens,
                                         .closed = page_closed };
    bus_listen(cpu->bus, &c->listener);
    cpu->block_hash = c->hash;
    return c;
}

void blocks_destroy(struct cpu *cpu)
{
    struct block_cache *c = cpu->blocks;

    bus_unlisten(cpu->bus, &c->listener);
    pages_free(c);
    arena_destroy(&c->arena);
    free(c->memo);
    free(c->scratch);
    free(c);
}

void blocks_stats(const struct cpu *cpu, struct block_cache_stats *out)
{
    *out = cpu->blocks->stats;
    out->bytes = arena_used(&cpu->blocks->arena);
}
