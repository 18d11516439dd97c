/* Contexts, what changes of the physical map do to them, and random traffic on all of it. */
#include "tests/mmu/mmu_lab.h"

START_TEST(more_contexts_than_there_are_reuse_the_oldest)
{
    struct lab *lab = lab_cached();

    for (uint16_t pcid = 0; pcid < 100; pcid++) {
        go(lab, 0, pcid);
        cache(lab, LINEAR, 0);
    }
    change(lab, LINEAR, 0);
    EXPECT_CACHED(lab, LINEAR);
    go(lab, 0, 90);
    EXPECT_CACHED(lab, LINEAR);
    go(lab, 0, 1);
    EXPECT_DROPPED(lab, LINEAR);
    ck_assert_uint_le(lab->mmu.context_count, 48);
    lab_free(lab);
}
END_TEST

START_TEST(change_of_the_physical_map_drops_everything)
{
    static uint8_t rom[0x1000] = { NEW & 0xff, NEW >> 8 };
    struct lab *lab = lab_cached();

    go(lab, 0, 1);
    cache(lab, LINEAR, 0);
    bus_map_rom(lab->bus, OLD_PAGE, rom, sizeof rom, "rom");
    EXPECT_DROPPED(lab, LINEAR);
    lab_free(lab);
}
END_TEST

START_TEST(code_and_data_have_entries_of_their_own)
{
    uint64_t other = LINEAR + (UINT64_C(1) << 30); /* meets LINEAR in every table of entries */
    struct lab *lab = lab_cached();
    const uint8_t *native;
    uint64_t fills;

    go(lab, 0, 1);
    cache(lab, LINEAR, 0);
    lab_map(lab, other, 12, NEW_PAGE | P);
    ck_assert_uint_eq(mmu_fetch(&lab->mmu, other, &native), NEW_PAGE);
    fills = lab->mmu.fills;
    EXPECT_CACHED(lab, LINEAR);
    mmu_fetch(&lab->mmu, other, &native);
    ck_assert_uint_eq(lab->mmu.fills, fills);
    lab_map(lab, other, 12, OLD_PAGE | P);
    ck_assert_uint_eq(mmu_fetch(&lab->mmu, other, &native), NEW_PAGE);
    mmu_invlpg(&lab->mmu, other);
    ck_assert_uint_eq(mmu_fetch(&lab->mmu, other, &native), OLD_PAGE);
    lab_free(lab);
}
END_TEST

START_TEST(tlb_can_be_shown)
{
    struct lab *lab = lab_cached();
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    go(lab, 3, 1);
    cache(lab, LINEAR, G);
    mmu_show_tlb(&lab->mmu, out);
    fclose(out);
    ck_assert_ptr_nonnull(strstr(text, "VPID 3 PCID 1 EP4TA 0 (current)"));
    ck_assert_ptr_nonnull(strstr(text, "00007f1234567000 -> 000000005000"));
    ck_assert_ptr_nonnull(strstr(text, "r-x super global"));
    free(text);
    lab_free(lab);
}
END_TEST

/* Eight 2-MiB regions, each a large page or a table of small ones; physical page n holds n in its
 * first 8 bytes. Mappings change, with the INVLPGs that the manual asks for and no others; code is
 * marked and written; views change. Each load must find what the tables say at that moment. */
#define REGION(n) (UINT64_C(0xffff888000000000) + (n)*2 * MIB)
#define FIRST_PAGE 512u /* the tables are below */
#define LAST_PAGE 2048u

struct traffic {
    struct lab *lab;
    struct decoder d;
    uint64_t random;
    unsigned page[8][512]; /* what is mapped there */
    bool large[8];
    uint64_t table[8];
};

static unsigned traffic_random(struct traffic *t, unsigned below)
{
    t->random = t->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(t->random >> 33) % below;
}

static void traffic_map_small(struct traffic *t, unsigned r, unsigned i)
{
    unsigned page = FIRST_PAGE + traffic_random(t, LAST_PAGE - FIRST_PAGE);

    t->page[r][i] = page;
    bus_write(t->lab->bus, t->table[r] + 8 * i, (uint64_t)page << 12 | P | RW | US, 8);
}

