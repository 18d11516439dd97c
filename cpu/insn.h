/* The instruction table and what a decoded instruction is.
 *
 * Rows live in cpu/insn_*.def, one file a family:
 *   INSN(id, mnemonic, MAP, slot, op1, op2, op3, writes, undefined, reads, feature, traits, cost,
 *        exec, bytes, text)
 *   id        unique; INSN_<id>
 *   MAP, slot opcode map and opcode; in a group map the slot is ModRM.reg (0 to 7; register forms
 *             that differ: 8 + reg); in an RM group (x87, 0F 01, ...) register forms are
 *             8 + (ModRM & 3FH)
 *   op1..op3  operand letters of cpu/operands.def, __ for none
 *   writes    FL_*: arithmetic flags with a defined new value; undefined: those left undefined (we
 *             still leave them deterministic); reads: those it depends on
 *   feature   FEAT_* without which the opcode raises #UD
 *   traits    T_* below
 *   cost      cycles
 *   exec      name: exec_set_<name> (cpu/exec.h)
 *   bytes     an example in 64-bit mode (in 32-bit mode if T_NO64), text: as Capstone prints it
 * INSN8: the same for eight opcodes slot..slot+7 (register in the low three bits).
 * GROUP(MAP, slot, GROUPMAP): ModRM.reg selects in GROUPMAP. PGROUP: likewise, but GROUPMAP is the
 * first of four maps for prefix none, 66, F3, F2. */
#pragma once
#include <stdint.h>

#include "cpu/features.h"

struct cpu;
struct insn;
typedef void exec_fn(struct cpu *cpu, const struct insn *in);

/* specialised functions by log2 of the operand size in bytes, and by register or memory form */
struct exec_set {
    exec_fn *fn[4][2];
};

/* Opcode maps. A mandatory-prefix map is looked up first; where it has no row (or its feature is
 * absent), the map that ignores prefixes is. Order matters: _NP, _66, _F3, _F2 follow each other. */
/* clang-format off */
#define INSN_MAPS(X)                                                                             \
    X(MAP_1) X(MAP_1_NP) X(MAP_1_66) X(MAP_1_F3) X(MAP_1_F2)                                     \
    X(MAP_0F) X(MAP_0F_NP) X(MAP_0F_66) X(MAP_0F_F3) X(MAP_0F_F2)                                \
    X(MAP_0F38) X(MAP_0F38_NP) X(MAP_0F38_66) X(MAP_0F38_F3) X(MAP_0F38_F2)                      \
    X(MAP_0F3A) X(MAP_0F3A_NP) X(MAP_0F3A_66) X(MAP_0F3A_F3) X(MAP_0F3A_F2)

#define INSN_GROUPS(X) /* by ModRM.reg */                                                        \
    X(GRP1_80) X(GRP1_81) X(GRP1_82) X(GRP1_83) X(GRP1A)                                         \
    X(GRP2_C0) X(GRP2_C1) X(GRP2_D0) X(GRP2_D1) X(GRP2_D2) X(GRP2_D3)                            \
    X(GRP3_F6) X(GRP3_F7) X(GRP4) X(GRP5) X(GRP6) X(GRP8)                                        \
    X(GRP9_NP) X(GRP9_66) X(GRP9_F3) X(GRP9_F2) X(GRP10) X(GRP11_C6) X(GRP11_C7)                 \
    X(GRP12_NP) X(GRP12_66) X(GRP12_F3) X(GRP12_F2)                                              \
    X(GRP13_NP) X(GRP13_66) X(GRP13_F3) X(GRP13_F2)                                              \
    X(GRP14_NP) X(GRP14_66) X(GRP14_F3) X(GRP14_F2)                                              \
    X(GRP15_NP) X(GRP15_66) X(GRP15_F3) X(GRP15_F2) X(GRP16) X(GRP_0F0D) X(GRP_0F18)

#define INSN_RM_GROUPS(X) /* register forms by 8 + (ModRM & 3FH) */                              \
    X(GRP7_NP) X(GRP7_66) X(GRP7_F3) X(GRP7_F2) X(GRP_0F1E_F3)                                   \
    X(GRP_D8) X(GRP_D9) X(GRP_DA) X(GRP_DB) X(GRP_DC) X(GRP_DD) X(GRP_DE) X(GRP_DF)
/* clang-format on */

enum insn_map {
#define X(name) name,
    INSN_MAPS(X) INSN_GROUPS(X) INSN_RM_GROUPS(X)
#undef X
        MAP_COUNT,
    FIRST_GROUP = GRP1_80,
    FIRST_RM_GROUP = GRP7_NP
};

/* arithmetic flags as bits of RFLAGS */
/* clang-format off */
enum {
    FL_NONE = 0, FL_C = 1, FL_P = 4, FL_A = 0x10, FL_Z = 0x40, FL_S = 0x80, FL_O = 0x800,
    FL_OSZAPC = 0x8d5, FL_OSZAP = 0x8d4, FL_SZAPC = 0xd5, FL_OSZPC = 0x8c5, FL_SZP = 0xc4,
    FL_OC = 0x801, FL_OSAPC = 0x895, FL_OSZAPC_NOT_Z = 0x895, FL_OA = 0x810, FL_OSZP = 0x8c4,
    FL_AC = 0x11, FL_OSZAPC_NOT_C = 0x8d4, FL_SZAP = 0xd4, FL_ZC = 0x41, FL_ZPC = 0x45,
    FL_OSA = 0x890, FL_OZPC = 0x845, FL_OSZPAC = 0x8d5, FL_OAC = 0x811, FL_OSPA = 0x894,
    FL_OSPAC = 0x895, FL_OSZP_C = 0x8c5, FL_OSAP = 0x894,
    FL_SZPC = 0xc5, FL_OSZ = 0x8c0, FL_OS = 0x880,
};
/* clang-format on */

