/* The instructions of VMX: all of them are vmx/vmx_insn.c's business, behind cpu->virt.
 * [SDM 3C "VMX Instruction Reference"]
 *
 * VMREAD and VMWRITE let the block go on. The others end it: they may change what decoding and
 * translation depend on, and VM entries come back here only when they have failed. */
#include "cpu/exec.h"

EXEC_BODY(vmread)
{
    cpu->virt->vmx(cpu, VMX_VMREAD);
}
EXEC(vmread)

EXEC_BODY(vmwrite)
{
    cpu->virt->vmx(cpu, VMX_VMWRITE);
}
EXEC(vmwrite)

#define EXEC_VMX_END(name, which)          \
    EXEC_BODY(name)                        \
    {                                      \
        cpu->virt->vmx(cpu, which);        \
        cpu->rip = insn_next_rip(cpu, in); \
    }                                      \
    EXEC_END(name)

EXEC_VMX_END(vmcall, VMX_VMCALL)
EXEC_VMX_END(vmlaunch, VMX_VMLAUNCH)
EXEC_VMX_END(vmresume, VMX_VMRESUME)
EXEC_VMX_END(vmxoff, VMX_VMXOFF)
EXEC_VMX_END(vmfunc, VMX_VMFUNC)
EXEC_VMX_END(vmptrld, VMX_VMPTRLD)
EXEC_VMX_END(vmptrst, VMX_VMPTRST)
EXEC_VMX_END(vmclear, VMX_VMCLEAR)
EXEC_VMX_END(vmxon, VMX_VMXON)
EXEC_VMX_END(invept, VMX_INVEPT)
EXEC_VMX_END(invvpid, VMX_INVVPID)
