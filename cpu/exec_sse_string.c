/* SSE4.2: PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM.
 * [SDM 1 "String and Text Processing Instructions"], [SDM 2B "PCMPESTRI"] */
#include "cpu/sse.h"

struct sse_strings {
    int64_t a[16], b[16];      /* elements, extended as the immediate says */
    unsigned valid_a, valid_b; /* how many of them are part of the string */
    unsigned count;            /* 8 words or 16 bytes */
};

static int64_t sse_element(const union xmm *x, unsigned i, unsigned imm)
{
    switch (imm & 3) { /* 0: words, signed: 1 */
    case 0: return x->u8[i];
    case 1: return x->u16[i];
    case 2: return (int8_t)x->u8[i];
    default: return (int16_t)x->u16[i];
    }
}

/* implicit length: up to the first 0 */
static unsigned sse_length_implicit(const int64_t *s, unsigned count)
{
    unsigned n = 0;

    while (n < count && s[n] != 0)
        n++;
    return n;
}

/* explicit length: the magnitude of EAX or EDX (RAX, RDX with REX.W), saturated */
static unsigned sse_length_explicit(uint64_t v, bool wide, unsigned count)
{
    int64_t n = wide ? (int64_t)v : (int32_t)v;

    if (n < 0)
        n = n < -(int64_t)count ? (int64_t)count : -n;
    return n > (int64_t)count ? count : (unsigned)n;
}

/* IntRes1 by aggregation, imm 3:2. Elements beyond a string's end compare as the manual's table of
 * overrides says. */
static unsigned sse_aggregate(const struct sse_strings *s, unsigned how)
{
    unsigned r = 0;

    for (unsigned j = 0; j < s->count; j++) { /* an element of b */
        bool in_b = j < s->valid_b, hit = false;

        switch (how) {
        case 0: /* equal any */
            for (unsigned i = 0; i < s->valid_a; i++)
                hit = hit || (in_b && s->a[i] == s->b[j]);
            break;
        case 1: /* ranges: pairs of a */
            for (unsigned i = 0; i + 1 < s->valid_a; i += 2)
                hit = hit || (in_b && s->a[i] <= s->b[j] && s->b[j] <= s->a[i + 1]);
            break;
        case 2: /* equal each: both beyond the end are equal */
            hit = j < s->valid_a ? in_b && s->a[j] == s->b[j] : !in_b;
            break;
        default: /* equal ordered: a is found at j, as far as b reaches */
            hit = true;
            for (unsigned i = 0; i < s->valid_a && i + j < s->count; i++)
                hit = hit && i + j < s->valid_b && s->a[i] == s->b[i + j];
            break;
        }
        r |= (unsigned)hit << j;
    }
    return r;
}

/* IntRes2, and the flags: CF some bit, ZF b has an end, SF a has an end, OF bit 0 */
static unsigned sse_compare_strings(struct cpu *cpu, const struct insn *in, bool mem, bool explicit)
{
    union xmm a = cpu->fpu.xmm[in->reg], b = xmm_from(sse_rmu(cpu, in, mem));
    struct sse_strings s = { .count = in->imm & 1 ? 8 : 16 };
    bool wide = in->flags & IN_REXW;
    unsigned r;

    for (unsigned i = 0; i < s.count; i++) {
        s.a[i] = sse_element(&a, i, (unsigned)in->imm);
        s.b[i] = sse_element(&b, i, (unsigned)in->imm);
    }
    s.valid_a = explicit ? sse_length_explicit(cpu->r[RAX], wide, s.count)
                         : sse_length_implicit(s.a, s.count);
    s.valid_b = explicit ? sse_length_explicit(cpu->r[RDX], wide, s.count)
                         : sse_length_implicit(s.b, s.count);
    r = sse_aggregate(&s, in->imm >> 2 & 3);
    if (in->imm & 0x10) /* negative; 20H: only where b is valid */
        r ^= in->imm & 0x20 ? (1u << s.valid_b) - 1 : (1u << s.count) - 1;
    flags_set(&cpu->flags, (r ? FL_C : 0) | (s.valid_b < s.count ? FL_Z : 0) |
                               (s.valid_a < s.count ? FL_S : 0) | (r & 1 ? FL_O : 0));
    return r;
}

/* the index of the first or last (imm 6) set bit, or the count, to ECX */
static void sse_string_index(struct cpu *cpu, const struct insn *in, bool mem, bool explicit)
{
    sse_check(cpu);
    unsigned r = sse_compare_strings(cpu, in, mem, explicit);

    cpu->r[RCX] = r == 0           ? (in->imm & 1 ? 8u : 16u)
                  : in->imm & 0x40 ? 31u - (unsigned)__builtin_clz(r)
                                   : (unsigned)__builtin_ctz(r);
}

/* the bits, or (imm 6) elements of ones, to XMM0 */
static void sse_string_mask(struct cpu *cpu, const struct insn *in, bool mem, bool explicit)
{
    sse_check(cpu);
    unsigned r = sse_compare_strings(cpu, in, mem, explicit);
    union xmm x = { 0 };

    if (!(in->imm & 0x40)) {
        x.u64[0] = r;
    } else {
        for (unsigned i = 0; i < 16; i++) {
            if (r >> (in->imm & 1 ? i / 2 : i) & 1)
                x.u8[i] = 0xff;
        }
    }
    xmm_set(cpu, 0, xmm_to(x));
}

EXEC_BODY_RM(pcmpestri)
{
    sse_string_index(cpu, in, mem, true);
}
EXEC_RM(pcmpestri)
EXEC_BODY_RM(pcmpistri)
{
    sse_string_index(cpu, in, mem, false);
}
EXEC_RM(pcmpistri)
EXEC_BODY_RM(pcmpestrm)
{
    sse_string_mask(cpu, in, mem, true);
}
EXEC_RM(pcmpestrm)
EXEC_BODY_RM(pcmpistrm)
{
    sse_string_mask(cpu, in, mem, false);
}
EXEC_RM(pcmpistrm)
