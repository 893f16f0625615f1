/* SPDX-License-Identifier: Apache-2.0 */
#include "models/model.h"

#include <stdio.h>

#include "models/tiny_test.h"

static fj_status open_tiny(tiny *t, fj_model **m, fj_err *err)
{
    *m = NULL;
    *err = (fj_err){ 0 };
    return fj_model_open(&t->source, m, err);
}

TEST(model_takes_every_tensor_once_and_knows_it_by_role)
{
    tiny t;
    fj_model *m;
    fj_err err;
    tiny_open(&t, "{\"attention_bias\": true}", FJ_NAMING_HF, &fj_bf16);
    CHECK_OK(open_tiny(&t, &m, &err));
    CHECK(m->n_weights == t.n);
    for (int i = 0; i < m->n_weights; i++) {
        const fj_weight *w = &m->weights[i];
        CHECK(fj_model_weight(m, w->role, w->layer, w->is_bias) == w);
        CHECK_TEXT(fj_model_hf_name(m, w), w->name);
        CHECK(fj_shape_equal(&w->shape, &tiny_tensor(&t, w->name)->shape));
    }
    const fj_weight *q = fj_model_weight(m, &fj_role_attn_q, 1, false);
    CHECK_TEXT(q->name, "model.layers.1.self_attn.q_proj.weight");
    CHECK_TEXT(fj_model_gguf_name(m, q), "blk.1.attn_q.weight");
    CHECK_TEXT(fj_model_gguf_name(m, fj_model_weight(m, &fj_role_attn_q, 0, true)), "blk.0.attn_q.bias");
    CHECK(fj_model_weight(m, &fj_role_attn_q, 2, false) == NULL);
    CHECK(fj_model_weight(m, &fj_role_attn_q, -1, false) == NULL);
    CHECK_TEXT(fj_model_head(m)->name, "lm_head.weight");
    fj_model_free(m);
    fj_model_free(NULL);
    tiny_close(&t);
}

TEST(model_counts_parameters_and_bytes)
{
    tiny t;
    fj_model *m;
    fj_err err;
    tiny_open(&t, NULL, FJ_NAMING_HF, &fj_q8_0);
    CHECK_OK(open_tiny(&t, &m, &err));
    int64_t matrices = 2 * 50 * 64 + 2 * (64 * 64 + 2 * 32 * 64 + 64 * 64 + 3 * 96 * 64), vectors = 5 * 64;
    CHECK(fj_model_parameters(m) == matrices + vectors);
    CHECK(fj_model_bytes(m) == (size_t)(matrices / 32 * 34 + vectors * 4));
    CHECK(fj_model_repacked_bytes(m) >= fj_model_bytes(m));
    fj_model_free(m);
    tiny_close(&t);
}

TEST(model_uses_the_head_of_the_file_and_the_embedding_where_there_is_none)
{
    tiny t;
    fj_model *m;
    fj_err err;
    tiny_open(&t, NULL, FJ_NAMING_HF, &fj_f32);
    tiny_drop(&t, "lm_head.weight");
    CHECK_OK(open_tiny(&t, &m, &err));
    CHECK(m->hp.is_tied);
    CHECK_TEXT(fj_model_head(m)->name, "model.embed_tokens.weight");
    fj_model_free(m);
    tiny_close(&t);

    tiny_open(&t, "{\"tie_word_embeddings\": true}", FJ_NAMING_HF, &fj_f32); /* with a stored copy of the head */
    CHECK_OK(open_tiny(&t, &m, &err));
    CHECK_TEXT(fj_model_head(m)->name, "model.embed_tokens.weight");
    fj_model_free(m);
    tiny_close(&t);
}

