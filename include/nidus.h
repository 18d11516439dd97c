/* nidus: an x86-64 PC with Intel VMX as a library. The only header that is installed.
 *
 * A machine runs in the caller's thread and never looks at the native clock, a file or a terminal
 * by itself: the caller passes bytes in and takes bytes out, and tells how much time has passed
 * while the machine was idle. So a run is a function of its inputs. Functions that can fail return
 * false (or NULL) and write one line of explanation to `error` (NIDUS_ERROR_SIZE bytes). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define NIDUS_ERROR_SIZE 512

struct nidus;

enum nidus_accel {
    NIDUS_ACCEL_NATIVE, /* guest code is translated to native code where nidus can */
    NIDUS_ACCEL_INTERP,
};

struct nidus_config {
    uint64_t ram;         /* bytes, a multiple of 1 MiB, 1 MiB to 256 GiB */
    unsigned cpus;        /* 1 to 8 */
    const char *cpu;      /* "max", "max,-vmx-ept,+x2apic", ... */
    bool real_clock;      /* do not skip idle time: nidus_run returns NIDUS_IDLE instead */
    bool reboot;          /* a guest's reset resets the machine instead of ending the run */
    int64_t wall_seconds; /* the RTC at power-on: Unix time, UTC */
    uint64_t entropy;     /* seed of RDRAND, virtio-rng and the like */
    enum nidus_accel accel;
    uint64_t code_cache; /* bytes of address space for each processor's native code; 0: 256 MiB */
    bool perf_map;       /* name native code for perf, in /tmp/perf-PID.map */
};

/* ---- life ---- */
struct nidus *nidus_create(const struct nidus_config *config, char *error);
void nidus_destroy(struct nidus *m);
/* power-on state; what was loaded is loaded again */
void nidus_reset(struct nidus *m);

/* ---- devices: before the first run ---- */
struct nidus_char {
    void *owner;
    void (*write)(void *owner, const uint8_t *bytes, size_t count);
};
/* "serial0" to "serial3" (COM1 to COM4), "debugcon" (port e9H), "virtio-console" */
bool nidus_add_char(struct nidus *m, const char *device, const struct nidus_char *c, char *error);
/* input for it; returns how many bytes were taken (the device's buffer may be full) */
size_t nidus_input(struct nidus *m, const char *device, const uint8_t *bytes, size_t count);

enum nidus_block_result {
    NIDUS_BLOCK_OK,
    NIDUS_BLOCK_ERROR,
    NIDUS_BLOCK_READ_ONLY,
    NIDUS_BLOCK_NO_SPACE
};
struct nidus_block {
    void *owner;
    uint64_t size; /* bytes, a multiple of 512 */
    bool read_only;
    enum nidus_block_result (*read)(void *owner, uint64_t offset, uint8_t *bytes, size_t count);
    enum nidus_block_result (*write)(void *owner, uint64_t offset, const uint8_t *bytes,
                                     size_t count);
    enum nidus_block_result (*flush)(void *owner);
};
/* a virtio disk */
bool nidus_add_disk(struct nidus *m, const struct nidus_block *disk, char *error);
/* "virtio-rng-pci", "isa-debug-exit,iobase=0xf4,iosize=4", "pc-testdev", ... as QEMU's -device */
bool nidus_add_device(struct nidus *m, const char *device, char *error);
/* the names that nidus_add_device knows, one line each */
void nidus_list_devices(FILE *out);

/* ---- what to boot: bytes are copied ---- */
struct nidus_blob {
    const void *bytes;
    size_t count;
};
/* Linux bzImage (64-bit protocol) or a multiboot ELF; initrd (modules for multiboot) may be empty */
bool nidus_load_kernel(struct nidus *m, struct nidus_blob kernel, struct nidus_blob initrd,
                       const char *command_line, char *error);
/* an ELF64 or flat program of nidus itself: the ROM embedded in the binary */
bool nidus_load_builtin(struct nidus *m, char *error);

