/* SPDX-License-Identifier: Apache-2.0
 * Rows to the experts and back (route.c says what slots and places are):
 *   SPREAD  out[place[n,k]] = x[n]      each row once for every expert that it chose
 *   SORT    out[place[n,k]] = x[n,k]    slots by row become slots by expert
 *   UNSORT  out[n,k] = x[place[n,k]]    and the other way round
 * in: x (N,D) or (N,K*D), place (N,K) i32   attr: K, kind */
#include <string.h>

#include "ops/graph.h"

enum { ROWS = 16 };
enum kind { SPREAD, SORT, UNSORT };

static fj_status infer(fj_node *node, fj_err *err)
{
    const fj_value *x = node->in[0], *place = node->in[1];
    int64_t k = (int64_t)node->attr[0];
    bool is_spread = (enum kind)node->attr[1] == SPREAD;
    if (place->dtype != &fj_i32 || fj_cols(place) != k || (!is_spread && fj_cols(x) % k))
        return fj_fail(err, FJ_ERR_SHAPE, "gather_rows: rows of %lld values for %lld slots", (long long)fj_cols(x),
                       (long long)k);
    node->out[0]->extent = x->extent;
    node->out[0]->shape = fj_shape_2(x->shape.dim[0], is_spread ? k * fj_cols(x) : fj_cols(x));
    return FJ_OK;
}

static int64_t parts(const fj_run *run, const fj_node *node, int phase)
{
    (void)phase;
    return fj_blocks(fj_rows(run, node->rule < 0 ? node->in[0] : node->fwd->in[0]), ROWS);
}

static void forward(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    enum kind kind = (enum kind)node->attr[1];
    const int32_t *place = node->in[1]->data;
    int64_t k = (int64_t)node->attr[0], d = fj_cols(node->out[0]) / k;
    int64_t end = FJ_MIN((part + 1) * ROWS, fj_rows(run, node->in[0])) * k;
    for (int64_t i = part * ROWS * k; i < end; i++) {
        int64_t from = kind == SPREAD ? i / k : kind == SORT ? i : place[i], to = kind == UNSORT ? i : place[i];
        memcpy((float *)node->out[0]->data + to * d, (const float *)node->in[0]->data + from * d,
               (size_t)d * sizeof(float));
    }
}

/* dx is the rows of dout that x went to; of a spread row their sum, in the order of its slots. */
static void d_x(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    const fj_node *f = node->fwd;
    enum kind kind = (enum kind)f->attr[1];
    const int32_t *place = f->in[1]->data;
    int64_t k = (int64_t)f->attr[0], d = fj_cols(f->out[0]) / k;
    int64_t end = FJ_MIN((part + 1) * ROWS, fj_rows(run, f->in[0])) * k;
    for (int64_t i = part * ROWS * k; i < end; i++) {
        int64_t to = kind == SPREAD ? i / k : kind == SORT ? i : place[i], from = kind == UNSORT ? i : place[i];
        float *dx = (float *)node->din[0]->data + to * d;
        const float *dout = (const float *)node->dout[0]->data + from * d;
        if (fj_adds(run, node, 0) || (kind == SPREAD && i % k))
            run->k->add_row(dx, dx, dout, d);
        else
            memcpy(dx, dout, (size_t)d * sizeof(float));
    }
}

const fj_op fj_op_gather_rows = {
    .name = "gather_rows",
    .infer = infer,
    .forward = { .parts = parts, .part = forward },
    .backward = { { .gives = 1, .reads_in = 2, .work = { .parts = parts, .part = d_x } } },
    .is_cheap = true,
};

static fj_value *gather(fj_graph *g, fj_value *x, const fj_route *route, enum kind kind)
{
    fj_value *in[] = { x, route->place };
    double attr[] = { (double)route->k, kind };
    return fj_graph_add(g, &fj_op_gather_rows, in, 2, 1, attr, 2, NULL)->out[0];
}

fj_value *fj_spread_rows(fj_graph *g, fj_value *x, const fj_route *route)
{
    return gather(g, x, route, SPREAD);
}

fj_value *fj_sort_slots(fj_graph *g, fj_value *x, const fj_route *route)
{
    return gather(g, x, route, SORT);
}

fj_value *fj_unsort_slots(fj_graph *g, fj_value *x, const fj_route *route)
{
    return gather(g, x, route, UNSORT);
}
