/* SPDX-License-Identifier: Apache-2.0
 * See draft.h. */
#include "tasks/draft.h"

#include <stdlib.h>
#include <string.h>

#define AT(member) offsetof(fj_draft_settings, member)

enum { MOST_GUESSES = 64 };

const fj_option fj_draft_options[] = {
    { "draft", "MODEL", FJ_OPT_TEXT, AT(model), NULL,
      "a smaller model with the same tokens guesses ahead; the answer stays the same (also --model-draft)", 0, 0, 0 },
    { "model-draft", "MODEL", FJ_OPT_TEXT, AT(model), NULL, "the same as --draft", 0, 0, 0 },
    { "lookup", NULL, FJ_OPT_FLAG, AT(lookup), NULL,
      "guess ahead what followed the last tokens where they stood before in prompt and answer; the answer stays the "
      "same",
      0, 0, 0 },
    { "draft-max", "N", FJ_OPT_INT, AT(most), "7", "tokens guessed at once, at most", 1, MOST_GUESSES, 0 },
    { "draft-min", "N", FJ_OPT_INT, AT(least), "0", "fewer are not tried", 0, MOST_GUESSES, 0 },
    { "draft-p-min", "P", FJ_OPT_REAL, AT(p_min), "0.75",
      "the draft model stops before a token that is less probable than this", 0, 1, 0 },
    { 0 },
};

struct fj_draft {
    fj_draft_settings s;
    fj_opened opened; /* the draft model; model NULL: look-up alone */
    fj_session *session;
    const fj_kernels *k;
    int64_t n_vocab; /* ids that both models have */
    int32_t *ids;    /* what the session holds */
    float *logits;
    int64_t reach; /* how many to guess now */
};

/* ---- opening -------------------------------------------------------------------------------------------------------------------------- */

/* Ids that both know must mean the same. Ids without a token (padding of the vocabulary) may be anything. */
static fj_status check_tokens(const fj_draft *d, const fj_opened *target, fj_err *err)
{
    const fj_tokenizer *a = target->bundle->tokenizer, *b = d->opened.bundle->tokenizer;
    int64_t differs = -1, n = a && b ? FJ_MIN(fj_tokenizer_size(a), fj_tokenizer_size(b)) : 0;
    fj_text x = { 0 }, y = { 0 };
    for (int64_t id = 0; id < n && differs < 0; id++) {
        x = fj_tokenizer_token(a, id);
        y = fj_tokenizer_token(b, id);
        if (x.len && y.len && (x.len != y.len || memcmp(x.data, y.data, x.len) != 0))
            differs = id;
    }
    if (differs >= 0)
        (void)fj_fail(err, FJ_ERR_USAGE, "--draft %s: token %lld is '%.*s', the model's is '%.*s'", d->s.model,
                      (long long)differs, (int)FJ_MIN(y.len, 40), y.data, (int)FJ_MIN(x.len, 40), x.data);
    else if (n == 0 && d->opened.model->hp.n_vocab != target->model->hp.n_vocab)
        (void)fj_fail(err, FJ_ERR_USAGE, "--draft %s: %lld tokens, the model has %lld", d->s.model,
                      (long long)d->opened.model->hp.n_vocab, (long long)target->model->hp.n_vocab);
    else
        return FJ_OK;
    return fj_hint(err,
                   "a draft has the model's own tokens: a smaller one of its family, or its own copy in fewer bits");
}

static fj_status check_model(const fj_draft *d, const fj_opened *target, fj_err *err)
{
    const fj_model *m = d->opened.model;
    if (m->hp.n_labels)
        return fj_fail(err, FJ_ERR_USAGE, "--draft %s: this model gives scores, it writes no text", d->s.model);
    if (fj_model_state_shape(m).n_layers) {
        (void)fj_fail(err, FJ_ERR_USAGE, "--draft %s: a recurrent state cannot take wrong guesses back", d->s.model);
        return fj_hint(err, "--lookup needs no draft model");
    }
    return check_tokens(d, target, err);
}

fj_status fj_draft_open(const fj_draft_settings *s, const fj_opened *target, fj_pool *pool, fj_draft **out, fj_err *err)
{
    *out = NULL;
    if (!s->model && !s->lookup)
        return FJ_OK;
    fj_draft *d = calloc(1, sizeof *d);
    if (!d)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to guess");
    *d = (fj_draft){ .s = *s, .reach = s->most };
    fj_status st = s->model ? fj_opened_open(s->model, NULL, FJ_OPEN_ALL, pool, &d->opened, err) : FJ_OK;
    if (!st && s->model)
        st = check_model(d, target, err);
    if (!st && s->model)
        d->n_vocab = FJ_MIN(target->model->hp.n_vocab, d->opened.model->hp.n_vocab);
    if (st) {
        fj_draft_close(d);
        return st;
    }
    *out = d;
    return FJ_OK;
}

void fj_draft_close(fj_draft *d)
{
    if (!d)
        return;
    fj_session_close(d->session);
    fj_opened_close(&d->opened);
    free(d->ids);
    free(d->logits);
    free(d);
}

static fj_session_settings session_of(const fj_draft *d, int64_t n_ctx, const fj_fit *fit)
{
    int64_t most = FJ_MAX(d->opened.model->hp.n_ctx, 2);
    return (fj_session_settings){
        .n_ctx = FJ_MIN(n_ctx, most), .chunk = fit->limit ? 64 : 0, .fast = true, .stop_layer = -1
    };
}

