/* SPDX-License-Identifier: Apache-2.0
 * The facts of the catalogue against what our own families make of its configurations. */
#include "tests/test.h"

#include <stdlib.h>

#include "base/map.h"
#include "hub/catalogue.h"
#include "plan/table.h"

static bool is_one_of(const char *text, const char *list)
{
    const char *at = strstr(list, text);
    return *text && at && (at == list || at[-1] == '|') && (at[strlen(text)] == '|' || !at[strlen(text)]);
}

/* CHECK, with the row in the message. */
static void holds(const fj_catalogue_row *r, bool is_so, const char *what, int line)
{
    if (is_so)
        return;
    print_error("%s: not so: %s\n", r->name, what);
    _fail(__FILE__, line);
}

#define HOLDS(row, what) holds(row, what, #what, __LINE__)

TEST(rows_of_the_catalogue_keep_to_its_schema)
{
    static const char *const objects[] = { "parameters", "licence", "files", "guide", "verified", "facts_from" };
    fj_err err = { 0 };
    fj_catalogue c;
    CHECK_OK(fj_catalogue_open(&c, &err));
    for (size_t i = 0; i < c.n; i++) {
        const fj_catalogue_row *r = &c.rows[i];
        const fj_json *formats = fj_json_find(r->json, "files.formats"), *tasks = r->tasks;
        for (size_t k = 0; k < FJ_LEN(objects); k++)
            HOLDS(r, fj_json_is_object(fj_json_get(r->json, objects[k])));
        HOLDS(r, is_one_of(r->commercial, "yes|no|conditions|unknown"));
        HOLDS(r, is_one_of(fj_json_string(fj_json_get(r->json, "gated"), ""), "yes|no|unknown"));
        HOLDS(r, fj_json_int(fj_json_get(r->json, "size_16bit"), 0) == 2 * r->total);
        HOLDS(r, r->active <= r->total && fj_json_len(tasks) > 0 && fj_json_is_array(fj_json_get(r->json, "doubts")));
        for (size_t k = 0; k < fj_json_len(tasks); k++)
            HOLDS(r, is_one_of(fj_json_string(fj_json_at(tasks, k), ""),
                               "text|chat|code|vision|embed|fill-mask|ner|qa|classify|summarize|translate"));
        for (size_t k = 0; k < fj_json_len(formats); k++)
            HOLDS(r, is_one_of(fj_json_string(fj_json_at(formats, k), ""), "safetensors|pytorch_bin|gguf|nemo|jax"));
        HOLDS(r, fj_json_is_array(formats) && (!r->type || fj_recipe_by_name(r->type)));
        HOLDS(r, strchr(r->hub, '/') && fj_json_string(fj_json_find(r->json, "verified.file"), NULL));
    }
    fj_catalogue_close(&c);
}

/* What a row is active with: all but the experts that are not chosen. */
static int64_t count_active(const fj_model *m)
{
    int64_t n = 0;
    for (int i = 0; i < m->n_weights; i++) {
        const fj_shape *s = &m->weights[i].shape;
        n += fj_shape_count(s) / (s->rank == 3 ? m->hp.n_experts : 1) * (s->rank == 3 ? m->hp.n_experts_used : 1);
    }
    return n;
}

/* Exact: a wrong width, a wrong number of layers or a forgotten bias would show. Rows say that their family runs when it is in the
 * registry, and only then; what was compared lies in tests/golden. */
TEST(parameters_of_the_catalogue_are_those_of_our_own_families)
{
    fj_err err = { 0 };
    fj_catalogue c;
    CHECK_OK(fj_catalogue_open(&c, &err));
    for (size_t i = 0; i < c.n; i++) {
        const fj_catalogue_row *r = &c.rows[i];
        const fj_family *family = NULL;
        const char *twin = fj_json_string(fj_json_find(r->json, "verified.twin"), NULL);
        fj_status st = fj_family_of(r->config, &family, &err);
        fj_model *m = NULL;
        HOLDS(r, r->runs == !st);
        HOLDS(r, (twin != NULL) == r->runs);
        if (st)
            continue;
        char folder[128];
        (void)snprintf(folder, sizeof folder, "decoders/%s", twin);
        HOLDS(r, fj_path_is_dir(test_golden(folder)));
        CHECK_TEXT(r->family, family->name);
        CHECK_OK(fj_model_describe(r->config, NULL, &m, &err));
        HOLDS(r, fj_model_parameters(m) == r->total);
        HOLDS(r, count_active(m) == r->active);
        HOLDS(r, m->hp.n_ctx == r->context);
        fj_model_free(m);
    }
    fj_catalogue_close(&c);
}
