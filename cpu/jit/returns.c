/* The stack of native code: where the guest's RETs are expected to go (x64_return.c has the code that
 * uses it). */
#include <stdlib.h>

#include "base/assert.h"
#include "cpu/jit/jit_state.h"

void jit_forget_returns(struct jit *jit)
{
    jit->cpu->native.returns = jit->cpu->native.no_returns;
}

void jit_follow_return(struct cpu *cpu, const struct native_block *nb, const struct insn *in)
{
    struct native_state *n = &cpu->native;

    if (nb->landing && !nb->stale) {
        if (!((uintptr_t)n->returns & RETURNS_ROOM))
            n->returns = n->no_returns;
        *--n->returns = nb->landing;
    } else if ((in->id == INSN_RET || in->id == INSN_RET_Iw) && n->returns != n->no_returns) {
        n->returns++;
    }
}

void jit_create_returns(struct jit *jit)
{
    uint8_t *memory = aligned_alloc(RETURNS_BYTES, RETURNS_BELOW + RETURNS_BYTES);

    ASSERT(memory);
    jit->returns_memory = memory;
    jit->cpu->native.no_returns = (uint8_t **)(memory + RETURNS_BELOW + RETURNS_BYTES) - 1;
    *jit->cpu->native.no_returns = jit->stub.no_return;
    jit_forget_returns(jit);
}
