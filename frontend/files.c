#include "frontend/files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool fail(char *error, const char *path, const char *why)
{
    snprintf(error, NIDUS_ERROR_SIZE, "%.300s: %.150s", path, why);
    return false;
}

bool file_read(const char *path, struct nidus_blob *out, char *error)
{
    struct stat st;
    uint8_t *bytes;
    size_t got;
    FILE *f;

    /* before the open, which would wait for the other end of a pipe */
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return fail(error, path, "is not a regular file");
    f = fopen(path, "rb");
    if (!f)
        return fail(error, path, strerror(errno));
    if (fstat(fileno(f), &st) != 0) {
        fclose(f);
        return fail(error, path, strerror(errno));
    }
    bytes = malloc((size_t)st.st_size + 1);
    got = bytes ? fread(bytes, 1, (size_t)st.st_size, f) : 0;
    fclose(f);
    if (!bytes || got != (size_t)st.st_size) {
        free(bytes);
        return fail(error, path,
                    bytes ? "could not be read to its end" : "is too large for memory");
    }
    *out = (struct nidus_blob){ bytes, got };
    return true;
}

bool file_write_stats(const char *path, struct nidus *m, char *error)
{
    FILE *f = fopen(path, "w");
    bool good;

    if (!f)
        return fail(error, path, strerror(errno));
    nidus_show_stats(m, f);
    good = !ferror(f);
    good &= fclose(f) == 0;
    return good || fail(error, path, strerror(errno));
}
