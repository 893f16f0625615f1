/* SPDX-License-Identifier: Apache-2.0
 * A row of the catalogue: read, with every field that others count on, or refused in one line. */
#include <stdlib.h>
#include <string.h>

#include "hub/catalogue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fj_err err = { 0 };
    fj_catalogue_row row;
    if (fj_catalogue_read((const char *)data, size, "fuzz", &row, &err)) {
        fj_assert(err.status == FJ_ERR_FORMAT && strlen(err.message) > 0 && !row.json);
        return 0;
    }
    fj_assert(row.name && row.title && row.purpose && row.hub && row.family && row.commercial && row.config);
    fj_assert(row.context > 0 && row.total > 0 && row.active > 0);
    fj_catalogue c = { .rows = &row, .n = 1 };
    (void)fj_catalogue_speaks(&row, "es");
    (void)fj_catalogue_does(&row, "chat");
    fj_assert(fj_catalogue_find(&c, row.name) == &row);
    fj_assert(fj_catalogue_unknown(&c, row.hub, &err) == FJ_ERR_USAGE);
    fj_json_free(row.json);
    return 0;
}
