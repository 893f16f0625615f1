/* SPDX-License-Identifier: Apache-2.0
 * PyTorch's files: what opens can be walked, and every byte of it read. */
#include <stdint.h>
#include <string.h>

#include "formats/formats.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fj_err err = { 0 };
    fj_source *s = NULL;
    unsigned sum = 0;
    if (fj_torch_open_bytes(data, size, &s, &err)) {
        fj_assert(err.status == FJ_ERR_FORMAT && strlen(err.message) > 0 && !s);
        return 0;
    }
    for (size_t i = 0; i < s->count(s); i++) {
        const fj_tensor *t = s->at(s, i);
        const uint8_t *first = t->data;
        size_t bytes = 0;
        fj_assert(fj_dtype_bytes(t->dtype, fj_shape_count(&t->shape), &bytes) && bytes == t->bytes);
        fj_assert(s->find(s, t->name) == t);
        for (size_t b = 0; b < bytes; b++)
            sum += first[b];
        s->will_need(s, t);
        s->give_back(s, t);
    }
    fj_assert(s->count(s) > 0 && sum <= UINT32_MAX);
    s->close(s);
    return 0;
}
