/* Emitters of the system instructions that kernels execute most: their plain case at CPL 0, or without
 * a VM exit. All else is the interpreter's. */
#include <assert.h>

#include "cpu/exec.h"
#include "cpu/jit/x64.h"

static void x64_only_cpl_0(struct x64 *e)
{
    x64_alu_mi(&e->hot, ALU_CMP, SZ_8, X64_FIELD(cpl), 0);
    x64_jump_slow(e, CC_NE);
    e->valid = 0;
}

/* CLD, STD (arg 1): never fault, but the AND costs the native flags */
static bool x64_direction(struct x64 *e, const struct insn *in, unsigned arg)
{
    x64_alu_mi(&e->hot, arg ? ALU_OR : ALU_AND, SZ_32, X64_FIELD(rflags),
               arg ? (int32_t)RFLAGS_DF : ~(int32_t)RFLAGS_DF);
    e->valid = 0;
    return true;
}

static bool x64_cli(struct x64 *e, const struct insn *in, unsigned arg)
{
    x64_only_cpl_0(e);
    x64_alu_mi(&e->hot, ALU_AND, SZ_32, X64_FIELD(rflags), ~(int32_t)RFLAGS_IF);
    return true;
}

/* with its shadow in the block, and no event that has waited for this */
static bool x64_sti(struct x64 *e, const struct insn *in, unsigned arg)
{
    if (!(in->flags & IN_SHADOW))
        return false;
    x64_only_cpl_0(e);
    x64_alu_mi(&e->hot, ALU_CMP, SZ_32, X64_FIELD(events), 0);
    x64_jump_slow(e, CC_NE);
    x64_alu_mi(&e->hot, ALU_OR, SZ_32, X64_FIELD(rflags), (int32_t)RFLAGS_IF);
    return true;
}

static bool x64_swapgs(struct x64 *e, const struct insn *in, unsigned arg)
{
    x64_only_cpl_0(e);
    x64_load(&e->hot, SZ_64, N_RAX, X64_FIELD(seg[SEG_GS].base));
    x64_load(&e->hot, SZ_64, X64_TMP, X64_FIELD(msr.kernel_gs_base));
    x64_store(&e->hot, SZ_64, X64_FIELD(seg[SEG_GS].base), X64_TMP);
    x64_store(&e->hot, SZ_64, X64_FIELD(msr.kernel_gs_base), N_RAX);
    return true;
}

static bool x64_pause(struct x64 *e, const struct insn *in, unsigned arg)
{
    x64_rm(&e->hot, 0xf7, SZ_32, 0, X64_FIELD(virt_mask)); /* test */
    x64_32(&e->hot, BIT(VIRT_PAUSE));
    x64_jump_slow(e, CC_NE);
    e->valid = 0;
    return true;
}

/* ---- RFLAGS, whole ---- */

/* rax becomes RFLAGS, the arithmetic flags being saved; uses r14 */
static void x64_whole_flags(struct x64_buf *b)
{
    x64_rm(b, 0xb7 | OP_0F, SZ_32, N_RAX, X64_FIELD(native.flags)); /* movzx */
    x64_mov_rr(b, SZ_32, X64_TMP, N_RAX);
    x64_rr(b, 0xc1, SZ_32, 5, X64_TMP); /* shr */
    x64_8(b, 8);
    x64_alu_ri(b, ALU_AND, SZ_32, X64_TMP, FL_SZAPC);
    x64_alu_ri(b, ALU_AND, SZ_32, N_RAX, 1);
    x64_rr(b, 0xc1, SZ_32, 4, N_RAX); /* shl */
    x64_8(b, 11);
    x64_alu_rr(b, ALU_OR, SZ_32, N_RAX, X64_TMP);
    x64_rm(b, 0x0b, SZ_64, N_RAX, X64_FIELD(rflags)); /* or */
}

