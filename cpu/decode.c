/* The decoder: prefixes, opcode maps, ModRM, SIB, immediates; a table walk and nothing else.
 * [SDM 2A "Instruction Format"], [SDM 2D "Opcode Map"] */
#include "cpu/decode.h"

#include <string.h>

#include "cpu/cpu.h"

/* ---- tables, from the rows ---- */

#define INSN(id, mnemonic, map, slot, ...) [map][slot] = INSN_##id,
#define INSN8(id, mnemonic, map, slot, ...)                                                      \
    [map][slot] = INSN_##id, [map][(slot) + 1] = INSN_##id, [map][(slot) + 2] = INSN_##id,       \
    [map][(slot) + 3] = INSN_##id, [map][(slot) + 4] = INSN_##id, [map][(slot) + 5] = INSN_##id, \
    [map][(slot) + 6] = INSN_##id, [map][(slot) + 7] = INSN_##id,
#define GROUP(...)
#define PGROUP(...)
static const uint16_t by_opcode[MAP_COUNT][256] = {
#include "cpu/insn_all.def"
};

enum { GROUP_BY_PREFIX = 0x80 };
_Static_assert((int)MAP_COUNT <= (int)GROUP_BY_PREFIX,
               "a group's map and the prefix flag share a byte");
#define INSN(...)
#define INSN8(...)
#define GROUP(map, slot, group) [map][slot] = (group),
#define PGROUP(map, slot, group) [map][slot] = (group) | GROUP_BY_PREFIX,
static const uint8_t group_of[FIRST_GROUP][256] = {
#include "cpu/insn_all.def"
};

static const struct {
    uint8_t kind, size;
} operands[OP_COUNT] = {
#define OPERAND(letter, kind, size) [OP_##letter] = { KIND_##kind, SIZE_##size },
#include "cpu/operands.def"
};

/* ---- the walk ---- */

struct cursor {
    const uint8_t *at, *end;
    const uint8_t *start;
    const uint64_t *features;
    struct insn *in;
    uint32_t key;
    uint8_t rex;       /* 0: none */
    uint8_t segment;   /* override, or SEG_COUNT */
    uint8_t prefix;    /* mandatory-prefix index: 0 none, 1 66H, 2 F3H, 3 F2H */
    uint8_t addr_size; /* 2, 4, 8 */
    uint8_t op_size;   /* effective operand size of class V */
    bool mode64;
    bool short_of_bytes;
    struct decode_layout layout;
};

static uint64_t take(struct cursor *c, unsigned size)
{
    uint64_t v = 0;

    if (c->short_of_bytes || (size_t)(c->end - c->at) < size) {
        c->short_of_bytes = true;
        return 0;
    }
    memcpy(&v, c->at, size);
    c->at += size;
    return v;
}

static uint64_t take_signed(struct cursor *c, unsigned size)
{
    uint64_t v = take(c, size);

    return size == 0 ? 0 : sign_extend(v, 8 * size);
}

/* the value bytes of the displacement, or of the immediate, come next */
static void note_value(const struct cursor *c, struct decode_value *v, unsigned size,
                       bool is_signed)
{
    v->at = (uint8_t)(c->at - c->start);
    v->bytes = (uint8_t)size;
    v->is_signed = is_signed;
}

