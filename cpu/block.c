/* The block cache of one processor: building, finding, invalidating.
 *
 * Blocks live in an arena that is emptied as a whole when it is full. An invalidated block leaves
 * the tables at once, and each of its instructions becomes one that leaves the block, so that a
 * store into the running block takes effect with the next instruction. */
#include "cpu/block.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "cpu/decode.h"
#include "cpu/exec.h"

enum {
    ARENA_BYTES = 48 << 20,
    PAGE_HASH_SIZE = 1 << 12,
    LINE_SHIFT = 6, /* a code page notes which of its 64-byte lines hold decoded bytes */
};

struct code_page {
    uint64_t pa;
    uint64_t lines;
    struct block *first;
    struct code_page *next;
};

struct block_cache {
    struct block *hash[BLOCK_HASH_SIZE];
    struct code_page *pages[PAGE_HASH_SIZE];
    uint8_t *arena;
    size_t used;
    struct block *scratch; /* for code in MMIO: never kept */
    struct bus_listener listener;
    struct block_cache_stats stats;
};

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

static void block_retire(struct cpu *cpu, struct block *b);

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

/* ---- tables ---- */

static struct code_page **page_slot(struct block_cache *c, uint64_t pa)
{
    struct code_page **at = &c->pages[pa >> PAGE_SHIFT & (PAGE_HASH_SIZE - 1)];

    while (*at && (*at)->pa != (pa & PAGE_MASK))
        at = &(*at)->next;
    return at;
}

static uint64_t line_mask(uint64_t pa, unsigned bytes)
{
    unsigned first = (unsigned)(pa & ~PAGE_MASK) >> LINE_SHIFT;
    unsigned last = (unsigned)((pa & ~PAGE_MASK) + bytes - 1) >> LINE_SHIFT;

    return BITS(last > 63 ? 63 : last, first);
}

/* the part of a block in its first (0) or second (1) page */
static void block_part(const struct block *b, unsigned part, uint64_t pa2, uint64_t *pa,
                       unsigned *bytes)
{
    unsigned room = (unsigned)(PAGE_SIZE - (b->pa & ~PAGE_MASK));

    *pa = part == 0 ? b->pa : pa2;
    *bytes = part == 0 ? (b->bytes < room ? b->bytes : room) : b->bytes - room;
}

/* how many bytes of a block are in its second page */
static unsigned block_rest(const struct block *b)
{
    unsigned room = (unsigned)(PAGE_SIZE - (b->pa & ~PAGE_MASK));

    return b->bytes > room ? b->bytes - room : 0;
}

/* Lines of a page that a block's part there lies in. Both pages of a crossing block may be the same
 * physical one, which then lists it once: its first page counts for both parts always. */
static uint64_t block_lines(const struct block *b, unsigned part, uint64_t page_pa)
{
    unsigned bytes, rest = block_rest(b);
    uint64_t start;

    block_part(b, part, page_pa, &start, &bytes);
    return line_mask(start, bytes) | (part == 0 && rest ? line_mask(page_pa, rest) : 0);
}

static void page_add(struct cpu *cpu, struct block *b, unsigned part, uint64_t pa)
{
    struct code_page **at = page_slot(cpu->blocks, pa), *page = *at;

    if (!page) {
        page = calloc(1, sizeof *page);
        ASSERT(page);
        page->pa = pa & PAGE_MASK;
        *at = page;
        bus_mark_code(cpu->bus, page->pa);
    }
    page->lines |= block_lines(b, part, page->pa);
    b->page_next[part] = page->first;
    page->first = b;
}

static void hash_remove(struct block_cache *c, struct block *b)
{
    struct block **at = &c->hash[block_hash(b->native, b->key)];

    while (*at && *at != b)
        at = &(*at)->hash_next;
    if (*at)
        *at = b->hash_next;
}

/* Take a block out of the hash and make it leave at each instruction; it stays in its pages' lists
 * until these are next walked. */
static void block_retire(struct cpu *cpu, struct block *b)
{
    if (!b->native)
        return;
    if (b->natives)
        cpu->native_ops->retired(cpu, b);
    hash_remove(cpu->blocks, b);
    for (unsigned i = 0; i < b->count; i++)
        b->insns[i].exec = exec_leave_block;
    b->native = 0;
    cpu->blocks->stats.invalidated++;
}

static unsigned part_on_page(const struct block *b, uint64_t page_pa)
{
    return (b->pa & PAGE_MASK) == page_pa ? 0 : 1;
}

