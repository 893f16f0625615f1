/* SPDX-License-Identifier: Apache-2.0
 * The weights of a Hugging Face folder, in whichever form it has them. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
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

/* *out stays NULL where there is none. */
static fj_status load_object(const char *folder, const char *name, fj_json **out, fj_err *err)
{
    char *path = fj_path_join(folder, name);
    fj_status st = path ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", folder);
    if (!st && fj_path_exists(path))
        st = fj_json_load(path, out, err);
    if (!st && *out && !fj_json_is_object(*out))
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: not an object", path);
    free(path);
    return st;
}

/* ---- GPTQ as AutoGPTQ once wrote it: quantize_config.json beside config.json, and a name of its own for the weights --------------- */

static fj_status load_config(const char *folder, fj_json **out, fj_err *err)
{
    fj_json *old = NULL;
    fj_status st = load_object(folder, "config.json", out, err);
    if (!st && *out && !fj_json_get(*out, "quantization_config"))
        st = load_object(folder, "quantize_config.json", &old, err);
    if (st || !old)
        return st;
    bool ok = fj_json_get(old, "quant_method") || fj_json_set(old, "quant_method", fj_json_new_text("gptq", 4));
    ok = ok && fj_json_set(*out, "quantization_config", fj_json_share(old));
    fj_json_free(old);
    return ok ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", folder);
}

/* The weights' path, for free(), when they are there; NULL else. */
static char *old_gptq_file(const char *folder, const fj_json *config)
{
    const fj_json *q = fj_json_get(config, "quantization_config");
    const char *base = fj_json_string(fj_json_get(q, "model_file_base_name"), "");
    fj_str path = { 0 };
    if (!fj_json_is_object(q) || strpbrk(base, "/\\"))
        return NULL;
    fj_str_printf(&path, "%s/", folder);
    if (*base)
        fj_str_add_text(&path, base);
    else
        fj_str_printf(&path, "gptq_model-%lldbit-%lldg", (long long)fj_json_int(fj_json_get(q, "bits"), 0),
                      (long long)fj_json_int(fj_json_get(q, "group_size"), 0));
    fj_str_add_text(&path, ".safetensors");
    if (path.failed || !fj_path_exists(path.data))
        fj_str_free(&path);
    return path.data;
}

static fj_status open_old_gptq(const char *folder, fj_json *config, bool *found, fj_source **out, fj_err *err)
{
    char *path = old_gptq_file(folder, config);
    *found = path != NULL;
    fj_status st = path ? fj_safetensors_open_file(path, config, out, err) : FJ_OK;
    free(path);
    return st;
}

/* ---- any of them ------------------------------------------------------------------------------------------------------------------ */

fj_status fj_weights_open_folder(const char *folder, fj_source **out, fj_err *err)
{
    fj_json *config = NULL;
    bool found = false;
    fj_status st = load_config(folder, &config, err);
    for (size_t i = 0; !st && config && !found && i < FJ_LEN(kinds); i++)
        st = fj_shards_open_folder(kinds[i], folder, config, &found, out, err);
    if (!st && !found)
        st = open_old_gptq(folder, config, &found, out, err);
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
    fj_json *config = NULL;
    fj_err ignored = { 0 };
    char *old = NULL;
    if (!found && !load_config(folder, &config, &ignored))
        old = old_gptq_file(folder, config);
    found |= old != NULL;
    fj_json_free(config);
    free(old);
    return found || fj_grok_in_folder(folder);
}