static void prefixes(struct cursor *c)
{
    struct insn *in = c->in;
    bool rep_is_last_f2 = false;

    for (; c->at < c->end; c->at++) {
        uint8_t b = *c->at, segment = c->segment;

        if (c->mode64 && (b & 0xf0) == 0x40) {
            c->rex = b; /* counts only right before the opcode */
            continue;
        }
        switch (b) {
        case 0x26: c->segment = SEG_ES; break;
        case 0x2e: c->segment = SEG_CS; break;
        case 0x36: c->segment = SEG_SS; break;
        case 0x3e: c->segment = SEG_DS; break;
        case 0x64: c->segment = SEG_FS; break;
        case 0x65: c->segment = SEG_GS; break;
        case 0x66: in->flags |= IN_66; break;
        case 0x67: in->flags |= IN_67; break;
        case 0xf0: in->flags |= IN_LOCK; break;
        case 0xf2:
            in->flags = (uint16_t)((in->flags & ~IN_REP) | IN_REPNE);
            rep_is_last_f2 = true;
            break;
        case 0xf3:
            in->flags = (uint16_t)((in->flags & ~IN_REPNE) | IN_REP);
            rep_is_last_f2 = false;
            break;
        default: goto done;
        }
        if (c->mode64 && c->segment < SEG_FS)
            c->segment = segment; /* null prefixes in 64-bit mode: FS or GS before stays */
        c->rex = 0;
    }
    c->short_of_bytes = true;
done:
    if (c->rex)
        in->flags |= c->rex & 8 ? IN_REX | IN_REXW : IN_REX;
    if (in->flags & (IN_REP | IN_REPNE))
        c->prefix = rep_is_last_f2 ? 3 : 2;
    else
        c->prefix = in->flags & IN_66 ? 1 : 0;
}

static bool usable(const struct cursor *c, unsigned id)
{
    unsigned f = insn_rows[id].feature;

    return id != INSN_INVALID && (f == FEAT_BASE || bit(c->features[f / 64], f % 64));
}

static unsigned group_slot(unsigned map, uint8_t modrm)
{
    if (modrm < 0xc0)
        return modrm >> 3 & 7;
    return map >= FIRST_RM_GROUP ? 8u + (modrm & 0x3f) : 8u + (modrm >> 3 & 7);
}

/* the row of one group map; register forms fall back to the slot that serves both forms */
static unsigned group_row(const struct cursor *c, unsigned map, uint8_t modrm)
{
    unsigned id = by_opcode[map][group_slot(map, modrm)];

    if (!usable(c, id) && modrm >= 0xc0)
        id = by_opcode[map][modrm >> 3 & 7];
    return usable(c, id) ? id : INSN_INVALID;
}

static unsigned find_row(struct cursor *c)
{
    unsigned map = MAP_1, op, id, group;
    uint8_t modrm;

    op = (unsigned)take(c, 1);
    if (op == 0x0f && !c->short_of_bytes) {
        op = (unsigned)take(c, 1);
        map = MAP_0F;
        if (op == 0x38 || op == 0x3a) {
            map = op == 0x38 ? MAP_0F38 : MAP_0F3A;
            op = (unsigned)take(c, 1);
        }
    }
    if (c->short_of_bytes)
        return INSN_INVALID;
    c->in->modrm = (uint8_t)op; /* for opcode+register forms; a real ModRM replaces it */
    group = group_of[map + 1 + c->prefix][op];
    if (!group)
        group = group_of[map][op];
    if (!group) {
        /* 90H is NOP only without REX.B, else XCHG */
        bool xchg = map == MAP_1 && op == 0x90 && (c->rex & 1);

        if (map == MAP_1 && op == 0x63 && !c->mode64) /* the same opcode is MOVSXD in 64-bit mode */
            return INSN_ARPL;
        id = xchg ? INSN_INVALID : by_opcode[map + 1 + c->prefix][op];
        if (!usable(c, id))
            id = by_opcode[map][op];
        return usable(c, id) ? id : INSN_INVALID;
    }
    if (c->at >= c->end) {
        c->short_of_bytes = true;
        return INSN_INVALID;
    }
    modrm = *c->at;
    if (!(group & GROUP_BY_PREFIX))
        return group_row(c, group, modrm);
    group &= ~(unsigned)GROUP_BY_PREFIX;
    id = group_row(c, group + c->prefix, modrm);
    if (id == INSN_INVALID && c->prefix) {
        id = group_row(c, group, modrm);
        if (insn_rows[id].traits & T_NP)
            id = INSN_INVALID;
    }
    return id;
}

