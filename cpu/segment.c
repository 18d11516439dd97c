/* Segment registers and descriptors: reading descriptors, the checks of loads, limits and rights of
 * accesses. [SDM 3A "Protected-Mode Memory Management", "Protection"] */
#include "cpu/segment.h"

#include "cpu/cpu.h"
#include "cpu/frame.h"

void seg_settle(struct seg *s)
{
    bool usable = !(s->ar & AR_UNUSABLE) && (s->ar & (AR_S | AR_P)) == (AR_S | AR_P);

    if (s->ar & AR_CODE) {
        s->readable = usable && s->ar & AR_READ;
        s->writable = false;
    } else {
        s->readable = usable && !(s->ar & AR_DOWN);
        s->writable = s->readable && s->ar & AR_WRITE;
    }
}

/* ---- accesses ---- */

bool segment_fits(const struct seg *s, uint64_t offset, unsigned size)
{
    uint64_t last = offset + size - 1;

    if (!(s->ar & AR_CODE) && s->ar & AR_DOWN)
        return offset > s->limit && last <= (s->ar & AR_DB ? UINT32_MAX : UINT16_MAX);
    return last <= s->limit;
}

void segment_check(struct cpu *cpu, unsigned seg, uint64_t offset, unsigned size, bool write)
{
    const struct seg *s = &cpu->seg[seg];
    bool allowed;

    if (!cpu_protected(cpu)) /* rights do not matter: CS may still be that of protected mode */
        allowed = true;
    else if (s->ar & AR_UNUSABLE)
        allowed = false;
    else if (s->ar & AR_CODE)
        allowed = !write && s->ar & AR_READ;
    else
        allowed = !write || s->ar & AR_WRITE;
    if (allowed && segment_fits(s, offset, size))
        return;
    cpu_raise_error(cpu, seg == SEG_SS ? SS : GP, 0);
}

/* ---- descriptors ---- */

static struct descriptor descriptor_parse(uint64_t low, uint64_t high)
{
    struct descriptor d = { .low = low, .high = high };

    d.base = bits(low, 39, 16) | bits(low, 63, 56) << 24 | (high & UINT32_MAX) << 32;
    d.limit = (uint32_t)(bits(low, 15, 0) | bits(low, 51, 48) << 16);
    d.ar = (uint32_t)(bits(low, 47, 40) | bits(low, 55, 52) << 12);
    if (d.ar & AR_G)
        d.limit = d.limit << 12 | 0xfff;
    return d;
}

/* the descriptor table that holds the last of `bytes` bytes at the selector's index; false: beyond */
static bool descriptor_address(const struct cpu *cpu, uint16_t selector, unsigned bytes,
                               uint64_t *linear)
{
    uint64_t offset = selector & 0xfff8;

    if (selector & SELECTOR_TI) {
        const struct seg *ldt = &cpu->seg[SEG_LDTR];

        *linear = ldt->base + offset;
        return !(ldt->ar & AR_UNUSABLE) && offset + bytes - 1 <= ldt->limit;
    }
    *linear = cpu->gdtr.base + offset;
    return offset + bytes - 1 <= cpu->gdtr.limit;
}

bool descriptor_probe(struct cpu *cpu, uint16_t selector, struct descriptor *d, bool system)
{
    uint64_t linear, low, high = 0;

    if (!descriptor_address(cpu, selector, 8, &linear))
        return false;
    low = mmu_load_system(&cpu->mmu, linear, 8);
    if (system && cpu_long(cpu) && !bit(low, 44)) {
        if (!descriptor_address(cpu, selector, 16, &linear))
            return false;
        high = mmu_load_system(&cpu->mmu, linear + 8, 8);
        if (bits(high, 44, 40) != 0) /* where the type of another descriptor would be */
            return false;
    }
    *d = descriptor_parse(low, high);
    return true;
}

struct descriptor descriptor_read(struct cpu *cpu, uint16_t selector, unsigned vector, bool system)
{
    struct descriptor d;

    if (!descriptor_probe(cpu, selector, &d, system))
        cpu_raise_error(cpu, vector, selector_error(selector));
    return d;
}

