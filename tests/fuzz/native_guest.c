/* The machine that a stream runs in: descriptors, page tables, the kernel, the processor's state. */
#include "tests/fuzz/native_guest.h"

#include <check.h>
#include <string.h>

#include "cpu/control_regs.h"
#include "cpu/segment.h"
#include "machine/machine.h"
#include "tests/fuzz/native_machine.h"

extern const uint8_t native_guest[], native_guest_end[];

enum { INIT, STUBS, TIMER, ROUND, TO_KERNEL, TO_USER, TO_COMPATIBILITY, SYSTEM_CALL };

static uint64_t entry_point(unsigned n)
{
    uint32_t offset;

    memcpy(&offset, native_guest + 4 * n, 4);
    return NG_KERNEL + offset;
}

/* ---- paging ---- */

struct tables {
    struct bus *bus;
    uint64_t free; /* next page for a table */
};

/* the physical address of the entry for linear, on `level` (1: 4-KiB pages) */
static uint64_t entry_for(struct tables *t, uint64_t table, uint64_t linear, unsigned level)
{
    for (unsigned l = 4;; l--) {
        uint64_t at = table + 8 * (linear >> (12 + 9 * (l - 1)) & 511), entry;

        if (l == level)
            return at;
        entry = bus_read(t->bus, at, 8);
        if (!entry) {
            entry = t->free | 7;
            t->free += PAGE_SIZE;
            ck_assert_uint_le(t->free, NG_TABLES_END);
            bus_write(t->bus, at, entry, 8);
        }
        table = entry & ~UINT64_C(0xfff);
    }
}

/* The entries of a row of pages, and their copies in the template; where they are is noted for the
 * kernel's restoring, and for the stream. */
static void map_pages(struct tables *t, const uint64_t *entries, uint64_t table, uint64_t linear,
                      unsigned count, unsigned copy, uint64_t *template)
{
    uint64_t first = entry_for(t, table, linear, 1);

    bus_write(t->bus, NG_COPIES + 16 * copy, first, 8);
    bus_write(t->bus, NG_COPIES + 16 * copy + 8, count, 8);
    for (unsigned i = 0; i < count; i++) {
        bus_write(t->bus, first + 8 * i, entries[i], 8);
        bus_write(t->bus, *template, entries[i], 8);
        *template += 8;
    }
}

static void make_tables(struct bus *bus, const struct stream *s)
{
    struct tables t = { .bus = bus, .free = NG_TABLES + 2 * PAGE_SIZE };
    uint64_t template = NG_TEMPLATE;

    for (unsigned c = 0; c < 2; c++) {
        uint64_t top = NG_TABLES + c * PAGE_SIZE;

        for (uint64_t at = 0; at < 4 << 20; at += 2 << 20)
            bus_write(bus, entry_for(&t, top, at, 2), at | 0x83, 8);
        bus_write(bus, entry_for(&t, top, NG_APIC, 2), (NG_APIC & ~UINT64_C(0x1fffff)) | 0x9b, 8);
        bus_write(bus, entry_for(&t, top, NG_USER, 1), NG_USER_PA | 7, 8);
        map_pages(&t, s->page[c], top, NG_DATA, NG_DATA_PAGES, c, &template);
        bus_write(bus, NG_DATA_PT + 8 * c, entry_for(&t, top, NG_DATA, 1), 8);
    }
    for (unsigned c = 0; c < 2; c++) {
        uint64_t top = NG_TABLES + c * PAGE_SIZE;

        map_pages(&t, s->code_page[c], top, s->code, NG_CODE_PAGES, 2 + c, &template);
        bus_write(bus, NG_CODE_PT + 8 * c, entry_for(&t, top, s->code, 1), 8);
    }
}

/* ---- descriptors ---- */

static void make_gate(struct bus *bus, unsigned vector, uint64_t to, unsigned dpl)
{
    uint64_t low = (to & 0xffff) | NG_KERNEL_CODE << 16 | UINT64_C(1) << 32 /* IST 1 */ |
                   UINT64_C(0x8e00) << 32 | (uint64_t)dpl << 45 | (to >> 16) << 48;

    bus_write(bus, NG_IDT + 16 * vector, low, 8);
    bus_write(bus, NG_IDT + 16 * vector + 8, 0, 8);
}

static void make_descriptors(struct bus *bus)
{
    static const uint64_t gdt[] = { 0,
                                    0x00cf9b000000ffff,
                                    0x00cf93000000ffff, /* 10 */
                                    0x00af9b000000ffff,
                                    0x00cf93000000ffff, /* 20: SS behind SYSCALL's CS */
                                    0,
                                    0x00cffb000000ffff, /* 30 */
                                    0x00cff3000000ffff,
                                    0x00affb000000ffff, /* 40 */
                                    0x00008b0000000067 | NG_TSS << 16,
                                    0 };
    unsigned change = NG_END_VECTOR + 1;

    bus_write_bytes(bus, NG_GDT, gdt, sizeof gdt);
    bus_write(bus, NG_TSS + 4, NG_STACK, 8);
    bus_write(bus, NG_TSS + 0x24, NG_STACK, 8);
    bus_write(bus, NG_TSS + 0x66, 0x68, 2); /* no I/O bitmap */
    for (unsigned i = 0; i < 32; i++)
        make_gate(bus, i, entry_point(STUBS) + 16 * i, i == 3 || i == 4 ? 3 : 0);
    make_gate(bus, NG_TIMER_VECTOR, entry_point(TIMER), 0);
    make_gate(bus, NG_END_VECTOR, entry_point(ROUND), 3);
    for (unsigned i = 0; i < 3; i++)
        make_gate(bus, change + i, entry_point(TO_KERNEL + i), 3);
}

