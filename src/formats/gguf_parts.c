/* SPDX-License-Identifier: Apache-2.0
 * A model that was cut into several GGUF files, NAME-00001-of-00003.gguf and so on: the first has the metadata, each has a list of
 * tensors of its own, and split.no, split.count and split.tensors.count say what belongs together. Source: llama.cpp, gguf-split and
 * llama_model_loader; gguf-py, gguf_writer.py. */
#include <stdlib.h>
#include <string.h>

#include "formats/gguf_internal.h"

#define TAIL "-00001-of-00003.gguf"
#define SAME "all parts of one model, called NAME" TAIL ", lie in one folder; get them again"

/* ---- names ----------------------------------------------------------------------------------------------------------------------- */

/* The number in the 5 digits at `at`, or -1. */
static int number_at(const char *at)
{
    int n = 0;
    for (int i = 0; i < 5; i++) {
        if (at[i] < '0' || at[i] > '9')
            return -1;
        n = 10 * n + (at[i] - '0');
    }
    return n;
}

int fj_gguf_parts(const char *name, int *part)
{
    size_t n = strlen(name), tail = sizeof TAIL - 1;
    const char *at = name + (n > tail ? n - tail : 0);
    *part = 1;
    if (n <= tail || at[0] != '-' || strncmp(at + 6, "-of-", 4) != 0 || strcmp(at + 15, ".gguf") != 0)
        return 1;
    int number = number_at(at + 1), all = number_at(at + 10);
    if (number < 1 || all < 2 || number > all)
        return 1;
    *part = number;
    return all;
}

char *fj_gguf_part_name(const char *name, int part)
{
    fj_str out = { 0 };
    int number, n = fj_gguf_parts(name, &number);
    size_t len = strlen(name);
    if (n == 1)
        return strdup(name);
    fj_str_printf(&out, "%.*s-%05d-of-%05d.gguf", (int)(len - (sizeof TAIL - 1)), name, part, n);
    if (out.failed)
        fj_str_free(&out);
    return out.data;
}

/* ---- what belongs together ------------------------------------------------------------------------------------------------------- */

static int64_t says(const fj_gguf *x, const char *key, int64_t fallback)
{
    return fj_gguf_int(fj_gguf_find(&x->source, key), fallback);
}

int64_t fj_gguf_says_parts(const fj_gguf *x)
{
    return FJ_MAX(1, says(x, "split.count", 1)); /* 0 in what gguf-split joined */
}

/* What llama.cpp's programs and gguf-py write into the first part alone may stand in the others too, but not say otherwise. */
static bool is_of_another(const fj_gguf *first, const fj_gguf *x)
{
    static const char *const keys[] = { "general.architecture", "general.name" };
    int64_t n = says(first, "split.tensors.count", -1);
    for (size_t i = 0; i < FJ_LEN(keys); i++) {
        const fj_gguf_value *a = fj_gguf_find(&first->source, keys[i]), *b = fj_gguf_find(&x->source, keys[i]);
        if (a && b && (a->bytes.len != b->bytes.len || memcmp(a->bytes.data, b->bytes.data, a->bytes.len) != 0))
            return true;
    }
    return says(x, "split.tensors.count", n) != n;
}

static fj_status check(fj_gguf *const *parts, size_t n, size_t *n_tensors, fj_err *err)
{
    fj_status st = FJ_OK;
    *n_tensors = 0;
    for (size_t i = 0; !st && i < n; i++) {
        const fj_gguf *x = parts[i];
        if (fj_gguf_says_parts(x) != (int64_t)n || says(x, "split.no", -1) != (int64_t)i)
            st = fj_fail(err, FJ_ERR_FORMAT, "%s: given as part %zu of %zu of a model, it says that it is %lld of %lld",
                         x->source.path, i + 1, n, (long long)says(x, "split.no", -1) + 1,
                         (long long)fj_gguf_says_parts(x));
        else if (is_of_another(parts[0], x))
            st = fj_fail(err, FJ_ERR_FORMAT, "%s: part of another model than %s", x->source.path,
                         parts[0]->source.path);
        *n_tensors += x->index.n;
    }
    int64_t wanted = says(parts[0], "split.tensors.count", (int64_t)*n_tensors);
    if (!st && wanted != (int64_t)*n_tensors)
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: %zu tensors in its %zu parts, it says %lld", parts[0]->source.path,
                     *n_tensors, n, (long long)wanted);
    if (!st && *n_tensors > FJ_GGUF_MAX_TENSORS)
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: %zu tensors, at most %d are read", parts[0]->source.path, *n_tensors,
                     FJ_GGUF_MAX_TENSORS);
    return st ? fj_hint(err, SAME) : FJ_OK;
}

fj_status fj_gguf_join(fj_gguf **parts, size_t n, fj_err *err)
{
    fj_gguf *first = parts[0];
    fj_index all;
    size_t n_tensors;
    if (n == 1 && fj_gguf_says_parts(first) == 1)
        return FJ_OK;
    fj_status st = check(parts, n, &n_tensors, err);
    if (st)
        return st;
    fj_gguf **rest = fj_arena_array(first->arena, n, sizeof *rest);
    if (!rest || !fj_index_init(&all, first->arena, n_tensors))
        return fj_fail(err, FJ_ERR_MEMORY, "%s: no memory for a list of %zu tensors", first->source.path, n_tensors);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < parts[i]->index.n; k++) {
            if (fj_index_add(&all, &parts[i]->index.tensors[k]))
                continue;
            (void)fj_fail(err, FJ_ERR_FORMAT, "%s: '%.100s' is there twice, also in a part before",
                          parts[i]->source.path, parts[i]->index.tensors[k].name);
            return fj_hint(err, SAME);
        }
    memcpy(rest, parts + 1, (n - 1) * sizeof *rest);
    first->rest = rest;
    first->n_rest = n - 1;
    first->index = all;
    return FJ_OK;
}
