/* Control registers and translation: MOV CR, CLTS, LMSW, SMSW, XGETBV, XSETBV, INVLPG, INVPCID, caches
 * and fences. [SDM 2B "MOV - Move to/from Control Registers"; SDM 2A "INVLPG", "INVPCID", "LMSW"] */
#include "cpu/control_regs.h"
#include "cpu/exec.h"
#include "cpu/xsave.h"

static void control_privileged(struct cpu *cpu)
{
    if (cpu->cpl != 0)
        raise_gp(cpu, 0);
}

static enum mem_form control_form(const struct insn *in)
{
    return in->flags & IN_MEM ? MEM_ANY : MEM_NONE;
}

/* ---- MOV to and from control registers: always 64 bits in 64-bit mode, else 32 ---- */

static void control_check_number(struct cpu *cpu, unsigned n)
{
    if (n != 0 && n != 2 && n != 3 && n != 4 && n != 8)
        raise_ud(cpu);
    control_privileged(cpu);
}

static uint64_t control_read(struct cpu *cpu, unsigned n)
{
    switch (n) {
    case 0: return cpu->cr0;
    case 2: return cpu->cr2;
    case 3: return cpu->cr3;
    case 4: return cpu->cr4;
    default: return cpu->apic ? cpu->apic->read_cr8(cpu->apic_owner) : 0;
    }
}

static void cr8_write(struct cpu *cpu, uint64_t value)
{
    if (value > 15)
        raise_gp(cpu, 0);
    if (cpu->apic)
        cpu->apic->write_cr8(cpu->apic_owner, (uint8_t)value);
}

static void control_write(struct cpu *cpu, unsigned n, uint64_t value)
{
    switch (n) {
    case 0: cr0_write(cpu, value); break;
    case 2: cpu->cr2 = value; break;
    case 3: cr3_write(cpu, value); break;
    case 4: cr4_write(cpu, value); break;
    default: cr8_write(cpu, value); break;
    }
}

EXEC_BODY(mov_R_C)
{
    uint64_t value;

    control_check_number(cpu, in->reg);
    if (virt_wants(cpu, VIRT_CR) && in->reg != 2)
        value = cpu->virt->cr_read(cpu, in->reg, in->rm);
    else
        value = control_read(cpu, in->reg);
    reg_write(cpu, in->rm, value, cpu_64bit(cpu) ? 8 : 4);
    cpu->rip = insn_next_rip(cpu, in);
}
EXEC_END(mov_R_C)

EXEC_BODY(mov_C_R)
{
    uint64_t value = reg_read(cpu, in->rm, cpu_64bit(cpu) ? 8 : 4);
    uint64_t next = insn_next_rip(cpu, in);

    control_check_number(cpu, in->reg);
    if (!virt_wants(cpu, VIRT_CR) || in->reg == 2 ||
        cpu->virt->cr_write(cpu, in->reg, &value, in->rm))
        control_write(cpu, in->reg, value);
    cpu->rip = next;
}
EXEC_END(mov_C_R)

EXEC_BODY(clts)
{
    control_privileged(cpu);
    if (!virt_wants(cpu, VIRT_CR) || cpu->virt->clts(cpu)) {
        cpu->cr0 &= ~CR0_TS;
        cpu_update_paging(cpu);
        cpu_update_key(cpu);
    }
    cpu->rip = insn_next_rip(cpu, in);
}
EXEC_END(clts)

/* PE, MP, EM, TS; PE cannot be cleared */
EXEC_BODY(lmsw)
{
    uint64_t next = insn_next_rip(cpu, in), linear = 0;
    bool mem = in->flags & IN_MEM;
    uint16_t source;

    control_privileged(cpu);
    if (mem)
        linear = linear_read(cpu, in, 2);
    source = (uint16_t)rm_read(cpu, in, 2, control_form(in));
    if (!virt_wants(cpu, VIRT_CR) || cpu->virt->lmsw(cpu, &source, mem, linear))
        cr0_write(cpu, (cpu->cr0 & ~BITS(3, 1)) | (source & 15));
    cpu->rip = next;
}
EXEC_END(lmsw)

