/* The table of analysis rows by instruction, and which operands emitters can serve. */
#pragma once
#include "cpu/insn.h"
#include "cpu/jit/flow.h"

struct flow_table {
    const struct flow_row *row[INSN_COUNT];
};

/* An immediate that is read from the block each time goes through a register: not for memory, whose
 * displacement may be what changes, and not for AH to BH. */
static inline bool flow_fits_volatile(const struct insn *in, const struct flow_row *row)
{
    return row->traits & FLOW_VOLATILE && !(in->flags & IN_MEM) && (in->size > 0 || !(in->rm & 7));
}

/* AH to BH only as the one register of an instruction (a native architecture may take them), and no
 * shifts by a masked count of 0, which keep the flags, or by the operand's width and more. */
static inline bool flow_fits(const struct insn *in, const struct flow_row *row)
{
    const struct insn_row *r = &insn_rows[in->id];
    bool mem = in->flags & IN_MEM;

    for (unsigned i = 0; i < 2; i++) {
        if ((r->op[i] == OP_Gb && in->reg & 7) || (r->op[i] == OP_Zb && in->rm & 7) ||
            (r->op[i] == OP_Eb && !mem && in->rm & 7 &&
             !(row->traits & FLOW_HIGH && native_high_bytes >> in->rm / 8 & 1)))
            return false;
    }
    if (row->rule == RULE_BY_CL)
        return in->size >= 2;
    if (row->traits & FLOW_COUNT) {
        unsigned count = in->imm & (in->size == 3 ? 63 : 31);

        return count > 0 && count < 8u << in->size;
    }
    return true;
}
