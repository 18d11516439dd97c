/* Memory for native code: written through one mapping, run through another. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct code_buffer {
    uint8_t *write; /* read, write */
    uint8_t *run;   /* read, execute: the same bytes */
    size_t size;
};

bool code_buffer_open(struct code_buffer *c, size_t size, struct err *e);
void code_buffer_close(struct code_buffer *c);
