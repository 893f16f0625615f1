/* SPDX-License-Identifier: Apache-2.0
 * From a source's names to roles, every shape checked. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "models/config.h"
#include "models/fill.h"
#include "models/model.h"

/* A pattern with its first `mark` replaced by a number; NULL without memory. */
static const char *filled(fj_arena *arena, const char *pattern, const char *mark, int64_t number)
{
    const char *at = pattern ? strstr(pattern, mark) : NULL;
    if (!at)
        return pattern;
    return fj_arena_printf(arena, "%.*s%lld%s", (int)(at - pattern), pattern, (long long)number, at + strlen(mark));
}

/* "model.layers.{}.x" with the layer's number. */
static const char *name_of(fj_arena *arena, const char *pattern, int layer)
{
    const char *name = filled(arena, pattern, "{}", layer);
    return name ? fj_arena_text(arena, name, strlen(name)) : NULL;
}

static const fj_weight_row *row_of(const fj_model *m, const fj_weight *w)
{
    return m->rows[w - m->weights];
}

/* A row's name in the form that the file has: with the family's prefix or without. */
static const char *pattern_of(const fj_model *m, const fj_weight_row *row)
{
    const char *prefix = m->family->prefix;
    bool drops = m->has_no_prefix && prefix && !strncmp(row->hf, prefix, strlen(prefix));
    return drops ? row->hf + strlen(prefix) : row->hf;
}

const char *fj_model_hf_name(const fj_model *m, const fj_weight *w)
{
    const fj_weight_row *row = row_of(m, w);
    return row->hf ? name_of(m->arena, pattern_of(m, row), w->layer) : NULL;
}

int64_t fj_model_hf_count(const fj_model *m, const fj_weight *w)
{
    const fj_weight_row *row = row_of(m, w);
    return !row->hf ? 0 : strstr(row->hf, "{e}") ? w->shape.dim[0] : 1;
}

const char *fj_model_hf_part(const fj_model *m, const fj_weight *w, int64_t expert)
{
    return filled(m->arena, fj_model_hf_name(m, w), "{e}", expert);
}

fj_shape fj_model_hf_shape(const fj_model *m, const fj_weight *w)
{
    unsigned flags = row_of(m, w)->flags;
    fj_shape s = w->shape;
    int64_t *dim = s.dim + s.rank - 2, last = s.rank > 1 ? dim[1] : 0;
    if (flags & FJ_HF_TRANSPOSED) {
        dim[1] = dim[0];
        dim[0] = last;
    }
    if (flags & FJ_HF_CONV)
        return (fj_shape){ 3, { s.dim[0], 1, s.dim[1] } };
    if (s.rank == 3 && fj_model_hf_count(m, w) > 1)
        return fj_shape_2(s.dim[1], s.dim[2]);
    return flags & FJ_HF_STACKED ? fj_shape_2(s.dim[0] * s.dim[1], s.dim[2]) : s;
}

const char *fj_model_gguf_name(const fj_model *m, const fj_weight *w)
{
    const char *name = name_of(m->arena, w->role->gguf, w->layer);
    if (!name || w->role->is_bare)
        return name;
    return fj_arena_printf(m->arena, "%s.%s", name, w->is_bias ? "bias" : "weight");
}

bool fj_model_row_order(const fj_model *m, const fj_weight *w, int64_t *from)
{
    const fj_weight_row *row = row_of(m, w);
    if (m->naming != FJ_NAMING_GGUF || !row->gguf_rewrite || !row->gguf_rewrite->rows)
        return false;
    row->gguf_rewrite->rows(&m->hp, w->shape.dim[0], from);
    return true;
}

/* In place of the head of a model that classifies. */
static const fj_weight_row score_row = { &fj_role_score, "score.weight", { FJ_DIM_LABELS, FJ_DIM_MODEL } };

