/* Fast system calls: SYSCALL SYSRET SYSENTER SYSEXIT. They load flat segments without looking at
 * descriptors. [SDM 2B "SYSCALL", "SYSENTER", "SYSEXIT", "SYSRET"] */
#include "cpu/exec.h"
#include "cpu/msr.h"

enum syscall_code { CODE_32, CODE_64 };

/* CS and SS next to each other, flat, at privilege level cpl */
static void syscall_segments(struct cpu *cpu, uint16_t cs, enum syscall_code code, uint16_t ss,
                             unsigned cpl)
{
    uint32_t common = AR_P | AR_S | AR_G | AR_ACCESSED | cpl << 5;
    struct descriptor d = { .limit = UINT32_MAX };

    d.ar = common | AR_CODE | AR_READ | (code == CODE_64 ? AR_L : AR_DB);
    segment_set(cpu, SEG_CS, (uint16_t)(cs | cpl), &d);
    d.ar = common | AR_WRITE | AR_DB;
    cpu->cpl = (uint8_t)cpl;
    segment_set(cpu, SEG_SS, (uint16_t)(ss | cpl), &d); /* and the key */
}

/* ---- SYSCALL, SYSRET: 64-bit mode only ---- */

EXEC_BODY(syscall)
{
    uint16_t cs = (uint16_t)(cpu->msr.star >> 32) & 0xfffc;
    uint64_t rflags = cpu_rflags(cpu);

    if (!(cpu->efer & EFER_SCE))
        raise_ud(cpu);
    cpu->r[RCX] = insn_next_rip(cpu, in);
    cpu->r[R11] = rflags;
    cpu->rip = cpu->msr.lstar;
    /* a handler that is entered with TF cleared does not see the trap of this instruction */
    if (cpu->msr.fmask & RFLAGS_TF)
        cpu->step_trap_lost = true;
    cpu_set_rflags(cpu, rflags & ~cpu->msr.fmask);
    syscall_segments(cpu, cs, CODE_64, (uint16_t)(cs + 8), 0);
}
EXEC_END(syscall)

EXEC_BODY(sysret)
{
    bool to64 = in->flags & IN_REXW;
    uint16_t base = (uint16_t)(cpu->msr.star >> 48);
    uint64_t rflags = cpu->r[R11] & 0x3c7fd7;

    if (!(cpu->efer & EFER_SCE))
        raise_ud(cpu);
    if (cpu->cpl != 0 || (to64 && !is_canonical(cpu->r[RCX], CPU_LINEAR_BITS)))
        raise_gp(cpu, 0);
    cpu->rip = to64 ? cpu->r[RCX] : (uint32_t)cpu->r[RCX];
    if (rflags & RFLAGS_TF && !(cpu->rflags & RFLAGS_TF)) {
        cpu->pending_dbg |= DR6_BS; /* unlike IRET, it traps before the first instruction */
        cpu_raise_event(cpu, EVENT_DEBUG_TRAP);
    }
    cpu_set_rflags(cpu, rflags);
    if (to64)
        syscall_segments(cpu, (uint16_t)((base + 16) | 3), CODE_64, (uint16_t)((base + 8) | 3), 3);
    else
        syscall_segments(cpu, base | 3, CODE_32, (uint16_t)((base + 8) | 3), 3);
}
EXEC_END(sysret)

/* ---- SYSENTER, SYSEXIT: any protected mode ---- */

EXEC_BODY(sysenter)
{
    uint16_t cs = cpu->msr.sysenter_cs & 0xfffc;
    bool wide = cpu_long(cpu);

    if (!cpu_protected(cpu) || cs == 0)
        raise_gp(cpu, 0);
    cpu->rip = wide ? cpu->msr.sysenter_eip : (uint32_t)cpu->msr.sysenter_eip;
    cpu->r[RSP] = wide ? cpu->msr.sysenter_esp : (uint32_t)cpu->msr.sysenter_esp;
    cpu_set_rflags(cpu, cpu_rflags(cpu) & ~(RFLAGS_VM | RFLAGS_IF));
    syscall_segments(cpu, cs, wide ? CODE_64 : CODE_32, (uint16_t)(cs + 8), 0);
}
EXEC_END(sysenter)

EXEC_BODY(sysexit)
{
    uint16_t cs = cpu->msr.sysenter_cs & 0xfffc;
    bool to64 = in->flags & IN_REXW;

    if (!cpu_protected(cpu) || cs == 0 || cpu->cpl != 0)
        raise_gp(cpu, 0);
    if (to64 && (!is_canonical(cpu->r[RCX], CPU_LINEAR_BITS) ||
                 !is_canonical(cpu->r[RDX], CPU_LINEAR_BITS)))
        raise_gp(cpu, 0);
    cpu->rip = to64 ? cpu->r[RDX] : (uint32_t)cpu->r[RDX];
    cpu->r[RSP] = to64 ? cpu->r[RCX] : (uint32_t)cpu->r[RCX];
    cs = (uint16_t)(cs + (to64 ? 32 : 16));
    syscall_segments(cpu, cs, to64 ? CODE_64 : CODE_32, (uint16_t)(cs + 8), 3);
}
EXEC_END(sysexit)
