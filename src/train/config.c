/* SPDX-License-Identifier: Apache-2.0
 * Keys to settings. The tables of names are in tables_keys.c; here is what is done with them. */
#include "train/config.h"

#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/map.h"
#include "base/yaml.h"
#include "data/data.h"
#include "train/keys.h"

enum { MAX_FILE = 16 << 20, MAX_NAMES = 512 };

typedef struct reader {
    const char *path;
    fj_json *values, *lines; /* lines is NULL while the command line is read */
    fj_arena *arena;
    fj_log *log;
    fj_train_config *out;
    const char **origins; /* of each key of fj_train_keys */
    fj_str ignored;       /* keys that were accepted without meaning */
} reader;

/* "run.yaml line 3" or "command line", in the arena; NULL without memory. */
static const char *place(const reader *r, const char *key)
{
    int64_t line = fj_json_int(fj_json_get(r->lines, key), 0);
    return line > 0 ? fj_arena_printf(r->arena, "%s line %lld", r->path, (long long)line) : "command line";
}

/* ---- one key -------------------------------------------------------------------------------------------------------------------------- */

static fj_status unknown_key(const reader *r, const char *key, const char *where, fj_err *err)
{
    const char *names[MAX_NAMES];
    size_t n = 0;
    for (const fj_option *k = fj_train_keys; k->name; k++)
        names[n++] = k->name;
    for (const fj_known_key *k = fj_known_keys; k->name && n < MAX_NAMES; k++)
        names[n++] = k->name;
    const char *nearest = fj_nearest(key, names, n);
    (void)r;
    (void)fj_fail(err, FJ_ERR_USAGE, "%s: unknown key '%.100s'", where, key);
    return nearest ? fj_hint(err, "did you mean %s?", nearest) : fj_hint(err, "forja train --help lists the keys");
}

/* A value as it would be typed: a list becomes its items with commas, 8.0 becomes 8. NULL without memory, or for an object. */
static const char *to_text(const reader *r, const fj_json *v)
{
    fj_str text = { 0 };
    double d = fj_json_real(v, NAN);
    if (fj_json_is_object(v))
        return NULL;
    if (fj_json_is_array(v))
        for (size_t i = 0; i < fj_json_len(v); i++)
            fj_str_printf(&text, "%s%s", i ? "," : "", fj_json_string(fj_json_at(v, i), "?"));
    else if (fj_json_is_string(v))
        fj_str_add_text(&text, fj_json_string(v, ""));
    else if (fj_json_is_number(v) && d == floor(d) && fabs(d) < 1e15)
        fj_str_printf(&text, "%.0f", d);
    else
        (void)fj_json_write(v, 0, 17, &text);
    const char *kept = fj_arena_text(r->arena, text.data ? text.data : "", text.len);
    fj_str_free(&text);
    return kept;
}

/* A number that was typed as text ("1e4" on the command line) for a key that takes whole numbers. */
static const char *whole(const reader *r, const char *text)
{
    double d;
    if (fj_text_f64(fj_text_of(text), &d) && d == floor(d) && fabs(d) < 1e15)
        return fj_arena_printf(r->arena, "%.0f", d);
    return text;
}

static fj_status set(reader *r, const fj_option *k, const char *text, const char *where, fj_err *err)
{
    const char *label = fj_arena_printf(r->arena, "%s: %s", where, k->name);
    if (k->kind == FJ_OPT_INT)
        text = whole(r, text);
    if (!label || !text)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for the configuration");
    r->origins[k - fj_train_keys] = where;
    return fj_option_set(k, label, text, r->arena, r->out, err);
}

/* Whether text is one of "a|b|c", numbers compared as numbers. */
static bool is_among(const char *list, const char *text)
{
    double a, b;
    for (; list && *list; list += strcspn(list, "|"), list += *list == '|') {
        fj_text one = { list, strcspn(list, "|") };
        if (fj_text_is(one, text))
            return true;
        if (fj_text_f64(one, &a) && fj_text_f64(fj_text_of(text), &b) && a == b)
            return true;
    }
    return false;
}

