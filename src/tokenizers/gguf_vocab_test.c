/* SPDX-License-Identifier: Apache-2.0
 * GGUF metadata: from a tokenizer and back, and what is refused. */
#include "tokenizers/gguf.h"
#include "tokenizers/spm.h"
#include "tokenizers/test_tokenizers.h"

static const char *const texts[] = { "¿Qué tal, hijo?  el perro\n\n de 2024", "don't x->y !=  \t 12 123 1234",
                                     "中文 👍 e\xcc\x81", "" };

static fj_tokenizer *open_golden(const char *kind)
{
    fj_err err = { 0 };
    fj_str s = { 0 };
    fj_tokenizer *t = NULL;
    char name[128];
    (void)snprintf(name, sizeof name, "tokenizers/%s/tokenizer.json", kind);
    CHECK_OK(fj_file_read(test_golden(name), 1 << 24, &s, &err));
    CHECK_OK(fj_tokenizer_from_json(s.data, s.len, kind, NULL, &t, &err));
    fj_str_free(&s);
    return t;
}

/* Writes and reads back; the ids of ordinary text must stay. */
static void check_round(const char *kind, const char *model, const char *pre)
{
    fj_err err = { 0 };
    fj_tokenizer *t = open_golden(kind), *again = NULL, *folder = NULL;
    fj_arena *arena = fj_arena_new();
    fj_tokenizer_gguf g;
    CHECK(arena);
    CHECK_OK(fj_tokenizer_to_gguf(t, fj_tokenizer_size(t) + 2, arena, &g, &err));
    CHECK_TEXT(g.model, model);
    CHECK_TEXT(g.pre, pre);
    CHECK(g.n_tokens == (size_t)fj_tokenizer_size(t) + 2 && g.types[g.n_tokens - 1] == FJ_PIECE_UNUSED);
    fj_gguf_vocab v = { .model = g.model,
                        .pre = g.pre,
                        .n_tokens = g.n_tokens,
                        .n_merges = g.n_merges,
                        .tokens = g.tokens,
                        .merges = g.merges,
                        .scores = g.scores,
                        .types = g.types,
                        .bos = -1,
                        .eos = -1,
                        .eot = -1,
                        .unk = -1,
                        .pad = -1,
                        .add_bos = 0,
                        .add_eos = -1,
                        .add_space_prefix = g.add_space_prefix };
    CHECK_OK(fj_tokenizer_from_gguf(&v, &again, &err));
    folder = test_written_again(again);
    for (size_t i = 0; i < FJ_LEN(texts); i++) {
        char wanted[1024];
        (void)snprintf(wanted, sizeof wanted, "%s", test_encode(t, texts[i], FJ_ENCODE_PLAIN));
        CHECK_TEXT(test_encode(again, texts[i], FJ_ENCODE_PLAIN), wanted);
        CHECK_TEXT(test_encode(folder, texts[i], FJ_ENCODE_PLAIN), wanted);
        (void)snprintf(wanted, sizeof wanted, "%s", test_encode(again, texts[i], FJ_ENCODE_SPECIAL));
        CHECK_TEXT(test_encode(folder, texts[i], FJ_ENCODE_SPECIAL), wanted);
    }
    fj_arena_free(arena);
    fj_tokenizer_free(t);
    fj_tokenizer_free(again);
    fj_tokenizer_free(folder);
}

TEST(gguf_vocabulary_of_a_tokenizer_gives_its_ids_again)
{
    check_round("gpt2", "gpt2", "gpt-2");
    check_round("llama3", "gpt2", "llama-bpe");
    check_round("bloom", "gpt2", "bloom");
    check_round("llama2", "llama", "default");
    check_round("gemma", "llama", "default");
}

TEST(gguf_has_no_name_for_a_pipeline_of_its_own)
{
    fj_err err = { 0 };
    fj_tokenizer *t = open_golden("odd-parts");
    fj_arena *arena = fj_arena_new();
    fj_tokenizer_gguf g;
    CHECK(arena);
    CHECK(fj_tokenizer_to_gguf(t, 10, arena, &g, &err) == FJ_ERR_FORMAT);
    CHECK_TEXT(err.message, "odd-parts: neither byte-level BPE nor SentencePiece's: GGUF has no name for it");
    fj_tokenizer_free(t);
    t = open_golden("prefix-space");
    CHECK(fj_tokenizer_to_gguf(t, 10, arena, &g, &err) == FJ_ERR_FORMAT);
    CHECK_TEXT(err.message, "prefix-space: GGUF has no name for its pre-tokenizer");
    fj_tokenizer_free(t);
    fj_arena_free(arena);
}

TEST(gguf_pre_tokenizers_are_sorted_and_all_compile)
{
    fj_err err = { 0 };
    for (const fj_gguf_pre *p = fj_gguf_pres; p->name; p++) {
        CHECK(p == fj_gguf_pres || strcmp(p[-1].name, p->name) < 0);
        for (size_t i = 0; i < FJ_LEN(p->regexes) && p->regexes[i]; i++) {
            fj_regex *r = NULL;
            CHECK_OK(fj_regex_new(fj_text_of(p->regexes[i]), &r, &err));
            fj_regex_free(r);
        }
    }
}

