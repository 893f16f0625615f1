/* SPDX-License-Identifier: Apache-2.0
 * Tokenizers of each kind against what the reference libraries made (tests/oracle/tokenizers.py). */
#include "tokenizers/test_tokenizers.h"

static fj_str read_golden(const char *kind, const char *file)
{
    fj_err err = { 0 };
    fj_str s = { 0 };
    char name[128];
    (void)snprintf(name, sizeof name, "tokenizers/%s/%s", kind, file);
    CHECK_OK(fj_file_read(test_golden(name), 1 << 24, &s, &err));
    return s;
}

static void check_ids(const char *kind, const char *what, const fj_json *wanted, const fj_encoding *got, fj_text text)
{
    bool same = fj_json_len(wanted) == got->n;
    for (size_t i = 0; same && i < got->n; i++)
        same = fj_json_int(fj_json_at(wanted, i), -1) == got->ids[i];
    if (!same)
        print_error("%s: %s of '%.*s': got %s\n", kind, what, (int)text.len, text.data, test_ids(got));
    CHECK(same);
}

static void check_offsets(const char *kind, const fj_json *wanted, const fj_encoding *got, fj_text text)
{
    for (size_t i = 0; wanted && i < got->n; i++) {
        const fj_json *pair = fj_json_at(wanted, i);
        bool same = fj_json_int(fj_json_at(pair, 0), -1) == got->starts[i] &&
                    fj_json_int(fj_json_at(pair, 1), -1) == got->ends[i];
        if (!same)
            print_error("%s: offsets of id %zu of '%.*s': got %lld..%lld\n", kind, i, (int)text.len, text.data,
                        (long long)got->starts[i], (long long)got->ends[i]);
        CHECK(same);
    }
}

static void check_encode(const char *kind, fj_encoder *e, const fj_json *row)
{
    fj_err err = { 0 };
    fj_text text = fj_json_text(fj_json_get(row, "text"));
    fj_encoding got = { 0 };
    if (fj_json_get(row, "ids")) {
        CHECK_OK(fj_encode(e, text.data, text.len, FJ_ENCODE_SPECIAL | FJ_ENCODE_OFFSETS, &got, &err));
        check_ids(kind, "ids", fj_json_get(row, "ids"), &got, text);
        check_offsets(kind, fj_json_get(row, "offsets"), &got, text);
        fj_encoding_free(&got);
    }
    CHECK_OK(fj_encode(e, text.data, text.len, 0, &got, &err));
    check_ids(kind, "plain ids", fj_json_get(row, "plain"), &got, text);
    fj_encoding_free(&got);
}

static void check_text(const char *kind, const char *what, fj_text wanted, const fj_str *got)
{
    bool same = wanted.len == got->len && (!got->len || !memcmp(wanted.data, got->data, got->len));
    if (!same)
        print_error("%s: %s: got '%s', wanted '%.*s'\n", kind, what, got->data ? got->data : "", (int)wanted.len,
                    wanted.data);
    CHECK(same);
}

/* All at once and id by id. */
static void check_decode(const char *kind, const fj_tokenizer *t, const fj_json *row, bool skip, const char *key)
{
    fj_err err = { 0 };
    const fj_json *list = fj_json_get(row, "ids");
    size_t n = fj_json_len(list);
    int32_t *ids = calloc(n + 1, sizeof *ids);
    fj_text wanted = fj_json_text(fj_json_get(row, key));
    fj_str whole = { 0 }, streamed = { 0 };
    fj_detok *d = NULL;
    CHECK(ids);
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)fj_json_int(fj_json_at(list, i), -1);
    CHECK_OK(fj_decode(t, ids, n, skip, &whole, &err));
    check_text(kind, key, wanted, &whole);
    CHECK_OK(fj_detok_new(t, skip, &d, &err));
    for (size_t i = 0; i < n; i++)
        CHECK_OK(fj_detok_add(d, ids[i], &streamed, &err));
    CHECK_OK(fj_detok_flush(d, &streamed, &err));
    check_text(kind, "streamed", wanted, &streamed);
    fj_detok_free(d);
    fj_str_free(&whole);
    fj_str_free(&streamed);
    free(ids);
}

