/* EPT: translation, violations, misconfigurations, accessed and dirty flags, page-modification
 * logging, INVEPT, EPTP switching. [SDM 3C "The Extended Page Table Mechanism (EPT)"] */
#include "tests/support/lab.h"

enum { PAGE = 0x1e000 }; /* the guest-physical page that is experimented with */

/* mov rbx, PAGE comes in a register */
#define READ "\x8a\x03\x0f\xa2"  /* mov al, [rbx]; cpuid */
#define WRITE "\x88\x03\x0f\xa2" /* mov [rbx], al; cpuid */
#define JUMP "\xff\xe3"          /* jmp rbx */

static struct lab *with_page(uint64_t entry)
{
    struct lab *lab = lab_ready_to_launch();

    lab_ept_small_pages(lab);
    lab_ept_page(lab, PAGE, entry);
    lab->cpu->r[RBX] = PAGE + 0x10;
    lab_poke(lab, PAGE + 0x10, 0xa20f, 2); /* a CPUID to jump to */
    return lab;
}

static void run(struct lab *lab, const char *code)
{
    lab_guest(lab, code, strlen(code));
    lab_vmlaunch(lab);
}

START_TEST(rights_decide_and_show_in_the_qualification)
{
    static const struct {
        const char *code;
        unsigned entry;         /* bits 2:0 */
        unsigned qualification; /* 0: no violation */
    } rows[] = {
        { READ, 0, 0x181 },  { WRITE, 0, 0x182 }, { JUMP, 0, 0x184 },  { READ, 1, 0 },
        { WRITE, 1, 0x18a }, { JUMP, 1, 0x18c },  { READ, 3, 0 },      { WRITE, 3, 0 },
        { JUMP, 3, 0x19c },  { READ, 4, 0x1a1 },  { WRITE, 4, 0x1a2 }, { JUMP, 4, 0 },
        { READ, 5, 0 },      { WRITE, 5, 0x1aa }, { JUMP, 5, 0 },      { READ, 7, 0 },
        { WRITE, 7, 0 },     { JUMP, 7, 0 },
    };
    struct lab *lab = with_page(PAGE | 6 << 3 | rows[_i].entry);

    run(lab, rows[_i].code);
    if (rows[_i].qualification) {
        expect_exit(lab, 48, rows[_i].qualification);
        ck_assert_uint_eq(lab_vmread(lab, GUEST_PHYSICAL_ADDRESS), PAGE + 0x10);
        ck_assert_uint_eq(lab_vmread(lab, GUEST_LINEAR_ADDRESS), PAGE + 0x10);
    } else {
        expect_exit(lab, 10, 0);
    }
    lab_destroy(lab);
}
END_TEST

START_TEST(misconfigured_entries_exit)
{
    static const uint64_t bad[] = {
        PAGE | 2,
        PAGE | 6, /* write without read */
        PAGE | 7 | 2 << 3,
        PAGE | 7 | 3 << 3,
        PAGE | 7 | 7 << 3,                     /* memory types */
        PAGE | 7 | 6 << 3 | UINT64_C(1) << 46, /* beyond the physical-address width */
        PAGE | 7 | 6 << 3 | UINT64_C(1) << 51,
    };
    struct lab *lab = with_page(bad[_i]);

    run(lab, READ);
    expect_exit(lab, 49, 0);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_PHYSICAL_ADDRESS), PAGE + 0x10);
    lab_destroy(lab);
}
END_TEST

START_TEST(reserved_bits_of_upper_entries_are_misconfigurations)
{
    static const struct {
        uint64_t at, entry;
    } bad[] = {
        { LAB_EPT_PML4, LAB_EPT_PDPT | 7 | 1 << 3 },   { LAB_EPT_PML4, LAB_EPT_PDPT | 7 | 1 << 7 },
        { LAB_EPT_PDPT, LAB_EPT_PD | 7 | 1 << 4 },     { LAB_EPT_PD, LAB_EPT_PT | 7 | 1 << 6 },
        { LAB_EPT_PDPT, 0x80 | 6 << 3 | 7 | 1 << 12 }, { LAB_EPT_PD, 0x80 | 6 << 3 | 7 | 1 << 12 },
    };
    struct lab *lab = with_page(PAGE | 6 << 3 | 7);

    lab_poke(lab, bad[_i].at, bad[_i].entry, 8);
    run(lab, READ);
    expect_exit(lab, 49, 0);
    lab_destroy(lab);
}
END_TEST

