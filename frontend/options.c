/* Parsing the command line: rows of options.def, one setter each. */
#include "frontend/options.h"

#include <string.h>
#include <time.h>

#include "include/nidus.h"

/* Without -rtc: the native time, but under -clock cycles always the same, so that runs repeat. */
#define RTC_UNSET INT64_MIN
#define RTC_FIXED INT64_C(1767225600) /* 2026-01-01T00:00:00 */

static bool fail(char *error, const char *fmt, const char *what)
{
    snprintf(error, NIDUS_ERROR_SIZE, fmt, what);
    return false;
}

static bool append(const char **list, unsigned *count, unsigned max, const char *v, char *error)
{
    if (*count == max) {
        snprintf(error, NIDUS_ERROR_SIZE, "more than %u times", max);
        return false;
    }
    list[(*count)++] = v;
    return true;
}

static bool set_ram(struct options *o, const char *v, char *error)
{
    uint64_t bytes;

    if (strncmp(v, "size=", 5) == 0)
        v += 5;
    if (!parse_size(v, 1 << 20, &bytes, error))
        return false;
    if (bytes < 1 << 20 || bytes > UINT64_C(256) << 30 || bytes % (1 << 20))
        return fail(error, "'%s': RAM is a multiple of 1M, from 1M to 256G", v);
    o->ram = bytes;
    return true;
}

static bool set_smp(struct options *o, const char *v, char *error)
{
    uint64_t n;

    if (strncmp(v, "cpus=", 5) == 0)
        v += 5;
    if (!parse_number(v, 1, 8, &n, error))
        return false;
    o->cpus = (unsigned)n;
    return true;
}

static bool set_accel(struct options *o, const char *v, char *error)
{
    o->interp = strcmp(v, "interp") == 0;
    return o->interp || strcmp(v, "native") == 0 ||
           fail(error, "there is no engine '%s'; use native or interp", v);
}

static bool set_code_cache(struct options *o, const char *v, char *error)
{
    uint64_t bytes;

    if (!parse_size(v, 1 << 20, &bytes, error))
        return false;
    if (bytes < 1 << 20 || bytes > UINT64_C(1) << 30)
        return fail(error, "'%s': the code cache has 1M to 1G", v);
    o->code_cache = bytes;
    return true;
}

/* "0x401000", "0x401000-0x402000" */
static bool set_dump_jit(struct options *o, const char *v, char *error)
{
    char first[32];
    size_t n = strcspn(v, "-");

    snprintf(first, sizeof first, "%.*s", (int)n, v);
    if (!parse_number(first, 0, UINT64_MAX, &o->dump_first, error) ||
        !parse_number(v[n] ? v + n + 1 : first, 0, UINT64_MAX, &o->dump_last, error))
        return false;
    if (o->dump_last < o->dump_first)
        return fail(error, "'%s': the end lies before the start", v);
    o->dump_jit = true;
    return true;
}

/* "on", "20000", "on,for=1000000", "20000,for=1000000" */
static bool set_lockstep(struct options *o, const char *v, char *error)
{
    size_t n = strcspn(v, ",");
    char slice[32];

    snprintf(slice, sizeof slice, "%.*s", (int)n, v);
    o->lockstep = true;
    o->lockstep_slice = o->lockstep_cycles = 0;
    if (strcmp(slice, "on") != 0 &&
        !parse_number(slice, 1, UINT64_C(1) << 32, &o->lockstep_slice, error))
        return false;
    if (v[n] == '\0')
        return true;
    if (strncmp(v + n, ",for=", 5) != 0)
        return fail(error, "'%s': write on, or cycles between comparisons, then ,for=CYCLES", v);
    return parse_number(v + n + 5, 1, UINT64_C(1) << 62, &o->lockstep_cycles, error);
}

