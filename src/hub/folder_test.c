/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/map.h"
#include "hub/hub_internal.h"
#include "tests/test.h"

/* An empty folder; the caller frees its path. */
static char *new_folder(const char *name)
{
    fj_err err = { 0 };
    char *path = strdup(test_temporary(name));
    CHECK(path);
    CHECK_OK(fj_remove_tree(path, &err));
    CHECK_OK(fj_make_dirs(path, &err));
    return path;
}

static void put(const char *folder, const char *name, const char *text)
{
    fj_err err = { 0 };
    char *path = fj_path_join(folder, name);
    CHECK(path);
    CHECK_OK(fj_file_write(path, text, strlen(text), &err));
    free(path);
}

static void check_template(const char *folder, const char *wanted)
{
    fj_err err = { 0 };
    fj_json *config = NULL;
    char *text = NULL;
    CHECK_OK(fj_folder_tokenizer_config(folder, &config, &err));
    CHECK_OK(fj_folder_template(folder, config, &text, &err));
    CHECK((text != NULL) == (wanted != NULL));
    if (wanted)
        CHECK_TEXT(text, wanted);
    free(text);
    fj_json_free(config);
}

TEST(folder_template_is_the_newest_form_that_is_there)
{
    char *folder = new_folder("template");
    check_template(folder, NULL);
    put(folder, "tokenizer_config.json", "{\"chat_template\": 3}");
    check_template(folder, NULL);
    put(folder, "tokenizer_config.json", "{\"chat_template\": [{\"name\": \"tools\", \"template\": \"T\"}, 5]}");
    check_template(folder, NULL);
    put(folder, "tokenizer_config.json",
        "{\"chat_template\": [{\"name\": \"tools\", \"template\": \"T\"}, {\"name\": \"default\", \"template\": "
        "\"D\"}]}");
    check_template(folder, "D");
    put(folder, "tokenizer_config.json", "{\"chat_template\": \"plain\"}");
    check_template(folder, "plain");
    put(folder, "chat_template.json", "{\"chat_template\": \"of json\"}");
    check_template(folder, "of json");
    put(folder, "chat_template.jinja", "{{ own }}\n");
    check_template(folder, "{{ own }}\n");
    free(folder);
}

static void check_config(const char *folder, const char *wanted)
{
    fj_err err = { 0 };
    fj_json *config = NULL;
    fj_str text = { 0 };
    CHECK_OK(fj_folder_tokenizer_config(folder, &config, &err));
    CHECK((config != NULL) == (wanted != NULL));
    if (wanted) {
        CHECK(fj_json_write(config, 0, 9, &text));
        CHECK_TEXT(text.data, wanted);
    }
    fj_str_free(&text);
    fj_json_free(config);
}

TEST(folder_special_tokens_of_old_models_come_from_their_map)
{
    char *folder = new_folder("map");
    check_config(folder, NULL);
    put(folder, "special_tokens_map.json", "{\"bos_token\": \"<s>\", \"eos_token\": {\"content\": \"</s>\"}}");
    check_config(folder, "{\"bos_token\": \"<s>\", \"eos_token\": {\"content\": \"</s>\"}}");
    put(folder, "tokenizer_config.json", "{\"bos_token\": \"[B]\", \"eos_token\": null}");
    check_config(folder, "{\"bos_token\": \"[B]\", \"eos_token\": {\"content\": \"</s>\"}}");
    put(folder, "tokenizer_config.json", "{\"added_tokens_decoder\": {}, \"bos_token\": null}");
    check_config(folder, "{\"added_tokens_decoder\": {}, \"bos_token\": null}");
    free(folder);
}

TEST(folder_files_that_are_broken_are_named)
{
    fj_err err = { 0 };
    fj_json *v = NULL;
    fj_str text = { 0 };
    char *path = NULL, *folder = new_folder("broken");
    CHECK_OK(fj_folder_json(folder, "generation_config.json", &v, &err));
    CHECK(!v);
    put(folder, "generation_config.json", "[]");
    CHECK(fj_folder_json(folder, "generation_config.json", &v, &err) == FJ_ERR_FORMAT && !v);
    CHECK(strstr(err.message, "broken/generation_config.json: not an object"));
    put(folder, "generation_config.json", "{\"a\":");
    CHECK(fj_folder_json(folder, "generation_config.json", &v, &err) == FJ_ERR_FORMAT && !v);
    CHECK(strstr(err.message, "broken/generation_config.json: not JSON: line 1"));
    CHECK_OK(fj_folder_read(folder, "tokenizer.json", 100, &text, &path, &err));
    CHECK(!path);
    put(folder, "tokenizer.json", "version https://git-lfs.github.com/spec/v1\n");
    CHECK(fj_folder_read(folder, "tokenizer.json", 100, &text, &path, &err) == FJ_ERR_FORMAT && !path);
    CHECK(strstr(err.message, "tokenizer.json: not the file itself: a pointer of Git LFS"));
    fj_str_free(&text);
    put(folder, "tokenizer.json", "");
    CHECK_OK(fj_folder_read(folder, "tokenizer.json", 100, &text, &path, &err));
    CHECK(path && text.len == 0); /* there, and empty: that is for its reader to refuse */
    fj_str_free(&text);
    free(path);
    free(folder);
}

TEST(folder_with_a_gguf_file_alone_points_to_it)
{
    fj_err err = { 0 };
    char *folder = new_folder("gguf-only"), wanted[600];
    put(folder, "README.md", "");
    CHECK(fj_fail(&err, FJ_ERR_FORMAT, "no model") == FJ_ERR_FORMAT && fj_folder_advise(folder, &err) == FJ_ERR_FORMAT);
    CHECK_TEXT(err.hint, "");
    put(folder, "model.Q4_1.gguf", "");
    CHECK(fj_folder_advise(folder, &err) == FJ_ERR_FORMAT);
    (void)snprintf(wanted, sizeof wanted, "give the file itself: %.200s/model.Q4_1.gguf", folder);
    CHECK_TEXT(err.hint, wanted);
    CHECK_TEXT(err.message, "no model");
    free(folder);
}

static void check_resolved(const char *model, fj_status wanted, const char *message)
{
    fj_err err = { 0 };
    char *path = NULL;
    CHECK(fj_resolve(model, &path, &err) == wanted && err.status == wanted && !path);
    CHECK_TEXT(err.message, message);
    CHECK(
        strstr(err.hint,
               "MODEL is a folder with config.json, weights and tokenizer files, a .gguf or .nemo file, hf:org/name"));
}

TEST(model_names_that_are_no_files_say_what_is_accepted)
{
    fj_err err = { 0 };
    char *path = NULL, *folder = new_folder("named:model");
    CHECK_OK(fj_resolve(folder, &path, &err));
    CHECK_TEXT(path, folder);
    free(path);
    path = NULL;
    check_resolved("no/such:thing", FJ_ERR_FORMAT, "no such file or folder: 'no/such:thing'");
    check_resolved("", FJ_ERR_FORMAT, "no such file or folder: ''");
    free(folder);
}
