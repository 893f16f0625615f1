/* SPDX-License-Identifier: Apache-2.0
 * Shapes. */
#include "tensor/tensor.h"

#include <stdio.h>
#include <string.h>

fj_shape fj_shape_1(int64_t n)
{
    return (fj_shape){ .rank = 1, .dim = { n } };
}

fj_shape fj_shape_2(int64_t rows, int64_t cols)
{
    return (fj_shape){ .rank = 2, .dim = { rows, cols } };
}

int64_t fj_shape_count(const fj_shape *shape)
{
    return fj_shape_rows(shape) * fj_shape_cols(shape);
}

int64_t fj_shape_cols(const fj_shape *shape)
{
    return shape->rank ? shape->dim[shape->rank - 1] : 1;
}

int64_t fj_shape_rows(const fj_shape *shape)
{
    int64_t n = 1;
    for (int i = 0; i + 1 < shape->rank; i++)
        n *= shape->dim[i];
    return n;
}

bool fj_shape_equal(const fj_shape *a, const fj_shape *b)
{
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i])
            return false;
    return true;
}

char *fj_shape_text(const fj_shape *shape, char out[96])
{
    int at = 0;
    (void)snprintf(out, 96, "scalar");
    for (int i = 0; i < shape->rank; i++)
        at += snprintf(out + at, 96 - (size_t)at, "%s%lld", i ? "x" : "", (long long)shape->dim[i]);
    return out;
}
