/* INVEPT, INVVPID, and what VM entries and VM exits invalidate.
 * [SDM 3C "Operations that Invalidate Cached Mappings"] */
#include "vmx/state.h"
#include "vmx/trace.h"

enum { INVEPT_SINGLE = 1, INVEPT_ALL = 2 };
enum { INVVPID_ADDRESS = 0, INVVPID_SINGLE = 1, INVVPID_ALL = 2, INVVPID_LOCALS = 3 };

bool invalidate_ept(struct vmx *vmx, uint64_t type, const uint64_t descriptor[2])
{
    struct mmu *m = &vmx->cpu->mmu;

    trace_vmx_invept(type, descriptor[0]);
    if (type == INVEPT_SINGLE && vmx_has(&vmx->caps, NEED_INVEPT_SINGLE)) {
        if (!eptp_valid(&vmx->caps, descriptor[0]))
            return false;
        mmu_flush_ept(m, eptp_tag(descriptor[0]));
        return true;
    }
    if (type == INVEPT_ALL && vmx_has(&vmx->caps, NEED_INVEPT_ALL)) {
        mmu_flush_all_ept(m);
        return true;
    }
    return false;
}

bool invalidate_vpid(struct vmx *vmx, uint64_t type, const uint64_t descriptor[2])
{
    static const uint16_t needs[] = {
        [INVVPID_ADDRESS] = NEED_INVVPID_ADDRESS,
        [INVVPID_SINGLE] = NEED_INVVPID_SINGLE,
        [INVVPID_ALL] = NEED_INVVPID_ALL,
        [INVVPID_LOCALS] = NEED_INVVPID_LOCALS,
    };
    struct mmu *m = &vmx->cpu->mmu;
    uint16_t vpid = (uint16_t)descriptor[0];

    trace_vmx_invvpid(type, vpid, descriptor[1]);
    if (type > INVVPID_LOCALS || !vmx_has(&vmx->caps, (enum vmx_need)needs[type]))
        return false;
    if (descriptor[0] >> 16 != 0 || (vpid == 0 && type != INVVPID_ALL))
        return false;
    switch (type) {
    case INVVPID_ADDRESS:
        if (!is_canonical(descriptor[1], LINEAR_BITS))
            return false;
        mmu_flush_vpid_address(m, vpid, descriptor[1]);
        break;
    case INVVPID_SINGLE: mmu_flush_vpid(m, vpid, true); break;
    case INVVPID_ALL: mmu_flush_all_vpids(m); break;
    default: mmu_flush_vpid(m, vpid, false); break;
    }
    return true;
}

/* Linear and combined mappings of VPID 0 must go. Processors keep no guest-physical mappings of
 * pages beside combined ones, and hypervisors that clear EPT flags without INVEPT rely on that. */
void invalidate_on_transition(struct vmx *vmx)
{
    const struct vmcs *v = vmx->current;

    if (v->ctl.proc2 & PROC2(VPID))
        return;
    mmu_flush_vpid(&vmx->cpu->mmu, 0, true);
    if (v->ctl.proc2 & PROC2(EPT))
        mmu_flush_ept(&vmx->cpu->mmu, eptp_tag(v->ctl.eptp));
}
