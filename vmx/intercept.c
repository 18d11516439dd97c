/* Which instructions and events exit: the implementation of struct virt_ops.
 * [SDM 3C "VMX Non-Root Operation"] Controls and bitmaps decide here, and nowhere else. */
#include "vmx/state.h"

/* ---- instructions ---- */

struct intercept_row {
    uint8_t reason;
    bool always;   /* exits unconditionally */
    uint32_t proc; /* exits while one of these is 1 */
    uint32_t proc2;
    uint32_t enable; /* #UD while this secondary control is 0 */
};

static const struct intercept_row intercept_rows[VIRT_COUNT] = {
    [VIRT_CPUID] = { EXIT_CPUID, .always = true },
    [VIRT_INVD] = { EXIT_INVD, .always = true },
    [VIRT_XSETBV] = { EXIT_XSETBV, .always = true },
    [VIRT_HLT] = { EXIT_HLT, .proc = PROC(HLT) },
    [VIRT_INVLPG] = { EXIT_INVLPG, .proc = PROC(INVLPG) },
    [VIRT_INVPCID] = { EXIT_INVPCID, .proc = PROC(INVLPG), .enable = PROC2(INVPCID) },
    [VIRT_RDPMC] = { EXIT_RDPMC, .proc = PROC(RDPMC) },
    [VIRT_RDTSC] = { EXIT_RDTSC, .proc = PROC(RDTSC) },
    [VIRT_RDTSCP] = { EXIT_RDTSCP, .proc = PROC(RDTSC), .enable = PROC2(RDTSCP) },
    [VIRT_RDPID] = { .enable = PROC2(RDTSCP) },
    [VIRT_MOV_DR] = { EXIT_MOV_DR, .proc = PROC(MOV_DR) },
    [VIRT_MWAIT] = { EXIT_MWAIT, .proc = PROC(MWAIT) },
    [VIRT_MONITOR] = { EXIT_MONITOR, .proc = PROC(MONITOR) },
    [VIRT_PAUSE] = { EXIT_PAUSE, .proc = PROC(PAUSE), .proc2 = PROC2(PAUSE_LOOP) },
    [VIRT_GDTR_IDTR] = { EXIT_GDTR_IDTR, .proc2 = PROC2(DESCRIPTOR_TABLE) },
    [VIRT_LDTR_TR] = { EXIT_LDTR_TR, .proc2 = PROC2(DESCRIPTOR_TABLE) },
    [VIRT_WBINVD] = { EXIT_WBINVD, .proc2 = PROC2(WBINVD) },
    [VIRT_RDRAND] = { EXIT_RDRAND, .proc2 = PROC2(RDRAND) },
    [VIRT_RDSEED] = { EXIT_RDSEED, .proc2 = PROC2(RDSEED) },
    [VIRT_XSAVES] = { EXIT_XSAVES, .proc2 = PROC2(XSAVES), .enable = PROC2(XSAVES) },
    [VIRT_XRSTORS] = { EXIT_XRSTORS, .proc2 = PROC2(XSAVES), .enable = PROC2(XSAVES) },
    /* asked through functions of their own: */
    [VIRT_IO] = { EXIT_IO, .proc = PROC(IO) | PROC(IO_BITMAPS) },
    [VIRT_CR] = { EXIT_CR_ACCESS, .always = true },
    [VIRT_MSR] = { EXIT_RDMSR, .always = true },
};

uint64_t intercept_mask(const struct vmx *vmx, const struct vmcs *v)
{
    uint64_t mask = 0;

    for (unsigned i = 0; i < VIRT_COUNT; i++) {
        const struct intercept_row *row = &intercept_rows[i];

        if (row->always || v->ctl.proc & row->proc || v->ctl.proc2 & row->proc2 ||
            (row->enable && !(v->ctl.proc2 & row->enable)))
            mask |= BIT(i);
    }
    return mask;
}

/* [SDM 3C "Changes to Instruction Behavior in VMX Non-Root Operation", PAUSE]: two PAUSEs more than
 * PLE_Gap apart are not one loop; a loop of more than PLE_Window exits. At CPL 0 only. */
static bool intercept_pause(struct vmx *vmx)
{
    const struct vmcs *v = vmx->current;
    uint64_t now = cpu_cycles(vmx->cpu), last = vmx->pause_last;

    if (v->ctl.proc & PROC(PAUSE))
        return true;
    if (vmx->cpu->cpl != 0)
        return false;
    vmx->pause_last = now;
    if (last == 0 || now - last > v->ctl.ple_gap) {
        vmx->pause_first = now;
        return false;
    }
    if (now - vmx->pause_first <= v->ctl.ple_window)
        return false;
    vmx->pause_last = 0;
    return true;
}

/* register 2:0, direction 4 (1: from DR), general register 11:8 */
static uint64_t intercept_dr_qualification(const struct insn *in)
{
    bool from = insn_rows[in->id].slot == 0x21;

    return (in->reg & 7u) | (uint64_t)from << 4 | (uint64_t)(in->rm & 15) << 8;
}

