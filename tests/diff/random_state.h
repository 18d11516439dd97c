/* Random x87 and SSE state, mostly of values that mean something special. */
#pragma once
#include "tests/diff/random_insn.h"

/* all but the addresses and the opcode; some exceptions of SSE are unmasked now and then */
void random_fx(struct random *r, struct fx_image *fx);