static fj_status known_key(reader *r, const fj_known_key *k, const char *text, const char *where, fj_err *err)
{
    if (k->neutral && !strcmp(k->neutral, "*")) {
        fj_str_printf(&r->ignored, "%s%s", r->ignored.len ? ", " : "", k->name);
        return FJ_OK;
    }
    if (text && (is_among(k->neutral, text) || !strcmp(text, "null")))
        return FJ_OK;
    (void)fj_fail(err, FJ_ERR_USAGE, "%s: %s: %.80s is LLaMA-Factory's, forja does not support it", where, k->name,
                  text ? text : "{…}");
    return k->instead ? fj_hint(err, "%s", k->instead) : fj_hint(err, "leave it out, or set it to its default");
}

static fj_status one_key(reader *r, const char *key, const fj_json *v, fj_err *err)
{
    const char *where = place(r, key);
    const char *text = to_text(r, v);
    if (!where)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for the configuration");
    for (const fj_option *k = fj_train_keys; k->name; k++) {
        if (strcmp(key, k->name))
            continue;
        if (fj_json_is_null(v))
            return FJ_OK;
        return text ? set(r, k, text, where, err) : fj_fail(err, FJ_ERR_USAGE, "%s: %s: not one value", where, key);
    }
    for (const fj_known_key *k = fj_known_keys; k->name; k++)
        if (!strcmp(key, k->name))
            return fj_json_is_null(v) ? FJ_OK : known_key(r, k, text, where, err);
    return unknown_key(r, key, where, err);
}

/* ---- files and the command line ------------------------------------------------------------------------------------------------------- */

static fj_status read_values(reader *r, fj_err *err)
{
    fj_status st = FJ_OK;
    for (void *i = fj_json_first(r->values); i && !st; i = fj_json_next(r->values, i))
        st = one_key(r, fj_json_key(i), fj_json_member(i), err);
    return st;
}

static fj_status override(reader *r, const char *text, fj_err *err)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text) {
        (void)fj_fail(err, FJ_ERR_USAGE, "command line: '%.100s' is not key=value", text);
        return fj_hint(err, "for example learning_rate=1e-4");
    }
    bool is_null = !equals[1] || !strcmp(equals + 1, "null");
    char *key = fj_arena_text(r->arena, text, (size_t)(equals - text));
    fj_json *value = is_null ? fj_json_new_null() : fj_json_new_text(equals + 1, strlen(equals + 1));
    fj_status st = key && value ? one_key(r, key, value, err)
                                : fj_fail(err, FJ_ERR_MEMORY, "no memory for the configuration");
    fj_json_free(value);
    return st;
}

/* ---- what belongs together ------------------------------------------------------------------------------------------------------------ */

static fj_status check_template(const fj_train_config *c, const char *name, fj_err *err)
{
    const char *const *names = NULL;
    size_t n = 0;
    if (!c->template_name || fj_chat_template(c->template_name, &names))
        return FJ_OK;
    while (names[n])
        n++;
    const char *nearest = fj_nearest(c->template_name, names, n);
    (void)fj_fail(err, FJ_ERR_USAGE, "%s: template: '%.60s' is not known", name, c->template_name);
    return fj_hint(err, "%s%s%sleave it out and the model's own is used", nearest ? "did you mean " : "",
                   nearest ? nearest : "", nearest ? "? Or " : "");
}

