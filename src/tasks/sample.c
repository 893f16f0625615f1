/* SPDX-License-Identifier: Apache-2.0
 * The sampler: settings to what is in force, and the chain from logits to a token. */
#include "tasks/sample.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "tasks/sample_internal.h"

#define AT(member) offsetof(fj_sample_settings, member)

const fj_option fj_sample_options[] = {
    { "temp", "X", FJ_OPT_REAL, AT(temp), NULL,
      "temperature; 0: always the likeliest token [the model's own, else 0.8]", 0, 1e6, 0 },
    { "top-k", "N", FJ_OPT_INT, AT(top_k), NULL, "only the best N; 0: all [the model's own, else 40]", 0, 1e9, 0 },
    { "top-p", "P", FJ_OPT_REAL, AT(top_p), NULL,
      "only the best with a share P of the probability [the model's own, else 0.95]", 0, 1, 0 },
    { "min-p", "P", FJ_OPT_REAL, AT(min_p), NULL,
      "only what has a share P of the best one's [the model's own, else 0.05]", 0, 1, 0 },
    { "typical", "P", FJ_OPT_REAL, AT(typical_p), NULL, "locally typical sampling; 1: off [1]", 0, 1, 0 },
    { "top-nsigma", "X", FJ_OPT_REAL, AT(top_n_sigma), NULL,
      "logits within X standard deviations of the best; -1: off [-1]", -1, 1e9, 0 },
    { "xtc-probability", "P", FJ_OPT_REAL, AT(xtc_probability), NULL, "chance to leave out the top choices [0]", 0, 1,
      0 },
    { "xtc-threshold", "P", FJ_OPT_REAL, AT(xtc_threshold), NULL, "what is a top choice; above 0.5: off [0.1]", 0, 1,
      0 },
    { "dynatemp-range", "X", FJ_OPT_REAL, AT(dynatemp_range), NULL, "temperature moves by X with the entropy [0]", 0,
      1e6, 0 },
    { "dynatemp-exp", "X", FJ_OPT_REAL, AT(dynatemp_exponent), NULL, "exponent of that [1]", 0, 100, 0 },
    { "repeat-penalty", "X", FJ_OPT_REAL, AT(repeat_penalty), NULL,
      "penalty of tokens seen [the model's own, else 1: none]", 1e-6, 1e6, 0 },
    { "presence-penalty", "X", FJ_OPT_REAL, AT(presence_penalty), NULL, "subtracted from tokens seen [0]", -1e6, 1e6,
      0 },
    { "frequency-penalty", "X", FJ_OPT_REAL, AT(frequency_penalty), NULL, "subtracted for each time seen [0]", -1e6,
      1e6, 0 },
    { "repeat-last-n", "N", FJ_OPT_INT, AT(repeat_last_n), NULL, "tokens back that these three look; -1: all [64]", -1,
      1e9, 0 },
    { "dry-multiplier", "X", FJ_OPT_REAL, AT(dry_multiplier), NULL, "penalty of going on with a repetition [0]", 0, 1e6,
      0 },
    { "dry-base", "X", FJ_OPT_REAL, AT(dry_base), NULL, "its growth with each token [1.75]", 1, 1e6, 0 },
    { "dry-allowed-length", "N", FJ_OPT_INT, AT(dry_allowed_length), NULL, "repetitions up to N are free [2]", 1, 1e9,
      0 },
    { "dry-penalty-last-n", "N", FJ_OPT_INT, AT(dry_penalty_last_n), NULL, "tokens back that it looks; -1: all [64]",
      -1, 1e9, 0 },
    { "dry-sequence-breaker", "TEXT", FJ_OPT_LIST, AT(dry_breakers), NULL,
      "text that ends a repetition [newline : \" *]; none", 0, 0, 0 },
    { "mirostat", "N", FJ_OPT_INT, AT(mirostat), NULL, "Mirostat version 1 or 2 instead of the filters [0]", 0, 2, 0 },
    { "mirostat-lr", "X", FJ_OPT_REAL, AT(mirostat_eta), NULL, "its learning rate [0.1]", 0, 1e6, 0 },
    { "mirostat-ent", "X", FJ_OPT_REAL, AT(mirostat_tau), NULL, "the surprise it aims at [5]", 0, 1e6, 0 },
    { "logit-bias", "ID+X", FJ_OPT_LIST, AT(logit_bias), NULL,
      "added to a token's logit: 42+1.5, 42-inf; may be repeated", 0, 0, 'l' },
    { "sampler-order", "NAME", FJ_OPT_TEXT, AT(order), "llama",
      "filters, then temperature (llama), or the other way round (hf)", 0, 0, 0, "llama|hf" },
    { 0 },
};

