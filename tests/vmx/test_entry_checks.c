/* Every check of VM entry has a counterexample: fields that break it and no check before it.
 * [SDM 3C "Checks on VMX Controls and Host-State Area", "Checking and Loading Guest State"] */
#include "tests/support/lab.h"

#define NONCANONICAL UINT64_C(0x0000800000000000)
#define BIT46 UINT64_C(0x0000400000000000)

/* literals of the manual: bit numbers of controls */
enum {
    PIN_GOOD = 0x16 | 1 | 8,
    PROC_GOOD = 0x04006172 | 1 << 7 | 1 << 31,
    PROC2_GOOD = 2 | 1 << 5,
    EXIT_GOOD = 0x36dfb | 1 << 9 | 1 << 15,
    ENTRY_GOOD = 0x11fb | 1 << 9,
    CR0_GOOD = (int)0x80010031,
    CR4_GOOD = 0x422a0
};

struct write {
    bool used;
    uint16_t field;
    uint64_t value;
};
struct counterexample {
    enum entry_check check;
    unsigned error; /* VM-instruction error, or 0x100 + exit qualification */
    struct write write[6];
};

#define W(field, value)                       \
    {                                         \
        true, VMCS_##field, (uint64_t)(value) \
    }
#define C(check, error, ...) [CHECK_##check] = { CHECK_##check, error, { __VA_ARGS__ } }
#define PROC_WITH(bits) W(PROC_CONTROLS, (uint32_t)PROC_GOOD | (bits))
#define PROC2_WITH(bits) W(PROC2_CONTROLS, PROC2_GOOD | (bits))
#define PIN_WITH(bits) W(PIN_CONTROLS, PIN_GOOD | (bits))
#define EXIT_WITH(bits) W(EXIT_CONTROLS, EXIT_GOOD | (bits))
#define ENTRY_WITH(bits) W(ENTRY_CONTROLS, ENTRY_GOOD | (bits))
#define TPR_SHADOW (1 << 21)
#define INJECT(info) W(ENTRY_INTR_INFO, UINT32_C(0x80000000) | (info))
#define VM86 W(GUEST_RFLAGS, 0x20002), W(ENTRY_CONTROLS, ENTRY_GOOD & ~(1 << 9))

