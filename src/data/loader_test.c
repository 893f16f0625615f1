/* SPDX-License-Identifier: Apache-2.0 */

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "data/data_internal.h"
#include "tests/test.h"

enum { MAX_ROWS = 200, MAX_LEN = 64 };

/* Row i has lengths[i] tokens: ids i*100, i*100+1, …; the first half is not trained. */
typedef struct made {
    fj_row rows[MAX_ROWS];
    int32_t ids[MAX_ROWS][MAX_LEN], labels[MAX_ROWS][MAX_LEN];
} made;

static made *make_rows(const int *lengths, int n)
{
    made *m = calloc(1, sizeof *m);
    for (int i = 0; i < n; i++) {
        fj_row *row = &m->rows[i];
        *row = (fj_row){ .ids = m->ids[i], .labels = m->labels[i], .n = lengths[i], .number = i + 1 };
        for (int k = 0; k < lengths[i]; k++) {
            m->ids[i][k] = i * 100 + k;
            m->labels[i][k] = k < lengths[i] / 2 ? FJ_LABEL_NONE : i * 100 + k;
            row->n_targets += k > 0 && m->labels[i][k] != FJ_LABEL_NONE;
        }
    }
    return m;
}

static made *random_rows(int n)
{
    int lengths[MAX_ROWS];
    for (int i = 0; i < n; i++)
        lengths[i] = 2 + (int)(fj_rng(3, FJ_STREAM_TEST, 0, 0, (uint64_t)i) % (MAX_LEN - 2));
    return make_rows(lengths, n);
}

static fj_loader *open_loader(const made *m, int n, fj_loader_config config)
{
    fj_err err = { 0 };
    fj_loader *l = NULL;
    CHECK_OK(fj_loader_new(m->rows, n, &config, &l, &err));
    return l;
}

TEST(loader_gives_rows_in_file_order_and_ends_an_epoch_with_smaller_batches)
{
    const int lengths[] = { 2, 3, 4, 5, 6, 7, 8 };
    made *m = make_rows(lengths, 7);
    fj_loader *l = open_loader(m, 7, (fj_loader_config){ .batch_size = 2, .accumulation = 3 });
    fj_err err = { 0 };
    fj_batch b;
    fj_batch_capacity c = fj_loader_capacity(l, 1);
    static const int micros[] = { 3, 1 };
    int64_t next = 0;
    assert_int_equal(fj_loader_windows(l), 2);
    assert_int_equal(c.tokens, 13);
    assert_int_equal(c.segments, 2);
    assert_int_equal(c.segment_tokens, 8);
    CHECK_OK(fj_batch_new(&c, &b, &err));
    for (int w = 0; w < 2; w++) {
        fj_window window = fj_loader_window(l, 5, w);
        int64_t targets = 0, tokens = 0;
        assert_int_equal(window.n_micro, micros[w]);
        for (int64_t i = 0; i < window.n_micro; i++) {
            fj_loader_fill(l, 5, w, i, &b);
            for (int64_t s = 0; s < b.n_segments; s++)
                assert_int_equal(b.rows[s], next++);
            targets += b.n_targets;
            tokens += b.n_tokens;
        }
        assert_int_equal(targets, window.n_targets);
        assert_int_equal(tokens, window.n_tokens);
    }
    assert_int_equal(next, 7);
    assert_int_equal(b.n_segments, 1);
    fj_batch_free(&b);
    fj_loader_free(l);
    free(m);
}

TEST(a_batch_restarts_positions_and_predicts_nothing_across_a_seam)
{
    const int lengths[] = { 3, 4 };
    made *m = make_rows(lengths, 2);
    fj_err err = { 0 };
    fj_batch b;
    CHECK_OK(fj_batch_of_rows(m->rows, 2, &b, &err));
    static const int32_t ids[] = { 0, 1, 2, 100, 101, 102, 103 }, positions[] = { 0, 1, 2, 0, 1, 2, 3 },
                         labels[] = { -100, 1, 2, -100, -100, 102, 103 },
                         targets[] = { 1, 2, -100, -100, 102, 103, -100 }, starts[] = { 0, 3, 7 };
    assert_int_equal(b.n_tokens, 7);
    assert_int_equal(b.n_segments, 2);
    assert_int_equal(b.n_targets, 4);
    assert_memory_equal(b.ids, ids, sizeof ids);
    assert_memory_equal(b.positions, positions, sizeof positions);
    assert_memory_equal(b.labels, labels, sizeof labels);
    assert_memory_equal(b.targets, targets, sizeof targets);
    assert_memory_equal(b.starts, starts, sizeof starts);
    fj_batch_free(&b);
    free(m);
}

/* The rows of a whole epoch, in order, read window by window; from the last to the first when backwards. */
static void read_epoch(fj_loader *l, int64_t epoch, bool backwards, int64_t *out)
{
    fj_err err = { 0 };
    fj_batch b;
    fj_batch_capacity c = fj_loader_capacity(l, epoch + 1);
    int64_t n = fj_loader_windows(l);
    CHECK_OK(fj_batch_new(&c, &b, &err));
    for (int64_t i = 0; i < n; i++) {
        int64_t window = backwards ? n - 1 - i : i, at = 0;
        for (int64_t w = 0; w < window; w++)
            at += fj_loader_window(l, epoch, w).n_segments;
        for (int64_t k = 0; k < fj_loader_window(l, epoch, window).n_micro; k++) {
            fj_loader_fill(l, epoch, window, k, &b);
            memcpy(out + at, b.rows, (size_t)b.n_segments * sizeof *out);
            at += b.n_segments;
        }
    }
    fj_batch_free(&b);
}

