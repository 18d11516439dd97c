/* Two machines side by side, until they differ. Runs are deterministic, so the search for the block
 * that did it makes both machines again and runs them from the start:
 *   1. slices; registers and devices are compared after each, RAM now and then
 *   2. slices from the last look at RAM; the pages that were found to differ are compared too
 *   3. the first bad slice, block by block
 *   4. where the difference does not show when each block is left at once: the shortest run from the
 *      slice's beginning that shows it; native code runs a path of blocks as a whole or not at all
 * What an engine keeps between blocks takes part in 1, 2 and 4, and does not in 3. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/log.h"
#include "machine/machine.h"

#define SLICE UINT64_C(20000)
/* cycles between two looks at RAM: one costs as much as some million cycles of running */
#define RAM_EVERY (UINT64_C(64) << 20)

/* PATH_BLOCKS: as many as native code may have in one piece, which it runs as a whole or not at all */
enum { WATCHED_PAGES = 64, CODE_LINES = 64, EARLIER_LINES = 8, PATH_BLOCKS = 8 };

/* a block that the reference has run */
struct ran {
    unsigned cpu;
    uint64_t linear, instructions;
};

/* a processor before a block */
struct before {
    struct cpu cpu; /* a copy to look at */
    char *code;     /* disassembly of what may come */
    char *earlier;  /* and of the block that it ran last */
    size_t code_size, earlier_size;
};

struct search {
    struct nidus_lockstep *l;
    FILE *out;
    char *error;
    struct nidus *a, *b;   /* under test, reference */
    enum nidus_event end;  /* how both runs have ended, or NIDUS_TIME */
    enum nidus_event ends; /* the same of b, where it is another one */
    uint64_t good, bad, good_ram;
    uint64_t watch[WATCHED_PAGES];
    unsigned watch_count;
    struct before *before; /* of each processor of b */
    unsigned before_count;
    struct ran ran[PATH_BLOCKS]; /* of 4, a ring: the last blocks but one */
    unsigned ran_count;
};

/* ---- the pair ---- */

static void destroy_pair(struct search *s)
{
    if (s->a)
        s->l->destroy(s->l->owner, s->a);
    if (s->b)
        s->l->destroy(s->l->owner, s->b);
    s->a = s->b = NULL;
}

static bool create_pair(struct search *s, bool again)
{
    destroy_pair(s);
    s->a = s->l->create(s->l->owner, false, again, s->error);
    s->b = s->a ? s->l->create(s->l->owner, true, again, s->error) : NULL;
    s->end = s->ends = NIDUS_TIME;
    return s->b != NULL;
}

static uint64_t next_slice(const struct search *s, uint64_t cycle)
{
    uint64_t next = cycle + s->l->slice;

    return s->l->cycles && next > s->l->cycles ? s->l->cycles : next;
}

static void run_both(struct search *s, uint64_t cycle)
{
    s->end = nidus_run_to(s->a, cycle);
    s->ends = s->end == NIDUS_STOPPED ? NIDUS_STOPPED : nidus_run_to(s->b, cycle);
}

static bool stopped(const struct search *s)
{
    return s->end == NIDUS_STOPPED || s->ends == NIDUS_STOPPED;
}

/* a new pair, run to where both were the same; false: stopped, or no pair */
static bool go_to(struct search *s, uint64_t cycle)
{
    if (!create_pair(s, true))
        return false;
    for (uint64_t at = 0; at < cycle && !stopped(s);)
        run_both(s, at = next_slice(s, at));
    return !stopped(s);
}

/* ---- comparing ---- */

static bool same_watched(const struct search *s)
{
    for (unsigned i = 0; i < s->watch_count; i++) {
        if (nidus_compare_ram(s->a, s->b, s->watch[i], s->watch[i] + PAGE_SIZE) != UINT64_MAX)
            return false;
    }
    return true;
}

static bool same(const struct search *s)
{
    s->l->compared++;
    return s->end == s->ends && nidus_compare(s->a, s->b, NULL) && same_watched(s);
}

static bool same_ram(const struct search *s)
{
    return nidus_compare_ram(s->a, s->b, 0, UINT64_MAX) == UINT64_MAX;
}

