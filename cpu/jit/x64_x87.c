/* The x87 state between struct cpu and the native x87, and the pointers of x87 instructions.
 * [SDM 1 "x87 FPU Instruction and Data (Operand) Pointers"] */
#include "cpu/jit/x64_x87.h"

#include "cpu/exec.h"
#include "cpu/x87.h"
#include <assert.h>

/* ---- the state ---- */

/* the image of FSAVE, 32-bit protected mode [SDM 1 "Saving the x87 FPU's State with FSTENV/FNSTENV and
 * FSAVE/FNSAVE"] */
struct x87_image {
    uint16_t control, ones1, status, ones2, tag, ones3;
    uint32_t ip;
    uint16_t cs, opcode;
    uint32_t dp;
    uint16_t ds, ones4;
    uint8_t st[8][10];
};
static_assert(sizeof(struct x87_image) == 108, "28 bytes of environment, eight registers");

uint8_t *x64_x87_load(struct cpu *cpu, uint32_t unused)
{
    const struct fpu *f = &cpu->fpu;
    struct x87_image image = { .control = f->control, .status = f->status };

    for (unsigned i = 0; i < 8; i++) {
        struct float80 v = x87_get(cpu, i);

        memcpy(image.st[i], &v.significand, 8);
        memcpy(image.st[i] + 8, &v.sign_exponent, 2);
        if (!(f->tag >> i & 1))
            image.tag |= (uint16_t)(3u << 2 * i);
    }
    cpu->native.x87_live = true;
    cpu->native.x87_opcode = 0;
    cpu->native.x87_seg = NATIVE_NONE;
    __asm__ volatile("frstor %0" : : "m"(image));
    return NULL;
}

void x64_x87_drop_live(struct cpu *cpu)
{
    struct fpu *f = &cpu->fpu;
    struct x87_image image;

    __asm__ volatile("fnsave %0" : "=m"(image)); /* and initializes */
    f->status = image.status;
    f->tag = x87_short_tags(image.tag);
    for (unsigned i = 0; i < 8; i++) {
        struct float80 *v = &f->st[(x87_top(cpu) + i) & 7];

        memcpy(&v->significand, image.st[i], 8);
        memcpy(&v->sign_exponent, image.st[i] + 8, 2);
    }
    /* segment registers change in C code, or while this state is not live (SYSCALL): they are as the
     * instructions found them */
    if (cpu->native.x87_opcode) {
        f->opcode = (uint16_t)cpu->native.x87_opcode;
        f->cs = cpu->seg[SEG_CS].selector;
    }
    if (cpu->native.x87_seg != NATIVE_NONE)
        f->ds = cpu->seg[cpu->native.x87_seg].selector;
    cpu->native.x87_live = false;
}

/* ---- the pointers ---- */

static void x64_x87_store_dp(struct x64 *e, const struct x64_x87_note *note)
{
    uint32_t page_offset = e->page_offset;

    e->page_offset = note->memory_page_offset;
    if (!x64_address(e, note->memory, X64_TMP, false)) { /* rax, too; it may be in use */
        x64_store(&e->hot, SZ_64, X64_FIELD(rip), N_RAX);
        x64_address(e, note->memory, X64_TMP, true);
        x64_load(&e->hot, SZ_64, N_RAX, X64_FIELD(rip));
    }
    e->page_offset = page_offset;
    x64_store(&e->hot, SZ_64, X64_FIELD(fpu.dp), X64_TMP);
    x64_rm(&e->hot, 0xc6, SZ_8, 0, X64_FIELD(native.x87_seg));
    x64_8(&e->hot, note->memory->seg);
}

static void x64_x87_store_note(struct x64 *e, const struct x64_x87_note *note)
{
    uint32_t fop;

    if (note->memory)
        x64_x87_store_dp(e, note);
    if (!note->last)
        return;
    fop = (uint32_t)(insn_rows[note->last->id].map - GRP_D8) << 8 | note->last->modrm;
    x64_load(&e->hot, SZ_64, X64_TMP, X64_FIELD(native.page));
    x64_lea(&e->hot, SZ_64, X64_TMP,
            (struct x64_mem){ X64_TMP, N_NONE, 0,
                              (int32_t)(note->last_page_offset + note->last->start) });
    x64_store(&e->hot, SZ_64, X64_FIELD(fpu.ip), X64_TMP);
    x64_rm(&e->hot, 0xc7, SZ_32, 0, X64_FIELD(native.x87_opcode));
    x64_32(&e->hot, NATIVE_NOTED | fop);
}

void x64_x87_store(struct x64 *e)
{
    x64_x87_store_note(e, &e->x87);
    e->x87 = (struct x64_x87_note){ 0 };
}

void x64_x87_store_cold(struct x64 *e, const struct x64_x87_note *note)
{
    struct x64_buf hot = e->hot;

    e->hot = e->cold;
    x64_x87_store_note(e, note);
    e->cold = e->hot;
    e->hot = hot;
}

void x64_x87_before(struct x64 *e, const struct insn *in, bool all)
{
    const struct flow *f = &e->flow[e->at];
    const struct insn *m = e->x87.memory;

    if (all) {
        x64_x87_store(e);
    } else if (m && ((m->base < 16 && flow_writes(f, in, m->base)) ||
                     (m->index < 16 && flow_writes(f, in, m->index)))) {
        x64_x87_store_dp(e, &e->x87);
        e->x87.memory = NULL;
    }
}

void x64_x87_after(struct x64 *e, const struct insn *in)
{
    if (!(e->flow[e->at].row->traits & FLOW_X87_NOTES))
        return;
    e->x87.last = in;
    e->x87.last_page_offset = e->page_offset;
    if (in->flags & IN_MEM) {
        e->x87.memory = in;
        e->x87.memory_page_offset = e->page_offset;
    }
}
