/* SSE integer arithmetic, logic, comparison, packing and unpacking, and the logic of single and
 * double precision, which is the same on bits. One line an instruction: SIMDe has the semantics.
 * [SDM 1 "SSE2 128-Bit SIMD Integer Instructions"] */
#include "cpu/sse.h"

/* dst = expression of a (destination) and b (r/m) */
#define SSE_INT(name, expression)                                         \
    EXEC_BODY_RM(name)                                                    \
    {                                                                     \
        sse_check(cpu);                                                   \
        simde__m128i b = sse_rm(cpu, in, mem), a = xmm_get(cpu, in->reg); \
        xmm_set(cpu, in->reg, expression);                                \
    }                                                                     \
    EXEC_RM(name)
#define SSE_INT2(name, function) SSE_INT(name, simde_mm_##function(a, b))
/* one operand */
#define SSE_INT1(name, function)                                          \
    EXEC_BODY_RM(name)                                                    \
    {                                                                     \
        sse_check(cpu);                                                   \
        xmm_set(cpu, in->reg, simde_mm_##function(sse_rm(cpu, in, mem))); \
    }                                                                     \
    EXEC_RM(name)

/* ---- logic: PAND is ANDPS and ANDPD too ---- */
SSE_INT2(pand, and_si128)
SSE_INT2(pandn, andnot_si128)
SSE_INT2(por, or_si128)
SSE_INT2(pxor, xor_si128)

/* ---- addition and subtraction ---- */
SSE_INT2(paddb, add_epi8)
SSE_INT2(paddw, add_epi16)
SSE_INT2(paddd, add_epi32)
SSE_INT2(paddq, add_epi64)
SSE_INT2(paddsb, adds_epi8)
SSE_INT2(paddsw, adds_epi16)
SSE_INT2(paddusb, adds_epu8)
SSE_INT2(paddusw, adds_epu16)
SSE_INT2(psubb, sub_epi8)
SSE_INT2(psubw, sub_epi16)
SSE_INT2(psubd, sub_epi32)
SSE_INT2(psubq, sub_epi64)
SSE_INT2(psubsb, subs_epi8)
SSE_INT2(psubsw, subs_epi16)
SSE_INT2(psubusb, subs_epu8)
SSE_INT2(psubusw, subs_epu16)
SSE_INT2(pavgb, avg_epu8)
SSE_INT2(pavgw, avg_epu16)
SSE_INT2(psadbw, sad_epu8)

/* ---- multiplication ---- */
SSE_INT2(pmullw, mullo_epi16)
SSE_INT2(pmulhw, mulhi_epi16)
SSE_INT2(pmulhuw, mulhi_epu16)
SSE_INT2(pmuludq, mul_epu32)
SSE_INT2(pmaddwd, madd_epi16)

/* ---- comparison, minimum and maximum ---- */
SSE_INT2(pcmpeqb, cmpeq_epi8)
SSE_INT2(pcmpeqw, cmpeq_epi16)
SSE_INT2(pcmpeqd, cmpeq_epi32)
SSE_INT2(pcmpgtb, cmpgt_epi8)
SSE_INT2(pcmpgtw, cmpgt_epi16)
SSE_INT2(pcmpgtd, cmpgt_epi32)
SSE_INT2(pminub, min_epu8)
SSE_INT2(pmaxub, max_epu8)
SSE_INT2(pminsw, min_epi16)
SSE_INT2(pmaxsw, max_epi16)

/* ---- packing and unpacking; UNPCKLPS is PUNPCKLDQ, UNPCKLPD is PUNPCKLQDQ ---- */
SSE_INT2(packsswb, packs_epi16)
SSE_INT2(packuswb, packus_epi16)
SSE_INT2(packssdw, packs_epi32)
SSE_INT2(punpcklbw, unpacklo_epi8)
SSE_INT2(punpcklwd, unpacklo_epi16)
SSE_INT2(punpckldq, unpacklo_epi32)
SSE_INT2(punpcklqdq, unpacklo_epi64)
SSE_INT2(punpckhbw, unpackhi_epi8)
SSE_INT2(punpckhwd, unpackhi_epi16)
SSE_INT2(punpckhdq, unpackhi_epi32)
SSE_INT2(punpckhqdq, unpackhi_epi64)

/* ---- SSSE3 ---- */
SSE_INT2(pshufb, shuffle_epi8)
SSE_INT2(phaddw, hadd_epi16)
SSE_INT2(phaddd, hadd_epi32)
SSE_INT2(phaddsw, hadds_epi16)
SSE_INT2(phsubw, hsub_epi16)
SSE_INT2(phsubd, hsub_epi32)
SSE_INT2(phsubsw, hsubs_epi16)
SSE_INT2(pmaddubsw, maddubs_epi16)
SSE_INT2(pmulhrsw, mulhrs_epi16)
SSE_INT2(psignb, sign_epi8)
SSE_INT2(psignw, sign_epi16)
SSE_INT(psignd, sse_sign_epi32(a, b))
SSE_INT1(pabsb, abs_epi8)
SSE_INT1(pabsw, abs_epi16)
SSE_INT1(pabsd, abs_epi32)

/* ---- SSE4.1 and SSE4.2 ---- */
SSE_INT2(pmuldq, mul_epi32)
SSE_INT2(pmulld, mullo_epi32)
SSE_INT2(packusdw, packus_epi32)
SSE_INT2(pcmpeqq, cmpeq_epi64)
SSE_INT2(pcmpgtq, cmpgt_epi64)
SSE_INT2(pminsb, min_epi8)
SSE_INT2(pmaxsb, max_epi8)
SSE_INT2(pminuw, min_epu16)
SSE_INT2(pmaxuw, max_epu16)
SSE_INT2(pminsd, min_epi32)
SSE_INT2(pmaxsd, max_epi32)
SSE_INT2(pminud, min_epu32)
SSE_INT2(pmaxud, max_epu32)
SSE_INT1(phminposuw, minpos_epu16)

EXEC_BODY_RM(ptest) /* ZF: no common bit, CF: b has no bit outside a; the others 0 */
{
    sse_check(cpu);
    union xmm b = xmm_from(sse_rm(cpu, in, mem)), a = cpu->fpu.xmm[in->reg];
    bool zf = !((a.u64[0] & b.u64[0]) | (a.u64[1] & b.u64[1]));
    bool cf = !((~a.u64[0] & b.u64[0]) | (~a.u64[1] & b.u64[1]));

    flags_set(&cpu->flags, (zf ? FL_Z : 0) | (cf ? FL_C : 0));
}
EXEC_RM(ptest)

/* imm 1:0: four bytes of the source; imm 2: where the window in the destination begins */
EXEC_BODY_RM(mpsadbw)
{
    sse_check(cpu);
    union xmm b = xmm_from(sse_rm(cpu, in, mem)), a = cpu->fpu.xmm[in->reg], r;
    unsigned from = in->imm & 4, with = (unsigned)(in->imm & 3) * 4;

    for (unsigned i = 0; i < 8; i++) {
        unsigned sum = 0;

        for (unsigned k = 0; k < 4; k++) {
            int d = a.u8[from + i + k] - b.u8[with + k];

            sum += (unsigned)(d < 0 ? -d : d);
        }
        r.u16[i] = (uint16_t)sum;
    }
    xmm_set(cpu, in->reg, xmm_to(r));
}
EXEC_RM(mpsadbw)

/* ---- shifts: the count is a whole quadword, or an immediate ---- */

/* no count beyond 255 differs from 255 */
static inline simde__m128i sse_count(uint64_t n)
{
    return sse_low64(n > 255 ? 255 : n);
}

#define SSE_SHIFT(name, function)                                             \
    EXEC_BODY_RM(name)                                                        \
    {                                                                         \
        sse_check(cpu);                                                       \
        simde__m128i n = sse_count(sse_to64(sse_rm(cpu, in, mem)));           \
        xmm_set(cpu, in->reg, simde_mm_##function(xmm_get(cpu, in->reg), n)); \
    }                                                                         \
    EXEC_RM(name)                                                             \
    EXEC_BODY(name##_imm)                                                     \
    {                                                                         \
        sse_check(cpu);                                                       \
        simde__m128i n = sse_count(in->imm & 255);                            \
        xmm_set(cpu, in->rm, simde_mm_##function(xmm_get(cpu, in->rm), n));   \
    }                                                                         \
    EXEC(name##_imm)
SSE_SHIFT(psrlw, srl_epi16)
SSE_SHIFT(psrld, srl_epi32)
SSE_SHIFT(psrlq, srl_epi64)
SSE_SHIFT(psraw, sra_epi16)
SSE_SHIFT(psrad, sra_epi32)
SSE_SHIFT(psllw, sll_epi16)
SSE_SHIFT(pslld, sll_epi32)
SSE_SHIFT(psllq, sll_epi64)

/* bytes from..from+15 of 48: zeros, the register, zeros */
static inline void sse_shift_bytes(struct cpu *cpu, const struct insn *in, unsigned from)
{
    uint8_t wide[48] = { 0 };

    sse_check(cpu);
    memcpy(wide + 16, cpu->fpu.xmm[in->rm].u8, 16);
    memcpy(cpu->fpu.xmm[in->rm].u8, wide + from, 16);
}
EXEC_BODY(psrldq_imm)
{
    sse_shift_bytes(cpu, in, 16 + (in->imm > 16 ? 16 : (unsigned)in->imm));
}
EXEC(psrldq_imm)
EXEC_BODY(pslldq_imm)
{
    sse_shift_bytes(cpu, in, 16 - (in->imm > 16 ? 16 : (unsigned)in->imm));
}
EXEC(pslldq_imm)
