/* VMCS fields and regions. See vmx/vmcs.h. [SDM 3C "VMCS Data", "Field Encoding in VMCS"] */
#include "vmx/vmcs.h"

#include <assert.h>
#include <string.h>

#define VMCS_FIELD(name, enc, width, kind, at, need, stale, doc)                           \
    static_assert(((enc) >> 13 & 3) == VMCS_##width, #name ": width, bits 14:13");         \
    static_assert(((enc) >> 10 & 3) == VMCS_##kind, #name ": kind, bits 11:10");           \
    static_assert(((enc) >> 1 & 0x1ff) < 1 << VMCS_INDEX_BITS, #name ": index, bits 9:1"); \
    static_assert(((enc)&0x9001) == 0, #name ": reserved bits, and access type full");     \
    static_assert(sizeof(((struct vmcs *)0)->at) == BYTES_##width, #name ": cache size");
#include "vmx/vmcs_fields.def"

const struct vmcs_field vmcs_fields[VMCS_FIELD_COUNT] = {
#define VMCS_FIELD(name, enc, width, kind, at, need, stale, doc) \
    {                                                            \
        enc,           offsetof(struct vmcs, at),                \
        BYTES_##width, VMCS_##kind,                              \
        STALE_##stale, NEED_##need,                              \
        #name,         doc                                       \
    },
#include "vmx/vmcs_fields.def"
};

/* ---- encodings ---- */

static unsigned vmcs_slot(uint64_t encoding)
{
    unsigned kind = (unsigned)bits(encoding, 14, 13) << 2 | (unsigned)bits(encoding, 11, 10);

    return kind << VMCS_INDEX_BITS | (unsigned)bits(encoding, VMCS_INDEX_BITS, 1);
}

void vmcs_map_build(struct vmcs_map *map, const struct vmx_caps *caps)
{
    memset(map, 0, sizeof *map);
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++) {
        if (vmx_has(caps, vmcs_fields[i].need))
            map->field[vmcs_slot(vmcs_fields[i].encoding)] = (uint8_t)(i + 1);
    }
}

const struct vmcs_field *vmcs_find(const struct vmcs_map *map, uint64_t encoding)
{
    unsigned n;

    if (encoding & (~BITS(14, 0) | BIT(12) | BITS(9, VMCS_INDEX_BITS + 1)))
        return NULL;
    n = map->field[vmcs_slot(encoding)];
    if (n == 0)
        return NULL;
    if (encoding & 1 && bits(encoding, 14, 13) != VMCS_64)
        return NULL; /* only 64-bit fields have a high half */
    return &vmcs_fields[n - 1];
}

uint64_t vmcs_read(const struct vmcs *v, const struct vmcs_field *f, bool high)
{
    uint64_t value = 0;

    memcpy(&value, (const uint8_t *)v + f->offset, f->bytes);
    return high ? value >> 32 : value;
}

/* What the controls mean while secondary controls are off: all of them 0. */
static void vmcs_settle(struct vmcs *v)
{
    uint32_t was = v->ctl.proc2;

    v->ctl.proc2 = v->ctl.proc & PROC(SECONDARY) ? v->ctl.proc2_field : 0;
    if (was != v->ctl.proc2)
        v->stale = STALE_ALL;
}

void vmcs_write(struct vmcs *v, const struct vmcs_field *f, bool high, uint64_t value)
{
    if (high)
        value = bits_set(vmcs_read(v, f, false), 63, 32, value);
    memcpy((uint8_t *)v + f->offset, &value, f->bytes);
    v->stale |= f->stale;
    if (f->stale & STALE_CONTROLS)
        vmcs_settle(v);
}

uint64_t vmcs_enum(const struct vmx_caps *caps)
{
    uint64_t highest = 0;

    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++) {
        uint64_t index = bits(vmcs_fields[i].encoding, 9, 1);

        if (vmx_has(caps, vmcs_fields[i].need) && index > highest)
            highest = index;
    }
    return highest << 1;
}

/* ---- the region ---- */

enum { REGION_REVISION = 0, REGION_ABORT = 4, REGION_LAUNCHED = 8, REGION_FIELDS = 16 };

/* clang-format off */
enum {
    REGION_BYTES = REGION_FIELDS
#define VMCS_FIELD(name, enc, width, kind, at, need, stale, doc) +BYTES_##width
#include "vmx/vmcs_fields.def"
};
/* clang-format on */
static_assert(REGION_BYTES <= 4096, "a VMCS region is one page");

void vmcs_load(struct vmcs *v, struct bus *bus, uint64_t pa)
{
    uint8_t image[REGION_BYTES];
    const uint8_t *at = image + REGION_FIELDS;

    bus_read_bytes(bus, pa, image, sizeof image);
    memset(v, 0, sizeof *v);
    v->pa = pa;
    v->launched = image[REGION_LAUNCHED] & LAUNCH_LAUNCHED;
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++) {
        memcpy((uint8_t *)v + vmcs_fields[i].offset, at, vmcs_fields[i].bytes);
        at += vmcs_fields[i].bytes;
    }
    vmcs_settle(v);
    v->stale = STALE_ALL;
}

void vmcs_store(const struct vmcs *v, struct bus *bus)
{
    uint8_t image[REGION_BYTES];
    uint8_t *at = image + REGION_FIELDS;

    bus_read_bytes(bus, v->pa, image, REGION_FIELDS); /* revision and abort indicator stay */
    image[REGION_LAUNCHED] = (uint8_t)v->launched;
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++) {
        memcpy(at, (const uint8_t *)v + vmcs_fields[i].offset, vmcs_fields[i].bytes);
        at += vmcs_fields[i].bytes;
    }
    bus_write_bytes(bus, v->pa + REGION_LAUNCHED, image + REGION_LAUNCHED,
                    sizeof image - REGION_LAUNCHED);
}

void vmcs_clear_region(struct bus *bus, uint64_t pa)
{
    bus_write(bus, pa + REGION_LAUNCHED, LAUNCH_CLEAR, 4);
}

void vmcs_set_abort(struct bus *bus, uint64_t pa, uint32_t indicator)
{
    bus_write(bus, pa + REGION_ABORT, indicator, 4);
}
