/* SPDX-License-Identifier: Apache-2.0
 * Nemotron-4 as Nvidia released it: a .nemo archive (tar), or the same unpacked in a folder:
 *
 *   model_config.yaml                   sizes; tokenizer: { model: nemo:FILE }
 *   FILE                                SentencePiece's
 *   model_weights/model.NAME/.zarray    arrays of Zarr; those of layers have the layer as their first dimension
 *   model_weights/model.NAME/3.0.0      chunks: slices, one for each layer and each card that it was trained on
 *
 * Tensors get the names of Hugging Face's nemotron. linear_qkv has, for each group of key heads, its query heads, then k, then v. What one
 * chunk holds whole is a view; rows of a matrix that is put together of several, or taken apart, are made when they are asked for; vectors,
 * and arrays that blosc packed, are private copies. Source: NVIDIA NeMo,
 * scripts/checkpoint_converters/convert_nemotron_nemo_to_hf.py; Megatron-LM, dist_checkpointing/strategies/zarr.py. */
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/yaml.h"
#include "formats/formats.h"
#include "formats/tar.h"
#include "formats/zarr.h"

enum { MAX_CONFIG = 1 << 20, MAX_LAYERS = 4096 };
#define CONFIG  "model_config.yaml"
#define WEIGHTS "model_weights/model."

typedef struct mapped {
    fj_map *map;
    struct mapped *next;
} mapped;

/* An array and the matrix in it that is looked at: rows and columns behind the layer, if it has layers. */
typedef struct slice {
    const char *name; /* of the array's folder */
    fj_zarr z;
    int lead; /* dimensions before the matrix: 0 or 1 */
    int64_t layer, rows, cols, chunk_rows, chunk_cols;
    bool is_vector;
} slice;

/* A matrix that is put together of plain chunks when its rows are asked for. */
typedef struct made {
    slice s;
    const unsigned char **chunks; /* row after row */
    int64_t heads, first,
        stride; /* of linear_qkv: so many heads, from the first, in each group of stride heads; 0: all rows in order */
    int64_t d_head;
} made;

typedef struct nemo {
    fj_source source;
    fj_arena *arena;
    bool is_tar;
    fj_index files; /* of a tar archive */
    mapped *maps;   /* of it, or of each file that was asked for */
    fj_index index;
    const made **made; /* of each tensor; NULL: it has data */
    fj_json *yaml;
    fj_text tokenizer;
    int64_t n_layers, n_heads, n_groups, d_head;
} nemo;

/* What becomes of an array. {} is the layer; those that are not there are left out: the model says what it lacks. */
static const struct {
    const char *nemo, *hf;
    bool is_qkv;
} names[] = {
    { "embedding.word_embeddings.weight", "model.embed_tokens.weight", false },
    { "decoder.final_layernorm.weight", "model.norm.weight", false },
    { "decoder.final_layernorm.bias", "model.norm.bias", false },
    { "output_layer.weight", "lm_head.weight", false },
    { "rm_head.weight", "score.weight", false },
    { "decoder.layers.self_attention.linear_qkv.layer_norm_weight", "model.layers.{}.input_layernorm.weight", false },
    { "decoder.layers.self_attention.linear_qkv.layer_norm_bias", "model.layers.{}.input_layernorm.bias", false },
    { "decoder.layers.input_layernorm.weight", "model.layers.{}.input_layernorm.weight", false },
    { "decoder.layers.input_layernorm.bias", "model.layers.{}.input_layernorm.bias", false },
    { "decoder.layers.self_attention.linear_qkv.weight", "model.layers.{}.self_attn.%c_proj.weight", true },
    { "decoder.layers.self_attention.linear_qkv.bias", "model.layers.{}.self_attn.%c_proj.bias", true },
    { "decoder.layers.self_attention.linear_proj.weight", "model.layers.{}.self_attn.o_proj.weight", false },
    { "decoder.layers.self_attention.linear_proj.bias", "model.layers.{}.self_attn.o_proj.bias", false },
    { "decoder.layers.mlp.linear_fc1.layer_norm_weight", "model.layers.{}.post_attention_layernorm.weight", false },
    { "decoder.layers.mlp.linear_fc1.layer_norm_bias", "model.layers.{}.post_attention_layernorm.bias", false },
    { "decoder.layers.pre_mlp_layernorm.weight", "model.layers.{}.post_attention_layernorm.weight", false },
    { "decoder.layers.pre_mlp_layernorm.bias", "model.layers.{}.post_attention_layernorm.bias", false },
    { "decoder.layers.mlp.linear_fc1.weight", "model.layers.{}.mlp.up_proj.weight", false },
    { "decoder.layers.mlp.linear_fc1.bias", "model.layers.{}.mlp.up_proj.bias", false },
    { "decoder.layers.mlp.linear_fc2.weight", "model.layers.{}.mlp.down_proj.weight", false },
    { "decoder.layers.mlp.linear_fc2.bias", "model.layers.{}.mlp.down_proj.bias", false },
};

