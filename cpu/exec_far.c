/* Far transfers: JMP, CALL and RET to code segments, through call gates, and to tasks.
 * [SDM 2A "CALL", "JMP"; SDM 2B "RET"; SDM 3A "Call Gates"]
 *
 * Everything is checked, and all of a frame is written, before the first register changes. */
#include "cpu/exec.h"
#include "cpu/frame.h"
#include "cpu/interrupt.h"

/* types of system descriptors */
enum { TYPE_TSS16 = 1, TYPE_CALL16 = 4, TYPE_TASK_GATE = 5, TYPE_TSS32 = 9, TYPE_CALL = 12 };

struct far_transfer {
    bool call;
    uint16_t selector;
    uint64_t offset;
    unsigned size; /* operand size: of what CALL pushes */
    uint64_t next_rip;
};

/* ---- real-address and virtual-8086 mode ---- */

static void far_real(struct cpu *cpu, const struct far_transfer *t)
{
    struct frame f = frame_current(cpu);

    if (t->call)
        frame_room(cpu, &f, 2, t->size);
    if (t->offset > cpu->seg[SEG_CS].limit)
        raise_gp(cpu, 0);
    if (t->call) {
        frame_push(cpu, &f, cpu->seg[SEG_CS].selector, t->size);
        frame_push(cpu, &f, t->next_rip, t->size);
        frame_commit(cpu, &f);
    }
    segment_load_real(cpu, SEG_CS, t->selector);
    cpu->rip = t->offset;
}

/* ---- to a code segment at the same level ---- */

static void far_push_and_go(struct cpu *cpu, const struct far_transfer *t, uint16_t selector,
                            struct descriptor *code, uint64_t rip, unsigned size)
{
    struct frame f = frame_current(cpu);

    if (t->call)
        frame_room(cpu, &f, 2, size);
    code_check_target(cpu, code, rip);
    segment_prepare(cpu, selector, code);
    if (t->call) {
        frame_push(cpu, &f, cpu->seg[SEG_CS].selector, size);
        frame_push(cpu, &f, t->next_rip, size);
        frame_commit(cpu, &f);
    }
    segment_set_code(cpu, selector, code, cpu->cpl);
    cpu->rip = rip;
}

static void far_code(struct cpu *cpu, const struct far_transfer *t, struct descriptor *code)
{
    unsigned dpl = ar_dpl(code->ar);
    bool allowed = code->ar & AR_CONFORMING
                       ? dpl <= cpu->cpl
                       : selector_rpl(t->selector) <= cpu->cpl && dpl == cpu->cpl;

    code_check(cpu, t->selector, code);
    if (!allowed)
        raise_gp(cpu, selector_error(t->selector));
    if (!(code->ar & AR_P))
        raise_np(cpu, selector_error(t->selector));
    far_push_and_go(cpu, t, t->selector, code, t->offset, t->size);
}

/* ---- through a call gate ---- */

struct call_gate {
    uint16_t selector;
    uint64_t offset;
    unsigned size;       /* 2, 4 or 8 */
    unsigned parameters; /* to copy from stack to stack */
    struct descriptor code;
};

static struct call_gate far_read_gate(struct cpu *cpu, uint16_t gate_selector,
                                      const struct descriptor *d)
{
    bool wide = cpu_long(cpu);
    struct call_gate g = {
        .selector = (uint16_t)bits(d->low, 31, 16),
        .size = wide                          ? 8
                : ar_type(d->ar) == TYPE_CALL ? 4
                                              : 2,
        .offset = bits(d->low, 15, 0),
        .parameters = wide ? 0 : (unsigned)bits(d->low, 36, 32),
    };

    if (ar_dpl(d->ar) < cpu->cpl || selector_rpl(gate_selector) > ar_dpl(d->ar))
        raise_gp(cpu, selector_error(gate_selector));
    if (!(d->ar & AR_P))
        raise_np(cpu, selector_error(gate_selector));
    if (g.size > 2)
        g.offset |= bits(d->low, 63, 48) << 16 | (d->high & UINT32_MAX) << 32;
    if (selector_null(g.selector))
        raise_gp(cpu, 0);
    g.code = descriptor_read(cpu, g.selector, GP, false);
    code_check(cpu, g.selector, &g.code);
    if (ar_dpl(g.code.ar) > cpu->cpl || (wide && !(g.code.ar & AR_L)))
        raise_gp(cpu, selector_error(g.selector));
    return g;
}

