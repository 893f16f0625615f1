/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/hub.h"
#include "tests/test.h"

/* The first id of a text with the tokenizer of a golden folder or file, whose weights are not asked for. */
static int32_t first_id(const char *golden, const char *text)
{
    fj_err err = { 0 };
    fj_bundle *b = NULL;
    fj_encoder *e = NULL;
    fj_encoding ids = { 0 };
    CHECK_OK(fj_bundle_open(test_golden(golden), FJ_OPEN_TOKENIZER, &b, &err));
    CHECK(b->tokenizer && !b->source);
    CHECK_OK(fj_encoder_new(b->tokenizer, &e, &err));
    CHECK_OK(fj_encode(e, text, strlen(text), FJ_ENCODE_SPECIAL, &ids, &err));
    CHECK(ids.n > 0);
    int32_t id = ids.ids[0];
    fj_encoding_free(&ids);
    fj_encoder_free(e);
    fj_bundle_close(b);
    return id;
}

TEST(bundle_finds_the_tokenizer_in_every_form)
{
    CHECK(first_id("tokenizers/tiktoken", "<|user|>") == 100262);
    CHECK(first_id("tokenizers/llama3", "<|x|>") >= 0);
    CHECK(first_id("tokenizers/spm", "Hola") == 1);   /* begins with <s> */
    CHECK(first_id("nemo/tiny.nemo", "Hola") == 331); /* the same file, and NeMo adds none */
}
