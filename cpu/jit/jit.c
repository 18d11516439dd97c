/* The life of native code: translating, running, linking, forgetting; and what native code calls. */
#include "cpu/jit/jit.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/native_time.h"
#include "cpu/exec.h"
#include "cpu/jit/dump.h"
#include "cpu/jit/jit_state.h"
#include "cpu/jit/path.h"
#include "cpu/jit/perf_map.h"
#include "cpu/jit/x64.h"
#include "cpu/jit/x64_x87.h"

enum { STUB_BYTES = 32 << 10, CHUNK_ALIGN = 4096 };

/* ---- flags: as LAHF and SETO AL leave them, and as in RFLAGS ---- */

static uint16_t flags_pack(uint64_t rflags)
{
    return (uint16_t)((rflags & 0xd5) << 8 | 0x200 | (rflags >> 11 & 1));
}

static uint64_t flags_unpack(uint16_t ax)
{
    return (ax >> 8 & 0xd5) | (uint64_t)(ax & 1) << 11;
}

/* ---- blocks by address, for indirect jumps ---- */

static uint64_t jump_tag(uintptr_t native, uint32_t key)
{
    return native ^ (uint64_t)key << JUMP_TAG_SHIFT;
}

static struct jump_entry *jump_at(struct jit *jit, uintptr_t native)
{
    return &jit->jumps[(uint32_t)native * JUMP_HASH >> JUMP_HASH_SHIFT];
}

static void jump_enter(struct jit *jit, const struct block *b)
{
    *jump_at(jit, b->native) = (struct jump_entry){ jump_tag(b->native, b->key), b->code };
}

void jump_forget(struct jit *jit, const struct block *b)
{
    struct jump_entry *j = jump_at(jit, b->native);

    if (j->tag == jump_tag(b->native, b->key))
        j->tag = 0;
}

/* ---- links ---- */

static void link_patch(struct jit *jit, struct link *l, const uint8_t *to)
{
    x64_patch(l->site, to - (jit->code.run - jit->code.write));
}

static void unlink_one(struct jit *jit, struct link *l)
{
    link_patch(jit, l, l->stub);
    if (l->page)
        memset(l->page, 0, 8);
    l->to = NULL;
    jit->stats.unlinks++;
}

/* nothing leads to nb any more, and nb leads nowhere */
void native_isolate(struct jit *jit, struct native_block *nb)
{
    while (nb->in) {
        struct link *l = nb->in;

        nb->in = l->next;
        unlink_one(jit, l);
    }
    for (unsigned k = 0; k < 2; k++) {
        struct link *l = &nb->link[k], **at;

        if (jit->pending == l)
            jit->pending = NULL;
        if (!l->to)
            continue;
        for (at = &l->to->in; *at != l; at = &(*at)->next)
            ;
        *at = l->next;
        unlink_one(jit, l);
    }
}

/* Native code was left through jit->pending, and b is the block where that link leads, if it is. */
static void link_pending(struct cpu *cpu, struct block *b)
{
    struct jit *jit = cpu->jit;
    struct link *l = jit->pending;
    const struct block *from;
    uintptr_t page = b->native - (b->pa & ~PAGE_MASK);

    jit->pending = NULL;
    if (!l || l->to || !(from = l->from->b) || from->key != b->key ||
        (b->pa & ~PAGE_MASK) != ((uint64_t)l->offset & ~PAGE_MASK))
        return;
    if (l->page)
        memcpy(l->page, &page, 8);
    else if (page != from->native - (from->pa & ~PAGE_MASK))
        return;
    l->to = b->translated;
    l->next = l->to->in;
    l->to->in = l;
    link_patch(jit, l, b->code);
    jit->stats.links++;
}

/* ---- memory ---- */

static void native_free(struct jit *jit, struct native_block *nb)
{
    jit->by_id[nb->id] = NULL;
    jit->free_ids[jit->free_count++] = nb->id;
    free(nb);
}

static void chunk_empty(struct jit *jit, struct chunk *c)
{
    while (c->first) {
        struct native_block *nb = c->first;

        c->first = nb->next;
        if (!nb->stale) {
            path_drop(jit, nb->head);
            jit->stats.evictions++;
        }
        native_free(jit, nb);
    }
    c->hot = c->start;
    c->cold = c->middle;
}

