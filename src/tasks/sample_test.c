/* SPDX-License-Identifier: Apache-2.0
 * Filters, penalties and whole chains against tests/oracle/sample.py. */
#include "tasks/sample.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/map.h"
#include "tasks/sample_internal.h"
#include "tests/test.h"

enum { V = 40, MOST_CONTEXT = 64, DRAWS = 4000 };

/* ---- the golden rows ------------------------------------------------------------------------------------------------------------------ */

static int64_t numbers(const fj_json *list, float *out, int64_t most)
{
    int64_t n = (int64_t)fj_json_len(list);
    CHECK(n <= most);
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)fj_json_real(fj_json_at(list, (size_t)i), NAN);
    return n;
}

static int64_t ids_of(const fj_json *list, int32_t *out, int64_t most)
{
    int64_t n = (int64_t)fj_json_len(list);
    CHECK(n <= most);
    for (int64_t i = 0; i < n; i++)
        out[i] = (int32_t)fj_json_int(fj_json_at(list, (size_t)i), -1);
    return n;
}

static double argument(const fj_json *row, size_t index, double fallback)
{
    return fj_json_real(fj_json_at(fj_json_get(row, "args"), index), fallback);
}

/* The wanted probability of an id, 0 when it is filtered out. */
static double share_of(const fj_json *row, int32_t id)
{
    char name[16];
    (void)snprintf(name, sizeof name, "%d", id);
    return fj_json_real(fj_json_get(fj_json_get(row, "p"), name), 0);
}

static void each_row(void (*check)(const fj_json *row), const char *key, int least)
{
    fj_str file = { 0 };
    fj_err err = { 0 };
    int n = 0;
    CHECK_OK(fj_file_read(test_golden("sample/cases.jsonl"), 1 << 20, &file, &err));
    for (char *line = strtok(file.data, "\n"); line; line = strtok(NULL, "\n")) {
        fj_json *row = NULL;
        CHECK_OK(fj_json_parse(line, strlen(line), "cases.jsonl", false, &row, &err));
        if (fj_json_get(row, key)) {
            check(row);
            n++;
        }
        fj_json_free(row);
    }
    CHECK(n >= least);
    fj_str_free(&file);
}

/* ---- filters -------------------------------------------------------------------------------------------------------------------------- */

static void apply(const char *name, const fj_json *row, fj_candidates *c)
{
    double x = argument(row, 0, NAN);
    if (!strcmp(name, "top_k"))
        fj_keep_top_k(c, (int64_t)x);
    else if (!strcmp(name, "top_p"))
        fj_keep_top_p(c, x);
    else if (!strcmp(name, "min_p"))
        fj_keep_min_p(c, x);
    else if (!strcmp(name, "typical"))
        fj_keep_typical(c, x);
    else if (!strcmp(name, "sigma"))
        fj_keep_sigma(c, x);
    else if (!strcmp(name, "xtc"))
        fj_drop_top_choices(c, x);
    else if (!strcmp(name, "temperature"))
        fj_apply_temperature(c, x, argument(row, 1, 0), argument(row, 2, 1));
    else
        fj_mirostat_truncate(c, !strcmp(name, "mirostat1") ? 1 : 2, x, V);
}

static void check_filter(const fj_json *row)
{
    float logits[V];
    fj_candidate items[V];
    const char *name = fj_json_string(fj_json_get(row, "filter"), "");
    fj_candidates c = { .items = items, .n = numbers(fj_json_get(row, "logits"), logits, V) };
    for (int32_t i = 0; i < c.n; i++)
        items[i] = (fj_candidate){ .id = i, .logit = logits[i] };
    apply(name, row, &c);
    if (c.n != (int64_t)fj_json_len(fj_json_get(row, "p")))
        print_error("%s(%g): %lld stay, wanted %zu\n", name, argument(row, 0, 0), (long long)c.n,
                    fj_json_len(fj_json_get(row, "p")));
    CHECK(c.n == (int64_t)fj_json_len(fj_json_get(row, "p")));
    fj_candidates_weigh(&c);
    for (int64_t i = 0; i < c.n;
         i++) /* logits are float32 between filters: 2^-24 of at most 100, and exp makes it relative */
        CHECK(fabs(c.items[i].p - share_of(row, c.items[i].id)) <= 2e-5 * c.items[i].p);
    for (int64_t i = 1; i < c.n_sorted; i++)
        CHECK(c.items[i - 1].logit > c.items[i].logit ||
              (c.items[i - 1].logit == c.items[i].logit && c.items[i - 1].id < c.items[i].id));
}

