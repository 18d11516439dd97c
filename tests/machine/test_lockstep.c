/* Comparing two machines: whatever is disturbed in one of them is found and named; what is only held
 * differently is not; and the search ends at the block of instructions that did it. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "machine/board.h"
#include "machine/machine.h"
#include "vmx/state.h"

/* the teaching hypervisor has a current VMCS then, and goes on for a while */
#define IN_THE_MIDDLE UINT64_C(300000)

static void write_nothing(void *owner, const uint8_t *bytes, size_t count)
{
}

static struct nidus *machine(const struct nidus_char *serial, bool reference)
{
    static const struct nidus_char nothing = { .write = write_nothing };
    struct nidus_config config = { .ram = 16 << 20,
                                   .cpus = 2,
                                   .cpu = "max",
                                   .accel = reference ? NIDUS_ACCEL_INTERP : NIDUS_ACCEL_NATIVE };
    char error[NIDUS_ERROR_SIZE] = "";
    struct nidus *m = nidus_create(&config, error);

    ck_assert_msg(m != NULL, "%s", error);
    ck_assert_msg(nidus_add_char(m, "serial0", serial ? serial : &nothing, error), "%s", error);
    ck_assert_msg(nidus_load_builtin(m, error), "%s", error);
    return m;
}

struct two {
    struct nidus *a, *b;
    char *text; /* of the last comparison */
    size_t size;
};

static struct two two_machines(uint64_t cycle)
{
    struct two t = { .a = machine(NULL, false), .b = machine(NULL, true) };

    ck_assert_int_eq(nidus_run_to(t.a, cycle), NIDUS_TIME);
    ck_assert_int_eq(nidus_run_to(t.b, cycle), NIDUS_TIME);
    return t;
}

static bool compare(struct two *t)
{
    FILE *out;
    bool same;

    free(t->text);
    out = open_memstream(&t->text, &t->size);
    same = nidus_compare(t->a, t->b, out);
    fclose(out);
    return same;
}

static void drop(struct two *t)
{
    nidus_destroy(t->a);
    nidus_destroy(t->b);
    free(t->text);
}

/* ---- the comparison ---- */

START_TEST(machines_made_alike_are_the_same_all_the_way)
{
    struct two t = two_machines(0);

    for (uint64_t at = 1000; at < IN_THE_MIDDLE; at += 1000) {
        ck_assert_int_eq(nidus_run_to(t.a, at), nidus_run_to(t.b, at));
        ck_assert_msg(compare(&t), "at cycle %ju:\n%s", (uintmax_t)at, t.text);
    }
    ck_assert_uint_eq(nidus_compare_ram(t.a, t.b, 0, UINT64_MAX), UINT64_MAX);
    ck_assert_ptr_nonnull(vmx_of(t.a->cpu[0])->current);
    drop(&t);
}
END_TEST

START_TEST(a_run_in_pieces_of_a_block_is_the_same_run)
{
    struct two t = two_machines(0);
    enum nidus_event event = NIDUS_DEAD;
    unsigned pieces = 0;

    for (uint64_t at = 50000; at <= IN_THE_MIDDLE; at += 50000) {
        while (nidus_run_block(t.a, at, &event))
            pieces++;
        ck_assert_int_eq(nidus_run_to(t.b, at), event);
        ck_assert_msg(compare(&t), "at cycle %ju:\n%s", (uintmax_t)at, t.text);
    }
    ck_assert_uint_gt(pieces, 10000);
    drop(&t);
}
END_TEST

static void disturb_register(struct nidus *m)
{
    m->cpu[1]->r[RBX] ^= 1;
}
static void disturb_flag(struct nidus *m)
{
    flags_set_cf(&m->cpu[0]->flags, !flags_cf(&m->cpu[0]->flags));
}
static void disturb_interrupt_flag(struct nidus *m)
{
    m->cpu[0]->rflags ^= RFLAGS_IF;
}
static void disturb_segment(struct nidus *m)
{
    m->cpu[0]->seg[SEG_GS].base++;
}
static void disturb_x87(struct nidus *m)
{
    m->cpu[0]->fpu.st[2].sign_exponent ^= 0x8000;
}
static void disturb_xmm(struct nidus *m)
{
    m->cpu[0]->fpu.xmm[3].u8[15] ^= 1;
}
static void disturb_mxcsr(struct nidus *m)
{
    m->cpu[0]->fpu.mxcsr ^= 0x20;
}
static void disturb_msr(struct nidus *m)
{
    m->cpu[0]->msr.lstar ^= 8;
}
static void disturb_cycles(struct nidus *m)
{
    cpu_charge(m->cpu[0], 1);
}
static void disturb_key(struct nidus *m)
{
    m->cpu[0]->key ^= KEY_USER;
}
static void disturb_guest_field(struct nidus *m)
{
    vmx_of(m->cpu[0])->current->guest.rip++;
}
static void disturb_launch_state(struct nidus *m)
{
    vmx_of(m->cpu[0])->current->launched ^= 1;
}
static void disturb_vmx(struct nidus *m)
{
    vmx_of(m->cpu[0])->timer_on ^= true;
}
static void disturb_device(struct nidus *m)
{
    struct device *dev = m->board->pic;

    ((uint8_t *)dev)[dev->class->fields[0].offset] ^= 1;
}
static void disturb_line(struct nidus *m)
{
    m->board->gsi[20] ^= 1;
}
static void disturb_entropy(struct nidus *m)
{
    m->entropy[1]++;
}
static void disturb_timer(struct nidus *m)
{
    static struct timer timer;

    timer_init(&timer, &m->clock, "alarm", NULL, NULL);
    timer_set(&timer, m->now + 5);
}