TEST(model_says_which_tensor_is_missing_too_many_or_wrong)
{
    tiny t;
    fj_model *m;
    fj_err err;
    tiny_open(&t, NULL, FJ_NAMING_HF, &fj_f32);
    fj_tensor kept = *tiny_tensor(&t, "model.layers.1.mlp.up_proj.weight");
    tiny_drop(&t, kept.name);
    CHECK(open_tiny(&t, &m, &err) == FJ_ERR_FORMAT && !m);
    CHECK_TEXT(err.message, "tiny: no tensor 'model.layers.1.mlp.up_proj.weight'");
    CHECK_TEXT(err.hint, "the file is not complete, or its config.json belongs to another model");

    fj_tensor *wrong = tiny_add(&t, kept.name, &fj_f32, fj_shape_2(95, 64));
    CHECK(open_tiny(&t, &m, &err) == FJ_ERR_SHAPE && !m);
    CHECK_TEXT(err.message, "tiny: 'model.layers.1.mlp.up_proj.weight' is 95x64, config says 96x64");

    *wrong = kept;
    wrong->dtype = &fj_i32;
    CHECK(open_tiny(&t, &m, &err) == FJ_ERR_FORMAT && !m);
    CHECK_TEXT(err.message, "tiny: 'model.layers.1.mlp.up_proj.weight' is of type I32, which is no type of weights");

    *wrong = kept;
    (void)tiny_add(&t, "model.layers.0.self_attn.rotary_emb.inv_freq", &fj_f32, fj_shape_1(8)); /* of old files */
    CHECK_OK(open_tiny(&t, &m, &err));
    fj_model_free(m);

    (void)tiny_add(&t, "model.layers.2.mlp.up_proj.weight", &fj_f32, fj_shape_2(96, 64));
    CHECK(open_tiny(&t, &m, &err) == FJ_ERR_FORMAT && !m);
    CHECK_TEXT(err.message,
               "tiny: tensor 'model.layers.2.mlp.up_proj.weight' has no place in a llama model of this configuration");
    CHECK_TEXT(err.hint, "config.json may belong to another model (layers 2, tied head: no)");
    tiny_close(&t);
}

TEST(model_copies_what_kernels_cannot_read_where_it_lies)
{
    tiny t;
    fj_model *m;
    fj_err err;
    tiny_open(&t, NULL, FJ_NAMING_HF, &fj_f32);
    fj_tensor *matrix = tiny_tensor(&t, "model.layers.0.self_attn.q_proj.weight");
    unsigned char *odd = fj_arena_take(t.arena, matrix->bytes + 1);
    CHECK(odd);
    memcpy(odd + 1, matrix->data, matrix->bytes);
    const float *numbers = matrix->data;
    matrix->data = odd + 1;
    tiny_drop(&t, "model.norm.weight");
    (void)tiny_add(&t, "model.norm.weight", &fj_bf16, fj_shape_1(64));
    CHECK_OK(open_tiny(&t, &m, &err));
    const fj_weight *q = fj_model_weight(m, &fj_role_attn_q, 0, false),
                    *norm = fj_model_weight(m, &fj_role_output_norm, -1, false);
    CHECK((uintptr_t)q->data % 4 == 0 && memcmp(q->data, numbers, 64 * 64 * 4) == 0);
    CHECK(norm->dtype == &fj_f32 && ((const float *)norm->data)[0] > 0.5f);
    fj_model_free(m);
    tiny_close(&t);
}

TEST(model_from_a_configuration_alone_has_the_same_weights_without_numbers)
{
    tiny t;
    fj_model *m, *described;
    fj_err err = { 0 };
    tiny_open(&t, NULL, FJ_NAMING_HF, &fj_q8_0);
    CHECK_OK(open_tiny(&t, &m, &err));
    CHECK_OK(fj_model_describe(t.source.config, &fj_q8_0, &described, &err));
    CHECK(m->n_weights == described->n_weights && fj_model_bytes(m) == fj_model_bytes(described));
    for (int i = 0; i < m->n_weights; i++) {
        const fj_weight *a = &m->weights[i], *b = &described->weights[i];
        CHECK(a->role == b->role && a->layer == b->layer && a->dtype == b->dtype &&
              fj_shape_equal(&a->shape, &b->shape));
        CHECK(a->data && !b->data);
    }
    fj_model_free(m);
    fj_model_free(described);
    tiny_close(&t);
}

