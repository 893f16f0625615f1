/* SPDX-License-Identifier: Apache-2.0
 * forja export and forja quantize: a model written again, merged, converted, smaller. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/map.h"
#include "cli/commands.h"
#include "cli/quantize.h"
#include "formats/formats.h"
#include "tasks/export.h"
#include "tasks/quantize.h"

typedef struct settings {
    fj_common common;
    const char *model, *out, *adapter, *format, *type;
    const char *imatrix, *output_type, *embedding_type;
    fj_list tensor_types;
    bool pure;
    fj_target target;
} settings;

static const fj_option export_options[] = {
    { "MODEL", NULL, FJ_OPT_ARG, offsetof(settings, model), NULL, "folder or .gguf file to read", 0, 0, 0 },
    { "OUT", NULL, FJ_OPT_ARG, offsetof(settings, out), NULL, "folder or .gguf file to write", 0, 0, 0 },
    { "adapter", "DIR", FJ_OPT_TEXT, offsetof(settings, adapter), NULL, "PEFT folder to merge", 0, 0, 0 },
    { "format", "NAME", FJ_OPT_TEXT, offsetof(settings, format), NULL, "what to write; by OUT's name when not given", 0,
      0, 0, "hf|gguf" },
    { "type", "NAME", FJ_OPT_TEXT, offsetof(settings, type), NULL,
      "hf: F32, F16, BF16; gguf: any recipe of quantize; as stored when not given", 0, 0, 0 },
    { 0 },
};

static const fj_option quantize_options[] = {
    { "MODEL", NULL, FJ_OPT_ARG, offsetof(settings, model), NULL, "folder or .gguf file to read", 0, 0, 0 },
    { "OUT", NULL, FJ_OPT_ARG, offsetof(settings, out), NULL, ".gguf file to write", 0, 0, 0 },
    { "type", "NAME", FJ_OPT_TEXT, offsetof(settings, type), "Q4_K_M", "recipe, listed below", 0, 0, 0 },
    { "imatrix", "FILE", FJ_OPT_TEXT, offsetof(settings, imatrix), NULL,
      "which columns matter: forja imatrix makes it (llama.cpp's forms are read)", 0, 0, 0 },
    { "tensor-type", "REGEX=TYPE", FJ_OPT_LIST, offsetof(settings, tensor_types), NULL,
      "matrices whose GGUF name the expression is found in; may be repeated, the first counts", 0, 0, 0 },
    { "output-tensor-type", "TYPE", FJ_OPT_TEXT, offsetof(settings, output_type), NULL, "the head", 0, 0, 0 },
    { "token-embedding-type", "TYPE", FJ_OPT_TEXT, offsetof(settings, embedding_type), NULL, "the embedding", 0, 0, 0 },
    { "pure", NULL, FJ_OPT_FLAG, offsetof(settings, pure), NULL, "the recipe's main type for all matrices", 0, 0, 0 },
    { "target-size", "SIZE", FJ_OPT_TEXT, offsetof(settings, target.size), NULL,
      "a mix chosen by measurement: the least loss in a file of at most 4.2G, 900M, 3Gi ...", 0, 0, 0 },
    { "target-kld", "X", FJ_OPT_REAL, offsetof(settings, target.kld), NULL,
      "a mix chosen by measurement: the smallest with a mean KL divergence of at most X", 1e-9, 1e3, 0 },
    { "text", "FILE", FJ_OPT_TEXT, offsetof(settings, target.text), NULL,
      "what such a mix is measured on; forja's own English and Spanish text when not given", 0, 0, 0 },
    { "adapter", "DIR", FJ_OPT_TEXT, offsetof(settings, adapter), NULL, "PEFT folder to merge first", 0, 0, 0 },
    { 0 },
};

static fj_status unknown_recipe(const char *name, fj_err *err)
{
    const char *names[32];
    size_t n = 0;
    for (const fj_recipe *const *r = fj_recipes; *r && n < FJ_LEN(names); r++)
        names[n++] = (*r)->name;
    const char *nearest = fj_nearest(name, names, n);
    (void)fj_fail(err, FJ_ERR_USAGE, "--type: '%s' is no recipe", name);
    return nearest ? fj_hint(err, "did you mean %s?", nearest) : fj_hint(err, "forja quantize --help lists them");
}

/* The recipes, for the help. */
static void list_recipes(fj_str *out)
{
    fj_str_add_text(out, "recipes:\n");
    for (const fj_recipe *const *r = fj_recipes; *r; r++)
        fj_str_printf(out, "  %-8s %s\n", (*r)->name, (*r)->about);
}

