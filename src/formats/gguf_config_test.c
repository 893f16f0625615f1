/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/map.h"
#include "formats/formats.h"
#include "formats/test_files.h"

/* A llama of these entries, no tensors: put writes n of them. */
static fj_status open_llama(void (*put)(fj_str *s), uint64_t n, fj_source **out, fj_err *err)
{
    fj_str file = { 0 };
    put_gguf(&file, 3, 0, n + 1);
    put_key_text(&file, "general.architecture", "llama");
    put(&file);
    char *path = strdup(test_temporary("llama.gguf"));
    fj_status st = fj_file_write(path, file.data, file.len, err);
    if (!st)
        st = fj_gguf_open(path, out, err);
    fj_str_free(&file);
    free(path);
    return st;
}

static void check_refused(void (*put)(fj_str *s), uint64_t n, const char *message)
{
    fj_err err = { 0 };
    fj_source *s = NULL;
    CHECK(open_llama(put, n, &s, &err) == FJ_ERR_FORMAT && !s);
    const char *at = strstr(err.message, "llama.gguf: ");
    CHECK(at);
    CHECK_TEXT(at + strlen("llama.gguf: "), message);
}

/* A config.json, with head_dim spelled out as GGUF does. */
static fj_json *load(const char *path)
{
    fj_err err = { 0 };
    fj_json *v = NULL;
    CHECK_OK(fj_json_load(path, &v, &err));
    CHECK(!fj_json_get(v, "head_dim"));
    int64_t d = fj_json_int(fj_json_get(v, "hidden_size"), 0) / fj_json_int(fj_json_get(v, "num_attention_heads"), 1);
    CHECK(fj_json_set(v, "head_dim", fj_json_new_int(d)));
    return v;
}

static const char *const common[] = { "hidden_size",         "intermediate_size",       "num_hidden_layers",
                                      "num_attention_heads", "num_key_value_heads",     "head_dim",
                                      "vocab_size",          "max_position_embeddings", "rms_norm_eps",
                                      "rope_theta",          "tie_word_embeddings",     "attention_bias" };

/* Values of these names as text, "null" where there is none. rope_theta and rope_scaling may be in rope_parameters. */
static char *value_text(const fj_json *config, const char *name)
{
    fj_str s = { 0 };
    const fj_json *v = fj_json_get(config, name);
    if (!v)
        v = fj_json_get(fj_json_get(config, "rope_parameters"), name);
    CHECK(fj_json_write(v ? v : NULL, 0, 9, &s) || !v);
    if (!v)
        fj_str_add_text(&s, "null");
    return s.data;
}

static void check_equal(const fj_json *a, const fj_json *b, const char *name)
{
    char *x = value_text(a, name), *y = value_text(b, name);
    if (strcmp(x, y))
        print_error("%s\n", name);
    CHECK_TEXT(x, y);
    free(x);
    free(y);
}

TEST(gguf_config_says_what_the_folder_says_that_the_file_was_made_from)
{
    static const char *const cases[][2] = { { "gguf/smollm-tied.gguf", "decoders/smollm-tied/config.json" },
                                            { "gguf/llama-linear-rope.gguf",
                                              "decoders/llama-linear-rope/config.json" } };
    for (size_t i = 0; i < FJ_LEN(cases); i++) {
        fj_err err = { 0 };
        fj_source *s = NULL;
        CHECK_OK(fj_gguf_open(test_golden(cases[i][0]), &s, &err));
        fj_json *wanted = load(test_golden(cases[i][1]));
        for (size_t k = 0; k < FJ_LEN(common); k++)
            check_equal(s->config, wanted, common[k]);
        CHECK_TEXT(fj_json_string(fj_json_get(s->config, "model_type"), ""), "llama");
        CHECK_TEXT(fj_json_string(fj_json_get(s->config, "gguf_arch"), ""), "llama");
        CHECK_TEXT(fj_json_string(fj_json_at(fj_json_get(s->config, "architectures"), 0), ""), "LlamaForCausalLM");
        const fj_json *got = fj_json_get(s->config, "rope_scaling");
        CHECK((got != NULL) == (i == 1));
        CHECK_TEXT(fj_json_string(fj_json_get(got, "rope_type"), "linear"), "linear");
        CHECK(fj_json_real(fj_json_get(got, "factor"), 4) == 4);
        fj_json_free(wanted);
        s->close(s);
    }
}

