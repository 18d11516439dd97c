/* Random accesses of every size to ports and physical addresses: where devices are, beside them, and
 * anywhere; PCI configuration space (by ports and memory-mapped) and virtio's BARs with queues that
 * point anywhere. */
#include "machine/board.h"
#include "tests/fuzz/fuzz.h"

enum { DEFAULT_ACCESSES = 20000, STEP_EVERY = 500, STEP_NS = 20000 };

/* where something answers, and how much */
static const struct {
    uint64_t base, size;
} memory_ranges[] = { { 0xfee00000, 0x1000 },    { 0xfec00000, 0x1000 },   { 0xfed00000, 0x1000 },
                      { 0xb0000000, 0x1000000 }, { 0xff000000, 0x10000 },  { 0xfed1c000, 0x4000 },
                      { 0xa0000, 0x60000 },      { 0xc0000000, 0x100000 }, { 0xfe000000, 0x100000 },
                      { 0x400000, 0x1000 },      { 0xfffffff0, 0x10 } };
static const struct {
    uint16_t base, size;
} port_ranges[] = { { 0x00, 0x10 }, { 0x20, 2 },    { 0x40, 4 },       { 0x60, 5 },
                    { 0x70, 4 },    { 0x80, 0x10 }, { 0x92, 1 },       { 0xa0, 2 },
                    { 0xb2, 2 },    { 0xc0, 0x20 }, { 0xe0, 0x10 },    { 0x2f8, 8 },
                    { 0x3f8, 8 },   { 0x4d0, 2 },   { 0x510, 12 },     { 0x600, 0x80 },
                    { 0xcf8, 8 },   { 0x2000, 24 }, { 0xc000, 0x200 }, { 0xfff8, 8 } };

static uint64_t pick_address(struct fuzz *f)
{
    size_t n = fuzz_below(f, sizeof memory_ranges / sizeof memory_ranges[0]);

    if (fuzz_below(f, 8) == 0)
        return fuzz_value(f) & BITS(45, 0);
    return memory_ranges[n].base + fuzz_below(f, memory_ranges[n].size) - fuzz_below(f, 4);
}

static uint16_t pick_port(struct fuzz *f)
{
    size_t n = fuzz_below(f, sizeof port_ranges / sizeof port_ranges[0]);

    if (fuzz_below(f, 8) == 0)
        return (uint16_t)fuzz_random(f);
    return (uint16_t)(port_ranges[n].base + fuzz_below(f, port_ranges[n].size));
}

/* devices may have ended or reset the machine: that is their right */
static void let_time_pass(struct fuzz *f)
{
    struct nidus *m = f->m;

    m->ended = false;
    m->reset_wanted = false;
    nidus_run(m, STEP_NS + fuzz_below(f, 1 << 20));
    m->cpu[0]->activity = HALTED;
}

static void access_ports(struct fuzz *f)
{
    unsigned size = 1u << fuzz_below(f, 3);
    uint16_t port = pick_port(f);

    if (fuzz_below(f, 2))
        ports_write(f->m->ports, port, (uint32_t)fuzz_value(f), size);
    else
        ports_read(f->m->ports, port, size);
}

static void access_memory(struct fuzz *f)
{
    unsigned size = 1u << fuzz_below(f, 4);
    uint64_t pa = pick_address(f), value = fuzz_value(f);
    uint8_t bytes[64];

    switch (fuzz_below(f, 4)) {
    case 0: bus_read_bytes(f->m->bus, pa, bytes, 1 + fuzz_below(f, sizeof bytes)); break;
    case 1:
        memset(bytes, (int)(value & 0xff), sizeof bytes);
        bus_write_bytes(f->m->bus, pa, bytes, 1 + fuzz_below(f, sizeof bytes));
        break;
    case 2: bus_read(f->m->bus, pa & ~(uint64_t)(size - 1), size); break;
    default: bus_write(f->m->bus, pa & ~(uint64_t)(size - 1), value, size); break;
    }
}

