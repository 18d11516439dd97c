/* hello_vmx: a hypervisor to read. It runs one small guest, says what it does, and powers off.
 *
 * The steps, in the order of the manual: ask whether the processor has VMX, enter VMX operation,
 * set up a VMCS and EPT, try VM entries that must fail, run the guest from VM exit to VM exit,
 * leave. Start here; then vmcs.c (what the processor must know), entry.S (the switch itself),
 * exits.c (what comes back), guest.S (the guest).
 * [SDM 3C "Virtual Machine Control Structures", "VM Entries", "VM Exits"] */
#include "roms/hello_vmx/vmx.h"
#include "roms/hello_vmx/print.h"

void hello_main(void);

/* Memory that belongs to the processor once it knows the address: one page each. */
static uint32_t vmx_vmxon_region[PAGE / 4] __attribute__((aligned(PAGE)));
static uint32_t vmx_vmcs_region[PAGE / 4] __attribute__((aligned(PAGE)));

/* [SDM 3C "Discovering Support for VMX"] */
static void vmx_check_processor(void)
{
    uint32_t regs[4];
    uint64_t lock;

    cpuid(1, regs);
    if (!(regs[2] & 1 << 5))
        FAIL("CPUID.1:ECX bit 5 is 0: this processor has no VMX");
    print("    see:  CPUID.1:ECX bit 5 is 1: it has\n");
    lock = rdmsr(IA32_FEATURE_CONTROL);
    if (!(lock & 1)) {
        wrmsr(IA32_FEATURE_CONTROL, lock | 1 | 1 << 2);
        print("    set:  IA32_FEATURE_CONTROL was 0x%lx: not locked, so nobody has decided yet.\n"
              "          We set bit 2 (VMXON is allowed) and bit 0 (locked until the next reset)\n",
              lock);
    } else if (lock & 1 << 2) {
        print("    see:  IA32_FEATURE_CONTROL is 0x%lx: locked (bit 0), VMXON allowed (bit 2)\n",
              lock);
    } else {
        FAIL("IA32_FEATURE_CONTROL is 0x%lx: the firmware has locked VMX out", lock);
    }
}

/* [SDM 3C "Enabling and Entering VMX Operation"] */
static void vmx_enter_operation(uint64_t basic)
{
    uint64_t cr0 = read_cr0(), cr4 = read_cr4() | CR4_VMXE;

    /* FIXED0: bits that must be 1; FIXED1: bits that may be 1 */
    cr0 = (cr0 | rdmsr(IA32_VMX_CR0_FIXED0)) & rdmsr(IA32_VMX_CR0_FIXED1);
    cr4 = (cr4 | rdmsr(IA32_VMX_CR4_FIXED0)) & rdmsr(IA32_VMX_CR4_FIXED1);
    write_cr0(cr0);
    write_cr4(cr4);
    print("    set:  CR4.VMXE; CR0 is 0x%lx, CR4 0x%lx: with all bits of IA32_VMX_CR0_FIXED0\n"
          "          (0x%lx) and IA32_VMX_CR4_FIXED0 (0x%lx)\n",
          cr0, cr4, rdmsr(IA32_VMX_CR0_FIXED0), rdmsr(IA32_VMX_CR4_FIXED0));

    vmx_vmxon_region[0] = basic & 0x7fffffff;
    if (vmxon(address_of(vmx_vmxon_region)) != VM_SUCCEED)
        FAIL("VMXON fails");
    print("    did:  VMXON 0x%lx, a page that begins with revision 0x%x (IA32_VMX_BASIC 30:0)\n"
          "    got:  CF = 0, ZF = 0: VMsucceed. We are in VMX root operation\n",
          address_of(vmx_vmxon_region), vmx_vmxon_region[0]);
}

static void vmx_make_vmcs(uint64_t basic)
{
    vmx_vmcs_region[0] = basic & 0x7fffffff;
    if (vmclear(address_of(vmx_vmcs_region)) != VM_SUCCEED)
        FAIL("VMCLEAR fails");
    if (vmptrld(address_of(vmx_vmcs_region)) != VM_SUCCEED)
        FAIL("VMPTRLD fails");
    print("    did:  VMCLEAR and VMPTRLD 0x%lx: this VMCS is current now, its launch state clear\n",
          address_of(vmx_vmcs_region));
    vmcs_fill(basic, ept_build());
}

/* VM entries that must fail. A VMCS that is otherwise good gets one bad value, and is mended
 * afterwards. [SDM 3C "VM Instruction Error Numbers", "VM-Entry Failures During or After Loading
 * Guest State"] */
