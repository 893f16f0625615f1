/* SPDX-License-Identifier: Apache-2.0
 * The lexer of chat templates: text and tags, with the white space control that transformers sets.
 * Source: Jinja 2 documentation, "Whitespace Control" and "Literals"; trim_blocks and lstrip_blocks are on, the last newline of
 * a template is dropped, and every kind of line end counts as \n. */

#include <string.h>

#include "base/utf8.h"
#include "tokenizers/template_internal.h"

typedef struct lexer {
    fj_arena *arena;
    const char *s;
    size_t len, at;
    int line;
    bool line_starting; /* only white space has been written on this line since the last tag */
    tpl_token *tokens;
    size_t n, cap;
    fj_err *err;
} lexer;

bool fj_tpl_is_space(const char *data, size_t len, size_t at, size_t *n)
{
    unsigned char c = (unsigned char)data[at];
    *n = 1;
    if (c < 0x80)
        return c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x1f);
    uint32_t code = 0;
    *n = fj_utf8_get(data + at, len - at, &code);
    if (*n == 0) {
        *n = 1;
        return false;
    }
    return fj_unicode_is_space(code);
}

static fj_status lex_error(lexer *x, const char *what)
{
    size_t start = x->at < x->len ? x->at : x->len, column = 1;
    while (start > 0 && x->s[start - 1] != '\n') {
        start--;
        column++;
    }
    return fj_fail(x->err, FJ_ERR_FORMAT, "chat template, line %d, column %zu: %s", x->line, column, what);
}

static fj_status push(lexer *x, tpl_token token)
{
    if (x->n == x->cap) {
        size_t cap = x->cap ? x->cap * 2 : 256;
        tpl_token *new = fj_arena_array(x->arena, cap, sizeof *new);
        if (!new)
            return fj_fail(x->err, FJ_ERR_MEMORY, "no memory for a chat template");
        if (x->n)
            memcpy(new, x->tokens, x->n * sizeof *new);
        x->tokens = new;
        x->cap = cap;
    }
    x->tokens[x->n++] = token;
    return FJ_OK;
}

static fj_status push_kind(lexer *x, tpl_token_kind kind)
{
    return push(x, (tpl_token){ .kind = kind, .line = x->line });
}

static bool starts(const lexer *x, size_t at, const char *what)
{
    size_t n = strlen(what);
    return at <= x->len && x->len - at >= n && memcmp(x->s + at, what, n) == 0;
}

static void advance(lexer *x, size_t to)
{
    for (; x->at < to; x->at++)
        x->line += x->s[x->at] == '\n';
}

static size_t skip_space(const lexer *x, size_t at)
{
    size_t n;
    while (at < x->len && fj_tpl_is_space(x->s, x->len, at, &n))
        at += n;
    return at;
}

/* Where s[from…to) ends without its trailing white space. */
static size_t strip_right(const lexer *x, size_t from, size_t to)
{
    while (to > from) {
        size_t back = to - 1, n;
        while (back > from && ((unsigned char)x->s[back] & 0xC0) == 0x80)
            back--;
        if (!fj_tpl_is_space(x->s, to, back, &n) || back + n != to)
            return to;
        to = back;
    }
    return to;
}

/* lstrip_blocks: blanks between the start of the line and a block or comment tag belong to the tag. */
static size_t strip_line_start(const lexer *x, size_t from, size_t to)
{
    size_t line = to, n;
    while (line > from && x->s[line - 1] != '\n')
        line--;
    if (line == from && !x->line_starting)
        return to;
    for (size_t i = line; i < to; i += n)
        if (!fj_tpl_is_space(x->s, to, i, &n))
            return to;
    return line;
}

/* Where the tag that starts at `at` leaves the text that starts at `from`. */
static size_t text_end(const lexer *x, size_t from, size_t at)
{
    char sign = at + 2 < x->len ? x->s[at + 2] : 0;
    if (sign == '-')
        return strip_right(x, from, at);
    if (sign == '+' || x->s[at + 1] == '{')
        return at;
    return strip_line_start(x, from, at);
}

