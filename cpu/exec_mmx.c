/* MMX, with what SSE, SSE2 and SSSE3 added to it. An operation on 64 bits is the 128-bit one of
 * the same name on registers whose upper half is 0; where that would mix the halves (packing,
 * horizontal sums) the operand is brought into the lower half first.
 * [SDM 1 "Programming with Intel MMX Technology"] */
#include "cpu/sse.h"

/* dst = low half of an expression of a (destination) and b (r/m) */
#define MMX_FROM(load, name, expression)                   \
    EXEC_BODY_RM(mmx_##name)                               \
    {                                                      \
        mmx_check(cpu);                                    \
        simde__m128i b = sse_low64(load(cpu, in, mem));    \
        simde__m128i a = sse_low64(mmx_get(cpu, in->reg)); \
        (void)a;                                           \
        mmx_enter(cpu);                                    \
        mmx_set(cpu, in->reg, sse_to64(expression));       \
    }                                                      \
    EXEC_RM(mmx_##name)
#define MMX(name, expression) MMX_FROM(mmx_rm, name, expression)
#define MMX2(name, function) MMX(name, simde_mm_##function(a, b))

MMX2(pand, and_si128)
MMX2(pandn, andnot_si128)
MMX2(por, or_si128)
MMX2(pxor, xor_si128)
MMX2(paddb, add_epi8)
MMX2(paddw, add_epi16)
MMX2(paddd, add_epi32)
MMX2(paddq, add_epi64)
MMX2(paddsb, adds_epi8)
MMX2(paddsw, adds_epi16)
MMX2(paddusb, adds_epu8)
MMX2(paddusw, adds_epu16)
MMX2(psubb, sub_epi8)
MMX2(psubw, sub_epi16)
MMX2(psubd, sub_epi32)
MMX2(psubq, sub_epi64)
MMX2(psubsb, subs_epi8)
MMX2(psubsw, subs_epi16)
MMX2(psubusb, subs_epu8)
MMX2(psubusw, subs_epu16)
MMX2(pavgb, avg_epu8)
MMX2(pavgw, avg_epu16)
MMX2(psadbw, sad_epu8)
MMX2(pmullw, mullo_epi16)
MMX2(pmulhw, mulhi_epi16)
MMX2(pmulhuw, mulhi_epu16)
MMX2(pmuludq, mul_epu32)
MMX2(pmaddwd, madd_epi16)
MMX2(pcmpeqb, cmpeq_epi8)
MMX2(pcmpeqw, cmpeq_epi16)
MMX2(pcmpeqd, cmpeq_epi32)
MMX2(pcmpgtb, cmpgt_epi8)
MMX2(pcmpgtw, cmpgt_epi16)
MMX2(pcmpgtd, cmpgt_epi32)
MMX2(pminub, min_epu8)
MMX2(pmaxub, max_epu8)
MMX2(pminsw, min_epi16)
MMX2(pmaxsw, max_epi16)
MMX2(pmaddubsw, maddubs_epi16)
MMX2(pmulhrsw, mulhrs_epi16)
MMX2(psignb, sign_epi8)
MMX2(psignw, sign_epi16)
MMX(psignd, sse_sign_epi32(a, b))
MMX(pabsb, simde_mm_abs_epi8(b))
MMX(pabsw, simde_mm_abs_epi16(b))
MMX(pabsd, simde_mm_abs_epi32(b))

/* interleaving: the lower ones read a doubleword of memory, the upper ones take the upper half of
 * the 128-bit result */
static inline uint64_t mmx_rm32(struct cpu *cpu, const struct insn *in, bool mem)
{
    return mem ? mmu_load(&cpu->mmu, linear_read(cpu, in, 4), 4) : mmx_get(cpu, in->rm);
}
static inline simde__m128i mmx_upper(simde__m128i v)
{
    return simde_mm_unpackhi_epi64(v, v);
}
MMX_FROM(mmx_rm32, punpcklbw, simde_mm_unpacklo_epi8(a, b))
MMX_FROM(mmx_rm32, punpcklwd, simde_mm_unpacklo_epi16(a, b))
MMX_FROM(mmx_rm32, punpckldq, simde_mm_unpacklo_epi32(a, b))
MMX(punpckhbw, mmx_upper(simde_mm_unpacklo_epi8(a, b)))
MMX(punpckhwd, mmx_upper(simde_mm_unpacklo_epi16(a, b)))
MMX(punpckhdq, mmx_upper(simde_mm_unpacklo_epi32(a, b)))

/* both operands in one register: a below, b above */
#define MMX_JOINED(name, function) \
    MMX(name, simde_mm_##function(simde_mm_unpacklo_epi64(a, b), simde_mm_setzero_si128()))
MMX_JOINED(packsswb, packs_epi16)
MMX_JOINED(packuswb, packus_epi16)
MMX_JOINED(packssdw, packs_epi32)
MMX_JOINED(phaddw, hadd_epi16)
MMX_JOINED(phaddd, hadd_epi32)
MMX_JOINED(phaddsw, hadds_epi16)
MMX_JOINED(phsubw, hsub_epi16)
MMX_JOINED(phsubd, hsub_epi32)
MMX_JOINED(phsubsw, hsubs_epi16)

/* indices of PSHUFB count modulo 8 */
MMX(pshufb,
    simde_mm_shuffle_epi8(a, simde_mm_and_si128(b, sse_low64(UINT64_C(0x8787878787878787)))))

/* ---- shifts ---- */

#define MMX_SHIFT(name, function)                                                              \
    EXEC_BODY_RM(mmx_##name)                                                                   \
    {                                                                                          \
        mmx_check(cpu);                                                                        \
        uint64_t n = mmx_rm(cpu, in, mem);                                                     \
        simde__m128i a = sse_low64(mmx_get(cpu, in->reg));                                     \
        mmx_enter(cpu);                                                                        \
        mmx_set(cpu, in->reg, sse_to64(simde_mm_##function(a, sse_low64(n > 255 ? 255 : n)))); \
    }                                                                                          \
    EXEC_RM(mmx_##name)                                                                        \
    EXEC_BODY(mmx_##name##_imm)                                                                \
    {                                                                                          \
        mmx_check(cpu);                                                                        \
        simde__m128i a = sse_low64(mmx_get(cpu, in->rm));                                      \
        mmx_enter(cpu);                                                                        \
        mmx_set(cpu, in->rm, sse_to64(simde_mm_##function(a, sse_low64(in->imm & 255))));      \
    }                                                                                          \
    EXEC(mmx_##name##_imm)
MMX_SHIFT(psrlw, srl_epi16)
MMX_SHIFT(psrld, srl_epi32)
MMX_SHIFT(psrlq, srl_epi64)
MMX_SHIFT(psraw, sra_epi16)
MMX_SHIFT(psrad, sra_epi32)
MMX_SHIFT(psllw, sll_epi16)
MMX_SHIFT(pslld, sll_epi32)
MMX_SHIFT(psllq, sll_epi64)

/* ---- shuffles, insertion, extraction ---- */

EXEC_BODY_RM(mmx_pshufw)
{
    mmx_check(cpu);
    uint64_t b = mmx_rm(cpu, in, mem), r = 0;

    for (unsigned i = 0; i < 4; i++)
        r |= (b >> 16 * (in->imm >> 2 * i & 3) & 0xffff) << 16 * i;
    mmx_enter(cpu);
    mmx_set(cpu, in->reg, r);
}
EXEC_RM(mmx_pshufw)

EXEC_BODY_RM(mmx_palignr)
{
    uint8_t wide[24] = { 0 };
    uint64_t a = mmx_get(cpu, in->reg), b;

    mmx_check(cpu);
    b = mmx_rm(cpu, in, mem);
    memcpy(wide, &b, 8);
    memcpy(wide + 8, &a, 8);
    memcpy(&a, wide + (in->imm > 16 ? 16 : in->imm), 8);
    mmx_enter(cpu);
    mmx_set(cpu, in->reg, a);
}
EXEC_RM(mmx_palignr)

EXEC_BODY_RM(mmx_pinsrw)
{
    unsigned at = 16 * (in->imm & 3);

    mmx_check(cpu);
    uint64_t v = mem ? mmu_load(&cpu->mmu, linear_read(cpu, in, 2), 2) : cpu->r[in->rm] & 0xffff;
    uint64_t a = mmx_get(cpu, in->reg);
    mmx_enter(cpu);
    mmx_set(cpu, in->reg, (a & ~(UINT64_C(0xffff) << at)) | v << at);
}
EXEC_RM(mmx_pinsrw)

EXEC_BODY(mmx_pextrw)
{
    mmx_check(cpu);
    mmx_enter(cpu);
    cpu->r[in->reg] = mmx_get(cpu, in->rm) >> 16 * (in->imm & 3) & 0xffff;
}
EXEC(mmx_pextrw)

EXEC_BODY(mmx_pmovmskb)
{
    mmx_check(cpu);
    mmx_enter(cpu);
    cpu->r[in->reg] = (uint32_t)simde_mm_movemask_epi8(sse_low64(mmx_get(cpu, in->rm)));
}
EXEC(mmx_pmovmskb)

/* ---- moves ---- */

EXEC_BODY_RM(mmx_movd) /* from a general register or memory; in->size 3 is a quadword */
{
    mmx_check(cpu);
    uint64_t v = in->size == 3 ? rm_read(cpu, in, 8, mem) : rm_read(cpu, in, 4, mem);
    mmx_enter(cpu);
    mmx_set(cpu, in->reg, v);
}
EXEC_RM(mmx_movd)

EXEC_BODY_RM(mmx_movd_store)
{
    mmx_check(cpu);
    if (in->size == 3)
        rm_write(cpu, in, mmx_get(cpu, in->reg), 8, mem);
    else
        rm_write(cpu, in, mmx_get(cpu, in->reg), 4, mem);
    mmx_enter(cpu);
}
EXEC_RM(mmx_movd_store)

EXEC_BODY_RM(mmx_movq)
{
    mmx_check(cpu);
    uint64_t v = mmx_rm(cpu, in, mem);
    mmx_enter(cpu);
    mmx_set(cpu, in->reg, v);
}
EXEC_RM(mmx_movq)

EXEC_BODY_RM(mmx_movq_store) /* MOVNTQ too */
{
    uint64_t v = mmx_get(cpu, in->reg);

    mmx_check(cpu);
    if (mem)
        mmu_store(&cpu->mmu, linear_write(cpu, in, 8), v, 8);
    mmx_enter(cpu);
    if (!mem)
        mmx_set(cpu, in->rm, v);
}
EXEC_RM(mmx_movq_store)

EXEC_BODY(emms)
{
    mmx_check(cpu);
    mmx_enter(cpu);
    cpu->fpu.tag = 0;
}
EXEC(emms)
