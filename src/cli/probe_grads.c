/* SPDX-License-Identifier: Apache-2.0
 * forja probe grads: the loss of tokenized rows and its gradient by every parameter, as numbers in a file. All rows are one batch,
 * the loss is the mean over all their targets; dropout is off, arithmetic is float32. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "data/data.h"
#include "formats/formats.h"
#include "train/trainer.h"

typedef struct settings {
    fj_common common;
    const char *model, *data, *loss, *out, *adapter;
} settings;

static const fj_option options[] = {
    { "MODEL", NULL, FJ_OPT_ARG, offsetof(settings, model), NULL, "folder or .gguf file", 0, 0, 0 },
    { "data", "FILE", FJ_OPT_TEXT, offsetof(settings, data), NULL, "lines of {\"input_ids\":[…],\"labels\":[…]}", 0, 0,
      0 },
    { "loss", "NAME", FJ_OPT_TEXT, offsetof(settings, loss), "next_token", "what is differentiated", 0, 0, 0,
      "next_token" },
    { "out", "FILE", FJ_OPT_TEXT, offsetof(settings, out), NULL, "safetensors file to write", 0, 0, 0 },
    { "adapter", "DIR", FJ_OPT_TEXT, offsetof(settings, adapter), NULL,
      "gradients of this adapter's pairs instead, under PEFT's names", 0, 0, 0 },
    { 0 },
};

/* Everything that one run opens. */
typedef struct work {
    const fj_call *call;
    fj_opened opened;
    fj_dataset *rows;
    fj_batch batch;
    fj_trainer *trainer;
    fj_arena *arena;
} work;

/* ---- writing ---------------------------------------------------------------------------------------------------------------------- */

static fj_status no_memory(fj_err *err)
{
    return fj_fail(err, FJ_ERR_MEMORY, "no memory for a list of gradients");
}

/* The gradient of a pair as PEFT has it: rows of B in Hugging Face's order. */
static const float *in_peft_order(work *w, const fj_trained *p)
{
    const fj_weight *weight = p->parameter->lora->weight;
    int64_t rows = p->shape.dim[0], cols = p->shape.dim[1];
    if (!p->parameter->is_b || p->shape.rank == 3)
        return p->gradient;
    int64_t *from = fj_arena_array(w->arena, (size_t)rows, sizeof *from);
    float *out = fj_arena_array(w->arena, (size_t)(rows * cols), sizeof *out);
    if (!from || !out)
        return NULL;
    if (!fj_model_row_order(w->opened.model, weight, from))
        return p->gradient;
    for (int64_t r = 0; r < rows; r++)
        memcpy(out + from[r] * cols, p->gradient + r * cols, (size_t)cols * sizeof *out);
    return out;
}

/* `count` values of the gradient of matrices that the model's own file has as (in, out). */
static const float *in_file_order(work *w, const fj_trained *p, const float *from, int64_t count)
{
    int64_t rows = p->shape.dim[p->shape.rank - 2], cols = fj_shape_cols(&p->shape), whole = rows * cols;
    float *out = fj_arena_array(w->arena, (size_t)count, sizeof *out);
    for (int64_t i = 0; out && i < count; i++) {
        int64_t at = i % whole;
        out[i - at + at % cols * rows + at / cols] = from[i];
    }
    return out;
}

/* One of a parameter's `count` tensors in the file, each of `size` values. False: without memory. */
static bool describe(work *w, const fj_trained *p, int64_t e, int64_t size, fj_tensor *t)
{
    const fj_model *m = w->opened.model;
    const fj_weight *weight = p->parameter->weight;
    const fj_lora *l = p->parameter->lora;
    const float *from = l ? in_peft_order(w, p) : p->gradient;
    *t = (fj_tensor){ .name = fj_trained_label(p), .dtype = &fj_f32, .shape = p->shape };
    t->bytes = (size_t)size * sizeof(float);
    if (!from)
        return false;
    from += e * size;
    if (l) {
        t->name = fj_adapter_name(m, w->opened.adapter, l, e, p->parameter->is_b);
        t->shape = fj_lora_shape(l, p->parameter->is_b);
    } else if (m->naming == FJ_NAMING_HF) {
        t->name = fj_model_hf_part(m, weight, e);
        t->shape = fj_model_hf_shape(m, weight);
        from = fj_model_is_transposed(m, weight) ? in_file_order(w, p, from, size) : from;
    }
    t->data = from;
    return t->name && t->data;
}

