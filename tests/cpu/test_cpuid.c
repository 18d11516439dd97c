/* CPUID and the models. */
#include "tests/cpu/system_lab.h"

static struct insn_lab *lab_of(const char *model)
{
    struct insn_lab *lab = sys_new(SYS_64);

    lab->cpu->model = cpu_model_find(model);
    ck_assert_ptr_nonnull(lab->cpu->model);
    cpu_model_features(lab->cpu->model, lab->cpu->features);
    return lab;
}

static struct cpuid_regs ask(const struct insn_lab *lab, uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_regs r;

    cpuid(lab->cpu, leaf, subleaf, &r);
    return r;
}

START_TEST(vendor_is_genuine_intel)
{
    struct insn_lab *lab = lab_of("max");
    struct cpuid_regs r = ask(lab, 0, 0);
    char text[13] = "";

    memcpy(text, &r.ebx, 4);
    memcpy(text + 4, &r.edx, 4);
    memcpy(text + 8, &r.ecx, 4);
    ck_assert_str_eq(text, "GenuineIntel");
    ck_assert_uint_eq(r.eax, 0x1f);
    lab_free(lab);
}
END_TEST

START_TEST(crystal_and_ratio_give_a_tsc_of_2_ghz)
{
    struct insn_lab *lab = lab_of("max");
    struct cpuid_regs r = ask(lab, 0x15, 0);

    ck_assert_uint_eq((uint64_t)r.ecx * r.ebx / r.eax, 2000000000);
    ck_assert_uint_eq(ask(lab, 0x16, 0).eax, 2000);
    lab_free(lab);
}
END_TEST

START_TEST(osxsave_follows_cr4)
{
    struct insn_lab *lab = lab_of("max");

    ck_assert_uint_eq(ask(lab, 1, 0).ecx >> 27 & 1, 0);
    lab->cpu->cr4 |= CR4_OSXSAVE;
    ck_assert_uint_eq(ask(lab, 1, 0).ecx >> 27 & 1, 1);
    lab_free(lab);
}
END_TEST

START_TEST(hypervisor_bit_is_off_unless_asked_for)
{
    struct insn_lab *lab = lab_of("max");

    ck_assert_uint_eq(ask(lab, 1, 0).ecx >> 31, 0);
    ck_assert(feature_set(lab->cpu->features, "hypervisor", true));
    ck_assert_uint_eq(ask(lab, 1, 0).ecx >> 31, 1);
    lab_free(lab);
}
END_TEST

START_TEST(leaf_beyond_the_last_answers_like_the_last_basic_one)
{
    struct insn_lab *lab = lab_of("max");
    struct cpuid_regs last = ask(lab, 0x1f, 1), beyond = ask(lab, 0x40000000, 1);

    ck_assert_mem_eq(&last, &beyond, sizeof last);
    lab_free(lab);
}
END_TEST

START_TEST(topology_is_one_package_of_cores)
{
    struct insn_lab *lab = lab_of("max");

    lab->cpu->count = 3;
    lab->cpu->index = 2;
    ck_assert_uint_eq(ask(lab, 0xb, 0).ebx, 1);
    ck_assert_uint_eq(ask(lab, 0xb, 1).eax, 2); /* two bits for three cores */
    ck_assert_uint_eq(ask(lab, 0xb, 1).ebx, 3);
    ck_assert_uint_eq(ask(lab, 0xb, 1).ecx, 0x201);
    ck_assert_uint_eq(ask(lab, 0xb, 2).ebx, 0);
    ck_assert_uint_eq(ask(lab, 0xb, 0).edx, 2);
    ck_assert_uint_eq(ask(lab, 1, 0).ebx >> 16, 0x0203);
    ck_assert_uint_eq(ask(lab, 1, 0).edx >> 28 & 1, 1);
    lab_free(lab);
}
END_TEST

START_TEST(brand_string_and_address_widths)
{
    struct insn_lab *lab = lab_of("max");
    char brand[49] = "";

    for (unsigned i = 0; i < 3; i++) {
        struct cpuid_regs r = ask(lab, 0x80000002 + i, 0);

        memcpy(brand + 16 * i, &r, 16);
    }
    ck_assert_int_eq(strncmp(brand, "nidus", 5), 0);
    ck_assert_uint_eq(ask(lab, 0x80000008, 0).eax, 0x302e);
    lab_free(lab);
}
END_TEST

START_TEST(older_models_lack_what_came_later)
{
    struct insn_lab *lab = lab_of("Penryn");

    ck_assert(cpu_has(lab->cpu, FEAT_SSE41));
    ck_assert(!cpu_has(lab->cpu, FEAT_SSE42));
    ck_assert(!cpu_has(lab->cpu, FEAT_X2APIC));
    lab_free(lab);
    lab = lab_of("Haswell");
    ck_assert(cpu_has(lab->cpu, FEAT_INVPCID));
    ck_assert(!cpu_has(lab->cpu, FEAT_SMAP));
    lab_free(lab);
    ck_assert_ptr_null(cpu_model_find("Pentium"));
}
END_TEST

START_TEST(feature_goes_off_with_what_it_needs)
{
    struct insn_lab *lab = lab_of("max");

    ck_assert(feature_set(lab->cpu->features, "xsave", false));
    ck_assert(!cpu_has(lab->cpu, FEAT_XSAVES));
    ck_assert(!feature_set(lab->cpu->features, "avx512vp2intersect", true));
    ck_assert(!feature_set(lab->cpu->features, "", true));
    ck_assert(feature_set(lab->cpu->features, "sse4_2", false)); /* QEMU's other spelling */
    ck_assert(!cpu_has(lab->cpu, FEAT_SSE42));
    lab_free(lab);
}
END_TEST

START_TEST(cpuid_leaf_1_loads_the_microcode_revision)
{
    struct insn_lab *lab = lab_of("max");

    lab->cpu->msr.bios_sign_id = 0;
    lab->cpu->r[RAX] = 1;
    sys_run(lab, 0x0f, 0xa2);
    ck_assert_uint_eq(lab->cpu->r[RAX], 0x806f8);
    ck_assert_uint_ne(lab->cpu->msr.bios_sign_id >> 32, 0);
    lab_free(lab);
}
END_TEST

Suite *suite_cpu_cpuid(void)
{
    Suite *s = suite_create("cpu/cpuid");
    TCase *t = tcase_create("CPUID");

    tcase_add_test(t, vendor_is_genuine_intel);
    tcase_add_test(t, crystal_and_ratio_give_a_tsc_of_2_ghz);
    tcase_add_test(t, osxsave_follows_cr4);
    tcase_add_test(t, hypervisor_bit_is_off_unless_asked_for);
    tcase_add_test(t, leaf_beyond_the_last_answers_like_the_last_basic_one);
    tcase_add_test(t, topology_is_one_package_of_cores);
    tcase_add_test(t, brand_string_and_address_widths);
    tcase_add_test(t, older_models_lack_what_came_later);
    tcase_add_test(t, feature_goes_off_with_what_it_needs);
    tcase_add_test(t, cpuid_leaf_1_loads_the_microcode_revision);
    suite_add_tcase(s, t);
    return s;
}
