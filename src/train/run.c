/* SPDX-License-Identifier: Apache-2.0
 * From a configuration to an opened run: see run.h. */
#include "train/run.h"

#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "base/map.h"
#include "train/freeze.h"

/* ---- model and adapter ---------------------------------------------------------------------------------------------------------------- */

/* A model of the same shapes with other numbers must not be gone on with: 4 KiB of each tensor tell them apart. */
static fj_status hash_model(const fj_model *m, char hex[65], fj_err *err)
{
    enum { SAMPLE = 4096 };
    fj_digest *h = fj_sha256_new();
    if (!h)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to hash the model");
    for (int i = 0; i < m->n_weights; i++) {
        const fj_weight *w = &m->weights[i];
        size_t bytes = w->stored && w->stored->data ? FJ_MIN(w->stored->bytes, (size_t)SAMPLE) : 0;
        fj_digest_add(h, w->name, strlen(w->name) + 1);
        fj_digest_add(h, w->dtype->name, strlen(w->dtype->name) + 1);
        fj_digest_add(h, w->shape.dim, (size_t)w->shape.rank * sizeof *w->shape.dim);
        if (!bytes)
            continue;
        fj_digest_add(h, w->stored->data, bytes);
        m->source->give_back(m->source, w->stored); /* a plan counts what is resident */
    }
    fj_digest_end(h, hex);
    return FJ_OK;
}

static fj_status new_adapter(fj_train_run *r, fj_err *err)
{
    const fj_train_config *c = &r->config;
    char name[200];
    fj_lora_settings s = { .target = c->lora_target,
                           .rank = c->lora_rank,
                           .alpha = c->lora_alpha,
                           .dropout = c->lora_dropout,
                           .use_rslora = c->use_rslora,
                           .seed = (uint64_t)c->seed };
    fj_status st = fj_adapter_new(r->opened.model, &s, &r->opened.adapter, err);
    if (st)
        return st;
    r->adapter_config = fj_adapter_config(r->opened.model, r->opened.adapter, &s,
                                          fj_model_public_name(c->model_name_or_path, name));
    return r->adapter_config ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for adapter_config.json");
}

static fj_status choose_weights(fj_train_run *r, fj_err *err)
{
    const fj_train_config *c = &r->config;
    const fj_model *m = r->opened.model;
    fj_freeze_settings s = { .layers = c->freeze_trainable_layers,
                             .modules = c->freeze_trainable_modules,
                             .extra = c->freeze_extra_modules };
    r->learns = fj_arena_array(r->arena, (size_t)m->n_weights, sizeof *r->learns);
    return r->learns ? fj_freeze_choose(m, &s, r->learns, err)
                     : fj_fail(err, FJ_ERR_MEMORY, "no memory for a choice of weights");
}

const fj_dtype *fj_train_quantized_type(int64_t bits, const char *four)
{
    const struct {
        int64_t bits;
        const fj_dtype *type;
    } types[] = { { 8, &fj_int8 }, { 6, &fj_q6_k },  { 5, &fj_q5_k }, { 4, fj_dtype_by_name(four) },
                  { 3, &fj_q3_k }, { 2, &fj_iq2_xs } };
    for (size_t i = 0; i < FJ_LEN(types); i++)
        if (types[i].bits == bits)
            return types[i].type;
    return NULL;
}

/* quantization_bit: weights of 16 or 32 bits become fewer. They are counted so from here on, and made when the run begins. */
static fj_status quantize(fj_train_run *r, fj_log *log, fj_err *err)
{
    const fj_train_config *c = &r->config;
    const fj_dtype *type = fj_train_quantized_type(c->quantization_bit, c->quantization_type);
    int n = type ? fj_model_quantize(r->opened.model, type, c->double_quantization, err) : 0;
    if (n < 0)
        return err->status;
    if (n)
        fj_note(log, "%d matrices of the layers become %s", n, type->name);
    else if (type)
        fj_note(log, "quantization_bit: %s is quantized already and taken as it is", c->model_name_or_path);
    return FJ_OK;
}

