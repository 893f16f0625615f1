/* SPDX-License-Identifier: Apache-2.0
 * How a tokenizer is built inside: a pipeline of parts, each opened from its JSON object in tokenizer.json. */
#ifndef FJ_TOKENIZERS_TOKENIZER_INTERNAL_H
#define FJ_TOKENIZERS_TOKENIZER_INTERNAL_H

#include "tokenizers/passage.h"
#include "tokenizers/regex.h"
#include "tokenizers/tokenizer.h"

enum {
    FJ_MAX_TOKENS = 1 << 24,      /* ids of one tokenizer */
    FJ_MAX_TOKEN_BYTES = 1 << 16, /* of one token */
    FJ_MAX_STEPS = 64,            /* parts of one pipeline, sequences flattened */
    FJ_MAX_NESTING = 8,           /* sequences within sequences */
};

/* ---- texts to numbers ------------------------------------------------------------------------------------------------------------ */

/* Finds the index of a text among texts that somebody else keeps. */
typedef struct fj_text_table {
    const fj_text *texts;
    uint32_t *slots; /* index + 1, or 0 */
    size_t mask;
} fj_text_table;

/* Over texts[0 … n): those with data NULL are left out; of equal ones the first counts. */
fj_status fj_text_table_init(fj_text_table *table, const fj_text *texts, size_t n, fj_arena *arena, fj_err *err);
int64_t fj_text_table_find(const fj_text_table *table, fj_text text); /* -1 when absent */

/* ---- steps ------------------------------------------------------------------------------------------------------------------------- */

typedef struct fj_step fj_step;
typedef struct fj_decoding fj_decoding;

/* Normalizers and pre-tokenizers that change text: append what becomes of one cut of src to out (text only, no cuts). */
typedef fj_status fj_rewrite_fn(const fj_step *step, fj_matcher *m, const fj_passage *src, fj_cut cut, fj_passage *out,
                                fj_err *err);
/* Pre-tokenizers that only cut: append the parts of one cut. */
typedef fj_status fj_split_fn(const fj_step *step, fj_matcher *m, const fj_passage *src, fj_cut cut, fj_cuts *out,
                              fj_err *err);
/* Decoders: see decoding.h. */
typedef struct fj_fragment fj_fragment;
typedef fj_status fj_decode_fn(fj_decoding *d, size_t at, fj_fragment f, fj_err *err);

struct fj_step {
    const char *name;
    const void *state; /* in the tokenizer's arena */
    fj_rewrite_fn *rewrite;
    fj_split_fn *split;
    fj_decode_fn *decode;
    const char *regex; /* what GGUF would call it: an expression whose matches are isolated; NULL: it has no word for it */
    bool puts_blank;   /* it puts a blank before the text */
};

typedef struct fj_steps {
    fj_step items[FJ_MAX_STEPS];
    size_t n;
} fj_steps;

fj_status fj_steps_add(fj_steps *steps, fj_step step, fj_err *err);

/* A kind of normalizer, pre-tokenizer, decoder or post-processor: open reads its JSON object and appends its steps (a
 * post-processor changes t->post instead). */
typedef struct fj_part {
    const char *name; /* "type" of the JSON object */
    fj_status (*open)(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err);
} fj_part;

extern const fj_part *const fj_normalizers[], *const fj_pre_tokenizers[], *const fj_post_processors[], *const fj_decoders[];

/* Opens spec (an object with "type"; a Sequence opens its members) from a table of parts, and keeps it in t->pipeline. what: its key in
 * tokenizer.json ("normalizer"). */
fj_status fj_open_part(fj_tokenizer *t, const fj_part *const *parts, const char *what, fj_json *spec, fj_steps *out,
                       fj_err *err);

/* What parts share when they are opened. */
void *fj_keep(fj_tokenizer *t, const void *state, size_t size, fj_err *err); /* a copy that lives with t; NULL: err is filled */
fj_status fj_keep_text(fj_tokenizer *t, fj_text text, fj_text *out, fj_err *err);
fj_status fj_keep_regex(fj_tokenizer *t, fj_text pattern, const fj_regex **out, fj_err *err);

/* {"String": …} or {"Regex": …}. */
typedef struct fj_pattern {
    fj_text text;          /* when regex is NULL */
    const fj_regex *regex;
} fj_pattern;
fj_status fj_pattern_open(fj_tokenizer *t, const fj_json *spec, fj_pattern *out, fj_err *err);
fj_status fj_pattern_next(const fj_pattern *p, fj_matcher *m, fj_text text, size_t at, size_t *start, size_t *end,
                          bool *is_found, fj_err *err);

/* How a pattern cuts. Source: tokenizers, SplitDelimiterBehavior. */
typedef enum fj_behavior {
    FJ_SPLIT_REMOVED,
    FJ_SPLIT_ISOLATED,
    FJ_SPLIT_MERGED_WITH_PREVIOUS,
    FJ_SPLIT_MERGED_WITH_NEXT,
    FJ_SPLIT_CONTIGUOUS,
} fj_behavior;
fj_status fj_behavior_open(const fj_json *spec, fj_behavior *out, fj_err *err);