typedef struct bias {
    int32_t id;
    float value;
} bias;

struct fj_sampler {
    fj_arena *arena;
    fj_sample_settings s; /* settled: nothing is "not given" */
    bool is_hf_order;
    int64_t n_vocab;
    uint64_t seed;
    double mu; /* Mirostat's state */
    bias *biases;
    size_t n_biases;
    unsigned char *breaks; /* tokens that DRY does not cross, or NULL */
    float *logits;         /* n_vocab: a copy with penalties */
    fj_candidate *items;   /* n_vocab */
    int32_t *counts, *z;   /* n_vocab, n_ctx */
};

/* ---- settings ------------------------------------------------------------------------------------------------------------------------- */

static void settle_real(double *value, const fj_json *generation, const char *key, double fallback)
{
    if (isnan(*value))
        *value = key ? fj_json_real(fj_json_get(generation, key), fallback) : fallback;
    if (isnan(*value))
        *value = fallback;
}

static void settle_int(int64_t *value, const fj_json *generation, const char *key, int64_t fallback)
{
    if (*value == FJ_NOT_GIVEN)
        *value = key ? fj_json_int(fj_json_get(generation, key), fallback) : fallback;
}

static bool asks_for_sampling(const fj_sample_settings *s)
{
    const double reals[] = { s->temp,        s->top_p,           s->min_p,         s->typical_p,
                             s->top_n_sigma, s->xtc_probability, s->dynatemp_range };
    for (size_t i = 0; i < FJ_LEN(reals); i++)
        if (!isnan(reals[i]))
            return true;
    return s->top_k != FJ_NOT_GIVEN || s->mirostat != FJ_NOT_GIVEN;
}

static void settle(fj_sample_settings *s, const fj_json *generation)
{
    const fj_json *do_sample = fj_json_get(generation, "do_sample");
    bool is_greedy = fj_json_is_bool(do_sample) && !fj_json_bool(do_sample, true) && !asks_for_sampling(s);
    if (s->repeat_last_n == FJ_NOT_GIVEN && isnan(s->repeat_penalty) && fj_json_get(generation, "repetition_penalty"))
        s->repeat_last_n = -1; /* transformers looks at the whole context */
    if (is_greedy)
        s->temp = 0;
    settle_real(&s->temp, generation, "temperature", 0.8);
    settle_int(&s->top_k, generation, "top_k", 40);
    settle_real(&s->top_p, generation, "top_p", 0.95);
    settle_real(&s->min_p, generation, "min_p", 0.05);
    settle_real(&s->typical_p, generation, "typical_p", 1);
    settle_real(&s->top_n_sigma, NULL, NULL, -1);
    settle_real(&s->xtc_probability, NULL, NULL, 0);
    settle_real(&s->xtc_threshold, NULL, NULL, 0.1);
    settle_real(&s->dynatemp_range, NULL, NULL, 0);
    settle_real(&s->dynatemp_exponent, NULL, NULL, 1);
    settle_real(&s->repeat_penalty, generation, "repetition_penalty", 1);
    settle_real(&s->presence_penalty, NULL, NULL, 0);
    settle_real(&s->frequency_penalty, NULL, NULL, 0);
    settle_int(&s->repeat_last_n, NULL, NULL, 64);
    settle_real(&s->dry_multiplier, NULL, NULL, 0);
    settle_real(&s->dry_base, NULL, NULL, 1.75);
    settle_int(&s->dry_allowed_length, NULL, NULL, 2);
    settle_int(&s->dry_penalty_last_n, NULL, NULL, 64);
    settle_int(&s->mirostat, NULL, NULL, 0);
    settle_real(&s->mirostat_tau, NULL, NULL, 5);
    settle_real(&s->mirostat_eta, NULL, NULL, 0.1);
    if (!(s->repeat_penalty > 0)) /* a generation_config.json may say anything */
        s->repeat_penalty = 1;
}

