/* Capability MSRs. [SDM 3D "VMX Capability Reporting Facility"] */
#include "tests/support/lab.h"

static uint64_t msr(struct lab *lab, uint32_t number)
{
    uint64_t value = 0;

    ck_assert_msg(lab->cpu->virt->cap_read(lab->cpu, number, &value), "MSR %x", number);
    return value;
}

START_TEST(the_msrs_say_what_kvm_needs)
{
    struct lab *lab = lab_create();

    ck_assert_uint_eq(bits(msr(lab, 0x480), 44, 32), 4096);
    ck_assert_uint_eq(bits(msr(lab, 0x480), 53, 50), 6);
    ck_assert(bit(msr(lab, 0x480), 55));
    ck_assert(!bit(msr(lab, 0x480), 48) && !bit(msr(lab, 0x480), 31));
    ck_assert_uint_eq(msr(lab, 0x486), 0x80000021);
    ck_assert_uint_eq(msr(lab, 0x487), 0xffffffff);
    ck_assert_uint_eq(msr(lab, 0x488), 0x2000);
    ck_assert_uint_eq((uint32_t)msr(lab, 0x482), 0x0401e172);
    ck_assert_uint_eq((uint32_t)msr(lab, 0x48e), 0x04006172);
    ck_assert_uint_eq((uint32_t)msr(lab, 0x483), 0x00036dff);
    ck_assert_uint_eq((uint32_t)msr(lab, 0x48f), 0x00036dfb);
    ck_assert_uint_eq((uint32_t)msr(lab, 0x484), 0x000011ff);
    ck_assert_uint_eq((uint32_t)msr(lab, 0x490), 0x000011fb);
    ck_assert_uint_eq((uint32_t)msr(lab, 0x481), 0x16);
    ck_assert_uint_eq((uint32_t)msr(lab, 0x48b), 0);
    ck_assert_uint_eq(bits(msr(lab, 0x485), 24, 16), 4);
    ck_assert_uint_eq(msr(lab, 0x48a), 0x33 & ~1); /* TSC multiplier: index 25 */
    ck_assert_uint_eq(msr(lab, 0x491), 1);
    lab_destroy(lab);
}
END_TEST

START_TEST(a_control_that_is_off_must_be_0_and_takes_dependents_along)
{
    static const char *const off[] = { "vmx-ept", NULL };
    struct lab *lab = lab_create_without(off);
    uint64_t may = msr(lab, 0x48b) >> 32;

    ck_assert_uint_eq(may & (1 << 1 | 1 << 7 | 1 << 17), 0); /* EPT, unrestricted guest, PML */
    ck_assert_uint_eq(msr(lab, 0x48c) & UINT32_MAX, 0);      /* nothing of EPT, INVVPID stays */
    ck_assert(bit(msr(lab, 0x48c), 32));
    lab_destroy(lab);
}
END_TEST

START_TEST(without_secondary_controls_their_msr_does_not_exist)
{
    static const char *const off[] = { "vmx-secondary-ctls", NULL };
    struct lab *lab = lab_create_without(off);
    uint64_t value;

    ck_assert(!lab->cpu->virt->cap_read(lab->cpu, 0x48b, &value));
    ck_assert(!lab->cpu->virt->cap_read(lab->cpu, 0x48c, &value));
    ck_assert(!lab->cpu->virt->cap_read(lab->cpu, 0x491, &value));
    lab_destroy(lab);
}
END_TEST

START_TEST(without_true_controls_default1_bits_must_be_1)
{
    static const char *const off[] = { "vmx-true-ctls", NULL };
    struct lab *lab = lab_create_without(off);
    uint64_t value;

    ck_assert(!lab->cpu->virt->cap_read(lab->cpu, 0x48d, &value));
    ck_assert_uint_eq(lab->caps.must_1[GROUP_PROC], 0x0401e172);
    lab_destroy(lab);
}
END_TEST

START_TEST(each_feature_can_be_switched_off)
{
    const char *name = vmx_feature_name((unsigned)_i);
    struct vmx_caps caps;

    if (!name)
        return;
    vmx_caps_init(&caps);
    ck_assert(vmx_feature_set(&caps, name, false));
    ck_assert(!strncmp(name, "vmx-", 4));
}
END_TEST

START_TEST(an_unknown_feature_is_refused)
{
    struct vmx_caps caps;

    vmx_caps_init(&caps);
    ck_assert(!vmx_feature_set(&caps, "vmx-no-such-thing", false));
    ck_assert(!vmx_feature_set(&caps, "", false));
}
END_TEST

Suite *suite_vmx_caps(void)
{
    Suite *s = suite_create("vmx_caps");
    TCase *t = tcase_create("caps");

    tcase_add_test(t, the_msrs_say_what_kvm_needs);
    tcase_add_test(t, a_control_that_is_off_must_be_0_and_takes_dependents_along);
    tcase_add_test(t, without_secondary_controls_their_msr_does_not_exist);
    tcase_add_test(t, without_true_controls_default1_bits_must_be_1);
    tcase_add_loop_test(t, each_feature_can_be_switched_off, 0, NEED_COUNT);
    tcase_add_test(t, an_unknown_feature_is_refused);
    suite_add_tcase(s, t);
    return s;
}
