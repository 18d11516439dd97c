/* Look-ups without an index: struct tlb_near (mmu/tlb.h) remembers where an address was last. The
 * comparison is beside the way from the address to the data, which a look-up in the TLB's entries is
 * not; but a miss costs more. So they are for the stack, for segments with a base, and in loops, until
 * an instruction misses too often (near.c). */
#include "base/assert.h"
#include "cpu/jit/x64.h"
#include "mmu/tlb.h"

enum { NEAR_STACK, NEAR_FS, NEAR_GS, NEAR_HOIST, NEAR_OTHERS = NEAR_HOIST + HOIST_SLOTS };

static struct x64_mem x64_near_field(unsigned slot, bool write, size_t field)
{
    size_t at = offsetof(struct tlb_view, near.slot[write][slot]) + field;

    return (struct x64_mem){ X64_TLB, N_NONE, 0, (int32_t)at };
}

static struct x64_mem x64_near_limit(unsigned slot, bool write, bool large)
{
    size_t at = offsetof(struct tlb_view, near.limit[write][large][slot]);

    return (struct x64_mem){ X64_TLB, N_NONE, 0, (int32_t)at };
}

#define NEAR_FIELD(member) offsetof(struct tlb_near_slot, member)

bool x64_near(const struct x64 *e, unsigned base, unsigned index, unsigned seg, int64_t disp,
              unsigned *slot)
{
    unsigned hash = base * 7 + index * 5 + seg + (unsigned)(disp >> PAGE_SHIFT);

    if (e->cold_copy || bit(e->nb->far, e->at))
        return false;
    if (base == RSP && index == REG_ZERO)
        *slot = NEAR_STACK;
    else if (base == REG_ZERO && index == REG_ZERO && (seg == SEG_FS || seg == SEG_GS))
        *slot = seg == SEG_FS ? NEAR_FS : NEAR_GS;
    else if (e->loops)
        *slot = NEAR_OTHERS + hash % (TLB_NEAR_SLOTS - NEAR_OTHERS);
    else
        return false;
    return true;
}

/* r14, an address, becomes the distance from the slot's page; the site jumps where it misses */
struct x64_near_site x64_near_check(struct x64 *e, unsigned slot, bool write, unsigned bytes)
{
    struct x64_near_site s = { .slot = (uint8_t)slot, .write = write, .large = bytes > NEAR_SMALL };

    ASSERT(bytes <= NEAR_LARGE);
    s.again = e->hot.at;
    x64_rm(&e->hot, 0x2b, SZ_64, X64_TMP, x64_near_field(slot, write, NEAR_FIELD(page)));
    x64_rm(&e->hot, 0x3b, SZ_64, X64_TMP, x64_near_limit(slot, write, s.large));
    x64_jcc(&e->hot, CC_AE, x64_here(&e->hot));
    s.jump = e->hot.at - 4;
    e->valid = 0;
    return s;
}

void x64_near_load(struct x64 *e, unsigned slot, bool write, bool addend)
{
    x64_load(&e->hot, SZ_64, N_RAX,
             x64_near_field(slot, write, addend ? NEAR_FIELD(addend) : NEAR_FIELD(native)));
}

unsigned x64_hoist_slot(unsigned n)
{
    return NEAR_HOIST + n % HOIST_SLOTS;
}

/* Where a site has missed: fill the slot and try again, or fall through. jit_near_sampled reads the
 * ref that follows. */
void x64_near_miss(struct x64 *e, const struct x64_near_site *s, uint32_t ref)
{
    struct x64_buf *b = &e->cold;

    x64_patch(s->jump, b->at);
    x64_rm(b, 0x03, SZ_64, X64_TMP, x64_near_field(s->slot, s->write, NEAR_FIELD(page)));
    x64_mov_ri(b, N_RAX, (s->large ? NEAR_LARGE : NEAR_SMALL) - 1);
    x64_call(b, e->jit->near_stub[s->write][s->slot]);
    x64_jcc(b, CC_E, s->again + b->bias);
    x64_mov_ri(b, N_RAX, ref);
}