static void watch_ram(struct search *s)
{
    uint64_t at = nidus_compare_ram(s->a, s->b, 0, UINT64_MAX);

    for (s->watch_count = 0; at != UINT64_MAX && s->watch_count < WATCHED_PAGES;) {
        s->watch[s->watch_count++] = at & PAGE_MASK;
        at = nidus_compare_ram(s->a, s->b, (at | ~PAGE_MASK) + 1, UINT64_MAX);
    }
}

/* ---- the report ---- */

static void show_bytes(const struct search *s, struct nidus *m, uint64_t pa)
{
    uint8_t bytes[16];

    bus_read_bytes(m->bus, pa, bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        fprintf(s->out, "%s%02x", i ? " " : "", bytes[i]);
}

static void show_differences(const struct search *s)
{
    fprintf(s->out, "what differs (machine under test, reference):\n");
    if (s->end != s->ends)
        fprintf(s->out, "  end of the run: %d, %d\n", (int)s->end, (int)s->ends);
    nidus_compare(s->a, s->b, s->out);
    for (unsigned i = 0; i < s->watch_count; i++) {
        uint64_t at = nidus_compare_ram(s->a, s->b, s->watch[i], s->watch[i] + PAGE_SIZE);

        if (at == UINT64_MAX)
            continue;
        at &= ~UINT64_C(15);
        fprintf(s->out, "  RAM %09" PRIx64 ": ", at);
        show_bytes(s, s->a, at);
        fprintf(s->out, ", ");
        show_bytes(s, s->b, at);
        fputc('\n', s->out);
    }
}

/* The processor that has run on one side or the other since `before`; -1: none, time has passed.
 * Cycles say nothing: those of a processor that sleeps go on. */
static int who_ran(const struct search *s)
{
    for (unsigned i = 0; i < s->b->cpu_count; i++) {
        const struct cpu *old = &s->before[i].cpu, *a = s->a->cpu[i], *b = s->b->cpu[i];

        if (a->insn_count != old->insn_count || b->insn_count != old->insn_count ||
            a->rip != old->rip || b->rip != old->rip)
            return (int)i;
    }
    return -1;
}

static uint64_t linear_rip(const struct cpu *cpu, uint64_t rip)
{
    return rip + (cpu_64bit(cpu) ? 0 : cpu->seg[SEG_CS].base);
}

/* The block that the reference has just run, as its memory was before; after an event, as it is. */
static void show_code(const struct search *s, const struct before *old, struct cpu *cpu)
{
    uint64_t count = cpu->insn_count - old->cpu.insn_count, rip = cpu->r[REG_BLOCK_RIP];
    const char *line = old->code;

    if (count == 0) {
        fprintf(s->out, "the reference has run no instruction: an event, or a fault of a fetch\n");
        return;
    }
    fprintf(s->out, "code of the block (%" PRIu64 " instructions):\n", count);
    if (rip != old->cpu.rip) {
        fprintf(s->out, "(an event was delivered first)\n");
        cpu_disassemble(cpu, linear_rip(cpu, rip), (unsigned)count, s->out);
        return;
    }
    for (uint64_t i = 0; i < count && line && *line; i++) {
        size_t n = strcspn(line, "\n");

        fprintf(s->out, "%.*s\n", (int)n, line);
        line += n + (line[n] == '\n');
    }
}

static void show_native(const struct search *s, unsigned cpu, uint64_t rip)
{
    char command[64];

    s->a->monitor_cpu = cpu;
    snprintf(command, sizeof command, "dump-jit 0x%" PRIx64, linear_rip(s->b->cpu[cpu], rip));
    if (!nidus_command(s->a, command, s->out))
        fprintf(s->out, "(no native code to show)\n");
}

/* One cycle later nothing more has run: but the last block then fits in, and is run by other code. */
static void show_last_block(const struct search *s)
{
    fprintf(s->out,
            "no further block has run: timers have fired, all slept, or the last one has run "
            "in another way\n");
    for (unsigned i = 0; i < s->before_count; i++) {
        const struct before *old = &s->before[i];

        if (!old->earlier)
            continue;
        fprintf(s->out, "cpu%u, the last block, its first %d instructions:\n%s", i, EARLIER_LINES,
                old->earlier);
        cpu_show(&old->cpu, s->out);
        show_native(s, i, old->cpu.r[REG_BLOCK_RIP]);
    }
}

/* the blocks that may be in one piece of native code with the last one, oldest first */
static void show_path(const struct search *s)
{
    unsigned n = s->ran_count < PATH_BLOCKS ? s->ran_count : PATH_BLOCKS;

    for (unsigned i = s->ran_count - n; i < s->ran_count; i++) {
        const struct ran *r = &s->ran[i % PATH_BLOCKS];
        char command[64];

        fprintf(s->out, "cpu%u, block of %" PRIu64 " instructions before it:\n", r->cpu,
                r->instructions);
        cpu_disassemble(s->b->cpu[r->cpu], r->linear, (unsigned)r->instructions, s->out);
        s->a->monitor_cpu = r->cpu;
        snprintf(command, sizeof command, "dump-jit 0x%" PRIx64, r->linear);
        nidus_command(s->a, command, s->out);
    }
}

static void report_block(const struct search *s)
{
    int ran = who_ran(s);
    unsigned i = ran < 0 ? 0 : (unsigned)ran;
    const struct before *old = &s->before[i];

    show_differences(s);
    if (ran < 0) {
        show_last_block(s);
        return;
    }
    fprintf(s->out, "cpu%u before, at cycle %" PRIu64 ":\n", i, cpu_cycles(&old->cpu));
    cpu_show(&old->cpu, s->out);
    fprintf(s->out, "the block before, its first %d instructions:\n%s", EARLIER_LINES,
            old->earlier ? old->earlier : "");
    show_code(s, old, s->b->cpu[i]);
    fprintf(s->out, "after, machine under test, at cycle %" PRIu64 ":\n", cpu_cycles(s->a->cpu[i]));
    cpu_show(s->a->cpu[i], s->out);
    fprintf(s->out, "after, reference, at cycle %" PRIu64 ":\n", cpu_cycles(s->b->cpu[i]));
    cpu_show(s->b->cpu[i], s->out);
    show_native(s, i, old->cpu.rip);
}

/* ---- the search ---- */

static char *disassembly(struct cpu *cpu, uint64_t rip, unsigned count, size_t *size)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, size);

    if (!out)
        return NULL;
    cpu_disassemble(cpu, linear_rip(cpu, rip), count, out);
    fclose(out);
    return text;
}

