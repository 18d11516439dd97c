/* Creation, RESET, INIT and start-up of a logical processor; the list of what a guest can observe of
 * it; and what is derived from that: block key, MMU view, paging.
 * [SDM 3A "Processor Management and Initialization"] */
#include "cpu/cpu.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "cpu/block.h"
#include "cpu/cpuid.h"
#include "cpu/fpu_check.h"
#include "cpu/fpu_native.h"
#include "cpu/interrupt.h"
#include "cpu/msr.h"
#include "cpu/segment.h"
#include "cpu/virt.h"

#define F(member, ...) FIELD(struct cpu, member, __VA_ARGS__)
#define F_ARRAY(member, ...) FIELD_ARRAY(struct cpu, member, __VA_ARGS__)
#define SEGMENT(n, sel, base_, limit_, ar_)                               \
    F(seg[n].selector, .reset = (sel)), F(seg[n].base, .reset = (base_)), \
        F(seg[n].limit, .reset = (limit_)), F(seg[n].ar, .reset = (ar_))
#define DATA_AR UINT32_C(0x93) /* present, read/write, accessed */

/* without the two pseudo-registers behind the sixteen */
#define GENERAL_REGISTERS                                                         \
    {                                                                             \
        .name = "r", .offset = offsetof(struct cpu, r), .size = 16 * 8, .elem = 8 \
    }

/* What both RESET and INIT set, and to what. CR0 and RDX depend on more than that: cpu_reset and
 * cpu_init_signal. [SDM 3A "Processor State After Reset"] */
#define RESET_AND_INIT                                                                            \
    GENERAL_REGISTERS, F(rip, .reset = 0xfff0), F(flags.result, .reset = 0x100),                  \
        F(flags.aux, .reset = 1 << AUX_PF_SHIFT), F(rflags, .reset = 2), F(cpl, .reset = 0),      \
        SEGMENT(SEG_ES, 0, 0, 0xffff, DATA_AR),                                                   \
        SEGMENT(SEG_CS, 0xf000, 0xffff0000, 0xffff, DATA_AR),                                     \
        SEGMENT(SEG_SS, 0, 0, 0xffff, DATA_AR), SEGMENT(SEG_DS, 0, 0, 0xffff, DATA_AR),           \
        SEGMENT(SEG_FS, 0, 0, 0xffff, DATA_AR), SEGMENT(SEG_GS, 0, 0, 0xffff, DATA_AR),           \
        SEGMENT(SEG_LDTR, 0, 0, 0xffff, 0x82), SEGMENT(SEG_TR, 0, 0, 0xffff, 0x8b),               \
        F(gdtr.base, .reset = 0), F(gdtr.limit, .reset = 0xffff), F(idtr.base, .reset = 0),       \
        F(idtr.limit, .reset = 0xffff), F(cr2, .reset = 0), F(cr3, .reset = 0),                   \
        F(cr4, .reset = 0), F(efer, .reset = 0), F(dr[0], .reset = 0), F(dr[1], .reset = 0),      \
        F(dr[2], .reset = 0), F(dr[3], .reset = 0), F(dr[6], .reset = 0xffff0ff0),                \
        F(dr[7], .reset = 0x400), F_ARRAY(mmu.paging.pdpte, .reset = 0), F(blocking, .reset = 0), \
        F(activity, .reset = ACTIVE), F(pending_dbg, .reset = 0),                                 \
        F(monitor_pa, .reset = MMU_NO_PAGE), F(mwait_break, .reset = 0)

/* clang-format off */
static const struct field init_fields[] = {
    RESET_AND_INIT,
    { 0 },
};

