/* x87 control instructions: FNINIT, FNCLEX, control and status word, environment and state in the
 * 16- and 32-bit formats, FFREE, FINCSTP, FDECSTP, FNOP, FWAIT.
 * What loads the control word ends its block: whether it unmasks exceptions is in the key.
 * [SDM 1 "x87 FPU Control Instructions", "Saving the x87 FPU's State with FSTENV/FNSTENV and
 * FSAVE/FNSAVE"] */
#include "cpu/x87.h"

EXEC_BODY(x87_fninit)
{
    x87_check_nowait(cpu);
    x87_init(cpu);
    cpu->rip = insn_next_rip(cpu, in);
}
EXEC_END(x87_fninit)

EXEC_BODY(x87_fnclex)
{
    x87_check_nowait(cpu);
    cpu->fpu.status &= (uint16_t) ~(FLOAT80_ALL | X87_SF | X87_ES | X87_BUSY);
}
EXEC(x87_fnclex)

EXEC_BODY(x87_nop_nowait)
{
    x87_check_nowait(cpu);
} /* FENI, FDISI, FSETPM of older coprocessors */
EXEC(x87_nop_nowait)

EXEC_BODY(x87_fnop)
{
    x87_check(cpu);
    x87_record(cpu, in);
}
EXEC(x87_fnop)

EXEC_BODY(x87_fwait) /* #NM by MP and TS, not by EM */
{
    if (unlikely((cpu->cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS)))
        raise_nm(cpu);
    if (unlikely(cpu->fpu.status & X87_ES))
        cpu_raise(cpu, MF);
}
EXEC(x87_fwait)

/* ---- control and status word ---- */

/* bits 7 and 13 to 15 are 0, bit 6 is 1 */
static void x87_set_control(struct cpu *cpu, uint16_t v)
{
    cpu->fpu.control = (uint16_t)((v & 0x1f3f) | 0x40);
}

EXEC_BODY(x87_fldcw)
{
    x87_check(cpu);
    x87_set_control(cpu, (uint16_t)mmu_load(&cpu->mmu, linear_read(cpu, in, 2), 2));
    x87_settle(cpu);
    cpu->rip = insn_next_rip(cpu, in);
}
EXEC_END(x87_fldcw)

EXEC_BODY(x87_fnstcw)
{
    x87_check_nowait(cpu);
    mmu_store(&cpu->mmu, linear_write(cpu, in, 2), cpu->fpu.control, 2);
}
EXEC(x87_fnstcw)

EXEC_BODY(x87_fnstsw)
{
    x87_check_nowait(cpu);
    mmu_store(&cpu->mmu, linear_write(cpu, in, 2), cpu->fpu.status, 2);
}
EXEC(x87_fnstsw)

EXEC_BODY(x87_fnstsw_ax)
{
    x87_check_nowait(cpu);
    reg_write(cpu, RAX, cpu->fpu.status, 2);
}
EXEC(x87_fnstsw_ax)

/* ---- the stack ---- */

EXEC_BODY(x87_fincstp) /* FDECSTP: ModRM.rm 6, FINCSTP: 7 */
{
    x87_check(cpu);
    x87_record(cpu, in);
    cpu->fpu.status &= (uint16_t)~X87_C1;
    x87_set_top(cpu, x87_top(cpu) + (x87_i(in) == 7 ? 1 : 7));
}
EXEC(x87_fincstp)

EXEC_BODY(x87_ffree)
{
    x87_check(cpu);
    x87_record(cpu, in);
    cpu->fpu.status &= (uint16_t)~X87_C1;
    x87_free(cpu, x87_i(in));
}
EXEC(x87_ffree)

EXEC_BODY(x87_ffreep)
{
    x87_check(cpu);
    x87_record(cpu, in);
    cpu->fpu.status &= (uint16_t)~X87_C1;
    x87_free(cpu, x87_i(in));
    x87_pop(cpu);
}
EXEC(x87_ffreep)

/* ---- environment: seven words or doublewords ---- */

enum { X87_ENV_16 = 14, X87_ENV_32 = 28, X87_REGISTERS = 80 };

static bool x87_16bit(const struct insn *in)
{
    return in->size == 1;
}
static unsigned x87_env_bytes(const struct insn *in)
{
    return x87_16bit(in) ? X87_ENV_16 : X87_ENV_32;
}

/* field 0 to 6 of the image */
static void x87_put(uint8_t *image, bool is16, unsigned field, uint32_t v)
{
    memcpy(image + field * (is16 ? 2 : 4), &v, is16 ? 2 : 4);
}
static uint32_t x87_take(const uint8_t *image, bool is16, unsigned field)
{
    uint32_t v = 0;

    memcpy(&v, image + field * (is16 ? 2 : 4), is16 ? 2 : 4);
    return v;
}