/* ---- the source ------------------------------------------------------------------------------------------------------------------- */

static nemo *self(const fj_source *s)
{
    return (nemo *)(uintptr_t)s;
}

static size_t count(const fj_source *s)
{
    return self(s)->index.n;
}

static const fj_tensor *at(const fj_source *s, size_t i)
{
    return &self(s)->index.tensors[i];
}

static const fj_tensor *find(const fj_source *s, const char *name)
{
    return fj_index_find(&self(s)->index, name);
}

static int64_t across(const slice *s)
{
    return (s->cols - 1) / s->chunk_cols + 1;
}

static int64_t chunks_of(const slice *s)
{
    return ((s->rows - 1) / s->chunk_rows + 1) * across(s);
}

/* For the mapping that the bytes lie in; private copies lie in none. */
static void tell_map(const nemo *x, const void *bytes, size_t len, void (*what)(const fj_map *, size_t, size_t))
{
    for (const mapped *m = x->maps; m; m = m->next) {
        size_t offset = (size_t)((uintptr_t)bytes - (uintptr_t)m->map->data);
        if (offset < m->map->len) {
            what(m->map, offset, len);
            return;
        }
    }
}

static void tell(const fj_source *source, const fj_tensor *t, void (*what)(const fj_map *, size_t, size_t))
{
    const nemo *x = self(source);
    const made *m = t->data ? NULL : x->made[t - x->index.tensors];
    if (!m) {
        tell_map(x, t->data, t->bytes, what);
        return;
    }
    size_t len = (size_t)(m->s.chunk_rows * m->s.chunk_cols) * (size_t)m->s.z.dtype->block_bytes;
    for (int64_t i = 0; i < chunks_of(&m->s); i++)
        tell_map(x, m->chunks[i], len, what);
}

static void will_need(const fj_source *s, const fj_tensor *t)
{
    tell(s, t, fj_map_will_need);
}

static void give_back(const fj_source *s, const fj_tensor *t)
{
    tell(s, t, fj_map_give_back);
}

/* Where row r of what is shown lies in the array. */
static int64_t stored_row(const made *m, int64_t r)
{
    if (!m->heads)
        return r;
    int64_t head = r / m->d_head;
    return (head / m->heads * m->stride + m->first + head % m->heads) * m->d_head + r % m->d_head;
}

static void rows(const fj_source *source, const fj_tensor *t, int64_t row0, int64_t n, void *out)
{
    const made *m = self(source)->made[t - self(source)->index.tensors];
    const slice *s = &m->s;
    size_t size = (size_t)s->z.dtype->block_bytes, chunk_row = (size_t)s->chunk_cols * size;
    unsigned char *to = out;
    for (int64_t i = 0; i < n; i++) {
        int64_t r = stored_row(m, row0 + i), chunk = r / s->chunk_rows * across(s);
        for (int64_t k = 0; k < s->cols; k += s->chunk_cols, chunk++) {
            size_t bytes = (size_t)FJ_MIN(s->chunk_cols, s->cols - k) * size;
            memcpy(to, m->chunks[chunk] + (size_t)(r % s->chunk_rows) * chunk_row, bytes);
            to += bytes;
        }
    }
}

static fj_row_form form(const fj_source *s, const fj_tensor *t)
{
    (void)s;
    (void)t;
    return (fj_row_form){ 0 };
}

static void close_source(fj_source *s)
{
    nemo *x = self(s);
    for (mapped *m = x->maps; m; m = m->next)
        fj_map_close(m->map);
    fj_json_free(x->yaml);
    fj_json_free(x->source.config);
    fj_arena_free(x->arena);
}

