/* SPDX-License-Identifier: Apache-2.0
 * forja probe logits, forja probe hidden: what a model computes for given token ids, as numbers in a file. Exact unless --fast.
 * All prompts of --batch go through one session in one batch; each answers as if it were alone. */
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "cli/commands.h"
#include "formats/formats.h"

typedef struct settings {
    fj_common common;
    const char *model, *ids, *batch, *out, *adapter;
    int64_t layer;
    bool fast, no_repack;
    fj_expert_settings experts;
} settings;

/* Both commands' table; the row of hidden alone comes first. */
static const fj_option options[] = {
    { "layer", "N", FJ_OPT_INT, offsetof(settings, layer), NULL,
      "0: after the embeddings, N: after layer N; the last one with the final norm, as it is without --layer", 0,
      1 << 20, 0 },
    { "MODEL", NULL, FJ_OPT_ARG, offsetof(settings, model), NULL, "folder or .gguf file", 0, 0, 0 },
    { "ids", "1,2,3", FJ_OPT_TEXT, offsetof(settings, ids), NULL, "token ids, taken as they are", 0, 0, 0 },
    { "batch", "1,2;3,4", FJ_OPT_TEXT, offsetof(settings, batch), NULL, "several prompts in one batch", 0, 0, 0 },
    { "out", "FILE", FJ_OPT_TEXT, offsetof(settings, out), NULL, "safetensors file to write", 0, 0, 0 },
    { "fast", NULL, FJ_OPT_FLAG, offsetof(settings, fast), NULL, "the arithmetic of `run`, not float32", 0, 0, 0 },
    { "adapter", "DIR", FJ_OPT_TEXT, offsetof(settings, adapter), NULL, "a LoRA adapter in PEFT's form, or hf:org/name",
      0, 0, 0 },
    { "no-repack", NULL, FJ_OPT_FLAG, offsetof(settings, no_repack), NULL, "use weights as they lie in the file", 0, 0,
      0 },
    { 0 },
};

static const fj_option_group groups[] = { { "experts", fj_expert_options, offsetof(settings, experts) }, { 0 } };

/* The rows of one batch: n ids of n_seqs prompts, end to end. */
typedef struct prompts {
    fj_arena *arena;
    int64_t n, n_seqs, longest;
    int32_t *ids, *seq;
    uint8_t *wants; /* every row's result */
    int64_t *lengths;
} prompts;

static fj_status no_memory(fj_err *err)
{
    return fj_fail(err, FJ_ERR_MEMORY, "no memory for the token ids");
}

static fj_status add_prompt(prompts *p, const char *text, fj_err *err)
{
    int32_t *ids;
    int64_t n;
    fj_status st = fj_parse_ids(text, p->arena, &ids, &n, err);
    if (st)
        return fj_prefix(err, "prompt %lld", (long long)p->n_seqs);
    for (int64_t i = 0; i < n; i++) {
        p->ids[p->n] = ids[i];
        p->wants[p->n] = 1;
        p->seq[p->n++] = (int32_t)p->n_seqs;
    }
    p->lengths[p->n_seqs++] = n;
    p->longest = FJ_MAX(p->longest, n);
    return FJ_OK;
}

/* Prompts stand between semicolons; ids have at least one character each. */
static fj_status read_prompts(const settings *s, prompts *p, fj_err *err)
{
    const char *text = s->ids ? s->ids : s->batch;
    size_t len = strlen(text);
    p->arena = fj_arena_new();
    if (!p->arena)
        return no_memory(err);
    p->ids = fj_arena_array(p->arena, len + 1, sizeof *p->ids);
    p->seq = fj_arena_array(p->arena, len + 1, sizeof *p->seq);
    p->wants = fj_arena_array(p->arena, len + 1, sizeof *p->wants);
    p->lengths = fj_arena_array(p->arena, len + 1, sizeof *p->lengths);
    if (!p->ids || !p->seq || !p->wants || !p->lengths)
        return no_memory(err);
    if (s->ids)
        return add_prompt(p, text, err);
    for (;;) {
        size_t part = strcspn(text, ";");
        const char *one = fj_arena_text(p->arena, text, part);
        fj_status st = one ? add_prompt(p, one, err) : no_memory(err);
        if (st || !text[part])
            return st;
        text += part + 1;
    }
}

