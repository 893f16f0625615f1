/* SPDX-License-Identifier: Apache-2.0
 * The measurements of a report; see quant_report.h. The page is in quant_report_page.c. */
#include "tasks/quant_report.h"

#include <stdlib.h>

#include "base/clock.h"
#include "tasks/texts.h"

enum { N_CTX = 512, ROUNDS = 3 };

const char *const fj_report_languages[FJ_REPORT_TEXTS] = { "English", "Spanish" };
const char *const fj_report_prompts[FJ_REPORT_TEXTS] = { "The most important thing about learning to cook is",
                                                         "Lo más importante para aprender a cocinar es" };

void fj_report_row_free(fj_report_row *row)
{
    for (int i = 0; i < FJ_REPORT_TEXTS; i++)
        fj_str_free(&row->answer[i]);
}

fj_status fj_report_windows(const fj_opened *o, int64_t most, fj_windows out[FJ_REPORT_TEXTS], fj_err *err)
{
    int64_t known = o->model->hp.n_ctx, n_ctx = known >= FJ_PERPLEXITY_LEAST ? FJ_MIN(N_CTX, known) : N_CTX;
    fj_status st = fj_windows_of_text(o->bundle, fj_text_en(), "en.txt", n_ctx, most, FJ_PERPLEXITY_LEAST, &out[0],
                                      err);
    return st ? st
              : fj_windows_of_text(o->bundle, fj_text_es(), "es.txt", n_ctx, most, FJ_PERPLEXITY_LEAST, &out[1], err);
}

/* ---- answers and their speed ---------------------------------------------------------------------------------------------------------- */

typedef struct speaker {
    const fj_opened *o;
    const fj_measurement *m;
    fj_session *session;
    float *logits;
    int32_t ids[FJ_REPORT_ANSWER];
} speaker;

static int32_t best(const float *logits, int64_t n)
{
    int64_t i = 0;
    for (int64_t v = 1; v < n; v++)
        if (logits[v] > logits[i])
            i = v;
    return (int32_t)i;
}

/* Reads the prompt and goes on greedily; the seconds of both. */
static fj_status speak(speaker *s, const int32_t *prompt, int64_t n, double seconds[2], fj_err *err)
{
    int64_t n_vocab = s->o->model->hp.n_vocab;
    fj_rows_in rows = { .n = n, .ids = prompt };
    double started = fj_seconds();
    (void)fj_session_truncate(s->session, 0, 0);
    fj_status st = fj_session_forward(s->session, &rows, s->logits, s->m->cancel, err);
    seconds[0] = fj_seconds() - started;
    started = fj_seconds();
    for (int i = 0; i < FJ_REPORT_ANSWER && !st; i++) {
        s->ids[i] = best(s->logits, n_vocab);
        rows = (fj_rows_in){ .n = 1, .ids = &s->ids[i] };
        if (i + 1 < FJ_REPORT_ANSWER)
            st = fj_session_forward(s->session, &rows, s->logits, s->m->cancel, err);
    }
    seconds[1] = fj_seconds() - started;
    return st;
}

static fj_status answer(speaker *s, fj_encoder *encoder, const char *prompt, fj_str *out, fj_err *err)
{
    fj_encoding e = { 0 };
    double seconds[2];
    fj_status st = fj_encode(encoder, prompt, fj_text_of(prompt).len, FJ_ENCODE_SPECIAL, &e, err);
    if (!st)
        st = speak(s, e.ids, (int64_t)e.n, seconds, err);
    if (!st)
        st = fj_decode(s->o->bundle->tokenizer, s->ids, FJ_REPORT_ANSWER, true, out, err);
    fj_encoding_free(&e);
    return st;
}

static double middle(const double x[ROUNDS])
{
    double low = FJ_MIN(x[0], x[1]), high = FJ_MAX(x[0], x[1]);
    return FJ_MAX(low, FJ_MIN(high, x[2]));
}

static fj_status measure_speed(speaker *s, const fj_windows *w, fj_report_row *out, fj_err *err)
{
    double prompt[ROUNDS], tokens[ROUNDS], seconds[2];
    int64_t n = FJ_MIN(FJ_REPORT_PROMPT, w->n_ctx);
    fj_status st = speak(s, w->ids, n, seconds, err); /* warms caches */
    for (int i = 0; i < ROUNDS && !st; i++) {
        st = speak(s, w->ids, n, seconds, err);
        prompt[i] = (double)n / seconds[0];
        tokens[i] = (FJ_REPORT_ANSWER - 1) / seconds[1];
    }
    if (!st) {
        out->prompt_rate = middle(prompt);
        out->answer_rate = middle(tokens);
    }
    return st;
}

static fj_status measure_answers(const fj_opened *o, const fj_windows *w, const fj_measurement *m, fj_report_row *out,
                                 fj_err *err)
{
    speaker s = { .o = o, .m = m, .logits = malloc((size_t)o->model->hp.n_vocab * sizeof *s.logits) };
    fj_session_settings settings = { .n_ctx = FJ_REPORT_PROMPT + FJ_REPORT_ANSWER, .fast = true, .stop_layer = -1 };
    fj_encoder *encoder = NULL;
    fj_status st = s.logits ? fj_encoder_new(o->bundle->tokenizer, &encoder, err)
                            : fj_fail(err, FJ_ERR_MEMORY, "no memory for logits");
    if (!st)
        st = fj_session_open(o->model, &settings, m->pool, m->kernels, &s.session, err);
    for (int i = 0; i < FJ_REPORT_TEXTS && !st; i++)
        st = answer(&s, encoder, fj_report_prompts[i], &out->answer[i], err);
    if (!st)
        st = measure_speed(&s, w, out, err);
    fj_session_close(s.session);
    fj_encoder_free(encoder);
    free(s.logits);
    return st;
}

fj_status fj_report_measure(const fj_opened *opened, const fj_model *base, const fj_windows windows[FJ_REPORT_TEXTS],
                            const fj_measurement *m, fj_report_row *out, fj_err *err)
{
    fj_reader reader = { .model = opened->model }, other = { .model = base };
    fj_status st = measure_answers(opened, &windows[0], m, out, err);
    for (int i = 0; i < FJ_REPORT_TEXTS && !st; i++)
        st = fj_perplexity_measure(&reader, &other, &windows[i], m, &out->perplexity[i], &out->divergence[i], err);
    return st;
}

/* ---- judgement ------------------------------------------------------------------------------------------------------------------------ */

fj_loss fj_report_loss(const fj_report_row *row)
{
    static const double bounds[] = { 0.005, 0.05, 0.3, 1 };
    double kl = 0;
    int loss = 0;
    for (int i = 0; i < FJ_REPORT_TEXTS; i++)
        kl = FJ_MAX(kl, row->divergence[i].kl.value);
    while (loss < FJ_LOSS_NONSENSE && !(kl < bounds[loss]))
        loss++;
    return (fj_loss)loss;
}

const char *fj_loss_words(fj_loss loss)
{
    static const char *const words[] = { "almost nothing", "little", "something", "much", "nearly everything" };
    return words[loss];
}
