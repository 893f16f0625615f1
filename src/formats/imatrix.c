/* SPDX-License-Identifier: Apache-2.0
 * See imatrix.h.
 *   GGUF   general.type "imatrix", imatrix.datasets, imatrix.chunk_count, imatrix.chunk_size; for each weight NAME the tensors
 *          NAME.in_sum2 (experts, columns) and NAME.counts (experts, 1), f32
 *   older  i32 entries | entries | i32 chunks | i32 length, text: name of the data; the last two may be missing
 *          entry: i32 length, name | i32 calls | i32 values | f32 values: mean squares, times calls */
#include "formats/imatrix.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "formats/formats.h"

enum { LEAST_ENTRY = 3 * 4 + 1 + 4 }; /* bytes of an entry of the older form: a name of one letter, one value */

static const char SUMS[] = ".in_sum2", COUNTS[] = ".counts";

fj_imatrix *fj_imatrix_new(size_t cap)
{
    fj_arena *arena = fj_arena_new();
    fj_imatrix *m = arena ? fj_arena_take(arena, sizeof *m) : NULL;
    if (m) {
        m->arena = arena;
        m->items = fj_arena_array(arena, cap, sizeof *m->items);
    }
    if (!m || !m->items || !fj_index_init(&m->names, arena, cap)) {
        fj_arena_free(arena);
        return NULL;
    }
    return m;
}

void fj_imatrix_free(fj_imatrix *m)
{
    if (m)
        fj_arena_free(m->arena);
}

fj_importance *fj_imatrix_add(fj_imatrix *m, const char *name, int64_t n_values, int64_t n_counts)
{
    fj_importance *item = &m->items[m->names.n];
    *item = (fj_importance){ .name = fj_arena_text(m->arena, name, strlen(name)),
                             .n_values = n_values,
                             .n_counts = n_counts,
                             .sums = fj_arena_array(m->arena, (size_t)n_values, sizeof(float)),
                             .counts = fj_arena_array(m->arena, (size_t)n_counts, sizeof(float)) };
    bool ok = item->name && item->sums && item->counts && fj_index_add(&m->names, &(fj_tensor){ .name = item->name });
    return ok ? item : NULL;
}

const fj_importance *fj_imatrix_find(const fj_imatrix *m, const char *name)
{
    const fj_tensor *t = fj_index_find(&m->names, name);
    return t ? &m->items[t - m->names.tensors] : NULL;
}

void fj_importance_means(const fj_importance *i, int64_t e, int64_t n_cols, float *out)
{
    float count = i->counts[i->n_counts == 1 ? 0 : e];
    for (int64_t c = 0; c < n_cols; c++)
        out[c] = count > 0 ? i->sums[e * n_cols + c] / count : 1;
}

/* ---- reading -------------------------------------------------------------------------------------------------------------------------- */

static fj_status check_values(const char *path, const fj_importance *item, fj_err *err)
{
    bool ok = true;
    for (int64_t i = 0; i < item->n_values; i++)
        ok = ok && item->sums[i] >= 0 && isfinite(item->sums[i]);
    for (int64_t i = 0; i < item->n_counts; i++)
        ok = ok && item->counts[i] >= 0 && isfinite(item->counts[i]);
    return ok ? FJ_OK
              : fj_fail(err, FJ_ERR_FORMAT, "%s: '%.100s' has values that are no sums of squares", path, item->name);
}

static fj_status no_memory(const char *path, fj_err *err)
{
    return fj_fail(err, FJ_ERR_MEMORY, "%s: no memory for an importance matrix", path);
}

/* The older form. */
static fj_status read_entry(fj_imatrix *m, fj_cursor *c, const char *path, size_t number, fj_err *err)
{
    fj_text name = fj_cursor_take(c, fj_cursor_u32(c));
    float calls = (float)(int32_t)fj_cursor_u32(c);
    uint32_t n = fj_cursor_u32(c);
    fj_text values = fj_cursor_take(c, (uint64_t)n * sizeof(float));
    if (c->bad || !n || !name.len || memchr(name.data, 0, name.len))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: entry %zu of an importance matrix is broken", path, number + 1);
    char *text = fj_arena_text(m->arena, name.data, name.len);
    if (!text)
        return no_memory(path, err);
    if (fj_imatrix_find(m, text))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.100s' is there twice", path, text);
    fj_importance *item = fj_imatrix_add(m, text, n, 1);
    if (!item)
        return no_memory(path, err);
    memcpy(item->sums, values.data, values.len);
    item->counts[0] = calls;
    return check_values(path, item, err);
}

