/* The six arithmetic flags, kept lazily: an operation stores its result and the carries out of
 * interesting bit positions, and a flag is computed when somebody reads it.
 *
 *   result   sign-extended to 64 bits: ZF is "result == 0", SF its bit 63, PF the parity of 7:0
 *   aux      bit 0: carry into the top bit, bit 1: carry out of it (CF), bit 3: carry out of bit 3
 *            (AF); OF is bit 0 XOR bit 1. Bit 4 inverts SF and bits 15:8 are XORed into the
 *            parity's byte, so that any combination of flags can be set. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/bits.h"

struct flags {
    uint64_t result;
    uint32_t aux;
};

enum { AUX_CARRY_IN_TOP = 1, AUX_CARRY = 2, AUX_AF = 8, AUX_SF_FLIP = 16, AUX_PF_SHIFT = 8 };

ALWAYS_INLINE bool flags_cf(const struct flags *f)
{
    return (f->aux & AUX_CARRY) != 0;
}
ALWAYS_INLINE bool flags_af(const struct flags *f)
{
    return (f->aux & AUX_AF) != 0;
}
ALWAYS_INLINE bool flags_zf(const struct flags *f)
{
    return f->result == 0;
}
ALWAYS_INLINE bool flags_sf(const struct flags *f)
{
    return (f->result >> 63 ^ (f->aux >> 4 & 1)) != 0;
}
ALWAYS_INLINE bool flags_of(const struct flags *f)
{
    return ((f->aux ^ f->aux >> 1) & 1) != 0;
}
ALWAYS_INLINE bool flags_pf(const struct flags *f)
{
    return !__builtin_parity((uint32_t)((f->result ^ f->aux >> AUX_PF_SHIFT) & 0xff));
}

/* as in RFLAGS: CF 0, PF 2, AF 4, ZF 6, SF 7, OF 11 */
ALWAYS_INLINE uint64_t flags_get(const struct flags *f)
{
    return (uint64_t)flags_cf(f) | (uint64_t)flags_pf(f) << 2 | (uint64_t)flags_af(f) << 4 |
           (uint64_t)flags_zf(f) << 6 | (uint64_t)flags_sf(f) << 7 | (uint64_t)flags_of(f) << 11;
}

/* from an image as in RFLAGS (other bits are ignored) */
ALWAYS_INLINE void flags_set(struct flags *f, uint64_t rflags)
{
    uint32_t cf = rflags & 1, pf = rflags >> 2 & 1, af = rflags >> 4 & 1;
    uint32_t zf = rflags >> 6 & 1, sf = rflags >> 7 & 1, of = rflags >> 11 & 1;

    f->result = zf ? 0 : UINT64_C(0x100); /* not zero, positive, even parity of the low byte */
    f->aux = (cf ^ of) | cf << 1 | af << 3 | sf << 4 | (pf ^ 1) << AUX_PF_SHIFT;
}

/* change some flags of an RFLAGS image, keep the others */
ALWAYS_INLINE void flags_change(struct flags *f, uint64_t mask, uint64_t value)
{
    flags_set(f, (flags_get(f) & ~mask) | (value & mask));
}

ALWAYS_INLINE void flags_set_cf(struct flags *f, bool cf)
{
    /* OF must survive: flip both carries together */
    f->aux ^= cf != flags_cf(f) ? AUX_CARRY | AUX_CARRY_IN_TOP : 0;
}

/* the sixteen conditions of Jcc, SETcc and CMOVcc, by the low four opcode bits */
ALWAYS_INLINE bool flags_condition(const struct flags *f, unsigned cc)
{
    bool v;

    switch (cc >> 1) {
    case 0: v = flags_of(f); break;
    case 1: v = flags_cf(f); break;
    case 2: v = flags_zf(f); break;
    case 3: v = flags_cf(f) || flags_zf(f); break;
    case 4: v = flags_sf(f); break;
    case 5: v = flags_pf(f); break;
    case 6: v = flags_sf(f) != flags_of(f); break;
    default: v = flags_zf(f) || flags_sf(f) != flags_of(f); break;
    }
    return v != (cc & 1);
}
