/* `info vmx`, `info vmcs`, `info ept`. */
#include <inttypes.h>

#include "vmx/state.h"
#include "vmx/vmx.h"

/* ---- info vmx ---- */

static void show_failure(const struct vmx *vmx, FILE *out)
{
    const struct entry_check_row *row = &entry_check_rows[vmx->failure.check];
    const struct sdm_row *sdm = &sdm_rows[row->section];

    if (!vmx->failure.text[0])
        return;
    fprintf(out, "last failed entry   %s\n", vmx->failure.text);
    if (vmx->failure.check != CHECK_NONE)
        fprintf(out, "                    check %s [SDM %s \"%s\", section %s]\n", row->name,
                sdm->volume, sdm->title, sdm->number);
}

static void show_last_exit(const struct vmx *vmx, FILE *out)
{
    const struct vmcs_exit_info *info = &vmx->current->info;
    struct vm_exit x = {
        .reason = (enum exit_reason)(info->reason & 0xffff),
        .qualification = info->qualification,
        .intr_info = info->intr_info,
        .intr_error = info->intr_error,
        .guest_linear = info->guest_linear,
        .guest_physical = info->guest_physical,
    };
    char words[160] = "";

    if (x.reason < EXIT_REASON_LIMIT)
        exit_qualification_text(&x, words, sizeof words);
    fprintf(out, "last exit           %u %s%s%s\n", (unsigned)x.reason,
            exit_reason_text(info->reason), words[0] ? ": " : "", words);
}

static void show_counts(const struct vmx *vmx, FILE *out)
{
    const struct vmx_stats *s = &vmx->stats;

    fprintf(out, "entries             %" PRIu64 ", failed %" PRIu64 "\n", s->entries,
            s->entry_failures);
    fprintf(out, "failed instructions %" PRIu64 ", aborts %" PRIu64 "\n", s->insn_failures,
            s->aborts);
    fprintf(out, "cycles in root      %" PRIu64 ", non-root %" PRIu64 "\n", s->root_cycles,
            s->non_root_cycles);
    for (unsigned i = 0; i < EXIT_REASON_LIMIT; i++) {
        if (s->exits[i])
            fprintf(out, "exits %2u            %10" PRIu64 "  %s\n", i, s->exits[i],
                    exit_reason_text(i));
    }
}

void vmx_show(const struct cpu *cpu, FILE *out)
{
    const struct vmx *vmx = cpu->virt_state;

    if (!vmx) {
        fprintf(out, "this processor has no VMX\n");
        return;
    }
    if (vmx->vmxon_pa == VMCS_NONE)
        fprintf(out, "VMX operation       no\n");
    else
        fprintf(out, "VMX operation       %s, VMXON region %#" PRIx64 "\n",
                cpu->non_root ? "non-root" : "root", vmx->vmxon_pa);
    if (vmx->current) {
        fprintf(out, "current VMCS        %#" PRIx64 ", %s\n", vmx->current_pa,
                vmx->current->launched ? "launched" : "clear");
        show_last_exit(vmx, out);
    }
    show_failure(vmx, out);
    show_counts(vmx, out);
}

/* ---- info vmcs ---- */

static void show_controls(enum vmcs_index index, uint64_t value, FILE *out)
{
    static const struct {
        uint8_t index, group;
    } words[] = {
        { FIELD_PIN_CONTROLS, GROUP_PIN },     { FIELD_PROC_CONTROLS, GROUP_PROC },
        { FIELD_PROC2_CONTROLS, GROUP_PROC2 }, { FIELD_EXIT_CONTROLS, GROUP_EXIT },
        { FIELD_ENTRY_CONTROLS, GROUP_ENTRY }, { FIELD_VM_FUNCTION_CONTROLS, GROUP_VMFUNC },
    };

    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
        for (unsigned n = 0; words[i].index == index && n < 32; n++) {
            const char *title = vmx_control_title((enum control_group)words[i].group, n);

            if (bit(value, n) && title)
                fprintf(out, "    %2u %s\n", n, title);
        }
    }
}

void vmcs_show(const struct cpu *cpu, FILE *out)
{
    const struct vmx *vmx = cpu->virt_state;

    if (!vmx || !vmx->current) {
        fprintf(out, "there is no current VMCS\n");
        return;
    }
    fprintf(out, "VMCS %#" PRIx64 ", %s%s\n", vmx->current->pa,
            vmx->current->launched ? "launched" : "clear",
            cpu->non_root ? "; guest state is in the processor now" : "");
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++) {
        const struct vmcs_field *f = &vmcs_fields[i];
        uint64_t value = vmcs_read(vmx->current, f, false);

        if (!vmx_has(&vmx->caps, (enum vmx_need)f->need))
            continue;
        fprintf(out, "%04x %-24s %0*" PRIx64 "%*s %s\n", f->encoding, f->name, 2 * f->bytes, value,
                16 - 2 * f->bytes, "", f->doc);
        show_controls((enum vmcs_index)i, value, out);
    }
}

/* ---- info ept ---- */

enum { EPT_SHOW_LINES = 512 };

/* leaf entries under `table`, runs of equal rights as one line */
static void show_ept_table(const struct cpu *cpu, uint64_t table, unsigned level, uint64_t gpa,
                           unsigned *lines, FILE *out)
{
    for (unsigned i = 0; i < 512 && *lines < EPT_SHOW_LINES; i++) {
        uint64_t entry = bus_read(cpu->bus, table + i * 8u, 8);
        uint64_t at = gpa + ((uint64_t)i << (12 + 9 * level));

        if (!(entry & 7))
            continue;
        if (level > 0 && !(entry & 128)) {
            show_ept_table(cpu, entry & BITS(cpu->mmu.maxphyaddr - 1, 12), level - 1, at, lines,
                           out);
            continue;
        }
        fprintf(out, "%012" PRIx64 " %s -> %012" PRIx64 " %c%c%c%c%c type %u\n", at,
                level == 0   ? "4K"
                : level == 1 ? "2M"
                             : "1G",
                entry & BITS(cpu->mmu.maxphyaddr - 1, 12), entry & 1 ? 'r' : '-',
                entry & 2 ? 'w' : '-', entry & 4 ? 'x' : '-', entry & 256 ? 'a' : '-',
                entry & 512 ? 'd' : '-', (unsigned)bits(entry, 5, 3));
        ++*lines;
    }
}

void ept_show(const struct cpu *cpu, FILE *out)
{
    const struct vmx *vmx = cpu->virt_state;
    uint64_t eptp;
    unsigned lines = 0;

    if (!vmx || !vmx->current || !(vmx->current->ctl.proc2 & PROC2(EPT))) {
        fprintf(out, "the current VMCS has no EPT\n");
        return;
    }
    eptp = vmx->current->ctl.eptp;
    fprintf(out, "EPTP %#" PRIx64 ": memory type %u, walk length %u, accessed and dirty flags %s\n",
            eptp, (unsigned)(eptp & 7), (unsigned)bits(eptp, 5, 3) + 1, eptp & 64 ? "on" : "off");
    show_ept_table(cpu, eptp & BITS(cpu->mmu.maxphyaddr - 1, 12), 3, 0, &lines, out);
    if (lines == EPT_SHOW_LINES)
        fprintf(out, "...\n");
}
