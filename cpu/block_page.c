/* Pages with code: which blocks lie on them, and what becomes of these when bytes are written.
 *
 * A block whose instructions are as long as they were, and end where they did, is given the new ones
 * in place: its boundaries, and so the grain of the clock, are those of a block that would be built
 * anew. All else is retired. Native code made of it goes in both cases, unless only an immediate has
 * changed that is noted as volatile: native code reads that from the block.
 * [SDM 3A "Self-Modifying Code"] */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "cpu/block_cache.h"
#include "cpu/decode.h"

enum {
    LINE_SHIFT = 6,
    LINE_BYTES = 1 << LINE_SHIFT,
    PATCH_INSNS = 4,    /* rewritten in one store, at most */
    PATCH_VOLATILE = 2, /* how often native code has gone before an immediate is volatile */
    BLOCKS_TOLD = 32,   /* on a page, at most, of which each is looked at with each store */
    TURN_SHORT = 48,    /* instructions: an open page is worth more stores than these have */
    TURNS_SHORT = 8,    /* after so many of them in a row ... */
    TELL_STORES = 1024, /* ... so many stores are told before it is tried again */
};

/* ---- lists ---- */

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

static unsigned part_on_page(const struct block *b, uint64_t page_pa)
{
    return (b->pa & PAGE_MASK) == page_pa ? 0 : 1;
}

void page_add(struct cpu *cpu, struct block *b, unsigned part, uint64_t pa)
{
    struct code_page **at = page_slot(cpu->blocks, pa), *page = *at;

    if (!page) {
        page = calloc(1, sizeof *page);
        ASSERT(page);
        page->pa = pa & PAGE_MASK;
        page->native = bus_native(cpu->bus, pa);
        *at = page;
        bus_mark_code(cpu->bus, page->pa);
    }
    page->lines |= block_lines(b, part, page->pa);
    page->crossings += b->crosses;
    page->blocks++;
    b->page[part] = page;
    b->page_next[part] = page->first;
    b->page_back[part] = &page->first;
    if (page->first)
        page->first->page_back[part_on_page(page->first, page->pa)] = &b->page_next[part];
    page->first = b;
}

static void page_free(struct block_cache *c, struct code_page *page)
{
    struct code_page **slot = page_slot(c, page->pa);

    *slot = page->next;
    free(page->copy);
    free(page);
}

void page_remove(struct cpu *cpu, struct block *b)
{
    for (unsigned part = 0; part < 2; part++) {
        struct code_page *page = b->page[part];
        struct block *next = b->page_next[part];

        if (!page)
            continue;
        *b->page_back[part] = next;
        if (next)
            next->page_back[part_on_page(next, page->pa)] = b->page_back[part];
        page->crossings -= b->crosses;
        page->blocks--;
        if (!page->first)
            page_free(cpu->blocks, page);
        b->page[part] = NULL;
    }
}

void page_moved(struct block *b)
{
    struct block *next = b->page_next[0];

    *b->page_back[0] = b;
    if (next)
        next->page_back[part_on_page(next, b->page[0]->pa)] = &b->page_next[0];
}

void pages_free(struct block_cache *c)
{
    for (unsigned i = 0; i < PAGE_HASH_SIZE; i++) {
        while (c->pages[i])
            page_free(c, c->pages[i]);
    }
}

/* ---- new bytes ---- */

/* Is it the instruction that stores? What it still has to do it does as it was. */
static bool patch_runs(const struct cpu *cpu, const struct block *b, const struct insn *in)
{
    return cpu->block == b && cpu->in && cpu->in->start == in->start;
}

/* what an instruction means for the end of its block: STI takes the next one with it */
static unsigned patch_bounds(const struct insn *in)
{
    return (insn_rows[in->id].traits & T_END ? 1 : 0) | (in->id == INSN_STI ? 2 : 0);
}

/* as it is decoded now; false: the block's boundaries would not be the same */
static bool patch_decode(const struct cpu *cpu, const struct block *b, const struct insn *was,
                         struct insn *now)
{
    unsigned room = (unsigned)(PAGE_SIZE - ((b->pa + was->start) & ~PAGE_MASK));
    const uint8_t *bytes = (const uint8_t *)(b->native + was->start);

