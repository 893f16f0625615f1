/* SPDX-License-Identifier: Apache-2.0
 * See trainer.h. The accumulate graph is a prefix of the step graph: nodes [0, n_accumulate) are forward and backward, then the
 * norm, then one update for each parameter. */
#include "train/trainer.h"

#include <string.h>

#include "base/buffer.h"
#include "quant/quant.h"
#include "tasks/export.h"

typedef struct loss_graph {
    fj_graph *g;
    fj_build b;
    fj_value *labels, *weights, *nll;
    fj_value *balance_weight, *balance; /* of the router term; NULL without */
} loss_graph;

struct fj_trainer {
    const fj_model *m;
    fj_trainer_settings s;
    fj_arena *arena;
    loss_graph step, eval;
    int n_accumulate, n_norm;
    fj_value **moment_m, **moment_v; /* of each parameter */
    fj_buffer copies, gradients, moments, memory;
    size_t arena_bytes, scratch_bytes;
    fj_run run;
    double norm[2];
    fj_tile *tiles;
    int32_t *select, *labels;
    float *weights, *nll;
    float balance_weight, balance;
};

static int64_t tile_capacity(const fj_batch_capacity *c)
{
    return fj_blocks(c->tokens, FJ_TILE_ROWS) + c->segments;
}

static fj_status build_loss(const fj_model *m, const fj_trainer_settings *s, bool is_training, loss_graph *l,
                            fj_err *err)
{
    l->g = fj_graph_new(err);
    if (!l->g)
        return err->status;
    l->b = (fj_build){ .g = l->g,
                       .m = m,
                       .adapter = s->adapter,
                       .trains_adapter = s->adapter != NULL,
                       .trains_weights = s->adapter == NULL,
                       .learns = s->learns,
                       .trains_bf16 = s->pure_bf16,
                       .dropout_scale = is_training,
                       .wants_balance = is_training && s->balance > 0 };
    fj_build_sizes sizes = { .rows = s->capacity.tokens,
                             .out_rows = s->capacity.targets,
                             .tiles = tile_capacity(&s->capacity),
                             .length = s->capacity.segment_tokens };
    fj_build_start(&l->b, &sizes);
    l->labels = fj_graph_external(l->g, "labels", &fj_i32, FJ_OUT_ROWS, fj_shape_1(sizes.out_rows));
    l->weights = fj_graph_external(l->g, "weights of targets", &fj_f32, FJ_OUT_ROWS, fj_shape_1(sizes.out_rows));
    fj_value *hidden = fj_build_hidden(&l->b, -1);
    l->nll = fj_build_loss(&l->b, hidden, l->labels, l->weights);
    if (l->b.wants_balance) {
        l->balance_weight = fj_graph_external(l->g, "weight of the router term", &fj_f32, FJ_FIXED, fj_shape_1(1));
        l->balance = fj_build_balance(&l->b, l->balance_weight);
    }
    if (is_training)
        fj_graph_differentiate(l->g, s->checkpointing);
    return l->g->err->status;
}

static void add_updates(fj_trainer *t)
{
    fj_graph *g = t->step.g;
    int n = t->step.b.n_params;
    fj_value **params = fj_arena_array(g->arena, (size_t)n, sizeof *params);
    t->moment_m = fj_arena_array(g->arena, (size_t)n, sizeof *t->moment_m);
    t->moment_v = fj_arena_array(g->arena, (size_t)n, sizeof *t->moment_v);
    fj_assert(params && t->moment_m && t->moment_v);
    for (int i = 0; i < n; i++)
        params[i] = t->step.b.params[i].value;
    fj_grad_norm(g, params, n, t->s.max_grad_norm);
    t->n_norm = g->n_nodes;
    for (int i = 0; t->s.has_optimizer && i < n; i++) {
        fj_adamw_settings a = t->s.adamw;
        if (params[i]->shape.rank < 2)
            a.weight_decay = 0;
        const fj_dtype *dtype = params[i]->grad->dtype;
        t->moment_m[i] = fj_graph_external(g, "first moment", dtype, FJ_FIXED, params[i]->shape);
        t->moment_v[i] = fj_graph_external(g, "second moment", dtype, FJ_FIXED, params[i]->shape);
        double rate = t->step.b.params[i].is_b ? t->s.lora_b_rate : 1.0;
        fj_adamw(g, params[i], t->moment_m[i], t->moment_v[i], &a, rate);
    }
}

