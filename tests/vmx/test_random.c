/* Random VMCS contents, random EPT entries, random guest code: whatever happens, the processor ends
 * up where the manual allows, and the sanitizers stay quiet. The seed of a failure is its number. */
#include "tests/support/lab.h"

enum { ROUNDS = 400, SLICES = 3 };

static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * UINT64_C(0x2545f4914f6cdd1d);
}

/* mostly plausible: near what is there, an address in memory, an edge, noise */
static uint64_t plausible(uint64_t *rng, uint64_t old)
{
    switch (next(rng) % 6) {
    case 0: return old ^ BIT(next(rng) % 64);
    case 1: return next(rng) % LAB_RAM & ~UINT64_C(0xfff);
    case 2: return UINT64_MAX >> next(rng) % 64;
    case 3: return old ^ BIT(next(rng) % 16);
    case 4: return next(rng) & next(rng) & 0xffffffff;
    default: return next(rng);
    }
}

/* one that may be 0 and 1 */
static void flip_control(struct lab *lab, uint64_t *rng, uint32_t encoding,
                         enum control_group group)
{
    uint32_t free = lab->caps.may_1[group] & ~lab->caps.must_1[group];

    lab_set(lab, encoding, lab_get(lab, encoding) ^ (free & BIT(next(rng) % 32)));
}

static void scramble(struct lab *lab, uint64_t *rng)
{
    uint8_t code[64];

    lab_fill(lab);
    for (unsigned n = next(rng) % 4 * (next(rng) % 2); n-- > 0;) {
        const struct vmcs_field *f = &vmcs_fields[next(rng) % VMCS_FIELD_COUNT];

        lab_set(lab, f->encoding, plausible(rng, lab_get(lab, f->encoding)));
    }
    lab_enable(lab, PROC_CONTROLS, PROC(TPR_SHADOW));
    flip_control(lab, rng, VMCS_PROC_CONTROLS, GROUP_PROC);
    flip_control(lab, rng, VMCS_PROC2_CONTROLS, GROUP_PROC2);
    flip_control(lab, rng, VMCS_PIN_CONTROLS, GROUP_PIN);
    for (unsigned n = next(rng) % 3; n-- > 0;) {
        uint64_t at = LAB_EPT_PT + next(rng) % 0x30 * 8;

        lab_poke(lab, at, plausible(rng, lab_peek(lab, at, 8)), 8);
    }
    for (unsigned i = 0; i < sizeof code; i++)
        code[i] = (uint8_t)next(rng);
    lab_guest(lab, (const char *)code, next(rng) % sizeof code);
    for (unsigned i = 0; i < 16; i++)
        lab->cpu->r[i] = plausible(rng, LAB_DATA);
}

START_TEST(random_vmcs_contents_and_code_do_no_harm)
{
    uint64_t rng = (uint64_t)_i * UINT64_C(0x9e3779b97f4a7c15) + 1;
    struct lab *lab = lab_ready_to_launch();
    struct cpu *cpu = lab->cpu;

    lab_ept_small_pages(lab);
    for (unsigned slice = 0; slice < SLICES && !lab->shut_down; slice++) {
        scramble(lab, &rng);
        bus_write_bytes(lab->bus, LAB_CODE,
                        lab->vmx->current->launched ? "\x0f\x01\xc3\xf4" : "\x0f\x01\xc2\xf4", 4);
        cpu->rip = LAB_CODE;
        cpu->r[RSP] = LAB_HOST_STACK;
        cpu->activity = ACTIVE;
        cpu_run(cpu, cpu_cycles(cpu) + 20000);
        if (cpu->non_root || cpu->rip != LAB_HOST_CODE + 1)
            break; /* still running, or lost in a handler of its own */
        ck_assert(!cpu->non_root && cpu->virt_mask == 0);
    }
    lab_destroy(lab);
}
END_TEST

Suite *suite_vmx_random(void)
{
    Suite *s = suite_create("vmx_random");
    TCase *t = tcase_create("random");

    tcase_add_loop_test(t, random_vmcs_contents_and_code_do_no_harm, 0, ROUNDS);
    tcase_set_timeout(t, 20);
    suite_add_tcase(s, t);
    return s;
}
