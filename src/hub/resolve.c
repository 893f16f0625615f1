/* SPDX-License-Identifier: Apache-2.0
 * What MODEL means. */
#include <string.h>

#include "base/map.h"
#include "hub/hub_internal.h"

#define FORMS "MODEL is a folder with config.json, weights and tokenizer files, or a .gguf file"

/* "smollm:135m": a name and a tag, no path. */
static bool is_catalogue_name(const char *model)
{
    const char *colon = strchr(model, ':');
    return colon && colon != model && colon[1] && !strchr(model, '/');
}

fj_status fj_resolve(const char *model, bool *is_folder, fj_err *err)
{
    *is_folder = fj_path_is_dir(model);
    if (fj_path_exists(model))
        return FJ_OK;
    if (!strncmp(model, "hf:", 3) || is_catalogue_name(model)) {
        (void)fj_fail(err, FJ_ERR_USAGE, "'%s': this build opens folders and .gguf files, not names of %s", model,
                      strncmp(model, "hf:", 3) ? "a catalogue" : "the hub");
        return fj_hint(err, "download the model first; " FORMS);
    }
    (void)fj_fail(err, FJ_ERR_FORMAT, "no such file or folder: '%s'", model);
    return fj_hint(err, FORMS);
}
