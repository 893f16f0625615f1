/* SPDX-License-Identifier: Apache-2.0
 * See utf8.h. */
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/err.h"

size_t fj_utf8_get(const char *text, size_t len, uint32_t *out)
{
    const unsigned char *p = (const unsigned char *)text;
    if (!len)
        return 0;
    if (p[0] < 0x80) {
        *out = p[0];
        return 1;
    }
    size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    if (p[0] < 0xc2 || p[0] > 0xf4 || len < n)
        return 0;
    uint32_t c = p[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return 0;
    *out = c;
    return n;
}

size_t fj_utf8_put(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return 0;
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (c & 0x3f));
        c >>= 6;
    }
    out[0] = (char)((0xf00u >> n) | c);
    return n;
}

bool fj_utf8_valid(const char *text, size_t len)
{
    uint32_t c;
    for (size_t at = 0; at < len;) {
        size_t n = fj_utf8_get(text + at, len - at, &c);
        if (!n)
            return false;
        at += n;
    }
    return true;
}

/* Length of the character that the first of n bytes begins, 1 when no character begins with these. */
static size_t promised(const unsigned char *p, size_t n)
{
    size_t len = p[0] >= 0xf0 && p[0] <= 0xf4  ? 4
                 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
                 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
                                               : 1;
    if (n < 2 || len < 3)
        return len;
    bool is_overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool is_no_character = (p[0] == 0xed && p[1] >= 0xa0) || (p[0] == 0xf4 && p[1] >= 0x90);
    return is_overlong || is_no_character ? 1 : len;
}

size_t fj_utf8_whole(const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text;
    for (size_t back = 1; back <= 3 && back <= len; back++)
        if ((p[len - back] & 0xc0) != 0x80)
            return promised(p + len - back, back) > back ? len - back : len;
    return len;
}

void fj_utf8_repair(const char *text, size_t len, fj_str *out)
{
    uint32_t c;
    for (size_t at = 0; at < len;) {
        size_t n = fj_utf8_get(text + at, len - at, &c);
        if (n)
            fj_str_add(out, text + at, n);
        else
            fj_str_add(out, "\xef\xbf\xbd", 3);
        at += n ? n : 1;
    }
}

bool fj_utf8_normalize(const char *text, size_t len, fj_normal_form form, fj_str *out)
{
    static const int options[] = { UTF8PROC_STABLE | UTF8PROC_COMPOSE, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE,
                                   UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT,
                                   UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT };
    utf8proc_uint8_t *made = NULL;
    utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)len, &made,
                                      (utf8proc_option_t)options[form]);
    if (n < 0)
        return false;
    fj_str_add(out, made, (size_t)n);
    free(made);
    return !out->failed;
}

void fj_utf8_lower(const char *text, size_t len, fj_str *out)
{
    uint32_t c;
    char bytes[4];
    for (size_t at = 0; at < len;) {
        size_t n = fj_utf8_get(text + at, len - at, &c);
        if (!n) {
            fj_str_add_char(out, text[at++]);
            continue;
        }
        at += n;
        if (c == 0x130) { /* I with a dot above: i and a combining dot */
            fj_str_add(out, "i\xcc\x87", 3);
            continue;
        }
        fj_str_add(out, bytes, fj_utf8_put((uint32_t)utf8proc_tolower((utf8proc_int32_t)c), bytes));
    }
}

void fj_utf8_upper(const char *text, size_t len, fj_str *out)
{
    uint32_t c;
    char bytes[4];
    for (size_t at = 0; at < len;) {
        size_t n = fj_utf8_get(text + at, len - at, &c);
        if (!n) {
            fj_str_add_char(out, text[at++]);
            continue;
        }
        at += n;
        if (c == 0xdf) /* sharp s */
            fj_str_add(out, "SS", 2);
        else
            fj_str_add(out, bytes, fj_utf8_put((uint32_t)utf8proc_toupper((utf8proc_int32_t)c), bytes));
    }
}

const char *fj_unicode_category(uint32_t c)
{
    return utf8proc_category_string((utf8proc_int32_t)c);
}

bool fj_unicode_is_space(uint32_t c)
{
    return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}
