/* SPDX-License-Identifier: Apache-2.0 */
#include "models/kv_cache.h"

#include "models/tiny_test.h"
#include "base/rng.h"

typedef struct held {
    tiny t;
    fj_model *m;
    fj_kv_cache c;
} held;

static void open_cache(held *h, int64_t n_seqs, int64_t n_ctx, const fj_dtype *k, const fj_dtype *v)
{
    fj_err err = { 0 };
    tiny_open(&h->t, NULL, FJ_NAMING_HF, &fj_f32);
    CHECK_OK(fj_model_open(&h->t.source, &h->m, &err));
    fj_cache_layout layout = fj_kv_cache_layout(h->m, k, v);
    CHECK_OK(fj_kv_cache_open(&layout, n_seqs, n_ctx, &h->c, &err));
    CHECK(h->c.data.size == fj_kv_cache_bytes(&layout, n_seqs, n_ctx));
    CHECK(h->c.data.size == (size_t)h->c.n_pages * h->c.page_bytes);
}

static void close_cache(held *h)
{
    fj_kv_cache_close(&h->c);
    fj_model_free(h->m);
    tiny_close(&h->t);
}

static int32_t page(const held *h, int64_t seq, int64_t i)
{
    return h->c.tables[seq * h->c.pages_per_seq + i];
}

static unsigned char *bytes(const held *h, int64_t seq, int64_t i)
{
    return h->c.data.data + (size_t)page(h, seq, i) * h->c.page_bytes;
}

/* Users of pages are the entries that name them, and the rest is free. */
static void check_books(const held *h)
{
    int64_t used = 0;
    for (int64_t p = 0; p < h->c.n_pages; p++) {
        int32_t users = 0;
        for (int64_t i = 0; i < h->c.n_seqs * h->c.pages_per_seq; i++)
            users += h->c.tables[i] == p;
        CHECK(h->c.n_users[p] == users);
        used += users > 0;
    }
    CHECK(h->c.n_free == h->c.n_pages - used);
}

TEST(kv_cache_counts_its_bytes_before_it_is_there)
{
    held h;
    open_cache(&h, 3, 130, &fj_f16, &fj_f16);
    CHECK(h.c.pages_per_seq == 3 && h.c.n_pages == 9);
    CHECK(h.c.page_bytes == TINY_LAYERS * 2 * TINY_KV * 64 * TINY_HEAD * 2);
    close_cache(&h);
    open_cache(&h, 1, 10, &fj_q8_0, &fj_f32); /* a head of 16 takes a block of 32 */
    CHECK(h.c.page_bytes == TINY_LAYERS * TINY_KV * 64 * (34 + TINY_HEAD * 4));
    close_cache(&h);
    fj_kv_cache none = { 0 };
    fj_kv_cache_close(&none);
}

TEST(kv_cache_takes_a_page_for_each_64_positions_and_gives_it_back)
{
    held h;
    open_cache(&h, 2, 192, &fj_q8_0, &fj_q4_0);
    fj_kv_cache_grow(&h.c, 0, 64);
    CHECK(page(&h, 0, 0) >= 0 && page(&h, 0, 1) == -1);
    fj_kv_cache_grow(&h.c, 0, 65);
    CHECK(page(&h, 0, 1) >= 0 && h.c.length[0] == 65);
    fj_kv_cache_grow(&h.c, 1, 192);
    fj_kv_cache_grow(&h.c, 0, 192);
    CHECK(h.c.n_free == 0);
    check_books(&h);
    fj_kv_cache_truncate(&h.c, 0, 64);
    CHECK(page(&h, 0, 0) >= 0 && page(&h, 0, 1) == -1 && h.c.length[0] == 64);
    fj_kv_cache_truncate(&h.c, 0, 100); /* not longer than it is */
    CHECK(h.c.length[0] == 64);
    fj_kv_cache_truncate(&h.c, 0, 0);
    CHECK(h.c.n_free == 3);
    check_books(&h);
    close_cache(&h);
}

TEST(kv_cache_forks_share_pages_until_one_writes)
{
    held h;
    open_cache(&h, 3, 192, &fj_f16, &fj_q8_0);
    fj_kv_cache_grow(&h.c, 0, 100);
    memset(bytes(&h, 0, 0), 1, h.c.page_bytes);
    memset(bytes(&h, 0, 1), 2, h.c.page_bytes);
    fj_kv_cache_fork(&h.c, 0, 1, 90);
    fj_kv_cache_fork(&h.c, 0, 2, 64);
    CHECK(page(&h, 1, 0) == page(&h, 0, 0) && page(&h, 1, 1) == page(&h, 0, 1) && h.c.length[1] == 90);
    CHECK(page(&h, 2, 0) == page(&h, 0, 0) && page(&h, 2, 1) == -1);
    CHECK(h.c.n_free == 7);
    check_books(&h);

    fj_kv_cache_grow(&h.c, 1, 91); /* writes in the second page: it gets a copy; the first stays shared */
    CHECK(page(&h, 1, 1) != page(&h, 0, 1) && page(&h, 1, 0) == page(&h, 0, 0));
    CHECK(bytes(&h, 1, 1)[0] == 2 && memcmp(bytes(&h, 1, 1), bytes(&h, 0, 1), h.c.page_bytes) == 0);
    int32_t own = page(&h, 0, 1);
    fj_kv_cache_grow(&h.c, 0, 101); /* alone on its page now */
    CHECK(page(&h, 0, 1) == own);
    fj_kv_cache_grow(&h.c, 2, 65);
    CHECK(page(&h, 2, 1) >= 0 && page(&h, 2, 1) != page(&h, 0, 1));
    check_books(&h);

    fj_kv_cache_truncate(&h.c, 0, 0); /* the others keep what they share */
    CHECK(bytes(&h, 1, 0)[0] == 1 && h.c.n_users[page(&h, 1, 0)] == 2);
    fj_kv_cache_fork(&h.c, 1, 2, 80); /* forgets its own */
    CHECK(h.c.length[2] == 80 && page(&h, 2, 1) == page(&h, 1, 1));
    check_books(&h);
    close_cache(&h);
}

TEST(kv_cache_of_its_sequences_never_runs_out_whatever_they_share)
{
    enum { SEQS = 5, CTX = 200 };
    held h;
    open_cache(&h, SEQS, CTX, &fj_bf16, &fj_bf16);
    for (uint64_t i = 0; i < 2000; i++) {
        uint64_t r = fj_rng(1, FJ_STREAM_TEST, 0, 0, i);
        int64_t seq = (int64_t)(r % SEQS), other = (int64_t)(r / 8 % SEQS), length = (int64_t)(r / 64 % (CTX + 1));
        if (r / 65536 % 3 == 0 && seq != other)
            fj_kv_cache_fork(&h.c, seq, other, FJ_MIN(length, h.c.length[seq]));
        else if (length > h.c.length[seq])
            fj_kv_cache_grow(&h.c, seq, length);
        else
            fj_kv_cache_truncate(&h.c, seq, length);
        check_books(&h);
    }
    close_cache(&h);
}
