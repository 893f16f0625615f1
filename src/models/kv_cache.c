/* SPDX-License-Identifier: Apache-2.0
 * See kv_cache.h. */
#include "models/kv_cache.h"

#include <string.h>

fj_cache_layout fj_kv_cache_layout(const fj_model *m, const fj_dtype *k, const fj_dtype *v)
{
    return (fj_cache_layout){ .k = k,
                              .v = v,
                              .n_layers = m->hp.n_layers - fj_model_state_shape(m).n_layers,
                              .n_kv_heads = m->hp.n_kv_heads,
                              .d_head = m->hp.d_head };
}

size_t fj_kv_cache_bytes(const fj_cache_layout *layout, int64_t n_seqs, int64_t n_ctx)
{
    return (size_t)(n_seqs * fj_blocks(n_ctx, FJ_TILE_ROWS)) * fj_page_bytes(layout);
}

fj_status fj_kv_cache_open(const fj_cache_layout *layout, int64_t n_seqs, int64_t n_ctx, fj_kv_cache *c, fj_err *err)
{
    *c = (fj_kv_cache){ .layout = *layout, .page_bytes = fj_page_bytes(layout), .n_seqs = n_seqs };
    c->pages_per_seq = fj_blocks(n_ctx, FJ_TILE_ROWS);
    c->n_pages = n_seqs * c->pages_per_seq;
    c->arena = fj_arena_new();
    size_t n = (size_t)c->n_pages;
    if (c->arena) {
        c->tables = fj_arena_array(c->arena, n, sizeof *c->tables);
        c->n_users = fj_arena_array(c->arena, n, sizeof *c->n_users);
        c->free_pages = fj_arena_array(c->arena, n, sizeof *c->free_pages);
        c->length = fj_arena_array(c->arena, (size_t)n_seqs, sizeof *c->length);
    }
    fj_status st = FJ_OK;
    if (!c->arena || !c->tables || !c->n_users || !c->free_pages || !c->length)
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory for page tables of %zu pages", n);
    if (!st)
        st = fj_buffer_open(&c->data, FJ_MAX(1, n * c->page_bytes), "the key/value cache", err);
    if (st) {
        fj_kv_cache_close(c);
        return st;
    }
    for (int64_t i = 0; i < c->n_pages; i++) {
        c->tables[i] = -1;
        c->free_pages[i] = (int32_t)(c->n_pages - 1 - i);
    }
    c->n_free = c->n_pages;
    return FJ_OK;
}

void fj_kv_cache_close(fj_kv_cache *c)
{
    fj_buffer_close(&c->data);
    fj_arena_free(c->arena);
    *c = (fj_kv_cache){ 0 };
}

static int32_t take_page(fj_kv_cache *c)
{
    fj_assert(c->n_free > 0);
    int32_t page = c->free_pages[--c->n_free];
    c->n_users[page] = 1;
    return page;
}

static void give_page(fj_kv_cache *c, int32_t *entry)
{
    if (*entry >= 0 && --c->n_users[*entry] == 0)
        c->free_pages[c->n_free++] = *entry;
    *entry = -1;
}

void fj_kv_cache_grow(fj_kv_cache *c, int64_t seq, int64_t length)
{
    int32_t *table = c->tables + seq * c->pages_per_seq;
    int64_t first = c->length[seq] / FJ_TILE_ROWS;
    fj_assert(length <= c->pages_per_seq * FJ_TILE_ROWS);
    for (int64_t i = first; i < fj_blocks(length, FJ_TILE_ROWS); i++) {
        int32_t shared = table[i];
        if (shared >= 0 && c->n_users[shared] == 1)
            continue;
        int32_t page = take_page(c);
        if (shared >= 0) {
            memcpy(c->data.data + (size_t)page * c->page_bytes, c->data.data + (size_t)shared * c->page_bytes,
                   c->page_bytes);
            c->n_users[shared]--;
        }
        table[i] = page;
    }
    c->length[seq] = length;
}

void fj_kv_cache_truncate(fj_kv_cache *c, int64_t seq, int64_t length)
{
    int32_t *table = c->tables + seq * c->pages_per_seq;
    if (length >= c->length[seq])
        return;
    for (int64_t i = fj_blocks(length, FJ_TILE_ROWS); i < fj_blocks(c->length[seq], FJ_TILE_ROWS); i++)
        give_page(c, &table[i]);
    c->length[seq] = length;
}

void fj_kv_cache_fork(fj_kv_cache *c, int64_t from, int64_t to, int64_t length)
{
    fj_assert(from != to && length <= c->length[from]);
    fj_kv_cache_truncate(c, to, 0);
    for (int64_t i = 0; i < fj_blocks(length, FJ_TILE_ROWS); i++) {
        int32_t page = c->tables[from * c->pages_per_seq + i];
        c->tables[to * c->pages_per_seq + i] = page;
        c->n_users[page]++;
    }
    c->length[to] = length;
}