static void far_push_parameters(struct cpu *cpu, struct frame *f, const struct call_gate *g)
{
    uint64_t values[31];

    /* the old stack is read at the old level, the new one written at the new */
    for (unsigned i = 0; i < g->parameters; i++)
        values[i] = stack_peek(cpu, i * g->size, g->size);
    mmu_set_view(&cpu->mmu, cpu_view(cpu, ar_dpl(g->code.ar)));
    frame_push(cpu, f, cpu->seg[SEG_SS].selector, g->size);
    frame_push(cpu, f, cpu->r[RSP], g->size);
    for (unsigned i = g->parameters; i-- > 0;)
        frame_push(cpu, f, values[i], g->size);
}

/* CALL to an inner level */
static void far_call_inner(struct cpu *cpu, const struct far_transfer *t, struct call_gate *g)
{
    unsigned cpl = ar_dpl(g->code.ar);
    bool wide = cpu_long(cpu);
    struct descriptor stack = { 0 };
    uint16_t ss = (uint16_t)cpl;
    struct frame f;
    uint64_t rsp;

    if (wide) {
        f = frame_64(tss_rsp(cpu, TSS64_RSP0 + 8 * cpl));
    } else {
        tss_stack(cpu, cpl, &ss, &rsp);
        stack = segment_read_stack(cpu, ss, cpl, TS);
        f = frame_inner(ss, &stack, rsp);
        frame_room(cpu, &f, 4 + g->parameters, g->size);
    }
    code_check_target(cpu, &g->code, g->offset);
    if (!wide)
        segment_prepare(cpu, ss, &stack);
    segment_prepare(cpu, g->selector, &g->code);
    far_push_parameters(cpu, &f, g);
    frame_push(cpu, &f, cpu->seg[SEG_CS].selector, g->size);
    frame_push(cpu, &f, t->next_rip, g->size);

    segment_set_code(cpu, g->selector, &g->code, cpl);
    if (wide)
        segment_set_null(cpu, SEG_SS, ss);
    else
        segment_set(cpu, SEG_SS, ss, &stack);
    frame_commit(cpu, &f);
    cpu->rip = g->offset;
}

static void far_gate(struct cpu *cpu, const struct far_transfer *t, const struct descriptor *d)
{
    struct call_gate g = far_read_gate(cpu, t->selector, d);
    bool conforming = g.code.ar & AR_CONFORMING;
    bool inner = !conforming && ar_dpl(g.code.ar) < cpu->cpl;

    if (!t->call && inner) /* JMP cannot change the level */
        raise_gp(cpu, selector_error(g.selector));
    if (!(g.code.ar & AR_P))
        raise_np(cpu, selector_error(g.selector));
    if (inner)
        far_call_inner(cpu, t, &g);
    else
        far_push_and_go(cpu, t, g.selector, &g.code, g.offset, g.size);
}

/* ---- to a task ---- */

static void far_tss(struct cpu *cpu, const struct far_transfer *t, uint16_t selector,
                    const struct descriptor *d)
{
    if ((d->ar & (AR_S | 0x7)) != 1) /* available 16- or 32-bit TSS */
        raise_gp(cpu, selector_error(selector));
    if (!(d->ar & AR_P))
        raise_np(cpu, selector_error(selector));
    task_switch(cpu, selector, t->call ? TASK_CALL : TASK_JMP, t->next_rip, false, 0);
}

static void far_task_gate(struct cpu *cpu, const struct far_transfer *t,
                          const struct descriptor *gate)
{
    uint16_t selector = (uint16_t)bits(gate->low, 31, 16);
    struct descriptor d;

    if (!(gate->ar & AR_P))
        raise_np(cpu, selector_error(t->selector));
    if (selector & SELECTOR_TI)
        raise_gp(cpu, selector_error(selector));
    d = descriptor_read(cpu, selector, GP, true);
    far_tss(cpu, t, selector, &d);
}

static void far_system(struct cpu *cpu, const struct far_transfer *t, const struct descriptor *d)
{
    unsigned type = ar_type(d->ar), dpl = ar_dpl(d->ar);
    bool task = type == TYPE_TSS16 || type == TYPE_TSS32 || type == TYPE_TASK_GATE;

    if (type == TYPE_CALL || (type == TYPE_CALL16 && !cpu_long(cpu))) {
        far_gate(cpu, t, d);
        return;
    }
    if (!task || cpu_long(cpu) || dpl < cpu->cpl || dpl < selector_rpl(t->selector))
        raise_gp(cpu, selector_error(t->selector));
    if (type == TYPE_TASK_GATE)
        far_task_gate(cpu, t, d);
    else
        far_tss(cpu, t, t->selector, d);
}

