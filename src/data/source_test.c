/* SPDX-License-Identifier: Apache-2.0 */

#include <stdlib.h>

#include "data/test_data.h"

/* Rows of a data set of dataset_info.json, shown. */
static void check_rows(const fj_data_config *c, const char *wanted)
{
    fj_err err = { 0 };
    fj_dataset *d = NULL;
    CHECK_OK(fj_dataset_load(c, &d, &err));
    char *shown = test_show(d->rows, d->n_rows, c->tokenizer);
    CHECK_TEXT(shown, wanted);
    free(shown);
    fj_dataset_free(d);
}

TEST(dataset_info_names_columns_and_tags)
{
    fj_tokenizer *t = test_tokenizer("<|im_end|>");
    fj_data_config c = test_config(t, "named");
    check_rows(&c, "<|im_start|>user\\nq1<|im_end|>\\n<|im_start|>assistant\\n⟦a1<|im_end|>⟧\\n\n");
    c.dataset = "tagged";
    check_rows(&c, "<|im_start|>user\\nx<|im_end|>\\n<|im_start|>assistant\\n⟦y<|im_end|>⟧\\n\n");
    c.dataset = " named , tagged,"; /* several, with blanks around and a comma too many */
    check_rows(&c, "<|im_start|>user\\nq1<|im_end|>\\n<|im_start|>assistant\\n⟦a1<|im_end|>⟧\\n\n"
                   "<|im_start|>user\\nx<|im_end|>\\n<|im_start|>assistant\\n⟦y<|im_end|>⟧\\n\n");
    fj_tokenizer_free(t);
}

TEST(dataset_info_reads_history_and_system_only_where_columns_list_them)
{
    fj_tokenizer *t = test_tokenizer("<|im_end|>");
    fj_data_config c = test_config(t, "greetings");
    fj_err err = { 0 };
    fj_dataset *d = NULL;
    CHECK_OK(fj_dataset_load(&c, &d, &err));
    char *shown = test_show(d->rows, d->n_rows, t);
    CHECK_TEXT(shown, "<|im_start|>user\\nhello<|im_end|>\\n<|im_start|>assistant\\n⟦hola<|im_end|>⟧\\n\n"
                      "<|im_start|>user\\nSay it\\nagain<|im_end|>\\n<|im_start|>assistant\\n⟦¡again!<|im_end|>⟧\\n\n");
    free(shown);
    fj_dataset_free(d);
    c.dataset = "unlisted";
    CHECK_OK(fj_dataset_load(&c, &d, &err));
    CHECK(strstr(d->notes,
                 "unlisted.jsonl: column 'system' is not read: `columns` in dataset_info.json does not list it\n"));
    fj_dataset_free(d);
    fj_tokenizer_free(t);
}

TEST(a_bare_path_is_guessed_from_its_first_row_and_the_notes_say_so)
{
    static const struct {
        const char *file, *said;
    } files[] = {
        { "alpaca.json", "alpaca.json: 3 rows, alpaca (guessed from the first row): instruction, output\n" },
        { "sharegpt.jsonl",
          "sharegpt.jsonl: 2 rows, sharegpt (guessed from the first row): conversations of from, value\n" },
        { "openai.jsonl", "openai.jsonl: 2 rows, openai (guessed from the first row): messages of role, content\n" },
        { "tokens.jsonl", "tokens.jsonl: 4 rows, tokenized (guessed from the first row)\n" },
    };
    fj_tokenizer *t = test_tokenizer("<|im_end|>");
    for (size_t i = 0; i < FJ_LEN(files); i++) {
        fj_data_config c = test_config(t, files[i].file);
        fj_err err = { 0 };
        fj_dataset *d = NULL;
        CHECK_OK(fj_dataset_load(&c, &d, &err));
        CHECK(strstr(d->notes, files[i].said));
        fj_dataset_free(d);
    }
    fj_tokenizer_free(t);
}

