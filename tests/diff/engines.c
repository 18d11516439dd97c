/* SSE and x87 instructions in native code against the interpreter: random encodings and states, of each row.
 *
 * A block has the instruction between one that leaves flags, which must survive or be found at a
 * fault, and another SSE instruction: often itself, so that their accesses share a look-up. Each
 * engine runs it twice, from an empty TLB and from one where all accesses hit. Registers, flags,
 * memory, x87 and SSE state, exceptions, cycles and instructions must be the same.
 *
 * NIDUS_DIFF_SEED and NIDUS_DIFF_COUNT in the environment choose the seed and how many cases each
 * row gets. */
#include <check.h>

#if defined(__x86_64__)
#include <stdio.h>

#include "cpu/block.h"
#include "cpu/fpu_check.h"
#include "cpu/jit/jit.h"
#include "tests/cpu/system_lab.h"
#include "tests/diff/random_insn.h"
#include "tests/diff/random_state.h"

enum {
    CASES = 200,
    CYCLES = 100000, /* more than anything here takes */
    DATA_PA = 0x200000,
    CODE_PA = 0x210000,
    FRAME = 48, /* bytes of an exception's frame, error code included */
};
enum engine { INTERPRETER, TRANSLATOR, ENGINES };
enum { COLD, WARM, RUNS };

/* what a run leaves behind */
struct outcome {
    uint64_t r[16], rflags, rip, cr2, cycles, instructions;
    struct fpu fpu;
    uint8_t frame[FRAME];
    uint8_t data[NATIVE_DATA_SIZE];
};

struct engines {
    struct insn_lab *lab;
    struct random random;
    struct native_regs before;
    struct seg seg[SEG_COUNT];
    uint8_t code[64];
    unsigned length;
    uint64_t start;  /* where the code is */
    uint64_t middle; /* rights of the middle page of the data */
    uint8_t data[NATIVE_DATA_SIZE];
    struct outcome after[ENGINES][RUNS];
};

static uint64_t engines_number(const char *name, uint64_t otherwise)
{
    const char *s = getenv(name);

    return s ? strtoull(s, NULL, 0) : otherwise;
}

/* ---- set-up ---- */

/* Page tables as new, accessed and dirty flags too: walks cost the same each time. The middle page of
 * the data may be missing or read-only. */
static void engines_map(struct engines *d)
{
    struct bus *bus = d->lab->bus;
    uint64_t pd = LAB_TABLES + 0x2000, pt = LAB_TABLES + 0x3000, code_pt = LAB_TABLES + 0x4000;

    lab_identity_map(d->lab);
    bus_write(bus, pd + 8 * (NATIVE_DATA >> 21), pt | 7, 8);
    bus_write(bus, pd + 8 * (NATIVE_CODE >> 21), code_pt | 7, 8);
    bus_write(bus, pt, DATA_PA | 7, 8);
    bus_write(bus, pt + 8, (DATA_PA + PAGE_SIZE) | d->middle, 8);
    bus_write(bus, pt + 16, (DATA_PA + 2 * PAGE_SIZE) | 7, 8);
    bus_write(bus, code_pt, CODE_PA | 7, 8);
}

static void engines_begin(struct engines *d, unsigned id)
{
    struct err e;

    memset(d, 0, sizeof *d);
    d->lab = sys_new(SYS_64);
    for (unsigned v = 0; v < 32; v++) /* RSP may be anything */
        sys_vector(d->lab, v, CODE64, 0x8e, 1);
    memcpy(d->seg, d->lab->cpu->seg, sizeof d->seg);
    ck_assert_msg(jit_attach(d->lab->cpu, 8 << 20, &e), "%s", e.text);
    d->random.state = engines_number("NIDUS_DIFF_SEED", 1) << 32 ^ id;
}

static void engines_end(struct engines *d)
{
    jit_detach(d->lab->cpu);
    lab_free(d->lab);
}

/* ---- a case ---- */

static void engines_put(struct engines *d, const uint8_t *bytes, unsigned count)
{
    memcpy(d->code + d->length, bytes, count);
    d->length += count;
}

