/* Segment registers: MOV, PUSH, POP, LDS LES LFS LGS LSS, and their bases (RDFSBASE and the like,
 * SWAPGS). [SDM 2B "MOV", "POP", "PUSH"; SDM 2A "LDS/LES/LFS/LGS/LSS"; SDM 2B "RDFSBASE/RDGSBASE"] */
#include "cpu/exec.h"

static enum mem_form segment_form(const struct insn *in)
{
    return in->flags & IN_MEM ? MEM_ANY : MEM_NONE;
}

/* the register of the one-byte forms (06H, 0EH, ...) and of 0F A0H, A1H, A8H, A9H */
static unsigned segment_of_opcode(const struct insn *in)
{
    return in->modrm >> 3 & (in->modrm >= 0xa0 ? 7 : 3);
}

/* ---- MOV ---- */

/* memory takes 16 bits whatever the operand size is */
EXEC_BODY(mov_E_S)
{
    uint16_t selector = cpu->seg[in->reg].selector;

    if (in->flags & IN_MEM)
        mem_write(cpu, in, selector, 2);
    else
        reg_write(cpu, in->rm, selector, 1u << in->size);
}
EXEC(mov_E_S)

/* A new SS changes the stack's size, and holds events back until the next instruction, which is
 * expected to load the stack pointer. */
EXEC_BODY(mov_S_E)
{
    uint64_t next = insn_next_rip(cpu, in);

    if (in->reg == SEG_CS)
        raise_ud(cpu);
    segment_load(cpu, in->reg, (uint16_t)rm_read(cpu, in, 2, segment_form(in)));
    cpu->rip = next;
    if (in->reg == SEG_SS)
        cpu_shadow(cpu, BLOCK_MOV_SS);
}
EXEC_END(mov_S_E)

/* ---- PUSH and POP ---- */

/* With a 32-bit operand, processors of the last decades write only the 16 bits of the selector. */
EXEC_BODY(push_S)
{
    unsigned size = 1u << in->size;
    uint16_t selector = cpu->seg[segment_of_opcode(in)].selector;
    uint64_t rsp = (cpu->r[RSP] - size) & stack_mask(cpu);

    size = size == 4 ? 2 : size;
    mmu_store(&cpu->mmu, stack_linear(cpu, rsp, size, true), selector, size);
    rsp_set(cpu, rsp);
}
EXEC(push_S)

/* RSP is not changed unless the load succeeds; POP SS pops by the old stack size. */
EXEC_BODY(pop_S)
{
    unsigned seg = segment_of_opcode(in), size = 1u << in->size;
    uint16_t selector = (uint16_t)stack_peek(cpu, 0, size == 4 ? 2 : size);
    uint64_t mask = stack_mask(cpu), rsp = cpu->r[RSP], next = insn_next_rip(cpu, in);

    segment_load(cpu, seg, selector);
    if (mask == UINT16_MAX)
        cpu->r[RSP] = (rsp & ~mask) | ((rsp + size) & mask);
    else
        cpu->r[RSP] = (rsp + size) & mask;
    cpu->rip = next;
    if (seg == SEG_SS)
        cpu_shadow(cpu, BLOCK_MOV_SS);
}
EXEC_END(pop_S)

/* ---- far pointers from memory ---- */

static void segment_load_far(struct cpu *cpu, const struct insn *in, unsigned seg)
{
    unsigned size = 1u << in->size;
    uint64_t at = ea(cpu, in), next = insn_next_rip(cpu, in);
    uint64_t offset = mmu_load(&cpu->mmu, seg_linear(cpu, in, at, size, false), size);
    uint64_t selector_at = seg_linear(cpu, in, (at + size) & in->addr_mask, 2, false);
    uint16_t selector = (uint16_t)mmu_load(&cpu->mmu, selector_at, 2);

    segment_load(cpu, seg, selector); /* LSS loads the stack pointer too: no shadow */
    cpu->rip = next;
    reg_write(cpu, in->reg, offset, size);
}

#define SEGMENT_LOAD_FAR(name, seg)     \
    EXEC_BODY(name)                     \
    {                                   \
        segment_load_far(cpu, in, seg); \
    }                                   \
    EXEC_END(name)
SEGMENT_LOAD_FAR(les, SEG_ES)
SEGMENT_LOAD_FAR(lds, SEG_DS)
SEGMENT_LOAD_FAR(lss, SEG_SS)
SEGMENT_LOAD_FAR(lfs, SEG_FS)
SEGMENT_LOAD_FAR(lgs, SEG_GS)

/* ---- bases ---- */

static void segment_check_fsgsbase(struct cpu *cpu)
{
    if (!(cpu->cr4 & CR4_FSGSBASE))
        raise_ud(cpu);
}

static void segment_write_base(struct cpu *cpu, const struct insn *in, unsigned seg)
{
    uint64_t base = reg_read(cpu, in->rm, 1u << in->size);

    segment_check_fsgsbase(cpu);
    if (!is_canonical(base, CPU_LINEAR_BITS))
        raise_gp(cpu, 0);
    cpu->seg[seg].base = base;
}

#define SEGMENT_BASE(lower, n)                                    \
    EXEC_BODY(rd##lower##base)                                    \
    {                                                             \
        segment_check_fsgsbase(cpu);                              \
        reg_write(cpu, in->rm, cpu->seg[n].base, 1u << in->size); \
    }                                                             \
    EXEC(rd##lower##base)                                         \
    EXEC_BODY(wr##lower##base)                                    \
    {                                                             \
        segment_write_base(cpu, in, n);                           \
    }                                                             \
    EXEC(wr##lower##base)
SEGMENT_BASE(fs, SEG_FS)
SEGMENT_BASE(gs, SEG_GS)

EXEC_BODY(swapgs)
{
    uint64_t base = cpu->seg[SEG_GS].base;

    if (cpu->cpl != 0)
        raise_gp(cpu, 0);
    cpu->seg[SEG_GS].base = cpu->msr.kernel_gs_base;
    cpu->msr.kernel_gs_base = base;
}
EXEC(swapgs)