    now->start = was->start;
    if (decode_again(cpu->blocks->memo, now, bytes, room, b->key) != DECODE_OK ||
        now->length != was->length || was->length == 15)
        return false;
    now->flags |= was->flags & IN_SHADOW;
    return now->id == was->id ||
           (patch_bounds(was) == patch_bounds(now) && !(was > b->insns && was[-1].id == INSN_STI));
}

enum change { SAME, VALUE /* immediate or displacement, nothing else */, OTHER };

static enum change patch_change(const struct insn *was, const struct insn *now)
{
    enum { REST = offsetof(struct insn, start) };
    bool same = was->exec == now->exec && was->addr_mask == now->addr_mask && was->id == now->id &&
                ((was->flags ^ now->flags) & ~IN_VOLATILE) == 0 &&
                memcmp(&was->start, &now->start, sizeof *was - REST) == 0;

    if (!same)
        return OTHER;
    return was->imm == now->imm && was->disp == now->disp ? SAME : VALUE;
}

/* instruction `was` of b becomes `now` */
static void patch_value(struct block *b, struct insn *was, const struct insn *now)
{
    was->imm = now->imm;
    was->disp = now->disp;
    if (b->patched >= PATCH_VOLATILE && !(insn_rows[was->id].traits & T_END)) {
        was->flags |= IN_VOLATILE;
        b->is_volatile = true;
    }
}

static void patch_other(struct block *b, struct insn *was, const struct insn *now)
{
    b->cost += (uint32_t)insn_rows[now->id].cost - insn_rows[was->id].cost;
    *was = *now;
}

/* [first, end) from the block's start has been written: false if it cannot be patched */
static bool block_patch(struct cpu *cpu, struct block *b, unsigned first, unsigned end)
{
    struct insn now[PATCH_INSNS];
    struct insn *was[PATCH_INSNS];
    enum change change[PATCH_INSNS];
    unsigned changed = 0;
    bool keeps = true; /* native code is right still */

    if (b->crosses)
        return false;
    for (unsigned i = 0; i < b->count && b->insns[i].start < end; i++) {
        struct insn *in = &b->insns[i];

        if (in->start + in->length <= first)
            continue;
        if (changed == PATCH_INSNS || !patch_decode(cpu, b, in, &now[changed]))
            return false;
        change[changed] = patch_change(in, &now[changed]);
        if (change[changed] == SAME)
            continue;
        if (patch_runs(cpu, b, in))
            return false;
        keeps &= in->flags & IN_VOLATILE && change[changed] == VALUE;
        was[changed++] = in;
    }
    if (!keeps && b->natives) {
        cpu->native_ops->retired(cpu, b);
        b->patched += b->patched < UINT8_MAX;
        b->heat = 0;
    }
    for (unsigned i = 0; i < changed; i++)
        (change[i] == VALUE ? patch_value : patch_other)(b, was[i], &now[i]);
    cpu->blocks->stats.patched += changed > 0;
    return true;
}

