/* SPDX-License-Identifier: Apache-2.0
 * A PEFT folder over a tiny mixture of experts: two bytes say how long adapter_config.json is, then it and adapter_model.safetensors. What opens
 * fits the model: it answers, merges and is written again. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/formats.h"
#include "models/session.h"
#include "ones.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char config_text[] = "{\"model_type\":\"mixtral\",\"num_local_experts\":2,\"num_experts_per_tok\":2,"
                                  "\"hidden_size\":8,\"intermediate_size\":12,\"num_hidden_layers\":1,"
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
    { "model.layers.0.block_sparse_moe.gate.weight", 2, 8 },
    { "model.layers.0.block_sparse_moe.experts.0.w1.weight", 12, 8 },
    { "model.layers.0.block_sparse_moe.experts.0.w3.weight", 12, 8 },
    { "model.layers.0.block_sparse_moe.experts.0.w2.weight", 8, 12 },
    { "model.layers.0.block_sparse_moe.experts.1.w1.weight", 12, 8 },
    { "model.layers.0.block_sparse_moe.experts.1.w3.weight", 12, 8 },
    { "model.layers.0.block_sparse_moe.experts.1.w2.weight", 8, 12 },
};

static void use(const fj_model *m, fj_adapter *a, fj_pool *pool)
{
    fj_kernels k;
    fj_err err = { 0 };
    fj_session *session = NULL;
    fj_session_settings s = { .n_ctx = 2, .chunk = 1, .stop_layer = -1, .adapter = a };
    const int32_t ids[] = { 1, 4 };
    float logits[5], row[64] = { 0 };
    fj_kernels_init(&k, 0);
    fj_status st = fj_session_open(m, &s, pool, &k, &session, &err);
    fj_assert(!st);
    st = fj_session_forward(session, &(fj_rows_in){ .n = 2, .ids = ids }, logits, NULL, &err);
    fj_assert(!st);
    fj_session_close(session);
    for (int i = 0; i < a->n; i++) {
        const fj_lora *l = &a->items[i];
        const fj_shape *w = &l->weight->shape;
        int64_t last = fj_lora_experts(l) - 1;
        for (int is_b = 0; is_b < 2; is_b++) {
            fj_shape shape = fj_lora_shape(l, is_b);
            float *half = calloc((size_t)fj_shape_count(&shape), sizeof *half);
            if (half)
                fj_adapter_export(m, l, last, is_b, half);
            free(half);
        }
        fj_lora_merge_row(l, fj_shape_rows(w) - 1, row);
        fj_assert(fj_adapter_name(m, a, l, last, true));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fj_err err = { 0 };
    fj_str file = { 0 };
    fj_json *adapter_config = NULL;
    fj_source *weights_file = NULL, *tensors = NULL;
    fj_model *m = NULL;
    fj_adapter *a = NULL;
    fj_pool *pool = NULL;
    size_t len = size < 2 ? 0 : (size_t)data[0] | (size_t)data[1] << 8;
    if (size < 2 || len > size - 2)
        return 0;
    fj_status st = fj_json_parse((const char *)data + 2, len, "fuzz", false, &adapter_config, &err);
    if (!st)
        st = fj_safetensors_open_bytes(data + 2 + len, size - 2 - len, &tensors, &err);
    if (!st) {
        fuzz_write_ones(weights, FJ_LEN(weights), &file);
        st = fj_safetensors_open_bytes(file.data, file.len, &weights_file, &err);
        fj_assert(!st);
        fj_json_free(weights_file->config);
        st = fj_json_parse(config_text, strlen(config_text), "tiny", false, &weights_file->config, &err);
        fj_assert(!st);
        st = fj_model_open(weights_file, &m, &err);
        fj_assert(!st);
        st = fj_pool_open(1, &pool, &err);
        fj_assert(!st);
        st = fj_adapter_open(m, adapter_config, tensors, "fuzz", &a, &err);
        fj_assert(!st || ((st == FJ_ERR_FORMAT || st == FJ_ERR_SHAPE) && strlen(err.message) > 0 && !a));
        if (!st)
            use(m, a, pool);
    }
    fj_adapter_free(a);
    fj_pool_close(pool);
    fj_model_free(m);
    if (weights_file)
        weights_file->close(weights_file);
    if (tensors)
        tensors->close(tensors);
    fj_json_free(adapter_config);
    fj_str_free(&file);
    return 0;
}
