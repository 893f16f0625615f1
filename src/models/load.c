/* SPDX-License-Identifier: Apache-2.0
 * From a source's names to roles, every shape checked. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/config.h"
#include "models/model.h"

/* "model.layers.{}.x" with the layer's number; NULL without memory. */
static const char *name_of(fj_arena *arena, const char *pattern, int layer)
{
    const char *at = strstr(pattern, "{}");
    if (!at)
        return fj_arena_text(arena, pattern, strlen(pattern));
    return fj_arena_printf(arena, "%.*s%d%s", (int)(at - pattern), pattern, layer, at + 2);
}

static const fj_weight_row *row_of(const fj_model *m, const fj_weight *w)
{
    return m->rows[w - m->weights];
}

const char *fj_model_hf_name(const fj_model *m, const fj_weight *w)
{
    const fj_weight_row *row = row_of(m, w);
    return row->hf ? name_of(m->arena, row->hf, w->layer) : NULL;
}

const char *fj_model_gguf_name(const fj_model *m, const fj_weight *w)
{
    const char *name = name_of(m->arena, w->role->gguf, w->layer);
    return name ? fj_arena_printf(m->arena, "%s.%s", name, w->is_bias ? "bias" : "weight") : NULL;
}

bool fj_model_row_order(const fj_model *m, const fj_weight *w, int64_t *from)
{
    const fj_weight_row *row = row_of(m, w);
    if (m->naming != FJ_NAMING_GGUF || !row->gguf_rewrite)
        return false;
    row->gguf_rewrite->rows(&m->hp, w->shape.dim[0], from);
    return true;
}

static bool is_in_model(const fj_hparams *hp, const fj_weight_row *row, bool planned)
{
    if ((row->flags & FJ_TIED_OUTPUT) && hp->is_tied)
        return false;
    if ((row->flags & FJ_ATTN_BIAS) && !hp->has_attn_bias)
        return false;
    if ((row->flags & FJ_MLP_BIAS) && !hp->has_mlp_bias)
        return false;
    return !((row->flags & FJ_GGUF_ONLY) && planned);
}

static fj_shape shape_of(const fj_hparams *hp, const fj_weight_row *row)
{
    if (row->dim[1] == FJ_DIM_NONE)
        return fj_shape_1(fj_dim_size(hp, row->dim[0]));
    return fj_shape_2(fj_dim_size(hp, row->dim[0]), fj_dim_size(hp, row->dim[1]));
}

/* Kernels read f32 vectors, and scalar code reads f32 through aligned pointers: such tensors get a private copy. */
static fj_status widen(fj_model *m, fj_weight *w, fj_err *err)
{
    bool is_vector = w->shape.rank == 1;
    bool is_aligned = ((uintptr_t)w->data % (w->dtype == &fj_f32 ? 4 : w->dtype->block_len > 1 ? 1 : 2)) == 0;
    if ((!is_vector || w->dtype == &fj_f32) && is_aligned)
        return FJ_OK;
    int64_t n = fj_shape_count(&w->shape);
    size_t bytes = is_vector ? (size_t)n * sizeof(float) : w->stored->bytes;
    void *copy = fj_arena_take(m->arena, bytes);
    if (!copy)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a copy of '%s'", w->name);
    if (is_vector) {
        fj_quant_of(w->dtype)->decode(w->data, copy, n);
        w->dtype = &fj_f32;
    } else {
        memcpy(copy, w->data, bytes);
    }
    w->data = copy;
    return FJ_OK;
}

static fj_status attach(fj_model *m, fj_weight *w, const fj_tensor *t, fj_err *err)
{
    char got[96], wanted[96];
    if (!fj_shape_equal(&t->shape, &w->shape))
        return fj_fail(err, FJ_ERR_SHAPE, "%s: '%s' is %s, config says %s", m->source->path, t->name,
                       fj_shape_text(&t->shape, got), fj_shape_text(&w->shape, wanted));
    if (!t->dtype->is_float && !t->dtype->is_quantized)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' is of type %s, which is no type of weights", m->source->path,
                       t->name, t->dtype->name);
    if (t->shape.rank == 1 && fj_shape_count(&t->shape) % t->dtype->block_len)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' is a vector of type %s", m->source->path, t->name, t->dtype->name);
    w->stored = t;
    w->name = t->name;
    w->dtype = t->dtype;
    w->data = t->data;
    return widen(m, w, err);
}