/* Joins stretches of text (matches and what lies between, in order) to cuts. Zero-initialize but for behavior and out. */
typedef struct fj_joiner {
    fj_behavior behavior;
    fj_cuts *out;
    size_t start, end; /* the cut that may still grow */
    bool is_open, was_match;
} fj_joiner;
void fj_joiner_add(fj_joiner *j, size_t start, size_t end, bool is_match);
void fj_joiner_end(fj_joiner *j);

/* ---- parts that others build upon ----------------------------------------------------------------------------------------------- */

/* GPT-2's byte alphabet: every byte as a printable character. */
uint32_t fj_byte_character(uint8_t byte);
int fj_character_byte(uint32_t character); /* -1 for one that is not of the alphabet */

/* Appends the step that cuts before each run of ▁, which changes no id where no token has ▁ behind another character. */
fj_status fj_add_metaspace_cuts(fj_steps *out, fj_err *err);
bool fj_has_blank_inside(fj_text token);

bool fj_step_is_byte_map(const fj_step *step); /* it spells bytes in that alphabet */

/* A token as the bytes that it spells in the byte alphabet; false when it is not of the alphabet. out: token.len bytes. */
bool fj_unspell(fj_text token, char *out, size_t *n);

bool fj_is_punctuation(uint32_t c); /* Unicode P*, or ASCII punctuation */

/* ---- models ------------------------------------------------------------------------------------------------------------------------ */

/* Ids of a word and the bytes that each covers. With FJ_LEN_STAYS the next id covers the same bytes (a character as byte tokens). */
#define FJ_LEN_STAYS ((uint32_t)1 << 31)
typedef struct fj_ids {
    int32_t *ids;
    uint32_t *lens;
    size_t n, cap;
    bool failed;
} fj_ids;
void fj_ids_add(fj_ids *list, int32_t id, uint32_t len);

typedef struct fj_token_model {
    const char *name; /* "type" of the JSON object */
    fj_status (*open)(fj_tokenizer *t, const fj_json *spec, fj_err *err);
    void *(*work_new)(const fj_tokenizer *t); /* one thread's memory */
    void (*work_free)(void *work);
    fj_status (*encode)(const fj_tokenizer *t, void *work, fj_text word, fj_ids *out, fj_err *err);
    fj_status (*write)(const fj_tokenizer *t, fj_json *out, fj_err *err); /* what open reads, all but "type" */
} fj_token_model;

extern const fj_token_model *const fj_token_models[];

/* ---- BPE, built by more than one reader --------------------------------------------------------------------------------------------- */

typedef struct fj_merge {
    uint32_t left, right, made, rank;
} fj_merge;

typedef struct fj_bpe_options {
    fj_text unk, prefix, suffix; /* of unknown words; before all but a word's first character; behind its last */
    bool fuse_unk, byte_fallback, ignore_merges;
} fj_bpe_options;

/* Makes t's model from t->vocab and merges (sorted by the caller's rank; of equal pairs the last counts). */
fj_status fj_bpe_init(fj_tokenizer *t, const fj_merge *merges, size_t n, const fj_bpe_options *options, fj_err *err);

/* The merges that SentencePiece's BPE makes: every piece from any two pieces, best score first. *out is malloc'd. */
fj_status fj_merges_of_scores(fj_tokenizer *t, const float *scores, const uint8_t *may_merge, fj_merge **out, size_t *n,
                              fj_err *err);

/* What the writers ask: NULL when t is no BPE; all merges in the order of their rank, of equal ones that with the longer left half
 * first (transformers' order for SentencePiece's scores: convert_slow_tokenizer.py, generate_merges). */
const fj_bpe_options *fj_bpe_options_of(const fj_tokenizer *t);
fj_status fj_bpe_merges(const fj_tokenizer *t, fj_arena *arena, fj_merge **out, size_t *n, fj_err *err);

/* ---- Unigram, likewise ------------------------------------------------------------------------------------------------------------------ */

/* scores: log-probabilities by id, the arena's. may_use: which tokens text may be spelled with; NULL: all. unk: -1 for none. */
fj_status fj_unigram_init(fj_tokenizer *t, double *scores, const uint8_t *may_use, int64_t unk, bool byte_fallback, fj_err *err);

/* ---- WordPiece, likewise -------------------------------------------------------------------------------------------------------------- */

/* prefix: what stands before all but a word's first token in the vocabulary. Words of more characters are unknown. */
fj_status fj_word_piece_init(fj_tokenizer *t, fj_text prefix, int64_t unk, int64_t max_characters, fj_err *err);

/* ---- added tokens -------------------------------------------------------------------------------------------------------------------- */

