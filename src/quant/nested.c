/* SPDX-License-Identifier: Apache-2.0
 * Scales of NF4 and FP4 in 8 bits: see nf4.h. Source: bitsandbytes, quantize_blockwise: nearest code, the lower one in the middle
 * between two (as its CUDA kernel; its CPU library is off by one code for one scale in a thousand). */
#include <math.h>

#include "quant/nf4.h"
#include "quant/quant_internal.h"

enum { CODES = 32, FULL = 36, SCALE = 4 };

const fj_dtype fj_nf4_nested = { "NF4", NULL, -1, 64, 1 + CODES, .is_quantized = true };
const fj_dtype fj_fp4_nested = { "FP4", NULL, -1, 64, 1 + CODES, .is_quantized = true };

const fj_dtype *fj_nested_full(const fj_dtype *dtype)
{
    return dtype == &fj_nf4_nested ? &fj_nf4 : dtype == &fj_fp4_nested ? &fj_fp4 : NULL;
}

const fj_dtype *fj_nested_of(const fj_dtype *dtype)
{
    return dtype == &fj_nf4 ? &fj_nf4_nested : dtype == &fj_fp4 ? &fj_fp4_nested : NULL;
}

void fj_nested_expand(const float *run_scale, float offset, const void *src, int64_t first, int64_t n, void *dst)
{
    const uint8_t *from = src;
    uint8_t *to = dst;
    for (int64_t b = first; b < first + n; b++, from += 1 + CODES, to += FULL) {
        float scale = fj_dynamic_map[from[0]] * run_scale[b / FJ_NESTED_RUN] + offset;
        memcpy(to, &scale, sizeof scale);
        memcpy(to + SCALE, from + 1, CODES);
    }
}

float fj_nested_offset(const float *scales, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += scales[i];
    return n ? (float)(sum / (double)n) : 0;
}

/* How many middles between neighbours lie below t. */
static uint8_t nearest(float t)
{
    int code = 0;
    for (int step = 128; step; step /= 2)
        if ((fj_dynamic_map[code + step - 1] + fj_dynamic_map[code + step]) / 2 < t)
            code += step;
    return (uint8_t)code;
}

float fj_nested_run(const float *scales, int64_t n, float offset, uint8_t *codes)
{
    float most = 0;
    for (int64_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(scales[i] - offset));
    float inverse = 1.0f / fmaxf(most, 1e-38f);
    for (int64_t i = 0; i < n; i++)
        codes[i] = nearest((scales[i] - offset) * inverse);
    return most;
}
