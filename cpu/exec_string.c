/* String instructions: MOVS STOS LODS CMPS SCAS, with REP, REPE and REPNE.
 * [SDM 2B "MOVS/MOVSB/...", "REP/REPE/..."; SDM 1 "String Operations"]
 *
 * A repeated instruction works in chunks: a chunk ends the block with RIP at the same instruction,
 * so that events are seen between chunks. Inside a chunk, forward runs of whole elements in one
 * page of RAM are done natively; what else there is goes an element at a time. The effect is that of
 * single elements in order: when one faults, rSI, rDI and rCX count those before it. The flags of
 * CMPS and SCAS are set at the end of a chunk, so a fault leaves them as they were.
 *
 * Costs: MOVS and STOS a cycle for each 32 bytes of the destination, LODS and SCAS a cycle an
 * element, CMPS two; the same whichever way the work was done. */
#include "cpu/exec.h"

enum {
    STRING_CHUNK = 4096, /* elements */
    STRING_ALONE = 16,   /* stored one by one to a page of code before it is looked at again */
    STRING_LINE_SHIFT = 5,
};

/* ---- one place of a string ---- */

ALWAYS_INLINE uint64_t string_step(const struct cpu *cpu, unsigned size)
{
    return cpu->rflags & RFLAGS_DF ? -(uint64_t)size : size;
}

ALWAYS_INLINE uint64_t string_offset(const struct cpu *cpu, const struct insn *in, unsigned reg)
{
    return cpu->r[reg] & in->addr_mask;
}

ALWAYS_INLINE void string_advance(struct cpu *cpu, const struct insn *in, unsigned reg, uint64_t by)
{
    reg_write_masked(cpu, reg, cpu->r[reg] + by, in->addr_mask);
}

/* rSI goes through DS or an override, rDI always through ES */
ALWAYS_INLINE uint64_t string_source(struct cpu *cpu, const struct insn *in, unsigned size)
{
    return seg_linear(cpu, in, string_offset(cpu, in, RSI), size, false);
}
ALWAYS_INLINE uint64_t string_dest(struct cpu *cpu, const struct insn *in, unsigned size,
                                   bool write)
{
    const struct seg *es = &cpu->seg[SEG_ES];
    uint64_t offset = string_offset(cpu, in, RDI);

    if (!(in->flags & IN_LEGACY))
        return offset;
    if (!(write ? es->writable : es->readable) || offset + size - 1 > es->limit)
        segment_check(cpu, SEG_ES, offset, size, write);
    return (uint32_t)(es->base + offset);
}

/* ---- runs ---- */

/* How many of `count` elements at offset reg, forward, lie in one page, within the address size and
 * the plain limit of the segment; *linear is where they start. 0: none, or not so simple. */
ALWAYS_INLINE uint64_t string_room(const struct cpu *cpu, const struct insn *in, unsigned reg,
                                   uint64_t count, bool write, unsigned size, uint64_t *linear)
{
    bool legacy = (in->flags & IN_LEGACY) != 0;
    unsigned n = reg == RSI ? in->base_seg : legacy ? SEG_ES : SEG_FLAT;
    const struct seg *s = &cpu->seg[n];
    uint64_t offset = string_offset(cpu, in, reg), last = in->addr_mask, room;

    *linear = s->base + offset;
    if (legacy) {
        *linear = (uint32_t)*linear;
        if (!(write ? s->writable : s->readable) || offset > s->limit)
            return 0;
        last = last < s->limit ? last : s->limit;
    }
    room = PAGE_SIZE - (*linear & ~PAGE_MASK);
    if (last - offset < room)
        room = last - offset + 1;
    room /= size;
    return room < count ? room : count;
}

/* the native address of a run, or NULL where each element needs the slow path; may unwind */
ALWAYS_INLINE uint8_t *string_native(struct cpu *cpu, uint64_t linear, bool write)
{
    if (likely(mem_hits_at(cpu, linear, 1, write)))
        return mem_native_at(cpu, linear);
    return mmu_native(&cpu->mmu, linear, write ? MMU_WRITE : MMU_READ);
}

/* the frame of an instruction with REP: how many elements this chunk may have */
ALWAYS_INLINE uint64_t string_chunk(const struct cpu *cpu, const struct insn *in)
{
    uint64_t count = string_offset(cpu, in, RCX);
    uint64_t most = cpu->key & KEY_SINGLE ? 1 : STRING_CHUNK;

    return count < most ? count : most;
}

ALWAYS_INLINE bool string_repeats(const struct insn *in)
{
    return (in->flags & (IN_REP | IN_REPNE)) != 0;
}

/* the end of the block: behind the instruction, or at it again */
ALWAYS_INLINE void string_end(struct cpu *cpu, const struct insn *in, bool finished)
{
    cpu->rip = finished ? insn_next_rip(cpu, in) : insn_rip(cpu, in);
}

/* the lines of 32 bytes that are left behind: cutting a repetition into chunks does not change the
 * sum. The top bit is flipped so that going below 0 is no wrap. */
