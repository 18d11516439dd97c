/* Descriptor tables and questions about descriptors: LGDT LIDT SGDT SIDT LLDT SLDT LTR STR, LAR LSL
 * VERR VERW ARPL. [SDM 2A "LAR", "LGDT/LIDT", "LLDT", "LSL", "LTR"; SDM 2B "SGDT", ...]
 *
 * Order: privilege and UMIP, then the VM exit of descriptor-table exiting, then operands. */
#include "cpu/exec.h"

static void descriptor_privileged(struct cpu *cpu)
{
    if (cpu->cpl != 0)
        raise_gp(cpu, 0);
}

static void descriptor_umip(struct cpu *cpu)
{
    if (cpu->cr4 & CR4_UMIP && cpu->cpl != 0)
        raise_gp(cpu, 0);
}

static enum mem_form descriptor_form(const struct insn *in)
{
    return in->flags & IN_MEM ? MEM_ANY : MEM_NONE;
}

/* ---- GDTR and IDTR ---- */

/* limit and base: 10 bytes in 64-bit mode, else 6 */
static void table_store(struct cpu *cpu, const struct insn *in, const struct table_reg *t)
{
    unsigned size = cpu_64bit(cpu) ? 10 : 6;
    uint8_t bytes[10];

    memcpy(bytes, &t->limit, 2);
    memcpy(bytes + 2, &t->base, 8);
    mmu_store_bytes(&cpu->mmu, linear_write(cpu, in, size), bytes, size);
}

static void table_load(struct cpu *cpu, const struct insn *in, struct table_reg *t)
{
    bool mode64 = cpu_64bit(cpu);
    unsigned size = mode64 ? 10 : 6;
    uint8_t bytes[10] = { 0 };
    uint64_t base;

    mmu_load_bytes(&cpu->mmu, linear_read(cpu, in, size), bytes, size);
    memcpy(&base, bytes + 2, 8);
    if (mode64 && !is_canonical(base, CPU_LINEAR_BITS))
        raise_gp(cpu, 0);
    if (!mode64)
        base &= in->size == 1 ? 0xffffff : 0xffffffff; /* 24 bits with 16-bit operands */
    memcpy(&t->limit, bytes, 2);
    t->base = base;
}

