/* Two views of the same shared memory, so that no mapping is ever writable and executable: hardened
 * kernels refuse such mappings, and a stray write must not become code. The memory has no file: only
 * then does perf look for names of what runs there (perf_map.c). */
#include "cpu/jit/code_buffer.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

bool code_buffer_open(struct code_buffer *c, size_t size, struct err *e)
{
    int why = 0;

    *c = (struct code_buffer){ .size = size, .run = MAP_FAILED };
    c->write = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE,
                    -1, 0);
    if (c->write != MAP_FAILED) /* 0 bytes of a shared mapping, moved: a second one of the same */
        c->run = mremap(c->write, 0, size, MREMAP_MAYMOVE);
    if (c->run == MAP_FAILED || mprotect(c->run, size, PROT_READ | PROT_EXEC) != 0)
        why = errno;
    if (!why)
        return true;
    code_buffer_close(c);
    return err_set(e, "no executable memory of %zu MiB: %s", size >> 20, strerror(why));
}

void code_buffer_close(struct code_buffer *c)
{
    if (c->write && c->write != MAP_FAILED)
        munmap(c->write, c->size);
    if (c->run && c->run != MAP_FAILED)
        munmap(c->run, c->size);
    c->write = c->run = NULL;
}
