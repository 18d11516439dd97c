/* IN, OUT, INS, OUTS: permission, widths, repetition. */
#include "tests/cpu/system_lab.h"

struct io_log {
    uint64_t offset[80], value[80];
    unsigned size[80], count;
};

static uint64_t io_log_read(void *owner, uint64_t offset, unsigned size)
{
    struct io_log *log = owner;

    log->offset[log->count] = offset;
    log->size[log->count] = size;
    log->count++;
    return 0x44332211 + log->count - 1;
}

static void io_log_write(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
    struct io_log *log = owner;

    log->offset[log->count] = offset;
    log->size[log->count] = size;
    log->value[log->count++] = value;
}

static const struct io_ops io_log_ops = {
    .read = io_log_read,
    .write = io_log_write,
    .sizes = SIZE_8 | SIZE_16 | SIZE_32,
};

static struct insn_lab *io_lab(enum sys_mode mode, struct io_log *log)
{
    struct insn_lab *lab = sys_new(mode);

    *log = (struct io_log){ .count = 0 };
    ports_map(lab->ports, 0x100, 16, "log", &io_log_ops, log);
    lab->cpu->r[RDX] = 0x100;
    return lab;
}

START_TEST(in_eax_clears_the_upper_half_and_in_al_keeps_the_rest)
{
    struct io_log log;
    struct insn_lab *lab = io_lab(SYS_64, &log);

    lab->cpu->r[RAX] = ~UINT64_C(0);
    sys_run(lab, 0xec); /* IN AL, DX */
    ck_assert_uint_eq(lab->cpu->r[RAX], UINT64_C(0xffffffffffffff11));
    lab->cpu->activity = ACTIVE;
    sys_run(lab, 0x48, 0xed); /* IN EAX, DX: REX.W does not widen it */
    ck_assert_uint_eq(lab->cpu->r[RAX], 0x44332212);
    ck_assert_uint_eq(log.size[1], 4);
    lab_free(lab);
}
END_TEST

START_TEST(rep_outsb_writes_the_string_and_counts_down)
{
    struct io_log log;
    struct insn_lab *lab = io_lab(SYS_64, &log);

    lab_write(lab, 0x40000, 0x636261, 8);
    lab->cpu->r[RSI] = 0x40000;
    lab->cpu->r[RCX] = 3;
    sys_run(lab, 0xf3, 0x6e);
    ck_assert_uint_eq(log.count, 3);
    ck_assert_uint_eq(log.value[0], 'a');
    ck_assert_uint_eq(log.value[2], 'c');
    ck_assert_uint_eq(lab->cpu->r[RCX], 0);
    ck_assert_uint_eq(lab->cpu->r[RSI], 0x40003);
    lab_free(lab);
}
END_TEST

START_TEST(rep_insw_backwards_goes_down_in_memory)
{
    struct io_log log;
    struct insn_lab *lab = io_lab(SYS_32, &log);

    lab->cpu->rflags |= RFLAGS_DF;
    lab->cpu->r[RDI] = 0x40002;
    lab->cpu->r[RCX] = 2;
    sys_run(lab, 0xf3, 0x66, 0x6d);
    ck_assert_uint_eq(bus_read(lab->bus, 0x40002, 2), 0x2211);
    ck_assert_uint_eq(bus_read(lab->bus, 0x40000, 2), 0x2212);
    ck_assert_uint_eq(lab->cpu->r[RDI], 0x3fffe);
    lab_free(lab);
}
END_TEST

START_TEST(repetition_of_more_than_a_chunk_completes)
{
    struct io_log log;
    struct insn_lab *lab = io_lab(SYS_64, &log);

    lab->cpu->r[RDI] = 0x40000;
    lab->cpu->r[RCX] = 70;
    sys_run(lab, 0xf3, 0x6c);
    ck_assert_uint_eq(log.count, 70);
    ck_assert_uint_eq(lab->cpu->rip, LAB_CODE + 3);
    lab_free(lab);
}
END_TEST

START_TEST(ins_to_a_page_that_is_not_there_does_not_touch_the_port)
{
    struct io_log log;
    struct insn_lab *lab = io_lab(SYS_64, &log);

    lab->cpu->r[RDI] = 0x40000000;
    sys_run(lab, 0x6c);
    ck_assert_int_eq(sys_handler(lab), 14);
    ck_assert_uint_eq(log.count, 0);
    lab_free(lab);
}
END_TEST

START_TEST(io_bitmap_of_the_tss_decides_at_cpl_3)
{
    struct io_log log;
    struct insn_lab *lab = io_lab(SYS_64_USER, &log);

    bus_write(lab->bus, SYS_TSS + 102, 0x68, 2);
    lab->cpu->seg[SEG_TR].limit = 0x68 + 0x40;
    bus_write(lab->bus, SYS_TSS + 0x68 + 0x20, 0x02, 1); /* port 101H refused */
    sys_run(lab, 0xec, 0x66, 0xed);                      /* IN AL, DX; IN AX, DX */
    ck_assert_int_eq(sys_handler(lab), 13);
    ck_assert_uint_eq(sys_frame(lab, 1), LAB_CODE + 1);
    ck_assert_uint_eq(log.count, 1);
    lab_free(lab);
}
END_TEST

START_TEST(io_bitmap_beyond_the_limit_refuses)
{
    struct io_log log;
    struct insn_lab *lab = io_lab(SYS_64_USER, &log);

    bus_write(lab->bus, SYS_TSS + 102, 0x68, 2);
    lab->cpu->seg[SEG_TR].limit = 0x68 + 0x20; /* the byte, but not the one behind it */
    sys_run(lab, 0xec);
    ck_assert_int_eq(sys_handler(lab), 13);
    lab_free(lab);
}
END_TEST

START_TEST(iopl_allows_io_but_not_in_virtual_8086_mode)
{
    struct io_log log;
    struct insn_lab *lab = io_lab(SYS_32_USER, &log);

    lab->cpu->rflags |= RFLAGS_IOPL;
    sys_run(lab, 0xec, 0x0f, 0x0b);
    ck_assert_int_eq(sys_handler(lab), 6);
    lab_free(lab);

    lab = io_lab(SYS_VM86, &log);
    lab->cpu->rflags |= RFLAGS_IOPL;
    sys_run(lab, 0xec);
    ck_assert_int_eq(sys_handler(lab), 13);
    lab_free(lab);
}
END_TEST

Suite *suite_cpu_exec_io(void)
{
    Suite *s = suite_create("cpu/exec_io");
    TCase *t = tcase_create("I/O");

    tcase_add_test(t, in_eax_clears_the_upper_half_and_in_al_keeps_the_rest);
    tcase_add_test(t, rep_outsb_writes_the_string_and_counts_down);
    tcase_add_test(t, rep_insw_backwards_goes_down_in_memory);
    tcase_add_test(t, repetition_of_more_than_a_chunk_completes);
    tcase_add_test(t, ins_to_a_page_that_is_not_there_does_not_touch_the_port);
    tcase_add_test(t, io_bitmap_of_the_tss_decides_at_cpl_3);
    tcase_add_test(t, io_bitmap_beyond_the_limit_refuses);
    tcase_add_test(t, iopl_allows_io_but_not_in_virtual_8086_mode);
    suite_add_tcase(s, t);
    return s;
}
