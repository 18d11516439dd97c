/* Which instructions look in struct tlb_near, and which do not: each of so many misses is looked at,
 * and when they come thick, its page may be one of a longer run; if not, that instruction gets the other
 * form of look-up. So what misses often becomes rare, without a count of hits. */
#include "cpu/jit/jit_state.h"

#include "cpu/jit/path.h"

enum {
    NEAR_PERIOD = 509, /* a prime, so that no loop is in step with it */
    NEAR_RARE = 200,   /* cycles between two misses that do no harm */
    NEAR_GROWS = 4,    /* runs come and go: so often in a row, then no more */
};

/* has the page been found to be one of a longer run? */
static bool near_grows(struct cpu *cpu, uint32_t ref, uint64_t linear, bool write)
{
    struct jit *jit = cpu->jit;

    if (ref != jit->near_ref)
        jit->near_grown = 0;
    jit->near_ref = ref;
    return jit->near_grown++ < NEAR_GROWS &&
           tlb_near_grow((struct tlb_view *)cpu->mmu.tlb, linear, write);
}

void jit_near_sampled(struct cpu *cpu, const uint8_t *behind, uint64_t linear, bool write)
{
    struct jit *jit = cpu->jit;
    int64_t budget = (cpu->native.left >> NATIVE_COUNT_BITS) + cpu->native.reserve;
    uint64_t now = cpu->horizon - (uint64_t)budget, passed = now - jit->near_since;
    struct native_block *nb;
    uint32_t ref;

    cpu->native.near_left = NEAR_PERIOD;
    jit->near_since = now;
    if (passed > NEAR_PERIOD * NEAR_RARE)
        return;
    memcpy(&ref, behind + JIT_NEAR_REF, sizeof ref);
    if (near_grows(cpu, ref, linear, write))
        return;
    nb = jit->by_id[ref >> REF_SHIFT];
    nb->b->far |= BIT(ref & REF_INDEX);
    jit->stats.far++;
    if (!nb->stale) {
        struct block *head = nb->head->b;

        while (head->natives) /* a twin, too */
            path_drop(jit, head->natives->head);
        head->heat = block_hot(head) - 1; /* translated again at once */
    }
}
