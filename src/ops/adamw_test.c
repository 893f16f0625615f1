/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/op_test.h"

#include <stdlib.h>

enum { N = 40000, STEPS = 3 }; /* more than two chunks of 16384 */

typedef struct weights {
    float p[N], g[N], m[N], v[N];
} weights;

/* torch, optim/adamw.py, _single_tensor_adamw, in double. */
static void torch_step(double *p, double *m, double *v, const float *g, int t, double lr, double decay, double clip)
{
    for (int i = 0; i < N; i++) {
        double gi = g[i] * clip;
        p[i] *= 1 - lr * decay;
        m[i] += (gi - m[i]) * (1 - 0.9);
        v[i] = v[i] * 0.999 + gi * gi * (1 - 0.999);
        p[i] -= lr / (1 - pow(0.9, t)) * m[i] / (sqrt(v[i]) / sqrt(1 - pow(0.999, t)) + 1e-8);
    }
}

static void bind(fj_value *p, fj_value *m, fj_value *v, weights *w)
{
    p->data = w->p;
    p->grad->data = w->g;
    m->data = w->m;
    v->data = w->v;
}

TEST(adamw_takes_torchs_steps_with_the_same_bits_for_any_number_of_threads)
{
    fj_kernels tables[TEST_TABLES];
    int n = test_tables(tables);
    fj_err err = { 0 };
    fj_pool *pools[3];
    op_pools_open(pools);
    fj_graph *g = fj_graph_new(&err);
    fj_value *p = fj_graph_parameter(g, "p", fj_shape_1(N)),
             *m = fj_graph_external(g, "m", &fj_f32, FJ_FIXED, fj_shape_1(N)),
             *v = fj_graph_external(g, "v", &fj_f32, FJ_FIXED, fj_shape_1(N));
    fj_adamw_settings s = { .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.1 };
    fj_adamw(g, p, m, v, &s, 2); /* twice the run's rate */
    fj_run plan = { 0 };
    CHECK_OK(fj_graph_plan(g, &plan, &err));
    weights *w = malloc(sizeof *w), *first = malloc(sizeof *first);
    double *exact = calloc(3 * N, sizeof *exact);
    float wanted[N];
    CHECK(w && first && exact);
    for (int t = 0; t < n; t++)
        for (int pool = 0; pool < 3; pool++) {
            memset(w, 0, sizeof *w);
            memset(exact, 0, 3 * N * sizeof *exact);
            test_fill(w->p, N, 1, 1);
            for (int i = 0; i < N; i++)
                exact[i] = w->p[i];
            bind(p, m, v, w);
            for (int step = 1; step <= STEPS; step++) {
                double norm[2] = { 3, 0.25 };
                fj_run run = { .k = &tables[t], .pool = pools[pool], .norm = norm, .lr = 0.01, .t = step };
                test_fill(w->g, N, 10 + (uint64_t)step, 1);
                op_run_graph(g, &run);
                torch_step(exact, exact + N, exact + 2 * N, w->g, step, 0.02, 0.1, 0.25);
            }
            for (int i = 0; i < N; i++)
                wanted[i] = (float)exact[i];
            CHECK_NEAR(w->p, wanted, N, 1e-6);
            for (int i = 0; i < N; i++)
                wanted[i] = (float)exact[N + i];
            CHECK_NEAR(w->m, wanted, N, 1e-7);
            if (pool == 0)
                memcpy(first, w, sizeof *w);
            CHECK(memcmp(first, w, sizeof *w) == 0);
        }
    free(w);
    free(first);
    free(exact);
    fj_graph_free(g);
    op_pools_close(pools);
}