static bool is_in_model(const fj_hparams *hp, const fj_weight_row *row, bool planned)
{
    if (row->role == &fj_role_output && hp->n_labels)
        return false;
    if ((row->flags & FJ_TIED_OUTPUT) && hp->is_tied)
        return false;
    if (row->only_if && !row->only_if(hp))
        return false;
    return !((row->flags & FJ_GGUF_ONLY) && planned);
}

static fj_shape shape_of(const fj_hparams *hp, const fj_weight_row *row)
{
    fj_shape s = { 0 };
    while (s.rank < 3 && row->dim[s.rank] != FJ_DIM_NONE) {
        s.dim[s.rank] = fj_dim_size(hp, row->dim[s.rank]);
        s.rank++;
    }
    return s;
}

bool fj_model_is_transposed(const fj_model *m, const fj_weight *w)
{
    return (row_of(m, w)->flags & FJ_HF_TRANSPOSED) != 0;
}

/* A private copy of a matrix, or of each expert's, that the file has as (in, out). */
static fj_status turn(fj_model *m, fj_weight *w, fj_err *err)
{
    size_t size = (size_t)w->dtype->block_bytes;
    int64_t rows = w->shape.dim[w->shape.rank - 2], cols = fj_shape_cols(&w->shape), whole = rows * cols;
    int64_t n = fj_shape_count(&w->shape) / whole;
    unsigned char *copy = fj_arena_take(m->arena, w->stored->bytes);
    const unsigned char *from = w->data;
    if (!copy)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a copy of '%s'", w->name);
    for (int64_t e = 0; e < n; e++)
        for (int64_t r = 0; r < rows; r++)
            for (int64_t c = 0; c < cols; c++)
                memcpy(copy + (size_t)(e * whole + r * cols + c) * size,
                       from + (size_t)(e * whole + c * rows + r) * size, size);
    w->data = copy;
    m->source->give_back(m->source, w->stored);
    return FJ_OK;
}

/* Whether kernels can read numbers of this type where they lie. */
static bool is_aligned(const void *data, const fj_dtype *dtype)
{
    size_t step = dtype == &fj_f32 ? 4 : dtype->block_len > 1 ? 1 : 2;
    return (uintptr_t)data % step == 0;
}

/* Kernels read f32 vectors, and scalar code reads f32 through aligned pointers: such tensors get a private copy. */
static fj_status widen(fj_model *m, fj_weight *w, fj_err *err)
{
    bool is_vector = w->shape.rank == 1 || w->role->is_f32;
    if (!w->data) /* fj_model_fill */
        return FJ_OK;
    if ((!is_vector || w->dtype == &fj_f32) && is_aligned(w->data, w->dtype))
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

static fj_status check_tensor(const fj_model *m, const fj_tensor *t, const fj_shape *shape, bool is_turned, fj_err *err)
{
    char got[96], wanted[96];
    if (!fj_shape_equal(&t->shape, shape))
        return fj_fail(err, FJ_ERR_SHAPE, "%s: '%s' is %s, config says %s", m->source->path, t->name,
                       fj_shape_text(&t->shape, got), fj_shape_text(shape, wanted));
    if (!t->dtype->is_float && (!t->dtype->is_quantized || is_turned))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' is of type %s, which is no type of weights", m->source->path,
                       t->name, t->dtype->name);
    if (!t->data && (is_turned || shape->rank != 2))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' is quantized, which is not read in a matrix of this model",
                       m->source->path, t->name);
    if (t->shape.rank == 1 && fj_shape_count(&t->shape) % t->dtype->block_len)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' is a vector of type %s", m->source->path, t->name, t->dtype->name);
    return FJ_OK;
}

