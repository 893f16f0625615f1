/* SPDX-License-Identifier: Apache-2.0
 * tiktoken's files of ranks: a line for each token, its bytes in base64, a space, its rank, which is its id. No merges are listed: of
 * all neighbours whose bytes together are a token, those of the lowest rank are merged first. How text is cut and which tokens are
 * special stands in programs, not in the file; it is told by the tokenizer's class, else by the number of ranks. Source: tiktoken,
 * load.py, src/lib.rs (byte_pair_merge); tiktoken_ext/openai_public.py; llama-models, llama3/tokenizer.py; Qwen and Phi-3-small,
 * tokenization_*.py. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "tokenizers/gguf.h"

enum { MAX_BASE64 = 1024, MAX_BYTES = 256 }; /* of one token; what is spelled has at most twice as many */

typedef struct special {
    int32_t id;
    const char *text;
} special;

typedef struct encoding {
    const char *class; /* tokenizer_class of tokenizer_config.json */
    int64_t n_ranks;
    const char *pre; /* GGUF's name for how text is cut */
    bool is_nfc;
    const char *bos, *eos, *pad; /* where the configuration names none */
    bool adds_bos;
    const special *specials; /* text NULL at the end */
    struct {
        const char *prefix; /* "<|extra_": numbered tokens, closed by "|>" */
        int32_t first_id, last_id, first_number;
    } numbered;
} encoding;

static const special cl100k[] = {
    { 100257, "<|endoftext|>" },  { 100258, "<|fim_prefix|>" },  { 100259, "<|fim_middle|>" },
    { 100260, "<|fim_suffix|>" }, { 100276, "<|endofprompt|>" }, { 100277, "<|pad|>" },
    { 100278, "<|im_start|>" },   { 100279, "<|im_end|>" },      { 0 },
};
static const special phi3_small[] = {
    { 100257, "<|endoftext|>" },   { 100258, "<|fim_prefix|>" },
    { 100259, "<|fim_middle|>" },  { 100260, "<|fim_suffix|>" },
    { 100261, "<|system|>" },      { 100262, "<|user|>" },
    { 100263, "<|assistant|>" },   { 100266, "<|end|>" },
    { 100276, "<|endofprompt|>" }, { 0 },
};
static const special llama3[] = {
    { 128000, "<|begin_of_text|>" },
    { 128001, "<|end_of_text|>" },
    { 128002, "<|reserved_special_token_0|>" },
    { 128003, "<|reserved_special_token_1|>" },
    { 128004, "<|finetune_right_pad_id|>" },
    { 128005, "<|step_id|>" },
    { 128006, "<|start_header_id|>" },
    { 128007, "<|end_header_id|>" },
    { 128008, "<|eom_id|>" },
    { 128009, "<|eot_id|>" },
    { 128010, "<|python_tag|>" },
    { 128011, "<|image|>" },
    { 0 },
};
static const special qwen[] = {
    { 151643, "<|endoftext|>" }, { 151644, "<|im_start|>" }, { 151645, "<|im_end|>" }, { 0 }
};

static const encoding encodings[] = {
    { .class = "TiktokenTokenizerWrapper",
      .n_ranks = 100256,
      .pre = "dbrx",
      .eos = "<|endoftext|>",
      .bos = "<|endoftext|>",
      .pad = "<|pad|>",
      .specials = cl100k },
    { .class = "Phi3SmallTokenizer",
      .n_ranks = 100256,
      .pre = "dbrx",
      .eos = "<|endoftext|>",
      .bos = "<|endoftext|>",
      .pad = "<|endoftext|>",
      .specials = phi3_small },
    { .class = "Llama3Tokenizer",
      .n_ranks = 128000,
      .pre = "llama-bpe",
      .bos = "<|begin_of_text|>",
      .eos = "<|end_of_text|>",
      .adds_bos = true,
      .specials = llama3,
      .numbered = { "<|reserved_special_token_", 128012, 128255, 2 } },
    { .class = "QWenTokenizer",
      .n_ranks = 151643,
      .pre = "qwen2",
      .is_nfc = true,
      .eos = "<|endoftext|>",
      .pad = "<|endoftext|>",
      .specials = qwen,
      .numbered = { "<|extra_", 151646, 151850, 0 } },
};

