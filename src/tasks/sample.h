/* SPDX-License-Identifier: Apache-2.0
 * From a row of logits to the next token. Names, defaults and order are llama.cpp's (common/sampling.cpp, llama-sampling.cpp); the order
 * of transformers (GenerationMixin._get_logits_processor) is there by name. */
#ifndef FJ_TASKS_SAMPLE_H
#define FJ_TASKS_SAMPLE_H

#include "base/json.h"
#include "base/option.h"
#include "tokenizers/tokenizer.h"

/* As users give it: NaN or FJ_NOT_GIVEN where they said nothing (fj_options_reset). What they did not say is taken from the model's
 * generation_config.json, else from llama.cpp's defaults, in brackets. Of generation_config.json count temperature, top_k, top_p, min_p,
 * typical_p and repetition_penalty (over the whole context, as in transformers); an explicit "do_sample": false means greedy, unless the
 * user asked for a way of sampling. */
typedef struct fj_sample_settings {
    double temp;                /* 0: greedy, the lower id of equals, after penalties and biases only [0.8] */
    int64_t top_k;              /* the best so many; 0: all [40] */
    double top_p;               /* the fewest tokens with this share of the probability; 1: off [0.95] */
    double min_p;               /* tokens with at least this share of the best one's probability; 0: off [0.05] */
    double typical_p;           /* locally typical sampling; 1: off [1] */
    double top_n_sigma;         /* logits within so many standard deviations of the best; 0 and below: off [-1] */
    double xtc_probability;     /* chance that the top choices are left out, all but the last above [0: off] */
    double xtc_threshold;       /* this probability [0.1]; above 0.5: off */
    double dynatemp_range;      /* temp moves by this much either way with the entropy; 0: off [0] */
    double dynatemp_exponent;   /* how [1] */
    double repeat_penalty;      /* divides (multiplies negative) logits of tokens seen [1: off] */
    double presence_penalty;    /* is subtracted from them once [0] */
    double frequency_penalty;   /* and for each time [0] */
    int64_t repeat_last_n;      /* how many tokens back; -1: all; 0: off [64] */
    double dry_multiplier;      /* penalty of tokens that would continue a repetition [0: off] */
    double dry_base;            /* grows by this factor for each token of it [1.75] */
    int64_t dry_allowed_length; /* beyond this length [2] */
    int64_t dry_penalty_last_n; /* how many tokens back; -1: all [64] */
    fj_list dry_breakers;       /* texts that repetitions do not cross ["\n", ":", "\"", "*"]; one "none": none */
    int64_t mirostat;           /* 1, 2: Mirostat instead of everything but temp and biases; 0: off [0] */
    double mirostat_tau, mirostat_eta; /* wanted surprise [5], learning rate [0.1] */
    fj_list logit_bias;                /* "ID+BIAS", "ID-BIAS", "ID-inf" */
    const char *order; /* "llama": penalties, dry, top_n_sigma, top_k, typical, top_p, min_p, xtc, temperature;
                                      * "hf": penalties, dry, temperature, top_k, top_p, min_p, typical, then the others [llama] */
} fj_sample_settings;

extern const fj_option fj_sample_options[]; /* rows for the struct above */

typedef struct fj_sampler fj_sampler;

/* generation: generation_config.json or NULL. tokenizer: for DRY's breakers, may be NULL (then without them). n_ctx: the longest context.
 * FJ_ERR_USAGE for a bias that cannot be read or whose id is not in the vocabulary. */
fj_status fj_sampler_new(const fj_sample_settings *s, const fj_json *generation, const fj_tokenizer *tokenizer,
                         int64_t n_vocab, int64_t n_ctx, uint64_t seed, fj_sampler **out, fj_err *err);
void fj_sampler_free(fj_sampler *s); /* accepts NULL */

/* The token that follows context (n ids, prompt included; at most n_ctx) given its logits (n_vocab). A function of seed, context and
 * logits alone, but for Mirostat, which learns from call to call. Allocates nothing. FJ_ERR_FAILED when no logit is a number. */
fj_status fj_sampler_draw(fj_sampler *s, const float *logits, const int32_t *context, int64_t n, int32_t *out,
                          fj_err *err);

/* Starts another sequence: with another seed, Mirostat forgets. */
void fj_sampler_restart(fj_sampler *s, uint64_t seed);

/* Appends "temp 0.8, top_k 40, …": what is in force, for people. */
void fj_sampler_describe(const fj_sampler *s, fj_str *out);

#endif
