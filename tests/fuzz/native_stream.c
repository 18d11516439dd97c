/* A stream: what the guest around it is like, its rounds, and its place in memory. */
#include "tests/fuzz/native_stream.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "cpu/cpu.h"
#include "cpu/jit/x64.h"

enum { POOL = 0x40, LOWEST = 0x200, END_BYTES = 2 };

/* page table entries */
#define ENTRY_NX BIT(63)
enum { P = 1, W = 2, U = 4, GLOBAL = 1 << 8 };

/* ---- the guest ---- */

static void choose_registers(struct stream *s)
{
    static const uint8_t can[] = { RBX, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };
    uint16_t taken = BIT(RSP);
    struct random_shape *shape = &s->shape;

    *shape = (struct random_shape){ .data = NG_DATA, .data_size = NG_ALIAS_PAGE << PAGE_SHIFT };
    for (unsigned n = 0; n < 6;) {
        unsigned reg = can[random_below(&s->r, sizeof can)];
        uint16_t *mask = n < 3 ? &shape->bases : n < 4 ? &shape->bases32 : &shape->indexes;

        if (taken >> reg & 1)
            continue;
        taken |= (uint16_t)BIT(reg);
        *mask |= (uint16_t)BIT(reg);
        n++;
    }
    shape->keep = taken;
    s->values = (uint16_t)~taken;
    shape->bases |= BIT(RSP);
}

static void choose_place(struct stream *s)
{
    static const uint64_t places[] = { 0x400000, 0x400000, 0x400000, UINT64_C(0xffff800000000000),
                                       UINT64_C(0xffffffff80000000) };
    static const uint64_t edges[] = { UINT64_C(0x7fffffffd000), UINT64_C(0xffffffffffffd000),
                                      0x400000 };

    s->at_edge = random_one_in(&s->r, 8);
    s->code = s->at_edge ? edges[random_below(&s->r, 3)] : places[random_below(&s->r, 5)];
}

static uint64_t random_rights(struct stream *s)
{
    switch (random_below(&s->r, 20)) {
    case 0: return P | U; /* read-only */
    case 1: return W | U; /* not present */
    case 2: return P | W; /* the supervisor's */
    case 3: return P | W | U | GLOBAL;
    case 4: return 0;
    case 5: return P | W | U | ENTRY_NX;
    default: return P | W | U;
    }
}

static void choose_pages(struct stream *s)
{
    bool alike = random_one_in(&s->r, 2);

    for (unsigned c = 0; c < 2; c++) {
        for (unsigned i = 0; i < NG_DATA_PAGES; i++) {
            /* neighbours are not neighbours in memory, now and then two are one */
            unsigned frame = (i * 5 + 7 * c) % NG_DATA_PAGES ^ random_one_in(&s->r, 16);

            s->page[c][i] = (NG_DATA_PA + (frame << PAGE_SHIFT)) | random_rights(s);
            if (i >= NG_ALIAS_PAGE && i < NG_ALIAS_PAGE + NG_CODE_PAGES)
                s->page[c][i] = (NG_CODE_PA + ((i - NG_ALIAS_PAGE) << PAGE_SHIFT)) | P | W | U;
        }
        for (unsigned i = 0; i < NG_CODE_PAGES; i++) {
            bool other = c == 1 && !alike && i == 1;

            s->code_page[c][i] = ((other ? NG_OTHER_PA : NG_CODE_PA) + (i << PAGE_SHIFT)) | P | W |
                                 U;
        }
    }
}

static void choose_controls(struct stream *s)
{
    bool pcid = random_one_in(&s->r, 2);

    s->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_PG;
    if (!random_one_in(&s->r, 6))
        s->cr0 |= CR0_WP;
    if (random_one_in(&s->r, 10))
        s->cr0 |= CR0_AM;
    s->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_FSGSBASE;
    if (pcid)
        s->cr4 |= CR4_PCIDE;
    if (random_one_in(&s->r, 2))
        s->cr4 |= CR4_PGE;
    if (!s->plain && random_one_in(&s->r, 6))
        s->cr4 |= CR4_SMAP;
    s->cr3[0] = NG_TABLES | (pcid ? 1 : 0);
    s->cr3[1] = (NG_TABLES + PAGE_SIZE) | (pcid ? 2 : 0);
    for (unsigned c = 0; c < 2 && pcid; c++)
        s->cr3[c] |= random_one_in(&s->r, 2) ? BIT(63) : 0;
    s->period = random_one_in(&s->r, 2) ? (uint32_t)(300 + random_below(&s->r, 3000)) : 0;
    s->restore = random_one_in(&s->r, 2) ? 63 : 127;
    s->cache = random_one_in(&s->r, 8) ? 1 : random_one_in(&s->r, 4) ? 4 : 8;
    s->slice = (uint32_t)(100 + random_below(&s->r, random_one_in(&s->r, 2) ? 500 : 8000));
    if (random_one_in(&s->r, 8))
        s->slice = (uint32_t)(25 + random_below(&s->r, 40));
}

