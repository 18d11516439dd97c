/* State components of the XSAVE feature set: x87 (0) and SSE (1), both in the legacy region of the
 * area, whose size is therefore always the same. [SDM 1 "Managing State Using the XSAVE Feature
 * Set"] */
#pragma once
#include "cpu/cpu.h"

enum { XSTATE_X87 = 1, XSTATE_SSE = 2 };
enum { XSAVE_LEGACY_BYTES = 512, XSAVE_HEADER_BYTES = 64 };

/* XGETBV with ECX = 1: XCR0 AND XINUSE, where MXCSR counts as SSE state */
uint64_t xsave_in_use(struct cpu *cpu);
