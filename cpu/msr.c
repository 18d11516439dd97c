/* RDMSR and WRMSR behind privilege and intercepts: the rows of msr.def, and the registers that do
 * more than keep a value. [SDM 4 "Model-Specific Registers"] */
#include "cpu/msr.h"

#include "cpu/control_regs.h"
#include "cpu/virt.h"

static bool msr_store(uint64_t *at, uint64_t value, uint64_t writable)
{
    if (value & ~writable)
        return false;
    *at = value;
    return true;
}

/* ---- refused and ignored ---- */

static bool msr_read_refused(struct cpu *cpu, uint64_t *value)
{
    return false;
}
static bool msr_write_ignored(struct cpu *cpu, uint64_t value)
{
    return true;
}
static bool msr_write_range_refused(struct cpu *cpu, unsigned n, uint64_t value)
{
    return false;
}

/* ---- time ---- */

static bool msr_read_deadline(struct cpu *cpu, uint64_t *value)
{
    uint64_t cycles = cpu->apic ? cpu->apic->read_tsc_deadline(cpu->apic_owner) : 0;

    *value = cycles ? cycles + cpu->tsc_offset : 0;
    return true;
}

/* The APIC's timer takes cycles of the machine; 0 disarms it, so a deadline that has passed since
 * power-on is the earliest that is not 0. */
static bool msr_write_deadline(struct cpu *cpu, uint64_t tsc)
{
    uint64_t now = cpu_cycles(cpu), left = tsc - cpu_tsc(cpu), deadline;

    if (!cpu->apic)
        return true;
    if (tsc == 0)
        deadline = 0;
    else if (tsc <= cpu_tsc(cpu))
        deadline = now ? now : 1;
    else
        deadline = left > TIMER_OFF - 1 - now ? TIMER_OFF - 1 : now + left;
    cpu->apic->write_tsc_deadline(cpu->apic_owner, deadline);
    return true;
}

/* The TSC moves against the machine's cycles: an armed deadline, a value of the TSC, moves too. */
static void msr_move_tsc(struct cpu *cpu, uint64_t delta)
{
    uint64_t deadline = 0;

    msr_read_deadline(cpu, &deadline);
    cpu->tsc_offset += delta;
    cpu->tsc_adjust += delta;
    if (deadline)
        msr_write_deadline(cpu, deadline);
}

static bool msr_read_tsc(struct cpu *cpu, uint64_t *value)
{
    *value = cpu_tsc(cpu);
    return true;
}
static bool msr_write_tsc(struct cpu *cpu, uint64_t value)
{
    msr_move_tsc(cpu, value - cpu_tsc(cpu));
    return true;
}
static bool msr_read_tsc_adjust(struct cpu *cpu, uint64_t *value)
{
    *value = cpu->tsc_adjust;
    return true;
}
static bool msr_write_tsc_adjust(struct cpu *cpu, uint64_t value)
{
    msr_move_tsc(cpu, value - cpu->tsc_adjust);
    return true;
}

/* ---- local APIC ---- */

static bool msr_read_apic_base(struct cpu *cpu, uint64_t *value)
{
    if (!cpu->apic)
        return false;
    *value = cpu->apic->read_base(cpu->apic_owner);
    return true;
}
static bool msr_write_apic_base(struct cpu *cpu, uint64_t value)
{
    if (!cpu->apic || !cpu->apic->write_base(cpu->apic_owner, value))
        return false;
    cpu_apic_moved(cpu);
    return true;
}
static bool msr_read_x2apic(struct cpu *cpu, unsigned n, uint64_t *value)
{
    return cpu->apic && cpu->apic->read_msr(cpu->apic_owner, 0x800 + n, value);
}
static bool msr_write_x2apic(struct cpu *cpu, unsigned n, uint64_t value)
{
    return cpu->apic && cpu->apic->write_msr(cpu->apic_owner, 0x800 + n, value);
}

/* ---- modes ---- */

