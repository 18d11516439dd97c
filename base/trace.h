/* Trace points. Each folder has a trace.def of rows
 *     TRACE(port92_write, (const char *id, unsigned value), "%s: value %#x", id, value)
 * and a trace.h / trace.c that expand it with the macros below. A point that is off costs one test
 * of a byte. The switches and the sink are the only globals of nidus. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct trace_point {
    const char *name;
    bool on;
};

/* in trace.h */
#define TRACE_DECLARE(id, args, ...)                     \
    extern struct trace_point trace_point_##id;          \
    static inline void trace_##id args                   \
    {                                                    \
        if (__builtin_expect(trace_point_##id.on, 0))    \
            trace_print(&trace_point_##id, __VA_ARGS__); \
    }

/* in trace.c: the points, then their list (NULL at the end) */
#define TRACE_DEFINE(id, args, ...) struct trace_point trace_point_##id = { #id, false };
#define TRACE_LIST(id, args, ...) &trace_point_##id,

void trace_print(const struct trace_point *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Switch on all points of a list whose name matches a shell pattern ("vmx_*"); how many matched. */
size_t trace_enable(struct trace_point *const *list, const char *pattern);

/* Where traces go (stderr at first), and whose cycles stamp the lines (NULL: none). */
void trace_set_sink(FILE *file);
void trace_set_time(uint64_t (*now)(void *owner), void *owner);
