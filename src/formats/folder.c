/* SPDX-License-Identifier: Apache-2.0
 * The weights of a Hugging Face folder, in whichever form it has them. */
#include <stdlib.h>

#include "formats/foreign.h"
#include "formats/formats.h"
#include "formats/shards.h"

static const fj_shard_kind *const kinds[] = { &fj_shard_safetensors,
                                              &fj_shard_torch }; /* the first that is there is read */

static fj_status no_weights(const char *folder, fj_err *err)
{
    char *path = fj_path_join(folder, "consolidated.00.pth");
    (void)fj_fail(err, FJ_ERR_FORMAT, "%s: no model.safetensors, no pytorch_model.bin and no index of either", folder);
    (void)fj_hint(err, path && fj_path_exists(path)
                           ? "consolidated.00.pth is Meta's own form; get the same model in Hugging Face's"
                           : "a model folder has config.json and its weights as safetensors or pytorch_model.bin");
    free(path);
    return err->status;
}

static fj_status load_config(const char *folder, fj_json **out, fj_err *err)
{
    char *path = fj_path_join(folder, "config.json");
    fj_status st = path ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", folder);
    if (!st && fj_path_exists(path))
        st = fj_json_load(path, out, err);
    if (!st && *out && !fj_json_is_object(*out))
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: not an object", path);
    free(path);
    return st;
}

fj_status fj_weights_open_folder(const char *folder, fj_source **out, fj_err *err)
{
    fj_json *config = NULL;
    bool found = false;
    fj_status st = load_config(folder, &config, err);
    for (size_t i = 0; !st && config && !found && i < FJ_LEN(kinds); i++)
        st = fj_shards_open_folder(kinds[i], folder, config, &found, out, err);
    if (!st && !found)
        st = fj_grok_open_folder(folder, config, &found, out, err);
    if (!st && !found)
        st = config ? no_weights(folder, err) : fj_fail(err, FJ_ERR_FORMAT, "%s: no config.json", folder);
    if (!st) {
        st = fj_foreign_open(out, err);
        if (st)
            (*out)->close(*out);
    }
    fj_json_free(config);
    return st;
}

bool fj_weights_in_folder(const char *folder)
{
    bool found = false;
    for (size_t i = 0; i < 2 * FJ_LEN(kinds) && !found; i++) {
        char *path = fj_path_join(folder, i % 2 ? kinds[i / 2]->index : kinds[i / 2]->one);
        found = path && fj_path_exists(path);
        free(path);
    }
    return found || fj_grok_in_folder(folder);
}
