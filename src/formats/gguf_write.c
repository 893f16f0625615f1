/* SPDX-License-Identifier: Apache-2.0
 * Writing GGUF version 3. Metadata is kept as encoded entries until the list of tensors is known. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "formats/gguf_internal.h"

enum { ALIGNMENT = 32, VERSION = 3 };

typedef struct entry {
    char *key; /* len bytes, no NUL */
    size_t len;
    fj_str bytes; /* key, type and value, encoded */
} entry;

struct fj_gguf_writer {
    entry *entries;
    size_t n, cap;
    bool failed;
    fj_out out;
    size_t *sizes; /* of the tensors */
    size_t n_tensors, tensor, in_tensor;
};

fj_gguf_writer *fj_gguf_writer_new(void)
{
    return calloc(1, sizeof(fj_gguf_writer));
}

static void add_u32(fj_str *s, uint32_t v)
{
    fj_str_add(s, &v, sizeof v);
}

static void add_u64(fj_str *s, uint64_t v)
{
    fj_str_add(s, &v, sizeof v);
}

static void add_text(fj_str *s, const char *text, size_t len)
{
    add_u64(s, len);
    fj_str_add(s, text, len);
}

/* The encoded bytes of a key, emptied when it was set before; key and type are written. */
static fj_str *value_of(fj_gguf_writer *w, const char *key, size_t len, uint32_t kind)
{
    size_t i = 0;
    while (i < w->n && (w->entries[i].len != len || memcmp(w->entries[i].key, key, len)))
        i++;
    if (i == w->n && w->n == w->cap) {
        size_t cap = w->cap ? 2 * w->cap : 64;
        entry *grown = realloc(w->entries, cap * sizeof *grown);
        if (!grown) {
            w->failed = true;
            return NULL;
        }
        w->entries = grown;
        w->cap = cap;
    }
    entry *e = &w->entries[i];
    if (i == w->n) {
        *e = (entry){ .key = malloc(len + 1), .len = len };
        if (!e->key) {
            w->failed = true;
            return NULL;
        }
        memcpy(e->key, key, len);
        w->n++;
    }
    fj_str_clear(&e->bytes);
    add_text(&e->bytes, key, len);
    add_u32(&e->bytes, kind);
    return &e->bytes;
}

void fj_gguf_set_text(fj_gguf_writer *w, const char *key, const char *text, size_t len)
{
    fj_str *s = value_of(w, key, strlen(key), FJ_GGUF_STRING);
    if (s)
        add_text(s, text, len);
}

void fj_gguf_set_u32(fj_gguf_writer *w, const char *key, uint32_t value)
{
    fj_str *s = value_of(w, key, strlen(key), FJ_GGUF_U32);
    if (s)
        add_u32(s, value);
}

void fj_gguf_set_f32(fj_gguf_writer *w, const char *key, float value)
{
    fj_str *s = value_of(w, key, strlen(key), FJ_GGUF_F32);
    if (s)
        fj_str_add(s, &value, sizeof value);
}

void fj_gguf_set_bool(fj_gguf_writer *w, const char *key, bool value)
{
    fj_str *s = value_of(w, key, strlen(key), FJ_GGUF_BOOL);
    if (s)
        fj_str_add_char(s, value);
}

static fj_str *array_of(fj_gguf_writer *w, const char *key, uint32_t element, size_t n)
{
    fj_str *s = value_of(w, key, strlen(key), FJ_GGUF_ARRAY);
    if (s) {
        add_u32(s, element);
        add_u64(s, n);
    }
    return s;
}

void fj_gguf_set_texts(fj_gguf_writer *w, const char *key, const fj_text *values, size_t n)
{
    fj_str *s = array_of(w, key, FJ_GGUF_STRING, n);
    for (size_t i = 0; s && i < n; i++)
        add_text(s, values[i].data, values[i].len);
}

void fj_gguf_set_f32s(fj_gguf_writer *w, const char *key, const float *values, size_t n)
{
    fj_str *s = array_of(w, key, FJ_GGUF_F32, n);
    if (s)
        fj_str_add(s, values, n * sizeof *values);
}

