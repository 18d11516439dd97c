/* Building a machine from the options, with its native ends. */
#include "frontend/session.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/block_file.h"
#include "frontend/char_file.h"
#include "frontend/files.h"

/* a virtio console with the other end behind the comma: "virtio-console,file:PATH" */
#define CONSOLE_DEVICE "virtio-console,"

static bool explain(struct session *s, const char *where)
{
    char copy[NIDUS_ERROR_SIZE];

    snprintf(copy, sizeof copy, "%s", s->error);
    snprintf(s->error, sizeof s->error, "%.60s: %.440s", where, copy);
    return false;
}

static void write_nothing(void *owner, const uint8_t *bytes, size_t count)
{
}

static bool add_char(struct session *s, unsigned slot, const char *device, const char *spec)
{
    struct nidus_char c = { .write = write_nothing };

    if (s->chars[slot]) {
        snprintf(s->error, sizeof s->error, "%s is there already", device);
        return false;
    }
    if (s->mute && !char_file_is_none(spec))
        return nidus_add_char(s->m, device, &c, s->error);
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
    if (!s->o.kernel && s->o.trace_count == 0 && !items && !s->o.lockstep) {
        /* the teaching hypervisor: say beside it what the processor did */
        setvbuf(stdout, NULL, _IOLBF, 0); /* in step with the guest's lines */
        nidus_trace_file(s->m, s->log ? s->log : stdout);
        nidus_trace(s->m, "vmx_exit");
        nidus_trace(s->m, "vmx_entry_fail");
        nidus_trace(s->m, "vmx_insn_fail");
    }
    if (s->o.dump_jit)
        nidus_dump_translated(s->m, s->o.dump_first, s->o.dump_last, s->log ? s->log : stderr);
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

bool session_open(struct session *s)
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

bool session_close(struct session *s)
{
    bool good = true;

    if (s->m)
        nidus_destroy(s->m);
    for (unsigned i = 0; i < CHAR_SLOTS; i++) {
        if (s->chars[i] && !char_file_close(s->chars[i], s->error)) {
            fprintf(stderr, "nidus: %s\n", s->error);
            good = false;
        }
    }
    for (unsigned i = 0; i < MAX_DRIVES; i++) {
        if (s->disks[i])
            block_file_close(s->disks[i]);
    }
    if (s->log && fclose(s->log) != 0) {
        fprintf(stderr, "nidus: -D: %s: %s\n", s->o.log_file, strerror(errno));
        good = false;
    }
    return good;
}

/* the machine that a signal ends */
static struct nidus *volatile signalled;

static void on_signal(int number)
{
    if (signalled)
        nidus_stop(signalled);
}

void session_signals(struct nidus *m)
{
    signalled = m;
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    signal(SIGPIPE, SIG_IGN);
}
