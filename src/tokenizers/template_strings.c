/* SPDX-License-Identifier: Apache-2.0
 * Cutting and changing texts: case, strip, replace, split. Python's rules. */

#include <string.h>

#include "base/utf8.h"
#include "tokenizers/template_strings.h"

bool fj_tpl_name_of(tpl_run *run, tpl_value v, char **out)
{
    if (v.kind != TPL_TEXT)
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "expected a text, got %s", fj_tpl_type(v));
    *out = fj_tpl_take(run, v.text->len + 1);
    if (*out)
        memcpy(*out, v.text->data, v.text->len);
    return *out != NULL;
}

/* ---- case --------------------------------------------------------------------------------------------------------- */

static bool add_case(tpl_run *run, tpl_buf *b, const tpl_text *s, size_t at, size_t n, bool upper)
{
    unsigned char c = (unsigned char)s->data[at];
    bool marked = s->marks ? s->marks[at] : s->marked;
    if (c < 0x80) {
        char letter = (char)c;
        if (upper && c >= 'a' && c <= 'z')
            letter = (char)(c - 32);
        if (!upper && c >= 'A' && c <= 'Z')
            letter = (char)(c + 32);
        return fj_tpl_add(run, b, &letter, 1, marked);
    }
    fj_str changed = { 0 };
    if (upper)
        fj_utf8_upper(s->data + at, n, &changed);
    else
        fj_utf8_lower(s->data + at, n, &changed);
    bool ok = changed.failed ? fj_tpl_fail(run, FJ_ERR_MEMORY, "no memory for the text")
                             : fj_tpl_add(run, b, changed.data, changed.len, marked);
    fj_str_free(&changed);
    return ok;
}

static bool is_letter(const tpl_text *s, size_t at)
{
    uint32_t code;
    if (!fj_utf8_get(s->data + at, s->len - at, &code))
        return false;
    const char *category = fj_unicode_category(code);
    return category[0] == 'L' && category[1] != 'o' && category[1] != 'm'; /* cased letters */
}

bool fj_tpl_case(tpl_run *run, const tpl_text *s, tpl_case mode, tpl_value *out)
{
    tpl_buf b = { 0 };
    bool starts = true; /* the next character starts a word */
    if (!fj_tpl_charge(run, s->len / 16))
        return false;
    for (size_t at = 0, n; at < s->len; at += n) {
        size_t space_n;
        n = fj_tpl_char_at(s, at);
        bool upper = mode == TPL_UPPER || (mode != TPL_LOWER && starts);
        if (!add_case(run, &b, s, at, n, upper))
            return false;
        if (mode == TPL_TITLE)
            starts = !is_letter(s, at);
        else if (mode == TPL_TITLE_WORDS)
            starts = fj_tpl_is_space(s->data, s->len, at, &space_n) || (s->data[at] && strchr("-({[<", s->data[at]));
        else
            starts = false;
    }
    return fj_tpl_done(run, &b, out);
}

/* ---- strip -------------------------------------------------------------------------------------------------------- */

static bool in_set(const tpl_text *s, size_t at, size_t n, const tpl_text *set)
{
    size_t space;
    if (!set)
        return fj_tpl_is_space(s->data, s->len, at, &space);
    for (size_t i = 0, m; i < set->len; i += m) {
        m = fj_tpl_char_at(set, i);
        if (m == n && memcmp(set->data + i, s->data + at, n) == 0)
            return true;
    }
    return false;
}

bool fj_tpl_strip(tpl_run *run, const tpl_text *s, tpl_value chars, bool left, bool right, tpl_value *out)
{
    const tpl_text *set = chars.kind == TPL_TEXT ? chars.text : NULL;
    size_t from = 0, to = s->len;
    if (chars.kind != TPL_TEXT && chars.kind != TPL_ABSENT && chars.kind != TPL_NONE)
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "strip: expected a text, got %s", fj_tpl_type(chars));
    if (!fj_tpl_charge(run, set ? s->len / 64 * (set->len + 1) : s->len / 64))
        return false;
    while (left && from < to && in_set(s, from, fj_tpl_char_at(s, from), set))
        from += fj_tpl_char_at(s, from);
    while (right && to > from) {
        size_t back = to - 1;
        while (back > from && ((unsigned char)s->data[back] & 0xC0) == 0x80)
            back--;
        if (!in_set(s, back, to - back, set))
            break;
        to = back;
    }
    return fj_tpl_part(run, s, from, to, out);
}

/* ---- search, replace, split --------------------------------------------------------------------------------------- */

size_t fj_tpl_search(const tpl_text *s, size_t from, const tpl_text *what)
{
    if (what->len == 0)
        return from <= s->len ? from : SIZE_MAX;
    while (from < s->len && s->len - from >= what->len) {
        const char *hit = memchr(s->data + from, what->data[0], s->len - from - what->len + 1);
        if (!hit)
            return SIZE_MAX;
        from = (size_t)(hit - s->data);
        if (memcmp(hit, what->data, what->len) == 0)
            return from;
        from++;
    }
    return SIZE_MAX;
}

