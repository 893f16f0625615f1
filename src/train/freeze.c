/* SPDX-License-Identifier: Apache-2.0
 * See freeze.h. */
#include "train/freeze.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

enum { MAX_NAMES = 64 };

/* A model as this file sees it: names. */
typedef struct named {
    const fj_model *m;
    fj_arena *arena;
    const char **hf;                                   /* of each weight; NULL for what only GGUF has */
    const char *parts[MAX_NAMES], *outside[MAX_NAMES]; /* distinct: parts of a block, modules outside of blocks */
    size_t n_parts, n_outside;
} named;

/* Adds a name that is not in the list yet; what finds no room is left out. */
static void add_distinct(fj_arena *arena, const char *list[MAX_NAMES], size_t *n, const char *name, size_t len)
{
    for (size_t i = 0; i < *n; i++)
        if (strlen(list[i]) == len && !memcmp(list[i], name, len))
            return;
    const char *kept = *n < MAX_NAMES && len ? fj_arena_text(arena, name, len) : NULL;
    if (kept)
        list[(*n)++] = kept;
}

/* "model.layers.3.mlp.up_proj.weight" of layer 3: behind ".3."; NULL when the name has no such place. */
static const char *in_block(const char *name, int layer)
{
    char place[24];
    (void)snprintf(place, sizeof place, ".%d.", layer);
    const char *at = strstr(name, place);
    return at ? at + strlen(place) : NULL;
}

static void learn_name(named *n, int i)
{
    const fj_weight *w = &n->m->weights[i];
    const char *name = n->hf[i] = fj_model_hf_name(n->m, w);
    const char *at = name && w->layer >= 0 ? in_block(name, w->layer) : NULL;
    if (at)
        add_distinct(n->arena, n->parts, &n->n_parts, at, strcspn(at, "."));
    if (!name || w->layer >= 0)
        return;
    const char *end = strrchr(name, '.'); /* of "model.norm.weight": norm */
    const char *begin = end;
    while (begin && begin > name && begin[-1] != '.')
        begin--;
    if (end)
        add_distinct(n->arena, n->outside, &n->n_outside, begin, (size_t)(end - begin));
}

static fj_status read_names(const fj_model *m, named *n, fj_err *err)
{
    *n = (named){ .m = m, .arena = fj_arena_new() };
    n->hf = n->arena ? fj_arena_array(n->arena, (size_t)m->n_weights, sizeof *n->hf) : NULL;
    if (!n->hf)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for the names of the weights");
    for (int i = 0; i < m->n_weights; i++)
        learn_name(n, i);
    return FJ_OK;
}

static fj_status unknown(const char *key, const char *name, const char *const *list, size_t n, const char *or_else,
                         fj_err *err)
{
    fj_str known = { 0 };
    const char *nearest = fj_nearest(name, list, n);
    for (size_t i = 0; i < n; i++)
        fj_str_printf(&known, "%s%s", i ? ", " : "", list[i]);
    (void)fj_fail(err, FJ_ERR_USAGE, "%s: this model has no '%.60s'", key, name);
    (void)fj_hint(err, "%s%s%sthere are: %s%s", nearest ? "did you mean " : "", nearest ? nearest : "",
                  nearest ? "? " : "", known.data ? known.data : "none", or_else);
    fj_str_free(&known);
    return err->status;
}

static bool is_in(const char *name, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(name, list[i]))
            return true;
    return false;
}

static void mark(const named *n, const char *pattern, bool *learns)
{
    for (int i = 0; i < n->m->n_weights; i++)
        learns[i] |= n->hf[i] && strstr(n->hf[i], pattern);
}

static fj_status mark_part(const named *n, const char *part, int64_t layers, bool *learns, fj_err *err)
{
    int64_t all = n->m->hp.n_layers, first = layers > 0 ? all - layers : 0, end = layers > 0 ? all : -layers;
    bool is_all = !strcmp(part, "all");
    if (!is_all && !is_in(part, n->parts, n->n_parts))
        return unknown("freeze_trainable_modules", part, n->parts, n->n_parts, "; or all", err);
    for (int64_t i = first; i < end; i++) {
        const char *pattern = fj_arena_printf(n->arena, ".%" PRId64 ".%s", i, is_all ? "" : part);
        if (!pattern)
            return fj_fail(err, FJ_ERR_MEMORY, "no memory for the names of the weights");
        mark(n, pattern, learns);
    }
    return FJ_OK;
}

static fj_status mark_extra(const named *n, const char *module, bool *learns, fj_err *err)
{
    if (!is_in(module, n->outside, n->n_outside))
        return unknown("freeze_extra_modules", module, n->outside, n->n_outside, "", err);
    mark(n, module, learns);
    return FJ_OK;
}

/* The next name of a list with commas, without the spaces around it, in the arena; NULL at the end. */
static const char *next(fj_arena *arena, const char **list)
{
    *list += *list ? strspn(*list, ", ") : 0;
    size_t len = *list ? strcspn(*list, ",") : 0;
    const char *at = *list;
    if (!len)
        return NULL;
    *list += len;
    while (at[len - 1] == ' ')
        len--;
    return fj_arena_text(arena, at, len);
}

static fj_status choose(const named *n, const fj_freeze_settings *s, bool *learns, fj_err *err)
{
    fj_status st = FJ_OK;
    const char *name, *modules = s->modules, *extra = s->extra;
    bool any = false;
    memset(learns, 0, (size_t)n->m->n_weights * sizeof *learns);
    while (!st && (name = next(n->arena, &modules)) != NULL)
        st = mark_part(n, name, s->layers, learns, err);
    while (!st && (name = next(n->arena, &extra)) != NULL)
        st = mark_extra(n, name, learns, err);
    for (int i = 0; i < n->m->n_weights; i++)
        any |= learns[i];
    if (st || any)
        return st;
    (void)fj_fail(err, FJ_ERR_USAGE, "freeze_trainable_layers: %" PRId64 " with these modules leaves nothing to learn",
                  s->layers);
    return fj_hint(err, "freeze_trainable_layers: 2 with freeze_trainable_modules: all takes the last two blocks");
}

fj_status fj_freeze_choose(const fj_model *m, const fj_freeze_settings *s, bool *learns, fj_err *err)
{
    named n;
    int64_t has = m->hp.n_layers;
    if (s->layers > has || s->layers < -has) {
        (void)fj_fail(err, FJ_ERR_USAGE, "freeze_trainable_layers is %" PRId64 ", this model has %" PRId64 " layers",
                      s->layers, has);
        return fj_hint(err, "1 to %" PRId64 " takes the last ones, -1 to -%" PRId64 " the first", has, has);
    }
    fj_status st = read_names(m, &n, err);
    if (!st)
        st = choose(&n, s, learns, err);
    fj_arena_free(n.arena);
    return st;
}
