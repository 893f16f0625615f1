/* SPDX-License-Identifier: Apache-2.0 */

#include <stdio.h>

#include "base/str.h"
#include "quant/quant.h"
#include "tests/test.h"

static const fj_dtype *type_of(const char *recipe, const fj_role *role, int layer, int n_layers, int64_t out,
                               int64_t in)
{
    fj_recipe_weight weight = { .role = role, .layer = layer, .n_layers = n_layers, .shape = fj_shape_2(out, in) };
    return fj_recipe_type(fj_recipe_by_name(recipe), &weight);
}

/* The layers of n_layers in which the role gets Q6_K instead of the main type: "0 1 4 …". */
static const char *more_layers(const char *recipe, const fj_role *role, int n_layers, char text[256])
{
    int at = 0;
    text[0] = 0;
    for (int layer = 0; layer < n_layers; layer++)
        if (type_of(recipe, role, layer, n_layers, 1024, 4096) == &fj_q6_k)
            at += snprintf(text + at, 256 - (size_t)at, at ? " %d" : "%d", layer);
    return text;
}

TEST(half_of_the_layers_get_more_bits)
{
    static const struct {
        int n_layers;
        const char *layers;
    } cases[] = {
        { 22, "0 1 4 7 10 13 16 19 20 21" },
        { 24, "0 1 2 5 8 11 14 17 20 21 22 23" },
        { 26, "0 1 2 5 8 11 14 17 20 22 23 24 25" },
        { 30, "0 1 2 5 8 11 14 17 20 23 26 27 28 29" },
        { 32, "0 1 2 3 6 9 12 15 18 21 24 27 28 29 30 31" },
        { 40, "0 1 2 3 4 7 10 13 16 19 22 25 28 31 34 35 36 37 38 39" },
    };
    char text[256];
    for (size_t i = 0; i < FJ_LEN(cases); i++) {
        CHECK_TEXT(more_layers("Q4_K_M", &fj_role_attn_v, cases[i].n_layers, text), cases[i].layers);
        CHECK_TEXT(more_layers("Q4_K_M", &fj_role_ffn_down, cases[i].n_layers, text), cases[i].layers);
        CHECK_TEXT(more_layers("Q5_K_M", &fj_role_attn_v, cases[i].n_layers, text), cases[i].layers);
        CHECK_TEXT(more_layers("Q5_K_M", &fj_role_ffn_down, cases[i].n_layers, text), cases[i].layers);
        CHECK_TEXT(more_layers("Q4_K_M", &fj_role_attn_q, cases[i].n_layers, text), "");
    }
}

/* Types of one model's weights, as text: "token_embd output | q k v o gate up down" of the first layers that differ. */
typedef struct model {
    int64_t d_model, d_kv, d_ff, n_vocab;
    int n_layers, n_experts;
    bool is_tied, is_falcon;
} model;

static const char *table(const char *recipe, const model *m, int layer, char text[256])
{
    struct {
        const fj_role *role;
        int64_t out, in;
        bool in_layer;
    } rows[] = {
        { &fj_role_token_embd, m->n_vocab, m->d_model, false }, { &fj_role_output, m->n_vocab, m->d_model, false },
        { &fj_role_attn_q, m->d_model, m->d_model, true },      { &fj_role_attn_k, m->d_kv, m->d_model, true },
        { &fj_role_attn_v, m->d_kv, m->d_model, true },         { &fj_role_attn_output, m->d_model, m->d_model, true },
        { &fj_role_ffn_gate, m->d_ff, m->d_model, true },       { &fj_role_ffn_up, m->d_ff, m->d_model, true },
        { &fj_role_ffn_down, m->d_model, m->d_ff, true },
    };
    int at = 0;
    for (size_t i = 0; i < FJ_LEN(rows); i++) {
        fj_recipe_weight weight = {
            .role = rows[i].role,
            .layer = rows[i].in_layer ? layer : -1,
            .n_layers = m->n_layers,
            .shape = fj_shape_2(rows[i].out, rows[i].in),
            .tied_output = m->is_tied,
            .n_experts = m->n_experts,
            .n_shared_heads = (int)(m->d_model / m->d_kv),
            .is_falcon = m->is_falcon,
        };
        if (rows[i].role == &fj_role_output && m->is_tied)
            continue;
        const fj_dtype *type = fj_recipe_type(fj_recipe_by_name(recipe), &weight);
        at += snprintf(text + at, 256 - (size_t)at, at ? " %s" : "%s", type->name);
    }
    return text;
}

