/* SPDX-License-Identifier: Apache-2.0
 * tokenizer.json and tokenizer_config.json of small vocabularies, word for word, and what they cannot say. */
#include "tokenizers/spm.h"
#include "tokenizers/test_tokenizers.h"

#define BLANK "\xe2\x96\x81"

static fj_tokenizer *open_llama(float score_of_blank_a)
{
    static const fj_text tokens[] = { { "<unk>", 5 }, { "<s>", 3 },    { "</s>", 4 }, { BLANK, 3 },
                                      { "a", 1 },     { "aa", 2 },     { "aaa", 3 },  { "aaaa", 4 },
                                      { "<u>", 3 },   { "<0x0A>", 6 }, { "aa", 2 },   { BLANK "a", 4 } };
    static const int32_t types[] = { 2, 3, 3, 1, 1, 1, 1, 1, 4, 6, 1, 1 };
    const float scores[] = { 0, 0, 0, -9, -9, -1, -3, -2, 0, 0, -9, score_of_blank_a };
    fj_gguf_vocab v = { .model = "llama",
                        .n_tokens = FJ_LEN(tokens),
                        .tokens = tokens,
                        .scores = scores,
                        .types = types,
                        .bos = -1,
                        .eos = -1,
                        .eot = -1,
                        .unk = -1,
                        .pad = 0,
                        .add_bos = 1,
                        .add_eos = 1,
                        .add_space_prefix = -1 };
    fj_err err = { 0 };
    fj_tokenizer *t = NULL;
    CHECK_OK(fj_tokenizer_from_gguf(&v, &t, &err));
    return t;
}

static void check_json(fj_json *value, const char *wanted)
{
    fj_str text = { 0 };
    CHECK(fj_json_write(value, 0, 17, &text));
    CHECK_TEXT(text.data, wanted);
    fj_str_free(&text);
}

TEST(tokenizer_json_of_scores_has_the_pipeline_and_merges_of_transformers)
{
    fj_err err = { 0 };
    fj_json *file = NULL;
    fj_tokenizer *t = open_llama(-4);
    CHECK_OK(fj_tokenizer_to_json(t, &file, &err));
    check_json(fj_json_get(file, "normalizer"),
               "{\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"Prepend\", \"prepend\": \"" BLANK "\"}, "
               "{\"type\": \"Replace\", \"pattern\": {\"String\": \" \"}, \"content\": \"" BLANK "\"}]}");
    CHECK(fj_json_is_null(fj_json_get(file, "pre_tokenizer")));
    check_json(fj_json_at(fj_json_get(file, "added_tokens"), 3),
               "{\"id\": 8, \"content\": \"<u>\", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, "
               "\"normalized\": false, \"special\": false}");
    const fj_json *model = fj_json_get(file, "model"), *post = fj_json_get(file, "post_processor");
    /* convert_slow_tokenizer.generate_merges: best score first, then the longer left half; the second "aa" has no name */
    check_json(fj_json_get(model, "merges"),
               "[[\"a\", \"a\"], [\"aaa\", \"a\"], [\"aa\", \"aa\"], [\"a\", \"aaa\"], [\"aa\", \"a\"], "
               "[\"a\", \"aa\"], [\"" BLANK "\", \"a\"]]");
    check_json(fj_json_get(model, "vocab"), "{\"<unk>\": 0, \"<s>\": 1, \"</s>\": 2, \"" BLANK
                                            "\": 3, \"a\": 4, \"aa\": 5, \"aaa\": 6, \"aaaa\": 7, "
                                            "\"<u>\": 8, \"<0x0A>\": 9, \"" BLANK "a\": 11}");
    check_json(fj_json_get(post, "single"), "[{\"SpecialToken\": {\"id\": \"<s>\", \"type_id\": 0}}, {\"Sequence\": "
                                            "{\"id\": \"A\", \"type_id\": 0}}, {\"SpecialToken\": {\"id\": \"</s>\", "
                                            "\"type_id\": 0}}]");
    check_json(fj_json_get(fj_json_get(post, "special_tokens"), "</s>"),
               "{\"id\": \"</s>\", \"ids\": [2], \"tokens\": [\"</s>\"]}");
    fj_json_free(file);
    fj_tokenizer *again = test_written_again(t);
    CHECK_TEXT(test_encode(again, "aaaa <u>\na", FJ_ENCODE_SPECIAL), "1 3 7 3 8 3 9 4 2");
    CHECK_TEXT(test_encode(t, "aaaa <u>\na", FJ_ENCODE_SPECIAL), "1 3 7 3 8 3 9 4 2");
    fj_tokenizer_free(again);
    fj_tokenizer_free(t);
}

