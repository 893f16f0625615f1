/* SPDX-License-Identifier: Apache-2.0 */
#include "models/adapter.h"

#include "models/tiny_test.h"

typedef struct adapted {
    tiny t, folder;
    fj_model *m;
    fj_adapter *a;
    fj_json *config;
} adapted;

static void open_model(adapted *x, fj_naming naming)
{
    fj_err err = { 0 };
    *x = (adapted){ 0 };
    tiny_open(&x->t, NULL, naming, &fj_f32);
    CHECK_OK(fj_model_open(&x->t.source, &x->m, &err));
}

static void drop(adapted *x)
{
    fj_adapter_free(x->a);
    fj_json_free(x->config);
    fj_model_free(x->m);
    tiny_close(&x->t);
    tiny_close(&x->folder);
}

static fj_status make(adapted *x, const char *target, int64_t rank, fj_err *err)
{
    fj_lora_settings s = { .target = target, .rank = rank, .alpha = 12, .dropout = 0.25, .seed = 5 };
    fj_adapter_free(x->a);
    x->a = NULL;
    *err = (fj_err){ 0 };
    return fj_adapter_new(x->m, &s, &x->a, err);
}

TEST(adapter_takes_all_linear_matrices_of_the_blocks_or_those_named)
{
    adapted x;
    fj_err err;
    open_model(&x, FJ_NAMING_HF);
    CHECK_OK(make(&x, "all", 4, &err));
    CHECK(x.a->n == TINY_LAYERS * 7);
    CHECK_OK(make(&x, " q_proj, mlp.down_proj ,", 4, &err));
    CHECK(x.a->n == TINY_LAYERS * 2);
    CHECK(fj_adapter_parameters(x.a) == TINY_LAYERS * 4 * (64 + 64 + 64 + 96));
    CHECK_OK(make(&x, "model.layers.1.self_attn.v_proj", 4, &err));
    CHECK(x.a->n == 1 && x.a->items[0].weight->layer == 1);
    CHECK(make(&x, "q_proj,query", 4, &err) == FJ_ERR_USAGE);
    CHECK_TEXT(err.message, "lora_target 'query' matches no linear matrix of this model");
    CHECK_TEXT(err.hint, "it has: q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj; or all");
    CHECK(make(&x, "proj", 4, &err) == FJ_ERR_USAGE); /* whole parts of names only */
    CHECK(make(&x, "embed_tokens", 4, &err) == FJ_ERR_USAGE);
    CHECK(make(&x, " ,", 4, &err) == FJ_ERR_USAGE);
    CHECK_TEXT(err.message, "lora_target names nothing");
    CHECK(make(&x, "all", 0, &err) == FJ_ERR_USAGE);
    CHECK_TEXT(err.message, "lora_rank is 0, wanted 1 to 4096");
    drop(&x);
    fj_adapter_free(NULL);
}

TEST(adapter_starts_as_nothing_with_the_same_numbers_for_a_seed)
{
    adapted x;
    fj_err err;
    open_model(&x, FJ_NAMING_HF);
    CHECK_OK(make(&x, "all", 4, &err));
    float first = x.a->items[3].a[7], most = 0;
    for (int i = 0; i < x.a->n; i++) {
        const fj_lora *l = &x.a->items[i];
        CHECK(l->scale == 3 && l->dropout == 0.25);
        float bound = 1 / sqrtf((float)l->weight->shape.dim[1]);
        for (int64_t k = 0; k < 4 * l->weight->shape.dim[1]; k++) {
            CHECK(fabsf(l->a[k]) <= bound);
            most = fmaxf(most, fabsf(l->a[k]) / bound);
        }
        for (int64_t k = 0; k < 4 * l->weight->shape.dim[0]; k++)
            CHECK(l->b[k] == 0);
    }
    CHECK(most > 0.99f);
    CHECK(x.a->items[0].a[0] != x.a->items[1].a[0]);
    CHECK_OK(make(&x, "all", 4, &err));
    CHECK(x.a->items[3].a[7] == first);
    fj_lora_settings s = { .target = "all", .rank = 4, .alpha = 12, .use_rslora = true, .seed = 6 };
    fj_adapter_free(x.a);
    CHECK_OK(fj_adapter_new(x.m, &s, &x.a, &err));
    CHECK(x.a->items[3].a[7] != first && x.a->items[0].scale == 6);
    drop(&x);
}

enum { EXPERTS = TINY_EXPERTS };

static void open_mixture(adapted *x)
{
    fj_err err = { 0 };
    *x = (adapted){ 0 };
    tiny_open_mixture(&x->t);
    CHECK_OK(fj_model_open(&x->t.source, &x->m, &err));
}

