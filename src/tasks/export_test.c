/* SPDX-License-Identifier: Apache-2.0
 * Models written again: what comes back is what was there. */
#include "tasks/export.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "formats/formats.h"
#include "models/session.h"
#include "models/tiny_test.h"
#include "tasks/export_internal.h"

static const fj_export_rows stored = { fj_export_stored_rows, NULL };

typedef struct opened {
    fj_bundle *bundle;
    fj_model *m;
} opened;

static opened open_path(const char *path)
{
    opened o = { 0 };
    fj_err err = { 0 };
    CHECK_OK(fj_bundle_open(path, FJ_OPEN_WEIGHTS, &o.bundle, &err));
    CHECK_OK(fj_model_open(o.bundle->source, &o.m, &err));
    return o;
}

static void close_path(opened *o)
{
    fj_model_free(o->m);
    fj_bundle_close(o->bundle);
}

static char *temporary(const char *name)
{
    char *path = strdup(test_temporary(name));
    CHECK(path);
    return path;
}

static void to_gguf(const opened *o, const char *recipe, const char *path, fj_export_report *report, void *context)
{
    fj_err err = { 0 };
    fj_pool *pool = NULL;
    CHECK_OK(fj_pool_open(2, &pool, &err));
    fj_export_types types = { .recipe = recipe ? fj_recipe_by_name(recipe) : NULL };
    CHECK_OK(fj_export_gguf(o->m, o->bundle, &stored, &types, path, pool, report, context, &err));
    fj_pool_close(pool);
}

/* Every tensor of one is in the other, to the last bit. */
static void check_same_tensors(const fj_source *a, const fj_source *b)
{
    CHECK(a->count(a) == b->count(b));
    for (size_t i = 0; i < a->count(a); i++) {
        const fj_tensor *x = a->at(a, i), *y = b->find(b, x->name);
        CHECK(y && x->dtype == y->dtype && fj_shape_equal(&x->shape, &y->shape));
        CHECK(!memcmp(x->data, y->data, x->bytes));
    }
}

/* A folder of a tiny model whose rows are 256 values, so that every type of blocks fits. */
static char *wide_folder(const char *keys)
{
    tiny t;
    fj_err err = { 0 };
    fj_str text = { 0 };
    char *folder = temporary("wide"), *config = NULL, *weights = NULL;
    tiny_open(&t, keys, FJ_NAMING_HF, &fj_q6_k);
    for (int i = 0; i < t.n; i++) {
        fj_tensor *x = &t.tensors[i];
        int64_t n = fj_shape_count(&x->shape);
        float *values = fj_arena_array(t.arena, (size_t)n, sizeof *values);
        CHECK(values);
        test_fill(values, n, (uint64_t)i + 1, x->shape.rank == 1 ? 1 : 0.2f);
        x->dtype = &fj_f32;
        x->data = values;
        x->bytes = (size_t)n * sizeof *values;
    }
    CHECK_OK(fj_make_dirs(folder, &err));
    config = fj_path_join(folder, "config.json");
    weights = fj_path_join(folder, "model.safetensors");
    CHECK(fj_json_write(t.source.config, 1, 17, &text));
    CHECK_OK(fj_file_write(config, text.data, text.len, &err));
    CHECK_OK(fj_safetensors_write(weights, t.tensors, (size_t)t.n, NULL, &err));
    free(config);
    free(weights);
    fj_str_free(&text);
    tiny_close(&t);
    return folder;
}

