/* SPDX-License-Identifier: Apache-2.0
 * Bytes as a text for a byte-level tokenizer of 256 bytes, a few merges and two added tokens. The first byte chooses how. Text that is
 * UTF-8 comes back the same, all at once and id by id; untrusted text holds no special token; offsets cover the text in order. */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "tokenizers/tokenizer.h"

enum { SPECIAL = 259, ADDED = 260 };

/* The byte alphabet: bytes that print are themselves, the others are U+0100 and up. */
static void add_vocabulary(fj_str *s)
{
    uint32_t next = 0x100;
    for (uint32_t i = 0; i < 256; i++) {
        bool prints = (i >= '!' && i <= '~') || (i >= 0xa1 && i <= 0xac) || i >= 0xae;
        fj_str_printf(s, "\"\\u%04x\":%u,", prints ? i : next++, i);
    }
    fj_str_add_text(s, "\"ab\":256,\"\\u0120a\":257,\"\\u0120ab\":258}");
}

static fj_tokenizer *open_tokenizer(void)
{
    fj_err err = { 0 };
    fj_tokenizer *t = NULL;
    fj_str s = { 0 };
    fj_str_add_text(
        &s, "{\"added_tokens\":[{\"id\":259,\"content\":\"<|x|>\",\"special\":true},{\"id\":260,\"content\":\"[y]\","
            "\"normalized\":false}],\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},"
            "\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":{");
    add_vocabulary(&s);
    fj_str_add_text(&s, ",\"merges\":[\"a b\",\"\\u0120 a\",\"\\u0120 ab\"]}}");
    if (fj_tokenizer_from_json(s.data, s.len, "fixed", NULL, &t, &err)) {
        (void)fprintf(stderr, "%s\n", err.message);
        abort();
    }
    fj_str_free(&s);
    return t;
}

static void check_text(const fj_tokenizer *t, const fj_encoding *e, const char *text, size_t len)
{
    fj_err err = { 0 };
    fj_str whole = { 0 }, streamed = { 0 };
    fj_detok *d = NULL;
    if (fj_decode(t, e->ids, e->n, false, &whole, &err) || whole.len != len || (len && memcmp(whole.data, text, len)))
        abort();
    if (fj_detok_new(t, false, &d, &err))
        abort();
    for (size_t i = 0; i < e->n; i++)
        if (fj_detok_add(d, e->ids[i], &streamed, &err) || !fj_utf8_valid(streamed.data, streamed.len))
            abort();
    if (fj_detok_flush(d, &streamed, &err) || streamed.len != len || (len && memcmp(streamed.data, text, len)))
        abort();
    fj_detok_free(d);
    fj_str_free(&whole);
    fj_str_free(&streamed);
}

static void check_offsets(const fj_encoding *e)
{
    for (size_t i = 0; i < e->n; i++)
        if (e->ends[i] <= e->starts[i] || (i && (e->starts[i] < e->starts[i - 1] || e->starts[i] > e->ends[i - 1])))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fj_err err = { 0 };
    if (!size)
        return 0;
    static fj_tokenizer *t;
    fj_encoder *e = NULL;
    fj_encoding ids = { 0 };
    const char *text = (const char *)data + 1;
    size_t len = size - 1, at = len ? data[0] % len : 0;
    bool is_plain = data[0] & 1;
    if (!t)
        t = open_tokenizer();
    if (fj_encoder_new(t, &e, &err))
        abort();
    fj_piece pieces[] = { { { text, at }, !is_plain }, { { text + at, len - at }, !is_plain } };
    fj_status st = data[0] & 2
                       ? fj_encode_pieces(e, pieces, 2, FJ_ENCODE_OFFSETS, &ids, &err)
                       : fj_encode(e, text, len, FJ_ENCODE_OFFSETS | (is_plain ? FJ_ENCODE_PLAIN : 0), &ids, &err);
    if (!st) {
        check_text(t, &ids, text, len);
        check_offsets(&ids);
        for (size_t i = 0; is_plain && i < ids.n; i++)
            if (ids.ids[i] == SPECIAL)
                abort();
    } else if (st != FJ_ERR_DATA || (fj_utf8_valid(text, len) && !(data[0] & 2))) {
        abort();
    }
    fj_encoding_free(&ids);
    fj_encoder_free(e);
    return 0;
}