/* "42+1.5", "42-inf". */
static fj_status read_bias(const char *text, int64_t n_vocab, bias *out, fj_err *err)
{
    size_t digits = strspn(text, "0123456789");
    double value = 0;
    int64_t id = -1;
    bool ok = fj_text_i64((fj_text){ text, digits }, &id) && (text[digits] == '+' || text[digits] == '-');
    const char *amount = text + digits + (ok ? 1 : 0);
    if (ok && !strcmp(amount, "inf"))
        value = INFINITY;
    else
        ok = ok && fj_text_f64(fj_text_of(amount), &value) && value >= 0;
    if (!ok) {
        (void)fj_fail(err, FJ_ERR_USAGE, "--logit-bias: '%.80s' is not a token id and a bias", text);
        return fj_hint(err, "for example 42+1.5, 42-3 or 42-inf");
    }
    if (id >= n_vocab)
        return fj_fail(err, FJ_ERR_USAGE, "--logit-bias: the model has %lld tokens, there is no id %lld",
                       (long long)n_vocab, (long long)id);
    *out = (bias){ (int32_t)id, (float)(text[digits] == '-' ? -value : value) };
    return FJ_OK;
}

static fj_status read_biases(fj_sampler *s, fj_err *err)
{
    const fj_list *list = &s->s.logit_bias;
    s->biases = fj_arena_array(s->arena, list->n, sizeof *s->biases);
    fj_status st = s->biases ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for %zu biases", list->n);
    for (size_t i = 0; i < list->n && !st; i++)
        st = read_bias(list->items[i], s->n_vocab, &s->biases[s->n_biases++], err);
    return st;
}

static bool holds(const fj_str *text, const char *part)
{
    return *part && text->data && strstr(text->data, part);
}

/* Marks the tokens whose text holds a breaker. (A breaker that only two tokens together hold is not found.) */
static fj_status find_breaks(fj_sampler *s, const fj_tokenizer *t, fj_err *err)
{
    static const char *const defaults[] = { "\n", ":", "\"", "*" };
    const char *const *texts = s->s.dry_breakers.n ? s->s.dry_breakers.items : defaults;
    size_t n = s->s.dry_breakers.n ? s->s.dry_breakers.n : FJ_LEN(defaults);
    fj_str text = { 0 };
    fj_status st = FJ_OK;
    if (s->s.dry_multiplier == 0 || !t || (n == 1 && !strcmp(texts[0], "none")))
        return FJ_OK;
    s->breaks = fj_arena_take(s->arena, (size_t)s->n_vocab);
    if (!s->breaks)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for the breakers");
    for (int32_t id = 0; id < FJ_MIN(s->n_vocab, fj_tokenizer_size(t)) && !st; id++) {
        fj_str_clear(&text);
        st = fj_decode(t, &id, 1, false, &text, err);
        for (size_t i = 0; i < n && !st; i++)
            s->breaks[id] |= holds(&text, texts[i]);
    }
    fj_str_free(&text);
    return st;
}

/* ---- the object ----------------------------------------------------------------------------------------------------------------------- */

