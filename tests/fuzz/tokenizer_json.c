/* SPDX-License-Identifier: Apache-2.0
 * Bytes as a tokenizer.json; what opens encodes a text with and without offsets, decodes the ids, and is written for GGUF
 * and as tokenizer.json, which must open again and give the same ids. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tokenizers/tokenizer.h"

static const char text[] = "\xc2\xbfHola, mu\xc3\xb1\x65\x63o?  <s>\xe4\xb8\xad\xe6\x96\x87 it's 1234\n\n\xe2\x96\x81 "
                           "\xf0\x9f\x91\x8d e\xcc\x81 ##x</s> ";

static void use(fj_tokenizer *t, fj_encoder *e)
{
    fj_err err = { 0 };
    fj_encoding plain = { 0 }, full = { 0 };
    fj_str decoded = { 0 };
    fj_status a = fj_encode(e, text, sizeof text - 1, 0, &plain, &err);
    fj_status b = fj_encode(e, text, sizeof text - 1, FJ_ENCODE_OFFSETS, &full, &err);
    if (!a && !b && (plain.n != full.n || (plain.n && memcmp(plain.ids, full.ids, plain.n * sizeof *plain.ids))))
        abort();
    for (size_t i = 0; !b && i < full.n; i++)
        if (full.starts[i] < 0 || full.ends[i] < full.starts[i] || full.ends[i] > 60)
            abort();
    if (!b)
        (void)fj_decode(t, full.ids, full.n, false, &decoded, &err);
    fj_str_free(&decoded);
    fj_encoding_free(&plain);
    fj_encoding_free(&full);
}

static void write_again(const fj_tokenizer *t, fj_encoder *e)
{
    fj_err err = { 0 };
    fj_json *file = NULL;
    fj_str json = { 0 };
    fj_tokenizer *again = NULL;
    fj_encoder *other = NULL;
    fj_encoding wanted = { 0 }, got = { 0 };
    if (fj_tokenizer_to_json(t, &file, &err))
        return;
    if (!fj_json_write(file, 0, 17, &json) ||
        fj_tokenizer_from_json(json.data, json.len, "written", NULL, &again, &err) ||
        fj_encoder_new(again, &other, &err))
        abort();
    fj_status a = fj_encode(e, text, sizeof text - 1, FJ_ENCODE_SPECIAL, &wanted, &err);
    fj_status b = fj_encode(other, text, sizeof text - 1, FJ_ENCODE_SPECIAL, &got, &err);
    if (a != b || wanted.n != got.n || (got.n && memcmp(wanted.ids, got.ids, got.n * sizeof *got.ids)))
        abort();
    fj_json_free(file);
    fj_str_free(&json);
    fj_encoder_free(other);
    fj_tokenizer_free(again);
    fj_encoding_free(&wanted);
    fj_encoding_free(&got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fj_err err = { 0 };
    fj_tokenizer *t = NULL;
    fj_encoder *e = NULL;
    fj_tokenizer_gguf written;
    fj_arena *arena = fj_arena_new();
    if (arena && !fj_tokenizer_from_json((const char *)data, size, "file", NULL, &t, &err) &&
        fj_tokenizer_size(t) < 100000) {
        if (!fj_encoder_new(t, &e, &err)) {
            use(t, e);
            write_again(t, e);
        }
        (void)fj_tokenizer_to_gguf(t, fj_tokenizer_size(t) + 3, arena, &written, &err);
    }
    fj_encoder_free(e);
    fj_tokenizer_free(t);
    fj_arena_free(arena);
    return 0;
}
