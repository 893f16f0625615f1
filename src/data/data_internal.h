/* SPDX-License-Identifier: Apache-2.0
 * What the files of data/ share: where rows come from, how a row becomes messages, and how messages become tokens. */
#ifndef FJ_DATA_DATA_INTERNAL_H
#define FJ_DATA_DATA_INTERNAL_H

#include "base/json.h"
#include "data/data.h"
#include "tokenizers/template.h"

enum {
    FJ_DATA_MAX_FILE   = 1 << 30, /* bytes of one data file */
    FJ_DATA_MAX_TOKENS = 1 << 24, /* of one row */
    FJ_DATA_MAX_ROWS   = 1 << 30,
};

/* The names of a row's columns; NULL: the set has no such column. LLaMA-Factory's `columns`. */
typedef struct fj_columns {
    const char *prompt, *query, *response, *history, *system, *messages, *tools, *text;
} fj_columns;

/* What the members of a message are called, and who speaks. LLaMA-Factory's `tags`. */
typedef struct fj_tags {
    const char *role, *content, *user, *assistant, *observation, *function, *system;
} fj_tags;

typedef enum fj_shape_kind { FJ_SHAPE_CHAT, FJ_SHAPE_TEXT, FJ_SHAPE_TOKENS } fj_shape_kind;

typedef struct fj_row_source fj_row_source;

/* One layout of rows. looks_like: fits a first row (for guessing); it may fill columns and tags. messages (chat shapes): a new
 * array of {"role","content"}, and *tools (a new array or NULL). A message says what is wrong with the row. */
typedef struct fj_row_shape {
    const char   *name;
    fj_shape_kind kind;
    bool (*looks_like)(const fj_json *row, fj_row_source *s);
    fj_status (*messages)(const fj_row_source *s, const fj_json *row, fj_json **messages, fj_json **tools, fj_err *err);
} fj_row_shape;

/* A data set that was found: one file and how to read it. */
struct fj_row_source {
    char           *path;
    const char     *name;  /* as the user wrote it */
    const fj_row_shape *shape; /* NULL: to be guessed from the first row */
    bool            is_lines_of_text;
    fj_columns      columns;
    fj_tags         tags;
};

extern const fj_row_shape fj_row_shape_alpaca, fj_row_shape_sharegpt, fj_row_shape_openai, fj_row_shape_text, fj_row_shape_tokenized;

/* The columns and tags that hold when nobody says otherwise. */
fj_columns fj_columns_default(void);
fj_tags    fj_tags_sharegpt(void);
fj_tags    fj_tags_openai(void);

/* Every shape, in the order in which they are tried on a first row; ends in NULL. */
extern const fj_row_shape *const fj_row_shapes[];

/* Finds the sets of config->dataset. Everything lives in the arena. FJ_ERR_USAGE for what is not there or not for this stage. */
fj_status fj_sources_find(const fj_data_config *config, fj_arena *arena, fj_row_source **out, size_t *n, fj_err *err);

/* Guesses s->shape from a file's first row. FJ_ERR_DATA when no shape fits. */
fj_status fj_source_guess(fj_row_source *s, const fj_json *row, fj_err *err);

/* Calls `take` for each row of a file, in order, until it fails, stops or `most` rows were taken (0: all). number counts rows
 * from 1. For text files a row is a JSON string. */
typedef struct fj_row_sink {
    void *context;
    fj_status (*take)(void *context, const fj_json *row, int64_t number, fj_err *err);
} fj_row_sink;
fj_status fj_rows_read(const fj_row_source *s, int64_t most, const fj_row_sink *sink, fj_err *err);

/* Tokens of a row while it is being made. Zero-initialize. in_answer: belongs to an answer, trained or not, with what the template
 * writes behind it; a turn, for cutting, is what stands before an answer and the answer. */
typedef struct fj_tokens {
    int32_t *ids, *labels, *types;
    bool    *in_answer;
    int64_t  n, cap;
    bool     has_types;
} fj_tokens;
/* in_answer is set for a label that is trained. False without memory. */
bool fj_tokens_add(fj_tokens *t, int32_t id, int32_t label, int32_t type);
void fj_tokens_free(fj_tokens *t);

/* Makes tokens of rows: the tokenizer, the chat template and what of it is trained. */
typedef struct fj_tokenizing {
    const fj_tokenizer *tokenizer; /* may be NULL */
    fj_encoder         *encoder;
    fj_template        *chat;      /* NULL when there is none */
    const char         *chat_text;
    const char         *default_system;
    char               *bos, *eos, *unk, *pad;
    bool                train_on_prompt, mask_history, is_pretraining;
    int64_t             n_vocab;
} fj_tokenizing;
fj_status fj_tokenizing_open(const fj_data_config *config, fj_arena *arena, fj_tokenizing *out, fj_err *err);
void      fj_tokenizing_close(fj_tokenizing *t);

/* Each appends to out. An empty answer gives no trained token. */
fj_status fj_tokenize_chat(fj_tokenizing *t, const fj_json *messages, const fj_json *tools, fj_tokens *out, fj_err *err);
fj_status fj_tokenize_text(fj_tokenizing *t, fj_text text, fj_tokens *out, fj_err *err);
fj_status fj_tokens_from_row(const fj_tokenizing *t, const fj_json *row, fj_tokens *out, fj_err *err);

/* Shortens a row to at most cutoff tokens by LLaMA-Factory's rule, turn by turn: each turn's source and target share what is left,
 * and both keep their beginnings. from_last: the last turn comes first (mask_history: the oldest turns go). */
void fj_tokens_cut(fj_tokens *t, int64_t cutoff, bool from_last);

/* labels[1…n-1] that count. */
int64_t fj_tokens_targets(const fj_tokens *t);

/* Lays rows into packs of at most `capacity` tokens, the longest first, each where it fits best; equal lengths in order of their
 * numbers. pack[i] becomes the pack of row i; packs are numbered by the first row that they hold. Returns how many there are, or -1
 * without memory. Source: best-fit decreasing (trl packing "bfd"). */
int64_t fj_pack_best_fit(const fj_row *rows, int64_t n, int64_t capacity, int64_t *pack);

#endif
