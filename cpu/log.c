/* The instruction log and the register dump. */
#include "cpu/log.h"

#include <capstone/capstone.h>
#include <inttypes.h>
#include <string.h>

static const char *const seg_names[SEG_COUNT] = { "es", "cs",   "ss",  "ds", "fs",
                                                  "gs", "flat", "ldt", "tr" };

static cs_mode capstone_mode(const struct cpu *cpu)
{
    switch (cpu->key & KEY_CODE_MASK) {
    case KEY_CODE64: return CS_MODE_64;
    case KEY_CODE32: return CS_MODE_32;
    default: return CS_MODE_16;
    }
}

static size_t peek(struct cpu *cpu, uint64_t linear, uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t pa;

        if (!mmu_peek(&cpu->mmu, linear + i, &pa))
            return i;
        bytes[i] = (uint8_t)bus_read(cpu->bus, pa, 1);
    }
    return count;
}

size_t cpu_disassemble(struct cpu *cpu, uint64_t linear, unsigned count, FILE *out)
{
    uint64_t start = linear;
    csh handle;

    if (cs_open(CS_ARCH_X86, capstone_mode(cpu), &handle) != CS_ERR_OK)
        return 0;
    for (unsigned i = 0; i < count; i++) {
        uint8_t bytes[15];
        size_t have = peek(cpu, linear, bytes, sizeof bytes);
        cs_insn *insn;
        size_t length = 1;

        if (have == 0) {
            fprintf(out, "%016" PRIx64 "  (not mapped)\n", linear);
            break;
        }
        if (cs_disasm(handle, bytes, have, linear, 1, &insn) == 1) {
            fprintf(out, "%016" PRIx64 "  %s %s\n", linear, insn->mnemonic, insn->op_str);
            length = insn->size;
            cs_free(insn, 1);
        } else {
            fprintf(out, "%016" PRIx64 "  (bad)\n", linear);
        }
        linear += length;
    }
    cs_close(&handle);
    return linear - start;
}

void cpu_log(struct cpu *cpu, FILE *out, bool registers)
{
    cpu->log = out;
    cpu->log_registers = cpu->log_registers || registers;
    cpu->step_always = out != NULL;
    cpu_update_key(cpu);
    cpu_kick(cpu);
}

void cpu_log_instruction(struct cpu *cpu)
{
    uint64_t linear = cpu->rip + (cpu->key & KEY_CODE64 ? 0 : cpu->seg[SEG_CS].base);

    if (cpu->log_registers)
        cpu_show(cpu, cpu->log);
    fprintf(cpu->log, "%" PRIu64 " cpu%u %s ", cpu_cycles(cpu), cpu->index,
            cpu->non_root ? "non-root" : "root");
    cpu_disassemble(cpu, cpu->key & KEY_CODE64 ? linear : (uint32_t)linear, 1, cpu->log);
}

static void show_segments(const struct cpu *cpu, FILE *out)
{
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        const struct seg *s = &cpu->seg[i];

        if (i == SEG_FLAT)
            continue;
        fprintf(out, "%-3s %04x base %016" PRIx64 " limit %08x rights %05x\n", seg_names[i],
                s->selector, s->base, s->limit, s->ar);
    }
    fprintf(out, "gdt base %016" PRIx64 " limit %04x\nidt base %016" PRIx64 " limit %04x\n",
            cpu->gdtr.base, cpu->gdtr.limit, cpu->idtr.base, cpu->idtr.limit);
}

void cpu_show(const struct cpu *cpu, FILE *out)
{
    static const char *const names[16] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                           "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15" };
    static const char *const activities[] = { "active", "halted", "shutdown", "wait-for-SIPI",
                                              "mwait" };
    static const struct {
        unsigned bit;
        char letter;
    } flags[] = { { 11, 'O' }, { 10, 'D' }, { 9, 'I' }, { 8, 'T' }, { 7, 'S' },
                  { 6, 'Z' },  { 4, 'A' },  { 2, 'P' }, { 0, 'C' } };
    uint64_t rflags = cpu_rflags(cpu);

    for (unsigned i = 0; i < 16; i++)
        fprintf(out, "%-3s %016" PRIx64 "%s", names[i], cpu->r[i], i % 4 == 3 ? "\n" : "  ");
    fprintf(out, "rip %016" PRIx64 "  rflags %08" PRIx64 " ", cpu->rip, rflags);
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        fputc(bit(rflags, flags[i].bit) ? flags[i].letter : '-', out);
    fprintf(out, "  cpl %u  %s%s\n", cpu->cpl, cpu->non_root ? "non-root " : "",
            activities[cpu->activity]);
    show_segments(cpu, out);
    fprintf(out,
            "cr0 %08" PRIx64 "  cr2 %016" PRIx64 "  cr3 %016" PRIx64 "  cr4 %08" PRIx64
            "  efer %04" PRIx64 "  xcr0 %" PRIx64 "\n",
            cpu->cr0, cpu->cr2, cpu->cr3, cpu->cr4, cpu->efer, cpu->xcr0);
    fprintf(out,
            "dr0 %016" PRIx64 "  dr1 %016" PRIx64 "  dr2 %016" PRIx64 "  dr3 %016" PRIx64
            "  dr6 %08" PRIx64 "  dr7 %08" PRIx64 "\n",
            cpu->dr[0], cpu->dr[1], cpu->dr[2], cpu->dr[3], cpu->dr[6], cpu->dr[7]);
    for (unsigned i = 0; i < 16; i++)
        fprintf(out, "xmm%-2u %016" PRIx64 "%016" PRIx64 "%s", i, cpu->fpu.xmm[i].u64[1],
                cpu->fpu.xmm[i].u64[0], i % 2 ? "\n" : "  ");
    fprintf(out, "mxcsr %08x  fcw %04x  fsw %04x\n", cpu->fpu.mxcsr, cpu->fpu.control,
            cpu->fpu.status);
}