TEST(sampling_filters_leave_what_their_definitions_say)
{
    each_row(check_filter, "filter", 80);
}

TEST(candidates_are_sorted_as_far_as_asked_with_equals_by_id)
{
    enum { N = 1000 };
    static fj_candidate items[N];
    for (int64_t k = 1; k <= N; k = 3 * k + 1) {
        fj_candidates c = { .items = items, .n = N };
        for (int32_t i = 0; i < N; i++)
            items[i] = (fj_candidate){ .id = i, .logit = (float)(i * 7919 % 100) };
        fj_candidates_sort(&c, k / 2);
        fj_candidates_sort(&c, k);
        for (int64_t i = 0; i < k; i++) { /* ten ids of each logit */
            CHECK(items[i].logit == (float)(99 - i / 10));
            CHECK(i % 10 == 0 || items[i].id > items[i - 1].id);
        }
    }
}

TEST(candidates_are_picked_by_their_share)
{
    fj_candidate items[] = { { 3, 0, 0.5 }, { 1, 0, 0.25 }, { 2, 0, 0.25 }, { 9, 0, 0 } };
    fj_candidates c = { .items = items, .n = 4 };
    const double u[] = { 0, 0.49, 0.5, 0.74, 0.75, 0.999999, 1 };
    const int64_t wanted[] = { 0, 0, 1, 1, 2, 2, 2 };
    for (size_t i = 0; i < FJ_LEN(u); i++)
        CHECK(fj_candidates_pick(&c, u[i]) == wanted[i]);
}

/* ---- penalties ------------------------------------------------------------------------------------------------------------------------ */

static void check_penalty(const fj_json *row)
{
    float logits[V], wanted[V];
    int32_t context[MOST_CONTEXT], z[MOST_CONTEXT], counts[V] = { 0 }, broken[V];
    unsigned char breaks[V] = { 0 };
    int64_t n = ids_of(fj_json_get(row, "context"), context, MOST_CONTEXT);
    int64_t n_broken = ids_of(fj_json_get(row, "breaks"), broken, V);
    (void)numbers(fj_json_get(row, "logits"), logits, V);
    (void)numbers(fj_json_get(row, "out"), wanted, V);
    for (int64_t i = 0; i < n_broken; i++)
        breaks[broken[i]] = 1;
    if (!strcmp(fj_json_string(fj_json_get(row, "penalty"), ""), "repeat")) {
        fj_penalties p = { argument(row, 0, 1), argument(row, 1, 0), argument(row, 2, 0),
                           (int64_t)argument(row, 3, 0) };
        fj_penalize(&p, context, n, logits, counts);
    } else {
        fj_dry d = { argument(row, 0, 0), argument(row, 1, 1), (int64_t)argument(row, 2, 0),
                     (int64_t)argument(row, 3, 0) };
        fj_penalize_repetition(&d, context, n, n_broken ? breaks : NULL, logits, z, counts);
    }
    CHECK_NEAR(logits, wanted, V, 1e-6);
    for (int i = 0; i < V; i++)
        CHECK(counts[i] == 0);
}

TEST(penalties_of_what_was_said_are_those_of_their_definitions)
{
    each_row(check_penalty, "penalty", 12);
}

/* ---- whole samplers ------------------------------------------------------------------------------------------------------------------- */

/* The settings of a row, set as the command line would. */
static fj_sample_settings settings_of(const fj_json *row, fj_arena *arena)
{
    fj_sample_settings s;
    const fj_json *given = fj_json_get(row, "settings");
    size_t n_known = 0;
    fj_err err = { 0 };
    fj_options_reset(fj_sample_options, arena, &s);
    for (const fj_option *o = fj_sample_options; o->name; o++) {
        char name[64], text[64];
        (void)snprintf(name, sizeof name, "%s", !strcmp(o->name, "sampler-order") ? "order" : o->name);
        for (char *p = name; *p; p++)
            *p = *p == '-' ? '_' : *p;
        const fj_json *v = fj_json_get(given, name);
        n_known += v != NULL;
        for (size_t i = 0; i < fj_json_len(v); i++)
            CHECK_OK(fj_option_set(o, o->name, fj_json_string(fj_json_at(v, i), ""), arena, &s, &err));
        if (fj_json_is_number(v))
            (void)snprintf(text, sizeof text, "%g", fj_json_real(v, 0));
        if (fj_json_is_number(v) || fj_json_is_string(v))
            CHECK_OK(fj_option_set(
                o, o->name, fj_json_is_number(v) ? fj_arena_text(arena, text, strlen(text)) : fj_json_string(v, ""),
                arena, &s, &err));
    }
    CHECK(n_known == fj_json_len(given));
    return s;
}