static const struct counterexample counterexamples[CHECK_COUNT] = {
    C(PIN_RESERVED, 7, W(PIN_CONTROLS, PIN_GOOD & ~2)),
    C(PROC_RESERVED, 7, W(PROC_CONTROLS, (uint32_t)PROC_GOOD | 1)),
    C(PROC2_RESERVED, 7, PROC2_WITH(1u << 31)),
    C(CR3_TARGET_COUNT, 7, W(CR3_TARGET_COUNT, 5)),
    C(IO_BITMAP_A, 7, PROC_WITH(1 << 25), W(IO_BITMAP_A, 0x1001)),
    C(IO_BITMAP_B, 7, PROC_WITH(1 << 25), W(IO_BITMAP_B, BIT46)),
    C(MSR_BITMAPS, 7, PROC_WITH(1 << 28), W(MSR_BITMAPS, 0x800)),
    C(VIRTUAL_APIC_ADDR, 7, PROC_WITH(TPR_SHADOW), W(VIRTUAL_APIC_ADDR, 0x10)),
    C(TPR_THRESHOLD_RESERVED, 7, PROC_WITH(TPR_SHADOW), W(TPR_THRESHOLD, 0x10)),
    C(TPR_THRESHOLD_VTPR, 7, PROC_WITH(TPR_SHADOW), W(TPR_THRESHOLD, 1)),
    C(VIRTUAL_NMIS, 7, W(PIN_CONTROLS, 0x16 | 1 | 1 << 5)),
    C(NMI_WINDOW, 7, PROC_WITH(1 << 22)),
    C(APIC_ACCESS_ADDR, 7, PROC2_WITH(1), W(APIC_ACCESS_ADDR, 8)),
    C(APIC_WITHOUT_SHADOW, 7, PROC2_WITH(1 << 8)),
    C(X2APIC_XOR_APIC, 7, PROC_WITH(TPR_SHADOW), PROC2_WITH(1 | 1 << 4)),
    C(VIRTUAL_INTR_NEEDS_EXIT, 7, PROC_WITH(TPR_SHADOW), PROC2_WITH(1 << 9), W(PIN_CONTROLS, 0x1e)),
    C(POSTED_NEEDS_DELIVERY, 7, PIN_WITH(1 << 7)),
    C(POSTED_NEEDS_ACK, 7, PIN_WITH(1 << 7), PROC_WITH(TPR_SHADOW), PROC2_WITH(1 << 9),
      W(EXIT_CONTROLS, EXIT_GOOD & ~(1 << 15))),
    C(POSTED_VECTOR, 7, PIN_WITH(1 << 7), PROC_WITH(TPR_SHADOW), PROC2_WITH(1 << 9),
      W(POSTED_INTR_VECTOR, 0x100)),
    C(POSTED_DESC, 7, PIN_WITH(1 << 7), PROC_WITH(TPR_SHADOW), PROC2_WITH(1 << 9),
      W(POSTED_INTR_DESC, 0x20)),
    C(VPID_NOT_ZERO, 7, W(VPID, 0)),
    C(EPTP, 7, W(EPT_POINTER, LAB_EPTP | 0x80)),
    C(PML_NEEDS_EPT, 7, W(PROC2_CONTROLS, 1 << 17)),
    C(PML_ADDRESS, 7, PROC2_WITH(1 << 17), W(PML_ADDRESS, 1)),
    C(UNRESTRICTED_NEEDS_EPT, 7, W(PROC2_CONTROLS, 1 << 7)),
    C(VM_FUNCTIONS_RESERVED, 7, PROC2_WITH(1 << 13), W(VM_FUNCTION_CONTROLS, 2)),
    C(EPTP_SWITCHING_NEEDS_EPT, 7, W(PROC2_CONTROLS, 1 << 13), W(VM_FUNCTION_CONTROLS, 1)),
    C(EPTP_LIST_ADDR, 7, PROC2_WITH(1 << 13), W(VM_FUNCTION_CONTROLS, 1), W(EPTP_LIST_ADDR, 8)),
    C(EXIT_RESERVED, 7, W(EXIT_CONTROLS, EXIT_GOOD & ~1)),
    C(SAVE_TIMER_NEEDS_TIMER, 7, EXIT_WITH(1 << 22)),
    C(EXIT_MSR_STORE, 7, W(EXIT_MSR_STORE_COUNT, 1), W(EXIT_MSR_STORE_ADDR, 8)),
    C(EXIT_MSR_LOAD, 7, W(EXIT_MSR_LOAD_COUNT, 2), W(EXIT_MSR_LOAD_ADDR, BIT46 - 16)),
    C(ENTRY_RESERVED, 7, ENTRY_WITH(1 << 10)), /* entry to SMM, outside SMM */
    C(EVENT_TYPE, 7, INJECT(1 << 8)),
    C(EVENT_VECTOR, 7, INJECT(2 << 8 | 3)),
    C(EVENT_HAS_ERROR, 7, INJECT(3 << 8 | 13)),
    C(EVENT_RESERVED, 7, INJECT(0x1000 | 32)),
    C(EVENT_ERROR_CODE, 7, INJECT(3 << 8 | 13 | 1 << 11), W(ENTRY_ERROR_CODE, 0x10000)),
    C(EVENT_LENGTH, 7, INJECT(4 << 8 | 0x80), W(ENTRY_INSN_LENGTH, 16)),
    C(ENTRY_MSR_LOAD, 7, W(ENTRY_MSR_LOAD_COUNT, 1), W(ENTRY_MSR_LOAD_ADDR, 1)),

    C(HOST_CR0, 8, W(HOST_CR0, CR0_GOOD & ~0x20)),
    C(HOST_CR4, 8, W(HOST_CR4, 0x20)),
    C(HOST_CR3, 8, W(HOST_CR3, BIT46)),
    C(HOST_SYSENTER_ESP, 8, W(HOST_SYSENTER_ESP, NONCANONICAL)),
    C(HOST_SYSENTER_EIP, 8, W(HOST_SYSENTER_EIP, NONCANONICAL)),
    C(HOST_PAT, 8, EXIT_WITH(1 << 19), W(HOST_PAT, 2)),
    C(HOST_EFER_RESERVED, 8, EXIT_WITH(1 << 21), W(HOST_EFER, 0xd03)),
    C(HOST_EFER_LMA, 8, EXIT_WITH(1 << 21), W(HOST_EFER, 0x101)),
    C(HOST_SELECTORS, 8, W(HOST_DS_SELECTOR, 0x13)),
    C(HOST_CS, 8, W(HOST_CS_SELECTOR, 0)),
    C(HOST_TR, 8, W(HOST_TR_SELECTOR, 0)),
    C(HOST_SS, 8, W(EXIT_CONTROLS, EXIT_GOOD & ~(1 << 9)), W(HOST_SS_SELECTOR, 0)),
    C(HOST_FS_BASE, 8, W(HOST_FS_BASE, NONCANONICAL)),
    C(HOST_GS_BASE, 8, W(HOST_GS_BASE, NONCANONICAL)),
    C(HOST_GDTR_BASE, 8, W(HOST_GDTR_BASE, NONCANONICAL)),
    C(HOST_IDTR_BASE, 8, W(HOST_IDTR_BASE, NONCANONICAL)),
    C(HOST_TR_BASE, 8, W(HOST_TR_BASE, NONCANONICAL)),
    C(HOST_32_GUEST_64, 8, W(EXIT_CONTROLS, EXIT_GOOD & ~(1 << 9))),
    C(HOST_32_PCIDE, 8, W(EXIT_CONTROLS, EXIT_GOOD & ~(1 << 9)),
      W(ENTRY_CONTROLS, ENTRY_GOOD & ~(1 << 9)), W(HOST_CR4, CR4_GOOD | 1 << 17)),
    C(HOST_32_RIP, 8, W(EXIT_CONTROLS, EXIT_GOOD & ~(1 << 9)),
      W(ENTRY_CONTROLS, ENTRY_GOOD & ~(1 << 9)), W(HOST_RIP, UINT64_C(1) << 32)),
    C(HOST_64_PAE, 8, W(HOST_CR4, CR4_GOOD & ~0x20)),
    C(HOST_64_RIP, 8, W(HOST_RIP, NONCANONICAL)),
    C(HOST_SIZE_IS_OURS, 8, W(EXIT_CONTROLS, EXIT_GOOD & ~(1 << 9)),
      W(ENTRY_CONTROLS, ENTRY_GOOD & ~(1 << 9))),

    C(GUEST_CR0_FIXED, 0x100, W(GUEST_CR0, CR0_GOOD & ~0x20)),
    C(GUEST_CR0_PG_PE, 0x100, PROC2_WITH(1 << 7), W(GUEST_CR0, UINT32_C(0x80000020))),
    C(GUEST_CR4_FIXED, 0x100, W(GUEST_CR4, 0x20)),
    C(GUEST_DEBUGCTL, 0x100, ENTRY_WITH(1 << 2), W(GUEST_DEBUGCTL, 4)),
    C(GUEST_64_PAGING, 0x100, PROC2_WITH(1 << 7), W(GUEST_CR0, 0x21)),
    C(GUEST_64_PAE, 0x100, W(GUEST_CR4, CR4_GOOD & ~0x20)),
    C(GUEST_32_PCIDE, 0x100, W(ENTRY_CONTROLS, ENTRY_GOOD & ~(1 << 9)),
      W(GUEST_CR4, CR4_GOOD | 1 << 17)),
    C(GUEST_CR3, 0x100, W(GUEST_CR3, BIT46)),
    C(GUEST_DR7, 0x100, ENTRY_WITH(1 << 2), W(GUEST_DR7, UINT64_C(1) << 32)),
    C(GUEST_SYSENTER_ESP, 0x100, W(GUEST_SYSENTER_ESP, NONCANONICAL)),
    C(GUEST_SYSENTER_EIP, 0x100, W(GUEST_SYSENTER_EIP, NONCANONICAL)),
    C(GUEST_PAT, 0x100, ENTRY_WITH(1 << 14), W(GUEST_PAT, UINT64_C(0x0300000000000000))),
    C(GUEST_EFER_RESERVED, 0x100, ENTRY_WITH(1 << 15), W(GUEST_EFER, 0xd03)),
    C(GUEST_EFER_LMA, 0x100, ENTRY_WITH(1 << 15), W(GUEST_EFER, 0x101)),
    C(GUEST_EFER_LME, 0x100, ENTRY_WITH(1 << 15), W(GUEST_EFER, 0x401)),

    C(SEG_TR_TI, 0x100, W(GUEST_TR_SELECTOR, 0x1c)),
    C(SEG_LDTR_TI, 0x100, W(GUEST_LDTR_AR, 0x82), W(GUEST_LDTR_SELECTOR, 4)),
    C(SEG_SS_RPL, 0x100, W(GUEST_SS_SELECTOR, 0x13)),
    C(SEG_VM86_BASE, 0x100, VM86, W(GUEST_RIP, 0)),
    C(SEG_BASE_CANONICAL, 0x100, W(GUEST_FS_BASE, NONCANONICAL)),
    C(SEG_LDTR_CANONICAL, 0x100, W(GUEST_LDTR_AR, 0x82), W(GUEST_LDTR_BASE, NONCANONICAL)),
    C(SEG_CS_BASE, 0x100, W(GUEST_CS_BASE, UINT64_C(1) << 32)),
    C(SEG_BASE_32, 0x100, W(GUEST_DS_BASE, UINT64_C(1) << 32)),
    C(SEG_VM86_LIMIT, 0x100, VM86), /* bases set below */
    C(SEG_VM86_RIGHTS, 0x100, VM86),
    C(SEG_CS_TYPE, 0x100, W(GUEST_CS_AR, 0xa093)),
    C(SEG_SS_TYPE, 0x100, W(GUEST_SS_AR, 0xc091)),
    C(SEG_DATA_ACCESSED, 0x100, W(GUEST_ES_AR, 0xc092)),
    C(SEG_DATA_READABLE, 0x100, W(GUEST_ES_AR, 0xc099)),
    C(SEG_S, 0x100, W(GUEST_GS_AR, 0xc083)),
    C(SEG_CS_DPL_DATA, 0x100, PROC2_WITH(1 << 7), W(GUEST_CS_AR, 0xc0b3)),
    C(SEG_CS_DPL, 0x100, W(GUEST_CS_AR, 0xa0fb)),
    C(SEG_CS_DPL_CONFORMING, 0x100, W(GUEST_CS_AR, 0xa0ff)),
    C(SEG_SS_DPL, 0x100, W(GUEST_CS_AR, 0xa0fb), W(GUEST_SS_AR, 0xc0f3)),
    C(SEG_SS_DPL_0, 0x100, PROC2_WITH(1 << 7), W(GUEST_CS_AR, 0xc093), W(GUEST_SS_AR, 0xc0f3)),
    C(SEG_DATA_DPL, 0x100, W(GUEST_ES_SELECTOR, 0x13)),
    C(SEG_P, 0x100, W(GUEST_DS_AR, 0xc013)),
    C(SEG_RESERVED, 0x100, W(GUEST_DS_AR, 0xc193)),
    C(SEG_CS_L_DB, 0x100, W(GUEST_CS_AR, 0xe09b)),
    C(SEG_GRANULARITY, 0x100, W(GUEST_DS_LIMIT, 0xfffffffe)),
    C(SEG_TR_TYPE, 0x100, W(GUEST_TR_AR, 0x83)),
    C(SEG_TR_RIGHTS, 0x100, W(GUEST_TR_AR, 0x1008b)),
    C(SEG_TR_GRANULARITY, 0x100, W(GUEST_TR_LIMIT, 0x100000)),
    C(SEG_LDTR_TYPE, 0x100, W(GUEST_LDTR_AR, 0x83)),
    C(SEG_LDTR_RIGHTS, 0x100, W(GUEST_LDTR_AR, 0x02)),
    C(SEG_LDTR_GRANULARITY, 0x100, W(GUEST_LDTR_AR, 0x82), W(GUEST_LDTR_LIMIT, 0x100000)),
    C(GUEST_GDTR_BASE, 0x100, W(GUEST_GDTR_BASE, NONCANONICAL)),
    C(GUEST_IDTR_BASE, 0x100, W(GUEST_IDTR_BASE, NONCANONICAL)),
    C(GUEST_GDTR_LIMIT, 0x100, W(GUEST_GDTR_LIMIT, 0x10000)),
    C(GUEST_IDTR_LIMIT, 0x100, W(GUEST_IDTR_LIMIT, 0x10000)),

    C(GUEST_RIP_32, 0x100, W(GUEST_CS_AR, 0xc09b), W(GUEST_RIP, UINT64_C(1) << 32)),
    C(GUEST_RIP_64, 0x100, W(GUEST_RIP, NONCANONICAL)),
    C(GUEST_RFLAGS_RESERVED, 0x100, W(GUEST_RFLAGS, 0x8002)),
    C(GUEST_RFLAGS_BIT_1, 0x100, W(GUEST_RFLAGS, 0)),
    C(GUEST_RFLAGS_VM, 0x100, W(GUEST_RFLAGS, 0x20002)), /* segments set below */
    C(GUEST_RFLAGS_IF, 0x100, INJECT(0x20)),

    C(GUEST_ACTIVITY, 0x100, W(GUEST_ACTIVITY, 4)),
    C(GUEST_HLT_DPL, 0x100, W(GUEST_ACTIVITY, 1), W(GUEST_CS_AR, 0xa0fb), W(GUEST_CS_SELECTOR, 0xb),
      W(GUEST_SS_AR, 0xc0f3), W(GUEST_SS_SELECTOR, 0x13)),
    C(GUEST_BLOCKED_ACTIVE, 0x100, W(GUEST_ACTIVITY, 1), W(GUEST_INTERRUPTIBILITY, 2)),
    C(GUEST_ACTIVITY_EVENT, 0x100, W(GUEST_ACTIVITY, 2), INJECT(3 << 8 | 6)),
    C(GUEST_BLOCKING_RESERVED, 0x100, W(GUEST_INTERRUPTIBILITY, 0x20)),
    C(GUEST_BLOCKING_BOTH, 0x100, W(GUEST_INTERRUPTIBILITY, 3), W(GUEST_RFLAGS, 0x202)),
    C(GUEST_STI_IF, 0x100, W(GUEST_INTERRUPTIBILITY, 1)),
    C(GUEST_BLOCKING_INTR, 0x100, W(GUEST_INTERRUPTIBILITY, 1), W(GUEST_RFLAGS, 0x202),
      INJECT(0x20)),
    C(GUEST_BLOCKING_NMI, 0x100, W(GUEST_INTERRUPTIBILITY, 2), INJECT(2 << 8 | 2)),
    C(GUEST_BLOCKING_SMI, 0x100, W(GUEST_INTERRUPTIBILITY, 4)),
    C(GUEST_STI_NMI, 0x103, W(GUEST_INTERRUPTIBILITY, 1), W(GUEST_RFLAGS, 0x202),
      INJECT(2 << 8 | 2)),
    C(GUEST_VIRTUAL_NMI, 0x100, PIN_WITH(1 << 5), W(GUEST_INTERRUPTIBILITY, 8), INJECT(2 << 8 | 2)),
    C(GUEST_PENDING_RESERVED, 0x100, W(GUEST_PENDING_DBG, 1 << 11)),
    C(GUEST_PENDING_BS, 0x100, W(GUEST_ACTIVITY, 1), W(GUEST_RFLAGS, 0x102)),
    C(LINK_ADDRESS, 0x104, W(VMCS_LINK_POINTER, 8)),
    C(LINK_REVISION, 0x104, W(VMCS_LINK_POINTER, LAB_DATA & ~0xfff)),
    C(LINK_NOT_CURRENT, 0x104, W(VMCS_LINK_POINTER, LAB_VMCS)),
    C(GUEST_PDPTES, 0x102, W(ENTRY_CONTROLS, ENTRY_GOOD & ~(1 << 9)), W(GUEST_CS_AR, 0xc09b),
      W(GUEST_PDPTE2, 3)),
    C(GUEST_PDPTES_MEMORY, 0x102, W(ENTRY_CONTROLS, ENTRY_GOOD & ~(1 << 9)), W(GUEST_CS_AR, 0xc09b),
      W(PROC2_CONTROLS, 0), W(GUEST_CR3, LAB_DATA)),
};