static const struct {
    void (*disturb)(struct nidus *m);
    const char *found;
} disturbances[] = {
    { disturb_register, "cpu1 r[3]: " },
    { disturb_flag, "cpu0 rflags: " },
    { disturb_interrupt_flag, "cpu0 rflags: " },
    { disturb_segment, "cpu0 seg[SEG_GS].base: " },
    { disturb_x87, "cpu0 fpu.st[2] exponent: 0000000000008000, 0000000000000000" },
    { disturb_xmm, "cpu0 fpu.xmm[3]+8: 0100000000000000, 0000000000000000" },
    { disturb_mxcsr, "cpu0 fpu.mxcsr: 0000000000001fa0, 0000000000001f80" },
    { disturb_msr, "cpu0 msr.lstar: " },
    { disturb_cycles, "cpu0 cycles: " },
    { disturb_key, "cpu0 key: " },
    { disturb_guest_field, "cpu0 VMCS 0x110000 GUEST_RIP: " },
    { disturb_launch_state, "cpu0 VMCS 0x110000 launch state: " },
    { disturb_vmx, "cpu0 timer_on: " },
    { disturb_device, "pic " },
    { disturb_line, "board gsi[20]: 0000000000000001, 0000000000000000" },
    { disturb_entropy, "machine entropy[1]: " },
    { disturb_timer, "timer " },
};

START_TEST(what_is_disturbed_is_found_and_named)
{
    struct two t = two_machines(IN_THE_MIDDLE);

    ck_assert_msg(compare(&t), "%s", t.text);
    disturbances[_i].disturb(t.a);
    ck_assert_msg(!compare(&t), "'%s' is not found", disturbances[_i].found);
    ck_assert_msg(strstr(t.text, disturbances[_i].found) != NULL, "'%s' is not in\n%s",
                  disturbances[_i].found, t.text);
    drop(&t);
}
END_TEST

START_TEST(flags_are_compared_by_what_they_mean)
{
    struct two t = two_machines(IN_THE_MIDDLE);
    struct flags *a = &t.a->cpu[0]->flags, *b = &t.b->cpu[0]->flags;

    flags_set(a, RFLAGS_CF | RFLAGS_PF);
    *b = (struct flags){ .result = 3, .aux = AUX_CARRY | AUX_CARRY_IN_TOP };
    ck_assert_uint_ne(a->result, b->result);
    ck_assert_msg(compare(&t), "%s", t.text);
    drop(&t);
}
END_TEST

START_TEST(padding_of_an_x87_register_means_nothing)
{
    struct two t = two_machines(IN_THE_MIDDLE);

    memset((uint8_t *)&t.a->cpu[0]->fpu.st[5] + 10, 0x55, sizeof(struct float80) - 10);
    ck_assert_msg(compare(&t), "%s", t.text);
    drop(&t);
}
END_TEST

START_TEST(a_byte_of_ram_is_found)
{
    struct two t = two_machines(IN_THE_MIDDLE);

    bus_write(t.a->bus, 0x900123, 0x55, 1);
    ck_assert(compare(&t)); /* which leaves RAM alone */
    ck_assert_uint_eq(nidus_compare_ram(t.a, t.b, 0, UINT64_MAX), 0x900123);
    ck_assert_uint_eq(nidus_compare_ram(t.a, t.b, 0x900124, UINT64_MAX), UINT64_MAX);
    ck_assert_uint_eq(nidus_compare_ram(t.a, t.b, 0, 0x900123), UINT64_MAX);
    ck_assert_uint_eq(nidus_compare_ram(t.a, t.b, 0x900123, 0x900124), 0x900123);
    drop(&t);
}
END_TEST

/* ---- the search: a serial port that disturbs its own machine when the guest writes to it ---- */

enum { AT_BYTE = 1000 };