/* RFLAGS, the arithmetic ones saved, become those of an image; of the others, those in `kept` */
static void x64_take_image(struct x64_buf *b, struct x64_mem image, uint32_t kept)
{
    x64_load(b, SZ_32, N_RAX, image);
    x64_mov_rr(b, SZ_32, X64_TMP, N_RAX);
    x64_alu_ri(b, ALU_AND, SZ_32, X64_TMP, FL_SZAPC);
    x64_rr(b, 0xc1, SZ_32, 4, X64_TMP); /* shl */
    x64_8(b, 8);
    x64_rr(b, 0xc1, SZ_32, 5, N_RAX); /* shr */
    x64_8(b, 11);
    x64_alu_ri(b, ALU_AND, SZ_32, N_RAX, 1);
    x64_lea(b, SZ_32, N_RAX, (struct x64_mem){ N_RAX, X64_TMP, 0, 0x200 });
    x64_store(b, SZ_16, X64_FIELD(native.flags), N_RAX);
    x64_load(b, SZ_32, N_RAX, image);
    x64_alu_ri(b, ALU_AND, SZ_32, N_RAX, (int32_t)kept);
    x64_alu_ri(b, ALU_OR, SZ_32, N_RAX, RFLAGS_FIXED);
    x64_store(b, SZ_64, X64_FIELD(rflags), N_RAX);
}

static void x64_store_imm(struct x64_buf *b, unsigned size, struct x64_mem m, int32_t imm)
{
    x64_rm(b, size == SZ_8 ? 0xc6 : 0xc7, size, 0, m);
    if (size == SZ_8)
        x64_8(b, (uint32_t)imm);
    else
        x64_32(b, (uint32_t)imm);
}

/* ---- views ---- */

/* as mmu_set_view does; r14: the TLB of the view. Code is fetched in it from now on: a jump to a linear
 * address must follow. */
static void x64_set_view(struct x64_buf *b, enum mmu_view view)
{
    x64_store_imm(b, SZ_32, X64_FIELD(mmu.view), (int32_t)view);
    x64_mov_ri(b, N_RAX, TLB_NONE);
    x64_store(b, SZ_64, X64_FIELD(mmu.fetch_page), N_RAX);
    x64_store(b, SZ_64, X64_FIELD(native.page), N_RAX);
    x64_mov_rr(b, SZ_64, X64_TLB, X64_TMP);
    x64_store(b, SZ_64, X64_FIELD(mmu.tlb), X64_TLB);
}

/* the linear address of the next instruction */
static void x64_next_rip(struct x64 *e, const struct insn *in, unsigned dst)
{
    x64_load(&e->hot, SZ_64, dst, X64_FIELD(native.page));
    x64_alu_ri(&e->hot, ALU_ADD, SZ_64, dst, (int32_t)e->page_offset + in->start + in->length);
}

/* STAC (arg 1), CLAC, with CR4.SMAP */
static bool x64_access_flag(struct x64 *e, const struct insn *in, unsigned arg)
{
    struct x64_buf *b = &e->hot;
    enum mmu_view view = arg ? VIEW_SUPERVISOR_AC : VIEW_SUPERVISOR;
    struct x64_mem tlb = X64_FIELD(mmu.tlb_of[0]);

    tlb.disp += (int32_t)(view * sizeof(struct tlb_entry *));
    x64_only_cpl_0(e);
    x64_rm(b, 0xf7, SZ_32, 0, X64_FIELD(cr4)); /* test */
    x64_32(b, CR4_SMAP);
    x64_jump_slow(e, CC_E);
    x64_load(b, SZ_64, X64_TMP, tlb);
    x64_rr(b, 0x85, SZ_64, X64_TMP, X64_TMP); /* test */
    x64_jump_slow(e, CC_E);
    x64_alu_mi(b, arg ? ALU_OR : ALU_AND, SZ_32, X64_FIELD(rflags),
               arg ? (int32_t)RFLAGS_AC : ~(int32_t)RFLAGS_AC);
    x64_next_rip(e, in, N_RAX);
    x64_store(b, SZ_64, X64_FIELD(rip), N_RAX);
    x64_set_view(b, view);
    x64_load(b, SZ_64, N_RAX, X64_FIELD(rip));
    x64_end_indirect(e);
    return true;
}

/* ---- SYSCALL, SYSRET: between CPL 3 and CPL 0, 64 bits on both sides, AC and TF being 0 then ---- */

#define LEVEL_AR(cpl) (AR_P | AR_S | AR_G | AR_ACCESSED | (cpl) << 5)