/* Rows: embedding, head (when apart), q k v o, gate up down. */
TEST(llama_3_8b_gets_the_types_of_llama_cpp)
{
    static const model m = { 4096, 1024, 14336, 128256, 32, 0, false };
    char text[256];
    CHECK_TEXT(table("Q4_K_M", &m, 0, text), "Q4_K Q6_K Q4_K Q4_K Q6_K Q4_K Q4_K Q4_K Q6_K");
    CHECK_TEXT(table("Q4_K_M", &m, 4, text), "Q4_K Q6_K Q4_K Q4_K Q4_K Q4_K Q4_K Q4_K Q4_K");
    CHECK_TEXT(table("Q5_K_M", &m, 0, text), "Q5_K Q6_K Q5_K Q5_K Q6_K Q5_K Q5_K Q5_K Q6_K");
    CHECK_TEXT(table("Q5_K_M", &m, 4, text), "Q5_K Q6_K Q5_K Q5_K Q5_K Q5_K Q5_K Q5_K Q5_K");
    CHECK_TEXT(table("Q6_K", &m, 0, text), "Q6_K Q6_K Q6_K Q6_K Q6_K Q6_K Q6_K Q6_K Q6_K");
    CHECK_TEXT(table("Q8_0", &m, 0, text), "Q8_0 Q8_0 Q8_0 Q8_0 Q8_0 Q8_0 Q8_0 Q8_0 Q8_0");
    CHECK_TEXT(table("Q4_0", &m, 0, text), "Q4_0 Q6_K Q4_0 Q4_0 Q4_0 Q4_0 Q4_0 Q4_0 Q4_0");
    CHECK_TEXT(table("Q4_1", &m, 0, text), "Q4_1 Q6_K Q4_1 Q4_1 Q4_1 Q4_1 Q4_1 Q4_1 Q4_1");
    CHECK_TEXT(table("Q5_0", &m, 0, text), "Q5_0 Q6_K Q5_0 Q5_0 Q5_0 Q5_0 Q5_0 Q5_0 Q5_0");
    CHECK_TEXT(table("Q5_1", &m, 0, text), "Q5_1 Q6_K Q5_1 Q5_1 Q5_1 Q5_1 Q5_1 Q5_1 Q5_1");
    CHECK_TEXT(table("F16", &m, 0, text), "F16 F16 F16 F16 F16 F16 F16 F16 F16");
    CHECK_TEXT(table("BF16", &m, 0, text), "BF16 BF16 BF16 BF16 BF16 BF16 BF16 BF16 BF16");
    CHECK_TEXT(table("F32", &m, 0, text), "F32 F32 F32 F32 F32 F32 F32 F32 F32");
}

