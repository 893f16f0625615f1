/* SPDX-License-Identifier: Apache-2.0
 * Folders that others have quantized: the length of quantization_config in two bytes, its JSON, and a safetensors file. What opens gives
 * rows of the size that it says, and they decode. */
#include <stdlib.h>
#include <string.h>

#include "formats/foreign.h"
#include "formats/formats.h"
#include "quant/nf4.h"
#include "quant/quant.h"

enum { MOST_BYTES = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_rows(const fj_source *s, const fj_tensor *t)
{
    int64_t n = t->shape.dim[0], k = t->shape.dim[1];
    fj_row_form form = s->form(s, t);
    if (t->bytes == 0 || t->bytes > MOST_BYTES)
        return;
    uint8_t *rows = malloc(t->bytes); /* exact, so that a write behind it is seen */
    float *values = malloc((size_t)k * sizeof *values);
    fj_assert(rows && values);
    s->rows(s, t, 0, n, rows);
    for (int64_t i = 0; form.order && i < k; i++)
        fj_assert(form.order[i] >= 0 && form.order[i] < k);
    if (fj_quant_of(t->dtype))
        fj_quant_of(t->dtype)->decode(rows, values, k);
    else
        fj_assert(fj_nested_full(t->dtype) && form.run_scale);
    free(values);
    free(rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fj_err err = { 0 };
    fj_json *config = NULL;
    fj_source *s = NULL;
    size_t len = size >= 2 ? (size_t)data[0] | (size_t)data[1] << 8 : 0;
    if (size < 2 + len || fj_json_parse((const char *)data + 2, len, "config", false, &config, &err))
        return 0;
    if (!fj_safetensors_open_bytes(data + 2 + len, size - 2 - len, &s, &err)) {
        fj_assert(fj_json_set(s->config, "quantization_config", fj_json_share(config)));
        if (fj_foreign_open(&s, &err))
            fj_assert((err.status == FJ_ERR_FORMAT || err.status == FJ_ERR_SHAPE) && strlen(err.message) > 0);
        for (size_t i = 0; s->form && i < s->count(s); i++) {
            const fj_tensor *t = s->at(s, i);
            fj_assert(s->find(s, t->name) == t);
            s->give_back(s, t);
            if (!t->data && t->shape.rank == 2)
                read_rows(s, t);
        }
        s->close(s);
    }
    fj_json_free(config);
    return 0;
}