/* Shares over many seeds, which are fixed: five standard deviations of such a share, and nothing of what is filtered out. */
static void check_sampler(const fj_json *row)
{
    float logits[V];
    int32_t context[MOST_CONTEXT], id;
    int count[V] = { 0 };
    fj_err err = { 0 };
    fj_sampler *sampler = NULL;
    fj_arena *arena = fj_arena_new();
    CHECK(arena);
    fj_sample_settings s = settings_of(row, arena);
    int64_t n = ids_of(fj_json_get(row, "context"), context, MOST_CONTEXT);
    (void)numbers(fj_json_get(row, "logits"), logits, V);
    CHECK_OK(fj_sampler_new(&s, fj_json_get(row, "generation"), NULL, V, MOST_CONTEXT, 0, &sampler, &err));
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        fj_sampler_restart(sampler, seed);
        CHECK_OK(fj_sampler_draw(sampler, logits, context, n, &id, &err));
        CHECK(id >= 0 && id < V);
        count[id]++;
    }
    for (int32_t i = 0; i < V; i++) {
        double p = share_of(row, i), got = (double)count[i] / DRAWS;
        CHECK(p > 0 || count[i] == 0);
        CHECK(fabs(got - p) <= 5 * sqrt(p * (1 - p) / DRAWS) + 1e-9);
    }
    fj_sampler_free(sampler);
    fj_arena_free(arena);
}

TEST(samplers_draw_each_token_as_often_as_their_settings_say)
{
    each_row(check_sampler, "settings", 25);
}

static fj_sampler *sampler_of(const char *settings, int64_t n_vocab, uint64_t seed)
{
    fj_err err = { 0 };
    fj_json *row = NULL;
    fj_sampler *sampler = NULL;
    fj_arena *arena = fj_arena_new();
    CHECK(arena);
    CHECK_OK(fj_json_parse(settings, strlen(settings), "settings", false, &row, &err));
    fj_sample_settings s = settings_of(row, arena);
    CHECK_OK(fj_sampler_new(&s, NULL, NULL, n_vocab, MOST_CONTEXT, seed, &sampler, &err));
    fj_json_free(row);
    fj_arena_free(arena);
    return sampler;
}

static int32_t draw(fj_sampler *s, const float *logits, int64_t position)
{
    static const int32_t context[MOST_CONTEXT];
    int32_t id = -1;
    fj_err err = { 0 };
    CHECK_OK(fj_sampler_draw(s, logits, context, position, &id, &err));
    return id;
}

TEST(greedy_takes_the_lower_id_of_equals_and_no_number_that_is_none)
{
    fj_sampler *s = sampler_of("{\"settings\": {\"temp\": 0}}", 5, 0);
    CHECK(draw(s, (const float[]){ 1, 3, 2, 3, 3 }, 1) == 1);
    CHECK(draw(s, (const float[]){ NAN, -5, NAN, -4, -INFINITY }, 1) == 3);
    CHECK(draw(s, (const float[]){ NAN, INFINITY, 7, INFINITY, 1 }, 1) == 1);
    CHECK(draw(s, (const float[]){ -INFINITY, -INFINITY, -INFINITY, -INFINITY, -INFINITY }, 1) == 0);
    fj_sampler_free(s);
}

TEST(samplers_survive_logits_that_are_no_numbers)
{
    const float bad[] = { NAN, 2, NAN, 1, -INFINITY }, worse[] = { NAN, NAN, NAN, NAN, NAN };
    static const char *const settings[] = { "{}", "{\"settings\": {\"mirostat\": 1}}",
                                            "{\"settings\": {\"mirostat\": 2}}",
                                            "{\"settings\": {\"typical\": 0.5, \"top_nsigma\": 1}}",
                                            "{\"settings\": {\"order\": \"hf\", \"dynatemp_range\": 0.5}}" };
    for (size_t i = 0; i < FJ_LEN(settings); i++) {
        fj_sampler *s = sampler_of(settings[i], 5, 1);
        fj_err err = { 0 };
        int32_t id, context = 0;
        for (int64_t position = 1; position < 50; position++) {
            id = draw(s, bad, position);
            CHECK(id == 1 || id == 3);
        }
        CHECK(fj_sampler_draw(s, worse, &context, 1, &id, &err) == FJ_ERR_FAILED);
        CHECK_TEXT(err.message, "position 1: the model's logits are not numbers");
        fj_sampler_free(s);
    }
}

