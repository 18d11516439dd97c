/* What answers an access to a range of physical addresses or I/O ports. */
#pragma once
#include <stdint.h>

/* access sizes in bytes, as bits, so that a mask of them can be declared */
enum { SIZE_8 = 1, SIZE_16 = 2, SIZE_32 = 4, SIZE_64 = 8, SIZE_ANY = 15 };

struct io_ops {
    uint64_t (*read)(void *owner, uint64_t offset, unsigned size);
    void (*write)(void *owner, uint64_t offset, uint64_t value, unsigned size);
    /* Sizes the part decodes itself. The bus splits a wider access into the widest of these, low
     * address first, and widens a narrower one (reads the aligned wide unit and takes the bytes;
     * a narrower write is passed with its own size). 0 means SIZE_ANY. */
    uint8_t sizes;
};

/* One access of 1, 2, 4 or 8 bytes, split or widened as said above. A part without a read function
 * reads as ones, one without a write function ignores writes. */
uint64_t io_read(const struct io_ops *ops, void *owner, uint64_t offset, unsigned size);
void io_write(const struct io_ops *ops, void *owner, uint64_t offset, uint64_t value,
              unsigned size);
