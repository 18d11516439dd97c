/* Analysis of a block's flags, and their replay. */
#include "cpu/jit/flow.h"

#include <stdlib.h>

#include "base/assert.h"
#include "cpu/alu_muldiv.h"
#include "cpu/alu_shift.h"
#include "cpu/conditions.h"
#include "cpu/cpu.h"
#include "cpu/exec.h"
#include "cpu/jit/flow_rows.h"

/* ---- rows ---- */

#define FLOW(name, rule, form, traits) extern const struct exec_set exec_set_##name;
#include "cpu/jit/flow.def"

static const struct flow_row flow_rows[] = {
#define FLOW(name, rule, form, traits) { &exec_set_##name, traits, RULE_##rule, FORM_##form },
#include "cpu/jit/flow.def"
};

struct flow_table *flow_table_create(bool (*has)(unsigned feature))
{
    struct flow_table *t = calloc(1, sizeof *t);

    ASSERT(t);
    for (unsigned id = 1; id < INSN_COUNT; id++)
        for (unsigned i = 0; i < sizeof flow_rows / sizeof flow_rows[0]; i++)
            if (insn_rows[id].exec == flow_rows[i].exec && has(insn_rows[id].feature))
                t->row[id] = &flow_rows[i];
    return t;
}

/* the flags that a rule always defines */
static uint16_t flow_must(unsigned rule)
{
    switch (rule) {
    case RULE_CALL:
    case RULE_KEEP: return FL_NONE;
    case RULE_INC:
    case RULE_DEC: return FL_OSZAP;
    case RULE_ROL:
    case RULE_ROR: return FL_OC;
    case RULE_BIT:
    case RULE_BIT_LOST: return FL_C;
    case RULE_ZERO_LOST: return FL_Z;
    default: return FL_OSZAPC;
    }
}

static uint16_t flow_reads(const struct insn *in, unsigned rule)
{
    if (rule == RULE_CALL)
        return FL_OSZAPC;
    if (rule == RULE_CARRY_IN)
        return FL_C;
    return rule == RULE_KEEP ? insn_rows[in->id].reads : FL_NONE;
}

static const struct flow_row *flow_row_for(const struct flow_table *t, const struct block *b,
                                           const struct insn *in)
{
    const struct flow_row *row = t->row[in->id];

    if (!row)
        return NULL;
    if (in->flags & IN_VOLATILE && !flow_fits_volatile(in, row))
        return NULL;
    if (row->traits & FLOW_XMM && b->key & KEY_NO_SSE)
        return NULL;
    if (row->traits & FLOW_MXCSR && b->key & KEY_SSE_TRAPS)
        return NULL;
    if (row->traits & FLOW_X87 && b->key & (KEY_NO_X87 | KEY_X87_TRAPS))
        return NULL;
    return flow_fits(in, row) ? row : NULL;
}

/* ---- registers ---- */

bool flow_writes(const struct flow *f, const struct insn *in, unsigned reg)
{
    unsigned traits = f->row->traits;
    bool bytes = in->size == 0; /* then registers are given as byte offsets */

    if (traits & FLOW_W_RM && !(in->flags & IN_MEM) && (bytes ? in->rm / 8u : in->rm) == reg)
        return true;
    if (traits & FLOW_W_REG && (bytes ? in->reg / 8u : in->reg) == reg)
        return true;
    return (traits & FLOW_W_RAX && reg == RAX) || (traits & FLOW_W_RDX && reg == RDX) ||
           (traits & FLOW_W_RSP && reg == RSP) || (traits & FLOW_W_RBP && reg == RBP);
}

/* the registers that a replay of `in` reads; false: it cannot be replayed */
static bool flow_sources(const struct flow *f, const struct insn *in, unsigned source[2])
{
    unsigned n = 0, rule = f->row->rule, form = f->row->form;
    bool mem = in->flags & IN_MEM, result = rule != RULE_CMP && rule != RULE_TEST;
    bool bytes = in->size == 0, product = rule == RULE_MUL || rule == RULE_IMUL;
    unsigned rm = bytes ? in->rm / 8u : in->rm, reg = bytes ? in->reg / 8u : in->reg;
    unsigned dst = form == FORM_G_E ? reg : rm, src = form == FORM_G_E ? rm : reg;
    bool dst_mem = mem && form != FORM_G_E, src_mem = mem && form == FORM_G_E;
    bool two = rule == RULE_ADD || rule == RULE_SUB || rule == RULE_CMP || rule == RULE_TEST ||
               rule == RULE_BIT;

    source[0] = source[1] = REG_COUNT;
    if (product) {
        source[0] = RAX;
        source[1] = RDX;
        return !bytes;
    }
    if (dst_mem || in->flags & IN_VOLATILE)
        return false;
    source[n++] = dst;
    if (!two || form == FORM_E_I)
        return true;
    if (src_mem || (result && rule != RULE_BIT && src == dst))
        return false; /* the source has become the result */
    source[n] = src;
    return true;
}

