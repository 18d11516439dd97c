/* The x86-64 emitters: where guest state lives in native code, and what emitters share.
 *
 *   rax, r14     scratch; rax is where flags are saved and restored through
 *   rbp          struct cpu + 128, so that what is hot is within a byte's displacement
 *   r15          the entries of the TLB's current view
 *   the others   eleven guest registers (x64_reg_of); the other five stay in cpu->r
 *   xmm0-15      the guest's, while cpu->native.xmm_live
 *   x87          the guest's, while cpu->native.x87_live (x64_x87.h)
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

/* a field of an entry of the TLB for fetches, from 32 times its number */
#define X64_CODE_ENTRY(member) \
    (int32_t)(TLB_ENTRIES * sizeof(struct tlb_entry) + offsetof(struct tlb_entry, member))

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

enum { X64_SLOW_SITES = 4, X64_SLOW_PATHS = 2 * PATH_MAX_INSNS };

/* The x87 instructions whose FOP, FIP and FDP have not been stored yet, though they have run. */
struct x64_x87_note {
    const struct insn *last, *memory; /* with a memory operand; or NULL */
    uint32_t last_page_offset, memory_page_offset;
};

/* A look-up in struct tlb_near. */
struct x64_near_site {
    uint8_t *jump, *again; /* as written: rel32 where it misses; where it begins, r14 an address */
    uint8_t slot;
    bool write, large;
};

/* An instruction that needs the interpreter, found while its native code runs. Made when the rest
 * of the block is there. */
struct x64_slow {
    uint8_t *site[X64_SLOW_SITES]; /* rel32 of the jumps here, as written */
    struct x64_near_site near[X64_SLOW_SITES];
    uint8_t count, near_count;
    bool ends;   /* it is the last of its block */
    bool reload; /* the native flags are wanted afterwards */
    uint32_t ref;
    unsigned index; /* of the instruction in the path */
    struct x64_x87_note x87;
    uint8_t *back; /* as written */
};

/* The guest memory that an instruction accesses, as a trial of its emitter has shown. */
struct x64_use {
    uint8_t accesses; /* 0, 1, or more */
    bool based;       /* by registers and a displacement, no segment */
    bool simple;      /* by a mapped register and a displacement, nothing else */
    bool write;
    bool aligned; /* X64_ALIGNED */
    bool keeps_rax;
    bool stays; /* an emitter that does all: no call of C but through a look-up that misses */
    uint8_t reg, index, scale;
    uint16_t bytes;
    int32_t disp;
};

/* Neighbouring accesses that share a look-up: instructions first to last use one base register
 * within one page, and nothing in between can change the TLB. */
struct x64_group {
    unsigned first, last;
    uint8_t reg;
    bool write;
    bool aligned;      /* the look-up makes sure that `anchor` is a multiple of 16 */
    int32_t low, high; /* bytes from the register's value at first */
    int32_t anchor;    /* likewise; accesses that must be aligned are as it is */
};

/* Look-ups at the start of a path (x64_hoist.c), each for one form of address. */
enum { HOIST_FORMS = 8, HOIST_SLOTS = 16 };

struct x64_hoist {
    unsigned count;
    struct x64_form {
        uint8_t base, index, scale; /* as in struct insn */
        uint8_t slot;
        bool write;
        unsigned accesses;
        int64_t low,
            high; /* bytes from the address, without displacement, at the start of the path */
    } form[HOIST_FORMS];
    bool on[PATH_MAX_INSNS];    /* the instruction's access has been looked up */
    uint8_t by[PATH_MAX_INSNS]; /* ... by this form */
};

/* WAY_END: it is the last of its path */
enum x64_way { WAY_END, WAY_TAKEN, WAY_BEHIND };

