/* Extended page tables: the second translation, from the guest's idea of physical memory to ours.
 * [SDM 3C "The EPT Translation Mechanism"]
 *
 * The guest translates linear to guest-physical with tables of its own and believes that to be
 * memory. Each guest-physical address is then translated here. We map guest-physical = physical,
 * in pages of 4 KiB, and only the pages of the guest; all the rest, the hypervisor too, does not
 * exist for it. One page of its own is left out: it comes when the guest asks for it. */
#include "roms/hello_vmx/print.h"
#include "roms/hello_vmx/vmx.h"

enum { EPT_ALL = 7 /* read, write, execute */, EPT_WRITE_BACK = 6 };
enum { CAP_WALK_LENGTH_4 = 1 << 6, CAP_WRITE_BACK = 1 << 14 };

static uint64_t ept_pml4[512] __attribute__((aligned(PAGE)));
static uint64_t ept_pdpt[512] __attribute__((aligned(PAGE)));
static uint64_t ept_pd[512] __attribute__((aligned(PAGE)));
static uint64_t ept_pt[512] __attribute__((aligned(PAGE)));

bool ept_may_map(uint64_t gpa)
{
    return gpa >= address_of(guest_start) && gpa < address_of(guest_end);
}

/* Not present -> present: processors do not cache what is not present, so INVEPT is not needed.
 * [SDM 3C "Guidelines for Use of the INVEPT Instruction"] */
void ept_map(uint64_t gpa)
{
    uint64_t page = gpa & ~UINT64_C(0xfff);

    ept_pt[gpa / PAGE % 512] = page | EPT_WRITE_BACK << 3 | EPT_ALL;
}

/* the EPT pointer for the VMCS: address of the PML4, length of the walk less 1, memory type */
uint64_t ept_build(void)
{
    uint64_t cap = rdmsr(IA32_VMX_EPT_VPID_CAP), pages = 0;

    if (!(cap & CAP_WALK_LENGTH_4) || !(cap & CAP_WRITE_BACK))
        FAIL("IA32_VMX_EPT_VPID_CAP is 0x%lx: no 4-level EPT in write-back memory", cap);
    ept_pml4[0] = address_of(ept_pdpt) | EPT_ALL;
    ept_pdpt[0] = address_of(ept_pd) | EPT_ALL;
    ept_pd[0] = address_of(ept_pt) | EPT_ALL;
    for (uint64_t gpa = address_of(guest_start); gpa < address_of(guest_end); gpa += PAGE) {
        if (gpa != address_of(guest_hole)) {
            ept_map(gpa);
            pages++;
        }
    }
    print("    set:  EPT maps %lu pages of 4 KiB, guest-physical = physical, from 0x%lx on: the\n"
          "          guest's code and its own page tables. Of the rest of memory the guest\n"
          "          will see nothing, us included. Its page 0x%lx is left out for now.\n",
          pages, address_of(guest_start), address_of(guest_hole));
    return address_of(ept_pml4) | 3 << 3 | EPT_WRITE_BACK;
}
