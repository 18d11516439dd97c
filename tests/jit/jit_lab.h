/* A processor with native code: a few instructions in 64-bit mode, run until they are hot. */
#pragma once
#include "cpu/block.h"
#include "cpu/jit/dump.h"
#include "cpu/jit/path.h"
#include "tests/cpu/insn_lab.h"

enum { HOT_STACK = 0x200000, HOT_CYCLES = 100000000 };

/* cache: bytes; 0: interpreted */
static inline struct insn_lab *hot_lab(enum lab_mode mode, uint64_t cache)
{
    struct insn_lab *lab = lab_new(mode);
    struct err e = { "" };

    if (cache)
        ck_assert_msg(jit_attach(lab->cpu, cache, &e), "%s", e.text);
    lab->cpu->r[RSP] = HOT_STACK;
    return lab;
}

static inline void hot_free(struct insn_lab *lab)
{
    jit_detach(lab->cpu);
    lab_free(lab);
}

/* from `at` until HLT */
static inline void hot_run(struct insn_lab *lab, uint64_t at)
{
    struct cpu *cpu = lab->cpu;

    cpu->rip = at;
    cpu->activity = ACTIVE;
    cpu_run(cpu, cpu_cycles(cpu) + HOT_CYCLES);
    ck_assert_int_eq(cpu->activity, HALTED);
}

/* the same of a program, written to LAB_CODE */
static inline void hot_execute(struct insn_lab *lab, const uint8_t *bytes, size_t count)
{
    bus_write_bytes(lab->bus, LAB_CODE, bytes, count);
    hot_run(lab, LAB_CODE);
}

/* the live paths, one after the other: *id is 0 at first; NULL after the last */
static inline struct native_block *next_path(const struct jit *jit, uint32_t *id)
{
    while (*id < jit->id_count) {
        struct native_block *nb = jit->by_id[(*id)++];

        if (nb && !nb->stale && nb->head == nb)
            return nb;
    }
    return NULL;
}
