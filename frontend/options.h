/* The command line as a struct. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { MAX_SERIALS = 4, MAX_DRIVES = 16, MAX_DEVICES = 32, MAX_TRACES = 32 };

struct options {
    const char *kernel, *initrd, *append, *cpu;
    uint64_t ram;
    unsigned cpus;
    const char *drives[MAX_DRIVES], *devices[MAX_DEVICES], *traces[MAX_TRACES];
    const char *serials[MAX_SERIALS], *debugcon, *monitor;
    unsigned drive_count, device_count, trace_count, serial_count;
    const char *log_items, *log_file, *stats_file;
    bool snapshot, cycles_clock, stopped, no_reboot, nodefaults;
    int64_t wall_seconds;
    uint64_t seed;
    bool interp, perf_map;
    bool dump_jit;
    uint64_t dump_first, dump_last; /* linear addresses */
    uint64_t code_cache;            /* bytes, 0: as the library likes */
    bool lockstep;
    uint64_t lockstep_slice, lockstep_cycles; /* 0: the default, without end */
};

enum options_result {
    OPTIONS_RUN,   /* go on */
    OPTIONS_DONE,  /* help or version was printed: exit 0 */
    OPTIONS_ERROR, /* `error` says why: exit 2 */
};

/**
 * options_parse - one dash or two; the strings stay argv's.
 * @error one line of at most 512 bytes, with the option in front
 */
enum options_result options_parse(struct options *o, int argc, char **argv, char *error);

/* "512M" gives 536870912, "512" 512 * unit; false: error says why. On failure *bytes is untouched. */
bool parse_size(const char *s, uint64_t unit, uint64_t *bytes, char *error);
/* a whole number from min to max */
bool parse_number(const char *s, uint64_t min, uint64_t max, uint64_t *n, char *error);