typedef struct fj_added_token {
    fj_text text, pattern; /* pattern: text as the normalizer leaves it, when is_normalized */
    int32_t id;
    bool is_special, is_single_word, strips_left, strips_right, is_normalized;
} fj_added_token;

/* Patterns in byte order, for longest match by narrowing. */
typedef struct fj_added_set {
    const fj_added_token **sorted;
    size_t n;
    bool begins[256]; /* some pattern begins with this byte */
} fj_added_set;

fj_status fj_added_set_init(fj_added_set *set, const fj_added_token *tokens, size_t n, bool is_normalized, fj_arena *arena,
                            fj_err *err);

/* Which of the given text may hold special tokens: nothing, all, or the code points outside blocked ranges. */
typedef struct fj_trust {
    bool blocks_all;
    const uint32_t *starts, *ends; /* blocked code points, ascending */
    size_t n;
} fj_trust;

/* Cuts src's cut at the added tokens of the set. Source: tokenizers, AddedVocabulary.find_matches. */
void fj_added_split(const fj_added_set *set, const fj_trust *trust, const fj_passage *src, fj_cut cut, fj_cuts *out);

/* ---- the tokenizer ------------------------------------------------------------------------------------------------------------------- */

typedef struct fj_post {
    bool keeps_first_blank[8]; /* ByteLevel and RoBERTa move offsets behind blanks; one that a pre-tokenizer added stays */
    size_t n_trims;
    int32_t before[16], after[16]; /* ids that are added around */
    size_t n_before, n_after;
} fj_post;

struct fj_tokenizer {
    fj_arena *arena;
    const char *name; /* for messages */
    fj_text *tokens;  /* by id; data NULL for a hole */
    uint8_t *is_special;
    int64_t n_tokens;
    fj_text *vocab_tokens; /* the model's own, by id */
    int64_t n_vocab;
    fj_text_table vocab;
    fj_added_token *added;
    size_t n_added;
    fj_added_set raw, normalized;
    fj_steps normalizer, pre_tokenizer, decoder;
    fj_json *pipeline;      /* by key of tokenizer.json the parts that were opened, sequences flattened; NULL: none */
    const char *unwritable; /* why tokenizer.json cannot say it; NULL: it can */
    fj_post post;
    const fj_token_model *kind;
    void *model;
    bool reads_bytes;   /* words reach the model as bytes, not in the byte alphabet */
    bool needs_origins; /* a step asks where text came from */
    bool is_spm;        /* made from pieces and scores */
    const float *scores; /* by id, when is_spm */
    const char *pre;     /* GGUF's name of the pre-tokenizer, when it came from there */
    fj_regex **regexes;
    size_t n_regexes;
    int64_t bos, eos, pad, unk, eot;
    int64_t shown_unk; /* the model's id of what it does not know, where pieces show the text instead; else -1 */
};

/* Readers: a new one with arena and name; then vocabulary, added tokens, pipeline, model; then finish. */
fj_status fj_tokenizer_new(const char *name, fj_tokenizer **out, fj_err *err);

/* Texts by id (views are copied). n is at most FJ_MAX_TOKENS. */
fj_status fj_tokenizer_set_vocab(fj_tokenizer *t, const fj_text *tokens, size_t n, fj_err *err);

/* Added tokens (texts are copied); id -1: the vocabulary's own, or the next free one. */
fj_status fj_tokenizer_set_added(fj_tokenizer *t, const fj_added_token *tokens, size_t n, fj_err *err);

/* Sorts the added tokens, normalizes their patterns, leaves the byte map to the model. Once, last. */
fj_status fj_tokenizer_finish(fj_tokenizer *t, fj_err *err);

/* Opens parts from JSON written in the source, with all keys that Hugging Face asks for: readers that know a pipeline by name. */
fj_status fj_open_text(fj_tokenizer *t, const fj_part *const *parts, const char *what, const char *json, fj_steps *out,
                       fj_err *err);

/* The pre-tokenizer that keeps what the expression finds and what lies between as pieces. */
fj_status fj_open_regex_split(fj_tokenizer *t, const char *regex, fj_err *err);

/* For models' write: a text, or null when data is NULL; the vocabulary as an object {token: id}. NULL without memory. */
fj_json *fj_text_json(fj_text text);
fj_json *fj_vocab_json(const fj_tokenizer *t);

/* bos_token and the like of tokenizer_config.json: a text or an object with "content". -1 when absent. */
int64_t fj_config_token(const fj_tokenizer *t, const fj_json *config, const char *key);

/* ---- encoding ------------------------------------------------------------------------------------------------------------------------ */

/* Runs steps over every ordinary cut: from *now to *now, *next is where rewriting happens (they change places). */
fj_status fj_run_steps(const fj_steps *steps, fj_matcher *m, fj_passage **now, fj_passage **next, fj_cuts *spare, fj_err *err);

#endif
