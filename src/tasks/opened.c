/* SPDX-License-Identifier: Apache-2.0
 * Models with their adapters, opened for use. */
#include <stdlib.h>

#include "base/clock.h"
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

/* The same of a folder, or of a name of the hub that is in the cache. */
static fj_status open_adapter(const fj_model *m, const char *name, fj_adapter **out, fj_err *err)
{
    char *path = NULL;
    bool is_remote = !fj_path_exists(name) && fj_model_is_remote(name);
    fj_status st = is_remote ? fj_resolve(name, &path, err) : FJ_OK;
    if (!st)
        st = fj_adapter_open_folder(m, is_remote ? path : name, out, err);
    free(path);
    return st;
}

fj_status fj_opened_open(const char *model, const char *adapter, int what, fj_pool *pool, fj_opened *out, fj_err *err)
{
    *out = (fj_opened){ 0 };
    fj_status st = fj_bundle_open(model, what, &out->bundle, err);
    if (!st)
        st = fj_model_open(out->bundle->source, &out->model, err);
    if (!st && pool)
        st = fj_model_fill(out->model, pool, err);
    if (!st && adapter)
        st = open_adapter(out->model, adapter, &out->adapter, err);
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

/* What is left for weights beside the program as it is now and a session; 0: nothing. */
static fj_status room_beside(const fj_model *m, const fj_fit *fit, const fj_session_settings *s, uint64_t limit,
                             size_t *left, size_t *session, fj_err *err)
{
    enum { SPARE = 8 << 20 }; /* an answer's text, a sampler's candidates, stacks */
    fj_session_bytes bytes;
    fj_status st = fj_session_plan(m, s, fj_pool_threads(fit->pool), fit->kernels, &bytes, err);
    uint64_t taken = fj_resident_bytes() + SPARE + bytes.kv + bytes.arena + fit->beside;
    *session = st ? 0 : bytes.kv + bytes.arena;
    *left = !st && limit > taken ? (size_t)(limit - taken) : 0;
    return st;
}

fj_status fj_fit_room(const fj_model *m, const fj_fit *fit, fj_session_settings *session, size_t *left, fj_err *err)
{
    static const int64_t chunks[] = { 512, 64, 8 };
    size_t beside = 0, least = fj_model_least_bytes(m);
    uint64_t limit;
    char text[4][24];
    *left = 0;
    if (!fj_text_bytes(fj_text_of(fit->limit), &limit)) {
        (void)fj_fail(err, FJ_ERR_USAGE, "--max-memory: '%s' is not a size", fit->limit);
        return fj_hint(err, "800M, 2G or 1.5GiB, for example");
    }
    for (size_t i = 0; i < FJ_LEN(chunks) && *left < least; i++) {
        session->chunk = chunks[i];
        fj_status st = room_beside(m, fit, session, limit, left, &beside, err);
        if (st)
            return st;
    }
    if (*left >= least && fj_peak_resident_bytes() <= limit)
        return FJ_OK;
    (void)fj_fail(err, FJ_ERR_MEMORY,
                  "--max-memory: %s do not hold the program (%s), the context (%s)%s%s%s and one matrix",
                  fj_format_bytes(limit, text[0]), fj_format_bytes(fj_peak_resident_bytes(), text[1]),
                  fj_format_bytes(beside, text[2]), fit->beside ? ", the draft (" : "",
                  fit->beside ? fj_format_bytes(fit->beside, text[3]) : "", fit->beside ? ")" : "");
    return fj_hint(err, "a shorter context (-c) takes less");
}

fj_status fj_opened_fit(fj_opened *o, const fj_fit *fit, fj_session_settings *session, fj_err *err)
{
    size_t left = 0;
    char text[2][24];
    fj_status st = fit->limit ? fj_model_reserve(o->model, err) : fj_model_fill(o->model, fit->pool, err);
    if (!fit->limit) {
        if (!st && fit->repacks)
            fj_opened_repack(o, fit->pool, fit->log);
        return st;
    }
    if (!st)
        st = fj_fit_room(o->model, fit, session, &left, err);
    if (!st)
        st = fj_model_fit(o->model, left, fit->repacks, fit->pool, err);
    size_t streamed = fj_model_streamed_bytes(o->model);
    if (!st && streamed)
        fj_note(fit->log, "%s of %s weights do not fit and are read from the file each time",
                fj_format_bytes(streamed, text[0]), fj_format_bytes(fj_model_bytes(o->model), text[1]));
    return st;
}

void fj_opened_close(fj_opened *o)
{
    fj_adapter_free(o->adapter);
    fj_model_free(o->model);
    fj_bundle_close(o->bundle);
    *o = (fj_opened){ 0 };
}
