/* SPDX-License-Identifier: Apache-2.0
 * All architectures that forja reads and writes. Source: llama.cpp, convert_hf_to_gguf.py, gguf-py's constants.py, and llama-model.cpp
 * for what a file does not say; transformers' configuration classes for what an absent key means. */
#include "formats/gguf_archs.h"

#include <stdio.h>

const fj_gguf_arch *const fj_gguf_archs[] = { &fj_gguf_arch_bloom,
                                              &fj_gguf_arch_command_r,
                                              &fj_gguf_arch_dbrx,
                                              &fj_gguf_arch_falcon,
                                              &fj_gguf_arch_gemma,
                                              &fj_gguf_arch_gemma2,
                                              &fj_gguf_arch_gemma3,
                                              &fj_gguf_arch_gpt2,
                                              &fj_gguf_arch_gptneox,
                                              &fj_gguf_arch_grok,
                                              &fj_gguf_arch_jamba,
                                              &fj_gguf_arch_jetmoe,
                                              &fj_gguf_arch_llama,
                                              &fj_gguf_arch_mamba,
                                              &fj_gguf_arch_mpt,
                                              &fj_gguf_arch_nemotron,
                                              &fj_gguf_arch_openlm,
                                              &fj_gguf_arch_phi2,
                                              &fj_gguf_arch_phi3,
                                              &fj_gguf_arch_phi3small,
                                              &fj_gguf_arch_qwen2,
                                              &fj_gguf_arch_qwen3,
                                              NULL };

fj_status fj_gguf_no_memory(fj_err *err)
{
    return fj_fail(err, FJ_ERR_MEMORY, "no memory for a configuration");
}

void fj_gguf_set_arch_key(fj_gguf_writer *w, const char *arch, const char *name, double value, bool is_real)
{
    char key[128];
    (void)snprintf(key, sizeof key, "%s.%s", arch, name);
    if (is_real)
        fj_gguf_set_f32(w, key, (float)value);
    else
        fj_gguf_set_u32(w, key, (uint32_t)value);
}
