/* What a processor asks of its virtualization extensions. Owned by cpu/, filled by vmx/; the
 * processor knows neither VMX nor a VMCS. Where there is none: virt_none, which refuses.
 *
 * Every function that "exits" performs a VM exit and does not return: it loads the host state and
 * unwinds through cpu_restart. Called only in non-root operation unless said otherwise. An exit
 * finds the cause in the processor: cpu->in is the decoded instruction (operands for the
 * instruction information, length), cpu->delivering and cpu->current the event whose delivery was
 * interrupted (IDT-vectoring information). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "cpu/cpu.h"

/* Instructions that controls can intercept. cpu->virt_mask has BIT(x) while insn() must be asked:
 * because it exits, may exit, or must raise #UD (an "enable ..." control is 0). */
/* clang-format off */
enum virt_insn {
    VIRT_CPUID, VIRT_INVD, VIRT_HLT, VIRT_INVLPG /* info: linear address */, VIRT_INVPCID,
    VIRT_RDPMC, VIRT_RDTSC, VIRT_RDTSCP, VIRT_RDPID, VIRT_MOV_DR, VIRT_MWAIT /* info: armed */,
    VIRT_MONITOR, VIRT_PAUSE, VIRT_GDTR_IDTR, VIRT_LDTR_TR, VIRT_WBINVD, VIRT_XSETBV, VIRT_RDRAND,
    VIRT_RDSEED, VIRT_XSAVES /* info: EDX:EAX & IA32_XSS & XCR0 part */, VIRT_XRSTORS,
    VIRT_IO,  /* asked through io() */
    VIRT_CR,  /* asked through cr_read, cr_write, clts, lmsw, smsw */
    VIRT_MSR, /* asked through msr_* */
    VIRT_COUNT
};
/* clang-format on */

/* the instructions of VMX themselves; rows in insn_vmx.def */
/* clang-format off */
enum vmx_insn {
    VMX_VMXON, VMX_VMXOFF, VMX_VMCLEAR, VMX_VMPTRLD, VMX_VMPTRST, VMX_VMREAD, VMX_VMWRITE,
    VMX_VMLAUNCH, VMX_VMRESUME, VMX_VMCALL, VMX_VMFUNC, VMX_INVEPT, VMX_INVVPID
};
/* clang-format on */

struct virt_io {
    uint16_t port;
    uint8_t size; /* 1, 2, 4 */
    bool in, string, rep, immediate;
    uint64_t linear; /* string: linear address of the memory operand (base + offset) */
};

/* what VMX may want at a boundary, in the order of [SDM 3A "Prioritization of Concurrent Events"]
 * and [SDM 3C "VM-Exit Induced ... / Other Causes of VM Exits"]; cpu/events.c calls event() for
 * each stage in turn while EVENT_VIRT is set */
enum virt_stage {
    VIRT_STAGE_TRAPS, /* APIC-write and TPR-threshold exits, MTF */
    VIRT_STAGE_TIMER, /* VMX-preemption timer */
    VIRT_STAGE_NMI_WINDOW,
    VIRT_STAGE_INTR_WINDOW,
    VIRT_STAGE_VIRTUAL_INTR /* deliver or post-process a pending virtual interrupt */
};

struct virt_ops {
    /* an instruction of virt_mask is about to execute (privilege and #UD checks that precede an
     * exit are done by the caller as the manual orders them) */
    void (*insn)(struct cpu *cpu, enum virt_insn which, uint64_t info);
    void (*io)(struct cpu *cpu, const struct virt_io *io);

    /* MOV from CR n (0, 3, 4, 8): exits, or returns what the guest reads. gpr: register operand */
    uint64_t (*cr_read)(struct cpu *cpu, unsigned n, unsigned gpr);
    /* MOV to CR n: exits, or returns true with *value changed to what is to be checked and set
     * (guest/host masks), or false: done already (CR8 with a TPR shadow) */
    bool (*cr_write)(struct cpu *cpu, unsigned n, uint64_t *value, unsigned gpr);
    bool (*clts)(struct cpu *cpu); /* true: go on and clear CR0.TS */
    /* true: go on; *source has been changed so that LMSW leaves masked bits alone */
    bool (*lmsw)(struct cpu *cpu, uint16_t *source, bool mem, uint64_t linear);
    uint64_t (*smsw)(struct cpu *cpu); /* CR0 as SMSW shows it */

    /* RDMSR, WRMSR: exits if the bitmaps say so, else returns true if it has done the access
     * itself (x2APIC virtualization; TSC with offset): then *value is the result, and *ok says
     * whether it was good or raises #GP(0) */
    bool (*msr_read)(struct cpu *cpu, uint32_t msr, uint64_t *value, bool *ok);
    bool (*msr_write)(struct cpu *cpu, uint32_t msr, uint64_t value, bool *ok);
    /* IA32_VMX_* capability MSRs and IA32_FEATURE_CONTROL; also in root operation and without
     * VMX operation. False: no such MSR (or a write that is refused) -> #GP */
    bool (*cap_read)(struct cpu *cpu, uint32_t msr, uint64_t *value);

    /* TSC as the guest sees it */
    uint64_t (*tsc)(const struct cpu *cpu, uint64_t tsc);

    /* An exception (hardware, or software by INT3/INTO/INT1), before it is delivered: exits or
     * returns. Not called for INT n. */
    void (*exception)(struct cpu *cpu, const struct event *ev);
    void (*triple_fault)(struct cpu *cpu);                                    /* exits */
    void (*task_switch)(struct cpu *cpu, uint16_t selector, unsigned source); /* exits */

    /* boundary events */
    void (*event)(struct cpu *cpu, enum virt_stage stage); /* exits, or changes state, or returns */
    void (*external_interrupt)(struct cpu *cpu);           /* EVENT_INTR: exits or returns */
    void (*nmi)(struct cpu *cpu);                          /* exits or returns */
    void (*init)(struct cpu *cpu);                         /* exits */
    void (*sipi)(struct cpu *cpu, uint8_t vector);         /* in wait-for-SIPI: exits */
    /* is a maskable interrupt blocked by RFLAGS.IF? With external-interrupt exiting it is not. */
    bool (*ignores_if)(const struct cpu *cpu);
    /* is an NMI held back by blocking by NMI? With virtual NMIs that is the guest's virtual one. */
    bool (*ignores_nmi_blocking)(const struct cpu *cpu);
    /* IRET: false keeps blocking by NMI (NMI exiting without virtual NMIs) */
    bool (*iret_unblocks_nmi)(struct cpu *cpu);

    /* an EPT violation or misconfiguration */
    __attribute__((noreturn)) void (*stage2_fault)(struct cpu *cpu, const struct mmu_fault *f);

    /* VMX instructions, in any mode of operation: all checks are the callee's (#UD first) */
    void (*vmx)(struct cpu *cpu, enum vmx_insn which);

    /* RESET and INIT */
    void (*reset)(struct cpu *cpu);
};

extern const struct virt_ops virt_none;

/* in an instruction function, where the manual orders the intercept */
static inline void virt_check(struct cpu *cpu, enum virt_insn which, uint64_t info)
{
    if (unlikely(cpu->virt_mask & BIT(which)))
        cpu->virt->insn(cpu, which, info);
}
static inline bool virt_wants(const struct cpu *cpu, enum virt_insn which)
{
    return unlikely((cpu->virt_mask & BIT(which)) != 0);
}
