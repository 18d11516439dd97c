/* Delivery of events through the interrupt vector table (real-address mode) and through the gates of
 * the IDT (protected and IA-32e mode), and software interrupts.
 * [SDM 3A "Interrupt and Exception Handling"], [SDM 2A "INT n/INTO/INT3/INT1"],
 * [SDM 3B "8086 Emulation"] */
#include "cpu/interrupt.h"

#include "cpu/frame.h"
#include "cpu/virt.h"

/* What the row of INT n says: the work is the same. Not a measurement. */
enum { DELIVERY_COST = 60 };
enum { GATE_TASK = 5, GATE_INT16 = 6, GATE_TRAP16 = 7, GATE_INT32 = 14, GATE_TRAP32 = 15 };

struct gate {
    uint16_t selector;
    uint64_t offset;
    unsigned type, ist;
};

/* what goes into the frame and into RFLAGS */
struct handler {
    const struct event *ev;
    struct gate gate;
    struct descriptor code;
    unsigned cpl;         /* of the handler */
    uint64_t rip, rflags; /* pushed */
};

static bool event_is_software(const struct event *ev)
{
    return ev->type == EVENT_TYPE_SOFTWARE_INT || ev->type == EVENT_TYPE_SOFTWARE_EXC;
}

static uint32_t vector_error(const struct event *ev)
{
    return (uint32_t)ev->vector << 3 | 2; /* an index of the IDT */
}

/* Where execution goes on after the handler. */
static uint64_t return_rip(const struct cpu *cpu, const struct event *ev)
{
    bool skips = event_is_software(ev) || ev->type == EVENT_TYPE_PRIV_SOFTWARE;

    return (cpu->rip + (skips ? ev->insn_length : 0u)) & rip_mask(cpu);
}

/* ---- stacks of inner levels ---- */

void tss_stack(struct cpu *cpu, unsigned cpl, uint16_t *ss, uint64_t *esp)
{
    const struct seg *tr = &cpu->seg[SEG_TR];
    bool is32 = (tr->ar & 8) != 0;
    unsigned at = is32 ? 4 + 8 * cpl : 2 + 4 * cpl, size = is32 ? 4 : 2;

    if (at + size + 1 > tr->limit)
        raise_ts(cpu, selector_error(tr->selector));
    *esp = mmu_load_system(&cpu->mmu, tr->base + at, size);
    *ss = (uint16_t)mmu_load_system(&cpu->mmu, tr->base + at + size, 2);
}

uint64_t tss_rsp(struct cpu *cpu, unsigned offset)
{
    const struct seg *tr = &cpu->seg[SEG_TR];
    uint64_t rsp;

    if (offset + 7 > tr->limit)
        raise_ts(cpu, selector_error(tr->selector));
    rsp = mmu_load_system(&cpu->mmu, tr->base + offset, 8);
    if (!is_canonical(rsp, CPU_LINEAR_BITS))
        raise_ss(cpu, 0);
    return rsp;
}

/* ---- real-address mode ---- */

/* FLAGS, CS, IP on a 16-bit stack; then CS:IP from `vector_at` */
static void deliver_8086(struct cpu *cpu, uint64_t vector_at, uint64_t flags_image, uint64_t rip,
                         uint64_t clear)
{
    struct frame f = frame_current(cpu);
    uint32_t target = (uint32_t)mmu_load_system(&cpu->mmu, vector_at, 4);
    uint64_t offset = target & 0xffff;

    frame_room(cpu, &f, 3, 2);
    if (offset > cpu->seg[SEG_CS].limit)
        raise_gp(cpu, 0);
    frame_push(cpu, &f, flags_image, 2);
    frame_push(cpu, &f, cpu->seg[SEG_CS].selector, 2);
    frame_push(cpu, &f, rip, 2);
    frame_commit(cpu, &f);
    segment_load_real(cpu, SEG_CS, (uint16_t)(target >> 16));
    cpu->rip = offset;
    cpu_set_rflags(cpu, cpu_rflags(cpu) & ~clear);
}

