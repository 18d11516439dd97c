/* Trace points of VMX, from trace.def. */
#pragma once
#include <inttypes.h>

#include "base/trace.h"

#define TRACE TRACE_DECLARE
#include "vmx/trace.def"

extern struct trace_point *const vmx_trace_points[]; /* NULL at the end */
