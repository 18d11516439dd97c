/* VMX of one logical processor: creation, reset, the cache of VMCSs, what waits for the next
 * boundary, snapshots. */
#include "vmx/vmx.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "cpu/control_regs.h"
#include "vmx/state.h"

#define F(member) FIELD(struct vmx, member)

/* Fields that a guest can observe; the VMCSs are in guest memory. */
const struct field vmx_fields[] = {
    F(vmxon_pa),       F(current_pa),     F(timer_end),   F(timer_tsc_offset),
    F(timer_on),       F(trap),           F(trap_reason), F(trap_qualification),
    F(virtual_intr),   F(alone_count),    F(mtf_armed),   F(mtf_count),
    F(mtf_rip),        F(mtf_rsp),        F(pause_first), F(pause_last),
    F(saved_non_root), F(saved_deadline), { 0 },
};

/* ---- the VMCSs ---- */

struct vmcs *vmx_cached(struct vmx *vmx, uint64_t pa)
{
    for (unsigned i = 0; i < VMCS_CACHE; i++) {
        if (vmx->cache[i].pa == pa)
            return &vmx->cache[i];
    }
    return NULL;
}

/* a free slot, or the least recently used one, written back */
static struct vmcs *vmx_slot(struct vmx *vmx)
{
    struct vmcs *oldest = NULL;

    for (unsigned i = 0; i < VMCS_CACHE; i++) {
        struct vmcs *v = &vmx->cache[i];

        if (v->pa == VMCS_NONE)
            return v;
        if (v != vmx->current && (!oldest || v->used < oldest->used))
            oldest = v;
    }
    vmcs_store(oldest, vmx->cpu->bus);
    return oldest;
}

void vmx_make_current(struct vmx *vmx, uint64_t pa)
{
    struct vmcs *v = vmx_cached(vmx, pa);

    if (!v) {
        v = vmx_slot(vmx);
        vmcs_load(v, vmx->cpu->bus, pa);
    }
    v->used = ++vmx->vmcs_clock;
    vmx->current = v;
    vmx->current_pa = pa;
}

void vmx_clear(struct vmx *vmx, uint64_t pa)
{
    struct vmcs *v = vmx_cached(vmx, pa);

    if (v) {
        v->launched = LAUNCH_CLEAR;
        vmcs_store(v, vmx->cpu->bus);
        v->pa = VMCS_NONE;
    } else {
        vmcs_clear_region(vmx->cpu->bus, pa);
    }
    if (vmx->current_pa == pa) {
        vmx->current_pa = VMCS_NONE;
        vmx->current = NULL;
    }
}

void vmx_write_back(struct vmx *vmx)
{
    for (unsigned i = 0; i < VMCS_CACHE; i++) {
        if (vmx->cache[i].pa != VMCS_NONE)
            vmcs_store(&vmx->cache[i], vmx->cpu->bus);
    }
}

static void vmx_forget(struct vmx *vmx)
{
    for (unsigned i = 0; i < VMCS_CACHE; i++)
        vmx->cache[i].pa = VMCS_NONE;
    vmx->current = NULL;
    vmx->current_pa = VMCS_NONE;
}

/* ---- modes of operation ---- */

/* CR0 and CR4 bits that must stay 1. [SDM 3C "Restrictions on VMX Operation"] */
void vmx_set_fixed_bits(struct vmx *vmx)
{
    struct cpu *cpu = vmx->cpu;
    bool unrestricted = cpu->non_root && vmx->current->ctl.proc2 & PROC2(UNRESTRICTED);

    cpu->cr0_fixed_1 = cpu->vmx_operation ? vmx->caps.cr0_fixed_0 : 0;
    cpu->cr4_fixed_1 = cpu->vmx_operation ? vmx->caps.cr4_fixed_0 : 0;
    if (unrestricted)
        cpu->cr0_fixed_1 &= ~(CR0_PE | CR0_PG);
}

