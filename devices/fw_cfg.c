/* QEMU's firmware configuration device: selector and data at ports 0x510 and 0x511, the DMA
 * interface at 0x514. Nothing is writable by the guest.
 * [QEMU documentation "QEMU Firmware Configuration (fw_cfg) Device"] */
#include "devices/fw_cfg.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "devices/dma.h"
#include "devices/trace.h"

enum {
    FW_CFG_FILES = 64,
    FW_CFG_ITEMS = FW_CFG_FILE_FIRST + FW_CFG_FILES,
    FW_CFG_LOCALS = 16,
    FW_CFG_NAME_BYTES = 56,
    FW_CFG_KEY_MASK = 0x3fff, /* bit 15: local to the PC; bit 14: once meant writing */
    FW_CFG_ID_TRADITIONAL = 1 << 0,
    FW_CFG_ID_DMA = 1 << 1,
};

/* the control word of a DMA request; the key to select is in bits 31:16 */
enum {
    FW_CFG_DMA_ERROR = 1 << 0,
    FW_CFG_DMA_READ = 1 << 1,
    FW_CFG_DMA_SKIP = 1 << 2,
    FW_CFG_DMA_SELECT = 1 << 3,
    FW_CFG_DMA_WRITE = 1 << 4,
};

struct fw_cfg_item {
    uint8_t *bytes;
    uint32_t size;
};

/* an entry of the directory, as the guest sees it: all big-endian */
struct fw_cfg_entry {
    uint32_t size;
    uint16_t key, reserved;
    char name[FW_CFG_NAME_BYTES];
};

struct fw_cfg {
    struct device dev;
    /* state */
    uint16_t key;      /* selected */
    uint32_t at;       /* next byte of it */
    uint32_t dma_high; /* high half of the address of a request, until the low half comes */
    /* set by the board */
    struct fw_cfg_item item[FW_CFG_ITEMS], local[FW_CFG_LOCALS];
    struct fw_cfg_entry entry[FW_CFG_FILES];
    unsigned files;
};

_Static_assert(sizeof(struct fw_cfg_entry) == 64, "as documented");

static const struct field fw_cfg_fields[] = {
    FIELD(struct fw_cfg, key),
    FIELD(struct fw_cfg, at),
    FIELD(struct fw_cfg, dma_high),
    { 0 },
};

/* NULL if there can be no such item */
static struct fw_cfg_item *fw_cfg_find(struct fw_cfg *f, unsigned key)
{
    unsigned n = key & FW_CFG_KEY_MASK;

    if (key & FW_CFG_LOCAL)
        return n < FW_CFG_LOCALS ? &f->local[n] : NULL;
    return n < FW_CFG_ITEMS ? &f->item[n] : NULL;
}

/* bytes of the selected item that are still to be read */
static uint32_t fw_cfg_left(struct fw_cfg *f, const uint8_t **bytes)
{
    const struct fw_cfg_item *item = fw_cfg_find(f, f->key);

    if (!item || f->at >= item->size)
        return 0;
    *bytes = item->bytes + f->at;
    return item->size - f->at;
}

static void fw_cfg_select(struct fw_cfg *f, unsigned key)
{
    trace_fw_cfg_select(f->dev.id, key);
    f->key = (uint16_t)key;
    f->at = 0;
}

/* ---- selector and data ---- */

/* Only the data register reads, one byte at a time; after the end of an item it reads as zero. */
static uint64_t fw_cfg_read_data(void *owner, uint64_t offset, unsigned size)
{
    struct fw_cfg *f = owner;
    const uint8_t *bytes;

    if (size != 1)
        return BITS(8 * size - 1, 0);
    if (fw_cfg_left(f, &bytes) == 0)
        return 0;
    f->at++;
    return bytes[0];
}

static void fw_cfg_write_selector(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
    if (offset == 0 && size == 2)
        fw_cfg_select(owner, (unsigned)value);
}

static const struct io_ops fw_cfg_ops = { .read = fw_cfg_read_data,
                                          .write = fw_cfg_write_selector,
                                          .sizes = SIZE_8 | SIZE_16 };

/* ---- DMA ---- */

struct fw_cfg_request {
    uint32_t control, length;
    uint64_t address;
};

/* Reads and skips past the end of an item act on zeros. False: an error for the guest. */
static bool fw_cfg_transfer(struct fw_cfg *f, uint32_t control, uint32_t length, uint64_t pa)
{
    struct bus *bus = f->dev.host->bus;
    const uint8_t *bytes = NULL;
    uint32_t left = fw_cfg_left(f, &bytes), part = length < left ? length : left;

    if (control & FW_CFG_DMA_READ) {
        if (!dma_is_ram(bus, pa, length))
            return false;
        dma_write(bus, pa, bytes, part);
        dma_clear(bus, pa + part, length - part);
    } else if (control & FW_CFG_DMA_WRITE) {
        return false;
    } else if (!(control & FW_CFG_DMA_SKIP)) {
        part = 0;
    }
    f->at += part;
    return true;
}

static void fw_cfg_dma(struct fw_cfg *f, uint64_t pa)
{
    struct bus *bus = f->dev.host->bus;
    struct fw_cfg_request r;
    uint32_t control, done;

    if (!dma_read(bus, pa, &r, sizeof r))
        return;
    control = be32toh(r.control);
    trace_fw_cfg_dma(f->dev.id, control, be32toh(r.length), be64toh(r.address));
    if (control & FW_CFG_DMA_SELECT)
        fw_cfg_select(f, control >> 16);
    done = fw_cfg_transfer(f, control, be32toh(r.length), be64toh(r.address))
               ? 0
               : htobe32(FW_CFG_DMA_ERROR);
    dma_write(bus, pa, &done, sizeof done);
}

