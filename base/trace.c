#include "base/trace.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <stdarg.h>

static struct {
    FILE *file;
    uint64_t (*now)(void *owner);
    void *owner;
} sink;

void trace_print(const struct trace_point *p, const char *fmt, ...)
{
    FILE *out = sink.file ? sink.file : stderr;
    va_list ap;

    if (sink.now)
        fprintf(out, "%" PRIu64 " ", sink.now(sink.owner));
    fprintf(out, "%s: ", p->name);
    va_start(ap, fmt);
    vfprintf(out, fmt, ap);
    va_end(ap);
    fputc('\n', out);
}

size_t trace_enable(struct trace_point *const *list, const char *pattern)
{
    size_t matched = 0;

    for (; *list; list++) {
        if (fnmatch(pattern, (*list)->name, 0) != 0)
            continue;
        (*list)->on = true;
        matched++;
    }
    return matched;
}

void trace_set_sink(FILE *file)
{
    sink.file = file;
}

void trace_set_time(uint64_t (*now)(void *owner), void *owner)
{
    sink.now = now;
    sink.owner = owner;
}