typedef struct totals {
    const fj_call *call;
    double bytes, values, worst;
    char worst_name[128];
    fj_json *tensors; /* with --json */
} totals;

static void report(void *context, const fj_export_line *l)
{
    totals *t = context;
    char shape[96];
    const settings *s = t->call->settings;
    double values = (double)fj_shape_count(&l->shape);
    t->bytes += (double)l->bytes;
    t->values += values;
    if (l->rms_error > t->worst) {
        t->worst = l->rms_error;
        (void)snprintf(t->worst_name, sizeof t->worst_name, "%s", l->name);
    }
    if (s->common.json && t->tensors) {
        fj_json *v = fj_json_new_object();
        (void)(v && fj_json_set(v, "name", fj_json_new_text(l->name, strlen(l->name))) &&
               fj_json_set(v, "type", fj_json_new_text(l->to->name, strlen(l->to->name))) &&
               fj_json_set(v, "bytes", fj_json_new_int((int64_t)l->bytes)) &&
               fj_json_set(v, "relative_error", fj_json_new_real(l->rms_error)) && fj_json_add(t->tensors, v));
    } else if (l->shape.rank == 2) {
        fj_note(t->call->rt->log, "%-28s %12s  %5s -> %-5s  %5.2f bits  error %.4f", l->name,
                fj_shape_text(&l->shape, shape), l->from->name, l->to->name, 8.0 * (double)l->bytes / values,
                l->rms_error);
    }
}

static fj_status print_totals(const totals *t, const settings *s, double seconds, fj_err *err)
{
    char size[24];
    if (s->common.json) {
        fj_json *v = fj_json_new_object();
        bool ok = v && fj_json_set(v, "file", fj_json_new_text(s->out, strlen(s->out))) &&
                  fj_json_set(v, "bytes", fj_json_new_int((int64_t)t->bytes)) &&
                  fj_json_set(v, "bits_per_weight", fj_json_new_real(8 * t->bytes / t->values)) &&
                  fj_json_set(v, "worst_error", fj_json_new_real(t->worst)) &&
                  fj_json_set(v, "tensors", fj_json_share(t->tensors));
        if (!ok) {
            fj_json_free(v);
            v = NULL;
        }
        return fj_print_json(v, 0, err);
    }
    printf("%s: %s, %.2f bits a weight, %.1f s", s->out, fj_format_bytes((uint64_t)t->bytes, size),
           8 * t->bytes / t->values, seconds);
    if (t->worst > 0)
        printf(", largest error %.2f %% (%s)", 100 * t->worst, t->worst_name);
    printf("\n");
    return FJ_OK;
}

static void say_fallbacks(const fj_call *call, const fj_recipe *recipe, const fj_quantize_fallbacks *f)
{
    if (f->n_fallen)
        fj_note(
            call->rt->log,
            "%lld of %lld matrices have rows that the blocks of %s do not divide: they take the nearest type that does",
            (long long)f->n_fallen, (long long)f->n_matrices, recipe->name);
}