static void x87_env_save(struct cpu *cpu, const struct insn *in, uint8_t *image)
{
    const struct fpu *f = &cpu->fpu;
    bool is16 = x87_16bit(in);
    uint32_t ip = (uint32_t)f->ip, dp = (uint32_t)f->dp;

    /* reserved upper halves read as ones */
    x87_put(image, is16, 0, 0xffff0000u | f->control);
    x87_put(image, is16, 1, 0xffff0000u | f->status);
    x87_put(image, is16, 2, 0xffff0000u | x87_full_tags(cpu));
    if (cpu_real(cpu)) { /* linear addresses and the opcode */
        ip += (uint32_t)f->cs << 4;
        dp += (uint32_t)f->ds << 4;
        x87_put(image, is16, 3, is16 ? ip : ip & 0xffff);
        x87_put(image, is16, 4,
                is16 ? (ip >> 16 & 15) << 12 | f->opcode : ip >> 16 << 12 | f->opcode);
        x87_put(image, is16, 5, is16 ? dp : dp & 0xffff);
        x87_put(image, is16, 6, is16 ? (dp >> 16 & 15) << 12 : dp >> 16 << 12);
    } else {
        x87_put(image, is16, 3, ip);
        x87_put(image, is16, 4, is16 ? f->cs : (uint32_t)f->opcode << 16 | f->cs);
        x87_put(image, is16, 5, dp);
        x87_put(image, is16, 6, is16 ? f->ds : 0xffff0000u | f->ds);
    }
}

static void x87_env_load(struct cpu *cpu, const struct insn *in, const uint8_t *image)
{
    struct fpu *f = &cpu->fpu;
    bool is16 = x87_16bit(in);

    x87_set_control(cpu, (uint16_t)x87_take(image, is16, 0));
    f->status = (uint16_t)x87_take(image, is16, 1);
    f->tag = x87_short_tags((uint16_t)x87_take(image, is16, 2));
    uint32_t ip = x87_take(image, is16, 3), ip_high = x87_take(image, is16, 4);
    uint32_t dp = x87_take(image, is16, 5), dp_high = x87_take(image, is16, 6);
    if (cpu_real(cpu)) {
        f->ip = (ip & 0xffff) | (uint64_t)(ip_high >> 12 << 16);
        f->dp = (dp & 0xffff) | (uint64_t)(dp_high >> 12 << 16);
        f->opcode = ip_high & 0x7ff;
        f->cs = f->ds = 0;
    } else {
        f->ip = ip;
        f->dp = dp;
        f->cs = (uint16_t)ip_high;
        f->ds = (uint16_t)dp_high;
        f->opcode = is16 ? 0 : ip_high >> 16 & 0x7ff;
    }
    x87_settle(cpu);
}

EXEC_BODY(x87_fnstenv) /* then masks all exceptions */
{
    uint8_t image[X87_ENV_32];
    unsigned bytes = x87_env_bytes(in);

    x87_check_nowait(cpu);
    x87_env_save(cpu, in, image);
    mmu_store_bytes(&cpu->mmu, linear_write(cpu, in, bytes), image, bytes);
    cpu->fpu.control |= FLOAT80_ALL;
    x87_settle(cpu);
    cpu->rip = insn_next_rip(cpu, in);
}
EXEC_END(x87_fnstenv)

EXEC_BODY(x87_fldenv)
{
    uint8_t image[X87_ENV_32];
    unsigned bytes = x87_env_bytes(in);

    x87_check(cpu);
    mmu_load_bytes(&cpu->mmu, linear_read(cpu, in, bytes), image, bytes);
    x87_env_load(cpu, in, image);
    cpu->rip = insn_next_rip(cpu, in);
}
EXEC_END(x87_fldenv)

EXEC_BODY(x87_fnsave) /* then initializes */
{
    uint8_t image[X87_ENV_32 + X87_REGISTERS];
    unsigned env = x87_env_bytes(in);

    x87_check_nowait(cpu);
    x87_env_save(cpu, in, image);
    for (unsigned i = 0; i < 8; i++) {
        struct float80 v = x87_get(cpu, i);

        memcpy(image + env + 10 * i, &v.significand, 8);
        memcpy(image + env + 10 * i + 8, &v.sign_exponent, 2);
    }
    mmu_store_bytes(&cpu->mmu, linear_write(cpu, in, env + X87_REGISTERS), image,
                    env + X87_REGISTERS);
    x87_init(cpu);
    cpu->rip = insn_next_rip(cpu, in);
}
EXEC_END(x87_fnsave)

EXEC_BODY(x87_frstor)
{
    uint8_t image[X87_ENV_32 + X87_REGISTERS];
    unsigned env = x87_env_bytes(in);

    x87_check(cpu);
    mmu_load_bytes(&cpu->mmu, linear_read(cpu, in, env + X87_REGISTERS), image,
                   env + X87_REGISTERS);
    x87_env_load(cpu, in, image);
    for (unsigned i = 0; i < 8; i++) {
        struct float80 *v = &cpu->fpu.st[(x87_top(cpu) + i) & 7];

        memcpy(&v->significand, image + env + 10 * i, 8);
        memcpy(&v->sign_exponent, image + env + 10 * i + 8, 2);
    }
    cpu->rip = insn_next_rip(cpu, in);
}
EXEC_END(x87_frstor)
