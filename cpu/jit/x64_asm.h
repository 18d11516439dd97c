/* The encoder of x86-64 instructions. [SDM 2A "Instruction Format"]
 *
 * An opcode is one number: bits 7:0 the opcode byte, 11:8 the map (0: one byte, 1: 0F, 2: 0F 38,
 * 3: 0F 3A), 23:16 the mandatory prefix (0, 66H, F3H, F2H). Sizes are log2 of bytes: they choose
 * the prefix 66H, REX.W, and for 0 (bytes) that SIL, DIL and the like are meant, never AH to BH. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* clang-format off */
enum native_reg {
    N_RAX, N_RCX, N_RDX, N_RBX, N_RSP, N_RBP, N_RSI, N_RDI,
    N_R8, N_R9, N_R10, N_R11, N_R12, N_R13, N_R14, N_R15, N_NONE = 0xff
};
enum { SZ_8, SZ_16, SZ_32, SZ_64 };
/* clang-format on */
/* AH, CH, DH, BH, as the r/m operand; the other operand must need no REX */
#define N_HIGH(reg) (0x20u | ((reg) + 4))

#define OP_0F 0x100u
#define OP_0F38 0x200u
#define OP_0F3A 0x300u
#define OP_RM8 0x1000u /* the r/m operand is a byte register, whatever the size */
#define OP_66 0x660000u
#define OP_F3 0xf30000u
#define OP_F2 0xf20000u

/* Where bytes go. Code is written through one mapping and runs in another: `bias` is the distance
 * from the former to the latter. */
struct x64_buf {
    uint8_t *at;
    intptr_t bias;
};

static inline uint8_t *x64_here(const struct x64_buf *b)
{
    return b->at + b->bias;
}

struct x64_mem {
    uint8_t base, index; /* enum native_reg; N_NONE */
    uint8_t scale;       /* shift */
    int32_t disp;
};

/* op with a register operand and a register or memory operand; `reg` may be an opcode extension */
void x64_rr(struct x64_buf *b, uint32_t op, unsigned size, unsigned reg, unsigned rm);
void x64_rm(struct x64_buf *b, uint32_t op, unsigned size, unsigned reg, struct x64_mem m);
/* cmp reg, [rip + ...] and the like: `target` is where it runs */
void x64_rm_rip(struct x64_buf *b, uint32_t op, unsigned size, unsigned reg, const uint8_t *target);

static inline void x64_8(struct x64_buf *b, uint64_t v)
{
    *b->at++ = (uint8_t)v;
}
static inline void x64_16(struct x64_buf *b, uint64_t v)
{
    uint16_t x = (uint16_t)v;
    memcpy(b->at, &x, 2);
    b->at += 2;
}
static inline void x64_32(struct x64_buf *b, uint64_t v)
{
    uint32_t x = (uint32_t)v;
    memcpy(b->at, &x, 4);
    b->at += 4;
}
static inline void x64_64(struct x64_buf *b, uint64_t v)
{
    memcpy(b->at, &v, 8);
    b->at += 8;
}

/* ALU group: ADD OR ADC SBB AND SUB XOR CMP by number */
/* clang-format off */
enum { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP };
/* clang-format on */
void x64_alu_rr(struct x64_buf *b, unsigned alu, unsigned size, unsigned dst, unsigned src);
void x64_alu_ri(struct x64_buf *b, unsigned alu, unsigned size, unsigned dst, int32_t imm);
void x64_alu_mi(struct x64_buf *b, unsigned alu, unsigned size, struct x64_mem m, int32_t imm);

void x64_mov_rr(struct x64_buf *b, unsigned size, unsigned dst, unsigned src);
void x64_mov_ri(struct x64_buf *b, unsigned dst, uint64_t imm); /* all 64 bits */
void x64_load(struct x64_buf *b, unsigned size, unsigned dst, struct x64_mem m);
void x64_store(struct x64_buf *b, unsigned size, struct x64_mem m, unsigned src);
void x64_lea(struct x64_buf *b, unsigned size, unsigned dst, struct x64_mem m);

/* to an address where it runs */
void x64_jmp(struct x64_buf *b, const uint8_t *to);
void x64_call(struct x64_buf *b, const uint8_t *to);
void x64_jcc(struct x64_buf *b, unsigned cc, const uint8_t *to);
static inline void x64_jmp_rax(struct x64_buf *b)
{
    x64_8(b, 0xff);
    x64_8(b, 0xe0);
}
/* short forward jump: returns where its distance stands, for x64_land */
uint8_t *x64_jcc_short(struct x64_buf *b, unsigned cc);
void x64_land(struct x64_buf *b, uint8_t *from);

/* the rel32 at `site` leads to `to`: both as written, or both where they run */
static inline void x64_patch(uint8_t *site, const uint8_t *to)
{
    int32_t distance = (int32_t)(to - (site + 4));

    memcpy(site, &distance, 4);
}

/* conditions as in Jcc */
/* clang-format off */
enum { CC_O, CC_NO, CC_B, CC_AE, CC_E, CC_NE, CC_BE, CC_A, CC_S, CC_NS, CC_P, CC_NP, CC_L, CC_GE,
       CC_LE, CC_G };
/* clang-format on */