START_TEST(random_accesses_to_devices_harm_nobody)
{
    uint64_t seed = fuzz_environment("NIDUS_FUZZ_SEED", 1) + (uint64_t)_i;
    uint64_t count = fuzz_environment("NIDUS_FUZZ_ROUNDS", DEFAULT_ACCESSES);
    struct fuzz *f = fuzz_new(1);

    fuzz_seed(f, seed);
    fuzz_reset(f);
    board_firmware_setup(f->m);
    f->m->cpu[0]->activity = HALTED;
    for (uint64_t n = 0; n < count; n++) {
        if (fuzz_below(f, 2))
            access_ports(f);
        else
            access_memory(f);
        if (n % STEP_EVERY == 0)
            let_time_pass(f);
    }
    fuzz_free(f);
}
END_TEST

/* ---- by a guest's hot code ---- */

enum {
    LOOP = 0x20000,
    ACCESSES = 0x40000, /* struct guest_access, to the end */
    ACCESSES_END = 0x41000,
    HANDLERS = 0x21000, /* addresses of the kinds' code */
    HANDLERS_AT = 0x22000,
    HANDLER_BYTES = 16,
    TABLES_4G = 0x50000,
};

struct guest_access {
    uint64_t address;
    uint32_t value, kind;
};

static const uint8_t loop_code[] = {
    0xbe, 0x00, 0x00, 0x04, 0x00,             /* mov esi, ACCESSES */
    0x48, 0x8b, 0x3e,                         /* mov rdi, [rsi] */
    0x8b, 0x46, 0x08,                         /* mov eax, [rsi + 8] */
    0x8b, 0x4e, 0x0c,                         /* mov ecx, [rsi + 12] */
    0x89, 0xfa,                               /* mov edx, edi */
    0x48, 0x83, 0xc6, 0x10,                   /* add rsi, 16 */
    0xff, 0x14, 0xcd, 0x00, 0x10, 0x02, 0x00, /* call [HANDLERS + 8 * rcx] */
    0x81, 0xfe, 0x00, 0x10, 0x04, 0x00,       /* cmp esi, ACCESSES_END */
    0x75, 0xe2,                               /* jne */
    0xeb, 0xdb,                               /* jmp LOOP */
};

static const struct {
    bool port;
    uint8_t code[HANDLER_BYTES];
} access_kinds[] = {
    { false, { 0x88, 0x07, 0xc3 } },       /* mov [rdi], al; ret */
    { false, { 0x66, 0x89, 0x07, 0xc3 } }, /* ax */
    { false, { 0x89, 0x07, 0xc3 } },       /* eax */
    { false, { 0x48, 0x89, 0x07, 0xc3 } }, /* rax */
    { false, { 0x8a, 0x07, 0xc3 } },
    { false, { 0x66, 0x8b, 0x07, 0xc3 } },
    { false, { 0x8b, 0x07, 0xc3 } },
    { false, { 0x48, 0x8b, 0x07, 0xc3 } },
    { false, { 0x01, 0x07, 0x11, 0x07, 0xc3 } }, /* add [rdi], eax; adc [rdi], eax */
    { false, { 0x48, 0x87, 0x07, 0xc3 } },       /* xchg [rdi], rax */
    { false, { 0x0f, 0xb6, 0x07, 0xff, 0x37, 0x8f, 0x07, 0xc3 } }, /* movzx, push, pop */
    { true, { 0xee, 0xc3 } },                                      /* out dx, al */
    { true, { 0x66, 0xef, 0xc3 } },
    { true, { 0xef, 0xc3 } },
    { true, { 0xec, 0xc3 } }, /* in al, dx */
    { true, { 0x66, 0xed, 0xc3 } },
    { true, { 0xed, 0xc3 } },
};
enum { ACCESS_KINDS = sizeof access_kinds / sizeof access_kinds[0] };