/* ---- running ---- */
enum nidus_event {
    NIDUS_TIME,      /* the time slice is over */
    NIDUS_IDLE,      /* real clock only: nothing to do for nidus_idle_ns */
    NIDUS_POWER_OFF, /* the guest powered off */
    NIDUS_RESET,     /* the guest asked for a reset and config.reboot is false */
    NIDUS_SHUTDOWN,  /* triple fault and config.reboot is false */
    NIDUS_EXIT,      /* isa-debug-exit: nidus_exit_code */
    NIDUS_STOPPED,   /* nidus_stop, or a breakpoint of the monitor */
    NIDUS_DEAD,      /* all processors wait for ever: halted with interrupts off and no timer */
};
/* run for at most `ns` nanoseconds of machine time */
enum nidus_event nidus_run(struct nidus *m, uint64_t ns);
/* the same until so many cycles since power-on (2 a nanosecond) have passed */
enum nidus_event nidus_run_to(struct nidus *m, uint64_t cycle);
/* The same in pieces of at most one block of instructions. True: not there yet, call again. The
 * pieces together do what one nidus_run_to with the same cycle does. */
bool nidus_run_block(struct nidus *m, uint64_t cycle, enum nidus_event *event);
/* after NIDUS_IDLE: how long nothing will happen by itself, in nanoseconds (UINT64_MAX: for ever) */
uint64_t nidus_idle_ns(const struct nidus *m);
/* so much native time has passed while idle */
void nidus_idle(struct nidus *m, uint64_t ns);
int nidus_exit_code(const struct nidus *m);
/* from a signal handler or another thread: nidus_run returns NIDUS_STOPPED soon */
void nidus_stop(struct nidus *m);

/* ---- watching ---- */
struct nidus_stats {
    uint64_t cycles, instructions, vm_exits, vm_entries, idle_cycles;
};
void nidus_get_stats(const struct nidus *m, struct nidus_stats *out);
/* the same and more, as JSON */
void nidus_show_stats(const struct nidus *m, FILE *out);
/* switch on trace points by shell pattern; false if none matches. NULL: list them to `out`. */
bool nidus_trace(struct nidus *m, const char *pattern);
void nidus_list_traces(FILE *out);
void nidus_trace_file(struct nidus *m, FILE *out);
/* log every instruction (Capstone's disassembly, before it runs), "exec", and registers, "cpu" */
bool nidus_log(struct nidus *m, const char *what, FILE *out);
/* show guest code at linear addresses from first to last, and the native code made of it, each time
 * that a block of it is translated */
void nidus_dump_translated(struct nidus *m, uint64_t first, uint64_t last, FILE *out);
/* one monitor command ("info registers", "x /4i 0x1000", "xp /8x 0", "step", ...); false if there
 * is no such command. "stop", "cont", "quit" are the caller's. */
bool nidus_command(struct nidus *m, const char *line, FILE *out);
void nidus_help(FILE *out);
/* processor models and features, for -cpu help */
void nidus_list_cpus(FILE *out);

/* ---- comparing ---- */
/* Where do two machines of the same configuration differ, in what a guest can observe? A line each
 * to `out` (or NULL), with both values. RAM is left to the next. True: nowhere. */
bool nidus_compare(const struct nidus *a, const struct nidus *b, FILE *out);
/* The physical address of the first byte of RAM from `from` on that differs before `end`, or
 * UINT64_MAX. Pages that neither machine has written cost nothing. */
uint64_t nidus_compare_ram(const struct nidus *a, const struct nidus *b, uint64_t from,
                           uint64_t end);

enum nidus_lockstep_end {
    NIDUS_LOCKSTEP_EQUAL,     /* until the run's end, or for as many cycles as it was told */
    NIDUS_LOCKSTEP_DIFFERENT, /* `out` has the report */
    NIDUS_LOCKSTEP_STOPPED,   /* nidus_stop on one of the machines */
    NIDUS_LOCKSTEP_FAILED,    /* a machine could not be made: `error` */
};
struct nidus_lockstep {
    uint64_t slice;  /* cycles between comparisons of registers and devices, 0: 20000 */
    uint64_t cycles; /* how long, 0: until the run ends */
    void *owner;
    /* A machine ready to run, made from the same inputs each time: the one under test, or the
     * reference. `again`: the run repeats what its outputs have already seen. */
    struct nidus *(*create)(void *owner, bool reference, bool again, char *error);
    void (*destroy)(void *owner, struct nidus *m);
    /* filled in: */
    enum nidus_event event; /* how the run has ended */
    uint64_t now, compared; /* cycles reached, comparisons made */
};
/* Run two machines side by side until they differ; then find the block of instructions after which
 * they do, running them again from the start, and report to `out`. */
enum nidus_lockstep_end nidus_lockstep(struct nidus_lockstep *l, FILE *out, char *error);
