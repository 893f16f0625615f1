/* SPDX-License-Identifier: Apache-2.0
 * Adapters and full weights on disk: see save.h. */
#include "train/save.h"

#include <stdlib.h>
#include <string.h>

#include "formats/formats.h"
#include "tasks/export.h"

static fj_status write_json(const char *folder, const char *name, const fj_json *value, fj_err *err)
{
    fj_str text = { 0 };
    char *path = fj_path_join(folder, name);
    fj_status st = FJ_OK;
    if (!path || !fj_json_write(value, 2, 17, &text))
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory for %s", name);
    fj_str_add_char(&text, '\n');
    if (!st)
        st = fj_file_write(path, text.data, text.len, err);
    fj_str_free(&text);
    free(path);
    return st;
}

fj_status fj_save_adapter(const fj_model *m, fj_adapter *a, const fj_json *config, const char *folder, fj_err *err)
{
    size_t n = 2 * (size_t)a->n;
    fj_tensor *list = calloc(n + 1, sizeof *list);
    fj_safetensors_writer *w = NULL;
    float *values = NULL;
    char *path = fj_path_join(folder, "adapter_model.safetensors");
    fj_status st = list && path ? fj_make_dirs(folder, err)
                                : fj_fail(err, FJ_ERR_MEMORY, "no memory to save the adapter");
    size_t most = 0;
    for (size_t i = 0; !st && i < n; i++) {
        const fj_lora *l = &a->items[i / 2];
        bool is_b = i % 2;
        fj_shape shape = is_b ? fj_shape_2(l->weight->shape.dim[0], l->rank)
                              : fj_shape_2(l->rank, l->weight->shape.dim[1]);
        list[i] = (fj_tensor){ .name = fj_adapter_name(m, a, l, is_b), .dtype = &fj_f32, .shape = shape };
        list[i].bytes = (size_t)fj_shape_count(&shape) * sizeof(float);
        most = FJ_MAX(most, list[i].bytes);
        if (!list[i].name)
            st = fj_fail(err, FJ_ERR_MEMORY, "no memory to save the adapter");
    }
    if (!st) {
        values = malloc(most);
        st = values ? fj_safetensors_create(path, list, n, NULL, &w, err)
                    : fj_fail(err, FJ_ERR_MEMORY, "no memory to save the adapter");
    }
    for (size_t i = 0; !st && i < n; i++) {
        fj_adapter_export(m, &a->items[i / 2], i % 2, values);
        st = fj_safetensors_add(w, values, list[i].bytes, err);
    }
    if (!st) {
        st = fj_safetensors_commit(w, err);
        w = NULL;
    }
    if (!st)
        st = write_json(folder, "adapter_config.json", config, err);
    fj_safetensors_abort(w);
    free(values);
    free(list);
    free(path);
    return st;
}

/* Rows of a weight as they are now: the trainer's copy. */
static void trained_rows(void *context, const fj_weight *w, int64_t row0, int64_t n, float *out)
{
    const fj_trainer *t = context;
    int64_t k = fj_shape_cols(&w->shape);
    for (int i = 0; i < fj_trainer_count(t); i++) {
        fj_trained p = fj_trainer_at(t, i);
        if (p.parameter->weight != w)
            continue;
        memcpy(out, p.data + row0 * k, (size_t)(n * k) * sizeof(float));
        return;
    }
    fj_export_stored_rows(NULL, w, row0, n, out);
}

fj_status fj_save_model(const fj_model *m, const fj_trainer *t, const fj_bundle *bundle, const char *folder,
                        fj_err *err)
{
    fj_export_rows rows = { trained_rows, (void *)(uintptr_t)t };
    return fj_export_hf(m, bundle, &rows, NULL, folder, err);
}
