/* A bus with RAM and an MMU on it, for the tests of mmu/: page tables by hand, faults caught. */
#pragma once
#include <check.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "mmu/mmu.h"

#define MIB UINT64_C(0x100000)
#define GIB UINT64_C(0x40000000)

/* page-table entry bits, by the manual's letters */
enum { P = 1, RW = 2, US = 4, A = 32, D = 64, PS = 128, G = 256 };
#define XD BIT(63)

/* control register bits */
#define CR0_PROTECTED 0x1u
#define CR0_WRITE_PROTECT 0x10000u
#define CR0_PAGING BIT(31)
#define CR4_PSE_BIT 0x10u
#define CR4_PAE_BIT 0x20u
#define CR4_PGE_BIT 0x80u
#define CR4_LA57_BIT 0x1000u
#define CR4_PCIDE_BIT 0x20000u
#define CR4_SMEP_BIT 0x100000u
#define CR4_SMAP_BIT 0x200000u
#define EFER_LMA_BIT 0x400u
#define EFER_NXE_BIT 0x800u

/* where the tables of lab_map_4k are */
#define ROOT 0x10000u

struct lab {
    struct bus *bus;
    struct mmu mmu;
    struct mmu_fault fault;
    jmp_buf unwind;
    bool fault_expected;
    uint64_t next_table;
};

__attribute__((noreturn)) static inline void lab_fault(void *owner, const struct mmu_fault *f)
{
    struct lab *lab = owner;

    lab->fault = *f;
    if (!lab->fault_expected)
        ck_abort_msg("fault of kind %d, linear %#lx, error code %#x", f->kind,
                     (unsigned long)f->linear, f->error_code);
    longjmp(lab->unwind, 1);
}

/* 8 MiB of RAM at 0 and 1 MiB at 4 GiB; paging off */
static inline struct lab *lab_new(void)
{
    struct lab *lab = calloc(1, sizeof *lab);
    struct err e;

    ck_assert_ptr_nonnull(lab);
    lab->bus = bus_create();
    ck_assert(bus_add_ram(lab->bus, 9 * MIB, 8 * MIB, &e));
    mmu_init(&lab->mmu, lab->bus, 46);
    lab->mmu.owner = lab;
    lab->mmu.fault = lab_fault;
    lab->next_table = ROOT + 0x1000;
    return lab;
}

static inline void lab_free(struct lab *lab)
{
    mmu_destroy(&lab->mmu);
    bus_destroy(lab->bus);
    free(lab);
}

/* 4-level paging with all of WP, PGE, NXE */
static inline struct lab *lab_4_level(void)
{
    struct lab *lab = lab_new();

    lab->mmu.paging = (struct paging){
        .cr0 = CR0_PROTECTED | CR0_WRITE_PROTECT | CR0_PAGING,
        .cr3 = ROOT,
        .cr4 = CR4_PAE_BIT | CR4_PGE_BIT,
        .efer = EFER_LMA_BIT | EFER_NXE_BIT,
    };
    mmu_switch(&lab->mmu);
    return lab;
}

/* physical address of the entry at `shift` for linear in 4-level tables, making tables (P, RW, US)
 * on the way */
static inline uint64_t lab_entry(struct lab *lab, uint64_t linear, unsigned shift)
{
    uint64_t table = lab->mmu.paging.cr3 & BITS(45, 12);

    for (unsigned at = 39;; at -= 9) {
        uint64_t pa = table + (linear >> at & 511) * 8;
        uint64_t e;

        if (at == shift)
            return pa;
        e = bus_read(lab->bus, pa, 8);
        if (!(e & P)) {
            e = lab->next_table | P | RW | US;
            lab->next_table += 0x1000;
            bus_write(lab->bus, pa, e, 8);
        }
        table = e & BITS(45, 12);
    }
}

/* map a page whose leaf is at `shift` (12, 21, 30): `entry` is the whole leaf; returns its pa */
static inline uint64_t lab_map(struct lab *lab, uint64_t linear, unsigned shift, uint64_t entry)
{
    uint64_t pa = lab_entry(lab, linear, shift);

    bus_write(lab->bus, pa, entry, 8);
    return pa;
}

static inline uint64_t lab_read(struct lab *lab, uint64_t pa)
{
    return bus_read(lab->bus, pa, 8);
}

/* run a statement that must fault; lab->fault then says how */
#define LAB_FAULTS(lab, statement)                           \
    do {                                                     \
        (lab)->fault_expected = true;                        \
        if (setjmp((lab)->unwind) == 0) {                    \
            statement;                                       \
            ck_abort_msg("%s", #statement " did not fault"); \
        }                                                    \
        (lab)->fault_expected = false;                       \
    } while (0)

#define EXPECT_PF(lab, statement, code)                   \
    do {                                                  \
        LAB_FAULTS(lab, statement);                       \
        ck_assert_int_eq((lab)->fault.kind, FAULT_PAGE);  \
        ck_assert_uint_eq((lab)->fault.error_code, code); \
    } while (0)

/* ---- stale translations ---- */

#define LINEAR UINT64_C(0x00007f1234567000)

/* Two pages of values: a translation that is still cached reads OLD, a fresh walk reads NEW. */
enum { OLD_PAGE = 0x5000, NEW_PAGE = 0x6000, OLD = 0x01d, NEW = 0x2e3 };

static inline struct lab *lab_cached(void)
{
    struct lab *lab = lab_4_level();

    lab->mmu.paging.cr4 |= CR4_PCIDE_BIT;
    mmu_switch(&lab->mmu);
    bus_write(lab->bus, OLD_PAGE, OLD, 8);
    bus_write(lab->bus, NEW_PAGE, NEW, 8);
    return lab;
}

static inline void go(struct lab *lab, uint16_t vpid, uint16_t pcid)
{
    lab->mmu.paging.vpid = vpid;
    lab->mmu.paging.cr3 = ROOT | pcid;
    mmu_switch(&lab->mmu);
}

/* map, cache, then change the tables behind the TLB's back */
static inline void cache(struct lab *lab, uint64_t linear, uint64_t global)
{
    lab_map(lab, linear, 12, OLD_PAGE | P | RW | global);
    ck_assert_uint_eq(mmu_load(&lab->mmu, linear, 8), OLD);
}

static inline void change(struct lab *lab, uint64_t linear, uint64_t global)
{
    lab_map(lab, linear, 12, NEW_PAGE | P | RW | global);
}

#define EXPECT_CACHED(lab, linear) ck_assert_uint_eq(mmu_load(&(lab)->mmu, linear, 8), OLD)
#define EXPECT_DROPPED(lab, linear) ck_assert_uint_eq(mmu_load(&(lab)->mmu, linear, 8), NEW)

/* ---- who has decoded code ---- */

struct decoder {
    struct bus_listener l;
    unsigned written, size;
    uint64_t pa;
    bool drop; /* gives up the page's blocks when it is written */
};

static inline bool decoder_written(void *owner, uint64_t pa, unsigned size)
{
    struct decoder *d = owner;

    d->written++;
    d->pa = pa;
    d->size = size;
    return !d->drop;
}

static inline void decoder_on(struct decoder *d, struct lab *lab)
{
    *d = (struct decoder){ .l = { .owner = d, .code_written = decoder_written } };
    bus_listen(lab->bus, &d->l);
}
