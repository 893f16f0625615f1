/* SPDX-License-Identifier: Apache-2.0
 * YAML through libfyaml, node by node into JSON. The library's own JSON writer was tried first: it knows neither `~`, `True` nor `.5`.
 * Aliases and merge keys are followed here under a budget, because a few lines of aliases can stand for more than any memory holds. */
#include "base/yaml.h"

#include <libfyaml.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

enum { MAX_BYTES = 16 << 20, MAX_NODES = 1 << 18, MAX_DEPTH = 100 };

typedef struct reader {
    const char *name;
    int nodes, depth;
    fj_err *err;
} reader;

static fj_status no_memory(reader *r)
{
    return fj_fail(r->err, FJ_ERR_MEMORY, "%s: no memory to read YAML", r->name);
}

static fj_text scalar_text(struct fy_node *node)
{
    size_t len = 0;
    const char *text = fy_node_get_scalar(node, &len);
    return (fj_text){ text ? text : "", text ? len : 0 };
}

static int line_of(struct fy_node *node)
{
    struct fy_token *token = node && fy_node_is_scalar(node) ? fy_node_get_scalar_token(node) : NULL;
    const struct fy_mark *mark = token ? fy_token_start_mark(token) : NULL;
    return mark ? mark->line + 1 : 0;
}

static bool is_one_of(fj_text t, const char *const *names)
{
    for (; *names; names++)
        if (fj_text_is(t, *names))
            return true;
    return false;
}

