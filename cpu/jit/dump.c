/* `dump-jit`: guest code, what the analysis says of its flags, and the native code made of it. */
#include "cpu/jit/dump.h"

#include <capstone/capstone.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cpu/jit/x64.h"

enum { DUMP_MAX_PAGES = 256 };

/* ---- a block, translated again ---- */

/* Hot and cold code are as far apart as they are in the cache, and say that they run there, so that
 * all distances are the same. */
bool jit_again(struct jit *jit, const struct native_block *nb, struct again *a)
{
    size_t before = (uintptr_t)nb->code & ~PAGE_MASK, apart = (size_t)(nb->cold - nb->code);
    struct x64_buf hot, cold;
    unsigned n = 0;

    *a = (struct again){ .size = before + apart + JIT_BLOCK_MAX };
    a->map = mmap(NULL, a->size, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (a->map == MAP_FAILED)
        return false;
    a->hot = a->map + before;
    a->cold = a->hot + apart;
    hot = (struct x64_buf){ a->map + before, nb->code - a->hot };
    cold = (struct x64_buf){ a->map + before + apart, hot.bias };
    jit->marks = &a->marks;
    for (const struct native_block *at = nb; at; at = at->follows, n++) {
        a->nb[n] = *at;
        a->nb[n].follows = at->follows ? &a->nb[n + 1] : NULL;
    }
    x64_translate(jit, a->nb, &hot, &cold);
    jit->marks = NULL;
    a->hot_bytes = (size_t)(hot.at - a->hot);
    a->cold_bytes = (size_t)(cold.at - a->cold);
    return true;
}

void jit_again_done(struct again *a)
{
    munmap(a->map, a->size);
}

/* ---- names ---- */

static const char *const reg_names[16] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                           "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15" };

#define NAME(member) { offsetof(struct cpu, member), sizeof(((struct cpu *)0)->member), #member },
/* clang-format off */
static const struct {
    size_t offset, size;
    const char *name;
} field_names[] = { /* parts of others first */
    NAME(native.left) NAME(native.page) NAME(native.shared) NAME(native.flags) NAME(native.xmm_live)
    NAME(native.x87_live) NAME(native.x87_seg) NAME(native.x87_opcode)
    NAME(native.key_tag) NAME(native.jump_table) NAME(native.from) NAME(native.no_returns) NAME(rip) NAME(mmu.tlb)
    NAME(mmu.fetch_page) NAME(mmu.fetch_addend) NAME(mmu) NAME(seg[SEG_FS]) NAME(seg[SEG_GS])
    NAME(fpu.xmm) NAME(fpu.mxcsr) NAME(fpu.control) NAME(fpu.ip) NAME(fpu.dp)
    NAME(fpu) NAME(rflags) NAME(flags) NAME(events) NAME(cpl)
};
/* clang-format on */
#undef NAME

static void name_field(size_t offset, FILE *out)
{
    if (offset < 8 * 16) {
        fprintf(out, "  ; guest %s", reg_names[offset / 8]);
        return;
    }
    for (size_t i = 0; i < sizeof field_names / sizeof field_names[0]; i++) {
        if (offset - field_names[i].offset < field_names[i].size) {
            fprintf(out, "  ; %s", field_names[i].name);
            return;
        }
    }
}

