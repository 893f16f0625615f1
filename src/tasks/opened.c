/* SPDX-License-Identifier: Apache-2.0
 * Models with their adapters, opened for use. */
#include <stdlib.h>

#include "base/map.h"
#include "formats/formats.h"
#include "tasks/opened.h"

fj_status fj_adapter_open_folder(const fj_model *m, const char *folder, fj_adapter **out, fj_err *err)
{
    fj_source *tensors = NULL;
    fj_json *config = NULL;
    char *config_path = fj_path_join(folder, "adapter_config.json"),
         *path = fj_path_join(folder, "adapter_model.safetensors"), *old = fj_path_join(folder, "adapter_model.bin");
    bool is_old = path && old && !fj_path_exists(path) && fj_path_exists(old);
    fj_status st = FJ_OK;
    if (!config_path || !path || !old)
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", folder);
    else if (!fj_path_exists(config_path) || !(is_old || fj_path_exists(path))) {
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: no adapter_config.json with adapter_model.safetensors", folder);
        (void)fj_hint(err, "an adapter is a folder as PEFT and forja train write it");
    } else
        st = fj_json_load(config_path, &config, err);
    if (!st)
        st = is_old ? fj_torch_open_file(old, NULL, &tensors, err)
                    : fj_safetensors_open_file(path, NULL, &tensors, err);
    if (!st)
        st = fj_adapter_open(m, config, tensors, folder, out, err);
    if (tensors)
        tensors->close(tensors);
    fj_json_free(config);
    free(config_path);
    free(path);
    free(old);
    return st;
}

fj_status fj_opened_open(const char *model, const char *adapter, int what, fj_opened *out, fj_err *err)
{
    *out = (fj_opened){ 0 };
    fj_status st = fj_bundle_open(model, what, &out->bundle, err);
    if (!st)
        st = fj_model_open(out->bundle->source, &out->model, err);
    if (!st && adapter)
        st = fj_adapter_open_folder(out->model, adapter, &out->adapter, err);
    if (st)
        fj_opened_close(out);
    return st;
}

void fj_opened_repack(fj_opened *o, fj_pool *pool, fj_log *log)
{
    fj_err no_room = { 0 };
    if (fj_model_repack(o->model, pool, &no_room))
        fj_note(log, "weights stay as they lie in the file: %s", no_room.message);
}

void fj_opened_close(fj_opened *o)
{
    fj_adapter_free(o->adapter);
    fj_model_free(o->model);
    fj_bundle_close(o->bundle);
    *o = (fj_opened){ 0 };
}
