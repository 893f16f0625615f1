/* SPDX-License-Identifier: Apache-2.0
 * See imatrix.h. Weights that share their input (q, k, v; gate, up) share its sums. A thread sums some of the columns over all rows, in
 * order: the same for any number of threads. */
#include "tasks/imatrix.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PART_COLS = 64 };

/* The sums of one input. */
typedef struct input {
    int64_t n_cols, n_experts;
    double *sums, *counts;
} input;

typedef struct collector {
    const fj_model *m;
    fj_arena *arena;
    input **of; /* of each weight; NULL: nothing has come yet */
    bool failed;
} collector;

typedef struct sum_job {
    const input *to;
    const float *x;
    const int32_t *offsets; /* of the rows of each expert; NULL: one matrix */
    int64_t n_rows;
} sum_job;

static void sum_part(void *context, int64_t part, int worker)
{
    (void)worker;
    const sum_job *j = context;
    int64_t k = j->to->n_cols, first = part * PART_COLS, end = FJ_MIN(k, first + PART_COLS);
    for (int64_t e = 0; e < j->to->n_experts; e++) {
        double *sums = j->to->sums + e * k;
        int64_t row = j->offsets ? j->offsets[e] : 0, last = j->offsets ? j->offsets[e + 1] : j->n_rows;
        for (; row < last; row++)
            for (int64_t c = first; c < end; c++)
                sums[c] += (double)j->x[row * k + c] * (double)j->x[row * k + c];
    }
}

static bool is_wanted(const fj_weight *w)
{
    return w && w->role->in_layer && w->role->is_linear && !w->is_bias;
}

/* The sums of a node's input, made when a weight comes for the first time. */
static input *input_of(collector *c, const fj_node *node)
{
    input *to = NULL;
    for (int i = 1; i < node->n_in; i++) {
        const fj_weight *w = node->in[i] ? node->in[i]->weight : NULL;
        if (!is_wanted(w))
            continue;
        input **slot = &c->of[w - c->m->weights];
        if (!to && !*slot) {
            to = fj_arena_take(c->arena, sizeof *to);
            if (!to)
                return NULL;
            to->n_cols = fj_shape_cols(&w->shape);
            to->n_experts = w->shape.rank == 3 ? w->shape.dim[0] : 1;
            to->sums = fj_arena_array(c->arena, (size_t)(to->n_cols * to->n_experts), sizeof *to->sums);
            to->counts = fj_arena_array(c->arena, (size_t)to->n_experts, sizeof *to->counts);
            if (!to->sums || !to->counts)
                return NULL;
        }
        to = *slot ? *slot : to;
        *slot = to;
    }
    return to;
}

static const int32_t *offsets_of(const fj_node *node)
{
    for (int i = 1; i < node->n_in; i++)
        if (node->in[i] && node->in[i]->dtype == &fj_i32)
            return node->in[i]->data;
    return NULL;
}

static void see(void *context, const fj_run *run, fj_node *const *nodes, int at, int end)
{
    (void)end;
    collector *c = context;
    const fj_node *node = nodes[at];
    bool is_any = false;
    for (int i = 1; node->op->is_product && i < node->n_in; i++)
        is_any = is_any || (node->in[i] && is_wanted(node->in[i]->weight));
    if (!is_any || c->failed)
        return;
    input *to = input_of(c, node);
    if (!to) {
        c->failed = true;
        return;
    }
    sum_job j = { to, node->in[0]->data, offsets_of(node), fj_rows(run, node->in[0]) };
    fj_pool_run(run->pool, sum_part, &j, fj_blocks(to->n_cols, PART_COLS));
    for (int64_t e = 0; e < to->n_experts; e++)
        to->counts[e] += (double)(j.offsets ? j.offsets[e + 1] - j.offsets[e] : j.n_rows);
}

/* ---- reading the text ----------------------------------------------------------------------------------------------------------------- */