START_TEST(ignored_bits_are_ignored)
{
    struct lab *lab = with_page(PAGE | 6 << 3 | 7 | UINT64_C(0xfff0000000000000) | 0xf80);

    run(lab, READ);
    expect_exit(lab, 10, 0);
    lab_destroy(lab);
}
END_TEST

START_TEST(accesses_to_the_guests_paging_structures_are_told_apart)
{
    struct lab *lab = with_page(PAGE | 6 << 3 | 7);

    lab_ept_page(lab, LAB_PDPT, LAB_PDPT | 6 << 3); /* not present */
    run(lab, READ);
    expect_exit(lab, 48, 0x81);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_PHYSICAL_ADDRESS), LAB_PDPT);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_LINEAR_ADDRESS), LAB_GUEST_CODE);
    lab_destroy(lab);
}
END_TEST

START_TEST(setting_a_guest_accessed_flag_reads_and_writes)
{
    struct lab *lab = with_page(PAGE | 6 << 3 | 7);

    lab_vmwrite(lab, GUEST_CR3, 0x24000); /* structures that root operation does not use */
    lab_poke(lab, 0x24000, 0x25027, 8);
    lab_poke(lab, 0x25000, 0x87, 8); /* without its accessed flag */
    lab_ept_page(lab, 0x25000, 0x25000 | 6 << 3 | 1);
    run(lab, READ);
    expect_exit(lab, 48, 0x8b);
    lab_destroy(lab);
}
END_TEST

START_TEST(with_ad_flags_walks_are_writes)
{
    struct lab *lab = with_page(PAGE | 6 << 3 | 7);

    lab_vmwrite(lab, EPT_POINTER, LAB_EPTP | 0x40);
    lab_ept_page(lab, LAB_PDPT, LAB_PDPT | 6 << 3 | 5);
    run(lab, READ);
    expect_exit(lab, 48, 0xab);
    lab_destroy(lab);
}
END_TEST

START_TEST(accessed_and_dirty_flags_are_set_by_reads_and_writes)
{
    struct lab *lab = with_page(PAGE | 6 << 3 | 7);
    uint64_t at = LAB_EPT_PT + (PAGE >> 12) * 8;

    lab_vmwrite(lab, EPT_POINTER, LAB_EPTP | 0x40);
    run(lab, READ);
    expect_exit(lab, 10, 0);
    ck_assert_uint_eq(lab_peek(lab, at, 8), PAGE | 6 << 3 | 7 | 0x100);
    ck_assert_uint_eq(lab_peek(lab, LAB_EPT_PML4, 8) & 0x300, 0x100);
    ck_assert_uint_eq(lab_peek(lab, LAB_EPT_PDPT, 8) & 0x300, 0x100);
    lab_vmwrite(lab, GUEST_RIP, LAB_GUEST_CODE);
    lab_guest_code(lab, WRITE);
    lab_vmresume(lab);
    expect_exit(lab, 10, 0);
    ck_assert_uint_eq(lab_peek(lab, at, 8), PAGE | 6 << 3 | 7 | 0x300);
    lab_destroy(lab);
}
END_TEST

START_TEST(without_ad_flags_entries_stay_as_they_are)
{
    struct lab *lab = with_page(PAGE | 6 << 3 | 7);

    run(lab, WRITE);
    expect_exit(lab, 10, 0);
    ck_assert_uint_eq(lab_peek(lab, LAB_EPT_PT + (PAGE >> 12) * 8, 8), PAGE | 6 << 3 | 7);
    lab_destroy(lab);
}
END_TEST

static struct lab *with_log(uint16_t index)
{
    struct lab *lab = with_page(PAGE | 6 << 3 | 7);

