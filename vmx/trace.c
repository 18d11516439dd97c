/* Trace points of VMX. */
#include "vmx/trace.h"

#define TRACE TRACE_DEFINE
#include "vmx/trace.def"

struct trace_point *const vmx_trace_points[] = {
#define TRACE TRACE_LIST
#include "vmx/trace.def"
    NULL,
};