static size_t check_rows(const char *kind, const fj_tokenizer *t)
{
    fj_err err = { 0 };
    fj_encoder *e = NULL;
    fj_str rows = read_golden(kind, "cases.jsonl");
    size_t count = 0;
    CHECK_OK(fj_encoder_new(t, &e, &err));
    for (char *line = rows.data; line && *line;) {
        char *end = strchr(line, '\n');
        fj_json *row = NULL;
        CHECK(end);
        CHECK_OK(fj_json_parse(line, (size_t)(end - line), "a case", false, &row, &err));
        if (fj_json_get(row, "text"))
            check_encode(kind, e, row);
        if (fj_json_get(row, "decoded")) {
            check_decode(kind, t, row, false, "decoded");
            check_decode(kind, t, row, true, "shown");
        }
        count += !fj_json_get(row, "made_with");
        fj_json_free(row);
        line = end + 1;
    }
    fj_encoder_free(e);
    fj_str_free(&rows);
    return count;
}

TEST(tokenizer_json_of_every_kind_gives_the_ids_offsets_and_texts_of_hugging_face)
{
    static const char *const kinds[] = { "bert-cased", "bert-uncased", "bloom",   "command-r",    "falcon",
                                         "gemma",      "gpt2",         "llama2",  "llama3",       "metaspace",
                                         "odd-parts",  "prefix-space", "unigram", "unigram-bytes" };
    for (size_t i = 0; i < FJ_LEN(kinds); i++) {
        fj_err err = { 0 };
        fj_tokenizer *t = NULL;
        fj_str file = read_golden(kinds[i], "tokenizer.json");
        CHECK_OK(fj_tokenizer_from_json(file.data, file.len, kinds[i], NULL, &t, &err));
        fj_str_free(&file);
        fj_tokenizer *again = test_written_again(t);
        CHECK(check_rows(kinds[i], t) > 30);
        CHECK(check_rows(kinds[i], again) > 30);
        fj_tokenizer_free(t);
        fj_tokenizer_free(again);
    }
}

TEST(tokenizer_model_gives_the_ids_of_sentencepiece)
{
    static const char *const kinds[] = { "spm", "spm-nfkc-like", "spm-trim", "spm-unigram", "spm-unigram-bytes" };
    for (size_t i = 0; i < FJ_LEN(kinds); i++) {
        fj_err err = { 0 };
        fj_tokenizer *t = NULL;
        fj_str file = read_golden(kinds[i], "tokenizer.model");
        CHECK_OK(fj_tokenizer_from_spm(file.data, file.len, kinds[i], NULL, &t, &err));
        fj_str_free(&file);
        CHECK(check_rows(kinds[i], t) > 25);
        fj_tokenizer_free(t);
    }
}

TEST(tiktoken_ranks_give_the_ids_of_tiktoken)
{
    fj_err err = { 0 };
    fj_tokenizer *t = NULL;
    fj_json *config = NULL;
    static const char text[] = "{\"tokenizer_class\":\"Phi3SmallTokenizer\"}";
    fj_str file = read_golden("tiktoken", "cl100k_base.tiktoken");
    CHECK_OK(fj_json_parse(text, sizeof text - 1, "config", false, &config, &err));
    CHECK(fj_is_tiktoken(file.data, file.len));
    CHECK_OK(fj_tokenizer_from_tiktoken(file.data, file.len, "tiktoken", config, &t, &err));
    fj_str_free(&file);
    fj_json_free(config);
    CHECK(check_rows("tiktoken", t) > 25);
    CHECK(fj_tokenizer_eos(t) == 100257 && fj_tokenizer_size(t) == 100277 && !fj_tokenizer_adds_bos(t));
    fj_tokenizer_free(t);
}
