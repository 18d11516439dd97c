/* Paths of blocks (cpu/jit/path.c), and what they need of cpu/jit/jit.c. */
#pragma once
#include "cpu/jit/jit_state.h"

/* what follows the block of `head` in one piece of native code: head->follows and on */
void path_build(struct jit *jit, struct native_block *head);
/* the path is not entered any more; who runs in it finds it stale */
void path_drop(struct jit *jit, struct native_block *head);

struct native_block *native_new(struct jit *jit, struct block *b);
/* nothing leads to it any more, and it leads nowhere */
void native_isolate(struct jit *jit, struct native_block *nb);
void jump_forget(struct jit *jit, const struct block *b);
