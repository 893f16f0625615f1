/* SPDX-License-Identifier: Apache-2.0
 * See passage.h. */
#include "tokenizers/passage.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

void fj_cuts_add(fj_cuts *c, size_t start, size_t end, int32_t id)
{
    if (start == end || c->failed)
        return;
    if (c->n == c->cap) {
        size_t cap = c->cap ? 2 * c->cap : 256;
        fj_cut *items = realloc(c->items, cap * sizeof *items);
        if (!items) {
            c->failed = true;
            return;
        }
        c->items = items;
        c->cap = cap;
    }
    c->items[c->n++] = (fj_cut){ (uint32_t)start, (uint32_t)end, id };
}

void fj_passage_free(fj_passage *p)
{
    free(p->own);
    free(p->from);
    free(p->to);
    free(p->cuts.items);
    *p = (fj_passage){ 0 };
}

static bool need_origins(fj_passage *p, size_t n)
{
    if (n <= p->origin_cap)
        return true;
    size_t cap = FJ_MAX(n, FJ_MAX((size_t)256, 2 * p->origin_cap));
    uint32_t *from = realloc(p->from, cap * sizeof *from);
    if (from)
        p->from = from;
    uint32_t *to = from ? realloc(p->to, cap * sizeof *to) : NULL;
    if (to)
        p->to = to;
    if (!from || !to) {
        p->failed = true;
        return false;
    }
    p->origin_cap = cap;
    return true;
}

static bool need(fj_passage *p, size_t more)
{
    if (p->failed || more > FJ_MAX_PASSAGE - p->len) {
        p->failed = true;
        return false;
    }
    size_t n = p->len + more;
    if (n > p->cap) {
        size_t cap = FJ_MAX(n, FJ_MAX((size_t)256, 2 * p->cap));
        char *own = realloc(p->own, cap);
        if (!own) {
            p->failed = true;
            return false;
        }
        p->own = own;
        p->cap = cap;
        p->text = own;
    }
    return !p->has_origins || need_origins(p, n);
}

void fj_passage_view(fj_passage *p, fj_text text, bool with_origins)
{
    p->text = text.data;
    p->len = text.len;
    p->cuts.n = 0;
    p->has_origins = with_origins;
    p->failed = text.len > FJ_MAX_PASSAGE;
    if (p->failed)
        return;
    fj_cuts_add(&p->cuts, 0, text.len, -1);
    if (!with_origins || !need_origins(p, text.len))
        return;
    uint32_t character = 0;
    for (size_t i = 0; i < text.len; i++) {
        bool continues = ((unsigned char)text.data[i] & 0xc0) == 0x80;
        character += !continues;
        p->from[i] = character - 1;
        p->to[i] = character;
    }
}

void fj_passage_clear(fj_passage *p, bool with_origins)
{
    p->text = p->own;
    p->len = 0;
    p->cuts.n = 0;
    p->has_origins = with_origins;
    p->failed = false;
}

void fj_passage_put(fj_passage *p, const void *bytes, size_t n, uint32_t from, uint32_t to)
{
    if (!n || !need(p, n))
        return;
    memcpy(p->own + p->len, bytes, n);
    for (size_t i = 0; p->has_origins && i < n; i++) {
        p->from[p->len + i] = from;
        p->to[p->len + i] = to;
    }
    p->len += n;
}

void fj_passage_copy(fj_passage *p, const fj_passage *src, size_t start, size_t end)
{
    size_t n = end - start;
    if (!n || !need(p, n))
        return;
    memcpy(p->own + p->len, src->text + start, n);
    if (p->has_origins) {
        memcpy(p->from + p->len, src->from + start, n * sizeof *p->from);
        memcpy(p->to + p->len, src->to + start, n * sizeof *p->to);
    }
    p->len += n;
}

void fj_passage_replace(fj_passage *p, const fj_passage *src, size_t at, const void *bytes, size_t n)
{
    bool has = p->has_origins;
    fj_passage_put(p, bytes, n, has ? src->from[at] : 0, has ? src->to[at] : 0);
}