static_assert(offsetof(struct seg, readable) == offsetof(struct seg, selector) + 2 &&
                  offsetof(struct seg, writable) == offsetof(struct seg, selector) + 3,
              "one store sets the three of them");

/* a flat segment, what seg_settle derives included: the selector is in ax, the rest of rax 0 */
static void x64_flat_segment(struct x64_buf *b, unsigned n, uint32_t ar)
{
    struct x64_mem base = X64_FIELD(seg[0].base), limit = X64_FIELD(seg[0].limit);
    struct x64_mem ar_at = X64_FIELD(seg[0].ar), selector = X64_FIELD(seg[0].selector);
    int32_t at = (int32_t)(n * sizeof(struct seg));

    base.disp += at, limit.disp += at, ar_at.disp += at, selector.disp += at;
    x64_store_imm(b, SZ_64, base, 0);
    x64_store_imm(b, SZ_32, limit, -1);
    x64_store_imm(b, SZ_32, ar_at, (int32_t)ar);
    x64_alu_ri(b, ALU_OR, SZ_32, N_RAX, ar & AR_CODE ? 1 << 16 : 1 << 16 | 1 << 24);
    x64_store(b, SZ_32, selector, N_RAX);
}

/* CS and SS with selectors next to each other: CS, or with ss_first SS, has the one in ax */
static void x64_flat_segments(struct x64_buf *b, unsigned cpl, bool ss_first)
{
    uint32_t cs = LEVEL_AR(cpl) | AR_CODE | AR_READ | AR_L, ss = LEVEL_AR(cpl) | AR_WRITE | AR_DB;

    x64_flat_segment(b, ss_first ? SEG_SS : SEG_CS, ss_first ? ss : cs);
    x64_alu_ri(b, ALU_ADD, SZ_16, N_RAX, 8);
    x64_rr(b, 0xb7 | OP_0F, SZ_32, N_RAX, N_RAX); /* movzx */
    x64_flat_segment(b, ss_first ? SEG_CS : SEG_SS, ss_first ? cs : ss);
}

/* not equal unless they are enabled; nor while x87 state waits for the selectors that it has met */
static void x64_begin_level(struct x64_buf *b)
{
    x64_load(b, SZ_32, N_RAX, X64_FIELD(efer));
    x64_rr(b, 0xf7, SZ_32, 2, N_RAX); /* not */
    x64_alu_ri(b, ALU_AND, SZ_32, N_RAX, EFER_SCE);
    x64_rm(b, 0x0a, SZ_8, N_RAX, X64_FIELD(native.x87_live)); /* or */
}

/* all that depends on CPL; r14: the TLB of the view there */
static void x64_set_level(struct x64 *e, unsigned cpl)
{
    struct x64_buf *b = &e->hot;
    uint32_t key = (e->b->key & ~(uint32_t)KEY_USER) | (cpl == 3 ? KEY_USER : 0);

    x64_store_imm(b, SZ_8, X64_FIELD(cpl), (int32_t)cpl);
    x64_store_imm(b, SZ_32, X64_FIELD(key), (int32_t)key);
    x64_mov_ri(b, N_RAX, (uint64_t)key << JUMP_TAG_SHIFT);
    x64_store(b, SZ_64, X64_FIELD(native.key_tag), N_RAX);
    x64_set_view(b, cpl == 3 ? VIEW_USER : VIEW_SUPERVISOR);
}

static bool x64_syscall(struct x64 *e, const struct insn *in, unsigned arg)
{
    struct x64_buf *b = &e->hot;
    struct x64_mem image = X64_FIELD(rip); /* free inside a block */

    if (!(e->b->key & KEY_USER))
        return false;
    x64_begin_level(b);
    x64_jump_slow(e, CC_NE);
    x64_whole_flags(b);
    x64_load(b, SZ_64, X64_TMP, X64_FIELD(msr.fmask));
    x64_rr(b, 0xf7, SZ_64, 2, X64_TMP); /* not */
    x64_alu_rr(b, ALU_AND, SZ_64, X64_TMP, N_RAX);
    x64_rr(b, 0xf7, SZ_32, 0, X64_TMP); /* test */
    x64_32(b, RFLAGS_AC);
    x64_jump_slow(e, CC_NE);
    x64_store(b, SZ_64, x64_slot(R11), N_RAX);
    x64_store(b, SZ_64, image, X64_TMP);
    x64_take_image(b, image, RFLAGS_KEPT);
    x64_next_rip(e, in, N_RCX);
    x64_load(b, SZ_64, N_RAX, X64_FIELD(msr.star));
    x64_rr(b, 0xc1, SZ_64, 5, N_RAX); /* shr */
    x64_8(b, 32);
    x64_alu_ri(b, ALU_AND, SZ_32, N_RAX, 0xfffc);
    x64_flat_segments(b, 0, false);
    x64_load(b, SZ_64, X64_TMP, X64_FIELD(mmu.tlb_of[VIEW_SUPERVISOR]));
    x64_set_level(e, 0);
    x64_load(b, SZ_64, N_RAX, X64_FIELD(msr.lstar));
    x64_end_indirect(e);
    return true;
}

