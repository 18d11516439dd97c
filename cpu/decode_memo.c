/* Decoding by memory. All but the values of an instruction, which come last, are a few bytes, and
 * programs use the same ones again and again: these are looked up, and the values filled in. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "cpu/cpu.h"
#include "cpu/decode.h"

enum {
    MEMO_BITS = 10,
    MEMO_LONGEST = 8, /* bytes in front of the values */
    MEMO_ROOM = 24,   /* 15 bytes, of which the last may be read as the first of eight */
};

/* a value is the eight bytes at `at`, shifted up and down again */
struct memo_value {
    uint8_t at, shift;
    bool present, is_signed;
};

struct memo_entry {
    uint64_t bytes, mask; /* of those in front of the values; mask 0: none */
    struct insn in;       /* start 0 */
    struct memo_value disp, imm;
    bool rip, relative; /* the value counts from the instruction's end */
};

struct decode_memo {
    const uint64_t *features;
    uint8_t front[256]; /* by the first byte that is no REX: so many bytes say most of what it is */
    struct memo_entry entry[1 << MEMO_BITS];
};

static uint64_t memo_mask(unsigned bytes)
{
    return UINT64_MAX >> (64 - 8 * bytes);
}

static unsigned memo_front(const struct insn *in, const struct decode_layout *l)
{
    return in->length - l->disp.bytes - l->imm.bytes;
}

struct decode_memo *decode_memo_create(const uint64_t *features)
{
    struct decode_memo *m = calloc(1, sizeof *m);

    ASSERT(m);
    m->features = features;
    for (unsigned i = 0; i < 256; i++) {
        uint8_t bytes[15] = { (uint8_t)i };
        struct insn in = { .start = 0 };
        struct decode_layout l;

        m->front[i] = 1;
        if (decode_layout(&in, bytes, sizeof bytes, KEY_CODE64, features, &l) == DECODE_OK)
            m->front[i] = (uint8_t)(memo_front(&in, &l) % MEMO_LONGEST);
    }
    return m;
}

static uint64_t memo_load(const uint8_t *at)
{
    uint64_t v;

    memcpy(&v, at, sizeof v);
    return v;
}

static struct memo_entry *memo_at(struct decode_memo *m, uint64_t bytes)
{
    unsigned rex = (bytes & 0xf0) == 0x40;
    unsigned front = m->front[bytes >> 8 * rex & 0xff] + rex;

    return &m->entry[(bytes & memo_mask(front)) * UINT64_C(0x9e3779b97f4a7c15) >> (64 - MEMO_BITS)];
}

static uint64_t memo_value(const struct memo_value *v, const uint8_t *bytes)
{
    uint64_t up = memo_load(bytes + v->at) << v->shift;

    return v->is_signed ? (uint64_t)((int64_t)up >> v->shift) : up >> v->shift;
}

static struct memo_value memo_value_of(const struct decode_value *v)
{
    return (struct memo_value){
        .at = v->at,
        .shift = (uint8_t)(64 - 8 * v->bytes),
        .present = v->bytes > 0,
        .is_signed = v->is_signed,
    };
}

static void memo_enter(struct memo_entry *e, uint64_t bytes, const struct insn *in,
                       const struct decode_layout *l)
{
    unsigned front = memo_front(in, l);

    if (l->irregular || in->id == INSN_INVALID || front > MEMO_LONGEST)
        return;
    *e = (struct memo_entry){
        .bytes = bytes & memo_mask(front),
        .mask = memo_mask(front),
        .in = *in,
        .disp = memo_value_of(&l->disp),
        .imm = memo_value_of(&l->imm),
        .rip = in->base == REG_BLOCK_RIP,
        .relative = l->relative,
    };
}

enum decode_result decode_again(struct decode_memo *m, struct insn *in, const uint8_t *bytes,
                                size_t count, uint32_t key)
{
    struct decode_layout l;
    struct memo_entry *e;
    enum decode_result r;
    uint64_t first;
    uint16_t start = in->start;

    if (count < MEMO_ROOM || (key & KEY_CODE_MASK) != KEY_CODE64)
        return decode(in, bytes, count < 15 ? count : 15, key, m->features);
    first = memo_load(bytes);
    e = memo_at(m, first);
    if (unlikely(!e->mask || ((first ^ e->bytes) & e->mask))) {
        r = decode_layout(in, bytes, 15, key, m->features, &l);
        if (r == DECODE_OK)
            memo_enter(e, first, in, &l);
        return r;
    }
    *in = e->in;
    in->start = start;
    if (e->disp.present)
        in->disp = (int64_t)memo_value(&e->disp, bytes) + (e->rip ? start + in->length : 0);
    if (e->imm.present)
        in->imm = memo_value(&e->imm, bytes) + (e->relative ? (uint64_t)start + in->length : 0);
    return DECODE_OK;
}