static const struct refusal {
    const char *title, *broken;
    enum vmcs_field field;
    uint64_t bad;
    bool resume;
    unsigned error; /* VM-instruction error; 0: exit reason 33 */
    const char *why;
} vmx_refusals[] = {
    { "VMRESUME before VMLAUNCH", "nothing", GUEST_RIP, 0, true, 5,
      "VMRESUME with non-launched VMCS. The first entry is a VMLAUNCH" },
    { "a bad control", "CR3-target count := 257; no processor has more than 256", CR3_TARGET_COUNT,
      257, false, 7, "VM entry with invalid control field(s). No state has been touched" },
    { "a bad host state", "host CS selector := 0", HOST_CS_SELECTOR, 0, false, 8,
      "VM entry with invalid host-state field(s). A VM exit would have led nowhere" },
    { "a bad guest state", "guest RFLAGS := 0; its bit 1 is always 1", GUEST_RFLAGS, 0, false, 0,
      "VM-entry failure due to invalid guest state. Controls and host were good, so\n"
      "          the processor came back as after a VM exit: to HOST_RIP, not behind VMLAUNCH" },
};

static void vmx_try_refusal(const struct refusal *f, char letter)
{
    struct guest_registers r = { 0 };
    uint64_t good = vmread(f->field);
    enum vm_result result;

    print("  Entry %c: %s\n    set:  %s\n", letter, f->title, f->broken);
    if (!f->resume)
        vmwrite(f->field, f->bad);
    result = vm_enter(&r, f->resume);
    if (f->error) {
        uint64_t error = vmread(VM_INSTRUCTION_ERROR);

        if (result != VM_FAIL_VALID || error != f->error)
            FAIL("result %u, error %lu; expected VMfailValid, error %u", result, error, f->error);
        print("    got:  ZF = 1: VMfailValid. The field VM-instruction error says %lu:\n", error);
    } else {
        uint64_t reason = vmread(EXIT_REASON);

        if (result != VM_SUCCEED || reason != (REASON_ENTRY_FAILURE | REASON_ENTRY_GUEST_STATE))
            FAIL("result %u, exit reason 0x%lx; expected 0x80000021", result, reason);
        print("    got:  exit reason 0x%lx: bit 31 (the entry failed) and 33, qualification %lu:\n",
              reason, vmread(EXIT_QUALIFICATION));
    }
    print("          %s\n\n", f->why);
    vmwrite(f->field, good);
}

static unsigned vmx_run_guest(void)
{
    struct guest_registers r = { 0 };
    unsigned exits = 0;

    for (;;) {
        enum vm_result result = vm_enter(&r, exits > 0);

        if (result != VM_SUCCEED)
            FAIL("VM entry fails with error %lu", vmread(VM_INSTRUCTION_ERROR));
        exits++;
        if (!exit_handle(&r, exits))
            return exits;
    }
}

void hello_main(void)
{
    enum { REFUSALS = sizeof vmx_refusals / sizeof vmx_refusals[0], GUEST_CHECKS = 5 };
    uint64_t basic;
    unsigned exits;

    print_open();
    print("hello_vmx: a hypervisor that explains itself, and its guest\n"
          "(see, set, did, got: what we read, write and execute, and what came of it)\n\n");
    tables_load();

    print_step("Does this processor have VMX, and may we use it?");
    vmx_check_processor();
    print("\n");

    print_step("Enter VMX operation");
    basic = rdmsr(IA32_VMX_BASIC);
    vmx_enter_operation(basic);
    print("\n");

    print_step("Describe the guest, and the way back, in a VMCS");
    vmx_make_vmcs(basic);
    print("\n");

    print_step("VM entries that the processor must refuse");
    for (unsigned i = 0; i < REFUSALS; i++)
        vmx_try_refusal(&vmx_refusals[i], (char)('A' + i));

    print_step("Run the guest: VMLAUNCH, then VMRESUME after each VM exit");
    print("(why: what made the processor exit; it: what the guest does; we: our answer)\n\n");
    exits = vmx_run_guest();
    if (exit_guest_checks() != GUEST_CHECKS)
        FAIL("only %u of the guest's %u checks came out well", exit_guest_checks(), GUEST_CHECKS);

    print_step("Leave");
    vmxoff();
    print("    did:  VMXOFF, and now power off through ACPI's PM1a_CNT\n\n"
          "hello_vmx: %u VM entries refused, %u VM exits, all as the manual says\n",
          REFUSALS, exits);
    power_off();
}
