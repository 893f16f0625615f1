/* SPDX-License-Identifier: Apache-2.0
 * forja plan: the memory that a run will take, before it starts. */
#include "cli/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/map.h"
#include "cli/print.h"
#include "formats/formats.h"
#include "hub/catalogue.h"
#include "tasks/opened.h"
#include "train/run.h"

typedef struct settings {
    fj_common common;
    const char *model, *method, *type, *max_memory;
    fj_list overrides;
    int64_t bits, batch, length, rank;
    bool keep_activations, bf16, no_repack, table;
    fj_cache_settings cache;
} settings;

static const fj_option options[] = {
    { "MODEL", NULL, FJ_OPT_ARG, offsetof(settings, model), "",
      "folder, .gguf file or name of the catalogue (no weights are needed); or a run's YAML: that very run", 0, 0, 0 },
    { "KEY=VALUE", NULL, FJ_OPT_REST, offsetof(settings, overrides), NULL, "keys that replace the YAML's", 0, 0, 0 },
    { "method", "NAME", FJ_OPT_TEXT, offsetof(settings, method), "run", "what is done with the model", 0, 0, 0,
      "run|lora|freeze|full|full_bf16" },
    { "bits", "N", FJ_OPT_INT, offsetof(settings, bits), NULL,
      "as if its weights had 32, 16, 8, 6, 5, 4, 3 or 2 bits; with lora what quantization_bit makes of them", 2, 32,
      0 },
    { "type", "NAME", FJ_OPT_TEXT, offsetof(settings, type), NULL,
      "as if it were of this type; forja quantize --help lists them", 0, 0, 0 },
    { "batch", "N", FJ_OPT_INT, offsetof(settings, batch), "1", "rows at once", 1, 1 << 16, 0 },
    { "length", "N", FJ_OPT_INT, offsetof(settings, length), "0",
      "tokens of a row; 0: 4096 to run, 2048 to train, or the model's own", 0, 1 << 24, 0 },
    { "rank", "N", FJ_OPT_INT, offsetof(settings, rank), "8", "of the adapter", 1, 4096, 0 },
    { "keep-activations", NULL, FJ_OPT_FLAG, offsetof(settings, keep_activations), NULL,
      "without gradient checkpointing", 0, 0, 0 },
    { "bf16", NULL, FJ_OPT_FLAG, offsetof(settings, bf16), NULL, "train with 16-bit products", 0, 0, 0 },
    { "no-repack", NULL, FJ_OPT_FLAG, offsetof(settings, no_repack), NULL, "run with weights as they lie in the file",
      0, 0, 0 },
    { "max-memory", "SIZE", FJ_OPT_TEXT, offsetof(settings, max_memory), NULL,
      "what run keeps of the weights, and reads from the file each time, with this limit (2G, 800M)", 0, 0, 0 },
    { "table", NULL, FJ_OPT_FLAG, offsetof(settings, table), NULL,
      "every method at every width, side by side; without MODEL the guide's hardware table beside forja's plans", 0, 0,
      0 },
    { 0 },
};

static const fj_option_group groups[] = {
    { "cache of keys and values, to run", fj_cache_options, offsetof(settings, cache) }, { 0 }
};

static const struct {
    int64_t bits;
    const char *recipe;
} widths[] = { { 32, "F32" },   { 16, "BF16" },  { 8, "Q8_0" },   { 6, "Q6_K" },
               { 5, "Q5_K_M" }, { 4, "Q4_K_M" }, { 3, "Q3_K_M" }, { 2, "Q2_K" } };

/* ---- models --------------------------------------------------------------------------------------------------------------------------- */

static fj_status find_recipe(const settings *s, const fj_recipe **out, fj_err *err)
{
    *out = NULL;
    if (s->type && s->bits != FJ_NOT_GIVEN)
        return fj_fail(err, FJ_ERR_USAGE, "plan: give one of --bits and --type");
    if (s->type) {
        *out = fj_recipe_by_name(s->type);
        if (!*out) {
            (void)fj_fail(err, FJ_ERR_USAGE, "--type: no type is called '%s'", s->type);
            return fj_hint(err, "forja quantize --help lists them");
        }
    }
    for (size_t i = 0; i < FJ_LEN(widths) && s->bits != FJ_NOT_GIVEN; i++)
        if (widths[i].bits == s->bits)
            *out = fj_recipe_by_name(widths[i].recipe);
    if (s->bits != FJ_NOT_GIVEN && !*out)
        return fj_fail(err, FJ_ERR_USAGE, "--bits %lld: wanted 32, 16, 8, 6, 5, 4, 3 or 2", (long long)s->bits);
    return FJ_OK;
}