TEST(loader_shuffles_by_seed_and_epoch_alone_so_that_any_window_can_be_asked_for)
{
    enum { N = 50 };
    made *m = random_rows(N);
    fj_loader_config config = { .batch_size = 3, .accumulation = 4, .shuffle = true, .seed = 42 };
    fj_loader *l = open_loader(m, N, config), *again = open_loader(m, N, config);
    int64_t a[N], b[N], c[N], seen[N] = { 0 };
    read_epoch(l, 0, false, a);
    read_epoch(l, 1, false, b);
    read_epoch(again, 1, true, c);
    assert_memory_equal(b, c, sizeof b);
    CHECK(memcmp(a, b, sizeof a) != 0);
    for (int i = 0; i < N; i++)
        seen[a[i]]++;
    for (int i = 0; i < N; i++)
        assert_int_equal(seen[i], 1);
    fj_loader_free(l);
    config.seed = 43;
    l = open_loader(m, N, config);
    read_epoch(l, 0, false, b);
    CHECK(memcmp(a, b, sizeof a) != 0);
    fj_loader_free(l);
    fj_loader_free(again);
    free(m);
}

TEST(loader_knows_the_largest_batch_of_all_epochs_exactly)
{
    enum { N = 60 };
    made *m = random_rows(N);
    fj_loader *l = open_loader(m, N,
                               (fj_loader_config){ .batch_size = 4, .accumulation = 1, .shuffle = true, .seed = 7 });
    fj_err err = { 0 };
    fj_batch_capacity most = fj_loader_capacity(l, 3), seen = { 0 }, room = { .tokens = 4 * MAX_LEN, .segments = 4 };
    fj_batch b;
    CHECK_OK(fj_batch_new(&room, &b, &err));
    for (int64_t e = 0; e < 3; e++)
        for (int64_t w = 0; w < fj_loader_windows(l); w++) {
            fj_loader_fill(l, e, w, 0, &b);
            seen.tokens = FJ_MAX(seen.tokens, b.n_tokens);
            seen.targets = FJ_MAX(seen.targets, b.n_targets);
        }
    assert_int_equal(most.tokens, seen.tokens);
    assert_int_equal(most.targets, seen.targets);
    assert_int_equal(most.segments, 4);
    fj_batch_free(&b);
    fj_loader_free(l);
    free(m);
}

TEST(packing_takes_the_best_fit_and_leaves_no_row_out)
{
    const int lengths[] = { 4, 9, 6, 5, 1, 3 }; /* sorted 9 6 5 4 3 1 into packs of 10: 9+1, 6+4, 5+3 */
    made *m = make_rows(lengths, 6);
    int64_t pack[6];
    static const int64_t wanted[] = { 0, 1, 0, 2, 1, 2 };
    assert_int_equal(fj_pack_best_fit(m->rows, 6, 10, pack), 3);
    assert_memory_equal(pack, wanted, sizeof wanted);
    free(m);
}

TEST(packs_hold_every_row_once_and_never_more_than_their_length)
{
    enum { N = 200 };
    made *m = random_rows(N);
    fj_loader *l = open_loader(
        m, N, (fj_loader_config){ .batch_size = 1, .accumulation = 2, .packing = true, .pack_len = 100 });
    fj_err err = { 0 };
    fj_batch_capacity room = fj_loader_capacity(l, 1);
    int64_t seen[N] = { 0 }, total = 0;
    fj_batch b;
    CHECK(room.tokens <= 100);
    CHECK_OK(fj_batch_new(&room, &b, &err));
    for (int64_t w = 0; w < fj_loader_windows(l); w++)
        for (int64_t k = 0; k < fj_loader_window(l, 0, w).n_micro; k++) {
            fj_loader_fill(l, 0, w, k, &b);
            CHECK(b.n_tokens <= 100);
            total += b.n_tokens;
            for (int64_t s = 0; s < b.n_segments; s++)
                seen[b.rows[s]]++;
        }
    for (int i = 0; i < N; i++) {
        assert_int_equal(seen[i], 1);
        total -= m->rows[i].n;
    }
    assert_int_equal(total, 0);
    CHECK(fj_loader_packs(l) <
          N * 33 / 100 + 12); /* rows fill a third of a pack on average; best fit leaves little room */
    fj_batch_free(&b);
    fj_loader_free(l);
    free(m);
}

TEST(loader_refuses_what_cannot_be_batched)
{
    const int lengths[] = { 5 };
    made *m = make_rows(lengths, 1);
    fj_err err = { 0 };
    fj_loader *l = NULL;
    assert_int_equal(fj_loader_new(m->rows, 1, &(fj_loader_config){ .batch_size = 0, .accumulation = 1 }, &l, &err),
                     FJ_ERR_ARG);
    assert_int_equal(fj_loader_new(m->rows, 0, &(fj_loader_config){ .batch_size = 1, .accumulation = 1 }, &l, &err),
                     FJ_ERR_ARG);
    fj_loader_config packed = { .batch_size = 1, .accumulation = 1, .packing = true, .pack_len = 4 };
    assert_int_equal(fj_loader_new(m->rows, 1, &packed, &l, &err), FJ_ERR_ARG);
    CHECK_TEXT(err.message, "packs of 4 tokens cannot hold a row of 5");
    free(m);
}