static fj_status choose_types(const fj_call *call, const fj_model *m, const fj_recipe *recipe, const fj_dtype ***out,
                              fj_err *err)
{
    const settings *s = call->settings;
    fj_quantize_fallbacks fallbacks;
    fj_quantize_wishes wishes = { recipe,  &s->tensor_types,  s->output_type, s->embedding_type,
                                  s->pure, s->imatrix != NULL };
    *out = calloc((size_t)m->n_weights, sizeof(**out));
    if (!*out)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for the types of tensors");
    fj_status st = fj_quantize_types(m, &wishes, *out, &fallbacks, err);
    if (!st)
        say_fallbacks(call, recipe, &fallbacks);
    return st;
}

/* A target was given; export has no such options. */
static bool wants_mix(const fj_call *call)
{
    const settings *s = call->settings;
    return call->command == &fj_command_quantize && (s->target.size || !isnan(s->target.kld));
}

/* The types of all weights, by recipe and wishes or by target. */
static fj_status choose(const fj_call *call, const fj_opened *o, const fj_export_rows *rows, const fj_imatrix *imatrix,
                        fj_targeted *targeted, const fj_dtype ***types, fj_export_types *out, fj_err *err)
{
    const settings *s = call->settings;
    *out = (fj_export_types){ .imatrix = imatrix, .imatrix_file = s->imatrix };
    if (wants_mix(call)) {
        fj_status st = fj_target_choose(call, o, rows, imatrix, &s->target, targeted, err);
        if (st)
            return st;
        *out = (fj_export_types){ fj_target_recipe(targeted), fj_mix_types(targeted->mix), targeted->settings.imatrix,
                                  s->imatrix ? s->imatrix : "imatrix" };
        return FJ_OK;
    }
    out->recipe = s->type ? fj_recipe_by_name(s->type) : NULL;
    fj_status st = s->type && !out->recipe ? unknown_recipe(s->type, err) : FJ_OK;
    if (!st && out->recipe)
        st = choose_types(call, o->model, out->recipe, types, err);
    out->types = *types;
    return st;
}

static fj_status write_gguf(const fj_call *call, const fj_opened *o, const fj_export_rows *rows, fj_err *err)
{
    const settings *s = call->settings;
    totals t = { .call = call, .tensors = fj_json_new_array() };
    const fj_dtype **types = NULL;
    fj_imatrix *imatrix = NULL;
    fj_targeted targeted = { 0 };
    fj_export_types how;
    double started = fj_seconds();
    fj_status st = s->imatrix ? fj_imatrix_read(s->imatrix, &imatrix, err) : FJ_OK;
    if (!st)
        st = choose(call, o, rows, imatrix, &targeted, &types, &how, err);
    if (!st)
        st = fj_export_gguf(o->model, o->bundle, rows, &how, s->out, call->rt->pool, report, &t, err);
    if (!st)
        st = print_totals(&t, s, fj_seconds() - started, err);
    fj_targeted_free(&targeted);
    fj_imatrix_free(imatrix);
    free(types);
    fj_json_free(t.tensors);
    return st;
}

static fj_status write_hf(const fj_call *call, const fj_opened *o, const fj_export_rows *rows, fj_err *err)
{
    const settings *s = call->settings;
    const fj_dtype *dtype = s->type ? fj_dtype_by_name(s->type) : NULL;
    if (s->type && (!dtype || !dtype->is_float))
        return fj_fail(err, FJ_ERR_USAGE, "--type: '%s' is not one of F32, F16, BF16 (format hf)", s->type);
    fj_status st = fj_export_hf(o->model, o->bundle, rows, dtype, s->out, call->rt->pool, err);
    if (st || !s->common.json) {
        if (!st)
            printf("%s: written\n", s->out);
        return st;
    }
    fj_json *v = fj_json_new_object();
    if (!fj_json_set(v, "folder", fj_json_new_text(s->out, strlen(s->out)))) {
        fj_json_free(v);
        v = NULL;
    }
    return fj_print_json(v, 0, err);
}

