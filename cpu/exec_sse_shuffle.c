/* SSE shuffles, blends, insertion, extraction and widening moves: elements go from here to there,
 * nothing is computed. [SDM 1 "SSE Shuffle and Unpack Instructions", "SSE4.1 Instruction Set"] */
#include "cpu/sse.h"

/* r/m, destination and result as arrays; the result becomes the destination */
#define SSE_SHUFFLE(name, load, work)                         \
    EXEC_BODY_RM(name)                                        \
    {                                                         \
        sse_check(cpu);                                       \
        union xmm b = xmm_from(load(cpu, in, mem));           \
        union xmm a = xmm_from(xmm_get(cpu, in->reg)), r = a; \
        const unsigned imm = (unsigned)in->imm;               \
        (void)imm;                                            \
        (void)a;                                              \
        work;                                                 \
        xmm_set(cpu, in->reg, xmm_to(r));                     \
    }                                                         \
    EXEC_RM(name)
#define FOR(n) for (unsigned i = 0; i < (n); i++)

/* ---- shuffles by an immediate ---- */
#define PICK(x, at) (int32_t)(x).u32[imm >> (at)&3]
SSE_SHUFFLE(pshufd, sse_rm,
            r = xmm_from(simde_mm_set_epi32(PICK(b, 6), PICK(b, 4), PICK(b, 2), PICK(b, 0))))
SSE_SHUFFLE(shufps, sse_rm,
            r = xmm_from(simde_mm_set_epi32(PICK(b, 6), PICK(b, 4), PICK(a, 2), PICK(a, 0))))
SSE_SHUFFLE(pshuflw, sse_rm, r = b; FOR(4) r.u16[i] = b.u16[imm >> 2 * i & 3])
SSE_SHUFFLE(pshufhw, sse_rm, r = b; FOR(4) r.u16[4 + i] = b.u16[4 + (imm >> 2 * i & 3)])
SSE_SHUFFLE(shufpd, sse_rm, FOR(2) r.u64[i] = (i < 1 ? a : b).u64[imm >> i & 1])

EXEC_BODY_RM(palignr) /* destination above source, shifted right by bytes */
{
    uint8_t wide[48] = { 0 };

    sse_check(cpu);
    simde__m128i b = sse_rm(cpu, in, mem);
    memcpy(wide, &b, 16);
    memcpy(wide + 16, cpu->fpu.xmm[in->reg].u8, 16);
    memcpy(cpu->fpu.xmm[in->reg].u8, wide + (in->imm > 32 ? 32 : in->imm), 16);
}
EXEC_RM(palignr)

/* ---- blends: by an immediate, or by the top bits of XMM0 ---- */
SSE_SHUFFLE(blendps, sse_rm, FOR(4) r.u32[i] = (imm >> i & 1 ? b : a).u32[i])
SSE_SHUFFLE(blendpd, sse_rm, FOR(2) r.u64[i] = (imm >> i & 1 ? b : a).u64[i])
SSE_SHUFFLE(pblendw, sse_rm, FOR(8) r.u16[i] = (imm >> i & 1 ? b : a).u16[i])
SSE_SHUFFLE(pblendvb, sse_rm, FOR(16) r.u8[i] = (cpu->fpu.xmm[0].u8[i] >> 7 ? b : a).u8[i])
SSE_SHUFFLE(blendvps, sse_rm, FOR(4) r.u32[i] = (cpu->fpu.xmm[0].u32[i] >> 31 ? b : a).u32[i])
SSE_SHUFFLE(blendvpd, sse_rm, FOR(2) r.u64[i] = (cpu->fpu.xmm[0].u64[i] >> 63 ? b : a).u64[i])

/* ---- widening moves ---- */

static inline simde__m128i sse_rm16(struct cpu *cpu, const struct insn *in, bool mem)
{
    return sse_low32(mem ? (uint32_t)mmu_load(&cpu->mmu, linear_read(cpu, in, 2), 2)
                         : cpu->fpu.xmm[in->rm].u16[0]);
}