const struct field cpu_fields[] = {
    RESET_AND_INIT,
    F(cr0, .reset = 0x60000010),
    F(xcr0, .reset = 1),
    F_ARRAY(fpu.st, .reset = 0),
    F(fpu.control, .reset = 0x40), F(fpu.status, .reset = 0),
    F(fpu.tag, .reset = 0xff), /* all eight registers hold +0.0 */
    F(fpu.opcode, .reset = 0), F(fpu.ip, .reset = 0), F(fpu.dp, .reset = 0),
    F(fpu.cs, .reset = 0), F(fpu.ds, .reset = 0),
    F(fpu.mxcsr, .reset = 0x1f80), F_ARRAY(fpu.xmm, .reset = 0),
#define MSR_STORED(number, id, member, reset_, writable, feature) F(msr.member, .reset = (reset_)),
#define MSR_CANONICAL(number, id, member, feature)                F(msr.member, .reset = 0),
#define MSR_CONST(...)
#define MSR_CALL(...)
#define MSR_RANGE(...)
#include "cpu/msr.def"
    F(msr.pat, .reset = 0x0007040600070406),
    F(msr.misc_enable, .reset = MSR_MISC_ENABLE_FAST_STRINGS | MSR_MISC_ENABLE_MONITOR),
    F(msr.xss, .reset = 0), F(msr.mtrr_def_type, .reset = 0), F_ARRAY(msr.mtrr_fixed, .reset = 0),
    F_ARRAY(msr.mtrr_base, .reset = 0), F_ARRAY(msr.mtrr_mask, .reset = 0),
    F_ARRAY(msr.mc_ctl, .reset = 0),
    F(msr.perf_global_ctrl, .reset = 0), F(msr.feature_control, .reset = 0),
    F(tsc_offset, .kept = true), F(tsc_adjust, .reset = 0),
    F(events, .kept = true), F(sipi_vector, .reset = 0),
    F(insn_count, .kept = true),
    { 0 },
};
/* clang-format on */

/* ---- what is derived ---- */

enum mmu_view cpu_view(const struct cpu *cpu, unsigned cpl)
{
    if (cpl == 3)
        return cpu->cr0 & CR0_AM && cpu->rflags & RFLAGS_AC ? VIEW_USER_ALIGNED : VIEW_USER;
    return cpu->cr4 & CR4_SMAP && cpu->rflags & RFLAGS_AC ? VIEW_SUPERVISOR_AC : VIEW_SUPERVISOR;
}

static uint32_t cpu_code_key(const struct cpu *cpu)
{
    uint32_t ar = cpu->seg[SEG_CS].ar;

    if (ar & AR_L && cpu_long(cpu))
        return KEY_CODE64;
    return ar & AR_DB ? KEY_CODE32 : KEY_CODE16;
}

static bool cpu_steps(const struct cpu *cpu)
{
    return cpu->rflags & (RFLAGS_TF | RFLAGS_RF) || cpu->blocking & (BLOCK_STI | BLOCK_MOV_SS) ||
           cpu->dr[7] & 0xff || cpu->step_always || cpu->virt_single;
}

void cpu_update_key(struct cpu *cpu)
{
    uint32_t key = cpu_code_key(cpu);
    enum mmu_view view = cpu_view(cpu, cpu->cpl);

    /* not in 64-bit mode, where it is null in handlers, and is not after SYSCALL */
    if (cpu->seg[SEG_SS].ar & AR_DB && key != KEY_CODE64)
        key |= KEY_SS32;
    if (cpu->cpl == 3)
        key |= KEY_USER;
    if (!cpu_protected(cpu) || cpu_vm86(cpu))
        key |= KEY_REAL;
    if (cpu->cr0 & (CR0_EM | CR0_TS))
        key |= KEY_NO_X87;
    if (cpu->cr0 & (CR0_EM | CR0_TS) || !(cpu->cr4 & CR4_OSFXSR))
        key |= KEY_NO_SSE;
    if (unlikely(cpu_steps(cpu)))
        key |= KEY_SINGLE;
    if (cpu->non_root)
        key |= KEY_NON_ROOT;
    if (!fpu_all_masked(cpu))
        key |= KEY_SSE_TRAPS;
    if (x87_traps(cpu))
        key |= KEY_X87_TRAPS;
    cpu->key = key;
    if (view != cpu->mmu.view)
        mmu_set_view(&cpu->mmu, view);
}

void cpu_update_paging(struct cpu *cpu)
{
    struct paging *p = &cpu->mmu.paging;

    p->cr0 = cpu->cr0;
    p->cr3 = cpu->cr3;
    p->cr4 = cpu->cr4;
    p->efer = cpu->efer;
    mmu_switch(&cpu->mmu);
}

void cpu_set_rflags(struct cpu *cpu, uint64_t rflags)
{
    uint64_t kept = (rflags & RFLAGS_KEPT) | RFLAGS_FIXED;
    uint64_t changed = kept ^ cpu->rflags;

    flags_set(&cpu->flags, rflags);
    cpu->rflags = kept;
    if (changed & (RFLAGS_TF | RFLAGS_RF | RFLAGS_VM | RFLAGS_AC))
        cpu_update_key(cpu);
    if (changed & kept & RFLAGS_IF && cpu->events)
        cpu_kick(cpu);
}

