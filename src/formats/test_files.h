/* SPDX-License-Identifier: Apache-2.0
 * Files of a few hundred bytes for the tests of the readers, laid out by hand and not by the writers. */
#ifndef FJ_FORMATS_TEST_FILES_H
#define FJ_FORMATS_TEST_FILES_H

#include <stdlib.h>

#include "base/str.h"
#include "formats/formats.h"
#include "tests/test.h"

static inline void put_u32(fj_str *s, uint32_t v)
{
    fj_str_add(s, &v, sizeof v);
}

static inline void put_u64(fj_str *s, uint64_t v)
{
    fj_str_add(s, &v, sizeof v);
}

static inline void put_f32(fj_str *s, float v)
{
    fj_str_add(s, &v, sizeof v);
}

static inline void put_text(fj_str *s, const char *text)
{
    put_u64(s, strlen(text));
    fj_str_add_text(s, text);
}

static inline void put_zeros(fj_str *s, size_t n)
{
    while (n--)
        fj_str_add_char(s, 0);
}

/* One entry of GGUF's metadata each. */
static inline void put_key(fj_str *s, const char *key, uint32_t kind)
{
    put_text(s, key);
    put_u32(s, kind);
}

static inline void put_key_text(fj_str *s, const char *key, const char *text)
{
    put_key(s, key, FJ_GGUF_STRING);
    put_text(s, text);
}

static inline void put_key_u32(fj_str *s, const char *key, uint32_t v)
{
    put_key(s, key, FJ_GGUF_U32);
    put_u32(s, v);
}

static inline void put_key_f32(fj_str *s, const char *key, float v)
{
    put_key(s, key, FJ_GGUF_F32);
    put_f32(s, v);
}

static inline void put_key_array(fj_str *s, const char *key, uint32_t element, uint64_t n)
{
    put_key(s, key, FJ_GGUF_ARRAY);
    put_u32(s, element);
    put_u64(s, n);
}

static inline void put_gguf(fj_str *s, uint32_t version, uint64_t n_tensors, uint64_t n_values)
{
    fj_str_add_text(s, "GGUF");
    put_u32(s, version);
    put_u64(s, n_tensors);
    put_u64(s, n_values);
}

/* A line of the list of tensors; dims fastest first, up to the first 0 (or all 8). */
static inline void put_tensor(fj_str *s, const char *name, const uint64_t dims[8], uint32_t type, uint64_t offset)
{
    uint32_t rank = 0;
    while (rank < 8 && dims[rank])
        rank++;
    put_text(s, name);
    put_u32(s, rank);
    for (uint32_t i = 0; i < rank; i++)
        put_u64(s, dims[i]);
    put_u32(s, type);
    put_u64(s, offset);
}

static inline void pad_to(fj_str *s, size_t alignment)
{
    put_zeros(s, (alignment - s->len % alignment) % alignment);
}

/* A whole safetensors file: the header and n bytes of data, counting up from 0. */
static inline void put_safetensors(fj_str *s, const char *header, size_t n)
{
    put_text(s, header);
    for (size_t i = 0; i < n; i++)
        fj_str_add_char(s, (char)i);
}

/* A tensor's bytes, for free(); those that are made, a row and then the others. */
static inline unsigned char *bytes_of(const fj_source *s, const fj_tensor *t)
{
    unsigned char *out = malloc(t->bytes + 1);
    CHECK(out);
    if (t->data)
        return memcpy(out, t->data, t->bytes);
    size_t row = t->bytes / (size_t)t->shape.dim[0];
    s->will_need(s, t);
    s->rows(s, t, 0, 1, out);
    if (t->shape.dim[0] > 1)
        s->rows(s, t, 1, t->shape.dim[0] - 1, out + row);
    s->give_back(s, t);
    return out;
}

#endif