static bool chunk_has_room(const struct chunk *c, unsigned paths)
{
    return c->middle - c->hot >= (ptrdiff_t)(paths * JIT_BLOCK_MAX) &&
           c->end - c->cold >= (ptrdiff_t)(paths * JIT_BLOCK_MAX);
}

/* room for one more block: the oldest generation goes when there is none */
static struct chunk *chunk_with_room(struct jit *jit)
{
    struct chunk *c = &jit->chunk[jit->current];

    if (chunk_has_room(c, 1))
        return c;
    jit->current = (jit->current + 1) % jit->chunk_count;
    c = &jit->chunk[jit->current];
    chunk_empty(jit, c);
    return c;
}

/* a chunk has room for some of the longest paths */
static void chunks_divide(struct jit *jit)
{
    size_t all = jit->code.size - STUB_BYTES, count = all / (4 * JIT_BLOCK_MAX), size;

    ASSERT(count >= 2);
    jit->chunk_count = count < JIT_CHUNKS ? (unsigned)count : JIT_CHUNKS;
    size = all / jit->chunk_count & ~(size_t)(CHUNK_ALIGN - 1);
    for (unsigned i = 0; i < jit->chunk_count; i++) {
        struct chunk *c = &jit->chunk[i];

        c->start = c->hot = jit->code.write + STUB_BYTES + i * size;
        c->end = c->start + size;
        c->middle = c->cold = c->start + size / 2;
    }
}

struct native_block *native_new(struct jit *jit, struct block *b)
{
    struct native_block *nb = calloc(1, sizeof *nb);

    ASSERT(nb);
    if (jit->free_count > 0) {
        nb->id = jit->free_ids[--jit->free_count];
    } else {
        if (jit->id_count == jit->id_capacity) {
            jit->id_capacity = jit->id_capacity ? 2 * jit->id_capacity : 1024;
            jit->by_id = realloc(jit->by_id, jit->id_capacity * sizeof(struct native_block *));
            jit->free_ids = realloc(jit->free_ids, jit->id_capacity * sizeof(uint32_t));
            ASSERT(jit->by_id && jit->free_ids);
        }
        nb->id = jit->id_count++;
    }
    jit->by_id[nb->id] = nb;
    nb->b = b;
    nb->far = b->far;
    nb->head = nb;
    return nb;
}

/* ---- struct native_ops ---- */

/* nb, with those that follow it, to native code */
static void translate_path(struct jit *jit, struct chunk *c, struct native_block *nb)
{
    struct x64_buf hot = { c->hot, jit->code.run - jit->code.write }, cold = { c->cold, hot.bias };

    nb->code = x64_here(&hot);
    nb->cold = x64_here(&cold);
    path_build(jit, nb);
    x64_translate(jit, nb, &hot, &cold);
    ASSERT(hot.at <= c->middle && cold.at <= c->end);
    nb->hot_bytes = (uint32_t)(hot.at - c->hot);
    nb->cold_bytes = (uint32_t)(cold.at - c->cold);
    c->hot = (uint8_t *)align_up((uintptr_t)hot.at, 16);
    c->cold = cold.at;
    for (struct native_block *at = nb; at; at = at->follows) {
        at->same = at->b->natives;
        at->b->natives = at;
        at->next = c->first;
        c->first = at;
    }
    jit->stats.native_bytes += nb->hot_bytes + nb->cold_bytes;
}

static bool jit_translate(struct cpu *cpu, struct block *b)
{
    struct jit *jit = cpu->jit;
    uint64_t begin = native_ns();
    struct native_block *nb;
    struct chunk *c;

    if ((b->key & (KEY_CODE_MASK | KEY_SINGLE)) != KEY_CODE64 || !b->native) {
        jit->stats.refused++;
        return false;
    }
    c = chunk_with_room(jit);
    nb = native_new(jit, b);
    translate_path(jit, c, nb);
    if (chunk_has_room(c, 1) && x64_would_hoist(jit, nb)) {
        struct native_block *twin = nb;

        nb = native_new(jit, b);
        nb->twin = twin;
        translate_path(jit, c, nb);
    }
    for (const struct native_block *at = nb; at; at = at->follows)
        jit->stats.guest_bytes += at->b->bytes;
    b->code = nb->code;
    b->translated = nb;
    jump_enter(jit, b);
    jit->stats.translated++;
    jit->stats.live++;
    jit->stats.translate_ns += native_ns() - begin;
    if (jit->perf_map)
        perf_map_block(jit, nb, cpu->rip);
    if (jit->dump.out && cpu->rip <= jit->dump.last && jit->dump.first < cpu->rip + b->bytes)
        jit_dump_block(jit, nb, cpu->rip, jit->dump.out);
    return true;
}

