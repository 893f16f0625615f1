/* SPDX-License-Identifier: Apache-2.0
 * One model at several numbers of bits, side by side: size, speed, loss on an English and a Spanish text, answers. */
#ifndef FJ_TASKS_QUANT_REPORT_H
#define FJ_TASKS_QUANT_REPORT_H

#include "quant/quant.h"
#include "tasks/opened.h"
#include "tasks/perplexity.h"

enum { FJ_REPORT_TEXTS = 2, FJ_REPORT_PROMPT = 128, FJ_REPORT_ANSWER = 24 }; /* tokens of a timed prompt, of an answer */

extern const char *const fj_report_languages[FJ_REPORT_TEXTS]; /* "English", "Spanish" */
extern const char *const fj_report_prompts[FJ_REPORT_TEXTS];   /* what the answers go on from */

/* The model in one form. */
typedef struct fj_report_row {
    const char     *name; /* the recipe's, or what the model came as */
    int             bits; /* 8 … 2; 0: the model as it came */
    uint64_t        bytes;
    double          bits_a_weight;
    double          prompt_rate, answer_rate; /* tokens a second, median of three */
    fj_perplexity   perplexity[FJ_REPORT_TEXTS];
    fj_divergence   divergence[FJ_REPORT_TEXTS]; /* from the model as it came */
    fj_str          answer[FJ_REPORT_TEXTS];
} fj_report_row;
void fj_report_row_free(fj_report_row *row); /* accepts a zeroed one */

/* How much a form loses, by its mean KL divergence in the worse of the two languages: below 0.005, 0.05, 0.3 and 1 nats a token. */
typedef enum fj_loss { FJ_LOSS_NOTHING, FJ_LOSS_LITTLE, FJ_LOSS_SOME, FJ_LOSS_MUCH, FJ_LOSS_NONSENSE } fj_loss;
fj_loss     fj_report_loss(const fj_report_row *row);
const char *fj_loss_words(fj_loss loss); /* "almost nothing", … "nearly everything" */

/* Measures one form. opened: it, for reading (repacked where there is room); base: the model as it came; windows: of both texts. */
fj_status fj_report_measure(const fj_opened *opened, const fj_model *base, const fj_windows windows[FJ_REPORT_TEXTS],
                            const fj_measurement *m, fj_report_row *out, fj_err *err);

/* The windows of the built-in texts. FJ_ERR_USAGE for a model without a tokenizer. */
fj_status fj_report_windows(const fj_opened *opened, int64_t most, fj_windows out[FJ_REPORT_TEXTS], fj_err *err);

/* Appends the page (Markdown) of n rows, the first being the model as it came, and the picture of its bars (SVG). */
void fj_report_page(const char *model, const fj_report_row *rows, size_t n, const char *picture, fj_str *out);
void fj_report_picture(const fj_report_row *rows, size_t n, fj_str *out);
/* One sentence: where the rule of thumb holds for this model. */
void fj_report_verdict(const fj_report_row *rows, size_t n, fj_str *out);

#endif
