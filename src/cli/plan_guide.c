/* SPDX-License-Identifier: Apache-2.0
 * forja plan --table without a model: the guide's hardware table, method by bits by size, beside what forja's runs take. */
#include <stdio.h>
#include <string.h>

#include "cli/plan.h"
#include "cli/print.h"
#include "hub/catalogue.h"
#include "plan/table.h"

static fj_status config_of(const fj_plan_size *size, const fj_catalogue *c, fj_json **out, fj_err *err)
{
    if (!size->model)
        return fj_json_parse(size->config, strlen(size->config), size->title, false, out, err);
    const fj_catalogue_row *row = fj_catalogue_find(c, size->model);
    fj_assert(row);
    *out = fj_json_share((fj_json *)(uintptr_t)row->config);
    return FJ_OK;
}

static fj_json *json_or_null(bool is_there, int64_t value)
{
    return is_there ? fj_json_new_int(value) : fj_json_new_null();
}

static fj_json *json_of_cell(const fj_plan_size *size, int guide, const fj_plan *plan)
{
    fj_json *v = fj_json_new_object();
    bool ok = v && fj_json_set(v, "size", fj_json_new_text(size->title, strlen(size->title))) &&
              fj_json_set(v, "model",
                          size->model ? fj_json_new_text(size->model, strlen(size->model)) : fj_json_new_null()) &&
              fj_json_set(v, "guide", json_or_null(guide > 0, guide * INT64_C(1000000000))) &&
              fj_json_set(v, "plan", json_or_null(plan->peak > 0, (int64_t)plan->peak));
    if (ok)
        return v;
    fj_json_free(v);
    return NULL;
}

/* "120 / 108.3": the guide's GB, then ours. */
static void add_cell(fj_table *t, int guide, const fj_plan *plan)
{
    char theirs[16] = "-", ours[24] = "-";
    if (guide)
        (void)snprintf(theirs, sizeof theirs, "%d", guide);
    if (plan->peak)
        (void)snprintf(ours, sizeof ours, plan->peak < 1000000000000 ? "%.1f" : "%.0f", (double)plan->peak / 1e9);
    fj_table_add(t, "%s / %s", theirs, ours);
}

static fj_status plan_row(const fj_call *call, const fj_plan_way *way, const fj_plan_wanted *asked,
                          fj_json *const configs[FJ_PLAN_SIZES], fj_table *t, fj_json *rows, fj_err *err)
{
    fj_json *row = fj_json_new_object(), *cells = fj_json_new_array();
    const char *why = NULL;
    fj_status st = FJ_OK;
    bool ok = row && cells && fj_json_set(row, "method", fj_json_new_text(way->name, strlen(way->name))) &&
              fj_json_set(row, "type", fj_json_new_text(way->type, strlen(way->type)));
    fj_table_add(t, "%s", way->title);
    fj_table_add(t, "%s", way->type);
    for (size_t i = 0; i < FJ_PLAN_SIZES && ok && !st; i++) {
        fj_plan plan;
        st = fj_plan_cell(configs[i], way, asked, fj_pool_threads(call->rt->pool), &call->rt->kernels, &plan, &why,
                          err);
        add_cell(t, way->guide[i], &plan);
        ok = fj_json_add(cells, json_of_cell(&fj_plan_sizes[i], way->guide[i], &plan));
    }
    fj_table_add(t, "%s", why ? why : "");
    ok = ok && fj_json_set(row, "note", why ? fj_json_new_text(why, strlen(why)) : fj_json_new_null()) &&
         fj_json_set(row, "cells", fj_json_share(cells)) && fj_json_add(rows, fj_json_share(row));
    fj_json_free(cells);
    fj_json_free(row);
    return st || ok ? st : fj_fail(err, FJ_ERR_MEMORY, "no memory for the table");
}

static fj_status print(const fj_plan_wanted *asked, bool as_json, const fj_table *t, fj_json *rows, fj_err *err)
{
    fj_str text = { 0 };
    fj_json *v = fj_json_new_object();
    bool ok = v && fj_json_set(v, "batch", fj_json_new_int(asked->batch)) &&
              fj_json_set(v, "length", fj_json_new_int(asked->length)) &&
              fj_json_set(v, "rank", fj_json_new_int(asked->rank)) && fj_json_set(v, "rows", fj_json_share(rows));
    if (ok && as_json)
        return fj_print_json(v, 0, err);
    fj_json_free(v);
    if (!ok)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for the table");
    fj_table_print(t, fj_wants_color(1), &text);
    (void)printf("%s\nGB: the guide's estimate / forja's plan for %lld row%s of %lld tokens, adapters of rank %lld, "
                 "gradient checkpointing, bf16 products.\nThe models:",
                 text.data ? text.data : "", (long long)asked->batch, asked->batch == 1 ? "" : "s",
                 (long long)asked->length, (long long)asked->rank);
    for (size_t i = 0; i < FJ_PLAN_SIZES; i++)
        (void)printf("%s %s is %s", i ? "," : "", fj_plan_sizes[i].title,
                     fj_plan_sizes[i].model ? fj_plan_sizes[i].model : "LLaMA of 32.5 B (60 layers of 6656)");
    (void)printf(".\n");
    fj_str_free(&text);
    return FJ_OK;
}

fj_status fj_plan_print_guide(const fj_call *call, const fj_plan_wanted *asked, bool as_json, fj_err *err)
{
    const char *titles[FJ_PLAN_SIZES + 4] = { "what", "type" };
    fj_json *configs[FJ_PLAN_SIZES] = { NULL }, *rows = fj_json_new_array();
    fj_catalogue c;
    fj_status st = fj_catalogue_open(&c, err);
    for (size_t i = 0; i < FJ_PLAN_SIZES; i++) {
        titles[2 + i] = fj_plan_sizes[i].title;
        if (!st)
            st = config_of(&fj_plan_sizes[i], &c, &configs[i], err);
    }
    titles[2 + FJ_PLAN_SIZES] = "";
    fj_table t = { .titles = titles, .align = "llrrrrrl" };
    for (const fj_plan_way *way = fj_plan_ways; !st && way->name; way++)
        st = plan_row(call, way, asked, configs, &t, rows, err);
    if (!st)
        st = print(asked, as_json, &t, rows, err);
    for (size_t i = 0; i < FJ_PLAN_SIZES; i++)
        fj_json_free(configs[i]);
    fj_json_free(rows);
    fj_table_free(&t);
    fj_catalogue_close(&c);
    return st;
}
