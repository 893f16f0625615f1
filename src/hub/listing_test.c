/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "hub/remote_internal.h"
#include "tests/test.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"

/* A listing of files, all of 10 bytes. */
static void list(const char *const *names, size_t n, fj_listing *out)
{
    fj_err err = { 0 };
    fj_str text = { 0 };
    fj_str_add_text(&text, "{\"sha\":\"" COMMIT "\",\"siblings\":[");
    for (size_t i = 0; i < n; i++)
        fj_str_printf(&text, "%s{\"rfilename\":\"%s\",\"size\":10,\"blobId\":\"" COMMIT "\"}", i ? "," : "", names[i]);
    fj_str_add_text(&text, "]}");
    CHECK_OK(fj_listing_parse(text.data, text.len, "hf:o/n", out, &err));
    CHECK(out->n == n);
    fj_str_free(&text);
}

/* The wanted files, those that are late behind a bar. */
static void check_wanted(const char *const *names, size_t n, const char *model, const char *wanted)
{
    fj_err err = { 0 };
    fj_listing l;
    fj_hub_ref ref;
    fj_str got = { 0 };
    list(names, n, &l);
    CHECK_OK(fj_hub_ref_of(model, &ref, &err));
    CHECK_OK(fj_listing_choose(&l, &ref, NULL, &err));
    fj_str_add_text(&got, "");
    for (int late = 0; late < 2; late++) {
        fj_str_add_text(&got, late ? "| " : "");
        for (size_t i = 0; i < n; i++)
            if (l.files[i].is_wanted && l.files[i].is_late == late)
                fj_str_printf(&got, "%s ", l.files[i].name);
    }
    CHECK_TEXT(got.data, wanted);
    fj_str_free(&got);
    fj_listing_free(&l);
}

TEST(hub_models_need_their_small_files_and_one_kind_of_weights)
{
    static const char *const all[] = { ".gitattributes",       "README.md",
                                       "config.json",          "flax_model.msgpack",
                                       "merges.txt",           "model.safetensors",
                                       "onnx/model.onnx",      "onnx/config.json",
                                       "original/params.json", "pytorch_model.bin",
                                       "tokenizer.json",       "tokenizer_config.json",
                                       "vocab.json",           "consolidated.safetensors",
                                       "modeling.py",          "training_args.bin",
                                       "tf_model.h5" };
    check_wanted(all, FJ_LEN(all), "hf:o/n",
                 "config.json merges.txt tokenizer.json tokenizer_config.json vocab.json | model.safetensors ");
    static const char *const shards[] = { "config.json", "model-00001-of-00002.safetensors",
                                          "model-00002-of-00002.safetensors", "model.safetensors.index.json",
                                          "pytorch_model.bin" };
    check_wanted(shards, FJ_LEN(shards), "hf:o/n", "config.json model.safetensors.index.json | ");
    static const char *const old[] = { "config.json", "pytorch_model.bin", "spiece.model", "x.gguf" };
    check_wanted(old, FJ_LEN(old), "hf:o/n", "config.json spiece.model | pytorch_model.bin ");
    static const char *const sentences[] = { "1_Pooling/config.json",
                                             "2_Dense/config.json",
                                             "2_Dense/model.safetensors",
                                             "2_Dense/pytorch_model.bin",
                                             "3_Dense/pytorch_model.bin",
                                             "model.safetensors",
                                             "modules.json",
                                             "config.json",
                                             "sentence_bert_config.json",
                                             "openvino/openvino_model.bin" };
    check_wanted(sentences, FJ_LEN(sentences), "hf:o/n",
                 "1_Pooling/config.json 2_Dense/config.json modules.json config.json sentence_bert_config.json | "
                 "2_Dense/model.safetensors 3_Dense/pytorch_model.bin model.safetensors ");
    static const char *const gptq[] = { "config.json", "quantize_config.json", "gptq_model-4bit-128g.safetensors" };
    check_wanted(gptq, FJ_LEN(gptq), "hf:o/n", "config.json quantize_config.json | gptq_model-4bit-128g.safetensors ");
    static const char *const adapter[] = { "adapter_config.json", "adapter_model.safetensors", "README.md" };
    check_wanted(adapter, FJ_LEN(adapter), "hf:o/n", "adapter_config.json | adapter_model.safetensors ");
    static const char *const words[] = { "tokenizer.json", "README.md" };
    check_wanted(words, FJ_LEN(words), "hf:o/n", "tokenizer.json | ");
}