/* what leaves flags; begins in front of NATIVE_INSN, so that addresses relative to RIP are right */
static void engines_put_flags(struct engines *d)
{
    static const uint8_t before[][5] = {
        { 4, 0x66, 0x0f, 0x2e, 0xc1 }, /* ucomisd xmm0, xmm1 */
        { 3, 0x48, 0x39, 0xd8 },       /* cmp rax, rbx */
        { 3, 0x4d, 0x85, 0xf9 },       /* test r9, r15 */
        { 0 },
    };
    const uint8_t *chosen = before[random_below(&d->random, sizeof before / sizeof before[0])];

    engines_put(d, chosen + 1, chosen[0]);
}

static unsigned engines_other_row(struct engines *d)
{
    unsigned id;

    do
        id = 1 + (unsigned)random_below(&d->random, INSN_COUNT - 1);
    while (!(insn_rows[id].traits & (T_SSE | T_X87)) || insn_rows[id].traits & T_END);
    return id;
}

static void engines_random_code(struct engines *d, unsigned id)
{
    static const uint8_t hlt = 0xf4;
    struct random_insn insn;

    d->length = 0;
    engines_put_flags(d);
    d->start = NATIVE_INSN - d->length;
    random_insn(&d->random, id, &insn, &d->before);
    engines_put(d, insn.bytes, insn.length);
    if (random_one_in(&d->random, 2))
        random_insn(&d->random, engines_other_row(d), &insn, &d->before);
    engines_put(d, insn.bytes, insn.length);
    engines_put(d, &hlt, 1);
    bus_write_bytes(d->lab->bus, CODE_PA + (d->start & ~PAGE_MASK), d->code, d->length);
}

/* the reserved precision too; exceptions of the past; at times one unmasked, and perhaps pending */
static void engines_random_x87(struct random *r, struct fx_image *fx)
{
    if (random_one_in(r, 8))
        fx->control = (uint16_t)((fx->control & ~0x300u) | 0x100);
    fx->status |= random_u64(r) & random_u64(r) & 0x7f;
    if (random_one_in(r, 8))
        fx->control &= (uint16_t)(random_u64(r) | ~UINT64_C(0x3f));
    if (fx->status & ~fx->control & 0x3f)
        fx->status |= X87_ES | X87_BUSY;
}

static void engines_random_case(struct engines *d, unsigned id)
{
    static const uint8_t rights[] = { 7, 7, 7, 7, 7, 7, 5 /* read-only */, 6 /* not present */ };
    struct native_regs *b = &d->before;

    memset(b, 0, sizeof *b);
    for (unsigned i = 0; i < 16; i++)
        b->r[i] = random_value(&d->random);
    b->rflags = (random_u64(&d->random) & FL_OSZAPC) | RFLAGS_FIXED;
    random_fx(&d->random, &b->fx);
    engines_random_x87(&d->random, &b->fx);
    for (unsigned i = 0; i < NATIVE_DATA_SIZE; i += 8) {
        uint64_t v = random_value(&d->random);

        memcpy(d->data + i, &v, 8);
    }
    d->middle = rights[random_below(&d->random, sizeof rights)];
    engines_random_code(d, id);
}

/* ---- running ---- */

static void engines_load(struct engines *d)
{
    struct cpu *cpu = d->lab->cpu;
    const struct fx_image *fx = &d->before.fx;

    bus_write_bytes(d->lab->bus, DATA_PA, d->data, NATIVE_DATA_SIZE);
    bus_write_bytes(d->lab->bus, SYS_IST1 - FRAME, (const uint8_t[FRAME]){ 0 }, FRAME);
    memcpy(cpu->r, d->before.r, sizeof d->before.r);
    memcpy(cpu->seg, d->seg, sizeof d->seg);
    cpu->rip = d->start;
    cpu->cr2 = 0;
    cpu->activity = ACTIVE;
    cpu->rflags = RFLAGS_FIXED;
    flags_set(&cpu->flags, d->before.rflags);
    cpu->fpu.control = fx->control;
    cpu->fpu.status = fx->status;
    cpu->fpu.tag = fx->tag;
    cpu->fpu.mxcsr = fx->mxcsr;
    for (unsigned i = 0; i < 8; i++) {
        memcpy(&cpu->fpu.st[i].significand, fx->st[i], 8);
        memcpy(&cpu->fpu.st[i].sign_exponent, fx->st[i] + 8, 2);
    }
    memcpy(cpu->fpu.xmm, fx->xmm, sizeof fx->xmm);
    cpu_update_key(cpu);
}