/* Four heads share a value here. */
TEST(llama_3_8b_gets_the_types_of_llama_cpp_below_4_bits_too)
{
    static const model m = { 4096, 1024, 14336, 128256, 32, 0, false };
    char text[256];
    CHECK_TEXT(table("Q5_K_S", &m, 0, text), "Q5_K Q6_K Q5_K Q5_K Q5_K Q5_K Q5_K Q5_K Q5_K");
    CHECK_TEXT(table("Q4_K_S", &m, 3, text), "Q4_K Q6_K Q4_K Q4_K Q5_K Q4_K Q4_K Q4_K Q5_K");
    CHECK_TEXT(table("Q4_K_S", &m, 4, text), "Q4_K Q6_K Q4_K Q4_K Q4_K Q4_K Q4_K Q4_K Q4_K");
    CHECK_TEXT(table("IQ4_NL", &m, 3, text), "IQ4_NL Q6_K IQ4_NL IQ4_NL Q5_K IQ4_NL IQ4_NL IQ4_NL Q5_K");
    CHECK_TEXT(table("IQ4_XS", &m, 3, text), "IQ4_XS Q6_K IQ4_XS IQ4_XS Q5_K IQ4_XS IQ4_XS IQ4_XS Q5_K");
    CHECK_TEXT(table("IQ4_XS", &m, 4, text), "IQ4_XS Q6_K IQ4_XS IQ4_XS Q5_K IQ4_XS IQ4_XS IQ4_XS IQ4_XS");
    CHECK_TEXT(table("Q3_K_L", &m, 9, text), "Q3_K Q6_K Q3_K Q3_K Q5_K Q5_K Q3_K Q3_K Q5_K");
    CHECK_TEXT(table("Q3_K_M", &m, 1, text), "Q3_K Q6_K Q3_K Q3_K Q5_K Q4_K Q3_K Q3_K Q5_K");
    CHECK_TEXT(table("Q3_K_M", &m, 2, text), "Q3_K Q6_K Q3_K Q3_K Q4_K Q4_K Q3_K Q3_K Q4_K");
    CHECK_TEXT(table("Q3_K_S", &m, 0, text), "Q3_K Q6_K Q3_K Q3_K Q3_K Q3_K Q3_K Q3_K Q3_K");
    CHECK_TEXT(table("Q2_K", &m, 0, text), "Q2_K Q6_K Q2_K Q2_K Q4_K Q3_K Q2_K Q2_K Q3_K");
    CHECK_TEXT(table("Q2_K_S", &m, 3, text), "Q2_K Q6_K Q2_K Q2_K Q4_K Q2_K Q2_K Q2_K Q4_K");
    CHECK_TEXT(table("Q2_K_S", &m, 4, text), "Q2_K Q6_K Q2_K Q2_K Q4_K Q2_K Q2_K Q2_K Q2_K");
    CHECK_TEXT(table("TQ1_0", &m, 0, text), "Q4_K Q6_K TQ1_0 TQ1_0 TQ1_0 TQ1_0 TQ1_0 TQ1_0 TQ1_0");
    CHECK_TEXT(table("TQ2_0", &m, 0, text), "Q4_K Q6_K TQ2_0 TQ2_0 TQ2_0 TQ2_0 TQ2_0 TQ2_0 TQ2_0");
}

/* As llama.cpp quantizes a Phi-3 of 32 layers. */
TEST(one_matrix_of_q_k_and_v_is_treated_as_v)
{
    char text[256];
    CHECK_TEXT(more_layers("Q4_K_M", &fj_role_attn_qkv, 32, text), "0 1 2 3 6 9 12 15 18 21 24 27 28 29 30 31");
    CHECK_TEXT(more_layers("Q5_K_M", &fj_role_attn_qkv, 32, text), "0 1 2 3 6 9 12 15 18 21 24 27 28 29 30 31");
    CHECK(type_of("Q4_K_M", &fj_role_attn_qkv, 4, 32, 9216, 3072) == &fj_q4_k);
    CHECK(type_of("Q3_K_M", &fj_role_attn_qkv, 1, 32, 9216, 3072) == &fj_q5_k);
    CHECK(type_of("Q3_K_M", &fj_role_attn_qkv, 2, 32, 9216, 3072) == &fj_q4_k);
    CHECK(type_of("Q3_K_L", &fj_role_attn_qkv, 9, 32, 9216, 3072) == &fj_q5_k);
    CHECK(type_of("Q4_K_S", &fj_role_attn_qkv, 3, 32, 9216, 3072) == &fj_q5_k);
    CHECK(type_of("Q4_K_S", &fj_role_attn_qkv, 4, 32, 9216, 3072) == &fj_q4_k);
    CHECK(type_of("Q2_K", &fj_role_attn_qkv, 9, 32, 9216, 3072) == &fj_q3_k);
    CHECK(type_of("Q6_K", &fj_role_attn_qkv, 9, 32, 9216, 3072) == &fj_q6_k);
    fj_recipe_weight of_8 = {
        .role = &fj_role_attn_qkv, .n_layers = 32, .shape = fj_shape_2(6144, 4096), .n_experts = 8
    };
    CHECK(fj_recipe_type(fj_recipe_by_name("Q4_K_M"), &of_8) == &fj_q8_0);
}