static void name_target(const struct jit *jit, const struct native_block *nb, const uint8_t *to,
                        FILE *out)
{
    for (; nb; nb = nb->follows) {
        for (unsigned k = 0; k < 2; k++) {
            if (nb->link[k].site && to == nb->link[k].stub)
                fprintf(out, "  ; link %u, not made", k);
        }
    }
#define STUB(name)            \
    if (to == jit->stub.name) \
        fprintf(out, "  ; stub " #name);
    JIT_STUB_LIST(STUB)
#undef STUB
    if (to > jit->stub.near && to < jit->stub_end)
        fprintf(out, "  ; stub near");
    for (uint32_t i = 0; i < jit->id_count; i++) {
        const struct native_block *other = jit->by_id[i];

        if (other && !other->stale && other->code && other->code == to)
            fprintf(out, "  ; block at physical %" PRIx64, other->b->pa);
    }
}

static void show_flags(uint16_t flags, FILE *out)
{
    static const uint16_t order[] = { FL_O, FL_S, FL_Z, FL_A, FL_P, FL_C };

    for (unsigned i = 0; i < 6; i++) {
        if (flags & order[i])
            fputc("OSZAPC"[i], out);
    }
}

/* ---- guest code ---- */

static void show_flow(const struct flow *f, FILE *out)
{
    if (!f->row)
        fprintf(out, "  no emitter");
    else if (f->calls)
        fprintf(out, "  may call");
    if (f->row && f->reads) {
        fprintf(out, "  reads ");
        show_flags(f->reads, out);
    }
    if (f->must) {
        fprintf(out, "  defines ");
        show_flags(f->must, out);
        fprintf(out, f->save ? " (saved)" : " (not saved)");
        if (f->live) {
            fprintf(out, "  wanted ");
            show_flags(f->live, out);
        }
    }
}

/* the bytes of an instruction, of which the second page's may be elsewhere */
static size_t guest_bytes(const struct block *b, const struct insn *in, uint8_t *bytes)
{
    uintptr_t at = b->native + in->start;
    size_t room = PAGE_SIZE - (at & ~PAGE_MASK);

    for (size_t i = 0; i < in->length; i++) {
        if (i < room)
            bytes[i] = *(const uint8_t *)(at + i);
        else if (!b->insns[0].imm)
            return i;
        else
            bytes[i] = ((const uint8_t *)(uintptr_t)b->insns[0].imm)[i - room];
    }
    return in->length;
}

static void show_guest(csh guest, const struct block *b, unsigned at, const struct flow *flow,
                       uint64_t rip, FILE *out)
{
    const struct insn *in = &b->insns[at];
    uint8_t bytes[16];
    size_t count = guest_bytes(b, in, bytes);
    cs_insn *insn;

    fprintf(out, "%016" PRIx64 "  ", rip + in->start);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%02x", bytes[i]);
    if (b->count == 2 && b->insns[1].flags & IN_CROSSES && at == 0) {
        fprintf(out, "  (check of the second page)");
    } else if (cs_disasm(guest, bytes, count, rip + in->start, 1, &insn) == 1) {
        fprintf(out, "  %s %s", insn->mnemonic, insn->op_str);
        cs_free(insn, 1);
    } else {
        fprintf(out, "  (bad)");
    }
    fprintf(out, "  |");
    show_flow(&flow[at], out);
    fputc('\n', out);
}

/* ---- native code ---- */

static void show_native_insn(const struct jit *jit, const struct native_block *nb,
                             const cs_insn *insn, FILE *out)
{
    fprintf(out, "    %" PRIx64 "  %s %s", insn->address, insn->mnemonic, insn->op_str);
    for (unsigned i = 0; i < insn->detail->x86.op_count; i++) {
        const cs_x86_op *op = &insn->detail->x86.operands[i];

        if (op->type == X86_OP_MEM && op->mem.base == X86_REG_RBP)
            name_field((size_t)(op->mem.disp + X64_CPU_BIAS), out);
        else if (op->type == X86_OP_IMM && insn->mnemonic[0] != 'm')
            name_target(jit, nb, (const uint8_t *)(uintptr_t)op->imm, out);
    }
    fputc('\n', out);
}

static void show_native(const struct jit *jit, const struct native_block *nb, csh native,
                        const uint8_t *from, const uint8_t *to, FILE *out)
{
    while (from < to) {
        cs_insn *insn;

        if (cs_disasm(native, from, (size_t)(to - from), (uintptr_t)from, 1, &insn) == 1) {
            show_native_insn(jit, nb, insn, out);
            from += insn->size;
            cs_free(insn, 1);
        } else { /* the page that a link to another page expects */
            fprintf(out, "    %" PRIxPTR "  db %02x\n", (uintptr_t)from, *from);
            from++;
        }
    }
}

/* marks[at]: where the native code of instruction `at` begins; fused ones have none of their own */
static const uint8_t *mark_after(const uint8_t *const *marks, unsigned at, unsigned count,
                                 const uint8_t *end)
{
    for (at++; at < count; at++) {
        if (marks[at])
            return marks[at];
    }
    return end;
}

static void show_hot(struct jit *jit, const struct native_block *nb, const struct again *a,
                     csh handles[2], const struct flow_path *path, const struct flow *flow,
                     uint64_t rip, FILE *out)
{
    const uint8_t *end = nb->code + nb->hot_bytes;

    show_native(jit, nb, handles[1], nb->code, mark_after(a->marks.hot, -1u, path->insns, end),
                out);
    for (unsigned k = 0; k < path->count; k++) {
        const struct block *b = path->b[k];
        uint64_t begin = (rip & PAGE_MASK) + (b->pa & ~PAGE_MASK);

        if (k > 0)
            fprintf(out, "then block %016" PRIx64 ", %u cycles\n", begin, b->cost);
        for (unsigned i = 0; i < b->count; i++) {
            const uint8_t *from = a->marks.hot[path->first[k] + i];

            show_guest(handles[0], b, i, flow + path->first[k], begin, out);
            if (from)
                show_native(jit, nb, handles[1], from,
                            mark_after(a->marks.hot, path->first[k] + i, path->insns, end), out);
        }
    }
}

static void show_cold(struct jit *jit, const struct native_block *nb, csh native, FILE *out)
{
    fprintf(out, "cold:\n");
    show_native(jit, nb, native, nb->cold, nb->cold + nb->cold_bytes, out);
}

static bool open_handles(csh handles[2])
{
    for (unsigned i = 0; i < 2; i++) {
        if (cs_open(CS_ARCH_X86, CS_MODE_64, &handles[i]) != CS_ERR_OK) {
            if (i == 1)
                cs_close(&handles[0]);
            return false;
        }
    }
    cs_option(handles[1], CS_OPT_DETAIL, CS_OPT_ON);
    return true;
}

void jit_dump_block(struct jit *jit, const struct native_block *nb, uint64_t rip, FILE *out)
{
    const struct block *b = nb->b;
    struct flow flow[PATH_MAX_INSNS];
    struct flow_path path;
    struct again a;
    csh handles[2];

    if (!open_handles(handles))
        return;
    if (!jit_again(jit, nb, &a)) {
        cs_close(&handles[0]);
        cs_close(&handles[1]);
        return;
    }
    jit_path(nb, &path);
    flow_analyse_path(jit->flow, &path, flow);
    fprintf(out,
            "block %016" PRIx64 ", physical %" PRIx64 "%s%s%s%s: %u instructions, %u bytes, %u "
            "cycles; native code: %u bytes, %u cold\n",
            rip, b->pa, b->key & KEY_USER ? ", user" : "",
            b->key & KEY_NON_ROOT ? ", non-root" : "", b->key & KEY_NO_SSE ? ", no SSE" : "",
            b->key & KEY_SSE_TRAPS ? ", SSE traps" : "", b->count, b->bytes, b->cost, nb->hot_bytes,
            nb->cold_bytes);
    if (a.hot_bytes == nb->hot_bytes && a.cold_bytes == nb->cold_bytes) {
        show_hot(jit, nb, &a, handles, &path, flow, rip, out);
        show_cold(jit, nb, handles[1], out);
    } else {
        fprintf(out, "translated again, it comes out differently: %zu bytes, %zu cold\n",
                a.hot_bytes, a.cold_bytes);
        for (unsigned i = 0; i < b->count; i++)
            show_guest(handles[0], b, i, flow, rip, out);
        show_native(jit, nb, handles[1], nb->code, nb->code + nb->hot_bytes, out);
        show_cold(jit, nb, handles[1], out);
    }
    jit_again_done(&a);
    cs_close(&handles[0]);
    cs_close(&handles[1]);
}

/* ---- finding ---- */

static void show_places(FILE *out)
{
    fprintf(out, "guest registers (others in memory):");
    for (unsigned r = 0; r < 16; r++) {
        if (x64_reg_of[r] != N_NONE)
            fprintf(out, " %s=%s", reg_names[r], reg_names[x64_reg_of[r]]);
    }
    fputc('\n', out);
}

static int by_place(const void *a, const void *b)
{
    const struct block *x = (*(struct native_block *const *)a)->b;
    const struct block *y = (*(struct native_block *const *)b)->b;

    return x->pa != y->pa ? (x->pa > y->pa ? 1 : -1) : (int)x->key - (int)y->key;
}

/* Blocks with bytes from first to last, which are in one page. `page`: physical; MMU_NO_PAGE: any. */
static unsigned dump_page(struct jit *jit, uint64_t first, uint64_t last, uint64_t page, FILE *out)
{
    struct native_block **found = calloc(jit->id_count + 1, sizeof(struct native_block *));
    unsigned count = 0;

    for (uint32_t i = 0; found && i < jit->id_count; i++) {
        struct native_block *nb = jit->by_id[i];
        uint64_t begin;

        if (!nb || nb->stale || nb != nb->head ||
            (page != MMU_NO_PAGE && (nb->b->pa & PAGE_MASK) != page))
            continue;
        begin = (first & PAGE_MASK) + (nb->b->pa & ~PAGE_MASK);
        if (begin <= last && first < begin + nb->b->bytes)
            found[count++] = nb;
    }
    if (found)
        qsort(found, count, sizeof(struct native_block *), by_place);
    for (unsigned i = 0; i < count; i++)
        jit_dump_block(jit, found[i], (first & PAGE_MASK) + (found[i]->b->pa & ~PAGE_MASK), out);
    free(found);
    return count;
}

void jit_dump(struct cpu *cpu, uint64_t first, uint64_t last, FILE *out)
{
    unsigned count = 0, pages = 0;

    if (!cpu->jit) {
        fprintf(out, "this processor has no native code\n");
        return;
    }
    show_places(out);
    for (uint64_t at = first; at <= last && at >= first; at = (at | ~PAGE_MASK) + 1) {
        uint64_t end = (at | ~PAGE_MASK) < last ? at | ~PAGE_MASK : last, pa;

        if (pages++ == DUMP_MAX_PAGES) {
            fprintf(out, "more than %u pages: the first ones are shown\n", DUMP_MAX_PAGES);
            break;
        }
        if (mmu_peek(&cpu->mmu, at, &pa)) {
            count += dump_page(cpu->jit, at, end, pa & PAGE_MASK, out);
        } else if (last - first < PAGE_SIZE) {
            fprintf(out, "%016" PRIx64 " is not mapped now: blocks at its offset in any page\n",
                    at);
            count += dump_page(cpu->jit, at, end, MMU_NO_PAGE, out);
        }
    }
    if (count == 0)
        fprintf(out, "no native code there\n");
}

void jit_dump_translated(struct cpu *cpu, uint64_t first, uint64_t last, FILE *out)
{
    if (!cpu->jit)
        return;
    cpu->jit->dump.out = out;
    cpu->jit->dump.first = first;
    cpu->jit->dump.last = last;
    show_places(out);
}
