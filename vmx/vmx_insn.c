/* The instructions of VMX: what they refuse, in the manual's order, and what they do.
 * [SDM 3C "VMX Instruction Reference"] */
#include "cpu/operand.h"
#include "vmx/state.h"
#include "vmx/trace.h"

/* ---- VMsucceed, VMfail [SDM 3C "Conventions"] ---- */

static void vm_succeed(struct cpu *cpu)
{
    flags_set(&cpu->flags, 0);
}

static void vm_fail_invalid(struct vmx *vmx, const char *text)
{
    trace_vmx_insn_fail(0, text);
    vmx->stats.insn_failures++;
    flags_set(&vmx->cpu->flags, RFLAGS_CF);
}

static const char *vm_error_text(enum vm_error error)
{
    switch (error) {
    case VMERR_VMCALL_IN_ROOT: return "VMCALL in VMX root operation";
    case VMERR_VMCLEAR_ADDRESS: return "VMCLEAR with an invalid physical address";
    case VMERR_VMCLEAR_VMXON: return "VMCLEAR with the VMXON pointer";
    case VMERR_LAUNCH_NOT_CLEAR: return "VMLAUNCH with a VMCS that is not clear";
    case VMERR_RESUME_NOT_LAUNCHED: return "VMRESUME with a VMCS that is not launched";
    case VMERR_CONTROLS: return "VM entry with invalid control fields";
    case VMERR_HOST: return "VM entry with invalid host-state fields";
    case VMERR_VMPTRLD_ADDRESS: return "VMPTRLD with an invalid physical address";
    case VMERR_VMPTRLD_VMXON: return "VMPTRLD with the VMXON pointer";
    case VMERR_VMPTRLD_REVISION: return "VMPTRLD with an incorrect VMCS revision identifier";
    case VMERR_NO_FIELD: return "VMREAD or VMWRITE of an unsupported VMCS component";
    case VMERR_READ_ONLY: return "VMWRITE to a read-only VMCS component";
    case VMERR_VMXON_IN_ROOT: return "VMXON in VMX root operation";
    case VMERR_MOV_SS: return "VM entry with events blocked by MOV SS";
    case VMERR_INVALIDATE_OPERAND: return "invalid operand to INVEPT or INVVPID";
    default: return "invalid guest state";
    }
}

static void vm_fail_valid(struct vmx *vmx, enum vm_error error)
{
    trace_vmx_insn_fail(error, vm_error_text(error));
    vmx->stats.insn_failures++;
    vmx->current->info.error = error;
    flags_set(&vmx->cpu->flags, RFLAGS_ZF);
}

static void vm_fail(struct vmx *vmx, enum vm_error error)
{
    if (vmx->current)
        vm_fail_valid(vmx, error);
    else
        vm_fail_invalid(vmx, vm_error_text(error));
}

/* ---- operands ---- */

static uint64_t read_pointer(struct cpu *cpu, const struct insn *in)
{
    return mmu_load(&cpu->mmu, linear_read(cpu, in, 8), 8);
}

static void read_descriptor(struct cpu *cpu, const struct insn *in, uint64_t descriptor[2])
{
    uint64_t linear = linear_read(cpu, in, 16);

    descriptor[0] = mmu_load(&cpu->mmu, linear, 8);
    descriptor[1] = mmu_load(&cpu->mmu, linear + 8, 8);
}

/* VMREAD, VMWRITE, INVEPT, INVVPID: 64 bits in 64-bit mode, else 32, whatever the prefixes */
static unsigned operand_bytes(const struct cpu *cpu)
{
    return cpu_64bit(cpu) ? 8 : 4;
}

/* ---- VMXON, VMXOFF ---- */

static bool vmxon_allowed(const struct vmx *vmx)
{
    const struct cpu *cpu = vmx->cpu;
    const struct vmx_caps *caps = &vmx->caps;

    return cpu->cpl == 0 && (cpu->cr0 & caps->cr0_fixed_0) == caps->cr0_fixed_0 &&
           (cpu->cr4 & caps->cr4_fixed_0) == caps->cr4_fixed_0 &&
           (cpu->msr.feature_control & 5) == 5; /* locked; VMX outside SMX operation */
}