TEST(heads_with_values_of_their_own_do_not_raise_attn_v)
{
    static const model m = { 4096, 4096, 11008, 32000, 32, 0, false };
    char text[256];
    CHECK_TEXT(table("Q2_K", &m, 4, text), "Q2_K Q6_K Q2_K Q2_K Q3_K Q3_K Q2_K Q2_K Q3_K");
    CHECK_TEXT(table("Q2_K_S", &m, 4, text), "Q2_K Q6_K Q2_K Q2_K Q2_K Q2_K Q2_K Q2_K Q2_K");
    CHECK_TEXT(table("IQ4_XS", &m, 4, text), "IQ4_XS Q6_K IQ4_XS IQ4_XS IQ4_XS IQ4_XS IQ4_XS IQ4_XS IQ4_XS");
}

/* Rows of 576 do not hold a block of 256, those of ffn_down (1536) do; the embedding is the head. */
TEST(smollm_135m_falls_back_where_256_does_not_divide)
{
    static const model m = { 576, 192, 1536, 49152, 30, 0, true };
    char text[256];
    CHECK_TEXT(table("Q4_K_M", &m, 0, text), "Q8_0 Q5_0 Q5_0 Q8_0 Q5_0 Q5_0 Q5_0 Q6_K");
    CHECK_TEXT(table("Q4_K_M", &m, 3, text), "Q8_0 Q5_0 Q5_0 Q5_0 Q5_0 Q5_0 Q5_0 Q4_K");
    CHECK_TEXT(table("Q5_K_M", &m, 0, text), "Q8_0 Q5_1 Q5_1 Q8_0 Q5_1 Q5_1 Q5_1 Q6_K");
    CHECK_TEXT(table("Q5_K_M", &m, 3, text), "Q8_0 Q5_1 Q5_1 Q5_1 Q5_1 Q5_1 Q5_1 Q5_K");
    CHECK_TEXT(table("Q6_K", &m, 0, text), "Q8_0 Q8_0 Q8_0 Q8_0 Q8_0 Q8_0 Q8_0 Q6_K");
    CHECK_TEXT(table("Q4_1", &m, 0, text), "Q8_0 Q4_1 Q4_1 Q4_1 Q4_1 Q4_1 Q4_1 Q4_1");
    CHECK_TEXT(table("Q2_K", &m, 5, text), "Q8_0 Q4_0 Q4_0 Q4_0 Q4_0 Q4_0 Q4_0 Q3_K");
    CHECK_TEXT(table("Q3_K_M", &m, 0, text), "Q8_0 Q4_0 Q4_0 Q5_1 Q5_0 Q4_0 Q4_0 Q5_K");
    CHECK_TEXT(table("IQ4_XS", &m, 5, text), "Q8_0 IQ4_NL IQ4_NL IQ4_NL IQ4_NL IQ4_NL IQ4_NL IQ4_XS");
    CHECK_TEXT(table("IQ4_NL", &m, 5, text), "Q8_0 IQ4_NL IQ4_NL IQ4_NL IQ4_NL IQ4_NL IQ4_NL IQ4_NL");
    CHECK_TEXT(table("TQ1_0", &m, 5, text), "Q8_0 Q4_0 Q4_0 Q4_0 Q4_0 Q4_0 Q4_0 TQ1_0");
    CHECK_TEXT(table("Q8_0", &m, 0, text), "Q8_0 Q8_0 Q8_0 Q8_0 Q8_0 Q8_0 Q8_0 Q8_0");
    CHECK_TEXT(table("F16", &m, 0, text), "F16 F16 F16 F16 F16 F16 F16 F16");
}

