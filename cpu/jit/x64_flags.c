/* The guest's arithmetic flags in the native ones: saving, restoring, knowing which are valid. */
#include "base/assert.h"
#include "cpu/jit/x64.h"

enum { X64_AH_AF = 0x10 };

void x64_defined(struct x64 *e, uint16_t flags)
{
    e->valid |= flags;
    e->saved = false;
}

/* AX as LAHF and SETO AL left it, back to the flags: AL + 7FH overflows if AL is 1 */
void x64_reload_flags(struct x64_buf *b)
{
    x64_rm(b, 0xb7 | OP_0F, SZ_32, N_RAX, X64_FIELD(native.flags)); /* movzx */
    x64_8(b, 0x04);
    x64_8(b, 0x7f);
    x64_8(b, 0x9e);
}

void x64_need_flags(struct x64 *e, uint16_t flags, struct x64_operand *o)
{
    if (!(flags & ~e->valid))
        return;
    ASSERT(e->saved);
    if (flags == FL_C) { /* bit 0 of AH; BT touches no register */
        x64_rm(&e->hot, 0xba | OP_0F, SZ_32, 4, X64_FIELD(native.flags));
        x64_8(&e->hot, 8);
        e->valid = FL_C;
        return;
    }
    if (o)
        x64_free_rax(e, o);
    x64_reload_flags(&e->hot);
    e->valid = FL_OSZAPC;
}

void x64_pass_flags(struct x64 *e, struct x64_operand *o)
{
    const struct flow *f = &e->flow[e->at];
    uint16_t others = FL_OSZAPC & (uint16_t)~f->must;

    if (!f->save)
        others &= f->live;
    x64_need_flags(e, others, o);
}

static void x64_take_flags(struct x64_buf *b)
{
    x64_8(b, 0x9f);                             /* lahf */
    x64_rr(b, 0x90 | OP_0F, SZ_8, 0, N_RAX);    /* seto al */
}

static void x64_put_flags(struct x64 *e)
{
    x64_store(&e->hot, SZ_16, X64_FIELD(native.flags), N_RAX);
    e->saved = e->self_saved = true;
}

static void x64_and_ah(struct x64_buf *b, unsigned mask)
{
    x64_8(b, 0x80);
    x64_8(b, 0xe4);
    x64_8(b, mask);
}

/* where the count of a shift by CL is behind it: CL itself may have been shifted */
unsigned x64_count_reg(const struct x64 *e)
{
    const struct insn *in = &e->b->insns[e->at];

    return in->rm == RCX && !(in->flags & IN_MEM) ? X64_TMP : N_RCX;
}

void x64_save_flags(struct x64 *e)
{
    const struct flow *f = &e->flow[e->at];

    x64_take_flags(&e->hot);
    if (f->row->rule == RULE_BY_CL) {
        /* a count of 0 has kept AF too */
        uint8_t *skip;

        x64_rr(&e->hot, 0xf6, SZ_8, 0, x64_count_reg(e)); /* test, mask */
        x64_8(&e->hot, e->b->insns[e->at].size == 3 ? 63 : 31);
        skip = x64_jcc_short(&e->hot, CC_E);
        x64_and_ah(&e->hot, (uint8_t)~X64_AH_AF);
        x64_land(&e->hot, skip);
        e->valid = 0;
    } else if (e->clear_af) {
        x64_and_ah(&e->hot, (uint8_t)~X64_AH_AF);
        e->valid = 0;
    }
    x64_put_flags(e);
}

void x64_save_product(struct x64 *e, unsigned size, unsigned native)
{
    e->valid = FL_OC;
    e->saved = false;
    if (!e->flow[e->at].save)
        return;
    x64_rr(&e->hot, 0x90 | OP_0F, SZ_8, 0, N_RAX);             /* seto al */
    x64_rr(&e->hot, 0x85, size, native, native);               /* test */
    x64_8(&e->hot, 0x9f);                                      /* lahf */
    x64_8(&e->hot, 0x08);                                      /* or ah, al: CF */
    x64_8(&e->hot, 0xc4);
    x64_put_flags(e);
    e->valid = 0;
}
