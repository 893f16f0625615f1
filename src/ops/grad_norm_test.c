/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/op_test.h"

#include <stdlib.h>

enum { PARAMETERS = 5 };

static const int64_t sizes[PARAMETERS] = { 1, 32767, 32768, 32769, 100000 }; /* around the chunk of 32768 */

typedef struct gradients {
    fj_graph *g;
    fj_value *params[PARAMETERS];
    double norm; /* by definition */
} gradients;

static gradients make(fj_err *err, double max_norm)
{
    gradients s = { .g = fj_graph_new(err) };
    double sum = 0;
    for (int i = 0; i < PARAMETERS; i++) {
        s.params[i] = fj_graph_parameter(s.g, "p", fj_shape_1(sizes[i]));
        float *g = malloc((size_t)sizes[i] * sizeof *g);
        CHECK(g);
        test_fill(g, sizes[i], (uint64_t)i, 1);
        for (int64_t k = 0; k < sizes[i]; k++)
            sum += (double)g[k] * g[k];
        s.params[i]->grad->data = g;
    }
    s.norm = sqrt(sum);
    fj_grad_norm(s.g, s.params, PARAMETERS, max_norm);
    return s;
}

static void drop(gradients *s)
{
    for (int i = 0; i < PARAMETERS; i++)
        free(s->params[i]->grad->data);
    fj_graph_free(s->g);
}

TEST(grad_norm_is_the_norm_of_all_gradients_with_the_same_bits_for_any_number_of_threads)
{
    fj_kernels tables[TEST_TABLES];
    int n = test_tables(tables);
    fj_err err = { 0 };
    fj_pool *pools[3];
    op_pools_open(pools);
    gradients s = make(&err, 0);
    for (int t = 0; t < n; t++) {
        double first = 0;
        for (int p = 0; p < 3; p++) {
            double norm[2] = { NAN, NAN };
            fj_run run = { .k = &tables[t], .pool = pools[p], .norm = norm };
            if (t + p == 0)
                CHECK_OK(fj_graph_plan(s.g, &run, &err));
            op_run_graph(s.g, &run);
            CHECK(fabs(norm[0] / s.norm - 1) < 1e-12);
            CHECK(norm[1] == 1);
            first = p ? first : norm[0];
            CHECK(norm[0] == first);
        }
    }
    drop(&s);
    op_pools_close(pools);
}

TEST(grad_norm_clips_as_torch_does)
{
    fj_kernels k;
    fj_pool *pool;
    fj_err err = { 0 };
    fj_kernels_init(&k, 0);
    CHECK_OK(fj_pool_open(1, &pool, &err));
    const double limits[] = { 1, 1000, 0 };
    for (int i = 0; i < 3; i++) {
        double norm[2];
        fj_run run = { .k = &k, .pool = pool, .norm = norm };
        gradients s = make(&err, limits[i]);
        CHECK_OK(fj_graph_plan(s.g, &run, &err));
        op_run_graph(s.g, &run);
        double wanted = i == 0 ? 1 / (norm[0] + 1e-6) : 1;
        CHECK(norm[1] == wanted);
        drop(&s);
    }
    fj_pool_close(pool);
}
