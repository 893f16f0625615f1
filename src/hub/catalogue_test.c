/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/test.h"

#include <strings.h>

#include "base/map.h"
#include "hub/catalogue.h"

static const char row_text[] =
    "{\"name\": \"a:1b\", \"title\": \"A\", \"purpose\": \"chat\", \"hub\": \"org/a\", \"family\": \"llama\", "
    "\"licence\": {\"commercial\": \"yes\"}, \"context\": 2048, "
    "\"parameters\": {\"total\": 10, \"active\": 10}, \"languages\": [\"es\"], \"tasks\": [\"chat\"], "
    "\"runs\": true, \"config\": {}}";

static fj_status read_row(const char *text, fj_catalogue_row *row, fj_err *err)
{
    return fj_catalogue_read(text, strlen(text), "a.json", row, err);
}

TEST(a_row_of_the_catalogue_is_read_and_a_wrong_one_is_named)
{
    static const struct {
        const char *from, *to, *says;
    } cases[] = { { "\"title\": \"A\"", "\"title\": 1", "a.json: 'title' must be text" },
                  { "\"hub\"", "\"hob\"", "a.json: 'hub' must be text" },
                  { "\"commercial\"", "\"comercial\"", "a.json: 'licence.commercial' must be text" },
                  { "\"total\": 10", "\"total\": -10", "a.json: 'parameters.total' must be a whole number above 0" },
                  { "2048", "\"2k\"", "a.json: 'context' must be a whole number above 0" },
                  { "[\"es\"]", "[1]", "a.json: 'languages' must be a list of texts" },
                  { "[\"chat\"]", "\"chat\"", "a.json: 'tasks' must be a list of texts" },
                  { "true", "null", "a.json: 'runs' must be true or false" },
                  { "{}", "[]", "a.json: 'config' must be an object" } };
    fj_err err = { 0 };
    fj_catalogue_row row;
    CHECK_OK(read_row(row_text, &row, &err));
    CHECK_TEXT(row.name, "a:1b");
    CHECK(row.runs && row.total == 10 && row.context == 2048 && !row.file && !row.company);
    CHECK(fj_catalogue_speaks(&row, "ES") && !fj_catalogue_speaks(&row, "en"));
    CHECK(fj_catalogue_does(&row, "chat") && !fj_catalogue_does(&row, "embed"));
    fj_json_free(row.json);
    for (size_t i = 0; i < FJ_LEN(cases); i++) {
        char text[sizeof row_text + 32];
        const char *at = strstr(row_text, cases[i].from);
        CHECK(at);
        (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - row_text), row_text, cases[i].to,
                       at + strlen(cases[i].from));
        CHECK(read_row(text, &row, &err) == FJ_ERR_FORMAT && !row.json);
        CHECK_TEXT(err.message, cases[i].says);
    }
    CHECK(read_row("[]", &row, &err) == FJ_ERR_FORMAT);
}

TEST(the_catalogue_is_found_by_name_alias_and_hub_id)
{
    fj_err err = { 0 };
    fj_catalogue c;
    CHECK_OK(fj_catalogue_open(&c, &err));
    const fj_catalogue_row *beto = fj_catalogue_find(&c, "beto:cased");
    CHECK(beto && beto == fj_catalogue_find(&c, "BETO") && beto == fj_catalogue_find(&c, beto->hub));
    CHECK(!fj_catalogue_find(&c, "beto:") && !fj_catalogue_find(&c, ""));
    CHECK(fj_catalogue_unknown(&c, "smollm:136m", &err) == FJ_ERR_USAGE);
    CHECK_TEXT(err.message, "no model of the catalogue is called 'smollm:136m'");
    CHECK_TEXT(err.hint, "there is smollm:1.7b, smollm:135m, smollm:360m");
    (void)fj_catalogue_unknown(&c, "betto:cased", &err);
    CHECK_TEXT(err.hint, "there is beto:cased, beto:uncased");
    (void)fj_catalogue_unknown(&c, "something else entirely", &err);
    CHECK_TEXT(err.hint, "forja models lists them");
    fj_catalogue_close(&c);
}

/* No two rows share a name, an alias or a hub id, so that a name means one model; a row's file is called as the row. */
TEST(names_of_the_catalogue_are_unique)
{
    fj_err err = { 0 };
    fj_catalogue c;
    CHECK_OK(fj_catalogue_open(&c, &err));
    CHECK(c.n > 60);
    for (size_t i = 0; i < c.n; i++) {
        const fj_json *aliases = fj_json_get(c.rows[i].json, "aliases");
        CHECK(fj_catalogue_find(&c, c.rows[i].name) == &c.rows[i]);
        CHECK(fj_catalogue_find(&c, c.rows[i].hub) == &c.rows[i]);
        CHECK(fj_json_is_array(aliases));
        for (size_t k = 0; k < fj_json_len(aliases); k++) {
            const char *alias = fj_json_string(fj_json_at(aliases, k), "");
            CHECK(*alias && strcasecmp(alias, c.rows[i].name) != 0);
            CHECK(fj_catalogue_find(&c, alias) == &c.rows[i]);
        }
    }
    fj_catalogue_close(&c);
}
