/* CPUID: constant leaves, the feature bits of features.def, what depends on the processor's state and
 * place; and the models. [SDM 2A "CPUID"] */
#include "cpu/cpuid.h"

#include <string.h>

#include "cpu/msr.h"

#define REG_EAX offsetof(struct cpuid_regs, eax)
#define REG_EBX offsetof(struct cpuid_regs, ebx)
#define REG_ECX offsetof(struct cpuid_regs, ecx)
#define REG_EDX offsetof(struct cpuid_regs, edx)
#define REG_NONE SIZE_MAX

static const struct feature_row {
    const char *name;
    uint32_t leaf, subleaf;
    size_t reg; /* offset in struct cpuid_regs */
    unsigned bit;
} feature_rows[FEAT_COUNT] = {
#define FEATURE(id, name, leaf, subleaf, reg, bit, doc) \
    [FEAT_##id] = { name, leaf, subleaf, REG_##reg, bit },
#include "cpu/features.def"
};

/* ---- leaves that depend on the processor ---- */

static void cpuid_vendor(const struct cpu *cpu, uint32_t leaf, uint32_t subleaf,
                         struct cpuid_regs *out)
{
    bool limited = cpu->msr.misc_enable & MSR_MISC_ENABLE_LIMIT_CPUID;

    out->eax = limited ? 2 : cpu->model->last_leaf;
    memcpy(&out->ebx, "Genu", 4);
    memcpy(&out->edx, "ineI", 4);
    memcpy(&out->ecx, "ntel", 4);
}

static bool cpuid_apic_is_on(const struct cpu *cpu)
{
    return !cpu->apic || cpu->apic->read_base(cpu->apic_owner) & MSR_APIC_BASE_ENABLE;
}

static void cpuid_signature(const struct cpu *cpu, uint32_t leaf, uint32_t subleaf,
                            struct cpuid_regs *out)
{
    out->eax = cpu->model->signature;
    /* APIC ID, processors of the package, CLFLUSH line in units of 8 bytes */
    out->ebx = cpu->index << 24 | (cpu->count & 0xff) << 16 | 8 << 8;
    if (cpu->cr4 & CR4_OSXSAVE)
        out->ecx |= 1u << 27;
    if (!(cpu->msr.misc_enable & MSR_MISC_ENABLE_MONITOR))
        out->ecx &= ~(1u << 3);
    if (!cpuid_apic_is_on(cpu))
        out->edx &= ~(1u << 9);
    if (cpu->count < 2)
        out->edx &= ~(1u << 28); /* HTT */
}

/* bits of an APIC ID that number the cores of the package */
static unsigned core_bits(const struct cpu *cpu)
{
    unsigned n = 0;

    while (1u << n < cpu->count)
        n++;
    return n;
}

/* leaf 4: how many IDs share the cache (25:14) and number cores (31:26), less 1 */
static void cpuid_cores(const struct cpu *cpu, uint32_t leaf, uint32_t subleaf,
                        struct cpuid_regs *out)
{
    uint32_t ids = (1u << core_bits(cpu)) - 1;

    if ((out->eax & 0x1f) == 0)
        return;
    out->eax |= ids << 26;
    if (subleaf == 3)
        out->eax |= ids << 14;
}

static void cpuid_mwait(const struct cpu *cpu, uint32_t leaf, uint32_t subleaf,
                        struct cpuid_regs *out)
{
    if (cpu_has(cpu, FEAT_MONITOR))
        *out = (struct cpuid_regs){ .eax = 64, .ebx = 64, .ecx = 3, .edx = 0x10 };
}

/* one package of single-thread cores */
static void cpuid_topology(const struct cpu *cpu, uint32_t leaf, uint32_t subleaf,
                           struct cpuid_regs *out)
{
    out->ecx = subleaf & 0xff;
    out->edx = cpu->index;
    if (subleaf == 0) {
        out->ebx = 1;
        out->ecx |= 1 << 8; /* threads of a core */
    } else if (subleaf == 1) {
        out->eax = core_bits(cpu);
        out->ebx = cpu->count;
        out->ecx |= 2 << 8; /* cores */
    }
}

/* XSAVE: legacy region and header, no more components; sizes in bytes */
static void cpuid_state(const struct cpu *cpu, uint32_t leaf, uint32_t subleaf,
                        struct cpuid_regs *out)
{
    if (!cpu_has(cpu, FEAT_XSAVE)) {
        *out = (struct cpuid_regs){ 0 };
    } else if (subleaf == 0) {
        *out = (struct cpuid_regs){ .eax = 3, .ebx = 576, .ecx = 576 };
    } else if (subleaf == 1 && (cpu_has(cpu, FEAT_XSAVEC) || cpu_has(cpu, FEAT_XSAVES))) {
        out->ebx = 576;
    }
}

static void cpuid_brand(const struct cpu *cpu, uint32_t leaf, uint32_t subleaf,
                        struct cpuid_regs *out)
{
    char text[48] = "";

    strncpy(text, cpu->model->brand, sizeof text - 1);
    memcpy(out, text + 16 * (leaf - 0x80000002), 16);
}
_Static_assert(sizeof(struct cpuid_regs) == 16, "16 characters of the brand string a leaf");

/* ---- CPUID ---- */

static void cpuid_constants(uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out)
{
    static const struct {
        uint32_t leaf, subleaf;
        struct cpuid_regs regs;
    } rows[] = {
#define LEAF(leaf, subleaf, eax, ebx, ecx, edx) { leaf, subleaf, { eax, ebx, ecx, edx } },
#define LEAF_CALL(...)
#define MODEL(...)
#define SINCE(...)
#define NOT_IN_MODELS(...)
#define NEEDS(...)
#include "cpu/cpuid.def"
    };

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].leaf == leaf && rows[i].subleaf == subleaf)
            *out = rows[i].regs;
    }
}

