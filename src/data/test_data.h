/* SPDX-License-Identifier: Apache-2.0
 * What the tests of data/ share: the tokenizer of tests/golden/data, and loading rows from there. */
#ifndef FJ_DATA_TEST_DATA_H
#define FJ_DATA_TEST_DATA_H

#include <stdio.h>
#include <string.h>

#include "base/map.h"
#include "data/data_internal.h"
#include "tests/test.h"

/* The tokenizer there: 268 ids, bytes and a few words, <s>, and this end token. */
static inline fj_tokenizer *test_tokenizer(const char *eos)
{
    fj_err err = { 0 };
    fj_str text = { 0 };
    char config[200];
    fj_json *names = NULL;
    fj_tokenizer *t = NULL;
    (void)snprintf(config, sizeof config, "{\"bos_token\":\"<s>\",\"eos_token\":\"%s\"}", eos);
    CHECK_OK(fj_file_read(test_golden("data/tokenizer.json"), 1 << 20, &text, &err));
    CHECK_OK(fj_json_parse(config, strlen(config), "config", false, &names, &err));
    CHECK_OK(fj_tokenizer_from_json(text.data, text.len, "tokenizer.json", names, &t, &err));
    fj_json_free(names);
    fj_str_free(&text);
    return t;
}

/* Data sets of tests/golden/data with chatml, unless the caller says otherwise afterwards. */
static inline fj_data_config test_config(const fj_tokenizer *t, const char *dataset)
{
    static char folder[1024];
    (void)snprintf(folder, sizeof folder, "%s", test_golden("data"));
    return (fj_data_config){ .dataset = dataset, .dataset_dir = folder, .tokenizer = t, .template_name = "chatml" };
}

/* All rows as people see them, one a line; newlines inside become "\n". For free(). */
static inline char *test_show(const fj_row *rows, int64_t n, const fj_tokenizer *t)
{
    fj_err err = { 0 };
    fj_str all = { 0 };
    for (int64_t i = 0; i < n; i++) {
        fj_str one = { 0 };
        CHECK_OK(fj_row_show(&rows[i], t, &one, &err));
        for (size_t k = 0; k < one.len; k++) {
            if (one.data[k] == '\n')
                fj_str_add_text(&all, "\\n");
            else
                fj_str_add_char(&all, one.data[k]);
        }
        fj_str_add_char(&all, '\n');
        fj_str_free(&one);
    }
    return all.data ? all.data : strdup("");
}

/* Loading must fail so; "…" in the message stands for the folder of the golden rows. hint NULL: none. */
static inline void test_refuses(const fj_data_config *c, fj_status status, const char *message, const char *hint)
{
    fj_err err = { 0 };
    fj_dataset *d = NULL;
    fj_str got = { 0 };
    const char *folder = test_golden("data");
    assert_int_equal(fj_dataset_load(c, &d, &err), status);
    for (const char *at = err.message; *at;) {
        bool is_folder = !strncmp(at, folder, strlen(folder));
        fj_str_add_text(&got, is_folder ? "…" : (char[2]){ *at });
        at += is_folder ? strlen(folder) : 1;
    }
    CHECK_TEXT(got.data ? got.data : "", message);
    CHECK_TEXT(err.hint, hint ? hint : "");
    assert_null(d);
    fj_str_free(&got);
}

/* Rows written for one test; the path is valid until the next call. */
static inline const char *test_write_rows(const char *name, const char *text)
{
    fj_err err = { 0 };
    const char *path = test_temporary(name);
    CHECK_OK(fj_file_write(path, text, strlen(text), &err));
    return path;
}

#endif