static inline void string_charge_lines(struct cpu *cpu, uint64_t from, uint64_t step,
                                       uint64_t count)
{
    uint64_t first = (from ^ BIT(63)) >> STRING_LINE_SHIFT;
    uint64_t last = ((from ^ BIT(63)) + step * count) >> STRING_LINE_SHIFT;

    cpu_charge(cpu, (int64_t)step < 0 ? first - last : last - first);
}

/* ---- MOVS ---- */

ALWAYS_INLINE void string_move_one(struct cpu *cpu, const struct insn *in, uint64_t step,
                                   unsigned size)
{
    uint64_t v = mmu_load(&cpu->mmu, string_source(cpu, in, size), size);

    mmu_store(&cpu->mmu, string_dest(cpu, in, size, true), v, size);
    string_advance(cpu, in, RSI, step);
    string_advance(cpu, in, RDI, step);
}

/* Element by element, in order, forward. Where the destination starts inside the source, elements
 * that have been written are read again: the distance repeats as a pattern. */
static void string_copy(uint8_t *to, const uint8_t *from, uint64_t bytes, unsigned size)
{
    uint64_t distance = (uint64_t)((uintptr_t)to - (uintptr_t)from);

    if (distance >= bytes) { /* also when `to` is below `from` */
        memmove(to, from, bytes);
    } else if (distance >= size) {
        for (uint64_t at = 0, n; at < bytes; at += n) {
            n = bytes - at < distance ? bytes - at : distance;
            memcpy(to + at, from + at, n);
        }
    } else {
        for (uint64_t at = 0; at < bytes; at += size) {
            uint64_t v = hit_load(from + at, size);

            hit_store(to + at, v, size);
        }
    }
}

/* at most `most` elements; returns how many */
ALWAYS_INLINE uint64_t string_move_run(struct cpu *cpu, const struct insn *in, uint64_t step,
                                       uint64_t most, unsigned size)
{
    uint64_t from, to, n = 0;
    uint8_t *source, *dest;

    if (step == size) {
        n = string_room(cpu, in, RSI, most, false, size, &from);
        n = string_room(cpu, in, RDI, n, true, size, &to);
    }
    if (n > 0 && (source = string_native(cpu, from, false)) != NULL &&
        (dest = string_native(cpu, to, true)) != NULL) {
        string_copy(dest, source, n * size, size);
        string_advance(cpu, in, RSI, n * size);
        string_advance(cpu, in, RDI, n * size);
        string_advance(cpu, in, RCX, -n);
        return n;
    }
    if (n > STRING_ALONE)
        n = STRING_ALONE;
    for (uint64_t i = 0; i < n || i == 0; i++) {
        string_move_one(cpu, in, step, size);
        string_advance(cpu, in, RCX, UINT64_MAX);
    }
    return n ? n : 1;
}

EXEC_BODY_SIZES(movs)
{
    uint64_t step = string_step(cpu, size), to = string_offset(cpu, in, RDI), left, count;

    if (!string_repeats(in)) {
        string_move_one(cpu, in, step, size);
        string_end(cpu, in, true);
        return;
    }
    count = left = string_chunk(cpu, in);
    while (left > 0)
        left -= string_move_run(cpu, in, step, left, size);
    string_charge_lines(cpu, to, step, count);
    string_end(cpu, in, string_offset(cpu, in, RCX) == 0);
}
EXEC_SIZES_END(movs)

/* ---- STOS ---- */

ALWAYS_INLINE void string_store_one(struct cpu *cpu, const struct insn *in, uint64_t step,
                                    unsigned size)
{
    mmu_store(&cpu->mmu, string_dest(cpu, in, size, true), cpu->r[RAX], size);
    string_advance(cpu, in, RDI, step);
}

ALWAYS_INLINE void string_fill(uint8_t *to, uint64_t v, uint64_t bytes, unsigned size)
{
    if (zero_extend(v, size) == 0 || size == 1) {
        memset(to, (int)(v & 0xff), bytes);
        return;
    }
    for (uint64_t at = 0; at < bytes; at += size)
        hit_store(to + at, v, size);
}

ALWAYS_INLINE uint64_t string_store_run(struct cpu *cpu, const struct insn *in, uint64_t step,
                                        uint64_t most, unsigned size)
{
    uint64_t to, n = 0;
    uint8_t *dest;

    if (step == size)
        n = string_room(cpu, in, RDI, most, true, size, &to);
    if (n > 0 && (dest = string_native(cpu, to, true)) != NULL) {
        string_fill(dest, cpu->r[RAX], n * size, size);
        string_advance(cpu, in, RDI, n * size);
        string_advance(cpu, in, RCX, -n);
        return n;
    }
    if (n > STRING_ALONE)
        n = STRING_ALONE;
    for (uint64_t i = 0; i < n || i == 0; i++) {
        string_store_one(cpu, in, step, size);
        string_advance(cpu, in, RCX, UINT64_MAX);
    }
    return n ? n : 1;
}