void cpu_shadow(struct cpu *cpu, uint32_t block)
{
    if (cpu->blocking & (BLOCK_STI | BLOCK_MOV_SS))
        return; /* the second of two in a row does not block again */
    cpu->blocking |= block;
    cpu_update_key(cpu);
    cpu_kick(cpu);
}

void cpu_settle(struct cpu *cpu)
{
    for (unsigned i = 0; i < SEG_COUNT; i++)
        seg_settle(&cpu->seg[i]);
    cpu->r[REG_ZERO] = 0;
    cpu->in = NULL;
    cpu->delivering = false;
    debug_registers_changed(cpu);
    cpu_update_paging(cpu);
    cpu_update_key(cpu);
    mmu_flush_all(&cpu->mmu);
    cpu_kick(cpu);
}

/* ---- life ---- */

struct cpu *cpu_create(unsigned index, const struct cpu_model *model, const uint64_t *features,
                       struct bus *bus, struct ports *ports, struct clock *clock)
{
    struct cpu *cpu = aligned_alloc(64, align_up(sizeof *cpu, 64));

    ASSERT(cpu);
    memset(cpu, 0, sizeof *cpu);
    cpu->index = index;
    cpu->count = 1;
    cpu->model = model;
    memcpy(cpu->features, features, sizeof cpu->features);
    cpu->bus = bus;
    cpu->ports = ports;
    cpu->clock = clock;
    cpu->virt = &virt_none;
    cpu->virt_deadline = TIMER_OFF;
    mmu_init(&cpu->mmu, bus, CPU_MAXPHYADDR);
    cpu->mmu.gib_pages = cpu_has(cpu, FEAT_PDPE1GB);
    cpu->mmu.fault = cpu_mmu_fault;
    cpu->mmu.owner = cpu;
    cpu->blocks = blocks_create(cpu);
    cpu_reset(cpu);
    return cpu;
}

void cpu_destroy(struct cpu *cpu)
{
    blocks_destroy(cpu);
    mmu_destroy(&cpu->mmu);
    free(cpu);
}

void cpu_apic_moved(struct cpu *cpu)
{
    struct mmu_special_page *page = &cpu->mmu.special[SPECIAL_LAPIC];
    uint64_t base = cpu->apic ? cpu->apic->read_base(cpu->apic_owner) : 0;

    page->pa = MMU_NO_PAGE;
    if (bits(base, 11, 10) == 2) { /* enabled, and not in x2APIC mode */
        page->pa = base & PAGE_MASK;
        page->owner = cpu->apic_owner;
        page->read = cpu->apic->read;
        page->write = cpu->apic->write;
    }
    mmu_flush_all(&cpu->mmu);
}

static void cpu_after_reset(struct cpu *cpu)
{
    /* a level of the local APIC, a wish of the machine, and a SIPI that followed this INIT */
    cpu->events &= EVENT_INTR | EVENT_STOP | EVENT_SIPI;
    cpu->r[RDX] = cpu->model->signature;
    cpu->iret_unblocked_nmi = false;
    cpu->seg[SEG_FLAT] = (struct seg){ .limit = UINT32_MAX, .ar = DATA_AR };
    if (cpu->index != 0)
        cpu->activity = WAIT_FOR_SIPI;
    cpu_settle(cpu);
    cpu_apic_moved(cpu);
}

void cpu_reset(struct cpu *cpu)
{
    fields_reset(cpu, cpu_fields);
    cpu->tsc_offset = -cpu_cycles(cpu); /* the TSC starts at 0 */
    cpu->events &= ~(uint32_t)EVENT_SIPI;
    cpu->virt->reset(cpu);
    cpu_after_reset(cpu);
}

void cpu_init_signal(struct cpu *cpu)
{
    fields_reset(cpu, init_fields);
    cpu->cr0 = (cpu->cr0 & (CR0_CD | CR0_NW)) | CR0_ET;
    cpu->virt->reset(cpu);
    if (cpu->apic)
        cpu->apic->init(cpu->apic_owner);
    cpu_after_reset(cpu);
}

void cpu_startup(struct cpu *cpu, uint8_t vector)
{
    cpu->activity = ACTIVE;
    cpu->rip = 0;
    cpu->seg[SEG_CS].selector = (uint16_t)(vector << 8);
    cpu->seg[SEG_CS].base = (uint64_t)vector << 12;
}
