/* SPDX-License-Identifier: Apache-2.0
 * forja models: the catalogue, and what of it fits this machine. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/print.h"
#include "hub/catalogue.h"
#include "plan/table.h"

typedef struct settings {
    fj_common common;
    const char *name, *task, *language, *licence;
    int64_t batch, length;
    bool fits;
} settings;

static const fj_option options[] = {
    { "NAME", NULL, FJ_OPT_ARG, offsetof(settings, name), "", "one model: its facts and what fits this machine", 0, 0,
      0 },
    { "task", "NAME", FJ_OPT_TEXT, offsetof(settings, task), NULL, "only models for it", 0, 0, 0,
      "text|chat|code|vision|embed|fill-mask|ner|qa|classify|summarize|translate" },
    { "language", "CODE", FJ_OPT_TEXT, offsetof(settings, language), NULL, "only models that know it: es, ca, en …", 0,
      0, 0 },
    { "licence", "USE", FJ_OPT_TEXT, offsetof(settings, licence), NULL,
      "only models that may be used so: commercial, or commercial under conditions", 0, 0, 0, "commercial|conditions" },
    { "fits", NULL, FJ_OPT_FLAG, offsetof(settings, fits), NULL,
      "only models that run on this machine now, and with how many bits", 0, 0, 0 },
    { "batch", "N", FJ_OPT_INT, offsetof(settings, batch), "1", "rows at once, of the plans", 1, 1 << 16, 0 },
    { "length", "N", FJ_OPT_INT, offsetof(settings, length), "0",
      "tokens of a row, of the plans; 0: 4096 to run, 2048 to train, or the model's own", 0, 1 << 24, 0 },
    { 0 },
};

/* ---- plans ---------------------------------------------------------------------------------------------------------------------------- */

static uint64_t memory_left(void)
{
    return fj_memory_available() + fj_resident_bytes();
}

static fj_status plan_way(const fj_call *call, const fj_catalogue_row *row, const fj_plan_way *way, fj_plan *out,
                          const char **why, fj_err *err)
{
    const settings *s = call->settings;
    fj_plan_wanted asked = { .length = s->length, .batch = s->batch };
    return fj_plan_cell(row->config, way, &asked, fj_pool_threads(call->rt->pool), &call->rt->kernels, out, why, err);
}

/* The most bits with which the model runs here; NULL when it does with none. */
static fj_status find_fitting(const fj_call *call, const fj_catalogue_row *row, const fj_plan_way **out, fj_err *err)
{
    fj_status st = FJ_OK;
    *out = NULL;
    for (const fj_plan_way *way = fj_plan_ways; row->runs && !st && !*out && way->name; way++) {
        fj_plan plan;
        const char *why;
        if (!way->method || strcmp(way->method, "run") != 0)
            continue;
        st = plan_way(call, row, way, &plan, &why, err);
        if (!st && plan.peak && plan.peak <= memory_left())
            *out = way;
    }
    return st;
}

/* ---- the list ------------------------------------------------------------------------------------------------------------------------- */

static bool is_wanted(const settings *s, const fj_catalogue_row *row)
{
    if (s->task && !fj_catalogue_does(row, s->task))
        return false;
    if (s->language && !fj_catalogue_speaks(row, s->language))
        return false;
    return !s->licence || !strcmp(row->commercial, "yes") ||
           (!strcmp(s->licence, "conditions") && !strcmp(row->commercial, "conditions"));
}

static void add_count(fj_str *out, int64_t n)
{
    if (n >= 1000000000)
        fj_str_printf(out, n < 10000000000 ? "%.2f B" : "%.1f B", (double)n / 1e9);
    else
        fj_str_printf(out, "%.0f M", (double)n / 1e6);
}

static void add_words(fj_str *out, const fj_json *list, size_t most)
{
    for (size_t i = 0; i < fj_json_len(list) && i < most; i++) {
        const char *word = fj_json_string(fj_json_at(list, i), "");
        fj_str_printf(out, "%s%s", i ? " " : "", strcmp(word, "mul") ? word : "many");
    }
    if (fj_json_len(list) > most)
        fj_str_printf(out, " …");
}

static const char *text_of(const fj_str *s)
{
    return s->data ? s->data : "";
}

