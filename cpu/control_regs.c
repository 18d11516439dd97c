/* CR0, CR3, CR4, XCR0 and EFER: which values are refused, and what a change sets off.
 * [SDM 3A "Control Registers"], [SDM 2B "MOV - Move to/from Control Registers"],
 * [SDM 3A "Operations that Invalidate TLBs and Paging-Structure Caches"] */
#include "cpu/control_regs.h"

#include "cpu/segment.h"

bool paging_uses_pdptes(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
    return cr0 & CR0_PG && cr4 & CR4_PAE && !(efer & EFER_LMA);
}

/* after a change of what decoding or translation depends on */
static void control_changed(struct cpu *cpu)
{
    cpu_update_paging(cpu);
    cpu_update_key(cpu);
}

/* PDPTEs for new values of the registers; they are loaded through the old paging's second
 * translation only, so it does not matter that CR0 and CR4 are still the old ones */
static void control_load_pdptes(struct cpu *cpu, uint64_t cr3)
{
    if (!mmu_load_pdptes(&cpu->mmu, cr3))
        raise_gp(cpu, 0);
}

/* ---- CR0 ---- */

#define CR0_DEFINED                                                                            \
    (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | \
     CR0_PG)

static bool cr0_is_refused(const struct cpu *cpu, uint64_t value)
{
    bool pg = value & CR0_PG, cs_long = cpu->seg[SEG_CS].ar & AR_L;
    bool enables = pg && !(cpu->cr0 & CR0_PG), disables = !pg && cpu->cr0 & CR0_PG;

    return value >> 32 != 0 || (pg && !(value & CR0_PE)) || (value & CR0_NW && !(value & CR0_CD)) ||
           (value & cpu->cr0_fixed_1) != cpu->cr0_fixed_1 ||
           (enables && cpu->efer & EFER_LME &&
            (!(cpu->cr4 & CR4_PAE) || cs_long || !(cpu->seg[SEG_TR].ar & 8))) ||
           (disables && (cpu_64bit(cpu) || cpu->cr4 & CR4_PCIDE));
}

void cr0_write(struct cpu *cpu, uint64_t value)
{
    uint64_t changed, efer = cpu->efer;

    if (cr0_is_refused(cpu, value))
        raise_gp(cpu, 0);
    value = (value & CR0_DEFINED) | CR0_ET;
    changed = value ^ cpu->cr0;
    if (efer & EFER_LME)
        efer = value & CR0_PG ? efer | EFER_LMA : efer & ~EFER_LMA;
    if (changed & (CR0_PG | CR0_CD | CR0_NW) && paging_uses_pdptes(value, cpu->cr4, efer))
        control_load_pdptes(cpu, cpu->cr3);
    cpu->cr0 = value;
    cpu->efer = efer;
    control_changed(cpu);
    if (changed & CR0_PG)
        mmu_flush_current_all_pcids(&cpu->mmu, true);
}

/* ---- CR3 ---- */

bool cr3_set(struct cpu *cpu, uint64_t value)
{
    if (paging_uses_pdptes(cpu->cr0, cpu->cr4, cpu->efer) && !mmu_load_pdptes(&cpu->mmu, value))
        return false;
    cpu->cr3 = value;
    cpu_update_paging(cpu);
    mmu_flush_current(&cpu->mmu, false);
    return true;
}

void cr3_write(struct cpu *cpu, uint64_t value)
{
    bool keeps = cpu->cr4 & CR4_PCIDE && value & BIT(63);

    if (cpu->cr4 & CR4_PCIDE)
        value &= ~BIT(63);
    if (cpu_long(cpu) && value >> CPU_MAXPHYADDR != 0)
        raise_gp(cpu, 0);
    if (keeps) {
        cpu->cr3 = value;
        cpu_update_paging(cpu);
        return;
    }
    if (!cr3_set(cpu, value))
        raise_gp(cpu, 0);
}

/* ---- CR4 ---- */