/* Source: llama.cpp, llama_tensor_get_type. */
TEST(importance_changes_ffn_down_of_the_simple_types)
{
    static const struct {
        const char *recipe;
        const fj_dtype *plain, *weighed;
    } cases[] = { { "Q4_0", &fj_q4_0, &fj_q4_1 },
                  { "Q5_0", &fj_q5_0, &fj_q5_1 },
                  { "IQ4_NL", &fj_q5_k, &fj_iq4_nl },
                  { "IQ4_XS", &fj_q5_k, &fj_iq4_xs },
                  { "Q4_K_M", &fj_q6_k, &fj_q6_k } };
    for (size_t i = 0; i < FJ_LEN(cases); i++) {
        fj_recipe_weight w = { .role = &fj_role_ffn_down, .n_layers = 32, .shape = fj_shape_2(4096, 14336) };
        const fj_recipe *recipe = fj_recipe_by_name(cases[i].recipe);
        CHECK(fj_recipe_type(recipe, &w) == cases[i].plain);
        w.has_importance = true;
        CHECK(fj_recipe_type(recipe, &w) == cases[i].weighed);
        w.layer = 5;
        CHECK(fj_recipe_type(recipe, &w) == fj_recipe_main(recipe));
    }
}

TEST(rows_that_32_does_not_divide_become_f16)
{
    static const model m = { 40, 40, 72, 100, 2, 0, false };
    char text[256];
    CHECK_TEXT(table("Q4_K_M", &m, 0, text), "F16 F16 F16 F16 F16 F16 F16 F16 F16");
    CHECK_TEXT(table("Q8_0", &m, 0, text), "F16 F16 F16 F16 F16 F16 F16 F16 F16");
    CHECK_TEXT(table("Q4_0", &m, 0, text), "F16 F16 F16 F16 F16 F16 F16 F16 F16");
    CHECK_TEXT(table("BF16", &m, 0, text), "BF16 BF16 BF16 BF16 BF16 BF16 BF16 BF16 BF16");
}

TEST(eight_experts_raise_the_small_weights_of_attention)
{
    static const model m = { 4096, 1024, 14336, 32000, 32, 8, false },
                       nine = { 4096, 1024, 14336, 32000, 32, 9, false };
    char text[256];
    CHECK_TEXT(table("Q4_K_M", &m, 4, text), "Q4_K Q6_K Q4_K Q8_0 Q8_0 Q5_K Q4_K Q4_K Q4_K");
    CHECK_TEXT(table("Q5_K_M", &m, 0, text), "Q5_K Q6_K Q5_K Q8_0 Q8_0 Q5_K Q5_K Q5_K Q6_K");
    CHECK_TEXT(table("Q6_K", &m, 4, text), "Q6_K Q6_K Q6_K Q8_0 Q8_0 Q6_K Q6_K Q6_K Q6_K");
    CHECK_TEXT(table("Q4_0", &m, 4, text), "Q4_0 Q6_K Q4_0 Q8_0 Q8_0 Q4_0 Q4_0 Q4_0 Q4_0");
    CHECK_TEXT(table("Q3_K_L", &m, 4, text), "Q3_K Q6_K Q3_K Q8_0 Q8_0 Q3_K Q3_K Q3_K Q5_K");
    CHECK_TEXT(table("Q3_K_M", &m, 4, text), "Q3_K Q6_K Q3_K Q8_0 Q8_0 Q5_K Q3_K Q3_K Q4_K");
    CHECK_TEXT(table("Q2_K", &m, 4, text), "Q2_K Q6_K Q2_K Q8_0 Q8_0 Q5_K Q2_K Q2_K Q3_K");
    CHECK_TEXT(table("Q2_K_S", &m, 4, text), "Q2_K Q6_K Q2_K Q8_0 Q8_0 Q2_K Q2_K Q2_K Q2_K");
    CHECK_TEXT(table("IQ4_NL", &m, 4, text), "IQ4_NL Q6_K IQ4_NL Q8_0 Q8_0 Q5_K IQ4_NL IQ4_NL IQ4_NL");
    CHECK_TEXT(table("F16", &m, 4, text), "F16 F16 F16 F16 F16 F16 F16 F16 F16");
    CHECK_TEXT(table("Q4_K_M", &nine, 4, text), "Q4_K Q6_K Q4_K Q4_K Q4_K Q4_K Q4_K Q4_K Q4_K");
}

