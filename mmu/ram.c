/* The native memory behind guest RAM. See mmu/ram.h. */
#define _GNU_SOURCE
#include "mmu/ram.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

bool ram_create(struct ram *r, uint64_t size, struct err *e)
{
    unsigned long long mib = size >> 20;
    void *at;

    r->fd = memfd_create("guest-ram", MFD_CLOEXEC);
    if (r->fd < 0)
        return err_set(e, "guest RAM: this system gives no anonymous memory file: %s",
                       strerror(errno));
    if (size > INT64_MAX || ftruncate(r->fd, (off_t)size) != 0) {
        close(r->fd);
        return err_set(e, "guest RAM: this system refuses a file of %llu MiB; use a smaller size",
                       mib);
    }
    at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, r->fd, 0);
    if (at == MAP_FAILED) {
        int why = errno;

        close(r->fd);
        return err_set(e, "guest RAM: cannot map %llu MiB: %s; use a smaller size", mib,
                       strerror(why));
    }
    r->bytes = at;
    r->size = size;
    return true;
}

void ram_destroy(struct ram *r)
{
    if (!r->bytes)
        return;
    munmap(r->bytes, r->size);
    close(r->fd);
    r->bytes = NULL;
}
