/* Trace points of the devices, as functions: trace_uart16550_write(...). */
#pragma once
#include "base/trace.h"

#define TRACE(id, args, ...) TRACE_DECLARE(id, args, __VA_ARGS__)
#include "devices/trace.def"

/* all of them; NULL at the end */
extern struct trace_point *const trace_devices[];
