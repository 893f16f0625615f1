/* SPDX-License-Identifier: Apache-2.0
 * Q6_K: 256 values in 16 runs of 16, each with an 8-bit scale, 210 bytes, 6.5625 bits a value.
 *   low    128 bytes  64 a half of 128 values: byte l has four bits of value l (low nibble) and of 64 + l (high nibble)
 *   high    64 bytes  32 a half: byte l has the top two bits of values l, 32 + l, 64 + l, 96 + l at shifts 0, 2, 4, 6
 *   scale   16 bytes  int8
 *   d        2 bytes  half
 * value = (d * scale) * (q - 32).  Source: ggml's block_q6_K; the GGUF specification.
 * The encoder fits as k_lines.c does: a scale for each run alone, 8-bit scales for a d that reaches the largest, d
 * again by least squares. The rms error is 0.94 to 0.98 of that of ggml's reference encoder (nine distributions). */

#include <math.h>

#include "quant/fit.h"
#include "quant/quant_internal.h"

enum { VALUES = 256, HALF = 128, RUNS = 16, RUN = 16, BYTES = 210, AT_HIGH = 128, AT_SCALES = 192, AT_D = 208 };
enum { LOW = -32, HIGH = 31, LOW_SCALE = -128, HIGH_SCALE = 127 };

static void decode(const void *src, float *dst, int64_t n)
{
    const uint8_t *block = src;
    for (; n > 0; n -= VALUES, block += BYTES, dst += VALUES) {
        float d = fj_half_load(block + AT_D);
        for (int i = 0; i < VALUES; i++) {
            int half = i / HALF, at = i % HALF;
            int low = block[half * 64 + at % 64] >> at / 64 * 4 & 15;
            int high = block[AT_HIGH + half * 32 + at % 32] >> at / 32 * 2 & 3;
            int scale = (int8_t)block[AT_SCALES + i / RUN];
            dst[i] = d * (float)scale * (float)((low | high << 4) + LOW);
        }
    }
}

/* A super-block while it is fitted, in units of 2^exponent. */
typedef struct work {
    float x[VALUES], w[VALUES];
    int exponent;
    float scale[RUNS]; /* the best of each run without regard to the others */
} work;

/* One choice of everything but the codes, and the error it leaves. */
typedef struct choice {
    uint16_t d_half;
    float d, error;
    int scale[RUNS];
} choice;

static fj_line line_of(const choice *c, int scale)
{
    return (fj_line){ c->d * (float)scale, 0 };
}

/* The best 8-bit scale of one run: near the free one, and near its negative, as the codes reach further down than up.
 */
static float choose_run(const work *k, choice *c, int run)
{
    enum { REACH = 4 };
    const float *x = k->x + run * RUN, *w = k->w + run * RUN;
    float least = INFINITY, t = c->d > 0 ? k->scale[run] / c->d : 0;
    int middle = (int)rintf(fmaxf(LOW_SCALE, fminf(HIGH_SCALE, t)));

    for (int sign = -1; sign <= 1; sign += 2)
        for (int s = sign * middle - REACH; s <= sign * middle + REACH; s++) {
            int scale = FJ_MAX(LOW_SCALE, FJ_MIN(HIGH_SCALE, s));
            float error = fj_fit_error(x, w, RUN, line_of(c, scale), LOW, HIGH);
            if (error < least) {
                least = error;
                c->scale[run] = scale;
            }
        }
    return least;
}

static void choose_all(const work *k, choice *c)
{
    c->error = 0;
    for (int run = 0; run < RUNS; run++)
        c->error += choose_run(k, c, run);
}

/* d of least squares, all scales and codes as they are. */
static void refit_d(const work *k, choice *c)
{
    double aa = 0, ar = 0; /* a = scale * q */
    for (int run = 0; run < RUNS; run++) {
        double scale = c->scale[run];
        fj_sums s = fj_fit_sums(k->x + run * RUN, k->w + run * RUN, RUN, line_of(c, c->scale[run]), LOW, HIGH);
        aa += scale * scale * (double)s.qq;
        ar += scale * (double)s.qr;
    }
    if (aa > 0)
        c->d_half = fj_fit_half(fmaxf(c->d + (float)(ar / aa), 0), k->exponent, &c->d);
}

/* The first d: the largest scale becomes the last number, or a little less: two tries. */
static void start(const work *k, choice *best)
{
    static const float tops[] = { 128, 123 };
    float scale = 0;
    for (int run = 0; run < RUNS; run++)
        scale = fmaxf(scale, fabsf(k->scale[run]));

    best->error = INFINITY;
    for (size_t i = 0; i < FJ_LEN(tops); i++) {
        choice c = { 0 };
        c.d_half = fj_fit_half(scale / tops[i], k->exponent, &c.d);
        choose_all(k, &c);
        if (c.error < best->error)
            *best = c;
    }
}

static choice fit(work *k)
{
    choice best = { 0 };
    for (int run = 0; run < RUNS; run++)
        k->scale[run] = fj_fit_scale(k->x + run * RUN, k->w + run * RUN, RUN, LOW, HIGH);
    start(k, &best);

    choice again = best;
    refit_d(k, &again);
    choose_all(k, &again);
    return again.error < best.error ? again : best;
}

static void encode_block(const float *x, const float *importance, uint8_t *block)
{
    work k;
    uint8_t codes[VALUES];
    bool is_zero;

    memset(block, 0, BYTES);
    k.exponent = fj_fit_unit(x, importance, VALUES, (float)(LOW_SCALE * LOW), k.x, k.w, &is_zero);
    if (is_zero)
        return;
    choice c = fit(&k);

    fj_half_store(block + AT_D, c.d_half);
    for (int run = 0; run < RUNS; run++) {
        block[AT_SCALES + run] = (uint8_t)(int8_t)c.scale[run];
        fj_fit_codes(k.x + run * RUN, RUN, line_of(&c, c.scale[run]), LOW, HIGH, codes + run * RUN);
    }
    for (int i = 0; i < VALUES; i++) {
        int half = i / HALF, at = i % HALF;
        block[half * 64 + at % 64] |= (uint8_t)((codes[i] & 15) << at / 64 * 4);
        block[AT_HIGH + half * 32 + at % 32] |= (uint8_t)(codes[i] >> 4 << at / 32 * 2);
    }
}

static void encode(const float *src, void *dst, int64_t n, const float *importance)
{
    uint8_t *block = dst;
    for (int64_t at = 0; at < n; at += VALUES, block += BYTES)
        encode_block(src + at, importance ? importance + at : NULL, block);
}

const fj_quant fj_quant_q6_k = {
    .dtype = &fj_q6_k,
    .decode = decode,
    .encode = encode,
    .about = "6.5625 bits, 256 values: 16 runs with a scale each",
};
