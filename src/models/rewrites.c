/* SPDX-License-Identifier: Apache-2.0
 * Rewrites that several families share. Source: llama.cpp, convert_hf_to_gguf.py (permute; BloomModel, GPTNeoXModel, FalconModel). */
#include <math.h>

#include "models/family.h"

/* GGUF row 2j of a head is row j of Hugging Face's, row 2j+1 is row j + d/2: interleaved rope then does what half-split rope does. */
static void pairs(const fj_hparams *hp, int64_t n, int64_t *from)
{
    int64_t d = hp->d_head;
    for (int64_t i = 0; i < n; i++) {
        int64_t head = i / d, at = i % d;
        from[i] = head * d + at / 2 + (at % 2 ? d / 2 : 0);
    }
}

/* Hugging Face: for each key head its query heads, k, v. GGUF: all q, all k, all v. */
static void qkv(const fj_hparams *hp, int64_t n, int64_t *from)
{
    int64_t d = hp->d_head, shared = hp->n_heads / hp->n_kv_heads, q = hp->n_heads * d, k = hp->n_kv_heads * d;
    for (int64_t i = 0; i < n; i++) {
        int64_t head = i < q ? i / d : i < q + k ? (i - q) / d : (i - q - k) / d;
        int64_t group = i < q ? head / shared : head;
        int64_t in_group = i < q ? head % shared : i < q + k ? shared : shared + 1;
        from[i] = (group * (shared + 2) + in_group) * d + i % d;
    }
}

static float plus_one(float x)
{
    return 1 + x;
}

static float minus_one(float x)
{
    return x - 1;
}

static float minus_exp(float x)
{
    return (float)-exp((double)x);
}

static float log_minus(float x)
{
    return (float)log((double)-x);
}

const fj_rewrite fj_rewrite_rope_pairs = { "rope_pairs", pairs, NULL, NULL };
const fj_rewrite fj_rewrite_qkv = { "qkv", qkv, NULL, NULL };
const fj_rewrite fj_rewrite_plus_one = { "plus_one", NULL, plus_one, minus_one };
const fj_rewrite fj_rewrite_minus_exp = { "minus_exp", NULL, minus_exp, log_minus };
