/* The instructions of VMX: VMsucceed, VMfail with its numbers, exceptions.
 * [SDM 3C "VMX Instruction Reference", "VM Instruction Error Numbers"] */
#include "tests/support/lab.h"

#define CODE_VMXON "\xf3\x0f\xc7\x34\x25\x00\xc0\x01\x00" /* vmxon [LAB_DATA] */
#define CODE_VMXOFF "\x0f\x01\xc4"
#define CODE_VMCLEAR "\x66\x0f\xc7\x34\x25\x00\xc0\x01\x00"
#define CODE_VMPTRLD "\x0f\xc7\x34\x25\x00\xc0\x01\x00"
#define CODE_VMPTRST "\x0f\xc7\x3c\x25\x08\xc0\x01\x00"        /* vmptrst [LAB_DATA + 8] */
#define CODE_VMREAD "\x0f\x78\xc3"                             /* vmread rbx, rax */
#define CODE_VMWRITE "\x0f\x79\xc3"                            /* vmwrite rax, rbx */
#define CODE_INVEPT "\x66\x0f\x38\x80\x04\x25\x00\xc0\x01\x00" /* invept rax, [LAB_DATA] */
#define CODE_INVVPID "\x66\x0f\x38\x81\x04\x25\x00\xc0\x01\x00"
#define CODE_VMCALL "\x0f\x01\xc1"
#define CODE_VMFUNC "\x0f\x01\xd4"

static void pointer(struct lab *lab, uint64_t pa)
{
    lab_poke(lab, LAB_DATA, pa, 8);
}

static struct lab *in_root(void)
{
    struct lab *lab = lab_create();

    pointer(lab, LAB_VMXON);
    lab_execute(lab, CODE_VMXON);
    expect_vmsucceed(lab);
    return lab;
}

START_TEST(outside_vmx_operation_every_instruction_but_vmxon_raises_ud)
{
    static const struct {
        const char *code;
        size_t bytes;
    } all[] = {
        { CODE_VMXOFF, 3 }, { CODE_VMCLEAR, 9 }, { CODE_VMPTRLD, 8 },   { CODE_VMPTRST, 8 },
        { CODE_VMREAD, 3 }, { CODE_VMWRITE, 3 }, { CODE_INVEPT, 10 },   { CODE_INVVPID, 10 },
        { CODE_VMCALL, 3 }, { CODE_VMFUNC, 3 },  { "\x0f\x01\xc2", 3 }, { "\x0f\x01\xc3", 3 },
    };
    struct lab *lab = lab_create();

    lab_run(lab, all[_i].code, all[_i].bytes);
    expect_exception(lab, 6);
    lab_destroy(lab);
}
END_TEST

START_TEST(vmxon_needs_cr4_vmxe)
{
    struct lab *lab = lab_create();

    lab->cpu->cr4 &= ~CR4_VMXE;
    pointer(lab, LAB_VMXON);
    lab_execute(lab, CODE_VMXON);
    expect_exception(lab, 6);
    lab_destroy(lab);
}
END_TEST

START_TEST(vmxon_needs_a_locked_feature_control_with_vmx_on)
{
    static const uint64_t refused[] = { 0, 1, 4 };
    struct lab *lab = lab_create();

    lab->cpu->msr.feature_control = refused[_i];
    pointer(lab, LAB_VMXON);
    lab_execute(lab, CODE_VMXON);
    expect_exception(lab, 13);
    lab_destroy(lab);
}
END_TEST

START_TEST(vmxon_needs_cr0_ne)
{
    struct lab *lab = lab_create();

    lab->cpu->cr0 &= ~CR0_NE;
    pointer(lab, LAB_VMXON);
    lab_execute(lab, CODE_VMXON);
    expect_exception(lab, 13);
    lab_destroy(lab);
}
END_TEST

START_TEST(vmxon_of_a_bad_region_fails_invalid)
{
    static const uint64_t bad[] = { LAB_VMXON + 8, UINT64_C(1) << 46, LAB_DATA & ~0xfff };
    struct lab *lab = lab_create();

    pointer(lab, bad[_i]);
    lab_execute(lab, CODE_VMXON);
    expect_vmfail_invalid(lab);
    ck_assert(!lab->cpu->vmx_operation);
    lab_destroy(lab);
}
END_TEST

