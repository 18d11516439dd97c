/* Every row of the instruction table that user mode can run, against the processor under us: random
 * encodings and states, executed there (native_run.c) and in the interpreter; registers, defined
 * flags, memory, x87 and SSE state and exceptions must agree.
 *
 * NIDUS_DIFF_SEED and NIDUS_DIFF_COUNT in the environment choose the seed and how many each row
 * gets. */
#include <check.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <stdio.h>

#include "cpu/fpu_check.h"
#include "tests/cpu/insn_lab.h"
#include "tests/diff/native_run.h"
#include "tests/diff/random_insn.h"
#include "tests/diff/random_state.h"

enum { DIFF_COUNT = 2000, DATA_PA = 0x200000 };

#define DIFF_FLAGS UINT64_C(0x240cd5) /* OSZAPC, DF, ID, AC */

struct diff {
    struct insn_lab *lab;
    struct native *native;
    uint8_t *memory[2]; /* the data area: natively, and in the machine's RAM */
    struct random random;
    uint64_t seed;
    struct random_insn insn;
    struct native_regs before, native_after, ours_after;
    int native_vector, our_vector;
    bool fx;
};

/* ---- features ---- */

struct diff_feature {
    uint32_t leaf, subleaf;
    unsigned reg, bit; /* reg 4: always there */
};
enum { REG_EAX, REG_EBX, REG_ECX, REG_EDX, REG_NONE };