/* Rows: the embedding that is the head, q k v o, gate up down. */
TEST(falcon_gets_the_types_of_llama_cpp)
{
    static const model m = { 4096, 4096, 16384, 65024, 32, 0, true, true };
    char text[256];
    CHECK_TEXT(table("Q4_K_M", &m, 1, text), "Q8_0 Q4_K Q4_K Q6_K Q4_K Q4_K Q4_K Q6_K");
    CHECK_TEXT(table("Q4_K_M", &m, 2, text), "Q8_0 Q4_K Q4_K Q6_K Q4_K Q4_K Q4_K Q5_K");
    CHECK_TEXT(table("Q4_K_M", &m, 4, text), "Q8_0 Q4_K Q4_K Q4_K Q4_K Q4_K Q4_K Q4_K");
    CHECK_TEXT(table("Q4_K_S", &m, 0, text), "Q8_0 Q4_K Q4_K Q5_K Q4_K Q4_K Q4_K Q4_K");
    CHECK_TEXT(table("Q5_K_M", &m, 0, text), "Q8_0 Q5_K Q5_K Q6_K Q5_K Q5_K Q5_K Q6_K");
    CHECK_TEXT(table("Q3_K_M", &m, 1, text), "Q8_0 Q3_K Q3_K Q5_K Q3_K Q3_K Q3_K Q5_K");
    CHECK_TEXT(table("Q3_K_M", &m, 2, text), "Q8_0 Q3_K Q3_K Q4_K Q3_K Q3_K Q3_K Q4_K");
    CHECK_TEXT(table("Q3_K_M", &m, 4, text), "Q8_0 Q3_K Q3_K Q4_K Q3_K Q3_K Q3_K Q3_K");
    CHECK_TEXT(table("Q3_K_L", &m, 4, text), "Q8_0 Q3_K Q3_K Q5_K Q4_K Q3_K Q3_K Q4_K");
    CHECK_TEXT(table("Q2_K", &m, 4, text), "Q8_0 Q2_K Q2_K Q3_K Q2_K Q2_K Q2_K Q3_K");
    CHECK_TEXT(table("F16", &m, 4, text), "F16 F16 F16 F16 F16 F16 F16 F16");
}

TEST(eighty_layers_with_shared_heads_raise_attn_v)
{
    CHECK(type_of("Q4_K_M", &fj_role_attn_v, 10, 80, 1024, 8192) == &fj_q5_k);
    CHECK(type_of("Q4_K_M", &fj_role_attn_v, 0, 80, 1024, 8192) == &fj_q6_k);
    CHECK(type_of("Q4_K_M", &fj_role_attn_v, 10, 80, 8192, 8192) == &fj_q4_k);
    CHECK(type_of("Q3_K_S", &fj_role_attn_v, 10, 80, 1024, 8192) == &fj_q5_k);
    CHECK(type_of("Q2_K_S", &fj_role_attn_v, 10, 80, 1024, 8192) == &fj_q2_k);
    CHECK(type_of("Q4_K_M", &fj_role_ffn_down, 10, 80, 8192, 28672) == &fj_q4_k);
}

