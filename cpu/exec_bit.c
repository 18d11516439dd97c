/* Bits and bytes: BT BTS BTR BTC, BSF BSR, POPCNT, BSWAP, SETcc, CRC32.
 * [SDM 2A "BSF" to "BTS", "CRC32"; SDM 2B "POPCNT", "SETcc"] */
#include "cpu/conditions.h"
#include "cpu/exec.h"

/* ---- BT and its like ---- */

enum bit_op { BIT_TEST, BIT_SET, BIT_RESET, BIT_COMPLEMENT };

ALWAYS_INLINE uint64_t bit_change(uint64_t v, uint64_t mask, enum bit_op op)
{
    switch (op) {
    case BIT_SET: return v | mask;
    case BIT_RESET: return v & ~mask;
    case BIT_COMPLEMENT: return v ^ mask;
    default: return v;
    }
}

/* CF is the bit; ZF is unaffected, and we leave the undefined ones alone too */
ALWAYS_INLINE void bit_in_operand(struct cpu *cpu, const struct insn *in, uint64_t n,
                                  enum bit_op op, unsigned size, enum mem_form mem)
{
    uint64_t mask = BIT(n & (8 * size - 1));

    if (op == BIT_TEST) {
        flags_set_cf(&cpu->flags, (rm_read(cpu, in, size, mem) & mask) != 0);
    } else {
        struct rmw dst = rmw_begin(cpu, in, size, mem);
        bool was = (dst.value & mask) != 0;

        dst.value = bit_change(dst.value, mask, op);
        rmw_end(cpu, in, &dst, size, mem);
        flags_set_cf(&cpu->flags, was);
    }
}

/* With a bit offset in a register, memory is a string of bits: the signed offset selects the word
 * before or after the one that is addressed. */
static inline void bit_in_string(struct cpu *cpu, const struct insn *in, enum bit_op op,
                                 unsigned size)
{
    int64_t n = (int64_t)sign_extend(cpu->r[in->reg], 8 * size);
    unsigned shift = size == 8 ? 6 : size == 4 ? 5 : 4;
    uint64_t offset = (ea(cpu, in) + (uint64_t)((n >> shift) * (int64_t)size)) & in->addr_mask;
    uint64_t mask = BIT((uint64_t)n & (8 * size - 1));
    uint64_t linear = seg_linear(cpu, in, offset, size, op != BIT_TEST), v;

    if (op == BIT_TEST) {
        v = mmu_load(&cpu->mmu, linear, size);
    } else {
        v = mmu_load_rmw(&cpu->mmu, linear, size);
        mmu_store(&cpu->mmu, linear, bit_change(v, mask, op), size);
    }
    flags_set_cf(&cpu->flags, (v & mask) != 0);
}

#define BIT_OP(name, op, EXEC_IMMEDIATE)                             \
    EXEC_BODY_SIZES(name##_E_G)                                      \
    {                                                                \
        if (mem)                                                     \
            bit_in_string(cpu, in, op, size);                        \
        else                                                         \
            bit_in_operand(cpu, in, cpu->r[in->reg], op, size, mem); \
    }                                                                \
    EXEC_SIZES(name##_E_G)                                           \
    EXEC_BODY_SIZES(name##_E_I)                                      \
    {                                                                \
        bit_in_operand(cpu, in, in->imm, op, size, mem);             \
    }                                                                \
    EXEC_IMMEDIATE(name##_E_I)

BIT_OP(bt, BIT_TEST, EXEC_SIZES_READ)
BIT_OP(bts, BIT_SET, EXEC_SIZES_WRITE)
BIT_OP(btr, BIT_RESET, EXEC_SIZES_WRITE)
BIT_OP(btc, BIT_COMPLEMENT, EXEC_SIZES_WRITE)

/* ---- scans and counts ---- */

/* A source of 0 leaves the destination as it is, all 64 bits [SDM 2A "BSF", the footnote]; ZF is
 * the source's, the others (undefined) likewise. TZCNT and LZCNT do not exist here: their F3 prefix
 * is ignored. */
EXEC_BODY_SIZES(bsf)
{
    uint64_t v = rm_read(cpu, in, size, mem);

    alu_logic(&cpu->flags, v, size);
    if (v != 0)
        reg_write(cpu, in->reg, (uint64_t)__builtin_ctzll(v), size);
}
EXEC_SIZES_READ(bsf)

EXEC_BODY_SIZES(bsr)
{
    uint64_t v = rm_read(cpu, in, size, mem);

    alu_logic(&cpu->flags, v, size);
    if (v != 0)
        reg_write(cpu, in->reg, (uint64_t)(63 - __builtin_clzll(v)), size);
}
EXEC_SIZES_READ(bsr)

EXEC_BODY_SIZES(popcnt)
{
    uint64_t v = rm_read(cpu, in, size, mem);

    reg_write(cpu, in->reg, (uint64_t)__builtin_popcountll(v), size);
    flags_set(&cpu->flags, v == 0 ? RFLAGS_ZF : 0);
}
EXEC_SIZES_READ(popcnt)

/* the 16-bit form is undefined; processors give 0 */
EXEC_BODY_SIZES(bswap)
{
    uint64_t v = cpu->r[in->rm];

    v = size == 8 ? __builtin_bswap64(v) : size == 4 ? __builtin_bswap32((uint32_t)v) : 0;
    reg_write(cpu, in->rm, v, size);
}
EXEC_SIZES(bswap)

/* ---- SETcc ---- */

#define BIT_SETCC(cc, number)                                            \
    EXEC_BODY_SIZES(set##cc)                                             \
    {                                                                    \
        rm_write(cpu, in, flags_condition(&cpu->flags, number), 1, mem); \
    }                                                                    \
    EXEC_SIZES_WRITE(set##cc)

CONDITIONS(BIT_SETCC)

/* ---- CRC32 ---- */

/* The remainders of the sixteen values of four bits for polynomial 11EDC6F41H, reflected. */
static const uint32_t bit_crc[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

/* The result is 32 bits wide, zero-extended, whatever the source's size. */
static inline uint32_t bit_crc32(uint32_t crc, uint64_t v, unsigned size)
{
    for (unsigned i = 0; i < size; i++, v >>= 8) {
        crc ^= (uint8_t)v;
        crc = crc >> 4 ^ bit_crc[crc & 15];
        crc = crc >> 4 ^ bit_crc[crc & 15];
    }
    return crc;
}

EXEC_BODY_SIZES(crc32_Gy_Eb)
{
    uint64_t v = rm_read(cpu, in, 1, mem);

    reg_write(cpu, in->reg, bit_crc32((uint32_t)cpu->r[in->reg], v, 1), 4);
}
EXEC_SIZES_READ(crc32_Gy_Eb)

EXEC_BODY_SIZES(crc32_Gy_Ev)
{
    uint64_t v = rm_read(cpu, in, size, mem);

    reg_write(cpu, in->reg, bit_crc32((uint32_t)cpu->r[in->reg], v, size), 4);
}
EXEC_SIZES_READ(crc32_Gy_Ev)