static fj_status attach(fj_model *m, fj_weight *w, const fj_tensor *t, fj_err *err)
{
    bool is_hf = m->naming == FJ_NAMING_HF, is_turned = is_hf && fj_model_is_transposed(m, w);
    fj_shape shape = is_hf ? fj_model_hf_shape(m, w) : w->shape;
    fj_status st = check_tensor(m, t, &shape, is_turned, err);
    if (st)
        return st;
    w->stored = t;
    w->name = t->name;
    w->dtype = t->dtype;
    w->data = t->data;
    return is_turned ? turn(m, w, err) : widen(m, w, err);
}

static void mark(fj_model *m, const fj_tensor *t)
{
    m->is_taken[t - m->source->at(m->source, 0)] = true;
}

/* A tensor whose numbers lie where kernels can read them: itself, or one with a private copy. */
static const fj_tensor *aligned(fj_model *m, const fj_tensor *t)
{
    if (is_aligned(t->data, t->dtype))
        return t;
    fj_tensor *copy = fj_arena_take(m->arena, sizeof *copy);
    void *data = fj_arena_take(m->arena, t->bytes);
    if (!copy || !data)
        return NULL;
    *copy = *t;
    copy->data = memcpy(data, t->data, t->bytes);
    return copy;
}

/* A tensor for each expert: Hugging Face's names, or those of GGUF files of 2023 ("blk.0.ffn_up.7.weight"). */
static fj_status attach_experts(fj_model *m, fj_weight *w, bool *found, fj_err *err)
{
    int64_t n = w->shape.dim[0];
    fj_shape shape = fj_shape_2(w->shape.dim[1], w->shape.dim[2]);
    const fj_tensor **parts = fj_arena_array(m->arena, (size_t)n, sizeof(fj_tensor *));
    size_t stem = strlen(w->role->gguf) - strlen("_exps");
    if (!parts)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a list of %lld experts", (long long)n);
    *found = false;
    for (int64_t e = 0; e < n; e++) {
        char old[128];
        (void)snprintf(old, sizeof old, "%.*s.%lld.weight", (int)stem, w->role->gguf, (long long)e);
        const char *name = m->naming == FJ_NAMING_GGUF ? name_of(m->arena, old, w->layer) : fj_model_hf_part(m, w, e);
        const fj_tensor *t = name ? m->source->find(m->source, name) : NULL;
        if (!t && e == 0)
            return FJ_OK;
        if (!t)
            return fj_fail(err, FJ_ERR_FORMAT, "%s: no tensor '%s'", m->source->path, name ? name : "?");
        fj_status st = check_tensor(m, t, &shape, false, err);
        if (st)
            return st;
        mark(m, t);
        parts[e] = aligned(m, t);
        if (!parts[e])
            return fj_fail(err, FJ_ERR_MEMORY, "no memory for a copy of '%s'", t->name);
        if (t->dtype != parts[0]->dtype)
            return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' is %s, its neighbours are %s", m->source->path, t->name,
                           t->dtype->name, parts[0]->dtype->name);
    }
    *found = true;
    w->stored = parts[0];
    w->name = parts[0]->name;
    w->dtype = parts[0]->dtype;
    w->parts = parts;
    return FJ_OK;
}

/* Rows of a matrix that older files have in one piece. */
static fj_status attach_part(fj_model *m, fj_weight *w, const fj_weight_row *row, bool *found, fj_err *err)
{
    const char *name = row->part_of ? name_of(m->arena, row->part_of->gguf, w->layer) : NULL;
    name = name ? fj_arena_printf(m->arena, "%s.%s", name, w->is_bias ? "bias" : "weight") : NULL;
    const fj_tensor *whole = name ? m->source->find(m->source, name) : NULL;
    int64_t first = fj_dim_size(&m->hp, row->part_after[0]) + fj_dim_size(&m->hp, row->part_after[1]);
    int64_t n = w->shape.dim[0];
    size_t stride = 0;
    *found = whole != NULL;
    if (!whole)
        return FJ_OK;
    fj_tensor *part = fj_arena_take(m->arena, sizeof *part);
    if (!part)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a part of '%s'", name);
    *part = *whole;
    bool fits = whole->shape.rank == w->shape.rank && first + n <= whole->shape.dim[0] &&
                fj_dtype_bytes(whole->dtype, whole->shape.rank == 1 ? 1 : fj_shape_cols(&whole->shape), &stride);
    if (fits) { /* else attach tells what is wrong */
        part->shape.dim[0] = n;
        part->data = (const unsigned char *)whole->data + (size_t)first * stride;
        part->bytes = (size_t)n * stride;
    }
    fj_status st = attach(m, w, part, err);
    w->stored = whole;
    mark(m, whole);
    return st;
}

