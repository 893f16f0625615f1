/* SPDX-License-Identifier: Apache-2.0
 * YAML: what is read is a JSON document that can be written. */
#include <string.h>

#include "base/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fj_err err = { 0 };
    fj_json *v, *lines;
    fj_str text = { 0 };
    if (fj_yaml_parse((const char *)data, size, "fuzz", &v, &lines, &err)) {
        fj_assert(err.status == FJ_ERR_USAGE && strlen(err.message) > 0 && !v && !lines);
        return 0;
    }
    fj_assert(fj_json_write(v, 0, 17, &text) && fj_json_is_object(lines));
    fj_json_free(v);
    fj_json_free(lines);
    fj_str_free(&text);
    return 0;
}
