/* SPDX-License-Identifier: Apache-2.0
 * Adapters and full weights on disk: see save.h. */
#include "train/save.h"

#include <stdlib.h>
#include <string.h>

#include "formats/formats.h"
#include "quant/quant.h"
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

/* One half of a pair as a tensor of the file. */
typedef struct half {
    const fj_lora *l;
    int64_t expert;
    bool is_b;
} half;

static fj_status list_halves(const fj_model *m, fj_adapter *a, half *halves, fj_tensor *list, size_t *n, fj_err *err)
{
    for (int i = 0; i < a->n; i++)
        for (int64_t k = 0; k < 2 * fj_lora_experts(&a->items[i]); k++) {
            half h = { &a->items[i], k / 2, k % 2 };
            fj_shape shape = fj_lora_shape(h.l, h.is_b);
            if (!h.l->has[h.expert])
                continue;
            halves[*n] = h;
            list[(*n)++] = (fj_tensor){ .name = fj_adapter_name(m, a, h.l, h.expert, h.is_b),
                                        .dtype = &fj_f32,
                                        .shape = shape,
                                        .bytes = (size_t)fj_shape_count(&shape) * sizeof(float) };
            if (!list[*n - 1].name)
                return fj_fail(err, FJ_ERR_MEMORY, "no memory to save the adapter");
        }
    return FJ_OK;
}

static fj_status write_halves(const fj_model *m, const half *halves, const fj_tensor *list, size_t n, const char *path,
                              fj_err *err)
{
    fj_safetensors_writer *w = NULL;
    size_t most = 0;
    for (size_t i = 0; i < n; i++)
        most = FJ_MAX(most, list[i].bytes);
    float *values = malloc(most + 1);
    fj_status st = values ? fj_safetensors_create(path, list, n, NULL, &w, err)
                          : fj_fail(err, FJ_ERR_MEMORY, "no memory to save the adapter");
    for (size_t i = 0; !st && i < n; i++) {
        fj_adapter_export(m, halves[i].l, halves[i].expert, halves[i].is_b, values);
        st = fj_safetensors_add(w, values, list[i].bytes, err);
    }
    if (!st) {
        st = fj_safetensors_commit(w, err);
        w = NULL;
    }
    fj_safetensors_abort(w);
    free(values);
    return st;
}

fj_status fj_save_adapter(const fj_model *m, fj_adapter *a, const fj_json *config, const char *folder, fj_err *err)
{
    size_t n = 0, most = 1;
    for (int i = 0; i < a->n; i++)
        most += 2 * (size_t)fj_lora_experts(&a->items[i]);
    fj_tensor *list = calloc(most, sizeof *list);
    half *halves = calloc(most, sizeof *halves);
    char *path = fj_path_join(folder, "adapter_model.safetensors");
    fj_status st = list && halves && path ? fj_make_dirs(folder, err)
                                          : fj_fail(err, FJ_ERR_MEMORY, "no memory to save the adapter");
    if (!st)
        st = list_halves(m, a, halves, list, &n, err);
    if (!st)
        st = write_halves(m, halves, list, n, path, err);
    if (!st)
        st = write_json(folder, "adapter_config.json", config, err);
    free(halves);
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
        const unsigned char *from = (const unsigned char *)p.data + (size_t)(row0 * k * p.dtype->block_bytes);
        fj_quant_of(p.dtype)->decode(from, out, n * k);
        return;
    }
    fj_export_stored_rows(NULL, w, row0, n, out);
}

fj_status fj_save_model(const fj_model *m, const fj_trainer *t, const fj_bundle *bundle, const char *folder,
                        fj_err *err)
{
    fj_export_rows rows = { trained_rows, (void *)(uintptr_t)t };
    return fj_export_hf(m, bundle, &rows, NULL, folder, NULL, err);
}
