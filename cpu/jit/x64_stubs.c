/* Code that all blocks share: the way in from C and out again, calls of C, the look-up of an indirect
 * jump's target. Made once, at the start of the code buffer. */
#include "cpu/jit/x64.h"
#include "cpu/jit/x64_x87.h"
#include "mmu/tlb.h"

static const uint8_t x64_callee_saved[] = { N_RBX, N_RBP, N_R12, N_R13, N_R14, N_R15 };
enum { CALLEE_SAVED = sizeof x64_callee_saved };

static void x64_push(struct x64_buf *b, unsigned reg)
{
    if (reg >> 3)
        x64_8(b, 0x41);
    x64_8(b, 0x50 | (reg & 7));
}

static void x64_pop(struct x64_buf *b, unsigned reg)
{
    if (reg >> 3)
        x64_8(b, 0x41);
    x64_8(b, 0x58 | (reg & 7));
}

static void x64_store_registers(struct x64_buf *b)
{
    for (unsigned r = 0; r < 16; r++)
        if (x64_reg_of[r] != N_NONE)
            x64_store(b, SZ_64, x64_slot(r), x64_reg_of[r]);
}

void x64_load_registers(struct x64_buf *b)
{
    for (unsigned r = 0; r < 16; r++)
        if (x64_reg_of[r] != N_NONE)
            x64_load(b, SZ_64, x64_reg_of[r], x64_slot(r));
    x64_load(b, SZ_64, X64_TLB, X64_FIELD(mmu.tlb));
}

static struct x64_mem x64_xmm_slot(unsigned n)
{
    struct x64_mem m = X64_FIELD(fpu.xmm[0]);

    m.disp += (int32_t)(16 * n);
    return m;
}

/* the guest's XMM registers to struct cpu, if they are in the native ones */
static void x64_drop_xmm(struct x64_buf *b)
{
    uint8_t *skip;

    x64_alu_mi(b, ALU_CMP, SZ_8, X64_FIELD(native.xmm_live), 0);
    x64_jcc(b, CC_E, x64_here(b));
    skip = b->at;
    for (unsigned n = 0; n < 16; n++)
        x64_rm(b, 0x29 | OP_0F, SZ_32, n, x64_xmm_slot(n)); /* movaps */
    x64_rm(b, 0xc6, SZ_8, 0, X64_FIELD(native.xmm_live));
    x64_8(b, 0);
    x64_patch(skip - 4, b->at);
}

void x64_store_state(struct x64_buf *b)
{
    x64_store_registers(b);
    x64_drop_xmm(b);
}

static void x64_adjust_rsp(struct x64_buf *b, int32_t by)
{
    x64_lea(b, SZ_64, N_RSP, (struct x64_mem){ N_RSP, N_NONE, 0, by });
}

void x64_to_c_stack(struct x64_buf *b)
{
    x64_store(b, SZ_64, X64_FIELD(native.returns), N_RSP);
    x64_load(b, SZ_64, N_RSP, X64_FIELD(native.c_stack));
}

void x64_from_c_stack(struct x64_buf *b)
{
    x64_load(b, SZ_64, N_RSP, X64_FIELD(native.returns));
}

/* uint64_t enter(struct cpu *cpu, const uint8_t *code): what exit left in rax */
static uint8_t *x64_make_enter(struct x64_buf *b)
{
    uint8_t *at = x64_here(b);

    for (unsigned i = 0; i < CALLEE_SAVED; i++)
        x64_push(b, x64_callee_saved[i]);
    x64_adjust_rsp(b, -8);
    x64_lea(b, SZ_64, X64_CPU, (struct x64_mem){ N_RDI, N_NONE, 0, X64_CPU_BIAS });
    x64_mov_rr(b, SZ_64, N_RAX, N_RSI);
    x64_store(b, SZ_64, X64_FIELD(native.c_stack), N_RSP);
    x64_from_c_stack(b);
    x64_load_registers(b);
    x64_jmp_rax(b);
    return at;
}