/* a block is entered from C */
static void jit_prepare(struct cpu *cpu, const struct block *b)
{
    cpu->native.page = cpu->rip & PAGE_MASK;
    cpu->native.key_tag = (uint64_t)b->key << JUMP_TAG_SHIFT;
    jump_enter(cpu->jit, b);
}

/* The target of the branch that ended a block is not canonical: the branch faults, and a RET leaves
 * RSP alone. Calls have checked it before they pushed. */
static void jit_bad_target(struct cpu *cpu, struct native_block *nb)
{
    const struct block *b = nb->b;
    const struct insn *in = &b->insns[b->count - 1];

    if (in->id == INSN_RET)
        cpu->r[RSP] -= 8;
    cpu->block = nb->b;
    cpu->r[REG_BLOCK_RIP] = cpu->native.page + (b->pa & ~PAGE_MASK);
    cpu->in = in;
    raise_gp(cpu, 0);
}

/* the flags before instruction `at` of the block, the registers being as they were there */
static void jit_recover(struct cpu *cpu, const struct native_block *nb, unsigned at,
                        const uint64_t *r)
{
    struct flow_path path;

    jit_path(nb->head, &path);
    flags_set(&cpu->flags, flow_replay_path(cpu->jit->flow, &path, &nb->head->saves, nb->first + at,
                                            flags_unpack(cpu->native.flags), r));
}

/* the budget as native code counts it, and back */
static inline void budget_to_native(struct cpu *cpu)
{
    int64_t part = cpu->budget < NATIVE_CYCLES ? cpu->budget : NATIVE_CYCLES;

    cpu->native.reserve = cpu->budget - part;
    cpu->native.left = part * (NATIVE_COUNT + 1) + NATIVE_COUNT;
}

/* rest: what has been charged and is not due yet */
static inline void budget_from_native(struct cpu *cpu, uint64_t rest)
{
    cpu->native.left += (int64_t)rest;
    cpu->budget = (cpu->native.left >> NATIVE_COUNT_BITS) + cpu->native.reserve;
    cpu->insn_count += (uint64_t)(NATIVE_COUNT - (cpu->native.left & NATIVE_COUNT));
}

static void jit_run(struct cpu *cpu, struct block *b)
{
    struct jit *jit = cpu->jit;
    uint64_t (*enter)(struct cpu *, const uint8_t *) = (uint64_t(*)(struct cpu *, const uint8_t *))(
                                                           uintptr_t)jit->stub.enter;
    struct native_block *nb;
    uint64_t how;

    link_pending(cpu, b);
    jit_prepare(cpu, b);
    cpu->native.flags = flags_pack(flags_get(&cpu->flags));
    jit->stats.entries++;
    budget_to_native(cpu);
    how = enter(cpu, b->code);
    x64_x87_drop(cpu);
    budget_from_native(cpu, 0);
    flags_set(&cpu->flags, flags_unpack(cpu->native.flags));
    switch (how & BITS(EXIT_SHIFT - 1, 0)) {
    case EXIT_LINK: {
        struct link *l = &jit->by_id[how >> EXIT_SHIFT >> 1]->link[how >> EXIT_SHIFT & 1];

        cpu->rip = cpu->native.page + (uint64_t)(int64_t)l->offset;
        if (unlikely(l->branch && !is_canonical(cpu->rip, CPU_LINEAR_BITS)))
            jit_bad_target(cpu, l->from);
        jit->pending = l;
        break;
    }
    case EXIT_BUDGET:
        nb = jit->by_id[how >> EXIT_SHIFT];
        b = nb->b;
        cpu->rip = cpu->native.page + (b->pa & ~PAGE_MASK);
        cpu->budget += b->cost + (int64_t)(nb->rest >> NATIVE_COUNT_BITS);
        cpu->insn_count -= b->count + (nb->rest & NATIVE_COUNT);
        if (cpu->budget > 0)
            block_enter(cpu, b);
        break;
    default:
        if (unlikely(!is_canonical(cpu->rip, CPU_LINEAR_BITS)))
            jit_bad_target(cpu, jit->by_id[cpu->native.from]);
        break;
    }
}