static void deliver_real(struct cpu *cpu, const struct event *ev)
{
    unsigned at = ev->vector * 4u;

    if (at + 3 > cpu->idtr.limit)
        raise_gp(cpu, vector_error(ev));
    deliver_8086(cpu, cpu->idtr.base + at, cpu_rflags(cpu), return_rip(cpu, ev),
                 RFLAGS_IF | RFLAGS_TF | RFLAGS_AC | RFLAGS_RF);
}

/* ---- gates ---- */

static struct gate read_gate(struct cpu *cpu, const struct event *ev)
{
    bool wide = cpu_long(cpu);
    unsigned at = ev->vector * (wide ? 16u : 8u), last = at + (wide ? 15 : 7);
    uint64_t low, high = 0;
    struct gate g;
    bool known;

    if (last > cpu->idtr.limit)
        raise_gp(cpu, vector_error(ev));
    low = mmu_load_system(&cpu->mmu, cpu->idtr.base + at, 8);
    if (wide)
        high = mmu_load_system(&cpu->mmu, cpu->idtr.base + at + 8, 8);
    g.type = (unsigned)bits(low, 44, 40);
    known = g.type == GATE_INT32 || g.type == GATE_TRAP32;
    if (!wide)
        known |= g.type == GATE_TASK || g.type == GATE_INT16 || g.type == GATE_TRAP16;
    if (!known)
        raise_gp(cpu, vector_error(ev));
    if (event_is_software(ev) && bits(low, 46, 45) < cpu->cpl)
        raise_gp(cpu, vector_error(ev));
    if (!bit(low, 47))
        raise_np(cpu, vector_error(ev));
    g.selector = (uint16_t)bits(low, 31, 16);
    g.ist = wide ? (unsigned)bits(low, 34, 32) : 0;
    g.offset = bits(low, 15, 0);
    if (g.type >= GATE_INT32)
        g.offset |= bits(low, 63, 48) << 16 | (high & UINT32_MAX) << 32;
    return g;
}

static void deliver_task(struct cpu *cpu, const struct event *ev, uint16_t tss)
{
    struct descriptor d;

    if (tss & SELECTOR_TI)
        raise_gp(cpu, selector_error(tss));
    d = descriptor_read(cpu, tss, GP, true);
    if ((d.ar & (AR_S | 0x7)) != 1) /* available 16- or 32-bit TSS: types 1 and 9 */
        raise_gp(cpu, selector_error(tss));
    if (!(d.ar & AR_P))
        raise_np(cpu, selector_error(tss));
    task_switch(cpu, tss, TASK_GATE, return_rip(cpu, ev), ev->has_error, ev->error_code);
}

/* the handler's code segment and privilege level */
static void read_code(struct cpu *cpu, struct handler *h)
{
    uint16_t selector = h->gate.selector;
    bool conforming;

    if (selector_null(selector))
        raise_gp(cpu, 0);
    h->code = descriptor_read(cpu, selector, GP, false);
    code_check(cpu, selector, &h->code);
    if (ar_dpl(h->code.ar) > cpu->cpl || (cpu_long(cpu) && !(h->code.ar & AR_L)))
        raise_gp(cpu, selector_error(selector));
    if (!(h->code.ar & AR_P))
        raise_np(cpu, selector_error(selector));
    conforming = h->code.ar & AR_CONFORMING;
    h->cpl = conforming ? cpu->cpl : ar_dpl(h->code.ar);
    if (cpu_vm86(cpu) && h->cpl != 0)
        raise_gp(cpu, selector_error(selector));
}

static void enter_handler(struct cpu *cpu, const struct handler *h)
{
    uint64_t clear = RFLAGS_TF | RFLAGS_VM | RFLAGS_RF | RFLAGS_NT;

    if (!(h->gate.type & 1)) /* interrupt gate */
        clear |= RFLAGS_IF;
    cpu->rip = h->gate.offset;
    cpu_set_rflags(cpu, cpu_rflags(cpu) & ~clear);
    segment_set_code(cpu, h->gate.selector, &h->code, h->cpl);
}