/* ---- the file -------------------------------------------------------------------------------------------------------------------- */

static int digit_of(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* The bytes that base64 spells; false for anything else. */
static bool read_base64(fj_text text, unsigned char out[MAX_BYTES], size_t *n)
{
    uint32_t bits = 0;
    size_t padding = 0;
    *n = 0;
    while (padding < 2 && text.len > padding && text.data[text.len - 1 - padding] == '=')
        padding++;
    if (!text.len || text.len % 4 || text.len / 4 * 3 - padding > MAX_BYTES)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        int digit = i < text.len - padding ? digit_of(text.data[i]) : 0;
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        for (int k = 2; i % 4 == 3 && k >= 0; k--)
            if (*n < text.len / 4 * 3 - padding)
                out[(*n)++] = (unsigned char)(bits >> 8 * k);
    }
    return true;
}

/* The next line that is not empty, without its end; false at the end of the file. */
static bool next_line(fj_text *rest, fj_text *line)
{
    while (rest->len) {
        const char *end = memchr(rest->data, '\n', rest->len);
        size_t n = end ? (size_t)(end - rest->data) : rest->len, used = end ? n + 1 : n;
        *line = (fj_text){ rest->data, n && rest->data[n - 1] == '\r' ? n - 1 : n };
        *rest = (fj_text){ rest->data + used, rest->len - used };
        if (line->len)
            return true;
    }
    return false;
}

static bool read_line(fj_text line, unsigned char bytes[MAX_BYTES], size_t *n, int64_t *rank)
{
    const char *space = line.len ? memchr(line.data, ' ', FJ_MIN(line.len, (size_t)MAX_BASE64)) : NULL;
    size_t at = space ? (size_t)(space - line.data) : 0;
    return space && read_base64((fj_text){ line.data, at }, bytes, n) &&
           fj_text_i64((fj_text){ space + 1, line.len - at - 1 }, rank) && *rank >= 0 && *rank < FJ_MAX_TOKENS;
}

bool fj_is_tiktoken(const void *data, size_t len)
{
    fj_text rest = { data, len }, line;
    unsigned char bytes[MAX_BYTES];
    size_t n;
    int64_t rank;
    return next_line(&rest, &line) && read_line(line, bytes, &n, &rank);
}

typedef struct ranks {
    fj_text *texts; /* by rank, spelled in the byte alphabet */
    int64_t n;      /* of them, one for each line */
    char *spelled;  /* what they are views of */
} ranks;

/* Every rank from 0 on once, in any order. */
static fj_status read_ranks(fj_text file, ranks *out, fj_err *err)
{
    fj_text rest = file, line;
    unsigned char bytes[MAX_BYTES];
    size_t n;
    int64_t rank, number = 0;
    while (next_line(&rest, &line))
        out->n++;
    if (!out->n || out->n > FJ_MAX_TOKENS)
        return fj_fail(err, FJ_ERR_FORMAT, "%lld lines of ranks, wanted 1 to %d", (long long)out->n, FJ_MAX_TOKENS);
    out->texts = calloc((size_t)out->n, sizeof *out->texts);
    char *at = out->spelled = malloc(2 * file.len); /* 4 characters of base64 are at most 6 of the alphabet */
    if (!out->texts || !at)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a vocabulary of %lld tokens", (long long)out->n);
    for (rest = file; next_line(&rest, &line);) {
        number++;
        if (!read_line(line, bytes, &n, &rank))
            return fj_fail(err, FJ_ERR_FORMAT, "line %lld is no token in base64 (of at most %d bytes) with its rank",
                           (long long)number, MAX_BYTES);
        if (rank >= out->n || out->texts[rank].data)
            return fj_fail(err, FJ_ERR_FORMAT, "line %lld: rank %lld %s", (long long)number, (long long)rank,
                           rank < out->n ? "is there twice" : "is above the number of lines");
        out->texts[rank].data = at;
        for (size_t i = 0; i < n; i++)
            at += fj_utf8_put(fj_byte_character(bytes[i]), at);
        out->texts[rank].len = (size_t)(at - out->texts[rank].data);
    }
    return FJ_OK;
}

