/* Two views of one anonymous file, so that no mapping is ever writable and executable: hardened
 * kernels refuse such mappings, and a stray write must not become code. */
#include "cpu/jit/code_buffer.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

bool code_buffer_open(struct code_buffer *c, size_t size, struct err *e)
{
    int fd = memfd_create("nidus code", MFD_CLOEXEC);

    *c = (struct code_buffer){ .size = size };
    if (fd < 0)
        return err_set(e, "memfd_create: %s", strerror(errno));
    c->write = c->run = MAP_FAILED;
    if (ftruncate(fd, (off_t)size) == 0) {
        c->write = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
        c->run = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_NORESERVE, fd, 0);
    }
    if (c->write == MAP_FAILED || c->run == MAP_FAILED) {
        err_set(e, "no executable memory of %zu MiB: %s", size >> 20, strerror(errno));
        close(fd);
        code_buffer_close(c);
        return false;
    }
    close(fd);
    return true;
}

void code_buffer_close(struct code_buffer *c)
{
    if (c->write && c->write != MAP_FAILED)
        munmap(c->write, c->size);
    if (c->run && c->run != MAP_FAILED)
        munmap(c->run, c->size);
    c->write = c->run = NULL;
}