static bool flow_replayable(unsigned rule)
{
    return (rule >= RULE_ADD && rule <= RULE_BIT);
}

/* Flags that the manual leaves undefined: the native processor's may differ from ours. */
static uint16_t flow_undefined(const struct flow *f, const struct insn *in)
{
    unsigned rule = f->row->rule;

    return rule == RULE_LOST || rule == RULE_BY_CL || rule == RULE_MUL || rule == RULE_IMUL
               ? insn_rows[in->id].undefined & FL_SZAP
               : FL_NONE;
}

/* ---- the analysis ---- */

/* ---- paths ---- */

bool flow_path_add(struct flow_path *p, const struct block *b)
{
    if (p->count == PATH_MAX_BLOCKS || p->insns + b->count > PATH_MAX_INSNS)
        return false;
    if (p->insns > 0)
        p->ends[p->insns - 1] = true;
    p->b[p->count] = b;
    p->first[p->count++] = p->insns;
    for (unsigned i = 0; i < b->count; i++) {
        p->in[p->insns] = &b->insns[i];
        p->ends[p->insns++] = false;
    }
    return true;
}

bool flow_is_jcc(const struct insn *in)
{
    const struct insn_row *row = &insn_rows[in->id];

    return (row->op[0] == OP_Jb || row->op[0] == OP_Jz) && row->reads && in->id != INSN_LOOPE &&
           in->id != INSN_LOOPNE;
}

/* Must the flags be saved after instruction i, which defines some? All later instructions have been
 * decided already. */
static bool flow_must_save(const struct flow_path *p, const struct flow *flow, unsigned i)
{
    unsigned source[2];
    bool replays = flow_replayable(flow[i].row->rule) && flow_sources(&flow[i], p->in[i], source);
    bool native = true; /* still in the native flags */
    uint16_t left = FL_OSZAPC, undefined = flow_undefined(&flow[i], p->in[i]);

    for (unsigned j = i + 1; j < p->insns; j++) {
        const struct flow *f = &flow[j];

        if (!f->row)
            return true;
        if (f->calls) {
            native = false;
            if (!replays)
                return true;
        }
        if (f->reads & left && (!native || f->reads & left & undefined))
            return true;
        if (f->must == FL_OSZAPC)
            return false;
        if (f->must) {
            /* passes the others on: they are in its save, or asked for behind it */
            if ((!native || undefined) && (f->save || f->live & ~f->must & FL_OSZAPC))
                return true;
            if (f->save)
                return false;
            left &= (uint16_t)~f->must;
        }
        for (unsigned k = 0; k < 2 && replays; k++)
            replays = source[k] == REG_COUNT || !flow_writes(f, p->in[j], source[k]);
        if (f->row->traits & FLOW_FAULTS)
            native = false; /* a division */
        if (p->ends[j] && flow_is_jcc(p->in[j])) {
            bool whole = flow[i].must == FL_OSZAPC && left == FL_OSZAPC && !undefined;

            if (!native || !whole)
                return true;
        }
    }
    return true;
}

static bool flow_accesses(const struct insn *in, unsigned traits)
{
    return traits & FLOW_STACK || (in->flags & IN_MEM && !(traits & FLOW_NO_ACCESS));
}

void flow_analyse_path(const struct flow_table *t, const struct flow_path *p, struct flow *flow)
{
    uint16_t live = FL_OSZAPC;
    unsigned block = p->count - 1;

    for (unsigned i = p->insns; i-- > 0;) {
        const struct insn *in = p->in[i];
        struct flow *f = &flow[i];
        unsigned rule, traits;

        if (i < p->first[block])
            block--;
        *f = (struct flow){ .row = flow_row_for(t, p->b[block], in), .live = live };
        rule = f->row ? f->row->rule : RULE_CALL;
        traits = f->row ? f->row->traits : 0;
        f->reads = flow_reads(in, rule);
        f->must = flow_must(rule);
        f->calls = !f->row || traits & FLOW_FAULTS || (!p->hits[i] && flow_accesses(in, traits));
        if (f->must)
            f->save = flow_must_save(p, flow, i);
        if (rule == RULE_BY_CL && (f->save || f->live))
            f->reads = FL_OSZAPC;
        if (f->save) /* of all flags: those that it does not define come from before */
            live = FL_OSZAPC;
        live = (uint16_t)((live & ~f->must) | f->reads);
    }
}