/* What a PEFT folder of x->a would hold. */
static void export(adapted *x)
{
    fj_lora_settings s = { .target = "q_proj,v_proj", .rank = 4, .alpha = 12, .dropout = 0.25 };
    x->folder = (tiny){ .source = x->t.source, .arena = fj_arena_new() };
    x->folder.source.config = NULL;
    x->config = fj_adapter_config(x->m, x->a, &s, "base");
    CHECK(x->folder.arena && x->config);
    for (int i = 0; i < x->a->n; i++)
        for (int64_t k = 0; k < 2 * fj_lora_experts(&x->a->items[i]); k++) {
            const fj_lora *l = &x->a->items[i];
            const char *name = fj_adapter_name(x->m, x->a, l, k / 2, k % 2);
            if (!l->has[k / 2])
                continue;
            fj_tensor *t = tiny_add(&x->folder, name, &fj_f32, fj_lora_shape(l, k % 2));
            fj_adapter_export(x->m, l, k / 2, k % 2, (float *)(uintptr_t)t->data);
        }
}

static fj_status reopen(adapted *x, fj_adapter **out, fj_err *err)
{
    *out = NULL;
    *err = (fj_err){ 0 };
    return fj_adapter_open(x->m, x->config, &x->folder.source, "lora", out, err);
}

static void train(adapted *x)
{
    for (int i = 0; i < x->a->n; i++)
        test_fill(x->a->items[i].b, 4 * x->a->items[i].weight->shape.dim[0], 50 + (uint64_t)i, 1);
}

TEST(adapter_comes_back_from_its_folder_bit_by_bit_whatever_the_model_was_read_from)
{
    for (fj_naming naming = FJ_NAMING_HF; naming <= FJ_NAMING_GGUF; naming++) {
        adapted x;
        fj_adapter *again;
        fj_err err;
        open_model(&x, naming);
        CHECK_OK(make(&x, "q_proj,v_proj", 4, &err));
        train(&x);
        export(&x);
        CHECK_TEXT(x.folder.tensors[1].name, "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight");
        CHECK_OK(reopen(&x, &again, &err));
        CHECK(again->n == x.a->n);
        for (int i = 0; i < again->n; i++) {
            const fj_lora *a = &x.a->items[i], *b = &again->items[i];
            CHECK(a->weight == b->weight && a->rank == b->rank && a->scale == b->scale && b->dropout == 0.25);
            CHECK(memcmp(a->a, b->a, 4 * 64 * sizeof(float)) == 0);
            CHECK(memcmp(a->b, b->b, (size_t)(4 * a->weight->shape.dim[0]) * sizeof(float)) == 0);
        }
        fj_adapter_free(again);
        drop(&x);
    }
}

TEST(adapter_of_a_gguf_model_is_stored_with_rows_in_hugging_faces_order)
{
    adapted x;
    fj_err err;
    int64_t from[64];
    open_model(&x, FJ_NAMING_GGUF);
    CHECK_OK(make(&x, "q_proj,v_proj", 4, &err));
    train(&x);
    export(&x);
    const fj_lora *l = &x.a->items[0];
    CHECK(fj_model_row_order(x.m, l->weight, from));
    const float *stored = x.folder.tensors[1].data;
    for (int i = 0; i < 64; i++)
        CHECK(memcmp(stored + from[i] * 4, l->b + i * 4, 4 * sizeof(float)) == 0);
    drop(&x);
}

TEST(adapter_merges_a_row_as_the_product_of_its_halves)
{
    adapted x;
    fj_err err;
    float row[64], wanted[64];
    open_model(&x, FJ_NAMING_HF);
    CHECK_OK(make(&x, "q_proj", 4, &err));
    train(&x);
    const fj_lora *l = &x.a->items[1];
    for (int i = 0; i < 64; i++) {
        double sum = 0;
        row[i] = (float)i;
        for (int p = 0; p < 4; p++)
            sum += (double)l->b[9 * 4 + p] * l->a[p * 64 + i];
        wanted[i] = (float)(i + 3 * sum);
    }
    fj_lora_merge_row(l, 9, row);
    CHECK_NEAR(row, wanted, 64, 1e-7);
    drop(&x);
}