fj_status fj_draft_plan(const fj_draft *d, int64_t n_ctx, const fj_fit *fit, size_t *bytes, fj_err *err)
{
    fj_session_bytes session = { 0 };
    const fj_model *m = d->opened.model;
    *bytes = 0;
    if (!m)
        return FJ_OK;
    fj_session_settings s = session_of(d, n_ctx, fit);
    fj_status st = fj_session_plan(m, &s, fj_pool_threads(fit->pool), fit->kernels, &session, err);
    *bytes = session.kv + session.arena + (size_t)m->hp.n_vocab * sizeof(float) +
             (fit->repacks ? fj_model_repacked_bytes(m) : fj_model_bytes(m));
    return st;
}

fj_status fj_draft_start(fj_draft *d, int64_t n_ctx, const fj_fit *fit, fj_err *err)
{
    fj_model *m = d->opened.model;
    if (!m)
        return FJ_OK;
    fj_session_settings s = session_of(d, n_ctx, fit);
    if (fit->repacks)
        fj_opened_repack(&d->opened, fit->pool, fit->log);
    d->k = fit->kernels;
    fj_status st = fj_session_open(m, &s, fit->pool, fit->kernels, &d->session, err);
    if (st)
        return st;
    d->ids = calloc((size_t)fj_session_n_ctx(d->session), sizeof *d->ids);
    d->logits = calloc((size_t)m->hp.n_vocab, sizeof *d->logits);
    return d->ids && d->logits ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory to guess");
}

int64_t fj_draft_most(const fj_draft *d)
{
    return d->s.most;
}

/* ---- guessing ------------------------------------------------------------------------------------------------------------------------- */

/* What followed the longest of the text's endings that stands in it before, the latest place of equals; behind its own end it goes on
 * with what it guessed. */
static int64_t look_up(const int32_t *ids, int64_t n, int64_t most, int32_t *out)
{
    enum { SHORTEST = 3, LONGEST = 8 };
    int64_t longest = SHORTEST - 1, from = 0;
    for (int64_t end = n - 1; end > longest && longest < LONGEST; end--) {
        int64_t same = 0;
        while (same < FJ_MIN(end, LONGEST) && ids[end - 1 - same] == ids[n - 1 - same])
            same++;
        from = same > longest ? end : from;
        longest = FJ_MAX(same, longest);
    }
    for (int64_t i = 0; from && i < most; i++)
        out[i] = from + i < n ? ids[from + i] : out[from + i - n];
    return from ? most : 0;
}

/* The likeliest token, the lower id of equals, and its probability. Logits are lost. */
static int32_t best_of(const fj_draft *d, double *p)
{
    int64_t n = d->opened.model->hp.n_vocab, best = 0;
    float most = d->k->max_row(d->logits, n);
    while (best < n - 1 && d->logits[best] != most)
        best++;
    *p = 1 / (double)d->k->exp_row(d->logits, d->logits, 1, most, n);
    return (int32_t)best;
}

/* Logits behind n ids: what the session does not hold of them is computed. */
static fj_status follow(fj_draft *d, const int32_t *ids, int64_t n, const int *cancel, fj_err *err)
{
    int64_t held = FJ_MIN(fj_session_length(d->session, 0), n - 1), same = 0;
    while (same < held && d->ids[same] == ids[same])
        same++;
    same = fj_session_truncate(d->session, 0, same);
    fj_rows_in rows = { .n = n - same, .ids = ids + same };
    memcpy(d->ids + same, ids + same, (size_t)(n - same) * sizeof *ids);
    return fj_session_forward(d->session, &rows, d->logits, cancel, err);
}

static bool knows(const fj_draft *d, const int32_t *ids, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (ids[i] >= d->n_vocab)
            return false;
    return true;
}

static fj_status ask_model(fj_draft *d, const int32_t *ids, int64_t n, int64_t most, int32_t *out, int64_t *n_out,
                           const int *cancel, fj_err *err)
{
    double p;
    most = FJ_MIN(most, fj_session_n_ctx(d->session) - n);
    if (most <= 0 || !knows(d, ids, n))
        return FJ_OK;
    fj_status st = follow(d, ids, n, cancel, err);
    while (!st) {
        int32_t id = best_of(d, &p);
        if (!(p >= d->s.p_min) || id >= d->n_vocab)
            break;
        out[(*n_out)++] = id;
        if (*n_out == most)
            break;
        d->ids[n + *n_out - 1] = id;
        fj_rows_in rows = { .n = 1, .ids = &id };
        st = fj_session_forward(d->session, &rows, d->logits, cancel, err);
    }
    return st;
}

fj_status fj_draft_guess(fj_draft *d, const int32_t *ids, int64_t n, int64_t room, int32_t *out, int64_t *n_out,
                         const int *cancel, fj_err *err)
{
    fj_status st = FJ_OK;
    int64_t most = FJ_MIN(room, FJ_MAX(d->reach, d->s.least));
    *n_out = d->s.lookup ? look_up(ids, n, most, out) : 0;
    if (!*n_out && d->session)
        st = ask_model(d, ids, n, most, out, n_out, cancel, err);
    if (*n_out < d->s.least)
        *n_out = 0;
    return st;
}

void fj_draft_learn(fj_draft *d, int64_t n_guessed, int64_t n_right)
{
    d->reach = n_right == n_guessed ? FJ_MIN(2 * d->reach, d->s.most) : n_right + 1;
}
