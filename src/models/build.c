/* SPDX-License-Identifier: Apache-2.0
 * Graphs of models: the frame (inputs, embedding, blocks, head), and where parameters come in. */
#include "models/build.h"

#include <string.h>

#include "models/build_internal.h"

void fj_build_start(fj_build *b, const fj_build_sizes *s)
{
    fj_graph *g = b->g;
    b->ids = fj_graph_external(g, "ids", &fj_i32, FJ_ROWS, fj_shape_1(s->rows));
    b->pos = fj_graph_external(g, "positions", &fj_i32, FJ_ROWS, fj_shape_1(s->rows));
    b->tiles = fj_graph_external(g, "tiles", &fj_i32, FJ_TILES,
                                 fj_shape_2(s->tiles, sizeof(fj_tile) / sizeof(int32_t)));
    if (s->out_rows)
        b->select = fj_graph_external(g, "rows of the head", &fj_i32, FJ_OUT_ROWS, fj_shape_1(s->out_rows));
    if (b->is_cached) {
        b->tables = fj_graph_external(g, "page tables", &fj_i32, FJ_SEQS, fj_shape_2(s->seqs, s->pages_per_seq));
        b->cache = fj_graph_external(g, "cache", s->cache_dtype, FJ_FIXED, fj_shape_1(1));
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
    *p = (fj_parameter){
        .value = fj_graph_parameter(b->g, w ? w->name : l->weight->name, shape), .weight = w, .lora = l, .is_b = is_b
    };
    return p->value;
}

fj_value *fj_build_weight(fj_build *b, const fj_weight *w)
{
    if (!w)
        return NULL;
    return b->trains_weights ? parameter(b, w, NULL, false, w->shape) : fj_graph_weight(b->g, w);
}

fj_value *fj_build_lora_half(fj_build *b, const fj_lora *l, bool is_b)
{
    fj_shape shape = is_b ? fj_shape_2(l->weight->shape.dim[0], l->rank) : fj_shape_2(l->rank, l->weight->shape.dim[1]);
    if (b->trains_adapter)
        return parameter(b, NULL, l, is_b, shape);
    fj_value *v = fj_graph_external(b->g, l->weight->name, &fj_f32, FJ_FIXED, shape);
    v->data = is_b ? l->b : l->a;
    return v;
}

static fj_value *must_have(fj_build *b, const fj_role *role, int layer)
{
    const fj_weight *w = fj_model_weight(b->m, role, layer, false);
    fj_assert(w && "a family asks for a weight that its table does not have");
    return fj_build_weight(b, w);
}

fj_value *fj_build_head(fj_build *b)
{
    return fj_build_weight(b, fj_model_head(b->m));
}

fj_value *fj_block_norm(fj_build *b, fj_value *x, const fj_role *role, int layer)
{
    return fj_rms_norm(b->g, x, must_have(b, role, layer), b->m->hp.norm_eps, 0);
}

fj_value *fj_build_hidden(fj_build *b, int layers)
{
    const fj_hparams *hp = &b->m->hp;
    bool is_whole = layers < 0 || layers >= hp->n_layers;
    b->rope = fj_rope_table(b->g, b->pos, b->m->rope_inverse, hp->d_head, 1.0);
    fj_value *x = fj_embed(b->g, b->ids, must_have(b, &fj_role_token_embd, -1));
    for (int layer = 0; layer < (is_whole ? hp->n_layers : layers); layer++) {
        b->g->layer = layer;
        x = b->m->family->block(b, x, layer);
    }
    b->g->layer = -1;
    if (b->select)
        x = fj_select_rows(b->g, x, b->select);
    return is_whole ? fj_block_norm(b, x, &fj_role_output_norm, -1) : x;
}

fj_value *fj_build_logits(fj_build *b, fj_value *hidden)
{
    fj_value *logits = fj_head_logits(b->g, hidden, &(fj_head){ .w = fj_build_head(b) });
    logits->place = FJ_EXTERNAL;
    return logits;
}
