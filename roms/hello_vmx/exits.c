/* VM exits: why the processor came back, and what a hypervisor does about it.
 * [SDM 3C "VM Exits"], [SDM 3D "VMX Basic Exit Reasons"]
 *
 * After an instruction that exits, RIP still points to it: it has not been executed. Whoever
 * emulates it must move RIP past it, by the length in the VMCS. */
#include "roms/hello_vmx/print.h"
#include "roms/hello_vmx/vmx.h"

enum { LATCH_PORT = 0x80, IA32_TIME_STAMP_COUNTER = 0x10 };
enum { HYPERCALL_SAY = 1, HYPERCALL_END = 2 };

/* the machine that we make the guest believe in */
static struct {
    uint8_t latch;
    uint64_t tsc;
    unsigned checks; /* what the guest says in the end */
} exits_machine;

unsigned exit_guest_checks(void)
{
    return exits_machine.checks;
}

static void exits_skip_instruction(void)
{
    vmwrite(GUEST_RIP, vmread(GUEST_RIP) + vmread(EXIT_INSTRUCTION_LENGTH));
}

static bool exits_cpuid(struct guest_registers *r, uint64_t qualification)
{
    print("    it:   leaf 0x%x, where hypervisors give their name\n", (uint32_t)r->rax);
    r->rax = 0x40000000;
    r->rbx = 0x6c6c6548; /* "Hello, VMX!!", four letters each */
    r->rcx = 0x56202c6f;
    r->rdx = 0x2121584d;
    print("    we:   answer \"Hello, VMX!!\" in EBX, ECX and EDX; RIP moves on by %lu bytes\n",
          vmread(EXIT_INSTRUCTION_LENGTH));
    return true;
}

/* [SDM 3C "Exit Qualification for I/O Instructions"] */
static bool exits_io(struct guest_registers *r, uint64_t qualification)
{
    unsigned bytes = (qualification & 7) + 1, port = qualification >> 16 & 0xffff;
    bool in = qualification & 1 << 3;

    print("    it:   qualification 0x%lx: %s, %u byte%s, port 0x%x\n", qualification,
          in ? "IN (bit 3 is 1)" : "OUT (bit 3 is 0)", bytes, bytes > 1 ? "s" : "", port);
    if (bytes != 1 || port != LATCH_PORT)
        FAIL("the guest uses a port that it has not got");
    if (in)
        r->rax = (r->rax & ~UINT64_C(0xff)) | exits_machine.latch;
    else
        exits_machine.latch = (uint8_t)r->rax;
    print("    we:   are the device: a latch that %s 0x%x\n", in ? "gives back" : "now holds",
          exits_machine.latch);
    return true;
}

static bool exits_wrmsr(struct guest_registers *r, uint64_t qualification)
{
    print("    it:   ECX = 0x%x: IA32_TIME_STAMP_COUNTER := 0x%x\n", (uint32_t)r->rcx,
          (uint32_t)r->rax);
    if ((uint32_t)r->rcx != IA32_TIME_STAMP_COUNTER)
        FAIL("the guest writes an MSR that it has not got");
    exits_machine.tsc = r->rdx << 32 | (uint32_t)r->rax;
    print("    we:   note it for the guest; the processor's own counter runs on\n");
    return true;
}

static bool exits_rdmsr(struct guest_registers *r, uint64_t qualification)
{
    print("    it:   ECX = 0x%x: IA32_TIME_STAMP_COUNTER\n", (uint32_t)r->rcx);
    if ((uint32_t)r->rcx != IA32_TIME_STAMP_COUNTER)
        FAIL("the guest reads an MSR that it has not got");
    r->rax = (uint32_t)exits_machine.tsc;
    r->rdx = exits_machine.tsc >> 32;
    print("    we:   answer 0x%lx in EDX:EAX: it sees what we noted\n", exits_machine.tsc);
    return true;
}

