/* Segment registers and descriptors: loads with their checks, limits. cpu/segment.c.
 * [SDM 3A "Protection"] */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct cpu;
struct seg;

struct descriptor { /* an 8- or 16-byte descriptor, taken apart */
    uint64_t base;  /* 64 bits for system descriptors in IA-32e mode */
    uint32_t limit; /* granularity applied */
    uint32_t ar;    /* AR_* of cpu/cpu.h, without AR_UNUSABLE */
    uint64_t low;   /* the raw first 8 bytes: gates take their fields from here */
    uint64_t high;  /* the raw second 8 bytes of 16-byte descriptors, else 0 */
};

/* derive readable and writable; after every change of a struct seg */
void seg_settle(struct seg *s);

/* The slow and exact check of a legacy-mode access (expand-down, wrap, unusable, real mode...);
 * returns if it is allowed, else raises #SS or #GP. */
void segment_check(struct cpu *cpu, unsigned seg, uint64_t offset, unsigned size, bool write);

/* Read a descriptor through GDTR or LDTR (implicit supervisor access); raises `vector` with the
 * selector as error code if it is beyond the limit. System descriptors are 16 bytes in IA-32e mode
 * when `system` says so. */
struct descriptor descriptor_read(struct cpu *cpu, uint16_t selector, unsigned vector, bool system);
/* the same, but false instead of an exception (LAR, LSL, VERR, VERW); page faults still unwind */
bool descriptor_probe(struct cpu *cpu, uint16_t selector, struct descriptor *d, bool system);
/* set the accessed or busy bit in memory (type's bit `n`: 0 accessed, 1 busy) */
void descriptor_set_type_bit(struct cpu *cpu, uint16_t selector, unsigned n, bool value);

/* MOV, POP, LxS to a segment register other than CS, in every mode */
void segment_load(struct cpu *cpu, unsigned seg, uint16_t selector);
/* real-address and virtual-8086 mode: base = selector * 16, and the rest as the manual says */
void segment_load_real(struct cpu *cpu, unsigned seg, uint16_t selector);
/* put a checked descriptor into a segment register */
void segment_set(struct cpu *cpu, unsigned seg, uint16_t selector, const struct descriptor *d);
/* a null selector in ES, DS, FS, GS or SS (64-bit, CPL < 3) */
void segment_set_null(struct cpu *cpu, unsigned seg, uint16_t selector);
/* change CPL and SS.DPL with it; calls cpu_update_key */
void cpu_set_cpl(struct cpu *cpu, unsigned cpl);

/* ---- for gates, far transfers, IRET and task switches ---- */

enum { SELECTOR_TI = 4 };
static inline unsigned selector_rpl(uint16_t selector)
{
    return selector & 3;
}
static inline bool selector_null(uint16_t selector)
{
    return (selector & 0xfffc) == 0;
}
/* as an error code: without RPL */
static inline uint32_t selector_error(uint16_t selector)
{
    return selector & 0xfffcu;
}

/* does an access lie within the limit of a usable segment (expand-down too)? */
bool segment_fits(const struct seg *s, uint64_t offset, unsigned size);

/* A stack segment for privilege level cpl, or a data segment, with all checks: `vector` (#GP, #TS)
 * with the selector, then #SS or #NP if it is not present. */
struct descriptor segment_read_stack(struct cpu *cpu, uint16_t selector, unsigned cpl,
                                     unsigned vector);
struct descriptor segment_read_data(struct cpu *cpu, uint16_t selector, unsigned cpl,
                                    unsigned vector);

/* does it make 64-bit mode? */
bool code_is_64bit(const struct cpu *cpu, const struct descriptor *d);
/* #GP(selector) unless it is a code segment whose L and D are not both 1 in IA-32e mode */
void code_check(struct cpu *cpu, uint16_t selector, const struct descriptor *d);
/* #GP(0) unless rip is within the limit, or canonical */
void code_check_target(struct cpu *cpu, const struct descriptor *d, uint64_t rip);
/* set the accessed bit in memory, before segment_set or segment_set_code: the last thing that can
 * fault */
void segment_prepare(struct cpu *cpu, uint16_t selector, struct descriptor *d);
/* load CS, with RPL = CPL = cpl */
void segment_set_code(struct cpu *cpu, uint16_t selector, const struct descriptor *d, unsigned cpl);
/* after a return to an outer level: ES, FS, GS, DS that it must not use become null */
void segment_drop_privileged(struct cpu *cpu);
