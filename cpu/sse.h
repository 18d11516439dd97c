/* What the files of SSE and MMX instructions share: registers, memory operands, exceptions. */
#pragma once
#include <simde/x86/sse4.1.h>
#include <simde/x86/sse4.2.h>
#include <simde/x86/ssse3.h>

#include "cpu/exec.h"
#include "cpu/float80.h"
#include "cpu/fpu_check.h"
#include "cpu/fpu_native.h"

/* ---- registers ---- */

static inline simde__m128i xmm_get(const struct cpu *cpu, unsigned n)
{
    return simde_mm_loadu_si128((const simde__m128i *)(const void *)&cpu->fpu.xmm[n]);
}
static inline void xmm_set(struct cpu *cpu, unsigned n, simde__m128i v)
{
    simde_mm_storeu_si128((simde__m128i *)(void *)&cpu->fpu.xmm[n], v);
}
/* lane by lane in C */
static inline union xmm xmm_from(simde__m128i v)
{
    union xmm x;

    memcpy(&x, &v, 16);
    return x;
}
static inline simde__m128i xmm_to(union xmm x)
{
    simde__m128i v;

    memcpy(&v, &x, 16);
    return v;
}

static inline simde__m128i sse_low64(uint64_t v)
{
    return simde_mm_set_epi64x(0, (int64_t)v);
}
static inline simde__m128i sse_low32(uint32_t v)
{
    return simde_mm_cvtsi32_si128((int32_t)v);
}
/* PSIGND: a negated, kept or cleared by the sign of b (SIMDe 0.7.4's overflows on 80000000H) */
static inline simde__m128i sse_sign_epi32(simde__m128i a, simde__m128i b)
{
    simde__m128i negative = simde_mm_srai_epi32(b, 31);
    simde__m128i zero = simde_mm_cmpeq_epi32(b, simde_mm_setzero_si128());

    a = simde_mm_sub_epi32(simde_mm_xor_si128(a, negative), negative);
    return simde_mm_andnot_si128(zero, a);
}
static inline uint64_t sse_to64(simde__m128i v)
{
    return (uint64_t)simde_mm_cvtsi128_si64(v);
}

/* MMX registers: the significands of the x87's, which MMX instructions make valid */
static inline uint64_t mmx_get(const struct cpu *cpu, unsigned n)
{
    return cpu->fpu.st[n & 7].significand;
}
static inline void mmx_set(struct cpu *cpu, unsigned n, uint64_t v)
{
    cpu->fpu.st[n & 7].significand = v;
    cpu->fpu.st[n & 7].sign_exponent = 0xffff;
}
/* the transition to MMX: TOP = 0, all tags valid; after the last possible fault */
static inline void mmx_enter(struct cpu *cpu)
{
    cpu->fpu.status &= (uint16_t) ~(7u << X87_TOP_SHIFT);
    cpu->fpu.tag = 0xff;
}

/* ---- memory operands ---- */

/* the slow paths have locals whose address is taken; here they do not cost the tail call */
simde__m128i sse_load_slow(struct mmu *m, uint64_t linear);
void sse_store_slow(struct mmu *m, uint64_t linear, simde__m128i v);

static inline simde__m128i sse_load(struct cpu *cpu, uint64_t linear)
{
    const struct tlb_entry *e = tlb_at(cpu->mmu.tlb, linear);

    if (unlikely(e->read != ((linear + 15) & PAGE_MASK)))
        return sse_load_slow(&cpu->mmu, linear);
    return simde_mm_loadu_si128((const simde__m128i *)(uintptr_t)(linear + e->addend));
}
static inline void sse_store(struct cpu *cpu, uint64_t linear, simde__m128i v)
{
    const struct tlb_entry *e = tlb_at(cpu->mmu.tlb, linear);

    if (unlikely(e->write != ((linear + 15) & PAGE_MASK)))
        sse_store_slow(&cpu->mmu, linear, v);
    else
        simde_mm_storeu_si128((simde__m128i *)(uintptr_t)(linear + e->addend), v);
}
static inline void sse_check_aligned(struct cpu *cpu, uint64_t linear)
{
    if (unlikely(linear & 15))
        raise_gp(cpu, 0);
}

/* the r/m operand: all of it (u: may be misaligned), or its low quadword or doubleword with zeros
 * above */
static inline simde__m128i sse_rm(struct cpu *cpu, const struct insn *in, bool mem)
{
    if (!mem)
        return xmm_get(cpu, in->rm);
    uint64_t linear = linear_read(cpu, in, 16);
    sse_check_aligned(cpu, linear);
    return sse_load(cpu, linear);
}
static inline simde__m128i sse_rmu(struct cpu *cpu, const struct insn *in, bool mem)
{
    return mem ? sse_load(cpu, linear_read(cpu, in, 16)) : xmm_get(cpu, in->rm);
}
static inline simde__m128i sse_rm64(struct cpu *cpu, const struct insn *in, bool mem)
{
    return sse_low64(mem ? mmu_load(&cpu->mmu, linear_read(cpu, in, 8), 8)
                         : cpu->fpu.xmm[in->rm].u64[0]);
}
static inline simde__m128i sse_rm32(struct cpu *cpu, const struct insn *in, bool mem)
{
    return sse_low32(mem ? (uint32_t)mmu_load(&cpu->mmu, linear_read(cpu, in, 4), 4)
                         : cpu->fpu.xmm[in->rm].u32[0]);
}
/* an MMX r/m operand */
static inline uint64_t mmx_rm(struct cpu *cpu, const struct insn *in, bool mem)
{
    return mem ? mmu_load(&cpu->mmu, linear_read(cpu, in, 8), 8) : mmx_get(cpu, in->rm);
}

/* ---- floating-point exceptions ---- */

/* lanes of a result that may be tiny */
enum sse_lanes { SSE_NONE, SSE_PS, SSE_PD, SSE_SS, SSE_SD };

/* what was done, lane by lane, for operations that can overflow or underflow */
enum sse_op { SSE_OTHER, SSE_ADD, SSE_SUB, SSE_ADDSUB, SSE_MUL, SSE_DIV, SSE_NARROW };

void sse_begin_unmasked(struct cpu *cpu);
void sse_end_unmasked(struct cpu *cpu, simde__m128i a, simde__m128i b, simde__m128i result,
                      enum sse_lanes lanes, enum sse_op op);
void sse_raise_unmasked(struct cpu *cpu, uint32_t flags);

/* around native SSE arithmetic; the ends raise #XM, before anything is written. sse_end: for what
 * neither overflows nor underflows. */
static inline void sse_begin(struct cpu *cpu)
{
    if (!fpu_all_masked(cpu))
        sse_begin_unmasked(cpu);
}
static inline void sse_end_op(struct cpu *cpu, simde__m128i a, simde__m128i b, simde__m128i result,
                              enum sse_lanes lanes, enum sse_op op)
{
    if (!fpu_all_masked(cpu))
        sse_end_unmasked(cpu, a, b, result, lanes, op);
}
static inline void sse_end(struct cpu *cpu)
{
    simde__m128i none = simde_mm_setzero_si128();

    sse_end_op(cpu, none, none, none, SSE_NONE, SSE_OTHER);
}
/* flags that our own code detected */
static inline void sse_raise(struct cpu *cpu, uint32_t flags)
{
    if (fpu_all_masked(cpu))
        cpu->fpu.mxcsr |= flags;
    else
        sse_raise_unmasked(cpu, flags);
}
