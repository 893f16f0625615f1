/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/tensor.h"

#include "tests/test.h"

TEST(shapes_count_rows_and_columns)
{
    fj_shape s = { 3, { 2, 3, 5 } }, scalar = { 0 };
    CHECK(fj_shape_count(&s) == 30 && fj_shape_rows(&s) == 6 && fj_shape_cols(&s) == 5);
    CHECK(fj_shape_count(&scalar) == 1 && fj_shape_rows(&scalar) == 1 && fj_shape_cols(&scalar) == 1);
    fj_shape one = fj_shape_1(7), two = fj_shape_2(4, 7);
    CHECK(one.rank == 1 && fj_shape_rows(&one) == 1 && fj_shape_cols(&one) == 7);
    CHECK(two.rank == 2 && fj_shape_rows(&two) == 4 && fj_shape_count(&two) == 28);
}

TEST(shapes_are_equal_in_rank_and_every_dimension)
{
    fj_shape a = { 2, { 2, 3, 9 } }, b = { 2, { 2, 3, 8 } }, c = { 3, { 2, 3, 9 } }, d = { 2, { 2, 4 } };
    CHECK(fj_shape_equal(&a, &b) && !fj_shape_equal(&a, &c) && !fj_shape_equal(&a, &d));
}

TEST(shapes_are_written_slowest_first)
{
    char out[96];
    fj_shape s = fj_shape_2(32000, 4096), scalar = { 0 }, large = { 4, { INT64_MAX, INT64_MIN, INT64_MIN, INT64_MIN } };
    CHECK_TEXT(fj_shape_text(&s, out), "32000x4096");
    CHECK_TEXT(fj_shape_text(&scalar, out), "scalar");
    CHECK(strlen(fj_shape_text(&large, out)) < sizeof out);
}