/* tiny-gpt2 with the names that the hub's GPT-2 has. */
static char *without_prefix(void)
{
    static const char prefix[] = "transformer.";
    char *folder = temporary("short-names");
    fj_err err = { 0 };
    opened from = open_path(test_golden("decoders/tiny-gpt2"));
    const fj_source *s = from.bundle->source;
    fj_tensor *list = calloc(s->count(s), sizeof *list);
    fj_str config = { 0 };
    CHECK(list && fj_json_write(s->config, 1, 17, &config));
    for (size_t i = 0; i < s->count(s); i++) {
        list[i] = *s->at(s, i);
        if (!strncmp(list[i].name, prefix, sizeof prefix - 1))
            list[i].name += sizeof prefix - 1;
    }
    CHECK_OK(fj_make_dirs(folder, &err));
    char *weights = fj_path_join(folder, "model.safetensors"), *json = fj_path_join(folder, "config.json");
    CHECK_OK(fj_safetensors_write(weights, list, s->count(s), NULL, &err));
    CHECK_OK(fj_file_write(json, config.data, config.len, &err));
    close_path(&from);
    fj_str_free(&config);
    free(weights);
    free(json);
    free(list);
    return folder;
}

TEST(a_folder_that_went_through_gguf_has_the_same_bits)
{
    static const char *const cases[] = {
        "decoders/tiny-bias",   "decoders/tiny-tied",      "decoders/tiny-window",
        "decoders/smollm-tied", "decoders/tiny-bloom",     "decoders/tiny-cohere",
        "decoders/tiny-falcon", "decoders/tiny-falcon40b", "decoders/tiny-falcon-rw",
        "decoders/tiny-gemma",  "decoders/tiny-gemma2",    "decoders/tiny-gemma3",
        "decoders/tiny-gpt2",   "decoders/tiny-gpt-neox",  "decoders/tiny-gpt-neox-sequential",
        "decoders/tiny-mpt",    "decoders/tiny-nemotron",  "decoders/tiny-phi",
        "decoders/tiny-phi3",   "decoders/tiny-phi3-long", "decoders/tiny-qwen2",
        "decoders/tiny-qwen3",  "decoders/tiny-mixtral",   "decoders/dbrx-bf16",
        "decoders/grok1-bf16",  "decoders/grok1-hpcai",    "decoders/jetmoe-bf16",
        "decoders/dclm-bf16",   "decoders/phi3small-bf16", "decoders/tiny-mamba",
        "decoders/tiny-jamba",
    };
    char *gguf = temporary("through.gguf"), *folder = temporary("through"), *short_names = without_prefix();
    fj_err err = { 0 };
    for (size_t i = 0; i <= FJ_LEN(cases); i++) {
        opened original = open_path(i < FJ_LEN(cases) ? test_golden(cases[i]) : short_names);
        to_gguf(&original, NULL, gguf, NULL, NULL);
        opened between = open_path(gguf);
        CHECK_OK(fj_export_hf(between.m, between.bundle, &stored, NULL, folder, NULL, &err));
        opened back = open_path(folder);
        check_same_tensors(original.bundle->source, back.bundle->source);
        CHECK(original.m->hp.window == back.m->hp.window && original.m->hp.rope_kind == back.m->hp.rope_kind);
        CHECK(!fj_json_get(back.bundle->config, "gguf_arch") && !fj_json_get(back.bundle->config, "gguf_no_prefix"));
        const fj_json *scalar = fj_json_get(original.bundle->config, "query_pre_attn_scalar");
        CHECK(!fj_json_is_integer(scalar) ||
              fj_json_is_integer(fj_json_get(back.bundle->config, "query_pre_attn_scalar")));
        close_path(&back);
        close_path(&between);
        close_path(&original);
    }
    CHECK_OK(fj_remove_tree(folder, &err));
    free(short_names);
    free(gguf);
    free(folder);
}

TEST(a_rewrite_of_rows_can_be_undone)
{
    for (const fj_family *const *f = fj_families; *f; f++)
        for (const fj_weight_row *row = (*f)->weights; row->role; row++)
            for (int64_t heads = 2; row->gguf_rewrite && row->gguf_rewrite->rows && heads <= 6; heads += 2) {
                enum { MOST = 3 * 6 * 12 };
                fj_hparams hp = { .n_heads = heads, .n_kv_heads = 2, .d_head = 12 };
                int64_t from[MOST], n = fj_dim_size(&hp, row->dim[0]);
                bool seen[MOST] = { false }, moves = false;
                row->gguf_rewrite->rows(&hp, n, from);
                for (int64_t i = 0; i < n; i++) { /* a permutation: every row comes from another one */
                    CHECK(from[i] >= 0 && from[i] < n && !seen[from[i]]);
                    seen[from[i]] = true;
                    moves |= from[i] != i;
                }
                CHECK(moves);
            }
}

