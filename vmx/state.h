/* Inside vmx/: the state of VMX of one logical processor, and what the files here share. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "cpu/cpu.h"
#include "cpu/insn.h"
#include "cpu/virt.h"
#include "vmx/caps.h"
#include "vmx/vmcs.h"

enum { LINEAR_BITS = CPU_LINEAR_BITS };

/* clang-format off */
enum {
#define COST(name, cycles, doc) COST_##name = (cycles),
#include "vmx/cost.def"
};
/* clang-format on */

/* clang-format off */
enum exit_reason {
#define EXIT_REASON(number, name, qualification, rf, text) EXIT_##name = (number),
#include "vmx/exit_reasons.def"
    EXIT_REASON_LIMIT = 65
};
/* clang-format on */
#define EXIT_ENTRY_FAILED (UINT32_C(1) << 31) /* in the exit reason */

/* VM-instruction error numbers [SDM 3C "VM Instruction Error Numbers"] */
enum vm_error {
    VMERR_VMCALL_IN_ROOT = 1,
    VMERR_VMCLEAR_ADDRESS = 2,
    VMERR_VMCLEAR_VMXON = 3,
    VMERR_LAUNCH_NOT_CLEAR = 4,
    VMERR_RESUME_NOT_LAUNCHED = 5,
    VMERR_CONTROLS = 7,
    VMERR_HOST = 8,
    VMERR_VMPTRLD_ADDRESS = 9,
    VMERR_VMPTRLD_VMXON = 10,
    VMERR_VMPTRLD_REVISION = 11,
    VMERR_NO_FIELD = 12,
    VMERR_READ_ONLY = 13,
    VMERR_VMXON_IN_ROOT = 15,
    VMERR_MOV_SS = 26,
    VMERR_INVALIDATE_OPERAND = 28,
    /* of the checks only: exit reason 33, with the exit qualification in bits 7:0 */
    VMERR_GUEST_STATE = 0x100,
    VMERR_GUEST_PDPTE = 0x102,
    VMERR_GUEST_NMI = 0x103,
    VMERR_GUEST_LINK = 0x104
};

enum vmx_abort { ABORT_MSR_STORE = 1, ABORT_HOST_PDPTE = 2, ABORT_MSR_LOAD = 4 };

/* rows of entry_checks.def */
/* clang-format off */
enum entry_check {
    CHECK_NONE,
#define ENTRY_CHECK(id, section, error, when, must, ...) CHECK_##id,
#define SEGMENT_CHECK(id, segments, when, must, text) CHECK_##id,
#define ENTRY_WHEN(condition)
#define ENTRY_END
#include "vmx/entry_checks.def"
    CHECK_COUNT
};
/* clang-format on */
struct entry_check_row {
    const char *name;
    uint8_t section; /* enum sdm_section */
};
extern const struct entry_check_row entry_check_rows[CHECK_COUNT];

/* clang-format off */
enum sdm_section {
#define SDM_SECTION(id, volume, number, title) SDM_##id,
#include "vmx/sdm.def"
    SDM_COUNT
};
/* clang-format on */
struct sdm_row {
    const char *volume, *number, *title;
};
extern const struct sdm_row sdm_rows[SDM_COUNT];

#define DEBUGCTL_LBR BIT(0)
#define DEBUGCTL_BTF BIT(1)
#define DEBUGCTL_VALID (DEBUGCTL_LBR | DEBUGCTL_BTF)
#define PENDING_DBG_VALID (BITS(3, 0) | PENDING_DBG_ENABLED | PENDING_DBG_BS)
#define PENDING_DBG_ENABLED BIT(12)
#define PENDING_DBG_BS BIT(14)
#define INTR_INFO_VALID BIT(31)

/* CR0 bits that neither VM entry nor VM exit changes: ET, CD, NW and the reserved ones */
#define CR0_KEPT (CR0_ET | CR0_CD | CR0_NW | BITS(28, 19) | BIT(17) | BITS(15, 6) | BITS(63, 32))

enum { VMCS_CACHE = 16 };

/* why the last VM entry or VMX instruction failed, in words */
struct vmx_failure {
    enum entry_check check;
    char text[320];
};