/* Two machines have one terminal, one trace and, in a search, several runs. */
static bool check_lockstep(const struct options *o, char *error)
{
    const struct {
        bool given;
        const char *name;
    } alone[] = { { o->stopped, "-S" },
                  { o->monitor && strcmp(o->monitor, "none") != 0, "-monitor" },
                  { o->trace_count != 0, "-trace" },
                  { o->log_items != NULL, "-d" },
                  { o->stats_file != NULL, "-stats" },
                  { o->dump_jit, "-dump-jit" } };

    for (size_t i = 0; o->lockstep && i < sizeof alone / sizeof alone[0]; i++) {
        if (alone[i].given)
            return fail(error, "-lockstep: %s does not go with it", alone[i].name);
    }
    return true;
}

/* "q35,accel=native"; scripts that start machines elsewhere ask for kvm or tcg, and get our default */
static bool set_machine(struct options *o, const char *v, char *error)
{
    size_t n = strcspn(v, ",");
    const char *accel = strncmp(v, "accel=", 6) == 0 ? v : strstr(v, ",accel=");
    char name[32];

    if (!(n == 3 && strncmp(v, "q35", 3) == 0) && accel != v)
        return fail(error, "there is no machine '%s'; use q35", v);
    if (!accel)
        return true;
    accel = strchr(accel, '=') + 1;
    if (strncmp(accel, "kvm", 3) == 0 || strncmp(accel, "tcg", 3) == 0)
        return true;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(accel, ","), accel);
    return set_accel(o, name, error);
}

static bool set_clock(struct options *o, const char *v, char *error)
{
    o->cycles_clock = strcmp(v, "cycles") == 0;
    return o->cycles_clock || strcmp(v, "real") == 0 ||
           fail(error, "there is no clock '%s'; use cycles or real", v);
}

static bool set_rtc(struct options *o, const char *v, char *error)
{
    struct tm tm = { 0 };
    const char *end;

    if (strcmp(v, "base=utc") == 0) {
        o->wall_seconds = time(NULL);
        return true;
    }
    if (strcmp(v, "base=localtime") == 0) {
        time_t now = time(NULL);

        localtime_r(&now, &tm);
        o->wall_seconds = timegm(&tm);
        return true;
    }
    end = strncmp(v, "base=", 5) == 0 ? strptime(v + 5, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    if (!end || *end)
        return fail(error, "'%s': write base=utc, base=localtime or base=2026-01-31T12:00:00", v);
    o->wall_seconds = timegm(&tm);
    return true;
}

static bool set_only(const char *v, const char *allowed, char *error)
{
    if (strcmp(v, allowed) == 0)
        return true;
    snprintf(error, NIDUS_ERROR_SIZE, "'%s' is not there (yet); use %s", v, allowed);
    return false;
}

/* one row's setter; v is "" for options without an argument */
static bool set(struct options *o, const char *name, const char *v, char *error)
{
    const struct {
        const char *name;
        const char **at;
    } texts[] = {
        { "kernel", &o->kernel }, { "initrd", &o->initrd },     { "append", &o->append },
        { "cpu", &o->cpu },       { "debugcon", &o->debugcon }, { "monitor", &o->monitor },
        { "d", &o->log_items },   { "D", &o->log_file },        { "stats", &o->stats_file },
    };
    const struct {
        const char *name;
        bool *at;
    } flags[] = {
        { "snapshot", &o->snapshot },   { "S", &o->stopped },
        { "no-reboot", &o->no_reboot }, { "nodefaults", &o->nodefaults },
        { "perfmap", &o->perf_map },
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (strcmp(name, texts[i].name) == 0) {
            *texts[i].at = v;
            return true;
        }
    }
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        if (strcmp(name, flags[i].name) == 0) {
            *flags[i].at = true;
            return true;
        }
    }
    if (strcmp(name, "m") == 0)
        return set_ram(o, v, error);
    if (strcmp(name, "smp") == 0)
        return set_smp(o, v, error);
    if (strcmp(name, "machine") == 0 || strcmp(name, "M") == 0)
        return set_machine(o, v, error);
    if (strcmp(name, "clock") == 0)
        return set_clock(o, v, error);
    if (strcmp(name, "rtc") == 0)
        return set_rtc(o, v, error);
    if (strcmp(name, "seed") == 0)
        return parse_number(v, 0, UINT64_MAX, &o->seed, error);
    if (strcmp(name, "accel") == 0)
        return set_accel(o, v, error);
    if (strcmp(name, "code-cache") == 0)
        return set_code_cache(o, v, error);
    if (strcmp(name, "dump-jit") == 0)
        return set_dump_jit(o, v, error);
    if (strcmp(name, "lockstep") == 0)
        return set_lockstep(o, v, error);
    if (strcmp(name, "display") == 0 || strcmp(name, "vnc") == 0)
        return set_only(v, "none", error);
    if (strcmp(name, "drive") == 0)
        return append(o->drives, &o->drive_count, MAX_DRIVES, v, error);
    if (strcmp(name, "device") == 0)
        return append(o->devices, &o->device_count, MAX_DEVICES, v, error);
    if (strcmp(name, "trace") == 0)
        return append(o->traces, &o->trace_count, MAX_TRACES, v, error);
    if (strcmp(name, "serial") == 0)
        return append(o->serials, &o->serial_count, MAX_SERIALS, v, error);
    return true; /* nographic, name: nothing to do */
}

