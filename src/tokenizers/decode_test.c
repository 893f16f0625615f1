/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"
#include "tokenizers/test_tokenizers.h"

static const char *decode(const fj_tokenizer *t, const int32_t *ids, size_t n, bool skip)
{
    static char text[256];
    fj_err err = { 0 };
    fj_str s = { 0 };
    CHECK_OK(fj_decode(t, ids, n, skip, &s, &err));
    (void)snprintf(text, sizeof text, "%s", s.data ? s.data : "");
    fj_str_free(&s);
    return text;
}

TEST(decode_leaves_special_tokens_out_on_request)
{
    static const int32_t ids[] = { 259, 258, 260 };
    fj_tokenizer *t = test_bytes_tokenizer("");
    CHECK_TEXT(decode(t, ids, 3, false), "<|x|> ab[y]");
    CHECK_TEXT(decode(t, ids, 3, true), " ab[y]");
    fj_tokenizer_free(t);
}

TEST(decode_gives_one_replacement_character_for_each_broken_stretch)
{
    static const int32_t ids[] = { 0xe2, 0x82, 'a', 0xff, 0xc3, 0xb1, 0xf0, 0x9f, 0x98, 'b', 0xed, 0xa0, 0xe2, 0x82 };
    fj_tokenizer *t = test_bytes_tokenizer("");
    CHECK_TEXT(decode(t, ids, FJ_LEN(ids), false), "\ufffda\ufffdñ\ufffdb\ufffd\ufffd\ufffd");
    fj_tokenizer_free(t);
}

TEST(decode_refuses_ids_that_are_not_in_the_vocabulary)
{
    static const int32_t high = 261, low = -1;
    fj_err err = { 0 };
    fj_str s = { 0 };
    fj_tokenizer *t = test_bytes_tokenizer("");
    CHECK(fj_decode(t, &high, 1, false, &s, &err) == FJ_ERR_ARG);
    CHECK_TEXT(err.message, "id 261 is not in the vocabulary of 261 tokens");
    CHECK(fj_decode(t, &low, 1, false, &s, &err) == FJ_ERR_ARG);
    fj_str_free(&s);
    fj_tokenizer_free(t);
}

TEST(detok_never_cuts_a_character_and_ends_with_what_decode_gives)
{
    static const int32_t ids[] = { 0xf0, 0x9f, 0x91, 0x8d, ' ', 0xc3, 0xb1, 0xe2, 0x82, 259, 0xc3 };
    static const char *const wanted[] = {
        "", "", "", "👍", "👍 ", "👍 ", "👍 ñ", "👍 ñ", "👍 ñ", "👍 ñ\ufffd<|x|>", "👍 ñ\ufffd<|x|>"
    };
    fj_err err = { 0 };
    fj_str s = { 0 };
    fj_detok *d = NULL;
    fj_tokenizer *t = test_bytes_tokenizer("");
    CHECK_OK(fj_detok_new(t, false, &d, &err));
    for (int round = 0; round < 2; round++) { /* after a flush it begins anew */
        fj_str_clear(&s);
        for (size_t i = 0; i < FJ_LEN(ids); i++) {
            CHECK_OK(fj_detok_add(d, ids[i], &s, &err));
            CHECK_TEXT(s.data ? s.data : "", wanted[i]);
        }
        CHECK_OK(fj_detok_flush(d, &s, &err));
        CHECK_TEXT(s.data, decode(t, ids, FJ_LEN(ids), false));
    }
    fj_detok_free(d);
    fj_str_free(&s);
    fj_tokenizer_free(t);
}

/* A tokenizer whose tokens and decoder are given. */
static fj_tokenizer *with_decoder(const char *vocab, const char *decoder)
{
    fj_err err = { 0 };
    fj_tokenizer *t = NULL;
    fj_str s = { 0 };
    fj_str_printf(&s, "{\"decoder\":%s,\"model\":{\"type\":\"BPE\",\"vocab\":%s,\"merges\":[]}}", decoder, vocab);
    CHECK_OK(fj_tokenizer_from_json(s.data, s.len, "fixed", NULL, &t, &err));
    fj_str_free(&s);
    return t;
}

static void check_decoder(const char *vocab, const char *decoder, const char *wanted)
{
    static const int32_t ids[] = { 0, 1, 2 };
    fj_err err = { 0 };
    fj_str streamed = { 0 };
    fj_detok *d = NULL;
    fj_tokenizer *t = with_decoder(vocab, decoder);
    CHECK_TEXT(decode(t, ids, 3, false), wanted);
    CHECK_OK(fj_detok_new(t, false, &d, &err));
    for (size_t i = 0; i < 3; i++)
        CHECK_OK(fj_detok_add(d, ids[i], &streamed, &err));
    CHECK_OK(fj_detok_flush(d, &streamed, &err));
    CHECK_TEXT(streamed.data, wanted);
    fj_detok_free(d);
    fj_str_free(&streamed);
    fj_tokenizer_free(t);
}

TEST(decoders_do_what_hugging_face_does)
{
    check_decoder("{\"a\":0,\"b\":1,\"c\":2}", "null", "a b c");
    check_decoder("{\"a\":0,\"##b\":1,\"don 't .\":2}", "{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true}",
                  "ab don 't.");
    check_decoder("{\"a</w>\":0,\"b\":1,\"c</w>\":2}", "{\"type\":\"BPEDecoder\",\"suffix\":\"</w>\"}", "a bc");
    check_decoder("{\"▁a▁b\":0,\"▁\":1,\"▁c\":2}",
                  "{\"type\":\"Metaspace\",\"replacement\":\"▁\",\"prepend_scheme\":\"first\"}", "ab  c");
    check_decoder("{\"▁a\":0,\"b\":1,\"▁c\":2}",
                  "{\"type\":\"Metaspace\",\"replacement\":\"▁\",\"prepend_scheme\":\"never\"}", " ab c");
    check_decoder("{\"<0xC3>\":0,\"<0xB1>\":1,\"x\":2}", "{\"type\":\"ByteFallback\"}", "ñx");
    check_decoder("{\"x\":0,\"<0xC3>\":1,\"<0xC4>\":2}", "{\"type\":\"ByteFallback\"}", "x\ufffd\ufffd");
    check_decoder("{\"--a--\":0,\"-b\":1,\"c\":2}", "{\"type\":\"Strip\",\"content\":\"-\",\"start\":1,\"stop\":1}",
                  "-a-bc");
    check_decoder("{\"a1\":0,\"2b3\":1,\"c\":2}",
                  "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"[0-9]\"},\"content\":\"_\"}", "a__b_c");
    check_decoder("{\" a\":0,\" b\":1,\" c\":2}",
                  "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\" "
                  "\",\"start\":1,\"stop\":0}]}",
                  "a b c");
    check_decoder("{\"a\":0,\"b\":1,\"c\":2}",
                  "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Fuse\"},{\"type\":\"Replace\",\"pattern\":{"
                  "\"String\":\"bc\"},\"content\":\"!\"}]}",
                  "a!");
}
