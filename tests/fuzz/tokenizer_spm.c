/* SPDX-License-Identifier: Apache-2.0
 * Bytes as SentencePiece's tokenizer.model; what opens encodes and decodes a text. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "tokenizers/tokenizer.h"

static const char text[] =
    "\xc2\xbfHola, mu\xc3\xb1\x65\x63o?  <s>\xe4\xb8\xad\xe6\x96\x87 1234\n\xe2\x96\x81 \xf0\x9f\x91\x8d </s> ";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fj_err err = { 0 };
    fj_tokenizer *t = NULL;
    fj_encoder *e = NULL;
    fj_encoding ids = { 0 };
    fj_str decoded = { 0 };
    if (!fj_tokenizer_from_spm(data, size, "file", NULL, &t, &err) && !fj_encoder_new(t, &e, &err) &&
        !fj_encode(e, text, sizeof text - 1, FJ_ENCODE_SPECIAL | FJ_ENCODE_OFFSETS, &ids, &err) &&
        fj_decode(t, ids.ids, ids.n, false, &decoded, &err))
        abort(); /* what was encoded can be decoded */
    fj_str_free(&decoded);
    fj_encoding_free(&ids);
    fj_encoder_free(e);
    fj_tokenizer_free(t);
    return 0;
}
