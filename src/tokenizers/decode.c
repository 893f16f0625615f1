/* SPDX-License-Identifier: Apache-2.0
 * Ids to text, all at once or one by one. See decoding.h. */
#include <stdlib.h>

#include "base/utf8.h"
#include "tokenizers/decoding.h"

fj_status fj_decoding_init(fj_decoding *d, const fj_steps *steps, fj_err *err)
{
    *d = (fj_decoding){ .steps = steps, .memory = calloc(steps->n + 1, sizeof *d->memory) };
    return d->memory ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory to decode");
}

void fj_decoding_free(fj_decoding *d)
{
    for (size_t i = 0; d->memory && i < d->steps->n; i++) {
        fj_str_free(&d->memory[i].token);
        fj_str_free(&d->memory[i].held);
        fj_str_free(&d->memory[i].made);
    }
    free(d->memory);
    fj_matcher_free(d->matcher);
    *d = (fj_decoding){ 0 };
}

fj_status fj_hand_on(fj_decoding *d, size_t at, fj_fragment f, fj_err *err)
{
    if (at < d->steps->n)
        return d->steps->items[at].decode(d, at, f, err);
    if (fj_utf8_valid(f.text.data, f.text.len))
        fj_str_add(d->out, f.text.data, f.text.len);
    else
        fj_utf8_repair(f.text.data, f.text.len, d->out);
    return d->out->failed ? fj_fail(err, FJ_ERR_MEMORY, "no memory for a text") : FJ_OK;
}

fj_status fj_hand_token(fj_decoding *d, size_t at, fj_text token, fj_err *err)
{
    return fj_hand_on(d, at, (fj_fragment){ .text = token, .begins = true, .ends = true }, err);
}

bool fj_gather(fj_step_memory *m, fj_fragment f, fj_text *token)
{
    if (f.begins)
        fj_str_clear(&m->token);
    *token = f.text;
    if (f.begins && f.ends)
        return true;
    fj_str_add(&m->token, f.text.data, f.text.len);
    *token = (fj_text){ m->token.data, m->token.len };
    return f.ends;
}

static fj_status add_id(fj_decoding *d, const fj_tokenizer *t, int32_t id, bool skip_special, fj_err *err)
{
    if (id < 0 || id >= t->n_tokens)
        return fj_fail(err, FJ_ERR_ARG, "id %d is not in the vocabulary of %lld tokens", id, (long long)t->n_tokens);
    if (!t->tokens[id].data || (skip_special && t->is_special[id]))
        return FJ_OK;
    return fj_hand_token(d, 0, t->tokens[id], err);
}

fj_status fj_decode(const fj_tokenizer *t, const int32_t *ids, size_t n, bool skip_special, fj_str *out, fj_err *err)
{
    fj_decoding d;
    fj_status st = fj_decoding_init(&d, &t->decoder, err);
    d.out = out;
    for (size_t i = 0; !st && i < n; i++)
        st = add_id(&d, t, ids[i], skip_special, err);
    if (!st)
        st = fj_hand_on(&d, 0, (fj_fragment){ .is_last = true }, err);
    fj_decoding_free(&d);
    return st;
}

/* ---- streaming ---------------------------------------------------------------------------------------------------------------------- */

struct fj_detok {
    const fj_tokenizer *t;
    bool skip_special;
    fj_decoding decoding;
};

fj_status fj_detok_new(const fj_tokenizer *t, bool skip_special, fj_detok **out, fj_err *err)
{
    fj_detok *d = calloc(1, sizeof *d);
    if (!d)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to decode");
    d->t = t;
    d->skip_special = skip_special;
    fj_status st = fj_decoding_init(&d->decoding, &t->decoder, err);
    if (st) {
        free(d);
        return st;
    }
    *out = d;
    return FJ_OK;
}

fj_status fj_detok_add(fj_detok *d, int32_t id, fj_str *out, fj_err *err)
{
    d->decoding.out = out;
    return add_id(&d->decoding, d->t, id, d->skip_special, err);
}

fj_status fj_detok_flush(fj_detok *d, fj_str *out, fj_err *err)
{
    d->decoding.out = out;
    fj_status st = fj_hand_on(&d->decoding, 0, (fj_fragment){ .is_last = true }, err);
    for (size_t i = 0; i < d->t->decoder.n; i++) { /* ready for another text */
        d->decoding.memory[i].count = 0;
        d->decoding.memory[i].is_open = false;
    }
    return st;
}

void fj_detok_free(fj_detok *d)
{
    if (!d)
        return;
    fj_decoding_free(&d->decoding);
    free(d);
}
