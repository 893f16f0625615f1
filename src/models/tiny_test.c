/* SPDX-License-Identifier: Apache-2.0
 * See tiny_test.h. */
#include "models/tiny_test.h"

#include <stdio.h>

#include "quant/blocks_of_test.h"

static size_t count(const fj_source *s)
{
    return (size_t)((const tiny *)s)->n;
}

static const fj_tensor *at(const fj_source *s, size_t index)
{
    return &((const tiny *)s)->tensors[index];
}

static const fj_tensor *find(const fj_source *s, const char *name)
{
    const tiny *t = (const tiny *)s;
    for (int i = 0; i < t->n; i++)
        if (!strcmp(t->tensors[i].name, name))
            return &t->tensors[i];
    return NULL;
}

static void nothing(const fj_source *s, const fj_tensor *t)
{
    (void)s, (void)t;
}

static void close_source(fj_source *s)
{
    tiny_close((tiny *)s);
}

fj_tensor *tiny_tensor(tiny *t, const char *name)
{
    fj_tensor *found = (fj_tensor *)(uintptr_t)find(&t->source, name);
    CHECK(found);
    return found;
}

void tiny_drop(tiny *t, const char *name)
{
    fj_tensor *found = tiny_tensor(t, name);
    memmove(found, found + 1, (size_t)(&t->tensors[t->n] - found - 1) * sizeof *found);
    t->n--;
}

static float *numbers_of(tiny *t, const char *name, fj_shape shape)
{
    int64_t n = fj_shape_count(&shape);
    float *x = fj_arena_array(t->arena, (size_t)n, sizeof *x);
    uint64_t seed = 1;
    CHECK(x);
    for (const char *p = name; *p; p++)
        seed = seed * 31 + (unsigned char)*p;
    test_fill(x, n, seed, 0.3f);
    for (int64_t i = 0; shape.rank == 1 && i < n; i++)
        x[i] += 1;
    return x;
}

static fj_tensor *put(tiny *t, const char *name, const fj_dtype *dtype, fj_shape shape, const float *x)
{
    CHECK(t->n < TINY_MOST);
    fj_tensor *to = &t->tensors[t->n++];
    size_t bytes;
    CHECK(fj_dtype_bytes(dtype, fj_shape_count(&shape), &bytes));
    void *data = fj_arena_take(t->arena, bytes);
    CHECK(data);
    if (fj_quant_of(dtype))
        blocks_of_test(fj_quant_of(dtype), x, data, fj_shape_count(&shape));
    *to = (fj_tensor){ .name = fj_arena_text(t->arena, name, strlen(name)),
                       .dtype = dtype,
                       .shape = shape,
                       .data = data,
                       .bytes = bytes };
    return to;
}

fj_tensor *tiny_add(tiny *t, const char *name, const fj_dtype *dtype, fj_shape shape)
{
    return put(t, name, dtype, shape, numbers_of(t, name, shape));
}

/* Rows of q and k as llama.cpp's converter lays them: pairs (j, j + d/2) of a head side by side. */
static const float *permuted(tiny *t, const float *x, fj_shape shape)
{
    int64_t cols = fj_shape_cols(&shape), rows = shape.rank > 1 ? shape.dim[0] : cols;
    cols = shape.rank > 1 ? cols : 1;
    float *to = fj_arena_array(t->arena, (size_t)(rows * cols), sizeof *to);
    CHECK(to);
    for (int64_t head = 0; head < rows / t->head; head++)
        for (int64_t j = 0; j < t->head / 2; j++)
            for (int64_t half = 0; half < 2; half++)
                memcpy(to + (head * t->head + 2 * j + half) * cols,
                       x + (head * t->head + half * (t->head / 2) + j) * cols, (size_t)cols * sizeof *to);
    return to;
}