static fj_status check_method(const fj_model *m, const fj_trainer_settings *s, fj_err *err)
{
    if (m->hp.n_labels)
        return fj_fail(err, FJ_ERR_USAGE, "this model gives scores; forja trains models that write text");
    if (s->balance > 0 && !m->hp.n_experts) {
        (void)fj_fail(err, FJ_ERR_USAGE, "moe_aux_loss_coef is %g, but this model has no experts", s->balance);
        return fj_hint(err, "leave the key out: only mixtures of experts have a router to keep even");
    }
    for (int i = 0; s->has_optimizer && !s->adapter && !s->learns && i < m->n_weights; i++)
        if (m->weights[i].dtype->is_quantized) {
            (void)fj_fail(err, FJ_ERR_USAGE, "full tuning needs 16 or 32-bit weights, '%s' is %s", m->weights[i].name,
                          m->weights[i].dtype->name);
            return fj_hint(err, "tune an adapter instead: finetuning_type: lora");
        }
    return FJ_OK;
}

/* Graphs and their layout; no memory that grows with the model. */
static fj_status describe(fj_trainer *t, fj_err *err)
{
    fj_status st = check_method(t->m, &t->s, err);
    if (!st)
        st = build_loss(t->m, &t->s, true, &t->step, err);
    if (st)
        return st;
    t->n_accumulate = t->step.g->n_nodes;
    add_updates(t);
    st = fj_graph_plan(t->step.g, &t->run, err);
    if (st)
        return st;
    t->arena_bytes = t->step.g->arena_bytes;
    t->scratch_bytes = t->step.g->scratch_bytes;
    if (!t->s.evaluates)
        return FJ_OK;
    st = build_loss(t->m, &t->s, false, &t->eval, err);
    if (!st)
        st = fj_graph_plan(t->eval.g, &t->run, err);
    if (!st) {
        fj_assert(t->eval.b.n_params == t->step.b.n_params);
        t->arena_bytes = FJ_MAX(t->arena_bytes, t->eval.g->arena_bytes);
        t->scratch_bytes = FJ_MAX(t->scratch_bytes, t->eval.g->scratch_bytes);
    }
    return st;
}

static size_t bytes_as(const fj_dtype *dtype, const fj_shape *shape)
{
    size_t bytes = 0;
    bool ok = fj_dtype_bytes(dtype, fj_shape_count(shape), &bytes);
    fj_assert(ok);
    return bytes;
}

static size_t padded(const fj_value *v)
{
    return (bytes_as(v->dtype, &v->shape) + 63) / 64 * 64;
}

static fj_trainer_bytes bytes_of(const fj_trainer *t, int n_threads)
{
    fj_trainer_bytes r = { .activations = t->arena_bytes + t->scratch_bytes * (size_t)n_threads,
                           .frozen = fj_model_bytes(t->m) };
    for (int i = 0; i < t->step.b.n_params; i++) {
        const fj_parameter *p = &t->step.b.params[i];
        size_t gradient = padded(p->value->grad);
        if (p->lora) {
            r.adapters += padded(p->value);
        } else {
            r.copies += padded(p->value);
            r.frozen -= bytes_as(p->weight->dtype, &p->weight->shape);
        }
        r.gradients += gradient;
        r.optimizer += t->s.has_optimizer ? 2 * gradient : 0;
        r.n_trained += fj_shape_count(&p->value->shape);
    }
    return r;
}

static fj_status new_trainer(const fj_model *m, const fj_trainer_settings *s, fj_pool *pool, const fj_kernels *k,
                             fj_trainer **out, fj_err *err)
{
    fj_arena *arena = fj_arena_new();
    fj_trainer *t = arena ? fj_arena_take(arena, sizeof *t) : NULL;
    if (!t) {
        fj_arena_free(arena);
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a trainer");
    }
    t->arena = arena;
    t->m = m;
    t->s = *s;
    t->run = (fj_run){ .k = k, .pool = pool, .bf16 = s->bf16, .seed = s->seed, .norm = t->norm };
    *out = t;
    return describe(t, err);
}

fj_status fj_trainer_plan(const fj_model *m, const fj_trainer_settings *s, int n_threads, const fj_kernels *k,
                          fj_trainer_bytes *out, fj_err *err)
{
    fj_trainer *t = NULL;
    fj_status st = new_trainer(m, s, NULL, k, &t, err);
    if (!st)
        *out = bytes_of(t, n_threads);
    fj_trainer_close(t);
    return st;
}

/* row, half: room for a row of each. */
static void copy_weight(const fj_trainer *t, const fj_parameter *p, float *row, uint16_t *half)
{
    const fj_kernels *k = t->run.k;
    int64_t n = fj_cols(p->value), rows = p->weight->shape.rank == 1 ? 1 : fj_shape_rows(&p->weight->shape);
    bool is_wide = p->value->dtype == &fj_f32;
    for (int64_t r = 0; r < rows; r++) {
        float *to = is_wide ? (float *)p->value->data + r * n : row;
        uint16_t *to16 = is_wide ? half : (uint16_t *)p->value->data + r * n;
        fj_export_stored_rows(NULL, p->weight, r, 1, to);
        if (t->s.pure_bf16)
            k->f32_to_bf16_row(to16, to, n);
        if (t->s.pure_bf16 && is_wide)
            k->bf16_to_f32_row(to, to16, n);
    }
}

