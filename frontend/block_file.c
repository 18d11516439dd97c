/* Raw disk images: pread and pwrite, and for snapshots an overlay in an unlinked temporary file. */
#include "frontend/block_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECTOR = 512 };

struct block_file {
    int fd;
    int overlay;      /* -1: writes go to fd */
    uint8_t *written; /* a bit a sector: it is in the overlay */
};

struct spec {
    char path[4096];
    bool read_only, snapshot;
};

static bool fail(char *error, const char *path, const char *why)
{
    snprintf(error, NIDUS_ERROR_SIZE, "%.300s: %.150s", path, why);
    return false;
}

static bool set_key(struct spec *s, const char *key, const char *value, char *error)
{
    bool on = strcmp(value, "on") == 0, off = strcmp(value, "off") == 0;

    if (strcmp(key, "file") == 0) {
        snprintf(s->path, sizeof s->path, "%s", value);
        return true;
    }
    if (strcmp(key, "readonly") == 0 && (on || off)) {
        s->read_only = on;
        return true;
    }
    if (strcmp(key, "snapshot") == 0 && (on || off)) {
        s->snapshot = on;
        return true;
    }
    if ((strcmp(key, "format") == 0 && strcmp(value, "raw") == 0) ||
        (strcmp(key, "if") == 0 && (strcmp(value, "virtio") == 0 || strcmp(value, "none") == 0)) ||
        strcmp(key, "id") == 0)
        return true;
    snprintf(error, NIDUS_ERROR_SIZE, "'%.100s=%.100s' is not known here", key, value);
    return false;
}

static bool parse(struct spec *s, const char *text, char *error)
{
    char copy[4200], *rest = copy, *item;

    *s = (struct spec){ .path = "" };
    if (strlen(text) >= sizeof copy)
        return fail(error, "-drive", "the text is too long");
    strcpy(copy, text);
    while ((item = strsep(&rest, ",")) != NULL) {
        char *equals = strchr(item, '=');

        if (!equals)
            return fail(error, item, "write key=value, as in file=disk.img");
        *equals = '\0';
        if (!set_key(s, item, equals + 1, error))
            return false;
    }
    return s->path[0] || fail(error, text, "file=PATH is missing");
}

static bool is_written(const struct block_file *f, uint64_t sector)
{
    return f->written[sector / 8] >> sector % 8 & 1;
}

static enum nidus_block_result from_errno(void)
{
    return errno == ENOSPC || errno == EDQUOT ? NIDUS_BLOCK_NO_SPACE : NIDUS_BLOCK_ERROR;
}

static enum nidus_block_result read_all(int fd, uint64_t offset, uint8_t *bytes, size_t count)
{
    while (count) {
        ssize_t n = pread(fd, bytes, count, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return NIDUS_BLOCK_ERROR; /* the file has become shorter */
        bytes += n;
        offset += (uint64_t)n;
        count -= (size_t)n;
    }
    return NIDUS_BLOCK_OK;
}

static enum nidus_block_result write_all(int fd, uint64_t offset, const uint8_t *bytes,
                                         size_t count)
{
    while (count) {
        ssize_t n = pwrite(fd, bytes, count, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return from_errno();
        bytes += n;
        offset += (uint64_t)n;
        count -= (size_t)n;
    }
    return NIDUS_BLOCK_OK;
}

static enum nidus_block_result block_read(void *owner, uint64_t offset, uint8_t *bytes,
                                          size_t count)
{
    struct block_file *f = owner;
    size_t done = 0;

    if (f->overlay < 0)
        return read_all(f->fd, offset, bytes, count);
    while (done < count) { /* runs of sectors from the same file */
        uint64_t first = (offset + done) / SECTOR;
        bool over = is_written(f, first);
        size_t run = SECTOR;
        enum nidus_block_result r;

        while (done + run < count && is_written(f, first + run / SECTOR) == over)
            run += SECTOR;
        r = read_all(over ? f->overlay : f->fd, offset + done, bytes + done, run);
        if (r != NIDUS_BLOCK_OK)
            return r;
        done += run;
    }
    return NIDUS_BLOCK_OK;
}

static enum nidus_block_result block_write(void *owner, uint64_t offset, const uint8_t *bytes,
                                           size_t count)
{
    struct block_file *f = owner;
    enum nidus_block_result r;

    if (f->overlay < 0)
        return write_all(f->fd, offset, bytes, count);
    r = write_all(f->overlay, offset, bytes, count);
    if (r != NIDUS_BLOCK_OK)
        return r;
    for (uint64_t s = offset / SECTOR; s < (offset + count) / SECTOR; s++)
        f->written[s / 8] |= (uint8_t)(1 << s % 8);
    return NIDUS_BLOCK_OK;
}

static enum nidus_block_result block_flush(void *owner)
{
    struct block_file *f = owner;

    if (f->overlay >= 0)
        return NIDUS_BLOCK_OK; /* forgotten at the end anyway */
    return fdatasync(f->fd) == 0 ? NIDUS_BLOCK_OK : from_errno();
}

static bool find_size(int fd, const char *path, uint64_t *size, char *error)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return fail(error, path, strerror(errno));
    if (S_ISBLK(st.st_mode)) {
        if (ioctl(fd, BLKGETSIZE64, size) != 0)
            return fail(error, path, strerror(errno));
    } else if (S_ISREG(st.st_mode)) {
        *size = (uint64_t)st.st_size;
    } else {
        return fail(error, path, "is neither a file nor a block device");
    }
    if (*size == 0 || *size % SECTOR)
        return fail(error, path, "a raw image must have a multiple of 512 bytes, and at least 512");
    return true;
}

static bool make_overlay(struct block_file *f, uint64_t size, char *error)
{
    const char *dir = getenv("TMPDIR");
    char path[4096];

    snprintf(path, sizeof path, "%s/nidus-XXXXXX", dir && *dir ? dir : "/tmp");
    f->overlay = mkostemp(path, O_CLOEXEC);
    if (f->overlay < 0)
        return fail(error, path, strerror(errno));
    unlink(path);
    f->written = calloc(1, size / SECTOR / 8 + 1);
    if (!f->written || ftruncate(f->overlay, (off_t)size) != 0)
        return fail(error, path, "no room for the snapshot");
    return true;
}

struct block_file *block_file_open(const char *text, bool snapshot, struct nidus_block *out,
                                   char *error)
{
    struct spec s;
    struct block_file *f;
    bool writes;

    if (!parse(&s, text, error))
        return NULL;
    snapshot |= s.snapshot;
    writes = !s.read_only && !snapshot;
    f = calloc(1, sizeof *f);
    if (!f) {
        fail(error, s.path, "out of memory");
        return NULL;
    }
    f->overlay = -1;
    /* O_NONBLOCK: the open of a pipe would wait for its other end */
    f->fd = open(s.path, (writes ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
    if (f->fd < 0) {
        fail(error, s.path, strerror(errno));
        free(f);
        return NULL;
    }
    *out = (struct nidus_block){ .owner = f,
                                 .read_only = s.read_only,
                                 .read = block_read,
                                 .write = block_write,
                                 .flush = block_flush };
    if (flock(f->fd, (writes ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0) {
        fail(error, s.path, "is in use by another machine; add snapshot=on or readonly=on there");
    } else if (find_size(f->fd, s.path, &out->size, error) &&
               (!snapshot || make_overlay(f, out->size, error))) {
        return f;
    }
    block_file_close(f);
    return NULL;
}

void block_file_close(struct block_file *f)
{
    close(f->fd);
    if (f->overlay >= 0)
        close(f->overlay);
    free(f->written);
    free(f);
}