static void add_row(fj_table *t, const settings *s, const fj_catalogue_row *row, const fj_plan_way *fits)
{
    fj_str count = { 0 }, languages = { 0 }, tasks = { 0 };
    char bytes[24];
    add_count(&count, row->total);
    if (row->active != row->total) {
        fj_str_printf(&count, ", ");
        add_count(&count, row->active);
        fj_str_printf(&count, " active");
    }
    add_words(&languages, row->languages, 4);
    add_words(&tasks, row->tasks, 3);
    fj_table_add(t, "%s", row->name);
    fj_table_add(t, "%s", text_of(&tasks));
    fj_table_add(t, "%s", text_of(&languages));
    fj_table_add(t, "%s", text_of(&count));
    fj_table_add(t, "%s", fj_format_bytes(2 * (uint64_t)row->total, bytes));
    fj_table_add(t, "%lld", (long long)row->context);
    fj_table_add(t, "%s", row->commercial);
    fj_table_add(t, "%s", s->fits ? fits->title : row->runs ? "yes" : "not yet");
    fj_str_free(&count);
    fj_str_free(&languages);
    fj_str_free(&tasks);
}

static fj_status list_models(const fj_call *call, const fj_catalogue *c, fj_err *err)
{
    const settings *s = call->settings;
    const char *const titles[] = { "model",   "for",     "languages",  "parameters",
                                   "16 bits", "context", "commercial", s->fits ? "fits" : "runs",
                                   NULL };
    fj_table t = { .titles = titles, .align = "lllrrrll" };
    fj_json *list = fj_json_new_array();
    fj_str text = { 0 };
    fj_status st = FJ_OK;
    bool ok = list != NULL;
    for (size_t i = 0; i < c->n && !st && ok; i++) {
        const fj_plan_way *fits = NULL;
        if (!is_wanted(s, &c->rows[i]))
            continue;
        if (s->fits)
            st = find_fitting(call, &c->rows[i], &fits, err);
        if (st || (s->fits && !fits))
            continue;
        if (fits)
            ok = fj_json_set(c->rows[i].json, "fits", fj_json_new_text(fits->name, strlen(fits->name)));
        ok = fj_json_add(list, fj_json_share(c->rows[i].json)) && ok;
        add_row(&t, s, &c->rows[i], fits);
    }
    if (!st && !ok)
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory for the list");
    if (!st && s->common.json) {
        st = fj_print_json(fj_json_share(list), 0, err);
    } else if (!st) {
        size_t n = fj_json_len(list);
        fj_table_print(&t, fj_wants_color(1), &text);
        (void)printf("%s%zu of %zu models; forja models NAME says more of one\n", n ? text_of(&text) : "", n, c->n);
    }
    fj_json_free(list);
    fj_str_free(&text);
    fj_table_free(&t);
    return st;
}

/* ---- one model ------------------------------------------------------------------------------------------------------------------------ */

static void print_fact(const char *title, const char *text)
{
    if (text && *text)
        (void)printf("%-12s %s\n", title, text);
}

static void print_list(const char *title, const fj_json *list)
{
    for (size_t i = 0; i < fj_json_len(list); i++)
        print_fact(i ? "" : title, fj_json_string(fj_json_at(list, i), ""));
}

static void print_facts(const fj_catalogue_row *row)
{
    fj_str text = { 0 };
    char bytes[24];
    const char *note = fj_json_string(fj_json_get(row->json, "languages_note"), NULL);
    print_fact("name", row->name);
    print_fact("model", row->title);
    print_fact("company", row->company);
    print_fact("for", row->purpose);
    add_words(&text, row->languages, 100);
    if (note)
        fj_str_printf(&text, " (%s)", note);
    print_fact("languages", text_of(&text));
    fj_str_clear(&text);
    add_count(&text, row->total);
    if (row->active != row->total) {
        fj_str_printf(&text, ", ");
        add_count(&text, row->active);
        fj_str_printf(&text, " active");
    }
    fj_str_printf(&text, "; %s in 16 bits", fj_format_bytes(2 * (uint64_t)row->total, bytes));
    print_fact("parameters", text_of(&text));
    fj_str_clear(&text);
    fj_str_printf(&text, "%lld tokens", (long long)row->context);
    print_fact("context", text_of(&text));
    fj_str_clear(&text);
    fj_str_printf(&text, "%s; commercial use: %s", row->licence ? row->licence : "unknown", row->commercial);
    print_fact("licence", text_of(&text));
    print_fact("", fj_json_string(fj_json_find(row->json, "licence.conditions"), NULL));
    print_fact("hub", row->hub);
    print_fact("files", fj_json_string(fj_json_find(row->json, "files.note"), NULL));
    print_fact("gated", fj_json_string(fj_json_get(row->json, "gated"), NULL));
    fj_str_clear(&text);
    fj_str_printf(&text, "%s%s", row->family, row->runs ? "" : ": not built yet, so it does not run here");
    print_fact("family", text_of(&text));
    fj_str_clear(&text);
    add_words(&text, fj_json_find(row->json, "verified.twin_checks"), 9);
    if (text.len)
        fj_str_printf(&text, " of a small model of random weights (%s); ",
                      fj_json_string(fj_json_find(row->json, "verified.twin"), ""));
    fj_str_printf(&text, "its files: %s", fj_json_string(fj_json_find(row->json, "verified.file"), ""));
    print_fact("verified", text_of(&text));
    print_list("doubts", fj_json_get(row->json, "doubts"));
    print_list("the guide", fj_json_find(row->json, "guide.differs"));
    fj_str_free(&text);
}

