/* The file in which perf finds names for native code. */
#pragma once
#include "cpu/jit/jit_state.h"

/* a block has been translated; rip: its linear address */
void perf_map_block(const struct jit *jit, const struct native_block *nb, uint64_t rip);
