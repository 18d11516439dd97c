/* VMX in numbers: VMCS fields, controls, exit reasons; and what the files of hello_vmx share. */
#pragma once
#include "roms/hello_vmx/x86.h"

enum { PAGE = 4096 };

/* ---- VMCS fields [SDM 3D "Field Encoding in VMCS"] ----
 * Bits 14:13 of an encoding say how wide the field is, bits 11:10 which area it belongs to. */
enum vmcs_field {
    /* selectors, in the order ES, CS, SS, DS, FS, GS, LDTR, TR, an encoding is 2 more each time */
    GUEST_SELECTOR = 0x0800,
    HOST_ES_SELECTOR = 0x0c00,
    HOST_CS_SELECTOR = 0x0c02,
    HOST_SS_SELECTOR = 0x0c04,
    HOST_DS_SELECTOR = 0x0c06,
    HOST_FS_SELECTOR = 0x0c08,
    HOST_GS_SELECTOR = 0x0c0a,
    HOST_TR_SELECTOR = 0x0c0c,

    EPT_POINTER = 0x201a,
    GUEST_PHYSICAL_ADDRESS = 0x2400,
    VMCS_LINK_POINTER = 0x2800,
    GUEST_DEBUGCTL = 0x2802,

    PIN_CONTROLS = 0x4000,
    PROC_CONTROLS = 0x4002,
    EXCEPTION_BITMAP = 0x4004,
    PF_ERROR_CODE_MASK = 0x4006,
    PF_ERROR_CODE_MATCH = 0x4008,
    CR3_TARGET_COUNT = 0x400a,
    EXIT_CONTROLS = 0x400c,
    EXIT_MSR_STORE_COUNT = 0x400e,
    EXIT_MSR_LOAD_COUNT = 0x4010,
    ENTRY_CONTROLS = 0x4012,
    ENTRY_MSR_LOAD_COUNT = 0x4014,
    ENTRY_INTR_INFO = 0x4016,
    PROC2_CONTROLS = 0x401e,
    VM_INSTRUCTION_ERROR = 0x4400,
    EXIT_REASON = 0x4402,
    EXIT_INSTRUCTION_LENGTH = 0x440c,
    GUEST_LIMIT = 0x4800, /* as the selectors */
    GUEST_GDTR_LIMIT = 0x4810,
    GUEST_IDTR_LIMIT = 0x4812,
    GUEST_ACCESS_RIGHTS = 0x4814, /* as the selectors */
    GUEST_INTERRUPTIBILITY = 0x4824,
    GUEST_ACTIVITY = 0x4826,
    GUEST_SYSENTER_CS = 0x482a,
    HOST_SYSENTER_CS = 0x4c00,

    CR0_GUEST_HOST_MASK = 0x6000,
    CR4_GUEST_HOST_MASK = 0x6002,
    EXIT_QUALIFICATION = 0x6400,
    GUEST_LINEAR_ADDRESS = 0x640a,
    GUEST_CR0 = 0x6800,
    GUEST_CR3 = 0x6802,
    GUEST_CR4 = 0x6804,
    GUEST_BASE = 0x6806, /* as the selectors */
    GUEST_GDTR_BASE = 0x6816,
    GUEST_IDTR_BASE = 0x6818,
    GUEST_DR7 = 0x681a,
    GUEST_RSP = 0x681c,
    GUEST_RIP = 0x681e,
    GUEST_RFLAGS = 0x6820,
    GUEST_PENDING_DEBUG = 0x6822,
    GUEST_SYSENTER_ESP = 0x6824,
    GUEST_SYSENTER_EIP = 0x6826,
    HOST_CR0 = 0x6c00,
    HOST_CR3 = 0x6c02,
    HOST_CR4 = 0x6c04,
    HOST_FS_BASE = 0x6c06,
    HOST_GS_BASE = 0x6c08,
    HOST_TR_BASE = 0x6c0a,
    HOST_GDTR_BASE = 0x6c0c,
    HOST_IDTR_BASE = 0x6c0e,
    HOST_SYSENTER_ESP = 0x6c10,
    HOST_SYSENTER_EIP = 0x6c12,
    /* HOST_RSP and HOST_RIP: entry.S */
};

/* ---- controls that we ask for [SDM 3C "VM-Execution Control Fields"] ---- */
enum {
    PROC_HLT_EXITING = 1 << 7,
    PROC_UNCONDITIONAL_IO_EXITING = 1 << 24,
    PROC2_ENABLE_EPT = 1 << 1,
    EXIT_HOST_ADDRESS_SPACE_SIZE = 1 << 9,
    ENTRY_IA32E_MODE_GUEST = 1 << 9,
};
#define PROC_ACTIVATE_SECONDARY_CONTROLS BIT(31)

/* ---- basic exit reasons [SDM 3D "VMX Basic Exit Reasons"] ---- */
enum {
    REASON_CPUID = 10,
    REASON_HLT = 12,
    REASON_VMCALL = 18,
    REASON_IO = 30,
    REASON_RDMSR = 31,
    REASON_WRMSR = 32,
    REASON_ENTRY_GUEST_STATE = 33,
    REASON_EPT_VIOLATION = 48,
};
#define REASON_ENTRY_FAILURE BIT(31)

/* What VM entry and VM exit leave alone, so entry.S loads and saves it. In this order there. */
struct guest_registers {
    uint64_t rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15;
};

/* entry.S */
enum vm_result vm_enter(struct guest_registers *r, bool launched);

/* link.ld, start.S, guest.S: only their addresses matter */
extern char guest_start[], guest_entry[], guest_end[], guest_hole[];
extern uint64_t guest_pml4[512], guest_pdpt[512], guest_pd[512];
extern uint64_t gdt[5];

/* tables.c: a task-state segment (VMX wants one) and exceptions that are reported */
void tables_load(void);
uint64_t tables_tss(void);
uint64_t tables_idt(void);

/* vmcs.c */
uint64_t vmread(enum vmcs_field field);
void vmwrite(enum vmcs_field field, uint64_t value);
void vmcs_fill(uint64_t basic, uint64_t eptp);

/* ept.c */
uint64_t ept_build(void);
bool ept_may_map(uint64_t gpa);
void ept_map(uint64_t gpa);

/* exits.c: false: the guest has ended */
bool exit_handle(struct guest_registers *r, unsigned number);
unsigned exit_guest_checks(void);

static inline uint64_t address_of(const void *at)
{
    return (uintptr_t)at; /* our page tables map linear = physical */
}
