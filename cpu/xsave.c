/* FXSAVE, FXRSTOR, and the XSAVE feature set for x87 and SSE state: XSAVE, XSAVEOPT, XSAVEC, XSAVES,
 * XRSTOR, XRSTORS. The init optimization is done, the modified optimization is not.
 * [SDM 1 "Saving and Restoring x87 FPU State", "Managing State Using the XSAVE Feature Set"],
 * [SDM 2A "FXSAVE"] */
#include "cpu/xsave.h"

#include "cpu/exec.h"
#include "cpu/fpu_native.h"
#include "cpu/virt.h"
#include "cpu/x87.h"

/* ---- the legacy region ---- */

enum { /* byte offsets */
       FX_FCW = 0,
       FX_FSW = 2,
       FX_FTW = 4,
       FX_FOP = 6,
       FX_IP = 8,
       FX_DP = 16,
       FX_MXCSR = 24,
       FX_MXCSR_MASK = 28,
       FX_ST = 32,
       FX_XMM = 160,
       FX_XMM_END = 416,
       FX_BYTES = 512
};

static unsigned fx_xmm_bytes(const struct cpu *cpu)
{
    return cpu_64bit(cpu) ? 256 : 128;
}

/* bytes 23:0 and 159:32 */
static void fx_save_x87(const struct cpu *cpu, const struct insn *in, uint8_t *image)
{
    const struct fpu *f = &cpu->fpu;

    memset(image, 0, FX_MXCSR);
    memset(image + FX_ST, 0, FX_XMM - FX_ST);
    memcpy(image + FX_FCW, &f->control, 2);
    memcpy(image + FX_FSW, &f->status, 2);
    image[FX_FTW] = f->tag;
    memcpy(image + FX_FOP, &f->opcode, 2);
    if (in->flags & IN_REXW) {
        memcpy(image + FX_IP, &f->ip, 8);
        memcpy(image + FX_DP, &f->dp, 8);
    } else {
        memcpy(image + FX_IP, &f->ip, 4);
        memcpy(image + FX_IP + 4, &f->cs, 2);
        memcpy(image + FX_DP, &f->dp, 4);
        memcpy(image + FX_DP + 4, &f->ds, 2);
    }
    for (unsigned i = 0; i < 8; i++) {
        struct float80 v = x87_get(cpu, i);

        memcpy(image + FX_ST + 16 * i, &v.significand, 8);
        memcpy(image + FX_ST + 16 * i + 8, &v.sign_exponent, 2);
    }
}

static void fx_load_x87(struct cpu *cpu, const struct insn *in, const uint8_t *image)
{
    struct fpu *f = &cpu->fpu;
    uint16_t control;

    memcpy(&control, image + FX_FCW, 2);
    f->control = (uint16_t)((control & 0x1f3f) | 0x40);
    memcpy(&f->status, image + FX_FSW, 2);
    f->tag = image[FX_FTW];
    memcpy(&f->opcode, image + FX_FOP, 2);
    f->opcode &= 0x7ff;
    f->ip = f->dp = 0;
    f->cs = f->ds = 0;
    if (in->flags & IN_REXW) {
        memcpy(&f->ip, image + FX_IP, 8);
        memcpy(&f->dp, image + FX_DP, 8);
    } else {
        memcpy(&f->ip, image + FX_IP, 4);
        memcpy(&f->cs, image + FX_IP + 4, 2);
        memcpy(&f->dp, image + FX_DP, 4);
        memcpy(&f->ds, image + FX_DP + 4, 2);
    }
    for (unsigned i = 0; i < 8; i++) {
        struct float80 *v = &f->st[(x87_top(cpu) + i) & 7];

        memcpy(&v->significand, image + FX_ST + 16 * i, 8);
        memcpy(&v->sign_exponent, image + FX_ST + 16 * i + 8, 2);
    }
    x87_settle(cpu);
}

static void fx_init_x87(struct cpu *cpu)
{
    x87_init(cpu);
    for (unsigned i = 0; i < 8; i++) {
        cpu->fpu.st[i].significand = 0;
        cpu->fpu.st[i].sign_exponent = 0;
    }
}

