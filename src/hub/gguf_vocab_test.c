/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "formats/test_files.h"
#include "hub/hub_internal.h"

typedef struct opened {
    fj_str bytes;
    fj_source *source;
    fj_arena *arena;
} opened;

/* A file of n entries that put writes. */
static opened open_with(void (*put)(fj_str *s), uint64_t n)
{
    fj_err err = { 0 };
    opened o = { .arena = fj_arena_new() };
    put_gguf(&o.bytes, 3, 0, n);
    put(&o.bytes);
    CHECK(o.arena);
    CHECK_OK(fj_gguf_open_bytes(o.bytes.data, o.bytes.len, &o.source, &err));
    return o;
}

static void close_all(opened *o)
{
    o->source->close(o->source);
    fj_arena_free(o->arena);
    fj_str_free(&o->bytes);
}

static void put_tokens(fj_str *s)
{
    put_key_array(s, "tokenizer.ggml.tokens", FJ_GGUF_STRING, 3);
    put_text(s, "<s>");
    put_text(s, "");
    put_text(s, "▁a");
}

static void put_i32s(fj_str *s, const char *key, int32_t a, int32_t b, int32_t c)
{
    put_key_array(s, key, FJ_GGUF_I32, 3);
    fj_str_add(s, (const int32_t[]){ a, b, c }, 12);
}

static void whole(fj_str *s)
{
    put_key_text(s, "tokenizer.ggml.model", "llama");
    put_key_text(s, "tokenizer.ggml.pre", "default");
    put_tokens(s);
    put_key_array(s, "tokenizer.ggml.scores", FJ_GGUF_F32, 3);
    put_f32(s, 0);
    put_f32(s, -1);
    put_f32(s, -2.5f);
    put_i32s(s, "tokenizer.ggml.token_type", 3, 77, 6);
    put_key_array(s, "tokenizer.ggml.merges", FJ_GGUF_STRING, 1);
    put_text(s, "▁ a");
    put_key_u32(s, "tokenizer.ggml.bos_token_id", 0);
    put_key_u32(s, "tokenizer.ggml.eos_token_id", 2);
    put_key_u32(s, "tokenizer.ggml.padding_token_id", UINT32_MAX);
    put_key_u32(s, "tokenizer.ggml.unknown_token_id", 3);
    put_key(s, "tokenizer.ggml.add_bos_token", FJ_GGUF_BOOL);
    fj_str_add_char(s, 1);
    put_key(s, "tokenizer.ggml.add_space_prefix", FJ_GGUF_BOOL);
    fj_str_add_char(s, 0);
}

TEST(gguf_vocabulary_is_taken_from_the_metadata)
{
    fj_err err = { 0 };
    fj_gguf_vocab v;
    opened o = open_with(whole, 12);
    CHECK_OK(fj_gguf_vocab_of(o.source, o.arena, &v, &err));
    CHECK_TEXT(v.model, "llama");
    CHECK_TEXT(v.pre, "default");
    CHECK(v.n_tokens == 3 && fj_text_is(v.tokens[0], "<s>") && v.tokens[1].len == 0 && fj_text_is(v.tokens[2], "▁a"));
    CHECK(v.scores[0] == 0 && v.scores[1] == -1 && v.scores[2] == -2.5f);
    CHECK(v.types[0] == 3 && v.types[1] == 1 && v.types[2] == 6); /* an unknown type is an ordinary token */
    CHECK(v.n_merges == 1 && fj_text_is(v.merges[0], "▁ a"));
    CHECK(v.bos == 0 && v.eos == 2 && v.eot == -1);
    CHECK(v.unk == -1 && v.pad == -1); /* beyond the vocabulary */
    CHECK(v.add_bos == 1 && v.add_eos == -1 && v.add_space_prefix == 0);
    close_all(&o);
}

static void no_tokens(fj_str *s)
{
    put_key_text(s, "tokenizer.ggml.model", "no_vocab");
}

TEST(gguf_vocabulary_may_be_absent)
{
    fj_err err = { 0 };
    fj_gguf_vocab v;
    opened o = open_with(no_tokens, 1);
    CHECK_OK(fj_gguf_vocab_of(o.source, o.arena, &v, &err));
    CHECK(v.n_tokens == 0 && !v.tokens && !v.merges && !v.scores && !v.types);
    close_all(&o);
}

