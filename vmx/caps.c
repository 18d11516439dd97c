/* Capability MSRs and feature names, from the rows of controls.def and caps.def.
 * [SDM 3D "VMX Capability Reporting Facility"] */
#include "vmx/caps.h"

#include <string.h>

#include "cpu/cpu.h"
#include "vmx/vmcs.h"

/* Default settings of what no row describes: reserved controls that must be 1.
 * [SDM 3D "Default Settings of Reserved VMX Controls"] */
static const uint32_t caps_default1[CONTROL_GROUPS] = {
    [GROUP_PIN] = 0x00000016,   /* bits 1, 2, 4 */
    [GROUP_PROC] = 0x0401e172,  /* bits 1, 4-6, 8, 13-16, 26 */
    [GROUP_EXIT] = 0x00036dff,  /* bits 0-8, 10, 11, 13, 14, 16, 17 */
    [GROUP_ENTRY] = 0x000011ff, /* bits 0-8, 12 */
};

/* what a whole group needs */
static const uint16_t caps_group_needs[CONTROL_GROUPS + 1] = {
    [GROUP_PROC2] = NEED_PROC_SECONDARY,
    [GROUP_VMFUNC] = NEED_PROC2_VM_FUNCTIONS,
};

enum { REG_NONE, REG_BASIC, REG_MISC, REG_EPT_VPID };

struct caps_row {
    uint8_t group; /* of a control */
    uint8_t reg;   /* REG_* of another capability */
    uint8_t bit;
    bool or_1;        /* default1 class, may be 0 by the TRUE_* MSRs */
    uint16_t needs;   /* enum vmx_need */
    uint16_t feature; /* enum feature */
    const char *qemu, *title;
};

static const struct caps_row caps_rows[NEED_COUNT] = {
    [NEED_BASE] = { .group = CONTROL_GROUPS, .qemu = "", .title = "VMX" },
#define CONTROL(grp, n, name, qemu_name, need, feat, text) \
    [NEED_##grp##_##name] = { .group = GROUP_##grp,        \
                              .bit = (n),                  \
                              .needs = NEED_##need,        \
                              .feature = FEAT_##feat,      \
                              .qemu = (qemu_name),         \
                              .title = (text) },
#define CONTROL_OR_1(grp, n, name, qemu_name, need, feat, text) \
    [NEED_##grp##_##name] = { .group = GROUP_##grp,             \
                              .bit = (n),                       \
                              .or_1 = true,                     \
                              .needs = NEED_##need,             \
                              .feature = FEAT_##feat,           \
                              .qemu = (qemu_name),              \
                              .title = (text) },
#include "vmx/controls.def"
#define CAPABILITY(register_, n, name, qemu_name, need, text) \
    [NEED_##name] = { .group = CONTROL_GROUPS,                \
                      .reg = REG_##register_,                 \
                      .bit = (n),                             \
                      .needs = NEED_##need,                   \
                      .feature = FEAT_BASE,                   \
                      .qemu = (qemu_name),                    \
                      .title = (text) },
#include "vmx/caps.def"
};

void vmx_caps_init(struct vmx_caps *caps)
{
    *caps = (struct vmx_caps){ .maxphyaddr = 46 };
    memset(caps->on, true, sizeof caps->on);
}

bool vmx_feature_set(struct vmx_caps *caps, const char *name, bool on)
{
    bool found = false;

    for (unsigned i = 0; i < NEED_COUNT; i++) {
        if (!caps_rows[i].qemu[0] || strcmp(caps_rows[i].qemu, name) != 0)
            continue;
        caps->on[i] = on;
        found = true;
    }
    return found;
}

const char *vmx_feature_name(unsigned n)
{
    for (unsigned i = 0; i < NEED_COUNT; i++) {
        if (caps_rows[i].qemu[0] && n-- == 0)
            return caps_rows[i].qemu;
    }
    return NULL;
}

const char *vmx_control_title(enum control_group group, unsigned bit)
{
    for (unsigned i = 0; i < NEED_COUNT; i++) {
        if (caps_rows[i].group == group && caps_rows[i].bit == bit)
            return caps_rows[i].title;
    }
    return NULL;
}

static bool caps_possible(const struct vmx_caps *caps, const struct caps_row *row,
                          const uint64_t *features)
{
    if (!caps->on[row->needs] || !caps->on[caps_group_needs[row->group]])
        return false;
    return row->feature == FEAT_BASE || bit(features[row->feature / 64], row->feature % 64);
}

