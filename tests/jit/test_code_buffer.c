/* Memory for native code: no mapping is writable and executable; and where there is none to be had,
 * the user is told once, and everything runs as it would have, in the interpreter. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "include/nidus.h"
#include "tests/jit/jit_lab.h"

enum { CACHE = 4 << 20, OUTPUT = 16 << 10, NO_FILTER = 77 };

/* mov ecx, 1000; 1: add eax, ecx; dec ecx; jnz 1b; hlt */
static const uint8_t loop[] = { 0xb9, 0xe8, 3, 0, 0, 0x01, 0xc8, 0xff, 0xc9, 0x75, 0xfa, 0xf4 };

/* how many mappings are writable and executable; *code: the one at this address is executable */
static unsigned writable_code(const uint8_t *at, bool *code)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512], rights[8];
    unsigned bad = 0;

    ck_assert_ptr_nonnull(maps);
    *code = false;
    while (fgets(line, sizeof line, maps)) {
        uintptr_t first, end;

        ck_assert_int_eq(sscanf(line, "%lx-%lx %7s", &first, &end, rights), 3);
        bad += rights[1] == 'w' && rights[2] == 'x';
        if ((uintptr_t)at >= first && (uintptr_t)at < end)
            *code = rights[2] == 'x' && rights[1] == '-';
    }
    fclose(maps);
    return bad;
}

START_TEST(no_mapping_is_writable_and_executable)
{
    struct insn_lab *lab = hot_lab(LAB_LONG, CACHE);
    struct jit *jit = lab->cpu->jit;
    bool code;

    hot_execute(lab, loop, sizeof loop);
    ck_assert_uint_eq(lab->cpu->r[RAX], 500500);
    ck_assert_uint_gt(jit->stats.live, 0);
    ck_assert_uint_eq(writable_code(jit->code.run, &code), 0);
    ck_assert_msg(code, "native code does not run where it is said to");
    ck_assert_uint_eq(writable_code(jit->code.write, &code), 0);
    ck_assert(!code);
    hot_free(lab);
}
END_TEST

START_TEST(both_views_show_the_same_bytes)
{
    struct code_buffer c;
    struct err e = { "" };

    ck_assert_msg(code_buffer_open(&c, CACHE, &e), "%s", e.text);
    for (size_t at = 0; at < CACHE; at += 4096 + 64) {
        c.write[at] = (uint8_t)(at >> 6 | 1);
        ck_assert_uint_eq(c.run[at], (uint8_t)(at >> 6 | 1));
    }
    code_buffer_close(&c);
    ck_assert_ptr_null(c.write);
    code_buffer_close(&c); /* again: nothing to do */
}
END_TEST

START_TEST(a_detached_processor_goes_on_interpreting)
{
    struct insn_lab *lab = hot_lab(LAB_LONG, CACHE);

    hot_execute(lab, loop, sizeof loop);
    jit_detach(lab->cpu);
    ck_assert_ptr_null(lab->cpu->native_ops);
    lab->cpu->r[RAX] = 0;
    hot_execute(lab, loop, sizeof loop);
    ck_assert_uint_eq(lab->cpu->r[RAX], 500500);
    hot_free(lab);
}
END_TEST

/* ---- a kernel that refuses executable memory ---- */

/* from now on mmap and mprotect with PROT_EXEC fail with EPERM */
static bool refuse_executable_memory(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1 /* EPERM */),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof code / sizeof code[0], code };

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* what the teaching hypervisor writes, and how its run was; in memory that a child shares */
struct report {
    enum nidus_event event;
    struct nidus_stats stats;
    size_t count;
    uint8_t output[OUTPUT];
};

static void take_output(void *owner, const uint8_t *bytes, size_t count)
{
    struct report *r = owner;

    for (size_t i = 0; i < count && r->count < OUTPUT; i++)
        r->output[r->count++] = bytes[i];
}

static void run_hello(struct report *r, enum nidus_accel accel)
{
    struct nidus_config config = { .ram = 16 << 20, .cpus = 2, .cpu = "max", .accel = accel };
    struct nidus_char serial = { .owner = r, .write = take_output };
    char error[NIDUS_ERROR_SIZE] = "";
    struct nidus *m = nidus_create(&config, error);

    if (!m || !nidus_add_char(m, "serial0", &serial, error) || !nidus_load_builtin(m, error))
        _exit(1);
    r->event = nidus_run(m, UINT64_C(1000000000));
    nidus_get_stats(m, &r->stats);
    nidus_destroy(m);
}

static int run_refused(struct report *r, FILE *messages)
{
    pid_t child = fork();
    int status;

    ck_assert_int_ge(child, 0);
    if (child == 0) {
        dup2(fileno(messages), STDERR_FILENO);
        if (!refuse_executable_memory())
            _exit(NO_FILTER);
        run_hello(r, NIDUS_ACCEL_NATIVE);
        fflush(stderr);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

START_TEST(without_executable_memory_it_says_so_once_and_interprets)
{
    struct report *r = mmap(NULL, 2 * sizeof *r, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                            -1, 0);
    FILE *messages = tmpfile();
    char text[1024] = "";
    int status;

    ck_assert_ptr_ne(r, MAP_FAILED);
    ck_assert_ptr_nonnull(messages);
    status = run_refused(&r[0], messages);
    if (status == NO_FILTER) {
        fprintf(stderr, "jit/code_buffer: no seccomp here: not tested\n");
    } else {
        ck_assert_int_eq(status, 0);
        rewind(messages);
        ck_assert_uint_gt(fread(text, 1, sizeof text - 1, messages), 0);
        ck_assert_str_eq(text, "nidus: native code: no executable memory of 256 MiB: Operation not "
                               "permitted; interpreting\n");
        run_hello(&r[1], NIDUS_ACCEL_NATIVE);
        ck_assert_int_eq(r[0].event, NIDUS_POWER_OFF);
        ck_assert_mem_eq(&r[0], &r[1], sizeof *r);
    }
    fclose(messages);
    munmap(r, 2 * sizeof *r);
}
END_TEST

Suite *suite_jit_code_buffer(void)
{
    Suite *s = suite_create("jit/code_buffer");
    TCase *t = tcase_create("memory");

    tcase_set_timeout(t, 60);
    tcase_add_test(t, no_mapping_is_writable_and_executable);
    tcase_add_test(t, both_views_show_the_same_bytes);
    tcase_add_test(t, a_detached_processor_goes_on_interpreting);
    tcase_add_test(t, without_executable_memory_it_says_so_once_and_interprets);
    suite_add_tcase(s, t);
    return s;
}
