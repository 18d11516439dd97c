#include "base/differ.h"

#include <inttypes.h>
#include <string.h>

void differ_value(struct differences *d, const char *name, uint64_t a, uint64_t b)
{
    if (a == b)
        return;
    d->count++;
    if (d->out && d->count <= DIFFER_LINES)
        fprintf(d->out, "  %s %s: %016" PRIx64 ", %016" PRIx64 "\n", d->part, name, a, b);
}

static void differ_name(const struct field *f, uint32_t at, uint32_t unit, char *name, size_t size)
{
    if (unit < f->elem) /* a piece of a large element */
        snprintf(name, size, "%s[%u]+%u", f->name, at / f->elem, at % f->elem);
    else if (unit < f->size)
        snprintf(name, size, "%s[%u]", f->name, at / unit);
    else
        snprintf(name, size, "%s", f->name);
}

static void differ_field(struct differences *d, const uint8_t *a, const uint8_t *b,
                         const struct field *f)
{
    bool scalar = f->elem == 1 || f->elem == 2 || f->elem == 4 || f->elem == 8;
    uint32_t unit = scalar ? f->elem : f->size % 8 == 0 ? 8 : 1;

    for (uint32_t i = 0; i < f->size; i += unit) {
        uint64_t x = 0, y = 0;
        char name[96];

        memcpy(&x, a + i, unit);
        memcpy(&y, b + i, unit);
        if (x == y)
            continue;
        differ_name(f, i, unit, name, sizeof name);
        differ_value(d, name, x, y);
    }
}

void differ_fields(struct differences *d, const void *a, const void *b, const struct field *list,
                   bool (*skip)(const struct field *f))
{
    for (; list->name; list++) {
        const uint8_t *x = (const uint8_t *)a + list->offset;
        const uint8_t *y = (const uint8_t *)b + list->offset;

        if (memcmp(x, y, list->size) != 0 && !(skip && skip(list)))
            differ_field(d, x, y, list);
    }
}
