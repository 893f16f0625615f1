/* SPDX-License-Identifier: Apache-2.0
 * Ids of a rendered chat. */

#include <stdlib.h>

#include "tokenizers/template.h"

/* Neighbouring spans of one origin are one piece: '<|' + role + '|>' spells one token. */
fj_status fj_template_encode(const fj_rendering *r, fj_encoder *e, fj_encoding *out, fj_err *err)
{
    size_t n = 0;
    fj_piece *pieces = calloc(r->n_spans + 1, sizeof *pieces);
    if (!pieces)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for the pieces of a chat");
    for (size_t i = 0; i < r->n_spans; i++) {
        const fj_span *s = &r->spans[i];
        if (n > 0 && pieces[n - 1].trusted == !s->from_message)
            pieces[n - 1].text.len += s->len;
        else
            pieces[n++] = (fj_piece){ .text = { r->text.data + s->start, s->len }, .trusted = !s->from_message };
    }
    fj_status st = fj_encode_pieces(e, pieces, n, FJ_ENCODE_OFFSETS, out, err);
    free(pieces);
    return st;
}
