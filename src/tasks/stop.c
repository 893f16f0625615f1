/* SPDX-License-Identifier: Apache-2.0
 * See stop.h. */
#include "tasks/stop.h"

#include <string.h>

/* Where text is found in held, or NULL. */
static const char *find(const fj_str *held, const char *text, size_t len)
{
    for (size_t i = 0; i + len <= held->len; i++)
        if (!memcmp(held->data + i, text, len))
            return held->data + i;
    return NULL;
}

/* Bytes at the end of held that begin the text. */
static size_t overlap(const fj_str *held, const char *text, size_t len)
{
    for (size_t n = FJ_MIN(held->len, len - 1); n > 0; n--)
        if (!memcmp(held->data + held->len - n, text, n))
            return n;
    return 0;
}

static void release(fj_stop *s, size_t n, fj_str *out)
{
    if (n == 0)
        return;
    fj_str_add(out, s->held.data, n);
    memmove(s->held.data, s->held.data + n, s->held.len - n + 1);
    s->held.len -= n;
}

bool fj_stop_add(fj_stop *s, const char *piece, size_t len, fj_str *out)
{
    const char *first = NULL;
    size_t keep = 0;
    fj_str_add(&s->held, piece, len);
    if (s->held.failed || s->held.len == 0)
        return false;
    for (size_t i = 0; s->texts && i < s->texts->n; i++) {
        const char *text = s->texts->items[i];
        size_t n = strlen(text);
        if (n == 0)
            continue;
        const char *at = find(&s->held, text, n);
        if (at && (!first || at < first))
            first = at;
        keep = FJ_MAX(keep, overlap(&s->held, text, n));
    }
    release(s, first ? (size_t)(first - s->held.data) : s->held.len - keep, out);
    if (first)
        fj_str_clear(&s->held);
    return first != NULL;
}

void fj_stop_flush(fj_stop *s, fj_str *out)
{
    release(s, s->held.len, out);
}

void fj_stop_free(fj_stop *s)
{
    fj_str_free(&s->held);
}

bool fj_is_end(const int32_t *ids, int n, int32_t id)
{
    for (int i = 0; i < n; i++)
        if (ids[i] == id)
            return true;
    return false;
}

static int add_id(int32_t *ids, int n, int64_t id)
{
    if (id < 0 || id > INT32_MAX || n >= FJ_MOST_ENDS || fj_is_end(ids, n, (int32_t)id))
        return n;
    ids[n] = (int32_t)id;
    return n + 1;
}

static int add_ids(int32_t *ids, int n, const fj_json *value)
{
    if (!fj_json_is_array(value))
        return add_id(ids, n, fj_json_int(value, -1));
    for (size_t i = 0; i < fj_json_len(value); i++)
        n = add_id(ids, n, fj_json_int(fj_json_at(value, i), -1));
    return n;
}

int fj_end_ids(const fj_bundle *b, int32_t out[FJ_MOST_ENDS])
{
    int n = add_ids(out, 0, fj_json_get(b->generation, "eos_token_id"));
    n = add_ids(out, n, fj_json_get(b->config, "eos_token_id"));
    if (b->tokenizer) {
        n = add_id(out, n, fj_tokenizer_eos(b->tokenizer));
        n = add_id(out, n, fj_tokenizer_eot(b->tokenizer));
    }
    return n;
}
