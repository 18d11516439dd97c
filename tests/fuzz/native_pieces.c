/* The pieces of a stream: instructions of any row, loads of pointers, branches, stores into the code,
 * and what changes mode, mapping or the state that blocks depend on. */
#include <string.h>

#include "base/bits.h"
#include "cpu/cpu.h"
#include "cpu/jit/flow_rows.h"
#include "tests/fuzz/native_stream.h"

/* ---- bytes ---- */

static struct piece *piece_new(struct stream *s)
{
    struct piece *p = &s->piece[s->count++];

    memset(p, 0, sizeof *p);
    return p;
}

static bool stream_full(const struct stream *s)
{
    return s->count >= STREAM_MAX_PIECES - 16;
}

static void put_start(struct piece *p)
{
    p->starts |= BIT(p->length);
}

static void put_bytes(struct piece *p, const void *bytes, unsigned count)
{
    memcpy(p->bytes + p->length, bytes, count);
    p->length += count;
}

static void put_u8(struct piece *p, uint64_t v)
{
    p->bytes[p->length++] = (uint8_t)v;
}

static void put_u32(struct piece *p, uint64_t v)
{
    put_bytes(p, &(uint32_t){ (uint32_t)v }, 4);
}

/* an instruction of fixed bytes */
#define PUT(p, ...)                                        \
    do {                                                   \
        static const uint8_t put_code[] = { __VA_ARGS__ }; \
        put_start(p);                                      \
        put_bytes(p, put_code, sizeof put_code);           \
    } while (0)

static struct fix *put_fix(struct piece *p, enum fix_kind kind, unsigned target)
{
    struct fix *f = &p->fix[p->fixes++];

    *f = (struct fix){ .kind = (uint8_t)kind,
                       .at = (uint8_t)p->length,
                       .target = (uint16_t)target };
    put_bytes(p, &(uint64_t){ 0 }, kind == FIX_ABSOLUTE ? 8 : 4);
    f->end = (uint8_t)p->length;
    return f;
}

/* MOV of a number to a register, 32 bits */
static void put_mov32(struct piece *p, unsigned reg, uint64_t v)
{
    put_start(p);
    if (reg >> 3)
        put_u8(p, 0x41);
    put_u8(p, 0xb8 | (reg & 7));
    put_u32(p, v);
}

static void put_mov64(struct piece *p, unsigned reg, uint64_t v)
{
    put_start(p);
    put_u8(p, 0x48 | reg >> 3);
    put_u8(p, 0xb8 | (reg & 7));
    put_bytes(p, &v, 8);
}

/* op [address], imm: a group with opcode extension */
static void put_group_abs(struct piece *p, unsigned op, unsigned extension, uint64_t address)
{
    put_start(p);
    put_u8(p, op);
    put_u8(p, extension << 3 | 4);
    put_u8(p, 0x25);
    put_u32(p, address);
}

/* ---- rows ---- */

static bool row_fits(unsigned id)
{
    const struct insn_row *row = &insn_rows[id];

    return row->traits & T_USER && !(row->traits & (T_NO64 | T_END)) && !random_is_string(row);
}

enum { X87_TRIES = 200 }; /* rows to look at for an x87 instruction */

static unsigned random_row(struct stream *s, bool with_emitter)
{
    for (unsigned again = (unsigned)random_below(&s->r, 2 * X87_TRIES);; again++) {
        unsigned id = 1 + (unsigned)random_below(&s->r, INSN_COUNT - 1);

        if (s->x87 && again < X87_TRIES && !(insn_rows[id].traits & T_X87))
            continue;
        if (row_fits(id) && (s->flow->row[id] != NULL) == with_emitter)
            return id;
    }
}

static void put_random(struct stream *s, struct piece *p, unsigned id)
{
    struct random_insn insn;

    random_insn_shaped(&s->r, id, &s->shape, &insn);
    put_start(p);
    if (insn.rip_disp) {
        bool near = s->code < NG_DATA && !random_one_in(&s->r, 4);
        struct fix *f = &p->fix[p->fixes++];

        *f = (struct fix){ .kind = near ? FIX_ADDRESS : FIX_POOL,
                           .at = (uint8_t)(p->length + insn.rip_disp),
                           .end = (uint8_t)(p->length + insn.length),
                           .address = near ? stream_pointer(s) : random_below(&s->r, 0x80) };
    }
    put_bytes(p, insn.bytes, insn.length);
}