    lab_vmwrite(lab, EPT_POINTER, LAB_EPTP | 0x40);
    lab_enable(lab, PROC2_CONTROLS, PROC2(PML));
    /* the page of the guest's paging structures is dirty already */
    lab_ept_page(lab, LAB_PDPT, LAB_PDPT | 6 << 3 | 7 | 0x300);
    lab_ept_page(lab, LAB_PML4, LAB_PML4 | 6 << 3 | 7 | 0x300);
    lab_vmwrite(lab, PML_INDEX, index);
    return lab;
}

START_TEST(the_log_names_pages_that_become_dirty_once)
{
    struct lab *lab = with_log(511);

    run(lab, "\x88\x03\x88\x43\x01\x0f\xa2");
    expect_exit(lab, 10, 0);
    ck_assert_uint_eq(lab_vmread(lab, PML_INDEX), 510);
    ck_assert_uint_eq(lab_peek(lab, LAB_PML + 511 * 8, 8), PAGE);
    lab_destroy(lab);
}
END_TEST

START_TEST(a_full_log_exits_before_the_page_is_dirty)
{
    struct lab *lab = with_log(0xffff);

    run(lab, WRITE);
    expect_exit(lab, 62, 0);
    ck_assert_uint_eq(lab_peek(lab, LAB_EPT_PT + (PAGE >> 12) * 8, 8) & 0x200, 0);
    ck_assert_uint_eq(lab_vmread(lab, GUEST_RIP), LAB_GUEST_CODE);
    lab_vmwrite(lab, PML_INDEX, 0);
    lab_vmresume(lab);
    expect_exit(lab, 10, 0);
    ck_assert_uint_eq(lab_vmread(lab, PML_INDEX), 0xffff);
    ck_assert_uint_eq(lab_peek(lab, LAB_PML, 8), PAGE);
    lab_destroy(lab);
}
END_TEST

START_TEST(a_cached_mapping_lives_until_invept)
{
    struct lab *lab = with_page(PAGE | 6 << 3 | 7);

    run(lab, READ);
    expect_exit(lab, 10, 0);
    lab_poke(lab, LAB_EPT_PT + (PAGE >> 12) * 8, 0, 8);
    lab_poke(lab, LAB_DATA, LAB_EPTP, 8);
    lab->cpu->r[RAX] = 1;
    lab_execute(lab, "\x66\x0f\x38\x80\x04\x25\x00\xc0\x01\x00"); /* invept */
    lab->cpu->r[RBX] = PAGE + 0x10;
    lab_vmwrite(lab, GUEST_RIP, LAB_GUEST_CODE);
    lab_vmresume(lab);
    expect_exit(lab, 48, 0x181);
    lab_destroy(lab);
}
END_TEST

/* Hypervisors without VPID clear EPT's flags and enter again, without INVEPT. */
START_TEST(without_vpid_vm_entry_drops_what_hides_a_cleared_dirty_flag)
{
    struct lab *lab = with_log(511);

    lab_vmwrite(lab, PROC2_CONTROLS, lab_vmread(lab, PROC2_CONTROLS) & ~PROC2(VPID));
    run(lab, WRITE);
    expect_exit(lab, 10, 0);
    lab_poke(lab, LAB_EPT_PT + (PAGE >> 12) * 8, PAGE | 6 << 3 | 7, 8);
    lab_vmwrite(lab, GUEST_RIP, LAB_GUEST_CODE);
    lab_vmresume(lab);
    expect_exit(lab, 10, 0);
    ck_assert_uint_eq(lab_vmread(lab, PML_INDEX), 509);
    lab_destroy(lab);
}
END_TEST

START_TEST(root_operation_sees_memory_without_ept)
{
    struct lab *lab = with_page(PAGE | 6 << 3);

    lab_poke(lab, PAGE + 0x10, 0x5a, 1);
    run(lab, READ);
    expect_exit(lab, 48, 0x181);
    lab->cpu->r[RBX] = PAGE + 0x10;
    lab_execute(lab, "\x8a\x03");
    ck_assert_uint_eq(lab->cpu->r[RAX] & 0xff, 0x5a);
    lab_destroy(lab);
}
END_TEST

/* ---- VM functions ---- */