static fj_status no_memory(const nemo *x, fj_err *err)
{
    return fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", x->source.path);
}

static fj_status new_source(const char *path, nemo **out, fj_err *err)
{
    fj_arena *arena = fj_arena_new();
    nemo *x = arena ? fj_arena_take(arena, sizeof *x) : NULL;
    if (!x) {
        fj_arena_free(arena);
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", path);
    }
    x->arena = arena;
    x->source = (fj_source){ .path = fj_arena_text(arena, path, strlen(path)),
                             .naming = FJ_NAMING_HF,
                             .config = fj_json_new_object(),
                             .count = count,
                             .at = at,
                             .find = find,
                             .will_need = will_need,
                             .give_back = give_back,
                             .close = close_source,
                             .rows = rows,
                             .form = form };
    *out = x;
    return x->source.path && x->source.config ? FJ_OK : no_memory(x, err);
}

/* ---- files ------------------------------------------------------------------------------------------------------------------------ */

static fj_status map_file(nemo *x, const char *path, fj_text *out, fj_err *err)
{
    mapped *m = fj_arena_take(x->arena, sizeof *m);
    if (!m)
        return no_memory(x, err);
    fj_status st = fj_map_open(path, &m->map, err);
    if (st)
        return st == FJ_ERR_FAILED ? (err->status = FJ_ERR_FORMAT) : st;
    m->next = x->maps;
    x->maps = m;
    *out = (fj_text){ (const char *)m->map->data, m->map->len };
    return FJ_OK;
}

/* A file of the archive or folder. *found false: it is not there, which is no error. */
static fj_status get(nemo *x, const char *name, fj_text *out, bool *found, fj_err *err)
{
    *found = false;
    if (x->is_tar) {
        const fj_tensor *file = fj_index_find(&x->files, name);
        *found = file != NULL;
        if (file)
            *out = (fj_text){ file->data, file->bytes };
        return FJ_OK;
    }
    char *path = fj_path_join(x->source.path, name);
    fj_status st = path ? FJ_OK : no_memory(x, err);
    *found = !st && fj_path_exists(path);
    if (*found)
        st = map_file(x, path, out, err);
    free(path);
    return st;
}

/* ---- configuration ---------------------------------------------------------------------------------------------------------------- */

static fj_status size_of(const nemo *x, const char *keys, int64_t fallback, int64_t *out, fj_err *err)
{
    const fj_json *v = fj_json_find(x->yaml, keys);
    *out = v ? fj_json_int(v, 0) : fallback;
    if (*out >= 1 && *out <= 1 << 24)
        return FJ_OK;
    return fj_fail(err, FJ_ERR_FORMAT, "%s: " CONFIG ": '%.*s' must be a whole number from 1 to %d", x->source.path,
                   (int)strcspn(keys, "|"), keys, 1 << 24);
}

static fj_status check_kind(const nemo *x, fj_err *err)
{
    static const char *const wanted[][3] = { { "normalization", "layernorm1p", "" },
                                             { "activation", "squared-relu", "" },
                                             { "position_embedding_type", "rope", "" } };
    for (size_t i = 0; i < FJ_LEN(wanted); i++) {
        const char *got = fj_json_string(fj_json_get(x->yaml, wanted[i][0]), "");
        if (strcmp(got, wanted[i][1]) != 0)
            return fj_fail(err, FJ_ERR_FORMAT,
                           "%s: " CONFIG ": '%s' is '%.50s'; of NeMo's models Nemotron is read, which has '%s'",
                           x->source.path, wanted[i][0], got, wanted[i][1]);
    }
    return FJ_OK;
}