START_TEST(vmx_operation_keeps_cr0_pg_and_cr4_vmxe)
{
    struct lab *lab = in_root();

    lab_execute(lab, "\x0f\x20\xe0\x25\xff\xdf\xff\xff\x0f\x22\xe0"); /* and CR4, not VMXE */
    expect_exception(lab, 13);
    lab_execute(lab, CODE_VMXOFF);
    expect_vmsucceed(lab);
    lab_execute(lab, "\x0f\x20\xe0\x25\xff\xdf\xff\xff\x0f\x22\xe0");
    ck_assert_uint_eq(lab->cpu->cr4 & CR4_VMXE, 0);
    lab_destroy(lab);
}
END_TEST

START_TEST(vmxon_in_root_operation_fails_with_error_15)
{
    struct lab *lab = lab_ready_to_launch();

    lab_execute(lab, CODE_VMXON);
    expect_vmfail_valid(lab, 15);
    lab_destroy(lab);
}
END_TEST

START_TEST(without_a_current_vmcs_failures_are_invalid)
{
    struct lab *lab = in_root();

    lab_execute(lab, CODE_VMXON);
    expect_vmfail_invalid(lab);
    lab->cpu->r[RAX] = 0x681e;
    lab_execute(lab, CODE_VMREAD);
    expect_vmfail_invalid(lab);
    lab_execute(lab, CODE_VMWRITE);
    expect_vmfail_invalid(lab);
    lab_vmlaunch(lab);
    expect_vmfail_invalid(lab);
    lab_destroy(lab);
}
END_TEST

START_TEST(at_cpl_3_vmread_raises_gp)
{
    struct lab *lab = in_root();

    lab->cpu->cpl = 3;
    cpu_update_key(lab->cpu);
    lab->cpu->rip = LAB_CODE;
    lab_poke(lab, LAB_TSS + 4, LAB_HOST_STACK, 8);
    lab_execute(lab, CODE_VMREAD);
    expect_exception(lab, 13);
    lab_destroy(lab);
}
END_TEST

START_TEST(vmclear_fails_with_2_and_3)
{
    struct lab *lab = lab_ready_to_launch();

    pointer(lab, LAB_VMCS_2 + 1);
    lab_execute(lab, CODE_VMCLEAR);
    expect_vmfail_valid(lab, 2);
    pointer(lab, UINT64_C(1) << 46);
    lab_execute(lab, CODE_VMCLEAR);
    expect_vmfail_valid(lab, 2);
    pointer(lab, LAB_VMXON);
    lab_execute(lab, CODE_VMCLEAR);
    expect_vmfail_valid(lab, 3);
    lab_destroy(lab);
}
END_TEST

START_TEST(vmptrld_fails_with_9_10_and_11)
{
    struct lab *lab = lab_ready_to_launch();

    pointer(lab, LAB_VMCS_2 + 0x800);
    lab_execute(lab, CODE_VMPTRLD);
    expect_vmfail_valid(lab, 9);
    pointer(lab, LAB_VMXON);
    lab_execute(lab, CODE_VMPTRLD);
    expect_vmfail_valid(lab, 10);
    pointer(lab, LAB_DATA & ~0xfff);
    lab_execute(lab, CODE_VMPTRLD);
    expect_vmfail_valid(lab, 11);
    ck_assert_uint_eq(lab->vmx->current_pa, LAB_VMCS);
    lab_destroy(lab);
}
END_TEST

START_TEST(vmptrst_stores_the_current_pointer)
{
    struct lab *lab = in_root();

    lab_execute(lab, CODE_VMPTRST);
    expect_vmsucceed(lab);
    ck_assert_uint_eq(lab_peek(lab, LAB_DATA + 8, 8), UINT64_MAX);
    pointer(lab, LAB_VMCS);
    lab_execute(lab, CODE_VMPTRLD CODE_VMPTRST);
    ck_assert_uint_eq(lab_peek(lab, LAB_DATA + 8, 8), LAB_VMCS);
    lab_destroy(lab);
}
END_TEST

START_TEST(vmread_and_vmwrite_of_no_field_fail_with_12)
{
    static const uint64_t none[] = {
        0x0006, 0x4014 | 1, 0x681e | 1, 0x9000, 0x7000, 0x10000, UINT64_C(0x10000681e),
        0x2034, 0x2026
    };
    struct lab *lab = lab_ready_to_launch();

    lab->cpu->r[RAX] = none[_i];
    lab_execute(lab, CODE_VMREAD);
    expect_vmfail_valid(lab, 12);
    lab_execute(lab, CODE_VMWRITE);
    expect_vmfail_valid(lab, 12);
    lab_destroy(lab);
}
END_TEST

