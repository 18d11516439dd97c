/* What native code has done, in numbers: `info jit`, and "native_code" of the statistics. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/jit/jit_state.h"

enum { TOP_CALLS = 20 };

/* of one instruction's interpreter function */
struct call {
    unsigned id;
    uint64_t calls, slow;
};

/* of some processors */
struct sums {
    struct jit_stats s;
    uint64_t cache, used; /* bytes */
    uint64_t instructions, interpreted, calls, slow;
    struct call top[TOP_CALLS];
    unsigned top_count;
};

void jit_get_stats(const struct cpu *cpu, struct jit_stats *out)
{
    *out = cpu->jit ? cpu->jit->stats : (struct jit_stats){ 0 };
}

static uint64_t cache_used(const struct jit *jit)
{
    uint64_t used = 0;

    for (unsigned i = 0; i < jit->chunk_count; i++) {
        const struct chunk *c = &jit->chunk[i];

        used += (uint64_t)(c->hot - c->start) + (uint64_t)(c->cold - c->middle);
    }
    return used;
}

static int more_calls(const void *a, const void *b)
{
    const struct call *x = a, *y = b;
    uint64_t n = x->calls + x->slow, m = y->calls + y->slow;

    return n != m ? (n < m ? 1 : -1) : (int)x->id - (int)y->id;
}

static void add_jit(struct sums *sums, struct call *call, const struct jit *jit)
{
    uint64_t *to = (uint64_t *)&sums->s;
    const uint64_t *from = (const uint64_t *)&jit->stats;

    _Static_assert(sizeof sums->s % sizeof *to == 0, "counters only");
    for (size_t i = 0; i < sizeof sums->s / sizeof *to; i++)
        to[i] += from[i];
    sums->cache += jit->code.size;
    sums->used += cache_used(jit);
    for (unsigned id = 0; id < INSN_COUNT; id++) {
        call[id].id = id;
        call[id].calls += jit->calls[id];
        call[id].slow += jit->slow[id];
    }
}

static void add_up(struct sums *sums, struct cpu *const *cpus, unsigned count)
{
    struct call *call = calloc(INSN_COUNT, sizeof *call);

    *sums = (struct sums){ .top_count = 0 };
    for (unsigned i = 0; i < count; i++) {
        sums->instructions += cpus[i]->insn_count;
        sums->interpreted += cpus[i]->interpreted;
        if (call && cpus[i]->jit)
            add_jit(sums, call, cpus[i]->jit);
    }
    if (!call)
        return;
    for (unsigned id = 0; id < INSN_COUNT; id++) {
        sums->calls += call[id].calls;
        sums->slow += call[id].slow;
    }
    qsort(call, INSN_COUNT, sizeof *call, more_calls);
    while (sums->top_count < TOP_CALLS && call[sums->top_count].calls + call[sums->top_count].slow)
        sums->top_count++;
    memcpy(sums->top, call, sums->top_count * sizeof *call);
    free(call);
}

/* part of whole, in thousandths */
static uint64_t thousandths(uint64_t part, uint64_t whole)
{
    while (part > UINT64_MAX / 1000) {
        part >>= 1;
        whole >>= 1;
    }
    return whole ? part * 1000 / whole : 0;
}

static uint64_t emitted(const struct sums *s)
{
    uint64_t not = s->interpreted + s->calls + s->slow;

    return s->instructions > not ? s->instructions - not : 0;
}

/* ---- for people ---- */

static void show_share(FILE *out, const char *what, uint64_t part, uint64_t whole)
{
    uint64_t n = thousandths(part, whole);

    fprintf(out, "  %3" PRIu64 ".%" PRIu64 " %%  %12" PRIu64 "  %s\n", n / 10, n % 10, part, what);
}

static void show_ratio(FILE *out, uint64_t part, uint64_t whole)
{
    uint64_t n = (thousandths(part, whole) + 50) / 100;

    fprintf(out, "%" PRIu64 ".%" PRIu64, n / 10, n % 10);
}

