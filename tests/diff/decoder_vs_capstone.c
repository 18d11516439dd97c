/* Our decoder against Capstone: valid or not, and how long, for random and for structured bytes in
 * all three code sizes. Where the two disagree, a rule below says who is right and why; what no
 * rule explains fails the test. NIDUS_DIFF_SEED and NIDUS_DIFF_COUNT (random strings a mode)
 * override the fixed seed and the count. */
#include <capstone/capstone.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpu.h"
#include "cpu/decode.h"
#include "tests/diff/capstone_rules.h"

enum { BYTES = 15, MODES = 3, DEFAULT_COUNT = 1000000 };

static const struct {
    uint32_t key;
    cs_mode mode;
    unsigned bits;
} modes[MODES] = { { KEY_CODE16, CS_MODE_16, 16 },
                   { KEY_CODE32, CS_MODE_32, 32 },
                   { KEY_CODE64, CS_MODE_64, 64 } };

struct diff {
    csh cs, cs_detail; /* without and with groups: detail costs half of the speed */
    csh cs_32;         /* for 16-bit code, where Capstone knows no mandatory prefix */
    cs_insn *insn, *insn_detail;
    unsigned mode;
    uint64_t features[FEATURE_WORDS];
    uint64_t random;
    unsigned long compared, explained, bad;
    uint8_t reported[4][256]; /* by map and opcode: bits 0 they only, 1 we only, 2 lengths */
};

static uint64_t next_random(struct diff *d)
{
    d->random ^= d->random << 13;
    d->random ^= d->random >> 7;
    d->random ^= d->random << 17;
    return d->random;
}

static void look(struct view *v)
{
    const uint8_t *p = v->bytes;

    for (; p < v->bytes + BYTES; p++) {
        if (v->bits == 64 && (*p & 0xf0) == 0x40) {
            v->rex = *p;
            continue;
        }
        switch (*p) {
        case 0x66: v->has_66 = true; break;
        case 0x67: v->has_67 = true; break;
        case 0xf0: v->has_lock = true; break;
        case 0xf2:
        case 0xf3: v->rep = *p; break;
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
        case 0x64:
        case 0x65: break;
        default: goto done;
        }
        v->rex = 0;
    }
done:
    v->prefix_count = (unsigned)(p - v->bytes);
    v->map = 1;
    if (p < v->bytes + BYTES && *p == 0x0f) {
        v->map = 0x0f;
        p++;
        if (p < v->bytes + BYTES && (*p == 0x38 || *p == 0x3a))
            v->map = 0x0f00u | *p++;
    }
    v->op = p < v->bytes + BYTES ? p[0] : 0;
    v->modrm = p + 1 < v->bytes + BYTES ? p[1] : 0;
}

/* one of a kind is enough */
static void report(struct diff *d, const struct view *v)
{
    unsigned map = v->map == 1 ? 0 : v->map == 0x0f ? 1 : v->map == 0x0f38 ? 2 : 3;
    unsigned kind = !v->ours_length ? 1 : !v->theirs_length ? 2 : 4;

    if (d->reported[map][v->op] & kind)
        return;
    d->reported[map][v->op] |= (uint8_t)kind;
    fprintf(stderr, "%2u-bit", v->bits);
    for (unsigned i = 0; i < BYTES; i++)
        fprintf(stderr, " %02x", v->bytes[i]);
    fprintf(stderr, ": ours %u bytes %s, Capstone %u bytes %s %s\n", v->ours_length,
            insn_names[v->in->id], v->theirs_length, v->cs ? v->cs->mnemonic : "(invalid)",
            v->cs ? v->cs->op_str : "");
}

static unsigned disassemble(csh cs, const uint8_t *bytes, cs_insn *insn)
{
    const uint8_t *at = bytes;
    size_t size = BYTES;
    uint64_t address = 0;

    return cs_disasm_iter(cs, &at, &size, &address, insn) ? insn->size : 0;
}

