/* I/O: IN OUT INS OUTS. [SDM 1 "Input/Output"; SDM 2A "IN", "INS"; SDM 2B "OUT", "OUTS"]
 *
 * Order: the permission of IOPL and the TSS's bitmap, the VM exit, then for the string forms the
 * memory operand, and last the port, since an access to a device cannot be taken back. */
#include "cpu/exec.h"
#include "cpu/interrupt.h"

enum { IO_CHUNK = 64 /* elements of a REP form before events are looked at again */ };

/* Every bit of the bitmap for the port's bytes must be 0; two bytes of it are read always. */
static bool io_bitmap_allows(struct cpu *cpu, uint16_t port, unsigned size)
{
    const struct seg *tr = &cpu->seg[SEG_TR];
    unsigned type = ar_type(tr->ar);
    uint64_t at, map;

    if ((type != 9 && type != 11) || tr->limit < 103)
        return false;
    at = mmu_load_system(&cpu->mmu, tr->base + 102, 2) + port / 8;
    if (at + 1 > tr->limit)
        return false;
    map = mmu_load_system(&cpu->mmu, tr->base + at, 2);
    return (map >> port % 8 & ((1u << size) - 1)) == 0;
}

static void io_check(struct cpu *cpu, uint16_t port, unsigned size)
{
    if (!cpu_protected(cpu) || (!cpu_vm86(cpu) && cpu->cpl <= (unsigned)bits(cpu->rflags, 13, 12)))
        return;
    if (!io_bitmap_allows(cpu, port, size))
        raise_gp(cpu, 0);
}

static unsigned io_size(const struct insn *in)
{
    return in->size >= 2 ? 4 : 1u << in->size; /* REX.W does not widen a port */
}

/* ---- IN and OUT ---- */

static void io_permit(struct cpu *cpu, const struct insn *in, uint16_t port, bool input,
                      bool immediate)
{
    struct virt_io io = {
        .port = port,
        .size = (uint8_t)io_size(in),
        .in = input,
        .immediate = immediate,
    };

    io_check(cpu, port, io.size);
    if (virt_wants(cpu, VIRT_IO))
        cpu->virt->io(cpu, &io);
}

static void io_in(struct cpu *cpu, const struct insn *in, uint16_t port, bool immediate)
{
    unsigned size = io_size(in);

    io_permit(cpu, in, port, true, immediate);
    cpu->rip = insn_next_rip(cpu, in);
    reg_write(cpu, RAX, ports_read(cpu->ports, port, size), size);
    debug_io_access(cpu, port, size);
}

static void io_out(struct cpu *cpu, const struct insn *in, uint16_t port, bool immediate)
{
    unsigned size = io_size(in);

    io_permit(cpu, in, port, false, immediate);
    cpu->rip = insn_next_rip(cpu, in);
    ports_write(cpu->ports, port, (uint32_t)zero_extend(cpu->r[RAX], size), size);
    debug_io_access(cpu, port, size);
}

EXEC_BODY(in_A_I)
{
    io_in(cpu, in, (uint16_t)in->imm, true);
}
EXEC_END(in_A_I)

EXEC_BODY(in_A_DX)
{
    io_in(cpu, in, (uint16_t)cpu->r[RDX], false);
}
EXEC_END(in_A_DX)

EXEC_BODY(out_I_A)
{
    io_out(cpu, in, (uint16_t)in->imm, true);
}
EXEC_END(out_I_A)

EXEC_BODY(out_DX_A)
{
    io_out(cpu, in, (uint16_t)cpu->r[RDX], false);
}
EXEC_END(out_DX_A)

/* ---- INS and OUTS ---- */

/* a register in the address size: 16-bit forms keep the upper part, 32-bit forms clear it */
static void io_string_set(struct cpu *cpu, const struct insn *in, unsigned r, uint64_t value)
{
    reg_write(cpu, r, value, in->addr_mask == UINT16_MAX ? 2 : in->addr_mask == UINT32_MAX ? 4 : 8);
}

static uint64_t io_string_linear(struct cpu *cpu, const struct insn *in, bool input, unsigned size)
{
    uint64_t offset = cpu->r[input ? RDI : RSI] & in->addr_mask;
    unsigned seg = input ? SEG_ES : in->seg;
    struct insn as = *in;

    as.seg = (uint8_t)seg;
    as.base_seg = (uint8_t)(in->flags & IN_LEGACY || seg >= SEG_FS ? seg : SEG_FLAT);
    return seg_linear(cpu, &as, offset, size, input);
}

/* one element: memory is checked first, for writing too, so that the port is touched only if the
 * element will be completed */
static void io_string_one(struct cpu *cpu, const struct insn *in, bool input, unsigned size)
{
    uint16_t port = (uint16_t)cpu->r[RDX];
    unsigned index = input ? RDI : RSI;
    uint64_t linear = io_string_linear(cpu, in, input, size);
    uint64_t step = cpu->rflags & RFLAGS_DF ? -(uint64_t)size : size;

    if (input) {
        mmu_load_rmw(&cpu->mmu, linear, size);
        mmu_store(&cpu->mmu, linear, ports_read(cpu->ports, port, size), size);
    } else {
        ports_write(cpu->ports, port, (uint32_t)mmu_load(&cpu->mmu, linear, size), size);
    }
    io_string_set(cpu, in, index, cpu->r[index] + step);
    debug_io_access(cpu, port, size);
}

static void io_string_permit(struct cpu *cpu, const struct insn *in, bool input, bool rep)
{
    uint16_t port = (uint16_t)cpu->r[RDX];
    unsigned size = io_size(in), seg = input ? SEG_ES : in->seg;
    uint64_t offset = cpu->r[input ? RDI : RSI] & in->addr_mask;
    struct virt_io io = {
        .port = port,
        .size = (uint8_t)size,
        .in = input,
        .string = true,
        .rep = rep,
    };

    io_check(cpu, port, size);
    if (!virt_wants(cpu, VIRT_IO))
        return;
    if (in->flags & IN_LEGACY)
        io.linear = (uint32_t)(cpu->seg[seg].base + offset);
    else
        io.linear = (seg >= SEG_FS ? cpu->seg[seg].base : 0) + offset;
    cpu->virt->io(cpu, &io);
}

/* RIP stays at the instruction while a REP form has more to do, so that a fault, an interrupt or a
 * breakpoint between elements finds a state to go on from. */
static void io_string(struct cpu *cpu, const struct insn *in, bool input)
{
    bool rep = in->flags & (IN_REP | IN_REPNE);
    unsigned size = io_size(in);
    uint64_t left = rep ? cpu->r[RCX] & in->addr_mask : 1;
    uint64_t this_rip = insn_rip(cpu, in), next_rip = insn_next_rip(cpu, in);

    cpu->rip = next_rip;
    if (left == 0)
        return;
    io_string_permit(cpu, in, input, rep);
    for (unsigned n = 0; n < IO_CHUNK && left > 0; n++) {
        io_string_one(cpu, in, input, size);
        left--;
        if (!rep)
            return;
        io_string_set(cpu, in, RCX, left);
        cpu_charge(cpu, insn_rows[in->id].cost);
        if (cpu->key & KEY_SINGLE || cpu->events)
            break;
    }
    cpu->rip = left > 0 ? this_rip : next_rip;
}

EXEC_BODY(ins)
{
    io_string(cpu, in, true);
}
EXEC_END(ins)

EXEC_BODY(outs)
{
    io_string(cpu, in, false);
}
EXEC_END(outs)