/* ---- memory ---- */

static void fill(struct bus *bus, struct random *r, uint64_t from, uint64_t to)
{
    for (uint64_t at = from; at < to; at += 8)
        bus_write(bus, at, random_value(r), 8);
}

/* What FNINIT and reset leave, XMM registers with numbers of all kinds. The x87 ones are numbers, if they
 * are not for a stream of x87 instructions. */
static void make_fx(struct bus *bus, struct random *r, bool x87)
{
    bus_write(bus, NG_FX, 0x37f, 2);
    bus_write(bus, NG_FX + 24, 0x1f80, 4);
    bus_write(bus, NG_FX + 4, x87 ? random_u64(r) & random_u64(r) & 0xff : 0xff, 1);
    for (unsigned i = 0; i < 8; i++) {
        bus_write(bus, NG_FX + 32 + 16 * i, random_u64(r) | BIT(63), 8);
        bus_write(bus, NG_FX + 40 + 16 * i, 0x3fff + random_below(r, 40) - 20, 2);
        if (x87 && random_one_in(r, 2)) {
            bus_write(bus, NG_FX + 32 + 16 * i, random_value(r), 8);
            bus_write(bus, NG_FX + 40 + 16 * i, random_one_in(r, 2) ? 0 : 0x7fff, 2);
        }
    }
    for (unsigned i = 0; i < 32; i++) {
        double d = (double)(int64_t)random_u64(r) / 65536;
        uint64_t v;

        memcpy(&v, &d, 8);
        bus_write(bus, NG_FX + 160 + 8 * i, random_one_in(r, 2) ? v : random_u64(r), 8);
    }
}

static void make_memory(struct bus *bus, const struct stream *s)
{
    struct random r = { .state = s->seed };

    bus_write_bytes(bus, NG_KERNEL, native_guest, (size_t)(native_guest_end - native_guest));
    fill(bus, &r, NG_DATA_PA, NG_DATA_PA + (NG_DATA_PAGES << PAGE_SHIFT));
    make_fx(bus, &r, s->x87);
    bus_write_bytes(bus, NG_CODE_PA, s->image, sizeof s->image);
    bus_write_bytes(bus, NG_OTHER_PA, s->other, sizeof s->other);
    bus_write_bytes(bus, NG_PRISTINE, s->image, sizeof s->image);
    bus_write_bytes(bus, NG_RESUME, s->resume, sizeof s->resume);
    bus_write_bytes(bus, NG_SEEDS, s->record, s->rounds * sizeof s->record[0]);
    bus_write(bus, NG_ROUNDS, s->rounds, 4);
    bus_write(bus, NG_PERIOD, s->period, 4);
    bus_write(bus, NG_RESTORE, s->restore, 4);
    bus_write(bus, NG_NEXT, NG_SEEDS, 8);
    bus_write(bus, NG_CODE_AT, s->code, 8);
    bus_write(bus, NG_CONTEXT_B, s->cr3[1] & ~BIT(63), 8);
    bus_write(bus, NG_CR4, s->cr4, 8);
}

/* ---- the processor ---- */

static void make_processor(struct cpu *cpu, const struct stream *s)
{
    for (unsigned i = SEG_ES; i <= SEG_GS; i++)
        cpu->seg[i] = (struct seg){ .limit = UINT32_MAX,
                                    .ar = i == SEG_CS ? 0xa09b : 0xc093,
                                    .selector = i == SEG_CS ? NG_KERNEL_CODE : NG_KERNEL_DATA };
    cpu->seg[SEG_TR] = (struct seg){
        .limit = 0x67, .ar = 0x8b, .selector = NG_TSS_SEL, .base = NG_TSS
    };
    cpu->gdtr = (struct table_reg){ NG_GDT, 0x57 };
    cpu->idtr = (struct table_reg){ NG_IDT, 0xfff };
    cpu->cr0 = s->cr0;
    cpu->cr4 = s->cr4;
    cpu->cr3 = s->cr3[0] & ~BIT(63);
    cpu->efer = EFER_NXE | EFER_SCE | EFER_LME | EFER_LMA;
    cpu->xcr0 = 3;
    cpu->cpl = 0;
    cpu->msr.star = UINT64_C(0x33) << 48 | (uint64_t)NG_KERNEL_CODE << 32;
    cpu->msr.lstar = entry_point(SYSTEM_CALL);
    cpu->msr.fmask = RFLAGS_TF | RFLAGS_AC | RFLAGS_DF;
    cpu->rip = entry_point(INIT);
    cpu->r[RSP] = NG_STACK;
    cpu_set_rflags(cpu, RFLAGS_FIXED);
    cpu_settle(cpu);
}

struct nidus *native_machine(const struct stream *s, bool reference, char *error)
{
    struct nidus_config config = { .ram = 4 << 20,
                                   .cpus = 1,
                                   .cpu = "max",
                                   .code_cache = (uint64_t)s->cache << 20,
                                   .accel = reference ? NIDUS_ACCEL_INTERP : NIDUS_ACCEL_NATIVE };
    struct nidus *m = nidus_create(&config, error);

    if (!m || !nidus_add_device(m, "isa-debug-exit,iobase=0xf4,iosize=4", error))
        return NULL;
    nidus_reset(m);
    make_descriptors(m->bus);
    make_memory(m->bus, s);
    make_tables(m->bus, s);
    make_processor(m->cpu[0], s);
    return m;
}
