/* -lockstep: the machine that the options describe, with its engine and once more with the
 * interpreter. Both see the same: disks are snapshots, the clock is that of cycles, nothing is typed.
 * Only the first one's output is real, and only in the run that is not repeated for a search. */
#include "frontend/lockstep.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/session.h"

enum { EXIT_DIFFERENT = 1, EXIT_USAGE = 2 };

struct pair {
    const struct options *o;
    struct session *open[2]; /* the machine under test, the reference */
    bool lost;               /* output could not be written */
};

static struct nidus *pair_create(void *owner, bool reference, bool again, char *error)
{
    struct pair *p = owner;
    struct session *s = calloc(1, sizeof *s);

    if (!s) {
        snprintf(error, NIDUS_ERROR_SIZE, "out of memory");
        return NULL;
    }
    s->o = *p->o;
    s->o.log_file = NULL;
    s->o.interp |= reference;
    s->o.perf_map &= !reference;
    s->mute = reference || again;
    if (!session_open(s)) {
        snprintf(error, NIDUS_ERROR_SIZE, "%s", s->error);
        session_close(s);
        free(s);
        return NULL;
    }
    p->open[reference] = s;
    if (!reference)
        session_signals(s->m);
    return s->m;
}

static void pair_destroy(void *owner, struct nidus *m)
{
    struct pair *p = owner;

    for (unsigned i = 0; i < 2; i++) {
        struct session *s = p->open[i];

        if (!s || s->m != m)
            continue;
        if (i == 0)
            session_signals(NULL);
        p->lost |= !session_close(s);
        free(s);
        p->open[i] = NULL;
    }
}

static const char *how(enum nidus_event event)
{
    switch (event) {
    case NIDUS_POWER_OFF: return "the guest powered off";
    case NIDUS_RESET: return "the guest reset the machine";
    case NIDUS_SHUTDOWN: return "the guest's processor shut down";
    case NIDUS_EXIT: return "the guest ended the run";
    case NIDUS_DEAD: return "all processors are halted for ever";
    default: return "as far as was asked for";
    }
}

static int report(const struct nidus_lockstep *l, enum nidus_lockstep_end end, const char *error)
{
    switch (end) {
    case NIDUS_LOCKSTEP_EQUAL:
        fprintf(stderr,
                "nidus: -lockstep: no difference in %" PRIu64 " cycles, %" PRIu64
                " comparisons; %s\n",
                l->now, l->compared, how(l->event));
        return EXIT_SUCCESS;
    case NIDUS_LOCKSTEP_DIFFERENT:
        fprintf(stderr, "nidus: -lockstep: the engines differ\n");
        return EXIT_DIFFERENT;
    case NIDUS_LOCKSTEP_STOPPED: return 128 + SIGINT;
    default: fprintf(stderr, "nidus: %s\n", error); return EXIT_USAGE;
    }
}

int lockstep_run(const struct options *o)
{
    char error[NIDUS_ERROR_SIZE] = "";
    struct pair p = { .o = o };
    struct nidus_lockstep l = { .slice = o->lockstep_slice,
                                .cycles = o->lockstep_cycles,
                                .owner = &p,
                                .create = pair_create,
                                .destroy = pair_destroy };
    FILE *out = o->log_file ? fopen(o->log_file, "w") : stderr;
    int status;

    if (!out) {
        fprintf(stderr, "nidus: -D: %.300s: %s\n", o->log_file, strerror(errno));
        return EXIT_USAGE;
    }
    status = report(&l, nidus_lockstep(&l, out, error), error);
    if (out != stderr && fclose(out) != 0) {
        fprintf(stderr, "nidus: -D: %.300s: %s\n", o->log_file, strerror(errno));
        status = EXIT_DIFFERENT;
    }
    return p.lost && status == EXIT_SUCCESS ? EXIT_DIFFERENT : status;
}
