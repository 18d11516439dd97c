/* Extended page tables: the walk, accessed and dirty flags, page-modification logging, violations
 * and misconfigurations. Implements struct stage2.
 * [SDM 3C "The Extended Page Table Mechanism (EPT)"]
 *
 * Guest-physical mappings are cached by mmu/gpa_cache.c; here every translation is a fresh walk. */
#include "vmx/state.h"
#include "vmx/trace.h"

enum { EPT_R = 1, EPT_W = 2, EPT_X = 4, EPT_RWX = 7, EPT_PAGE = 128, EPT_A = 256, EPT_D = 512 };
enum { EPTP_AD = 64 };
enum { EPT_LEVELS = 4 }; /* level 0 maps 4 KiB, 3 is the EPT PML4 */

/* in stage2_out.qualification, for ept_fault alone: neither violation nor misconfiguration */
#define EPT_PML_FULL BIT(63)

bool eptp_valid(const struct vmx_caps *caps, uint64_t eptp)
{
    unsigned type = eptp & 7;

    return (type == 0 ? vmx_has(caps, NEED_EPT_UC) : type == 6 && vmx_has(caps, NEED_EPT_WB)) &&
           bits(eptp, 5, 3) == EPT_LEVELS - 1 && vmx_has(caps, NEED_EPT_WALK_4) &&
           (!(eptp & EPTP_AD) || vmx_has(caps, NEED_EPT_AD)) && bits(eptp, 11, 7) == 0 &&
           in_width(caps, eptp);
}

/* ---- misconfigurations ---- */

static bool ept_is_leaf(const struct vmx_caps *caps, uint64_t entry, unsigned level)
{
    return level == 0 || (level == 1 && entry & EPT_PAGE && vmx_has(caps, NEED_EPT_2M)) ||
           (level == 2 && entry & EPT_PAGE && vmx_has(caps, NEED_EPT_1G));
}

static uint64_t ept_reserved(const struct vmx_caps *caps, uint64_t entry, unsigned level)
{
    uint64_t address = BITS(51, caps->maxphyaddr);

    if (!ept_is_leaf(caps, entry, level))
        return address | BITS(7, 3);
    return level == 0 ? address : address | BITS(11 + 9 * level, 12);
}

static bool ept_type_reserved(uint64_t entry)
{
    uint64_t type = bits(entry, 5, 3);

    return type == 2 || type == 3 || type == 7;
}

/* [SDM 3C "EPT Misconfigurations"]: what a present entry must not be, and the words for it */
#define EPT_MISCONFIGURATIONS(X)                                           \
    X((entry & (EPT_R | EPT_W)) == EPT_W, "writable but not readable")     \
    X((entry & EPT_RWX) == EPT_X && !vmx_has(caps, NEED_EPT_EXECUTE_ONLY), \
      "execute-only, which IA32_VMX_EPT_VPID_CAP does not offer")          \
    X(entry &ept_reserved(caps, entry, level), "a reserved bit is set")    \
    X(ept_is_leaf(caps, entry, level) && ept_type_reserved(entry), "memory type 2, 3 or 7")

/* the rule that an entry breaks, or NULL */
static const char *ept_misconfigured(const struct vmx_caps *caps, uint64_t entry, unsigned level)
{
#define EPT_RULE(broken, text) \
    if (unlikely(broken))      \
        return text;
    EPT_MISCONFIGURATIONS(EPT_RULE)
#undef EPT_RULE
    return NULL;
}

/* ---- the walk ---- */

struct ept_walk {
    const struct vmcs *v;
    uint64_t gpa;
    unsigned wanted; /* EPT_R, EPT_W, EPT_X of this access */
    unsigned rights; /* of all entries together */
    unsigned level;  /* of the last entry */
    uint64_t entry[EPT_LEVELS], at[EPT_LEVELS];
    const char *misconfig;
};

/* With accessed and dirty flags, the processor's accesses to guest paging structures are writes. */
static unsigned ept_wanted(uint64_t eptp, unsigned access)
{
    if (access & S2_WALK)
        return access & (S2_WALK_AD | S2_WRITE) || eptp & EPTP_AD ? EPT_R | EPT_W : EPT_R;
    return (access & S2_READ ? EPT_R : 0) | (access & S2_WRITE ? EPT_W : 0) |
           (access & S2_FETCH ? EPT_X : 0);
}

/* true: reached the page; false: an entry is not present or misconfigured */
static bool ept_walk(struct vmx *vmx, struct ept_walk *w)
{
    struct bus *bus = vmx->cpu->bus;
    uint64_t table = w->v->ctl.eptp & BITS(vmx->caps.maxphyaddr - 1u, 12);

    w->rights = EPT_RWX;
    for (unsigned level = EPT_LEVELS; level-- > 0;) {
        unsigned shift = 12 + 9 * level;
        uint64_t at = table + bits(w->gpa, shift + 8, shift) * 8, entry = bus_read(bus, at, 8);

        w->level = level;
        w->at[level] = at;
        w->entry[level] = entry;
        w->rights &= (unsigned)entry & EPT_RWX;
        if (!(entry & EPT_RWX))
            return false;
        w->misconfig = ept_misconfigured(&vmx->caps, entry, level);
        if (unlikely(w->misconfig != NULL))
            return false;
        if (ept_is_leaf(&vmx->caps, entry, level))
            return true;
        table = entry & BITS(vmx->caps.maxphyaddr - 1u, 12);
    }
    return true;
}

