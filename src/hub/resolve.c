/* SPDX-License-Identifier: Apache-2.0
 * What MODEL means. */
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "hub/catalogue.h"
#include "hub/hub_internal.h"
#include "hub/remote_internal.h"

#define FORMS                                                                                                          \
    "MODEL is a folder with config.json, weights and tokenizer files, a .gguf or .nemo file, hf:org/name of the hub, " \
    "or a "                                                                                                            \
    "name that forja models lists"

/* What looks like a name of the catalogue: a name and a tag, no path. */
static fj_status unknown_name(const char *model, fj_err *err)
{
    const char *colon = strchr(model, ':');
    fj_catalogue c;
    if (strchr(model, '/') || !colon || colon == model || !colon[1])
        return FJ_OK;
    fj_status st = fj_catalogue_open(&c, err);
    if (!st)
        st = fj_catalogue_unknown(&c, model, err);
    fj_catalogue_close(&c);
    return st;
}

fj_status fj_resolve(const char *model, char **path, fj_err *err)
{
    fj_cached cached;
    if (fj_path_exists(model)) {
        *path = strdup(model);
        return *path ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", model);
    }
    if (fj_model_is_remote(model))
        return fj_cache_open(model, &cached, path, err);
    fj_status st = unknown_name(model, err);
    if (st)
        return st;
    (void)fj_fail(err, FJ_ERR_FORMAT, "no such file or folder: '%s'", model);
    return fj_hint(err, FORMS);
}