TEST(llama_of_a_gguf_file_knows_where_its_rows_come_from)
{
    tiny t, hf;
    fj_model *m;
    fj_err err;
    int64_t from[64];
    tiny_open(&hf, NULL, FJ_NAMING_HF, &fj_f32);
    tiny_open(&t, NULL, FJ_NAMING_GGUF, &fj_f32);
    CHECK_OK(open_tiny(&t, &m, &err));
    CHECK(!m->hp.rope_half);
    const fj_weight *q = fj_model_weight(m, &fj_role_attn_q, 1, false);
    CHECK(fj_model_row_order(m, q, from));
    const float *rows = q->data, *original = tiny_tensor(&hf, "model.layers.1.self_attn.q_proj.weight")->data;
    for (int i = 0; i < 64; i++)
        CHECK(memcmp(rows + i * 64, original + from[i] * 64, 64 * sizeof(float)) == 0);
    CHECK(!fj_model_row_order(m, fj_model_weight(m, &fj_role_attn_v, 1, false), from));
    CHECK_TEXT(fj_model_hf_name(m, q), "model.layers.1.self_attn.q_proj.weight");
    CHECK_TEXT(q->name, "blk.1.attn_q.weight");
    fj_model_free(m);
    CHECK_OK(open_tiny(&hf, &m, &err));
    CHECK(!fj_model_row_order(m, fj_model_weight(m, &fj_role_attn_q, 1, false), from) && m->hp.rope_half);
    fj_model_free(m);
    tiny_close(&t);
    tiny_close(&hf);
}

/* Experts as GGUF files of 2023 have them, a tensor each. */
static void open_experts(tiny *t)
{
    static const struct {
        const char *role;
        int64_t rows, cols;
    } parts[] = { { "gate", TINY_FF, TINY_MODEL }, { "up", TINY_FF, TINY_MODEL }, { "down", TINY_MODEL, TINY_FF } };
    char name[64];
    tiny_open(
        t,
        "{\"model_type\": \"mixtral\", \"num_local_experts\": 2, \"num_experts_per_tok\": 1, \"num_hidden_layers\": 1}",
        FJ_NAMING_GGUF, &fj_f32);
    for (int i = t->n - 1; i >= 0; i--) /* of the llama that it was */
        if (strstr(t->tensors[i].name, ".1.") || strstr(t->tensors[i].name, "ffn_gate") ||
            strstr(t->tensors[i].name, "ffn_up") || strstr(t->tensors[i].name, "ffn_down"))
            tiny_drop(t, t->tensors[i].name);
    (void)tiny_add(t, "blk.0.ffn_gate_inp.weight", &fj_f32, fj_shape_2(2, TINY_MODEL));
    for (size_t i = 0; i < FJ_LEN(parts); i++)
        for (int e = 0; e < 2; e++) {
            (void)snprintf(name, sizeof name, "blk.0.ffn_%s.%d.weight", parts[i].role, e);
            (void)tiny_add(t, name, &fj_f32, fj_shape_2(parts[i].rows, parts[i].cols));
        }
}

TEST(experts_that_are_a_tensor_each_are_one_weight_of_their_addresses)
{
    tiny t;
    fj_model *m;
    fj_err err;
    open_experts(&t);
    CHECK_OK(open_tiny(&t, &m, &err));
    const fj_weight *w = fj_model_weight(m, &fj_role_ffn_down_exps, 0, false);
    const fj_shape wanted = { 3, { 2, TINY_MODEL, TINY_FF } };
    CHECK(w && w->parts && !w->data && fj_shape_equal(&w->shape, &wanted));
    const fj_tensor *second = tiny_tensor(&t, "blk.0.ffn_down.1.weight");
    CHECK(fj_weight_at(w, TINY_MODEL + 3, 4 * TINY_FF) == (const unsigned char *)second->data + 3 * 4 * TINY_FF);
    CHECK(fj_model_hf_count(m, w) == 2);
    CHECK_TEXT(fj_model_hf_part(m, w, 1), "model.layers.0.block_sparse_moe.experts.1.w2.weight");
    fj_model_free(m);
    tiny_drop(&t, "blk.0.ffn_up.1.weight");
    CHECK(open_tiny(&t, &m, &err) == FJ_ERR_FORMAT && !m);
    CHECK_TEXT(err.message, "tiny: no tensor 'blk.0.ffn_up.1.weight'");
    tiny_close(&t);
}
