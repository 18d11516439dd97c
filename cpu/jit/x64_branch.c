/* Ends of blocks: direct links, conditional jumps, indirect jumps.
 *
 * A jump to a block that is not linked goes to a stub that names the link to the run loop, which
 * finds the block and patches the jump. The page of the code stays the same, or the link is one to
 * another page: then a check in front looks at the TLB's fetch tag as the run loop would, and at what
 * physical page is there. */
#include "base/assert.h"
#include "cpu/jit/x64.h"
#include "cpu/jit/x64_x87.h"
#include "mmu/tlb.h"

/* eax = link, then to the run loop */
static uint8_t *x64_exit_link(struct x64 *e, unsigned k)
{
    uint8_t *at = x64_here(&e->cold);

    x64_mov_ri(&e->cold, N_RAX, (uint64_t)(e->nb->id * 2 + k) << EXIT_SHIFT | EXIT_LINK);
    x64_jmp(&e->cold, e->jit->stub.exit);
    return at;
}

/* rax becomes a linear page address, that of the code's page and a distance */
static void x64_page_at(struct x64_buf *b, int32_t distance)
{
    x64_load(b, SZ_64, N_RAX, X64_FIELD(native.page));
    x64_alu_ri(b, ALU_ADD, SZ_64, N_RAX, distance);
}

void x64_fetch_page(struct x64_buf *b, const uint8_t *miss)
{
    struct x64_mem fetch = { X64_TLB, X64_TMP, 0, X64_CODE_ENTRY(fetch) };
    struct x64_mem addend = { X64_TLB, X64_TMP, 0, X64_CODE_ENTRY(addend) };

    x64_mov_rr(b, SZ_32, X64_TMP, N_RAX);
    x64_rr(b, 0xc1, SZ_32, 5, X64_TMP); /* shr */
    x64_8(b, PAGE_SHIFT - 5);
    x64_alu_ri(b, ALU_AND, SZ_32, X64_TMP, (TLB_CODE_ENTRIES - 1) << 5);
    x64_rm(b, 0x3b, SZ_64, N_RAX, fetch);
    x64_jcc(b, CC_NE, miss);
    x64_load(b, SZ_64, X64_TMP, addend);
}

void x64_set_page(struct x64_buf *b)
{
    x64_store(b, SZ_64, X64_FIELD(native.page), N_RAX);
    x64_store(b, SZ_64, X64_FIELD(mmu.fetch_page), N_RAX);
    x64_store(b, SZ_64, X64_FIELD(mmu.fetch_addend), X64_TMP);
}

void x64_second_page(struct x64 *e, const struct insn *in)
{
    const uint8_t *elsewhere = x64_here(&e->cold);

    x64_mov_ri(&e->cold, N_RAX, e->nb->id << REF_SHIFT | REF_CALL | e->at);
    x64_jmp(&e->cold, e->jit->stub.end);
    x64_page_at(&e->hot, PAGE_SIZE);
    x64_fetch_page(&e->hot, elsewhere);
    x64_alu_rr(&e->hot, ALU_ADD, SZ_64, X64_TMP, N_RAX);
    x64_mov_ri(&e->hot, N_RAX, in->imm);
    x64_alu_rr(&e->hot, ALU_CMP, SZ_64, X64_TMP, N_RAX);
    x64_jcc(&e->hot, CC_NE, elsewhere);
    e->valid = 0;
}

/* The check of a link to another page; returns where it begins. */
static uint8_t *x64_cross(struct x64 *e, unsigned k, struct link *l)
{
    struct x64_buf *b = &e->cold;
    uint8_t *data, *at;

    b->at = (uint8_t *)align_up((uintptr_t)b->at, 8);
    data = b->at;
    x64_64(b, 0); /* the expected native page: none */
    l->page = data;
    l->stub = x64_exit_link(e, k);
    at = x64_here(b);
    x64_page_at(b, (int32_t)(l->offset & (int64_t)PAGE_MASK));
    x64_fetch_page(b, l->stub);
    x64_alu_rr(b, ALU_ADD, SZ_64, X64_TMP, N_RAX);
    x64_rm_rip(b, 0x3b, SZ_64, X64_TMP, data + b->bias);
    x64_jcc(b, CC_NE, l->stub);
    x64_alu_rr(b, ALU_SUB, SZ_64, X64_TMP, N_RAX);
    x64_set_page(b);
    x64_jmp(b, l->stub);
    l->site = b->at - 4;
    return at;
}

