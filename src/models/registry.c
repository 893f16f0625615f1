/* SPDX-License-Identifier: Apache-2.0
 * All families, and how a configuration names its own. */
#include <string.h>

#include "base/str.h"
#include "models/family.h"

const fj_family *const fj_families[] = { &fj_family_llama, NULL };

enum { MAX_NAMES = 64 };

fj_status fj_family_of(const fj_json *config, const fj_family **out, fj_err *err)
{
    const char *names[MAX_NAMES];
    size_t n = 0;
    const char *arch = fj_json_string(fj_json_get(config, "gguf_arch"), NULL);
    const char *type = fj_json_string(fj_json_get(config, "model_type"), NULL);
    for (const fj_family *const *f = fj_families; *f; f++) {
        if (arch && !strcmp(arch, (*f)->gguf_arch)) {
            *out = *f;
            return FJ_OK;
        }
        for (const char *const *t = (*f)->model_types; *t; t++) {
            if (!arch && type && !strcmp(type, *t)) {
                *out = *f;
                return FJ_OK;
            }
            if (n < MAX_NAMES)
                names[n++] = *t;
        }
    }
    if (!arch && !type)
        return fj_fail(err, FJ_ERR_FORMAT, "config.json has no model_type");
    const char *wanted = arch ? arch : type, *nearest = fj_nearest(wanted, names, n);
    (void)fj_fail(err, FJ_ERR_FORMAT, "%s '%s' is not a model family that forja knows",
                  arch ? "architecture" : "model_type", wanted);
    return nearest ? fj_hint(err, "the nearest known is '%s'", nearest)
                   : fj_hint(err, "forja runs these families: llama, mistral (and what shares their graph)");
}

int64_t fj_dim_size(const fj_hparams *hp, fj_dim dim)
{
    switch (dim) {
    case FJ_DIM_VOCAB: return hp->n_vocab;
    case FJ_DIM_MODEL: return hp->d_model;
    case FJ_DIM_FF: return hp->d_ff;
    case FJ_DIM_Q: return hp->n_heads * hp->d_head;
    case FJ_DIM_KV: return hp->n_kv_heads * hp->d_head;
    case FJ_DIM_HALF_HEAD: return hp->d_head / 2;
    case FJ_DIM_NONE: break;
    }
    return 0;
}
