/* Processor features: CPUID bits by QEMU's names, from features.def. */
#pragma once
#include <stdint.h>

/* clang-format off */
enum feature {
#define FEATURE(id, name, leaf, subleaf, reg, bit, doc) FEAT_##id,
#include "cpu/features.def"
    FEAT_COUNT
};
/* clang-format on */
#define FEATURE_WORDS ((FEAT_COUNT + 63) / 64)
