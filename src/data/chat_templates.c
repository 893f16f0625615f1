/* SPDX-License-Identifier: Apache-2.0
 * Built-in chat templates under LLaMA-Factory's names: what each of them writes, as Jinja.
 * Source: LLaMA-Factory data/template.py (names, texts around a turn). Where it differs from what the models were trained with, the
 * models' own cards and code hold: zephyr's newlines and missing default, the blanks of llama2 and vicuna, smollm2's default without
 * a full stop, the blank line behind a system message of alpaca. tests/oracle/data.py lists these differences (OURS). */

#include <string.h>

#include "data/data_internal.h"

static const struct {
    const char *name, *text;
} templates[] = {
    { "alpaca", "{% if messages[0].role == 'system' %}{{ messages[0].content + '\\n\\n' }}{% else %}"
                "{{ 'Below is an instruction that describes a task. Write a response that appropriately completes the "
                "request.\\n\\n' }}{% endif %}"
                "{% for m in messages %}{% if m.role == 'user' %}{{ '### Instruction:\\n' + m.content + '\\n\\n### "
                "Response:\\n' }}"
                "{% elif m.role == 'assistant' %}{{ m.content + eos_token + '\\n\\n' }}{% endif %}{% endfor %}" },
    { "chatml", "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
                "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}" },
    { "default", "{% for m in messages %}{% if m.role == 'system' %}{{ 'System: ' + m.content + eos_token + '\\n' }}"
                 "{% elif m.role == 'user' %}{{ 'Human: ' + m.content + eos_token + '\\nAssistant:' }}"
                 "{% elif m.role == 'assistant' %}{{ m.content + eos_token + '\\n' }}{% endif %}{% endfor %}" },
    { "empty", "{% for m in messages %}{{ m.content }}{% endfor %}" },
    { "fewshot", "{% for m in messages %}{{ m.content }}{% if m.role == 'assistant' %}{{ '\\n\\n' }}"
                 "{% if loop.last %}{{ eos_token }}{% endif %}{% endif %}{% endfor %}" },
    { "gemma", "{{ bos_token }}{% set ns = namespace(system='') %}{% for m in messages %}"
               "{% if m.role == 'system' %}{% set ns.system = m.content + '\\n\\n' %}"
               "{% else %}{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else 'user') + '\\n' + ns.system + "
               "m.content + '<end_of_turn>\\n' }}"
               "{% set ns.system = '' %}{% endif %}{% endfor %}"
               "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}" },
    { "llama2", "{% set ns = namespace(system='') %}{% for m in messages %}"
                "{% if m.role == 'system' %}{% set ns.system = '<<SYS>>\\n' + m.content + '\\n<</SYS>>\\n\\n' %}"
                "{% elif m.role == 'user' %}{{ bos_token + '[INST] ' + ns.system + m.content + ' [/INST]' }}{% set "
                "ns.system = '' %}"
                "{% elif m.role == 'assistant' %}{{ ' ' + m.content + eos_token }}{% endif %}{% endfor %}" },
    { "llama3",
      "{{ bos_token }}{% for m in messages %}{% set role = 'ipython' if m.role == 'tool' else m.role %}"
      "{{ '<|start_header_id|>' + role + '<|end_header_id|>\\n\\n' + m.content + '<|eot_id|>' }}{% endfor %}"
      "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}" },
    { "mistral",
      "{{ bos_token }}{% set ns = namespace(system='') %}{% for m in messages %}"
      "{% if m.role == 'system' %}{% set ns.system = m.content + '\\n\\n' %}"
      "{% elif m.role == 'user' %}{{ '[INST] ' + ns.system + m.content + '[/INST]' }}{% set ns.system = '' %}"
      "{% elif m.role == 'assistant' %}{{ ' ' + m.content + eos_token }}{% endif %}{% endfor %}" },
    { "phi", "{% for m in messages %}{{ '<|' + m.role + '|>\\n' + m.content + '<|end|>\\n' }}{% endfor %}"
             "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}" },
    { "qwen", "{% if messages[0].role != 'system' %}"
              "{{ '<|im_start|>system\\nYou are Qwen, created by Alibaba Cloud. You are a helpful "
              "assistant.<|im_end|>\\n' }}{% endif %}"
              "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
              "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}" },
    { "qwen3", /* an answer that shows no thought gets an empty one, which is learned */
      "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' }}"
      "{% if m.role == 'assistant' and '<think>' not in m.content and '</think>' not in m.content %}"
      "{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}{{ m.content + '<|im_end|>\\n' }}{% endfor %}"
      "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}" },
    { "qwen3_nothink",
      "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
      "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}" },
    { "smollm2",
      "{% if messages[0].role != 'system' %}"
      "{{ '<|im_start|>system\\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\\n' "
      "}}{% endif %}"
      "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
      "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}" },
    { "vicuna", "{% if messages[0].role == 'system' %}{{ messages[0].content + ' ' }}{% else %}"
                "{{ 'A chat between a curious user and an artificial intelligence assistant. '"
                " 'The assistant gives helpful, detailed, and polite answers to the user\\'s questions. ' }}{% endif %}"
                "{% for m in messages %}{% if m.role == 'user' %}{{ 'USER: ' + m.content + ' ASSISTANT:' }}"
                "{% elif m.role == 'assistant' %}{{ ' ' + m.content + eos_token }}{% endif %}{% endfor %}" },
    { "zephyr", "{% for m in messages %}{{ '<|' + m.role + '|>\\n' + m.content + eos_token + '\\n' }}{% endfor %}"
                "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}" },
};

static const char *const template_names[] = {
    "alpaca", "chatml", "default", "empty",         "fewshot", "gemma",  "llama2", "llama3", "mistral",
    "phi",    "qwen",   "qwen3",   "qwen3_nothink", "smollm2", "vicuna", "zephyr", NULL,
};

const char *fj_chat_template(const char *name, const char *const **names)
{
    if (names)
        *names = template_names;
    for (size_t i = 0; name && i < FJ_LEN(templates); i++)
        if (strcmp(templates[i].name, name) == 0)
            return templates[i].text;
    return NULL;
}
