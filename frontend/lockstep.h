/* -lockstep: the same machine with both engines, side by side. */
#pragma once
#include "frontend/options.h"

/* runs, reports and returns the exit status */
int lockstep_run(const struct options *o);
