/* nidus: parse, build, run, report. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "frontend/block_file.h"
#include "frontend/char_file.h"
#include "frontend/console.h"
#include "frontend/files.h"
#include "frontend/options.h"
#include "include/nidus.h"

enum { EXIT_MACHINE = 1, EXIT_USAGE = 2 };

/* how much machine time passes between two looks at the terminal */
#define SLICE_NS UINT64_C(5000000)

/* a virtio console with the other end behind the comma: "virtio-console,file:PATH" */
#define CONSOLE_DEVICE "virtio-console,"

/* native ends of serial ports first */
enum { DEBUGCON_SLOT = MAX_SERIALS, CONSOLE_SLOT, CHAR_SLOTS };

struct session {
    struct options o;
    struct nidus *m;
    struct console *console;
    struct block_file *disks[MAX_DRIVES];
    struct char_file *chars[CHAR_SLOTS];
    FILE *log;
    const char *input; /* device that the terminal feeds, or NULL */
    char error[NIDUS_ERROR_SIZE];
};

/* the machine that a signal ends */
static struct nidus *volatile signalled;

static void on_signal(int number)
{
    if (signalled)
        nidus_stop(signalled);
}

static bool explain(struct session *s, const char *where)
{
    char copy[NIDUS_ERROR_SIZE];

    snprintf(copy, sizeof copy, "%s", s->error);
    snprintf(s->error, sizeof s->error, "%.60s: %.440s", where, copy);
    return false;
}

static bool add_char(struct session *s, unsigned slot, const char *device, const char *spec)
{
    struct nidus_char c;

    if (s->chars[slot]) {
        snprintf(s->error, sizeof s->error, "%s is there already", device);
        return false;
    }
    s->chars[slot] = char_file_open(spec, &c, s->error);
    if (!s->chars[slot])
        return s->error[0] ? explain(s, slot == DEBUGCON_SLOT ? "-debugcon" : "-serial") : true;
    if (char_file_is_terminal(spec) && slot != DEBUGCON_SLOT && !s->input)
        s->input = device;
    return nidus_add_char(s->m, device, &c, s->error);
}

static bool add_chars(struct session *s)
{
    static const char *const names[MAX_SERIALS] = { "serial0", "serial1", "serial2", "serial3" };
    bool monitor_has_stdio = s->o.monitor && strcmp(s->o.monitor, "stdio") == 0;

    if (s->o.serial_count == 0 && !s->o.nodefaults && !monitor_has_stdio)
        s->o.serials[s->o.serial_count++] = "mon:stdio";
    for (unsigned i = 0; i < s->o.serial_count; i++) {
        if (!add_char(s, i, names[i], s->o.serials[i]))
            return false;
    }
    return !s->o.debugcon || add_char(s, DEBUGCON_SLOT, "debugcon", s->o.debugcon);
}

static bool add_disks(struct session *s)
{
    for (unsigned i = 0; i < s->o.drive_count; i++) {
        struct nidus_block disk;

        s->disks[i] = block_file_open(s->o.drives[i], s->o.snapshot, &disk, s->error);
        if (!s->disks[i] || !nidus_add_disk(s->m, &disk, s->error))
            return explain(s, "-drive");
    }
    for (unsigned i = 0; i < s->o.device_count; i++) {
        const char *device = s->o.devices[i];
        bool console = strncmp(device, CONSOLE_DEVICE, strlen(CONSOLE_DEVICE)) == 0;

        if (!(console ? add_char(s, CONSOLE_SLOT, "virtio-console", device + strlen(CONSOLE_DEVICE))
                      : nidus_add_device(s->m, device, s->error)))
            return explain(s, "-device");
    }
    return true;
}

static bool load(struct session *s)
{
    struct nidus_blob kernel = { NULL, 0 }, initrd = { NULL, 0 };
    bool good;

    if (!s->o.kernel)
        return s->o.initrd ? (snprintf(s->error, sizeof s->error,
                                       "-initrd: there is no -kernel to give it to"),
                              false)
                           : nidus_load_builtin(s->m, s->error);
    if (!file_read(s->o.kernel, &kernel, s->error))
        return explain(s, "-kernel");
    if (s->o.initrd && !file_read(s->o.initrd, &initrd, s->error)) {
        free((void *)kernel.bytes);
        return explain(s, "-initrd");
    }
    good = nidus_load_kernel(s->m, kernel, initrd, s->o.append, s->error) || explain(s, "-kernel");
    free((void *)kernel.bytes);
    free((void *)initrd.bytes);
    return good;
}