static fj_status translate(nemo *x, fj_err *err)
{
    int64_t d_model = 0, d_ff = 0, n_ctx = 0;
    fj_status st = check_kind(x, err);
    if (!st)
        st = size_of(x, "num_layers", 0, &x->n_layers, err);
    if (!st && x->n_layers > MAX_LAYERS)
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: " CONFIG ": %lld layers, at most %d are read", x->source.path,
                     (long long)x->n_layers, MAX_LAYERS);
    if (!st)
        st = size_of(x, "hidden_size", 0, &d_model, err);
    if (!st)
        st = size_of(x, "ffn_hidden_size", 0, &d_ff, err);
    if (!st)
        st = size_of(x, "num_attention_heads", 0, &x->n_heads, err);
    if (!st)
        st = size_of(x, "num_query_groups", x->n_heads, &x->n_groups, err);
    if (!st)
        st = size_of(x, "kv_channels", d_model / x->n_heads, &x->d_head, err);
    if (!st)
        st = size_of(x, "max_position_embeddings|encoder_seq_length", 4096, &n_ctx, err);
    if (!st && x->n_heads % x->n_groups)
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: " CONFIG ": %lld heads in %lld groups", x->source.path,
                     (long long)x->n_heads, (long long)x->n_groups);
    if (st)
        return st;
    bool has_bias = fj_json_bool(fj_json_get(x->yaml, "bias"), false);
    const struct {
        const char *key;
        fj_json *value;
    } values[] = {
        { "model_type", fj_json_new_text("nemotron", 8) },
        { "hidden_size", fj_json_new_int(d_model) },
        { "intermediate_size", fj_json_new_int(d_ff) },
        { "num_hidden_layers", fj_json_new_int(x->n_layers) },
        { "num_attention_heads", fj_json_new_int(x->n_heads) },
        { "num_key_value_heads", fj_json_new_int(x->n_groups) },
        { "head_dim", fj_json_new_int(x->d_head) },
        { "max_position_embeddings", fj_json_new_int(n_ctx) },
        { "norm_eps", fj_json_new_real(fj_json_real(fj_json_get(x->yaml, "layernorm_epsilon"), 1e-5)) },
        { "partial_rotary_factor", fj_json_new_real(fj_json_real(fj_json_get(x->yaml, "rotary_percentage"), 1)) },
        { "rope_theta", fj_json_new_real(fj_json_real(fj_json_get(x->yaml, "rotary_base"), 10000)) },
        { "hidden_act", fj_json_new_text("relu2", 5) },
        { "attention_bias", fj_json_new_bool(has_bias) },
        { "mlp_bias", fj_json_new_bool(has_bias) },
        { "tie_word_embeddings",
          fj_json_new_bool(fj_json_bool(fj_json_get(x->yaml, "share_embeddings_and_output_weights"), true)) },
    };
    bool ok = true;
    for (size_t i = 0; i < FJ_LEN(values); i++)
        ok &= fj_json_set(x->source.config, values[i].key, values[i].value);
    return ok ? FJ_OK : no_memory(x, err);
}

/* The vocabulary is padded: the embedding tells its size. A reward model has a head of its own. */
static fj_status add_sizes(nemo *x, fj_err *err)
{
    const fj_tensor *embd = find(&x->source, "model.embed_tokens.weight"), *score = find(&x->source, "score.weight");
    if (!embd)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: no " WEIGHTS "%s/.zarray", x->source.path, names[0].nemo);
    const char *class = score ? "NemotronForSequenceClassification" : "NemotronForCausalLM";
    fj_json *list = fj_json_new_array();
    bool ok = fj_json_add(list, fj_json_new_text(class, strlen(class))) &&
              fj_json_set(x->source.config, "vocab_size", fj_json_new_int(embd->shape.dim[0]));
    if (ok && score)
        ok = fj_json_set(x->source.config, "num_labels", fj_json_new_int(score->shape.dim[0]));
    if (ok)
        ok = fj_json_set(x->source.config, "architectures", list);
    else
        fj_json_free(list);
    return ok ? FJ_OK : no_memory(x, err);
}

static fj_status read_config(nemo *x, fj_err *err)
{
    fj_text text = { 0 }, model;
    bool found;
    fj_status st = get(x, CONFIG, &text, &found, err);
    if (!st && !found)
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: no " CONFIG, x->source.path);
    if (!st && text.len > MAX_CONFIG)
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: " CONFIG " has %zu bytes, at most %d are read", x->source.path, text.len,
                     MAX_CONFIG);
    if (!st && fj_yaml_parse(text.data, text.len, CONFIG, &x->yaml, NULL, err)) {
        err->status = FJ_ERR_FORMAT;
        st = fj_prefix(err, "%s", x->source.path);
    }
    if (!st)
        st = translate(x, err);
    model = fj_json_text(fj_json_find(x->yaml, "tokenizer.model"));
    if (st || !fj_text_starts(model, "nemo:"))
        return st;
    const char *name = fj_arena_text(x->arena, model.data + 5, model.len - 5);
    if (!name)
        return no_memory(x, err);
    if (strpbrk(name, "/\\"))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: " CONFIG ": the tokenizer '%.100s' lies elsewhere", x->source.path,
                       name);
    st = get(x, name, &x->tokenizer, &found, err);
    if (!st && !found)
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: " CONFIG " names the tokenizer '%.100s', which is not there",
                     x->source.path, name);
    return st;
}