/* ---- what the file does not say -------------------------------------------------------------------------------------------------- */

static fj_status find_encoding(const fj_json *config, int64_t n, const encoding **out, fj_err *err)
{
    const char *class = fj_json_string(fj_json_get(config, "tokenizer_class"), "");
    for (size_t i = 0; i < FJ_LEN(encodings); i++) {
        *out = &encodings[i];
        if (!strcmp(class, encodings[i].class) && n <= encodings[i].n_ranks)
            return FJ_OK;
    }
    for (size_t i = 0; i < FJ_LEN(encodings); i++) {
        *out = &encodings[i];
        if (n == encodings[i].n_ranks)
            return FJ_OK;
    }
    (void)fj_fail(err, FJ_ERR_FORMAT, "a tiktoken file of %lld ranks, of a tokenizer that is not known", (long long)n);
    return fj_hint(
        err, "known are those of DBRX and Phi-3-small (cl100k, 100256 ranks), Llama 3 (128000) and Qwen (151643)");
}

typedef struct added {
    fj_added_token *items;
    size_t n;
} added;

/* added_tokens_decoder of tokenizer_config.json: {"100257": {"content": "<|endoftext|>", "special": true, …}}. */
static fj_status add_configured(const fj_json *list, int64_t n_ranks, added *out, fj_err *err)
{
    for (void *i = fj_json_first(list); i; i = fj_json_next(list, i)) {
        const fj_json *v = fj_json_member(i);
        fj_text text = fj_json_text(fj_json_get(v, "content"));
        int64_t id;
        if (!text.len || !fj_text_i64(fj_text_of(fj_json_key(i)), &id) || id < 0 || id >= FJ_MAX_TOKENS)
            return fj_fail(err, FJ_ERR_FORMAT, "added_tokens_decoder: '%.100s' is no id with a content",
                           fj_json_key(i));
        if (id >= n_ranks)
            out->items[out->n++] = (fj_added_token){ .text = text,
                                                     .id = (int32_t)id,
                                                     .is_special = fj_json_bool(fj_json_get(v, "special"), true),
                                                     .strips_left = fj_json_bool(fj_json_get(v, "lstrip"), false),
                                                     .strips_right = fj_json_bool(fj_json_get(v, "rstrip"), false) };
    }
    return FJ_OK;
}

static fj_status add_known(fj_tokenizer *t, const encoding *e, added *out, fj_err *err)
{
    for (const special *s = e->specials; s->text; s++)
        out->items[out->n++] = (fj_added_token){ .text = fj_text_of(s->text), .id = s->id, .is_special = true };
    for (int32_t id = e->numbered.first_id; e->numbered.prefix && id <= e->numbered.last_id; id++) {
        const char *text = fj_arena_printf(t->arena, "%s%d|>", e->numbered.prefix,
                                           id - e->numbered.first_id + e->numbered.first_number);
        if (!text)
            return fj_fail(err, FJ_ERR_MEMORY, "no memory for a tokenizer");
        out->items[out->n++] = (fj_added_token){ .text = fj_text_of(text), .id = id, .is_special = true };
    }
    return FJ_OK;
}

static fj_status add_specials(fj_tokenizer *t, const encoding *e, const fj_json *config, fj_err *err)
{
    const fj_json *list = fj_json_get(config, "added_tokens_decoder");
    added a = { .items = calloc(fj_json_len(list) + 512, sizeof(fj_added_token)) };
    if (!a.items)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a tokenizer");
    fj_status st = fj_json_len(list) ? add_configured(list, t->n_vocab, &a, err) : add_known(t, e, &a, err);
    if (!st)
        st = fj_tokenizer_set_added(t, a.items, a.n, err);
    free(a.items);
    return st;
}

static fj_status add_pipeline(fj_tokenizer *t, const encoding *e, fj_err *err)
{
    static const char bytes[] =
        "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":false}";
    fj_status st = e->is_nfc ? fj_open_text(t, fj_normalizers, "normalizer", "{\"type\":\"NFC\"}", &t->normalizer, err)
                             : FJ_OK;
    t->pre = e->pre;
    for (const fj_gguf_pre *p = fj_gguf_pres; !st && p->name; p++)
        for (size_t i = 0; !st && !strcmp(p->name, e->pre) && i < FJ_LEN(p->regexes) && p->regexes[i]; i++)
            st = fj_open_regex_split(t, p->regexes[i], err);
    if (!st)
        st = fj_open_text(t, fj_pre_tokenizers, "pre_tokenizer", bytes, &t->pre_tokenizer, err);
    return st ? st : fj_open_text(t, fj_decoders, "decoder", bytes, &t->decoder, err);
}