static fj_status read_older(fj_cursor *c, const char *path, fj_imatrix **out, fj_err *err)
{
    uint32_t n = fj_cursor_u32(c);
    if (c->bad || !n || n > fj_cursor_left(c) / LEAST_ENTRY)
        return fj_fail(err, FJ_ERR_FORMAT, "%s is no importance matrix", path);
    fj_imatrix *m = fj_imatrix_new(n);
    fj_status st = m ? FJ_OK : no_memory(path, err);
    for (uint32_t i = 0; i < n && !st; i++)
        st = read_entry(m, c, path, i, err);
    if (!st) {
        m->chunks = fj_cursor_u32(c);
        fj_text dataset = fj_cursor_take(c, fj_cursor_u32(c));
        m->datasets = fj_arena_array(m->arena, 1, sizeof *m->datasets);
        const char *name = fj_arena_text(m->arena, dataset.data, dataset.len);
        if (m->datasets && name && dataset.len)
            m->datasets[m->n_datasets++] = name;
    }
    if (st)
        fj_imatrix_free(m);
    else
        *out = m;
    return st;
}

/* Copies NAME.in_sum2 and its counts. */
static fj_status read_pair(fj_imatrix *m, const fj_source *s, const fj_tensor *sums, fj_err *err)
{
    size_t len = strlen(sums->name) - strlen(SUMS);
    const char *name = fj_arena_text(m->arena, sums->name, len);
    const char *counts_name = fj_arena_printf(m->arena, "%.*s%s", (int)len, sums->name, COUNTS);
    if (!name || !counts_name)
        return no_memory(s->path, err);
    const fj_tensor *counts = s->find(s, counts_name);
    int64_t n = fj_shape_count(&sums->shape), n_counts = counts ? fj_shape_count(&counts->shape) : 0;
    if (!len || !counts || sums->dtype != &fj_f32 || counts->dtype != &fj_f32 || n % n_counts)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.100s' has no counts that fit it", s->path, sums->name);
    fj_importance *item = fj_imatrix_add(m, name, n, n_counts);
    if (!item)
        return no_memory(s->path, err);
    memcpy(item->sums, sums->data, sums->bytes);
    memcpy(item->counts, counts->data, counts->bytes);
    return check_values(s->path, item, err);
}

static bool is_sums(const char *name)
{
    size_t n = strlen(name), suffix = strlen(SUMS);
    return n >= suffix && !strcmp(name + n - suffix, SUMS);
}

static fj_status read_facts(fj_imatrix *m, const fj_source *s, fj_err *err)
{
    const fj_gguf_value *list = fj_gguf_find(s, "imatrix.datasets");
    m->chunks = (uint32_t)fj_gguf_int(fj_gguf_find(s, "imatrix.chunk_count"), 0);
    m->chunk_size = (uint32_t)fj_gguf_int(fj_gguf_find(s, "imatrix.chunk_size"), 0);
    if (!list || list->kind != FJ_GGUF_ARRAY || list->element != FJ_GGUF_STRING)
        return FJ_OK;
    m->datasets = fj_arena_array(m->arena, list->count, sizeof *m->datasets);
    fj_text name;
    for (size_t at = 0; m->datasets && fj_gguf_next_string(list, &at, &name);) {
        m->datasets[m->n_datasets] = fj_arena_text(m->arena, name.data, name.len);
        if (!m->datasets[m->n_datasets++])
            return no_memory(s->path, err);
    }
    return m->datasets ? FJ_OK : no_memory(s->path, err);
}

static fj_status read_gguf(const fj_source *s, fj_imatrix **out, fj_err *err)
{
    size_t n = 0;
    for (size_t i = 0; i < s->count(s); i++)
        n += is_sums(s->at(s, i)->name);
    if (!n)
        return fj_fail(err, FJ_ERR_FORMAT, "%s is no importance matrix: it has no tensor of sums", s->path);
    fj_imatrix *m = fj_imatrix_new(n);
    fj_status st = m ? read_facts(m, s, err) : no_memory(s->path, err);
    for (size_t i = 0; i < s->count(s) && !st; i++)
        if (is_sums(s->at(s, i)->name))
            st = read_pair(m, s, s->at(s, i), err);
    if (st)
        fj_imatrix_free(m);
    else
        *out = m;
    return st;
}

