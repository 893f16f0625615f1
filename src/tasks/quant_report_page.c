/* SPDX-License-Identifier: Apache-2.0
 * A report as a page, a picture and a sentence; see quant_report.h. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tasks/quant_report.h"

/* What the guide says of some numbers of bits, as bounds of the loss. */
typedef struct rule {
    int bits;
    const char *claim;
    fj_loss least, most;
} rule;

static const rule rules[] = {
    { 8, "8 bits lose almost nothing", FJ_LOSS_NOTHING, FJ_LOSS_NOTHING },
    { 5, "5 bits are fine", FJ_LOSS_NOTHING, FJ_LOSS_LITTLE },
    { 4, "4 bits lose something", FJ_LOSS_LITTLE, FJ_LOSS_MUCH },
    { 2, "2 bits talk nonsense", FJ_LOSS_NONSENSE, FJ_LOSS_NONSENSE },
};

static const fj_report_row *row_of(const fj_report_row *rows, size_t n, int bits)
{
    for (size_t i = 0; i < n; i++)
        if (rows[i].bits == bits)
            return &rows[i];
    return NULL;
}

static double rise(const fj_report_row *row, int text)
{
    return 100 * (exp(row->divergence[text].ln_ratio.value) - 1);
}

static double worst_kl(const fj_report_row *row)
{
    return fmax(row->divergence[0].kl.value, row->divergence[1].kl.value);
}

static bool holds(const rule *r, const fj_report_row *row)
{
    fj_loss loss = fj_report_loss(row);
    return loss >= r->least && loss <= r->most;
}

void fj_report_verdict(const fj_report_row *rows, size_t n, fj_str *out)
{
    int kept = 0, broken = 0;
    for (size_t i = 0; i < FJ_LEN(rules); i++) {
        const fj_report_row *row = row_of(rows, n, rules[i].bits);
        if (row && holds(&rules[i], row))
            fj_str_printf(out, "%s%s", kept++ ? ", " : "The rule of thumb holds for this model where it says that ",
                          rules[i].claim);
    }
    if (!kept)
        fj_str_add_text(out, "The rule of thumb does not hold for this model");
    for (size_t i = 0; i < FJ_LEN(rules); i++) {
        const fj_report_row *row = row_of(rows, n, rules[i].bits);
        if (row && !holds(&rules[i], row))
            fj_str_printf(out, "%s%d bits lose %s (KL %.3f)",
                          broken++ ? ", "
                          : kept   ? ", but not elsewhere: "
                                   : ": ",
                          row->bits, fj_loss_words(fj_report_loss(row)), worst_kl(row));
    }
    fj_str_add_text(out, ".");
}

/* ---- the page ------------------------------------------------------------------------------------------------------------------------- */

/* An answer in a cell of a table: on one line, without what Markdown would read. */
static void add_cell(fj_str *out, const fj_str *text)
{
    for (size_t i = 0; i < text->len; i++) {
        char c = text->data[i];
        if (strchr("|*_`<>[]\\", c) && c)
            fj_str_add_char(out, '\\');
        fj_str_add_char(out, (unsigned char)c < ' ' ? ' ' : c);
    }
}

static void add_bits(fj_str *out, const fj_report_row *row)
{
    if (row->bits)
        fj_str_printf(out, "| %d |", row->bits);
    else
        fj_str_add_text(out, "| as it came |");
}

static void add_figures(const fj_report_row *rows, size_t n, fj_str *out)
{
    fj_str_add_text(out, "| bits | type | loses | size | bits a weight | prompt, tokens/s | answer, tokens/s |\n"
                         "|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < n; i++) {
        const fj_report_row *r = &rows[i];
        char size[24];
        add_bits(out, r);
        fj_str_printf(out, " %s | %s | %s | %.2f | %.0f | %.0f |\n", r->name,
                      r->bits ? fj_loss_words(fj_report_loss(r)) : "", fj_format_bytes(r->bytes, size),
                      r->bits_a_weight, r->prompt_rate, r->answer_rate);
    }
}

static void add_losses(const fj_report_row *rows, size_t n, int t, fj_str *out)
{
    fj_str_printf(out,
                  "\n## %s\n\n| bits | perplexity | rise | KL divergence | 99 %% of tokens below | same top token |\n"
                  "|---|---|---|---|---|---|\n",
                  fj_report_languages[t]);
    for (size_t i = 0; i < n; i++) {
        const fj_report_row *r = &rows[i];
        const fj_divergence *d = &r->divergence[t];
        add_bits(out, r);
        fj_str_printf(out, " %.2f ± %.2f |", r->perplexity[t].perplexity.value, r->perplexity[t].perplexity.error);
        if (r->bits)
            fj_str_printf(out, " %+.2f %% | %.4f ± %.4f | %.3f | %.1f %% |\n", rise(r, t), d->kl.value, d->kl.error,
                          d->kl_99, 100 * d->same_top.value);
        else
            fj_str_add_text(out, " | | | |\n");
    }
}