/* A weight under both names; its numbers follow from Hugging Face's. */
static void weight(tiny *t, const char *hf, const char *gguf, int layer, const fj_dtype *dtype, fj_shape shape)
{
    char hf_name[96], gguf_name[96];
    (void)snprintf(hf_name, sizeof hf_name, hf, layer);
    (void)snprintf(gguf_name, sizeof gguf_name, gguf, layer);
    const float *x = numbers_of(t, hf_name, shape);
    bool is_gguf = t->source.naming == FJ_NAMING_GGUF;
    if (is_gguf && (strstr(gguf, "attn_q.") || strstr(gguf, "attn_k.")))
        x = permuted(t, x, shape);
    (void)put(t, is_gguf ? gguf_name : hf_name, shape.rank > 1 ? dtype : &fj_f32, shape, x);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

static void layer(tiny *t, int i, const fj_dtype *dtype, bool has_bias)
{
    const int64_t Q = TINY_HEADS * t->head, K = TINY_KV * t->head, D = t->d, F = t->f;
    const struct {
        const char *hf, *gguf;
        fj_shape shape;
    } rows[] = {
        { "model.layers.%d.input_layernorm.weight", "blk.%d.attn_norm.weight", fj_shape_1(D) },
        { "model.layers.%d.self_attn.q_proj.weight", "blk.%d.attn_q.weight", fj_shape_2(Q, D) },
        { "model.layers.%d.self_attn.k_proj.weight", "blk.%d.attn_k.weight", fj_shape_2(K, D) },
        { "model.layers.%d.self_attn.v_proj.weight", "blk.%d.attn_v.weight", fj_shape_2(K, D) },
        { "model.layers.%d.self_attn.o_proj.weight", "blk.%d.attn_output.weight", fj_shape_2(D, Q) },
        { "model.layers.%d.post_attention_layernorm.weight", "blk.%d.ffn_norm.weight", fj_shape_1(D) },
        { "model.layers.%d.mlp.gate_proj.weight", "blk.%d.ffn_gate.weight", fj_shape_2(F, D) },
        { "model.layers.%d.mlp.up_proj.weight", "blk.%d.ffn_up.weight", fj_shape_2(F, D) },
        { "model.layers.%d.mlp.down_proj.weight", "blk.%d.ffn_down.weight", fj_shape_2(D, F) },
        { "model.layers.%d.self_attn.q_proj.bias", "blk.%d.attn_q.bias", fj_shape_1(Q) },
        { "model.layers.%d.self_attn.k_proj.bias", "blk.%d.attn_k.bias", fj_shape_1(K) },
        { "model.layers.%d.self_attn.v_proj.bias", "blk.%d.attn_v.bias", fj_shape_1(K) },
        { "model.layers.%d.self_attn.o_proj.bias", "blk.%d.attn_output.bias", fj_shape_1(D) },
    };
    for (size_t r = 0; r < FJ_LEN(rows) - (has_bias ? 0 : 4); r++)
        weight(t, rows[r].hf, rows[r].gguf, i, dtype, rows[r].shape);
}

void tiny_open(tiny *t, const char *keys, fj_naming naming, const fj_dtype *dtype)
{
    static const char usual[] = "{\"model_type\": \"llama\","
                                "\"num_attention_heads\": 4, \"num_key_value_heads\": 2,"
                                "\"vocab_size\": 50, \"max_position_embeddings\": 300, \"rms_norm_eps\": 1e-5}";
    fj_err err = { 0 };
    fj_json *over = NULL;
    bool is_wide = dtype->block_len > 32 || (keys && strstr(keys, "\"hidden_size\": 256"));
    *t = (tiny){ .source = { "tiny", naming, NULL, count, at, find, nothing, nothing, close_source },
                 .d = is_wide ? 256 : TINY_MODEL,
                 .f = is_wide ? 256 : TINY_FF,
                 .head = is_wide ? 64 : TINY_HEAD,
                 .layers = is_wide ? 1 : TINY_LAYERS,
                 .arena = fj_arena_new() };
    CHECK(t->arena);
    CHECK_OK(fj_json_parse(usual, strlen(usual), "tiny", false, &t->source.config, &err));
    CHECK(fj_json_set(t->source.config, "hidden_size", fj_json_new_int(t->d)) &&
          fj_json_set(t->source.config, "intermediate_size", fj_json_new_int(t->f)) &&
          fj_json_set(t->source.config, "num_hidden_layers", fj_json_new_int(t->layers)));
    if (keys)
        CHECK_OK(fj_json_parse(keys, strlen(keys), "keys", false, &over, &err));
    for (void *i = fj_json_first(over); i; i = fj_json_next(over, i))
        CHECK(fj_json_set(t->source.config, fj_json_key(i), fj_json_share(fj_json_member(i))));
    fj_json_free(over);
    weight(t, "model.embed_tokens.weight", "token_embd.weight", 0, dtype, fj_shape_2(TINY_VOCAB, t->d));
    weight(t, "model.norm.weight", "output_norm.weight", 0, dtype, fj_shape_1(t->d));
    weight(t, "lm_head.weight", "output.weight", 0, dtype, fj_shape_2(TINY_VOCAB, t->d));
    bool has_bias = fj_json_bool(fj_json_get(t->source.config, "attention_bias"), false);
    for (int i = 0; i < t->layers; i++)
        layer(t, i, dtype, has_bias);
}

#pragma GCC diagnostic pop

void tiny_close(tiny *t)
{
    fj_json_free(t->source.config);
    fj_arena_free(t->arena);
    *t = (tiny){ 0 };
}

void tiny_open_mixture(tiny *t)
{
    static const char *const dense[] = { "gate_proj", "up_proj", "down_proj" };
    char name[96];
    tiny_open(t, "{\"model_type\":\"mixtral\",\"num_local_experts\":3,\"num_experts_per_tok\":2}", FJ_NAMING_HF,
              &fj_f32);
    for (int layer = 0; layer < TINY_LAYERS; layer++) {
        for (size_t i = 0; i < FJ_LEN(dense); i++) {
            (void)snprintf(name, sizeof name, "model.layers.%d.mlp.%s.weight", layer, dense[i]);
            tiny_drop(t, name);
        }
        (void)snprintf(name, sizeof name, "model.layers.%d.block_sparse_moe.gate.weight", layer);
        tiny_add(t, name, &fj_f32, fj_shape_2(TINY_EXPERTS, TINY_MODEL));
        for (int i = 0; i < 3 * TINY_EXPERTS; i++) {
            (void)snprintf(name, sizeof name, "model.layers.%d.block_sparse_moe.experts.%d.w%d.weight", layer, i / 3,
                           i % 3 + 1);
            tiny_add(t, name, &fj_f32, i % 3 == 1 ? fj_shape_2(TINY_MODEL, TINY_FF) : fj_shape_2(TINY_FF, TINY_MODEL));
        }
    }
}
