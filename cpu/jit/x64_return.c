/* Calls and returns. A guest CALL is a native one, and a guest RET a native one, so that the native
 * processor predicts where it goes. Behind a native call is its *landing*: a RET comes there with the
 * address in rax that it has read from the guest's stack. If that is the address behind the CALL, and
 * the page there is still the same, the code behind the CALL goes on; else it is an indirect jump.
 *
 * The stack of native code is its own (RETURNS_BYTES). It stays as it is while C code runs, and is
 * emptied when that forgets native code with a landing, and when it is full: so what is on it is only a
 * guess, but one that native code can go to. */
#include "cpu/jit/x64.h"

/* The next native call has room for its landing; or all others are forgotten. */
static void x64_returns_room(struct x64 *e)
{
    x64_rr(&e->hot, 0xf7, SZ_32, 0, N_RSP); /* test */
    x64_32(&e->hot, RETURNS_ROOM);
    x64_jcc(&e->hot, CC_E, x64_here(&e->cold));
    x64_load(&e->cold, SZ_64, N_RSP, X64_FIELD(native.no_returns));
    x64_jmp(&e->cold, x64_here(&e->hot));
}

/* rax: the page address that the RET means; r14: the distance to native addresses there. near: most likely
 * the page stays the same */
static void x64_landing_page(struct x64 *e, bool near, const uint8_t *miss)
{
    struct x64_buf *cross = near ? &e->cold : &e->hot;

    if (near) {
        x64_load(&e->hot, SZ_64, X64_TMP, X64_FIELD(mmu.fetch_addend));
        x64_rm(&e->hot, 0x3b, SZ_64, N_RAX, X64_FIELD(native.page));
        x64_jcc(&e->hot, CC_NE, x64_here(&e->cold));
    }
    x64_fetch_page(cross, miss);
    x64_set_page(cross);
    if (near)
        x64_jmp(cross, x64_here(&e->hot));
}

static void x64_landing(struct x64 *e, int64_t behind, bool near)
{
    struct x64_buf *b = &e->hot;
    uintptr_t page = e->b->native - e->page_offset;
    const uint8_t *other_code, *miss;

    e->nb->landing = x64_here(b);
    e->ended = true;
    if (behind >= (int64_t)PAGE_SIZE) {
        x64_jmp(b, e->jit->stub.jump);
        return;
    }
    other_code = x64_here(&e->cold);
    x64_load(&e->cold, SZ_64, N_RAX, X64_FIELD(native.page));
    miss = x64_here(&e->cold);
    x64_lea(&e->cold, SZ_64, N_RAX, (struct x64_mem){ N_RAX, N_NONE, 0, (int32_t)behind });
    x64_jmp(&e->cold, e->jit->stub.jump);
    x64_alu_ri(b, ALU_SUB, SZ_64, N_RAX, (int32_t)behind);
    x64_landing_page(e, near, miss);
    x64_alu_rr(b, ALU_ADD, SZ_64, X64_TMP, N_RAX);
    x64_rm(b, 0x33, SZ_64, X64_TMP, X64_FIELD(native.key_tag));
    x64_mov_ri(b, N_RAX, page ^ (uint64_t)e->b->key << JUMP_TAG_SHIFT);
    x64_alu_rr(b, ALU_CMP, SZ_64, X64_TMP, N_RAX);
    x64_jcc(b, CC_NE, other_code);
    x64_end_link(e, 1, behind, false);
}

void x64_end_call_near(struct x64 *e, int64_t offset, int64_t behind)
{
    struct link *l = &e->nb->link[0];
    const uint8_t *to = x64_link(e, 0, offset, true);

    x64_returns_room(e);
    x64_call(&e->hot, to);
    if (!l->site)
        l->site = e->hot.at - 4;
    x64_landing(e, behind, !l->page);
}

void x64_end_call_indirect(struct x64 *e, int64_t behind)
{
    x64_call(&e->hot, e->jit->stub.lookup);
    x64_returns_room(e);
    x64_8(&e->hot, 0xff); /* call rax */
    x64_8(&e->hot, 0xd0);
    x64_landing(e, behind, false);
}

void x64_end_return(struct x64 *e)
{
    x64_note_from(e);
    x64_8(&e->hot, 0xc3);
    e->ended = true;
}
