/* Encodings: prefixes, REX, opcode by map, ModRM, SIB, displacement, immediate. With a shape, registers
 * are chosen to suit addresses; without one, they are given values that do.
 * [SDM 2A "Instruction Format"] */
#include "tests/diff/random_insn.h"

#include <string.h>

#include "base/bits.h"
#include "cpu/cpu.h"

static const struct {
    uint8_t map, slot, group;
    bool by_prefix;
} parents[] = {
#define INSN(...)
#define INSN8(...)
#define GROUP(map, slot, group) { map, slot, group, false },
#define PGROUP(map, slot, group) { map, slot, group, true },
#include "cpu/insn_all.def"
    { 0, 0, 0, false },
};

static const struct {
    uint8_t kind, size;
} operands[OP_COUNT] = {
#define OPERAND(letter, kind, size) [OP_##letter] = { KIND_##kind, SIZE_##size },
#include "cpu/operands.def"
};

/* the middle of the data area: room for what an instruction reaches on both sides */
enum { DATA_FROM = 0x800, DATA_TO = 0x2000 };

struct encoder {
    struct random *r;
    const struct insn_row *row;
    const struct random_shape *shape; /* or NULL */
    struct random_insn *out;
    uint64_t *regs;
    int group_slot; /* of ModRM, or -1 */
    bool rm_group;
    uint8_t map, slot; /* of the opcode: map a multiple of 5 */
    uint8_t mandatory; /* 66, F3, F2 or 0 */
    bool any_prefix;   /* the row does not care for prefixes */
    bool addr32, op16;
    uint8_t rex;
    bool mem;
    uint8_t reg, rm;     /* with their REX bits */
    uint8_t base, index; /* of the address; RSP as index: none */
    uint8_t mod, sib;
    bool has_sib, rip_relative;
    int32_t disp;
    unsigned disp_size;
};

