/* The VM-exit instruction-information field and displacements, from the decoded instruction.
 * [SDM 3C "Information for VM Exits Due to Instruction Execution"] */
#include "vmx/state.h"

/* bits 9:7 */
static uint32_t info_address_size(const struct insn *in)
{
    return (in->addr_mask == 0xffff ? 0u : in->addr_mask == UINT32_MAX ? 1u : 2u) << 7;
}

/* scaling 1:0, address size 9:7, register form 10, segment 17:15, index 21:18 with "invalid" 22,
 * base 26:23 with "invalid" 27 */
static uint32_t info_memory(const struct insn *in)
{
    uint32_t info = info_address_size(in);

    if (!(in->flags & IN_MEM))
        return 1u << 10;
    info |= (in->scale & 3u) | (uint32_t)in->seg << 15;
    info |= in->index < 16 ? (uint32_t)in->index << 18 : 1u << 22;
    info |= in->base < 16 ? (uint32_t)in->base << 23 : 1u << 27;
    return info;
}

static uint32_t info_ins_outs(const struct insn *in)
{
    return info_address_size(in) | (uint32_t)in->seg << 15;
}

/* LGDT and its like: the operand size in bit 11, which instruction in 29:28 */
static uint32_t info_gdtr_idtr(const struct cpu *cpu, const struct insn *in)
{
    bool size32 = in->size == 2 || cpu_64bit(cpu);

    return (info_memory(in) & ~(1u << 10)) | (uint32_t)size32 << 11 |
           (uint32_t)(in->modrm >> 3 & 3) << 28;
}

static uint32_t info_ldtr_tr(const struct insn *in)
{
    uint32_t reg = in->flags & IN_MEM ? 0 : (uint32_t)(in->rm & 15) << 3;

    return info_memory(in) | reg | (uint32_t)(in->modrm >> 3 & 3) << 28;
}

/* RDRAND, RDSEED: destination 6:3, operand size 12:11 */
static uint32_t info_random(const struct insn *in)
{
    return (uint32_t)(in->rm & 15) << 3 | (in->size ? in->size - 1u : 0u) << 11;
}

/* two register operands: r/m in 6:3 where it is one, reg in 31:28 */
static uint32_t info_vmread_vmwrite(const struct insn *in)
{
    uint32_t rm = in->flags & IN_MEM ? 0 : (uint32_t)(in->rm & 15) << 3;

    return info_memory(in) | rm | (uint32_t)(in->reg & 15) << 28;
}

uint32_t insn_info(const struct cpu *cpu, enum exit_reason reason)
{
    const struct insn *in = cpu->in;

    if (!in)
        return 0;
    switch (reason) {
    case EXIT_IO: return info_ins_outs(in);
    case EXIT_GDTR_IDTR: return info_gdtr_idtr(cpu, in);
    case EXIT_LDTR_TR: return info_ldtr_tr(in);
    case EXIT_RDRAND:
    case EXIT_RDSEED: return info_random(in);
    case EXIT_VMREAD:
    case EXIT_VMWRITE: return info_vmread_vmwrite(in);
    case EXIT_INVEPT:
    case EXIT_INVVPID:
    case EXIT_INVPCID: return info_memory(in) | (uint32_t)(in->reg & 15) << 28;
    case EXIT_VMCLEAR:
    case EXIT_VMPTRLD:
    case EXIT_VMPTRST:
    case EXIT_VMXON:
    case EXIT_XSAVES:
    case EXIT_XRSTORS: return info_memory(in);
    default: return 0;
    }
}

/* The exit qualification of instructions with a memory operand: the displacement; with RIP-relative
 * addressing the sum with the next instruction's address. */
uint64_t insn_displacement(const struct cpu *cpu)
{
    const struct insn *in = cpu->in;
    uint64_t disp;

    if (!in || !(in->flags & IN_MEM))
        return 0;
    disp = (uint64_t)in->disp;
    if (in->base == REG_BLOCK_RIP)
        disp += cpu->r[REG_BLOCK_RIP];
    return cpu_64bit(cpu) ? disp : (uint32_t)disp;
}
