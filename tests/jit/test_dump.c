/* What can be seen of native code: the numbers add up, the dump shows guest and native code, perf's
 * names cover it, and a comparison of the engines finds the block that an emitter gets wrong. */
#include <stdio.h>

#include "cpu/jit/x64.h"
#include "machine/machine.h"
#include "tests/jit/jit_lab.h"

enum { CACHE = 4 << 20 };

/* mov ecx, 1000; 1: add eax, ecx; push rax; crc32 edx, ecx; pop rax; dec ecx; jnz 1b; hlt */
static const uint8_t program[] = { 0xb9, 0xe8, 3,    0,    0,    0x01, 0xc8, 0x50, 0xf2, 0x0f,
                                   0x38, 0xf1, 0xd1, 0x58, 0xff, 0xc9, 0x75, 0xf3, 0xf4 };

static struct insn_lab *program_lab(void)
{
    struct insn_lab *lab = hot_lab(LAB_LONG, CACHE);

    hot_execute(lab, program, sizeof program);
    ck_assert_uint_eq(lab->cpu->r[RAX], 500500);
    return lab;
}

/* ---- text ---- */

struct text {
    char *s;
    size_t size;
    FILE *out;
};

static void text_open(struct text *t)
{
    *t = (struct text){ .s = NULL };
    t->out = open_memstream(&t->s, &t->size);
}

static void expect_text(const struct text *t, const char *part)
{
    fflush(t->out);
    if (!strstr(t->s, part))
        fputs(t->s, stderr);
    ck_assert_msg(strstr(t->s, part) != NULL, "'%s' is not in it", part);
}

static void text_close(struct text *t)
{
    fclose(t->out);
    free(t->s);
}

START_TEST(the_numbers_add_up)
{
    struct insn_lab *lab = program_lab();
    const struct jit *jit = lab->cpu->jit;
    struct text t;
    uint64_t calls = jit->calls[INSN_CRC32_Gv_Ev];

    text_open(&t);
    ck_assert_uint_eq(lab->cpu->insn_count, 2 + 6 * 1000);
    ck_assert_uint_gt(calls, 900);
    ck_assert_uint_eq(lab->cpu->interpreted + 6 * calls, lab->cpu->insn_count);
    jit_show(lab->cpu, 1000000000, t.out);
    expect_text(&t, "instructions: 6002\n");
    expect_text(&t, "  CRC32_Gv_Ev\n");
    expect_text(&t, "blocks: 1 translated, 1 live, 0 evicted, 0 refused\n");
    text_close(&t);
    text_open(&t);
    jit_show_json(&lab->cpu, 1, t.out);
    expect_text(&t, "\"CRC32_Gv_Ev\": [");
    text_close(&t);
    hot_free(lab);
}
END_TEST

START_TEST(the_dump_shows_both_sides)
{
    static const char *const parts[] = { "block 0000000000008005, physical 8005",
                                         "01c8  add eax, ecx  |  defines OSZAPC",
                                         "    sub qword ptr [rbp",
                                         "; native.left",
                                         "crc32 edx, ecx  |  no emitter",
                                         "; stub insn",
                                         "\ncold:\n",
                                         "; stub exit" };
    struct insn_lab *lab = program_lab();
    struct text t;

    text_open(&t);
    jit_dump(lab->cpu, LAB_CODE + 9, LAB_CODE + 9, t.out);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        expect_text(&t, parts[i][0] == ' ' ? parts[i] + 4 : parts[i]);
    ck_assert_msg(!strstr(t.s, "differently"), "%s", t.s);
    text_close(&t);
    text_open(&t);
    jit_dump(lab->cpu, LAB_CODE + 0x100, LAB_CODE + 0x1000, t.out);
    expect_text(&t, "no native code there");
    text_close(&t);
    hot_free(lab);
}
END_TEST

