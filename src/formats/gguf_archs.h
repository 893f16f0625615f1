/* SPDX-License-Identifier: Apache-2.0
 * Architectures of GGUF files: which of their keys mean what in config.json. */
#ifndef FJ_FORMATS_GGUF_ARCHS_H
#define FJ_FORMATS_GGUF_ARCHS_H

#include "formats/formats.h"

typedef enum fj_gguf_key_kind {
    FJ_KEY_INT,    /* a whole number from 1 */
    FJ_KEY_LAYERS, /* the same, or one a layer; all equal */
    FJ_KEY_REAL,
    FJ_KEY_BOOL,
} fj_gguf_key_kind;

/* What happens to a key that config.json does not have. */
enum { FJ_KEY_OPTIONAL = 1 }; /* the file has none either */

typedef struct fj_gguf_key {
    const char      *gguf;     /* behind "llama." */
    const char      *hf;       /* as fj_json_find takes it; the first name is set when a file is read */
    fj_gguf_key_kind kind;
    double           fallback; /* when config.json has none; 0: it must be there, unless it is optional */
    unsigned         flags;
} fj_gguf_key;

/* A tensor whose presence config.json states as a boolean. */
typedef struct fj_gguf_presence {
    const char *tensor, *hf;
} fj_gguf_presence;

typedef struct fj_gguf_arch {
    const char *name;
    const char *model_types[4];  /* that are written so; the first is what a file is read as. NULL behind the last */
    bool        keeps_type;      /* the file says which of them it was, in "forja.exact.model_type": they differ in names alone */
    const char *class;           /* of architectures in config.json */
    const fj_gguf_key *sizes, *own; /* gguf NULL at the end; own may be NULL */
    const fj_gguf_presence *presences; /* tensor NULL at the end; may be NULL */
    const char *d_head;          /* config.json's key of the head's size; NULL: it follows from the others */
    const char *partial;         /* config.json's key of the rotated share of a head; NULL: all of it */
    double      partial_is;      /* where config.json has none */
    int64_t     d_head_is;       /* likewise; 0: hidden_size / heads */
    bool        has_no_rope;
    bool        holds_config;    /* not known to llama.cpp: config.json goes over whole, as text */
    fj_status (*read)(const fj_source *s, fj_json *config, fj_err *err);                      /* what is special; may be NULL */
    fj_status (*write)(fj_gguf_writer *w, const fj_json *config, fj_err *err);
} fj_gguf_arch;

extern const fj_gguf_arch fj_gguf_arch_bloom, fj_gguf_arch_command_r, fj_gguf_arch_dbrx, fj_gguf_arch_falcon, fj_gguf_arch_gemma, fj_gguf_arch_gemma2, fj_gguf_arch_gemma3, fj_gguf_arch_gpt2, fj_gguf_arch_gptneox, fj_gguf_arch_grok, fj_gguf_arch_jamba, fj_gguf_arch_jetmoe, fj_gguf_arch_llama, fj_gguf_arch_mamba, fj_gguf_arch_mpt, fj_gguf_arch_nemotron, fj_gguf_arch_openlm, fj_gguf_arch_phi2, fj_gguf_arch_phi3, fj_gguf_arch_phi3small, fj_gguf_arch_qwen2, fj_gguf_arch_qwen3;
extern const fj_gguf_arch *const fj_gguf_archs[]; /* NULL at the end */

/* For hooks. */
fj_status fj_gguf_no_memory(fj_err *err);
void      fj_gguf_set_arch_key(fj_gguf_writer *w, const char *arch, const char *name, double value, bool is_real);

/* A value of the file's own architecture: "attention.scale" of "llama.attention.scale". NULL when absent. */
const fj_gguf_value *fj_gguf_arch_value(const fj_source *s, const char *name);

/* An f32 of the file as the shortest decimal that gives it back: 1e-5 rather than 9.99999975e-06. */
double fj_gguf_plain(double value);

/* Sets a member of config.json, of an object in it when the name has a dot. Takes the value over; false without memory. */
bool fj_gguf_config_set(fj_json *config, const char *name, fj_json *value);

/* A whole number of the configuration, by any of its names; at least 1, which it is when absent. */
int64_t fj_gguf_config_int(const fj_json *config, const char *names);

#endif