/* A folder may have its configuration alone. */
static bool has_weights(const char *model)
{
    return !fj_path_is_dir(model) || fj_weights_in_folder(model) || fj_is_nemo(model);
}

typedef struct planned {
    fj_bundle *bundle; /* NULL for a model of the catalogue */
    fj_json *config;
    fj_model *model;
} planned;

/* A name of the catalogue leaves p->config; any other name leaves it NULL. */
static fj_status find_row(const char *name, const fj_recipe **recipe, planned *p, fj_err *err)
{
    fj_catalogue c;
    if (fj_path_exists(name))
        return FJ_OK;
    fj_status st = fj_catalogue_open(&c, err);
    const fj_catalogue_row *row = st ? NULL : fj_catalogue_find(&c, name);
    if (row && !row->runs) {
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: models of the family %s are not built yet, so there is nothing to plan",
                     row->name, row->family);
    } else if (row) {
        p->config = fj_json_share((fj_json *)(uintptr_t)row->config);
        if (!*recipe && row->type)
            *recipe = fj_recipe_by_name(row->type);
    }
    fj_catalogue_close(&c);
    return st;
}

static fj_status open_bundle(const char *model, const fj_recipe *recipe, planned *p, fj_err *err)
{
    bool has = has_weights(model);
    fj_status st = fj_bundle_open(model, has ? FJ_OPEN_ALL : FJ_OPEN_TOKENIZER, &p->bundle, err);
    if (st)
        return st;
    if (!p->bundle->config)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: no config.json", model);
    p->config = fj_json_share(p->bundle->config);
    if (recipe)
        return fj_plan_model(p->config, recipe, &p->model, err);
    return has ? fj_model_open(p->bundle->source, &p->model, err) : fj_model_describe(p->config, NULL, &p->model, err);
}

/* What the catalogue knows needs no files. */
static fj_status open_planned(const fj_call *call, const fj_recipe *recipe, planned *p, fj_err *err)
{
    const char *model = ((const settings *)call->settings)->model;
    char *fetched = NULL;
    fj_status st = find_row(model, &recipe, p, err);
    if (!st && p->config)
        return recipe ? fj_plan_model(p->config, recipe, &p->model, err)
                      : fj_model_describe(p->config, NULL, &p->model, err);
    if (!st && !fj_path_exists(model) && fj_model_is_remote(model))
        st = fj_call_fetch(call, model, &fetched, err);
    if (!st)
        st = open_bundle(fetched ? fetched : model, recipe, p, err);
    free(fetched);
    return st;
}

/* Whether quantization_bit makes these bits: those of a GGUF file else. */
static bool is_quantized_to_tune(const char *method, int64_t bits)
{
    return !strcmp(method, "lora") && bits != FJ_NOT_GIVEN && bits < 16;
}

/* The layers of what was opened, or, where they are quantized already, of the model as if it had 16 bits. */
static fj_status quantize(planned *p, int64_t bits, fj_err *err)
{
    int n = 0;
    fj_status st = fj_plan_quantize(p->model, bits, &n, err);
    if (st || n)
        return st;
    fj_model_free(p->model);
    p->model = NULL;
    return fj_plan_quantized_model(p->config, bits, &p->model, err);
}

static void close_planned(planned *p)
{
    fj_model_free(p->model);
    fj_json_free(p->config);
    fj_bundle_close(p->bundle);
}

/* ---- one plan ------------------------------------------------------------------------------------------------------------------------- */

static fj_status plan_model(const fj_call *call, const fj_model *m, const char *method, fj_plan *out, fj_err *err)
{
    const settings *s = call->settings;
    fj_plan_wanted wanted = { .method = method,
                              .length = s->length,
                              .batch = s->batch,
                              .rank = s->rank,
                              .keeps_activations = s->keep_activations,
                              .bf16 = s->bf16,
                              .no_repack = s->no_repack,
                              .k_type = fj_cache_type(s->cache.k),
                              .v_type = fj_cache_type(s->cache.v) };
    if (s->max_memory && !strcmp(method, "run")) {
        fj_fit fit = { s->max_memory, !s->no_repack, call->rt->pool, &call->rt->kernels, call->rt->log, 0 };
        fj_session_settings session = fj_plan_session(&wanted);
        fj_status st = fj_fit_room(m, &fit, &session, &wanted.most, err);
        wanted.chunk = session.chunk;
        if (st)
            return st;
    }
    return fj_plan_method(m, &wanted, fj_pool_threads(call->rt->pool), &call->rt->kernels, out, err);
}