TEST(adapter_takes_experts_that_are_named_and_leaves_the_others_as_they_are)
{
    enum { SIZE = 4 * (TINY_MODEL + TINY_FF) };
    adapted x;
    fj_adapter *again;
    fj_err err;
    open_mixture(&x);
    CHECK_OK(make(&x, "all", 4, &err));
    CHECK(x.a->n == TINY_LAYERS * 4);
    CHECK(make(&x, "gate", 4, &err) == FJ_ERR_USAGE);
    CHECK_TEXT(err.hint, "it has: q_proj, k_proj, v_proj, o_proj, w1, w2, w3; or all");
    CHECK_OK(make(&x, "w2", 4, &err));
    CHECK(x.a->n == TINY_LAYERS && fj_adapter_parameters(x.a) == TINY_LAYERS * EXPERTS * SIZE);
    CHECK_OK(make(&x, "w1,experts.2.w3", 4, &err));
    CHECK(x.a->n == TINY_LAYERS * 2 && fj_adapter_parameters(x.a) == TINY_LAYERS * (EXPERTS + 1) * SIZE);
    const fj_lora *one = &x.a->items[0]; /* w1 of layer 0, then of layer 1, then w3 */
    CHECK(one->has[0] && one->has[1] && one->has[2]);
    one = &x.a->items[TINY_LAYERS];
    CHECK(!one->has[0] && !one->has[1] && one->has[2] && one->a[0] == 0 && one->a[2 * 4 * TINY_MODEL] != 0);
    for (int i = 0; i < x.a->n; i++)
        for (int64_t e = 0; e < EXPERTS; e++)
            if (x.a->items[i].has[e])
                test_fill(x.a->items[i].b + e * 4 * TINY_FF, 4 * TINY_FF, 60 + (uint64_t)i, 1);
    export(&x);
    CHECK(x.folder.n == 2 * TINY_LAYERS * (EXPERTS + 1));
    fj_str text = { 0 };
    CHECK(fj_json_write(fj_json_get(x.config, "target_modules"), 0, 17, &text));
    CHECK_TEXT(text.data, "[\"w1\", \"experts.2.w3\"]");
    fj_str_free(&text);
    CHECK_OK(reopen(&x, &again, &err));
    CHECK(again->n == x.a->n && fj_adapter_parameters(again) == fj_adapter_parameters(x.a));
    for (int i = 0; i < again->n; i++) {
        CHECK(!memcmp(again->items[i].a, x.a->items[i].a, EXPERTS * 4 * TINY_MODEL * sizeof(float)));
        CHECK(!memcmp(again->items[i].b, x.a->items[i].b, EXPERTS * 4 * TINY_FF * sizeof(float)));
    }
    fj_adapter_free(again);
    drop(&x);
}

TEST(adapter_merges_a_row_of_an_expert_with_the_experts_own_pair)
{
    adapted x;
    fj_err err;
    float row[TINY_MODEL], wanted[TINY_MODEL];
    open_mixture(&x);
    CHECK_OK(make(&x, "w1", 4, &err));
    const fj_lora *l = &x.a->items[0];
    test_fill(l->b, EXPERTS * 4 * TINY_FF, 9, 1);
    for (int i = 0; i < TINY_MODEL; i++) {
        double sum = 0;
        row[i] = (float)i;
        for (int p = 0; p < 4; p++)
            sum += (double)l->b[(2 * TINY_FF + 5) * 4 + p] * l->a[(2 * 4 + p) * TINY_MODEL + i];
        wanted[i] = (float)(i + 3 * sum);
    }
    fj_lora_merge_row(l, 2 * TINY_FF + 5, row);
    CHECK_NEAR(row, wanted, TINY_MODEL, 1e-7);
    drop(&x);
}

static void check_refused(adapted *x, fj_status status, const char *message)
{
    fj_adapter *a;
    fj_err err;
    CHECK(reopen(x, &a, &err) == status);
    CHECK_TEXT(err.message, message);
    CHECK(!a);
}

#define Q1 "base_model.model.model.layers.1.self_attn.q_proj"