static void engines_store(struct engines *d, struct outcome *o)
{
    struct cpu *cpu = d->lab->cpu;

    memcpy(o->r, cpu->r, sizeof o->r);
    o->rflags = cpu_rflags(cpu);
    o->rip = cpu->rip;
    o->cr2 = cpu->cr2;
    memcpy(&o->fpu, &cpu->fpu, sizeof o->fpu);
    bus_read_bytes(d->lab->bus, SYS_IST1 - FRAME, o->frame, FRAME);
    bus_read_bytes(d->lab->bus, DATA_PA, o->data, NATIVE_DATA_SIZE);
}

/* native code at once, not when the block is hot */
static void engines_translate(struct cpu *cpu)
{
    struct block *b;

    cpu->in = NULL;
    b = block_find(cpu);
    ck_assert(b->code || cpu->native_ops->translate(cpu, b));
}

/* Once, without a look at the outcome: finding a block that is built already may save a walk. */
static void engines_build(struct engines *d)
{
    engines_load(d);
    engines_map(d);
    mmu_flush_all(&d->lab->cpu->mmu);
    cpu_run(d->lab->cpu, cpu_cycles(d->lab->cpu) + CYCLES);
}

/* all that may be accessed gets into the TLB: a misaligned access, which faults, would not */
static void engines_touch(struct engines *d)
{
    struct mmu *mmu = &d->lab->cpu->mmu;

    for (uint64_t at = NATIVE_DATA; at < NATIVE_DATA + NATIVE_DATA_SIZE; at += PAGE_SIZE) {
        bool middle = at == NATIVE_DATA + PAGE_SIZE;

        if (!middle || d->middle & 1)
            mmu_load(mmu, at, 1);
        if (!middle || d->middle == 7)
            mmu_store(mmu, at, d->data[at - NATIVE_DATA], 1);
    }
}

static void engines_run(struct engines *d, enum engine engine)
{
    struct cpu *cpu = d->lab->cpu;

    for (unsigned run = 0; run < RUNS; run++) {
        struct outcome *o = &d->after[engine][run];

        engines_load(d);
        if (run == COLD) {
            if (engine == TRANSLATOR)
                engines_translate(cpu);
            engines_map(d);
            mmu_flush_all(&cpu->mmu);
        } else {
            engines_touch(d);
        }
        memset(o, 0, sizeof *o);
        o->cycles = cpu_cycles(cpu);
        o->instructions = cpu->insn_count;
        cpu_run(cpu, o->cycles + CYCLES);
        engines_store(d, o);
        o->cycles = cpu_cycles(cpu) - o->cycles;
        o->instructions = cpu->insn_count - o->instructions;
    }
}

/* ---- comparison ---- */

static void engines_show_values(const char *name, unsigned n, uint64_t before, uint64_t a,
                                uint64_t b)
{
    if (a != b)
        fprintf(stderr, "  %s %-5u %16jx -> %16jx %16jx\n", name, n, (uintmax_t)before,
                (uintmax_t)a, (uintmax_t)b);
}

static void engines_show_x87(const struct engines *d, const struct fpu *a, const struct fpu *b)
{
    const struct fx_image *fx = &d->before.fx;

    for (unsigned i = 0; i < 8; i++) {
        uint64_t significand;
        uint16_t sign_exponent;

        memcpy(&significand, fx->st[i], 8);
        memcpy(&sign_exponent, fx->st[i] + 8, 2);
        if (a->st[i].significand != b->st[i].significand ||
            a->st[i].sign_exponent != b->st[i].sign_exponent)
            fprintf(stderr, "  R(%u) %04x %016jx -> %04x %016jx, %04x %016jx\n", i, sign_exponent,
                    (uintmax_t)significand, a->st[i].sign_exponent, (uintmax_t)a->st[i].significand,
                    b->st[i].sign_exponent, (uintmax_t)b->st[i].significand);
    }
    engines_show_values("x87 control", 0, fx->control, a->control, b->control);
    engines_show_values("x87 status", 0, fx->status, a->status, b->status);
    engines_show_values("x87 tag", 0, fx->tag, a->tag, b->tag);
    engines_show_values("fop", 0, 0, a->opcode, b->opcode);
    engines_show_values("fip", 0, 0, a->ip, b->ip);
    engines_show_values("fdp", 0, 0, a->dp, b->dp);
    engines_show_values("fcs", 0, 0, a->cs, b->cs);
    engines_show_values("fds", 0, 0, a->ds, b->ds);
}

