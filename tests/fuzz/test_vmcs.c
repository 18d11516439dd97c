/* VM entries and exits with bent VMCSs. A hypervisor of a few instructions sets up a guest, enters
 * it, and at each VM exit writes one more field from a list (half of it random, half of it sensible)
 * and resumes. The guest runs random code, in 64-bit mode or, with EPT, in real mode. */
#include "tests/fuzz/fuzz.h"
#include "vmx/vmcs.h"

enum {
    DEFAULT_ROUNDS = 200,
    NS = 60000,
    AT_REGIONS = 0x2f000, /* operands: VMXON region's and VMCS's addresses */
    VMXON_REGION = 0x38000,
    VMCS_REGION = 0x39000,
    AT_SETUP = 0x50000, /* encoding and value, pairs */
    AT_BENDS = 0x60000,
    BEND_BYTES = 0x10000,
    AT_CURSOR = 0x2f010,
    HOST_CODE = 0x40000,
    HOST_EXIT = 0x40100,
    EPT_TABLES = 0x70000,
    BITMAPS = 0x74000,
    VAPIC_PAGE = 0x78000,
    APIC_PAGE = 0x79000,
    MSR_AREA = 0x7a000,
    PML_PAGE = 0x7b000,
    POSTED = 0x7c000,
    GUEST_STACK = 0x34000,
};

struct bend {
    uint64_t encoding, value;
};

/* VMXON, VMCLEAR, VMPTRLD, VMWRITE each pair of the set-up, VMLAUNCH */
static const uint8_t host_code[] = {
    0xf3, 0x0f, 0xc7, 0x34, 0x25, 0x00, 0xf0, 0x02, 0x00, /* vmxon [AT_REGIONS] */
    0x66, 0x0f, 0xc7, 0x34, 0x25, 0x08, 0xf0, 0x02, 0x00, /* vmclear [AT_REGIONS + 8] */
    0x0f, 0xc7, 0x34, 0x25, 0x08, 0xf0, 0x02, 0x00,       /* vmptrld [AT_REGIONS + 8] */
    0xbe, 0x00, 0x00, 0x05, 0x00,                         /* mov esi, AT_SETUP */
    0x48, 0x8b, 0x06,                                     /* mov rax, [rsi] */
    0x0f, 0x79, 0x46, 0x08,                               /* vmwrite rax, [rsi + 8] */
    0x48, 0x83, 0xc6, 0x10,                               /* add rsi, 16 */
    0x48, 0x83, 0x3e, 0xff,                               /* cmp qword [rsi], -1 */
    0x75, 0xef,                                           /* jne */
    0x0f, 0x01, 0xc2,                                     /* vmlaunch */
    0xe9, 0xc8, 0x00, 0x00, 0x00,                         /* jmp HOST_EXIT */
};

/* HOST_EXIT: one more field, then again */
static const uint8_t exit_code[] = {
    0x8b, 0x34, 0x25, 0x10, 0xf0, 0x02, 0x00, /* mov esi, [AT_CURSOR] */
    0x81, 0xe6, 0xf0, 0xff, 0x00, 0x00,       /* and esi, FFF0H */
    0x81, 0xce, 0x00, 0x00, 0x06, 0x00,       /* or esi, AT_BENDS */
    0x48, 0x8b, 0x06,                         /* mov rax, [rsi] */
    0x0f, 0x79, 0x46, 0x08,                   /* vmwrite rax, [rsi + 8] */
    0x83, 0xc6, 0x10,                         /* add esi, 16 */
    0x89, 0x34, 0x25, 0x10, 0xf0, 0x02, 0x00, /* mov [AT_CURSOR], esi */
    0x0f, 0x01, 0xc3,                         /* vmresume */
    0x0f, 0x01, 0xc2,                         /* vmlaunch */
    0xeb, 0xd4,                               /* jmp HOST_EXIT */
};

/* ---- a guest that passes all checks ---- */

struct setup {
    struct fuzz *f;
    struct bend list[VMCS_FIELD_COUNT + 1];
    unsigned count;
};

static void set(struct setup *s, uint64_t encoding, uint64_t value)
{
    ck_assert_uint_lt(s->count, VMCS_FIELD_COUNT);
    s->list[s->count++] = (struct bend){ encoding, value };
}

static uint32_t controls(const struct setup *s, enum control_group group, uint32_t wanted)
{
    const struct vmx_caps *caps = &s->f->m->caps;

    return (caps->must_1[group] | wanted) & caps->may_1[group];
}

