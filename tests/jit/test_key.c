/* The key of blocks holds everything that translation has assumed. For each bit: states that differ in
 * nothing else have different keys, and native code of one is not entered in the other, by whatever
 * way. And translation looks at nothing beside the blocks: in any other state of the processor the
 * same blocks become the same bytes (tests/lint/jit_state.py looks at the source). */
#include <signal.h>

#include "cpu/float80.h"
#include "include/nidus.h"
#include "machine/machine.h"
#include "tests/diff/random_insn.h"
#include "tests/jit/jit_lab.h"

enum { CACHE = 4 << 20 };

/* ---- states ---- */

static void to_compatibility(struct cpu *cpu)
{
    cpu->seg[SEG_CS].ar = (cpu->seg[SEG_CS].ar & ~(uint32_t)AR_L) | AR_DB;
}
static void to_compatibility_16(struct cpu *cpu)
{
    cpu->seg[SEG_CS].ar &= ~(uint32_t)AR_L;
}
static void user(struct cpu *cpu)
{
    cpu->cpl = 3;
}
static void virtual_8086(struct cpu *cpu)
{
    cpu->rflags |= RFLAGS_VM;
}
static void task_switched(struct cpu *cpu)
{
    cpu->cr0 |= CR0_TS;
}
static void emulated_x87(struct cpu *cpu)
{
    cpu->cr0 |= CR0_EM;
}
static void no_fxsr(struct cpu *cpu)
{
    cpu->cr4 &= ~CR4_OSFXSR;
}
static void stepped(struct cpu *cpu)
{
    cpu->step_always = true;
}
static void single_step(struct cpu *cpu)
{
    cpu->rflags |= RFLAGS_TF;
}
static void breakpoint(struct cpu *cpu)
{
    cpu->dr[7] |= 1;
}
static void shadow(struct cpu *cpu)
{
    cpu->blocking = BLOCK_STI;
}
static void unmasked(struct cpu *cpu)
{
    cpu->fpu.mxcsr &= ~(uint32_t)0x80; /* invalid operation */
}
static void x87_masked(struct cpu *cpu) /* after reset it is not */
{
    cpu->fpu.control |= FLOAT80_ALL;
}
static void non_root(struct cpu *cpu)
{
    cpu->non_root = true;
}

static const struct {
    void (*enter)(struct cpu *cpu);
    uint32_t bits; /* of the key that change, seen from LAB_LONG */
    bool runs;     /* 64-bit code goes on running in this state, without an exception */
} states[] = {
    { to_compatibility, KEY_CODE64 | KEY_CODE32 | KEY_SS32, false },
    { to_compatibility_16, KEY_CODE64 | KEY_CODE16 | KEY_SS32, false },
    { user, KEY_USER, false /* HLT */ },
    { virtual_8086, KEY_REAL, false },
    { task_switched, KEY_NO_X87 | KEY_NO_SSE, true },
    { emulated_x87, KEY_NO_X87 | KEY_NO_SSE, true },
    { no_fxsr, KEY_NO_SSE, true },
    { stepped, KEY_SINGLE, true },
    { single_step, KEY_SINGLE, false },
    { breakpoint, KEY_SINGLE, true },
    { shadow, KEY_SINGLE, false /* for one instruction only */ },
    { unmasked, KEY_SSE_TRAPS, true },
    { x87_masked, KEY_X87_TRAPS, true },
    { non_root, KEY_NON_ROOT, true },
};
enum { STATES = sizeof states / sizeof states[0] };

START_TEST(a_state_has_its_own_key)
{
    struct insn_lab *lab = lab_new(LAB_LONG);
    uint32_t before = lab->cpu->key;

    ck_assert_uint_eq(before & KEY_CODE_MASK, KEY_CODE64);
    states[_i].enter(lab->cpu);
    cpu_update_key(lab->cpu);
    ck_assert_uint_eq(lab->cpu->key ^ before, states[_i].bits);
    lab_free(lab);
}
END_TEST

/* A handler's SS is null, that of SYSCALL is not: both run the same blocks. */
START_TEST(the_stack_segment_does_not_matter_to_64_bit_code)
{
    struct insn_lab *lab = lab_new(LAB_LONG);
    uint32_t before = lab->cpu->key;

    lab->cpu->seg[SEG_SS].ar ^= AR_DB;
    cpu_update_key(lab->cpu);
    ck_assert_uint_eq(lab->cpu->key, before);
    lab_free(lab);
}
END_TEST

/* ---- native code of another key ---- */

