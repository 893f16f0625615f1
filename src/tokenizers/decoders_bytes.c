/* SPDX-License-Identifier: Apache-2.0
 * Decoders that make text of bytes: ByteLevel's alphabet and ByteFallback's <0xXX>. Source: tokenizers, pre_tokenizers/byte_level.rs,
 * decoders/byte_fallback.rs; Rust's String::from_utf8_lossy. */
#include <string.h>

#include "base/utf8.h"
#include "tokenizers/decoding.h"

bool fj_unspell(fj_text token, char *out, size_t *n)
{
    size_t len = 1, k = 0;
    for (size_t at = 0; at < token.len; at += len) {
        uint32_t c;
        len = fj_utf8_get(token.data + at, token.len - at, &c);
        int byte = len ? fj_character_byte(c) : -1;
        if (byte < 0)
            return false;
        out[k++] = (char)byte;
    }
    *n = k;
    return true;
}

/* Bytes at p that can begin a character but do not complete it; at least 1 (n > 0). One U+FFFD stands for them. */
static size_t broken_length(const char *text, size_t n)
{
    size_t k = 1;
    while (k < n && k < 4 && ((unsigned char)text[k] & 0xc0) == 0x80 && fj_utf8_whole(text, k + 1) == 0)
        k++;
    return fj_utf8_whole(text, 1) ? 1 : k;
}

static void add_lossy(fj_str *out, const char *text, size_t n)
{
    uint32_t c;
    for (size_t at = 0; at < n;) {
        size_t len = fj_utf8_get(text + at, n - at, &c);
        if (len) {
            fj_str_add(out, text + at, len);
            at += len;
        } else {
            fj_str_add(out, "\xef\xbf\xbd", 3);
            at += broken_length(text + at, n - at);
        }
    }
}

/* Sends the first n held bytes as a part of the one token that all become. */
static fj_status send_held(fj_decoding *d, size_t at, size_t n, bool ends, fj_err *err)
{
    fj_step_memory *m = &d->memory[at];
    if (!n && !ends)
        return FJ_OK;
    fj_str_clear(&m->made);
    if (fj_utf8_valid(m->held.data, n))
        fj_str_add(&m->made, m->held.data, n);
    else
        add_lossy(&m->made, m->held.data, n);
    if (n) {
        memmove(m->held.data, m->held.data + n, m->held.len - n);
        m->held.len -= n;
    }
    fj_fragment f = { .text = { m->made.data, m->made.len }, .begins = !m->is_open, .ends = ends };
    m->is_open = true;
    if (m->held.failed || m->made.failed || m->token.failed)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a text");
    return fj_hand_on(d, at + 1, f, err);
}

static fj_status decode_byte_level(fj_decoding *d, size_t at, fj_fragment f, fj_err *err)
{
    fj_step_memory *m = &d->memory[at];
    fj_text token;
    if (f.is_last) {
        fj_status st = send_held(d, at, m->held.len, true, err);
        return st ? st : fj_hand_on(d, at + 1, f, err);
    }
    if (!fj_gather(m, f, &token))
        return FJ_OK;
    size_t before = m->held.len, n = 0;
    fj_str_add(&m->held, token.data, token.len);
    if (!m->held.failed && token.len && fj_unspell(token, m->held.data + before, &n))
        m->held.len = before + n;
    return send_held(d, at, fj_utf8_whole(m->held.data, m->held.len), false, err);
}

static fj_status open_byte_level(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err)
{
    (void)t;
    (void)spec;
    return fj_steps_add(out, (fj_step){ .name = "ByteLevel", .decode = decode_byte_level }, err);
}

/* ---- fallback ----------------------------------------------------------------------------------------------------------------------- */

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static int fallback_byte(fj_text t)
{
    if (t.len != 6 || memcmp(t.data, "<0x", 3) || t.data[5] != '>')
        return -1;
    int high = hex(t.data[3]), low = hex(t.data[4]);
    return high < 0 || low < 0 ? -1 : 16 * high + low;
}

/* A run of bytes is a text when it is valid as a whole, else one U+FFFD for each byte: known only when the run ends. */
static fj_status end_run(fj_decoding *d, size_t at, fj_err *err)
{
    fj_step_memory *m = &d->memory[at];
    fj_status st = FJ_OK;
    if (m->held.failed || m->token.failed)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a text");
    if (m->held.len && fj_utf8_valid(m->held.data, m->held.len))
        st = fj_hand_token(d, at + 1, (fj_text){ m->held.data, m->held.len }, err);
    else
        for (size_t i = 0; !st && i < m->held.len; i++)
            st = fj_hand_token(d, at + 1, fj_text_of("\xef\xbf\xbd"), err);
    fj_str_clear(&m->held);
    return st;
}

static fj_status decode_fallback(fj_decoding *d, size_t at, fj_fragment f, fj_err *err)
{
    fj_step_memory *m = &d->memory[at];
    fj_text token;
    if (f.is_last) {
        fj_status st = end_run(d, at, err);
        return st ? st : fj_hand_on(d, at + 1, f, err);
    }
    if (!fj_gather(m, f, &token))
        return FJ_OK;
    int byte = fallback_byte(token);
    if (byte >= 0) {
        fj_str_add_char(&m->held, (char)byte);
        return FJ_OK;
    }
    fj_status st = end_run(d, at, err);
    return st ? st : fj_hand_token(d, at + 1, token, err);
}

static fj_status open_fallback(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err)
{
    (void)t;
    (void)spec;
    return fj_steps_add(out, (fj_step){ .name = "ByteFallback", .decode = decode_fallback }, err);
}

const fj_part fj_decoder_byte_fallback = { .name = "ByteFallback", .open = open_fallback };
const fj_part fj_decoder_byte_level = { .name = "ByteLevel", .open = open_byte_level };