static void far_go(struct cpu *cpu, const struct far_transfer *t)
{
    struct descriptor d;

    if (cpu_real(cpu)) {
        far_real(cpu, t);
        return;
    }
    if (selector_null(t->selector))
        raise_gp(cpu, 0);
    d = descriptor_read(cpu, t->selector, GP, true);
    if (d.ar & AR_S)
        far_code(cpu, t, &d);
    else
        far_system(cpu, t, &d);
}

/* ---- JMP and CALL ---- */

static struct far_transfer far_pointer(struct cpu *cpu, const struct insn *in, bool call)
{
    struct far_transfer t = {
        .call = call,
        .size = 1u << in->size,
        .next_rip = insn_next_rip(cpu, in),
    };
    uint64_t at;

    if (!(in->flags & IN_MEM)) {
        t.offset = (uint32_t)in->imm;
        t.selector = (uint16_t)(in->imm >> 32);
        return t;
    }
    at = ea(cpu, in);
    t.offset = mmu_load(&cpu->mmu, seg_linear(cpu, in, at, t.size, false), t.size);
    at = (at + t.size) & in->addr_mask;
    t.selector = (uint16_t)mmu_load(&cpu->mmu, seg_linear(cpu, in, at, 2, false), 2);
    return t;
}

EXEC_BODY(jmp_far)
{
    struct far_transfer t = far_pointer(cpu, in, false);

    far_go(cpu, &t);
}
EXEC_END(jmp_far)

EXEC_BODY(call_far)
{
    struct far_transfer t = far_pointer(cpu, in, true);

    far_go(cpu, &t);
}
EXEC_END(call_far)

/* ---- RET ---- */

static void far_return_real(struct cpu *cpu, unsigned size, unsigned release)
{
    uint64_t rip = stack_peek(cpu, 0, size);
    uint16_t cs = (uint16_t)stack_peek(cpu, size, size);

    if (rip > cpu->seg[SEG_CS].limit)
        raise_gp(cpu, 0);
    rsp_set(cpu, cpu->r[RSP] + 2 * size + release);
    segment_load_real(cpu, SEG_CS, cs);
    cpu->rip = rip;
}

static struct descriptor far_return_code(struct cpu *cpu, uint16_t selector)
{
    unsigned rpl = selector_rpl(selector);
    struct descriptor d;
    bool good;

    if (selector_null(selector))
        raise_gp(cpu, 0);
    d = descriptor_read(cpu, selector, GP, false);
    code_check(cpu, selector, &d);
    good = d.ar & AR_CONFORMING ? ar_dpl(d.ar) <= rpl : ar_dpl(d.ar) == rpl;
    if (rpl < cpu->cpl || !good)
        raise_gp(cpu, selector_error(selector));
    if (!(d.ar & AR_P))
        raise_np(cpu, selector_error(selector));
    return d;
}

static void far_return_outer(struct cpu *cpu, unsigned size, unsigned release, uint64_t rip,
                             uint16_t cs, struct descriptor *code)
{
    struct outer_stack stack = {
        .rsp = stack_peek(cpu, 2 * size + release, size),
        .selector = (uint16_t)stack_peek(cpu, 3 * size + release, size),
    };
    unsigned cpl = selector_rpl(cs);

    outer_stack_read(cpu, &stack, cpl, code);
    code_check_target(cpu, code, rip);
    segment_prepare(cpu, cs, code);
    outer_stack_prepare(cpu, &stack);
    segment_set_code(cpu, cs, code, cpl);
    stack.rsp += release; /* parameters lie on the outer stack too */
    outer_stack_set(cpu, &stack);
    segment_drop_privileged(cpu);
    cpu->rip = rip;
}

static void far_return(struct cpu *cpu, unsigned size, unsigned release)
{
    struct descriptor code;
    uint64_t rip;
    uint16_t cs;

    if (cpu_real(cpu)) {
        far_return_real(cpu, size, release);
        return;
    }
    rip = stack_peek(cpu, 0, size);
    cs = (uint16_t)stack_peek(cpu, size, size);
    code = far_return_code(cpu, cs);
    if (selector_rpl(cs) > cpu->cpl) {
        far_return_outer(cpu, size, release, rip, cs, &code);
        return;
    }
    code_check_target(cpu, &code, rip);
    segment_prepare(cpu, cs, &code);
    rsp_set(cpu, cpu->r[RSP] + 2 * size + release);
    segment_set_code(cpu, cs, &code, cpu->cpl);
    cpu->rip = rip;
}

EXEC_BODY(ret_far)
{
    far_return(cpu, 1u << in->size, 0);
}
EXEC_END(ret_far)

EXEC_BODY(ret_far_I)
{
    far_return(cpu, 1u << in->size, (unsigned)(in->imm & 0xffff));
}
EXEC_END(ret_far_I)
