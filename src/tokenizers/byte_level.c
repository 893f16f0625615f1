/* SPDX-License-Identifier: Apache-2.0
 * GPT-2's byte-level pre-tokenizer: cut into words, then spell each byte as a printable character. Where the map is a pipeline's last
 * step it is left to the model, which then reads bytes (fj_tokenizer_finish). Source: tokenizers, pre_tokenizers/byte_level.rs. */
#include "base/utf8.h"
#include "tokenizers/tokenizer_internal.h"
#include "tokenizers/parts.h"

/* The 68 bytes that are no printable Latin-1 characters are U+0100 … U+0143, in order. */
static bool is_printable(uint32_t c)
{
    return (c >= '!' && c <= '~') || (c >= 0xa1 && c <= 0xac) || (c >= 0xae && c <= 0xff);
}

uint32_t fj_byte_character(uint8_t byte)
{
    if (is_printable(byte))
        return byte;
    if (byte <= 0x20)
        return 0x100u + byte;
    return byte == 0xad ? 0x143 : 0x121u + (byte - 0x7fu);
}

int fj_character_byte(uint32_t c)
{
    if (c < 0x100)
        return is_printable(c) ? (int)c : -1;
    if (c <= 0x120)
        return (int)c - 0x100;
    if (c <= 0x142)
        return (int)c - 0x121 + 0x7f;
    return c == 0x143 ? 0xad : -1;
}

static fj_status map_bytes(const fj_step *step, fj_matcher *m, const fj_passage *src, fj_cut cut, fj_passage *out,
                           fj_err *err)
{
    char spelled[4];
    (void)step;
    (void)m;
    (void)err;
    for (size_t at = cut.start; at < cut.end; at++)
        fj_passage_replace(out, src, at, spelled, fj_utf8_put(fj_byte_character((uint8_t)src->text[at]), spelled));
    return FJ_OK;
}

bool fj_step_is_byte_map(const fj_step *step)
{
    return step->rewrite == map_bytes;
}

static fj_status put_space_before(const fj_step *step, fj_matcher *m, const fj_passage *src, fj_cut cut,
                                  fj_passage *out, fj_err *err)
{
    (void)step;
    (void)m;
    (void)err;
    if (src->text[cut.start] != ' ')
        fj_passage_replace(out, src, cut.start, " ", 1);
    fj_passage_copy(out, src, cut.start, cut.end);
    return FJ_OK;
}

static fj_status open_pre_tokenizer(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err)
{
    static const char words[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
    fj_status st = FJ_OK;
    if (fj_json_bool(fj_json_get(spec, "add_prefix_space"), true))
        st = fj_steps_add(out, (fj_step){ .name = "space", .rewrite = put_space_before }, err);
    if (!st && fj_json_bool(fj_json_get(spec, "use_regex"), true))
        st = fj_add_regex_split(t, words, FJ_SPLIT_ISOLATED, false, out, err);
    return st ? st : fj_steps_add(out, (fj_step){ .name = "bytes", .rewrite = map_bytes }, err);
}

static fj_status open_normalizer(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err)
{
    (void)t;
    (void)spec;
    return fj_steps_add(out, (fj_step){ .name = "bytes", .rewrite = map_bytes }, err);
}

const fj_part fj_normalizer_byte_level = { .name = "ByteLevel", .open = open_normalizer };
const fj_part fj_pre_tokenizer_byte_level = { .name = "ByteLevel", .open = open_pre_tokenizer };