/* ---- stubs ---- */

static void x64_push_pop(struct x64_buf *b, unsigned op, unsigned reg)
{
    ASSERT(reg < 8);
    x64_8(b, op | reg);
}

static void x64_shift(struct x64_buf *b, unsigned extension, unsigned reg, unsigned count)
{
    x64_rr(b, 0xc1, SZ_32, extension, reg);
    x64_8(b, count);
}
enum { SHL = 4, SHR = 5 };

/* rax: the page, rcx: its entry, as an offset; the slot becomes its run; rdx and rsi are lost, too */
static void x64_near_fill(struct x64_buf *b, unsigned slot, bool write)
{
    struct x64_mem detail = { X64_TLB, N_RDX, 0, offsetof(struct tlb_view, detail[0].linear) };
    struct x64_mem run = { X64_TLB, N_RDX, 0, (int32_t)offsetof(struct tlb_view, run[0][write]) };
    struct x64_mem addend = { X64_TLB, N_RCX, 0, offsetof(struct tlb_entry, addend) };
    struct x64_mem live = { X64_TLB, N_NONE, 0, offsetof(struct tlb_view, near.live) };
    struct x64_mem small = { N_RDX, N_NONE, 0, PAGE_SIZE - NEAR_SMALL + 1 };
    struct x64_mem large = { N_RDX, N_NONE, 0, PAGE_SIZE - NEAR_LARGE + 1 };

    static_assert(2 * sizeof(struct tlb_detail) == sizeof(struct tlb_entry) &&
                      8 * sizeof(struct tlb_run) == sizeof(struct tlb_entry),
                  "offsets by shifts");
    x64_mov_rr(b, SZ_32, N_RDX, N_RCX);
    x64_shift(b, SHR, N_RDX, 1);
    x64_alu_mi(b, ALU_OR, SZ_8, detail, DETAIL_NEAR);
    x64_shift(b, SHR, N_RDX, 1);
    x64_load(b, SZ_32, N_RDX, run);
    x64_load(b, SZ_64, N_RCX, addend);
    x64_rr(b, 0xb7 | OP_0F, SZ_32, N_RSI, N_RDX); /* movzx: pages in front */
    x64_shift(b, SHL, N_RSI, PAGE_SHIFT);
    x64_alu_rr(b, ALU_SUB, SZ_64, N_RAX, N_RSI);
    x64_store(b, SZ_64, x64_near_field(slot, write, NEAR_FIELD(page)), N_RAX);
    x64_store(b, SZ_64, x64_near_field(slot, write, NEAR_FIELD(addend)), N_RCX);
    x64_alu_rr(b, ALU_ADD, SZ_64, N_RCX, N_RAX);
    x64_store(b, SZ_64, x64_near_field(slot, write, NEAR_FIELD(native)), N_RCX);
    x64_shift(b, SHR, N_RDX, 16); /* pages behind the first */
    x64_shift(b, SHL, N_RDX, PAGE_SHIFT);
    x64_lea(b, SZ_64, N_RCX, small);
    x64_store(b, SZ_64, x64_near_limit(slot, write, false), N_RCX);
    x64_lea(b, SZ_64, N_RCX, large);
    x64_store(b, SZ_64, x64_near_limit(slot, write, true), N_RCX);
    x64_store(b, SZ_64, live, N_RCX); /* not 0 */
}

/* Called with r14 = linear address, rax = bytes - 1. Equal: found in the TLB, and the slot has it. Not
 * equal: not found, or to be done another way for once. */