void descriptor_set_type_bit(struct cpu *cpu, uint16_t selector, unsigned n, bool value)
{
    uint64_t linear;
    uint8_t type, now;

    descriptor_address(cpu, selector, 8, &linear);
    type = (uint8_t)mmu_load_system(&cpu->mmu, linear + 5, 1);
    now = value ? type | 1u << n : type & ~(1u << n);
    if (now != type)
        mmu_store_system(&cpu->mmu, linear + 5, now, 1);
}

void segment_prepare(struct cpu *cpu, uint16_t selector, struct descriptor *d)
{
    if (!(d->ar & AR_ACCESSED))
        descriptor_set_type_bit(cpu, selector, 0, true);
    d->ar |= AR_ACCESSED;
}

/* ---- loads ---- */

void segment_set(struct cpu *cpu, unsigned seg, uint16_t selector, const struct descriptor *d)
{
    struct seg *s = &cpu->seg[seg];

    s->selector = selector;
    s->base = d->base;
    s->limit = d->limit;
    s->ar = d->ar;
    seg_settle(s);
    if (seg == SEG_SS)
        cpu_update_key(cpu); /* stack size */
}

void segment_set_null(struct cpu *cpu, unsigned seg, uint16_t selector)
{
    uint32_t dpl = seg == SEG_SS ? (uint32_t)cpu->cpl << 5 : 0;

    segment_set(cpu, seg, selector, &(struct descriptor){ .ar = AR_UNUSABLE | dpl });
}

void segment_load_real(struct cpu *cpu, unsigned seg, uint16_t selector)
{
    struct seg *s = &cpu->seg[seg];

    s->selector = selector;
    s->base = (uint64_t)selector << 4;
    if (cpu_vm86(cpu) && cpu_protected(cpu)) {
        s->limit = 0xffff;
        s->ar = AR_P | AR_S | 3 << 5 | AR_WRITE | AR_ACCESSED;
    } else {
        /* limit and size stay those of protected mode ("unreal mode") */
        if (s->ar & AR_UNUSABLE)
            s->limit = 0xffff;
        s->ar = (s->ar & (AR_DB | AR_G)) | AR_P | AR_S | AR_WRITE | AR_ACCESSED;
    }
    seg_settle(s);
}

static void segment_check_stack(struct cpu *cpu, uint16_t selector, unsigned cpl, unsigned vector,
                                const struct descriptor *d)
{
    bool writable_data = (d->ar & (AR_S | AR_CODE | AR_WRITE)) == (AR_S | AR_WRITE);

    if (selector_rpl(selector) != cpl || !writable_data || ar_dpl(d->ar) != cpl)
        cpu_raise_error(cpu, vector, selector_error(selector));
    if (!(d->ar & AR_P))
        raise_ss(cpu, selector_error(selector));
}

struct descriptor segment_read_stack(struct cpu *cpu, uint16_t selector, unsigned cpl,
                                     unsigned vector)
{
    struct descriptor d;

    if (selector_null(selector))
        cpu_raise_error(cpu, vector, 0);
    d = descriptor_read(cpu, selector, vector, false);
    segment_check_stack(cpu, selector, cpl, vector, &d);
    return d;
}

static void segment_load_ss(struct cpu *cpu, uint16_t selector)
{
    struct descriptor d;

    if (selector_null(selector) && cpu_64bit(cpu) && cpu->cpl < 3 &&
        selector_rpl(selector) == cpu->cpl) {
        segment_set_null(cpu, SEG_SS, selector);
        return;
    }
    d = segment_read_stack(cpu, selector, cpu->cpl, GP);
    segment_prepare(cpu, selector, &d);
    segment_set(cpu, SEG_SS, selector, &d);
}

struct descriptor segment_read_data(struct cpu *cpu, uint16_t selector, unsigned cpl,
                                    unsigned vector)
{
    struct descriptor d = descriptor_read(cpu, selector, vector, false);
    bool readable = d.ar & AR_S && (!(d.ar & AR_CODE) || d.ar & AR_READ);
    bool conforming = (d.ar & (AR_CODE | AR_CONFORMING)) == (AR_CODE | AR_CONFORMING);

    if (!readable || (!conforming && (selector_rpl(selector) > ar_dpl(d.ar) || cpl > ar_dpl(d.ar))))
        cpu_raise_error(cpu, vector, selector_error(selector));
    if (!(d.ar & AR_P))
        raise_np(cpu, selector_error(selector));
    return d;
}

