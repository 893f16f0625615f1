/* SPDX-License-Identifier: Apache-2.0
 * YAML through libyaml, node by node into JSON. libfyaml was tried first: its JSON writer knows neither `~`, `True` nor `.5`, and
 * fuzzing found reads past the end and a crash in its parser (0.7.12) within seconds.
 * Aliases and merge keys are followed here under a budget, because a few lines of aliases can stand for more than any memory holds. */
#include "base/yaml.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/utf8.h"

enum { MAX_BYTES = 16 << 20, MAX_NODES = 1 << 18, MAX_DEPTH = 100 };

typedef struct reader {
    const char *name;
    yaml_document_t *doc;
    int nodes, depth;
    fj_err *err;
} reader;

static fj_status no_memory(reader *r)
{
    return fj_fail(r->err, FJ_ERR_MEMORY, "%s: no memory to read YAML", r->name);
}

static fj_text scalar_text(const yaml_node_t *node)
{
    return (fj_text){ (const char *)node->data.scalar.value, node->data.scalar.length };
}

static int line_of(const yaml_node_t *node)
{
    return (int)node->start_mark.line + 1;
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

static fj_json *scalar(const yaml_node_t *node)
{
    fj_text t = scalar_text(node);
    return node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? plain(t) : fj_json_new_text(t.data, t.len);
}

static fj_status convert(reader *r, int index, fj_json **out);

static fj_status sequence(reader *r, const yaml_node_t *node, fj_json *out)
{
    for (const int *item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++) {
        fj_json *value;
        fj_status st = convert(r, *item, &value);
        if (st)
            return st;
        if (!fj_json_add(out, value))
            return no_memory(r);
    }
    return FJ_OK;
}

static bool is_merge(const yaml_node_t *key)
{
    return key->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && fj_text_is(scalar_text(key), "<<");
}

/* The members of `from` (a mapping or a list of mappings) that `out` has not, behind its own. */
static fj_status merge(reader *r, const yaml_node_t *key, int from, fj_json *out)
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

/* The key as text that JSON can have. */
static fj_status check_key(reader *r, const yaml_node_t *key, const fj_json *out)
{
    if (key->type != YAML_SCALAR_NODE || memchr(key->data.scalar.value, '\0', key->data.scalar.length))
        return fj_fail(r->err, FJ_ERR_USAGE, "%s:%d: a key must be a word", r->name, line_of(key));
    if (fj_json_get(out, scalar_text(key).data))
        return fj_fail(r->err, FJ_ERR_USAGE, "%s:%d: the key '%.64s' is there twice", r->name, line_of(key),
                       scalar_text(key).data);
    return FJ_OK;
}

static fj_status mapping(reader *r, const yaml_node_t *node, fj_json *out)
{
    const yaml_node_pair_t *first = node->data.mapping.pairs.start, *end = node->data.mapping.pairs.top;
    fj_status st = FJ_OK;
    for (const yaml_node_pair_t *p = first; p < end && !st; p++) {
        const yaml_node_t *key = yaml_document_get_node(r->doc, p->key);
        fj_json *value;
        st = check_key(r, key, out);
        if (st || is_merge(key))
            continue;
        st = convert(r, p->value, &value);
        if (!st && !fj_json_set(out, scalar_text(key).data, value))
            st = no_memory(r);
    }
    /* what is merged in gives way to the mapping's own, wherever it stands */
    for (const yaml_node_pair_t *p = first; p < end && !st; p++) {
        const yaml_node_t *key = yaml_document_get_node(r->doc, p->key);
        if (is_merge(key))
            st = merge(r, key, p->value, out);
    }
    return st;
}

static fj_status convert(reader *r, int index, fj_json **out)
{
    const yaml_node_t *node = yaml_document_get_node(r->doc, index);
    fj_status st = FJ_OK;
    *out = NULL;
    if (++r->nodes > MAX_NODES || r->depth >= MAX_DEPTH)
        return fj_fail(r->err, FJ_ERR_USAGE,
                       "%s: too much, or aliases that stand for too much (over %d values or %d levels)", r->name,
                       MAX_NODES, MAX_DEPTH);
    r->depth++;
    if (node->type == YAML_MAPPING_NODE) {
        *out = fj_json_new_object();
        st = *out ? mapping(r, node, *out) : no_memory(r);
    } else if (node->type == YAML_SEQUENCE_NODE) {
        *out = fj_json_new_array();
        st = *out ? sequence(r, node, *out) : no_memory(r);
    } else {
        *out = scalar(node);
        st = *out ? FJ_OK : no_memory(r);
    }
    r->depth--;
    if (st) {
        fj_json_free(*out);
        *out = NULL;
    }
    return st;
}

/* Lines of the top level's keys, which were checked. */
static bool note_lines(reader *r, const yaml_node_t *root, fj_json *lines)
{
    bool ok = true, is_mapping = root && root->type == YAML_MAPPING_NODE;
    const yaml_node_pair_t *end = is_mapping ? root->data.mapping.pairs.top : NULL;
    for (const yaml_node_pair_t *p = is_mapping ? root->data.mapping.pairs.start : NULL; p < end && ok; p++) {
        const yaml_node_t *key = yaml_document_get_node(r->doc, p->key);
        ok = fj_json_set(lines, scalar_text(key).data, fj_json_new_int(line_of(key)));
    }
    return ok;
}

static fj_status broken(const yaml_parser_t *parser, reader *r)
{
    if (parser->error == YAML_MEMORY_ERROR)
        return no_memory(r);
    return fj_fail(r->err, FJ_ERR_USAGE, "%s:%zu:%zu: not YAML: %s", r->name, parser->problem_mark.line + 1,
                   parser->problem_mark.column + 1, parser->problem ? parser->problem : "unreadable");
}

/* An empty file is an empty mapping. */
static fj_status read_root(reader *r, fj_json **out, fj_json **lines)
{
    const yaml_node_t *root = yaml_document_get_root_node(r->doc);
    fj_status st = FJ_OK;
    if (root)
        st = convert(r, 1, out);
    else
        *out = fj_json_new_object();
    if (!st && lines)
        *lines = fj_json_new_object();
    if (!st && (!*out || (lines && (!*lines || !note_lines(r, root, *lines)))))
        st = no_memory(r);
    return st;
}

/* Whether another document follows, or something that is none. */
static fj_status check_end(yaml_parser_t *parser, reader *r)
{
    yaml_document_t more;
    if (!yaml_parser_load(parser, &more))
        return broken(parser, r);
    bool is_more = yaml_document_get_root_node(&more) != NULL;
    yaml_document_delete(&more);
    return is_more ? fj_fail(r->err, FJ_ERR_USAGE, "%s: holds several documents ('---'), one is read", r->name) : FJ_OK;
}

fj_status fj_yaml_parse(const char *text, size_t len, const char *name, fj_json **out, fj_json **lines, fj_err *err)
{
    yaml_parser_t parser;
    yaml_document_t doc;
    reader r = { .name = name, .doc = &doc, .err = err };
    *out = NULL;
    if (lines)
        *lines = NULL;
    if (len > MAX_BYTES)
        return fj_fail(err, FJ_ERR_USAGE, "%s: %zu bytes, at most %d of YAML are read", name, len, MAX_BYTES);
    if (!fj_utf8_valid(text, len))
        return fj_fail(err, FJ_ERR_USAGE, "%s: not YAML: not UTF-8 text", name);
    if (!yaml_parser_initialize(&parser))
        return no_memory(&r);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)(len ? text : ""), len);
    fj_status st;
    if (yaml_parser_load(&parser, &doc)) {
        st = read_root(&r, out, lines);
        if (!st && yaml_document_get_root_node(&doc))
            st = check_end(&parser, &r);
        yaml_document_delete(&doc);
    } else {
        st = broken(&parser, &r);
    }
    if (st) {
        fj_json_free(*out);
        *out = NULL;
        if (lines) {
            fj_json_free(*lines);
            *lines = NULL;
        }
    }
    yaml_parser_delete(&parser);
    return st;
}
