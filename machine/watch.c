/* What a person or a script can see of a running machine: statistics, traces, the instruction log. */
#include <inttypes.h>
#include <string.h>

#include "cpu/cpuid.h"
#include "cpu/jit/jit.h"
#include "cpu/log.h"
#include "devices/trace.h"
#include "machine/machine.h"
#include "vmx/trace.h"

void nidus_get_stats(const struct nidus *m, struct nidus_stats *out)
{
    *out = (struct nidus_stats){ .cycles = machine_now(m), .idle_cycles = m->idle_cycles };
    for (unsigned i = 0; i < m->cpu_count; i++) {
        out->instructions += m->cpu[i]->insn_count;
        out->vm_exits += vmx_exit_count(m->cpu[i]);
        out->vm_entries += vmx_entry_count(m->cpu[i]);
    }
}

void nidus_show_stats(const struct nidus *m, FILE *out)
{
    struct nidus_stats s;

    nidus_get_stats(m, &s);
    fprintf(out,
            "{\n  \"cycles\": %" PRIu64 ",\n  \"idle_cycles\": %" PRIu64
            ",\n  \"instructions\": %" PRIu64 ",\n  \"vm_entries\": %" PRIu64
            ",\n  \"vm_exits\": %" PRIu64 ",\n  \"run_ns\": %" PRIu64 ",\n  \"native_code\": ",
            s.cycles, s.idle_cycles, s.instructions, s.vm_entries, s.vm_exits, m->run_ns);
    jit_show_json(m->cpu, m->cpu_count, out);
    fprintf(out, "\n}\n");
}

static struct trace_point *const *const trace_lists[] = { trace_devices, vmx_trace_points };

bool nidus_trace(struct nidus *m, const char *pattern)
{
    size_t matched = 0;

    for (size_t i = 0; i < sizeof trace_lists / sizeof trace_lists[0]; i++)
        matched += trace_enable(trace_lists[i], pattern);
    return matched > 0;
}

void nidus_list_traces(FILE *out)
{
    for (size_t i = 0; i < sizeof trace_lists / sizeof trace_lists[0]; i++) {
        for (struct trace_point *const *p = trace_lists[i]; *p; p++)
            fprintf(out, "%s\n", (*p)->name);
    }
}

static uint64_t trace_now(void *owner)
{
    return machine_now(owner);
}

void nidus_trace_file(struct nidus *m, FILE *out)
{
    trace_set_sink(out);
    trace_set_time(trace_now, m);
}

bool nidus_log(struct nidus *m, const char *what, FILE *out)
{
    bool registers = strcmp(what, "cpu") == 0;

    if (strcmp(what, "vmx") == 0)
        return nidus_trace(m, "vmx_*");
    if (!registers && strcmp(what, "exec") != 0)
        return false;
    for (unsigned i = 0; i < m->cpu_count; i++)
        cpu_log(m->cpu[i], out, registers);
    return true;
}

void nidus_dump_translated(struct nidus *m, uint64_t first, uint64_t last, FILE *out)
{
    for (unsigned i = 0; i < m->cpu_count; i++)
        jit_dump_translated(m->cpu[i], first, last, out);
}

void nidus_list_cpus(FILE *out)
{
    cpuid_list(out);
    fprintf(out, "VMX features:");
    for (unsigned n = 0; vmx_feature_name(n); n++)
        fprintf(out, " %s", vmx_feature_name(n));
    fputc('\n', out);
}