/* virtual-8086 segments, each right but for what `check` is about */
static void break_vm86(struct lab *lab, enum entry_check check)
{
    static const uint16_t segments[6] = { 0, 2, 4, 6, 8, 10 };

    if (check != CHECK_SEG_VM86_LIMIT && check != CHECK_SEG_VM86_RIGHTS &&
        check != CHECK_GUEST_RFLAGS_VM)
        return;
    for (unsigned i = 0; i < 6; i++) {
        lab_set(lab, VMCS_GUEST_ES_BASE + segments[i], 0);
        lab_set(lab, VMCS_GUEST_ES_SELECTOR + segments[i], 0);
        if (check == CHECK_SEG_VM86_LIMIT)
            continue;
        lab_set(lab, VMCS_GUEST_ES_LIMIT + segments[i], 0xffff);
        if (check == CHECK_GUEST_RFLAGS_VM)
            lab_set(lab, VMCS_GUEST_ES_AR + segments[i], 0xf3);
    }
}

START_TEST(a_vmcs_that_passes_every_check_enters)
{
    struct lab *lab = lab_ready_to_launch();

    lab_vmlaunch(lab);
    expect_exit(lab, 10, 0); /* the guest's CPUID */
    lab_destroy(lab);
}
END_TEST

START_TEST(each_check_rejects_its_counterexample)
{
    const struct counterexample *c = &counterexamples[_i];
    struct lab *lab = lab_ready_to_launch();

    ck_assert_msg(c->check == (enum entry_check)_i, "%s has no counterexample",
                  entry_check_rows[_i].name);
    if (c->check == CHECK_GUEST_PDPTES_MEMORY)
        lab_poke(lab, LAB_DATA, 3, 8);
    for (unsigned i = 0; i < 6 && c->write[i].used; i++)
        lab_set(lab, c->write[i].field, c->write[i].value);
    break_vm86(lab, c->check);
    lab_vmlaunch(lab);
    expect_check(lab, c->check);
    if (c->error < 0x100)
        expect_vmfail_valid(lab, c->error);
    else
        expect_entry_failure(lab, 33, c->error & 0xff);
    ck_assert_uint_eq(lab->vmx->current->launched, LAUNCH_CLEAR);
    lab_destroy(lab);
}
END_TEST