static void cpuid_features(const struct cpu *cpu, uint32_t leaf, uint32_t subleaf,
                           struct cpuid_regs *out)
{
    for (unsigned f = 0; f < FEAT_COUNT; f++) {
        const struct feature_row *row = &feature_rows[f];

        if (row->leaf == leaf && row->subleaf == subleaf && row->reg != REG_NONE &&
            cpu_has(cpu, (enum feature)f)) {
            uint32_t *reg = (uint32_t *)((uint8_t *)out + row->reg);

            *reg |= UINT32_C(1) << row->bit;
        }
    }
}

/* leaves that ignore ECX answer whatever it holds */
static bool cpuid_has_subleaves(uint32_t leaf)
{
    return leaf == 4 || leaf == 7 || leaf == 0xb || leaf == 0xd || leaf == 0x1f;
}

void cpuid(const struct cpu *cpu, uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out)
{
    static const struct {
        uint32_t leaf;
        void (*call)(const struct cpu *, uint32_t, uint32_t, struct cpuid_regs *);
    } calls[] = {
#define LEAF(...)
#define LEAF_CALL(leaf, function) { leaf, cpuid_##function },
#define MODEL(...)
#define SINCE(...)
#define NOT_IN_MODELS(...)
#define NEEDS(...)
#include "cpu/cpuid.def"
    };
    bool limited = cpu->msr.misc_enable & MSR_MISC_ENABLE_LIMIT_CPUID;
    uint32_t last = limited ? 2 : cpu->model->last_leaf, row_subleaf;

    *out = (struct cpuid_regs){ 0 };
    /* beyond the last leaf of its kind: the last basic one's answer */
    if (leaf >> 31 ? leaf > 0x80000008 : leaf > last)
        leaf = last;
    row_subleaf = cpuid_has_subleaves(leaf) ? subleaf : 0;
    cpuid_constants(leaf, row_subleaf, out);
    cpuid_features(cpu, leaf, row_subleaf, out);
    for (unsigned i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        if (calls[i].leaf == leaf)
            calls[i].call(cpu, leaf, subleaf, out);
    }
}

