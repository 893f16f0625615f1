/* SPDX-License-Identifier: Apache-2.0
 * See plan.h. */
#include "plan/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "train/freeze.h"
#include "train/run.h"

/* Sums up. Of what the plan counts only an adapter may have been touched yet (so many bytes), so the rest of what is resident now is the
 * process. */
static void add_up(fj_plan *p, size_t touched)
{
    size_t resident = (size_t)fj_resident_bytes();
    p->process = resident - FJ_MIN(resident, touched);
    p->total = p->weights + p->gradients + p->optimizer + p->adapters + p->activations + p->kv + p->process;
    p->peak = p->total;
}

fj_status fj_plan_training(const fj_model *m, const fj_trainer_settings *s, int n_threads, const fj_kernels *k,
                           fj_plan *out, fj_err *err)
{
    fj_trainer_bytes b = { 0 };
    fj_status st = fj_trainer_plan(m, s, n_threads, k, &b, err);
    *out = (fj_plan){ .weights = b.frozen + b.copies,
                      .gradients = b.gradients,
                      .optimizer = b.optimizer,
                      .adapters = b.adapters,
                      .activations = b.activations,
                      .n_trained = b.n_trained };
    add_up(out, s->adapter && s->adapter->items[0].a ? out->adapters : 0);
    return st;
}

fj_status fj_plan_generating(const fj_model *m, const fj_session_settings *s, bool is_repacked, int n_threads,
                             const fj_kernels *k, fj_plan *out, fj_err *err)
{
    fj_session_bytes b = { 0 };
    fj_status st = fj_session_plan(m, s, n_threads, k, &b, err);
    *out = (fj_plan){ .weights = is_repacked ? fj_model_repacked_bytes(m) : fj_model_bytes(m),
                      .activations = b.arena,
                      .kv = b.kv };
    add_up(out, 0);
    return st;
}

/* As a run without freeze_ keys chooses, but of what the model has. */
static fj_status choose_weights(const fj_model *m, bool **out, fj_err *err)
{
    fj_freeze_settings s = { .layers = FJ_MIN(m->hp.n_layers, (int64_t)2), .modules = "all" };
    *out = calloc((size_t)m->n_weights, sizeof **out);
    return *out ? fj_freeze_choose(m, &s, *out, err) : fj_fail(err, FJ_ERR_MEMORY, "no memory for a choice of weights");
}

static fj_status plan_tuning(const fj_model *m, const fj_plan_wanted *w, int n_threads, const fj_kernels *k,
                             fj_plan *out, fj_err *err)
{
    int64_t length = w->length ? w->length : FJ_MIN(m->hp.n_ctx, (int64_t)2048), batch = FJ_MAX(w->batch, (int64_t)1);
    int64_t rank = w->rank ? w->rank : 8;
    fj_adapter *adapter = NULL;
    fj_lora_settings lora = { .target = "all", .rank = rank, .alpha = 2 * (double)rank, .is_planned = true };
    bool *learns = NULL;
    fj_status st = !strcmp(w->method, "lora")     ? fj_adapter_new(m, &lora, &adapter, err)
                   : !strcmp(w->method, "freeze") ? choose_weights(m, &learns, err)
                                                  : FJ_OK;
    fj_trainer_settings t = { .adapter = adapter,
                              .learns = learns,
                              .has_optimizer = true,
                              .checkpointing = !w->keeps_activations,
                              .bf16 = w->bf16,
                              .pure_bf16 = !strcmp(w->method, "full_bf16"),
                              .capacity = { .tokens = batch * length,
                                            .segments = batch,
                                            .targets = batch * FJ_MAX(length - 1, (int64_t)1),
                                            .segment_tokens = length },
                              .adamw = { .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8 },
                              .lora_b_rate = 1,
                              .max_grad_norm = 1 };
    if (!st)
        st = fj_plan_training(m, &t, n_threads, k, out, err);
    fj_adapter_free(adapter);
    free(learns);
    return st;
}

fj_session_settings fj_plan_session(const fj_plan_wanted *w)
{
    return (fj_session_settings){ .n_ctx = w->length,
                                  .n_seqs = w->batch,
                                  .chunk = w->chunk,
                                  .fast = true,
                                  .stop_layer = -1,
                                  .k_type = w->k_type,
                                  .v_type = w->v_type };
}

fj_status fj_plan_method(const fj_model *m, const fj_plan_wanted *w, int n_threads, const fj_kernels *k, fj_plan *out,
                         fj_err *err)
{
    if (strcmp(w->method, "run") != 0)
        return plan_tuning(m, w, n_threads, k, out, err);
    fj_session_settings session = fj_plan_session(w);
    fj_status st = fj_plan_generating(m, &session, !w->no_repack, n_threads, k, out, err);
    size_t all = out->weights;
    if (st || !w->most)
        return st;
    st = fj_model_fit_bytes(m, w->most, !w->no_repack, &out->weights, &out->streamed, err);
    out->total = out->peak = out->total - all + out->weights;
    return st;
}

fj_status fj_plan_model(const fj_json *config, const fj_recipe *recipe, fj_model **out, fj_err *err)
{
    fj_status st = fj_model_describe(config, NULL, out, err);
    for (int i = 0; !st && i < (*out)->n_weights; i++) {
        fj_weight *w = &(*out)->weights[i];
        fj_recipe_weight about = { .role = w->role,
                                   .layer = w->layer,
                                   .n_layers = (int)(*out)->hp.n_layers,
                                   .shape = w->shape.rank < 2
                                                ? w->shape
                                                : fj_shape_2(w->shape.dim[w->shape.rank - 2], fj_shape_cols(&w->shape)),
                                   .n_experts = (int)(*out)->hp.n_experts,
                                   .tied_output = (*out)->hp.is_tied,
                                   .n_shared_heads = (int)((*out)->hp.n_heads / FJ_MAX(1, (*out)->hp.n_kv_heads)),
                                   .is_falcon = (*out)->family->has_falcon_recipe };
        if (w->shape.rank > 1)
            w->dtype = fj_recipe_type(recipe, &about);
    }
    return st;
}

fj_status fj_plan_quantize(fj_model *m, int64_t bits, int *n, fj_err *err)
{
    const fj_dtype *type = fj_train_quantized_type(bits, "nf4");
    if (!type)
        return fj_fail(err, FJ_ERR_USAGE, "to tune a model in %lld bits: wanted 8, 6, 5, 4, 3 or 2", (long long)bits);
    *n = fj_model_quantize(m, type, true, err);
    return *n < 0 ? err->status : FJ_OK;
}

fj_status fj_plan_quantized_model(const fj_json *config, int64_t bits, fj_model **out, fj_err *err)
{
    int n;
    fj_status st = fj_plan_model(config, fj_recipe_by_name("BF16"), out, err);
    return st ? st : fj_plan_quantize(*out, bits, &n, err);
}

fj_status fj_plan_check(const fj_plan *p, const char *advice, fj_err *err)
{
    char need[24], have[24];
    uint64_t left = fj_memory_available() + fj_resident_bytes();
    if (p->peak <= left)
        return FJ_OK;
    (void)fj_fail(err, FJ_ERR_MEMORY, "this takes %s of memory, the machine has %s left",
                  fj_format_bytes(p->peak, need), fj_format_bytes(left, have));
    return fj_hint(err, "%s; forja plan shows what takes how much", advice);
}
