/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/test.h"

#include "cli/print.h"

TEST(a_spark_line_shows_the_shape_of_values)
{
    fj_str line = { 0 };
    fj_spark((const double[]){ 0, 1, 2, 3, 4, 5, 6, 7 }, 8, 8, &line);
    CHECK_TEXT(line.data, "▁▂▃▄▅▆▇█");
    fj_str_clear(&line);
    fj_spark((const double[]){ 0, 0, 7, 7 }, 4, 2, &line);
    CHECK_TEXT(line.data, "▁█");
    fj_str_clear(&line);
    fj_spark((const double[]){ 1, NAN, 2 }, 3, 9, &line);
    CHECK_TEXT(line.data, "▁ █");
    fj_str_free(&line);
}

TEST(times_and_bars_are_short)
{
    char text[32];
    CHECK_TEXT(fj_format_seconds(65.4, text), "1:05");
    CHECK_TEXT(fj_format_seconds(3723, text), "1:02:03");
    CHECK_TEXT(fj_format_seconds(NAN, text), "?");
    CHECK_TEXT(fj_bar(0.5, 4, text), "##..");
    CHECK_TEXT(fj_bar(7, 4, text), "####");
}

TEST(a_table_aligns_its_columns)
{
    static const char *const titles[] = { "name", "size", NULL };
    fj_table t = { .titles = titles, .align = "lr" };
    fj_str out = { 0 };
    fj_table_add(&t, "ñandú");
    fj_table_add(&t, "%d", 7);
    fj_table_add(&t, "a");
    fj_table_add(&t, "12345");
    fj_table_print(&t, false, &out);
    CHECK_TEXT(out.data, "name    size\nñandú      7\na      12345\n");
    fj_str_free(&out);
    fj_table_free(&t);
}