/* ---- protected mode ---- */

static void push_return(struct cpu *cpu, struct frame *f, const struct handler *h, unsigned size)
{
    frame_push(cpu, f, h->rflags, size);
    frame_push(cpu, f, cpu->seg[SEG_CS].selector, size);
    frame_push(cpu, f, h->rip, size);
    if (h->ev->has_error)
        frame_push(cpu, f, h->ev->error_code, size);
}

static void deliver_same_level(struct cpu *cpu, struct handler *h, unsigned size)
{
    struct frame f = frame_current(cpu);

    frame_room(cpu, &f, 3u + h->ev->has_error, size);
    code_check_target(cpu, &h->code, h->gate.offset);
    segment_prepare(cpu, h->gate.selector, &h->code);
    push_return(cpu, &f, h, size);
    frame_commit(cpu, &f);
    enter_handler(cpu, h);
}

static void deliver_inner(struct cpu *cpu, struct handler *h, unsigned size)
{
    static const uint8_t v86_segments[] = { SEG_GS, SEG_FS, SEG_DS, SEG_ES };
    bool vm86 = cpu_vm86(cpu);
    struct descriptor stack;
    struct frame f;
    uint64_t esp;
    uint16_t ss;

    tss_stack(cpu, h->cpl, &ss, &esp);
    stack = segment_read_stack(cpu, ss, h->cpl, TS);
    f = frame_inner(ss, &stack, esp);
    frame_room(cpu, &f, (vm86 ? 9u : 5u) + h->ev->has_error, size);
    code_check_target(cpu, &h->code, h->gate.offset);
    segment_prepare(cpu, ss, &stack);
    segment_prepare(cpu, h->gate.selector, &h->code);

    mmu_set_view(&cpu->mmu, cpu_view(cpu, h->cpl));
    for (unsigned i = 0; vm86 && i < sizeof v86_segments; i++)
        frame_push(cpu, &f, cpu->seg[v86_segments[i]].selector, size);
    frame_push(cpu, &f, cpu->seg[SEG_SS].selector, size);
    frame_push(cpu, &f, cpu->r[RSP], size);
    push_return(cpu, &f, h, size);

    for (unsigned i = 0; vm86 && i < sizeof v86_segments; i++)
        segment_set_null(cpu, v86_segments[i], 0);
    segment_set(cpu, SEG_SS, ss, &stack);
    frame_commit(cpu, &f);
    enter_handler(cpu, h);
}

/* ---- IA-32e mode ---- */

static void deliver_64(struct cpu *cpu, struct handler *h)
{
    bool inner = h->cpl < cpu->cpl;
    uint64_t rsp = cpu->r[RSP];
    struct frame f;

    if (h->gate.ist)
        rsp = tss_rsp(cpu, TSS64_IST1 + 8 * (h->gate.ist - 1));
    else if (inner)
        rsp = tss_rsp(cpu, TSS64_RSP0 + 8 * h->cpl);
    code_check_target(cpu, &h->code, h->gate.offset);
    segment_prepare(cpu, h->gate.selector, &h->code);
    f = frame_64(rsp & ~UINT64_C(15));
    mmu_set_view(&cpu->mmu, cpu_view(cpu, h->cpl));
    frame_push(cpu, &f, cpu->seg[SEG_SS].selector, 8);
    frame_push(cpu, &f, cpu->r[RSP], 8);
    push_return(cpu, &f, h, 8);

    cpu->r[RSP] = f.rsp;
    enter_handler(cpu, h);
    if (inner)
        segment_set_null(cpu, SEG_SS, (uint16_t)h->cpl);
}

static void deliver_protected(struct cpu *cpu, const struct event *ev)
{
    struct handler h = { .ev = ev, .gate = read_gate(cpu, ev) };
    unsigned size = h.gate.type >= GATE_INT32 ? 4 : 2;

    if (h.gate.type == GATE_TASK) {
        deliver_task(cpu, ev, h.gate.selector);
        return;
    }
    read_code(cpu, &h);
    h.rip = return_rip(cpu, ev);
    h.rflags = cpu_rflags(cpu);
    if (cpu_long(cpu))
        deliver_64(cpu, &h);
    else if (h.cpl < cpu->cpl)
        deliver_inner(cpu, &h, size);
    else
        deliver_same_level(cpu, &h, size);
}

