/* ASSERT: for our own mistakes only, never for what a guest or a user can cause. */
#pragma once

#define ASSERT(cond)                                  \
    do {                                              \
        if (__builtin_expect(!(cond), 0))             \
            assert_failed(__FILE__, __LINE__, #cond); \
    } while (0)

_Noreturn void assert_failed(const char *file, int line, const char *cond);
