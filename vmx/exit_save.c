/* VM exits: guest state from the processor into the VMCS, then host state into the processor.
 * [SDM 3C "Saving Guest State", "Loading Host State"] */
#include <string.h>

#include "cpu/interrupt.h"
#include "cpu/segment.h"
#include "vmx/state.h"

/* ---- guest state ---- */

static void save_registers(const struct cpu *cpu, struct vmcs *v)
{
    struct vmcs_guest *g = &v->guest;

    g->cr0 = cpu->cr0;
    g->cr3 = cpu->cr3;
    g->cr4 = cpu->cr4;
    g->rsp = cpu->r[RSP];
    g->rip = cpu->rip;
    g->rflags = cpu_rflags(cpu);
    g->sysenter_cs = (uint32_t)cpu->msr.sysenter_cs;
    g->sysenter_esp = cpu->msr.sysenter_esp;
    g->sysenter_eip = cpu->msr.sysenter_eip;
    if (v->ctl.exit & EXIT(SAVE_DEBUG)) {
        g->dr7 = cpu->dr[7];
        g->debugctl = cpu->msr.debugctl;
    }
    if (v->ctl.exit & EXIT(SAVE_PAT))
        g->pat = cpu->msr.pat;
    if (v->ctl.exit & EXIT(SAVE_EFER))
        g->efer = cpu->efer;
}

static void save_segments(const struct cpu *cpu, struct vmcs *v)
{
    for (unsigned i = 0; i < VSEG_COUNT; i++) {
        const struct seg *s = &cpu->seg[vseg_to_seg(i)];
        struct vmcs_segment *g = &v->guest.seg[i];

        g->selector = s->selector;
        g->base = s->base;
        g->limit = s->limit;
        g->ar = s->ar;
    }
    /* CPL lives in SS.DPL, whatever SS is */
    v->guest.seg[VSEG_SS].ar = (uint32_t)bits_set(v->guest.seg[VSEG_SS].ar, 6, 5, cpu->cpl);
    v->guest.gdtr_base = cpu->gdtr.base;
    v->guest.gdtr_limit = cpu->gdtr.limit;
    v->guest.idtr_base = cpu->idtr.base;
    v->guest.idtr_limit = cpu->idtr.limit;
    v->checked_vm86 = cpu_vm86(cpu);
}

/* [SDM 3C "Saving Non-Register State"] */
static void save_non_register(struct vmx *vmx)
{
    const struct cpu *cpu = vmx->cpu;
    struct vmcs_guest *g = &vmx->current->guest;
    bool steps = cpu->rflags & RFLAGS_TF && !(cpu->msr.debugctl & DEBUGCTL_BTF);
    uint32_t shadow = cpu->blocking & (BLOCK_STI | BLOCK_MOV_SS);

    g->activity = cpu->activity <= WAIT_FOR_SIPI ? cpu->activity : ACTIVE; /* MWAIT is no state */
    g->interruptibility = cpu->blocking & (BLOCK_STI | BLOCK_MOV_SS | BLOCK_NMI);
    g->pending_dbg = cpu->pending_dbg & (BITS(3, 0) | PENDING_DBG_BS);
    if (g->pending_dbg & BITS(3, 0))
        g->pending_dbg |= PENDING_DBG_ENABLED;
    if (shadow || cpu->activity == HALTED)
        g->pending_dbg = steps ? g->pending_dbg | PENDING_DBG_BS : g->pending_dbg & ~PENDING_DBG_BS;
}

void exit_save_guest(struct vmx *vmx)
{
    struct cpu *cpu = vmx->cpu;
    struct vmcs *v = vmx->current;

    save_registers(cpu, v);
    save_segments(cpu, v);
    save_non_register(vmx);
    if (v->ctl.proc2 & PROC2(EPT))
        memcpy(v->guest.pdpte, cpu->mmu.paging.pdpte, sizeof v->guest.pdpte);
    if (vmx_has(&vmx->caps, NEED_STORE_LMA))
        v->ctl.entry = cpu->efer & EFER_LMA ? v->ctl.entry | ENTRY(IA32E)
                                            : v->ctl.entry & ~ENTRY(IA32E);
    if (vmx->timer_on) {
        uint32_t left = timer_stop(vmx);

        if (v->ctl.exit & EXIT(SAVE_TIMER))
            v->guest.timer = left;
    }
}

/* ---- host state ---- */

static void load_control_registers(struct cpu *cpu, const struct vmcs *v)
{
    bool host_64 = v->ctl.exit & EXIT(HOST_64);

    cpu->cr0 = (cpu->cr0 & CR0_KEPT) | (v->host.cr0 & ~CR0_KEPT);
    cpu->cr3 = v->host.cr3;
    cpu->cr4 = host_64 ? v->host.cr4 | CR4_PAE : v->host.cr4 & ~CR4_PCIDE;
    if (v->ctl.exit & EXIT(LOAD_EFER))
        cpu->efer = v->host.efer;
    if (host_64)
        cpu->efer |= EFER_LMA | EFER_LME;
    else
        cpu->efer &= ~(EFER_LMA | EFER_LME);
}