/* Respell the prefixes and ask Capstone again. `plain`: without 66H, F2H and F3H. */
static unsigned respell(struct diff *d, const struct view *v, bool plain)
{
    bool in_16 = v->bits == 16 && v->map != 1;
    bool string = (v->op >= 0x6c && v->op <= 0x6f) || (v->op >= 0xa4 && v->op <= 0xa7) ||
                  (v->op >= 0xaa && v->op <= 0xaf) || v->op == 0x90;
    uint8_t b[2 * BYTES] = { 0 };
    unsigned n = 0, length;

    if (v->has_67 != in_16 && !(v->rex & 8)) /* rule_67_rexw */
        b[n++] = 0x67;
    if (v->has_66 && !plain && !(v->rep && v->map != 1))
        b[n++] = 0x66;
    if (v->rep && !plain && (v->map != 1 || string))
        b[n++] = v->rep;
    if (v->rex)
        b[n++] = v->rex;
    memcpy(b + n, v->bytes + v->prefix_count, BYTES - v->prefix_count);
    length = disassemble(in_16 ? d->cs_32 : d->cs, b, d->insn);
    return length ? length - n + v->prefix_count : 0;
}

static void ask_again(struct diff *d, struct view *v)
{
    v->usual_length = respell(d, v, false);
    v->usual_id = v->usual_length ? d->insn->id : X86_INS_INVALID;
    v->id_without_prefix = respell(d, v, true) ? d->insn->id : X86_INS_INVALID;
}

static void compare(struct diff *d, const uint8_t bytes[BYTES])
{
    struct view v = { .bytes = bytes, .bits = modes[d->mode].bits };
    struct insn in = { .start = 0 };

    if (decode(&in, bytes, BYTES, modes[d->mode].key, d->features) == DECODE_OK &&
        in.id != INSN_INVALID)
        v.ours_length = in.length;
    v.theirs_length = disassemble(d->cs, bytes, d->insn);
    d->compared++;
    if (v.ours_length == v.theirs_length)
        return;
    v.in = &in;
    if (v.theirs_length && disassemble(d->cs_detail, bytes, d->insn_detail))
        v.cs = d->insn_detail;
    look(&v);
    ask_again(d, &v);
    if (rule_explains(&v)) {
        d->explained++;
        return;
    }
    d->bad++;
    report(d, &v);
}

/* ---- what is tried ---- */

static void fill(struct diff *d, uint8_t *bytes, unsigned from)
{
    for (unsigned i = from; i < BYTES; i++)
        bytes[i] = (uint8_t)(next_random(d) >> 24);
}

/* some prefixes, and then anything */
static void random_strings(struct diff *d, unsigned long count)
{
    static const uint8_t prefixes[] = { 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36,
                                        0x3e, 0x64, 0x65, 0x40, 0x41, 0x44, 0x48, 0x4f };
    uint8_t bytes[BYTES];

    for (unsigned long n = 0; n < count; n++) {
        uint64_t choice = next_random(d) >> 20;
        unsigned at = 0, wanted = choice & 7 ? choice & 3 : choice >> 3 & 7;

        fill(d, bytes, 0);
        while (at < wanted)
            bytes[at++] = prefixes[next_random(d) >> 30 & 15];
        if (choice >> 8 & 1)
            bytes[at++] = 0x0f;
        if ((choice >> 8 & 7) == 7)
            bytes[at] = choice >> 11 & 1 ? 0x38 : 0x3a;
        compare(d, bytes);
    }
}

static void every_opcode(struct diff *d, const char *before, unsigned count)
{
    uint8_t bytes[BYTES];

    for (unsigned op = 0; op < 256; op++) {
        for (unsigned modrm = 0; modrm < 256; modrm++) {
            fill(d, bytes, 0);
            memcpy(bytes, before, count);
            bytes[count] = (uint8_t)op;
            bytes[count + 1] = (uint8_t)modrm;
            compare(d, bytes);
        }
    }
}