static fj_status find(fj_model *m, fj_weight *w, const fj_weight_row *row, fj_err *err)
{
    bool is_gguf = m->naming == FJ_NAMING_GGUF, found = false;
    const char *name = is_gguf ? fj_model_gguf_name(m, w) : fj_model_hf_name(m, w);
    const fj_tensor *t = name ? m->source->find(m->source, name) : NULL;
    fj_status st = FJ_OK;
    if (t) {
        mark(m, t);
        return attach(m, w, t, err);
    }
    if (is_gguf)
        st = attach_part(m, w, row, &found, err);
    if (!st && !found && w->shape.rank == 3 && (is_gguf || fj_model_hf_count(m, w) != 1))
        st = attach_experts(m, w, &found, err);
    if (st || found || (row->flags & FJ_GGUF_ONLY))
        return st;
    if (!is_gguf)
        name = fj_model_hf_part(m, w, 0);
    (void)fj_fail(err, FJ_ERR_FORMAT, "%s: no tensor '%s'", m->source->path, name ? name : "?");
    return fj_hint(err, "the file is not complete, or its config.json belongs to another model");
}

/* The name of the head in Hugging Face form; NULL for a family whose embedding is always the head. */
static const char *hf_head(const fj_model *m)
{
    for (const fj_weight_row *row = m->family->weights; row->role; row++)
        if (row->role == &fj_role_output && !row->is_bias)
            return pattern_of(m, row);
    return NULL;
}

/* A bias of zeros that the family does not have: GPTQ's writers add them. */
static bool is_empty_bias(const fj_tensor *t)
{
    static const char end[] = ".bias";
    size_t n = strlen(t->name), k = sizeof end - 1, i = 0;
    if (n < k || strcmp(t->name + n - k, end) != 0 || !t->dtype->is_float || !t->data)
        return false;
    while (i < t->bytes && !((const unsigned char *)t->data)[i])
        i++;
    return i == t->bytes;
}

/* Every tensor of the source must have been taken, or be one that files carry for nobody. */
static fj_status check_rest(const fj_model *m, fj_err *err)
{
    size_t n = m->source->count(m->source);
    const char *head = hf_head(m);
    for (size_t i = 0; i < n; i++) {
        const fj_tensor *t = m->source->at(m->source, i);
        bool is_ignored = m->is_taken[i];
        for (const char *const *x = m->family->ignored; *x; x++)
            is_ignored |= strstr(t->name, *x) != NULL;
        if (m->hp.is_tied && m->naming == FJ_NAMING_HF && head && !strcmp(t->name, head))
            is_ignored = true; /* a stored copy of the tied head */
        is_ignored = is_ignored || is_empty_bias(t);
        if (is_ignored)
            continue;
        (void)fj_fail(err, FJ_ERR_FORMAT, "%s: tensor '%s' has no place in a %s model of this configuration",
                      m->source->path, t->name, m->family->name);
        return fj_hint(err, "config.json may belong to another model (layers %lld, tied head: %s)",
                       (long long)m->hp.n_layers, m->hp.is_tied ? "yes" : "no");
    }
    return FJ_OK;
}

static bool is_in_layer(const fj_hparams *hp, const fj_weight_row *row, int64_t layer)
{
    return !row->in_layers || row->in_layers(hp, layer);
}