static bool x64_sysret(struct x64 *e, const struct insn *in, unsigned arg)
{
    struct x64_buf *b = &e->hot;

    if (e->b->key & KEY_USER || !(in->flags & IN_REXW))
        return false;
    x64_begin_level(b);
    x64_rm(b, 0x0a, SZ_8, N_RAX, X64_FIELD(cpl));     /* or: CPL 1 and 2 */
    x64_rm(b, 0x0b, SZ_32, N_RAX, X64_FIELD(events)); /* or: one that may have waited for IF */
    x64_jump_slow(e, CC_NE);
    x64_mov_rr(b, SZ_64, N_RAX, N_RCX);
    x64_check_target(e);
    x64_rm(b, 0xf7, SZ_32, 0, x64_slot(R11)); /* test */
    x64_32(b, RFLAGS_TF | RFLAGS_AC);
    x64_jump_slow(e, CC_NE);
    x64_load(b, SZ_64, X64_TMP, X64_FIELD(mmu.tlb_of[VIEW_USER]));
    x64_rr(b, 0x85, SZ_64, X64_TMP, X64_TMP); /* test */
    x64_jump_slow(e, CC_E);
    x64_set_level(e, 3);
    x64_take_image(b, x64_slot(R11), 0x3c7fd7 & RFLAGS_KEPT);
    x64_load(b, SZ_64, N_RAX, X64_FIELD(msr.star));
    x64_rr(b, 0xc1, SZ_64, 5, N_RAX); /* shr */
    x64_8(b, 48);
    x64_alu_ri(b, ALU_ADD, SZ_16, N_RAX, 8);
    x64_alu_ri(b, ALU_OR, SZ_32, N_RAX, 3);
    x64_flat_segments(b, 3, true);
    x64_mov_rr(b, SZ_64, N_RAX, N_RCX);
    x64_end_indirect(e);
    return true;
}

/* ---- moves of system state ---- */

/* the selector: 16 bits in memory, all of a register */
static bool x64_mov_E_S(struct x64 *e, const struct insn *in, unsigned arg)
{
    struct x64_mem selector = X64_FIELD(seg[0].selector);
    struct x64_operand o;

    selector.disp += (int32_t)(in->reg * sizeof(struct seg));
    if (!(in->flags & IN_MEM)) {
        x64_rm(&e->hot, 0xb7 | OP_0F, SZ_32, N_RAX, selector); /* movzx */
        x64_to_guest(e, in->size, in->rm, N_RAX);
        return true;
    }
    o = x64_access(e, in, 2, true);
    x64_free_tmp(e, &o);
    x64_load(&e->hot, SZ_16, X64_TMP, selector);
    x64_op(e, 0x89, SZ_16, X64_TMP, &o);
    return true;
}

static struct x64_mem x64_segment_base(struct x64 *e, unsigned seg)
{
    struct x64_mem base = X64_FIELD(seg[0].base);

    x64_rm(&e->hot, 0xf7, SZ_32, 0, X64_FIELD(cr4)); /* test */
    x64_32(&e->hot, CR4_FSGSBASE);
    x64_jump_slow(e, CC_E);
    e->valid = 0;
    base.disp += (int32_t)(seg * sizeof(struct seg));
    return base;
}