/* the block's bytes that lie in [pa, pa + size) of the page, from its start; false: none */
static bool block_touched(const struct block *b, uint64_t page_pa, uint64_t pa, unsigned size,
                          unsigned *first, unsigned *end)
{
    unsigned part = part_on_page(b, page_pa), bytes;
    uint64_t start;

    block_part(b, part, page_pa, &start, &bytes);
    *first = pa > start ? (unsigned)(pa - start) : 0;
    *end = pa + size < start + bytes ? (unsigned)(pa + size - start) : bytes;
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

/* false: no block is left */
static bool page_changed(struct cpu *cpu, struct code_page *page, uint64_t pa, unsigned size)
{
    uint64_t lines = 0;

    for (struct block *b = page->first, *next; b; b = next) {
        unsigned part = part_on_page(b, pa & PAGE_MASK), first, end;

        next = b->page_next[part];
        if (block_touched(b, pa & PAGE_MASK, pa, size, &first, &end) &&
            !block_patch(cpu, b, first, end))
            block_retire(cpu, b); /* with the last one goes the page */
        else
            lines |= block_lines(b, part, pa & PAGE_MASK);
    }
    if (!lines)
        return false;
    page->lines = lines;
    return true;
}

bool page_written(void *owner, uint64_t pa, unsigned size)
{
    struct cpu *cpu = owner;
    struct code_page *page = *page_slot(cpu->blocks, pa);
    uint64_t lines = line_mask(pa, size);

    wake_monitor(cpu, pa);
    if (!page)
        return false;
    page->copied &= ~lines;
    return !(page->lines & lines) || page_changed(cpu, page, pa, size);
}

/* ---- open pages ---- */

/* Not where a few blocks are what is being written, nor where code runs, nor where a block may run that
 * begins in another page. */
bool page_may_open(void *owner, uint64_t pa, unsigned size)
{
    struct cpu *cpu = owner;
    struct code_page *page = *page_slot(cpu->blocks, pa);

    if (cpu->block && (cpu->block->pa & PAGE_MASK) == (pa & PAGE_MASK))
        return false;
    if (!page)
        return true;
    if (page->tell_for > 0) {
        page->tell_for--;
        return false;
    }
    return (!(page->lines & line_mask(pa, size)) || page->blocks > BLOCKS_TOLD) &&
           page->crossings == 0;
}

void page_opens(void *owner, uint64_t pa)
{
    struct cpu *cpu = owner;
    struct code_page *page = *page_slot(cpu->blocks, pa);

    wake_monitor(cpu, pa);
    if (!page)
        return;
    if (!page->copy) {
        page->copy = malloc(PAGE_SIZE);
        ASSERT(page->copy);
    }
    for (uint64_t left = page->lines & ~page->copied; left; left &= left - 1) {
        size_t at = (size_t)__builtin_ctzll(left) << LINE_SHIFT;

        memcpy(page->copy + at, page->native + at, LINE_BYTES);
    }
    page->copied |= page->lines;
    page->opened = cpu->insn_count;
}

/* the lines that are not what they were, of some */
static uint64_t lines_changed(const struct code_page *page, uint64_t lines)
{
    uint64_t changed = 0;

    while (lines) {
        unsigned first = (unsigned)__builtin_ctzll(lines), count;
        uint64_t rest = ~(lines >> first);
        size_t at = (size_t)first << LINE_SHIFT;

        count = rest ? (unsigned)__builtin_ctzll(rest) : 64;
        lines &= ~BITS(first + count - 1, first);
        if (memcmp(page->native + at, page->copy + at, (size_t)count << LINE_SHIFT) == 0)
            continue;
        for (unsigned i = first; i < first + count; i++, at += LINE_BYTES)
            if (memcmp(page->native + at, page->copy + at, LINE_BYTES) != 0)
                changed |= BIT(i);
    }
    return changed;
}

/* was it worth it, given how many instructions have run meanwhile? */
static void page_judge(struct code_page *page, uint64_t insns)
{
    page->short_turns = insns < TURN_SHORT ? page->short_turns + 1 : 0;
    if (page->short_turns > TURNS_SHORT) {
        page->short_turns = TURNS_SHORT / 2;
        page->tell_for = TELL_STORES;
    }
}

/* is the block right still, or has it become so? It lies on this page alone. */
static bool block_compare(struct cpu *cpu, struct block *b, const struct code_page *page)
{
    size_t offset = b->pa & ~PAGE_MASK;
    const uint8_t *now = page->native + offset, *was = page->copy + offset;
    unsigned first = 0, end = b->bytes;

    if (memcmp(now, was, b->bytes) == 0)
        return true;
    while (now[first] == was[first])
        first++;
    while (now[end - 1] == was[end - 1])
        end--;
    return block_patch(cpu, b, first, end);
}

void page_closed(void *owner, uint64_t pa)
{
    struct cpu *cpu = owner;
    struct code_page *page = *page_slot(cpu->blocks, pa);
    uint64_t changed, lines = 0;

    if (!page)
        return;
    page_judge(page, cpu->insn_count - page->opened);
    changed = lines_changed(page, page->lines);
    if (!changed)
        return;
    page->copied &= ~changed;
    for (struct block *b = page->first, *next; b; b = next) {
        uint64_t its = block_lines(b, 0, pa);

        next = b->page_next[0];
        if (its & changed && !block_compare(cpu, b, page))
            block_retire(cpu, b); /* with the last one goes the page */
        else
            lines |= its;
    }
    if (lines)
        page->lines = lines;
}
