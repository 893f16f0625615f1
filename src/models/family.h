/* SPDX-License-Identifier: Apache-2.0
 * A model family: its configuration, its weights and its graph, described by one constant at the end of its file. */
#ifndef FJ_MODELS_FAMILY_H
#define FJ_MODELS_FAMILY_H

#include "base/json.h"
#include "ops/graph.h"
#include "tensor/role.h"
#include "tensor/source.h"

typedef struct fj_model fj_model;
typedef struct fj_build fj_build;

/* Scaling of the rotary frequencies; reference: decoders sheet, 0.1. */
typedef enum fj_rope_kind { FJ_ROPE_PLAIN, FJ_ROPE_LINEAR, FJ_ROPE_LLAMA3, FJ_ROPE_LONG } fj_rope_kind;

enum { FJ_MOST_LAYERS = 4096 };

/* A set of layers. */
typedef struct fj_layers {
    uint64_t bits[FJ_MOST_LAYERS / 64];
} fj_layers;

static inline bool fj_layers_has(const fj_layers *s, int64_t layer)
{
    return s->bits[layer / 64] >> layer % 64 & 1;
}

static inline void fj_layers_add(fj_layers *s, int64_t layer)
{
    s->bits[layer / 64] |= (uint64_t)1 << layer % 64;
}

/* Attention over blocks: the nearest `local` and every stride-th, in these layers. */
typedef struct fj_sparse {
    int64_t   block, local, stride;
    bool      is_same_in_heads;
    fj_layers layers;
} fj_sparse;

typedef struct fj_hparams {
    int64_t n_layers, d_model, n_heads, n_kv_heads, d_head, d_ff, n_vocab, n_ctx;
    int64_t n_labels;      /* above 0: the head gives so many scores, not logits */
    bool    is_tied;       /* the head is the embedding */
    bool    has_attn_bias, has_mlp_bias;
    bool    has_norm_bias; /* of layer norms */
    bool    has_qk_norm;
    bool    has_fused_qkv; /* q, k and v are one matrix */
    bool    qkv_by_group;  /* of such a matrix: for each key head its query heads, then k, then v; else all q, all k, all v */
    bool    has_second_norm; /* of the two that a parallel block may have */
    const fj_activation *act; /* of the MLP */
    /* norms */
    bool    is_layer_norm; /* the mean is taken off; else RMS */
    double  norm_eps;
    double  norm_offset;   /* added to the stored weight: 1 where files hold w and mean 1 + w */
    /* positions */
    double  rope_theta;
    int64_t d_rope;        /* rotated values of a head; 0: no rope */
    bool    rope_half;     /* pairs (j, j+r/2); false: (2j, 2j+1), as GGUF files of llama want */
    fj_rope_kind rope_kind;
    double  rope_factor, rope_low, rope_high, rope_original;
    double  rope_mscale, rope_mscale_long; /* of cos and sin, short and long; 0 counts as 1 */
    const fj_json *rope_short, *rope_long; /* divisors of longrope: views of the configuration */
    double  rope_theta_local; /* of the layers with a window, where they have their own; 0: the same rope */
    double  alibi;         /* largest power of the slopes, 8 in all known models; 0: none */
    bool    alibi_before;  /* added to q.k before the scale, the slopes rounded to bf16 */
    /* attention */
    double  attn_scale;    /* 0 of a family's: 1/sqrt(d_head) */
    bool    scale_by_layer; /* over the layer's number, from 1 */
    double  attn_softcap, clip_qkv; /* 0: none */
    int64_t window;        /* keys a query sees, itself included; 0: all */
    fj_layers windowed;    /* the layers with a window */
    fj_sparse sparse;
    /* experts */
    int64_t n_experts, n_experts_used;
    fj_layers with_experts; /* of families where only some layers have them */
    double  expert_norm;   /* order of the norm that the chosen weights are divided by; 0: none */
    /* recurrent layers (Mamba) */
    int64_t d_inner, d_state, d_conv, d_dt;
    bool    has_ssm_bias, has_conv_bias;
    fj_layers recurrent;
    /* the way through */
    double  gate_limit;    /* of a gated MLP's factors; 0: none */
    bool    is_parallel;   /* attention and MLP read the same residual */
    bool    residual_is_normed; /* the residual is what the norm gives */
    double  embd_scale, logit_scale, logit_softcap; /* 0: none */
} fj_hparams;

/* Dimensions of weights in terms of hyper-parameters: the planner has no file to look at. */
typedef enum fj_dim {
    FJ_DIM_NONE,
    FJ_DIM_VOCAB,
    FJ_DIM_MODEL,
    FJ_DIM_FF,
    FJ_DIM_2FF,
    FJ_DIM_Q,
    FJ_DIM_KV,
    FJ_DIM_QKV,
    FJ_DIM_HEAD,
    FJ_DIM_HEADS,
    FJ_DIM_KV_HEADS,
    FJ_DIM_CTX,
    FJ_DIM_HALF_ROPE,
    FJ_DIM_LABELS,
    FJ_DIM_EXPERTS,
    FJ_DIM_2KV,
    FJ_DIM_INNER,
    FJ_DIM_2INNER,
    FJ_DIM_STATE,
    FJ_DIM_CONV,
    FJ_DIM_DT,
    FJ_DIM_SCAN, /* dt, B and C */
} fj_dim;

