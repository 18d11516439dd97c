/* Which neighbouring accesses share one look-up in the TLB: pushes and pops, spills, the fields of one
 * struct. They may where no fill can come in between, which the guest could see: so a group has no
 * other accesses and no calls of C. */
#include "cpu/jit/x64.h"
#include "mmu/tlb.h"

/* longer ones cross a page too often */
enum { X64_GROUP_SPAN = NEAR_LARGE };

int32_t x64_rsp_step(const struct insn *in)
{
    switch (in->id) {
    case INSN_PUSH_Zv:
    case INSN_PUSH_Iz:
    case INSN_PUSH_Ib:
    case INSN_CALL_Jz: return -8;
    case INSN_POP_Zv: return in->rm == RSP ? 0 : 8;
    default: return 0;
    }
}

bool x64_find_group(const struct x64 *e, unsigned at, struct x64_group *g)
{
    const struct x64_use *first = &e->use[at];
    unsigned accesses = 0;
    int32_t moved = 0;

    *g = (struct x64_group){ .first = at, .last = at, .reg = first->reg };
    if (first->accesses != 1 || !first->simple || !first->stays)
        return false;
    for (unsigned i = at; i < e->b->count; i++) {
        const struct insn *in = &e->b->insns[i];
        const struct x64_use *u = &e->use[i];
        int64_t at_disp = (int64_t)moved + u->disp, low = at_disp, high = low + u->bytes;

        if (!u->stays || u->accesses > 1)
            break;
        if (u->accesses == 1) {
            if (!u->simple || u->reg != g->reg)
                break;
            if (u->aligned && g->aligned && (at_disp - g->anchor) & 15)
                break;
            if (accesses > 0) {
                low = low < g->low ? low : g->low;
                high = high > g->high ? high : g->high;
            }
            if (high - low > X64_GROUP_SPAN || low < INT32_MIN || high > INT32_MAX)
                break;
            g->low = (int32_t)low;
            g->high = (int32_t)high;
            g->write |= u->write;
            if (u->aligned) {
                g->aligned = true;
                g->anchor = (int32_t)at_disp;
            }
            g->last = i;
            accesses++;
        }
        if (flow_writes(&e->flow[i], in, g->reg)) {
            if (g->reg != RSP || x64_rsp_step(in) == 0)
                break;
            moved += x64_rsp_step(in);
        }
    }
    return accesses > 1;
}