/* Two names of one file or folder. */
static bool is_same(const char *a, const char *b)
{
    struct stat x, y;
    return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Whether OUT is the model, or one of its files. */
static bool is_input(const settings *s)
{
    bool found = is_same(s->model, s->out);
    int part, n = fj_gguf_parts(s->model, &part);
    for (int i = 1; !found && n > 1 && i <= n; i++) {
        char *other = fj_gguf_part_name(s->model, i);
        found = other && is_same(other, s->out);
        free(other);
    }
    return found;
}

/* From GGUF to GGUF metadata is copied: the vocabulary need not be understood, unless texts are measured. For a folder it should be. */
static fj_status open_model(const fj_call *call, bool is_gguf, fj_opened *o, fj_err *err)
{
    const settings *s = call->settings;
    fj_pool *pool = wants_mix(call) ? call->rt->pool : NULL; /* to measure, all weights must be there */
    bool from_gguf = !fj_path_is_dir(s->model) && !fj_is_nemo(s->model);
    int what = is_gguf && from_gguf && !wants_mix(call) ? FJ_OPEN_WEIGHTS : FJ_OPEN_ALL;
    fj_status st = fj_opened_open(s->model, s->adapter, what, pool, o, err);
    fj_err other = { 0 };
    if (!st && !pool)
        return fj_model_reserve(o->model, err);
    if (st != FJ_ERR_FORMAT || is_gguf || !from_gguf ||
        fj_opened_open(s->model, s->adapter, FJ_OPEN_WEIGHTS, pool, o, &other))
        return st;
    fj_warn(call->rt->log, "%s: written without a tokenizer: %s", s->out, err->message);
    *err = (fj_err){ 0 };
    return FJ_OK;
}

static fj_status convert(const fj_call *call, bool is_gguf, fj_err *err)
{
    const settings *s = call->settings;
    fj_opened o = { 0 };
    if (is_input(s)) {
        (void)fj_fail(err, FJ_ERR_USAGE, "%s: OUT is the model that is read", s->out);
        return fj_hint(err, "write it elsewhere: what is written may have lost what the original has");
    }
    fj_status st = open_model(call, is_gguf, &o, err);
    fj_export_rows rows = { fj_export_stored_rows, NULL };
    if (!st && o.adapter)
        rows = (fj_export_rows){ fj_export_merged_rows, o.adapter };
    if (!st)
        st = is_gguf ? write_gguf(call, &o, &rows, err) : write_hf(call, &o, &rows, err);
    fj_opened_close(&o);
    return st;
}

static fj_status run_export(const fj_call *call, fj_err *err)
{
    const settings *s = call->settings;
    size_t n = strlen(s->out);
    bool is_gguf = n > 5 && !strcmp(s->out + n - 5, ".gguf");
    if (s->format)
        is_gguf = !strcmp(s->format, "gguf");
    return convert(call, is_gguf, err);
}

static fj_status run_quantize(const fj_call *call, fj_err *err)
{
    const settings *s = call->settings;
    bool is_sized = s->target.size, is_bound = !isnan(s->target.kld);
    bool is_named = fj_call_given(call, "type") || s->tensor_types.n || s->output_type || s->embedding_type || s->pure;
    if (is_sized + is_bound + is_named > 1)
        return fj_fail(err, FJ_ERR_USAGE, "quantize: --target-size, --target-kld and named types exclude each other");
    if (s->target.text && !is_sized && !is_bound)
        return fj_fail(err, FJ_ERR_USAGE, "--text is for --target-size and --target-kld");
    return convert(call, true, err);
}

const fj_command fj_command_export = {
    .name = "export",
    .summary = "Merge an adapter, convert between Hugging Face folders and GGUF.",
    .about = "GGUF files of DCLM, JetMoE and Phi-3-small are forja's own: llama.cpp does not know these models.",
    .options = export_options,
    .settings_size = sizeof(settings),
    .run = run_export,
    .list = list_recipes,
};

const fj_command fj_command_quantize = {
    .name = "quantize",
    .summary = "Write a smaller copy of a model as GGUF.",
    .options = quantize_options,
    .settings_size = sizeof(settings),
    .run = run_quantize,
    .list = list_recipes,
};
