/* SPDX-License-Identifier: Apache-2.0
 * Importance matrices in both forms, whole and broken. */
#include "formats/imatrix.h"

#include <math.h>

#include "base/map.h"
#include "formats/test_files.h"

enum { F32 = 0, F16 = 1 }; /* GGUF's ids */

static void put_values(fj_str *s, const float *values, size_t n)
{
    fj_str_add(s, values, n * sizeof *values);
}

static void put_i32_text(fj_str *s, const char *text)
{
    put_u32(s, (uint32_t)strlen(text));
    fj_str_add_text(s, text);
}

TEST(an_importance_matrix_comes_back_as_it_was_written)
{
    fj_err err = { 0 };
    fj_imatrix *m = fj_imatrix_new(2), *back = NULL;
    const char *names[] = { "a.txt", "b.txt" };
    fj_importance *a = fj_imatrix_add(m, "blk.0.attn_q.weight", 3, 1), *b = fj_imatrix_add(m, "blk.0.x.weight", 4, 2);
    CHECK(a && b && !fj_imatrix_find(m, "blk.1.x.weight"));
    memcpy(a->sums, (float[]){ 8, 0, 2 }, 12);
    a->counts[0] = 4;
    memcpy(b->sums, (float[]){ 1, 2, 0, 0 }, 16);
    memcpy(b->counts, (float[]){ 2, 0 }, 8);
    m->datasets = names;
    m->n_datasets = 2;
    m->chunks = 7;
    m->chunk_size = 512;
    const char *path = test_temporary("imatrix.gguf");
    CHECK_OK(fj_imatrix_write(m, path, &err));
    CHECK_OK(fj_imatrix_read(path, &back, &err));
    CHECK(fj_imatrix_count(back) == 2 && back->chunks == 7 && back->chunk_size == 512 && back->n_datasets == 2);
    CHECK_TEXT(back->datasets[1], "b.txt");
    const fj_importance *q = fj_imatrix_find(back, "blk.0.attn_q.weight"), *x = fj_imatrix_find(back, "blk.0.x.weight");
    float means[3];
    fj_importance_means(q, 0, 3, means);
    CHECK(q->n_values == 3 && means[0] == 2 && means[1] == 0 && means[2] == 0.5f);
    fj_importance_means(x, 0, 2, means);
    CHECK(x->n_counts == 2 && means[0] == 0.5f && means[1] == 1);
    fj_importance_means(x, 1, 2, means); /* an idle expert: all columns alike */
    CHECK(means[0] == 1 && means[1] == 1);
    fj_imatrix_free(back);
    fj_imatrix_free(m);
}

/* One entry "blk.0.w" of two values and the tail. */
static void put_older(fj_str *s)
{
    put_u32(s, 1);
    put_i32_text(s, "blk.0.w");
    put_u32(s, 5);
    put_u32(s, 2);
    put_values(s, (float[]){ 10, 30 }, 2);
    put_u32(s, 9);
    put_i32_text(s, "text");
}

TEST(the_older_form_is_read_with_and_without_its_tail)
{
    fj_err err = { 0 };
    fj_str s = { 0 };
    fj_imatrix *m = NULL;
    float means[2];
    put_older(&s);
    for (int tail = 1; tail >= 0; tail--) {
        CHECK_OK(fj_imatrix_from_bytes(s.data, tail ? s.len : s.len - 12, &m, &err));
        fj_importance_means(fj_imatrix_find(m, "blk.0.w"), 0, 2, means);
        CHECK(means[0] == 2 && means[1] == 6);
        CHECK(m->chunks == (tail ? 9u : 0u) && m->n_datasets == (size_t)tail);
        fj_imatrix_free(m);
    }
    fj_str_free(&s);
}

static void check_refused(const fj_str *s, const char *message)
{
    fj_err err = { 0 };
    fj_imatrix *m = NULL;
    CHECK(fj_imatrix_from_bytes(s->data, s->len, &m, &err) == FJ_ERR_FORMAT && !m);
    CHECK_TEXT(err.message, message);
}