#define TABLE_REGISTER(lower, upper)        \
    EXEC_BODY(s##lower)                     \
    {                                       \
        descriptor_umip(cpu);               \
        virt_check(cpu, VIRT_GDTR_IDTR, 0); \
        table_store(cpu, in, &cpu->upper);  \
    }                                       \
    EXEC(s##lower)                          \
    EXEC_BODY(l##lower)                     \
    {                                       \
        descriptor_privileged(cpu);         \
        virt_check(cpu, VIRT_GDTR_IDTR, 0); \
        table_load(cpu, in, &cpu->upper);   \
    }                                       \
    EXEC(l##lower)
TABLE_REGISTER(gdt, gdtr)
TABLE_REGISTER(idt, idtr)

/* ---- LDTR and TR ---- */

static void selector_store(struct cpu *cpu, const struct insn *in, unsigned seg)
{
    uint16_t selector = cpu->seg[seg].selector;

    descriptor_umip(cpu);
    virt_check(cpu, VIRT_LDTR_TR, 0);
    if (in->flags & IN_MEM)
        mem_write(cpu, in, selector, 2);
    else
        reg_write(cpu, in->rm, selector, 1u << in->size);
}

EXEC_BODY(sldt)
{
    selector_store(cpu, in, SEG_LDTR);
}
EXEC(sldt)

EXEC_BODY(str)
{
    selector_store(cpu, in, SEG_TR);
}
EXEC(str)

/* a system descriptor of the GDT with a canonical base */
static struct descriptor system_descriptor(struct cpu *cpu, uint16_t selector)
{
    struct descriptor d;

    if (selector & SELECTOR_TI)
        raise_gp(cpu, selector_error(selector));
    d = descriptor_read(cpu, selector, GP, true);
    if (!is_canonical(d.base, CPU_LINEAR_BITS))
        raise_gp(cpu, selector_error(selector));
    return d;
}

EXEC_BODY(lldt)
{
    uint16_t selector;
    struct descriptor d;

    descriptor_privileged(cpu);
    virt_check(cpu, VIRT_LDTR_TR, 0);
    selector = (uint16_t)rm_read(cpu, in, 2, descriptor_form(in));
    if (selector_null(selector)) {
        segment_set_null(cpu, SEG_LDTR, selector);
        return;
    }
    d = system_descriptor(cpu, selector);
    if ((d.ar & (AR_S | 15)) != 2)
        raise_gp(cpu, selector_error(selector));
    if (!(d.ar & AR_P))
        raise_np(cpu, selector_error(selector));
    segment_set(cpu, SEG_LDTR, selector, &d);
}
EXEC(lldt)

EXEC_BODY(ltr)
{
    uint16_t selector;
    struct descriptor d;
    bool available;

    descriptor_privileged(cpu);
    virt_check(cpu, VIRT_LDTR_TR, 0);
    selector = (uint16_t)rm_read(cpu, in, 2, descriptor_form(in));
    if (selector_null(selector))
        raise_gp(cpu, 0);
    d = system_descriptor(cpu, selector);
    available = !(d.ar & AR_S) && (ar_type(d.ar) == 9 || (ar_type(d.ar) == 1 && !cpu_long(cpu)));
    if (!available)
        raise_gp(cpu, selector_error(selector));
    if (!(d.ar & AR_P))
        raise_np(cpu, selector_error(selector));
    descriptor_set_type_bit(cpu, selector, 1, true);
    d.ar |= 2; /* busy */
    segment_set(cpu, SEG_TR, selector, &d);
}
EXEC(ltr)

/* ---- LAR, LSL, VERR, VERW, ARPL ---- */

enum { LAR_TYPES = 0x1a3e, LAR_TYPES_LONG = 0x1a04, LSL_TYPES = 0x0a0e, LSL_TYPES_LONG = 0x0a04 };

static void set_zf(struct cpu *cpu, bool zf)
{
    flags_change(&cpu->flags, RFLAGS_ZF, zf ? RFLAGS_ZF : 0);
}

static bool is_conforming(const struct descriptor *d)
{
    return (d->ar & (AR_S | AR_CODE | AR_CONFORMING)) == (AR_S | AR_CODE | AR_CONFORMING);
}

/* may the program see this descriptor? */
static bool descriptor_visible(struct cpu *cpu, uint16_t selector, struct descriptor *d)
{
    if (selector_null(selector) || !descriptor_probe(cpu, selector, d, true))
        return false;
    return is_conforming(d) ||
           (cpu->cpl <= ar_dpl(d->ar) && selector_rpl(selector) <= ar_dpl(d->ar));
}

static bool system_type_in(const struct descriptor *d, unsigned types)
{
    return d->ar & AR_S || types >> ar_type(d->ar) & 1;
}

EXEC_BODY(lar)
{
    uint16_t selector = (uint16_t)rm_read(cpu, in, 2, descriptor_form(in));
    unsigned types = cpu_long(cpu) ? LAR_TYPES_LONG : LAR_TYPES;
    struct descriptor d;
    bool good = descriptor_visible(cpu, selector, &d) && system_type_in(&d, types);

    if (good)
        reg_write(cpu, in->reg, d.low >> 32 & 0xf0ff00, 1u << in->size);
    set_zf(cpu, good);
}
EXEC(lar)

EXEC_BODY(lsl)
{
    uint16_t selector = (uint16_t)rm_read(cpu, in, 2, descriptor_form(in));
    unsigned types = cpu_long(cpu) ? LSL_TYPES_LONG : LSL_TYPES;
    struct descriptor d;
    bool good = descriptor_visible(cpu, selector, &d) && system_type_in(&d, types);

    if (good)
        reg_write(cpu, in->reg, d.limit, 1u << in->size);
    set_zf(cpu, good);
}
EXEC(lsl)

EXEC_BODY(verr)
{
    uint16_t selector = (uint16_t)rm_read(cpu, in, 2, descriptor_form(in));
    struct descriptor d;

    set_zf(cpu, descriptor_visible(cpu, selector, &d) && d.ar & AR_S &&
                    (!(d.ar & AR_CODE) || d.ar & AR_READ));
}
EXEC(verr)

EXEC_BODY(verw)
{
    uint16_t selector = (uint16_t)rm_read(cpu, in, 2, descriptor_form(in));
    struct descriptor d;

    set_zf(cpu, descriptor_visible(cpu, selector, &d) &&
                    (d.ar & (AR_S | AR_CODE | AR_WRITE)) == (AR_S | AR_WRITE));
}
EXEC(verw)

EXEC_BODY(arpl)
{
    enum mem_form mem = descriptor_form(in);
    struct rmw dst = rmw_begin(cpu, in, 2, mem);
    unsigned rpl = cpu->r[in->reg] & 3;
    bool raises = (dst.value & 3) < rpl;

    if (raises) {
        dst.value = (dst.value & ~UINT64_C(3)) | rpl;
        rmw_end(cpu, in, &dst, 2, mem);
    }
    set_zf(cpu, raises);
}
EXEC(arpl)