static void address16(struct cursor *c, uint8_t modrm)
{
    static const uint8_t bases[8] = { RBX, RBX, RBP, RBP, RSI, RDI, RBP, RBX };
    static const uint8_t indices[8] = {
        RSI, RDI, RSI, RDI, REG_ZERO, REG_ZERO, REG_ZERO, REG_ZERO
    };
    struct insn *in = c->in;
    unsigned mod = modrm >> 6, rm = modrm & 7;

    in->base = bases[rm];
    in->index = indices[rm];
    if (mod == 0 && rm == 6) {
        in->base = REG_ZERO;
        in->disp = (int64_t)take(c, 2);
    } else {
        in->disp = (int64_t)take_signed(c, mod);
    }
    in->seg = in->base == RBP ? SEG_SS : SEG_DS;
}

static void address32(struct cursor *c, uint8_t modrm)
{
    struct insn *in = c->in;
    unsigned mod = modrm >> 6, rm = modrm & 7;
    unsigned base = rm;

    in->index = REG_ZERO;
    if (rm == 4) {
        uint8_t sib = (uint8_t)take(c, 1);
        unsigned index = (sib >> 3 & 7) | (c->rex & 2 ? 8 : 0);

        base = sib & 7;
        if (index != RSP) {
            in->index = (uint8_t)index;
            in->scale = sib >> 6;
        }
    }
    if (mod == 0 && base == 5) {
        in->base = rm == 5 && c->mode64 ? REG_BLOCK_RIP : REG_ZERO;
        note_value(c, &c->layout.disp, 4, true);
        in->disp = (int64_t)take_signed(c, 4);
        in->seg = SEG_DS;
        return;
    }
    in->base = (uint8_t)(base | (c->rex & 1 ? 8 : 0));
    note_value(c, &c->layout.disp, mod == 2 ? 4 : mod, true);
    in->disp = (int64_t)take_signed(c, mod == 2 ? 4 : mod);
    in->seg = in->base == RSP || in->base == RBP ? SEG_SS : SEG_DS;
}

/* ModRM and the memory operand */
static void modrm_operand(struct cursor *c, bool always_register)
{
    struct insn *in = c->in;
    uint8_t modrm = (uint8_t)take(c, 1);

    in->modrm = modrm;
    if (modrm >= 0xc0 || always_register)
        return;
    in->flags |= IN_MEM;
    if (c->addr_size == 2)
        address16(c, modrm);
    else
        address32(c, modrm);
}

/* AH, CH, DH, BH without REX are the second bytes of the first four registers */
static uint8_t byte_register(const struct cursor *c, unsigned n)
{
    return (uint8_t)(!c->rex && n >= 4 && n < 8 ? (n - 4) * 8 + 1 : n * 8);
}

static void choose_sizes(struct cursor *c, const struct insn_row *row)
{
    struct insn *in = c->in;
    bool op16 = (in->flags & IN_66) != 0;
    unsigned cls = SIZE_N;

    if (c->mode64) {
        if (row->traits & T_F64)
            c->op_size = 8;
        else if (in->flags & IN_REXW)
            c->op_size = 8;
        else if (op16)
            c->op_size = 2;
        else
            c->op_size = row->traits & T_D64 ? 8 : 4;
    } else {
        c->op_size = ((c->key & KEY_CODE_MASK) == KEY_CODE16) != op16 ? 2 : 4;
    }
    for (unsigned i = 0; i < 3 && cls == SIZE_N; i++) {
        unsigned kind = operands[row->op[i]].kind;

        if (kind != KIND_IMM && kind != KIND_REL && kind != KIND_FAR)
            cls = operands[row->op[i]].size;
    }
    switch (cls) {
    case SIZE_B: in->size = 0; break;
    case SIZE_W: in->size = 1; break;
    case SIZE_D: in->size = 2; break;
    case SIZE_Q: in->size = 3; break;
    case SIZE_Y: in->size = in->flags & IN_REXW ? 3 : 2; break;
    default: in->size = c->op_size == 8 ? 3 : c->op_size == 4 ? 2 : 1; break;
    }
}