/* 0x1f and 0o17 */
static bool based_integer(fj_text t, int64_t *out)
{
    char copy[24], *end;
    int base = fj_text_starts(t, "0x") ? 16 : fj_text_starts(t, "0o") ? 8 : 0;
    if (!base || t.len < 3 || t.len > 17)
        return false;
    memcpy(copy, t.data + 2, t.len - 2);
    copy[t.len - 2] = '\0';
    if (strspn(copy, base == 16 ? "0123456789abcdefABCDEF" : "01234567") != t.len - 2)
        return false;
    *out = (int64_t)strtoull(copy, &end, base); /* at most 15 digits: fits */
    return true;
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?   and numbers need a digit: "+.e" and "-" are words */
static bool real(fj_text t, double *out)
{
    return t.len && strchr("0123456789", t.data[t.len - 1] == '.' ? '0' : t.data[t.len - 1]) && fj_text_f64(t, out);
}

/* A plain scalar by the core schema. Source: YAML 1.2.2, section 10.3.2. */
static fj_json *plain(fj_text t)
{
    static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };
    static const char *const trues[] = { "true", "True", "TRUE", NULL };
    static const char *const falses[] = { "false", "False", "FALSE", NULL };
    static const char *const nans[] = { ".nan", ".NaN", ".NAN", NULL };
    static const char *const infinities[] = { ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", NULL };
    static const char *const minus_infinities[] = { "-.inf", "-.Inf", "-.INF", NULL };
    int64_t integer;
    double value;
    if (is_one_of(t, nulls) || is_one_of(t, nans))
        return fj_json_new_null();
    if (is_one_of(t, trues) || is_one_of(t, falses))
        return fj_json_new_bool(is_one_of(t, trues));
    if (fj_text_i64(t, &integer) || based_integer(t, &integer))
        return fj_json_new_int(integer);
    if (is_one_of(t, infinities) || is_one_of(t, minus_infinities))
        return fj_json_new_real(t.data[0] == '-' ? -1.7976931348623157e308 : 1.7976931348623157e308);
    if (real(t, &value))
        return fj_json_new_real(value);
    return fj_json_new_text(t.data, t.len);
}

static fj_json *scalar(struct fy_node *node)
{
    size_t tag_len = 0;
    const char *tag = fy_node_get_tag(node, &tag_len);
    fj_text t = scalar_text(node);
    bool is_text = tag && fj_text_is((fj_text){ tag, tag_len }, "tag:yaml.org,2002:str");
    return fy_node_get_style(node) == FYNS_PLAIN && !is_text ? plain(t) : fj_json_new_text(t.data, t.len);
}

static fj_status convert(reader *r, struct fy_node *node, fj_json **out);

static fj_status sequence(reader *r, struct fy_node *node, fj_json *out)
{
    void *iterator = NULL;
    struct fy_node *item = fy_node_sequence_iterate(node, &iterator);
    for (; item; item = fy_node_sequence_iterate(node, &iterator)) {
        fj_json *value;
        fj_status st = convert(r, item, &value);
        if (st)
            return st;
        if (!fj_json_add(out, value))
            return no_memory(r);
    }
    return FJ_OK;
}

static bool is_merge(struct fy_node *key)
{
    return fy_node_get_style(key) == FYNS_PLAIN && fj_text_is(scalar_text(key), "<<");
}

/* The members of `from` (a mapping or a list of mappings) that `out` has not, behind its own. */
static fj_status merge(reader *r, struct fy_node *key, struct fy_node *from, fj_json *out)
{
    fj_json *value;
    fj_status st = convert(r, from, &value);
    if (st)
        return st;
    bool is_list = fj_json_is_array(value), ok = true;
    size_t n = is_list ? fj_json_len(value) : 1;
    for (size_t i = 0; i < n && !st && ok; i++) {
        fj_json *one = is_list ? fj_json_at(value, i) : value;
        if (!fj_json_is_object(one))
            st = fj_fail(r->err, FJ_ERR_USAGE, "%s:%d: '<<' takes a mapping or a list of mappings", r->name,
                         line_of(key));
        for (void *m = fj_json_first(one); m && ok; m = fj_json_next(one, m))
            if (!fj_json_get(out, fj_json_key(m)))
                ok = fj_json_set(out, fj_json_key(m), fj_json_share(fj_json_member(m)));
    }
    fj_json_free(value);
    return st ? st : ok ? FJ_OK : no_memory(r);
}

static fj_status mapping(reader *r, struct fy_node *node, fj_json *out)
{
    void *iterator = NULL;
    fj_status st = FJ_OK;
    struct fy_node_pair *pair = fy_node_mapping_iterate(node, &iterator);
    for (; pair && !st; pair = fy_node_mapping_iterate(node, &iterator)) {
        struct fy_node *key = fy_node_pair_key(pair);
        fj_json *value;
        if (!key || !fy_node_is_scalar(key) || fy_node_is_alias(key) || !fy_node_get_scalar0(key))
            return fj_fail(r->err, FJ_ERR_USAGE, "%s: a key must be a word", r->name);
        if (is_merge(key))
            continue;
        st = convert(r, fy_node_pair_value(pair), &value);
        if (!st && !fj_json_set(out, fy_node_get_scalar0(key), value))
            st = no_memory(r);
    }
    iterator = NULL; /* what is merged in gives way to the mapping's own, wherever it stands */
    for (pair = fy_node_mapping_iterate(node, &iterator); pair && !st; pair = fy_node_mapping_iterate(node, &iterator))
        if (is_merge(fy_node_pair_key(pair)))
            st = merge(r, fy_node_pair_key(pair), fy_node_pair_value(pair), out);
    return st;
}

static fj_status convert(reader *r, struct fy_node *node, fj_json **out)
{
    fj_status st = FJ_OK;
    *out = NULL;
    if (++r->nodes > MAX_NODES || r->depth >= MAX_DEPTH)
        return fj_fail(r->err, FJ_ERR_USAGE, "%s: its aliases stand for too much (more than %d values or %d levels)",
                       r->name, MAX_NODES, MAX_DEPTH);
    r->depth++;
    if (!node) {
        *out = fj_json_new_null();
    } else if (fy_node_is_alias(node)) {
        struct fy_node *target = fy_node_resolve_alias(node);
        fj_text alias = scalar_text(node);
        st = target ? convert(r, target, out)
                    : fj_fail(r->err, FJ_ERR_USAGE, "%s:%d: no anchor '&%.*s'", r->name, line_of(node),
                              (int)FJ_MIN(alias.len, 64), alias.data);
    } else if (fy_node_is_scalar(node)) {
        *out = scalar(node);
    } else {
        bool is_mapping = fy_node_is_mapping(node);
        *out = is_mapping ? fj_json_new_object() : fj_json_new_array();
        if (*out)
            st = is_mapping ? mapping(r, node, *out) : sequence(r, node, *out);
    }
    r->depth--;
    if (!st && !*out)
        st = no_memory(r);
    if (st) {
        fj_json_free(*out);
        *out = NULL;
    }
    return st;
}

/* Lines of the top level's keys. */
static bool note_lines(struct fy_node *root, fj_json *lines)
{
    void *iterator = NULL;
    bool ok = true, is_mapping = root && fy_node_is_mapping(root);
    struct fy_node_pair *pair = is_mapping ? fy_node_mapping_iterate(root, &iterator) : NULL;
    for (; pair && ok; pair = fy_node_mapping_iterate(root, &iterator)) {
        struct fy_node *key = fy_node_pair_key(pair);
        if (line_of(key) && fy_node_get_scalar0(key))
            ok = fj_json_set(lines, fy_node_get_scalar0(key), fj_json_new_int(line_of(key)));
    }
    return ok;
}

/* What libfyaml found wrong: its first message. False when nothing. */
static bool is_broken(struct fy_diag *diag, const char *name, fj_err *err)
{
    void *iterator = NULL;
    struct fy_diag_error *e = fy_diag_errors_iterate(diag, &iterator);
    if (e)
        (void)fj_fail(err, FJ_ERR_USAGE, "%s:%d:%d: not YAML: %s", name, e->line, e->column, e->msg);
    return e != NULL;
}

/* The one document, NULL for none (an empty file). */
static fj_status read_root(reader *r, struct fy_node *root, fj_json **out, fj_json **lines)
{
    fj_status st = FJ_OK;
    if (root)
        st = convert(r, root, out);
    else
        *out = fj_json_new_object();
    if (st || !lines)
        return st || *out ? st : no_memory(r);
    *lines = fj_json_new_object();
    return *out && *lines && note_lines(root, *lines) ? FJ_OK : no_memory(r);
}

static fj_status read_document(struct fy_parser *parser, struct fy_diag *diag, reader *r, fj_json **out,
                               fj_json **lines)
{
    struct fy_document *doc = fy_parse_load_document(parser), *second = doc ? fy_parse_load_document(parser) : NULL;
    fj_status st;
    if (is_broken(diag, r->name, r->err))
        st = r->err->status;
    else if (second)
        st = fj_fail(r->err, FJ_ERR_USAGE, "%s: holds several documents ('---'), one is read", r->name);
    else
        st = read_root(r, doc ? fy_document_root(doc) : NULL, out, lines);
    if (second)
        fy_parse_document_destroy(parser, second);
    if (doc)
        fy_parse_document_destroy(parser, doc);
    return st;
}

fj_status fj_yaml_parse(const char *text, size_t len, const char *name, fj_json **out, fj_json **lines, fj_err *err)
{
    reader r = { .name = name, .err = err };
    fj_status st;
    struct fy_diag_cfg diag_cfg;
    struct fy_parser *parser = NULL;
    *out = NULL;
    if (lines)
        *lines = NULL;
    if (len > MAX_BYTES)
        return fj_fail(err, FJ_ERR_USAGE, "%s: %zu bytes, at most %d of YAML are read", name, len, MAX_BYTES);
    if (!fj_utf8_valid(text, len) || memchr(text, '\0', len))
        return fj_fail(err, FJ_ERR_USAGE, "%s: not YAML: not UTF-8 text", name);
    fy_diag_cfg_default(&diag_cfg);
    diag_cfg.fp = NULL;
    struct fy_diag *diag = fy_diag_create(&diag_cfg);
    if (diag) {
        fy_diag_set_collect_errors(diag, true);
        parser = fy_parser_create(&(struct fy_parse_cfg){ .flags = FYPCF_QUIET, .diag = diag });
    }
    if (!parser || (len && fy_parser_set_string(parser, text, len)))
        st = no_memory(&r);
    else
        st = len ? read_document(parser, diag, &r, out, lines) : read_root(&r, NULL, out, lines);
    if (st) {
        fj_json_free(*out);
        *out = NULL;
        if (lines) {
            fj_json_free(*lines);
            *lines = NULL;
        }
    }
    fy_parser_destroy(parser);
    fy_diag_destroy(diag);
    return st;
}