START_TEST(blocks_are_shown_as_they_are_translated)
{
    struct insn_lab *lab = hot_lab(LAB_LONG, CACHE);
    struct text t;

    text_open(&t);
    jit_dump_translated(lab->cpu, LAB_CODE, LAB_CODE + 5, t.out);
    hot_execute(lab, program, sizeof program);
    expect_text(&t, "block 0000000000008005");
    text_close(&t);
    hot_free(lab);
}
END_TEST

START_TEST(perf_gets_names_for_all_native_code)
{
    struct insn_lab *lab = hot_lab(LAB_LONG, CACHE);
    struct text t;
    struct native_block *nb;
    uint32_t id = 0;
    char line[128];

    text_open(&t);
    jit_perf_map(lab->cpu, t.out);
    hot_execute(lab, program, sizeof program);
    nb = next_path(lab->cpu->jit, &id);
    ck_assert_ptr_nonnull(nb);
    snprintf(line, sizeof line, "\n%lx %x guest:0000000000008005\n", (uintptr_t)nb->code,
             nb->hot_bytes);
    expect_text(&t, line);
    snprintf(line, sizeof line, "\n%lx %x guest:0000000000008005:cold\n", (uintptr_t)nb->cold,
             nb->cold_bytes);
    expect_text(&t, line);
    expect_text(&t, " nidus:lookup\n");
    text_close(&t);
    hot_free(lab);
}
END_TEST

/* ---- an emitter that is wrong ---- */

static const struct x64_emitter *sabotaged(unsigned arg)
{
    static struct x64_emitter wrong;

    for (const struct x64_emitter *row = x64_branch_emitters; row->exec; row++) {
        if (row->exec == insn_rows[INSN_SETE].exec)
            wrong = *row;
    }
    wrong.arg = (uint8_t)arg;
    return &wrong;
}

static void write_nothing(void *owner, const uint8_t *bytes, size_t count)
{
}

static struct nidus *create(void *owner, bool reference, bool again, char *error)
{
    struct nidus_config config = { .ram = 16 << 20,
                                   .cpus = 1,
                                   .cpu = "max",
                                   .accel = reference ? NIDUS_ACCEL_INTERP : NIDUS_ACCEL_NATIVE };
    struct nidus_char serial = { .write = write_nothing };
    struct nidus *m = nidus_create(&config, error);

    ck_assert_msg(m != NULL, "%s", error);
    ck_assert_msg(nidus_add_char(m, "serial0", &serial, error), "%s", error);
    ck_assert_msg(nidus_load_builtin(m, error), "%s", error);
    if (!reference) /* SETE is SETNE */
        m->cpu[0]->jit->emitter[INSN_SETE] = sabotaged(CC_NE);
    return m;
}

static void destroy(void *owner, struct nidus *m)
{
    nidus_destroy(m);
}

START_TEST(the_block_with_a_wrong_emitter_is_found)
{
    struct nidus_lockstep l = { .slice = 5000, .create = create, .destroy = destroy };
    char error[NIDUS_ERROR_SIZE] = "";
    struct text t;
    const char *code;

    text_open(&t);
    ck_assert_int_eq(nidus_lockstep(&l, t.out, error), NIDUS_LOCKSTEP_DIFFERENT);
    expect_text(&t, "code of the block (");
    expect_text(&t, "guest registers");
    /* in the block or one in front of it, and in the dump of their native code */
    code = strstr(t.s, "code of the block (");
    ck_assert(strstr(code, "  sete ") != NULL);
    ck_assert(strstr(strstr(code, "guest registers"), "  setne ") != NULL);
    text_close(&t);
}
END_TEST

Suite *suite_jit_dump(void)
{
    Suite *s = suite_create("jit/dump");
    TCase *t = tcase_create("watching");

    tcase_set_timeout(t, 60);
    tcase_add_test(t, the_numbers_add_up);
    tcase_add_test(t, the_dump_shows_both_sides);
    tcase_add_test(t, blocks_are_shown_as_they_are_translated);
    tcase_add_test(t, perf_gets_names_for_all_native_code);
    tcase_add_test(t, the_block_with_a_wrong_emitter_is_found);
    suite_add_tcase(s, t);
    return s;
}
