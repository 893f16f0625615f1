/* SPDX-License-Identifier: Apache-2.0 */
#include "tokenizers/test_tokenizers.h"

TEST(encode_finds_special_tokens_in_trusted_text_only)
{
    fj_tokenizer *t = test_bytes_tokenizer("");
    CHECK_TEXT(test_encode(t, "ab<|x|>[y]", 0), "256 259 260");
    CHECK_TEXT(test_encode(t, "<|x|>", FJ_ENCODE_PLAIN), "60 124 120 124 62");
    CHECK_TEXT(test_encode(t, "[y] ab", FJ_ENCODE_PLAIN), "260 258");
    fj_tokenizer_free(t);
}

static const char *encode_pieces(const fj_tokenizer *t, const fj_piece *pieces, size_t n)
{
    fj_err err = { 0 };
    fj_encoder *e = NULL;
    fj_encoding ids = { 0 };
    CHECK_OK(fj_encoder_new(t, &e, &err));
    CHECK_OK(fj_encode_pieces(e, pieces, n, FJ_ENCODE_OFFSETS, &ids, &err));
    const char *shown = test_ids(&ids);
    fj_encoding_free(&ids);
    fj_encoder_free(e);
    return shown;
}

TEST(encode_pieces_are_one_text_and_untrusted_ones_hold_no_special_token)
{
    fj_tokenizer *t = test_bytes_tokenizer("");
    fj_piece whole[] = { { fj_text_of("<|x|>"), true },
                         { fj_text_of("<|x|>"), false },
                         { fj_text_of(" a"), true },
                         { fj_text_of("b"), false } };
    CHECK_TEXT(encode_pieces(t, whole, 4), "259 60 124 120 124 62 258");
    fj_piece across[] = { { fj_text_of("<|"), true }, { fj_text_of("x|>"), false } };
    CHECK_TEXT(encode_pieces(t, across, 2), "60 124 120 124 62");
    fj_piece behind[] = { { fj_text_of("<|"), false }, { fj_text_of("<|x|>"), true }, { fj_text_of("|x|>"), false } };
    CHECK_TEXT(encode_pieces(t, behind, 3), "60 124 259 124 120 124 62");
    fj_piece halves[] = { { fj_text_of("<|x"), true }, { fj_text_of("|>"), true } };
    CHECK_TEXT(encode_pieces(t, halves, 2), "259");
    CHECK_TEXT(encode_pieces(t, NULL, 0), "");
    fj_tokenizer_free(t);
}

TEST(encode_pieces_know_who_wrote_normalized_text)
{
    fj_err err = { 0 };
    fj_tokenizer *t = NULL;
    static const char file[] =
        "{\"added_tokens\":[{\"id\":4,\"content\":\"AB\",\"special\":true,\"normalized\":true}],\"normalizer\":{"
        "\"type\":\"Sequence\","
        "\"normalizers\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"c\"},\"content\":\"aa\"},{\"type\":"
        "\"Lowercase\"}]},"
        "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"x\":3},\"merges\":[[\"a\",\"b\"]]}}";
    CHECK_OK(fj_tokenizer_from_json(file, sizeof file - 1, "lower", NULL, &t, &err));
    fj_piece pieces[] = { { fj_text_of("Ab"), true }, { fj_text_of("xaBx"), false }, { fj_text_of("aB"), true } };
    CHECK_TEXT(encode_pieces(t, pieces, 3), "4 3 2 3 4");
    fj_piece grown[] = { { fj_text_of("c"), true }, { fj_text_of("b"), false }, { fj_text_of("cb"), true } };
    CHECK_TEXT(encode_pieces(t, grown, 3), "0 2 0 4");
    fj_tokenizer_free(t);
}

TEST(encode_gives_no_id_for_letters_that_nobody_knows_twice_too)
{
    fj_err err = { 0 };
    fj_tokenizer *t = NULL;
    static const char file[] =
        "{\"pre_tokenizer\":{\"type\":\"Whitespace\"},"
        "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[[\"a\",\"b\"]]}}";
    CHECK_OK(fj_tokenizer_from_json(file, sizeof file - 1, "unknown", NULL, &t, &err));
    CHECK_TEXT(test_encode(t, "z z z ab z ab", FJ_ENCODE_OFFSETS), "2 2");
    fj_tokenizer_free(t);
}

TEST(encode_refuses_text_that_is_not_utf8_and_leaves_the_encoding_alone)
{
    fj_err err = { 0 };
    fj_tokenizer *t = test_bytes_tokenizer("");
    fj_encoder *e = NULL;
    fj_encoding ids = { 0 };
    CHECK_OK(fj_encoder_new(t, &e, &err));
    CHECK_OK(fj_encode(e, "ab", 2, 0, &ids, &err));
    CHECK(fj_encode(e, "ab\xff", 3, 0, &ids, &err) == FJ_ERR_DATA);
    CHECK_TEXT(err.message, "the text is not UTF-8");
    CHECK_TEXT(test_ids(&ids), "256");
    fj_piece broken = { { "\xc3", 1 }, true };
    CHECK(fj_encode_pieces(e, &broken, 1, 0, &ids, &err) == FJ_ERR_DATA);
    fj_encoding_free(&ids);
    fj_encoder_free(e);
    fj_tokenizer_free(t);
}

