/* What differs between two machines: every list of fields, and what hangs beside the lists. Things
 * that are held lazily are compared by what they mean. */
#include <string.h>

#include "base/differ.h"
#include "machine/board.h"
#include "machine/load.h"
#include "machine/machine.h"

/* compared by meaning below: the arithmetic flags, and registers with padding */
static bool by_meaning(const struct field *f)
{
    return f->offset == offsetof(struct cpu, flags.result) ||
           f->offset == offsetof(struct cpu, flags.aux) ||
           f->offset == offsetof(struct cpu, rflags) || f->offset == offsetof(struct cpu, fpu.st);
}

static void compare_x87(const struct cpu *a, const struct cpu *b, struct differences *d)
{
    for (unsigned i = 0; i < 8; i++) {
        const struct float80 *x = &a->fpu.st[i], *y = &b->fpu.st[i];
        char name[32];

        snprintf(name, sizeof name, "fpu.st[%u] significand", i);
        differ_value(d, name, x->significand, y->significand);
        snprintf(name, sizeof name, "fpu.st[%u] exponent", i);
        differ_value(d, name, x->sign_exponent, y->sign_exponent);
    }
}

/* What follows from the fields, or is VMX's: an engine that forgets to derive it is wrong already. */
static void compare_derived(const struct cpu *a, const struct cpu *b, struct differences *d)
{
    const struct paging *p = &a->mmu.paging, *q = &b->mmu.paging;

    differ_value(d, "cycles", cpu_cycles(a), cpu_cycles(b));
    differ_value(d, "key", a->key, b->key);
    differ_value(d, "mmu view", a->mmu.view, b->mmu.view);
    differ_value(d, "paging.cr0", p->cr0, q->cr0);
    differ_value(d, "paging.cr3", p->cr3, q->cr3);
    differ_value(d, "paging.cr4", p->cr4, q->cr4);
    differ_value(d, "paging.efer", p->efer, q->efer);
    differ_value(d, "paging.vpid", p->vpid, q->vpid);
    differ_value(d, "paging with EPT", p->stage2 != NULL, q->stage2 != NULL);
    differ_value(d, "VMX operation", a->vmx_operation, b->vmx_operation);
    differ_value(d, "VMX non-root", a->non_root, b->non_root);
    differ_value(d, "virt_mask", a->virt_mask, b->virt_mask);
    differ_value(d, "virt_single", a->virt_single, b->virt_single);
    differ_value(d, "virt_deadline", a->virt_deadline, b->virt_deadline);
    differ_value(d, "cr0_fixed_1", a->cr0_fixed_1, b->cr0_fixed_1);
    differ_value(d, "cr4_fixed_1", a->cr4_fixed_1, b->cr4_fixed_1);
}

static void compare_cpu(const struct cpu *a, const struct cpu *b, struct differences *d)
{
    char part[16];

    snprintf(part, sizeof part, "cpu%u", a->index);
    d->part = part;
    differ_fields(d, a, b, cpu_fields, by_meaning);
    differ_value(d, "rflags", cpu_rflags(a), cpu_rflags(b));
    compare_x87(a, b, d);
    compare_derived(a, b, d);
    vmx_compare(a, b, d);
}

static void compare_devices(const struct nidus *a, const struct nidus *b, struct differences *d)
{
    const struct device *x = a->devices, *y = b->devices;

    d->part = "machine";
    for (; x && y && x->class == y->class; x = x->next, y = y->next) {
        d->part = x->id;
        if (x->class->fields)
            differ_fields(d, x, y, x->class->fields, NULL);
    }
    differ_value(d, "devices: not the same", x != NULL, y != NULL);
}

static void compare_timers(const struct nidus *a, const struct nidus *b, struct differences *d)
{
    const struct timer *x = a->clock.first, *y = b->clock.first;

    d->part = "timer";
    for (; x && y; x = x->next, y = y->next)
        differ_value(d, x->name, x->deadline, y->deadline);
    differ_value(d, "count of armed ones", x != NULL, y != NULL);
}

static void compare_board(const struct nidus *a, const struct nidus *b, struct differences *d)
{
    static const struct field board_fields[] = {
        FIELD_ARRAY(struct board, isa),
        FIELD_ARRAY(struct board, gsi),
        { 0 },
    };

    d->part = "board";
    differ_fields(d, a->board, b->board, board_fields, NULL);
    d->part = "machine";
    differ_value(d, "cycles", a->now, b->now);
    differ_value(d, "idle cycles", a->idle_cycles, b->idle_cycles);
    differ_value(d, "has ended", a->ended, b->ended);
    differ_value(d, "event", a->event, b->event);
    differ_value(d, "exit code", (uint64_t)a->exit_code, (uint64_t)b->exit_code);
    differ_value(d, "reset wanted", a->reset_wanted, b->reset_wanted);
    differ_value(d, "whose turn", a->turn.cpu, b->turn.cpu);
    differ_value(d, "entropy[0]", a->entropy[0], b->entropy[0]);
    differ_value(d, "entropy[1]", a->entropy[1], b->entropy[1]);
}

bool nidus_compare(const struct nidus *a, const struct nidus *b, FILE *out)
{
    struct differences d = { .out = out };

    for (unsigned i = 0; i < a->cpu_count && i < b->cpu_count; i++)
        compare_cpu(a->cpu[i], b->cpu[i], &d);
    compare_devices(a, b, &d);
    compare_timers(a, b, &d);
    compare_board(a, b, &d);
    differ_value(&d, "processors", a->cpu_count, b->cpu_count);
    if (out && d.count > DIFFER_LINES)
        fprintf(out, "  ... and %u more\n", d.count - DIFFER_LINES);
    return d.count == 0;
}

/* ---- RAM ---- */

static uint64_t first_in_page(const uint8_t *a, const uint8_t *b, uint64_t from, uint64_t end)
{
    if (memcmp(a + from, b + from, end - from) == 0)
        return UINT64_MAX;
    while (a[from] == b[from])
        from++;
    return from;
}

/* from, or the next address at which there is RAM */
static uint64_t skip_hole(const struct nidus *m, uint64_t from)
{
    uint64_t low = memory_low(m->config.ram);

    return from >= low && from < UINT64_C(1) << 32 ? UINT64_C(1) << 32 : from;
}

uint64_t nidus_compare_ram(const struct nidus *a, const struct nidus *b, uint64_t from,
                           uint64_t end)
{
    uint64_t low = memory_low(a->config.ram), high = a->config.ram - low;
    uint64_t top = high ? (UINT64_C(1) << 32) + high : low;

    if (end > top)
        end = top;
    for (from = skip_hole(a, from); from < end; from = skip_hole(a, (from | ~PAGE_MASK) + 1)) {
        uint64_t page = from & PAGE_MASK, at;
        uint64_t stop = end - page < PAGE_SIZE ? end - page : PAGE_SIZE;
        const uint8_t *x = bus_page_flags(a->bus, page), *y = bus_page_flags(b->bus, page);

        if (!x || !y || !((*x | *y) & PAGE_DIRTY))
            continue; /* as both were created */
        x = bus_native(a->bus, page);
        y = bus_native(b->bus, page);
        if (!x || !y)
            continue; /* under ROM or a device */
        at = first_in_page(x, y, from - page, stop);
        if (at != UINT64_MAX)
            return page + at;
    }
    return UINT64_MAX;
}
