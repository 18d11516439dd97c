/* Translation of hot blocks to native code: the engine behind `-accel native`.
 *
 * A block becomes one piece of native code. It is entered with the guest's registers in native ones
 * (x64_regs.h), the arithmetic flags saved in cpu->native.flags, and cpu->native.page being the page
 * that the code is fetched from; it charges its cost or leaves, does its work, and goes on to the
 * next block: by a direct link, which is checked once and patched, or through a table of jump
 * targets. Everything else is the run loop's (cpu/run.c). */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "cpu/cpu.h"

#define JIT_DEFAULT_CACHE (UINT64_C(256) << 20)

struct jit_stats {
    uint64_t translated, refused; /* blocks */
    uint64_t live;                /* blocks with native code now */
    uint64_t guest_bytes, native_bytes; /* of all that was translated */
    uint64_t links, unlinks, evictions;
    uint64_t entries;      /* from the run loop */
    uint64_t instructions; /* of blocks that native code has begun, and then of those ... */
    uint64_t calls;        /* ... that an interpreter function has run */
    uint64_t translate_ns; /* native time spent translating */
};

/* Native code for this processor from now on, in `cache` bytes of address space (0: the default).
 * False, with a reason, where no executable memory can be had: the processor interprets. */
bool jit_attach(struct cpu *cpu, uint64_t cache, struct err *e);
void jit_detach(struct cpu *cpu);
void jit_get_stats(const struct cpu *cpu, struct jit_stats *out);
