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
};

void jit_path(const struct native_block *head, struct flow_path *path)
{
    *path = (struct flow_path){ 0 };
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

void path_build(struct jit *jit, struct native_block *head)
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

void path_drop(struct jit *jit, struct native_block *head)
{
    for (struct native_block *nb = head, **at; nb; nb = nb->follows) {
        native_isolate(jit, nb);
        for (at = &nb->b->natives; *at != nb; at = &(*at)->same)
            ;
        *at = nb->same;
        nb->stale = true;
    }
    jump_forget(jit, head->b);
    head->b->code = NULL;
    head->b->translated = NULL;
    head->b->heat = 0;
    jit->stats.live--;
}