/* Log the page that is about to get dirty. False: the log is full, nothing has changed.
 * [SDM 3C "Page-Modification Logging"] */
static bool ept_log(struct vmx *vmx, uint64_t gpa)
{
    struct vmcs *v = vmx->current;

    if (!(v->ctl.proc2 & PROC2(PML)))
        return true;
    if (v->guest.pml_index > 511)
        return false;
    bus_write(vmx->cpu->bus, v->ctl.pml_address + v->guest.pml_index * 8u, gpa & PAGE_MASK, 8);
    v->guest.pml_index--;
    return true;
}

/* accessed flags from the top down, then the dirty flag; false: page-modification log full */
static bool ept_set_flags(struct vmx *vmx, struct ept_walk *w)
{
    struct bus *bus = vmx->cpu->bus;
    uint64_t *leaf = &w->entry[w->level];

    for (unsigned level = EPT_LEVELS; level-- > w->level;) {
        if (likely(w->entry[level] & EPT_A))
            continue;
        w->entry[level] |= EPT_A;
        bus_write(bus, w->at[level], w->entry[level], 8);
    }
    if (!(w->wanted & EPT_W) || *leaf & EPT_D)
        return true;
    if (!ept_log(vmx, w->gpa))
        return false;
    *leaf |= EPT_D;
    bus_write(bus, w->at[w->level], *leaf, 8);
    return true;
}

/* [SDM 3C "Exit Qualification for EPT Violations"] */
static uint64_t ept_qualification(const struct ept_walk *w, unsigned access)
{
    uint64_t q = w->wanted | (uint64_t)w->rights << 3;

    if (access & S2_HAS_LINEAR)
        q |= BIT(7) | (access & S2_WALK ? 0 : BIT(8));
    return q;
}

static bool ept_translate(void *owner, const struct stage2_query *q, struct stage2_out *out)
{
    struct vmx *vmx = owner;
    struct ept_walk w = { .v = vmx->current, .gpa = q->gpa };
    bool ad = w.v->ctl.eptp & EPTP_AD, reached;
    uint64_t offset_mask;

    w.wanted = ept_wanted(w.v->ctl.eptp, q->access);
    reached = ept_walk(vmx, &w);
    out->cycles = COST_EPT_LEVEL * (EPT_LEVELS - w.level);
    if (w.misconfig) {
        trace_ept_misconfig(q->gpa, w.entry[w.level], w.misconfig);
        out->misconfig = true;
        return false;
    }
    if (!reached || (w.wanted & ~w.rights && !(q->access & S2_PEEK))) {
        out->qualification = ept_qualification(&w, q->access);
        return false;
    }
    if (ad && !(q->access & S2_PEEK) && !ept_set_flags(vmx, &w)) {
        out->qualification = EPT_PML_FULL;
        return false;
    }
    offset_mask = BITS(11 + 9 * w.level, 0);
    out->pa = (w.entry[w.level] & BITS(vmx->caps.maxphyaddr - 1u, 12) & ~offset_mask) |
              (q->gpa & offset_mask);
    out->page_size = offset_mask + 1;
    out->read = w.rights & EPT_R;
    out->write = w.rights & EPT_W && (!ad || w.entry[w.level] & EPT_D);
    out->execute = w.rights & EPT_X;
    return true;
}

void ept_settle(struct vmx *vmx, struct vmcs *v)
{
    v->stage2 = (struct stage2){
        .owner = vmx,
        .tag = eptp_tag(v->ctl.eptp),
        .mode = v->ctl.eptp & 0xfff,
        .translate = ept_translate,
    };
}

/* ---- VM exits ---- */

__attribute__((noreturn)) void ept_fault(struct cpu *cpu, const struct mmu_fault *f)
{
    struct vmx *vmx = vmx_of(cpu);
    /* Bit 12 of the qualification, unless an event was under delivery: an IRET had already removed
     * blocking by NMI. */
    uint64_t unblocking = cpu->iret_unblocked_nmi && !cpu->delivering ? BIT(12) : 0;
    bool pml = f->stage2.qualification & EPT_PML_FULL;
    struct vm_exit x = { .guest_physical = f->gpa };

    if (f->stage2.misconfig) {
        x.reason = EXIT_EPT_MISCONFIG;
        vm_exit(vmx, &x);
    }
    x.reason = pml ? EXIT_PML_FULL : EXIT_EPT_VIOLATION;
    x.qualification = unblocking | (pml ? 0 : f->stage2.qualification);
    if (x.qualification & BIT(7))
        x.guest_linear = f->linear;
    if (!pml)
        trace_ept_violation(f->gpa, x.qualification);
    vm_exit(vmx, &x);
}
