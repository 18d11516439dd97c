/* The command line: defaults, both spellings, and what a person is told who gets it wrong. */
#include "frontend/options.h"

#include <check.h>
#include <string.h>
#include <unistd.h>

#include "include/nidus.h"

enum { WORDS_MAX = 80 };

/* splits `line` at blanks, as a shell does with plain words, and parses it */
static enum options_result parse(const char *line, struct options *o, char *error)
{
    static char copy[2048]; /* the options keep pointers into it */
    char *argv[WORDS_MAX + 1] = { "nidus" }, *word, *rest = copy;
    int argc = 1;

    ck_assert_uint_lt(strlen(line), sizeof copy);
    strcpy(copy, line);
    while ((word = strsep(&rest, " ")) != NULL && argc < WORDS_MAX) {
        if (*word)
            argv[argc++] = word;
    }
    error[0] = '\0';
    return options_parse(o, argc, argv, error);
}

static struct options good(const char *line)
{
    char error[NIDUS_ERROR_SIZE];
    struct options o;

    ck_assert_msg(parse(line, &o, error) == OPTIONS_RUN, "%s: %s", line, error);
    return o;
}

static void expect_error(const char *line, const char *message)
{
    char error[NIDUS_ERROR_SIZE];
    struct options o;

    ck_assert_msg(parse(line, &o, error) == OPTIONS_ERROR, "%s: accepted", line);
    ck_assert_msg(strstr(error, message) != NULL, "%s: '%s' has no '%s'", line, error, message);
    ck_assert_ptr_null(strchr(error, '\n'));
}

START_TEST(without_options_there_is_one_processor_and_512_mib)
{
    struct options o = good("");

    ck_assert_uint_eq(o.ram, 536870912);
    ck_assert_uint_eq(o.cpus, 1);
    ck_assert_str_eq(o.cpu, "max");
    ck_assert_str_eq(o.append, "");
    ck_assert_ptr_null(o.kernel);
    ck_assert_ptr_null(o.initrd);
    ck_assert(!o.cycles_clock && !o.snapshot && !o.stopped && !o.no_reboot && !o.nodefaults);
    ck_assert_uint_eq(o.drive_count + o.device_count + o.trace_count + o.serial_count, 0);
    ck_assert_uint_eq(o.seed, 0);
}
END_TEST

START_TEST(an_option_has_one_dash_or_two)
{
    ck_assert_str_eq(good("-kernel vmlinuz").kernel, "vmlinuz");
    ck_assert_str_eq(good("--kernel vmlinuz").kernel, "vmlinuz");
    expect_error("---kernel vmlinuz", "unknown option '---kernel'");
}
END_TEST

START_TEST(a_qemu_command_line_means_the_same_here)
{
    struct options o = good("-name test -machine q35,accel=tcg -cpu max,+x2apic -smp 2 -m 1G "
                            "-kernel k -initrd i -append quiet -drive file=a,format=raw "
                            "-drive file=b -device isa-debug-exit -serial stdio -display none "
                            "-vnc none -nographic -no-reboot -snapshot -S -d exec -D log");

    ck_assert_str_eq(o.cpu, "max,+x2apic");
    ck_assert_uint_eq(o.cpus, 2);
    ck_assert_uint_eq(o.ram, 1073741824);
    ck_assert_str_eq(o.initrd, "i");
    ck_assert_str_eq(o.append, "quiet");
    ck_assert_uint_eq(o.drive_count, 2);
    ck_assert_str_eq(o.drives[1], "file=b");
    ck_assert_str_eq(o.devices[0], "isa-debug-exit");
    ck_assert_str_eq(o.serials[0], "stdio");
    ck_assert_str_eq(o.log_items, "exec");
    ck_assert_str_eq(o.log_file, "log");
    ck_assert(o.no_reboot && o.snapshot && o.stopped);
}
END_TEST

START_TEST(an_argument_may_begin_with_a_dash)
{
    ck_assert_str_eq(good("-append -v").append, "-v");
}
END_TEST

START_TEST(the_last_of_two_counts)
{
    ck_assert_uint_eq(good("-m 1G -m 2G").ram, 2147483648);
}
END_TEST

START_TEST(ram_is_mib_unless_a_unit_says_otherwise)
{
    ck_assert_uint_eq(good("-m 64").ram, 67108864);
    ck_assert_uint_eq(good("-m size=64M").ram, 67108864);
    ck_assert_uint_eq(good("-m 1").ram, 1048576);
    ck_assert_uint_eq(good("-m 256G").ram, 274877906944);
    expect_error("-m 0", "-m: '0': RAM is a multiple of 1M, from 1M to 256G");
    expect_error("-m 257G", "-m: '257G': RAM is a multiple of 1M");
    expect_error("-m 1025K", "-m: '1025K': RAM is a multiple of 1M");
    expect_error("-m 512X", "-m: '512X': unknown unit 'X'; use K, M, G or T");
    expect_error("-m lots", "-m: 'lots' is not a size; write it like 512M or 4G");
}
END_TEST

