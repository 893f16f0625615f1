/* SPDX-License-Identifier: Apache-2.0
 * Which weight gets which type. The mixes are llama.cpp's, so that a name means here what it means there.
 * Not here: weights that no mix touches because of what they are for (routers, position tables) have roles that are not
 * linear; the mixes of IQ1, IQ2 and IQ3, whose blocks are only read. */

#include <ctype.h>

#include "quant/quant.h"

/* Which layers a rule names. */
typedef bool layers_fn(const fj_recipe_weight *weight);

static bool all_layers(const fj_recipe_weight *weight)
{
    (void)weight;
    return true;
}

/* Half of the layers: the first and the last eighth, and every third between. Source: llama.cpp, use_more_bits. */
static bool half_of_layers(const fj_recipe_weight *weight)
{
    int layer = weight->layer, n = weight->n_layers, eighth = n / 8;
    return layer < eighth || layer >= 7 * n / 8 || (layer - eighth) % 3 == 2;
}

static bool first_eighth(const fj_recipe_weight *weight)
{
    return weight->layer < weight->n_layers / 8;
}

static bool first_sixteenth(const fj_recipe_weight *weight)
{
    return weight->layer < weight->n_layers / 16;
}

static bool first_two(const fj_recipe_weight *weight)
{
    return weight->layer < 2;
}

static bool first_four(const fj_recipe_weight *weight)
{
    return weight->layer < 4;
}

/* Any layer of a model in which four heads or more share a value: the weight is small, and much depends on it. */
static bool where_shared(const fj_recipe_weight *weight)
{
    return weight->n_shared_heads >= 4;
}

/* `type` in the layers that `where` names (NULL: none), `other` in the rest; NULL is the mix's main type. */
typedef struct rule {
    layers_fn *where;
    const fj_dtype *type, *other;
} rule;

/* A recipe and what its public row does not say. */
typedef struct mix {
    fj_recipe recipe; /* first: a fj_recipe of the list is the start of its mix */
    const fj_dtype *main;
    const fj_dtype *head; /* output, or token_embd that is the head too */
    rule v, down, attn_out;
    const rule *weighed_down;       /* in place of down where there is an importance matrix; NULL: down */
    const fj_dtype *embd;           /* token_embd that is not the head; NULL: main */
    const fj_dtype *attn_out_of_8;  /* attn_output when there are 8 experts; NULL: main */
    rule falcon_down;               /* of Falcon; where NULL: down */
    const fj_dtype *falcon_first;   /* its down of the first sixteenth; NULL: as falcon_down says */
    const fj_dtype *falcon_out;     /* its attn_output; NULL: main */
    const fj_dtype *beside_experts; /* of all matrices that are not one for each expert; NULL: as the rest says */
} mix;

static const rule plain = { 0 }, early_q4_1 = { first_eighth, &fj_q4_1 }, early_q5_1 = { first_eighth, &fj_q5_1 };

