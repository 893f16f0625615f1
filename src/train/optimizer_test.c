/* SPDX-License-Identifier: Apache-2.0
 * Optimizers against recorded steps of torch (tests/oracle/training.py). */
#include "kernels/test_rows.h"
#include "tests/test.h"

#include <stdio.h>

#include "formats/formats.h"
#include "ops/graph.h"

enum { N = 2048, STEPS = 6 };

typedef struct learner {
    uint16_t p[N], m[N], v[N];
    float wide[N]; /* p again, held in f32 */
} learner;

static const uint16_t *halves(const fj_source *s, const char *set, const char *name)
{
    char full[32];
    (void)snprintf(full, sizeof full, "%s.%s", set, name);
    const fj_tensor *t = s->find(s, full);
    CHECK(t && t->dtype == &fj_bf16 && fj_shape_count(&t->shape) == N);
    return t->data;
}

static void widen(const uint16_t *from, float *to)
{
    for (int i = 0; i < N; i++) {
        uint32_t bits = (uint32_t)from[i] << 16;
        memcpy(&to[i], &bits, sizeof bits);
    }
}

/* is_wide: the parameter as operations have it that read f32 alone. */
static void take_steps(const fj_source *s, const char *set, const fj_adamw_settings *a, const fj_kernels *k,
                       fj_pool *pool, bool is_wide, learner *x)
{
    fj_err err = { 0 };
    fj_graph *g = fj_graph_new(&err);
    fj_value *p = fj_graph_parameter_bf16(g, "p", fj_shape_1(N), is_wide),
             *m = fj_graph_external(g, "m", &fj_bf16, FJ_FIXED, fj_shape_1(N)),
             *v = fj_graph_external(g, "v", &fj_bf16, FJ_FIXED, fj_shape_1(N));
    uint16_t gradient[N];
    double norm[2] = { 1, 1 };
    fj_run run = { .k = k, .pool = pool, .norm = norm, .lr = 3e-3 };
    *x = (learner){ 0 };
    memcpy(x->p, halves(s, set, "before"), sizeof x->p);
    widen(x->p, x->wide);
    p->data = is_wide ? (void *)x->wide : (void *)x->p;
    p->grad->data = gradient;
    m->data = x->m;
    v->data = x->v;
    fj_adamw(g, p, m, v, a, 1);
    CHECK_OK(fj_graph_plan(g, &run, &err));
    for (int i = 0; i < STEPS; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "g%d", i);
        memcpy(gradient, halves(s, set, name), sizeof gradient);
        run.t = i + 1;
        CHECK_OK(fj_graph_run(g, &run, 0, g->n_nodes, &err));
    }
    fj_graph_free(g);
}

TEST(adamw_in_bf16_has_the_bits_of_torchs_steps)
{
    static const struct {
        const char *set;
        fj_adamw_settings a;
    } cases[] = { { "usual", { 0.9, 0.999, 1e-6, 0 } }, { "other", { 0.4, 0.95, 1e-6, 0.1 } } };
    fj_kernels tables[TEST_TABLES];
    int n = test_tables(tables);
    fj_err err = { 0 };
    fj_source *s = NULL;
    fj_pool *pool = NULL;
    learner x;
    float wanted[N];
    CHECK_OK(fj_pool_open(2, &pool, &err));
    CHECK_OK(fj_safetensors_open_file(test_golden("training/adamw-bf16.safetensors"), NULL, &s, &err));
    for (int c = 0; c < 2; c++)
        for (int t = 0; t < 2 * n; t++) {
            bool is_wide = t % 2;
            take_steps(s, cases[c].set, &cases[c].a, &tables[t / 2], pool, is_wide, &x);
            CHECK(!memcmp(x.m, halves(s, cases[c].set, "m"), sizeof x.m));
            CHECK(!memcmp(x.v, halves(s, cases[c].set, "v"), sizeof x.v));
            widen(halves(s, cases[c].set, "p"), wanted);
            CHECK(is_wide ? !memcmp(x.wide, wanted, sizeof wanted)
                          : !memcmp(x.p, halves(s, cases[c].set, "p"), sizeof x.p));
        }
    s->close(s);
    fj_pool_close(pool);
}