/* ---- rounds ---- */

static uint64_t random_flags(struct stream *s, bool user)
{
    uint64_t flags = (random_u64(&s->r) & 0x8d5) | RFLAGS_FIXED;

    if (s->period && (user || !random_one_in(&s->r, 4)))
        flags |= RFLAGS_IF;
    if (random_one_in(&s->r, 16))
        flags |= RFLAGS_DF;
    if (random_one_in(&s->r, 12))
        flags |= RFLAGS_TF;
    if (random_one_in(&s->r, s->cr4 & CR4_SMAP ? 2 : 6))
        flags |= RFLAGS_AC;
    if (random_one_in(&s->r, 8))
        flags |= RFLAGS_IOPL;
    return flags;
}

static void make_registers(struct stream *s, uint64_t *r)
{
    for (unsigned i = 0; i < 16; i++) {
        r[i] = random_value(&s->r);
        if (s->shape.bases >> i & 1)
            r[i] = stream_pointer(s);
        else if (s->shape.bases32 >> i & 1)
            r[i] = stream_pointer(s) | random_u64(&s->r) << 32;
        else if (s->shape.indexes >> i & 1)
            r[i] = random_below(&s->r, 64);
    }
    r[RSP] &= ~UINT64_C(7);
}

/* the order of the kernel's POPs */
static void make_record(struct stream *s, uint64_t *record, unsigned user_rounds)
{
    static const uint8_t order[] = { RAX, RCX, RDX, RBX, RBP, RSI, RDI, R8,
                                     R9,  R10, R11, R12, R13, R14, R15 };
    bool user = random_below(&s->r, 4) < user_rounds;
    bool compatibility = user && !s->plain && random_one_in(&s->r, 16);
    uint64_t r[16];

    make_registers(s, r);
    *record++ = s->cr3[!s->plain && random_one_in(&s->r, 4)];
    *record++ = s->cr0 | (random_one_in(&s->r, 10) ? CR0_TS : 0);
    for (unsigned i = 0; i < 2; i++)
        *record++ = random_one_in(&s->r, 2) ? 0 : random_below(&s->r, 0x3000);
    for (unsigned i = 0; i < sizeof order; i++)
        *record++ = r[order[i]];
    *record++ = s->code + s->start;
    *record++ = compatibility ? NG_USER_CODE32 : user ? NG_USER_CODE : NG_KERNEL_CODE;
    *record++ = random_flags(s, user);
    *record++ = r[RSP];
    *record++ = user ? NG_USER_DATA : NG_KERNEL_DATA;
}

/* ---- placing ---- */

static unsigned piece_size(const struct piece *p)
{
    if (p->dropped)
        return 0;
    return p->length + (!p->branch ? 0 : !p->near ? 2 : p->branch == 0xeb ? 5 : 6);
}

static unsigned stream_size(const struct stream *s)
{
    unsigned size = 0;

    for (unsigned i = 0; i < s->count; i++)
        size += piece_size(&s->piece[i]);
    return size;
}

/* where a branch to a piece goes: behind the last one is the end of the round */
static unsigned place_of(const struct stream *s, unsigned target)
{
    return target < s->count ? s->piece[target].at : s->start + stream_size(s);
}

/* true: all short branches reach their targets */
static bool place_once(struct stream *s)
{
    unsigned at = s->start;
    bool reached = true;

    for (unsigned i = 0; i < s->count; i++) {
        s->piece[i].at = at;
        at += piece_size(&s->piece[i]);
    }
    for (unsigned i = 0; i < s->count; i++) {
        struct piece *p = &s->piece[i];
        int64_t distance = (int64_t)place_of(s, p->to) - (p->at + piece_size(p));

        if (!p->branch || p->near || (distance >= -128 && distance < 128))
            continue;
        if ((p->branch & 0xf0) == 0xe0 && p->branch != 0xeb)
            p->branch = 0x74; /* LOOP has no longer form */
        p->near = true;
        reached = false;
    }
    return reached;
}

