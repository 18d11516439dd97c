/* What differs in the VMX state of two processors: that of struct vmx, and every field of every
 * cached VMCS. Those that are not cached are in guest memory. */
#include "vmx/state.h"
#include "vmx/vmx.h"

static const char *vmcs_part(const struct cpu *cpu, uint64_t pa, char *text, size_t size)
{
    snprintf(text, size, "cpu%u VMCS %#jx", cpu->index, (uintmax_t)pa);
    return text;
}

static void compare_vmcs(struct differences *d, const struct vmcs *a, const struct vmcs *b)
{
    differ_value(d, "launch state", a->launched, b->launched);
    differ_value(d, "effective secondary controls", a->ctl.proc2, b->ctl.proc2);
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++) {
        const struct vmcs_field *f = &vmcs_fields[i];

        differ_value(d, f->name, vmcs_read(a, f, false), vmcs_read(b, f, false));
    }
}

static bool only_for_snapshots(const struct field *f)
{
    return f->offset == offsetof(struct vmx, saved_non_root) ||
           f->offset == offsetof(struct vmx, saved_deadline);
}

void vmx_compare(const struct cpu *a, const struct cpu *b, struct differences *d)
{
    const struct vmx *x = vmx_of(a), *y = vmx_of(b);
    const char *part = d->part;
    char text[48];

    if (!x || !y)
        return;
    differ_fields(d, x, y, vmx_fields, only_for_snapshots);
    for (unsigned i = 0; i < VMCS_CACHE; i++) {
        const struct vmcs *v = &x->cache[i], *w = &y->cache[i];

        differ_value(d, "cached VMCS", v->pa, w->pa);
        if (v->pa == VMCS_NONE || v->pa != w->pa)
            continue;
        d->part = vmcs_part(a, v->pa, text, sizeof text);
        compare_vmcs(d, v, w);
        d->part = part;
    }
}