TEST(encode_appends_with_offsets_behind_ids_without)
{
    fj_err err = { 0 };
    fj_tokenizer *t = test_bytes_tokenizer("");
    fj_encoder *e = NULL;
    fj_encoding ids = { 0 };
    CHECK_OK(fj_encoder_new(t, &e, &err));
    CHECK_OK(fj_encode(e, "ab", 2, 0, &ids, &err));
    CHECK(!ids.starts);
    CHECK_OK(fj_encode(e, "\xc3\xb1 ab", 5, FJ_ENCODE_OFFSETS, &ids, &err));
    CHECK_TEXT(test_ids(&ids), "256 195 177 258");
    CHECK(ids.starts[1] == 0 && ids.ends[1] == 1 && ids.starts[2] == 0 && ids.ends[2] == 1);
    CHECK(ids.starts[3] == 1 && ids.ends[3] == 4);
    fj_encoding_free(&ids);
    fj_encoder_free(e);
    fj_tokenizer_free(t);
}

TEST(encode_adds_the_processors_ids_on_request_only)
{
    fj_tokenizer *t = test_bytes_tokenizer(
        "\"post_processor\":{\"type\":\"Sequence\",\"processors\":[{\"type\":\"BertProcessing\",\"sep\":[\"[y]\",260],"
        "\"cls\":[\"<|x|>\",259]},{\"type\":\"BertProcessing\",\"sep\":[\"a\",97],\"cls\":[\"b\",98]}]},");
    CHECK_TEXT(test_encode(t, "ab", FJ_ENCODE_SPECIAL), "98 259 256 260 97");
    CHECK_TEXT(test_encode(t, "ab", 0), "256");
    CHECK_TEXT(test_encode(t, "", FJ_ENCODE_SPECIAL), "98 259 260 97");
    fj_tokenizer_free(t);
}

/* Merges as the definition says: the lowest rank, the leftmost first. Letters a … d are 97 … 100. */
static size_t merge_slowly(const fj_merge *merges, size_t n_merges, uint32_t *ids, size_t n)
{
    for (;;) {
        size_t best = SIZE_MAX, at = 0;
        for (size_t i = 0; i + 1 < n; i++)
            for (size_t k = 0; k < n_merges; k++)
                if (merges[k].left == ids[i] && merges[k].right == ids[i + 1] && k < best) {
                    best = k;
                    at = i;
                }
        if (best == SIZE_MAX)
            return n;
        ids[at] = merges[best].made;
        memmove(ids + at + 1, ids + at + 2, (n - at - 2) * sizeof *ids);
        n--;
    }
}

TEST(bpe_merges_long_and_short_words_in_the_order_of_the_definition)
{
    static const char *const vocab =
        "{\"a\":0,\"b\":1,\"c\":2,\"ab\":3,\"bc\":4,\"aa\":5,\"aab\":6,\"abc\":7,\"aaa\":8,\"aaaa\":9,\"abab\":10}";
    static const char *const list = "[\"b c\",\"a a\",\"a b\",\"aa b\",\"a bc\",\"aa aa\",\"ab c\",\"ab ab\",\"aa a\"]";
    static const fj_merge merges[] = { { 1, 2, 4, 0 }, { 0, 0, 5, 1 }, { 0, 1, 3, 2 },  { 5, 1, 6, 3 }, { 0, 4, 7, 4 },
                                       { 5, 5, 9, 5 }, { 3, 2, 7, 6 }, { 3, 3, 10, 7 }, { 5, 0, 8, 8 } };
    fj_err err = { 0 };
    fj_tokenizer *t = NULL;
    fj_encoder *e = NULL;
    fj_str s = { 0 };
    fj_str_printf(&s, "{\"model\":{\"type\":\"BPE\",\"vocab\":%s,\"merges\":%s}}", vocab, list);
    CHECK_OK(fj_tokenizer_from_json(s.data, s.len, "abc", NULL, &t, &err));
    CHECK_OK(fj_encoder_new(t, &e, &err));
    for (size_t n = 1; n < 300; n += n < 70 ? 1 : 37) {
        char text[300];
        uint32_t wanted[300], seed = (uint32_t)n * 2654435761u;
        fj_encoding ids = { 0 };
        for (size_t i = 0; i < n; i++) {
            seed = seed * 1664525u + 1013904223u;
            wanted[i] = (seed >> 24) % 5 % 3;
            text[i] = (char)('a' + wanted[i]);
        }
        size_t n_wanted = merge_slowly(merges, FJ_LEN(merges), wanted, n);
        CHECK_OK(fj_encode(e, text, n, 0, &ids, &err));
        CHECK(ids.n == n_wanted);
        for (size_t i = 0; i < ids.n; i++)
            CHECK(ids.ids[i] == (int32_t)wanted[i]);
        fj_encoding_free(&ids);
    }
    fj_encoder_free(e);
    fj_tokenizer_free(t);
    fj_str_free(&s);
}

TEST(encode_a_megabyte_of_one_letter)
{
    fj_err err = { 0 };
    fj_tokenizer *t = test_bytes_tokenizer("");
    fj_encoder *e = NULL;
    fj_encoding ids = { 0 };
    size_t n = 1 << 20;
    char *text = malloc(n);
    CHECK(text);
    for (size_t i = 0; i < n; i++)
        text[i] = i & 1 ? 'b' : 'a';
    CHECK_OK(fj_encoder_new(t, &e, &err));
    CHECK_OK(fj_encode(e, text, n, 0, &ids, &err));
    CHECK(ids.n == n / 2 && ids.ids[0] == 256 && ids.ids[ids.n - 1] == 256);
    free(text);
    fj_encoding_free(&ids);
    fj_encoder_free(e);
    fj_tokenizer_free(t);
}