/* Private copies of the weights that learn; the mapped pages are given back one tensor after the other. */
static fj_status copy_weights(fj_trainer *t, fj_err *err)
{
    size_t at = 0;
    int64_t most = 1;
    for (int i = 0; i < t->step.b.n_params; i++)
        most = FJ_MAX(most, fj_cols(t->step.b.params[i].value));
    float *row = fj_arena_array(t->arena, (size_t)most, sizeof *row);
    uint16_t *half = fj_arena_array(t->arena, (size_t)most, sizeof *half);
    if (!row || !half)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to copy weights");
    for (int i = 0; i < t->step.b.n_params; i++) {
        fj_parameter *p = &t->step.b.params[i];
        p->value->data = t->copies.data + at;
        copy_weight(t, p, row, half);
        fj_model_give_back(t->m, p->weight);
        at += padded(p->value);
    }
    return FJ_OK;
}

static void bind_parameters(fj_trainer *t)
{
    size_t at = 0;
    for (int i = 0; i < t->step.b.n_params; i++) {
        fj_parameter *p = &t->step.b.params[i];
        size_t bytes = padded(p->value->grad);
        if (p->lora)
            p->value->data = p->is_b ? p->lora->b : p->lora->a;
        p->value->grad->data = t->gradients.data + at;
        if (t->s.has_optimizer) {
            t->moment_m[i]->data = t->moments.data + 2 * at;
            t->moment_v[i]->data = t->moments.data + 2 * at + bytes;
        }
        if (t->s.evaluates)
            t->eval.b.params[i].value->data = p->value->data;
        at += bytes;
    }
}

static fj_status make_inputs(fj_trainer *t, fj_err *err)
{
    size_t targets = (size_t)t->s.capacity.targets;
    t->tiles = fj_arena_array(t->arena, (size_t)tile_capacity(&t->s.capacity), sizeof *t->tiles);
    t->select = fj_arena_array(t->arena, targets, sizeof *t->select);
    t->labels = fj_arena_array(t->arena, targets, sizeof *t->labels);
    t->weights = fj_arena_array(t->arena, targets, sizeof *t->weights);
    t->nll = fj_arena_array(t->arena, targets, sizeof *t->nll);
    if (!t->tiles || !t->select || !t->labels || !t->weights || !t->nll)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for the inputs of %zu targets", targets);
    for (int i = 0; i < 1 + t->s.evaluates; i++) {
        loss_graph *l = i ? &t->eval : &t->step;
        fj_graph_bind(l->g, t->memory.data);
        l->b.tiles->data = t->tiles;
        l->b.select->data = t->select;
        l->labels->data = t->labels;
        l->weights->data = t->weights;
        l->nll->data = t->nll;
        if (l->balance) {
            l->balance_weight->data = &t->balance_weight;
            l->balance->data = &t->balance;
        }
    }
    return FJ_OK;
}

fj_status fj_trainer_open(const fj_model *m, const fj_trainer_settings *s, fj_pool *pool, const fj_kernels *k,
                          fj_trainer **out, fj_err *err)
{
    fj_trainer *t = NULL;
    fj_status st = new_trainer(m, s, pool, k, &t, err);
    fj_trainer_bytes bytes = { 0 };
    if (!st) {
        bytes = bytes_of(t, fj_pool_threads(pool));
        st = fj_buffer_open(&t->copies, bytes.copies, "the trained weights", err);
    }
    if (!st)
        st = fj_buffer_open(&t->gradients, bytes.gradients, "the gradients", err);
    if (!st)
        st = fj_buffer_open(&t->moments, bytes.optimizer, "the optimizer's moments", err);
    if (!st)
        st = fj_buffer_open(&t->memory, bytes.activations, "the step arena", err);
    if (!st)
        st = make_inputs(t, err);
    if (!st && !s->adapter)
        st = copy_weights(t, err);
    if (st) {
        fj_trainer_close(t);
        return st;
    }
    bind_parameters(t);
    t->run.scratch = t->memory.data + t->arena_bytes;
    t->run.scratch_bytes = t->scratch_bytes;
    *out = t;
    return FJ_OK;
}