TEST(data_sets_that_cannot_be_read_are_refused_by_name)
{
    static const struct {
        const char *dataset, *message, *hint;
        fj_status status;
    } bad[] = {
        { "", "no dataset was given", NULL, FJ_ERR_USAGE },
        { " , ", "no dataset was given", NULL, FJ_ERR_USAGE },
        { "greeting", "dataset 'greeting' is neither a file nor a name in …/dataset_info.json",
          "did you mean 'greetings'?", FJ_ERR_USAGE },
        { "zzzzzzzz", "dataset 'zzzzzzzz' is neither a file nor a name in …/dataset_info.json",
          "give the path of a .json, .jsonl or .txt file, or set dataset_dir", FJ_ERR_USAGE },
        { "far", "data set 'far' is not a local file (hf_hub_url)",
          "download it and give the path of the JSON or JSONL file in `dataset`", FJ_ERR_USAGE },
        { "pairs", "data set 'pairs' holds preferences, it is not for stage sft", NULL, FJ_ERR_USAGE },
        { "thumbs", "data set 'thumbs' holds preferences, it is not for stage sft", NULL, FJ_ERR_USAGE },
        { "pictures", "dataset_info.json: column 'images' of data set 'pictures' is not for stage sft", NULL,
          FJ_ERR_USAGE },
        { "sampled", "dataset_info.json: 'num_samples' of data set 'sampled' is not supported",
          "max_samples takes the first rows of each data set", FJ_ERR_USAGE },
        { "odd", "dataset_info.json: formatting 'csv' of data set 'odd', expected alpaca, sharegpt or openai", NULL,
          FJ_ERR_USAGE },
        { "nameless", "dataset_info.json: data set 'nameless' has no file_name", NULL, FJ_ERR_USAGE },
        { "number", "dataset_info.json: 'file_name' of data set 'number' is not a text", NULL, FJ_ERR_USAGE },
        { "tables", "…/rows.csv: only JSON, JSONL and text files are read", "convert it to one JSON object a line",
          FJ_ERR_USAGE },
        { "gone", "cannot open …/gone.json: No such file or directory", NULL, FJ_ERR_FAILED },
    };
    fj_tokenizer *t = test_tokenizer("<|im_end|>");
    for (size_t i = 0; i < FJ_LEN(bad); i++) {
        fj_data_config c = test_config(t, bad[i].dataset);
        test_refuses(&c, bad[i].status, bad[i].message, bad[i].hint);
    }
    fj_tokenizer_free(t);
}

TEST(without_dataset_info_a_name_is_a_path_or_nothing)
{
    fj_tokenizer *t = test_tokenizer("<|im_end|>");
    fj_data_config c = test_config(t, "greetings");
    fj_err err = { 0 };
    fj_dataset *d = NULL;
    c.dataset_dir = "nowhere";
    assert_int_equal(fj_dataset_load(&c, &d, &err), FJ_ERR_USAGE);
    CHECK_TEXT(err.message, "dataset 'greetings' is not a file, and there is no nowhere/dataset_info.json");
    c.dataset = test_golden("data/alpaca.json");
    CHECK_OK(fj_dataset_load(&c, &d, &err));
    fj_dataset_free(d);
    c.dataset = test_golden("data");
    assert_int_equal(fj_dataset_load(&c, &d, &err), FJ_ERR_USAGE);
    CHECK(strstr(err.message, "is a folder, expected a .json, .jsonl or .txt file"));
    fj_tokenizer_free(t);
}

TEST(a_broken_dataset_info_is_said_with_its_line)
{
    fj_tokenizer *t = test_tokenizer("<|im_end|>");
    fj_data_config c = test_config(t, "x");
    fj_err err = { 0 };
    fj_dataset *d = NULL;
    char folder[1024];
    (void)snprintf(folder, sizeof folder, "%s", test_temporary("info"));
    CHECK_OK(fj_make_dirs(folder, &err));
    c.dataset_dir = folder;
    (void)test_write_rows("info/dataset_info.json", "{\n \"x\": {,}\n}");
    assert_int_equal(fj_dataset_load(&c, &d, &err), FJ_ERR_DATA);
    CHECK(strstr(err.message, "info/dataset_info.json"));
    CHECK(strstr(err.message, "line 2"));
    (void)test_write_rows("info/dataset_info.json", "[]");
    assert_int_equal(fj_dataset_load(&c, &d, &err), FJ_ERR_DATA);
    CHECK(strstr(err.message, "dataset_info.json is not an object of data sets"));
    fj_tokenizer_free(t);
}
