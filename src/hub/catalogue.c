/* SPDX-License-Identifier: Apache-2.0
 * See catalogue.h. */
#include "hub/catalogue.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/embed.h"

/* Texts that every row has, and those that a row may leave out. */
static fj_status read_texts(const char *name, fj_catalogue_row *row, fj_err *err)
{
    const struct {
        const char *key;
        const char **to;
        bool is_optional;
    } texts[] = { { "name", &row->name },
                  { "title", &row->title },
                  { "purpose", &row->purpose },
                  { "hub", &row->hub },
                  { "family", &row->family },
                  { "licence.commercial", &row->commercial },
                  { "company", &row->company, true },
                  { "licence.name", &row->licence, true },
                  { "licence.id", &row->licence_id, true },
                  { "files.file", &row->file, true },
                  { "files.type", &row->type, true } };
    for (size_t i = 0; i < FJ_LEN(texts); i++) {
        const fj_json *v = fj_json_find(row->json, texts[i].key);
        *texts[i].to = fj_json_string(v, NULL);
        if (!*texts[i].to && (v || !texts[i].is_optional))
            return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' must be text", name, texts[i].key);
    }
    return FJ_OK;
}

static fj_status read_counts(const char *name, fj_catalogue_row *row, fj_err *err)
{
    const struct {
        const char *key;
        int64_t *to;
    } counts[] = { { "context", &row->context },
                   { "parameters.total", &row->total },
                   { "parameters.active", &row->active } };
    for (size_t i = 0; i < FJ_LEN(counts); i++) {
        *counts[i].to = fj_json_int(fj_json_find(row->json, counts[i].key), 0);
        if (*counts[i].to < 1)
            return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' must be a whole number above 0", name, counts[i].key);
    }
    return FJ_OK;
}

static fj_status read_lists(const char *name, fj_catalogue_row *row, fj_err *err)
{
    const struct {
        const char *key;
        const fj_json **to;
    } lists[] = { { "languages", &row->languages }, { "tasks", &row->tasks } };
    for (size_t i = 0; i < FJ_LEN(lists); i++) {
        *lists[i].to = fj_json_get(row->json, lists[i].key);
        bool ok = fj_json_is_array(*lists[i].to);
        for (size_t k = 0; k < fj_json_len(*lists[i].to); k++)
            ok = ok && fj_json_is_string(fj_json_at(*lists[i].to, k));
        if (!ok)
            return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' must be a list of texts", name, lists[i].key);
    }
    return FJ_OK;
}

static fj_status read_row(const char *name, fj_catalogue_row *row, fj_err *err)
{
    if (!fj_json_is_object(row->json))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: a row of the catalogue is an object", name);
    fj_status st = read_texts(name, row, err);
    if (!st)
        st = read_counts(name, row, err);
    if (!st)
        st = read_lists(name, row, err);
    const fj_json *runs = fj_json_get(row->json, "runs");
    row->runs = fj_json_bool(runs, false);
    row->config = fj_json_get(row->json, "config");
    if (!st && !fj_json_is_bool(runs))
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: 'runs' must be true or false", name);
    if (!st && !fj_json_is_object(row->config))
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: 'config' must be an object", name);
    return st;
}

fj_status fj_catalogue_read(const char *text, size_t len, const char *name, fj_catalogue_row *out, fj_err *err)
{
    *out = (fj_catalogue_row){ 0 };
    fj_status st = fj_json_parse(text, len, name, false, &out->json, err);
    if (!st)
        st = read_row(name, out, err);
    if (st) {
        fj_json_free(out->json);
        *out = (fj_catalogue_row){ 0 };
    }
    return st;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const fj_catalogue_row *)a)->name, ((const fj_catalogue_row *)b)->name);
}