/* ---- models ---- */

enum {
#define LEAF(...)
#define LEAF_CALL(...)
#define MODEL(id, ...) MODEL_##id,
#define SINCE(...)
#define NOT_IN_MODELS(...)
#define NEEDS(...)
#include "cpu/cpuid.def"
    MODEL_COUNT
};

static const struct cpu_model models[MODEL_COUNT] = {
#define LEAF(...)
#define LEAF_CALL(...)
#define MODEL(id, name, title, brand, signature, last) { name, title, brand, signature, last },
#define SINCE(...)
#define NOT_IN_MODELS(...)
#define NEEDS(...)
#include "cpu/cpuid.def"
};

/* the first model with each feature; 0 where there is no row: the oldest */
static const uint8_t feature_since[FEAT_COUNT] = {
#define LEAF(...)
#define LEAF_CALL(...)
#define MODEL(...)
#define SINCE(feature, model) [FEAT_##feature] = MODEL_##model,
#define NOT_IN_MODELS(feature) [FEAT_##feature] = MODEL_COUNT,
#define NEEDS(...)
#include "cpu/cpuid.def"
};

static const struct {
    uint16_t feature, needs;
} feature_needs[] = {
#define LEAF(...)
#define LEAF_CALL(...)
#define MODEL(...)
#define SINCE(...)
#define NOT_IN_MODELS(...)
#define NEEDS(feature, other) { FEAT_##feature, FEAT_##other },
#include "cpu/cpuid.def"
};

const struct cpu_model *cpu_model_find(const char *name)
{
    for (unsigned i = 0; i < MODEL_COUNT; i++) {
        if (strcmp(models[i].name, name) == 0)
            return &models[i];
    }
    return NULL;
}

static bool feature_is_on(const uint64_t *features, unsigned f)
{
    return bit(features[f / 64], f % 64);
}

static void feature_put(uint64_t *features, unsigned f, bool on)
{
    features[f / 64] = (features[f / 64] & ~BIT(f % 64)) | (uint64_t)on << f % 64;
}

static void feature_drop_dependent(uint64_t *features)
{
    bool again = true;

    while (again) {
        again = false;
        for (unsigned i = 0; i < sizeof feature_needs / sizeof feature_needs[0]; i++) {
            if (feature_is_on(features, feature_needs[i].feature) &&
                !feature_is_on(features, feature_needs[i].needs)) {
                feature_put(features, feature_needs[i].feature, false);
                again = true;
            }
        }
    }
}

void cpu_model_features(const struct cpu_model *m, uint64_t *features)
{
    unsigned model = (unsigned)(m - models);

    memset(features, 0, FEATURE_WORDS * sizeof features[0]);
    for (unsigned f = 0; f < FEAT_COUNT; f++)
        feature_put(features, f, feature_since[f] <= model);
    feature_drop_dependent(features);
}

/* QEMU takes "sse4_1", "sse4-1" and "sse4.1" */
static bool feature_same_name(const char *a, const char *b)
{
    static const char same[] = "-_.";

    for (; *a && *b; a++, b++) {
        if (*a != *b && !(strchr(same, *a) && strchr(same, *b)))
            return false;
    }
    return *a == *b;
}

bool feature_set(uint64_t *features, const char *name, bool on)
{
    for (unsigned f = 0; f < FEAT_COUNT; f++) {
        if (f == FEAT_BASE || !feature_same_name(feature_rows[f].name, name))
            continue;
        feature_put(features, f, on);
        feature_drop_dependent(features);
        return true;
    }
    return false;
}

void cpuid_list(FILE *out)
{
    fprintf(out, "models:\n");
    for (unsigned i = 0; i < MODEL_COUNT; i++)
        fprintf(out, "  %-16s %s\n", models[i].name, models[i].title);
    fprintf(out, "features:");
    for (unsigned f = 0; f < FEAT_COUNT; f++) {
        if (f != FEAT_BASE)
            fprintf(out, " %s", feature_rows[f].name);
    }
    fputc('\n', out);
}