static void jit_retired(struct cpu *cpu, struct block *b)
{
    struct jit *jit = cpu->jit;

    /* It may be the instruction that runs who changes b, and flags in front of it have not been saved:
     * they are computed from the path as it has run. */
    if (cpu->native.pending && jit->keeps_flags) {
        cpu->native.pending = false;
        jit_recover(cpu, jit->running, jit->index, jit->before);
    }
    while (b->natives)
        path_drop(cpu->jit, b->natives->head);
}

static void jit_moved(struct block *b)
{
    for (struct native_block *nb = b->natives; nb; nb = nb->same)
        nb->b = b;
}

static void jit_flushed(struct cpu *cpu)
{
    struct jit *jit = cpu->jit;

    for (unsigned i = 0; i < jit->chunk_count; i++) {
        struct chunk *c = &jit->chunk[i];

        while (c->first) {
            struct native_block *nb = c->first;

            c->first = nb->next;
            native_free(jit, nb);
        }
        c->hot = c->start;
        c->cold = c->middle;
    }
    memset(jit->jumps, 0, JUMP_TABLE_ENTRIES * sizeof *jit->jumps);
    jit_forget_returns(jit);
    jit->pending = NULL;
    jit->current = 0;
    jit->stats.live = 0;
}

static void jit_sync(struct cpu *cpu)
{
    cpu->native.pending = false;
    jit_recover(cpu, cpu->jit->running, cpu->jit->index, cpu->r);
}

static const struct native_ops jit_ops = {
    .translate = jit_translate,
    .run = jit_run,
    .sync = jit_sync,
    .retired = jit_retired,
    .moved = jit_moved,
    .flushed = jit_flushed,
};

/* ---- called by native code ---- */

static void exec_back(struct cpu *cpu, const struct insn *in)
{
}

/* The instruction at cpu->rip comes next: its block's native code, or the run loop. cpu->flags are
 * current. The same steps as in run_blocks. */
static uint8_t *jit_next(struct cpu *cpu)
{
    uint8_t *to = cpu->jit->stub.exit_rip;
    struct block *b;

    cpu->in = NULL;
    cpu->native.flags = flags_pack(flags_get(&cpu->flags));
    cpu_settle_cost(cpu);
    if (cpu->budget > 0 && !(cpu->key & KEY_SINGLE)) {
        b = block_next(cpu);
        cpu_settle_cost(cpu);
        if (cpu->budget > 0 && b->code) {
            jit_prepare(cpu, b);
            to = b->code;
        }
    }
    budget_to_native(cpu);
    return to;
}

static inline void jit_count_call(struct jit *jit, unsigned id, uint32_t ref)
{
    (ref & REF_CALL ? jit->calls : jit->slow)[id]++;
}

uint8_t *jit_end_instruction(struct cpu *cpu, uint32_t ref)
{
    struct jit *jit = cpu->jit;
    struct native_block *nb = jit->by_id[ref >> REF_SHIFT];
    struct block *b = nb->b;
    const struct insn *in = &b->insns[ref & REF_INDEX];

    x64_x87_drop(cpu);
    budget_from_native(cpu, nb->rest);
    jit_count_call(jit, in->id, ref);
    cpu->block = b;
    cpu->r[REG_BLOCK_RIP] = cpu->native.page + (b->pa & ~PAGE_MASK);
    flags_set(&cpu->flags, flags_unpack(cpu->native.flags));
    in->exec(cpu, in);
    jit_follow_return(cpu, nb, in);
    return jit_next(cpu);
}

/* what the path has looked up at its start is still so */
static inline bool hoists_hold(const struct cpu *cpu, const struct native_block *head)
{
    return !head->twin || ((const struct tlb_view *)cpu->mmu.tlb)->near.live;
}

