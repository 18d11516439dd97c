/* The VMCS: everything that the processor must know to run the guest and to come back.
 * [SDM 3C "Virtual Machine Control Structures"]
 *
 * It has six parts: guest state, host state, controls for execution, for VM exit and for VM entry,
 * and information about the last VM exit. Its layout in memory is the processor's secret: software
 * uses VMREAD and VMWRITE with encodings. VMCLEAR sets no field, so each one that is looked at must
 * be written, zeros too. */
#include "roms/hello_vmx/print.h"
#include "roms/hello_vmx/vmx.h"

enum { CR0_FIXED_BY_GUEST_TYPE = 0x80010021 /* PG, WP, NE, PE */, CR4_PAE = 1 << 5 };
enum { TABLE_PRESENT_WRITABLE = 3, TABLE_2_MIB = 0x80 };

uint64_t vmread(enum vmcs_field field)
{
    uint64_t value;
    bool invalid, valid;

    __asm__ volatile("vmread %3, %0"
                     : "=rm"(value), "=@ccc"(invalid), "=@ccz"(valid)
                     : "r"((uint64_t)field));
    if (invalid || valid)
        FAIL("VMREAD of field 0x%x fails", field);
    return value;
}

void vmwrite(enum vmcs_field field, uint64_t value)
{
    bool invalid, valid;

    __asm__ volatile("vmwrite %2, %3"
                     : "=@ccc"(invalid), "=@ccz"(valid)
                     : "rm"(value), "r"((uint64_t)field));
    if (invalid || valid)
        FAIL("VMWRITE of field 0x%x fails", field);
}

/* A capability MSR tells which controls may be 0 (its low half has a 0 there) and which may be 1
 * (its high half has a 1). We ask for few; some must be 1 whether we care or not. */
static void vmcs_control(enum vmcs_field field, uint32_t msr, uint64_t wanted, const char *name,
                         const char *meaning)
{
    uint64_t cap = rdmsr(msr), value = wanted | (uint32_t)cap;

    if (value & ~(cap >> 32))
        FAIL("%s: 0x%lx is wanted, but MSR 0x%x (0x%lx) does not allow it", name, wanted, msr, cap);
    vmwrite(field, value);
    print("    set:  %s 0x%lx: %s\n", name, value, meaning);
}

static void vmcs_controls(uint64_t basic, uint64_t eptp)
{
    /* With bit 55, a second set of MSRs tells more: controls that older processors fixed at 1. */
    uint32_t more = basic & BIT(55) ? TRUE_CTLS : 0;

    vmcs_control(PIN_CONTROLS, IA32_VMX_PIN_CTLS + more, 0, "pin-based controls",
                 "only what must be 1");
    vmcs_control(PROC_CONTROLS, IA32_VMX_PROC_CTLS + more,
                 PROC_HLT_EXITING | PROC_UNCONDITIONAL_IO_EXITING |
                     PROC_ACTIVATE_SECONDARY_CONTROLS,
                 "primary controls",
                 "HLT exits, I/O instructions exit,\n"
                 "          RDMSR and WRMSR exit (no MSR bitmaps), secondary controls are on");
    vmcs_control(PROC2_CONTROLS, IA32_VMX_PROC2_CTLS, PROC2_ENABLE_EPT, "secondary controls",
                 "EPT");
    vmcs_control(EXIT_CONTROLS, IA32_VMX_EXIT_CTLS + more, EXIT_HOST_ADDRESS_SPACE_SIZE,
                 "VM-exit controls", "the host is in 64-bit mode");
    vmcs_control(ENTRY_CONTROLS, IA32_VMX_ENTRY_CTLS + more, ENTRY_IA32E_MODE_GUEST,
                 "VM-entry controls", "the guest, too");
    vmwrite(EPT_POINTER, eptp);
    vmwrite(EXCEPTION_BITMAP,
            UINT32_MAX); /* exceptions of the guest are our business: it has no IDT */
    vmwrite(PF_ERROR_CODE_MASK, 0);
    vmwrite(PF_ERROR_CODE_MATCH, 0);
    vmwrite(CR3_TARGET_COUNT, 0);
    vmwrite(EXIT_MSR_STORE_COUNT, 0);
    vmwrite(EXIT_MSR_LOAD_COUNT, 0);
    vmwrite(ENTRY_MSR_LOAD_COUNT, 0);
    vmwrite(ENTRY_INTR_INFO, 0); /* no event is injected */
    vmwrite(CR0_GUEST_HOST_MASK, 0);
    vmwrite(CR4_GUEST_HOST_MASK, 0);
}

