/* nidus: parse, build, run, report. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "frontend/console.h"
#include "frontend/files.h"
#include "frontend/lockstep.h"
#include "frontend/options.h"
#include "frontend/session.h"
#include "include/nidus.h"

enum { EXIT_MACHINE = 1, EXIT_USAGE = 2 };

/* how much machine time passes between two looks at the terminal */
#define SLICE_NS UINT64_C(5000000)

static uint64_t native_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* the exit status once the machine has ended; -1: go on */
static int ended(struct session *s, struct console *console, enum nidus_event event)
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
        if (console_has_input(console))
            return -1;
        fprintf(stderr, "nidus: all processors are halted for ever (no timer, no input)\n");
        return EXIT_MACHINE;
    default: return -1;
    }
}

static int run(struct session *s, struct console *console)
{
    for (;;) {
        enum nidus_event event = NIDUS_STOPPED;
        uint64_t wait = 0, before;
        int status;

        if (!console_is_stopped(console)) {
            event = nidus_run(s->m, SLICE_NS);
            status = ended(s, console, event);
            if (status >= 0)
                return status;
            if (event == NIDUS_STOPPED)
                return 128 + SIGINT;
        }
        if (event == NIDUS_IDLE)
            wait = nidus_idle_ns(s->m);
        else if (event == NIDUS_DEAD || console_is_stopped(console))
            wait = UINT64_MAX;
        before = native_ns();
        if (console_serve(console, wait) == CONSOLE_QUIT)
            return EXIT_SUCCESS;
        if (event == NIDUS_IDLE) {
            uint64_t slept = native_ns() - before;

            nidus_idle(s->m, slept < wait ? slept : wait);
        }
    }
}

static int run_with_console(struct session *s)
{
    bool monitor = s->o.monitor && strcmp(s->o.monitor, "stdio") == 0;
    struct console *console;
    int status;

    session_signals(s->m);
    console = console_open(s->m, s->input, monitor, s->o.stopped);
    if (!console)
        return EXIT_MACHINE;
    status = run(s, console);
    console_close(console);
    session_signals(NULL);
    return status;
}

static int finish(struct session *s, int status)
{
    if (s->o.stats_file && s->m && !file_write_stats(s->o.stats_file, s->m, s->error)) {
        fprintf(stderr, "nidus: -stats: %s\n", s->error);
        status = EXIT_MACHINE;
    }
    return session_close(s) ? status : EXIT_MACHINE;
}

int main(int argc, char **argv)
{
    static struct session s;
    enum options_result r = options_parse(&s.o, argc, argv, s.error);
    int status = EXIT_USAGE;

    if (r == OPTIONS_DONE)
        return EXIT_SUCCESS;
    if (r == OPTIONS_RUN && s.o.lockstep)
        return lockstep_run(&s.o);
    if (r == OPTIONS_RUN && session_open(&s))
        status = run_with_console(&s);
    else
        fprintf(stderr, "nidus: %s\n", s.error);
    return finish(&s, status);
}
