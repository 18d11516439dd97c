#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void assert_failed(const char *file, int line, const char *cond)
{
    fflush(stdout);
    fprintf(stderr, "nidus: internal error at %s:%d: %s does not hold\n", file, line, cond);
    abort();
}
