/* Registers, effective addresses, and operands of instruction functions: fault order in one place.
 * `size` is in bytes; a constant wherever speed matters. */
#pragma once
#include <string.h>

#include "cpu/cpu.h"
#include "cpu/insn.h"
#include "cpu/segment.h"

/* ---- registers ---- */

/* n: register number, for size 1 a byte offset (struct insn) */
ALWAYS_INLINE uint64_t reg_read(const struct cpu *cpu, unsigned n, unsigned size)
{
    switch (size) {
    case 1: return ((const uint8_t *)cpu->r)[n];
    case 2: return (uint16_t)cpu->r[n];
    case 4: return (uint32_t)cpu->r[n];
    default: return cpu->r[n];
    }
}

/* 32-bit writes clear the upper half; 8- and 16-bit writes keep the rest */
ALWAYS_INLINE void reg_write(struct cpu *cpu, unsigned n, uint64_t value, unsigned size)
{
    uint16_t v16 = (uint16_t)value;

    switch (size) {
    case 1: ((uint8_t *)cpu->r)[n] = (uint8_t)value; break;
    case 2: memcpy(&cpu->r[n], &v16, 2); break;
    case 4: cpu->r[n] = (uint32_t)value; break;
    default: cpu->r[n] = value; break;
    }
}

/* ---- RIP ---- */

/* mask of the instruction pointer in the current code size */
ALWAYS_INLINE uint64_t rip_mask(const struct cpu *cpu)
{
    return cpu_64bit(cpu) ? ~UINT64_C(0) : UINT64_C(0xffffffff);
}
ALWAYS_INLINE uint64_t insn_rip(const struct cpu *cpu, const struct insn *in)
{
    return (cpu->r[REG_BLOCK_RIP] + in->start) & rip_mask(cpu);
}
ALWAYS_INLINE uint64_t insn_next_rip(const struct cpu *cpu, const struct insn *in)
{
    return (cpu->r[REG_BLOCK_RIP] + in->start + in->length) & rip_mask(cpu);
}

/* ---- memory operands ---- */

/* effective address: offset in its segment */
ALWAYS_INLINE uint64_t ea(const struct cpu *cpu, const struct insn *in)
{
    return (cpu->r[in->base] + (cpu->r[in->index] << in->scale) + (uint64_t)in->disp) &
           in->addr_mask;
}

/* offset in segment `seg` (base from base_seg) to linear, with the checks of legacy modes; a
 * non-canonical address is found by the MMU */
static inline uint64_t seg_linear(struct cpu *cpu, const struct insn *in, uint64_t offset,
                                  unsigned size, bool write)
{
    const struct seg *s = &cpu->seg[in->base_seg];

    if (unlikely(in->flags & IN_LEGACY)) {
        if (!(write ? s->writable : s->readable) || offset + size - 1 > s->limit)
            segment_check(cpu, in->seg, offset, size, write); /* raises, or the odd legal case */
        return (uint32_t)(s->base + offset);
    }
    return s->base + offset;
}

static inline uint64_t linear_read(struct cpu *cpu, const struct insn *in, unsigned size)
{
    return seg_linear(cpu, in, ea(cpu, in), size, false);
}
static inline uint64_t linear_write(struct cpu *cpu, const struct insn *in, unsigned size)
{
    return seg_linear(cpu, in, ea(cpu, in), size, true);
}

/* How a body gets at its r/m operand; a constant in each specialised function. */
enum mem_form {
    MEM_NONE,      /* it is a register */
    MEM_ANY,       /* memory, whatever it takes */
    MEM_HIT_READ,  /* memory, and mem_hits() was true for a read just before */
    MEM_HIT_WRITE, /* ... for a write, which allows reading too */
};

/* 64-bit mode and a hit in the TLB: the case that is worth a function without a slow path, thus
 * without a stack frame (EXEC_SIZES_READ, EXEC_SIZES_WRITE) */
ALWAYS_INLINE bool mem_hits_at(const struct cpu *cpu, uint64_t linear, unsigned size, bool write)
{
    const struct tlb_entry *e = tlb_at(cpu->mmu.tlb, linear);

    return (write ? e->write : e->read) == ((linear + size - 1) & PAGE_MASK);
}
ALWAYS_INLINE bool mem_hits(const struct cpu *cpu, const struct insn *in, unsigned size, bool write)
{
    return !(in->flags & IN_LEGACY) &&
           mem_hits_at(cpu, cpu->seg[in->base_seg].base + ea(cpu, in), size, write);
}
/* after a hit: where the operand is natively */
ALWAYS_INLINE uint8_t *mem_native_at(const struct cpu *cpu, uint64_t linear)
{
    return (uint8_t *)(linear + tlb_at(cpu->mmu.tlb, linear)->addend);
}
ALWAYS_INLINE uint8_t *mem_native(const struct cpu *cpu, const struct insn *in)
{
    return mem_native_at(cpu, cpu->seg[in->base_seg].base + ea(cpu, in));
}
ALWAYS_INLINE uint64_t hit_load(const uint8_t *native, unsigned size)
{
    uint64_t v = 0;

    memcpy(&v, native, size);
    return v;
}
ALWAYS_INLINE void hit_store(uint8_t *native, uint64_t v, unsigned size)
{
    memcpy(native, &v, size);
}

static inline uint64_t mem_read(struct cpu *cpu, const struct insn *in, unsigned size)
{
    return mmu_load(&cpu->mmu, linear_read(cpu, in, size), size);
}
static inline void mem_write(struct cpu *cpu, const struct insn *in, uint64_t v, unsigned size)
{
    mmu_store(&cpu->mmu, linear_write(cpu, in, size), v, size);
}