/* traits */
enum {
    T_NONE = 0,
    T_END = 1 << 0,     /* ends a block (branches, mode changes, device access, time) */
    T_LOCK = 1 << 1,    /* LOCK is allowed with a memory destination */
    T_D64 = 1 << 2,     /* operand size 64 by default in 64-bit mode (16 with 66H) */
    T_F64 = 1 << 3,     /* operand size 64 always in 64-bit mode */
    T_NO64 = 1 << 4,    /* #UD in 64-bit mode */
    T_ONLY64 = 1 << 5,  /* #UD outside 64-bit mode */
    T_MEM = 1 << 6,     /* #UD for the register form */
    T_REG = 1 << 7,     /* #UD for the memory form */
    T_REP = 1 << 8,     /* REP and REPNE mean something */
    T_EXIT = 1 << 9,    /* may cause a VM exit by itself (not by a fault) */
    T_X87 = 1 << 10,    /* x87 and MMX: block key KEY_NO_X87 (#NM; MMX also #UD) */
    T_SSE = 1 << 11,    /* block key KEY_NO_SSE (#UD or #NM) */
    T_PROT = 1 << 12,   /* #UD in real-address and virtual-8086 mode */
    T_MODRM = 1 << 13,  /* has ModRM although no operand letter says so */
    T_USER = 1 << 14,   /* can run in user mode on a native processor: differential tests */
    T_NODIFF = 1 << 15, /* ... but its result depends on more than its inputs */
    T_NP = 1 << 16,     /* in a group by prefix: the row without prefix does not serve 66, F3, F2 */
};

enum insn_id {
    INSN_INVALID, /* raises #UD */
#define INSN(id, ...) INSN_##id,
#define INSN8(id, ...) INSN_##id,
#define GROUP(...)
#define PGROUP(...)
#include "cpu/insn_all.def"
    INSN_COUNT
};

/* clang-format off */
enum operand_kind {
    KIND_NONE, KIND_RM, KIND_MEM, KIND_RMREG, KIND_REG, KIND_OPREG, KIND_ACC, KIND_IMM, KIND_REL,
    KIND_MOFFS, KIND_FAR, KIND_SEGREG, KIND_CTLREG, KIND_DBGREG, KIND_MMXREG, KIND_MMXRM,
    KIND_MMXRMREG, KIND_XMMREG, KIND_XMMRM, KIND_XMMRMREG,
};
/* clang-format on */
enum operand_size { SIZE_N, SIZE_B, SIZE_W, SIZE_D, SIZE_Q, SIZE_V, SIZE_Z, SIZE_Y };

/* clang-format off */
enum operand_id {
#define OPERAND(letter, kind, size) OP_##letter,
#include "cpu/operands.def"
    OP_COUNT
};
/* clang-format on */

struct insn_row {
    const char *mnemonic;
    const struct exec_set *exec;
    uint8_t op[3]; /* enum operand_id */
    uint8_t cost;
    uint16_t writes, undefined, reads; /* FL_* */
    uint16_t feature;                  /* enum feature */
    uint32_t traits;                   /* T_* */
    uint8_t map, slot;
    uint8_t length; /* of the example */
    const char *code;
    const char *text;
};

extern const struct insn_row insn_rows[INSN_COUNT];
extern const char *const insn_names[INSN_COUNT];

/* prefixes and the like of a decoded instruction */
/* clang-format off */
enum {
    IN_LOCK = 1 << 0, IN_REP = 1 << 1 /* F3 */, IN_REPNE = 1 << 2 /* F2 */, IN_66 = 1 << 3,
    IN_67 = 1 << 4, IN_REXW = 1 << 5, IN_REX = 1 << 6, IN_MEM = 1 << 7 /* memory operand */,
    IN_LEGACY = 1 << 8 /* not 64-bit mode: segment limits and rights are checked */,
    IN_CROSSES = 1 << 9 /* the instruction's bytes lie in two pages */,
    IN_SHADOW = 1 << 10 /* STI: its block ends behind the next instruction */,
    IN_VOLATILE = 1 << 11 /* immediate and displacement change while native code of it exists */,
};
/* clang-format on */

/* A decoded instruction in its block. Registers of byte operands (size class B) are given as byte
 * offsets into cpu->r (AL 0, CL 8, ..., AH 1, CH 9, ...), all others as register numbers. */
struct insn {
    exec_fn *exec;
    uint64_t imm;       /* sign-extended immediate; moffs address; far pointer: offset in 31:0,
                            selector in 47:32; relative branch: distance from the block's first
                            byte to the target (add to cpu->r[REG_BLOCK_RIP], mask by size) */
    int64_t disp;       /* displacement; with base REG_BLOCK_RIP relative to the block's start */
    uint64_t addr_mask; /* FFFFH, FFFFFFFFH or all ones: address size */
    uint16_t id;        /* enum insn_id */
    uint16_t flags;     /* IN_* */
    uint16_t start;     /* distance of its first byte from the block's first byte */
    uint8_t length;     /* bytes */
    uint8_t size;       /* log2 of the operand size in bytes */
    uint8_t reg;        /* ModRM.reg operand: general (or byte offset), segment, control, xmm */
    uint8_t rm;         /* register of ModRM.rm, of the opcode, or the accumulator */
    uint8_t base, index, scale; /* of the address: cpu->r indices (REG_ZERO for none), shift */
    uint8_t seg;      /* architectural segment of the memory operand (faults: #SS or #GP) */
    uint8_t base_seg; /* segment whose base is added: seg, or SEG_FLAT in 64-bit mode */
    uint8_t modrm;    /* the byte itself */
};
