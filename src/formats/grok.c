/* SPDX-License-Identifier: Apache-2.0
 * Grok-1 as xAI released it: a folder of pickles tensorNNNNN_000, the leaves of JAX's tree in the order of their names:
 *
 *   0           embedding (V,D)
 *   1           last norm (D)
 *   2 + 12 p …  of the layer at place p, where layers are sorted as texts (0 1 10 11 … 2 20 …): experts' linear (E,D,F), linear_1
 *               (E,F,D), linear_v (E,D,F); attention's key (D,KV), linear (Q,D), query (D,Q), value (D,KV); four norms (D); router (D,E)
 *
 * Matrices are (in, out), and most are QuantizedWeight8bit: int8 weights times scales, each for a block of the matrix. The release
 * computes with that product in the scales' type, and so do we. Tensors get the names of the conversion that forja knows as grok. Rows
 * of scaled and of turned ones are made when they are asked for; the router, which is small, is a private copy. Source: xai-org/grok-1, checkpoint.py, model.py (Linear, MoELayer, TRANSFORMER_PARTITION_RULES). */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "formats/formats.h"
#include "formats/pickle.h"
#include "formats/shards.h"

enum { OUTSIDE = 2, A_LAYER = 12, MAX_LAYERS = 512, D_HEAD = 128 };

typedef struct place {
    const char *name; /* {} is the layer, {e} the expert */
    int rank;         /* of the stored tensor */
    bool is_turned, is_small;
} place;

#define LAYER "transformer.decoder_layer.%lld."
static const place outside[OUTSIDE] = { { .name = "transformer.in_out_embed.weight", .rank = 2 },
                                        { .name = "transformer.rms_norm.weight", .rank = 1 } };
static const place in_layer[A_LAYER] = {
    { "moe.%lld.linear.weight", 3, .is_turned = true },
    { "moe.%lld.linear_1.weight", 3, .is_turned = true },
    { "moe.%lld.linear_v.weight", 3, .is_turned = true },
    { "multi_head_attention.key.weight", 2, .is_turned = true },
    { "multi_head_attention.linear.weight", 2, .is_turned = true },
    { "multi_head_attention.query.weight", 2, .is_turned = true },
    { "multi_head_attention.value.weight", 2, .is_turned = true },
    { .name = "rms_norm.weight", .rank = 1 },
    { .name = "rms_norm_1.weight", .rank = 1 },
    { .name = "rms_norm_2.weight", .rank = 1 },
    { .name = "rms_norm_3.weight", .rank = 1 },
    { "router.weight", 2, .is_turned = true, .is_small = true },
};

typedef struct content {
    fj_tensor weight, scales; /* scales.dtype NULL: the weight is what it is */
} content;

/* ---- arrays of numpy in pickles -------------------------------------------------------------------------------------------------- */

static const char *const quantized[] = { "__main__.QuantizedWeight8bit", "model.QuantizedWeight8bit" };
static const char *const reconstruct[] = { "numpy.core.multiarray._reconstruct",
                                           "numpy._core.multiarray._reconstruct" };
static const char *const from_buffer[] = { "numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer" };
static const char *const others[] = { "numpy.ndarray", "numpy.dtype", "ml_dtypes.bfloat16" };

static bool is_allowed(const char *global)
{
    bool found = false;
    for (size_t i = 0; i < FJ_LEN(others); i++)
        found |= !strcmp(others[i], global);
    for (size_t i = 0; i < 2; i++)
        found |= !strcmp(quantized[i], global) || !strcmp(reconstruct[i], global) || !strcmp(from_buffer[i], global);
    return found;
}

static bool calls_one(const fj_pickle *v, const char *const two[2])
{
    return fj_pickle_calls(v, two[0]) || fj_pickle_calls(v, two[1]);
}

