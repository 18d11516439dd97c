/* What paging allows: U/S, R/W, XD, CR0.WP, SMEP, SMAP, in one function. Contexts keep the answers
 * in a table, since the mode is part of what distinguishes them.
 * [SDM 3A "Determination of Access Rights"] */
#include "mmu/walk.h"

static uint8_t access_rights_user(bool user, bool writable, bool execute_disable)
{
    uint8_t rights = 0;

    if (!user)
        return 0;
    rights |= DETAIL_READ;
    if (writable)
        rights |= DETAIL_WRITE;
    if (!execute_disable)
        rights |= DETAIL_FETCH;
    return rights;
}

uint8_t access_rights(unsigned mode, enum mmu_view view, bool user, bool writable,
                      bool execute_disable)
{
    uint8_t rights = 0;

    if (!(mode & MODE_PG))
        return DETAIL_READ | DETAIL_WRITE | DETAIL_FETCH;
    if (view == VIEW_USER || view == VIEW_USER_ALIGNED)
        return access_rights_user(user, writable, execute_disable);
    if (!(user && mode & MODE_SMAP && view == VIEW_SUPERVISOR)) {
        rights |= DETAIL_READ;
        if (writable || !(mode & MODE_WP))
            rights |= DETAIL_WRITE;
    }
    if (!execute_disable && !(user && mode & MODE_SMEP))
        rights |= DETAIL_FETCH;
    return rights;
}