static struct lab *with_eptp_list(void)
{
    struct lab *lab = with_page(PAGE | 6 << 3 | 7);

    lab_enable(lab, PROC2_CONTROLS, PROC2(VM_FUNCTIONS));
    lab_vmwrite(lab, VM_FUNCTION_CONTROLS, 1);
    lab_guest_code(lab, "\x31\xc0\x0f\x01\xd4\x8a\x03\x0f\xa2"); /* eax = 0; vmfunc; read */
    return lab;
}

START_TEST(vm_function_0_switches_the_eptp)
{
    struct lab *lab = with_eptp_list();

    lab_poke(lab, LAB_EPTP_LIST + 8 * 3, 0x30000 | 0x1e, 8);
    lab_poke(lab, 0x30000, 0x31000 | 7, 8);
    lab_poke(lab, 0x31000, 0x80 | 6 << 3 | 7, 8);
    lab_ept_page(lab, PAGE, 0);
    lab->cpu->r[RCX] = 3;
    lab_vmlaunch(lab);
    expect_exit(lab, 10, 0);
    ck_assert_uint_eq(lab_vmread(lab, EPT_POINTER), 0x3001e);
    lab_destroy(lab);
}
END_TEST

START_TEST(a_bad_list_entry_or_index_or_function_exits)
{
    static const struct {
        uint64_t function, index, eptp;
    } bad[] = {
        { 0, 512, LAB_EPTP }, { 0, 3, LAB_EPTP | 0x80 }, { 1, 0, LAB_EPTP }, { 63, 0, LAB_EPTP }
    };
    struct lab *lab = with_eptp_list();

    lab_guest_code(lab, "\x0f\x01\xd4\x0f\xa2");
    lab_poke(lab, LAB_EPTP_LIST + 8 * 3, bad[_i].eptp, 8);
    lab->cpu->r[RAX] = bad[_i].function;
    lab->cpu->r[RCX] = bad[_i].index;
    lab_vmlaunch(lab);
    expect_exit(lab, 59, 0);
    ck_assert_uint_eq(lab_vmread(lab, EPT_POINTER), LAB_EPTP);
    lab_destroy(lab);
}
END_TEST

START_TEST(function_64_raises_ud)
{
    struct lab *lab = with_eptp_list();

    lab_vmwrite(lab, EXCEPTION_BITMAP, 1 << 6);
    lab_guest_code(lab, "\x0f\x01\xd4");
    lab->cpu->r[RAX] = 64;
    lab_vmlaunch(lab);
    expect_exit(lab, 0, 0);
    ck_assert_uint_eq(lab_vmread(lab, EXIT_INTR_INFO), 0x80000306);
    lab_destroy(lab);
}
END_TEST

#define ADD(test) tcase_add_test(t, test)
#define LOOP(test, n) tcase_add_loop_test(t, test, 0, n)

Suite *suite_vmx_ept(void)
{
    Suite *s = suite_create("vmx_ept");
    TCase *t = tcase_create("ept");

    LOOP(rights_decide_and_show_in_the_qualification, 18);
    LOOP(misconfigured_entries_exit, 7);
    LOOP(reserved_bits_of_upper_entries_are_misconfigurations, 6);
    ADD(ignored_bits_are_ignored);
    ADD(accesses_to_the_guests_paging_structures_are_told_apart);
    ADD(setting_a_guest_accessed_flag_reads_and_writes);
    ADD(with_ad_flags_walks_are_writes);
    ADD(accessed_and_dirty_flags_are_set_by_reads_and_writes);
    ADD(without_ad_flags_entries_stay_as_they_are);
    ADD(the_log_names_pages_that_become_dirty_once);
    ADD(a_full_log_exits_before_the_page_is_dirty);
    ADD(a_cached_mapping_lives_until_invept);
    ADD(without_vpid_vm_entry_drops_what_hides_a_cleared_dirty_flag);
    ADD(root_operation_sees_memory_without_ept);
    ADD(vm_function_0_switches_the_eptp);
    LOOP(a_bad_list_entry_or_index_or_function_exits, 4);
    ADD(function_64_raises_ud);
    suite_add_tcase(s, t);
    return s;
}
