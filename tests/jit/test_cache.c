/* A code cache that is too small for what is hot: old code goes, as little as need be at a time, and
 * nothing that the guest computes changes. */
#include <stdio.h>

#include "tests/jit/jit_lab.h"

enum {
    CACHE = 1 << 20,
    PROGRAM = 0x10000,
    FUNCTIONS = 12000, /* of FUNCTION bytes, each hot */
    FUNCTION = 64,
    ROUNDS = 60,
};

/* Calls of all functions, ROUNDS times. Function n: ten times eax = eax * 3 + n, as separate
 * instructions; all of them cost more native code than the cache has. */
static void write_program(struct insn_lab *lab)
{
    uint8_t *at = calloc(1, FUNCTIONS * FUNCTION + 64), *p = at;
    size_t bytes = FUNCTIONS * FUNCTION;

    ck_assert_ptr_nonnull(at);
    for (unsigned n = 0; n < FUNCTIONS; n++) {
        p = at + n * FUNCTION;
        for (unsigned i = 0; i < 7; i++) {
            const uint8_t body[] = { 0x8d, 0x04,       0x40, /* lea eax, [rax + rax*2] */
                                     0x05, (uint8_t)n, (uint8_t)(n >> 8),
                                     0,    0 }; /* add eax, n */

            memcpy(p, body, sizeof body);
            p += sizeof body;
        }
        *p++ = 0xc3;
    }
    bus_write_bytes(lab->bus, PROGRAM, at, bytes);
    free(at);
}

/* mov ecx, ROUNDS; 1: mov rbx, PROGRAM; mov edx, FUNCTIONS; 2: call rbx; add rbx, FUNCTION; dec edx;
 * jnz 2b; dec ecx; jnz 1b; hlt */
static const uint8_t caller[] = { 0xb9,
                                  ROUNDS,
                                  0,
                                  0,
                                  0,
                                  0xbb,
                                  0,
                                  0,
                                  1,
                                  0,
                                  0xba,
                                  FUNCTIONS & 0xff,
                                  FUNCTIONS >> 8,
                                  0,
                                  0,
                                  0xff,
                                  0xd3,
                                  0x48,
                                  0x83,
                                  0xc3,
                                  FUNCTION,
                                  0xff,
                                  0xca,
                                  0x75,
                                  0xf6,
                                  0xff,
                                  0xc9,
                                  0x75,
                                  0xe8,
                                  0xf4 };

static uint32_t expected(void)
{
    uint32_t eax = 0;

    for (unsigned round = 0; round < ROUNDS; round++)
        for (unsigned n = 0; n < FUNCTIONS; n++)
            for (unsigned i = 0; i < 7; i++)
                eax = eax * 3 + n;
    return eax;
}

static uint64_t resident_kib(const void *at)
{
    FILE *f = fopen("/proc/self/smaps", "r");
    char line[512];
    uint64_t kib = 0;
    bool here = false;

    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f)) {
        uintptr_t first, end;

        if (sscanf(line, "%lx-%lx ", &first, &end) == 2)
            here = (uintptr_t)at >= first && (uintptr_t)at < end;
        else if (here && sscanf(line, "Rss: %ju", &kib) == 1)
            break;
    }
    fclose(f);
    return kib;
}

static struct insn_lab *run_program(uint64_t cache)
{
    struct insn_lab *lab = hot_lab(LAB_LONG, cache);

    write_program(lab);
    hot_execute(lab, caller, sizeof caller);
    ck_assert_uint_eq((uint32_t)lab->cpu->r[RAX], expected());
    return lab;
}

START_TEST(more_hot_code_than_fits_runs_right)
{
    struct insn_lab *lab = run_program(CACHE), *reference = run_program(0);
    const struct jit_stats *s = &lab->cpu->jit->stats;

    ck_assert_uint_eq(cpu_cycles(lab->cpu), cpu_cycles(reference->cpu));
    ck_assert_uint_eq(lab->cpu->insn_count, reference->cpu->insn_count);
    ck_assert_uint_gt(s->evictions, FUNCTIONS / 4);
    ck_assert_uint_lt(s->live, s->translated);
    ck_assert_uint_gt(s->native_bytes, CACHE);
    hot_free(lab);
    hot_free(reference);
}
END_TEST

START_TEST(the_cache_is_the_bound_of_its_memory)
{
    struct insn_lab *lab = run_program(CACHE);
    struct jit *jit = lab->cpu->jit;

    ck_assert_uint_eq(jit->code.size, CACHE);
    ck_assert_uint_le(resident_kib(jit->code.write), CACHE >> 10);
    ck_assert_uint_gt(resident_kib(jit->code.write), 0);
    for (unsigned i = 0; i < jit->chunk_count; i++) {
        const struct chunk *c = &jit->chunk[i];

        ck_assert(c->start <= c->hot && c->hot <= c->middle);
        ck_assert(c->middle <= c->cold && c->cold <= c->end);
        ck_assert(c->end <= jit->code.write + CACHE);
    }
    hot_free(lab);
}
END_TEST

/* What one eviction has to undo is a chunk's paths, and no chunk has more than its share. */
START_TEST(an_eviction_is_bounded)
{
    struct insn_lab *lab = run_program(CACHE);
    struct jit *jit = lab->cpu->jit;
    unsigned most = 0, paths = 0;

    for (unsigned i = 0; i < jit->chunk_count; i++) {
        unsigned n = 0;

        for (const struct native_block *nb = jit->chunk[i].first; nb; nb = nb->next)
            n++;
        most = n > most ? n : most;
        paths += n;
        ck_assert_uint_le((size_t)(jit->chunk[i].end - jit->chunk[i].start),
                          CACHE / jit->chunk_count);
    }
    ck_assert_uint_gt(paths, 0);
    ck_assert_uint_le(most, CACHE / jit->chunk_count / 32); /* none is smaller than 32 bytes */
    ck_assert_uint_ge(jit->chunk_count, 2);
    hot_free(lab);
}
END_TEST

/* Evicted code is neither linked nor in the table of jump targets. */
START_TEST(nothing_leads_to_evicted_code)
{
    struct insn_lab *lab = run_program(CACHE);
    struct jit *jit = lab->cpu->jit;
    const struct native_block *nb;

    for (uint32_t id = 0; (nb = next_path(jit, &id));) {
        ck_assert_ptr_eq(nb->b->translated, nb);
        ck_assert_ptr_eq(nb->b->code, nb->code);
        for (const struct link *l = nb->in; l; l = l->next)
            ck_assert(!l->from->stale && l->to == nb);
    }
    for (unsigned i = 0; i < JUMP_TABLE_ENTRIES; i++) {
        bool found = !jit->jumps[i].tag;

        for (uint32_t id = 0; !found && (nb = next_path(jit, &id));)
            found = jit->jumps[i].code == nb->code;
        ck_assert_msg(found, "a jump into code that is not there");
    }
    hot_free(lab);
}
END_TEST

Suite *suite_jit_cache(void)
{
    Suite *s = suite_create("jit/cache");
    TCase *t = tcase_create("cache");

    tcase_set_timeout(t, 60);
    tcase_add_test(t, more_hot_code_than_fits_runs_right);
    tcase_add_test(t, the_cache_is_the_bound_of_its_memory);
    tcase_add_test(t, an_eviction_is_bounded);
    tcase_add_test(t, nothing_leads_to_evicted_code);
    suite_add_tcase(s, t);
    return s;
}
