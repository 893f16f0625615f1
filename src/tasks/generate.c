/* SPDX-License-Identifier: Apache-2.0
 * See generate.h. */
#include "tasks/generate.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tasks/prompt_cache.h"
#include "tasks/stop.h"

struct fj_generator {
    fj_session *session;
    const fj_bundle *bundle;
    int64_t n_vocab;
    int64_t n_ctx, n; /* the context's size; ids that were given to the session or come next */
    int32_t *ids;     /* n_ctx + 1: those, then guesses; always begins with what the session holds */
    float *logits;    /* (1 + guesses, n_vocab) */
    fj_draft *draft;  /* NULL: none */
    uint8_t *wants;   /* 1 + guesses ones */
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
        *g = (fj_generator){
            .session = session, .bundle = bundle, .n_vocab = n_vocab, .n_ctx = fj_session_n_ctx(session)
        };
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
    free(g->wants);
    free(g);
}

fj_status fj_generator_use_draft(fj_generator *g, fj_draft *draft, fj_err *err)
{
    size_t rows = 1 + (size_t)fj_draft_most(draft);
    float *logits = calloc(rows * (size_t)g->n_vocab, sizeof *logits);
    uint8_t *wants = malloc(rows);
    if (!logits || !wants) {
        free(logits);
        free(wants);
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for the logits of %zu tokens", rows);
    }
    memset(wants, 1, rows);
    free(g->logits);
    free(g->wants);
    g->logits = logits;
    g->wants = wants;
    g->draft = draft;
    return FJ_OK;
}

/* ---- the prompt ----------------------------------------------------------------------------------------------------------------------- */

/* How many of the first n ids of a prompt the session holds. */
static int64_t in_common(const fj_generator *g, const int32_t *prompt, int64_t n)
{
    int64_t most = FJ_MIN(fj_session_length(g->session, 0), n), same = 0;
    while (same < most && g->ids[same] == prompt[same])
        same++;
    return same;
}

/* Computes n ids behind the first `same`, which the session holds, or from further back where a recurrent state cannot be cut there. Says
 * how many these were. */
static fj_status compute(fj_generator *g, const int32_t *ids, int64_t n, int64_t same, const int *cancel,
                         int64_t *computed, fj_err *err)
{
    same = fj_session_truncate(g->session, 0, same);
    fj_rows_in rows = { .n = n - same, .ids = ids + same };
    *computed = rows.n;
    return fj_session_forward(g->session, &rows, g->logits, cancel, err);
}

/* What the session does not hold yet of a prompt's first n ids, of which `most` need not be computed again. */
static fj_status read_prompt(fj_generator *g, const int32_t *prompt, int64_t n, int64_t most, const int *cancel,
                             fj_generation *out, fj_err *err)
{
    double started = fj_seconds();
    int64_t computed;
    fj_status st = compute(g, prompt, n, in_common(g, prompt, most), cancel, &computed, err);
    if (st)
        return st;
    memcpy(g->ids, prompt, (size_t)n * sizeof *prompt);
    g->n = n;
    out->prompt_n += computed;
    out->prompt_ms += 1e3 * (fj_seconds() - started);
    return FJ_OK;
}

/* Takes from the file what it has of the prompt, and writes it anew when that was not all: but for the last token, so that a recurrent state
 * need not go back for the same prompt. */
static fj_status use_cache(fj_generator *g, const int32_t *prompt, int64_t n, const fj_generate_settings *s,
                           const int *cancel, fj_generation *out, fj_err *err)
{
    int64_t held = 0;
    fj_status st = FJ_OK;
    if (!fj_session_length(g->session, 0))
        st = fj_prompt_cache_read(s->prompt_cache, g->session, prompt, n - 1, &held, err);
    if (!st)
        memcpy(g->ids, prompt, (size_t)held * sizeof *prompt);
    if (st || held == n - 1 || !s->writes_prompt_cache)
        return st;
    st = read_prompt(g, prompt, n - 1, n - 1, cancel, out, err);
    return st ? st : fj_generator_save(g, s->prompt_cache, err);
}

