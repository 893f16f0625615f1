/* SPDX-License-Identifier: Apache-2.0
 * Training data: files become tokenized rows with labels (fj_dataset), rows become micro-batches (fj_loader).
 * Nothing is dropped or cut without being counted in fj_data_counts and said in `notes`. Row numbers in messages start at 1.
 * Source: LLaMA-Factory data/ (dataset_info.json, alpaca and sharegpt columns, infer_seqlen); reference: training sheet 1.1-1.3. */
#ifndef FJ_DATA_DATA_H
#define FJ_DATA_DATA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "tokenizers/tokenizer.h"

enum { FJ_LABEL_NONE = -100 }; /* the label of a token that is not trained */

/* ---- files to rows ------------------------------------------------------------------------------------------------ */

/* What to read and how. Zero-initialize; zero and NULL mean what the comments say. Everything is borrowed for the call. */
typedef struct fj_data_config {
    const char *dataset;     /* names of dataset_info.json or paths of files, separated by commas */
    const char *dataset_dir; /* folder of dataset_info.json and of its files; NULL: "data" */
    const char *stage;       /* "sft" (NULL too) or "pt" */

    const fj_tokenizer *tokenizer;     /* NULL: only tokenized rows can be read */
    const char         *chat_template; /* the model's own Jinja text, or NULL */
    const char         *template_name; /* a built-in template (fj_chat_template) instead of it, or NULL */
    const char         *default_system; /* system text of conversations that have none, or NULL */

    int64_t     cutoff_len;   /* longest row in tokens; 0: no limit */
    const char *on_long_rows; /* "refuse" (NULL too), "drop" or "cut"; pt text is split instead of refused, nothing is lost */
    bool        train_on_prompt, mask_history;
    int64_t     max_samples;  /* first N rows of each data set; 0: all */
    double      val_size;     /* below 1: that share of the rows, else their number, set apart for evaluation; 0: none */
    uint64_t    seed;         /* of the split */
    int64_t     n_vocab;      /* ids of tokenized rows must be below; 0: the tokenizer's size, or unchecked without one */
} fj_data_config;

/* One tokenized row. labels[i] belongs to ids[i] (Hugging Face's convention): it is scored against the logits at i-1, so
 * labels[0] never counts. */
typedef struct fj_row {
    const int32_t *ids, *labels; /* n each */
    const int32_t *types;        /* n token type ids, or NULL */
    int32_t        n;
    int32_t        n_targets;    /* labels[1…n-1] other than FJ_LABEL_NONE; at least 1 */
    int64_t        number;       /* its row in its file, from 1 */
} fj_row;

/* What happened to the rows read: read = kept + long_dropped + untrained_dropped - (split_pieces - split_rows). */
typedef struct fj_data_counts {
    int64_t read, kept;          /* rows in the files (after max_samples), rows here (training and evaluation) */
    int64_t tokens, targets;     /* of the kept rows */
    int64_t long_rows, long_dropped, long_cut, cut_tokens; /* longer than cutoff_len; what on_long_rows did */
    int64_t split_rows;          /* pt texts longer than cutoff_len that became several rows, and */
    int64_t split_pieces;        /* how many rows they became (kept counts each) */
    int64_t untrained_dropped;   /* rows without a single trained token (an empty answer, too): they cannot teach anything */
    int64_t longest;             /* tokens of the longest row before cutting */
    int64_t longest_row;         /* its number */
} fj_data_counts;

typedef struct fj_dataset {
    const fj_row  *rows, *eval;  /* training and evaluation rows, each in file order */
    int64_t        n_rows, n_eval;
    fj_data_counts counts;
    const char    *notes;        /* lines for the log: what was guessed, counted, dropped; each ends with a newline */
    char           hash[65];     /* SHA-256 of all ids and labels, in order, and which are for evaluation: resume must meet the same */
    fj_arena      *arena;        /* owns everything above */
} fj_dataset;

/* Reads, checks and tokenizes everything. Row shapes, by dataset_info.json or guessed from the first row of a bare path:
 * alpaca (instruction, input, output, history, system), sharegpt (conversations of from/value), openai (messages of
 * role/content), text ({"text"} or a .txt file, one row a line; stage pt), tokenized ({"input_ids","labels"[,"token_type_ids"]}).
 * Files: a JSON array or JSON lines, told apart by their first bytes.
 * The trained part of a conversation is every assistant turn with its end-of-turn token, found by rendering the chat template
 * up to each turn; all else is masked.
 * FJ_ERR_DATA for a broken row (file, row, what, hint), for rows that are too long under "refuse", and for no rows at all;
 * FJ_ERR_USAGE for an unknown data set or value; FJ_ERR_FAILED for a file that cannot be read. */