SSE_SHUFFLE(pmovsxbw, sse_rm64, FOR(8) r.u16[i] = (uint16_t)(int8_t)b.u8[i])
SSE_SHUFFLE(pmovsxbd, sse_rm32, FOR(4) r.u32[i] = (uint32_t)(int8_t)b.u8[i])
SSE_SHUFFLE(pmovsxbq, sse_rm16, FOR(2) r.u64[i] = (uint64_t)(int8_t)b.u8[i])
SSE_SHUFFLE(pmovsxwd, sse_rm64, FOR(4) r.u32[i] = (uint32_t)(int16_t)b.u16[i])
SSE_SHUFFLE(pmovsxwq, sse_rm32, FOR(2) r.u64[i] = (uint64_t)(int16_t)b.u16[i])
SSE_SHUFFLE(pmovsxdq, sse_rm64, FOR(2) r.u64[i] = (uint64_t)(int32_t)b.u32[i])
SSE_SHUFFLE(pmovzxbw, sse_rm64, FOR(8) r.u16[i] = b.u8[i])
SSE_SHUFFLE(pmovzxbd, sse_rm32, FOR(4) r.u32[i] = b.u8[i])
SSE_SHUFFLE(pmovzxbq, sse_rm16, FOR(2) r.u64[i] = b.u8[i])
SSE_SHUFFLE(pmovzxwd, sse_rm64, FOR(4) r.u32[i] = b.u16[i])
SSE_SHUFFLE(pmovzxwq, sse_rm32, FOR(2) r.u64[i] = b.u16[i])
SSE_SHUFFLE(pmovzxdq, sse_rm64, FOR(2) r.u64[i] = b.u32[i])

/* ---- insertion: from a general register's low part, or from memory ---- */

#define SSE_INSERT(name, type, field, last)                                            \
    EXEC_BODY_RM(name)                                                                 \
    {                                                                                  \
        sse_check(cpu);                                                                \
        uint64_t v = cpu->r[in->rm];                                                   \
        if (mem)                                                                       \
            v = mmu_load(&cpu->mmu, linear_read(cpu, in, sizeof(type)), sizeof(type)); \
        cpu->fpu.xmm[in->reg].field[in->imm & last] = (type)v;                         \
    }                                                                                  \
    EXEC_RM(name)
SSE_INSERT(pinsrb, uint8_t, u8, 15)
SSE_INSERT(pinsrw, uint16_t, u16, 7)

EXEC_BODY_RM(pinsrd) /* PINSRQ: in->size 3 */
{
    sse_check(cpu);
    if (in->size == 3)
        cpu->fpu.xmm[in->reg].u64[in->imm & 1] = rm_read(cpu, in, 8, mem);
    else
        cpu->fpu.xmm[in->reg].u32[in->imm & 3] = (uint32_t)rm_read(cpu, in, 4, mem);
}
EXEC_RM(pinsrd)

EXEC_BODY_RM(insertps) /* imm 7:6 from (registers only), 5:4 to, 3:0 to clear */
{
    sse_check(cpu);
    union xmm r = cpu->fpu.xmm[in->reg];

    r.u32[in->imm >> 4 & 3] = mem ? (uint32_t)mmu_load(&cpu->mmu, linear_read(cpu, in, 4), 4)
                                  : cpu->fpu.xmm[in->rm].u32[in->imm >> 6 & 3];
    FOR(4)
    {
        if (in->imm >> i & 1)
            r.u32[i] = 0;
    }
    xmm_set(cpu, in->reg, xmm_to(r));
}
EXEC_RM(insertps)

/* ---- extraction: to memory at its size, to a register zero-extended ---- */

#define SSE_EXTRACT(name, size, value)                                  \
    EXEC_BODY_RM(name)                                                  \
    {                                                                   \
        sse_check(cpu);                                                 \
        const union xmm *x = &cpu->fpu.xmm[in->reg];                    \
        uint64_t v = value;                                             \
        if (mem)                                                        \
            mmu_store(&cpu->mmu, linear_write(cpu, in, size), v, size); \
        else                                                            \
            cpu->r[in->rm] = v;                                         \
    }                                                                   \
    EXEC_RM(name)
SSE_EXTRACT(pextrb, 1, x->u8[in->imm & 15])
SSE_EXTRACT(pextrw_sse41, 2, x->u16[in->imm & 7])
SSE_EXTRACT(extractps, 4, x->u32[in->imm & 3])

EXEC_BODY_RM(pextrd) /* PEXTRQ: in->size 3 */
{
    sse_check(cpu);
    if (in->size == 3)
        rm_write(cpu, in, cpu->fpu.xmm[in->reg].u64[in->imm & 1], 8, mem);
    else
        rm_write(cpu, in, cpu->fpu.xmm[in->reg].u32[in->imm & 3], 4, mem);
}
EXEC_RM(pextrd)

EXEC_BODY(pextrw) /* 0F C5: register to register */
{
    sse_check(cpu);
    cpu->r[in->reg] = cpu->fpu.xmm[in->rm].u16[in->imm & 7];
}
EXEC(pextrw)