/* all opcodes of all maps, all ModRM bytes, with each mandatory prefix */
static void structured_strings(struct diff *d)
{
    static const struct {
        const char *bytes;
        unsigned count;
    } before[] = {
        { "", 0 },
        { "\x66", 1 },
        { "\xf3", 1 },
        { "\xf2", 1 },
        { "\xf0", 1 },
        { "\x67", 1 },
        { "\x0f", 1 },
        { "\x66\x0f", 2 },
        { "\xf3\x0f", 2 },
        { "\xf2\x0f", 2 },
        { "\xf0\x0f", 2 },
        { "\x0f\x38", 2 },
        { "\x66\x0f\x38", 3 },
        { "\xf3\x0f\x38", 3 },
        { "\xf2\x0f\x38", 3 },
        { "\x0f\x3a", 2 },
        { "\x66\x0f\x3a", 3 },
        { "\xf3\x0f\x3a", 3 },
        { "\xf2\x0f\x3a", 3 },
        { "\x48", 1 },
        { "\x48\x0f", 2 },
        { "\x66\x48\x0f", 3 },
        { "\xf3\x48\x0f", 3 },
        { "\x66\xf2\x0f", 3 },
        { "\x66\xf3\x0f", 3 },
        { "\x66\xf2\x0f\x38", 4 },
        { "\x41\x0f", 2 },
        { "\x44", 1 },
        { "\x66\x44", 2 },
    };

    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++)
        every_opcode(d, before[i].bytes, before[i].count);
}

static unsigned long from_environment(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);

    return text ? strtoul(text, NULL, 0) : otherwise;
}

static void diff_open(struct diff *d, unsigned mode)
{
    *d = (struct diff){ .mode = mode, .random = from_environment("NIDUS_DIFF_SEED", 20250101) };
    memset(d->features, 0xff, sizeof d->features);
    ck_assert_int_eq(cs_open(CS_ARCH_X86, modes[mode].mode, &d->cs), CS_ERR_OK);
    ck_assert_int_eq(cs_open(CS_ARCH_X86, modes[mode].mode, &d->cs_detail), CS_ERR_OK);
    ck_assert_int_eq(cs_open(CS_ARCH_X86, CS_MODE_32, &d->cs_32), CS_ERR_OK);
    cs_option(d->cs_detail, CS_OPT_DETAIL, CS_OPT_ON);
    d->insn = cs_malloc(d->cs);
    d->insn_detail = cs_malloc(d->cs_detail);
}

static void diff_close(struct diff *d)
{
    if (d->bad)
        fprintf(stderr, "%u-bit: %lu of %lu differ, %lu are explained by rules\n",
                modes[d->mode].bits, d->bad, d->compared, d->explained);
    cs_free(d->insn, 1);
    cs_free(d->insn_detail, 1);
    cs_close(&d->cs);
    cs_close(&d->cs_detail);
    cs_close(&d->cs_32);
    ck_assert_uint_eq(d->bad, 0);
}

START_TEST(all_opcodes_with_all_modrm_bytes)
{
    struct diff d;

    diff_open(&d, (unsigned)_i);
    structured_strings(&d);
    diff_close(&d);
}
END_TEST

START_TEST(random_bytes)
{
    struct diff d;

    diff_open(&d, (unsigned)_i);
    random_strings(&d, from_environment("NIDUS_DIFF_COUNT", DEFAULT_COUNT));
    diff_close(&d);
}
END_TEST

Suite *suite_diff_decoder_vs_capstone(void)
{
    Suite *s = suite_create("diff/decoder_vs_capstone");
    TCase *t = tcase_create("lengths");

    tcase_set_timeout(t, 250);
    tcase_add_loop_test(t, all_opcodes_with_all_modrm_bytes, 0, MODES);
    tcase_add_loop_test(t, random_bytes, 0, MODES);
    suite_add_tcase(s, t);
    return s;
}