/* ---- all ---- */

static void deliver_begin(struct cpu *cpu, const struct event *ev)
{
    cpu->current = *ev;
    cpu->delivering = true;
    cpu->step_trap_lost = true;
    cpu->activity = ACTIVE;
    if (ev->type == EVENT_TYPE_NMI)
        cpu->blocking |= BLOCK_NMI;
}

static void deliver_end(struct cpu *cpu)
{
    cpu->delivering = false;
    cpu->blocking &= ~(uint32_t)(BLOCK_STI | BLOCK_MOV_SS);
    cpu_update_key(cpu);
}

void interrupt_deliver(struct cpu *cpu, const struct event *ev)
{
    struct event copy = *ev; /* it may be cpu->current itself */

    if (ev->type <= EVENT_TYPE_HARDWARE) /* the rest are instructions, whose rows have a cost */
        cpu_charge(cpu, DELIVERY_COST);
    deliver_begin(cpu, &copy);
    if (cpu_protected(cpu))
        deliver_protected(cpu, &copy);
    else
        deliver_real(cpu, &copy);
    deliver_end(cpu);
}

/* INT n in virtual-8086 mode with CR4.VME: a clear bit in the redirection map of the TSS sends it
 * to the 8086 program's own handler. */
static bool is_redirected(struct cpu *cpu, uint8_t vector)
{
    const struct seg *tr = &cpu->seg[SEG_TR];
    uint64_t map, at;

    if (tr->limit < 103)
        raise_gp(cpu, 0);
    map = mmu_load_system(&cpu->mmu, tr->base + 102, 2);
    at = map - 32 + vector / 8;
    if (map < 32 || at > tr->limit)
        raise_gp(cpu, 0);
    return !bit(mmu_load_system(&cpu->mmu, tr->base + at, 1), vector % 8);
}

static void deliver_redirected(struct cpu *cpu, const struct event *ev)
{
    uint64_t image = cpu_rflags(cpu);
    bool virtual_if = (cpu->rflags & RFLAGS_IOPL) != RFLAGS_IOPL;

    if (virtual_if) {
        image = (image & ~RFLAGS_IF) | RFLAGS_IOPL;
        if (cpu->rflags & RFLAGS_VIF)
            image |= RFLAGS_IF;
    }
    deliver_begin(cpu, ev);
    deliver_8086(cpu, ev->vector * 4u, image, return_rip(cpu, ev),
                 RFLAGS_TF | RFLAGS_RF | RFLAGS_NT | (virtual_if ? RFLAGS_VIF : RFLAGS_IF));
    deliver_end(cpu);
}

void interrupt_software(struct cpu *cpu, uint8_t vector, enum event_type type, unsigned length)
{
    struct event ev = { .vector = vector, .type = (uint8_t)type, .insn_length = (uint8_t)length };
    bool iopl3 = (cpu->rflags & RFLAGS_IOPL) == RFLAGS_IOPL;

    if (cpu_protected(cpu) && cpu_vm86(cpu) && type == EVENT_TYPE_SOFTWARE_INT) {
        if (cpu->cr4 & CR4_VME && is_redirected(cpu, vector)) {
            cpu_sync_rip(cpu);
            deliver_redirected(cpu, &ev);
            return;
        }
        if (!iopl3)
            raise_gp(cpu, 0);
    }
    cpu_sync_rip(cpu);
    if (cpu->blocking & BLOCK_MOV_SS)
        ev.payload = debug_held(cpu, &ev);
    if (cpu->non_root && type != EVENT_TYPE_SOFTWARE_INT)
        cpu->virt->exception(cpu, &ev);
    cpu->dr[6] |= ev.payload; /* of INT1 */
    interrupt_deliver(cpu, &ev);
}