static void piece_row(struct stream *s, bool with_emitter)
{
    put_random(s, piece_new(s), random_row(s, with_emitter));
}

/* ---- pointers ---- */

uint64_t stream_pointer(struct stream *s)
{
    uint64_t page = NG_DATA + (random_below(&s->r, NG_ALIAS_PAGE) << PAGE_SHIFT);

    switch (random_below(&s->r, 4)) {
    case 0: return page + PAGE_SIZE - random_below(&s->r, 20);
    case 1: return page + 8 * random_below(&s->r, PAGE_SIZE / 8);
    default: return page + random_below(&s->r, PAGE_SIZE);
    }
}

static void piece_pointer(struct stream *s)
{
    struct piece *p = piece_new(s);

    switch (random_below(&s->r, 6)) {
    case 0: put_mov32(p, RSP, stream_pointer(s) & ~UINT64_C(7)); break;
    case 1: put_mov32(p, random_register(&s->r, s->shape.indexes), random_below(&s->r, 64)); break;
    case 2:
        put_mov64(p, random_register(&s->r, s->shape.bases32),
                  stream_pointer(s) | random_u64(&s->r) << 32);
        break;
    default: put_mov32(p, random_register(&s->r, s->shape.bases), stream_pointer(s));
    }
}

static void piece_string(struct stream *s)
{
    struct piece *p = piece_new(s);
    unsigned id;

    put_mov32(p, RSI, stream_pointer(s));
    put_mov32(p, RDI, stream_pointer(s));
    put_mov32(p, RCX, random_below(&s->r, random_one_in(&s->r, 8) ? 300 : 20));
    do
        id = 1 + (unsigned)random_below(&s->r, INSN_COUNT - 1);
    while (!random_is_string(&insn_rows[id]) || !(insn_rows[id].traits & T_USER));
    put_random(s, p, id);
}

/* ---- branches ---- */

static void piece_jcc(struct stream *s, unsigned to)
{
    struct piece *p = piece_new(s);

    p->branch = (uint8_t)(random_one_in(&s->r, 8) ? 0xeb : 0x70 | random_below(&s->r, 16));
    if (random_one_in(&s->r, 12))
        p->branch = (uint8_t)(0xe0 | random_below(&s->r, 4)); /* LOOP, JRCXZ */
    p->near = p->branch < 0xe0 && random_one_in(&s->r, 4);
    p->to = (uint16_t)to;
    put_start(p);
}

/* a piece to come */
static unsigned ahead(struct stream *s, unsigned most)
{
    return s->count + 1 + (unsigned)random_below(&s->r, most);
}

static void piece_some(struct stream *s, unsigned most)
{
    for (unsigned n = 1 + (unsigned)random_below(&s->r, most); n > 0 && !stream_full(s); n--)
        piece_row(s, !random_one_in(&s->r, 6));
}

/* A loop: what is at its head ends the round when there have been too many. */
static void piece_loop(struct stream *s)
{
    unsigned head = s->count, counter = random_register(&s->r, s->values);
    bool counted = random_one_in(&s->r, 2);
    struct piece *p = piece_new(s);

    put_group_abs(p, 0x83, 5, NG_USER + NG_FUEL); /* sub dword [fuel], 1 */
    put_u8(p, 1);
    p->branch = 0x7c;
    p->near = true;
    p->to = STREAM_MAX_PIECES; /* the end */
    put_start(p);
    piece_some(s, 8);
    if (random_one_in(&s->r, 4)) {
        piece_jcc(s, ahead(s, 3));
        piece_some(s, 4);
    }
    if (counted) {
        p = piece_new(s);
        put_start(p);
        put_u8(p, 0x40 | (counter >> 3) | (random_one_in(&s->r, 2) ? 8 : 0));
        put_u8(p, 0xff);
        put_u8(p, 0xc8 | (counter & 7)); /* dec */
    }
    piece_jcc(s, head);
}

