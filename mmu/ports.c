/* The 64 Ki I/O ports: a table from port to mapping, so that an access is one look-up whatever the
 * number of devices. [SDM 1 "I/O Port Addressing"] */
#include "mmu/ports.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"

#define PORT_COUNT 0x10000u

struct ports_mapping {
    unsigned first, last; /* what is still mapped of it */
    unsigned origin;      /* the port at offset 0 */
    const char *name;
    const struct io_ops *ops;
    void *owner;
};

struct ports {
    struct ports_mapping *mapping; /* in the order of mapping; [0] is what nothing decodes */
    unsigned count, capacity;
    uint16_t at[PORT_COUNT]; /* index of the mapping that wins at this port */
};

struct ports *ports_create(void)
{
    struct ports *p = calloc(1, sizeof *p);

    ASSERT(p);
    p->capacity = 32;
    p->mapping = calloc(p->capacity, sizeof *p->mapping);
    ASSERT(p->mapping);
    p->mapping[0].name = "nothing";
    p->count = 1;
    return p;
}

void ports_destroy(struct ports *p)
{
    if (!p)
        return;
    free(p->mapping);
    free(p);
}

static void ports_paint(struct ports *p, unsigned index)
{
    const struct ports_mapping *r = &p->mapping[index];

    for (unsigned port = r->first; port <= r->last; port++)
        p->at[port] = (uint16_t)index;
}

static struct ports_mapping *ports_append(struct ports *p)
{
    ASSERT(p->count < UINT16_MAX);
    if (p->count == p->capacity) {
        p->capacity *= 2;
        p->mapping = realloc(p->mapping, p->capacity * sizeof *p->mapping);
        ASSERT(p->mapping);
    }
    return &p->mapping[p->count++];
}

void ports_map(struct ports *p, uint16_t base, unsigned count, const char *name,
               const struct io_ops *ops, void *owner)
{
    ASSERT(count > 0 && base + count <= PORT_COUNT);
    *ports_append(p) = (struct ports_mapping){
        .first = base,
        .last = base + count - 1,
        .origin = base,
        .name = name,
        .ops = ops,
        .owner = owner,
    };
    ports_paint(p, p->count - 1);
}

/* Cut ports [first, last] out of mapping `index`; what lies above becomes a mapping of its own
 * right behind it, so that the order of mapping is kept. */
static void ports_cut(struct ports *p, unsigned index, unsigned first, unsigned last)
{
    struct ports_mapping *r = &p->mapping[index];
    struct ports_mapping above = *r;
    bool has_below = r->first<first, has_above = r->last> last;

    above.first = last + 1;
    if (has_below)
        r->last = first - 1;
    if (has_below && has_above) {
        ports_append(p);
        memmove(&p->mapping[index + 2], &p->mapping[index + 1], (p->count - index - 2) * sizeof *r);
        p->mapping[index + 1] = above;
    } else if (has_above) {
        *r = above;
    } else if (!has_below) {
        memmove(r, r + 1, (p->count - index - 1) * sizeof *r);
        p->count--;
    }
}

void ports_unmap(struct ports *p, uint16_t base, unsigned count, void *owner)
{
    unsigned first = base, last = base + count - 1;

    if (count == 0)
        return;
    for (unsigned i = p->count - 1; i > 0; i--) {
        const struct ports_mapping *r = &p->mapping[i];

        if (r->owner == owner && r->first <= last && r->last >= first)
            ports_cut(p, i, first, last);
    }
    memset(p->at, 0, sizeof p->at);
    for (unsigned i = 1; i < p->count; i++)
        ports_paint(p, i);
}

/* one mapping decodes all bytes of the access */
static bool ports_whole(const struct ports *p, unsigned port, unsigned size)
{
    if (port + size > PORT_COUNT)
        return false;
    for (unsigned i = 1; i < size; i++)
        if (p->at[port + i] != p->at[port])
            return false;
    return true;
}

uint32_t ports_read(struct ports *p, uint16_t port, unsigned size)
{
    const struct ports_mapping *r = &p->mapping[p->at[port]];
    uint32_t v = 0;

    if (likely(ports_whole(p, port, size))) {
        if (!r->ops)
            return (uint32_t)zero_extend(UINT64_MAX, size);
        return (uint32_t)io_read(r->ops, r->owner, port - r->origin, size);
    }
    for (unsigned i = 0; i < size; i++) {
        uint32_t byte = port + i < PORT_COUNT ? ports_read(p, (uint16_t)(port + i), 1) : 0xff;

        v |= byte << 8 * i;
    }
    return v;
}

void ports_write(struct ports *p, uint16_t port, uint32_t value, unsigned size)
{
    const struct ports_mapping *r = &p->mapping[p->at[port]];

    if (likely(ports_whole(p, port, size))) {
        if (r->ops)
            io_write(r->ops, r->owner, port - r->origin, value, size);
        return;
    }
    for (unsigned i = 0; i < size && port + i < PORT_COUNT; i++)
        ports_write(p, (uint16_t)(port + i), value >> 8 * i & 0xff, 1);
}

void ports_show(const struct ports *p, FILE *out)
{
    unsigned first = 0;

    for (unsigned port = 1; port <= PORT_COUNT; port++) {
        const struct ports_mapping *r = &p->mapping[p->at[first]];

        if (port < PORT_COUNT && p->at[port] == p->at[first])
            continue;
        if (r->ops)
            fprintf(out, "%04x-%04x %s\n", first, port - 1, r->name);
        first = port;
    }
}