/* A change of layout or of values between Hugging Face's bytes and GGUF's. Rows are permuted whole, so that it works on quantized
 * blocks and can be undone: rows fills from[i] = the Hugging Face row that lies at GGUF row i, for n rows (NULL: none is moved).
 * to_gguf and to_hf map single values (NULL: as they are); only what is read as f32 has them. */
typedef struct fj_rewrite {
    const char *name;
    void (*rows)(const fj_hparams *hp, int64_t n, int64_t *from);
    float (*to_gguf)(float x);
    float (*to_hf)(float x);
} fj_rewrite;

extern const fj_rewrite fj_rewrite_rope_pairs; /* halves of a head to pairs */
extern const fj_rewrite fj_rewrite_qkv;        /* groups to all q, all k, all v */
extern const fj_rewrite fj_rewrite_plus_one;   /* norms: GGUF has the 1 added */
extern const fj_rewrite fj_rewrite_minus_exp;  /* GGUF has A, Hugging Face log(-A) */

enum {
    FJ_TIED_OUTPUT = 1,   /* absent when the head is the embedding */
    FJ_GGUF_ONLY = 2,     /* an optional tensor of GGUF files that holds what config.json says elsewhere */
    FJ_HF_TRANSPOSED = 4, /* Hugging Face's file has (in, out), of experts too */
    FJ_HF_STACKED = 8,    /* Hugging Face's file has the rows of all experts in one matrix */
    FJ_HF_CONV = 16,      /* Hugging Face's file has a dimension of 1 between the two */
};

typedef struct fj_weight_row {
    const fj_role    *role;
    const char       *hf;  /* {} is the layer, {e} an expert: a tensor for each */
    fj_dim            dim[3];
    bool              is_bias;
    bool            (*only_if)(const fj_hparams *hp); /* NULL: always */
    bool            (*in_layers)(const fj_hparams *hp, int64_t layer); /* NULL: in all */
    unsigned          flags;
    const fj_rewrite *gguf_rewrite;
    const fj_role    *part_of;       /* older GGUF files have the rows in a matrix of this role, */
    fj_dim            part_after[2]; /* behind so many others */
} fj_weight_row;

/* For only_if. */
bool fj_if_attn_bias(const fj_hparams *hp);
bool fj_if_mlp_bias(const fj_hparams *hp);
bool fj_if_norm_bias(const fj_hparams *hp);
bool fj_if_qk_norm(const fj_hparams *hp);
bool fj_if_fused_qkv(const fj_hparams *hp);
bool fj_if_split_qkv(const fj_hparams *hp);
bool fj_if_sequential(const fj_hparams *hp);
bool fj_if_second_norm(const fj_hparams *hp);
bool fj_if_one_norm(const fj_hparams *hp);
bool fj_if_ssm_bias(const fj_hparams *hp);
bool fj_if_conv_bias(const fj_hparams *hp);
bool fj_if_rope(const fj_hparams *hp);
bool fj_if_no_alibi(const fj_hparams *hp);

typedef struct fj_family {
    const char           *name;
    const char *const    *model_types; /* of config.json; NULL at the end */
    const fj_weight_row  *weights;     /* role NULL at the end */
    const char *const    *ignored;     /* substrings of tensors that files carry and nobody needs; NULL at the end */
    const char           *prefix;      /* of Hugging Face's names; files without it are read too, and written as they were */
    bool                  is_tied;     /* what an absent tie_word_embeddings means */
    bool                  has_falcon_recipe; /* see fj_recipe_weight */
    /* Reads config.json's vocabulary. naming says whose bytes the weights are. FJ_ERR_FORMAT names the key that is wrong. */
    fj_status (*hparams)(const fj_json *config, fj_naming naming, fj_hparams *out, fj_err *err);
    fj_value *(*embed)(fj_build *b);   /* NULL: the rows of token_embd, times embd_scale */
    fj_value *(*block)(fj_build *b, fj_value *x, int layer);
} fj_family;

extern const fj_family fj_family_bloom, fj_family_cohere, fj_family_dbrx, fj_family_dclm, fj_family_falcon, fj_family_gemma, fj_family_gemma2, fj_family_gemma3, fj_family_gpt2, fj_family_gpt_neox, fj_family_grok, fj_family_grok_hpcai, fj_family_jamba, fj_family_jetmoe, fj_family_llama, fj_family_mamba, fj_family_mixtral, fj_family_mpt, fj_family_nemotron, fj_family_phi, fj_family_phi3, fj_family_phi3small, fj_family_qwen2, fj_family_qwen3;
extern const fj_family *const fj_families[]; /* NULL at the end */

/* The family of a model_type; FJ_ERR_FORMAT names the nearest known. */
fj_status fj_family_of(const fj_json *config, const fj_family **out, fj_err *err);

int64_t fj_dim_size(const fj_hparams *hp, fj_dim dim);

#endif