static const fj_text tokens[] = { { "<unk>", 5 },
                                  { "<s>", 3 },
                                  { "</s>", 4 },
                                  { "a", 1 },
                                  { "b", 1 },
                                  { "ab", 2 },
                                  { "\xe2\x96\x81", 3 },
                                  { "\xe2\x96\x81"
                                    "ab",
                                    5 },
                                  { "<0xC3>", 6 },
                                  { "<u>", 3 } };
static const int32_t types[] = { 2, 3, 3, 1, 1, 1, 1, 1, 6, 4 };
static const float scores[] = { 0, 0, 0, -9, -9, -1, -9, -2, 0, 0 };

static fj_gguf_vocab llama(void)
{
    return (fj_gguf_vocab){ .model = "llama",
                            .n_tokens = FJ_LEN(tokens),
                            .tokens = tokens,
                            .scores = scores,
                            .types = types,
                            .bos = -1,
                            .eos = -1,
                            .eot = -1,
                            .unk = -1,
                            .pad = -1,
                            .add_bos = -1,
                            .add_eos = -1,
                            .add_space_prefix = -1 };
}

TEST(gguf_llama_vocabulary_has_llama_cpps_defaults)
{
    fj_err err = { 0 };
    fj_tokenizer *t = NULL;
    fj_gguf_vocab v = llama();
    CHECK_OK(fj_tokenizer_from_gguf(&v, &t, &err));
    CHECK(fj_tokenizer_bos(t) == 1 && fj_tokenizer_eos(t) == 2 && fj_tokenizer_unk(t) == 0 &&
          fj_tokenizer_pad(t) == -1);
    CHECK(fj_tokenizer_adds_bos(t) && fj_tokenizer_is_special(t, 1) && !fj_tokenizer_is_special(t, 9));
    CHECK_TEXT(test_encode(t, "ab</s>b<u>x", FJ_ENCODE_SPECIAL), "1 7 2 6 4 9 6 0");
    CHECK_TEXT(test_encode(t, "</s>", FJ_ENCODE_PLAIN), "6 0");
    fj_tokenizer_free(t);
    v.add_space_prefix = 0;
    v.add_bos = 0;
    v.add_eos = 1;
    CHECK_OK(fj_tokenizer_from_gguf(&v, &t, &err));
    CHECK_TEXT(test_encode(t, "ab", FJ_ENCODE_SPECIAL), "5 2");
    fj_tokenizer_free(t);
}

TEST(gguf_bert_vocabulary_spells_words_from_their_beginning)
{
    static const fj_text words[] = { { "[UNK]", 5 },          { "[CLS]", 5 }, { "[SEP]", 5 },
                                     { "\xe2\x96\x81ni", 5 }, { "no", 2 },    { "\xe2\x96\x81.", 4 } };
    static const int32_t kinds[] = { 3, 3, 3, 1, 1, 1 };
    static const int32_t ids[] = { 3, 4, 5 };
    fj_err err = { 0 };
    fj_str text = { 0 };
    fj_tokenizer *t = NULL;
    fj_gguf_vocab v = { .model = "bert",
                        .n_tokens = 6,
                        .tokens = words,
                        .types = kinds,
                        .bos = 1,
                        .eos = 2,
                        .eot = -1,
                        .unk = 0,
                        .pad = -1,
                        .add_bos = -1,
                        .add_eos = -1,
                        .add_space_prefix = -1 };
    CHECK_OK(fj_tokenizer_from_gguf(&v, &t, &err));
    CHECK_TEXT(test_encode(t, "Niño. no [SEP]", FJ_ENCODE_SPECIAL), "1 3 4 5 0 2 2");
    CHECK_OK(fj_decode(t, ids, 3, true, &text, &err));
    CHECK_TEXT(text.data, "nino .");
    fj_str_free(&text);
    CHECK(fj_text_is(fj_tokenizer_token(t, 3), "ni") && fj_text_is(fj_tokenizer_token(t, 4), "##no"));
    fj_tokenizer *folder = test_written_again(t);
    CHECK_TEXT(test_encode(folder, "Niño. no [SEP]", FJ_ENCODE_SPECIAL), "1 3 4 5 0 2 2");
    CHECK_OK(fj_decode(folder, ids, 3, true, &text, &err));
    CHECK_TEXT(text.data, "nino .");
    fj_str_free(&text);
    fj_tokenizer_free(folder);
    fj_tokenizer_free(t);
}

static void check_refused(const fj_gguf_vocab *v, const char *message, const char *hint)
{
    fj_err err = { 0 };
    fj_tokenizer *t = NULL;
    CHECK(fj_tokenizer_from_gguf(v, &t, &err) == FJ_ERR_FORMAT);
    CHECK_TEXT(err.message, message);
    CHECK(strstr(err.hint, hint));
}

TEST(gguf_vocabularies_of_unknown_kinds_are_refused_by_name)
{
    fj_gguf_vocab v = llama();
    v.model = "rwkv";
    check_refused(&v, "the tokenizer 'rwkv' (tokenizer.ggml.model) is not supported", "known: bert, gpt2, llama");
    v.model = "gpt2";
    check_refused(&v, "a byte-level BPE vocabulary without tokenizer.ggml.merges", "");
    v.merges = tokens;
    v.n_merges = 1;
    v.pre = "my-own";
    check_refused(&v, "the pre-tokenizer 'my-own' (tokenizer.ggml.pre) is not known", "llama-bpe");
}
