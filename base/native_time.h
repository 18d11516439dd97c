/* Native time, for statistics only: nothing that a guest can see may depend on it. */
#pragma once
#include <stdint.h>
#include <time.h>

static inline uint64_t native_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}