static void write_loop(struct fuzz *f)
{
    struct bus *bus = f->m->bus;

    bus_write(bus, FUZZ_TABLES, TABLES_4G | 7, 8);
    for (uint64_t i = 0; i < 4 * 512; i++) {
        bus_write(bus, TABLES_4G + 0x1000 + 8 * i, i << 21 | 0x83, 8);
        bus_write(bus, TABLES_4G + 8 * (i / 512), (TABLES_4G + 0x1000 + (i / 512 << 12)) | 7, 8);
    }
    for (unsigned i = 0; i < ACCESS_KINDS; i++) {
        uint64_t at = HANDLERS_AT + HANDLER_BYTES * i;

        bus_write(bus, HANDLERS + 8 * i, at, 8);
        bus_write_bytes(bus, at, access_kinds[i].code, HANDLER_BYTES);
    }
    bus_write_bytes(bus, LOOP, loop_code, sizeof loop_code);
    for (uint64_t at = ACCESSES; at < ACCESSES_END; at += sizeof(struct guest_access)) {
        struct guest_access a = { .kind = (uint32_t)fuzz_below(f, ACCESS_KINDS),
                                  .value = (uint32_t)fuzz_value(f) };

        a.address = access_kinds[a.kind].port ? pick_port(f) : pick_address(f) & UINT32_MAX;
        bus_write_bytes(bus, at, &a, sizeof a);
    }
}

static void loop_round(struct fuzz *f)
{
    fuzz_reset(f);
    board_firmware_setup(f->m);
    fuzz_code(f, FUZZ_CODE, FUZZ_CODE_SIZE); /* where exceptions lead */
    fuzz_enter(f, f->m->cpu[0], FUZZ_LONG);
    write_loop(f);
    f->m->cpu[0]->rip = LOOP;
    nidus_run(f->m, 10 * STEP_NS);
}

START_TEST(random_accesses_of_hot_code_are_the_same_with_both_engines)
{
    uint64_t rounds = fuzz_environment("NIDUS_FUZZ_ROUNDS", DEFAULT_ACCESSES) / 200;
    uint64_t seed = fuzz_environment("NIDUS_FUZZ_SEED", 1);
    struct fuzz *f[2] = { fuzz_new_on(1, NIDUS_ACCEL_NATIVE), fuzz_new_on(1, NIDUS_ACCEL_INTERP) };

    for (uint64_t round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < 2; i++) {
            fuzz_seed(f[i], seed + round);
            loop_round(f[i]);
        }
        fuzz_expect_same(f[0], f[1], seed + round);
    }
    fuzz_expect_native(f[0], 4);
    fuzz_free(f[0]);
    fuzz_free(f[1]);
}
END_TEST

/* ---- PCI ---- */

static uint32_t config(struct fuzz *f, unsigned devfn, unsigned offset)
{
    ports_write(f->m->ports, 0xcf8, 0x80000000 | devfn << 8 | (offset & 0xfc), 4);
    return ports_read(f->m->ports, 0xcfc, 4);
}

static void config_write(struct fuzz *f, unsigned devfn, unsigned offset, uint32_t value)
{
    ports_write(f->m->ports, 0xcf8, 0x80000000 | devfn << 8 | (offset & 0xfc), 4);
    ports_write(f->m->ports, 0xcfc, value, 4);
}

START_TEST(random_writes_to_pci_configuration_harm_nobody)
{
    uint64_t count = fuzz_environment("NIDUS_FUZZ_ROUNDS", DEFAULT_ACCESSES) / 2;
    struct fuzz *f = fuzz_new(1);

    fuzz_seed(f, fuzz_environment("NIDUS_FUZZ_SEED", 1) + 1000);
    fuzz_reset(f);
    board_firmware_setup(f->m);
    f->m->cpu[0]->activity = HALTED;
    for (uint64_t n = 0; n < count; n++) {
        unsigned devfn = fuzz_below(f, 2) ? (unsigned)fuzz_below(f, 5) << 3 : 0x1f << 3;
        unsigned offset = (unsigned)fuzz_below(f, fuzz_below(f, 2) ? 0x40 : 0x100);

        config(f, devfn, offset);
        config_write(f, devfn, offset, (uint32_t)fuzz_value(f));
        access_memory(f);
        access_ports(f);
        if (n % STEP_EVERY == 0)
            let_time_pass(f);
    }
    fuzz_free(f);
}
END_TEST

/* ---- virtio: legal registers, queues anywhere, descriptors of any kind ---- */

enum { QUEUE_AREA = 0x100000, QUEUE_AREA_SIZE = 0x40000 };

static uint64_t virtio_bar(struct fuzz *f, unsigned devfn)
{
    for (unsigned bar = 0x10; bar < 0x28; bar += 4) {
        uint32_t low = config(f, devfn, bar);

        if (low && !(low & 1)) /* a memory BAR; may be 64-bit */
            return (low & ~UINT32_C(15)) |
                   ((low & 6) == 4 ? (uint64_t)config(f, devfn, bar + 4) << 32 : 0);
    }
    return 0;
}

