/* Native code for people, and translating a block once more beside its native code. */
#pragma once
#include <stdio.h>

#include "cpu/jit/jit_state.h"

/* The same translation in memory of its own: where the code of each instruction begins is known from
 * it, and whether translation depends on anything but the block. */
struct again {
    uint8_t *map;
    size_t size;
    const uint8_t *hot, *cold; /* the bytes, without the links that have been made since */
    size_t hot_bytes, cold_bytes;
    struct native_block nb[PATH_MAX_BLOCKS];
    struct jit_marks marks;
};
bool jit_again(struct jit *jit, const struct native_block *nb, struct again *a);
void jit_again_done(struct again *a);

/* `rip`: linear address of the block */
void jit_dump_block(struct jit *jit, const struct native_block *nb, uint64_t rip, FILE *out);
