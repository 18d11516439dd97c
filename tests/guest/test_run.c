/* Guest programs (.S of this folder, built by tests/guest/CMakeLists.txt) on whole machines. Each
 * runs twice on each engine: how it ends must be as guests.def says, and all runs must be the same,
 * cycle by cycle. A program that fails has sent its line (L) or an unexpected exception (X) through COM1. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "include/nidus.h"

enum { OUTPUT = 4096, RUN_MS = 1000 };

static const struct {
    const char *name;
    unsigned cpus;
    enum nidus_event end;
    const char *device;
} guests[] = {
#define GUEST(name, cpus, end, device) { #name, cpus, NIDUS_##end, device },
#include "tests/guest/guests.def"
};

/* What executes the code. An engine is a row: its name, and what it wants of a configuration. */
static const struct engine {
    const char *name;
    struct nidus_config config;
} engines[] = {
    { "interpreter", { .cpu = "max", .accel = NIDUS_ACCEL_INTERP } },
    { "translator", { .cpu = "max", .accel = NIDUS_ACCEL_NATIVE } },
    { "translator with little room", { .cpu = "max", .code_cache = 1 << 20 } },
};
enum { INTERPRETER, TRANSLATOR };
enum { RUNS_EACH = 2, RUNS = RUNS_EACH * (int)(sizeof engines / sizeof engines[0]) };

struct run {
    enum nidus_event end;
    int exit_code;
    struct nidus_stats stats;
    uint8_t output[OUTPUT];
    size_t count;
};

static struct nidus_blob read_image(const char *name)
{
    struct nidus_blob blob = { NULL, 0 };
    char path[1024];
    FILE *f;
    void *bytes;

    snprintf(path, sizeof path, "%s/%s.elf", GUEST_DIR, name);
    f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s is missing", path);
    bytes = malloc(1 << 20);
    blob.bytes = bytes;
    blob.count = fread(bytes, 1, 1 << 20, f);
    fclose(f);
    return blob;
}

static void take_output(void *owner, const uint8_t *bytes, size_t count)
{
    struct run *r = owner;

    for (size_t i = 0; i < count && r->count < OUTPUT; i++)
        r->output[r->count++] = bytes[i];
}

static struct nidus *create(struct run *r, unsigned guest, struct nidus_blob image,
                            const struct engine *engine)
{
    struct nidus_config config = engine->config;
    struct nidus_char serial = { .owner = r, .write = take_output };
    char error[NIDUS_ERROR_SIZE] = "";
    struct nidus *m;

    config.ram = 16 << 20;
    config.cpus = guests[guest].cpus;
    config.entropy = 7;
    m = nidus_create(&config, error);
    ck_assert_msg(m != NULL, "%s", error);
    ck_assert_msg(nidus_add_char(m, "serial0", &serial, error), "%s", error);
    ck_assert_msg(nidus_add_device(m, "isa-debug-exit,iobase=0xf4,iosize=4", error), "%s", error);
    if (guests[guest].device)
        ck_assert_msg(nidus_add_device(m, guests[guest].device, error), "%s", error);
    ck_assert_msg(nidus_load_kernel(m, image, (struct nidus_blob){ NULL, 0 }, "", error), "%s",
                  error);
    return m;
}

static void run_once(struct run *r, unsigned guest, const struct engine *engine,
                     struct nidus_blob image)
{
    struct nidus *m = create(r, guest, image, engine);

    r->end = nidus_run(m, UINT64_C(1000000) * RUN_MS);
    r->exit_code = nidus_exit_code(m);
    nidus_get_stats(m, &r->stats);
    nidus_destroy(m);
}

static void explain(const struct run *r)
{
    uint32_t v[3];

    if (r->count >= 3 && r->output[0] == 'L') {
        fprintf(stderr, "line %u\n", r->output[1] | r->output[2] << 8);
    } else if (r->count >= 13 && r->output[0] == 'X') {
        memcpy(v, r->output + 1, sizeof v);
        fprintf(stderr, "unexpected exception %u (%#x) at %#x\n", v[0], v[1], v[2]);
    }
    fprintf(stderr, "event %d, exit code %d, %ju cycles\n", (int)r->end, r->exit_code,
            (uintmax_t)r->stats.cycles);
}

START_TEST(guest_program_finds_what_the_manual_says)
{
    static struct run runs[RUNS];
    struct nidus_blob image = read_image(guests[_i].name);

    memset(runs, 0, sizeof runs);
    for (unsigned i = 0; i < RUNS; i++) {
        const struct engine *engine = &engines[i / RUNS_EACH];
        struct run *r = &runs[i];

        run_once(r, (unsigned)_i, engine, image);
        if (r->end != guests[_i].end || (r->end == NIDUS_EXIT && r->exit_code != 1)) {
            explain(r);
            ck_abort_msg("%s.S failed on the %s", guests[_i].name, engine->name);
        }
        if (memcmp(&runs[0], r, sizeof *r) != 0) {
            explain(&runs[0]);
            explain(r);
            ck_abort_msg("%s.S: run %u, on the %s, differs", guests[_i].name, i, engine->name);
        }
    }
    free((void *)image.bytes);
}
END_TEST

struct bench {
    unsigned guest;
    struct nidus_blob image;
    struct run runs[2];
};

static struct nidus *bench_create(void *owner, bool reference, bool again, char *error)
{
    struct bench *b = owner;

    return create(&b->runs[reference], b->guest, b->image,
                  &engines[reference ? INTERPRETER : TRANSLATOR]);
}

static void bench_destroy(void *owner, struct nidus *m)
{
    nidus_destroy(m);
}

START_TEST(guest_program_is_the_same_with_both_engines)
{
    static struct bench b;
    struct nidus_lockstep l = { .slice = 1000,
                                .cycles = UINT64_C(2000000) * RUN_MS,
                                .owner = &b,
                                .create = bench_create,
                                .destroy = bench_destroy };
    char error[NIDUS_ERROR_SIZE] = "";

    b = (struct bench){ .guest = (unsigned)_i, .image = read_image(guests[_i].name) };
    ck_assert_msg(nidus_lockstep(&l, stderr, error) == NIDUS_LOCKSTEP_EQUAL, "%s.S: see above",
                  guests[_i].name);
    ck_assert_int_eq(l.event, guests[_i].end);
    free((void *)b.image.bytes);
}
END_TEST

Suite *suite_guest_run(void)
{
    Suite *s = suite_create("guest/run");
    TCase *t = tcase_create("programs");

    tcase_set_timeout(t, 60);
#ifdef GUEST_DIR_EMPTY
    fprintf(stderr, "guest/run: x86 objects cannot be built here: no guest programs\n");
#else
    tcase_add_loop_test(t, guest_program_finds_what_the_manual_says, 0,
                        sizeof guests / sizeof guests[0]);
    tcase_add_loop_test(t, guest_program_is_the_same_with_both_engines, 0,
                        sizeof guests / sizeof guests[0]);
#endif
    suite_add_tcase(s, t);
    return s;
}