/* Where VM exits lead: this very program, as it is now. RSP and RIP follow in entry.S. */
static void vmcs_host(void)
{
    vmwrite(HOST_CR0, read_cr0());
    vmwrite(HOST_CR3, read_cr3());
    vmwrite(HOST_CR4, read_cr4());
    vmwrite(HOST_CS_SELECTOR, 0x08);
    vmwrite(HOST_SS_SELECTOR, 0x10);
    vmwrite(HOST_DS_SELECTOR, 0x10);
    vmwrite(HOST_ES_SELECTOR, 0x10);
    vmwrite(HOST_FS_SELECTOR, 0);
    vmwrite(HOST_GS_SELECTOR, 0);
    vmwrite(HOST_TR_SELECTOR, 0x18);
    vmwrite(HOST_FS_BASE, 0);
    vmwrite(HOST_GS_BASE, 0);
    vmwrite(HOST_TR_BASE, tables_tss());
    vmwrite(HOST_GDTR_BASE, address_of(gdt));
    vmwrite(HOST_IDTR_BASE, tables_idt());
    vmwrite(HOST_SYSENTER_CS, 0);
    vmwrite(HOST_SYSENTER_ESP, 0);
    vmwrite(HOST_SYSENTER_EIP, 0);
    print("    set:  host state: our own CR0, CR3, CR4, segments, GDT and IDT\n");
}

/* Segment registers of a program in 64-bit mode, as if it had loaded them: VM entry loads what is
 * usually hidden, bases, limits and rights, and needs no descriptor table of the guest. */
static void vmcs_segments(void)
{
    enum { ES, CS, SS, DS, FS, GS, LDTR, TR };
    static const uint32_t rights[] = {
        [ES] = 0xc093,
        [SS] = 0xc093,
        [DS] = 0xc093, /* data, writable, accessed, DPL 0 */
        [FS] = 0xc093,
        [GS] = 0xc093,
        [CS] = 0xa09b, /* code, L = 1: 64-bit */
        [LDTR] = 1 << 16 /* unusable: none */,
        [TR] = 0x8b, /* TSS, busy */
    };

    for (unsigned s = ES; s <= TR; s++) {
        vmwrite(GUEST_SELECTOR + 2 * s, s == CS ? 0x08 : s == TR ? 0x18 : s == LDTR ? 0 : 0x10);
        vmwrite(GUEST_BASE + 2 * s, 0);
        vmwrite(GUEST_LIMIT + 2 * s, s >= LDTR ? 103 : UINT32_MAX);
        vmwrite(GUEST_ACCESS_RIGHTS + 2 * s, rights[s]);
    }
    vmwrite(GUEST_GDTR_BASE, 0);
    vmwrite(GUEST_GDTR_LIMIT, 0);
    vmwrite(GUEST_IDTR_BASE, 0);
    vmwrite(GUEST_IDTR_LIMIT, 0);
}

static void vmcs_guest(void)
{
    /* the guest's own page tables: one page of 2 MiB, linear = guest-physical */
    guest_pml4[0] = address_of(guest_pdpt) | TABLE_PRESENT_WRITABLE;
    guest_pdpt[0] = address_of(guest_pd) | TABLE_PRESENT_WRITABLE;
    guest_pd[0] = TABLE_2_MIB | TABLE_PRESENT_WRITABLE;

    vmwrite(GUEST_CR0, CR0_FIXED_BY_GUEST_TYPE | rdmsr(IA32_VMX_CR0_FIXED0));
    vmwrite(GUEST_CR3, address_of(guest_pml4));
    vmwrite(GUEST_CR4, CR4_PAE | rdmsr(IA32_VMX_CR4_FIXED0));
    vmcs_segments();
    vmwrite(GUEST_RIP, address_of(guest_entry));
    vmwrite(GUEST_RSP, 0);    /* it needs no stack */
    vmwrite(GUEST_RFLAGS, 2); /* bit 1 is always 1 */
    vmwrite(GUEST_DR7, 0x400);
    vmwrite(GUEST_DEBUGCTL, 0);
    vmwrite(GUEST_PENDING_DEBUG, 0);
    vmwrite(GUEST_INTERRUPTIBILITY, 0);
    vmwrite(GUEST_ACTIVITY, 0); /* active */
    vmwrite(GUEST_SYSENTER_CS, 0);
    vmwrite(GUEST_SYSENTER_ESP, 0);
    vmwrite(GUEST_SYSENTER_EIP, 0);
    vmwrite(VMCS_LINK_POINTER, UINT64_MAX); /* all ones: no shadow VMCS */
    print("    set:  guest state: 64-bit mode, CR3 0x%lx, RIP 0x%lx, RFLAGS 0x2\n",
          address_of(guest_pml4), address_of(guest_entry));
}

void vmcs_fill(uint64_t basic, uint64_t eptp)
{
    vmcs_controls(basic, eptp);
    vmcs_host();
    vmcs_guest();
}
