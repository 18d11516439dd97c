/* Translation of hot blocks to native code: the engine behind `-accel native` (docs/translator.md).
 *
 * A block, with those that follow it, becomes one piece of native code. It is entered with the
 * guest's registers in native ones (x64.h), the arithmetic flags saved in cpu->native.flags, and
 * cpu->native.page being the page that the code is fetched from. Each block charges its cost or
 * leaves, and does its work; the last goes on to the next: by a direct link, which is checked once
 * and patched, or through a table of jump targets. Everything else is the run loop's (cpu/run.c). */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "cpu/cpu.h"

#define JIT_DEFAULT_CACHE (UINT64_C(256) << 20)

struct jit_stats {                      /* uint64_t only */
    uint64_t translated, refused;       /* hot blocks, each with those that follow it */
    uint64_t live;                      /* blocks with native code now */
    uint64_t guest_bytes, native_bytes; /* of all that was translated */
    uint64_t links, unlinks, evictions;
    uint64_t entries;      /* from the run loop */
    uint64_t far;          /* accesses that missed too often in struct tlb_near */
    uint64_t translate_ns; /* native time spent translating */
};

/* Native code for this processor from now on, in `cache` bytes of address space (0: the default).
 * False, with a reason, where no executable memory can be had: the processor interprets. */
bool jit_attach(struct cpu *cpu, uint64_t cache, struct err *e);
void jit_detach(struct cpu *cpu);

/* ---- watching (show.c, dump.c, perf_map.c) ---- */
void jit_get_stats(const struct cpu *cpu, struct jit_stats *out);
/* `info jit`; run_ns: native time that the machine has run */
void jit_show(struct cpu *cpu, uint64_t run_ns, FILE *out);
/* native code of the linear addresses from first to last, as they are mapped now */
void jit_dump(struct cpu *cpu, uint64_t first, uint64_t last, FILE *out);
/* from now on, the same of each block as it is translated */
void jit_dump_translated(struct cpu *cpu, uint64_t first, uint64_t last, FILE *out);
/* names for perf to `out`, which stays the caller's: the stubs now, blocks as they are translated */
void jit_perf_map(struct cpu *cpu, FILE *out);
/* the numbers of all processors together, as a JSON object */
void jit_show_json(struct cpu *const *cpus, unsigned count, FILE *out);