/* clang-format off */
static const mix mixes[] = {
    { { "Q8_0", 7, 8.5, "8.5 bits: hardly differs from 16" }, &fj_q8_0, &fj_q8_0 },
    { { "Q6_K", 18, 6.5625, "6.6 bits: very small loss" }, &fj_q6_k, &fj_q6_k },
    { { "Q5_K_M", 17, 5.5, "5.7 bits: Q5_K, in part Q6_K" }, &fj_q5_k, &fj_q6_k,
      .v = { half_of_layers, &fj_q6_k }, .down = { half_of_layers, &fj_q6_k } },
    { { "Q5_K_S", 16, 5.5, "5.6 bits: Q5_K" }, &fj_q5_k, &fj_q6_k },
    { { "Q4_K_M", 15, 4.5, "4.9 bits: Q4_K, in part Q6_K; usual" }, &fj_q4_k, &fj_q6_k,
      .v = { half_of_layers, &fj_q6_k }, .down = { half_of_layers, &fj_q6_k }, .attn_out_of_8 = &fj_q5_k,
      .falcon_down = { half_of_layers, &fj_q5_k }, .falcon_first = &fj_q6_k },
    { { "Q4_K_S", 14, 4.5, "4.7 bits: Q4_K, in small part Q5_K" }, &fj_q4_k, &fj_q6_k,
      .v = { first_four, &fj_q5_k }, .down = { first_eighth, &fj_q5_k }, .attn_out_of_8 = &fj_q5_k,
      .falcon_down = { all_layers } },
    { { "IQ4_NL", 25, 4.5, "4.7 bits: uneven levels, any rows that 32 divides" }, &fj_iq4_nl, &fj_q6_k,
      .v = { where_shared, &fj_q5_k }, .down = { first_eighth, &fj_q5_k }, .weighed_down = &plain, .attn_out_of_8 = &fj_q5_k },
    { { "IQ4_XS", 30, 4.25, "4.5 bits: uneven levels, near Q4_K_S" }, &fj_iq4_xs, &fj_q6_k,
      .v = { where_shared, &fj_q5_k }, .down = { first_eighth, &fj_q5_k }, .weighed_down = &plain, .attn_out_of_8 = &fj_q5_k },
    { { "Q3_K_L", 13, 3.4375, "4.3 bits: Q3_K, in part Q5_K" }, &fj_q3_k, &fj_q6_k,
      .v = { all_layers, &fj_q5_k }, .down = { all_layers, &fj_q5_k }, .attn_out = { all_layers, &fj_q5_k },
      .falcon_down = { all_layers, &fj_q4_k }, .falcon_out = &fj_q4_k },
    { { "Q3_K_M", 12, 3.4375, "4.0 bits: Q3_K, in part Q4_K; loss is noticeable" }, &fj_q3_k, &fj_q6_k,
      .v = { first_two, &fj_q5_k, &fj_q4_k }, .down = { first_sixteenth, &fj_q5_k, &fj_q4_k },
      .attn_out = { all_layers, &fj_q4_k }, .attn_out_of_8 = &fj_q5_k,
      .falcon_down = { half_of_layers, &fj_q4_k }, .falcon_first = &fj_q5_k },
    { { "Q3_K_S", 11, 3.4375, "3.6 bits: Q3_K; large loss" }, &fj_q3_k, &fj_q6_k, .attn_out_of_8 = &fj_q5_k },
    { { "Q2_K", 10, 2.625, "3.2 bits: Q2_K, in part Q3_K; very large loss" }, &fj_q2_k, &fj_q6_k,
      .v = { where_shared, &fj_q4_k, &fj_q3_k }, .down = { all_layers, &fj_q3_k }, .attn_out = { all_layers, &fj_q3_k },
      .attn_out_of_8 = &fj_q5_k },
    { { "Q2_K_S", 21, 2.625, "2.9 bits: Q2_K; hardly usable" }, &fj_q2_k, &fj_q6_k,
      .v = { where_shared, &fj_q4_k }, .down = { first_eighth, &fj_q4_k } },
    { { "TQ2_0", 37, 2.0625, "2.1 bits: only for models trained with -1, 0, 1" }, &fj_tq2_0, &fj_q6_k, .embd = &fj_q4_k },
    { { "TQ1_0", 36, 1.6875, "1.7 bits: TQ2_0, smaller and slower" }, &fj_tq1_0, &fj_q6_k, .embd = &fj_q4_k },
    { { "MXFP4_MOE", 38, 4.25, "4.3 bits for experts, 8.5 for the rest" }, &fj_mxfp4, &fj_q8_0, .beside_experts = &fj_q8_0 },
    { { "Q4_0", 2, 4.5, "4.5 bits: simple, more loss than Q4_K_M" }, &fj_q4_0, &fj_q6_k, .weighed_down = &early_q4_1 },
    { { "Q4_1", 3, 5.0, "5.0 bits: Q4_0 with a min" }, &fj_q4_1, &fj_q6_k },
    { { "Q5_0", 8, 5.5, "5.5 bits: any rows that 32 divides" }, &fj_q5_0, &fj_q6_k, .weighed_down = &early_q5_1 },
    { { "Q5_1", 9, 6.0, "6.0 bits: Q5_0 with a min" }, &fj_q5_1, &fj_q6_k },
    { { "F16", 1, 16, "16 bits, 11 of them significant" }, &fj_f16, &fj_f16 },
    { { "BF16", 32, 16, "16 bits, 8 significant, range of F32" }, &fj_bf16, &fj_bf16 },
    { { "F32", 0, 32, "32 bits: nothing is lost" }, &fj_f32, &fj_f32 },
};

const fj_recipe *const fj_recipes[] = {
    &mixes[0].recipe,  &mixes[1].recipe,  &mixes[2].recipe,  &mixes[3].recipe,  &mixes[4].recipe,  &mixes[5].recipe,
    &mixes[6].recipe,  &mixes[7].recipe,  &mixes[8].recipe,  &mixes[9].recipe,  &mixes[10].recipe, &mixes[11].recipe,
    &mixes[12].recipe, &mixes[13].recipe, &mixes[14].recipe, &mixes[15].recipe, &mixes[16].recipe, &mixes[17].recipe,
    &mixes[18].recipe, &mixes[19].recipe, &mixes[20].recipe, &mixes[21].recipe, &mixes[22].recipe,
    NULL,
};
/* clang-format on */

static bool same_name(const char *a, const char *b)
{
    while (*a && toupper((unsigned char)*a) == toupper((unsigned char)*b)) {
        a++;
        b++;
    }
    return !*a && !*b;
}

const fj_recipe *fj_recipe_by_name(const char *name)
{
    for (const fj_recipe *const *recipe = fj_recipes; *recipe; recipe++)
        if (same_name(name, (*recipe)->name))
            return *recipe;
    return NULL;
}