void segment_load(struct cpu *cpu, unsigned seg, uint16_t selector)
{
    struct descriptor d;

    if (cpu_real(cpu)) {
        segment_load_real(cpu, seg, selector);
        return;
    }
    if (seg == SEG_SS) {
        segment_load_ss(cpu, selector);
        return;
    }
    if (selector_null(selector)) {
        segment_set_null(cpu, seg, selector);
        return;
    }
    d = segment_read_data(cpu, selector, cpu->cpl, GP);
    segment_prepare(cpu, selector, &d);
    segment_set(cpu, seg, selector, &d);
}

/* ---- code segments and changes of privilege ---- */

bool code_is_64bit(const struct cpu *cpu, const struct descriptor *d)
{
    return cpu_long(cpu) && d->ar & AR_L;
}

void code_check(struct cpu *cpu, uint16_t selector, const struct descriptor *d)
{
    bool both = cpu_long(cpu) && (d->ar & (AR_L | AR_DB)) == (AR_L | AR_DB);

    if ((d->ar & (AR_S | AR_CODE)) != (AR_S | AR_CODE) || both)
        raise_gp(cpu, selector_error(selector));
}

void code_check_target(struct cpu *cpu, const struct descriptor *d, uint64_t rip)
{
    bool good = code_is_64bit(cpu, d) ? is_canonical(rip, CPU_LINEAR_BITS) : rip <= d->limit;

    if (!good)
        raise_gp(cpu, 0);
}

void segment_set_code(struct cpu *cpu, uint16_t selector, const struct descriptor *d, unsigned cpl)
{
    segment_set(cpu, SEG_CS, (uint16_t)((selector & ~3u) | cpl), d);
    cpu->cpl = (uint8_t)cpl;
    cpu_update_key(cpu);
}

void outer_stack_read(struct cpu *cpu, struct outer_stack *s, unsigned cpl,
                      const struct descriptor *code)
{
    s->null = selector_null(s->selector) && code_is_64bit(cpu, code) && cpl < 3 &&
              selector_rpl(s->selector) == cpl;
    if (!s->null)
        s->d = segment_read_stack(cpu, s->selector, cpl, GP);
}

void outer_stack_prepare(struct cpu *cpu, struct outer_stack *s)
{
    if (!s->null)
        segment_prepare(cpu, s->selector, &s->d);
}

void outer_stack_set(struct cpu *cpu, const struct outer_stack *s)
{
    if (s->null)
        segment_set_null(cpu, SEG_SS, s->selector);
    else
        segment_set(cpu, SEG_SS, s->selector, &s->d);
    rsp_set(cpu, s->rsp);
}

/* The selector becomes null and the segment unusable. Processors of Intel leave the base, and with it
 * what 64-bit mode sees of FS and GS. [SDM 2B "RET": RETURN-TO-OUTER-PRIVILEGE-LEVEL] */
void segment_drop_privileged(struct cpu *cpu)
{
    static const uint8_t data[] = { SEG_ES, SEG_FS, SEG_GS, SEG_DS };

    for (unsigned i = 0; i < sizeof data; i++) {
        const struct seg *s = &cpu->seg[data[i]];
        bool conforming = (s->ar & (AR_CODE | AR_CONFORMING)) == (AR_CODE | AR_CONFORMING);
        uint64_t base = s->base;

        if ((s->ar & AR_UNUSABLE) || ar_dpl(s->ar) >= cpu->cpl || conforming)
            continue;
        segment_set_null(cpu, data[i], 0);
        cpu->seg[data[i]].base = base;
    }
}

void cpu_set_cpl(struct cpu *cpu, unsigned cpl)
{
    struct seg *ss = &cpu->seg[SEG_SS];

    cpu->cpl = (uint8_t)cpl;
    ss->ar = (ss->ar & ~(UINT32_C(3) << 5)) | (uint32_t)cpl << 5;
    cpu_update_key(cpu);
}