/* what differs, the interpreter's first */
static void engines_show(const struct engines *d, unsigned row, unsigned n, unsigned run)
{
    const struct outcome *a = &d->after[INTERPRETER][run], *b = &d->after[TRANSLATOR][run];
    const struct fx_image *fx = &d->before.fx;

    fprintf(stderr, "%s, case %u, %s:", insn_names[row], n, run == COLD ? "cold" : "warm");
    for (unsigned i = 0; i < d->length; i++)
        fprintf(stderr, " %02x", d->code[i]);
    fprintf(stderr, "\n  at %jx, mxcsr %x; ends at %jx, mxcsr %x\n", (uintmax_t)d->start, fx->mxcsr,
            (uintmax_t)a->rip, a->fpu.mxcsr);
    for (unsigned i = 0; i < 16; i++) {
        uint64_t xmm[2];

        memcpy(xmm, fx->xmm[i], 16);
        engines_show_values("r", i, d->before.r[i], a->r[i], b->r[i]);
        engines_show_values("xmm low", i, xmm[0], a->fpu.xmm[i].u64[0], b->fpu.xmm[i].u64[0]);
        engines_show_values("xmm high", i, xmm[1], a->fpu.xmm[i].u64[1], b->fpu.xmm[i].u64[1]);
    }
    engines_show_x87(d, &a->fpu, &b->fpu);
    engines_show_values("mxcsr", 0, fx->mxcsr, a->fpu.mxcsr, b->fpu.mxcsr);
    engines_show_values("rflags", 0, d->before.rflags, a->rflags, b->rflags);
    engines_show_values("rip", 0, d->start, a->rip, b->rip);
    engines_show_values("cr2", 0, 0, a->cr2, b->cr2);
    engines_show_values("cycles", 0, 0, a->cycles, b->cycles);
    engines_show_values("instructions", 0, 0, a->instructions, b->instructions);
    for (unsigned i = 0; i < FRAME; i++)
        engines_show_values("frame", i, 0, a->frame[i], b->frame[i]);
    for (unsigned i = 0; i < NATIVE_DATA_SIZE; i++)
        engines_show_values("data", i, d->data[i], a->data[i], b->data[i]);
}

START_TEST(row_does_the_same_in_native_code)
{
    static struct engines d;
    unsigned cases = (unsigned)engines_number("NIDUS_DIFF_COUNT", CASES);

    if (!(insn_rows[_i].traits & (T_SSE | T_X87)))
        return;
    engines_begin(&d, (unsigned)_i);
    for (unsigned n = 0; n < cases; n++) {
        engines_random_case(&d, (unsigned)_i);
        engines_build(&d);
        engines_run(&d, INTERPRETER);
        engines_run(&d, TRANSLATOR);
        for (unsigned run = 0; run < RUNS; run++) {
            if (memcmp(&d.after[INTERPRETER][run], &d.after[TRANSLATOR][run],
                       sizeof(struct outcome)) == 0)
                continue;
            engines_show(&d, (unsigned)_i, n, run);
            ck_abort_msg("%s differs", insn_names[_i]);
        }
    }
    engines_end(&d);
}
END_TEST

Suite *suite_diff_engines(void)
{
    Suite *s = suite_create("diff/engines");
    TCase *c = tcase_create("rows");

    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, row_does_the_same_in_native_code, 1, INSN_COUNT);
    suite_add_tcase(s, c);
    return s;
}

#else

Suite *suite_diff_engines(void)
{
    return suite_create("diff/engines"); /* no translator */
}

#endif