static bool is_gguf(const void *data, size_t len)
{
    return len >= 4 && !memcmp(data, "GGUF", 4);
}

static fj_status read_and_close(fj_source *s, fj_imatrix **out, fj_err *err)
{
    fj_status st = read_gguf(s, out, err);
    s->close(s);
    return st;
}

fj_status fj_imatrix_from_bytes(const void *data, size_t len, fj_imatrix **out, fj_err *err)
{
    fj_source *s = NULL;
    fj_cursor c = fj_cursor_over(data, len);
    *out = NULL;
    if (!is_gguf(data, len))
        return read_older(&c, "(memory)", out, err);
    fj_status st = fj_gguf_open_bytes(data, len, &s, err);
    return st ? st : read_and_close(s, out, err);
}

fj_status fj_imatrix_read(const char *path, fj_imatrix **out, fj_err *err)
{
    fj_map *map = NULL;
    fj_source *s = NULL;
    *out = NULL;
    fj_status st = fj_map_open(path, &map, err);
    bool is_newer = !st && is_gguf(map->data, map->len);
    if (!st && !is_newer) {
        fj_cursor c = fj_cursor_over(map->data, map->len);
        st = read_older(&c, path, out, err);
    }
    fj_map_close(map);
    if (!st && is_newer)
        st = fj_gguf_open(path, &s, err);
    return !st && is_newer ? read_and_close(s, out, err) : st;
}

/* ---- writing -------------------------------------------------------------------------------------------------------------------------- */

static fj_tensor tensor_of(const char *name, int64_t rows, int64_t cols)
{
    return (fj_tensor){
        .name = name, .dtype = &fj_f32, .shape = fj_shape_2(rows, cols), .bytes = (size_t)(rows * cols) * sizeof(float)
    };
}

static void set_facts(fj_gguf_writer *w, const fj_imatrix *m, fj_text *datasets)
{
    for (size_t i = 0; i < m->n_datasets; i++)
        datasets[i] = fj_text_of(m->datasets[i]);
    fj_gguf_set_text(w, "general.type", "imatrix", strlen("imatrix"));
    fj_gguf_set_texts(w, "imatrix.datasets", datasets, m->n_datasets);
    fj_gguf_set_u32(w, "imatrix.chunk_count", m->chunks);
    fj_gguf_set_u32(w, "imatrix.chunk_size", m->chunk_size);
}

static fj_status list_tensors(const fj_imatrix *m, fj_arena *arena, fj_tensor *list, fj_err *err)
{
    for (size_t i = 0; i < fj_imatrix_count(m); i++) {
        const fj_importance *item = &m->items[i];
        const char *sums = fj_arena_printf(arena, "%s%s", item->name, SUMS);
        const char *counts = fj_arena_printf(arena, "%s%s", item->name, COUNTS);
        if (!sums || !counts)
            return fj_fail(err, FJ_ERR_MEMORY, "no memory for a list of tensors");
        list[2 * i] = tensor_of(sums, item->n_counts, item->n_values / item->n_counts);
        list[2 * i + 1] = tensor_of(counts, item->n_counts, 1);
    }
    return FJ_OK;
}

fj_status fj_imatrix_write(const fj_imatrix *m, const char *path, fj_err *err)
{
    size_t n = fj_imatrix_count(m);
    fj_arena *arena = fj_arena_new();
    fj_gguf_writer *w = fj_gguf_writer_new();
    fj_tensor *list = arena ? fj_arena_array(arena, 2 * n, sizeof *list) : NULL;
    fj_text *datasets = arena ? fj_arena_array(arena, m->n_datasets, sizeof *datasets) : NULL;
    fj_status st = w && list && datasets ? list_tensors(m, arena, list, err)
                                         : fj_fail(err, FJ_ERR_MEMORY, "no memory to write %s", path);
    if (!st) {
        set_facts(w, m, datasets);
        st = fj_gguf_create(w, path, list, 2 * n, err);
    }
    for (size_t i = 0; i < n && !st; i++) {
        st = fj_gguf_add(w, m->items[i].sums, list[2 * i].bytes, err);
        if (!st)
            st = fj_gguf_add(w, m->items[i].counts, list[2 * i + 1].bytes, err);
    }
    if (!st) {
        st = fj_gguf_commit(w, err);
        w = NULL;
    }
    fj_gguf_abort(w);
    fj_arena_free(arena);
    return st;
}
