/* Values at the edges of the formats: zeros, infinities, NaNs of both kinds, denormals, the largest and
 * smallest numbers, and numbers around 1. [SDM 1 "Floating-Point Data Types"] */
#include "tests/diff/random_state.h"

#include <string.h>

#include "base/bits.h"

static void random_st(struct random *r, uint8_t *st)
{
    static const uint16_t exponents[] = { 0, 1, 0x3ffe, 0x3fff, 0x4000, 0x403e, 0x7ffe, 0x7fff };
    uint64_t significand = random_value(r);
    uint16_t e = random_one_in(r, 2) ? (uint16_t)(0x3fc0 + random_below(r, 128))
                                     : exponents[random_below(r, 8)];

    if (e != 0 && !random_one_in(r, 16))
        significand |= BIT(63); /* an unnormal otherwise */
    e |= (uint16_t)(random_below(r, 2) << 15);
    memcpy(st, &significand, 8);
    memcpy(st + 8, &e, 2);
}

static void random_xmm(struct random *r, uint8_t *xmm)
{
    static const uint32_t singles[] = { 0,          0x80000000, 0x3f800000, 0x7f800000,
                                        0xff800000, 0x7fc00000, 0x7fa00000, 1,
                                        0x807fffff, 0x00800000, 0x7f7fffff, 0x4f000000 };
    static const uint64_t doubles[] = { 0,
                                        BIT(63),
                                        0x3ff0000000000000,
                                        0x7ff0000000000000,
                                        0xfff0000000000000,
                                        0x7ff8000000000000,
                                        0x7ff4000000000000,
                                        1,
                                        0x800fffffffffffff,
                                        0x0010000000000000,
                                        0x7fefffffffffffff,
                                        0x41e0000000000000 };
    unsigned kind = (unsigned)random_below(r, 4);

    for (unsigned i = 0; i < 16; i += 4) {
        uint32_t v = (uint32_t)random_value(r);

        if (kind == 1) /* near 1 */
            v = (uint32_t)(random_below(r, 2) << 31 | (0x3c000000 + random_below(r, 0x8000000)));
        if (kind == 2)
            v = singles[random_below(r, sizeof singles / sizeof singles[0])];
        memcpy(xmm + i, &v, 4);
    }
    for (unsigned i = 0; kind == 3 && i < 16; i += 8) {
        uint64_t v = random_one_in(r, 2)
                         ? doubles[random_below(r, sizeof doubles / sizeof doubles[0])]
                         : (random_u64(r) & ~(UINT64_C(0x7ff) << 52)) |
                               (0x3e0 + random_below(r, 64)) << 52;

        memcpy(xmm + i, &v, 8);
    }
}

void random_fx(struct random *r, struct fx_image *fx)
{
    static const uint16_t precision[] = { 0x000, 0x200, 0x300, 0x300 };

    fx->control = (uint16_t)(0x7f | precision[random_below(r, 4)] | random_below(r, 4) << 10);
    fx->status = (uint16_t)(random_below(r, 8) << 11 | (random_u64(r) & 0x4700));
    fx->tag = random_one_in(r, 4) ? (uint8_t)random_u64(r) : 0xff;
    fx->mxcsr = 0x1f80 | (uint32_t)random_below(r, 4) << 13;
    if (random_one_in(r, 4))
        fx->mxcsr |= random_u64(r) & 0x8040; /* FTZ, DAZ */
    if (random_one_in(r, 8))
        fx->mxcsr &= (uint32_t)random_u64(r) | ~UINT32_C(0x1f80); /* some exceptions unmasked */
    for (unsigned i = 0; i < 8; i++)
        random_st(r, fx->st[i]);
    for (unsigned i = 0; i < 16; i++)
        random_xmm(r, fx->xmm[i]);
}
