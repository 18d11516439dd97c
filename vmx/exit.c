/* VM exits: what is recorded, then guest state out, host state in. [SDM 3C "VM Exits"] */
#include "vmx/state.h"
#include "vmx/trace.h"

enum { RF_AS_IS, RF_CLEAR, RF_SET };

struct exit_row {
    const char *text;
    uint8_t rf;
};
static const struct exit_row exit_rows[EXIT_REASON_LIMIT] = {
#define EXIT_REASON(number, name, qualification, rf, text) [number] = { text, RF_##rf },
#include "vmx/exit_reasons.def"
};

const char *exit_reason_text(uint32_t reason)
{
    uint32_t basic = reason & 0xffff;

    return basic < EXIT_REASON_LIMIT && exit_rows[basic].text ? exit_rows[basic].text : "unknown";
}

static bool event_is_software(unsigned type)
{
    return type == EVENT_TYPE_SOFTWARE_INT || type == EVENT_TYPE_SOFTWARE_EXC ||
           type == EVENT_TYPE_PRIV_SOFTWARE;
}

/* [SDM 3C "Information for VM Exits During Event Delivery"] */
static void exit_record_vectoring(struct cpu *cpu, struct vmcs_exit_info *info, bool none)
{
    const struct event *ev = &cpu->current;

    info->idt_info = 0;
    if (!cpu->delivering || none)
        return;
    info->idt_info = ev->vector | (uint32_t)ev->type << 8 | (uint32_t)ev->has_error << 11 |
                     (uint32_t)INTR_INFO_VALID;
    info->idt_error = ev->has_error ? ev->error_code : 0;
    if (event_is_software(ev->type))
        info->insn_length = ev->insn_length;
}

static void exit_record(struct vmx *vmx, const struct vm_exit *x)
{
    struct cpu *cpu = vmx->cpu;
    struct vmcs_exit_info *info = &vmx->current->info;

    info->reason = x->reason;
    info->qualification = x->qualification;
    info->intr_info = x->intr_info;
    info->intr_error = x->intr_error;
    info->insn_info = x->insn_info;
    info->guest_linear = x->guest_linear;
    info->guest_physical = x->guest_physical;
    if (cpu->in)
        info->insn_length = cpu->in->length;
    if (x->insn_length)
        info->insn_length = x->insn_length;
    exit_record_vectoring(cpu, info, x->no_vectoring);
    vmx->current->ctl.intr_info &= ~(uint32_t)INTR_INFO_VALID;
}

static void exit_trace(const struct vmx *vmx, const struct vm_exit *x)
{
    char words[160];

    if (likely(!trace_point_vmx_exit.on))
        return;
    trace_vmx_exit(x->reason, exit_reason_text(x->reason),
                   exit_qualification_text(x, words, sizeof words), x->qualification, vmx->cpu->rip,
                   x->intr_info);
}

static void exit_rf(struct cpu *cpu, enum exit_reason reason)
{
    if (exit_rows[reason].rf == RF_CLEAR)
        cpu->rflags &= ~RFLAGS_RF;
    else if (exit_rows[reason].rf == RF_SET && !cpu->delivering)
        cpu->rflags |= RFLAGS_RF;
}

/* what the processor blocks afterwards */
static void exit_blocking(struct vmx *vmx, const struct vm_exit *x)
{
    struct cpu *cpu = vmx->cpu;
    bool by_nmi = x->reason == EXIT_EXCEPTION_NMI && (x->intr_info >> 8 & 7) == EVENT_TYPE_NMI;

    if (vmx->current->ctl.pin & PIN(VIRTUAL_NMIS))
        cpu->blocking &= ~(uint32_t)BLOCK_NMI; /* was that of virtual NMIs */
    cpu->blocking = (cpu->blocking & BLOCK_NMI) | (by_nmi ? BLOCK_NMI : 0);
}

static void exit_account(struct vmx *vmx, enum exit_reason reason)
{
    uint64_t now = cpu_cycles(vmx->cpu);

    vmx->stats.exits[reason]++;
    vmx->stats.non_root_cycles += now - vmx->stats.since;
    vmx->stats.since = now;
}

_Noreturn void vm_exit(struct vmx *vmx, const struct vm_exit *x)
{
    struct cpu *cpu = vmx->cpu;
    struct vmcs *v = vmx->current;

    exit_record(vmx, x);
    cpu_sync_rip(cpu);
    exit_trace(vmx, x);
    exit_rf(cpu, x->reason);
    exit_save_guest(vmx);
    exit_blocking(vmx, x);
    exit_account(vmx, x->reason);
    if (!msr_area_store(vmx, &v->ctl.exit_store))
        vmx_abort(vmx, ABORT_MSR_STORE);
    exit_load_host(vmx);
    if (msr_area_load(vmx, &v->ctl.exit_load) != 0)
        vmx_abort(vmx, ABORT_MSR_LOAD);
    cpu_charge(cpu, COST_VM_EXIT);
    cpu_restart(cpu);
}

_Noreturn void vm_exit_reason(struct vmx *vmx, enum exit_reason reason, uint64_t qualification)
{
    vm_exit(vmx, &(struct vm_exit){ .reason = reason, .qualification = qualification });
}

/* [SDM 3C "VM-Entry Failures During or After Loading Guest State"]: only the reason and the
 * qualification are recorded, no guest state is saved, no MSR is stored. */
_Noreturn void exit_entry_failed(struct vmx *vmx, enum exit_reason reason, uint64_t qualification)
{
    struct cpu *cpu = vmx->cpu;
    struct vmcs *v = vmx->current;

    v->info.reason = reason | EXIT_ENTRY_FAILED;
    v->info.qualification = qualification;
    cpu_sync_rip(cpu);
    exit_trace(vmx, &(struct vm_exit){ .reason = reason, .qualification = qualification });
    vmx->stats.exits[reason]++;
    cpu->blocking &= BLOCK_NMI;
    exit_load_host(vmx);
    if (msr_area_load(vmx, &v->ctl.exit_load) != 0)
        vmx_abort(vmx, ABORT_MSR_LOAD);
    cpu_charge(cpu, COST_VM_ENTRY_FAIL);
    cpu_restart(cpu);
}

/* The VMCS can no longer be trusted: a non-zero indicator in its region, and shutdown.
 * [SDM 3C "VMX Aborts"] */
_Noreturn void vmx_abort(struct vmx *vmx, enum vmx_abort indicator)
{
    struct cpu *cpu = vmx->cpu;

    trace_vmx_abort(indicator);
    vmx->stats.aborts++;
    vmcs_set_abort(cpu->bus, vmx->current_pa, indicator);
    cpu->non_root = false;
    cpu->virt_mask = 0;
    cpu->activity = SHUTDOWN;
    cpu_update_key(cpu);
    cpu_kick(cpu);
    if (cpu->triple_fault)
        cpu->triple_fault(cpu, cpu->board);
    cpu_restart(cpu);
}