static uint64_t intercept_qualification(const struct cpu *cpu, enum virt_insn which, uint64_t info)
{
    switch (which) {
    case VIRT_INVLPG:
    case VIRT_MWAIT: return info;
    case VIRT_MOV_DR: return intercept_dr_qualification(cpu->in);
    case VIRT_INVPCID:
    case VIRT_GDTR_IDTR:
    case VIRT_LDTR_TR:
    case VIRT_XSAVES:
    case VIRT_XRSTORS: return insn_displacement(cpu);
    default: return 0;
    }
}

static void intercept_insn(struct cpu *cpu, enum virt_insn which, uint64_t info)
{
    struct vmx *vmx = vmx_of(cpu);
    const struct vmcs *v = vmx->current;
    const struct intercept_row *row = &intercept_rows[which];

    if (row->enable && !(v->ctl.proc2 & row->enable))
        raise_ud(cpu);
    if (!row->always && !(v->ctl.proc & row->proc) && !(v->ctl.proc2 & row->proc2))
        return;
    if (which == VIRT_PAUSE && !intercept_pause(vmx))
        return;
    if ((which == VIRT_XSAVES || which == VIRT_XRSTORS) && !(info & v->ctl.xss_exiting))
        return;
    vm_exit(vmx, &(struct vm_exit){
                     .reason = row->reason,
                     .qualification = intercept_qualification(cpu, which, info),
                     .insn_info = insn_info(cpu, row->reason),
                 });
}

/* ---- exceptions, NMIs, interrupts ---- */

static bool exception_exits(const struct vmcs *v, const struct event *ev)
{
    bool in_bitmap = v->ctl.exceptions >> (ev->vector & 31) & 1;

    if (ev->vector == PF && ev->type == EVENT_TYPE_HARDWARE)
        return ((ev->error_code & v->ctl.pf_mask) == v->ctl.pf_match) == in_bitmap;
    return in_bitmap;
}

static uint32_t event_info(const struct event *ev, bool nmi_unblocking)
{
    return ev->vector | (uint32_t)ev->type << 8 | (uint32_t)ev->has_error << 11 |
           (uint32_t)nmi_unblocking << 12 | (uint32_t)INTR_INFO_VALID;
}

static void intercept_exception(struct cpu *cpu, const struct event *ev)
{
    struct vmx *vmx = vmx_of(cpu);
    bool has_payload = ev->vector == PF || ev->vector == DB;
    bool unblocking = ev->nmi_unblocking && !cpu->delivering && ev->vector != DF;

    if (!exception_exits(vmx->current, ev))
        return;
    vm_exit(vmx,
            &(struct vm_exit){
                .reason = EXIT_EXCEPTION_NMI,
                .qualification = has_payload && ev->type == EVENT_TYPE_HARDWARE ? ev->payload : 0,
                .intr_info = event_info(ev, unblocking),
                .intr_error = ev->has_error ? ev->error_code : 0,
                .insn_length = ev->insn_length,
                .no_vectoring = ev->vector == DF,
            });
}

static void intercept_triple_fault(struct cpu *cpu)
{
    vm_exit(vmx_of(cpu), &(struct vm_exit){ .reason = EXIT_TRIPLE_FAULT, .no_vectoring = true });
}

static void intercept_task_switch(struct cpu *cpu, uint16_t selector, unsigned source)
{
    vm_exit_reason(vmx_of(cpu), EXIT_TASK_SWITCH, selector | (uint64_t)source << 30);
}

static void intercept_nmi(struct cpu *cpu)
{
    struct vmx *vmx = vmx_of(cpu);

    if (!(vmx->current->ctl.pin & PIN(NMI)))
        return;
    cpu->events &= ~(uint32_t)EVENT_NMI;
    vm_exit(vmx, &(struct vm_exit){
                     .reason = EXIT_EXCEPTION_NMI,
                     .intr_info = NMI | (uint32_t)EVENT_TYPE_NMI << 8 | (uint32_t)INTR_INFO_VALID,
                 });
}

static void intercept_external(struct cpu *cpu)
{
    struct vmx *vmx = vmx_of(cpu);
    const struct vmcs *v = vmx->current;
    int vector;

    if (!(v->ctl.pin & PIN(EXTERNAL_INTR)))
        return;
    if (!(v->ctl.exit & EXIT(ACK_INTR)))
        vm_exit_reason(vmx, EXIT_EXTERNAL_INTR, 0);
    vector = cpu->apic->acknowledge(cpu->apic_owner);
    if (vector < 0)
        return;
    if (v->ctl.pin & PIN(POSTED_INTR) && posted_process(vmx, (unsigned)vector))
        return;
    vm_exit(vmx, &(struct vm_exit){
                     .reason = EXIT_EXTERNAL_INTR,
                     .intr_info = (uint32_t)vector | (uint32_t)INTR_INFO_VALID,
                 });
}

static bool intercept_ignores_if(const struct cpu *cpu)
{
    return vmx_of(cpu)->current->ctl.pin & PIN(EXTERNAL_INTR);
}

