/* Debug registers: MOV DR, code, data and I/O breakpoints.
 * [SDM 3B "Debug, Branch Profile, TSC, and Intel Resource Director Technology Features"]
 *
 * What a breakpoint needs costs nothing while none is enabled: any of DR7's enable bits makes blocks
 * of one instruction (cpu_update_key), whose boundaries look for code breakpoints and for traps; a
 * data breakpoint also makes the MMU call debug_watch for every access (mmu_set_watch). */
#include "cpu/exec.h"
#include "cpu/interrupt.h"

enum { BREAK_EXECUTE = 0, BREAK_WRITE = 1, BREAK_IO = 2, BREAK_READ_WRITE = 3 };

static bool debug_enabled(const struct cpu *cpu, unsigned n)
{
    return bits(cpu->dr[7], 2 * n + 1, 2 * n) != 0; /* Ln, Gn */
}
static unsigned debug_kind(const struct cpu *cpu, unsigned n)
{
    return (unsigned)bits(cpu->dr[7], 17 + 4 * n, 16 + 4 * n); /* R/Wn */
}
static unsigned debug_length(const struct cpu *cpu, unsigned n)
{
    static const uint8_t lengths[4] = { 1, 2, 8, 4 }; /* LENn */

    return lengths[bits(cpu->dr[7], 19 + 4 * n, 18 + 4 * n)];
}

/* DR6 bits of the breakpoints of the kinds in `kinds` (bits) that [at, at + size) touches. All
 * matching ones count, enabled or not, once one is enabled. */
static uint64_t debug_match(const struct cpu *cpu, uint64_t at, unsigned size, unsigned kinds)
{
    uint64_t hits = 0;
    bool any = false;

    for (unsigned n = 0; n < 4; n++) {
        unsigned length = debug_length(cpu, n);
        uint64_t start = cpu->dr[n] & ~(uint64_t)(length - 1);

        if (!(kinds >> debug_kind(cpu, n) & 1) || at + size <= start || at >= start + length)
            continue;
        hits |= BIT(n);
        any |= debug_enabled(cpu, n);
    }
    return any ? hits : 0;
}

uint64_t debug_code_breakpoints(const struct cpu *cpu, uint64_t linear)
{
    uint64_t hits = 0;
    bool any = false;

    if (!cpu_64bit(cpu))
        linear = (uint32_t)linear;
    for (unsigned n = 0; n < 4; n++) {
        if (debug_kind(cpu, n) != BREAK_EXECUTE || cpu->dr[n] != linear)
            continue;
        hits |= BIT(n);
        any |= debug_enabled(cpu, n);
    }
    return any ? hits : 0;
}

static void debug_pend(struct cpu *cpu, uint64_t hits)
{
    if (!hits)
        return;
    cpu->pending_dbg |= hits;
    cpu_raise_event(cpu, EVENT_DEBUG_TRAP);
}

void debug_data_access(struct cpu *cpu, uint64_t linear, unsigned size, bool write)
{
    unsigned kinds = 1u << BREAK_READ_WRITE | (write ? 1u << BREAK_WRITE : 0);

    debug_pend(cpu, debug_match(cpu, linear, size, kinds));
}

void debug_io_access(struct cpu *cpu, uint16_t port, unsigned size)
{
    if (cpu->cr4 & CR4_DE && cpu->dr[7] & 0xff)
        debug_pend(cpu, debug_match(cpu, port, size, 1u << BREAK_IO));
}

static void debug_watch(void *owner, uint64_t linear, size_t size, bool write)
{
    debug_data_access(owner, linear, (unsigned)size, write);
}

void debug_registers_changed(struct cpu *cpu)
{
    bool data = false;

    for (unsigned n = 0; n < 4; n++)
        data |= debug_enabled(cpu, n) && debug_kind(cpu, n) & BREAK_WRITE; /* 1 and 3 */
    mmu_set_watch(&cpu->mmu, data ? debug_watch : NULL);
    cpu_update_key(cpu);
}

/* ---- MOV to and from debug registers ---- */

/* DR4 and DR5 are names for DR6 and DR7 unless CR4.DE says otherwise; then GD guards all. */
static unsigned debug_register(struct cpu *cpu, const struct insn *in)
{
    unsigned n = in->reg;

    if (n > 7 || ((n == 4 || n == 5) && cpu->cr4 & CR4_DE))
        raise_ud(cpu);
    if (cpu->cpl != 0)
        raise_gp(cpu, 0);
    virt_check(cpu, VIRT_MOV_DR, 0);
    if (cpu->dr[7] & DR7_GD)
        cpu_raise_event_struct(
            cpu, &(struct event){ .vector = DB, .type = EVENT_TYPE_HARDWARE, .payload = DR6_BD });
    return n == 4 || n == 5 ? n + 2 : n;
}

EXEC_BODY(mov_R_D)
{
    unsigned n = debug_register(cpu, in);

    reg_write(cpu, in->rm, cpu->dr[n], cpu_64bit(cpu) ? 8 : 4);
    cpu->rip = insn_next_rip(cpu, in);
}
EXEC_END(mov_R_D)

EXEC_BODY(mov_D_R)
{
    unsigned n = debug_register(cpu, in);
    uint64_t value = reg_read(cpu, in->rm, cpu_64bit(cpu) ? 8 : 4);

    if (n >= 6 && value >> 32 != 0)
        raise_gp(cpu, 0);
    if (n == 6)
        value = (value & DR6_WRITABLE) | DR6_FIXED_1;
    else if (n == 7)
        value = (value & DR7_WRITABLE) | DR7_FIXED_1;
    cpu->dr[n] = value;
    debug_registers_changed(cpu);
    cpu->rip = insn_next_rip(cpu, in);
}
EXEC_END(mov_D_R)