EXEC_BODY_SIZES(stos)
{
    uint64_t step = string_step(cpu, size), to = string_offset(cpu, in, RDI), left, count;

    if (!string_repeats(in)) {
        string_store_one(cpu, in, step, size);
        string_end(cpu, in, true);
        return;
    }
    count = left = string_chunk(cpu, in);
    while (left > 0)
        left -= string_store_run(cpu, in, step, left, size);
    string_charge_lines(cpu, to, step, count);
    string_end(cpu, in, string_offset(cpu, in, RCX) == 0);
}
EXEC_SIZES_END(stos)

/* ---- LODS ---- */

ALWAYS_INLINE void string_load_one(struct cpu *cpu, const struct insn *in, uint64_t step,
                                   unsigned size)
{
    uint64_t v = mmu_load(&cpu->mmu, string_source(cpu, in, size), size);

    reg_write(cpu, size == 1 ? 8 * RAX : RAX, v, size);
    string_advance(cpu, in, RSI, step);
}

EXEC_BODY_SIZES(lods)
{
    uint64_t step = string_step(cpu, size), count;

    if (!string_repeats(in)) {
        string_load_one(cpu, in, step, size);
        string_end(cpu, in, true);
        return;
    }
    count = string_chunk(cpu, in);
    for (uint64_t i = 0; i < count; i++) {
        string_load_one(cpu, in, step, size);
        string_advance(cpu, in, RCX, UINT64_MAX);
    }
    cpu_charge(cpu, count);
    string_end(cpu, in, string_offset(cpu, in, RCX) == 0);
}
EXEC_SIZES_END(lods)

/* ---- CMPS and SCAS ---- */

/* a comparison: of two elements in memory, or of the accumulator with one */
struct string_compare {
    uint64_t a, b; /* the last elements compared */
    uint64_t step;
    bool both;      /* CMPS */
    bool repeat_on; /* REPE: go on while equal; REPNE: while not */
    bool stopped;   /* the condition has ended the repetition */
};

ALWAYS_INLINE void string_compare_one(struct cpu *cpu, const struct insn *in,
                                      struct string_compare *c, unsigned size)
{
    c->a = c->both ? mmu_load(&cpu->mmu, string_source(cpu, in, size), size)
                   : reg_read(cpu, size == 1 ? 8 * RAX : RAX, size);
    c->b = mmu_load(&cpu->mmu, string_dest(cpu, in, size, false), size);
    c->stopped = (c->a == c->b) != c->repeat_on;
    if (c->both)
        string_advance(cpu, in, RSI, c->step);
    string_advance(cpu, in, RDI, c->step);
}

/* compare up to n elements natively; returns how many were */
ALWAYS_INLINE uint64_t string_compare_native(struct string_compare *c, const uint8_t *source,
                                             const uint8_t *dest, uint64_t n, unsigned size)
{
    uint64_t i = 0, a = c->a, b;

    do {
        if (c->both)
            a = hit_load(source + i * size, size);
        b = hit_load(dest + i * size, size);
        i++;
    } while (i < n && (a == b) == c->repeat_on);
    c->a = a;
    c->b = b;
    c->stopped = (a == b) != c->repeat_on;
    return i;
}

ALWAYS_INLINE uint64_t string_compare_run(struct cpu *cpu, const struct insn *in,
                                          struct string_compare *c, uint64_t most, unsigned size)
{
    uint64_t from = 0, to = 0, n = 0;
    uint8_t *source = NULL, *dest;

    if (c->step == size) {
        n = c->both ? string_room(cpu, in, RSI, most, false, size, &from) : most;
        n = string_room(cpu, in, RDI, n, false, size, &to);
    }
    if (n > 0 && (!c->both || (source = string_native(cpu, from, false)) != NULL) &&
        (dest = string_native(cpu, to, false)) != NULL) {
        if (!c->both)
            c->a = reg_read(cpu, size == 1 ? 8 * RAX : RAX, size);
        n = string_compare_native(c, source, dest, n, size);
        if (c->both)
            string_advance(cpu, in, RSI, n * size);
        string_advance(cpu, in, RDI, n * size);
    } else {
        string_compare_one(cpu, in, c, size);
        n = 1;
    }
    string_advance(cpu, in, RCX, -n);
    return n;
}

ALWAYS_INLINE void string_compare(struct cpu *cpu, const struct insn *in, bool both, unsigned size)
{
    struct string_compare c = { .step = string_step(cpu, size),
                                .both = both,
                                .repeat_on = !(in->flags & IN_REPNE) };
    uint64_t left, count;

    if (!string_repeats(in)) {
        string_compare_one(cpu, in, &c, size);
        alu_sub(&cpu->flags, c.a, c.b, size);
        string_end(cpu, in, true);
        return;
    }
    count = left = string_chunk(cpu, in);
    while (left > 0 && !c.stopped)
        left -= string_compare_run(cpu, in, &c, left, size);
    if (count > 0)
        alu_sub(&cpu->flags, c.a, c.b, size);
    cpu_charge(cpu, (count - left) << both);
    string_end(cpu, in, c.stopped || string_offset(cpu, in, RCX) == 0);
}

EXEC_BODY_SIZES(cmps)
{
    string_compare(cpu, in, true, size);
}
EXEC_SIZES_END(cmps)

EXEC_BODY_SIZES(scas)
{
    string_compare(cpu, in, false, size);
}
EXEC_SIZES_END(scas)
