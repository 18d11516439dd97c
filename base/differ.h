/* What differs between two things that should be the same, said by name with both values. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/field.h"

enum { DIFFER_LINES = 200 }; /* more are only counted */

struct differences {
    FILE *out;        /* NULL: only count */
    const char *part; /* whose values they are: "cpu0", "pic" */
    unsigned count;
};

void differ_value(struct differences *d, const char *name, uint64_t a, uint64_t b);
/* one line for each element that differs; fields for which `skip` says so are left out (or NULL) */
void differ_fields(struct differences *d, const void *a, const void *b, const struct field *list,
                   bool (*skip)(const struct field *f));