uint8_t *jit_instruction(struct cpu *cpu, uint32_t ref)
{
    struct jit *jit = cpu->jit;
    struct native_block *nb = jit->by_id[ref >> REF_SHIFT];
    struct block *b = nb->b;
    const struct insn *in = &b->insns[ref & REF_INDEX];
    bool writes, reads, pending;
    uint16_t needs;

    x64_x87_drop(cpu);
    budget_from_native(cpu, nb->rest);
    jit_count_call(jit, in->id, ref);
    flow_of_call(jit->flow, in, &needs, &writes);
    reads = needs || ref & REF_CALL;
    jit->index = ref & REF_INDEX;
    jit->running = nb;
    cpu->block = b;
    cpu->r[REG_BLOCK_RIP] = cpu->native.page + (b->pa & ~PAGE_MASK);
    cpu->native.pending = !reads;
    jit->keeps_flags = !writes;
    if (reads && ref & (REF_CALL | REF_SAVED))
        flags_set(&cpu->flags, flags_unpack(cpu->native.flags));
    else if (reads)
        jit_recover(cpu, nb, jit->index, cpu->r);
    else
        memcpy(jit->before, cpu->r, sizeof jit->before);
    jit->alone[0] = *in;
    jit->alone[0].exec(cpu, jit->alone);
    pending = cpu->native.pending;
    cpu->native.pending = false;
    cpu->in = NULL;
    cpu_settle_cost(cpu);
    if (writes)
        cpu->native.flags = flags_pack(flags_get(&cpu->flags));
    if (likely(!nb->stale && cpu->mmu.fetch_page == cpu->native.page &&
               hoists_hold(cpu, nb->head))) {
        budget_to_native(cpu);
        cpu->native.left -= (int64_t)nb->rest;
        if (likely(cpu->native.left >= 0 || !nb->rest))
            return NULL;
        budget_from_native(cpu, nb->rest);
    }
    /* A block of the path has been written to, or the page or the TLB may have changed, or the budget is
     * used up by the end of the block: the interpreter goes on. */
    if (!writes && pending)
        jit_recover(cpu, nb, jit->index, jit->before);
    in[1].exec(cpu, in + 1);
    return jit_next(cpu);
}

/* ---- life ---- */

static const struct x64_emitter **emitters_by_id(void)
{
    static const struct x64_emitter *const tables[] = { x64_alu_emitters,    x64_move_emitters,
                                                        x64_branch_emitters, x64_sse_emitters,
                                                        x64_system_emitters, x64_x87_emitters };
    const struct x64_emitter **t = calloc(INSN_COUNT, sizeof(const struct x64_emitter *));

    ASSERT(t);
    for (unsigned i = 0; i < sizeof tables / sizeof tables[0]; i++)
        for (const struct x64_emitter *row = tables[i]; row->exec; row++)
            for (unsigned id = 1; id < INSN_COUNT; id++)
                if (insn_rows[id].exec == row->exec)
                    t[id] = row;
    return t;
}

bool jit_attach(struct cpu *cpu, uint64_t cache, struct err *e)
{
    struct jit *jit = calloc(1, sizeof *jit);
    struct x64_buf b;

    ASSERT(jit);
    if (!code_buffer_open(&jit->code, cache ? cache : JIT_DEFAULT_CACHE, e)) {
        free(jit);
        return false;
    }
    jit->cpu = cpu;
    jit->flow = flow_table_create(x64_native_has);
    jit->emitter = emitters_by_id();
    jit->jumps = calloc(JUMP_TABLE_ENTRIES, sizeof *jit->jumps);
    ASSERT(jit->jumps);
    jit->alone[1].exec = exec_back;
    b = (struct x64_buf){ jit->code.write, jit->code.run - jit->code.write };
    x64_make_stubs(jit, &b);
    ASSERT(b.at < jit->code.write + STUB_BYTES);
    jit->stub_end = x64_here(&b);
    chunks_divide(jit);
    jit_create_returns(jit);
    cpu->jit = jit;
    cpu->native.jump_table = (uint8_t *)jit->jumps;
    cpu->native_ops = &jit_ops;
    return true;
}

void jit_detach(struct cpu *cpu)
{
    struct jit *jit = cpu->jit;

    if (!jit)
        return;
    blocks_flush(cpu);
    cpu->native_ops = NULL;
    cpu->jit = NULL;
    code_buffer_close(&jit->code);
    free(jit->flow);
    free((void *)jit->emitter);
    free(jit->jumps);
    free(jit->returns_memory);
    free(jit->by_id);
    free(jit->free_ids);
    free(jit);
}
