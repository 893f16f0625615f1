/* SPDX-License-Identifier: Apache-2.0
 * See windows.h. */
#include "tasks/windows.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"

enum { MOST_TEXT = 1 << 30, ROWS = 512 };

fj_status fj_windows_of_ids(const int32_t *ids, int64_t n, int32_t bos, int64_t n_ctx, int64_t most, fj_windows *out,
                            fj_err *err)
{
    *out = (fj_windows){ .n_ctx = FJ_MIN(n_ctx, n) };
    out->n = out->n_ctx > 0 ? n / out->n_ctx : 0;
    if (most > 0)
        out->n = FJ_MIN(out->n, most);
    out->ids = malloc((size_t)(out->n * out->n_ctx) * sizeof *out->ids + 1);
    if (!out->ids)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for %lld token ids", (long long)n);
    if (out->n)
        memcpy(out->ids, ids, (size_t)(out->n * out->n_ctx) * sizeof *out->ids);
    for (int64_t i = 0; bos >= 0 && i < out->n; i++)
        out->ids[i * out->n_ctx] = bos;
    return FJ_OK;
}

static fj_status read_files(const char *const *paths, size_t n, fj_str *text, fj_err *err)
{
    fj_status st = FJ_OK;
    for (size_t i = 0; i < n && !st; i++) {
        fj_str one = { 0 };
        st = fj_file_read(paths[i], MOST_TEXT, &one, err);
        if (i)
            fj_str_add_char(text, '\n');
        fj_str_add(text, one.data, one.len);
        fj_str_free(&one);
    }
    return !st && text->failed ? fj_fail(err, FJ_ERR_MEMORY, "no memory for the text") : st;
}

fj_status fj_windows_of_text(const fj_bundle *bundle, fj_text text, const char *name, int64_t n_ctx, int64_t most,
                             int64_t least, fj_windows *out, fj_err *err)
{
    const fj_tokenizer *t = bundle->tokenizer;
    fj_encoder *encoder = NULL;
    fj_encoding e = { 0 };
    *out = (fj_windows){ 0 };
    if (!t)
        return fj_fail(err, FJ_ERR_USAGE, "%s has no tokenizer: a text cannot be read", bundle->path);
    fj_status st = fj_encoder_new(t, &encoder, err);
    if (!st && text.len) {
        st = fj_encode(encoder, text.data, text.len, FJ_ENCODE_SPECIAL | FJ_ENCODE_PLAIN, &e, err);
        if (st)
            (void)fj_prefix(err, "%s", name);
    }
    if (!st && (int64_t)e.n < least)
        st = fj_fail(err, FJ_ERR_DATA, "%s: %zu tokens, at least %lld are needed", name, e.n, (long long)least);
    if (!st)
        st = fj_windows_of_ids(e.ids, (int64_t)e.n, fj_tokenizer_adds_bos(t) ? (int32_t)fj_tokenizer_bos(t) : -1, n_ctx,
                               most, out, err);
    fj_encoding_free(&e);
    fj_encoder_free(encoder);
    return st;
}

fj_status fj_windows_of_files(const fj_bundle *bundle, const char *const *paths, size_t n_paths, int64_t n_ctx,
                              int64_t most, int64_t least, fj_windows *out, fj_err *err)
{
    fj_str text = { 0 };
    *out = (fj_windows){ 0 };
    fj_status st = read_files(paths, n_paths, &text, err);
    if (!st)
        st = fj_windows_of_text(bundle, (fj_text){ text.data, text.len }, paths[0], n_ctx, most, least, out, err);
    fj_str_free(&text);
    return st;
}

static void take_one(fj_windows *to, const fj_windows *from, int64_t i)
{
    memcpy(to->ids + to->n++ * to->n_ctx, from->ids + i * from->n_ctx, (size_t)from->n_ctx * sizeof *to->ids);
}

fj_status fj_windows_deal(const fj_windows *from, size_t n, fj_windows *first, fj_windows *second, fj_err *err)
{
    int64_t total = 0, n_ctx = from[0].n_ctx;
    for (size_t i = 0; i < n; i++)
        total += from[i].n;
    *first = (fj_windows){ .n_ctx = n_ctx, .ids = malloc((size_t)(total * n_ctx) * sizeof *first->ids + 1) };
    *second = (fj_windows){ .n_ctx = n_ctx, .ids = malloc((size_t)(total * n_ctx) * sizeof *second->ids + 1) };
    if (!first->ids || !second->ids)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for %lld windows", (long long)total);
    for (size_t i = 0; i < n; i++)
        for (int64_t k = 0; from[i].n_ctx == n_ctx && k < from[i].n; k++)
            take_one(k % 2 ? second : first, &from[i], k);
    if (!second->n && first->n)
        take_one(second, first, 0);
    return FJ_OK;
}

void fj_windows_free(fj_windows *w)
{
    free(w->ids);
    *w = (fj_windows){ 0 };
}

int64_t fj_windows_at_once(const fj_windows *w)
{
    return FJ_MAX(1, FJ_MIN(w->n, ROWS / FJ_MAX(1, w->n_ctx)));
}
