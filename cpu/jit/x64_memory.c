/* Guest memory from native code: the effective address, and a look-up in the TLB. What does not hit
 * goes to the slow path of its instruction, a cold stub that runs the interpreter function.
 * The layout of the TLB is in mmu/mmu.h. */
#include "base/assert.h"
#include "cpu/jit/x64.h"
#include "mmu/tlb.h"

static_assert(TLB_NONE & ~PAGE_MASK & ~UINT64_C(15), "no address equals it with bits 3:0 kept");

/* the linear address of something in the page that the code runs in */
static void x64_rip_relative(struct x64 *e, unsigned dst, int64_t disp)
{
    int64_t offset = e->page_offset + disp;

    x64_load(&e->hot, SZ_64, dst, X64_FIELD(native.page));
    if (offset > INT32_MAX) { /* further from the page than from the instruction */
        x64_lea(&e->hot, SZ_64, dst, (struct x64_mem){ (uint8_t)dst, N_NONE, 0, INT32_MAX });
        offset -= INT32_MAX;
    }
    x64_lea(&e->hot, SZ_64, dst, (struct x64_mem){ (uint8_t)dst, N_NONE, 0, (int32_t)offset });
}

bool x64_address(struct x64 *e, const struct insn *in, unsigned dst, bool rax_free)
{
    unsigned size = in->addr_mask >> 32 ? SZ_64 : SZ_32;
    struct x64_mem m = { N_NONE, N_NONE, in->scale, (int32_t)in->disp };
    bool base = in->base < 16, index = in->index < 16;

    if (in->base == REG_BLOCK_RIP) {
        x64_rip_relative(e, dst, in->disp);
        if (size == SZ_32)
            x64_mov_rr(&e->hot, SZ_32, dst, dst);
        return true;
    }
    if (base && index && x64_reg_of[in->base] == N_NONE && x64_reg_of[in->index] == N_NONE) {
        if (!rax_free)
            return false;
        m.index = (uint8_t)x64_in_reg(e, in->index, N_RAX);
    } else if (index) {
        m.index = (uint8_t)x64_in_reg(e, in->index, dst);
    }
    if (base)
        m.base = (uint8_t)x64_in_reg(e, in->base, dst);
    if (m.base == N_NONE && m.index == N_NONE)
        x64_mov_ri(&e->hot, dst,
                   size == SZ_64 ? (uint64_t)in->disp : (uint64_t)in->disp & in->addr_mask);
    else
        x64_lea(&e->hot, size, dst, m);
    return true;
}

void x64_jump_slow(struct x64 *e, unsigned cc)
{
    ASSERT(e->now.count < X64_SLOW_SITES);
    x64_jcc(&e->hot, cc, x64_here(&e->hot)); /* patched when the stub is there */
    e->now.site[e->now.count++] = e->hot.at - 4;
}

/* rax: the low half at least of the linear address; r14: the address of the last byte; if it has to be
 * aligned, of the first one, whose low bits then take part. Leaves where the entry is in rax, and not
 * equal if it does not hit. */
static void x64_compare_tag(struct x64 *e, bool write, bool aligned)
{
    struct x64_mem tag = { X64_TLB, N_RAX, 0,
                           write ? offsetof(struct tlb_entry, write)
                                 : offsetof(struct tlb_entry, read) };

    x64_rr(&e->hot, 0xc1, SZ_32, 5, N_RAX); /* shr */
    x64_8(&e->hot, PAGE_SHIFT - 5);
    x64_alu_ri(&e->hot, ALU_AND, SZ_32, N_RAX, (TLB_ENTRIES - 1) << 5);
    x64_alu_ri(&e->hot, ALU_AND, SZ_64, X64_TMP, -(int32_t)PAGE_SIZE | (aligned ? 15 : 0));
    x64_rm(&e->hot, 0x3b, SZ_64, X64_TMP, tag);
    e->valid = 0;
}

static void x64_load_addend(struct x64 *e)
{
    x64_load(&e->hot, SZ_64, N_RAX,
             (struct x64_mem){ X64_TLB, N_RAX, 0, offsetof(struct tlb_entry, addend) });
}

