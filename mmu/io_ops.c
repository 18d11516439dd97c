/* Access splitting between what a processor does and what a part decodes. See mmu/io_ops.h. */
#include "mmu/io_ops.h"

#include "base/bits.h"

/* The unit in which `sizes` can serve an access of `size` bytes: the access itself, else the widest
 * narrower one, else the narrowest wider one. Sizes in bytes and their mask bits are the same
 * numbers. */
static unsigned io_unit(unsigned sizes, unsigned size)
{
    unsigned narrower;

    if (sizes == 0 || sizes & size)
        return size;
    narrower = sizes & (size - 1);
    if (narrower)
        return 1u << (31 - __builtin_clz(narrower));
    return sizes & -sizes;
}

static uint64_t io_read_wider(const struct io_ops *ops, void *owner, uint64_t offset, unsigned size,
                              unsigned unit)
{
    uint64_t first = align_down(offset, unit);
    unsigned skip = (unsigned)(offset - first);
    uint64_t v = zero_extend(ops->read(owner, first, unit), unit) >> 8 * skip;

    if (skip + size > unit)
        v |= ops->read(owner, first + unit, unit) << 8 * (unit - skip);
    return zero_extend(v, size);
}

uint64_t io_read(const struct io_ops *ops, void *owner, uint64_t offset, unsigned size)
{
    unsigned unit = io_unit(ops->sizes, size);
    uint64_t v = 0;

    if (!ops->read)
        return zero_extend(UINT64_MAX, size);
    if (likely(unit == size))
        return zero_extend(ops->read(owner, offset, size), size);
    if (unit > size)
        return io_read_wider(ops, owner, offset, size, unit);
    for (unsigned i = 0; i < size; i += unit)
        v |= zero_extend(ops->read(owner, offset + i, unit), unit) << 8 * i;
    return v;
}

void io_write(const struct io_ops *ops, void *owner, uint64_t offset, uint64_t value, unsigned size)
{
    unsigned unit = io_unit(ops->sizes, size);

    if (!ops->write)
        return;
    if (likely(unit >= size)) {
        ops->write(owner, offset, zero_extend(value, size), size);
        return;
    }
    for (unsigned i = 0; i < size; i += unit)
        ops->write(owner, offset + i, zero_extend(value >> 8 * i, unit), unit);
}
