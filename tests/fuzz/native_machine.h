/* A machine with a stream in it, ready to run. */
#pragma once
#include "tests/fuzz/native_stream.h"

struct nidus;

/* NULL: `error` says why */
struct nidus *native_machine(const struct stream *s, bool reference, char *error);
