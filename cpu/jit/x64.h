/* The x86-64 emitters: where guest state lives in native code, and what emitters share.
 *
 *   rax, r14     scratch; rax is where flags are saved and restored through
 *   rbp          struct cpu + 128, so that what is hot is within a byte's displacement
 *   r15          the entries of the TLB's current view
 *   the others   eleven guest registers (x64_reg_of); the other five stay in cpu->r
 *   xmm0-15      the guest's, while cpu->native.xmm_live
 *   MXCSR        the guest's, all exceptions masked (cpu/fpu_native.h) */
#pragma once
#include "cpu/jit/flow.h"
#include "cpu/jit/jit_state.h"
#include "cpu/jit/x64_asm.h"

#define X64_CPU_BIAS 128
#define X64_CPU N_RBP
#define X64_TLB N_R15
#define X64_TMP N_R14

/* a field of struct cpu */
#define X64_FIELD(member) \
    ((struct x64_mem){ X64_CPU, N_NONE, 0, (int32_t)offsetof(struct cpu, member) - X64_CPU_BIAS })

extern const uint8_t x64_reg_of[16]; /* native register of a guest register; N_NONE: cpu->r */

static inline struct x64_mem x64_slot(unsigned reg)
{
    return (struct x64_mem){ X64_CPU, N_NONE, 0,
                             (int32_t)(offsetof(struct cpu, r) + 8 * reg) - X64_CPU_BIAS };
}

/* An operand: a native register, or memory (a register's slot, or guest memory after a look-up). */
struct x64_operand {
    bool memory;
    bool guest; /* memory of the guest: its address may use rax and r14 */
    uint8_t reg;
    struct x64_mem m;
};

enum { X64_SLOW_SITES = 4 };

/* what is being translated */
struct x64 {
    struct jit *jit;
    const struct block *b;
    struct native_block *nb;
    struct x64_buf hot, cold;
    struct flow flow[BLOCK_MAX_INSNS + 1];
    unsigned at;        /* the instruction */
    uint16_t valid;     /* FL_*: guest flags that the native flags hold */
    bool saved;         /* cpu->native.flags is current */
    bool self_saved;    /* the emitter has saved the flags that it was to save */
    bool clear_af;      /* AF is what the native processor leaves undefined: 0 */
    bool uses_xmm;
    bool ended;         /* the block's end has been emitted */
    uint32_t page_offset; /* of the block's first byte */
    uint8_t *slow[X64_SLOW_SITES]; /* rel32 of jumps to the slow path of this instruction */
    unsigned slow_count;
};

/* An emitter. False: it cannot (an operand without a native register, ...) and has emitted nothing;
 * the instruction then takes its slow path always. Not for instructions that keep flags and have no
 * access to memory: the analysis counts on the native flags behind these. */
typedef bool x64_emit_fn(struct x64 *e, const struct insn *in, unsigned arg);

struct x64_emitter {
    const struct exec_set *exec;
    x64_emit_fn *emit;
    uint8_t arg;
};
extern const struct x64_emitter x64_emitters[];
extern const unsigned x64_emitter_count;

/* ---- operands (x64_operand.c) ---- */
struct x64_operand x64_guest_reg(unsigned reg);
/* op with a native register (or opcode extension) and an operand */
void x64_op(struct x64 *e, uint32_t op, unsigned size, unsigned reg, const struct x64_operand *o);
/* the r/m operand of `in`: its register, or its memory after a look-up that has hit; bytes: how many
 * are accessed */
struct x64_operand x64_rm_operand(struct x64 *e, const struct insn *in, unsigned bytes, bool write);
/* make a guest memory operand leave r14, or rax, alone */
void x64_free_tmp(struct x64 *e, struct x64_operand *o);
void x64_free_rax(struct x64 *e, struct x64_operand *o);
/* the number of a register operand, whatever its size */
static inline unsigned x64_number(const struct insn *in, unsigned n)
{
    return in->size == 0 ? n / 8 : n;
}
/* the value of a guest register in a native one: its own, or `scratch` */
unsigned x64_in_reg(struct x64 *e, unsigned reg, unsigned scratch);
/* a native register becomes the value of a guest register; sizes of 4 clear the upper half */
void x64_to_guest(struct x64 *e, unsigned size, unsigned reg, unsigned native);
/* of the size of an operand, 32 bits for 64 */
void x64_small_immediate(struct x64 *e, unsigned size, uint64_t imm);

/* ---- memory (x64_memory.c) ---- */
/* effective address into `dst`, without segment; may use rax if `rax_free`; false: it would have to */
bool x64_address(struct x64 *e, const struct insn *in, unsigned dst, bool rax_free);
struct x64_operand x64_access(struct x64 *e, const struct insn *in, unsigned bytes, bool write);
/* guest register + disp, 64 bits */
struct x64_operand x64_access_reg(struct x64 *e, unsigned reg, int32_t disp, unsigned bytes,
                                  bool write);
void x64_jump_slow(struct x64 *e, unsigned cc);

/* ---- flags (x64_flags.c) ---- */
/* the native flags hold these guest flags; may use rax, so that *o is made to leave it alone */
void x64_need_flags(struct x64 *e, uint16_t flags, struct x64_operand *o);
/* before an instruction that defines only some: the others, if they are to survive */
void x64_pass_flags(struct x64 *e, struct x64_operand *o);
void x64_save_flags(struct x64 *e);
/* of a shift by CL: its count, as it was in front of it */
unsigned x64_count_reg(const struct x64 *e);
/* after a multiplication: the result's low half decides SF, ZF and PF */
void x64_save_product(struct x64 *e, unsigned size, unsigned native);
void x64_defined(struct x64 *e, uint16_t flags);
void x64_reload_flags(struct x64_buf *b);

/* ---- ends (x64_branch.c) ---- */
/* where a jump to the block at `offset` from the page's start has to go: to a cold stub that is
 * later patched away. `site`: rel32 of that jump, filled in by the caller through x64_link_site */
void x64_end_link(struct x64 *e, unsigned k, int64_t offset, bool branch);
void x64_end_jcc(struct x64 *e, unsigned cc, int64_t taken, int64_t behind);
void x64_end_indirect(struct x64 *e); /* to the address in rax */
/* For calls, which must not have pushed anything: of a direct one, here; rax, else the slow path */
bool x64_target_is_canonical(const struct x64 *e, const struct insn *in);
void x64_check_target(struct x64 *e);
void x64_end_call(struct x64 *e);     /* the last instruction by its interpreter function */

/* ---- jit.c's side (x64_translate.c, x64_stubs.c) ---- */
bool x64_translate(struct jit *jit, const struct block *b, struct native_block *nb,
                   struct x64_buf *hot, struct x64_buf *cold);
void x64_make_stubs(struct jit *jit, struct x64_buf *b);
