/* SPDX-License-Identifier: Apache-2.0
 * Which experts rows take, where a user says so: see fj_model_choose_experts. */
#include <stdlib.h>
#include <string.h>

#include "models/model.h"

static bool has_router(const fj_model *m, int layer)
{
    return fj_model_weight(m, &fj_role_ffn_gate_inp, layer, false) ||
           fj_model_weight(m, &fj_role_attn_gate_inp, layer, false);
}

const uint8_t *fj_model_allowed(const fj_model *m, int layer)
{
    return m->allowed ? m->allowed + layer * m->hp.n_experts : NULL;
}

int64_t fj_model_experts_used(const fj_model *m, int layer)
{
    const uint8_t *allowed = fj_model_allowed(m, layer);
    int64_t n = 0;
    for (int64_t e = 0; e < m->hp.n_experts; e++)
        n += !allowed || allowed[e];
    return FJ_MIN(n, m->hp.n_experts_used);
}

static fj_status bad_entry(fj_text entry, fj_err *err)
{
    (void)fj_fail(err, FJ_ERR_USAGE, "--experts: '%.*s' is not LAYERS:EXPERTS", (int)FJ_MIN(entry.len, (size_t)60),
                  entry.data);
    return fj_hint(err, "3:1,5 lets layer 3 take experts 1 and 5 alone, all:-2 takes expert 2 from every layer");
}

/* The next part of a list up to the mark; the list goes on behind it. */
static fj_text next(fj_text *list, char mark)
{
    const char *at = memchr(list->data, mark, list->len);
    fj_text part = { list->data, at ? (size_t)(at - list->data) : list->len };
    size_t used = part.len + (at != NULL);
    list->data += used;
    list->len -= used;
    while (part.len && *part.data == ' ')
        part.data++, part.len--;
    while (part.len && part.data[part.len - 1] == ' ')
        part.len--;
    return part;
}

/* "3" or "3-6". False: neither. */
static bool read_range(fj_text text, int64_t *first, int64_t *last)
{
    fj_text low = next(&text, '-');
    bool is_range = text.data != low.data + low.len;
    if (!fj_text_i64(low, first) || *first < 0)
        return false;
    *last = *first;
    return !is_range || (fj_text_i64(text, last) && *last >= *first);
}

static fj_status read_layers(const fj_model *m, fj_text list, fj_text entry, bool *wanted, fj_err *err)
{
    int64_t n = m->hp.n_layers, first, last;
    if (fj_text_is(list, "all")) {
        for (int layer = 0; layer < n; layer++)
            wanted[layer] = has_router(m, layer);
        return FJ_OK;
    }
    do {
        if (!read_range(next(&list, ','), &first, &last))
            return bad_entry(entry, err);
        if (last >= n)
            return fj_fail(err, FJ_ERR_USAGE, "--experts: layer %lld, the model has %lld layers, 0 to %lld",
                           (long long)last, (long long)n, (long long)n - 1);
        for (int64_t layer = first; layer <= last; layer++) {
            if (!has_router(m, (int)layer))
                return fj_fail(err, FJ_ERR_USAGE, "--experts: layer %lld of the model has no experts",
                               (long long)layer);
            wanted[layer] = true;
        }
    } while (list.len);
    return FJ_OK;
}

/* Those named alone, or all but those named with a minus. */
static fj_status read_experts(const fj_model *m, fj_text list, fj_text entry, uint8_t *allowed, fj_err *err)
{
    int64_t n = m->hp.n_experts, first, last;
    bool is_taken_away = list.len && *list.data == '-';
    memset(allowed, is_taken_away, (size_t)n);
    do {
        fj_text part = next(&list, ',');
        bool has_minus = part.len && *part.data == '-';
        part.data += has_minus;
        part.len -= has_minus;
        if (has_minus != is_taken_away || !read_range(part, &first, &last))
            return bad_entry(entry, err);
        if (last >= n)
            return fj_fail(err, FJ_ERR_USAGE, "--experts: expert %lld, the model has %lld experts, 0 to %lld",
                           (long long)last, (long long)n, (long long)n - 1);
        memset(allowed + first, !is_taken_away, (size_t)(last - first + 1));
    } while (list.len);
    for (int64_t e = 0; e < n; e++)
        if (allowed[e])
            return FJ_OK;
    return fj_fail(err, FJ_ERR_USAGE, "--experts: '%.*s' leaves no expert", (int)FJ_MIN(entry.len, (size_t)60),
                   entry.data);
}

static fj_status read_entry(const fj_model *m, fj_text entry, uint8_t *table, fj_err *err)
{
    size_t n = (size_t)m->hp.n_experts;
    fj_text experts = entry, layers = next(&experts, ':');
    bool *wanted = calloc((size_t)m->hp.n_layers, sizeof *wanted);
    uint8_t *allowed = calloc(n, 1);
    fj_status st = wanted && allowed ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for a list of experts");
    while (experts.len && *experts.data == ' ')
        experts.data++, experts.len--;
    if (!st)
        st = layers.len && experts.len ? read_layers(m, layers, entry, wanted, err) : bad_entry(entry, err);
    if (!st)
        st = read_experts(m, experts, entry, allowed, err);
    for (int64_t layer = 0; !st && layer < m->hp.n_layers; layer++)
        if (wanted[layer])
            memcpy(table + (size_t)layer * n, allowed, n);
    free(wanted);
    free(allowed);
    return st;
}

fj_status fj_model_choose_experts(fj_model *m, int64_t n_used, const char *spec, fj_err *err)
{
    fj_text list = spec ? fj_text_of(spec) : (fj_text){ 0 };
    int64_t n = m->hp.n_experts;
    if (!n_used && !spec)
        return FJ_OK;
    if (!n)
        return fj_fail(err, FJ_ERR_USAGE, "%s: this model has no experts", n_used ? "--n-experts-used" : "--experts");
    if (n_used < 0 || n_used > n)
        return fj_fail(err, FJ_ERR_USAGE, "--n-experts-used: %lld, the model has %lld experts", (long long)n_used,
                       (long long)n);
    if (n_used)
        m->hp.n_experts_used = n_used;
    if (!spec)
        return FJ_OK;
    size_t bytes = (size_t)(m->hp.n_layers * n);
    uint8_t *table = fj_arena_take(m->arena, bytes);
    if (!table)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a table of %zu experts", bytes);
    memset(table, 1, bytes);
    do {
        fj_status st = read_entry(m, next(&list, ';'), table, err);
        if (st)
            return st;
    } while (list.len);
    m->allowed = table;
    return FJ_OK;
}