/* the r/m operand */
ALWAYS_INLINE uint64_t rm_read(struct cpu *cpu, const struct insn *in, unsigned size,
                               enum mem_form mem)
{
    if (mem == MEM_HIT_READ || mem == MEM_HIT_WRITE)
        return hit_load(mem_native(cpu, in), size);
    return mem ? mem_read(cpu, in, size) : reg_read(cpu, in->rm, size);
}
ALWAYS_INLINE void rm_write(struct cpu *cpu, const struct insn *in, uint64_t v, unsigned size,
                            enum mem_form mem)
{
    if (mem == MEM_HIT_WRITE)
        hit_store(mem_native(cpu, in), v, size);
    else if (mem)
        mem_write(cpu, in, v, size);
    else
        reg_write(cpu, in->rm, v, size);
}

/* read-modify-write of the r/m operand: after rmw_begin nothing can fault any more */
struct rmw {
    uint64_t value;
    uint64_t linear; /* MEM_ANY */
    uint8_t *native; /* MEM_HIT_WRITE */
};
ALWAYS_INLINE struct rmw rmw_begin(struct cpu *cpu, const struct insn *in, unsigned size,
                                   enum mem_form mem)
{
    struct rmw d = { 0, 0, NULL };

    if (mem == MEM_HIT_WRITE) {
        d.native = mem_native(cpu, in);
        d.value = hit_load(d.native, size);
    } else if (mem) {
        d.linear = linear_write(cpu, in, size);
        d.value = mmu_load_rmw(&cpu->mmu, d.linear, size);
    } else {
        d.value = reg_read(cpu, in->rm, size);
    }
    return d;
}
ALWAYS_INLINE void rmw_end(struct cpu *cpu, const struct insn *in, const struct rmw *d,
                           unsigned size, enum mem_form mem)
{
    if (mem == MEM_HIT_WRITE)
        hit_store(d->native, d->value, size);
    else if (mem)
        mmu_store(&cpu->mmu, d->linear, d->value, size);
    else
        reg_write(cpu, in->rm, d->value, size);
}

/* write a register that address size decides on (rSI, rDI, rCX, rBP): 16 bits keep the rest, 32 bits
 * clear the upper half; mask as insn.addr_mask or stack_mask() */
ALWAYS_INLINE void reg_write_masked(struct cpu *cpu, unsigned n, uint64_t value, uint64_t mask)
{
    cpu->r[n] = mask == 0xffff ? (cpu->r[n] & ~mask) | (value & mask) : value & mask;
}

/* ---- stack: cpu/exec_stack.c has the instructions; these serve calls and gates too ---- */

/* mask of the stack pointer: 64, 32 (SS.B) or 16 bits */
static inline uint64_t stack_mask(const struct cpu *cpu)
{
    return cpu->key & KEY_CODE64 ? ~UINT64_C(0)
           : cpu->key & KEY_SS32 ? UINT64_C(0xffffffff)
                                 : UINT64_C(0xffff);
}
static inline uint64_t stack_linear(struct cpu *cpu, uint64_t offset, unsigned size, bool write)
{
    const struct seg *s = &cpu->seg[SEG_SS];

    if (cpu->key & KEY_CODE64)
        return offset;
    if (!(write ? s->writable : s->readable) || offset + size - 1 > s->limit)
        segment_check(cpu, SEG_SS, offset, size, write);
    return (uint32_t)(s->base + offset);
}
static inline void rsp_set(struct cpu *cpu, uint64_t rsp)
{
    reg_write_masked(cpu, RSP, rsp, stack_mask(cpu));
}
/* store first, then commit RSP: a fault leaves RSP alone */
static inline void push(struct cpu *cpu, uint64_t v, unsigned size)
{
    uint64_t rsp = (cpu->r[RSP] - size) & stack_mask(cpu);

    mmu_store(&cpu->mmu, stack_linear(cpu, rsp, size, true), v, size);
    rsp_set(cpu, rsp);
}
/* the value `depth` bytes above RSP, without moving RSP */
static inline uint64_t stack_peek(struct cpu *cpu, unsigned depth, unsigned size)
{
    uint64_t at = (cpu->r[RSP] + depth) & stack_mask(cpu);

    return mmu_load(&cpu->mmu, stack_linear(cpu, at, size, false), size);
}
static inline uint64_t pop(struct cpu *cpu, unsigned size)
{
    uint64_t v = stack_peek(cpu, 0, size);

    rsp_set(cpu, cpu->r[RSP] + size);
    return v;
}

/* The same for instruction functions. `form` says what is known of the stack, not of the operand:
 * MEM_HIT_* are for 64-bit mode and `size` 8 (EXEC_SIZES_PUSH, EXEC_SIZES_POP). */
ALWAYS_INLINE void push_form(struct cpu *cpu, uint64_t v, unsigned size, enum mem_form form)
{
    if (form == MEM_HIT_WRITE) {
        hit_store(mem_native_at(cpu, cpu->r[RSP] - 8), v, 8);
        cpu->r[RSP] -= 8;
    } else {
        push(cpu, v, size);
    }
}
ALWAYS_INLINE uint64_t stack_peek_form(struct cpu *cpu, unsigned size, enum mem_form form)
{
    return form == MEM_HIT_READ ? hit_load(mem_native_at(cpu, cpu->r[RSP]), 8)
                                : stack_peek(cpu, 0, size);
}
ALWAYS_INLINE void rsp_add_form(struct cpu *cpu, uint64_t bytes, enum mem_form form)
{
    if (form == MEM_HIT_READ)
        cpu->r[RSP] += bytes;
    else
        rsp_set(cpu, cpu->r[RSP] + bytes);
}
