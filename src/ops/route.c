/* SPDX-License-Identifier: Apache-2.0
 * The choice of experts: p = softmax(logits) over E, the K largest are chosen, the lowest index first among equals, and weigh
 *   w_k = p_k                               norm order 0
 *   w_k = p_k / (sum_chosen p^o)^(1/o)      norm order o (1: the softmax over the chosen alone)
 * Of experts that may not be taken the logits count as minus infinity, in both.
 * The slots (row, k) are sorted by (expert, row): place[row,k] is where a slot stands, offsets[e] where expert e's begin. N rows
 * have N*K sorted slots, so a value of sorted rows is (N, K*D), and its memory K*N rows of D.
 * in: logits (N,E)   out: w (N,K), chosen (N,K) i32, place (N,K) i32, offsets (E+1) i32   attr: K, norm order   extra: E flags of uint8_t, which may be
 * taken, or NULL: all
 *
 * Gradient, the choice held constant: order 0 dz_j = p_j (g_j - sum_i p_i g_i), g = dw at the chosen, else 0;
 * order o dz_j = w_j g_j - w_j^o sum_i w_i g_i over the chosen. */
#include <math.h>
#include <string.h>

#include "ops/graph.h"

enum { ROWS = 16 };

static fj_status infer(fj_node *node, fj_err *err)
{
    const fj_value *z = node->in[0];
    int64_t k = (int64_t)node->attr[0], e = fj_cols(z), most = 0;
    const uint8_t *allowed = node->extra;
    for (int64_t j = 0; j < e; j++)
        most += !allowed || allowed[j];
    if (k < 1 || k > most)
        return fj_fail(err, FJ_ERR_SHAPE, "route: %lld of %lld experts", (long long)k, (long long)most);
    for (int i = 0; i < 3; i++) {
        node->out[i]->extent = z->extent;
        node->out[i]->shape = fj_shape_2(z->shape.dim[0], k);
        node->out[i]->dtype = i ? &fj_i32 : &fj_f32;
    }
    node->out[3]->shape = fj_shape_1(e + 1);
    node->out[3]->dtype = &fj_i32;
    return FJ_OK;
}

static size_t scratch(const fj_node *node, const fj_run *run)
{
    (void)run;
    return 2 * (size_t)fj_cols(node->rule < 0 ? node->in[0] : node->fwd->in[0]) * sizeof(float);
}

static int phases(const fj_run *run, const fj_node *node)
{
    (void)run, (void)node;
    return 2;
}

static int64_t parts(const fj_run *run, const fj_node *node, int phase)
{
    return phase ? 1 : fj_blocks(fj_rows(run, node->rule < 0 ? node->in[0] : node->fwd->in[0]), ROWS);
}

/* The largest value that is not chosen yet: below the last one, or equal to it and further on. */
static int32_t next_largest(const float *z, int64_t n, int32_t last)
{
    int32_t best = -1;
    for (int32_t j = 0; j < n; j++)
        if ((last < 0 || z[j] < z[last] || (z[j] == z[last] && j > last)) && (best < 0 || z[j] > z[best]))
            best = j;
    return best;
}

/* A row's logits; where not all experts may be taken a copy, in `to`. */
static const float *logits_of(const fj_node *f, int64_t row, float *to)
{
    int64_t e = fj_cols(f->in[0]);
    const float *z = (const float *)f->in[0]->data + row * e;
    const uint8_t *allowed = f->extra;
    for (int64_t j = 0; allowed && j < e; j++)
        to[j] = allowed[j] ? z[j] : -INFINITY;
    return allowed ? to : z;
}

/* p: 2 E floats of scratch */
static void choose(const fj_run *run, const fj_node *node, int64_t row, float *p)
{
    int64_t k = (int64_t)node->attr[0], e = fj_cols(node->in[0]);
    double order = node->attr[1], sum = 0;
    const float *z = logits_of(node, row, p + e);
    float *w = (float *)node->out[0]->data + row * k;
    int32_t *chosen = (int32_t *)node->out[1]->data + row * k, last = -1;
    float all = run->k->exp_row(p, z, 1.0f, run->k->max_row(z, e), e);
    for (int64_t i = 0; i < k; i++) {
        int32_t next = next_largest(z, e, last);
        last = next < 0 ? (int32_t)i : next; /* NaN is larger than nothing: any expert does, the result is NaN */
        chosen[i] = last;
        w[i] = p[last];
        sum += order > 0 ? order == 1 ? w[i] : pow(w[i], order) : 0;
    }
    float by = order > 0 ? (float)(1 / (order == 1 ? sum : pow(sum, 1 / order))) : 1.0f / all;
    run->k->scale_row(w, w, by, k);
}

