/* The trampoline of native_run.h: generated code, written through one mapping and executed through
 * another. */
#include "tests/diff/native_run.h"

#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

enum { CODE_SIZE = 4096, ENTRY = 0, ENTRY_FX = 0x300, EXIT = 0x900, EXIT_FX = 0xc00 };

/* at NATIVE_STATE */
struct native_state {
    struct native_regs in, out;
    struct fx_image own_fx;
    uint64_t own_rsp;
    uint8_t taken;
};

struct native {
    struct native_state *state;
    uint8_t *data, *code;
    uint8_t *at; /* where the next byte of code goes */
    sigjmp_buf unwind;
    int vector;
    void *signal_stack;
};

static const int native_signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP };

/* the handler has no argument of ours; tests run one at a time */
static struct native *native_running;

/* ---- code ---- */

static void native_bytes(struct native *n, const char *bytes, size_t count)
{
    memcpy(n->at, bytes, count);
    n->at += count;
}
#define NATIVE_BYTES(n, s) native_bytes((n), (s), sizeof(s) - 1)

/* an instruction whose memory operand is a field of struct native_state, by absolute disp32 */
#define NATIVE_FIELD(n, s, field) \
    native_absolute((n), (s), sizeof(s) - 1, offsetof(struct native_state, field))
static void native_absolute(struct native *n, const char *opcode, size_t count, size_t offset)
{
    uint32_t disp = NATIVE_STATE + (uint32_t)offset;

    native_bytes(n, opcode, count);
    memcpy(n->at, &disp, 4);
    n->at += 4;
}

/* MOV between register i and its field; opcode 8B loads, 89 stores */
static void native_move(struct native *n, uint8_t opcode, unsigned i, size_t fields)
{
    char bytes[4] = { (char)(0x48 | (i >> 3) << 2), (char)opcode, (char)(0x04 | (i & 7) << 3),
                      0x25 };

    native_absolute(n, bytes, 4, fields + 8 * i);
}

static void native_jump(struct native *n, uint32_t to_offset)
{
    int32_t distance = (int32_t)to_offset - (int32_t)(n->at - n->code) - 5;

    *n->at++ = 0xe9;
    memcpy(n->at, &distance, 4);
    n->at += 4;
}

static void native_make_entry(struct native *n, uint32_t at, bool fx)
{
    n->at = n->code + at;
    NATIVE_BYTES(n, "\x53\x55\x41\x54\x41\x55\x41\x56\x41\x57"); /* PUSH RBX RBP R12 to R15 */
    NATIVE_FIELD(n, "\x48\x89\x24\x25", own_rsp);
    if (fx) {
        NATIVE_FIELD(n, "\x48\x0f\xae\x04\x25", own_fx); /* FXSAVE64 */
        NATIVE_FIELD(n, "\x48\x0f\xae\x0c\x25", in.fx);  /* FXRSTOR64 */
    }
    NATIVE_FIELD(n, "\xff\x34\x25", in.rflags); /* PUSH */
    NATIVE_BYTES(n, "\x9d");                    /* POPFQ */
    for (unsigned i = 0; i < 16; i++)
        native_move(n, 0x8b, i, offsetof(struct native_state, in.r));
    native_jump(n, NATIVE_INSN - NATIVE_CODE);
}

static void native_make_exit(struct native *n, uint32_t at, bool fx)
{
    n->at = n->code + at;
    for (unsigned i = 0; i < 16; i++)
        native_move(n, 0x89, i, offsetof(struct native_state, out.r));
    NATIVE_FIELD(n, "\x48\x8b\x24\x25", own_rsp);
    NATIVE_BYTES(n, "\x9c"); /* PUSHFQ */
    NATIVE_FIELD(n, "\x8f\x04\x25", out.rflags);
    if (fx) {
        NATIVE_FIELD(n, "\x48\x0f\xae\x04\x25", out.fx);
        NATIVE_FIELD(n, "\x48\x0f\xae\x0c\x25", own_fx);
    }
    NATIVE_BYTES(n, "\x68\x02\x02\x00\x00\x9d"); /* flags as C wants them */
    NATIVE_BYTES(n, "\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x5d\x5b\xc3");
}

static void native_make_code(struct native *n)
{
    native_make_entry(n, ENTRY, false);
    native_make_entry(n, ENTRY_FX, true);
    native_make_exit(n, EXIT, false);
    native_make_exit(n, EXIT_FX, true);
    n->at = n->code + (NATIVE_TAKEN - NATIVE_CODE);
    NATIVE_FIELD(n, "\xc6\x04\x25", taken); /* MOV byte, 1 */
    NATIVE_BYTES(n, "\x01");
    native_jump(n, EXIT);
}

