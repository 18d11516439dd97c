/* SSE data movement: whole registers, halves, elements, non-temporal and masked stores, LDMXCSR and
 * STMXCSR. [SDM 1 "SSE Data Transfer Instructions", "SSE2 Data Movement Instructions"] */
#include "cpu/sse.h"

simde__m128i sse_load_slow(struct mmu *m, uint64_t linear)
{
    simde__m128i v;

    mmu_load_bytes_slow(m, linear, &v, 16);
    return v;
}

void sse_store_slow(struct mmu *m, uint64_t linear, simde__m128i v)
{
    mmu_store_bytes_slow(m, linear, &v, 16);
}

/* ---- 128 bits ---- */

EXEC_BODY_RM(movaps)
{
    sse_check(cpu);
    xmm_set(cpu, in->reg, sse_rm(cpu, in, mem));
}
EXEC_RM(movaps)

EXEC_BODY_RM(movups)
{
    sse_check(cpu);
    xmm_set(cpu, in->reg, sse_rmu(cpu, in, mem));
}
EXEC_RM(movups)

EXEC_BODY_RM(movaps_store)
{
    sse_check(cpu);
    simde__m128i v = xmm_get(cpu, in->reg);

    if (mem) {
        uint64_t linear = linear_write(cpu, in, 16);

        sse_check_aligned(cpu, linear);
        sse_store(cpu, linear, v);
    } else {
        xmm_set(cpu, in->rm, v);
    }
}
EXEC_RM(movaps_store)

EXEC_BODY_RM(movups_store)
{
    sse_check(cpu);
    simde__m128i v = xmm_get(cpu, in->reg);

    if (mem)
        sse_store(cpu, linear_write(cpu, in, 16), v);
    else
        xmm_set(cpu, in->rm, v);
}
EXEC_RM(movups_store)

/* ---- elements: a load clears what is above, a register move keeps it ---- */

EXEC_BODY_RM(movss)
{
    sse_check(cpu);
    if (mem)
        xmm_set(cpu, in->reg, sse_rm32(cpu, in, true));
    else
        cpu->fpu.xmm[in->reg].u32[0] = cpu->fpu.xmm[in->rm].u32[0];
}
EXEC_RM(movss)

EXEC_BODY_RM(movsd_sse)
{
    sse_check(cpu);
    if (mem)
        xmm_set(cpu, in->reg, sse_rm64(cpu, in, true));
    else
        cpu->fpu.xmm[in->reg].u64[0] = cpu->fpu.xmm[in->rm].u64[0];
}
EXEC_RM(movsd_sse)

EXEC_BODY_RM(movss_store)
{
    uint32_t v = cpu->fpu.xmm[in->reg].u32[0];

    sse_check(cpu);
    if (mem)
        mmu_store(&cpu->mmu, linear_write(cpu, in, 4), v, 4);
    else
        cpu->fpu.xmm[in->rm].u32[0] = v;
}
EXEC_RM(movss_store)

EXEC_BODY_RM(movsd_store)
{
    uint64_t v = cpu->fpu.xmm[in->reg].u64[0];

    sse_check(cpu);
    if (mem)
        mmu_store(&cpu->mmu, linear_write(cpu, in, 8), v, 8);
    else
        cpu->fpu.xmm[in->rm].u64[0] = v;
}
EXEC_RM(movsd_store)

EXEC_BODY_RM(movq) /* F3 0F 7E: the upper half becomes 0 in both forms */
{
    sse_check(cpu);
    xmm_set(cpu, in->reg, sse_rm64(cpu, in, mem));
}
EXEC_RM(movq)

EXEC_BODY_RM(movq_store) /* 66 0F D6 */
{
    uint64_t v = cpu->fpu.xmm[in->reg].u64[0];

    sse_check(cpu);
    if (mem)
        mmu_store(&cpu->mmu, linear_write(cpu, in, 8), v, 8);
    else
        xmm_set(cpu, in->rm, sse_low64(v));
}
EXEC_RM(movq_store)

/* MOVD, MOVQ with general registers; in->size 3 is a quadword */
EXEC_BODY_RM(movd)
{
    sse_check(cpu);
    xmm_set(cpu, in->reg,
            sse_low64(in->size == 3 ? rm_read(cpu, in, 8, mem) : rm_read(cpu, in, 4, mem)));
}
EXEC_RM(movd)

EXEC_BODY_RM(movd_store)
{
    uint64_t v = cpu->fpu.xmm[in->reg].u64[0];

    sse_check(cpu);
    if (in->size == 3)
        rm_write(cpu, in, v, 8, mem);
    else
        rm_write(cpu, in, v, 4, mem);
}
EXEC_RM(movd_store)

/* ---- halves: MOVLPS/MOVLPD, MOVHPS/MOVHPD; register forms MOVHLPS and MOVLHPS ---- */

EXEC_BODY_RM(movlps)
{
    sse_check(cpu);
    cpu->fpu.xmm[in->reg].u64[0] = mem ? mmu_load(&cpu->mmu, linear_read(cpu, in, 8), 8)
                                       : cpu->fpu.xmm[in->rm].u64[1];
}
EXEC_RM(movlps)

EXEC_BODY_RM(movhps)
{
    sse_check(cpu);
    cpu->fpu.xmm[in->reg].u64[1] = mem ? mmu_load(&cpu->mmu, linear_read(cpu, in, 8), 8)
                                       : cpu->fpu.xmm[in->rm].u64[0];
}
EXEC_RM(movhps)

