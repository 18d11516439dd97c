/* Loads of the benchmark that use the kernel, and those that write code. */
#define _GNU_SOURCE
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

static uint64_t raw_getpid(void)
{
    uint64_t result;

    __asm__ volatile("syscall" : "=a"(result) : "a"(SYS_getpid) : "rcx", "r11", "memory");
    return result;
}

uint64_t load_getpid(uint64_t rounds, uint8_t *memory)
{
    uint64_t pid = raw_getpid(), same = 0;

    (void)memory;
    while (rounds--)
        same += raw_getpid() == pid;
    return same;
}

/* First writes to pages, which are then taken away again. */
uint64_t load_page_fault(uint64_t rounds, uint8_t *memory)
{
    enum { BYTES = 2 << 20, PAGE = 4096 };
    uint64_t sum = 0;

    memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        give_up("mmap");
    madvise(memory, BYTES, MADV_NOHUGEPAGE);
    while (rounds--) {
        for (size_t i = 0; i < BYTES; i += PAGE)
            sum += ++*(volatile uint8_t *)(memory + i);
        madvise(memory, BYTES, MADV_DONTNEED);
    }
    munmap(memory, BYTES);
    return sum;
}

/* Both processes on one processor, as in a guest that has only one. */
static void pin(void)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((size_t)sched_getcpu(), &set);
    sched_setaffinity(0, sizeof set, &set);
}

uint64_t load_pipe(uint64_t rounds, uint8_t *memory)
{
    int there[2], back[2];
    cpu_set_t before;
    uint64_t sum = 0;
    uint8_t byte = 1;
    pid_t child;

    (void)memory;
    sched_getaffinity(0, sizeof before, &before);
    pin();
    if (pipe(there) || pipe(back))
        give_up("pipe");
    child = fork();
    if (child < 0)
        give_up("fork");
    if (!child) {
        close(there[1]); /* or it would never see the end */
        while (read(there[0], &byte, 1) == 1) {
            byte++;
            if (write(back[1], &byte, 1) != 1)
                break;
        }
        _exit(0);
    }
    while (rounds--) {
        if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
            give_up("pipe");
        sum += byte;
    }
    for (int i = 0; i < 2; i++) {
        close(there[i]);
        close(back[i]);
    }
    waitpid(child, NULL, 0);
    sched_setaffinity(0, sizeof before, &before);
    return sum;
}

uint64_t load_fork(uint64_t rounds, uint8_t *memory)
{
    cpu_set_t before;
    uint64_t sum = 0;

    (void)memory;
    sched_getaffinity(0, sizeof before, &before);
    pin();
    while (rounds--) {
        int status;
        pid_t child = fork();

        if (child < 0)
            give_up("fork");
        if (!child)
            _exit((int)(rounds & 0x7f));
        if (waitpid(child, &status, 0) != child)
            give_up("waitpid");
        sum += (uint64_t)WEXITSTATUS(status);
    }
    sched_setaffinity(0, sizeof before, &before);
    return sum;
}

typedef uint64_t (*function)(uint64_t x);

/* A function that exists twice, as memory and as code: x86 needs nothing in between. */
static function function_at(uint8_t *code)
{
    function f;

    memcpy(&f, &(uint8_t *){ code }, sizeof f);
    return f;
}

/* The immediate of a function is written anew before each call. */
uint64_t load_rewrite(uint64_t rounds, uint8_t *memory)
{
    static const uint8_t code[] = {
        0x48, 0x89, 0xf8,             /* mov rax, rdi */
        0x48, 0xc1, 0xc0, 0x07,       /* rol rax, 7 */
        0x48, 0x05, 0x00, 0,    0, 0, /* add rax, the immediate, at 9 */
        0x48, 0x31, 0xf8,             /* xor rax, rdi */
        0xc3,                         /* ret */
    };
    function f = function_at(memory);
    uint64_t x = 1;

    for (size_t i = 0; i < sizeof code; i++)
        memory[i] = code[i];
    for (uint32_t i = 0; i < rounds; i++) {
        uint32_t immediate = i * 0x9e3779b1 >> 1;

        __asm__ volatile("movl %1, %0" : "=m"(*(uint32_t *)(memory + 9)) : "r"(immediate));
        x = f(x);
    }
    return x;
}

/* A new function in a new place each time, of three to ten instructions, called three times. */
uint64_t load_fresh(uint64_t rounds, uint8_t *memory)
{
    static const uint8_t pieces[4][7] = {
        { 0x48, 0x05, 0, 0, 0, 0, 0x90 },          /* add rax, immediate; nop */
        { 0x48, 0x35, 0, 0, 0, 0, 0x90 },          /* xor rax, immediate; nop */
        { 0x48, 0x69, 0xc0, 0, 0, 0, 0x01 },       /* imul rax, rax, immediate */
        { 0x48, 0x8d, 0x44, 0x47, 0, 0x66, 0x90 }, /* lea rax, [rdi + 2 * rax + immediate]; nop */
    };
    uint32_t seed = 5;
    uint64_t x = 1;

    for (uint64_t i = 0; i < rounds; i++) {
        uint8_t *at = memory + i % (16 << 20 >> 6) * 64, *start = at;
        function f = function_at(start);

        *at++ = 0x48; /* mov rax, rdi */
        *at++ = 0x89;
        *at++ = 0xf8;
        for (uint32_t n = 1 + lcg(&seed) % 8; n; n--) {
            uint32_t r = lcg(&seed);
            const uint8_t *piece = pieces[r & 3];

            for (int k = 0; k < 7; k++)
                at[k] = piece[k];
            at[(r & 3) < 2 ? 2 : (r & 3) == 2 ? 3 : 4] = (uint8_t)(r >> 8 & 0x7f);
            at += 7;
        }
        *at = 0xc3; /* ret */
        __asm__ volatile("" : : : "memory");
        for (int k = 0; k < 3; k++)
            x = f(x);
    }
    return x;
}
