/* SPDX-License-Identifier: Apache-2.0
 * Finding data sets: names of dataset_info.json, or paths.
 * Source: LLaMA-Factory data/parser.py (get_dataset_list): every key that it reads is understood or refused by name. */

#include <string.h>

#include "base/map.h"
#include "data/data_internal.h"

typedef struct finder {
    const fj_data_config *config;
    const char *dir;
    fj_arena *arena;
    fj_json *info; /* dataset_info.json, or NULL */
    bool is_pretraining;
    fj_err *err;
} finder;

static fj_status no_memory(fj_err *err)
{
    return fj_fail(err, FJ_ERR_MEMORY, "no memory for the list of data sets");
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* A member that must be a text; NULL in *out when absent or null. The arena keeps it. */
static fj_status member(finder *f, const fj_json *object, const char *set, const char *key, const char **out)
{
    const fj_json *v = fj_json_get(object, key);
    *out = NULL;
    if (!v || fj_json_is_null(v))
        return FJ_OK;
    if (!fj_json_is_string(v))
        return fj_fail(f->err, FJ_ERR_USAGE, "dataset_info.json: '%s' of data set '%s' is not a text", key, set);
    *out = fj_arena_text(f->arena, fj_json_text(v).data, fj_json_text(v).len);
    return *out ? FJ_OK : no_memory(f->err);
}

/* LLaMA-Factory (DatasetAttr): history, system and tools are read when `columns` lists them, and as soon as it is there, a column that
 * it does not list is not read at all. */
static fj_status read_columns(finder *f, const fj_json *columns, const char *set, fj_columns *out)
{
    const struct {
        const char *key;
        const char **to;
    } known[] = { { "prompt", &out->prompt },   { "query", &out->query },   { "response", &out->response },
                  { "history", &out->history }, { "system", &out->system }, { "messages", &out->messages },
                  { "tools", &out->tools } };
    fj_status st = FJ_OK;
    *out = fj_columns_default();
    out->history = out->system = out->tools = NULL;
    if (!columns)
        return FJ_OK;
    for (void *i = fj_json_first(columns); i; i = fj_json_next((fj_json *)columns, i)) {
        bool found = false;
        for (size_t k = 0; k < FJ_LEN(known); k++)
            found |= strcmp(fj_json_key(i), known[k].key) == 0;
        if (!found)
            return fj_fail(f->err, FJ_ERR_USAGE,
                           "dataset_info.json: column '%.60s' of data set '%s' is not for stage %s", fj_json_key(i),
                           set, f->is_pretraining ? "pt" : "sft");
    }
    for (size_t k = 0; !st && k < FJ_LEN(known); k++)
        st = member(f, columns, set, known[k].key, known[k].to);
    if (!out->messages)
        out->messages = "conversations";
    if (out->prompt)
        out->text = out->prompt; /* stage pt reads its text from the prompt column */
    return st;
}

static fj_status read_tags(finder *f, const fj_json *tags, const char *set, fj_tags *out)
{
    const struct {
        const char *key;
        const char **to;
    } known[] = { { "role_tag", &out->role },
                  { "content_tag", &out->content },
                  { "user_tag", &out->user },
                  { "assistant_tag", &out->assistant },
                  { "observation_tag", &out->observation },
                  { "function_tag", &out->function },
                  { "system_tag", &out->system } };
    for (size_t k = 0; tags && k < FJ_LEN(known); k++) {
        const char *text;
        fj_status st = member(f, tags, set, known[k].key, &text);
        if (st)
            return st;
        if (text)
            *known[k].to = text;
    }
    return FJ_OK;
}

/* What this program does not do with a data set of dataset_info.json is said, not skipped. */
static fj_status refuse_unsupported(finder *f, const fj_json *entry, const char *set)
{
    static const char *const hubs[] = { "hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name" };
    if (!fj_json_get(entry, "file_name"))
        for (size_t i = 0; i < FJ_LEN(hubs); i++)
            if (fj_json_get(entry, hubs[i])) {
                (void)fj_fail(f->err, FJ_ERR_USAGE, "data set '%s' is not a local file (%s)", set, hubs[i]);
                return fj_hint(f->err, "download it and give the path of the JSON or JSONL file in `dataset`");
            }
    if (fj_json_bool(fj_json_get(entry, "ranking"), false) || fj_json_get(fj_json_get(entry, "columns"), "kto_tag"))
        return fj_fail(f->err, FJ_ERR_USAGE, "data set '%s' holds preferences, it is not for stage %s", set,
                       f->is_pretraining ? "pt" : "sft");
    if (fj_json_get(entry, "num_samples")) {
        (void)fj_fail(f->err, FJ_ERR_USAGE, "dataset_info.json: 'num_samples' of data set '%s' is not supported", set);
        return fj_hint(f->err, "max_samples takes the first rows of each data set");
    }
    return FJ_OK;
}

static const fj_row_shape *shape_named(const char *name)
{
    static const fj_row_shape *const named[] = { &fj_row_shape_alpaca, &fj_row_shape_sharegpt, &fj_row_shape_openai };
    for (size_t i = 0; i < FJ_LEN(named); i++)
        if (strcmp(named[i]->name, name) == 0)
            return named[i];
    return NULL;
}

static fj_status from_entry(finder *f, const fj_json *entry, const char *set, fj_row_source *out)
{
    const char *file, *formatting;
    const fj_json *columns = fj_json_get(entry, "columns");
    fj_status st = refuse_unsupported(f, entry, set);
    if (!st)
        st = member(f, entry, set, "file_name", &file);
    if (!st)
        st = member(f, entry, set, "formatting", &formatting);
    if (!st)
        st = read_columns(f, columns, set, &out->columns);
    if (st)
        return st;
    if (!file)
        return fj_fail(f->err, FJ_ERR_USAGE, "dataset_info.json: data set '%s' has no file_name", set);
    out->shape = shape_named(formatting ? formatting : "alpaca");
    if (!out->shape)
        return fj_fail(f->err, FJ_ERR_USAGE,
                       "dataset_info.json: formatting '%s' of data set '%s', expected alpaca, sharegpt or openai",
                       formatting, set);
    out->tags = out->shape == &fj_row_shape_openai ? fj_tags_openai() : fj_tags_sharegpt();
    if (out->shape == &fj_row_shape_openai && !fj_json_get(columns, "messages"))
        out->columns.messages = "messages";
    if (f->is_pretraining)
        out->shape = &fj_row_shape_text;
    out->path = fj_arena_printf(f->arena, "%s/%s", f->dir, file);
    return out->path ? read_tags(f, fj_json_get(entry, "tags"), set, &out->tags) : no_memory(f->err);
}

static fj_status unknown_set(finder *f, const char *set)
{
    const char *names[256];
    size_t n = 0;
    for (void *i = fj_json_first(f->info); i && n < FJ_LEN(names); i = fj_json_next(f->info, i))
        names[n++] = fj_json_key(i);
    const char *nearest = fj_nearest(set, names, n);
    if (f->info)
        (void)fj_fail(f->err, FJ_ERR_USAGE, "dataset '%s' is neither a file nor a name in %s/dataset_info.json", set,
                      f->dir);
    else
        (void)fj_fail(f->err, FJ_ERR_USAGE, "dataset '%s' is not a file, and there is no %s/dataset_info.json", set,
                      f->dir);
    if (nearest)
        return fj_hint(f->err, "did you mean '%s'?", nearest);
    return fj_hint(f->err, "give the path of a .json, .jsonl or .txt file, or set dataset_dir");
}

static fj_status from_path(finder *f, const char *set, fj_row_source *out)
{
    const char *path = set;
    if (!fj_path_exists(path)) {
        path = fj_arena_printf(f->arena, "%s/%s", f->dir, set);
        if (!path)
            return no_memory(f->err);
        if (!fj_path_exists(path))
            return unknown_set(f, set);
    }
    if (fj_path_is_dir(path))
        return fj_fail(f->err, FJ_ERR_USAGE, "dataset '%s' is a folder, expected a .json, .jsonl or .txt file", set);
    out->columns = fj_columns_default();
    out->tags = fj_tags_sharegpt();
    out->path = fj_arena_text(f->arena, path, strlen(path));
    return out->path ? FJ_OK : no_memory(f->err);
}

static fj_status find_one(finder *f, const char *set, fj_row_source *out)
{
    const fj_json *entry = fj_json_get(f->info, set);
    out->name = set;
    fj_status st = entry ? from_entry(f, entry, set, out) : from_path(f, set, out);
    if (st)
        return st;
    if (ends_with(out->path, ".csv") || ends_with(out->path, ".parquet") || ends_with(out->path, ".arrow")) {
        (void)fj_fail(f->err, FJ_ERR_USAGE, "%s: only JSON, JSONL and text files are read", out->path);
        return fj_hint(f->err, "convert it to one JSON object a line");
    }
    if (ends_with(out->path, ".txt")) {
        out->is_lines_of_text = true;
        out->shape = &fj_row_shape_text;
    }
    return FJ_OK;
}

static fj_status read_info(finder *f)
{
    const char *path = fj_arena_printf(f->arena, "%s/dataset_info.json", f->dir);
    if (!path)
        return no_memory(f->err);
    if (!fj_path_exists(path))
        return FJ_OK;
    fj_status st = fj_json_load(path, &f->info, f->err);
    if (st) {
        f->err->status = st == FJ_ERR_FORMAT ? FJ_ERR_DATA : st; /* a broken data file, not a broken model */
        return f->err->status;
    }
    return fj_json_is_object(f->info) ? FJ_OK : fj_fail(f->err, FJ_ERR_DATA, "%s is not an object of data sets", path);
}

fj_status fj_sources_find(const fj_data_config *config, fj_arena *arena, fj_row_source **out, size_t *n, fj_err *err)
{
    finder f = {
        .config = config, .dir = config->dataset_dir ? config->dataset_dir : "data", .arena = arena, .err = err
    };
    f.is_pretraining = config->stage && strcmp(config->stage, "pt") == 0;
    *n = 0;
    if (!config->dataset || !config->dataset[0])
        return fj_fail(err, FJ_ERR_USAGE, "no dataset was given");
    size_t most = 1;
    for (const char *c = config->dataset; *c; c++)
        most += *c == ',';
    *out = fj_arena_array(arena, most, sizeof **out);
    fj_status st = *out ? read_info(&f) : no_memory(err);
    for (const char *at = config->dataset; !st && *at;) {
        size_t len = strcspn(at, ",");
        fj_text set = { at, len };
        while (set.len && set.data[0] == ' ')
            set = (fj_text){ set.data + 1, set.len - 1 };
        while (set.len && set.data[set.len - 1] == ' ')
            set.len--;
        const char *name = fj_arena_text(arena, set.data, set.len);
        if (!name)
            st = no_memory(err);
        else if (name[0])
            st = find_one(&f, name, &(*out)[(*n)++]);
        at += len + (at[len] == ',');
    }
    fj_json_free(f.info);
    if (!st && *n == 0)
        st = fj_fail(err, FJ_ERR_USAGE, "no dataset was given");
    return st;
}

fj_status fj_source_guess(fj_row_source *s, const fj_json *row, fj_err *err)
{
    fj_str keys = { 0 };
    if (fj_json_get(row, "chosen") || fj_json_get(row, "rejected") || fj_json_get(row, "kto_tag") ||
        fj_json_is_bool(fj_json_get(row, "label"))) {
        (void)fj_fail(err, FJ_ERR_DATA, "it holds a preference (%s), which these stages would learn as an answer",
                      fj_json_get(row, "chosen") || fj_json_get(row, "rejected") ? "chosen and rejected"
                                                                                 : "a label true or false");
        return fj_hint(err,
                       "name the file in dataset_info.json, with its columns, to train on its messages all the same");
    }
    for (size_t i = 0; fj_row_shapes[i]; i++) {
        fj_row_source tried = *s;
        if (fj_row_shapes[i]->looks_like(row, &tried)) {
            *s = tried;
            s->shape = fj_row_shapes[i];
            return FJ_OK;
        }
    }
    for (void *i = fj_json_first(row); i; i = fj_json_next((fj_json *)row, i))
        fj_str_printf(&keys, "%s%.40s", keys.len ? ", " : "", fj_json_key(i));
    (void)fj_fail(err, FJ_ERR_DATA, "the columns (%.300s) are of no known layout", keys.data ? keys.data : "none");
    fj_str_free(&keys);
    return fj_hint(err, "known are instruction/input/output, conversations (from/value), messages (role/content), "
                        "text, input_ids/labels; "
                        "other names can be given in dataset_info.json");
}
