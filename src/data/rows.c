/* SPDX-License-Identifier: Apache-2.0
 * Rows of a file: a JSON array, JSON lines, or lines of text, told apart by the first bytes. */

#include <string.h>

#include "base/map.h"
#include "base/utf8.h"
#include "data/data_internal.h"

static fj_status row_failed(const fj_row_source *s, int64_t number, int64_t line, fj_err *err)
{
    if (line && line != number)
        return fj_prefix(err, "%s: row %lld (line %lld)", s->path, (long long)number, (long long)line);
    return fj_prefix(err, "%s: row %lld", s->path, (long long)number);
}

static bool is_blank(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!strchr(" \t\r", text[i]) || !text[i])
            return false;
    return true;
}

/* One line: JSON, or a text as it stands. */
static fj_status take_line(const fj_row_source *s, fj_text line, int64_t number, const fj_row_sink *sink, fj_err *err)
{
    fj_json *row = NULL;
    fj_status st;
    if (s->is_lines_of_text) {
        if (!fj_utf8_valid(line.data, line.len))
            return fj_fail(err, FJ_ERR_DATA, "the text is not valid UTF-8");
        row = fj_json_new_text(line.data, line.len);
        st = row ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for a row");
    } else {
        fj_err inner = { 0 };
        st = fj_json_parse(line.data, line.len, "", false, &row, &inner);
        if (st) {
            const char *what = inner.message + strspn(inner.message, ":, ");
            (void)fj_fail(err, st == FJ_ERR_FORMAT ? FJ_ERR_DATA : st, "%.300s", what);
            return fj_hint(err, "a JSONL file has one whole object on each line");
        }
    }
    if (!st)
        st = sink->take(sink->context, row, number, err);
    fj_json_free(row);
    return st;
}

static fj_status read_lines(const fj_row_source *s, const fj_str *file, int64_t most, const fj_row_sink *sink,
                            fj_err *err)
{
    int64_t number = 0, line = 0;
    for (size_t at = 0; at < file->len && (!most || number < most);) {
        const char *end = memchr(file->data + at, '\n', file->len - at);
        size_t len = end ? (size_t)(end - file->data) - at : file->len - at;
        fj_text row = { file->data + at, len };
        at += len + (end != NULL);
        line++;
        if (is_blank(row.data, row.len))
            continue; /* no row */
        if (row.data[row.len - 1] == '\r')
            row.len--;
        number++;
        fj_status st = take_line(s, row, number, sink, err);
        if (st == FJ_ERR_DATA)
            return row_failed(s, number, line, err);
        if (st)
            return st;
    }
    return FJ_OK;
}

static fj_status read_array(const fj_row_source *s, const fj_str *file, int64_t most, const fj_row_sink *sink,
                            fj_err *err)
{
    fj_json *all = NULL;
    fj_status st = fj_json_parse(file->data, file->len, s->path, false, &all, err);
    if (st) {
        err->status = st == FJ_ERR_FORMAT ? FJ_ERR_DATA : st; /* a broken data file, not a broken model */
        return err->status;
    }
    size_t n = fj_json_len(all);
    if (most && (int64_t)n > most)
        n = (size_t)most;
    for (size_t i = 0; !st && i < n; i++) {
        st = sink->take(sink->context, fj_json_at(all, i), (int64_t)i + 1, err);
        if (st == FJ_ERR_DATA)
            (void)row_failed(s, (int64_t)i + 1, 0, err);
    }
    fj_json_free(all);
    return st;
}

fj_status fj_rows_read(const fj_row_source *s, int64_t most, const fj_row_sink *sink, fj_err *err)
{
    fj_str file = { 0 };
    fj_status st = fj_file_read(s->path, FJ_DATA_MAX_FILE, &file, err);
    if (st) {
        if (st == FJ_ERR_FORMAT)
            err->status = FJ_ERR_DATA;
        return err->status;
    }
    size_t start = file.len >= 3 && memcmp(file.data, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    size_t first = start;
    while (first < file.len && strchr(" \t\r\n", file.data[first]) && file.data[first])
        first++;
    memset(file.data ? file.data : (char[1]){ 0 }, ' ', file.data ? start : 0); /* a byte-order mark is no text */
    if (first >= file.len)
        st = fj_fail(err, FJ_ERR_DATA, "%s: the file is empty", s->path);
    else if (file.data[first] == '[' && !s->is_lines_of_text)
        st = read_array(s, &file, most, sink, err);
    else
        st = read_lines(s, &file, most, sink, err);
    fj_str_free(&file);
    return st;
}