static void fx_save_mxcsr(struct cpu *cpu, uint8_t *image)
{
    uint32_t mxcsr = fpu_mxcsr(cpu), mask = MXCSR_MASK;

    memcpy(image + FX_MXCSR, &mxcsr, 4);
    memcpy(image + FX_MXCSR_MASK, &mask, 4);
}

/* raises #GP for reserved bits: before anything has changed */
static uint32_t fx_read_mxcsr(struct cpu *cpu, const uint8_t *image)
{
    uint32_t mxcsr;

    memcpy(&mxcsr, image + FX_MXCSR, 4);
    if (mxcsr & ~(uint32_t)MXCSR_MASK)
        raise_gp(cpu, 0);
    return mxcsr;
}

/* ---- FXSAVE and FXRSTOR ---- */

static void fx_check(struct cpu *cpu)
{
    if (cpu->cr0 & CR0_EM)
        raise_ud(cpu);
    if (cpu->cr0 & CR0_TS)
        raise_nm(cpu);
}

static uint64_t fx_linear(struct cpu *cpu, const struct insn *in, unsigned bytes, unsigned align,
                          bool write)
{
    uint64_t linear = seg_linear(cpu, in, ea(cpu, in), bytes, write);

    if (linear & (align - 1))
        raise_gp(cpu, 0);
    return linear;
}

/* bytes 511:464 are software's, and 463:416 reserved: FXSAVE leaves both alone */
EXEC_BODY(fxsave)
{
    uint8_t image[FX_XMM_END];

    fx_check(cpu);
    uint64_t linear = fx_linear(cpu, in, FX_BYTES, 16, true);
    mmu_probe(&cpu->mmu, linear, FX_BYTES, MMU_WRITE);
    fx_save_x87(cpu, in, image);
    fx_save_mxcsr(cpu, image);
    memcpy(image + FX_XMM, cpu->fpu.xmm, fx_xmm_bytes(cpu));
    mmu_store_bytes(&cpu->mmu, linear, image, FX_XMM + fx_xmm_bytes(cpu));
}
EXEC(fxsave)

EXEC_BODY(fxrstor)
{
    uint8_t image[FX_BYTES];

    fx_check(cpu);
    mmu_load_bytes(&cpu->mmu, fx_linear(cpu, in, FX_BYTES, 16, false), image, FX_BYTES);
    uint32_t mxcsr = fx_read_mxcsr(cpu, image);
    fx_load_x87(cpu, in, image);
    fpu_set_mxcsr(cpu, mxcsr);
    memcpy(cpu->fpu.xmm, image + FX_XMM, fx_xmm_bytes(cpu));
    cpu->rip = insn_next_rip(cpu, in);
}
EXEC_END(fxrstor)

/* ---- XSAVE ---- */

struct xsave_header {
    uint64_t xstate_bv, xcomp_bv;
    uint64_t reserved[6];
};
_Static_assert(sizeof(struct xsave_header) == XSAVE_HEADER_BYTES, "the header is 64 bytes");
#define XCOMP_COMPACTED BIT(63)

/* components that are not in their initial configuration */
static uint64_t xsave_xinuse(const struct cpu *cpu)
{
    const struct fpu *f = &cpu->fpu;
    bool x87 = f->control != 0x37f || f->status || f->tag || f->opcode || f->ip || f->dp || f->cs ||
               f->ds;
    uint64_t sse = 0;

    for (unsigned i = 0; i < 8 && !x87; i++)
        x87 = f->st[i].significand || f->st[i].sign_exponent;
    for (unsigned i = 0; i < 16; i++)
        sse |= f->xmm[i].u64[0] | f->xmm[i].u64[1];
    return (x87 ? XSTATE_X87 : 0) | (sse ? XSTATE_SSE : 0);
}

uint64_t xsave_in_use(struct cpu *cpu)
{
    uint64_t in_use = xsave_xinuse(cpu);

    if (fpu_mxcsr(cpu) != MXCSR_RESET)
        in_use |= XSTATE_SSE;
    return in_use & cpu->xcr0;
}