/* any controls, as far as they go together */
static void set_controls(struct setup *s, bool real)
{
    struct fuzz *f = s->f;
    uint32_t pin = (uint32_t)fuzz_random(f) & (PIN(EXTERNAL_INTR) | PIN(NMI) | PIN(TIMER));
    uint32_t proc = (uint32_t)(fuzz_random(f) & fuzz_random(f)) & ~PROC(NMI_WINDOW);
    uint32_t proc2 = (uint32_t)(fuzz_random(f) & fuzz_random(f));
    uint32_t exit = EXIT(HOST_64) | ((uint32_t)fuzz_random(f) & EXIT(ACK_INTR));
    uint32_t apic = PROC2(X2APIC) | PROC2(APIC_REGISTERS) | PROC2(VIRTUAL_INTR);

    proc |= PROC(SECONDARY);
    if (!(proc & PROC(TPR_SHADOW)))
        proc2 &= ~apic;
    if (proc2 & PROC2(X2APIC))
        proc2 &= ~PROC2(APIC_ACCESSES);
    if (proc2 & PROC2(VIRTUAL_INTR)) {
        pin |= PIN(EXTERNAL_INTR) | PIN(POSTED_INTR);
        exit |= EXIT(ACK_INTR);
    }
    if (pin & PIN(TIMER) && fuzz_below(f, 2))
        exit |= EXIT(SAVE_TIMER);
    proc2 |= real ? PROC2(EPT) | PROC2(UNRESTRICTED) : 0;
    if (!(proc2 & PROC2(EPT)))
        proc2 &= ~(PROC2(UNRESTRICTED) | PROC2(PML));
    set(s, VMCS_PIN_CONTROLS, controls(s, GROUP_PIN, pin));
    set(s, VMCS_PROC_CONTROLS, controls(s, GROUP_PROC, proc));
    set(s, VMCS_PROC2_CONTROLS, controls(s, GROUP_PROC2, proc2));
    set(s, VMCS_EXIT_CONTROLS, controls(s, GROUP_EXIT, exit));
    set(s, VMCS_ENTRY_CONTROLS, controls(s, GROUP_ENTRY, real ? 0 : ENTRY(IA32E)));
    set(s, VMCS_VM_FUNCTION_CONTROLS, fuzz_below(f, 2));
}

static void set_areas(struct setup *s)
{
    set(s, VMCS_VPID, 1 + fuzz_below(s->f, 3));
    set(s, VMCS_POSTED_INTR_VECTOR, 0x30);
    set(s, VMCS_IO_BITMAP_A, BITMAPS);
    set(s, VMCS_IO_BITMAP_B, BITMAPS + 0x1000);
    set(s, VMCS_MSR_BITMAPS, BITMAPS + 0x2000);
    set(s, VMCS_EXIT_MSR_STORE_ADDR, MSR_AREA);
    set(s, VMCS_EXIT_MSR_LOAD_ADDR, MSR_AREA);
    set(s, VMCS_ENTRY_MSR_LOAD_ADDR, MSR_AREA);
    set(s, VMCS_PML_ADDRESS, PML_PAGE);
    set(s, VMCS_PML_INDEX, 511);
    set(s, VMCS_VIRTUAL_APIC_ADDR, VAPIC_PAGE);
    set(s, VMCS_APIC_ACCESS_ADDR, APIC_PAGE);
    set(s, VMCS_POSTED_INTR_DESC, POSTED);
    set(s, VMCS_EPT_POINTER, EPT_TABLES | 0x1e | (fuzz_below(s->f, 2) ? 0x40 : 0));
    set(s, VMCS_EPTP_LIST_ADDR, BITMAPS + 0x3000);
    set(s, VMCS_VMCS_LINK_POINTER, ~UINT64_C(0));
    set(s, VMCS_TSC_MULTIPLIER, UINT64_C(1) << 48);
    set(s, VMCS_TIMER_VALUE, fuzz_below(s->f, 2000));
    set(s, VMCS_EXCEPTION_BITMAP, fuzz_random(s->f) & fuzz_random(s->f));
    set(s, VMCS_GUEST_INTR_STATUS, 0);
}

