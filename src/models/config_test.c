/* SPDX-License-Identifier: Apache-2.0 */
#include "models/config.h"

#include <stdio.h>

#include "models/session.h"
#include "models/tiny_test.h"

static fj_json *json(const char *text)
{
    fj_json *v = NULL;
    fj_err err = { 0 };
    CHECK_OK(fj_json_parse(text, strlen(text), "config.json", false, &v, &err));
    return v;
}

TEST(config_fills_in_what_may_be_left_out)
{
    fj_hparams hp = { 0 };
    fj_err err = { 0 };
    fj_json *c = json("{\"hidden_size\": 48, \"intermediate_size\": 100, \"num_hidden_layers\": 3,"
                      "\"num_attention_heads\": 6, \"vocab_size\": 1000, \"num_key_value_heads\": null}");
    CHECK_OK(fj_config_core(c, NULL, &hp, &err));
    CHECK(hp.d_model == 48 && hp.d_ff == 100 && hp.n_layers == 3 && hp.n_heads == 6 && hp.n_vocab == 1000);
    CHECK(hp.n_kv_heads == 6 && hp.d_head == 8 && hp.n_ctx == 2048 && hp.norm_eps == 1e-6);
    fj_json_free(c);
}

TEST(config_names_the_key_that_is_wrong)
{
    static const char start[] = "\"intermediate_size\": 100, \"num_hidden_layers\": 3, \"vocab_size\": 1000";
    static const struct {
        const char *keys, *message;
    } rows[] = {
        { "\"num_attention_heads\": 6", "config.json: 'hidden_size' is missing" },
        { "\"hidden_size\": 48", "config.json: 'num_attention_heads' is missing" },
        { "\"hidden_size\": 48.5, \"num_attention_heads\": 6",
          "config.json: 'hidden_size' must be a whole number from 1 to 1048576" },
        { "\"hidden_size\": \"48\", \"num_attention_heads\": 6",
          "config.json: 'hidden_size' must be a whole number from 1 to 1048576" },
        { "\"hidden_size\": -48, \"num_attention_heads\": 6",
          "config.json: 'hidden_size' must be a whole number from 1 to 1048576" },
        { "\"hidden_size\": 1048577, \"num_attention_heads\": 6",
          "config.json: 'hidden_size' must be a whole number from 1 to 1048576" },
        { "\"hidden_size\": 48, \"num_attention_heads\": 0",
          "config.json: 'num_attention_heads' must be a whole number from 1 to 65536" },
        { "\"hidden_size\": 48, \"num_attention_heads\": 6, \"num_key_value_heads\": 4",
          "config.json: 6 attention heads are not a multiple of 4 key/value heads" },
        { "\"hidden_size\": 48, \"num_attention_heads\": 6, \"rms_norm_eps\": 0", "config.json: rms_norm_eps is 0" },
        { "\"hidden_size\": 48, \"num_attention_heads\": 6, \"head_dim\": 70000",
          "config.json: 'head_dim' must be a whole number from 1 to 65536" },
        { "\"hidden_size\": 48, \"num_attention_heads\": 65536, \"head_dim\": 65536",
          "config.json: 65536 heads of 65536 values are more than 4194304" },
    };
    for (size_t i = 0; i < FJ_LEN(rows); i++) {
        char text[512];
        fj_hparams hp = { 0 };
        fj_err err = { 0 };
        (void)snprintf(text, sizeof text, "{%s, %s}", rows[i].keys, start);
        fj_json *c = json(text);
        CHECK(fj_config_core(c, NULL, &hp, &err) == FJ_ERR_FORMAT);
        CHECK_TEXT(err.message, rows[i].message);
        fj_json_free(c);
    }
}