static bool add_traces(struct session *s)
{
    const char *items = s->o.log_items;

    if (s->o.log_file) {
        s->log = fopen(s->o.log_file, "w");
        if (!s->log) {
            snprintf(s->error, sizeof s->error, "-D: %.300s: %s", s->o.log_file, strerror(errno));
            return false;
        }
    }
    nidus_trace_file(s->m, s->log ? s->log : stderr);
    if (!s->o.kernel && s->o.trace_count == 0 && !items) {
        /* the teaching hypervisor: say beside it what the processor did */
        setvbuf(stdout, NULL, _IOLBF, 0); /* in step with the guest's lines */
        nidus_trace_file(s->m, s->log ? s->log : stdout);
        nidus_trace(s->m, "vmx_exit");
        nidus_trace(s->m, "vmx_entry_fail");
        nidus_trace(s->m, "vmx_insn_fail");
    }
    for (unsigned i = 0; i < s->o.trace_count; i++) {
        if (!nidus_trace(s->m, s->o.traces[i])) {
            snprintf(s->error, sizeof s->error,
                     "-trace: no event matches '%.200s'; nidus -trace help lists all",
                     s->o.traces[i]);
            return false;
        }
    }
    while (items && *items) {
        char item[32];
        size_t n = strcspn(items, ",");

        snprintf(item, sizeof item, "%.*s", (int)(n < 31 ? n : 31), items);
        if (!nidus_log(s->m, item, s->log ? s->log : stderr)) {
            snprintf(s->error, sizeof s->error, "-d: '%s' is not known; use exec, cpu, vmx", item);
            return false;
        }
        items += n + (items[n] == ',');
    }
    return true;
}

static bool build(struct session *s)
{
    const struct options *o = &s->o;
    struct nidus_config config = {
        .ram = o->ram,
        .cpus = o->cpus,
        .cpu = o->cpu,
        .real_clock = !o->cycles_clock,
        .reboot = !o->no_reboot,
        .wall_seconds = o->wall_seconds,
        .entropy = o->seed,
        .accel = o->interp ? NIDUS_ACCEL_INTERP : NIDUS_ACCEL_NATIVE,
        .code_cache = o->code_cache,
        .perf_map = o->perf_map,
    };

    s->m = nidus_create(&config, s->error);
    return s->m && add_chars(s) && add_disks(s) && add_traces(s) && load(s);
}

static uint64_t native_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* the exit status once the machine has ended; -1: go on */
static int ended(struct session *s, enum nidus_event event)
{
    switch (event) {
    case NIDUS_POWER_OFF:
    case NIDUS_RESET: return EXIT_SUCCESS;
    case NIDUS_EXIT: return nidus_exit_code(s->m);
    case NIDUS_SHUTDOWN:
        fprintf(stderr, "nidus: the guest's processor shut down (triple fault); -d exec -D FILE "
                        "shows what led to it\n");
        return EXIT_MACHINE;
    case NIDUS_DEAD:
        if (console_has_input(s->console))
            return -1;
        fprintf(stderr, "nidus: all processors are halted for ever (no timer, no input)\n");
        return EXIT_MACHINE;
    default: return -1;
    }
}

static int run(struct session *s)
{
    for (;;) {
        enum nidus_event event = NIDUS_STOPPED;
        uint64_t wait = 0, before;
        int status;

        if (!console_is_stopped(s->console)) {
            event = nidus_run(s->m, SLICE_NS);
            status = ended(s, event);
            if (status >= 0)
                return status;
            if (event == NIDUS_STOPPED)
                return 128 + SIGINT;
        }
        if (event == NIDUS_IDLE)
            wait = nidus_idle_ns(s->m);
        else if (event == NIDUS_DEAD || console_is_stopped(s->console))
            wait = UINT64_MAX;
        before = native_ns();
        if (console_serve(s->console, wait) == CONSOLE_QUIT)
            return EXIT_SUCCESS;
        if (event == NIDUS_IDLE) {
            uint64_t slept = native_ns() - before;

            nidus_idle(s->m, slept < wait ? slept : wait);
        }
    }
}

static int finish(struct session *s, int status)
{
    if (s->console)
        console_close(s->console);
    signalled = NULL;
    if (s->o.stats_file && s->m && !file_write_stats(s->o.stats_file, s->m, s->error)) {
        fprintf(stderr, "nidus: -stats: %s\n", s->error);
        status = EXIT_MACHINE;
    }
    if (s->m)
        nidus_destroy(s->m);
    for (unsigned i = 0; i < CHAR_SLOTS; i++) {
        if (s->chars[i] && !char_file_close(s->chars[i], s->error)) {
            fprintf(stderr, "nidus: %s\n", s->error);
            status = EXIT_MACHINE;
        }
    }
    for (unsigned i = 0; i < MAX_DRIVES; i++) {
        if (s->disks[i])
            block_file_close(s->disks[i]);
    }
    if (s->log && fclose(s->log) != 0) {
        fprintf(stderr, "nidus: -D: %s: %s\n", s->o.log_file, strerror(errno));
        status = EXIT_MACHINE;
    }
    return status;
}

int main(int argc, char **argv)
{
    static struct session s;
    enum options_result r = options_parse(&s.o, argc, argv, s.error);
    int status = EXIT_USAGE;

    if (r == OPTIONS_DONE)
        return EXIT_SUCCESS;
    if (r == OPTIONS_RUN && build(&s)) {
        bool monitor = s.o.monitor && strcmp(s.o.monitor, "stdio") == 0;

        signalled = s.m;
        signal(SIGINT, on_signal);
        signal(SIGTERM, on_signal);
        signal(SIGPIPE, SIG_IGN);
        s.console = console_open(s.m, s.input, monitor, s.o.stopped);
        status = s.console ? run(&s) : EXIT_MACHINE;
    } else {
        fprintf(stderr, "nidus: %s\n", s.error);
    }
    return finish(&s, status);
}