START_TEST(vmwrite_to_exit_information_fails_with_13_unless_misc_bit_29)
{
    static const char *const off[] = { "vmx-vmwrite-vmexit-fields", NULL };
    struct lab *lab = lab_create_without(_i ? off : NULL);

    pointer(lab, LAB_VMXON);
    lab_execute(lab, CODE_VMXON);
    pointer(lab, LAB_VMCS);
    lab_execute(lab, CODE_VMPTRLD);
    lab->cpu->r[RAX] = 0x4402;
    lab->cpu->r[RBX] = 0x1234;
    lab_execute(lab, CODE_VMWRITE);
    if (_i)
        expect_vmfail_valid(lab, 13);
    else
        ck_assert_uint_eq(lab_vmread(lab, EXIT_REASON), 0x1234);
    lab_destroy(lab);
}
END_TEST

START_TEST(vmlaunch_and_vmresume_want_their_launch_state)
{
    struct lab *lab = lab_ready_to_launch();

    lab_vmresume(lab);
    expect_vmfail_valid(lab, 5);
    lab_vmlaunch(lab);
    expect_exit(lab, 10, 0);
    lab_vmlaunch(lab);
    expect_vmfail_valid(lab, 4);
    lab_vmresume(lab);
    expect_exit(lab, 10, 0);
    lab_destroy(lab);
}
END_TEST

START_TEST(vm_entry_after_mov_ss_fails_with_26)
{
    struct lab *lab = lab_ready_to_launch();

    lab->cpu->r[RAX] = 0x10;
    lab_execute(lab, "\x8e\xd0\x0f\x01\xc2"); /* mov ss, eax; vmlaunch */
    expect_vmfail_valid(lab, 26);
    lab_destroy(lab);
}
END_TEST

START_TEST(vmcall_in_root_operation_fails_with_1)
{
    struct lab *lab = lab_ready_to_launch();

    lab_execute(lab, CODE_VMCALL);
    expect_vmfail_valid(lab, 1);
    lab_destroy(lab);
}
END_TEST

START_TEST(invept_wants_a_supported_type_and_a_good_eptp)
{
    struct lab *lab = lab_ready_to_launch();

    lab->cpu->r[RAX] = 1;
    pointer(lab, LAB_EPTP);
    lab_execute(lab, CODE_INVEPT);
    expect_vmsucceed(lab);
    pointer(lab, LAB_EPTP | 0x80);
    lab_execute(lab, CODE_INVEPT);
    expect_vmfail_valid(lab, 28);
    lab->cpu->r[RAX] = 2;
    lab_execute(lab, CODE_INVEPT);
    expect_vmsucceed(lab);
    lab->cpu->r[RAX] = 3;
    lab_execute(lab, CODE_INVEPT);
    expect_vmfail_valid(lab, 28);
    lab->cpu->r[RAX] = 0;
    lab_execute(lab, CODE_INVEPT);
    expect_vmfail_valid(lab, 28);
    lab_destroy(lab);
}
END_TEST

START_TEST(invvpid_wants_a_supported_type_and_a_vpid)
{
    static const struct {
        uint64_t type, vpid, linear;
        bool good;
    } rows[] = {
        { 0, 1, 0x1000, true }, { 0, 0, 0x1000, false },  { 0, 1, UINT64_C(0x800000000000), false },
        { 1, 1, 0, true },      { 1, 0, 0, false },       { 1, 0x10001, 0, false },
        { 2, 0, 0, true },      { 2, 0x10000, 0, false }, { 3, 1, 0, true },
        { 3, 0, 0, false },     { 4, 1, 0, false },
    };
    struct lab *lab = lab_ready_to_launch();

    lab->cpu->r[RAX] = rows[_i].type;
    pointer(lab, rows[_i].vpid);
    lab_poke(lab, LAB_DATA + 8, rows[_i].linear, 8);
    lab_execute(lab, CODE_INVVPID);
    if (rows[_i].good)
        expect_vmsucceed(lab);
    else
        expect_vmfail_valid(lab, 28);
    lab_destroy(lab);
}
END_TEST

START_TEST(vmfunc_in_root_operation_raises_ud)
{
    struct lab *lab = lab_ready_to_launch();

    lab_execute(lab, CODE_VMFUNC);
    expect_exception(lab, 6);
    lab_destroy(lab);
}
END_TEST

