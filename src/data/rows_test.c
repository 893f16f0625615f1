/* SPDX-License-Identifier: Apache-2.0 */

#include <stdlib.h>

#include "data/test_data.h"

TEST(broken_files_are_refused_with_file_row_and_reason)
{
    static const char *const one_line = "a JSONL file has one whole object on each line";
    static const struct {
        const char *file, *message, *hint;
    } bad[] = {
        { "broken-answer.json", "…/broken-answer.json: row 2: no answer: column 'output' is missing", NULL },
        { "broken-array.json", "…/broken-array.json: not JSON: line 2, column 0: ']' expected near end of file", NULL },
        { "broken-empty.json", "…/broken-empty.json: the file is empty", NULL },
        { "broken-end.jsonl",
          "…/broken-end.jsonl: row 1: the conversation ends with a user message, so there is nothing to learn from its "
          "end",
          "end it with the assistant's answer, or take the last message away" },
        { "broken-ids.jsonl", "…/broken-ids.jsonl: row 2: input_ids[1] is 99999, the vocabulary has 268", NULL },
        { "broken-labels.jsonl", "…/broken-labels.jsonl: row 1: 2 input_ids, but 1 labels", NULL },
        { "broken-line.jsonl",
          "…/broken-line.jsonl: row 2 (line 3): not JSON: line 1, column 13: invalid token near 'oops'", one_line },
        { "broken-preference.jsonl",
          "…/broken-preference.jsonl: row 1: it holds a preference (a label true or false), which these stages would "
          "learn as an "
          "answer",
          "name the file in dataset_info.json, with its columns, to train on its messages all the same" },
        { "broken-role.jsonl",
          "…/broken-role.jsonl: row 2: message 2: 'role' is 'robot', expected 'user', 'assistant', 'system' or 'tool'",
          NULL },
        { "broken-unknown.json", "…/broken-unknown.json: row 1: the columns (foo, bar) are of no known layout",
          "known are instruction/input/output, conversations (from/value), messages (role/content), text, "
          "input_ids/labels; "
          "other names can be given in dataset_info.json" },
        { "text.jsonl", "…/text.jsonl: row 1: plain text has no question and answer",
          "choose stage: pt to train on text as it is" },
    };
    fj_tokenizer *t = test_tokenizer("<|im_end|>");
    for (size_t i = 0; i < FJ_LEN(bad); i++) {
        fj_data_config c = test_config(t, bad[i].file);
        c.stage = !strcmp(bad[i].file, "broken-line.jsonl") ? "pt" : "sft";
        test_refuses(&c, FJ_ERR_DATA, bad[i].message, bad[i].hint);
    }
    fj_tokenizer_free(t);
}

/* One row of a layout, written out, must be refused so. */
static void refuses_row(const fj_tokenizer *t, const char *row, const char *message)
{
    char wanted[512];
    fj_err err = { 0 };
    fj_dataset *d = NULL;
    const char *path = test_write_rows("row.jsonl", row);
    fj_data_config c = test_config(t, path);
    assert_int_equal(fj_dataset_load(&c, &d, &err), FJ_ERR_DATA);
    (void)snprintf(wanted, sizeof wanted, "%s: row 1: %s", path, message);
    CHECK_TEXT(err.message, wanted);
}

TEST(broken_rows_of_every_layout_are_refused)
{
    static const char *const bad[][2] = {
        { "{\"instruction\":\"\",\"output\":\"x\"}", "no question: column 'instruction' is missing or empty" },
        { "{\"instruction\":\"a\",\"output\":\"b\",\"system\":5}", "column 'system' is not a text" },
        { "{\"instruction\":\"a\",\"output\":\"b\",\"history\":[[\"x\"]]}",
          "entry 1 of 'history' is not a [question, answer] pair of texts" },
        { "{\"instruction\":\"a\",\"output\":\"b\",\"history\":\"x\"}",
          "column 'history' is not a list of [question, answer] pairs" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":5}]}", "message 1: 'content' is not a text" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\"}]}]}",
          "message 1: part 1 of a message is not text" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\"}]}",
          "message 2: it has no 'content'" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"content\":\"b\"}]}", "message 2: it has no 'role'" },
        { "{\"input_ids\":[1,2]}", "'labels' is missing" },
        { "{\"input_ids\":[]}", "'input_ids' is missing, empty or not a list" },
        { "{\"input_ids\":[1,2.5],\"labels\":[1,2]}", "input_ids[1] is not an integer" },
        { "{\"input_ids\":[1,2],\"labels\":[1,-5]}", "labels[1] is -5, the vocabulary has 268" },
        { "{\"input_ids\":[1,2],\"labels\":\"x\"}", "'labels' is not a list" },
        { "{\"input_ids\":[1,2],\"labels\":[1,2],\"token_type_ids\":[0]}", "2 input_ids, but 1 token_type_ids" },
        { "{\"input_ids\":[1,2],\"labels\":[1,2],\"attention_mask\":[1,0]}",
          "attention_mask[1] is not 1: rows are given without padding" },
        { "5", "it is not an object" },
    };
    fj_tokenizer *t = test_tokenizer("<|im_end|>");
    for (size_t i = 0; i < FJ_LEN(bad); i++)
        refuses_row(t, bad[i][0], bad[i][1]);
    fj_tokenizer_free(t);
}

TEST(a_row_behind_empty_lines_is_named_by_row_and_line)
{
    fj_tokenizer *t = test_tokenizer("<|im_end|>");
    const char *path = test_write_rows("gaps.jsonl",
                                       "\xef\xbb\xbf\r\n\n{\"instruction\":\"a\",\"output\":\"b\"}\r\n \n{\"x\":1}\n");
    fj_data_config c = test_config(t, path);
    fj_err err = { 0 };
    fj_dataset *d = NULL;
    assert_int_equal(fj_dataset_load(&c, &d, &err), FJ_ERR_DATA);
    CHECK(strstr(err.message, "gaps.jsonl: row 2 (line 5): no question: column 'instruction' is missing or empty"));
    fj_tokenizer_free(t);
}

TEST(text_that_is_not_utf8_is_refused)
{
    fj_tokenizer *t = test_tokenizer("<|im_end|>");
    const char *path = test_write_rows("latin1.txt", "good\nse\xf1or\n");
    fj_data_config c = test_config(t, path);
    fj_err err = { 0 };
    fj_dataset *d = NULL;
    c.stage = "pt";
    assert_int_equal(fj_dataset_load(&c, &d, &err), FJ_ERR_DATA);
    CHECK(strstr(err.message, "latin1.txt: row 2: the text is not valid UTF-8"));
    path = test_write_rows("latin1.jsonl", "{\"instruction\":\"se\xf1or\",\"output\":\"b\"}\n");
    c = test_config(t, path);
    assert_int_equal(fj_dataset_load(&c, &d, &err), FJ_ERR_DATA);
    CHECK(strstr(err.message, "latin1.jsonl: row 1: not JSON: "));
    fj_tokenizer_free(t);
}