static fj_status open_model(fj_train_run *r, fj_log *log, fj_err *err)
{
    const fj_train_config *c = &r->config;
    fj_status st = fj_opened_open(c->model_name_or_path, c->adapter_name_or_path, FJ_OPEN_ALL, NULL, &r->opened, err);
    if (!st)
        st = quantize(r, log, err);
    if (!st)
        st = hash_model(r->opened.model, r->model_hash, err);
    if (!st && !strcmp(c->finetuning_type, "freeze"))
        return choose_weights(r, err);
    if (st || strcmp(c->finetuning_type, "lora") != 0)
        return st;
    if (!r->opened.adapter)
        return new_adapter(r, err);
    r->adapter_config = fj_json_share(r->opened.adapter->config);
    return FJ_OK;
}

/* ---- rows ----------------------------------------------------------------------------------------------------------------------------- */

/* Lines of notes, each a line of the log. */
static void tell(fj_log *log, const char *notes)
{
    for (size_t len; *notes; notes += len + (notes[len] == '\n')) {
        len = strcspn(notes, "\n");
        if (len)
            fj_note(log, "%.*s", (int)len, notes);
    }
}

static fj_status load_rows(fj_train_run *r, fj_log *log, fj_err *err)
{
    const fj_train_config *c = &r->config;
    const fj_bundle *b = r->opened.bundle;
    fj_data_config d = { .dataset = c->dataset,
                         .dataset_dir = c->dataset_dir,
                         .stage = c->stage,
                         .tokenizer = b->tokenizer,
                         .chat_template = b->chat_template,
                         .template_name = c->template_name,
                         .default_system = c->default_system,
                         .cutoff_len = c->cutoff_len,
                         .on_long_rows = c->on_long_rows,
                         .train_on_prompt = c->train_on_prompt,
                         .mask_history = c->mask_history,
                         .max_samples = c->max_samples,
                         .val_size = c->val_size,
                         .seed = (uint64_t)c->data_seed,
                         .n_vocab = r->opened.model->hp.n_vocab };
    fj_status st = fj_dataset_load(&d, &r->data, err);
    if (st)
        return st;
    tell(log, r->data->notes);
    r->eval_rows = r->data->eval;
    r->n_eval = r->data->n_eval;
    if (!c->eval_dataset)
        return FJ_OK;
    d.dataset = c->eval_dataset;
    d.val_size = 0;
    st = fj_dataset_load(&d, &r->eval_data, err);
    if (st)
        return fj_prefix(err, "eval_dataset");
    tell(log, r->eval_data->notes);
    r->eval_rows = r->eval_data->rows;
    r->n_eval = r->eval_data->n_rows;
    return FJ_OK;
}

static fj_status make_loaders(fj_train_run *r, fj_err *err)
{
    const fj_train_config *c = &r->config;
    fj_loader_config l = { .batch_size = c->batch_size,
                           .accumulation = c->accumulation,
                           .pack_len = c->cutoff_len,
                           .packing = c->packing,
                           .shuffle = !c->disable_shuffling,
                           .seed = (uint64_t)c->data_seed };
    fj_loader_config e = { .batch_size = c->eval_batch_size, .accumulation = 1 };
    fj_status st = fj_loader_new(r->data->rows, r->data->n_rows, &l, &r->loader, err);
    if (!st && r->n_eval)
        st = fj_loader_new(r->eval_rows, r->n_eval, &e, &r->eval_loader, err);
    return st;
}

static void count_steps(fj_train_run *r)
{
    const fj_train_config *c = &r->config;
    r->n_windows = fj_loader_windows(r->loader);
    r->n_steps = c->max_steps > 0 ? c->max_steps : (int64_t)ceil(c->num_train_epochs * (double)r->n_windows);
    if (c->warmup_steps >= 1)
        r->warmup = (int64_t)c->warmup_steps;
    else
        r->warmup = (int64_t)ceil((c->warmup_steps > 0 ? c->warmup_steps : c->warmup_ratio) * (double)r->n_steps);
}