/* Behind the closing two characters of a block or comment: trim_blocks takes one newline unless a + was written. */
static void close_block(lexer *x, char sign)
{
    size_t to = x->at + 2;
    if (sign == '-')
        to = skip_space(x, to);
    else if (sign != '+' && to < x->len && x->s[to] == '\n')
        to++;
    x->line_starting = x->s[to - 1] == '\n';
    advance(x, to);
}

static fj_status lex_comment(lexer *x)
{
    size_t at = x->at + 2;
    while (at < x->len && !starts(x, at, "#}"))
        at++;
    if (at >= x->len)
        return lex_error(x, "comment without an end '#}'");
    char sign = at > x->at + 2 ? x->s[at - 1] : 0;
    advance(x, at);
    close_block(x, sign);
    return FJ_OK;
}

/* The tag `{% word %}` at `at`: the offset of its closing, or 0. */
static size_t bare_tag(const lexer *x, size_t at, const char *word)
{
    if (!starts(x, at, "{%"))
        return 0;
    at += 2;
    if (at < x->len && (x->s[at] == '-' || x->s[at] == '+'))
        at++;
    at = skip_space(x, at);
    if (!starts(x, at, word))
        return 0;
    at = skip_space(x, at + strlen(word));
    if (starts(x, at, "%}"))
        return at;
    return (starts(x, at, "-%}") || starts(x, at, "+%}")) ? at + 1 : 0;
}

static fj_status push_data(lexer *x, size_t from, size_t to)
{
    if (to <= from)
        return FJ_OK;
    return push(x, (tpl_token){ .kind = T_DATA, .line = x->line, .text = { x->s + from, to - from } });
}

/* x->at stands on {% raw %}, whose closing is at `close`. A newline behind it stays (Jinja trims only behind endraw). */
static fj_status lex_raw(lexer *x, size_t close)
{
    size_t from = close + 2;
    if (x->s[close - 1] == '-')
        from = skip_space(x, from);
    for (size_t at = from; at < x->len; at++) {
        size_t end = bare_tag(x, at, "endraw");
        if (!end)
            continue;
        x->line_starting = x->s[from - 1] == '\n';
        size_t to = text_end(x, from, at);
        fj_status st = push_data(x, from, to);
        if (st)
            return st;
        char sign = x->s[end - 1];
        advance(x, end);
        close_block(x, sign);
        return FJ_OK;
    }
    return lex_error(x, "raw block without an end '{% endraw %}'");
}