static fj_status read_windows(const fj_windows *w, fj_session *s, float *hidden, const fj_measurement *m, fj_err *err)
{
    int64_t at_once = fj_windows_at_once(w), most = at_once * w->n_ctx;
    int32_t *seq = malloc((size_t)most * sizeof *seq);
    uint8_t *wants = calloc((size_t)most, 1);
    fj_status st = seq && wants ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for the rows of a window");
    for (int64_t i = 0; !st && i < most; i++)
        seq[i] = (int32_t)(i / w->n_ctx);
    for (int64_t first = 0; !st && first < w->n; first += at_once) {
        int64_t n = FJ_MIN(at_once, w->n - first);
        fj_rows_in rows = { .n = n * w->n_ctx, .ids = w->ids + first * w->n_ctx, .seq = seq, .wants = wants };
        st = fj_session_forward(s, &rows, hidden, m->cancel, err);
        for (int64_t q = 0; q < n; q++)
            (void)fj_session_truncate(s, q, 0);
        if (!st && m->show)
            m->show(m->context, first + n, NAN);
    }
    free(seq);
    free(wants);
    return st;
}

static fj_status run_model(collector *c, const fj_reader *reader, const fj_windows *w, const fj_measurement *m,
                           fj_err *err)
{
    fj_watch watch = { .before = see, .context = c };
    fj_session *s = NULL;
    fj_session_settings settings = { .n_ctx = w->n_ctx,
                                     .n_seqs = fj_windows_at_once(w),
                                     .fast = reader->fast,
                                     .stop_layer = -1,
                                     .wants_hidden = true,
                                     .adapter = reader->adapter,
                                     .watch = &watch };
    fj_buffer hidden = { 0 };
    size_t rows = (size_t)(settings.n_seqs * w->n_ctx);
    fj_status st = fj_buffer_open(&hidden, rows * (size_t)reader->model->hp.d_model * sizeof(float), "hidden states",
                                  err);
    if (!st)
        st = fj_session_open(reader->model, &settings, m->pool, m->kernels, &s, err);
    if (!st)
        st = read_windows(w, s, (float *)(void *)hidden.data, m, err);
    if (!st && c->failed)
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory for the sums of an importance matrix");
    fj_session_close(s);
    fj_buffer_close(&hidden);
    return st;
}

/* ---- the result ----------------------------------------------------------------------------------------------------------------------- */

static fj_status add_item(const collector *c, int i, fj_imatrix *m, fj_err *err)
{
    const input *from = c->of[i];
    const char *name = fj_model_gguf_name(c->m, &c->m->weights[i]);
    int64_t n = from->n_cols * from->n_experts;
    fj_importance *to = name ? fj_imatrix_add(m, name, n, from->n_experts) : NULL;
    if (!to)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for an importance matrix");
    for (int64_t k = 0; k < n; k++) {
        to->sums[k] = (float)from->sums[k];
        if (!isfinite(to->sums[k]))
            return fj_fail(err, FJ_ERR_FAILED, "'%s': its inputs are not finite", name);
    }
    for (int64_t e = 0; e < from->n_experts; e++)
        to->counts[e] = (float)from->counts[e];
    return FJ_OK;
}

static fj_status make_result(const collector *c, const fj_windows *w, const char *const *datasets, size_t n_datasets,
                             fj_imatrix **out, fj_err *err)
{
    fj_imatrix *m = fj_imatrix_new((size_t)c->m->n_weights);
    fj_status st = m ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for an importance matrix");
    for (int i = 0; i < c->m->n_weights && !st; i++)
        if (c->of[i])
            st = add_item(c, i, m, err);
    if (!st) {
        m->chunks = (uint32_t)w->n;
        m->chunk_size = (uint32_t)w->n_ctx;
        m->datasets = fj_arena_array(m->arena, n_datasets, sizeof *m->datasets);
        for (size_t i = 0; m->datasets && i < n_datasets; i++) {
            const char *name = fj_arena_text(m->arena, datasets[i], strlen(datasets[i]));
            if (name)
                m->datasets[m->n_datasets++] = name;
        }
    }
    if (st)
        fj_imatrix_free(m);
    else
        *out = m;
    return st;
}

fj_status fj_imatrix_collect(const fj_reader *reader, const fj_windows *windows, const char *const *datasets,
                             size_t n_datasets, const fj_measurement *m, fj_imatrix **out, fj_err *err)
{
    collector c = { .m = reader->model, .arena = fj_arena_new() };
    *out = NULL;
    if (c.arena)
        c.of = fj_arena_array(c.arena, (size_t)c.m->n_weights, sizeof(*c.of));
    fj_status st = c.of ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for an importance matrix");
    if (!st)
        st = run_model(&c, reader, windows, m, err);
    if (!st)
        st = make_result(&c, windows, datasets, n_datasets, out, err);
    fj_arena_free(c.arena);
    return st;
}