TEST(rope_frequencies_fall_with_the_pair_and_follow_their_scaling)
{
    fj_hparams hp = { .rope_theta = 10000 };
    float plain[4], scaled[4], wanted[4] = { 1, 0.1f, 0.01f, 0.001f };
    fj_rope_inverse(&hp, NULL, 4, plain);
    CHECK_NEAR(plain, wanted, 4, 1e-8);

    hp.rope_kind = FJ_ROPE_LINEAR;
    hp.rope_factor = 4;
    fj_rope_inverse(&hp, NULL, 4, scaled);
    for (int i = 0; i < 4; i++)
        CHECK(scaled[i] == plain[i] / 4);

    const float divisors[] = { 1, 2, 4, 8 }; /* GGUF's, in place of any other scaling */
    fj_rope_inverse(&hp, divisors, 4, scaled);
    for (int i = 0; i < 4; i++)
        CHECK(fabsf(scaled[i] * divisors[i] / plain[i] - 1) < 1e-6f);
}

/* Wavelengths 2 pi / f: below 1000 kept, above 4000 divided by 8, smooth between. Source: transformers, modeling_rope_utils.py. */
TEST(rope_frequencies_of_llama3_are_kept_divided_or_between)
{
    fj_hparams hp = { .rope_theta = 10000,
                      .rope_kind = FJ_ROPE_LLAMA3,
                      .rope_factor = 8,
                      .rope_low = 1,
                      .rope_high = 4,
                      .rope_original = 4000 };
    float got[8], wanted[8];
    for (int i = 0; i < 8; i++) {
        double f = pow(10000, -i / 8.0), wave = 6.283185307179586 / f, s = (4000 / wave - 1) / 3;
        wanted[i] = (float)(wave < 1000 ? f : wave > 4000 ? f / 8 : (1 - s) * f / 8 + s * f);
    }
    fj_rope_inverse(&hp, NULL, 8, got);
    for (int i = 0; i < 8; i++)
        CHECK(fabsf(got[i] / wanted[i] - 1) < 1e-6f);
    CHECK(got[0] == 1);
    CHECK(got[5] > wanted[7] && got[5] < (float)pow(10000, -5 / 8.0)); /* wavelength 1987 */
}

TEST(llama_refuses_what_would_change_its_mathematics)
{
    static const struct {
        const char *keys, *message;
    } rows[] = {
        { "{\"hidden_act\": \"gelly\"}", "config.json: hidden_act 'gelly' is not known" },
        { "{\"head_dim\": 3}", "config.json: head_dim 3 is odd" },
        { "{\"rope_theta\": 0}", "config.json: rope_theta is 0" },
        { "{\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 4}}",
          "config.json: rope scaling 'yarn' is not known; there are default, linear, llama3 and longrope" },
        { "{\"rope_scaling\": {\"rope_type\": \"linear\"}}",
          "config.json: rope scaling 'linear' without a factor above 0" },
        { "{\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 4,"
          "\"high_freq_factor\": 4}}",
          "config.json: llama3 rope scaling with low 4, high 4, original length 8192" },
        { "{\"model_type\": \"mistral\", \"sliding_window\": -1}",
          "config.json: 'sliding_window' must be a whole number of at least 0" },
        { "{\"model_type\": \"mistral\", \"sliding_window\": \"big\"}",
          "config.json: 'sliding_window' must be a whole number of at least 0" },
        { "{\"hidden_act\": 7}", "config.json: 'hidden_act' must be text" },
        { "{\"tie_word_embeddings\": 1}", "config.json: 'tie_word_embeddings' must be true or false" },
        { "{\"attention_bias\": \"yes\"}", "config.json: 'attention_bias' must be true or false" },
        { "{\"mlp_bias\": []}", "config.json: 'mlp_bias' must be true or false" },
        { "{\"rms_norm_eps\": \"1e-5\"}", "config.json: 'rms_norm_eps' must be a number" },
        { "{\"rope_theta\": {}}", "config.json: 'rope_theta' must be a number" },
        { "{\"rope_scaling\": \"linear\"}", "config.json: 'rope_scaling' must be an object" },
        { "{\"rope_parameters\": 3}", "config.json: 'rope_parameters' must be an object" },
        { "{\"rope_scaling\": {\"type\": 4}}", "config.json: 'type' must be text" },
        { "{\"rope_scaling\": {\"type\": \"linear\", \"factor\": \"4\"}}", "config.json: 'factor' must be a number" },
        { "{\"model_type\": \"lama\"}", "model_type 'lama' is not a model family that forja knows" },
        { "{\"model_type\": null}", "config.json has no model_type" },
    };
    for (size_t i = 0; i < FJ_LEN(rows); i++) {
        tiny t;
        fj_model *m = NULL;
        fj_err err = { 0 };
        tiny_open(&t, rows[i].keys, FJ_NAMING_HF, &fj_f32);
        CHECK(fj_model_open(&t.source, &m, &err) == FJ_ERR_FORMAT);
        CHECK_TEXT(err.message, rows[i].message);
        CHECK(m == NULL);
        tiny_close(&t);
    }
}