uint64_t random_u64(struct random *r)
{
    uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t random_value(struct random *r)
{
    uint64_t v = random_u64(r);
    unsigned width = 8u << random_below(r, 4);

    switch (random_below(r, 6)) {
    case 0: return v;
    case 1: return v & 0xff;
    case 2: return (BIT(width - 1) - 1) + random_below(r, 4); /* around the largest */
    case 3: return -random_below(r, 16);
    case 4: return zero_extend(v, width / 8);
    default: return sign_extend(v, width);
    }
}

static bool has_kind(const struct insn_row *row, unsigned kind)
{
    for (unsigned i = 0; i < 3; i++) {
        if (operands[row->op[i]].kind == kind)
            return true;
    }
    return false;
}

static bool has_size(const struct insn_row *row, unsigned size)
{
    for (unsigned i = 0; i < 3; i++) {
        if (operands[row->op[i]].size == size)
            return true;
    }
    return false;
}

static bool has_op(const struct insn_row *row, unsigned op)
{
    return row->op[0] == op || row->op[1] == op || row->op[2] == op;
}

bool random_is_string(const struct insn_row *row)
{
    return has_op(row, OP_Xb) || has_op(row, OP_Xv) || has_op(row, OP_Yb) || has_op(row, OP_Yv);
}

/* ---- opcode ---- */

static void encode_map(struct encoder *e)
{
    static const uint8_t prefix[] = { 0, 0, 0x66, 0xf3, 0xf2 };
    unsigned map = e->row->map, index = 0;

    e->group_slot = -1;
    e->slot = e->row->slot;
    if (map >= FIRST_GROUP) {
        e->rm_group = map >= FIRST_RM_GROUP;
        for (size_t i = 0; i < sizeof parents / sizeof parents[0]; i++) {
            unsigned count = parents[i].by_prefix ? 4 : 1;

            if (map < parents[i].group || map >= parents[i].group + count)
                continue;
            e->group_slot = e->row->slot;
            e->slot = parents[i].slot;
            index = parents[i].by_prefix ? map - parents[i].group + 1 : 0;
            map = parents[i].map;
            break;
        }
    }
    if (map % 5)
        index = map % 5;
    e->map = (uint8_t)(map - map % 5);
    e->mandatory = prefix[index];
    e->any_prefix = index == 0;
}

static bool needs_modrm(const struct encoder *e)
{
    static const uint8_t without[] = { KIND_NONE, KIND_OPREG, KIND_ACC, KIND_IMM,
                                       KIND_REL,  KIND_MOFFS, KIND_FAR };

    if (e->group_slot >= 0 || e->row->traits & T_MODRM)
        return true;
    for (unsigned i = 0; i < 3; i++) {
        if (!memchr(without, operands[e->row->op[i]].kind, sizeof without))
            return true;
    }
    return false;
}

/* does another row own the register forms of this group's slot? */
static bool register_form_is_other(const struct encoder *e)
{
    for (unsigned id = 1; id < INSN_COUNT; id++) {
        if (insn_rows[id].map == e->row->map && insn_rows[id].slot == e->row->slot + 8)
            return true;
    }
    return false;
}

static bool choose_memory(struct encoder *e)
{
    const struct insn_row *row = e->row;

    if (row->traits & T_REG || e->group_slot >= 8 || has_kind(row, KIND_RMREG) ||
        has_kind(row, KIND_XMMRMREG) || has_kind(row, KIND_MMXRMREG) || has_op(row, OP_STi))
        return false;
    if (row->traits & T_MEM || has_kind(row, KIND_MEM) || e->rm_group)
        return true;
    if (e->group_slot >= 0 && register_form_is_other(e))
        return true;
    return random_one_in(e->r, 2);
}

static void choose_prefixes(struct encoder *e)
{
    const struct insn_row *row = e->row;
    bool sized = has_size(row, SIZE_V) || has_size(row, SIZE_Y) || row->traits & T_D64;
    bool by_66 = has_size(row, SIZE_V) || row->traits & T_D64;

    /* REX.W and 66H only where they mean something; never on near branches, where processors of
     * different makers disagree on 66H */
    if (random_one_in(e->r, 2))
        e->rex = 0x40 | (uint8_t)random_below(e->r, 8);
    if (e->group_slot < 0 && !needs_modrm(e) && !has_kind(row, KIND_OPREG))
        e->rex = 0; /* 90H */
    if ((sized || has_op(row, OP_M)) && random_one_in(e->r, 2))
        e->rex |= 0x48;
    if (by_66 && !(row->traits & T_F64) && (e->any_prefix || e->mandatory >= 0xf2) &&
        random_one_in(e->r, 3))
        e->op16 = true;
    if (e->mandatory == 0x66)
        e->op16 = true;
    e->addr32 = random_one_in(e->r, 8) && !(row->traits & T_F64);
    e->out->op_size = row->traits & T_F64 || e->rex & 8 ? 8
                      : e->op16                         ? 2
                      : row->traits & T_D64             ? 8
                                                        : 4;
}

/* ---- memory operand ---- */

/* Give `reg` a value so that the address becomes the target; with 32-bit addresses its upper half
 * may be anything. */
static void aim(struct encoder *e, unsigned reg, uint64_t rest)
{
    e->regs[reg] = e->out->target - rest;
    if (e->addr32 && reg != RSP)
        e->regs[reg] = (uint32_t)e->regs[reg] | random_u64(e->r) << 32;
}

unsigned random_register(struct random *r, uint16_t mask)
{
    unsigned reg;

    do
        reg = (unsigned)random_below(r, 16);
    while (!(mask >> reg & 1));
    return reg;
}

static void put_base(struct encoder *e, unsigned base, unsigned index, unsigned scale)
{
    e->base = (uint8_t)base;
    e->index = (uint8_t)index;
    e->rex = (uint8_t)((e->rex & ~3) | (base >> 3) | (index >> 3) << 1);
    if (e->rex & 3)
        e->rex |= 0x40;
    e->rm = (uint8_t)(base & 7);
    e->has_sib = index != RSP || (base & 7) == 4;
    e->sib = (uint8_t)(scale << 6 | (index & 7) << 3 | (base & 7));
}

static void encode_shaped_base(struct encoder *e)
{
    const struct random_shape *shape = e->shape;
    unsigned index = RSP, scale = 0, base;

    if (shape->bases32 && random_one_in(e->r, 8))
        e->addr32 = true;
    base = random_register(e->r, e->addr32 ? shape->bases | shape->bases32 : shape->bases);
    if (shape->indexes && random_one_in(e->r, 3)) {
        index = random_register(e->r, shape->indexes);
        scale = (unsigned)random_below(e->r, 4);
    }
    e->mod = (uint8_t)random_below(e->r, 3);
    if (e->mod == 0 && (base & 7) == 5)
        e->mod = 1;
    e->disp_size = e->mod == 2 ? 4 : e->mod;
    e->disp = (int32_t)random_below(e->r, e->mod == 2 ? 0x1000 : 0x40) -
              (e->mod == 2 ? 0x800 : 0x20);
    if (random_one_in(e->r, 64) && e->mod == 2)
        e->disp = (int32_t)random_u64(e->r);
    if (e->mod == 0)
        e->disp = 0;
    put_base(e, base, index, scale);
}

static void encode_base(struct encoder *e)
{
    unsigned base = (unsigned)random_below(e->r, 16), index = RSP, scale = 0;
    uint64_t scaled = 0;

    /* the stack pointer must stay near what it points to */
    e->mod = base == RSP || random_one_in(e->r, 2) ? 1 : 2;
    e->disp_size = e->mod == 1 ? 1 : 4;
    e->disp = e->mod == 1 ? (int8_t)random_u64(e->r) : (int32_t)random_u64(e->r);
    if ((base & 7) != 5 && random_one_in(e->r, 3)) {
        e->mod = 0;
        e->disp_size = 0;
        e->disp = 0;
    }
    if (random_one_in(e->r, 2))
        index = (unsigned)random_below(e->r, 16);
    if (index == base)
        index = RSP; /* none */
    if (index != RSP && base != RSP) {
        scale = (unsigned)random_below(e->r, 4);
        scaled = e->regs[index] << scale;
    } else {
        index = RSP;
    }
    aim(e, base, scaled + (uint64_t)(int64_t)e->disp);
    put_base(e, base, index, scale);
}

static uint64_t random_target(struct encoder *e)
{
    uint64_t from = e->shape ? e->shape->data : NATIVE_DATA + DATA_FROM;

    return from + random_below(e->r, e->shape ? e->shape->data_size : DATA_TO - DATA_FROM);
}

static void encode_memory(struct encoder *e)
{
    e->out->target = random_target(e);
    if (random_one_in(e->r, 2))
        e->out->target &= ~UINT64_C(15);
    switch (random_below(e->r, 8)) {
    case 0:
        e->rip_relative = true;
        e->rm = 5;
        e->disp_size = 4;
        break;
    case 1: /* SIB without base and index */
        e->has_sib = true;
        e->sib = 0x25;
        e->rex &= (uint8_t)~3;
        e->disp_size = 4;
        e->disp = (int32_t)e->out->target;
        break;
    default:
        if (e->shape)
            encode_shaped_base(e);
        else
            encode_base(e);
        break;
    }
    if (e->has_sib)
        e->rm = 4;
}

/* ---- what single instructions need ---- */

static bool is_bit_string(const struct encoder *e)
{
    switch (e->row - insn_rows) {
    case INSN_BT_Ev_Gv:
    case INSN_BTS_Ev_Gv:
    case INSN_BTR_Ev_Gv:
    case INSN_BTC_Ev_Gv: return e->mem;
    default: return false;
    }
}

/* registers that are addresses without saying so, and counts */
static void aim_implicit(struct encoder *e)
{
    const struct insn_row *row = e->row;
    uint64_t *regs = e->regs, high = e->addr32 ? random_u64(e->r) << 32 : 0;

    if (e->shape) {
        if (is_bit_string(e) && e->shape->indexes) {
            e->reg = (uint8_t)random_register(e->r, e->shape->indexes);
            e->rex = (uint8_t)((e->rex & ~4) | (e->reg & 8 ? 0x44 : 0));
        }
        return;
    }
    if (random_is_string(row)) {
        regs[RSI] = (NATIVE_DATA + DATA_FROM + random_below(e->r, DATA_TO - DATA_FROM)) | high;
        regs[RDI] = (NATIVE_DATA + DATA_FROM + random_below(e->r, DATA_TO - DATA_FROM)) | high;
        if (random_one_in(e->r, 2)) /* overlap */
            regs[RDI] = regs[RSI] + random_below(e->r, 40) - 20;
        regs[RCX] = random_below(e->r, 200) | high;
    }
    if (strstr(row->mnemonic, "maskmov"))
        regs[RDI] = (NATIVE_DATA + DATA_FROM) | high;
    if (row == &insn_rows[INSN_XLAT])
        regs[RBX] = (NATIVE_DATA + DATA_FROM) | high;
    if (row == &insn_rows[INSN_ENTER] || row == &insn_rows[INSN_LEAVE])
        regs[RBP] = NATIVE_DATA + DATA_FROM + random_below(e->r, DATA_TO - DATA_FROM);
    if (row == &insn_rows[INSN_JMP_Ev] || row == &insn_rows[INSN_CALL_Ev]) {
        if (!e->mem)
            regs[e->rm] = NATIVE_TAKEN;
    }
    if (is_bit_string(e)) {
        while (e->reg == e->base || e->reg == e->index)
            e->reg = (uint8_t)((e->reg & 8) | ((e->reg + 1) & 7));
        regs[e->reg] = random_below(e->r, 16000) - 8000;
    }
}

/* ---- bytes ---- */

static void put(struct encoder *e, uint64_t v, unsigned size)
{
    memcpy(e->out->bytes + e->out->length, &v, size);
    e->out->length += size;
}

static void put_prefixes(struct encoder *e)
{
    static const uint8_t null_segments[] = { 0x26, 0x2e, 0x36, 0x3e };
    const struct insn_row *row = e->row;

    if (e->shape && random_one_in(e->r, 10)) /* FS, GS */
        put(e, 0x64 + random_below(e->r, 2), 1);
    else if (random_one_in(e->r, 16))
        put(e, null_segments[random_below(e->r, 4)], 1);
    if (e->addr32)
        put(e, 0x67, 1);
    if (e->op16)
        put(e, 0x66, 1);
    if (e->mandatory >= 0xf2)
        put(e, e->mandatory, 1);
    else if (row->traits & T_REP && !random_one_in(e->r, 3))
        put(e, random_one_in(e->r, 2) ? 0xf2 : 0xf3, 1);
    if (row->traits & T_LOCK && e->mem && random_one_in(e->r, 8))
        put(e, 0xf0, 1);
    if (e->rex)
        put(e, e->rex, 1);
}

static void put_opcode(struct encoder *e)
{
    if (e->map != MAP_1)
        put(e, 0x0f, 1);
    if (e->map == MAP_0F38 || e->map == MAP_0F3A)
        put(e, e->map == MAP_0F38 ? 0x38 : 0x3a, 1);
    put(e, has_kind(e->row, KIND_OPREG) ? (e->slot | (e->rm & 7u)) : e->slot, 1);
}

static unsigned immediate_size(const struct encoder *e, unsigned op)
{
    unsigned v = e->out->op_size;

    switch (operands[op].kind) {
    case KIND_IMM:
        if (op == OP_Iwb)
            return 3;
        switch (operands[op].size) {
        case SIZE_B: return 1;
        case SIZE_W: return 2;
        case SIZE_Z: return v == 2 ? 2 : 4;
        default: return v;
        }
    case KIND_REL: return operands[op].size == SIZE_B ? 1 : 4;
    case KIND_MOFFS: return e->addr32 ? 4 : 8;
    default: return 0;
    }
}

static void put_immediate(struct encoder *e, unsigned op)
{
    unsigned size = immediate_size(e, op);
    uint64_t v = random_value(e->r);

    if (size == 0)
        return;
    if (operands[op].kind == KIND_REL)
        v = (uint64_t)NATIVE_TAKEN - (NATIVE_INSN + e->out->length + size);
    if (operands[op].kind == KIND_MOFFS)
        v = e->out->target = random_target(e);
    if (op == OP_Iwb) /* ENTER: a frame that fits */
        v = random_below(e->r, 1024) | random_u64(e->r) << 16;
    put(e, v, size);
}

static void put_operands(struct encoder *e)
{
    unsigned immediates = 0, at = 0;

    if (needs_modrm(e)) {
        put(e, (uint64_t)(e->mod << 6 | (e->reg & 7) << 3 | (e->rm & 7)), 1);
        if (e->mem && e->has_sib)
            put(e, e->sib, 1);
        at = e->out->length;
        if (e->mem)
            put(e, (uint32_t)e->disp, e->disp_size);
    }
    for (unsigned i = 0; i < 3; i++)
        immediates += immediate_size(e, e->row->op[i]);
    if (e->mem && e->rip_relative) {
        uint64_t next = NATIVE_INSN + e->out->length + immediates;
        uint32_t disp = (uint32_t)(e->out->target - next);

        memcpy(e->out->bytes + at, &disp, 4);
        e->out->rip_disp = at;
    }
    for (unsigned i = 0; i < 3; i++)
        put_immediate(e, e->row->op[i]);
}

static void choose_modrm(struct encoder *e)
{
    e->reg = (uint8_t)(random_below(e->r, 8) | (e->rex & 4 ? 8 : 0));
    e->rm = (uint8_t)(random_below(e->r, 8) | (e->rex & 1 ? 8 : 0));
    e->mod = 3;
    if (e->group_slot >= 0)
        e->reg = (uint8_t)(e->group_slot & 7);
    if (e->rm_group && e->group_slot >= 8) {
        e->reg = (uint8_t)((e->group_slot - 8) >> 3);
        e->rm = (uint8_t)((e->group_slot - 8) & 7);
    }
    if (e->row == &insn_rows[INSN_XCHG_Zv_rAX] && e->rm == 0)
        e->rm = 1; /* 90H is NOP */
    e->mem = needs_modrm(e) && choose_memory(e);
}

static void encode(struct encoder *e)
{
    uint64_t *regs = e->regs;

    encode_map(e);
    choose_prefixes(e);
    choose_modrm(e);
    regs[RSP] = NATIVE_DATA + DATA_FROM + random_below(e->r, DATA_TO - DATA_FROM);
    e->base = e->index = RSP;
    if (e->mem) {
        e->mod = 0;
        encode_memory(e);
    }
    aim_implicit(e);
    put_prefixes(e);
    put_opcode(e);
    put_operands(e);
}

/* Does it write a register that is to be kept? A guess that is right for most rows. */
static bool overwrites(const struct encoder *e)
{
    const struct insn_row *row = e->row;
    bool both = strcmp(row->mnemonic, "xchg") == 0 || strcmp(row->mnemonic, "xadd") == 0;

    for (unsigned i = 0; i < (both ? 2 : 1); i++) {
        unsigned kind = operands[row->op[i]].kind, reg = e->rm;
        bool high = operands[row->op[i]].size == SIZE_B && !e->rex; /* AH to BH */

        if (kind == KIND_REG)
            reg = e->reg;
        else if (kind != KIND_OPREG && (kind != KIND_RM || e->mem))
            continue;
        if (e->shape->keep >> (high ? reg & 3 : reg) & 1)
            return true;
    }
    return false;
}

void random_insn_shaped(struct random *r, unsigned id, const struct random_shape *shape,
                        struct random_insn *insn)
{
    uint64_t regs[16] = { 0 };
    bool again = true;

    while (again) {
        struct encoder e = {
            .r = r, .row = &insn_rows[id], .shape = shape, .out = insn, .regs = regs
        };

        memset(insn, 0, sizeof *insn);
        insn->row = e.row;
        encode(&e);
        again = insn->length > 15 || (overwrites(&e) && !random_one_in(r, 24));
    }
}

void random_insn(struct random *r, unsigned id, struct random_insn *insn, struct native_regs *regs)
{
    do {
        struct encoder e = { .r = r, .row = &insn_rows[id], .out = insn, .regs = regs->r };

        memset(insn, 0, sizeof *insn);
        insn->row = e.row;
        encode(&e);
    } while (insn->length > 15);
}