/* ---- arrays ----------------------------------------------------------------------------------------------------------------------- */

static fj_status fetch(nemo *x, const slice *s, int64_t i, int64_t k, unsigned char *room, const unsigned char **out,
                       fj_err *err)
{
    char layer[24] = "", row[24] = "";
    fj_text file = { 0 };
    bool found;
    if (s->lead)
        (void)snprintf(layer, sizeof layer, "%lld.", (long long)(s->layer / s->z.chunk.dim[0]));
    if (!s->is_vector)
        (void)snprintf(row, sizeof row, "%lld.", (long long)i);
    const char *name = fj_arena_printf(x->arena, "%s/%s%s%lld", s->name, layer, row, (long long)k);
    if (!name)
        return no_memory(x, err);
    fj_status st = get(x, name, &file, &found, err);
    if (!st && !found)
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: no %s, a chunk of the array beside it", x->source.path, name);
    if (!st && fj_zarr_chunk(&s->z, file, name, room, out, err))
        st = fj_prefix(err, "%s", x->source.path);
    size_t before = s->lead ? (size_t)(s->layer % s->z.chunk.dim[0]) * (s->z.chunk_bytes / (size_t)s->z.chunk.dim[0])
                            : 0;
    if (!st)
        *out += before;
    return st;
}

/* The whole matrix: a view where one plain chunk has it, else a copy of the arena's. */
static fj_status read_slice(nemo *x, const slice *s, const unsigned char **out, fj_err *err)
{
    size_t size = (size_t)s->z.dtype->block_bytes, row_bytes = (size_t)s->cols * size;
    unsigned char *room = NULL, *copy = NULL;
    const unsigned char *chunk;
    fj_status st = FJ_OK;
    if (s->z.is_blosc) {
        room = malloc(s->z.chunk_bytes);
        st = room ? FJ_OK : no_memory(x, err);
    } else if (s->chunk_rows >= s->rows && s->chunk_cols == s->cols) {
        return fetch(x, s, 0, 0, NULL, out, err);
    }
    for (int pass = 0; !st && pass < 2; pass++) { /* all chunks are looked at before there is room for them */
        for (int64_t i = 0; !st && i * s->chunk_rows < s->rows; i++)
            for (int64_t k = 0; !st && k * s->chunk_cols < s->cols; k++) {
                int64_t r = FJ_MIN(s->chunk_rows, s->rows - i * s->chunk_rows),
                        n = FJ_MIN(s->chunk_cols, s->cols - k * s->chunk_cols);
                st = fetch(x, s, i, k, room, &chunk, err);
                for (int64_t row = 0; !st && pass && row < r; row++)
                    memcpy(copy + (size_t)(i * s->chunk_rows + row) * row_bytes + (size_t)(k * s->chunk_cols) * size,
                           chunk + (size_t)(row * s->chunk_cols) * size, (size_t)n * size);
            }
        if (!st && !pass) {
            copy = fj_arena_take(x->arena, (size_t)s->rows * row_bytes);
            st = copy ? FJ_OK : no_memory(x, err);
        }
    }
    free(room);
    *out = copy;
    return st;
}

/* data NULL: how has its rows. */
static fj_status add_tensor(nemo *x, const slice *s, const char *name, const void *data, int64_t n, const made *how,
                            fj_err *err)
{
    fj_tensor t = { .name = name, .dtype = s->z.dtype, .data = data };
    t.shape = s->is_vector ? fj_shape_1(s->cols) : fj_shape_2(n, s->cols);
    t.bytes = (size_t)(s->is_vector ? s->cols : n * s->cols) * (size_t)s->z.dtype->block_bytes;
    if (!name || (!data && !how))
        return no_memory(x, err);
    x->made[x->index.n] = data ? NULL : how;
    if (!fj_index_add(&x->index, &t))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.100s' is there twice", x->source.path, name);
    return FJ_OK;
}