TEST(llama_has_a_window_only_where_the_configuration_is_mistrals)
{
    static const struct {
        const char *keys;
        int64_t window;
    } rows[] = {
        { "{\"model_type\": \"mistral\", \"sliding_window\": 7}", 7 },
        { "{\"model_type\": \"mistral\", \"sliding_window\": null}", 0 },
        { "{\"model_type\": \"mistral\"}", 4096 },
        { "{\"model_type\": \"llama\", \"sliding_window\": 7}", 0 },
    };
    for (size_t i = 0; i < FJ_LEN(rows); i++) {
        tiny t;
        fj_model *m = NULL;
        fj_err err = { 0 };
        tiny_open(&t, rows[i].keys, FJ_NAMING_HF, &fj_f32);
        CHECK_OK(fj_model_open(&t.source, &m, &err));
        CHECK(m->hp.window == rows[i].window);
        fj_model_free(m);
        tiny_close(&t);
    }
}

/* Every key with every odd value, alone: understood and planned, or refused with a reason. */
TEST(config_with_any_value_is_planned_or_refused)
{
    static const char *const keys[] = {
        "hidden_size",         "intermediate_size", "num_hidden_layers", "num_attention_heads",
        "num_key_value_heads", "head_dim",          "vocab_size",        "max_position_embeddings",
        "rms_norm_eps",        "rope_theta",        "rope_scaling",      "rope_parameters",
        "sliding_window",      "hidden_act",        "attention_bias",    "mlp_bias",
        "tie_word_embeddings", "model_type",        "torch_dtype",       "dtype"
    };
    static const char *const values[] = { "null",
                                          "true",
                                          "false",
                                          "0",
                                          "1",
                                          "-1",
                                          "3",
                                          "8",
                                          "7.5",
                                          "64.0",
                                          "4096",
                                          "4097",
                                          "65536",
                                          "1048576",
                                          "4194304",
                                          "16777216",
                                          "1073741824",
                                          "2147483648",
                                          "4611686018427387904",
                                          "9223372036854775807",
                                          "-9223372036854775808",
                                          "1e30",
                                          "1e308",
                                          "-1e-300",
                                          "\"\"",
                                          "\"x\"",
                                          "\"float32\"",
                                          "\"mistral\"",
                                          "[]",
                                          "[1]",
                                          "{}",
                                          "{\"rope_type\": \"llama3\", \"factor\": 1e300}",
                                          "{\"type\": \"linear\", \"factor\": 1e-300}",
                                          "{\"type\": \"linear\", \"factor\": -1}",
                                          "{\"rope_theta\": -5}" };
    fj_kernels k;
    fj_kernels_init(&k, 0);
    for (size_t i = 0; i < FJ_LEN(keys); i++)
        for (size_t v = 0; v < FJ_LEN(values); v++) {
            char text[256];
            tiny t;
            fj_model *m = NULL;
            fj_err err = { 0 };
            fj_session_bytes bytes;
            fj_session_settings s = { .n_ctx = 100, .chunk = 4, .stop_layer = -1 };
            (void)snprintf(text, sizeof text, "{\"%s\": %s}", keys[i], values[v]);
            tiny_open(&t, text, FJ_NAMING_HF, &fj_f32);
            fj_status st = fj_model_describe(t.source.config, NULL, &m, &err);
            CHECK(st ? st == FJ_ERR_FORMAT && strlen(err.message) > 0 && !m : m->hp.n_layers > 0);
            CHECK(st || fj_model_parameters(m) > 0);
            if (!st && m->hp.n_layers < 100)
                CHECK_OK(fj_session_plan(m, &s, 1, &k, &bytes, &err));
            fj_model_free(m);
            tiny_close(&t);
        }
}