typedef struct tally {
    int lines;
    double worst;
} tally;

static void count_line(void *context, const fj_export_line *line)
{
    tally *t = context;
    t->lines++;
    t->worst = fmax(t->worst, line->rms_error);
    CHECK(line->bytes > 0 && line->rms_error >= 0 && (line->from != line->to || line->rms_error == 0));
}

/* Logits of the ids 1, 2, 3. */
static void answer(const opened *o, float *logits)
{
    static const int32_t ids[] = { 1, 2, 3 };
    fj_kernels k;
    fj_pool *pool = NULL;
    fj_session *s = NULL;
    fj_err err = { 0 };
    fj_session_settings settings = { .n_ctx = 4, .stop_layer = -1 };
    fj_kernels_init(&k, test_cpu());
    CHECK_OK(fj_pool_open(1, &pool, &err));
    CHECK_OK(fj_session_open(o->m, &settings, pool, &k, &s, &err));
    CHECK_OK(fj_session_forward(s, &(fj_rows_in){ .n = 3, .ids = ids }, logits, NULL, &err));
    fj_session_close(s);
    fj_pool_close(pool);
}

TEST(a_quantized_copy_opens_with_its_types_and_answers_about_the_same)
{
    /* of uniform values in [-x, x]: n steps over 2x are off by 2x/n/sqrt(12) on the average square, and x/sqrt(3) is their size: 1/n */
    static const struct {
        const char *recipe;
        const fj_dtype *q; /* of attn_q */
        double error;
    } rows[] = { { "Q8_0", &fj_q8_0, 1.0 / 254 },  { "Q6_K", &fj_q6_k, 1.0 / 62 }, { "Q5_K_M", &fj_q5_k, 1.0 / 31 },
                 { "Q4_K_M", &fj_q4_k, 1.0 / 15 }, { "Q4_0", &fj_q4_0, 1.0 / 14 }, { "Q4_1", &fj_q4_1, 1.0 / 15 },
                 { "Q5_0", &fj_q5_0, 1.0 / 30 },   { "Q5_1", &fj_q5_1, 1.0 / 31 }, { "F16", &fj_f16, 1.0 / 2048 },
                 { "BF16", &fj_bf16, 1.0 / 256 },  { "F32", &fj_f32, 0 } };
    char *folder = wide_folder("{\"attention_bias\": true}"), *path = temporary("q.gguf"),
         *again = temporary("again.gguf");
    opened original = open_path(folder);
    float wanted[TINY_VOCAB], got[TINY_VOCAB];
    fj_err err = { 0 };
    answer(&original, wanted);
    for (size_t i = 0; i < FJ_LEN(rows); i++) {
        tally t = { 0 };
        double norm = 0, off = 0;
        to_gguf(&original, rows[i].recipe, path, count_line, &t);
        opened copy = open_path(path);
        CHECK(t.lines == original.m->n_weights && t.worst <= rows[i].error && (t.worst > 0 || rows[i].error == 0));
        CHECK(fj_model_weight(copy.m, &fj_role_attn_q, 0, false)->dtype == rows[i].q);
        CHECK(fj_model_weight(copy.m, &fj_role_attn_norm, 0, false)->stored->dtype == &fj_f32);
        answer(&copy, got);
        for (int v = 0; v < TINY_VOCAB; v++) {
            off += ((double)got[v] - wanted[v]) * ((double)got[v] - wanted[v]);
            norm += (double)wanted[v] * wanted[v];
        }
        CHECK(sqrt(off / norm) <=
              4 * rows[i].error + 1e-5);             /* some eight matrices in a row, as a random walk: 3 times one */
        to_gguf(&copy, NULL, again, count_line, &t); /* blocks are copied, not made again */
        opened second = open_path(again);
        check_same_tensors(copy.bundle->source, second.bundle->source);
        close_path(&second);
        close_path(&copy);
    }
    close_path(&original);
    CHECK_OK(fj_remove_tree(folder, &err));
    free(folder);
    free(path);
    free(again);
}

