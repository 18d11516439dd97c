/* Model-specific registers: rows of msr.def. cpu/msr.c. */
#pragma once
#include "cpu/cpu.h"

/* false: #GP(0). These are what RDMSR and WRMSR do after privilege and intercepts; the MSR areas of
 * VM entry and VM exit use them too. IA32_VMX_* and IA32_FEATURE_CONTROL semantics: cpu->virt. */
bool msr_read(struct cpu *cpu, uint32_t msr, uint64_t *value);
bool msr_write(struct cpu *cpu, uint32_t msr, uint64_t value);

/* values that rows of msr.def and CPUID share */
#define MSR_MICROCODE (UINT64_C(0x2b000700) << 32) /* revision, as loaded by CPUID leaf 1 */
#define MSR_BASE_RATIO UINT64_C(20)                /* times 100 MHz */
#define MSR_MTRRCAP (MTRR_VARIABLE_COUNT | BIT(8) /* fixed */ | BIT(10) /* WC */)
#define MSR_MCG_CTL_P BIT(8)
#define MSR_APIC_BASE_ENABLE BIT(11)
#define MSR_MISC_ENABLE_FAST_STRINGS BIT(0)
#define MSR_MISC_ENABLE_NO_BTS_PEBS BITS(12, 11)
#define MSR_MISC_ENABLE_MONITOR BIT(18)
#define MSR_MISC_ENABLE_LIMIT_CPUID BIT(22)

/* IA32_SPEC_CTRL: IBRS, STIBP, SSBD; BHI_DIS_S */
#define MSR_SPEC_CTRL_BITS (BITS(2, 0) | (cpu_has(cpu, FEAT_BHI_CTRL) ? BIT(10) : 0))

/* IA32_ARCH_CAPABILITIES: RDCL_NO, IBRS_ALL, SKIP_L1DFL_VMENTRY, SSB_NO, MDS_NO,
 * IF_PSCHANGE_MC_NO, TAA_NO, SBDR_SSDP_NO, FBSDP_NO, PSDP_NO, BHI_NO, PBRSB_NO, GDS_NO, RFDS_NO,
 * ITS_NO: nothing is speculated, so none of these faults exists */
#define MSR_ARCH_CAPABILITIES                                                                     \
    (BIT(0) | BIT(1) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(8) | BIT(13) | BIT(14) | BIT(15) | \
     BIT(20) | BIT(24) | BIT(26) | BIT(27) | BIT(62))