static bool intercept_ignores_nmi_blocking(const struct cpu *cpu)
{
    return vmx_of(cpu)->current->ctl.pin & PIN(VIRTUAL_NMIS);
}

static bool intercept_iret_unblocks_nmi(struct cpu *cpu)
{
    uint32_t pin = vmx_of(cpu)->current->ctl.pin;

    return !(pin & PIN(NMI)) || pin & PIN(VIRTUAL_NMIS);
}

static void intercept_init(struct cpu *cpu)
{
    vm_exit_reason(vmx_of(cpu), EXIT_INIT, 0);
}

static void intercept_sipi(struct cpu *cpu, uint8_t vector)
{
    vm_exit_reason(vmx_of(cpu), EXIT_SIPI, vector);
}

/* ---- boundaries ---- */

/* An MTF VM exit is pending on the boundary after the first instruction, or after the delivery of
 * an event before it. [SDM 3C "Monitor Trap Flag"] */
static void stage_mtf(struct vmx *vmx)
{
    const struct cpu *cpu = vmx->cpu;
    bool moved = cpu->insn_count != vmx->mtf_count || cpu->rip != vmx->mtf_rip ||
                 cpu->r[RSP] != vmx->mtf_rsp;

    if (vmx->mtf_armed && moved)
        vm_exit_reason(vmx, EXIT_MONITOR_TRAP, 0);
    vmx->mtf_armed = true;
    vmx->mtf_count = cpu->insn_count;
    vmx->mtf_rip = cpu->rip;
    vmx->mtf_rsp = cpu->r[RSP];
}

static void stage_traps(struct vmx *vmx)
{
    if (vmx->trap)
        vm_exit_reason(vmx, (enum exit_reason)vmx->trap_reason, vmx->trap_qualification);
    if (vmx->current->ctl.proc & PROC(MONITOR_TRAP))
        stage_mtf(vmx);
    vmx_update_events(vmx);
}

static void stage_nmi_window(struct vmx *vmx)
{
    if (vmx->current->ctl.proc & PROC(NMI_WINDOW) &&
        !(vmx->cpu->blocking & (BLOCK_NMI | BLOCK_STI | BLOCK_MOV_SS)))
        vm_exit_reason(vmx, EXIT_NMI_WINDOW, 0);
}

static void stage_intr_window(struct vmx *vmx)
{
    const struct cpu *cpu = vmx->cpu;

    if (vmx->current->ctl.proc & PROC(INTR_WINDOW) && cpu->rflags & RFLAGS_IF &&
        !(cpu->blocking & (BLOCK_STI | BLOCK_MOV_SS)) && cpu->activity != SHUTDOWN)
        vm_exit_reason(vmx, EXIT_INTR_WINDOW, 0);
}

static void intercept_event(struct cpu *cpu, enum virt_stage stage)
{
    struct vmx *vmx = vmx_of(cpu);

    if (!cpu->non_root)
        return;
    switch (stage) {
    case VIRT_STAGE_TRAPS: stage_traps(vmx); break;
    case VIRT_STAGE_TIMER:
        if (timer_expired(vmx))
            vm_exit_reason(vmx, EXIT_TIMER, 0);
        break;
    case VIRT_STAGE_NMI_WINDOW: stage_nmi_window(vmx); break;
    case VIRT_STAGE_INTR_WINDOW: stage_intr_window(vmx); break;
    case VIRT_STAGE_VIRTUAL_INTR: vapic_deliver(vmx); break;
    }
}

/* ---- the rest ---- */

static bool intercept_cap_read(struct cpu *cpu, uint32_t msr, uint64_t *value)
{
    if (msr == 0x3a) { /* IA32_FEATURE_CONTROL */
        *value = cpu->msr.feature_control;
        return true;
    }
    return vmx_caps_msr(&vmx_of(cpu)->caps, msr, value);
}

static void intercept_reset(struct cpu *cpu)
{
    vmx_leave(vmx_of(cpu));
}

const struct virt_ops vmx_ops = {
    .insn = intercept_insn,
    .io = intercept_io,
    .cr_read = intercept_cr_read,
    .cr_write = intercept_cr_write,
    .clts = intercept_clts,
    .lmsw = intercept_lmsw,
    .smsw = intercept_smsw,
    .msr_read = intercept_msr_read,
    .msr_write = intercept_msr_write,
    .cap_read = intercept_cap_read,
    .tsc = vmx_guest_tsc,
    .exception = intercept_exception,
    .triple_fault = intercept_triple_fault,
    .task_switch = intercept_task_switch,
    .event = intercept_event,
    .external_interrupt = intercept_external,
    .nmi = intercept_nmi,
    .init = intercept_init,
    .sipi = intercept_sipi,
    .ignores_if = intercept_ignores_if,
    .ignores_nmi_blocking = intercept_ignores_nmi_blocking,
    .iret_unblocks_nmi = intercept_iret_unblocks_nmi,
    .stage2_fault = ept_fault,
    .vmx = vmx_instruction,
    .reset = intercept_reset,
};