TEST(a_draw_depends_on_seed_and_position_alone)
{
    float logits[V];
    test_fill(logits, V, 1, 1);
    fj_sampler *a = sampler_of("{\"settings\": {\"temp\": 1}}", V, 5),
               *b = sampler_of("{\"settings\": {\"temp\": 1}}", V, 5),
               *c = sampler_of("{\"settings\": {\"temp\": 1}}", V, 6);
    int same = 0;
    int32_t forward[50];
    for (int i = 0; i < 50; i++)
        forward[i] = draw(a, logits, i + 1);
    for (int i = 49; i >= 0; i--) {
        CHECK(draw(b, logits, i + 1) == forward[i]);
        same += draw(c, logits, i + 1) == forward[i];
    }
    CHECK(same < 25);
    fj_sampler_free(a);
    fj_sampler_free(b);
    fj_sampler_free(c);
}

/* XTC's chance: as many draws fall on the top choice as its filter was not used. */
TEST(xtc_leaves_the_top_choices_out_as_often_as_it_is_told)
{
    const float logits[] = { 5, 4.9f, 0, 0, 0 };
    fj_sampler *s = sampler_of("{\"settings\": {\"temp\": 0.01, \"xtc_probability\": 0.25}}", 5, 0);
    int top = 0;
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        fj_sampler_restart(s, seed);
        top += draw(s, logits, 1) == 0;
    }
    CHECK(fabs((double)top / DRAWS - 0.75) < 5 * sqrt(0.25 * 0.75 / DRAWS));
    fj_sampler_free(s);
}

/* The mean surprise of what is drawn comes to what is aimed at, where it starts above it. */
TEST(mirostat_comes_to_the_surprise_that_it_aims_at)
{
    for (int version = 1; version <= 2; version++) {
        char settings[96];
        float logits[V];
        double sum = 0, total = 0;
        test_fill(logits, V, 3, 1.5f);
        for (int i = 0; i < V; i++)
            total += exp((double)logits[i]);
        (void)snprintf(settings, sizeof settings,
                       "{\"settings\": {\"temp\": 1, \"mirostat\": %d, \"mirostat_ent\": 2, \"mirostat_lr\": 0.1}}",
                       version);
        fj_sampler *s = sampler_of(settings, V, 7);
        int used[V] = { 0 };
        for (int i = 0; i < 2000; i++) {
            int32_t id = draw(s, logits, i % 60 + 1);
            used[id]++;
            if (i >= 1000)
                sum -= log2(exp((double)logits[id]) / total);
        }
        int kinds = 0;
        for (int i = 0; i < V; i++)
            kinds += used[i] > 0;
        CHECK(kinds > 2 && kinds < V);                 /* it cuts, and not to the best alone */
        CHECK(sum / 1000 > 2 && sum / 1000 < log2(V)); /* surprise over all tokens is above that over those left */
        fj_sampler_free(s);
    }
}

TEST(samplers_refuse_biases_that_cannot_be)
{
    static const struct {
        const char *bias, *message;
    } rows[] = {
        { "x+1", "--logit-bias: 'x+1' is not a token id and a bias" },
        { "3", "--logit-bias: '3' is not a token id and a bias" },
        { "3+-1", "--logit-bias: '3+-1' is not a token id and a bias" },
        { "3+nan", "--logit-bias: '3+nan' is not a token id and a bias" },
        { "40+1", "--logit-bias: the model has 40 tokens, there is no id 40" },
        { "99999999999999999999+1", "--logit-bias: '99999999999999999999+1' is not a token id and a bias" },
    };
    for (size_t i = 0; i < FJ_LEN(rows); i++) {
        fj_err err = { 0 };
        fj_sample_settings s;
        fj_sampler *sampler = NULL;
        fj_arena *arena = fj_arena_new();
        CHECK(arena);
        fj_options_reset(fj_sample_options, arena, &s);
        s.logit_bias = (fj_list){ (const char **)(uintptr_t)&rows[i].bias, 1 };
        CHECK(fj_sampler_new(&s, NULL, NULL, V, 8, 0, &sampler, &err) == FJ_ERR_USAGE);
        CHECK_TEXT(err.message, rows[i].message);
        CHECK(!sampler);
        fj_arena_free(arena);
    }
}
