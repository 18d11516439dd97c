/* The machine: everything that exists hangs off this struct. */
#pragma once
#include <signal.h>

#include "base/clock.h"
#include "cpu/cpu.h"
#include "devices/device.h"
#include "include/nidus.h"
#include "vmx/vmx.h"

enum { MACHINE_MAX_CPUS = 8 };

/* cycles that one of several processors runs before the next gets its turn */
#define MACHINE_QUANTUM UINT64_C(50000)

struct boot_image; /* machine/load.h */

/* Where the run loop is, so that it can be left after any block and go on as if it had not been. */
enum turn_stage {
    TURN_NONE,  /* between turns: all processors have reached `now` */
    TURN_FIRST, /* each runs until `end` */
    TURN_WAKE,  /* all sleep: those run on that another one has woken */
};
struct turn {
    enum turn_stage stage;
    unsigned cpu;  /* whose part of the turn */
    bool begun;    /* and it has run a block */
    uint64_t end;  /* of the turn, in cycles */
    uint64_t mine; /* of that processor's part: a timer may be armed for sooner */
};

struct nidus {
    struct nidus_config config;
    struct bus *bus;
    struct ports *ports;
    struct clock clock;
    uint64_t now; /* cycles; all processors have reached it */
    uint64_t idle_cycles;
    uint64_t run_ns; /* native time in cpu_run, for statistics */
    struct cpu *cpu[MACHINE_MAX_CPUS];
    struct cpu *running; /* whose turn it is, NULL between turns */
    struct turn turn;
    unsigned cpu_count;
    struct vmx_caps caps;
    struct device_host host;
    struct device *devices;     /* all, in order of creation */
    struct board *board;        /* machine/board.c: the parts by name */
    struct boot_image *image;   /* what to load again at reset */
    volatile sig_atomic_t stop; /* nidus_stop */
    bool ended;                 /* `event` says how */
    bool reset_wanted;
    enum nidus_event event;
    int exit_code;
    uint64_t entropy[2];  /* state of the deterministic generator */
    FILE *perf_map;       /* names of native code, or NULL */
    unsigned monitor_cpu; /* the processor that the monitor looks at */
};

/* cycles since power-on, seen from wherever the machine is */
uint64_t machine_now(const struct nidus *m);
/* end the run at the next block boundary with this event */
void machine_end(struct nidus *m, enum nidus_event event);
/* one instruction of one processor, for the monitor */
void machine_step(struct nidus *m, struct cpu *cpu);
/* reset at the next block boundary (or end, as config.reboot says) */
void machine_reset_request(struct nidus *m);
