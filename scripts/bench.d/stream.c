/* Memory bandwidth as the STREAM benchmark counts it (J. McCalpin, www.cs.virginia.edu/stream):
 * copy and scale move 16 bytes an element, add and triad 24. This is a rival for scripts/bench, so
 * it is given what helps it: huge pages, threads that place their own part of the arrays, and, as
 * in the original, arrays of fixed size N, of which gcc knows that they do not overlap.
 *
 * -DNT writes with non-temporal stores, which do not read a line before they overwrite it.
 * Without it gcc decides; it makes the copy a call of memcpy, which for large sizes does the same.
 *
 * Usage: stream SECONDS; prints one JSON object, in 10^9 bytes a second. */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#ifdef NT
#include <immintrin.h>
#if defined(__AVX512F__)
#define LANES 8
typedef __m512d vec;
#define load _mm512_load_pd
#define store _mm512_stream_pd
#elif defined(__AVX__)
#define LANES 4
typedef __m256d vec;
#define load _mm256_load_pd
#define store _mm256_stream_pd
#else
#define LANES 2
typedef __m128d vec;
#define load _mm_load_pd
#define store _mm_stream_pd
#endif
/* gcc's vector types carry the arithmetic operators, so one expression serves both kinds. */
#define PASS(out, expression)                                  \
    _Pragma("omp parallel for schedule(static)")               \
    for (long i = 0; i < N; i += LANES) {                      \
        vec A = load(a + i), B = load(b + i), C = load(c + i); \
        (void)A, (void)B, (void)C;                             \
        store(out + i, expression);                            \
    }
#else
#define PASS(out, expression)                     \
    _Pragma("omp parallel for schedule(static)")  \
    for (long i = 0; i < N; i++) {                \
        double A = a[i], B = b[i], C = c[i];      \
        (void)A, (void)B, (void)C;                \
        out[i] = expression;                      \
    }
#endif

enum { KERNELS = 4, MOST = 100000, HUGE = 2 << 20 };

/* N elements each, set by -DN. */
static double a[N] __attribute__((aligned(HUGE)));
static double b[N] __attribute__((aligned(HUGE)));
static double c[N] __attribute__((aligned(HUGE)));

static int ascending(const void *x, const void *y) {
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s SECONDS\n", argv[0]);
        return 2;
    }
    double seconds = atof(argv[1]);
    /* With this factor a pass leaves the values as large as they were, however often it runs. */
    double s = sqrt(2.0) - 1.0;
    /* Advice only: without huge pages the figures are lower, not wrong. */
    madvise(a, sizeof a, MADV_HUGEPAGE);
    madvise(b, sizeof b, MADV_HUGEPAGE);
    madvise(c, sizeof c, MADV_HUGEPAGE);
#pragma omp parallel for schedule(static)
    for (long i = 0; i < N; i++) {
        a[i] = 1.0;
        b[i] = 2.0;
        c[i] = 0.0;
    }
    static const char *const names[KERNELS] = {"copy", "scale", "add", "triad"};
    static const double moved[KERNELS] = {16, 16, 24, 24};
    static double rates[KERNELS][MOST];
    double x = 1.0, y = 2.0, z = 0.0;
    double begin = 0;
    int pass = 0;
    /* Pass 0 warms up; the next one takes its place in the record. */
    for (;; pass++) {
        if (pass == 1)
            begin = omp_get_wtime();
        if (pass > MOST || (pass > 1 && omp_get_wtime() - begin >= seconds))
            break;
        int slot = pass > 0 ? pass - 1 : 0;
        for (int k = 0; k < KERNELS; k++) {
            double t = omp_get_wtime();
            switch (k) {
            case 0: PASS(c, A); break;
            case 1: PASS(b, s * C); break;
            case 2: PASS(c, A + B); break;
            case 3: PASS(a, B + s * C); break;
            }
            rates[k][slot] = moved[k] * N / (omp_get_wtime() - t) / 1e9;
        }
        z = x, y = s * z, z = x + y, x = y + s * z;
    }
    int rounds = pass - 1;
    for (long i = 0; i < N; i++)
        if (fabs(a[i] - x) > 1e-9 * x || fabs(b[i] - y) > 1e-9 * y || fabs(c[i] - z) > 1e-9 * z) {
            fprintf(stderr, "wrong result at element %ld\n", i);
            return 1;
        }
    printf("{\"threads\": %d, \"passes\": %d", omp_get_max_threads(), rounds);
    for (int k = 0; k < KERNELS; k++) {
        qsort(rates[k], rounds, sizeof(double), ascending);
        printf(", \"%s\": {\"median\": %.4f, \"best\": %.4f}", names[k], rates[k][rounds / 2],
               rates[k][rounds - 1]);
    }
    printf("}\n");
}
