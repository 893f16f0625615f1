/* SPDX-License-Identifier: Apache-2.0
 * GGUF: what opens can be walked (metadata, arrays, configuration, vocabulary, tensors), and lies inside the bytes. A second file that
 * begins at a multiple of 32 is the second part of a model. */
#include <stdint.h>
#include <string.h>

#include "formats/formats.h"
#include "hub/hub_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(const void *at, size_t len, const uint8_t *data, size_t size)
{
    const uint8_t *first = at;
    fj_assert(!len || (first >= data && first <= data + size && len <= (size_t)(data + size - first)));
}

static void walk_value(const fj_source *s, const fj_gguf_value *v, const uint8_t *data, size_t size)
{
    size_t at = 0;
    uint64_t n = 0;
    fj_text text;
    check_inside(v->key.data, v->key.len, data, size);
    check_inside(v->bytes.data, v->bytes.len, data, size);
    (void)fj_gguf_int(v, 0);
    (void)fj_gguf_real(v, 0);
    (void)fj_gguf_text(v);
    for (; fj_gguf_next_string(v, &at, &text); n++)
        check_inside(text.data, text.len, data, size);
    fj_assert(v->kind != FJ_GGUF_ARRAY || v->element != FJ_GGUF_STRING || n == v->count);
    for (uint64_t i = 0; i < v->count; i++)
        (void)fj_gguf_number_at(v, i);
    if (!memchr(v->key.data, 0, v->key.len)) {
        fj_str key = { 0 };
        fj_str_add(&key, v->key.data, v->key.len);
        fj_assert(key.failed || fj_gguf_find(s, key.data) == v);
        fj_str_free(&key);
    }
}

static void walk_vocabulary(const fj_source *s, const uint8_t *data, size_t size)
{
    fj_err err = { 0 };
    fj_gguf_vocab v;
    fj_json *generation = NULL;
    fj_arena *arena = fj_arena_new();
    if (arena && !fj_gguf_vocab_of(s, arena, &v, &err)) {
        int64_t n = (int64_t)v.n_tokens, sum = 0;
        for (int64_t i = 0; i < n; i++) {
            check_inside(v.tokens[i].data, v.tokens[i].len, data, size);
            sum += v.types ? v.types[i] : 1;
            sum += v.scores && v.scores[i] > 0;
        }
        for (size_t i = 0; n && i < v.n_merges; i++)
            check_inside(v.merges[i].data, v.merges[i].len, data, size);
        fj_assert(sum >= n && (!n || (v.model && v.bos < n && v.eos < n && v.unk < n && v.pad < n)));
    }
    if (!fj_gguf_generation(s, &generation, &err))
        fj_json_free(generation);
    fj_arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fj_err err = { 0 };
    fj_source *s = NULL;
    size_t cut = 32;
    while (cut + 4 <= size && memcmp(data + cut, "GGUF", 4) != 0)
        cut += 32;
    bool has_two = cut + 4 <= size;
    const char *bytes = (const char *)data;
    fj_text parts[2] = { { bytes, has_two ? cut : size },
                         { bytes + (has_two ? cut : size), has_two ? size - cut : 0 } };
    if (fj_gguf_open_parts(parts, has_two ? 2 : 1, &s, &err)) {
        fj_assert(err.status == FJ_ERR_FORMAT && strlen(err.message) > 0 && !s);
        return 0;
    }
    fj_gguf_writer *w = fj_gguf_writer_new();
    for (size_t i = 0; i < fj_gguf_count(s); i++) {
        walk_value(s, fj_gguf_at(s, i), data, size);
        if (w)
            fj_gguf_copy(w, fj_gguf_at(s, i));
    }
    for (size_t i = 0; i < s->count(s); i++) {
        const fj_tensor *t = s->at(s, i);
        fj_assert(s->find(s, t->name) == t && t->bytes > 0);
        check_inside(t->data, t->bytes, data, size);
        s->will_need(s, t);
        s->give_back(s, t);
    }
    walk_vocabulary(s, data, size);
    fj_str text = { 0 };
    fj_assert(fj_json_is_object(s->config) && fj_json_write(s->config, 0, 9, &text));
    if (w)
        (void)fj_gguf_set_config(w, s->config, &err);
    fj_gguf_abort(w);
    fj_str_free(&text);
    s->close(s);
    return 0;
}