struct vmx_stats {
    uint64_t entries, entry_failures, insn_failures, aborts;
    uint64_t exits[EXIT_REASON_LIMIT];
    uint64_t root_cycles, non_root_cycles; /* until `since` */
    uint64_t since;
};

struct vmx {
    struct cpu *cpu;
    struct vmx_caps caps;
    struct vmcs_map map;
    uint64_t vmxon_pa;    /* of the VMXON region, VMCS_NONE outside VMX operation */
    uint64_t current_pa;  /* current-VMCS pointer */
    struct vmcs *current; /* NULL while that is VMCS_NONE */

    /* of the running guest, all reset by VM entry: */
    uint64_t timer_end;        /* tick at which the preemption timer is 0 */
    uint64_t timer_tsc_offset; /* the TSC's offset when it was started */
    bool timer_on;
    bool trap; /* a trap-like VM exit waits for the instruction's end: */
    uint16_t trap_reason;
    uint16_t trap_qualification;
    bool virtual_intr;    /* a pending virtual interrupt has been recognized */
    uint64_t alone_count; /* insn_count at which an instruction runs alone: apic_access.c */
    bool mtf_armed;       /* an MTF VM exit is pending unless nothing has happened since */
    uint64_t mtf_count, mtf_rip, mtf_rsp;
    uint64_t pause_first, pause_last;

    /* copies for snapshots: vmx_save_prepare */
    bool saved_non_root;
    uint64_t saved_deadline;

    struct vmx_failure failure;
    struct vmx_stats stats;
    uint64_t vmcs_clock;
    struct vmcs cache[VMCS_CACHE];
};

static inline struct vmx *vmx_of(const struct cpu *cpu)
{
    return cpu->virt_state;
}

static inline bool in_width(const struct vmx_caps *caps, uint64_t address)
{
    return address >> caps->maxphyaddr == 0;
}
static inline bool page_address(const struct vmx_caps *caps, uint64_t address)
{
    return !(address & ~PAGE_MASK) && in_width(caps, address);
}

/* index in cpu->seg[] of a VSEG_* */
static inline unsigned vseg_to_seg(unsigned vseg)
{
    return vseg < VSEG_LDTR ? vseg : vseg == VSEG_LDTR ? SEG_LDTR : SEG_TR;
}

/* ---- entry.c, entry_load.c, inject.c ---- */
/* VMLAUNCH and VMRESUME after their own checks. Returns a VM-instruction error, or does not. */
enum vm_error entry(struct vmx *vmx);
/* the checks: 0, or an error, then vmx->failure says which */
enum vm_error entry_check(struct vmx *vmx);
/* virt_mask, EPT and the like, once the controls are known to be good */
void entry_settle(struct vmx *vmx);
void entry_load_guest(struct vmx *vmx);
/* 0, or the number (from 1) of the entry that cannot be loaded */
unsigned msr_area_load(struct vmx *vmx, const struct vmcs_msr_area *area);
bool msr_area_store(struct vmx *vmx, const struct vmcs_msr_area *area);
/* the event of the VMCS, then the guest runs: does not return */
_Noreturn void inject(struct vmx *vmx);

/* ---- exit.c, exit_save.c ---- */
/* What a VM exit reports; everything else is found in the processor. */
struct vm_exit {
    enum exit_reason reason;
    uint64_t qualification;
    uint32_t intr_info, intr_error; /* event that exits */
    uint8_t insn_length;            /* where cpu->in does not know it */
    uint32_t insn_info;
    uint64_t guest_linear, guest_physical;
    bool no_vectoring; /* a double fault: nothing else was being delivered */
};
_Noreturn void vm_exit(struct vmx *vmx, const struct vm_exit *x);
_Noreturn void vm_exit_reason(struct vmx *vmx, enum exit_reason reason, uint64_t qualification);
/* VM entry has failed after it began to load guest state */
_Noreturn void exit_entry_failed(struct vmx *vmx, enum exit_reason reason, uint64_t qualification);
_Noreturn void vmx_abort(struct vmx *vmx, enum vmx_abort indicator);
void exit_save_guest(struct vmx *vmx);
/* false: VMX abort */
void exit_load_host(struct vmx *vmx);
const char *exit_reason_text(uint32_t reason);
/* the qualification in words, into text[] */
const char *exit_qualification_text(const struct vm_exit *x, char *text, unsigned size);

