/* VM entry: the checks of entry_checks.def, then loading, then the event to inject.
 * [SDM 3C "VM Entries"] */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "vmx/state.h"
#include "vmx/trace.h"

const struct entry_check_row entry_check_rows[CHECK_COUNT] = {
    [CHECK_NONE] = { "none", SDM_ENTRY_BASIC },
#define ENTRY_CHECK(id, section, error, when, must, ...) [CHECK_##id] = { #id, SDM_##section },
#define SEGMENT_CHECK(id, segments, when, must, text) \
    [CHECK_##id] = { #id, SDM_ENTRY_GUEST_SEGMENTS },
#define ENTRY_WHEN(condition)
#define ENTRY_END
#include "vmx/entry_checks.def"
};

const struct sdm_row sdm_rows[SDM_COUNT] = {
#define SDM_SECTION(id, volume, number, title) [SDM_##id] = { volume, number, title },
#include "vmx/sdm.def"
};

/* ---- what the rows ask ---- */

static bool controls_allowed(const struct vmx_caps *caps, enum control_group g, uint32_t value)
{
    return (value & caps->must_1[g]) == caps->must_1[g] && !(value & ~caps->may_1[g]);
}

static bool fixed_bits(uint64_t value, uint64_t must_1, uint64_t may_1)
{
    return (value & must_1) == must_1 && !(value & ~may_1);
}

static bool msr_area_valid(const struct vmx_caps *caps, const struct vmcs_msr_area *area)
{
    return !(area->address & 15) && in_width(caps, area->address) &&
           in_width(caps, area->address + (uint64_t)area->count * 16 - 1);
}

/* each byte a memory type: 0, 1, 4, 5, 6, 7 */
static bool pat_valid(uint64_t pat)
{
    for (unsigned i = 0; i < 8; i++) {
        uint8_t type = (uint8_t)(pat >> 8 * i);

        if (type > 7 || type == 2 || type == 3)
            return false;
    }
    return true;
}

static bool efer_valid(const struct cpu *cpu, uint64_t efer)
{
    uint64_t valid = EFER_LME | EFER_LMA;

    if (cpu_has(cpu, FEAT_SYSCALL))
        valid |= EFER_SCE;
    if (cpu_has(cpu, FEAT_NX))
        valid |= EFER_NXE;
    return !(efer & ~valid);
}

static unsigned host_selectors(const struct vmcs *v)
{
    unsigned all = 0;

    for (unsigned i = 0; i < 7; i++)
        all |= v->host.selector[i];
    return all;
}

static bool event_vector_fits(unsigned type, unsigned vector)
{
    switch (type) {
    case EVENT_TYPE_NMI: return vector == NMI;
    case EVENT_TYPE_HARDWARE: return vector <= 31;
    case EVENT_TYPE_OTHER: return vector == 0; /* a pending MTF VM exit */
    default: return true;
    }
}

static bool event_needs_error(const struct vmcs *v, unsigned type, unsigned vector)
{
    const uint32_t with_error = 1u << DF | 1u << TS | 1u << NP | 1u << SS | 1u << GP | 1u << PF |
                                1u << AC;

    bool protected = !(v->ctl.proc2 & PROC2(UNRESTRICTED)) || v->guest.cr0 & CR0_PE;

    return type == EVENT_TYPE_HARDWARE && vector <= 31 && with_error >> vector & 1 && protected;
}

static bool activity_supported(const struct vmx_caps *caps, uint32_t activity)
{
    switch (activity) {
    case ACTIVE: return true;
    case HALTED: return vmx_has(caps, NEED_HLT_STATE);
    case SHUTDOWN: return vmx_has(caps, NEED_SHUTDOWN_STATE);
    case WAIT_FOR_SIPI: return vmx_has(caps, NEED_SIPI_STATE);
    default: return false;
    }
}

/* events that may be injected into a processor that is not active */
static bool activity_takes(uint32_t activity, unsigned type, unsigned vector)
{
    bool machine_check = type == EVENT_TYPE_HARDWARE && vector == MC;

    switch (activity) {
    case ACTIVE: return true;
    case HALTED:
        return type == EVENT_TYPE_EXTERNAL || type == EVENT_TYPE_NMI || machine_check ||
               (type == EVENT_TYPE_HARDWARE && vector == DB) || type == EVENT_TYPE_OTHER;
    case SHUTDOWN: return type == EVENT_TYPE_NMI || machine_check;
    default: return false;
    }
}

static bool pdptes_valid(const struct vmx_caps *caps, const uint64_t pdpte[4])
{
    uint64_t reserved = BITS(63, caps->maxphyaddr) | BITS(8, 5) | BITS(2, 1);

    for (unsigned i = 0; i < 4; i++) {
        if (pdpte[i] & 1 && pdpte[i] & reserved)
            return false;
    }
    return true;
}

static bool pdptes_in_memory_valid(const struct vmx *vmx, uint64_t cr3)
{
    uint64_t pdpte[4];

    for (unsigned i = 0; i < 4; i++)
        pdpte[i] = bus_read(vmx->cpu->bus, (cr3 & BITS(31, 5)) + 8 * i, 8);
    return pdptes_valid(&vmx->caps, pdpte);
}

enum {
    IN_ES = 1 << VSEG_ES,
    IN_CS = 1 << VSEG_CS,
    IN_SS = 1 << VSEG_SS,
    IN_DS = 1 << VSEG_DS,
    IN_FS = 1 << VSEG_FS,
    IN_GS = 1 << VSEG_GS,
    IN_LDTR = 1 << VSEG_LDTR,
    IN_TR = 1 << VSEG_TR,
    IN_DATA = IN_ES | IN_SS | IN_DS | IN_FS | IN_GS
};

static bool usable(const struct vmcs_segment *g)
{
    return !(g->ar & AR_UNUSABLE);
}

static bool granularity_fits(const struct vmcs_segment *g)
{
    if (g->ar & AR_G)
        return (g->limit & 0xfff) == 0xfff;
    return g->limit <= 0xfffff;
}

/* ---- failures ---- */

static enum vm_error __attribute__((format(printf, 4, 5)))
entry_fail(struct vmx *vmx, enum entry_check id, enum vm_error error, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(vmx->failure.text, sizeof vmx->failure.text, fmt, ap);
    va_end(ap);
    vmx->failure.check = id;
    vmx->stats.entry_failures++;
    trace_vmx_entry_fail(entry_check_rows[id].name, vmx->failure.text);
    return error;
}

static enum vm_error entry_fail_segment(struct vmx *vmx, enum entry_check id, unsigned s,
                                        const char *text)
{
    static const char names[VSEG_COUNT][5] = { "ES", "CS", "SS", "DS", "FS", "GS", "LDTR", "TR" };
    const struct vmcs_segment *g = &vmx->current->guest.seg[s];

    return entry_fail(vmx, id, VMERR_GUEST_STATE,
                      "guest %s is %04x, base %#" PRIx64 ", limit %#x, access rights %#x: %s",
                      names[s], g->selector, g->base, g->limit, g->ar, text);
}

/* ---- the checks ---- */

enum vm_error entry_check(struct vmx *vmx)
{
    const struct cpu *cpu = vmx->cpu;
    const struct vmx_caps *caps = &vmx->caps;
    const struct vmcs *v = vmx->current;
    bool host_64 = v->ctl.exit & EXIT(HOST_64), ia32e = v->ctl.entry & ENTRY(IA32E);
    bool unrestricted = v->ctl.proc2 & PROC2(UNRESTRICTED);
    bool vm86 = v->guest.rflags & RFLAGS_VM, paging = v->guest.cr0 & CR0_PG;
    struct {
        bool valid, has_error;
        unsigned type, vector;
    } event = {
        .valid = v->ctl.intr_info & INTR_INFO_VALID,
        .has_error = v->ctl.intr_info & BIT(11),
        .type = v->ctl.intr_info >> 8 & 7,
        .vector = v->ctl.intr_info & 0xff,
    };

#define ENTRY_CHECK(id, section, error, when, must, ...) \
    if ((when) && unlikely(!(must)))                     \
        return entry_fail(vmx, CHECK_##id, error, __VA_ARGS__);
#define SEGMENT_CHECK(id, segments, when, must, text)            \
    for (unsigned s = 0; s < VSEG_COUNT; s++) {                  \
        const struct vmcs_segment *g = &v->guest.seg[s];         \
                                                                 \
        if ((segments) >> s & 1 && (when) && unlikely(!(must)))  \
            return entry_fail_segment(vmx, CHECK_##id, s, text); \
    }
#define ENTRY_WHEN(condition) if (condition) {
#define ENTRY_END }
#include "vmx/entry_checks.def"
    return 0;
}

/* What is derived from the controls, once they are known to be good. */
void entry_settle(struct vmx *vmx)
{
    struct vmcs *v = vmx->current;

    if (v->stale & STALE_CONTROLS) {
        v->virt_mask = intercept_mask(vmx, v);
        ept_settle(vmx, v);
    }
    v->stale = 0;
    v->checked_vm86 = v->guest.rflags & RFLAGS_VM;
}

enum vm_error entry(struct vmx *vmx)
{
    struct cpu *cpu = vmx->cpu;
    struct vmcs *v = vmx->current;
    uint64_t now = cpu_cycles(cpu);
    enum vm_error error = entry_check(vmx);
    unsigned bad;

    if (error == VMERR_CONTROLS || error == VMERR_HOST)
        return error;
    if (error)
        exit_entry_failed(vmx, EXIT_ENTRY_GUEST_STATE, (uint64_t)error & 0xff);
    entry_settle(vmx);
    cpu_charge(cpu, COST_VM_ENTRY);
    cpu_sync_rip(cpu); /* no instruction is running any more */
    entry_load_guest(vmx);
    bad = msr_area_load(vmx, &v->ctl.entry_load);
    if (bad) {
        vmx->stats.entry_failures++;
        vmx->failure.check = CHECK_NONE;
        snprintf(vmx->failure.text, sizeof vmx->failure.text,
                 "entry %u of the VM-entry MSR-load area cannot be loaded", bad);
        trace_vmx_entry_fail("ENTRY_MSR_LOAD_AREA", vmx->failure.text);
        exit_entry_failed(vmx, EXIT_ENTRY_MSR_LOAD, bad);
    }
    v->launched = LAUNCH_LAUNCHED;
    vmx->stats.entries++;
    vmx->stats.root_cycles += now - vmx->stats.since;
    vmx->stats.since = now;
    trace_vmx_entry(v->pa, v->guest.rip, v->ctl.intr_info);
    inject(vmx);
}