static fj_status check(const fj_train_config *c, const char *name, fj_err *err)
{
    const struct {
        const char *key, *value;
    } needed[] = { { "model_name_or_path", c->model_name_or_path },
                   { "dataset", c->dataset },
                   { "output_dir", c->output_dir } };
    for (size_t i = 0; i < FJ_LEN(needed); i++)
        if (!needed[i].value || !*needed[i].value) {
            (void)fj_fail(err, FJ_ERR_USAGE, "%s: %s is missing", name, needed[i].key);
            return i == 1 ? fj_hint(err,
                                    "a file of rows, or a name of dataset_info.json; without training, forja run chats")
                          : FJ_ERR_USAGE;
        }
    bool is_lora = !strcmp(c->finetuning_type, "lora");
    if (c->adapter_name_or_path && !is_lora) {
        (void)fj_fail(err, FJ_ERR_USAGE, "%s: adapter_name_or_path with finetuning_type: %s", name, c->finetuning_type);
        return fj_hint(err, "forja export merges the adapter first");
    }
    if (c->quantization_bit != FJ_NOT_GIVEN && !is_lora) {
        (void)fj_fail(err, FJ_ERR_USAGE, "%s: quantization_bit with finetuning_type: %s", name, c->finetuning_type);
        return fj_hint(err, "quantized weights are frozen: finetuning_type: lora");
    }
    if (c->quantization_bit == 7)
        return fj_fail(err, FJ_ERR_USAGE, "%s: quantization_bit: 7 is not one of 8, 6, 5, 4, 3, 2", name);
    if (c->adapter_name_or_path && strchr(c->adapter_name_or_path, ','))
        return fj_fail(err, FJ_ERR_USAGE, "%s: adapter_name_or_path: one adapter can be trained on, not several", name);
    if (c->adapter_name_or_path && c->create_new_adapter) {
        (void)fj_fail(err, FJ_ERR_USAGE, "%s: create_new_adapter on top of adapter_name_or_path is not supported",
                      name);
        return fj_hint(err, "forja export merges the adapter; then a new one starts from the result");
    }
    if (c->pure_bf16 && is_lora) {
        (void)fj_fail(err, FJ_ERR_USAGE, "%s: pure_bf16 with finetuning_type: lora", name);
        return fj_hint(err, "an adapter is small and learns in 32 bits; bf16: true makes the products 16-bit");
    }
    if (c->mask_history && c->train_on_prompt)
        return fj_fail(err, FJ_ERR_USAGE, "%s: mask_history and train_on_prompt exclude each other", name);
    if (!strcmp(c->stage, "pt") && (c->mask_history || c->train_on_prompt))
        return fj_fail(err, FJ_ERR_USAGE, "%s: %s has no meaning in stage: pt", name,
                       c->mask_history ? "mask_history" : "train_on_prompt");
    if (strcmp(c->eval_strategy, "no") != 0 && !(c->val_size > 0) && !c->eval_dataset)
        return fj_fail(err, FJ_ERR_USAGE, "%s: eval_strategy: %s needs val_size or eval_dataset", name,
                       c->eval_strategy);
    if (c->val_size > 0 && c->eval_dataset)
        return fj_fail(err, FJ_ERR_USAGE, "%s: val_size and eval_dataset exclude each other", name);
    return check_template(c, name, err);
}

static void settled(reader *r, const void *member, const char *origin)
{
    size_t offset = (size_t)((const unsigned char *)member - (const unsigned char *)r->out);
    for (const fj_option *k = fj_train_keys; k->name; k++)
        if (k->offset == offset)
            r->origins[k - fj_train_keys] = origin;
}

/* Values that follow from others where nobody gave them. */
static void settle(reader *r)
{
    fj_train_config *c = r->out;
    if (isnan(c->learning_rate)) {
        bool is_lora = !strcmp(c->finetuning_type, "lora");
        c->learning_rate = is_lora ? 1e-4 : 1e-5;
        settled(r, &c->learning_rate, fj_arena_printf(r->arena, "default of %s", c->finetuning_type));
    }
    if (isnan(c->lora_alpha)) {
        c->lora_alpha = 2 * (double)c->lora_rank;
        settled(r, &c->lora_alpha, "twice lora_rank");
    }
    if (c->data_seed == FJ_NOT_GIVEN) {
        c->data_seed = c->seed;
        settled(r, &c->data_seed, "as seed");
    }
    if (c->eval_steps == FJ_NOT_GIVEN) {
        c->eval_steps = c->save_steps;
        settled(r, &c->eval_steps, "as save_steps");
    }
    if (c->resume_from_checkpoint && (!strcmp(c->resume_from_checkpoint, "false") || !*c->resume_from_checkpoint))
        c->resume_from_checkpoint = NULL;
}