size_t fj_tpl_search_last(const tpl_text *s, size_t to, const tpl_text *what)
{
    if (what->len > to)
        return SIZE_MAX;
    for (size_t at = to - what->len + 1; at-- > 0;)
        if (memcmp(s->data + at, what->data, what->len) == 0)
            return at;
    return SIZE_MAX;
}

bool fj_tpl_replace(tpl_run *run, const tpl_text *s, const tpl_text *old, const tpl_text *new, int64_t count,
                    tpl_value *out)
{
    tpl_buf b = { 0 };
    size_t at = 0;
    if (!fj_tpl_charge(run, s->len / 64))
        return false;
    for (; count != 0; count--) {
        size_t hit = fj_tpl_search(s, at, old);
        if (hit == SIZE_MAX)
            break;
        if (!fj_tpl_charge(run, 1) || !fj_tpl_add_part(run, &b, s, at, hit) ||
            !fj_tpl_add_part(run, &b, new, 0, new->len))
            return false;
        at = hit + old->len;
        if (old->len == 0) { /* Python: between all characters */
            if (at >= s->len)
                break;
            size_t n = fj_tpl_char_at(s, at);
            if (!fj_tpl_add_part(run, &b, s, at, at + n))
                return false;
            at += n;
        }
    }
    return fj_tpl_add_part(run, &b, s, at, s->len) && fj_tpl_done(run, &b, out);
}

static bool add_piece(tpl_run *run, tpl_list *list, const tpl_text *s, size_t from, size_t to)
{
    tpl_value piece;
    return fj_tpl_part(run, s, from, to, &piece) && fj_tpl_append(run, list, piece);
}

static bool split_spaces(tpl_run *run, const tpl_text *s, int64_t most, tpl_list *list)
{
    size_t at = 0, n;
    while (at < s->len) {
        while (at < s->len && fj_tpl_is_space(s->data, s->len, at, &n))
            at += n;
        if (at >= s->len)
            return true;
        size_t from = at;
        if (most >= 0 && (int64_t)list->n >= most)
            return add_piece(run, list, s, from, s->len);
        while (at < s->len && !fj_tpl_is_space(s->data, s->len, at, &n))
            at += n;
        if (!add_piece(run, list, s, from, at))
            return false;
    }
    return true;
}

static void reverse_items(tpl_list *list)
{
    for (size_t i = 0; i < list->n / 2; i++) {
        tpl_value v = list->items[i];
        list->items[i] = list->items[list->n - 1 - i];
        list->items[list->n - 1 - i] = v;
    }
}

static size_t char_before(const tpl_text *s, size_t to)
{
    size_t back = to - 1;
    while (back > 0 && ((unsigned char)s->data[back] & 0xC0) == 0x80)
        back--;
    return back;
}

static bool split_spaces_right(tpl_run *run, const tpl_text *s, int64_t most, tpl_list *list)
{
    size_t to = s->len, n;
    while (to > 0) {
        while (to > 0 && fj_tpl_is_space(s->data, s->len, char_before(s, to), &n))
            to = char_before(s, to);
        if (to == 0)
            break;
        size_t from = to;
        if (most >= 0 && (int64_t)list->n >= most)
            from = 0;
        while (from > 0 && !fj_tpl_is_space(s->data, s->len, char_before(s, from), &n))
            from = char_before(s, from);
        if (!add_piece(run, list, s, from, to))
            return false;
        to = from;
    }
    reverse_items(list);
    return true;
}

static bool split_right(tpl_run *run, const tpl_text *s, const tpl_text *separator, int64_t most, tpl_list *list)
{
    size_t to = s->len;
    for (; most != 0; most--) {
        size_t hit = fj_tpl_search_last(s, to, separator);
        if (hit == SIZE_MAX)
            break;
        if (!add_piece(run, list, s, hit + separator->len, to))
            return false;
        to = hit;
    }
    if (!add_piece(run, list, s, 0, to))
        return false;
    reverse_items(list);
    return true;
}

bool fj_tpl_split(tpl_run *run, const tpl_text *s, const tpl_text *separator, int64_t most, bool from_right,
                  tpl_value *out)
{
    if (!fj_tpl_new_list(run, 0, out) || !fj_tpl_charge(run, s->len / 64))
        return false;
    if (!separator)
        return from_right ? split_spaces_right(run, s, most, out->list) : split_spaces(run, s, most, out->list);
    if (separator->len == 0)
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "split: empty separator");
    if (from_right)
        return split_right(run, s, separator, most, out->list);
    size_t at = 0;
    for (; most != 0; most--) {
        size_t hit = fj_tpl_search(s, at, separator);
        if (hit == SIZE_MAX)
            break;
        if (!add_piece(run, out->list, s, at, hit))
            return false;
        at = hit + separator->len;
    }
    return add_piece(run, out->list, s, at, s->len);
}