static void no_model(fj_str *s)
{
    put_tokens(s);
    put_key_u32(s, "x", 0);
}

static void number_tokens(fj_str *s)
{
    put_key_text(s, "tokenizer.ggml.model", "llama");
    put_i32s(s, "tokenizer.ggml.tokens", 1, 2, 3);
}

static void text_scores(fj_str *s)
{
    no_tokens(s);
    put_tokens(s);
    put_key_text(s, "tokenizer.ggml.scores", "1 2 3");
}

static void few_scores(fj_str *s)
{
    no_tokens(s);
    put_tokens(s);
    put_key_array(s, "tokenizer.ggml.scores", FJ_GGUF_F32, 1);
    put_f32(s, 0);
}

static void many_types(fj_str *s)
{
    no_tokens(s);
    put_tokens(s);
    put_key_array(s, "tokenizer.ggml.token_type", FJ_GGUF_U8, 4);
    put_u32(s, 0);
}

static void number_merges(fj_str *s)
{
    no_tokens(s);
    put_tokens(s);
    put_i32s(s, "tokenizer.ggml.merges", 1, 2, 3);
}

TEST(gguf_vocabulary_says_what_is_wrong_with_it)
{
    static const struct {
        void (*put)(fj_str *s);
        uint64_t n;
        const char *message;
    } cases[] = {
        { no_model, 2, "(memory): a vocabulary without 'tokenizer.ggml.model'" },
        { number_tokens, 2, "(memory): 'tokenizer.ggml.tokens' is no array of texts" },
        { text_scores, 3, "(memory): 'tokenizer.ggml.scores' is no array of numbers" },
        { few_scores, 3, "(memory): 'tokenizer.ggml.scores' has 1 values, the vocabulary 3 tokens" },
        { many_types, 3, "(memory): 'tokenizer.ggml.token_type' has 4 values, the vocabulary 3 tokens" },
        { number_merges, 3, "(memory): 'tokenizer.ggml.merges' is no array of texts" },
    };
    for (size_t i = 0; i < FJ_LEN(cases); i++) {
        fj_err err = { 0 };
        fj_gguf_vocab v;
        opened o = open_with(cases[i].put, cases[i].n);
        CHECK(fj_gguf_vocab_of(o.source, o.arena, &v, &err) == FJ_ERR_FORMAT);
        CHECK_TEXT(err.message, cases[i].message);
        close_all(&o);
    }
}

static void check_generation(void (*put)(fj_str *s), uint64_t n, const char *wanted)
{
    fj_err err = { 0 };
    fj_json *generation = NULL;
    fj_str text = { 0 };
    opened o = open_with(put, n);
    CHECK_OK(fj_gguf_generation(o.source, &generation, &err));
    CHECK(fj_json_write(generation, 0, 6, &text));
    CHECK_TEXT(text.data, wanted);
    fj_str_free(&text);
    fj_json_free(generation);
    close_all(&o);
}

static void three_ends(fj_str *s)
{
    put_key_u32(s, "tokenizer.ggml.eos_token_id", 2);
    put_key_u32(s, "tokenizer.ggml.eot_token_id", 2);
    put_key_u32(s, "tokenizer.ggml.eom_token_id", 7);
}

static void sampling(fj_str *s)
{
    put_key_u32(s, "tokenizer.ggml.eos_token_id", 0);
    put_key_f32(s, "general.sampling.temp", 0.5f);
    put_key_f32(s, "general.sampling.top_p", 0.75f);
    put_key_f32(s, "general.sampling.min_p", 0.125f);
    put_key_f32(s, "general.sampling.penalty_repeat", 1.25f);
    put_key_u32(s, "general.sampling.top_k", 20);
}

static void nothing(fj_str *s)
{
    put_key_text(s, "general.sampling.temp", "hot");
}

TEST(gguf_metadata_says_how_to_generate)
{
    check_generation(three_ends, 3, "{\"eos_token_id\": [2, 7]}");
    check_generation(sampling, 6,
                     "{\"eos_token_id\": 0, \"temperature\": 0.5, \"top_p\": 0.75, \"min_p\": 0.125, "
                     "\"repetition_penalty\": 1.25, \"top_k\": 20}");
    check_generation(nothing, 1, "{}");
}