static fj_status plan_file(const fj_call *call, fj_plan *out, fj_err *err)
{
    const settings *s = call->settings;
    fj_train_run r;
    fj_status st = fj_call_fetch_base(call, s->model, &s->overrides, err);
    if (!st)
        st = fj_train_run_open(s->model, s->overrides.items, s->overrides.n, call->rt->log, &r, err);
    if (st)
        return st;
    st = fj_plan_training(r.opened.model, &r.settings, fj_pool_threads(call->rt->pool), &call->rt->kernels, out, err);
    fj_train_run_close(&r);
    return st;
}

/* ---- printing ------------------------------------------------------------------------------------------------------------------------- */

typedef struct term {
    const char *name;
    size_t bytes;
} term;

enum { N_TERMS = 10 };

static void list_terms(const fj_plan *p, term out[N_TERMS])
{
    const term all[N_TERMS] = { { "weights", p->weights },
                                { "gradients", p->gradients },
                                { "optimizer", p->optimizer },
                                { "activations", p->activations },
                                { "kv", p->kv },
                                { "adapters", p->adapters },
                                { "process", p->process },
                                { "total", p->total },
                                { "peak", p->peak },
                                { "streamed", p->streamed } };
    memcpy(out, all, sizeof all);
}

static fj_status print_plan(const fj_call *call, const fj_plan *p, fj_err *err)
{
    static const char *const titles[] = { "term", "memory", NULL };
    const settings *s = call->settings;
    fj_table t = { .titles = titles, .align = "lr" };
    fj_str text = { 0 };
    char bytes[24];
    term terms[N_TERMS];
    list_terms(p, terms);
    if (s->common.json) {
        fj_json *v = fj_json_new_object();
        for (size_t i = 0; v && i < N_TERMS; i++)
            if (!fj_json_set(v, terms[i].name, fj_json_new_int((int64_t)terms[i].bytes))) {
                fj_json_free(v);
                v = NULL;
            }
        return fj_print_json(v, 0, err);
    }
    for (size_t i = 0; i < N_TERMS; i++) {
        if (!terms[i].bytes)
            continue;
        fj_table_add(&t, "%s", terms[i].name);
        fj_table_add(&t, "%s", fj_format_bytes(terms[i].bytes, bytes));
    }
    fj_table_print(&t, fj_wants_color(1), &text);
    uint64_t left = fj_memory_available() + fj_resident_bytes();
    (void)printf("%s%s: this machine has %s left\n", text.data ? text.data : "",
                 p->peak <= left ? "fits" : "does not fit", fj_format_bytes(left, bytes));
    fj_str_free(&text);
    fj_table_free(&t);
    return FJ_OK;
}

static const char *const methods[] = { "run", "lora", "freeze", "full_bf16", "full" };

/* One cell: full tuning needs 16 bits at least. */
static fj_status plan_cell(const fj_call *call, const planned *p, size_t width, const char *method, fj_plan *out,
                           fj_err *err)
{
    fj_model *m = NULL;
    *out = (fj_plan){ 0 };
    if (!strncmp(method, "full", 4) && widths[width].bits < 16)
        return FJ_OK;
    fj_status st = is_quantized_to_tune(method, widths[width].bits)
                       ? fj_plan_quantized_model(p->config, widths[width].bits, &m, err)
                       : fj_plan_model(p->config, fj_recipe_by_name(widths[width].recipe), &m, err);
    if (!st)
        st = plan_model(call, m, method, out, err);
    fj_model_free(m);
    return st;
}