static void show_calls(FILE *out, const struct sums *sums)
{
    if (sums->top_count)
        fprintf(out, "instructions that called their interpreter function most:\n"
                     "     no emitter     slow path  instruction\n");
    for (unsigned i = 0; i < sums->top_count; i++)
        fprintf(out, "  %13" PRIu64 " %13" PRIu64 "  %s\n", sums->top[i].calls, sums->top[i].slow,
                insn_names[sums->top[i].id]);
}

void jit_show(struct cpu *cpu, uint64_t run_ns, FILE *out)
{
    struct sums sums;
    const struct jit_stats *s = &sums.s;
    uint64_t share;

    if (!cpu->jit) {
        fprintf(out, "this processor has no native code\n");
        return;
    }
    add_up(&sums, &cpu, 1);
    share = thousandths(s->translate_ns, run_ns);
    fprintf(out,
            "blocks: %" PRIu64 " translated, %" PRIu64 " live, %" PRIu64 " evicted, %" PRIu64
            " refused\n"
            "links: %" PRIu64 " made, %" PRIu64 " undone\n"
            "entries from the run loop: %" PRIu64 "\n",
            s->translated, s->live, s->evictions, s->refused, s->links, s->unlinks, s->entries);
    fprintf(out, "code: %" PRIu64 " guest bytes, %" PRIu64 " native bytes (", s->guest_bytes,
            s->native_bytes);
    show_ratio(out, s->native_bytes, s->guest_bytes);
    fprintf(out,
            " a guest byte)\n"
            "cache: %" PRIu64 " of %" PRIu64 " KiB in use\n"
            "translating: %" PRIu64 " ms, %" PRIu64 ".%" PRIu64 " %% of %" PRIu64
            " ms of running\n",
            sums.used >> 10, sums.cache >> 10, s->translate_ns / 1000000, share / 10, share % 10,
            run_ns / 1000000);
    fprintf(out, "instructions: %" PRIu64 "\n", sums.instructions);
    show_share(out, "by emitted code", emitted(&sums), sums.instructions);
    show_share(out, "by calls of interpreter functions", sums.calls, sums.instructions);
    show_share(out, "by slow paths of emitted code", sums.slow, sums.instructions);
    show_share(out, "by the interpreter", sums.interpreted, sums.instructions);
    show_calls(out, &sums);
}

/* ---- for programs ---- */

void jit_show_json(struct cpu *const *cpus, unsigned count, FILE *out)
{
    struct sums sums;
    const struct jit_stats *s = &sums.s;

    add_up(&sums, cpus, count);
    fprintf(out,
            "{\n    \"translated\": %" PRIu64 ", \"live\": %" PRIu64 ", \"refused\": %" PRIu64
            ", \"evictions\": %" PRIu64 ",\n    \"links\": %" PRIu64 ", \"unlinks\": %" PRIu64
            ", \"entries\": %" PRIu64 ",\n",
            s->translated, s->live, s->refused, s->evictions, s->links, s->unlinks, s->entries);
    fprintf(out,
            "    \"guest_bytes\": %" PRIu64 ", \"native_bytes\": %" PRIu64
            ", \"cache_bytes\": %" PRIu64 ", \"cache_used\": %" PRIu64
            ",\n    \"translate_ns\": %" PRIu64 ",\n",
            s->guest_bytes, s->native_bytes, sums.cache, sums.used, s->translate_ns);
    fprintf(out,
            "    \"instructions\": { \"emitted\": %" PRIu64 ", \"calls\": %" PRIu64
            ", \"slow_paths\": %" PRIu64 ", \"interpreted\": %" PRIu64 " },\n    \"calls\": {",
            emitted(&sums), sums.calls, sums.slow, sums.interpreted);
    for (unsigned i = 0; i < sums.top_count; i++)
        fprintf(out, "%s\n      \"%s\": [%" PRIu64 ", %" PRIu64 "]", i ? "," : "",
                insn_names[sums.top[i].id], sums.top[i].calls, sums.top[i].slow);
    fprintf(out, "%s}\n  }", sums.top_count ? "\n    " : "");
}