/* The whole prompt, at least its last token. */
static fj_status prefill(fj_generator *g, const int32_t *prompt, int64_t n, const fj_generate_settings *s,
                         const int *cancel, fj_generation *out, fj_err *err)
{
    fj_status st = s->prompt_cache ? use_cache(g, prompt, n, s, cancel, out, err) : FJ_OK;
    return st ? st : read_prompt(g, prompt, n, n - 1, cancel, out, err);
}

fj_status fj_generator_save(const fj_generator *g, const char *path, fj_err *err)
{
    return fj_prompt_cache_write(path, g->session, g->ids, err);
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

/* An answer on its way. */
typedef struct drawing {
    int64_t room;   /* for ids in the answer */
    int64_t n_kept; /* ids that a full context keeps */
    bool has_shifted;
    bool is_stop; /* a stop text ended it: nothing is left to flush */
} drawing;

static fj_status add_token(fj_generator *g, drawing *d, fj_generation *out, int32_t id, fj_err *err)
{
    if (out->n == d->room) {
        int32_t *grown = realloc(out->ids, 2 * (size_t)d->room * sizeof *grown);
        if (!grown)
            return fj_fail(err, FJ_ERR_MEMORY, "no memory for an answer of %lld tokens", (long long)(2 * d->room));
        out->ids = grown;
        d->room *= 2;
    }
    out->ids[out->n++] = id;
    g->ids[g->n++] = id;
    return FJ_OK;
}

/* How many ids stay when the context is full: as llama.cpp counts them, the one that begins texts is kept beside them. */
static int64_t count_kept(const fj_generator *g, const fj_generate_settings *s, int64_t n_prompt)
{
    const fj_tokenizer *t = g->bundle->tokenizer;
    bool begins = t && fj_tokenizer_adds_bos(t) && g->ids[0] == fj_tokenizer_bos(t);
    int64_t n = s->n_keep < 0 ? n_prompt : FJ_MIN(s->n_keep + begins, n_prompt);
    return FJ_MAX(0, FJ_MIN(n, g->n_ctx - 4));
}

/* Forgets half of what is behind the ids that are kept, and computes all the rest anew: keys know their positions and what was before
 * them, so that the answer goes on as one to a text that was never longer. */
static fj_status shift(fj_generator *g, const fj_generate_settings *s, drawing *d, const int *cancel, fj_err *err)
{
    int64_t kept = d->n_kept, dropped = FJ_MAX(1, (g->n - 1 - kept) / 2), computed;
    if (!d->has_shifted)
        fj_note(
            s->log,
            "the context of %lld tokens is full: from here on, whenever it is, half of what is behind the first %lld "
            "is forgotten",
            (long long)g->n_ctx, (long long)kept);
    d->has_shifted = true;
    g->n -= dropped;
    memmove(g->ids + kept, g->ids + kept + dropped, (size_t)(g->n - kept) * sizeof *g->ids);
    return compute(g, g->ids, g->n, kept, cancel, &computed, err);
}

/* The answer cannot go on; it has "length". */
static void say_full(const fj_generator *g, const fj_generate_settings *s)
{
    fj_note(
        s->log,
        "the answer ends because the context of %lld tokens is full: -c N makes a larger one, --context-shift goes on "
        "without the oldest",
        (long long)g->n_ctx);
}

/* Draws the next token from a row of logits; whether the answer is over. */
static fj_status take_token(fj_generator *g, fj_sampler *sampler, const fj_generate_settings *s, stream *text,
                            drawing *d, const float *logits, fj_generation *out, bool *is_over, fj_err *err)
{
    int32_t id;
    fj_status st = fj_sampler_draw(sampler, logits, g->ids, g->n, &id, err);
    if (!st)
        st = add_token(g, d, out, id, err);
    if (st)
        return st;
    bool is_end = !s->ignore_eos && fj_is_end(g->ends, g->n_ends, id);
    if (!is_end)
        st = add_id(text, id, &d->is_stop, err);
    if (is_end || d->is_stop)
        out->finish_reason = "stop";
    *is_over = is_end || d->is_stop || out->n == s->n_predict;
    return st;
}

/* The tokens of a pass: behind what was known, and behind each guess as long as the guesses are what was drawn. The session then holds
 * no more than that, and not the last one. */
static fj_status take_tokens(fj_generator *g, fj_sampler *sampler, const fj_generate_settings *s, stream *text,
                             drawing *d, int64_t n_guessed, fj_generation *out, bool *is_over, fj_err *err)
{
    fj_status st = FJ_OK;
    int64_t row = 0, n_right = 0;
    for (; !st && !*is_over && row == n_right; row++) {
        int32_t guess = row < n_guessed ? g->ids[g->n] : -1;
        st = take_token(g, sampler, s, text, d, g->logits + row * g->n_vocab, out, is_over, err);
        n_right += !st && g->ids[g->n - 1] == guess;
    }
    if (fj_session_length(g->session, 0) > g->n - 1)
        (void)fj_session_truncate(g->session, 0, g->n - 1);
    out->draft_n += n_guessed;
    out->draft_n_accepted += n_right;
    if (n_guessed && !*is_over)
        fj_draft_learn(g->draft, n_guessed, n_right);
    return st;
}

/* Computes the last token and guesses of what follows, as many as could still be wanted. A recurrent state goes back to before the pass
 * that had a wrong guess: it takes what was right once more, without guesses, so that the next pass begins behind it. A context that
 * is full shifts before. */
static fj_status next_pass(fj_generator *g, const fj_generate_settings *s, drawing *d, const fj_generation *out,
                           const int *cancel, int64_t *n_guessed, fj_err *err)
{
    fj_status st = FJ_OK;
    int64_t held = fj_session_length(g->session, 0), room = g->n_ctx - g->n;
    *n_guessed = 0;
    if (room < 0)
        return shift(g, s, d, cancel, err);
    if (s->n_predict >= 0)
        room = FJ_MIN(room, s->n_predict - out->n - 1);
    if (g->draft && room > 0 && held == g->n - 1)
        st = fj_draft_guess(g->draft, g->ids, g->n, room, g->ids + g->n, n_guessed, cancel, err);
    fj_rows_in rows = { .n = g->n - held + *n_guessed, .ids = g->ids + held, .wants = *n_guessed ? g->wants : NULL };
    return st ? st : fj_session_forward(g->session, &rows, g->logits, cancel, err);
}

/* Draws tokens until something ends the answer. */
static fj_status decode(fj_generator *g, fj_sampler *sampler, const fj_generate_settings *s, drawing *d, stream *text,
                        const int *cancel, fj_generation *out, fj_err *err)
{
    fj_status st = FJ_OK;
    int64_t n_guessed = 0;
    bool is_over = s->n_predict == 0;
    out->finish_reason = "length";
    while (!st && !is_over) {
        st = take_tokens(g, sampler, s, text, d, n_guessed, out, &is_over, err);
        if (!st && !is_over && g->n > g->n_ctx && !s->shifts_context) {
            say_full(g, s);
            break;
        }
        if (!st && !is_over)
            st = next_pass(g, s, d, out, cancel, &n_guessed, err);
    }
    if (st == FJ_ERR_CANCELLED)
        out->finish_reason = "cancelled";
    return st;
}

static fj_status answer(fj_generator *g, fj_sampler *sampler, const fj_generate_settings *s, drawing *d, stream *text,
                        const int *cancel, fj_generation *out, fj_err *err)
{
    double started = fj_seconds();
    fj_err ignored = { 0 };
    fj_status st = g->bundle->tokenizer ? fj_detok_new(g->bundle->tokenizer, true, &text->detok, err) : FJ_OK;
    if (!st)
        st = decode(g, sampler, s, d, text, cancel, out, err);
    if (!d->is_stop && (!st || st == FJ_ERR_CANCELLED)) {
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
    drawing d = { .room = g->n_ctx + 1 - n };
    fj_generation_free(out);
    out->ids = calloc((size_t)d.room, sizeof *out->ids);
    if (!out->ids)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for an answer of %lld tokens", (long long)d.room);
    out->finish_reason = "cancelled"; /* so far */
    st = prefill(g, prompt, n, s, cancel, out, err);
    if (!st) {
        d.n_kept = count_kept(g, s, n);
        st = answer(g, sampler, s, &d, &text, cancel, out, err);
    }
    fj_detok_free(text.detok);
    fj_stop_free(&text.stop);
    fj_str_free(&text.piece);
    return st;
}
