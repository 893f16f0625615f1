/* SPDX-License-Identifier: Apache-2.0
 * JSON: what is read can be written, and reads the same again. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fj_err err = { 0 };
    fj_json *v, *again;
    fj_str first = { 0 }, second = { 0 };
    bool strict = size && (data[0] & 1); /* '{' and ' ' give both */
    if (fj_json_parse((const char *)data, size, "fuzz", strict, &v, &err)) {
        fj_assert(err.status == FJ_ERR_FORMAT && strlen(err.message) > 0);
        return 0;
    }
    fj_assert(fj_json_write(v, 0, 17, &first));
    fj_assert(fj_json_parse(first.data, first.len, "again", false, &again, &err) == FJ_OK);
    fj_assert(fj_json_write(again, 0, 17, &second));
    fj_assert(first.len == second.len && !memcmp(first.data, second.data, first.len));
    fj_json_free(v);
    fj_json_free(again);
    fj_str_free(&first);
    fj_str_free(&second);
    return 0;
}
