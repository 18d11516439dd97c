/* Raw disk images: what the guest writes arrives, or is told to have failed; an image is never
 * damaged, and -snapshot never writes. */
#include "frontend/block_file.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECTORS = 64, DISK = SECTORS * 512 };

static char folder[64], image[96];
static struct nidus_block disk;
static char error[NIDUS_ERROR_SIZE];

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 7 + at / 512);
}

static void make_image(off_t bytes)
{
    int fd = open(image, O_RDWR | O_CREAT | O_TRUNC, 0600);

    ck_assert_int_ge(fd, 0);
    for (off_t i = 0; i < bytes; i++) {
        uint8_t byte = pattern((size_t)i);

        ck_assert_int_eq(pwrite(fd, &byte, 1, i), 1);
    }
    close(fd);
}

static void setup(void)
{
    strcpy(folder, "/tmp/nidus-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(image, sizeof image, "%s/disk.img", folder);
    make_image(DISK);
    disk = (struct nidus_block){ .owner = NULL };
    error[0] = '\0';
}

static void teardown(void)
{
    unlink(image);
    rmdir(folder);
}

static struct block_file *open_image(const char *more, bool snapshot)
{
    char spec[256];

    snprintf(spec, sizeof spec, "file=%s%s", image, more);
    return block_file_open(spec, snapshot, &disk, error);
}

static struct block_file *opened(const char *more, bool snapshot)
{
    struct block_file *f = open_image(more, snapshot);

    ck_assert_msg(f != NULL, "%s", error);
    return f;
}

static void expect_refused(const char *more, const char *why)
{
    ck_assert_ptr_null(open_image(more, false));
    ck_assert_msg(strstr(error, why) != NULL, "'%s' has no '%s'", error, why);
    ck_assert_ptr_null(strchr(error, '\n'));
}

static enum nidus_block_result write_sector(uint64_t sector, uint8_t value)
{
    uint8_t bytes[512];

    memset(bytes, value, sizeof bytes);
    return disk.write(disk.owner, sector * 512, bytes, sizeof bytes);
}

/* the file itself, past everything of nidus */
static void expect_file_unchanged(void)
{
    uint8_t bytes[DISK + 1];
    int fd = open(image, O_RDONLY);

    ck_assert_int_eq(read(fd, bytes, sizeof bytes), DISK);
    for (size_t i = 0; i < DISK; i++)
        ck_assert_uint_eq(bytes[i], pattern(i));
    close(fd);
}

/* ---- plain ---- */

START_TEST(a_disk_is_as_large_as_its_file)
{
    struct block_file *f = opened("", false);

    ck_assert_uint_eq(disk.size, DISK);
    ck_assert(!disk.read_only);
    block_file_close(f);
}
END_TEST

START_TEST(a_write_is_in_the_file_and_nowhere_else)
{
    struct block_file *f = opened(",format=raw,if=virtio", false);
    uint8_t bytes[DISK];
    int fd;

    ck_assert_int_eq(write_sector(5, 0xee), NIDUS_BLOCK_OK);
    ck_assert_int_eq(disk.flush(disk.owner), NIDUS_BLOCK_OK);
    block_file_close(f);
    fd = open(image, O_RDONLY);
    ck_assert_int_eq(read(fd, bytes, DISK), DISK);
    close(fd);
    for (size_t i = 0; i < DISK; i++)
        ck_assert_uint_eq(bytes[i], i / 512 == 5 ? 0xee : pattern(i));
}
END_TEST

START_TEST(what_was_written_is_read_again)
{
    struct block_file *f = opened("", false);
    uint8_t bytes[3 * 512];

    ck_assert_int_eq(write_sector(9, 0x11), NIDUS_BLOCK_OK);
    ck_assert_int_eq(disk.read(disk.owner, 8 * 512, bytes, sizeof bytes), NIDUS_BLOCK_OK);
    for (size_t i = 0; i < sizeof bytes; i++)
        ck_assert_uint_eq(bytes[i], i / 512 == 1 ? 0x11 : pattern(8 * 512 + i));
    block_file_close(f);
}
END_TEST

START_TEST(a_read_of_a_file_that_became_shorter_is_an_error)
{
    struct block_file *f = opened("", false);
    uint8_t bytes[1024];

    ck_assert_int_eq(truncate(image, DISK - 512), 0);
    ck_assert_int_eq(disk.read(disk.owner, DISK - 1024, bytes, 1024), NIDUS_BLOCK_ERROR);
    ck_assert_int_eq(disk.read(disk.owner, 0, bytes, 1024), NIDUS_BLOCK_OK);
    block_file_close(f);
}
END_TEST

START_TEST(a_file_that_was_removed_still_works)
{
    struct block_file *f = opened("", false);
    uint8_t bytes[512];

    unlink(image);
    ck_assert_int_eq(write_sector(0, 1), NIDUS_BLOCK_OK);
    ck_assert_int_eq(disk.read(disk.owner, 0, bytes, 512), NIDUS_BLOCK_OK);
    ck_assert_uint_eq(bytes[511], 1);
    block_file_close(f);
}
END_TEST

/* ---- read-only ---- */

START_TEST(a_read_only_disk_says_so_and_its_file_cannot_be_written)
{
    struct block_file *f = opened(",readonly=on", false);

    ck_assert(disk.read_only);
    ck_assert_int_ne(write_sector(0, 0xee), NIDUS_BLOCK_OK);
    block_file_close(f);
    expect_file_unchanged();
}
END_TEST

/* ---- snapshot ---- */

START_TEST(a_snapshot_never_touches_the_file)
{
    struct block_file *f = opened(_i ? ",snapshot=on" : "", _i == 0);

    ck_assert(!disk.read_only);
    for (uint64_t s = 0; s < SECTORS; s++)
        ck_assert_int_eq(write_sector(s, (uint8_t)s), NIDUS_BLOCK_OK);
    ck_assert_int_eq(disk.flush(disk.owner), NIDUS_BLOCK_OK);
    expect_file_unchanged();
    block_file_close(f);
    expect_file_unchanged();
}
END_TEST

START_TEST(a_snapshot_reads_what_was_written_over_what_was_there)
{
    struct block_file *f = opened(",snapshot=on", false);
    uint8_t bytes[DISK];

    for (uint64_t s = 1; s < SECTORS; s += 1 + s % 3)
        ck_assert_int_eq(write_sector(s, 0xee), NIDUS_BLOCK_OK);
    ck_assert_int_eq(disk.read(disk.owner, 0, bytes, DISK), NIDUS_BLOCK_OK);
    for (uint64_t s = 0, next = 1; s < SECTORS; s++) {
        bool written = s == next;

        if (written)
            next += 1 + s % 3;
        ck_assert_uint_eq(bytes[s * 512], written ? 0xee : pattern(s * 512));
        ck_assert_uint_eq(bytes[s * 512 + 511], written ? 0xee : pattern(s * 512 + 511));
    }
    block_file_close(f);
}
END_TEST

START_TEST(a_snapshot_leaves_no_file_behind)
{
    struct block_file *f;

    setenv("TMPDIR", folder, 1);
    f = opened(",snapshot=on", false);
    ck_assert_int_eq(write_sector(0, 1), NIDUS_BLOCK_OK);
    ck_assert_int_eq(unlink(image), 0);
    ck_assert_int_eq(rmdir(folder), 0); /* it is empty, with the snapshot open */
    block_file_close(f);
    ck_assert_int_eq(mkdir(folder, 0700), 0);
}
END_TEST

START_TEST(a_snapshot_without_a_place_for_its_writes_is_refused)
{
    setenv("TMPDIR", "/nonexistent", 1);
    expect_refused(",snapshot=on", "/nonexistent");
}
END_TEST

/* ---- two at a time ---- */

START_TEST(a_second_writer_is_refused)
{
    struct block_file *f = opened("", false);

    expect_refused("", "disk.img: is in use by another machine");
    block_file_close(f);
    block_file_close(opened("", false));
}
END_TEST

START_TEST(readers_and_a_writer_exclude_each_other)
{
    struct block_file *f = opened("", false);

    expect_refused(",readonly=on", "is in use by another machine");
    expect_refused(",snapshot=on", "is in use by another machine");
    block_file_close(f);
    f = opened(",readonly=on", false);
    expect_refused("", "is in use by another machine; add snapshot=on or readonly=on there");
    block_file_close(f);
}
END_TEST

START_TEST(readers_share_an_image)
{
    struct block_file *a = opened(",readonly=on", false), *b = opened(",snapshot=on", false);

    block_file_close(a);
    block_file_close(b);
}
END_TEST

/* ---- what is refused ---- */

START_TEST(a_size_that_is_no_multiple_of_512_is_refused)
{
    ck_assert_int_eq(truncate(image, DISK + 1), 0);
    expect_refused("", "disk.img: a raw image must have a multiple of 512 bytes");
    ck_assert_int_eq(truncate(image, 511), 0);
    expect_refused(",readonly=on", "must have a multiple of 512 bytes");
}
END_TEST

START_TEST(an_empty_file_is_refused)
{
    ck_assert_int_eq(truncate(image, 0), 0);
    expect_refused("", "at least 512");
}
END_TEST

START_TEST(a_missing_file_is_refused_and_not_made)
{
    unlink(image);
    expect_refused("", "disk.img: No such file or directory");
    expect_refused(",snapshot=on", "disk.img: No such file or directory");
    ck_assert_int_ne(access(image, F_OK), 0);
}
END_TEST

START_TEST(a_folder_or_a_device_that_is_no_disk_is_refused)
{
    ck_assert_ptr_null(block_file_open("file=/tmp", false, &disk, error));
    ck_assert_str_eq(error, "/tmp: Is a directory");
    ck_assert_ptr_null(block_file_open("file=/tmp,readonly=on", false, &disk, error));
    ck_assert_str_eq(error, "/tmp: is neither a file nor a block device");
    ck_assert_ptr_null(block_file_open("file=/dev/null", false, &disk, error));
    ck_assert_str_eq(error, "/dev/null: is neither a file nor a block device");
}
END_TEST

START_TEST(a_pipe_is_refused_at_once)
{
    unlink(image);
    ck_assert_int_eq(mkfifo(image, 0600), 0);
    alarm(5); /* an open that waits for the other end would wait for ever */
    expect_refused(",readonly=on", "is neither a file nor a block device");
    alarm(0);
}
END_TEST

static const struct {
    const char *spec, *why;
} bad_specs[] = {
    { "", "write key=value, as in file=disk.img" },
    { "disk.img", "disk.img: write key=value" },
    { "file=", "file=PATH is missing" },
    { "readonly=on", "file=PATH is missing" },
    { "file=x,readonly", "readonly: write key=value" },
    { "file=x,readonly=maybe", "'readonly=maybe' is not known here" },
    { "file=x,snapshot=1", "'snapshot=1' is not known here" },
    { "file=x,format=qcow2", "'format=qcow2' is not known here" },
    { "file=x,if=floppy", "'if=floppy' is not known here" },
    { "file=x,", "write key=value" },
    { "file=x,cache=none", "'cache=none' is not known here" },
};

START_TEST(a_spec_that_is_none_is_explained)
{
    ck_assert_ptr_null(block_file_open(bad_specs[_i].spec, false, &disk, error));
    ck_assert_msg(strstr(error, bad_specs[_i].why) != NULL, "'%s': '%s'", bad_specs[_i].spec,
                  error);
}
END_TEST

START_TEST(a_spec_of_any_length_is_refused_without_harm)
{
    char spec[8192] = "file=";

    memset(spec + 5, 'x', sizeof spec - 6);
    spec[sizeof spec - 1] = '\0';
    ck_assert_ptr_null(block_file_open(spec, false, &disk, error));
    ck_assert_str_eq(error, "-drive: the text is too long");
}
END_TEST

Suite *suite_frontend_block_file(void)
{
    const TTest *const tests[] = {
        a_disk_is_as_large_as_its_file,
        a_write_is_in_the_file_and_nowhere_else,
        what_was_written_is_read_again,
        a_read_of_a_file_that_became_shorter_is_an_error,
        a_file_that_was_removed_still_works,
        a_read_only_disk_says_so_and_its_file_cannot_be_written,
        a_snapshot_reads_what_was_written_over_what_was_there,
        a_snapshot_leaves_no_file_behind,
        a_snapshot_without_a_place_for_its_writes_is_refused,
        a_second_writer_is_refused,
        readers_and_a_writer_exclude_each_other,
        readers_share_an_image,
        a_size_that_is_no_multiple_of_512_is_refused,
        an_empty_file_is_refused,
        a_missing_file_is_refused_and_not_made,
        a_folder_or_a_device_that_is_no_disk_is_refused,
        a_pipe_is_refused_at_once,
        a_spec_of_any_length_is_refused_without_harm,
    };
    Suite *s = suite_create("frontend/block_file");
    TCase *t = tcase_create("block_file");

    tcase_add_checked_fixture(t, setup, teardown);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        tcase_add_test(t, tests[i]);
    tcase_add_loop_test(t, a_snapshot_never_touches_the_file, 0, 2);
    tcase_add_loop_test(t, a_spec_that_is_none_is_explained, 0,
                        (int)(sizeof bad_specs / sizeof bad_specs[0]));
    suite_add_tcase(s, t);
    return s;
}