fj_status fj_catalogue_open(fj_catalogue *out, fj_err *err)
{
    size_t n = 0;
    fj_status st = FJ_OK;
    while (fj_embedded_catalogue[n].name)
        n++;
    *out = (fj_catalogue){ .rows = calloc(n + 1, sizeof *out->rows) };
    if (!out->rows)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for the catalogue");
    for (; !st && out->n < n; out->n += !st) {
        const fj_embedded *e = &fj_embedded_catalogue[out->n];
        st = fj_catalogue_read(e->text, strlen(e->text), e->name, &out->rows[out->n], err);
    }
    if (st)
        fj_catalogue_close(out);
    else
        qsort(out->rows, n, sizeof *out->rows, by_name);
    return st;
}

void fj_catalogue_close(fj_catalogue *c)
{
    for (size_t i = 0; i < c->n; i++)
        fj_json_free(c->rows[i].json);
    free(c->rows);
    *c = (fj_catalogue){ 0 };
}

static bool lists(const fj_json *list, const char *text)
{
    for (size_t i = 0; i < fj_json_len(list); i++)
        if (!strcasecmp(fj_json_string(fj_json_at(list, i), ""), text))
            return true;
    return false;
}

const fj_catalogue_row *fj_catalogue_find(const fj_catalogue *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++) {
        const fj_catalogue_row *row = &c->rows[i];
        if (!strcasecmp(row->name, name) || !strcasecmp(row->hub, name) ||
            lists(fj_json_get(row->json, "aliases"), name))
            return row;
    }
    return NULL;
}

/* The names of the rows whose part before the colon is that of `name`. */
static void add_siblings(const fj_catalogue *c, const char *name, fj_str *out)
{
    size_t base = strcspn(name, ":");
    for (size_t i = 0; i < c->n; i++)
        if (strcspn(c->rows[i].name, ":") == base && !strncasecmp(c->rows[i].name, name, base))
            fj_str_printf(out, "%s%s", out->len ? ", " : "", c->rows[i].name);
}

/* The name whose part before the colon is nearest to that of `name`; NULL when none is near. */
static const char *nearest(const fj_catalogue *c, const char *name)
{
    const char **bases = calloc(c->n + 1, sizeof *bases), *found = NULL;
    fj_str wanted = { 0 }, texts = { 0 };
    for (size_t i = 0; i < c->n; i++)
        fj_str_add(&texts, c->rows[i].name, strcspn(c->rows[i].name, ":") + 1);
    for (size_t i = 0; i < texts.len; i++)
        if (texts.data[i] == ':')
            texts.data[i] = '\0';
    fj_str_add(&wanted, name, strcspn(name, ":"));
    const char *at = texts.data;
    for (size_t i = 0; bases && !texts.failed && i < c->n; i++, at += strlen(at) + 1)
        bases[i] = at;
    if (bases && wanted.data && !texts.failed)
        found = fj_nearest(wanted.data, bases, c->n);
    for (size_t i = 0; found && i < c->n; i++)
        if (bases[i] == found) {
            found = c->rows[i].name;
            break;
        }
    free(bases);
    fj_str_free(&texts);
    fj_str_free(&wanted);
    return found;
}

fj_status fj_catalogue_unknown(const fj_catalogue *c, const char *name, fj_err *err)
{
    fj_str siblings = { 0 };
    const char *near = nearest(c, name);
    (void)fj_fail(err, FJ_ERR_USAGE, "no model of the catalogue is called '%.100s'", name);
    add_siblings(c, near ? near : name, &siblings);
    if (siblings.len)
        (void)fj_hint(err, "there is %s", siblings.data);
    else
        (void)fj_hint(err, "forja models lists them");
    fj_str_free(&siblings);
    return err->status;
}

bool fj_catalogue_speaks(const fj_catalogue_row *row, const char *language)
{
    return lists(row->languages, language) || lists(row->languages, "mul");
}

bool fj_catalogue_does(const fj_catalogue_row *row, const char *task)
{
    return lists(row->tasks, task);
}