TEST(adapter_refuses_tensors_that_do_not_fit)
{
    adapted x;
    fj_err err;
    open_model(&x, FJ_NAMING_HF);
    CHECK_OK(make(&x, "q_proj,v_proj", 4, &err));
    export(&x);
    fj_tensor *a = tiny_tensor(&x.folder, Q1 ".lora_A.weight"), kept = *a;
    a->shape = fj_shape_2(4, 65);
    check_refused(&x, FJ_ERR_SHAPE, "lora: '" Q1 ".lora_A.weight' is F32 4x65, wanted 4x64");
    *a = kept;
    a->dtype = &fj_i32;
    check_refused(&x, FJ_ERR_SHAPE, "lora: '" Q1 ".lora_A.weight' is I32 4x64, wanted 4x64");
    *a = kept;
    float number = ((float *)(uintptr_t)a->data)[5];
    ((float *)(uintptr_t)a->data)[5] = INFINITY;
    check_refused(&x, FJ_ERR_FORMAT, "lora: '" Q1 ".lora_A.weight' holds a number that is not finite");
    ((float *)(uintptr_t)a->data)[5] = number;

    (void)tiny_add(&x.folder, "base_model.model.model.layers.2.self_attn.q_proj.lora_A.weight", &fj_f32,
                   fj_shape_2(4, 64));
    check_refused(
        &x, FJ_ERR_FORMAT,
        "lora: 'base_model.model.model.layers.2.self_attn.q_proj.lora_A.weight' fits no matrix of this model");
    x.folder.n--;
    (void)tiny_add(&x.folder, Q1 ".lora_B.bias", &fj_f32, fj_shape_1(64)); /* would change the results */
    check_refused(&x, FJ_ERR_FORMAT, "lora: '" Q1 ".lora_B.bias' fits no matrix of this model");
    x.folder.n--;
    (void)tiny_add(&x.folder, Q1 ".lora_magnitude_vector.weight", &fj_f32, fj_shape_1(64));
    check_refused(&x, FJ_ERR_FORMAT, "lora: '" Q1 ".lora_magnitude_vector.weight' fits no matrix of this model");
    x.folder.n--;
    tiny_drop(&x.folder, Q1 ".lora_B.weight");
    check_refused(&x, FJ_ERR_FORMAT, "lora: '" Q1 ".lora_A.weight' without its other half");
    x.folder.n = 0;
    check_refused(&x, FJ_ERR_FORMAT, "lora: no low-rank pair of this model in the adapter");
    drop(&x);
}

TEST(adapter_refuses_settings_that_change_the_mathematics)
{
    static const struct {
        const char *keys, *message;
    } rows[] = {
        { "{\"peft_type\": \"IA3\"}", "lora/adapter_config.json: peft_type 'IA3', forja applies LORA" },
        { "{\"use_dora\": true}", "lora/adapter_config.json: 'use_dora' is not supported" },
        { "{\"fan_in_fan_out\": true}", "lora/adapter_config.json: 'fan_in_fan_out' does not fit this model" },
        { "{\"modules_to_save\": [\"lm_head\"]}", "lora/adapter_config.json: 'modules_to_save' is not supported" },
        { "{\"bias\": \"all\"}", "lora/adapter_config.json: bias other than 'none' is not supported" },
        { "{\"r\": 0}", "lora/adapter_config.json: rank 0, wanted 1 to 4096" },
        { "{\"r\": 2.5}", "lora/adapter_config.json: rank 2.5, wanted 1 to 4096" },
        { "{\"r\": 100000}", "lora/adapter_config.json: rank 100000, wanted 1 to 4096" },
    };
    for (size_t i = 0; i < FJ_LEN(rows); i++) {
        adapted x;
        fj_err err;
        fj_json *over;
        open_model(&x, FJ_NAMING_HF);
        CHECK_OK(make(&x, "q_proj,v_proj", 4, &err));
        export(&x);
        CHECK_OK(fj_json_parse(rows[i].keys, strlen(rows[i].keys), "keys", false, &over, &err));
        void *key = fj_json_first(over);
        CHECK(fj_json_set(x.config, fj_json_key(key), fj_json_share(fj_json_member(key))));
        fj_json_free(over);
        check_refused(&x, FJ_ERR_FORMAT, rows[i].message);
        drop(&x);
    }
}

TEST(adapter_reads_ranks_and_scales_of_single_modules)
{
    adapted x;
    fj_err err;
    fj_adapter *a;
    open_model(&x, FJ_NAMING_HF);
    CHECK_OK(make(&x, "q_proj,v_proj", 4, &err));
    export(&x);
    fj_json *patterns = fj_json_new_object();
    CHECK(fj_json_set(patterns, "layers.1.self_attn.q_proj", fj_json_new_int(20)));
    CHECK(fj_json_set(x.config, "alpha_pattern", patterns));
    CHECK_OK(reopen(&x, &a, &err));
    for (int i = 0; i < a->n; i++)
        CHECK(a->items[i].scale ==
              (a->items[i].weight->role == &fj_role_attn_q && a->items[i].weight->layer == 1 ? 5 : 3));
    fj_adapter_free(a);
    CHECK(fj_json_set(x.config, "use_rslora", fj_json_new_bool(true)));
    CHECK_OK(reopen(&x, &a, &err));
    CHECK(a->items[0].scale == 6);
    fj_adapter_free(a);
    drop(&x);
}
