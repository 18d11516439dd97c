/* IRET, IRETD, IRETQ: from real-address mode, virtual-8086 mode, protected mode (to the same or an
 * outer level, to virtual-8086 mode, to the previous task) and IA-32e mode.
 * [SDM 2A "IRET/IRETD/IRETQ"] */
#include "cpu/frame.h"
#include "cpu/interrupt.h"
#include "cpu/virt.h"

#define FLAGS_16 (BITS(11, 0) | RFLAGS_NT)
#define FLAGS_STATUS (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

/* what IRET finds on the stack, and how wide */
struct iret_frame {
    unsigned size;
    uint64_t rip, rflags;
    uint16_t cs;
};

static struct iret_frame iret_peek(struct cpu *cpu, unsigned size)
{
    struct iret_frame f = { .size = size };

    f.rip = stack_peek(cpu, 0, size);
    f.cs = (uint16_t)stack_peek(cpu, size, size);
    f.rflags = stack_peek(cpu, 2 * size, size);
    return f;
}

/* RFLAGS after a pop of `size` bytes: the bits in `may` come from the image */
static uint64_t iret_merge(const struct cpu *cpu, uint64_t image, uint64_t may, unsigned size)
{
    if (size == 2)
        may &= UINT16_MAX;
    return (cpu_rflags(cpu) & ~may) | (image & may);
}

/* The bits that privilege allows; VIF and VIP only at CPL 0. */
static uint64_t iret_flags_allowed(const struct cpu *cpu, unsigned cpl)
{
    uint64_t may = FLAGS_STATUS | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_RF | RFLAGS_AC |
                   RFLAGS_ID;

    if (cpl <= (cpu->rflags & RFLAGS_IOPL) >> 12)
        may |= RFLAGS_IF;
    if (cpl == 0)
        may |= RFLAGS_IOPL | RFLAGS_VIF | RFLAGS_VIP;
    return may;
}

/* ---- real-address and virtual-8086 mode ---- */

static void iret_real(struct cpu *cpu, const struct iret_frame *f)
{
    uint64_t may = FLAGS_STATUS | RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT |
                   RFLAGS_RF | RFLAGS_AC | RFLAGS_ID;

    if (f->rip > cpu->seg[SEG_CS].limit)
        raise_gp(cpu, 0);
    rsp_set(cpu, cpu->r[RSP] + 3 * f->size);
    segment_load_real(cpu, SEG_CS, f->cs);
    cpu->rip = f->rip;
    cpu_set_rflags(cpu, iret_merge(cpu, f->rflags, may, f->size));
}

/* IOPL 3: IF is the program's own. Else, with VME and 16 bits, it is VIF's. */
static void iret_vm86(struct cpu *cpu, const struct iret_frame *f)
{
    uint64_t may = FLAGS_STATUS | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_RF | RFLAGS_AC |
                   RFLAGS_ID;
    uint64_t rflags;

    if (f->rip > cpu->seg[SEG_CS].limit)
        raise_gp(cpu, 0);
    if ((cpu->rflags & RFLAGS_IOPL) == RFLAGS_IOPL) {
        rflags = iret_merge(cpu, f->rflags, may | RFLAGS_IF, f->size);
    } else {
        if (f->rflags & RFLAGS_TF || (f->rflags & RFLAGS_IF && cpu->rflags & RFLAGS_VIP))
            raise_gp(cpu, 0);
        rflags = iret_merge(cpu, f->rflags, may, 2) & ~RFLAGS_VIF;
        if (f->rflags & RFLAGS_IF)
            rflags |= RFLAGS_VIF;
    }
    rsp_set(cpu, cpu->r[RSP] + 3 * f->size);
    segment_load_real(cpu, SEG_CS, f->cs);
    cpu->rip = f->rip;
    cpu_set_rflags(cpu, rflags);
}

/* From CPL 0 with VM set in the image. */
static void iret_to_vm86(struct cpu *cpu, const struct iret_frame *f)
{
    static const uint8_t order[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };
    uint64_t esp = stack_peek(cpu, 12, 4);
    uint16_t ss = (uint16_t)stack_peek(cpu, 16, 4), data[4];

    for (unsigned i = 0; i < 4; i++)
        data[i] = (uint16_t)stack_peek(cpu, 20 + 4 * i, 4);
    if (f->rip > 0xffff)
        raise_gp(cpu, 0);
    cpu->rflags |= RFLAGS_VM; /* for the loads below */
    for (unsigned i = 0; i < 4; i++)
        segment_load_real(cpu, order[i], data[i]);
    segment_load_real(cpu, SEG_CS, f->cs);
    segment_load_real(cpu, SEG_SS, ss);
    cpu->r[RSP] = esp;
    cpu->rip = f->rip;
    cpu->cpl = 3;
    cpu_set_rflags(cpu, f->rflags & (FLAGS_16 | RFLAGS_KEPT));
    cpu_update_key(cpu);
}