/* clang-format off */
/* each bit and the feature that brings it */
static const struct {
    uint64_t bit;
    enum feature feature;
} cr4_bits[] = {
    {CR4_VME, FEAT_VME},         {CR4_PVI, FEAT_VME},           {CR4_TSD, FEAT_TSC},
    {CR4_DE, FEAT_DE},           {CR4_PSE, FEAT_PSE},           {CR4_PAE, FEAT_PAE},
    {CR4_MCE, FEAT_MCE},         {CR4_PGE, FEAT_PGE},           {CR4_PCE, FEAT_BASE},
    {CR4_OSFXSR, FEAT_FXSR},     {CR4_OSXMMEXCPT, FEAT_SSE},    {CR4_UMIP, FEAT_UMIP},
    {CR4_VMXE, FEAT_VMX},        {CR4_FSGSBASE, FEAT_FSGSBASE}, {CR4_PCIDE, FEAT_PCID},
    {CR4_OSXSAVE, FEAT_XSAVE},   {CR4_SMEP, FEAT_SMEP},         {CR4_SMAP, FEAT_SMAP},
};
/* clang-format on */

uint64_t cr4_valid_bits(const struct cpu *cpu)
{
    uint64_t valid = 0;

    for (unsigned i = 0; i < sizeof cr4_bits / sizeof cr4_bits[0]; i++) {
        if (cr4_bits[i].feature == FEAT_BASE || cpu_has(cpu, cr4_bits[i].feature))
            valid |= cr4_bits[i].bit;
    }
    return valid;
}

static bool cr4_is_refused(const struct cpu *cpu, uint64_t value)
{
    bool starts_pcid = value & CR4_PCIDE && !(cpu->cr4 & CR4_PCIDE);

    return value & ~cr4_valid_bits(cpu) || (value & cpu->cr4_fixed_1) != cpu->cr4_fixed_1 ||
           (cpu_long(cpu) && !(value & CR4_PAE)) ||
           (starts_pcid && (!cpu_long(cpu) || cpu->cr3 & 0xfff)) ||
           (value & CR4_PCIDE && !cpu_long(cpu));
}

void cr4_write(struct cpu *cpu, uint64_t value)
{
    uint64_t changed = value ^ cpu->cr4;
    bool all, current;

    if (cr4_is_refused(cpu, value))
        raise_gp(cpu, 0);
    if (changed & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP) &&
        paging_uses_pdptes(cpu->cr0, value, cpu->efer))
        control_load_pdptes(cpu, cpu->cr3);
    cpu->cr4 = value;
    control_changed(cpu);
    all = changed & CR4_PGE || (changed & CR4_PCIDE && !(value & CR4_PCIDE));
    current = changed & (CR4_PAE | CR4_PSE | CR4_SMAP) || (changed & CR4_SMEP && value & CR4_SMEP);
    if (all)
        mmu_flush_current_all_pcids(&cpu->mmu, true);
    else if (current)
        mmu_flush_current(&cpu->mmu, true);
}

/* ---- XCR0 ---- */

uint64_t xcr0_valid_bits(const struct cpu *cpu)
{
    return cpu_has(cpu, FEAT_XSAVE) ? BIT(0) | BIT(1) : 0; /* x87, SSE */
}

void xcr0_write(struct cpu *cpu, uint64_t value)
{
    if (value & ~xcr0_valid_bits(cpu) || !(value & 1))
        raise_gp(cpu, 0);
    cpu->xcr0 = value;
}

/* ---- EFER ---- */

bool efer_write(struct cpu *cpu, uint64_t value)
{
    uint64_t writable = 0, changed;

    if (cpu_has(cpu, FEAT_LM))
        writable |= EFER_LME;
    if (cpu_has(cpu, FEAT_SYSCALL))
        writable |= EFER_SCE;
    if (cpu_has(cpu, FEAT_NX))
        writable |= EFER_NXE;
    value &= ~EFER_LMA; /* read-only: CR0.PG and LME decide */
    if (value & ~writable)
        return false;
    value |= cpu->efer & EFER_LMA;
    changed = value ^ cpu->efer;
    if (changed & EFER_LME && cpu->cr0 & CR0_PG)
        return false;
    cpu->efer = value;
    control_changed(cpu);
    if (changed & EFER_NXE)
        mmu_flush_current_all_pcids(&cpu->mmu, true);
    return true;
}
