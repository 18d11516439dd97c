/* A processor with 4 MiB of RAM that executes single instructions, for the tests of cpu/: modes set
 * by hand, exceptions caught before they are delivered. */
#pragma once
#include <check.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpuid.h"
#include "cpu/decode.h"
#include "cpu/exec.h"
#include "cpu/fpu_native.h"

enum {
    LAB_RAM = 0x400000,
    LAB_TABLES = 0x300000, /* PML4, PDPT, PD of the 64-bit mode, 4 KiB each */
    LAB_NO_FAULT = -1,
    LAB_CODE = 0x8000, /* where instructions pretend to be */
};

enum lab_mode { LAB_REAL, LAB_VM86, LAB_PROTECTED16, LAB_PROTECTED32, LAB_LONG, LAB_LONG_USER };

struct insn_lab {
    struct bus *bus;
    struct ports *ports;
    struct clock clock;
    struct cpu_model model;
    struct cpu *cpu;
    struct insn in[2];
    sigjmp_buf unwind;
};

/* PD entries of 2 MiB, user, read/write: linear = physical */
static inline void lab_identity_map(struct insn_lab *lab)
{
    bus_write(lab->bus, LAB_TABLES, (LAB_TABLES + 0x1000) | 7, 8);
    bus_write(lab->bus, LAB_TABLES + 0x1000, (LAB_TABLES + 0x2000) | 7, 8);
    for (uint64_t i = 0; i < LAB_RAM >> 21; i++)
        bus_write(lab->bus, LAB_TABLES + 0x2000 + 8 * i, i << 21 | 0x87, 8);
}

/* all six segments alike, but CS code; base 0 */
static inline void lab_segments(struct cpu *cpu, uint32_t limit, uint32_t ar, uint32_t code_ar)
{
    for (unsigned i = SEG_ES; i <= SEG_GS; i++)
        cpu->seg[i] = (struct seg){ .limit = limit, .ar = i == SEG_CS ? code_ar : ar };
}

static inline void lab_mode(struct insn_lab *lab, enum lab_mode mode)
{
    struct cpu *cpu = lab->cpu;

    cpu_reset(cpu);
    memset(cpu->r, 0, sizeof cpu->r);
    cpu->rip = LAB_CODE;
    cpu->cr0 = CR0_ET | CR0_NE | (mode == LAB_REAL ? 0 : CR0_PE);
    cpu->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
    cpu->cpl = 0;
    switch (mode) {
    case LAB_REAL: lab_segments(cpu, 0xffff, 0x93, 0x93); break;
    case LAB_VM86:
        lab_segments(cpu, 0xffff, 0xf3, 0xf3);
        cpu->rflags |= RFLAGS_VM;
        cpu->cpl = 3;
        break;
    case LAB_PROTECTED16: lab_segments(cpu, 0xffff, 0x93, 0x9b); break;
    case LAB_PROTECTED32: lab_segments(cpu, UINT32_MAX, 0xc093, 0xc09b); break;
    case LAB_LONG:
    case LAB_LONG_USER:
        lab_segments(cpu, UINT32_MAX, 0xc0f3, 0xa0fb);
        cpu->cpl = mode == LAB_LONG ? 0 : 3;
        cpu->cr0 |= CR0_PG | CR0_WP;
        cpu->cr3 = LAB_TABLES;
        cpu->cr4 |= CR4_PAE;
        cpu->efer = EFER_LME | EFER_LMA | EFER_NXE;
        break;
    }
    cpu_settle(cpu);
}

static inline struct insn_lab *lab_new(enum lab_mode mode)
{
    struct insn_lab *lab = calloc(1, sizeof *lab);
    uint64_t features[FEATURE_WORDS];
    struct err e;

    ck_assert_ptr_nonnull(lab);
    memset(features, 0xff, sizeof features);
    lab->bus = bus_create();
    lab->ports = ports_create();
    ck_assert(bus_add_ram(lab->bus, LAB_RAM, LAB_RAM, &e));
    lab->cpu = cpu_create(0, &lab->model, features, lab->bus, lab->ports, &lab->clock);
    lab_identity_map(lab);
    lab_mode(lab, mode);
    return lab;
}

static inline void lab_free(struct insn_lab *lab)
{
    cpu_destroy(lab->cpu);
    ports_destroy(lab->ports);
    bus_destroy(lab->bus);
    free(lab);
}

static inline void lab_leave(struct cpu *cpu, const struct insn *in)
{
    cpu->rip = insn_rip(cpu, in);
}

/* Execute the instruction in `bytes` once at cpu->rip (a chunk of it, with REP): the vector of its
 * exception, or LAB_NO_FAULT. */
static inline int lab_step(struct insn_lab *lab, const uint8_t *bytes, size_t count)
{
    struct cpu *cpu = lab->cpu;

    memset(lab->in, 0, sizeof lab->in);
    if (decode(&lab->in[0], bytes, count, cpu->key, cpu->features) != DECODE_OK)
        ck_abort_msg("the instruction is not whole");
    lab->in[1].exec = lab_leave;
    lab->in[1].start = lab->in[0].length;
    cpu->unwind = &lab->unwind;
    if (sigsetjmp(lab->unwind, 0) == 0) {
        cpu->r[REG_BLOCK_RIP] = cpu->rip;
        cpu->in = NULL;
        lab->in[0].exec(cpu, &lab->in[0]);
        cpu->in = NULL;
        return LAB_NO_FAULT;
    }
    cpu_sync_rip(cpu);
    return cpu->raised.vector;
}

/* the same, until RIP moves: whole repetitions */
static inline int lab_run(struct insn_lab *lab, const uint8_t *bytes, size_t count)
{
    uint64_t rip = lab->cpu->rip;
    int fault;

    do
        fault = lab_step(lab, bytes, count);
    while (fault == LAB_NO_FAULT && lab->cpu->rip == rip);
    return fault;
}

/* lab_exec(lab, 0x27) executes DAA */
#define lab_exec(lab, ...) \
    lab_run((lab), (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static inline uint64_t lab_read(struct insn_lab *lab, uint64_t pa, unsigned size)
{
    uint64_t v = 0;

    bus_read_bytes(lab->bus, pa, &v, size);
    return v;
}
static inline void lab_write(struct insn_lab *lab, uint64_t pa, uint64_t v, unsigned size)
{
    bus_write_bytes(lab->bus, pa, &v, size);
}
static inline void lab_set_flags(struct insn_lab *lab, uint64_t arithmetic)
{
    flags_set(&lab->cpu->flags, arithmetic);
}
static inline uint64_t lab_flags(struct insn_lab *lab)
{
    return flags_get(&lab->cpu->flags);
}