/* the instruction mask */
static uint64_t xsave_mask(const struct cpu *cpu)
{
    return cpu->r[RDX] << 32 | (uint32_t)cpu->r[RAX];
}

static void xsave_check(struct cpu *cpu)
{
    if (!(cpu->cr4 & CR4_OSXSAVE))
        raise_ud(cpu);
}

static uint64_t xsave_linear(struct cpu *cpu, const struct insn *in, bool write)
{
    uint64_t linear;

    if (cpu->cr0 & CR0_TS)
        raise_nm(cpu);
    linear = fx_linear(cpu, in, XSAVE_LEGACY_BYTES + XSAVE_HEADER_BYTES, 64, write);
    return linear;
}

/* the two components in the legacy region, those of `save`; the rest of memory stays */
static void xsave_components(struct cpu *cpu, const struct insn *in, uint64_t linear, uint64_t save,
                             bool mxcsr)
{
    uint8_t image[FX_XMM];

    if (save & XSTATE_X87) {
        fx_save_x87(cpu, in, image);
        mmu_store_bytes(&cpu->mmu, linear, image, FX_MXCSR);
        mmu_store_bytes(&cpu->mmu, linear + FX_ST, image + FX_ST, FX_XMM - FX_ST);
    }
    if (mxcsr) {
        fx_save_mxcsr(cpu, image);
        mmu_store_bytes(&cpu->mmu, linear + FX_MXCSR, image + FX_MXCSR, 8);
    }
    if (save & XSTATE_SSE)
        mmu_store_bytes(&cpu->mmu, linear + FX_XMM, cpu->fpu.xmm, fx_xmm_bytes(cpu));
}

/* XSAVE, and XSAVEOPT, which leaves out components in their initial configuration. The standard
 * format: XSTATE_BV bits outside RFBM are kept. MXCSR goes with RFBM[1], whatever XINUSE. */
static void xsave_standard(struct cpu *cpu, const struct insn *in, bool optimized)
{
    xsave_check(cpu);
    uint64_t linear = xsave_linear(cpu, in, true);
    uint64_t rfbm = xsave_mask(cpu) & cpu->xcr0, in_use = xsave_xinuse(cpu);
    uint64_t save = optimized ? rfbm & in_use : rfbm;

    mmu_probe(&cpu->mmu, linear, XSAVE_LEGACY_BYTES + XSAVE_HEADER_BYTES, MMU_WRITE);
    uint64_t bv = mmu_load(&cpu->mmu, linear + XSAVE_LEGACY_BYTES, 8);
    xsave_components(cpu, in, linear, save, rfbm & XSTATE_SSE);
    mmu_store(&cpu->mmu, linear + XSAVE_LEGACY_BYTES, (bv & ~rfbm) | (in_use & rfbm), 8);
}
EXEC_BODY(xsave)
{
    xsave_standard(cpu, in, false);
}
EXEC(xsave)
EXEC_BODY(xsaveopt)
{
    xsave_standard(cpu, in, true);
}
EXEC(xsaveopt)

/* XSAVEC and XSAVES: SSE counts as in use when only MXCSR is not 1F80H */
static void xsave_compacted(struct cpu *cpu, const struct insn *in, uint64_t rfbm)
{
    uint64_t linear = xsave_linear(cpu, in, true);
    uint64_t in_use = xsave_xinuse(cpu);
    struct xsave_header header = { 0 };

    if (fpu_mxcsr(cpu) != MXCSR_RESET)
        in_use |= XSTATE_SSE;
    mmu_probe(&cpu->mmu, linear, XSAVE_LEGACY_BYTES + XSAVE_HEADER_BYTES, MMU_WRITE);
    uint64_t save = rfbm & in_use;
    xsave_components(cpu, in, linear, save, save & XSTATE_SSE);
    header.xstate_bv = save;
    header.xcomp_bv = XCOMP_COMPACTED | rfbm;
    mmu_store_bytes(&cpu->mmu, linear + XSAVE_LEGACY_BYTES, &header, 16);
}

EXEC_BODY(xsavec)
{
    xsave_check(cpu);
    xsave_compacted(cpu, in, xsave_mask(cpu) & cpu->xcr0);
}
EXEC(xsavec)