static void x64_look_up(struct x64 *e, bool write, bool aligned)
{
    x64_compare_tag(e, write, aligned);
    x64_jump_slow(e, CC_NE);
    x64_load_addend(e);
}

/* rax and r14 become the first and the last byte from a register's value */
static void x64_range(struct x64 *e, unsigned native, int32_t first, int32_t last)
{
    struct x64_mem m = { (uint8_t)native, N_NONE, 0, first };

    if (first)
        x64_lea(&e->hot, SZ_32, N_RAX, m);
    else
        x64_mov_rr(&e->hot, SZ_32, N_RAX, native);
    m.disp = last;
    if (last)
        x64_lea(&e->hot, SZ_64, X64_TMP, m);
    else
        x64_mov_rr(&e->hot, SZ_64, X64_TMP, native);
}

static void x64_near_look_up(struct x64 *e, unsigned slot, bool write, unsigned bytes, bool addend)
{
    struct x64_near_site s = x64_near_check(e, slot, write, bytes);

    x64_near_load(e, slot, write, addend);
    ASSERT(e->now.near_count < X64_SLOW_SITES);
    e->now.near[e->now.near_count++] = s;
}

void x64_group_look_up(struct x64 *e, const struct x64_group *g)
{
    struct x64_mem from = { x64_reg_of[g->reg], N_NONE, 0, g->low };
    int32_t last = g->high - 1;
    unsigned slot;
    uint8_t *miss;

    if (!g->aligned && x64_near(e, g->reg, REG_ZERO, SEG_FLAT, g->low, &slot)) {
        struct x64_near_site s;

        x64_lea(&e->hot, SZ_64, X64_TMP, from);
        s = x64_near_check(e, slot, g->write, (unsigned)(g->high - g->low));
        x64_near_load(e, slot, g->write, true);
        x64_near_miss(e, &s, e->nb->id << REF_SHIFT | g->first);
        return;
    }
    if (g->aligned) /* what it has in its page then, it has up to the next multiple of 16 */
        last -= (last - g->anchor) & 15;
    x64_range(e, x64_reg_of[g->reg], g->low, last);
    x64_compare_tag(e, g->write, g->aligned);
    x64_jcc(&e->hot, CC_NE, x64_here(&e->hot));
    miss = e->hot.at - 4;
    x64_load_addend(e);
    x64_patch(miss, e->cold.at);
}

static struct x64_use *x64_note(struct x64 *e, unsigned bytes, bool write)
{
    struct x64_use *u = e->trial ? e->trial : &e->unwanted;

    u->accesses++;
    u->based = u->simple = false;
    u->bytes = (uint16_t)(bytes & ~(unsigned)X64_ALIGNED);
    u->aligned = bytes & X64_ALIGNED;
    u->write = write;
    return u;
}

static void x64_note_form(struct x64_use *u, unsigned base, unsigned index, unsigned scale,
                          int32_t disp)
{
    u->based = true;
    u->simple = index == REG_ZERO && x64_reg_of[base] != N_NONE;
    u->reg = (uint8_t)base;
    u->index = (uint8_t)index;
    u->scale = (uint8_t)scale;
    u->disp = disp;
}

struct x64_operand x64_access_reg(struct x64 *e, unsigned reg, int32_t disp, unsigned bytes,
                                  bool write)
{
    unsigned native = x64_reg_of[reg];
    bool aligned = bytes & X64_ALIGNED;
    unsigned slot;

    if (x64_hoisted(e)) {
        x64_hoisted_load(e);
        return (struct x64_operand){ .memory = true,
                                     .guest = true,
                                     .m = { N_RAX, (uint8_t)native, 0, disp } };
    }
    x64_note_form(x64_note(e, bytes, write), reg, REG_ZERO, 0, disp);
    if (e->shares) {
        if (!e->shared_in_rax)
            x64_load(&e->hot, SZ_64, N_RAX, X64_FIELD(native.shared));
        e->shared_in_rax = true;
    } else if (!aligned && x64_near(e, reg, REG_ZERO, SEG_FLAT, disp, &slot)) {
        x64_lea(&e->hot, SZ_64, X64_TMP, (struct x64_mem){ (uint8_t)native, N_NONE, 0, disp });
        x64_near_look_up(e, slot, write, bytes, true);
    } else {
        x64_range(e, native, disp, aligned ? disp : disp + (int32_t)bytes - 1);
        x64_look_up(e, write, aligned);
    }
    return (struct x64_operand){ .memory = true,
                                 .guest = true,
                                 .m = { N_RAX, (uint8_t)native, 0, disp } };
}

