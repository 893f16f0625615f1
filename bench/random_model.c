/* SPDX-License-Identifier: Apache-2.0
 * A model of random weights, of any family and size: bench_random_model CONFIG OUT [TYPE]
 * CONFIG is a folder with a config.json. OUT that ends in .gguf is written in the mix TYPE (Q4_K_M), any other OUT is a folder with
 * matrices of TYPE (BF16). Streamed, so the model may be larger than memory. One line of JSON: its parameters, and those in the
 * products of one token: neither the experts that it does not go to nor an embedding that is only looked up. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/rng.h"
#include "tasks/export.h"

/* Small enough that no family's logits overflow, with norms that do nothing. The same for any number of threads. */
static void random_rows(void *context, const fj_weight *w, int64_t row0, int64_t n, float *out)
{
    const fj_model *m = context;
    int64_t k = fj_shape_cols(&w->shape), first = w->shape.rank == 1 ? 0 : row0 * k;
    bool is_norm = w->shape.rank == 1 && !w->is_bias;
    for (int64_t i = 0; i < n * k; i++) {
        uint64_t bits = fj_rng(1, FJ_STREAM_TEST, (uint32_t)(w - m->weights), 0, (uint64_t)(first + i));
        float x = (float)((double)(bits >> 40) / (1 << 24) - 0.5) * 0.07f; /* of standard deviation 0.02 */
        out[i] = is_norm ? 1 : x;
    }
}

static int64_t active_parameters(const fj_model *m)
{
    int64_t n = 0;
    for (int i = 0; i < m->n_weights; i++) {
        const fj_weight *w = &m->weights[i];
        int64_t all = fj_shape_count(&w->shape);
        bool is_looked_up = w->role == &fj_role_token_embd && fj_model_head(m) != w;
        if (!is_looked_up)
            n += w->shape.rank == 3 && m->hp.n_experts ? all / m->hp.n_experts * m->hp.n_experts_used : all;
    }
    return n;
}

static fj_status write_model(const char *config, const char *out, const char *type, fj_err *err)
{
    fj_bundle *bundle = NULL;
    fj_model *m = NULL;
    fj_pool *pool = NULL;
    size_t len = strlen(out);
    bool is_gguf = len > 5 && !strcmp(out + len - 5, ".gguf");
    const fj_recipe *recipe = fj_recipe_by_name(type);
    const fj_dtype *dtype = fj_dtype_by_name(type);
    if (is_gguf ? !recipe : !dtype)
        return fj_fail(err, FJ_ERR_USAGE, "no type is called '%s'", type);
    fj_status st = fj_bundle_open(config, FJ_OPEN_TOKENIZER, &bundle, err);
    if (!st)
        st = fj_model_describe(bundle->config, &fj_f32, &m, err);
    if (!st)
        st = fj_pool_open(fj_cpu_count(), &pool, err);
    fj_export_rows rows = { random_rows, m };
    fj_export_types types = { .recipe = recipe };
    if (!st)
        st = is_gguf ? fj_export_gguf(m, bundle, &rows, &types, out, pool, NULL, NULL, err)
                     : fj_export_hf(m, bundle, &rows, dtype, out, err);
    if (!st)
        (void)printf("{\"parameters\": %lld, \"active\": %lld}\n", (long long)fj_model_parameters(m),
                     (long long)active_parameters(m));
    fj_pool_close(pool);
    fj_model_free(m);
    fj_bundle_close(bundle);
    return st;
}

int main(int argc, char **argv)
{
    fj_err err = { 0 };
    if (argc < 3 || argc > 4) {
        (void)fprintf(stderr, "usage: bench_random_model CONFIG OUT [TYPE]\n");
        return 2;
    }
    size_t len = strlen(argv[2]);
    bool is_gguf = len > 5 && !strcmp(argv[2] + len - 5, ".gguf");
    fj_status st = write_model(argv[1], argv[2], argc > 3 ? argv[3] : is_gguf ? "Q4_K_M" : "BF16", &err);
    if (st)
        (void)fprintf(stderr, "bench_random_model: %s\n", err.message);
    return st ? 1 : 0;
}
