/* The monitor's commands: rows of monitor.def. Parsing lines and the terminal are the caller's. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/block.h"
#include "cpu/jit/jit.h"
#include "cpu/log.h"
#include "devices/acpi_pm.h"
#include "machine/board.h"
#include "machine/machine.h"

typedef void command_fn(struct nidus *m, char *args, FILE *out);
typedef void info_fn(struct nidus *m, struct cpu *cpu, FILE *out);

static struct cpu *chosen(struct nidus *m)
{
    return m->cpu[m->monitor_cpu];
}

/* ---- info ---- */

static void info_registers(struct nidus *m, struct cpu *cpu, FILE *out)
{
    cpu_show(cpu, out);
}

static void info_tlb(struct nidus *m, struct cpu *cpu, FILE *out)
{
    mmu_show_tlb(&cpu->mmu, out);
}

static void info_mtree(struct nidus *m, struct cpu *cpu, FILE *out)
{
    bus_show(m->bus, out);
    ports_show(m->ports, out);
}

static void info_blocks(struct nidus *m, struct cpu *cpu, FILE *out)
{
    struct block_cache_stats s;

    blocks_stats(cpu, &s);
    fprintf(out,
            "built %" PRIu64 ", invalidated %" PRIu64 ", patched %" PRIu64 ", flushes %" PRIu64
            ", %" PRIu64 " KiB in use\n",
            s.built, s.invalidated, s.patched, s.flushes, s.bytes >> 10);
}

static void info_jit(struct nidus *m, struct cpu *cpu, FILE *out)
{
    jit_show(cpu, m->run_ns, out);
}

static void info_vmx(struct nidus *m, struct cpu *cpu, FILE *out)
{
    if (cpu_has(cpu, FEAT_VMX))
        vmx_show(cpu, out);
    else
        fprintf(out, "this processor has no VMX\n");
}

static void info_vmcs(struct nidus *m, struct cpu *cpu, FILE *out)
{
    if (cpu_has(cpu, FEAT_VMX))
        vmcs_show(cpu, out);
}

static void info_ept(struct nidus *m, struct cpu *cpu, FILE *out)
{
    if (cpu_has(cpu, FEAT_VMX))
        ept_show(cpu, out);
}

static void info_devices(struct nidus *m, struct cpu *cpu, FILE *out)
{
    for (const struct device *dev = m->devices; dev; dev = dev->next)
        fprintf(out, "%-16s %s\n", dev->id, dev->class->title);
}

/* ---- info mem: the mapped linear ranges, neighbours joined ---- */

struct mem_run {
    FILE *out;
    uint64_t start, pa, size;
    unsigned lines;
};

static void mem_end_run(struct mem_run *r)
{
    if (r->size && r->lines++ < 500)
        fprintf(r->out, "%016" PRIx64 "-%016" PRIx64 " -> %012" PRIx64 "\n", r->start,
                r->start + r->size - 1, r->pa);
    r->size = 0;
}

static void mem_page(struct mem_run *r, uint64_t linear, uint64_t pa, uint64_t size)
{
    if (r->size && (linear != r->start + r->size || pa != r->pa + r->size))
        mem_end_run(r);
    if (!r->size) {
        r->start = linear;
        r->pa = pa;
    }
    r->size += size;
}

/* one table of a tree with 8-byte entries; shift: bits below what one entry covers */
static void mem_table(struct nidus *m, struct mem_run *r, uint64_t table, unsigned shift,
                      unsigned entries, uint64_t linear)
{
    for (unsigned i = 0; i < entries; i++) {
        uint64_t e = bus_read(m->bus, table + 8 * i, 8);
        uint64_t at = linear + ((uint64_t)i << shift);

        if (shift == 39 && i >= 256)
            at |= UINT64_C(0xffff) << 48;
        if (!bit(e, 0))
            continue;
        if (shift == 12 || (bit(e, 7) && shift <= 30))
            mem_page(r, at, bits(e, 51, shift) << shift, UINT64_C(1) << shift);
        else
            mem_table(m, r, bits(e, 51, 12) << 12, shift - 9, 512, at);
    }
}

static void info_mem(struct nidus *m, struct cpu *cpu, FILE *out)
{
    struct mem_run r = { .out = out };

    if (!(cpu->cr0 & CR0_PG) || cpu->mmu.paging.stage2 || !(cpu->cr4 & CR4_PAE)) {
        fprintf(out, "shown for PAE and 4-level paging without EPT only\n");
        return;
    }
    if (cpu_long(cpu))
        mem_table(m, &r, bits(cpu->cr3, 51, 12) << 12, 39, 512, 0);
    else
        mem_table(m, &r, bits(cpu->cr3, 31, 5) << 5, 30, 4, 0);
    mem_end_run(&r);
    if (r.lines > 500)
        fprintf(out, "... (%u ranges, the first 500 shown)\n", r.lines);
}

static const struct {
    const char *name;
    info_fn *show;
} infos[] = {
    { "registers", info_registers },
    { "mem", info_mem },
    { "tlb", info_tlb },
    { "vmcs", info_vmcs },
    { "vmx", info_vmx },
    { "ept", info_ept },
    { "mtree", info_mtree },
    { "blocks", info_blocks },
    { "devices", info_devices },
    { "jit", info_jit },
};