/* rax: the exit */
static uint8_t *x64_make_exit(struct x64_buf *b)
{
    uint8_t *at = x64_here(b);

    x64_store_state(b);
    x64_to_c_stack(b);
    x64_adjust_rsp(b, 8);
    for (unsigned i = CALLEE_SAVED; i-- > 0;)
        x64_pop(b, x64_callee_saved[i]);
    x64_8(b, 0xc3);
    return at;
}

static void x64_call_c(struct x64_buf *b, uint8_t *(*function)(struct cpu *, uint32_t))
{
    x64_store_state(b);
    x64_to_c_stack(b);
    x64_mov_rr(b, SZ_32, N_RSI, N_RAX);
    x64_lea(b, SZ_64, N_RDI, (struct x64_mem){ X64_CPU, N_NONE, 0, -X64_CPU_BIAS });
    x64_mov_ri(b, N_RAX, (uint64_t)(uintptr_t)function);
    x64_8(b, 0xff); /* call rax */
    x64_8(b, 0xd0);
    x64_from_c_stack(b);
    x64_load_registers(b);
}

/* The same, being called: where to go back is not left on the stack, which C code may empty. */
static void x64_called_c(struct x64_buf *b, uint8_t *(*function)(struct cpu *, uint32_t))
{
    x64_rm(b, 0x8f, SZ_32, 0, X64_FIELD(native.resume)); /* pop */
    x64_call_c(b, function);
}

void x64_go_back(struct x64_buf *b)
{
    x64_rm(b, 0xff, SZ_32, 6, X64_FIELD(native.resume)); /* push */
    x64_8(b, 0xc3);
}

/* called with eax = ref: the instruction by its function, then back, or to what it says */
static uint8_t *x64_make_insn(struct x64_buf *b)
{
    uint8_t *at = x64_here(b), *elsewhere;

    x64_called_c(b, jit_instruction);
    x64_rr(b, 0x85, SZ_64, N_RAX, N_RAX);
    elsewhere = x64_jcc_short(b, CC_NE);
    x64_go_back(b);
    x64_land(b, elsewhere);
    x64_jmp_rax(b);
    return at;
}

/* jumped to with eax = ref: the last instruction of a block */
static uint8_t *x64_make_end(struct x64_buf *b)
{
    uint8_t *at = x64_here(b);

    x64_call_c(b, jit_end_instruction);
    x64_jmp_rax(b);
    return at;
}

/* Called with rax = linear address of the target; returns where to go in rax. As the run loop does,
 * it looks at the TLB's fetch tag when the page changes. */
