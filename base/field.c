#include "base/field.h"

#include <inttypes.h>
#include <string.h>

static bool is_scalar(uint32_t elem)
{
    return elem == 1 || elem == 2 || elem == 4 || elem == 8;
}

static uint64_t element(const uint8_t *at, uint32_t elem)
{
    uint64_t v = 0;

    memcpy(&v, at, elem); /* little-endian machines only, as the guest's images are */
    return v;
}

void fields_reset(void *obj, const struct field *list)
{
    for (; list->name; list++) {
        uint8_t *at = (uint8_t *)obj + list->offset;

        if (list->kept)
            continue;
        if (!is_scalar(list->elem)) {
            memset(at, (int)list->reset, list->size);
            continue;
        }
        for (uint32_t i = 0; i < list->size; i += list->elem)
            memcpy(at + i, &list->reset, list->elem);
    }
}

void fields_show(const void *obj, const struct field *list, FILE *out)
{
    for (; list->name; list++) {
        const uint8_t *at = (const uint8_t *)obj + list->offset;
        uint32_t elem = is_scalar(list->elem) ? list->elem : 1;
        uint32_t shown = list->size / elem > 64 ? 64 * elem : list->size;

        fprintf(out, "%-20s", list->name);
        for (uint32_t i = 0; i < shown; i += elem)
            fprintf(out, " %0*" PRIx64, (int)(2 * elem), element(at + i, elem));
        fprintf(out, "%s\n", shown < list->size ? " ..." : "");
    }
}

const struct field *fields_compare(const void *a, const void *b, const struct field *list)
{
    for (; list->name; list++) {
        if (memcmp((const uint8_t *)a + list->offset, (const uint8_t *)b + list->offset,
                   list->size) != 0)
            return list;
    }
    return NULL;
}

size_t fields_bytes(const struct field *list)
{
    size_t bytes = 0;

    for (; list->name; list++)
        bytes += list->size;
    return bytes;
}

size_t fields_save(const void *obj, const struct field *list, uint8_t *image)
{
    uint8_t *at = image;

    for (; list->name; list++) {
        memcpy(at, (const uint8_t *)obj + list->offset, list->size);
        at += list->size;
    }
    return (size_t)(at - image);
}

bool fields_restore(void *obj, const struct field *list, const uint8_t *image, size_t bytes)
{
    if (bytes != fields_bytes(list))
        return false;
    for (; list->name; list++) {
        memcpy((uint8_t *)obj + list->offset, image, list->size);
        image += list->size;
    }
    return true;
}