static void vmx_on(struct vmx *vmx, const struct insn *in)
{
    struct cpu *cpu = vmx->cpu;
    uint64_t pa;

    if (!vmxon_allowed(vmx))
        raise_gp(cpu, 0);
    pa = read_pointer(cpu, in);
    if (!page_address(&vmx->caps, pa)) {
        vm_fail_invalid(vmx, "VMXON with an invalid physical address");
        return;
    }
    if (bus_read(cpu->bus, pa, 4) != VMCS_REVISION) {
        vm_fail_invalid(vmx, "VMXON with an incorrect VMCS revision identifier");
        return;
    }
    vmx->vmxon_pa = pa;
    vmx->current_pa = VMCS_NONE;
    vmx->current = NULL;
    vmx->stats.since = cpu_cycles(cpu);
    cpu->vmx_operation = true;
    cpu->monitor_pa = MMU_NO_PAGE;
    vmx_set_fixed_bits(vmx);
    trace_vmx_on(pa);
    vm_succeed(cpu);
}

static void insn_vmxon(struct vmx *vmx, const struct insn *in)
{
    vm_fail(vmx, VMERR_VMXON_IN_ROOT);
}

static void insn_vmxoff(struct vmx *vmx, const struct insn *in)
{
    vmx_write_back(vmx);
    vmx_leave(vmx);
    cpu_kick(vmx->cpu); /* an INIT that was blocked */
    trace_vmx_off();
    vm_succeed(vmx->cpu);
}

/* ---- pointers ---- */

static void insn_vmclear(struct vmx *vmx, const struct insn *in)
{
    uint64_t pa = read_pointer(vmx->cpu, in);

    if (!page_address(&vmx->caps, pa)) {
        vm_fail(vmx, VMERR_VMCLEAR_ADDRESS);
    } else if (pa == vmx->vmxon_pa) {
        vm_fail(vmx, VMERR_VMCLEAR_VMXON);
    } else {
        cpu_charge(vmx->cpu, COST_VMCLEAR);
        vmx_clear(vmx, pa);
        trace_vmx_clear(pa);
        vm_succeed(vmx->cpu);
    }
}

static void insn_vmptrld(struct vmx *vmx, const struct insn *in)
{
    uint64_t pa = read_pointer(vmx->cpu, in);
    bool cached;

    if (!page_address(&vmx->caps, pa)) {
        vm_fail(vmx, VMERR_VMPTRLD_ADDRESS);
    } else if (pa == vmx->vmxon_pa) {
        vm_fail(vmx, VMERR_VMPTRLD_VMXON);
    } else if (bus_read(vmx->cpu->bus, pa, 4) != VMCS_REVISION) { /* bit 31: a shadow VMCS */
        vm_fail(vmx, VMERR_VMPTRLD_REVISION);
    } else {
        cached = vmx_cached(vmx, pa) != NULL;
        cpu_charge(vmx->cpu, cached ? COST_VMPTRLD_HIT : COST_VMPTRLD_MISS);
        vmx_make_current(vmx, pa);
        trace_vmx_ptrld(pa, cached);
        vm_succeed(vmx->cpu);
    }
}

static void insn_vmptrst(struct vmx *vmx, const struct insn *in)
{
    struct cpu *cpu = vmx->cpu;

    mmu_store(&cpu->mmu, linear_write(cpu, in, 8), vmx->current_pa, 8);
    vm_succeed(cpu);
}

/* ---- VMREAD, VMWRITE ---- */

static void insn_vmread(struct vmx *vmx, const struct insn *in)
{
    struct cpu *cpu = vmx->cpu;
    unsigned size = operand_bytes(cpu);
    uint64_t encoding = reg_read(cpu, in->reg, size), value;
    const struct vmcs_field *f;

    if (!vmx->current) {
        vm_fail_invalid(vmx, "VMREAD without a current VMCS");
        return;
    }
    f = vmcs_find(&vmx->map, encoding);
    if (!f) {
        vm_fail_valid(vmx, VMERR_NO_FIELD);
        return;
    }
    value = vmcs_read(vmx->current, f, encoding & 1);
    rm_write(cpu, in, value, size, in->flags & IN_MEM);
    trace_vmx_vmread(f->name, value);
    vm_succeed(cpu);
}

