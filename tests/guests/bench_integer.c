/* Integer loads of the benchmark: small loops, calls, and a bytecode interpreter. */
#include <immintrin.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define NOINLINE __attribute__((noinline))

/* Loads that depend on the one before, all in the first-level cache. */
uint64_t load_list(uint64_t rounds, uint8_t *memory)
{
    const struct cell *cell = (const struct cell *)memory;
    uint64_t sum = 0;

    for (rounds *= 256; rounds--; cell = cell->next)
        sum += cell->value ^ rounds;
    return sum;
}

uint64_t load_matrix(uint64_t rounds, uint8_t *memory)
{
    enum { N = 48 };
    static uint32_t a[N][N], b[N][N], c[N][N];
    uint32_t seed = 3;
    uint64_t sum = 0;

    (void)memory;
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++) {
            a[i][j] = lcg(&seed);
            b[i][j] = lcg(&seed);
        }
    while (rounds--) {
        for (size_t i = 0; i < N; i++)
            for (size_t j = 0; j < N; j++) {
                uint32_t cell = 0;

                for (size_t k = 0; k < N; k++)
                    cell += a[i][k] * b[k][j];
                c[i][j] = cell;
            }
        sum += c[rounds % N][7];
        a[rounds % N][5] += c[3][rounds % N];
    }
    return sum;
}

/* One bit at a time: shifts and a condition that cannot be predicted. */
uint64_t load_crc_bits(uint64_t rounds, uint8_t *memory)
{
    uint32_t crc = ~0u;

    while (rounds--)
        for (size_t i = 0; i < 16 << 10; i++) {
            crc ^= memory[i];
            for (int bit = 0; bit < 8; bit++)
                crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
        }
    return crc;
}

uint64_t load_crc_table(uint64_t rounds, uint8_t *memory)
{
    static uint32_t table[256];
    uint32_t crc = ~0u;

    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (int bit = 0; bit < 8; bit++)
            table[i] = table[i] & 1 ? table[i] >> 1 ^ 0xedb88320 : table[i] >> 1;
    }
    while (rounds--)
        for (size_t i = 0; i < 16 << 10; i++)
            crc = crc >> 8 ^ table[(crc ^ memory[i]) & 0xff];
    return crc;
}

/* Splits text into words, numbers, strings and comments, a byte at a time. */
uint64_t load_state(uint64_t rounds, uint8_t *memory)
{
    enum { BLANK, WORD, NUMBER, STRING, COMMENT } state = BLANK;
    uint64_t count[5] = { 0 };

    while (rounds--)
        for (size_t i = 0; i < 16 << 10; i++) {
            uint8_t c = memory[i];

            count[state]++;
            switch (state) {
            case BLANK:
            case WORD:
            case NUMBER:
                switch (c) {
                case ' ':
                case '\n': state = BLANK; break;
                case '"': state = STRING; break;
                case '#': state = COMMENT; break;
                case '0':
                case '1':
                case '2':
                case '3':
                case '7': state = state == WORD ? WORD : NUMBER; break;
                case '(':
                case ')':
                case '+':
                case ';':
                case '=': state = BLANK; break;
                default: state = WORD;
                }
                break;
            case STRING: state = c == '"' ? BLANK : STRING; break;
            case COMMENT: state = c == '\n' ? BLANK : COMMENT; break;
            }
        }
    return count[0] + count[1] * 3 + count[2] * 5 + count[3] * 7 + count[4] * 11;
}

/* Products of 32 words of 64 bits with carries, added into a sum. */
uint64_t load_bignum(uint64_t rounds, uint8_t *memory)
{
    enum { N = 32 };
    unsigned long long a[N], b[N], product[2 * N], sum[2 * N] = { 0 };
    unsigned char carry;

    for (size_t i = 0; i < N; i++) {
        memcpy(&a[i], memory + 8 * i, 8);
        memcpy(&b[i], memory + 8 * (N + i), 8);
    }
    while (rounds--) {
        for (size_t i = 0; i < 2 * N; i++)
            product[i] = 0;
        for (size_t i = 0; i < N; i++) {
            uint64_t high = 0;

            for (size_t j = 0; j < N; j++) {
                unsigned __int128 t = (unsigned __int128)a[i] * b[j] + product[i + j] + high;

                product[i + j] = (uint64_t)t;
                high = (uint64_t)(t >> 64);
            }
            product[i + N] = high;
        }
        carry = 0;
        for (size_t i = 0; i < 2 * N; i++)
            carry = _addcarry_u64(carry, sum[i], product[i], &sum[i]);
        a[rounds % N] ^= sum[rounds % (2 * N)];
    }
    return sum[0] ^ sum[N] ^ sum[2 * N - 1];
}