/* ---- insn_info.c ---- */
uint32_t insn_info(const struct cpu *cpu, enum exit_reason reason);
uint64_t insn_displacement(const struct cpu *cpu);

/* ---- intercept.c ---- */
uint64_t intercept_mask(const struct vmx *vmx, const struct vmcs *v);
extern const struct virt_ops vmx_ops;
uint64_t intercept_cr_read(struct cpu *cpu, unsigned n, unsigned gpr);
bool intercept_cr_write(struct cpu *cpu, unsigned n, uint64_t *value, unsigned gpr);
bool intercept_clts(struct cpu *cpu);
bool intercept_lmsw(struct cpu *cpu, uint16_t *source, bool mem, uint64_t linear);
uint64_t intercept_smsw(struct cpu *cpu);
bool intercept_msr_read(struct cpu *cpu, uint32_t msr, uint64_t *value, bool *ok);
bool intercept_msr_write(struct cpu *cpu, uint32_t msr, uint64_t value, bool *ok);
void intercept_io(struct cpu *cpu, const struct virt_io *io);
uint64_t vmx_guest_tsc(const struct cpu *cpu, uint64_t tsc);

/* ---- ept.c, invalidate.c ---- */
bool eptp_valid(const struct vmx_caps *caps, uint64_t eptp);
static inline uint64_t eptp_tag(uint64_t eptp) /* for struct stage2: never 0 */
{
    return (eptp & BITS(51, 12)) | 1;
}
void ept_settle(struct vmx *vmx, struct vmcs *v);
__attribute__((noreturn)) void ept_fault(struct cpu *cpu, const struct mmu_fault *f);
bool invalidate_ept(struct vmx *vmx, uint64_t type, const uint64_t descriptor[2]);
bool invalidate_vpid(struct vmx *vmx, uint64_t type, const uint64_t descriptor[2]);
/* VM entries and VM exits without VPIDs drop what VPID 0 has cached */
void invalidate_on_transition(struct vmx *vmx);

/* ---- vapic.c, posted.c ---- */
uint8_t vapic_vtpr(const struct vmx *vmx);
void vapic_enter(struct vmx *vmx); /* VM entry: PPR virtualization, evaluation, TPR threshold */
void vapic_write_tpr(struct vmx *vmx, uint8_t vtpr);
bool vapic_read_msr(struct vmx *vmx, uint32_t msr, uint64_t *value);
bool vapic_write_msr(struct vmx *vmx, uint32_t msr, uint64_t value, bool *ok);
void vapic_map(struct vmx *vmx, bool on); /* the APIC-access page in mmu.special */
void vapic_deliver(struct vmx *vmx);      /* the stage VIRT_STAGE_VIRTUAL_INTR */
void vapic_post(struct vmx *vmx, const uint64_t requests[4]);
void vapic_evaluate(struct vmx *vmx);
/* true: it was the notification of posted interrupts, and has been processed */
bool posted_process(struct vmx *vmx, unsigned vector);

/* ---- preempt_timer.c ---- */
void timer_start(struct vmx *vmx);
uint32_t timer_stop(struct vmx *vmx); /* its value now */
bool timer_expired(const struct vmx *vmx);

/* ---- vmx_insn.c ---- */
void vmx_instruction(struct cpu *cpu, enum vmx_insn which);

/* ---- vmx.c ---- */
void vmx_leave(struct vmx *vmx);      /* VMXOFF, RESET, INIT */
void vmx_write_back(struct vmx *vmx); /* all cached VMCSs to memory; they stay cached */
void vmx_set_fixed_bits(struct vmx *vmx);
/* make EVENT_VIRT and KEY_SINGLE what the running guest needs */
void vmx_update_events(struct vmx *vmx);
struct vmcs *vmx_cached(struct vmx *vmx, uint64_t pa); /* or NULL */
void vmx_make_current(struct vmx *vmx, uint64_t pa);   /* writes another one back if it must */
void vmx_clear(struct vmx *vmx, uint64_t pa);          /* VMCLEAR */
