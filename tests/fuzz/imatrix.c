/* SPDX-License-Identifier: Apache-2.0
 * Importance matrices of both forms: what is read has sums and counts that belong together. */
#include <math.h>
#include <string.h>

#include "formats/imatrix.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fj_err err = { 0 };
    fj_imatrix *m = NULL;
    if (fj_imatrix_from_bytes(data, size, &m, &err)) {
        fj_assert(err.status == FJ_ERR_FORMAT && strlen(err.message) > 0 && !m);
        return 0;
    }
    for (size_t i = 0; i < fj_imatrix_count(m); i++) {
        const fj_importance *item = &m->items[i];
        float mean;
        fj_assert(item->n_values > 0 && item->n_counts > 0 && item->n_values % item->n_counts == 0);
        fj_assert(fj_imatrix_find(m, item->name) == item);
        for (int64_t v = 0; v < item->n_values; v++)
            fj_assert(item->sums[v] >= 0 && isfinite(item->sums[v]));
        fj_importance_means(item, item->n_counts - 1, 1, &mean);
    }
    for (size_t i = 0; i < m->n_datasets; i++)
        fj_assert(strlen(m->datasets[i]) < size);
    fj_imatrix_free(m);
    return 0;
}