static fj_status print_table(const fj_call *call, const planned *p, fj_err *err)
{
    static const char *const titles[] = { "bits", "type", "run", "lora", "freeze", "full_bf16", "full", NULL };
    fj_table t = { .titles = titles, .align = "rlrrrrr" };
    fj_json *rows = fj_json_new_array();
    fj_str text = { 0 };
    fj_status st = FJ_OK;
    char bytes[24];
    for (size_t w = 0; w < FJ_LEN(widths) && !st; w++) {
        fj_json *row = fj_json_new_object();
        bool ok = row && fj_json_set(row, "bits", fj_json_new_int(widths[w].bits)) &&
                  fj_json_set(row, "type", fj_json_new_text(widths[w].recipe, strlen(widths[w].recipe)));
        fj_table_add(&t, "%lld", (long long)widths[w].bits);
        fj_table_add(&t, "%s", widths[w].recipe);
        for (size_t i = 0; i < FJ_LEN(methods) && !st; i++) {
            fj_plan plan;
            st = plan_cell(call, p, w, methods[i], &plan, err);
            fj_table_add(&t, "%s", plan.peak ? fj_format_bytes(plan.peak, bytes) : "-");
            ok = ok &&
                 fj_json_set(row, methods[i], plan.peak ? fj_json_new_int((int64_t)plan.peak) : fj_json_new_null());
        }
        if (!ok || !fj_json_add(rows, fj_json_share(row)))
            st = st ? st : fj_fail(err, FJ_ERR_MEMORY, "no memory for the table");
        fj_json_free(row);
    }
    if (!st && ((const settings *)call->settings)->common.json) {
        st = fj_print_json(fj_json_share(rows), 0, err);
    } else if (!st) {
        fj_table_print(&t, fj_wants_color(1), &text);
        fj_str_add_text(&text,
                        "lora below 16 bits: INT8, Q6_K, Q5_K, NF4, Q3_K and IQ2_XS, as quantization_bit makes them\n");
        (void)fputs(text.data ? text.data : "", stdout);
    }
    fj_json_free(rows);
    fj_str_free(&text);
    fj_table_free(&t);
    return st;
}

/* ---- the command ---------------------------------------------------------------------------------------------------------------------- */

static bool is_run_file(const char *name)
{
    static const char *const endings[] = { ".yaml", ".yml", ".json" };
    for (size_t i = 0; i < FJ_LEN(endings); i++) {
        size_t n = strlen(name), k = strlen(endings[i]);
        if (n > k && !strcmp(name + n - k, endings[i]))
            return true;
    }
    return false;
}

static fj_status run(const fj_call *call, fj_err *err)
{
    const settings *s = call->settings;
    const fj_recipe *recipe;
    planned p = { 0 };
    fj_plan plan = { 0 };
    if (!s->model && s->table) {
        fj_plan_wanted asked = { .length = s->length ? s->length : 2048, .batch = s->batch, .rank = s->rank };
        return fj_plan_print_guide(call, &asked, s->common.json, err);
    }
    if (!s->model) {
        (void)fj_fail(err, FJ_ERR_USAGE, "plan: MODEL is missing");
        return fj_hint(err, "forja models lists names; forja plan --table takes none");
    }
    if (is_run_file(s->model)) {
        fj_status planned_file = plan_file(call, &plan, err);
        return planned_file ? planned_file : print_plan(call, &plan, err);
    }
    if (s->max_memory && (s->table || strcmp(s->method, "run") != 0))
        return fj_fail(err, FJ_ERR_USAGE, "plan: --max-memory is for --method run");
    if (s->overrides.n)
        return fj_fail(err, FJ_ERR_USAGE, "plan: '%.100s' is one argument too many: keys go with a run's YAML",
                       s->overrides.items[0]);
    bool is_tuned = !s->table && !s->type && is_quantized_to_tune(s->method, s->bits);
    fj_status st = find_recipe(s, &recipe, err);
    if (!st)
        st = open_planned(call, is_tuned ? NULL : recipe, &p, err);
    if (!st && is_tuned)
        st = quantize(&p, s->bits, err);
    if (!st && s->max_memory)
        st = fj_model_reserve(p.model, err);
    if (!st && s->table) {
        st = print_table(call, &p, err);
    } else if (!st) {
        st = plan_model(call, p.model, s->method, &plan, err);
        if (!st)
            st = print_plan(call, &plan, err);
    }
    close_planned(&p);
    return st;
}

const fj_command fj_command_plan = {
    .name = "plan",
    .summary = "The memory that a run will take, before it starts.",
    .about = "Built from the run's own graphs: what is printed is what the run allocates. `process` is measured.",
    .options = options,
    .groups = groups,
    .settings_size = sizeof(settings),
    .run = run,
    .spares_weights = true,
    .keeps_names = true,
};
