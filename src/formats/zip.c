/* SPDX-License-Identifier: Apache-2.0
 * See zip.h. The directory stands at the end of the file:
 *
 *   entries, each behind a header of its own | directory | [end of zip64 | its place] | end
 *
 * 32 bits all ones stand for a number that zip64's extra field has. */
#include "formats/zip.h"

#include <string.h>

#include "base/cursor.h"
#include "base/utf8.h"
#include "formats/recognize.h"

enum {
    MAX_ENTRIES = 1 << 20,
    END_BYTES = 22,
    PLACE_BYTES = 20, /* of zip64's end */
    ENTRY_BYTES = 46, /* in the directory, without name, extra field and comment */
    LOCAL_BYTES = 30, /* before the entry itself, likewise */
    MOST_COMMENT = 65535,
    IS_ENCRYPTED = 1,
};
#define END       0x06054b50u
#define END64     0x06064b50u
#define PLACE64   0x07064b50u
#define ENTRY     0x02014b50u
#define LOCAL     0x04034b50u
#define ALL_ONES  0xffffffffu
#define GET_AGAIN "the download was cut or the file is damaged; get it again"

typedef struct archive {
    const unsigned char *data;
    size_t len;
    const char *name;
    uint64_t n, at, bytes; /* of the directory */
} archive;

static fj_status damaged(const archive *a, const char *what, fj_err *err)
{
    (void)fj_fail(err, FJ_ERR_FORMAT, "%s: a zip archive %s", a->name, what);
    return fj_hint(err, GET_AGAIN);
}

static fj_cursor over(const archive *a, uint64_t at, uint64_t len)
{
    fj_cursor c = fj_cursor_over(a->data, a->len);
    (void)fj_cursor_take(&c, at);
    fj_text view = fj_cursor_take(&c, len);
    fj_cursor inner = fj_cursor_over(view.data, view.len);
    inner.bad = c.bad;
    return inner;
}

/* The last place where the end record and its comment fit exactly. */
static bool find_end(const archive *a, size_t *out)
{
    for (size_t back = END_BYTES; back <= a->len && back <= END_BYTES + MOST_COMMENT; back++) {
        fj_cursor c = over(a, a->len - back, END_BYTES);
        if (fj_cursor_u32(&c) != END)
            continue;
        (void)fj_cursor_take(&c, 16);
        *out = a->len - back;
        if (fj_cursor_u16(&c) == back - END_BYTES)
            return true;
    }
    return false;
}

static fj_status read_end64(archive *a, size_t end, fj_err *err)
{
    fj_cursor place = over(a, end - FJ_MIN(end, (size_t)PLACE_BYTES), PLACE_BYTES);
    if (fj_cursor_u32(&place) != PLACE64)
        return FJ_OK;
    (void)fj_cursor_u32(&place);
    fj_cursor c = over(a, fj_cursor_u64(&place), 56);
    bool is_end = fj_cursor_u32(&c) == END64;
    (void)fj_cursor_take(&c, 28); /* its size, versions, volumes, entries of this volume */
    a->n = fj_cursor_u64(&c);
    a->bytes = fj_cursor_u64(&c);
    a->at = fj_cursor_u64(&c);
    return c.bad || !is_end ? damaged(a, "without the end that zip64 needs", err) : FJ_OK;
}

static fj_status read_end(archive *a, fj_err *err)
{
    size_t end;
    if (!find_end(a, &end))
        return damaged(a, "without its directory", err);
    fj_cursor c = over(a, end, END_BYTES);
    (void)fj_cursor_take(&c, 8);
    uint16_t here = fj_cursor_u16(&c);
    a->n = fj_cursor_u16(&c);
    a->bytes = fj_cursor_u32(&c);
    a->at = fj_cursor_u32(&c);
    if (here != a->n)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: a zip archive of several volumes", a->name);
    fj_status st = read_end64(a, end, err);
    if (!st && (a->at > end || a->bytes > end - a->at || a->n > a->bytes / ENTRY_BYTES))
        return damaged(a, "whose directory is not whole", err);
    if (!st && a->n > MAX_ENTRIES)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: %llu entries, at most %d are read", a->name, (unsigned long long)a->n,
                       MAX_ENTRIES);
    return st;
}

