/* SPDX-License-Identifier: Apache-2.0
 * What the tests of all block types ask: the golden file, errors, hostile values. Included by tests only; each function
 * answers with a number or a fact, the test says what it must be. */
#ifndef FJ_QUANT_BLOCK_TEST_H
#define FJ_QUANT_BLOCK_TEST_H

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/map.h"
#include "base/rng.h"
#include "quant/quant.h"
#include "tests/test.h"

enum { GOLDEN_COLS = 512, GOLDEN_VALUES = 8 * GOLDEN_COLS, GOLDEN_PAIR = 2 * GOLDEN_COLS, GOLDEN_RANDOM = 6 };

typedef struct golden {
    fj_str   file;
    fj_json *header;
} golden;

static inline bool golden_open_file(golden *g, const char *name)
{
    fj_err   err = { 0 };
    uint64_t len;
    *g = (golden){ 0 };
    if (fj_file_read(test_golden(name), 1 << 20, &g->file, &err) || g->file.len < 8)
        return false;
    memcpy(&len, g->file.data, sizeof len);
    return len < g->file.len - 8 && !fj_json_parse(g->file.data + 8, len, "blocks", true, &g->header, &err);
}

static inline bool golden_open(golden *g)
{
    return golden_open_file(g, "quant/blocks.safetensors");
}

static inline void golden_close(golden *g)
{
    fj_json_free(g->header);
    fj_str_free(&g->file);
}

/* The bytes of "TYPE.what", or of "what" when type is NULL, in memory that floats may lie in; NULL when absent. */
static inline void *golden_take(const golden *g, const char *type, const char *what, size_t *len)
{
    char     name[64];
    uint64_t header;
    snprintf(name, sizeof name, "%s%s%s", type ? type : "", type ? "." : "", what);
    fj_json *offsets = fj_json_get(fj_json_get(g->header, name), "data_offsets");
    int64_t  from = fj_json_int(fj_json_at(offsets, 0), 0), to = fj_json_int(fj_json_at(offsets, 1), 0);
    void    *copy = to > from ? malloc((size_t)(to - from)) : NULL;
    memcpy(&header, g->file.data, sizeof header);
    if (!copy || 8 + header + (uint64_t)to > g->file.len) {
        free(copy);
        return NULL;
    }
    *len = (size_t)(to - from);
    return memcpy(copy, g->file.data + 8 + header + from, *len);
}

/* The index-th number of metadata "what.TYPE"; NaN when absent. */
static inline double golden_figure(const golden *g, const char *type, const char *what, int index)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s", what, type);
    const char *text = fj_json_string(fj_json_get(fj_json_get(g->header, "__metadata__"), name), NULL);
    char       *end = (char *)text;
    double      figure = NAN;
    for (int i = 0; text && i <= index; i++)
        figure = strtod(end, &end);
    return figure;
}

static inline size_t block_bytes(const fj_quant *q, int64_t n)
{
    return (size_t)(n / q->dtype->block_len) * (size_t)q->dtype->block_bytes;
}

/* Whether random blocks give bit for bit the values that the gguf package reads from them. */
static inline bool golden_decodes(const fj_quant *q)
{
    golden   g;
    size_t   bytes = 0, want_bytes = 0;
    bool     equal = golden_open(&g);
    uint8_t *blocks = golden_take(&g, q->dtype->name, "random_bytes", &bytes);
    float   *want = golden_take(&g, q->dtype->name, "random_values", &want_bytes);
    int64_t  n = (int64_t)GOLDEN_RANDOM * q->dtype->block_len;
    float   *got = calloc((size_t)n, sizeof *got);

    equal = equal && blocks && want && got && bytes == block_bytes(q, n) && want_bytes == (size_t)n * sizeof *got;
    if (equal) {
        q->decode(blocks, got, n);
        for (int64_t i = 0; i < n; i++)
            equal = equal && got[i] == want[i];
    }
    free(got);
    free(want);
    free(blocks);
    golden_close(&g);
    return equal;
}

/* Whether the weight becomes bitsandbytes' bytes, a row at a time, and they its values. */
static inline bool golden_of_bitsandbytes(const fj_quant *q)
{
    golden   g;
    size_t   len = 0, bytes = 0, values = 0, row = block_bytes(q, GOLDEN_COLS);
    bool     equal = golden_open_file(&g, "quant/bitsandbytes.safetensors");
    float   *x = golden_take(&g, NULL, "weight", &len), *want = golden_take(&g, q->dtype->name, "values", &values);
    uint8_t *blocks = golden_take(&g, q->dtype->name, "blocks", &bytes), *got = malloc(8 * row);
    float    y[GOLDEN_COLS];

    equal = equal && x && want && blocks && got && len == GOLDEN_VALUES * sizeof *x && values == len && bytes == 8 * row;
    for (int r = 0; equal && r < 8; r++) {
        q->encode(x + r * GOLDEN_COLS, got + (size_t)r * row, GOLDEN_COLS, NULL);
        q->decode(blocks + (size_t)r * row, y, GOLDEN_COLS);
        equal = memcmp(got + (size_t)r * row, blocks + (size_t)r * row, row) == 0;
        for (int i = 0; i < GOLDEN_COLS; i++)
            equal = equal && y[i] == want[r * GOLDEN_COLS + i];
    }
    free(got);
    free(blocks);
    free(want);
    free(x);
    golden_close(&g);
    return equal;
}