static void traffic_map_large(struct traffic *t, unsigned r)
{
    unsigned page = 512 * (1 + traffic_random(t, 3));

    for (unsigned i = 0; i < 512; i++) {
        if (!t->large[r])
            mmu_invlpg(&t->lab->mmu, REGION(r) + i * PAGE_SIZE);
        t->page[r][i] = page + i;
    }
    lab_map(t->lab, REGION(r), 21, (uint64_t)page << 12 | P | RW | US | PS);
    mmu_invlpg(&t->lab->mmu, REGION(r) + traffic_random(t, 2 * MIB));
    t->large[r] = true;
}

static void traffic_map_table(struct traffic *t, unsigned r)
{
    for (unsigned i = 0; i < 512; i++) {
        traffic_map_small(t, r, i);
        if (!t->large[r])
            mmu_invlpg(&t->lab->mmu, REGION(r) + i * PAGE_SIZE);
    }
    lab_map(t->lab, REGION(r), 21, t->table[r] | P | RW | US);
    mmu_invlpg(&t->lab->mmu, REGION(r) + traffic_random(t, 2 * MIB));
    t->large[r] = false;
}

static void traffic_access(struct traffic *t, unsigned r, unsigned i)
{
    uint64_t linear = REGION(r) + i * PAGE_SIZE, page = t->page[r][i];
    unsigned told = t->d.written;
    bool code = *bus_page_flags(t->lab->bus, page << 12) & PAGE_CODE;

    ck_assert_uint_eq(mmu_load(&t->lab->mmu, linear, 8), page);
    if (traffic_random(t, 2)) {
        mmu_store(&t->lab->mmu, linear, page, 8);
        ck_assert_uint_eq(t->d.written - told, code);
    }
    if (traffic_random(t, 8) == 0)
        bus_mark_code(t->lab->bus, page << 12);
}

START_TEST(random_traffic_agrees_with_the_tables)
{
    static struct traffic t;
    unsigned steps = 60000;

    t = (struct traffic){ .lab = lab_4_level(), .random = 20240607 };
    decoder_on(&t.d, t.lab);
    t.d.drop = true;
    for (unsigned n = FIRST_PAGE; n < LAST_PAGE; n++)
        bus_write(t.lab->bus, (uint64_t)n << 12, n, 8);
    for (unsigned r = 0; r < 8; r++) {
        t.table[r] = 0x80000 + r * 0x1000;
        traffic_map_table(&t, r);
    }
    while (steps-- > 0) {
        unsigned what = traffic_random(&t, 400), r = traffic_random(&t, 8);
        unsigned i = traffic_random(&t, 512);

        if (what == 0)
            traffic_map_large(&t, r);
        else if (what == 1)
            traffic_map_table(&t, r);
        else if (what < 10)
            mmu_set_view(&t.lab->mmu, (enum mmu_view)(what % VIEW_COUNT));
        else if (what == 10)
            mmu_flush_current(&t.lab->mmu, false);
        else if (what < 30 && !t.large[r]) {
            traffic_map_small(&t, r, i);
            mmu_invlpg(&t.lab->mmu, REGION(r) + i * PAGE_SIZE);
        } else {
            traffic_access(&t, r, i % 16 * 32 % 512 + i % 3);
        }
    }
    ck_assert_uint_gt(t.d.written, 100);
    lab_free(t.lab);
}
END_TEST

Suite *suite_mmu_tlb(void)
{
    Suite *s = suite_create("mmu/tlb");
    TCase *t = tcase_create("tlb");

    tcase_add_test(t, more_contexts_than_there_are_reuse_the_oldest);
    tcase_add_test(t, change_of_the_physical_map_drops_everything);
    tcase_add_test(t, code_and_data_have_entries_of_their_own);
    tcase_add_test(t, tlb_can_be_shown);
    tcase_add_test(t, random_traffic_agrees_with_the_tables);
    suite_add_tcase(s, t);
    return s;
}
