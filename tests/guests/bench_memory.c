/* Loads of the benchmark that move through memory or move it. */
#include <emmintrin.h>

#include "bench.h"

static uint64_t chase(uint64_t rounds, uint8_t *memory)
{
    const struct cell *cell = (const struct cell *)memory;

    while (rounds--)
        cell = cell->next;
    return cell->value;
}

uint64_t load_chase_16k(uint64_t rounds, uint8_t *memory)
{
    return chase(rounds, memory);
}

uint64_t load_chase_1m(uint64_t rounds, uint8_t *memory)
{
    return chase(rounds, memory);
}

uint64_t load_chase_64m(uint64_t rounds, uint8_t *memory)
{
    return chase(rounds, memory);
}

static inline void movs(void *to, const void *from, size_t n)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}

static inline void stos(void *to, uint8_t value, size_t n)
{
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(value) : "memory");
}

static uint64_t sum_of(const uint8_t *memory, size_t bytes)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < bytes; i++)
        sum = sum * 31 + memory[i];
    return sum;
}

/* From and to places that change, so that no copy only repeats the last one. */
uint64_t load_movs_32(uint64_t rounds, uint8_t *memory)
{
    for (uint64_t i = 0; i < rounds; i++)
        movs(memory + 4096 + i * 40 % 4056, memory + i * 56 % 4056, 32);
    return sum_of(memory, 8 << 10);
}

uint64_t load_stos_32(uint64_t rounds, uint8_t *memory)
{
    for (uint64_t i = 0; i < rounds; i++)
        stos(memory + i * 40 % 4056, (uint8_t)i, 32);
    return sum_of(memory, 4 << 10);
}

uint64_t load_movs_4k(uint64_t rounds, uint8_t *memory)
{
    for (uint64_t i = 0; i < rounds; i++) {
        memory[i % 4096]++;
        movs(memory + 4096, memory, 4096);
    }
    return sum_of(memory, 8 << 10);
}

uint64_t load_stos_4k(uint64_t rounds, uint8_t *memory)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < rounds; i++) {
        stos(memory, (uint8_t)i, 4096);
        sum += *(volatile uint8_t *)(memory + i % 4096);
    }
    return sum;
}

static inline void copy(uint8_t *to, const uint8_t *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64) {
        const __m128i *in = (const __m128i *)(from + i);
        __m128i *out = (__m128i *)(to + i);
        __m128i a = _mm_load_si128(in), b = _mm_load_si128(in + 1);
        __m128i c = _mm_load_si128(in + 2), d = _mm_load_si128(in + 3);

        _mm_store_si128(out, a);
        _mm_store_si128(out + 1, b);
        _mm_store_si128(out + 2, c);
        _mm_store_si128(out + 3, d);
    }
}

uint64_t load_memcpy_4k(uint64_t rounds, uint8_t *memory)
{
    for (uint64_t i = 0; i < rounds; i++) {
        memory[i % 4096]++;
        copy(memory + 4096, memory, 4096);
        __asm__ volatile("" : : : "memory");
    }
    return sum_of(memory, 8 << 10);
}

uint64_t load_memcpy_4m(uint64_t rounds, uint8_t *memory)
{
    enum { BYTES = 4 << 20 };

    for (uint64_t i = 0; i < rounds; i++) {
        memory[i * 4099 % BYTES]++;
        copy(memory + BYTES, memory, BYTES);
        __asm__ volatile("" : : : "memory");
    }
    return sum_of(memory + BYTES, 64 << 10);
}
