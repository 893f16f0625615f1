/* SPDX-License-Identifier: Apache-2.0
 * Prompt caches, for a session of a tiny llama. The first byte says whether the rest is taken as it stands or gets the session's identity and
 * the right sum: then what is read is used. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "formats/formats.h"
#include "tasks/prompt_cache.h"
#include "ones.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TYPES_AT = 12, VERSION_AT = 32, MODEL_AT = 48, ARITHMETIC_AT = 112, IDS_AT = 176, HASH = 64, PROMPT = 70 };

static const char config_text[] =
    "{\"model_type\":\"llama\",\"hidden_size\":8,\"intermediate_size\":4,\"num_hidden_layers\":1,"
    "\"num_attention_heads\":2,\"num_key_value_heads\":1,\"vocab_size\":5,"
    "\"tie_word_embeddings\":true}";

static const fuzz_weight weights[] = {
    { "model.embed_tokens.weight", 5, 8 },
    { "model.norm.weight", 8, 0 },
    { "model.layers.0.input_layernorm.weight", 8, 0 },
    { "model.layers.0.post_attention_layernorm.weight", 8, 0 },
    { "model.layers.0.self_attn.q_proj.weight", 8, 8 },
    { "model.layers.0.self_attn.k_proj.weight", 4, 8 },
    { "model.layers.0.self_attn.v_proj.weight", 4, 8 },
    { "model.layers.0.self_attn.o_proj.weight", 8, 8 },
    { "model.layers.0.mlp.gate_proj.weight", 4, 8 },
    { "model.layers.0.mlp.up_proj.weight", 4, 8 },
    { "model.layers.0.mlp.down_proj.weight", 8, 4 },
};

/* Makes a file the session's own. */
static void own(const fj_session *s, unsigned char *file, size_t len)
{
    fj_session_identity id;
    fj_err err = { 0 };
    char version[MODEL_AT - VERSION_AT] = FORJA_VERSION, hex[65];
    if (len < IDS_AT + HASH)
        return;
    fj_status st = fj_session_identify(s, &id, &err);
    fj_assert(!st);
    uint32_t types[] = { (uint32_t)id.k_type->gguf, (uint32_t)id.v_type->gguf };
    memcpy(file + TYPES_AT, types, sizeof types);
    memcpy(file + VERSION_AT, version, sizeof version);
    memcpy(file + MODEL_AT, id.model, HASH);
    memcpy(file + ARITHMETIC_AT, id.arithmetic, HASH);
    fj_sha256_of(file, len - HASH, hex);
    memcpy(file + len - HASH, hex, HASH);
}

static void use(fj_session *s, const unsigned char *file, size_t len)
{
    static const int32_t prompt[PROMPT] = { 1, 4, 2 }; /* and zeros */
    fj_err err = { 0 };
    float logits[5];
    int64_t held = -1;
    fj_status st = fj_prompt_cache_read_bytes("fuzz", file, len, s, prompt, PROMPT - 1, &held, &err);
    fj_assert(!st || (st == FJ_ERR_FORMAT && strlen(err.message) > 0 && held == 0));
    fj_assert(held >= 0 && held < PROMPT && held == fj_session_length(s, 0));
    st = fj_session_forward(s, &(fj_rows_in){ .n = PROMPT - held, .ids = prompt + held }, logits, NULL, &err);
    fj_assert(!st);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fj_err err = { 0 };
    fj_str model_file = { 0 };
    fj_source *source = NULL;
    fj_model *m = NULL;
    fj_pool *pool = NULL;
    fj_session *session = NULL;
    fj_kernels k;
    unsigned char *file = size ? malloc(size) : NULL;
    if (!file)
        return 0;
    fuzz_write_ones(weights, FJ_LEN(weights), &model_file);
    fj_status st = fj_safetensors_open_bytes(model_file.data, model_file.len, &source, &err);
    fj_assert(!st);
    fj_json_free(source->config);
    st = fj_json_parse(config_text, strlen(config_text), "tiny", false, &source->config, &err);
    fj_assert(!st);
    st = fj_model_open(source, &m, &err);
    fj_assert(!st);
    st = fj_pool_open(1, &pool, &err);
    fj_assert(!st);
    fj_kernels_init(&k, 0);
    fj_session_settings s = {
        .n_ctx = PROMPT, .chunk = PROMPT, .stop_layer = -1, .k_type = &fj_q8_0, .v_type = &fj_f16
    };
    st = fj_session_open(m, &s, pool, &k, &session, &err);
    fj_assert(!st);
    memcpy(file, data + 1, size - 1);
    if (data[0] & 1)
        own(session, file, size - 1);
    use(session, file, size - 1);
    fj_session_close(session);
    fj_pool_close(pool);
    fj_model_free(m);
    source->close(source);
    fj_str_free(&model_file);
    free(file);
    return 0;
}
