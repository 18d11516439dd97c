/* State components of the XSAVE feature set: x87 (0) and SSE (1).
 * [SDM 1 "Managing State Using the XSAVE Feature Set"] */
#pragma once
#include "cpu/cpu.h"

enum {
    XSTATE_X87 = 1,
    XSTATE_SSE = 2,
    XSTATE_USER = XSTATE_X87 | XSTATE_SSE,
    XSTATE_SUPERVISOR = 0
};
enum { XSAVE_LEGACY_BYTES = 512, XSAVE_HEADER_BYTES = 64 };

/* components that XCR0 (user) or IA32_XSS (supervisor) can enable: CPUID.(EAX=0DH,ECX=0):EDX:EAX
 * and ECX=1:EDX:ECX; both components lie in the legacy region, so there are no further subleaves */
static inline uint64_t xsave_user_components(void)
{
    return XSTATE_USER;
}
static inline uint64_t xsave_supervisor_components(void)
{
    return XSTATE_SUPERVISOR;
}
/* bytes of an XSAVE area with these components, standard or compacted format: CPUID.0DH, ECX=0:EBX
 * (of XCR0) and ECX (of all), ECX=1:EBX (of XCR0 | IA32_XSS) */
static inline uint32_t xsave_area_bytes(uint64_t components, bool compacted)
{
    (void)components;
    (void)compacted;
    return XSAVE_LEGACY_BYTES + XSAVE_HEADER_BYTES;
}

/* XGETBV with ECX = 1: XCR0 AND XINUSE, where MXCSR counts as SSE state */
uint64_t xsave_in_use(struct cpu *cpu);
