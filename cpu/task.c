/* Task switches through 16- and 32-bit TSSs. [SDM 3A "Task Management"]
 *
 * The order of the checks is that of the manual's list: what fails before the new task's state is
 * loaded raises in the old task, what fails afterwards in the new one. */
#include "cpu/control_regs.h"
#include "cpu/frame.h"
#include "cpu/interrupt.h"
#include "cpu/virt.h"

/* Where a TSS keeps what. */
struct tss_layout {
    uint8_t size; /* of a register */
    uint8_t cr3;  /* 0: none */
    uint8_t rip, rflags, gpr, segments, ldt, trap;
    uint8_t segment_count;
    uint8_t last;       /* the smallest limit */
    uint8_t static_end; /* fields behind are only read */
};

static const struct tss_layout tss_16 = {
    .size = 2,
    .cr3 = 0,
    .rip = 14,
    .rflags = 16,
    .gpr = 18,
    .segments = 34,
    .ldt = 42,
    .trap = 0,
    .segment_count = 4,
    .last = 0x2b,
    .static_end = 42,
};
static const struct tss_layout tss_32 = {
    .size = 4,
    .cr3 = 28,
    .rip = 32,
    .rflags = 36,
    .gpr = 40,
    .segments = 72,
    .ldt = 96,
    .trap = 100,
    .segment_count = 6,
    .last = 0x67,
    .static_end = 96,
};

static const struct tss_layout *tss_layout(uint32_t ar)
{
    return ar & 8 ? &tss_32 : &tss_16;
}

/* the state that a TSS gives a task */
struct task_state {
    uint64_t cr3, rip, rflags, r[8];
    uint16_t segment[6], ldt;
    bool trap;
};

static uint64_t tss_load(struct cpu *cpu, uint64_t base, unsigned at, unsigned size)
{
    return mmu_load_system(&cpu->mmu, base + at, size);
}

static void task_save(struct cpu *cpu, const struct tss_layout *l, uint64_t rip, uint64_t rflags)
{
    uint64_t base = cpu->seg[SEG_TR].base;

    mmu_store_system(&cpu->mmu, base + l->rip, rip, l->size);
    mmu_store_system(&cpu->mmu, base + l->rflags, rflags, l->size);
    for (unsigned i = 0; i < 8; i++)
        mmu_store_system(&cpu->mmu, base + l->gpr + i * l->size, cpu->r[i], l->size);
    for (unsigned i = 0; i < l->segment_count; i++)
        mmu_store_system(&cpu->mmu, base + l->segments + i * l->size, cpu->seg[i].selector, 2);
}

static void task_load(struct cpu *cpu, const struct tss_layout *l, uint64_t base,
                      struct task_state *t)
{
    *t = (struct task_state){ .cr3 = cpu->cr3 };
    if (l->cr3)
        t->cr3 = tss_load(cpu, base, l->cr3, 4);
    t->rip = tss_load(cpu, base, l->rip, l->size);
    t->rflags = tss_load(cpu, base, l->rflags, l->size);
    for (unsigned i = 0; i < 8; i++)
        t->r[i] = tss_load(cpu, base, l->gpr + i * l->size, l->size);
    for (unsigned i = 0; i < l->segment_count; i++)
        t->segment[i] = (uint16_t)tss_load(cpu, base, l->segments + i * l->size, 2);
    t->ldt = (uint16_t)tss_load(cpu, base, l->ldt, 2);
    t->trap = l->trap && tss_load(cpu, base, l->trap, 2) & 1;
}

/* Both TSSs must be there before anything is written. */
static void task_probe(struct cpu *cpu, const struct tss_layout *old, const struct tss_layout *new,
                       uint64_t new_base)
{
    uint64_t base = cpu->seg[SEG_TR].base;

    mmu_set_view(&cpu->mmu, VIEW_SUPERVISOR);
    mmu_probe(&cpu->mmu, base + old->rip, old->static_end - old->rip, MMU_WRITE);
    mmu_probe(&cpu->mmu, new_base, 2, MMU_WRITE);
    mmu_probe(&cpu->mmu, new_base, new->last + 1u, MMU_READ);
    cpu_update_key(cpu);
}

/* ---- the new task's segments: faults are its own ---- */

static void task_load_ldt(struct cpu *cpu, uint16_t selector)
{
    struct descriptor d;

    if (selector_null(selector))
        return;
    if (selector & SELECTOR_TI)
        raise_ts(cpu, selector_error(selector));
    d = descriptor_read(cpu, selector, TS, true);
    if ((d.ar & (AR_S | 15)) != 2 || !(d.ar & AR_P))
        raise_ts(cpu, selector_error(selector));
    segment_set(cpu, SEG_LDTR, selector, &d);
}