/* Each round may switch off what others need; ends because nothing is switched on. */
static void caps_close(struct vmx_caps *caps, const uint64_t *features)
{
    bool changed = true;

    caps->on[NEED_BASE] = true;
    while (changed) {
        changed = false;
        for (unsigned i = 1; i < NEED_COUNT; i++) {
            if (!caps->on[i] || caps_possible(caps, &caps_rows[i], features))
                continue;
            caps->on[i] = false;
            changed = true;
        }
    }
    /* the default1 class is only fixed to 1 when the TRUE_* MSRs cannot say otherwise */
    for (unsigned i = 0; i < NEED_COUNT; i++) {
        if (caps_rows[i].or_1 && !caps->on[NEED_TRUE_CONTROLS])
            caps->on[i] = false;
    }
}

static void caps_controls(struct vmx_caps *caps)
{
    memcpy(caps->must_1, caps_default1, sizeof caps->must_1);
    memcpy(caps->may_1, caps_default1, sizeof caps->may_1);
    for (unsigned i = 0; i < NEED_COUNT; i++) {
        const struct caps_row *row = &caps_rows[i];
        uint32_t mask = (uint32_t)1 << row->bit % 32;

        if (row->group == CONTROL_GROUPS || !caps->on[i])
            continue;
        caps->may_1[row->group] |= mask;
        if (row->or_1)
            caps->must_1[row->group] &= ~mask;
    }
}

void vmx_caps_settle(struct vmx_caps *caps, const uint64_t *features, uint64_t cr4_valid)
{
    uint64_t *reg[] = {
        [REG_BASIC] = &caps->basic, [REG_MISC] = &caps->misc, [REG_EPT_VPID] = &caps->ept_vpid
    };

    caps_close(caps, features);
    caps_controls(caps);
    caps->max_cr3_targets = CR3_TARGETS;
    caps->timer_shift = 5;
    caps->basic = VMCS_REVISION | PAGE_SIZE << 32 | UINT64_C(6) << 50; /* write-back */
    caps->misc = caps->timer_shift | (uint64_t)caps->max_cr3_targets << 16;
    caps->ept_vpid = 0;
    for (unsigned i = 0; i < NEED_COUNT; i++) {
        if (caps_rows[i].reg != REG_NONE && caps->on[i])
            *reg[caps_rows[i].reg] |= BIT(caps_rows[i].bit);
    }
    caps->cr0_fixed_0 = CR0_PE | CR0_NE | CR0_PG;
    caps->cr0_fixed_1 = UINT32_MAX;
    caps->cr4_fixed_0 = CR4_VMXE;
    caps->cr4_fixed_1 = cr4_valid | CR4_VMXE;
}

static uint64_t caps_true(const struct vmx_caps *caps, enum control_group g)
{
    return caps->must_1[g] | (uint64_t)caps->may_1[g] << 32;
}

/* the older MSR of a group: the default1 class reads as "must be 1" */
static uint64_t caps_old(const struct vmx_caps *caps, enum control_group g)
{
    return caps_true(caps, g) | caps_default1[g];
}

bool vmx_caps_msr(const struct vmx_caps *caps, uint32_t msr, uint64_t *value)
{
    bool exists = true;

    switch (msr) {
    case 0x480: *value = caps->basic; break;
    case 0x481: *value = caps_old(caps, GROUP_PIN); break;
    case 0x482: *value = caps_old(caps, GROUP_PROC); break;
    case 0x483: *value = caps_old(caps, GROUP_EXIT); break;
    case 0x484: *value = caps_old(caps, GROUP_ENTRY); break;
    case 0x485: *value = caps->misc; break;
    case 0x486: *value = caps->cr0_fixed_0; break;
    case 0x487: *value = caps->cr0_fixed_1; break;
    case 0x488: *value = caps->cr4_fixed_0; break;
    case 0x489: *value = caps->cr4_fixed_1; break;
    case 0x48a: *value = vmcs_enum(caps); break;
    case 0x48b:
        *value = caps_true(caps, GROUP_PROC2);
        exists = caps->on[NEED_PROC_SECONDARY];
        break;
    case 0x48c:
        *value = caps->ept_vpid;
        exists = caps->on[NEED_PROC2_EPT] || caps->on[NEED_PROC2_VPID];
        break;
    case 0x48d:
    case 0x48e:
    case 0x48f:
    case 0x490: {
        static const uint8_t groups[] = { GROUP_PIN, GROUP_PROC, GROUP_EXIT, GROUP_ENTRY };

        *value = caps_true(caps, groups[msr - 0x48d]);
        exists = caps->on[NEED_TRUE_CONTROLS];
        break;
    }
    case 0x491:
        *value = caps->may_1[GROUP_VMFUNC];
        exists = caps->on[NEED_PROC2_VM_FUNCTIONS];
        break;
    default: exists = false; break;
    }
    return exists;
}
