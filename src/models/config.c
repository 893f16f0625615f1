/* SPDX-License-Identifier: Apache-2.0
 * See config.h. */
#include "models/config.h"

#include <math.h>

/* With at most 4096 layers of some ten matrices of at most this by 2^20 values, every count of a model's bytes fits 63 bits. */
enum { MOST_WIDTH = 1 << 22 };

typedef struct count {
    const char *name;
    int64_t *to;
    int64_t most, fallback; /* fallback 0: the key must be there */
} count;

static fj_status read_key(const fj_json *config, const count *k, fj_err *err)
{
    const fj_json *v = fj_json_get(config, k->name);
    if (!v || fj_json_is_null(v)) {
        if (!k->fallback)
            return fj_fail(err, FJ_ERR_FORMAT, "config.json: '%s' is missing", k->name);
        *k->to = k->fallback;
        return FJ_OK;
    }
    if (!fj_json_is_integer(v) || fj_json_int(v, 0) < 1 || fj_json_int(v, 0) > k->most)
        return fj_fail(err, FJ_ERR_FORMAT, "config.json: '%s' must be a whole number from 1 to %lld", k->name,
                       (long long)k->most);
    *k->to = fj_json_int(v, 0);
    return FJ_OK;
}

/* The key's value, NULL when it is absent or null; a value of the wrong kind fails. */
static fj_status take(const fj_json *config, const char *key, bool (*is)(const fj_json *v), const char *kind,
                      const fj_json **out, fj_err *err)
{
    *out = fj_json_get(config, key);
    if (fj_json_is_null(*out))
        *out = NULL;
    return !*out || is(*out) ? FJ_OK : fj_fail(err, FJ_ERR_FORMAT, "config.json: '%s' must be %s", key, kind);
}

fj_status fj_config_real(const fj_json *config, const char *key, double fallback, double *out, fj_err *err)
{
    const fj_json *v;
    fj_status st = take(config, key, fj_json_is_number, "a number", &v, err);
    *out = fj_json_real(v, fallback);
    return st;
}

fj_status fj_config_bool(const fj_json *config, const char *key, bool fallback, bool *out, fj_err *err)
{
    const fj_json *v;
    fj_status st = take(config, key, fj_json_is_bool, "true or false", &v, err);
    *out = fj_json_bool(v, fallback);
    return st;
}

fj_status fj_config_text(const fj_json *config, const char *key, const char *fallback, const char **out, fj_err *err)
{
    const fj_json *v;
    fj_status st = take(config, key, fj_json_is_string, "text", &v, err);
    *out = fj_json_string(v, fallback);
    return st;
}

fj_status fj_config_core(const fj_json *config, fj_hparams *hp, fj_err *err)
{
    const count first[] = {
        { "hidden_size", &hp->d_model, 1 << 20, 0 },     { "intermediate_size", &hp->d_ff, MOST_WIDTH, 0 },
        { "num_hidden_layers", &hp->n_layers, 4096, 0 }, { "num_attention_heads", &hp->n_heads, 65536, 0 },
        { "vocab_size", &hp->n_vocab, 1 << 24, 0 },      { "max_position_embeddings", &hp->n_ctx, 1 << 30, 2048 },
    };
    for (size_t i = 0; i < FJ_LEN(first); i++) {
        fj_status st = read_key(config, &first[i], err);
        if (st)
            return st;
    }
    const count second[] = {
        { "num_key_value_heads", &hp->n_kv_heads, 65536, hp->n_heads },
        { "head_dim", &hp->d_head, 65536, FJ_MAX(1, hp->d_model / hp->n_heads) },
    };
    for (size_t i = 0; i < FJ_LEN(second); i++) {
        fj_status st = read_key(config, &second[i], err);
        if (st)
            return st;
    }
    if (hp->n_heads % hp->n_kv_heads)
        return fj_fail(err, FJ_ERR_FORMAT,
                       "config.json: %lld attention heads are not a multiple of %lld key/value heads",
                       (long long)hp->n_heads, (long long)hp->n_kv_heads);
    if (hp->n_heads * hp->d_head > MOST_WIDTH)
        return fj_fail(err, FJ_ERR_FORMAT, "config.json: %lld heads of %lld values are more than %d",
                       (long long)hp->n_heads, (long long)hp->d_head, MOST_WIDTH);
    if (hp->d_head % 2)
        return fj_fail(err, FJ_ERR_FORMAT, "config.json: head_dim %lld is odd", (long long)hp->d_head);
    fj_status st = fj_config_real(config, "rms_norm_eps", 1e-6, &hp->norm_eps, err);
    if (st)
        return st;
    if (!(hp->norm_eps > 0 && hp->norm_eps < 1))
        return fj_fail(err, FJ_ERR_FORMAT, "config.json: rms_norm_eps is %g", hp->norm_eps);
    return FJ_OK;
}

static double scaled(const fj_hparams *hp, double inverse)
{
    if (hp->rope_kind == FJ_ROPE_LINEAR)
        return inverse / hp->rope_factor;
    if (hp->rope_kind != FJ_ROPE_LLAMA3)
        return inverse;
    double wavelength = 2 * 3.14159265358979323846 / inverse, original = hp->rope_original;
    if (wavelength < original / hp->rope_high)
        return inverse;
    if (wavelength > original / hp->rope_low)
        return inverse / hp->rope_factor;
    double smooth = (original / wavelength - hp->rope_low) / (hp->rope_high - hp->rope_low);
    return (1 - smooth) * inverse / hp->rope_factor + smooth * inverse;
}

void fj_rope_inverse(const fj_hparams *hp, const float *divisors, int64_t n, float *out)
{
    for (int64_t j = 0; j < n; j++) {
        double inverse = 1.0 / pow(hp->rope_theta, (double)(2 * j) / (double)(2 * n));
        out[j] = (float)(divisors ? inverse / divisors[j] : scaled(hp, inverse));
    }
}
