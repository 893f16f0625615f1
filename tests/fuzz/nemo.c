/* SPDX-License-Identifier: Apache-2.0
 * NeMo's archives; the sums of tar's headers are made right first, else nothing would get through. What opens has its bytes. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/formats.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_sums(char *tar, size_t size)
{
    for (size_t at = 0; at + 512 <= size; at += 512) {
        unsigned sum = 0;
        if (memcmp(tar + at + 257, "ustar", 5) != 0)
            continue;
        memset(tar + at + 148, ' ', 8);
        for (size_t i = 0; i < 512; i++)
            sum += (unsigned char)tar[at + i];
        (void)snprintf(tar + at + 148, 8, "%06o", sum);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fj_err err = { 0 };
    fj_source *s = NULL;
    unsigned sum = 0;
    char *tar = malloc(size + 1);
    if (!tar)
        return 0;
    memcpy(tar, data, size);
    put_sums(tar, size);
    if (fj_nemo_open_bytes(tar, size, &s, &err)) {
        fj_assert((err.status == FJ_ERR_FORMAT || err.status == FJ_ERR_MEMORY) && strlen(err.message) > 0 && !s);
    } else {
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
    }
    free(tar);
    return 0;
}
