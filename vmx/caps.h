/* What VMX can do on this processor: controls, capability MSRs, and which of it the user has
 * switched off. Derived from controls.def and caps.def, so that capability and check cannot
 * disagree. [SDM 3D "VMX Capability Reporting Facility"] */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/bits.h"

/* the VMCS regions' identity: changes whenever their layout does */
#define VMCS_REVISION 0x6e310001u

enum control_group {
    GROUP_PIN,
    GROUP_PROC,
    GROUP_PROC2,
    GROUP_EXIT,
    GROUP_ENTRY,
    GROUP_VMFUNC,
    CONTROL_GROUPS
};

/* PIN_NMI and the like: the bit in its field */
/* clang-format off */
enum {
#define CONTROL(group, n, name, qemu, needs, feature, title) group##_##name##_BIT = (n),
#define CONTROL_OR_1(group, n, name, qemu, needs, feature, title) group##_##name##_BIT = (n),
#include "vmx/controls.def"
};
/* clang-format on */
#define VMX_CONTROL(control) ((uint32_t)1 << control##_BIT)
#define PIN(name) VMX_CONTROL(PIN_##name)
#define PROC(name) VMX_CONTROL(PROC_##name)
#define PROC2(name) VMX_CONTROL(PROC2_##name)
#define EXIT(name) VMX_CONTROL(EXIT_##name)
#define ENTRY(name) VMX_CONTROL(ENTRY_##name)
#define VMFUNC(name) VMX_CONTROL(VMFUNC_##name)

/* rows, of both files; NEED_BASE is what every VMX processor has */
/* clang-format off */
enum vmx_need {
    NEED_BASE,
#define CONTROL(group, n, name, qemu, needs, feature, title) NEED_##group##_##name,
#define CONTROL_OR_1(group, n, name, qemu, needs, feature, title) NEED_##group##_##name,
#include "vmx/controls.def"
#define CAPABILITY(reg, n, name, qemu, needs, meaning) NEED_##name,
#include "vmx/caps.def"
    NEED_COUNT
};
/* clang-format on */

struct vmx_caps {
    bool on[NEED_COUNT]; /* by vmx_caps_init, vmx_feature_set and vmx_caps_settle */
    uint8_t maxphyaddr;
    /* derived by vmx_caps_settle: */
    uint32_t must_1[CONTROL_GROUPS]; /* by the TRUE_* MSRs where these exist */
    uint32_t may_1[CONTROL_GROUPS];
    uint64_t basic, misc, ept_vpid;
    uint64_t cr0_fixed_0, cr0_fixed_1, cr4_fixed_0, cr4_fixed_1; /* FIXED0: bits that must be 1 */
    unsigned max_cr3_targets;
    unsigned timer_shift; /* the preemption timer counts TSC >> timer_shift */
};

/* everything this implementation has */
void vmx_caps_init(struct vmx_caps *caps);

/* "+vmx-ept", "-vmx-ept" by QEMU's names; false if there is no such feature. "-" on a feature that
 * VMX cannot be without (its name is not in the tables) is that too. */
bool vmx_feature_set(struct vmx_caps *caps, const char *name, bool on);

/* every feature name in turn, NULL after the last, for `-cpu help` */
const char *vmx_feature_name(unsigned n);

/* A control whose prerequisite is off goes off; then derive the rest. `features` as in struct cpu,
 * cr4_valid: the CR4 bits of the processor. */
void vmx_caps_settle(struct vmx_caps *caps, const uint64_t *features, uint64_t cr4_valid);

/* IA32_VMX_BASIC (480H) to IA32_VMX_VMFUNC (491H); false: this one does not exist */
bool vmx_caps_msr(const struct vmx_caps *caps, uint32_t msr, uint64_t *value);

static inline bool vmx_has(const struct vmx_caps *caps, enum vmx_need need)
{
    return caps->on[need];
}

/* the manual's name of a control bit, or NULL where there is none */
const char *vmx_control_title(enum control_group group, unsigned bit);
