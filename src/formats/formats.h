/* SPDX-License-Identifier: Apache-2.0
 * Files of weights. Readers take hostile bytes without a crash: every count, length and offset is checked against the file
 * before use. Opening reads headers only; tensors are views of the mapped file. */
#ifndef FJ_FORMATS_FORMATS_H
#define FJ_FORMATS_FORMATS_H

#include "base/json.h"
#include "base/map.h"
#include "tensor/source.h"

/* ---- folders ---------------------------------------------------------------------------------------------------- */

/* A folder with config.json and, the first that is there: model.safetensors, its index with shards, pytorch_model.bin, its index
 * with shards, Grok-1's checkpoint (which needs no config.json). Shards named by the index are mapped, others (consolidated.safetensors)
 * ignored. Folders that bitsandbytes, GPTQ (AutoGPTQ's older form too) or AWQ quantized show their weights as tensors without data (foreign.h). FJ_ERR_FORMAT. *out is
 * closed by the caller (out->close). */
fj_status fj_weights_open_folder(const char *folder, fj_source **out, fj_err *err);
bool      fj_weights_in_folder(const char *folder); /* whether there are any of these files */

/* ---- safetensors ------------------------------------------------------------------------------------------------ */

/* One .safetensors file with a config of the caller's (may be NULL: then an empty object). Takes a reference of config. */
fj_status fj_safetensors_open_file(const char *path, fj_json *config, fj_source **out, fj_err *err);

/* From bytes in memory, for fuzzing: the same parser. The bytes must outlive the source. */
fj_status fj_safetensors_open_bytes(const void *data, size_t len, fj_source **out, fj_err *err);

/* Writes tensors one after the other without holding them: first the list (name, dtype, shape), then each one's data, in the
 * order of the list. metadata: an object of strings or NULL ({"format":"pt"} is written then). */
typedef struct fj_safetensors_writer fj_safetensors_writer;
fj_status fj_safetensors_create(const char *path, const fj_tensor *list, size_t n, const fj_json *metadata,
                                fj_safetensors_writer **out, fj_err *err);
fj_status fj_safetensors_add(fj_safetensors_writer *w, const void *data, size_t bytes, fj_err *err); /* may be called in pieces; counted */
fj_status fj_safetensors_commit(fj_safetensors_writer *w, fj_err *err); /* frees w, also on failure; FJ_ERR_ARG when not all bytes came */
void      fj_safetensors_abort(fj_safetensors_writer *w);               /* accepts NULL */
fj_status fj_safetensors_write(const char *path, const fj_tensor *list, size_t n, const fj_json *metadata, fj_err *err); /* all at once */

/* ---- PyTorch ---------------------------------------------------------------------------------------------------- */

/* A state dict as torch.save writes it, also inside a training checkpoint (of its "state_dict", "model", …). Nothing in the file is run:
 * FJ_ERR_FORMAT names what its pickle asks for beyond tensors. Tensors that are no contiguous part of the file are copied. config as
 * for safetensors. */
fj_status fj_torch_open_file(const char *path, fj_json *config, fj_source **out, fj_err *err);
fj_status fj_torch_open_bytes(const void *data, size_t len, fj_source **out, fj_err *err); /* for fuzzing */

/* ---- Grok-1 ------------------------------------------------------------------------------------------------------ */

/* A folder as xAI released it: [ckpt-0/]tensor00000_000, … Rows of its int8 matrices and of those that lie turned are made when they are
 * asked for, in the type of the scales (BF16). config: NULL gives one of the tensors' sizes. *found: whether there is a tensor00000_000. */
fj_status fj_grok_open_folder(const char *folder, fj_json *config, bool *found, fj_source **out, fj_err *err);
bool      fj_grok_in_folder(const char *folder);
fj_status fj_grok_open_bytes(const void *data, size_t len, size_t number, fj_source **out, fj_err *err); /* a file of one layer, for fuzzing */

/* ---- NeMo -------------------------------------------------------------------------------------------------------- */

/* Nemotron-4's .nemo archive, or the folder that it unpacks to (with model_config.yaml); config in Hugging Face's words. Rows of matrices
 * that lie in slices are made when they are asked for. Without weights the configuration and the tokenizer are read. */
fj_status fj_nemo_open(const char *path, bool with_weights, fj_source **out, fj_err *err);
fj_status fj_nemo_open_bytes(const void *data, size_t len, fj_source **out, fj_err *err); /* an archive, for fuzzing */
fj_text   fj_nemo_tokenizer(const fj_source *nemo); /* SentencePiece's file, a view; empty without */
bool      fj_is_nemo(const char *path);

/* ---- GGUF ------------------------------------------------------------------------------------------------------- */

/* v2 and v3, little-endian. The source's config is translated to config.json's names for the architectures forja knows
 * (gguf_config.c), with "gguf_arch" added, and "gguf_no_prefix" where Hugging Face's names had none of their family's prefix; for others it holds {"gguf_arch": NAME} only. naming is FJ_NAMING_GGUF. Of a model in several
 * files, NAME-00001-of-00003.gguf and so on, the path of any opens all; metadata is the first's. */