/* Whether the weight becomes ggml's bytes. */
static inline bool golden_encodes(const fj_quant *q)
{
    golden   g;
    size_t   bytes = 0, len = 0;
    bool     equal = golden_open(&g);
    uint8_t *want = golden_take(&g, q->dtype->name, "bytes", &bytes);
    float   *x = golden_take(&g, NULL, "weight", &len);
    uint8_t *got = malloc(block_bytes(q, GOLDEN_VALUES));

    equal = equal && want && x && got && len == GOLDEN_VALUES * sizeof *x && bytes == block_bytes(q, GOLDEN_VALUES);
    if (equal) {
        q->encode(x, got, GOLDEN_VALUES, NULL);
        equal = memcmp(got, want, bytes) == 0;
    }
    free(got);
    free(x);
    free(want);
    golden_close(&g);
    return equal;
}

/* Root of the weighted sum of squared errors over that of the weights, of n values encoded and decoded again. */
static inline double error_of(const fj_quant *q, const float *x, int64_t n, const float *importance,
                              const float *weights)
{
    double   sum = 0, total = 0;
    uint8_t *blocks = malloc(block_bytes(q, n));
    float   *y = malloc((size_t)n * sizeof *y);
    if (!blocks || !y)
        abort();
    q->encode(x, blocks, n, importance);
    q->decode(blocks, y, n);
    for (int64_t i = 0; i < n; i++) {
        double w = weights ? (double)weights[i] : 1, e = (double)y[i] - (double)x[i];
        sum += w * e * e;
        total += w;
    }
    free(y);
    free(blocks);
    return sqrt(sum / total);
}

/* Error on a pair of the golden weight's rows over ggml's; weighted: with importance, and measured with it. */
static inline double golden_ratio(const fj_quant *q, int pair, bool weighted)
{
    golden g;
    size_t len = 0, weights_len = 0;
    double ratio = NAN;
    float  importance[GOLDEN_PAIR];
    bool   is_open = golden_open(&g);
    float *x = golden_take(&g, NULL, "weight", &len), *w = golden_take(&g, NULL, "importance", &weights_len);

    if (is_open && x && w && len == GOLDEN_VALUES * sizeof *x && weights_len == GOLDEN_COLS * sizeof *w) {
        memcpy(importance, w, weights_len);
        memcpy(importance + GOLDEN_COLS, w, weights_len);
        const float *use = weighted ? importance : NULL;
        ratio = error_of(q, x + pair * GOLDEN_PAIR, GOLDEN_PAIR, use, use)
                / golden_figure(&g, q->dtype->name, weighted ? "weighted" : "rms", pair);
    }
    free(w);
    free(x);
    golden_close(&g);
    return ratio;
}

/* n normal values times size, plus offset. */
static inline void fill_normal(float *x, int64_t n, uint64_t seed, double size, double offset)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(fj_rng_normal(seed, FJ_STREAM_TEST, 0, 0, (uint64_t)i) * size + offset);
}

/* Largest |decoded - x| over max |x|, for 512 values of one constant. */
static inline double constant_error(const fj_quant *q, float constant)
{
    float   x[512], y[512];
    uint8_t blocks[4 * 512];
    double  worst = 0;
    for (int i = 0; i < 512; i++)
        x[i] = constant;
    q->encode(x, blocks, 512, NULL);
    q->decode(blocks, y, 512);
    for (int i = 0; i < 512; i++)
        worst = fmax(worst, fabs((double)y[i] - (double)constant));
    return constant != 0 ? worst / fabs((double)constant) : worst;
}

