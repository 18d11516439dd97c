/* Exit qualifications in words, for traces and `info vmx`.
 * [SDM 3C "Basic VM-Exit Information"] */
#include <inttypes.h>
#include <stdio.h>

#include "vmx/state.h"

enum qualification_kind {
    QUAL_NOTHING,
    QUAL_EVENT,
    QUAL_VECTOR,
    QUAL_TASK,
    QUAL_LINEAR,
    QUAL_DISP,
    QUAL_CR,
    QUAL_DR,
    QUAL_IO,
    QUAL_FAILURE,
    QUAL_ENTRY,
    QUAL_ARMED,
    QUAL_APIC,
    QUAL_EPT,
    QUAL_OFFSET
};

static const uint8_t qualification_kinds[EXIT_REASON_LIMIT] = {
#define EXIT_REASON(number, name, qualification, rf, text) [number] = QUAL_##qualification,
#include "vmx/exit_reasons.def"
};

/* a place for words, cut where it is full */
struct words {
    char *text;
    unsigned size, used;
};

static void __attribute__((format(printf, 2, 3))) add(struct words *w, const char *fmt, ...)
{
    __builtin_va_list ap;
    int n;

    if (w->used >= w->size)
        return;
    __builtin_va_start(ap, fmt);
    n = vsnprintf(w->text + w->used, w->size - w->used, fmt, ap);
    __builtin_va_end(ap);
    w->used += n > 0 ? (unsigned)n : 0;
}

static void add_event(struct words *w, const struct vm_exit *x)
{
    static const char types[8][12] = { "external", "?",    "NMI",       "exception",
                                       "INT n",    "INT1", "INT3/INTO", "other" };
    unsigned vector = x->intr_info & 0xff, type = x->intr_info >> 8 & 7;

    add(w, "%s, vector %u", types[type], vector);
    if (x->intr_info & BIT(11))
        add(w, ", error code %#x", x->intr_error);
    if (type == EVENT_TYPE_HARDWARE && vector == PF)
        add(w, ", linear %#" PRIx64, x->qualification);
}

static void add_cr(struct words *w, uint64_t q)
{
    static const char gpr[16][4] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                     "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15" };
    unsigned n = q & 15, r = (unsigned)bits(q, 11, 8);

    switch (bits(q, 5, 4)) {
    case 0: add(w, "mov cr%u, %s", n, gpr[r]); break;
    case 1: add(w, "mov %s, cr%u", gpr[r], n); break;
    case 2: add(w, "clts"); break;
    default: add(w, "lmsw %#x", (unsigned)bits(q, 31, 16)); break;
    }
}

static void add_io(struct words *w, uint64_t q)
{
    add(w, "%s%s%s port %#x, %u byte%s", q & 32 ? "rep " : "", q & 8 ? "in" : "out",
        q & 16 ? "s" : "", (unsigned)bits(q, 31, 16), (unsigned)(q & 7) + 1, q & 7 ? "s" : "");
}

static void add_task(struct words *w, uint64_t q)
{
    static const char sources[4][5] = { "CALL", "IRET", "JMP", "gate" };

    add(w, "by %s to %04x", sources[bits(q, 31, 30)], (unsigned)(q & 0xffff));
}

static void add_failure(struct words *w, uint64_t q)
{
    switch (q) {
    case 2: add(w, "PDPTEs"); break;
    case 3: add(w, "NMI while STI blocks"); break;
    case 4: add(w, "VMCS link pointer"); break;
    default: break;
    }
}

static void add_apic(struct words *w, uint64_t q)
{
    static const char *const types[16] = {
        "read",
        "write",
        "fetch",
        "event delivery",
        [10] = "event delivery, guest-physical",
        [15] = "guest-physical",
    };
    const char *type = types[bits(q, 15, 12)];

    add(w, "%s at %#x", type ? type : "?", (unsigned)(q & 0xfff));
}

static void add_ept(struct words *w, const struct vm_exit *x)
{
    uint64_t q = x->qualification;

    add(w, "%s%s%s of %#" PRIx64 ", which is %s%s%s", q & 1 ? "read " : "", q & 2 ? "write " : "",
        q & 4 ? "fetch " : "", x->guest_physical, q & 8 ? "r" : "-", q & 16 ? "w" : "-",
        q & 32 ? "x" : "-");
    if (q & BIT(7))
        add(w, ", linear %#" PRIx64 "%s", x->guest_linear, q & BIT(8) ? "" : " (its walk)");
}

const char *exit_qualification_text(const struct vm_exit *x, char *text, unsigned size)
{
    struct words w = { text, size, 0 };
    uint64_t q = x->qualification;

    text[0] = '\0';
    switch ((enum qualification_kind)qualification_kinds[x->reason]) {
    case QUAL_EVENT: add_event(&w, x); break;
    case QUAL_VECTOR: add(&w, "vector %u", (unsigned)q & 0xff); break;
    case QUAL_TASK: add_task(&w, q); break;
    case QUAL_LINEAR: add(&w, "linear %#" PRIx64, q); break;
    case QUAL_DISP: add(&w, "displacement %#" PRIx64, q); break;
    case QUAL_CR: add_cr(&w, q); break;
    case QUAL_DR: add(&w, "%s dr%u", q & 16 ? "from" : "to", (unsigned)q & 7); break;
    case QUAL_IO: add_io(&w, q); break;
    case QUAL_FAILURE: add_failure(&w, q); break;
    case QUAL_ENTRY: add(&w, "entry %u of the MSR-load area", (unsigned)q); break;
    case QUAL_ARMED: add(&w, q & 1 ? "monitor armed" : "monitor not armed"); break;
    case QUAL_APIC: add_apic(&w, q); break;
    case QUAL_EPT: add_ept(&w, x); break;
    case QUAL_OFFSET: add(&w, "register %#x", (unsigned)q & 0xfff); break;
    case QUAL_NOTHING: break;
    }
    return text;
}
