/* SPDX-License-Identifier: Apache-2.0
 * A hostile row of a data file: guess its layout, make messages or tokens of it, cut it. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "data/data_internal.h"

static void as_tokens(const fj_json *row)
{
    fj_err err = { 0 };
    fj_tokens t = { 0 };
    fj_tokenizing how = { .n_vocab = 100 };
    if (!fj_tokens_from_row(&how, row, &t, &err)) {
        int64_t before = t.n;
        fj_tokens_cut(&t, 5, false);
        if (t.n > 5 || t.n > before || fj_tokens_targets(&t) > t.n)
            abort();
    }
    fj_tokens_free(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fj_err err = { 0 };
    fj_json *row = NULL, *messages = NULL, *tools = NULL;
    fj_row_source s = { .path = "row", .name = "row", .columns = fj_columns_default(), .tags = fj_tags_sharegpt() };
    if (fj_json_parse((const char *)data, size, "row", false, &row, &err))
        return 0;
    err = (fj_err){ 0 };
    if (!fj_source_guess(&s, row, &err)) {
        if (s.shape->kind == FJ_SHAPE_TOKENS)
            as_tokens(row);
        else if (s.shape->messages && !s.shape->messages(&s, row, &messages, &tools, &err) &&
                 fj_json_len(messages) == 0)
            abort();
    }
    fj_json_free(messages);
    fj_json_free(tools);
    fj_json_free(row);
    return 0;
}
