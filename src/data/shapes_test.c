/* SPDX-License-Identifier: Apache-2.0
 * Layouts of rows, and which of their tokens are trained. */

#include <stdlib.h>

#include "data/test_data.h"

static void shows(const fj_data_config *c, const char *wanted)
{
    fj_err err = { 0 };
    fj_dataset *d = NULL;
    CHECK_OK(fj_dataset_load(c, &d, &err));
    char *shown = test_show(d->rows, d->n_rows, c->tokenizer);
    CHECK_TEXT(shown, wanted);
    free(shown);
    fj_dataset_free(d);
}

/* One row, with a template and its end token. */
static void row_shows(const char *row, const char *template_name, const char *eos, const char *wanted)
{
    fj_tokenizer *t = test_tokenizer(eos);
    fj_data_config c = test_config(t, test_write_rows("shape.jsonl", row));
    c.template_name = template_name;
    shows(&c, wanted);
    fj_tokenizer_free(t);
}

TEST(alpaca_rows_train_the_output_and_every_answer_of_the_history)
{
    fj_tokenizer *t = test_tokenizer("<|im_end|>");
    fj_data_config c = test_config(t, "alpaca.json"); /* the third row has an empty answer: it is left out */
    shows(&c, "<|im_start|>user\\nhello<|im_end|>\\n<|im_start|>assistant\\n⟦hola<|im_end|>⟧\\n\n"
              "<|im_start|>system\\nBe "
              "kind.<|im_end|>\\n<|im_start|>user\\none<|im_end|>\\n<|im_start|>assistant\\n⟦1<|im_end|>⟧\\n"
              "<|im_start|>user\\ntwo<|im_end|>\\n<|im_start|>assistant\\n⟦2<|im_end|>⟧\\n"
              "<|im_start|>user\\nSay it\\nagain<|im_end|>\\n<|im_start|>assistant\\n⟦¡again!<|im_end|>⟧\\n\n");
    c.mask_history = true;
    shows(&c, "<|im_start|>user\\nhello<|im_end|>\\n<|im_start|>assistant\\n⟦hola<|im_end|>⟧\\n\n"
              "<|im_start|>system\\nBe "
              "kind.<|im_end|>\\n<|im_start|>user\\none<|im_end|>\\n<|im_start|>assistant\\n1<|im_end|>\\n"
              "<|im_start|>user\\ntwo<|im_end|>\\n<|im_start|>assistant\\n2<|im_end|>\\n"
              "<|im_start|>user\\nSay it\\nagain<|im_end|>\\n<|im_start|>assistant\\n⟦¡again!<|im_end|>⟧\\n\n");
    fj_tokenizer_free(t);
}

TEST(train_on_prompt_trains_every_token)
{
    fj_tokenizer *t = test_tokenizer("<|im_end|>");
    fj_data_config c = test_config(t, "named");
    c.train_on_prompt = true;
    c.default_system = "S";
    shows(&c, "⟦<|im_start|>system\\nS<|im_end|>\\n<|im_start|>user\\nq1<|im_end|>\\n<|im_start|>assistant\\na1<|im_"
              "end|>\\n⟧\n");
    fj_tokenizer_free(t);
}

TEST(a_row_s_own_system_message_wins_over_the_default)
{
    fj_tokenizer *t = test_tokenizer("<|im_end|>");
    fj_data_config c = test_config(t, "openai.jsonl");
    c.default_system = "D";
    shows(
        &c,
        "<|im_start|>system\\nS<|im_end|>\\n<|im_start|>user\\nq<|im_end|>\\n<|im_start|>assistant\\n⟦r<|im_end|>⟧\\n\n"
        "<|im_start|>system\\nD<|im_end|>\\n<|im_start|>user\\np1p2<|im_end|>\\n<|im_start|>assistant\\n⟦x<|im_end|>"
        "⟧\\n\n");
    fj_tokenizer_free(t);
}

