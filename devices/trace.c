/* The switches behind devices/trace.def. */
#include "devices/trace.h"

#define TRACE(id, args, ...) TRACE_DEFINE(id, args, __VA_ARGS__)
#include "devices/trace.def"

#define TRACE(id, args, ...) TRACE_LIST(id, args, __VA_ARGS__)
struct trace_point *const trace_devices[] = {
#include "devices/trace.def"
    NULL,
};
