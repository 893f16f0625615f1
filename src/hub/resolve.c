/* SPDX-License-Identifier: Apache-2.0
 * What MODEL means. */
#include <string.h>

#include "base/map.h"
#include "hub/catalogue.h"
#include "hub/hub_internal.h"

#define FORMS "MODEL is a folder with config.json, weights and tokenizer files, or a .gguf file"

/* "smollm:135m": a name of the catalogue, or what looks like one: a name and a tag, no path. */
static fj_status catalogue_name(const char *model, fj_err *err)
{
    const char *colon = strchr(model, ':');
    fj_catalogue c;
    if (strchr(model, '/'))
        return FJ_OK;
    fj_status st = fj_catalogue_open(&c, err);
    if (st)
        return st;
    const fj_catalogue_row *row = fj_catalogue_find(&c, model);
    if (row) {
        st = fj_fail(err, FJ_ERR_USAGE, "'%s' is %s on the hub: this build opens folders and .gguf files", model,
                     row->hub);
        (void)fj_hint(err, "download the model first; " FORMS);
    } else if (colon && colon != model && colon[1]) {
        st = fj_catalogue_unknown(&c, model, err);
    }
    fj_catalogue_close(&c);
    return st;
}

fj_status fj_resolve(const char *model, bool *is_folder, fj_err *err)
{
    *is_folder = fj_path_is_dir(model);
    if (fj_path_exists(model))
        return FJ_OK;
    if (!strncmp(model, "hf:", 3)) {
        (void)fj_fail(err, FJ_ERR_USAGE, "'%s': this build opens folders and .gguf files, not names of the hub", model);
        return fj_hint(err, "download the model first; " FORMS);
    }
    fj_status st = catalogue_name(model, err);
    if (st)
        return st;
    (void)fj_fail(err, FJ_ERR_FORMAT, "no such file or folder: '%s'", model);
    return fj_hint(err, FORMS);
}