static bool msr_read_efer(struct cpu *cpu, uint64_t *value)
{
    *value = cpu->efer;
    return cpu_has(cpu, FEAT_LM) || cpu_has(cpu, FEAT_NX);
}
static bool msr_write_efer(struct cpu *cpu, uint64_t value)
{
    return (cpu_has(cpu, FEAT_LM) || cpu_has(cpu, FEAT_NX)) && efer_write(cpu, value);
}
static bool msr_read_misc_enable(struct cpu *cpu, uint64_t *value)
{
    *value = cpu->msr.misc_enable | MSR_MISC_ENABLE_NO_BTS_PEBS;
    return true;
}
static bool msr_write_misc_enable(struct cpu *cpu, uint64_t value)
{
    uint64_t writable = MSR_MISC_ENABLE_FAST_STRINGS | MSR_MISC_ENABLE_LIMIT_CPUID;

    if (cpu_has(cpu, FEAT_MONITOR))
        writable |= MSR_MISC_ENABLE_MONITOR;
    value &= ~MSR_MISC_ENABLE_NO_BTS_PEBS; /* read-only */
    if (value & ~writable)
        return false;
    cpu->msr.misc_enable = value;
    return true;
}
static bool msr_write_pred_cmd(struct cpu *cpu, uint64_t value)
{
    return !(value & ~BIT(0)); /* IBPB: there is nothing to flush */
}
static bool msr_read_xss(struct cpu *cpu, uint64_t *value)
{
    *value = cpu->msr.xss;
    return true;
}
static bool msr_write_xss(struct cpu *cpu, uint64_t value)
{
    return value == 0; /* no supervisor state component exists */
}

/* ---- segment bases ---- */

static bool msr_set_base(struct cpu *cpu, unsigned seg, uint64_t value)
{
    if (!is_canonical(value, CPU_LINEAR_BITS))
        return false;
    cpu->seg[seg].base = value;
    return true;
}
static bool msr_read_fs_base(struct cpu *cpu, uint64_t *value)
{
    *value = cpu->seg[SEG_FS].base;
    return true;
}
static bool msr_write_fs_base(struct cpu *cpu, uint64_t value)
{
    return msr_set_base(cpu, SEG_FS, value);
}
static bool msr_read_gs_base(struct cpu *cpu, uint64_t *value)
{
    *value = cpu->seg[SEG_GS].base;
    return true;
}
static bool msr_write_gs_base(struct cpu *cpu, uint64_t value)
{
    return msr_set_base(cpu, SEG_GS, value);
}

/* ---- memory types ---- */

static bool mtrr_type(uint64_t type)
{
    return type == 0 || type == 1 || type == 4 || type == 5 || type == 6; /* UC WC WT WP WB */
}
static bool mtrr_types(uint64_t eight)
{
    for (unsigned i = 0; i < 64; i += 8) {
        if (!mtrr_type(bits(eight, i + 7, i)))
            return false;
    }
    return true;
}

static bool msr_read_mtrr_phys(struct cpu *cpu, unsigned n, uint64_t *value)
{
    *value = n & 1 ? cpu->msr.mtrr_mask[n / 2] : cpu->msr.mtrr_base[n / 2];
    return true;
}
static bool msr_write_mtrr_phys(struct cpu *cpu, unsigned n, uint64_t value)
{
    uint64_t address = BITS(CPU_MAXPHYADDR - 1, 12);

    if (n & 1) {
        if (value & ~(address | BIT(11)))
            return false;
        cpu->msr.mtrr_mask[n / 2] = value;
        return true;
    }
    if (value & ~(address | BITS(7, 0)) || !mtrr_type(bits(value, 7, 0)))
        return false;
    cpu->msr.mtrr_base[n / 2] = value;
    return true;
}

/* the eleven fixed ranges in order: one of 64 KiB pieces, two of 16, eight of 4 */
static bool mtrr_fixed_write(struct cpu *cpu, unsigned n, uint64_t value)
{
    if (!mtrr_types(value))
        return false;
    cpu->msr.mtrr_fixed[n] = value;
    return true;
}
static bool msr_read_mtrr_fix64k(struct cpu *cpu, unsigned n, uint64_t *value)
{
    *value = cpu->msr.mtrr_fixed[n];
    return true;
}
static bool msr_write_mtrr_fix64k(struct cpu *cpu, unsigned n, uint64_t value)
{
    return mtrr_fixed_write(cpu, n, value);
}
static bool msr_read_mtrr_fix16k(struct cpu *cpu, unsigned n, uint64_t *value)
{
    *value = cpu->msr.mtrr_fixed[1 + n];
    return true;
}
static bool msr_write_mtrr_fix16k(struct cpu *cpu, unsigned n, uint64_t value)
{
    return mtrr_fixed_write(cpu, 1 + n, value);
}
static bool msr_read_mtrr_fix4k(struct cpu *cpu, unsigned n, uint64_t *value)
{
    *value = cpu->msr.mtrr_fixed[3 + n];
    return true;
}
static bool msr_write_mtrr_fix4k(struct cpu *cpu, unsigned n, uint64_t value)
{
    return mtrr_fixed_write(cpu, 3 + n, value);
}

