/* Lists of the guest-visible fields of a struct: reset, save, restore, show and compare walk them.
 * What is in no list does not exist. A list ends with { 0 }. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct field {
    const char *name;
    uint32_t offset;
    uint32_t size;  /* bytes of the whole member */
    uint32_t elem;  /* bytes of one element: 1, 2, 4 or 8; other sizes are raw bytes */
    uint64_t reset; /* value of each element after reset */
    bool kept;      /* reset leaves it alone (battery-backed, or set at creation) */
};

#define FIELD_SIZE(type, member) ((uint32_t)sizeof(((type *)0)->member))

/* a scalar member: FIELD(struct port92, value, .reset = 0) */
#define FIELD(type, member, ...)                                                        \
    {                                                                                   \
        .name = #member, .offset = (uint32_t)offsetof(type, member),                    \
        .size = FIELD_SIZE(type, member), .elem = FIELD_SIZE(type, member), __VA_ARGS__ \
    }

/* an array of scalars */
#define FIELD_ARRAY(type, member, ...)                                                     \
    {                                                                                      \
        .name = #member, .offset = (uint32_t)offsetof(type, member),                       \
        .size = FIELD_SIZE(type, member), .elem = FIELD_SIZE(type, member[0]), __VA_ARGS__ \
    }

void fields_reset(void *obj, const struct field *list);
void fields_show(const void *obj, const struct field *list, FILE *out);
/* the first field in which a and b differ, or NULL */
const struct field *fields_compare(const void *a, const void *b, const struct field *list);
/* bytes that fields_save writes */
size_t fields_bytes(const struct field *list);
/* little-endian image of the fields, in list order; returns bytes */
size_t fields_save(const void *obj, const struct field *list, uint8_t *image);
/* false if `bytes` is not fields_bytes(list); obj is then untouched */
bool fields_restore(void *obj, const struct field *list, const uint8_t *image, size_t bytes);