/* The lowest rank is the best score. Floats hold every rank exactly. */
static fj_status add_model(fj_tokenizer *t, fj_err *err)
{
    size_t n_tokens = (size_t)t->n_vocab, n = 0;
    fj_merge *merges = NULL;
    float *scores = calloc(n_tokens, sizeof *scores);
    uint8_t *may_merge = malloc(n_tokens);
    fj_status st = scores && may_merge ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for %zu ranks", n_tokens);
    for (size_t i = 0; !st && i < n_tokens; i++) {
        scores[i] = -(float)i;
        may_merge[i] = 1;
    }
    if (!st)
        st = fj_merges_of_scores(t, scores, may_merge, &merges, &n, err);
    if (!st)
        st = fj_bpe_init(t, merges, n, &(fj_bpe_options){ .ignore_merges = true }, err);
    free(scores);
    free(may_merge);
    free(merges);
    return st;
}

static fj_status check_bytes(const fj_tokenizer *t, fj_err *err)
{
    for (int i = 0; i < 256; i++) {
        char text[4];
        size_t n = fj_utf8_put(fj_byte_character((uint8_t)i), text);
        if (fj_text_table_find(&t->vocab, (fj_text){ text, n }) < 0)
            return fj_fail(err, FJ_ERR_FORMAT, "byte 0x%02x has no rank, so not every text could be tokenized",
                           (unsigned)i);
    }
    for (int64_t i = 0; i < t->n_vocab; i++)
        if (fj_text_table_find(&t->vocab, t->vocab_tokens[i]) != i)
            return fj_fail(err, FJ_ERR_FORMAT, "the token of rank %lld is there twice", (long long)i);
    return FJ_OK;
}

static int64_t id_of(const fj_tokenizer *t, const fj_json *config, const char *key, const char *own)
{
    int64_t id = fj_config_token(t, config, key);
    return id >= 0 || !own ? id : fj_tokenizer_id(t, fj_text_of(own));
}

static fj_status open_ranks(fj_tokenizer *t, const ranks *r, const fj_json *config, fj_err *err)
{
    const encoding *e = NULL;
    fj_status st = find_encoding(config, r->n, &e, err);
    if (!st)
        st = fj_tokenizer_set_vocab(t, r->texts, (size_t)r->n, err);
    if (!st)
        st = check_bytes(t, err);
    if (!st)
        st = add_specials(t, e, config, err);
    if (!st)
        st = add_pipeline(t, e, err);
    if (!st)
        st = add_model(t, err);
    if (!st)
        st = fj_tokenizer_finish(t, err);
    if (st)
        return st;
    t->bos = id_of(t, config, "bos_token", e->bos);
    t->eos = id_of(t, config, "eos_token", e->eos);
    t->pad = id_of(t, config, "pad_token", e->pad);
    t->unk = fj_config_token(t, config, "unk_token");
    if (t->bos >= 0 && fj_json_bool(fj_json_get(config, "add_bos_token"), e->adds_bos))
        t->post.before[t->post.n_before++] = (int32_t)t->bos;
    return FJ_OK;
}

fj_status fj_tokenizer_from_tiktoken(const void *data, size_t len, const char *name, const fj_json *config,
                                     fj_tokenizer **out, fj_err *err)
{
    ranks r = { 0 };
    fj_tokenizer *t = NULL;
    fj_status st = fj_tokenizer_new(name, &t, err);
    if (!st)
        st = read_ranks((fj_text){ data, len }, &r, err);
    if (!st)
        st = open_ranks(t, &r, config, err);
    free(r.texts);
    free(r.spelled);
    if (st) {
        fj_tokenizer_free(t);
        return fj_prefix(err, "%s", name);
    }
    *out = t;
    return FJ_OK;
}