static bool msr_read_mtrr_def_type(struct cpu *cpu, uint64_t *value)
{
    *value = cpu->msr.mtrr_def_type;
    return true;
}
static bool msr_write_mtrr_def_type(struct cpu *cpu, uint64_t value)
{
    if (value & ~(BITS(11, 10) | BITS(7, 0)) || !mtrr_type(bits(value, 7, 0)))
        return false;
    cpu->msr.mtrr_def_type = value;
    return true;
}

static bool msr_read_pat(struct cpu *cpu, uint64_t *value)
{
    *value = cpu->msr.pat;
    return true;
}
static bool msr_write_pat(struct cpu *cpu, uint64_t value)
{
    for (unsigned i = 0; i < 64; i += 8) {
        uint64_t type = bits(value, i + 7, i);

        if (!mtrr_type(type) && type != 7) /* UC- */
            return false;
    }
    cpu->msr.pat = value;
    return true;
}

/* ---- machine checks: per bank CTL, STATUS, ADDR, MISC ---- */

static bool msr_read_mc(struct cpu *cpu, unsigned n, uint64_t *value)
{
    *value = n % 4 == 0 ? cpu->msr.mc_ctl[n / 4] : 0;
    return true;
}
static bool msr_write_mc(struct cpu *cpu, unsigned n, uint64_t value)
{
    if (n % 4 != 0)
        return value == 0;
    cpu->msr.mc_ctl[n / 4] = value;
    return true;
}

/* ---- virtualization ---- */

static bool msr_read_capability(struct cpu *cpu, uint64_t *value)
{
    return cpu->virt->cap_read(cpu, 0x3a, value);
}
/* lock bit and "VMX outside SMX operation"; once locked, a write raises #GP until RESET */
static bool msr_write_feature_control(struct cpu *cpu, uint64_t value)
{
    return !(cpu->msr.feature_control & 1) &&
           msr_store(&cpu->msr.feature_control, value, BIT(0) | BIT(2));
}
static bool msr_read_vmx(struct cpu *cpu, unsigned n, uint64_t *value)
{
    return cpu->virt->cap_read(cpu, 0x480 + n, value);
}

/* ---- the rows ---- */

static bool msr_store_canonical(uint64_t *at, uint64_t value)
{
    if (!is_canonical(value, CPU_LINEAR_BITS))
        return false;
    *at = value;
    return true;
}

#define HAS(feature) (FEAT_##feature == FEAT_BASE || cpu_has(cpu, FEAT_##feature))

bool msr_read(struct cpu *cpu, uint32_t msr, uint64_t *value)
{
    switch (msr) {
#define MSR_STORED(number, id, member, reset, writable, feature) \
    case number:                                                 \
        *value = cpu->msr.member;                                \
        return HAS(feature);
#define MSR_CANONICAL(number, id, member, feature) \
    case number:                                   \
        *value = cpu->msr.member;                  \
        return HAS(feature);
#define MSR_CONST(number, id, constant, feature) \
    case number:                                 \
        *value = (constant);                     \
        return HAS(feature);
#define MSR_CALL(number, id, read, write, feature) \
    case number:                                   \
        return HAS(feature) && msr_##read(cpu, value);
#define MSR_RANGE(first, count, id, read, write, feature) \
    case (first)...(first) + (count)-1:                   \
        return HAS(feature) && msr_##read(cpu, msr - (first), value);
#include "cpu/msr.def"
    default: return false;
    }
}

bool msr_write(struct cpu *cpu, uint32_t msr, uint64_t value)
{
    switch (msr) {
#define MSR_STORED(number, id, member, reset, writable, feature) \
    case number:                                                 \
        return HAS(feature) && msr_store(&cpu->msr.member, value, writable);
#define MSR_CANONICAL(number, id, member, feature) \
    case number:                                   \
        return HAS(feature) && msr_store_canonical(&cpu->msr.member, value);
#define MSR_CONST(number, id, constant, feature)
#define MSR_CALL(number, id, read, write, feature) \
    case number:                                   \
        return HAS(feature) && msr_##write(cpu, value);
#define MSR_RANGE(first, count, id, read, write, feature) \
    case (first)...(first) + (count)-1:                   \
        return HAS(feature) && msr_##write(cpu, msr - (first), value);
#include "cpu/msr.def"
    default: return false;
    }
}
