/* SPDX-License-Identifier: Apache-2.0
 * forja quantize --target-size, --target-kld: types chosen by measurement, and the table of what was chosen. See tasks/mix.h. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/print.h"
#include "cli/quantize.h"
#include "tasks/imatrix.h"
#include "tasks/texts.h"

enum { N_CTX = 512, WINDOWS = 8 }; /* of each built-in text half as many */

/* "4.2G", "900M", "3Gi", "12345": decimal units, or binary with an i; a B behind is fine. */
static fj_status parse_size(const char *text, uint64_t *out, fj_err *err)
{
    static const char units[] = "KMGT";
    size_t n = strspn(text, "0123456789.");
    double number, unit = 1;
    bool ok = fj_text_f64((fj_text){ text, n }, &number) && number > 0;
    const char *rest = text + n, *at = *rest ? strchr(units, *rest == 'k' ? 'K' : *rest) : NULL;
    if (at) {
        rest++;
        unit = pow(*rest == 'i' ? 1024 : 1000, (double)(at - units + 1));
        rest += *rest == 'i';
    }
    rest += *rest == 'B';
    if (!ok || *rest || !(number * unit < 1e18)) {
        (void)fj_fail(err, FJ_ERR_USAGE, "--target-size: '%s' is no size", text);
        return fj_hint(err, "write 4.2G, 900M, 3Gi");
    }
    *out = (uint64_t)(number * unit);
    return FJ_OK;
}

static void step(void *context, const char *what)
{
    const fj_call *call = context;
    fj_note(call->rt->log, "measuring: %s", what);
}

static fj_status read_text(const fj_opened *o, const char *file, fj_targeted *t, fj_err *err)
{
    fj_windows from[2] = { 0 };
    int64_t known = o->model->hp.n_ctx, n_ctx = known >= FJ_PERPLEXITY_LEAST ? FJ_MIN(N_CTX, known) : N_CTX;
    fj_status st;
    if (file) {
        st = fj_windows_of_files(o->bundle, &file, 1, n_ctx, WINDOWS, FJ_PERPLEXITY_LEAST, &from[0], err);
    } else {
        st = fj_windows_of_text(o->bundle, fj_text_en(), "en.txt", n_ctx, WINDOWS / 2, FJ_PERPLEXITY_LEAST, &from[0],
                                err);
        if (!st)
            st = fj_windows_of_text(o->bundle, fj_text_es(), "es.txt", n_ctx, WINDOWS / 2, FJ_PERPLEXITY_LEAST,
                                    &from[1], err);
    }
    if (!st)
        st = fj_windows_deal(from, file ? 1 : 2, &t->learn, &t->test, err);
    fj_windows_free(&from[0]);
    fj_windows_free(&from[1]);
    return st;
}

static void print_table(const fj_call *call, const fj_opened *o, const fj_targeted *t)
{
    static const char *const titles[] = { "matrix", "type", "bits", "error", "KL", NULL };
    fj_table table = { .titles = titles, .align = "llrrr" };
    fj_str text = { 0 };
    double expected = 0;
    const fj_common *common = call->settings;
    for (size_t i = 0; i < fj_mix_count(t->mix); i++) {
        fj_mix_line l = fj_mix_line_of(t->mix, i);
        const char *name = fj_model_gguf_name(o->model, l.weight);
        fj_table_add(&table, "%s", name ? name : l.weight->name);
        fj_table_add(&table, "%s", l.type->name);
        fj_table_add(&table, "%.2f", 8.0 * (double)l.bytes / (double)fj_shape_count(&l.weight->shape));
        fj_table_add(&table, "%.4f", sqrt(l.error));
        fj_table_add(&table, "%.6f", l.loss);
        expected += l.loss;
    }
    if (!common->json && !common->quiet) {
        fj_table_print(&table, fj_wants_color(1), &text);
        (void)printf("%sKL divergence: %.6f expected, %.6f ± %.6f measured on %lld tokens\n",
                     text.data ? text.data : "", expected, t->kl.value, t->kl.error,
                     (long long)(t->test.n * t->test.n_ctx));
    }
    fj_str_free(&text);
    fj_table_free(&table);
}

/* The bytes of a file of this mix that are not the matrices'. */
static fj_status bytes_around(const fj_opened *o, const fj_targeted *t, uint64_t *out, fj_err *err)
{
    fj_export_types types = { fj_target_recipe(t), fj_mix_types(t->mix), t->settings.imatrix, "imatrix" };
    uint64_t matrices = 0;
    fj_status st = fj_export_gguf_size(o->model, o->bundle, t->settings.rows, &types, out, err);
    for (size_t i = 0; i < fj_mix_count(t->mix); i++)
        matrices += fj_mix_line_of(t->mix, i).bytes;
    *out -= st ? 0 : matrices;
    return st;
}

static fj_status choose(const fj_opened *o, const fj_target *target, fj_targeted *t, fj_err *err)
{
    uint64_t size = 0, around = 0;
    if (!target->size)
        return fj_mix_for_kl(t->mix, target->kld, &t->kl, err);
    fj_status st = parse_size(target->size, &size, err);
    if (!st)
        st = bytes_around(o, t, &around, err);
    if (!st)
        st = fj_mix_for_bytes(t->mix, size > around ? size - around : 0, err);
    return st ? st : fj_mix_measure(t->mix, &t->kl, err);
}

fj_status fj_target_choose(const fj_call *call, const fj_opened *o, const fj_export_rows *rows,
                           const fj_imatrix *imatrix, const fj_target *target, fj_targeted *out, fj_err *err)
{
    const fj_runtime *rt = call->rt;
    const char *dataset = target->text ? target->text : "forja's texts";
    uint64_t unused;
    out->m = (fj_measurement){ .pool = rt->pool, .kernels = &rt->kernels, .cancel = rt->cancel };
    fj_status st = target->size ? parse_size(target->size, &unused, err) : FJ_OK;
    if (!st)
        st = read_text(o, target->text, out, err);
    if (!st && !imatrix) {
        fj_reader reader = { .model = o->model, .adapter = o->adapter };
        st = fj_imatrix_collect(&reader, &out->learn, &dataset, 1, &out->m, &out->imatrix, err);
    }
    out->settings = (fj_mix_settings){ .rows = rows,
                                       .imatrix = imatrix ? imatrix : out->imatrix,
                                       .windows = &out->test,
                                       .m = &out->m,
                                       .step = step,
                                       .context = (void *)(uintptr_t)call };
    if (!st)
        st = fj_mix_open(o->model, &out->settings, &out->mix, err);
    if (!st)
        st = choose(o, target, out, err);
    if (!st)
        print_table(call, o, out);
    return st;
}

void fj_targeted_free(fj_targeted *t)
{
    fj_mix_close(t->mix);
    fj_imatrix_free(t->imatrix);
    fj_windows_free(&t->learn);
    fj_windows_free(&t->test);
}

const fj_recipe *fj_target_recipe(const fj_targeted *t)
{
    const fj_recipe *best = NULL;
    double bits = 0, values = 0;
    for (size_t i = 0; i < fj_mix_count(t->mix); i++) {
        fj_mix_line l = fj_mix_line_of(t->mix, i);
        bits += 8.0 * (double)l.bytes;
        values += (double)fj_shape_count(&l.weight->shape);
    }
    for (const fj_recipe *const *r = fj_recipes; *r; r++)
        if (!best || fabs((*r)->bits - bits / values) < fabs(best->bits - bits / values))
            best = *r;
    return best;
}