/* As llama.cpp writes a Mixtral: 4 bits for the experts and nothing else. */
TEST(mxfp4_moe_is_for_experts)
{
    CHECK(type_of("MXFP4_MOE", &fj_role_ffn_gate_exps, 3, 32, 4096, 4096) == &fj_mxfp4);
    CHECK(type_of("MXFP4_MOE", &fj_role_ffn_down_exps, 3, 32, 4096, 4096) == &fj_mxfp4);
    CHECK(type_of("MXFP4_MOE", &fj_role_ffn_gate, 3, 32, 4096, 4096) == &fj_q8_0);
    CHECK(type_of("MXFP4_MOE", &fj_role_attn_v, 3, 32, 4096, 4096) == &fj_q8_0);
    CHECK(type_of("MXFP4_MOE", &fj_role_output, -1, 32, 4096, 4096) == &fj_q8_0);
    CHECK(type_of("MXFP4_MOE", &fj_role_token_embd, -1, 32, 4096, 4096) == &fj_q8_0);
}

TEST(norms_and_vectors_stay_f32)
{
    for (const fj_recipe *const *recipe = fj_recipes; *recipe; recipe++) {
        fj_recipe_weight norm = { .role = &fj_role_attn_norm, .n_layers = 32, .shape = fj_shape_1(4096) };
        fj_recipe_weight bias = { .role = &fj_role_attn_q, .n_layers = 32, .shape = fj_shape_1(4096) };
        fj_recipe_weight flat = {
            .role = &fj_role_output_norm, .layer = -1, .n_layers = 32, .shape = fj_shape_2(1, 4096)
        };
        CHECK(fj_recipe_type(*recipe, &norm) == &fj_f32);
        CHECK(fj_recipe_type(*recipe, &bias) == &fj_f32);
        CHECK(fj_recipe_type(*recipe, &flat) == &fj_f32);
    }
}

TEST(recipes_are_found_in_either_case_and_have_the_file_types_of_gguf)
{
    static const struct {
        const char *name;
        int ftype;
    } cases[] = { { "Q8_0", 7 },       { "Q6_K", 18 },   { "Q5_K_M", 17 }, { "Q5_K_S", 16 }, { "Q4_K_M", 15 },
                  { "Q4_K_S", 14 },    { "IQ4_NL", 25 }, { "IQ4_XS", 30 }, { "Q3_K_L", 13 }, { "Q3_K_M", 12 },
                  { "Q3_K_S", 11 },    { "Q2_K", 10 },   { "Q2_K_S", 21 }, { "TQ2_0", 37 },  { "TQ1_0", 36 },
                  { "MXFP4_MOE", 38 }, { "Q4_0", 2 },    { "Q4_1", 3 },    { "Q5_0", 8 },    { "Q5_1", 9 },
                  { "F16", 1 },        { "BF16", 32 },   { "F32", 0 } };
    size_t n = 0;
    for (const fj_recipe *const *recipe = fj_recipes; *recipe; recipe++, n++) {
        CHECK(n < FJ_LEN(cases));
        CHECK_TEXT((*recipe)->name, cases[n].name);
        CHECK((*recipe)->gguf_ftype == cases[n].ftype && fj_recipe_by_name(cases[n].name) == *recipe);
    }
    CHECK(n == FJ_LEN(cases));
    CHECK(fj_recipe_by_name("q4_k_m") == fj_recipe_by_name("Q4_K_M"));
    CHECK(!fj_recipe_by_name("Q4_K") && !fj_recipe_by_name("Q4_K_MX") && !fj_recipe_by_name(""));
}
