/* x87, MMX and SSE state. Physical registers: st[i] is R(i), ST(n) is st[(top + n) & 7]; MMX
 * register n is the significand of st[n]. */
#pragma once
#include <stdint.h>

struct float80 {
    uint64_t significand;
    uint16_t sign_exponent;
};

union xmm {
    uint8_t u8[16];
    uint16_t u16[8];
    uint32_t u32[4];
    uint64_t u64[2];
    float f32[4];
    double f64[2];
};

struct fpu {
    struct float80 st[8];
    uint16_t control, status; /* status holds TOP in 13:11 */
    uint8_t tag;              /* bit i: R(i) is not empty */
    uint16_t opcode;          /* FOP */
    uint64_t ip, dp;          /* FIP and FDP with their selectors beside */
    uint16_t cs, ds;
    uint32_t mxcsr;
    _Alignas(16) union xmm xmm[16];
};
