/* For the fuzz tests: a small machine with every device, random numbers from a seed that is printed,
 * code that is random but often sensible, and processor modes set by hand. What these tests expect
 * is that nothing happens: no sanitizer speaks up, no ASSERT fails, each run ends in time.
 * NIDUS_FUZZ_SEED and NIDUS_FUZZ_ROUNDS override; a round depends on seed + round only. */
#pragma once
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/control_regs.h"
#include "cpu/insn.h"
#include "cpu/jit/jit.h"
#include "cpu/segment.h"
#include "machine/machine.h"

enum { FUZZ_RAM = 4 << 20, FUZZ_DISK = 64 << 10 };
enum {
    FUZZ_TABLES = 0x1000, /* four pages of page tables */
    FUZZ_GDT = 0x6000,
    FUZZ_IDT = 0x7000,
    FUZZ_CODE = 0x10000,
    FUZZ_CODE_SIZE = 0x4000,
    FUZZ_STACK = 0x30000,
};

enum fuzz_mode {
    FUZZ_REAL,
    FUZZ_VM86,
    FUZZ_PROTECTED16,
    FUZZ_PROTECTED32,
    FUZZ_PAGED32,
    FUZZ_PAE,
    FUZZ_LONG,
    FUZZ_USER32,
    FUZZ_USER64,
    FUZZ_COMPATIBILITY,
    FUZZ_MODES
};

struct fuzz {
    struct nidus *m;
    uint64_t random;
    uint8_t disk[FUZZ_DISK];
};

static inline unsigned long fuzz_environment(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);

    return text ? strtoul(text, NULL, 0) : otherwise;
}

/* ---- random numbers ---- */