/* numpy.dtype("i1", …) or of the type bfloat16. */
static const fj_dtype *dtype_of(const fj_pickle *v)
{
    static const struct {
        const char *name;
        const fj_dtype *dtype;
    } names[] = { { "i1", &fj_i8 },
                  { "f4", &fj_f32 },
                  { "f2", &fj_f16 },
                  { "bfloat16", &fj_bf16 },
                  { "ml_dtypes.bfloat16", &fj_bf16 } };
    const fj_pickle *name = fj_pickle_calls(v, "numpy.dtype") ? fj_pickle_at(v->items[1], 0) : NULL;
    const fj_pickle *order = name && v->n > 2 ? fj_pickle_at(v->items[2], 1) : NULL;
    if (!name || (order && order->kind == FJ_PICKLE_TEXT && fj_text_is(order->text, ">")))
        return NULL;
    for (size_t i = 0; i < FJ_LEN(names); i++)
        if ((name->kind == FJ_PICKLE_TEXT || name->kind == FJ_PICKLE_GLOBAL) && fj_text_is(name->text, names[i].name))
            return names[i].dtype;
    return NULL;
}

/* An array in C's order. Either _reconstruct with a state (version, shape, dtype, Fortran, bytes), or _frombuffer(bytes, dtype, shape, order). */
static fj_status read_array(const char *file, const fj_pickle *v, fj_tensor *out, fj_err *err)
{
    bool is_state = calls_one(v, reconstruct) && v->n > 2, is_buffer = calls_one(v, from_buffer);
    const fj_pickle *args = is_state ? v->items[2] : is_buffer ? v->items[1] : NULL;
    const fj_pickle *shape = fj_pickle_at(args, is_state ? 1 : 2), *dtype = fj_pickle_at(args, is_state ? 2 : 1);
    const fj_pickle *order = fj_pickle_at(args, 3), *bytes = fj_pickle_at(args, is_state ? 4 : 0);
    int64_t n = 1;
    size_t wanted;
    if (!shape || shape->kind != FJ_PICKLE_TUPLE || shape->n > FJ_MAX_RANK || !dtype || !order || !bytes ||
        bytes->kind != FJ_PICKLE_BYTES)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: not an array of numpy, nor a QuantizedWeight8bit of two", file);
    if (is_state ? order->number != 0 : order->kind != FJ_PICKLE_TEXT || !fj_text_is(order->text, "C"))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: an array in Fortran's order", file);
    *out = (fj_tensor){ .dtype = dtype_of(dtype), .data = bytes->text.data, .bytes = bytes->text.len };
    if (!out->dtype)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: an array of a type that is not read", file);
    out->shape.rank = (int)shape->n;
    for (size_t i = 0; i < shape->n; i++) {
        int64_t dim = shape->items[i]->kind == FJ_PICKLE_INT ? shape->items[i]->number : -1;
        if (dim < 1 || __builtin_mul_overflow(n, dim, &n))
            return fj_fail(err, FJ_ERR_FORMAT, "%s: an array whose shape is not one of whole numbers from 1", file);
        out->shape.dim[i] = dim;
    }
    if (!fj_dtype_bytes(out->dtype, n, &wanted) || wanted != out->bytes)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: an array of %zu bytes, its shape and type have more or fewer", file,
                       out->bytes);
    return FJ_OK;
}

/* Each scale is that of a block: its dimensions divide the weight's. */
static fj_status check_scales(const char *file, const content *c, fj_err *err)
{
    bool fits = c->scales.shape.rank == c->weight.shape.rank;
    for (int i = 0; fits && i < c->weight.shape.rank; i++)
        fits = c->weight.shape.dim[i] % c->scales.shape.dim[i] == 0;
    if (!fits)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: its scales do not divide its weight into blocks", file);
    if (c->weight.dtype != &fj_i8 || (c->scales.dtype != &fj_bf16 && c->scales.dtype != &fj_f32))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: %s weights with scales of type %s, wanted I8 with BF16 or F32", file,
                       c->weight.dtype->name, c->scales.dtype->name);
    return FJ_OK;
}

/* ---- one file -------------------------------------------------------------------------------------------------------------------- */

