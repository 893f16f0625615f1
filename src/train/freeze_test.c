/* SPDX-License-Identifier: Apache-2.0 */
#include "train/freeze.h"

#include <stdlib.h>

#include "models/tiny_test.h"

typedef struct chosen {
    tiny t;
    fj_model *m;
    bool *learns;
} chosen;

static void open_model(chosen *x, fj_naming naming, bool is_tied)
{
    fj_err err = { 0 };
    *x = (chosen){ 0 };
    tiny_open(&x->t, is_tied ? "{\"tie_word_embeddings\": true}" : NULL, naming, &fj_f32);
    CHECK_OK(fj_model_open(&x->t.source, &x->m, &err));
    x->learns = calloc((size_t)x->m->n_weights, sizeof *x->learns);
    CHECK(x->learns);
}

static void drop(chosen *x)
{
    free(x->learns);
    fj_model_free(x->m);
    tiny_close(&x->t);
}

static int choose(chosen *x, int64_t layers, const char *modules, const char *extra)
{
    fj_err err = { 0 };
    fj_freeze_settings s = { layers, modules, extra };
    int n = 0;
    CHECK_OK(fj_freeze_choose(x->m, &s, x->learns, &err));
    for (int i = 0; i < x->m->n_weights; i++)
        n += x->learns[i];
    return n;
}

static bool learns(const chosen *x, const fj_role *role, int layer)
{
    return x->learns[fj_model_weight(x->m, role, layer, false) - x->m->weights];
}

TEST(freeze_takes_the_last_or_the_first_blocks_by_the_names_of_either_file)
{
    for (int i = 0; i < 2; i++) {
        chosen x;
        open_model(&x, i ? FJ_NAMING_GGUF : FJ_NAMING_HF, false);
        int last = (int)x.m->hp.n_layers - 1;
        CHECK(last > 0);
        CHECK(choose(&x, 1, "all", NULL) == 9);
        CHECK(learns(&x, &fj_role_attn_q, last) && learns(&x, &fj_role_ffn_norm, last) &&
              !learns(&x, &fj_role_attn_q, 0));
        CHECK(choose(&x, -1, "all", NULL) == 9 && learns(&x, &fj_role_attn_q, 0) && !learns(&x, &fj_role_attn_q, last));
        CHECK(choose(&x, last + 1, "all", NULL) == 9 * (last + 1));
        CHECK(choose(&x, -last - 1, "all", NULL) == 9 * (last + 1));
        CHECK(choose(&x, -1, "mlp, input_layernorm", NULL) == 4 && learns(&x, &fj_role_attn_norm, 0) &&
              !learns(&x, &fj_role_attn_q, 0));
        drop(&x);
    }
}

/* norm is in input_layernorm too */
TEST(freeze_takes_modules_outside_of_blocks_by_substring)
{
    chosen x;
    open_model(&x, FJ_NAMING_HF, false);
    int n = (int)x.m->hp.n_layers;
    CHECK(choose(&x, 0, "all", "embed_tokens,lm_head") == 2 && learns(&x, &fj_role_output, -1));
    CHECK(choose(&x, 1, "self_attn", "norm") == 4 + 2 * n + 1);
    CHECK(learns(&x, &fj_role_attn_norm, 0) && learns(&x, &fj_role_output_norm, -1) && !learns(&x, &fj_role_ffn_up, 0));
    drop(&x);
}

static void check_refused(chosen *x, fj_freeze_settings s, const char *message, const char *hint)
{
    fj_err err = { 0 };
    CHECK(fj_freeze_choose(x->m, &s, x->learns, &err) == FJ_ERR_USAGE);
    CHECK_TEXT(err.message, message);
    CHECK_TEXT(err.hint, hint);
}

TEST(freeze_says_what_a_model_has_in_place_of_what_is_asked)
{
    chosen x;
    open_model(&x, FJ_NAMING_HF, true);
    check_refused(
        &x, (fj_freeze_settings){ 1, "mlp,self_atn", NULL }, "freeze_trainable_modules: this model has no 'self_atn'",
        "did you mean self_attn? there are: input_layernorm, self_attn, post_attention_layernorm, mlp; or all");
    check_refused(&x, (fj_freeze_settings){ 1, "all", "lm_head" }, "freeze_extra_modules: this model has no 'lm_head'",
                  "there are: embed_tokens, norm");
    check_refused(&x, (fj_freeze_settings){ 99, "all", NULL }, "freeze_trainable_layers is 99, this model has 2 layers",
                  "1 to 2 takes the last ones, -1 to -2 the first");
    check_refused(&x, (fj_freeze_settings){ -3, "all", NULL }, "freeze_trainable_layers is -3, this model has 2 layers",
                  "1 to 2 takes the last ones, -1 to -2 the first");
    check_refused(&x, (fj_freeze_settings){ 0, "all", " ," },
                  "freeze_trainable_layers: 0 with these modules leaves nothing to learn",
                  "freeze_trainable_layers: 2 with freeze_trainable_modules: all takes the last two blocks");
    drop(&x);
}