static bool exits_hlt(struct guest_registers *r, uint64_t qualification)
{
    print("    it:   waits for an interrupt\n"
          "    we:   would let another guest run meanwhile; here we wake it at once\n");
    return true;
}

/* [SDM 3C "Exit Qualification for EPT Violations"] */
static bool exits_ept_violation(struct guest_registers *r, uint64_t qualification)
{
    uint64_t gpa = vmread(GUEST_PHYSICAL_ADDRESS);

    print("    it:   guest-physical 0x%lx, guest-linear 0x%lx\n", gpa,
          vmread(GUEST_LINEAR_ADDRESS));
    print("          qualification 0x%lx: a %s; EPT allows %s there\n", qualification,
          qualification & 2   ? "write"
          : qualification & 4 ? "fetch"
                              : "read",
          qualification >> 3 & 7 ? "something else" : "nothing");
    if (!ept_may_map(gpa))
        FAIL("the guest reaches for memory that is not its own");
    ept_map(gpa);
    print("    we:   map the page; RIP stays, so the instruction starts anew and succeeds\n");
    return true;
}

/* The text is where the guest says, but we do not believe it: not a byte outside its own pages. */
static bool exits_vmcall(struct guest_registers *r, uint64_t qualification)
{
    if ((uint32_t)r->rax == HYPERCALL_END) {
        exits_machine.checks = (unsigned)r->rbx;
        print("    it:   has finished; %u of its 5 checks came out well\n", exits_machine.checks);
        return false;
    }
    if ((uint32_t)r->rax != HYPERCALL_SAY)
        FAIL("the guest makes an unknown hypercall");
    print("    it:   says \"");
    for (uint64_t at = r->rsi; ept_may_map(at) && *(const char *)at; at++)
        print("%c", *(const char *)at);
    print("\"\n    we:   have read that in its memory, byte by byte, not beyond its pages\n");
    return true;
}

static const struct exits_row {
    uint32_t reason;
    bool skip; /* an instruction that we have emulated */
    const char *name, *why;
    bool (*handle)(struct guest_registers *r, uint64_t qualification);
} exits_rows[] = {
    { REASON_CPUID, true, "CPUID", "CPUID always exits; no control decides", exits_cpuid },
    { REASON_IO, true, "I/O instruction", "\"unconditional I/O exiting\" is 1", exits_io },
    { REASON_WRMSR, true, "WRMSR", "\"use MSR bitmaps\" is 0, so every WRMSR exits", exits_wrmsr },
    { REASON_RDMSR, true, "RDMSR", "\"use MSR bitmaps\" is 0, so every RDMSR exits", exits_rdmsr },
    { REASON_HLT, true, "HLT", "\"HLT exiting\" is 1", exits_hlt },
    { REASON_EPT_VIOLATION, false, "EPT violation",
      "the EPT walk found an entry that is not present", exits_ept_violation },
    { REASON_VMCALL, true, "VMCALL", "VMCALL always exits: it is the way to call the hypervisor",
      exits_vmcall },
};

bool exit_handle(struct guest_registers *r, unsigned number)
{
    uint64_t reason = vmread(EXIT_REASON), rip = vmread(GUEST_RIP);

    for (unsigned i = 0; i < sizeof exits_rows / sizeof exits_rows[0]; i++) {
        const struct exits_row *row = &exits_rows[i];
        bool more;

        if (row->reason != reason)
            continue;
        print("  VM exit %u, reason %u: %s, at guest RIP 0x%lx\n    why:  %s\n", number,
              row->reason, row->name, rip, row->why);
        more = row->handle(r, vmread(EXIT_QUALIFICATION));
        print("\n");
        if (row->skip)
            exits_skip_instruction();
        return more;
    }
    FAIL("VM exit %u with reason 0x%lx, qualification 0x%lx, at guest RIP 0x%lx is not expected",
         number, reason, vmread(EXIT_QUALIFICATION), rip);
}
