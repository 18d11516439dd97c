/* Explanations for the user: the thing, the reason, the way out, in one line. */
#pragma once
#include <stdarg.h>
#include <stdbool.h>

struct err {
    char text[512]; /* one line without a newline; "" while nothing went wrong */
};

/**
 * err_set - say what went wrong; returns false, so that failing is one line.
 */
bool err_set(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/**
 * err_prefix - put "prefix: " in front of what is there (where it went wrong); returns false.
 */
bool err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
