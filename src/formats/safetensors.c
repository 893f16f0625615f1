/* SPDX-License-Identifier: Apache-2.0
 * Sources over safetensors. What a file holds is read in safetensors_header.c, where it lies in shards.c. */
#include "formats/formats.h"
#include "formats/safetensors_internal.h"
#include "formats/shards.h"

typedef struct header {
    fj_json *json;
    fj_text data; /* behind it */
} header;

static fj_status read_header(fj_shard *s, fj_arena *arena, fj_err *err)
{
    header *h = s->header = fj_arena_take(arena, sizeof *h);
    if (!h)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", s->name);
    fj_status st = fj_safetensors_header(s->data, s->len, s->name, &h->json, &h->data, err);
    s->n_most = fj_json_len(h->json);
    return st;
}

static fj_status list(const fj_shard *s, fj_arena *arena, fj_index *index, fj_err *err)
{
    (void)arena;
    const header *h = s->header;
    return fj_safetensors_tensors(h->json, h->data, s->name, index, err);
}

static void release(fj_shard *s)
{
    if (s->header)
        fj_json_free(((const header *)s->header)->json);
}

const fj_shard_kind fj_shard_safetensors = {
    .one = "model.safetensors",
    .index = "model.safetensors.index.json",
    .suffix = ".safetensors",
    .read = read_header,
    .list = list,
    .release = release,
};

fj_status fj_safetensors_open_file(const char *path, fj_json *config, fj_source **out, fj_err *err)
{
    return fj_shards_open_file(&fj_shard_safetensors, path, config, out, err);
}

fj_status fj_safetensors_open_bytes(const void *data, size_t len, fj_source **out, fj_err *err)
{
    return fj_shards_open_bytes(&fj_shard_safetensors, data, len, 0, 1, out, err);
}