static void forget(struct before *old)
{
    free(old->code);
    free(old->earlier);
    old->code = old->earlier = NULL;
}

static void remember(struct search *s)
{
    for (unsigned i = 0; i < s->before_count; i++) {
        struct before *old = &s->before[i];
        struct cpu *cpu = s->b->cpu[i];

        forget(old);
        old->cpu = *cpu;
        if (cpu->activity != ACTIVE)
            continue;
        old->code = disassembly(cpu, cpu->rip, CODE_LINES, &old->code_size);
        old->earlier = disassembly(cpu, cpu->r[REG_BLOCK_RIP], EARLIER_LINES, &old->earlier_size);
    }
}

/* 2: from the last look at RAM on, the first slice after which something differs */
static bool narrow_to_slice(struct search *s)
{
    uint64_t at = s->good_ram;

    if (s->watch_count == 0)
        return true;
    if (!go_to(s, at))
        return false;
    while (at < s->bad) {
        uint64_t next = next_slice(s, at);

        run_both(s, next);
        if (stopped(s))
            return false;
        if (!same(s)) {
            s->good = at;
            s->bad = next;
            return true;
        }
        at = next;
    }
    fprintf(s->out, "run again, the machines do not differ: something outside takes part\n");
    return false;
}

/* 3: the first block after which something differs; reported */
static bool narrow_to_block(struct search *s)
{
    bool more = true;

    if (!go_to(s, s->good))
        return false;
    while (more) {
        bool other;

        remember(s);
        more = nidus_run_block(s->a, s->bad, &s->end);
        other = nidus_run_block(s->b, s->bad, &s->ends);
        if (more)
            s->end = NIDUS_TIME;
        if (other)
            s->ends = NIDUS_TIME;
        if (stopped(s))
            return false;
        if (more == other && same(s))
            continue;
        fprintf(s->out, "the first block after which they differ:\n");
        report_block(s);
        return true;
    }
    return false;
}