/* Two functions: one is called while ECX is above EDX, then the other one. */
/* clang-format off */
static const uint8_t caller[] = {
    0xb9, 0xf4, 1, 0, 0,    /* mov ecx, 500 */
    0x48, 0x89, 0xfb,       /* 1: mov rbx, rdi */
    0x39, 0xd1,             /* cmp ecx, edx */
    0x49, 0x0f, 0x46, 0xd8, /* cmovbe rbx, r8 */
    0xff, 0xd3,             /* call rbx */
    0xff, 0xc9,             /* dec ecx */
    0x75, 0xf1,             /* jnz 1b */
    0xf4,
};
static const uint8_t function[] = {
    0x01, 0xc8,       /* add eax, ecx */
    0xf6, 0xc1, 1,    /* test cl, 1 */
    0x74, 3,          /* jz 1f */
    0x83, 0xc0, 5,    /* add eax, 5 */
    0xc3,             /* 1: ret */
};
/* clang-format on */
enum { SUM = 500 * 501 / 2 + 250 * 5, FIRST = LAB_CODE + 0x1000, SECOND = FIRST + 0x80 };

static struct insn_lab *caller_lab(void)
{
    struct insn_lab *lab = hot_lab(LAB_LONG, CACHE);

    bus_write_bytes(lab->bus, LAB_CODE, caller, sizeof caller);
    bus_write_bytes(lab->bus, FIRST, function, sizeof function);
    bus_write_bytes(lab->bus, SECOND, function, sizeof function);
    return lab;
}

/* `second` of the 500 calls are of the second function */
static void run_caller(struct insn_lab *lab, unsigned second)
{
    lab->cpu->r[RAX] = 0;
    lab->cpu->r[RDX] = second;
    lab->cpu->r[RDI] = FIRST;
    lab->cpu->r[R8] = SECOND;
    hot_run(lab, LAB_CODE);
    ck_assert_uint_eq((uint32_t)lab->cpu->r[RAX], SUM);
}

/* all native code that there is goes: who enters it dies */
static unsigned poison(struct jit *jit)
{
    const struct native_block *nb;
    unsigned count = 0;

    for (uint32_t id = 0; (nb = next_path(jit, &id)); count++)
        memset(jit->code.write + (nb->code - jit->code.run), 0xcc, nb->hot_bytes);
    return count;
}

static void run_until_hot(struct insn_lab *lab)
{
    run_caller(lab, 250);
    run_caller(lab, 250);
    ck_assert_uint_ge(lab->cpu->jit->stats.live, 2);
    ck_assert_uint_gt(lab->cpu->jit->stats.links, 0);
}

/* The loop becomes hot here, too, and calls the second function when that is not. */
static void run_elsewhere(struct insn_lab *lab)
{
    run_caller(lab, 10);
    run_caller(lab, 10);
}

START_TEST(poison_is_deadly)
{
    struct insn_lab *lab = caller_lab();

    run_until_hot(lab);
    poison(lab->cpu->jit);
    run_caller(lab, 10);
}
END_TEST

/* Native code has been left for the first function, by a link that is to be made, as the state
 * changes. */
static void leave_through_a_link(struct jit *jit)
{
    struct native_block *nb;

    jit->pending = NULL;
    for (uint32_t id = 0; !jit->pending && (nb = next_path(jit, &id));) {
        struct link *l = &nb->link[1];

        if ((nb->b->pa & PAGE_MASK) != FIRST || l->to)
            continue;
        *l = (struct link){ .from = nb };
        jit->pending = l;
    }
    ck_assert_ptr_nonnull(jit->pending);
}

START_TEST(native_code_is_not_entered_in_another_state)
{
    const struct native_block *nb;
    struct insn_lab *lab;
    unsigned other = 0;

    if (!states[_i].runs)
        return;
    lab = caller_lab();
    run_until_hot(lab);
    poison(lab->cpu->jit);
    leave_through_a_link(lab->cpu->jit);
    states[_i].enter(lab->cpu);
    cpu_update_key(lab->cpu);
    run_elsewhere(lab);
    for (uint32_t id = 0; (nb = next_path(lab->cpu->jit, &id));) {
        other += nb->b->key == lab->cpu->key;
        for (const struct native_block *at = nb; at; at = at->follows) {
            ck_assert_uint_eq(at->b->key, nb->b->key);
            for (unsigned k = 0; k < 2; k++) {
                if (at->link[k].to)
                    ck_assert_uint_eq(at->link[k].to->b->key, nb->b->key);
            }
        }
    }
    if (states[_i].bits & KEY_SINGLE)
        ck_assert_uint_eq(other, 0); /* blocks of one are interpreted */
    else
        ck_assert_uint_ge(other, 2);
    hot_free(lab);
}
END_TEST

/* With another bit of the key, of which this file knows nothing: the jump table and links compare all
 * of it. */
START_TEST(all_bits_of_the_key_are_compared)
{
    uint32_t bit = 1u << _i;
    struct insn_lab *lab;

    if (bit & (KEY_CODE_MASK | KEY_SINGLE))
        return;
    lab = caller_lab();
    run_until_hot(lab);
    poison(lab->cpu->jit);
    leave_through_a_link(lab->cpu->jit);
    lab->cpu->key ^= bit;
    run_elsewhere(lab);
    hot_free(lab);
}
END_TEST

/* ---- what translation looks at ---- */

