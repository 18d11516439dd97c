/* The stack: PUSH POP PUSHA POPA PUSHF POPF ENTER LEAVE. Segment registers on the stack are in
 * cpu/exec_segment.c, returns in cpu/exec_branch.c. [SDM 1 "Procedure Calls, Interrupts, and
 * Exceptions"; SDM 2A "ENTER", "LEAVE"; SDM 2B "POP" to "PUSHF"]
 *
 * RSP changes after the last access that could fault. */
#include "cpu/exec.h"

/* ---- PUSH ---- */

EXEC_BODY_SIZES(push_Z)
{
    push_form(cpu, reg_read(cpu, in->rm, size), size, mem);
}
EXEC_SIZES_PUSH(push_Z)

EXEC_BODY_SIZES(push_I)
{
    push_form(cpu, in->imm, size, mem);
}
EXEC_SIZES_PUSH(push_I)

EXEC_BODY_SIZES(push_E)
{
    push_form(cpu, rm_read(cpu, in, size, mem == MEM_ANY ? MEM_ANY : MEM_NONE), size, mem);
}
EXEC_SIZES_PUSH(push_E)

/* ---- POP ---- */

/* POP rSP: the value wins over the increment */
EXEC_BODY_SIZES(pop_Z)
{
    uint64_t v = stack_peek_form(cpu, size, mem);

    rsp_add_form(cpu, size, mem);
    reg_write(cpu, in->rm, v, size);
}
EXEC_SIZES_POP(pop_Z)

/* An address based on rSP is computed with the incremented rSP [SDM 2B "POP"]. */
static inline void stack_pop_memory(struct cpu *cpu, const struct insn *in, unsigned size)
{
    uint64_t v = stack_peek(cpu, 0, size), rsp = cpu->r[RSP], offset;

    rsp_set(cpu, rsp + size);
    offset = ea(cpu, in);
    cpu->r[RSP] = rsp;
    mmu_store(&cpu->mmu, seg_linear(cpu, in, offset, size, true), v, size);
    rsp_set(cpu, rsp + size);
}

EXEC_BODY_SIZES(pop_E)
{
    if (mem == MEM_ANY)
        stack_pop_memory(cpu, in, size);
    else
        body_pop_Z(cpu, in, size, mem);
}
EXEC_SIZES_POP(pop_E)

/* ---- PUSHA, POPA ---- */

enum { STACK_ALL = 8 };

/* linear address of the i-th value below (or above) rSP, checked for the access */
static uint64_t stack_slot(struct cpu *cpu, int64_t i, unsigned size, bool write)
{
    uint64_t offset = (cpu->r[RSP] + (uint64_t)(i * (int64_t)size)) & stack_mask(cpu);
    uint64_t linear = stack_linear(cpu, offset, size, write);

    mmu_probe(&cpu->mmu, linear, size, write ? MMU_WRITE : MMU_READ);
    return linear;
}

/* rAX first, rDI last, and rSP as it was; nothing is written unless all can be */
EXEC_BODY_SIZES(pusha)
{
    uint64_t at[STACK_ALL];

    for (int i = 0; i < STACK_ALL; i++)
        at[i] = stack_slot(cpu, -1 - i, size, true);
    for (unsigned i = 0; i < STACK_ALL; i++)
        mmu_store(&cpu->mmu, at[i], cpu->r[i], size);
    rsp_set(cpu, cpu->r[RSP] - STACK_ALL * size);
}
EXEC_SIZES(pusha)

/* the value for rSP is skipped */
EXEC_BODY_SIZES(popa)
{
    uint64_t v[STACK_ALL];

    for (unsigned i = 0; i < STACK_ALL; i++)
        v[STACK_ALL - 1 - i] = stack_peek(cpu, i * size, size);
    for (unsigned i = 0; i < STACK_ALL; i++) {
        if (i != RSP)
            reg_write(cpu, i, v[i], size);
    }
    rsp_set(cpu, cpu->r[RSP] + STACK_ALL * size);
}
EXEC_SIZES(popa)

/* ---- PUSHF, POPF ---- */

/* virtual-8086 mode with IOPL below 3 */
static bool stack_flags_sensitive(const struct cpu *cpu)
{
    return cpu_vm86(cpu) && (cpu->rflags & RFLAGS_IOPL) != RFLAGS_IOPL;
}

/* ... where only the 16-bit forms work, with VIF in the place of IF, and only with CR4.VME */
static bool stack_flags_virtual(struct cpu *cpu, unsigned size)
{
    if (!stack_flags_sensitive(cpu))
        return false;
    if (size != 2 || !(cpu->cr4 & CR4_VME))
        raise_gp(cpu, 0);
    return true;
}

