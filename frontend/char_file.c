/* Serial output to native files. A write error is remembered and reported at the end. */
#include "frontend/char_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct char_file {
    int fd;
    int error; /* errno of the first failed write */
    const char *path;
};

static void char_write(void *owner, const uint8_t *bytes, size_t count)
{
    struct char_file *f = owner;

    while (count && !f->error) {
        ssize_t n = write(f->fd, bytes, count);

        if (n >= 0) {
            bytes += n;
            count -= (size_t)n;
        } else if (errno == EAGAIN) {
            poll(&(struct pollfd){ .fd = f->fd, .events = POLLOUT }, 1, -1);
        } else if (errno != EINTR) {
            f->error = errno;
        }
    }
}

bool char_file_is_terminal(const char *spec)
{
    return strcmp(spec, "stdio") == 0 || strcmp(spec, "mon:stdio") == 0;
}

bool char_file_is_none(const char *spec)
{
    return strcmp(spec, "none") == 0 || strcmp(spec, "null") == 0;
}

struct char_file *char_file_open(const char *spec, struct nidus_char *out, char *error)
{
    struct char_file *f;

    error[0] = '\0';
    if (char_file_is_none(spec))
        return NULL;
    f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->path = spec;
    if (char_file_is_terminal(spec)) {
        f->fd = STDOUT_FILENO;
    } else if (strncmp(spec, "file:", 5) == 0) {
        f->fd = open(spec + 5, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (f->fd < 0)
            snprintf(error, NIDUS_ERROR_SIZE, "%.300s: %s", spec + 5, strerror(errno));
    } else {
        snprintf(error, NIDUS_ERROR_SIZE,
                 "'%.300s' is not known; use stdio, mon:stdio, file:PATH "
                 "or none",
                 spec);
    }
    if (error[0]) {
        free(f);
        return NULL;
    }
    *out = (struct nidus_char){ .owner = f, .write = char_write };
    return f;
}

bool char_file_close(struct char_file *f, char *error)
{
    bool good = f->error == 0;

    if (!good)
        snprintf(error, NIDUS_ERROR_SIZE, "%.300s: %s; output was lost", f->path,
                 strerror(f->error));
    if (f->fd != STDOUT_FILENO)
        close(f->fd);
    free(f);
    return good;
}