START_TEST(in_the_guest_each_instruction_exits_with_its_operands)
{
    static const struct {
        const char *code;
        size_t bytes;
        unsigned reason;
        uint64_t qualification;
        uint32_t info; /* the instruction information, where there is one */
    } rows[] = {
        /* no base, no index: 22 and 27 are 1; DS; 64-bit addresses: 9:7 = 2 */
        { CODE_VMXON, 9, 27, LAB_DATA, 0x08418100 },
        { CODE_VMCLEAR, 9, 19, LAB_DATA, 0x08418100 },
        { CODE_VMPTRLD, 8, 21, LAB_DATA, 0x08418100 },
        { CODE_VMPTRST, 8, 22, LAB_DATA + 8, 0x08418100 },
        { CODE_INVEPT, 10, 50, LAB_DATA, 0x08418100 },
        { CODE_INVVPID, 10, 53, LAB_DATA, 0x08418100 },
        { CODE_VMREAD, 3, 23, 0,
          0x418 }, /* registers: reg1 RBX in 6:3, bit 10, reg2 RAX in 31:28 */
        { "\x0f\x79\xcb", 3, 25, 0, 0x10000418 },
        { "\x0f\x78\x4c\xf3\xf8", 5, 23, UINT64_C(0xfffffffffffffff8), 0x11998103 },
        { CODE_VMCALL, 3, 18, 0, 0 },
        { CODE_VMXOFF, 3, 26, 0, 0 },
        { "\x0f\x01\xc2", 3, 20, 0, 0 },
        { "\x0f\x01\xc3", 3, 24, 0, 0 },
    };
    struct lab *lab = lab_ready_to_launch();

    lab_guest(lab, rows[_i].code, rows[_i].bytes);
    lab_vmlaunch(lab);
    expect_exit(lab, rows[_i].reason, rows[_i].qualification);
    ck_assert_uint_eq(lab_vmread(lab, EXIT_INSN_LENGTH), rows[_i].bytes);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_RIP), LAB_GUEST_CODE);
    ck_assert_uint_eq(lab_vmread(lab, EXIT_INSN_INFO), rows[_i].info);
    lab_destroy(lab);
}
END_TEST

START_TEST(features_that_are_off_take_their_instructions_along)
{
    static const char *const off[] = { "vmx-ept", "vmx-vpid", NULL };
    struct lab *lab = lab_create_without(off);

    pointer(lab, LAB_VMXON);
    lab_execute(lab, CODE_VMXON CODE_INVEPT);
    expect_exception(lab, 6);
    lab_execute(lab, CODE_INVVPID);
    expect_exception(lab, 6);
    lab_destroy(lab);
}
END_TEST

Suite *suite_vmx_vmx_insn(void)
{
    Suite *s = suite_create("vmx_vmx_insn");
    TCase *t = tcase_create("vmx_insn");

    tcase_add_loop_test(t, outside_vmx_operation_every_instruction_but_vmxon_raises_ud, 0, 12);
    tcase_add_test(t, vmxon_needs_cr4_vmxe);
    tcase_add_loop_test(t, vmxon_needs_a_locked_feature_control_with_vmx_on, 0, 3);
    tcase_add_test(t, vmxon_needs_cr0_ne);
    tcase_add_loop_test(t, vmxon_of_a_bad_region_fails_invalid, 0, 3);
    tcase_add_test(t, vmx_operation_keeps_cr0_pg_and_cr4_vmxe);
    tcase_add_test(t, vmxon_in_root_operation_fails_with_error_15);
    tcase_add_test(t, without_a_current_vmcs_failures_are_invalid);
    tcase_add_test(t, at_cpl_3_vmread_raises_gp);
    tcase_add_test(t, vmclear_fails_with_2_and_3);
    tcase_add_test(t, vmptrld_fails_with_9_10_and_11);
    tcase_add_test(t, vmptrst_stores_the_current_pointer);
    tcase_add_loop_test(t, vmread_and_vmwrite_of_no_field_fail_with_12, 0, 9);
    tcase_add_loop_test(t, vmwrite_to_exit_information_fails_with_13_unless_misc_bit_29, 0, 2);
    tcase_add_test(t, vmlaunch_and_vmresume_want_their_launch_state);
    tcase_add_test(t, vm_entry_after_mov_ss_fails_with_26);
    tcase_add_test(t, vmcall_in_root_operation_fails_with_1);
    tcase_add_test(t, invept_wants_a_supported_type_and_a_good_eptp);
    tcase_add_loop_test(t, invvpid_wants_a_supported_type_and_a_vpid, 0, 11);
    tcase_add_test(t, vmfunc_in_root_operation_raises_ud);
    tcase_add_loop_test(t, in_the_guest_each_instruction_exits_with_its_operands, 0, 13);
    tcase_add_test(t, features_that_are_off_take_their_instructions_along);
    suite_add_tcase(s, t);
    return s;
}
