/* SPDX-License-Identifier: Apache-2.0
 * How far numbers are from what they were. */
#include "quant/lanes.h"
#include "quant/quant_internal.h"

FJ_LEVELS void fj_quant_add_error(const float *values, const float *back, int64_t n, double *error, double *size)
{
    double e[FJ_LANES] = { 0 }, s[FJ_LANES] = { 0 };
    int64_t whole = n / FJ_LANES * FJ_LANES;
    for (int64_t i = 0; i < whole; i += FJ_LANES)
        for (int j = 0; j < FJ_LANES; j++) {
            double x = (double)values[i + j], d = x - (double)back[i + j];
            e[j] += d * d;
            s[j] += x * x;
        }
    for (int64_t i = whole; i < n; i++) {
        double x = (double)values[i], d = x - (double)back[i];
        e[0] += d * d;
        s[0] += x * x;
    }
    for (int j = 0; j < FJ_LANES; j++) {
        *error += e[j];
        *size += s[j];
    }
}