TEST(sharegpt_rows_train_answers_and_function_calls_but_no_observation)
{
    fj_tokenizer *t = test_tokenizer("<|im_end|>");
    fj_data_config c = test_config(t, "sharegpt.jsonl");
    shows(&c,
          "<|im_start|>user\\na<|im_end|>\\n<|im_start|>assistant\\n⟦b<|im_end|>⟧\\n"
          "<|im_start|>user\\nc <|im_end|><|im_end|>\\n<|im_start|>assistant\\n⟦d<|im_end|>⟧\\n\n"
          "<|im_start|>system\\nS<|im_end|>\\n<|im_start|>user\\nt?<|im_end|>\\n<|im_start|>assistant\\n"
          "⟦{\"name\": \"f\", \"arguments\": {}}<|im_end|>⟧\\n<|im_start|>tool\\n5<|im_end|>\\n<|im_start|>assistant\\n"
          "⟦five<|im_end|>⟧\\n\n");
    fj_tokenizer_free(t);
}

TEST(an_end_token_that_a_row_only_spells_is_text)
{
    fj_tokenizer *t = test_tokenizer("<|im_end|>");
    fj_data_config c = test_config(t, "sharegpt.jsonl");
    fj_err err = { 0 };
    fj_dataset *d = NULL;
    int64_t ends = 0;
    CHECK_OK(fj_dataset_load(&c, &d, &err));
    for (int32_t i = 0; i < d->rows[0].n; i++)
        ends += d->rows[0].ids[i] == fj_tokenizer_eos(t);
    assert_int_equal(ends, 4); /* one a message; the user's own is spelled in bytes */
    fj_dataset_free(d);
    fj_tokenizer_free(t);
}

TEST(every_built_in_template_trains_the_answer_and_its_end)
{
    static const char *const row =
        "{\"messages\":[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\",\"content\":\"q\"},"
        "{\"role\":\"assistant\",\"content\":\"r\"},{\"role\":\"user\",\"content\":\"p\"},"
        "{\"role\":\"assistant\",\"content\":\"x\"}]}";
    static const char *const wanted[][2] = {
        { "alpaca", "S\\n\\n### Instruction:\\nq\\n\\n### Response:\\n⟦r</s>⟧\\n\\n### Instruction:\\np\\n\\n### "
                    "Response:\\n⟦x</s>⟧\\n\\n\n" },
        { "chatml",
          "<|im_start|>system\\nS<|im_end|>\\n<|im_start|>user\\nq<|im_end|>\\n<|im_start|>assistant\\n⟦r<|im_end|>⟧\\n"
          "<|im_start|>user\\np<|im_end|>\\n<|im_start|>assistant\\n⟦x<|im_end|>⟧\\n\n" },
        { "default", "System: S</s>\\nHuman: q</s>\\nAssistant:⟦r</s>⟧\\nHuman: p</s>\\nAssistant:⟦x</s>⟧\\n\n" },
        { "empty", "Sq⟦r⟧p⟦x⟧\n" },
        { "fewshot", "Sq⟦r⟧\\n\\np⟦x\\n\\n</s>⟧\n" },
        { "gemma", "<s><start_of_turn>user\\nS\\n\\nq<end_of_turn>\\n<start_of_turn>model\\n⟦r<end_of_turn>⟧\\n"
                   "<start_of_turn>user\\np<end_of_turn>\\n<start_of_turn>model\\n⟦x<end_of_turn>⟧\\n\n" },
        { "llama2", "<s>[INST] <<SYS>>\\nS\\n<</SYS>>\\n\\nq [/INST]⟦ r</s>⟧<s>[INST] p [/INST]⟦ x</s>⟧\n" },
        { "llama3", "<s><|start_header_id|>system<|end_header_id|>\\n\\nS<|eot_id|><|start_header_id|>user<|end_header_"
                    "id|>\\n\\nq<|eot_id|>"
                    "<|start_header_id|>assistant<|end_header_id|>\\n\\n⟦r<|eot_id|>⟧<|start_header_id|>user<|end_"
                    "header_id|>\\n\\np<|eot_id|>"
                    "<|start_header_id|>assistant<|end_header_id|>\\n\\n⟦x<|eot_id|>⟧\n" },
        { "mistral", "<s>[INST] S\\n\\nq[/INST]⟦ r</s>⟧[INST] p[/INST]⟦ x</s>⟧\n" },
        { "phi", "<|system|>\\nS<|end|>\\n<|user|>\\nq<|end|>\\n<|assistant|>\\n⟦r<|end|>⟧\\n<|user|>\\np<|end|>\\n<|"
                 "assistant|>\\n⟦x<|end|>⟧\\n\n" },
        { "qwen",
          "<|im_start|>system\\nS<|im_end|>\\n<|im_start|>user\\nq<|im_end|>\\n<|im_start|>assistant\\n⟦r<|im_end|>⟧\\n"
          "<|im_start|>user\\np<|im_end|>\\n<|im_start|>assistant\\n⟦x<|im_end|>⟧\\n\n" },
        { "qwen3",
          "<|im_start|>system\\nS<|im_end|>\\n<|im_start|>user\\nq<|im_end|>\\n<|im_start|>assistant\\n"
          "⟦<think>\\n\\n</think>\\n\\nr<|im_end|>⟧\\n<|im_start|>user\\np<|im_end|>\\n<|im_start|>assistant\\n"
          "⟦<think>\\n\\n</think>\\n\\nx<|im_end|>⟧\\n\n" },
        { "qwen3_nothink",
          "<|im_start|>system\\nS<|im_end|>\\n<|im_start|>user\\nq<|im_end|>\\n<|im_start|>assistant\\n"
          "⟦r<|im_end|>⟧\\n<|im_start|>user\\np<|im_end|>\\n<|im_start|>assistant\\n⟦x<|im_end|>⟧\\n\n" },
        { "smollm2",
          "<|im_start|>system\\nS<|im_end|>\\n<|im_start|>user\\nq<|im_end|>\\n<|im_start|>assistant\\n⟦r<|im_end|>⟧\\n"
          "<|im_start|>user\\np<|im_end|>\\n<|im_start|>assistant\\n⟦x<|im_end|>⟧\\n\n" },
        { "vicuna", "S USER: q ASSISTANT:⟦ r</s>⟧USER: p ASSISTANT:⟦ x</s>⟧\n" },
        { "zephyr", "<|system|>\\nS</s>\\n<|user|>\\nq</s>\\n<|assistant|>\\n⟦r</s>⟧\\n<|user|>\\np</"
                    "s>\\n<|assistant|>\\n⟦x</s>⟧\\n\n" },
    };
    const char *const *names = NULL;
    (void)fj_chat_template(NULL, &names);
    for (size_t i = 0; i < FJ_LEN(wanted); i++) {
        CHECK_TEXT(names[i], wanted[i][0]); /* none is forgotten here */
        row_shows(row, wanted[i][0], "</s>", wanted[i][1]);
    }
    assert_null(names[FJ_LEN(wanted)]);
}