static uint64_t take_immediate(struct cursor *c, unsigned size, bool is_signed)
{
    note_value(c, &c->layout.imm, size, is_signed);
    return is_signed ? take_signed(c, size) : take(c, size);
}

static void immediate(struct cursor *c, unsigned op)
{
    struct insn *in = c->in;

    switch (op) {
    case OP_Iub: in->imm = take_immediate(c, 1, false); return;
    case OP_Iw: in->imm = take_immediate(c, 2, false); return;
    case OP_Iwb: in->imm = take_immediate(c, 3, false); return;
    default: break;
    }
    switch (operands[op].size) {
    case SIZE_B: in->imm = take_immediate(c, 1, true); break;
    case SIZE_Z: in->imm = take_immediate(c, c->op_size == 2 ? 2 : 4, true); break;
    default: in->imm = take_immediate(c, c->op_size, true); break; /* V */
    }
}

/* one operand after ModRM; false: no such register */
static bool operand(struct cursor *c, unsigned op, bool first)
{
    struct insn *in = c->in;
    unsigned reg = (in->modrm >> 3 & 7) | (c->rex & 4 ? 8 : 0);
    unsigned rm = (in->modrm & 7) | (c->rex & 1 ? 8 : 0);
    bool is_byte = operands[op].size == SIZE_B;
    bool mem = (in->flags & IN_MEM) != 0;

    switch (operands[op].kind) {
    case KIND_REG: in->reg = is_byte ? byte_register(c, reg) : (uint8_t)reg; return true;
    case KIND_OPREG:
    case KIND_RM:
    case KIND_RMREG:
        if (!mem)
            in->rm = is_byte ? byte_register(c, rm) : (uint8_t)rm;
        return operands[op].kind != KIND_RMREG || !mem;
    case KIND_MEM: return mem;
    case KIND_ACC: /* already there as AL's offset and RAX's number; the other may be a register */
        if (first)
            in->rm = RAX;
        return true;
    case KIND_SEGREG: in->reg = in->modrm >> 3 & 7; return in->reg <= SEG_GS;
    case KIND_CTLREG:
    case KIND_DBGREG:
    case KIND_XMMREG: in->reg = (uint8_t)reg; return true;
    case KIND_MMXREG: in->reg = in->modrm >> 3 & 7; return true;
    case KIND_MMXRM: in->rm = in->modrm & 7; return true;
    case KIND_MMXRMREG: in->rm = in->modrm & 7; return !mem;
    case KIND_XMMRM: in->rm = (uint8_t)rm; return true;
    case KIND_XMMRMREG: in->rm = (uint8_t)rm; return !mem;
    case KIND_IMM: immediate(c, op); return true;
    case KIND_REL:
        in->imm = take_immediate(c,
                                 operands[op].size == SIZE_B ? 1
                                 : c->op_size == 2           ? 2
                                                             : 4,
                                 true);
        c->layout.relative = true;
        return true;
    case KIND_MOFFS:
        c->layout.irregular = true;
        in->imm = take(c, c->addr_size);
        in->disp = (int64_t)in->imm;
        in->flags |= IN_MEM;
        in->seg = SEG_DS;
        in->rm = RAX;
        return true;
    case KIND_FAR:
        c->layout.irregular = true;
        in->imm = take(c, c->op_size == 2 ? 2 : 4);
        in->imm |= take(c, 2) << 32;
        return true;
    default:
        if (op == OP_STi)
            in->rm = in->modrm & 7;
        return true;
    }
}

static bool needs_modrm(const struct insn_row *row)
{
    if (row->traits & T_MODRM || row->map >= FIRST_GROUP)
        return true;
    for (unsigned i = 0; i < 3; i++) {
        switch (operands[row->op[i]].kind) {
        case KIND_NONE:
        case KIND_OPREG:
        case KIND_ACC:
        case KIND_IMM:
        case KIND_REL:
        case KIND_MOFFS:
        case KIND_FAR: break;
        default: return true;
        }
    }
    return false;
}