EXEC_BODY(smsw)
{
    uint64_t value = cpu->cr0;

    if (cpu->cr4 & CR4_UMIP && cpu->cpl != 0)
        raise_gp(cpu, 0);
    if (virt_wants(cpu, VIRT_CR))
        value = cpu->virt->smsw(cpu);
    if (in->flags & IN_MEM)
        mem_write(cpu, in, value, 2);
    else
        reg_write(cpu, in->rm, value, 1u << in->size);
}
EXEC(smsw)

/* ---- XCR0 ---- */

static void xcr_check(struct cpu *cpu)
{
    if (!(cpu->cr4 & CR4_OSXSAVE))
        raise_ud(cpu);
}

static void xcr_return(struct cpu *cpu, uint64_t value)
{
    cpu->r[RAX] = (uint32_t)value;
    cpu->r[RDX] = value >> 32;
}

/* ECX 1: the components in use, which this processor tracks as all that are enabled */
EXEC_BODY(xgetbv)
{
    uint32_t n = (uint32_t)cpu->r[RCX];

    xcr_check(cpu);
    if (n > 1 || (n == 1 && !cpu_has(cpu, FEAT_XGETBV1)))
        raise_gp(cpu, 0);
    xcr_return(cpu, n ? xsave_in_use(cpu) & cpu->xcr0 : cpu->xcr0);
}
EXEC(xgetbv)

EXEC_BODY(xsetbv)
{
    uint64_t value = (uint32_t)cpu->r[RAX] | cpu->r[RDX] << 32;

    xcr_check(cpu);
    control_privileged(cpu);
    virt_check(cpu, VIRT_XSETBV, 0);
    if ((uint32_t)cpu->r[RCX] != 0)
        raise_gp(cpu, 0);
    xcr0_write(cpu, value);
    cpu->rip = insn_next_rip(cpu, in);
}
EXEC_END(xsetbv)

/* ---- translation caches ---- */

/* A non-canonical address is no fault: there is nothing to invalidate. */
EXEC_BODY(invlpg)
{
    uint64_t linear = cpu->seg[in->base_seg].base + ea(cpu, in);

    if (in->flags & IN_LEGACY)
        linear = (uint32_t)linear;
    control_privileged(cpu);
    virt_check(cpu, VIRT_INVLPG, linear);
    if (is_canonical(linear, CPU_LINEAR_BITS))
        mmu_invlpg(&cpu->mmu, linear);
    cpu->rip = insn_next_rip(cpu, in);
}
EXEC_END(invlpg)

static void invpcid(struct cpu *cpu, uint64_t type, uint64_t pcid, uint64_t linear)
{
    switch (type) {
    case 0: mmu_invlpg_pcid(&cpu->mmu, linear, (uint16_t)pcid); break;
    case 1: mmu_flush_pcid(&cpu->mmu, (uint16_t)pcid); break;
    case 2: mmu_flush_current_all_pcids(&cpu->mmu, true); break;
    default: mmu_flush_current_all_pcids(&cpu->mmu, false); break;
    }
}

EXEC_BODY(invpcid)
{
    uint64_t type = reg_read(cpu, in->reg, cpu_64bit(cpu) ? 8 : 4), descriptor[2];

    control_privileged(cpu);
    virt_check(cpu, VIRT_INVPCID, 0);
    mmu_load_bytes(&cpu->mmu, linear_read(cpu, in, 16), descriptor, sizeof descriptor);
    if (type > 3 || descriptor[0] > 0xfff ||
        (type < 2 && descriptor[0] != 0 && !(cpu->cr4 & CR4_PCIDE)) ||
        (type == 0 && !is_canonical(descriptor[1], CPU_LINEAR_BITS)))
        raise_gp(cpu, 0);
    invpcid(cpu, type, descriptor[0], descriptor[1]);
    cpu->rip = insn_next_rip(cpu, in);
}
EXEC_END(invpcid)

/* ---- caches and order: memory is always coherent here, and in order ---- */

EXEC_BODY(invd)
{
    control_privileged(cpu);
    virt_check(cpu, VIRT_INVD, 0);
}
EXEC(invd)

EXEC_BODY(wbinvd)
{
    control_privileged(cpu);
    virt_check(cpu, VIRT_WBINVD, 0);
}
EXEC(wbinvd)

/* The line's byte is subject to the checks of a load. */
EXEC_BODY(clflush)
{
    mmu_probe(&cpu->mmu, linear_read(cpu, in, 1), 1, MMU_READ);
}
EXEC(clflush)

EXEC_BODY(fence)
{
}
EXEC(fence)