TEST(hub_weights_can_be_left_away)
{
    static const char *const names[] = { "config.json", "tokenizer.json", "model.safetensors.index.json",
                                         "2_Dense/pytorch_model.bin" };
    fj_err err = { 0 };
    fj_listing l;
    fj_hub_ref ref;
    list(names, FJ_LEN(names), &l);
    CHECK_OK(fj_hub_ref_of("hf:o/n", &ref, &err));
    CHECK_OK(fj_listing_choose(&l, &ref, NULL, &err));
    fj_listing_spare_weights(&l);
    CHECK(l.files[0].is_wanted && l.files[1].is_wanted && !l.files[2].is_wanted && !l.files[3].is_wanted && !l.index);
    fj_listing_free(&l);
}

TEST(hub_gguf_files_come_alone_with_their_parts)
{
    static const char *const one[] = { "README.md", "config.json", "m-Q4_K_M.gguf", "mmproj-m-f16.gguf" };
    check_wanted(one, FJ_LEN(one), "hf:o/n", "| m-Q4_K_M.gguf ");
    static const char *const many[] = { "a-Q4_0.gguf", "q8/a-Q8_0-00001-of-00003.gguf", "q8/a-Q8_0-00002-of-00003.gguf",
                                        "q8/a-Q8_0-00003-of-00003.gguf" };
    check_wanted(many, FJ_LEN(many), "hf:o/n:a-Q4_0.gguf", "| a-Q4_0.gguf ");
    check_wanted(many, FJ_LEN(many), "hf:o/n:q8/a-Q8_0-00002-of-00003.gguf",
                 "| q8/a-Q8_0-00001-of-00003.gguf q8/a-Q8_0-00002-of-00003.gguf q8/a-Q8_0-00003-of-00003.gguf ");
    check_wanted(many + 1, 3, "hf:o/n",
                 "| q8/a-Q8_0-00001-of-00003.gguf q8/a-Q8_0-00002-of-00003.gguf q8/a-Q8_0-00003-of-00003.gguf ");
}

static void check_not_chosen(const char *const *names, size_t n, const char *model, fj_status wanted,
                             const char *message, const char *hint)
{
    fj_err err = { 0 };
    fj_listing l;
    fj_hub_ref ref;
    list(names, n, &l);
    CHECK_OK(fj_hub_ref_of(model, &ref, &err));
    CHECK(fj_listing_choose(&l, &ref, NULL, &err) == wanted);
    CHECK_TEXT(err.message, message);
    CHECK_TEXT(err.hint, hint);
    fj_listing_free(&l);
}

TEST(hub_names_that_do_not_say_enough_get_a_list_or_the_nearest)
{
    static const char *const files[] = { "m-Q4_K_M.gguf", "m-Q8_0.gguf", "README.md" };
    check_not_chosen(files, 3, "hf:o/n", FJ_ERR_USAGE, "hf:o/n holds 2 GGUF files; name one, as in hf:o/n:FILE",
                     "m-Q4_K_M.gguf (10 B), m-Q8_0.gguf (10 B)");
    check_not_chosen(files, 3, "hf:o/n:q8_0", FJ_ERR_NETWORK, "hf:o/n:q8_0: the repository has no file 'q8_0'",
                     "did you mean hf:o/n:m-Q8_0.gguf?");
    check_not_chosen(files, 3, "hf:o/n:m-Q4_KM.gguf", FJ_ERR_NETWORK,
                     "hf:o/n:m-Q4_KM.gguf: the repository has no file 'm-Q4_KM.gguf'",
                     "did you mean hf:o/n:m-Q4_K_M.gguf?");
    check_not_chosen(files + 2, 1, "hf:o/n", FJ_ERR_NETWORK, "hf:o/n: nothing in it that forja reads",
                     "a model has config.json with safetensors or pytorch_model.bin, or is a .gguf file");
    static const char *const parts[] = { "m-00001-of-00002.gguf" };
    check_not_chosen(parts, 1, "hf:o/n", FJ_ERR_NETWORK, "hf:o/n: m-00002-of-00002.gguf is not there, part 2 of 2", "");
}

