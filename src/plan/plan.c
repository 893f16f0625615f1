/* SPDX-License-Identifier: Apache-2.0
 * See plan.h. */
#include "plan/plan.h"

#include "base/clock.h"

/* Sums up. Of what the plan counts only an adapter has been touched yet, so the rest of what is resident now is the process. */
static void add_up(fj_plan *p)
{
    size_t resident = (size_t)fj_resident_bytes();
    p->process = resident - FJ_MIN(resident, p->adapters);
    p->total = p->weights + p->gradients + p->optimizer + p->adapters + p->activations + p->kv + p->process;
    p->peak = p->total;
}

fj_status fj_plan_training(const fj_model *m, const fj_trainer_settings *s, int n_threads, const fj_kernels *k,
                           fj_plan *out, fj_err *err)
{
    fj_trainer_bytes b = { 0 };
    fj_status st = fj_trainer_plan(m, s, n_threads, k, &b, err);
    *out = (fj_plan){ .weights = s->adapter ? fj_model_bytes(m) : b.copies,
                      .gradients = b.gradients,
                      .optimizer = b.optimizer,
                      .adapters = b.adapters,
                      .activations = b.activations,
                      .n_trained = b.n_trained };
    add_up(out);
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
    add_up(out);
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
                                   .n_shared_heads = (int)((*out)->hp.n_heads / FJ_MAX(1, (*out)->hp.n_kv_heads)) };
        if (w->shape.rank > 1)
            w->dtype = fj_recipe_type(recipe, &about);
    }
    return st;
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