/* Numbers that did not fit 32 bits, in this order, those alone. */
static void read_extra64(fj_text extra, uint64_t *const numbers[3])
{
    fj_cursor c = fj_cursor_over(extra.data, extra.len);
    while (fj_cursor_left(&c) >= 4) {
        uint16_t kind = fj_cursor_u16(&c);
        fj_text field = fj_cursor_take(&c, fj_cursor_u16(&c));
        fj_cursor f = fj_cursor_over(field.data, field.len);
        for (int i = 0; kind == 1 && i < 3; i++)
            if (*numbers[i] == ALL_ONES && fj_cursor_left(&f) >= 8)
                *numbers[i] = fj_cursor_u64(&f);
    }
}

static fj_status read_entry(const archive *a, fj_cursor *c, fj_arena *arena, fj_index *out, fj_err *err)
{
    bool is_entry = fj_cursor_u32(c) == ENTRY;
    (void)fj_cursor_u32(c);
    uint16_t flags = fj_cursor_u16(c), method = fj_cursor_u16(c);
    (void)fj_cursor_u64(c); /* time, date, checksum */
    uint64_t packed = fj_cursor_u32(c), size = fj_cursor_u32(c);
    uint16_t n_name = fj_cursor_u16(c), n_extra = fj_cursor_u16(c), n_comment = fj_cursor_u16(c);
    (void)fj_cursor_u64(c);
    uint64_t at = fj_cursor_u32(c);
    fj_text name = fj_cursor_take(c, n_name), extra = fj_cursor_take(c, n_extra);
    (void)fj_cursor_take(c, n_comment);
    if (c->bad || !is_entry)
        return damaged(a, "whose directory is not whole", err);
    read_extra64(extra, (uint64_t *const[3]){ &size, &packed, &at });
    if (!name.len || memchr(name.data, 0, name.len) || !fj_utf8_valid(name.data, name.len))
        return damaged(a, "with a name that is no text", err);
    fj_cursor local = over(a, at, LOCAL_BYTES);
    bool is_local = fj_cursor_u32(&local) == LOCAL;
    (void)fj_cursor_take(&local, 22);
    uint64_t before = at + LOCAL_BYTES + fj_cursor_u16(&local);
    before += fj_cursor_u16(&local);
    fj_cursor whole = over(a, before, packed);
    if (!is_local || local.bad || whole.bad)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.*s' does not lie in the archive", a->name, (int)FJ_MIN(n_name, 100),
                       name.data);
    bool is_stored = !method && !(flags & IS_ENCRYPTED) && packed == size;
    fj_tensor entry = { .name = fj_arena_text(arena, name.data, name.len),
                        .data = is_stored ? whole.data : NULL,
                        .bytes = whole.len };
    if (!entry.name)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", a->name);
    if (!fj_index_add(out, &entry))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.100s' is there twice", a->name, entry.name);
    return FJ_OK;
}

fj_status fj_zip_list(const void *bytes, size_t len, const char *name, fj_arena *arena, fj_index *out, fj_err *err)
{
    archive a = { .data = bytes, .len = len, .name = name };
    if (len < 4 || memcmp(bytes, "PK\3\4", 4) != 0)
        return fj_wrong_file(name, bytes, len, "a zip archive", err);
    fj_status st = read_end(&a, err);
    if (!st && !fj_index_init(out, arena, (size_t)a.n))
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", name);
    fj_cursor c = over(&a, a.at, a.bytes);
    for (uint64_t i = 0; !st && i < a.n; i++)
        st = read_entry(&a, &c, arena, out, err);
    return st;
}