static bool x64_rdbase(struct x64 *e, const struct insn *in, unsigned seg)
{
    struct x64_mem base = x64_segment_base(e, seg);

    x64_load(&e->hot, in->size, N_RAX, base);
    x64_to_guest(e, in->size, in->rm, N_RAX);
    return true;
}

static bool x64_wrbase(struct x64 *e, const struct insn *in, unsigned seg)
{
    struct x64_mem base;

    if (in->size < SZ_32)
        return false;
    base = x64_segment_base(e, seg);
    x64_mov_rr(&e->hot, in->size, N_RAX, x64_in_reg(e, in->rm, N_RAX));
    x64_check_target(e);
    x64_store(&e->hot, SZ_64, base, N_RAX);
    return true;
}

/* CR0, CR2, CR3 and CR4, in root operation */
static bool x64_mov_R_C(struct x64 *e, const struct insn *in, unsigned arg)
{
    static const struct x64_mem cr[] = {
        [0] = X64_FIELD(cr0),
        [2] = X64_FIELD(cr2),
        [3] = X64_FIELD(cr3),
        [4] = X64_FIELD(cr4),
    };

    if (e->b->key & KEY_NON_ROOT || in->reg >= sizeof cr / sizeof cr[0] || in->reg == 1)
        return false;
    x64_only_cpl_0(e);
    x64_load(&e->hot, SZ_64, N_RAX, cr[in->reg]);
    x64_to_guest(e, SZ_64, in->rm, N_RAX);
    x64_end_link(e, 0, (int64_t)e->page_offset + in->start + in->length, false);
    return true;
}

/* RDTSC and RDTSCP (arg 1) in root operation: what cpu_tsc says, all cycles being in the budget */
static bool x64_rdtsc(struct x64 *e, const struct insn *in, unsigned arg)
{
    struct x64_buf *b = &e->hot;

    if (e->b->key & KEY_NON_ROOT)
        return false;
    x64_rm(b, 0xf7, SZ_32, 0, X64_FIELD(cr4)); /* test */
    x64_32(b, CR4_TSD);
    x64_jump_slow(e, CC_NE);
    x64_load(b, SZ_64, X64_TMP, X64_FIELD(native.left));
    x64_rr(b, 0xc1, SZ_64, 7, X64_TMP); /* sar */
    x64_8(b, NATIVE_COUNT_BITS);
    x64_rm(b, 0x03, SZ_64, X64_TMP, X64_FIELD(native.reserve)); /* add: the budget */
    x64_load(b, SZ_64, N_RAX, X64_FIELD(horizon));
    x64_alu_rr(b, ALU_SUB, SZ_64, N_RAX, X64_TMP);
    x64_rm(b, 0x03, SZ_64, N_RAX, X64_FIELD(tsc_offset)); /* add */
    x64_mov_rr(b, SZ_32, N_RBX, N_RAX);
    x64_rr(b, 0xc1, SZ_64, 5, N_RAX); /* shr */
    x64_8(b, 32);
    x64_mov_rr(b, SZ_64, N_RDX, N_RAX);
    if (arg)
        x64_load(b, SZ_32, N_RCX, X64_FIELD(msr.tsc_aux));
    e->valid = 0;
    x64_end_link(e, 0, (int64_t)e->page_offset + in->start + in->length, false);
    return true;
}

static bool x64_pushf(struct x64 *e, const struct insn *in, unsigned arg)
{
    struct x64_operand o;

    if (in->size != SZ_64)
        return false;
    x64_whole_flags(&e->hot); /* without RF, which code of this kind does not run with */
    e->valid = 0;
    x64_store(&e->hot, SZ_64, X64_FIELD(rip), N_RAX); /* free inside a block */
    o = x64_access_reg(e, RSP, -8, 8, true);
    x64_load(&e->hot, SZ_64, X64_TMP, X64_FIELD(rip));
    x64_op(e, 0x89, SZ_64, X64_TMP, &o);
    x64_move_rsp(e, -8);
    return true;
}

/* ---- the table ---- */

#define EMIT(name, function, argument) extern const struct exec_set exec_set_##name;
#include "cpu/jit/x64_system.def"

const struct x64_emitter x64_system_emitters[] = {
#define EMIT(name, function, argument) { &exec_set_##name, x64_##function, argument },
#include "cpu/jit/x64_system.def"
    { 0 },
};