static bool moves_stack(unsigned id)
{
    const char *name = insn_rows[id].mnemonic;

    return strncmp(name, "push", 4) == 0 || strncmp(name, "pop", 3) == 0 ||
           strcmp(name, "leave") == 0 || strcmp(name, "enter") == 0;
}

/* call; jmp over; a function; over: */
static void piece_call(struct stream *s)
{
    struct piece *p = piece_new(s), *over;

    put_start(p);
    if (random_one_in(&s->r, 3)) { /* through a register */
        unsigned reg = random_register(&s->r, s->values);

        put_u8(p, 0x48 | reg >> 3 << 2);
        put_u8(p, 0x8d); /* lea reg, [rip + ...] */
        put_u8(p, (reg & 7) << 3 | 5);
        put_fix(p, FIX_RELATIVE, s->count + 1);
        put_start(p);
        put_u8(p, 0x40 | reg >> 3);
        put_u8(p, 0xff);
        put_u8(p, 0xd0 | (reg & 7));
    } else {
        put_u8(p, 0xe8);
        put_fix(p, FIX_RELATIVE, s->count + 1);
    }
    over = piece_new(s);
    over->branch = 0xeb;
    put_start(over);
    for (unsigned n = (unsigned)random_below(&s->r, 4); n > 0; n--) {
        unsigned id = random_row(s, true);

        while (moves_stack(id))
            id = random_row(s, true);
        put_random(s, piece_new(s), id);
    }
    p = piece_new(s);
    if (random_one_in(&s->r, 6))
        PUT(p, 0xc2, 8, 0);
    else
        PUT(p, 0xc3);
    over->to = (uint16_t)s->count;
}

static void piece_indirect(struct stream *s)
{
    struct piece *p = piece_new(s);
    unsigned reg = random_register(&s->r, s->values), index = random_register(&s->r, s->values);
    struct fix *table;

    if (random_one_in(&s->r, 2) || reg == index) { /* jmp [rip + 0] */
        PUT(p, 0xff, 0x25, 0, 0, 0, 0);
        put_fix(p, FIX_ABSOLUTE, ahead(s, 4));
        return;
    }
    put_start(p); /* and index, 1; lea reg, [rip + ...]; jmp [reg + 8 * index] */
    put_u8(p, 0x40 | index >> 3);
    put_u8(p, 0x83);
    put_u8(p, 0xe0 | (index & 7));
    put_u8(p, 1);
    put_start(p);
    put_u8(p, 0x48 | reg >> 3 << 2);
    put_u8(p, 0x8d);
    put_u8(p, (reg & 7) << 3 | 5);
    table = put_fix(p, FIX_RELATIVE, s->count - 1);
    put_start(p);
    put_u8(p, 0x40 | reg >> 3 | index >> 3 << 1);
    put_u8(p, 0xff);
    put_u8(p, 0x64);
    put_u8(p, 3 << 6 | (index & 7) << 3 | (reg & 7));
    put_u8(p, 0);
    table->address = p->length;
    put_fix(p, FIX_ABSOLUTE, ahead(s, 4));
    put_fix(p, FIX_ABSOLUTE, ahead(s, 6));
}

/* ---- stores into the code ---- */

/* one of the first eight registers, with the value behind opcode and ModRM: group 1, TEST, IMUL; of a
 * byte: group 1 or 2, IMUL, LEA with a displacement */
static void put_short_value(struct stream *s, struct piece *p, unsigned reg, bool byte)
{
    static const uint8_t opcodes[2][4] = { { 0x81, 0x81, 0xf7, 0x69 }, { 0x83, 0xc1, 0x6b, 0x8d } };
    unsigned op = opcodes[byte][random_below(&s->r, 4)], field = (unsigned)random_below(&s->r, 8);

    if (op == 0xf7)
        field = 0;
    else if (op == 0x69 || op == 0x6b || op == 0x8d)
        field = reg; /* the destination */
    put_u8(p, op);
    put_u8(p, op == 0x8d ? 0x40 | field << 3 | RBP : 0xc0 | field << 3 | reg);
    if (byte)
        put_u8(p, random_u64(&s->r));
    else
        put_u32(p, random_u64(&s->r));
}

