/* SPDX-License-Identifier: Apache-2.0
 * See tar.h. Blocks of 512 bytes: a header, the file, filled up; two empty blocks at the end.
 *
 *   0 name (100) | 124 size (12, octal, or big-endian with the first bit set) | 148 sum (8) | 156 type | 257 "ustar" | 345 prefix (155)
 *
 * Longer names stand before the header in entries of their own: type L (GNU), or x with lines "LENGTH path=NAME" (pax). */
#include "formats/tar.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "formats/recognize.h"

enum { BLOCK = 512, MAX_FILES = 1 << 20 };
#define GET_AGAIN "the download was cut or the file is damaged; get it again"

typedef struct entry {
    fj_text name, prefix, data;
    char type;
} entry;

typedef struct archive {
    const char *data;
    size_t len, at;
    const char *name;
} archive;

static fj_status damaged(const archive *a, fj_err *err)
{
    (void)fj_fail(err, FJ_ERR_FORMAT, "%s: a tar archive that is damaged at byte %zu", a->name, a->at);
    return fj_hint(err, GET_AGAIN);
}

static bool number(const char *field, size_t n, uint64_t *out)
{
    *out = 0;
    if (field[0] & 0x80) { /* big-endian; 8 bytes hold any size */
        for (size_t i = 1; i < n; i++) {
            if (*out >> 56)
                return false;
            *out = *out << 8 | (unsigned char)field[i];
        }
        return true;
    }
    size_t i = 0;
    while (i < n && field[i] == ' ')
        i++;
    for (; i < n && field[i] >= '0' && field[i] <= '7'; i++)
        *out = *out << 3 | (uint64_t)(field[i] - '0');
    return i == n || field[i] == ' ' || !field[i];
}

/* The sum of the header's bytes, its own field taken as blanks. */
static bool has_right_sum(const char *header)
{
    uint64_t wanted, sum = 0;
    for (int i = 0; i < BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : (unsigned char)header[i];
    return number(header + 148, 8, &wanted) && sum == wanted;
}

static fj_text field(const char *at, size_t most)
{
    return (fj_text){ at, strnlen(at, most) };
}

/* *is_end at an empty block, or where the file ends between two files. */
static fj_status next(archive *a, entry *e, bool *is_end, fj_err *err)
{
    static const char empty[BLOCK];
    const char *header = a->data + a->at;
    uint64_t size;
    *is_end = a->at == a->len || (a->len - a->at >= BLOCK && !memcmp(header, empty, BLOCK));
    if (*is_end)
        return FJ_OK;
    if (a->len - a->at < BLOCK || !has_right_sum(header) || !number(header + 124, 12, &size) ||
        size > a->len - a->at - BLOCK)
        return damaged(a, err);
    bool is_ustar = !memcmp(header + 257, "ustar", 5);
    *e = (entry){ .name = field(header, 100), .data = { header + BLOCK, (size_t)size }, .type = header[156] };
    if (is_ustar && !memcmp(header + 257, "ustar\0", 6))
        e->prefix = field(header + 345, 155);
    size_t filled = ((size_t)size + BLOCK - 1) / BLOCK * BLOCK;
    a->at += BLOCK + FJ_MIN(filled, a->len - a->at - BLOCK);
    return FJ_OK;
}

/* The value of "path" in a pax header; empty when it has none. Sizes that need a pax header are beyond any file of weights' slices. */
static fj_text pax_path(fj_text records)
{
    while (records.len) {
        size_t n = 0, digits = 0;
        while (digits < records.len && records.data[digits] >= '0' && records.data[digits] <= '9' && n <= records.len)
            n = 10 * n + (size_t)(records.data[digits++] - '0');
        if (!digits || n > records.len || n < digits + 2)
            break;
        fj_text line = { records.data + digits + 1, n - digits - 2 };
        if (fj_text_starts(line, "path="))
            return (fj_text){ line.data + 5, line.len - 5 };
        records = (fj_text){ records.data + n, records.len - n };
    }
    return (fj_text){ 0 };
}

static fj_status add(const archive *a, const entry *e, fj_text long_name, fj_arena *arena, fj_index *out, fj_err *err)
{
    fj_text name = long_name.len ? long_name : e->name;
    fj_str whole = { 0 };
    if (!long_name.len && e->prefix.len) {
        fj_str_add(&whole, e->prefix.data, e->prefix.len);
        fj_str_add_char(&whole, '/');
    }
    fj_str_add(&whole, name.data, name.len);
    const char *text = whole.data ? whole.data : "";
    while (!strncmp(text, "./", 2))
        text += 2;
    fj_tensor file = { .name = fj_arena_text(arena, text, strlen(text)), .data = e->data.data, .bytes = e->data.len };
    bool is_text = fj_utf8_valid(text, strlen(text));
    fj_str_free(&whole);
    if (!file.name || whole.failed)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", a->name);
    if (!is_text)
        return damaged(a, err);
    if (!fj_index_add(out, &file))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.100s' is there twice", a->name, file.name);
    return FJ_OK;
}

/* Files alone are kept: with out NULL they are only counted. */
static fj_status walk(archive *a, fj_arena *arena, fj_index *out, size_t *n, fj_err *err)
{
    fj_text long_name = { 0 };
    entry e;
    bool is_end = false;
    fj_status st = next(a, &e, &is_end, err);
    for (*n = 0; !st && !is_end; st = st ? st : next(a, &e, &is_end, err)) {
        if (e.type == 'L') {
            long_name = (fj_text){ e.data.data, strnlen(e.data.data, e.data.len) };
        } else if (e.type == 'x') {
            long_name = pax_path(e.data);
        } else if (e.type == '0' || !e.type) {
            if (out)
                st = add(a, &e, long_name, arena, out, err);
            ++*n;
            long_name = (fj_text){ 0 };
        } else {
            long_name = (fj_text){ 0 }; /* a folder, a link */
        }
    }
    return st;
}

fj_status fj_tar_list(const void *bytes, size_t len, const char *name, fj_arena *arena, fj_index *out, fj_err *err)
{
    archive a = { .data = bytes, .len = len, .name = name };
    size_t n = 0;
    if (len < BLOCK || !has_right_sum(bytes))
        return fj_wrong_file(name, bytes, len, "a tar archive", err);
    fj_status st = walk(&a, arena, NULL, &n, err);
    if (!st && n > MAX_FILES)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: %zu files, at most %d are read", name, n, MAX_FILES);
    if (!st && !fj_index_init(out, arena, n))
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", name);
    a.at = 0;
    return st ? st : walk(&a, arena, out, &n, err);
}