/* Rows of linear_qkv to q, k and v: the heads of each in order, a copy where whole has the values (a bias is a matrix of one column then),
 * else rows that are made of chunks. */
static fj_status add_qkv(nemo *x, const slice *s, const char *pattern, const unsigned char *whole,
                         const unsigned char **chunks, fj_err *err)
{
    int64_t per_group = x->n_heads / x->n_groups, values = s->is_vector ? s->cols : s->rows;
    size_t row = (s->is_vector ? 1 : (size_t)s->cols) * (size_t)s->z.dtype->block_bytes;
    if (values != (x->n_heads + 2 * x->n_groups) * x->d_head)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: %s has %lld rows, " CONFIG " says %lld", x->source.path, s->name,
                       (long long)values, (long long)((x->n_heads + 2 * x->n_groups) * x->d_head));
    for (int part = 0; part < 3; part++) {
        made how = { *s, chunks, part ? 1 : per_group, part ? per_group + part - 1 : 0, per_group + 2, x->d_head };
        int64_t n = how.heads * x->n_groups * x->d_head;
        unsigned char *copy = whole ? fj_arena_take(x->arena, (size_t)n * row) : NULL;
        made *kept = fj_arena_take(x->arena, sizeof *kept);
        if ((whole && !copy) || !kept)
            return no_memory(x, err);
        *kept = how;
        for (int64_t r = 0; copy && r < n; r++)
            memcpy(copy + (size_t)r * row, whole + (size_t)stored_row(&how, r) * row, row);
        slice one = *s;
        one.cols = s->is_vector ? n : s->cols;
        const char *mark = strstr(pattern, "%c");
        fj_status st = add_tensor(
            x, &one, fj_arena_printf(x->arena, "%.*s%c%s", (int)(mark - pattern), pattern, "qkv"[part], mark + 2), copy,
            n, kept, err);
        if (st)
            return st;
    }
    return FJ_OK;
}

/* Its chunks, where they lie. */
static fj_status find_chunks(nemo *x, const slice *s, const unsigned char ***out, fj_err *err)
{
    const unsigned char **chunks = NULL, *chunk = NULL;
    fj_status st = FJ_OK;
    for (int pass = 0; !st && pass < 2; pass++) { /* all are looked at before there is room for a list */
        for (int64_t i = 0; !st && i < chunks_of(s); i++) {
            st = fetch(x, s, i / across(s), i % across(s), NULL, &chunk, err);
            if (pass)
                chunks[i] = chunk;
        }
        if (!st && !pass) {
            chunks = fj_arena_array(x->arena, (size_t)chunks_of(s), sizeof *chunks);
            st = chunks ? FJ_OK : no_memory(x, err);
        }
    }
    *out = chunks;
    return st;
}

static fj_status add_slice(nemo *x, const slice *s, const char *name, bool is_qkv, fj_err *err)
{
    const unsigned char *whole = NULL, **chunks = NULL;
    bool is_one = s->chunk_rows >= s->rows && s->chunk_cols == s->cols;
    bool is_made = !s->is_vector && !s->z.is_blosc && (is_qkv || !is_one);
    fj_status st = is_made ? find_chunks(x, s, &chunks, err) : read_slice(x, s, &whole, err);
    if (st || is_qkv)
        return st ? st : add_qkv(x, s, name, whole, chunks, err);
    made *how = fj_arena_take(x->arena, sizeof *how);
    if (how)
        *how = (made){ .s = *s, .chunks = chunks };
    return add_tensor(x, s, name, whole, s->rows, how, err);
}