static const struct diff_feature diff_features[FEAT_COUNT] = {
#define FEATURE(id, name, leaf, subleaf, reg, bit, doc) \
    [FEAT_##id] = { leaf, subleaf, REG_##reg, bit },
#include "cpu/features.def"
};

static bool diff_native_has(unsigned feature)
{
    const struct diff_feature *f = &diff_features[feature];
    unsigned r[4];

    if (f->reg == REG_NONE)
        return true;
    return __get_cpuid_count(f->leaf, f->subleaf, &r[0], &r[1], &r[2], &r[3]) &&
           (r[f->reg] >> f->bit & 1);
}

/* ---- set-up ---- */

/* the data area at its linear address, by 4-KiB pages: what is beside it must fault */
static void diff_map_data(struct insn_lab *lab)
{
    uint64_t pd = LAB_TABLES + 0x2000, pt = LAB_TABLES + 0x3000;

    bus_write(lab->bus, pd + 8 * (NATIVE_DATA >> 21), pt | 7, 8);
    for (unsigned i = 0; i < NATIVE_DATA_SIZE / PAGE_SIZE; i++)
        bus_write(lab->bus, pt + 8 * ((NATIVE_DATA >> 12 & 511) + i), (DATA_PA + 4096 * i) | 7, 8);
    for (unsigned i = 0; i < LAB_RAM >> 21; i++)
        bus_write(lab->bus, pd + 8 * i, 0, 8);
}

static uint64_t diff_number(const char *name, uint64_t otherwise)
{
    const char *s = getenv(name);

    return s ? strtoull(s, NULL, 0) : otherwise;
}

static void diff_fill(struct diff *d)
{
    for (unsigned i = 0; i < NATIVE_DATA_SIZE; i += 8) {
        uint64_t v = random_value(&d->random);

        memcpy(d->memory[0] + i, &v, 8);
    }
    memcpy(d->memory[1], d->memory[0], NATIVE_DATA_SIZE);
}

static void diff_begin(struct diff *d, unsigned id)
{
    memset(d, 0, sizeof *d);
    d->lab = lab_new(LAB_LONG_USER);
    d->native = native_create();
    ck_assert_ptr_nonnull(d->native);
    diff_map_data(d->lab);
    cpu_settle(d->lab->cpu);
    d->memory[0] = native_data(d->native);
    d->memory[1] = bus_native(d->lab->bus, DATA_PA);
    d->seed = diff_number("NIDUS_DIFF_SEED", 1);
    d->random.state = d->seed << 32 ^ id;
    d->fx = insn_rows[id].traits & (T_X87 | T_SSE);
    diff_fill(d);
}

static void diff_end(struct diff *d)
{
    native_destroy(d->native);
    lab_free(d->lab);
}

/* ---- random state ---- */

static void diff_random_state(struct diff *d)
{
    struct native_regs *b = &d->before;

    memset(b, 0, sizeof *b);
    for (unsigned i = 0; i < 16; i++)
        b->r[i] = random_value(&d->random);
    b->rflags = (random_u64(&d->random) & 0xcd5) | 0x202; /* IF, bit 1 */
    if (d->fx)
        random_fx(&d->random, &b->fx);
    if (random_one_in(&d->random, 64))
        diff_fill(d);
}

static void diff_write_both(struct diff *d, uint64_t linear, uint64_t v)
{
    for (unsigned i = 0; i < 2; i++)
        memcpy(d->memory[i] + (linear - NATIVE_DATA), &v, 8);
}

/* what single instructions need in memory */
static void diff_prepare(struct diff *d, unsigned id)
{
    struct native_regs *b = &d->before;
    uint64_t popf, target = d->insn.target;

    switch (id) {
    case INSN_RET:
    case INSN_RET_Iw: diff_write_both(d, b->r[RSP], NATIVE_TAKEN); break;
    case INSN_JMP_Ev:
    case INSN_CALL_Ev:
        if (target)
            diff_write_both(d, target, NATIVE_TAKEN);
        break;
    case INSN_POPF: /* no TF, NT, AC: they reach beyond the instruction */
        popf = random_u64(&d->random) & ~(RFLAGS_TF | RFLAGS_NT | RFLAGS_AC);
        diff_write_both(d, b->r[RSP], popf);
        break;
    case INSN_CMPXCHG_Eb_Gb:
    case INSN_CMPXCHG_Ev_Gv:
    case INSN_CMPXCHG8B:
        if (target && random_one_in(&d->random, 2)) {
            uint64_t rdx = b->r[RDX], rax = b->r[RAX];
            bool wide = d->insn.op_size == 8 || id != INSN_CMPXCHG8B;

            diff_write_both(d, target, wide ? rax : (uint32_t)rax | rdx << 32);
            diff_write_both(d, target + 8, rdx);
        }
        break;
    default: break;
    }
}

/* ---- our side ---- */

static void diff_load_fx(struct cpu *cpu, const struct fx_image *fx)
{
    struct fpu *f = &cpu->fpu;
    unsigned top = fx->status >> 11 & 7;

    f->control = fx->control;
    f->status = fx->status;
    f->tag = fx->tag;
    f->mxcsr = fx->mxcsr;
    for (unsigned i = 0; i < 8; i++) {
        memcpy(&f->st[(top + i) & 7].significand, fx->st[i], 8);
        memcpy(&f->st[(top + i) & 7].sign_exponent, fx->st[i] + 8, 2);
    }
    memcpy(f->xmm, fx->xmm, sizeof fx->xmm);
}

static void diff_store_fx(const struct cpu *cpu, struct fx_image *fx)
{
    const struct fpu *f = &cpu->fpu;
    unsigned top = f->status >> 11 & 7;

    fx->control = f->control;
    fx->status = f->status;
    fx->tag = f->tag;
    fx->mxcsr = f->mxcsr;
    for (unsigned i = 0; i < 8; i++) {
        memcpy(fx->st[i], &f->st[(top + i) & 7].significand, 8);
        memcpy(fx->st[i] + 8, &f->st[(top + i) & 7].sign_exponent, 2);
    }
    memcpy(fx->xmm, f->xmm, sizeof fx->xmm);
}

static void diff_run_ours(struct diff *d, unsigned id)
{
    struct cpu *cpu = d->lab->cpu;
    struct native_regs *out = &d->ours_after;

    memcpy(cpu->r, d->before.r, sizeof d->before.r);
    flags_set(&cpu->flags, d->before.rflags);
    cpu->rflags = (d->before.rflags & (RFLAGS_DF | RFLAGS_IF)) | RFLAGS_FIXED;
    cpu->rip = NATIVE_INSN;
    if (d->fx) {
        diff_load_fx(cpu, &d->before.fx);
        fpu_enter(cpu);
    }
    d->our_vector = lab_run(d->lab, d->insn.bytes, 15);
    if (d->fx) {
        fpu_leave(cpu);
        diff_store_fx(cpu, &out->fx);
    }
    memcpy(out->r, cpu->r, sizeof out->r);
    out->rflags = cpu_rflags(cpu);
    out->rip = cpu->rip;
    if (d->lab->in[0].id != id || d->lab->in[0].length != d->insn.length)
        ck_abort_msg("%s decoded as %s, %u bytes", insn_names[id], insn_names[d->lab->in[0].id],
                     d->lab->in[0].length);
}

/* ---- comparison ---- */

static unsigned diff_shift_count(const struct diff *d)
{
    const struct insn *in = &d->lab->in[0];
    const struct insn_row *row = d->insn.row;
    uint64_t count = 1;

    for (unsigned i = 0; i < 3; i++) {
        if (row->op[i] == OP_Ib)
            count = in->imm;
        else if (row->op[i] == OP_CL)
            count = d->before.r[RCX];
    }
    return count & (in->size == 3 ? 63 : 31);
}

static bool diff_is_shift(const struct insn_row *row)
{
    return (row->map >= GRP2_C0 && row->map <= GRP2_D3) ||
           (row >= &insn_rows[INSN_SHLD_Ev_Gv_Ib] && row <= &insn_rows[INSN_SHRD_Ev_Gv_CL]);
}

/* the undefined flags, knowing the count of shifts [SDM 2B "SAL/SAR/SHL/SHR", "SHLD", "RCL"] */
static uint64_t diff_undefined(const struct diff *d)
{
    const struct insn_row *row = d->insn.row;
    unsigned count, width = 8u << d->lab->in[0].size;
    uint64_t undefined = row->undefined;

    if (!diff_is_shift(row))
        return undefined;
    count = diff_shift_count(d);
    if (count == 0)
        return 0;
    if (count == 1)
        return undefined & ~(uint64_t)FL_O;
    if (count >= width && row->slot >= 4 && row->slot <= 6) /* SHL, SHR */
        undefined |= FL_C;
    return undefined;
}

/* results that the manual leaves undefined as a whole, or that makers of processors disagree about:
 * here those of AMD (measured on an EPYC) differ from the SDM */
static bool diff_skipped(const struct diff *d)
{
    const struct insn *in = &d->lab->in[0];
    bool mem = in->flags & IN_MEM;
    uint32_t mxcsr;

    switch (in->id) {
    case INSN_BSWAP: return in->size == 1;
    case INSN_SHLD_Ev_Gv_Ib:
    case INSN_SHLD_Ev_Gv_CL:
    case INSN_SHRD_Ev_Gv_Ib:
    case INSN_SHRD_Ev_Gv_CL: return in->size == 1 && diff_shift_count(d) > 16;
    case INSN_PREFETCHW: return !mem;                      /* #UD there */
    case INSN_CVTPI2PS: return mem || d->our_vector == XM; /* no transition to MMX there */
    case INSN_CVTPS2PI:
    case INSN_CVTTPS2PI:
    case INSN_CVTPD2PI:
    case INSN_CVTTPD2PI: return d->our_vector == XM; /* the transition comes first there */
    case INSN_LDMXCSR:                               /* bit 17 exists there */
        memcpy(&mxcsr, d->memory[0] + (d->insn.target - NATIVE_DATA), 4);
        return mxcsr & BIT(17);
    default: return false;
    }
}

/* C1 of FCOMI and its like: 0 by the SDM, unchanged by AMD's processors */
static uint16_t diff_status_mask(const struct diff *d)
{
    switch (d->lab->in[0].id) {
    case INSN_FCOMI:
    case INSN_FCOMIP:
    case INSN_FUCOMI:
    case INSN_FUCOMIP: return (uint16_t)~X87_C1;
    default: return 0xffff;
    }
}

static void diff_show(const struct diff *d, unsigned n)
{
    const struct native_regs *b = &d->before, *o = &d->ours_after, *t = &d->native_after;

    fprintf(stderr, "%s, case %u of seed %llu:", insn_names[d->insn.row - insn_rows], n,
            (unsigned long long)d->seed);
    for (unsigned i = 0; i < d->insn.length; i++)
        fprintf(stderr, " %02x", d->insn.bytes[i]);
    fprintf(stderr, "\n  memory operand at %#llx\n  %-8s %16s %16s %16s\n",
            (unsigned long long)d->insn.target, "", "before", "ours", "processor");
    fprintf(stderr, "  %-8s %16s %16d %16d\n", "vector", "", d->our_vector, d->native_vector);
    fprintf(stderr, "  %-8s %16llx %16llx %16llx\n", "rip", (unsigned long long)NATIVE_INSN,
            (unsigned long long)o->rip, (unsigned long long)t->rip);
    fprintf(stderr, "  %-8s %16llx %16llx %16llx\n", "rflags", (unsigned long long)b->rflags,
            (unsigned long long)(o->rflags & DIFF_FLAGS),
            (unsigned long long)(t->rflags & DIFF_FLAGS));
    for (unsigned i = 0; i < 16; i++)
        fprintf(stderr, "  r%-7u %16llx %16llx %16llx\n", i, (unsigned long long)b->r[i],
                (unsigned long long)o->r[i], (unsigned long long)t->r[i]);
    for (unsigned i = 0; i < NATIVE_DATA_SIZE; i++) {
        if (d->memory[0][i] != d->memory[1][i])
            fprintf(stderr, "  [%#x] %37x %16x\n", NATIVE_DATA + i, d->memory[1][i],
                    d->memory[0][i]);
    }
    if (!d->fx)
        return;
    fprintf(stderr, "  fcw %x %x %x, fsw %x %x %x, ftw %x %x %x, mxcsr %x %x %x\n", b->fx.control,
            o->fx.control, t->fx.control, b->fx.status, o->fx.status, t->fx.status, b->fx.tag,
            o->fx.tag, t->fx.tag, b->fx.mxcsr, o->fx.mxcsr, t->fx.mxcsr);
    for (unsigned i = 0; i < 8; i++) {
        for (int j = 9; j >= 0; j--)
            fprintf(stderr, "%s%02x", j == 9 ? "  st " : "", b->fx.st[i][j]);
        for (int j = 9; j >= 0; j--)
            fprintf(stderr, "%s%02x", j == 9 ? " | " : "", o->fx.st[i][j]);
        for (int j = 9; j >= 0; j--)
            fprintf(stderr, "%s%02x", j == 9 ? " | " : "", t->fx.st[i][j]);
        fputc('\n', stderr);
    }
    for (unsigned i = 0; i < 16; i++) {
        for (int j = 15; j >= 0; j--)
            fprintf(stderr, "%s%02x", j == 15 ? "  xmm " : "", b->fx.xmm[i][j]);
        for (int j = 15; j >= 0; j--)
            fprintf(stderr, "%s%02x", j == 15 ? " | " : "", o->fx.xmm[i][j]);
        for (int j = 15; j >= 0; j--)
            fprintf(stderr, "%s%02x", j == 15 ? " | " : "", t->fx.xmm[i][j]);
        fputc('\n', stderr);
    }
}

static bool diff_same_fx(const struct fx_image *a, const struct fx_image *b, uint16_t status_mask)
{
    for (unsigned i = 0; i < 8; i++) {
        if (memcmp(a->st[i], b->st[i], 10) != 0)
            return false;
    }
    return a->control == b->control && !((a->status ^ b->status) & status_mask) &&
           a->tag == b->tag && a->mxcsr == b->mxcsr && memcmp(a->xmm, b->xmm, sizeof a->xmm) == 0;
}

static const char *diff_compare(const struct diff *d)
{
    const struct native_regs *o = &d->ours_after, *t = &d->native_after;
    uint64_t flags = DIFF_FLAGS & ~(d->our_vector == LAB_NO_FAULT ? diff_undefined(d) : 0);

    if (d->native_vector != d->our_vector)
        return "exceptions";
    if (o->rip != t->rip)
        return "RIP";
    if (memcmp(o->r, t->r, sizeof o->r) != 0)
        return "registers";
    if ((o->rflags ^ t->rflags) & flags)
        return "flags";
    if (memcmp(d->memory[0], d->memory[1], NATIVE_DATA_SIZE) != 0)
        return "memory";
    if (d->fx && !diff_same_fx(&o->fx, &t->fx, diff_status_mask(d)))
        return "x87 or SSE state";
    return NULL;
}

/* ---- the test ---- */

START_TEST(row_does_what_the_processor_does)
{
    const struct insn_row *row = &insn_rows[_i];
    unsigned count = (unsigned)diff_number("NIDUS_DIFF_COUNT", DIFF_COUNT);
    struct diff d;

    if (!(row->traits & T_USER) || row->traits & (T_NODIFF | T_NO64) ||
        !diff_native_has(row->feature) || _i == INSN_INT3 /* goes through the IDT at once */)
        return;
    diff_begin(&d, (unsigned)_i);
    for (unsigned n = 0; n < count; n++) {
        const char *difference;

        diff_random_state(&d);
        random_insn(&d.random, (unsigned)_i, &d.insn, &d.before);
        diff_prepare(&d, (unsigned)_i);
        d.native_vector = native_run(d.native, d.insn.bytes, d.insn.length, d.fx, &d.before,
                                     &d.native_after);
        diff_run_ours(&d, (unsigned)_i);
        if (diff_skipped(&d)) {
            memcpy(d.memory[1], d.memory[0], NATIVE_DATA_SIZE);
            continue;
        }
        difference = diff_compare(&d);
        if (difference) {
            diff_show(&d, n);
            ck_abort_msg("%s: %s differ", insn_names[_i], difference);
        }
    }
    diff_end(&d);
}
END_TEST

Suite *suite_diff_vs_processor(void)
{
    Suite *s = suite_create("diff/vs_processor");
    TCase *c = tcase_create("rows");

    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, row_does_what_the_processor_does, 1, INSN_COUNT);
    suite_add_tcase(s, c);
    return s;
}

#else

Suite *suite_diff_vs_processor(void)
{
    return suite_create("diff/vs_processor"); /* another processor is no judge */
}

#endif
