/* Checked access of devices to guest RAM. Reads look at the native pages, writes go through the
 * bus, which tracks dirty pages and decoded code. */
#include "devices/dma.h"

#include <string.h>

bool dma_is_ram(struct bus *b, uint64_t pa, uint64_t count)
{
    uint64_t last = pa + count - 1;

    if (count == 0)
        return true;
    if (last < pa)
        return false;
    for (uint64_t page = pa & PAGE_MASK;; page += PAGE_SIZE) {
        if (!bus_native(b, page))
            return false;
        if (page == (last & PAGE_MASK))
            return true;
    }
}

bool dma_read(struct bus *b, uint64_t pa, void *bytes, size_t count)
{
    uint8_t *to = bytes;

    if (!dma_is_ram(b, pa, count))
        return false;
    while (count > 0) {
        uint64_t in_page = pa % PAGE_SIZE;
        size_t part = PAGE_SIZE - in_page < count ? PAGE_SIZE - in_page : count;

        memcpy(to, bus_native(b, pa - in_page) + in_page, part);
        pa += part;
        to += part;
        count -= part;
    }
    return true;
}

bool dma_write(struct bus *b, uint64_t pa, const void *bytes, size_t count)
{
    if (!dma_is_ram(b, pa, count))
        return false;
    if (count > 0)
        bus_write_bytes(b, pa, bytes, count);
    return true;
}

bool dma_clear(struct bus *b, uint64_t pa, uint64_t count)
{
    static const uint8_t zeros[PAGE_SIZE];

    if (!dma_is_ram(b, pa, count))
        return false;
    while (count > 0) {
        size_t part = count < sizeof zeros ? (size_t)count : sizeof zeros;

        bus_write_bytes(b, pa, zeros, part);
        pa += part;
        count -= part;
    }
    return true;
}

bool dma_load(struct bus *b, uint64_t pa, unsigned size, uint64_t *value)
{
    const uint8_t *page = pa % size == 0 ? bus_native(b, pa & PAGE_MASK) : NULL;

    if (!page)
        return false;
    *value = 0;
    memcpy(value, page + pa % PAGE_SIZE, size);
    return true;
}

bool dma_store(struct bus *b, uint64_t pa, unsigned size, uint64_t value)
{
    if (pa % size != 0 || !bus_native(b, pa & PAGE_MASK))
        return false;
    bus_write(b, pa, value, size);
    return true;
}