static void put_branch(struct stream *s, const struct piece *p, uint8_t *to)
{
    uint32_t distance = place_of(s, p->to) - (p->at + piece_size(p));
    unsigned n = 0;

    if (!p->near) {
        to[0] = p->branch;
        to[1] = (uint8_t)distance;
        return;
    }
    if (p->branch == 0xeb) {
        to[n++] = 0xe9;
    } else {
        to[n++] = 0x0f;
        to[n++] = p->branch + 0x10;
    }
    memcpy(to + n, &distance, 4);
}

static void put_fixes(struct stream *s, const struct piece *p, uint8_t *to)
{
    for (unsigned i = 0; i < p->fixes; i++) {
        const struct fix *f = &p->fix[i];
        uint64_t target = place_of(s, f->target) + f->address, end = p->at + f->end, v = 0;

        switch (f->kind) {
        case FIX_RELATIVE: v = target - end; break;
        case FIX_ABSOLUTE: v = s->code + target; break;
        case FIX_ALIAS: v = NG_DATA + (NG_ALIAS_PAGE << PAGE_SHIFT) + target; break;
        case FIX_ADDRESS: v = f->address - (s->code + end); break;
        default: v = POOL + f->address - end; break;
        }
        memcpy(to + f->at, &v, f->kind == FIX_ABSOLUTE ? 8 : 4);
    }
}

static void put_resume(struct stream *s, const uint8_t *starts)
{
    unsigned next = 0;

    for (unsigned at = NG_CODE_BYTES; at-- > 0;) {
        unsigned distance = next ? next - at : 0;

        s->resume[at] = (uint8_t)(distance < 256 ? distance : 0);
        if (starts[at])
            next = at;
    }
}

/* the same code with other constants */
static void make_other(struct stream *s)
{
    memcpy(s->other, s->image, sizeof s->other);
    for (unsigned i = 0; i < s->patches; i++) {
        unsigned at = place_of(s, s->patched[i]) + 2;

        if (s->patch_kind[i] != PATCH_OPCODE && !s->piece[s->patched[i]].dropped)
            s->other[at] ^= 0x55;
    }
}

bool stream_place(struct stream *s)
{
    static uint8_t starts[NG_CODE_BYTES];
    unsigned size;

    do {
        size = stream_size(s) + END_BYTES;
        if (s->at_edge)
            s->start = NG_CODE_BYTES - size;
        if (s->start < LOWEST || s->start + size > NG_CODE_BYTES)
            return false;
    } while (!place_once(s));
    memset(s->image, 0xcc, sizeof s->image);
    memset(starts, 0, sizeof starts);
    for (unsigned i = 0; i < LOWEST - POOL; i++)
        s->image[POOL + i] = (uint8_t)(i * 37);
    for (unsigned i = 0; i < s->count; i++) {
        struct piece *p = &s->piece[i];

        if (p->dropped)
            continue;
        memcpy(s->image + p->at, p->bytes, p->length);
        put_fixes(s, p, s->image + p->at);
        if (p->branch)
            put_branch(s, p, s->image + p->at + p->length);
        for (unsigned k = 0; k <= p->length; k++)
            starts[p->at + k] |= p->starts >> k & 1;
    }
    memcpy(s->image + s->start + size - END_BYTES, "\xcd\x80", END_BYTES);
    starts[s->start + size - END_BYTES] = 1;
    put_resume(s, starts);
    make_other(s);
    for (unsigned i = 0; i < s->rounds; i++)
        s->record[i][19] = s->code + s->start;
    return true;
}

struct stream *stream_new(uint64_t seed)
{
    struct stream *s = calloc(1, sizeof *s);
    unsigned user_rounds, count;

    ck_assert_ptr_nonnull(s);
    s->seed = seed;
    s->r.state = seed;
    s->r.state = random_u64(&s->r); /* or neighbours would be the same sequence a step apart */
    s->flow = flow_table_create(x64_native_has);
    s->plain = random_one_in(&s->r, 3);
    s->x87 = random_one_in(&s->r, 4);
    choose_registers(s);
    choose_place(s);
    choose_controls(s);
    choose_pages(s);
    count = 20 + (unsigned)random_below(&s->r, 180);
    s->start = PAGE_SIZE - (unsigned)random_below(&s->r, 0x600);
    stream_make_pieces(s, count);
    s->rounds = 120 + (unsigned)random_below(&s->r, STREAM_MAX_ROUNDS - 120);
    user_rounds = (unsigned)random_below(&s->r, 5);
    for (unsigned i = 0; i < s->rounds; i++)
        make_record(s, s->record[i], user_rounds);
    return s;
}

void stream_free(struct stream *s)
{
    free(s->flow);
    free(s);
}
