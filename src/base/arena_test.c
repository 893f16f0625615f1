/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include "tests/test.h"

TEST(arena_gives_aligned_zeroed_memory_that_does_not_overlap)
{
    fj_arena *arena = fj_arena_new();
    unsigned char *all[300];
    for (size_t i = 0; i < FJ_LEN(all); i++) {
        size_t size = i * 37;
        all[i] = fj_arena_take(arena, size);
        CHECK(all[i] != NULL && (uintptr_t)all[i] % 64 == 0);
        for (size_t b = 0; b < size; b++)
            CHECK(all[i][b] == 0);
        memset(all[i], (int)(i & 0xff), size);
    }
    for (size_t i = 0; i < FJ_LEN(all); i++)
        for (size_t b = 0; b < i * 37; b++)
            CHECK(all[i][b] == (i & 0xff));
    CHECK(fj_arena_bytes(arena) >= 37 * 300 * 299 / 2);
    fj_arena_free(arena);
    fj_arena_free(NULL);
}

TEST(arena_keeps_its_open_block_when_something_large_comes_between)
{
    fj_arena *arena = fj_arena_new();
    char *before = fj_arena_take(arena, 64);
    CHECK(fj_arena_take(arena, 1 << 20) != NULL);
    char *after = fj_arena_take(arena, 64);
    CHECK(after - before == 64);
    fj_arena_free(arena);
}

TEST(arena_refuses_sizes_that_nothing_can_hold)
{
    fj_arena *arena = fj_arena_new();
    CHECK(fj_arena_take(arena, SIZE_MAX) == NULL);
    CHECK(fj_arena_take(arena, SIZE_MAX - 128) == NULL);
    CHECK(fj_arena_array(arena, SIZE_MAX / 8, 16) == NULL);
    CHECK(fj_arena_text(arena, "", SIZE_MAX) == NULL);
    CHECK(fj_arena_take(arena, 1) != NULL); /* and goes on */
    fj_arena_free(arena);
}

TEST(arena_copies_and_prints_text)
{
    fj_arena *arena = fj_arena_new();
    CHECK_TEXT(fj_arena_text(arena, "forja!", 5), "forja");
    CHECK_TEXT(fj_arena_text(arena, NULL, 0), "");
    CHECK_TEXT(fj_arena_printf(arena, "%s-%05d", "checkpoint", 42), "checkpoint-00042");
    fj_arena_free(arena);
}

TEST(checked_sizes_tell_overflow_and_leave_the_result_alone)
{
    size_t out = 7;
    CHECK(!fj_mul_size(SIZE_MAX, 2, &out) && out == 7);
    CHECK(!fj_add_size(SIZE_MAX, 1, &out) && out == 7);
    CHECK(fj_mul_size(SIZE_MAX, 1, &out) && out == SIZE_MAX);
    CHECK(fj_add_size(SIZE_MAX - 1, 1, &out) && out == SIZE_MAX);
    CHECK(fj_mul_size(0, SIZE_MAX, &out) && out == 0);
}