void vmx_leave(struct vmx *vmx)
{
    struct cpu *cpu = vmx->cpu;

    vmx_forget(vmx);
    vmx->vmxon_pa = VMCS_NONE;
    vmx->timer_on = vmx->trap = vmx->virtual_intr = false;
    cpu->vmx_operation = false;
    cpu->non_root = false;
    cpu->virt_mask = 0;
    cpu->virt_single = false;
    cpu->virt_deadline = TIMER_OFF;
    cpu->events &= ~(uint32_t)EVENT_VIRT;
    cpu->mmu.paging.vpid = 0;
    cpu->mmu.paging.stage2 = NULL;
    cpu->mmu.special[SPECIAL_APIC_ACCESS].pa = MMU_NO_PAGE;
    vmx_set_fixed_bits(vmx);
}

/* ---- boundaries ---- */

void vmx_update_events(struct vmx *vmx)
{
    struct cpu *cpu = vmx->cpu;
    uint32_t proc = vmx->current->ctl.proc;
    bool single = proc & PROC(MONITOR_TRAP) || cpu->insn_count == vmx->alone_count;
    bool wanted = single || vmx->trap || vmx->virtual_intr || timer_expired(vmx) ||
                  proc & (PROC(INTR_WINDOW) | PROC(NMI_WINDOW));

    if (wanted)
        cpu->events |= EVENT_VIRT;
    else
        cpu->events &= ~(uint32_t)EVENT_VIRT;
    if (single != cpu->virt_single) {
        cpu->virt_single = single;
        cpu_update_key(cpu);
    }
}

/* ---- life ---- */

struct vmx *vmx_create(struct cpu *cpu, const struct vmx_caps *caps)
{
    struct vmx *vmx = calloc(1, sizeof *vmx);

    ASSERT(vmx);
    vmx->cpu = cpu;
    vmx->caps = *caps;
    vmx->caps.maxphyaddr = (uint8_t)cpu->mmu.maxphyaddr;
    vmx_caps_settle(&vmx->caps, cpu->features, cr4_valid_bits(cpu));
    vmcs_map_build(&vmx->map, &vmx->caps);
    vmx->alone_count = UINT64_MAX;
    cpu->virt = &vmx_ops;
    cpu->virt_state = vmx;
    vmx_leave(vmx);
    return vmx;
}

void vmx_destroy(struct cpu *cpu)
{
    free(cpu->virt_state);
    cpu->virt_state = NULL;
    cpu->virt = &virt_none;
}

/* ---- snapshots ---- */

void vmx_save_prepare(struct cpu *cpu)
{
    struct vmx *vmx = vmx_of(cpu);

    if (!vmx)
        return;
    vmx_write_back(vmx);
    vmx->saved_non_root = cpu->non_root;
    vmx->saved_deadline = cpu->virt_deadline;
}

void vmx_settle(struct cpu *cpu)
{
    struct vmx *vmx = vmx_of(cpu);
    uint64_t current, proc2;

    if (!vmx)
        return;
    current = vmx->current_pa;
    vmx_forget(vmx);
    if (current != VMCS_NONE)
        vmx_make_current(vmx, current);
    cpu->vmx_operation = vmx->vmxon_pa != VMCS_NONE;
    cpu->non_root = vmx->saved_non_root && vmx->current;
    cpu->virt_deadline = vmx->saved_deadline;
    if (cpu->non_root) {
        entry_settle(vmx);
        proc2 = vmx->current->ctl.proc2;
        cpu->virt_mask = vmx->current->virt_mask;
        cpu->mmu.paging.vpid = proc2 & PROC2(VPID) ? vmx->current->ctl.vpid : 0;
        cpu->mmu.paging.stage2 = proc2 & PROC2(EPT) ? &vmx->current->stage2 : NULL;
        vapic_map(vmx, proc2 & PROC2(APIC_ACCESSES));
        vmx_update_events(vmx);
    }
    vmx_set_fixed_bits(vmx);
    cpu_update_paging(cpu);
    cpu_update_key(cpu);
}

uint64_t vmx_entry_count(const struct cpu *cpu)
{
    return cpu->virt_state ? vmx_of(cpu)->stats.entries : 0;
}

uint64_t vmx_exit_count(const struct cpu *cpu)
{
    uint64_t sum = 0;

    for (unsigned i = 0; cpu->virt_state && i < EXIT_REASON_LIMIT; i++)
        sum += vmx_of(cpu)->stats.exits[i];
    return sum;
}
