/* A processor with descriptor tables, a TSS, handlers and stacks, for the tests of the system side of
 * cpu/: code runs until a HLT, either its own or that of the handler it ended in.
 *
 * A handler of vector v is a HLT at SYS_HANDLERS + 16 * v, so that RIP tells which one was reached. */
#pragma once
#include "cpu/interrupt.h"
#include "tests/cpu/insn_lab.h"

enum {
    SYS_GDT = 0x10000,
    SYS_IDT = 0x11000,
    SYS_TSS = 0x12000,
    SYS_TSS2 = 0x13000,
    SYS_LDT = 0x14000,
    SYS_HANDLERS = 0x20000,
    SYS_STACK0 = 0x30000,
    SYS_IST1 = 0x34000,
    SYS_STACK3 = 0x38000,
    SYS_INNER = 0x28000, /* where call gates lead */
};

/* selectors */
enum {
    CODE32 = 0x08,
    DATA32 = 0x10,
    CODE32_USER = 0x1b,
    DATA32_USER = 0x23,
    CODE64 = 0x28,
    TSS_A = 0x30 /* 16 bytes */,
    TSS_B = 0x40 /* 16 bytes */,
    CODE16 = 0x50,
    DATA16 = 0x58,
    LDT = 0x60 /* 16 bytes */,
    GATE = 0x70 /* 16 bytes */,
    CODE64_USER = 0x83,
    CONFORMING = 0x88,
    ABSENT = 0x90,
    READ_ONLY = 0x98,
    EXPAND_DOWN = 0xa0,
    EXECUTE_ONLY = 0xa8,
    TASK_GATE_B = 0xb0,
    STACK_USER = 0xbb,
    SYS_GDT_LIMIT = 0xbf,
};

enum sys_mode { SYS_32, SYS_32_USER, SYS_64, SYS_64_USER, SYS_VM86 };

