/* What the files of the benchmark share: see bench.c. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* A load does its rounds and returns a number that depends on all of them. */
#define LOAD(name, count, bytes, holds) uint64_t load_##name(uint64_t rounds, uint8_t *memory);
#include "bench_loads.def"

/* A cell of the rings that FILL_CHAIN makes, a cache line each. */
struct cell {
    struct cell *next;
    uint64_t value;
    uint8_t rest[48];
};

static inline uint32_t lcg(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

/* Ends the program: the reader takes a load without its "done" as failed. */
_Noreturn void give_up(const char *what);
