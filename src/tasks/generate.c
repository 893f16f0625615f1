/* SPDX-License-Identifier: Apache-2.0
 * See generate.h. */
#include "tasks/generate.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tasks/stop.h"

struct fj_generator {
    fj_session *session;
    const fj_bundle *bundle;
    int64_t n_ctx, n; /* the context's size; ids that were given to the session or come next */
    int32_t *ids;     /* n_ctx + 1 */
    float *logits;    /* n_vocab */
    int32_t ends[FJ_MOST_ENDS];
    int n_ends;
};

void fj_generation_free(fj_generation *g)
{
    fj_str_free(&g->text);
    free(g->ids);
    *g = (fj_generation){ 0 };
}

fj_status fj_generator_new(fj_session *session, int64_t n_vocab, const fj_bundle *bundle, fj_generator **out,
                           fj_err *err)
{
    fj_generator *g = calloc(1, sizeof *g);
    *out = NULL;
    if (g) {
        *g = (fj_generator){ .session = session, .bundle = bundle, .n_ctx = fj_session_n_ctx(session) };
        g->ids = calloc((size_t)g->n_ctx + 1, sizeof *g->ids);
        g->logits = calloc((size_t)n_vocab, sizeof *g->logits);
        g->n_ends = fj_end_ids(bundle, g->ends);
    }
    if (!g || !g->ids || !g->logits) {
        fj_generator_free(g);
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to generate");
    }
    *out = g;
    return FJ_OK;
}

void fj_generator_free(fj_generator *g)
{
    if (!g)
        return;
    free(g->ids);
    free(g->logits);
    free(g);
}

/* ---- the prompt ----------------------------------------------------------------------------------------------------------------------- */

/* Computes what the session does not hold yet of a prompt, at least its last token. */
static fj_status prefill(fj_generator *g, const int32_t *prompt, int64_t n, const int *cancel, fj_generation *out,
                         fj_err *err)
{
    int64_t held = FJ_MIN(fj_session_length(g->session, 0), n - 1), same = 0;
    double started = fj_seconds();
    while (same < held && g->ids[same] == prompt[same])
        same++;
    same = fj_session_truncate(g->session, 0, same);
    fj_rows_in rows = { .n = n - same, .ids = prompt + same };
    fj_status st = fj_session_forward(g->session, &rows, g->logits, cancel, err);
    if (st)
        return st;
    memcpy(g->ids, prompt, (size_t)n * sizeof *prompt);
    g->n = n;
    out->prompt_n = n - same;
    out->prompt_ms = 1e3 * (fj_seconds() - started);
    return FJ_OK;
}

static fj_status check_prompt(const fj_generator *g, int64_t n, fj_err *err)
{
    if (n == 0) {
        (void)fj_fail(err, FJ_ERR_USAGE, "the prompt has no tokens");
        return fj_hint(err, "this model begins a text with no token of its own: give it at least a word");
    }
    if (n < g->n_ctx)
        return FJ_OK;
    (void)fj_fail(err, FJ_ERR_USAGE, "the prompt has %lld tokens, the context has room for %lld with one to answer",
                  (long long)n, (long long)g->n_ctx - 1);
    return fj_hint(err, "a larger context: -c %lld", (long long)n + 512);
}

/* ---- the answer ----------------------------------------------------------------------------------------------------------------------- */

/* What turns ids into text that may be shown. */
typedef struct stream {
    fj_detok *detok; /* NULL without a tokenizer */
    fj_stop stop;
    fj_str piece;
    fj_generate_show *show;
    void *context;
    fj_str *text;
} stream;

/* Moves the piece on, up to a stop text. True when there was one. */
static bool pass_on(stream *s)
{
    size_t before = s->text->len;
    bool is_stop = fj_stop_add(&s->stop, s->piece.data ? s->piece.data : "", s->piece.len, s->text);
    fj_str_clear(&s->piece);
    if (s->show && s->text->len > before)
        s->show(s->context, s->text->data + before, s->text->len - before);
    return is_stop;
}