static inline uint64_t fuzz_random(struct fuzz *f)
{
    uint64_t z = f->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static inline void fuzz_seed(struct fuzz *f, uint64_t seed)
{
    f->random = seed;
    f->random = fuzz_random(f); /* or neighbours would be the same sequence a step apart */
}

static inline uint64_t fuzz_below(struct fuzz *f, uint64_t n)
{
    return fuzz_random(f) % n;
}

/* often an edge */
static inline uint64_t fuzz_value(struct fuzz *f)
{
    uint64_t v = fuzz_random(f);

    switch (fuzz_below(f, 8)) {
    case 0: return 0;
    case 1: return ~UINT64_C(0) >> (v & 63);
    case 2: return UINT64_C(1) << (v & 63);
    case 3: return v & 0xff;
    case 4: return v & (FUZZ_RAM - 1);
    case 5: return v & 0xffffffff;
    case 6: return (uint64_t)((int64_t)v >> (v & 63));
    default: return v;
    }
}

/* ---- the machine ---- */

static inline enum nidus_block_result fuzz_disk_read(void *owner, uint64_t offset, uint8_t *bytes,
                                                     size_t count)
{
    memcpy(bytes, ((struct fuzz *)owner)->disk + offset, count);
    return NIDUS_BLOCK_OK;
}

static inline enum nidus_block_result fuzz_disk_write(void *owner, uint64_t offset,
                                                      const uint8_t *bytes, size_t count)
{
    memcpy(((struct fuzz *)owner)->disk + offset, bytes, count);
    return NIDUS_BLOCK_OK;
}

static inline enum nidus_block_result fuzz_disk_flush(void *owner)
{
    return NIDUS_BLOCK_OK;
}

static inline void fuzz_char_write(void *owner, const uint8_t *bytes, size_t count)
{
}

static inline struct fuzz *fuzz_new_on(unsigned cpus, enum nidus_accel accel)
{
    struct fuzz *f = calloc(1, sizeof *f);
    struct nidus_config config = { .ram = FUZZ_RAM, .cpus = cpus, .cpu = "max", .accel = accel };
    struct nidus_char out = { .owner = f, .write = fuzz_char_write };
    struct nidus_block disk = { .owner = f,
                                .size = FUZZ_DISK,
                                .read = fuzz_disk_read,
                                .write = fuzz_disk_write,
                                .flush = fuzz_disk_flush };
    char error[NIDUS_ERROR_SIZE];

    ck_assert_ptr_nonnull(f);
    f->m = nidus_create(&config, error);
    ck_assert_ptr_nonnull(f->m);
    ck_assert(nidus_add_char(f->m, "serial0", &out, error));
    ck_assert(nidus_add_char(f->m, "debugcon", &out, error));
    ck_assert(nidus_add_char(f->m, "virtio-console", &out, error));
    ck_assert(nidus_add_disk(f->m, &disk, error));
    ck_assert(nidus_add_device(f->m, "virtio-rng-pci", error));
    ck_assert(nidus_add_device(f->m, "isa-debug-exit,iobase=0xf4,iosize=4", error));
    ck_assert(nidus_add_device(f->m, "pc-testdev", error));
    return f;
}

static inline struct fuzz *fuzz_new(unsigned cpus)
{
    return fuzz_new_on(cpus, NIDUS_ACCEL_NATIVE);
}

static inline void fuzz_free(struct fuzz *f)
{
    nidus_destroy(f->m);
    free(f);
}

/* native code and the interpreter, that have been given the same */
static inline void fuzz_expect_same(const struct fuzz *a, const struct fuzz *b, uint64_t seed)
{
    bool same = nidus_compare(a->m, b->m, stderr);
    uint64_t at = nidus_compare_ram(a->m, b->m, 0, UINT64_MAX);

    ck_assert_msg(same && at == UINT64_MAX, "seed %ju: native code differs from the interpreter%s",
                  (uintmax_t)seed, at == UINT64_MAX ? "" : ", in RAM");
}

/* Has native code run so much of it, or is there none here? One of `part` instructions. */
static inline void fuzz_expect_native(const struct fuzz *f, unsigned part)
{
    const struct cpu *cpu = f->m->cpu[0];

    if (cpu->jit)
        ck_assert_uint_gt(cpu->insn_count - cpu->interpreted, cpu->insn_count / part);
}

static inline void fuzz_reset(struct fuzz *f)
{
    nidus_reset(f->m);
    f->m->ended = false;
    f->m->reset_wanted = false;
}

/* ---- code ---- */

/* A row's example, bent in one byte now and then, or anything. */
static inline void fuzz_code(struct fuzz *f, uint64_t pa, size_t size)
{
    uint8_t bytes[32];

    for (size_t at = 0; at + sizeof bytes < size;) {
        uint64_t kind = fuzz_below(f, 16);
        size_t count = 1 + fuzz_below(f, 4);

        if (kind < 12) {
            const struct insn_row *row = &insn_rows[1 + fuzz_below(f, INSN_COUNT - 1)];

            count = row->length;
            memcpy(bytes, row->code, count);
            if (kind < 4)
                bytes[fuzz_below(f, count)] = (uint8_t)fuzz_random(f);
            else if (kind < 6)
                bytes[count - 1] ^= (uint8_t)(1u << fuzz_below(f, 8));
        } else {
            for (size_t i = 0; i < count; i++)
                bytes[i] = (uint8_t)fuzz_random(f);
        }
        bus_write_bytes(f->m->bus, pa + at, bytes, count);
        at += count;
    }
}

/* ---- modes ---- */

static inline void fuzz_descriptors(struct fuzz *f)
{
    static const uint64_t gdt[16] = { 0,
                                      0x00cf9b000000ffff,
                                      0x00cf93000000ffff,
                                      0x00af9b000000ffff,
                                      0x00009b000000ffff,
                                      0x000093000000ffff,
                                      0x00cffb000000ffff,
                                      0x00cff3000000ffff,
                                      0x00affb000000ffff,
                                      0x00008b0080000067,
                                      0,
                                      0x0000ec0000080000,
                                      0x000085000048ffff };

    bus_write_bytes(f->m->bus, FUZZ_GDT, gdt, sizeof gdt);
    for (unsigned i = 0; i < 4; i++) /* and some of any kind */
        bus_write(f->m->bus, FUZZ_GDT + 8 * (12 + i), fuzz_random(f), 8);
}

static inline void fuzz_idt(struct fuzz *f, unsigned size)
{
    for (unsigned i = 0; i < 256; i++) {
        uint64_t to = FUZZ_CODE + fuzz_below(f, FUZZ_CODE_SIZE);
        uint64_t selector = size == 16 ? 0x18 : 8;

        if (size == 4) {
            bus_write(f->m->bus, 4 * i, to - FUZZ_CODE + 0x10000000, 4);
        } else {
            bus_write(f->m->bus, FUZZ_IDT + size * i,
                      (to & 0xffff) | selector << 16 | UINT64_C(0xee00) << 32 | (to >> 16) << 48,
                      8);
            if (size == 16)
                bus_write(f->m->bus, FUZZ_IDT + 16 * i + 8, 0, 8);
        }
    }
}

/* identity, with a bent entry now and then */
static inline void fuzz_page_tables(struct fuzz *f, enum fuzz_mode mode)
{
    struct bus *bus = f->m->bus;
    unsigned entry = mode == FUZZ_PAGED32 || mode == FUZZ_USER32 ? 4 : 8;
    uint64_t t = FUZZ_TABLES;

    for (unsigned i = 0; i < 0x1000; i += entry) {
        bus_write(bus, t + i, (t + 0x1000) | 7, entry);
        bus_write(bus, t + 0x1000 + i, (t + 0x2000) | 7, entry);
        bus_write(bus, t + 0x2000 + i, (uint64_t)(i / entry) << (entry == 4 ? 22 : 21) | 0xe7,
                  entry);
    }
    for (uint64_t n = fuzz_below(f, 4); n; n--)
        bus_write(bus, t + fuzz_below(f, 0x3000), fuzz_random(f), 1);
}

static inline void fuzz_segments(struct cpu *cpu, uint32_t ar, uint32_t code_ar, unsigned cs,
                                 unsigned ds)
{
    for (unsigned i = SEG_ES; i <= SEG_GS; i++) {
        cpu->seg[i] = (struct seg){ .limit = ar & AR_G ? UINT32_MAX : 0xffff,
                                    .ar = i == SEG_CS ? code_ar : ar,
                                    .selector = (uint16_t)(i == SEG_CS ? cs : ds) };
    }
    cpu->seg[SEG_TR] = (struct seg){ .limit = 0x67, .ar = 0x8b, .selector = 0x48, .base = 0x8000 };
}

static inline void fuzz_real_segments(struct cpu *cpu, uint32_t ar)
{
    fuzz_segments(cpu, ar, ar, 0, 0);
    cpu->seg[SEG_CS].selector = FUZZ_CODE >> 4;
    cpu->seg[SEG_CS].base = FUZZ_CODE;
}

static inline void fuzz_control_registers(struct cpu *cpu, enum fuzz_mode mode)
{
    bool user = mode == FUZZ_USER32 || mode == FUZZ_USER64 || mode == FUZZ_VM86;

    cpu->cr0 = CR0_ET | CR0_NE | (mode == FUZZ_REAL ? 0 : CR0_PE);
    cpu->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_VMXE;
    cpu->cpl = user ? 3 : 0;
    cpu->efer = EFER_NXE | EFER_SCE;
    if (mode < FUZZ_PAGED32)
        return;
    cpu->cr0 |= CR0_PG | CR0_WP;
    if (mode == FUZZ_PAGED32 || mode == FUZZ_USER32) {
        cpu->cr4 |= CR4_PSE;
        cpu->cr3 = FUZZ_TABLES + 0x2000;
        return;
    }
    cpu->cr4 |= CR4_PAE;
    cpu->cr3 = mode == FUZZ_PAE ? FUZZ_TABLES + 0x1000 : FUZZ_TABLES;
    if (mode != FUZZ_PAE)
        cpu->efer |= EFER_LME | EFER_LMA;
}

static inline void fuzz_enter(struct fuzz *f, struct cpu *cpu, enum fuzz_mode mode)
{
    cpu->rip = FUZZ_CODE;
    fuzz_control_registers(cpu, mode);
    switch (mode) {
    case FUZZ_REAL: fuzz_real_segments(cpu, 0x93); break;
    case FUZZ_VM86: fuzz_real_segments(cpu, 0xf3); break;
    case FUZZ_PROTECTED16: fuzz_segments(cpu, 0x93, 0x9b, 0x20, 0x28); break;
    case FUZZ_USER32: fuzz_segments(cpu, 0xc0f3, 0xc0fb, 0x33, 0x3b); break;
    case FUZZ_LONG: fuzz_segments(cpu, 0xc093, 0xa09b, 0x18, 0x10); break;
    case FUZZ_USER64: fuzz_segments(cpu, 0xc0f3, 0xa0fb, 0x43, 0x3b); break;
    default: fuzz_segments(cpu, 0xc093, 0xc09b, 8, 0x10); break;
    }
    if (mode == FUZZ_REAL || mode == FUZZ_VM86 || mode == FUZZ_PROTECTED16)
        cpu->rip = 0;
    if (mode == FUZZ_PROTECTED16)
        cpu->seg[SEG_CS].base = FUZZ_CODE;
    cpu->gdtr = (struct table_reg){ FUZZ_GDT, 0x7f };
    cpu->idtr = (struct table_reg){ mode == FUZZ_REAL ? 0 : FUZZ_IDT, 0xfff };
    for (unsigned i = 0; i < 16; i++)
        cpu->r[i] = fuzz_value(f);
    cpu->r[RSP] = FUZZ_STACK;
    cpu_set_rflags(cpu, (fuzz_random(f) & 0x200ed5) | RFLAGS_FIXED |
                            (mode == FUZZ_VM86 ? RFLAGS_VM : 0));
    cpu->activity = ACTIVE;
    fuzz_descriptors(f);
    fuzz_idt(f, cpu->efer & EFER_LMA ? 16 : mode == FUZZ_REAL ? 4 : 8);
    fuzz_page_tables(f, mode);
    cpu_settle(cpu);
}
