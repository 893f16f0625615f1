/* SPDX-License-Identifier: Apache-2.0
 * What the tests of tokenizers share. */
#ifndef FJ_TOKENIZERS_TEST_TOKENIZERS_H
#define FJ_TOKENIZERS_TEST_TOKENIZERS_H

#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "tests/test.h"
#include "tokenizers/tokenizer_internal.h"

/* A byte-level tokenizer of 256 bytes (ids 0 … 255), "ab" (256), " a" (257), " ab" (258), special <|x|> (259), added [y] (260). */
static inline fj_tokenizer *test_bytes_tokenizer(const char *options)
{
    fj_err err = { 0 };
    fj_tokenizer *t = NULL;
    fj_str s = { 0 };
    fj_str_printf(&s,
                  "{\"added_tokens\":[{\"id\":259,\"content\":\"<|x|>\",\"special\":true},"
                  "{\"id\":260,\"content\":\"[y]\",\"normalized\":false}],"
                  "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},"
                  "\"decoder\":{\"type\":\"ByteLevel\"},%s\"model\":{\"type\":\"BPE\",\"vocab\":{",
                  options);
    for (uint32_t i = 0; i < 256; i++)
        fj_str_printf(&s, "\"\\u%04x\":%u,", fj_byte_character((uint8_t)i), i);
    fj_str_add_text(&s, "\"ab\":256,\"\\u0120a\":257,\"\\u0120ab\":258},"
                        "\"merges\":[\"a b\",\"\\u0120 a\",\"\\u0120 ab\"]}}");
    CHECK_OK(fj_tokenizer_from_json(s.data, s.len, "fixed", NULL, &t, &err));
    fj_str_free(&s);
    return t;
}

/* The tokenizer that t's tokenizer.json opens as. */
static inline fj_tokenizer *test_written_again(const fj_tokenizer *t)
{
    fj_err err = { 0 };
    fj_json *file = NULL;
    fj_str text = { 0 };
    fj_tokenizer *again = NULL;
    CHECK_OK(fj_tokenizer_to_json(t, &file, &err));
    CHECK(fj_json_write(file, 0, 17, &text));
    CHECK_OK(fj_tokenizer_from_json(text.data, text.len, "written", NULL, &again, &err));
    fj_json_free(file);
    fj_str_free(&text);
    return again;
}

/* Ids of a text as "1 2 3". */
static inline const char *test_ids(const fj_encoding *e)
{
    static char text[1024];
    size_t n = 0;
    text[0] = 0;
    for (size_t i = 0; i < e->n && n < sizeof text - 16; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%d", i ? " " : "", e->ids[i]);
    return text;
}

static inline const char *test_encode(const fj_tokenizer *t, const char *text, int flags)
{
    fj_err err = { 0 };
    fj_encoder *e = NULL;
    fj_encoding ids = { 0 };
    CHECK_OK(fj_encoder_new(t, &e, &err));
    CHECK_OK(fj_encode(e, text, strlen(text), flags, &ids, &err));
    const char *shown = test_ids(&ids);
    fj_encoding_free(&ids);
    fj_encoder_free(e);
    return shown;
}

#endif
