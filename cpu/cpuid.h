/* CPUID leaves and processor models: cpuid.def. cpu/cpuid.c. */
#pragma once
#include "base/err.h"
#include "cpu/cpu.h"

struct cpu_model {
    const char *name; /* as in QEMU: "max", ... */
    const char *title;
    const char *brand;  /* 48 characters at most */
    uint32_t signature; /* CPUID.1:EAX */
    uint32_t last_leaf; /* CPUID.0:EAX */
};

struct cpuid_regs {
    uint32_t eax, ebx, ecx, edx;
};

void cpuid(const struct cpu *cpu, uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out);

const struct cpu_model *cpu_model_find(const char *name);
/* the features of a model, as FEATURE_WORDS words */
void cpu_model_features(const struct cpu_model *m, uint64_t *features);
/* "+name" and "-name" work on this; false if there is no such feature. A feature whose prerequisite
 * is off goes off too. */
bool feature_set(uint64_t *features, const char *name, bool on);
/* models and feature names, for -cpu help */
void cpuid_list(FILE *out);
