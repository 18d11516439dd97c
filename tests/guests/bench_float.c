/* Floating point and vector loads of the benchmark: SSE2, x87. */
#include <emmintrin.h>
#include <string.h>

#include "bench.h"

static uint64_t bits_of(double d)
{
    uint64_t bits;

    memcpy(&bits, &d, sizeof bits);
    return bits;
}

static double root(double x)
{
    __m128d v = _mm_set_sd(x);

    return _mm_cvtsd_f64(_mm_sqrt_sd(v, v));
}

/* Five bodies attract each other: the Sun and its four large planets. */
uint64_t load_nbody(uint64_t rounds, uint8_t *memory)
{
    enum { BODIES = 5 };
    struct body {
        double x[3], v[3], mass;
    } body[BODIES] = {
        { { 0, 0, 0 }, { 0, 0, 0 }, 39.47 },
        { { 4.84, -1.16, -0.103 }, { 0.606, 2.81, -0.0252 }, 0.0376 },
        { { 8.34, 4.12, -0.403 }, { -1.01, 1.82, 0.0084 }, 0.0112 },
        { { 12.9, -15.1, -0.223 }, { 1.08, 0.868, -0.0108 }, 0.00172 },
        { { 15.4, -25.9, 0.179 }, { 0.979, 0.594, -0.0347 }, 0.00203 },
    };
    const double dt = 0.01;
    uint64_t sum = 0;

    (void)memory;
    while (rounds--) {
        for (int i = 0; i < BODIES; i++)
            for (int j = i + 1; j < BODIES; j++) {
                struct body *a = &body[i], *b = &body[j];
                double d0 = a->x[0] - b->x[0], d1 = a->x[1] - b->x[1], d2 = a->x[2] - b->x[2];
                double square = d0 * d0 + d1 * d1 + d2 * d2;
                double f = dt / (square * root(square));

                a->v[0] -= d0 * b->mass * f;
                a->v[1] -= d1 * b->mass * f;
                a->v[2] -= d2 * b->mass * f;
                b->v[0] += d0 * a->mass * f;
                b->v[1] += d1 * a->mass * f;
                b->v[2] += d2 * a->mass * f;
            }
        for (int i = 0; i < BODIES; i++)
            for (int k = 0; k < 3; k++)
                body[i].x[k] += dt * body[i].v[k];
    }
    for (int i = 0; i < BODIES; i++)
        sum ^= bits_of(body[i].x[0]) + bits_of(body[i].v[1]);
    return sum;
}

uint64_t load_mandelbrot(uint64_t rounds, uint8_t *memory)
{
    uint64_t inside = 0;

    (void)memory;
    while (rounds--)
        for (int y = 0; y < 32; y++)
            for (int x = 0; x < 32; x++) {
                double cr = x / 12.0 - 2.0 + (double)rounds * 1e-5, ci = y / 14.0 - 1.1;
                double zr = 0, zi = 0;

                for (int i = 0; i < 100 && zr * zr + zi * zi <= 4.0; i++) {
                    double t = zr * zr - zi * zi + cr;

                    zi = 2 * zr * zi + ci;
                    zr = t;
                    inside++;
                }
            }
    return inside;
}

uint64_t load_matrix_double(uint64_t rounds, uint8_t *memory)
{
    enum { N = 48 };
    static double a[N][N], b[N][N], c[N][N];
    uint32_t seed = 3;
    double sum = 0;

    (void)memory;
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++) {
            a[i][j] = lcg(&seed) / 16777216.0;
            b[i][j] = lcg(&seed) / 16777216.0;
        }
    while (rounds--) {
        for (size_t i = 0; i < N; i++)
            for (size_t j = 0; j < N; j++) {
                double cell = 0;

                for (size_t k = 0; k < N; k++)
                    cell += a[i][k] * b[k][j];
                c[i][j] = cell;
            }
        sum += c[rounds % N][7];
        a[rounds % N][5] = c[3][rounds % N] / N;
    }
    return bits_of(sum);
}

/* The exponential series by Horner's rule. */
uint64_t load_x87_poly(uint64_t rounds, uint8_t *memory)
{
    static volatile long double one = 1;
    long double coefficient[16], sum = 0;

    (void)memory;
    coefficient[15] = one;
    for (int i = 15; i > 0; i--)
        coefficient[i - 1] = coefficient[i] * i;
    for (uint64_t i = 0; i < rounds; i++) {
        long double x = (long double)(i % 1000) / 1000, y = 0;

        for (int k = 15; k >= 0; k--)
            y = y * x + coefficient[k];
        sum += y / coefficient[0];
    }
    return bits_of((double)sum);
}

/* Loads of integers, divisions, sums, comparisons: pi, slowly. */
uint64_t load_x87_sum(uint64_t rounds, uint8_t *memory)
{
    long double sum = 0, term = 4;

    (void)memory;
    for (uint64_t i = 0; i < rounds; i++) {
        sum += term / (long double)(2 * i + 1);
        term = -term;
        if (sum > 3.2L)
            sum -= 0.0000001L;
    }
    return bits_of((double)sum);
}

/* Sums, products, shuffles, comparisons and shifts of packed integers. */
uint64_t load_sse_int(uint64_t rounds, uint8_t *memory)
{
    const __m128i *in = (const __m128i *)memory;
    __m128i sum = _mm_setzero_si128(), mixed = _mm_set1_epi32(0x01234567);
    uint64_t out[2];

    while (rounds--)
        for (size_t i = 0; i < 64; i++) {
            __m128i a = _mm_load_si128(in + i), b = _mm_loadu_si128((const void *)(memory + i));
            __m128i equal = _mm_cmpeq_epi8(a, b);

            sum = _mm_add_epi32(sum, _mm_madd_epi16(a, b));
            mixed = _mm_xor_si128(_mm_shuffle_epi32(mixed, 0x39), _mm_add_epi32(a, equal));
            sum = _mm_sub_epi8(sum, _mm_unpacklo_epi8(mixed, b));
            mixed = _mm_or_si128(_mm_slli_epi64(mixed, 7), _mm_srli_epi64(mixed, 57));
        }
    _mm_storeu_si128((__m128i *)out, _mm_add_epi64(sum, mixed));
    return out[0] ^ out[1];
}