static fj_status read_file(fj_shard *s, fj_arena *arena, fj_err *err)
{
    fj_pickle_doc doc = { 0 };
    fj_cursor cursor = fj_cursor_over(s->data, s->len);
    content *c = s->header = fj_arena_take(arena, sizeof *c);
    if (!c)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", s->name);
    fj_status st = fj_pickle_read(&cursor, s->name, is_allowed, arena, &doc, err);
    if (st)
        return st;
    bool is_quantized = calls_one(doc.root, quantized) && doc.root->n > 2;
    const fj_pickle *state = is_quantized ? doc.root->items[2] : NULL;
    st = read_array(s->name, is_quantized ? fj_pickle_get(state, "weight") : doc.root, &c->weight, err);
    if (!st && is_quantized)
        st = read_array(s->name, fj_pickle_get(state, "scales"), &c->scales, err);
    if (!st && is_quantized)
        st = check_scales(s->name, c, err);
    if (!st && !is_quantized && !c->weight.dtype->is_float)
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: int8 weights without scales", s->name);
    s->n_most = c->weight.shape.rank == 3 ? (size_t)c->weight.shape.dim[0] : 1;
    return st;
}

static float value_at(const fj_tensor *t, int64_t i)
{
    uint32_t bits = 0;
    float x;
    if (t->dtype == &fj_i8)
        return ((const int8_t *)t->data)[i];
    if (t->dtype == &fj_f32) {
        memcpy(&x, (const char *)t->data + i * 4, 4);
        return x;
    }
    memcpy(&bits, (const char *)t->data + i * 2, 2); /* bf16 */
    bits <<= 16;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint16_t to_bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (x != x)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16); /* to the nearest, ties to even */
}

/* The numbers of a matrix (of expert e) and their scales. */
typedef struct matrix {
    fj_tensor weight, scales; /* scales.dtype NULL: there are none */
    int64_t rows, cols;       /* as stored: (in, out) where it is turned */
    int64_t block_rows, block_cols, scales_cols;
} matrix;

/* Matrix e of `n` that lie end to end in t, or in parts of equal numbers of them. */
static void take_matrix(fj_tensor *t, int64_t e, int64_t n)
{
    int64_t dim = t->shape.rank == 3 ? t->shape.dim[0] : 1;
    t->bytes /= (size_t)dim;
    t->data = (const unsigned char *)t->data + (size_t)(e / (n / dim)) * t->bytes;
}

static matrix matrix_of(const content *c, int64_t e)
{
    const fj_shape *w = &c->weight.shape, *s = &c->scales.shape;
    int64_t n = w->rank == 3 ? w->dim[0] : 1;
    matrix m = { .weight = c->weight, .scales = c->scales, .rows = w->dim[w->rank - 2], .cols = w->dim[w->rank - 1] };
    take_matrix(&m.weight, e, n);
    if (!c->scales.dtype)
        return m;
    take_matrix(&m.scales, e, n);
    m.scales_cols = s->dim[s->rank - 1];
    m.block_rows = m.rows / s->dim[s->rank - 2];
    m.block_cols = m.cols / m.scales_cols;
    return m;
}

/* Values [k0, k0+n) of stored row r, scaled, `step` bytes between them. */
static void put_values(const matrix *m, int64_t r, int64_t k0, int64_t n, size_t step, unsigned char *to)
{
    int64_t first = r * m->cols, end = k0 + n;
    if (!m->scales.dtype) {
        size_t size = (size_t)m->weight.dtype->block_bytes;
        for (int64_t k = k0; k < end; k++, to += step)
            memcpy(to, (const unsigned char *)m->weight.data + (size_t)(first + k) * size, size);
        return;
    }
    int64_t block = k0 / m->block_cols, scales = r / m->block_rows * m->scales_cols;
    for (int64_t k = k0; k < end; block++) {
        float scale = value_at(&m->scales, scales + block);
        for (int64_t stop = FJ_MIN(end, (block + 1) * m->block_cols); k < stop; k++, to += step) {
            float x = value_at(&m->weight, first + k) * scale;
            uint16_t half = to_bf16(x);
            if (m->scales.dtype == &fj_f32)
                memcpy(to, &x, sizeof x);
            else
                memcpy(to, &half, sizeof half);
        }
    }
}

/* Rows [row0, row0+n) of the matrix as it is shown. Of a turned one these are columns: they are gone through together, row by row. */
static void put_rows(const matrix *m, bool is_turned, const fj_dtype *dtype, int64_t row0, int64_t n,
                     unsigned char *out)
{
    size_t size = (size_t)dtype->block_bytes;
    for (int64_t i = 0; !is_turned && i < n; i++)
        put_values(m, row0 + i, 0, m->cols, size, out + (size_t)(i * m->cols) * size);
    for (int64_t r = 0; is_turned && r < m->rows; r++)
        put_values(m, r, row0, n, (size_t)m->rows * size, out + (size_t)r * size);
}