TEST(tokenizer_config_names_the_tokens_and_the_template)
{
    fj_err err = { 0 };
    fj_json *config = NULL;
    fj_tokenizer *t = open_llama(-4);
    CHECK_OK(fj_tokenizer_config(t, "{{ x }}", &config, &err));
    check_json(config,
               "{\"tokenizer_class\": \"PreTrainedTokenizerFast\", \"bos_token\": \"<s>\", \"eos_token\": \"</s>\", "
               "\"unk_token\": \"<unk>\", \"pad_token\": \"<unk>\", \"add_bos_token\": true, "
               "\"add_eos_token\": true, \"clean_up_tokenization_spaces\": false, \"fix_mistral_regex\": false, "
               "\"model_input_names\": [\"input_ids\", \"attention_mask\"], \"chat_template\": \"{{ x }}\"}");
    fj_json_free(config);
    fj_tokenizer_free(t);
}

static void check_refused(const fj_tokenizer *t, const char *message)
{
    fj_err err = { 0 };
    fj_json *file = NULL;
    CHECK(fj_tokenizer_to_json(t, &file, &err) == FJ_ERR_FORMAT);
    CHECK_TEXT(err.message, message);
    CHECK(!file);
}

TEST(tokenizer_json_is_refused_where_it_would_say_something_else)
{
    static const fj_text tokens[] = { { "a", 1 }, { "\xff", 1 }, { "a\xff", 2 } }, merge = { "a \xff", 3 };
    fj_gguf_vocab v = {
        .model = "gpt2", .n_tokens = FJ_LEN(tokens), .n_merges = 1, .tokens = tokens, .merges = &merge
    };
    static const char *const kinds[][2] = {
        { "spm", "user-defined pieces that are looked for where spaces are " BLANK },
        { "spm-nfkc-like", "SentencePiece's longest match of its character map" },
    };
    fj_err err = { 0 };
    fj_tokenizer *t = NULL;
    v.pre = "gpt-2";
    CHECK_OK(fj_tokenizer_from_gguf(&v, &t, &err));
    check_refused(t, "GGUF vocabulary: token 1 is not UTF-8 or holds a NUL: tokenizer.json cannot hold it");
    fj_tokenizer_free(t);
    t = open_llama(-2);
    check_refused(t, "GGUF vocabulary: pieces 7 and 11 have one score: tokenizer.json has no word for that");
    fj_tokenizer_free(t);
    for (size_t i = 0; i < FJ_LEN(kinds); i++) {
        fj_str file = { 0 };
        char name[64], message[256];
        (void)snprintf(name, sizeof name, "tokenizers/%s/tokenizer.model", kinds[i][0]);
        CHECK_OK(fj_file_read(test_golden(name), 1 << 20, &file, &err));
        CHECK_OK(fj_tokenizer_from_spm(file.data, file.len, kinds[i][0], NULL, &t, &err));
        (void)snprintf(message, sizeof message, "%s: tokenizer.json has no word for %s", kinds[i][0], kinds[i][1]);
        check_refused(t, message);
        fj_str_free(&file);
        fj_tokenizer_free(t);
    }
}