/* ---- protected and IA-32e mode ---- */

/* NT: back to the task whose TSS the link of this one names */
static void iret_task(struct cpu *cpu, uint64_t next_rip)
{
    const struct seg *tr = &cpu->seg[SEG_TR];
    uint16_t link;
    struct descriptor d;

    if (cpu_long(cpu))
        raise_gp(cpu, 0);
    link = (uint16_t)mmu_load_system(&cpu->mmu, tr->base, 2);
    if (link & SELECTOR_TI)
        raise_ts(cpu, selector_error(link));
    d = descriptor_read(cpu, link, TS, true);
    if ((d.ar & (AR_S | 0x7)) != 3) /* busy 16- or 32-bit TSS: types 3 and 11 */
        raise_ts(cpu, selector_error(link));
    if (!(d.ar & AR_P))
        raise_np(cpu, selector_error(link));
    task_switch(cpu, link, TASK_IRET, next_rip, false, 0);
}

static struct descriptor iret_code(struct cpu *cpu, uint16_t selector)
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

static void iret_same_level(struct cpu *cpu, const struct iret_frame *f, struct descriptor *code)
{
    uint64_t may = iret_flags_allowed(cpu, cpu->cpl);

    code_check_target(cpu, code, f->rip);
    segment_prepare(cpu, f->cs, code);
    rsp_set(cpu, cpu->r[RSP] + 3 * f->size);
    cpu->rip = f->rip;
    cpu_set_rflags(cpu, iret_merge(cpu, f->rflags, may, f->size));
    segment_set_code(cpu, f->cs, code, cpu->cpl);
}

/* to an outer level, and always from 64-bit mode: SS:RSP is popped too */
static void iret_with_stack(struct cpu *cpu, const struct iret_frame *f, struct descriptor *code)
{
    struct outer_stack stack = { .selector = (uint16_t)stack_peek(cpu, 4 * f->size, f->size),
                                 .rsp = stack_peek(cpu, 3 * f->size, f->size) };
    unsigned cpl = selector_rpl(f->cs), old = cpu->cpl;
    uint64_t may = iret_flags_allowed(cpu, old);

    outer_stack_read(cpu, &stack, cpl, code);
    code_check_target(cpu, code, f->rip);
    segment_prepare(cpu, f->cs, code);
    outer_stack_prepare(cpu, &stack);

    cpu->rip = f->rip;
    cpu_set_rflags(cpu, iret_merge(cpu, f->rflags, may, f->size));
    segment_set_code(cpu, f->cs, code, cpl);
    outer_stack_set(cpu, &stack);
    if (cpl > old)
        segment_drop_privileged(cpu);
}

static void iret_protected(struct cpu *cpu, unsigned size, uint64_t next_rip)
{
    struct iret_frame f;
    struct descriptor code;

    if (cpu->rflags & RFLAGS_NT) {
        iret_task(cpu, next_rip);
        return;
    }
    f = iret_peek(cpu, size);
    if (f.rflags & RFLAGS_VM && size == 4 && cpu->cpl == 0 && !cpu_long(cpu)) {
        iret_to_vm86(cpu, &f);
        return;
    }
    code = iret_code(cpu, f.cs);
    if (cpu_64bit(cpu) || selector_rpl(f.cs) > cpu->cpl)
        iret_with_stack(cpu, &f, &code);
    else
        iret_same_level(cpu, &f, &code);
}

/* ---- all ---- */

static void iret_unblock_nmi(struct cpu *cpu)
{
    if (!(cpu->blocking & BLOCK_NMI) || (cpu->non_root && !cpu->virt->iret_unblocks_nmi(cpu)))
        return;
    cpu->blocking &= ~(uint32_t)BLOCK_NMI;
    cpu->iret_unblocked_nmi = true; /* a fault or an exit of this IRET reports it */
}

void interrupt_return(struct cpu *cpu, unsigned size)
{
    bool vm86 = cpu_protected(cpu) && cpu_vm86(cpu);
    struct iret_frame f;

    if (vm86 && (cpu->rflags & RFLAGS_IOPL) != RFLAGS_IOPL && !(cpu->cr4 & CR4_VME && size == 2))
        raise_gp(cpu, 0);
    cpu->iret_unblocked_nmi = false;
    iret_unblock_nmi(cpu);
    if (!cpu_real(cpu)) {
        iret_protected(cpu, size, cpu->in ? insn_next_rip(cpu, cpu->in) : cpu->rip);
    } else {
        f = iret_peek(cpu, size);
        if (vm86)
            iret_vm86(cpu, &f);
        else
            iret_real(cpu, &f);
    }
    if (cpu->iret_unblocked_nmi && cpu->events)
        cpu_kick(cpu); /* an NMI may be waiting */
    cpu->iret_unblocked_nmi = false;
}
