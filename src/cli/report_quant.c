/* SPDX-License-Identifier: Apache-2.0
 * forja report quant: a page about one's own model at 8, 6, 5, 4, 3 and 2 bits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/map.h"
#include "cli/commands.h"
#include "cli/print.h"
#include "tasks/export.h"
#include "tasks/quant_report.h"

typedef struct settings {
    fj_common common;
    const char *model, *out;
    int64_t windows;
    bool keep;
} settings;

static const fj_option options[] = {
    { "MODEL", NULL, FJ_OPT_ARG, offsetof(settings, model), NULL, "folder or .gguf file, best in 16 bits", 0, 0, 0 },
    { "output", "DIR", FJ_OPT_TEXT, offsetof(settings, out), "quant-report", "folder for the page", 0, 0, 'o' },
    { "windows", "N", FJ_OPT_INT, offsetof(settings, windows), "4", "windows of each text; 0: all", 0, 1e6, 0 },
    { "keep", NULL, FJ_OPT_FLAG, offsetof(settings, keep), NULL, "keep the quantized files in the folder", 0, 0, 0 },
    { 0 },
};

static const struct {
    int bits;
    const char *recipe;
} forms[] = { { 8, "Q8_0" }, { 6, "Q6_K" }, { 5, "Q5_K_M" }, { 4, "Q4_K_M" }, { 3, "Q3_K_M" }, { 2, "Q2_K" } };

enum { N_ROWS = 1 + FJ_LEN(forms) };

typedef struct work {
    const fj_call *call;
    const settings *s;
    fj_opened source, base; /* to be quantized, as it lies in its file; to be read */
    fj_windows windows[FJ_REPORT_TEXTS];
    fj_measurement m;
    fj_report_row rows[N_ROWS];
    fj_progress bar;
} work;

static fj_status open_for_reading(const work *w, const char *path, fj_opened *o, fj_err *err)
{
    fj_status st = fj_opened_open(path, NULL, FJ_OPEN_ALL, w->call->rt->pool, o, err);
    if (!st && o->model->hp.n_labels)
        st = fj_fail(err, FJ_ERR_USAGE, "%s is a classifier: it foretells no tokens", path);
    if (!st)
        fj_opened_repack(o, w->call->rt->pool, w->call->rt->log);
    return st;
}

static void show(work *w, size_t done, const char *what)
{
    fj_progress_show(&w->bar, (double)done, what);
}

static fj_status measure_base(work *w, fj_err *err)
{
    fj_report_row *row = &w->rows[0];
    const fj_model *m = w->source.model;
    row->name = fj_model_head(m)->dtype->name;
    row->bytes = fj_model_bytes(m);
    row->bits_a_weight = 8 * (double)row->bytes / (double)fj_model_parameters(m);
    show(w, 0, "as it came");
    return fj_report_measure(&w->base, w->base.model, w->windows, &w->m, row, err);
}

static fj_status measure_form(work *w, size_t i, fj_err *err)
{
    static const fj_export_rows stored = { fj_export_stored_rows, NULL };
    fj_report_row *row = &w->rows[1 + i];
    fj_export_types types = { .recipe = fj_recipe_by_name(forms[i].recipe) };
    fj_opened o = { 0 };
    fj_str path = { 0 };
    struct stat info;
    fj_str_printf(&path, "%s/%s.gguf", w->s->out, forms[i].recipe);
    row->name = forms[i].recipe;
    row->bits = forms[i].bits;
    show(w, 1 + i, row->name);
    fj_status st = path.failed ? fj_fail(err, FJ_ERR_MEMORY, "no memory for a name")
                               : fj_export_gguf(w->source.model, w->source.bundle, &stored, &types, path.data,
                                                w->m.pool, NULL, NULL, err);
    bool is_written = !st;
    if (!st)
        st = open_for_reading(w, path.data, &o, err);
    if (!st && !stat(path.data, &info)) {
        row->bytes = (uint64_t)info.st_size;
        row->bits_a_weight = 8 * (double)fj_model_bytes(o.model) / (double)fj_model_parameters(o.model);
        st = fj_report_measure(&o, w->base.model, w->windows, &w->m, row, err);
    }
    fj_opened_close(&o);
    if (is_written && !w->s->keep)
        (void)unlink(path.data);
    fj_str_free(&path);
    return st;
}

static fj_status write_text(const work *w, const char *name, const fj_str *text, fj_err *err)
{
    char *path = fj_path_join(w->s->out, name);
    fj_status st = path && !text->failed ? fj_file_write(path, text->data, text->len, err)
                                         : fj_fail(err, FJ_ERR_MEMORY, "no memory for the report");
    free(path);
    return st;
}