/* ---- rope scaling from its divisors --------------------------------------------------------------------------------------------------- */

/* The divisors that a scaling makes, as a GGUF file of a tiny model has them. */
static void open_scaled(tiny *t, fj_model **m, double factor, double low, double high, double original, double theta)
{
    char keys[64];
    fj_err err = { 0 };
    (void)snprintf(keys, sizeof keys, "{\"rope_theta\": %.1f}", theta);
    tiny_open(t, keys, FJ_NAMING_GGUF, &fj_q6_k);
    int64_t n = t->head / 2;
    float *divisors = (float *)(uintptr_t)tiny_add(t, "rope_freqs.weight", &fj_f32, fj_shape_1(n))->data;
    for (int64_t j = 0; j < n; j++) {
        double wave = 6.283185307179586 * pow(theta, (double)j / (double)n), s = (original / wave - low) / (high - low);
        s = fmin(1, fmax(0, s));
        divisors[j] = (float)(1 / ((1 - s) / factor + s));
    }
    CHECK_OK(fj_model_open(&t->source, m, &err));
}

TEST(a_rope_scaling_comes_back_from_the_divisors_that_it_made)
{
    static const struct {
        double factor, high, original, theta;
    } rows[] = { { 8, 4, 8192, 500000 },    { 32, 4, 8192, 500000 }, { 8, 4, 64, 10000 },
                 { 2, 4, 131072, 1000000 }, { 4, 8, 2048, 10000 },   { 16, 2.5, 1000, 10000 } };
    for (size_t i = 0; i < FJ_LEN(rows); i++) {
        tiny t;
        fj_model *m = NULL;
        fj_json *found = NULL;
        fj_err err = { 0 };
        open_scaled(&t, &m, rows[i].factor, 1, rows[i].high, rows[i].original, rows[i].theta);
        CHECK_OK(fj_export_rope_scaling(m, &found, &err));
        CHECK_TEXT(fj_json_string(fj_json_get(found, "rope_type"), ""), "llama3");
        CHECK(fj_json_real(fj_json_get(found, "factor"), 0) == rows[i].factor);
        CHECK(fj_json_real(fj_json_get(found, "low_freq_factor"), 0) == 1);
        CHECK(fj_json_real(fj_json_get(found, "high_freq_factor"), 0) == rows[i].high);
        CHECK(fj_json_real(fj_json_get(found, "original_max_position_embeddings"), 0) == rows[i].original);
        fj_json_free(found);
        fj_model_free(m);
        tiny_close(&t);
    }
}

TEST(divisors_that_no_scaling_makes_are_refused_and_ones_are_none)
{
    for (int is_odd = 0; is_odd < 2; is_odd++) {
        tiny t;
        fj_model *m = NULL;
        fj_json *found = NULL;
        fj_err err = { 0 };
        tiny_open(&t, NULL, FJ_NAMING_GGUF, &fj_f32);
        float *divisors =
            (float *)(uintptr_t)tiny_add(&t, "rope_freqs.weight", &fj_f32, fj_shape_1(TINY_HEAD / 2))->data;
        for (int j = 0; j < TINY_HEAD / 2; j++)
            divisors[j] = is_odd ? (float)(1 + j * 3 % 5) : 1;
        CHECK_OK(fj_model_open(&t.source, &m, &err));
        if (is_odd) {
            CHECK(fj_export_rope_scaling(m, &found, &err) == FJ_ERR_FORMAT);
            CHECK_TEXT(err.message,
                       "tiny: no rope scaling of config.json gives the frequencies of 'rope_freqs.weight'");
        } else {
            CHECK_OK(fj_export_rope_scaling(m, &found, &err));
        }
        CHECK(!found);
        fj_model_free(m);
        tiny_close(&t);
    }
}
