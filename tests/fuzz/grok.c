/* SPDX-License-Identifier: Apache-2.0
 * One file of Grok-1's checkpoint, in the place that its first byte says: what opens has its bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "formats/formats.h"
#include "formats/shards.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fj_err err = { 0 };
    fj_source *s = NULL;
    unsigned sum = 0;
    if (fj_grok_open_bytes(data, size, size ? data[size - 1] % 14 : 0, &s, &err)) {
        fj_assert(err.status == FJ_ERR_FORMAT && strlen(err.message) > 0 && !s);
        return 0;
    }
    for (size_t i = 0; i < s->count(s); i++) {
        const fj_tensor *t = s->at(s, i);
        size_t bytes = 0;
        fj_assert(fj_dtype_bytes(t->dtype, fj_shape_count(&t->shape), &bytes) && bytes == t->bytes);
        unsigned char *made = t->data ? NULL : malloc(bytes); /* exact, so that a write behind it is seen */
        fj_assert(t->data || made);
        if (made)
            s->rows(s, t, 0, t->shape.dim[0], made);
        for (size_t b = 0; b < bytes; b++)
            sum += (made ? made : (const uint8_t *)t->data)[b];
        free(made);
    }
    fj_assert(sum <= UINT32_MAX);
    s->close(s);
    return 0;
}