static uint8_t *x64_make_near(struct x64_buf *b, unsigned slot, bool write, const uint8_t *sampled)
{
    struct x64_mem tag = { X64_TLB, N_RCX, 0,
                           write ? offsetof(struct tlb_entry, write)
                                 : offsetof(struct tlb_entry, read) };
    uint8_t *at = x64_here(b), *miss;

    x64_push_pop(b, 0x50, N_RCX);
    x64_mov_rr(b, SZ_32, N_RCX, X64_TMP);
    x64_shift(b, SHR, N_RCX, PAGE_SHIFT - 5);
    x64_alu_ri(b, ALU_AND, SZ_32, N_RCX, (TLB_ENTRIES - 1) << 5);
    x64_alu_rr(b, ALU_ADD, SZ_64, N_RAX, X64_TMP);
    x64_alu_ri(b, ALU_AND, SZ_64, N_RAX, -(int32_t)PAGE_SIZE);
    x64_rm(b, 0x3b, SZ_64, N_RAX, tag);
    miss = x64_jcc_short(b, CC_NE);
    x64_alu_mi(b, ALU_SUB, SZ_32, X64_FIELD(native.near_left), 1);
    x64_jcc(b, CC_S, sampled);
    x64_push_pop(b, 0x50, N_RDX);
    x64_push_pop(b, 0x50, N_RSI);
    x64_near_fill(b, slot, write);
    x64_push_pop(b, 0x58, N_RSI);
    x64_push_pop(b, 0x58, N_RDX);
    x64_push_pop(b, 0x58, N_RCX);
    x64_alu_rr(b, ALU_CMP, SZ_32, N_RAX, N_RAX);
    x64_8(b, 0xc3);
    x64_land(b, miss);
    x64_push_pop(b, 0x58, N_RCX);
    x64_8(b, 0xc3);
    return at;
}

/* On the stack: the guest's rcx, where the site goes on; the latter is told to C. */
static uint8_t *x64_make_near_sampled(struct x64_buf *b, struct jit *jit, bool write)
{
    struct x64_mem top = { N_RSP, N_NONE, 0, 0 };
    uint8_t *at = x64_here(b), *skip;

    x64_push_pop(b, 0x58, N_RCX);
    x64_rm(b, 0x8f, SZ_32, 0, X64_FIELD(native.resume));               /* pop */
    x64_rm(b, 0xb6 | OP_0F, SZ_32, N_RAX, X64_FIELD(native.xmm_live)); /* movzx */
    x64_store_state(b);
    x64_to_c_stack(b);
    x64_lea(b, SZ_64, N_RSP, (struct x64_mem){ N_RSP, N_NONE, 0, -16 });
    x64_store(b, SZ_64, top, N_RAX);
    x64_lea(b, SZ_64, N_RDI, (struct x64_mem){ X64_CPU, N_NONE, 0, -X64_CPU_BIAS });
    x64_load(b, SZ_64, N_RSI, X64_FIELD(native.resume));
    x64_mov_rr(b, SZ_64, N_RDX, X64_TMP);
    x64_mov_ri(b, N_RCX, write);
    x64_mov_ri(b, N_RAX, (uint64_t)(uintptr_t)jit_near_sampled);
    x64_8(b, 0xff); /* call rax */
    x64_8(b, 0xd0);
    x64_load(b, SZ_64, N_RAX, top);
    x64_from_c_stack(b);
    x64_load_registers(b);
    x64_rr(b, 0x85, SZ_32, N_RAX, N_RAX);
    skip = x64_jcc_short(b, CC_E);
    x64_call(b, jit->stub.load_xmm);
    x64_land(b, skip);
    x64_rr(b, 0x85, SZ_64, N_RSP, N_RSP); /* never 0: not equal */
    x64_go_back(b);
    return at;
}

void x64_make_near_stubs(struct jit *jit, struct x64_buf *b)
{
    for (unsigned write = 0; write < 2; write++) {
        const uint8_t *sampled = x64_make_near_sampled(b, jit, write);

        for (unsigned slot = 0; slot < TLB_NEAR_SLOTS; slot++)
            jit->near_stub[write][slot] = x64_make_near(b, slot, write, sampled);
    }
}
