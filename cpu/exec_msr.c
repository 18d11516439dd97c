/* Model-specific registers, time, identification, random numbers: RDMSR WRMSR RDTSC RDTSCP RDPMC RDPID
 * CPUID RDRAND RDSEED. [SDM 2A "CPUID"; SDM 2B "RDMSR", "RDRAND", "RDTSC", ...; SDM 2D "WRMSR"] */
#include "cpu/cpuid.h"
#include "cpu/exec.h"
#include "cpu/msr.h"

static void return_pair(struct cpu *cpu, uint64_t value)
{
    cpu->r[RAX] = (uint32_t)value;
    cpu->r[RDX] = value >> 32;
}

static uint64_t tsc_seen(const struct cpu *cpu)
{
    uint64_t tsc = cpu_tsc(cpu);

    return cpu->non_root ? cpu->virt->tsc(cpu, tsc) : tsc;
}

/* ---- MSRs ---- */

EXEC_BODY(rdmsr)
{
    uint32_t msr = (uint32_t)cpu->r[RCX];
    uint64_t value = 0;
    bool ok = true;

    if (cpu->cpl != 0)
        raise_gp(cpu, 0);
    if (!virt_wants(cpu, VIRT_MSR) || !cpu->virt->msr_read(cpu, msr, &value, &ok))
        ok = msr_read(cpu, msr, &value);
    if (!ok)
        raise_gp(cpu, 0);
    return_pair(cpu, value);
    cpu->rip = insn_next_rip(cpu, in);
}
EXEC_END(rdmsr)

EXEC_BODY(wrmsr)
{
    uint32_t msr = (uint32_t)cpu->r[RCX];
    uint64_t value = (uint32_t)cpu->r[RAX] | cpu->r[RDX] << 32;
    uint64_t next = insn_next_rip(cpu, in);
    bool ok = true;

    if (cpu->cpl != 0)
        raise_gp(cpu, 0);
    if (!virt_wants(cpu, VIRT_MSR) || !cpu->virt->msr_write(cpu, msr, value, &ok))
        ok = msr_write(cpu, msr, value);
    if (!ok)
        raise_gp(cpu, 0);
    cpu->rip = next;
}
EXEC_END(wrmsr)

/* ---- time ---- */

static void tsc_check(struct cpu *cpu)
{
    if (cpu->cr4 & CR4_TSD && cpu->cpl != 0)
        raise_gp(cpu, 0);
}

EXEC_BODY(rdtsc)
{
    tsc_check(cpu);
    virt_check(cpu, VIRT_RDTSC, 0);
    return_pair(cpu, tsc_seen(cpu));
    cpu->rip = insn_next_rip(cpu, in);
}
EXEC_END(rdtsc)

EXEC_BODY(rdtscp)
{
    tsc_check(cpu);
    virt_check(cpu, VIRT_RDTSCP, 0);
    return_pair(cpu, tsc_seen(cpu));
    cpu->r[RCX] = (uint32_t)cpu->msr.tsc_aux;
    cpu->rip = insn_next_rip(cpu, in);
}
EXEC_END(rdtscp)

EXEC_BODY(rdpid)
{
    virt_check(cpu, VIRT_RDPID, 0);
    cpu->r[in->rm] = cpu->msr.tsc_aux;
}
EXEC(rdpid)

/* There is no performance-monitoring counter to read. */
EXEC_BODY(rdpmc)
{
    if (cpu->cpl == 0 || cpu->cr4 & CR4_PCE)
        virt_check(cpu, VIRT_RDPMC, 0);
    raise_gp(cpu, 0);
}
EXEC_END(rdpmc)

/* ---- CPUID ---- */

EXEC_BODY(cpuid)
{
    struct cpuid_regs out;

    virt_check(cpu, VIRT_CPUID, 0);
    cpuid(cpu, (uint32_t)cpu->r[RAX], (uint32_t)cpu->r[RCX], &out);
    if ((uint32_t)cpu->r[RAX] == 1)
        cpu->msr.bios_sign_id = MSR_MICROCODE; /* a side effect that loaders of microcode use */
    cpu->r[RAX] = out.eax;
    cpu->r[RBX] = out.ebx;
    cpu->r[RCX] = out.ecx;
    cpu->r[RDX] = out.edx;
    cpu->rip = insn_next_rip(cpu, in);
}
EXEC_END(cpuid)

/* ---- random numbers, from the board's deterministic gate ---- */

static void random_number(struct cpu *cpu, const struct insn *in)
{
    uint64_t value = cpu->entropy ? cpu->entropy(cpu->board) : 0;

    reg_write(cpu, in->rm, value, 1u << in->size);
    flags_set(&cpu->flags, cpu->entropy ? RFLAGS_CF : 0);
    cpu->rip = insn_next_rip(cpu, in);
}

EXEC_BODY(rdrand)
{
    virt_check(cpu, VIRT_RDRAND, 0);
    random_number(cpu, in);
}
EXEC_END(rdrand)

EXEC_BODY(rdseed)
{
    virt_check(cpu, VIRT_RDSEED, 0);
    random_number(cpu, in);
}
EXEC_END(rdseed)