TEST(hub_indexes_name_the_shards)
{
    static const char *const names[] = { "config.json", "model-1.safetensors", "model-2.safetensors",
                                         "model-3.safetensors", "model.safetensors.index.json" };
    static const char good[] = "{\"weight_map\":{\"a\":\"model-1.safetensors\",\"b\":\"model-3.safetensors\"}}";
    static const char bad[] = "{\"weight_map\":{\"a\":\"../x.safetensors\"}}";
    fj_err err = { 0 };
    fj_listing l;
    fj_hub_ref ref;
    list(names, FJ_LEN(names), &l);
    CHECK_OK(fj_hub_ref_of("hf:o/n", &ref, &err));
    CHECK_OK(fj_listing_choose(&l, &ref, NULL, &err));
    CHECK_TEXT(l.index, "model.safetensors.index.json");
    CHECK_OK(fj_listing_choose_shards(&l, good, sizeof good - 1, &err));
    CHECK(l.files[1].is_wanted && !l.files[2].is_wanted && l.files[3].is_wanted);
    CHECK(fj_listing_choose_shards(&l, bad, sizeof bad - 1, &err) == FJ_ERR_NETWORK);
    CHECK_TEXT(err.message,
               "model.safetensors.index.json: names '../x.safetensors', which the repository does not have");
    CHECK(fj_listing_choose_shards(&l, "{}", 2, &err) == FJ_ERR_FORMAT);
    CHECK_TEXT(err.message, "model.safetensors.index.json: no weight_map");
    fj_listing_free(&l);
}

TEST(hub_answers_that_are_none_are_refused)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        { "", "hf:o/n: the hub's answer: not JSON" },
        { "[]", "hf:o/n: the hub's answer names no commit and files" },
        { "{\"sha\":\"main\",\"siblings\":[]}", "hf:o/n: the hub's answer names no commit and files" },
        { "{\"sha\":\"../../../../../../../../../../../../../x\",\"siblings\":[]}",
          "hf:o/n: the hub's answer names no commit" },
        { "{\"sha\":\"" COMMIT "\",\"siblings\":{}}", "hf:o/n: the hub's answer names no commit and files" },
        { "{\"sha\":\"" COMMIT "\",\"siblings\":[{}]}", "hf:o/n: the hub lists a file '', which is no name" },
        { "{\"sha\":\"" COMMIT "\",\"siblings\":[{\"rfilename\":\"a/../b\"}]}",
          "hf:o/n: the hub lists a file 'a/../b', which" },
        { "{\"sha\":\"" COMMIT "\",\"siblings\":[{\"rfilename\":\"a\\u0000b\"}]}", "hf:o/n: the hub lists a file 'a" },
        { "{\"sha\":\"" COMMIT "\",\"siblings\":[{\"rfilename\":\"a\",\"size\":-2}]}",
          "hf:o/n: the hub says that a has -2 bytes" },
        { "{\"sha\":\"" COMMIT "\",\"siblings\":[{\"rfilename\":\"a\",\"lfs\":{\"size\":99999999999999999}}]}",
          "hf:o/n: the hub says that a has 99999999999999999 bytes" },
    };
    for (size_t i = 0; i < FJ_LEN(cases); i++) {
        fj_err err = { 0 };
        fj_listing l;
        CHECK(fj_listing_parse(cases[i].text, strlen(cases[i].text), "hf:o/n", &l, &err) == FJ_ERR_NETWORK);
        CHECK(strstr(err.message, cases[i].message) == err.message);
        CHECK(!l.arena && !l.files);
    }
}
