/* SPDX-License-Identifier: Apache-2.0 */
#include "base/yaml.h"

#include "tests/test.h"

static void check_reads(const char *text, const char *wanted)
{
    fj_err err = { 0 };
    fj_json *v;
    fj_str s = { 0 };
    CHECK_OK(fj_yaml_parse(text, strlen(text), "f.yaml", &v, NULL, &err));
    CHECK(fj_json_write(v, 0, 9, &s));
    CHECK_TEXT(s.data, wanted);
    fj_json_free(v);
    fj_str_free(&s);
}

static void check_refuses(const char *text, const char *message)
{
    fj_err err = { 0 };
    fj_json *v, *lines;
    CHECK(fj_yaml_parse(text, strlen(text), "f.yaml", &v, &lines, &err) == FJ_ERR_USAGE);
    CHECK(v == NULL && lines == NULL);
    CHECK_TEXT(err.message, message);
}

TEST(yaml_scalars_follow_the_core_schema)
{
    check_reads("[1e-5, 1.0e-5, 3e8, .5, +3, 1., -0.0]", "[1e-5, 1e-5, 300000000.0, 0.5, 3, 1.0, -0.0]");
    check_reads("[true, True, FALSE, ~, null, '', 0x1F, 0o17]", "[true, true, false, null, null, \"\", 31, 15]");
    check_reads(
        "[no, yes, on, 1_000, 2024-01-01, 1e, ., +, +.e1, 0x, 1.2.3]",
        "[\"no\", \"yes\", \"on\", \"1_000\", \"2024-01-01\", \"1e\", \".\", \"+\", \"+.e1\", \"0x\", \"1.2.3\"]");
    check_reads("['1', \"true\", .nan]", "[\"1\", \"true\", null]");
    check_reads("a:\nb: 'it''s'\nc: \"tab\\tand \\u00e9\"",
                "{\"a\": null, \"b\": \"it's\", \"c\": \"tab\\tand \xc3\xa9\"}");
}

TEST(yaml_reads_a_training_file)
{
    check_reads("### model\nmodel_name_or_path: models/x # where it lies\nlora_target: all\nlearning_rate: 1e-4\n"
                "dataset: a,b\nurl: http://h:80/p#f\nargs: {x: [1, two]}\ntext: |\n  one\n  two\n",
                "{\"model_name_or_path\": \"models/x\", \"lora_target\": \"all\", \"learning_rate\": 0.0001, "
                "\"dataset\": \"a,b\", \"url\": \"http://h:80/p#f\", \"args\": {\"x\": [1, \"two\"]}, \"text\": "
                "\"one\\ntwo\\n\"}");
    check_reads("", "{}");
    check_reads("# nothing but this\n", "{}");
}

TEST(yaml_follows_anchors_and_merges_what_is_not_there)
{
    check_reads("base: &b {x: 1, y: 2}\nq:\n  <<: *b\n  y: 3\nr: *b",
                "{\"base\": {\"x\": 1, \"y\": 2}, \"q\": {\"y\": 3, \"x\": 1}, \"r\": {\"x\": 1, \"y\": 2}}");
    check_reads("a: &a {x: 1}\nb: &b {x: 2, y: 3}\nc: {<<: [*a, *b]}",
                "{\"a\": {\"x\": 1}, \"b\": {\"x\": 2, \"y\": 3}, \"c\": {\"x\": 1, \"y\": 3}}");
}

TEST(yaml_tells_the_lines_of_its_keys)
{
    fj_err err = { 0 };
    fj_json *v, *lines;
    const char *text = "# c\na: 1\n\nb:\n  c: 2\nd: 3\n";
    CHECK_OK(fj_yaml_parse(text, strlen(text), "f.yaml", &v, &lines, &err));
    CHECK(fj_json_len(lines) == 3 && fj_json_int(fj_json_get(lines, "a"), 0) == 2);
    CHECK(fj_json_int(fj_json_get(lines, "b"), 0) == 4 && fj_json_int(fj_json_get(lines, "d"), 0) == 6);
    fj_json_free(v);
    fj_json_free(lines);
}

TEST(yaml_errors_name_file_line_and_column)
{
    check_refuses("a: 1\nb: 2\na: 3\n", "f.yaml:3: the key 'a' is there twice");
    check_refuses("a:\n\tb: 1\n", "f.yaml:2:1: not YAML: found character that cannot start any token");
    check_refuses("a: 1\nb: *nope\n", "f.yaml:2:4: not YAML: found undefined alias");
    check_refuses("- */9", "f.yaml:1:4: not YAML: did not find expected alphabetic or numeric character");
    check_refuses("a: 1\n---\nb: 2\n", "f.yaml: holds several documents ('---'), one is read");
    check_refuses("? [1, 2]\n: 3\n", "f.yaml:1: a key must be a word");
    check_refuses("a: {<<: 5}\n", "f.yaml:1: '<<' takes a mapping or a list of mappings");
    check_refuses("a: \xff\n", "f.yaml: not YAML: not UTF-8 text");
}

TEST(yaml_of_a_few_lines_cannot_fill_the_memory)
{
    static const char *const message =
        "f.yaml: too much, or aliases that stand for too much (over 262144 values or 100 levels)";
    fj_str s = { 0 };
    fj_str_add_text(&s, "a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 30; i++)
        fj_str_printf(&s, "a%d: &a%d [*a%d, *a%d, *a%d]\n", i, i, i - 1, i - 1, i - 1);
    check_refuses(s.data, message);
    fj_str_free(&s);
    check_refuses("a: &x [*x]\n", message);
}