/* ---- faults ---- */

static void native_signal(int number, siginfo_t *info, void *context)
{
    static const uint8_t greg[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                      REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                      REG_R12, REG_R13, REG_R14, REG_R15 };
    const mcontext_t *m = &((const ucontext_t *)context)->uc_mcontext;
    struct native *n = native_running;
    uint64_t rip = (uint64_t)m->gregs[REG_RIP];

    if (!n || rip < NATIVE_INSN || rip > NATIVE_TAKEN) {
        signal(number, SIG_DFL); /* not the instruction's: crash when it happens again */
        return;
    }
    for (unsigned i = 0; i < 16; i++)
        n->state->out.r[i] = (uint64_t)m->gregs[greg[i]];
    n->state->out.rflags = (uint64_t)m->gregs[REG_EFL];
    n->state->out.rip = rip;
    memcpy(&n->state->out.fx, m->fpregs, sizeof n->state->out.fx);
    n->vector = (int)m->gregs[REG_TRAPNO];
    siglongjmp(n->unwind, 1);
}

static void native_catch(struct native *n)
{
    stack_t stack = { .ss_sp = n->signal_stack, .ss_size = 64 << 10 };
    struct sigaction action = { .sa_sigaction = native_signal,
                                .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };

    sigaltstack(&stack, NULL);
    for (size_t i = 0; i < sizeof native_signals / sizeof native_signals[0]; i++)
        sigaction(native_signals[i], &action, NULL);
}

/* ---- life ---- */

static void *native_map(uint64_t at, size_t size, int protection, int fd)
{
    int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    void *p = mmap((void *)(uintptr_t)at, size, protection, flags | MAP_FIXED_NOREPLACE, fd, 0);

    return p == MAP_FAILED ? NULL : p;
}

struct native *native_create(void)
{
    struct native *n = calloc(1, sizeof *n);
    int fd = memfd_create("native_run", MFD_CLOEXEC);
    void *code;

    if (!n || fd < 0 || ftruncate(fd, CODE_SIZE) < 0)
        abort();
    n->data = native_map(NATIVE_DATA, NATIVE_DATA_SIZE, PROT_READ | PROT_WRITE, -1);
    n->state = native_map(NATIVE_STATE, sizeof *n->state, PROT_READ | PROT_WRITE, -1);
    code = native_map(NATIVE_CODE, CODE_SIZE, PROT_READ | PROT_EXEC, fd);
    n->code = mmap(NULL, CODE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    n->signal_stack = malloc(64 << 10);
    if (!n->data || !n->state || !code || n->code == MAP_FAILED || !n->signal_stack) {
        native_destroy(n);
        return NULL;
    }
    native_make_code(n);
    native_catch(n);
    return n;
}

void native_destroy(struct native *n)
{
    if (n->data)
        munmap(n->data, NATIVE_DATA_SIZE);
    if (n->state)
        munmap(n->state, sizeof *n->state);
    munmap((void *)(uintptr_t)NATIVE_CODE, CODE_SIZE);
    if (n->code != MAP_FAILED)
        munmap(n->code, CODE_SIZE);
    for (size_t i = 0; i < sizeof native_signals / sizeof native_signals[0]; i++)
        signal(native_signals[i], SIG_DFL);
    sigaltstack(&(stack_t){ .ss_flags = SS_DISABLE }, NULL);
    free(n->signal_stack);
    free(n);
}

uint8_t *native_data(struct native *n)
{
    return n->data;
}

static void native_enter(uintptr_t at)
{
    void (*entry)(void);

    memcpy(&entry, &at, sizeof entry);
    entry();
}

int native_run(struct native *n, const uint8_t *bytes, size_t count, bool use_fx,
               const struct native_regs *in, struct native_regs *out)
{
    n->at = n->code + (NATIVE_INSN - NATIVE_CODE);
    native_bytes(n, (const char *)bytes, count);
    native_jump(n, use_fx ? EXIT_FX : EXIT);
    n->state->in = *in;
    n->state->taken = 0;
    n->vector = NATIVE_NO_FAULT;
    native_running = n;
    if (sigsetjmp(n->unwind, 0) == 0) {
        native_enter(NATIVE_CODE + (use_fx ? ENTRY_FX : ENTRY));
        n->state->out.rip = n->state->taken ? (uint64_t)NATIVE_TAKEN : NATIVE_INSN + count;
    }
    native_running = NULL;
    *out = n->state->out;
    return n->vector;
}