static bool overlaps(const struct block *b, uint64_t page_pa, uint64_t pa, unsigned size)
{
    unsigned part = part_on_page(b, page_pa), bytes;
    uint64_t start;

    block_part(b, part, page_pa, &start, &bytes);
    return (pa < start + bytes && start < pa + size) || (part == 0 && pa < page_pa + block_rest(b));
}

/* A store to the page that MONITOR watches ends MWAIT. */
static void wake_monitor(struct cpu *cpu, uint64_t pa)
{
    if ((cpu->monitor_pa & PAGE_MASK) != (pa & PAGE_MASK))
        return;
    cpu->monitor_pa = MMU_NO_PAGE;
    if (cpu->activity == MWAITING)
        cpu->activity = ACTIVE;
}

/* bus_listener: bytes of a code page are being written; is there still code on it? */
static bool code_written(void *owner, uint64_t pa, unsigned size)
{
    struct cpu *cpu = owner;
    struct code_page **slot = page_slot(cpu->blocks, pa), *page = *slot;
    struct block **at;

    wake_monitor(cpu, pa);
    if (!page)
        return false;
    if (!(page->lines & line_mask(pa, size)))
        return true;
    page->lines = 0;
    at = &page->first;
    while (*at) {
        struct block *b = *at;
        unsigned part = part_on_page(b, page->pa);

        if (b->native && overlaps(b, page->pa, pa, size))
            block_retire(cpu, b);
        if (!b->native) {
            *at = b->page_next[part];
        } else {
            page->lines |= block_lines(b, part, page->pa);
            at = &b->page_next[part];
        }
    }
    if (page->first)
        return true;
    *slot = page->next;
    free(page);
    return false;
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
        r = decode(in, bytes + at, room - at < 15 ? room - at : 15, cpu->key, cpu->features);
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

static size_t block_bytes(unsigned insns)
{
    return sizeof(struct block) + (insns + 1) * sizeof(struct insn);
}

static struct block *block_build(struct cpu *cpu, uint64_t linear, uint64_t pa,
                                 const uint8_t *native)
{
    struct block_cache *c = cpu->blocks;
    unsigned room = (unsigned)(PAGE_SIZE - (linear & ~PAGE_MASK));
    struct block *b;
    unsigned h;

    if (c->used + block_bytes(BLOCK_MAX_INSNS) > ARENA_BYTES)
        blocks_flush(cpu);
    b = (struct block *)(c->arena + c->used);
    *b = (struct block){ .native = (uintptr_t)native, .pa = pa, .key = cpu->key };
    if (!build_straight(cpu, b, native, room))
        build_crossing(cpu, b, linear, native, room);
    c->used += align_up(block_bytes(b->count), 16);
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

/* The pages stay marked in the bus until somebody writes to them. */
static void pages_free(struct block_cache *c)
{
    for (unsigned i = 0; i < PAGE_HASH_SIZE; i++) {
        while (c->pages[i]) {
            struct code_page *page = c->pages[i];

            c->pages[i] = page->next;
            free(page);
        }
    }
}

void blocks_flush(struct cpu *cpu)
{
    struct block_cache *c = cpu->blocks;

    if (cpu->native_ops)
        cpu->native_ops->flushed(cpu);
    pages_free(c);
    memset(c->hash, 0, sizeof c->hash);
    madvise(c->arena, ARENA_BYTES, MADV_DONTNEED);
    c->used = 0;
    c->stats.flushes++;
}

struct block_cache *blocks_create(struct cpu *cpu)
{
    struct block_cache *c = calloc(1, sizeof *c);

    ASSERT(c);
    c->arena = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ASSERT(c->arena != MAP_FAILED);
    c->scratch = calloc(1, block_bytes(BLOCK_MAX_INSNS));
    ASSERT(c->scratch);
    c->listener = (struct bus_listener){ .owner = cpu, .code_written = code_written };
    bus_listen(cpu->bus, &c->listener);
    cpu->block_hash = c->hash;
    return c;
}

void blocks_destroy(struct cpu *cpu)
{
    struct block_cache *c = cpu->blocks;

    bus_unlisten(cpu->bus, &c->listener);
    pages_free(c);
    munmap(c->arena, ARENA_BYTES);
    free(c->scratch);
    free(c);
}

void blocks_stats(const struct cpu *cpu, struct block_cache_stats *out)
{
    *out = cpu->blocks->stats;
    out->bytes = cpu->blocks->used;
}