EXEC_BODY(movhps_store)
{
    sse_check(cpu);
    mmu_store(&cpu->mmu, linear_write(cpu, in, 8), cpu->fpu.xmm[in->reg].u64[1], 8);
}
EXEC(movhps_store)

/* ---- SSE3 duplications ---- */

EXEC_BODY_RM(movsldup)
{
    sse_check(cpu);
    xmm_set(cpu, in->reg, simde_mm_shuffle_epi32(sse_rm(cpu, in, mem), 0xa0));
}
EXEC_RM(movsldup)

EXEC_BODY_RM(movshdup)
{
    sse_check(cpu);
    xmm_set(cpu, in->reg, simde_mm_shuffle_epi32(sse_rm(cpu, in, mem), 0xf5));
}
EXEC_RM(movshdup)

EXEC_BODY_RM(movddup)
{
    sse_check(cpu);
    simde__m128i b = sse_rm64(cpu, in, mem);
    xmm_set(cpu, in->reg, simde_mm_unpacklo_epi64(b, b));
}
EXEC_RM(movddup)

/* ---- between XMM and MMX ---- */

EXEC_BODY(movq2dq)
{
    sse_check(cpu);
    mmx_check(cpu);
    mmx_enter(cpu);
    xmm_set(cpu, in->reg, sse_low64(mmx_get(cpu, in->rm)));
}
EXEC(movq2dq)

EXEC_BODY(movdq2q)
{
    sse_check(cpu);
    mmx_check(cpu);
    mmx_enter(cpu);
    mmx_set(cpu, in->reg, cpu->fpu.xmm[in->rm].u64[0]);
}
EXEC(movdq2q)

/* ---- stores of a mask, masked stores, MOVNTI ---- */

EXEC_BODY(movmskps)
{
    sse_check(cpu);
    cpu->r[in->reg] = (uint32_t)simde_mm_movemask_ps(simde_mm_castsi128_ps(xmm_get(cpu, in->rm)));
}
EXEC(movmskps)

EXEC_BODY(movmskpd)
{
    sse_check(cpu);
    cpu->r[in->reg] = (uint32_t)simde_mm_movemask_pd(simde_mm_castsi128_pd(xmm_get(cpu, in->rm)));
}
EXEC(movmskpd)

EXEC_BODY(pmovmskb)
{
    sse_check(cpu);
    cpu->r[in->reg] = (uint32_t)simde_mm_movemask_epi8(xmm_get(cpu, in->rm)) & 0xffff;
}
EXEC(pmovmskb)

/* Bytes whose mask has its top bit set go to DS:rDI. The selected bytes are stored in runs; all of
 * them are checked before the first is written. With no byte selected nothing is accessed. */
static void sse_store_masked(struct cpu *cpu, const struct insn *in, const uint8_t *bytes,
                             const uint8_t *mask, unsigned count)
{
    uint64_t at = cpu->r[RDI] & in->addr_mask;
    unsigned i, n;

    for (int store = 0; store < 2; store++) {
        for (i = 0; i < count; i += n) {
            for (n = 0; i + n < count && mask[i + n] >> 7; n++)
                ;
            if (n == 0) {
                n = 1;
                continue;
            }
            uint64_t linear = seg_linear(cpu, in, (at + i) & in->addr_mask, n, true);

            if (store)
                mmu_store_bytes(&cpu->mmu, linear, bytes + i, n);
            else
                mmu_probe(&cpu->mmu, linear, n, MMU_WRITE);
        }
    }
}

EXEC_BODY(maskmovdqu)
{
    sse_check(cpu);
    sse_store_masked(cpu, in, cpu->fpu.xmm[in->reg].u8, cpu->fpu.xmm[in->rm].u8, 16);
}
EXEC(maskmovdqu)

EXEC_BODY(maskmovq)
{
    uint64_t v = mmx_get(cpu, in->reg), mask = mmx_get(cpu, in->rm);
    uint8_t bytes[8], masks[8];

    mmx_check(cpu);
    memcpy(bytes, &v, 8);
    memcpy(masks, &mask, 8);
    sse_store_masked(cpu, in, bytes, masks, 8);
    mmx_enter(cpu);
}
EXEC(maskmovq)

EXEC_BODY(movnti) /* general registers: neither CR0.TS nor CR4.OSFXSR matter */
{
    if (in->size == 3)
        mmu_store(&cpu->mmu, linear_write(cpu, in, 8), cpu->r[in->reg], 8);
    else
        mmu_store(&cpu->mmu, linear_write(cpu, in, 4), cpu->r[in->reg], 4);
}
EXEC(movnti)

/* ---- MXCSR ---- */

EXEC_BODY(ldmxcsr)
{
    sse_check(cpu);
    uint32_t v = (uint32_t)mmu_load(&cpu->mmu, linear_read(cpu, in, 4), 4);

    if (v & ~(uint32_t)MXCSR_MASK)
        raise_gp(cpu, 0);
    fpu_set_mxcsr(cpu, v);
    cpu->rip = insn_next_rip(cpu, in);
}
EXEC_END(ldmxcsr)

EXEC_BODY(stmxcsr)
{
    sse_check(cpu);
    mmu_store(&cpu->mmu, linear_write(cpu, in, 4), fpu_mxcsr(cpu), 4);
}
EXEC(stmxcsr)
