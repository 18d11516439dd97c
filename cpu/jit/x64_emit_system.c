/* Emitters of the system instructions that kernels execute most: their plain case at CPL 0, or without
 * a VM exit. All else is the interpreter's. */
#include "cpu/exec.h"
#include "cpu/jit/x64.h"

static void x64_only_cpl_0(struct x64 *e)
{
    x64_alu_mi(&e->hot, ALU_CMP, SZ_8, X64_FIELD(cpl), 0);
    x64_jump_slow(e, CC_NE);
    e->valid = 0;
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

/* ---- the table ---- */

#define EMIT(name, function, argument) extern const struct exec_set exec_set_##name;
#include "cpu/jit/x64_system.def"

const struct x64_emitter x64_system_emitters[] = {
#define EMIT(name, function, argument) { &exec_set_##name, x64_##function, argument },
#include "cpu/jit/x64_system.def"
    { 0 },
};
