/* Loads for scripts/bench, run on the machine itself and in Linux guests:
 *   bench [-t] [DIVISOR] NAME...|all     DIVISOR: of the rounds, for a short run
 * Time inside a guest is virtual, so it is the reader of these lines who takes the time:
 *   bench: start NAME
 *   bench: done NAME ROUNDS CHECKSUM [SECONDS]
 * -t adds the seconds: on the machine itself its clock is right, and exact where a reader lags.
 * A line is one write, and nothing else is written meanwhile. The checksum of a load is the same on
 * every machine. Only what every x86-64 processor has is used: the C library's functions that are
 * picked by CPUID would be different code in each machine, so inner loops call none of those, but
 * for the copies within qsort. */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

enum fill { FILL_ZERO, FILL_RANDOM, FILL_TEXT, FILL_CHAIN, FILL_CODE };

static const struct load {
    const char *name;
    uint64_t (*run)(uint64_t rounds, uint8_t *memory);
    uint64_t rounds;
    size_t bytes;
    enum fill fill;
} loads[] = {
#define LOAD(name, count, bytes, holds) { #name, load_##name, count, bytes, FILL_##holds },
#include "bench_loads.def"
};

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    char line[128];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (write(STDOUT_FILENO, line, (size_t)n) != n)
        _exit(1);
}

void give_up(const char *what)
{
    say("bench: FAILED: %s\n", what);
    _exit(1);
}

static void fill_text(uint8_t *memory, size_t bytes)
{
    static const char letters[] = "etaoin shrdlu 0123 x+=7 \"(;)\" #\n";
    uint32_t seed = 2;

    for (size_t i = 0; i < bytes; i++)
        memory[i] = (uint8_t)letters[lcg(&seed) % (sizeof letters - 1)];
}

/* A ring through all cells in an order that no prefetcher knows: a full-period generator. */
static void fill_chain(uint8_t *memory, size_t bytes)
{
    struct cell *cells = (struct cell *)memory;
    size_t count = bytes / sizeof *cells; /* a power of two */

    for (size_t i = 0; i < count; i++) {
        cells[i].next = &cells[(i * 1664525 + 1013904223) % count];
        cells[i].value = i;
    }
}

static void fill(const struct load *load, uint8_t *memory)
{
    uint32_t seed = 1;

    switch (load->fill) {
    case FILL_ZERO:
    case FILL_CODE: break;
    case FILL_RANDOM:
        for (size_t i = 0; i < load->bytes; i++)
            memory[i] = (uint8_t)lcg(&seed);
        break;
    case FILL_TEXT: fill_text(memory, load->bytes); break;
    case FILL_CHAIN: fill_chain(memory, load->bytes); break;
    }
}

/* Fresh for each load, so that fork has as much to copy whatever ran before. Pages are small ones
 * everywhere: whether they would be large depends on how a kernel is configured. */
static uint8_t *get_memory(const struct load *load)
{
    int access = PROT_READ | PROT_WRITE | (load->fill == FILL_CODE ? PROT_EXEC : 0);
    uint8_t *memory;

    if (!load->bytes)
        return NULL;
    memory = mmap(NULL, load->bytes, access, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        give_up("no memory");
    madvise(memory, load->bytes, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < load->bytes; i += 4096)
        *(volatile uint8_t *)(memory + i) = 0;
    fill(load, memory);
    return memory;
}

static double seconds_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void run(const struct load *load, uint64_t divisor, bool timed)
{
    uint64_t rounds = load->rounds / divisor, sum;
    uint8_t *memory = get_memory(load);
    char seconds[24] = "";
    double start;

    if (!rounds)
        rounds = 1;
    say("bench: start %s\n", load->name);
    start = seconds_now();
    sum = load->run(rounds, memory);
    if (timed)
        snprintf(seconds, sizeof seconds, " %.6f", seconds_now() - start);
    say("bench: done %s %ju %#jx%s\n", load->name, (uintmax_t)rounds, (uintmax_t)sum, seconds);
    if (memory)
        munmap(memory, load->bytes);
}

int main(int argc, char **argv)
{
    uint64_t divisor = 1;
    bool known = false, timed = false;

    for (int i = 1; i < argc; i++) {
        if (argv[i][0] >= '1' && argv[i][0] <= '9') {
            divisor = strtoull(argv[i], NULL, 10);
            continue;
        }
        if (strcmp(argv[i], "-t") == 0) {
            timed = true;
            continue;
        }
        known = false;
        for (size_t j = 0; j < sizeof loads / sizeof loads[0]; j++) {
            if (strcmp(argv[i], "all") != 0 && strcmp(argv[i], loads[j].name) != 0)
                continue;
            known = true;
            run(&loads[j], divisor, timed);
        }
        if (!known)
            break;
    }
    if (known)
        return 0;
    fputs("usage: bench [-t] [DIVISOR] NAME...|all\nloads:", stderr);
    for (size_t j = 0; j < sizeof loads / sizeof loads[0]; j++)
        fprintf(stderr, " %s", loads[j].name);
    fputs("\n", stderr);
    return 2;
}