static void random_queues(struct fuzz *f)
{
    for (unsigned n = 0; n < 200; n++)
        bus_write(f->m->bus, QUEUE_AREA + fuzz_below(f, QUEUE_AREA_SIZE / 8) * 8,
                  fuzz_below(f, 2) ? QUEUE_AREA + fuzz_below(f, QUEUE_AREA_SIZE) : fuzz_value(f),
                  8);
}

/* [virtio 1.2 "Common configuration structure layout"] */
static void random_driver(struct fuzz *f, uint64_t bar)
{
    static const uint8_t offsets[] = { 0x00, 0x08, 0x0c, 0x14, 0x16, 0x18, 0x1a,
                                       0x1c, 0x20, 0x28, 0x30, 0x24, 0x2c, 0x34 };
    struct bus *bus = f->m->bus;

    if (fuzz_below(f, 4) == 0) { /* a driver that does as it should, but for the queues */
        bus_write(bus, bar + 0x14, 0, 1);
        bus_write(bus, bar + 0x14, 3, 1);
        bus_write(bus, bar + 0x08, 1, 4);
        bus_write(bus, bar + 0x0c, 1, 4); /* VIRTIO_F_VERSION_1 */
        bus_write(bus, bar + 0x14, 11, 1);
        bus_write(bus, bar + 0x16, fuzz_below(f, 2), 2);
        bus_write(bus, bar + 0x18, UINT64_C(1) << fuzz_below(f, 9), 2);
        for (unsigned at = 0x20; at <= 0x30; at += 8)
            bus_write(bus, bar + at, QUEUE_AREA + fuzz_below(f, QUEUE_AREA_SIZE / 16) * 16, 8);
        bus_write(bus, bar + 0x1c, 1, 2);
        bus_write(bus, bar + 0x14, 15, 1);
    } else {
        uint64_t at = bar + offsets[fuzz_below(f, sizeof offsets)];

        bus_write(bus, at, fuzz_value(f), 1u << fuzz_below(f, 4));
    }
    bus_write(bus, bar + 0x1000 * fuzz_below(f, 4) + 4 * fuzz_below(f, 4), fuzz_below(f, 3), 2);
    bus_read(bus, bar + fuzz_below(f, 0x4000), 1u << fuzz_below(f, 4));
}

START_TEST(random_virtio_queues_harm_nobody)
{
    uint64_t count = fuzz_environment("NIDUS_FUZZ_ROUNDS", DEFAULT_ACCESSES) / 10;
    struct fuzz *f = fuzz_new(1);
    uint64_t bars[4];

    fuzz_seed(f, fuzz_environment("NIDUS_FUZZ_SEED", 1) + 2000);
    fuzz_reset(f);
    board_firmware_setup(f->m);
    f->m->cpu[0]->activity = HALTED;
    for (unsigned slot = 1; slot <= 3; slot++) {
        bars[slot] = virtio_bar(f, slot << 3);
        ck_assert_msg(bars[slot] != 0, "no memory BAR in slot %u", slot);
        config_write(f, slot << 3, 4, 6); /* memory space, bus master */
    }
    for (uint64_t n = 0; n < count; n++) {
        if (n % 20 == 0)
            random_queues(f);
        random_driver(f, bars[1 + fuzz_below(f, 3)]);
        if (n % 50 == 0)
            nidus_input(f->m, "virtio-console", (const uint8_t *)"hello", 5);
        if (n % STEP_EVERY == 0)
            let_time_pass(f);
    }
    fuzz_free(f);
}
END_TEST

Suite *suite_fuzz_io(void)
{
    Suite *s = suite_create("fuzz/io");
    TCase *t = tcase_create("accesses");

    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, random_accesses_to_devices_harm_nobody, 0, 3);
    tcase_add_test(t, random_accesses_of_hot_code_are_the_same_with_both_engines);
    tcase_add_test(t, random_writes_to_pci_configuration_harm_nobody);
    tcase_add_test(t, random_virtio_queues_harm_nobody);
    suite_add_tcase(s, t);
    return s;
}
