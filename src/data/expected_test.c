/* SPDX-License-Identifier: Apache-2.0
 * Ids and labels against LLaMA-Factory's own code (tests/oracle/data.py). */

#include <stdlib.h>

#include "data/test_data.h"

/* The options of a line of expected.jsonl. */
static fj_data_config config_of(const fj_json *line, const fj_tokenizer *t)
{
    fj_data_config c = test_config(t, fj_json_string(fj_json_get(line, "dataset"), NULL));
    c.template_name = fj_json_string(fj_json_get(line, "template"), NULL);
    c.default_system = fj_json_string(fj_json_get(line, "default_system"), NULL);
    c.cutoff_len = fj_json_int(fj_json_get(line, "cutoff_len"), 0);
    c.on_long_rows = "cut";
    c.mask_history = fj_json_bool(fj_json_get(line, "mask_history"), false);
    c.train_on_prompt = fj_json_bool(fj_json_get(line, "train_on_prompt"), false);
    return c;
}

static bool agrees(const fj_json *line, const fj_tokenizer *t, size_t number)
{
    fj_err err = { 0 };
    fj_dataset *d = NULL;
    fj_data_config c = config_of(line, t);
    const fj_json *rows = fj_json_get(line, "rows");
    CHECK_OK(fj_dataset_load(&c, &d, &err));
    bool same = !strcmp(d->hash, fj_json_string(fj_json_get(line, "hash"), ""));
    for (size_t i = 0; i < fj_json_len(rows) && (int64_t)i < d->n_rows; i++) {
        fj_str text = { 0 };
        CHECK_OK(fj_row_show(&d->rows[i], t, &text, &err));
        if (strcmp(text.data, fj_json_string(fj_json_at(rows, i), ""))) {
            print_error("line %zu, row %zu: got\n%s\nwanted\n%s\n", number, i + 1, text.data,
                        fj_json_string(fj_json_at(rows, i), ""));
            same = false;
        }
        fj_str_free(&text);
    }
    if (!same) {
        char *shown = test_show(d->rows, d->n_rows, t);
        print_error("line %zu (%s, %s) is not what LLaMA-Factory makes:\n%s", number, c.dataset, c.template_name,
                    shown);
        free(shown);
    }
    fj_dataset_free(d);
    return same;
}

TEST(rows_and_labels_are_those_of_llamafactory)
{
    fj_tokenizer *plain = test_tokenizer("<|endoftext|>"), *chatml = test_tokenizer("<|im_end|>");
    fj_err err = { 0 };
    fj_str file = { 0 };
    size_t number = 0, failed = 0;
    CHECK_OK(fj_file_read(test_golden("data/expected.jsonl"), 1 << 20, &file, &err));
    for (char *at = file.data; *at;) {
        fj_json *line = NULL;
        size_t len = strcspn(at, "\n");
        CHECK_OK(fj_json_parse(at, len, "expected.jsonl", false, &line, &err));
        const char *name = fj_json_string(fj_json_get(line, "template"), "");
        bool ends_turns = !strcmp(name, "chatml") || !strncmp(name, "qwen", 4) || !strcmp(name, "smollm2");
        failed += !agrees(line, ends_turns ? chatml : plain, ++number);
        fj_json_free(line);
        at += len + (at[len] == '\n');
    }
    assert_int_equal(number, 98);
    assert_int_equal(failed, 0);
    fj_str_free(&file);
    fj_tokenizer_free(plain);
    fj_tokenizer_free(chatml);
}
