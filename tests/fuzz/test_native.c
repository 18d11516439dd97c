/* Random streams of 64-bit code, some hundred rounds of each so that it is translated, on two machines
 * side by side: native code against the interpreter. What differs is reduced to the pieces of code
 * that it takes, and reported.
 *
 * A stream depends on its seed only: NIDUS_FUZZ_SEED is the first stream's, NIDUS_FUZZ_ROUNDS says how
 * many streams follow. */
#include <check.h>

#if defined(__x86_64__)
#include <stdio.h>
#include <stdlib.h>

#include "cpu/jit/jit.h"
#include "machine/machine.h"
#include "tests/fuzz/native_machine.h"

/* streams of all cases together */
#if defined(__SANITIZE_ADDRESS__)
enum { CASES = 4, DEFAULT_STREAMS = 80 };
#else
enum { CASES = 4, DEFAULT_STREAMS = 240 };
#endif
#define CYCLES UINT64_C(3000000) /* of a stream, at most */

/* what all streams have done together */
struct totals {
    uint64_t streams, finished, instructions, interpreted;
    struct jit_stats jit;
};

static unsigned long native_environment(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);

    return text ? strtoul(text, NULL, 0) : otherwise;
}

/* ---- one stream ---- */

static struct nidus *make(const struct stream *s, bool reference)
{
    char error[NIDUS_ERROR_SIZE] = "";
    struct nidus *m = native_machine(s, reference, error);

    ck_assert_msg(m != NULL, "%s", error);
    return m;
}

static void count(struct totals *t, struct nidus *m, enum nidus_event end)
{
    struct jit_stats jit;

    jit_get_stats(m->cpu[0], &jit);
    t->streams++;
    t->finished += end == NIDUS_EXIT;
    t->instructions += m->cpu[0]->insn_count;
    t->interpreted += m->cpu[0]->interpreted;
    t->jit.translated += jit.translated;
    t->jit.links += jit.links;
    t->jit.unlinks += jit.unlinks;
    t->jit.evictions += jit.evictions;
}

/* Slice by slice; RAM at the end. True: there is a difference. */
static bool differs(const struct stream *s, struct totals *totals)
{
    struct nidus *a = make(s, false), *b = make(s, true);
    enum nidus_event end = NIDUS_TIME;
    bool different = false;

    for (uint64_t at = s->slice; end == NIDUS_TIME && at < CYCLES && !different; at += s->slice) {
        end = nidus_run_to(a, at);
        different = nidus_run_to(b, at) != end || !nidus_compare(a, b, NULL);
    }
    different = different || nidus_compare_ram(a, b, 0, UINT64_MAX) != UINT64_MAX;
    if (totals)
        count(totals, a, end);
    nidus_destroy(a);
    nidus_destroy(b);
    return different;
}

/* ---- what differs, made small ---- */

static bool differs_without(struct stream *s, unsigned from, unsigned to)
{
    bool was[STREAM_MAX_PIECES];
    bool changed = false, different;

    for (unsigned i = from; i < to; i++) {
        was[i] = s->piece[i].dropped;
        changed |= !was[i];
        s->piece[i].dropped = true;
    }
    different = changed && stream_place(s) && differs(s, NULL);
    for (unsigned i = from; i < to && !different; i++)
        s->piece[i].dropped = was[i];
    return different;
}

static void drop_pieces(struct stream *s)
{
    bool more = true;

    for (unsigned step = s->count / 2; step > 0 || more; step = step > 1 ? step / 2 : step > 0) {
        more = false;
        for (unsigned at = 0; at < s->count; at += step)
            more |= differs_without(s, at, at + step < s->count ? at + step : s->count);
        if (step == 1 && !more)
            break;
    }
    stream_place(s);
}

/* fewer rounds, no timer, no way between contexts, ... while the difference stays */
static void simplify(struct stream *s)
{
    uint32_t period = s->period;
    unsigned rounds = s->rounds;

    s->period = 0;
    if (!differs(s, NULL))
        s->period = period;
    while (s->rounds > 30) {
        rounds = s->rounds;
        s->rounds -= s->rounds / 4;
        if (differs(s, NULL))
            continue;
        s->rounds = rounds;
        break;
    }
}

static struct nidus *create(void *owner, bool reference, bool again, char *error)
{
    return native_machine(owner, reference, error);
}

static void destroy(void *owner, struct nidus *m)
{
    nidus_destroy(m);
}

static void report(struct stream *s)
{
    struct nidus_lockstep l = {
        .slice = s->slice, .cycles = CYCLES, .owner = s, .create = create, .destroy = destroy
    };
    char error[NIDUS_ERROR_SIZE] = "";
    struct nidus *m = make(s, true);
    unsigned left = 0;
    char command[64];

    for (unsigned i = 0; i < s->count; i++)
        left += !s->piece[i].dropped;
    fprintf(stderr, "seed %#jx: %u pieces of code, %u rounds, slices of %u cycles; the code:\n",
            (uintmax_t)s->seed, left, s->rounds, s->slice);
    snprintf(command, sizeof command, "x /%ui %#jx", 4 * left + 1, (uintmax_t)(s->code + s->start));
    nidus_command(m, command, stderr);
    nidus_destroy(m);
    nidus_lockstep(&l, stderr, error);
}

/* ---- many ---- */

static bool run_stream(uint64_t seed, struct totals *totals)
{
    struct stream *s = stream_new(seed);
    bool different = stream_place(s) && differs(s, totals);

    if (different) {
        drop_pieces(s);
        simplify(s);
        drop_pieces(s);
        report(s);
    }
    stream_free(s);
    return !different;
}

START_TEST(random_code_is_the_same_with_both_engines)
{
    uint64_t seed = native_environment("NIDUS_FUZZ_SEED", 1);
    uint64_t rounds = native_environment("NIDUS_FUZZ_ROUNDS", DEFAULT_STREAMS) / CASES;
    struct totals t = { 0 };

    for (uint64_t i = 0; i < rounds; i++) {
        uint64_t mine = seed + i * CASES + (uint64_t)_i;

        ck_assert_msg(run_stream(mine, &t),
                      "native code differs from the interpreter: see above; "
                      "NIDUS_FUZZ_SEED=%ju NIDUS_FUZZ_ROUNDS=%u",
                      (uintmax_t)mine, CASES);
    }
    if (getenv("NIDUS_FUZZ_SHOW"))
        fprintf(stderr,
                "%ju streams, %ju finished, %ju instructions, %ju interpreted, %ju blocks, "
                "%ju links, %ju unlinks, %ju evictions\n",
                (uintmax_t)t.streams, (uintmax_t)t.finished, (uintmax_t)t.instructions,
                (uintmax_t)t.interpreted, (uintmax_t)t.jit.translated, (uintmax_t)t.jit.links,
                (uintmax_t)t.jit.unlinks, (uintmax_t)t.jit.evictions);
    if (t.streams < 10 || !t.jit.translated)
        return; /* no judgement; or there is no native code here */
    /* it is native code that has been tested, and the streams run to their ends */
    ck_assert_uint_lt(t.interpreted, t.instructions / 2);
    ck_assert_uint_gt(t.finished, t.streams * 3 / 4);
}
END_TEST
#endif

Suite *suite_fuzz_native(void)
{
    Suite *s = suite_create("fuzz/native");
    TCase *t = tcase_create("native");

    tcase_set_timeout(t, 600);
#if defined(__x86_64__)
    tcase_add_loop_test(t, random_code_is_the_same_with_both_engines, 0, CASES);
#endif
    suite_add_tcase(s, t);
    return s;
}