static int copies_of(const fj_model *m, const fj_weight_row *row, bool planned)
{
    int n = 0;
    if (!is_in_model(&m->hp, row, planned))
        return 0;
    for (int64_t layer = 0; row->role->in_layer && layer < m->hp.n_layers; layer++)
        n += is_in_layer(&m->hp, row, layer);
    return row->role->in_layer ? n : 1;
}

static void add_weights(fj_model *m, const fj_weight_row *row, bool planned)
{
    int64_t layers = row->role->in_layer ? m->hp.n_layers : 1;
    for (int layer = 0; layer < layers && is_in_model(&m->hp, row, planned); layer++) {
        if (row->role->in_layer && !is_in_layer(&m->hp, row, layer))
            continue;
        m->weights[m->n_weights] = (fj_weight){ .name = row->role->name,
                                                .role = row->role,
                                                .layer = row->role->in_layer ? layer : -1,
                                                .is_bias = row->is_bias,
                                                .dtype = &fj_f32,
                                                .shape = shape_of(&m->hp, row) };
        m->rows[m->n_weights++] = row;
    }
}

static fj_status list_weights(fj_model *m, fj_err *err)
{
    bool planned = m->source == NULL || m->naming == FJ_NAMING_HF;
    int n = 1;
    for (const fj_weight_row *row = m->family->weights; row->role; row++)
        n += copies_of(m, row, planned);
    m->weights = fj_arena_array(m->arena, (size_t)n, sizeof *m->weights);
    m->rows = fj_arena_array(m->arena, (size_t)n, sizeof *m->rows);
    if (!m->weights || !m->rows)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a list of %d weights", n);
    for (const fj_weight_row *row = m->family->weights; row->role; row++)
        add_weights(m, row, planned);
    if (m->hp.n_labels)
        add_weights(m, &score_row, planned);
    return FJ_OK;
}

static float *take_floats(fj_model *m, int64_t n, fj_err *err)
{
    float *x = fj_arena_array(m->arena, (size_t)n, sizeof *x);
    if (!x)
        (void)fj_fail(err, FJ_ERR_MEMORY, "no memory for %lld frequencies", (long long)n);
    return x;
}

/* Frequencies and slopes. */
static fj_status set_positions(fj_model *m, fj_err *err)
{
    const fj_hparams *hp = &m->hp;
    const fj_weight *divisors = fj_model_weight(m, &fj_role_rope_freqs, -1, false);
    int64_t n = hp->d_rope / 2;
    float *main = take_floats(m, n, err), *far = take_floats(m, n, err), *local = take_floats(m, n, err),
          *slopes = take_floats(m, hp->n_heads, err);
    if (!main || !far || !local || !slopes)
        return err->status;
    fj_rope_inverse(hp, divisors ? divisors->data : NULL, n, main);
    m->rope = (fj_rope_of_model){ main, hp->rope_mscale > 0 ? hp->rope_mscale : 1 };
    if (hp->rope_kind == FJ_ROPE_LONG) {
        fj_rope_inverse_long(hp, n, far);
        m->rope_long = (fj_rope_of_model){ far, hp->rope_mscale_long };
    }
    if (hp->rope_theta_local > 0) {
        fj_rope_inverse_local(hp, n, local);
        m->rope_local = (fj_rope_of_model){ local, 1 };
    }
    if (hp->alibi > 0) {
        fj_alibi_slopes(hp, slopes);
        m->alibi = slopes;
    }
    return FJ_OK;
}

/* What a classifier's configuration says of its labels. */
static fj_status read_labels(const fj_json *config, fj_hparams *hp, fj_err *err)
{
    const char *class = fj_json_string(fj_json_at(fj_json_get(config, "architectures"), 0), "");
    size_t named = fj_json_len(fj_json_get(config, "id2label"));
    if (!strstr(class, "ForSequenceClassification"))
        return FJ_OK;
    hp->is_tied = false;
    return fj_config_count(config, "num_labels", named ? (int64_t)named : 2, 1 << 20, &hp->n_labels, err);
}