static inline uint32_t rotate(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

/* [FIPS 180-4 "SHA-256 Hash Computation"] */
static NOINLINE void sha256_block(uint32_t state[8], const uint8_t *block)
{
    static const uint32_t k[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
        0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
        0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
        0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
        0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
        0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
        0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
        0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
        0xc67178f2,
    };
    uint32_t w[64], s[8];

    for (int i = 0; i < 16; i++) {
        uint32_t word;

        memcpy(&word, block + 4 * i, 4);
        w[i] = __builtin_bswap32(word);
    }
    for (int i = 16; i < 64; i++)
        w[i] = w[i - 16] + w[i - 7] +
               (rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3) +
               (rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10);
    memcpy(s, state, sizeof s);
    for (int i = 0; i < 64; i++) {
        uint32_t t1 = s[7] + (rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25)) +
                      ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
        uint32_t t2 = (rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22)) +
                      ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));

        s[7] = s[6];
        s[6] = s[5];
        s[5] = s[4];
        s[4] = s[3] + t1;
        s[3] = s[2];
        s[2] = s[1];
        s[1] = s[0];
        s[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++)
        state[i] += s[i];
}

uint64_t load_sha256(uint64_t rounds, uint8_t *memory)
{
    uint32_t state[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                          0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

    while (rounds--)
        for (size_t i = 0; i < 4 << 10; i += 64)
            sha256_block(state, memory + i);
    return (uint64_t)state[0] << 32 | state[7];
}

static NOINLINE uint64_t fib(uint64_t n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static NOINLINE uint64_t ackermann(uint64_t m, uint64_t n)
{
    if (!m)
        return n + 1;
    return ackermann(m - 1, n ? ackermann(m, n - 1) : 1);
}

/* Direct calls and returns, some of them deep. */
uint64_t load_calls(uint64_t rounds, uint8_t *memory)
{
    uint64_t sum = 0;

    (void)memory;
    while (rounds--)
        sum += fib(20 + rounds % 4) + ackermann(2, 60 + rounds % 8);
    return sum;
}

/* Byte stores at a growing stride. */
uint64_t load_sieve(uint64_t rounds, uint8_t *memory)
{
    enum { N = 64 << 10 };
    uint64_t primes = 0;

    while (rounds--) {
        for (size_t i = 0; i < N; i++)
            memory[i] = 0;
        for (size_t i = 2; i < N; i++) {
            if (memory[i])
                continue;
            primes++;
            for (size_t j = i * 2; j < N; j += i)
                memory[j] = 1;
        }
    }
    return primes;
}

/* 64-bit divisions. */
uint64_t load_gcd(uint64_t rounds, uint8_t *memory)
{
    uint32_t seed = 1;
    uint64_t sum = 0;

    (void)memory;
    while (rounds--) {
        uint64_t a = (uint64_t)lcg(&seed) << 8 | 1, b = lcg(&seed) + 1;

        while (b) {
            uint64_t rest = a % b;

            a = b;
            b = rest;
        }
        sum += a;
    }
    return sum;
}

/* A table with open addressing: mixes keys, probes, counts. */
uint64_t load_hash(uint64_t rounds, uint8_t *memory)
{
    enum { SLOTS = 8192 };
    struct slot {
        uint64_t key, count;
    } *slots = (struct slot *)memory;
    uint32_t seed = 7;
    uint64_t probes = 0;

    while (rounds--)
        for (int i = 0; i < 8192; i++) {
            uint64_t key = lcg(&seed) % 4096 + 1, h = key * 0x9e3779b97f4a7c15;

            h = (h ^ h >> 29) * 0xbf58476d1ce4e5b9;
            for (h = (h ^ h >> 32) % SLOTS; slots[h].key && slots[h].key != key;
                 h = (h + 1) % SLOTS)
                probes++;
            slots[h].key = key;
            probes += slots[h].count++;
        }
    return probes;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* The C library's, which calls back for each comparison. */
uint64_t load_sort(uint64_t rounds, uint8_t *memory)
{
    enum { N = 4096 };
    static uint32_t values[N];
    const uint32_t *from = (const uint32_t *)memory;
    uint64_t sum = 0;

    while (rounds--) {
        for (size_t i = 0; i < N; i++)
            values[i] = from[i] ^ (uint32_t)(rounds * 0x9e3779b9);
        qsort(values, N, sizeof values[0], by_value);
        sum += values[rounds % N] ^ values[N / 2];
    }
    return sum;
}

static NOINLINE size_t length(const uint8_t *s)
{
    const uint8_t *start = s;

    while (*s)
        s++;
    return (size_t)(s - start);
}

static NOINLINE const uint8_t *find(const uint8_t *s, uint8_t what, size_t n)
{
    for (; n; n--, s++)
        if (*s == what)
            return s;
    return NULL;
}

static NOINLINE int compare(const uint8_t *a, const uint8_t *b, size_t n)
{
    for (; n; n--, a++, b++)
        if ((*a | 0x20) != (*b | 0x20))
            return *a - *b;
    return 0;
}

/* strlen, memchr and a comparison that ignores case, over strings of 256 bytes on average. */
uint64_t load_strings(uint64_t rounds, uint8_t *memory)
{
    enum { BYTES = 16 << 10 };
    static uint8_t copy[BYTES];
    uint64_t sum = 0;

    memory[BYTES - 1] = 0;
    for (size_t i = 0; i < BYTES; i++)
        copy[i] = memory[i];
    while (rounds--) {
        copy[rounds * 31 % (BYTES - 1)] ^= 0x20;
        for (size_t at = 0; at < BYTES;) {
            size_t n = length(memory + at);
            const uint8_t *found = find(memory + at, (uint8_t)rounds, n);

            sum += found ? (size_t)(found - memory) : n;
            sum += (uint64_t)(compare(memory + at, copy + at, n) & 0xff);
            at += n + 1;
        }
    }
    return sum;
}

enum op { SET, MOVE, ADD, ADD_I, SUB_I, AND_I, SHR_I, MUL_I, LESS, IF, IF_NOT, JUMP, HALT };

struct bytecode {
    uint8_t op, to, a, b;
};

/* The switch of a bytecode interpreter: one indirect jump for all instructions. */
static NOINLINE void interpret(const struct bytecode *code, uint64_t r[8])
{
    for (const struct bytecode *i = code;; i++)
        switch ((enum op)i->op) {
        case SET: r[i->to] = i->a; break;
        case MOVE: r[i->to] = r[i->a]; break;
        case ADD: r[i->to] = r[i->a] + r[i->b]; break;
        case ADD_I: r[i->to] = r[i->a] + i->b; break;
        case SUB_I: r[i->to] = r[i->a] - i->b; break;
        case AND_I: r[i->to] = r[i->a] & i->b; break;
        case SHR_I: r[i->to] = r[i->a] >> i->b; break;
        case MUL_I: r[i->to] = r[i->a] * i->b; break;
        case LESS: r[i->to] = r[i->a] < r[i->b]; break;
        case IF: i = r[i->a] ? code + i->to - 1 : i; break;
        case IF_NOT: i = r[i->a] ? i : code + i->to - 1; break;
        case JUMP: i = code + i->to - 1; break;
        case HALT: return;
        }
}

/* Collatz sequences of 1, 2, ... ROUNDS: r4 adds up all their numbers. */
uint64_t load_bytecode(uint64_t rounds, uint8_t *memory)
{
    static const struct bytecode code[] = {
        /* clang-format off */
        { SET,    1,  1, 0 },
        { MOVE,   2,  1, 0 }, /* 1: the next sequence */
        { SUB_I,  3,  2, 1 }, /* 2: the next number */
        { IF_NOT, 11, 3, 0 },
        { AND_I,  3,  2, 1 },
        { IF_NOT, 8,  3, 0 },
        { MUL_I,  2,  2, 3 },
        { ADD_I,  2,  2, 1 },
        { SHR_I,  2,  2, 1 }, /* 8 */
        { ADD,    4,  4, 2 },
        { JUMP,   2,  0, 0 },
        { ADD_I,  1,  1, 1 }, /* 11 */
        { LESS,   3,  1, 0 },
        { IF,     1,  3, 0 },
        { HALT,   0,  0, 0 },
        /* clang-format on */
    };
    uint64_t r[8] = { rounds };

    (void)memory;
    interpret(code, r);
    return r[4];
}

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
static uint64_t op_multiply(uint64_t x)
{
    return x * 0x9e3779b97f4a7c15;
}

/* Calls through a table in an order of 65536 steps. */
uint64_t load_indirect(uint64_t rounds, uint8_t *memory)
{
    static uint64_t (*const volatile ops[])(uint64_t) = { op_add, op_xor, op_shift, op_multiply };
    uint64_t x = 1;

    while (rounds--)
        for (size_t i = 0; i < 64 << 10; i++)
            x = ops[memory[i] & 3](x);
    return x;
}
