#include "base/err.h"

#include <stdio.h>
#include <string.h>

bool err_set(struct err *e, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    return false;
}

bool err_prefix(struct err *e, const char *fmt, ...)
{
    char old[sizeof e->text];
    va_list ap;
    size_t used;

    memcpy(old, e->text, sizeof old);
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    used = strlen(e->text);
    snprintf(e->text + used, sizeof e->text - used, ": %s", old);
    return false;
}