static void piece_patched(struct stream *s)
{
    struct piece *p = piece_new(s);
    unsigned kind = PATCH_IMMEDIATE + (unsigned)random_below(&s->r, PATCH_KINDS), reg;

    reg = random_register(&s->r, s->values);
    put_start(p);
    if (kind == PATCH_BYTE || (kind == PATCH_IMMEDIATE && random_one_in(&s->r, 2))) {
        put_short_value(s, p, random_register(&s->r, s->values & 0xff), kind == PATCH_BYTE);
    } else if (kind == PATCH_IMMEDIATE) {
        put_u8(p, 0x40 | reg >> 3);
        put_u8(p, 0xb8 | (reg & 7));
        put_u32(p, random_u64(&s->r));
    } else { /* ADD or SUB, 29H or 01H */
        put_u8(p, 0x48 | reg >> 3);
        put_u8(p, 0x01);
        put_u8(p, 0xc0 | random_below(&s->r, 8) << 3 | (reg & 7));
    }
    if (s->patches < 16) {
        s->patch_kind[s->patches] = (uint8_t)kind;
        s->patched[s->patches++] = (uint16_t)(s->count - 1);
    }
}

/* test dword [round], mask; jnz over; the store */
static void piece_store(struct stream *s)
{
    unsigned n = (unsigned)random_below(&s->r, s->patches ? s->patches : 1);
    bool opcode = s->patch_kind[n] == PATCH_OPCODE;
    bool wide = random_one_in(&s->r, 3) && s->patch_kind[n] != PATCH_BYTE;
    struct piece *p;
    struct fix *f;

    if (!s->patches) {
        piece_patched(s);
        return;
    }
    p = piece_new(s);
    put_group_abs(p, 0xf7, 0, NG_USER + NG_ROUND);
    put_u32(p, (2u << random_below(&s->r, 7)) - 1);
    put_start(p);
    p->branch = 0x75;
    p->to = (uint16_t)(s->count + 1);
    p = piece_new(s);
    put_start(p);
    put_u8(p, opcode || !wide ? 0x80 : 0x81); /* xor byte or dword [...], imm */
    if (random_one_in(&s->r, 2)) {
        put_u8(p, 6 << 3 | 5);
        f = put_fix(p, FIX_RELATIVE, s->patched[n]);
        f->end = (uint8_t)(f->end + (opcode || !wide ? 1 : 4));
    } else {
        put_u8(p, 6 << 3 | 4);
        put_u8(p, 0x25);
        f = put_fix(p, FIX_ALIAS, s->patched[n]);
    }
    f->address = opcode ? 1 : 2;
    if (opcode)
        put_u8(p, 0x28);
    else if (wide)
        put_u32(p, random_u64(&s->r));
    else
        put_u8(p, random_u64(&s->r));
    if (random_one_in(&s->r, 2))
        piece_patched(s);
}

/* ---- the system ---- */

static void piece_flags(struct stream *s)
{
    static const uint8_t bits[] = { 8, 8, 9, 10, 11, 0, 2, 6, 18, 21 };
    struct piece *p = piece_new(s);

    PUT(p, 0x9c);
    PUT(p, 0x0f, 0xba, 0x3c, 0x24); /* btc dword [rsp], bit */
    put_u8(p, bits[random_below(&s->r, sizeof bits)]);
    PUT(p, 0x9d);
}

/* a bit of CR0 or CR4 changes */
static void piece_control(struct stream *s)
{
    static const uint8_t bits[2][4] = { { 3, 16, 18, 3 }, { 7, 21, 2, 9 } };
    struct piece *p = piece_new(s);
    bool cr4 = random_one_in(&s->r, 2);

    put_start(p);
    put_u8(p, 0x0f);
    put_u8(p, 0x20); /* mov rax, cr */
    put_u8(p, cr4 ? 0xe0 : 0xc0);
    put_start(p);
    put_bytes(p, "\x0f\xba\xf8", 3); /* btc eax, bit */
    put_u8(p, bits[cr4][random_below(&s->r, 4)]);
    put_start(p);
    put_u8(p, 0x0f);
    put_u8(p, 0x22);
    put_u8(p, cr4 ? 0xe0 : 0xc0);
}