/* The state before the last block that the reference runs to reach `cycle`: an engine that may not
 * run it as a whole interprets it, so that one cycle less does not stop in front of it. */
static void remember_last_block(struct search *s, uint64_t cycle)
{
    int ran;

    remember(s);
    s->ran_count = 0;
    while (nidus_run_block(s->b, cycle, &s->ends)) {
        const struct cpu *cpu;

        ran = who_ran(s);
        if (ran < 0 || cpu_cycles(cpu = s->b->cpu[ran]) >= cycle)
            continue;
        s->ran[s->ran_count++ % PATH_BLOCKS] = (struct ran){
            .cpu = (unsigned)ran,
            .linear = linear_rip(cpu, cpu->r[REG_BLOCK_RIP]),
            .instructions = cpu->insn_count - s->before[ran].cpu.insn_count,
        };
        remember(s);
    }
}

/* 4: they do not differ when each block is left at once */
static void narrow_by_halves(struct search *s)
{
    uint64_t low = s->good, high = s->bad;

    fprintf(s->out, "taken block by block they do not differ: blocks that follow each other do\n");
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;

        if (!go_to(s, s->good))
            return;
        run_both(s, middle);
        if (stopped(s))
            return;
        *(same(s) ? &low : &high) = middle;
    }
    if (!go_to(s, s->good))
        return;
    remember_last_block(s, high);
    if (!go_to(s, s->good))
        return;
    run_both(s, high);
    fprintf(s->out,
            "run from cycle %" PRIu64 " without a stop, they differ after this block and not "
            "before:\n",
            s->good);
    report_block(s);
    show_path(s);
}

static void find(struct search *s)
{
    fprintf(s->out,
            "lockstep: the machines differ at cycle %" PRIu64 "; at %" PRIu64
            " registers and devices were the same, at %" PRIu64 " RAM\n",
            s->bad, s->good, s->good_ram);
    watch_ram(s);
    show_differences(s);
    fprintf(s->out, "looking for the block\n");
    fflush(s->out);
    s->before_count = s->b->cpu_count;
    s->before = calloc(s->before_count, sizeof *s->before);
    if (s->before && narrow_to_slice(s) && !narrow_to_block(s) && s->b && !stopped(s))
        narrow_by_halves(s);
    for (unsigned i = 0; s->before && i < s->before_count; i++)
        forget(&s->before[i]);
    free(s->before);
}

/* 1 */
static enum nidus_lockstep_end run_slices(struct search *s)
{
    struct nidus_lockstep *l = s->l;

    for (uint64_t at = 0;;) {
        uint64_t next = next_slice(s, at);
        bool over, look;

        run_both(s, next);
        if (stopped(s))
            return NIDUS_LOCKSTEP_STOPPED;
        over = s->end != NIDUS_TIME || next == l->cycles;
        look = over || next / RAM_EVERY != at / RAM_EVERY;
        s->good = at;
        s->bad = next;
        if (!same(s) || (look && !same_ram(s))) {
            find(s);
            return NIDUS_LOCKSTEP_DIFFERENT;
        }
        at = next;
        if (look)
            s->good_ram = at;
        l->event = s->end;
        l->now = s->a->now;
        if (over)
            return NIDUS_LOCKSTEP_EQUAL;
    }
}

enum nidus_lockstep_end nidus_lockstep(struct nidus_lockstep *l, FILE *out, char *error)
{
    struct search s = { .l = l, .out = out, .error = error };
    enum nidus_lockstep_end end = NIDUS_LOCKSTEP_FAILED;

    if (!l->slice)
        l->slice = SLICE;
    l->now = l->compared = 0;
    if (create_pair(&s, false))
        end = run_slices(&s);
    destroy_pair(&s);
    return end;
}
