/* SPDX-License-Identifier: Apache-2.0 */
#include "tokenizers/test_tokenizers.h"

/* The 256 bytes, each its own rank, then what is given. */
static void put_bytes(fj_str *out, int n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int i = 0; i < n; i++)
        fj_str_printf(out, "%c%c== %d\n", digits[i >> 2], digits[(i & 3) << 4], i);
}

static fj_status open_text(const fj_str *file, const char *config_text, fj_tokenizer **out, fj_err *err)
{
    fj_json *config = NULL;
    CHECK(!fj_json_parse(config_text, strlen(config_text), "config", false, &config, err));
    fj_status st = fj_tokenizer_from_tiktoken(file->data, file->len, "x.tiktoken", config, out, err);
    fj_json_free(config);
    return st;
}

TEST(tiktoken_merges_by_rank_and_takes_specials_from_the_configuration)
{
    fj_err err = { 0 };
    fj_tokenizer *t = NULL;
    fj_str file = { 0 };
    put_bytes(&file, 256);
    fj_str_add_text(&file, "YmM= 256\r\nYWI= 257\n\nYWJj 258\n"); /* bc, ab, abc */
    CHECK_OK(open_text(
        &file,
        "{\"tokenizer_class\":\"Llama3Tokenizer\",\"bos_token\":\"[B]\",\"added_tokens_decoder\":"
        "{\"300\":{\"content\":\"[B]\"},\"301\":{\"content\":\"[x]\",\"special\":false},\"7\":{\"content\":\"!\"}}}",
        &t, &err));
    CHECK_TEXT(test_encode(t, "abc", FJ_ENCODE_SPECIAL), "300 258"); /* a whole token, before any merge */
    CHECK_TEXT(test_encode(t, "abcd", 0), "258 100");                /* a bc, then abc */
    CHECK_TEXT(test_encode(t, "aab[x]", 0), "97 257 301");
    CHECK(fj_tokenizer_bos(t) == 300 && fj_tokenizer_is_special(t, 300) && !fj_tokenizer_is_special(t, 301));
    fj_tokenizer_free(t);
    t = NULL;
    CHECK_OK(open_text(&file, "{\"tokenizer_class\":\"QWenTokenizer\"}", &t, &err));
    CHECK_TEXT(test_encode(t, "e\xcc\x81<|extra_204|>", 0), "195 169 151850"); /* NFC */
    fj_tokenizer_free(t);
    fj_str_free(&file);
}

static void check_refused(const char *tail, int n_bytes, const char *config, const char *message)
{
    fj_err err = { 0 };
    fj_tokenizer *t = NULL;
    fj_str file = { 0 };
    put_bytes(&file, n_bytes);
    fj_str_add_text(&file, tail);
    CHECK(open_text(&file, config, &t, &err) == FJ_ERR_FORMAT && !t);
    CHECK_TEXT(err.message, message);
    fj_str_free(&file);
}

TEST(tiktoken_says_what_is_wrong_with_a_file)
{
    static const char phi[] = "{\"tokenizer_class\":\"Phi3SmallTokenizer\"}";
    static const char line[] = "x.tiktoken: line 257 is no token in base64 (of at most 256 bytes) with its rank";
    check_refused("", 0, phi, "x.tiktoken: 0 lines of ranks, wanted 1 to 16777216");
    check_refused("YWI 256\n", 256, phi, line);
    check_refused("YW?= 256\n", 256, phi, line);
    check_refused("Y=I= 256\n", 256, phi, line);
    check_refused("==== 256\n", 256, phi, line);
    check_refused(" 256\n", 256, phi, line);
    check_refused("YWI=\n", 256, phi, line);
    check_refused("YWI= -1\n", 256, phi, line);
    check_refused("YWI= 99999999999999999999\n", 256, phi, line);
    check_refused("YWI= 256 \n", 256, phi, line);
    check_refused("YWI= 257\n", 256, phi, "x.tiktoken: line 257: rank 257 is above the number of lines");
    check_refused("YWI= 3\n", 256, phi, "x.tiktoken: line 257: rank 3 is there twice");
    check_refused("YQ== 256\n", 256, phi, "x.tiktoken: the token of rank 256 is there twice");
    check_refused("YWI= 255\n", 255, phi, "x.tiktoken: byte 0xff has no rank, so not every text could be tokenized");
    check_refused("YWI= 256\n", 256, "{}",
                  "x.tiktoken: a tiktoken file of 257 ranks, of a tokenizer that is not known");
    check_refused("YWI= 256\n", 256,
                  "{\"tokenizer_class\":\"QWenTokenizer\",\"added_tokens_decoder\":{\"x\":{\"content\":\"a\"}}}",
                  "x.tiktoken: added_tokens_decoder: 'x' is no id with a content");
}