TEST(a_template_that_drops_old_thoughts_trains_what_it_writes)
{
    /* as reasoning models' templates do: of an answer that is not the last, only what follows the thought is written */
    static const char *const text =
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' }}"
        "{% if m.role == 'assistant' and not loop.last %}{{ m.content.split('/think')[-1] }}{% else %}{{ m.content "
        "}}{% endif %}"
        "{{ '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
    fj_tokenizer *t = test_tokenizer("<|im_end|>");
    fj_data_config c = test_config(
        t,
        test_write_rows(
            "thoughts.jsonl",
            "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"hm/thinkr\"},"
            "{\"role\":\"user\",\"content\":\"p\"},{\"role\":\"assistant\",\"content\":\"ha/thinkx\"}]}"));
    c.template_name = NULL;
    c.chat_template = text;
    shows(&c,
          "<|im_start|>user\\nq<|im_end|>\\n<|im_start|>assistant\\n⟦r<|im_end|>⟧\\n<|im_start|>user\\np<|im_end|>\\n"
          "<|im_start|>assistant\\n⟦ha/thinkx<|im_end|>⟧\\n\n");
    fj_tokenizer_free(t);
}

TEST(an_empty_answer_inside_a_conversation_is_not_trained)
{
    row_shows("{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"\"},"
              "{\"role\":\"user\",\"content\":\"p\"},{\"role\":\"assistant\",\"content\":\"x\"}]}",
              "chatml", "<|im_end|>",
              "<|im_start|>user\\nq<|im_end|>\\n<|im_start|>assistant\\n<|im_end|>\\n<|im_start|>user\\np<|im_end|>\\n"
              "<|im_start|>assistant\\n⟦x<|im_end|>⟧\\n\n");
}