/* MOV to and from control and debug registers ignore ModRM.mod */
static bool is_register_only(const struct insn_row *row)
{
    for (unsigned i = 0; i < 3; i++) {
        unsigned kind = operands[row->op[i]].kind;

        if (kind == KIND_CTLREG || kind == KIND_DBGREG)
            return true;
    }
    return false;
}

/* false: the encoding is invalid */
static bool decode_row(struct cursor *c, const struct insn_row *row)
{
    struct insn *in = c->in;
    bool good = true;

    if (row->traits & (c->mode64 ? T_NO64 : T_ONLY64))
        return false;
    if ((row->traits & T_PROT) && (c->key & KEY_REAL))
        return false;
    choose_sizes(c, row);
    if (needs_modrm(row))
        modrm_operand(c, is_register_only(row));
    for (unsigned i = 0; i < 3; i++)
        good &= operand(c, row->op[i], i == 0);
    if (row->traits & T_MEM && !(in->flags & IN_MEM))
        return false;
    if (row->traits & T_REG && in->flags & IN_MEM)
        return false;
    if (in->flags & IN_LOCK && !(row->traits & T_LOCK && in->flags & IN_MEM))
        return false;
    return good;
}

static void finish(struct cursor *c, unsigned id)
{
    const struct insn_row *row = &insn_rows[id];
    struct insn *in = c->in;

    in->id = (uint16_t)id;
    in->length = (uint8_t)(c->at - c->start);
    if (!(in->flags & IN_MEM) && row->traits & (T_D64 | T_F64))
        in->seg = SEG_SS; /* PUSH, CALL, RET and the like: a non-canonical address is #SS */
    else if (c->segment != SEG_COUNT)
        in->seg = c->segment;
    in->base_seg = !c->mode64 ? in->seg : in->seg >= SEG_FS ? in->seg : SEG_FLAT;
    if (in->base == REG_BLOCK_RIP)
        in->disp += in->start + in->length;
    for (unsigned i = 0; i < 3; i++) {
        if (operands[row->op[i]].kind == KIND_REL)
            in->imm += (uint64_t)in->start + in->length;
    }
    in->exec = row->exec->fn[in->size][(in->flags & IN_MEM) != 0];
}

enum decode_result decode_layout(struct insn *in, const uint8_t *bytes, size_t count, uint32_t key,
                                 const uint64_t *features, struct decode_layout *layout)
{
    uint16_t start = in->start;
    struct cursor c = {
        .at = bytes,
        .start = bytes,
        .end = bytes + (count > 15 ? 15 : count),
        .features = features,
        .in = in,
        .key = key,
        .segment = SEG_COUNT,
        .mode64 = (key & KEY_CODE_MASK) == KEY_CODE64,
    };
    unsigned id;

    memset(in, 0, sizeof *in);
    in->start = start;
    in->base = in->index = REG_ZERO;
    in->seg = SEG_DS;
    in->size = 2;
    if (!c.mode64)
        in->flags = IN_LEGACY;
    prefixes(&c);
    if (c.mode64)
        c.addr_size = in->flags & IN_67 ? 4 : 8;
    else
        c.addr_size = ((key & KEY_CODE_MASK) == KEY_CODE16) != !!(in->flags & IN_67) ? 2 : 4;
    in->addr_mask = c.addr_size == 8 ? ~UINT64_C(0) : c.addr_size == 4 ? 0xffffffff : 0xffff;
    id = c.short_of_bytes ? INSN_INVALID : find_row(&c);
    if (!c.short_of_bytes && id != INSN_INVALID && !decode_row(&c, &insn_rows[id]))
        id = INSN_INVALID;
    if (c.short_of_bytes)
        return count >= 15 ? DECODE_TOO_LONG : DECODE_SHORT;
    finish(&c, id);
    *layout = c.layout;
    return DECODE_OK;
}

enum decode_result decode(struct insn *in, const uint8_t *bytes, size_t count, uint32_t key,
                          const uint64_t *features)
{
    struct decode_layout layout;

    return decode_layout(in, bytes, count, key, features, &layout);
}
