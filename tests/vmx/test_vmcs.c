/* VMCS fields and regions. [SDM 3C "VMCS Data"; SDM 3D "Field Encoding in VMCS"] */
#include "tests/support/lab.h"

START_TEST(each_field_reads_what_was_written)
{
    const struct vmcs_field *f = &vmcs_fields[_i];
    struct lab *lab = lab_ready_to_launch();
    uint64_t value = UINT64_C(0x123456789abcdef0) >> (64 - 8 * f->bytes);

    lab->cpu->r[RAX] = f->encoding;
    lab->cpu->r[RBX] = value;
    lab_execute(lab, "\x0f\x79\xc3"); /* vmwrite rax, rbx */
    expect_vmsucceed(lab);
    lab_execute(lab, "\x0f\x78\xc1"); /* vmread rcx, rax */
    expect_vmsucceed(lab);
    ck_assert_uint_eq(lab->cpu->r[RCX], value);
    lab_destroy(lab);
}
END_TEST

START_TEST(narrow_fields_drop_the_upper_bits)
{
    struct lab *lab = lab_ready_to_launch();

    lab->cpu->r[RAX] = 0x0000;
    lab->cpu->r[RBX] = UINT64_C(0xffffffffffff0007);
    lab_execute(lab, "\x0f\x79\xc3\x0f\x78\xc1");
    ck_assert_uint_eq(lab->cpu->r[RCX], 7);
    lab_destroy(lab);
}
END_TEST

START_TEST(the_high_half_of_a_64_bit_field_is_a_field)
{
    struct lab *lab = lab_ready_to_launch();

    lab_vmwrite(lab, TSC_OFFSET, UINT64_C(0x1111111122222222));
    lab->cpu->r[RAX] = 0x2011;
    lab->cpu->r[RBX] = UINT64_C(0x9999999933333333);
    lab_execute(lab, "\x0f\x79\xc3");
    ck_assert_uint_eq(lab_vmread(lab, TSC_OFFSET), UINT64_C(0x3333333322222222));
    lab_execute(lab, "\x0f\x78\xc1");
    ck_assert_uint_eq(lab->cpu->r[RCX], 0x33333333);
    lab_destroy(lab);
}
END_TEST

START_TEST(vmclear_writes_the_fields_back_and_vmptrld_finds_them)
{
    struct lab *lab = lab_ready_to_launch();

    lab_vmlaunch(lab);
    expect_exit(lab, 10, 0);
    lab_vmwrite(lab, GUEST_RSP, 0x1234);
    lab_poke(lab, LAB_DATA, LAB_VMCS, 8);
    lab_execute(lab, "\x66\x0f\xc7\x34\x25\x00\xc0\x01\x00"); /* vmclear */
    ck_assert_uint_eq(lab->vmx->current_pa, UINT64_MAX);
    ck_assert_ptr_null(vmx_cached(lab->vmx, LAB_VMCS));
    lab_execute(lab, "\x0f\xc7\x34\x25\x00\xc0\x01\x00"); /* vmptrld */
    ck_assert_uint_eq(lab_vmread(lab, GUEST_RSP), 0x1234);
    lab_vmresume(lab);
    expect_vmfail_valid(lab, 5); /* it is clear again */
    lab_vmlaunch(lab);
    expect_exit(lab, 10, 0);
    lab_destroy(lab);
}
END_TEST

START_TEST(more_vmcss_than_are_cached_keep_their_fields)
{
    struct lab *lab = lab_ready_to_launch();

    for (uint64_t i = 0; i < 40; i++) {
        lab_poke(lab, 0x100000 + i * 0x1000, VMCS_REVISION, 4);
        vmx_make_current(lab->vmx, 0x100000 + i * 0x1000);
        lab_vmwrite(lab, GUEST_RIP, i);
    }
    for (uint64_t i = 0; i < 40; i++) {
        vmx_make_current(lab->vmx, 0x100000 + i * 0x1000);
        ck_assert_uint_eq(lab_vmread(lab, GUEST_RIP), i);
    }
    vmx_make_current(lab->vmx, LAB_VMCS);
    lab_vmlaunch(lab);
    expect_exit(lab, 10, 0);
    lab_destroy(lab);
}
END_TEST

START_TEST(fields_of_switched_off_controls_do_not_exist)
{
    static const char *const off[] = { "vmx-ept", "vmx-preemption-timer", NULL };
    struct lab *lab = lab_create_without(off);

    ck_assert_ptr_null(vmcs_find(&lab->vmx->map, 0x201a)); /* EPT pointer */
    ck_assert_ptr_null(vmcs_find(&lab->vmx->map, 0x482e)); /* preemption-timer value */
    ck_assert_ptr_nonnull(vmcs_find(&lab->vmx->map, 0x681e));
    lab_destroy(lab);
}
END_TEST

START_TEST(a_snapshot_goes_on_where_it_was_made)
{
    struct lab *lab = lab_ready_to_launch();
    uint8_t image[512];
    size_t bytes;

    lab_vmlaunch(lab);
    vmx_save_prepare(lab->cpu);
    bytes = fields_save(lab->vmx, vmx_fields, image);
    lab_vmwrite(lab, GUEST_RIP, 0); /* spoilt after the snapshot */
    ck_assert(fields_restore(lab->vmx, vmx_fields, image, bytes));
    vmx_settle(lab->cpu);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_RIP), LAB_GUEST_CODE);
    lab_vmresume(lab);
    expect_exit(lab, 10, 0);
    lab_destroy(lab);
}
END_TEST

Suite *suite_vmx_vmcs(void)
{
    Suite *s = suite_create("vmx_vmcs");
    TCase *t = tcase_create("vmcs");

    tcase_add_loop_test(t, each_field_reads_what_was_written, 0, VMCS_FIELD_COUNT);
    tcase_add_test(t, narrow_fields_drop_the_upper_bits);
    tcase_add_test(t, the_high_half_of_a_64_bit_field_is_a_field);
    tcase_add_test(t, vmclear_writes_the_fields_back_and_vmptrld_finds_them);
    tcase_add_test(t, more_vmcss_than_are_cached_keep_their_fields);
    tcase_add_test(t, fields_of_switched_off_controls_do_not_exist);
    tcase_add_test(t, a_snapshot_goes_on_where_it_was_made);
    suite_add_tcase(s, t);
    return s;
}