struct saboteur {
    struct nidus *m;
    unsigned bytes;
    void (*act)(struct nidus *m);
};

static void act_on_register(struct nidus *m)
{
    m->cpu[0]->r[R15] ^= 0x40;
}
static void act_on_ram(struct nidus *m)
{
    bus_write(m->bus, 0x900123, 0x55, 1);
}
/* as an engine that goes wrong only where one block follows another */
static void act_between_blocks(struct nidus *m)
{
    if (m->cpu[0]->until > cpu_cycles(m->cpu[0]))
        m->cpu[0]->r[R15] ^= 0x40;
}

static void count_bytes(void *owner, const uint8_t *bytes, size_t count)
{
    struct saboteur *s = owner;

    s->bytes += (unsigned)count;
    if (s->act && s->bytes == AT_BYTE)
        s->act(s->m);
}

struct bench {
    struct saboteur serial[2];
    void (*act)(struct nidus *m);
};

static struct nidus *bench_create(void *owner, bool reference, bool again, char *error)
{
    struct bench *bench = owner;
    struct saboteur *s = &bench->serial[reference];

    *s = (struct saboteur){ .act = reference ? NULL : bench->act };
    s->m = machine(&(struct nidus_char){ .owner = s, .write = count_bytes }, reference);
    return s->m;
}

static void bench_destroy(void *owner, struct nidus *m)
{
    nidus_destroy(m);
}

static const struct {
    void (*act)(struct nidus *m);
    const char *found[3];
} searches[] = {
    { act_on_register,
      { "the first block after which they differ:", "cpu0 r[15]: ", "out dx, al" } },
    { act_on_ram, { "the first block after which they differ:", "RAM 000900120: ", "out dx, al" } },
    { act_between_blocks, { "blocks that follow each other do", "cpu0 r[15]: ", "out dx, al" } },
};

START_TEST(the_block_that_makes_the_difference_is_found)
{
    struct bench bench = { .act = searches[_i].act };
    struct nidus_lockstep l = {
        .slice = 5000, .owner = &bench, .create = bench_create, .destroy = bench_destroy
    };
    char error[NIDUS_ERROR_SIZE] = "", *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    ck_assert_int_eq(nidus_lockstep(&l, out, error), NIDUS_LOCKSTEP_DIFFERENT);
    fclose(out);
    for (unsigned i = 0; i < 3; i++) {
        bool found = strstr(text, searches[_i].found[i]) != NULL;

        if (!found)
            fputs(text, stderr); /* too long for a message */
        ck_assert_msg(found, "'%s' is not in the report", searches[_i].found[i]);
    }
    /* the search ended where it happened */
    ck_assert_uint_eq(bench.serial[0].bytes, AT_BYTE);
    ck_assert_uint_eq(bench.serial[1].bytes, AT_BYTE);
    free(text);
}
END_TEST

START_TEST(a_run_without_a_difference_ends_as_the_guest_says)
{
    struct bench bench = { .act = NULL };
    struct nidus_lockstep l = {
        .slice = 5000, .owner = &bench, .create = bench_create, .destroy = bench_destroy
    };
    char error[NIDUS_ERROR_SIZE] = "";

    ck_assert_int_eq(nidus_lockstep(&l, stderr, error), NIDUS_LOCKSTEP_EQUAL);
    ck_assert_int_eq(l.event, NIDUS_POWER_OFF);
    l.cycles = 123456;
    ck_assert_int_eq(nidus_lockstep(&l, stderr, error), NIDUS_LOCKSTEP_EQUAL);
    ck_assert_int_eq(l.event, NIDUS_TIME);
    ck_assert_uint_ge(l.now, 123456);
    ck_assert_uint_lt(l.now, 123456 + 5000);
}
END_TEST

Suite *suite_machine_lockstep(void)
{
    Suite *s = suite_create("machine/lockstep");
    TCase *t = tcase_create("lockstep");

    tcase_set_timeout(t, 60);
    tcase_add_test(t, machines_made_alike_are_the_same_all_the_way);
    tcase_add_test(t, a_run_in_pieces_of_a_block_is_the_same_run);
    tcase_add_loop_test(t, what_is_disturbed_is_found_and_named, 0,
                        sizeof disturbances / sizeof disturbances[0]);
    tcase_add_test(t, flags_are_compared_by_what_they_mean);
    tcase_add_test(t, padding_of_an_x87_register_means_nothing);
    tcase_add_test(t, a_byte_of_ram_is_found);
    tcase_add_loop_test(t, the_block_that_makes_the_difference_is_found, 0,
                        sizeof searches / sizeof searches[0]);
    tcase_add_test(t, a_run_without_a_difference_ends_as_the_guest_says);
    suite_add_tcase(s, t);
    return s;
}