static fj_status find(fj_model *m, fj_weight *w, const fj_weight_row *row, fj_err *err)
{
    const char *name = m->naming == FJ_NAMING_GGUF ? fj_model_gguf_name(m, w) : fj_model_hf_name(m, w);
    const fj_tensor *t = name ? m->source->find(m->source, name) : NULL;
    if (t)
        return attach(m, w, t, err);
    if (row->flags & FJ_GGUF_ONLY)
        return FJ_OK;
    (void)fj_fail(err, FJ_ERR_FORMAT, "%s: no tensor '%s'", m->source->path, name ? name : "?");
    return fj_hint(err, "the file is not complete, or its config.json belongs to another model");
}

/* Every tensor of the source must have been taken, or be one that files carry for nobody. */
static fj_status check_rest(const fj_model *m, fj_err *err)
{
    size_t n = m->source->count(m->source);
    bool *is_taken = calloc(n + 1, sizeof *is_taken);
    fj_status st = FJ_OK;
    if (!is_taken)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a list of %zu tensors", n);
    const fj_tensor *first = n ? m->source->at(m->source, 0) : NULL;
    for (int i = 0; i < m->n_weights; i++)
        if (m->weights[i].stored)
            is_taken[m->weights[i].stored - first] = true;
    for (size_t i = 0; i < n && !st; i++) {
        const fj_tensor *t = m->source->at(m->source, i);
        bool is_ignored = is_taken[t - first];
        for (const char *const *x = m->family->ignored; *x; x++)
            is_ignored |= strstr(t->name, *x) != NULL;
        if (m->hp.is_tied && m->naming == FJ_NAMING_HF && !strcmp(t->name, "lm_head.weight"))
            is_ignored = true; /* a stored copy of the tied head */
        if (!is_ignored) {
            st = fj_fail(err, FJ_ERR_FORMAT, "%s: tensor '%s' has no place in a %s model of this configuration",
                         m->source->path, t->name, m->family->name);
            (void)fj_hint(err, "config.json may belong to another model (layers %lld, tied head: %s)",
                          (long long)m->hp.n_layers, m->hp.is_tied ? "yes" : "no");
        }
    }
    free(is_taken);
    return st;
}

static int count_weights(const fj_model *m, bool planned)
{
    int n = 0;
    for (const fj_weight_row *row = m->family->weights; row->role; row++)
        n += is_in_model(&m->hp, row, planned) ? (row->role->in_layer ? (int)m->hp.n_layers : 1) : 0;
    return n;
}

static fj_status list_weights(fj_model *m, fj_err *err)
{
    bool planned = m->source == NULL || m->naming == FJ_NAMING_HF;
    int n = count_weights(m, planned), at = 0;
    m->weights = fj_arena_array(m->arena, (size_t)n, sizeof *m->weights);
    m->rows = fj_arena_array(m->arena, (size_t)n, sizeof *m->rows);
    if (!m->weights || !m->rows)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a list of %d weights", n);
    for (const fj_weight_row *row = m->family->weights; row->role; row++) {
        if (!is_in_model(&m->hp, row, planned))
            continue;
        for (int layer = 0; layer < (row->role->in_layer ? m->hp.n_layers : 1); layer++) {
            m->weights[at] = (fj_weight){ .name = row->role->name,
                                          .role = row->role,
                                          .layer = row->role->in_layer ? layer : -1,
                                          .is_bias = row->is_bias,
                                          .dtype = &fj_f32,
                                          .shape = shape_of(&m->hp, row) };
            m->rows[at++] = row;
        }
    }
    m->n_weights = at;
    return FJ_OK;
}