static fj_status take_memory(fj_sampler *s, int64_t n_ctx, fj_err *err)
{
    s->logits = fj_arena_array(s->arena, (size_t)s->n_vocab, sizeof *s->logits);
    s->items = fj_arena_array(s->arena, (size_t)s->n_vocab, sizeof *s->items);
    s->counts = fj_arena_array(s->arena, (size_t)s->n_vocab, sizeof *s->counts);
    s->z = fj_arena_array(s->arena, (size_t)n_ctx + 1, sizeof *s->z);
    if (!s->logits || !s->items || !s->counts || !s->z)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to choose among %lld tokens", (long long)s->n_vocab);
    return FJ_OK;
}

fj_status fj_sampler_new(const fj_sample_settings *settings, const fj_json *generation, const fj_tokenizer *tokenizer,
                         int64_t n_vocab, int64_t n_ctx, uint64_t seed, fj_sampler **out, fj_err *err)
{
    fj_arena *arena = fj_arena_new();
    fj_sampler *s = arena ? fj_arena_take(arena, sizeof *s) : NULL;
    *out = NULL;
    if (!s) {
        fj_arena_free(arena);
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a sampler");
    }
    *s = (fj_sampler){ .arena = arena, .s = *settings, .n_vocab = n_vocab };
    settle(&s->s, generation);
    s->is_hf_order = settings->order && !strcmp(settings->order, "hf");
    fj_sampler_restart(s, seed);
    fj_status st = take_memory(s, n_ctx, err);
    if (!st)
        st = read_biases(s, err);
    if (!st)
        st = find_breaks(s, tokenizer, err);
    if (st)
        fj_sampler_free(s);
    else
        *out = s;
    return st;
}

void fj_sampler_free(fj_sampler *s)
{
    if (s)
        fj_arena_free(s->arena);
}

void fj_sampler_restart(fj_sampler *s, uint64_t seed)
{
    s->seed = seed;
    s->mu = 2 * s->s.mirostat_tau;
}

void fj_sampler_describe(const fj_sampler *s, fj_str *out)
{
    const fj_sample_settings *v = &s->s;
    if (v->temp == 0 && v->mirostat == 0) {
        fj_str_printf(out, "greedy, repeat_penalty %g", v->repeat_penalty);
    } else if (v->mirostat) {
        fj_str_printf(out, "mirostat %lld, tau %g, eta %g, temp %g", (long long)v->mirostat, v->mirostat_tau,
                      v->mirostat_eta, v->temp);
    } else {
        fj_str_printf(out, "temp %g, top_k %lld, top_p %g, min_p %g, typical %g, repeat_penalty %g", v->temp,
                      (long long)v->top_k, v->top_p, v->min_p, v->typical_p, v->repeat_penalty);
        if (v->dry_multiplier > 0)
            fj_str_printf(out, ", dry %g", v->dry_multiplier);
        if (v->xtc_probability > 0)
            fj_str_printf(out, ", xtc %g", v->xtc_probability);
        fj_str_printf(out, ", order %s", s->is_hf_order ? "hf" : "llama");
    }
    fj_str_printf(out, ", seed %llu", (unsigned long long)s->seed);
}

/* ---- drawing -------------------------------------------------------------------------------------------------------------------------- */

enum { DRAW, XTC }; /* indices of the random numbers of one position */

static double uniform(const fj_sampler *s, int64_t position, int index)
{
    return fj_rng_uniform(s->seed, FJ_STREAM_SAMPLE, (uint32_t)position, 0, (uint64_t)index);
}