/* One line of what fits: {"method","type","bytes","fits"} or {"method","type","note"}. */
static fj_json *json_of_way(const fj_plan_way *way, const fj_plan *plan, uint64_t left, const char *why)
{
    fj_json *v = fj_json_new_object();
    bool ok = v && fj_json_set(v, "method", fj_json_new_text(way->name, strlen(way->name))) &&
              fj_json_set(v, "type", fj_json_new_text(way->type, strlen(way->type)));
    if (plan->peak)
        ok = ok && fj_json_set(v, "bytes", fj_json_new_int((int64_t)plan->peak)) &&
             fj_json_set(v, "fits", fj_json_new_bool(plan->peak <= left));
    else
        ok = ok && fj_json_set(v, "bytes", fj_json_new_null()) &&
             fj_json_set(v, "note", fj_json_new_text(why, strlen(why)));
    if (ok)
        return v;
    fj_json_free(v);
    return NULL;
}

static fj_status show_model(const fj_call *call, const fj_catalogue_row *row, fj_err *err)
{
    static const char *const titles[] = { "what", "type", "memory", "", NULL };
    const settings *s = call->settings;
    fj_table t = { .titles = titles, .align = "llrl" };
    fj_json *ways = fj_json_new_array();
    fj_str text = { 0 };
    char bytes[24];
    uint64_t left = memory_left();
    fj_status st = FJ_OK;
    for (const fj_plan_way *way = fj_plan_ways; row->runs && !st && way->name; way++) {
        fj_plan plan;
        const char *why;
        st = plan_way(call, row, way, &plan, &why, err);
        if (!st && !fj_json_add(ways, json_of_way(way, &plan, left, why)))
            st = fj_fail(err, FJ_ERR_MEMORY, "no memory for the plans");
        fj_table_add(&t, "%s", way->title);
        fj_table_add(&t, "%s", way->type);
        fj_table_add(&t, "%s", plan.peak ? fj_format_bytes(plan.peak, bytes) : "-");
        fj_table_add(&t, "%s", !plan.peak ? why : plan.peak <= left ? "fits" : "does not fit");
    }
    if (!st && s->common.json) {
        st = fj_json_set(row->json, "fits", fj_json_share(ways))
                 ? fj_print_json(fj_json_share(row->json), 0, err)
                 : fj_fail(err, FJ_ERR_MEMORY, "no memory for the plans");
    } else if (!st) {
        print_facts(row);
        if (row->runs) {
            fj_table_print(&t, fj_wants_color(1), &text);
            (void)printf("\n%sthis machine has %s left\n", text_of(&text), fj_format_bytes(left, bytes));
        }
    }
    fj_json_free(ways);
    fj_str_free(&text);
    fj_table_free(&t);
    return st;
}

static fj_status run(const fj_call *call, fj_err *err)
{
    const settings *s = call->settings;
    fj_catalogue c;
    fj_status st = fj_catalogue_open(&c, err);
    if (st)
        return st;
    if (!s->name) {
        st = list_models(call, &c, err);
    } else {
        const fj_catalogue_row *row = fj_catalogue_find(&c, s->name);
        st = row ? show_model(call, row, err) : fj_catalogue_unknown(&c, s->name, err);
    }
    fj_catalogue_close(&c);
    return st;
}

const fj_command fj_command_models = {
    .name = "models",
    .summary = "The catalogue of models: facts, licences, and what fits this machine.",
    .about = "Memory is planned from each model's configuration, without its weights.",
    .options = options,
    .settings_size = sizeof(settings),
    .run = run,
};