/* Appends a parameter: one tensor, or one for each expert where Hugging Face's file, or the adapter's, has them so. */
static bool add_gradient(work *w, const fj_trained *p, fj_tensor *list, int *n)
{
    const fj_model *m = w->opened.model;
    const fj_lora *l = p->parameter->lora;
    int64_t count = l ? fj_lora_experts(l) : m->naming == FJ_NAMING_HF ? fj_model_hf_count(m, p->parameter->weight) : 1;
    for (int64_t e = 0; e < count; e++)
        if ((!l || l->has[e]) && !describe(w, p, e, fj_shape_count(&p->shape) / count, &list[(*n)++]))
            return false;
    return true;
}

static fj_status write_gradients(work *w, fj_err *err)
{
    const settings *s = w->call->settings;
    int n = 0, most = 0;
    for (int i = 0; i < fj_trainer_count(w->trainer); i++) {
        fj_trained p = fj_trainer_at(w->trainer, i);
        most += p.shape.rank == 3 ? (int)p.shape.dim[0] : 1;
    }
    fj_tensor *list = fj_arena_array(w->arena, (size_t)most, sizeof *list);
    if (!list)
        return no_memory(err);
    for (int i = 0; i < fj_trainer_count(w->trainer); i++) {
        fj_trained p = fj_trainer_at(w->trainer, i);
        if (!add_gradient(w, &p, list, &n))
            return no_memory(err);
    }
    return fj_safetensors_write(s->out, list, (size_t)n, NULL, err);
}

/* ---- computing -------------------------------------------------------------------------------------------------------------------- */

static fj_status open_rows(work *w, fj_err *err)
{
    const settings *s = w->call->settings;
    fj_data_config config = { .dataset = s->data, .n_vocab = w->opened.model->hp.n_vocab };
    fj_status st = fj_dataset_load(&config, &w->rows, err);
    if (!st)
        st = fj_batch_of_rows(w->rows->rows, w->rows->n_rows, &w->batch, err);
    return st;
}

static fj_status open_trainer(work *w, fj_err *err)
{
    const fj_runtime *rt = w->call->rt;
    fj_adapter *adapter = w->opened.adapter;
    fj_trainer_settings t = {
        .adapter = adapter,
        .capacity = { .tokens = w->batch.n_tokens, .segments = w->batch.n_segments, .targets = w->batch.n_targets }
    };
    for (int64_t i = 0; i < w->batch.n_segments; i++)
        t.capacity.segment_tokens = FJ_MAX(t.capacity.segment_tokens,
                                           (int64_t)w->batch.starts[i + 1] - w->batch.starts[i]);
    for (int i = 0; adapter && i < adapter->n; i++)
        adapter->items[i].dropout = 0;
    return fj_trainer_open(w->opened.model, &t, rt->pool, &rt->kernels, &w->trainer, err);
}

static fj_status compute(work *w, fj_err *err)
{
    double loss = 0;
    fj_json *answer;
    fj_status st = fj_trainer_accumulate(w->trainer, &w->batch, w->batch.n_targets, true, 0, &loss, w->call->rt->cancel,
                                         err);
    if (!st && !isfinite(loss))
        st = fj_fail(err, FJ_ERR_FAILED, "the loss is not a finite number");
    if (!st)
        st = write_gradients(w, err);
    if (st)
        return st;
    answer = fj_json_new_object();
    if (!fj_json_set(answer, "loss", fj_json_new_real(loss))) {
        fj_json_free(answer);
        answer = NULL;
    }
    return fj_print_json(answer, 0, err);
}

static fj_status run(const fj_call *call, fj_err *err)
{
    const settings *s = call->settings;
    work w = { .call = call, .arena = fj_arena_new() };
    fj_status st = FJ_OK;
    if (!w.arena)
        st = no_memory(err);
    else if (!s->data || !s->out)
        st = fj_fail(err, FJ_ERR_USAGE, "probe grads: --%s is missing", s->data ? "out" : "data");
    else
        st = fj_opened_open(s->model, s->adapter, FJ_OPEN_WEIGHTS, call->rt->pool, &w.opened, err);
    if (!st)
        st = open_rows(&w, err);
    if (!st)
        st = open_trainer(&w, err);
    if (!st)
        st = compute(&w, err);
    fj_trainer_close(w.trainer);
    fj_batch_free(&w.batch);
    fj_dataset_free(w.rows);
    fj_opened_close(&w.opened);
    fj_arena_free(w.arena);
    return st;
}

const fj_command fj_command_probe_grads = {
    .name = "probe grads",
    .summary = "Loss and gradients of tokenized rows, as a file of numbers.",
    .about = "Writes one f32 tensor for each parameter under the name that it has in the model's own file, and prints "
             "the loss.",
    .options = options,
    .settings_size = sizeof(settings),
    .run = run,
};
