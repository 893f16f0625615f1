/* SPDX-License-Identifier: Apache-2.0
 * Bytes as lines of a tiktoken file behind those of the 256 bytes; what opens encodes and decodes a text. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tokenizers/tokenizer.h"

static const char text[] =
    "\xc2\xbfHola, mu\xc3\xb1\x65\x63o?  <|end|>\xe4\xb8\xad\xe6\x96\x87 1234\n \xf0\x9f\x91\x8d abab ";
static const char config_text[] = "{\"tokenizer_class\":\"Phi3SmallTokenizer\"}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    fj_err err = { 0 };
    fj_tokenizer *t = NULL;
    fj_encoder *e = NULL;
    fj_encoding ids = { 0 };
    fj_str decoded = { 0 }, file = { 0 };
    fj_json *config = NULL;
    for (int i = 0; i < 256; i++)
        fj_str_printf(&file, "%c%c== %d\n", digits[i >> 2], digits[(i & 3) << 4], i);
    fj_str_add(&file, data, size);
    if (fj_json_parse(config_text, sizeof config_text - 1, "config", false, &config, &err))
        abort();
    if (!fj_tokenizer_from_tiktoken(file.data, file.len, "file", config, &t, &err)) {
        if (fj_encoder_new(t, &e, &err) ||
            fj_encode(e, text, sizeof text - 1, FJ_ENCODE_SPECIAL | FJ_ENCODE_OFFSETS, &ids, &err) ||
            fj_decode(t, ids.ids, ids.n, false, &decoded, &err))
            abort();
        if (decoded.len != sizeof text - 1 || memcmp(decoded.data, text, decoded.len) != 0)
            abort(); /* every byte has a token: what was encoded comes back */
    }
    fj_str_free(&decoded);
    fj_str_free(&file);
    fj_encoding_free(&ids);
    fj_encoder_free(e);
    fj_tokenizer_free(t);
    fj_json_free(config);
    return 0;
}