static inline uint64_t sys_descriptor(uint32_t base, uint32_t limit, uint32_t ar)
{
    return (uint64_t)(limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 |
           (uint64_t)(ar & 0xff) << 40 | (uint64_t)(limit >> 16 & 15) << 48 |
           (uint64_t)(ar >> 12 & 15) << 52 | (uint64_t)(base >> 24) << 56;
}

static inline void sys_put(struct insn_lab *lab, uint16_t selector, uint64_t descriptor)
{
    bus_write(lab->bus, SYS_GDT + (selector & ~7u), descriptor, 8);
}

/* a gate of the IDT (8 or 16 bytes) or of the GDT */
static inline void sys_put_gate(struct insn_lab *lab, uint64_t at, bool wide, uint16_t selector,
                                uint32_t offset, uint32_t ar, unsigned low5)
{
    uint64_t low = (offset & 0xffff) | (uint64_t)selector << 16 | (uint64_t)low5 << 32 |
                   (uint64_t)(ar & 0xff) << 40 | (uint64_t)(offset >> 16) << 48;

    bus_write(lab->bus, at, low, 8);
    if (wide)
        bus_write(lab->bus, at + 8, 0, 8);
}

/* ar: 8EH interrupt gate, 8FH trap gate, EEH interrupt gate of DPL 3, 85H task gate */
static inline void sys_vector(struct insn_lab *lab, unsigned vector, uint16_t selector, uint32_t ar,
                              unsigned ist)
{
    bool wide = cpu_long(lab->cpu);

    sys_put_gate(lab, SYS_IDT + vector * (wide ? 16u : 8u), wide, selector,
                 SYS_HANDLERS + 16 * vector, ar, ist);
}

static inline void sys_tables(struct insn_lab *lab)
{
    bool wide = cpu_long(lab->cpu);

    sys_put(lab, CODE32, sys_descriptor(0, 0xfffff, 0xc09b));
    sys_put(lab, DATA32, sys_descriptor(0, 0xfffff, 0xc093));
    sys_put(lab, CODE32_USER, sys_descriptor(0, 0xfffff, 0xc0fb));
    sys_put(lab, DATA32_USER, sys_descriptor(0, 0xfffff, 0xc0f3));
    sys_put(lab, CODE64, sys_descriptor(0, 0xfffff, 0xa09b));
    sys_put(lab, CODE64_USER, sys_descriptor(0, 0xfffff, 0xa0fb));
    sys_put(lab, TSS_A, sys_descriptor(SYS_TSS, 0x67, 0x8b));
    sys_put(lab, TSS_B, sys_descriptor(SYS_TSS2, 0x67, 0x89));
    sys_put(lab, CODE16, sys_descriptor(0, 0xffff, 0x009b));
    sys_put(lab, DATA16, sys_descriptor(0, 0xffff, 0x0093));
    sys_put(lab, LDT, sys_descriptor(SYS_LDT, 0x1f, 0x82));
    sys_put(lab, CONFORMING, sys_descriptor(0, 0xfffff, 0xc09f));
    sys_put(lab, ABSENT, sys_descriptor(0, 0xfffff, 0xc013));
    sys_put(lab, READ_ONLY, sys_descriptor(0, 0xfffff, 0xc091));
    sys_put(lab, EXPAND_DOWN, sys_descriptor(0, 0x0ffff, 0x4097));
    sys_put(lab, EXECUTE_ONLY, sys_descriptor(0, 0xfffff, 0xc099));
    sys_put_gate(lab, SYS_GDT + TASK_GATE_B, false, TSS_B, 0, 0x85, 0);
    sys_put(lab, STACK_USER, sys_descriptor(0, 0xfffff, 0xc0f3));
    for (unsigned v = 0; v < 256; v++) {
        sys_vector(lab, v, wide ? CODE64 : CODE32, 0x8e, 0);
        bus_write(lab->bus, SYS_HANDLERS + 16 * v, 0xf4, 1);
    }
    bus_write(lab->bus, SYS_INNER, 0xf4, 1);
    if (wide) {
        bus_write(lab->bus, SYS_TSS + 4, SYS_STACK0, 8);
        bus_write(lab->bus, SYS_TSS + 36, SYS_IST1, 8);
    } else {
        bus_write(lab->bus, SYS_TSS + 4, SYS_STACK0, 4);
        bus_write(lab->bus, SYS_TSS + 8, DATA32, 4);
    }
}

static inline void sys_seg(struct cpu *cpu, unsigned n, uint16_t selector, uint32_t ar)
{
    cpu->seg[n] = (struct seg){ .selector = selector, .limit = UINT32_MAX, .ar = ar };
}

/* CPL 0 or 3, with the segment registers of that level */
static inline void sys_level(struct insn_lab *lab, enum sys_mode mode)
{
    struct cpu *cpu = lab->cpu;
    bool wide = mode == SYS_64 || mode == SYS_64_USER;
    bool user = mode == SYS_32_USER || mode == SYS_64_USER;

    cpu->cpl = user ? 3 : 0;
    sys_seg(cpu, SEG_CS, wide ? (user ? CODE64_USER : CODE64) : (user ? CODE32_USER : CODE32),
            (wide ? 0xa09b : 0xc09b) | (user ? 3 << 5 : 0));
    for (unsigned i = SEG_ES; i <= SEG_GS; i++) {
        if (i != SEG_CS)
            sys_seg(cpu, i, user ? DATA32_USER : DATA32, 0xc093 | (user ? 3 << 5 : 0));
    }
    cpu->r[RSP] = user ? SYS_STACK3 : SYS_STACK0 - 0x1000;
}

static inline struct insn_lab *sys_new(enum sys_mode mode)
{
    bool wide = mode == SYS_64 || mode == SYS_64_USER;
    struct insn_lab *lab = lab_new(wide ? LAB_LONG : mode == SYS_VM86 ? LAB_VM86 : LAB_PROTECTED32);
    struct cpu *cpu = lab->cpu;

    cpu->gdtr = (struct table_reg){ SYS_GDT, SYS_GDT_LIMIT };
    cpu->idtr = (struct table_reg){ SYS_IDT, wide ? 0xfff : 0x7ff };
    cpu->seg[SEG_TR] = (struct seg){
        .selector = TSS_A, .base = SYS_TSS, .limit = 0x67, .ar = 0x8b
    };
    cpu->seg[SEG_LDTR].ar |= AR_UNUSABLE;
    if (mode == SYS_VM86)
        cpu->r[RSP] = 0x7000;
    else
        sys_level(lab, mode);
    sys_tables(lab);
    cpu_settle(cpu);
    return lab;
}

/* Put the bytes at CS:RIP, followed by a HLT, and run until something halts. */
static inline void sys_run_bytes(struct insn_lab *lab, const uint8_t *bytes, size_t count)
{
    struct cpu *cpu = lab->cpu;
    uint64_t at = cpu->seg[SEG_CS].base + cpu->rip;

    bus_write_bytes(lab->bus, at, bytes, count);
    bus_write(lab->bus, at + count, 0xf4, 1);
    cpu_run(cpu, cpu_cycles(cpu) + 100000);
}
#define sys_run(lab, ...) \
    sys_run_bytes((lab), (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

/* the vector whose handler was reached, or -1 */
static inline int sys_handler(const struct insn_lab *lab)
{
    uint64_t at = lab->cpu->rip - 1 - SYS_HANDLERS;

    return lab->cpu->activity == HALTED && at < 16 * 256 ? (int)(at / 16) : -1;
}

/* the n-th value of the frame at SS:RSP, of the mode's width */
static inline uint64_t sys_frame(const struct insn_lab *lab, unsigned n)
{
    unsigned size = cpu_long(lab->cpu) ? 8 : 4;

    return bus_read(lab->bus, lab->cpu->seg[SEG_SS].base + lab->cpu->r[RSP] + n * size, size);
}
