/* SPDX-License-Identifier: Apache-2.0
 * Which weight gets which type. The mixes are llama.cpp's, so that a name means here what it means there.
 * Not here: weights that no mix touches because of what they are for (routers, position tables) have roles that are not
 * linear; ffn_down of Q4_0 and Q5_0 with an importance matrix stays as it is (llama.cpp: Q4_1 and Q5_1 in the first
 * eighth). */

#include <ctype.h>

#include "quant/quant.h"

/* A recipe and what its public row does not say. */
typedef struct mix {
    fj_recipe recipe; /* first: a fj_recipe of the list is the start of its mix */
    const fj_dtype *main;
    const fj_dtype *more;   /* attn_v and ffn_down of the layers that use_more_bits names */
    const fj_dtype *head;   /* output, or token_embd that is the head too */
    const fj_dtype *v_of_8; /* attn_v and attn_k when there are 8 experts: small beside them, and they hurt most */
    const fj_dtype *attn_out_of_8; /* attn_output when there are 8 experts */
} mix;

/* clang-format off */
static const mix mixes[] = {
    /* name, file type, bits, about                                   main       more       head       v of 8     o of 8 */
    { { "Q8_0", 7, 8.5, "8.5 bits: hardly differs from 16" },         &fj_q8_0,  &fj_q8_0,  &fj_q8_0,  &fj_q8_0,  &fj_q8_0 },
    { { "Q6_K", 18, 6.5625, "6.6 bits: very small loss" },            &fj_q6_k,  &fj_q6_k,  &fj_q6_k,  &fj_q8_0,  &fj_q6_k },
    { { "Q5_K_M", 17, 5.5, "5.7 bits: Q5_K, in part Q6_K" },          &fj_q5_k,  &fj_q6_k,  &fj_q6_k,  &fj_q8_0,  &fj_q5_k },
    { { "Q4_K_M", 15, 4.5, "4.9 bits: Q4_K, in part Q6_K; usual" },   &fj_q4_k,  &fj_q6_k,  &fj_q6_k,  &fj_q8_0,  &fj_q5_k },
    { { "Q4_0", 2, 4.5, "4.5 bits: simple, more loss than Q4_K_M" },  &fj_q4_0,  &fj_q4_0,  &fj_q6_k,  &fj_q8_0,  &fj_q4_0 },
    { { "Q4_1", 3, 5.0, "5.0 bits: Q4_0 with a min" },                &fj_q4_1,  &fj_q4_1,  &fj_q6_k,  &fj_q8_0,  &fj_q4_1 },
    { { "Q5_0", 8, 5.5, "5.5 bits: any rows that 32 divides" },       &fj_q5_0,  &fj_q5_0,  &fj_q6_k,  &fj_q8_0,  &fj_q5_0 },
    { { "Q5_1", 9, 6.0, "6.0 bits: Q5_0 with a min" },                &fj_q5_1,  &fj_q5_1,  &fj_q6_k,  &fj_q8_0,  &fj_q5_1 },
    { { "F16", 1, 16, "16 bits, 11 of them significant" },            &fj_f16,   &fj_f16,   &fj_f16,   &fj_f16,   &fj_f16 },
    { { "BF16", 32, 16, "16 bits, 8 significant, range of F32" },     &fj_bf16,  &fj_bf16,  &fj_bf16,  &fj_bf16,  &fj_bf16 },
    { { "F32", 0, 32, "32 bits: nothing is lost" },                   &fj_f32,   &fj_f32,   &fj_f32,   &fj_f32,   &fj_f32 },
};
/* clang-format on */

const fj_recipe *const fj_recipes[] = {
    &mixes[0].recipe, &mixes[1].recipe, &mixes[2].recipe, &mixes[3].recipe, &mixes[4].recipe,  &mixes[5].recipe,
    &mixes[6].recipe, &mixes[7].recipe, &mixes[8].recipe, &mixes[9].recipe, &mixes[10].recipe, NULL,
};

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

/* Half of the layers: the first and the last eighth, and every third between. Source: llama.cpp, use_more_bits. */
static bool use_more_bits(int layer, int n_layers)
{
    int eighth = n_layers / 8;
    return layer < eighth || layer >= 7 * n_layers / 8 || (layer - eighth) % 3 == 2;
}

/* The next type whose block fits rows that this one's does not: K types, then blocks of 32, then none. */
static const fj_dtype *fallback(const fj_dtype *type)
{
    static const struct {
        const fj_dtype *from, *to;
    } steps[] = { { &fj_q4_k, &fj_q5_0 }, { &fj_q5_k, &fj_q5_1 }, { &fj_q6_k, &fj_q8_0 } };
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

static const fj_dtype *wanted_type(const mix *m, const fj_recipe_weight *weight)
{
    const fj_role *role = weight->role;
    if (role == &fj_role_output || (role == &fj_role_token_embd && weight->tied_output)) {
        /* llama.cpp: rows that the mix's own block does not divide send the head to Q8_0 at once */
        return m->main->is_quantized && weight->shape.dim[1] % m->main->block_len != 0 ? &fj_q8_0 : m->head;
    }
    if (weight->n_experts == 8) {
        if (role == &fj_role_attn_v || role == &fj_role_attn_k)
            return m->v_of_8;
        if (role == &fj_role_attn_output)
            return m->attn_out_of_8;
    }
    if ((role == &fj_role_attn_v || role == &fj_role_ffn_down) && use_more_bits(weight->layer, weight->n_layers))
        return m->more;
    return is_small_v(weight) && m->main == &fj_q4_k ? &fj_q5_k : m->main;
}

const fj_dtype *fj_recipe_type(const fj_recipe *recipe, const fj_recipe_weight *weight)
{
    const mix *m = (const mix *)recipe;
    const fj_role *role = weight->role;
    if (weight->shape.rank != 2 || !(role->is_linear || role == &fj_role_token_embd || role == &fj_role_output))
        return &fj_f32;

    const fj_dtype *type = wanted_type(m, weight);
    while (weight->shape.dim[1] % type->block_len != 0)
        type = fallback(type);
    return type;
}
