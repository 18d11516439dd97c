/* Integer loops, run as a program of L1 by scripts/bench. A loop runs in rounds of a fixed amount of
 * work. Time inside the guest is virtual, so it is the reader of these lines who takes the time:
 *   loops: start NAME
 *   loops: done NAME ITERATIONS CHECKSUM
 * Each loop must be the same on every machine: the checksum shows it. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES = 1 << 16, NODES = 1 << 14 };

static uint8_t bytes[BYTES];
static struct node {
    struct node *next;
    uint64_t value;
} nodes[NODES];

static uint32_t lcg(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

/* One bit at a time: shifts and a branch that cannot be predicted. */
static uint64_t crc32(uint64_t rounds)
{
    uint32_t crc = ~0u;

    while (rounds--)
        for (size_t i = 0; i < BYTES; i++) {
            crc ^= bytes[i];
            for (int bit = 0; bit < 8; bit++)
                crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
        }
    return crc;
}

/* Byte stores at a growing stride. */
static uint64_t sieve(uint64_t rounds)
{
    uint64_t primes = 0;

    while (rounds--) {
        static uint8_t composite[BYTES];

        memset(composite, 0, sizeof composite);
        for (size_t i = 2; i < BYTES; i++) {
            if (composite[i])
                continue;
            primes++;
            for (size_t j = i * 2; j < BYTES; j += i)
                composite[j] = 1;
        }
    }
    return primes;
}

static uint32_t rotate(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

/* Rotates, adds and logic on a small state, as in SHA-256. */
static uint64_t hash(uint64_t rounds)
{
    uint32_t a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8;

    while (rounds--)
        for (size_t i = 0; i < BYTES; i++) {
            uint32_t t1 = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) +
                          ((e & f) ^ (~e & g)) + bytes[i];
            uint32_t t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) +
                          ((a & b) ^ (a & c) ^ (b & c));

            h = g;
            g = f;
            f = e;
            e = d + t1;
            d = c;
            c = b;
            b = a;
            a = t1 + t2;
        }
    return (uint64_t)a << 32 | e;
}

/* Loads that depend on the one before. */
static uint64_t list(uint64_t rounds)
{
    const struct node *n = nodes;
    uint64_t sum = 0;

    for (rounds *= NODES; rounds--; n = n->next)
        sum += n->value;
    return sum;
}

/* A table of handlers: indirect calls, as in an interpreter. */
static uint64_t op_add(uint64_t x)
{
    return x + 7;
}
static uint64_t op_xor(uint64_t x)
{
    return x ^ x << 13;
}
static uint64_t op_shift(uint64_t x)
{
    return x >> 7 ^ x;
}
static uint64_t op_mul(uint64_t x)
{
    return x * 0x9e3779b97f4a7c15;
}

static uint64_t machine(uint64_t rounds)
{
    static uint64_t (*const volatile ops[])(uint64_t) = { op_add, op_xor, op_shift, op_mul };
    uint64_t x = 1;

    while (rounds--)
        for (size_t i = 0; i < BYTES; i++)
            x = ops[bytes[i] & 3](x);
    return x;
}

/* 64-bit divisions and remainders. */
static uint64_t gcd(uint64_t rounds)
{
    uint32_t seed = 1;
    uint64_t sum = 0;

    for (rounds *= 1000; rounds--;) {
        uint64_t a = lcg(&seed) + 1, b = lcg(&seed) + 1;

        while (b) {
            uint64_t rest = a % b;

            a = b;
            b = rest;
        }
        sum += a;
    }
    return sum;
}

static const struct loop {
    const char *name;
    uint64_t (*run)(uint64_t rounds);
    uint64_t rounds, each; /* iterations in a round */
} loops[] = {
    /* clang-format off */
    { "crc32",   crc32,   120, BYTES },
    { "sieve",   sieve,   600, BYTES },
    { "hash",    hash,    120, BYTES },
    { "list",    list,   6000, NODES },
    { "machine", machine, 400, BYTES },
    { "gcd",     gcd,     700, 1000 },
    /* clang-format on */
};

int main(int argc, char **argv)
{
    uint64_t divisor = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    uint32_t seed = 12345;
    size_t at = 0;

    for (size_t i = 0; i < BYTES; i++)
        bytes[i] = (uint8_t)lcg(&seed);
    for (size_t i = 0; i < NODES; i++) {
        size_t next = (at + 6151) % NODES; /* odd, so that it visits all */

        nodes[at].value = i;
        nodes[at].next = &nodes[next];
        at = next;
    }
    for (size_t i = 0; i < sizeof loops / sizeof loops[0]; i++) {
        const struct loop *l = &loops[i];
        uint64_t rounds = l->rounds / (divisor ? divisor : 1), sum;

        printf("<1>loops: start %s\n", l->name);
        fflush(stdout);
        sum = l->run(rounds);
        printf("<1>loops: done %s %ju %#jx\n", l->name, (uintmax_t)(rounds * l->each),
               (uintmax_t)sum);
        fflush(stdout);
    }
    return 0;
}