EXEC_BODY_SIZES(pushf)
{
    uint64_t image = cpu_rflags(cpu) & ~(RFLAGS_RF | RFLAGS_VM);

    if (stack_flags_virtual(cpu, size)) {
        image = (image & ~RFLAGS_IF) | RFLAGS_IOPL;
        image |= cpu->rflags & RFLAGS_VIF ? RFLAGS_IF : 0;
    }
    push_form(cpu, image, size, mem);
}
EXEC_SIZES_PUSH(pushf)

/* what POPF may change [SDM 2B "POPF/POPFD/POPFQ", table "Effect of POPF/POPFD on the EFLAGS
 * Register"]; RF is cleared in any case, VIF, VIP and VM stay */
static uint64_t stack_popf_mask(const struct cpu *cpu, unsigned size)
{
    uint64_t mask = RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_TF |
                    RFLAGS_DF | RFLAGS_OF | RFLAGS_NT | RFLAGS_RF;

    if (size > 2)
        mask |= RFLAGS_AC | RFLAGS_ID;
    if (cpu->cpl == 0)
        mask |= RFLAGS_IOPL;
    if (cpu->cpl <= bits(cpu->rflags, 13, 12))
        mask |= RFLAGS_IF;
    return mask;
}

/* the image with IF moved to VIF; what could let a pending virtual interrupt in, or trap, is #GP */
static uint64_t stack_popf_virtual(struct cpu *cpu, uint64_t image)
{
    if (image & RFLAGS_TF || (image & RFLAGS_IF && cpu->rflags & RFLAGS_VIP))
        raise_gp(cpu, 0);
    return image & RFLAGS_IF ? image | RFLAGS_VIF : image & ~RFLAGS_VIF;
}

EXEC_BODY_SIZES(popf)
{
    uint64_t mask = stack_popf_mask(cpu, size), image;
    bool is_virtual = stack_flags_virtual(cpu, size);

    image = stack_peek_form(cpu, size, mem) & ~RFLAGS_RF;
    if (is_virtual) {
        image = stack_popf_virtual(cpu, image);
        mask |= RFLAGS_VIF;
    }
    rsp_add_form(cpu, size, mem);
    cpu->rip = insn_next_rip(cpu, in);
    cpu_set_rflags(cpu, (cpu_rflags(cpu) & ~mask) | (image & mask));
}
EXEC_SIZES_POP_END(popf)

/* ---- ENTER, LEAVE ---- */

static void stack_store(struct cpu *cpu, uint64_t offset, uint64_t v, unsigned size)
{
    mmu_store(&cpu->mmu, stack_linear(cpu, offset, size, true), v, size);
}

/* The frame pointers of the enclosing levels are copied from the old frame, then the own one
 * follows. The new top of the stack must be writable. */
EXEC_BODY_SIZES(enter)
{
    uint64_t mask = stack_mask(cpu), rbp = cpu->r[RBP], frame;
    uint64_t rsp = (cpu->r[RSP] - size) & mask;
    unsigned level = in->imm >> 16 & 31;

    stack_store(cpu, rsp, rbp, size);
    frame = rsp;
    for (unsigned i = 1; i < level; i++) {
        uint64_t v;

        rbp = (rbp - size) & mask;
        v = mmu_load(&cpu->mmu, stack_linear(cpu, rbp, size, false), size);
        rsp = (rsp - size) & mask;
        stack_store(cpu, rsp, v, size);
    }
    if (level > 0) {
        rsp = (rsp - size) & mask;
        stack_store(cpu, rsp, frame, size);
    }
    rsp = (rsp - (uint16_t)in->imm) & mask;
    mmu_probe(&cpu->mmu, stack_linear(cpu, rsp, size, true), size, MMU_WRITE);
    reg_write_masked(cpu, RBP, frame, mask);
    rsp_set(cpu, rsp);
}
EXEC_SIZES(enter)

EXEC_BODY_SIZES(leave)
{
    uint64_t mask = stack_mask(cpu), rsp = cpu->r[RBP] & mask, v;

    if (mem == MEM_HIT_READ) {
        v = hit_load(mem_native_at(cpu, cpu->r[RBP]), 8);
        cpu->r[RSP] = cpu->r[RBP] + 8;
    } else {
        v = mmu_load(&cpu->mmu, stack_linear(cpu, rsp, size, false), size);
        rsp_set(cpu, rsp + size);
    }
    reg_write(cpu, RBP, v, size);
}
EXEC_STACK_(leave, cpu->r[RBP], MEM_HIT_READ, false, EXEC_NEXT(cpu, in))