static void piece_context(struct stream *s)
{
    struct piece *p = piece_new(s);
    unsigned reg = random_register(&s->r, s->values);

    put_mov64(p, reg, s->cr3[random_below(&s->r, 2)]);
    put_start(p);
    put_u8(p, 0x40 | reg >> 3);
    put_bytes(p, "\x0f\x22", 2);
    put_u8(p, 0xd8 | (reg & 7));
}

static void put_invlpg(struct piece *p, uint64_t linear)
{
    if (linear >> 31) { /* mov rax, linear; invlpg [rax] */
        put_mov64(p, RAX, linear);
        PUT(p, 0x0f, 0x01, 0x38);
    } else {
        PUT(p, 0x0f, 0x01, 0x3c, 0x25);
        put_u32(p, linear);
    }
}

/* A page table entry changes, of data or of the code. The tables' addresses are native_guest.c's: it
 * has the entries of both contexts follow each other, code behind data. */
static void piece_mapping(struct stream *s)
{
    struct piece *p = piece_new(s);
    unsigned page = (unsigned)random_below(&s->r, NG_ALIAS_PAGE);
    uint64_t table = random_one_in(&s->r, 2) ? NG_DATA_PT : NG_DATA_PT + 8;
    static const uint8_t bits[] = { 0, 1, 1, 2, 12, 12 };

    if (random_one_in(&s->r, 3)) {     /* the second page of code is another one */
        put_mov32(p, RAX, table + 16); /* NG_CODE_PT */
        PUT(p, 0x48, 0x8b, 0x00);      /* mov rax, [rax] */
        PUT(p, 0x81, 0x70, 0x08);      /* xor dword [rax + 8], ... */
        put_u32(p, NG_CODE_PA ^ NG_OTHER_PA);
        put_invlpg(p, s->code + PAGE_SIZE);
        return;
    }
    put_mov32(p, RAX, table);
    PUT(p, 0x48, 0x8b, 0x00);
    PUT(p, 0x0f, 0xba, 0xb8); /* btc dword [rax + 8 * page], bit */
    put_u32(p, 8 * page);
    put_u8(p, bits[random_below(&s->r, sizeof bits)]);
    if (!random_one_in(&s->r, 6))
        put_invlpg(p, NG_DATA + (page << PAGE_SHIFT));
}

static void piece_breakpoint(struct stream *s)
{
    struct piece *p = piece_new(s);
    unsigned kind = (unsigned)random_below(&s->r, 3);

    if (kind == 0) { /* on an instruction: lea rax, [rip + ...] */
        PUT(p, 0x48, 0x8d, 0x05);
        put_fix(p, FIX_RELATIVE, ahead(s, 4));
    } else {
        put_mov32(p, RAX, stream_pointer(s) & ~UINT64_C(7));
    }
    PUT(p, 0x0f, 0x23, 0xc0); /* mov dr0, rax */
    put_mov32(p, RAX, kind == 0 ? 0x402 : kind == 1 ? 0x10402 : 0xf0402);
    PUT(p, 0x0f, 0x23, 0xf8); /* mov dr7, rax */
}

/* IRETQ to where it is */
static void piece_iret(struct stream *s)
{
    struct piece *p = piece_new(s);

    PUT(p, 0x48, 0x89, 0xe1); /* mov rcx, rsp */
    PUT(p, 0x8c, 0xd0);       /* mov eax, ss */
    PUT(p, 0x50);
    PUT(p, 0x51);
    PUT(p, 0x9c);
    PUT(p, 0x8c, 0xc8); /* mov eax, cs */
    PUT(p, 0x50);
    PUT(p, 0x48, 0x8d, 0x05); /* lea rax, [rip + ...] */
    put_fix(p, FIX_RELATIVE, s->count);
    PUT(p, 0x50);
    PUT(p, 0x48, 0xcf);
}

static void piece_base(struct stream *s)
{
    struct piece *p = piece_new(s);

    if (random_one_in(&s->r, 2)) { /* wrmsr of FS or GS base */
        put_mov32(p, RCX, 0xc0000100 + random_below(&s->r, 3));
        put_mov32(p, RAX, random_below(&s->r, 0x2000));
        PUT(p, 0x31, 0xd2);
        PUT(p, 0x0f, 0x30);
    } else {
        PUT(p, 0x0f, 0x01, 0xf8); /* swapgs */
    }
}

