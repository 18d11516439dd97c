/* Names of native code for perf(1): lines of "address size name", in hexadecimal, as perf reads them
 * from /tmp/perf-PID.map. Native code that has been forgotten keeps its line. */
#include "cpu/jit/perf_map.h"

#include <inttypes.h>

static void name_stub(const struct jit *jit, const uint8_t *at, const uint8_t *end,
                      const char *name)
{
    fprintf(jit->perf_map, "%" PRIxPTR " %tx nidus:%s\n", (uintptr_t)at, end - at, name);
}

void jit_perf_map(struct cpu *cpu, FILE *out)
{
    struct jit *jit = cpu->jit;
    const uint8_t *at = NULL;
    const char *name = NULL;

    if (!jit)
        return;
    jit->perf_map = out;
#define STUB(next)                                \
    if (name)                                     \
        name_stub(jit, at, jit->stub.next, name); \
    at = jit->stub.next;                          \
    name = #next;
    JIT_STUB_LIST(STUB)
#undef STUB
    name_stub(jit, at, jit->stub_end, name);
}

static void name_part(const struct jit *jit, const struct native_block *nb, const uint8_t *at,
                      uint32_t bytes, uint64_t rip, const char *part)
{
    uint32_t key = nb->b->key;

    if (bytes > 0)
        fprintf(jit->perf_map, "%" PRIxPTR " %" PRIx32 " guest:%016" PRIx64 "%s%s%s\n",
                (uintptr_t)at, bytes, rip, key & KEY_USER ? ":user" : "",
                key & KEY_NON_ROOT ? ":non-root" : "", part);
}

void perf_map_block(const struct jit *jit, const struct native_block *nb, uint64_t rip)
{
    name_part(jit, nb, nb->code, nb->hot_bytes, rip, "");
    name_part(jit, nb, nb->cold, nb->cold_bytes, rip, ":cold");
}