void flow_analyse(const struct flow_table *t, const struct block *b, struct flow *flow)
{
    struct flow_path p = { 0 };

    flow_path_add(&p, b);
    flow_analyse_path(t, &p, flow);
}

void flow_of_call(const struct flow_table *t, const struct insn *in, uint16_t *needs, bool *writes)
{
    const struct flow_row *row = t->row[in->id];
    unsigned rule = row ? row->rule : RULE_CALL;
    uint16_t must = flow_must(rule);

    *writes = rule == RULE_CALL || must;
    *needs = rule == RULE_BY_CL ? FL_OSZAPC : flow_reads(in, rule);
    if (must)
        *needs |= FL_OSZAPC & (uint16_t)~must;
}

/* ---- replay ---- */

static uint64_t flow_value(const uint64_t *r, unsigned n, unsigned size)
{
    return size == 1 ? ((const uint8_t *)r)[n] : zero_extend(r[n], size);
}

static void flow_replay_one(struct flags *f, const struct insn *in, const struct flow_row *row,
                            const uint64_t *r)
{
    unsigned size = 1u << in->size;
    bool g_e = row->form == FORM_G_E;
    uint64_t d = flow_value(r, g_e ? in->reg : in->rm, size);
    uint64_t low = flow_value(r, RAX, size), high = flow_value(r, RDX, size);
    uint64_t s = row->form == FORM_E_I ? in->imm : flow_value(r, g_e ? in->rm : in->reg, size);

    switch (row->rule) {
    case RULE_ADD: alu_add(f, d - s, s, size); break;
    case RULE_SUB: alu_sub(f, d + s, s, size); break;
    case RULE_CMP: alu_sub(f, d, s, size); break;
    case RULE_LOGIC: alu_logic(f, d, size); break;
    case RULE_TEST: alu_logic(f, d & s, size); break;
    case RULE_NEG: alu_sub(f, 0, -d, size); break;
    case RULE_INC: alu_inc(f, d - 1, size); break;
    case RULE_DEC: alu_dec(f, d + 1, size); break;
    case RULE_ROL: alu_rotate_flags(f, d & 1, (uint32_t)(alu_top(d, size) ^ (d & 1))); break;
    case RULE_ROR:
        alu_rotate_flags(f, alu_top(d, size), alu_top(d, size) ^ alu_below_top(d, size));
        break;
    case RULE_MUL: alu_mul_flags(f, low, high != 0, size); break;
    case RULE_IMUL:
        alu_mul_flags(f, low, high != zero_extend(alu_top(low, size) ? UINT64_MAX : 0, size), size);
        break;
    default: flags_set_cf(f, d >> (s & (8 * size - 1)) & 1); break; /* RULE_BIT */
    }
}

void flow_note_saves(const struct flow_path *p, const struct flow *flow, struct flow_saves *s)
{
    *s = (struct flow_saves){ 0 };
    for (unsigned i = 0; i < p->insns; i++)
        s->after[i / 64] |= (uint64_t)flow[i].save << i % 64;
}

uint64_t flow_replay_path(const struct flow_table *t, const struct flow_path *p,
                          const struct flow_saves *s, unsigned at, uint64_t saved,
                          const uint64_t *r)
{
    struct flags f;
    unsigned first = at;

    flags_set(&f, saved);
    while (first > 0 && !bit(s->after[(first - 1) / 64], (first - 1) % 64))
        first--;
    for (unsigned i = first; i < at; i++) {
        const struct flow_row *row = flow_row_for(t, p->b[0], p->in[i]);

        if (row && flow_must(row->rule))
            flow_replay_one(&f, p->in[i], row, r);
    }
    return flags_get(&f);
}

uint64_t flow_replay(const struct flow_table *t, const struct block *b, const struct flow *flow,
                     unsigned at, uint64_t saved, const uint64_t *r)
{
    struct flow_path p = { 0 };
    struct flow_saves s;

    flow_path_add(&p, b);
    flow_note_saves(&p, flow, &s);
    return flow_replay_path(t, &p, &s, at, saved, r);
}