static void load_msrs(struct cpu *cpu, const struct vmcs *v)
{
    cpu->dr[7] = DR7_FIXED_1;
    cpu->msr.debugctl = 0;
    cpu->msr.sysenter_cs = v->host.sysenter_cs;
    cpu->msr.sysenter_esp = v->host.sysenter_esp;
    cpu->msr.sysenter_eip = v->host.sysenter_eip;
    if (v->ctl.exit & EXIT(LOAD_PAT))
        cpu->msr.pat = v->host.pat;
}

static void load_segment(struct cpu *cpu, unsigned n, uint16_t selector, uint64_t base, uint32_t ar)
{
    struct seg *s = &cpu->seg[n];

    *s = (struct seg){ .selector = selector, .base = base, .limit = UINT32_MAX, .ar = ar };
    if (selector == 0)
        s->ar |= AR_UNUSABLE;
    seg_settle(s);
}

/* [SDM 3C "Loading Host Segment and Descriptor-Table Registers"] */
static void load_segments(struct cpu *cpu, const struct vmcs *v)
{
    const uint32_t data = 3 | AR_S | AR_P | AR_DB | AR_G;
    const uint32_t code = 11 | AR_S | AR_P | AR_G;
    bool host_64 = v->ctl.exit & EXIT(HOST_64);

    load_segment(cpu, SEG_CS, v->host.selector[VSEG_CS], 0, code | (host_64 ? AR_L : AR_DB));
    load_segment(cpu, SEG_SS, v->host.selector[VSEG_SS], 0, data);
    load_segment(cpu, SEG_DS, v->host.selector[VSEG_DS], 0, data);
    load_segment(cpu, SEG_ES, v->host.selector[VSEG_ES], 0, data);
    load_segment(cpu, SEG_FS, v->host.selector[VSEG_FS], v->host.fs_base, data);
    load_segment(cpu, SEG_GS, v->host.selector[VSEG_GS], v->host.gs_base, data);
    cpu->seg[SEG_TR] = (struct seg){
        .selector = v->host.selector[6], .base = v->host.tr_base, .limit = 0x67, .ar = 11 | AR_P
    };
    cpu->seg[SEG_LDTR] = (struct seg){ .ar = AR_UNUSABLE };
    seg_settle(&cpu->seg[SEG_TR]);
    seg_settle(&cpu->seg[SEG_LDTR]);
    cpu->gdtr = (struct table_reg){ .base = v->host.gdtr_base, .limit = 0xffff };
    cpu->idtr = (struct table_reg){ .base = v->host.idtr_base, .limit = 0xffff };
    cpu->cpl = 0;
}

/* Nothing of the guest waits any more. */
static void leave_non_root(struct vmx *vmx)
{
    struct cpu *cpu = vmx->cpu;

    cpu->non_root = false;
    cpu->virt_mask = 0;
    cpu->virt_single = false;
    cpu->virt_deadline = TIMER_OFF;
    vmx->timer_on = false;
    vmx->trap = false;
    vmx->virtual_intr = false;
    cpu->events &= ~(uint32_t)(EVENT_VIRT | EVENT_DEBUG_TRAP);
    cpu->pending_dbg = 0;
    cpu->activity = ACTIVE;
    cpu->delivering = false;
    cpu->iret_unblocked_nmi = false;
    cpu->monitor_pa = MMU_NO_PAGE;
}

void exit_load_host(struct vmx *vmx)
{
    struct cpu *cpu = vmx->cpu;
    const struct vmcs *v = vmx->current;
    struct paging *p = &cpu->mmu.paging;
    uint64_t dr7 = cpu->dr[7];

    leave_non_root(vmx);
    load_control_registers(cpu, v);
    load_msrs(cpu, v);
    load_segments(cpu, v);
    cpu->r[RSP] = v->host.rsp;
    cpu->rip = v->host.rip;
    cpu_set_rflags(cpu, RFLAGS_FIXED);
    p->vpid = 0;
    p->stage2 = NULL;
    vapic_map(vmx, false);
    cpu_update_paging(cpu);
    invalidate_on_transition(vmx);
    vmx_set_fixed_bits(vmx);
    if (dr7 != cpu->dr[7])
        debug_registers_changed(cpu);
    cpu_update_key(cpu);
    cpu_kick(cpu);
    if (cpu->cr0 & CR0_PG && cpu->cr4 & CR4_PAE && !(cpu->efer & EFER_LMA) &&
        !mmu_load_pdptes(&cpu->mmu, cpu->cr3))
        vmx_abort(vmx, ABORT_HOST_PDPTE);
}
