/* SPDX-License-Identifier: Apache-2.0
 * See table.h. The guide's estimates: reference/training.md, 6; they are LLaMA-Factory's, without length and batch. */
#include "plan/table.h"

/* 30B: LLaMA of 2023 (Touvron et al., table 2: 32.5 billion). */
const fj_plan_size fj_plan_sizes[FJ_PLAN_SIZES] = {
    { "7B", "llama2:7b-chat" },
    { "13B", "llama2:13b-chat" },
    { "30B", NULL,
      "{\"model_type\": \"llama\", \"hidden_size\": 6656, \"num_hidden_layers\": 60, \"num_attention_heads\": 52, "
      "\"intermediate_size\": 17920, \"vocab_size\": 32000, \"max_position_embeddings\": 2048, "
      "\"tie_word_embeddings\": false, \"torch_dtype\": \"bfloat16\"}" },
    { "70B", "llama2:70b-chat" },
    { "8x7B", "mixtral:8x7b-instruct" },
};

/* clang-format off */
const fj_plan_way fj_plan_ways[] = {
    { "run_16", "run, 16 bits", "run", "BF16" },
    { "run_8", "run, 8 bits", "run", "Q8_0" },
    { "run_4", "run, 4 bits", "run", "Q4_K_M" },
    { "run_2", "run, 2 bits", "run", "Q2_K" },
    { "full_amp", "full, mixed", "full", "BF16", NULL, { 120, 240, 600, 1200, 900 } },
    { "full_16", "full, pure 16", "full_bf16", "BF16", NULL, { 60, 120, 300, 600, 400 } },
    { "freeze_16", "freeze, 16 bits", "freeze", "BF16", NULL, { 20, 40, 80, 200, 160 } },
    { "galore_16", "GaLore, 16 bits", NULL, "BF16", "comes with use_galore", { 16, 32, 64, 160, 120 } },
    { "lora_16", "LoRA, 16 bits", "lora", "BF16", NULL, { 16, 32, 64, 160, 120 } },
    { "qlora_8", "QLoRA, 8 bits", "lora", "INT8", NULL, { 10, 20, 40, 80, 60 }, 8 },
    { "qlora_4", "QLoRA, 4 bits", "lora", "NF4", NULL, { 6, 12, 24, 48, 30 }, 4 },
    { "qlora_2", "QLoRA, 2 bits", "lora", "IQ2_XS", NULL, { 4, 8, 16, 24, 18 }, 2 },
    { "adamw_8bit", "full, 8-bit AdamW", NULL, "BF16", "comes with optim: adamw_8bit" },
    { "lomo", "full, LOMO", NULL, "BF16", "comes with optim: lomo" },
    { 0 },
};
/* clang-format on */

fj_status fj_plan_cell(const fj_json *config, const fj_plan_way *way, const fj_plan_wanted *asked, int n_threads,
                       const fj_kernels *k, fj_plan *out, const char **why, fj_err *err)
{
    fj_model *m = NULL;
    fj_plan_wanted wanted = *asked;
    *out = (fj_plan){ 0 };
    *why = way->later;
    if (!way->method)
        return FJ_OK;
    wanted.method = way->method;
    wanted.bf16 = true;
    fj_status st = way->bits ? fj_plan_quantized_model(config, way->bits, &m, err)
                             : fj_plan_model(config, fj_recipe_by_name(way->type), &m, err);
    if (!st)
        st = fj_plan_method(m, &wanted, n_threads, k, out, err);
    fj_model_free(m);
    if (st != FJ_ERR_USAGE)
        return st;
    *out = (fj_plan){ 0 };
    *why = err->message;
    err->status = FJ_OK; /* graphs look whether their fj_err has failed before */
    return FJ_OK;
}