static void monitor_info(struct nidus *m, char *args, FILE *out)
{
    const char *what = strtok(args, " ");

    for (size_t i = 0; what && i < sizeof infos / sizeof infos[0]; i++) {
        if (strcmp(what, infos[i].name) == 0) {
            infos[i].show(m, chosen(m), out);
            return;
        }
    }
    for (const struct device *dev = m->devices; what && dev; dev = dev->next) {
        if (strcmp(what, dev->id) == 0) {
            device_show(dev, out);
            return;
        }
    }
    fprintf(out, "info what? ");
    for (size_t i = 0; i < sizeof infos / sizeof infos[0]; i++)
        fprintf(out, "%s, ", infos[i].name);
    fprintf(out, "or one of info devices\n");
}

/* ---- memory ---- */

struct format {
    unsigned count, size;
    char as;
};

static const char *parse_format(const char *s, struct format *f)
{
    *f = (struct format){ 1, 4, 'x' };
    if (*s != '/')
        return s;
    if (isdigit((unsigned char)*++s)) {
        char *end;

        f->count = (unsigned)strtoul(s, &end, 10);
        s = end;
    }
    for (; *s && *s != ' '; s++) {
        static const char sizes[] = "bhwg";
        const char *size = strchr(sizes, *s);

        if (size)
            f->size = 1u << (size - sizes);
        else
            f->as = *s;
    }
    if (f->count > 4096)
        f->count = 4096;
    return s;
}

static void show_memory(struct nidus *m, const char *args, bool physical, FILE *out)
{
    struct cpu *cpu = chosen(m);
    struct format f;
    const char *at = parse_format(args, &f);
    uint64_t address = strtoull(at, NULL, 0);
    unsigned a_line = 16 / f.size;

    if (f.as == 'i') {
        cpu_disassemble(cpu, address, f.count, out);
        return;
    }
    for (unsigned i = 0; i < f.count; i++, address += f.size) {
        uint64_t pa = address, v = 0;

        if (i % a_line == 0)
            fprintf(out, "%s%016" PRIx64 ":", i ? "\n" : "", address);
        if (!physical && !mmu_peek(&cpu->mmu, address, &pa)) {
            fprintf(out, " (not mapped)");
            break;
        }
        bus_read_bytes(m->bus, pa, &v, f.size);
        if (f.as == 'd')
            fprintf(out, " %" PRId64, (int64_t)sign_extend(v, 8 * f.size));
        else if (f.as == 'c')
            fprintf(out, " %c", isprint((int)(v & 0xff)) ? (int)(v & 0xff) : '.');
        else
            fprintf(out, " %0*" PRIx64, (int)(2 * f.size), v);
    }
    fputc('\n', out);
}

static void monitor_x(struct nidus *m, char *args, FILE *out)
{
    show_memory(m, args, false, out);
}

static void monitor_xp(struct nidus *m, char *args, FILE *out)
{
    show_memory(m, args, true, out);
}

/* ---- control ---- */

/* the code at ADDRESS, or from there to END */
static void monitor_dump_jit(struct nidus *m, char *args, FILE *out)
{
    char *end;
    uint64_t first = strtoull(args, &end, 0), last = strtoull(end, NULL, 0);

    if (end == args)
        fprintf(out, "dump-jit ADDRESS [END]\n");
    else
        jit_dump(chosen(m), first, last > first ? last : first, out);
}

static void monitor_step(struct nidus *m, char *args, FILE *out)
{
    unsigned long n = *args ? strtoul(args, NULL, 0) : 1;
    struct cpu *cpu = chosen(m);

    for (unsigned long i = 0; i < n; i++)
        machine_step(m, cpu);
    cpu_disassemble(cpu, cpu->rip + (cpu_64bit(cpu) ? 0 : cpu->seg[SEG_CS].base), 1, out);
}

static void monitor_cpu(struct nidus *m, char *args, FILE *out)
{
    unsigned long n = strtoul(args, NULL, 0);

    if (n < m->cpu_count)
        m->monitor_cpu = (unsigned)n;
    else
        fprintf(out, "there are %u processors\n", m->cpu_count);
}

static void monitor_trace(struct nidus *m, char *args, FILE *out)
{
    if (!nidus_trace(m, args))
        fprintf(out, "no event matches '%s'\n", args);
}

static void monitor_reset(struct nidus *m, char *args, FILE *out)
{
    m->reset_wanted = true;
}

static void monitor_powerdown(struct nidus *m, char *args, FILE *out)
{
    acpi_pm_press_power_button(m->board->pm);
}

static const struct {
    const char *name;
    size_t shortest;
    const char *args;
    command_fn *run;
    const char *help;
} commands[] = {
#define MONITOR(name, shortest, args, run, help) { #name, shortest, args, run, help },
#include "machine/monitor.def"
};

bool nidus_command(struct nidus *m, const char *line, FILE *out)
{
    char copy[512];
    size_t n = strcspn(line, " /");

    if (strlen(line) >= sizeof copy)
        return false;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (n < commands[i].shortest || n > strlen(commands[i].name) ||
            strncmp(line, commands[i].name, n) != 0)
            continue;
        strcpy(copy, line + n + strspn(line + n, " "));
        commands[i].run(m, copy, out);
        return true;
    }
    return false;
}

void nidus_help(FILE *out)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(out, "%-16s %-10s %s\n", commands[i].name, commands[i].args, commands[i].help);
}
