/* A second translation after paging (EPT), owned by mmu/ and filled by vmx/. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* why a guest-physical address is accessed, for permissions and for the exit qualification */
enum {
    S2_READ = 1,
    S2_WRITE = 2,
    S2_FETCH = 4,
    S2_WALK = 8,        /* an access to a paging-structure entry */
    S2_WALK_AD = 16,    /* ... to set an accessed or dirty flag */
    S2_HAS_LINEAR = 32, /* `linear` is valid */
    S2_USER_PAGE = 64,  /* the linear address is a user-mode address in paging (for advanced info
                           and mode-based execute control) */
    S2_PEEK = 128,      /* a debugger looks: set no flag, log nothing */
};

struct stage2_query {
    uint64_t gpa;
    uint64_t linear;
    unsigned access; /* S2_* */
};

struct stage2_out {
    uint64_t pa;
    uint64_t page_size;        /* of the EPT mapping: 4 KiB, 2 MiB, 1 GiB */
    bool read, write, execute; /* rights of the whole mapping; write false also while the EPT
                                   dirty flag is clear, so that the first store comes back */
    unsigned cycles;           /* cost of the walk */
    /* on refusal: */
    bool misconfig;         /* EPT misconfiguration, else EPT violation */
    uint64_t qualification; /* as the VM exit reports it; vmx/ builds it */
};

struct stage2 {
    void *owner;
    uint64_t tag;  /* EP4TA (EPTP 51:12), tags cached translations; not 0 */
    uint32_t mode; /* other bits of EPTP that cached translations depend on */
    /* Translate; sets accessed and dirty flags as the manual says. False: violation or
     * misconfiguration, and out says which. Never unwinds. */
    bool (*translate)(void *owner, const struct stage2_query *q, struct stage2_out *out);
};