static void insn_vmwrite(struct vmx *vmx, const struct insn *in)
{
    struct cpu *cpu = vmx->cpu;
    unsigned size = operand_bytes(cpu);
    uint64_t encoding = reg_read(cpu, in->reg, size), value;
    const struct vmcs_field *f;

    if (!vmx->current) {
        vm_fail_invalid(vmx, "VMWRITE without a current VMCS");
        return;
    }
    f = vmcs_find(&vmx->map, encoding);
    if (!f) {
        vm_fail_valid(vmx, VMERR_NO_FIELD);
        return;
    }
    if (f->kind == VMCS_INFO && !vmx_has(&vmx->caps, NEED_VMWRITE_ALL)) {
        vm_fail_valid(vmx, VMERR_READ_ONLY);
        return;
    }
    value = rm_read(cpu, in, size, in->flags & IN_MEM);
    vmcs_write(vmx->current, f, encoding & 1, value);
    trace_vmx_vmwrite(f->name, value);
    vm_succeed(cpu);
}

/* ---- VMLAUNCH, VMRESUME ---- */

static void vm_enter(struct vmx *vmx, bool launch)
{
    enum vm_error error;

    if (!vmx->current) {
        vm_fail_invalid(vmx, "VM entry without a current VMCS");
    } else if (vmx->cpu->blocking & BLOCK_MOV_SS) {
        vm_fail_valid(vmx, VMERR_MOV_SS);
    } else if (launch && vmx->current->launched != LAUNCH_CLEAR) {
        vm_fail_valid(vmx, VMERR_LAUNCH_NOT_CLEAR);
    } else if (!launch && vmx->current->launched != LAUNCH_LAUNCHED) {
        vm_fail_valid(vmx, VMERR_RESUME_NOT_LAUNCHED);
    } else {
        error = entry(vmx); /* returns only if a control or host field is bad */
        vm_fail_valid(vmx, error);
    }
}

static void insn_vmlaunch(struct vmx *vmx, const struct insn *in)
{
    vm_enter(vmx, true);
}

static void insn_vmresume(struct vmx *vmx, const struct insn *in)
{
    vm_enter(vmx, false);
}

/* ---- INVEPT, INVVPID ---- */

static void insn_invept(struct vmx *vmx, const struct insn *in)
{
    struct cpu *cpu = vmx->cpu;
    uint64_t descriptor[2], type = reg_read(cpu, in->reg, operand_bytes(cpu));

    read_descriptor(cpu, in, descriptor);
    if (invalidate_ept(vmx, type, descriptor))
        vm_succeed(cpu);
    else
        vm_fail(vmx, VMERR_INVALIDATE_OPERAND);
}

static void insn_invvpid(struct vmx *vmx, const struct insn *in)
{
    struct cpu *cpu = vmx->cpu;
    uint64_t descriptor[2], type = reg_read(cpu, in->reg, operand_bytes(cpu));

    read_descriptor(cpu, in, descriptor);
    if (invalidate_vpid(vmx, type, descriptor))
        vm_succeed(cpu);
    else
        vm_fail(vmx, VMERR_INVALIDATE_OPERAND);
}

/* ---- VMCALL, VMFUNC: rules of their own ---- */

static void insn_vmcall(struct vmx *vmx)
{
    struct cpu *cpu = vmx->cpu;

    if (!cpu->vmx_operation)
        raise_ud(cpu);
    if (cpu->non_root)
        vm_exit_reason(vmx, EXIT_VMCALL, 0);
    if (cpu_vm86(cpu) || (cpu_long(cpu) && !cpu_64bit(cpu)))
        raise_ud(cpu);
    if (cpu->cpl != 0)
        raise_gp(cpu, 0);
    vm_fail(vmx, VMERR_VMCALL_IN_ROOT); /* no dual-monitor treatment of SMIs */
}

/* VM function 0. [SDM 3C "EPTP Switching"] */
static void vmfunc_switch_eptp(struct vmx *vmx)
{
    struct cpu *cpu = vmx->cpu;
    struct vmcs *v = vmx->current;
    uint32_t index = (uint32_t)cpu->r[RCX];
    uint64_t eptp;

    if (index > 511)
        vm_exit_reason(vmx, EXIT_VMFUNC, 0);
    eptp = bus_read(cpu->bus, v->ctl.eptp_list + index * 8u, 8);
    if (!eptp_valid(&vmx->caps, eptp))
        vm_exit_reason(vmx, EXIT_VMFUNC, 0);
    v->ctl.eptp = eptp;
    ept_settle(vmx, v);
    cpu_update_paging(cpu);
    trace_vmx_eptp_switch(eptp);
}