static fj_status write_results(const settings *s, const prompts *p, const char *name, int64_t cols, const float *values,
                               fj_err *err)
{
    fj_tensor *list = fj_arena_array(p->arena, (size_t)p->n_seqs, sizeof *list);
    if (!list)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a list of results");
    for (int64_t i = 0; i < p->n_seqs; i++) {
        size_t count = (size_t)(p->lengths[i] * cols);
        list[i] = (fj_tensor){ .name = s->ids ? name : fj_arena_printf(p->arena, "%s%lld", name, (long long)i),
                               .dtype = &fj_f32,
                               .shape = fj_shape_2(p->lengths[i], cols),
                               .data = values,
                               .bytes = count * sizeof *values };
        values += count;
        if (!list[i].name)
            return fj_fail(err, FJ_ERR_MEMORY, "no memory for a list of results");
    }
    return fj_safetensors_write(s->out, list, (size_t)p->n_seqs, NULL, err);
}

/* Runs the batch in a session of just its size. */
static fj_status compute(const fj_call *call, const fj_opened *opened, const fj_session_settings *wanted,
                         const prompts *p, const char *name, fj_err *err)
{
    const fj_hparams *hp = &opened->model->hp;
    int64_t cols = wanted->wants_hidden ? hp->d_model : hp->n_labels ? hp->n_labels : hp->n_vocab;
    fj_session *session = NULL;
    fj_buffer values = { 0 };
    size_t bytes = 0;
    if (!fj_mul_size((size_t)p->n, (size_t)cols * sizeof(float), &bytes))
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for %lld rows of %lld values", (long long)p->n, (long long)cols);
    fj_status st = fj_session_open(opened->model, wanted, call->rt->pool, &call->rt->kernels, &session, err);
    if (!st)
        st = fj_buffer_open(&values, bytes, "the results", err);
    if (!st) {
        fj_rows_in rows = { .n = p->n, .ids = p->ids, .seq = p->seq, .wants = p->wants };
        st = fj_session_forward(session, &rows, (float *)(void *)values.data, call->rt->cancel, err);
    }
    if (!st)
        st = write_results(call->settings, p, name, cols, (const float *)(const void *)values.data, err);
    fj_buffer_close(&values);
    fj_session_close(session);
    return st;
}

static fj_status check_settings(const fj_call *call, fj_err *err)
{
    const settings *s = call->settings;
    if (!s->out)
        return fj_fail(err, FJ_ERR_USAGE, "%s: --out is missing", call->command->name);
    if (!s->ids == !s->batch)
        return fj_fail(err, FJ_ERR_USAGE, "%s: wants one of --ids and --batch", call->command->name);
    return FJ_OK;
}

static fj_status probe(const fj_call *call, bool wants_hidden, int64_t layer, fj_err *err)
{
    const settings *s = call->settings;
    fj_opened opened = { 0 };
    prompts p = { 0 };
    fj_status st = check_settings(call, err);
    if (!st)
        st = read_prompts(s, &p, err);
    if (!st)
        st = fj_opened_open(s->model, s->adapter, FJ_OPEN_WEIGHTS, call->rt->pool, &opened, err);
    if (!st)
        st = fj_choose_experts(&s->experts, opened.model, err);
    if (!st && layer > opened.model->hp.n_layers)
        st = fj_fail(err, FJ_ERR_USAGE, "--layer: %lld, the model has %lld layers", (long long)layer,
                     (long long)opened.model->hp.n_layers);
    if (!st && !s->no_repack)
        fj_opened_repack(&opened, call->rt->pool, call->rt->log);
    if (!st) {
        fj_session_settings wanted = { .n_ctx = p.longest,
                                       .n_seqs = p.n_seqs,
                                       .fast = s->fast,
                                       .stop_layer = (int)layer,
                                       .wants_hidden = wants_hidden,
                                       .adapter = opened.adapter };
        st = compute(call, &opened, &wanted, &p, wants_hidden ? "hidden" : "logits", err);
    }
    fj_opened_close(&opened);
    fj_arena_free(p.arena);
    return st;
}

static fj_status run_logits(const fj_call *call, fj_err *err)
{
    return probe(call, false, -1, err);
}

static fj_status run_hidden(const fj_call *call, fj_err *err)
{
    const settings *s = call->settings;
    return probe(call, true, s->layer == FJ_NOT_GIVEN ? -1 : s->layer, err);
}

const fj_command fj_command_probe_hidden = {
    .name = "probe hidden",
    .summary = "Hidden states of token ids, as a file of numbers.",
    .about = "Writes `hidden` f32 [tokens, d_model]; with --batch hidden0, hidden1, …",
    .options = options,
    .groups = groups,
    .settings_size = sizeof(settings),
    .run = run_hidden,
};

const fj_command fj_command_probe_logits = {
    .name = "probe logits",
    .summary = "Logits of token ids, as a file of numbers.",
    .about = "Writes `logits` f32 [tokens, n_vocab]; with --batch logits0, logits1, …",
    .options = options + 1,
    .groups = groups,
    .settings_size = sizeof(settings),
    .run = run_logits,
};