START_TEST(one_to_eight_processors_are_possible)
{
    ck_assert_uint_eq(good("-smp 8").cpus, 8);
    ck_assert_uint_eq(good("-smp cpus=4").cpus, 4);
    expect_error("-smp 0", "-smp: '0' is not a number from 1 to 8");
    expect_error("-smp 9", "-smp: '9' is not a number from 1 to 8");
    expect_error("-smp many", "-smp: 'many' is not a number from 1 to 8");
}
END_TEST

START_TEST(only_the_board_and_display_that_exist_are_accepted)
{
    good("-M q35");
    expect_error("-M pc", "-M: there is no machine 'pc'; use q35");
    expect_error("-machine q", "-machine: there is no machine 'q'; use q35");
    expect_error("-display sdl", "-display: 'sdl' is not there (yet); use none");
}
END_TEST

START_TEST(guest_code_is_translated_unless_the_interpreter_is_asked_for)
{
    ck_assert(!good("").interp);
    ck_assert(!good("-accel native").interp);
    ck_assert(good("-accel interp").interp);
    ck_assert(!good("-accel interp -accel native").interp);
    ck_assert(good("-machine q35,accel=interp").interp);
    ck_assert(good("-M accel=interp,usb=off").interp);
    ck_assert(!good("-M q35,accel=kvm:tcg").interp);
    expect_error("-accel kvm", "-accel: there is no engine 'kvm'; use native or interp");
    expect_error("-accel tcg", "-accel: there is no engine 'tcg'; use native or interp");
    expect_error("-M q35,accel=fast", "-M: there is no engine 'fast'; use native or interp");
}
END_TEST

START_TEST(two_machines_in_lockstep_repeat_their_run)
{
    struct options o = good("-lockstep 1000,for=5000000");

    ck_assert(o.lockstep && o.cycles_clock && o.snapshot);
    ck_assert_uint_eq(o.lockstep_slice, 1000);
    ck_assert_uint_eq(o.lockstep_cycles, 5000000);
    ck_assert_int_eq(o.wall_seconds, 1767225600);
    o = good("-lockstep on");
    ck_assert_uint_eq(o.lockstep_slice + o.lockstep_cycles, 0);
    ck_assert_uint_eq(good("-lockstep on,for=7 -monitor none").lockstep_cycles, 7);
    ck_assert(!good("").lockstep);
    expect_error("-lockstep often", "-lockstep: 'often' is not a number");
    expect_error("-lockstep 0", "-lockstep: '0' is not a number from 1");
    expect_error("-lockstep on,for=ever", "-lockstep: 'ever' is not a number");
    expect_error("-lockstep on,5", "-lockstep: 'on,5': write on, or cycles");
    expect_error("-lockstep on -d exec", "-lockstep: -d does not go with it");
    expect_error("-monitor stdio -lockstep on", "-lockstep: -monitor does not go with it");
}
END_TEST

START_TEST(the_code_cache_has_1_mib_to_1_gib)
{
    ck_assert_uint_eq(good("").code_cache, 0);
    ck_assert_uint_eq(good("-code-cache 64").code_cache, 67108864);
    ck_assert_uint_eq(good("-code-cache 1G").code_cache, 1073741824);
    ck_assert(good("-perfmap").perf_map && !good("").perf_map);
    expect_error("-code-cache 64K", "-code-cache: '64K': the code cache has 1M to 1G");
    expect_error("-code-cache 2G", "-code-cache: '2G': the code cache has 1M to 1G");
    expect_error("-code-cache all", "-code-cache: 'all' is not a size");
}
END_TEST

START_TEST(the_clock_skips_idle_time_or_is_real)
{
    ck_assert(good("-clock cycles").cycles_clock);
    ck_assert(!good("-clock real").cycles_clock);
    expect_error("-clock sundial", "-clock: there is no clock 'sundial'; use cycles or real");
}
END_TEST

START_TEST(the_rtc_starts_when_the_user_says)
{
    ck_assert_int_eq(good("-rtc base=2026-01-31T12:00:00").wall_seconds, 1769860800);
    ck_assert_int_eq(good("-rtc base=1970-01-01T00:00:00").wall_seconds, 0);
    ck_assert_int_gt(good("-rtc base=utc").wall_seconds, 1700000000);
    expect_error("-rtc base=noon", "-rtc: 'base=noon': write base=utc");
    expect_error("-rtc base=2026-01-31", "write base=utc");
    expect_error("-rtc base=2026-01-31T12:00:00Z", "write base=utc");
}
END_TEST

START_TEST(the_seed_is_a_number_of_64_bits)
{
    ck_assert_uint_eq(good("-seed 0xffffffffffffffff").seed, UINT64_MAX);
    expect_error("-seed luck", "-seed: 'luck' is not a number");
}
END_TEST