static void insn_vmfunc(struct vmx *vmx)
{
    struct cpu *cpu = vmx->cpu;
    uint32_t function = (uint32_t)cpu->r[RAX];

    if (!cpu->non_root || !(vmx->current->ctl.proc2 & PROC2(VM_FUNCTIONS)) || function > 63)
        raise_ud(cpu);
    if (!bit(vmx->current->ctl.vmfunc, function))
        vm_exit_reason(vmx, EXIT_VMFUNC, 0);
    vmfunc_switch_eptp(vmx);
}

/* ---- all ---- */

struct vmx_insn_row {
    enum exit_reason reason;
    uint16_t needs; /* #UD without this capability */
    bool operand;   /* has a memory or register operand: displacement, instruction information */
    void (*run)(struct vmx *vmx, const struct insn *in);
};

static const struct vmx_insn_row vmx_insn_rows[] = {
    [VMX_VMXON] = { EXIT_VMXON, NEED_BASE, true, insn_vmxon },
    [VMX_VMXOFF] = { EXIT_VMXOFF, NEED_BASE, false, insn_vmxoff },
    [VMX_VMCLEAR] = { EXIT_VMCLEAR, NEED_BASE, true, insn_vmclear },
    [VMX_VMPTRLD] = { EXIT_VMPTRLD, NEED_BASE, true, insn_vmptrld },
    [VMX_VMPTRST] = { EXIT_VMPTRST, NEED_BASE, true, insn_vmptrst },
    [VMX_VMREAD] = { EXIT_VMREAD, NEED_BASE, true, insn_vmread },
    [VMX_VMWRITE] = { EXIT_VMWRITE, NEED_BASE, true, insn_vmwrite },
    [VMX_VMLAUNCH] = { EXIT_VMLAUNCH, NEED_BASE, false, insn_vmlaunch },
    [VMX_VMRESUME] = { EXIT_VMRESUME, NEED_BASE, false, insn_vmresume },
    [VMX_INVEPT] = { EXIT_INVEPT, NEED_INVEPT, true, insn_invept },
    [VMX_INVVPID] = { EXIT_INVVPID, NEED_INVVPID, true, insn_invvpid },
};

/* where no instruction of VMX exists: real-address, virtual-8086 and compatibility mode */
static bool vmx_mode_is_wrong(const struct cpu *cpu)
{
    return cpu_real(cpu) || (cpu_long(cpu) && !cpu_64bit(cpu));
}

static void vmx_insn_run(struct vmx *vmx, const struct vmx_insn_row *row)
{
    struct cpu *cpu = vmx->cpu;

    if (cpu->non_root) {
        vm_exit(vmx, &(struct vm_exit){
                         .reason = row->reason,
                         .qualification = row->operand ? insn_displacement(cpu) : 0,
                         .insn_info = insn_info(cpu, row->reason),
                     });
    }
    if (cpu->cpl != 0)
        raise_gp(cpu, 0);
    row->run(vmx, cpu->in);
}

void vmx_instruction(struct cpu *cpu, enum vmx_insn which)
{
    struct vmx *vmx = vmx_of(cpu);

    if (which == VMX_VMCALL) {
        insn_vmcall(vmx);
    } else if (which == VMX_VMFUNC) {
        insn_vmfunc(vmx);
    } else if (which == VMX_VMXON && !cpu->vmx_operation) {
        if (!(cpu->cr4 & CR4_VMXE) || vmx_mode_is_wrong(cpu))
            raise_ud(cpu);
        vmx_on(vmx, cpu->in);
    } else {
        const struct vmx_insn_row *row = &vmx_insn_rows[which];

        if (!cpu->vmx_operation || vmx_mode_is_wrong(cpu) || !vmx_has(&vmx->caps, row->needs))
            raise_ud(cpu);
        vmx_insn_run(vmx, row);
    }
}