/* what is being translated: a path, and in it a block */
struct x64 {
    struct jit *jit;
    const struct block *b;
    struct native_block *nb;
    enum x64_way way; /* how the block goes on to the next of its path */
    struct x64_buf hot, cold;
    const struct flow *flow; /* of the block's instructions */
    unsigned at;             /* the instruction of the block */
    unsigned first;          /* index of the block's first instruction in the path */
    uint16_t valid;          /* FL_*: guest flags that the native flags hold */
    bool saved;              /* cpu->native.flags is current */
    bool self_saved;         /* the emitter has saved the flags that it was to save */
    bool clear_af;           /* AF is what the native processor leaves undefined: 0 */
    bool uses_xmm;
    unsigned x87_until; /* index in the path: from here on no x87 state is wanted */
    struct x64_x87_note x87;
    bool ended;            /* the block's end has been emitted */
    uint32_t page_offset;  /* of the block's first byte */
    struct x64_slow *slow; /* room for X64_SLOW_PATHS */
    unsigned slow_count;
    struct x64_slow now;   /* of this instruction */
    struct x64_use *trial; /* only to see what is accessed */
    struct x64_use unwanted;
    struct x64_use use[BLOCK_MAX_INSNS + 1];
    bool loops;                    /* the path comes back to itself */
    const struct x64_hoist *hoist; /* or NULL */
    bool shares;                   /* inside a group whose look-up has hit */
    bool shared_in_rax;
    bool keeps_rax; /* this instruction does not use rax but for its address */
    bool cold_copy; /* of a group, where its look-up has missed */
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
/* the tables, each with an empty row at its end */
extern const struct x64_emitter x64_alu_emitters[], x64_move_emitters[], x64_branch_emitters[],
    x64_sse_emitters[], x64_system_emitters[], x64_x87_emitters[];

/* does the native processor have a feature (FEAT_*) of instructions with emitters? */
bool x64_native_has(unsigned feature);

/* ---- operands (x64_operand.c) ---- */
struct x64_operand x64_guest_reg(unsigned reg);
/* a byte register by its offset in cpu->r */
struct x64_operand x64_byte_operand(unsigned offset);
/* op with a native register (or opcode extension) and an operand */
void x64_op(struct x64 *e, uint32_t op, unsigned size, unsigned reg, const struct x64_operand *o);
/* the r/m operand of `in`: its register, or its memory after a look-up that has hit; bytes: how many
 * are accessed */
struct x64_operand x64_rm_operand(struct x64 *e, const struct insn *in, unsigned bytes, bool write);
/* AH to BH in an instruction with one byte register: for a register whose second byte cannot be named
 * natively, AH has a copy between these two, and rax is not free */
void x64_borrow_high(struct x64 *e, const struct insn *in, struct x64_operand *o);
void x64_return_high(struct x64 *e, const struct insn *in);
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

/* a native register becomes the immediate, which may change (IN_VOLATILE); no flag changes */
void x64_volatile_immediate(struct x64 *e, const struct insn *in, unsigned dst);

/* bit 0 of most opcodes: not bytes */
uint32_t x64_byte_form(uint32_t op, unsigned size);
/* op r/m, reg: reads both and writes r/m, or only reads (CMP, TEST); tail: an immediate byte, or NULL */
bool x64_to_rm(struct x64 *e, const struct insn *in, uint32_t op, bool reads_only,
               const uint8_t *tail);
/* op reg, r/m of `bytes`; reads_only: CMP; fresh: reg is only written */
bool x64_to_reg(struct x64 *e, const struct insn *in, uint32_t op, unsigned bytes, bool reads_only,
                bool fresh);
/* RSP += by; no flag changes */
void x64_move_rsp(struct x64 *e, int32_t by);

/* ---- memory (x64_memory.c) ---- */
/* effective address into `dst`, without segment; may use rax if `rax_free`; false: it would have to */
bool x64_address(struct x64 *e, const struct insn *in, unsigned dst, bool rax_free);
/* with X64_ALIGNED, bytes being 16, an address that is no multiple of 16 goes the slow way, which must
 * end in a fault */
enum { X64_ALIGNED = 0x80 };
struct x64_operand x64_access(struct x64 *e, const struct insn *in, unsigned bytes, bool write);
/* guest register + disp, 64 bits */
struct x64_operand x64_access_reg(struct x64 *e, unsigned reg, int32_t disp, unsigned bytes,
                                  bool write);
/* r14 += the segment's base */
void x64_add_base(struct x64 *e, const struct insn *in);
/* the linear address in r14; not aligned */
struct x64_operand x64_access_tmp(struct x64 *e, unsigned bytes, bool write);
void x64_jump_slow(struct x64 *e, unsigned cc);
/* the look-up of a group, in the place of its first instruction; the cold code where it misses begins */
void x64_group_look_up(struct x64 *e, const struct x64_group *g);

/* ---- memory, by the page it was last in (x64_near.c) ---- */
/* does the instruction look there for an address of this form (registers: REG_ZERO is none), and in
 * which slot? */
bool x64_near(const struct x64 *e, unsigned base, unsigned index, unsigned seg, int64_t disp,
              unsigned *slot);
struct x64_near_site x64_near_check(struct x64 *e, unsigned slot, bool write, unsigned bytes);
/* rax becomes the slot's addend, or its native page, from which r14 is the distance */
void x64_near_load(struct x64 *e, unsigned slot, bool write, bool addend);
void x64_near_miss(struct x64 *e, const struct x64_near_site *s, uint32_t ref);

/* ---- memory, looked up at the start of a path (x64_hoist.c) ---- */
/* what can be; false: nothing that pays */
bool x64_find_hoists(struct x64 *e, struct native_block *head, const struct flow *flow,
                     struct x64_hoist *h);
void x64_hoist_checks(struct x64 *e, const struct native_block *head);
bool x64_hoisted(const struct x64 *e); /* the access of the instruction at hand */
void x64_hoisted_load(struct x64 *e);  /* rax becomes its addend */
/* one of HOIST_SLOTS that are for this only */
unsigned x64_hoist_slot(unsigned n);

/* ---- groups (x64_group.c) ---- */
/* by how much an instruction of the stack moves RSP; 0: it is no such */
int32_t x64_rsp_step(const struct insn *in);
/* does the instruction's emitter leave rax alone (but for what x64_access_reg puts there)? */
bool x64_keeps_rax(const struct x64 *e);
/* the group that begins at instruction `at`; false: none */
bool x64_find_group(const struct x64 *e, unsigned at, struct x64_group *g);

/* ---- flags (x64_flags.c) ---- */
/* the native flags hold these guest flags; may use rax, so that *o is made to leave it alone */
void x64_need_flags(struct x64 *e, uint16_t flags, struct x64_operand *o);
/* before an instruction that defines only some: the others, if they are to survive */
void x64_pass_flags(struct x64 *e, struct x64_operand *o);
void x64_save_flags(struct x64 *e);
/* all flags, which are in the native ones, with code in any buffer */
void x64_save_all(struct x64_buf *b);
/* of a shift by CL: its count, as it was in front of it */
unsigned x64_count_reg(const struct x64 *e);
/* after a multiplication: the result's low half decides SF, ZF and PF */
void x64_save_product(struct x64 *e, unsigned size, unsigned native);
void x64_defined(struct x64 *e, uint16_t flags);
void x64_reload_flags(struct x64_buf *b);

/* ---- ends (x64_branch.c) ---- */
/* where a jump to the block at `offset` from the page's start has to go: to a cold stub that is
 * later patched away */
void x64_end_link(struct x64 *e, unsigned k, int64_t offset, bool branch);
void x64_end_jcc(struct x64 *e, unsigned cc, int64_t taken, int64_t behind);
/* leave the path on a condition */
void x64_side_exit(struct x64 *e, unsigned cc, unsigned k, int64_t offset, bool branch);
void x64_end_indirect(struct x64 *e); /* to the address in rax */
/* this block is who jumps, should the address not be canonical */
void x64_note_from(struct x64 *e);
/* where a jump to link k begins; same page: l->site is the caller's to set */
uint8_t *x64_link(struct x64 *e, unsigned k, int64_t offset, bool branch);
/* r14: distance to the native address of what is fetched at the linear page address in rax, from the
 * TLB: else to `miss` */
void x64_fetch_page(struct x64_buf *b, const uint8_t *miss);
/* ... and both become those of the page whose code runs */
void x64_set_page(struct x64_buf *b);
/* in front of an instruction that goes on in the next page: `in` is what the interpreter checks that
 * with; it goes on if the check fails */
void x64_second_page(struct x64 *e, const struct insn *in);
/* For calls, which must not have pushed anything, a target that is not canonical goes the slow way:
 * one at a distance from the start of the page, or in rax. */
void x64_check_near_target(struct x64 *e, int64_t offset);
void x64_check_target(struct x64 *e);
void x64_end_call(struct x64 *e); /* the last instruction by its interpreter function */

/* ---- calls and returns (x64_return.c); behind: distance of the next instruction from the start of
 * the page ---- */
void x64_end_call_near(struct x64 *e, int64_t offset, int64_t behind);
void x64_end_call_indirect(struct x64 *e, int64_t behind); /* to the address in rax */
void x64_end_return(struct x64 *e);                        /* likewise */

/* ---- jit.c's side (x64_translate.c, x64_stubs.c) ---- */
/* the path that begins with nb (nb->follows ...) */
void x64_translate(struct jit *jit, struct native_block *nb, struct x64_buf *hot,
                   struct x64_buf *cold);
/* would a path whose plain twin is there have look-ups at its start? */
bool x64_would_hoist(struct jit *jit, struct native_block *head);
/* *e comes to a block; its emitters say into a buffer that is thrown away what they access */
void x64_begin_block(struct x64 *e, struct native_block *nb, const struct flow *flow,
                     unsigned first);
void x64_try(const struct x64 *e, struct x64_use *use);
void x64_make_stubs(struct jit *jit, struct x64_buf *b);
void x64_make_near_stubs(struct jit *jit, struct x64_buf *b);
/* native registers to struct cpu, XMM too, and back (without XMM) */
void x64_store_state(struct x64_buf *b);
void x64_load_registers(struct x64_buf *b);
/* from the stack of native code to that of C, which is aligned, and back */
void x64_to_c_stack(struct x64_buf *b);
void x64_from_c_stack(struct x64_buf *b);
void x64_go_back(struct x64_buf *b); /* to native.resume */
