/* Encoding of x86-64 instructions: prefixes, REX, opcode, ModRM, SIB, displacement.
 * [SDM 2A "Instruction Format"] */
#include "cpu/jit/x64_asm.h"

/* prefixes, REX and opcode; r, x, b: whether bit 3 of the three register fields is set */
static void x64_head(struct x64_buf *buf, uint32_t op, unsigned size, unsigned r, unsigned x,
                     unsigned b, bool force)
{
    unsigned rex = (size == SZ_64) << 3 | (r & 1) << 2 | (x & 1) << 1 | (b & 1);
    unsigned prefix = op >> 16, map = op >> 8 & 15;

    if (size == SZ_16)
        x64_8(buf, 0x66);
    if (prefix)
        x64_8(buf, prefix);
    if (rex || force)
        x64_8(buf, 0x40 | rex);
    if (map)
        x64_8(buf, 0x0f);
    if (map >= 2)
        x64_8(buf, map == 2 ? 0x38 : 0x3a);
    x64_8(buf, op & 0xff);
}

void x64_rr(struct x64_buf *b, uint32_t op, unsigned size, unsigned reg, unsigned rm)
{
    bool high = rm & 0x20;
    bool bytes = !high && (size == SZ_8 ? reg >= 4 || rm >= 4 : op & OP_RM8 && rm >= 4);

    x64_head(b, op, size, reg >> 3, 0, high ? 0 : rm >> 3, bytes);
    x64_8(b, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

void x64_rm(struct x64_buf *b, uint32_t op, unsigned size, unsigned reg, struct x64_mem m)
{
    bool sib = m.index != N_NONE || m.base == N_NONE || (m.base & 7) == N_RSP;
    unsigned mod, index = m.index == N_NONE ? 4 : m.index, base = m.base == N_NONE ? 5 : m.base;

    if (m.base == N_NONE || (m.disp == 0 && (m.base & 7) != N_RBP))
        mod = 0;
    else
        mod = m.disp == (int8_t)m.disp ? 1 : 2;
    x64_head(b, op, size, reg >> 3, m.index == N_NONE ? 0 : m.index >> 3,
             m.base == N_NONE ? 0 : m.base >> 3, size == SZ_8 && reg >= 4);
    x64_8(b, mod << 6 | (reg & 7) << 3 | (sib ? 4 : base & 7));
    if (sib)
        x64_8(b, (unsigned)m.scale << 6 | (index & 7) << 3 | (base & 7));
    if (mod == 1)
        x64_8(b, (uint8_t)m.disp);
    else if (mod == 2 || m.base == N_NONE)
        x64_32(b, (uint32_t)m.disp);
}

void x64_rm_rip(struct x64_buf *b, uint32_t op, unsigned size, unsigned reg, const uint8_t *target)
{
    x64_head(b, op, size, reg >> 3, 0, 0, size == SZ_8 && reg >= 4);
    x64_8(b, (reg & 7) << 3 | 5);
    x64_32(b, (uint32_t)(target - (x64_here(b) + 4)));
}

void x64_alu_rr(struct x64_buf *b, unsigned alu, unsigned size, unsigned dst, unsigned src)
{
    x64_rr(b, alu << 3 | (size != SZ_8), size, src, dst);
}

static void x64_immediate(struct x64_buf *b, unsigned size, int32_t imm)
{
    if (size == SZ_8)
        x64_8(b, (uint32_t)imm);
    else if (size == SZ_16)
        x64_16(b, (uint32_t)imm);
    else
        x64_32(b, (uint32_t)imm);
}

static uint32_t x64_alu_op(unsigned size, int32_t imm)
{
    return size == SZ_8 ? 0x80 : imm == (int8_t)imm ? 0x83 : 0x81;
}

static void x64_alu_tail(struct x64_buf *b, unsigned size, int32_t imm)
{
    if (imm == (int8_t)imm)
        x64_8(b, (uint32_t)imm);
    else
        x64_immediate(b, size, imm);
}

void x64_alu_ri(struct x64_buf *b, unsigned alu, unsigned size, unsigned dst, int32_t imm)
{
    x64_rr(b, x64_alu_op(size, imm), size, alu, dst);
    x64_alu_tail(b, size, imm);
}

void x64_alu_mi(struct x64_buf *b, unsigned alu, unsigned size, struct x64_mem m, int32_t imm)
{
    x64_rm(b, x64_alu_op(size, imm), size, alu, m);
    x64_alu_tail(b, size, imm);
}

void x64_mov_rr(struct x64_buf *b, unsigned size, unsigned dst, unsigned src)
{
    x64_rr(b, size == SZ_8 ? 0x88 : 0x89, size, src, dst);
}

void x64_mov_ri(struct x64_buf *b, unsigned dst, uint64_t imm)
{
    if (imm == (uint32_t)imm) {
        if (dst >> 3)
            x64_8(b, 0x41);
        x64_8(b, 0xb8 | (dst & 7));
        x64_32(b, imm);
    } else if (imm == (uint64_t)(int64_t)(int32_t)imm) {
        x64_rr(b, 0xc7, SZ_64, 0, dst);
        x64_32(b, imm);
    } else {
        x64_8(b, 0x48 | dst >> 3);
        x64_8(b, 0xb8 | (dst & 7));
        x64_64(b, imm);
    }
}

void x64_load(struct x64_buf *b, unsigned size, unsigned dst, struct x64_mem m)
{
    x64_rm(b, size == SZ_8 ? 0x8a : 0x8b, size, dst, m);
}

void x64_store(struct x64_buf *b, unsigned size, struct x64_mem m, unsigned src)
{
    x64_rm(b, size == SZ_8 ? 0x88 : 0x89, size, src, m);
}

void x64_lea(struct x64_buf *b, unsigned size, unsigned dst, struct x64_mem m)
{
    x64_rm(b, 0x8d, size, dst, m);
}

void x64_jmp(struct x64_buf *b, const uint8_t *to)
{
    x64_8(b, 0xe9);
    x64_32(b, (uint32_t)(to - (x64_here(b) + 4)));
}

void x64_call(struct x64_buf *b, const uint8_t *to)
{
    x64_8(b, 0xe8);
    x64_32(b, (uint32_t)(to - (x64_here(b) + 4)));
}

void x64_jcc(struct x64_buf *b, unsigned cc, const uint8_t *to)
{
    x64_8(b, 0x0f);
    x64_8(b, 0x80 | cc);
    x64_32(b, (uint32_t)(to - (x64_here(b) + 4)));
}

uint8_t *x64_jcc_short(struct x64_buf *b, unsigned cc)
{
    x64_8(b, 0x70 | cc);
    x64_8(b, 0);
    return b->at - 1;
}

void x64_land(struct x64_buf *b, uint8_t *from)
{
    *from = (uint8_t)(b->at - (from + 1));
}