static void piece_mxcsr(struct stream *s)
{
    struct piece *p = piece_new(s);

    PUT(p, 0x68);
    put_u32(p, 0x1f80 ^ (random_u64(&s->r) & 0xff80 & random_u64(&s->r)));
    PUT(p, 0x0f, 0xae, 0x14, 0x24);
    PUT(p, 0x58);
}

/* any precision and rounding; seldom an exception is unmasked, which the next FLDCW finds pending */
static void piece_x87_control(struct stream *s)
{
    uint64_t v = 0x7f | (random_u64(&s->r) & 0xf00);
    struct piece *p = piece_new(s);

    if (random_one_in(&s->r, 6))
        v &= random_u64(&s->r) | 0xf40;
    PUT(p, 0x68);
    put_u32(p, v);
    if (random_one_in(&s->r, 6))
        PUT(p, 0xdb, 0xe2); /* fnclex */
    PUT(p, 0xd9, 0x2c, 0x24);
    PUT(p, 0x58);
}

static void piece_system(struct stream *s)
{
    struct piece *p;

    switch (random_below(&s->r, s->plain ? 6 : 24)) {
    case 0: piece_flags(s); return;
    case 1: piece_mxcsr(s); return;
    case 6:
    case 7: piece_control(s); return;
    case 8:
    case 9: piece_context(s); return;
    case 10:
    case 11:
    case 12: piece_mapping(s); return;
    case 13: piece_breakpoint(s); return;
    case 14: piece_iret(s); return;
    case 15: piece_base(s); return;
    default: break;
    }
    p = piece_new(s);
    switch (random_below(&s->r, s->plain ? 4 : 16)) {
    case 0: PUT(p, 0x0f, 0x31); break;       /* rdtsc */
    case 1: PUT(p, 0x0f, 0xa2); break;       /* cpuid */
    case 2: PUT(p, 0xe6, 0x80); break;       /* out 80h, al */
    case 3: PUT(p, 0x0f, 0x0b); break;       /* ud2 */
    case 4: PUT(p, 0x0f, 0x05); break;       /* syscall */
    case 5: PUT(p, 0x0f, 0x01, 0xca); break; /* clac */
    case 6: PUT(p, 0x0f, 0x01, 0xcb); break; /* stac */
    case 7: PUT(p, 0x0f, 0x06); break;       /* clts */
    case 8: PUT(p, 0xfa); break;             /* cli */
    case 9: PUT(p, 0xfb); break;             /* sti */
    case 10:
        PUT(p, 0x8c, 0xd1); /* mov ecx, ss; mov ss, ecx */
        PUT(p, 0x8e, 0xd1);
        break;
    case 11:
        if (s->period) { /* sti; hlt */
            PUT(p, 0xfb);
            PUT(p, 0xf4);
        } else {
            PUT(p, 0x0f, 0x01, 0xf9); /* rdtscp */
        }
        break;
    case 12: PUT(p, 0xcd, 0x83); break;
    case 13: PUT(p, 0xcd, 0x82); break;
    default: PUT(p, 0xcd, 0x81); break;
    }
}

/* ---- all ---- */

void stream_make_pieces(struct stream *s, unsigned count)
{
    while (s->count < count) {
        unsigned kind = (unsigned)random_below(&s->r, 100);

        if (kind < 62)
            piece_row(s, true);
        else if (s->x87 && kind < 67)
            piece_x87_control(s);
        else if (kind < 72)
            piece_row(s, false);
        else if (kind < 79)
            piece_pointer(s);
        else if (kind < 85)
            piece_jcc(s, ahead(s, 5));
        else if (kind < 88)
            piece_loop(s);
        else if (kind < 90)
            piece_call(s);
        else if (kind < 92)
            piece_indirect(s);
        else if (kind < 93)
            piece_string(s);
        else if (kind < 96 && !s->plain)
            piece_store(s);
        else
            piece_system(s);
    }
}