TEST(gguf_and_safetensors_of_one_model_hold_the_same_bytes)
{
    fj_err err = { 0 };
    fj_source *gguf = NULL, *hf = NULL;
    CHECK_OK(fj_gguf_open(test_golden("gguf/smollm-tied.gguf"), &gguf, &err));
    CHECK_OK(fj_weights_open_folder(test_golden("decoders/smollm-tied"), &hf, &err));
    static const char *const same[][2] = { { "token_embd.weight", "model.embed_tokens.weight" },
                                           { "blk.1.attn_v.weight", "model.layers.1.self_attn.v_proj.weight" },
                                           { "blk.0.ffn_down.weight", "model.layers.0.mlp.down_proj.weight" } };
    for (size_t i = 0; i < FJ_LEN(same); i++) {
        const fj_tensor *x = gguf->find(gguf, same[i][0]), *y = hf->find(hf, same[i][1]);
        CHECK(x && y && fj_shape_equal(&x->shape, &y->shape) && x->dtype == y->dtype && x->bytes == y->bytes);
        CHECK(!memcmp(x->data, y->data, x->bytes));
    }
    gguf->close(gguf);
    hf->close(hf);
}

static void arrays(fj_str *s)
{
    put_key_array(s, "llama.attention.head_count_kv", FJ_GGUF_I32, 3);
    fj_str_add(s, (const int32_t[]){ 2, 2, 2 }, 12);
    put_key_array(s, "llama.feed_forward_length", FJ_GGUF_U32, 1);
    put_u32(s, 64);
    put_key_f32(s, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    put_key_u32(s, "llama.rope.dimension_count", 16);
    put_key_array(s, "tokenizer.ggml.tokens", FJ_GGUF_STRING, 3);
    put_text(s, "a");
    put_text(s, "b");
    put_text(s, "c");
    put_key_f32(s, "llama.rope.scale_linear", 2.5f);
    put_key_u32(s, "tokenizer.ggml.eos_token_id", 2);
}

TEST(gguf_config_reads_arrays_and_old_keys)
{
    fj_err err = { 0 };
    fj_source *s = NULL;
    CHECK_OK(open_llama(arrays, 7, &s, &err));
    fj_str text = { 0 };
    CHECK(fj_json_write(s->config, 0, 9, &text));
    CHECK_TEXT(text.data,
               "{\"gguf_arch\": \"llama\", \"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", "
               "\"intermediate_size\": 64, \"num_key_value_heads\": 2, \"rms_norm_eps\": 1e-5, "
               "\"head_dim\": 16, \"vocab_size\": 3, "
               "\"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 2.5}, "
               "\"tie_word_embeddings\": true, \"attention_bias\": false, \"mlp_bias\": false, "
               "\"eos_token_id\": 2}");
    fj_str_free(&text);
    s->close(s);
}

static void differing(fj_str *s)
{
    put_key_array(s, "llama.attention.head_count_kv", FJ_GGUF_I32, 3);
    fj_str_add(s, (const int32_t[]){ 8, 8, 4 }, 12);
}

static void textual(fj_str *s)
{
    put_key_text(s, "llama.block_count", "2");
}

static void fractional(fj_str *s)
{
    put_key_f32(s, "llama.block_count", 2);
}

static void listed(fj_str *s)
{
    put_key_array(s, "llama.block_count", FJ_GGUF_U32, 1);
    put_u32(s, 2);
}

static void empty_list(fj_str *s)
{
    put_key_array(s, "llama.feed_forward_length", FJ_GGUF_U32, 0);
}

static void unlike(fj_str *s)
{
    put_key_u32(s, "llama.attention.key_length", 64);
    put_key_u32(s, "llama.attention.value_length", 128);
}

static void partial(fj_str *s)
{
    put_key_u32(s, "llama.attention.key_length", 64);
    put_key_u32(s, "llama.rope.dimension_count", 32);
}

TEST(gguf_config_says_what_it_does_not_understand)
{
    check_refused(
        differing, 1,
        "'llama.attention.head_count_kv' is 8 in layer 0 and 4 in layer 2; models whose layers differ are not read");
    check_refused(textual, 1, "'llama.block_count' is no whole number");
    check_refused(fractional, 1, "'llama.block_count' is no whole number");
    check_refused(listed, 1, "'llama.block_count' is no whole number");
    check_refused(empty_list, 1, "'llama.feed_forward_length' is no number for each layer");
    check_refused(unlike, 2, "keys of 64 values and values of 128; llama has one length");
    check_refused(partial, 2, "rope turns 32 of a head's 64 values; llama turns all");
}

/* ---- the other way --------------------------------------------------------------------------------------------------------------- */

static fj_json *parsed(const char *text)
{
    fj_err err = { 0 };
    fj_json *v = NULL;
    CHECK_OK(fj_json_parse(text, strlen(text), "t", false, &v, &err));
    return v;
}

/* A file of the configuration alone, opened again. */
static fj_source *through_gguf(const fj_json *config)
{
    fj_err err = { 0 };
    fj_source *s = NULL;
    fj_gguf_writer *w = fj_gguf_writer_new();
    char *path = strdup(test_temporary("config.gguf"));
    CHECK_OK(fj_gguf_set_config(w, config, &err));
    CHECK_OK(fj_gguf_create(w, path, NULL, 0, &err));
    CHECK_OK(fj_gguf_commit(w, &err));
    CHECK_OK(fj_gguf_open(path, &s, &err));
    free(path);
    return s;
}

TEST(gguf_config_comes_back_from_a_file_that_was_written)
{
    static const char *const names[] = { "decoders/smollm-tied/config.json", "decoders/llama-linear-rope/config.json" };
    for (size_t i = 0; i < FJ_LEN(names); i++) {
        fj_json *wanted = load(test_golden(names[i]));
        fj_source *s = through_gguf(wanted);
        for (size_t k = 0; k < FJ_LEN(common) - 2; k++) /* the last two are of the tensors */
            check_equal(s->config, wanted, common[k]);
        CHECK(fj_json_real(fj_json_get(fj_json_get(s->config, "rope_scaling"), "factor"), 0) == (i ? 4 : 0));
        check_equal(s->config, wanted, "bos_token_id");
        CHECK(fj_text_is(fj_gguf_text(fj_gguf_find(s, "general.architecture")), "llama"));
        fj_json_free(wanted);
        s->close(s);
    }
}

TEST(gguf_config_writes_what_an_absent_key_means)
{
    fj_json *config = parsed("{\"model_type\": \"mistral\", \"hidden_size\": 64, \"intermediate_size\": 96,"
                             "\"num_hidden_layers\": 2, \"num_attention_heads\": 4, \"vocab_size\": 100,"
                             "\"head_dim\": null, \"eos_token_id\": [7, 9], \"_name_or_path\": \"org/toy\","
                             "\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8.0}}");
    fj_source *s = through_gguf(config);
    static const struct {
        const char *key;
        double value;
    } wanted[] = { { "llama.attention.head_count_kv", 4 },
                   { "llama.attention.key_length", 16 },
                   { "llama.attention.value_length", 16 },
                   { "llama.rope.dimension_count", 16 },
                   { "llama.context_length", 2048 },
                   { "llama.rope.freq_base", 10000 },
                   { "llama.attention.layer_norm_rms_epsilon", (double)1e-6f },
                   { "llama.vocab_size", 100 },
                   { "llama.attention.sliding_window", 4096 },
                   { "tokenizer.ggml.eos_token_id", 7 },
                   { "tokenizer.ggml.eot_token_id", 9 } };
    for (size_t i = 0; i < FJ_LEN(wanted); i++)
        CHECK(fj_gguf_real(fj_gguf_find(s, wanted[i].key), -1) == wanted[i].value);
    CHECK(fj_text_is(fj_gguf_text(fj_gguf_find(s, "general.name")), "toy"));
    CHECK(!fj_gguf_find(s, "llama.rope.scaling.type") && !fj_gguf_find(s, "tokenizer.ggml.bos_token_id"));
    fj_json_free(config);
    s->close(s);
}

TEST(gguf_config_keeps_the_window_of_mistral)
{
    static const char common_keys[] = "\"hidden_size\": 64, \"intermediate_size\": 96, \"num_hidden_layers\": 2,"
                                      "\"num_attention_heads\": 4, \"vocab_size\": 100";
    static const struct {
        const char *keys, *type;
        int64_t window;
    } cases[] = { { "\"model_type\": \"mistral\", \"sliding_window\": 7", "mistral", 7 },
                  { "\"model_type\": \"mistral\", \"sliding_window\": null", "llama", -1 },
                  { "\"model_type\": \"llama\", \"sliding_window\": 7", "llama", -1 } };
    for (size_t i = 0; i < FJ_LEN(cases); i++) {
        char text[512];
        (void)snprintf(text, sizeof text, "{%s, %s}", common_keys, cases[i].keys);
        fj_json *config = parsed(text);
        fj_source *s = through_gguf(config);
        CHECK_TEXT(fj_json_string(fj_json_get(s->config, "model_type"), ""), cases[i].type);
        CHECK(fj_json_int(fj_json_get(s->config, "sliding_window"), -1) == cases[i].window);
        fj_json_free(config);
        s->close(s);
    }
}

TEST(gguf_config_refuses_what_it_cannot_write)
{
    static const char *const cases[][2] = {
        { "{\"model_type\": \"falco\"}", "model_type 'falco' has no GGUF architecture that forja writes" },
        { "{}", "model_type '' has no GGUF architecture that forja writes" },
        { "{\"model_type\": \"llama\"}", "config.json: 'num_hidden_layers' must be a whole number from 1, not 0" },
        { "{\"model_type\": \"llama\", \"num_hidden_layers\": -1}",
          "config.json: 'num_hidden_layers' must be a whole number from 1, not -1" },
        { "{\"model_type\": \"llama\", \"num_hidden_layers\": 4294967296}",
          "config.json: 'num_hidden_layers' must be a whole number from 1, not 4.29497e+09" },
        { "{\"model_type\": \"llama\", \"num_hidden_layers\": 1, \"hidden_size\": 64, \"intermediate_size\": 96,"
          "\"num_attention_heads\": 4, \"vocab_size\": 100, \"rope_parameters\": {\"rope_type\": \"yarn\"}}",
          "config.json: rope scaling 'yarn' has no form in GGUF that forja writes" },
        { "{\"model_type\": \"llama\", \"num_hidden_layers\": 1, \"hidden_size\": 64, \"intermediate_size\": 96,"
          "\"num_attention_heads\": 4, \"vocab_size\": 100, \"rms_norm_eps\": -1}",
          "config.json: 'rms_norm_eps' is -1" },
    };
    for (size_t i = 0; i < FJ_LEN(cases); i++) {
        fj_err err = { 0 };
        fj_gguf_writer *w = fj_gguf_writer_new();
        fj_json *config = parsed(cases[i][0]);
        CHECK(fj_gguf_set_config(w, config, &err) == FJ_ERR_FORMAT);
        CHECK_TEXT(err.message, cases[i][1]);
        fj_json_free(config);
        fj_gguf_abort(w);
    }
}
