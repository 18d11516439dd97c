/* Frames that gates push: all of a frame is checked and written before RSP, SS and CPL change, so
 * that a fault in the middle leaves the processor as it was. */
#pragma once
#include "cpu/cpu.h"
#include "cpu/operand.h"
#include "cpu/segment.h"

struct frame {
    struct seg ss; /* the stack that is written */
    uint64_t rsp;
    uint64_t mask;     /* of the stack pointer */
    bool flat;         /* 64-bit: no limits */
    uint32_t ss_error; /* of #SS when there is no room */
};

/* on the current stack, by the current mode */
static inline struct frame frame_current(const struct cpu *cpu)
{
    return (struct frame){
        .ss = cpu->seg[SEG_SS], .rsp = cpu->r[RSP], .mask = stack_mask(cpu), .flat = cpu_64bit(cpu)
    };
}

/* on the stack of an inner level, with its descriptor */
static inline struct frame frame_inner(uint16_t selector, const struct descriptor *d, uint64_t rsp)
{
    struct frame f = {
        .ss = { .base = d->base, .limit = d->limit, .ar = d->ar, .selector = selector },
        .rsp = rsp,
        .mask = d->ar & AR_DB ? UINT32_MAX : UINT16_MAX,
        .ss_error = selector_error(selector),
    };

    return f;
}

/* in IA-32e mode, where gates always push eight bytes a time */
static inline struct frame frame_64(uint64_t rsp)
{
    return (struct frame){ .rsp = rsp, .mask = ~UINT64_C(0), .flat = true };
}

/* #SS unless `count` pushes of `size` bytes fit */
static inline void frame_room(struct cpu *cpu, const struct frame *f, unsigned count, unsigned size)
{
    for (unsigned i = 1; i <= count && !f->flat; i++) {
        if (!segment_fits(&f->ss, (f->rsp - (uint64_t)i * size) & f->mask, size))
            raise_ss(cpu, f->ss_error);
    }
}

static inline void frame_push(struct cpu *cpu, struct frame *f, uint64_t v, unsigned size)
{
    uint64_t offset = (f->rsp - size) & f->mask;

    mmu_store(&cpu->mmu, f->flat ? offset : (uint32_t)(f->ss.base + offset), v, size);
    f->rsp = offset;
}

/* RSP takes the frame's value; SS is that of the frame already */
static inline void frame_commit(struct cpu *cpu, const struct frame *f)
{
    cpu->r[RSP] = f->mask == UINT16_MAX ? (cpu->r[RSP] & ~f->mask) | f->rsp : f->rsp;
}

/* ---- stacks of inner levels, from the TSS; cpu/interrupt.c ---- */

/* SS:ESP for level cpl of a 16- or 32-bit TSS; #TS beyond its limit */
void tss_stack(struct cpu *cpu, unsigned cpl, uint16_t *ss, uint64_t *esp);
/* RSPn or ISTn of a 64-bit TSS, by offset; #TS beyond its limit, #SS(0) if not canonical */
uint64_t tss_rsp(struct cpu *cpu, unsigned offset);
enum { TSS64_RSP0 = 4, TSS64_IST1 = 36 };

/* ---- stacks of outer levels, for IRET and RETF; cpu/segment.c ---- */

struct outer_stack {
    uint16_t selector;
    uint64_t rsp;
    bool null; /* allowed when 64-bit code at CPL 0 to 2 is returned to */
    struct descriptor d;
};
/* all checks of SS for a return to `code` at privilege level cpl; #GP, #SS */
void outer_stack_read(struct cpu *cpu, struct outer_stack *s, unsigned cpl,
                      const struct descriptor *code);
void outer_stack_prepare(struct cpu *cpu, struct outer_stack *s);
/* after CS and CPL have changed: load SS and RSP, whose width the new SS and mode decide */
void outer_stack_set(struct cpu *cpu, const struct outer_stack *s);