/* The next type whose block fits rows that this one's does not: K types, then blocks of 32, then none. */
static const fj_dtype *fallback(const fj_dtype *type)
{
    static const struct {
        const fj_dtype *from, *to;
    } steps[] = { { &fj_q2_k, &fj_q4_0 },  { &fj_q3_k, &fj_q4_0 },     { &fj_q4_k, &fj_q5_0 },
                  { &fj_q5_k, &fj_q5_1 },  { &fj_q6_k, &fj_q8_0 },     { &fj_tq1_0, &fj_q4_0 },
                  { &fj_tq2_0, &fj_q4_0 }, { &fj_iq4_xs, &fj_iq4_nl }, { &fj_iq2_xs, &fj_iq4_nl },
                  { &fj_nf4, &fj_iq4_nl }, { &fj_fp4, &fj_iq4_nl },    { &fj_int8, &fj_q8_0 } };
    for (size_t i = 0; i < FJ_LEN(steps); i++)
        if (steps[i].from == type)
            return steps[i].to;
    return &fj_f16;
}

/* attn_v of Llama-2-70B and its like: 80 layers whose heads share values, so the weight is small and much depends on
 * it. */
static bool is_small_v(const fj_recipe_weight *weight)
{
    return weight->role == &fj_role_attn_v && weight->n_layers == 80 && weight->shape.dim[0] < weight->shape.dim[1];
}

static const fj_dtype *by_rule(const mix *m, const rule *r, const fj_recipe_weight *weight)
{
    const fj_dtype *type = r->where && r->where(weight) ? r->type : r->other;
    return type ? type : m->main;
}

static const fj_dtype *type_of_v(const mix *m, const fj_recipe_weight *weight)
{
    const fj_dtype *type = by_rule(m, &m->v, weight);
    return is_small_v(weight) && (type == &fj_q3_k || type == &fj_q4_k) ? &fj_q5_k : type;
}

static const fj_dtype *type_of_down(const mix *m, const fj_recipe_weight *weight)
{
    if (!weight->is_falcon || !m->falcon_down.where)
        return by_rule(m, weight->has_importance && m->weighed_down ? m->weighed_down : &m->down, weight);
    return m->falcon_first && first_sixteenth(weight) ? m->falcon_first : by_rule(m, &m->falcon_down, weight);
}

static const fj_dtype *type_of_attn_out(const mix *m, const fj_recipe_weight *weight)
{
    const fj_dtype *type = by_rule(m, &m->attn_out, weight);
    if (weight->is_falcon)
        type = m->falcon_out;
    else if (weight->n_experts == 8)
        type = m->attn_out_of_8;
    return type ? type : m->main;
}

static bool is_of_experts(const fj_role *role)
{
    return role == &fj_role_ffn_gate_exps || role == &fj_role_ffn_up_exps || role == &fj_role_ffn_down_exps ||
           role == &fj_role_ffn_in_exps || role == &fj_role_attn_in_exps || role == &fj_role_attn_out_exps;
}

static const fj_dtype *wanted_type(const mix *m, const fj_recipe_weight *weight)
{
    const fj_role *role = weight->role;
    if (m->beside_experts)
        return is_of_experts(role) ? m->main : m->beside_experts;
    if (role == &fj_role_output || (role == &fj_role_token_embd && weight->tied_output)) {
        /* llama.cpp: rows that the mix's own block does not divide send the head to Q8_0 at once */
        bool is_apart = weight->is_falcon || weight->shape.dim[1] % m->main->block_len != 0;
        return m->main->is_quantized && is_apart ? &fj_q8_0 : m->head;
    }
    if (role == &fj_role_token_embd)
        return m->embd ? m->embd : m->main;
    if (weight->n_experts == 8 && m->main->is_quantized && /* small beside the experts, and they hurt most */
        (role == &fj_role_attn_v || role == &fj_role_attn_k || role == &fj_role_attn_qkv))
        return &fj_q8_0;
    if (role == &fj_role_attn_v || role == &fj_role_attn_qkv) /* one matrix of q, k and v is treated as v */
        return type_of_v(m, weight);
    if (role == &fj_role_ffn_down || role == &fj_role_ffn_down_exps)
        return type_of_down(m, weight);
    return role == &fj_role_attn_output ? type_of_attn_out(m, weight) : m->main;
}

const fj_dtype *fj_type_that_fits(const fj_dtype *type, int64_t n_cols)
{
    while (n_cols % type->block_len != 0)
        type = fallback(type);
    return type;
}

bool fj_recipe_takes(const fj_recipe_weight *weight)
{
    const fj_role *role = weight->role;
    return weight->shape.rank == 2 && (role->is_linear || role == &fj_role_token_embd || role == &fj_role_output);
}

const fj_dtype *fj_recipe_main(const fj_recipe *recipe)
{
    return ((const mix *)recipe)->main;
}

const fj_dtype *fj_recipe_wanted(const fj_recipe *recipe, const fj_recipe_weight *weight)
{
    return wanted_type((const mix *)recipe, weight);
}

const fj_dtype *fj_recipe_type(const fj_recipe *recipe, const fj_recipe_weight *weight)
{
    if (!fj_recipe_takes(weight))
        return &fj_f32;
    return fj_type_that_fits(fj_recipe_wanted(recipe, weight), weight->shape.dim[1]);
}