struct x64_operand x64_access_tmp(struct x64 *e, unsigned bytes, bool write)
{
    struct x64_mem kept = X64_FIELD(rip); /* free inside a block */

    x64_note(e, bytes, write);
    x64_store(&e->hot, SZ_64, kept, X64_TMP);
    x64_mov_rr(&e->hot, SZ_32, N_RAX, X64_TMP);
    if (bytes > 1)
        x64_alu_ri(&e->hot, ALU_ADD, SZ_64, X64_TMP, (int32_t)bytes - 1);
    x64_look_up(e, write, false);
    x64_load(&e->hot, SZ_64, X64_TMP, kept);
    return (struct x64_operand){ .memory = true, .guest = true, .m = { N_RAX, X64_TMP, 0, 0 } };
}

void x64_add_base(struct x64 *e, const struct insn *in)
{
    struct x64_mem base = X64_FIELD(seg[0].base);

    if (in->base_seg == SEG_FLAT)
        return;
    base.disp += (int32_t)(in->base_seg * sizeof(struct seg));
    x64_rm(&e->hot, 0x03, SZ_64, X64_TMP, base);
}

struct x64_operand x64_access(struct x64 *e, const struct insn *in, unsigned bytes, bool write)
{
    bool plain = in->base_seg == SEG_FLAT && in->addr_mask >> 32 && in->disp < INT32_MAX - 64;
    struct x64_mem kept = X64_FIELD(rip); /* free inside a block */
    bool again, aligned = bytes & X64_ALIGNED, base = in->base < 16, index = in->index < 16;
    struct x64_operand near = { .memory = true, .guest = true, .m = { N_RAX, X64_TMP, 0, 0 } };
    struct x64_use *use;
    unsigned slot;

    if (plain && base && !index && x64_reg_of[in->base] != N_NONE)
        return x64_access_reg(e, in->base, (int32_t)in->disp, bytes, write);
    if (x64_hoisted(e)) {
        x64_address(e, in, X64_TMP, true);
        x64_hoisted_load(e);
        return near;
    }
    use = x64_note(e, bytes, write);
    if (plain && in->base != REG_BLOCK_RIP && (base || index))
        x64_note_form(use, in->base, in->index, in->scale, (int32_t)in->disp);
    again = x64_address(e, in, X64_TMP, false);
    if (!again)
        x64_address(e, in, X64_TMP, true);
    x64_add_base(e, in);
    if (!aligned && x64_near(e, in->base, in->index, in->base_seg, (int64_t)in->disp, &slot)) {
        x64_near_look_up(e, slot, write, bytes, false);
        return near;
    }
    if (!again)
        x64_store(&e->hot, SZ_64, kept, X64_TMP);
    x64_mov_rr(&e->hot, SZ_32, N_RAX, X64_TMP);
    if (bytes > 1 && !aligned)
        x64_alu_ri(&e->hot, ALU_ADD, SZ_64, X64_TMP, (int32_t)bytes - 1);
    x64_look_up(e, write, aligned);
    if (again) {
        x64_address(e, in, X64_TMP, false);
        x64_add_base(e, in);
    } else {
        x64_load(&e->hot, SZ_64, X64_TMP, kept);
    }
    return (struct x64_operand){ .memory = true, .guest = true, .m = { N_RAX, X64_TMP, 0, 0 } };
}