static void task_load_cs(struct cpu *cpu, uint16_t selector)
{
    unsigned rpl = selector_rpl(selector), dpl;
    struct descriptor d;

    if (selector_null(selector))
        raise_ts(cpu, 0);
    d = descriptor_read(cpu, selector, TS, false);
    dpl = ar_dpl(d.ar);
    if ((d.ar & (AR_S | AR_CODE)) != (AR_S | AR_CODE) ||
        (d.ar & AR_CONFORMING ? dpl > rpl : dpl != rpl))
        raise_ts(cpu, selector_error(selector));
    if (!(d.ar & AR_P))
        raise_np(cpu, selector_error(selector));
    segment_prepare(cpu, selector, &d);
    segment_set_code(cpu, selector, &d, rpl);
}

static void task_load_segments(struct cpu *cpu, const struct task_state *t)
{
    static const uint8_t data[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };
    struct descriptor d;

    task_load_ldt(cpu, t->ldt);
    if (cpu_vm86(cpu)) {
        for (unsigned i = 0; i < 6; i++)
            segment_load_real(cpu, i, t->segment[i]);
        cpu->cpl = 3;
        cpu_update_key(cpu);
        return;
    }
    task_load_cs(cpu, t->segment[SEG_CS]);
    d = segment_read_stack(cpu, t->segment[SEG_SS], cpu->cpl, TS);
    segment_prepare(cpu, t->segment[SEG_SS], &d);
    segment_set(cpu, SEG_SS, t->segment[SEG_SS], &d);
    for (unsigned i = 0; i < sizeof data; i++) {
        uint16_t selector = t->segment[data[i]];

        if (selector_null(selector))
            continue;
        d = segment_read_data(cpu, selector, cpu->cpl, TS);
        segment_prepare(cpu, selector, &d);
        segment_set(cpu, data[i], selector, &d);
    }
}

/* All but the descriptors: from here on it is the new task that runs. */
static void task_enter(struct cpu *cpu, const struct tss_layout *l, const struct task_state *t)
{
    cpu->cr0 |= CR0_TS;
    for (unsigned i = 0; i < 8; i++)
        reg_write(cpu, i, t->r[i], l->size);
    cpu->rip = t->rip;
    cpu->rflags &= ~RFLAGS_VM;
    /* until their descriptors are loaded, segments cannot be used */
    segment_set_null(cpu, SEG_LDTR, t->ldt);
    for (unsigned i = 0; i < 6; i++) {
        if (i == SEG_CS || i == SEG_SS)
            cpu->seg[i].selector = t->segment[i];
        else
            segment_set_null(cpu, i, t->segment[i]);
    }
    cpu->cpl = (uint8_t)selector_rpl(t->segment[SEG_CS]);
    cpu->dr[7] &= ~UINT64_C(0x155); /* local breakpoints and LE are the old task's */
    cpu_set_rflags(cpu, t->rflags);
    debug_registers_changed(cpu);
    cpu_update_paging(cpu);
    if (l->cr3 && cpu->cr0 & CR0_PG && !cr3_set(cpu, t->cr3))
        raise_ts(cpu, selector_error(cpu->seg[SEG_TR].selector));
}

static void task_push_error(struct cpu *cpu, bool is32, uint32_t error)
{
    struct frame f = frame_current(cpu);
    unsigned size = is32 ? 4 : 2;

    frame_room(cpu, &f, 1, size);
    frame_push(cpu, &f, error, size);
    frame_commit(cpu, &f);
}

void task_switch(struct cpu *cpu, uint16_t selector, enum task_source source, uint64_t next_rip,
                 bool has_error, uint32_t error)
{
    struct descriptor d = descriptor_read(cpu, selector, source == TASK_IRET ? TS : GP, true);
    const struct tss_layout *old = tss_layout(cpu->seg[SEG_TR].ar), *new = tss_layout(d.ar);
    bool nested = source == TASK_CALL || source == TASK_GATE;
    uint64_t rflags = cpu_rflags(cpu);
    uint16_t old_selector = cpu->seg[SEG_TR].selector;
    struct task_state t;

    if (d.limit < new->last)
        raise_ts(cpu, selector_error(selector));
    if (cpu->non_root)
        cpu->virt->task_switch(cpu, selector, source);
    task_probe(cpu, old, new, d.base);
    task_load(cpu, new, d.base, &t);

    if (!nested)
        descriptor_set_type_bit(cpu, old_selector, 1, false);
    if (source == TASK_IRET)
        rflags &= ~RFLAGS_NT;
    task_save(cpu, old, next_rip, rflags);
    if (nested) {
        mmu_store_system(&cpu->mmu, d.base, old_selector, 2);
        t.rflags |= RFLAGS_NT;
    }
    if (source != TASK_IRET)
        descriptor_set_type_bit(cpu, selector, 1, true);
    d.ar |= 2; /* busy */
    segment_set(cpu, SEG_TR, selector, &d);

    cpu->in = NULL;
    cpu->step_trap_lost = true;
    task_enter(cpu, new, &t);
    task_load_segments(cpu, &t);
    if (has_error)
        task_push_error(cpu, new == &tss_32, error);
    if (cpu->rip > cpu->seg[SEG_CS].limit)
        raise_gp(cpu, 0);
    if (t.trap) {
        cpu->pending_dbg |= DR6_BT;
        cpu_raise_event(cpu, EVENT_DEBUG_TRAP);
    }
}