static bool is_name_char(unsigned char c)
{
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* \xhh, \uhhhh, \Uhhhhhhhh at s[i]: writes the character; returns the bytes read, 0 when it is not one. */
static size_t hex_escape(const char *s, size_t left, char *out, size_t *o)
{
    size_t digits = s[1] == 'x' ? 2 : s[1] == 'u' ? 4 : 8;
    if (left < 2 + digits)
        return 0;
    uint32_t code = 0;
    for (size_t k = 0; k < digits; k++) {
        int d = hex_digit(s[2 + k]);
        if (d < 0)
            return 0;
        code = (code << 4) | (uint32_t)d;
    }
    char utf8[4];
    size_t n = fj_utf8_put(code, utf8);
    if (n == 0)
        return 0;
    memcpy(out + *o, utf8, n);
    *o += n;
    return 2 + digits;
}

/* One escape at s (a backslash and at least one more byte); returns the bytes read, 0 for a broken one. */
static size_t escape(const char *s, size_t left, char *out, size_t *o)
{
    static const char from[] = "ntr\\'\"abfv", to[] = "\n\t\r\\'\"\a\b\f\v";
    const char *known = strchr(from, s[1]);
    if (s[1] == '\n')
        return 2;
    if (known && s[1]) {
        out[(*o)++] = to[known - from];
        return 2;
    }
    if (s[1] == 'x' || s[1] == 'u' || s[1] == 'U')
        return hex_escape(s, left, out, o);
    if (s[1] >= '0' && s[1] <= '7') {
        uint32_t code = 0;
        size_t n = 1;
        for (; n < 4 && n < left && s[n] >= '0' && s[n] <= '7'; n++)
            code = code * 8 + (uint32_t)(s[n] - '0');
        *o += fj_utf8_put(code, out + *o);
        return n;
    }
    out[(*o)++] = '\\'; /* an unknown escape stays as it is, as in Python */
    return 1;
}

static fj_status lex_string(lexer *x)
{
    char quote = x->s[x->at];
    size_t end = x->at + 1;
    while (end < x->len && x->s[end] != quote)
        end += x->s[end] == '\\' ? 2 : 1;
    if (end >= x->len)
        return lex_error(x, "string without an end");
    char *out = fj_arena_take(x->arena, end - x->at);
    if (!out)
        return fj_fail(x->err, FJ_ERR_MEMORY, "no memory for a chat template");
    size_t o = 0;
    for (size_t i = x->at + 1; i < end;) {
        if (x->s[i] != '\\') {
            out[o++] = x->s[i++];
            continue;
        }
        size_t n = escape(x->s + i, end - i, out, &o);
        if (n == 0)
            return lex_error(x, "broken escape in a string");
        i += n;
    }
    fj_status st = push(x, (tpl_token){ .kind = T_STRING, .line = x->line, .text = { out, o } });
    advance(x, end + 1);
    return st;
}

static fj_status lex_based_integer(lexer *x, int base)
{
    size_t at = x->at + 2;
    int64_t value = 0;
    for (; at < x->len && (hex_digit(x->s[at]) >= 0 || x->s[at] == '_'); at++) {
        int d = hex_digit(x->s[at]);
        if (d < 0)
            continue;
        if (d >= base || value > (INT64_MAX - d) / base)
            return lex_error(x, "broken number");
        value = value * base + d;
    }
    fj_status st = push(x, (tpl_token){ .kind = T_INT, .line = x->line, .integer = value });
    advance(x, at);
    return st;
}

static size_t skip_digits(const lexer *x, size_t at)
{
    while (at < x->len && ((x->s[at] >= '0' && x->s[at] <= '9') || x->s[at] == '_'))
        at++;
    return at;
}

static bool digit_at(const lexer *x, size_t at)
{
    return at < x->len && x->s[at] >= '0' && x->s[at] <= '9';
}

static fj_status lex_number(lexer *x)
{
    if (x->s[x->at] == '0' && x->at + 1 < x->len && strchr("xXoObB", x->s[x->at + 1])) {
        char c = x->s[x->at + 1] | 0x20;
        return lex_based_integer(x, c == 'x' ? 16 : c == 'o' ? 8 : 2);
    }
    size_t end = skip_digits(x, x->at);
    bool is_real = false;
    if (end < x->len && x->s[end] == '.' && digit_at(x, end + 1)) {
        is_real = true;
        end = skip_digits(x, end + 1);
    }
    if (end < x->len && (x->s[end] == 'e' || x->s[end] == 'E')) {
        size_t e = end + 1;
        if (e < x->len && (x->s[e] == '+' || x->s[e] == '-'))
            e++;
        if (digit_at(x, e)) {
            is_real = true;
            end = skip_digits(x, e);
        }
    }
    char text[64];
    size_t n = 0;
    for (size_t i = x->at; i < end; i++) {
        if (x->s[i] == '_')
            continue;
        if (n + 1 >= sizeof text)
            return lex_error(x, "number too long");
        text[n++] = x->s[i];
    }
    tpl_token token = { .kind = is_real ? T_FLOAT : T_INT, .line = x->line };
    fj_text view = { text, n };
    bool ok = is_real ? fj_text_f64(view, &token.real) : fj_text_i64(view, &token.integer);
    if (!ok)
        return lex_error(x, "number out of range");
    advance(x, end);
    return push(x, token);
}

static fj_status lex_operator(lexer *x, int *brackets)
{
    static const char *const operators[] = { "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
                                             "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";" };
    for (size_t i = 0; i < FJ_LEN(operators); i++) {
        const char *op = operators[i];
        if (!starts(x, x->at, op))
            continue;
        if (strchr("[({", op[0]) && !op[1])
            ++*brackets;
        if (strchr("])}", op[0]) && !op[1] && --*brackets < 0)
            return lex_error(x, "closing bracket without an opening one");
        fj_status st = push(x, (tpl_token){ .kind = T_OP, .line = x->line, .text = fj_text_of(op) });
        advance(x, x->at + strlen(op));
        return st;
    }
    return lex_error(x, "unexpected character");
}

/* True when the tag ends here (outside brackets); *sign becomes '-', '+' or 0. */
static bool at_close(const lexer *x, const char *close, char *sign)
{
    *sign = x->s[x->at];
    if (*sign == '-' || (*sign == '+' && close[0] == '%'))
        return starts(x, x->at + 1, close);
    *sign = 0;
    return starts(x, x->at, close);
}

static fj_status lex_tag(lexer *x, bool is_print)
{
    const char *close = is_print ? "}}" : "%}";
    int brackets = 0;
    fj_status st = push_kind(x, is_print ? T_PRINT_OPEN : T_BLOCK_OPEN);
    x->at += 2;
    if (x->at < x->len && (x->s[x->at] == '-' || x->s[x->at] == '+'))
        x->at++;
    while (!st) {
        advance(x, skip_space(x, x->at));
        if (x->at >= x->len)
            return lex_error(x, is_print ? "'{{' without an end '}}'" : "'{%' without an end '%}'");
        char sign;
        if (brackets == 0 && at_close(x, close, &sign)) {
            st = push_kind(x, is_print ? T_PRINT_CLOSE : T_BLOCK_CLOSE);
            advance(x, x->at + (sign != 0));
            if (is_print) {
                x->line_starting = false;
                size_t to = sign == '-' ? skip_space(x, x->at + 2) : x->at + 2;
                if (to > x->at + 2)
                    x->line_starting = x->s[to - 1] == '\n';
                advance(x, to);
            } else {
                close_block(x, sign);
            }
            return st;
        }
        unsigned char c = (unsigned char)x->s[x->at];
        if (c == '"' || c == '\'') {
            st = lex_string(x);
        } else if (c >= '0' && c <= '9') {
            st = lex_number(x);
        } else if (is_name_char(c)) {
            size_t end = x->at;
            while (end < x->len && is_name_char((unsigned char)x->s[end]))
                end++;
            st = push(x, (tpl_token){ .kind = T_NAME, .line = x->line, .text = { x->s + x->at, end - x->at } });
            x->at = end;
        } else {
            st = lex_operator(x, &brackets);
        }
    }
    return st;
}

/* \r\n and \r become \n, and the last newline goes. */
static char *normalize(fj_arena *arena, const char *text, size_t *len)
{
    char *out = fj_arena_take(arena, *len + 1);
    if (!out)
        return NULL;
    size_t n = 0;
    for (size_t i = 0; i < *len; i++) {
        if (text[i] == '\r') {
            out[n++] = '\n';
            i += i + 1 < *len && text[i + 1] == '\n';
        } else {
            out[n++] = text[i];
        }
    }
    if (n > 0 && out[n - 1] == '\n')
        n--;
    *len = n;
    return out;
}

static bool is_tag_start(const lexer *x, size_t at)
{
    return x->s[at] == '{' && at + 1 < x->len && strchr("{%#", x->s[at + 1]) && x->s[at + 1];
}

fj_status fj_tpl_lex(fj_arena *arena, const char *text, size_t len, tpl_token **out, size_t *n, fj_err *err)
{
    lexer x = { .arena = arena, .len = len, .line = 1, .line_starting = true, .err = err };
    if (len > TPL_MAX_SOURCE)
        return fj_fail(err, FJ_ERR_FORMAT, "chat template of %zu bytes, at most %d are read", len, TPL_MAX_SOURCE);
    x.s = normalize(arena, text, &x.len);
    if (!x.s)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a chat template");
    while (x.at < x.len) {
        size_t tag = x.at;
        while (tag < x.len && !is_tag_start(&x, tag))
            tag++;
        size_t end = tag < x.len ? text_end(&x, x.at, tag) : x.len;
        fj_status st = push_data(&x, x.at, end);
        if (st)
            return st;
        advance(&x, tag);
        if (tag >= x.len)
            break;
        size_t raw = bare_tag(&x, tag, "raw");
        if (raw)
            st = lex_raw(&x, raw);
        else if (x.s[tag + 1] == '#')
            st = lex_comment(&x);
        else
            st = lex_tag(&x, x.s[tag + 1] == '{');
        if (st)
            return st;
    }
    *out = NULL;
    fj_status st = push_kind(&x, T_END);
    *out = x.tokens;
    *n = x.n;
    return st;
}
