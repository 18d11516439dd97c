/* Software interrupts and what decides when events come in: INT n INT3 INTO INT1 IRET, CLI STI, CLAC
 * STAC, HLT, MONITOR MWAIT. [SDM 2A "INT n/INTO/INT3/INT1", "CLI", "HLT", "IRET"; SDM 2B "STI"] */
#include "cpu/exec.h"
#include "cpu/interrupt.h"
#include "cpu/msr.h"

/* ---- INT and IRET ---- */

EXEC_BODY(int_I)
{
    interrupt_software(cpu, (uint8_t)in->imm, EVENT_TYPE_SOFTWARE_INT, in->length);
}
EXEC_END(int_I)

EXEC_BODY(int3)
{
    interrupt_software(cpu, BP, EVENT_TYPE_SOFTWARE_EXC, in->length);
}
EXEC_END(int3)

EXEC_BODY(into)
{
    cpu->rip = insn_next_rip(cpu, in);
    if (flags_of(&cpu->flags))
        interrupt_software(cpu, OF, EVENT_TYPE_SOFTWARE_EXC, in->length);
}
EXEC_END(into)

EXEC_BODY(int1)
{
    interrupt_software(cpu, DB, EVENT_TYPE_PRIV_SOFTWARE, in->length);
}
EXEC_END(int1)

EXEC_BODY(iret)
{
    interrupt_return(cpu, 1u << in->size);
}
EXEC_END(iret)

/* ---- IF and VIF ---- */

enum if_rule { IF_REAL, IF_VIRTUAL, IF_REFUSED };

/* does CLI or STI act on IF, or on VIF (virtual-8086 mode with VME, CPL 3 with PVI)? */
static enum if_rule interrupt_flag_rule(const struct cpu *cpu)
{
    unsigned iopl = (unsigned)bits(cpu->rflags, 13, 12);

    if (!cpu_protected(cpu) || iopl >= (cpu_vm86(cpu) ? 3u : cpu->cpl))
        return IF_REAL;
    if (cpu_vm86(cpu) ? cpu->cr4 & CR4_VME : cpu->cpl == 3 && cpu->cr4 & CR4_PVI)
        return IF_VIRTUAL;
    return IF_REFUSED;
}

EXEC_BODY(cli)
{
    switch (interrupt_flag_rule(cpu)) {
    case IF_REAL: cpu->rflags &= ~RFLAGS_IF; break;
    case IF_VIRTUAL: cpu->rflags &= ~RFLAGS_VIF; break;
    default: raise_gp(cpu, 0);
    }
}
EXEC(cli)

/* The shadow is one more instruction. Where that one is the last of the block, events come no earlier
 * than behind it anyway, and nobody sees whether they were held back (block_shadows). */
EXEC_BODY(sti)
{
    enum if_rule rule = interrupt_flag_rule(cpu);

    if (rule == IF_REFUSED || (rule == IF_VIRTUAL && cpu->rflags & RFLAGS_VIP))
        raise_gp(cpu, 0);
    if (rule == IF_VIRTUAL) {
        cpu->rflags |= RFLAGS_VIF;
    } else if (!(cpu->rflags & RFLAGS_IF)) {
        cpu->rflags |= RFLAGS_IF;
        if (!(in->flags & IN_SHADOW))
            cpu_shadow(cpu, BLOCK_STI);
        else if (cpu->events)
            cpu_kick(cpu);
    }
}
EXEC(sti)

/* ---- AC ---- */

/* ends the block: the next one is fetched in the new view */
static void alignment_check_flag(struct cpu *cpu, const struct insn *in, uint64_t ac)
{
    if (cpu->cpl != 0)
        raise_ud(cpu);
    cpu->rflags = (cpu->rflags & ~RFLAGS_AC) | ac;
    mmu_set_view(&cpu->mmu, cpu_view(cpu, 0));
    cpu->rip = insn_next_rip(cpu, in);
}

EXEC_BODY(clac)
{
    alignment_check_flag(cpu, in, 0);
}
EXEC_END(clac)

EXEC_BODY(stac)
{
    alignment_check_flag(cpu, in, RFLAGS_AC);
}
EXEC_END(stac)

/* ---- sleeping ---- */

static void sleep_until_event(struct cpu *cpu, const struct insn *in, enum activity activity)
{
    cpu->rip = insn_next_rip(cpu, in);
    cpu->activity = activity;
    cpu_kick(cpu);
}

EXEC_BODY(hlt)
{
    if (cpu->cpl != 0)
        raise_gp(cpu, 0);
    virt_check(cpu, VIRT_HLT, 0);
    sleep_until_event(cpu, in, HALTED);
}
EXEC_END(hlt)

static void monitor_check(struct cpu *cpu)
{
    if (cpu->cpl != 0 || !(cpu->msr.misc_enable & MSR_MISC_ENABLE_MONITOR))
        raise_ud(cpu);
}

/* A store to the page of the line ends MWAIT: the page counts as one with code, so that stores to it
 * are noticed. */
EXEC_BODY(monitor)
{
    uint64_t linear, pa;

    monitor_check(cpu);
    virt_check(cpu, VIRT_MONITOR, 0);
    if ((uint32_t)cpu->r[RCX] != 0)
        raise_gp(cpu, 0);
    linear = seg_linear(cpu, in, cpu->r[RAX] & in->addr_mask, 1, false);
    mmu_load(&cpu->mmu, linear, 1);
    if (mmu_peek(&cpu->mmu, linear, &pa) && bus_native(cpu->bus, pa)) {
        cpu->monitor_pa = pa & ~UINT64_C(63);
        bus_mark_code(cpu->bus, pa);
    }
    cpu->rip = insn_next_rip(cpu, in);
}
EXEC_END(monitor)

EXEC_BODY(mwait)
{
    bool armed = cpu->monitor_pa != MMU_NO_PAGE;

    monitor_check(cpu);
    virt_check(cpu, VIRT_MWAIT, armed);
    if ((uint32_t)cpu->r[RCX] > 1)
        raise_gp(cpu, 0);
    cpu->rip = insn_next_rip(cpu, in);
    if (!armed)
        return;
    cpu->mwait_break = cpu->r[RCX] & 1;
    sleep_until_event(cpu, in, MWAITING);
}
EXEC_END(mwait)
