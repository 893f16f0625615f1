/* SPDX-License-Identifier: Apache-2.0
 * Graphs of models: the frame (inputs, embedding, blocks, head), and where parameters come in. */
#include "models/build.h"

#include <string.h>

#include "models/build_internal.h"

void fj_build_start(fj_build *b, const fj_build_sizes *s)
{
    fj_graph *g = b->g;
    b->length = s->length;
    if (b->keeps_routes) {
        b->routes = fj_arena_array(g->arena, 2 * (size_t)b->m->hp.n_layers, sizeof *b->routes);
        fj_assert(b->routes);
    }
    b->ids = fj_graph_external(g, "ids", &fj_i32, FJ_ROWS, fj_shape_1(s->rows));
    b->pos = fj_graph_external(g, "positions", &fj_i32, FJ_ROWS, fj_shape_1(s->rows));
    b->tiles = fj_graph_external(g, "tiles", &fj_i32, FJ_TILES,
                                 fj_shape_2(s->tiles, sizeof(fj_tile) / sizeof(int32_t)));
    if (s->out_rows)
        b->select = fj_graph_external(g, "rows of the head", &fj_i32, FJ_OUT_ROWS, fj_shape_1(s->out_rows));
    if (b->is_cached) {
        b->tables = fj_graph_external(g, "page tables", &fj_i32, FJ_SEQS, fj_shape_2(s->seqs, s->pages_per_seq));
        b->cache = fj_graph_external(g, "cache", &fj_u8, FJ_FIXED, fj_shape_1(1));
        b->layout = s->cache;
        b->slots = fj_graph_external(g, "slots of states", &fj_i32, FJ_SEQS, fj_shape_1(s->seqs));
        b->states = fj_graph_external(g, "states", &fj_f32, FJ_FIXED, fj_shape_1(1));
    }
}

/* A value that learns, the same one each time the tensor is asked for. */
static fj_value *parameter(fj_build *b, const fj_weight *w, const fj_lora *l, bool is_b, fj_shape shape)
{
    for (int i = 0; i < b->n_params; i++)
        if (b->params[i].weight == w && b->params[i].lora == l && b->params[i].is_b == is_b)
            return b->params[i].value;
    if (b->n_params == b->cap_params) {
        int cap = b->cap_params ? 2 * b->cap_params : 64;
        fj_parameter *grown = fj_arena_array(b->g->arena, (size_t)cap, sizeof *grown);
        fj_assert(grown);
        if (b->n_params)
            memcpy(grown, b->params, (size_t)b->n_params * sizeof *grown);
        b->params = grown;
        b->cap_params = cap;
    }
    fj_parameter *p = &b->params[b->n_params++];
    const char *name = w ? w->name : l->weight->name;
    *p = (fj_parameter){ .weight = w, .lora = l, .is_b = is_b };
    p->value = b->trains_bf16 ? fj_graph_parameter_bf16(b->g, name, shape, shape.rank == 1 || w->role->is_f32)
                              : fj_graph_parameter(b->g, name, shape);
    return p->value;
}

fj_value *fj_build_weight(fj_build *b, const fj_weight *w)
{
    if (!w)
        return NULL;
    bool learns = b->trains_weights && (!b->learns || b->learns[w - b->m->weights]);
    return learns ? parameter(b, w, NULL, false, w->shape) : fj_graph_weight(b->g, w);
}

fj_value *fj_build_lora_half(fj_build *b, const fj_lora *l, bool is_b)
{
    fj_shape shape = fj_lora_shape(l, is_b);
    if (l->weight->shape.rank == 3)
        shape = (fj_shape){ 3, { fj_lora_experts(l), shape.dim[0], shape.dim[1] } };
    if (b->trains_adapter)
        return parameter(b, NULL, l, is_b, shape);
    fj_value *v = fj_graph_external(b->g, l->weight->name, &fj_f32, FJ_FIXED, shape);
    v->data = is_b ? l->b : l->a;
    return v;
}

static fj_value *table_of(fj_build *b, const fj_rope_of_model *r)
{
    return fj_rope_table(b->g, b->pos, r->inverse, b->m->hp.d_rope, r->mscale);
}

static void add_positions(fj_build *b, int64_t length)
{
    const fj_model *m = b->m;
    bool is_long = m->rope_long.inverse && (double)length > m->hp.rope_original;
    if (!m->hp.d_rope)
        return;
    b->rope = table_of(b, is_long ? &m->rope_long : &m->rope);
    b->rope_local = m->rope_local.inverse ? table_of(b, &m->rope_local) : b->rope;
}

static fj_value *embed(fj_build *b)
{
    double scale = b->m->hp.embd_scale;
    fj_value *x = fj_embed(b->g, b->ids, fj_build_need(b, &fj_role_token_embd, -1));
    return scale > 0 ? fj_scale(b->g, x, scale) : x;
}

fj_value *fj_build_hidden(fj_build *b, int layers)
{
    const fj_family *family = b->m->family;
    int n = (int)b->m->hp.n_layers;
    bool is_whole = layers < 0 || layers >= n;
    add_positions(b, b->length);
    fj_value *x = family->embed ? family->embed(b) : embed(b);
    for (int layer = 0; layer < (is_whole ? n : layers); layer++) {
        b->g->layer = layer;
        x = family->block(b, x, layer);
    }
    b->g->layer = -1;
    if (b->select)
        x = fj_select_rows(b->g, x, b->select);
    return is_whole ? fj_block_norm(b, x, &fj_role_output_norm, -1) : x;
}

static fj_head head_of(fj_build *b)
{
    const fj_hparams *hp = &b->m->hp;
    fj_head head = { .w = fj_build_weight(b, fj_model_head(b->m)) };
    if (hp->n_labels) /* scores are as they come */
        return head;
    head.bias = fj_build_weight(b, fj_model_weight(b->m, &fj_role_output, -1, true));
    head.scale = hp->logit_scale;
    head.softcap = hp->logit_softcap;
    return head;
}

/* Each step of the way is external and lies where the last one does: rows of a vocabulary are not to be had twice. */
static fj_value *outside(fj_build *b, fj_value *v)
{
    v->place = FJ_EXTERNAL;
    b->logits[b->n_logits++] = v;
    return v;
}

fj_value *fj_build_logits(fj_build *b, fj_value *hidden)
{
    fj_head head = head_of(b);
    fj_value *y;
    b->n_logits = 0;
    fj_linear(b->g, hidden, &head.w, &head.bias, 1, &y);
    y = outside(b, y);
    if (head.scale != 0 && head.scale != 1)
        y = outside(b, fj_scale(b->g, y, head.scale));
    return head.softcap > 0 ? outside(b, fj_softcap(b->g, y, head.softcap)) : y;
}

void fj_build_bind_logits(fj_build *b, float *data)
{
    for (int i = 0; i < b->n_logits; i++)
        b->logits[i]->data = data;
}

fj_value *fj_build_balance(fj_build *b, fj_value *weight)
{
    return b->load ? fj_balance_loss(b->g, b->load, weight, b->m->hp.n_experts_used) : NULL;
}

fj_value *fj_build_loss(fj_build *b, fj_value *hidden, fj_value *labels, fj_value *weights)
{
    fj_head head = head_of(b);
    return fj_head_loss(b->g, hidden, &head, labels, weights);
}