START_TEST(an_unknown_option_is_named)
{
    expect_error("-kernle vmlinuz", "unknown option '-kernle'; nidus -help lists all");
    expect_error("-", "'-' is not an option");
    expect_error("--", "unknown option '--'");
    expect_error("disk.img", "'disk.img' is not an option; a disk image goes behind -drive file=");
}
END_TEST

START_TEST(a_missing_argument_is_named)
{
    expect_error("-kernel", "-kernel: FILE is missing behind it");
    expect_error("-nographic --m", "-m: SIZE is missing behind it");
}
END_TEST

START_TEST(one_repetition_too_many_is_refused)
{
    static const struct {
        const char *option;
        unsigned max;
    } lists[] = {
        { "-serial none ", 4 },
        { "-drive file=x ", 16 },
        { "-device x ", 32 },
        { "-trace x ", 32 },
    };
    char line[1024], message[64];

    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        line[0] = '\0';
        for (unsigned n = 0; n < lists[i].max; n++)
            strcat(line, lists[i].option);
        good(line);
        strcat(line, lists[i].option);
        snprintf(message, sizeof message, ": more than %u times", lists[i].max);
        expect_error(line, message);
    }
}
END_TEST

START_TEST(a_very_long_word_makes_a_short_message)
{
    char line[2000], error[NIDUS_ERROR_SIZE];
    struct options o;

    memset(line, 'x', sizeof line);
    line[0] = '-';
    line[sizeof line - 1] = '\0';
    ck_assert_int_eq(parse(line, &o, error), OPTIONS_ERROR);
    ck_assert_uint_lt(strlen(error), NIDUS_ERROR_SIZE);
}
END_TEST

/* what options_parse prints, in `text` */
static enum options_result printed(const char *line, char *text, size_t size)
{
    char error[NIDUS_ERROR_SIZE];
    FILE *file = tmpfile();
    int saved = dup(STDOUT_FILENO);
    enum options_result r;
    struct options o;
    size_t n;

    ck_assert(file && saved >= 0);
    fflush(stdout);
    dup2(fileno(file), STDOUT_FILENO);
    r = parse(line, &o, error);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    rewind(file);
    n = fread(text, 1, size - 1, file);
    text[n] = '\0';
    fclose(file);
    return r;
}

START_TEST(help_lists_every_option)
{
    static const char *const names[] = {
#define OPTION(name, argument, help) "  -" #name,
#include "frontend/options.def"
    };
    char text[16384];

    ck_assert_int_eq(printed("-help", text, sizeof text), OPTIONS_DONE);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        ck_assert_msg(strstr(text, names[i]) != NULL, "%s", names[i]);
    ck_assert_int_eq(printed("-m 1G --h", text, sizeof text), OPTIONS_DONE);
}
END_TEST

START_TEST(questions_are_answered)
{
    char text[16384];

    ck_assert_int_eq(printed("-version", text, sizeof text), OPTIONS_DONE);
    ck_assert_int_eq(strncmp(text, "nidus ", 6), 0);
    ck_assert_int_eq(printed("-cpu help", text, sizeof text), OPTIONS_DONE);
    ck_assert_ptr_nonnull(strstr(text, "max"));
    ck_assert_int_eq(printed("-device help", text, sizeof text), OPTIONS_DONE);
    ck_assert_ptr_nonnull(strstr(text, "isa-debug-exit"));
    ck_assert_int_eq(printed("-trace help", text, sizeof text), OPTIONS_DONE);
    ck_assert_ptr_nonnull(strstr(text, "vmx_exit"));
}
END_TEST

Suite *suite_frontend_options(void)
{
    const TTest *const tests[] = {
        without_options_there_is_one_processor_and_512_mib,
        an_option_has_one_dash_or_two,
        a_qemu_command_line_means_the_same_here,
        an_argument_may_begin_with_a_dash,
        the_last_of_two_counts,
        ram_is_mib_unless_a_unit_says_otherwise,
        one_to_eight_processors_are_possible,
        only_the_board_and_display_that_exist_are_accepted,
        guest_code_is_translated_unless_the_interpreter_is_asked_for,
        two_machines_in_lockstep_repeat_their_run,
        the_code_cache_has_1_mib_to_1_gib,
        the_clock_skips_idle_time_or_is_real,
        the_rtc_starts_when_the_user_says,
        the_seed_is_a_number_of_64_bits,
        an_unknown_option_is_named,
        a_missing_argument_is_named,
        one_repetition_too_many_is_refused,
        a_very_long_word_makes_a_short_message,
        help_lists_every_option,
        questions_are_answered,
    };
    Suite *s = suite_create("frontend/options");
    TCase *t = tcase_create("options");

    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        tcase_add_test(t, tests[i]);
    suite_add_tcase(s, t);
    return s;
}