/* A group that passed is not looked at again until a VMWRITE makes it stale. */
START_TEST(a_field_broken_after_a_good_entry_is_noticed)
{
    const struct counterexample *c = &counterexamples[_i];
    struct lab *lab = lab_ready_to_launch();

    lab_vmlaunch(lab);
    expect_exit(lab, 10, 0);
    if (c->check == CHECK_GUEST_PDPTES_MEMORY)
        lab_poke(lab, LAB_DATA, 3, 8);
    for (unsigned i = 0; i < 6 && c->write[i].used; i++)
        lab_set(lab, c->write[i].field, c->write[i].value);
    break_vm86(lab, c->check);
    lab_vmresume(lab);
    expect_check(lab, c->check);
    lab_destroy(lab);
}
END_TEST

START_TEST(a_failed_entry_says_why_in_words)
{
    struct lab *lab = lab_ready_to_launch();

    lab_vmwrite(lab, CR3_TARGET_COUNT, 5);
    lab_vmlaunch(lab);
    ck_assert_str_eq(lab->vmx->failure.text,
                     "CR3-target count is 5, but IA32_VMX_MISC[24:16] allows 4");
    lab_destroy(lab);
}
END_TEST

Suite *suite_vmx_entry_checks(void)
{
    Suite *s = suite_create("vmx_entry_checks");
    TCase *t = tcase_create("entry_checks");

    tcase_add_test(t, a_vmcs_that_passes_every_check_enters);
    tcase_add_loop_test(t, each_check_rejects_its_counterexample, 1, CHECK_COUNT);
    tcase_add_loop_test(t, a_field_broken_after_a_good_entry_is_noticed, 1, CHECK_COUNT);
    tcase_add_test(t, a_failed_entry_says_why_in_words);
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    return s;
}