static void set_host(struct setup *s)
{
    const struct cpu *cpu = s->f->m->cpu[0];

    for (unsigned i = 0; i < 6; i++)
        set(s, VMCS_HOST_ES_SELECTOR + 2 * i, i == SEG_CS ? 0x18 : 0x10);
    set(s, VMCS_HOST_TR_SELECTOR, 0x48);
    set(s, VMCS_HOST_CR0, cpu->cr0);
    set(s, VMCS_HOST_CR3, cpu->cr3);
    set(s, VMCS_HOST_CR4, cpu->cr4);
    set(s, VMCS_HOST_TR_BASE, 0x8000);
    set(s, VMCS_HOST_GDTR_BASE, FUZZ_GDT);
    set(s, VMCS_HOST_IDTR_BASE, FUZZ_IDT);
    set(s, VMCS_HOST_RSP, FUZZ_STACK);
    set(s, VMCS_HOST_RIP, HOST_EXIT);
}

static void set_guest(struct setup *s, bool real)
{
    const struct cpu *cpu = s->f->m->cpu[0];

    for (unsigned i = 0; i < 6; i++) {
        bool cs = i == SEG_CS;

        set(s, VMCS_GUEST_ES_SELECTOR + 2 * i, !real ? (cs ? 0x18 : 0x10) : cs ? 0x1000 : 0);
        set(s, VMCS_GUEST_ES_LIMIT + 2 * i, real ? 0xffff : 0xffffffff);
        set(s, VMCS_GUEST_ES_AR + 2 * i, real ? 0x93 : cs ? 0xa09b : 0xc093);
        set(s, VMCS_GUEST_ES_BASE + 2 * i, real && cs ? FUZZ_CODE : 0);
    }
    set(s, VMCS_GUEST_LDTR_AR, 0x10000);
    set(s, VMCS_GUEST_TR_SELECTOR, 0x48);
    set(s, VMCS_GUEST_TR_LIMIT, 0x67);
    set(s, VMCS_GUEST_TR_AR, 0x8b);
    set(s, VMCS_GUEST_TR_BASE, 0x8000);
    set(s, VMCS_GUEST_GDTR_BASE, FUZZ_GDT);
    set(s, VMCS_GUEST_GDTR_LIMIT, 0x7f);
    set(s, VMCS_GUEST_IDTR_BASE, real ? 0 : FUZZ_IDT);
    set(s, VMCS_GUEST_IDTR_LIMIT, real ? 0x3ff : 0xfff);
    set(s, VMCS_GUEST_CR0, real ? CR0_ET | CR0_NE : cpu->cr0);
    set(s, VMCS_GUEST_CR3, cpu->cr3);
    set(s, VMCS_GUEST_CR4, real ? CR4_VMXE : cpu->cr4);
    set(s, VMCS_GUEST_DR7, 0x400);
    set(s, VMCS_GUEST_RSP, real ? 0x7000 : GUEST_STACK);
    set(s, VMCS_GUEST_RIP, real ? 0 : FUZZ_CODE);
    set(s, VMCS_GUEST_RFLAGS, RFLAGS_FIXED);
}

/* ---- one round ---- */

static struct bend random_bend(struct setup *s, struct bend good)
{
    struct fuzz *f = s->f;

    switch (fuzz_below(f, 3)) {
    case 0: return (struct bend){ good.encoding, fuzz_value(f) };
    case 1:
        return (struct bend){ vmcs_fields[fuzz_below(f, VMCS_FIELD_COUNT)].encoding,
                              fuzz_value(f) };
    default: good.value ^= UINT64_C(1) << fuzz_below(f, fuzz_below(f, 2) ? 64 : 32); return good;
    }
}

/* In turn: a bent field, the same field as it should be, a new place to go on; so about two entries
 * of three succeed. Now and then a field stays bent. */
static void write_bends(struct setup *s)
{
    struct fuzz *f = s->f;
    struct bend good = s->list[0], b;

    for (unsigned at = 0, turn = 0; at < BEND_BYTES; at += sizeof b, turn++) {
        if (turn % 3 == 0) {
            good = s->list[fuzz_below(f, s->count)];
            b = random_bend(s, good);
        } else if (turn % 3 == 1 && fuzz_below(f, 8)) {
            b = good;
        } else {
            b = (struct bend){ VMCS_GUEST_RIP, FUZZ_CODE + fuzz_below(f, FUZZ_CODE_SIZE) };
        }
        bus_write_bytes(f->m->bus, AT_BENDS + at, &b, sizeof b);
    }
}