static fj_status add_id(stream *s, int32_t id, bool *is_stop, fj_err *err)
{
    *is_stop = false;
    if (!s->detok)
        return FJ_OK;
    fj_status st = fj_detok_add(s->detok, id, &s->piece, err);
    if (!st)
        *is_stop = pass_on(s);
    return st;
}

/* What was held back comes out at the end. */
static fj_status finish(stream *s, fj_err *err)
{
    if (!s->detok)
        return FJ_OK;
    fj_status st = fj_detok_flush(s->detok, &s->piece, err);
    if (st || pass_on(s))
        return st;
    size_t before = s->text->len;
    fj_stop_flush(&s->stop, s->text);
    if (s->show && s->text->len > before)
        s->show(s->context, s->text->data + before, s->text->len - before);
    return FJ_OK;
}

/* Draws tokens until something ends the answer; *ended by a stop text when there is nothing left to flush. */
static fj_status decode(fj_generator *g, fj_sampler *sampler, const fj_generate_settings *s, stream *text,
                        const int *cancel, fj_generation *out, bool *is_stop, fj_err *err)
{
    fj_status st = FJ_OK;
    for (out->finish_reason = "length"; !st && (s->n_predict < 0 || out->n < s->n_predict);) {
        int32_t id;
        st = fj_sampler_draw(sampler, g->logits, g->ids, g->n, &id, err);
        if (st)
            break;
        out->ids[out->n++] = id;
        g->ids[g->n++] = id;
        if (!s->ignore_eos && fj_is_end(g->ends, g->n_ends, id)) {
            out->finish_reason = "stop";
            break;
        }
        st = add_id(text, id, is_stop, err);
        if (*is_stop)
            out->finish_reason = "stop";
        if (st || *is_stop || g->n > g->n_ctx || out->n == s->n_predict)
            break;
        fj_rows_in rows = { .n = 1, .ids = &id };
        st = fj_session_forward(g->session, &rows, g->logits, cancel, err);
    }
    if (st == FJ_ERR_CANCELLED)
        out->finish_reason = "cancelled";
    return st;
}

static fj_status answer(fj_generator *g, fj_sampler *sampler, const fj_generate_settings *s, stream *text,
                        const int *cancel, fj_generation *out, fj_err *err)
{
    double started = fj_seconds();
    bool is_stop = false;
    fj_err ignored = { 0 };
    fj_status st = g->bundle->tokenizer ? fj_detok_new(g->bundle->tokenizer, true, &text->detok, err) : FJ_OK;
    if (!st)
        st = decode(g, sampler, s, text, cancel, out, &is_stop, err);
    if (!is_stop && (!st || st == FJ_ERR_CANCELLED)) {
        fj_status end = finish(text, st ? &ignored : err);
        st = st ? st : end;
    }
    out->predicted_ms = 1e3 * (fj_seconds() - started);
    if (!st && (out->text.failed || text->stop.held.failed))
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory for the answer");
    return st;
}

fj_status fj_generate(fj_generator *g, fj_sampler *sampler, const int32_t *prompt, int64_t n,
                      const fj_generate_settings *s, fj_generate_show *show, void *context, const int *cancel,
                      fj_generation *out, fj_err *err)
{
    stream text = { .stop = { .texts = s->stop }, .show = show, .context = context, .text = &out->text };
    fj_status st = check_prompt(g, n, err);
    if (st)
        return st;
    int64_t room = g->n_ctx + 1 - n;
    fj_generation_free(out);
    out->ids = calloc((size_t)room, sizeof *out->ids);
    if (!out->ids)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for an answer of %lld tokens", (long long)room);
    out->finish_reason = "cancelled"; /* so far */
    st = prefill(g, prompt, n, cancel, out, err);
    if (!st)
        st = answer(g, sampler, s, &text, cancel, out, err);
    fj_detok_free(text.detok);
    fj_stop_free(&text.stop);
    fj_str_free(&text.piece);
    return st;
}
