/* VM entry: guest state from the VMCS into the processor, and MSR areas.
 * [SDM 3C "Loading Guest State", "Loading MSRs"] */
#include <string.h>

#include "cpu/interrupt.h"
#include "cpu/msr.h"
#include "cpu/segment.h"
#include "vmx/state.h"

static void load_control_registers(struct cpu *cpu, const struct vmcs *v)
{
    bool ia32e = v->ctl.entry & ENTRY(IA32E);

    cpu->cr0 = (cpu->cr0 & CR0_KEPT) | (v->guest.cr0 & ~CR0_KEPT);
    cpu->cr3 = v->guest.cr3;
    cpu->cr4 = v->guest.cr4;
    if (v->ctl.entry & ENTRY(LOAD_EFER)) {
        cpu->efer = v->guest.efer;
    } else {
        cpu->efer = ia32e ? cpu->efer | EFER_LMA : cpu->efer & ~EFER_LMA;
        if (cpu->cr0 & CR0_PG)
            cpu->efer = ia32e ? cpu->efer | EFER_LME : cpu->efer & ~EFER_LME;
    }
}

static void load_msrs(struct cpu *cpu, const struct vmcs *v)
{
    if (v->ctl.entry & ENTRY(LOAD_DEBUG)) {
        cpu->dr[7] = (v->guest.dr7 & DR7_WRITABLE) | DR7_FIXED_1;
        cpu->msr.debugctl = v->guest.debugctl;
    }
    cpu->msr.sysenter_cs = v->guest.sysenter_cs;
    cpu->msr.sysenter_esp = v->guest.sysenter_esp;
    cpu->msr.sysenter_eip = v->guest.sysenter_eip;
    if (v->ctl.entry & ENTRY(LOAD_PAT))
        cpu->msr.pat = v->guest.pat;
}

static void load_segments(struct cpu *cpu, const struct vmcs *v)
{
    for (unsigned i = 0; i < VSEG_COUNT; i++) {
        const struct vmcs_segment *g = &v->guest.seg[i];
        struct seg *s = &cpu->seg[vseg_to_seg(i)];

        s->selector = g->selector;
        s->base = g->base;
        s->limit = g->limit;
        s->ar = g->ar;
        seg_settle(s);
    }
    cpu->gdtr.base = v->guest.gdtr_base;
    cpu->gdtr.limit = (uint16_t)v->guest.gdtr_limit;
    cpu->idtr.base = v->guest.idtr_base;
    cpu->idtr.limit = (uint16_t)v->guest.idtr_limit;
    cpu->cpl = (uint8_t)ar_dpl(cpu->seg[SEG_SS].ar);
}

/* Address translation of the guest: the tags of its mappings, EPT, the APIC-access page. */
static void load_paging(struct vmx *vmx)
{
    struct cpu *cpu = vmx->cpu;
    const struct vmcs *v = vmx->current;
    struct paging *p = &cpu->mmu.paging;
    bool ept = v->ctl.proc2 & PROC2(EPT);
    bool pae = cpu->cr0 & CR0_PG && cpu->cr4 & CR4_PAE && !(cpu->efer & EFER_LMA);

    p->vpid = v->ctl.proc2 & PROC2(VPID) ? v->ctl.vpid : 0;
    p->stage2 = ept ? &v->stage2 : NULL;
    vapic_map(vmx, v->ctl.proc2 & PROC2(APIC_ACCESSES));
    if (pae && ept)
        memcpy(p->pdpte, v->guest.pdpte, sizeof p->pdpte);
    else if (pae)
        mmu_load_pdptes(&cpu->mmu, cpu->cr3); /* checked before */
    cpu_update_paging(cpu);
    invalidate_on_transition(vmx);
}