/* The layer at a place among n that are sorted as texts: behind 1 comes 10 if there is one, else 2. */
static int64_t layer_at(int64_t n, int64_t at)
{
    int64_t layer = 0;
    for (int64_t i = 0; i < at; i++) {
        if (layer && layer * 10 < n) {
            layer *= 10;
            continue;
        }
        while (layer % 10 == 9 || layer + 1 >= n)
            layer /= 10;
        layer++;
    }
    return layer;
}

static const place *place_of(const fj_shard *s)
{
    return s->number < OUTSIDE ? &outside[s->number] : &in_layer[(s->number - OUTSIDE) % A_LAYER];
}

/* What is shown: its type and shape, and its numbers where they lie as they are, or in a copy if there are few. */
static fj_status show(const content *c, const place *p, int64_t e, fj_arena *arena, fj_tensor *t, fj_err *err)
{
    if (p->rank == 1 || (!p->is_turned && !c->scales.dtype))
        return FJ_OK;
    matrix m = matrix_of(c, e);
    t->dtype = c->scales.dtype ? c->scales.dtype : c->weight.dtype;
    t->shape = p->is_turned ? fj_shape_2(m.cols, m.rows) : fj_shape_2(m.rows, m.cols);
    t->data = NULL;
    if (!fj_dtype_bytes(t->dtype, m.rows * m.cols, &t->bytes))
        return fj_fail(err, FJ_ERR_FORMAT, "a matrix of more bytes than can be counted");
    if (!p->is_small)
        return FJ_OK;
    unsigned char *copy = fj_arena_take(arena, t->bytes);
    if (!copy)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a matrix of %zu bytes", t->bytes);
    put_rows(&m, p->is_turned, t->dtype, 0, t->shape.dim[0], copy);
    t->data = copy;
    return FJ_OK;
}

static fj_status list(const fj_shard *s, fj_arena *arena, fj_index *index, fj_err *err)
{
    const content *c = s->header;
    const place *p = place_of(s);
    bool is_outside = s->number < OUTSIDE;
    int64_t layer = is_outside
                        ? 0
                        : layer_at((int64_t)(s->n_files - OUTSIDE) / A_LAYER, (int64_t)(s->number - OUTSIDE) / A_LAYER);
    const char *stem = is_outside ? "" : fj_arena_printf(arena, LAYER, (long long)layer);
    if (c->weight.shape.rank != p->rank)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: an array of %d dimensions, the tensor at this place has %d", s->name,
                       c->weight.shape.rank, p->rank);
    for (size_t e = 0; e < s->n_most; e++) {
        fj_tensor t = c->weight;
        const char *name = p->rank == 3 && stem ? fj_arena_printf(arena, p->name, (long long)e) : p->name;
        t.name = stem && name ? fj_arena_printf(arena, "%s%s", stem, name) : NULL;
        fj_status st = t.name ? show(c, p, (int64_t)e, arena, &t, err)
                              : fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", s->name);
        if (st)
            return st;
        if (!fj_index_add(index, &t))
            return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' is there twice", s->name, t.name);
    }
    return FJ_OK;
}

static void rows(const fj_shard *s, size_t i, const fj_tensor *t, int64_t row0, int64_t n, void *out)
{
    matrix m = matrix_of(s->header, (int64_t)i);
    put_rows(&m, place_of(s)->is_turned, t->dtype, row0, n, out);
}

static fj_text made_from(const fj_shard *s, size_t i)
{
    matrix m = matrix_of(s->header, (int64_t)i);
    return (fj_text){ m.weight.data, m.weight.bytes };
}

static const fj_shard_kind grok = { .read = read_file, .list = list, .rows = rows, .made_from = made_from };

/* ---- the folder ------------------------------------------------------------------------------------------------------------------ */

/* folder/[ckpt-0/]tensorNNNNN_000; NULL without memory. */
static char *path_of(const char *folder, const char *inner, size_t i)
{
    fj_str path = { 0 };
    fj_str_printf(&path, "%s%s/tensor%05zu_000", folder, inner, i);
    if (path.failed)
        fj_str_free(&path);
    return path.data;
}