/* Whether 512 values of any finite size, zeros among them, come back finite, and as well with any importance. */
static inline bool extremes_stay_finite(const fj_quant *q)
{
    static const float sizes[] = {
        0, 1e-45f, 1e-40f, 1e-36f, 1e-20f, 3e-8f, 1e-6f, 1, 6e4f, 1e6f, 1e9f, 1e30f, FLT_MAX
    };
    static const double weights[] = { -1, 0, 1e-300, 1e-40, 1, 1e30, 3e38, INFINITY, NAN };
    float               x[512], y[512], w[512];
    uint8_t             blocks[4 * 512];
    bool                finite = true;
    for (size_t s = 0; s < FJ_LEN(sizes); s++)
        for (size_t k = 0; k <= FJ_LEN(weights); k++) {
            for (int i = 0; i < 512; i++) {
                double t = fj_rng_uniform(s, FJ_STREAM_TEST, (uint32_t)k, 0, (uint64_t)i) * 2 - 1;
                x[i] = i % 7 == 0 ? sizes[s] : i % 11 == 0 ? 0 : (float)((double)sizes[s] * t);
                w[i] = (float)weights[(k + (size_t)(i % 3)) % FJ_LEN(weights)];
            }
            q->encode(x, blocks, 512, k < FJ_LEN(weights) ? w : NULL);
            q->decode(blocks, y, 512);
            for (int i = 0; i < 512; i++)
                finite = finite && isfinite(y[i]);
        }
    return finite;
}

/* Whether NaN and infinities among the values leave the encoder standing: what it writes does not matter. */
static inline bool survives_what_is_not_finite(const fj_quant *q)
{
    static const float odd[] = { NAN, INFINITY, -INFINITY };
    float              x[512], w[512];
    uint8_t            blocks[4 * 512 + 1];
    size_t             end = block_bytes(q, 512);
    for (int k = 0; k < 9; k++) {
        fill_normal(x, 512, 3, 1, 0);
        for (int i = 0; i < 512; i++) {
            w[i] = 1;
            if (i % (1 + k * 5) == 0)
                x[i] = odd[(i + k) % 3];
        }
        blocks[end] = 0xa5;
        q->encode(x, blocks, 512, NULL);
        q->encode(x, blocks, 512, w);
        if (blocks[end] != 0xa5)
            return false;
    }
    return true;
}

/* Whether blocks at odd addresses are written and read like those at even ones, and nothing beside them is touched. */
static inline bool odd_addresses_work(const fj_quant *q)
{
    float   x[512], y[512], z[514];
    uint8_t even[4 * 512 + 8], odd[4 * 512 + 8];
    size_t  bytes = block_bytes(q, 512);
    fill_normal(x, 512, 5, 0.1, 0.02);
    memset(odd, 0x5a, sizeof odd);
    z[0] = z[513] = 42;
    q->encode(x, even, 512, NULL);
    q->encode(x, odd + 1, 512, NULL);
    q->decode(even, y, 512);
    q->decode(odd + 1, z + 1, 512);
    return memcmp(even, odd + 1, bytes) == 0 && memcmp(y, z + 1, sizeof y) == 0 && odd[0] == 0x5a
           && odd[bytes + 1] == 0x5a && z[0] == 42 && z[513] == 42;
}

/* Whether blocks at odd addresses are read like those at even ones. */
static inline bool odd_addresses_read(const fj_quant *q)
{
    float   y[512], z[512];
    uint8_t even[4 * 512 + 8], odd[4 * 512 + 8];
    for (size_t i = 0; i < sizeof even - 1; i++)
        odd[i + 1] = even[i] = (uint8_t)fj_rng(8, FJ_STREAM_TEST, 0, 0, i);
    q->decode(even, y, 512);
    q->decode(odd + 1, z, 512);
    return memcmp(y, z, sizeof y) == 0;
}

/* Whether any bytes are read without harm, and twice the same way (the sanitizers watch). */
static inline bool any_bytes_decode(const fj_quant *q)
{
    uint8_t blocks[4 * 512];
    float   y[512], z[512];
    for (uint32_t step = 0; step < 200; step++) {
        for (size_t i = 0; i < sizeof blocks; i++)
            blocks[i] = (uint8_t)fj_rng(9, FJ_STREAM_TEST, step, 0, i);
        q->decode(blocks, y, 512);
        q->decode(blocks, z, 512);
        if (memcmp(y, z, sizeof y) != 0)
            return false;
    }
    return true;
}

/* Weighted error with the weights given to the encoder over that without, on 4096 normal values. */
static inline double importance_gain(const fj_quant *q)
{
    enum { N = 4096 };
    static const uint64_t seed = 77;
    float                *x = malloc(N * sizeof *x), *w = malloc(N * sizeof *w);
    if (!x || !w)
        abort();
    fill_normal(x, N, seed, 0.04, 0);
    for (int i = 0; i < N; i++) {
        double z = fj_rng_normal(seed, FJ_STREAM_TEST, 1, 0, (uint64_t)(i % 1024));
        w[i] = (float)(z * z * z * z * 1e-5);
    }
    double gain = error_of(q, x, N, w, w) / error_of(q, x, N, NULL, w);
    free(w);
    free(x);
    return gain;
}

#endif