static fj_status read_hparams(fj_model *m, const fj_json *config, fj_err *err)
{
    fj_status st = m->family->hparams(config, m->naming, &m->hp, err);
    if (!st)
        st = fj_config_bool(config, "tie_word_embeddings", m->family->is_tied, &m->hp.is_tied, err);
    if (!st)
        st = read_labels(config, &m->hp, err);
    if (m->hp.attn_scale == 0)
        m->hp.attn_scale = 1.0 / sqrt((double)m->hp.d_head);
    return st;
}

/* Files of some families have no prefix, and the rule that never fails: a head that is in the file is used, otherwise the embedding
 * is. */
static void look_at_source(fj_model *m)
{
    const fj_source *s = m->source;
    const fj_weight_row *first = m->family->weights;
    const char *head = hf_head(m);
    if (m->naming == FJ_NAMING_GGUF) {
        m->hp.is_tied = s->find(s, "output.weight") == NULL;
        m->has_no_prefix = m->family->prefix && fj_json_bool(fj_json_get(s->config, "gguf_no_prefix"), false);
        return;
    }
    m->has_no_prefix = m->family->prefix && !s->find(s, first->hf);
    if (!m->hp.is_tied && !m->hp.n_labels)
        m->hp.is_tied = !head || s->find(s, head) == NULL;
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
    st = read_hparams(m, config, err);
    if (st)
        return st;
    if (source)
        look_at_source(m);
    return list_weights(m, err);
}

fj_status fj_model_open(const fj_source *source, fj_model **out, fj_err *err)
{
    fj_model *m = NULL;
    fj_status st = new_model(source->config, source, &m, err);
    if (!st) {
        m->is_taken = fj_arena_array(m->arena, source->count(source) + 1, sizeof *m->is_taken);
        if (!m->is_taken)
            st = fj_fail(err, FJ_ERR_MEMORY, "no memory for a list of %zu tensors", source->count(source));
    }
    for (int i = 0; !st && i < m->n_weights; i++)
        st = find(m, &m->weights[i], m->rows[i], err);
    if (!st)
        st = check_rest(m, err);
    int kept = 0; /* optional weights that the file does not have leave the list */
    for (int i = 0; !st && i < m->n_weights; i++) {
        m->rows[kept] = m->rows[i];
        if (m->weights[i].stored)
            m->weights[kept++] = m->weights[i];
    }
    if (!st) {
        m->n_weights = kept;
        st = fj_model_list_made(m, err);
    }
    if (!st)
        st = set_positions(m, err);
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
        if (m->weights[i].shape.rank > 1 && !m->weights[i].role->is_f32)
            m->weights[i].dtype = dtype;
    if (!st)
        st = set_positions(m, err);
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
    fj_buffer_close(&m->made);
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

fj_state_shape fj_model_state_shape(const fj_model *m)
{
    return (fj_state_shape){ fj_model_state_layer(m, m->hp.n_layers), m->hp.d_inner, m->hp.d_conv, m->hp.d_state };
}

int64_t fj_model_state_layer(const fj_model *m, int64_t layer)
{
    int64_t n = 0;
    for (int64_t i = 0; i < layer; i++)
        n += fj_layers_has(&m->hp.recurrent, i);
    return n;
}

const fj_weight *fj_model_head(const fj_model *m)
{
    const fj_weight *w = fj_model_weight(m, m->hp.n_labels ? &fj_role_score : &fj_role_output, -1, false);
    return w ? w : fj_model_weight(m, &fj_role_token_embd, -1, false);
}

int64_t fj_model_parameters(const fj_model *m)
{
    int64_t n = 0;
    for (int i = 0; i < m->n_weights; i++)
        n += fj_shape_count(&m->weights[i].shape);
    return n;
}