void fj_trainer_close(fj_trainer *t)
{
    if (!t)
        return;
    fj_graph_free(t->step.g);
    fj_graph_free(t->eval.g);
    fj_buffer_close(&t->copies);
    fj_buffer_close(&t->gradients);
    fj_buffer_close(&t->moments);
    fj_buffer_close(&t->memory);
    fj_arena_free(t->arena);
}

/* Tiles never cross a segment and start at multiples of 64 in it, so a query tile is a key tile too. */
static int64_t fill_tiles(const fj_batch *batch, fj_tile *tiles)
{
    int64_t n = 0;
    for (int64_t s = 0; s < batch->n_segments; s++) {
        int32_t first = batch->starts[s], rows = batch->starts[s + 1] - first;
        for (int32_t at = 0; at < rows; at += FJ_TILE_ROWS)
            tiles[n++] = (fj_tile){ .row0 = first + at,
                                    .n_rows = FJ_MIN(FJ_TILE_ROWS, rows - at),
                                    .pos0 = at,
                                    .seq = first,
                                    .seg_rows = rows };
    }
    return n;
}

static void fill(fj_trainer *t, loss_graph *l, const fj_batch *batch, double weight)
{
    fj_run *run = &t->run;
    fj_assert(batch->n_tokens <= t->s.capacity.tokens && batch->n_segments <= t->s.capacity.segments);
    l->b.ids->data = batch->ids;
    l->b.pos->data = batch->positions;
    run->n_rows = batch->n_tokens;
    run->n_tiles = fill_tiles(batch, t->tiles);
    run->n_out_rows = 0;
    for (int64_t i = 0; i < batch->n_tokens; i++) {
        if (batch->targets[i] == FJ_LABEL_NONE)
            continue;
        fj_assert(run->n_out_rows < t->s.capacity.targets);
        t->select[run->n_out_rows] = (int32_t)i;
        t->labels[run->n_out_rows] = batch->targets[i];
        t->weights[run->n_out_rows++] = (float)weight;
    }
}

static double sum_nll(const fj_trainer *t)
{
    double sum = 0;
    for (int64_t i = 0; i < t->run.n_out_rows; i++)
        sum += t->nll[i];
    return sum;
}

fj_status fj_trainer_accumulate(fj_trainer *t, const fj_batch *batch, int64_t window_targets, bool is_first,
                                uint32_t step, double *loss, const int *cancel, fj_err *err)
{
    double window = (double)FJ_MAX(1, window_targets);
    fill(t, &t->step, batch, 1.0 / window);
    t->balance_weight = (float)(t->s.balance * (double)t->run.n_out_rows / window);
    t->run.step = step;
    t->run.add_to_grads = !is_first;
    t->run.cancel = cancel;
    fj_status st = fj_graph_run(t->step.g, &t->run, 0, t->n_accumulate, err);
    if (!st)
        *loss += sum_nll(t) / window + (double)t->balance_weight * t->balance;
    return st;
}

double fj_trainer_norm(fj_trainer *t)
{
    fj_err err = { 0 };
    t->run.cancel = NULL;
    fj_status st = fj_graph_run(t->step.g, &t->run, t->n_accumulate, t->n_norm, &err);
    fj_assert(!st);
    return t->norm[0];
}

void fj_trainer_update(fj_trainer *t, double lr, int64_t t_step)
{
    fj_err err = { 0 };
    t->run.cancel = NULL;
    t->run.lr = lr;
    t->run.t = t_step;
    fj_status st = fj_graph_run(t->step.g, &t->run, t->n_norm, t->step.g->n_nodes, &err);
    fj_assert(!st);
}

fj_status fj_trainer_evaluate(fj_trainer *t, const fj_batch *batch, double *nll, const int *cancel, fj_err *err)
{
    fill(t, &t->eval, batch, 0);
    t->run.cancel = cancel;
    fj_status st = fj_graph_run(t->eval.g, &t->run, 0, t->eval.g->n_nodes, err);
    if (!st)
        *nll += sum_nll(t);
    return st;
}

int fj_trainer_count(const fj_trainer *t)
{
    return t->step.b.n_params;
}

fj_trained fj_trainer_at(const fj_trainer *t, int i)
{
    const fj_parameter *p = &t->step.b.params[i];
    fj_trained r = { .parameter = p, .shape = p->value->shape, .dtype = p->value->dtype, .data = p->value->data };
    if (p->value->grad->dtype == &fj_f32)
        r.gradient = p->value->grad->data;
    if (t->s.has_optimizer) {
        r.moment_dtype = t->moment_m[i]->dtype;
        r.m = t->moment_m[i]->data;
        r.v = t->moment_v[i]->data;
    }
    return r;
}

const char *fj_trained_label(const fj_trained *p)
{
    return p->parameter->weight ? p->parameter->weight->name : p->parameter->lora->weight->name;
}