static fj_status set_rope(fj_model *m, fj_err *err)
{
    int64_t n = m->hp.d_head / 2;
    const fj_weight *divisors = fj_model_weight(m, &fj_role_rope_freqs, -1, false);
    m->rope_inverse = fj_arena_array(m->arena, (size_t)n, sizeof(float));
    if (!m->rope_inverse)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for %lld frequencies", (long long)n);
    fj_rope_inverse(&m->hp, divisors ? divisors->data : NULL, n, m->rope_inverse);
    return FJ_OK;
}

static fj_status new_model(const fj_json *config, const fj_source *source, fj_model **out, fj_err *err)
{
    const fj_family *family;
    fj_status st = fj_family_of(config, &family, err);
    if (st)
        return st;
    fj_arena *arena = fj_arena_new();
    fj_model *m = arena ? fj_arena_take(arena, sizeof *m) : NULL;
    if (!m) {
        fj_arena_free(arena);
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a model");
    }
    m->arena = arena;
    m->family = family;
    m->source = source;
    m->naming = source ? source->naming : FJ_NAMING_HF;
    *out = m;
    st = family->hparams(config, m->naming, &m->hp, err);
    if (st)
        return st;
    /* the rule that never fails: a head that is in the file is used, otherwise the embedding is */
    if (source && m->naming == FJ_NAMING_GGUF)
        m->hp.is_tied = source->find(source, "output.weight") == NULL;
    else if (source && !m->hp.is_tied)
        m->hp.is_tied = source->find(source, "lm_head.weight") == NULL;
    return list_weights(m, err);
}

fj_status fj_model_open(const fj_source *source, fj_model **out, fj_err *err)
{
    fj_model *m = NULL;
    fj_status st = new_model(source->config, source, &m, err);
    for (int i = 0; !st && i < m->n_weights; i++)
        st = find(m, &m->weights[i], m->rows[i], err);
    if (!st)
        st = check_rest(m, err);
    int kept = 0; /* optional weights that the file does not have leave the list */
    for (int i = 0; !st && i < m->n_weights; i++) {
        m->rows[kept] = m->rows[i];
        if (m->weights[i].data)
            m->weights[kept++] = m->weights[i];
    }
    if (!st) {
        m->n_weights = kept;
        st = set_rope(m, err);
    }
    if (st) {
        fj_model_free(m);
        return st;
    }
    *out = m;
    return FJ_OK;
}

fj_status fj_model_describe(const fj_json *config, const fj_dtype *dtype, fj_model **out, fj_err *err)
{
    fj_model *m = NULL;
    fj_status st = new_model(config, NULL, &m, err);
    if (!dtype) {
        const char *stored = fj_json_string(fj_json_get(config, "torch_dtype"),
                                            fj_json_string(fj_json_get(config, "dtype"), "bfloat16"));
        dtype = strstr(stored, "float32") ? &fj_f32 : strstr(stored, "bfloat16") ? &fj_bf16 : &fj_f16;
    }
    for (int i = 0; !st && i < m->n_weights; i++)
        if (m->weights[i].shape.rank == 2)
            m->weights[i].dtype = dtype;
    if (!st)
        st = set_rope(m, err);
    if (st) {
        fj_model_free(m);
        return st;
    }
    *out = m;
    return FJ_OK;
}

void fj_model_free(fj_model *m)
{
    if (!m)
        return;
    fj_buffer_close(&m->packed);
    fj_arena_free(m->arena);
}

const fj_weight *fj_model_weight(const fj_model *m, const fj_role *role, int layer, bool is_bias)
{
    for (int i = 0; i < m->n_weights; i++) {
        const fj_weight *w = &m->weights[i];
        if (w->role == role && w->layer == layer && w->is_bias == is_bias)
            return w;
    }
    return NULL;
}

const fj_weight *fj_model_head(const fj_model *m)
{
    const fj_weight *w = fj_model_weight(m, &fj_role_output, -1, false);
    return w ? w : fj_model_weight(m, &fj_role_token_embd, -1, false);
}

int64_t fj_model_parameters(const fj_model *m)
{
    int64_t n = 0;
    for (int i = 0; i < m->n_weights; i++)
        n += fj_shape_count(&m->weights[i].shape);
    return n;
}