void fj_gguf_set_i32s(fj_gguf_writer *w, const char *key, const int32_t *values, size_t n)
{
    fj_str *s = array_of(w, key, FJ_GGUF_I32, n);
    if (s)
        fj_str_add(s, values, n * sizeof *values);
}

/* What is true of one file only: where its tensors lie. */
static bool is_of_its_file(fj_text key)
{
    return fj_text_is(key, "general.alignment") || fj_text_starts(key, "split.");
}

void fj_gguf_copy(fj_gguf_writer *w, const fj_gguf_value *v)
{
    fj_str *s = is_of_its_file(v->key) ? NULL : value_of(w, v->key.data, v->key.len, v->kind);
    if (!s)
        return;
    if (v->kind == FJ_GGUF_ARRAY) {
        add_u32(s, v->element);
        add_u64(s, v->count);
    } else if (v->kind == FJ_GGUF_STRING) {
        add_u64(s, v->bytes.len);
    }
    fj_str_add(s, v->bytes.data, v->bytes.len);
}

static size_t padded(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static fj_status write_all(fj_gguf_writer *w, const void *data, size_t bytes, fj_err *err)
{
    if (!bytes || fwrite(data, 1, bytes, w->out.file) == bytes)
        return FJ_OK;
    return fj_fail(err, errno == ENOSPC ? FJ_ERR_MEMORY : FJ_ERR_FAILED, "cannot write %s: %s", w->out.path,
                   strerror(errno));
}

static fj_status pad(fj_gguf_writer *w, size_t bytes, fj_err *err)
{
    static const char zeros[ALIGNMENT] = { 0 };
    return write_all(w, zeros, padded(bytes) - bytes, err);
}

static fj_status check_tensor(const fj_tensor *t, fj_err *err)
{
    size_t bytes = 0;
    if (t->dtype->gguf < 0)
        return fj_fail(err, FJ_ERR_ARG, "GGUF has no type %s ('%s')", t->dtype->name, t->name);
    if (fj_shape_cols(&t->shape) % t->dtype->block_len)
        return fj_fail(err, FJ_ERR_ARG, "'%s' has rows of %lld values, %s comes in blocks of %d", t->name,
                       (long long)fj_shape_cols(&t->shape), t->dtype->name, t->dtype->block_len);
    if (!fj_dtype_bytes(t->dtype, fj_shape_count(&t->shape), &bytes) || bytes != t->bytes || !bytes)
        return fj_fail(err, FJ_ERR_ARG, "'%s' has %zu bytes, its shape and type %zu", t->name, t->bytes, bytes);
    return FJ_OK;
}

/* Readers find tensors by name. */
static fj_status check_names(const fj_tensor *list, size_t n, fj_err *err)
{
    fj_index names;
    fj_arena *arena = fj_arena_new();
    fj_status st = arena && fj_index_init(&names, arena, n)
                       ? FJ_OK
                       : fj_fail(err, FJ_ERR_MEMORY, "no memory for a GGUF header");
    for (size_t i = 0; !st && i < n; i++)
        if (!fj_index_add(&names, &list[i]))
            st = fj_fail(err, FJ_ERR_ARG, "'%s' is given twice", list[i].name);
    fj_arena_free(arena);
    return st;
}

static fj_status make_head(fj_gguf_writer *w, const fj_tensor *list, size_t n, fj_str *head, fj_err *err)
{
    uint64_t offset = 0;
    fj_str_add(head, "GGUF", 4);
    add_u32(head, VERSION);
    add_u64(head, n);
    add_u64(head, w->n);
    for (size_t i = 0; i < w->n; i++) {
        fj_str_add(head, w->entries[i].bytes.data, w->entries[i].bytes.len);
        head->failed |= w->entries[i].bytes.failed;
    }
    for (size_t i = 0; i < n; i++) {
        fj_status st = check_tensor(&list[i], err);
        if (st)
            return st;
        add_text(head, list[i].name, strlen(list[i].name));
        add_u32(head, (uint32_t)list[i].shape.rank);
        for (int d = list[i].shape.rank - 1; d >= 0; d--)
            add_u64(head, (uint64_t)list[i].shape.dim[d]);
        add_u32(head, (uint32_t)list[i].dtype->gguf);
        add_u64(head, offset);
        w->sizes[i] = list[i].bytes;
        offset += padded(list[i].bytes);
    }
    return head->failed || w->failed ? fj_fail(err, FJ_ERR_MEMORY, "no memory for a GGUF header") : FJ_OK;
}

static uint64_t total_size(const fj_str *head, const fj_tensor *list, size_t n)
{
    uint64_t total = padded(head->len);
    for (size_t i = 0; i < n; i++)
        total += padded(list[i].bytes);
    return total;
}

/* The list checked, the header made. */
static fj_status prepare(fj_gguf_writer *w, const fj_tensor *list, size_t n, fj_str *head, fj_err *err)
{
    free(w->sizes);
    w->sizes = calloc(n + 1, sizeof *w->sizes);
    w->n_tensors = n;
    fj_status st = w->sizes ? check_names(list, n, err)
                            : fj_fail(err, FJ_ERR_MEMORY, "no memory for a list of %zu tensors", n);
    return st ? st : make_head(w, list, n, head, err);
}

fj_status fj_gguf_size(fj_gguf_writer *w, const fj_tensor *list, size_t n, uint64_t *out, fj_err *err)
{
    fj_str head = { 0 };
    fj_status st = prepare(w, list, n, &head, err);
    *out = total_size(&head, list, n);
    fj_str_free(&head);
    return st;
}

fj_status fj_gguf_create(fj_gguf_writer *w, const char *path, const fj_tensor *list, size_t n, fj_err *err)
{
    fj_str head = { 0 };
    fj_status st = prepare(w, list, n, &head, err);
    uint64_t total = total_size(&head, list, n);
    if (!st && total > fj_disk_free(path)) {
        char need[24], have[24];
        st = fj_fail(err, FJ_ERR_MEMORY, "no room for %s: it needs %s, %s are free", path, fj_format_bytes(total, need),
                     fj_format_bytes(fj_disk_free(path), have));
    }
    if (!st)
        st = fj_out_open(path, &w->out, err);
    if (!st)
        st = write_all(w, head.data, head.len, err);
    if (!st)
        st = pad(w, head.len, err);
    fj_str_free(&head);
    return st;
}

fj_status fj_gguf_add(fj_gguf_writer *w, const void *data, size_t bytes, fj_err *err)
{
    if (!bytes)
        return FJ_OK;
    if (w->tensor == w->n_tensors || bytes > w->sizes[w->tensor] - w->in_tensor)
        return fj_fail(err, FJ_ERR_ARG, "%s: more bytes than tensor %zu of %zu has", w->out.path, w->tensor + 1,
                       w->n_tensors);
    fj_status st = write_all(w, data, bytes, err);
    w->in_tensor += bytes;
    if (st || w->in_tensor < w->sizes[w->tensor])
        return st;
    st = pad(w, w->in_tensor, err);
    w->in_tensor = 0;
    w->tensor++;
    return st;
}

fj_status fj_gguf_commit(fj_gguf_writer *w, fj_err *err)
{
    fj_status st = FJ_OK;
    if (w->tensor == w->n_tensors)
        st = fj_out_commit(&w->out, err);
    else
        st = fj_fail(err, FJ_ERR_ARG, "%s: the bytes of %zu of %zu tensors were given", w->out.path, w->tensor,
                     w->n_tensors);
    fj_gguf_abort(w);
    return st;
}

void fj_gguf_abort(fj_gguf_writer *w)
{
    if (!w)
        return;
    fj_out_abort(&w->out);
    for (size_t i = 0; i < w->n; i++) {
        free(w->entries[i].key);
        fj_str_free(&w->entries[i].bytes);
    }
    free(w->entries);
    free(w->sizes);
    free(w);
}