/* Reading the address register tells that the interface exists. */
static uint64_t fw_cfg_read_dma(void *owner, uint64_t offset, unsigned size)
{
    static const char signature[8] = { 'Q', 'E', 'M', 'U', ' ', 'C', 'F', 'G' };
    uint64_t value = 0;

    if (offset + size <= sizeof signature)
        memcpy(&value, signature + offset, size);
    return value;
}

/* Big-endian; the low half starts the request. */
static void fw_cfg_write_dma(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
    struct fw_cfg *f = owner;
    uint32_t half = be32toh((uint32_t)value);

    if (size != 4)
        return;
    if (offset == 0) {
        f->dma_high = half;
    } else if (offset == 4) {
        uint64_t pa = (uint64_t)f->dma_high << 32 | half;

        f->dma_high = 0;
        fw_cfg_dma(f, pa);
    }
}

static const struct io_ops fw_cfg_dma_ops = { .read = fw_cfg_read_dma,
                                              .write = fw_cfg_write_dma,
                                              .sizes = SIZE_ANY };

/* ---- items and files ---- */

bool fw_cfg_add(struct device *dev, unsigned key, const void *bytes, uint32_t size)
{
    struct fw_cfg_item *item = fw_cfg_find((struct fw_cfg *)dev, key);
    uint8_t *copy;

    if (!item)
        return false;
    copy = malloc(size ? size : 1);
    ASSERT(copy);
    if (size)
        memcpy(copy, bytes, size);
    free(item->bytes);
    *item = (struct fw_cfg_item){ .bytes = copy, .size = size };
    return true;
}

bool fw_cfg_add_value(struct device *dev, unsigned key, uint64_t value, unsigned size)
{
    uint64_t le = htole64(value);

    return fw_cfg_add(dev, key, &le, size);
}

/* The directory: a big-endian count, then the entries. */
static void fw_cfg_publish(struct fw_cfg *f)
{
    uint8_t dir[4 + sizeof f->entry];
    uint32_t count = htobe32(f->files), bytes = f->files * (uint32_t)sizeof f->entry[0];

    memcpy(dir, &count, 4);
    memcpy(dir + 4, f->entry, bytes);
    fw_cfg_add(&f->dev, FW_CFG_FILE_DIR, dir, 4 + bytes);
}

bool fw_cfg_add_file(struct device *dev, const char *name, const void *bytes, uint32_t size,
                     struct err *e)
{
    struct fw_cfg *f = (struct fw_cfg *)dev;
    struct fw_cfg_entry *entry;
    unsigned n = 0;

    if (strlen(name) >= FW_CFG_NAME_BYTES)
        return err_set(e, "%s: the file name '%s' is too long; use at most %d bytes", dev->id, name,
                       FW_CFG_NAME_BYTES - 1);
    while (n < f->files && strcmp(f->entry[n].name, name) != 0)
        n++;
    if (n == FW_CFG_FILES)
        return err_set(e, "%s: no room for file '%s'; there can be %d", dev->id, name,
                       FW_CFG_FILES);
    if (n == f->files)
        f->files++;
    entry = &f->entry[n];
    *entry = (struct fw_cfg_entry){ .size = htobe32(size),
                                    .key = htobe16((uint16_t)(FW_CFG_FILE_FIRST + n)) };
    memcpy(entry->name, name, strlen(name));
    fw_cfg_add(dev, FW_CFG_FILE_FIRST + n, bytes, size);
    fw_cfg_publish(f);
    return true;
}

/* ---- life ---- */

static bool fw_cfg_realize(struct device *dev, struct err *e)
{
    struct fw_cfg *f = (struct fw_cfg *)dev;

    fw_cfg_add(dev, FW_CFG_SIGNATURE, "QEMU", 4);
    fw_cfg_add_value(dev, FW_CFG_ID, FW_CFG_ID_TRADITIONAL | FW_CFG_ID_DMA, 4);
    fw_cfg_publish(f);
    ports_map(dev->host->ports, 0x510, 2, "fw_cfg", &fw_cfg_ops, f);
    ports_map(dev->host->ports, 0x514, 8, "fw_cfg DMA", &fw_cfg_dma_ops, f);
    return true;
}

static void fw_cfg_unrealize(struct device *dev)
{
    struct fw_cfg *f = (struct fw_cfg *)dev;

    ports_unmap(dev->host->ports, 0x510, 12, f);
    for (unsigned i = 0; i < FW_CFG_ITEMS; i++)
        free(f->item[i].bytes);
    for (unsigned i = 0; i < FW_CFG_LOCALS; i++)
        free(f->local[i].bytes);
    memset(f->item, 0, sizeof f->item);
    memset(f->local, 0, sizeof f->local);
}

static void fw_cfg_show(const struct device *dev, FILE *out)
{
    const struct fw_cfg *f = (const struct fw_cfg *)dev;

    for (unsigned n = 0; n < FW_CFG_FILE_FIRST; n++) {
        if (f->item[n].bytes)
            fprintf(out, "item %#06x: %u bytes\n", n, f->item[n].size);
    }
    for (unsigned n = 0; n < f->files; n++)
        fprintf(out, "file %#06x: %s, %u bytes\n", FW_CFG_FILE_FIRST + n, f->entry[n].name,
                f->item[FW_CFG_FILE_FIRST + n].size);
}

const struct device_class fw_cfg_class = {
    .name = "fw_cfg",
    .title = "QEMU firmware configuration",
    .size = sizeof(struct fw_cfg),
    .version = 1,
    .fields = fw_cfg_fields,
    .realize = fw_cfg_realize,
    .unrealize = fw_cfg_unrealize,
    .show = fw_cfg_show,
};