static void write_tables(struct fuzz *f)
{
    struct bus *bus = f->m->bus;

    bus_write(bus, EPT_TABLES, (EPT_TABLES + 0x1000) | 7, 8);
    bus_write(bus, EPT_TABLES + 0x1000, (EPT_TABLES + 0x2000) | 7, 8);
    for (uint64_t i = 0; i < 512; i++)
        bus_write(bus, EPT_TABLES + 0x2000 + 8 * i, i << 21 | 0xb7, 8);
    for (uint64_t n = fuzz_below(f, 3); n; n--)
        bus_write(bus, EPT_TABLES + fuzz_below(f, 0x2020), fuzz_random(f), 1);
    for (unsigned i = 0; i < 0x800; i++) /* bitmaps, EPTP list, virtual APIC, MSR areas, ... */
        bus_write(bus, BITMAPS + 8 * fuzz_below(f, (POSTED + 0x1000 - BITMAPS) / 8),
                  fuzz_random(f) & fuzz_random(f), 8);
    bus_write(bus, VMXON_REGION, VMCS_REVISION, 4);
    bus_write(bus, VMCS_REGION, VMCS_REVISION, 4);
    bus_write(bus, AT_REGIONS, VMXON_REGION, 8);
    bus_write(bus, AT_REGIONS + 8, VMCS_REGION, 8);
    bus_write(bus, AT_CURSOR, AT_BENDS, 8);
    bus_write_bytes(bus, HOST_CODE, host_code, sizeof host_code);
    bus_write_bytes(bus, HOST_EXIT, exit_code, sizeof exit_code);
}

/* returns the number of VM entries */
static uint64_t vmcs_round(struct fuzz *f, bool real)
{
    static const struct bend end = { ~UINT64_C(0), 0 };
    struct setup s = { .f = f };
    struct nidus_stats before, after;
    struct cpu *cpu = f->m->cpu[0];

    fuzz_reset(f);
    fuzz_code(f, FUZZ_CODE, FUZZ_CODE_SIZE);
    fuzz_enter(f, cpu, FUZZ_LONG);
    cpu->rip = HOST_CODE;
    cpu->msr.feature_control = 5; /* locked, VMXON allowed */
    write_tables(f);
    set_controls(&s, real);
    set_areas(&s);
    set_host(&s);
    set_guest(&s, real);
    bus_write_bytes(f->m->bus, AT_SETUP, s.list, s.count * sizeof s.list[0]);
    bus_write_bytes(f->m->bus, AT_SETUP + s.count * sizeof s.list[0], &end, sizeof end);
    write_bends(&s);
    nidus_get_stats(f->m, &before);
    nidus_run(f->m, NS);
    nidus_get_stats(f->m, &after);
    return after.vm_entries - before.vm_entries;
}

START_TEST(bent_vmcs_fields_harm_nobody)
{
    uint64_t rounds = fuzz_environment("NIDUS_FUZZ_ROUNDS", DEFAULT_ROUNDS);
    uint64_t seed = fuzz_environment("NIDUS_FUZZ_SEED", 1), entries = 0;
    struct fuzz *f = fuzz_new(1);

    for (uint64_t round = 0; round < rounds; round++) {
        fuzz_seed(f, seed + 2 * round + (uint64_t)_i);
        entries += vmcs_round(f, _i == 1);
    }
    ck_assert_uint_gt(entries, rounds); /* the set-up is good enough */
    fuzz_free(f);
}
END_TEST

/* the hypervisor's loop is hot, and what of its guest's code is */
START_TEST(bent_vmcs_fields_do_the_same_with_both_engines)
{
    uint64_t rounds = fuzz_environment("NIDUS_FUZZ_ROUNDS", DEFAULT_ROUNDS) / 2;
    uint64_t seed = fuzz_environment("NIDUS_FUZZ_SEED", 1);
    struct fuzz *f[2] = { fuzz_new_on(1, NIDUS_ACCEL_NATIVE), fuzz_new_on(1, NIDUS_ACCEL_INTERP) };

    for (uint64_t round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < 2; i++) {
            fuzz_seed(f[i], seed + round);
            vmcs_round(f[i], round % 4 == 3);
        }
        fuzz_expect_same(f[0], f[1], seed + round);
    }
    fuzz_expect_native(f[0], 4);
    fuzz_free(f[0]);
    fuzz_free(f[1]);
}
END_TEST

Suite *suite_fuzz_vmcs(void)
{
    Suite *s = suite_create("fuzz/vmcs");
    TCase *t = tcase_create("entries");

    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, bent_vmcs_fields_harm_nobody, 0, 2);
    tcase_add_test(t, bent_vmcs_fields_do_the_same_with_both_engines);
    suite_add_tcase(s, t);
    return s;
}
