/* Random code in random modes on a whole machine. */
#include "tests/fuzz/fuzz.h"

enum { DEFAULT_ROUNDS = 400, NS = 20000 };

static void code_rounds(unsigned cpus, enum fuzz_mode mode, uint64_t rounds)
{
    uint64_t seed = fuzz_environment("NIDUS_FUZZ_SEED", 1);
    struct fuzz *f = fuzz_new(cpus);

    for (uint64_t round = 0; round < rounds; round++) {
        fuzz_seed(f, seed + round * FUZZ_MODES + mode);
        fuzz_reset(f);
        fuzz_code(f, FUZZ_CODE, FUZZ_CODE_SIZE);
        for (unsigned i = 0; i < cpus; i++)
            fuzz_enter(f, f->m->cpu[i], mode);
        nidus_run(f->m, NS);
        ck_assert_msg(f->m->now < UINT64_C(1) << 40, "time has run away; seed %ju, round %ju",
                      (uintmax_t)seed, (uintmax_t)round);
    }
    fuzz_free(f);
}

START_TEST(random_code_harms_nobody)
{
    code_rounds(1, (enum fuzz_mode)_i, fuzz_environment("NIDUS_FUZZ_ROUNDS", DEFAULT_ROUNDS));
}
END_TEST

START_TEST(random_code_on_two_processors_harms_nobody)
{
    code_rounds(2, FUZZ_LONG, fuzz_environment("NIDUS_FUZZ_ROUNDS", DEFAULT_ROUNDS) / 4);
}
END_TEST

/* Exceptions lead back into the code, so that most of it becomes hot. */
START_TEST(random_code_is_the_same_with_both_engines)
{
    static const enum fuzz_mode modes[] = { FUZZ_LONG, FUZZ_USER64, FUZZ_COMPATIBILITY };
    enum fuzz_mode mode = modes[_i];
    uint64_t seed = fuzz_environment("NIDUS_FUZZ_SEED", 1);
    uint64_t rounds = fuzz_environment("NIDUS_FUZZ_ROUNDS", DEFAULT_ROUNDS) / 4;
    struct fuzz *f[2] = { fuzz_new_on(1, NIDUS_ACCEL_NATIVE), fuzz_new_on(1, NIDUS_ACCEL_INTERP) };

    for (uint64_t round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < 2; i++) {
            fuzz_seed(f[i], seed + round * FUZZ_MODES + mode);
            fuzz_reset(f[i]);
            fuzz_code(f[i], FUZZ_CODE, FUZZ_CODE_SIZE);
            fuzz_enter(f[i], f[i]->m->cpu[0], mode);
            nidus_run(f[i]->m, NS);
        }
        fuzz_expect_same(f[0], f[1], seed + round * FUZZ_MODES + mode);
    }
    fuzz_expect_native(f[0], 4);
    fuzz_free(f[0]);
    fuzz_free(f[1]);
}
END_TEST

/* the same code twice gives the same machine */
START_TEST(random_code_runs_the_same_twice)
{
    struct nidus_stats stats[2];
    uint64_t registers[2][16];

    for (unsigned i = 0; i < 2; i++) {
        struct fuzz *f = fuzz_new(1);

        for (unsigned round = 0; round < 20; round++) {
            fuzz_seed(f, 4711 + round);
            fuzz_reset(f);
            fuzz_code(f, FUZZ_CODE, FUZZ_CODE_SIZE);
            fuzz_enter(f, f->m->cpu[0], (enum fuzz_mode)(round % FUZZ_MODES));
            nidus_run(f->m, NS);
        }
        memcpy(registers[i], f->m->cpu[0]->r, sizeof registers[i]);
        memset(&stats[i], 0, sizeof stats[i]);
        nidus_get_stats(f->m, &stats[i]);
        fuzz_free(f);
    }
    ck_assert_mem_eq(registers[0], registers[1], sizeof registers[0]);
    ck_assert_uint_eq(stats[0].cycles, stats[1].cycles);
    ck_assert_uint_eq(stats[0].instructions, stats[1].instructions);
}
END_TEST

Suite *suite_fuzz_code(void)
{
    Suite *s = suite_create("fuzz/code");
    TCase *t = tcase_create("code");

    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, random_code_harms_nobody, 0, FUZZ_MODES);
    tcase_add_test(t, random_code_on_two_processors_harms_nobody);
    tcase_add_loop_test(t, random_code_is_the_same_with_both_engines, 0, 3);
    tcase_add_test(t, random_code_runs_the_same_twice);
    suite_add_tcase(s, t);
    return s;
}