TEST(every_cut_of_the_older_form_is_refused)
{
    fj_str s = { 0 };
    put_older(&s);
    for (size_t len = 0; len < s.len - 12; len++) {
        fj_err err = { 0 };
        fj_imatrix *m = NULL;
        CHECK(fj_imatrix_from_bytes(s.data, len, &m, &err) == FJ_ERR_FORMAT && !m);
    }
    fj_str_free(&s);
}

/* An older file of two entries; what is broken in it says `broken`. */
typedef enum broken { TWICE, EMPTY_NAME, NO_VALUES, NEGATIVE, INFINITE, NEGATIVE_CALLS } broken;

static void put_broken(fj_str *s, broken what)
{
    put_u32(s, 2);
    put_i32_text(s, "a");
    put_u32(s, 1);
    put_u32(s, 1);
    put_values(s, (float[]){ 1 }, 1);
    put_i32_text(s, what == TWICE ? "a" : what == EMPTY_NAME ? "" : "b");
    put_u32(s, what == NEGATIVE_CALLS ? (uint32_t)-3 : 1);
    put_u32(s, what == NO_VALUES ? 0 : 1);
    put_values(s, (float[]){ what == NEGATIVE ? -1 : what == INFINITE ? INFINITY : 1 }, 1);
    put_zeros(s, 32);
}

TEST(older_files_that_are_broken_are_refused)
{
    static const char *const messages[] = {
        [TWICE] = "(memory): 'a' is there twice",
        [EMPTY_NAME] = "(memory): entry 2 of an importance matrix is broken",
        [NO_VALUES] = "(memory): entry 2 of an importance matrix is broken",
        [NEGATIVE] = "(memory): 'b' has values that are no sums of squares",
        [INFINITE] = "(memory): 'b' has values that are no sums of squares",
        [NEGATIVE_CALLS] = "(memory): 'b' has values that are no sums of squares",
    };
    for (size_t i = 0; i < FJ_LEN(messages); i++) {
        fj_str s = { 0 };
        put_broken(&s, (broken)i);
        check_refused(&s, messages[i]);
        fj_str_free(&s);
    }
}

/* A GGUF file with w.in_sum2 (n_values) and w.counts (n_counts; 0: none). */
static void put_newer(fj_str *s, uint64_t n_values, uint64_t n_counts, uint32_t type, float value)
{
    put_gguf(s, 3, n_counts ? 2 : 1, 1);
    put_key_text(s, "general.type", "imatrix");
    put_tensor(s, "w.in_sum2", (uint64_t[8]){ n_values }, type, 0);
    if (n_counts)
        put_tensor(s, "w.counts", (uint64_t[8]){ 1, n_counts }, F32, 32);
    pad_to(s, 32);
    put_values(s, (float[]){ value, 1, 1, 1, 1, 1, 1, 1 }, 8);
    put_values(s, (float[]){ 2, 2, 2, 2 }, 4);
}

TEST(gguf_files_that_are_no_importance_matrices_are_refused)
{
    static const struct {
        uint64_t n_values, n_counts;
        uint32_t type;
        float value;
        const char *message;
    } cases[] = {
        { 4, 0, F32, 1, "(memory): 'w.in_sum2' has no counts that fit it" },
        { 4, 3, F32, 1, "(memory): 'w.in_sum2' has no counts that fit it" },
        { 4, 1, F16, 1, "(memory): 'w.in_sum2' has no counts that fit it" },
        { 4, 2, F32, NAN, "(memory): 'w' has values that are no sums of squares" },
    };
    for (size_t i = 0; i < FJ_LEN(cases); i++) {
        fj_str s = { 0 };
        put_newer(&s, cases[i].n_values, cases[i].n_counts, cases[i].type, cases[i].value);
        check_refused(&s, cases[i].message);
        fj_str_free(&s);
    }
    fj_str s = { 0 };
    put_gguf(&s, 3, 0, 0);
    check_refused(&s, "(memory) is no importance matrix: it has no tensor of sums");
    fj_str_free(&s);
    fj_err err = { 0 };
    fj_imatrix *m = NULL;
    put_newer(&s, 4, 2, F32, 1);
    CHECK_OK(fj_imatrix_from_bytes(s.data, s.len, &m, &err));
    fj_imatrix_free(m);
    fj_str_free(&s);
}