/* what XSAVES and XRSTORS check before the area: "enable XSAVES/XRSTORS" and CR4.OSXSAVE, CPL,
 * CR0.TS, then the XSS-exiting bitmap */
static uint64_t xsave_supervisor(struct cpu *cpu, enum virt_insn which)
{
    xsave_check(cpu);
    if (cpu->cpl != 0)
        raise_gp(cpu, 0);
    virt_check(cpu, which, xsave_mask(cpu) & cpu->msr.xss);
    return xsave_mask(cpu) & (cpu->xcr0 | cpu->msr.xss);
}

EXEC_BODY(xsaves)
{
    xsave_compacted(cpu, in, xsave_supervisor(cpu, VIRT_XSAVES));
}
EXEC(xsaves)

/* ---- XRSTOR ---- */

/* load or initialize the components of rfbm; mxcsr has been checked */
static void xrstor_components(struct cpu *cpu, const struct insn *in, const uint8_t *image,
                              uint64_t rfbm, uint64_t bv)
{
    if (rfbm & XSTATE_X87) {
        if (bv & XSTATE_X87)
            fx_load_x87(cpu, in, image);
        else
            fx_init_x87(cpu);
    }
    if (rfbm & XSTATE_SSE) {
        if (bv & XSTATE_SSE)
            memcpy(cpu->fpu.xmm, image + FX_XMM, fx_xmm_bytes(cpu));
        else
            memset(cpu->fpu.xmm, 0, fx_xmm_bytes(cpu));
    }
}

static bool xrstor_zero(const uint64_t *v, unsigned count)
{
    uint64_t any = 0;

    while (count--)
        any |= *v++;
    return any == 0;
}

/* Compacted: XCOMP_BV must be a subset of what is enabled and a superset of XSTATE_BV, and the rest
 * of the header 0. Standard: XCOMP_BV is 0 and so are bytes 23:16. */
static void xrstor(struct cpu *cpu, const struct insn *in, uint64_t enabled, bool only_compacted)
{
    uint8_t image[XSAVE_LEGACY_BYTES + XSAVE_HEADER_BYTES];
    struct xsave_header header;
    uint64_t rfbm = xsave_mask(cpu) & enabled;
    uint32_t mxcsr = MXCSR_RESET;
    bool compacted, ok;

    mmu_load_bytes(&cpu->mmu, xsave_linear(cpu, in, false), image, sizeof(image));
    memcpy(&header, image + XSAVE_LEGACY_BYTES, sizeof(header));
    compacted = header.xcomp_bv & XCOMP_COMPACTED;
    if (compacted && (only_compacted || cpu_has(cpu, FEAT_XSAVEC)))
        ok = !(header.xcomp_bv & ~XCOMP_COMPACTED & ~enabled) &&
             !(header.xstate_bv & ~header.xcomp_bv) && xrstor_zero(header.reserved, 6);
    else
        ok = !only_compacted && header.xcomp_bv == 0 && !(header.xstate_bv & ~enabled) &&
             header.reserved[0] == 0;
    if (!ok || (compacted && header.xstate_bv >> 63))
        raise_gp(cpu, 0);
    /* the standard form loads MXCSR whatever XSTATE_BV says */
    if ((rfbm & XSTATE_SSE) && (!compacted || (header.xstate_bv & XSTATE_SSE)))
        mxcsr = fx_read_mxcsr(cpu, image);
    xrstor_components(cpu, in, image, rfbm, header.xstate_bv);
    if (rfbm & XSTATE_SSE)
        fpu_set_mxcsr(cpu, mxcsr);
    cpu->rip = insn_next_rip(cpu, in);
}

EXEC_BODY(xrstor)
{
    xsave_check(cpu);
    xrstor(cpu, in, cpu->xcr0, false);
}
EXEC_END(xrstor)

EXEC_BODY(xrstors)
{
    xsave_supervisor(cpu, VIRT_XRSTORS);
    xrstor(cpu, in, cpu->xcr0 | cpu->msr.xss, true);
}
EXEC_END(xrstors)
