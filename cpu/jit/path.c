/* Paths: which blocks become one piece of native code. From a hot block the path follows the branch
 * that has been taken more often, as long as it stays on the page: so code of a hot path lies in a
 * row, and flags are saved where they are needed, not between any two blocks. A small loop is
 * unrolled by being followed more than once. */
#include "cpu/jit/path.h"

#include "cpu/decode.h"

enum {
    PATH_COPIED = 12,   /* instructions of a block that has native code already */
    PATH_UNROLLED = 48, /* ... of a loop, all rounds together */
    PATH_ROUNDS = 4,
    PATH_NEAR = 24, /* blocks among which a loop is looked for */
};

void jit_path(const struct native_block *head, struct flow_path *path)
{
    *path = (struct flow_path){ 0 };
    for (unsigned i = 0; i < PATH_MAX_INSNS; i++)
        path->hits[i] = bit(head->hits[i / 64], i % 64);
    for (; head; head = head->follows)
        flow_path_add(path, head->b);
}

/* the block at a distance from another one's start, if there is one, on the same page */
static struct block *path_neighbour(const struct cpu *cpu, const struct block *b, int64_t distance)
{
    int64_t offset = (int64_t)(b->pa & ~PAGE_MASK) + distance;

    if (offset < 0 || offset >= (int64_t)PAGE_SIZE)
        return NULL;
    return block_lookup(cpu, b->native + (uintptr_t)distance, b->key);
}

/* where a block goes on; NULL: nowhere that is known, or worth it */
static struct block *path_next(const struct cpu *cpu, const struct block *b,
                               const struct block *head, bool *taken)
{
    const struct insn *last = &b->insns[b->count - 1];
    struct block *to, *behind;

    *taken = false;
    if (b->insns[b->count - 1].flags & IN_CROSSES)
        return NULL;
    if (!(insn_rows[last->id].traits & T_END))
        return path_neighbour(cpu, b, b->bytes);
    if (last->id == INSN_JMP_Jb || last->id == INSN_JMP_Jz) {
        *taken = true;
        return path_neighbour(cpu, b, (int64_t)last->imm);
    }
    if (!flow_is_jcc(last))
        return NULL;
    to = path_neighbour(cpu, b, (int64_t)last->imm);
    behind = path_neighbour(cpu, b, last->start + last->length);
    *taken = to && (to == head || !behind || (behind != head && to->heat >= behind->heat));
    return *taken ? to : behind;
}

/* ---- loops ---- */

/* Blocks that are seen on the way from a path, nearest first. */
struct path_walk {
    const struct block *b[PATH_NEAR];
    unsigned count;
};

static void path_walk_add(struct path_walk *w, const struct block *b)
{
    for (unsigned i = 0; b && i < w->count; i++)
        if (w->b[i] == b)
            return;
    if (b && w->count < PATH_NEAR)
        w->b[w->count++] = b;
}

/* behind a call, too */
static void path_walk_on(const struct cpu *cpu, struct path_walk *w, const struct block *b)
{
    const struct insn *last = &b->insns[b->count - 1];
    unsigned op = insn_rows[last->id].op[0];
    bool jump = last->id == INSN_JMP_Jb || last->id == INSN_JMP_Jz;
    bool call = last->id == INSN_CALL_Jz || last->id == INSN_CALL_Ev;

    if (last->flags & IN_CROSSES)
        return;
    if (!call && (op == OP_Jb || op == OP_Jz))
        path_walk_add(w, path_neighbour(cpu, b, (int64_t)last->imm));
    if (!jump && (call || op == OP_Jb || op == OP_Jz || !(insn_rows[last->id].traits & T_END)))
        path_walk_add(w, path_neighbour(cpu, b, b->bytes));
}

/* does the way from a path's blocks lead back to its first, near by? */
static bool path_loops(const struct cpu *cpu, const struct native_block *head)
{
    struct path_walk w = { 0 };

    for (const struct native_block *nb = head; nb; nb = nb->follows)
        path_walk_on(cpu, &w, nb->b);
    for (unsigned i = 0; i < w.count; i++) {
        if (w.b[i] == head->b)
            return true;
        path_walk_on(cpu, &w, w.b[i]);
    }
    return false;
}

/* ---- paths ---- */

static void path_follow(struct jit *jit, struct native_block *head)
{
    struct native_block *at = head;
    unsigned insns = head->b->count, round = insns, blocks = 1, rounds = 1;

    while (blocks < PATH_MAX_BLOCKS) {
        bool taken;
        struct block *next = path_next(jit->cpu, at->b, head->b, &taken);

        if (!next || next->insns[next->count - 1].flags & IN_CROSSES ||
            insns + next->count > PATH_MAX_INSNS)
            return;
        if (next == head->b) {
            if (rounds == PATH_ROUNDS || insns + round > PATH_UNROLLED)
                return;
            rounds++;
        } else if (next->heat < block_hot(next) / 2 || (next->code && next->count > PATH_COPIED)) {
            return;
        } else {
            for (const struct native_block *nb = head; rounds == 1 && nb; nb = nb->follows)
                if (nb->b == next) /* a loop inside: it has a path of its own */
                    return;
        }
        at->taken = taken;
        at->follows = native_new(jit, next);
        at->follows->head = head;
        at->follows->first = insns;
        at = at->follows;
        insns += next->count;
        if (rounds == 1)
            round = insns;
        blocks++;
    }
}

static void path_charge(struct native_block *head)
{
    uint64_t all = 0;

    for (const struct native_block *nb = head; nb; nb = nb->follows)
        all += NATIVE_CHARGE(nb->b->cost, nb->b->count);
    for (struct native_block *nb = head; nb; nb = nb->follows)
        nb->rest = all -= NATIVE_CHARGE(nb->b->cost, nb->b->count);
}

void path_build(struct jit *jit, struct native_block *head)
{
    path_follow(jit, head);
    path_charge(head);
    head->loops = path_loops(jit->cpu, head);
}

void path_drop(struct jit *jit, struct native_block *head)
{
    for (struct native_block *nb = head, **at; nb; nb = nb->follows) {
        native_isolate(jit, nb);
        for (at = &nb->b->natives; *at != nb; at = &(*at)->same)
            ;
        *at = nb->same;
        nb->stale = true;
        if (nb->landing)
            jit_forget_returns(jit);
    }
    if (head->b->translated != head) /* a twin */
        return;
    jump_forget(jit, head->b);
    head->b->code = NULL;
    head->b->translated = NULL;
    head->b->heat = 0;
    jit->stats.live--;
}