uint8_t *x64_link(struct x64 *e, unsigned k, int64_t offset, bool branch)
{
    struct link *l = &e->nb->link[k];

    *l = (struct link){ .from = e->nb, .offset = (int32_t)offset, .branch = branch };
    if (offset < 0 || offset >= (int64_t)PAGE_SIZE)
        return x64_cross(e, k, l);
    l->stub = x64_exit_link(e, k);
    return l->stub;
}

void x64_end_link(struct x64 *e, unsigned k, int64_t offset, bool branch)
{
    uint8_t *to = x64_link(e, k, offset, branch);

    x64_jmp(&e->hot, to);
    if (!e->nb->link[k].site)
        e->nb->link[k].site = e->hot.at - 4;
    e->ended = true;
}

void x64_end_jcc(struct x64 *e, unsigned cc, int64_t taken, int64_t behind)
{
    uint8_t *to = x64_link(e, 0, taken, true);

    x64_jcc(&e->hot, cc, to);
    if (!e->nb->link[0].site)
        e->nb->link[0].site = e->hot.at - 4;
    x64_end_link(e, 1, behind, false);
}

static void x64_refund(struct x64 *e)
{
    uint64_t rest = e->nb->rest;

    if (rest && rest <= INT32_MAX) {
        x64_alu_mi(&e->cold, ALU_ADD, SZ_64, X64_FIELD(native.left), (int32_t)rest);
    } else if (rest) {
        x64_mov_ri(&e->cold, N_RAX, rest);
        x64_rm(&e->cold, 0x01, SZ_64, N_RAX, X64_FIELD(native.left)); /* add */
    }
}

void x64_side_exit(struct x64 *e, unsigned cc, unsigned k, int64_t offset, bool branch)
{
    uint8_t *to = x64_link(e, k, offset, branch);
    struct link *l = &e->nb->link[k];

    x64_jcc(&e->hot, cc, x64_here(&e->cold));
    if (!e->saved) {
        ASSERT(e->valid == FL_OSZAPC);
        x64_save_all(&e->cold);
    }
    x64_refund(e);
    x64_x87_store_cold(e, &e->x87);
    x64_jmp(&e->cold, to);
    if (!l->site)
        l->site = e->cold.at - 4;
}

void x64_note_from(struct x64 *e)
{
    x64_rm(&e->hot, 0xc7, SZ_32, 0, X64_FIELD(native.from));
    x64_32(&e->hot, e->nb->id);
}

/* The stub returns to a jump of this block's own, which the native processor predicts by itself. */
void x64_end_indirect(struct x64 *e)
{
    x64_note_from(e);
    x64_call(&e->hot, e->jit->stub.lookup);
    x64_jmp_rax(&e->hot);
    e->ended = true;
}

void x64_end_call(struct x64 *e)
{
    x64_mov_ri(&e->hot, N_RAX, e->nb->id << REF_SHIFT | REF_CALL | e->at);
    x64_jmp(&e->hot, e->jit->stub.end);
    e->ended = true;
}

/* A page that runs is canonical: so is a target as near as this, if its topmost bit is the same. */
void x64_check_near_target(struct x64 *e, int64_t offset)
{
    if (offset >= 0 && offset < (int64_t)PAGE_SIZE)
        return;
    x64_load(&e->hot, SZ_64, N_RAX, X64_FIELD(native.page));
    x64_lea(&e->hot, SZ_64, X64_TMP, (struct x64_mem){ N_RAX, N_NONE, 0, (int32_t)offset });
    x64_alu_rr(&e->hot, ALU_XOR, SZ_64, X64_TMP, N_RAX);
    x64_rr(&e->hot, 0xba | OP_0F, SZ_64, 4, X64_TMP); /* bt */
    x64_8(&e->hot, CPU_LINEAR_BITS - 1);
    x64_jump_slow(e, CC_B);
    e->valid = 0;
}

void x64_check_target(struct x64 *e)
{
    x64_mov_rr(&e->hot, SZ_64, X64_TMP, N_RAX);
    x64_rr(&e->hot, 0xc1, SZ_64, 7, X64_TMP); /* sar: 0 or -1 */
    x64_8(&e->hot, CPU_LINEAR_BITS - 1);
    x64_alu_ri(&e->hot, ALU_ADD, SZ_64, X64_TMP, 1);
    x64_alu_ri(&e->hot, ALU_CMP, SZ_64, X64_TMP, 1);
    x64_jump_slow(e, CC_A);
    e->valid = 0;
}