fj_status fj_dataset_load(const fj_data_config *config, fj_dataset **out, fj_err *err);
void      fj_dataset_free(fj_dataset *d); /* accepts NULL */

/* Appends a row as people may check it: its text with the trained parts between ⟦ and ⟧, special tokens shown. */
fj_status fj_row_show(const fj_row *row, const fj_tokenizer *t, fj_str *out, fj_err *err);

/* Built-in chat templates by LLaMA-Factory's names (default, chatml, llama2, llama3, mistral, zephyr, phi, gemma, alpaca, vicuna,
 * empty, …): the Jinja text, static, or NULL for an unknown name. names: NULL, or becomes the list of all, ending in NULL. */
const char *fj_chat_template(const char *name, const char *const **names);

/* ---- rows to micro-batches ---------------------------------------------------------------------------------------- */

/* One micro-batch: segments laid end to end, no padding. A segment is one data row; attention stays inside it and positions
 * start at 0 in each. */
typedef struct fj_batch {
    int64_t  n_tokens, n_segments, n_targets;
    int32_t *ids, *positions;
    int32_t *labels;  /* of the token itself (masked-LM and classification labels) */
    int32_t *targets; /* of the token's prediction: the next label of its segment, FJ_LABEL_NONE at its end */
    int32_t *types;   /* token type ids, 0 where a row has none */
    int32_t *starts;  /* n_segments+1: first token of each segment, then n_tokens */
    int64_t *rows;    /* n_segments: index of the data row */
    void    *memory;  /* owns the arrays */
} fj_batch;

/* What the largest micro-batch needs: the planner's capacities. */
typedef struct fj_batch_capacity {
    int64_t tokens, segments, targets; /* each the largest by itself */
    int64_t segment_tokens;            /* the longest segment */
} fj_batch_capacity;

typedef struct fj_loader_config {
    int64_t  batch_size;   /* rows (packs, with packing) of a micro-batch: per_device_train_batch_size */
    int64_t  accumulation; /* micro-batches of a window: gradient_accumulation_steps */
    int64_t  pack_len;     /* capacity of a pack in tokens (cutoff_len; 0: the longest row); only with packing */
    bool     packing;      /* lay rows together, block-diagonal, best fit first; the packs are the same in each epoch */
    bool     shuffle;      /* a new order each epoch, by (seed, epoch) alone; else file order */
    uint64_t seed;
} fj_loader_config;

/* Order of the rows over a run, a pure function of rows, configuration, epoch (from 0) and window (from 0): to resume, ask for the
 * window where the run stopped. Keeps the order of one epoch; not thread-safe. */
typedef struct fj_loader fj_loader;

/* rows are borrowed for the loader's life. FJ_ERR_ARG for a size below 1, a pack_len shorter than a row, or no rows. */
fj_status fj_loader_new(const fj_row *rows, int64_t n_rows, const fj_loader_config *config, fj_loader **out, fj_err *err);
void      fj_loader_free(fj_loader *l); /* accepts NULL */

int64_t fj_loader_windows(const fj_loader *l); /* optimizer steps of an epoch; the last window may be smaller */
int64_t fj_loader_packs(const fj_loader *l);   /* units that are shuffled: packs, or rows without packing */

/* Exact largest micro-batch of epochs 0 … n_epochs-1. */
fj_batch_capacity fj_loader_capacity(fj_loader *l, int64_t n_epochs);

/* A window before its first micro-batch is run: the token-mean loss needs the number of targets beforehand. */
typedef struct fj_window {
    int64_t n_micro;   /* micro-batches, 1 … accumulation */
    int64_t n_targets; /* of all of them */
    int64_t n_tokens, n_segments;
} fj_window;
fj_window fj_loader_window(fj_loader *l, int64_t epoch, int64_t window);

/* Memory for micro-batches up to a capacity; the batch is then empty. */
fj_status fj_batch_new(const fj_batch_capacity *capacity, fj_batch *out, fj_err *err);
void      fj_batch_free(fj_batch *b); /* accepts a zeroed one; zeroes it */

/* Fills micro-batch 0 … n_micro-1 of a window. Allocates nothing. A batch that is too small is our own mistake (assert). */
void fj_loader_fill(fj_loader *l, int64_t epoch, int64_t window, int64_t micro, fj_batch *out);

/* All rows as one batch (probe grads, evaluation of a few rows). The caller frees it. */
fj_status fj_batch_of_rows(const fj_row *rows, int64_t n_rows, fj_batch *out, fj_err *err);

#endif
