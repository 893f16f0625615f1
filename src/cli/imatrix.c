/* SPDX-License-Identifier: Apache-2.0
 * forja imatrix: which columns of each weight matter for a text, for `forja quantize --imatrix`. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/print.h"
#include "tasks/imatrix.h"

typedef struct settings {
    fj_common common;
    const char *model, *out;
    fj_list files;
    int64_t n_ctx, windows;
    bool fast;
} settings;

static const fj_option options[] = {
    { "MODEL", NULL, FJ_OPT_ARG, offsetof(settings, model), NULL, "folder or .gguf file", 0, 0, 0 },
    { "file", "FILE", FJ_OPT_LIST, offsetof(settings, files), NULL, "a text to read; may be repeated", 0, 0, 'f' },
    { "output", "FILE", FJ_OPT_TEXT, offsetof(settings, out), NULL, "file to write, llama.cpp's GGUF form", 0, 0, 'o' },
    { "ctx-size", "N", FJ_OPT_INT, offsetof(settings, n_ctx), "512", "tokens a window", 1, 1 << 24, 'c' },
    { "windows", "N", FJ_OPT_INT, offsetof(settings, windows), "0", "windows at most; 0: the whole text", 0, 1e9, 0 },
    { "fast", NULL, FJ_OPT_FLAG, offsetof(settings, fast), NULL, "the arithmetic of `run`, not float32", 0, 0, 0 },
    { 0 },
};

typedef struct work {
    const fj_call *call;
    fj_opened opened;
    fj_windows windows;
    fj_imatrix *matrix;
    fj_progress bar;
} work;

static void show(void *context, int64_t windows, double perplexity)
{
    work *w = context;
    (void)perplexity;
    fj_progress_show(&w->bar, (double)windows, NULL);
}

static fj_status collect(work *w, fj_err *err)
{
    const settings *s = w->call->settings;
    const fj_runtime *rt = w->call->rt;
    fj_reader reader = { w->opened.model, NULL, s->fast };
    fj_measurement m = { rt->pool, &rt->kernels, rt->cancel, show, w };
    w->bar = (fj_progress){
        .title = "read", .unit = "windows", .total = (double)w->windows.n, .is_quiet = s->common.quiet || s->common.json
    };
    fj_status st = fj_imatrix_collect(&reader, &w->windows, s->files.items, s->files.n, &m, &w->matrix, err);
    fj_progress_end(&w->bar);
    return st;
}

/* Experts that nothing was sent to. */
static int64_t count_idle(const fj_imatrix *m)
{
    int64_t n = 0;
    for (size_t i = 0; i < fj_imatrix_count(m); i++)
        for (int64_t e = 0; e < m->items[i].n_counts; e++)
            n += m->items[i].counts[e] == 0;
    return n;
}

static fj_status print_result(const work *w, fj_err *err)
{
    const settings *s = w->call->settings;
    int64_t tokens = w->windows.n * w->windows.n_ctx, idle = count_idle(w->matrix);
    size_t n = fj_imatrix_count(w->matrix);
    if (idle)
        fj_warn(w->call->rt->log, "%lld matrices of experts got no token: a longer text would reach them",
                (long long)idle);
    if (!s->common.json) {
        (void)printf("%s: %zu matrices from %lld tokens\n", s->out, n, (long long)tokens);
        return FJ_OK;
    }
    fj_json *v = fj_json_new_object();
    bool ok = v && fj_json_set(v, "file", fj_json_new_text(s->out, strlen(s->out))) &&
              fj_json_set(v, "matrices", fj_json_new_int((int64_t)n)) &&
              fj_json_set(v, "tokens", fj_json_new_int(tokens)) &&
              fj_json_set(v, "windows", fj_json_new_int(w->windows.n)) && fj_json_set(v, "idle", fj_json_new_int(idle));
    if (!ok) {
        fj_json_free(v);
        v = NULL;
    }
    return fj_print_json(v, 0, err);
}

static fj_status run(const fj_call *call, fj_err *err)
{
    const settings *s = call->settings;
    work w = { .call = call };
    if (!s->files.n || !s->out)
        return fj_fail(err, FJ_ERR_USAGE, "imatrix: %s is missing", s->files.n ? "-o FILE" : "-f FILE");
    fj_status st = fj_opened_open(s->model, NULL, FJ_OPEN_ALL, call->rt->pool, &w.opened, err);
    if (!st)
        fj_opened_repack(&w.opened, call->rt->pool, call->rt->log);
    if (!st) {
        int64_t known = w.opened.model->hp.n_ctx, n_ctx = s->n_ctx;
        if (!fj_call_given(call, "ctx-size") && known > 0)
            n_ctx = FJ_MIN(n_ctx, known);
        st = fj_windows_of_files(w.opened.bundle, s->files.items, s->files.n, n_ctx, s->windows, 1, &w.windows, err);
    }
    if (!st)
        st = collect(&w, err);
    if (!st)
        st = fj_imatrix_write(w.matrix, s->out, err);
    if (!st)
        st = print_result(&w, err);
    fj_imatrix_free(w.matrix);
    fj_windows_free(&w.windows);
    fj_opened_close(&w.opened);
    return st;
}

const fj_command fj_command_imatrix = {
    .name = "imatrix",
    .summary = "Which columns of the weights matter, for quantize --imatrix.",
    .about = "Reads a text and sums the squares of what each weight matrix is multiplied with. Some thousand tokens of "
             "what the\n"
             "model will be used for are enough.",
    .options = options,
    .settings_size = sizeof(settings),
    .run = run,
};