static void scramble(struct cpu *cpu, struct random *r)
{
    for (unsigned i = 0; i < 16; i++)
        cpu->r[i] = random_u64(r);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        cpu->seg[i] = (struct seg){ .base = i == SEG_FLAT ? 0 : random_u64(r),
                                    .limit = (uint32_t)random_u64(r),
                                    .ar = (uint32_t)random_u64(r) & 0x1ffff,
                                    .selector = (uint16_t)random_u64(r) };
    flags_set(&cpu->flags, random_u64(r));
    cpu->rip = random_u64(r);
    cpu->rflags = random_u64(r);
    cpu->cr0 = random_u64(r);
    cpu->cr2 = random_u64(r);
    cpu->cr3 = random_u64(r);
    cpu->cr4 = random_u64(r);
    cpu->efer = random_u64(r);
    cpu->xcr0 = random_u64(r);
    cpu->cpl = random_u64(r) & 3;
    cpu->key = (uint32_t)random_u64(r);
    cpu->virt_mask = random_u64(r);
    cpu->non_root = random_u64(r) & 1;
    cpu->blocking = (uint32_t)random_u64(r);
    cpu->events = (uint32_t)random_u64(r);
    cpu->budget = (int64_t)random_u64(r);
    cpu->insn_count = random_u64(r);
    cpu->tsc_offset = random_u64(r);
    for (unsigned i = 0; i < 8; i++)
        cpu->dr[i] = random_u64(r);
    for (size_t i = 0; i < sizeof cpu->msr; i++)
        ((uint8_t *)&cpu->msr)[i] = (uint8_t)random_u64(r);
    for (size_t i = 0; i < sizeof cpu->fpu; i++)
        ((uint8_t *)&cpu->fpu)[i] = (uint8_t)random_u64(r);
    cpu->native.page = random_u64(r);
    cpu->native.flags = (uint16_t)random_u64(r);
    cpu->native.xmm_live = random_u64(r) & 1;
}

/* Links that have been made since, and pages that they expect, may differ. */
static bool is_of_a_link(const struct jit *jit, const struct native_block *nb, const uint8_t *at)
{
    const uint8_t *written = jit->code.write + (at - jit->code.run);

    for (; nb; nb = nb->follows) {
        for (unsigned k = 0; k < 2; k++) {
            const struct link *l = &nb->link[k];

            if ((l->site && written - l->site >= 0 && written - l->site < 4) ||
                (l->page && written - l->page >= 0 && written - l->page < 8))
                return true;
        }
    }
    return false;
}

static void check_bytes(const struct jit *jit, const struct native_block *nb, const uint8_t *run,
                        size_t run_bytes, const uint8_t *again, size_t bytes)
{
    ck_assert_uint_eq(bytes, run_bytes);
    for (size_t i = 0; i < bytes; i++)
        ck_assert_msg(run[i] == again[i] || is_of_a_link(jit, nb, run + i),
                      "block at %#jx, byte %zu: translated again, it is another one",
                      (uintmax_t)nb->b->pa, i);
}

START_TEST(translation_depends_on_the_blocks_alone)
{
    struct nidus_config config = { .ram = 16 << 20, .cpus = 1, .cpu = "max" };
    char error[NIDUS_ERROR_SIZE] = "";
    struct nidus *m = nidus_create(&config, error);
    struct random r = { 5 };
    struct native_block *nb;
    unsigned paths = 0;
    struct cpu *cpu, kept;
    struct jit *jit;

    ck_assert_msg(m != NULL, "%s", error);
    ck_assert_msg(nidus_load_builtin(m, error), "%s", error);
    nidus_run(m, UINT64_C(1000000000));
    cpu = m->cpu[0];
    jit = cpu->jit;
    for (uint32_t id = 0; (nb = next_path(jit, &id)); paths++) {
        struct again a;

        kept = *cpu;
        scramble(cpu, &r);
        ck_assert(jit_again(jit, nb, &a));
        *cpu = kept;
        check_bytes(jit, nb, nb->code, nb->hot_bytes, a.hot, a.hot_bytes);
        check_bytes(jit, nb, nb->cold, nb->cold_bytes, a.cold, a.cold_bytes);
        jit_again_done(&a);
    }
    ck_assert_uint_gt(paths, 10);
    nidus_destroy(m);
}
END_TEST

Suite *suite_jit_key(void)
{
    Suite *s = suite_create("jit/key");
    TCase *t = tcase_create("key");

    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, a_state_has_its_own_key, 0, STATES);
    tcase_add_test(t, the_stack_segment_does_not_matter_to_64_bit_code);
    tcase_add_test_raise_signal(t, poison_is_deadly, SIGTRAP);
    tcase_add_loop_test(t, native_code_is_not_entered_in_another_state, 0, STATES);
    tcase_add_loop_test(t, all_bits_of_the_key_are_compared, 0, 16);
    tcase_add_test(t, translation_depends_on_the_blocks_alone);
    suite_add_tcase(s, t);
    return s;
}