static bool add_row(fj_json *list, const fj_report_row *r)
{
    fj_json *v = fj_json_new_object();
    bool ok = v && fj_json_set(v, "bits", fj_json_new_int(r->bits)) &&
              fj_json_set(v, "type", fj_json_new_text(r->name, strlen(r->name))) &&
              fj_json_set(v, "bytes", fj_json_new_int((int64_t)r->bytes)) &&
              fj_json_set(v, "bits_per_weight", fj_json_new_real(r->bits_a_weight)) &&
              fj_json_set(v, "prompt_tokens_per_second", fj_json_new_real(r->prompt_rate)) &&
              fj_json_set(v, "answer_tokens_per_second", fj_json_new_real(r->answer_rate)) &&
              fj_json_set(v, "loss",
                          fj_json_new_text(fj_loss_words(fj_report_loss(r)), strlen(fj_loss_words(fj_report_loss(r)))));
    for (int t = 0; t < FJ_REPORT_TEXTS && ok; t++) {
        fj_json *one = fj_json_new_object();
        ok = one && fj_json_set(one, "perplexity", fj_json_new_real(r->perplexity[t].perplexity.value)) &&
             fj_json_set(one, "perplexity_error", fj_json_new_real(r->perplexity[t].perplexity.error)) &&
             fj_json_set(one, "kl", fj_json_new_real(r->divergence[t].kl.value)) &&
             fj_json_set(one, "kl_error", fj_json_new_real(r->divergence[t].kl.error)) &&
             fj_json_set(one, "same_top", fj_json_new_real(r->divergence[t].same_top.value)) &&
             fj_json_set(one, "answer", fj_json_new_text(r->answer[t].data ? r->answer[t].data : "", r->answer[t].len));
        ok = fj_json_set(v, fj_report_languages[t], one) && ok;
    }
    if (!ok) {
        fj_json_free(v);
        return false;
    }
    return fj_json_add(list, v);
}

static fj_status print_json(const work *w, const fj_str *verdict, fj_err *err)
{
    fj_json *v = fj_json_new_object(), *list = fj_json_new_array();
    bool ok = v && list && fj_json_set(v, "folder", fj_json_new_text(w->s->out, strlen(w->s->out))) &&
              fj_json_set(v, "verdict", fj_json_new_text(verdict->data, verdict->len));
    for (size_t i = 0; i < N_ROWS && ok; i++)
        ok = add_row(list, &w->rows[i]);
    ok = ok && fj_json_set(v, "rows", fj_json_share(list));
    fj_json_free(list);
    if (!ok) {
        fj_json_free(v);
        v = NULL;
    }
    return fj_print_json(v, 0, err);
}

static fj_status write_report(const work *w, fj_err *err)
{
    fj_str page = { 0 }, picture = { 0 }, verdict = { 0 };
    const char *slash = strrchr(w->s->model, '/'), *name = slash && slash[1] ? slash + 1 : w->s->model;
    fj_report_page(name, w->rows, N_ROWS, "quant.svg", &page);
    fj_report_picture(w->rows, N_ROWS, &picture);
    fj_report_verdict(w->rows, N_ROWS, &verdict);
    fj_status st = write_text(w, "quant.svg", &picture, err);
    if (!st)
        st = write_text(w, "quant.md", &page, err);
    if (!st && w->s->common.json)
        st = print_json(w, &verdict, err);
    else if (!st)
        (void)printf("%s\n%s/quant.md and quant.svg are written\n", verdict.data, w->s->out);
    fj_str_free(&page);
    fj_str_free(&picture);
    fj_str_free(&verdict);
    return st;
}

static fj_status run(const fj_call *call, fj_err *err)
{
    const fj_runtime *rt = call->rt;
    work w = { .call = call, .s = call->settings, .m = { rt->pool, &rt->kernels, rt->cancel, NULL, NULL } };
    w.bar = (fj_progress){
        .title = "report", .unit = "forms", .total = N_ROWS, .is_quiet = w.s->common.quiet || w.s->common.json
    };
    fj_status st = open_for_reading(&w, w.s->model, &w.base, err);
    if (!st)
        st = fj_opened_open(w.s->model, NULL, FJ_OPEN_ALL, rt->pool, &w.source, err);
    if (!st)
        st = fj_report_windows(&w.base, w.s->windows, w.windows, err);
    if (!st)
        st = fj_make_dirs(w.s->out, err);
    if (!st)
        st = measure_base(&w, err);
    for (size_t i = 0; i < FJ_LEN(forms) && !st; i++)
        st = measure_form(&w, i, err);
    fj_progress_end(&w.bar);
    if (!st)
        st = write_report(&w, err);
    for (size_t i = 0; i < N_ROWS; i++)
        fj_report_row_free(&w.rows[i]);
    for (int i = 0; i < FJ_REPORT_TEXTS; i++)
        fj_windows_free(&w.windows[i]);
    fj_opened_close(&w.source);
    fj_opened_close(&w.base);
    return st;
}

const fj_command fj_command_report_quant = {
    .name = "report quant",
    .summary = "A page about a model at 8, 6, 5, 4, 3 and 2 bits.",
    .about =
        "Size, speed, perplexity and KL divergence on an English and a Spanish text, answers side by side, and whether "
        "the\n"
        "rule of thumb holds: 8 bits lose almost nothing, 5 are fine, 4 lose, 2 talk nonsense.",
    .options = options,
    .settings_size = sizeof(settings),
    .run = run,
};
