/* SPDX-License-Identifier: Apache-2.0
 * See quantize.h. Source of the options and of who wins over whom: llama.cpp, tools/quantize and llama-quant.cpp. */
#include "tasks/quantize.h"

#include <stdlib.h>
#include <string.h>

#include "tokenizers/regex.h"

fj_recipe_weight fj_quantize_weight(const fj_model *m, const fj_weight *w)
{
    int64_t rows = w->shape.rank > 1 ? w->shape.dim[w->shape.rank - 2] : 1;
    return (fj_recipe_weight){ .role = w->role,
                               .layer = w->layer,
                               .n_layers = (int)m->hp.n_layers,
                               .shape = w->shape.rank > 1 ? fj_shape_2(rows, fj_shape_cols(&w->shape)) : w->shape,
                               .n_experts = (int)m->hp.n_experts,
                               .tied_output = m->hp.is_tied && w->role == &fj_role_token_embd,
                               .n_shared_heads = (int)(m->hp.n_heads / FJ_MAX(1, m->hp.n_kv_heads)),
                               .is_falcon = m->family->has_falcon_recipe };
}

/* One of the user's types: "regex=type", or a type for a role. */
typedef struct wish {
    const char *option, *text; /* for messages */
    fj_regex *regex;
    const fj_dtype *type;
    bool is_used;
} wish;

static fj_status type_by_name(const char *option, const char *name, const fj_dtype **out, fj_err *err)
{
    *out = fj_dtype_by_name(name);
    const fj_quant *q = *out ? fj_quant_of(*out) : NULL;
    if (!q) {
        (void)fj_fail(err, FJ_ERR_USAGE, "%s: '%s' is no type of weights", option, name);
        return fj_hint(err, "types are written Q4_K, Q6_K, Q8_0, F16, not as recipes are");
    }
    if (!q->encode)
        return fj_fail(err, FJ_ERR_USAGE, "%s: %s is only read", option, (*out)->name);
    return FJ_OK;
}

static fj_status parse_wish(const char *text, wish *out, fj_err *err)
{
    const char *sign = strrchr(text, '=');
    *out = (wish){ .option = "--tensor-type", .text = text };
    if (!sign || sign == text) {
        (void)fj_fail(err, FJ_ERR_USAGE, "--tensor-type: '%s' is not of the form regex=type", text);
        return fj_hint(err, "for example --tensor-type 'blk\\.[01]\\.ffn_down=Q6_K'");
    }
    if (type_by_name(out->option, sign + 1, &out->type, err))
        return err->status;
    if (fj_regex_new((fj_text){ text, (size_t)(sign - text) }, &out->regex, err)) {
        err->status = FJ_ERR_USAGE;
        return fj_prefix(err, "--tensor-type: '%s'", text);
    }
    return FJ_OK;
}

/* What the wishes were made into. */
typedef struct wishes {
    wish *list;
    size_t n;
    fj_matcher *matcher;
    const fj_dtype *output, *embedding;
} wishes;

static fj_status parse_all(const fj_quantize_wishes *from, wishes *to, fj_err *err)
{
    size_t n = from->tensor_types ? from->tensor_types->n : 0;
    fj_status st = FJ_OK;
    to->list = calloc(n + 1, sizeof *to->list);
    to->matcher = fj_matcher_new();
    if (!to->list || !to->matcher)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for the types of tensors");
    for (; to->n < n && !st; to->n++)
        st = parse_wish(from->tensor_types->items[to->n], &to->list[to->n], err);
    if (!st && from->output_type)
        st = type_by_name("--output-tensor-type", from->output_type, &to->output, err);
    if (!st && from->embedding_type)
        st = type_by_name("--token-embedding-type", from->embedding_type, &to->embedding, err);
    return st;
}

static void free_all(wishes *w)
{
    for (size_t i = 0; i < w->n; i++)
        fj_regex_free(w->list[i].regex);
    free(w->list);
    fj_matcher_free(w->matcher);
}

/* The type of the first expression that is found in the name, if there is one. Every expression that is found counts as used. */
static fj_status match(wishes *w, const char *name, const fj_dtype **type, fj_err *err)
{
    const fj_dtype *first = NULL;
    for (size_t i = 0; i < w->n; i++) {
        size_t start, end;
        bool is_found;
        fj_status st = fj_regex_next(w->list[i].regex, w->matcher, fj_text_of(name), 0, &start, &end, &is_found, err);
        if (st)
            return fj_prefix(err, "--tensor-type: '%s'", w->list[i].text);
        if (is_found && !first)
            first = w->list[i].type;
        w->list[i].is_used |= is_found;
    }
    *type = first ? first : *type;
    return FJ_OK;
}

static fj_status type_of(const fj_model *m, const fj_weight *weight, const fj_quantize_wishes *from, wishes *w,
                         const fj_dtype **out, fj_err *err)
{
    fj_recipe_weight r = fj_quantize_weight(m, weight);
    const char *name = fj_model_gguf_name(m, weight);
    r.has_importance = from->has_importance;
    *out = from->pure ? fj_recipe_main(from->recipe) : fj_recipe_wanted(from->recipe, &r);
    fj_status st = name ? match(w, name, out, err) : fj_fail(err, FJ_ERR_MEMORY, "no memory for the name of a tensor");
    if (w->output && (weight->role == &fj_role_output || r.tied_output))
        *out = w->output;
    if (w->embedding && weight->role == &fj_role_token_embd)
        *out = w->embedding;
    return st;
}

static fj_status check_used(const wishes *w, fj_err *err)
{
    for (size_t i = 0; i < w->n; i++)
        if (!w->list[i].is_used) {
            (void)fj_fail(err, FJ_ERR_USAGE, "--tensor-type: '%s' is found in the name of no matrix", w->list[i].text);
            return fj_hint(err, "names are GGUF's, as quantize -v prints them: blk.0.attn_q.weight");
        }
    return FJ_OK;
}

fj_status fj_quantize_types(const fj_model *m, const fj_quantize_wishes *from, const fj_dtype **types,
                            fj_quantize_fallbacks *fallbacks, fj_err *err)
{
    wishes w = { 0 };
    fj_status st = parse_all(from, &w, err);
    *fallbacks = (fj_quantize_fallbacks){ 0 };
    for (int i = 0; i < m->n_weights && !st; i++) {
        fj_recipe_weight r = fj_quantize_weight(m, &m->weights[i]);
        types[i] = &fj_f32;
        if (!fj_recipe_takes(&r))
            continue;
        st = type_of(m, &m->weights[i], from, &w, &types[i], err);
        const fj_dtype *fits = fj_type_that_fits(types[i], r.shape.dim[1]);
        fallbacks->n_matrices++;
        fallbacks->n_fallen += fits != types[i];
        types[i] = fits;
    }
    if (!st)
        st = check_used(&w, err);
    free_all(&w);
    return st;
}
