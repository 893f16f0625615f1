/* SPDX-License-Identifier: Apache-2.0
 * Values in and out: lists of ids from text, JSON on standard output. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"

fj_status fj_parse_ids(const char *text, fj_arena *arena, int32_t **ids, int64_t *n, fj_err *err)
{
    size_t most = 1;
    for (const char *p = text; *p; p++)
        most += *p == ',';
    *ids = fj_arena_array(arena, most, sizeof **ids);
    *n = 0;
    if (!*ids)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for %zu ids", most);
    while (*text) {
        size_t len = strcspn(text, ",");
        const char *start = text;
        int64_t id;
        text += len + (text[len] == ',');
        while (len && *start == ' ')
            start++, len--;
        while (len && start[len - 1] == ' ')
            len--;
        if (!fj_text_i64((fj_text){ start, len }, &id) || id < INT32_MIN || id > INT32_MAX)
            return fj_fail(err, FJ_ERR_USAGE, "'%.*s' is not a token id", (int)FJ_MIN(len, 40), start);
        (*ids)[(*n)++] = (int32_t)id;
    }
    return *n ? FJ_OK : fj_fail(err, FJ_ERR_USAGE, "no token ids");
}

fj_json *fj_json_of_ids(const int32_t *ids, size_t n)
{
    fj_json *list = fj_json_new_array();
    for (size_t i = 0; list && i < n; i++) {
        if (!fj_json_add(list, fj_json_new_int(ids[i]))) {
            fj_json_free(list);
            return NULL;
        }
    }
    return list;
}

fj_status fj_print_json(fj_json *value, int indent, fj_err *err)
{
    fj_str text = { 0 };
    fj_status st = FJ_OK;
    if (!value || !fj_json_write(value, indent, 17, &text))
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory to print the answer");
    else
        (void)printf("%s\n", text.data);
    fj_str_free(&text);
    fj_json_free(value);
    return st;
}
