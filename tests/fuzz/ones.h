/* SPDX-License-Identifier: Apache-2.0
 * The weights of a tiny model, for fuzz targets whose input is something else. */
#ifndef FUZZ_ONES_H
#define FUZZ_ONES_H

#include <stdio.h>

#include "base/str.h"

typedef struct fuzz_weight {
    const char *name;
    int rows, cols; /* cols 0: a vector */
} fuzz_weight;

/* A safetensors file of them, all ones. */
static void fuzz_write_ones(const fuzz_weight *weights, size_t n, fj_str *out)
{
    fj_str header = { 0 };
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        size_t bytes = 4 * (size_t)weights[i].rows * (size_t)(weights[i].cols ? weights[i].cols : 1);
        char cols[24] = "";
        if (weights[i].cols)
            (void)snprintf(cols, sizeof cols, ",%d", weights[i].cols);
        fj_str_printf(&header, "%c\"%s\":{\"dtype\":\"F32\",\"shape\":[%d%s],\"data_offsets\":[%zu,%zu]}",
                      i ? ',' : '{', weights[i].name, weights[i].rows, cols, at, at + bytes);
        at += bytes;
    }
    fj_str_add_char(&header, '}');
    while (header.len % 8)
        fj_str_add_char(&header, ' ');
    uint64_t len = header.len;
    fj_str_add(out, (const char *)&len, sizeof len);
    fj_str_add(out, header.data, header.len);
    for (const float one = 1; at; at -= sizeof one)
        fj_str_add(out, (const char *)&one, sizeof one);
    fj_str_free(&header);
}

#endif