/* ---- telling -------------------------------------------------------------------------------------------------------------------------- */

static void add_value(const fj_train_config *c, const fj_option *k, fj_str *out)
{
    const void *at = (const unsigned char *)c + k->offset;
    switch (k->kind) {
    case FJ_OPT_BOOL: fj_str_add_text(out, *(const bool *)at ? "true" : "false"); break;
    case FJ_OPT_INT:
        if (*(const int64_t *)at == FJ_NOT_GIVEN)
            fj_str_add_text(out, "null");
        else
            fj_str_printf(out, "%lld", (long long)*(const int64_t *)at);
        break;
    case FJ_OPT_REAL: fj_str_printf(out, "%.9g", *(const double *)at); break;
    default: fj_str_add_text(out, *(const char *const *)at ? *(const char *const *)at : "null"); break;
    }
}

static const char *canonical(const fj_train_config *c, fj_arena *arena)
{
    fj_str all = { 0 };
    for (const fj_option *k = fj_train_keys; k->name; k++) {
        fj_str_printf(&all, "%s ", k->name);
        add_value(c, k, &all);
        fj_str_add_char(&all, '\n');
    }
    const char *kept = all.failed ? NULL : fj_arena_text(arena, all.data, all.len);
    fj_str_free(&all);
    return kept;
}

void fj_train_config_explain(const fj_train_config *c, fj_str *out)
{
    for (const fj_option *k = fj_train_keys; k->name; k++) {
        fj_str value = { 0 };
        add_value(c, k, &value);
        fj_str_printf(out, "%-31s %-24s # %s; %s\n", k->name, value.data ? value.data : "",
                      c->origins[k - fj_train_keys], k->help);
        fj_str_free(&value);
    }
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------------------ */

static fj_status open_reader(reader *r, fj_err *err)
{
    size_t n = 0;
    while (fj_train_keys[n].name)
        n++;
    *r->out = (fj_train_config){ 0 };
    r->origins = fj_arena_array(r->arena, n, sizeof *r->origins);
    if (!r->origins)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for the configuration");
    fj_options_reset(fj_train_keys, r->arena, r->out);
    for (size_t i = 0; i < n; i++)
        r->origins[i] = "default";
    r->out->origins = r->origins;
    return FJ_OK;
}

fj_status fj_train_config_parse(const char *text, size_t len, const char *name, const char *const *overrides, size_t n,
                                fj_arena *arena, fj_log *log, fj_train_config *out, fj_err *err)
{
    reader r = { .path = name, .arena = arena, .log = log, .out = out };
    fj_status st = open_reader(&r, err);
    if (!st)
        st = fj_yaml_parse(text, len, name, &r.values, &r.lines, err);
    if (!st && !fj_json_is_object(r.values))
        st = fj_fail(err, FJ_ERR_USAGE, "%s: not a list of keys and values", name);
    if (!st)
        st = read_values(&r, err);
    fj_json_free(r.lines);
    r.lines = NULL;
    for (size_t i = 0; i < n && !st; i++)
        st = override(&r, overrides[i], err);
    if (!st && r.ignored.len)
        fj_note(log, "%s: without meaning here, ignored: %s", name, r.ignored.data);
    if (!st)
        settle(&r);
    if (!st)
        st = check(out, name, err);
    if (!st) {
        out->canonical = canonical(out, arena);
        st = out->canonical ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for the configuration");
    }
    fj_json_free(r.values);
    fj_str_free(&r.ignored);
    return st;
}

fj_status fj_train_config_load(const char *path, const char *const *overrides, size_t n, fj_arena *arena, fj_log *log,
                               fj_train_config *out, fj_err *err)
{
    fj_str text = { 0 };
    fj_status st = fj_file_read(path, MAX_FILE, &text, err);
    if (st == FJ_ERR_FAILED && !fj_path_exists(path))
        err->status = st = FJ_ERR_USAGE;
    if (!st)
        st = fj_train_config_parse(text.data ? text.data : "", text.len, path, overrides, n, arena, log, out, err);
    fj_str_free(&text);
    return st;
}