static const struct {
    const char *name, *argument, *help;
} rows[] = {
#define OPTION(name, argument, help) { #name, argument, help },
#include "frontend/options.def"
};

static void print_help(void)
{
    printf("usage: nidus [options]\n"
           "An x86-64 PC with Intel VMX. Without options: a teaching hypervisor, embedded.\n\n");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        printf("  -%-10s %-8s %s\n", rows[i].name, rows[i].argument, rows[i].help);
}

static int find(const char *name)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].name, name) == 0)
            return (int)i;
    }
    return -1;
}

/* options that answer and end */
static bool answers(const char *name, const char *v)
{
    if (strcmp(name, "help") == 0 || strcmp(name, "h") == 0)
        print_help();
    else if (strcmp(name, "version") == 0)
        printf("nidus %s\n", NIDUS_VERSION);
    else if (strcmp(v, "help") == 0 && strcmp(name, "cpu") == 0)
        nidus_list_cpus(stdout);
    else if (strcmp(v, "help") == 0 && strcmp(name, "device") == 0)
        nidus_list_devices(stdout);
    else if (strcmp(v, "help") == 0 && strcmp(name, "trace") == 0)
        nidus_list_traces(stdout);
    else
        return false;
    return true;
}

enum options_result options_parse(struct options *o, int argc, char **argv, char *error)
{
    char why[NIDUS_ERROR_SIZE];

    *o = (struct options){
        .append = "", .cpu = "max", .ram = UINT64_C(512) << 20, .cpus = 1, .wall_seconds = RTC_UNSET
    };
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i], *v = "";
        int row;

        if (name[0] != '-' || name[1] == '\0') {
            snprintf(error, NIDUS_ERROR_SIZE,
                     "'%s' is not an option; a disk image goes behind -drive file=", name);
            return OPTIONS_ERROR;
        }
        name += name[1] == '-' ? 2 : 1;
        row = find(name);
        if (row < 0) {
            snprintf(error, NIDUS_ERROR_SIZE, "unknown option '%s'; nidus -help lists all",
                     argv[i]);
            return OPTIONS_ERROR;
        }
        if (rows[row].argument[0]) {
            if (i + 1 == argc) {
                snprintf(error, NIDUS_ERROR_SIZE, "-%s: %s is missing behind it", name,
                         rows[row].argument);
                return OPTIONS_ERROR;
            }
            v = argv[++i];
        }
        if (answers(name, v))
            return OPTIONS_DONE;
        if (!set(o, name, v, why)) {
            snprintf(error, NIDUS_ERROR_SIZE, "-%s: %.400s", name, why);
            return OPTIONS_ERROR;
        }
    }
    if (!check_lockstep(o, error))
        return OPTIONS_ERROR;
    o->cycles_clock |= o->lockstep;
    o->snapshot |= o->lockstep;
    if (o->wall_seconds == RTC_UNSET)
        o->wall_seconds = o->cycles_clock ? RTC_FIXED : time(NULL);
    return OPTIONS_RUN;
}