static void add_answers(const fj_report_row *rows, size_t n, fj_str *out)
{
    for (int t = 0; t < FJ_REPORT_TEXTS; t++) {
        fj_str_printf(out, "\n## \"%s ...\"\n\n| bits | goes on, greedily |\n|---|---|\n", fj_report_prompts[t]);
        for (size_t i = 0; i < n; i++) {
            add_bits(out, &rows[i]);
            fj_str_add_char(out, ' ');
            add_cell(out, &rows[i].answer[t]);
            fj_str_add_text(out, " |\n");
        }
    }
}

void fj_report_page(const char *model, const fj_report_row *rows, size_t n, const char *picture, fj_str *out)
{
    fj_str_printf(out, "# What fewer bits cost %s\n\n", model);
    fj_report_verdict(rows, n, out);
    fj_str_printf(out, "\n\n![Size and loss by bits](%s)\n\n", picture);
    add_figures(rows, n, out);
    for (int t = 0; t < FJ_REPORT_TEXTS; t++)
        add_losses(rows, n, t, out);
    add_answers(rows, n, out);
    fj_str_printf(
        out,
        "\n## How this was measured\n\nBy forja, on two texts of its own (CC0): %lld tokens of English and %lld of "
        "Spanish "
        "were scored, in windows of llama.cpp's conventions, in float32. Perplexity: how many tokens the model "
        "hesitates between, on average; the figure behind ± is the standard error, \"rise\" is over the same tokens "
        "and so much more exact than the difference of two perplexities. KL: how far the probabilities moved from "
        "those of the model as it came, in nats a token; below 0.005 a form is said to lose almost nothing, below "
        "0.05 little, below 0.3 something, below 1 much, in the worse of the two languages. Speed: a prompt of %d "
        "tokens and %d tokens behind it, with the arithmetic of `forja run`, median of three. No importance matrix was "
        "used: `forja imatrix` and `forja quantize --imatrix` lose less at the same size, and "
        "`forja quantize --target-size` chooses the types by measurement.\n",
        (long long)rows[0].perplexity[0].tokens, (long long)rows[0].perplexity[1].tokens, FJ_REPORT_PROMPT,
        FJ_REPORT_ANSWER);
}

/* ---- the picture ---------------------------------------------------------------------------------------------------------------------- */

enum { WIDTH = 720, BAR = 16, GAP = 8, LEFT = 90, SPAN = 200, SECOND = 400 };

static void add_bar(fj_str *out, int x, int y, double share, const char *color, const char *label)
{
    fj_str_printf(out, "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n", x, y,
                  fmax(1, SPAN * fmin(1, fmax(0, share))), BAR, color);
    fj_str_printf(out, "<text x=\"%.1f\" y=\"%d\">%s</text>\n", x + fmax(1, SPAN * fmin(1, fmax(0, share))) + 5,
                  y + BAR - 4, label);
}

/* KL on a logarithmic scale: from 0.0001 to 10 nats. */
static double kl_share(double kl)
{
    return kl > 0 ? (log10(kl) + 4) / 5 : 0;
}

void fj_report_picture(const fj_report_row *rows, size_t n, fj_str *out)
{
    static const char *const colors[] = { "#4878a8", "#c06a2c" };
    int each = FJ_REPORT_TEXTS * BAR + GAP, height = 40 + (int)n * each + 10;
    char label[64], size[24];
    fj_str_printf(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
        "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
        WIDTH, height, WIDTH, height);
    fj_str_printf(out,
                  "<text x=\"%d\" y=\"20\">size</text>\n<text x=\"%d\" y=\"20\">KL divergence, logarithmic: "
                  "<tspan fill=\"%s\">%s</tspan>, <tspan fill=\"%s\">%s</tspan></text>\n",
                  LEFT, SECOND, colors[0], fj_report_languages[0], colors[1], fj_report_languages[1]);
    for (size_t i = 0; i < n; i++) {
        int y = 36 + (int)i * each;
        fj_str_printf(out, "<text x=\"8\" y=\"%d\">%s</text>\n", y + BAR + 4, rows[i].name);
        add_bar(out, LEFT, y + BAR / 2, (double)rows[i].bytes / (double)rows[0].bytes, "#888888",
                fj_format_bytes(rows[i].bytes, size));
        for (int t = 0; t < FJ_REPORT_TEXTS && rows[i].bits; t++) {
            (void)snprintf(label, sizeof label, "%.4f", rows[i].divergence[t].kl.value);
            add_bar(out, SECOND, y + t * BAR, kl_share(rows[i].divergence[t].kl.value), colors[t], label);
        }
    }
    fj_str_add_text(out, "</svg>\n");
}
