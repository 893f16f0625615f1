/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include "tests/test.h"

TEST(err_says_what_failed_and_drops_an_older_hint)
{
    fj_err err = { 0 };
    CHECK(fj_fail(&err, FJ_ERR_FORMAT, "old") == FJ_ERR_FORMAT);
    CHECK(fj_hint(&err, "do %s", "this") == FJ_ERR_FORMAT);
    CHECK_TEXT(err.hint, "do this");
    CHECK(fj_fail(&err, FJ_ERR_SHAPE, "m.gguf: '%s' is %dx%d", "w", 2, 3) == FJ_ERR_SHAPE);
    CHECK(err.status == FJ_ERR_SHAPE);
    CHECK_TEXT(err.message, "m.gguf: 'w' is 2x3");
    CHECK_TEXT(err.hint, "");
}

TEST(err_may_be_made_of_its_own_old_message)
{
    fj_err err = { 0 };
    (void)fj_fail(&err, FJ_ERR_DATA, "row is broken");
    CHECK(fj_fail(&err, FJ_ERR_FORMAT, "line 3: %s", err.message) == FJ_ERR_FORMAT);
    CHECK_TEXT(err.message, "line 3: row is broken");
    CHECK(fj_prefix(&err, "%s", "a.jsonl") == FJ_ERR_FORMAT);
    CHECK_TEXT(err.message, "a.jsonl: line 3: row is broken");
}

TEST(err_is_one_line_that_leaves_the_terminal_alone)
{
    fj_err err = { 0 };
    (void)fj_fail(&err, FJ_ERR_FORMAT, "no tensor '%s'", "a\nerror: b\x1b[2J");
    CHECK_TEXT(err.message, "no tensor 'a error: b?[2J'");
    (void)fj_prefix(&err, "%s", "x\ny");
    CHECK_TEXT(err.message, "x y: no tensor 'a error: b?[2J'");
}

TEST(err_cuts_what_is_too_long)
{
    fj_err err = { 0 };
    char name[5000];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    (void)fj_fail(&err, FJ_ERR_FAILED, "%s", name);
    CHECK(strlen(err.message) == sizeof err.message - 1);
    (void)fj_prefix(&err, "%s", name);
    CHECK(strlen(err.message) == sizeof err.message - 1);
    CHECK(strstr(err.message, "x: x") != NULL);
    (void)fj_hint(&err, "%s", name);
    CHECK(strlen(err.hint) == sizeof err.hint - 1);
}

TEST(err_gives_the_documented_exit_codes)
{
    static const int codes[] = {
        [FJ_OK] = 0,          [FJ_ERR_FAILED] = 1, [FJ_ERR_DATA] = 1,        [FJ_ERR_USAGE] = 2,
        [FJ_ERR_ARG] = 2,     [FJ_ERR_FORMAT] = 3, [FJ_ERR_SHAPE] = 3,       [FJ_ERR_MEMORY] = 4,
        [FJ_ERR_NETWORK] = 5, [FJ_ERR_CHECK] = 6,  [FJ_ERR_CANCELLED] = 130,
    };
    for (size_t i = 0; i < FJ_LEN(codes); i++)
        CHECK(fj_exit_code((fj_status)i) == codes[i]);
}