/* What blocks, sleeps or waits. An injected event ends blocking by STI and MOV SS, and HLT. */
static void load_non_register(struct vmx *vmx)
{
    struct cpu *cpu = vmx->cpu;
    const struct vmcs *v = vmx->current;
    bool vectoring = v->ctl.intr_info & INTR_INFO_VALID;

    cpu->blocking = v->guest.interruptibility & (BLOCK_STI | BLOCK_MOV_SS | BLOCK_NMI);
    if (vectoring)
        cpu->blocking &= ~(uint32_t)(BLOCK_STI | BLOCK_MOV_SS);
    cpu->activity = (enum activity)v->guest.activity;
    cpu->pending_dbg = 0; /* inject.c decides what of the field survives */
    cpu->events &= ~(uint32_t)EVENT_DEBUG_TRAP;
    cpu->monitor_pa = MMU_NO_PAGE;
    cpu->iret_unblocked_nmi = false;
    cpu->delivering = false;
}

void entry_load_guest(struct vmx *vmx)
{
    struct cpu *cpu = vmx->cpu;
    const struct vmcs *v = vmx->current;
    uint64_t dr7 = cpu->dr[7];

    cpu->non_root = true;
    cpu->virt_mask = v->virt_mask;
    load_control_registers(cpu, v);
    load_msrs(cpu, v);
    load_segments(cpu, v);
    cpu->r[RSP] = v->guest.rsp;
    cpu->rip = v->guest.rip;
    cpu_set_rflags(cpu, v->guest.rflags);
    load_non_register(vmx);
    load_paging(vmx);
    vmx_set_fixed_bits(vmx);
    if (dr7 != cpu->dr[7])
        debug_registers_changed(cpu);
    cpu_update_key(cpu);
}

/* ---- MSR areas: 16 bytes an entry, index, reserved, value ---- */

enum {
    MSR_FS_BASE = 0xc0000100,
    MSR_GS_BASE = 0xc0000101,
    MSR_SMM_MONITOR_CTL = 0x9b,
    MSR_SMBASE = 0x9e,
    MSR_BIOS_UPDT_TRIG = 0x79,
    MSR_BIOS_SIGN_ID = 0x8b
};

/* More than IA32_VMX_MISC[27:25] recommends is undefined; here the first one too many cannot be
 * loaded or stored. */
enum { MSR_AREA_MAX = 512 };

static bool is_x2apic_msr(uint32_t msr)
{
    return msr >> 8 == 8;
}

/* indices that a VM entry or VM exit must not load, though WRMSR might */
static bool msr_load_refused(const struct cpu *cpu, uint32_t msr)
{
    return msr == MSR_FS_BASE || msr == MSR_GS_BASE || msr == MSR_SMM_MONITOR_CTL ||
           msr == MSR_BIOS_UPDT_TRIG || msr == MSR_BIOS_SIGN_ID || is_x2apic_msr(msr);
}

unsigned msr_area_load(struct vmx *vmx, const struct vmcs_msr_area *area)
{
    struct cpu *cpu = vmx->cpu;

    for (uint32_t i = 0; i < area->count; i++) {
        uint64_t at = area->address + (uint64_t)i * 16;
        uint64_t index = bus_read(cpu->bus, at, 8);

        if (i >= MSR_AREA_MAX || index >> 32 != 0 || msr_load_refused(cpu, (uint32_t)index) ||
            !msr_write(cpu, (uint32_t)index, bus_read(cpu->bus, at + 8, 8)))
            return i + 1;
        cpu_charge(cpu, COST_MSR_ENTRY);
    }
    return 0;
}

bool msr_area_store(struct vmx *vmx, const struct vmcs_msr_area *area)
{
    struct cpu *cpu = vmx->cpu;

    for (uint32_t i = 0; i < area->count; i++) {
        uint64_t at = area->address + (uint64_t)i * 16, value;
        uint64_t index = bus_read(cpu->bus, at, 8);

        if (i >= MSR_AREA_MAX || index >> 32 != 0 || index == MSR_SMBASE ||
            is_x2apic_msr((uint32_t)index) || !msr_read(cpu, (uint32_t)index, &value))
            return false;
        bus_write(cpu->bus, at + 8, value, 8);
        cpu_charge(cpu, COST_MSR_ENTRY);
    }
    return true;
}