static uint8_t *x64_make_lookup(struct x64_buf *b, const uint8_t *exit_rip)
{
    struct x64_mem entry = { X64_TMP, N_NONE, 0, 0 };
    struct x64_mem fetch = { X64_TLB, N_RAX, 0, X64_CODE_ENTRY(fetch) };
    struct x64_mem addend = { X64_TLB, N_RAX, 0, X64_CODE_ENTRY(addend) };
    uint8_t *at = x64_here(b), *cross, *miss, *same, *cross_miss;

    x64_store(b, SZ_64, X64_FIELD(rip), N_RAX);
    x64_mov_rr(b, SZ_64, X64_TMP, N_RAX);
    x64_alu_ri(b, ALU_AND, SZ_64, X64_TMP, -(int32_t)PAGE_SIZE);
    x64_rm(b, 0x3b, SZ_64, X64_TMP, X64_FIELD(native.page));
    cross = x64_jcc_short(b, CC_NE);
    x64_rm(b, 0x03, SZ_64, N_RAX, X64_FIELD(mmu.fetch_addend));
    same = x64_here(b);
    x64_rr(b, 0x69, SZ_32, X64_TMP, N_RAX); /* imul */
    x64_32(b, JUMP_HASH);
    x64_rr(b, 0xc1, SZ_32, 5, X64_TMP); /* shr */
    x64_8(b, JUMP_HASH_SHIFT);
    x64_rr(b, 0xc1, SZ_32, 4, X64_TMP); /* shl */
    x64_8(b, 4);
    x64_rm(b, 0x03, SZ_64, X64_TMP, X64_FIELD(native.jump_table));
    x64_rm(b, 0x33, SZ_64, N_RAX, X64_FIELD(native.key_tag));
    x64_rm(b, 0x3b, SZ_64, N_RAX, entry);
    miss = x64_jcc_short(b, CC_NE);
    entry.disp = offsetof(struct jump_entry, code);
    x64_load(b, SZ_64, N_RAX, entry);
    x64_8(b, 0xc3);

    x64_land(b, cross);
    x64_mov_rr(b, SZ_32, N_RAX, X64_TMP);
    x64_rr(b, 0xc1, SZ_32, 5, N_RAX);
    x64_8(b, PAGE_SHIFT - 5);
    x64_alu_ri(b, ALU_AND, SZ_32, N_RAX, (TLB_CODE_ENTRIES - 1) << 5);
    x64_rm(b, 0x3b, SZ_64, X64_TMP, fetch);
    cross_miss = x64_jcc_short(b, CC_NE);
    x64_load(b, SZ_64, N_RAX, addend);
    x64_store(b, SZ_64, X64_FIELD(mmu.fetch_addend), N_RAX);
    x64_store(b, SZ_64, X64_FIELD(mmu.fetch_page), X64_TMP);
    x64_store(b, SZ_64, X64_FIELD(native.page), X64_TMP);
    x64_rm(b, 0x03, SZ_64, N_RAX, X64_FIELD(rip));
    x64_jmp(b, same);
    x64_land(b, cross_miss);
    x64_land(b, miss);
    x64_mov_ri(b, N_RAX, (uint64_t)(uintptr_t)exit_rip);
    x64_8(b, 0xc3);
    return at;
}

/* A RET comes here, rax being where to, when all that was known of CALLs has been used up or forgotten:
 * the next one will too. */
static uint8_t *x64_make_no_return(struct x64_buf *b)
{
    uint8_t *at = x64_here(b);

    x64_adjust_rsp(b, -8);
    return at;
}

/* to the address in rax */
static uint8_t *x64_make_jump(struct x64_buf *b, const uint8_t *lookup)
{
    uint8_t *at = x64_here(b);

    x64_call(b, lookup);
    x64_jmp_rax(b);
    return at;
}

static uint8_t *x64_make_load_xmm(struct x64_buf *b)
{
    uint8_t *at = x64_here(b);

    for (unsigned n = 0; n < 16; n++)
        x64_rm(b, 0x28 | OP_0F, SZ_32, n, x64_xmm_slot(n)); /* movaps */
    x64_rm(b, 0xc6, SZ_8, 0, X64_FIELD(native.xmm_live));
    x64_8(b, 1);
    x64_8(b, 0xc3);
    return at;
}

/* called from native code; XMM registers are not live afterwards */
static uint8_t *x64_make_load_x87(struct x64_buf *b)
{
    uint8_t *at = x64_here(b);

    x64_called_c(b, x64_x87_load);
    x64_go_back(b);
    return at;
}

void x64_make_stubs(struct jit *jit, struct x64_buf *b)
{
    jit->stub.enter = x64_make_enter(b);
    jit->stub.exit = x64_make_exit(b);
    jit->stub.exit_rip = x64_here(b);
    x64_mov_ri(b, N_RAX, EXIT_RIP);
    x64_jmp(b, jit->stub.exit);
    jit->stub.insn = x64_make_insn(b);
    jit->stub.end = x64_make_end(b);
    jit->stub.lookup = x64_make_lookup(b, jit->stub.exit_rip);
    jit->stub.no_return = x64_make_no_return(b); /* goes on in the next one */
    jit->stub.jump = x64_make_jump(b, jit->stub.lookup);
    jit->stub.load_xmm = x64_make_load_xmm(b);
    jit->stub.load_x87 = x64_make_load_x87(b);
    jit->stub.near = x64_here(b);
    x64_make_near_stubs(jit, b);
}