TEST(a_template_s_refusal_is_the_row_s_error)
{
    static const char *const strict =
        "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('roles must alternate') }}{% endif %}{{ m.content }}{% endfor %}";
    fj_tokenizer *t = test_tokenizer("<|im_end|>");
    fj_data_config c = test_config(t, "openai.jsonl");
    c.template_name = NULL;
    c.chat_template = strict;
    test_refuses(&c, FJ_ERR_DATA,
                 "…/openai.jsonl: row 1: the chat template refuses this conversation: roles must alternate", NULL);
    c.chat_template = NULL;
    test_refuses(&c, FJ_ERR_DATA, "…/openai.jsonl: row 1: a conversation, but the model has no chat template",
                 "choose one: template: chatml");
    c.template_name = "chatm";
    test_refuses(&c, FJ_ERR_USAGE, "template 'chatm' is not known",
                 "did you mean 'chatml'? Without `template` the model's own is used");
    fj_tokenizer_free(t);
}

TEST(tools_need_a_template_that_has_a_place_for_them)
{
    static const char *const row =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"r\"}],"
        "\"tools\":\"[{\\\"name\\\":\\\"f\\\"}]\"}";
    fj_tokenizer *t = test_tokenizer("<|im_end|>");
    const char *path = test_write_rows("tools.jsonl", row);
    fj_data_config c = test_config(t, path);
    fj_err err = { 0 };
    fj_dataset *d = NULL;
    assert_int_equal(fj_dataset_load(&c, &d, &err), FJ_ERR_DATA);
    CHECK(strstr(err.message, "row 1: the row has tools, but the chat template has no place for them"));
    c.template_name = NULL;
    c.chat_template =
        "{{ tools[0].function.name }}:{% for m in messages %}{{ m.content }}{% if m.role == 'assistant' %}</s>"
        "{% endif %}{% endfor %}";
    shows(&c, "f:q⟦r</s>⟧\n");
    fj_tokenizer_free(t);
}

TEST(text_of_stage_pt_is_trained_whole_with_an_end_token)
{
    fj_tokenizer *t = test_tokenizer("</s>");
    fj_data_config c = test_config(t, "text.jsonl");
    c.stage = "pt";
    shows(&c, "⟦hello there</s>⟧\n⟦0123456789</s>⟧\n");
    c.dataset = "texts";
    shows(&c, "⟦hello there</s>⟧\n⟦0123456789</s>⟧\n");
    c.dataset = "plain.txt"; /* an empty line is no row; blanks of a line stay */
    shows(&c, "⟦first line</s>⟧\n⟦  second line</s>⟧\n");
    c.dataset = "sharegpt.jsonl";
    test_refuses(&c, FJ_ERR_DATA, "…/sharegpt.jsonl: row 1: stage pt wants text, these rows are sharegpt conversations",
                 "choose stage: sft, or name the text's column: columns: {\"prompt\": …} in dataset_info.json");
    fj_tokenizer_free(t);
}

TEST(tokenized_rows_are_taken_as_they_are)
{
    fj_tokenizer *t = test_tokenizer("</s>");
    fj_data_config c = test_config(t, "tokens.jsonl");
    fj_err err = { 0 };
    fj_dataset *d = NULL;
    static const int32_t ids[] = { 1, 2, 3, 4 }, labels[] = { -100, -100, 3, 4 }, types[] = { 0, 1 };
    CHECK_OK(fj_dataset_load(&c, &d, &err));
    assert_int_equal(d->n_rows, 3);
    assert_memory_equal(d->rows[0].ids, ids, sizeof ids);
    assert_memory_equal(d->rows[0].labels, labels, sizeof labels);
    assert_null(d->rows[0].types);
    assert_int_equal(d->rows[0].n_targets, 2);
    assert_memory_equal(d->rows[1].types, types, sizeof types);
    assert_int_equal(d->rows[1].n_targets, 1); /* the first label never counts */
    assert_int_equal(d->rows[1].number, 3);
    fj_dataset_free(d);
    c.tokenizer = NULL;
    c.n_vocab = 10;
    test_refuses(&c, FJ_ERR_DATA, "…/tokens.jsonl: row 4: input_ids[9] is 10, the vocabulary has 10", NULL);
    fj_tokenizer_free(t);
}
