/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/index.h"

#include <stdio.h>

#include "tests/test.h"

TEST(index_finds_every_name_and_no_other)
{
    enum { N = 1000 };
    fj_index x;
    fj_arena *arena = fj_arena_new();
    CHECK(arena && fj_index_init(&x, arena, N));
    for (int i = 0; i < N; i++) {
        fj_tensor t = { .name = fj_arena_printf(arena, "layer.%d", i), .bytes = (size_t)i };
        CHECK(fj_index_add(&x, &t) && x.n == (size_t)i + 1);
    }
    for (int i = 0; i < N; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "layer.%d", i);
        const fj_tensor *t = fj_index_find(&x, name);
        CHECK(t && t->bytes == (size_t)i && t == &x.tensors[i]);
        (void)snprintf(name, sizeof name, "layer.%d", N + i);
        CHECK(!fj_index_find(&x, name));
    }
    fj_arena_free(arena);
}

TEST(index_refuses_a_name_twice_and_may_be_empty)
{
    fj_index x;
    fj_arena *arena = fj_arena_new();
    CHECK(arena && fj_index_init(&x, arena, 0));
    CHECK(!fj_index_find(&x, "") && !fj_index_find(&x, "a"));
    CHECK(fj_index_init(&x, arena, 3));
    const fj_tensor a = { .name = "a" }, again = { .name = "a", .bytes = 7 };
    CHECK(fj_index_add(&x, &a) && !fj_index_add(&x, &again) && x.n == 1 && fj_index_find(&x, "a")->bytes == 0);
    fj_arena_free(arena);
}