/* Logits with biases and penalties, in s->logits. */
static void penalize(fj_sampler *s, const float *logits, const int32_t *context, int64_t n)
{
    const fj_sample_settings *v = &s->s;
    memcpy(s->logits, logits, (size_t)s->n_vocab * sizeof *logits);
    for (size_t i = 0; i < s->n_biases; i++)
        s->logits[s->biases[i].id] += s->biases[i].value;
    if (v->mirostat)
        return;
    fj_penalties p = { v->repeat_penalty, v->presence_penalty, v->frequency_penalty, v->repeat_last_n };
    fj_dry d = { v->dry_multiplier, v->dry_base, v->dry_allowed_length, v->dry_penalty_last_n };
    fj_penalize(&p, context, n, s->logits, s->counts);
    fj_penalize_repetition(&d, context, n, s->breaks, s->logits, s->z, s->counts);
}

/* The best token, the lower id of equals; -1 when no logit is a number. */
static int32_t greedy(const fj_sampler *s)
{
    int32_t best = -1;
    for (int32_t i = 0; i < s->n_vocab; i++)
        if (!isnan(s->logits[i]) && (best < 0 || s->logits[i] > s->logits[best]))
            best = i;
    return best;
}

static void filter_llama(const fj_sampler *s, fj_candidates *c, int64_t position)
{
    const fj_sample_settings *v = &s->s;
    fj_keep_sigma(c, v->top_n_sigma);
    fj_keep_top_k(c, v->top_k);
    fj_keep_typical(c, v->typical_p);
    fj_keep_top_p(c, v->top_p);
    fj_keep_min_p(c, v->min_p);
    if (v->xtc_threshold <= 0.5 && uniform(s, position, XTC) < v->xtc_probability)
        fj_drop_top_choices(c, v->xtc_threshold);
    fj_apply_temperature(c, v->temp, v->dynatemp_range, v->dynatemp_exponent);
}

static void filter_hf(const fj_sampler *s, fj_candidates *c, int64_t position)
{
    const fj_sample_settings *v = &s->s;
    fj_apply_temperature(c, v->temp, v->dynatemp_range, v->dynatemp_exponent);
    fj_keep_top_k(c, v->top_k);
    fj_keep_top_p(c, v->top_p);
    fj_keep_min_p(c, v->min_p);
    fj_keep_typical(c, v->typical_p);
    fj_keep_sigma(c, v->top_n_sigma);
    if (v->xtc_threshold <= 0.5 && uniform(s, position, XTC) < v->xtc_probability)
        fj_drop_top_choices(c, v->xtc_threshold);
}

static fj_candidates list_candidates(const fj_sampler *s)
{
    fj_candidates c = { .items = s->items };
    for (int32_t i = 0; i < s->n_vocab; i++)
        if (!isnan(s->logits[i]) && s->logits[i] != -INFINITY)
            s->items[c.n++] = (fj_candidate){ .id = i, .logit = s->logits[i] };
    return c;
}

fj_status fj_sampler_draw(fj_sampler *s, const float *logits, const int32_t *context, int64_t n, int32_t *out,
                          fj_err *err)
{
    penalize(s, logits, context, n);
    int32_t best = greedy(s);
    if (best < 0)
        return fj_fail(err, FJ_ERR_FAILED, "position %lld: the model's logits are not numbers", (long long)n);
    *out = best;
    if ((s->s.temp == 0 && s->s.dynatemp_range == 0) || !isfinite(s->logits[best]))
        return FJ_OK; /* a bias of +inf decides, too */
    fj_candidates c = list_candidates(s);
    double u = uniform(s, n, DRAW);
    if (s->s.mirostat) {
        fj_apply_temperature(&c, s->s.temp, 0, 1);
        fj_mirostat_truncate(&c, (int)s->s.mirostat, s->mu, s->n_vocab);
    } else if (s->is_hf_order) {
        filter_hf(s, &c, n);
    } else {
        filter_llama(s, &c, n);
    }
    fj_candidates_weigh(&c);
    const fj_candidate *drawn = &c.items[fj_candidates_pick(&c, u)];
    if (s->s.mirostat)
        s->mu -= s->s.mirostat_eta * (-log2(drawn->p) - s->s.mirostat_tau);
    *out = drawn->id;
    return FJ_OK;
}