static fj_status open_array(nemo *x, const char *name, bool has_layers, slice *s, bool *found, fj_err *err)
{
    fj_text json = { 0 };
    char file[160];
    *s = (slice){ .name = fj_arena_printf(x->arena, WEIGHTS "%s", name), .lead = has_layers };
    (void)snprintf(file, sizeof file, WEIGHTS "%s/.zarray", name);
    fj_status st = s->name ? get(x, file, &json, found, err) : no_memory(x, err);
    if (st || !*found)
        return st;
    st = fj_zarr_describe(json, file, &s->z, err);
    if (st)
        return fj_prefix(err, "%s", x->source.path);
    const fj_shape *shape = &s->z.shape, *chunk = &s->z.chunk;
    int rank = shape->rank - s->lead;
    if (rank < 1 || rank > 2 || (s->lead && shape->dim[0] != x->n_layers))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: %s has %d dimensions, the first %lld; " CONFIG " says %lld layers",
                       x->source.path, file, shape->rank, (long long)shape->dim[0], (long long)x->n_layers);
    s->is_vector = rank == 1;
    s->rows = s->is_vector ? 1 : shape->dim[s->lead];
    s->chunk_rows = s->is_vector ? 1 : chunk->dim[s->lead];
    s->cols = shape->dim[shape->rank - 1];
    s->chunk_cols = chunk->dim[chunk->rank - 1];
    return FJ_OK;
}

/* "model.layers.{}.x" with the layer's number. */
static const char *with_layer(nemo *x, const char *pattern, int64_t layer)
{
    const char *mark = strstr(pattern, "{}");
    if (!mark)
        return pattern;
    return fj_arena_printf(x->arena, "%.*s%lld%s", (int)(mark - pattern), pattern, (long long)layer, mark + 2);
}

static fj_status add_array(nemo *x, size_t i, fj_err *err)
{
    slice s;
    bool found = false, has_layers = strstr(names[i].hf, "{}") != NULL;
    fj_status st = open_array(x, names[i].nemo, has_layers, &s, &found, err);
    for (s.layer = 0; !st && found && s.layer < (has_layers ? x->n_layers : 1); s.layer++) {
        const char *name = with_layer(x, names[i].hf, s.layer);
        st = name ? add_slice(x, &s, name, names[i].is_qkv, err) : no_memory(x, err);
    }
    return st;
}

/* ---- opening ---------------------------------------------------------------------------------------------------------------------- */

static fj_status open_all(nemo *x, fj_status st, bool with_weights, fj_source **out, fj_err *err)
{
    if (!st)
        st = read_config(x, err);
    size_t most = (FJ_LEN(names) + 4) * (size_t)x->n_layers; /* of two come three each */
    if (!st && fj_index_init(&x->index, x->arena, most))
        x->made = fj_arena_array(x->arena, most, sizeof *x->made);
    if (!st && !x->made)
        st = no_memory(x, err);
    for (size_t i = 0; !st && with_weights && i < FJ_LEN(names); i++)
        st = add_array(x, i, err);
    if (!st && with_weights)
        st = add_sizes(x, err);
    if (st)
        close_source(&x->source);
    else
        *out = &x->source;
    return st;
}

fj_status fj_nemo_open(const char *path, bool with_weights, fj_source **out, fj_err *err)
{
    nemo *x = NULL;
    fj_text file = { 0 };
    fj_status st = new_source(path, &x, err);
    if (!x)
        return st;
    x->is_tar = !fj_path_is_dir(path);
    if (!st && x->is_tar)
        st = map_file(x, path, &file, err);
    if (!st && x->is_tar)
        st = fj_tar_list(file.data, file.len, x->source.path, x->arena, &x->files, err);
    return open_all(x, st, with_weights, out, err);
}

fj_status fj_nemo_open_bytes(const void *data, size_t len, fj_source **out, fj_err *err)
{
    nemo *x = NULL;
    fj_status st = new_source("(memory)", &x, err);
    if (!x)
        return st;
    x->is_tar = true;
    if (!st)
        st = fj_tar_list(data, len, "(memory)", x->arena, &x->files, err);
    return open_all(x, st, true, out, err);
}

fj_text fj_nemo_tokenizer(const fj_source *s)
{
    return self(s)->tokenizer;
}

bool fj_is_nemo(const char *path)
{
    static const char suffix[] = ".nemo";
    size_t n = strlen(path), k = sizeof suffix - 1;
    if (!fj_path_is_dir(path))
        return n > k && !strcmp(path + n - k, suffix);
    char *config = fj_path_join(path, CONFIG);
    bool found = config && fj_path_exists(config);
    free(config);
    return found;
}