static bool is_there(const char *folder, const char *inner, size_t i)
{
    char *path = path_of(folder, inner, i);
    bool found = path && fj_path_exists(path);
    free(path);
    return found;
}

/* Where the files lie; NULL when there are none. */
static const char *inner_folder(const char *folder)
{
    static const char *const names[] = { "/ckpt-0", "/ckpt", "" };
    for (size_t i = 0; i < FJ_LEN(names); i++)
        if (is_there(folder, names[i], 0))
            return names[i];
    return NULL;
}

bool fj_grok_in_folder(const char *folder)
{
    return inner_folder(folder) != NULL;
}

static int64_t dim(const fj_source *s, const char *name, int i)
{
    const fj_tensor *t = s->find(s, name);
    return t ? t->shape.dim[i] : 0;
}

/* The release has no configuration: what its program says, with the sizes that the tensors have. */
static fj_status describe(const fj_source *s, int64_t n_layers, fj_err *err)
{
    int64_t n_experts = dim(s, "transformer.decoder_layer.0.router.weight", 0);
    const struct {
        const char *key;
        int64_t value;
    } sizes[] = {
        { "vocab_size", dim(s, "transformer.in_out_embed.weight", 0) },
        { "hidden_size", dim(s, "transformer.in_out_embed.weight", 1) },
        { "intermediate_size", dim(s, "transformer.decoder_layer.0.moe.0.linear.weight", 0) },
        { "num_hidden_layers", n_layers },
        { "num_attention_heads", dim(s, "transformer.decoder_layer.0.multi_head_attention.query.weight", 0) / D_HEAD },
        { "num_key_value_heads", dim(s, "transformer.decoder_layer.0.multi_head_attention.key.weight", 0) / D_HEAD },
        { "head_dim", D_HEAD },
        { "max_position_embeddings", 8192 },
        { "num_local_experts", n_experts },
        { "num_experts_per_tok", 2 },
    };
    bool ok = fj_json_set(s->config, "model_type", fj_json_new_text("grok", 4));
    for (size_t i = 0; ok && i < FJ_LEN(sizes); i++)
        ok = fj_json_set(s->config, sizes[i].key, fj_json_new_int(sizes[i].value));
    ok = ok && fj_json_set(s->config, "rope_theta", fj_json_new_real(10000));
    return ok ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for a configuration");
}

fj_status fj_grok_open_bytes(const void *data, size_t len, size_t number, fj_source **out, fj_err *err)
{
    return fj_shards_open_bytes(&grok, data, len, number, OUTSIDE + A_LAYER, out, err);
}

fj_status fj_grok_open_folder(const char *folder, fj_json *config, bool *found, fj_source **out, fj_err *err)
{
    const char *inner = inner_folder(folder);
    size_t n = 0, most = OUTSIDE + A_LAYER * MAX_LAYERS;
    *found = inner != NULL;
    if (!inner)
        return FJ_OK;
    while (n <= most && is_there(folder, inner, n))
        n++;
    if (n > most || n < OUTSIDE + A_LAYER || (n - OUTSIDE) % A_LAYER) {
        (void)fj_fail(err, FJ_ERR_FORMAT, "%s%s: %zu tensors; Grok-1 has %d, and %d for each layer", folder, inner, n,
                      OUTSIDE, A_LAYER);
        return fj_hint(err, "the download is not complete; get all files of the model (770 for Grok-1)");
    }
    char **paths = calloc(n, sizeof(*paths));
    fj_status st = paths ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", folder);
    for (size_t i = 0; !st && i < n; i++) {
        paths[i] = path_of(folder, inner, i);
        if (!paths[i])
            st = fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", folder);
    }
    if (!st)
        st = fj_shards_open_files(&grok, folder, paths, n, config, out, err);
    for (size_t i = 0; paths && i < n; i++)
        free(paths[i]);
    free(paths);
    if (st || config)
        return st;
    st = describe(*out, (int64_t)(n - OUTSIDE) / A_LAYER, err);
    if (st) {
        (*out)->close(*out);
        *out = NULL;
    }
    return st;
}