/* Counting sort: slots of one expert keep the order of their rows. */
static void sort(const fj_run *run, const fj_node *node)
{
    int64_t n = fj_rows(run, node->in[0]) * (int64_t)node->attr[0], e = fj_cols(node->in[0]);
    const int32_t *chosen = node->out[1]->data;
    int32_t *place = node->out[2]->data, *offsets = node->out[3]->data;
    memset(offsets, 0, (size_t)(e + 1) * sizeof *offsets);
    for (int64_t i = 0; i < n; i++)
        offsets[chosen[i]]++;
    for (int64_t j = 0, at = 0; j <= e; j++) {
        int32_t count = offsets[j];
        offsets[j] = (int32_t)at;
        at += count;
    }
    for (int64_t i = 0; i < n; i++)
        place[i] = offsets[chosen[i]]++;
    memmove(offsets + 1, offsets, (size_t)e * sizeof *offsets); /* each has run to its end, where the next begins */
    offsets[0] = 0;
}

static void forward(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    if (phase) {
        sort(run, node);
        return;
    }
    int64_t row1 = FJ_MIN((part + 1) * ROWS, fj_rows(run, node->in[0]));
    for (int64_t row = part * ROWS; row < row1; row++)
        choose(run, node, row, fj_scratch(run, worker));
}

static void d_row(const fj_run *run, const fj_node *node, int64_t row, float *dz)
{
    const fj_node *f = node->fwd;
    int64_t k = (int64_t)f->attr[0], e = fj_cols(f->in[0]);
    const float *z = logits_of(f, row, dz + e), *w = (const float *)f->out[0]->data + row * k;
    const float *g = (const float *)node->dout[0]->data + row * k;
    const int32_t *chosen = (const int32_t *)f->out[1]->data + row * k;
    float sum = run->k->dot_row(w, g, k);
    double order = f->attr[1];
    if (order > 0) {
        memset(dz, 0, (size_t)e * sizeof *dz);
        for (int64_t i = 0; i < k; i++)
            dz[chosen[i]] = w[i] * g[i] - (order == 1 ? w[i] : (float)pow(w[i], order)) * sum;
    } else {
        float all = run->k->exp_row(dz, z, 1.0f, run->k->max_row(z, e), e);
        run->k->scale_row(dz, dz, -sum / all, e);
        for (int64_t i = 0; i < k; i++)
            dz[chosen[i]] += w[i] * g[i];
    }
}

static void d_logits(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase;
    int64_t e = fj_cols(node->fwd->in[0]), row1 = FJ_MIN((part + 1) * ROWS, fj_rows(run, node->fwd->in[0]));
    float *dz = fj_scratch(run, worker);
    for (int64_t row = part * ROWS; row < row1; row++) {
        float *to = (float *)node->din[0]->data + row * e;
        d_row(run, node, row, dz);
        if (fj_adds(run, node, 0))
            run->k->add_row(to, to, dz, e);
        else
            memcpy(to, dz, (size_t)e * sizeof *dz);
    }
}

const fj_op fj_op_route = {
    .name = "route",
    .infer = infer,
    .forward = { phases, parts, forward, NULL, scratch },
    .backward = { { .gives = 1, .reads_in = 1, .reads_out = 3, .work = { NULL, parts, d_logits, NULL, scratch } } },
};

fj_route fj_route_rows(fj_graph *g, fj_value *logits, int64_t k, double norm_order, const uint8_t *allowed)
{
    double attr[] = { (double)k, norm_order };
    fj_node *n = fj_graph_add(g, &fj_op_route, &logits, 1, 4, attr, 2, allowed);
    return (fj_route){ .k = k, .weights = n->out[0], .chosen = n->out[1], .place = n->out[2], .offsets = n->out[3] };
}