/* The largest micro-batch of the run. */
static fj_batch_capacity capacity(fj_train_run *r)
{
    int64_t epochs = (r->n_steps + r->n_windows - 1) / r->n_windows;
    fj_batch_capacity most = fj_loader_capacity(r->loader, FJ_MAX(epochs, (int64_t)1));
    if (r->eval_loader) {
        fj_batch_capacity e = fj_loader_capacity(r->eval_loader, 1);
        most.tokens = FJ_MAX(most.tokens, e.tokens);
        most.segments = FJ_MAX(most.segments, e.segments);
        most.targets = FJ_MAX(most.targets, e.targets);
        most.segment_tokens = FJ_MAX(most.segment_tokens, e.segment_tokens);
    }
    return most;
}

static fj_status settle(fj_train_run *r, fj_err *err)
{
    const fj_train_config *c = &r->config;
    const fj_model *m = r->opened.model;
    r->schedule = fj_schedule_by_name(c->lr_scheduler_type);
    fj_assert(r->schedule && "the configuration's choices are the table's names");
    if (r->n_steps < 1)
        return fj_fail(err, FJ_ERR_USAGE, "num_train_epochs: %g and %lld steps an epoch: nothing to do",
                       c->num_train_epochs, (long long)r->n_windows);
    r->settings = (fj_trainer_settings){ .adapter = r->opened.adapter,
                                         .learns = r->learns,
                                         .has_optimizer = true,
                                         .checkpointing = !c->disable_gradient_checkpointing,
                                         .bf16 = c->bf16 || c->pure_bf16,
                                         .pure_bf16 = c->pure_bf16,
                                         .capacity = capacity(r),
                                         .evaluates = r->n_eval > 0,
                                         .adamw = { .beta1 = c->adam_beta1,
                                                    .beta2 = c->adam_beta2,
                                                    .eps = c->adam_epsilon,
                                                    .weight_decay = c->weight_decay },
                                         .lora_b_rate = c->loraplus_lr_ratio,
                                         .max_grad_norm = c->max_grad_norm,
                                         .balance = c->moe_aux_loss_coef,
                                         .seed = (uint64_t)c->seed };
    if (r->settings.capacity.segment_tokens > m->hp.n_ctx) {
        (void)fj_fail(err, FJ_ERR_USAGE, "a row has %lld tokens, the model was made for %lld",
                      (long long)r->settings.capacity.segment_tokens, (long long)m->hp.n_ctx);
        return fj_hint(err, "cutoff_len: %lld with on_long_rows: drop or cut", (long long)m->hp.n_ctx);
    }
    return FJ_OK;
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------------------ */

fj_status fj_train_run_open(const char *path, const char *const *overrides, size_t n, fj_log *log, fj_train_run *out,
                            fj_err *err)
{
    *out = (fj_train_run){ .arena = fj_arena_new() };
    fj_status st = out->arena ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for a run");
    if (!st)
        st = fj_train_config_load(path, overrides, n, out->arena, log, &out->config, err);
    if (!st)
        st = open_model(out, log, err);
    if (!st)
        st = load_rows(out, log, err);
    if (!st)
        st = make_loaders(out, err);
    if (!st) {
        count_steps(out);
        st = settle(out, err);
    }
    if (st)
        fj_train_run_close(out);
    return st;
}

void fj_train_run_close(fj_train_run *r)
{
    fj_loader_free(r->loader);
    fj_loader_free(r->eval_loader);
    fj_dataset_free(r->data);
    fj_dataset_free(r->eval_data);
    fj_json_free(r->adapter_config);
    fj_opened_close(&r->opened);
    fj_arena_free(r->arena);
    *r = (fj_train_run){ 0 };
}

double fj_train_run_rate(const fj_train_run *r, int64_t step)
{
    return r->config.learning_rate * r->schedule->factor(step, r->warmup, r->n_steps);
}
