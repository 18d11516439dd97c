/* The analysis of flags: small blocks whose answers can be seen, then random ones. There the
 * interpreter says what the flags are: wherever an instruction may fault or call, they are saved, or
 * the replay gives exactly them; and flags that nobody is said to want can be anything. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/jit/flow.h"
#include "tests/cpu/insn_lab.h"
#include "tests/diff/random_insn.h"

enum { BLOCKS = 20000, LENGTH = 12, DATA = 0x100100 };

static struct flow_table *table;
static struct block *block;
static struct flow flow[BLOCK_MAX_INSNS + 1];

static bool has_all(unsigned feature)
{
    return true;
}

static void setup(void)
{
    table = flow_table_create(has_all);
    block = calloc(1, sizeof *block + (BLOCK_MAX_INSNS + 1) * sizeof(struct insn));
    ck_assert_ptr_nonnull(block);
}

static void teardown(void)
{
    free(table);
    free(block);
}

/* ---- blocks by hand ---- */

static void analyse(const uint8_t *bytes, size_t count)
{
    uint64_t features[FEATURE_WORDS];
    size_t at = 0;

    memset(features, 0xff, sizeof features);
    block->count = 0;
    block->key = KEY_CODE64;
    while (at < count) {
        struct insn *in = &block->insns[block->count++];

        memset(in, 0, sizeof *in);
        in->start = (uint16_t)at;
        ck_assert_int_eq(decode(in, bytes + at, count - at, KEY_CODE64, features), DECODE_OK);
        at += in->length;
    }
    block->bytes = (uint16_t)count;
    flow_analyse(table, block, flow);
}
#define BLOCK(...) \
    analyse((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

#define ADD_RAX_RBX 0x48, 0x01, 0xd8
#define ADD_RAX_MEM 0x48, 0x03, 0x06 /* add rax, [rsi] */
#define ADD_RAX_RAX 0x48, 0x01, 0xc0
#define XOR_EDX_EDX 0x31, 0xd2
#define CMP_RAX_RBX 0x48, 0x39, 0xd8
#define INC_RCX 0x48, 0xff, 0xc1
#define ADC_RDI_RDI 0x48, 0x11, 0xff
#define LOAD_RBX 0x48, 0x8b, 0x1e /* mov rbx, [rsi] */
#define LOAD_RCX 0x48, 0x8b, 0x0e
#define SHL_RDX_3 0x48, 0xc1, 0xe2, 3
#define SHL_RDX_CL 0x48, 0xd3, 0xe2
#define BT_RAX_3 0x48, 0x0f, 0xba, 0xe0, 3
#define SETZ_BL 0x0f, 0x94, 0xc3
#define CPUID 0x0f, 0xa2
#define XGETBV 0x0f, 0x01, 0xd0 /* no emitter, keeps the flags */

START_TEST(flags_that_are_overwritten_are_not_saved)
{
    BLOCK(ADD_RAX_RBX, XOR_EDX_EDX);
    ck_assert(!flow[0].save);
    ck_assert_uint_eq(flow[0].must, FL_OSZAPC);
    ck_assert_uint_eq(flow[0].live, FL_NONE);
    ck_assert(flow[1].save); /* the block ends */
    ck_assert_uint_eq(flow[1].live, FL_OSZAPC);
}
END_TEST

START_TEST(who_reads_a_flag_keeps_it_alive)
{
    BLOCK(CMP_RAX_RBX, SETZ_BL, XOR_EDX_EDX);
    ck_assert_uint_eq(flow[0].live, FL_Z);
    ck_assert(!flow[0].save); /* it is in the native flags when SETZ comes */
    ck_assert_uint_eq(flow[1].reads, FL_Z);
    ck_assert_uint_eq(flow[1].live, FL_NONE);
}
END_TEST

START_TEST(inc_lets_the_carry_pass)
{
    BLOCK(CMP_RAX_RBX, INC_RCX, ADC_RDI_RDI, XOR_EDX_EDX);
    ck_assert_uint_eq(flow[0].live, FL_C);
    ck_assert_uint_eq(flow[1].must, FL_OSZAP);
    ck_assert_uint_eq(flow[1].live, FL_C);
    ck_assert_uint_eq(flow[2].live, FL_NONE);
}
END_TEST

START_TEST(an_access_behind_it_asks_for_a_replay)
{
    BLOCK(ADD_RAX_RBX, LOAD_RCX, XOR_EDX_EDX);
    ck_assert(flow[1].calls);
    ck_assert(!flow[0].save); /* RAX and RBX still say what they were */
}
END_TEST

START_TEST(a_changed_source_cannot_be_replayed)
{
    BLOCK(ADD_RAX_RBX, LOAD_RBX, LOAD_RCX, XOR_EDX_EDX);
    ck_assert(flow[0].save);
    BLOCK(ADD_RAX_RBX, LOAD_RBX, XOR_EDX_EDX); /* the load itself finds RBX as it was */
    ck_assert(!flow[0].save);
    BLOCK(ADD_RAX_RAX, LOAD_RCX, XOR_EDX_EDX); /* the source has become the result */
    ck_assert(flow[0].save);
    BLOCK(ADD_RAX_MEM, LOAD_RCX, XOR_EDX_EDX); /* memory may have changed */
    ck_assert(flow[0].save);
}
END_TEST

START_TEST(a_shift_cannot_be_replayed)
{
    BLOCK(SHL_RDX_3, LOAD_RCX, XOR_EDX_EDX);
    ck_assert(flow[0].save);
    BLOCK(SHL_RDX_3, XOR_EDX_EDX);
    ck_assert(!flow[0].save);
}
END_TEST

START_TEST(a_shift_by_cl_may_keep_all_flags)
{
    BLOCK(CMP_RAX_RBX, SHL_RDX_CL, SETZ_BL, XOR_EDX_EDX);
    ck_assert_uint_eq(flow[1].reads, FL_OSZAPC);
    ck_assert_uint_eq(flow[0].live, FL_OSZAPC);
    BLOCK(CMP_RAX_RBX, SHL_RDX_CL, XOR_EDX_EDX);
    ck_assert_uint_eq(flow[0].live, FL_NONE);
}
END_TEST

START_TEST(a_save_takes_what_the_instruction_does_not_define)
{
    BLOCK(CMP_RAX_RBX, BT_RAX_3);
    ck_assert(flow[1].save);
    ck_assert_uint_eq(flow[1].must, FL_C);
    ck_assert_uint_eq(flow[0].live, FL_OSZAPC & ~FL_C);
}
END_TEST

START_TEST(without_an_emitter_flags_are_saved)
{
    BLOCK(ADD_RAX_RBX, XGETBV, XOR_EDX_EDX);
    ck_assert_ptr_null(flow[1].row);
    ck_assert(flow[1].calls);
    ck_assert(flow[0].save);
}
END_TEST

/* ---- random blocks ---- */

/* opcodes with ModRM, reg fields that they allow (bits), bytes of immediate */
static const struct {
    const char *opcode;
    uint8_t fields, immediate;
    bool bytes; /* operands of 8 bits, too: one opcode less */
} shapes[] = {
    { "\x01", 0xff, 0, true },      { "\x03", 0xff, 0, true },      { "\x09", 0xff, 0, true },
    { "\x0b", 0xff, 0, true },      { "\x11", 0xff, 0, true },      { "\x13", 0xff, 0, true },
    { "\x19", 0xff, 0, true },      { "\x1b", 0xff, 0, true },      { "\x21", 0xff, 0, true },
    { "\x23", 0xff, 0, true },      { "\x29", 0xff, 0, true },      { "\x2b", 0xff, 0, true },
    { "\x31", 0xff, 0, true },      { "\x33", 0xff, 0, true },      { "\x39", 0xff, 0, true },
    { "\x3b", 0xff, 0, true },      { "\x85", 0xff, 0, true },      { "\x83", 0xff, 1, false },
    { "\x80", 0xff, 1, false },     { "\xff", 0x03, 0, true },      { "\xf7", 0x0c, 0, true },
    { "\xc1", 0xb3, 1, true },      { "\xd1", 0xb3, 0, true },      { "\xd3", 0xb0, 0, false },
    { "\x89", 0xff, 0, true },      { "\x8b", 0xff, 0, true },      { "\x0f\xa3", 0xff, 0, false },
    { "\x0f\xab", 0xff, 0, false }, { "\x0f\xba", 0xf0, 1, false }, { "\x0f\xaf", 0xff, 0, false },
    { "\x0f\xbc", 0xff, 0, false }, { "\x0f\x45", 0xff, 0, false }, { "\x0f\x92", 0xff, 0, false },
    { "\x0f\x97", 0xff, 0, false }, { "\x0f\xb6", 0xff, 0, false }, { "\x0f\xa4", 0xff, 1, false },
};

/* RSI is where the data is, and stays; SIL and DH are left out with it */
static unsigned flow_register(struct random *r)
{
    unsigned reg = (unsigned)random_below(r, 7);

    return reg == 6 || reg == 4 ? 7 : reg;
}

static size_t random_bytes(struct random *r, uint8_t *to)
{
    size_t i = random_below(r, sizeof shapes / sizeof shapes[0]), n = 0, k;
    bool mem = random_one_in(r, 4), two = shapes[i].opcode[0] == 0x0f;
    unsigned field;

    if (two && ((uint8_t)shapes[i].opcode[1] & 0xf7) == 0xa3)
        mem = false; /* BT and BTS of memory: at an address that the register decides, too */
    if (random_one_in(r, 6))
        to[n++] = 0x66;
    if (!random_one_in(r, 4))
        to[n++] = random_one_in(r, 3) ? 0x40 : 0x48;
    for (k = 0; k < (two ? 2 : 1); k++)
        to[n++] = (uint8_t)shapes[i].opcode[k];
    to[n - 1] -= shapes[i].bytes && random_one_in(r, 4);
    do
        field = shapes[i].fields == 0xff && strcmp(shapes[i].opcode, "\x83") != 0 &&
                        strcmp(shapes[i].opcode, "\x80") != 0
                    ? flow_register(r)
                    : (unsigned)random_below(r, 8);
    while (!(shapes[i].fields >> field & 1));
    to[n++] = (uint8_t)((mem ? 0x46 : 0xc0 | flow_register(r)) | field << 3);
    if (mem)
        to[n++] = (uint8_t)random_u64(r);
    if (shapes[i].immediate)
        to[n++] = (uint8_t)random_u64(r);
    return n;
}

/* the block, run by the interpreter function by function */
struct states {
    uint64_t r[LENGTH + 1][REG_COUNT];
    uint64_t flags[LENGTH + 1];
};

static void run(struct insn_lab *lab, const uint8_t *bytes, unsigned from, struct states *s)
{
    memcpy(lab->cpu->r, s->r[from], sizeof s->r[from]);
    lab_set_flags(lab, s->flags[from]);
    for (unsigned i = from; i < block->count; i++) {
        lab->cpu->rip = LAB_CODE;
        ck_assert_int_eq(lab_step(lab, bytes + block->insns[i].start, block->insns[i].length),
                         LAB_NO_FAULT);
        memcpy(s->r[i + 1], lab->cpu->r, sizeof s->r[i + 1]);
        s->flags[i + 1] = lab_flags(lab);
    }
}

static void random_block(struct random *r, struct insn_lab *lab, uint8_t *bytes, struct states *s)
{
    unsigned count = 2 + (unsigned)random_below(r, LENGTH - 1);
    size_t n = 0;

    for (unsigned i = 0; i < count; i++)
        n += random_bytes(r, bytes + n);
    analyse(bytes, n);
    for (unsigned i = 0; i < REG_COUNT; i++)
        s->r[0][i] = random_value(r);
    s->r[0][RSI] = DATA;
    s->r[0][REG_ZERO] = 0;
    s->flags[0] = random_u64(r) & FL_OSZAPC;
    for (unsigned i = 0; i < 64; i++)
        lab_write(lab, DATA - 256 + 8 * i, random_value(r), 8);
    run(lab, bytes, 0, s);
}

static void explain(unsigned seed, const uint8_t *bytes, unsigned at)
{
    fprintf(stderr, "block %u:", seed);
    for (unsigned i = 0; i < block->bytes; i++)
        fprintf(stderr, " %02x", bytes[i]);
    fprintf(stderr, ", instruction %u\n", at);
}

START_TEST(flags_are_saved_or_can_be_replayed)
{
    struct insn_lab *lab = lab_new(LAB_LONG);
    unsigned replayed = 0;

    for (unsigned seed = 1; seed <= BLOCKS; seed++) {
        struct random r = { seed };
        uint8_t bytes[LENGTH * 15];
        struct states s;
        uint64_t saved;

        random_block(&r, lab, bytes, &s);
        saved = s.flags[0];
        for (unsigned i = 0; i < block->count; i++) {
            if (flow[i].calls && flow_replay(table, block, flow, i, saved, s.r[i]) != s.flags[i]) {
                explain(seed, bytes, i);
                ck_abort_msg("flags %#jx, replayed %#jx from %#jx", (uintmax_t)s.flags[i],
                             (uintmax_t)flow_replay(table, block, flow, i, saved, s.r[i]),
                             (uintmax_t)saved);
            }
            replayed += flow[i].calls && i > 0 && flow[i - 1].must && !flow[i - 1].save;
            if (flow[i].save || !flow[i].row)
                saved = s.flags[i + 1];
        }
        ck_assert_uint_eq(saved, s.flags[block->count]);
    }
    ck_assert_uint_gt(replayed, BLOCKS / 20);
    lab_free(lab);
}
END_TEST

START_TEST(flags_that_nobody_wants_can_be_anything)
{
    struct insn_lab *lab = lab_new(LAB_LONG);

    for (unsigned seed = 1; seed <= BLOCKS / 8; seed++) {
        struct random r = { seed };
        uint8_t bytes[LENGTH * 15];
        struct states s, other;

        random_block(&r, lab, bytes, &s);
        for (unsigned i = 0; i < block->count; i++) {
            /* memory as instruction i left it */
            for (unsigned k = 0; k < 64; k++)
                lab_write(lab, DATA - 256 + 8 * k, 0, 8);
            run(lab, bytes, i, &s);
            for (unsigned k = 0; k < 64; k++)
                lab_write(lab, DATA - 256 + 8 * k, 0, 8);
            other = s;
            other.flags[i] ^= random_u64(&r) & FL_OSZAPC &
                              (i == 0 ? flow[0].must & ~flow[0].reads : ~flow[i - 1].live);
            run(lab, bytes, i, &other);
            if (memcmp(s.r[block->count], other.r[block->count], sizeof s.r[0]) != 0 ||
                s.flags[block->count] != other.flags[block->count]) {
                explain(seed, bytes, i);
                ck_abort_msg("flags %#jx and %#jx in front of it make a difference",
                             (uintmax_t)s.flags[i], (uintmax_t)other.flags[i]);
            }
        }
    }
    lab_free(lab);
}
END_TEST

Suite *suite_jit_flow(void)
{
    Suite *s = suite_create("jit/flow");
    TCase *t = tcase_create("flow");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, flags_that_are_overwritten_are_not_saved);
    tcase_add_test(t, who_reads_a_flag_keeps_it_alive);
    tcase_add_test(t, inc_lets_the_carry_pass);
    tcase_add_test(t, an_access_behind_it_asks_for_a_replay);
    tcase_add_test(t, a_changed_source_cannot_be_replayed);
    tcase_add_test(t, a_shift_cannot_be_replayed);
    tcase_add_test(t, a_shift_by_cl_may_keep_all_flags);
    tcase_add_test(t, a_save_takes_what_the_instruction_does_not_define);
    tcase_add_test(t, without_an_emitter_flags_are_saved);
    tcase_add_test(t, flags_are_saved_or_can_be_replayed);
    tcase_add_test(t, flags_that_nobody_wants_can_be_anything);
    suite_add_tcase(s, t);
    return s;
}