fj_status fj_gguf_open(const char *path, fj_source **out, fj_err *err);
fj_status fj_gguf_open_bytes(const void *data, size_t len, fj_source **out, fj_err *err);
fj_status fj_gguf_open_parts(const fj_text *parts, size_t n, fj_source **out, fj_err *err); /* one or several files in memory, in order */

/* How many files a name like "NAME-00001-of-00003.gguf" says that there are (1: any other name), and which it is (from 1). */
int   fj_gguf_parts(const char *name, int *part);
char *fj_gguf_part_name(const char *name, int part); /* of another of them, for free(); NULL without memory */

/* The raw metadata: key to value; arrays as JSON arrays would be slow for vocabularies, so they stay packed. */
typedef enum fj_gguf_kind {
    FJ_GGUF_U8, FJ_GGUF_I8, FJ_GGUF_U16, FJ_GGUF_I16, FJ_GGUF_U32, FJ_GGUF_I32, FJ_GGUF_F32, FJ_GGUF_BOOL,
    FJ_GGUF_STRING, FJ_GGUF_ARRAY, FJ_GGUF_U64, FJ_GGUF_I64, FJ_GGUF_F64,
} fj_gguf_kind;

typedef struct fj_gguf_value {
    fj_text      key;
    fj_gguf_kind kind;    /* of the value; FJ_GGUF_ARRAY: see below */
    fj_gguf_kind element; /* of an array's elements (never an array of arrays) */
    uint64_t     count;   /* array: elements; else 1 */
    fj_text      bytes;   /* scalar: its bytes; string: the text without length; array: the packed elements */
} fj_gguf_value;

size_t               fj_gguf_count(const fj_source *gguf);
const fj_gguf_value *fj_gguf_at(const fj_source *gguf, size_t index);
const fj_gguf_value *fj_gguf_find(const fj_source *gguf, const char *key); /* NULL when absent */

int64_t fj_gguf_int(const fj_gguf_value *v, int64_t fallback);  /* any integer or bool kind; NULL gives fallback */
double  fj_gguf_real(const fj_gguf_value *v, double fallback);  /* any number kind */
fj_text fj_gguf_text(const fj_gguf_value *v);                   /* string kind, else empty */

/* Walks an array of strings: *at starts at 0 and moves on; false at the end. (Lengths were checked when the file was opened.) */
bool fj_gguf_next_string(const fj_gguf_value *array, size_t *at, fj_text *out);
/* Element i of an array of numbers, as a double (exact for what vocabularies hold). */
double fj_gguf_number_at(const fj_gguf_value *array, uint64_t i);

/* Writing: metadata first, then the list of tensors, then their data in order, as for safetensors. Alignment 32, version 3. */
typedef struct fj_gguf_writer fj_gguf_writer;
fj_gguf_writer *fj_gguf_writer_new(void); /* NULL without memory; every set below remembers a failure for create */
void fj_gguf_set_text(fj_gguf_writer *w, const char *key, const char *text, size_t len);
void fj_gguf_set_u32(fj_gguf_writer *w, const char *key, uint32_t value);
void fj_gguf_set_f32(fj_gguf_writer *w, const char *key, float value);
void fj_gguf_set_bool(fj_gguf_writer *w, const char *key, bool value);
void fj_gguf_set_texts(fj_gguf_writer *w, const char *key, const fj_text *values, size_t n);
void fj_gguf_set_f32s(fj_gguf_writer *w, const char *key, const float *values, size_t n);
void fj_gguf_set_i32s(fj_gguf_writer *w, const char *key, const int32_t *values, size_t n);
/* A value of a file that was read, as it is; a later set of the same key wins. Not general.alignment and split.*: of that file only. */
void fj_gguf_copy(fj_gguf_writer *w, const fj_gguf_value *value);
/* Bytes that a file of these tensors would have, with what was set so far. */
fj_status fj_gguf_size(fj_gguf_writer *w, const fj_tensor *list, size_t n, uint64_t *out, fj_err *err);
fj_status fj_gguf_create(fj_gguf_writer *w, const char *path, const fj_tensor *list, size_t n, fj_err *err);
fj_status fj_gguf_add(fj_gguf_writer *w, const void *data, size_t bytes, fj_err *err); /* in pieces of one tensor; counted, padded */
fj_status fj_gguf_commit(fj_gguf_writer *w, fj_err *err); /* frees w, also on failure; FJ_ERR_ARG when not all bytes came */
void      fj_gguf_abort(fj_gguf_writer *w);               /* accepts NULL */

/* config.json's names to GGUF keys of the architecture "llama", for writing: block_count, embedding_length, … and
 * general.architecture/name. The inverse of the translation in fj_gguf_open. FJ_ERR_FORMAT for a model_type without a GGUF arch. */
fj_status fj_gguf_set_config(fj_gguf_writer *w, const fj_json *config, fj_err *err);

#endif
